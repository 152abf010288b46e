// Holds the page's state, the user's own picture, what is pointed at, and all that is computed from
// these. Modules that show some of it register to be told of changes.
import { scaleOf, pictureScale } from "./colours.js";
import { $ } from "./controls.js";
import { compute, strongest } from "./operation.js";
import { channelsOf, drawnSamples, fitted, givenPicture, toGray, withBrightness } from "./pictures.js";
import { sampleSignals } from "./signals.js";
import { DEFAULTS, axesOf, isPooling, metBy, obstacle, operationsOf, settingsOf, settled, showing } from "./state.js";

export const given = JSON.parse($("data").textContent);
export const gallery = [...given.pictures.map(givenPicture), ...drawnSamples(), ...given.photographs.map(givenPicture), ...sampleSignals()];
export const START = { ...DEFAULTS, ...given.start };

export let state = { ...START };
export let own = null; // the picture that was opened or drawn here
export let hover = null; // what is pointed at: ["output" or "input" or "tap", row, column]
export let veiled = false; // whether outputs that the sliding window has not reached are hidden
export let now = {}; // computed: original, picture, chain, and all parts of the chain's link that is shown

const [changed, looked] = [[], []];
export const onChange = (tell) => changed.push(tell);
export const onLook = (tell) => looked.push(tell);

// A file takes a while to be decoded, and the user may choose another picture meanwhile. The newest
// choice counts, not the one that is ready last. A choice that takes time begins with this call,
// and the function that it returns says whether the choice is still the newest.
let choices = 0;
export function choosing() {
  const mine = ++choices;
  return () => mine === choices;
}

// Changes the state in a way that needs another output.
export function change(patch) {
  performance.mark("change");
  if ("picture" in patch) choices++;
  state = { ...state, ...patch };
  veiled = false;
  evaluate();
  for (const tell of changed) tell();
  performance.measure("redraw", "change");
}

// Changes what is looked at, in the same output.
export function look(patch, { point = null, veil = false } = {}) {
  state = { ...state, ...patch };
  hover = point;
  veiled = veil;
  for (const tell of looked) tell();
}

// Tells where the mouse points, or that it points at nothing any more.
export function point(at) {
  if (String(at) !== String(hover)) look({}, { point: at, veil: veiled && !at });
}

// The operations up to the one that is shown.
export const shownChain = () => now.chain.slice(0, state.before.length).concat({ ...now, state });

export function bring(picture) {
  own = picture;
}

export const focus = () => hover ?? state.pin ?? ["output", ...(state.at ?? [0, 0])];

// The layer of the kernel whose numbers are shown and edited.
export const editedIndex = () => (state.layers.length === 1 || state.layer === "all" ? 0 : state.layer);
export const editedLayer = () => state.layers[editedIndex()];

const pictureOf = (id) => (id === "own" && own) || gallery.find((each) => each.id === id) || gallery[0];

let fittedFrom = []; // the picture that `now.picture` was made from, and how
function evaluate() {
  const original = pictureOf(state.picture);
  const how = [original, state.side, state.fit, ...state.corner];
  if (how.some((part, n) => part !== fittedFrom[n])) {
    now.picture = fitted(original, state.side, state.fit, state.corner);
    now.gray = toGray(now.picture);
    fittedFrom = how;
  }
  const shown = state.before.length;
  const operations = operationsOf(state);
  const chain = [];
  for (let n = 0, input = now.picture; n < operations.length && input; n++) {
    const one = n === shown ? state : { ...state, ...showing(operations, n) };
    const link = run(settled(one, input), input);
    if (link.reason && n < shown) {
      state = { ...state, ...showing(operations, n) }; // nothing reaches the operation that was shown
      return evaluate();
    }
    chain.push(link);
    operations[n] = settingsOf(link.state);
    input = link.output && made(link);
  }
  const link = chain[shown];
  state = { ...link.state, before: operations.slice(0, shown), after: operations.slice(shown + 1) };
  state.at ??= link.output ? strongest(link.problem, link.output) : null;
  now = { ...now, original, chain, ...link };
}

// One of the operations in a row, with the picture that it takes and all that it makes of it.
function run(state, colourful) {
  const four = state.colour === "several" ? withBrightness(colourful) : null;
  const metBySeveral = (n) => channelsOf(four, ...metBy(n, state.groups));
  const image = four ? metBySeveral(state.kernel) : state.colour !== "gray" ? colourful : colourful === now.picture ? now.gray : toGray(colourful);
  const [rows, columns] = axesOf(state, image);
  // Turned by 180°, a kernel's numbers are those of its rows in the opposite order.
  const inUse = (layers) => layers.map((layer) => Float64Array.from(state.flip ? layer.flat().reverse() : layer.flat()));
  const problem = {
    operation: state.operation, colour: four ? "summed" : state.colour, image, rows, columns, padMode: state.padMode,
    countPadding: state.countPadding,
    layers: inUse(state.layers),
  };
  const reason = obstacle(state, rows, columns);
  const negative = !isPooling(state) && problem.layers.some((layer) => layer.some((weight) => weight < 0));
  const output = reason ? null : compute(problem);
  const outputs = four && output && state.kernels.map((layers, n) => n === state.kernel ? output
    : compute({ ...problem, image: metBySeveral(n), layers: inUse(layers) }));
  const outputScale = output && scaleOf(output.data, image.signed || negative, image.high);
  // A kernel with a positive sum gives results that can be shown as colours. Other kernels give
  // changes, which lie around zero.
  const { signed, limit = image.high } = image.mixed ?? image;
  const brightness = problem.layers[0].reduce((sum, weight) => sum + weight, 0);
  const natural = !signed && (isPooling(state) || brightness > 1e-9);
  return {
    state, colourful, image, rows, columns, problem, reason, output,
    bank: four && { image: four, outputs }, // of several kernels: all channels, and the output of each
    inputScale: pictureScale(image),
    outputScale,
    mixedScale: natural && outputScale?.signed ? { signed: false, limit } : outputScale,
  };
}

// What an operation makes, as the picture that the next one takes, in the same colours.
const made = ({ image, output, outputScale, mixedScale }) =>
  ({ ...image, ...output, made: true, mixed: mixedScale, high: outputScale.limit, signed: outputScale.signed });
