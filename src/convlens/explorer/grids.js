// Draws the input and the output side by side, at the same scale.
import { rangeOf } from "./bars.js";
import { SIGNED_GRADIENT, colourOf, mixedColour } from "./colours.js";
import { $ } from "./controls.js";
import { source } from "./geometry.js";
import { Panel, isLegible, shortNumber, themeOf } from "./panels.js";
import { isLarge } from "./pictures.js";
import { isPooling } from "./state.js";
import { now, onChange, state } from "./store.js";
import { count, worded } from "./text.js";

export let theme = themeOf(document.documentElement);

function gridOf(values, [top, left, down, across], read, scale, mixed, kind) {
  const one = values.c === 1 ? 0 : state.layer === "all" ? null : state.layer;
  const channels = Array.from({ length: values.c }, (_, n) => n);
  return {
    down, across, top, left, h: values.h, w: values.w, kind, value: (row, column) => read(row, column, one ?? 0),
    colour: (row, column) => one === null
      ? mixedColour(channels.map((channel) => read(row, column, channel)), mixed)
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
  const grid = gridOf(image, [rows.before, columns.before, rows.cells, columns.cells], read, now.inputScale, image.mixed ?? now.inputScale, kind);
  // Some of a picture's channels are drawn in its colours.
  if (image.whole && image.c > 1 && state.layer === "all") {
    const { data, c } = image.whole;
    grid.colour = (row, column) => {
      const [y, x] = [down[row + rows.before], across[column + columns.before]];
      const at = (y * image.w + x) * c;
      return mixedColour(y < 0 || x < 0 ? [0, 0, 0] : [...data.subarray(at, at + 3)], now.inputScale);
    };
  }
  return grid;
}

export function outputGrid(output = now.output, scale = now.outputScale, mixed = now.mixedScale) {
  const read = (row, column, channel) => output.data[(row * output.w + column) * output.c + channel];
  return gridOf(output, [0, 0, output.h, output.w], read, scale, mixed, null);
}

// A signal's panels: bars within one range, or within two where one would make those of the output too
// small or those of the input. An output is as wide as a step of the window, and begins where it stands below
// the sample of its own number.
const SHAPE = 0.22; // the height of a signal as a fraction of its width
function asBars(grid, made) {
  const { image, output, columns } = now;
  const across = Math.max(grid.across, columns.before + (made?.across ?? 0) * columns.stride);
  const aspect = Math.max(2, SHAPE * across);
  const own = rangeOf(image.data);
  const both = made ? rangeOf(image.data, output.data) : own;
  const near = made && span(both) <= 1.6 * span(own) && span(rangeOf(output.data)) >= 0.15 * span(own);
  Object.assign(grid, { aspect, range: near ? both : own, read: (column) => grid.value(0, column) });
  if (made) Object.assign(made, { aspect: aspect / columns.stride, range: near ? both : rangeOf(output.data), read: (column) => made.value(0, column) });
  return across;
}
const span = ([low, high]) => high - low;

const input = new Panel(...$("input-canvas").children);
const result = new Panel(...$("output-canvas").children);
export const PANELS = { input, output: result };
const narrow = matchMedia("(max-width: 43.99rem)");
const stage = $("stage");
// Cached: asking for them would wait for a layout.
let panelWidth = $("input-panel").clientWidth;
export let stageWidth = stage.clientWidth;
export function showGrids() {
  const ratio = window.devicePixelRatio || 1;
  const height = (Math.min(544, Math.max(260, window.innerHeight * 0.62)) - 4) * ratio;
  const grid = inputGrid();
  const made = now.output && outputGrid();
  const one = now.image.signal; // a signal, on one axis
  const reach = one ? asBars(grid, made) : 0;
  let width = 0;
  const into = (each) => one ? Math.min(width / reach, 46 * ratio) : Math.min(width / each.across, height / each.down, 46 * ratio);
  const fit = (pixels) => {
    width = (pixels - 4) * ratio;
    return Math.max(1, Math.floor(Math.min(into(grid), made ? into(made) : Infinity)));
  };
  // On a narrow screen the two lie below each other if their numbers can be read only then.
  const beside = fit(one ? stageWidth : narrow.matches ? (stageWidth - 16) / 2 : panelWidth);
  const below = narrow.matches ? fit(stageWidth) : 0;
  const stacked = !one && !isLegible(beside / ratio) && isLegible(below / ratio);
  stage.classList.toggle("stacked", stacked);
  stage.classList.toggle("signal", Boolean(one));
  const cell = one ? beside : stacked ? below : narrow.matches ? fit((stageWidth - 16) / 2) : beside;
  input.resize(grid, cell, ratio);
  input.draw(theme);
  $("output-canvas").hidden = $("legend").hidden = !made;
  let enlarged = 1;
  if (made) {
    // Both have the same scale, so that an output that looks smaller has fewer pixels, unless that
    // would make its pixels too small to point at.
    if (one) enlarged = now.columns.stride;
    else if (cell / ratio < 10 && into(made) >= 3 * cell) enlarged = Math.floor(into(made) / cell);
    result.resize(made, cell * enlarged, ratio);
    result.draw(theme);
    $("legend").style.maxWidth = `max(9rem, ${result.base.width / ratio}px)`;
    showLegend();
  }
  const { image, rows, columns, original } = now;
  $("output-canvas").style.marginLeft = one ? `${(columns.before * cell) / ratio}px` : "";
  const padded = rows.padded > rows.size || columns.padded > columns.size ? `, padded ${rows.padded} × ${columns.padded}` : "";
  $("input-size").textContent = `${image.h} × ${image.w}${padded}`;
  $("output-size").textContent = now.output ? `${rows.outputs} × ${columns.outputs}` : "";
  $("input-note").textContent = image.made ? `The output of operation ${state.before.length}.` : isLarge(original, state.side)
    ? `${state.fit === "region" ? "A part of" : "Scaled from"} ${original.h} × ${original.w} pixels.` : "";
  const mixed = now.output && now.output.c > 1 && state.layer === "all";
  const notes = [];
  if (one && made) notes.push(alignedText(columns), `${rangeText(made)}${span(made.range) === span(grid.range) ? "" : " This is a scale of its own."}`);
  if (one) {
    const padding = columns.padded > columns.size ? `, padded ${columns.padded}` : "";
    $("input-size").textContent = `${image.w} samples${padding}`;
    $("output-size").textContent = made ? count(made.across, "number") : "";
    $("input-note").textContent = `${image.made ? `The output of operation ${state.before.length}. ` : ""}${rangeText(grid)}`;
  } else if (enlarged > 1) notes.push(`Drawn ${enlarged} × as large as the input.`);
  if (!mixed && now.outputScale?.signed) notes.push("Orange is above zero, blue below.");
  if (mixed && now.outputScale.signed) {
    notes.push(now.mixedScale.signed ? "Grey is zero in every channel."
      : `Shown as a photograph: below 0 is black, above ${shortNumber(now.mixedScale.limit)} white.`);
  }
  $("output-note").textContent = notes.join(" ");
  $("obstacle").textContent = worded(now.reason ?? "");
}

const rangeText = ({ range }) => `Bars from ${shortNumber(range[0])} to ${shortNumber(range[1])}.`;
const alignedText = ({ stride }) => stride === 1 ? "Each output stands below the sample of the same number."
  : `Each output stands below the sample of its number times ${stride}, the stride.`;

function showLegend() {
  const { signed, limit } = now.outputScale;
  const mixed = now.output.c > 1 && state.layer === "all";
  $("legend").hidden = mixed || Boolean(now.image.signal);
  $("legend").classList.toggle("signed", signed);
  $("legend-bar").style.backgroundImage = signed ? SIGNED_GRADIENT : "linear-gradient(90deg, #000, #fff)";
  $("legend-low").textContent = signed ? shortNumber(-limit) : "0";
  $("legend-high").textContent = shortNumber(limit);
}
export function measureAgain() {
  theme = themeOf(document.documentElement);
  [panelWidth, stageWidth] = [$("input-panel").clientWidth, stage.clientWidth];
  showGrids();
}

onChange(showGrids);
