"""Means of rectangular windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from convlens.core.problem import Array
from convlens.ndimage import engine, ordered, passes, sums
from convlens.ndimage.arguments import Step
from convlens.ndimage.blocks import (
    apart,
    converted,
    copied,
    fill,
    filter_blocks,
    long_rows,
    windows,
)

SHORT = 16  # the most taps of windows of floats whose means are sums of products


@long_rows
def along_axes(input_: Array, output: Array, steps: Sequence[Step]) -> None:
    """Take means along one axis after the other, each time into the output's type."""
    if not steps:
        copied(input_, output)
        return
    input_ = apart(input_, output)
    if output.dtype.kind == "f":
        short = input_.dtype.kind == "f" and max(step.size for step in steps) <= SHORT
        if short and sums.compiled(input_, output, steps, [_line(step.size) for step in steps]):
            return
        if engine.pooled(input_, output, steps, "avg"):
            return
    of_axes = [passes.of_mean(step.size, output.dtype) for step in steps]
    if passes.along_axes(input_, output, steps, of_axes):
        return
    dtype = np.dtype(np.float64)  # in which means of integers are nowhere rounded up to the next
    sums_of = [_sums(step, input_.ndim) for step in steps]

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        places_left = list(places)
        for number, (step, add_up) in enumerate(zip(steps, sums_of, strict=True)):
            if number:  # What was computed beyond the edges is no part of the array in between.
                cells = converted(cells, output.dtype).astype(dtype, copy=False)
                fill(cells, places_left, step, input_.shape[step.axis])
            at = places_left[step.axis]
            start = at.start + step.before
            places_left[step.axis] = range(start, start + len(at) - step.size + 1)
            cells = add_up(cells, [len(each) for each in places_left])
            cells /= step.size
        return cells

    filter_blocks(input_, output, steps, dtype, compute)


@lru_cache(maxsize=SHORT)
def _line(size: int) -> Array:
    """The weights of a mean."""
    return np.full(size, 1 / size)


def _sums(step: Step, rank: int) -> sums.OfBlock:
    """The sums under the windows of a step, of an array of so many axes."""
    if step.size <= SHORT:
        return ordered.along_axis(np.ones(step.size), step.axis, rank)
    return lambda cells, shape: sum_along(cells, step.axis, step.size, shape[step.axis])


def sum_along(cells: Array, axis: int, size: int, count: int) -> Array:
    """The sums of windows along an axis, added up by windows of twice the size at each step."""
    tap = windows(cells, axis, count)
    if size < 8:
        total = tap(0).copy()
        for number in range(1, size):
            total += tap(number)
        return total
    along, width, doubled = (slice(None),) * axis, 1, cells
    parts, done = [], 0
    while width <= size:
        if size & width:  # This part of the window lies behind those before it.
            parts.append(doubled[(*along, slice(done, done + count))])
            done += width
        if 2 * width <= size:
            length = doubled.shape[axis] - width
            doubled = doubled[(*along, slice(0, length))] + doubled[(*along, slice(width, None))]
        width *= 2
    total = parts.pop().copy()
    for part in parts:
        total += part
    return total
