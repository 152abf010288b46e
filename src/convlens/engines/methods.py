"""Choose the pipeline for a problem, by its sizes, its types and its kernels' numbers.

Neither the number of images nor their layout in memory plays a part, because an image's result must
have the same bits in every batch and every layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import log2, prod
from typing import Any, NamedTuple

import numpy as np

from convlens.core.axis import sparse
from convlens.core.problem import Array, Problem, kernel_parts
from convlens.engines.blocks import STRIP
from convlens.engines.library import load, loaded

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

    @property
    def family(self) -> str:
        """The family of the pipeline, such as "planes"."""
        return self.pipeline.partition("_")[0]

    @property
    def divides(self) -> bool:
        """Whether the pipeline divides sums by the number of cells that they count."""
        return "_avg_" in self.pipeline

    def padding(self, problem: Problem) -> Any:
        """The number that cells of padding hold: one that changes nothing if they hold nothing."""
        border = problem.columns.border
        if border.mode != "nothing":
            return self._number(border.value)
        if problem.mode not in ("max", "min"):
            return self._number(0)
        if self.numbers.kind == "f":
            return self._number(-np.inf if problem.mode == "max" else np.inf)
        limits = np.iinfo(self.numbers)
        return self._number(limits.min if problem.mode == "max" else limits.max)

    def _number(self, value: Any) -> Any:
        """A number as ctypes passes it in this type."""
        number = np.asarray(value).astype(self.numbers)
        return np.ctypeslib.as_ctypes_type(self.numbers)(number.item())


def missing(problem: Problem | None = None) -> str | None:
    """Why the compiled engine cannot carry out this problem, or any call; None if it can."""
    library = load()
    if isinstance(library, str):
        return library
    types = (
        () if problem is None else (problem.images.dtype, problem.sum_dtype, problem.output_dtype)
    )
    for dtype in types:
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            return f"it does not take {dtype}"
    return None


class Factors(NamedTuple):
    """One kernel as a product of a line along each axis times a power of two.

    Attributes
    ----------
    lines : tuple of array
        The outermost axis first: (kh,) and (kw,), or three of them.
    scale : (1,)
    """

    lines: tuple[Array, ...]
    scale: Array

    @property
    def arrays(self) -> tuple[Array, ...]:
        """All arrays, as pipelines take them."""
        return *self.lines, self.scale


def choose(problem: Problem, numbers: DType | None, separable: bool) -> Method:
    """The pipeline for a problem or a part of one; `numbers` is None for pooling."""
    return pooling(problem) if numbers is None else convolution(problem, numbers, separable)


# ----------------------------------------------------------------------------- convolution


def convolution(problem: Problem, numbers: DType, separable: bool) -> Method:
    """The pipeline for a convolution whose sums are computed in this type."""
    rows, columns = problem.rows, problem.columns
    folded = _same_kernel(problem) and columns.stride == 1
    if separable:
        return _first_compiled(problem, numbers, ["separable"], folded)
    groups = max(1, problem.groups)  # images without channels have none
    depth, count = problem.channels // groups, problem.output_channels // groups
    names, lanes = [], 64 // numbers.itemsize
    if folded:
        groups, depth, count = 1, 1, 1
    elif depth == count == 1 and groups >= 4:
        zeros = problem.pad_mode == "constant" and groups >= lanes
        steps = (rows.stride, columns.stride, rows.dilation, columns.dilation)
        if zeros and rows.window == columns.window and steps == (1, 1, 1, 1):
            names.append(f"depthwise_taps{rows.window}")
        names.append("depthwise")
    elif count >= 8:
        small = problem.taps * depth <= 256 and count > 2 * lanes
        if count == 8:
            names.append("dense_eight")
        elif not small and count > lanes:
            # Tiles are seven or four pixels wide: take the width that leaves less of the last one
            # unused.
            sevens = -columns.outputs % 7 <= -columns.outputs % 4
            names.append("dense_sevens" if sevens else "dense_fours")
        names.append("dense_few")
    if groups == 1 and (depth > 1 or "n" not in problem.layout.kernels):
        sizes = f"planes_channels{depth}_stride{columns.stride}"
        if rows.dilation == 1:
            tile = f"_kernels{count}_rows{4 if count == 1 else 2}"
            sides = {axis.window for axis in problem.axes}
            square = len(sides) == 1 and rows.stride == columns.stride
            if square and (columns.stride == 1 or columns.dilation == 1):
                name = f"{sizes}_taps{rows.window}{tile}"
                unpadded = _unpadded(problem, columns.outputs * problem.channels, numbers)
                names += [f"{name}_unpadded", name] if unpadded else [name]
            if rows.outputs >= 4 and 1 < rows.window >= rows.stride:
                names += [f"{sizes}{tile}"]
        names += [f"{sizes}_kernels{count}"]
    names.append("planes")
    if problem.sum_dtype.kind == "f" and problem.taps * depth > LONG:
        names = [f"{name}_blocks" for name in names]
    return _first_compiled(problem, numbers, names, folded)


def _first_compiled(problem: Problem, numbers: DType, names: list[str], folded: bool) -> Method:
    """The first of these pipelines that was compiled, for the types nearest to the call's."""
    pipelines = loaded().pipelines
    volume = ["volume"] if len(problem.axes) > 2 else []
    images = U8 if problem.images.dtype.kind == "b" else problem.images.dtype.newbyteorder("=")
    for name in names:
        method, _, sizes = name.partition("_")
        for pixels in (images, numbers):
            # Pipelines compute unsigned sums as int64, which have the same bits; the engine views
            # the results as unsigned afterwards.
            for results in (numbers if problem.sum_dtype == U64 else problem.output_dtype, numbers):
                types = [NAMES.get(each, "none") for each in (pixels, numbers, results)]
                full = "_".join([method, *types, *volume, *([sizes] if sizes else [])])
                if full in pipelines:
                    return Method(full, pixels, numbers, results, folded)
    raise LookupError(f"no pipeline among {names} for {problem}")


def _same_kernel(problem: Problem) -> bool:
    """Whether one kernel is applied to each channel by itself."""
    return "c" not in problem.layout.kernels


def summing_type(problem: Problem, kernels: Array) -> DType:
    """The type to add up in: for floats the sums' own, for integers the first that is exact."""
    if problem.sum_dtype.kind == "f":
        return problem.sum_dtype
    if problem.images.dtype.itemsize == 8:
        return I64
    sums = sum(np.abs(part.astype(F64)).sum(axis=0) for part in kernel_parts(kernels))  # (nc,)
    bound = np.max(sums, initial=0) * largest(problem.images.dtype)
    return F32 if bound < 2**24 else F64 if bound < 2**52 else I64


def passes_pay(problem: Problem) -> bool:
    """Whether to look for a line along each axis: they have kh + kw taps instead of kh * kw."""
    window = [axis.window for axis in problem.axes]
    worthwhile = sum(size >= 3 for size in window) >= 2 and problem.taps >= 2 * sum(window)
    return worthwhile and _same_kernel(problem) and problem.columns.stride == 1


def rank_1(problem: Problem, numbers: DType, kernels: Array) -> Factors | None:
    """The factors of a kernel that is a product of a line along each axis, up to rounding.

    It is None for any other, and where a pass along each axis would not be faster.
    """
    if numbers.kind != "f" or not passes_pay(problem):
        return None
    kernel = kernels[..., 0, 0]  # (*taps,)
    place = np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)
    largest = float(kernel[place])
    if not 0 < abs(largest) < np.inf:
        return None
    # The lines through the largest number, one along each axis.
    first, *others = (
        np.moveaxis(kernel, axis, -1)[place[:axis] + place[axis + 1 :]]
        for axis in range(kernel.ndim)
    )
    limits, scale = np.finfo(numbers), 0
    if problem.sum_dtype.kind == "f":
        first, others = first.astype(F64), [line / largest for line in others]
        # Each number of a product has one rounding, and what is computed from it here has a few
        # more for each axis. Below the smallest normal number the rounding error is absolute.
        allowed = 2 * kernel.ndim * limits.eps
        at_least = 2 * float(limits.smallest_subnormal)
    else:  # Integers must agree exactly. The common divisors of the others go into the first.
        others = [line.astype(I64) for line in others]  # exact, because such sums fit in float64
        others = [line // np.gcd.reduce(line) for line in others]
        divisor = prod(int(line[at]) for line, at in zip(others, place[1:], strict=True))
        first, allowed, at_least = first.astype(I64) // divisor, 0.0, 0.0
    rest = reduce(np.multiply.outer, others[1:], others[0].astype(F64))
    step = max(1, STRIP // rest.size)
    for i in range(0, len(first), step):
        part = kernel[i : i + step].astype(F64)
        error = np.abs(np.multiply.outer(first[i : i + step], rest) - part)
        if (error > allowed * np.abs(part) + at_least).any():
            return None
    lines = [first, *others]
    if problem.sum_dtype.kind == "f":
        # Each line is scaled so that its pass makes no number larger than the largest pixel. The
        # scale is applied last, so that nothing overflows on the way to a result that fits.
        exponents = [_exponent(line) for line in lines]
        lines = [np.ldexp(line, -n) for line, n in zip(lines, exponents, strict=True)]
        scale = sum(exponents)
        if scale >= limits.maxexp:
            return None
    of_type = tuple(line.astype(numbers) for line in lines)
    return Factors(of_type, np.ldexp(np.ones(1, numbers), scale))


def _exponent(numbers: Array) -> int:
    """The least exponent n >= 0 for which the absolute values surely sum to at most 2**n."""
    numbers = np.abs(numbers)
    largest = numbers.max()
    return max(0, int(np.frexp(largest)[1] + np.frexp((numbers / largest).sum())[1]))


# --------------------------------------------------------------------------------- pooling


def pooling(problem: Problem) -> Method:
    """The pipeline for a pooling."""
    images, mode = problem.images.dtype.newbyteorder("="), problem.mode
    rows, columns = problem.rows, problem.columns
    if mode in ("max", "min"):
        numbers = U8 if images.kind == "b" else images
        if numbers == F16 or numbers not in NAMES:
            numbers = F32  # which holds every float16 and int8 exactly
        results = numbers
    elif problem.sum_dtype.kind == "f":
        numbers, mode, results = problem.sum_dtype, "avg", problem.sum_dtype
    else:
        bound = problem.taps * largest(images)
        results = F64 if mode == "avg" else I64
        small = images.kind == "b" or images == U8
        numbers = I32 if small and bound < 2**31 else results
    pixels = U8 if numbers == I32 and mode in ("avg", "sum") else numbers
    if (
        images == problem.output_dtype == F16
    ):  # Pipelines read and write it, but compute in float32.
        pixels = results = F16
    types = f"{mode}_{NAMES[pixels]}_{NAMES[numbers]}_{NAMES[results]}"
    folded = columns.stride == 1
    channels = 1 if folded else problem.channels
    volume = len(problem.axes) > 2
    types += "_volume" * volume
    names = [f"windows_{types}_channels{channels}", f"windows_{types}"]
    if mode == "avg" and numbers.kind == "f" and max(rows.window, columns.window) > LONG_AXIS:
        names = [f"{name}_blocks" for name in names]
    sides = {rows.window, columns.window, rows.stride, columns.stride}
    undilated = rows.dilation == columns.dilation == 1 and not volume
    if len(sides) == 1 and undilated and _unpadded(problem, columns.outputs * channels, numbers):
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


def _unpadded(problem: Problem, row: int, numbers: DType) -> bool:
    """Whether no window covers padding, and a row is long enough for vectors and not cut."""
    if any(len(axis.inside) < axis.outputs for axis in (problem.rows, problem.columns)):
        return False
    if sparse(problem.columns, problem.columns.outputs):
        return False
    return 64 // numbers.itemsize <= row <= 2**15  # a vector at least, and not cut into blocks


def largest(dtype: DType) -> int:
    """The largest absolute value of an integer of this type."""
    if dtype.kind == "b":
        return 1
    limits = np.iinfo(dtype)
    return max(int(limits.max), -int(limits.min))
