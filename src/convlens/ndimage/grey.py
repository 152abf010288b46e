"""Morphology of grey images: erosion and dilation, and what they are combined into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens.core.problem import Array
from convlens.ndimage import arguments
from convlens.ndimage.arguments import Output
from convlens.ndimage.extrema import warn_of_size, windowed

Sizes = int | tuple[int, ...] | None
Modes = str | Sequence[str]
Numbers = int | tuple[int, ...]


def grey_erosion(
    input: npt.ArrayLike,
    size: Sizes = None,
    footprint: npt.ArrayLike | None = None,
    structure: npt.ArrayLike | None = None,
    output: Output = None,
    mode: Modes = "reflect",
    cval: float = 0.0,
    origin: Numbers = 0,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Take the smallest number under a window, less the structure's heights if there are any.

    Parameters
    ----------
    input : array_like
        An array of any rank, of real numbers.
    size : int or tuple of int
        The taps of a rectangular window along each axis.
    footprint : array_like, optional
        The window's shape instead: True at its taps.
    structure : array_like, optional
        Heights, which are subtracted from the numbers under the window's taps.
    output, mode, cval, origin, axes
        As `convlens.ndimage` says for all filters.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError
        If there is neither size, footprint nor structure, the footprint has no tap, or an origin
        lies outside of it.
    TypeError, RuntimeError
        As `convlens.ndimage.minimum_filter` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.grey_erosion(np.array([3, 3, 0, 3, 3, 3]), size=3)
    array([3, 0, 0, 0, 3, 3])
    """
    _some_window(size, footprint, structure)
    return windowed(input, size, footprint, structure, output, mode, cval, origin, axes, np.minimum)


def grey_dilation(
    input: npt.ArrayLike,
    size: Sizes = None,
    footprint: npt.ArrayLike | None = None,
    structure: npt.ArrayLike | None = None,
    output: Output = None,
    mode: Modes = "reflect",
    cval: float = 0.0,
    origin: Numbers = 0,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Take the largest number under a flipped window, with the structure's heights added.

    Parameters
    ----------
    input, size, footprint
        As in `grey_erosion`; the window is flipped along all axes.
    structure : array_like, optional
        Heights, which are added to the numbers under the window's taps.
    output, mode, cval, origin, axes
        As in `grey_erosion`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `grey_erosion` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.grey_dilation(np.array([0, 0, 3, 0, 0, 0]), size=3)
    array([0, 3, 3, 3, 0, 0])
    """
    _some_window(size, footprint, structure)
    array = np.asarray(input)
    if structure is not None:
        structure = np.flip(np.asarray(structure))
    if footprint is not None:
        footprint = np.flip(np.asarray(footprint))
    filtered = arguments.axes(axes, array.ndim)
    window: Any = structure if footprint is None else footprint
    sizes: Any = size if window is None else window.shape
    count = len(filtered)
    origins = arguments.sequence(origin, count, "origin")
    # Windows of the wrong rank are refused later, in words about the window.
    if not np.iterable(sizes) or len(tuple(sizes)) == count:
        each = zip(origins, arguments.sequence(sizes, count, "size"), strict=True)
        origins = [-at - (int(taps) % 2 == 0) for at, taps in each]
    return windowed(
        array, size, footprint, structure, output, mode, cval, origins, axes, np.maximum
    )


def _some_window(size: Any, footprint: Any, structure: Any) -> None:
    if size is None and footprint is None and structure is None:
        raise ValueError("size, footprint, or structure must be specified")


def grey_opening(
    input: npt.ArrayLike,
    size: Sizes = None,
    footprint: npt.ArrayLike | None = None,
    structure: npt.ArrayLike | None = None,
    output: Output = None,
    mode: Modes = "reflect",
    cval: float = 0.0,
    origin: Numbers = 0,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Erode, and then dilate: bright spots that are smaller than the window vanish.

    Parameters
    ----------
    input, size, footprint, structure, output, mode, cval, origin, axes
        As in `grey_erosion`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `grey_erosion` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.grey_opening(np.array([0, 9, 0, 0, 7, 7, 7, 0]), size=3)
    array([0, 0, 0, 0, 7, 7, 7, 0])
    """
    warn_of_size(size, footprint, 4)
    size = None if footprint is not None else size
    between = grey_erosion(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
    return grey_dilation(between, size, footprint, structure, output, mode, cval, origin, axes=axes)


def grey_closing(
    input: npt.ArrayLike,
    size: Sizes = None,
    footprint: npt.ArrayLike | None = None,
    structure: npt.ArrayLike | None = None,
    output: Output = None,
    mode: Modes = "reflect",
    cval: float = 0.0,
    origin: Numbers = 0,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Dilate, and then erode: dark spots that are smaller than the window vanish.

    Parameters
    ----------
    input, size, footprint, structure, output, mode, cval, origin, axes
        As in `grey_erosion`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `grey_erosion` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.grey_closing(np.array([9, 0, 9, 9, 2, 2, 2, 9]), size=3)
    array([9, 9, 9, 9, 2, 2, 2, 9])
    """
    warn_of_size(size, footprint, 4)
    size = None if footprint is not None else size
    between = grey_dilation(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
    return grey_erosion(between, size, footprint, structure, output, mode, cval, origin, axes=axes)


def morphological_gradient(
    input: npt.ArrayLike,
    size: Sizes = None,
    footprint: npt.ArrayLike | None = None,
    structure: npt.ArrayLike | None = None,
    output: Output = None,
    mode: Modes = "reflect",
    cval: float = 0.0,
    origin: Numbers = 0,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Subtract the erosion from the dilation.

    Parameters
    ----------
    input, size, footprint, structure, output, mode, cval, origin, axes
        As in `grey_erosion`. An output that is a type and not an array is not used, as in SciPy.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `grey_erosion` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.morphological_gradient(np.array([0, 0, 0, 5, 5, 5]), size=3)
    array([0, 0, 5, 5, 0, 0])
    """
    window = size, footprint, structure
    how = mode, cval, origin
    high = grey_dilation(input, *window, None, *how, axes=axes)
    given = output if isinstance(output, np.ndarray) else None
    low = grey_erosion(input, *window, given, *how, axes=axes)
    np.subtract(high, low, out=low)
    return low


def morphological_laplace(
    input: npt.ArrayLike,
    size: Sizes = None,
    footprint: npt.ArrayLike | None = None,
    structure: npt.ArrayLike | None = None,
    output: Output = None,
    mode: Modes = "reflect",
    cval: float = 0.0,
    origin: Numbers = 0,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Add the dilation and the erosion, and subtract the input twice.

    Parameters
    ----------
    input, size, footprint, structure, output, mode, cval, origin, axes
        As in `grey_erosion`. An output that is a type and not an array is not used, as in SciPy.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `grey_erosion` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.morphological_laplace(np.array([0, 0, 0, 5, 5, 5]), size=3)
    array([ 0,  0,  5, -5,  0,  0])
    """
    array = np.asarray(input)
    window = size, footprint, structure
    how = mode, cval, origin
    high = grey_dilation(array, *window, None, *how, axes=axes)
    given = isinstance(output, np.ndarray)
    if given and np.may_share_memory(array, output):
        array = array.copy()
    low = grey_erosion(array, *window, output if given else None, *how, axes=axes)
    np.add(high, low, out=low)
    np.subtract(low, array, out=low)
    np.subtract(low, array, out=low)
    return low


def white_tophat(
    input: npt.ArrayLike,
    size: Sizes = None,
    footprint: npt.ArrayLike | None = None,
    structure: npt.ArrayLike | None = None,
    output: Output = None,
    mode: Modes = "reflect",
    cval: float = 0.0,
    origin: Numbers = 0,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Subtract the opening from the input: bright spots that are smaller than the window stay.

    Parameters
    ----------
    input, size, footprint, structure, output, mode, cval, origin, axes
        As in `grey_erosion`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `grey_erosion` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.white_tophat(np.array([0, 9, 0, 0, 7, 7, 7, 0]), size=3)
    array([0, 9, 0, 0, 0, 0, 0, 0])
    """
    array = np.asarray(input)
    warn_of_size(size, footprint, 4)
    window = None if footprint is not None else size, footprint, structure
    how = mode, cval, origin
    if isinstance(output, np.ndarray) and np.may_share_memory(array, output):
        array = array.copy()
    between = grey_erosion(array, *window, None, *how, axes=axes)
    opened = grey_dilation(between, *window, output, *how, axes=axes)
    return _difference(array, opened, opened)


def black_tophat(
    input: npt.ArrayLike,
    size: Sizes = None,
    footprint: npt.ArrayLike | None = None,
    structure: npt.ArrayLike | None = None,
    output: Output = None,
    mode: Modes = "reflect",
    cval: float = 0.0,
    origin: Numbers = 0,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Subtract the input from the closing: dark spots that are smaller than the window stay.

    Parameters
    ----------
    input, size, footprint, structure, output, mode, cval, origin, axes
        As in `grey_erosion`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `grey_erosion` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.black_tophat(np.array([9, 0, 9, 9, 2, 2, 2, 9]), size=3)
    array([0, 9, 0, 0, 0, 0, 0, 0])
    """
    array = np.asarray(input)
    warn_of_size(size, footprint, 4)
    window = None if footprint is not None else size, footprint, structure
    how = mode, cval, origin
    if isinstance(output, np.ndarray) and np.may_share_memory(array, output):
        array = array.copy()
    between = grey_dilation(array, *window, None, *how, axes=axes)
    closed = grey_erosion(between, *window, output, *how, axes=axes)
    return _difference(closed, array, closed)


def _difference(first: Array, second: Array, out: Array) -> Array:
    """The difference of two arrays; of booleans, where they differ."""
    both = first.dtype == second.dtype == np.bool_
    (np.bitwise_xor if both else np.subtract)(first, second, out=out)
    return out
