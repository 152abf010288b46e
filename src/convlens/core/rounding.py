"""Numbers that are rounded and clipped into an integer type, as pixels are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def saturated(values: Array, dtype: np.dtype[Any]) -> Array:
    """Round to whole numbers, half to even, and clip to what an integer type holds; NaN gives 0.

    The result may be `values` themselves, which are changed, and of another type, which holds the
    same numbers.

    NaN is 0 as in Rust's `as`, Java's casts and WebAssembly's `trunc_sat`, and for unsigned types
    in OpenCV's `saturate_cast`.

    Examples
    --------
    >>> saturated(np.array([-7.0, 0.5, 1.5, np.nan, np.inf]), np.dtype("u1"))
    array([  0.,   0.,   2.,   0., 255.])
    """
    limits = np.iinfo(dtype)
    low, high = int(limits.min), int(limits.max)
    if values.dtype.kind in "iu":
        own = np.iinfo(values.dtype)
        return np.clip(values, max(low, int(own.min)), min(high, int(own.max)), out=values)
    np.rint(values, out=values)
    np.copyto(values, 0, where=np.isnan(values))
    top = values.dtype.type(high)
    if int(top) == high:
        return np.clip(values, low, high, out=values)
    # The largest integer lies between two floats: what is above the lower one becomes the integer.
    above = values >= top
    whole = np.clip(values, low, np.nextafter(top, top.dtype.type(0)), out=values).astype(dtype)
    whole[above] = high
    return whole
