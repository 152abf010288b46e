"""Compute every call in NumPy: this engine takes every dtype, and defines what a call means.

A convolution is a sum of terms: one for every tap of the kernel in every channel of a group. For
each output, a term is a number of a pixel (or of a cell of padding) times a number of the kernel.
Pooling merges the pixels by maximum, minimum or addition, down the rows of the window and then
across.

Going term by term lets NumPy work on whole arrays, and going block by block keeps these arrays
small, whatever the sizes of images and batch. The terms of an output are added up LONG at a time,
one after another, and these sums in pairs, which keeps rounding errors small. This order depends on
the kernel's sizes alone, so that neither batch nor blocks can change a bit. BLAS is not used,
because its order of additions depends on its build, the processor and the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, product
from typing import Any, NamedTuple

import numpy as np

from convlens.call import Array, Call
from convlens.cells import arange, counts, sources
from convlens.engines.pairwise import Pairwise
from convlens.geometry import Axis, sparse

BLOCK = 2**16  # the most numbers in an array of a block: half a megabyte of float64
LONG = 32  # the number of terms that are added up one after another

Columns = Callable[[slice], Array]  # returns the pixels, or merged pixels, at these places


class Block(NamedTuple):
    """A part of the output: its images, rows, columns, groups, and kernels of each group."""

    images: slice
    rows: slice
    columns: slice
    groups: slice
    kernels: slice


class Tap(NamedTuple):
    """The terms of one tap of the kernel, for some channels of each group."""

    pixels: Array  # (channels, groups, m, oh, ow)
    numbers: Array  # (channels, groups, n)


def convolve(call: Call, images: Array, kernels: Array, out: Array) -> None:
    """Write the convolution of images and kernels into `out`."""
    images, out = call.full_images(images), call.full_output(out)  # (m, h, w, c), (m, oh, ow, nc)
    kernels = call.full_kernels(kernels)  # (kh, kw, c // groups, nc)
    groups = call.groups
    images = _split(images, groups)  # (m, h, w, groups, channels)
    kernels, out = _split(kernels, groups), _split(out, groups)  # (kh, kw, channels, groups, n)
    for block in _blocks(call):
        here = out[block]  # (m, oh, ow, groups, n)
        taps = _taps(call, images, kernels, block)
        sums = _sums_of_terms(taps) if _one_by_one(call) else _sums_of_many(call, taps, here.shape)
        here[...] = sums.transpose(2, 3, 4, 0, 1)


def _split(array: Array, groups: int) -> Array:
    """A view whose last axis is split into two: the groups, and what belongs to each of them."""
    return array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups)


def _one_by_one(call: Call) -> bool:
    """Whether to go through all outputs term by term: faster for few kernels and few channels.

    Complex numbers are excluded: NumPy multiplies most of an array in vectors and the rest one by
    one, which rounds differently, so that bits would depend on the size of the array.
    """
    few = call.output_channels <= 2 * call.groups and call.channels <= 8 * call.groups
    return few and _parts(call) == 1


def _sums_of_terms(taps: Iterator[Tap]) -> Array:
    """The sums of a block: (groups, n, m, oh, ow)."""
    products, sums = _products(taps), Pairwise()
    for chain in products:
        for product_ in islice(products, LONG - 1):
            chain += product_  # noqa: PLW2901  # in place
        sums.add(chain)
    return sums.total()


def _products(taps: Iterator[Tap]) -> Iterator[Array]:
    """For each term, the products for all outputs: (groups, n, m, oh, ow)."""
    for tap in taps:
        for pixels, numbers in zip(tap.pixels, tap.numbers, strict=True):
            yield pixels[:, np.newaxis] * numbers[..., np.newaxis, np.newaxis, np.newaxis]


def _sums_of_many(call: Call, taps: Iterator[Tap], shape: tuple[int, ...]) -> Array:
    """The sums of a block: (groups, n, m, oh, ow). `shape` is that of its part of the output.

    One call of NumPy adds up the products of LONG terms for all outputs.
    """
    m, oh, ow, groups, count = shape
    parts = _parts(call)
    real = np.empty(0, call.sum_dtype).real.dtype
    terms = min(LONG, parts * _terms(call))
    # With a single output, NumPy's innermost loop would go along the terms, in another order.
    places = max(2, m * oh * ow)
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
        under = pixels[length : length + step, :, : m * oh * ow]
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
    total = sums.total()[..., : m * oh * ow].reshape(groups, count, parts, m, oh, ow)
    if parts == 1:
        return total[:, :, 0]
    result = np.empty((groups, count, m, oh, ow), call.sum_dtype)
    result.real, result.imag = total[:, :, 0], total[:, :, 1]
    return result


def _parts(call: Call) -> int:
    """The real numbers that make up one number of the sums: two for complex types, otherwise one.

    Complex products are computed in real numbers, so that the order of additions is known.
    """
    return 2 if call.sum_dtype.kind == "c" else 1


def _terms(call: Call) -> int:
    """The number of terms of a sum."""
    return call.rows.window * call.columns.window * (call.channels // call.groups)


def _taps(call: Call, images: Array, kernels: Array, block: Block) -> Iterator[Tap]:
    """The terms of a block with their pixels, in the order in which they are added up.

    The pixels of neighbouring taps of a row are copied from the images together if they overlap.
    """
    rows, columns, stride = call.rows, call.columns, call.columns.stride
    images = images[block.images, :, :, block.groups]  # (m, h, w, groups, channels)
    depth = min(LONG // _parts(call), images.shape[4])
    height, count = block.rows.stop - block.rows.start, block.columns.stop - block.columns.start
    # How many columns of cells may be copied together, and how many taps these serve.
    lines_fit = 4 * BLOCK // (depth * images.shape[3] * images.shape[0] * height)
    together = (lines_fit - (count - 1) * stride - 1) // columns.dilation + 1
    together = max(1, min(together, columns.window))
    if (count - 1) * stride + (together - 1) * columns.dilation > 2 * count * together:
        together = 1
    step = stride if together == 1 else 1
    for i in range(rows.window):
        down = _cells(rows, block.rows, i, i, rows.stride)
        for c in range(0, images.shape[4], depth):
            channels = slice(c, c + depth)
            for first in range(0, columns.window, together):
                last = min(first + together, columns.window) - 1
                across = _cells(columns, block.columns, first, last, step)
                lines = _lines(call, images[..., channels], down, across)
                for j in range(first, last + 1):
                    start = (j - first) * columns.dilation
                    places = slice(
                        start, start + (count - 1) * (stride // step) + 1, stride // step
                    )
                    numbers = kernels[i, j, channels, block.groups, block.kernels]
                    yield Tap(lines[..., places], numbers.astype(call.sum_dtype, copy=False))


def _cells(axis: Axis, outputs: slice, first: int, last: int, step: int) -> range:
    """The cells under these taps of these outputs, padding included, one in every `step`."""
    start = outputs.start * axis.stride + first * axis.dilation - axis.before
    stop = (outputs.stop - 1) * axis.stride + last * axis.dilation - axis.before + 1
    return range(start, stop, step)


def _lines(call: Call, images: Array, down: range, across: range) -> Array:
    """These rows and columns of images and their padding: (channels, groups, m, down, across)."""
    m, h, w, groups, channels = images.shape
    if _one_by_one(call) and groups > 8:  # Channels stay side by side, as in the images.
        shape = m, len(down), len(across), groups, channels
        lines = np.zeros(shape, call.sum_dtype).transpose(4, 3, 0, 1, 2)
    else:
        lines = np.zeros((channels, groups, m, len(down), len(across)), call.sum_dtype)
    for to_rows, rows in _taken(down, h, call.pad_mode):
        for to_columns, columns in _taken(across, w, call.pad_mode):
            one_by_one = isinstance(rows, np.ndarray) and isinstance(columns, np.ndarray)
            pixels = images[:, rows[:, np.newaxis] if one_by_one else rows, columns]
            lines[..., to_rows, to_columns] = pixels.transpose(4, 3, 0, 1, 2)
    return lines


def _taken(cells: range, size: int, pad_mode: str) -> list[tuple[slice, Any]]:
    """Which of these cells take pixels, and which pixels: on the image, before it and behind it."""
    start, stop = (min(len(cells), max(0, -((cells.start - n) // cells.step))) for n in (0, size))
    taken: list[tuple[slice, Any]] = []
    if start < stop:
        taken.append((slice(start, stop), slice(cells[start], cells[stop - 1] + 1, cells.step)))
    if pad_mode != "constant":
        for border in (slice(start), slice(max(start, stop), None)):
            pixels = sources(arange(cells[border]), size, pad_mode)
            if len(pixels) and pixels[0] >= 0:
                taken.append((border, pixels))
    return taken


def pool(call: Call, images: Array, out: Array) -> None:
    """Write the pooled images into `out`."""
    images, out = call.full_images(images), call.full_output(out)  # (m, h, w, c), (m, oh, ow, c)
    for m, y, x, c, _ in _blocks(call):
        merged = _pooled(call, images[m, :, :, c], y, x)  # (m, oh, ow, c)
        if call.mode == "avg":
            taps = (
                counts(axis, range(outputs.start, outputs.stop), padding=call.count_padding)
                for axis, outputs in ((call.rows, y), (call.columns, x))
            )
            merged = merged / np.multiply.outer(*taps)[..., np.newaxis]
        out[m, y, x, c] = merged


def _pooled(call: Call, images: Array, y: slice, x: slice) -> Array:
    """The pixels under these windows, merged down and then across: (m, oh, ow, c)."""
    m, _, w, c = images.shape
    height, count, columns = y.stop - y.start, x.stop - x.start, call.columns

    def merged_down(across: slice) -> Array:
        """These columns of pixels, merged down: (m, oh, across, c)."""
        pixels = images[:, :, across]
        shape = m, height, pixels.shape[2], c
        return _merged(call, call.rows, 1, y, shape, lambda rows: pixels[:, rows])

    if sparse(columns, count):
        under = merged_down
    else:
        stride = columns.stride if count > 1 else 0
        under = _Sliding(merged_down, stride, BLOCK // (m * height * c), w)
    return _merged(call, columns, 2, x, (m, height, count, c), under)


class _Sliding:
    """Columns of pixels that are merged down when they are needed, and then kept for a while.

    Neighbouring taps need nearly the same columns, so each is merged about once.
    """

    def __init__(self, merged_down: Columns, stride: int, count: int, width: int) -> None:
        self._merged_down, self._stride, self._count = merged_down, stride, count
        self._width = width
        self._there, self._lines = range(0), np.empty(0)

    def __call__(self, across: slice) -> Array:
        """These columns, which may begin at most a stride before those of the last call."""
        if not (self._there.start <= across.start and across.stop <= self._there.stop):
            start = max(0, across.start - self._stride)
            stop = min(self._width, across.stop + self._count)
            self._there = range(start, stop)
            self._lines = self._merged_down(slice(start, stop))
        start = self._there.start
        return self._lines[:, :, across.start - start : across.stop - start : across.step]


def _merged(
    call: Call, axis: Axis, along: int, outputs: slice, shape: tuple[int, ...], under: Columns
) -> Array:
    """Merge the pixels under each tap, which `under` returns, into an array of this shape."""
    merge, start = _merging(call)
    long = LONG if merge is np.add and call.sum_dtype.kind in "fc" else axis.window
    first, last = outputs.start * axis.stride, (outputs.stop - 1) * axis.stride
    # Padding takes no part, so only those taps count that lie on a pixel for some output.
    taps = range(
        min(axis.window, _steps_to(axis.before - last, axis.dilation)),
        min(axis.window, _steps_to(axis.before + axis.size - first, axis.dilation)),
    )
    parts = range(taps.start // long, max(taps.start // long + 1, -(-taps.stop // long)))
    sums = Pairwise()
    sums.skip(parts.start)
    for part in parts:
        merged = np.full(shape, start, call.sum_dtype)
        for tap in range(max(taps.start, part * long), min(taps.stop, (part + 1) * long)):
            before = axis.before - tap * axis.dilation  # from the first output's tap to pixel 0
            y = max(outputs.start, _steps_to(before, axis.stride))
            end = min(outputs.stop, _steps_to(before + axis.size, axis.stride))
            if y < end:
                pixel = y * axis.stride - before
                pixels = under(slice(pixel, pixel + (end - 1 - y) * axis.stride + 1, axis.stride))
                y, end = y - outputs.start, end - outputs.start
                here = merged[:, y:end] if along == 1 else merged[:, :, y:end]
                merge(here, pixels.astype(call.sum_dtype, copy=False), out=here)
        sums.add(merged)
    return sums.total()


def _steps_to(distance: int, step: int) -> int:
    """The least number of steps from 0 that reach a distance or go beyond it."""
    return max(0, -(-distance // step))


def _merging(call: Call) -> tuple[np.ufunc, Any]:
    """The function that merges two numbers, and the number that it begins with."""
    if call.mode in ("avg", "sum"):
        return np.add, 0
    merge, sign = (np.maximum, -1) if call.mode == "max" else (np.minimum, 1)
    kind = call.sum_dtype.kind
    if kind == "b":
        return merge, sign > 0
    if kind in "iu":
        limits = np.iinfo(call.sum_dtype)
        return merge, limits.min if sign < 0 else limits.max
    return merge, sign * np.inf if kind == "f" else complex(sign * np.inf, sign * np.inf)


def _blocks(call: Call) -> Iterator[Block]:
    """The blocks of a call: several images, or several rows of one image, or a part of a row."""
    m, oh, ow, nc = shape = call.full_output_shape
    if 0 in shape:
        return
    groups, each = call.groups, nc // call.groups
    kernels = min(each, 4 * LONG)
    if call.kernels is None:  # `numbers` counts the cells of a row that one output needs.
        numbers, least = min(call.columns.stride, 8 * call.columns.window), 1
    else:  # `numbers` counts the sums of one place and group, or their terms.
        terms = call.channels // groups if _one_by_one(call) else _terms(call)
        numbers, least = max(_parts(call) * kernels, min(terms, LONG)), min(m * oh * ow, LONG)
    at_once = min(groups, max(1, BLOCK // (numbers * least)))
    places = max(1, BLOCK // (numbers * at_once))
    width, height = min(ow, places), max(1, min(oh, places // ow))
    count = max(1, min(m, places // (ow * oh)))
    for n, y, x in product(range(0, m, count), range(0, oh, height), range(0, ow, width)):
        for g, k in product(range(0, groups, at_once), range(0, each, kernels)):
            yield Block(
                slice(n, min(n + count, m)),
                slice(y, min(y + height, oh)),
                slice(x, min(x + width, ow)),
                slice(g, min(g + at_once, groups)),
                slice(k, min(k + kernels, each)),
            )
