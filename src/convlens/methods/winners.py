"""Which pixel is the largest or the smallest under each window, in NumPy.

Of equal ones the first in reading order wins. A NaN wins over all numbers and over the NaNs before
it, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convlens.core.cells import arange, sources
from convlens.core.problem import Array, Problem, Region
from convlens.methods.boxes import boxes, index, of, steps, together

NUMBERS = 2**17  # the most outputs whose winners are found at a time
NOWHERE = -(2**60)  # the place of a cell that is none; so low that adding places keeps it below 0

Place = Callable[[int, Array, Array], Array]  # of cells of an axis that hold these pixels


def pixel(axis: int, cells: Array, pixels: Array) -> Array:  # noqa: ARG001
    """The place along its axis of the pixel that a cell holds."""
    return pixels


def winners(problem: Problem, images: Array, region: Region, place: Place, sizes: Any) -> Array:
    """The winner under each window of a region, as a flat place: (m, *outputs, c).

    Parameters
    ----------
    problem : Problem
        A pooling by "max" or "min".
    images : (m, *space, c)
    region : Region
    place : callable
        The place of cells along an axis, below 0 if they have none.
    sizes : tuple of int
        The sizes of the array that places are counted in, along each axis.
    """
    x = images[of(region.images)]
    better = np.greater if problem.mode == "max" else np.less
    shape = (len(x), *map(len, region.places), x.shape[-1])
    best, found = np.zeros(shape, x.dtype.newbyteorder("=")), np.full(shape, -1)
    seen = np.zeros(shape[1:-1], bool)
    apart = [prod(sizes[n + 1 :]) for n in range(len(sizes))]
    for taps in product(*(range(axis.window) for axis in problem.axes)):
        at, under, lines, there = [], [], [], []
        for number, (axis, places, tap) in enumerate(
            zip(problem.axes, region.places, taps, strict=True)
        ):
            on = range(places.start, places.stop)
            if axis.border.mode == "nothing":
                on_image = axis.on_image(tap)
                on = range(max(on.start, on_image.start), min(on.stop, on_image.stop))
            first = on.start * axis.stride + tap * axis.dilation - axis.before
            cells = arange(range(first, first + len(on) * axis.stride, axis.stride))
            pixels = sources(cells, axis.size, axis.border.mode)
            at.append(slice(on.start - places.start, on.stop - places.start))
            under.append(index(np.maximum(pixels, 0)))
            of_cells = place(number, cells, pixels)
            lines.append(np.where(of_cells < 0, NOWHERE, of_cells * apart[number]))
            there.append(pixels >= 0)
        if not seen[*at].size or not x.size:
            continue
        numbers = x[:, *together(under)]
        if not all(each.all() for each in there):
            inside = reduce(np.logical_and.outer, there)[..., np.newaxis]
            value = np.asarray(problem.columns.border.value).astype(best.dtype)
            numbers = np.where(inside, numbers, value)
        here = (slice(None), *at)
        wins = better(numbers, best[here])
        if numbers.dtype.kind in "fc":
            wins |= numbers != numbers  # NaN
        wins |= ~seen[*at][..., np.newaxis]
        np.copyto(best[here], numbers, where=wins)
        flat = reduce(np.add.outer, lines)[..., np.newaxis]
        np.copyto(found[here], flat, where=wins)
        seen[*at] = True
    return found


def write_winners(problem: Problem, images: Array, out: Array) -> None:
    """Write the flat place of each winner in its image, or -1 for a cell that is no pixel."""
    images, out = problem.full_images(images), problem.full_output(out)
    sizes = tuple(axis.size for axis in problem.axes)
    places = problem.full_output_shape[:-1]
    for m, *at in boxes(places, steps(places, NUMBERS // max(1, problem.channels))):
        region = Region(m, tuple(at))
        found = winners(problem, images, region, pixel, sizes)
        out[region.slices] = np.maximum(found, -1)
