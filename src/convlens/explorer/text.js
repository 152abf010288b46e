// Writes what the page says: the formula of the size, sums, and sentences about what is pointed at.
import { CHANNEL_NAMES } from "./pictures.js";
import { isPooling, windowOf } from "./state.js";
import { shortNumber } from "./panels.js";
import { now } from "./store.js";

export const channelNames = () => now.image.names ?? CHANNEL_NAMES;
export const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
export const place = (row, column) => (now.image?.signal ? `sample ${column}` : `row ${row}, column ${column}`);
export const outputPlace = (row, column) => (now.image.signal ? `output ${column}` : place(row, column));

// Names an output at the beginning of a sentence. The outputs of a signal are counted by themselves, and
// with a stride or padding the number of one is not that of its sample; so its samples are named, too.
export function outputText({ columns }, y, x) {
  if (!now.image.signal) return `The output at ${place(y, x)} (counted from 0)`;
  const samples = Array.from({ length: columns.window }, (_, tap) => columns.pixel(x, tap)).filter((sample) => columns.isPixel(sample));
  const [first, last] = [samples.at(0), samples.at(-1)];
  const under = samples.length === 0 ? "over padding alone" : samples.length === 1 ? `over sample ${first}`
    : `over samples ${first} ${samples.length === 2 ? "and" : "to"} ${last}`;
  const gaps = samples.length > 2 && columns.dilation > 1 ? `, every ${ordinal(columns.dilation)}` : "";
  return `Output ${x} (counted from 0), with its window ${under}${gaps},`;
}

// A sentence in the words of what is shown: a signal has samples on one axis, where a picture has pixels.
export const worded = (text) => !now.image?.signal ? text : text.replaceAll("picture", "signal")
  .replaceAll("pixel", "sample").replaceAll("columns", "samples");

// A number with all its digits except the last ones, which are rounding errors.
export const fullNumber = (value) => String(Number(value.toPrecision(10))).replace("-", "−");

// How often the window fits, in words: for both axes, or once if they are alike.
export function placesText(rows, columns) {
  if (now.image.signal) return axisText(columns, "samples");
  const alike = ["size", "padded", "window", "stride", "dilation", "outputs"].every((name) => rows[name] === columns[name]);
  if (!alike) return `${axisText(rows, "high")} ${axisText(columns, "wide")}`;
  return `${axisText(columns, "wide")} The same downwards: ${rows.outputs} × ${columns.outputs}.`;
}

function axisText(axis, word) {
  const padded = axis.padded > axis.size ? `, padded to ${axis.padded}` : "";
  const reach = axis.dilation > 1 ? ` that reaches over ${axis.reach}` : "";
  const fits = Math.max(0, axis.padded - axis.reach + 1);
  const whole = Math.max(0, axis.outputs - Number(axis.hangsOver));
  const taken = axis.stride > 1 ? `, of which every ${ordinal(axis.stride)} is taken: ${whole}` : "";
  const hangs = axis.hangsOver ? ", and one that hangs over the edge" : "";
  return `${axis.size} ${word}${padded}, window ${axis.window}${reach}: ${count(fits, "place")}${taken}${hangs}.`;
}

const ordinal = (n) => `${n}${n === 2 ? "nd" : n === 3 ? "rd" : "th"}`;

// The formula of the output's size along one axis, as lines of [label, formula].
export function sizeLines(axis, word, name) {
  const [length, k, s, ends] = name === "rows" ? ["h", "kh", "sh", ["top", "bottom"]] : ["w", "kw", "sw", ["left", "right"]];
  const lines = [];
  if (axis.dilation > 1) {
    lines.push([`reach of ${axis.window} taps`, `(${k} − 1) × dilation + 1 = (${axis.window} − 1) × ${axis.dilation} + 1 = ${axis.reach}`]);
  }
  if (word === "same") {
    const outputs = Math.ceil(axis.size / axis.stride);
    lines.push(["same asks for", `⌈${length} ÷ ${s}⌉ = ⌈${axis.size} ÷ ${axis.stride}⌉ = ${outputs}, so it pads ${axis.before} ${ends[0]}, ${axis.after} ${ends[1]}`]);
  } else if (word === "causal") {
    lines.push(["causal pads", `${axis.reach} − 1 = ${axis.before} in front, and none behind`]);
  } else if (word === "full") {
    lines.push(["full pads", `${axis.reach} − 1 = ${axis.before} on each side, so that one tap is enough`]);
  }
  const reach = axis.dilation > 1 ? "reach" : k;
  const extra = axis.hangsOver ? " + 1 that hangs over" : "";
  lines.push([
    name,
    `⌊(${length} + ${ends[0]} + ${ends[1]} − ${reach}) ÷ ${s}⌋ + 1 = ` +
    `⌊(${axis.size} + ${axis.before} + ${axis.after} − ${axis.reach}) ÷ ${axis.stride}⌋ + 1${extra} = ${axis.outputs}`,
  ]);
  return lines;
}

// The sum of one channel's products, written out up to a length that can be read.
export function sumText({ values, weights, result }) {
  if (values.length > 30) return `The ${values.length} products add up to ${fullNumber(result)}.`;
  const terms = values.map((value, n) => {
    const [factor, weight] = [value, weights[n]].map(shortNumber).map((text) => (text.startsWith("−") ? `(${text})` : text));
    return `${factor} × ${weight}`;
  });
  return `${terms.join(" + ")} = ${fullNumber(result)}`;
}

export function poolText(operation, { values, sum, count: counted, result, winner }, cells) {
  if (operation === "avg") return `Sum ${fullNumber(sum)} ÷ ${count(counted, "cell")} = ${fullNumber(result)}`;
  const { row, column } = cells[winner];
  const ties = values.filter((value, n) => cells[n].kind === "pixel" && value === result).length;
  const word = operation === "max" ? "largest" : "smallest";
  return `The ${word} is ${fullNumber(result)}, at ${place(row, column)}${ties > 1 ? ` (first of ${ties} alike)` : ""}.`;
}

// Says how many cells of a window are padding, and where their values come from.
export function paddingText(state, cells) {
  const padding = cells.filter(({ kind }) => kind === "padding").length;
  const outside = cells.filter(({ kind }) => kind === "outside").length;
  const parts = [];
  if (padding) {
    const them = count(padding, "cell");
    const verb = padding === 1 ? "is" : "are";
    if (isPooling(state)) {
      const counts = state.operation === "avg" && state.countPadding;
      parts.push(`${them} of this window ${verb} padding, ${counts ? "counted as zeros" : "which pooling leaves out"}.`);
    } else if (state.padMode === "constant") {
      parts.push(`${them} of this window ${verb} padding: zeros, outside the picture.`);
    } else {
      const how = {
        edge: "repeating the nearest pixel", wrap: "taken from the opposite side",
        reflect: "mirrored at the last pixel", symmetric: "mirrored behind the last pixel",
      }[state.padMode];
      parts.push(`${them} of this window ${verb} padding, ${how} (dashed: where the values come from).`);
    }
  }
  if (outside) parts.push(`${count(outside, "cell")} hang${outside === 1 ? "s" : ""} over the edge and take${outside === 1 ? "s" : ""} no part.`);
  return parts.join(" ");
}

// The name of an operation in a row, with the size of its kernel or window.
export function operationText({ state, image }) {
  const name = { convolve: "Convolve", max: "Max pool", avg: "Average pool", min: "Min pool" }[state.operation];
  const [kh, kw] = windowOf(state);
  return `${name} ${image.signal ? kw : `${kh} × ${kw}`}`;
}

// What an output of operation `n` sees of the picture: its field along both axes, and of it the rows and
// columns that are on the picture.
export function fieldText(n, [y, x], [down, across], [rows, columns]) {
  const { signal } = now.image;
  const both = (a, b) => (signal ? `${b}` : `${a} × ${b}`);
  const gaps = down.met < down.size || across.met < across.size ? `, of which it uses ${both(down.met, across.met)}, with gaps between` : "";
  const cut = rows.length < down.met || columns.length < across.met
    ? ` Here ${both(rows.length, columns.length)} of these are on the picture, and the others lie beyond its edge.` : "";
  const step = signal || down.step === across.step ? `${count(across.step, "pixel")} further on`
    : `${count(down.step, "pixel")} further down, or ${count(across.step, "pixel")} further across`;
  const name = signal ? `Output ${x} of operation ${n}` : `The output of operation ${n} at ${place(y, x)}`;
  return `${name} sees ${both(down.size, across.size)} pixels of the picture, lit up: `
    + `its field${gaps}.${cut} The field of the number next to it lies ${step}.`;
}

// The sentence about the cell of the input that is pointed at.
export function usesText(row, column, uses, padding) {
  const what = padding ? "This padded cell" : `The pixel at ${place(row, column)}`;
  if (!uses) return `${what} is used by no output: the windows step over it.`;
  return `${what} is used by ${count(uses, "output")}, lit up in the output.`;
}

// What the weights of a pixel's outputs mean, and the way back. They are the kernel turned around where
// the window takes every place around the pixel.
export const backText = (turned, flip) =>
  "The pixel feeds each lit output with a weight, the kernel’s number that lies on the pixel there" +
  `${!turned ? "" : flip ? "; together they are the kernel as it was before it was turned" : "; together they are the kernel turned by 180°"}. On the way ` +
  "back these outputs come together at the pixel, each times its weight, and are added up.";

// What becomes of all outputs on the way back, with their size and that of what comes out.
export const sentText = (output, back) =>
  "For every pixel at once, this is a transposed convolution. Seen from the output, each of its numbers is spread over its window again, times the kernel, and where windows " +
  `overlap, all is added up. So ${output} outputs give ${back} numbers back: as many as the input has, but not the input itself. Networks make small pictures ` +
  "large with it, and learn with it: what is wrong with the outputs is sent back to what caused it.";

export function tapText(state, i, j, weight) {
  const [kh, kw] = windowOf(state);
  const where = `${now.image.signal ? "" : `${i + 1} of ${kh} down and `}${j + 1} of ${kw} across`;
  const name = `A tap is one cell of the window. This one, ${where},`;
  const times = weight === null ? "" : `, and multiplies each by ${fullNumber(weight)}`;
  return `${name} meets the lit pixels as the window slides, one for every output${times}.`;
}
