"""The largest or smallest number under a window of any shape, as lines of taps along its last axis.

A line is merged from one or two runs of cells, which may overlap, and whose length is a power of
two. All cells are taken for one long row: a line lies so many cells behind the place of an output,
whatever axes it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

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
    powers = max(lines).bit_length()
    halves = np.array([(max(0, k - 1), 2**k // 2) for k in range(powers)], np.int32)
    places = [  # of the runs under lines: where they begin, and which power of two their length is
        [begin, length.bit_length() - 1]
        for length, starts in lines.items()
        for at in starts
        for first in [sum(a * b for a, b in zip(at, apart, strict=True))]
        for begin in sorted({first, first + length - 2 ** (length.bit_length() - 1)})
    ]
    rows = np.zeros(1, np.int32)
    for size, distance in zip(shape[:-1], apart[:-1], strict=True):
        rows = np.add.outer(rows, np.arange(size, dtype=np.int32) * distance).reshape(-1)
    block = BLOCK // dtype.itemsize
    columns = -(-shape[-1] // block) * block
    behind = columns + max(place for place, _ in places)  # cells from a row's first place on
    per_row = max(1, (int(rows[-1]) + behind) // len(rows))
    band = max(8, BYTES // (dtype.itemsize * powers * per_row))
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
        "halves": buffer(halves),
        "band": band,
        "span": span,
        "reach": 2**powers,
        "out": buffer(out),
    }
    Run(loaded(), variant, arguments, [])()
    return out[:, : shape[-1]].reshape(shape)
