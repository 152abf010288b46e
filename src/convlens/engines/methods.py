"""Choose the pipeline for a call, by its sizes, its types and its kernels' numbers.

Neither the number of images nor their layout in memory plays a part, because an image's result must
have the same bits in every batch and every layout.
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
# Longer sums of floats are taken in blocks, to keep rounding errors small. The limits are the terms
# of a convolution's sum (taps times channels), and the taps along one axis of a pooling.
LONG, LONG_AXIS = 256, 64


@dataclass(frozen=True, slots=True)
class Method:
    """A pipeline, and the form in which a call is passed to it.

    Attributes
    ----------
    pipeline : str
        The pipeline's name.
    pixels, numbers, results : numpy.dtype
        The types that it reads, computes in and writes.
    folded : bool
        Whether an image of c channels is treated as an image of one channel, c times as wide.
    """

    pipeline: str
    pixels: DType
    numbers: DType
    results: DType
    folded: bool


def missing(call: Call | None = None) -> str | None:
    """Why the compiled engine cannot carry out this call, or any call; None if it can."""
    library = load()
    if isinstance(library, str):
        return library
    if call is not None and len(call.axes) > 2:
        return "it does not take volumes yet"
    if call is not None and call.columns.border.value:
        return "it does not take padding of other numbers than 0 yet"
    if call is not None and call.operation == "pool" and call.pad_mode == "constant":
        return "it does not take this padding yet"
    types = () if call is None else (call.images.dtype, call.sum_dtype, call.output_dtype)
    for dtype in types:
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            return f"it does not take {dtype}"
    return None


class Factors(NamedTuple):
    """One kernel as a column times a row times a power of two, as two passes take it.

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
    """The pipeline for a call or a part of one; `numbers` is None for pooling."""
    return pooling(call) if numbers is None else convolution(call, numbers, two_passes)


# ----------------------------------------------------------------------------- convolution


def convolution(call: Call, numbers: DType, two_passes: bool) -> Method:
    """The pipeline for a convolution whose sums are computed in this type."""
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
        elif not small and count > lanes:
            # Tiles are seven or four pixels wide: take the width that leaves less of the last one
            # unused.
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
    """The first of these pipelines that was compiled, for the types nearest to the call's."""
    pipelines = loaded().pipelines
    images = U8 if call.images.dtype.kind == "b" else call.images.dtype.newbyteorder("=")
    for name in names:
        method, _, sizes = name.partition("_")
        for pixels in (images, numbers):
            # Pipelines compute unsigned sums as int64, which have the same bits; the engine views
            # the results as unsigned afterwards.
            for results in (numbers if call.sum_dtype == U64 else call.output_dtype, numbers):
                types = [NAMES.get(each, "none") for each in (pixels, numbers, results)]
                full = "_".join([method, *types, *([sizes] if sizes else [])])
                if full in pipelines:
                    return Method(full, pixels, numbers, results, folded)
    raise LookupError(f"no pipeline among {names} for {call}")


def _same_kernel(call: Call) -> bool:
    """Whether one kernel is applied to each channel by itself."""
    return "c" not in call.layout.kernels


def summing_type(call: Call, kernels: Array) -> DType:
    """The type to add up in: for floats the sums' own, for integers the first that is exact."""
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
    """The factors of a kernel that is a column times a row, up to rounding; None for any other.

    It is None as well where two passes would not be faster.
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
        # Each number of an outer product has one rounding, and what is computed from it here has
        # four more. Below the smallest normal number the rounding error is absolute.
        allowed, at_least = 4 * limits.eps, 2 * float(limits.smallest_subnormal)
    else:  # Integers must agree exactly. The row's common divisor goes into the column.
        row = kernel[place[0]].astype(I64)  # exact, because such sums fit in float64
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
        # Each factor is scaled so that its pass makes no number larger than the largest pixel. The
        # scale is applied last, so that nothing overflows on the way to a result that fits.
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
    """The least exponent n >= 0 for which the absolute values surely sum to at most 2**n."""
    numbers = np.abs(numbers)
    largest = numbers.max()
    return max(0, int(np.frexp(largest)[1] + np.frexp((numbers / largest).sum())[1]))


# --------------------------------------------------------------------------------- pooling


def pooling(call: Call) -> Method:
    """The pipeline for a pooling."""
    images, mode = call.images.dtype.newbyteorder("="), call.mode
    rows, columns = call.rows, call.columns
    if mode in ("max", "min"):
        numbers = U8 if images.kind == "b" else images
        if numbers == F16 or numbers not in NAMES:
            numbers = F32  # which holds every float16 and int8 exactly
        results = numbers
    elif call.sum_dtype.kind == "f":
        numbers, mode, results = call.sum_dtype, "avg", call.sum_dtype
    else:
        bound = rows.window * columns.window * largest(images)
        results = F64 if mode == "avg" else I64
        small = images.kind == "b" or images == U8
        numbers = I32 if small and bound < 2**31 else results
    pixels = U8 if numbers == I32 and mode in ("avg", "sum") else numbers
    if images == call.output_dtype == F16:  # Pipelines read and write it, but compute in float32.
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
    # The steps for each output, down and across together: of `windows`, and of `doubling`.
    steps = rows.window * columns.stride + columns.window
    doubled = rows.stride * log2(rows.window + 1) + log2(columns.window + 1)
    if numbers.kind != "f" or mode in ("max", "min"):
        # Doubling goes through the rows between the outputs and under the last window, too. For
        # sums of floats this must not matter, because parts of an image keep the bits of the whole.
        doubled *= (rows.outputs * rows.stride + rows.reach) / (rows.outputs * rows.stride)
    apart = any(a.reach > 8 * a.window or a.stride > a.window for a in (rows, columns))
    if steps > 2 * columns.stride * doubled and not apart:
        names.insert(0, f"doubling_{types}")
    pipelines = loaded().pipelines
    pipeline = next(name for name in names if name in pipelines)
    return Method(pipeline, pixels, numbers, results, folded)


# ------------------------------------------------------------------------------------ both


def _unpadded(call: Call, row: int, numbers: DType) -> bool:
    """Whether no window covers padding, and a row is long enough for vectors and not cut."""
    if any(len(axis.inside) < axis.outputs for axis in (call.rows, call.columns)):
        return False
    if sparse(call.columns, call.columns.outputs):
        return False
    return 64 // numbers.itemsize <= row <= 2**15  # a vector at least, and not cut into blocks


def largest(dtype: DType) -> int:
    """The largest absolute value of an integer of this type."""
    if dtype.kind == "b":
        return 1
    limits = np.iinfo(dtype)
    return max(int(limits.max), -int(limits.min))
