// The page itself: holds the state, computes what it asks for, and shows it.
import { colourOf, css, inkOn, mixedColour, pictureScale, scaleOf, SIGNED_GRADIENT } from "./colours.js";
import { LIBRARIES, programFor } from "./code.js";
import { $, choice, copy, element, whole } from "./controls.js";
import { Axis, resolvePadding, source } from "./geometry.js";
import { cellsUnder, compute, outputsUsing, workOut } from "./operation.js";
import { Matrix, Panel, drawGrid, drawMarks, shortNumber, themeOf } from "./panels.js";
import {
  DRAWING, INK, SIDES, Unreadable, drawnSamples, fitted, givenPicture, inked, isLarge, makePicture, openFile, toGray,
} from "./pictures.js";
import { animation, saveAs } from "./save.js";
import {
  COLOURS, DEFAULTS, PADDINGS, PAD_MODES, axesOf, fromFragment, isPooling, kernelNumber, obstacle, settled, toFragment, windowOf,
} from "./state.js";
import { STEPS } from "./tour.js";
import {
  CHANNEL_NAMES, count, fullNumber, paddingText, place, poolText, sizeLines, sumText, tapText, usesText,
} from "./words.js";

const given = JSON.parse($("data").textContent);
const gallery = [...given.pictures.map(givenPicture), ...drawnSamples(), ...given.photographs.map(givenPicture)];
const START = { ...DEFAULTS, ...given.start };

let state = { ...START };
let own = null; // the picture that was opened or drawn here
let hover = null; // what is pointed at: ["output" or "input" or "tap", row, column]
let playing = null; // the timer of the sliding window
let veiled = false; // whether outputs that the window has not reached are hidden
let library = LIBRARIES[0];
let now = {}; // what follows from the state: picture, image, rows, columns, problem, output, …
let theme = themeOf(document.documentElement);

const reduced = matchMedia("(prefers-reduced-motion: reduce)");
const input = new Panel(...$("input-canvas").children);
const result = new Panel(...$("output-canvas").children);

// ------------------------------------------------------------------------ from state to numbers

const pictureOf = (id) => (id === "own" && own) || gallery.find((each) => each.id === id) || gallery[0];

function change(patch) {
  performance.mark("change");
  state = { ...state, ...patch };
  evaluate();
  show();
  performance.measure("redraw", "change");
  remember();
}

let fittedFrom = []; // the last picture that was fitted, and how
function evaluate() {
  const original = pictureOf(state.picture);
  const how = [original, state.side, state.fit, ...state.corner];
  if (how.some((part, n) => part !== fittedFrom[n])) {
    now.colourful = fitted(original, state.side, state.fit, state.corner);
    now.gray = toGray(now.colourful);
    fittedFrom = how;
  }
  state = settled(state, now.colourful);
  const image = state.colour === "gray" ? now.gray : now.colourful;
  const [rows, columns] = axesOf(state, image);
  const problem = {
    operation: state.operation, colour: state.colour, image, rows, columns, padMode: state.padMode,
    countPadding: state.countPadding, layers: state.layers.map((layer) => Float64Array.from(layer.flat())),
  };
  const reason = obstacle(state, rows, columns);
  const negative = !isPooling(state) && problem.layers.some((layer) => layer.some((weight) => weight < 0));
  const output = reason ? null : compute(problem);
  now = {
    ...now, original, image, rows, columns, problem, reason, output,
    inputScale: pictureScale(image),
    outputScale: output && scaleOf(output.data, image.signed || negative, image.high),
  };
}

// ------------------------------------------------------------------------ the two grids

function gridOf(values, [top, left, down, across], read, scale, kind) {
  const one = values.c === 1 ? 0 : state.layer === "all" ? null : state.layer;
  const channels = Array.from({ length: values.c }, (_, n) => n);
  return {
    down, across, top, left, h: values.h, w: values.w, kind,
    colour: (row, column) => one === null
      ? mixedColour(channels.map((channel) => read(row, column, channel)), scale)
      : colourOf(read(row, column, one), scale),
    text: (row, column) => {
      if (one === null || (kind && kind(row, column) === "outside")) return null;
      if (kind && kind(row, column) === "padding" && isPooling(state) && !(state.operation === "avg" && state.countPadding)) return null;
      return shortNumber(read(row, column, one));
    },
  };
}

function inputGrid() {
  const { image, rows, columns } = now;
  const mode = isPooling(state) ? "constant" : state.padMode;
  const along = (axis) => Array.from({ length: axis.cells }, (_, n) => source(n - axis.before, axis.size, mode));
  const [down, across] = [along(rows), along(columns)];
  const read = (row, column, channel) => {
    const [y, x] = [down[row + rows.before], across[column + columns.before]];
    return y < 0 || x < 0 ? 0 : image.data[(y * image.w + x) * image.c + channel];
  };
  const kind = (row, column) => rows.isPixel(row) && columns.isPixel(column) ? "pixel"
    : rows.isCell(row) && columns.isCell(column) ? "padding" : "outside";
  return gridOf(image, [rows.before, columns.before, rows.cells, columns.cells], read, now.inputScale, kind);
}

function outputGrid() {
  const { output } = now;
  const read = (row, column, channel) => output.data[(row * output.w + column) * output.c + channel];
  return gridOf(output, [0, 0, output.h, output.w], read, now.outputScale, null);
}

let panelWidth = $("input-panel").clientWidth; // kept, so that drawing waits for no layout
function showGrids() {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [panelWidth, Math.min(544, Math.max(260, window.innerHeight * 0.62))].map((n) => (n - 4) * ratio);
  const into = (grid) => Math.min(width / grid.across, height / grid.down, 46 * ratio);
  const grid = inputGrid();
  const made = now.output && outputGrid();
  const cell = Math.max(1, Math.floor(Math.min(into(grid), made ? into(made) : Infinity)));
  input.resize(grid, cell, ratio);
  input.draw(theme);
  $("output-canvas").hidden = $("legend").hidden = !made;
  let enlarged = 1;
  if (made) {
    // One scale for both, so that an output that looks smaller has fewer pixels; unless its pixels
    // would be too small to point at.
    if (cell / ratio < 10) enlarged = Math.max(1, Math.floor(into(made) / cell));
    result.resize(made, cell * enlarged, ratio);
    result.draw(theme);
    $("legend").style.maxWidth = `max(9rem, ${result.base.width / ratio}px)`;
    showLegend();
  }
  const { image, rows, columns, original } = now;
  const padded = rows.padded > rows.size || columns.padded > columns.size ? `, padded ${rows.padded} × ${columns.padded}` : "";
  $("input-size").textContent = `${image.h} × ${image.w}${padded}`;
  $("output-size").textContent = now.output ? `${rows.outputs} × ${columns.outputs}` : "";
  $("input-note").textContent = isLarge(original, state.side)
    ? `${state.fit === "region" ? "A part of" : "Scaled from"} ${original.h} × ${original.w} pixels.` : "";
  const mixed = now.output && now.output.c > 1 && state.layer === "all";
  const notes = [];
  if (enlarged > 1) notes.push(`Drawn ${enlarged} × as large as the input.`);
  if (mixed && now.outputScale.signed) notes.push("Grey is zero in every channel.");
  $("output-note").textContent = notes.join(" ");
  $("obstacle").textContent = now.reason ?? "";
}

function showLegend() {
  const { signed, limit } = now.outputScale;
  const mixed = now.output.c > 1 && state.layer === "all";
  $("legend").hidden = mixed;
  $("legend").classList.toggle("signed", signed);
  $("legend-bar").style.backgroundImage = signed ? SIGNED_GRADIENT : "linear-gradient(90deg, #000, #fff)";
  $("legend-low").textContent = signed ? shortNumber(-limit) : "0";
  $("legend-high").textContent = shortNumber(limit);
}

// ------------------------------------------------------------------------ what is pointed at

const focus = () => hover ?? state.pin ?? ["output", ...state.at];

function point(at) {
  if (String(at) === String(hover)) return;
  hover = at;
  if (at) veiled = false;
  showFocus();
}

function showFocus() {
  const [what, row, column] = focus();
  const { problem, rows, columns, output, reason } = now;
  const inputMarks = [];
  const outputMarks = [];
  $("worked-title").textContent = { output: "One output, worked out", input: "One pixel of the input", tap: "One tap of the kernel" }[what];
  if (reason) {
    $("worked-sentence").textContent = "There is no output to work out.";
    showChannels([]);
  } else if (what === "output" && row < output.h && column < output.w && row >= 0 && column >= 0) {
    const worked = workOut(problem, row, column);
    inputMarks.push(...windowMarks(worked, row, column));
    outputMarks.push({ shape: "box", cells: [[row, column]] });
    // In a pooling with one channel to look at, the pixel that won.
    const seen = worked.channels.length === 1 ? 0 : state.layer === "all" ? null : state.layer;
    const won = seen === null ? undefined : worked.channels[seen].winner;
    if (won !== undefined) inputMarks.push({ shape: "tint", cells: [[worked.cells[won].row, worked.cells[won].column]] });
    if (veiled) outputMarks.unshift({ shape: "veil", cells: [[row, column]] });
    showWorked(worked, row, column);
  } else if (what === "input") {
    const pixel = rows.isPixel(row) && columns.isPixel(column);
    const uses = pixel ? outputsUsing(problem, row, column) : outputsOver(row, column);
    inputMarks.push({ shape: "box", cells: [[row, column]] });
    outputMarks.push({ shape: "tint", cells: uses });
    if (uses.length <= 121) outputMarks.push({ shape: "cells", cells: uses });
    $("worked-sentence").textContent = pixelText(row, column, pixel) + usesText(row, column, uses.length, !pixel);
    showChannels([]);
  } else if (what === "tap") {
    const [kh, kw] = windowOf(state);
    const [i, j] = [Math.min(row, kh - 1), Math.min(column, kw - 1)];
    inputMarks.push({ shape: "tint", cells: cellsUnder(problem, i, j) });
    const weight = isPooling(state) ? null : editedLayer()[i][j];
    $("worked-sentence").textContent = tapText(state, i, j, weight);
    showChannels([]);
  }
  input.mark(inputMarks, theme);
  if (output) result.mark(outputMarks, theme);
  showLabels();
}

// The outputs whose windows cover a cell of padding.
function outputsOver(row, column) {
  const along = (axis, cell) => Array.from({ length: axis.outputs }, (_, n) => n).filter((output) =>
    Array.from({ length: axis.window }, (_, tap) => axis.pixel(output, tap)).includes(cell));
  const across = along(now.columns, column);
  return along(now.rows, row).flatMap((y) => across.map((x) => [y, x]));
}

function pixelText(row, column, pixel) {
  const { image } = now;
  if (!pixel) return "";
  const values = Array.from({ length: image.c }, (_, channel) => image.data[(row * image.w + column) * image.c + channel]);
  const text = image.c === 1 ? fullNumber(values[0])
    : values.map((value, n) => `${CHANNEL_NAMES[n].toLowerCase()} ${fullNumber(value)}`).join(", ");
  return `Its number is ${text}. `;
}

function windowMarks(worked, y, x) {
  const { rows, columns } = now;
  const corner = [rows.pixel(y, 0), columns.pixel(x, 0)];
  const marks = [];
  if (rows.dilation > 1 || columns.dilation > 1) {
    marks.push({ shape: "tint", cells: worked.cells.map(({ row, column }) => [row, column]) });
  }
  const copied = worked.cells.filter(({ kind, from }) => kind === "padding" && from).map(({ from }) => from);
  if (copied.length) marks.push({ shape: "from", cells: copied });
  marks.push({ shape: "box", cells: [corner], size: [rows.reach, columns.reach] });
  return marks;
}

// ------------------------------------------------------------------------ the arithmetic

function showWorked(worked, y, x) {
  const pooling = isPooling(state);
  const value = worked.result ?? (worked.channels.length === 1 ? worked.channels[0].result : null);
  const equals = value === null ? "" : ` is ${fullNumber(value)}`;
  const pinned = state.pin && !hover ? " Pinned: click it again, or press Escape, to let go." : "";
  const how = pooling ? { max: ", the largest number of its window", min: ", the smallest number of its window", avg: ", the mean of its window" }[state.operation] : now.problem.colour === "summed"
    ? ": in each channel the window times its layer of the kernel, and all of it added up"
    : ": the window times the kernel, number by number, added up";
  $("worked-sentence").textContent = `The output at ${place(y, x)}${equals}${how}.${pinned}`;
  const shown = worked.channels.map((channel, n) => ({ ...channel, n }))
    .filter(({ n }) => state.colour !== "each" || state.layer === "all" || state.layer === n);
  showChannels(shown, worked);
  $("worked-padding").textContent = paddingText(state, worked.cells);
  $("worked-total").textContent = worked.result === null || worked.channels.length === 1 ? ""
    : `${worked.channels.map(({ result: each }) => (each < 0 ? `(${fullNumber(each)})` : fullNumber(each))).join(" + ")} = ${fullNumber(worked.result)}`;
}

const blocks = []; // the elements of the channels, made once
function block(n) {
  while (blocks.length <= n) {
    const tables = ["Window", "Kernel", "Products"].map((label) => {
      const table = element("table");
      table.setAttribute("aria-label", label);
      return { part: element("div", {}, table, label), matrix: new Matrix(table) };
    });
    const [times, is] = ["×", "="].map((sign) => element("b", { textContent: sign }));
    const equals = element("span", { className: "equals" });
    const heading = element("h3");
    const sum = element("p", { className: "sum" });
    const terms = element("div", { className: "terms" }, tables[0].part, times, tables[1].part, is, tables[2].part, equals);
    blocks.push({ heading, tables, times, is, equals, sum, terms, whole: element("div", { className: "channel" }, heading, terms, sum) });
  }
  return blocks[n];
}

function showChannels(channels, worked) {
  const wanted = channels.map((_, n) => block(n).whole);
  const shown = [...$("worked-channels").children];
  if (wanted.length !== shown.length) $("worked-channels").replaceChildren(...wanted);
  if (!channels.length) {
    $("worked-padding").textContent = $("worked-total").textContent = "";
    return;
  }
  const [kh, kw] = windowOf(state);
  const pooling = isPooling(state);
  const kernelScale = pooling ? null : scaleOf(channels.flatMap(({ weights }) => weights), true, 0);
  const productScale = pooling ? null : scaleOf(channels.flatMap(({ products }) => products), true, 0);
  channels.forEach((channel, n) => {
    const { heading, tables, times, is, equals, sum, terms } = block(n);
    heading.textContent = now.image.c > 1 ? CHANNEL_NAMES[channel.n] : "";
    heading.hidden = now.image.c === 1;
    terms.classList.toggle("many", kw > 5 || kh > 5);
    const [window_, kernel, products] = tables;
    window_.matrix.show(kh, kw, (k) => windowCell(channel, worked, k));
    for (const part of [times, kernel.part, is, products.part]) part.hidden = pooling;
    if (pooling) {
      equals.textContent = `→ ${fullNumber(channel.result)}`;
      sum.textContent = poolText(state.operation, channel, worked.cells);
      return;
    }
    kernel.matrix.show(kh, kw, (k) => ({ text: shortNumber(channel.weights[k]), colour: colourOf(channel.weights[k], kernelScale) }));
    products.matrix.show(kh, kw, (k) => ({ text: shortNumber(channel.products[k]), colour: colourOf(channel.products[k], productScale) }));
    equals.textContent = `→ ${shortNumber(channel.result)}`;
    sum.textContent = sumText(channel);
  });
}

function windowCell(channel, worked, k) {
  const { kind, row, column, from } = worked.cells[k];
  const classes = [kind === "padding" ? "padding" : "", kind === "outside" ? "out" : "", channel.winner === k ? "winner" : ""];
  const title = kind === "pixel" ? place(row, column)
    : kind === "outside" ? "outside: takes no part"
    : from ? `padding, with the value of ${place(...from)}` : isPooling(state) ? "padding" : "padding: zero";
  const silent = kind !== "pixel" && !worked.counted[k];
  return {
    text: silent ? "·" : shortNumber(channel.values[k]), title, classes: classes.filter(Boolean).join(" "),
    colour: kind === "pixel" ? colourOf(channel.values[k], now.inputScale) : null,
  };
}

let speaking = null;
function showLabels() {
  const { image, output } = now;
  $("input-canvas").setAttribute("aria-label", `Input, ${image.h} by ${image.w} pixels. Arrow keys choose a pixel.`);
  $("output-canvas").setAttribute("aria-label", output ? `Output, ${output.h} by ${output.w} pixels. Arrow keys move the window.` : "No output");
  clearTimeout(speaking);
  if (playing === null) speaking = setTimeout(() => ($("spoken").textContent = $("worked-sentence").textContent), 350);
  if (output) {
    $("position").max = output.h * output.w - 1;
    $("position").value = state.at[0] * output.w + state.at[1];
    $("position").setAttribute("aria-valuetext", place(...state.at));
  }
}

// ------------------------------------------------------------------------ the kernel's numbers

const editedIndex = () => (state.layers.length === 1 ? 0 : state.layer === "all" ? 0 : state.layer);
const editedLayer = () => state.layers[editedIndex()];
const sameKernel = (a, b) => JSON.stringify(a) === JSON.stringify(b);

let kernelShape = "";
function showKernel() {
  const pooling = isPooling(state);
  const [kh, kw] = windowOf(state);
  $("kernel-title").textContent = pooling ? "Window"
    : state.layers.length > 1 ? `Kernel, ${CHANNEL_NAMES[editedIndex()].toLowerCase()}` : "Kernel";
  $("kernel-size").textContent = `${kh} × ${kw}`;
  $("preset-label").hidden = pooling;
  showWindow[0](kh);
  showWindow[1](kw);
  const shape = `${pooling} ${kh} ${kw}`;
  const grid = $("kernel-grid");
  if (shape !== kernelShape) {
    kernelShape = shape;
    $("kernel-panel").classList.toggle("wide", Math.max(kh, kw) > 5);
    grid.replaceChildren(...Array.from({ length: kh }, (_, i) => element("div", { className: "kernel-row" },
      ...Array.from({ length: kw }, (_, j) => kernelCell(pooling, i, j, kh, kw)))));
  }
  const notes = {
    max: "The largest number under it is kept.", min: "The smallest number under it is kept.", avg: "The mean of the numbers under it is kept.",
  };
  $("kernel-note").textContent = notes[state.operation] ?? "";
  if (pooling) return;
  const layer = editedLayer();
  const scale = scaleOf(state.layers.flat(2), true, 0);
  [...grid.querySelectorAll("input")].forEach((field, n) => {
    const value = layer[Math.floor(n / kw)][n % kw];
    if (document.activeElement !== field && field.value !== shortNumber(value)) field.value = shortNumber(value);
    const colour = colourOf(value, scale);
    field.style.backgroundColor = css(colour);
    field.style.color = inkOn(colour);
  });
  const sum = layer.flat().reduce((all, one) => all + one, 0);
  $("kernel-note").textContent = `They add up to ${fullNumber(Math.abs(sum) < 1e-9 ? 0 : sum)}.`;
  const shown = state.layer === "all" ? state.layers : [layer];
  const known = given.presets.findIndex(({ layers }) => sameKernel(layers, shown));
  $("preset").value = String(known);
}

function kernelCell(pooling, i, j, kh, kw) {
  const label = `Row ${i + 1} of ${kh}, column ${j + 1} of ${kw}`;
  const cell = pooling ? element("button", { type: "button" })
    : element("input", { type: "text", inputMode: "decimal", autocomplete: "off" });
  cell.setAttribute("aria-label", `${pooling ? "Tap" : "Kernel"}: ${label}`);
  cell.addEventListener("pointerenter", () => point(["tap", i, j]));
  cell.addEventListener("pointerleave", () => point(null));
  cell.addEventListener("focus", () => {
    point(["tap", i, j]);
    if (!pooling) {
      cell.value = String(editedLayer()[i][j]);
      cell.select();
    }
  });
  cell.addEventListener("blur", () => {
    point(null);
    cell.setAttribute("aria-invalid", "false");
    if (!pooling) cell.value = shortNumber(editedLayer()[i][j]);
    say("");
  });
  if (pooling) cell.textContent = "·";
  else cell.addEventListener("input", () => {
    const value = kernelNumber(cell.value);
    cell.setAttribute("aria-invalid", String(value === null));
    if (value !== null) change({ layers: withNumber(i, j, value) });
    say(value === null && cell.value.trim() ? "A kernel holds numbers from −1,000,000 to 1,000,000, such as 2, −0.5 or 1/9." : "");
  });
  cell.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key]
      ?? (pooling && { ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key]);
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const rows = [...$("kernel-grid").children];
    rows[(i + step[0] + kh) % kh].children[(j + step[1] + kw) % kw].focus();
  });
  return cell;
}

// A layer of its own for each channel as soon as one of them is edited by itself.
function splitLayers() {
  const alone = state.colour === "summed" && state.layer !== "all" && state.layers.length === 1;
  return (alone ? [0, 1, 2].map(() => state.layers[0]) : state.layers).map((rows) => rows.map((row) => [...row]));
}

function withNumber(i, j, value) {
  const layers = splitLayers();
  layers[layers.length === 1 || state.layer === "all" ? 0 : state.layer][i][j] = value;
  return layers;
}

// Kernels of another size keep their numbers around the middle.
function resized(layer, kh, kw) {
  const [top, left] = [Math.floor((kh - layer.length) / 2), Math.floor((kw - layer[0].length) / 2)];
  return Array.from({ length: kh }, (_, i) => Array.from({ length: kw }, (_, j) => layer[i - top]?.[j - left] ?? 0));
}

const showWindow = [0, 1].map((n) => whole(`window-${n}`, (value) => {
  const size = [...windowOf(state)];
  size[n] = value;
  change(isPooling(state) ? { window: size } : { layers: state.layers.map((layer) => resized(layer, ...size)) });
}));

$("preset").replaceChildren(
  element("option", { value: "-1", textContent: "your own numbers", disabled: true }),
  ...given.presets.map(({ name }, n) => element("option", { value: String(n), textContent: name })),
);
$("preset").addEventListener("change", () => {
  const preset = given.presets[Number($("preset").value)].layers;
  const layers = splitLayers();
  // For one channel alone, where it fits with the others.
  const one = layers.length > 1 && state.layer !== "all" && preset.length === 1
    && sameKernel([preset[0].length, preset[0][0].length], windowOf(state));
  change({ layers: one ? layers.map((layer, n) => (n === state.layer ? preset[0] : layer)) : preset });
});

// ------------------------------------------------------------------------ the settings

const operations = choice($("operation"), [["convolve", "Convolve"], ["max", "Max pool"], ["avg", "Average pool"], ["min", "Min pool"]], (operation) => {
  const patch = { operation };
  if (operation !== "convolve" && !isPooling(state)) Object.assign(patch, { stride: [...state.window], pin: null });
  if (operation === "convolve" && isPooling(state)) Object.assign(patch, { stride: [1, 1], pin: null });
  change(patch);
});
const OPERATION_HINTS = {
  convolve: "Multiply each pixel under the window with the kernel’s number there, and add up.",
  max: "Keep the largest pixel under the window.",
  avg: "Keep the mean of the pixels under the window.",
  min: "Keep the smallest pixel under the window.",
};

const colours = choice($("colour"), [["gray", "Gray"], ["summed", "Colour, summed"], ["each", "Each by itself"]], (colour) => change({ colour }));
const COLOUR_HINTS = {
  gray: "One number a pixel: its brightness.",
  summed: "Three numbers a pixel; the kernel has a layer for each, and everything is added up to one number.",
  each: "Three numbers a pixel; every channel is treated alone, and the output has three as well.",
};

const paddings = choice($("padding"), [["valid", "Valid: none"], ["same", "Same"], ["full", "Full"], ["given", "Your own"]], (word) => {
  const { rows, columns } = now;
  const cells = [[rows.before, rows.after], [columns.before, columns.after]].map((ends) => ends.map((n) => Math.min(n, 32)));
  change({ padding: word === "given" ? cells : word });
});
const PADDING_HINTS = {
  valid: "The window stays on the picture, so the output is smaller than it.",
  same: "As many cells as make the output as large as the picture, divided by the stride and rounded up.",
  full: "As many cells as let the window touch the picture with a single tap.",
  given: "Cells on each side, as you like.",
};
const showPad = [0, 1].map((n) => [0, 1].map((end) => whole(`pad-${n}-${end}`, (value) => {
  const padding = [[...state.padding[0]], [...state.padding[1]]];
  padding[n][end] = value;
  change({ padding });
})));

const BORDERS = {
  constant: ["zeros", "Zeros are black pixels to the kernel: it may see an edge that is not in the picture."],
  edge: ["the nearest pixel", "The outermost pixels are repeated."],
  reflect: ["a mirror image", "Mirrored at the outermost pixels, which are not repeated."],
  symmetric: ["a mirror image, edge twice", "Mirrored behind the outermost pixels, which come twice."],
  wrap: ["the opposite side", "As if the picture went on from its other end."],
};
$("border").replaceChildren(...PAD_MODES.map((mode) => element("option", { value: mode, textContent: `${BORDERS[mode][0]} (${mode})` })));
$("border").addEventListener("change", () => change({ padMode: $("border").value }));
$("count").addEventListener("change", () => change({ countPadding: $("count").checked }));
$("partial").addEventListener("change", () => change({ partial: $("partial").checked }));

const steps = (name) => [0, 1].map((n) => whole(`${name}-${n}`, (value) => {
  const both = [...state[name]];
  both[n] = value;
  change({ [name]: both });
}));
const [showStride, showDilation] = [steps("stride"), steps("dilation")];

const layerChoice = choice($("layer-choice"), [["all", "All"], [0, "Red"], [1, "Green"], [2, "Blue"]], (layer) => change({ layer }), { mark: "aria-checked" });

function showSettings() {
  const pooling = isPooling(state);
  operations.show(state.operation);
  $("operation-hint").textContent = OPERATION_HINTS[state.operation];
  const gray = now.colourful.c === 1;
  const refused = {};
  if (gray) refused.summed = refused.each = "This picture is gray.";
  if (pooling) refused.summed = "Pooling treats every channel by itself.";
  colours.show(state.colour, refused);
  $("colour-hint").textContent = gray ? "This picture is gray: one number a pixel. Take a colour photograph to see channels."
    : `${COLOUR_HINTS[state.colour]}${pooling ? " Pooling never sums channels." : ""}`;
  $("layer-choice").hidden = state.colour === "gray";
  layerChoice.show(state.layer);

  const word = typeof state.padding === "string" ? state.padding : "given";
  paddings.show(word);
  $("padding-hint").textContent = PADDING_HINTS[word];
  $("given-row").hidden = word !== "given";
  if (word === "given") showPad.forEach((ends, n) => ends.forEach((showEnd, end) => showEnd(state.padding[n][end])));
  $("border").value = state.padMode;
  const { rows, columns } = now;
  const padded = rows.padded > rows.size || columns.padded > columns.size;
  $("border-label").hidden = pooling || !padded;
  $("border-hint").textContent = !padded ? "" : pooling ? "Pooling chooses among real pixels: padded cells never win." : BORDERS[state.padMode][1];
  $("count-label").hidden = state.operation !== "avg" || !padded;
  $("partial-label").hidden = !pooling;
  $("count").checked = state.countPadding;
  $("partial").checked = state.partial;

  for (const [shows, values] of [[showStride, state.stride], [showDilation, state.dilation]]) shows.forEach((showOne, n) => showOne(values[n]));
  $("stride-hint").textContent = strideText(state.stride, "The window moves one pixel at a time.", (n) => `The window moves ${n} pixels at a time and skips the places between.`);
  $("dilation-hint").textContent = strideText(state.dilation, "The taps lie side by side.", (n) => `The taps lie ${n} pixels apart, so the window reaches further with as many numbers.`);

  const large = Math.max(now.original.h, now.original.w) > SIDES[0] && now.original.c * now.original.h > 0 && isLarge(now.original, SIDES[0]);
  $("fit-row").hidden = !large;
  if (large) {
    const { original, image } = now;
    $("fit").value = state.fit;
    $("side").value = String(state.side);
    const region = state.fit === "region" && isLarge(original, state.side);
    $("corner-row").hidden = !region;
    [[original.h, image.h], [original.w, image.w]].forEach(([all, part], n) => {
      $(`corner-${n}`).max = String(Math.max(0, all - part));
      $(`corner-${n}`).value = String(state.corner[n]);
    });
    const what = !isLarge(original, state.side) ? `All ${original.h} × ${original.w} pixels are shown as they are.`
      : region ? `You see ${image.h} × ${image.w} of its ${original.h} × ${original.w} pixels.`
      : `Scaled from ${original.h} × ${original.w} to ${image.h} × ${image.w}: each pixel is the mean of those it stands for.`;
    $("fit-note").textContent = [original.note, what].filter(Boolean).join(" ");
  }
  showSamples();
}

const strideText = ([down, across], one, many) =>
  down === across ? (down === 1 ? one : many(down)) : `${many(down).replace(".", " downwards.")} Across it is ${across}.`;

$("side").replaceChildren(...SIDES.map((side) => element("option", { value: String(side), textContent: `at most ${side}` })));
$("side").addEventListener("change", () => change({ side: Number($("side").value), pin: null }));
$("fit").addEventListener("change", () => change({ fit: $("fit").value, pin: null }));
[0, 1].forEach((n) => $(`corner-${n}`).addEventListener("input", () => {
  const corner = [...state.corner];
  corner[n] = Number($(`corner-${n}`).value);
  change({ corner });
}));

// ------------------------------------------------------------------------ pictures

let samples = null;
let sampled = [];
function showSamples() {
  const pictures = own ? [...gallery, own] : gallery;
  if (pictures.some((picture, n) => picture !== sampled[n]) || !samples) {
    sampled = pictures;
    samples = choice($("samples"), pictures.map((picture) => [picture.id, thumbnail(picture)]), (picture) => {
      change({ picture, pin: null, corner: [0, 0] });
    });
    samples.buttons.forEach((button, n) => {
      button.setAttribute("aria-label", pictures[n].name);
    });
  }
  samples.show(state.picture);
  samples.buttons.forEach((button, n) => (button.title = pictures[n].name));
}

function thumbnail(picture) {
  const small = fitted(picture, 44, "scaled", [0, 0]);
  const canvas = element("canvas", { width: 44, height: 44 });
  const cell = Math.floor(44 / Math.max(small.h, small.w)) || 1;
  const [left, top] = [small.w, small.h].map((n) => Math.floor((44 - n * cell) / 2));
  const context = canvas.getContext("2d");
  const scale = pictureScale(picture);
  for (let y = 0; y < small.h; y++) {
    for (let x = 0; x < small.w; x++) {
      const values = [...small.data.subarray((y * small.w + x) * small.c, (y * small.w + x + 1) * small.c)];
      context.fillStyle = css(small.c > 1 ? mixedColour(values, scale) : colourOf(values[0], scale));
      context.fillRect(left + x * cell, top + y * cell, cell, cell);
    }
  }
  return canvas;
}

async function open(file) {
  if (!file) return;
  try {
    own = await openFile(file);
    say("");
    change({ picture: "own", fit: "scaled", corner: [0, 0], pin: null, at: [0, 0], side: Math.max(state.side, 32), colour: own.c === 1 ? "gray" : state.colour });
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    say(error.message);
  }
}

const say = (text) => ($("notice").textContent = text);

$("open").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  open($("file").files[0]);
  $("file").value = "";
});
addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files][0];
  if (file) open(file);
  else if (!event.target.closest?.("input, textarea")) say("What was pasted is no picture. Copy an image, or take a screenshot, and paste again.");
});
let dragged = 0;
addEventListener("dragenter", (event) => {
  event.preventDefault();
  dragged++;
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => {
  if (--dragged <= 0) document.body.classList.remove("dropping");
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  dragged = 0;
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
  else say("What was dropped is no file. Save the picture first, then drop the file.");
});

// Drawing: strokes of the mouse or finger, as ink on a small picture.
let strokes = [];
const drawing = $("drawing-canvas");
const pen = (event) => {
  const box = drawing.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top].map((n) => (n / box.width) * DRAWING);
};
function showDrawing() {
  const data = inked(strokes);
  const context = drawing.getContext("2d");
  const cell = drawing.width / DRAWING;
  data.forEach((ink, n) => {
    context.fillStyle = css(colourOf(ink, { signed: false, limit: INK }));
    context.fillRect((n % DRAWING) * cell, Math.floor(n / DRAWING) * cell, cell, cell);
  });
  return data;
}
function takeDrawing() {
  own = makePicture("own", "your drawing", DRAWING, DRAWING, 1, showDrawing(), INK);
  change({ picture: "own", colour: "gray", pin: null });
}
drawing.addEventListener("pointerdown", (event) => {
  drawing.setPointerCapture(event.pointerId);
  strokes.push([pen(event)]);
  takeDrawing();
});
drawing.addEventListener("pointermove", (event) => {
  if (!event.buttons || !strokes.length) return;
  strokes.at(-1).push(pen(event));
  takeDrawing();
});
function toggleDrawing(on) {
  $("drawing").hidden = !on;
  $("draw-open").setAttribute("aria-expanded", String(on));
  // Shown at once, empty or not: nothing on the page may move under the pen.
  if (on) takeDrawing();
}
$("draw-open").addEventListener("click", () => toggleDrawing($("drawing").hidden));
$("draw-close").addEventListener("click", () => toggleDrawing(false));
$("draw-clear").addEventListener("click", () => {
  strokes = [];
  takeDrawing();
});

// ------------------------------------------------------------------------ pointing, keys, playing

function pin(what) {
  const same = String(state.pin) === String(what);
  const patch = { pin: same ? null : what };
  if (what[0] === "output") patch.at = what.slice(1);
  state = { ...state, ...patch };
  showFocus();
  remember();
}

for (const [panel, id, what] of [[input, "input-canvas", "input"], [result, "output-canvas", "output"]]) {
  const target = $(id);
  let down = false;
  const at = (event) => {
    const cell = panel.cellAt(event.clientX, event.clientY);
    return cell && [what, ...cell];
  };
  target.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" || down) point(at(event));
  });
  target.addEventListener("pointerdown", (event) => {
    down = true;
    pause();
    if (event.pointerType !== "mouse") target.setPointerCapture(event.pointerId);
    point(at(event));
  });
  target.addEventListener("pointerup", (event) => {
    const cell = at(event);
    if (down && cell) {
      if (event.pointerType !== "mouse") hover = null; // a finger that is gone points at nothing
      pin(cell);
    }
    down = false;
  });
  target.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") point(null);
  });
  target.addEventListener("pointercancel", () => {
    down = false;
    point(null);
  });
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
let cursor = [0, 0]; // the pixel that the keys have reached in the input
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inField = event.target.closest?.("input, select, textarea, button, [role=tabpanel]");
  if (event.key === "Escape") {
    hover = null;
    if (!$("tour").hidden && !state.pin) endTour();
    state = { ...state, pin: null };
    pause();
    showFocus();
    remember();
  } else if (inField) {
    return;
  } else if (event.key === " ") {
    event.preventDefault();
    togglePlay();
  } else if (event.key === "Enter" && event.target.closest?.(".canvas")) {
    pin(event.target.id === "input-canvas" ? ["input", ...cursor] : ["output", ...state.at]);
  } else if (event.key in ARROWS && !event.shiftKey) {
    event.preventDefault();
    const [down, across] = ARROWS[event.key];
    if (event.target.id === "input-canvas") {
      const clamp = (n, axis) => Math.min(axis.size + axis.after - 1, Math.max(-axis.before, n));
      cursor = [clamp(cursor[0] + down, now.rows), clamp(cursor[1] + across, now.columns)];
      point(["input", ...cursor]);
    } else if (now.output) {
      const { h, w } = now.output;
      moveTo([Math.min(h - 1, Math.max(0, state.at[0] + down)), Math.min(w - 1, Math.max(0, state.at[1] + across))]);
    }
  }
});
$("input-canvas").addEventListener("blur", () => point(null));

// The window at another place, by keys, buttons, the slider or the clock.
function moveTo(at, keepVeil = false) {
  hover = null;
  veiled = keepVeil;
  state = { ...state, at, pin: null };
  showFocus();
  remember();
}

const positionOf = ([y, x]) => y * now.output.w + x;
const placeOf = (n) => [Math.floor(n / now.output.w), n % now.output.w];

function step(by) {
  if (!now.output) return;
  const all = now.output.h * now.output.w;
  moveTo(placeOf((positionOf(state.at) + by + all) % all), veiled);
}

function togglePlay() {
  if (playing !== null) pause();
  else play();
}

function play() {
  if (!now.output) return;
  const all = now.output.h * now.output.w;
  if (positionOf(state.at) >= all - 1) state = { ...state, at: [0, 0] };
  const next = () => {
    const speed = Math.min(Number($("speed").value), reduced.matches ? 2 : Infinity);
    const at = positionOf(state.at);
    if (at >= all - 1) return pause();
    // Large outputs would take an hour; fast means fast for them, too.
    const by = speed > 6 ? Math.max(1, Math.round(all / 1500)) : 1;
    playing = setTimeout(next, 1000 / speed);
    return moveTo(placeOf(Math.min(all - 1, at + by)), true);
  };
  playing = setTimeout(next, 400);
  moveTo(state.at, true);
  $("play").textContent = "Pause";
}

function pause() {
  clearTimeout(playing);
  playing = null;
  $("play").textContent = "Play";
}

$("play").addEventListener("click", togglePlay);
for (const [id, by] of [["step-back", -1], ["step-on", 1]]) {
  $(id).addEventListener("click", () => {
    pause();
    step(by);
  });
}
$("position").addEventListener("input", () => {
  pause();
  if (now.output) moveTo(placeOf(Number($("position").value)), veiled);
});

// ------------------------------------------------------------------------ size, code, keeping

let formulaText = "";
function showFormula() {
  const word = typeof state.padding === "string" ? state.padding : "given";
  const lines = [...sizeLines(now.rows, word, "rows"), ...sizeLines(now.columns, word, "columns")];
  const text = lines.flat().join("\n");
  if (text === formulaText) return;
  formulaText = text;
  $("formula").replaceChildren(...lines.flatMap(([label, text]) => [
    element("dt", { textContent: label }), element("dd", { textContent: text }),
  ]));
}

const tabs = choice($("libraries"), LIBRARIES.map((name) => [name, name]), (name) => {
  library = name;
  showCode();
}, { role: "tab", mark: "aria-selected" });

function showCode() {
  tabs.show(library);
  const { code, note } = now.reason ? { code: null, note: "There is no output, so there is no call." }
    : programFor(library, state, now.image, now.rows, now.columns);
  $("code").textContent = code ?? `# ${library} has no call for this.`;
  $("code-copy").hidden = code === null;
  $("code-note").textContent = note;
}
$("code-copy").addEventListener("click", () => copy($("code").textContent, $("code-copy")));

$("image-copy").addEventListener("click", () => {
  const { image } = now;
  const whole = image.data instanceof Uint8Array;
  const pixel = (n) => (image.c === 1 ? image.data[n] : `[${[...image.data.subarray(n * image.c, (n + 1) * image.c)].join(", ")}]`);
  const rows = Array.from({ length: image.h }, (_, y) =>
    `    [${Array.from({ length: image.w }, (_, x) => pixel(y * image.w + x)).join(", ")}],`);
  copy(`import numpy as np\n\nimage = np.array([\n${rows.join("\n")}\n], dtype=np.${whole ? "uint8" : "float64"})\n`, $("image-copy"));
});

$("save-output").addEventListener("click", async () => {
  const grid = outputGrid();
  const cell = Math.max(1, Math.floor(512 / Math.max(grid.across, grid.down)));
  const small = new OffscreenCanvas(grid.across, grid.down);
  const large = new OffscreenCanvas(grid.across * cell, grid.down * cell);
  const context = large.getContext("2d");
  drawGrid(context, { ...grid, text: () => null }, cell, Infinity, 0, theme, small);
  saveAs(await large.convertToBlob({ type: "image/png" }), "convlens-output.png");
});

const MOST_FRAMES = 150;
$("save-animation").addEventListener("click", async () => {
  $("save-animation").disabled = true;
  $("keep-note").textContent = "Drawing the frames…";
  const [left, right] = [inputGrid(), outputGrid()];
  const cell = Math.max(2, Math.min(28, Math.floor(300 / Math.max(left.across, left.down, right.across, right.down))));
  const width = (left.across + right.across) * cell + 48;
  const canvas = new OffscreenCanvas(width, Math.max(left.down, right.down) * cell + 24);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const still = [left, right].map((grid) => {
    const base = new OffscreenCanvas(grid.across * cell + 4, grid.down * cell + 4);
    drawGrid(base.getContext("2d"), grid, cell, 1, 2, theme, new OffscreenCanvas(1, 1));
    return base;
  });
  const { h, w } = now.output;
  const frames = Math.min(MOST_FRAMES, h * w);
  const blob = await animation(canvas, frames, Math.max(40, Math.min(250, 20000 / frames)), (n) => {
    const at = placeOf(Math.round((n * (h * w - 1)) / Math.max(1, frames - 1)));
    context.fillStyle = theme.paper;
    context.fillRect(0, 0, canvas.width, canvas.height);
    const marks = [windowMarks(workOut(now.problem, ...at), ...at), [{ shape: "veil", cells: [at] }, { shape: "box", cells: [at] }]];
    [left, right].forEach((grid, side) => {
      context.save();
      context.translate(10 + side * (left.across * cell + 24), 10);
      context.drawImage(still[side], 0, 0);
      drawMarks(context, marks[side], grid, cell, 1, 2, theme);
      context.restore();
    });
  });
  saveAs(blob, "convlens-animation.png");
  $("keep-note").textContent = `Saved ${count(frames, "frame")}${frames < h * w ? ` of ${h * w} places` : ""}. Browsers and most viewers play animated PNG.`;
  $("save-animation").disabled = false;
});

// ------------------------------------------------------------------------ the link

let writing = null;
function remember() {
  clearTimeout(writing);
  writing = setTimeout(writeAddress, 250);
}
function writeAddress() {
  try {
    history.replaceState(null, "", `#${toFragment(state, now.colourful)}`);
  } catch {
    // A page without an address of its own, such as a notebook's frame, has no link.
  }
}
$("link-copy").addEventListener("click", () => {
  writeAddress();
  copy(location.href, $("link-copy"));
});

function readAddress() {
  const read = fromFragment(location.hash.slice(1), START, gallery);
  own = read.own ?? own;
  say(read.unread.length ? `Part of the link makes no sense and was left out: ${read.unread.join(", ")}.` : "");
  pause();
  hover = null;
  change(read.state);
}
addEventListener("hashchange", readAddress);

// ------------------------------------------------------------------------ the tour

let stop = 0;
function showStop(n) {
  stop = n;
  const { title, sentence, state: setting, show: about, play: plays } = STEPS[n];
  pause();
  hover = null;
  veiled = false;
  say("");
  change({ ...setting });
  $("tour").hidden = false;
  document.body.classList.add("touring");
  $("tour-title").textContent = title;
  $("tour-count").textContent = `${n + 1} of ${STEPS.length}`;
  $("tour-sentence").textContent = sentence;
  $("tour-back").disabled = n === 0;
  $("tour-next").textContent = n === STEPS.length - 1 ? "Done" : "Next";
  const part = document.querySelector(`[data-tour="${about}"]`);
  for (const each of document.querySelectorAll(".toured")) each.classList.remove("toured");
  part.classList.add("toured");
  part.scrollIntoView({ block: "nearest", behavior: reduced.matches ? "auto" : "smooth" });
  if (plays) play();
}
function endTour() {
  pause();
  $("tour").hidden = true;
  document.body.classList.remove("touring");
  for (const each of document.querySelectorAll(".toured")) each.classList.remove("toured");
  $("tour-open").focus();
}
$("tour-open").addEventListener("click", () => {
  showStop(0);
  $("tour-next").focus({ preventScroll: true });
});
$("tour-next").addEventListener("click", () => (stop === STEPS.length - 1 ? endTour() : showStop(stop + 1)));
$("tour-back").addEventListener("click", () => showStop(stop - 1));
$("tour-close").addEventListener("click", endTour);

// ------------------------------------------------------------------------ all of it

function show() {
  showSettings();
  showKernel();
  showGrids();
  showFocus();
  showFormula();
  showCode();
  for (const id of ["save-output", "save-animation", "play", "step-back", "step-on", "position"]) $(id).disabled = !now.output;
}

new ResizeObserver(() => {
  panelWidth = $("input-panel").clientWidth;
  showGrids();
  showFocus();
}).observe($("input-panel"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  theme = themeOf(document.documentElement);
  show();
});
addEventListener("beforeprint", () => pause());

$("about").textContent = given.about;
if (given.notice) say(given.notice);
const notice = given.notice;
readAddress();
if (notice && !$("notice").textContent) say(notice);

// For the console: look at the numbers, set a state, bring a picture.
globalThis.explorer = {
  get state() { return structuredClone(state); },
  get output() { return now.output; },
  get axes() { return [now.rows, now.columns]; },
  get reason() { return now.reason; },
  set(patch, picture) {
    if (picture) own = givenPicture({ name: "given", high: 255, ...picture, id: "own" });
    change({ ...patch, ...(picture ? { picture: "own" } : {}) });
  },
  geometry: { Axis, resolvePadding, source },
  program: (name) => programFor(name, state, now.image, now.rows, now.columns),
};
