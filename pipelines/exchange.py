"""Kernels whose channels are exchanged with their number, as the way back needs them."""

from __future__ import annotations

import halide as hl
from levels import Level, Pipeline

SIDE = 16  # of a tile of kernels and channels
c, n, x, y, z = (hl.Var(name) for name in "cnxyz")


def exchanged(level: Level, bits: int) -> Pipeline:
    """Copy numbers of so many bits: ``out[c, n, x, y, z] = kernels[n, c, x, y, z]``.

    A tile is read row by row, and then written column by column. Where rows are a power of two
    bytes apart, a cache would drop a column's numbers before those beside them are read. There are
    at least `SIDE` of both.
    """
    number = hl.UInt(bits)
    kernels, near, out = hl.ImageParam(number, 5, "kernels"), hl.Func("near"), hl.Func("out")
    near[n, c, x, y, z] = kernels[n, c, x, y, z]
    out[c, n, x, y, z] = near[n, c, x, y, z]
    for buffer in (kernels, out.output_buffer()):
        for axis in range(5):
            buffer.dim(axis).set_min(0)
    strips, co, no, ci, ni = (hl.Var(name) for name in ("strips", "co", "no", "ci", "ni"))
    tail = hl.TailStrategy.ShiftInwards
    out.split(c, co, ci, SIDE, tail).split(n, no, ni, SIDE, tail)
    out.reorder(ci, ni, no, co, x, y, z).fuse(co, x, strips).parallel(strips)
    out.vectorize(ci, level.lanes(number)).unroll(ci).unroll(ni)
    near.compute_at(out, no).bound_extent(c, SIDE).bound_extent(n, SIDE)
    near.vectorize(n, level.lanes(number)).unroll(n).unroll(c)
    return Pipeline(out, [kernels])
