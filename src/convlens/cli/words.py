"""What the commands print: sentences, JSON, and small drawings of kernels."""

from __future__ import annotations

import json
import os
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Any

import click
import numpy as np

from convlens.core.problem import Array
from convlens.files import STREAM, TEMPORARY

FULL = (EDQUOT, EFBIG, ENOSPC)  # errors of writing, which name no file


def sentence(error: BaseException, source: Path | None = None, target: Path | None = None) -> str:
    """Describe an error in one line, naming the file unless it is the `source`.

    Outputs are written under names of their own, which say nothing to a user: then the `target` is
    named.
    """
    if isinstance(error, click.ClickException):
        words = error.format_message()
    elif isinstance(error, OSError) and error.strerror:
        name = error.filename
        unnamed = name is None and error.errno in FULL
        if target is not None and (
            unnamed or Path(os.fsdecode(name or "")).name.startswith(TEMPORARY)
        ):
            name = "standard output" if target == STREAM else target
        other = name is not None and str(name) != str(source)
        words = f"{name}: {error.strerror}" if other else error.strerror
    else:
        words = str(error) or type(error).__name__
    return " ".join(words.split())


def complain(message: str) -> None:
    """Print what is wrong on standard error."""
    click.echo(f"convlens: {shown(message)}", err=True)


def shown(text: object) -> str:
    """A text with the bytes of names that are not UTF-8 replaced."""
    return str(text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value))


def drawn(kernel: Array) -> list[str]:
    """The lines that show a kernel (kh, kw) as a small picture with its numbers beside it."""
    if kernel.ndim != 2 or kernel.dtype.kind not in "iuf" or not np.isfinite(kernel).all():
        raise ValueError(
            f"only finite kernels (kh, kw) can be shown; got {kernel.shape} {kernel.dtype}"
        )
    shades = np.array(list(" ░▒▓█"))
    low, high = kernel.min(), kernel.max()
    levels = np.full(kernel.shape, 4)
    if high > low:
        levels = np.rint((kernel - low) / (high - low) * 4).astype(int)
    whole = kernel.dtype.kind != "f"
    numbers = [[f"{n:d}" if whole else f"{n:.3f}" for n in row] for row in kernel.tolist()]
    width = max(len(number) for row in numbers for number in row)
    return [
        "".join(shade * 2 for shade in shades[row])
        + "   "
        + " ".join(f"{n:>{width}}" for n in line)
        for row, line in zip(levels, numbers, strict=True)
    ]
