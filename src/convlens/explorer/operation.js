// Computes the whole output, or one output term by term.
//
// A problem is { operation, colour, image, layers, rows, columns, padMode, countPadding }:
// operation "convolve", "max", "avg" or "min"; colour "gray", "summed" or "each"; image
// { h, w, c, data } with channels last; layers the kernel's numbers row by row, one list for all
// channels or one for each; rows and columns an Axis each.
import { sources } from "./geometry.js";

// Pooling leaves its padding out, so what that holds does not matter.
const padModeOf = (problem) => (problem.operation === "convolve" ? problem.padMode : "constant");

const layerOf = (problem, channel) =>
  problem.layers[Math.min(channel, problem.layers.length - 1)];

// The number that an average divides by.
function share(problem, y, x) {
  const { rows, columns, countPadding } = problem;
  return rows.count(y, countPadding) * columns.count(x, countPadding);
}

export function compute(problem) {
  const { operation, image, rows, columns } = problem;
  const summed = operation === "convolve" && problem.colour === "summed";
  const [oh, ow, c] = [rows.outputs, columns.outputs, summed ? 1 : image.c];
  const output = { h: oh, w: ow, c, data: new Float64Array(oh * ow * c) }; // (oh, ow, c)
  const down = sources(rows, padModeOf(problem));
  const across = sources(columns, padModeOf(problem));
  const under = operation === "convolve" ? addProducts : operation === "avg" ? add : choose;
  for (let channel = 0; channel < image.c; channel++) {
    const layer = operation === "convolve" ? layerOf(problem, channel) : null;
    const to = summed ? 0 : channel;
    for (let y = 0; y < oh; y++) {
      const windowRows = down.subarray(y * rows.window, (y + 1) * rows.window);
      for (let x = 0; x < ow; x++) {
        const first = x * columns.window;
        const value = under(image, channel, windowRows, across, first, columns.window, layer, operation);
        output.data[(y * ow + x) * c + to] += operation === "avg" ? value / share(problem, y, x) : value;
      }
    }
  }
  return output;
}

function addProducts(image, channel, windowRows, across, first, width, layer) {
  let sum = 0;
  for (let i = 0; i < windowRows.length; i++) {
    if (windowRows[i] < 0) continue;
    const row = windowRows[i] * image.w;
    for (let j = 0; j < width; j++) {
      const column = across[first + j];
      if (column >= 0) sum += image.data[(row + column) * image.c + channel] * layer[i * width + j];
    }
  }
  return sum;
}

function add(image, channel, windowRows, across, first, width) {
  let sum = 0;
  for (const row of windowRows) {
    if (row < 0) continue;
    for (let j = first; j < first + width; j++) {
      if (across[j] >= 0) sum += image.data[(row * image.w + across[j]) * image.c + channel];
    }
  }
  return sum;
}

function choose(image, channel, windowRows, across, first, width, _layer, operation) {
  const sign = operation === "max" ? 1 : -1;
  let best = -Infinity;
  for (const row of windowRows) {
    if (row < 0) continue;
    for (let j = first; j < first + width; j++) {
      if (across[j] < 0) continue;
      const value = sign * image.data[(row * image.w + across[j]) * image.c + channel];
      if (value > best) best = value;
    }
  }
  return sign * best;
}

// Calls meet(output, tap, pixel) for every product that a channel's outputs are sums of, with the numbers of
// all three counted row by row.
function eachProduct(problem, meet) {
  const { image, rows, columns } = problem;
  const [down, across] = [rows, columns].map((axis) => sources(axis, padModeOf(problem)));
  for (let y = 0; y < rows.outputs; y++) {
    for (let x = 0; x < columns.outputs; x++) {
      for (let i = 0; i < rows.window; i++) {
        const row = down[y * rows.window + i];
        for (let j = 0; j < columns.window && row >= 0; j++) {
          const column = across[x * columns.window + j];
          if (column >= 0) meet(y * columns.outputs + x, i * columns.window + j, row * image.w + column);
        }
      }
    }
  }
}

// The channel of the output that a channel of the image goes into.
const outOf = (output, channel) => (output.c > 1 ? channel : 0);

// The gradient of a loss by the kernel's numbers, if `error` is its gradient by the outputs: of each
// number the sum of all that it was multiplied with, each times the error of the output that got it.
export function kernelGradient(problem, error) {
  const { image, layers } = problem;
  const sums = layers.map((layer) => new Float64Array(layer.length));
  for (let channel = 0; channel < image.c; channel++) {
    const [sum, to] = [sums[Math.min(channel, layers.length - 1)], outOf(error, channel)];
    eachProduct(problem, (output, tap, pixel) => {
      sum[tap] += error.data[output * error.c + to] * image.data[pixel * image.c + channel];
    });
  }
  return sums;
}

// A transposed convolution of the outputs: each is spread over its window again, times the kernel, and what
// comes together at a pixel is added up.
export function sendBack(problem, output) {
  const { h, w, c } = problem.image;
  const sent = { h, w, c, data: new Float64Array(h * w * c) }; // (h, w, c)
  for (let channel = 0; channel < c; channel++) {
    const [layer, from] = [layerOf(problem, channel), outOf(output, channel)];
    eachProduct(problem, (at, tap, pixel) => {
      sent.data[pixel * c + channel] += output.data[at * output.c + from] * layer[tap];
    });
  }
  return sent;
}

// Works one output out: the cells of its window, and for each channel the numbers in them and what
// they contribute. A cell is { row, column, from, kind }: where it lies, the pixel that its value
// comes from (or null), and whether it is a "pixel", "padding", or "outside" even of that.
export function workOut(problem, y, x) {
  const { operation, image, rows, columns } = problem;
  const down = sources(rows, padModeOf(problem));
  const across = sources(columns, padModeOf(problem));
  const cells = [];
  for (let i = 0; i < rows.window; i++) {
    for (let j = 0; j < columns.window; j++) {
      const [row, column] = [rows.pixel(y, i), columns.pixel(x, j)];
      const from = [down[y * rows.window + i], across[x * columns.window + j]];
      const pixel = rows.isPixel(row) && columns.isPixel(column);
      const cell = rows.isCell(row) && columns.isCell(column);
      const kind = pixel ? "pixel" : cell ? "padding" : "outside";
      cells.push({ row, column, kind, from: Math.min(...from) < 0 ? null : from });
    }
  }
  const counted = operation === "convolve" ? cells.map(() => true)
    : cells.map(({ kind }) => kind === "pixel" || (kind === "padding" && operation === "avg" && problem.countPadding));
  const channels = Array.from({ length: image.c }, (_, channel) => {
    const values = cells.map(({ from }) =>
      from ? image.data[(from[0] * image.w + from[1]) * image.c + channel] : 0);
    if (operation === "convolve") {
      const weights = [...layerOf(problem, channel)];
      const products = values.map((value, n) => value * weights[n]);
      return { values, weights, products, result: total(products) };
    }
    const candidates = values.filter((_value, n) => counted[n]);
    if (operation === "avg") {
      const sum = total(candidates);
      return { values, sum, count: candidates.length, result: sum / candidates.length };
    }
    const result = operation === "max" ? Math.max(...candidates) : Math.min(...candidates);
    return { values, result, winner: values.findIndex((value, n) => counted[n] && value === result) };
  });
  const summed = operation === "convolve" && problem.colour === "summed";
  const result = summed ? total(channels.map((channel) => channel.result)) : null;
  return { cells, counted, channels, result };
}

const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

// The place of the output that is furthest from zero, where the most can be seen. Windows that lie on
// the picture come first, because padding makes edges of its own.
export function strongest({ rows, columns }, output) {
  const whole = (axis, n) => axis.count(n) === axis.window;
  const [down, across] = [rows, columns].map((axis) => Array.from({ length: axis.outputs }, (_, n) => whole(axis, n)));
  const some = down.includes(true) && across.includes(true);
  let [best, place] = [-1, [0, 0]];
  for (let y = 0; y < output.h; y++) {
    for (let x = 0; x < output.w; x++) {
      if (some && !(down[y] && across[x])) continue;
      for (let k = 0; k < output.c; k++) {
        const size = Math.abs(output.data[(y * output.w + x) * output.c + k]);
        if (size > best) [best, place] = [size, [y, x]];
      }
    }
  }
  return place;
}

// The outputs that use a pixel, or a copy of it in the padding.
export function outputsUsing(problem, row, column) {
  const along = (axis, pixel) => {
    const table = sources(axis, padModeOf(problem));
    const used = new Set();
    table.forEach((from, n) => from === pixel && used.add(Math.floor(n / axis.window)));
    return [...used];
  };
  const across = along(problem.columns, column);
  return along(problem.rows, row).flatMap((y) => across.map((x) => [y, x]));
}

// What an output of the last of several operations sees: of each operation's input the rows and the columns
// whose pixels it comes from, the picture's first.
export function seen(problems, y, x) {
  let places = [[y], [x]];
  const inputs = [...problems].reverse().map((problem) => {
    places = [problem.rows, problem.columns].map((axis, n) => {
      const table = sources(axis, padModeOf(problem));
      const met = places[n].flatMap((output) => [...table.subarray(output * axis.window, (output + 1) * axis.window)]);
      return [...new Set(met)].filter((pixel) => pixel >= 0).sort((a, b) => a - b);
    });
    return places;
  });
  return inputs.reverse();
}

// The way back to one pixel, as a transposed convolution takes it: the outputs that use the pixel, or a
// copy of it in the padding, each with its weight, which is what the kernel has on the pixel there. The
// outputs are those of `down` in the columns of `across`.
export function workBack(problem, output, row, column) {
  const along = (axis, pixel) => {
    const table = sources(axis, padModeOf(problem));
    const taps = new Map(); // of each output those that meet the pixel
    table.forEach((from, n) => {
      const at = Math.floor(n / axis.window);
      if (from === pixel) taps.set(at, [...(taps.get(at) ?? []), n % axis.window]);
    });
    return [...taps];
  };
  const [down, across] = [along(problem.rows, row), along(problem.columns, column)];
  const channels = Array.from({ length: problem.image.c }, (_, channel) => {
    const layer = layerOf(problem, channel);
    const pairs = down.flatMap(([y, is]) => across.map(([x, js]) => [
      output.data[(y * output.w + x) * output.c + outOf(output, channel)],
      total(is.flatMap((i) => js.map((j) => layer[i * problem.columns.window + j]))),
    ]));
    const [values, weights] = [0, 1].map((n) => pairs.map((pair) => pair[n]));
    const products = pairs.map(([value, weight]) => value * weight);
    return { values, weights, products, result: total(products) };
  });
  return { down: down.map(([y]) => y), across: across.map(([x]) => x), channels };
}

// The cell, which may be padding, that one tap of the kernel meets at each output.
export function cellsUnder(problem, i, j) {
  const { rows, columns } = problem;
  const cells = [];
  for (let y = 0; y < rows.outputs; y++) {
    for (let x = 0; x < columns.outputs; x++) cells.push([rows.pixel(y, i), columns.pixel(x, j)]);
  }
  return cells;
}
