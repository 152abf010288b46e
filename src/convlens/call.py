"""A call with its arguments normalised: the data that plans and engines work from.

Every array has a full form: images (m, h, w, c), kernels (kh, kw, c // groups, nc), output
(m, oh, ow, nc). A caller may pass arrays that lack some of these axes. `Layout` names the axes that
are present, so that one piece of code serves all forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convlens.geometry import Axis

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
    """The axes that images, kernels and output have, of "mhwc", "yxcn" and "mhwn"."""

    images: str
    kernels: str
    output: str


@dataclass(frozen=True)
class Call:
    """One convolution or pooling: everything that decides its result, but not how to compute it.

    Attributes
    ----------
    operation : {"convolve", "pool"}
    mode : {"max", "min", "avg", "sum"}
        How the numbers under a window are combined; a convolution is a "sum" of products.
    images : Spec
    kernels : Spec or None
        None for pooling.
    layout : Layout
    rows, columns : Axis
        How the window slides down and across.
    groups : int
        The number of groups of channels, each of which has its own kernels.
    channels, output_channels : int
        c and nc.
    padding_word : str
        "valid", "same", "full" or "given".
    pad_mode : str
        What the padding holds, by `numpy.pad`'s names; pooling ignores the padding's values.
    count_padding : bool
        Whether an average counts padded cells.
    sum_dtype, output_dtype : numpy.dtype
        The type in which sums are computed, and the type of the result.
    """

    operation: str
    mode: str
    images: Spec
    kernels: Spec | None
    layout: Layout
    rows: Axis
    columns: Axis
    groups: int
    channels: int
    output_channels: int
    padding_word: str
    pad_mode: str
    count_padding: bool
    sum_dtype: np.dtype[Any]
    output_dtype: np.dtype[Any]

    @property
    def batch(self) -> int:
        """The number of images, m."""
        return self.images.shape[0] if "m" in self.layout.images else 1

    @property
    def full_output_shape(self) -> tuple[int, int, int, int]:
        """(m, oh, ow, nc)."""
        return self.batch, self.rows.outputs, self.columns.outputs, self.output_channels

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        """The output's shape in the caller's form."""
        axes = zip(self.full_output_shape, "mhwn", strict=True)
        return tuple(size for size, axis in axes if axis in self.layout.output)

    def of_zeros(self, kernels: Array | None) -> Array:
        """The result for images without pixels, whose windows cover padding alone: (…, n).

        It is 0, or NaN for a kernel that has NaN or inf, because these times 0 are NaN.
        """
        if kernels is None:
            return np.zeros(1, self.output_dtype)
        parts = kernel_parts(self.full_kernels(kernels))  # (…, nc)
        with np.errstate(all="ignore"):
            return np.asarray(sum((part * 0).sum(axis=0) for part in parts), self.output_dtype)

    def full_images(self, images: Array) -> Array:
        """A view of the images as (m, h, w, c)."""
        return _with_axes(images, self.layout.images, "mhwc")

    def full_kernels(self, kernels: Array) -> Array:
        """A view of the kernels as (kh, kw, c // groups, nc)."""
        full = _with_axes(kernels, self.layout.kernels, "yxcn")
        if full.shape[3] == self.output_channels:
            return full
        return np.broadcast_to(full, (*full.shape[:3], self.output_channels))

    def full_output(self, output: Array) -> Array:
        """A view of the output as (m, oh, ow, nc)."""
        return _with_axes(output, self.layout.output, "mhwn")


def _with_axes(values: Array, axes: str, full: str) -> Array:
    """A view with an axis of length 1 wherever one of the full form is missing."""
    return values if axes == full else values[_place(axes, full)]


@cache
def _place(axes: str, full: str) -> tuple[slice | None, ...]:
    return tuple(slice(None) if axis in axes else np.newaxis for axis in full)


def kernel_parts(kernels: Array, size: int = 2**18) -> Iterator[Array]:
    """Yield kernels (kh, kw, c, nc) as matrices (…, nc) of about `size` numbers or fewer."""
    kh, kw, channels, count = kernels.shape
    if kernels.size <= size:
        yield kernels.reshape(kh * kw * channels, count)
        return
    step = max(1, size // count)
    for i, j in np.ndindex(kh, kw):
        for first in range(0, channels, step):
            yield kernels[i, j, first : first + step]
