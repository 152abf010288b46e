"""Medians under windows that no pipeline is for.

In NumPy, the numbers under each window are copied, and partly sorted. With the compiled library, a
histogram moves along the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convlens.compiled import moving
from convlens.compiled.library import loaded
from convlens.core.cells import arange, sources
from convlens.core.problem import Array, Problem

CELLS = 2**21  # the most cells that are copied for histograms at a time, unless a window needs more


def medians(problem: Problem, images: Array, places: tuple[slice, ...]) -> Array:
    """The medians at these places of the output: (m, *outputs, c), in the images' type.

    Every window has an odd number of cells that count, so that one of them lies in the middle.
    """
    lines = [  # for each axis, the cells under its windows: (outputs, taps)
        np.add.outer(
            arange(range(at.start, at.stop)) * axis.stride - axis.before,
            arange(range(axis.window)) * axis.dilation,
        )
        for axis, at in zip(problem.axes, places, strict=True)
    ]
    under = _cells(problem, images, lines)  # (m, outputs, taps, outputs, taps, …, c)
    outputs, taps = range(1, under.ndim - 1, 2), range(2, under.ndim - 1, 2)
    under = under.transpose(0, *outputs, under.ndim - 1, *taps)
    under = under.reshape(*under.shape[: len(lines) + 2], prod(line.shape[1] for line in lines))
    middle = under.shape[-1] // 2
    result: Array = np.partition(under, middle, axis=-1)[..., middle]
    if under.dtype.kind == "f":
        result[np.isnan(under).any(axis=-1)] = np.nan
    return result


def _cells(problem: Problem, images: Array, lines: list[Array]) -> Array:
    """The numbers of the cells at these places along each axis, which may have any shape."""
    places = [
        sources(line, axis.size, axis.border.mode)
        for axis, line in zip(problem.axes, lines, strict=True)
    ]
    m, c = images.shape[0], images.shape[-1]
    each = [np.arange(m), *(line.reshape(-1) for line in places), np.arange(c)]
    cells: Array = images[np.ix_(*each)].astype(problem.sum_dtype, copy=False)
    cells = cells.reshape(m, *(size for line in places for size in line.shape), c)
    before = 1
    for line in places:
        if (line < 0).any():  # cells of padding that take no pixel
            padding: tuple[Any, ...] = (slice(None),) * before + (line < 0,)
            cells[padding] = problem.pad_number
        before += line.ndim
    return cells


@dataclass(frozen=True, slots=True)
class Moving:
    """Medians by a histogram that moves along the rows, one image or a strip of it after another.

    Attributes
    ----------
    problem : Problem
    """

    problem: Problem

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether the windows of a problem are worth a histogram, and fit into it."""
        reach = [axis.reach for axis in problem.axes]
        return moving.serves([axis.window for axis in problem.axes]) and moving.serves(reach)

    @property
    def for_any_numbers(self) -> bool:
        """A pooling has no kernels."""
        return True

    def grain(self, problem: Problem) -> tuple[int, ...]:
        """A median is the same wherever an image is cut."""
        return (1,) * len(problem.axes)

    def describe(self) -> str:
        """Say how it is computed."""
        return f"for {loaded().level}, by a histogram that moves along the rows"

    def run(self, problem: Problem, images: Array, kernels: Array | None, out: Array) -> None:
        """Compute the problem, or a part of it, into `out`."""
        assert kernels is None, "a pooling has no kernels"
        images, out = problem.full_images(images), problem.full_output(out)  # (m, *space, c)
        footprint = np.zeros([1, 1, *(axis.reach for axis in problem.axes)], bool)
        taps = (slice(None, None, axis.dilation) for axis in problem.axes)
        footprint[:, :, *taps] = True
        strides = [1, 1, *(axis.stride for axis in problem.axes)]
        for m, rows in self._strips(problem):
            places = [rows, *(range(axis.outputs) for axis in problem.axes[1:])]
            lines = [
                arange(range((len(at) - 1) * axis.stride + axis.reach))
                + (at.start * axis.stride - axis.before)
                for axis, at in zip(problem.axes, places, strict=True)
            ]
            cells = np.moveaxis(_cells(problem, images[m], lines), -1, 1)  # (m, c, *cells)
            middle = problem.taps // 2
            chosen = np.moveaxis(moving.select(cells, footprint, middle, strides), 1, -1)
            problem.write(chosen, out[m, rows.start : rows.stop])

    @staticmethod
    def _strips(problem: Problem) -> Iterator[tuple[slice, range]]:
        """The images that are computed at a time, and the outputs along their first axis."""
        if 0 in problem.full_output_shape:
            return
        first, *others = problem.axes
        across = problem.channels * prod(
            (axis.outputs - 1) * axis.stride + axis.reach for axis in others
        )
        height = max(1, (CELLS // across - first.reach) // first.stride + 1, first.reach)
        count = max(1, CELLS // (across * ((first.outputs - 1) * first.stride + first.reach)))
        for n, y in product(
            range(0, problem.batch, count), range(0, first.outputs, min(height, first.outputs))
        ):
            yield (
                slice(n, min(n + count, problem.batch)),
                range(y, min(y + height, first.outputs)),
            )
