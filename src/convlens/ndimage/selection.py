"""Select the number of a rank under a window, block by block.

Medians of the commonest windows have pipelines. Of 8-bit integers, those under a large rectangle
are counted in histograms, which move with it at a cost that hardly grows with the window. A
histogram of another kind moves along the rows under other large windows, of any shape and type.
Small rectangles go through a network of minima and maxima, and all other windows are copied, and
partly sorted. Without pipelines, 8-bit integers are counted that are below each of the 255 levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from convlens.compiled import moving
from convlens.compiled.library import loaded
from convlens.core.problem import Array
from convlens.ndimage import engine, networks
from convlens.ndimage.arguments import Step
from convlens.ndimage.blocks import apart, filter_blocks, long_rows, outputs, shifted
from convlens.ndimage.extremes import in_type
from convlens.ndimage.means import sum_along

NETWORK = 130  # the most taps of a window that goes through a network
LEVELS = 100  # the least taps of one that is worth counting
COUNTED = range(36, 2**15)  # the taps of a window that is worth histograms, whose bins hold them
HISTOGRAMS = 2**22  # the most cells that are counted in histograms at a time
NETWORK_BYTES = 2**16  # of a block's cells, of which a network holds dozens of copies
COPIED = 2**20  # the most numbers that are copied to be sorted


@long_rows
def under_footprint(
    input_: Array, output: Array, steps: Sequence[Step], footprint: Array, rank: int
) -> None:
    """Write the number of this rank under a footprint with as many axes as the input."""
    input_ = apart(input_, output)
    dtype = input_.dtype.newbyteorder("=")
    if dtype.kind == "b":
        dtype = np.dtype(np.uint8)
    steps = in_type(steps, dtype)
    full, middle = bool(footprint.all()), footprint.size % 2 and rank == footprint.size // 2
    if full and middle and input_.dtype == output.dtype:
        filtered = [step for step in steps if step.size > 1]
        if engine.pooled(input_, output, filtered, "median"):
            return
    bytes_ = dtype.itemsize == 1 and full
    if bytes_ and footprint.size in COUNTED and engine.runs(dtype):
        _by_histograms(input_, output, steps, dtype, footprint.shape, rank)
    elif engine.runs(dtype) and moving.serves(footprint.shape) and footprint.sum() >= moving.LEAST:
        _by_moving(input_, output, steps, dtype, footprint, rank)
    elif full and footprint.size <= (LEVELS if bytes_ else NETWORK):
        _by_network(input_, output, steps, dtype, footprint.shape, rank)
    elif bytes_:
        _by_counting(input_, output, steps, dtype, footprint.shape, rank)
    else:
        _by_sorting(input_, output, steps, dtype, footprint, rank)


def _by_network(
    input_: Array,
    output: Array,
    steps: Sequence[Step],
    dtype: np.dtype[Any],
    window: tuple[int, ...],
    rank: int,
) -> None:
    filtered = [axis for axis, size in enumerate(window) if size > 1]
    stages = networks.network(tuple(window[axis] for axis in filtered), rank)

    def compute(cells: Array, _: tuple[range, ...]) -> Array:
        values: list[Array | None] = [cells]
        for stage, axis in zip(stages, filtered, strict=True):
            values = networks.run(stage, values, axis)
        (selected,) = values
        assert selected is not None, "the last stage of a network selects a number"
        return selected

    filter_blocks(input_, output, steps, dtype, compute, NETWORK_BYTES // dtype.itemsize)


def _by_moving(
    input_: Array,
    output: Array,
    steps: Sequence[Step],
    dtype: np.dtype[Any],
    footprint: Array,
    rank: int,
) -> None:
    def compute(cells: Array, _: tuple[range, ...]) -> Array:
        return moving.select(cells, footprint, rank)

    filter_blocks(input_, output, steps, dtype, compute, HISTOGRAMS)


def _by_histograms(
    input_: Array,
    output: Array,
    steps: Sequence[Step],
    dtype: np.dtype[Any],
    window: tuple[int, ...],
    rank: int,
) -> None:
    """Planes, rows and columns, of which an array may lack some, go through moving histograms."""
    *deep, kh, kw = (1, 1, *window)

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        selected = np.empty(outputs(places, window), dtype)
        cells = cells if cells.strides[-1] == 1 else np.ascontiguousarray(cells)
        cells, results = (each[np.newaxis, np.newaxis] for each in (cells, selected))
        planes = np.array(cells.strides[:-2]) @ np.indices(deep).reshape(len(deep), -1)
        for at in np.ndindex(results.shape[:-2]):
            loaded().rank(cells[at], planes, results[at], (kh, kw), rank)
        return selected

    filter_blocks(input_, output, steps, dtype, compute, HISTOGRAMS)


def _by_counting(
    input_: Array,
    output: Array,
    steps: Sequence[Step],
    dtype: np.dtype[Any],
    window: tuple[int, ...],
    rank: int,
) -> None:
    """The number is the count of levels for which at most `rank` numbers are not above them."""
    limits, count = np.iinfo(dtype), np.uint16 if prod(window) < 2**16 else np.uint32
    filtered = [axis for axis, size in enumerate(window) if size > 1]

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        selected = np.full(outputs(places, window), limits.min, dtype)
        low, high = int(cells.min()), int(cells.max())
        selected += dtype.type(low - limits.min)
        for level in range(low, high):
            below: Array = (cells <= level).astype(count)
            for axis in filtered:
                below = sum_along(below, axis, window[axis], selected.shape[axis])
            selected += (below <= rank).view(np.uint8).astype(dtype, copy=False)
        return selected

    filter_blocks(input_, output, steps, dtype, compute)


def _by_sorting(
    input_: Array,
    output: Array,
    steps: Sequence[Step],
    dtype: np.dtype[Any],
    footprint: Array,
    rank: int,
) -> None:
    taps = [tuple(at) for at in np.argwhere(footprint).tolist()]

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        shape = outputs(places, footprint.shape)
        copied = np.empty((prod(shape), len(taps)), dtype)
        for number, at in enumerate(taps):
            copied[:, number] = shifted(cells, at, shape).reshape(-1)
        unordered = dtype.kind == "f" and np.isnan(copied).any(axis=1)
        copied.partition(rank, axis=1)
        selected = copied[:, rank].copy()
        if dtype.kind == "f":
            selected[unordered] = np.nan
        return selected.reshape(shape)

    filter_blocks(input_, output, steps, dtype, compute, max(1, COPIED // len(taps)))
