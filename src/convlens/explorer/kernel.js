// Shows the kernel as a grid of fields for its numbers, or the window of a pooling.
import { colourOf, css, inkOn, scaleOf } from "./colours.js";
import { $, element, remark, whole } from "./controls.js";
import { shortNumber } from "./panels.js";
import { isBegun, isPooling, kernelNumber, resized, windowOf } from "./state.js";
import { SIGNAL_KERNELS } from "./signals.js";
import { change, editedIndex, editedLayer, given, now, onChange, point, state } from "./store.js";
import { channelNames, count, fullNumber } from "./text.js";

const sameKernel = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const NUMBERS = "A kernel holds numbers from −1000000 to 1000000, such as 2, −0.5 or 1/9.";

let kernelShape = "";
function showKernel() {
  const pooling = isPooling(state);
  const [kh, kw] = windowOf(state);
  $("kernel-title").textContent = pooling ? "Window"
    : (now.bank ? `Kernel ${state.kernel + 1}` : "Kernel") + (state.layers.length > 1 ? `, ${channelNames()[editedIndex()].toLowerCase()}` : "");
  showPresets();
  const { signal } = now.image;
  $("kernel-size").textContent = signal ? count(kw, pooling ? "tap" : "number") : `${kh} × ${kw}`;
  $("window-down").hidden = Boolean(signal);
  $("window-down").parentElement.classList.toggle("one", Boolean(signal));
  $("preset-label").hidden = pooling;
  showWindow[0](kh);
  showWindow[1](kw);
  const shape = `${pooling} ${kh} ${kw}`;
  const grid = $("kernel-grid");
  if (shape !== kernelShape) {
    kernelShape = shape;
    $("kernel-panel").classList.toggle("wide", Math.max(kh, kw) > 5);
    grid.replaceChildren(...Array.from({ length: kh }, (_, i) => element("div", { className: "kernel-row" },
      ...Array.from({ length: kw }, (_, j) => kernelCell(pooling, i, j, kh, kw)))));
  }
  const notes = {
    max: "The largest number under it is kept.", min: "The smallest number under it is kept.", avg: "The mean of the numbers under it is kept.",
  };
  $("kernel-note").textContent = notes[state.operation] ?? "";
  if (pooling) return;
  const layer = editedLayer();
  const scale = scaleOf(state.layers.flat(2), true, 0);
  [...grid.querySelectorAll("input")].forEach((field, n) => {
    const value = layer[Math.floor(n / kw)][n % kw];
    if (document.activeElement !== field) {
      if (field.value !== shortNumber(value)) field.value = shortNumber(value);
    } else if (![value, null].includes(kernelNumber(field.value))) {
      field.value = String(value); // it changed by a link or a preset, not by typing
    }
    const colour = colourOf(value, scale);
    field.style.backgroundColor = css(colour);
    field.style.color = inkOn(colour);
  });
  const sum = layer.flat().reduce((all, one) => all + one, 0);
  const shown = state.layer === "all" ? state.layers : [layer];
  const known = offered.findIndex(({ layers }) => sameKernel(layers, shown));
  $("preset").value = String(known);
  const about = offered[known]?.about ?? "";
  $("kernel-note").textContent = `${about} Its numbers add up to ${fullNumber(Math.abs(sum) < 1e-9 ? 0 : sum)}.`.trim();
}

function kernelCell(pooling, i, j, kh, kw) {
  const label = `Row ${i + 1} of ${kh}, column ${j + 1} of ${kw}`;
  const cell = pooling ? element("button", { type: "button" })
    : element("input", { type: "text", inputMode: "decimal", autocomplete: "off" });
  cell.setAttribute("aria-label", `${pooling ? "Tap" : "Kernel"}: ${label}`);
  let before = 0; // the number when the field was entered, which Escape brings back
  cell.addEventListener("pointerenter", () => point(["tap", i, j]));
  cell.addEventListener("pointerleave", () => point(null));
  cell.addEventListener("focus", () => {
    point(["tap", i, j]);
    if (!pooling) {
      before = editedLayer()[i][j];
      cell.value = String(before);
      cell.select();
    }
  });
  cell.addEventListener("blur", () => {
    point(null);
    const value = editedLayer()[i]?.[j]; // undefined if a smaller kernel has removed the field
    if (pooling || value === undefined) return;
    if (kernelNumber(cell.value) === null) remark(cell, `It is ${fullNumber(value)} still. ${NUMBERS}`);
    cell.setAttribute("aria-invalid", "false");
    cell.value = shortNumber(value);
  });
  if (pooling) cell.textContent = "·";
  else cell.addEventListener("input", () => {
    const value = kernelNumber(cell.value);
    const wrong = value === null && !isBegun(cell.value); // "-" is not, until the field is left
    cell.setAttribute("aria-invalid", String(wrong));
    if (value !== null) change({ layers: withNumber(i, j, value) });
    else if (wrong) remark(cell, NUMBERS);
  });
  cell.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !pooling) {
      event.stopPropagation(); // it means this field, not the tour or the pin
      cell.value = String(before);
      cell.dispatchEvent(new Event("input"));
      cell.select();
    }
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key]
      ?? (pooling && { ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key]);
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const rows = [...$("kernel-grid").children];
    rows[(i + step[0] + kh) % kh].children[(j + step[1] + kw) % kw].focus();
  });
  return cell;
}

// Gives each channel a layer of its own as soon as one of them is edited by itself.
function splitLayers() {
  const alone = now.problem.colour === "summed" && state.layer !== "all" && state.layers.length === 1;
  return (alone ? Array(now.image.c).fill(state.layers[0]) : state.layers).map((rows) => rows.map((row) => [...row]));
}

function withNumber(i, j, value) {
  const layers = splitLayers();
  layers[layers.length === 1 || state.layer === "all" ? 0 : state.layer][i][j] = value;
  return layers;
}

const showWindow = [0, 1].map((n) => whole(`window-${n}`, (value) => {
  const size = [...windowOf(state)];
  size[n] = value;
  change(isPooling(state) ? { window: size } : { layers: state.layers.map((layer) => resized(layer, ...size)) });
}));

// The ready-made kernels that are offered: for a signal those of one row.
let offered = [];
function showPresets() {
  const kind = now.image.signal ? SIGNAL_PRESETS : given.presets;
  if (offered === kind) return;
  offered = kind;
  $("preset").replaceChildren(
    element("option", { value: "-1", textContent: "your own numbers", disabled: true }),
    ...offered.map(({ name }, n) => element("option", { value: String(n), textContent: name })),
  );
}
const SIGNAL_PRESETS = [...given.presets.filter(({ layers }) => layers[0].length === 1), ...SIGNAL_KERNELS];
$("preset").addEventListener("change", () => {
  const preset = offered[Number($("preset").value)].layers;
  const layers = splitLayers();
  // A preset is used for one channel alone if its size is that of the other layers.
  const one = layers.length > 1 && state.layer !== "all" && preset.length === 1
    && sameKernel([preset[0].length, preset[0][0].length], windowOf(state));
  change({ layers: one ? layers.map((layer, n) => (n === state.layer ? preset[0] : layer)) : preset });
});

onChange(showKernel);
