// Marks what is pointed at, with its window or its outputs, and writes its arithmetic out.
import { hideSent, showSent } from "./back.js";
import { colourOf, scaleOf } from "./colours.js";
import { $, element, scrolls } from "./controls.js";
import { PANELS, theme } from "./grids.js";
import { source } from "./geometry.js";
import { cellsUnder, outputsUsing, workBack, workOut } from "./operation.js";
import { Matrix, shortNumber } from "./panels.js";
import { isPooling, windowOf } from "./state.js";
import { editedLayer, focus, hover, now, onChange, onLook, state, veiled } from "./store.js";
import { backText, channelNames, fullNumber, outputPlace, outputText, paddingText, place, poolText, sumText, tapText, usesText, worded } from "./text.js";

export function showFocus() {
  const [what, row, column] = focus();
  const { problem, rows, columns, output, reason } = now;
  const inputMarks = [];
  const outputMarks = [];
  $("worked-title").textContent = { output: "One output, worked out", input: now.image.signal ? "One sample of the input" : "One pixel of the input", tap: "One tap of the window" }[what];
  if (reason) {
    $("worked-sentence").textContent = "There is no output to work out.";
    showChannels([]);
  } else if (what === "output" && row < output.h && column < output.w && row >= 0 && column >= 0) {
    const worked = workOut(problem, row, column);
    inputMarks.push(...windowMarks(problem, worked, row, column));
    outputMarks.push({ shape: "box", cells: [[row, column]] });
    // A pooling that shows a single channel marks the pixel that won.
    const seen = worked.channels.length === 1 ? 0 : state.layer === "all" ? null : state.layer;
    const won = seen === null ? undefined : worked.channels[seen].winner;
    if (won !== undefined) inputMarks.push({ shape: "tint", cells: [[worked.cells[won].row, worked.cells[won].column]] });
    if (veiled) outputMarks.unshift({ shape: "veil", cells: [[row, column]] });
    showWorked(worked, row, column);
  } else if (what === "input") {
    const pixel = rows.isPixel(row) && columns.isPixel(column);
    const uses = pixel ? outputsUsing(problem, row, column) : outputsOver(row, column);
    const from = pixel ? null : sourceOf(row, column);
    if (from) inputMarks.push({ shape: "from", cells: [from] });
    inputMarks.push({ shape: "box", cells: [[row, column]] });
    outputMarks.push({ shape: "tint", cells: uses });
    if (uses.length <= 121) outputMarks.push({ shape: "cells", cells: uses });
    $("worked-sentence").textContent = worded(cellText(row, column, pixel, from) + usesText(row, column, uses.length, !pixel));
    if (pixel && !isPooling(state) && !now.bank && uses.length > 0 && uses.length <= 121) showBack(row, column, uses);
    else showChannels([]);
    if (now.bank) $("worked-back").textContent = "From several kernels the outputs go back together; the way back of one is shown under Channels, “Colour, summed”.";
  } else if (what === "tap") {
    const [kh, kw] = windowOf(state);
    const [i, j] = [Math.min(row, kh - 1), Math.min(column, kw - 1)];
    inputMarks.push({ shape: "tint", cells: state.flip ? cellsUnder(problem, kh - 1 - i, kw - 1 - j) : cellsUnder(problem, i, j) });
    const weight = isPooling(state) ? null : editedLayer()[i][j];
    $("worked-sentence").textContent = worded(tapText(state, i, j, weight));
    showChannels([]);
  }
  PANELS.input.mark(inputMarks, theme);
  if (output) PANELS.output.mark(outputMarks, theme);
  showLabels();
}

// The outputs whose windows cover a cell of padding.
function outputsOver(row, column) {
  const along = (axis, cell) => Array.from({ length: axis.outputs }, (_, n) => n).filter((output) =>
    Array.from({ length: axis.window }, (_, tap) => axis.pixel(output, tap)).includes(cell));
  const across = along(now.columns, column);
  return along(now.rows, row).flatMap((y) => across.map((x) => [y, x]));
}

// The pixel that a padded cell takes its value from, or null if it has none.
function sourceOf(row, column) {
  const { rows, columns } = now;
  if (isPooling(state) || !rows.isCell(row) || !columns.isCell(column)) return null;
  const from = [source(row, rows.size, state.padMode), source(column, columns.size, state.padMode)];
  return Math.min(...from) < 0 ? null : from;
}

function cellText(row, column, pixel, from) {
  const { image } = now;
  if (from) return `It is padding, with the value of ${place(...from)}. `;
  if (!pixel) return isPooling(state) ? "It is padding. " : "It is padding: a zero. ";
  const values = Array.from({ length: image.c }, (_, channel) => image.data[(row * image.w + column) * image.c + channel]);
  const text = image.c === 1 ? fullNumber(values[0])
    : values.map((value, n) => `${channelNames()[n].toLowerCase()} ${fullNumber(value)}`).join(", ");
  return `Its number is ${text}. `;
}

export function windowMarks({ rows, columns }, worked, y, x) {
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
  const how = pooling ? { max: ", the largest number of its window", min: ", the smallest number of its window", avg: ", the mean of its window" }[state.operation] : now.problem.colour === "summed" && now.image.c > 1
    ? ": in each channel the window times its layer of the kernel, and all of it added up"
    : ": the window times the kernel, number by number, added up";
  $("worked-sentence").textContent = `${outputText(now.problem, y, x)}${equals}${how}.${pinned}`;
  const shown = worked.channels.map((channel, n) => ({ ...channel, n }))
    .filter(({ n }) => state.colour !== "each" || state.layer === "all" || state.layer === n);
  showChannels(shown, { shape: windowOf(state), names: ["Window", state.flip ? "Kernel, turned" : "Kernel", "Products"], cell: (channel, k) => windowCell(channel, worked, k), worked });
  $("worked-padding").textContent = worded(paddingText(state, worked.cells));
  $("worked-total").textContent = worked.result === null || worked.channels.length === 1 ? ""
    : `${worked.channels.map(({ result: each }) => (each < 0 ? `(${fullNumber(each)})` : fullNumber(each))).join(" + ")} = ${fullNumber(worked.result)}`;
}

const blocks = []; // the elements of each channel, reused
function block(n) {
  while (blocks.length <= n) {
    const tables = Array.from({ length: 3 }, () => {
      const [table, name] = [element("table"), element("span")];
      return { part: element("div", {}, table, name), matrix: new Matrix(table), table, name };
    });
    const [times, is] = ["×", "="].map((sign) => element("b", { textContent: sign }));
    const equals = element("span", { className: "equals" });
    const heading = element("h3");
    const sum = element("p", { className: "sum" });
    // Each sign stays with what follows it where lines break.
    const [timesKernel, isProducts] = [[times, tables[1]], [is, tables[2]]].map(([sign, { part }]) => element("div", { className: "term" }, sign, part));
    const terms = element("div", { className: "terms" }, tables[0].part, timesKernel, isProducts, equals);
    scrolls(terms, tables.map(({ part }) => part), "Window, kernel and products");
    blocks.push({ heading, tables, timesKernel, isProducts, equals, sum, terms, whole: element("div", { className: "channel" }, heading, terms, sum) });
  }
  return blocks[n];
}

// Shows what a pixel gets back from the outputs that use it.
function showBack(row, column, uses) {
  const back = workBack(now.problem, now.output, row, column);
  const shown = back.channels.map((channel, n) => ({ ...channel, n }))
    .filter(({ n }) => state.colour !== "each" || state.layer === "all" || state.layer === n);
  const [width, scale] = [back.across.length, now.outputScale];
  showChannels(shown, {
    shape: [back.down.length, width], names: ["Outputs", "Weights", "Products"],
    cell: ({ values }, k) => ({
      text: shortNumber(values[k]), colour: colourOf(values[k], scale),
      title: outputPlace(back.down[Math.floor(k / width)], back.across[k % width]),
    }),
  });
  const turned = [...now.problem.layers[0]].reverse();
  $("worked-back").textContent = worded(backText(String(turned) === String(back.channels[0].weights), state.flip));
  $("worked-total").textContent = $("worked-padding").textContent = "";
  showSent([row, column], uses);
}

// Shows for each channel two grids of `shape`, their products and the sum, under three names; of a
// pooling the first grid and what is kept. `cell(channel, k)` gives the first grid's cells.
function showChannels(channels, { shape: [kh, kw] = [], names, cell, worked } = {}) {
  $("worked-back").textContent = "";
  hideSent();
  const wanted = channels.map((_, n) => block(n).whole);
  const shown = [...$("worked-channels").children];
  if (wanted.length !== shown.length) $("worked-channels").replaceChildren(...wanted);
  if (!channels.length) {
    $("worked-padding").textContent = $("worked-total").textContent = "";
    return;
  }
  const pooling = isPooling(state);
  const kernelScale = pooling ? null : scaleOf(channels.flatMap(({ weights }) => weights), true, 0);
  const productScale = pooling ? null : scaleOf(channels.flatMap(({ products }) => products), true, 0);
  channels.forEach((channel, n) => {
    const { heading, tables, timesKernel, isProducts, equals, sum, terms } = block(n);
    heading.textContent = now.image.c > 1 ? channelNames()[channel.n] : "";
    heading.hidden = now.image.c === 1;
    terms.classList.toggle("many", kw > 5 || kh > 5);
    const [window_, kernel, products] = tables;
    tables.forEach(({ table, name }, part) => {
      table.setAttribute("aria-label", names[part]);
      name.textContent = names[part];
    });
    window_.matrix.show(kh, kw, (k) => cell(channel, k));
    timesKernel.hidden = isProducts.hidden = pooling;
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
  const sizeOf = ({ h, w }) => (image.signal ? `${w} samples` : `${h} by ${w} pixels`);
  $("input-canvas").setAttribute("aria-label", worded(`Input, ${sizeOf(image)}. Arrow keys choose a pixel.`));
  $("output-canvas").setAttribute("aria-label", output ? `Output, ${sizeOf(output)}. Arrow keys move the window.` : "No output");
  clearTimeout(speaking);
  if (!veiled) speaking = setTimeout(() => ($("spoken").textContent = `${$("worked-sentence").textContent} ${$("chain-sentence").textContent}`.trim()), 350);
  if (output) {
    $("position").max = output.h * output.w - 1;
    $("position").value = state.at[0] * output.w + state.at[1];
    $("position").setAttribute("aria-valuetext", outputPlace(...state.at));
  }
}

onChange(showFocus);
onLook(showFocus);
