"""Calls carried out by the compiled pipelines.

A method is chosen by a call's sizes and types, the call is cut into blocks, and of each block the
pipeline is told by integers where its numbers lie. Images and output are used where they are if a
pipeline can read and write them there; else each block goes through a small copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import log2
from typing import Any

import numpy as np

from convlens.call import Array, Call, kernel_parts
from convlens.engines.blocks import STRIP, Block, Grid, blocks, grid, numbers_of
from convlens.engines.library import Library, buffer, load
from convlens.geometry import Axis

DType = np.dtype[Any]
F32, F64, I64, I32, U64, U8 = (np.dtype(name) for name in ("f4", "f8", "i8", "i4", "u8", "u1"))
NAMES = {F32: "f32", F64: "f64", I64: "i64", I32: "i32", U64: "u64", U8: "u8"}

DIRECT = 2**26  # numbers that a block may read or write where they are
KERNELS = 2**20  # kernels' numbers in a block
COPIED = 2**18  # and through a copy: a megabyte or two
SPARE = 64  # entries after the last, which pipelines may read, and make no use of
LARGEST = 2**31 - 1  # of a pipeline's indices


@dataclass(frozen=True, slots=True)
class Method:
    """A pipeline, and how a call is put to it.

    Attributes
    ----------
    pipeline : str
        Its name.
    pixels, numbers, results : numpy.dtype
        What it reads, computes in and writes.
    folded : bool
        Whether an image of c channels is taken for one of a single channel, c times as wide.
    factors : tuple of arrays, optional
        A kernel's column and row.
    """

    pipeline: str
    pixels: DType
    numbers: DType
    results: DType
    folded: bool = False
    factors: tuple[Array, Array] | None = None


def handles(call: Call) -> bool:
    """Whether there are pipelines for a call's types."""
    types = call.images.dtype, call.sum_dtype, call.output_dtype
    return all(t.kind in "biuf" and t.itemsize <= 8 for t in types)


# ---------------------------------------------------------------------------- convolution


def convolve(call: Call, images: Array, kernels: Array, out: Array) -> None:
    """Write the convolution of images and kernels into `out`."""
    images, out = call.full_images(images), call.full_output(out)  # (m, h, w, c), (m, oh, ow, nc)
    if images.size == 0:  # no pixels, so every sum is empty
        out[...] = 0
        return
    images = _bytes(images)
    kernels = call.full_kernels(kernels)  # (kh, kw, c // groups, nc)
    kh, kw, depth, nc = kernels.shape
    groups = call.groups
    if "c" not in call.layout.kernels:  # the same kernel on each channel
        groups = nc
    library = load()
    method = convolution(call, kernels)
    if method.folded:
        groups, kernels = 1, kernels[..., :1]
    unit = nc if method.folded else 1  # output channels that lie along x
    kernels = kernels.reshape(kh, kw, depth, groups, -1)
    step = max(8, KERNELS // (kernels.size // kernels.shape[4]))
    for block, cells, results in pieces(call, method, images, out):
        down, across = _grids(call, block)
        n, oh, ow, _ = results.shape
        places = results.reshape(n, oh, ow * unit, groups, -1)
        for o in range(0, kernels.shape[4], step):
            part = slice(o, o + step)
            if method.factors is None:
                taps, *rest = [np.ascontiguousarray(kernels[..., part], method.numbers)]
            else:
                taps, *rest = method.factors
            library.run(
                method.pipeline,
                *cells,
                buffer(taps),
                call.channels // unit,
                across.stride,
                down.stride,
                across.dilation * unit,
                down.dilation,
                *_tasks(call, block, library.threads),
                *(buffer(each) for each in rest),
                buffer(places[..., part]),
            )


def convolution(call: Call, kernels: Array) -> Method:
    """The way to carry a convolution out."""
    numbers = _sums_in(call, kernels)
    rows, columns = call.rows, call.columns
    alone = "c" not in call.layout.kernels  # one kernel, on each channel
    folded = alone and columns.stride == 1
    channels = 1 if folded else call.channels
    count = 1 if folded else call.output_channels // (call.channels if alone else call.groups)
    if numbers.kind == "f" and folded and min(rows.window, columns.window) >= 3 and rows.window * columns.window >= 25:
        factors = rank_1(kernels[:, :, 0, 0].astype(numbers), call)
        if factors is not None:
            return _typed(call, numbers, ["separable"], folded=True, factors=factors)
    names = []
    if numbers.kind == "f":
        if not folded and call.channels == call.output_channels >= 4 and kernels.shape[2] == 1 and count == 1:
            names.append("depthwise")
        elif count >= 8:
            wide = 8 if numbers == F64 else 16
            names.append("dense_vectors1_pixels28" if count <= wide else "dense_vectors2_pixels14")
        square = rows.window == columns.window and (columns.stride == 1 or columns.dilation == 1)
        for c, taps, nc in ((channels, rows.window, count), (channels, None, count)):
            if call.groups == 1 or folded:
                size = f"_taps{taps}" if taps and square else ""
                names.append(f"planes_channels{c}_stride{columns.stride}{size}_kernels{nc}")
    return _typed(call, numbers, [*names, "planes"], folded=folded)


def _typed(call: Call, numbers: DType, names: list[str], **more: Any) -> Method:
    """The first of these that there is, for types as near to the call's as there are."""
    pipelines = load().pipelines
    for name in names:
        method, _, sizes = name.partition("_")
        for pixels in (U8 if call.images.dtype == np.bool_ else call.images.dtype, numbers):
            for results in (call.output_dtype, numbers):
                types = [NAMES.get(t.newbyteorder("=")) for t in (pixels, numbers, results)]
                if None in types:
                    continue
                full = "_".join(filter(None, [method, *types, sizes]))
                if full in pipelines:
                    return Method(full, pixels.newbyteorder("="), numbers, results, **more)
    raise LookupError(f"no pipeline for {call}")


def _sums_in(call: Call, kernels: Array) -> DType:
    """The numbers to add up in: of floats the sums' own type, of integers the first that is exact."""
    if call.sum_dtype.kind == "f":
        return call.sum_dtype
    if call.images.dtype.itemsize == 8:
        return I64
    sums = sum(np.abs(part.astype(F64)).sum(axis=0) for part in kernel_parts(kernels))  # (nc,)
    bound = np.max(sums) * _largest(call.images.dtype)
    return F32 if bound < 2**24 else F64 if bound < 2**52 else I64


def _largest(dtype: DType) -> int:
    """The largest absolute value."""
    if dtype.kind == "b":
        return 1
    limits = np.iinfo(dtype)
    return max(int(limits.max), -int(limits.min))


def rank_1(kernel: Array, call: Call) -> tuple[Array, Array] | None:
    """The column and the row whose products a kernel's numbers are, if they are, up to rounding."""
    if not np.isfinite(kernel).all() or not kernel.any():
        return None
    i, j = np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)
    if call.sum_dtype.kind != "f":
        row = kernel[i].astype(I64) // np.gcd.reduce(kernel[i].astype(I64))
        row = row.astype(kernel.dtype)
        column = kernel[:, j] / row[j]
        column = column.reshape(-1, 1, 1, 1, 1)
        return (column, row) if np.array_equal(np.multiply.outer(column.ravel(), row), kernel) else None
    column, row = kernel[:, j].astype(F64), kernel[i].astype(F64) / float(kernel[i, j])
    error = np.abs(np.multiply.outer(column, row) - kernel)
    if (error > 2 * np.finfo(kernel.dtype).eps * np.abs(kernel)).any():
        return None
    return column.astype(kernel.dtype).reshape(-1, 1, 1, 1, 1), row.astype(kernel.dtype)


# -------------------------------------------------------------------------------- pooling


def pool(call: Call, images: Array, out: Array) -> None:
    """Write the pooled images into `out`."""
    images, out = call.full_images(images), call.full_output(out)  # (m, h, w, c), (m, oh, ow, c)
    images, out = _bytes(images), _bytes(out)
    if images.size == 0:
        out[...] = 0
        return
    library = load()
    method = pooling(call)
    doubling = method.pipeline.startswith("doubling")
    unit = call.channels if method.folded else 1
    for block, cells, results in pieces(call, method, images, out, strips=not doubling):
        down, across = _grids(call, block)
        n, oh, ow, c = results.shape
        places = results.reshape(n, oh, ow * unit, c // unit)
        dilation = across.dilation * unit
        counted = [
            buffer(_counted(call, axis, outputs, repeat, method.results))
            for axis, outputs, repeat in (
                (call.rows, block.rows, 1), (call.columns, block.columns, unit)
            )
        ]
        rest: list[Any] = []
        if doubling:
            sums = call.mode in ("avg", "sum")
            numbers = dilation * call.channels // unit
            height, width = len(down), len(across) * call.channels
            rest = [
                height, width,
                buffer(_steps(call.rows.window, down.dilation, sums)), down.dilation * call.rows.window,
                buffer(_steps(call.columns.window, numbers, sums)), numbers * call.columns.window,
            ]
        library.run(
            method.pipeline,
            *cells,
            *counted,
            call.channels // unit,
            call.columns.window,
            call.rows.window,
            across.stride,
            down.stride,
            dilation,
            down.dilation,
            *_tasks(call, block, library.threads),
            *rest,
            buffer(places),
        )


def pooling(call: Call) -> Method:
    """The way to carry a pooling out."""
    images, mode = call.images.dtype.newbyteorder("="), call.mode
    rows, columns = call.rows, call.columns
    if mode in ("max", "min"):
        numbers = U8 if images.kind == "b" else images
        if numbers not in (U8, I64, U64, F32, F64):
            numbers = F32 if images.itemsize <= 2 else F64  # which hold them all
        results = numbers
    elif call.sum_dtype.kind == "f":
        numbers, mode, results = call.sum_dtype, "avg", call.sum_dtype
    else:
        bound = rows.window * columns.window * _largest(images)
        results = F64 if mode == "avg" else I64
        small = images.kind == "b" or images == U8
        numbers = I32 if small and bound < 2**31 else F64 if mode == "avg" and bound < 2**52 else I64
    pixels = U8 if numbers == I32 else numbers
    names = [f"{mode}_{NAMES[pixels]}_{NAMES[numbers]}_{NAMES[results]}"]
    folded = columns.stride == 1
    channels = 1 if folded else call.channels
    square = {rows.window, columns.window, rows.stride, columns.stride}
    # Steps for each output, down and across: of windows, and of doubling.
    wide = columns.stride
    tap_by_tap = rows.window * wide + columns.window
    doubled = 3 * wide * (rows.stride * log2(rows.window + 1) + log2(columns.window + 1))
    names = [f"{names[0]}_channels{channels}", names[0]]
    if len(square) == 1 and rows.dilation == columns.dilation == 1:
        names.insert(0, f"{names[0]}_side{rows.window}")
    sparse = any(axis.reach > 16 * axis.window for axis in (rows, columns))
    if tap_by_tap > doubled and not sparse:
        names.insert(0, f"doubling_{names[-1]}")
    pipelines = load().pipelines
    return Method(next(n for n in names if n in pipelines), pixels, numbers, results, folded)


@lru_cache(maxsize=256)
def _counted(call: Call, axis: Axis, outputs: range, repeat: int, dtype: DType) -> Array:
    """How many cells each window counts along an axis; ones where nothing is divided by them."""
    counts = [1] * len(outputs)
    if call.mode == "avg":
        counts = axis.counts(outputs, padding=call.count_padding)
    return np.concatenate([np.repeat(counts, repeat), np.ones(SPARE, int)]).astype(dtype)


@lru_cache(maxsize=256)
def _steps(window: int, unit: int, sums: bool) -> Array:
    """The steps of doubling: shift, offset, and whether the offset is taken."""
    powers = [2**p for p in range(window.bit_length())]
    if not sums:
        shifts = [*powers[:-1], window - powers[-1]]
        return np.array([[shift * unit, 0, 0] for shift in shifts], np.int32)
    return np.array(
        [[p * unit, (window & (p - 1)) * unit, bool(window & p)] for p in powers], np.int32
    )


# --------------------------------------------------------------------------------- pieces


def pieces(
    call: Call, method: Method, images: Array, out: Array, *, strips: bool = True
) -> Iterator[tuple[Block, tuple[Any, ...], Array]]:
    """The blocks of a call, each with its cells, as pipelines take them, and its results' place."""
    read_here, write_here = _usable(images, method.pixels), _usable(out, method.results)
    numbers = DIRECT if read_here and write_here else COPIED
    pooling = call.operation == "pool"
    for block in blocks(call, numbers=numbers, strips=strips):
        down, across = _grids(call, block)
        m, y, x = (slice(r.start, r.stop) for r in (block.images, block.rows, block.columns))
        rows, columns = _of(down.used), _of(across.used)
        pixels = images[m, rows, columns]
        if read_here and _indexable(pixels):
            cells = _cells(down, across, call.channels, pooling)
        else:
            pixels, cells = _copied(images[m], down, across, method.pixels, pooling)
        target = out[m, y, x]
        results = target if write_here else np.empty(target.shape, method.results)
        flat = pixels.reshape(*pixels.shape[:2], -1)
        yield block, (buffer(flat), *cells), results
        if results is not target:
            target[...] = results


def _grids(call: Call, block: Block) -> tuple[Grid, Grid]:
    return (
        grid(call.rows, block.rows, call.pad_mode),
        grid(call.columns, block.columns, call.pad_mode),
    )


def _bytes(array: Array) -> Array:
    """Booleans as the bytes that they are."""
    return array.view(U8) if array.dtype == np.bool_ else array


def _usable(array: Array, dtype: DType) -> bool:
    """Whether pipelines can read or write this array where it is: whole rows, one after the other."""
    size = array.itemsize
    inner = array.strides[3] == size or array.shape[3] == 1
    outer = array.strides[2] == size * array.shape[3] or array.shape[2] == 1
    aligned = array.flags.aligned and not any(stride % size for stride in array.strides)
    return array.dtype == dtype and array.dtype.isnative and inner and outer and aligned


def _indexable(pixels: Array) -> bool:
    """Whether 32 bits can count these numbers, and tell each from the first."""
    reach = sum(abs(s) * (n - 1) for s, n in zip(pixels.strides, pixels.shape, strict=True))
    return max(pixels.size, reach // pixels.itemsize) <= LARGEST


def _of(used: range) -> slice:
    return slice(used.start, used.stop)


def _copied(
    images: Array, down: Grid, across: Grid, dtype: DType, pooling: bool
) -> tuple[Array, tuple[Any, ...]]:
    """A copy of the pixels that these grids use, and where in it to find the cells."""
    grids = []
    for axis, each in ((1, down), (2, across)):
        if len(each.used) <= 4 * len(each):
            images = images[(slice(None),) * axis + (_of(each.used),)]
            grids.append(each)
        else:  # few, far between
            unique = np.unique(each.pixels)
            unique = unique[unique >= 0]
            images = np.take(images, unique, axis)
            before, after = (
                np.where(part < 0, -1, np.searchsorted(unique, part))
                for part in (each.before, each.after)
            )
            start = int(np.searchsorted(unique, each.inner.start))
            inner = range(start, start + len(each.inner))
            grids.append(replace(each, before=before, inner=inner, after=after, used=range(len(unique))))
    cells = _cells.__wrapped__(*grids, images.shape[3], pooling)
    return np.ascontiguousarray(images, dtype), cells


@lru_cache(maxsize=64)
def _cells(down: Grid, across: Grid, channels: int, pooling: bool) -> tuple[Any, ...]:
    """The arguments by which a pipeline finds its cells in the pixels that these grids use."""

    def shifted(pixels: Array, used: range) -> Array:
        return np.where(pixels < 0, -1, pixels - used.start)

    rows = np.full(2 * len(down) + SPARE, -1, np.int32)
    rows[: len(down)] = shifted(down.pixels, down.used)
    before, after = (
        numbers_of(shifted(part, across.used), channels).astype(np.int32)
        for part in (across.before, across.after)
    )
    if pooling and (after < 0).all():
        after = after[:0]
    left = len(before)
    right = left + len(across.inner) * channels
    first = (across.inner.start - across.used.start) * channels if across.inner else 0
    return buffer(rows), buffer(before), buffer(after), left, right, first


def _tasks(call: Call, block: Block, threads: int) -> tuple[int, int]:
    """How many rows make a strip and how many images a chunk: small enough for a core's cache."""
    down, across = _grids(call, block)
    row = max(len(across) * call.channels, len(block.columns) * call.output_channels)
    oh = len(block.rows)
    halo = len(down) - (oh - 1) * down.stride
    height = max(1, (STRIP // row - halo) // down.stride + 1)
    if len(block.images) < 4 * threads:
        height = min(height, max(8, -(-oh * len(block.images) // (4 * threads))))
    strips = -(-oh // min(height, oh))
    height = -(-oh // strips)
    chunk = 1
    if strips == 1:
        numbers = max(len(down) * len(across) * call.channels, 1)
        chunk = max(1, min(len(block.images) // (4 * threads), STRIP // numbers))
    return height, chunk
