"""Gradients by kernels in pipelines: where these pay, and how they are run.

For each tap, the gradient is a product of matrices: of the pixels under the tap, channels x
outputs, by what comes back to the outputs, outputs x kernels. Kernels of 3 x 3 taps are computed by
Winograd's method, if that takes fewer operations: in 16 products for tiles of 2 x 2 outputs, which
are turned before. The formula is in `pipelines/winograd.py`. Below, "tile" is a single output, too.

The tiles of all images are put side by side block after block, and their products added to the sums
of the blocks before; after some thousand tiles new sums begin, and such sums are added in pairs.
Where these cuts lie depends on the shapes alone. So the order in which numbers are added up does
not depend on the threads, or on how arrays lie in memory.

For kernels of few numbers, each one's sum is that of its products in one row of outputs after
another, in C; see `runtime/few.c`. Fewer than eight kernels would leave vectors along them half
empty, so for these, vectors lie along the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np

from convlens.compiled.blocks import Grid, cuts, grid
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
from convlens.compiled.variants import Variant
from convlens.compiled.winograd import GROUP, NUMBERS, SIDE, TURN
from convlens.core.axis import Axis
from convlens.core.memory import Memory
from convlens.core.pairwise import Pairwise
from convlens.core.problem import Array, Problem, Region

Pixels = tuple[Array, list[Grid]]  # and which of them lie under the taps

FEWEST = 16  # channels of the images and of the outputs, below which vectors would be half empty
FEW_KERNELS = 8  # below which vectors lie along the rows
MOST_NUMBERS = 2**14  # of few kernels or channels: caches hold their sums
FEW_NUMBERS = 2**12  # of any: up to here it does not pay to put tiles side by side
BYTES, SUMS = 2**21, 2**22  # of tiles at a time, and of their sums: caches hold them
FEW = 9  # taps: it does not pay to copy pixels for more of them
REGION = 3 * 2**18  # numbers of a region; of the last and the next one there may be copies
FEW_REGION = 2**23  # bytes of a region for few kernels or channels
LEAST, MOST = 32, 2048  # tiles of a block
TOGETHER = 4096  # the most tiles that are added up one block after another
NEAR = 256  # channels of a tile that lie side by side, at the most
ROOM = 8  # channels beyond the last: the pipeline that adds up takes a few at a time


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
    few = min(channels, kernels) < FEWEST
    if problem.taps * channels * kernels <= (MOST_NUMBERS if few else FEW_NUMBERS):
        return FewChannels
    if few:
        return None
    fits = 2 * SUMS // (channels * GROUP)  # products of matrices at a time
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
    words = "as products of the pixels under each tap by the outputs"

    def __init__(self, problem: Problem, images: Array, outputs: Array) -> None:
        self._problem, self._images, self._outputs = problem, images, outputs
        self._numbers, self._memory = problem.sum_dtype, Memory()
        self._made = dict[tuple[range, ...], list[list[Grid]]]()  # the grids for some places
        self._group = GROUP // self._numbers.itemsize
        # How many channels of a tile lie side by side; those of the next tile should be near.
        parts = -(-problem.channels // NEAR)
        self._together = self._groups(-(-problem.channels // parts)) * self._group

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
        each = (
            self.count * self._problem.channels * GROUP
        )  # bytes of the sums of a group of kernels
        together = max(1, SUMS // each) * self._group
        return all(
            self._write(self._sums(part), out[..., slice_of(part)])
            for part in cuts(self._problem.output_channels, together)
        )

    def _write(self, sums: Array, out: Array) -> bool:
        """Write the sums for some kernels, (count, c, room for n), into `out`."""
        out[...] = sums.reshape(*out.shape[:-1], -1)[..., : out.shape[-1]]
        return True

    def _sums(self, part: range) -> Array:
        """The sums over all tiles, for some kernels: (count, c, room for n)."""
        problem = self._problem
        shape = self.count, problem.channels, self._groups(len(part)) * self._group
        pairwise, sums, added = Pairwise(), np.zeros(shape, self._numbers), 0
        tiles: dict[tuple[int, tuple[range, ...]], tuple[Tiles, Tiles]] = {}  # of like regions
        runs: dict[tuple[int, int], Run] = {}  # those of as many tiles and channels
        there = None
        for region in self._regions():
            first, around = self._around(region)
            if around is not there:
                there, (images, outputs) = around, self._pixels(around)
                alike = len(around.images), around.places
                if alike not in tiles:
                    tiles[alike] = self._tiles(around, part, images, outputs)
                cells, back = tiles[alike]
            for block in self._blocks(region, part):
                if added + len(block) > TOGETHER:
                    pairwise.add(sums)
                    sums, added = np.zeros(shape, self._numbers), 0
                added += len(block)
                here = range(first + block.start, first + block.stop)
                turned, y = cells(images[0], here), back(outputs[0], here)
                grown = sums.reshape(*shape[:-1], -1, self._group).swapaxes(1, 2)
                for number, some in enumerate(cuts(problem.channels, self._together)):
                    given = turned[:, number], self._for_each(y), grown[:, :, slice_of(some)]
                    layout = len(block), len(some)
                    if layout not in runs:
                        runs[layout] = _run("summed", ("cells", "outputs", "out"), given)
                    runs[layout](*given)
        pairwise.add(sums)
        return pairwise.total()

    def _around(self, region: Region) -> tuple[int, Region]:
        """The region whose tiles are read at once, and which of them is the first of this one.

        Arrays that are not copied are read as a whole. A region's tiles follow each other there,
        because it has whole images, or some rows of one.
        """
        whole = self._whole
        if whole is None:
            return 0, region
        rows, columns = (-(-len(each) // self.side) for each in whole.places)
        return (region.images.start * rows + region.places[0].start // self.side) * columns, whole

    @cached_property
    def _whole(self) -> Region | None:
        """All outputs, if they and the images can be read in place."""
        for array in (self._images, self._outputs):
            if not (self._usable(array) and indexable(array)):
                return None
        places = tuple(range(axis.outputs) for axis in self._problem.axes)
        return Region(range(self._problem.batch), places)

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

    def _for_each(self, outputs: Array) -> Array:
        """The outputs, for each of the products."""
        if self.count == 1:
            return outputs
        return np.broadcast_to(outputs, (self.count, *outputs.shape[1:]))

    def _groups(self, channels: int) -> int:
        """How many groups of channels there are; the last one may be filled up."""
        return -(-channels // self._group)

    def _blocks(self, region: Region, part: range) -> list[range]:
        """The tiles of a region, divided evenly into blocks that fit into memory."""
        count = len(region.images) * prod(-(-len(each) // self.side) for each in region.places)
        groups = self.count * self._groups(self._problem.channels) + self._groups(len(part))
        return _evenly(count, min(MOST, max(LEAST, BYTES // (GROUP * groups))))

    def _pixels(self, region: Region) -> tuple[Pixels, Pixels]:
        """The pixels under the windows of a region, and its outputs."""
        some, (pixels, outputs) = slice_of(region.images), self._grids(region.places)
        return self._read(self._images[some], pixels), self._read(self._outputs[some], outputs)

    def _grids(self, places: tuple[range, ...]) -> list[list[Grid]]:
        """Which pixels lie under the windows at these places, and which outputs are there."""
        if places not in self._made:
            axes = self._problem.axes
            self._made[places] = [
                [grid(axis, some) for axis, some in zip(each, places, strict=True)]
                for each in (axes, map(_of_outputs, axes))
            ]
        return self._made[places]

    def _tiles(
        self, region: Region, part: range, pixels: Pixels, back: Pixels
    ) -> tuple[Tiles, Tiles]:
        """What puts the tiles of a region side by side: their cells, and some of their outputs."""
        problem, c = self._problem, self._problem.channels
        sizes = [-(-len(places) // self.side) for places in region.places]
        room = self._together, self._together + ROOM
        padding = float(problem.pad_number)
        return (
            self._placed(True, pixels, range(c), room, sizes, padding),
            self._placed(False, back, part, (self._group, self._group), sizes, 0.0),
        )

    def _read(self, pixels: Array, grids: list[Grid]) -> Pixels:
        """The pixels that these grids use, as pipelines can read them; copied only if need be."""
        used = pixels[:, *(slice_of(each.used) for each in grids)]
        if self._usable(pixels) and indexable(used):
            return used, grids
        return copied_pixels(pixels, grids, self._numbers)

    def _placed(self, of_images: bool, pixels: Pixels, *given: Any) -> Tiles:
        """What puts tiles of images, or of outputs, side by side."""
        rows, columns = pixels[1]
        taps = {
            "kw": self._problem.columns.window if of_images else 1,
            "sx": columns.stride,
            "sy": rows.stride,
            "dx": columns.dilation,
            "dy": rows.dilation,
        }
        variant = loaded().variants.choose({}, [("gathered", NAMES[self._numbers])])
        count = self.count if of_images else 1
        return Tiles(variant, taps, count, self._memory, pixels, *given)


class Winograd(Products):
    """A gradient by kernels of 3 x 3 taps, by Winograd's method."""

    side = SIDE
    words = "by Winograd's method in tiles of 2 x 2 outputs, with 4 multiplications for 9"

    @property
    def count(self) -> int:
        """The number of products of matrices."""
        return NUMBERS

    def _write(self, sums: Array, out: Array) -> bool:
        """Write the gradient by some kernels into `out`, unless some of it is not finite.

        The pipelines make NaN of numbers that are not finite, or so large that sums of them could
        overflow on the way. So these must be computed tap by tap.
        """
        taps = out
        if not (self._usable(out) and indexable(out)):
            taps = self._memory.array("taps", out.shape, self._numbers)
        sums = sums.reshape(*sums.shape[:-1], -1, self._group).swapaxes(1, 2)
        _run("gradient", ("sums", "out"), (sums, taps))(sums, taps)
        finite = bool(np.isfinite(taps).all())
        if finite and taps is not out:
            out[...] = taps
        return finite

    def _for_each(self, outputs: Array) -> Array:
        return outputs

    def _placed(self, of_images: bool, pixels: Pixels, *given: Any) -> Tiles:
        """What turns tiles of images, or of outputs."""
        facts = {"side": 4 if of_images else 2}
        variant = loaded().variants.choose(facts, [("turned", NAMES[self._numbers])])
        return Tiles(variant, {}, NUMBERS, self._memory, pixels, *given)


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
        for region in self._regions():
            (images, grids), (outputs, _) = self._pixels(region)
            rows, columns = grids
            sizes = [
                *(
                    each.strides[axis] // each.itemsize
                    for each in (images, outputs)
                    for axis in (0, 1)
                ),
                *(len(images), problem.groups, depth, count // problem.groups),
                *(*map(len, region.places), kh, kw),
                *(rows.stride, columns.stride, rows.dilation, columns.dilation, len(rows)),
            ]
            places = [padded(each, 0) for each in grids]
            padding = float(problem.pad_number)
            loaded().add_few_products(
                images, outputs, np.array(sizes, np.int64), places, padding, sums, along=self.along
            )
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


class Tiles:
    """What puts the tiles of some channels of a region side by side, block after block.

    Parameters
    ----------
    variant : Variant
        The pipeline that does so.
    arguments : dict
        Those of its arguments that are its own.
    count : int
        How many numbers there are of a tile, in each channel.
    memory : Memory
    pixels : (numpy.ndarray, list of Grid)
        The first images or outputs, and which pixels lie under the tiles.
    channels : range
    group : (int, int)
        How many channels lie side by side, and room for how many there is.
    sizes : list of int
        The rows and columns of tiles.
    padding : float
    """

    def __init__(
        self,
        variant: Variant,
        arguments: dict[str, int],
        count: int,
        memory: Memory,
        pixels: Pixels,
        channels: range,
        group: tuple[int, int],
        sizes: list[int],
        padding: float,
    ) -> None:
        self._variant, self._count, self._memory, self._group = variant, count, memory, group
        self._groups = -(-len(channels) // group[0])
        self._begin = np.zeros(1, np.int32)
        self._runs = dict[int, tuple[Run, Array, Array]]()  # for so many tiles
        m, h, w, c = pixels[0].shape
        rows, columns = (padded(each, SIDE) for each in pixels[1])
        high, wide = sizes
        self._arguments = {
            "images": frame_of(pixels[0].reshape(m, h, w * c)),
            "padding": padding,
            "rows": buffer(rows),
            "columns": buffer(columns),
            "begin": buffer(self._begin),
            "C": c,
            "start": channels.start,
            "group": group[0],
            "wide": wide,
            "high": high,
            **arguments,
        }

    def __call__(self, pixels: Array, block: range) -> Array:
        """The numbers of a block of tiles: (count, channels / group, tiles, room for a group).

        The pixels lie in memory as the first ones did.
        """
        if len(block) not in self._runs:
            self._runs[len(block)] = self._prepared(len(block), pixels.dtype)
        run, placed, out = self._runs[len(block)]
        self._begin[0] = block.start
        run(pixels, out)
        return placed

    def _prepared(self, tiles: int, numbers: DType) -> tuple[Run, Array, Array]:
        """The run for so many tiles, where it writes to, and the part that it writes."""
        # All numbers of a tile are written together. If they lay a power of 2 apart, they would
        # share places in the cache, so there is a gap.
        shape = self._count, self._groups * tiles + 1, self._group[1]
        name = f"{self._variant.name} {self._group}"
        whole = self._memory.array(name, shape, numbers)
        placed = whole[:, :-1].reshape(self._count, self._groups, tiles, -1)
        out = placed[..., : self._group[0]]
        arguments = self._arguments | {"out": frame_of(out)}
        return Run(loaded(), self._variant, arguments, ["images", "out"]), placed, out


def _evenly(size: int, most: int) -> list[range]:
    """Divide a size evenly into ranges of so many at the most."""
    return cuts(size, -(-size // -(-size // most)))


def _run(name: str, names: tuple[str, ...], arrays: tuple[Array, ...]) -> Run:
    """The run of a pipeline that takes nothing but such arrays."""
    frames = dict(zip(names, map(frame_of, arrays), strict=True))
    variant = loaded().variants.choose({}, [(name, NAMES[arrays[-1].dtype])])
    return Run(loaded(), variant, frames, list(frames))


def _of_outputs(axis: Axis) -> Axis:
    """The outputs along an axis, as pixels that windows of one tap lie on."""
    return Axis(axis.outputs, 1, 1, 1, 0, 0, border=axis.border)
