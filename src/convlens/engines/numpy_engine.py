"""The meaning of every call, in NumPy: takes every dtype, and is what other engines are held to.

A convolution is a sum over the kernel's taps: at tap (i, j) each output has one pixel under it, or
padding; those pixels, times the tap's numbers, are added to the sums so far. Pooling merges the
pixels by maximum, minimum or addition, down the rows of the window and then across.

Working tap by tap lets NumPy handle whole arrays, and working block by block keeps these arrays
small, whatever the sizes of images and batch. How an image is cut into blocks, and with it every
rounding, depends on its own sizes alone, never on the batch.
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
# Matrix products of at most 64 x 64 x 64: OpenBLAS gives larger ones to several threads, and rounds
# them by how many there are.
TILE = 64


def convolve(call: Call, images: Array, kernels: Array, out: Array) -> None:
    """Write the convolution of images and kernels into `out`."""
    images, out = call.full_images(images), call.full_output(out)  # (m, h, w, c), (m, oh, ow, nc)
    kernels = call.full_kernels(kernels).astype(call.sum_dtype)  # (kh, kw, c // groups, nc)
    if images.size == 0:  # no pixels, so every sum is empty
        out[...] = 0
        return
    sources_down = _sources(call.rows, call.pad_mode)
    sources_across = _sources(call.columns, call.pad_mode)
    for m, y, x in _blocks(call):
        rows = _under_taps(sources_down, call.rows, y)  # (kh, oh)
        columns = _under_taps(sources_across, call.columns, x)  # (kw, ow)
        used = columns[columns >= 0]
        left, right = (used.min(), used.max() + 1) if used.size else (0, 1)
        sums = np.zeros(out[m, y, x].shape, call.sum_dtype)  # (m, oh, ow, nc)
        for i, row in enumerate(rows):
            lines = images[m][:, np.maximum(row, 0), left:right]  # (m, oh, w, c)
            lines = lines.astype(call.sum_dtype, order="C", copy=False)
            lines[:, row < 0] = 0
            for j, column in enumerate(columns):
                pixels = lines.take(column - left, axis=2, mode="clip")  # (m, oh, ow, c)
                pixels[:, :, column < 0] = 0
                _add_products(sums, pixels, kernels[i, j], call.groups)
        out[m, y, x] = sums


def _sources(axis: Axis, pad_mode: str) -> Indices:
    """For each padded cell the pixel it takes its value from, or -1 where it is a zero."""
    pixels = [source(p, axis.size, pad_mode) for p in range(-axis.before, axis.size + axis.after)]
    return np.array([-1 if pixel is None else pixel for pixel in pixels], np.intp)  # (padded,)


def _under_taps(sources: Indices, axis: Axis, outputs: slice) -> Indices:
    """For each tap and each of these outputs the pixel they meet, or -1 for a zero."""
    taps = np.arange(axis.window) * axis.dilation
    starts = np.arange(outputs.start, outputs.stop) * axis.stride
    cells: Indices = np.add.outer(taps, starts)
    return sources[cells]  # (taps, outputs)


def _add_products(sums: Array, pixels: Array, tap: Array, groups: int) -> None:
    """Add to sums (…, nc) the pixels (…, c) times one tap's numbers (c // groups, nc)."""
    channels, kernels = len(tap), tap.shape[1] // groups  # of one group
    if channels == 1:
        by_group = sums.reshape(*sums.shape[:3], groups, kernels)  # a view
        by_group += pixels[..., np.newaxis] * tap.reshape(groups, kernels)
        return
    for group in range(groups):
        c = slice(group * channels, (group + 1) * channels)
        n = slice(group * kernels, (group + 1) * kernels)
        _add_matrix_products(sums[..., n], pixels[..., c], tap[:, n])


def _add_matrix_products(sums: Array, pixels: Array, tap: Array) -> None:
    """Add pixels (m, oh, ow, c) @ tap (c, nc) to sums (m, oh, ow, nc)."""
    for x in range(0, pixels.shape[2], TILE):
        for c in range(0, tap.shape[0], TILE):
            for n in range(0, tap.shape[1], TILE):
                products = (
                    pixels[:, :, x : x + TILE, c : c + TILE] @ tap[c : c + TILE, n : n + TILE]
                )
                sums[:, :, x : x + TILE, n : n + TILE] += products


def pool(call: Call, images: Array, out: Array) -> None:
    """Write the pooled images into `out`."""
    images, out = call.full_images(images), call.full_output(out)  # (m, h, w, c), (m, oh, ow, c)
    down = np.array(call.rows.counts(padding=call.count_padding))  # (oh,)
    across = np.array(call.columns.counts(padding=call.count_padding))  # (ow,)
    for m, y, x in _blocks(call):
        left = max(0, x.start * call.columns.stride - call.columns.before)
        right = (x.stop - 1) * call.columns.stride - call.columns.before + call.columns.reach
        pixels = images[m, :, left : max(left, right)]
        lines = _merge(call, pixels, call.rows, y)  # (m, oh, w, c)
        lines = lines.swapaxes(1, 2)
        merged = _merge(call, lines, call.columns, x, left).swapaxes(1, 2)  # (m, oh, ow, c)
        if call.mode == "avg":
            merged = merged / np.multiply.outer(down[y], across[x])[..., np.newaxis]
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
    return merge, sign * (np.inf if kind == "f" else complex(np.inf, np.inf))


def _blocks(call: Call) -> Iterator[tuple[slice, slice, slice]]:
    """Slices of the output along m, oh and ow: whole images, else whole rows, else parts of one."""
    m, oh, ow, nc = call.full_output_shape
    row = max(1, ow * max(call.channels, nc), call.columns.size * call.channels)  # numbers
    width = max(1, min(ow, BLOCK * ow // row))
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
