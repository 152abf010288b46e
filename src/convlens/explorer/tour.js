// The guided tour: each step sets the page up, hides what has not been explained yet, and says one
// thing about what is to be seen. What the user had before comes back in the end.
import { $, say } from "./controls.js";
import { pause, play, reduced } from "./navigation.js";
import { DEFAULTS, settingsOf } from "./state.js";
import { change, look, own, point, state } from "./store.js";

const EDGES = [[1, 0, -1], [1, 0, -1], [1, 0, -1]];
const BASE = {
  operation: "convolve", layers: [EDGES], goal: null, flip: false, window: [2, 2], stride: [1, 1], dilation: [1, 1], padding: "valid",
  padMode: "constant", countPadding: false, partial: false, colour: "gray", layer: "all", picture: "edge",
  side: 32, fit: "scaled", corner: [0, 0], at: [0, 1], pin: null, before: [], after: [],
};
const CAT = {
  ...BASE, picture: "cat", side: 16, colour: "summed", at: [5, 4],
  layers: [[[1, 0, -1], [1, 0, -1], [1, 0, -1]], [[0, 0, 0], [0, 0, 0], [0, 0, 0]], [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]],
};

// `show` names the part of the page that a step is about, `hide` the parts that come later. `veil`
// leaves out the outputs after the one that is worked out. The state of the last step is the user's.
export const STEPS = [
  { title: "Picture", show: "input", hide: "marks kernel output worked size", state: BASE,
    sentence: "A picture is a grid of numbers, one for each pixel: here 9 is bright and 0 is black." },
  { title: "Window", show: "input", hide: "kernel output worked size", state: BASE,
    sentence: "A window is a small part of the picture: here the green outline, 3 pixels high and 3 wide." },
  { title: "Kernel", show: "kernel", hide: "output worked size", state: BASE,
    sentence: "A kernel is a grid of numbers as large as the window." },
  { title: "Multiply", show: "worked", hide: "output sum size", state: BASE,
    sentence: "Each number in the window is multiplied by the kernel’s number at the same place." },
  { title: "Add up", show: "worked", hide: "output size", state: BASE,
    sentence: "The products add up to one number: here 23, since the window is brighter on its left than on its right." },
  { title: "Output", show: "output", hide: "size", veil: true, state: BASE,
    sentence: "That number is one pixel of the output, at the window’s place." },
  { title: "Convolution", show: "output", hide: "size", play: true, state: { ...BASE, at: [0, 0] },
    sentence: "Window times kernel, added up, at every place in turn: that is a convolution." },
  { title: "Size", show: "size", state: BASE,
    sentence: "A picture 8 wide has 6 places for a window 3 wide, so the output is 6 wide." },
  { title: "Padding", show: "input", state: { ...BASE, padding: "same", at: [4, 0] },
    sentence: "Padding puts cells around the picture, here zeros, so that the output becomes as large as the picture." },
  { title: "An edge that is not there", show: "output", state: { ...BASE, padding: "same", at: [4, 0] },
    sentence: "Zeros are black, so along the border the kernel finds an edge that the picture does not have: here −25." },
  { title: "Stride", show: "output", state: { ...BASE, padding: "same", stride: [2, 2], at: [1, 1] },
    sentence: "With a stride of 2 the window moves two pixels at a time, so the output has half the rows and half the columns." },
  { title: "Channels", show: "input", state: CAT,
    sentence: "A colour picture has three numbers for each pixel, its channels: red, green and blue." },
  { title: "Layers", show: "worked", state: CAT,
    sentence: "The kernel then has a layer for each channel, and all the products of all layers add up to one number." },
  { title: "Several kernels", show: "bank", state: { ...BASE, picture: "cat", side: 16, colour: "several", kernels: DEFAULTS.kernels, kernel: 0, groups: 1, at: [5, 4] },
    sentence: "Each kernel makes one channel of the output: here four kernels make four, each from all channels of the input, or with groups from some of them." },
  { title: "Pooling", show: "worked", state: { ...BASE, operation: "max", picture: "digit", stride: [2, 2], at: [5, 2] },
    sentence: "Pooling has no kernel: max pooling keeps the largest number of each window, here 9 of 3, 0, 9 and 7." },
  { title: "Operations in a row", show: "chain", state: { ...BASE, picture: "digit", at: [2, 2], before: [settingsOf(BASE), { ...settingsOf(BASE), operation: "max", stride: [2, 2] }] },
    sentence: "A network puts operations in a row, each taking what the one before it made: a number at their end sees a field of the picture, here of 8 × 8 pixels." },
  { title: "Signal", show: "input", state: { ...BASE, picture: "prices", layers: [[Array(5).fill(1 / 5)]], at: [0, 20] },
    sentence: "A signal, such as a sound or prices, is a single row of numbers, drawn here as bars; the window slides along it, and each output is the mean of five." },
  { title: "The way back", show: "worked", hide: "sent", state: { ...BASE, padding: "same", pin: ["input", 4, 3] },
    sentence: "A pixel goes into several outputs; on the way back these come together at the pixel again, each times the number of the kernel that it met there, and are added up." },
  { title: "Transposed convolution", show: "sent", state: { ...BASE, picture: "digit", padding: "same", stride: [2, 2], layers: [[[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]]], pin: ["input", 8, 6] },
    sentence: "Done for every pixel, that is a transposed convolution: 8 × 8 numbers, each spread over its window again, become a picture of 16 × 16." },
  { title: "Learning", show: "learning", state: { ...BASE, goal: [EDGES], layers: [EDGES.map((row) => row.map(() => 0))] },
    sentence: "A network learns its kernels: this one began with zeros, and each press of “One step” brings its output closer to what should come out." },
  { title: "Your turn", show: "picture", state: null,
    sentence: "Draw a digit, open a photograph, or type another number into the kernel, and watch what happens." },
];

let stop = null; // the number of the step that is shown
let shown = ""; // the picture that the step has chosen
let before = null; // what the user had, and has again in the end

function showStop(n) {
  if (stop === null || STEPS[stop].state === null) before = { state, own };
  stop = n;
  const { title, sentence, state: setting, show: about, hide = "", veil = false, play: plays } = STEPS[n];
  pause();
  point(null);
  say("");
  if (setting) change({ ...setting });
  else giveBack();
  shown = state.picture;
  if (veil) look({}, { veil });
  $("tour").hidden = false;
  document.body.classList.add("touring");
  document.body.dataset.hide = hide;
  $("tour-title").textContent = title;
  $("tour-count").textContent = `${n + 1} of ${STEPS.length}`;
  $("tour-sentence").textContent = sentence;
  $("tour-back").disabled = n === 0;
  $("tour-next").textContent = n === STEPS.length - 1 ? "Done" : "Next";
  const part = document.querySelector(`[data-tour="${about}"]`);
  for (const each of document.querySelectorAll(".toured")) each.classList.remove("toured");
  part.classList.add("toured");
  measureCard();
  // A part that is higher than the room beside the card is read from its beginning.
  const fits = part.offsetHeight + $("tour").offsetHeight < window.innerHeight - 96;
  part.scrollIntoView({ block: fits ? "nearest" : "start", behavior: reduced.matches ? "auto" : "smooth" });
  if (plays && !reduced.matches) play();
}

// A picture that the user has chosen or opened during the tour stays.
function giveBack() {
  if (own === before.own && state.picture === shown) change(before.state);
}

function endTour() {
  pause();
  if (STEPS[stop].state) giveBack();
  close();
  $("tour-open").focus();
}

function close() {
  stop = null;
  $("tour").hidden = true;
  document.body.classList.remove("touring");
  document.body.dataset.hide = "";
  for (const each of document.querySelectorAll(".toured")) each.classList.remove("toured");
}

$("tour-open").addEventListener("click", () => {
  showStop(0);
  // The card stays where it is now, so that its buttons do not move while a step scrolls the page.
  if (getComputedStyle($("tour")).position === "sticky") scrollBy(0, $("tour").getBoundingClientRect().top);
  $("tour-next").focus({ preventScroll: true });
});
$("tour-next").addEventListener("click", () => (stop === STEPS.length - 1 ? endTour() : showStop(stop + 1)));
$("tour-back").addEventListener("click", () => showStop(stop - 1));
$("tour-close").addEventListener("click", endTour);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && stop !== null && !event.target.closest?.("input, select")) endTour();
});
addEventListener("hashchange", () => {
  if (stop !== null && location.hash.length > 1) close(); // a link was followed, and what it leads to stays
});

// The page scrolls what it brings into view, and what the Tab key reaches, to where the card does not
// cover it.
function measureCard() {
  document.documentElement.style.setProperty("--tour", `${$("tour").offsetHeight}px`);
}
new ResizeObserver(measureCard).observe($("tour"));
