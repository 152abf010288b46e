// Handles pointing, pinning and keys, and moves the window by itself.
import { $ } from "./controls.js";
import { PANELS } from "./grids.js";
import { hover, look, now, point, state, veiled } from "./store.js";

let timer = null; // of the next step while the window moves by itself
export const reduced = matchMedia("(prefers-reduced-motion: reduce)");

function pin(what) {
  const same = String(state.pin) === String(what);
  const patch = { pin: same ? null : what };
  if (what[0] === "output") patch.at = what.slice(1);
  look(patch, { point: hover });
}

for (const [what, panel] of Object.entries(PANELS)) {
  const target = $(`${what}-canvas`);
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
      pin(cell);
      if (event.pointerType !== "mouse") point(null); // the finger was lifted and points at nothing
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
let cursor = [0, 0]; // the pixel of the input that the arrow keys have reached
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inField = event.target.closest?.("input, select, textarea, button, [role=tabpanel]");
  if (event.key === "Escape") {
    pause();
    look({ pin: null });
  } else if (inField) {
    return;
  } else if (event.key === " ") {
    event.preventDefault();
    togglePlay();
  } else if (event.key === "Enter" && event.target.closest?.(".canvas")) {
    if (event.target.id === "input-canvas") pin(["input", ...cursor]);
    else if (now.output) pin(["output", ...state.at]);
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

// Moves the window to another place, for keys, buttons, the slider and the timer.
function moveTo(at, veil = false) {
  look({ at, pin: null }, { veil });
}

const positionOf = ([y, x]) => y * now.output.w + x;
const placeOf = (n) => [Math.floor(n / now.output.w), n % now.output.w];

function step(by) {
  if (!now.output) return;
  const all = now.output.h * now.output.w;
  moveTo(placeOf((positionOf(state.at) + by + all) % all), veiled);
}

function togglePlay() {
  if (timer !== null) pause();
  else play();
}

// Whether the window is at the last place, or there is no output: it can change while playing.
const isOver = () => !now.output || positionOf(state.at) >= now.output.h * now.output.w - 1;

export function play() {
  if (!now.output) return;
  const next = () => {
    if (isOver()) return pause();
    const all = now.output.h * now.output.w;
    const at = positionOf(state.at);
    const speed = Math.min(Number($("speed").value), reduced.matches ? 2 : Infinity);
    // A large output would take an hour place by place, so "fast" skips places.
    const by = speed > 6 ? Math.max(1, Math.round(all / 1500)) : 1;
    timer = setTimeout(next, 1000 / speed);
    return moveTo(placeOf(Math.min(all - 1, at + by)), true);
  };
  timer = setTimeout(next, 400);
  moveTo(isOver() ? [0, 0] : state.at, true);
  $("play").textContent = "Pause";
}

export function pause() {
  clearTimeout(timer);
  timer = null;
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
