"""Settle how the compiled engine computes a problem, and describe it in words for the plan.

A problem may be computed in parts, which have other sizes than the whole. Everything that could
change a bit is therefore settled once for the whole problem: what depends on the kernels' numbers,
and whether axes are exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from convlens.compiled import large, transforms, winograd
from convlens.compiled.choice import (
    F16,
    F32,
    F64,
    I16,
    I64,
    U8,
    DType,
    Factors,
    InPasses,
    Method,
    choose,
    in_16_bits,
    passes_pay,
    rank_1,
    scaled,
    summing_type,
)
from convlens.compiled.library import loaded
from convlens.core.axis import Axis
from convlens.core.problem import FULL, Array, Problem, Region, Spec


class Way(NamedTuple):
    """How the compiled engine computes a problem and all its parts.

    Attributes
    ----------
    flat : bool
        Whether each slab of a volume is an image of its own, because the window has one tap there.
    turned : bool
        Whether the last two axes are exchanged.
    numbers : numpy.dtype or None
        The type that a convolution adds up in; None for pooling, whose types decide it alone.
    factors : InPasses or None
        The factors of a kernel that is a product of a line along each axis, if it is computed in
        one pass for each.
    taps : Part or None
        The taps of a pooling's window that matter, if these are not all.
    tiles : Tiles or None
        The tiles of a convolution that is computed by Fourier transforms.
    winograd : bool
        Whether a convolution is computed by Winograd's method.
    single : bool
        Whether a pooling has a single window, which is then one of windows side by side.
    """

    flat: bool
    turned: bool
    numbers: DType | None
    factors: InPasses | None
    taps: large.Part | None = None
    tiles: transforms.Tiles | None = None
    winograd: bool = False
    single: bool = False

    @property
    def passes(self) -> str:
        """The family of the pipelines that compute it in passes, if it is."""
        return self.factors.passes.family if self.factors else ""

    def part(self, taps: large.Part) -> Way:
        """The way for a part of the window: these taps along each axis."""
        if not isinstance(self.factors, Factors):
            return self
        lines = zip(self.factors.lines, taps, strict=True)
        some = tuple(line[part.start : part.stop] for line, part in lines)
        return self._replace(factors=Factors(some, self.factors.scale))


def settle(problem: Problem, kernels: Array | None) -> Way:
    """Settle how to compute a problem with these kernels, which are None for pooling."""
    if kernels is None:
        return _settle_pooling(problem)
    flat, kernels = is_flat(problem), problem.full_kernels(kernels)
    if flat:
        problem, kernels = flattened(problem), kernels[0]
    if winograd.pays(problem):
        return Way(flat, False, problem.sum_dtype, None, winograd=True)
    numbers, tiles = summing_type(problem, kernels), transforms.tiles(problem, kernels)
    turned = suited(problem).turned and tiles is None
    if turned:
        problem, kernels = turn(problem), turn_array(kernels, len(problem.axes) - 2)
    factors = rank_1(problem, numbers, kernels) if kernels.size else None
    if factors is None and tiles is None and in_16_bits(problem, kernels):
        numbers = I16
    return Way(flat, turned, numbers, factors, tiles=None if factors else tiles)


def settle_product(problem: Problem, lines: Sequence[Array], numbers: DType) -> Way | None:
    """Settle a convolution with the product of these lines, one along each axis.

    It is None if the type of the sums does not hold the product's scale. A line along an axis whose
    window has one tap is a single number.
    """
    flat, lines = is_flat(problem), list(lines)
    if flat:
        problem, deep = flattened(problem), lines.pop(0)
        lines[0] = lines[0] * deep[0]
    turned = suited(problem).turned
    if turned:
        lines[-2:] = lines[:-3:-1]
    factors = scaled(lines, numbers)
    return None if factors is None else Way(flat, turned, numbers, factors)


def is_for_any_numbers(problem: Problem) -> bool:
    """Whether a problem is settled in the same way with any kernels."""
    if problem.kernels is None:
        return True
    slabs = flattened(problem) if is_flat(problem) else problem
    by_transforms = transforms.tiles(slabs, None) is not None
    return problem.sum_dtype.kind == "f" and not passes_pay(slabs) and not by_transforms


def grain(problem: Problem, way: Way | None) -> tuple[int, ...]:
    """The outputs along each axis between which a problem may be cut without changing a bit."""
    *outer, _, _ = problem.axes
    last = (1, 1)
    if way is not None and way.winograd:
        last = winograd.grain(problem)
    elif way is not None and way.tiles is not None and problem.sum_dtype.kind == "f":
        last = way.tiles.grain
    return (1,) * len(outer) + last


@lru_cache(maxsize=256)
def _settle_pooling(problem: Problem) -> Way:
    """Settle how to compute a pooling, which its sizes and types alone decide."""
    flat, single = is_flat(problem), is_single(problem)
    problem = beside(problem, single)
    problem = deepened(flattened(problem) if flat else problem)
    turned = suited(problem).turned
    taps = large.taps_on_pixels(turn(problem) if turned else problem)
    return Way(flat, turned, None, None, taps, single=single)


def has_pipeline(problem: Problem) -> bool:
    """Whether there is a pipeline for a pooling: medians have them for some windows alone."""
    try:
        choose(flattened(problem) if is_flat(problem) else problem, None)
    except LookupError:
        return False
    return True


def is_flat(problem: Problem) -> bool:
    """Whether each slab of a volume is an image of its own: all at equal distances, or as many."""
    *outer, _, _ = problem.axes
    return any(
        (axis.window, axis.before, axis.after, axis.size % axis.stride) == (1, 0, 0, 0)
        for axis in outer
    )


def is_single(problem: Problem) -> bool:
    """Whether there is a single window along each axis, as that of a mean over an image."""
    return problem.mode != "median" and all(
        axis.outputs == 1 == axis.dilation and axis.stride <= axis.window > 1
        for axis in problem.axes
    )


def beside(problem: Problem, single: bool) -> Problem:
    """The problem; a `single` window, which needs no strides, has those of windows side by side."""
    if not single:
        return problem
    return replace(problem, axes=tuple(replace(each, stride=each.window) for each in problem.axes))


def flattened(problem: Problem) -> Problem:
    """The problem on those slabs of volumes that have an output, one after another, as images."""
    deep, rows, columns = problem.axes
    shape = problem.batch * deep.outputs, rows.size, columns.size, problem.channels
    layout = FULL[2]._replace(kernels=problem.layout.kernels.replace("z", ""))
    images = Spec(shape, problem.images.dtype)
    return replace(problem, axes=(rows, columns), layout=layout, images=images)


def deepened(problem: Problem, way: Way | None = None) -> Problem:
    """The problem that pipelines take: images that are pooled with borders become volumes.

    The pipelines for volumes fill cells before they merge them, and know all borders. So do those
    for medians and for footprints.
    """
    tap_by_tap = problem.mode == "median" or (way is not None and way.factors is not None)
    merged = problem.kernels is None and not tap_by_tap
    if merged and problem.pad_mode != "nothing" and len(problem.axes) == 2:
        return replace(problem, axes=(Axis(1, 1, 1, 1, 0, 0), *problem.axes))
    return problem


def turn(problem: Problem) -> Problem:
    """The problem for images, kernels and output whose last two axes have been exchanged."""
    *outer, rows, columns = problem.axes
    return replace(problem, axes=(*outer, columns, rows))


def turn_array(array: Array, axis: int) -> Array:
    """A view of an array that has this axis and the next one exchanged."""
    return array.swapaxes(axis, axis + 1)


def describe(problem: Problem, way: Way | None) -> str:
    """Describe in words how a problem is computed; without a way, say what that depends on too."""
    space, flat = problem.space, is_flat(problem)
    problem = beside(problem, way is not None and way.single)
    problem = deepened(flattened(problem) if flat else problem)
    passes = way.passes if way else ""
    # There is no way if the kernels are a bare shape, which stands for float64 numbers.
    numbers = way.numbers if way else problem.sum_dtype
    words = ["each slab as an image"] if flat else []
    if way and way.tiles:
        words.append(transforms.describe(way.tiles))
        return f"for {loaded().level}, {', '.join(words)}"
    if winograd.pays(problem):
        words.append(winograd.describe(problem.sum_dtype))
        return f"for {loaded().level}, {', '.join(words)}"
    turned = way.turned if way else suited(problem).turned
    problem = turn(problem) if turned else problem
    method = choose(problem, numbers, passes)
    words += ["on images turned on their side"] if turned else []
    taps = way.taps if way else None
    if large.is_deep(problem):
        slabs = replace(problem, axes=problem.axes[1:])
        second = choose(slabs, numbers, passes)
        words.append("along the depth first")
        return f"for {loaded().level}, {', '.join(words)}, then {_words(second.family, 2)}"
    if taps or large.is_large(problem, method):
        parts = large.parts(problem, method, taps)
        if len(parts) > 1:
            words.append(f"the window in {len(parts)} parts")
        else:
            words.append("the taps that meet a pixel" if taps else "channels apart")
        whole = Region(range(problem.batch), tuple(range(axis.outputs) for axis in problem.axes))
        method = choose(large.problem_on(problem, parts[0], whole), numbers, passes)
    space = 2 if flat else space
    words += [_words(method.family, space), f"in {method.numbers}"]
    integers = problem.sum_dtype.kind != "f" and problem.images.dtype.itemsize < 8
    if problem.kernels is not None and integers:
        types = ", ".join(map(str, (*([I16] if numbers == I16 else []), F32, F64, I64)))
        words.append(f"the first of {types} that is exact with these kernels")
    volume = space == 3
    product = "a product of a line along each axis" if volume else "a column times a row"
    if problem.renormalize:
        words.append("with the weights beside")
    if passes:
        words.append(f"as the kernel is {product}")
    elif way is None and passes_pay(problem):
        words.append(f"or in {'three' if volume else 'two'} passes if the kernel is {product}")
    return f"for {loaded().level}, {', '.join(words)}"


def _words(family: str, space: int) -> str:
    """What a family of pipelines does with so many spatial axes."""
    axes = {1: "", 2: ", down and then across", 3: ", along the depth, down and then across"}
    halving = "by windows of twice the size at each step"
    if family == "doubling" and space == 3:
        return f"tap by tap along the depth, then {halving}, down and then across"
    return {
        "planes": "vectors along the rows",
        "dense": "vectors along the kernels",
        "depthwise": "vectors along the channels",
        "grouped": "vectors along the outputs of all groups, and of pixels side by side",
        "deep": "vectors along the channels under a window",
        "separable": f"in {'three' if space == 3 else 'two'} passes{axes[space]}",
        "windows": f"tap by tap{axes[space]}",
        "tiles": f"tile by tile in registers{axes[space]}",
        "squares": f"{'cubes' if space == 3 else 'squares'} side by side",
        "doubling": f"{halving}{axes[space]}",
        "medians": "by a network of minima and maxima",
    }[family]


# ------------------------------------------------------------------- thin and tiny images

# A pipeline has a fixed cost for every image and every row. Where rows are short, this may exceed
# the cost of exchanging rows and columns, or the time that NumPy takes, which computes all images
# at once. The choice can change bits, so it depends on the type and the sizes of an image alone,
# never on the batch, and is settled for a whole problem. The times below are rough and for one
# thread, so NumPy's engine is taken only where it is clearly faster. Pipelines on the caller's own
# arrays take a few microseconds to call, and NumPy's engine tens of them: there it is taken for the
# very smallest images alone, of which there are hardly ever few.
NARROW = 16  # rows of fewer outputs than this do not fill the vectors
FEW = 64  # steps in Python that take little time even for a single image
TINY = 4096  # numbers of an image and its output, at most, for which NumPy may be the faster
TINIEST = 24  # the same where pipelines compute on the caller's own arrays
TURNING = (
    500  # nanoseconds of an image that exchanging must save: such a call takes longer to begin
)


class Suited(NamedTuple):
    """How images of these sizes are computed fastest.

    Attributes
    ----------
    turned : bool
        Whether the compiled engine should exchange rows and columns.
    tiny : bool
        Whether there is so little work that NumPy's engine is faster.
    """

    turned: bool
    tiny: bool


def suited(problem: Problem) -> Suited:
    """How a problem's images are computed fastest."""
    wide = problem.columns.outputs >= NARROW
    return _UPRIGHT if wide or len(problem.axes) > 2 else _suited(problem)


def _pixels(problem: Problem) -> DType:
    """The images' type as pipelines see it: in native byte order, and booleans as bytes."""
    return U8 if problem.images.dtype.kind == "b" else problem.images.dtype.newbyteorder("=")


_UPRIGHT = Suited(turned=False, tiny=False)


@lru_cache(maxsize=256)
def _suited(problem: Problem) -> Suited:
    """Compare the estimated nanoseconds for an image, without the arithmetic of the pipelines."""
    oh, ow, nc = problem.full_output_shape[1:]
    if 0 in (oh, ow, nc):
        return _UPRIGHT
    numbers = problem.rows.size * problem.columns.size * problem.channels + oh * ow * nc
    # A single column of pixels becomes a row without a copy; wider images are copied.
    turning = numbers * (0.5 if problem.columns.size == ow == 1 else 2.2)
    upright, turned = _of_pipelines(problem), turning + _of_pipelines(turn(problem))
    numpy = (
        _of_numpy_pooling(problem) if problem.kernels is None else _of_numpy_convolution(problem)
    )
    turns = 1.5 * turned + TURNING < upright
    in_place = not turns and not any(_converted(problem, _method(problem)))
    few = numbers <= (TINIEST if in_place else TINY) and _steps_of_numpy(problem) <= FEW
    tiny = few and 1.5 * numpy < min(upright, turned)
    return Suited(turns, tiny)


def _steps_of_numpy(problem: Problem) -> int:
    """How many steps NumPy's engine takes in Python, for which only many images make up."""
    rows, columns = problem.rows, problem.columns
    if problem.kernels is not None:
        return rows.window * columns.window
    return min(rows.window, rows.size) + min(columns.window, columns.size)


def _of_numpy_convolution(problem: Problem) -> float:
    """Estimate the nanoseconds that NumPy takes for an image of a convolution."""
    oh, ow, nc = problem.full_output_shape[1:]
    kh, kw, groups = problem.rows.window, problem.columns.window, max(1, problem.groups)
    lines = kh * oh * problem.columns.size * problem.channels * (0.5 + _converting(problem))
    floats = problem.sum_dtype.kind == "f"
    if problem.channels <= groups:  # NumPy's inner loop goes along the channels, or else the row.
        loops = ow if nc > 1 else 1 if ow > 1 else 0
        return lines + kh * kw * oh * ((1.1 if floats else 1.6) * ow * nc + 8 * loops)
    products = problem.channels // groups * (nc // groups)  # for each tap of a group
    pixel = 4 + products * (0.3 if floats else 0.75)
    return lines + kh * kw * groups * oh * (40 + ow * pixel)


def _of_numpy_pooling(problem: Problem) -> float:
    """Estimate the nanoseconds that NumPy takes for an image of a pooling.

    It skips taps that lie on padding.
    """
    rows, columns, c = problem.rows, problem.columns, problem.channels
    half = _pixels(problem) == F16 and problem.mode in ("max", "min")
    merge = 6 if half else max(0.2, 0.1 * problem.sum_dtype.itemsize)  # nanoseconds for each number
    loop = 10 if rows.stride > 1 < columns.size else 0
    down = (merge + _converting(problem)) * columns.size * c + loop
    across = columns.outputs * (merge * c + (8 if c > 1 else 0))
    mean = 5 + 3 * columns.outputs * c if problem.mode == "avg" else 0
    kh, kw = min(rows.window, rows.size), min(columns.window, columns.size)
    return rows.outputs * (down * kh + across * kw + mean)


def _converting(problem: Problem) -> float:
    """Estimate the nanoseconds that NumPy takes to convert a number to the sums' type."""
    if _pixels(problem) == problem.sum_dtype:
        return 0
    return 4 if _pixels(problem) == F16 else 1.5


def _method(problem: Problem) -> Method:
    """The pipeline for a problem under usual kernels: small integers are summed in float32."""
    numbers = problem.sum_dtype
    if numbers.kind != "f":
        numbers = I64 if problem.images.dtype.itemsize == 8 else F32
    return choose(problem, None if problem.kernels is None else numbers)


def _converted(problem: Problem, method: Method) -> tuple[bool, bool]:
    """Whether pixels are converted before a pipeline reads them, and results after it."""
    return method.pixels != _pixels(problem), method.results != problem.output_dtype


def _of_pipelines(problem: Problem) -> float:
    """Estimate the nanoseconds that pipelines take for an image whose rows fill no vectors."""
    rows, columns, nc = problem.rows, problem.columns, problem.output_channels
    method = _method(problem)
    reads, writes = _converted(problem, method)
    read = rows.size * columns.size * problem.channels * reads
    written = rows.outputs * columns.outputs * nc * writes
    row, taps = 65.0, rows.window * columns.window
    if problem.kernels is None:
        row = 20 + 5 * (rows.window + columns.window)
    elif method.folded:
        row = taps * (2 if columns.outputs * problem.channels >= 4 else 7)
    elif method.family == "planes":  # All rows under windows are dealt out into planes.
        dealt = (rows.outputs - 1) * min(rows.stride, rows.window) + rows.window
        products = taps * nc * (problem.channels // max(1, problem.groups))
        row = 35 * problem.channels * dealt / rows.outputs + 1.5 * products
        row += (
            columns.size * problem.channels * max(0, problem.groups - 1)
        )  # groups share no caches
    elif method.family == "grouped":  # A vector holds the outputs of a pixel, or of some.
        row = 20 + 0.3 * taps * problem.channels // problem.groups * columns.outputs * -(-nc // 16)
    convert = 4 if _pixels(problem) == F16 else 1.5
    return 50 + rows.outputs * (10 + row) + convert * (read + written)
