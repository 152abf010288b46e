"""The meaning of every call, in NumPy: takes every dtype, and is what other engines are held to.

A convolution is a sum over the kernel's taps: at tap (i, j) each output has one pixel under it, or
padding; those pixels, times the tap's numbers, are added to the sums so far. Pooling merges the
pixels by maximum, minimum or addition, down the rows of the window and then across.

Working tap by tap lets NumPy handle whole arrays, and working block by block keeps these arrays
small, whatever the sizes of images and batch. How an image is cut into blocks, and with it every
rounding, depends on its own sizes alone, never on the batch. A part of an image has the bits of the
whole where `grain` lets it be cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens.call import Array, Call
from convlens.geometry import Axis, source

Indices = npt.NDArray[np.intp]

BLOCK = 2**16  # numbers in an array of a block: half a megabyte of float64
# Matrix products of at most 64³ multiply-adds: OpenBLAS gives larger ones to several threads, and
# rounds them by how many there are.
TILE = 64


def grain(call: Call) -> int:
    """Where rows of outputs may be cut without a change to any bit: at multiples of this number.

    BLAS rounds a row of a matrix by where it stands in the matrix, and by how many there are.
    """
    summed = call.channels > call.groups and call.sum_dtype.kind in "fc"
    return _matrix_rows(call) if summed else 1


# NaN, inf and overflow are answers, and reach the result; NumPy need not warn of them.
@np.errstate(invalid="ignore", over="ignore")
def convolve(call: Call, images: Array, kernels: Array, out: Array) -> None:
    """Write the convolution of images and kernels into `out`."""
    images, out = call.full_images(images), call.full_output(out)  # (m, h, w, c), (m, oh, ow, nc)
    kernels = call.full_kernels(kernels)  # (kh, kw, c // groups, nc)
    if images.size == 0:  # no pixels, so every sum is empty
        out[...] = 0
        return
    for m, y, x in _blocks(call):
        sums = np.zeros(out[m, y, x].shape, call.sum_dtype)  # (m, oh, ow, nc)
        across = _cells(call.columns, x)
        stride, width = call.columns.stride, (x.stop - x.start) * call.columns.stride
        for i in range(call.rows.window):
            down = _cells(call.rows, y)[i * call.rows.dilation :: call.rows.stride]
            lines = _lines(call, images[m], down[: y.stop - y.start], across)  # (m, oh, w, c)
            for j in range(call.columns.window):
                first = j * call.columns.dilation
                pixels = lines[:, :, first : first + width : stride]  # (m, oh, ow, c)
                _add_products(sums, pixels, kernels[i, j], call.groups, _matrix_rows(call))
        out[m, y, x] = sums


def _cells(axis: Axis, outputs: slice) -> range:
    """All cells from the first under these outputs' windows to the last, padding included."""
    return range(axis.pixels(outputs.start)[0], axis.pixels(outputs.stop - 1)[-1] + 1)


def _lines(call: Call, images: Array, down: range, across: range) -> Array:
    """These rows and columns of the images and their padding: (m, down, across, c)."""
    lines = np.zeros((len(images), len(down), len(across), call.channels), call.sum_dtype)
    rows = _sources(call.rows, down, call.pad_mode)
    left, right = max(across.start, 0), min(across.stop, call.columns.size)
    on_image = slice(left - across.start, max(left, right) - across.start)
    lines[:, :, on_image] = images[:, np.maximum(rows, 0), left : max(left, right)]
    if call.pad_mode != "constant":
        for border in (across[: on_image.start], across[on_image.stop :]):
            columns = _sources(call.columns, border, call.pad_mode)
            to = slice(border.start - across.start, border.stop - across.start)
            lines[:, :, to] = images[:, rows[:, np.newaxis], columns]
    lines[:, rows < 0] = 0
    return lines


def _sources(axis: Axis, cells: range, pad_mode: str) -> Indices:
    """For each cell the pixel it takes its value from, or -1 where it holds a zero."""
    sources = np.arange(cells.start, cells.stop, cells.step)
    for n in np.flatnonzero((sources < 0) | (sources >= axis.size)):
        pixel = source(cells[n], axis.size, pad_mode)
        sources[n] = -1 if pixel is None else pixel
    return sources


def _add_products(sums: Array, pixels: Array, tap: Array, groups: int, rows: int) -> None:
    """Add to sums (m, oh, ow, nc) the pixels (m, oh, ow, c) times one tap (c // groups, nc)."""
    channels, kernels = len(tap), tap.shape[1] // groups  # of one group
    if channels == 1:
        by_group = sums.reshape(*sums.shape[:3], groups, kernels)  # a view
        numbers = tap.reshape(groups, kernels).astype(sums.dtype)
        by_group += _products(pixels[..., np.newaxis], numbers)
        return
    for group in range(groups):
        c = slice(group * channels, (group + 1) * channels)
        n = slice(group * kernels, (group + 1) * kernels)
        _add_matrix_products(sums[..., n], pixels[..., c], tap[:, n], rows)


def _products(pixels: Array, numbers: Array) -> Array:
    """Pixels times numbers, rounded alike wherever in an array they stand.

    NumPy multiplies complex numbers some at a time and the rest one by one, rounding differently.
    """
    if numbers.dtype.kind != "c":
        return pixels * numbers
    products = np.empty(np.broadcast_shapes(pixels.shape, numbers.shape), numbers.dtype)
    products.real = pixels.real * numbers.real - pixels.imag * numbers.imag
    products.imag = pixels.real * numbers.imag + pixels.imag * numbers.real
    return products


def _matrix_rows(call: Call) -> int:
    """How many outputs of a row make a matrix; a single one where their pixels are many numbers."""
    column = max(call.output_channels, call.columns.stride * call.channels)
    return TILE if TILE * column <= 4 * BLOCK else 1


def _add_matrix_products(sums: Array, pixels: Array, tap: Array, rows: int) -> None:
    """Add pixels (m, oh, ow, c) @ tap (c, nc) to sums (m, oh, ow, nc), `rows` pixels at a time."""
    m, oh, ow, _ = pixels.shape
    whole = ow - ow % rows
    for x, height in ((slice(0, whole), rows), (slice(whole, ow), ow - whole)):
        if x.start == x.stop:
            continue
        left, result = (a[:, :, x].reshape(m, oh, -1, height, a.shape[3]) for a in (pixels, sums))
        for c in range(0, tap.shape[0], TILE):
            for n in range(0, tap.shape[1], TILE):
                tile = tap[c : c + TILE, n : n + TILE].astype(sums.dtype, order="C")
                result[..., n : n + TILE] += left[..., c : c + TILE] @ tile  # in place: a view


@np.errstate(invalid="ignore", over="ignore")
def pool(call: Call, images: Array, out: Array) -> None:
    """Write the pooled images into `out`."""
    images, out = call.full_images(images), call.full_output(out)  # (m, h, w, c), (m, oh, ow, c)
    for m, y, x in _blocks(call):
        across = _cells(call.columns, x)
        left, right = max(across.start, 0), min(across.stop, call.columns.size)
        pixels = images[m, :, left : max(left, right)]
        lines = _merge(call, pixels, call.rows, y).swapaxes(1, 2)  # (m, w, oh, c)
        merged = _merge(call, lines, call.columns, x, left).swapaxes(1, 2)  # (m, oh, ow, c)
        if call.mode == "avg":
            counts = (
                axis.counts(range(outputs.start, outputs.stop), padding=call.count_padding)
                for axis, outputs in ((call.rows, y), (call.columns, x))
            )
            merged = merged / np.multiply.outer(*counts)[..., np.newaxis]
        out[m, y, x] = merged


def _merge(call: Call, pixels: Array, axis: Axis, outputs: slice, first_pixel: int = 0) -> Array:
    """Merge what lies under each window of one axis: (m, size, …) becomes (m, outputs, …)."""
    merge, start = _merging(call)
    merged = np.full(
        (len(pixels), outputs.stop - outputs.start, *pixels.shape[2:]), start, call.sum_dtype
    )
    for tap in range(axis.window):
        # Padding takes no part: only outputs with a pixel under this tap.
        on_image = axis.on_image(tap)
        first, stop = max(on_image.start, outputs.start), min(on_image.stop, outputs.stop)
        if first < stop:
            pixel = first * axis.stride + tap * axis.dilation - axis.before - first_pixel
            under_tap = pixels[:, pixel : pixel + (stop - first) * axis.stride : axis.stride]
            part = merged[:, first - outputs.start : stop - outputs.start]
            merge(part, under_tap.astype(call.sum_dtype, copy=False), out=part)
    return merged


def _merging(call: Call) -> tuple[np.ufunc, Any]:
    """How two numbers become one, and the number that changes nothing."""
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


def _blocks(call: Call) -> Iterator[tuple[slice, slice, slice]]:
    """Slices of the output along m, oh and ow: whole images, else whole rows, else parts of one."""
    m, oh, ow, nc = call.full_output_shape
    reached = (ow - 1) * call.columns.stride + call.columns.reach  # cells of a row
    row = max(1, ow * nc, reached * call.channels)  # numbers in a row of the larger array
    width = max(1, BLOCK * ow // row // grain(call)) * grain(call)
    width = max(1, min(ow, width))
    height = max(1, min(oh, BLOCK // row))
    count = max(1, BLOCK // (row * max(1, oh)))
    for n in range(0, m, count):
        for y in range(0, oh, height):
            for x in range(0, ow, width):
                yield (
                    slice(n, min(n + count, m)),
                    slice(y, min(y + height, oh)),
                    slice(x, min(x + width, ow)),
                )
