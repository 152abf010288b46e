// Draws a grid of numbers on a canvas: its colours, its numbers if there is room, and its padding.
// The marks that follow the pointer are on a second canvas above it.
import { drawBars } from "./bars.js";
import { css, inkOn } from "./colours.js";

const NUMBERS_FROM = 7; // CSS pixels: numbers in smaller type are left out
const GRID_FROM = 6; // CSS pixels: smaller cells have no lines between them
const STRIP = 18; // CSS pixels below a signal's bars, for its numbers
const WIDTH_OF_DIGIT = 0.62; // as a fraction of the type's size

export function shortNumber(value) {
  if (Number.isInteger(value)) return String(value).replace("-", "−");
  const size = Math.abs(value);
  const text = size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
  return text.replace(/^(-?)0\./, "$1.").replace("-", "−").replace(/^−(\.?0*)$/, "0");
}

// A grid is { down, across, top, left, h, w, colour(row, column), text(row, column), kind(row,
// column) }. It has `down` rows and `across` columns of cells, of which `top` rows and `left`
// columns lie before the h x w pixels. Rows and columns are counted from the first pixel; text() is
// the number to write, or null. Cells around the pixels are padding, unless kind() says "outside".
// The row of a signal is `aspect` times as high as its cells are wide, and drawn as bars of read(column)
// within `range`.
export const tallOf = ({ aspect = 1 }, cell) => Math.round(cell * aspect);

export class Panel {
  constructor(base, marks) {
    [this.base, this.marks] = [base, marks];
    this.cell = 1; // device pixels
    this.tiny = new OffscreenCanvas(1, 1);
  }

  // Fits the canvases to a grid whose cells are `cell` device pixels wide.
  resize(grid, cell, ratio) {
    Object.assign(this, { grid, cell, ratio });
    for (const canvas of [this.base, this.marks]) {
      const [width, height] = [grid.across * cell + 2 * this.edge, grid.down * tallOf(grid, cell) + 2 * this.edge];
      if (canvas.width !== width) canvas.width = width;
      if (canvas.height !== height) canvas.height = height;
      canvas.style.width = `${width / ratio}px`;
      canvas.style.aspectRatio = `${width} / ${height}`;
    }
  }

  // The margin that the outlines of the outermost cells need.
  get edge() {
    return Math.round(2 * this.ratio);
  }

  draw(theme) {
    const context = this.base.getContext("2d");
    context.clearRect(0, 0, this.base.width, this.base.height);
    drawGrid(context, this.grid, this.cell, this.ratio, this.edge, theme, this.tiny);
  }

  // The cell at a point of the page, counted from the first pixel, or null if the point is beside
  // the grid.
  cellAt(clientX, clientY) {
    const box = this.marks.getBoundingClientRect();
    const place = (at, start, length, pixels, cell) => Math.floor((((at - start) / length) * pixels - this.edge) / cell);
    const row = place(clientY, box.top, box.height, this.marks.height, tallOf(this.grid, this.cell));
    const column = place(clientX, box.left, box.width, this.marks.width, this.cell);
    const { down, across, top, left } = this.grid;
    return row >= 0 && row < down && column >= 0 && column < across ? [row - top, column - left] : null;
  }

  // Marks are { shape, cells: [[row, column], …], size }. A "box" outlines the `size` cells that
  // begin with the first one, "cells" outlines each cell, "tint" colours them, "from" draws dashed
  // outlines, and "veil" hides all cells after the first one.
  mark(marks, theme) {
    const context = this.marks.getContext("2d");
    context.clearRect(0, 0, this.marks.width, this.marks.height);
    drawMarks(context, marks, this.grid, this.cell, this.ratio, this.edge, theme);
  }
}

// Whether numbers of one or two digits can be read in cells of so many CSS pixels.
export const isLegible = (cell) => cell * 0.47 >= NUMBERS_FROM;

export function drawGrid(context, grid, cell, ratio, edge, theme, tiny) {
  const { down, across, top, left, h, w } = grid;
  const tall = tallOf(grid, cell);
  const padded = h < down || w < across;
  if (grid.range) drawBars(context, grid, cell, tall, STRIP * ratio, edge, theme);
  else drawCells(context, grid, cell, edge, tiny);
  if (padded) veilPadding(context, grid, cell, ratio, edge, theme);
  if (cell / ratio >= GRID_FROM) {
    context.fillStyle = theme.line;
    for (let n = 0; n <= across && !grid.range; n++) context.fillRect(edge + n * cell, edge, 1, down * tall);
    for (let n = 0; n <= down; n++) context.fillRect(edge, edge + n * tall, across * cell, 1);
  }
  writeNumbers(context, grid, cell, ratio, edge, theme);
  if (padded || grid.range) {
    context.strokeStyle = padded ? theme.ink : theme.line;
    context.lineWidth = Math.max(1, Math.round(1.25 * ratio));
    context.strokeRect(edge + left * cell, edge + top * tall, w * cell, h * tall);
  }
}

function drawCells(context, grid, cell, edge, tiny) {
  const { down, across, top, left } = grid;
  [tiny.width, tiny.height] = [across, down];
  const small = tiny.getContext("2d");
  const pixels = small.createImageData(across, down);
  for (let row = 0, n = 0; row < down; row++) {
    for (let column = 0; column < across; column++, n += 4) {
      const colour = grid.colour(row - top, column - left);
      for (let k = 0; k < 3; k++) pixels.data[n + k] = colour[k];
      pixels.data[n + 3] = 255;
    }
  }
  small.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(tiny, edge, edge, across * cell, down * cell);
}

// Makes padding pale and hatched over what it holds, and blanks what lies outside of it.
function veilPadding(context, grid, cell, ratio, edge, theme) {
  const { down, across, top, left, h, w, kind } = grid;
  const tall = tallOf(grid, cell);
  context.save();
  context.beginPath();
  context.rect(edge, edge, across * cell, down * tall);
  context.rect(edge + left * cell, edge + top * tall, w * cell, h * tall);
  context.clip("evenodd");
  context.globalAlpha = 0.78;
  context.fillStyle = theme.paper;
  context.fillRect(edge, edge, across * cell, down * tall);
  context.globalAlpha = 0.32;
  context.strokeStyle = theme.soft;
  context.lineWidth = Math.max(1, 0.75 * ratio);
  const step = Math.max(4, 5 * ratio);
  const [width, height] = [across * cell, down * tall];
  context.beginPath();
  for (let x = -height; x < width; x += step) {
    context.moveTo(edge + x, edge + height);
    context.lineTo(edge + x + height, edge);
  }
  context.stroke();
  context.restore();
  if (!kind) return;
  for (let row = 0; row < down; row++) {
    for (let column = 0; column < across; column++) {
      if (kind(row - top, column - left) === "outside") {
        context.clearRect(edge + column * cell, edge + row * tall, cell, tall);
      }
    }
  }
}

function writeNumbers(context, grid, cell, ratio, edge, theme) {
  const { down, across, top, left, h, w } = grid;
  if (cell / ratio < NUMBERS_FROM * 2 || down * across > 6000) return;
  const texts = [];
  let longest = 1;
  for (let row = -top; row < down - top; row++) {
    for (let column = -left; column < across - left; column++) {
      const text = grid.text(row, column);
      if (text === null) continue;
      longest = Math.max(longest, text.length);
      texts.push([row, column, text]);
    }
  }
  const size = Math.min(cell * 0.47, (cell * 0.9) / (WIDTH_OF_DIGIT * longest), 17 * ratio);
  if (size / ratio < NUMBERS_FROM) return;
  const tall = tallOf(grid, cell);
  context.font = `${size}px ${theme.mono}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const [row, column, text] of texts) {
    const pixel = row >= 0 && row < h && column >= 0 && column < w;
    const middle = grid.range ? tall - (STRIP * ratio) / 2 : (row + top + 0.54) * cell;
    context.fillStyle = pixel && !grid.range ? inkOn(grid.colour(row, column)) : theme.ink;
    context.globalAlpha = pixel && text === "0" ? 0.55 : 1;
    context.fillText(text, edge + (column + left + 0.5) * cell, edge + middle);
  }
  context.globalAlpha = 1;
}

export function drawMarks(context, marks, grid, cell, ratio, edge, theme) {
  const tall = tallOf(grid, cell);
  const place = ([row, column]) => [edge + (column + grid.left) * cell, edge + (row + grid.top) * tall];
  const outline = (x, y, width, height, line) => {
    // There is a dark and a bright line, so that one of them shows on any colour.
    for (const [colour, wide] of [[theme.halo, line + 2 * ratio], [theme.mark, line]]) {
      context.strokeStyle = colour;
      context.lineWidth = wide;
      context.strokeRect(x, y, width, height);
    }
  };
  for (const { shape, cells, size = [1, 1] } of marks) {
    if (shape === "veil") {
      veilAfter(context, cells[0], grid, cell, edge, theme);
      continue;
    }
    const line = Math.max(1.5 * ratio, Math.min(2.5 * ratio, cell / 5));
    if (shape === "box") {
      const [x, y] = place(cells[0]);
      context.setLineDash([]);
      outline(x, y, size[1] * cell, size[0] * tall, line);
      continue;
    }
    for (const at of cells) {
      const [x, y] = place(at);
      if (shape === "tint" || (shape === "from" && cell < 9 * ratio)) {
        context.globalAlpha = 0.42;
        context.fillStyle = theme.mark;
        context.fillRect(x, y, cell, tall);
        context.globalAlpha = 1;
      } else if (shape === "from") {
        // This is the pixel that a padded cell takes its value from.
        context.setLineDash([2 * ratio, 2 * ratio]);
        outline(x + cell * 0.16, y + cell * 0.16, cell * 0.68, tall - cell * 0.32, 1.25 * ratio);
        context.setLineDash([]);
      } else {
        outline(x + ratio, y + ratio, cell - 2 * ratio, tall - 2 * ratio, 1.5 * ratio);
      }
    }
  }
}

// Covers the outputs that the sliding window has not reached yet.
function veilAfter(context, [row, column], grid, cell, edge, theme) {
  const { down, across } = grid;
  const tall = tallOf(grid, cell);
  context.fillStyle = theme.veil;
  context.fillRect(edge + (column + 1) * cell, edge + row * tall, (across - column - 1) * cell, tall);
  context.fillRect(edge, edge + (row + 1) * tall, across * cell, (down - row - 1) * tall);
}

// The colours of the page, which depend on the light or dark theme, and its font for numbers.
export function themeOf(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    ink: colour("--ink"), soft: colour("--soft"), paper: colour("--paper"), line: colour("--grid"),
    veil: colour("--veil"), mark: colour("--mark"), halo: colour("--halo"), mono: colour("--mono"),
  };
}

// A table of numbers, coloured as on the canvas. Its cells are reused while its shape stays.
export class Matrix {
  constructor(table) {
    this.table = table;
    this.shape = "";
  }

  // `cell(n)` returns { text, colour, title, classes } of the n-th cell, row by row.
  show(rows, columns, cell) {
    if (this.shape !== `${rows} ${columns}`) {
      this.shape = `${rows} ${columns}`;
      this.table.replaceChildren(...Array.from({ length: rows }, () => {
        const line = document.createElement("tr");
        line.append(...Array.from({ length: columns }, () => document.createElement("td")));
        return line;
      }));
      this.cells = [...this.table.querySelectorAll("td")];
    }
    this.cells.forEach((element, n) => {
      const { text, colour, title = "", classes = "" } = cell(n);
      if (element.textContent !== text) element.textContent = text;
      element.style.backgroundColor = colour ? css(colour) : "";
      element.style.color = colour ? inkOn(colour) : "";
      element.className = classes;
      element.title = title;
    });
  }
}
