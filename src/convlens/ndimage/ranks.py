"""The median, or the number of any rank, under a window."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens.core.problem import Array
from convlens.ndimage import arguments, selection
from convlens.ndimage.arguments import Output
from convlens.ndimage.extrema import under, warn_of_size, windowed


def rank_filter(
    input: npt.ArrayLike,
    rank: int,
    size: int | tuple[int, ...] | None = None,
    footprint: npt.ArrayLike | None = None,
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: float = 0.0,
    origin: int | tuple[int, ...] = 0,
    *,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Take the number of a rank among those under a window, at each place.

    Parameters
    ----------
    input : array_like
        An array of any rank, of real numbers. NaN under a window makes NaN, as in `numpy.median`.
    rank : int
        0 for the smallest number, 1 for the next one; -1 for the largest.
    size : int or tuple of int
        The taps of a rectangular window along each axis.
    footprint : array_like, optional
        The window's shape instead: True at its taps, with an axis for each that is filtered.
    output, mode, cval, origin, axes
        As `convlens.ndimage` says for all filters. There is one mode for all axes, unless the rank
        is the first or the last and the window a rectangle.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError
        If the rank is no integer, or the input is complex.
    RuntimeError
        If the window has no number of this rank, there is neither a size nor a footprint, one does
        not fit the axes, the output does not fit, or a type or mode is none of those taken.
    ValueError
        If an origin lies outside of the window, or an axis outside of the input.

    Warns
    -----
    UserWarning
        If there are both, a size and a footprint: the size is not used.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.rank_filter(np.array([1, 9, 2, 8, 3]), rank=-2, size=3)
    array([1, 2, 8, 3, 3])
    """
    rank = operator.index(rank)
    return _ranked(input, lambda _: rank, size, footprint, output, mode, cval, origin, axes)


def median_filter(
    input: npt.ArrayLike,
    size: int | tuple[int, ...] | None = None,
    footprint: npt.ArrayLike | None = None,
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: float = 0.0,
    origin: int | tuple[int, ...] = 0,
    *,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Take the median of the numbers under a window, at each place.

    Of an even count of numbers it is the larger of the two in the middle.

    Parameters
    ----------
    input, size, footprint, output, mode, cval, origin, axes
        As in `rank_filter`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As `rank_filter` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.median_filter(np.array([1, 1, 99, 1, 1, 5, 5, 5]), size=3)
    array([1, 1, 1, 1, 1, 5, 5, 5])
    """
    return _ranked(
        input, lambda count: count // 2, size, footprint, output, mode, cval, origin, axes
    )


def percentile_filter(
    input: npt.ArrayLike,
    percentile: float,
    size: int | tuple[int, ...] | None = None,
    footprint: npt.ArrayLike | None = None,
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: float = 0.0,
    origin: int | tuple[int, ...] = 0,
    *,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Take the number below which so many percent of those under a window lie, at each place.

    Parameters
    ----------
    input : array_like
        As in `rank_filter`.
    percentile : float
        From 0 to 100; from -100 to 0 it counts from the largest.
    size, footprint, output, mode, cval, origin, axes
        As in `rank_filter`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As `rank_filter` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.percentile_filter(np.array([1, 9, 2, 8, 3]), percentile=20, size=5)
    array([1, 1, 2, 3, 3])
    """

    def rank(count: int) -> int:
        share = percentile + 100.0 if percentile < 0.0 else percentile
        if share < 0 or share > 100:
            raise RuntimeError(
                f"invalid percentile: it must lie between -100 and 100; got {percentile!r}"
            )
        return count - 1 if share == 100.0 else int(float(count) * share / 100.0)

    return _ranked(input, rank, size, footprint, output, mode, cval, origin, axes)


def _ranked(
    input_: npt.ArrayLike,
    rank_of: Any,
    size: Any,
    footprint: Any,
    output: Output,
    mode: Any,
    cval: float,
    origin: Any,
    axes: Any,
) -> Array:
    warn_of_size(size, footprint)
    array = np.asarray(input_)
    half = array.dtype.kind == "f" and array.dtype.itemsize == 2
    if not half:
        arguments.real(array)
    filtered = arguments.axes(axes, array.ndim)
    if footprint is not None:
        footprint = np.asarray(footprint, bool)
    elif size is None:
        raise RuntimeError("no footprint or filter size provided: give size or footprint")
    else:
        sizes = arguments.sequence(size, len(filtered), "size")
        footprint = np.ones([int(taps) for taps in sizes], bool)
    modes = mode if isinstance(mode, str) else arguments.sequence(mode, len(filtered), "mode")
    some_mode = modes if isinstance(modes, str) else modes[0]
    full, steps = under(footprint, origin, some_mode, cval, filtered, array.ndim)
    count = int(np.count_nonzero(footprint))
    if count == footprint.size:  # An axis of a single tap, such as colours have, is not filtered.
        steps = tuple(step for step in steps if step.size > 1)
    rank = rank_of(count)
    rank += count if rank < 0 else 0
    if not 0 <= rank < count:
        raise RuntimeError(f"rank not within filter footprint size: the window has {count} numbers")
    if rank in (0, count - 1) and not half:
        # A footprint's axes are in the order of the input's, whatever that of `axes`.
        origins = arguments.origins(origin, filtered, array.ndim)
        if not isinstance(modes, str):
            modes = [
                modes[filtered.index(axis)] if axis in filtered else some_mode
                for axis in range(array.ndim)
            ]
        merge = np.maximum if rank else np.minimum
        return windowed(array, None, full, None, output, modes, cval, origins, None, merge)
    arguments.one_border(modes, cval)
    out = arguments.output_for(array, output)
    if not (half and out.dtype == array.dtype):  # SciPy takes float16 along a single axis alone.
        arguments.supported(out, "output")
    selection.under_footprint(array, out, steps, full, rank)
    return out
