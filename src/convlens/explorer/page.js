// Starts the page, and opens its state to the browser's console and to the tests.
import { $, say } from "./controls.js";
import { drawChain } from "./chain.js";
import { programFor } from "./code.js";
import { Axis, resolvePadding, source } from "./geometry.js";
import { measureAgain } from "./grids.js";
import { readAddress } from "./export.js";
import { lesson } from "./learning.js";
import { seen, sendBack, workBack } from "./operation.js";
import { givenPicture } from "./pictures.js";
import { bring, change, focus, given, now, onChange, shownChain, state } from "./store.js";
import "./bank.js";
import "./tour.js";
import { showFocus } from "./arithmetic.js";

onChange(() => {
  for (const id of ["play", "step-back", "step-on", "position"]) $(id).disabled = !now.output;
});

const measured = () => {
  measureAgain();
  drawChain();
  showFocus();
};
readAddress();
new ResizeObserver(measured).observe($("stage"));
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
  get outputs() { return now.bank?.outputs.map(({ data }) => [...data]); },
  get image() { return { ...now.image, data: [...now.image.data] }; },
  get axes() { return [now.rows, now.columns]; },
  get reason() { return now.reason; },
  set(patch, picture) {
    if (picture) bring(givenPicture({ name: "given", high: 255, ...picture, id: "own" }));
    change({ ...patch, ...(picture ? { picture: "own" } : {}) });
  },
  geometry: { Axis, resolvePadding, source },
  back: (row, column) => workBack(now.problem, now.output, row, column),
  get sent() { return [...sendBack(now.problem, now.output).data]; },
  seen: (row, column) => seen(shownChain().map(({ problem }) => problem), row, column),
  get lesson() { return lesson(now.problem, now.output, state.goal, state.flip); },
  program: (name) => programFor(name, shownChain()),
};
