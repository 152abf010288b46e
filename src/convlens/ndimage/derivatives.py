"""Gaussians, and filters that find edges: derivatives of the first and the second order."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convlens.core.problem import Array
from convlens.ndimage import arguments, sums
from convlens.ndimage.arguments import Output, Step
from convlens.ndimage.blocks import copied
from convlens.ndimage.linear import correlate1d

Derivative = Callable[..., Any]


def gaussian_filter1d(
    input: npt.ArrayLike,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
) -> Array:
    """Slide a gaussian, or a derivative of one, along one axis.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    sigma : float
        The gaussian's standard deviation, in pixels.
    axis : int
    order : int
        0 smooths; n takes the n-th derivative of what is smoothed.
    output, mode, cval
        As `convlens.ndimage` says for all filters.
    truncate : float
        The gaussian is cut off so many standard deviations from its middle.
    radius : int, optional
        The taps on either side of the middle, instead of ``int(truncate * sigma + 0.5)``.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError
        If order or radius is negative, or the axis outside of the input.
    RuntimeError
        If the output does not fit, or a type or mode is none of those taken.

    Examples
    --------
    >>> from convlens import ndimage
    >>> ndimage.gaussian_filter1d([1.0, 2.0, 3.0, 4.0, 5.0], 1)
    array([1.42704095, 2.06782203, 3.        , 3.93217797, 4.57295905])
    """
    # SciPy reverses the kernel, because it correlates.
    line = _gaussian(sigma, order, truncate, radius)
    return correlate1d(input, line, axis, output, mode, cval)


def _gaussian(sigma: Any, order: Any, truncate: float, radius: Any) -> Array:
    """The weights of a gaussian's derivative, for a correlation: (2 * radius + 1,)."""
    width = float(sigma)
    if radius is None:
        radius = int(truncate * width + 0.5)
    if not isinstance(radius, numbers.Integral) or radius < 0:
        raise ValueError(f"Radius must be a nonnegative integer.  Got radius={radius!r}")
    if order < 0:
        raise ValueError(f"order must be non-negative; got {order!r}")
    return _gaussian_line(width, operator.index(order), int(radius))


@lru_cache(maxsize=64)
def _gaussian_line(sigma: float, order: int, radius: int) -> Array:
    """The weights of a gaussian's derivative, cached because calls often repeat.

    A derivative of exp(-x² / 2σ²) is this times a polynomial q of x. Deriving once more makes
    q' - q x / σ² of q: a matrix, applied to the coefficients of q. SciPy rounds in the same order,
    and integers that are cut off would show any other.
    """
    variance = sigma * sigma
    x = np.arange(-radius, radius + 1)
    with np.errstate(all="ignore"):
        bell = np.exp(-0.5 / variance * x**2)
        bell = bell / bell.sum()
        if order:
            powers = np.arange(order + 1)
            step = np.diag(powers[1:], 1) + np.diag(np.ones(order) / -variance, -1)
            q = np.zeros(order + 1)
            q[0] = 1
            for _ in range(order):
                q = step.dot(q)
            bell = (x[:, np.newaxis] ** powers).dot(q) * bell
    line = np.ascontiguousarray(bell[::-1])
    line.flags.writeable = False
    return line


def gaussian_filter(
    input: npt.ArrayLike,
    sigma: float | Sequence[float],
    order: int | Sequence[int] = 0,
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | Sequence[int] | None = None,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Slide a gaussian, or a derivative of one, along all axes.

    Parameters
    ----------
    input : array_like
        An array of any rank; of complex numbers the parts are filtered.
    sigma : float or sequence of float
        Standard deviations, in pixels; an axis with 0 is not filtered.
    order : int or sequence of int
        0 smooths; n takes the n-th derivative.
    output, mode, cval
        As `convlens.ndimage` says for all filters; there may be a mode for each axis.
    truncate : float
        The gaussian is cut off so many standard deviations from its middle.
    radius : int or sequence of int, optional
        The taps on either side of the middle, instead of ``int(truncate * sigma + 0.5)``.
    axes : int or tuple of int, optional
        The axes to filter along; by default all.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError
        If an order or radius is negative, or an axis outside of the input.
    RuntimeError
        If there are not as many sigmas, orders, modes or radiuses as axes, the output does not fit,
        or a type or mode is none of those taken.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.gaussian_filter(np.arange(50, step=2).reshape((5, 5)), sigma=1)
    array([[ 4,  6,  8,  9, 11],
           [10, 12, 14, 15, 17],
           [20, 22, 24, 25, 27],
           [29, 31, 33, 34, 36],
           [35, 37, 39, 40, 42]])
    """
    array = np.asarray(input)
    out = arguments.output_for(array, output)
    lines = _gaussians(sigma, order, mode, cval, truncate, radius, axes, array.ndim)
    _along(array, out, lines, cval)
    return out


class _Lines(NamedTuple):
    """Lines of weights along axes, each around the output's pixel, with its mode, and the steps."""

    steps: tuple[Step, ...]
    weights: tuple[Array, ...]
    modes: tuple[str, ...]


def _lines(
    numbers: Sequence[int], weights: Sequence[Array], modes: Sequence[str], cval: Any
) -> _Lines:
    """The lines along the axes of these numbers."""
    steps = tuple(
        Step(number, len(line), len(line) // 2, arguments.border(mode, cval))
        for number, line, mode in zip(numbers, weights, modes, strict=True)
    )
    return _Lines(steps, tuple(weights), tuple(modes))


@arguments.remembered
def _gaussians(
    sigma: Any, order: Any, mode: Any, cval: Any, truncate: float, radius: Any, axes: Any, rank: int
) -> _Lines:
    """The lines of a gaussian along each axis that it smooths."""
    filtered = arguments.axes(axes, rank)
    given = (sigma, "sigma"), (order, "order"), (mode, "mode"), (radius, "radius")
    each = [arguments.sequence(value, len(filtered), name) for value, name in given]
    smoothed = [one for one in zip(filtered, *each, strict=True) if one[1] > 1e-15]
    weights = [_gaussian(width, n, truncate, taps) for _, width, n, _, taps in smoothed]
    return _lines([one[0] for one in smoothed], weights, [one[3] for one in smoothed], cval)


def _along(array: Array, output: Array, lines: _Lines, cval: complex) -> None:
    """Correlate along one axis after the other."""
    if not lines.steps:
        copied(array, output)
        return
    if "c" in (array.dtype.kind, output.dtype.kind):
        # Through `correlate1d`, which refuses what is wrong and divides complex numbers.
        for step, weights, mode in zip(*lines, strict=True):
            correlate1d(array, weights, step.axis, output, mode, cval)
            array = output
        return
    arguments.supported(array)
    arguments.supported(output, "output")
    sums.along_axes(array, output, lines.steps, lines.weights)


def sobel(
    input: npt.ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: complex = 0.0,
) -> Array:
    """Find edges by differences along one axis, smoothed by (1, 2, 1) along the others.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    axis : int
        The axis to take differences along.
    output, mode, cval
        As `convlens.ndimage` says for all filters; there may be a mode for each axis.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape. Unsigned integers have no numbers below 0: those wrap
        around, so give a signed or floating type as ``output=`` for them.

    Raises
    ------
    ValueError
        If the axis lies outside of the input.
    RuntimeError
        If there are not as many modes as axes, the output does not fit, or a type or mode is none
        of those taken.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.sobel(np.array([[0, 0, 9, 9], [0, 0, 9, 9]]))
    array([[ 0, 36, 36,  0],
           [ 0, 36, 36,  0]])
    """
    return _edges(input, axis, output, mode, cval, (1, 2, 1))


def prewitt(
    input: npt.ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: complex = 0.0,
) -> Array:
    """Find edges by differences along one axis, added up in threes along the others.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    axis : int
        The axis to take differences along.
    output, mode, cval
        As in `sobel`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    ValueError, RuntimeError
        As `sobel` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.prewitt(np.array([[0, 0, 9, 9], [0, 0, 9, 9]]))
    array([[ 0, 27, 27,  0],
           [ 0, 27, 27,  0]])
    """
    return _edges(input, axis, output, mode, cval, (1, 1, 1))


def _edges(
    input_: npt.ArrayLike,
    axis: int,
    output: Output,
    mode: str | Sequence[str],
    cval: complex,
    across: tuple[int, ...],
) -> Array:
    """Correlate with (-1, 0, 1) along the axis, and then with another line along the others."""
    array = np.asarray(input_)
    along = arguments.axis(axis, array.ndim)
    out = arguments.output_for(array, output)
    _along(array, out, _differences(along, mode, cval, across, array.ndim), cval)
    return out


@arguments.remembered
def _differences(along: int, mode: Any, cval: Any, across: tuple[int, ...], rank: int) -> _Lines:
    """A line of differences along an axis, and then others across."""
    modes = arguments.sequence(mode, rank, "mode")
    order = [along, *(number for number in range(rank) if number != along)]
    weights = [np.array([-1.0, 0, 1]), *[np.array(across, np.float64)] * (rank - 1)]
    return _lines(order, weights, [modes[number] for number in order], cval)


def generic_laplace(
    input: npt.ArrayLike,
    derivative2: Derivative,
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: complex = 0.0,
    extra_arguments: tuple[Any, ...] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Add up second derivatives along all axes, as a function computes them.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    derivative2 : callable
        Called as ``derivative2(input, axis, output, mode, cval, *extra_arguments,
        **extra_keywords)``, where output is an array, or a type of which to make one.
    output, mode, cval
        As `convlens.ndimage` says for all filters; there may be a mode for each axis.
    extra_arguments : tuple
        Further arguments of the function.
    extra_keywords : dict, optional
        Further keywords of the function.
    axes : int or tuple of int, optional
        The axes to take derivatives along; by default all.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    RuntimeError
        If there are not as many modes as axes, or the output does not fit.
    ValueError
        If an axis lies outside of the input.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> def second(input, axis, output, mode, cval):
    ...     return ndimage.correlate1d(input, [1, -2, 1], axis, output, mode, cval)
    >>> ndimage.generic_laplace(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]), second)
    array([[ 0,  1,  0],
           [ 1, -4,  1],
           [ 0,  1,  0]])
    """
    keywords = extra_keywords or {}
    array = np.asarray(input)
    out = arguments.output_for(array, output)
    filtered = arguments.axes(axes, array.ndim)
    if not filtered:
        copied(array, out)
        return out
    if np.may_share_memory(array, out) and len(filtered) > 1:
        array = array.copy()
    modes = arguments.sequence(mode, len(filtered), "mode")
    derivative2(array, filtered[0], out, modes[0], cval, *extra_arguments, **keywords)
    for number, how in zip(filtered[1:], modes[1:], strict=True):
        out += derivative2(array, number, out.dtype, how, cval, *extra_arguments, **keywords)
    return out


def laplace(
    input: npt.ArrayLike,
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Add up the second differences (1, -2, 1) along all axes.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    output, mode, cval, axes
        As `convlens.ndimage` says for all filters; there may be a mode for each axis.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    RuntimeError
        If there are not as many modes as axes, the output does not fit, or a type or mode is none
        of those taken.
    ValueError
        If an axis lies outside of the input.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.laplace(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]))
    array([[ 0,  1,  0],
           [ 1, -4,  1],
           [ 0,  1,  0]])
    """
    array = np.asarray(input)
    filtered = arguments.axes(axes, array.ndim)
    modes = arguments.sequence(mode, len(filtered), "mode")
    out = arguments.output_for(array, output)
    # One window is faster than a pass along each axis, and rounds floats once only.
    if len(set(modes)) == 1 and "c" not in (array.dtype.kind, out.dtype.kind):
        border = arguments.border(modes[0], cval)
        arguments.supported(array)
        arguments.supported(out, "output")
        steps = [Step(number, 3, 1, border) for number in sorted(filtered)]
        if out.dtype.kind == "f" or sums.wraps(array, out, steps):
            sums.under_window(array, out, steps, _cross(array.ndim, tuple(sorted(filtered))))
            return out
    return generic_laplace(array, _second_difference, out, modes, cval, axes=filtered)


def _second_difference(array: Array, axis: int, output: Any, mode: str, cval: complex) -> Array:
    return correlate1d(array, [1, -2, 1], axis, output, mode, cval)


@lru_cache(maxsize=64)
def _cross(rank: int, filtered: tuple[int, ...]) -> Array:
    """The sum of second differences along some axes, as one window."""
    window = np.zeros([3 if number in filtered else 1 for number in range(rank)])
    middle = [size // 2 for size in window.shape]
    for number in filtered:
        line: list[Any] = list(middle)
        line[number] = slice(None)
        window[tuple(line)] += [1, -2, 1]
    return window


def gaussian_laplace(
    input: npt.ArrayLike,
    sigma: float | Sequence[float],
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | tuple[int, ...] | None = None,
    **kwargs: Any,
) -> Array:
    """Add up the second derivatives of a gaussian along all axes.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    sigma : float or sequence of float
        Standard deviations, in pixels.
    output, mode, cval, axes
        As `convlens.ndimage` says for all filters; there may be a mode for each axis.
    **kwargs
        Further arguments of `gaussian_filter`, such as ``truncate``.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    RuntimeError, ValueError
        As `gaussian_filter` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> spot = np.zeros((5, 5))
    >>> spot[2, 2] = 100
    >>> ndimage.gaussian_laplace(spot, 1).round(1)[2]
    array([  5.5,  -9.6, -31.8,  -9.6,   5.5])
    """
    array = np.asarray(input)
    filtered = arguments.axes(axes, array.ndim)
    widths = [0.0] * array.ndim
    for number, width in zip(
        filtered, arguments.sequence(sigma, len(filtered), "sigma"), strict=True
    ):
        widths[number] = width
    return generic_laplace(
        array, _gaussian_derivative, output, mode, cval, (widths, 2), kwargs, axes=filtered
    )


def _gaussian_derivative(
    array: Array,
    axis: int,
    output: Any,
    mode: str,
    cval: complex,
    sigma: Any,
    of_order: int,
    **kwargs: Any,
) -> Array:
    """The derivative of this order along one axis, smoothed along all of them."""
    order = [0] * array.ndim
    order[axis] = of_order
    return gaussian_filter(array, sigma, order, output, mode, cval, **kwargs)


def generic_gradient_magnitude(
    input: npt.ArrayLike,
    derivative: Derivative,
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: complex = 0.0,
    extra_arguments: tuple[Any, ...] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: int | tuple[int, ...] | None = None,
) -> Array:
    """Find the length of the gradient, whose components a function computes.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    derivative : callable
        Called as ``derivative(input, axis, output, mode, cval, *extra_arguments,
        **extra_keywords)``, where output is an array, or a type of which to make one.
    output, mode, cval
        As `convlens.ndimage` says for all filters; there may be a mode for each axis.
    extra_arguments : tuple
        Further arguments of the function.
    extra_keywords : dict, optional
        Further keywords of the function.
    axes : int or tuple of int, optional
        The axes to take derivatives along; by default all.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape. Squares and their sums are in its type, too.

    Raises
    ------
    RuntimeError
        If there are not as many modes as axes, or the output does not fit.
    ValueError
        If an axis lies outside of the input.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ramp = np.add.outer(3.0 * np.arange(3), 4.0 * np.arange(3))
    >>> ndimage.generic_gradient_magnitude(ramp, ndimage.prewitt)[1, 1]
    np.float64(30.0)
    """
    keywords = extra_keywords or {}
    array = np.asarray(input)
    out = arguments.output_for(array, output)
    filtered = arguments.axes(axes, array.ndim)
    if not filtered:
        copied(array, out)
        return out
    if np.may_share_memory(array, out) and len(filtered) > 1:
        array = array.copy()
    modes = arguments.sequence(mode, len(filtered), "mode")
    derivative(array, filtered[0], out, modes[0], cval, *extra_arguments, **keywords)
    np.multiply(out, out, out)
    for number, how in zip(filtered[1:], modes[1:], strict=True):
        part = derivative(array, number, out.dtype, how, cval, *extra_arguments, **keywords)
        np.multiply(part, part, part)
        out += part
    # NumPy takes roots of bytes in float16, which is slow. They are the same when they are cut off.
    dtype = np.float32 if out.dtype.itemsize == 1 else None
    np.sqrt(out, out, casting="unsafe", dtype=dtype)
    return out


def gaussian_gradient_magnitude(
    input: npt.ArrayLike,
    sigma: float | Sequence[float],
    output: Output = None,
    mode: str | Sequence[str] = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | tuple[int, ...] | None = None,
    **kwargs: Any,
) -> Array:
    """Find the length of the gradient by a gaussian's derivatives.

    Parameters
    ----------
    input : array_like
        An array of any rank.
    sigma : float or sequence of float
        Standard deviations, in pixels.
    output, mode, cval, axes
        As `convlens.ndimage` says for all filters; there may be a mode for each axis.
    **kwargs
        Further arguments of `gaussian_filter`, such as ``truncate``.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    RuntimeError, ValueError
        As `gaussian_filter` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ramp = np.add.outer(3.0 * np.arange(20), 4.0 * np.arange(20))
    >>> ndimage.gaussian_gradient_magnitude(ramp, 1)[10, 10].round(3)
    np.float64(5.0)
    """
    return generic_gradient_magnitude(
        input, _gaussian_derivative, output, mode, cval, (sigma, 1), kwargs, axes=axes
    )
