// Shows operations in a row: a small picture of what each makes, to choose the one that is shown, and in
// all of them what the output that is pointed at sees, back to the picture.
import { rangeOf } from "./bars.js";
import { $, choice, element } from "./controls.js";
import { fieldOf } from "./geometry.js";
import { outputGrid, stageWidth, theme } from "./grids.js";
import { seen } from "./operation.js";
import { Panel } from "./panels.js";
import { DEFAULTS, MOST_OPERATIONS, isPooling, operationsOf, settingsOf, showing } from "./state.js";
import { change, focus, now, onChange, onLook, state } from "./store.js";
import { fieldText, operationText, worded } from "./text.js";

let links = null; // the buttons of the operations
let panels = []; // of the picture, and of what each operation makes
let pointed = null; // what is pointed at in a small picture: its number, row and column

function build(count) {
  const cards = Array.from({ length: count }, () => {
    const small = element("div", { className: "small" }, element("canvas"), element("canvas"));
    return element("div", {}, small, element("span", { className: "name" }), element("span", { className: "size" }));
  });
  links = choice($("chain-choice"), cards.map((card, n) => [n, card]), (n) => change(showing(operationsOf(state), n)));
  for (const button of links.buttons) button.className = "link";
  panels = [...$("chain").querySelectorAll(".small")].map((small, n) => {
    const panel = new Panel(...small.children);
    small.onpointermove = (event) => pointAt(panel.grid && [n, ...panel.cellAt(event.clientX, event.clientY) ?? []]);
    small.onpointerleave = () => pointAt(null);
    return panel;
  });
}

function pointAt(at) {
  pointed = at?.length === 3 ? at : null;
  showField();
}

const sizeText = ({ h, w }) => (now.image.signal ? String(w) : `${h} × ${w}`);

function showChain() {
  const { chain } = now;
  const all = operationsOf(state);
  const alone = all.length === 1;
  $("chain").hidden = alone;
  $("chain-begin").hidden = !alone;
  $("chain-start").disabled = Boolean(now.bank);
  $("chain-hint").textContent = `A network has several in a row.${now.bank ? " Here such a row is shown with one kernel each: first choose “Colour, summed” under Channels." : ""}`;
  pointed = null;
  $("chain-sentence").textContent = "";
  if (alone) return;
  if (links?.buttons.length !== all.length) build(all.length);
  links.show(state.before.length);
  $("chain-picture").textContent = worded("The picture");
  $("chain-size").textContent = sizeText(now.picture);
  links.buttons.forEach((button, n) => {
    const made = chain[n]?.output;
    const [name, size] = [chain[n] ? operationText(chain[n]) : "", made ? sizeText(made) : "no output"];
    button.querySelector(".name").textContent = `${n + 1}. ${name}`.replaceAll(" × ", "\u00a0×\u00a0");
    button.querySelector(".size").textContent = size;
    button.setAttribute("aria-label", `Operation ${n + 1}: ${name}, ${size}`);
  });
  $("chain-add").disabled = all.length === MOST_OPERATIONS || !now.output;
  $("chain-remove").textContent = `Remove operation ${state.before.length + 1}`;
  drawChain();
}

// The small pictures have room for the same width and height. Those of few pixels are drawn larger, but not
// so large that they would look as if they had as many.
export function drawChain() {
  if ($("chain").hidden) return;
  const { chain } = now;
  const ratio = window.devicePixelRatio || 1;
  const room = Math.min(190, stageWidth / panels.length - (stageWidth < 600 ? 14 : 44)) * ratio;
  let most = Infinity;
  panels.forEach((panel, n) => {
    const [values, scale, mixed] = n === 0 ? [chain[0].image, chain[0].inputScale, chain[0].inputScale]
      : [chain[n - 1]?.output, chain[n - 1]?.outputScale, chain[n - 1]?.mixedScale];
    panel.base.parentElement.hidden = !values;
    panel.grid = null;
    if (!values) return;
    const grid = { ...outputGrid(values, scale, mixed), text: () => null };
    const { signal } = now.image;
    if (signal) Object.assign(grid, { aspect: 0.5 * grid.across, range: rangeOf(values.data), read: (column) => grid.value(0, column) });
    const cell = Math.max(1, Math.floor(Math.min(room / Math.max(grid.across, signal ? 1 : grid.down), most)));
    if (n === 0) most = 2 * cell;
    panel.resize(grid, cell, ratio);
    panel.draw(theme);
  });
  showField();
}

// What is pointed at, as the number of a small picture and a place in it.
function placeSeen() {
  const shown = state.before.length;
  const [what, row, column] = focus();
  if (pointed) return pointed;
  if (what === "input") return now.rows.isPixel(row) && now.columns.isPixel(column) ? [shown, row, column] : null;
  if (!now.output) return null;
  return what === "output" ? [shown + 1, row, column] : [shown + 1, ...state.at];
}

function showField() {
  if ($("chain").hidden) return;
  const at = placeSeen();
  const marks = panels.map(() => []);
  $("chain-sentence").textContent = "";
  if (at) {
    const [n, y, x] = at;
    const problems = now.chain.slice(0, n).map(({ problem }) => problem);
    const fields = seen(problems, y, x);
    fields.forEach(([rows, columns], k) => {
      if (!rows.length || !columns.length) return; // padding alone
      marks[k].push({ shape: "tint", cells: rows.flatMap((row) => columns.map((column) => [row, column])) },
        { shape: "box", cells: [[rows[0], columns[0]]], size: [rows, columns].map((cells) => cells.at(-1) - cells[0] + 1) });
    });
    marks[n].push({ shape: "box", cells: [[y, x]] });
    $("chain-sentence").textContent = worded(n === 0 ? "This is a pixel of the picture itself."
      : fieldText(n, [y, x], ["rows", "columns"].map((name) => fieldOf(problems.map((problem) => problem[name]))), fields[0]));
  }
  panels.forEach((panel, n) => panel.grid && panel.mark(marks[n], theme));
}

// A pooling comes after a convolution, and a convolution after a pooling, with the kernel of another.
function addOperation() {
  const operations = operationsOf(state);
  const n = state.before.length + 1;
  const across = now.image.signal ? 1 : 2;
  const next = isPooling(state) ? { layers: (operations.find((one) => !isPooling(one)) ?? DEFAULTS).layers.slice(0, 1) }
    : { operation: "max", window: [across, 2], stride: [across, 2] };
  operations.splice(n, 0, { ...settingsOf(DEFAULTS), ...next });
  change(showing(operations, n));
  links.buttons[n].focus();
}
for (const id of ["chain-start", "chain-add"]) $(id).addEventListener("click", addOperation);

$("chain-remove").addEventListener("click", () => {
  const operations = operationsOf(state);
  const n = state.before.length;
  operations.splice(n, 1);
  change(showing(operations, Math.max(0, n - 1)));
  if (operations.length > 1) links.buttons[state.before.length].focus();
  else $("chain-start").focus();
});

onChange(showChain);
onLook(showField);
