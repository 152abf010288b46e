// What users can take with them: programs, pictures, and the link.
import { LIBRARIES, programFor } from "./code.js";
import { $, choice, copy, say } from "./controls.js";
import { PANELS, theme } from "./grids.js";
import { workOut } from "./operation.js";
import { drawGrid, drawMarks, tallOf } from "./panels.js";
import { pause } from "./navigation.js";
import { animation, saveAs } from "./png.js";
import { fromFragment, toFragment } from "./state.js";
import { START, bring, change, gallery, now, onChange, onLook, point, shownChain, state } from "./store.js";
import { windowMarks } from "./arithmetic.js";
import { count } from "./text.js";

let library = LIBRARIES[0];

const tabs = choice($("libraries"), LIBRARIES.map((name) => [name, name]), (name) => {
  library = name;
  showCode();
}, { role: "tab", mark: "aria-selected" });

function showCode() {
  tabs.show(library);
  const { code, note } = now.reason ? { code: null, note: "There is no output, so there is no call." }
    : programFor(library, shownChain());
  $("code").textContent = code ?? `# ${library} has no call for this.`;
  $("code-copy").hidden = code === null;
  $("code-note").textContent = note;
}
$("code-copy").addEventListener("click", () => copy($("code").textContent, $("code-copy")));

$("image-copy").addEventListener("click", () => {
  const image = now.bank?.image ?? now.chain[0].image;
  const whole = image.data instanceof Uint8Array;
  if (image.signal) {
    copy(`import numpy as np\n\nsamples = np.array([${[...image.data].join(", ")}])\n`, $("image-copy"));
    return;
  }
  const pixel = (n) => (image.c === 1 ? image.data[n] : `[${[...image.data.subarray(n * image.c, (n + 1) * image.c)].join(", ")}]`);
  const rows = Array.from({ length: image.h }, (_, y) =>
    `    [${Array.from({ length: image.w }, (_, x) => pixel(y * image.w + x)).join(", ")}],`);
  copy(`import numpy as np\n\nimage = np.array([\n${rows.join("\n")}\n], dtype=np.${whole ? "uint8" : "float64"})\n`, $("image-copy"));
});

$("save-output").addEventListener("click", async () => {
  const { grid } = PANELS.output;
  const signal = Boolean(grid.range);
  const cell = Math.max(1, Math.floor((signal ? 1024 : 512) / Math.max(grid.across, grid.down)));
  const small = new OffscreenCanvas(grid.across, grid.down);
  const large = new OffscreenCanvas(grid.across * cell, grid.down * tallOf(grid, cell));
  const context = large.getContext("2d");
  drawGrid(context, { ...grid, text: () => null }, cell, Infinity, 0, theme, small);
  saveAs(await large.convertToBlob({ type: "image/png" }), "convlens-output.png");
});

const MOST_FRAMES = 150;
let animating = false;
$("save-animation").addEventListener("click", async () => {
  animating = true;
  showButtons();
  $("keep-note").textContent = "Drawing the frames…";
  try {
    $("keep-note").textContent = await saveAnimation();
  } finally {
    animating = false;
    showButtons();
  }
});

// Saves the animation of what the page shows now, even if that changes while frames are drawn, and
// returns what to say about it.
async function saveAnimation() {
  const [left, right] = [PANELS.input.grid, PANELS.output.grid];
  const { problem, image: { signal }, columns, output: { h, w } } = now;
  const colours = theme;
  const most = Math.max(left.across, left.down, right.across, right.down);
  const cell = Math.max(2, Math.min(28, Math.floor((signal ? 640 : 300) / most)));
  // Two pictures lie side by side; a signal's output lies below it, at the same time.
  const cells = [cell, signal ? cell * columns.stride : cell];
  const places = [[10, 10], signal ? [10 + columns.before * cell, 24 + tallOf(left, cell)] : [34 + left.across * cell, 10]];
  const sizes = [left, right].map((grid, side) => [grid.across * cells[side], grid.down * tallOf(grid, cells[side])]);
  const extent = (n) => Math.max(...places.map((at, side) => at[n] + sizes[side][n])) + 14;
  const canvas = new OffscreenCanvas(extent(0), extent(1));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const still = [left, right].map((grid, side) => {
    const base = new OffscreenCanvas(sizes[side][0] + 4, sizes[side][1] + 4);
    drawGrid(base.getContext("2d"), grid, cells[side], 1, 2, colours, new OffscreenCanvas(1, 1));
    return base;
  });
  const frames = Math.min(MOST_FRAMES, h * w);
  const blob = await animation(canvas, frames, Math.max(40, Math.min(250, 20000 / frames)), (n) => {
    const place = Math.round((n * (h * w - 1)) / Math.max(1, frames - 1));
    const at = [Math.floor(place / w), place % w];
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, canvas.width, canvas.height);
    const marks = [windowMarks(problem, workOut(problem, ...at), ...at), [{ shape: "veil", cells: [at] }, { shape: "box", cells: [at] }]];
    [left, right].forEach((grid, side) => {
      context.save();
      context.translate(...places[side]);
      context.drawImage(still[side], 0, 0);
      drawMarks(context, marks[side], grid, cells[side], 1, 2, colours);
      context.restore();
    });
  });
  saveAs(blob, "convlens-animation.png");
  return `Saved ${count(frames, "frame")}${frames < h * w ? ` of ${h * w} places` : ""}. Browsers and most viewers play animated PNG.`;
}

function showButtons() {
  $("save-output").disabled = !now.output;
  $("save-animation").disabled = animating || !now.output;
}

// ------------------------------------------------------------------------ the link

// The fragment that the page wrote or read last. If the address has another one, the user has
// followed a link, and the event that tells the page so has not arrived yet.
let known = null;

let writing = null;
function remember() {
  clearTimeout(writing);
  writing = setTimeout(writeAddress, 250);
}
const fragment = () => `#${toFragment(state, now.picture)}`;
function writeAddress() {
  if (location.hash !== known) return; // writing would replace the link before it is read
  try {
    history.replaceState(null, "", fragment());
    known = location.hash;
  } catch {
    // A notebook's frame has no address of its own, and so there is no link to write.
  }
}
$("link-copy").addEventListener("click", () => {
  writeAddress();
  copy(new URL(fragment(), location.href).href, $("link-copy"));
});

export function readAddress() {
  if (location.hash === known) return;
  known = location.hash;
  const read = fromFragment(location.hash.slice(1), START, gallery);
  if (read.own) bring(read.own);
  say(read.unread.length ? `Part of the link makes no sense and was left out: ${read.unread.join(", ")}.` : "");
  pause();
  point(null);
  change(read.state);
}

onChange(showCode);
let pinned = ""; // the kind of what was pinned: with a pixel of the input, the program has the way back
onLook(() => {
  const kind = state.pin?.[0] ?? "";
  if (kind !== pinned) showCode();
  pinned = kind;
});
onChange(showButtons);
onChange(remember);
onLook(remember);
