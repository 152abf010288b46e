"""Compute calls in which some pixels take no part, by any method, block by block.

A block's cells are copied: the pixels under its windows, and the padding around them, with a number
that changes nothing wherever a pixel takes no part. A mean is divided by how much of each window
was there: the number of pixels of an average, or the sum of the kernel's numbers. The program
computes it in the same way, from weights: 1, and 0 for those that take no part. Other calls need no
weights. Of floats the largest and the smallest tell by an infinity that nothing is left, unless a
pixel that takes part is the same.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convlens.core.axis import ZEROS, Axis, Border, sparse
from convlens.core.memory import Memory
from convlens.core.problem import FULL, Array, Layout, Problem, Region, Spec
from convlens.methods.taps import merging, taken, together

if TYPE_CHECKING:
    from convlens.methods import Holes, Method, Program

BLOCK = 2**22  # the most bytes of the cells of a block, or of its results; it has five such arrays


@lru_cache(maxsize=256)
def unmasked(problem: Problem) -> Problem:
    """The problem that is computed on cells and on their weights, were it not for blocks."""
    border = ZEROS if problem.kernels is not None else Border("nothing")
    axes = tuple(_without_padding(axis, border) for axis in problem.axes)
    letters = problem.layout.images
    sizes = dict(zip(letters, problem.images.shape, strict=True))
    space = [letter for letter in letters if letter in "dhw"]
    sizes |= zip(space, (axis.size for axis in axes[-problem.space :]), strict=True)
    whole = replace(
        problem,
        images=Spec(tuple(sizes.values()), problem.images.dtype.newbyteorder("=")),
        axes=axes,
    )
    if not is_mean(problem):
        return whole
    return replace(
        whole, mode="sum", output_dtype=problem.sum_dtype, overflow="refuse", renormalize=False
    )


def is_mean(problem: Problem) -> bool:
    """Whether sums are divided by the weight that was there."""
    return problem.renormalize or problem.mode == "avg"


def _without_padding(axis: Axis, border: Border) -> Axis:
    """The axis on which all cells under windows are pixels."""
    size = max(0, (axis.outputs - 1) * axis.stride + axis.reach)
    return Axis(size, axis.window, axis.stride, axis.dilation, 0, 0, border=border)


def left(
    problem: Problem,
    method: Method,
    where: Array,
    kernels: Array | None,
    region: Region | None = None,
) -> Array:
    """Whether pixels are left under windows, all or a region's: booleans (m, *outputs, nc).

    If a mask is the same for all channels, so are these, in a single one.

    Parameters
    ----------
    where : (m, *space, c)
        Which pixels take part.
    kernels : array or None
        Whose zeros are no taps.
    """
    apart = "c" not in problem.layout.kernels
    if apart and where.strides[-1] == 0:  # All channels have the same mask.
        where = where[..., :1]
    taps = None if kernels is None or (apart and kernels.all()) else kernels != 0
    counted = _counting(problem, Spec(where.shape, where.dtype), taps is not None)
    part = counted if region is None else counted.part(region)
    where = where if region is None else where[region.slices[0]]
    found = np.empty(part.full_output_shape, part.output_dtype)
    if where.size == 0:
        found[...] = part.of_zeros(taps)
    elif found.size:
        program = method.prepare(counted, taps)
        program.run(part, where, taps, found)
    return found if taps is None else found > 0


@lru_cache(maxsize=256)
def _counting(problem: Problem, where: Spec, kernels: bool) -> Problem:
    """The problem whose images are booleans and say which pixels take part: (m, *space, c).

    Its result is the largest of them under a window. With kernels, which are booleans too, it is
    the number of pixels under their taps, up to 255.
    """
    border, full = problem.columns.border, FULL[len(problem.axes)]
    if border.mode == "constant":
        border = border._replace(value=True)
    counted = replace(
        problem,
        mode="max",
        images=where,
        kernels=None,
        layout=Layout(full.images, "", full.output),
        axes=tuple(replace(axis, border=border) for axis in problem.axes),
        sum_dtype=where.dtype,
        output_dtype=where.dtype,
        overflow="refuse",
        where="all",
        renormalize=False,
    )
    channels = where.shape[-1]
    if not kernels or problem.kernels is None:
        return replace(counted, groups=channels, channels=channels, output_channels=channels)
    if channels < problem.channels:
        counted = replace(counted, groups=1, channels=1, output_channels=1)
    return replace(
        counted,
        mode="sum",
        kernels=Spec(problem.kernels.shape, where.dtype),
        layout=counted.layout._replace(kernels=problem.layout.kernels),
        sum_dtype=np.dtype(np.int64),
        output_dtype=np.dtype(np.uint8),
        overflow="saturate",
    )


def needs_pixels(problem: Problem) -> bool:
    """Whether every window must have a pixel that takes part, as integers have no NaN."""
    return problem.mode in ("max", "min") and problem.output_dtype.kind not in "fc"


def refusal(problem: Problem, there: Array) -> str:
    """Why windows are refused if nothing is left of some; `there` is what `left` returns."""
    all_there = np.broadcast_to(there, problem.full_output_shape).reshape(problem.output_shape)
    place = tuple(map(int, np.argwhere(~all_there)[0]))
    return (
        f"no pixel under the window of output {place} takes part, and mode={problem.mode!r} has no "
        f"number of {problem.output_dtype} for nothing; convert the images to floats, which give "
        "NaN there"
    )


def compute(
    problem: Problem,
    method: Method,
    program: Program,
    images: Array,
    where: Array | None,
    kernels: Array | None,
    out: Array,
) -> None:
    """Write the result into `out`.

    Parameters
    ----------
    problem : Problem
    method : Method
    program : Program
        What the method prepared for the unmasked problem, or a problem that this one is a part of.
    images, kernels, out : array
        As a program takes them.
    where : array of bool or None
        Which pixels take part, of the images' shape; None for those that are finite.
    """
    images, out = problem.full_images(images), problem.full_output(out)
    where = None if where is None else problem.full_images(where)
    memory, divided = Memory(), _quotients(problem)
    for region in _regions(problem, BLOCK):
        target = out[region.slices]
        block = _block(problem, region, where is not None and where.strides[-1] == 0)
        cells, weights = block.cells(images, where, method.holes, memory)
        if weights is None:
            program.run(block.problem, cells, kernels, target)
            if problem.mode in ("max", "min") and target.dtype.kind in "fc":
                _mark(problem, method, region, where, target)
            continue
        sums, divisors = (
            memory.array(name, *each)
            for name, each in (("sums", block.sums), ("divisors", block.divisors))
        )
        program.run(block.problem, cells, kernels, sums)
        program.run(block.weights, weights, kernels, divisors)
        if divided == target.dtype:
            method.holes.divide(sums, divisors, target)
        else:
            means = memory.array("means", target.shape, divided)
            method.holes.divide(sums, divisors, means)
            problem.write(means, target)


def _quotients(problem: Problem) -> np.dtype[Any]:
    """The type of sums divided by weights."""
    return np.true_divide(np.empty(0, problem.sum_dtype), np.empty(0, problem.sum_dtype)).dtype


def _mark(
    problem: Problem, method: Method, region: Region, where: Array | None, target: Array
) -> None:
    """Write NaN for windows of which nothing is left: their result is what loses to all others."""
    lost = target == merging(problem)[1]
    if not lost.any():
        return
    if where is not None:  # A pixel that takes part may be the same.
        lost &= ~left(problem, method, where, None, region)
    np.copyto(target, np.nan, where=lost)


class _Along(NamedTuple):
    """The cells of a block along one axis.

    Attributes
    ----------
    axis : Axis
        How the window slides over these cells.
    parts : list
        Which of them take pixels, and which pixels.
    behind : slice
        Cells behind the padding, under windows that hang over it.
    """

    axis: Axis
    parts: list[tuple[slice, Any]]
    behind: slice


def _along(axis: Axis, outputs: range, whole: Axis) -> _Along:
    """The cells that these outputs need; `whole` is the axis of those of all outputs."""
    first, count = axis.pixels(outputs[0])[0], len(outputs)
    end = max(axis.size, axis.size + axis.after)
    if not sparse(axis, count):
        inner = replace(whole, size=(count - 1) * axis.stride + axis.reach)
        parts = [
            (slice(*to.indices(inner.size)[:2]), pixels)
            for to, pixels in taken(range(first, first + inner.size), axis)
        ]
        return _Along(inner, parts, slice(max(0, end - first), None))
    # Most cells would lie under no tap: those of each tap are put side by side, tap after tap.
    parts, behind = [], count * axis.window
    for tap in range(axis.window):
        start, at = first + tap * axis.dilation, tap * count
        cells = range(start, start + (count - 1) * axis.stride + 1, axis.stride)
        for to, pixels in taken(cells, axis):
            start, stop, _ = to.indices(count)
            parts.append((slice(at + start, at + stop), pixels))
        behind = min(behind, at + sum(cell < end for cell in cells)) if cells[-1] >= end else behind
    inner = replace(whole, size=count * axis.window, stride=1, dilation=count)
    return _Along(inner, parts, slice(behind, None))


class _Block:
    """The cells of a region.

    Parameters
    ----------
    problem : Problem
    region : Region
    shared : bool
        Whether a mask is the same for all channels.

    Attributes
    ----------
    problem, weights : Problem
        What is computed on the cells, and for a mean on their weights.
    sums, divisors : Spec
        The results of these two.
    """

    def __init__(self, problem: Problem, region: Region, shared: bool) -> None:
        self._whole, self._images, inner = problem, region.images, unmasked(problem)
        places = zip(problem.axes, region.places, inner.axes, strict=True)
        self._along = [_along(axis, outputs, whole) for axis, outputs, whole in places]
        axes, full = tuple(along.axis for along in self._along), FULL[len(problem.axes)]
        shape = len(region.images), *(axis.size for axis in axes), problem.channels
        self.problem = replace(
            inner,
            layout=Layout(full.images, problem.layout.kernels, full.output),
            axes=axes,
            images=Spec(shape, inner.images.dtype),
        )
        self.weights = _of_weights(self.problem, shared)
        self.sums, self.divisors = (
            Spec(each.full_output_shape, each.output_dtype) for each in (self.problem, self.weights)
        )
        self._nothing = merging(inner)[1]
        self._full = all(
            sum(to.stop - to.start for to, _ in along.parts) == along.axis.size
            for along in self._along
        )

    def cells(
        self, images: Array, where: Array | None, holes: Holes, memory: Memory
    ) -> tuple[Array, Array | None]:
        """The cells of this block's problem, and those of its weights if it is a mean's."""
        m = slice(self._images.start, self._images.stop)
        data, weights = memory.array("cells", *self.problem.images), None
        if is_mean(self._whole):
            weights = memory.array("weights", *self.weights.images)
        if not self._full:
            number, there = self._padding()
            data[...] = number if there else self._nothing
            if weights is not None:
                weights[...] = there
        for parts in product(*(along.parts for along in self._along)):
            to, places = zip(*parts, strict=True)
            index = m, *together(places)
            pixels, at = images[index], (slice(None), *to)
            some = None if where is None else where[index]
            holes.fill(data[at], pixels, some, self._nothing)
            if weights is None:
                continue
            channels = slice(weights.shape[-1])
            pixels, some = pixels[..., channels], None if some is None else some[..., channels]
            if weights.dtype != bool:
                holes.weigh(weights[at], pixels, some)
            elif some is None:
                np.isfinite(pixels, out=weights[at])
            else:
                weights[at] = some
        for axis, along in enumerate(self._along, 1):
            behind = (slice(None),) * axis + (along.behind,)
            data[behind] = self._nothing
            if weights is not None:
                weights[behind] = 0
        return data, weights

    def _padding(self) -> tuple[Any, bool]:
        """What cells of padding hold if they take no pixels, and whether they take part."""
        problem = self._whole
        mode, value = problem.columns.border
        if mode == "nothing":
            return 0, problem.count_padding and problem.mode == "avg"
        return value, problem.where != "finite" or bool(np.isfinite(value))


def _of_weights(problem: Problem, shared: bool) -> Problem:
    """The problem on weights in place of the cells; of one channel if all channels have the same.

    Weights are booleans wherever pipelines are as fast on them.
    """
    apart, pooled = "c" not in problem.layout.kernels, problem.kernels is None
    as_bools = pooled or (apart and (problem.sum_dtype.kind in "iu" or problem.sum_dtype == "f4"))
    if apart and shared:
        problem = replace(problem, groups=1, channels=1, output_channels=1)
    shape = *problem.images.shape[:-1], problem.channels
    problem = replace(
        problem, images=Spec(shape, np.dtype(bool) if as_bools else problem.images.dtype)
    )
    if not pooled:
        return problem
    few = problem.taps <= 255 and len(problem.axes) == 2
    counts, results = np.dtype(np.int64), np.dtype(np.uint8 if few else np.int64)
    return replace(problem, sum_dtype=counts, output_dtype=results, overflow="saturate")


# Cached, because calls often repeat, and a small one would take several times as long.
_block = lru_cache(maxsize=256)(_Block)


@lru_cache(maxsize=256)
def _regions(problem: Problem, block: int) -> list[Region]:
    """The regions of the blocks: some whole images, or a part of one."""
    m, *outputs, nc = problem.full_output_shape
    most = block // max(problem.images.dtype.itemsize, problem.sum_dtype.itemsize)

    def numbers(shape: list[int]) -> int:
        spans = (
            min((n - 1) * axis.stride + axis.reach, n * axis.window)
            for axis, n in zip(problem.axes, shape, strict=True)
        )
        return max(prod(spans) * problem.channels, prod(shape) * nc)

    shape = list(outputs)
    while numbers(shape) > most and max(shape) > 1:
        # Outer axes are divided first, as long as neighbouring blocks share less than half of what
        # they read.
        windows = [
            n * axis.stride / axis.reach for n, axis in zip(shape, problem.axes, strict=True)
        ]
        long = [n > 1 and many > 2 for n, many in zip(shape, windows, strict=True)]
        longest = max(range(len(shape)), key=lambda n: (shape[n] > 1, windows[n]))
        divided = long.index(True) if any(long) else longest
        shape[divided] = -(-shape[divided] // 2)
    together_ = max(1, most // max(1, numbers(shape))) if shape == outputs else 1
    steps = zip((m, *outputs), (together_, *shape), strict=True)
    cuts = ([range(n, min(n + step, size)) for n in range(0, size, step)] for size, step in steps)
    return [Region(images, tuple(places)) for images, *places in product(*cuts)]
