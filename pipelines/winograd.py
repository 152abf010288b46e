"""Convolution with many kernels of 3 x 3 taps by Winograd's method, with fewer multiplications.

    out = Aᵀ [Σ over c of  (G kernel Gᵀ) * (Bᵀ cells B)] A

A tile of 2 x 2 outputs takes 4 x 4 cells. The nine taps of each kernel and the 16 cells of each
tile are turned into 16 numbers, of which the products are added up over the channels c; the 16 sums
are turned into the four outputs. So an output takes 4 multiplications for each channel, and not 9.
Source: A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", 2015, where this
is F(2x2, 3x3).

An output is made of those of the 16 products alone whose cells lie under its window. Therefore
windows over zeros give 0. Numbers are only added, subtracted and halved on the way, so that sums of
small whole numbers are exact. Numbers that are not finite, or so large that sums could overflow,
become NaN, and reach no outputs but those whose windows cover them; the engine computes these anew.

The tiles of all images are counted one after another. For a block of them, the cells are turned,
and then the products are added up as matrices: for each of the 16 numbers, tiles x channels times
channels x kernels. The vectors of the processor lie along the channels first, and then along the
kernels, as in `dense`.
"""

from __future__ import annotations

import halide as hl
from cells import INT, Cells
from convolution import Tail, Types, n, o, x, y
from dense import tile_of
from levels import Level, Pipeline

GROUP = 128  # bytes of the kernels whose factors lie side by side
CHAIN = 64  # the most channels whose products are added up one after another
Place = tuple[hl.Expr, hl.Expr, hl.Expr]
# The largest magnitudes of cells and of taps, as powers of 2: sums of their products stay finite.
CELLS, TAPS = {32: 60, 64: 480}, {32: 48, 64: 480}


def _along(numbers: list[hl.Expr], turn: str) -> list[hl.Expr]:
    """Apply one of the five matrices to a column of numbers."""
    if turn == "cells":  # Bᵀ
        a, b, c, d = numbers
        return [a - c, b + c, c - b, b - d]
    if turn == "kernel":  # G
        a, b, c = numbers
        return [a, _half(a + b + c), _half(a - b + c), c]
    if turn == "outputs":  # A
        a, b = numbers
        return [a, a + b, a - b, -b]
    if turn == "taps":  # Gᵀ
        a, b, c, d = numbers
        return [a + _half(b + c), _half(b - c), _half(b + c) + d]
    a, b, c, d = numbers  # Aᵀ
    return [a + b + c, b - c - d]


def _half(number: hl.Expr) -> hl.Expr:
    return number * hl.cast(number.type(), 0.5)


def kept(number: hl.Expr, exponent: int) -> hl.Expr:
    """A number, or NaN if it is not finite or larger than such a power of 2.

    The compiler may take it that floats are finite, but not what their bits are.
    """
    bits, mantissa = number.type().bits(), {32: 23, 64: 52}[number.type().bits()]
    word, sign = hl.UInt(bits), 1 << bits - 1
    largest = exponent + (1 << bits - mantissa - 2) - 1 << mantissa
    magnitude = hl.reinterpret(word, number) & hl.cast(word, sign - 1)
    nan = hl.cast(number.type(), hl.f32(float("nan")))
    return hl.select(magnitude <= hl.cast(word, largest), number, nan)


def turned_square(numbers: list[list[hl.Expr]], turn: str) -> list[hl.Expr]:
    """Apply a matrix to the columns of a square of numbers, and then to its rows."""
    columns = [_along(list(column), turn) for column in zip(*numbers, strict=True)]
    return [each for row in zip(*columns, strict=True) for each in _along(list(row), turn)]


def _place(t: hl.Expr, wide: hl.Expr, high: hl.Expr) -> Place:
    """The first column and row of a tile, and its image."""
    return t % wide * 2, t // wide % high * 2, t // (wide * high)


def _cells_of(
    cells: Cells,
    columns: hl.ImageParam,
    place: Place,
    c: hl.Expr,
    channels: hl.Expr,
) -> tuple[hl.Expr, ...]:
    """The 4 x 4 cells of a tile in one of so many channels."""
    column, row, image = place
    width = cells.images.dim(0).extent() // channels
    channel = hl.min(hl.likely(c), channels - 1)  # the last vector may be asked for others

    def cell(i: int, j: int) -> hl.Expr:
        at, line = columns[column + i], cells.rows[row + j]
        number = cells.pixel(
            hl.clamp(at, 0, width - 1) * channels + channel,
            hl.clamp(line, 0, cells.last_row),
            hl.clamp(image, 0, cells.images.dim(2).extent() - 1),
        )
        number = hl.select((at < 0) | (line < 0), cells.padding, number)
        return kept(number, CELLS[cells.numbers.bits()])

    return tuple(cell(i, j) for j in range(4) for i in range(4))


def taps(level: Level, types: Types) -> Pipeline:
    """Turn kernels: ``out[o, c, p, ob]`` is number p of channel c of kernel ``ob * group + o``."""
    _, numbers, _ = types
    lanes, group = level.lanes(numbers), GROUP // numbers.bytes()
    kernels = hl.ImageParam(numbers, 4, "kernels")  # axes: o, c, kx, ky
    for axis in range(4):
        kernels.dim(axis).set_min(0)
    c, p, ob = (hl.Var(name) for name in ("c", "p", "ob"))
    count = kernels.dim(0).extent()
    kernel = ob * group + o
    read, turned, out = hl.Func("read"), hl.Func("turned"), hl.Func("out")

    inside = hl.min(hl.likely(kernel), count - 1)
    exponent = TAPS[numbers.bits()]
    read[o, c, ob] = tuple(
        kept(hl.select(kernel < count, kernels[inside, c, kx, ky], hl.cast(numbers, 0)), exponent)
        for ky in range(3)
        for kx in range(3)
    )
    nine = [read[o, c, ob][each] for each in range(9)]
    turned[o, c, ob] = tuple(turned_square([nine[0:3], nine[3:6], nine[6:9]], "kernel"))
    out[o, c, p, ob] = hl.mux(p, [turned[o, c, ob][each] for each in range(16)])

    kernels.dim(0).set_stride(1)
    depth = kernels.dim(1).extent()
    out.output_buffer().dim(0).set_bounds(0, group)
    out.output_buffer().dim(1).set_bounds(0, depth).set_stride(group)
    out.output_buffer().dim(2).set_bounds(0, 16).set_stride(group * depth)
    out.output_buffer().dim(3).set_min(0).set_stride(16 * group * depth)
    few, at, task = hl.Var("few"), hl.Var("at"), hl.Var("task")
    out.split(o, at, o, lanes).split(c, few, c, 16, Tail.GuardWithIf)
    out.reorder(o, p, at, c, few, ob).vectorize(o).unroll(p).fuse(few, ob, task).parallel(task)
    read.compute_at(out, at).vectorize(o)
    turned.compute_at(out, at).vectorize(o)
    return Pipeline(out, [kernels])


def winograd(level: Level, types: Types) -> Pipeline:
    """Convolve with kernels that `taps` has turned.

    `rows` and `columns` say for each row and column of cells which pixels they take. There are
    `wide` x `high` tiles in each of the images, `count` in all. A task takes `chunk` blocks of
    `block` tiles one after another, and `share` kernels.
    """
    pixels, numbers, results = types
    vectors, tiles, _ = tile_of(level, 2, 7)
    lanes, group = level.lanes(numbers), GROUP // numbers.bytes()
    kernels = vectors * lanes  # of a tile of sums
    cells = Cells(pixels, numbers)
    columns = hl.ImageParam(INT, 1, "columns")
    turned_kernels = hl.ImageParam(numbers, 4, "factors")  # axes: o, c, p, ob
    names = "C", "wide", "high", "count", "block", "chunk", "share"
    channels, wide, high, count, block, chunk, share = scalars = [
        hl.Param(INT, name) for name in names
    ]
    for buffer in (columns, turned_kernels):
        for axis in range(buffer.dimensions()):
            buffer.dim(axis).set_min(0)
    depth = turned_kernels.dim(1).extent()
    turned_kernels.dim(0).set_bounds(0, group)
    turned_kernels.dim(1).set_stride(group)
    turned_kernels.dim(2).set_bounds(0, 16).set_stride(group * depth)
    turned_kernels.dim(3).set_stride(16 * group * depth)

    c, t, p = (hl.Var(name) for name in "ctp")

    def place(t: hl.Expr) -> Place:
        """Where a tile lies; the last vectors may be asked for tiles that there are not."""
        return _place(hl.min(t, count - 1), wide, high)

    read, turned, there = hl.Func("read"), hl.Func("turned"), hl.Func("there")
    read[c, t] = _cells_of(cells, columns, place(t), c, channels)
    sixteen = [read[c, t][each] for each in range(16)]
    turned[c, t] = tuple(turned_square([sixteen[4 * j : 4 * j + 4] for j in range(4)], "cells"))
    there[c, t, p] = hl.mux(p, [turned[c, t][each] for each in range(16)])

    r = hl.RDom([(0, depth)], "r")
    sums, products, back = hl.Func("sums"), hl.Func("products"), hl.Func("back")
    sums[o, t, p] = hl.cast(numbers, 0)
    of_group = o % kernels + o // kernels % (group // kernels) * kernels
    factor = turned_kernels[of_group, r.x, p, o // group]
    # The last sums may be of tiles that there are not, where memory holds what earlier calls left.
    sums[o, t, p] += factor * there[r.x, hl.min(t, count - 1), p]
    products[o, t, p] = sums[o, t, p]
    sixteen = [products[o, t, each] for each in range(16)]
    back[o, t] = tuple(turned_square([sixteen[4 * j : 4 * j + 4] for j in range(4)], "sums"))

    out, w = hl.Func("out"), hl.RDom([(0, 2), (0, 2), (0, count)], "w")
    out[o, x, y, n] = hl.undef(results)
    for axis in range(4):
        out.output_buffer().dim(axis).set_min(0)
    ow, oh, m = (out.output_buffer().dim(axis).extent() for axis in (1, 2, 3))
    column, row, image = place(w.z)
    w.where(column + w.x < ow)
    w.where(row + w.y < oh)
    four = hl.mux(w.x + 2 * w.y, [back[o, w.z][each] for each in range(4)])
    inside = hl.min(column + w.x, ow - 1), hl.min(row + w.y, oh - 1), hl.min(image, m - 1)
    out[[o, *inside]] = hl.cast(results, four)

    ob, at, oi, parts, tt, ti = (hl.Var(name) for name in ("ob", "at", "oi", "parts", "tt", "ti"))
    blocks, within, chunks = (hl.RVar(name) for name in ("blocks", "within", "chunks"))
    writing = out.update().allow_race_conditions()  # no two tiles write to the same place
    writing.split(o, ob, oi, kernels, Tail.GuardWithIf)
    writing.split(ob, parts, ob, (share + kernels - 1) // kernels, Tail.GuardWithIf)
    writing.split(oi, at, oi, lanes, Tail.GuardWithIf).vectorize(oi)
    writing.split(w.z, blocks, within, block, Tail.GuardWithIf)
    writing.split(blocks, chunks, blocks, chunk, Tail.GuardWithIf)
    writing.reorder(oi, w.x, w.y, at, within, ob, blocks, parts, chunks)
    writing.unroll(w.x).unroll(w.y)
    writing.parallel(parts).parallel(chunks)
    back.compute_at(out, at).bound_extent(o, lanes).vectorize(o)
    products.compute_at(out, ob).hoist_storage(out, parts).reorder_storage(o, t, p)
    products.bound_extent(o, kernels)
    products.split(t, tt, ti, tiles, Tail.RoundUp).reorder(o, ti, tt, p)
    products.vectorize(o).unroll(ti)
    # The sum of a few channels at a time stays in registers, which keeps rounding errors small.
    over, few, co = hl.RVar("over"), hl.RVar("few"), hl.Var("co")
    chains = sums.update().split(r.x, over, few, CHAIN).rfactor(over, co)
    chains.compute_at(sums, over).bound_extent(co, 1)
    sums.compute_at(products, tt)
    for func, loop in ((sums, over), (chains, few)):
        func.bound_extent(o, kernels).bound_extent(t, tiles).vectorize(o).unroll(t)
        func.update().reorder(o, t, loop).vectorize(o).unroll(t)
    there.compute_at(out, blocks).hoist_storage(out, parts).reorder_storage(c, t, p)
    there.split(c, at, c, lanes, Tail.RoundUp).reorder(c, p, at, t).vectorize(c).unroll(p)
    read.compute_at(there, at).vectorize(c)
    turned.compute_at(there, at).vectorize(c)
    arguments = [cells.images, cells.padding, cells.rows, columns, *scalars, turned_kernels]
    return Pipeline(out, arguments)
