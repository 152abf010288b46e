"""Convolution with vectors along the kernels: for eight or more of them, or for single pixels."""

from __future__ import annotations

from functools import reduce
from operator import and_

import halide as hl
from convolution import Convolution, Number, Tail, Tap, Types, g, n, o, x, y
from levels import Level, Pipeline

# The sums of a tile, as (vectors of kernels, pixels, rows). They are enough to keep the multipliers
# busy: a multiply-add takes four cycles, and there may be two multipliers. They are no more than
# the registers hold, of which each pixel also takes one for its address. Two vectors of kernels
# share what is loaded of a pixel, which matters where two multipliers wait for two loads a cycle.
Tile = tuple[int, int, int]
SMALL: Tile = (2, 4, 1)


def tile_of(level: Level, vectors: int, pixels: int, *, half: bool = False) -> Tile:
    """The tile on a level that comes next to so many vectors of 512 bits, and pixels.

    With `half`, the kernels fill up to half of a single vector.
    """
    if level.name == "avx512":
        return vectors, pixels, 1
    if level.name == "avx2":  # which has half as many registers, of half the size
        if vectors == 1:
            return (1, 4, 2) if half else (2, pixels // 2, 1)
        return (3, 4, 1) if vectors == 3 else (2, pixels if pixels <= 6 else 4, 1)
    if level.name == "neon":
        return (2, 4, 2) if vectors == 1 else (2, pixels, 1)
    return SMALL


def dense(
    level: Level,
    types: Types,
    *,
    vectors: int,
    pixels: int,
    half: bool = False,
    blocks: bool = False,
    volume: bool = False,
    pointwise: bool = False,
) -> Pipeline:
    """Convolve with vectors along o, for many kernels.

    A tile of sums stays in registers during the loops over taps and channels. Each multiply-add
    takes one number of a pixel, the same for all lanes, and a vector of the kernels' numbers, which
    are packed so that the numbers for a tile lie together. A task takes `share` kernels, so that
    threads have something to divide where images are small, and packs `together` of them at a time:
    so many that they stay in the second cache until all pixels of the task have met them.

    With `pointwise`, windows are single taps on pixels, which are read where they lie, and rows are
    at least a tile wide.
    """
    vectors, pixels, rows = tile_of(level, vectors, pixels, half=half)
    conv = Convolution(types, volume=volume)
    lanes = level.lanes(conv.numbers)
    block = vectors * lanes
    packed = hl.Func("packed")
    b, ob, c, *at = (hl.Var(name) for name in ("b", "ob", "c", "i", "j", "k"))
    at = at if volume else at[:2]  # a tap's place in the window
    # Of the last block, the lanes without a kernel hold zeros.
    count, first = conv.kernels.dim(0).extent(), ob * block
    whole, empty, rest = (hl.RDom([(0, block)], name) for name in ("whole", "empty", "rest"))
    whole.where(first + block <= count)
    for each in (empty, rest):
        each.where(first + block > count)
    rest.where(first + rest.x < count)
    packed[b, c, *at, ob, g] = hl.undef(conv.numbers)
    packed[whole.x, c, *at, ob, g] = conv.kernels[first + whole.x, g, c, *at]
    packed[empty.x, c, *at, ob, g] = hl.cast(conv.numbers, 0)
    packed[rest.x, c, *at, ob, g] = conv.kernels[first + rest.x, g, c, *at]

    # A tile's pixels are copied once for all kernels, one after another: memory that is read from
    # several pixels by turns comes much more slowly.
    near, channel = hl.Func("near"), hl.Var("channel")
    row = hl.clamp(conv.cells.rows[y], 0, conv.cells.last_row)
    near[channel, x, y, n] = conv.cells.pixel(x * conv.sx * conv.channels + channel, row, n)

    def product(c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        position = (conv.column * conv.sx + tap.x * conv.dx) * conv.channels + conv.channel(c)
        if pointwise:
            pixel = near[conv.channel(c), x, row, n]
        else:
            pixel = conv.cells.at(position, row, n, *tap.z)
        at = tap.x, tap.y, *tap.z
        return packed[o % block, c, *at, o // block, g] * pixel

    share, together, skips = (hl.Param(hl.Int(32), each) for each in ("share", "together", "skips"))
    largest, overall = _largest(packed, block, conv, skips)

    def needed(row: hl.Expr, tap: Tap) -> hl.Expr:
        lines = [conv.cells.rows[row], *(conv.cells.slabs[kz, n] for kz in tap.z)]
        infinite = overall[o // block, g] >= hl.cast(overall.type(), _infinity(conv.numbers))
        return reduce(and_, (line >= 0 for line in lines)) | infinite | (skips == 0)

    # Rows of padding can be skipped only if a tile has one row: others may still need the cells.
    conv.define(product, None if rows > 1 or pointwise else needed, height=rows)
    conv.arguments += [share, together, skips]
    conv.kernels.dim(0).set_stride(1)
    if pointwise:
        conv.kernels.dim(3).set_bounds(0, 1)
        conv.kernels.dim(4).set_bounds(0, 1)
    yo, yi, xo, xi, ot, oo, oi = (
        hl.Var(name) for name in ("yo", "yi", "xo", "xi", "ot", "oo", "oi")
    )
    out, sums, parts = conv.out, conv.sums, hl.Var("parts")
    out.output_buffer().dim(0).set_stride(1)
    conv.split_rows(yo, yi, rows)
    out.split(o, ot, oi, block, Tail.PredicateStores).vectorize(oi)
    blocks_of_task = (share + block - 1) // block
    out.split(ot, parts, ot, blocks_of_task, Tail.GuardWithIf)
    few = hl.clamp(together // block, 1, blocks_of_task)
    out.split(ot, ot, oo, few, Tail.GuardWithIf)
    # Beyond the images nothing can be read, so the last tile of pixels shifts inwards there.
    out.split(x, xo, xi, pixels, Tail.ShiftInwards if pointwise else Tail.GuardWithIf).unroll(xi)
    order = [oi, xi, yi, oo, xo, yo, *([] if volume else [n]), ot, g]
    task = conv.by_strips(order, lanes, parts=parts, padded=not pointwise)
    sums.compute_at(out, oo)
    if pointwise:
        near.compute_at(out, xo).hoist_storage(out, task)
        near.bound_extent(x, pixels).vectorize(channel, lanes, Tail.Predicate)
    for func, loops in conv.chains(blocks):
        func.bound_extent(o, block).bound_extent(x, pixels).bound_extent(y, rows)
        func.vectorize(o).unroll(x).unroll(y)
        func.update().reorder(o, x, y, *loops).vectorize(o).unroll(x).unroll(y)
    packed.compute_at(out, task if volume else ot).hoist_storage(out, task).bound(b, 0, block)
    for stage, lane in enumerate((whole.x, empty.x, rest.x)):
        packed.update(stage).reorder(lane, ob, c, *at, g).vectorize(lane)
    if rows == 1 and not pointwise:
        largest.compute_at(out, task if volume else ot).vectorize(largest.args()[0])
        largest.update().vectorize(largest.args()[0])
        overall.compute_at(out, task if volume else ot)
    return Pipeline(conv.out, conv.arguments)


def _infinity(numbers: hl.Type) -> int:
    """The bits of an infinite number: those of finite ones are less, without their sign."""
    return 0x7F800000 if numbers.bits() == 32 else 0x7FF << 52


def _largest(
    packed: hl.Func, block: int, conv: Convolution, asked: hl.Expr
) -> tuple[hl.Func, hl.Func]:
    """The bits of the largest number of each block of kernels; 0 unless it is asked.

    With NaN or inf among them, products with zeros count, because they are NaN.
    """
    word = hl.UInt(conv.numbers.bits())
    magnitude = hl.cast(word, (1 << conv.numbers.bits() - 1) - 1)  # a mask of all but the sign
    b, ob = hl.Var("b"), hl.Var("ob")
    largest, overall = hl.Func("largest"), hl.Func("overall")
    extents = [(0, hl.select(asked > 0, conv.kernels.dim(2).extent(), 0))]
    extents += [
        (0, conv.kernels.dim(axis).extent()) for axis in range(3, conv.kernels.dimensions())
    ]
    r = hl.RDom(extents, "r")
    place = [r[axis] for axis in range(len(extents))]
    number = hl.reinterpret(word, packed[b, *place, ob, g]) & magnitude
    largest[b, ob, g] = hl.cast(word, 0)
    largest[b, ob, g] = hl.max(largest[b, ob, g], number)
    every = hl.RDom([(0, block)], "every")
    overall[ob, g] = hl.cast(word, 0)
    overall[ob, g] = hl.max(overall[ob, g], largest[every.x, ob, g])
    return largest, overall
