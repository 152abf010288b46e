"""Calls carried out by the compiled pipelines.

A method is chosen by a call's sizes and types, the call is cut into blocks, and of each block the
pipeline is told by integers where its numbers lie. Images and output are used where they are if a
pipeline can read and write them there; else each block goes through a small copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import log2, prod
from typing import Any, NamedTuple

import numpy as np

from convlens.call import Array, Call, kernel_parts
from convlens.engines.blocks import STRIP, Block, Blocks, Grid, numbers_of, sparse
from convlens.engines.library import Buffer, Library, Run, buffer, frame, load
from convlens.geometry import Axis

DType = np.dtype[Any]
F32, F64, I64, I32, U64, U8 = (np.dtype(name) for name in ("f4", "f8", "i8", "i4", "u8", "u1"))
NAMES = {F32: "f32", F64: "f64", I64: "i64", I32: "i32", U64: "u64", U8: "u8"}

DIRECT = 2**26  # numbers that a block may read or write where they are
KERNELS = 2**20  # kernels' numbers in a block
COPIED = 2**18  # and through a copy: a megabyte or two
SPARE = 64  # entries after the last, which pipelines may read, and make no use of
# Multiply-adds in a block, between which Ctrl-C is heard: dense layers, other floats, integers.
DENSE, STEADY, SLOW = 2**32, 2**30, 2**27
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
    """

    pipeline: str
    pixels: DType
    numbers: DType
    results: DType
    folded: bool


def missing(call: Call | None = None) -> str | None:
    """Why there is no compiled way for a call, or for any; None where there is one."""
    library = load()
    if isinstance(library, str):
        return library
    types = () if call is None else (call.images.dtype, call.sum_dtype, call.output_dtype)
    for dtype in types:
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            return f"it does not take {dtype}"
    return None


def describe(call: Call) -> str:
    """How a call is carried out, in words."""
    library = _library()
    numbers = call.sum_dtype if call.sum_dtype.kind == "f" else None
    if call.kernels is None:
        method = pooling(call)
        numbers, name = method.numbers, method.pipeline.partition("_")[0]
    else:
        name = convolution(call, numbers or F32, False).pipeline.partition("_")[0]
    adding = f"in {numbers}" if numbers else "in the first of float32, float64, int64 that is exact"
    words = [WORDS[name], adding]
    if call.kernels is not None and _two_passes_pay(call):
        words.append("in two passes if the kernel is a column times a row")
    return f"for {library.level}, {', '.join(words)}"


WORDS = {
    "planes": "vectors along the rows",
    "dense": "vectors along the kernels",
    "depthwise": "vectors along the channels",
    "windows": "tap by tap, down and then across",
    "squares": "squares side by side",
    "doubling": "by windows of twice the size at each step, down and then across",
}


def grain(_call: Call) -> int:
    """Where rows of outputs may be cut without a change to any bit: anywhere."""
    return 1


def _library() -> Library:
    library = load()
    assert isinstance(library, Library)  # plans see to that
    return library


# ---------------------------------------------------------------------------- convolution


def convolve(call: Call, images: Array, kernels: Array, out: Array) -> None:
    """Write the convolution of images and kernels into `out`."""
    images, out = _bytes(call.full_images(images)), call.full_output(out)
    kernels = call.full_kernels(kernels)  # (kh, kw, c // groups, nc)
    if images.size == 0:  # no pixels, so every sum is empty
        out[...] = 0
        return
    numbers = _sums_in(call, kernels)
    factors = rank_1(call, numbers, kernels)
    work = _work(call, numbers, factors is not None, _Seen.of(images), _Seen.of(out))
    kernels = kernels[..., :1] if work.method.folded else kernels
    kernels = kernels.reshape(*kernels.shape[:3], work.groups, -1)  # (kh, kw, cg, groups, og)
    for pixels, results, runs in work.pieces(images, out):
        for part, run in runs:
            if factors is None:
                run(pixels, np.ascontiguousarray(kernels[..., part], numbers), results[..., part])
            else:
                run(pixels, *factors, results)


def convolution(call: Call, numbers: DType, two_passes: bool) -> Method:
    """The way to carry a convolution out, with sums in numbers of this type."""
    rows, columns = call.rows, call.columns
    folded = _alone(call) and columns.stride == 1
    if two_passes:
        return _typed(call, numbers, ["separable"], folded)
    groups = call.channels if _alone(call) else call.groups
    depth, count = call.channels // groups, call.output_channels // groups
    names, lanes = [], 64 // numbers.itemsize
    if folded:
        groups, depth, count = 1, 1, 1
    elif depth == count == 1 and groups >= 4:
        zeros = call.pad_mode == "constant" and groups >= lanes
        steps = (rows.stride, columns.stride, rows.dilation, columns.dilation)
        if zeros and rows.window == columns.window and steps == (1, 1, 1, 1):
            names.append(f"depthwise_taps{rows.window}")
        names.append("depthwise")
    elif count >= 8:
        small = rows.window * columns.window * depth <= 256 and count > 2 * lanes
        if small or count <= lanes:
            names.append("dense_few")
        else:  # by sevens or by fours, whichever goes over a row's end less
            sevens = -columns.outputs % 7 <= -columns.outputs % 4
            names.append("dense_sevens" if sevens else "dense_fours")
    if groups == 1 and (depth > 1 or "n" not in call.layout.kernels):
        sizes = f"planes_channels{depth}_stride{columns.stride}"
        if rows.window == columns.window and rows.stride == columns.stride and rows.dilation == 1:
            name = f"{sizes}_taps{rows.window}_kernels{count}"
            if columns.stride == 1 or columns.dilation == 1:
                names += [f"{name}_unpadded"] * _plain(
                    call, columns.outputs * call.channels, numbers
                )
                names += [name]
        names += [f"{sizes}_kernels{count}"]
    return _typed(call, numbers, [*names, "planes"], folded)


def _plain(call: Call, row: int, numbers: DType) -> bool:
    """Whether no window covers padding, and there are rows enough, with so many numbers each."""
    if any(len(axis.inside) < axis.outputs for axis in (call.rows, call.columns)):
        return False
    if call.rows.outputs < 2 or sparse(call.columns, call.columns.outputs):
        return False
    return 64 // numbers.itemsize <= row <= 2**15  # a vector at least, and not cut into blocks


def _alone(call: Call) -> bool:
    """Whether there is one kernel for each channel alone."""
    return call.kernels is not None and "c" not in call.layout.kernels


def _typed(call: Call, numbers: DType, names: list[str], folded: bool) -> Method:
    """The first of these that there is, for types as near to the call's as there are."""
    pipelines = _library().pipelines
    images = U8 if call.images.dtype.kind == "b" else call.images.dtype.newbyteorder("=")
    for name in names:
        method, _, sizes = name.partition("_")
        for pixels in (images, numbers):
            for results in (call.output_dtype, numbers):
                types = [NAMES.get(each, "none") for each in (pixels, numbers, results)]
                full = "_".join([method, *types, *([sizes] if sizes else [])])
                if full in pipelines:
                    return Method(full, pixels, numbers, results, folded)
    raise LookupError(f"no pipeline among {names} for {call}")


def _sums_in(call: Call, kernels: Array) -> DType:
    """What to add up in: of floats the sums' own type, of integers the first that is exact."""
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


def _two_passes_pay(call: Call) -> bool:
    """Whether it is worth looking for a column and a row: kh + kw taps against kh * kw."""
    kh, kw = call.rows.window, call.columns.window
    worthwhile = min(kh, kw) >= 3 and kh * kw >= 2 * (kh + kw)
    return worthwhile and _alone(call) and call.columns.stride == 1


def rank_1(call: Call, numbers: DType, kernels: Array) -> tuple[Array, Array] | None:
    """The column and the row whose products a kernel's numbers are, if they are, up to rounding.

    Sought where two passes would be faster: (kh, 1, 1, 1, 1) and (kw,).
    """
    if numbers.kind != "f" or not _two_passes_pay(call):
        return None
    kernel = kernels[:, :, 0, 0]  # (kh, kw)
    place = np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)
    largest = float(kernel[place])
    if not 0 < abs(largest) < np.inf:
        return None
    column, row = kernel[:, place[1]].astype(F64), kernel[place[0]] / largest
    allowed = 2 * np.finfo(numbers).eps
    if call.sum_dtype.kind != "f":  # integers: exactly, with the row's common divisor in the column
        divisor = np.gcd.reduce(kernel[place[0]].astype(I64))
        column, row, allowed = column * divisor / largest, row * largest / divisor, 0.0
        if (column % 1).any():
            return None
    step = max(1, STRIP // len(row))
    for i in range(0, len(column), step):
        part = kernel[i : i + step].astype(F64)
        error = np.abs(np.multiply.outer(column[i : i + step], row) - part)
        if (error > allowed * np.abs(part)).any():
            return None
    return column.astype(numbers).reshape(-1, 1, 1, 1, 1), row.astype(numbers)


# -------------------------------------------------------------------------------- pooling


def pool(call: Call, images: Array, out: Array) -> None:
    """Write the pooled images into `out`."""
    images, out = _bytes(call.full_images(images)), _bytes(call.full_output(out))
    if images.size == 0:
        out[...] = 0
        return
    work = _work(call, None, False, _Seen.of(images), _Seen.of(out))
    for pixels, results, runs in work.pieces(images, out):
        for _, run in runs:
            run(pixels, results)


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
        numbers = (
            I32 if small and bound < 2**31 else F64 if mode == "avg" and bound < 2**52 else I64
        )
    pixels = U8 if numbers == I32 else numbers
    types = f"{mode}_{NAMES[pixels]}_{NAMES[numbers]}_{NAMES[results]}"
    folded = columns.stride == 1
    channels = 1 if folded else call.channels
    names = [f"windows_{types}_channels{channels}", f"windows_{types}"]
    sides = {rows.window, columns.window, rows.stride, columns.stride}
    undilated = rows.dilation == columns.dilation == 1
    if len(sides) == 1 and undilated and _plain(call, columns.outputs * channels, numbers):
        names.insert(0, f"squares_{types}_channels{channels}_side{rows.window}")
    # Steps for each output, down and across: of windows, and of doubling.
    steps = rows.window * columns.stride + columns.window
    doubled = rows.stride * log2(rows.window + 1) + log2(columns.window + 1)
    apart = any(a.reach > 8 * a.window or a.stride > a.window for a in (rows, columns))
    if steps > 3 * columns.stride * doubled and not apart:
        names.insert(0, f"doubling_{types}")
    pipelines = _library().pipelines
    pipeline = next(name for name in names if name in pipelines)
    return Method(pipeline, pixels, numbers, results, folded)


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


# ----------------------------------------------------------------------------------- work


class _Seen(NamedTuple):
    """What matters of an array beside its shape and type: how it lies in memory."""

    strides: tuple[int, ...]
    aligned: bool

    @staticmethod
    def of(array: Array) -> _Seen:
        return _Seen(array.strides, array.flags.aligned)


class Work:
    """A call made ready for arrays that lie in memory in one way.

    Attributes
    ----------
    method : Method
    groups : int
        Groups of channels, as the pipeline sees them.
    read_here, write_here : bool
        Whether images and output are used where they are.
    """

    def __init__(self, call: Call, method: Method, images: _Seen, out: _Seen, threads: int) -> None:
        self.call, self.method, self.threads = call, method, threads
        self.groups = 1 if method.folded else call.channels if _alone(call) else call.groups
        self.unit = call.channels if method.folded else 1  # channels that lie along x
        self.read_here = _usable(call.images.dtype, method.pixels, images, call.channels)
        self.write_here = _usable(call.output_dtype, method.results, out, call.output_channels)
        here = self.read_here and self.write_here
        work = STEADY if method.numbers.kind == "f" else SLOW
        work = DENSE if method.pipeline.startswith("dense") else work
        self.blocks = Blocks(
            call,
            numbers=DIRECT if here else COPIED,
            work=work,
            strips=not method.pipeline.startswith("doubling"),
        )
        # Where to read and what to run, if there is one block, used where it is.
        self._ready: tuple[tuple[slice, ...], list[tuple[slice, Run]]] | None = None

    def pieces(
        self, images: Array, out: Array
    ) -> Iterator[tuple[Array, Array, list[tuple[slice, Run]]]]:
        """For every block its pixels, the place of its results, and what to run on them."""
        if self._ready is not None:
            used, runs = self._ready
            yield images[used], out.reshape(self._places(out.shape)), runs
            return
        for block in self.blocks:
            down, across = block.grids(self.call)
            m, y, x = (slice(r.start, r.stop) for r in (block.images, block.rows, block.columns))
            used = m, _of(down.used), _of(across.used)
            pixels, target = images[used], out[m, y, x]
            in_place = self.read_here and _indexable(pixels)
            if not in_place:
                pixels, down, across = _copied(images[m], down, across, self.method.pixels)
            results = target if self.write_here else np.empty(target.shape, self.method.results)
            runs = list(self._runs(block, pixels, results, down, across))
            if in_place and self.write_here and self.blocks.only_one:
                self._ready = used, runs
            yield pixels, results.reshape(self._places(results.shape)), runs
            if not self.write_here:
                # What does not fit is an answer too, as inf.
                with np.errstate(invalid="ignore", over="ignore"):
                    target[...] = results

    def _places(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in which pipelines see results: channels that lie along x belong to it."""
        n, oh, ow, nc = shape
        if self.call.kernels is None:
            return n, oh, ow * self.unit, nc // self.unit
        return n, oh, ow * self.unit, self.groups, nc // self.unit // self.groups

    def _runs(
        self, block: Block, pixels: Array, results: Array, down: Grid, across: Grid
    ) -> Iterator[tuple[slice, Run]]:
        """The runs that compute a block, each with its part of the kernels."""
        call, method, unit = self.call, self.method, self.unit
        library, pooling = _library(), call.kernels is None
        places = results.reshape(self._places(results.shape))
        cells = [_frame(pixels.reshape(*pixels.shape[:2], -1))]
        cells += _cells(down, across, call.channels, pooling)
        steps = [across.stride, down.stride, across.dilation * unit, down.dilation]
        tasks = self._tasks(block, down, across)
        if pooling:
            counted = [
                _counted(call, call.rows, block.rows, 1, method.results),
                _counted(call, call.columns, block.columns, unit, method.results),
            ]
            sizes = [call.channels // unit, call.columns.window, call.rows.window]
            arguments = [*cells, *map(buffer, counted), *sizes, *steps, *tasks]
            if method.pipeline.startswith("doubling"):
                arguments += _doubling(call, down, across)
            arguments.append(_frame(places))
            yield slice(None), Run(library, method.pipeline, arguments, [0, len(arguments) - 1])
            return
        kh, kw = call.rows.window, call.columns.window
        depth, count = call.channels // unit // self.groups, places.shape[-1]
        if method.pipeline.startswith("separable"):
            kernels, rest = [(slice(None), (kh, 1, 1, 1, 1))], [_packed((kw,), method.numbers)]
        else:
            step, rest = max(8, KERNELS // (kh * kw * depth * self.groups)), []
            parts = [slice(o, min(o + step, count)) for o in range(0, count, step)]
            row = (kw, depth)
            if self.groups == across.dilation == 1 and method.pipeline.startswith("dense"):
                row = (1, kw * depth)  # which lie side by side: one loop
            kernels = [(p, (kh, *row, self.groups, p.stop - p.start)) for p in parts]
        for part, shape in kernels:
            taps = _packed(shape, method.numbers)
            arguments = [*cells, taps, call.channels // unit, *steps, *tasks, *rest]
            arguments.append(_frame(places[..., part]))
            arrays = [0, len(cells), *([len(arguments) - 2] if rest else []), len(arguments) - 1]
            yield part, Run(library, method.pipeline, arguments, arrays)

    def _tasks(self, block: Block, down: Grid, across: Grid) -> tuple[int, int]:
        """How many rows make a strip and how many images a chunk: few enough for a core's cache."""
        call, oh, m = self.call, len(block.rows), len(block.images)
        row = max(len(across) * call.channels, len(block.columns) * call.output_channels)
        halo = len(down) - (oh - 1) * down.stride
        height = max(1, (STRIP // row - halo) // down.stride + 1)
        if m < 4 * self.threads:
            height = min(height, max(8, -(-oh * m // (4 * self.threads))))
        strips = -(-oh // min(height, oh))
        height = -(-oh // strips)
        height = min(oh, height + height % 2)  # rows go by twos
        if strips > 1:
            return height, 1
        numbers = max(1, len(down) * len(across) * call.channels)
        return height, max(1, min(m // (4 * self.threads), STRIP // numbers))


@lru_cache(maxsize=256)
def _prepared(
    call: Call, numbers: DType | None, two_passes: bool, images: _Seen, out: _Seen, threads: int
) -> Work:
    method = pooling(call) if numbers is None else convolution(call, numbers, two_passes)
    return Work(call, method, images, out, threads)


def _work(call: Call, numbers: DType | None, two_passes: bool, images: _Seen, out: _Seen) -> Work:
    """What a call comes to, kept for the next time."""
    return _prepared(call, numbers, two_passes, images, out, _library().threads)


def _doubling(call: Call, down: Grid, across: Grid) -> list[Any]:
    """What doubling needs to know besides."""
    sums, numbers = call.mode in ("avg", "sum"), across.dilation * call.channels
    return [
        len(down),
        len(across) * call.channels,
        buffer(_steps(call.rows.window, down.dilation, sums)),
        down.dilation * call.rows.window,
        buffer(_steps(call.columns.window, numbers, sums)),
        numbers * call.columns.window,
    ]


def _frame(array: Array) -> Buffer:
    return frame(array.shape, array.strides, array.dtype)


def _packed(shape: tuple[int, ...], dtype: DType) -> Buffer:
    """The frame of an array without gaps."""
    strides = tuple(prod(shape[axis + 1 :]) * dtype.itemsize for axis in range(len(shape)))
    return frame(shape, strides, dtype)


def _bytes(array: Array) -> Array:
    """Booleans as the bytes that they are."""
    return array.view(U8) if array.dtype == np.bool_ else array


def _usable(dtype: DType, wanted: DType, seen: _Seen, channels: int) -> bool:
    """Whether pipelines can use an array where it is: rows whole, numbers side by side."""
    if (U8 if dtype.kind == "b" else dtype) != wanted or not dtype.isnative or not seen.aligned:
        return False
    size, strides = dtype.itemsize, seen.strides
    side_by_side = channels == 1 or strides[3] == size
    return side_by_side and strides[2] == size * channels and not any(s % size for s in strides)


def _indexable(pixels: Array) -> bool:
    """Whether 32 bits can count these numbers, and tell each from the first."""
    reach = sum(abs(s) * (n - 1) for s, n in zip(pixels.strides, pixels.shape, strict=True))
    return bool(max(pixels.size, reach // pixels.itemsize) <= LARGEST)


def _of(used: range) -> slice:
    return slice(used.start, used.stop)


def _copied(images: Array, down: Grid, across: Grid, dtype: DType) -> tuple[Array, Grid, Grid]:
    """A copy of the pixels that these grids use, and grids to find them there."""
    grids = []
    for axis, each in ((1, down), (2, across)):
        if len(each.used) <= 4 * len(each):
            images = images[(slice(None),) * axis + (_of(each.used),)]
            grids.append(each)
        else:  # few, far between
            pixels = np.unique(each.pixels)
            pixels = pixels[pixels >= 0]
            images = images[(slice(None),) * axis + (pixels,)]
            grids.append(each.among(pixels))
    return np.ascontiguousarray(images, dtype), grids[0], grids[1]


def _cells(down: Grid, across: Grid, channels: int, pooling: bool) -> list[Any]:
    """The arguments by which a pipeline finds its cells among the pixels that these grids use."""
    rows = np.full(2 * len(down) + SPARE, -1, np.int32)
    rows[: len(down)] = _from(down.pixels, down.used.start)
    before, after = (
        numbers_of(_from(part, across.used.start), channels).astype(np.int32)
        for part in (across.before, across.after)
    )
    left = len(before)
    right = left + len(across.inner) * channels
    first = (across.inner.start - across.used.start) * channels if across.inner else 0
    if pooling and (after < 0).all():
        after = after[:0]  # where there is nothing to merge
    return [buffer(rows), buffer(before), buffer(after), left, right, first]


def _from(pixels: Array, start: int) -> Array:
    return np.where(pixels < 0, -1, pixels - start)
