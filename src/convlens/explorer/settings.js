// Shows the settings, with a sentence about each. What cannot be chosen is disabled and says why.
import { $, choice, element, whole } from "./controls.js";
import { SIDES, isLarge } from "./pictures.js";
import { PAD_MODES, isPooling } from "./state.js";
import { change, now, onChange, state } from "./store.js";
import { channelNames, worded } from "./text.js";

const operations = choice($("operation"), [["convolve", "Convolve"], ["max", "Max pool"], ["avg", "Average pool"], ["min", "Min pool"]], (operation) => {
  const patch = { operation };
  if (operation !== "convolve" && !isPooling(state)) Object.assign(patch, { stride: [...state.window], pin: null });
  if (operation === "convolve" && isPooling(state)) Object.assign(patch, { stride: [1, 1], pin: null });
  change(patch);
});
const OPERATION_HINTS = {
  convolve: "Multiply each pixel under the window with the kernel’s number there, and add up.",
  max: "Keep the largest pixel under the window.",
  avg: "Keep the mean of the pixels under the window.",
  min: "Keep the smallest pixel under the window.",
};

const colours = choice($("colour"), [["gray", "Gray"], ["summed", "Colour, summed"], ["each", "Each by itself"], ["several", "Several kernels, groups"]], (colour) => change({ colour }));
const COLOUR_HINTS = {
  gray: "One number a pixel: its brightness.",
  summed: "Three numbers a pixel; the kernel has a layer for each, and everything is added up to one number.",
  each: "Three numbers a pixel; every channel is treated alone, and the output has three as well.",
  several: "Four numbers a pixel, with the brightness. Each of four kernels makes a channel of the output, from all channels or from those of its group.",
};

const paddings = choice($("padding"), [["valid", "Valid: none"], ["same", "Same"], ["full", "Full"], ["given", "Your own"], ["causal", "Causal"]], (word) => {
  const { rows, columns } = now;
  const cells = [[rows.before, rows.after], [columns.before, columns.after]].map((ends) => ends.map((n) => Math.min(n, 32)));
  change({ padding: word === "given" ? cells : word });
});
const PADDING_HINTS = {
  valid: "No cells are added: the window stays on the picture, so the output is smaller than it.",
  same: "Cells are added around the picture, just enough for an output as large as the picture; or with a stride, that size divided by it.",
  full: "Cells are added around the picture, so many that the window may touch it with one corner.",
  given: "Cells are added on each side, as many as you say.",
  causal: "Cells are added in front only, so that each window ends at its own sample: it sees the present and the past, never the future. What runs live, such as a filter of sound or a forecast, can be nothing else.",
};
const showPad = [0, 1].map((n) => [0, 1].map((end) => whole(`pad-${n}-${end}`, (value) => {
  const padding = [[...state.padding[0]], [...state.padding[1]]];
  padding[n][end] = value;
  change({ padding });
})));

const BORDERS = {
  constant: ["zeros", "Zeros are black pixels to the kernel: it may see an edge that is not in the picture."],
  edge: ["the nearest pixel", "The outermost pixels are repeated."],
  reflect: ["a mirror image", "Mirrored at the outermost pixels, which are not repeated."],
  symmetric: ["a mirror image, edge twice", "Mirrored behind the outermost pixels, which come twice."],
  wrap: ["the opposite side, as a circle", "As if the picture were closed to a circle: after its last pixel comes its first."],
};
$("border").replaceChildren(...PAD_MODES.map((mode) => element("option", { value: mode })));
$("border").addEventListener("change", () => change({ padMode: $("border").value }));
$("flip").addEventListener("change", () => change({ flip: $("flip").checked }));
$("count").addEventListener("change", () => change({ countPadding: $("count").checked }));
$("partial").addEventListener("change", () => change({ partial: $("partial").checked }));

const steps = (name) => [0, 1].map((n) => whole(`${name}-${n}`, (value) => {
  const both = [...state[name]];
  both[n] = value;
  change({ [name]: both });
}));
const [showStride, showDilation] = [steps("stride"), steps("dilation")];

let [layerChoice, layerNames] = [null, ""]; // the channels' names as they are on the buttons
function showLayers() {
  const names = channelNames().slice(0, now.image.c);
  $("layer-choice").hidden = names.length === 1;
  if (String(names) !== layerNames) {
    layerNames = String(names);
    layerChoice = choice($("layer-choice"), [["all", "All"], ...names.map((name, n) => [n, name])], (layer) => change({ layer }));
  }
  layerChoice.show(state.layer);
}

function showSettings() {
  const pooling = isPooling(state);
  operations.show(state.operation);
  $("operation-hint").textContent = worded(OPERATION_HINTS[state.operation]);
  $("flip-label").hidden = $("flip-hint").hidden = pooling;
  $("flip").checked = state.flip;
  $("flip-hint").textContent = state.flip
    ? "The window is multiplied by the kernel turned around: a convolution as mathematics and signal processing define it."
    : "The kernel lies on the window as it stands: cross-correlation, which deep learning calls convolution.";
  const { signal } = now.image;
  for (const part of document.querySelectorAll("#colour-field, #stride-down, #dilation-down, .pad-down")) part.hidden = Boolean(signal);
  const gray = now.colourful.c === 1;
  const refused = {};
  const { made } = now.image;
  if (gray) refused.summed = refused.each = refused.several = made ? "Its input has one channel." : "This picture is gray.";
  else if (made) refused.gray = "Its input is the output of another operation, whose channels have no brightness.";
  const inRow = state.before.length + state.after.length > 0;
  if (inRow) refused.several = "Operations in a row have one kernel each.";
  if (pooling) refused.summed = refused.several = "Pooling treats every channel by itself.";
  colours.show(state.colour, refused);
  $("colour-hint").textContent = gray && made ? "One number a pixel comes from the operation before." : gray ? "This picture is gray: one number a pixel. Take a colour photograph to see channels."
    : `${COLOUR_HINTS[state.colour]}${pooling ? " Pooling never sums channels." : ""}${inRow ? " Several kernels are shown for one operation alone: to choose them, remove the others." : ""}`;
  showLayers();

  const word = typeof state.padding === "string" ? state.padding : "given";
  paddings.show(word, signal ? {} : { causal: "Causal padding is for signals: a picture has no past and no future." });
  paddings.buttons.at(-1).hidden = !signal;
  $("padding-hint").textContent = worded(PADDING_HINTS[word]);
  $("given-row").hidden = word !== "given";
  if (word === "given") showPad.forEach((ends, n) => ends.forEach((showEnd, end) => showEnd(state.padding[n][end])));
  for (const option of $("border").options) option.textContent = `${worded(BORDERS[option.value][0])} (${option.value})`;
  $("border").value = state.padMode;
  const { rows, columns } = now;
  const padded = rows.padded > rows.size || columns.padded > columns.size;
  $("border-label").hidden = pooling || !padded;
  $("border-hint").textContent = worded(!padded ? "" : !pooling ? BORDERS[state.padMode][1]
    : state.operation !== "avg" ? "Pooling chooses among real pixels: padded cells never win."
    : state.countPadding ? "" : "The mean is taken of real pixels; padded cells are left out.");
  $("count-label").hidden = state.operation !== "avg" || !padded;
  $("partial-label").hidden = !pooling;
  $("count").checked = state.countPadding;
  $("partial").checked = state.partial;

  for (const [shows, values] of [[showStride, state.stride], [showDilation, state.dilation]]) shows.forEach((showOne, n) => showOne(values[n]));
  $("stride-hint").textContent = strideText(state.stride, "The window moves one pixel at a time.", (n) => `The window moves ${n} pixels at a time and skips the places between.`);
  $("dilation-hint").textContent = strideText(state.dilation, "The cells of the window lie side by side.", (n) => `The cells of the window lie ${n} pixels apart, with gaps between: it reaches further with as many numbers.`);

  const large = Math.max(now.original.h, now.original.w) > SIDES[0] && now.original.c * now.original.h > 0 && isLarge(now.original, SIDES[0]);
  $("fit-row").hidden = !large;
  if (large) {
    const { original, picture: image } = now;
    $("fit").value = state.fit;
    $("side").value = String(state.side);
    const region = state.fit === "region" && isLarge(original, state.side);
    $("corner-row").hidden = !region;
    [[original.h, image.h], [original.w, image.w]].forEach(([all, part], n) => {
      $(`corner-${n}`).max = String(Math.max(0, all - part));
      $(`corner-${n}`).value = String(state.corner[n]);
    });
    const what = !isLarge(original, state.side) ? `All ${original.h} × ${original.w} pixels are shown as they are.`
      : region ? `You see ${image.h} × ${image.w} of its ${original.h} × ${original.w} pixels.`
      : `Scaled from ${original.h} × ${original.w} to ${image.h} × ${image.w}: each pixel is the mean of those it stands for.`;
    $("fit-note").textContent = what;
  }
  $("picture-note").textContent = now.original.note ?? "";
}

const strideText = ([down, across], one, many) => now.image.signal ? worded(across === 1 ? one : many(across))
  : down === across ? (down === 1 ? one : many(down)) : `${many(down).replace(".", " downwards.")} Across it is ${across}.`;

$("side").replaceChildren(...SIDES.map((side) => element("option", { value: String(side), textContent: String(side) })));
$("side").addEventListener("change", () => change({ side: Number($("side").value), pin: null, at: null }));
$("fit").addEventListener("change", () => change({ fit: $("fit").value, pin: null, at: null }));
[0, 1].forEach((n) => $(`corner-${n}`).addEventListener("input", () => {
  const corner = [...state.corner];
  corner[n] = Number($(`corner-${n}`).value);
  change({ corner, at: null });
}));

onChange(showSettings);
