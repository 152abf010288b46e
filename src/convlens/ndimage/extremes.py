"""The largest or the smallest number under a window, in pipelines or block by block in NumPy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from convlens.compiled import lines
from convlens.core.memory import Memory
from convlens.core.problem import Array
from convlens.ndimage import engine
from convlens.ndimage.arguments import Step
from convlens.ndimage.blocks import (
    apart,
    converted,
    copied,
    fill,
    filter_blocks,
    long_rows,
    outputs,
    shifted,
)

FEW_TAPS = 40  # under more taps than these, lines of them share their work


@long_rows
def along_axes(input_: Array, output: Array, steps: Sequence[Step], merge: np.ufunc) -> None:
    """Merge rectangular windows by `numpy.maximum` or `numpy.minimum`."""
    if not steps:
        copied(input_, output)
        return
    input_ = apart(input_, output)
    mode = "max" if merge is np.maximum else "min"
    if input_.dtype == output.dtype and engine.pooled(input_, output, steps, mode):
        return
    dtype = _holding(input_.dtype, steps)
    between = _holding(output.dtype, steps)

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        places_left = list(places)
        for number, step in enumerate(steps):
            if number:  # What was computed beyond the edges is no part of the array in between.
                cells = converted(cells, output.dtype).astype(between, copy=False)
                fill(cells, places_left, step, input_.shape[step.axis])
            at = places_left[step.axis]
            count = len(at) - step.size + 1
            cells = runs(cells, step.axis, [step.size], merge)[step.size]
            places_left[step.axis] = range(at.start + step.before, at.start + step.before + count)
        return cells

    filter_blocks(input_, output, steps, dtype, compute)


@long_rows
def under_footprint(
    input_: Array,
    output: Array,
    steps: Sequence[Step],
    footprint: Array,
    structure: Array | None,
    merge: np.ufunc,
) -> None:
    """Merge the cells under a footprint of as many axes as the input has.

    The structure, of the same shape, is added to them before, or for the smallest subtracted, in
    the input's type. A border's number is converted to it, too, as SciPy does.
    """
    input_ = apart(input_, output)
    sign = 1 if merge is np.maximum else -1
    dtype = input_.dtype.newbyteorder("=")
    if structure is not None and dtype.kind == "b":
        dtype = np.dtype(np.uint8)
    steps = in_type(steps, dtype)
    if _tap_by_tap(input_, output, steps, footprint, structure, merge):
        return
    of_lines = _lines(footprint) if structure is None else {}
    if structure is not None:
        first = tuple(np.argwhere(footprint)[0].tolist())
        first_height = sign * structure[first]
        heights = converted(sign * structure, dtype)
        taps = [(at, heights[at]) for at in np.ndindex(footprint.shape) if footprint[at]]
    compiled, memory = bool(of_lines) and footprint.ndim > 0 and lines.serves(dtype), Memory()

    def merged(cells: Array, places: tuple[range, ...]) -> Array:
        if compiled and lines.pays(cells, of_lines):
            mode = "max" if merge is np.maximum else "min"
            return lines.merge(cells, of_lines, footprint.shape, mode, memory)
        shape = outputs(places, footprint.shape)
        of_length = runs(cells, cells.ndim - 1, sorted(of_lines), merge)
        total = None
        for length, starts in of_lines.items():
            for at in starts:
                part = shifted(of_length[length], at, shape)
                total = part.copy() if total is None else merge(total, part, out=total)
        return np.asarray(total)

    def raised(cells: Array, places: tuple[range, ...]) -> Array:
        shape = outputs(places, footprint.shape)
        # SciPy lets the first tap's sum be of any size, and those of the others wrap around.
        total: Array = shifted(cells, first, shape) + first_height
        rest: Array | None = None
        for at, height in taps[1:]:
            part = shifted(cells, at, shape) + height
            rest = part if rest is None else merge(rest, part, out=rest)
        return total if rest is None else np.asarray(merge(total, rest))

    most = lines.CELLS // dtype.itemsize if compiled else None
    filter_blocks(input_, output, steps, dtype, merged if structure is None else raised, most)


def _tap_by_tap(
    input_: Array,
    output: Array,
    steps: Sequence[Step],
    footprint: Array,
    structure: Array | None,
    merge: np.ufunc,
) -> bool:
    """The same for few taps, by pipelines; returns whether it was done."""
    integers = input_.dtype.kind != "f"
    dtype = np.dtype(np.uint8) if input_.dtype.kind == "b" else input_.dtype
    if (
        input_.dtype != output.dtype
        or not lines.serves(dtype)
        or (integers and structure is not None)
    ):
        return False
    if not 0 < np.count_nonzero(footprint) <= FEW_TAPS or footprint.size > engine.LARGEST:
        return False
    mode, heights = "max" if merge is np.maximum else "min", None
    if structure is not None:
        heights = structure[footprint] if mode == "max" else -structure[footprint]
    return engine.under_footprint(input_, output, steps, (mode, footprint, heights))


def in_type(steps: Sequence[Step], dtype: np.dtype[Any]) -> list[Step]:
    """The steps with the numbers of their borders converted to a type, where these are used."""
    return [step if step.border.repeats else _converted(step, dtype) for step in steps]


@lru_cache(maxsize=256)
def _converted(step: Step, dtype: np.dtype[Any]) -> Step:
    number = np.asarray(step.border.value, np.float64)
    with np.errstate(all="ignore"):
        value = converted(number, dtype)[()]
    return step._replace(border=step.border._replace(value=value))


def _holding(dtype: np.dtype[Any], steps: Sequence[Step]) -> np.dtype[Any]:
    """A type if it holds the borders' numbers, and otherwise float64."""
    held = all(engine.holds(step.border, dtype) for step in steps)
    return dtype.newbyteorder("=") if held else np.dtype(np.float64)


def _lines(footprint: Array) -> lines.Lines:
    """The lines of taps along the last axis of a footprint: for each length, the first taps.

    Lines of the same length share the work of merging along the last axis.
    """
    if footprint.size > engine.LARGEST:
        return _found_lines(footprint)
    return _known_lines(footprint.tobytes(), footprint.shape)


@lru_cache(maxsize=64)
def _known_lines(content: bytes, shape: tuple[int, ...]) -> lines.Lines:
    """The same for the booleans of a footprint, cached because calls often repeat with it."""
    return _found_lines(np.frombuffer(content, bool).reshape(shape))


def _found_lines(footprint: Array) -> lines.Lines:
    if footprint.ndim == 0:
        return {1: [()]}
    found = defaultdict(list)
    edges = np.diff(footprint.astype(np.int8), axis=-1, prepend=0, append=0)
    for at in np.ndindex(footprint.shape[:-1]):
        starts, stops = (np.flatnonzero(edges[at] == sign).tolist() for sign in (1, -1))
        for start, stop in zip(starts, stops, strict=True):
            found[stop - start].append((*at, start))
    return dict(found)


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
