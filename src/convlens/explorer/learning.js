// Lets a kernel be learned: it starts at zeros, and each step moves every number of it a little, so that
// the output comes closer to a target, which is the output of the kernel that the user had.
import { drawBars } from "./bars.js";
import { colourOf, scaleOf } from "./colours.js";
import { $, element, scrolls } from "./controls.js";
import { PANELS, outputGrid, theme } from "./grids.js";
import { compute, kernelGradient } from "./operation.js";
import { Matrix, drawGrid, shortNumber, tallOf } from "./panels.js";
import { isPooling } from "./state.js";
import { change, editedIndex, now, onChange, state } from "./store.js";
import { count, fullNumber, worded } from "./text.js";

const squares = (numbers) => numbers.reduce((sum, number) => sum + number * number, 0);
const rowsOf = (flat, width) => Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));

// The loss, its gradient by the kernel, and the step along it that lowers the loss most.
export function lesson(problem, output, goal, flip) {
  const [inUse, inSight] = [(flat) => (flip ? Float64Array.from(flat).reverse() : Float64Array.from(flat)), (flat) => (flip ? [...flat].reverse() : [...flat])];
  const target = compute({ ...problem, layers: goal.map((layer) => inUse(layer.flat())) });
  const error = output.data.map((value, n) => value - target.data[n]);
  const used = kernelGradient(problem, { ...output, data: error }).map((layer) => layer.map((sum) => (2 * sum) / error.length));
  const along = compute({ ...problem, layers: used }).data; // how the output changes along the gradient
  const steep = squares(along);
  const rate = steep > 1e-30 ? error.reduce((sum, value, n) => sum + value * along[n], 0) / steep : 0;
  const width = problem.columns.window;
  return { target, error: { ...output, data: error }, loss: squares(error) / error.length, rate, gradient: used.map((layer) => rowsOf(inSight(layer), width)) };
}

let losses = []; // of the kernels since the start, the present one's last
let expected = ""; // the state that the next step leads to, if it is pressed
let current = null; // the lesson of what is shown

// What a lesson depends on, but for the kernel.
const setting = () => JSON.stringify([state.goal, state.picture, state.side, state.fit, state.corner, state.stride, state.dilation, state.padding, state.padMode, state.colour, state.flip]);
const kernelAfter = () => state.layers.map((layer, n) => layer.map((row, i) => row.map((weight, j) => weight - current.rate * current.gradient[n][i][j])));

function improve() {
  expected = setting();
  change({ layers: kernelAfter() });
}

const rate = element("b");
const tables = [["Kernel"], ["Gradient", rate], ["Kernel after the step", element("b", { textContent: "=" })]].map(([name, ...sign]) => {
  const table = element("table");
  table.setAttribute("aria-label", name);
  const part = element("div", { className: "part" }, ...sign, table, element("span", { textContent: name }));
  return { matrix: new Matrix(table), part };
});
$("learn-terms").append(...tables.map(({ part }) => part));
scrolls($("learn-terms"), tables.map(({ part }) => part), "Kernel, gradient and the kernel after the step");

function showLearning() {
  const { goal } = state;
  $("learn-start").disabled = isPooling(state) || Boolean(now.reason);
  $("learn-start").hidden = Boolean(goal);
  $("learn").hidden = !goal || Boolean(now.reason);
  $("learn-sentence").textContent = worded(isPooling(state) ? "A pooling has no numbers to learn."
    : goal ? "The target is the output of the kernel that you had. This kernel began with zeros. Each step moves every number of it against the gradient, which says how the loss grows with that number."
    : "In a network nobody writes the kernel down: it is learned from what should come out. See it find the kernel above from its output alone.");
  if ($("learn").hidden) {
    [current, losses] = [null, []];
    return;
  }
  current = lesson(now.problem, now.output, goal, state.flip);
  if (expected === setting() && losses.length) losses.push(current.loss);
  else losses = [current.loss];
  expected = "";
  const steps = losses.length - 1;
  const done = current.loss <= 1e-12 * Math.max(1, losses[0]);
  $("learn-loss").textContent = `The loss, the mean of the squared differences, is ${Number(current.loss.toPrecision(4))}`
    + `${steps ? ` after ${count(steps, "step")}; it began at ${Number(losses[0].toPrecision(4))}.` : "."}${done ? " The kernel is found." : ""}`;
  showCurve();
  showPictures();
  const n = editedIndex();
  const [kernel, slope, after] = [state.layers[n], current.gradient[n], kernelAfter()[n]].map((rows) => rows.flat());
  rate.textContent = `− ${fullNumber(Number(current.rate.toPrecision(3)))} ×`;
  $("learn-terms").classList.toggle("many", Math.max(state.layers[0].length, state.layers[0][0].length) > 5);
  const weights = scaleOf([...kernel, ...after], true, 0);
  for (const [part, numbers, scale] of [[0, kernel, weights], [1, slope, scaleOf(slope, true, 0)], [2, after, weights]]) {
    tables[part].matrix.show(state.layers[n].length, state.layers[n][0].length, (k) => ({ text: shortNumber(numbers[k]), colour: colourOf(numbers[k], scale), title: String(numbers[k]) }));
  }
}

// Bars of the losses, as logarithms: from the first loss down to a millionth of it.
function showCurve() {
  const canvas = $("learn-curve");
  const shown = losses.slice(-64);
  const across = Math.max(16, shown.length);
  const cell = Math.floor(canvas.width / across);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  drawBars(context, { left: 0, across, range: [0, 6], read: (n) => Math.max(0, 6 + Math.log10((shown[n] ?? 0) / losses[0])) }, cell, canvas.height, 0, 0, theme);
}

// The output, the target and their difference, as small pictures in the colours of the target.
function showPictures() {
  // The kernel of the target decides, as that which is learned begins with zeros.
  const { image } = now;
  const scale = scaleOf(current.target.data, image.signed || state.goal.flat(2).some((weight) => weight < 0), image.high);
  const natural = !image.signed && state.goal[0].flat().reduce((sum, weight) => sum + weight, 0) > 1e-9;
  const mixed = natural && scale.signed ? { signed: false, limit: image.high } : scale;
  const signed = { signed: true, limit: scale.limit };
  const range = [Math.min(0, ...current.target.data), Math.max(0, ...current.target.data)];
  for (const [name, values, colours, both] of [["output", now.output, scale, mixed], ["target", current.target, scale, mixed], ["error", current.error, signed, signed]]) {
    const grid = outputGrid(values, colours, both);
    const { aspect } = PANELS.output.grid;
    if (aspect) Object.assign(grid, { aspect, range: rangeAround(range, values), read: (column) => grid.value(0, column) });
    const cell = Math.max(1, Math.floor(320 / Math.max(grid.across, grid.down)));
    const canvas = $(`learn-${name}`);
    [canvas.width, canvas.height] = [grid.across * cell, grid.down * tallOf(grid, cell)];
    drawGrid(canvas.getContext("2d"), { ...grid, text: () => null }, cell, Infinity, 0, theme, new OffscreenCanvas(1, 1));
  }
}
const rangeAround = ([low, high], { data }) => {
  const reached = [Math.min(low, ...data), Math.max(high, ...data)];
  return reached[0] === reached[1] ? [0, 1] : reached;
};

$("learn-start").addEventListener("click", () => {
  const goal = now.problem.colour === "summed" && state.layers.length === 1 ? Array(now.image.c).fill(state.layers[0]) : state.layers;
  change({ goal, layers: goal.map((layer) => layer.map((row) => row.map(() => 0))) });
  $("learn-step").focus();
});
$("learn-step").addEventListener("click", improve);
$("learn-ten").addEventListener("click", () => {
  for (let n = 0; n < 10; n++) improve();
});
$("learn-again").addEventListener("click", () => change({ layers: state.goal.map((layer) => layer.map((row) => row.map(() => 0))) }));
$("learn-end").addEventListener("click", () => {
  change({ layers: state.goal, goal: null });
  $("learn-start").focus();
});

onChange(showLearning);
