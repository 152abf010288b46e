// Drawing a signal: with the mouse, a finger or keys, on a sheet with a column for each sample.
import { drawBars } from "./bars.js";
import { $ } from "./controls.js";
import { theme } from "./grids.js";
import { fullNumber } from "./text.js";
import { makeSignal } from "./signals.js";
import { bring, change, own, state } from "./store.js";

const SAMPLES = 32;
const SKETCHED = "your drawn signal";
const sheet = $("sketch-canvas");
let heights = Array(SAMPLES).fill(0); // from −1 to 1
let reached = 0; // the sample that keys have reached
let previous = null; // where the pen was last, as [sample, height]

const isShown = () => state.picture === "own" && own?.name === SKETCHED;
export function showSketch() {
  const context = sheet.getContext("2d");
  const cell = sheet.width / SAMPLES;
  context.clearRect(0, 0, sheet.width, sheet.height);
  const grid = { left: 0, across: SAMPLES, range: [-1, 1], read: (n) => heights[n] };
  drawBars(context, grid, cell, sheet.height, 0, 0, theme);
  if (document.activeElement !== sheet || !sheet.matches(":focus-visible")) return;
  context.strokeStyle = theme.mark;
  context.lineWidth = 2;
  context.strokeRect(reached * cell + 1, 1, cell - 2, sheet.height - 2);
}

// The page takes the signal when the first stroke ends, since the one before may have another length.
function take(patch = {}) {
  showSketch();
  bring(makeSignal("own", SKETCHED, heights));
  change({ picture: "own", pin: null, ...patch });
}

function placeOfPen(event) {
  const box = sheet.getBoundingClientRect();
  const within = (value, low, high) => Math.min(high, Math.max(low, value));
  const sample = within(Math.floor(((event.clientX - box.left) / box.width) * SAMPLES), 0, SAMPLES - 1);
  return [sample, within(Math.round(20 * (1 - (2 * (event.clientY - box.top)) / box.height)) / 20, -1, 1)];
}

// Fills the samples between the pen's last place and this one, because a quick hand skips some.
function follow(event) {
  const [to, high] = placeOfPen(event);
  const [from, low] = previous ?? [to, high];
  const steps = Math.max(1, Math.abs(to - from));
  for (let n = 0; n <= steps; n++) {
    const value = low + ((high - low) * n) / steps;
    heights[from + Math.sign(to - from) * Math.min(n, Math.abs(to - from))] = Math.round(20 * value) / 20;
  }
  previous = [to, high];
  if (isShown()) take();
  else showSketch();
}
sheet.addEventListener("pointerdown", (event) => {
  sheet.setPointerCapture(event.pointerId);
  previous = null;
  follow(event);
});
sheet.addEventListener("pointermove", (event) => {
  if (event.buttons) follow(event);
});
sheet.addEventListener("pointerup", () => take({ at: null }));
sheet.addEventListener("keydown", (event) => {
  const [along, up] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [];
  if (along === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  reached = Math.min(SAMPLES - 1, Math.max(0, reached + along));
  heights[reached] = Math.min(10, Math.max(-10, Math.round(10 * heights[reached]) + up)) / 10;
  if (up) take({ at: null });
  else showSketch();
  $("sketch-note").textContent = `Sample ${reached} is ${fullNumber(heights[reached])}.`;
});
for (const kind of ["focus", "blur"]) sheet.addEventListener(kind, showSketch);

$("sketch-clear").addEventListener("click", () => {
  heights = Array(SAMPLES).fill(0);
  if (isShown()) take({ at: null });
  else showSketch();
});
