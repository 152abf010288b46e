// Signals: samples, their kernels, and numbers read from a file. A signal is a picture of one row, with
// `signal` true; the page then has one axis, draws its numbers as bars, and calls them samples.
import { Unreadable } from "./pictures.js";

export const MOST_SAMPLES = 256;

// Numbers are kept to six digits, which is what a link carries.
export function makeSignal(id, name, numbers) {
  const data = Float64Array.from(numbers, (value) => Number(value.toPrecision(6)));
  return { id, name, h: 1, w: data.length, c: 1, data, high: 1, signed: true, signal: true };
}

const bump = (x, middle, width) => Math.exp(-(((x - middle) / width) ** 2));
const hundredths = (value) => Math.round(100 * value) / 100 + 0;
const series = (length, value) => Array.from({ length }, (_, n) => hundredths(value(n)));

// A heart's three waves: the small P, the sharp QRS, and T.
const beat = (x) => 0.15 * bump(x, 6, 2) - 0.15 * bump(x, 10.5, 0.8) + bump(x, 12, 0.9) - 0.25 * bump(x, 13.6, 0.8) + 0.3 * bump(x, 20, 2.6);

// A sum of steps that look like chance and are the same on every machine.
function walk(length) {
  let [seed, price] = [7, 50];
  return Array.from({ length }, () => {
    seed = (seed * 16807) % 2147483647;
    price += 4 * (seed / 2147483647 - 0.47);
    return Math.round(10 * price) / 10;
  });
}

export const sampleSignals = () => [
  makeSignal("step", "A step", series(16, (n) => Number(n >= 8))),
  makeSignal("heartbeat", "Two heartbeats", series(60, (n) => beat(n % 30))),
  makeSignal("sound", "A plucked string", series(64, (n) => Math.exp(-n / 24) * (Math.sin(n / 2.2) + 0.4 * Math.sin(n / 0.73)))),
  makeSignal("prices", "Prices that rise and fall by chance", walk(64)),
];

const mean = (n) => Array(n).fill(1 / n);
export const SIGNAL_KERNELS = [
  ["mean of 3", mean(3), "The mean of three neighbours: small wiggles go."],
  ["mean of 7", mean(7), "The mean of seven neighbours: only what is slow stays."],
  ["bell", [1, 4, 6, 4, 1].map((n) => n / 16), "A mean in which the middle counts most."],
  ["identity", [0, 1, 0], "The signal itself."],
  ["difference", [-1, 1], "How much each sample is above the one before it."],
  ["slope", [-0.5, 0, 0.5], "How steeply the signal rises, from both neighbours."],
  ["bend", [1, -2, 1], "How much the slope changes: the second difference."],
  ["sharpen", [-1, 3, -1], "What differs from its neighbours is made larger."],
  ["fading memory", [1 / 16, 1 / 16, 1 / 8, 1 / 4, 1 / 2], "Half of the last sample, a quarter of the one before, and so on."],
  ["echo", [0.6, 0, 0, 0, 0, 0, 0, 0, 1], "The sound, and with causal padding itself again eight samples later."],
].map(([name, row, about]) => ({ name, layers: [[row]], about }));

// Reads text as a signal: a single line of numbers, or lines of columns, such as CSV. Of these it takes
// the last column that holds a number on each line, below a heading if there is one.
export function readSignal(text, name) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  const comma = text.includes(";") ? "." : ","; // between semicolons a comma begins decimals
  const split = (line) => line.trim().split(comma === "." ? /\s*;\s*/ : /\s*[,\t]\s*|\s+/).map((part) => part.replaceAll('"', ""));
  const number = (part) => (part.trim() ? Number(part.replace(",", comma)) : NaN);
  let table = lines.map(split);
  if (table.length === 1) table = table[0].map((part) => [part]);
  const headed = table.length > 1 && table[0].every((part) => !Number.isFinite(number(part)));
  const rows = headed ? table.slice(1) : table;
  const width = rows.length ? Math.min(...rows.map((row) => row.length)) : 0;
  for (let column = width - 1; column >= 0; column--) {
    const numbers = rows.map((row) => number(row[column]));
    if (!numbers.every((value) => Math.abs(value) <= 1e9)) continue;
    const notes = [
      width > 1 && `It is column ${column + 1} of ${width}${headed ? `, “${table[0][column]}”` : ""}.`,
      numbers.length > MOST_SAMPLES && `These are the first ${MOST_SAMPLES} of ${numbers.length} numbers.`,
    ];
    return { ...makeSignal("own", name, numbers.slice(0, MOST_SAMPLES)), note: notes.filter(Boolean).join(" ") };
  }
  throw new Unreadable(`“${name}” has no column of numbers alone, up to a thousand million; a CSV file or a list of numbers works.`);
}
