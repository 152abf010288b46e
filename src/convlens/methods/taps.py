"""Compute every call in NumPy: this engine takes every dtype, and defines what a call means.

A convolution is a sum of terms: one for every tap of the kernel in every channel of a group. For
each output, a term is a number of a pixel (or of a cell of padding) times a number of the kernel.
Pooling merges the pixels by maximum, minimum or addition, along one axis of the window after the
other. Any number of spatial axes is treated alike; the last one lies closest in memory.

Going term by term lets NumPy work on whole arrays, and going block by block keeps these arrays
small, whatever the sizes of images and batch. The terms of an output are added up LONG at a time,
one after another, and these sums in pairs, which keeps rounding errors small. This order depends on
the kernel's sizes alone, so that neither batch nor blocks can change a bit. BLAS is not used,
because its order of additions depends on its build, the processor and the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from itertools import islice, product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convlens.core.axis import Axis, sparse
from convlens.core.cells import arange, counts, sources
from convlens.core.pairwise import Pairwise
from convlens.core.problem import Array, Problem, times
from convlens.methods import holes
from convlens.methods.medians import medians

BLOCK = 2**16  # the most numbers in an array of a block: half a megabyte of float64
LONG = 32  # the number of terms that are added up one after another

Pixels = Callable[[Any], Array]  # returns the pixels, or merged pixels, at these places


class Block(NamedTuple):
    """A part of the output: its images, places on each axis, groups, and kernels of each group."""

    images: slice
    places: tuple[slice, ...]
    groups: slice
    kernels: slice


class Tap(NamedTuple):
    """The terms of one tap of the kernel, for some channels of each group."""

    pixels: Array  # (channels, groups, m, *outputs)
    numbers: Array  # (channels, groups, n)


class Taps:
    """The method "numpy", and its program: there is nothing to settle."""

    holes = holes

    def refuses(self, problem: Problem) -> str | None:  # noqa: ARG002
        """Nothing: it computes every problem."""
        return None

    def is_slow_at(self, problem: Problem) -> str | None:  # noqa: ARG002
        """Nothing: there is no other method behind it."""
        return None

    def weighs(self, problem: Problem) -> bool:  # noqa: ARG002
        """No: `masked` computes numbers and weights as two images."""
        return False

    def prepare(self, problem: Problem, kernels: Array | None) -> Taps:  # noqa: ARG002
        """The method itself is the program of every problem."""
        return self

    @property
    def for_any_numbers(self) -> bool:
        """It looks at no numbers beforehand."""
        return True

    def grain(self, problem: Problem) -> tuple[int, ...]:
        """It may be cut anywhere."""
        return (1,) * len(problem.axes)

    def describe(self) -> str:
        """Say in which order it computes."""
        return "term by term"

    def run(self, problem: Problem, images: Array, kernels: Array | None, out: Array) -> None:
        """Compute the problem, or a part of it, into `out`."""
        if kernels is None:
            pool(problem, images, out)
        else:
            convolve(problem, images, kernels, out)


def convolve(problem: Problem, images: Array, kernels: Array, out: Array) -> None:
    """Write the convolution of images and kernels into `out`."""
    groups = problem.groups
    images = _split(problem.full_images(images), groups)  # (m, *space, groups, channels)
    kernels = _split(problem.full_kernels(kernels), groups)  # (*taps, channels, groups, n)
    out = _split(problem.full_output(out), groups)  # (m, *outputs, groups, n)
    for block in _blocks(problem):
        here = out[block.images, *block.places, block.groups, block.kernels]
        taps = _taps(problem, images, kernels, block)
        few = _one_by_one(problem)
        sums = _sums_of_terms(taps) if few else _sums_of_many(problem, taps, here.shape)
        problem.write(sums.transpose(*range(2, sums.ndim), 0, 1), here)


def _split(array: Array, groups: int) -> Array:
    """A view whose last axis is split into two: the groups, and what belongs to each of them."""
    return array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups)


def _one_by_one(problem: Problem) -> bool:
    """Whether to go through all outputs term by term: faster for few kernels and few channels.

    Complex numbers are excluded: NumPy multiplies most of an array in vectors and the rest one by
    one, which rounds differently, so that bits would depend on the size of the array.
    """
    groups = problem.groups
    few = problem.output_channels <= 2 * groups and problem.channels <= 8 * groups
    return few and _parts(problem) == 1


def _sums_of_terms(taps: Iterator[Tap]) -> Array:
    """The sums of a block: (groups, n, m, *outputs)."""
    products, sums = _products(taps), Pairwise()
    for chain in products:
        for product_ in islice(products, LONG - 1):
            chain += product_  # noqa: PLW2901  # in place
        sums.add(chain)
    return sums.total()


def _products(taps: Iterator[Tap]) -> Iterator[Array]:
    """For each term, the products for all outputs: (groups, n, m, *outputs)."""
    for tap in taps:
        for pixels, numbers in zip(tap.pixels, tap.numbers, strict=True):
            yield pixels[:, np.newaxis] * numbers.reshape(*numbers.shape, *(1,) * pixels[0].ndim)


def _sums_of_many(problem: Problem, taps: Iterator[Tap], shape: tuple[int, ...]) -> Array:
    """The sums of a block: (groups, n, m, *outputs). `shape` is that of its part of the output.

    One call of NumPy adds up the products of LONG terms for all outputs.
    """
    *at, groups, count = shape
    parts = _parts(problem)
    real = np.empty(0, problem.sum_dtype).real.dtype
    terms = min(LONG, parts * _terms(problem))
    # With a single output, NumPy's innermost loop would go along the terms, in another order.
    places = max(2, prod(at))
    pixels = np.zeros((terms, groups, places), real)
    numbers = np.empty((terms, groups, count * parts), real)
    sums, length = Pairwise(), 0

    def flush() -> None:
        # Without BLAS, einsum adds up one term after another for every output: its innermost loop
        # goes along the axis that lies closest in memory, places or kernels, and its outermost
        # along the terms.
        terms = pixels[:length], numbers[:length]
        if places > numbers.shape[2]:
            sums.add(np.einsum("tgp,tgn->gnp", *terms, optimize=False))
        else:
            sums.add(np.einsum("tgp,tgn->gpn", *terms, optimize=False).swapaxes(1, 2))

    for tap in taps:
        step = parts * len(tap.pixels)
        if length + step > LONG:
            flush()
            length = 0
        under = pixels[length : length + step, :, : prod(at)]
        under = under.reshape(-1, parts, *tap.pixels.shape[1:])  # a view
        times = numbers[length : length + step].reshape(-1, parts, groups, count, parts)
        if parts == 1:
            under[:, 0] = tap.pixels
            times[:, 0, ..., 0] = tap.numbers
        else:  # (a + bi)(c + di) = a(c + di) + b(-d + ci)
            under[:, 0], under[:, 1] = tap.pixels.real, tap.pixels.imag
            times[:, 0, ..., 0], times[:, 0, ..., 1] = tap.numbers.real, tap.numbers.imag
            times[:, 1, ..., 0], times[:, 1, ..., 1] = -tap.numbers.imag, tap.numbers.real
        length += step
    flush()
    total = sums.total()[..., : prod(at)].reshape(groups, count, parts, *at)
    if parts == 1:
        return total[:, :, 0]
    result = np.empty((groups, count, *at), problem.sum_dtype)
    result.real, result.imag = total[:, :, 0], total[:, :, 1]
    return result


def _parts(problem: Problem) -> int:
    """The real numbers that make up one number of the sums: two for complex types, otherwise one.

    Complex products are computed in real numbers, so that the order of additions is known.
    """
    return 2 if problem.sum_dtype.kind == "c" else 1


def _terms(problem: Problem) -> int:
    """The number of terms of a sum."""
    return problem.taps * (problem.channels // problem.groups)


def _taps(problem: Problem, images: Array, kernels: Array, block: Block) -> Iterator[Tap]:
    """The terms of a block with their pixels, in the order in which they are added up.

    The pixels of neighbouring taps of a row are copied from the images together if they overlap.
    """
    *outer, columns = problem.axes
    *outer_places, places = block.places
    stride, count = columns.stride, _length(places)
    space = (slice(None),) * len(problem.axes)
    images = images[block.images, *space, block.groups]  # (m, *space, groups, channels)
    depth = min(LONG // _parts(problem), images.shape[-1])
    rows = images.shape[0] * images.shape[-2] * prod(map(_length, outer_places))
    # How many columns of cells may be copied together, and how many taps these serve.
    lines_fit = 4 * BLOCK // (depth * rows)
    together = (lines_fit - (count - 1) * stride - 1) // columns.dilation + 1
    together = max(1, min(together, columns.window))
    if (count - 1) * stride + (together - 1) * columns.dilation > 2 * count * together:
        together = 1
    step = stride if together == 1 else 1
    for taps in product(*(range(axis.window) for axis in outer)):
        cells = [
            _cells(axis, outputs, tap, tap, axis.stride)
            for axis, outputs, tap in zip(outer, outer_places, taps, strict=True)
        ]
        for c in range(0, images.shape[-1], depth):
            channels = slice(c, c + depth)
            for first in range(0, columns.window, together):
                last = min(first + together, columns.window) - 1
                across = _cells(columns, places, first, last, step)
                lines = _lines(problem, images[..., channels], [*cells, across])
                for tap in range(first, last + 1):
                    start = (tap - first) * columns.dilation
                    under = slice(start, start + (count - 1) * (stride // step) + 1, stride // step)
                    index: Any = (*taps, tap, channels, block.groups, block.kernels)
                    numbers = kernels[index]
                    yield Tap(lines[..., under], numbers.astype(problem.sum_dtype, copy=False))


def _length(outputs: slice) -> int:
    return int(outputs.stop - outputs.start)


def _cells(axis: Axis, outputs: slice, first: int, last: int, step: int) -> range:
    """The cells under these taps of these outputs, padding included, one in every `step`."""
    start = outputs.start * axis.stride + first * axis.dilation - axis.before
    stop = (outputs.stop - 1) * axis.stride + last * axis.dilation - axis.before + 1
    return range(start, stop, step)


def _lines(problem: Problem, images: Array, cells: list[range]) -> Array:
    """These cells of images and their padding: (channels, groups, m, *cells)."""
    m, *_, groups, channels = images.shape
    sizes, n = [len(each) for each in cells], images.ndim
    to_front = (n - 1, n - 2, *range(n - 2))
    if _one_by_one(problem) and groups > 8:  # Channels stay side by side, as in the images.
        lines = _padding((m, *sizes, groups, channels), problem).transpose(to_front)
    else:
        lines = _padding((channels, groups, m, *sizes), problem)
    along = [taken(each, axis) for each, axis in zip(cells, problem.axes, strict=True)]
    for parts in product(*along):
        to, pixels = zip(*parts, strict=True)
        lines[..., *to] = images[:, *together(pixels)].transpose(to_front)
    return lines


def _padding(shape: tuple[int, ...], problem: Problem) -> Array:
    """An array that holds what the padding does if it takes no pixels."""
    number = problem.pad_number
    return np.full(shape, number) if number else np.zeros(shape, problem.sum_dtype)


def together(places: tuple[slice | Array, ...]) -> tuple[Any, ...]:
    """An index of the pixels at these places on each axis; arrays alone would be paired up."""
    if sum(isinstance(each, np.ndarray) for each in places) < 2:
        return places
    return np.ix_(*(np.r_[each] if isinstance(each, slice) else each for each in places))


def taken(cells: range, axis: Axis) -> list[tuple[slice, Any]]:
    """Which of these cells take pixels, and which pixels: on the image, before it and behind it."""
    size, mode = axis.size, axis.border.mode
    start, stop = (min(len(cells), max(0, -((cells.start - n) // cells.step))) for n in (0, size))
    parts: list[tuple[slice, Any]] = []
    if start < stop:
        parts.append((slice(start, stop), slice(cells[start], cells[stop - 1] + 1, cells.step)))
    if mode not in ("constant", "nothing"):
        for border in (slice(start), slice(max(start, stop), None)):
            pixels = sources(arange(cells[border]), size, mode)
            if len(pixels) and pixels[0] >= 0:
                parts.append((border, pixels))
    return parts


def pool(problem: Problem, images: Array, out: Array) -> None:
    """Write the pooled images into `out`."""
    images = problem.full_images(images)  # (m, *space, c)
    out = problem.full_output(out)  # (m, *outputs, c)
    space = (slice(None),) * len(problem.axes)
    for block in _blocks(problem):
        m, c = block.images, block.groups
        if problem.mode == "median":
            merged = medians(problem, images[m, *space, c], block.places)
            problem.write(merged, out[m, *block.places, c])
            continue
        pooling = _Pooling(problem, images[m, *space, c], block.places)
        merged = pooling.merged()  # (m, *outputs, c)
        if problem.mode == "avg":
            taps = [
                counts(axis, range(at.start, at.stop), padding=problem.count_padding)
                for axis, at in zip(problem.axes, block.places, strict=True)
            ]
            merged = merged / reduce(np.multiply.outer, taps)[..., np.newaxis]
        problem.write(merged, out[m, *block.places, c])


class _Pooling:
    """The pooling of a block: the pixels are merged along one axis after the other.

    Parameters
    ----------
    problem : Problem
    images : (m, *space, c)
    places : tuple of slice
        The block's outputs on each axis.
    """

    def __init__(self, problem: Problem, images: Array, places: tuple[slice, ...]) -> None:
        self._problem, self._images, self._places = problem, images, places
        self._merge, self._start = merging(problem)

    def merged(self) -> Array:
        """The pixels under all windows of the block, merged: (m, *outputs, c)."""
        return self._along(len(self._places) - 1, ())

    def _along(self, number: int, later: tuple[slice | Array, ...]) -> Array:
        """Merge along this axis and those before it, at these places of the axes after it."""
        if number < 0:
            return self._images[:, *together(later)]
        axis = self._problem.axes[number]
        outer = tuple(map(_length, self._places[: number + 1]))
        inner = tuple(
            len(range(*at.indices(at.stop))) if isinstance(at, slice) else len(at) for at in later
        )
        m, c = self._images.shape[0], self._images.shape[-1]

        def exactly(pixels: slice | Array) -> Array:
            return self._along(number - 1, (pixels, *later))

        under: Pixels = exactly
        if number > 0 and not sparse(axis, outer[-1]):
            stride = axis.stride if outer[-1] > 1 else 0
            numbers = m * prod(outer[:-1]) * prod(inner) * c
            under = _Sliding(exactly, number + 1, stride, BLOCK // max(1, numbers), axis.size)
        return self._merged(number, (m, *outer, *inner, c), under, exactly)

    def _merged(self, number: int, shape: tuple[int, ...], under: Pixels, exactly: Pixels) -> Array:
        """Merge what lies under each tap of an axis into an array of this shape.

        `under` returns the pixels of a slice, and `exactly` those of any other places, too.
        """
        axis, outputs = self._problem.axes[number], self._places[number]
        dtype, window = self._problem.sum_dtype, axis.window
        long = LONG if self._merge is np.add and dtype.kind in "fc" else window
        taps = range(window)
        if axis.border.mode == "nothing":  # Only those taps count that lie on a pixel somewhere.
            taps = range(
                min(
                    window, _steps_to(axis.before - (outputs.stop - 1) * axis.stride, axis.dilation)
                ),
                min(
                    window,
                    _steps_to(axis.before + axis.size - outputs.start * axis.stride, axis.dilation),
                ),
            )
        parts = range(taps.start // long, max(taps.start // long + 1, -(-taps.stop // long)))
        sums = Pairwise()
        sums.skip(parts.start)
        before_axis = (slice(None),) * (number + 1)
        for part in parts:
            merged = np.full(shape, self._start, dtype)
            for tap in range(max(taps.start, part * long), min(taps.stop, (part + 1) * long)):
                before = axis.before - tap * axis.dilation  # from the first output's tap to pixel 0
                y = max(outputs.start, _steps_to(before, axis.stride))
                end = min(outputs.stop, _steps_to(before + axis.size, axis.stride))
                if y < end:
                    pixel = y * axis.stride - before
                    stop = pixel + (end - 1 - y) * axis.stride + 1
                    pixels = under(slice(pixel, stop, axis.stride))
                    here = merged[*before_axis, y - outputs.start : end - outputs.start]
                    self._merge(here, pixels.astype(dtype, copy=False), out=here)
                if axis.border.mode == "nothing":
                    continue
                for start, stop in (
                    (outputs.start, min(y, outputs.stop)),
                    (max(y, end), outputs.stop),
                ):
                    if start < stop:
                        first, last = start * axis.stride - before, stop * axis.stride - before
                        padding = self._padding(number, range(first, last, axis.stride), exactly)
                        here = merged[*before_axis, start - outputs.start : stop - outputs.start]
                        self._merge(here, padding, out=here)
            sums.add(merged)
        return sums.total()

    def _padding(self, number: int, cells: range, exactly: Pixels) -> Array:
        """What cells of padding hold on an axis, merged along the axes before it."""
        axis, dtype = self._problem.axes[number], self._problem.sum_dtype
        pixels = sources(arange(cells), axis.size, axis.border.mode)
        if pixels[0] >= 0:
            return exactly(pixels).astype(dtype, copy=False)
        value = self._problem.pad_number
        if self._merge is np.add:
            return times(value, prod(each.window for each in self._problem.axes[:number]))
        return value


class _Sliding:
    """Pixels that are merged along the axes before this one when they are needed, and then kept.

    Neighbouring taps need nearly the same pixels, so each is merged about once.

    Parameters
    ----------
    merged : callable
        Returns pixels, merged along the axes before this one.
    along : int
        The number of this axis in the arrays.
    stride, count, size : int
        How many pixels a tap may begin before the last one, how many to merge ahead, and how many
        there are.
    """

    def __init__(self, merged: Pixels, along: int, stride: int, count: int, size: int) -> None:
        self._merged, self._stride, self._count, self._size = merged, stride, count, size
        self._before = (slice(None),) * along
        self._there, self._lines = range(0), np.empty(0)

    def __call__(self, pixels: slice) -> Array:
        """These pixels, which may begin at most a stride before those of the last call."""
        if not (self._there.start <= pixels.start and pixels.stop <= self._there.stop):
            start = max(0, pixels.start - self._stride)
            stop = min(self._size, pixels.stop + self._count)
            self._there = range(start, stop)
            self._lines = self._merged(slice(start, stop))
        start = self._there.start
        return self._lines[*self._before, pixels.start - start : pixels.stop - start : pixels.step]


def _steps_to(distance: int, step: int) -> int:
    """The least number of steps from 0 that reach a distance or go beyond it."""
    return max(0, -(-distance // step))


def merging(problem: Problem) -> tuple[np.ufunc, Any]:
    """The function that merges two numbers, and the number that it begins with."""
    if problem.mode in ("avg", "sum"):
        return np.add, 0
    merge, sign = (np.maximum, -1) if problem.mode == "max" else (np.minimum, 1)
    kind = problem.sum_dtype.kind
    if kind == "b":
        return merge, sign > 0
    if kind in "iu":
        limits = np.iinfo(problem.sum_dtype)
        return merge, limits.min if sign < 0 else limits.max
    return merge, sign * np.inf if kind == "f" else complex(sign * np.inf, sign * np.inf)


def _blocks(problem: Problem) -> Iterator[Block]:
    """The blocks of a problem: several images, or a part of one, which is cut along outer axes."""
    m, *outputs, nc = shape = problem.full_output_shape
    if 0 in shape:
        return
    groups, each = problem.groups, nc // problem.groups
    kernels = min(each, 4 * LONG)
    if problem.kernels is None:  # `numbers` counts the cells of a row that one output needs.
        columns = problem.axes[-1]
        median = problem.mode == "median"  # which copies the numbers under every window
        numbers = problem.taps if median else min(columns.stride, 8 * columns.window)
        least = 1
    else:  # `numbers` counts the sums of one place and group, or their terms.
        few, terms = _one_by_one(problem), _terms(problem)
        terms = problem.channels // groups if few else terms
        numbers = max(_parts(problem) * kernels, min(terms, LONG))
        least = min(m * prod(outputs), LONG)
    at_once = min(groups, max(1, BLOCK // (numbers * least)))
    places = max(1, BLOCK // (numbers * at_once))
    sizes = []
    for size in (
        *reversed(outputs),
        m,
    ):  # A block is as wide as it can be, then as high, and so on.
        sizes.append(max(1, min(size, places)))
        places = places // size
    count, *steps = reversed(sizes)
    cuts = [list(_cuts(*each)) for each in ((m, count), *zip(outputs, steps, strict=True))]
    for n, *at in product(*cuts):
        for g, k in product(_cuts(groups, at_once), _cuts(each, kernels)):
            yield Block(n, tuple(at), g, k)


def _cuts(size: int, step: int) -> Iterator[slice]:
    """Divide the places 0 … size - 1 into slices of at most `step`."""
    return (slice(start, min(start + step, size)) for start in range(0, size, step))
