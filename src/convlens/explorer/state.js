// The state of the page, which is all that a link must carry: how it is written into the address,
// how it is read back, and which parts of it exclude each other.
import { Axis, resolvePadding } from "./geometry.js";
import { SIDES, fromBase64, makePicture, toBase64 } from "./pictures.js";
import { MOST_SAMPLES, makeSignal } from "./signals.js";

export const OPERATIONS = ["convolve", "max", "avg", "min"];
export const PADDINGS = ["valid", "same", "full", "causal"];
export const PAD_MODES = ["constant", "edge", "reflect", "symmetric", "wrap"];
export const COLOURS = ["gray", "summed", "each", "several"];
export const SEVERAL = 4; // kernels, and channels that they meet
export const MOST_OPERATIONS = 3; // in a row
export const LIMITS = { window: [1, 11], stride: [1, 16], dilation: [1, 8], padding: [0, 32] };

export const DEFAULTS = {
  operation: "convolve",
  layers: [[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]], // (1 or c, kh, kw)
  goal: null, // while the kernel is learned, the layers that the target was made with
  flip: false, // whether the kernel is turned by 180° first, as mathematics has it
  window: [2, 2], // of a pooling
  stride: [1, 1],
  dilation: [1, 1],
  padding: "valid", // a word, or [[top, bottom], [left, right]]
  padMode: "constant",
  countPadding: false,
  partial: false,
  colour: "gray",
  layer: "all", // the channel that is shown: "all", or its number among those that the kernel meets
  kernels: [[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], [[-1, -2, -1], [0, 0, 0], [1, 2, 1]], [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    [[0.0625, 0.125, 0.0625], [0.125, 0.25, 0.125], [0.0625, 0.125, 0.0625]]].map((layer) => [layer]), // if colour is "several", those of which `layers` is one
  kernel: 0, // which of them it is
  groups: 1, // into how many the channels are divided
  picture: "digit",
  side: 32,
  fit: "scaled",
  corner: [0, 0],
  at: null, // the output that is worked out; null stands for the most telling one
  pin: null, // ["output" or "input" or "tap", row, column]
  before: [], // settings of operations whose output the one that is shown takes in place of the picture
  after: [], // and of those that take its output
};

// The settings that each of several operations in a row has for itself.
const OWN = ["operation", "layers", "flip", "window", "stride", "dilation", "padding", "padMode", "countPadding", "partial", "colour"];
export const settingsOf = (state) => Object.fromEntries(OWN.map((key) => [key, state[key]]));
export const operationsOf = (state) => [...state.before, settingsOf(state), ...state.after];

// What a state needs to show the n-th of several operations.
export const showing = (operations, n) => ({
  ...operations[n], before: operations.slice(0, n), after: operations.slice(n + 1), goal: null, at: null, pin: null,
});

export const isPooling = (state) => state.operation !== "convolve";

export const windowOf = (state) =>
  isPooling(state) ? state.window : [state.layers[0].length, state.layers[0][0].length];

export function axesOf(state, picture) {
  return [0, 1].map((n) => {
    const word = typeof state.padding === "string" ? state.padding : state.padding[n];
    const [size, window] = [[picture.h, picture.w][n], windowOf(state)[n]];
    const [stride, dilation] = [state.stride[n], state.dilation[n]];
    const [before, after] = resolvePadding(word, size, window, stride, dilation);
    return new Axis(size, window, stride, dilation, before, after, isPooling(state) && state.partial);
  });
}

// Corrects the parts of a state that contradict the picture or the operation. Their controls are
// disabled then, and say why.
export function settled(state, picture) {
  const next = { ...state };
  if (picture.made && picture.c > 1 && next.colour === "gray") next.colour = "each";
  if (next.colour === "several" && (next.before.length || next.after.length)) next.colour = "summed"; // they have one kernel each
  if (picture.c === 1) next.colour = "gray";
  else if (isPooling(next) && ["summed", "several"].includes(next.colour)) next.colour = "each";
  if (isPooling(next)) Object.assign(next, { flip: false, goal: null });
  if (next.colour === "several") Object.assign(next, alike(next));
  else if (next.colour !== "summed" && next.layers.length > 1) next.layers = [next.layers[0]];
  if (next.colour === "gray") next.layer = "all";
  if (picture.signal) Object.assign(next, onOneAxis(next));
  else if (next.padding === "causal") next.padding = "same"; // only time has a direction
  if (next.goal && shapeOf(next.goal) !== shapeOf(next.layers)) next.goal = null; // the kernel is another one
  const [rows, columns] = axesOf(next, picture);
  if (next.pin && !isThere(next.pin, rows, columns)) next.pin = null;
  next.at &&= [rows, columns].map((axis, n) => Math.max(0, Math.min(next.at[n], axis.outputs - 1)));
  return next;
}

// Which channels the n-th of several kernels meets: the first of them, and how many there are.
export const metBy = (n, groups) => [Math.floor((n * groups) / SEVERAL) * (SEVERAL / groups), SEVERAL / groups];

// Several kernels have the size of the one that is shown, and one layer for all channels that they meet, or
// one for each.
function alike({ kernels, kernel, layers, layer, groups }) {
  const [kh, kw] = [layers[0].length, layers[0][0].length];
  const count = SEVERAL / groups;
  const fits = (some) => Array.from({ length: some.length === 1 ? 1 : count }, (_, n) => resized(some[n % some.length], kh, kw));
  const next = kernels.map((some, n) => fits(n === kernel ? layers : some));
  return { kernels: next, layers: next[kernel], layer: layer < count && count > 1 ? layer : "all" };
}

// Kernels of another size keep their numbers around the middle.
export function resized(layer, kh, kw) {
  const [top, left] = [Math.floor((kh - layer.length) / 2), Math.floor((kw - layer[0].length) / 2)];
  return Array.from({ length: kh }, (_, i) => Array.from({ length: kw }, (_, j) => layer[i - top]?.[j - left] ?? 0));
}

const shapeOf = (layers) => `${layers.map((rows) => rows.map((row) => row.length))}`;

// What a signal leaves of a state: its second axis, and of a kernel the middle row.
function onOneAxis({ layers, window, stride, dilation, padding }) {
  const last = (pair) => [1, pair[1]];
  return {
    layers: [[layers[0][Math.floor(layers[0].length / 2)]]], window: last(window), stride: last(stride),
    dilation: last(dilation), padding: typeof padding === "string" ? padding : [[0, 0], padding[1]],
  };
}

// Whether what is pinned exists: an output, a cell of the padded picture, or a tap.
function isThere([what, row, column], rows, columns) {
  const within = (axis, n) => {
    if (what === "input") return axis.isCell(n);
    return n >= 0 && n < (what === "output" ? axis.outputs : axis.window);
  };
  return within(rows, row) && within(columns, column);
}

// A sentence that says why there can be no output, or null if there is one.
export function obstacle(state, rows, columns) {
  const name = isPooling(state) ? "window" : "kernel";
  for (const [axis, length, cells] of [[rows, "height", "rows"], [columns, "width", "columns"]]) {
    if (axis.outputs < 1) {
      const picture = state.before.length ? "its input" : "the picture";
      const padded = axis.padded > axis.size ? `${picture} with its padding` : picture;
      return `The ${name} reaches over ${axis.reach} ${cells}, but ${padded} has only ${axis.padded}. ` +
        `Make its ${length} or its dilation smaller, or add padding.`;
    }
  }
  if (isPooling(state) && !(state.operation === "avg" && state.countPadding)) {
    for (const [axis, cells] of [[rows, "row"], [columns, "column"]]) {
      const output = axis.withoutPixels();
      if (output !== null) {
        return `In ${cells} ${output} of the output the windows would see padding alone, and there ` +
          "would be nothing to choose from. Use less padding, or a larger window.";
      }
    }
  }
  return null;
}

// ------------------------------------------------------------------------ the address

// A link names the settings of the operation that is shown as they are, and those of the others by number.
const nameIn = (n) => (key) => `${n + 1}.${key}`;
const pairText = ([a, b]) => `${a},${b}`;

// The part of an address after "#" that leads back to this state. It holds the pixels of a picture
// that was opened or drawn, since no other page has them.
export function toFragment(state, picture) {
  const fields = new URLSearchParams();
  const put = (key, value, usual) => value !== usual && fields.set(key, value);
  const written = (layers) => layers.map((rows) => rows.map((row) => row.join(",")).join(";")).join("|");
  const putOperation = (one, name) => {
    fields.set(name("op"), one.operation);
    if (isPooling(one)) fields.set(name("w"), pairText(one.window));
    else fields.set(name("k"), written(one.layers));
    put(name("flip"), Number(one.flip && !isPooling(one)), 0);
    put(name("s"), pairText(one.stride), "1,1");
    put(name("d"), pairText(one.dilation), "1,1");
    fields.set(name("p"), one.padding.toString());
    put(name("b"), one.padMode, "constant");
    put(name("count"), Number(one.countPadding), 0);
    put(name("partial"), Number(one.partial), 0);
    put(name("c"), one.colour, "gray");
  };
  const operations = operationsOf(state);
  if (operations.length > 1) fields.set("of", pairText([state.before.length + 1, operations.length]));
  operations.forEach((one, n) => putOperation(one, n === state.before.length ? (key) => key : nameIn(n)));
  if (state.goal) fields.set("goal", written(state.goal));
  put("l", state.layer, "all");
  if (state.colour === "several") {
    fields.delete("k");
    fields.set("ks", state.kernels.map(written).join("_"));
    put("n", state.kernel, 0);
    put("g", state.groups, 1);
  }
  put("side", state.side, DEFAULTS.side);
  put("fit", state.fit, "scaled");
  put("corner", pairText(state.corner), "0,0");
  if (state.at) fields.set("at", pairText(state.at));
  if (state.pin) fields.set("pin", state.pin.join(","));
  fields.set("pic", state.picture);
  if (state.picture === "own" && picture.signal) {
    fields.set("name", picture.name.slice(0, 80));
    fields.set("signal", picture.data.join(","));
  } else if (state.picture === "own" && picture.data instanceof Uint8Array) {
    fields.set("name", picture.name.slice(0, 80));
    fields.set("own", [picture.h, picture.w, picture.c, picture.high, toBase64(picture.data)].join(","));
  }
  return fields.toString().replaceAll("%2C", ",").replaceAll("%3B", ";").replaceAll("%7C", "|");
}

// Reads a fragment. Returns { state, own, unread }: `start` with what the fragment changes in it,
// the picture that it carries, and the names of the parts that are not valid and were ignored.
export function fromFragment(text, start, pictures) {
  const state = { ...start };
  const unread = [];
  let own = null;
  let fields = new URLSearchParams(text);
  const read = (key, parse, accept) => {
    if (!fields.has(key)) return;
    const value = parse(fields.get(key));
    if (value === undefined) unread.push(key);
    else accept(value);
  };
  const oneOf = (words) => (word) => (words.includes(word) ? word : undefined);
  const pairIn = ([low, high]) => (word) => numbers(word, 2, low, high);
  const readOperation = (one, name) => {
    read(name("op"), oneOf(OPERATIONS), (value) => (one.operation = value));
    read(name("k"), (word) => kernelLayers(word), (value) => (one.layers = value));
    read(name("w"), pairIn(LIMITS.window), (value) => (one.window = value));
    read(name("s"), pairIn(LIMITS.stride), (value) => (one.stride = value));
    read(name("d"), pairIn(LIMITS.dilation), (value) => (one.dilation = value));
    read(name("p"), (word) => {
      if (PADDINGS.includes(word)) return word;
      const cells = numbers(word, 4, ...LIMITS.padding);
      return cells && [cells.slice(0, 2), cells.slice(2)];
    }, (value) => (one.padding = value));
    read(name("b"), oneOf(PAD_MODES), (value) => (one.padMode = value));
    read(name("flip"), oneOf(["0", "1"]), (value) => (one.flip = value === "1"));
    read(name("count"), oneOf(["0", "1"]), (value) => (one.countPadding = value === "1"));
    read(name("partial"), oneOf(["0", "1"]), (value) => (one.partial = value === "1"));
    read(name("c"), oneOf(COLOURS), (value) => (one.colour = value));
  };
  readOperation(state, (key) => key);
  read("of", (word) => {
    const [n, all] = numbers(word, 2, 1, MOST_OPERATIONS) ?? [];
    return n <= all ? [n, all] : undefined;
  }, ([shown, all]) => {
    const others = Array.from({ length: all }, (_, n) => {
      const one = settingsOf(DEFAULTS);
      if (n !== shown - 1) readOperation(one, nameIn(n));
      return one;
    });
    Object.assign(state, { before: others.slice(0, shown - 1), after: others.slice(shown) });
  });
  read("goal", (word) => kernelLayers(word, [1, 2, 3, SEVERAL]), (value) => (state.goal = value));
  read("g", oneOf(["1", "2", "4"]), (value) => (state.groups = Number(value)));
  read("n", oneOf(["0", "1", "2", "3"]), (value) => (state.kernel = Number(value)));
  read("ks", (word) => {
    const kernels = word.split("_").map((one) => kernelLayers(one, [1, 2, SEVERAL]));
    return kernels.length === SEVERAL && kernels.every(Boolean) ? kernels : undefined;
  }, (kernels) => Object.assign(state, { kernels, layers: kernels[state.kernel] }));
  read("l", oneOf(["all", "0", "1", "2", "3"]), (value) => (state.layer = value === "all" ? value : Number(value)));
  read("side", oneOf(SIDES.map(String)), (value) => (state.side = Number(value)));
  read("fit", oneOf(["scaled", "region"]), (value) => (state.fit = value));
  read("corner", (word) => numbers(word, 2, 0, 1e4), (value) => (state.corner = value));
  read("at", (word) => numbers(word, 2, 0, 1e4), (value) => (state.at = value));
  read("pin", (word) => {
    const [, what, row, column] = /^(output|input|tap),(-?\d{1,4}),(-?\d{1,4})$/.exec(word) ?? [];
    return what && [what, Number(row), Number(column)];
  }, (value) => (state.pin = value));
  read("own", (word) => ownPicture(word, fields.get("name")), (value) => (own = value));
  read("signal", (word) => ownSignal(word, fields.get("name")), (value) => (own = value));
  const ids = [...pictures.map(({ id }) => id), ...(own ? ["own"] : [])];
  read("pic", oneOf(ids), (value) => (state.picture = value));
  return { state, own, unread };
}

function numbers(word, count, low, high) {
  const values = word.split(",").map((part) => (/^\d{1,5}$/.test(part) ? Number(part) : NaN));
  return values.length === count && values.every((n) => n >= low && n <= high) ? values : undefined;
}

function kernelLayers(word, counts = [1, 3]) {
  const layers = word.split("|").map((layer) => layer.split(";").map((row) => row.split(",").map(kernelNumber)));
  const [kh, kw] = [layers[0].length, layers[0][0].length];
  const regular = layers.every((rows) => rows.length === kh && rows.every((row) => row.length === kw));
  const whole = layers.flat(2).every((number) => number !== null);
  const fits = [kh, kw].every((n) => n <= LIMITS.window[1]) && counts.includes(layers.length);
  return regular && whole && fits ? layers : undefined;
}

// Reads a number as people write it, such as 1/9, −1 or 1,5; null if it is none. Numbers beyond a
// million are refused, so that sums of integers stay exact, and so is 1,000: it might mean 1 or 1000.
export function kernelNumber(text) {
  const plain = text.replaceAll("−", "-").replace(/(\d),(?!\d{3}(?!\d))(?=\d)/, "$1.");
  const [, top, bottom] = /^\s*([^/]+?)\s*(?:\/\s*(\S+))?\s*$/.exec(plain) ?? [];
  const decimal = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
  if (!decimal.test(top ?? "") || (bottom !== undefined && !decimal.test(bottom))) return null;
  const value = Number(top) / Number(bottom ?? 1);
  return Math.abs(value) <= 1e6 ? value + 0 : null;
}

// Whether a text may become a number if typing goes on.
export const isBegun = (text) => /^\s*$|^[-+−\d.,e/ ]*[-+−.,e/]\s*$/i.test(text);

function ownSignal(word, name) {
  const values = word.split(",").map((part) => (part.trim() ? Number(part) : NaN));
  const right = values.length <= MOST_SAMPLES && values.every((value) => Math.abs(value) <= 1e9);
  return right ? makeSignal("own", (name ?? "your signal").slice(0, 80), values) : undefined;
}

function ownPicture(word, name) {
  const [h, w, c, high, text] = word.split(",");
  const shape = numbers([h, w, c].join(","), 3, 1, 128);
  if (!shape || !["1", "3"].includes(c) || !["9", "255"].includes(high)) return undefined;
  try {
    const data = fromBase64(text ?? "");
    const whole = data.length === shape[0] * shape[1] * shape[2];
    return whole ? makePicture("own", (name ?? "your picture").slice(0, 80), ...shape, data, Number(high)) : undefined;
  } catch {
    return undefined; // not base64
  }
}
