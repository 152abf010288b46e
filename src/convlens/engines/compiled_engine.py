"""Carry calls out with the compiled pipelines.

A call is divided into blocks, and integers tell the pipeline where a block's numbers lie. A
pipeline reads the images and writes the output in place if it can use their types and layouts;
otherwise each block goes through a small copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convlens.call import Array, Call
from convlens.cells import counts
from convlens.engines import large
from convlens.engines.blocks import COPIED, STRIP, VECTORS, Block, Blocks, Grid, copied, numbers_of
from convlens.engines.library import Buffer, Run, buffer, frame, loaded
from convlens.engines.methods import F16, I64, U8, U64, DType, Method, choose
from convlens.engines.ways import Way, turn
from convlens.geometry import Axis

DIRECT = 2**26  # the most numbers that a block may read or write in place
KERNELS = 2**20  # the most numbers of the kernels in a block
# The most bytes of arrays that a prepared call may keep for the next time. `_prepared` caches 256
# calls, so that at most 16 MB are kept in all.
KEPT = 2**16
SPARE = 64  # entries behind the last one: pipelines may read them, but do not use what they hold
# Multiply-adds in a block, of dense layers, of other floats and of integers: few enough for a block
# to end within a second, because Ctrl-C is only noticed between blocks.
DENSE, STEADY, SLOW = 2**32, 2**30, 2**27
LARGEST = 2**31 - 1  # the largest index that a pipeline can use

Runs = list[tuple[slice, Run]]  # which of the kernels a run takes, and the run


def convolve(call: Call, way: Way, images: Array, kernels: Array, out: Array) -> None:
    """Write the convolution of images and kernels into `out`."""
    full = call.full_kernels(kernels)  # (kh, kw, c // groups, nc)
    _compute(call, way, _bytes(call.full_images(images)), full, call.full_output(out))


def pool(call: Call, way: Way, images: Array, out: Array) -> None:
    """Write the pooled images into `out`."""
    images, out = _bytes(call.full_images(images)), _bytes(call.full_output(out))
    _compute(call, way, images, None, out)


def _compute(call: Call, way: Way, images: Array, kernels: Array | None, out: Array) -> None:
    """Write the result into `out`; all arrays have their full form."""
    if way.turned:
        call, way = turn(call), way._replace(turned=False)
        images, out = images.swapaxes(1, 2), out.swapaxes(1, 2)
        kernels = None if kernels is None else kernels.swapaxes(0, 1)
    work = _work(call, way.numbers, way.factors is not None, images, out)
    if work.large or way.taps:
        large.compute(call, way, images, kernels, out, _compute)
        return
    if kernels is not None:
        kernels = kernels[..., :1] if work.method.folded else kernels
        kernels = kernels.reshape(*kernels.shape[:3], work.groups, -1)  # (kh, kw, cg, groups, og)
    for pixels, results, runs in work.pieces(images, out):
        for part, run in runs:
            if kernels is None:
                run(pixels, results)
            elif way.factors is None:
                taps = np.ascontiguousarray(kernels[..., part], way.numbers)
                run(pixels, taps, results[..., part])
            else:
                run(pixels, *way.factors, results)


class Placement(NamedTuple):
    """How an array lies in memory: what a pipeline depends on besides its shape and type."""

    strides: tuple[int, ...]
    aligned: bool

    @staticmethod
    def of(array: Array) -> Placement:
        """The placement of this array."""
        return Placement(array.strides, array.flags.aligned)


@lru_cache(maxsize=256)
def _prepared(
    call: Call,
    numbers: DType | None,
    two_passes: bool,
    images: Placement,
    out: Placement,
    threads: int,
) -> Work:
    return Work(call, choose(call, numbers, two_passes), images, out, threads)


def _work(call: Call, numbers: DType | None, two_passes: bool, images: Array, out: Array) -> Work:
    """The prepared call, which is cached because calls often repeat on arrays of the same form."""
    placements = Placement.of(images), Placement.of(out)
    return _prepared(call, numbers, two_passes, *placements, loaded().threads)


class Work:
    """A call that is prepared for arrays with a given placement in memory.

    Attributes
    ----------
    method : Method
    groups : int
        The number of groups of channels, as the pipeline sees them.
    read_here, write_here : bool
        Whether the pipeline reads the images, and writes the output, in place.
    large : bool
        Whether the window is so large that it is computed in parts.
    """

    def __init__(
        self, call: Call, method: Method, images: Placement, out: Placement, threads: int
    ) -> None:
        self.call, self.method, self.threads = call, method, threads
        self.groups = 1 if method.folded else call.groups
        self.unit = call.channels if method.folded else 1  # how many channels lie along x
        self.read_here = _usable(call.images.dtype, method.pixels, images, call.channels)
        self.read_here &= not _scattered(call, images)
        self.write_here = _usable(call.output_dtype, method.results, out, call.output_channels)
        self.large = large.is_large(call, method)
        kind = method.pipeline.partition("_")[0]
        kh, kw = call.rows.window, call.columns.window
        self.doubling, self.separable = kind == "doubling", kind == "separable"
        taps = kh * kw * max(1, call.channels // max(1, call.groups))
        # A step of doubling takes several instructions, and also computes the rows and columns
        # around a block.
        taps = {"separable": kh + kw, "doubling": 8 * (kh * kw).bit_length()}.get(kind, taps)
        work = DENSE if kind == "dense" else STEADY if method.numbers.kind == "f" else SLOW
        self.blocks = Blocks(
            call,
            pixels=DIRECT if self.read_here else copied(call),
            outputs=min(work // taps, DIRECT if self.write_here else COPIED),
        )
        # The pixels to read, the results' shape and the runs, if a single block is computed in
        # place: then nothing has to be worked out again at the next call.
        self._ready: tuple[tuple[slice, ...], tuple[int, ...], Runs] | None = None

    def pieces(self, images: Array, out: Array) -> Iterator[tuple[Array, Array, Runs]]:
        """For every block: its pixels, the array for its results, and the runs that compute it."""
        if self._ready is not None:
            used, places, runs = self._ready
            yield images[used], out.reshape(places), runs
            return
        for block in self.blocks:
            down, across = block.grids(self.call)
            m, y, x = (slice(r.start, r.stop) for r in (block.images, block.rows, block.columns))
            used = m, _slice(down.used), _slice(across.used)
            pixels, target = images[used], out[m, y, x]
            in_place = self.read_here and _indexable(pixels)
            if not in_place:
                pixels, down, across = _copied(images[m], down, across, self.method.pixels)
            results = target if self.write_here else np.empty(target.shape, self.method.results)
            runs = list(self._runs(block, pixels, results, down, across))
            places = self._places(results.shape)
            small = sum(run.nbytes for _, run in runs) <= KEPT
            if in_place and self.write_here and self.blocks.only_one and small:
                self._ready = used, places, runs
            yield pixels, results.reshape(places), runs
            if not self.write_here:
                if (self.call.sum_dtype, results.dtype) == (U64, I64):
                    results = results.view(U64)
                target[...] = results

    def _places(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in which pipelines see the results, with folded channels as a part of x."""
        n, oh, ow, nc = shape
        if self.call.kernels is None:
            return n, oh, ow * self.unit, nc // self.unit
        return n, oh, ow * self.unit, self.groups, nc // self.unit // self.groups

    def _runs(
        self, block: Block, pixels: Array, results: Array, down: Grid, across: Grid
    ) -> Iterator[tuple[slice, Run]]:
        """The runs that compute a block, each with its part of the kernels."""
        call, method, unit = self.call, self.method, self.unit
        library, pooling = loaded(), call.kernels is None
        places = results.reshape(self._places(results.shape))
        cells = [_frame(pixels.reshape(*pixels.shape[:2], -1))]
        cells += _cells(down, across, call.channels, pooling)
        steps = [across.stride, down.stride, across.dilation * unit, down.dilation]
        tasks = self._tasks(block, down, across)
        if pooling:
            divisors = [
                self._counts(call.rows, block.rows),
                self._counts(call.columns, block.columns, unit),
            ]
            sizes = [call.channels // unit, call.columns.window, call.rows.window]
            arguments = [*cells, *map(buffer, divisors), *sizes, *steps, *tasks]
            if self.doubling:
                sums, numbers = call.mode in ("avg", "sum"), across.dilation * call.channels
                arguments += [buffer(_steps(call.rows.window, down.dilation, sums))]
                arguments += [buffer(_steps(call.columns.window, numbers, sums))]
            arguments.append(_frame(places))
            yield slice(None), Run(library, method.pipeline, arguments, [0, len(arguments) - 1])
            return
        kh, kw = call.rows.window, call.columns.window
        depth, count = call.channels // unit // self.groups, places.shape[-1]
        if self.separable:
            kernels = [(slice(None), (kh, 1, 1, 1, 1))]
            rest = [_packed((kw,), method.numbers), _packed((1,), method.numbers)]
        else:
            step, rest = max(8, KERNELS // (kh * kw * depth * self.groups)), []
            parts = [slice(o, min(o + step, count)) for o in range(0, count, step)]
            row = (kw, depth)
            if self.groups == across.dilation == 1 and method.pipeline.startswith("dense"):
                row = (1, kw * depth)  # a row's taps and channels lie side by side: one loop
            kernels = [(p, (kh, *row, self.groups, p.stop - p.start)) for p in parts]
        for part, shape in kernels:
            taps = _packed(shape, method.numbers)
            arguments = [*cells, taps, call.channels // unit, *steps, *tasks, *rest]
            arguments.append(_frame(places[..., part]))
            last = len(arguments) - 1
            arrays = [0, len(cells), *range(last - len(rest), last), last]
            yield part, Run(library, method.pipeline, arguments, arrays)

    def _counts(self, axis: Axis, outputs: range, repeat: int = 1) -> Array:
        """How many cells each window counts along an axis: the divisors of an average."""
        method = self.method
        dtype = method.numbers if method.results == F16 else method.results
        if "_avg_" not in method.pipeline:
            return np.ones(1, dtype)  # The pipeline does not divide, and does not read it.
        taps = np.ones(len(outputs), int)  # sums use the same pipeline, and divide by 1
        if self.call.mode == "avg":
            taps = counts(axis, outputs, padding=self.call.count_padding)
        return np.concatenate([np.repeat(taps, repeat), np.ones(SPARE, int)]).astype(dtype)

    def _tasks(self, block: Block, down: Grid, across: Grid) -> tuple[int, int]:
        """The rows of a strip and the images of a chunk: few enough for a core's cache."""
        call, oh, m = self.call, len(block.rows), len(block.images)
        row = max(len(across) * call.channels, len(block.columns) * call.output_channels)
        row = max(row, VECTORS)  # because a row takes whole vectors, and a tile several of them
        halo = len(down) - (oh - 1) * down.stride
        least = 8
        # Neighbouring strips both compute the halo. Where it would be most of a strip, a strip is
        # at least half as high as the halo, even if that exceeds the cache.
        height = max(1, (STRIP // row - halo) // down.stride + 1, halo // (2 * down.stride))
        if self.doubling:  # It keeps only the rows of its outputs, but goes through the halo too.
            least = max(least, -(-halo // down.stride))
            height = max(least, 2 * STRIP // row)
        if m < 4 * self.threads:
            height = min(height, max(least, -(-oh * m // (4 * self.threads))))
        strips = -(-oh // min(height, oh))
        if strips > 1:
            strips = -(-strips // self.threads) * self.threads
            return -(-oh // strips), 1
        numbers = max(1, len(down) * len(across) * call.channels)
        return oh, max(1, min(m // (4 * self.threads), STRIP // numbers))


@lru_cache(maxsize=256)
def _steps(window: int, unit: int, sums: bool) -> Array:
    """For each step of doubling: where the other half begins, and the number behind it, or -1."""
    if not sums:
        powers = [2**step for step in range(window.bit_length())]
        return np.array([[h * unit, -1] for h in (*powers[:-1], window - powers[-1])], np.int32)
    bits, half, steps = f"{window:b}", 1, []
    for bit in bits[1:]:
        steps.append([half * unit, 2 * half * unit if bit == "1" else -1])
        half = 2 * half + int(bit)
    return np.array(steps, np.int32).reshape(-1, 2)


def _frame(array: Array) -> Buffer:
    """The frame of an array: all that a pipeline is told of it but its address."""
    return frame(array.shape, array.strides, array.dtype)


def _packed(shape: tuple[int, ...], dtype: DType) -> Buffer:
    """The frame of an array without gaps."""
    strides = tuple(prod(shape[axis + 1 :]) * dtype.itemsize for axis in range(len(shape)))
    return frame(shape, strides, dtype)


def _bytes(array: Array) -> Array:
    """The array itself, or a view of booleans as bytes, which pipelines take."""
    return array.view(U8) if array.dtype.kind == "b" else array


def _usable(dtype: DType, wanted: DType, placement: Placement, channels: int) -> bool:
    """Whether pipelines can use an array in place, which takes rows without gaps."""
    read_as = U8 if dtype.kind == "b" else dtype
    if read_as != wanted or not dtype.isnative or not placement.aligned:
        return False
    size, strides = dtype.itemsize, placement.strides
    side_by_side = channels == 1 or strides[3] == size
    return side_by_side and strides[2] == size * channels and not any(s % size for s in strides)


def _scattered(call: Call, images: Placement) -> bool:
    """Whether images or rows lie so far apart that 32 bits may not index the numbers of a block."""
    row = call.columns.size * call.channels * call.images.dtype.itemsize
    apart = [
        call.batch > 1 and abs(images.strides[0]) > 16 * call.rows.size * row,
        call.rows.size > 1 and abs(images.strides[1]) > 16 * row,
    ]
    return any(apart)


def _indexable(pixels: Array) -> bool:
    """Whether 32 bits can count these numbers, and hold the distance from the first to any."""
    reach = sum(abs(s) * (n - 1) for s, n in zip(pixels.strides, pixels.shape, strict=True))
    return bool(max(pixels.size, reach // pixels.itemsize) <= LARGEST)


def _slice(used: range) -> slice:
    return slice(used.start, used.stop)


def _copied(images: Array, down: Grid, across: Grid, dtype: DType) -> tuple[Array, Grid, Grid]:
    """Copy the pixels that these grids use; returns the copy, and the grids for it."""
    grids = []
    for axis, each in ((1, down), (2, across)):
        if len(each.used) <= 4 * len(each):
            images = images[(slice(None),) * axis + (_slice(each.used),)]
            grids.append(each)
        else:  # The grid uses few pixels, which lie far apart.
            pixels = np.unique(each.pixels)
            pixels = pixels[pixels >= 0]
            images = images[(slice(None),) * axis + (pixels,)]
            grids.append(each.among(pixels))
    return np.ascontiguousarray(images, dtype), grids[0], grids[1]


def _cells(down: Grid, across: Grid, channels: int, pooling: bool) -> list[Any]:
    """The arguments by which a pipeline finds its cells among the pixels that these grids use."""
    # The last strip, and its last tile, may ask for rows below the last one.
    rows = np.full(4 * len(down) + SPARE, -1, np.int32)
    rows[: len(down)] = _relative(down.pixels, down.used.start)
    before, after = (
        numbers_of(_relative(part, across.used.start), channels).astype(np.int32)
        for part in (across.before, across.after)
    )
    left = len(before)
    right = left + len(across.inner) * channels
    first = (across.inner.start - across.used.start) * channels if across.inner else 0
    if pooling and (after < 0).all():
        after = after[:0]  # because cells of padding take no part in a pooling
    return [buffer(rows), buffer(before), buffer(after), left, right, first]


def _relative(pixels: Array, start: int) -> Array:
    """These pixels, counted from `start`; -1 stays."""
    return np.where(pixels < 0, -1, pixels - start)
