// Choosing a picture: a sample, or one that the user opens, drops, pastes or draws.
import { colourOf, css, mixedColour, pictureScale } from "./colours.js";
import { $, choice, element, say } from "./controls.js";
import { DRAWING, INK, Unreadable, fitted, inked, makePicture, openFile } from "./pictures.js";
import { bring, change, choosing, gallery, onChange, own, state } from "./store.js";

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
  const isNewest = choosing();
  try {
    const picture = await openFile(file);
    if (!isNewest()) return;
    bring(picture);
    say("");
    change({ picture: "own", fit: "scaled", corner: [0, 0], pin: null, at: [0, 0], side: Math.max(state.side, 32), colour: picture.c === 1 ? "gray" : state.colour });
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

// Strokes of the mouse or a finger become ink on a small picture.
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
  bring(makePicture("own", "your drawing", DRAWING, DRAWING, 1, showDrawing(), INK));
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
  // The drawing is shown at once, even if it is empty, so that the first stroke moves nothing on
  // the page while the pen is down.
  if (on) takeDrawing();
}
$("draw-open").addEventListener("click", () => toggleDrawing($("drawing").hidden));
$("draw-close").addEventListener("click", () => toggleDrawing(false));
$("draw-clear").addEventListener("click", () => {
  strokes = [];
  takeDrawing();
});

onChange(showSamples);
