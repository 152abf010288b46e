"""Pooling of small squares or cubes side by side: the usual one."""

from __future__ import annotations

import halide as hl
from levels import Level, Pipeline
from pooling import Pooling, Tail, Types, c, f, n, x, y


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
