"""Which pixel is the largest or the smallest under each window.

Of equal ones the first in reading order wins. A NaN wins over all numbers and over the NaNs before
it, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from itertools import product
from math import prod

import numpy as np

from convlens.compiled import winners as compiled
from convlens.core.axis import Axis
from convlens.core.cells import arange, sources
from convlens.core.memory import Memory
from convlens.core.problem import Array, Problem, Region
from convlens.methods.boxes import boxes, index, of, steps, together

NUMBERS = 2**17  # the most outputs whose winners are found at a time
CELLS = 2**21  # the most cells that are copied at a time
NOWHERE = -(2**60)  # the place of a cell that is none; so low that adding places keeps it below 0

missing = compiled.missing
Place = Callable[[int, Array, Array], Array]  # of cells of an axis that hold these pixels


def pixel(axis: int, cells: Array, pixels: Array) -> Array:  # noqa: ARG001
    """The place along its axis of the pixel that a cell holds."""
    return pixels


def winners(
    problem: Problem,
    images: Array,
    region: Region,
    place: Place,
    sizes: tuple[int, ...],
    memory: Memory,
    *,
    in_numpy: bool,
) -> Array:
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
    memory : Memory
        Used by the next call again.
    in_numpy : bool
        Whether it is not left to the compiled library, where that is able to find them.

    Returns
    -------
    array of int64
        Below 0 where the winner has no place.
    """
    shape = (len(region.images), *map(len, region.places), images.shape[-1])
    found = memory.array("found", shape, np.dtype(np.int64))
    if not in_numpy:
        pieces = under_windows(problem, images, region, place, sizes, memory)
        if pieces is not None:
            for some, piece in pieces:
                compiled.find(piece, found[of(some)])
            return found
    x = images[of(region.images)]
    better = np.greater if problem.mode == "max" else np.less
    found[...] = -1
    best = np.zeros(shape, x.dtype.newbyteorder("="))
    seen = np.zeros(shape[1:-1], bool)
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
            cells = range(first, first + len(on) * axis.stride, axis.stride)
            pixels, line = _line(number, axis, cells, place, sizes)
            at.append(slice(on.start - places.start, on.stop - places.start))
            under.append(index(np.maximum(pixels, 0)))
            lines.append(line)
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


def _line(
    number: int, axis: Axis, cells: range, place: Place, sizes: tuple[int, ...]
) -> tuple[Array, Array]:
    """The pixels of cells along an axis, below 0 for none, and what their places add up from."""
    numbers = arange(cells)
    pixels = sources(numbers, axis.size, axis.border.mode)
    places = place(number, numbers, pixels)
    return pixels, np.where(places < 0, NOWHERE, places * prod(sizes[number + 1 :]))


def under_windows(
    problem: Problem,
    images: Array,
    region: Region,
    place: Place,
    sizes: tuple[int, ...],
    memory: Memory,
) -> Iterator[tuple[range, compiled.Cells]] | None:
    """What the compiled library finds winners among, for some images of the region at a time.

    The arguments are those of `winners`. None if the windows lie on no pixel, or if there are too
    many cells of an image that would have to be copied.
    """
    if not compiled.fits(problem.axes):
        return None
    under, axes, lines, padding = [], [], [], []
    for number, (axis, places) in enumerate(zip(problem.axes, region.places, strict=True)):
        first = places.start * axis.stride - axis.before
        on = range(first, first + (len(places) - 1) * axis.stride + axis.reach)
        if axis.border.mode == "nothing":
            on = range(max(on.start, 0), min(on.stop, axis.size))
        if not on:
            return None
        cells = arange(on)
        pixels = sources(cells, axis.size, axis.border.mode)
        under.append(index(np.maximum(pixels, 0)))
        lines.append(place(number, cells, pixels))
        padding.append(pixels < 0)
        before = on.start - first
        after = (len(places) - 1) * axis.stride + axis.reach - len(on) - before
        axes.append(replace(axis, size=len(on), before=before, after=after, partial=False))
    dtype = compiled.compared_as(images.dtype)
    x = images[of(region.images)]
    as_they_are = (
        x.dtype == dtype
        and problem.mode == "max"
        and not any(isinstance(each, np.ndarray) for each in under)
        and not any(each.any() for each in padding)
        and x.flags.aligned
        and x[(0,) * (x.ndim - 2)].flags.c_contiguous  # a row of its cells
    )
    if as_they_are:
        return iter([(range(len(x)), compiled.Cells(x[:, *under], axes, lines, sizes))])
    shape = (*(axis.size for axis in axes), x.shape[-1])
    if prod(shape) > CELLS:
        return None

    def copied() -> Iterator[tuple[range, compiled.Cells]]:
        value = np.asarray(problem.columns.border.value).astype(x.dtype.newbyteorder("="))
        for (some,) in boxes((len(x),), (max(1, CELLS // max(1, prod(shape))),)):
            numbers = memory.array("cells", (len(some), *shape), dtype)
            numbers[...] = x[of(some)][:, *together(under)]
            for number, cells in enumerate(padding, 1):
                if cells.any():
                    numbers[(slice(None),) * number + (cells,)] = value
            if problem.mode == "min":
                np.negative(numbers, out=numbers)  # Then the smallest are the largest.
            yield some, compiled.Cells(numbers, axes, lines, sizes)

    return copied()


def write_winners(problem: Problem, images: Array, out: Array, *, in_numpy: bool) -> None:
    """Write the flat place of each winner in its image, or -1 for a cell that is no pixel."""
    images, out = problem.full_images(images), problem.full_output(out)
    sizes = tuple(axis.size for axis in problem.axes)
    places = problem.full_output_shape[:-1]
    apart = prod(axis.stride for axis in problem.axes)  # cells of an output, without windows' ends
    limit = min(NUMBERS, CELLS // (2 * apart)) // max(1, problem.channels)
    memory = Memory()
    for m, *at in boxes(places, steps(places, limit)):
        region = Region(m, tuple(at))
        found = winners(problem, images, region, pixel, sizes, memory, in_numpy=in_numpy)
        np.maximum(found, -1, out=out[region.slices])
