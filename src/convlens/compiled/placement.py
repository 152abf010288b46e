"""How arrays lie in memory, and how pipelines are told of them."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from convlens.compiled.blocks import Grid, Pixels
from convlens.compiled.choice import U8, DType
from convlens.compiled.library import Buffer, frame
from convlens.core.problem import Array, Problem

FEW = 16  # bytes of pixels whose channels are copied one by one, if pixels have gaps
LARGEST = 2**31 - 1  # the largest index that a pipeline can use


class Placement(NamedTuple):
    """How an array lies in memory: what a pipeline depends on besides its shape and type."""

    strides: tuple[int, ...]
    aligned: bool

    @staticmethod
    def of(array: Array) -> Placement:
        """The placement of this array."""
        return Placement(array.strides, array.flags.aligned)

    def is_one_row_of_slabs(self, slabs: int) -> bool:
        """Whether the slabs of all images, so many of each, lie at equal distances."""
        alone = len(self.strides) == 4 or slabs == 1
        return alone or self.strides[0] == slabs * self.strides[1]


def usable(
    dtype: DType, wanted: DType, placement: Placement, channels: int, *, gaps: bool = False
) -> bool:
    """Whether pipelines can use an array in place.

    Its rows must have no gaps, or with `gaps`, none within a pixel, and no large ones between two.
    """
    read_as = U8 if dtype.kind == "b" else dtype
    if read_as != wanted or not dtype.isnative or not placement.aligned:
        return False
    size, strides = dtype.itemsize, placement.strides
    side_by_side = channels == 1 or strides[-1] == size
    most = 16 if gaps else 1
    near = size * channels <= strides[-2] <= most * size * channels
    return side_by_side and near and not any(s % size for s in strides)


def scattered(problem: Problem, dtype: DType, images: Placement) -> bool:
    """Whether images or rows lie so far apart that 32 bits may not index the numbers of a block."""
    *axes, columns = problem.axes
    apart, nbytes = [], columns.size * problem.channels * dtype.itemsize
    sizes = [problem.batch, *(axis.size for axis in axes)]
    for size, stride in zip(reversed(sizes), images.strides[-3::-1], strict=True):
        apart.append(size > 1 and abs(stride) > 16 * nbytes)
        nbytes *= size
    return any(apart)


def indexable(pixels: Array) -> bool:
    """Whether 32 bits can count these numbers, and hold the distance from the first to any."""
    reach = sum(abs(s) * (n - 1) for s, n in zip(pixels.strides, pixels.shape, strict=True))
    return bool(max(pixels.size, reach // pixels.itemsize) <= LARGEST)


def frame_of(array: Array) -> Buffer:
    """The frame of an array: all that a pipeline is told of it but its address."""
    return frame(array.shape, array.strides, array.dtype)


def packed(shape: tuple[int, ...], dtype: DType, apart: int = 0) -> Buffer:
    """The frame of an array without gaps, or with a last axis of so many numbers, cut to shape."""
    whole = (*shape[:-1], apart or shape[-1])
    strides = tuple(prod(whole[axis + 1 :]) * dtype.itemsize for axis in range(len(shape)))
    return frame(shape, strides, dtype)


def copied_pixels(images: Array, grids: list[Grid], dtype: DType) -> tuple[Array, list[Grid]]:
    """Copy the pixels that these grids use; returns the copy, and the grids for it."""
    taken = []
    for axis, each in enumerate(grids, 1):
        if len(each.used) <= 4 * len(each):
            images = images[(slice(None),) * axis + (slice_of(each.used),)]
            taken.append(each)
        else:  # The grid uses few pixels, which lie far apart.
            pixels = np.unique(each.pixels)
            pixels = pixels[pixels >= 0]
            images = images[(slice(None),) * axis + (pixels,)]
            taken.append(each.among(pixels))
    return without_gaps(images, dtype), taken


def without_gaps(images: Array, dtype: DType) -> Array:
    """The images without gaps, in this type; if they are not so already, a copy.

    NumPy copies along the last axis, number by number where that is short, as with the colours of
    pixels that have an opacity, too. Then it is up to six times as fast to copy each channel.
    """
    *_, apart, near = images.strides
    channels = images.shape[-1]
    if channels * dtype.itemsize > FEW or apart == channels * near or images.dtype != dtype:
        return np.ascontiguousarray(images, dtype)
    copy = np.empty(images.shape, dtype)
    for c in range(channels):
        copy[..., c] = images[..., c]
    return copy


def slice_of(used: range) -> slice:
    """The same numbers as an index."""
    return slice(used.start, used.stop)


def relative(pixels: Pixels, start: int) -> Pixels:
    """These pixels, counted from `start`; -1 stays."""
    return np.where(pixels < 0, -1, pixels - start)


def padded(grid: Grid, more: int) -> Array:
    """The pixels of a grid's cells, and of more cells that the last tiles may ask for: none."""
    pixels = np.full(len(grid) + more, -1, np.int32)
    pixels[: len(grid)] = relative(grid.pixels, grid.used.start)
    return pixels
