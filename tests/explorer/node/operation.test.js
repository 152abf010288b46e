// What one output, all outputs, and the way back amount to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Axis } from "../geometry.js";
import { cellsUnder, compute, outputsUsing, strongest, workBack, workOut } from "../operation.js";

// 4 x 5 pixels, 0 to 19, in c channels that differ by 100; a window of 2 x 3.
function problemOf(operation, changes = {}) {
  const { c = 1, before = 0, after = 0, stride = 1, ...others } = changes;
  const data = Array.from({ length: 20 * c }, (_, n) => Math.floor(n / c) + 100 * (n % c));
  return {
    operation, colour: c > 1 ? "each" : "gray", image: { h: 4, w: 5, c, data },
    layers: [[1, 2, 3, 4, 5, 6]],
    rows: new Axis(4, 2, stride, 1, before, after), columns: new Axis(5, 3, stride, 1, before, after),
    padMode: "constant", countPadding: false, ...others,
  };
}

test("a convolution adds up the window times the kernel", () => {
  const { h, w, c, data } = compute(problemOf("convolve"));
  assert.deepEqual([h, w, c], [3, 3, 1]);
  assert.equal(data[0], 0 * 1 + 1 * 2 + 2 * 3 + 5 * 4 + 6 * 5 + 7 * 6);
  assert.equal(data[8], 12 * 1 + 13 * 2 + 14 * 3 + 17 * 4 + 18 * 5 + 19 * 6);
});

test("poolings keep the largest, the smallest, or the mean", () => {
  assert.deepEqual([...compute(problemOf("max")).data], [7, 8, 9, 12, 13, 14, 17, 18, 19]);
  assert.deepEqual([...compute(problemOf("min")).data], [0, 1, 2, 5, 6, 7, 10, 11, 12]);
  assert.deepEqual([...compute(problemOf("avg")).data], [3.5, 4.5, 5.5, 8.5, 9.5, 10.5, 13.5, 14.5, 15.5]);
});

test("an average divides by the cells that count", () => {
  const padded = { before: 1, after: 1 }; // the first window sees two pixels: 0 and 1
  assert.equal(compute(problemOf("avg", padded)).data[0], 1 / 2);
  assert.equal(compute(problemOf("avg", { ...padded, countPadding: true })).data[0], 1 / 6);
});

test("channels are summed, or stay apart", () => {
  const [apart, summed] = ["each", "summed"].map((colour) => compute(problemOf("convolve", { c: 3, colour })));
  assert.deepEqual([apart.c, summed.c], [3, 1]);
  for (let n = 0; n < 9; n++) {
    assert.equal(summed.data[n], apart.data[3 * n] + apart.data[3 * n + 1] + apart.data[3 * n + 2]);
  }
});

test("an output that is worked out is the one that was computed", () => {
  for (const operation of ["convolve", "max", "min", "avg"]) {
    for (const padMode of ["constant", "reflect", "wrap"]) {
      const problem = problemOf(operation, { before: 1, after: 1, stride: 2, padMode });
      const { h, w, data } = compute(problem);
      for (let y = 0; y < h; y++) {
        for (let x = 0; x < w; x++) assert.equal(workOut(problem, y, x).channels[0].result, data[y * w + x]);
      }
    }
  }
});

test("pixels and outputs name each other", () => {
  const problem = problemOf("convolve", { before: 1, after: 1, padMode: "wrap" });
  const { h, w } = compute(problem);
  for (let row = 0; row < 4; row++) {
    for (let column = 0; column < 5; column++) {
      const used = outputsUsing(problem, row, column).map(String);
      for (let y = 0; y < h; y++) {
        for (let x = 0; x < w; x++) {
          const meets = workOut(problem, y, x).cells.some(({ from }) => String(from) === `${row},${column}`);
          assert.equal(used.includes(`${y},${x}`), meets);
        }
      }
    }
  }
});

test("the way back has the same products as the way there", () => {
  // <convolve(image), output> = <image, back(output)>, which defines the transpose.
  for (const padMode of ["constant", "edge", "reflect", "symmetric", "wrap"]) {
    const problem = problemOf("convolve", { before: 2, after: 1, padMode });
    const output = compute(problem);
    const there = output.data.reduce((sum, value) => sum + value * value, 0);
    let back = 0;
    problem.image.data.forEach((value, n) => {
      back += value * workBack(problem, output, Math.floor(n / 5), n % 5).channels[0].result;
    });
    assert.equal(back, there);
  }
});

test("the most telling output is the largest whose window lies on the picture", () => {
  const problem = problemOf("convolve", { before: 1, after: 1 });
  assert.deepEqual(strongest(problem, compute(problem)), [3, 3]);
});

test("a tap meets one cell for each output", () => {
  assert.deepEqual(cellsUnder(problemOf("convolve", { stride: 2 }), 1, 2), [[1, 2], [1, 4], [3, 2], [3, 4]]);
});
