"""Read what is typed at a prompt: filters with parameters, kernel files, shapes and numbers."""

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
from convlens.files import NPZ

# What words that name no filter are likely to mean.
_MEANT = {
    "blur": "gaussian:sigma=2 or box:5",
    "smooth": "gaussian:sigma=2 or box:5",
    "edge": "sobel_x, sobel_y, laplacian or outline",
    "edges": "sobel_x, sobel_y, laplacian or outline",
    "sobel": "sobel_x or sobel_y",
    "prewitt": "prewitt_x or prewitt_y",
    "scharr": "scharr_x or scharr_y",
    "mean": "box:3, the mean of 3 x 3 pixels",
    "average": "box:3, the mean of 3 x 3 pixels",
    "avg": "box:3, the mean of 3 x 3 pixels",
}
KERNEL_FILES = (".npy", ".txt", ".csv")


def kernel(text: str, space: int = 2) -> Array:
    """Read kernels from the name of a filter with its parameters, or from a file.

    Parameters
    ----------
    text : str
        A name of `convlens.filters`, which parameters may follow after a colon; or the path of a
        .npy file, or of a .txt or .csv file with rows of numbers.
    space : {1, 2, 3}
        The number of spatial axes. Filters with names have two.

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
    if text.lower().endswith(".npz"):
        raise ValueError(f"{text} {NPZ}")
    path = kernel_path(text)
    if path is not None:
        return _from_file(path, space)
    name, _, parameters = text.partition(":")
    name = name.strip().replace("-", "_")
    if name.lower() in _MEANT:
        raise ValueError(f"there is no filter {name!r}: try {_MEANT[name.lower()]}")
    if name not in filters.__all__:
        close = get_close_matches(name, filters.__all__, n=1)
        hint = f"did you mean {close[0]}?" if close else "`convlens filters` lists them"
        raise ValueError(f"there is no filter {name!r}: {hint}")
    if space != 2:
        raise ValueError(
            f"{name} is a filter for images: give kernels for --space {space} in a .npy file"
            + " or as one row of numbers in a .txt or .csv file" * (space == 1)
        )
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


def _from_file(path: Path, space: int) -> Array:
    if path.suffix.lower() == ".npy":
        with open(path, "rb") as file:
            try:
                loaded: Array = np.lib.format.read_array(file, allow_pickle=False)
            except ValueError as error:
                raise ValueError(f"{path} is no .npy file of numbers: {error}") from None
            return loaded
    if space == 3:
        raise ValueError(f"{path} holds rows of numbers, not slabs: use a .npy file for --space 3")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # spreadsheets write the mark
        rows = [_row(line) for line in lines if line.strip()]
    except ValueError as error:
        raise ValueError(f"{path} must hold rows of numbers: {error}") from None
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError(f"{path} must hold rows of numbers, all of the same length")
    numbers = np.array(rows)
    if numbers.dtype == object:
        raise ValueError(
            f"{path} holds integers of more than 64 bits; write them as floats, such as 1e20"
        )
    if space == 1:
        if 1 not in numbers.shape:
            raise ValueError(
                f"{path} must hold one row of numbers, or one number in each row, for --space 1; "
                f"got {numbers.shape[0]} rows of {numbers.shape[1]}"
            )
        return numbers.ravel()
    return numbers


def _row(line: str) -> list[float]:
    """The numbers of a line, between spaces, commas or semicolons."""
    if re.search(r"\d,\d+[\s;]+-?\d+,\d", line):
        raise ValueError(
            f"{line.strip()[:40]!r} seems to have decimal commas: write points, as in 0.25"
        )
    return [number(word) for word in re.split(r"[\s,;]+", line.strip(" \t,;"))]


def number(text: str) -> float:
    """Read a number, whole or not.

    Examples
    --------
    >>> number("3"), number("1e3")
    (3, 1000.0)
    """
    try:
        return int(text)
    except ValueError:
        read = float(text)
    if isinf(read) and "inf" not in text.lower():
        raise ValueError(f"{text[:20]}… is beyond 1.8e308, the largest number")
    return read


def numbers(text: str, space: int = 2) -> int | tuple[int, ...]:
    """Read one number for all spatial axes, or one for each, the outermost first.

    Examples
    --------
    >>> numbers("2"), numbers("2,3"), numbers("1x2x3", space=3)
    (2, (2, 3), (1, 2, 3))
    """
    each = tuple(int(word) for word in re.split(r"[,x]", text))
    if len(each) not in (1, space):
        raise ValueError(text)
    return each[0] if len(each) == 1 else each


def counts(text: str, space: int = 2) -> int | tuple[int, ...]:
    """Read numbers of at least 1, as `numbers` does: windows, strides and dilations.

    Examples
    --------
    >>> counts("2,3")
    (2, 3)
    """
    read = numbers(text, space)
    if min(read if isinstance(read, tuple) else (read,)) < 1:
        raise ValueError(text)
    return read


def page(text: str) -> int | str:
    """Read the number of a page, counted from 1, or the word all.

    Examples
    --------
    >>> page("3"), page("all")
    (3, 'all')
    """
    if text == "all":
        return text
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def padding(text: str, space: int = 2) -> str | int | tuple[Any, ...]:
    """Read a padding: a word, or one number for all sides, one for each axis, or two for each.

    Examples
    --------
    >>> padding("same"), padding("1"), padding("1,2"), padding("0,1,2,3")
    ('same', 1, (1, 2), ((0, 1), (2, 3)))
    """
    if text in PADDING_WORDS:
        return text
    cells = [int(word) for word in text.split(",")]
    if len(cells) == 2 * space:
        return tuple(zip(cells[::2], cells[1::2], strict=True))
    return numbers(text, space)


def shape(text: str, space: int = 2) -> tuple[int, ...] | None:
    """Read a shape such as 50000x28x28; None if the text is not of this form.

    A single number is the shape of a signal, but otherwise none.

    Examples
    --------
    >>> shape("50000x28x28"), shape("10000", space=1), shape("photo.png")
    ((50000, 28, 28), (10000,), None)
    """
    form = r"\d+(x\d+)*" if space == 1 else r"\d+(x\d+)+"
    return tuple(map(int, text.split("x"))) if re.fullmatch(form, text) else None
