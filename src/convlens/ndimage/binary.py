"""Morphology of binary images: erosion and dilation, repeated and under a mask."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens.core.problem import Array
from convlens.ndimage import arguments
from convlens.ndimage.arguments import Output, Step
from convlens.ndimage.extremes import along_axes, under_footprint

Numbers = int | tuple[int, ...]
LOOKED = 8  # iterations after which it is looked whether anything changes still
FEW, FEW_TAPS = 2**13, 27  # pixels and taps that NumPy is faster with than a call of pipelines


def binary_erosion(
    input: npt.ArrayLike,
    structure: npt.ArrayLike | None = None,
    iterations: int = 1,
    mask: npt.ArrayLike | None = None,
    output: Output = None,
    border_value: int = 0,
    origin: Numbers = 0,
    brute_force: bool = False,  # noqa: ARG001
    *,
    axes: Numbers | None = None,
) -> Array:
    """Keep the pixels around which every tap of the structure lies on a pixel that is not 0.

    Parameters
    ----------
    input : array_like
        An array of any rank; every number but 0 counts as True.
    structure : array_like, optional
        True at its taps, with an axis for each that is filtered; by default a pixel and its direct
        neighbours.
    iterations : int
        How often to erode; below 1, until nothing changes.
    mask : array_like, optional
        Of the input's shape; pixels where it is False stay as they are.
    output : array or dtype, optional
        Where to write; by default a new array of booleans, whatever type is given.
    border_value : int
        What lies beyond the edges, 0 or 1.
    origin
        As `convlens.ndimage` says for all filters.
    brute_force : bool
        Taken for SciPy's sake: it changes neither the result nor the way.
    axes : int or tuple of int, optional
        The axes to filter along; by default all.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError
        If iterations is no integer, or input or output is complex.
    RuntimeError
        If the structure has no tap or does not fit the axes, or mask or output do not fit.
    ValueError
        If an origin lies outside of the structure, or an axis outside of the input.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.binary_erosion(np.ones((5, 5))).astype(int)
    array([[0, 0, 0, 0, 0],
           [0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 0, 0, 0, 0]])
    """
    return _repeated(
        input, structure, iterations, mask, output, border_value, origin, axes, np.minimum
    )


def binary_dilation(
    input: npt.ArrayLike,
    structure: npt.ArrayLike | None = None,
    iterations: int = 1,
    mask: npt.ArrayLike | None = None,
    output: Output = None,
    border_value: int = 0,
    origin: Numbers = 0,
    brute_force: bool = False,  # noqa: ARG001
    *,
    axes: Numbers | None = None,
) -> Array:
    """Add the pixels around which a tap of the flipped structure lies on a pixel that is not 0.

    Parameters
    ----------
    input, structure, iterations, mask, output, border_value, origin, brute_force, axes
        As in `binary_erosion`.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As `binary_erosion` does.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.binary_dilation([0, 0, 1, 0, 0, 0, 0], iterations=2).astype(int)
    array([1, 1, 1, 1, 1, 0, 0])
    """
    array = np.asarray(input)
    filtered = arguments.axes(axes, array.ndim)
    if structure is None:
        structure = _cross(len(filtered))
    structure = np.asarray(structure)
    structure = structure[(slice(None, None, -1),) * structure.ndim]
    origins: Any = tuple(arguments.sequence(origin, len(filtered), "origin"))
    if structure.ndim == len(filtered):  # Any other is refused later.
        origins = tuple(
            -operator.index(at) - (size % 2 == 0)
            for at, size in zip(origins, structure.shape, strict=True)
        )
    return _repeated(
        array, structure, iterations, mask, output, border_value, origins, axes, np.maximum
    )


def binary_opening(
    input: npt.ArrayLike,
    structure: npt.ArrayLike | None = None,
    iterations: int = 1,
    output: Output = None,
    origin: Numbers = 0,
    mask: npt.ArrayLike | None = None,
    border_value: int = 0,
    brute_force: bool = False,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Erode, and then dilate: what is smaller than the structure vanishes.

    Parameters
    ----------
    input, structure, iterations, output, origin, mask, border_value, brute_force, axes
        As in `binary_erosion`; note the order of the positional ones, which is SciPy's.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As `binary_erosion` does.

    Examples
    --------
    >>> from convlens import ndimage
    >>> ndimage.binary_opening([0, 1, 0, 0, 1, 1, 1, 0]).astype(int)
    array([0, 0, 0, 0, 1, 1, 1, 0])
    """
    between = binary_erosion(
        input, structure, iterations, mask, None, border_value, origin, brute_force, axes=axes
    )
    return binary_dilation(
        between, structure, iterations, mask, output, border_value, origin, brute_force, axes=axes
    )


def binary_closing(
    input: npt.ArrayLike,
    structure: npt.ArrayLike | None = None,
    iterations: int = 1,
    output: Output = None,
    origin: Numbers = 0,
    mask: npt.ArrayLike | None = None,
    border_value: int = 0,
    brute_force: bool = False,
    *,
    axes: Numbers | None = None,
) -> Array:
    """Dilate, and then erode: holes that are smaller than the structure are filled.

    Parameters
    ----------
    input, structure, iterations, output, origin, mask, border_value, brute_force, axes
        As in `binary_erosion`; note the order of the positional ones, which is SciPy's.

    Returns
    -------
    numpy.ndarray
        The output, of the input's shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As `binary_erosion` does.

    Examples
    --------
    >>> from convlens import ndimage
    >>> ndimage.binary_closing([0, 1, 1, 0, 1, 1, 0, 0]).astype(int)
    array([0, 1, 1, 1, 1, 1, 0, 0])
    """
    between = binary_dilation(
        input, structure, iterations, mask, None, border_value, origin, brute_force, axes=axes
    )
    return binary_erosion(
        between, structure, iterations, mask, output, border_value, origin, brute_force, axes=axes
    )


@cache
def _cross(rank: int) -> Array:
    """A pixel and its direct neighbours."""
    distances = np.abs(np.indices([3] * rank) - 1).sum(axis=0)
    cross = np.asarray(distances <= 1)
    cross.flags.writeable = False
    return cross


def _repeated(
    input_: npt.ArrayLike,
    structure: npt.ArrayLike | None,
    iterations: int,
    mask: npt.ArrayLike | None,
    output: Output,
    border_value: Any,
    origin: Any,
    axes: Any,
    merge: np.ufunc,
) -> Array:
    """Erode or dilate so many times."""
    try:
        count = operator.index(iterations)
    except TypeError:
        raise TypeError(f"iterations parameter should be an integer; got {iterations!r}") from None
    array = np.asarray(input_)
    if array.dtype.kind == "c":
        raise TypeError(f"Complex type not supported; got {array.dtype}")
    arguments.supported(array)
    filtered = arguments.axes(axes, array.ndim)
    taps = _cross(len(filtered)) if structure is None else np.asarray(structure, bool)
    if taps.ndim != len(filtered) and len(filtered) == array.ndim:
        raise RuntimeError(
            f"structure and input must have same dimensionality; got {taps.ndim} axes and "
            f"{array.ndim}"
        )
    taps = arguments.expanded(taps, filtered, array.ndim, "structure")
    if taps.size < 1:
        raise RuntimeError(f"structure must not be empty; got shape {taps.shape}")
    stays = None if mask is None else np.asarray(mask) == 0
    if stays is not None and stays.shape != array.shape:
        raise RuntimeError(
            f"mask and input must have equal sizes; got {stays.shape} and {array.shape}"
        )
    steps = arguments.window(
        taps.shape, origin, "constant", bool(border_value), filtered, array.ndim
    )
    if isinstance(output, np.ndarray):
        if output.dtype.kind == "c":
            raise TypeError(f"Complex output type not supported; got {output.dtype}")
        out = arguments.output_for(array, output)
    else:
        out = np.empty(array.shape, bool)
    pixels = array if array.dtype.kind == "b" else array != 0
    result = _until(pixels, stays, steps, taps, count, merge, out)
    if result is not out:
        out[...] = result
    return out


def _until(
    pixels: Array,
    stays: Array | None,
    steps: Sequence[Step],
    taps: Array,
    count: int,
    merge: np.ufunc,
    out: Array,
) -> Array:
    """Erode or dilate booleans so many times, or until nothing changes.

    The result is in `out`, or elsewhere, because it lies in two arrays by turns.
    """
    if pixels.ndim and pixels.size <= FEW and np.count_nonzero(taps) <= FEW_TAPS and taps.any():
        return _until_of_few(pixels, stays, steps, taps, count, merge)
    usable = out.dtype == bool and not np.may_share_memory(out, pixels)
    first, after = pixels, out if usable else np.empty_like(pixels, order="C")
    done = 0
    while done < count or count < 1:
        _once(pixels, after, steps, taps, merge)
        if stays is not None:
            np.copyto(after, first, where=stays)
        done += 1
        now_and_then = count < 1 or (done < count and done % LOOKED == 0)
        if now_and_then and np.array_equal(pixels, after):
            return after
        spare = pixels if done > 1 else np.empty_like(after) if done != count else after
        pixels, after = after, spare
    return pixels


def _until_of_few(
    pixels: Array,
    stays: Array | None,
    steps: Sequence[Step],
    taps: Array,
    count: int,
    merge: np.ufunc,
) -> Array:
    """The same for so few pixels that a call of a pipeline takes longer; `taps` are one at least.

    The borders are filled once, for all iterations.
    """
    befores = [0] * pixels.ndim
    for step in steps:
        befores[step.axis] = step.before
    places = _places(pixels.shape, taps.shape, taps.tobytes(), tuple(befores))
    cells, inside, (first, *others) = places
    border = bool(steps and steps[0].border.value)
    now, after = np.full(cells, border), np.full(cells, border)
    now[inside] = pixels
    done = 0
    while done < count or count < 1:
        result = after[inside]
        np.copyto(result, now[first])
        for at in others:
            merge(result, now[at], out=result)
        if stays is not None:
            np.copyto(result, pixels, where=stays)
        done += 1
        if (count < 1 or done < count) and np.array_equal(now[inside], result):
            break
        now, after = after, now
    return result


Place = tuple[slice, ...]


@lru_cache(maxsize=64)
def _places(
    shape: tuple[int, ...], window: tuple[int, ...], content: bytes, befores: tuple[int, ...]
) -> tuple[tuple[int, ...], Place, list[Place]]:
    """The shape of an array with its borders, where the array lies in it, and each of the taps."""
    taps = np.frombuffer(content, bool).reshape(window)
    cells = tuple(size + more - 1 for size, more in zip(shape, window, strict=True))

    def place(at: Sequence[int]) -> Place:
        return tuple(slice(first, first + size) for first, size in zip(at, shape, strict=True))

    return cells, place(befores), [place(at) for at in np.argwhere(taps).tolist()]


def _once(pixels: Array, after: Array, steps: Sequence[Step], taps: Array, merge: np.ufunc) -> None:
    """Erode or dilate booleans, once. No tap at all covers only pixels that are True, and none."""
    if taps.all():
        along_axes(pixels, after, [step for step in steps if step.size > 1], merge)
    elif taps.any():
        under_footprint(pixels, after, steps, taps, None, merge)
    else:
        after[...] = merge is np.minimum
