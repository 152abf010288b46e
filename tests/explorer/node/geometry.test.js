// Where windows lie, counted out cell by cell instead of by formulas.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Axis, resolvePadding, source, sources } from "../geometry.js";

const MODES = ["edge", "reflect", "symmetric", "wrap"];

function* smallAxes() {
  for (const size of [1, 2, 5, 8])
    for (const window of [1, 2, 3])
      for (const stride of [1, 2, 3])
        for (const dilation of [1, 2])
          for (const [before, after] of [[0, 0], [1, 0], [2, 3]])
            for (const partial of [false, true]) yield new Axis(size, window, stride, dilation, before, after, partial);
}

test("a window starts every `stride` cells; a partial one on a pixel, less than a stride over the end", () => {
  for (const axis of smallAxes()) {
    const places = Array.from({ length: 20 }, (_, n) => n * axis.stride).filter((start) => {
      const over = start + axis.reach - axis.padded;
      return over <= 0 || (axis.partial && over < axis.stride && start < axis.before + axis.size);
    });
    assert.equal(Math.max(0, axis.outputs), places.length, JSON.stringify(axis));
  }
});

test("the taps of a window are `dilation` cells apart", () => {
  for (const axis of smallAxes()) {
    for (let output = 0; output < axis.outputs; output++) {
      const taps = Array.from({ length: axis.window }, (_, tap) => axis.pixel(output, tap));
      assert.equal(taps[0], output * axis.stride - axis.before);
      for (let tap = 1; tap < taps.length; tap++) assert.equal(taps[tap] - taps[tap - 1], axis.dilation);
      assert.equal(axis.count(output), taps.filter((n) => n >= 0 && n < axis.size).length);
    }
  }
});

test("the padding words keep what they promise", () => {
  for (const { size, window, stride, dilation } of smallAxes()) {
    const axisOf = (word) => new Axis(size, window, stride, dilation, ...resolvePadding(word, size, window, stride, dilation));
    assert.equal(axisOf("valid").padded, size);
    assert.equal(axisOf("same").outputs, Math.ceil(size / stride));
    assert.equal(axisOf("full").pixel(0, window - 1), 0); // the first window's last tap is on the first pixel
  }
  assert.deepEqual(resolvePadding([2, 5], 8, 3, 1, 1), [2, 5]);
  assert.deepEqual(resolvePadding("same", 8, 2, 1, 1), [0, 1]); // the odd cell comes after
});

test("borders go on as numpy.pad's do", () => {
  const around = (mode) => Array.from({ length: 13 }, (_, n) => source(n - 4, 5, mode)).join(" ");
  assert.equal(around("constant"), "-1 -1 -1 -1 0 1 2 3 4 -1 -1 -1 -1");
  assert.equal(around("edge"), "0 0 0 0 0 1 2 3 4 4 4 4 4");
  assert.equal(around("reflect"), "4 3 2 1 0 1 2 3 4 3 2 1 0");
  assert.equal(around("symmetric"), "3 2 1 0 0 1 2 3 4 4 3 2 1");
  assert.equal(around("wrap"), "1 2 3 4 0 1 2 3 4 0 1 2 3");
  for (const mode of MODES) for (const n of [-9, -1, 0, 1, 9]) assert.equal(source(n, 1, mode), 0);
});

test("the table of sources holds the source of every tap", () => {
  for (const axis of smallAxes()) {
    for (const mode of [...MODES, "constant"]) {
      const table = sources(axis, mode);
      assert.equal(table.length, Math.max(0, axis.outputs) * axis.window);
      table.forEach((from, n) => {
        const pixel = axis.pixel(Math.floor(n / axis.window), n % axis.window);
        assert.equal(from, source(pixel, axis.size, mode));
      });
    }
  }
});
