"""Read what is typed at a prompt: filters with parameters, kernel files, shapes and pairs."""

from __future__ import annotations

import re
from difflib import get_close_matches
from inspect import Parameter, signature
from math import isinf
from pathlib import Path
from typing import Any

import numpy as np

from convlens import filters
from convlens.arguments import PADDING_WORDS
from convlens.core.problem import Array

KERNEL_FILES = (".npy", ".txt", ".csv")


def kernel(text: str) -> Array:
    """Read kernels from the name of a filter with its parameters, or from a file.

    Parameters
    ----------
    text : str
        A name of `convlens.filters`, which parameters may follow after a colon; or the path of a
        .npy file, or of a .txt or .csv file with rows of numbers.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError, TypeError
        If there is no such filter, or its parameters or the file's numbers are wrong.

    Examples
    --------
    >>> kernel("gaussian:sigma=2").shape
    (13, 13)
    >>> kernel("box:3x5").shape
    (3, 5)
    """
    path = kernel_path(text)
    if path is not None:
        return _from_file(path)
    name, _, parameters = text.partition(":")
    name = name.strip().replace("-", "_")
    if name not in filters.__all__:
        close = get_close_matches(name, filters.__all__, n=1)
        hint = f"did you mean {close[0]}?" if close else "`convlens filters` lists them"
        raise ValueError(f"there is no filter {name!r}: {hint}")
    positional: list[Any] = []
    by_name: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in parameters.split(","))):
        key, equals, value = part.partition("=")
        if key.strip() in by_name:
            raise ValueError(f"{text}: {key.strip()} is given twice")
        if equals:
            by_name[key.strip()] = _value(value.strip())
        else:
            positional.append(_value(key))
    function = getattr(filters, name)
    try:
        signature(function).bind(*positional, **by_name)
    except TypeError as error:
        raise ValueError(f"{text}: {error}; the filter is {described(name)}") from None
    made: Array = function(*positional, **by_name)
    return made


def kernel_path(text: str) -> Path | None:
    """The path of a kernel file, or None if the text is the name of a filter."""
    path = Path(text)
    return path if path.suffix.lower() in KERNEL_FILES else None


def described(name: str) -> str:
    """A filter as it can be typed, with the default of every parameter.

    Examples
    --------
    >>> described("motion_blur"), described("sobel_x")
    ('motion_blur:length=9,angle=0.0,dtype=float64', 'sobel_x')
    """
    parameters = signature(getattr(filters, name)).parameters.values()
    return name + ":" * bool(parameters) + ",".join(map(_parameter, parameters))


def _parameter(parameter: Parameter) -> str:
    default = "auto" if parameter.default is None else str(parameter.default).lower()
    return f"{parameter.name}={default}"


def _value(text: str) -> Any:
    """A number, a pair such as 3x5, true, false, or auto (None); else the text itself.

    A text is passed on because the filter can refuse it with a better message, or knows it.
    """
    words = {"true": True, "false": False, "auto": None}
    if text.lower() in words:
        return words[text.lower()]
    if re.fullmatch(r"\d+x\d+", text):
        return tuple(map(int, text.split("x")))
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _from_file(path: Path) -> Array:
    if path.suffix.lower() == ".npy":
        with open(path, "rb") as file:
            try:
                loaded: Array = np.lib.format.read_array(file, allow_pickle=False)
            except ValueError as error:
                raise ValueError(f"{path} is no .npy file of numbers: {error}") from None
            return loaded
    try:
        rows = [
            [_number(word) for word in line.replace(",", " ").split()]
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.strip()
        ]
    except ValueError as error:
        raise ValueError(f"{path} must hold rows of numbers: {error}") from None
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError(f"{path} must hold rows of numbers, all of the same length")
    numbers = np.array(rows)
    if numbers.dtype == object:
        raise ValueError(
            f"{path} holds integers of more than 64 bits; write them as floats, such as 1e20"
        )
    return numbers


def _number(word: str) -> float:
    try:
        return int(word)
    except ValueError:
        number = float(word)
    if isinf(number) and "inf" not in word.lower():
        raise ValueError(f"{word[:20]}… is beyond 1.8e308, the largest number")
    return number


def pair(text: str) -> int | tuple[int, int]:
    """Read one number for both directions, or two: down and across.

    Examples
    --------
    >>> pair("2"), pair("2,3"), pair("2x3")
    (2, (2, 3), (2, 3))
    """
    numbers = [int(word) for word in re.split(r"[,x]", text)]
    if len(numbers) > 2:
        raise ValueError(text)
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def padding(text: str) -> str | int | tuple[Any, Any]:
    """Read a padding: a word, or one number for all sides, two for both directions, or four.

    Four numbers are the cells above, below, left and right.

    Examples
    --------
    >>> padding("same"), padding("1"), padding("1,2"), padding("0,1,2,3")
    ('same', 1, (1, 2), ((0, 1), (2, 3)))
    """
    if text in PADDING_WORDS:
        return text
    numbers = [int(word) for word in text.split(",")]
    if len(numbers) == 4:
        return (numbers[0], numbers[1]), (numbers[2], numbers[3])
    return pair(text)


def shape(text: str) -> tuple[int, ...] | None:
    """Read a shape such as 50000x28x28; None if the text is not of this form.

    Examples
    --------
    >>> shape("50000x28x28"), shape("photo.png")
    ((50000, 28, 28), None)
    """
    return tuple(map(int, text.split("x"))) if re.fullmatch(r"\d+(x\d+)+", text) else None
