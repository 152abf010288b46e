"""Medians of nine numbers, three rows of three, where all of them are pixels.

They are those of `medians`, to the bit, by the same comparators in the same order: that decides
which of 0 and -0 is kept. But columns are read from the images themselves, without cells. And a
tile has two rows, whose columns have two of four numbers in common.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_

import halide as hl
from levels import Level, Pipeline
from medians import choice, mark, sort
from pooling import AXES, Pooling, Tail, Types, c, f, n, x, y

from convlens.ndimage.networks import network

ROWS = 2  # of a tile
# The vectors in a row of stored columns are a multiple of this. So rows that would lie a power of
# two apart, and then share few places of the first cache, do not.
UNEVEN = 17
row, tile, k = (hl.Var(name) for name in ("row", "tile", "k"))


def nines(level: Level, types: Types) -> Pipeline:
    """Sort the columns under a tile, and then select from those of each window."""
    pool = Pooling(level, types, "median", channels=1)
    cells, numbers, out = pool.cells, pool.numbers, pool.out
    lanes, floats = level.lanes(numbers), numbers.is_float()
    count = 4 if floats else 3  # behind the numbers of a column of floats comes its mark
    columns = hl.Func("columns")
    down, across = network((3, 3), 4)

    def column(name: str, position: Callable[[hl.Expr], hl.Expr]) -> tuple[list[hl.Func], hl.Func]:
        """The sorted columns of the images' numbers at these positions, and the layers before."""

        def number(tap: int, _place: int = 0) -> hl.Expr:
            at = cells.rows[ROWS * tile + row + tap]
            return cells.pixel(position(f), hl.clamp(at, 0, cells.last_row), n)

        layers, ordered = sort(name, down, (f, row, tile, n), number)
        if floats:
            ordered.append(mark(reduce(or_, [hl.is_nan(number(tap)) for tap in range(3)]), numbers))
        whole = hl.Func(f"{name}_whole")
        whole[f, row, tile, n, k] = choice(ordered)
        return layers, whole

    # Columns are counted from the image's first, and those left of it are below 0, so that vectors
    # are stored where they are aligned. The last vector of a row may overlap the one before.
    length, first, last = cells.right - cells.left, cells.first, cells.images.dim(0).extent() - 1
    vectors = hl.RDom([(0, lanes), (0, (length + lanes - 1) // lanes)], "vectors")
    place = hl.min(vectors.y * lanes, length - lanes) + vectors.x
    left = hl.RDom([(0, cells.left)], "left")
    right = hl.RDom([(0, cells.after.dim(0).extent())], "right")
    inside = lambda f: hl.unsafe_promise_clamped(f, first, first + length - 1)  # noqa: E731
    layers, along = column("along", inside)
    before, at_left = column("left", lambda f: hl.clamp(cells.before[f], 0, last))
    behind, at_right = column("right", lambda f: hl.clamp(cells.after[f], 0, last))
    columns[f, row, tile, n, k] = hl.undef(numbers)
    columns[place, row, tile, n, k] = along[first + place, row, tile, n, k]
    columns[left.x - cells.left, row, tile, n, k] = at_left[left.x, row, tile, n, k]
    columns[length + right.x, row, tile, n, k] = at_right[right.x, row, tile, n, k]

    def below(tap: int, place: int = 0) -> hl.Expr:
        return hl.Expr(columns[x + tap * pool.dx - cells.left, y % ROWS, y // ROWS, n, place])

    merges, (median,) = sort("across", across, AXES, below)
    if floats:  # A mark has all bits set, or none.
        bits = hl.UInt(numbers.bits())
        for number in [below(tap, 3) for tap in range(3)]:
            median = hl.reinterpret(bits, median) | hl.reinterpret(bits, number)
        median = hl.reinterpret(numbers, median)
    pool.give(median)

    xo, xi, yo, yi = (hl.Var(name) for name in ("xo", "xi", "yo", "yi"))
    out.bound(c, 0, 1).output_buffer().dim(0).set_stride(hl.Expr())
    out.output_buffer().dim(1).set_stride(1)
    out.split(y, hl.Var("strips"), y, (pool.strip + ROWS - 1) // ROWS * ROWS, Tail.GuardWithIf)
    out.split(y, yo, yi, ROWS, Tail.GuardWithIf).unroll(yi)
    out.split(x, xo, xi, lanes, Tail.PredicateStores).vectorize(xi)
    task = pool.by_strips([c, xi, xo, yi, yo])
    for layer in merges:
        layer.compute_at(out, xo).bound_extent(c, 1).bound_extent(x, lanes).vectorize(x)
    columns.compute_at(out, yo).hoist_storage(out, task)
    columns.bound(k, 0, count).bound(row, 0, ROWS).bound_extent(tile, 1)
    columns.reorder_storage(f, k, row, tile, n)
    columns.align_bounds(f, lanes).align_storage(f, UNEVEN * lanes)
    some = columns.update(0)
    some.allow_race_conditions().reorder(vectors.x, k, row, vectors.y, tile, n)
    some.vectorize(vectors.x).unroll(k).unroll(row)
    for layer in layers:
        layer.compute_at(columns, vectors.y).bound_extent(f, lanes).vectorize(f)
    for stage, parts, cell in (1, before, left.x), (2, behind, right.x):
        columns.update(stage).reorder(k, row, cell, tile, n).unroll(k).unroll(row)
        for layer in parts:
            layer.compute_at(columns, cell)
    for layer in (*layers, *before, *behind):
        layer.bound(row, 0, ROWS).unroll(row)
    return Pipeline(out, pool.arguments, strict=True)
