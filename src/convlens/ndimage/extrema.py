"""The filters of the largest and the smallest number under a window."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens.core.problem import Array
from convlens.ndimage import arguments, extremes
from convlens.ndimage.arguments import Output, Step


def maximum_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Array:
    """Take the largest number of a window along one axis, at each place.

    Parameters
    ----------
    input : array_like
        An array of any rank, of real numbers. NaN under a window makes NaN.
    size : int
        The number of taps of the window.
    axis : int
    output, mode, cval, origin
        As `convlens.ndimage` says for all filters.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError
        If the input is complex.
    RuntimeError
        If the size is below 1, the output does not fit, or a type or mode is none of those taken.
    ValueError
        If the origin lies outside of the window, or the axis outside of the input.

    Examples
    --------
    >>> from convlens import ndimage
    >>> ndimage.maximum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([8, 8, 8, 4, 9, 9, 9, 9])
    """
    return _along(input, size, axis, output, mode, cval, origin, np.maximum)


def minimum_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Array:
    """Take the smallest number of a window along one axis, at each place.

    Parameters
    ----------
    input, size, axis, output, mode, cval, origin
        As in `maximum_filter1d`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As `maximum_filter1d` does.

    Examples
    --------
    >>> from convlens import ndimage
    >>> ndimage.minimum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([2, 0, 0, 0, 1, 1, 0, 0])
    """
    return _along(input, size, axis, output, mode, cval, origin, np.minimum)


def _along(
    input_: npt.ArrayLike,
    size: int,
    axis: int,
    output: Output,
    mode: str,
    cval: float,
    origin: int,
    merge: np.ufunc,
) -> Array:
    array = arguments.real(np.asarray(input_))
    if size < 1:
        raise RuntimeError(f"incorrect filter size: it must be at least 1; got {size}")
    step = arguments.line(axis, operator.index(size), origin, mode, cval, array.ndim)
    out = arguments.output_for(array, output)
    arguments.supported(out, "output")
    extremes.along_axes(array, out, [step], merge)
    return out


def maximum_filter(
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
    """Take the largest number under a window of any shape, at each place.

    Parameters
    ----------
    input : array_like
        An array of any rank, of real numbers. NaN under a window makes NaN.
    size : int or tuple of int
        The taps of a rectangular window along each axis.
    footprint : array_like, optional
        The window's shape instead: True at its taps, with an axis for each that is filtered.
    output, mode, cval, origin, axes
        As `convlens.ndimage` says for all filters; there may be a mode for each axis if the window
        is rectangular.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError
        If the input is complex.
    RuntimeError
        If there is neither a size nor a footprint, one does not fit the axes, the output does not
        fit, or a type or mode is none of those taken.
    ValueError
        If the footprint has no tap, an origin lies outside of it, or an axis outside of the input.

    Warns
    -----
    UserWarning
        If there are both, a size and a footprint: the size is not used.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.maximum_filter(np.arange(9).reshape(3, 3), footprint=[[0, 1], [1, 0]])
    array([[0, 1, 2],
           [3, 3, 4],
           [6, 6, 7]])
    """
    return windowed(input, size, footprint, None, output, mode, cval, origin, axes, np.maximum)


def minimum_filter(
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
    """Take the smallest number under a window of any shape, at each place.

    Parameters
    ----------
    input, size, footprint, output, mode, cval, origin, axes
        As in `maximum_filter`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As `maximum_filter` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.minimum_filter(np.arange(9).reshape(3, 3), 3)
    array([[0, 0, 1],
           [0, 0, 1],
           [3, 3, 4]])
    """
    return windowed(input, size, footprint, None, output, mode, cval, origin, axes, np.minimum)


def windowed(
    input_: npt.ArrayLike,
    size: Any,
    footprint: Any,
    structure: Any,
    output: Output,
    mode: Any,
    cval: float,
    origin: Any,
    axes: Any,
    merge: np.ufunc,
) -> Array:
    """The largest or smallest number under a window, with a structure added to or subtracted."""
    warn_of_size(size, footprint)
    if footprint is not None:
        footprint = np.asarray(footprint, bool)
    if structure is not None:
        structure = np.asarray(structure, np.float64)
        footprint = np.ones(structure.shape, bool) if footprint is None else footprint
    elif footprint is not None:
        if not footprint.any():
            raise ValueError("All-zero footprint is not supported.")
        if footprint.all():
            size, footprint = footprint.shape, None
    elif size is None:
        raise RuntimeError("no footprint provided: give size or footprint")
    array = arguments.real(np.asarray(input_))
    out = arguments.output_for(array, output)
    arguments.supported(out, "output")
    if footprint is None:
        rectangle = arguments.rectangle(size, origin, mode, cval, axes, array.ndim)
        extremes.along_axes(array, out, rectangle, merge)
        return out
    filtered = arguments.axes(axes, array.ndim)
    footprint, steps = under(footprint, origin, mode, cval, filtered, array.ndim)
    if structure is not None:
        if structure.ndim != len(filtered):
            raise RuntimeError(
                f"structure array has incorrect shape: it must have {len(filtered)} axes; got "
                f"shape {structure.shape}"
            )
        structure = arguments.expanded(structure, filtered, array.ndim, "structure")
        if structure.shape != footprint.shape:
            raise RuntimeError(
                f"structure array has incorrect shape: it must be that of the footprint; got "
                f"{structure.shape} and {footprint.shape}"
            )
    if not footprint.any():
        raise ValueError("All-zero footprint is not supported.")
    extremes.under_footprint(array, out, steps, footprint, structure, merge)
    return out


def warn_of_size(size: Any, footprint: Any, stacklevel: int = 5) -> None:
    """Warn that a size is not used beside a footprint."""
    if size is not None and footprint is not None:
        warnings.warn("ignoring size because footprint is set", UserWarning, stacklevel=stacklevel)


def under(
    footprint: Array, origin: Any, mode: Any, cval: float, filtered: tuple[int, ...], rank: int
) -> tuple[Array, tuple[Step, ...]]:
    """A footprint with an axis for each of the input's, and its steps."""
    footprint = arguments.expanded(footprint, filtered, rank, "footprint")
    if footprint.size == 0:
        raise RuntimeError(
            f"footprint.ndim ({sum(size > 0 for size in footprint.shape)}) must match len(axes) "
            f"({len(filtered)}): a footprint has one tap at least; got shape {footprint.shape}"
        )
    return footprint, arguments.window(footprint.shape, origin, mode, cval, filtered, rank)
