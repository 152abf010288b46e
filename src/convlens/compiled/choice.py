"""Choose the pipeline for a problem, by its sizes, its types and its kernels' numbers.

Neither the number of images nor their layout in memory plays a part, because an image's result must
have the same bits in every batch and every layout. The choice itself is made by `variants`; this
module finds out the facts that it goes by, and the types that come into question.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, reduce
from math import gcd, log2, prod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from convlens.compiled.blocks import COPIED, STRIP
from convlens.compiled.library import load, loaded
from convlens.compiled.variants import Variant
from convlens.core.axis import sparse
from convlens.core.problem import Array, Problem, kernel_parts

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
TILED = 48  # the most taps along an axis of extremes that are merged in tiles
# The families of pipelines that compute in passes; the last two cut sums off to integers.
SEPARABLE, CUT, MEANS = PASSES = "separable", "cut", "means"
# The pipelines for footprints: with heights or without, and with sums that are cut off.
FOOTPRINTS = FLAT, RAISED, TRUNCATED = "flat", "raised", "truncated"
REMEMBERED = 2**14  # the most bytes of a kernel whose factors are kept: 4 MB for all 256 of them


@dataclass(frozen=True, slots=True)
class Method:
    """A pipeline, and the form in which a call is passed to it.

    Attributes
    ----------
    variant : Variant
        The pipeline.
    pixels, numbers, results : numpy.dtype
        The types that it reads, computes in and writes.
    folded : bool
        Whether an image of c channels is treated as an image of one channel, c times as wide.
    """

    variant: Variant
    pixels: DType
    numbers: DType
    results: DType
    folded: bool

    @property
    def family(self) -> str:
        """The family of the pipeline, such as "planes"."""
        return self.variant.family

    @property
    def divides(self) -> bool:
        """Whether the pipeline divides sums by the number of cells that they count."""
        return self.variant.types[0] == "avg"

    @property
    def means(self) -> DType:
        """The type that a pooling divides in."""
        if self.results == F16:
            return self.numbers
        of_bytes = self.results == U8 and self.variant.types[0] in ("avg", "sum")
        return F64 if of_bytes else self.results

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
        """A number as it is in the type that the pipeline computes in."""
        return np.asarray(value).astype(self.numbers).item()


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


class Passes(NamedTuple):
    """The pipelines that compute in passes, and the names, shapes and types of their arrays."""

    family: str
    arrays: tuple[tuple[str, tuple[int, ...], DType], ...]


class InPasses(ABC):
    """What pipelines take instead of kernels: those that compute in passes, or under a footprint.

    Attributes
    ----------
    family : str
        Of these pipelines.
    """

    family: ClassVar[str]

    @property
    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """All arrays, as pipelines take them."""

    @cached_property
    def passes(self) -> Passes:
        """The pipelines that take them."""
        forms = ((name, array.shape, array.dtype) for name, array in self.arrays.items())
        return Passes(self.family, tuple(forms))


@dataclass(frozen=True, eq=False)
class Factors(InPasses):
    """One kernel as a product of a line along each axis times a power of two.

    Attributes
    ----------
    lines : tuple of array
        The outermost axis first: (kh,) and (kw,), or three of them.
    scale : (1,)
    """

    family: ClassVar[str] = SEPARABLE
    lines: tuple[Array, ...]
    scale: Array

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """All arrays, as pipelines take them."""
        names = ("along", "down", "across")[-len(self.lines) :]
        return dict(zip(names, self.lines, strict=True)) | {"scale": self.scale}


@dataclass(frozen=True, eq=False)
class Pass:
    """A line whose sums are cut off to integers.

    Attributes
    ----------
    line : (k,) of float32
    weights : (terms,) of float64
        The weights of the same sum, term by term in the order that counts.
    taps : (3, terms) of int32
        For each term its tap, another one, and how often that one's number is added.
    ends : (3,) of float32
        By how much sums in float32 may be off; their scale; the shift away from zero.
    mean : (int, int) or None
        A number and a shift, if (sum * number >> 16) >> shift is the mean of so many bytes.
    """

    line: Array
    weights: Array
    taps: Array
    ends: Array
    mean: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Cut(InPasses):
    """A pass down and one across, each of which cuts its sums off to integers."""

    family: ClassVar[str] = CUT
    down: Pass
    across: Pass

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """All arrays, as pipelines take them."""
        down, across = self.down, self.across
        return {
            "down": down.line,
            "across": across.line,
            "ends": np.stack([down.ends, across.ends], axis=1),  # (3, 2)
            "down_terms": down.weights,
            "down_taps": down.taps,
            "across_terms": across.weights,
            "across_taps": across.taps,
        }


@dataclass(frozen=True, eq=False)
class Means(Cut):
    """The same of means of bytes, each as its `mean` says."""

    family: ClassVar[str] = MEANS

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """All arrays, as pipelines take them."""
        passes = {"down": self.down, "across": self.across}
        sizes = {name: np.ones(each.line.shape, U8) for name, each in passes.items()}
        return sizes | {"factors": np.array([each.mean for each in passes.values()], U16)}


@dataclass(frozen=True, eq=False)
class Footprint(InPasses):
    """The taps of a window under which the largest or smallest number, or the sum, is wanted.

    Attributes
    ----------
    taps : (axes, taps) of int32
        Their places along each axis, of which the last comes first.
    """

    family: ClassVar[str] = FLAT
    taps: Array

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """All arrays, as pipelines take them."""
        return {"taps": self.taps}


@dataclass(frozen=True, eq=False)
class Raised(Footprint):
    """The same with what is added to the number under each tap, or multiplied by it for a sum.

    Attributes
    ----------
    heights : (taps,)
        In the type of the numbers.
    """

    family: ClassVar[str] = RAISED
    heights: Array

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """All arrays, as pipelines take them."""
        return {"taps": self.taps, "heights": self.heights}


@dataclass(frozen=True, eq=False)
class Truncated(Raised):
    """The same for sums of bytes that are cut off to bytes.

    Attributes
    ----------
    terms : (taps,) of float64
        The heights, which have them in float32.
    error : (1,) of float32
        By how much a sum in float32 may be off.
    """

    family: ClassVar[str] = TRUNCATED
    terms: Array
    error: Array

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """All arrays, as pipelines take them."""
        return super().arrays | {"terms": self.terms, "error": self.error}


def choose(problem: Problem, numbers: DType | None, passes: str = "") -> Method:
    """The pipeline for a problem or a part of one; `numbers` is None for pooling.

    A convolution may be computed in passes, by pipelines of this family, and an extreme under a
    footprint.
    """
    if passes in FOOTPRINTS:
        return footprint(problem, passes)
    if numbers is None:
        return pooling(problem)
    if passes in (CUT, MEANS):
        return cut(problem, numbers)
    return convolution(problem, numbers, bool(passes))


def cut(problem: Problem, numbers: DType) -> Method:
    """The pipeline for passes that cut off to integers what they add up in this type."""
    pixels = problem.images.dtype.newbyteorder("=")
    name = NAMES[pixels]
    facts = {"kh": problem.rows.window, "kw": problem.columns.window}
    variant = loaded().variants.choose(facts, [("passes", name, NAMES[numbers], name)])
    return Method(variant, pixels, numbers, pixels, folded=True)


def footprint(problem: Problem, passes: str) -> Method:
    """The pipeline for an extreme under a footprint."""
    images = problem.images.dtype
    numbers = U8 if images.kind == "b" else images.newbyteorder("=")
    sums = F32 if passes == TRUNCATED else numbers
    types = f"{passes}_{problem.mode}", NAMES[numbers], NAMES[sums], NAMES[numbers]
    variant = loaded().variants.choose({"volume": len(problem.axes) > 2}, [types])
    return Method(variant, numbers, sums, numbers, folded=True)


# ----------------------------------------------------------------------------- convolution


def convolution(problem: Problem, numbers: DType, separable: bool) -> Method:
    """The pipeline for a convolution whose sums are computed in this type."""
    folded = is_folded(problem)
    facts = _facts_of_convolution(problem, numbers, separable=separable, folded=folded)
    images = U8 if problem.images.dtype.kind == "b" else problem.images.dtype.newbyteorder("=")
    # The types nearest to the caller's come first. Pipelines round floats into bytes alone. They
    # compute unsigned sums as int64, which have the same bits; the engine views the results as
    # unsigned afterwards.
    rounds = problem.sum_dtype.kind == "f" and problem.output_dtype.kind != "f"
    nearest = numbers if rounds and problem.output_dtype != U8 else problem.output_dtype
    types = {
        tuple(NAMES.get(each, "none") for each in (pixels, numbers, results)): (pixels, results)
        for pixels in (images, numbers)
        for results in (nearest, numbers)
    }
    variant = loaded().variants.choose(facts, types)
    pixels, results = types[variant.types]
    return Method(variant, pixels, numbers, results, folded)


def _facts_of_convolution(
    problem: Problem, numbers: DType, *, separable: bool, folded: bool
) -> dict[str, int]:
    """What decides about the pipeline of a convolution: see each line."""
    rows, columns = problem.rows, problem.columns
    groups = max(1, problem.groups)  # images without channels have none
    depth, kernels = problem.channels // groups, problem.output_channels // groups
    apart = problem.channels if folded else 1  # how many numbers apart neighbouring taps lie
    if folded:
        groups, depth, kernels = 1, 1, 1
    lanes, terms = 64 // numbers.itemsize, problem.taps * depth
    # Where pixels of all channels follow each other, a row of a window is one row of numbers.
    row = depth * (columns.window if groups == columns.dilation == 1 else 1)
    windows = {axis.window for axis in problem.axes}
    vectors, pixels = _tile(columns.outputs, kernels, lanes)
    along_kernels = kernels >= 5 or _few_along_kernels(problem, depth, kernels)
    deep = _deep(problem, depth, row, lanes)
    square = len(windows) == 1 and rows.stride == columns.stride
    return {
        "separable": separable,
        "volume": len(problem.axes) > 2,
        "long": problem.sum_dtype.kind == "f" and terms > LONG,
        "groups": groups,
        "depth": depth,  # the channels of a group
        "kernels": kernels,  # of a group
        "along_kernels": along_kernels,
        "stride": columns.stride,
        "dilation_down": rows.dilation,
        "dilation_across": columns.dilation,
        "taps": columns.window if square else 0,
        "tall": rows.outputs >= 4 and 1 < rows.window >= rows.stride,  # tiles of several rows pay
        "line": rows.window == 1 and columns.window > lanes and apart == 1,
        "constant": problem.pad_mode == "constant",
        "unpadded": _unpadded(problem, columns.outputs * problem.channels, numbers),
        "grouped": not deep
        and _grouped(problem, groups, depth, kernels, numbers, along_kernels=along_kernels),
        "deep": deep,
        "whole": row % lanes == 0,
        "vectors": vectors,  # of kernels in a tile, and its pixels
        "pixels": pixels,
        "pointwise": columns.outputs if is_pointwise(problem) else 0,
        "weighed": _WEIGHED[problem.where] if problem.renormalize else 0,
    }


def _deep(problem: Problem, depth: int, row: int, lanes: int) -> int:
    """Whether the numbers in a row of a window fill vectors well: 1, or 2 if a sum of all is long.

    Then vectors along them pay for few kernels, unless there is too little to add up.
    """
    terms = problem.taps * depth
    if depth == 1 or row < lanes or terms < 4 * lanes or problem.output_dtype == U8:
        return 0
    longest = LONG // 2 * lanes  # for what is added up in parts, in two or more rows
    if row < 0.6 * (-(-row // lanes) * lanes) or problem.columns.window * depth > longest:
        return 0
    return 1 if terms <= longest else 2


def _grouped(
    problem: Problem, groups: int, depth: int, kernels: int, numbers: DType, *, along_kernels: bool
) -> bool:
    """Whether vectors along the outputs of all groups and of several pixels take the least time.

    The estimates are in products of vectors, and for a row. They follow what was measured with
    AVX-512 and with AVX2; `pipelines/runtime/grouped.c` has the pipelines.
    """
    floats = problem.sum_dtype.kind == problem.output_dtype.kind == "f"
    if not floats and (kernels > 1 or groups < 4):
        return False  # There are other pipelines that write integers.
    terms, outputs, together = problem.taps * depth, problem.columns.outputs, groups * kernels
    vector = loaded().vector
    lanes, chooses = vector // numbers.itemsize, vector > 16  # whether vectors choose lanes
    # Long sums are taken in blocks, which are not the same for all ways and kernels.
    if together <= 1 or (terms > LONG and (groups == 1 or depth > 8)):
        return False
    if groups == 1 and _is_colours(problem, depth, kernels):
        return False
    if depth == kernels == 1:
        return True

    def place(output: int) -> int:
        pixel, output = divmod(output, together)
        return pixel * problem.columns.stride * problem.channels + output // kernels * depth

    def time(pixels: int) -> float:
        """If vectors hold the outputs of so many pixels."""
        vectors = -(-pixels * together // lanes)
        firsts, last = range(0, min(vectors, lanes) * lanes, lanes), pixels * together - 1
        widest = max(place(min(first + lanes - 1, last)) - place(first) for first in firsts)
        take = 8.0 if widest >= lanes or not chooses else 1.5 if 2 * widest >= lanes else 1.0
        store = 1.25 if pixels * together % lanes else 1  # some lanes of a vector
        return -(-outputs // pixels) * vectors * take * store

    mine = min(time(1), time(lanes // gcd(lanes, together)))
    if along_kernels:
        others = outputs * groups * -(-kernels // lanes) * (1 if kernels <= lanes else 0.65)
    else:  # along the rows, where outputs are written one by one; short ones are dealt out in vain
        others = (2.5 if outputs >= lanes else 4) * together * -(-outputs // lanes)
    return mine * (terms + 2) < 0.9 * others * (terms + 4)


def _is_colours(problem: Problem, depth: int, kernels: int) -> bool:
    """Whether three kernels of 3 x 3 taps meet three channels: there are tiles of all of these."""
    windows = {(axis.window, axis.stride, axis.dilation) for axis in problem.axes}
    return depth == kernels == 3 and windows == {(3, 1, 1)}


def _tile(outputs: int, kernels: int, lanes: int) -> tuple[int, int]:
    """The tile, as vectors and pixels, in which a row of the output takes the least time.

    Tiles leave some of the last pixels and of the last vector of kernels unused.
    """

    def time(tile: tuple[int, int]) -> float:
        vectors, pixels = tile
        block = vectors * lanes
        return _TIMES[tile] * (-(-outputs // pixels) * pixels) * (-(-kernels // block) * block)

    single = kernels <= lanes
    return min((tile for tile in _TIMES if (tile[0] == 1) == single), key=time)


# The time that a tile takes for each of its sums, next to others. Of tiles that are as good, the
# first is taken: with AVX2, it uses more of the registers.
_TIMES = {
    **dict.fromkeys([(1, 12), (1, 8), (1, 10), (2, 6), (2, 7), (2, 8)], 1.0),
    (2, 5): 1.08,
    (2, 4): 1.09,
    (3, 7): 1.02,
}


def _few_along_kernels(problem: Problem, depth: int, kernels: int) -> bool:
    """Whether vectors along less than five kernels, which are mostly empty, still take less time.

    Vectors along the rows are full, but first the numbers of the rows are dealt out. This does not
    pay for single pixels and for strides, and tiles of them are wide, so short rows leave much of
    them unused. The limits are where both took about as long, with AVX-512 and with AVX2.
    """
    columns, floats = problem.columns, problem.images.dtype.kind == "f"
    if problem.taps == 1 and depth >= 8:
        return True
    if not floats or depth == kernels == 1:
        return False
    if _is_colours(problem, depth, kernels):
        return False
    strided = columns.stride > 1
    if strided and kernels > 1 and columns.window < 2 * kernels + 2:
        return True
    if kernels == 4 and problem.taps > 1 and (depth == 1 or depth >= 16):
        return True
    # Long sums are taken in blocks, whose order must be that of every part of an image.
    short = problem.taps * depth <= LONG
    return short and columns.outputs < max(11 * kernels, 28 if strided else 0)


_WEIGHED = {"all": 0, "finite": 1, "given": 2}  # as `pipelines/variants.py` has them


def same_kernel(problem: Problem) -> bool:
    """Whether one kernel is applied to each channel by itself."""
    return "c" not in problem.layout.kernels


def is_folded(problem: Problem) -> bool:
    """Whether an image of c channels is treated as one of a single channel, c times as wide."""
    return same_kernel(problem) and problem.columns.stride == 1


def summing_type(problem: Problem, kernels: Array) -> DType:
    """The type to add up in: for floats the sums' own, for integers the first that is exact."""
    if problem.sum_dtype.kind == "f":
        return problem.sum_dtype
    if problem.images.dtype.itemsize == 8:
        return I64
    bound = _largest_sum(problem, kernels)
    return F32 if bound < 2**24 else F64 if bound < 2**52 else I64


def in_16_bits(problem: Problem, kernels: Array) -> bool:
    """Whether sums of bytes that are clipped into bytes fit into 16 bits: nearly twice as fast.

    There are pipelines for windows that are not divided, with vectors along the rows.
    """
    pixels, exact = problem.images.dtype, problem.sum_dtype.kind != "f"
    if not (exact and problem.output_dtype == U8 and (pixels == U8 or pixels.kind == "b")):
        return False
    return _by_rows(problem) and _largest_sum(problem, kernels) < 2**15


@lru_cache(maxsize=256)
def weighs(problem: Problem) -> bool:
    """Whether pipelines leave out what takes no part and divide by weights themselves.

    There are some for sums of floats whose windows are not divided, with vectors along the rows. It
    does not depend on the sizes of images, so that it is the same for parts of them.
    """
    if not problem.renormalize or problem.sum_dtype not in (F32, F64):
        return False
    short = problem.taps * problem.channels <= LONG * max(1, problem.groups)
    return short and _by_rows(replace(problem, where="all", renormalize=False))


@lru_cache(maxsize=256)
def _by_rows(problem: Problem) -> bool:
    """Whether a window is not divided, and computed with vectors along the rows."""
    cells = prod(axis.reach for axis in problem.axes) * problem.channels
    small = len(problem.axes) == 2 and cells <= STRIP // 2
    return small and convolution(problem, F32, separable=False).family == "planes"


def _largest_sum(problem: Problem, kernels: Array) -> float:
    """What no sum of integers exceeds."""
    sums = sum(np.abs(part.astype(F64)).sum(axis=0) for part in kernel_parts(kernels))  # (nc,)
    return float(np.max(sums, initial=0)) * largest(problem.images.dtype)


def passes_pay(problem: Problem) -> bool:
    """Whether to look for a line along each axis: they have kh + kw taps instead of kh * kw."""
    window = [axis.window for axis in problem.axes]
    worthwhile = sum(size >= 3 for size in window) >= 2 and problem.taps >= 2 * sum(window)
    return worthwhile and same_kernel(problem) and problem.columns.stride == 1


def rank_1(problem: Problem, numbers: DType, kernels: Array) -> Factors | None:
    """The factors of a kernel that is a product of a line along each axis, up to rounding.

    It is None for any other, and where a pass along each axis would not be faster.
    """
    if numbers.kind != "f" or not passes_pay(problem):
        return None
    kernel, exact = kernels[..., 0, 0], problem.sum_dtype.kind != "f"  # (*taps,)
    if kernel.nbytes > REMEMBERED:
        return _factors(kernel, numbers, exact)
    return _known_factors(kernel.tobytes(), kernel.shape, kernel.dtype, numbers, exact)


@lru_cache(maxsize=256)
def _known_factors(
    content: bytes, shape: tuple[int, ...], dtype: DType, numbers: DType, exact: bool
) -> Factors | None:
    """The factors of a small kernel, which are cached because calls often repeat with it."""
    return _factors(np.frombuffer(content, dtype).reshape(shape), numbers, exact)


def _factors(kernel: Array, numbers: DType, exact: bool) -> Factors | None:
    """The factors of a kernel (*taps,) in this type, exactly or up to rounding."""
    place = np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)
    largest = float(kernel[place])
    if not 0 < abs(largest) < np.inf:
        return None
    # The lines through the largest number, one along each axis.
    first, *others = (
        np.moveaxis(kernel, axis, -1)[place[:axis] + place[axis + 1 :]]
        for axis in range(kernel.ndim)
    )
    limits = np.finfo(numbers)
    if not exact:
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
    if not exact:
        return scaled(lines, numbers)
    return Factors(tuple(line.astype(numbers) for line in lines), np.ones(1, numbers))


def scaled(lines: Sequence[Array], numbers: DType) -> Factors | None:
    """The factors that these lines are in a type of floats; None if it cannot hold their scale.

    Each line is scaled so that its pass makes no number larger than the largest pixel. The scale is
    applied last, so that nothing overflows on the way to a result that fits.
    """
    exponents = [_exponent(line) for line in lines]
    of_type = (np.ldexp(line, -n) for line, n in zip(lines, exponents, strict=True))
    scale = sum(exponents)
    if scale >= np.finfo(numbers).maxexp:
        return None
    return Factors(
        tuple(line.astype(numbers) for line in of_type), np.ldexp(np.ones(1, numbers), scale)
    )


def _exponent(numbers: Array) -> int:
    """The least exponent n >= 0 for which the absolute values surely sum to at most 2**n."""
    numbers = np.abs(numbers)
    largest = numbers.max()
    if not 0 < largest < np.inf:
        return 0
    return max(0, int(np.frexp(largest)[1] + np.frexp((numbers / largest).sum())[1]))


# --------------------------------------------------------------------------------- pooling


def pooling(problem: Problem) -> Method:
    """The pipeline for a pooling."""
    images, mode = problem.images.dtype.newbyteorder("="), problem.mode
    if mode == "median":
        return _median(problem, images)
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
        if numbers == I32 and problem.output_dtype == U8 and len(problem.axes) == 2:
            results = U8
    pixels = U8 if numbers == I32 and mode in ("avg", "sum") else numbers
    if images == problem.output_dtype == F16:  # It is read and written, but float32 is computed.
        pixels = results = F16
    types = (mode, *(NAMES[each] for each in (pixels, numbers, results)))
    folded = columns.stride == 1
    channels = 1 if folded else problem.channels
    side_by_side = all(axis.window == axis.stride and axis.dilation == 1 for axis in problem.axes)
    sides = {axis.window for axis in problem.axes}
    side = min(sides) if len(sides) == 1 or min(sides) >= 3 else 0
    volume = len(problem.axes) > 2
    unpadded = _unpadded(problem, columns.outputs * channels, numbers)
    # The steps for each output, down and across together: of `windows`, and of `doubling`.
    steps = rows.window * columns.stride + columns.window
    doubled = rows.stride * log2(rows.window + 1) + log2(columns.window + 1)
    if numbers.kind != "f" or mode in ("max", "min"):
        # Doubling goes through the rows between the outputs and under the last window, too. For
        # sums of floats this must not matter, because parts of an image keep the bits of the whole.
        doubled *= (rows.outputs * rows.stride + rows.reach) / (rows.outputs * rows.stride)
    apart = any(a.reach > 8 * a.window or a.stride > a.window for a in (rows, columns))
    long = mode == "avg" and numbers.kind == "f" and max(rows.window, columns.window) > LONG_AXIS
    tiled = mode in ("max", "min") and columns.stride == rows.stride == rows.dilation == 1
    tiled = tiled and rows.window >= 3 and max(rows.window, columns.window) <= TILED
    facts = {
        "volume": volume,
        "long": long,
        "channels": channels,
        "kw": columns.window,
        "tiled": tiled,
        "side": side if side_by_side and unpadded else 0,
        "doubled": steps > 2 * columns.stride * doubled and not apart,
    }
    return Method(loaded().variants.choose(facts, [types]), pixels, numbers, results, folded)


# The types in which medians are computed, the first that holds all numbers of the pixels' type.
MEDIANS = (U8, I16, U16, F32, F64)


def _median(problem: Problem, images: DType) -> Method:
    """The pipeline for a median of pixels of this type; LookupError if there is none."""
    images = U8 if images.kind == "b" else images
    wide = images.kind != "f" and images.itemsize == 8
    numbers = images if wide else next(each for each in MEDIANS if np.can_cast(images, each))
    *deep, kh, kw = (axis.window for axis in problem.axes)
    facts = {"stride": problem.columns.stride, "volume": len(deep)}
    facts |= {"kd": deep[0] if deep else 1, "kh": kh, "kw": kw}
    facts |= {"dilation_down": problem.rows.dilation, "in_place": _in_place(problem, numbers)}
    variant = loaded().variants.choose(facts, [("median", *(NAMES[numbers],) * 3)])
    return Method(variant, numbers, numbers, numbers, folded=True)


def _in_place(problem: Problem, numbers: DType) -> bool:
    """Whether all cells are pixels, in rows that vectors can read where they lie."""
    padded = problem.pad_mode == "constant" and _covers_padding(problem)
    pixels, row = (
        count * problem.channels for count in (len(problem.columns.inside), problem.columns.outputs)
    )
    return not padded and pixels >= 64 // numbers.itemsize and _is_whole(problem, row)


# ------------------------------------------------------------------------------------ both


def _unpadded(problem: Problem, row: int, numbers: DType) -> bool:
    """Whether no window covers padding, and a row is long enough for vectors and not cut."""
    long = row >= 64 // numbers.itemsize  # a vector at least
    return long and not _covers_padding(problem) and _is_whole(problem, row)


def _covers_padding(problem: Problem) -> bool:
    """Whether some window covers padding."""
    return any(len(axis.inside) < axis.outputs for axis in problem.axes)


def _is_whole(problem: Problem, row: int) -> bool:
    """Whether so long a row of the output is not cut into blocks."""
    return row <= 2**15 and not sparse(problem.columns, problem.columns.outputs)


def is_pointwise(problem: Problem) -> bool:
    """Whether windows are single taps on pixels, in rows that are not cut."""
    columns = problem.columns
    on_pixels = all(len(axis.inside) == axis.outputs for axis in problem.axes)
    row = max(columns.size * problem.channels, columns.outputs * problem.output_channels)
    return problem.taps == 1 and on_pixels and row <= COPIED and columns.stride <= 8


def largest(dtype: DType) -> int:
    """The largest absolute value of an integer of this type."""
    if dtype.kind == "b":
        return 1
    limits = np.iinfo(dtype)
    return max(int(limits.max), -int(limits.min))
