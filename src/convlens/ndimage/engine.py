"""Filters put as problems, and computed by the compiled pipelines.

An array of any rank becomes images (m, *space, c) with two or three spatial axes. Neighbouring axes
that are not filtered are taken for one axis, the first of them for a batch and the last for
channels, as far as that needs no copy. Each function here says whether it has computed the filter;
if not, `blocks` does, in NumPy. A filter that was computed before on arrays that lie as these is
not put again, but what it ran is run.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, wraps
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convlens.compiled import choice, large, ways, work
from convlens.compiled.choice import (
    CUT,
    F32,
    F64,
    I64,
    U8,
    U16,
    Cut,
    Footprint,
    Means,
    Pass,
    Raised,
    Truncated,
)
from convlens.compiled.library import load
from convlens.compiled.repeats import Ran, Repeats
from convlens.core.axis import ZEROS, Axis, Border
from convlens.core.problem import FULL, Array, Layout, Problem, Spec
from convlens.ndimage.arguments import Step

DType = np.dtype[Any]
SINGLE = Pass(
    np.ones(1, np.float32),
    np.ones(1),
    np.zeros((3, 1), np.int32),
    np.array([0, 1, 0], np.float32),
    (0, 0),  # which the pipeline does not use for a single tap
)
ROW = 2**12  # the most numbers of a row across the filtered axis, if they can be divided
FEW = 64  # taps of a kernel whose way is kept
DEEP = 16  # more slabs than these are better read once, in a pass of their own
NARROW = 16  # axes of fewer numbers are better taken for channels than for rows
ROUNDING = 2.0**-24  # the relative error of a number in float32
LARGEST = 2**13  # the most bytes of weights that are compared with those of an earlier filter

REPEATS = Repeats()  # what the latest filters ran


def repeats(filter_: Callable[..., Ran | bool]) -> Callable[..., bool]:
    """Run what a filter ran before, if it had the same steps on arrays that lie as these.

    The filter takes the input, the output, the steps and one thing more: weights, lines or passes,
    or a word. It returns what it ran, or only whether it was done.
    """

    @wraps(filter_)
    def repeated(input_: Array, output: Array, steps: Sequence[Step], how: Any) -> bool:
        key = _key(filter_, input_, output, steps, how)
        if key is not None and REPEATS.run(key, (input_, output)):
            return True
        with np.errstate(all="ignore"):
            ran = filter_(input_, output, steps, how)
        if key is not None and isinstance(ran, Ran):
            REPEATS.keep_with_kernels(key, (input_, output), ran)
        return bool(ran)

    return repeated


def _key(
    filter_: Callable[..., Any], input_: Array, output: Array, steps: Sequence[Step], how: Any
) -> Hashable | None:
    """All that a filter depends on but its arrays' addresses and numbers; None if that is much."""
    library = load()
    if isinstance(library, str):
        return None
    if isinstance(how, np.ndarray):
        if how.nbytes > LARGEST:
            return None
        how = [how]
    if not isinstance(how, str):
        how = tuple(map(_content, how))
    of_input = input_.shape, input_.dtype, input_.strides, input_.flags.aligned
    of_output = output.shape, output.dtype, output.strides, output.flags.aligned
    return filter_, of_input, of_output, tuple(steps), how, library.threads


def _content(each: Array | Pass | str | None) -> Hashable:
    """What tells weights from others; passes are made once."""
    return (each.shape, each.tobytes()) if isinstance(each, np.ndarray) else each


def _computed(
    problem: Problem, way: ways.Way, images: Array, kernels: Array | None, out: Array
) -> Ran | bool:
    """Compute a problem; returns what was run for it, if that was all."""
    work.compute(problem, way, images, kernels, out)
    return work.ran(problem, way, images, kernels, out) or True


class Folded(NamedTuple):
    """The shapes (m, *space, c) of an array's images, and the filtered axes among the spatial ones.

    Attributes
    ----------
    shape : tuple of int
    filtered : tuple of int or None
        For each spatial axis, the number of the array's axis that is filtered there, if one is.
    """

    shape: tuple[int, ...]
    filtered: tuple[int | None, ...]


@lru_cache(maxsize=256)
def folded(
    shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...], filtered: tuple[int, ...]
) -> Folded | None:
    """How arrays with these strides become images; None if they cannot without a copy."""
    groups: list[list[int]] = []
    for axis in range(len(shape)):
        before = groups[-1] if groups else None
        if before is None or axis in filtered or before[-1] in filtered:
            groups.append([axis])
        elif all(
            1 in (shape[axis], shape[before[-1]]) or each[before[-1]] == shape[axis] * each[axis]
            for each in strides
        ):
            before.append(axis)
        else:
            groups.append([axis])
    sizes = [prod(shape[axis] for axis in group) for group in groups]
    numbers = [group[0] if group[0] in filtered else None for group in groups]
    m = c = 1
    # Rows of many numbers are as good as channels if one axis is filtered, but not if more are.
    many = numbers and (len(filtered) > 1 or sizes[-1] < NARROW or len(sizes) > 3)
    if many and numbers[-1] is None:
        c = sizes.pop()
        numbers.pop()
    if len(sizes) > 3 and numbers[0] is None:
        m = sizes.pop(0)
        numbers.pop(0)
    if len(sizes) > 3:
        return None
    while len(sizes) < 2:
        sizes.insert(0, 1)
        numbers.insert(0, None)
    return Folded((m, *sizes, c), tuple(numbers))


def narrowed(input_: Array, output: Array, step: Step) -> tuple[Array, Array, Step]:
    """Views whose rows are shorter, if those across the filtered axis are long.

    The rows under a window then fit into a core's cache.
    """
    width = _divisor(prod(input_.shape[step.axis + 1 :])) if input_.size > ROW else 0
    if not width or not (input_.flags.c_contiguous and output.flags.c_contiguous):
        return input_, output, step
    inner = prod(input_.shape[step.axis + 1 :])
    shape = (-1, input_.shape[step.axis], inner // width, width)
    images, results = (each.reshape(shape).swapaxes(1, 2) for each in (input_, output))
    return images, results, step._replace(axis=2)


@lru_cache(maxsize=64)
def _divisor(inner: int) -> int:
    """Into how many numbers a row can be divided, if it is long and can be."""
    few = range(ROW, ROW // 16, -1) if inner > ROW else ()
    return next((n for n in few if inner % n == 0), 0)


def runs(*dtypes: DType) -> bool:
    """Whether the compiled pipelines are there, and take these types."""
    return choice.missing() is None and all(
        dtype.kind in "biuf" and dtype.itemsize <= 8 for dtype in dtypes
    )


def holds(border: Border, dtype: DType) -> bool:
    """Whether a type holds the number of a border, so that pixels of the type can stand for it."""
    if border.mode != "constant":
        return True
    with np.errstate(all="ignore"):
        held = np.asarray(border.value).astype(dtype)
    return bool(held == border.value)


def sums(input_: Array, output: Array) -> DType:
    """The type to add up in: int64 for integers, float32 for floats if none are finer."""
    if output.dtype.kind == "i":
        return I64
    if output.dtype.itemsize != 4:
        return F64
    small = input_.dtype.itemsize <= 2 or input_.dtype.newbyteorder("=") == F32
    return F32 if small else F64


@repeats
def product(
    input_: Array, output: Array, steps: Sequence[Step], lines: Sequence[Array]
) -> Ran | bool:
    """Correlate with the product of a line along each axis, into an output of floats."""
    numbers = sums(input_, output)
    views = _views(input_, output, steps)
    if views is None:
        return False
    images, out, spatial = views
    problem = _problem(
        "sum", images.shape, input_.dtype, output.dtype, numbers, spatial, kernels=True
    )
    of_axis = {step.axis: line for step, line in zip(steps, lines, strict=True)}
    contents = tuple(
        None if n is None else rounded(of_axis[n], numbers).tobytes() for n in spatial.filtered
    )
    way = _way_of_product(problem, contents, numbers)
    if way is None:
        return False
    shape = tuple(axis.window for axis in problem.axes)
    return _computed(problem, way, images, _shape_alone(shape, numbers), out)


@repeats
def kernel(input_: Array, output: Array, steps: Sequence[Step], weights: Array) -> Ran | bool:
    """Correlate with weights that have as many axes as the input, into floats or int64."""
    numbers = sums(input_, output)
    views = _views(input_, output, steps)
    if views is None:
        return False
    images, out, spatial = views
    problem = _problem(
        "sum", images.shape, input_.dtype, output.dtype, numbers, spatial, kernels=True
    )
    taps = weights.reshape([axis.window for axis in problem.axes]).astype(numbers)
    small = taps.size <= FEW
    way = _way_of_taps(problem, taps.tobytes()) if small else ways.settle(problem, taps)
    return _computed(problem, way, images, taps, out)


@repeats
def in_passes(
    input_: Array, output: Array, steps: Sequence[Step], passes: Sequence[Pass]
) -> Ran | bool:
    """Filter integers along one axis, or along two, and cut the sums off each time."""
    views = _views(input_, output, steps)
    if views is None:
        return False
    images, out, spatial = views
    problem = _problem("sum", images.shape, input_.dtype, output.dtype, F32, spatial, kernels=True)
    flat = _flat_passes(problem)
    if flat is None:
        return False
    of_axis: dict[int | None, Pass] = {None: SINGLE}
    of_axis |= {step.axis: each for step, each in zip(steps, passes, strict=True)}
    down, across = (of_axis[number] for number in spatial.filtered[-2:])
    shape = tuple(axis.window for axis in problem.axes)
    means = images.dtype == U8 and down.mean is not None is not across.mean
    way = ways.Way(flat, False, U16 if means else F32, _both(Means if means else Cut, down, across))
    return _computed(problem, way, images, _shape_alone(shape, F32), out)


@lru_cache(maxsize=256)
def _flat_passes(problem: Problem) -> bool | None:
    """Whether the slabs of a problem in passes are images, or None if it cannot be computed so."""
    flat = ways.is_flat(problem)
    slabs = ways.flattened(problem) if flat else problem
    fits = len(slabs.axes) == 2 and not large.is_large(slabs, choice.choose(slabs, F32, CUT))
    return flat if fits else None


@lru_cache(maxsize=256)
def _both(kind: type[Cut], down: Pass, across: Pass) -> Cut:
    """The passes down and across, together."""
    return kind(down, across)


@repeats
def pooled(input_: Array, output: Array, steps: Sequence[Step], mode: str) -> Ran | bool:
    """Take the largest ("max"), the smallest ("min"), the "median" or the mean ("avg") of a window.

    Outputs of "avg" are floats, those of the others have the input's type.
    """
    if len(steps) == 1:
        input_, output, step = narrowed(input_, output, steps[0])
        steps = [step]
    steps = sorted(steps, key=lambda step: step.axis)
    if mode in ("max", "min") and all(map(_sees_its_border, steps)):
        steps = [step._replace(border=Border("nothing")) for step in steps]
    one_type = mode != "median" and input_.dtype == output.dtype
    if one_type and len(steps) > 2 and steps[0].size > DEEP:
        between = np.empty(output.shape, output.dtype)
        return pooled(input_, between, steps[:1], mode) and pooled(between, output, steps[1:], mode)
    views = _views(input_, output, steps)
    if views is None:
        return False
    images, out, spatial = views
    numbers = input_.dtype.newbyteorder("=")
    if mode == "avg":
        exact = input_.dtype.kind in "biu" and input_.dtype.itemsize < 8
        numbers = np.dtype(np.int64) if exact else sums(input_, output)
    problem = _problem(
        mode, images.shape, input_.dtype, output.dtype, numbers, spatial, kernels=False
    )
    if mode == "median" and not ways.has_pipeline(problem):
        return False
    return _computed(problem, ways.settle(problem, None), images, None, out)


@repeats
def under_footprint(
    input_: Array, output: Array, steps: Sequence[Step], how: tuple[str, Array, Array | None]
) -> Ran | bool:
    """Take the largest ("max") or smallest ("min") number under a footprint, or the "sum" of all.

    `how` is this mode, the footprint with as many axes as the input, and what is added to the
    number under each tap of it, if anything is; for sums, what it is multiplied by. A footprint of
    integers tells the order of the taps, which is that of the window otherwise. The output has the
    input's type: floats, or for extremes without heights, and sums of bytes, integers.
    """
    mode, footprint, heights = how
    views = _views(input_, output, steps)
    if views is None:
        return False
    images, out, spatial = views
    numbers = input_.dtype.newbyteorder("=")
    problem = _problem(
        mode, images.shape, input_.dtype, output.dtype, numbers, spatial, kernels=False
    )
    flat = ways.is_flat(problem)
    window = [axis.window for axis in problem.axes[flat:]]
    footprint = footprint.reshape(window)  # The axes that are not filtered have one tap.
    order = np.argsort(footprint[footprint != 0], kind="stable")
    taps = np.argwhere(footprint)[order].T[::-1].astype(np.int32, order="C")
    given = Footprint(taps)
    if heights is not None:
        given = (
            Raised(taps, heights.astype(numbers)) if numbers.kind == "f" else _cut(taps, heights)
        )
    slabs = ways.flattened(problem) if flat else problem
    if large.is_large(slabs, choice.choose(slabs, None, given.family)):
        return False
    return _computed(problem, ways.Way(flat, False, None, given), images, None, out)


def _cut(taps: Array, weights: Array) -> Truncated:
    """The same for sums of bytes with these weights, in float64, that are cut off to bytes."""
    error = np.array([error_of_bytes(weights)], F32)
    return Truncated(taps, weights.astype(F32), weights, error)


def error_of_bytes(weights: Array) -> float:
    """By how much a sum of bytes with these weights may be off in float32."""
    total = 255 * float(np.abs(weights).sum())
    whole = bool((weights == np.trunc(weights)).all())
    if whole and total < 1 / ROUNDING:
        return 0.0
    # Each weight is rounded once, and each product and sum.
    return 1.01 * (len(weights) + 2) * ROUNDING * total


def _sees_its_border(step: Step) -> bool:
    """Whether every cell beyond an edge repeats a pixel that lies under the same window anyway.

    Then an extreme of the window is that of its pixels alone, which is found without a border.
    """
    behind = step.size - 1 - step.before
    apart = {"edge": step.size, "symmetric": 1, "reflect": 0}.get(step.border.mode, -1)
    return abs(step.before - behind) <= apart


def rounded(line: Array, numbers: DType) -> Array:
    """A line of weights, in float64, rounded to a type that leaves its sum nearly as it was.

    The rounding errors of all weights add up where the pixels are alike, and would be seen there.
    The weight in the middle makes up for the others'.
    """
    line = np.asarray(line, np.float64)
    if numbers == F64 or not np.isfinite(line).all():
        return line
    held = line.astype(numbers).astype(np.float64)
    middle = len(line) // 2
    held[middle] += line.sum() - held.sum()
    return held.astype(numbers).astype(np.float64)


class _Spatial(NamedTuple):
    """For each spatial axis of the images, the window along it, the cells before it, its border."""

    filtered: tuple[int | None, ...]
    windows: tuple[tuple[int, int], ...]
    borders: tuple[Border, ...]


def _views(
    input_: Array, output: Array, steps: Sequence[Step]
) -> tuple[Array, Array, _Spatial] | None:
    """Input and output as images (m, *space, c), or None if no pipeline takes them."""
    takes = runs(input_.dtype, output.dtype) and output.size > 0
    if not (steps and takes and all(holds(step.border, input_.dtype) for step in steps)):
        return None
    filtered = tuple(step.axis for step in steps)
    fold = folded(input_.shape, (input_.strides, output.strides), filtered)
    if fold is None:
        return None
    of_axis = {step.axis: step for step in steps}
    windows, borders = [], []
    rest = next((step.border for step in steps if step.border.mode == "constant"), steps[0].border)
    for number in fold.filtered:
        step = None if number is None else of_axis[number]
        windows.append((1, 0) if step is None else (step.size, step.before))
        borders.append(rest if step is None else step.border)
    spatial = _Spatial(fold.filtered, tuple(windows), tuple(borders))
    return input_.reshape(fold.shape), output.reshape(fold.shape), spatial


@lru_cache(maxsize=256)
def _problem(
    mode: str,
    shape: tuple[int, ...],
    pixels: DType,
    results: DType,
    numbers: DType,
    spatial: _Spatial,
    *,
    kernels: bool,
) -> Problem:
    """The problem of a filter on images of this shape."""
    _, *sizes, c = shape
    # The number of a constant border is that of the whole problem, which it has from the last axis.
    value = next((each.value for each in spatial.borders if each.mode == "constant"), ZEROS.value)
    axes = tuple(
        Axis(size, window, 1, 1, first, window - 1 - first, border=Border(border.mode, value))
        for size, (window, first), border in zip(
            sizes, spatial.windows, spatial.borders, strict=True
        )
    )
    full = FULL[len(sizes)]
    window = tuple(axis.window for axis in axes)
    return Problem(
        operation="convolve" if kernels else "pool",
        mode=mode,
        images=Spec(shape, pixels),
        kernels=Spec(window, numbers) if kernels else None,
        layout=Layout(full.images, full.kernels[:-2] if kernels else "", full.output),
        axes=axes,
        groups=c,
        channels=c,
        output_channels=c,
        padding_word="given",
        count_padding=True,
        sum_dtype=numbers,
        output_dtype=results,
    )


@lru_cache(maxsize=256)
def _way_of_product(
    problem: Problem, contents: tuple[bytes | None, ...], numbers: DType
) -> ways.Way | None:
    """The way for a product of the lines with these contents, of which None is a single 1."""
    lines = [np.ones(1) if each is None else np.frombuffer(each) for each in contents]
    return ways.settle_product(problem, lines, numbers)


@lru_cache(maxsize=256)
def _way_of_taps(problem: Problem, content: bytes) -> ways.Way:
    """The way for a kernel of these numbers."""
    assert problem.kernels is not None, "a correlation has a kernel"
    taps = np.frombuffer(content, problem.kernels.dtype).reshape(problem.kernels.shape)
    return ways.settle(problem, taps)


@lru_cache(maxsize=64)
def _shape_alone(shape: tuple[int, ...], dtype: DType) -> Array:
    """Kernels of a shape, for a way that has the numbers already."""
    return np.broadcast_to(np.zeros((), dtype), shape)
