"""Convolution with vectors along the kernels: for eight or more of them, or for single pixels."""

from __future__ import annotations

from functools import reduce
from operator import and_

import halide as hl
from convolution import Convolution, Number, Tail, Tap, Types, g, n, o, x, y
from levels import Level, Pipeline

# The sums of a tile, as (vectors of kernels, pixels, rows). They are enough to keep the multipliers
# busy: a multiply-add takes four cycles, and there may be two multipliers. They are no more, for
# each pixel also takes a register for its address. Two vectors of kernels share what is loaded of a
# pixel, which matters where two multipliers wait for two loads a cycle. "half" and "whole" are for
# kernels that fill up to half of a vector of 512 bits, and more of it, and "few" for those that
# fill a few. "fours" and "sevens" are for many, and the one that fits the row better is taken.
SMALL = (2, 4, 1)
TILES = {
    "avx512": {
        "half": (1, 8, 1),
        "whole": (1, 8, 1),
        "few": (2, 7, 1),
        "fours": SMALL,
        "sevens": (2, 7, 1),
    },
    "avx2": {"half": (1, 4, 2), "whole": SMALL, "few": SMALL, "fours": SMALL, "sevens": SMALL},
    "baseline": dict.fromkeys(("half", "whole", "few", "fours", "sevens"), SMALL),
    "neon": {**dict.fromkeys(("half", "whole", "few", "fours"), (2, 4, 2)), "sevens": (2, 7, 1)},
}
FEW, PACKED = 16, 4  # rows of kernels that are packed together, and how often in a task


def dense(
    level: Level,
    types: Types,
    *,
    tile: str,
    blocks: bool = False,
    volume: bool = False,
) -> Pipeline:
    """Convolve with vectors along o, for many kernels.

    A tile of sums stays in registers during the loops over taps and channels. Each multiply-add
    takes one number of a pixel, the same for all lanes, and a vector of the kernels' numbers, which
    are packed so that the numbers for a tile lie together. If kernels are few or small, the loop
    over them is inside the loop over the pixels of a strip, and otherwise outside. A task takes
    `share` kernels, so that threads have something to divide where images are small.
    """
    vectors, pixels, rows = TILES[level.name][tile]
    conv = Convolution(types, volume=volume)
    lanes = level.lanes(conv.numbers)
    block = vectors * lanes
    packed = hl.Func("packed")
    b, ob, c, *at = (hl.Var(name) for name in ("b", "ob", "c", "i", "j", "k"))
    at = at if volume else at[:2]  # a tap's place in the window
    count = conv.kernels.dim(0).extent()
    whole = hl.RDom([(0, block), (0, count // block)], "whole")
    rest = hl.RDom([(0, block), (count // block, hl.select(count % block > 0, 1, 0))], "rest")
    kernel = rest.y * block + rest.x
    number = conv.kernels[hl.min(kernel, count - 1), g, c, *at]
    packed[b, c, *at, ob, g] = hl.undef(conv.numbers)
    packed[whole.x, c, *at, whole.y, g] = conv.kernels[whole.y * block + whole.x, g, c, *at]
    packed[rest.x, c, *at, rest.y, g] = hl.select(kernel < count, number, 0)

    def product(c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        position = (x * conv.sx + tap.x * conv.dx) * conv.channels + conv.channel(c)
        pixel = conv.cells.at(position, row, n, *tap.z)
        at = tap.x, tap.y, *tap.z
        return packed[o % block, c, *at, o // block, g] * pixel

    skips = hl.Param(hl.Int(32), "skips")  # whether there are rows of padding, which hold zeros
    share = hl.Param(hl.Int(32), "share")

    def needed(row: hl.Expr, tap: Tap) -> hl.Expr:
        lines = [conv.cells.rows[row], *(conv.cells.slabs[kz, n] for kz in tap.z)]
        zeros = ~some_infinite(packed, conv, block, skips) & (skips > 0)
        return reduce(and_, (line >= 0 for line in lines)) | ~zeros

    # Rows of padding can be skipped only if a tile has one row: others may still need the cells.
    conv.define(product, needed if rows == 1 else None)
    conv.arguments += [skips, share]
    conv.kernels.dim(0).set_stride(1)
    yo, yi, xo, xi, oo, oi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "oo", "oi"))
    out, sums, parts = conv.out, conv.sums, hl.Var("parts")
    out.output_buffer().dim(0).set_stride(1)
    conv.split_rows(yo, yi, rows)
    out.split(o, oo, oi, block, Tail.PredicateStores).vectorize(oi)
    out.split(oo, parts, oo, (share + block - 1) // block, Tail.GuardWithIf)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    kernels_first = tile in ("half", "whole", "few")
    order = [oi, xi, yi, *([oo, xo, yo] if kernels_first else [xo, yo, oo]), g]
    conv.by_strips(order, lanes, parts=parts)
    sums.compute_at(out, oo if kernels_first else xo)
    for func, loops in conv.chains(blocks):
        func.bound_extent(o, block).bound_extent(x, pixels).bound_extent(y, rows)
        func.vectorize(o).unroll(x).unroll(y)
        func.update().reorder(o, x, y, *loops).vectorize(o).unroll(x).unroll(y)
    # Kernels are read as they lie in memory, a few rows at a time, which stay in the first cache
    # until all tiles have their part of them. The rows are divided among threads.
    packed.compute_root().bound(b, 0, block)
    row, few = hl.Var("row"), hl.Var("few")
    for stage, lane, tiles in ((0, whole.x, whole.y), (1, rest.x, rest.y)):
        update = packed.update(stage).split(c, few, row, FEW, Tail.GuardWithIf)
        update.reorder(lane, row, tiles, few, *at, g).vectorize(lane)
        for axis in (few, *at):
            update.fuse(axis, g, g)
        update.split(g, g, few, PACKED, Tail.GuardWithIf).parallel(g)
    return Pipeline(conv.out, conv.arguments)


def some_infinite(packed: hl.Func, conv: Convolution, block: int, asked: hl.Expr) -> hl.Expr:
    """Whether the kernels hold NaN or inf: then products with zeros count, because they are NaN.

    Unless it is asked, nothing is looked at.
    """
    bits, mantissa = conv.numbers.bits(), {32: 23, 64: 52}[conv.numbers.bits()]
    word, magnitude = hl.UInt(bits), (1 << bits - 1) - 1  # a mask of all bits except the sign
    infinity = magnitude + 1 - (1 << mantissa)
    count, groups, *extents = (
        conv.kernels.dim(axis).extent() for axis in range(conv.kernels.dimensions())
    )
    tiles = (count + block - 1) // block
    b, t, largest, overall = hl.Var("b"), hl.Var("t"), hl.Func("largest"), hl.Func("overall")
    r = hl.RDom([(0, extent) for extent in extents], "r")
    taps = (r[axis] for axis in range(1, len(extents)))
    number = hl.reinterpret(word, packed[b, r[0], *taps, t % tiles, t // tiles])
    largest[b, t] = hl.cast(word, 0)
    largest[b, t] = hl.max(largest[b, t], number & hl.cast(word, magnitude))
    every = hl.RDom([(0, block), (0, hl.select(asked > 0, tiles * groups, 0))], "every")
    overall[()] = hl.cast(word, 0)
    overall[()] = hl.max(overall[()], largest[every.x, every.y])
    largest.compute_root().parallel(t).bound(b, 0, block).vectorize(b).update().vectorize(b)
    largest.update().parallel(t)
    overall.compute_root()
    return overall[()] >= hl.cast(word, infinity)
