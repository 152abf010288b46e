// Choosing a picture: a sample, or one that the user opens, drops, pastes or draws.
import { drawBars, rangeOf } from "./bars.js";
import { colourOf, css, mixedColour, pictureScale } from "./colours.js";
import { $, choice, element, say } from "./controls.js";
import { theme } from "./grids.js";
import { DRAWING, INK, Unreadable, fitted, inked, makePicture, openFile } from "./pictures.js";
import { place } from "./text.js";
import { readSignal } from "./signals.js";
import { showSketch } from "./sketch.js";
import { START, bring, change, choosing, gallery, now, onChange, own, state } from "./store.js";

let samples = null;
let sampled = [];
function showSamples() {
  const pictures = own ? [...gallery, own] : gallery;
  if (pictures.some((picture, n) => picture !== sampled[n]) || !samples) {
    sampled = pictures;
    samples = choice($("samples"), pictures.map((picture) => [picture.id, thumbnailOf(picture)]), (picture) => {
      change({ picture, pin: null, corner: [0, 0], at: null, ...kernelFor(pictures.find(({ id }) => id === picture)) });
    });
    samples.buttons.forEach((button, n) => {
      button.setAttribute("aria-label", pictures[n].name);
    });
  }
  samples.show(state.picture);
  samples.buttons.forEach((button, n) => (button.title = pictures[n].name));
}

// From pictures to signals and back, each kind has its own kernel and padding, as they were left.
const kernels = [START, { layers: [[Array(3).fill(1 / 3)]], padding: "same", stride: [1, 1], dilation: [1, 1], operation: "convolve", before: [], after: [] }]
  .map(({ layers, padding, stride, dilation, operation, before, after }) => ({ layers, padding, stride, dilation, operation, before, after }));
function kernelFor(next) {
  const [from, to] = [now.image, next].map(({ signal }) => Number(signal ?? false));
  if (from === to) return {};
  for (const key of Object.keys(kernels[from])) kernels[from][key] = state[key];
  return kernels[to];
}

const thumbnails = new WeakMap(); // by their pictures: one's own may change with every stroke, the others stay
function thumbnailOf(picture) {
  if (!thumbnails.has(picture)) thumbnails.set(picture, thumbnail(picture));
  return thumbnails.get(picture);
}

function thumbnail(picture) {
  if (picture.signal) return signalThumbnail(picture);
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

function signalThumbnail({ data, w }) {
  const canvas = element("canvas", { width: 44, height: 44 });
  const grid = { left: 0, across: 44, range: rangeOf(data), read: (n) => data[Math.floor((n * w) / 44)] };
  drawBars(canvas.getContext("2d"), grid, 1, 44, 0, 0, theme);
  return canvas;
}

async function open(file) {
  if (!file) return;
  const isNewest = choosing();
  try {
    const isText = /\.(csv|tsv|txt)$/i.test(file.name) || file.type.startsWith("text/");
    const picture = isText ? readSignal(await file.text(), file.name) : await openFile(file);
    if (!isNewest()) return;
    const kernel = kernelFor(picture);
    bring(picture);
    say("");
    change({ picture: "own", fit: "scaled", corner: [0, 0], pin: null, at: null, side: Math.max(state.side, 32), colour: picture.c === 1 ? "gray" : state.colour, ...kernel });
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    if (isNewest()) say(error.message);
  }
}

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

// Strokes of the mouse, a finger or keys become ink on a small picture.
let strokes = []; // lists of points [x, y], in pixels
let [pen, isDown] = [[8, 8], false]; // the pixel that keys have reached, and whether they draw
const drawing = $("drawing-canvas");
const pointOf = (event) => {
  const box = drawing.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top].map((n) => (n / box.width) * DRAWING);
};
function showDrawing() {
  const context = drawing.getContext("2d");
  const cell = drawing.width / DRAWING;
  inked(strokes).forEach((ink, n) => {
    context.fillStyle = css(colourOf(ink, { signed: false, limit: INK }));
    context.fillRect((n % DRAWING) * cell, Math.floor(n / DRAWING) * cell, cell, cell);
  });
  if (document.activeElement !== drawing || !drawing.matches(":focus-visible")) return;
  context.strokeStyle = css([0, 183, 131]);
  context.lineWidth = isDown ? 4 : 2;
  context.strokeRect(pen[0] * cell, pen[1] * cell, cell, cell);
}
// The page takes the drawing when its first stroke ends, because the picture before it may have another
// size, and nothing may move while the pen is down. Later strokes are followed as they are drawn.
function takeDrawing(patch = {}) {
  showDrawing();
  bring(makePicture("own", DRAWN, DRAWING, DRAWING, 1, inked(strokes), INK));
  change({ picture: "own", colour: "gray", pin: null, ...patch });
}
const DRAWN = "your drawing";
const isTaken = () => state.picture === "own" && own?.name === DRAWN;
drawing.addEventListener("pointerdown", (event) => {
  drawing.setPointerCapture(event.pointerId);
  strokes.push([pointOf(event)]);
  if (isTaken()) takeDrawing();
  else showDrawing();
});
drawing.addEventListener("pointermove", (event) => {
  if (!event.buttons || !strokes.length) return;
  strokes.at(-1).push(pointOf(event));
  if (isTaken()) takeDrawing();
  else showDrawing();
});
drawing.addEventListener("pointerup", () => takeDrawing({ at: null }));
drawing.addEventListener("keydown", (event) => {
  const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
  if (!step && event.key !== " ") return;
  event.preventDefault();
  event.stopPropagation();
  if (step) pen = pen.map((n, axis) => Math.min(DRAWING - 1, Math.max(0, n + step[axis])));
  else isDown = !isDown;
  const middle = pen.map((n) => n + 0.5);
  if (isDown && step) strokes.at(-1).push(middle);
  else if (isDown) strokes.push([middle]);
  if (isDown) takeDrawing({ at: null });
  else showDrawing();
  $("drawing-note").textContent = `The pen is ${isDown ? "down" : "up"} at ${place(pen[1], pen[0])}.`;
});
for (const kind of ["focus", "blur"]) {
  drawing.addEventListener(kind, () => {
    isDown = false;
    showDrawing();
  });
}
// Draws what is looked at: a picture, or a signal.
let isOpen = false;
function showSheet() {
  const { signal } = now.image;
  $("drawing").hidden = !isOpen || Boolean(signal);
  $("sketch").hidden = !isOpen || !signal;
  $("draw-open").setAttribute("aria-expanded", String(isOpen));
  if (isOpen) (signal ? showSketch : showDrawing)();
}
function toggleDrawing(on) {
  isOpen = on;
  showSheet();
  if (!on) $("draw-open").focus();
}
$("draw-open").addEventListener("click", () => toggleDrawing(!isOpen));
for (const id of ["draw-close", "sketch-close"]) $(id).addEventListener("click", () => toggleDrawing(false));
$("draw-clear").addEventListener("click", () => {
  strokes = [];
  if (isTaken()) takeDrawing({ at: null });
  else showDrawing();
});

onChange(showSamples);
onChange(showSheet);
