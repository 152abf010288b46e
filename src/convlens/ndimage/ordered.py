"""Sums in SciPy's order, term by term, in float64: for results that show the last bit.

An integer is what is left of a sum that is cut off, so that it shows how each addition was rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from convlens.compiled.library import Run, buffer, frame, loaded
from convlens.core.problem import Array
from convlens.ndimage import engine
from convlens.ndimage.blocks import shifted

EPSILON = np.finfo(np.float64).eps  # SciPy takes weights that differ by less for equal
PIPELINE = "ordered_terms_f64_f64_f64"
LEAST = 64  # sums that the pipeline computes at once
STRIP = 2**14  # sums of a task

MOST = 16  # shapes of cells whose runs are kept

Place = tuple[int, ...]  # of a tap, in the window


class Terms(NamedTuple):
    """The terms of a sum in their order: a weight times the number under a tap, or under two.

    Attributes
    ----------
    weights : (terms,)
    first : list of tuple
        The place of each term's tap in the window.
    second : list of tuple
        The place of another tap, whose number is added to that of the first; for the first term,
        which has none, any.
    sign : int
        1 if it is added, -1 if it is subtracted, 0 if there is none.
    """

    weights: Array
    first: list[Place]
    second: list[Place]
    sign: int


def of_line(weights: Array, axis: int, rank: int) -> Terms:
    """The terms of a correlation along an axis.

    SciPy adds up pairs of taps with equal or opposite weights, from the outermost to the innermost,
    to that in the middle; other taps one after another, to the last.
    """
    sign, last, half = symmetry(weights), len(weights) - 1, len(weights) // 2
    order = [half, *range(half)] if sign else [last, *range(last)]
    other = [last - tap for tap in order] if sign else order

    def places(taps: list[int]) -> list[Place]:
        return [tuple(tap if n == axis else 0 for n in range(rank)) for tap in taps]

    return Terms(weights[order], places(order), places(other), sign)


def of_window(weights: Array) -> Terms:
    """The terms of a correlation with a window, those of no weight left out."""
    places = [tuple(at) for at in np.argwhere(weights).tolist()]
    numbers = np.array([weights[at] for at in places])
    return Terms(numbers, places, places, 0)


def symmetry(weights: Array) -> int:
    """1 if an odd number of weights are symmetric, -1 if they are antisymmetric, or else 0."""
    if len(weights) % 2 == 0:
        return 0
    half = len(weights) // 2
    left, right = weights[:half], weights[: -half - 1 : -1]
    if not (np.abs(right - left) > EPSILON).any():
        return 1
    return 0 if (np.abs(right + left) > EPSILON).any() else -1


def along_axis(line: Array, axis: int, rank: int) -> Sums:
    """The sums of a correlation along an axis of so many."""
    if line.size > engine.FEW:
        return Sums(of_line(line, axis, rank))
    return _known(line.tobytes(), line.shape, axis, rank)


def under_window(weights: Array) -> Sums:
    """The sums of a correlation with a window."""
    if weights.size > engine.FEW:
        return Sums(of_window(weights))
    return _known(weights.tobytes(), weights.shape, None, weights.ndim)


@lru_cache(maxsize=64)
def _known(content: bytes, shape: tuple[int, ...], axis: int | None, rank: int) -> Sums:
    """The same of weights of float64 with these numbers, cached because calls often repeat."""
    weights = np.frombuffer(content).reshape(shape)
    return Sums(of_window(weights) if axis is None else of_line(weights, axis, rank))


class Sums:
    """The sums of some terms, for blocks of cells.

    Parameters
    ----------
    terms : Terms
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._runs: dict[tuple[int, ...], Run] = {}
        self._compiled = engine.runs(np.dtype(np.float64))

    def __call__(self, cells: Array, shape: Sequence[int]) -> Array:
        """The sums for outputs of this shape; the cells are of float64."""
        if len(self._terms.weights) == 0:
            return np.zeros(shape)
        # The pipeline takes cells that lie flat in memory. It goes through those between the ends
        # of two rows, too, where no output is.
        cells = np.ascontiguousarray(cells)
        apart = [stride // cells.itemsize for stride in cells.strides]
        count = cells.size - sum(
            (size - n) * stride for size, n, stride in zip(cells.shape, shape, apart, strict=True)
        )
        if not self._compiled or count < LEAST:
            return self._in_numpy(cells, shape)
        run = self._runs.get(cells.shape)
        if run is None:
            if len(self._runs) >= MOST:
                self._runs.clear()
            run = self._runs[cells.shape] = self._run(cells, apart, count)
        sums = np.empty(count)
        run(cells.reshape(-1), sums)
        return as_strided(sums, tuple(shape), cells.strides)

    def _run(self, cells: Array, apart: list[int], count: int) -> Run:
        """The pipeline for cells of this shape, where a step along each axis is so far."""
        weights, first, second, sign = self._terms

        def distances(places: list[Place]) -> Array:
            return np.array([np.dot(place, apart) for place in places], np.int32)

        arguments = {
            "cells": frame((cells.size,), (cells.itemsize,), cells.dtype),
            "weights": buffer(weights),
            "first": buffer(distances(first)),
            "second": buffer(distances(second)),
            "sign": sign,
            "strip": min(STRIP, count),
            "out": frame((count,), (cells.itemsize,), cells.dtype),
        }
        library = loaded()
        return Run(library, library.variants.by_name[PIPELINE], arguments, ["cells", "out"])

    def _in_numpy(self, cells: Array, shape: Sequence[int]) -> Array:
        weights, first, second, sign = self._terms
        total: Array = np.multiply(shifted(cells, first[0], shape), weights[0])
        merge, term = np.add if sign > 0 else np.subtract, np.empty_like(total)
        for weight, one, other in zip(weights[1:], first[1:], second[1:], strict=True):
            numbers = shifted(cells, one, shape)
            if sign:
                numbers = merge(numbers, shifted(cells, other, shape), out=term)
            total += np.multiply(numbers, weight, out=term)
        return total
