// Runs the guided tour, and starts the page.
import { $, say } from "./controls.js";
import { programFor } from "./code.js";
import { Axis, resolvePadding, source } from "./geometry.js";
import { measureAgain } from "./grids.js";
import { readAddress } from "./keeping.js";
import { givenPicture } from "./pictures.js";
import { pause, play, reduced } from "./playing.js";
import { bring, change, focus, given, now, onChange, point, state } from "./store.js";
import { STEPS } from "./tour.js";
import { showFocus } from "./working.js";

let stop = 0;
function showStop(n) {
  stop = n;
  const { title, sentence, state: setting, show: about, play: plays } = STEPS[n];
  pause();
  point(null);
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
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("tour").hidden) endTour();
});

// ------------------------------------------------------------------------ all of it

onChange(() => {
  for (const id of ["play", "step-back", "step-on", "position"]) $(id).disabled = !now.output;
});

const measured = () => {
  measureAgain();
  showFocus();
};
readAddress();
new ResizeObserver(measured).observe($("input-panel"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", measured);
addEventListener("hashchange", readAddress);

$("link-copy").hidden = location.protocol === "about:"; // a notebook's frame has no link
$("about").textContent = given.about;
if (given.notice && !$("notice").textContent) say(given.notice);

// For the browser's console and the tests: read the numbers, set the state, bring a picture.
globalThis.explorer = {
  get state() { return structuredClone(state); },
  get pointed() { return focus(); },
  get output() { return now.output; },
  get axes() { return [now.rows, now.columns]; },
  get reason() { return now.reason; },
  set(patch, picture) {
    if (picture) bring(givenPicture({ name: "given", high: 255, ...picture, id: "own" }));
    change({ ...patch, ...(picture ? { picture: "own" } : {}) });
  },
  geometry: { Axis, resolvePadding, source },
  program: (name) => programFor(name, state, now.image, now.rows, now.columns),
};
