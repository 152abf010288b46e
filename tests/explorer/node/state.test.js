// Numbers as people write them, and links that lead back to what they were made from.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULTS, fromFragment, isBegun, kernelNumber, toFragment } from "../state.js";

test("numbers are read as people write them", () => {
  const written = { "3": 3, " -2 ": -2, "−1": -1, "1/4": 0.25, "1,5": 1.5, ".5": 0.5, "2e3": 2000, "-0": 0 };
  for (const [text, value] of Object.entries(written)) assert.equal(kernelNumber(text), value, text);
});

test("what is no number, too large, or may mean two numbers is refused", () => {
  for (const text of ["", "x", "1,000", "1e9", "1/0", "1/2/3", "--1", "<b>1</b>"]) {
    assert.equal(kernelNumber(text), null, text);
  }
});

test("a number that is begun is no error yet", () => {
  for (const text of ["", "-", "−", ".", "1/", "1e", "1e-", "1,"]) assert.ok(isBegun(text), text);
  for (const text of ["x", "<", "1x"]) assert.ok(!isBegun(text), text);
});

test("a link leads back to every setting", () => {
  const picture = { id: "dot", name: "dot", h: 9, w: 9, c: 1, data: [] };
  for (const changes of [
    {}, { layers: [[[0.25, -1]]], flip: true, padding: [[1, 2], [3, 4]], padMode: "wrap" },
    { stride: [2, 3], dilation: [4, 1], padding: "full", at: [3, 5], pin: ["input", -1, 2] },
    { operation: "avg", window: [3, 1], countPadding: true, partial: true, side: 64, fit: "region", corner: [7, 8] },
  ]) {
    const state = { ...DEFAULTS, picture: "dot", ...changes };
    const { state: again, unread } = fromFragment(toFragment(state, picture), DEFAULTS, [picture]);
    assert.deepEqual(unread, []);
    assert.deepEqual(again, state);
  }
});

test("parts of a link that make no sense are named, and the others read", () => {
  const { state, unread } = fromFragment("op=max&s=0,1&w=<b>&p=full&pic=gone", DEFAULTS, []);
  assert.deepEqual(unread, ["w", "s", "pic"]);
  assert.deepEqual([state.operation, state.padding, state.stride], ["max", "full", [1, 1]]);
});
