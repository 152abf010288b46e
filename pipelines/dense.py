"""Convolution with vectors along the kernels: for eight or more of them."""

from __future__ import annotations

from functools import reduce
from operator import and_

import halide as hl
from convolution import Convolution, Number, Tail, Tap, Types, g, n, o, x, y
from levels import Level, Pipeline

# The sums of a tile, as (vectors of kernels, pixels, rows). They are enough to keep the multipliers
# busy, because a multiply-add takes four cycles, and no more, because each pixel also takes a
# register for its address. "eight" and "few" are for few or small kernels; "fours" and "sevens" are
# for many, and the one that fits the row better is taken.
SMALL = (2, 4, 1)
TILES = {
    "avx512": {"eight": (1, 4, 2), "few": (1, 4, 2), "fours": SMALL, "sevens": (2, 7, 1)},
    "avx2": {"eight": (1, 4, 2), "few": SMALL, "fours": SMALL, "sevens": SMALL},
    "baseline": {"eight": SMALL, "few": SMALL, "fours": SMALL, "sevens": SMALL},
    "neon": {"eight": (2, 4, 2), "few": (2, 4, 2), "fours": (2, 4, 2), "sevens": (2, 7, 1)},
}


def dense(
    level: Level, types: Types, *, tile: str, blocks: bool = False, volume: bool = False
) -> Pipeline:
    """Convolve with vectors along o, for many kernels.

    A tile of sums stays in registers during the loops over taps and channels. Each multiply-add
    takes one number of a pixel, the same for all lanes, and a vector of the kernels' numbers, which
    are packed so that the numbers for a tile lie together. If kernels are few or small, the loop
    over them is inside the loop over the pixels of a strip, and otherwise outside.
    """
    vectors, pixels, rows = TILES[level.name][tile]
    conv = Convolution(types, volume=volume)
    lanes = level.lanes(conv.numbers)
    block = vectors * lanes
    packed = hl.Func("packed")
    b, ob, c, *at = (hl.Var(name) for name in ("b", "ob", "c", "i", "j", "k"))
    at = at if volume else at[:2]  # a tap's place in the window
    kernel = hl.min(ob * block + b, conv.kernels.dim(0).extent() - 1)
    packed[b, c, *at, ob, g] = conv.kernels[kernel, g, c, *at]

    def product(c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        position = (x * conv.sx + tap.x * conv.dx) * conv.channels + conv.channel(c)
        pixel = conv.cells.at(position, row, n, *tap.z)
        return packed[o % block, c, tap.x, tap.y, *tap.z, o // block, g] * pixel

    zeros = ~some_infinite(packed, conv, block) & (conv.cells.padding == 0)

    def needed(row: hl.Expr, tap: Tap) -> hl.Expr:
        lines = [conv.cells.rows[row], *(conv.cells.slabs[kz, n] for kz in tap.z)]
        return reduce(and_, (line >= 0 for line in lines)) | ~zeros

    # Rows of padding can be skipped only if a tile has one row: others may still need the cells.
    conv.define(product, needed if rows == 1 else None)
    yo, yi, xo, xi, oo, oi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "oo", "oi"))
    out, sums = conv.out, conv.sums
    out.output_buffer().dim(0).set_stride(1)
    conv.split_rows(yo, yi, rows)
    out.split(o, oo, oi, block, Tail.PredicateStores).vectorize(oi)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    kernels_first = tile in ("eight", "few")
    conv.by_strips([oi, xi, yi, *([oo, xo, yo] if kernels_first else [xo, yo, oo]), g], lanes)
    sums.compute_at(out, oo if kernels_first else xo)
    for func, loops in conv.chains(blocks):
        func.bound_extent(o, block).bound_extent(x, pixels).bound_extent(y, rows)
        func.vectorize(o).unroll(x).unroll(y)
        func.update().reorder(o, x, y, *loops).vectorize(o).unroll(x).unroll(y)
    packed.compute_root().bound(b, 0, block).vectorize(b).fuse(ob, g, g).parallel(g)
    return Pipeline(conv.out, conv.arguments)


def some_infinite(packed: hl.Func, conv: Convolution, block: int) -> hl.Expr:
    """Whether the kernels hold NaN or inf: then products with zeros count, because they are NaN."""
    bits, mantissa = conv.numbers.bits(), {32: 23, 64: 52}[conv.numbers.bits()]
    word, magnitude = hl.UInt(bits), (1 << bits - 1) - 1  # a mask of all bits except the sign
    infinity = magnitude + 1 - (1 << mantissa)
    count, *extents = (conv.kernels.dim(axis).extent() for axis in range(conv.kernels.dimensions()))
    r = hl.RDom([(0, extent) for extent in ((count + block - 1) // block, *extents)], "r")
    lane = hl.RDom([(0, block)], "lane")
    b, largest, overall = hl.Var("b"), hl.Func("largest"), hl.Func("overall")
    taps = (r[axis] for axis in range(2, conv.kernels.dimensions()))
    number = hl.reinterpret(word, packed[b, *taps, r[0], r[1]])
    largest[b] = hl.cast(word, 0)
    largest[b] = hl.max(largest[b], number & hl.cast(word, magnitude))
    overall[()] = hl.cast(word, 0)
    overall[()] = hl.max(overall[()], largest[lane.x])
    largest.compute_root().vectorize(b).update().vectorize(b)
    overall.compute_root()
    return overall[()] >= hl.cast(word, infinity)
