"""What SciPy's functions take, normalised or refused with SciPy's kind of error.

A program that catches an error of `scipy.ndimage` must catch ours, so that many of these are
RuntimeErrors. The words that SciPy's own tests look for are kept, with what was received.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from convlens import hints
from convlens.core.axis import Border
from convlens.core.problem import Array

# SciPy's names for what lies beyond the edge, and those of `numpy.pad`, which `Border` has.
MODES = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "constant": "constant",
    "grid-constant": "constant",
    "wrap": "wrap",
    "grid-wrap": "wrap",
}
ORIGIN = "invalid origin"
Output = npt.NDArray[Any] | npt.DTypeLike | None
Result = TypeVar("Result")


class Step(NamedTuple):
    """A window along one axis.

    Attributes
    ----------
    axis, size : int
        The number of the axis, and that of the window's taps.
    before : int
        The taps before the one that lies on the output's own pixel.
    border : Border
        What lies beyond the edges of the axis.
    """

    axis: int
    size: int
    before: int
    border: Border


def remembered(function: Callable[..., Result]) -> Callable[..., Result]:
    """Keep the latest results of a function whose arguments may be lists now and then."""
    cached = lru_cache(maxsize=256, typed=True)(function)

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Result:
        try:
            return cached(*args, **keywords)
        except TypeError:  # Lists and arrays have no hash; what else is wrong is refused again.
            pass
        return function(*args, **keywords)

    return call


def border(mode: object, cval: Any) -> Border:
    """The border of a mode, with the number that cells of a constant one hold."""
    if not isinstance(mode, str) or mode not in MODES:
        close = hints.word(mode, tuple(MODES), {}) if isinstance(mode, str) else ""
        raise RuntimeError(
            f"boundary mode not supported: mode must be one of {', '.join(map(repr, MODES))}; "
            f"got {mode!r}{close}"
        )
    return Border(MODES[mode], cval)


def one_border(mode: object, cval: Any) -> Border:
    """The border of a window that is not a product of lines, whose mode is the same everywhere."""
    if not isinstance(mode, str) and isinstance(mode, Iterable):
        raise RuntimeError(
            f"A sequence of modes is not supported for weights and footprints that are not a "
            f"product of one line along each axis; got mode={mode!r}: give one mode"
        )
    return border(mode, cval)


def sequence(value: Any, rank: int, name: str) -> list[Any]:
    """One value for each axis, from one for all or a sequence of as many as there are axes."""
    if isinstance(value, str) or not np.iterable(value):
        return [value] * rank
    values = list(value)
    if len(values) != rank:
        raise RuntimeError(
            f"sequence argument must have length equal to input rank: {name} must be one value or "
            f"{rank}, one for each axis; got {len(values)}"
        )
    return values


def axis(number: Any, rank: int) -> int:
    """The number of an axis, counted from the first."""
    given = operator.index(number)
    if not -rank <= given < rank:
        raise np.exceptions.AxisError(given, rank)
    return given % rank


def axes(given: Any, rank: int) -> tuple[int, ...]:
    """The numbers of the axes to filter along: all of them for None."""
    if given is None:
        return tuple(range(rank))
    if np.isscalar(given):
        given = (given,)
    elif not isinstance(given, Iterable):
        raise ValueError(f"axes must be an integer, iterable of integers, or None; got {given!r}")
    numbers = tuple(operator.index(each) for each in given)
    for number in numbers:
        if not -rank <= number < rank:
            raise ValueError(
                f"specified axis: {number} is out of range for an input of {rank} axes"
            )
    numbers = tuple(number % rank for number in numbers)
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"axes must be unique; got {given!r}")
    return numbers


@remembered
def rectangle(
    size: Any, origin: Any, mode: Any, cval: Any, axes_given: Any, rank: int
) -> tuple[Step, ...]:
    """The steps of a rectangular window, but for those of a single tap."""
    filtered = axes(axes_given, rank)
    given = (size, "size"), (origin, "origin"), (mode, "mode")
    each = [sequence(value, len(filtered), name) for value, name in given]
    return tuple(
        Step(number, int(taps), before(int(taps), at), border(how, cval))
        for number, taps, at, how in zip(filtered, *each, strict=True)
        if taps > 1
    )


@remembered
def line(
    axis_given: Any, size: int, origin: Any, mode: Any, cval: Any, rank: int, message: str = ORIGIN
) -> Step:
    """The step of a window along one axis."""
    number, how = axis(axis_given, rank), border(mode, cval)
    return Step(number, size, before(size, origin, message), how)


@remembered
def window(
    shape: tuple[int, ...],
    origin: Any,
    mode: Any,
    cval: Any,
    filtered: tuple[int, ...],
    rank: int,
    *,
    flipped: bool = False,
    message: str = ORIGIN,
) -> tuple[Step, ...]:
    """The steps of a window, of weights or a footprint, of this shape on all axes of the input.

    If it is `flipped`, its origins count in the other direction.
    """
    each = origins(origin, filtered, rank)
    if flipped:
        each = [-at - (size % 2 == 0) for at, size in zip(each, shape, strict=True)]
    befores = [before(size, at, message) for size, at in zip(shape, each, strict=True)]
    how = one_border(mode, cval)
    return tuple(Step(number, shape[number], befores[number], how) for number in sorted(filtered))


def before(size: int, origin: Any, message: str = ORIGIN) -> int:
    """The taps of a window before the one on the output's pixel; the origin moves that tap."""
    first = size // 2 + operator.index(origin)
    if not 0 <= first < size:
        raise ValueError(
            f"{message}: a window of {size} taps has origins from {-(size // 2)} to "
            f"{(size - 1) // 2}; got {origin}"
        )
    return first


def real(array: Array) -> Array:
    """An array of real numbers, in a type that SciPy's filters take."""
    if array.dtype.kind == "c":
        raise TypeError(f"Complex type not supported; got {array.dtype}: filter .real and .imag")
    return supported(array)


def supported(array: Array, of: str = "input") -> Array:
    """An array in a type that SciPy's filters take: booleans, integers, float32 and float64."""
    dtype = array.dtype
    if dtype.kind in "biu" or (dtype.kind == "f" and dtype.itemsize in (4, 8)):
        return array
    raise RuntimeError(
        f"data type not supported: the {of} must be of booleans, integers, float32 or float64; "
        f"got {dtype}"
    )


def output_for(input_: Array, output: Any, *, of_complex: bool = False) -> Array:
    """The array to write into: the one that was given, or a new one of the type that was given.

    With `of_complex` it holds complex numbers. By default it has the input's type.
    """
    if output is None:
        dtype = input_.dtype if input_.dtype.isnative else input_.dtype.newbyteorder("=")
        if of_complex:
            dtype = np.promote_types(dtype, np.complex64)
    elif isinstance(output, (type, np.dtype)):
        dtype = np.dtype(output)
        if of_complex and dtype.kind != "c":
            warnings.warn("promoting specified output dtype to complex", stacklevel=5)
            dtype = np.promote_types(dtype, np.complex64)
    elif isinstance(output, str):
        dtype = np.dtype(output)
        if of_complex and dtype.kind != "c":
            raise RuntimeError(f"output must have complex dtype; got {output!r}")
        if not issubclass(dtype.type, np.number):
            raise RuntimeError(f"output must have numeric dtype; got {output!r}")
    else:
        array = np.asarray(output)
        if array.shape != input_.shape:
            raise RuntimeError(
                f"output shape not correct: it must be {input_.shape}; got {array.shape}"
            )
        if of_complex and array.dtype.kind != "c":
            raise RuntimeError(f"output must have complex dtype; got {array.dtype}")
        if not array.flags.writeable:
            raise ValueError("output is read-only")
        return array
    return np.empty(input_.shape, dtype)


def expanded(
    array: Array, filtered: Sequence[int], rank: int, name: str, *, of_rank: str = "len(axes)"
) -> Array:
    """A footprint or weights with one tap along the axes of the input that are not filtered."""
    if array.ndim != len(filtered):
        raise RuntimeError(f"{name}.ndim ({array.ndim}) must match {of_rank} ({len(filtered)})")
    index: list[Any] = [np.newaxis] * rank
    for number in filtered:
        index[number] = slice(None)
    # SciPy puts the window's axes in the order of the input's, whatever the order of `axes`.
    full: Array = array[tuple(index)]
    return full


def origins(origin: Any, filtered: Sequence[int], rank: int) -> list[int]:
    """An origin for each axis of the input: 0 for those that are not filtered.

    Where all are, SciPy reads origins in the order of the input's axes, whatever that of `axes`.
    """
    given = [operator.index(each) for each in sequence(origin, len(filtered), "origin")]
    if len(filtered) == rank:
        return given
    each = [0] * rank
    for number, value in zip(filtered, given, strict=True):
        each[number] = value
    return each
