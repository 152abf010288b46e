"""Pooling of small squares or cubes side by side: the usual one."""

from __future__ import annotations

import halide as hl
from cells import INT
from levels import Level, Pipeline
from pooling import Pooling, Tail, Types, c, f, n, x, y

MANY = 64  # channels: the least for squares whose pixels are read by the row
TOGETHER = 2048  # bytes of a pixel that are merged together


def squares(
    level: Level,
    types: Types,
    mode: str,
    *,
    channels: int | None,
    side: int,
    volume: bool = False,
) -> Pipeline:
    """Merge small squares side by side, without padding, which is the usual pooling.

    In volumes they are cubes, of as many slabs.

    The pixels are read from the images in place, without cells. Vectors lie along the row if the
    number of channels is given, and else along the channels, of which there must be a vector.

    across[f, y, n] = merge over kx and ky of  images[f + kx * C, y * side + ky, n]
    out[c, x, y, n] = across[x * side * C + c, y, n]
    """
    pool = Pooling(level, types, mode, channels, side, volume=volume)
    lanes, merge, out = level.lanes(pool.numbers), pool.merge, pool.out
    across = hl.Func("across")

    def number(kx: int, ky: int) -> hl.Expr:
        """The number under a tap; in a volume those of all slabs there, merged."""
        place = f + kx * pool.channels, y * side + ky
        if not volume:
            return pool.cells.pixel(*place, n)
        merged, last = pool.nothing, pool.cells.images.dim(2).extent() - 1
        for kz in range(side):
            slab = hl.clamp(pool.cells.slabs[kz, n], 0, last)
            merged = merge(pool.cells.pixel(*place, slab), merged)
        return merged

    merged = pool.nothing
    for kx in range(side):  # This is the order of `windows`, so that the bits are the same.
        down = pool.nothing
        for ky in range(side):
            down = merge(number(kx, ky), down)
        merged = merge(down, merged)
    across[f, y, n] = merged
    pool.give(hl.Expr(across[x * side * pool.channels + c, y, n]))

    along, o, i = x if channels == 1 else c, hl.Var("o"), hl.Var("i")
    out.split(y, hl.Var("strips"), y, pool.strip, Tail.ShiftInwards)
    if channels is None:
        out.split(c, o, i, lanes, Tail.ShiftInwards).vectorize(i)
        pool.by_strips([i, o, x, y])
        return Pipeline(out, pool.arguments, strict=True)
    out.bound(c, 0, channels).output_buffer().dim(1).set_stride(channels)
    out.split(along, o, i, min(lanes, 4) if channels > 1 else lanes, Tail.PredicateStores)
    out.vectorize(i)
    pool.by_strips([i, o, c, y] if channels == 1 else [i, o, x, y])
    across.compute_at(out, y).vectorize(f, lanes, Tail.ShiftInwards)
    return Pipeline(out, pool.arguments, strict=True)


def apart(level: Level, types: Types, mode: str) -> Pipeline:
    """Merge larger squares side by side, without padding, of images with many channels.

    Pixels are read row after row, some thousand bytes of each, as memory gives them fastest; the
    merged numbers of a window's columns stay in the first cache meanwhile. The order is that of
    `windows`, down each column and then across, so that the bits are the same.
    """
    pool = Pooling(level, types, mode)
    lanes, merge, out = level.lanes(pool.numbers), pool.merge, pool.out
    down, across, column = hl.Func("down"), hl.Func("across"), hl.Var("column")
    i = hl.RDom([(0, pool.kh)], "i")
    j = hl.RDom([(0, pool.kw)], "j")
    place = (x * pool.sx + column) * pool.channels + c
    down[c, x, y, n, column] = pool.nothing
    down[c, x, y, n, column] = merge(
        pool.cells.pixel(place, y * pool.sy + i.x, n), hl.Expr(down[c, x, y, n, column])
    )
    across[c, x, y, n] = pool.nothing
    across[c, x, y, n] = merge(hl.Expr(down[c, x, y, n, j.x]), hl.Expr(across[c, x, y, n]))
    pool.give(hl.Expr(across[c, x, y, n]))

    o, vector = hl.Var("o"), hl.Var("vector")
    width = hl.min(hl.cast(INT, TOGETHER // pool.numbers.bytes()), pool.channels)
    out.split(y, hl.Var("strips"), y, pool.strip, Tail.ShiftInwards)
    out.split(c, o, c, width, Tail.ShiftInwards).split(c, vector, c, lanes, Tail.ShiftInwards)
    out.vectorize(c)
    task = pool.by_strips([c, vector, o, x, y])
    down.compute_at(out, o).hoist_storage(out, task).vectorize(c, lanes, Tail.RoundUp)
    down.update().reorder(c, x, y, n, column, i.x).vectorize(c, lanes, Tail.Predicate)
    across.compute_at(out, vector).bound_extent(c, lanes).vectorize(c)
    across.update().reorder(c, x, y, n, j.x).vectorize(c)
    return Pipeline(out, pool.arguments, strict=True)
