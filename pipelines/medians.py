"""Medians of small windows, by networks of minima and maxima in vector registers.

    columns[f, y, n] = the sorted numbers of a column: cells[f, y * sy + ky * dy, n] for every ky
    out[0, x, y, n] = the median of  columns[x + kx * dx, y, n]  for every kx

A column of a volume's window has the numbers of all its slabs. A column is sorted once for all the
windows that it lies in. A comparator takes the smaller and the larger of two vectors of numbers,
and `convlens.ndimage.networks` says which comparators a median needs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import reduce
from math import prod
from operator import add, or_
from pathlib import Path

import halide as hl
import numpy as np
from levels import Level, Pipeline
from pooling import AXES, Pooling, Tail, Types, c, f, n, x, y

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from convlens.ndimage import networks
from convlens.ndimage.networks import Stage, network

NETWORKS = Path(networks.__file__)
k = hl.Var("k")


def sort(
    name: str, stage: Stage, at: tuple[hl.Var, ...], leaf: Callable[[int, int], hl.Expr]
) -> tuple[list[hl.Func], list[hl.Expr]]:
    """The layers of a stage of a network, and the numbers that they lead to.

    A comparison belongs to the layer behind those that it reads. So the comparisons of a layer are
    independent of each other, and a layer is one function, with a number for each of them.

    Parameters
    ----------
    name : str
    stage : Stage
    at : tuple of halide.Var
        The place for which the lists are sorted.
    leaf : callable
        Number `place` of list `tap`.
    """
    made: dict[int, hl.Expr] = {}
    depths: dict[int, int] = {}

    def number(node: int) -> hl.Expr:
        return made[node] if node in made else leaf(*divmod(node, stage.length))

    for each in stage.comparisons:
        depths[each.result] = 1 + max(depths.get(node, 0) for node in (each.first, each.second))
    layers = []
    for depth in range(1, max(depths.values(), default=0) + 1):
        layer = hl.Func(f"{name}_{depth}")
        some = [each for each in stage.comparisons if depths[each.result] == depth]
        layer[*at, k] = choice([merged(each.merge, *map(number, each[1:3])) for each in some])
        layer.bound(k, 0, len(some)).unroll(k)
        made |= {each.result: hl.Expr(layer[*at, i]) for i, each in enumerate(some)}
        layers.append(layer)
    return layers, [number(node) for node in stage.results if node is not None]


def merged(merge: np.ufunc, a: hl.Expr, b: hl.Expr) -> hl.Expr:
    """The smaller or the larger of two numbers, by one instruction, which may drop a NaN."""
    if not a.type().is_float():
        return hl.min(a, b) if merge is np.minimum else hl.max(a, b)
    return hl.select(a < b if merge is np.minimum else a > b, a, b)


def choice(numbers: list[hl.Expr]) -> hl.Expr:
    """Number k of these."""
    return hl.mux(k, numbers) if len(numbers) > 1 else numbers[0]


def mark(unordered: hl.Expr, numbers: hl.Type) -> hl.Expr:
    """NaN where that is so, and otherwise 0; without a constant, which would be read from memory.

    A processor reads a constant under a mask. If the mask never asks for it, its page may never
    have been loaded, and each time it takes hundreds of cycles to find that this does not matter.
    """
    bits = hl.Int(numbers.bits())
    return hl.reinterpret(numbers, hl.select(unordered, hl.cast(bits, -1), hl.cast(bits, 0)))


def medians(level: Level, types: Types, *, window: tuple[int, ...]) -> Pipeline:
    """Sort the columns under a row of windows, and then select from those of each window.

    The last number of a sorted column of floats is NaN if one of its numbers is, and otherwise 0.
    """
    *deep, kh, kw = window
    pool = Pooling(level, types, "median", channels=1, volume=bool(deep), held=True)
    lanes, cells, out = level.lanes(pool.numbers), pool.cells, pool.out
    height, floats = prod((*deep, kh)), pool.numbers.is_float()
    stages = list(network(tuple(size for size in (height, kw) if size > 1), height * kw // 2))
    alone = Stage(1, 1, (), (0,))  # a list of one number
    sorting = stages.pop(0) if height > 1 else alone
    merging = stages.pop(0) if kw > 1 else alone

    def cell(tap: int, _place: int = 0) -> hl.Expr:
        slab, row = divmod(tap, kh)
        return cells.at(f, y * pool.sy + row * pool.dy, n, *([slab] if deep else []))

    columns = hl.Func("columns")
    sorts, numbers = sort("column", sorting, (f, y, n), cell)
    if floats:
        unordered = [hl.is_nan(cell(tap)) for tap in range(height)]
        numbers.append(mark(reduce(or_, unordered), pool.numbers))
    columns[f, y, n, k] = choice(numbers)

    def below(tap: int, place: int) -> hl.Expr:
        return hl.Expr(columns[x + tap * pool.dx, y, n, place])

    merges, (median,) = sort("across", merging, AXES, below)
    if floats:
        unordered = reduce(add, [below(tap, len(numbers) - 1) for tap in range(kw)])
        median = hl.select(hl.is_nan(unordered), unordered, median)
    pool.give(median)

    xo, xi, fo, fi = (hl.Var(name) for name in ("xo", "xi", "fo", "fi"))
    out.bound(c, 0, 1).output_buffer().dim(0).set_stride(hl.Expr())
    out.output_buffer().dim(1).set_stride(1)
    out.split(y, hl.Var("strips"), y, pool.strip, Tail.ShiftInwards)
    out.split(x, xo, xi, lanes, Tail.PredicateStores).vectorize(xi)
    task = pool.by_strips([xi, xo, c, y])
    for layer in merges:
        layer.compute_at(out, xo).bound_extent(c, 1).bound_extent(x, lanes).vectorize(x)
    columns.compute_at(out, y).hoist_storage(out, task)
    columns.bound(k, 0, len(numbers)).unroll(k).reorder_storage(f, k, y, n)
    columns.split(f, fo, fi, lanes, Tail.RoundUp).vectorize(fi).reorder(fi, k, fo)
    for layer in sorts:
        layer.compute_at(columns, fo).vectorize(f)
    cells.fill_at(out, n, task, lanes)
    return Pipeline(out, pool.arguments, strict=True)
