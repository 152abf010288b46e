"""Pixels that take no part: copied with another number in their place, and taken out of means."""

from __future__ import annotations

from typing import TypeAlias

import halide as hl
from cells import INT
from levels import Level, Pipeline

FEW = (1, 2, 3, 4)  # channels for which pipelines are fast
Types: TypeAlias = tuple[hl.Type, hl.Type, hl.Type]
AXES = f, y, z, n = tuple(hl.Var(name) for name in "fyzn")  # numbers of a row, rows, slabs, images


def filled(level: Level, bits: int, *, given: bool) -> Pipeline:
    """Copy numbers of so many bits, with `nothing` in place of those that take no part.

        out[f, y, z, n] = images[f, y, z, n] & kept | added   where it takes part

    All bits are kept and none added, or none kept and those of 1 added, which makes weights. What
    takes part is `given` as bytes, each for C numbers of a row. Otherwise it is what has not all
    bits of its `exponent`, as NaN and infinity have.
    """
    number = hl.UInt(bits)
    images, where = hl.ImageParam(number, 4, "images"), hl.ImageParam(hl.UInt(8), 4, "where")
    kept, added, nothing, exponent = (
        hl.Param(number, name) for name in ("kept", "added", "nothing", "exponent")
    )
    channels = hl.Param(INT, "C")
    out, cell = hl.Func("out"), images[AXES]
    there = where[f // channels, y, z, n] != 0 if given else (cell & exponent) != exponent
    out[AXES] = hl.select(there, (cell & kept) | added, nothing)
    arguments = [images, *([where, channels] if given else [exponent]), kept, added, nothing]
    few = [channels == c for c in FEW] if given else [hl.Expr(True)]
    return _by_rows(out, arguments, level.lanes(number), *few)


def quotients(level: Level, types: Types) -> Pipeline:
    """Divide sums by weights, each for C numbers of a row: NaN where there is no weight.

    The types are those of sums, weights and quotients.
    """
    sums, weights = (
        hl.ImageParam(each, 4, name) for each, name in zip(types, ("sums", "weights"), strict=False)
    )
    out, channels, results = hl.Func("out"), hl.Param(INT, "C"), types[2]
    weight = weights[f // channels, y, z, n]
    ratio = hl.cast(results, sums[AXES]) / hl.cast(results, weight)
    nan = hl.reinterpret(results, hl.cast(hl.UInt(results.bits()), -1))
    out[AXES] = hl.select(weight == 0, nan, ratio)
    few = [channels == c for c in FEW]
    return _by_rows(out, [sums, weights, channels], level.lanes(results), *few)


def _by_rows(out: hl.Func, arguments: list[hl.Argument], lanes: int, *special: hl.Expr) -> Pipeline:
    """Work through a strip of rows of a chunk of images at a time, with vectors along the rows."""
    strip, chunk = hl.Param(INT, "strip"), hl.Param(INT, "chunk")
    strips, images, task, fo, fi = (
        hl.Var(name) for name in ("strips", "images_", "task", "fo", "fi")
    )
    buffers = [each for each in arguments if isinstance(each, hl.ImageParam)]
    for buffer in (*buffers, out.output_buffer()):
        for axis in range(4):
            buffer.dim(axis).set_min(0)
    tail = hl.TailStrategy.GuardWithIf
    out.split(y, strips, y, strip, tail).split(n, images, n, chunk, tail)
    out.reorder(f, y, z, n, strips, images).fuse(strips, images, task).parallel(task)
    wide = out.output_buffer().dim(0).extent() >= lanes
    for condition in special:
        stage = out.specialize(wide & condition)
        stage.split(f, fo, fi, lanes, hl.TailStrategy.ShiftInwards).vectorize(fi)
    return Pipeline(out, [*arguments, strip, chunk], strict=True)
