"""The page's arithmetic is the library's, and its programs give what it shows."""

from itertools import product

import numpy as np
import pytest

from convlens.core import axis as geometry
from convlens.core import cells

from .configurations import by_convlens, picture_of, random_configuration
from .programs import MODULES, run, runnable, written

SET = """(cases) => cases.map(([state, picture]) => {
  explorer.set(state, picture);
  const { output, reason, axes } = explorer;
  return {
    reason, outputs: axes.map((axis) => axis.outputs),
    shape: output && [output.h, output.w, output.c], data: output && [...output.data],
  };
})"""


def shown(result):
    """The output on the page: (oh, ow, c)."""
    return np.array(result["data"]).reshape(result["shape"])


def test_random_configurations(visit):
    """Outputs equal the library's, exactly for integers; what the library refuses is explained."""
    rng = np.random.default_rng(5)
    cases = [random_configuration(rng) for _ in range(450)]
    page = visit()
    results = page.evaluate(SET, [[state, picture_of(image)] for state, image in cases])
    compared = 0
    for (state, image), result in zip(cases, results, strict=True):
        expected = by_convlens(state, image)
        if expected is None:
            assert result["reason"], state
            continue
        assert result["reason"] is None, state
        compared += 1
        if image.dtype == np.uint8 and state["operation"] != "avg":
            np.testing.assert_array_equal(shown(result), expected, err_msg=str(state))
        else:
            np.testing.assert_allclose(
                shown(result), expected, rtol=1e-9, atol=1e-6, err_msg=str(state)
            )
    assert compared >= 300


def test_geometry(visit):
    """Axis, padding and sources equal those of `convlens.core` in every small case."""
    axes = list(product((1, 2, 5, 8), (1, 2, 3), (1, 2, 3), (1, 2), (0, 1, 3), (0, 2), (0, 1)))
    words = [(word, *rest) for word in ("valid", "same", "full") for *rest, _, _, _ in axes]
    modes = ("constant", "edge", "reflect", "symmetric", "wrap")
    places = list(product(range(-9, 14), (1, 2, 5), modes))
    found = visit().evaluate(
        """({ axes, words, cells }) => {
          const { Axis, resolvePadding, source } = explorer.geometry;
          return {
            axes: axes.map((numbers) => {
              const axis = new Axis(...numbers.slice(0, 6), Boolean(numbers[6]));
              const { outputs } = axis;
              const all = Array.from({ length: Math.max(0, outputs) }, (_, n) => n);
              return [outputs, axis.reach, axis.padded, axis.hangsOver,
                all.map((n) => axis.pixel(n, 0)), all.map((n) => axis.count(n)),
                all.map((n) => axis.count(n, true)), axis.withoutPixels()];
            }),
            words: words.map((word) => resolvePadding(...word)),
            cells: cells.map((cell) => source(...cell)),
          };
        }""",
        {"axes": axes, "words": words, "cells": places},
    )
    for numbers, (outputs, *rest) in zip(axes, found["axes"], strict=True):
        axis = geometry.Axis(*numbers[:6], bool(numbers[6]))
        assert max(0, outputs) == max(0, axis.outputs), numbers
        if outputs > 0:
            firsts = [axis.pixels(n)[0] for n in range(axis.outputs)]
            counts = (cells.counts(axis, padding=padded).tolist() for padded in (False, True))
            expected = [axis.reach, axis.padded, axis.hangs_over, firsts, *counts]
            assert rest == [*expected, axis.without_pixels()], numbers
    for word, ends in zip(words, found["words"], strict=True):
        assert tuple(ends) == geometry.resolve_padding(*word), word
    for cell, pixel in zip(places, found["cells"], strict=True):
        at, *rest = cell
        assert [pixel] == cells.sources(np.array([at]), *rest).tolist(), cell


def test_the_way_back(visit):
    """What pixels get back is what `convolve_transpose` gives them; the program has its call."""
    rng = np.random.default_rng(17)
    cases = []
    for state, image in (random_configuration(rng) for _ in range(150)):
        if state["operation"] == "convolve" and by_convlens(state, image) is not None:
            at = [int(rng.integers(n)) for n in image.shape[:2]]
            cases.append((state | {"pin": ["input", *at]}, image, at))
    assert len(cases) >= 50
    results = visit().evaluate(
        """(cases) => cases.map(([state, picture, at]) => {
          explorer.set(state, picture);
          const { channels } = explorer.back(...at);
          const { code } = explorer.program("convlens");
          return [channels.map(({ result }) => result), explorer.sent, code];
        })""",
        [[state, picture_of(image), at] for state, image, at in cases],
    )
    for (state, image, at), (back, sent, code) in zip(cases, results, strict=True):
        names = run(code, "convlens", image=image[..., 0] if image.shape[2] == 1 else image)
        expected = np.reshape(names["back"], image.shape)
        for found, wanted in ((back, expected[*at]), (sent, expected.ravel())):
            np.testing.assert_allclose(
                found, wanted, rtol=1e-9, atol=1e-6, err_msg=f"{state}\n{code}"
            )


@pytest.fixture(scope="module")
def programs(browser, page_file):
    """For 180 random configurations: the image, the page's output, and each library's program."""
    rng = np.random.default_rng(11)
    cases = [random_configuration(rng) for _ in range(180)]
    results = written(browser, page_file, [[state, picture_of(image)] for state, image in cases])
    return [
        (state, image, result)
        for (state, image), result in zip(cases, results, strict=True)
        if result["shape"]
    ]


@pytest.mark.parametrize("library", MODULES)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_programs(programs, library, monkeypatch):
    """Each program that the page writes gives the output that the page shows."""
    runnable(library, monkeypatch)
    executed = 0
    for state, image, result in programs:
        program = result["programs"][library]
        if program["code"] is None:
            assert program["note"]
            continue
        gray = image.shape[2] == 1
        names = run(program["code"], library, image=image[..., 0] if gray else image)
        output = np.asarray(names["output"])
        expected = shown(result)
        single = expected.shape[2] == 1
        np.testing.assert_allclose(
            output,
            expected[..., 0] if single else expected,
            rtol=1e-4 if library == "JAX" else 1e-9,
            atol=1e-3 if library == "JAX" else 1e-9,
            err_msg=f"{state}\n{program['code']}",
        )
        executed += 1
    assert executed >= (90 if library != "Course files" else 50)
