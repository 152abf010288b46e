"""Which pipeline carries a call out, chosen by its sizes, its types and its kernels' numbers.

How many images there are plays no part, nor where they lie in memory: an image's result is the same
in every batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Any, NamedTuple

import numpy as np

from convlens.call import Array, Call, kernel_parts
from convlens.engines.blocks import STRIP
from convlens.engines.library import load, loaded
from convlens.geometry import sparse

DType = np.dtype[Any]
F16, F32, F64 = (np.dtype(name) for name in ("f2", "f4", "f8"))
I16, I32, I64 = (np.dtype(name) for name in ("i2", "i4", "i8"))
U8, U16, U32, U64 = (np.dtype(name) for name in ("u1", "u2", "u4", "u8"))
NAMES = {
    dtype: f"{dtype.kind}{8 * dtype.itemsize}"
    for dtype in (F16, F32, F64, I16, I32, I64, U8, U16, U32, U64)
}
# Sums of more floats than this are taken in blocks, to keep rounding errors small: of taps of a
# convolution, and of taps along an axis of a pooling.
LONG, LONG_AXIS = 256, 64


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


class Factors(NamedTuple):
    """One kernel as a column times a row, times a power of two: what two passes take.

    Attributes
    ----------
    column : (kh, 1, 1, 1, 1)
    row : (kw,)
    scale : (1,)
    """

    column: Array
    row: Array
    scale: Array


def choose(call: Call, numbers: DType | None, two_passes: bool) -> Method:
    """The pipeline of a call, or of a part of one, on this way."""
    return pooling(call) if numbers is None else convolution(call, numbers, two_passes)


# ----------------------------------------------------------------------------- convolution


def convolution(call: Call, numbers: DType, two_passes: bool) -> Method:
    """The way to carry a convolution out, with sums in numbers of this type."""
    rows, columns = call.rows, call.columns
    folded = _same_kernel(call) and columns.stride == 1
    if two_passes:
        return _first_compiled(call, numbers, ["separable"], folded)
    groups = max(1, call.groups)  # images without channels have none
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
        if count == 8:
            names.append("dense_eight")
        elif not small and count > lanes:  # by sevens or by fours, whichever goes over the end less
            sevens = -columns.outputs % 7 <= -columns.outputs % 4
            names.append("dense_sevens" if sevens else "dense_fours")
        names.append("dense_few")
    if groups == 1 and (depth > 1 or "n" not in call.layout.kernels):
        sizes = f"planes_channels{depth}_stride{columns.stride}"
        if rows.dilation == 1:
            tile = f"_kernels{count}_rows{4 if count == 1 else 2}"
            square = rows.window == columns.window and rows.stride == columns.stride
            if square and (columns.stride == 1 or columns.dilation == 1):
                name = f"{sizes}_taps{rows.window}{tile}"
                unpadded = _unpadded(call, columns.outputs * call.channels, numbers)
                names += [f"{name}_unpadded", name] if unpadded else [name]
            if rows.outputs >= 4 and 1 < rows.window >= rows.stride:
                names += [f"{sizes}{tile}"]
        names += [f"{sizes}_kernels{count}"]
    names.append("planes")
    if call.sum_dtype.kind == "f" and rows.window * columns.window * depth > LONG:
        names = [f"{name}_blocks" for name in names]
    return _first_compiled(call, numbers, names, folded)


def _first_compiled(call: Call, numbers: DType, names: list[str], folded: bool) -> Method:
    """The first of these that there is, for types as near to the call's as there are."""
    pipelines = loaded().pipelines
    images = U8 if call.images.dtype.kind == "b" else call.images.dtype.newbyteorder("=")
    for name in names:
        method, _, sizes = name.partition("_")
        for pixels in (images, numbers):
            # Pipelines compute unsigned sums as int64, with the same bits: these are read later.
            for results in (numbers if call.sum_dtype == U64 else call.output_dtype, numbers):
                types = [NAMES.get(each, "none") for each in (pixels, numbers, results)]
                full = "_".join([method, *types, *([sizes] if sizes else [])])
                if full in pipelines:
                    return Method(full, pixels, numbers, results, folded)
    raise LookupError(f"no pipeline among {names} for {call}")


def _same_kernel(call: Call) -> bool:
    """Whether there is one kernel, the same for each channel by itself."""
    return "c" not in call.layout.kernels


def summing_type(call: Call, kernels: Array) -> DType:
    """What to add up in: of floats the sums' own type, of integers the first that is exact."""
    if call.sum_dtype.kind == "f":
        return call.sum_dtype
    if call.images.dtype.itemsize == 8:
        return I64
    sums = sum(np.abs(part.astype(F64)).sum(axis=0) for part in kernel_parts(kernels))  # (nc,)
    bound = np.max(sums, initial=0) * largest(call.images.dtype)
    return F32 if bound < 2**24 else F64 if bound < 2**52 else I64


def two_passes_pay(call: Call) -> bool:
    """Whether it is worth looking for a column and a row: kh + kw taps against kh * kw."""
    kh, kw = call.rows.window, call.columns.window
    worthwhile = min(kh, kw) >= 3 and kh * kw >= 2 * (kh + kw)
    return worthwhile and _same_kernel(call) and call.columns.stride == 1


def rank_1(call: Call, numbers: DType, kernels: Array) -> Factors | None:
    """The column and the row whose products a kernel's numbers are, if they are, up to rounding.

    They are sought where two passes would be faster.
    """
    if numbers.kind != "f" or not two_passes_pay(call):
        return None
    kernel = kernels[:, :, 0, 0]  # (kh, kw)
    place = np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)
    largest = float(kernel[place])
    if not 0 < abs(largest) < np.inf:
        return None
    limits, scale = np.finfo(numbers), 0
    if call.sum_dtype.kind == "f":
        column, row = kernel[:, place[1]].astype(F64), kernel[place[0]] / largest
        # An outer product has one rounding, and what is taken from it here four more. Below the
        # smallest normal number roundings are absolute.
        allowed, at_least = 4 * limits.eps, 2 * float(limits.smallest_subnormal)
    else:  # exactly, with the row's common divisor in the column
        row = kernel[place[0]].astype(I64)  # which float64 holds, as sums do
        divisor = np.gcd.reduce(row)
        row, column = row // divisor, kernel[:, place[1]].astype(I64)
        column, allowed, at_least = column // row[place[1]], 0.0, 0.0
    step = max(1, STRIP // len(row))
    for i in range(0, len(column), step):
        part = kernel[i : i + step].astype(F64)
        error = np.abs(np.multiply.outer(column[i : i + step], row) - part)
        if (error > allowed * np.abs(part) + at_least).any():
            return None
    if call.sum_dtype.kind == "f":
        # Neither pass makes a number larger than the largest pixel; the scale is applied last.
        down, across = _exponent(column), _exponent(row)
        column, row, scale = np.ldexp(column, -down), np.ldexp(row, -across), down + across
        if scale >= limits.maxexp:
            return None
    return Factors(
        column.astype(numbers).reshape(-1, 1, 1, 1, 1),
        row.astype(numbers),
        np.ldexp(np.ones(1, numbers), scale),
    )


def _exponent(numbers: Array) -> int:
    """The power of two that the sum of absolute values does not exceed; 0 if it is less than 1."""
    numbers = np.abs(numbers)
    largest = numbers.max()
    return max(0, int(np.frexp(largest)[1] + np.frexp((numbers / largest).sum())[1]))


# --------------------------------------------------------------------------------- pooling


def pooling(call: Call) -> Method:
    """The way to carry a pooling out."""
    images, mode = call.images.dtype.newbyteorder("="), call.mode
    rows, columns = call.rows, call.columns
    if mode in ("max", "min"):
        numbers = U8 if images.kind == "b" else images
        if numbers == F16 or numbers not in NAMES:
            numbers = F32  # which holds all of their numbers
        results = numbers
    elif call.sum_dtype.kind == "f":
        numbers, mode, results = call.sum_dtype, "avg", call.sum_dtype
    else:
        bound = rows.window * columns.window * largest(images)
        results = F64 if mode == "avg" else I64
        small = images.kind == "b" or images == U8
        numbers = I32 if small and bound < 2**31 else results
    pixels = U8 if numbers == I32 and mode in ("avg", "sum") else numbers
    if images == call.output_dtype == F16:  # which pipelines read and write, but do not compute in
        pixels = results = F16
    types = f"{mode}_{NAMES[pixels]}_{NAMES[numbers]}_{NAMES[results]}"
    folded = columns.stride == 1
    channels = 1 if folded else call.channels
    names = [f"windows_{types}_channels{channels}", f"windows_{types}"]
    if mode == "avg" and numbers.kind == "f" and max(rows.window, columns.window) > LONG_AXIS:
        names = [f"{name}_blocks" for name in names]
    sides = {rows.window, columns.window, rows.stride, columns.stride}
    undilated = rows.dilation == columns.dilation == 1
    if len(sides) == 1 and undilated and _unpadded(call, columns.outputs * channels, numbers):
        names.insert(0, f"squares_{types}_channels{channels}_side{rows.window}")
    # Steps for each output, down and across: of windows, and of doubling.
    steps = rows.window * columns.stride + columns.window
    doubled = rows.stride * log2(rows.window + 1) + log2(columns.window + 1)
    apart = any(a.reach > 8 * a.window or a.stride > a.window for a in (rows, columns))
    if steps > 2 * columns.stride * doubled and not apart:
        names.insert(0, f"doubling_{types}")
    pipelines = loaded().pipelines
    pipeline = next(name for name in names if name in pipelines)
    return Method(pipeline, pixels, numbers, results, folded)


# ------------------------------------------------------------------------------------ both


def _unpadded(call: Call, row: int, numbers: DType) -> bool:
    """Whether no window covers padding, and a row has so many numbers that vectors fit."""
    if any(len(axis.inside) < axis.outputs for axis in (call.rows, call.columns)):
        return False
    if sparse(call.columns, call.columns.outputs):
        return False
    return 64 // numbers.itemsize <= row <= 2**15  # a vector at least, and not cut into blocks


def largest(dtype: DType) -> int:
    """The largest absolute value."""
    if dtype.kind == "b":
        return 1
    limits = np.iinfo(dtype)
    return max(int(limits.max), -int(limits.min))
