"""Convolve 3 x 3 windows with many kernels by Winograd's method: where it pays, and how it is run.

The output is divided into tiles of 2 x 2; see `pipelines/winograd.py`. They lie at even places
from the first output on, whatever the batch and the threads are, and a problem is cut between them
alone. With a dilation, the outputs that see every second pixel, say, are a *phase*, and each phase
has tiles of its own: for the pipelines it is an output with gaps, under windows without any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from convlens.compiled.blocks import DIRECT, KEPT, LEAST, MOST_COPIED, Grid, cuts, grid
from convlens.compiled.choice import F32, F64, NAMES, DType, same_kernel
from convlens.compiled.library import Run, buffer, frame, loaded
from convlens.compiled.placement import (
    Placement,
    copied_pixels,
    frame_of,
    indexable,
    packed,
    padded,
    scattered,
    slice_of,
    usable,
)
from convlens.core.axis import Axis
from convlens.core.problem import Array, Problem, Region

if TYPE_CHECKING:
    from convlens.compiled.ways import Way  # at run time it is `ways` that imports this module

Runs = list[tuple[tuple[slice, ...], Run]]  # for each phase, where its outputs are
Compute = Callable[[Problem, "Way", Array, Array | None, Array], object]

SIDE = 2  # the outputs of a tile, along each axis
GROUP = 128  # bytes of kernels whose turned numbers lie side by side, as the pipelines want them
NUMBERS = 16  # into which the cells of a tile are turned, and the taps of a kernel
# What it takes besides the products, in multiply-adds: to turn a tile's cells of one channel, or
# its sums of one kernel; and to turn a kernel's taps of one channel.
TURN, PREPARE = 200, 400
FEW = 28  # tiles: with fewer of them in a phase, kernels take longer to read than to multiply
BLOCK = 28  # tiles whose cells are turned together: they stay in a core's own cache
TURNED = 2**23  # the most bytes of turned kernels at a time
STEPS = 2**31  # multiplications in a region: few enough to end within half a second
MENDED = 2**20  # the most numbers that are computed tap by tap at a time


@lru_cache(maxsize=256)
def pays(problem: Problem) -> bool:
    """Whether an image's convolution costs less by Winograd's method than tap by tap.

    It does not depend on the batch, and so an image's result does not either.
    """
    if problem.kernels is None or len(problem.axes) > 2 or problem.sum_dtype not in (F32, F64):
        return False
    plain = all((axis.window, axis.stride) == (3, 1) for axis in problem.axes)
    if not plain or problem.groups != 1 or same_kernel(problem):
        return False
    if problem.output_dtype.kind != "f" or problem.where != "all":  # results that are rounded, or
        return False  # divided by weights
    _, *outputs, kernels = problem.full_output_shape
    products = problem.channels * kernels
    every = [phases(axis, size) for axis, size in zip(problem.axes, outputs, strict=True)]
    tiles = prod(
        sum(-(-len(range(size)[phase]) // SIDE) for phase in some)
        for some, size in zip(every, outputs, strict=True)
    )
    count = prod(map(len, every))
    if count > 1 and tiles < FEW * count:
        return False
    turns = tiles * TURN * (problem.channels + kernels) + PREPARE * products
    return tiles * NUMBERS * products + turns < prod(outputs) * problem.taps * products


def describe(numbers: DType) -> str:
    """Describe in words how a problem is computed."""
    return f"by Winograd's method in tiles of 2 x 2, with 4 multiplications for 9, in {numbers}"


def phases(axis: Axis, outputs: int) -> list[slice]:
    """The first outputs of an axis by phase: those of one see only each dilation-th pixel."""
    return [slice(first, outputs, axis.dilation) for first in range(min(axis.dilation, outputs))]


def grain(problem: Problem) -> tuple[int, int]:
    """The outputs down and across between which a problem may be cut: whole tiles of each phase."""
    return SIDE * problem.rows.dilation, SIDE * problem.columns.dilation


def compute(
    problem: Problem, way: Way, images: Array, kernels: Array, out: Array, direct: Compute
) -> None:
    """Write the result into `out`; all arrays have their full form.

    `direct` computes tap by tap what is not finite, or has such large numbers that it could become
    so on the way: the pipelines make NaN of it.
    """
    kernels = np.require(kernels, problem.sum_dtype, ["C", "A"])  # (3, 3, c, n)
    work = _prepared(problem, Placement.of(images), Placement.of(out), loaded().threads)
    spoilt = False  # whether a kernel is not finite, which makes all of its outputs NaN
    for part in work.parts:
        factors = _turned(kernels[..., slice_of(part)])
        for region in work.regions:
            work.run(region, part, images, factors, out)
        first = out[0, 0, 0, slice_of(part)]
        spoilt |= not np.isfinite(first).all() and bool(np.isnan(factors).any())
    tap_by_tap = way._replace(winograd=False)
    if spoilt:
        direct(problem, tap_by_tap, images, kernels, out)
        return
    # Pixels that are not finite spoil the outputs of all kernels alike.
    for region, tiles in _left(problem, np.isfinite(out[..., 0])):
        shape = len(region.images), *map(len, region.places), out.shape[-1]
        results = np.empty(shape, out.dtype)
        direct(problem.part(region), tap_by_tap, images[slice_of(region.images)], kernels, results)
        np.copyto(out[region.slices], results, where=tiles[..., np.newaxis])


def _turned(kernels: Array) -> Array:
    """What the taps of kernels (3, 3, c, n) are turned into, (n / group, 16, c, group)."""
    *_, c, n = kernels.shape
    group = GROUP // kernels.itemsize
    factors = np.empty((-(-n // group), NUMBERS, c, group), kernels.dtype)
    run = _prepared_taps(kernels.shape, kernels.strides, kernels.dtype)
    run(kernels, factors)
    return factors


@lru_cache(maxsize=256)
def _prepared_taps(shape: tuple[int, ...], strides: tuple[int, ...], numbers: DType) -> Run:
    """The run that turns kernels of this layout."""
    group = GROUP // numbers.itemsize
    factors = packed((-(-shape[-1] // group), NUMBERS, shape[-2], group), numbers)
    variant = loaded().variants.choose({}, [("taps", NAMES[numbers])])
    frames = {"kernels": frame(shape, strides, numbers), "out": factors}
    return Run(loaded(), variant, frames, list(frames))


@lru_cache(maxsize=256)
def _prepared(problem: Problem, images: Placement, out: Placement, threads: int) -> Work:
    return Work(problem, images, out, threads)


class Work:
    """How a problem is divided, for arrays that lie in memory in one way.

    Attributes
    ----------
    parts : list of range
        The kernels that are turned together.
    regions : list of Region
        The outputs that one run computes.
    """

    def __init__(self, problem: Problem, images: Placement, out: Placement, threads: int) -> None:
        self._problem, self._threads, self._numbers = problem, threads, problem.sum_dtype
        n, columns = problem.output_channels, problem.columns
        self._read_here = usable(problem.images.dtype, self._numbers, images, problem.channels)
        self._read_here &= not scattered(problem, problem.images.dtype, images)
        self._write_here = usable(problem.output_dtype, self._numbers, out, n)
        group = GROUP // self._numbers.itemsize
        each = NUMBERS * problem.channels * GROUP  # bytes of a group of turned kernels
        self.parts = cuts(n, max(1, TURNED // each) * group)
        most = DIRECT if self._read_here and self._write_here else MOST_COPIED
        row = max(columns.size * problem.channels, columns.outputs * n)
        self.regions = list(regions(problem, min(most, STEPS // (4 * problem.channels)), row))
        # For a region and a part that are computed in place: the pixels to read, and the runs.
        self._ready: dict[tuple[Region, range], tuple[tuple[slice, ...], Runs]] = {}

    def run(self, region: Region, part: range, images: Array, factors: Array, out: Array) -> None:
        """Compute the outputs of a region for a part of the kernels, phase by phase."""
        target = out[region.slices][..., slice_of(part)]
        if (ready := self._ready.get((region, part))) is not None:
            used, runs = ready
            for phase, run in runs:
                run(images[used], factors, target[phase])
            return
        grids = [
            grid(axis, places)
            for axis, places in zip(self._problem.axes, region.places, strict=True)
        ]
        used = slice_of(region.images), *(slice_of(each.used) for each in grids)
        pixels = images[used]
        in_place = self._read_here and indexable(pixels)
        if not in_place:
            pixels, grids = copied_pixels(images[used[0]], grids, self._numbers)
        runs = []
        sizes = zip(self._problem.axes, target.shape[1:], strict=False)
        for down, across in product(*(phases(axis, size) for axis, size in sizes)):
            phase = slice(None), down, across
            results = target[phase]
            if not self._write_here:
                results = np.empty(results.shape, self._numbers)
            run = self._made(pixels, grids, phase[1:], factors, results)
            run(pixels, factors, results)
            if not self._write_here:
                target[phase] = results
            runs.append((phase, run))
        if in_place and self._write_here and sum(run.nbytes for _, run in runs) <= KEPT:
            self._ready[region, part] = used, runs

    def _made(
        self,
        pixels: Array,
        grids: list[Grid],
        phase: tuple[slice, ...],
        factors: Array,
        results: Array,
    ) -> Run:
        """The run for the outputs of a phase, on arrays of these layouts."""
        m, h, w, c = pixels.shape
        _, *outputs, n = results.shape
        high, wide = (-(-size // SIDE) for size in outputs)
        rows, columns = (
            np.ascontiguousarray(padded(each, 2 * SIDE * some.step)[some.start :: some.step])
            for each, some in zip(grids, phase, strict=True)
        )
        count = m * high * wide
        blocks = -(-count // BLOCK)
        tasks = max(1, min(4 * self._threads, count * NUMBERS * c * n // LEAST))
        parts = min(-(-min(tasks, 2 * self._threads) // blocks), len(factors))
        frames = {
            "images": frame_of(pixels.reshape(m, h, w * c)),
            "factors": frame_of(factors),
            "out": frame_of(results),
        }
        arguments = {
            "padding": float(self._problem.pad_number),
            "rows": buffer(rows),
            "columns": buffer(columns),
            "C": c,
            "wide": wide,
            "high": high,
            "count": count,
            "block": BLOCK,
            "chunk": max(1, blocks * parts // tasks),
            "share": -(-len(factors) // parts) * factors.shape[-1],
        }
        variant = loaded().variants.choose({}, [("tiles", NAMES[self._numbers])])
        return Run(loaded(), variant, arguments | frames, list(frames))


def regions(problem: Problem, most: int, row: int) -> Iterator[Region]:
    """Divide the output between tiles into regions of so many numbers, of which a row has some."""
    m, rows, columns, _ = problem.full_output_shape
    whole, _ = grain(problem)
    step = max(1, most // row // whole) * whole
    together = max(1, most // (row * rows)) if step >= rows else 1
    for images, some in product(cuts(m, together), cuts(rows, step)):
        yield Region(images, (some, range(columns)))


def _left(problem: Problem, finite: Array) -> Iterator[tuple[Region, Array]]:
    """The regions with tiles of which an output is not finite (m, oh, ow), and where these are."""
    if finite.all():
        return
    row = max(problem.full_output_shape[-1], 1) * finite.shape[-1]
    for region in regions(problem, MENDED, row):
        spoilt = ~finite[region.slices]
        if spoilt.any():
            # A tile is computed anew as a whole, wherever a problem is cut.
            for place, axis in enumerate(problem.axes, 1):
                for phase in phases(axis, spoilt.shape[place]):
                    some = (slice(None),) * place + (phase,)
                    spoilt[some] = _by_tiles(spoilt[some], place)
            yield region, spoilt


def _by_tiles(spoilt: Array, axis: int) -> Array:
    """The same for all outputs of a tile along an axis, true if it is for one of them."""
    size = spoilt.shape[axis]
    tiles = np.logical_or.reduceat(spoilt, range(0, size, SIDE), axis)
    return tiles.repeat(SIDE, axis).take(range(size), axis)
