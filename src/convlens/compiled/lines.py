"""The largest or smallest number under a window of any shape, as lines of taps along its last axis.

Lines of the same length share the work of merging along it. All cells are taken for one long row:
a line lies so many cells behind the place of an output, whatever axes it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from convlens.compiled import choice
from convlens.compiled.choice import NAMES, DType
from convlens.compiled.library import Run, buffer, loaded
from convlens.core.memory import Memory
from convlens.core.problem import Array

TYPES = tuple(map(np.dtype, ("u1", "i2", "u2", "f4", "f8")))  # that there are pipelines for
BYTES = 2**18  # of the runs of a band of rows, at the most: a core's cache holds them
CELLS = 2**21  # bytes of cells that are filtered at a time
WORTH = 2**21  # bytes of cells times lines, from which a call of a pipeline pays
BLOCK = 256  # bytes that rows of the output are a multiple of

Lines = Mapping[int, Sequence[tuple[int, ...]]]  # for each length, the first taps


def serves(dtype: DType) -> bool:
    """Whether there is a pipeline for a type."""
    return choice.missing() is None and dtype.newbyteorder("=") in TYPES


class _Chain(NamedTuple):
    """The lengths of runs that are merged, in their order, and of what each is merged."""

    lengths: tuple[int, ...]
    halves: Array  # (lengths, 2): the number of the shorter length, and how far apart both begin


@lru_cache(maxsize=256)
def _chain(needed: tuple[int, ...]) -> _Chain:
    powers = [2**n for n in range(max(needed).bit_length())]
    lengths = sorted({*powers, *needed})
    halves = [
        (lengths.index(half), length - half)
        for length in lengths
        for half in [2 ** max(0, (length - 1).bit_length() - 1)]
    ]
    return _Chain(tuple(lengths), np.array(halves, np.int32))


def pays(cells: Array, lines: Lines) -> bool:
    """Whether so many cells and lines are worth the call of a pipeline."""
    return cells.nbytes * sum(map(len, lines.values())) >= WORTH


def merge(cells: Array, lines: Lines, window: Sequence[int], mode: str, memory: Memory) -> Array:
    """The largest ("max") or smallest ("min") cell under a window, wherever it lies on the cells.

    Parameters
    ----------
    cells : array
        Of a type that is served.
    lines : mapping
        The lines of taps: for each length, where those of that length begin in the window.
    window : sequence of int
        The window's taps along each axis of the cells.
    mode : {"max", "min"}
    memory : Memory
        Where the result lies until the next call.

    Returns
    -------
    numpy.ndarray
        (*places), in the cells' type.
    """
    shape = [size - taps + 1 for size, taps in zip(cells.shape, window, strict=True)]
    dtype = cells.dtype.newbyteorder("=")
    apart = [prod(cells.shape[axis + 1 :]) for axis in range(cells.ndim)]
    chain = _chain(tuple(sorted(lines)))
    places = [
        [sum(a * b for a, b in zip(at, apart, strict=True)), chain.lengths.index(length)]
        for length, starts in lines.items()
        for at in starts
    ]
    rows = np.zeros(1, np.int32)
    for size, distance in zip(shape[:-1], apart[:-1], strict=True):
        rows = np.add.outer(rows, np.arange(size, dtype=np.int32) * distance).reshape(-1)
    block = BLOCK * 2 // dtype.itemsize
    columns = -(-shape[-1] // block) * block
    behind = columns + max(place for place, _ in places)  # cells from a row's first place on
    per_row = max(1, (int(rows[-1]) + behind) // len(rows))
    band = max(8, BYTES // (dtype.itemsize * len(chain.lengths) * per_row))
    tasks = -(-len(rows) // band)
    tasks = -(-tasks // loaded().threads) * loaded().threads
    band = max(1, -(-len(rows) // tasks))
    last = rows[np.minimum(np.arange(band - 1, len(rows) + band - 1, band), len(rows) - 1)]
    span = -(-(int((last - rows[::band]).max()) + behind) // block) * block
    row = memory.array("row", (int(rows[-1]) + span,), dtype)
    row[: cells.size].reshape(cells.shape)[...] = cells
    row[cells.size :] = 0
    out = memory.array("out", (len(rows), columns), dtype)
    columns_of = np.ascontiguousarray(np.array(places, np.int32).T)
    name = NAMES[dtype]
    variant = loaded().variants.choose({}, [(f"lines_{mode}", name, name, name)])
    arguments = {
        "cells": buffer(row),
        "rows": buffer(rows),
        "places": buffer(columns_of[0]),
        "lengths": buffer(columns_of[1]),
        "halves": buffer(chain.halves),
        "band": band,
        "span": span,
        "reach": max(chain.lengths),
        "out": buffer(out),
    }
    Run(loaded(), variant, arguments, [])()
    return out[:, : shape[-1]].reshape(shape)
