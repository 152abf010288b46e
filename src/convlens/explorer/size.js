// Explains how large the output is: in words, as a picture of every place of the window, by the formula.
import { $, element } from "./controls.js";
import { now, onChange, state } from "./store.js";
import { placesText, sizeLines } from "./text.js";

const [CELL, STEP, MOST_CELLS, MOST_PLACES] = [14, 5, 44, 24];

let formulaText = "";
function showSize() {
  const { rows, columns } = now;
  const word = typeof state.padding === "string" ? state.padding : "given";
  const lines = now.image.signal ? sizeLines(columns, word, "numbers")
    : [...sizeLines(rows, word, "rows"), ...sizeLines(columns, word, "columns")];
  const text = lines.flat().join("\n");
  if (text === formulaText) return;
  formulaText = text;
  $("formula").replaceChildren(...lines.flatMap(([label, line]) => [
    element("dt", { textContent: label }), element("dd", { textContent: line }),
  ]));
  $("formula-note").textContent = now.image.signal
    ? "w: the samples of the signal. kw: the numbers of the kernel or window. sw: the stride. ⌊ ⌋ rounds down, ⌈ ⌉ up."
    : "h and w: height and width of the picture. kh, kw: of the kernel or window. sh, sw: the stride. ⌊ ⌋ rounds down, ⌈ ⌉ up.";
  $("places").textContent = $("output-places").textContent = placesText(rows, columns);
  showPlaces(columns);
}

// Draws the cells of one row of the picture, and below them a line for each place of the window.
function showPlaces(axis) {
  const picture = $("places-picture");
  const cells = Math.min(axis.cells, MOST_CELLS);
  const places = Array.from({ length: Math.max(0, axis.outputs) }, (_, n) => n)
    .filter((n) => n < MOST_PLACES && n * axis.stride + axis.reach <= cells);
  const [width, height] = [cells * CELL + 2, CELL + 6 + places.length * STEP];
  for (const [name, value] of [["viewBox", `-1 -1 ${width} ${height}`], ["width", width], ["height", height]]) {
    picture.setAttribute(name, String(value));
  }
  const rectangle = (x, y, width, height, name) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    Object.entries({ x, y, width, height, class: name }).forEach(([key, value]) => made.setAttribute(key, String(value)));
    return made;
  };
  picture.replaceChildren(
    ...Array.from({ length: cells }, (_, n) =>
      rectangle(n * CELL, 0, CELL, CELL, axis.isPixel(n - axis.before) ? "pixel" : "padding")),
    ...places.flatMap((n) => Array.from({ length: axis.window }, (_, tap) =>
      rectangle((n * axis.stride + tap * axis.dilation) * CELL + 1, CELL + 5 + n * STEP, CELL - (axis.dilation > 1 ? 2 : tap === axis.window - 1 ? 2 : 0), 3, "place"))),
  );
}

onChange(showSize);
