// Shows what a transposed convolution makes of the whole output: a picture as large as the input. In both a
// pixel is marked, with the outputs that come together at it.
import { rangeOf } from "./bars.js";
import { scaleOf } from "./colours.js";
import { $ } from "./controls.js";
import { outputGrid, stageWidth, theme } from "./grids.js";
import { sendBack } from "./operation.js";
import { Panel } from "./panels.js";
import { now } from "./store.js";
import { sentText } from "./text.js";

const sentPanels = [...$("sent").querySelectorAll(".small")].map((small) => new Panel(...small.children));
let [sentOf, sent] = [null, null]; // an output, and what becomes of it: too much work for each move of the mouse

export function hideSent() {
  $("sent").hidden = true;
}

export function showSent(pixel, outputs) {
  $("sent").hidden = false;
  const { output, outputScale, mixedScale, problem } = now;
  if (sentOf !== output) [sentOf, sent] = [output, sendBack(problem, output)];
  const signed = outputScale.signed || problem.layers.some((layer) => layer.some((weight) => weight < 0));
  const scale = scaleOf(sent.data, signed, 0);
  const grids = [outputGrid(output, outputScale, mixedScale), outputGrid(sent, scale, scale)];
  const signal = Boolean(now.image.signal);
  if (signal) {
    grids.forEach((grid, n) => Object.assign(grid, { aspect: 0.5 * grid.across, range: rangeOf([output, sent][n].data), read: (column) => grid.value(0, column) }));
  }
  const ratio = window.devicePixelRatio || 1;
  const room = Math.min(264, (stageWidth - 40) / 2) * ratio;
  // Both have the same scale, so that one sees which has more pixels.
  const cell = Math.max(1, Math.floor(room / Math.max(...grids.flatMap(({ down, across }) => (signal ? across : [down, across])))));
  const marks = [outputs, [pixel]];
  sentPanels.forEach((panel, n) => {
    panel.resize(grids[n], cell, ratio);
    panel.draw(theme);
    panel.mark([{ shape: "tint", cells: n ? [] : outputs }, { shape: "cells", cells: marks[n] }], theme);
  });
  const sizes = [output, sent].map(({ h, w }) => (signal ? String(w) : `${h}\u00a0×\u00a0${w}`));
  ["output", "back"].forEach((name, n) => ($(`sent-${name}-size`).textContent = sizes[n]));
  $("sent-text").textContent = sentText(...sizes);
}
