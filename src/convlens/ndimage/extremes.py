"""The largest or the smallest number under a window, in pipelines or block by block in NumPy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from convlens.core.problem import Array
from convlens.ndimage import engine
from convlens.ndimage.arguments import Step
from convlens.ndimage.blocks import apart, fill, filter_blocks, outputs, shifted, write


def along_axes(input_: Array, output: Array, steps: Sequence[Step], merge: np.ufunc) -> None:
    """Merge rectangular windows by `numpy.maximum` or `numpy.minimum`."""
    if not steps:
        with np.errstate(all="ignore"):
            write(input_, output)
        return
    input_ = apart(input_, output)
    mode = "max" if merge is np.maximum else "min"
    if input_.dtype == output.dtype and engine.pooled(input_, output, steps, mode):
        return
    dtype = cells_type(input_, steps)

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        places_left = list(places)
        for number, step in enumerate(steps):
            if number:  # What was computed beyond the edges is no part of the array in between.
                fill(cells, places_left, step, input_.shape[step.axis])
            at = places_left[step.axis]
            count = len(at) - step.size + 1
            cells = runs(cells, step.axis, [step.size], merge)[step.size]
            places_left[step.axis] = range(at.start + step.before, at.start + step.before + count)
        return cells

    filter_blocks(input_, output, steps, dtype, compute)


def under_footprint(
    input_: Array,
    output: Array,
    steps: Sequence[Step],
    footprint: Array,
    structure: Array | None,
    merge: np.ufunc,
) -> None:
    """Merge the cells under a footprint of as many axes as the input has.

    The structure, of the same shape, is added to them before, or for the smallest subtracted.
    """
    input_ = apart(input_, output)
    sign = 1 if merge is np.maximum else -1
    if structure is None:
        lines = _lines(footprint)
        dtype = cells_type(input_, steps)
    else:
        taps = [(at, sign * structure[at]) for at in np.ndindex(footprint.shape) if footprint[at]]
        dtype = np.dtype(np.float64)

    def merged(cells: Array, places: tuple[range, ...]) -> Array:
        shape = outputs(places, footprint.shape)
        of_length = runs(cells, cells.ndim - 1, sorted(lines), merge)
        total = None
        for length, starts in lines.items():
            for at in starts:
                part = shifted(of_length[length], at, shape)
                total = part.copy() if total is None else merge(total, part, out=total)
        return np.asarray(total)

    def raised(cells: Array, places: tuple[range, ...]) -> Array:
        shape = outputs(places, footprint.shape)
        (first, height), *others = taps
        total: Array = shifted(cells, first, shape) + height
        for at, height in others:
            merge(total, shifted(cells, at, shape) + height, out=total)
        return total

    filter_blocks(input_, output, steps, dtype, merged if structure is None else raised)


def cells_type(input_: Array, steps: Sequence[Step]) -> np.dtype[Any]:
    """The input's type if it holds the borders' numbers, and otherwise float64."""
    dtype = input_.dtype.newbyteorder("=")
    held = all(engine.holds(step.border, dtype) for step in steps)
    return dtype if held else np.dtype(np.float64)


def _lines(footprint: Array) -> dict[int, list[tuple[int, ...]]]:
    """The lines of taps along the last axis of a footprint: for each length, the first taps.

    Lines of the same length share the work of merging along the last axis.
    """
    if footprint.ndim == 0:
        return {1: [()]}
    lines = defaultdict(list)
    edges = np.diff(footprint.astype(np.int8), axis=-1, prepend=0, append=0)
    for at in np.ndindex(footprint.shape[:-1]):
        starts, stops = (np.flatnonzero(edges[at] == sign).tolist() for sign in (1, -1))
        for start, stop in zip(starts, stops, strict=True):
            lines[stop - start].append((*at, start))
    return dict(lines)


def runs(cells: Array, axis: int, lengths: Sequence[int], merge: np.ufunc) -> dict[int, Array]:
    """For each length, the cells merged over windows of it along an axis, at all places.

    Windows are merged from two of half their size or more, which may overlap.
    """
    along, made, width = (slice(None),) * axis, {1: cells}, 1

    def joined(half: Array, offset: int) -> Array:
        count = half.shape[axis] - offset
        first, second = (half[(*along, slice(at, at + count))] for at in (0, offset))
        merged: Array = merge(first, second)
        return merged

    while 2 * width <= max(lengths):
        made[2 * width] = joined(made[width], width)
        width *= 2
    for length in lengths:
        half = 2 ** (length.bit_length() - 1)
        if length not in made:
            made[length] = joined(made[half], length - half)
    return made
