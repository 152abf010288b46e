"""A problem: one convolution or pooling, with its arguments normalised.

Every array has a full form: images (m, *space, c), kernels (*taps, c // groups, nc) and output
(m, *space, nc), with two spatial axes, or three for volumes. A caller may pass arrays that lack
some of these axes; a signal, for example, is an image of one row. `Layout` names the axes that are
present, so that one piece of code serves all forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convlens.core.axis import Axis
from convlens.core.rounding import saturated

Array = npt.NDArray[Any]


class Spec(NamedTuple):
    """The shape and the type of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the array's numbers."""
        return prod(self.shape) * self.dtype.itemsize


class Layout(NamedTuple):
    """The axes that images, kernels and output have, of "mdhwc", "zyxcn" and "mdhwn"."""

    images: str
    kernels: str
    output: str


class Region(NamedTuple):
    """A part of a problem's output: some images, and some places along each axis.

    Attributes
    ----------
    images : range
    places : tuple of range
        Outputs along each axis, the outermost axis first.
    """

    images: range
    places: tuple[range, ...]

    @property
    def slices(self) -> tuple[slice, ...]:
        """The region as an index of the full form of the output, less its channels."""
        return tuple(slice(each.start, each.stop) for each in (self.images, *self.places))


@dataclass(frozen=True)
class Problem:
    """One convolution or pooling: everything that decides its result, but not how to compute it.

    Attributes
    ----------
    operation : {"convolve", "pool"}
    mode : {"max", "min", "avg", "sum", "median"}
        How the numbers under a window are combined; a convolution is a "sum" of products. A
        "median" is of an odd number of cells that all count.
    images : Spec
    kernels : Spec or None
        None for pooling.
    layout : Layout
    axes : tuple of Axis
        How the window slides along each spatial axis, the outermost first: two axes, or three. Each
        has the border of its padding.
    groups : int
        The number of groups of channels, each of which has its own kernels.
    channels, output_channels : int
        c and nc.
    padding_word : str
        "valid", "same", "full" or "given".
    count_padding : bool
        Whether an average counts padded cells.
    sum_dtype, output_dtype : numpy.dtype
        The type in which sums are computed, and the type of the result.
    overflow : {"refuse", "saturate"}
        Whether sums are known to fit into the type of the result, or else are rounded and clipped.
    where : {"all", "finite", "given"}
        Which pixels take part: those that are finite, or those that an array of the call says.
    renormalize : bool
        Whether a convolution is divided by the weight that was there.
    """

    operation: str
    mode: str
    images: Spec
    kernels: Spec | None
    layout: Layout
    axes: tuple[Axis, ...]
    groups: int
    channels: int
    output_channels: int
    padding_word: str
    count_padding: bool
    sum_dtype: np.dtype[Any]
    output_dtype: np.dtype[Any]
    overflow: str = "refuse"
    where: str = "all"
    renormalize: bool = False

    def __hash__(self) -> int:
        """The hash of all fields, which several caches ask for in each call."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, each.name) for each in fields(self)))

    @property
    def rows(self) -> Axis:
        """The last axis but one: how the window slides down."""
        return self.axes[-2]

    @property
    def columns(self) -> Axis:
        """The last axis: how the window slides across."""
        return self.axes[-1]

    @property
    def pad_mode(self) -> str:
        """What the padding holds along the last axis."""
        return self.axes[-1].border.mode

    @property
    def pad_number(self) -> Array:
        """What constant padding holds, converted as pixels are to the type of the sums: ()."""
        value, pixels = self.axes[-1].border.value, self.images.dtype.newbyteorder("=")
        return np.asarray(value, pixels).astype(self.sum_dtype)

    @property
    def space(self) -> int:
        """The number of spatial axes of the caller's arrays: 1, 2 or 3."""
        return sum(axis in "dhw" for axis in self.layout.images)

    @property
    def spatial(self) -> tuple[Axis, ...]:
        """The axes that the caller's arrays have."""
        return self.axes[-self.space :]

    @property
    def batch(self) -> int:
        """The number of images, m."""
        return self.images.shape[0] if "m" in self.layout.images else 1

    @property
    def taps(self) -> int:
        """The number of taps of the window, each of which takes all channels of a group."""
        return prod(axis.window for axis in self.axes)

    @property
    def full_output_shape(self) -> tuple[int, ...]:
        """(m, *outputs, nc)."""
        return self.batch, *(axis.outputs for axis in self.axes), self.output_channels

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        """The output's shape in the caller's form."""
        axes = zip(self.full_output_shape, self._full.output, strict=True)
        return tuple(size for size, axis in axes if axis in self.layout.output)

    @cached_property
    def _full(self) -> Layout:
        """The layout of arrays that have all axes."""
        return FULL[len(self.axes)]

    def part(self, region: Region, taps: tuple[range, ...] | None = None) -> Problem:
        """The problem that has these outputs alone, over all pixels of these images.

        Its padding may be negative, which means that windows leave out so many pixels.

        Parameters
        ----------
        region : Region
        taps : tuple of range, optional
            Taps along each axis, if its window is to have these alone.
        """
        taps = taps or tuple(range(axis.window) for axis in self.axes)
        axes = zip(self.axes, region.places, taps, strict=True)
        shape = self.images.shape
        shape = (len(region.images), *shape[1:]) if "m" in self.layout.images else shape
        return replace(
            self,
            axes=tuple(axis.part(places, some) for axis, places, some in axes),
            images=Spec(shape, self.images.dtype),
        )

    def of_zeros(self, kernels: Array | None) -> Array:
        """The result for images without pixels, whose windows cover padding alone: (…, n).

        It is what the padding makes; NaN or inf in a kernel make NaN with zeros.
        """
        number = self.pad_number
        absent = self.where == "finite" and not np.isfinite(number)
        number = np.zeros_like(number) if absent else number
        with np.errstate(all="ignore"):
            if self.renormalize or (absent and kernels is None and self.mode != "sum"):
                left = not absent and self.channels > 0  # a mean of equal numbers
                sums = np.full(1, number if left else np.nan)
            elif kernels is None:
                sums = np.full(1, times(number, self.taps) if self.mode == "sum" else number)
            else:
                parts = kernel_parts(self.full_kernels(kernels))  # (…, nc)
                products = ((part.astype(self.sum_dtype) * number).sum(axis=0) for part in parts)
                sums = np.asarray(sum(products))
            result = np.empty(sums.shape, self.output_dtype)
            self.write(sums, result)
        return result

    def write(self, values: Array, target: Array) -> None:
        """Write results into a part of the output, in its type; `values` may be changed."""
        integers = target.dtype.kind in "iu" and values.dtype != target.dtype
        if self.overflow == "saturate" and integers:
            values = saturated(values, target.dtype)
        target[...] = values

    def full_images(self, images: Array) -> Array:
        """A view of the images as (m, *space, c)."""
        return _with_axes(images, self.layout.images, self._full.images)

    def full_kernels(self, kernels: Array) -> Array:
        """A view of the kernels as (*taps, c // groups, nc)."""
        full = _with_axes(kernels, self.layout.kernels, self._full.kernels)
        if full.shape[-1] == self.output_channels:
            return full
        return np.broadcast_to(full, (*full.shape[:-1], self.output_channels))

    def full_output(self, output: Array) -> Array:
        """A view of the output as (m, *space, nc)."""
        return _with_axes(output, self.layout.output, self._full.output)


def times(number: Array, count: int) -> Array:
    """The sum of so many equal numbers, in their type; sums of integers wrap."""
    count = count % 2**64 if number.dtype.kind in "iu" else count
    with np.errstate(all="ignore"):
        product: Array = number * np.asarray(count).astype(number.dtype)
        return product


FULL = {  # by the number of spatial axes
    2: Layout("mhwc", "yxcn", "mhwn"),
    3: Layout("mdhwc", "zyxcn", "mdhwn"),
}


def _with_axes(values: Array, axes: str, full: str) -> Array:
    """A view with an axis of length 1 wherever one of the full form is missing."""
    return values if axes == full else values[_place(axes, full)]


@cache
def _place(axes: str, full: str) -> tuple[slice | None, ...]:
    return tuple(slice(None) if axis in axes else np.newaxis for axis in full)


def kernel_parts(kernels: Array, size: int = 2**18) -> Iterator[Array]:
    """Yield kernels (*taps, c, nc) as matrices (…, nc) of about `size` numbers or fewer."""
    *taps, channels, count = kernels.shape
    if kernels.size <= size:
        yield kernels.reshape(prod(taps) * channels, count)
        return
    step = max(1, size // count)
    for tap in np.ndindex(*taps):
        for first in range(0, channels, step):
            yield kernels[tap][first : first + step]
