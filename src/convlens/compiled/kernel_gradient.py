"""Gradients by kernels in pipelines: where these pay, and how they are run.

For each tap, the gradient is a product of matrices: of the pixels under the tap, channels x
outputs, by what comes back to the outputs, outputs x kernels. Kernels of 3 x 3 taps are computed by
Winograd's method, if that takes fewer operations: in 16 products for tiles of 2 x 2 outputs, which
are turned before. The formulas are in `pipelines/kernel_gradients.py`. Below, "tile" is a single
output, too.

The outputs are divided into regions, of each of which a pipeline makes the gradient, and these are
added in pairs. Where the cuts lie, and those within a region, depends on the shapes alone. So the
order in which numbers are added up does not depend on the threads, or on how arrays lie in memory.

For kernels of few numbers, each one's sum is that of its products in one row of outputs after
another, in C; see `runtime/few.c`. Fewer than eight kernels would leave vectors along them half
empty, so for these, vectors lie along the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from convlens.compiled.blocks import Grid, cuts, grid
from convlens.compiled.choice import F32, F64, NAMES, DType, same_kernel
from convlens.compiled.library import Run, address, buffer, loaded
from convlens.compiled.placement import (
    Placement,
    copied_pixels,
    frame_of,
    indexable,
    padded,
    slice_of,
    usable,
)
from convlens.compiled.repeats import Repeats
from convlens.compiled.winograd import GROUP, NUMBERS, SIDE, TURN
from convlens.core.axis import Axis
from convlens.core.pairwise import Pairwise
from convlens.core.problem import Array, Problem, Region

Pixels = tuple[Array, list[Grid]]  # and which of them lie under the taps

FEWEST = 16  # channels of the images and of the outputs, below which vectors would be half empty
FEW_KERNELS = 8  # below which vectors lie along the rows
MOST_NUMBERS = 2**14  # of few kernels or channels: caches hold their sums
FEW = 9  # taps: it does not pay to copy pixels for more of them
REGION = 2**22  # numbers of a region, of which there may be a copy
FEW_REGION = 2**23  # bytes of a region for few kernels or channels
CHAIN = 64  # tiles that pipelines add up one after another
PARTS = 8  # of a region, at the most, that have sums of their own
PART_NUMBERS = 2**16  # of sums, up to which each part has its own
SUMS = 2**22  # bytes of the sums of a run: caches hold them
SIDE_BY_SIDE = 2**19  # numbers of tiles that are put side by side at a time, if there is one part

REPEATS = Repeats()  # the runs of the latest gradients


@lru_cache(maxsize=256)
def way(problem: Problem) -> type[Products] | None:
    """How pipelines compute a convolution's gradient by its kernels; None if they do not."""
    if problem.kernels is None or len(problem.axes) != 2 or problem.sum_dtype not in (F32, F64):
        return None
    if problem.where != "all" or problem.groups < 1:
        return None
    channels, kernels = problem.channels, problem.output_channels
    sizes = [size for axis in problem.axes for size in (axis.size, axis.outputs)]
    if not problem.batch or 0 in (channels, kernels, *sizes):
        return None
    if kernels < FEW_KERNELS:
        numbers = problem.taps * (channels // problem.groups) * kernels
        return FewKernels if numbers <= MOST_NUMBERS else None
    if problem.groups != 1 or same_kernel(problem):
        return None
    if min(channels, kernels) < FEWEST:
        return FewChannels if problem.taps * channels * kernels <= MOST_NUMBERS else None
    fits = 2 * SUMS // (channels * GROUP)  # products of matrices in a run
    outputs = prod(axis.outputs for axis in problem.axes)
    if {(axis.window, axis.stride, axis.dilation) for axis in problem.axes} == {(3, 1, 1)}:
        tiles = prod(-(-axis.outputs // SIDE) for axis in problem.axes)
        turns = TURN * (channels + kernels)
        fewer = tiles * (NUMBERS * channels * kernels + turns) < outputs * 9 * channels * kernels
        if fewer and fits >= NUMBERS:
            return Winograd
    return Products if problem.taps <= min(fits, FEW) else None


class Products:
    """A gradient by kernels, as a product of matrices for each tap.

    Parameters
    ----------
    problem : Problem
        The convolution.
    images, outputs : numpy.ndarray
        In their full form.
    """

    side = 1  # of a tile
    finite = False  # whether only a finite gradient is the right one
    words = "as products of the pixels under each tap by the outputs"

    def __init__(self, problem: Problem, images: Array, outputs: Array) -> None:
        self._problem, self._images, self._outputs = problem, images, outputs
        self._numbers = problem.sum_dtype
        self._group = GROUP // self._numbers.itemsize

    @classmethod
    def describe(cls, numbers: DType) -> str:
        """Describe in words how a gradient is computed."""
        return f"{cls.words}, added in pairs, for {loaded().level}, in {numbers}"

    @property
    def count(self) -> int:
        """The number of products of matrices."""
        return self._problem.taps

    def write(self, out: Array) -> bool:
        """Write the gradient into `out`, (kh, kw, c, n); False if it must be computed otherwise."""
        given = self._images, self._outputs, out
        key = type(self), self._problem, *map(Placement.of, given), loaded().threads
        if REPEATS.run(key, given):
            return self._is_right(out)
        regions, pairwise = list(self._regions()), Pairwise()
        if len(regions) == 1 and self._usable(out) and out.flags.c_contiguous:
            REPEATS.keep(key, given, self._run(regions[0], out))
            return self._is_right(out)
        for region in regions:
            gradient = np.empty(out.shape, self._numbers)
            self._run(region, gradient)
            if not self._is_right(gradient):
                return False
            pairwise.add(gradient)
        out[...] = pairwise.total()
        return True

    def _is_right(self, gradient: Array) -> bool:
        """Whether this is the gradient, or must be computed otherwise."""
        return not self.finite or bool(np.isfinite(gradient).all())

    def _usable(self, array: Array) -> bool:
        return usable(array.dtype, self._numbers, Placement.of(array), array.shape[-1])

    @property
    def _region(self) -> int:
        """The numbers of a region."""
        return REGION

    def _regions(self) -> Iterator[Region]:
        """Divide the outputs evenly into regions of so few numbers that they can be copied."""
        problem, side = self._problem, self.side
        rows, columns = problem.axes
        row = max(
            columns.size * problem.channels * rows.stride,
            columns.outputs * problem.output_channels,
        )
        together = max(1, self._region // (row * rows.outputs))
        most = max(1, self._region // (row * side))  # rows of tiles
        for images in _evenly(problem.batch, together):
            for some in _evenly(-(-rows.outputs // side), most):
                places = range(some.start * side, min(some.stop * side, rows.outputs))
                yield Region(images, (places, range(columns.outputs)))

    def _pixels(self, region: Region) -> tuple[Pixels, Pixels]:
        """The pixels under the windows of a region, and its outputs."""
        some, axes = slice_of(region.images), self._problem.axes
        pixels, outputs = (
            [grid(axis, places) for axis, places in zip(each, region.places, strict=True)]
            for each in (axes, map(_of_outputs, axes))
        )
        return self._read(self._images[some], pixels), self._read(self._outputs[some], outputs)

    def _read(self, pixels: Array, grids: list[Grid]) -> Pixels:
        """The pixels that these grids use, as pipelines can read them; copied only if need be."""
        used = pixels[:, *(slice_of(each.used) for each in grids)]
        if self._usable(pixels) and indexable(used):
            return used, grids
        return copied_pixels(pixels, grids, self._numbers)

    def _run(self, region: Region, out: Array) -> list[tuple[Run, list[Array]]]:
        """Write the gradient by a region into `out`, without gaps; the runs, with their arrays."""
        problem, numbers = self._problem, self.count * self._problem.channels
        (images, grids), (outputs, _) = self._pixels(region)
        m, h, w, c = images.shape
        _, oh, ow, n = outputs.shape
        high, wide = (-(-size // self.side) for size in (oh, ow))
        chains = -(-m * high * wide // CHAIN)
        few = numbers * n <= PART_NUMBERS
        parts = min(PARTS, chains) if few else 1
        length = -(-chains // parts)  # of a part, in chains
        ends = np.minimum(np.arange(1, parts + 1) * length * CHAIN, m * high * wide)
        rows, columns = (padded(each, SIDE) for each in grids)
        arguments = {
            "images": frame_of(images.reshape(m, h, w * c)),
            "padding": float(problem.pad_number),
            "rows": buffer(rows),
            "columns": buffer(columns),
            "outputs": frame_of(outputs.reshape(m, oh, ow * n)),
            "ends": buffer(ends.astype(np.int32)),
            "C": c,
            "N": n,
            "across": wide,
            "high": high,
            "per_row": 1 / wide,
            "per_image": 1 / (wide * high),
            "chains": length,
        }
        if self.side == 1:
            arguments |= _taps(problem, grids)
        facts = {"side": self.side, "wide": int(not few)}
        variant = loaded().variants.choose(facts, [("products", NAMES[self._numbers])])
        together = max(1, SUMS // (numbers * GROUP)) * self._group
        runs = []
        for part in cuts(n, together):
            target = out.reshape(-1, c, n)[..., slice_of(part)]
            arguments |= {"start": part.start, "out": frame_of(target)}
            if not few:
                tile = self.count * (c + len(part))
                arguments["block"] = max(1, SIDE_BY_SIDE // (CHAIN * tile))
            run = Run(loaded(), variant, arguments, ["images", "outputs", "out"])
            arrays = [images, outputs, target]
            run(*arrays)
            runs.append((run, arrays))
        return runs


class Winograd(Products):
    """A gradient by kernels of 3 x 3 taps, by Winograd's method.

    The pipelines make NaN of numbers that are not finite, or so large that sums of them could
    overflow on the way. So these must be computed tap by tap.
    """

    side = SIDE
    finite = True
    words = "by Winograd's method in tiles of 2 x 2 outputs, with 4 multiplications for 9"

    @property
    def count(self) -> int:
        """The number of products of matrices."""
        return NUMBERS


class FewKernels(Products):
    """A gradient by few kernels, with vectors along the rows."""

    words = "as products of each row's outputs by the cells under each tap"
    along = False  # whether vectors lie along the kernels

    @property
    def _region(self) -> int:
        """The numbers of a region."""
        return FEW_REGION // self._numbers.itemsize

    def write(self, out: Array) -> bool:
        """Write the gradient into `out`, (kh, kw, c // groups, nc), or (kh, kw) if all are one."""
        problem = self._problem
        kh, kw = (axis.window for axis in problem.axes)
        depth, count = problem.channels // problem.groups, problem.output_channels
        sums = np.zeros((kh, kw, depth, count, 2) if self.along else (kh, depth, count, kw, 2))
        given = self._images, self._outputs, sums
        key = type(self), problem, *map(Placement.of, given), loaded().threads
        if not REPEATS.run(key, given):
            ran = []
            for region in self._regions():
                (images, grids), (outputs, _) = self._pixels(region)
                arrays = [images, outputs, sums]
                run = FewRun(problem, images, outputs, grids, along=self.along)
                run.start([address(each) for each in arrays])
                ran.append((run, arrays))
            REPEATS.keep(key, given, ran)
        sums, rest = np.moveaxis(sums, -1, 0)
        result = np.where(np.isfinite(sums), sums + rest, sums)
        if not self.along:
            result = result.transpose(0, 3, 1, 2)
        out[...] = result.sum(axis=(-2, -1)) if same_kernel(problem) else result
        return True


class FewChannels(FewKernels):
    """A gradient by kernels of few numbers, with vectors along the kernels."""

    words = (
        "as products of each row's outputs by the cells under each tap, vectors along the kernels"
    )
    along = True


class FewRun:
    """Adds products of a region's outputs by the cells under the taps to sums, in C.

    Parameters
    ----------
    problem : Problem
    images, outputs : numpy.ndarray
        Those of a region. It can be run on others that lie in memory as these do.
    grids : list of Grid
        Which of the pixels lie under the taps.
    along : bool
        Whether vectors lie along the kernels.

    Attributes
    ----------
    nbytes : int
        Bytes of the tables that it keeps.
    """

    def __init__(
        self, problem: Problem, images: Array, outputs: Array, grids: list[Grid], *, along: bool
    ) -> None:
        (rows, columns), size, groups = grids, images.itemsize, problem.groups
        sizes = [
            *(each.strides[axis] // size for each in (images, outputs) for axis in (0, 1)),
            *(len(images), groups, problem.channels // groups, problem.output_channels // groups),
            *(*outputs.shape[1:3], *(axis.window for axis in problem.axes)),
            *(rows.stride, columns.stride, rows.dilation, columns.dilation, len(rows)),
        ]
        self._tables = np.array(sizes, np.int64), *(padded(each, 0) for each in grids)
        self._padding, self._wide, self._along = float(problem.pad_number), size == 8, along
        self.nbytes = sum(each.nbytes for each in self._tables)

    def start(self, addresses: list[int]) -> None:
        """Add to sums; the images, outputs and sums begin at these addresses."""
        images, outputs, sums = addresses
        tables = [address(each) for each in self._tables]
        loaded().add_few_products(
            [images, outputs, *tables], self._padding, sums, wide=self._wide, along=self._along
        )


def _taps(problem: Problem, grids: list[Grid]) -> dict[str, Any]:
    """The arguments by which a pipeline finds the pixel under each tap."""
    (rows, columns), (kh, kw) = grids, (axis.window for axis in problem.axes)
    return {
        "sx": columns.stride,
        "sy": rows.stride,
        "columns_of": buffer(np.tile(np.arange(kw, dtype=np.int32) * columns.dilation, kh)),
        "rows_of": buffer(np.repeat(np.arange(kh, dtype=np.int32) * rows.dilation, kw)),
    }


def _evenly(size: int, most: int) -> list[range]:
    """Divide a size evenly into ranges of so many at the most."""
    return cuts(size, -(-size // -(-size // most)))


def _of_outputs(axis: Axis) -> Axis:
    """The outputs along an axis, as pixels that windows of one tap lie on."""
    return Axis(axis.outputs, 1, 1, 1, 0, 0, border=axis.border)
