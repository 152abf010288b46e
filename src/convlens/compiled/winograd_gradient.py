"""The gradient by kernels of 3 x 3 taps by Winograd's method: where it pays, and how it is run.

The formula is in `pipelines/winograd.py`. The tiles of all images are turned block after block, and
their products added to the sums of the blocks before; after some thousand tiles new sums begin, and
such sums are added in pairs. Where these cuts lie depends on the shapes alone, and so the order in
which numbers are added up does not depend on the threads, or on how arrays lie in memory.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from convlens.compiled.blocks import MOST_COPIED, Grid, cuts, grid
from convlens.compiled.choice import F32, F64, NAMES, DType, same_kernel
from convlens.compiled.library import Run, buffer, loaded
from convlens.compiled.placement import (
    Placement,
    copied_pixels,
    frame_of,
    indexable,
    padded,
    slice_of,
    usable,
)
from convlens.compiled.winograd import GROUP, NUMBERS, SIDE, TURN, regions
from convlens.core.axis import Axis
from convlens.core.memory import Memory
from convlens.core.pairwise import Pairwise
from convlens.core.problem import Array, Problem, Region

FEWEST = 16  # channels of the images and of the outputs, below which vectors would be half empty
BYTES = 2**22  # of turned tiles at a time, and of their sums: about what cores share as a cache
LEAST, MOST = 32, 1024  # tiles of a block
TOGETHER = 4096  # the most tiles that are added up one block after another


@lru_cache(maxsize=256)
def pays(problem: Problem) -> bool:
    """Whether a convolution's gradient by its kernels costs less by Winograd's method."""
    if problem.kernels is None or len(problem.axes) != 2 or problem.sum_dtype not in (F32, F64):
        return False
    plain = {(axis.window, axis.stride, axis.dilation) for axis in problem.axes} == {(3, 1, 1)}
    if not plain or problem.groups != 1 or same_kernel(problem) or problem.where != "all":
        return False
    channels, kernels = problem.channels, problem.output_channels
    *_, rows, columns = problem.axes
    outputs = rows.outputs * columns.outputs
    if min(channels, kernels) < FEWEST or not outputs or not rows.size or not columns.size:
        return False
    if NUMBERS * channels * GROUP > 2 * BYTES or not problem.batch:
        return False
    tiles = -(-rows.outputs // SIDE) * -(-columns.outputs // SIDE)
    turns = TURN * (channels + kernels)
    return tiles * (NUMBERS * channels * kernels + turns) < outputs * 9 * channels * kernels


def describe(numbers: DType) -> str:
    """Describe in words how a gradient is computed."""
    return (
        "by Winograd's method in tiles of 2 x 2 outputs, with 4 multiplications for 9, "
        f"added in pairs, for {loaded().level}, in {numbers}"
    )


def compute(problem: Problem, images: Array, outputs: Array, out: Array) -> bool:
    """Write the gradient into `out`, (3, 3, c, n), unless some of it is not finite.

    Returns whether it is. The pipelines make NaN of numbers that are not finite, or so large that
    sums of them could overflow on the way. These must be computed tap by tap.
    """
    numbers, c = problem.sum_dtype, problem.channels
    memory, group = Memory(), GROUP // numbers.itemsize
    each = NUMBERS * c * GROUP  # bytes of the sums of a group of kernels
    for part in cuts(problem.output_channels, max(1, BYTES // each) * group):
        total = _sums(problem, part, images, outputs, memory)
        taps = memory.array("taps", (3, 3, c, len(part)), numbers)
        _run("gradient", {"sums": total, "out": taps})(total, taps)
        if not np.isfinite(taps).all():
            return False
        out[..., slice_of(part)] = taps
    return True


def _sums(problem: Problem, part: range, images: Array, outputs: Array, memory: Memory) -> Array:
    """The sums over all tiles, for some kernels: (16, n / group, c, group)."""
    numbers, c = problem.sum_dtype, problem.channels
    shape = NUMBERS, _groups(len(part), numbers), c, GROUP // numbers.itemsize
    pairwise, sums, added = Pairwise(), np.zeros(shape, numbers), 0
    for region in regions(problem, MOST_COPIED, _row(problem)):
        cells, back = _tiles(problem, region, part, images, outputs)
        blocks = _blocks(problem, region, part)
        runs: dict[int, Run] = {}  # those of blocks of as many tiles
        for block in blocks:
            if added + len(block) > TOGETHER:
                pairwise.add(sums)
                sums, added = np.zeros(shape, numbers), 0
            added += len(block)
            turned = {
                "cells": cells.turned(block, memory)[:, 0],
                "outputs": back.turned(block, memory),
                "out": sums,
            }
            if len(block) not in runs:
                runs[len(block)] = _run("summed", turned)
            runs[len(block)](*turned.values())
    pairwise.add(sums)
    return pairwise.total()


def _run(name: str, arrays: dict[str, Array]) -> Run:
    """The run of a pipeline that takes nothing but such arrays."""
    frames = {name: frame_of(array) for name, array in arrays.items()}
    variant = loaded().variants.choose({}, [(name, NAMES[arrays["out"].dtype])])
    return Run(loaded(), variant, frames, list(frames))


def _groups(channels: int, numbers: DType) -> int:
    """How many groups of channels lie side by side; the last one may be filled up."""
    return -(-channels * numbers.itemsize // GROUP)


def _row(problem: Problem) -> int:
    """The numbers of a row of images, or of outputs if they are more."""
    columns = problem.columns
    return max(columns.size * problem.channels, columns.outputs * problem.output_channels)


def _blocks(problem: Problem, region: Region, part: range) -> list[range]:
    """The tiles of a region, divided evenly into blocks that fit into memory when turned."""
    images, *sizes, _ = map(len, (region.images, *region.places, part))
    count = images * prod(-(-size // SIDE) for size in sizes)
    groups = sum(_groups(each, problem.sum_dtype) for each in (problem.channels, len(part)))
    most = min(MOST, max(LEAST, BYTES // (NUMBERS * GROUP * groups)))
    return cuts(count, -(-count // -(-count // most)))


def _tiles(
    problem: Problem, region: Region, part: range, images: Array, outputs: Array
) -> tuple[_Tiles, _Tiles]:
    """The tiles of a region: their cells, and some of their outputs."""
    numbers, c = problem.sum_dtype, problem.channels
    group = GROUP // numbers.itemsize
    both = list(zip(problem.axes, region.places, strict=True))
    sizes = [-(-len(places) // SIDE) for places in region.places]
    some = images[slice_of(region.images)], outputs[slice_of(region.images)]
    pixels = _read(some[0], [grid(axis, places) for axis, places in both], numbers)
    back = _read(some[1], [grid(_of_outputs(axis), places) for axis, places in both], numbers)
    # The pipeline that adds up takes a few channels at a time, and so the last of them from here.
    together = _groups(c, numbers) * group
    return (
        _Tiles(4, *pixels, range(c), (together, together + 8), sizes, float(problem.pad_number)),
        _Tiles(2, *back, part, (group, group), sizes, 0.0),
    )


def _of_outputs(axis: Axis) -> Axis:
    """The outputs along an axis, as pixels that windows of one tap lie on."""
    return Axis(axis.outputs, 1, 1, 1, 0, 0, border=axis.border)


def _read(pixels: Array, grids: list[Grid], numbers: DType) -> tuple[Array, list[Grid]]:
    """The pixels that these grids use, as pipelines can read them; copied only if they must be."""
    used = pixels[:, *(slice_of(each.used) for each in grids)]
    if usable(pixels.dtype, numbers, Placement.of(pixels), pixels.shape[-1]) and indexable(used):
        return used, grids
    return copied_pixels(pixels, grids, numbers)


class _Tiles:
    """The tiles of some channels of a region.

    Parameters
    ----------
    side : int
        4 for cells of images, 2 for outputs.
    pixels, grids
        The images or outputs, and which pixels lie under the tiles.
    channels : range
    group : (int, int)
        How many channels lie side by side, and room for how many there is.
    sizes : list of int
        The rows and columns of tiles.
    padding : float
    """

    def __init__(
        self,
        side: int,
        pixels: Array,
        grids: list[Grid],
        channels: range,
        group: tuple[int, int],
        sizes: list[int],
        padding: float,
    ) -> None:
        m, h, w, c = pixels.shape
        self._side, self._pixels, self._group = side, pixels, group
        self._groups = -(-len(channels) // group[0])
        self._begin, self._runs = np.zeros(1, np.int32), dict[int, Run]()
        rows, columns = (padded(each, SIDE) for each in grids)
        high, wide = sizes
        self._arguments = {
            "images": frame_of(pixels.reshape(m, h, w * c)),
            "padding": padding,
            "rows": buffer(rows),
            "columns": buffer(columns),
            "begin": buffer(self._begin),
            "C": c,
            "start": channels.start,
            "group": group[0],
            "wide": wide,
            "high": high,
        }

    def turned(self, block: range, memory: Memory) -> Array:
        """Turn a block of tiles: (16, channels / group, tiles, room for a group)."""
        numbers, count = self._pixels.dtype, len(block)
        # The 16 numbers are written together. If they lay a power of 2 apart, they would share
        # places in the cache, so there is a gap.
        shape = NUMBERS, self._groups * count + 1, self._group[1]
        whole = memory.array(f"tiles {self._side}", shape, numbers)
        tiles = whole[:, :-1].reshape(NUMBERS, self._groups, count, -1)
        out = tiles[..., : self._group[0]]
        if count not in self._runs:
            variant = loaded().variants.choose({"side": self._side}, [("turned", NAMES[numbers])])
            arguments = self._arguments | {"out": frame_of(out)}
            self._runs[count] = Run(loaded(), variant, arguments, ["images", "out"])
        self._begin[0] = block.start
        self._runs[count](self._pixels, out)
        return tiles
