// Shows several kernels at once: a small picture of each channel and of each output, which chooses the kernel
// that is shown large, and lines between those that meet, which depend on the number of groups.
import { pictureScale, scaleOf } from "./colours.js";
import { $, choice, element } from "./controls.js";
import { outputGrid, theme } from "./grids.js";
import { drawGrid } from "./panels.js";
import { CHANNEL_NAMES, channelsOf } from "./pictures.js";
import { SEVERAL, metBy, windowOf } from "./state.js";
import { change, now, onChange, state } from "./store.js";

const ALL = Array.from({ length: SEVERAL }, (_, n) => n);
const groupChoice = choice($("groups"), [[1, "Dense"], [2, "2 groups"], [4, "Depthwise"]], (count) => change({ groups: count }));
const HINTS = {
  1: "One group: every kernel meets all channels.",
  2: "Channels and kernels are divided into two groups, and a kernel meets the channels of its own.",
  4: "As many groups as channels: every kernel meets one.",
};

// A small picture with its name; what it is about lights up while it is pointed at.
const card = (kind, n) => {
  const made = element("div", {}, element("canvas"), element("span", { textContent: kind === "input" ? CHANNEL_NAMES[n] : `Output ${n + 1}` }));
  made.onpointerenter = () => showLines([kind, n]);
  made.onpointerleave = () => showLines(null);
  return made;
};
const inputCards = ALL.map((n) => card("input", n));
const outputCards = ALL.map((n) => card("output", n));
$("bank-inputs").append(...inputCards.map((each) => element("div", { className: "card" }, each)));
const kernelChoice = choice($("bank-outputs"), outputCards.map((each, n) => [n, each]), (n) => change({ kernel: n, layers: state.kernels[n], goal: null }));
for (const button of kernelChoice.buttons) button.className = "card";

function showBank() {
  $("bank").hidden = !now.bank;
  $("output-title").textContent = now.bank ? `Output ${state.kernel + 1}` : "Output";
  if (!now.bank) return;
  const { image, outputs: made } = now.bank;
  groupChoice.show(state.groups);
  kernelChoice.show(state.kernel);
  $("groups-hint").textContent = HINTS[state.groups];
  ALL.forEach((n) => {
    drawCard(inputCards[n], channelsOf(image, n, 1), pictureScale(image));
    const signed = image.signed || state.kernels[n].flat(2).some((weight) => weight < 0);
    if (made) drawCard(outputCards[n], made[n], scaleOf(made[n].data, signed, image.high));
  });
  showLines(null);
}

function drawCard(where, values, scale) {
  const canvas = where.querySelector("canvas");
  const cell = Math.max(1, Math.floor(176 / Math.max(values.h, values.w)));
  [canvas.width, canvas.height] = [values.w * cell, values.h * cell];
  drawGrid(canvas.getContext("2d"), { ...outputGrid(values, scale, scale), text: () => null }, cell, Infinity, 0, theme, new OffscreenCanvas(1, 1));
}

// Lights up what meets the output or channel at ["output" or "input", number], or else the output that is shown.
function showLines(at) {
  const [kind, number] = at ?? ["output", state.kernel];
  const meet = (input, output) => {
    const [first, count] = metBy(output, state.groups);
    return input >= first && input < first + count;
  };
  const lit = (input, output) => meet(input, output) && (kind === "input" ? input : output) === number;
  const lines = ALL.flatMap((input) => ALL.filter((output) => meet(input, output)).map((output) => [input, output]))
    .sort((a, b) => lit(...a) - lit(...b)); // the lit ones lie above the others
  $("bank-lines").replaceChildren(...lines.map(([input, output]) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    Object.entries({ x1: 50 + 100 * input, y1: 0, x2: 50 + 100 * output, y2: 60, class: lit(input, output) ? "lit" : "" })
      .forEach(([key, value]) => line.setAttribute(key, String(value)));
    return line;
  }));
  ALL.forEach((n) => inputCards[n].classList.toggle("apart", !ALL.some((output) => lit(n, output))));
  const [first, count] = metBy(number, state.groups);
  const [kh, kw] = windowOf(state);
  const size = (each) => SEVERAL * kh * kw * each;
  const names = CHANNEL_NAMES.slice(first, first + count).map((name) => name.toLowerCase());
  const met = count === SEVERAL ? "all four channels" : names.join(" and ");
  $("bank-sentence").textContent = kind === "input"
    ? `${CHANNEL_NAMES[number]} goes into ${count === 1 ? "one output" : `${count} outputs`}.`
    : `Output ${number + 1} meets ${met}: its kernel has ${count === 1 ? "one layer" : `${count} layers${state.kernels[number].length === 1 ? ", here all alike" : ""}`}. `
      + `All kernels together have ${size(count)} numbers${count < SEVERAL ? `; dense, they would have ${size(SEVERAL)}` : ""}.`;
}

onChange(showBank);
