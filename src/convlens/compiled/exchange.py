"""Kernels whose channels are exchanged with their number, copied by a pipeline."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from convlens.compiled.library import Run, frame, load, loaded
from convlens.compiled.placement import indexable, packed
from convlens.core.problem import Array

SIDE = 16  # of the tiles that are copied; there must be as many kernels and channels
LEAST = 2**16  # numbers, below which NumPy is as fast


def side_by_side(kernels: Array) -> Array:
    """The kernels (*taps, n, c), without gaps if a pipeline can copy them so.

    It can if they are an exchanged view of (*taps, c, n), for one to three axes of taps.
    """
    size, (*_, n, c) = kernels.itemsize, kernels.shape
    exchanged = kernels.strides[-2] == size < kernels.strides[-1]
    can = exchanged and size in (4, 8) and min(n, c) >= SIDE and kernels.size >= LEAST
    can = can and kernels.flags.aligned and not any(step % size for step in kernels.strides)
    if not can or isinstance(load(), str) or not indexable(kernels):
        return kernels
    out = np.empty(kernels.shape, kernels.dtype)
    copy(kernels, out)
    return out


def copy(kernels: Array, out: Array) -> None:
    """Copy such kernels into `out`, of the same shape and without gaps."""
    _prepared(kernels.shape, kernels.strides, kernels.itemsize)(kernels, out)


@lru_cache(maxsize=256)
def _prepared(shape: tuple[int, ...], strides: tuple[int, ...], size: int) -> Run:
    """The run that copies kernels of this layout."""
    word, more = np.dtype(f"u{size}"), (1,) * (5 - len(shape))
    out = packed((*more, *shape), word)
    *taps, n, c = shape
    *apart, near_n, near_c = strides
    given = frame((*more, *taps, c, n), (*more, *apart, near_c, near_n), word)
    variant = loaded().variants.choose({}, [("exchanged", f"u{8 * size}")])
    return Run(loaded(), variant, {"kernels": given, "out": out}, ["kernels", "out"])
