"""Compute calls in which some pixels take no part, by any method, block by block.

A block's cells are copied: the pixels under its windows, and the padding around them, with a number
that changes nothing wherever a pixel takes no part. Beside them lie their weights: 1, and 0 for
those that take no part. The program computes both as two images of one call. The second result says
how much of each window was there: the sum of the kernel's numbers, the number of pixels of an
average, or whether anything was left at all. Of floats the largest and the smallest tell that
themselves, by an infinity where nothing is left, unless a pixel that takes part is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convlens.core.axis import ZEROS, Axis, Border, sparse
from convlens.core.memory import Memory
from convlens.core.problem import FULL, Array, Layout, Problem, Region, Spec
from convlens.methods.taps import merging, taken, together

if TYPE_CHECKING:
    from convlens.methods import Program

_FEW = 16  # channels
BLOCK = 2**22  # the most bytes of the cells of a block, or of its results; it has five such arrays


def unmasked(problem: Problem) -> Problem:
    """The problem that is computed on cells and on their weights, were it not for blocks."""
    border = ZEROS if problem.kernels is not None else Border("nothing")
    axes = tuple(_without_padding(axis, border) for axis in problem.axes)
    letters = problem.layout.images
    sizes = dict(zip(letters, problem.images.shape, strict=True))
    space = [letter for letter in letters if letter in "dhw"]
    sizes |= zip(space, (axis.size for axis in axes[-problem.space :]), strict=True)
    return replace(
        problem,
        mode="sum" if problem.mode == "avg" else problem.mode,
        images=Spec(tuple(sizes.values()), problem.images.dtype.newbyteorder("=")),
        axes=axes,
        output_dtype=problem.sum_dtype,
        overflow="refuse",
        renormalize=False,
    )


def _without_padding(axis: Axis, border: Border) -> Axis:
    """The axis on which all cells under windows are pixels."""
    size = max(0, (axis.outputs - 1) * axis.stride + axis.reach)
    return Axis(size, axis.window, axis.stride, axis.dilation, 0, 0, border=border)


def mean(problem: Problem) -> Problem | None:
    """An average as a convolution with ones that is divided by the weight that was there.

    Methods that weigh compute it faster. It is None for other problems, and where padding would
    take part that should not.
    """
    if problem.mode != "avg" or problem.sum_dtype.kind != "f":
        return None
    border, axes = problem.columns.border, [_never_partial(axis) for axis in problem.axes]
    if border.mode == "nothing":
        padded = any(max(axis.before, axis.after) > 0 for axis in axes)
        if problem.count_padding or (padded and problem.where == "given"):
            return None
        border = Border(value=np.nan)
    full = FULL[len(axes)]
    return replace(
        problem,
        mode="sum",
        kernels=Spec(tuple(axis.window for axis in problem.axes), problem.sum_dtype),
        layout=problem.layout._replace(kernels=full.kernels.rstrip("cn")),
        axes=tuple(replace(axis, border=border) for axis in axes),
        renormalize=True,
    )


def _never_partial(axis: Axis) -> Axis:
    """The axis with padding under windows that hang over its far edge."""
    return axis.part(range(axis.outputs), range(axis.window)) if axis.partial else axis


def counting(problem: Problem) -> Problem:
    """The problem that counts the pixels under a kernel's numbers, or a window, up to 255.

    Its images are booleans, and so are its kernels, which are true where the caller's are not 0.
    """
    border = problem.columns.border
    if border.mode == "constant":
        border = border._replace(value=True)
    kernels = problem.kernels
    return replace(
        problem,
        mode="sum",
        images=Spec(problem.images.shape, np.dtype(bool)),
        kernels=None if kernels is None else Spec(kernels.shape, np.dtype(bool)),
        axes=tuple(replace(axis, border=border) for axis in problem.axes),
        sum_dtype=np.dtype(np.int64),
        output_dtype=np.dtype(np.uint8),
        overflow="saturate",
        where="all",
        renormalize=False,
    )


def needs_pixels(problem: Problem) -> bool:
    """Whether every window must have a pixel that takes part, as integers have no NaN."""
    return problem.mode in ("max", "min") and problem.output_dtype.kind not in "fc"


def refusal(problem: Problem, left: Array) -> str:
    """Why windows of which nothing is left are refused."""
    place = tuple(map(int, np.argwhere(~left)[0]))
    return (
        f"no pixel under the window of output {place} takes part, and mode={problem.mode!r} has no "
        f"number of {problem.output_dtype} for nothing; convert the images to floats, which give "
        "NaN there"
    )


def compute(
    problem: Problem,
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
    program : Program
        What was prepared for the unmasked problem, or a problem that this one is a part of.
    images, kernels, out : array
        As a program takes them.
    where : array of bool or None
        Which pixels take part, of the images' shape; None for those that are finite.
    """
    images, out = problem.full_images(images), problem.full_output(out)
    where = None if where is None else problem.full_images(where)
    # Weights that are all 0 give 0 / 0, which is NaN. They may also cancel each other.
    cancel = kernels is not None and bool((kernels.real < 0).any() or kernels.dtype.kind == "c")
    memory = Memory()
    for region in _regions(problem):
        block = _Block(problem, region)
        cells = block.cells(images, where, memory)
        if block.ambiguous:
            block = _Block(problem, region, beside=True)
            cells = block.cells(images, where, memory)
        sums = memory.array("sums", block.shape, block.problem.output_dtype)
        program.run(block.problem, cells, kernels, sums)
        block.finish(sums, out[region.slices], cancel=cancel)


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
    """The cells of a region, and what is made of their sums.

    Parameters
    ----------
    problem : Problem
    region : Region
    beside : bool
        Whether weights lie beside the cells even where results could tell that nothing is left.

    Attributes
    ----------
    ambiguous : bool
        Whether results cannot tell that, as they should, for the cells that have been filled.
    """

    def __init__(self, problem: Problem, region: Region, *, beside: bool = False) -> None:
        self._whole, self._images, inner = problem, region.images, unmasked(problem)
        places = zip(problem.axes, region.places, inner.axes, strict=True)
        self._along = [_along(axis, outputs, whole) for axis, outputs, whole in places]
        self._choosing = problem.mode in ("max", "min") and problem.output_dtype.kind in "fc"
        self._weighed = problem.renormalize or problem.mode == "avg" or (self._choosing and beside)
        images = len(region.images) * (2 if self._weighed else 1)
        axes, full = tuple(along.axis for along in self._along), FULL[len(problem.axes)]
        shape = images, *(axis.size for axis in axes), problem.channels
        self.problem = replace(
            inner,
            layout=Layout(full.images, problem.layout.kernels, full.output),
            axes=axes,
            images=Spec(shape, inner.images.dtype),
        )
        self.shape = self.problem.full_output_shape
        self._present = problem.mode != "min"  # the weight of a pixel that takes part
        self._nothing = merging(inner)[1]
        self.ambiguous = False

    def cells(self, images: Array, where: Array | None, memory: Memory) -> Array:
        """The cells and perhaps their weights: images (m, *space, c) of this block's problem."""
        m = slice(self._images.start, self._images.stop)
        shape = self.problem.images.shape
        m_, dtype = len(self._images), self.problem.images.dtype
        cells: Array = memory.array("cells", (shape[0] // m_, m_, *shape[1:]), dtype)
        number, there = self._padding()
        data, weights = cells[0], cells[-1]
        full = all(
            sum(to.stop - to.start for to, _ in along.parts) == along.axis.size
            for along in self._along
        )
        if not full:
            if self._weighed:
                weights[...] = self._present == there
            data[...] = number if there else self._nothing
            self.ambiguous = bool(self._choosing and there and number == self._nothing)
        for parts in product(*(along.parts for along in self._along)):
            to, places = zip(*parts, strict=True)
            index = m, *together(places)
            pixels, at = images[index], (slice(None), *to)
            some = np.isfinite(pixels) if where is None else _each(where[index], memory)
            _put(data[at], pixels, some, self._nothing, memory)
            if self._weighed:
                weights[at] = some if self._present else ~some
            elif self._choosing and where is not None:
                absent = some.size - np.count_nonzero(some)
                self.ambiguous |= bool(np.count_nonzero(data[at] == self._nothing) > absent)
        for axis, along in enumerate(self._along, 1):
            behind = (slice(None),) * axis + (along.behind,)
            data[behind] = self._nothing
            if self._weighed:
                weights[behind] = not self._present
        filled: Array = cells.reshape(shape)
        return filled

    def _padding(self) -> tuple[Any, bool]:
        """What cells of padding hold if they take no pixels, and whether they take part."""
        problem = self._whole
        mode, value = problem.columns.border
        if mode == "nothing":
            return 0, problem.count_padding and problem.mode == "avg"
        return value, problem.where != "finite" or bool(np.isfinite(value))

    def finish(self, sums: Array, target: Array, *, cancel: bool) -> None:
        """Write what is made of the sums and the weights into the target: (m, *outputs, nc)."""
        if not self._weighed:
            if self._choosing:
                np.copyto(sums, np.nan, where=sums == self._nothing)
            self._whole.write(sums, target)
            return
        data, weights = sums.reshape(2, -1, *sums.shape[1:])
        if self._choosing:
            np.copyto(data, np.nan, where=weights != self._present)
        elif not cancel and target.dtype == data.dtype and data.dtype.kind in "fc":
            np.true_divide(data, weights, out=target)
            return
        else:
            zeros = weights == 0
            data = np.true_divide(data, weights, out=data if data.dtype.kind in "fc" else None)
            np.copyto(data, np.nan, where=zeros)
        self._whole.write(data, target)


def _each(some: Array, memory: Memory) -> Array:
    """Booleans for each channel side by side, also where all have the same."""
    channels = some.shape[-1]
    if channels == 1 or some.strides[-1]:
        return some
    each = memory.array("some", some.shape, some.dtype)
    if channels > _FEW:
        each[...] = some
        return each
    for channel in range(channels):  # NumPy is slow at axes as short as this one
        each[..., channel] = some[..., 0]
    return each


def _put(data: Array, pixels: Array, some: Array, nothing: Any, memory: Memory) -> None:
    """Copy the pixels for which `some` is true, and put a number in place of the others.

    NumPy's own ways to choose by booleans use no vectors, and take several times as long as these
    steps on bits.
    """
    size = data.dtype.itemsize
    if pixels.dtype != data.dtype or data.dtype.kind == "c" or size > 8:
        data[...] = pixels
        pixels = data
    if data.dtype.kind == "c" or size > 8:
        np.copyto(data, nothing, where=~some)
        return
    integers = np.dtype(f"i{size}")
    hidden = memory.array("bits", data.shape, integers)
    np.subtract(some.view(np.int8), 1, out=hidden)  # all bits of what takes no part, or none
    bits = data.view(integers)
    np.bitwise_or(pixels.view(integers), hidden, out=bits)
    np.bitwise_and(hidden, ~np.asarray(nothing, data.dtype).view(integers), out=hidden)
    np.bitwise_xor(bits, hidden, out=bits)


def _regions(problem: Problem) -> Iterator[Region]:
    """The regions of the blocks: some whole images, or a part of one."""
    m, *outputs, nc = problem.full_output_shape
    most = BLOCK // max(problem.images.dtype.itemsize, problem.sum_dtype.itemsize)

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
    for images, *places in product(*cuts):
        yield Region(images, tuple(places))
