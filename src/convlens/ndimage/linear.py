"""Correlation, convolution and means."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens.core.problem import Array
from convlens.ndimage import arguments, means, sums
from convlens.ndimage.arguments import Output, Step

_ORIGIN = (
    "Invalid origin; origin must satisfy -(weights.shape[k] // 2) <= origin[k] <= "
    "(weights.shape[k]-1) // 2"
)


def correlate1d(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> Array:
    """Slide a line of weights along one axis, and add up the products at each place.

    Parameters
    ----------
    input : array_like
        An array of any rank. Complex numbers are filtered as their real and imaginary parts are.
    weights : array_like
        (k,). Complex weights are conjugated.
    axis : int
    output, mode, cval, origin
        As `convlens.ndimage` says for all filters.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    RuntimeError
        If weights are no line, the output does not fit, or a type or mode is none of those taken.
    ValueError
        If the origin lies outside of the weights, or the axis outside of the input.

    Examples
    --------
    >>> from convlens import ndimage
    >>> ndimage.correlate1d([2, 8, 0, 4, 1, 9, 9, 0], weights=[1, 3])
    array([ 8, 26,  8, 12,  7, 28, 36,  9])
    """
    array, line = np.asarray(input), np.asarray(weights)
    if "c" in (array.dtype.kind, line.dtype.kind):
        return _by_parts(
            lambda part, taps, out, value: _correlate1d(part, taps, axis, out, mode, value, origin),
            array,
            line.conj(),
            arguments.output_for(array, output, of_complex=True),
            cval,
        )
    return _correlate1d(array, line, axis, arguments.output_for(array, output), mode, cval, origin)


def _correlate1d(
    array: Array, weights: Array, axis: int, output: Array, mode: str, cval: Any, origin: int
) -> Array:
    """`correlate1d` of real numbers."""
    line = np.asarray(weights, np.float64)
    if line.ndim != 1 or len(line) < 1:
        raise RuntimeError(
            f"no filter weights given: they must have one axis and one tap at least; got shape "
            f"{line.shape}"
        )
    step = arguments.line(axis, len(line), origin, mode, cval, array.ndim, _ORIGIN)
    arguments.supported(array)
    arguments.supported(output, "output")
    sums.along_axes(array, output, [step], [line])
    return output


def convolve1d(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> Array:
    """Slide a flipped line of weights along one axis, and add up the products at each place.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    weights : array_like
        (k,), which are flipped; complex ones are not conjugated.
    axis, output, mode, cval, origin
        As in `correlate1d`; the origin counts in the other direction.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    RuntimeError, ValueError
        As `correlate1d` does.

    Examples
    --------
    >>> from convlens import ndimage
    >>> ndimage.convolve1d([2, 8, 0, 4, 1, 9, 9, 0], weights=[1, 3])
    array([14, 24,  4, 13, 12, 36, 27,  0])
    """
    line = np.asarray(weights)[::-1]
    if line.dtype.kind == "c":
        line = line.conj()
    origin = -operator.index(origin) - (len(line) % 2 == 0)
    return correlate1d(input, line, axis, output, mode, cval, origin)


def correlate(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | tuple[int, ...] = 0,
    *,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Slide weights over an array, and add up the products at each place.

    Taps whose weight is 0 (or below 2.3e-16) take no part, whatever lies under them.

    Parameters
    ----------
    input : array_like
        An array of any rank. Complex numbers are filtered as their real and imaginary parts are.
    weights : array_like
        With an axis for each that is filtered. Complex weights are conjugated.
    output, mode, cval, origin, axes
        As `convlens.ndimage` says for all filters. There is one mode for all axes.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    RuntimeError
        If the weights' axes are not as many as those that are filtered, the output does not fit, or
        a type or mode is none of those taken.
    ValueError
        If an origin lies outside of the weights, or an axis outside of the input.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.correlate(np.arange(12).reshape(3, 4), [[0, 1], [2, 3]], mode="nearest")
    array([[ 0,  4, 10, 16],
           [20, 24, 30, 36],
           [44, 48, 54, 60]])
    """
    return _correlate(input, weights, output, mode, cval, origin, axes, flipped=False)


def convolve(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | tuple[int, ...] = 0,
    *,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Slide flipped weights over an array, and add up the products at each place.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    weights : array_like
        With an axis for each that is filtered; they are flipped along all of them. Complex weights
        are not conjugated.
    output, mode, cval, origin, axes
        As in `correlate`; origins count in the other direction.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    RuntimeError, ValueError
        As `correlate` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> spot = np.zeros((3, 3))
    >>> spot[1, 1] = 1
    >>> ndimage.convolve(spot, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    array([[1., 2., 3.],
           [4., 5., 6.],
           [7., 8., 9.]])
    """
    return _correlate(input, weights, output, mode, cval, origin, axes, flipped=True)


def _correlate(
    input_: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Output,
    mode: str,
    cval: complex,
    origin: Any,
    axes: Any,
    *,
    flipped: bool,
) -> Array:
    array, taps = np.asarray(input_), np.asarray(weights)

    def real(part: Array, weights: Array, out: Array, value: Any) -> Array:
        weights, steps = _window(part, weights, mode, value, origin, axes, flipped=flipped)
        arguments.supported(part)
        arguments.supported(out, "output")
        sums.under_window(part, out, steps, weights)
        return out

    if "c" in (array.dtype.kind, taps.dtype.kind):
        out = arguments.output_for(array, output, of_complex=True)
        return _by_parts(real, array, taps if flipped else taps.conj(), out, cval)
    return real(array, taps, arguments.output_for(array, output), cval)


def _window(
    array: Array, weights: Array, mode: str, cval: Any, origin: Any, axes: Any, *, flipped: bool
) -> tuple[Array, tuple[Step, ...]]:
    """The weights with as many axes as the array, and the steps of the filter."""
    filtered = arguments.axes(axes, array.ndim)
    weights = np.asarray(weights, np.float64)
    weights = arguments.expanded(weights, filtered, array.ndim, "weights")
    if weights.size == 0:
        raise RuntimeError(
            f"weights.ndim ({sum(size > 0 for size in weights.shape)}) must match len(axes) "
            f"({len(filtered)}): weights must have one tap at least; got shape {weights.shape}"
        )
    steps = arguments.window(
        weights.shape, origin, mode, cval, filtered, array.ndim, flipped=flipped, message=_ORIGIN
    )
    return weights[(slice(None, None, -1),) * array.ndim] if flipped else weights, steps


Real = Callable[[Array, Array, Array, Any], Array]  # array, weights, output, border's number


def _by_parts(real: Real, array: Array, weights: Array, output: Array, cval: complex) -> Array:
    """Filter complex numbers, or by complex weights, as a filter of real numbers does the parts."""
    if np.may_share_memory(array, output):
        array = array.copy()
    if array.dtype.kind != "c":
        if np.iscomplexobj(cval):
            raise ValueError(
                f"Cannot provide a complex-valued cval when the input is real; got cval={cval!r}"
            )
        real(array, weights.real, output.real, cval)
        real(array, weights.imag, output.imag, cval)
        return output
    values = np.real(cval), np.imag(cval)
    parts = tuple(zip((array.real, array.imag), values, strict=True))
    if weights.dtype.kind != "c":
        for (part, value), out in zip(parts, (output.real, output.imag), strict=True):
            real(part, weights, out, value)
        return output
    # (a + bi)(c + di) = ac - bd + (ad + bc)i
    (a, of_a), (b, of_b) = parts
    other = np.empty(array.shape, output.real.dtype)
    real(a, weights.real, output.real, of_a)
    output.real -= real(b, weights.imag, other, of_b)
    real(a, weights.imag, output.imag, of_a)
    output.imag += real(b, weights.real, other, of_b)
    return output


def uniform_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> Array:
    """Take the mean of a window along one axis, at each place.

    Means are of the exact sums of integers, cut off to the output's type.

    Parameters
    ----------
    input : array_like
        An array of any rank; of complex numbers the parts are filtered.
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
    RuntimeError
        If the size is below 1, the output does not fit, or a type or mode is none of those taken.
    ValueError
        If the origin lies outside of the window, or the axis outside of the input.

    Examples
    --------
    >>> from convlens import ndimage
    >>> ndimage.uniform_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([4, 3, 4, 1, 4, 6, 6, 3])
    """
    array = np.asarray(input)
    if size < 1:
        raise RuntimeError(f"incorrect filter size: it must be at least 1; got {size}")
    step = arguments.line(axis, operator.index(size), origin, mode, cval, array.ndim)
    out = arguments.output_for(array, output, of_complex=array.dtype.kind == "c")
    return _means(array, out, (step,))


def uniform_filter(
    input: npt.ArrayLike,
    size: int | tuple[int, ...] = 3,
    output: Output = None,
    mode: str | tuple[str, ...] = "reflect",
    cval: complex = 0.0,
    origin: int | tuple[int, ...] = 0,
    *,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Take the mean of a rectangular window at each place.

    Integers are cut off along one axis after the other, as SciPy does it.

    Parameters
    ----------
    input : array_like
        An array of any rank; of complex numbers the parts are filtered.
    size : int or tuple of int
        The taps of the window along each axis.
    output, mode, cval, origin, axes
        As `convlens.ndimage` says for all filters; there may be a mode for each axis.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    RuntimeError
        If there are not as many sizes, modes or origins as axes, the output does not fit, or a type
        or mode is none of those taken.
    ValueError
        If an origin lies outside of the window, or an axis outside of the input.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.uniform_filter(np.arange(9.0).reshape(3, 3), 3)
    array([[1.33333333, 2.        , 2.66666667],
           [3.33333333, 4.        , 4.66666667],
           [5.33333333, 6.        , 6.66666667]])
    """
    array = np.asarray(input)
    out = arguments.output_for(array, output, of_complex=array.dtype.kind == "c")
    return _means(array, out, arguments.rectangle(size, origin, mode, cval, axes, array.ndim))


def _means(array: Array, output: Array, steps: tuple[Step, ...]) -> Array:
    if array.dtype.kind != "c":
        arguments.supported(array)
        arguments.supported(output, "output")
        means.along_axes(array, output, steps)
        return output
    for part in ("real", "imag"):
        value = getattr(np, part)(steps[0].border.value) if steps else 0
        of_part = [step._replace(border=step.border._replace(value=value)) for step in steps]
        means.along_axes(getattr(array, part), getattr(output, part), of_part)
    return output
