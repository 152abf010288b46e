"""Convolution: the definition that pipelines compute, each in its own way.

    out[o, g, x, y, n] = Σ over ky, kx, c of  kernels[o, g, c, kx, ky]
                         * cells[(x * sx + kx * dx) * C + g * cg + c, y * sy + ky * dy, n]

Halide counts axes from the innermost: o is an output channel of group g, c one of the group's cg
channels, x and y a place, n an image. C is the number of channels of an image, sx and sy are
strides, dx and dy dilations. The processor's vectors lie along x (`planes`), along o (`dense`),
along g (`depthwise`) or along c (`deep`), whichever is long. In volumes the window has taps kz
along the depth, too: n is a slab of the output, and the cells of the slabs under its taps are held
for each tap.

The sum of a short window is a single chain of multiply-adds, in the order c, kx, ky, kz. The
rounding error of a chain grows with its length, so pipelines with `blocks` divide a long window
into blocks of at most CHAIN taps, each within one row of the window. Each block is a chain, and the
blocks' sums are added up in the same order. `planes` takes the taps of a long line in an order of
its own, and `deep` makes as many chains as a vector has lanes. Which of these a call takes depends
on its kernels' sizes alone, and an output is computed in the same order wherever it lies. Therefore
results depend neither on the batch nor on the threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import halide as hl
from cells import INT, Cells, Merging, saturated

Number: TypeAlias = int | hl.Expr


class Tap(NamedTuple):
    """A tap's place in the window; z has one number in volumes, and otherwise none."""

    x: Number
    y: Number
    z: list[Number]


# The types of the images, the sums and the results.
Types: TypeAlias = tuple[hl.Type, hl.Type, hl.Type]
o, g, x, y, n = AXES = tuple(hl.Var(name) for name in "ogxyn")
Tail = hl.TailStrategy
CHAIN = 128  # the most taps, each of one channel, in a block


class Convolution:
    """The arguments of every convolution, and its definition.

    The sizes given here are fixed when a pipeline is compiled; the others are arguments of a call.

    Parameters
    ----------
    types
        The types of the images, the sums and the results.
    channels, stride : int, optional
        C and sx. A stride above 1 requires a dilation of 1 across.
    taps : int, optional
        kh and kw, for a square kernel whose two strides are equal.
    rows : int
        The number of rows of the output in a tile. More than one requires a dilation of 1 down.
    planes : int
        The number of planes into which the cells are dealt out.
    width : int
        The number of outputs side by side in a tile, if the last tile reads cells beyond the row.
    more : int or None
        How many numbers further than those of such a tile are read; None if it is those of another
        output.
    depth : int, optional
        cg, the number of channels of a group.
    volume : bool
        Whether the window has three axes.
    merging : Merging, optional
        How the slabs of a volume are merged into cells; without it the cells of each are held.
    """

    def __init__(
        self,
        types: Types,
        channels: int | None = None,
        stride: int | None = None,
        taps: int | None = None,
        rows: int = 1,
        planes: int = 1,
        depth: int | None = None,
        *,
        width: int = 1,
        more: int | None = 0,
        volume: bool = False,
        merging: Merging | None = None,
        weighed: str = "",
    ) -> None:
        pixels, self.numbers, self.results = types
        self.volume, self.weighed = volume, weighed
        names = "C", "sx", "sy", "dx", "dy", "ow", "oh", "strip", "chunk"
        scalars = {name: hl.Param(INT, name) for name in names}
        self.ow, oh = scalars["ow"], scalars["oh"]  # the outputs of a row, and their rows
        # Where the last tile reaches beyond the output, its last column and row, instead of numbers
        # that earlier calls have left in memory: see `Cells`.
        self.column, self.line = hl.min(x, self.ow - 1), hl.min(y, oh - 1)
        self.channels: Number = channels or scalars["C"]
        self.sx: Number = stride or scalars["sx"]
        beyond, each = None, self.sx * self.channels
        if (width > 1 or more != 0) and self.numbers.is_float():
            outputs = -self.ow % width  # of the last tile, beyond the row
            beyond = (outputs * each + (each if more is None else more)) // planes
        self.cells = Cells(
            pixels,
            self.numbers,
            planes,
            volume=volume,
            merging=merging,
            beyond=beyond,
            narrow=channels is not None,
            weighed=weighed,
        )
        self.kernels = hl.ImageParam(self.numbers, 6 if volume else 5, "kernels")
        for axis in range(self.kernels.dimensions()):
            self.kernels.dim(axis).set_min(0)
        self.arguments = [*self.cells.arguments, *scalars.values()]

        self.strip, self.chunk = scalars["strip"], scalars["chunk"]
        self.depth: Number = depth or channels or self.kernels.dim(2).extent()  # cg
        self.sy: Number = stride if taps else scalars["sy"]
        self.dx: Number = 1 if (stride or 1) > 1 else scalars["dx"]
        self.dy: Number = 1 if rows > 1 else scalars["dy"]
        self.taps, self.rows = taps, rows

    def define(
        self,
        product: Callable[[Number, Tap, hl.Expr], hl.Expr],
        needed: Callable[[hl.Expr, Tap], hl.Expr] | None = None,
        start: Number = 0,
        height: int = 1,
    ) -> None:
        """Define the sums. product(c, tap, row) is a tap's number times the number under it.

        The loop over rows of cells is shared by all rows of a tile, so that what is loaded of a row
        of cells is used by every tap that lies on it. Rows for which `needed` is false are skipped,
        because all their products are zeros. `start` is 0, of which the compiler may know or not.
        `height` is the number of rows of a tile, if each of them reads its rows of cells by itself.
        """
        self.arguments.append(self.kernels)
        self.sums = hl.Func("sums")
        self.sums[AXES] = hl.cast(self.numbers, start)
        kw, kh = (self.taps or self.kernels.dim(axis).extent() for axis in (3, 4))
        cells = kh + (self.rows - 1) * self.sy
        ranges = [(0, self.depth), (0, kw), (0, cells)]
        if self.volume:
            ranges.append((0, self.taps or self.kernels.dim(5).extent()))
        self.r = hl.RDom(ranges, "r")
        kx, ky = self.r.y, self.r.z - y % self.rows * self.sy
        if self.rows > 1:
            self.r.where(hl.likely(ky >= 0))
            self.r.where(hl.likely(ky < kh))
            ky = hl.clamp(ky, 0, kh - 1)
        first = self.line if height > 1 else y // self.rows * self.rows
        row = first * self.sy + self.r.z * self.dy
        tap = Tap(kx, ky, [self.r[3]] if self.volume else [])
        if needed:
            self.r.where(needed(row, tap))
        self.sums[AXES] += product(self.r.x, tap, row)
        self.give(*(hl.Expr(self.sums[o, g, x, y, each]) for each in self.of_image))

    def chains(self, blocks: bool) -> list[tuple[hl.Func, list[hl.RVar]]]:
        """The functions that add up, each with its loops: over taps, or over blocks and their taps.

        A block lies within one row of the window, because tiles of several rows meet the rows of
        the window at different times. Its sum stays in registers, and is added to `sums` once.
        """
        outer = [self.r.z, *([self.r[3]] if self.volume else [])]
        if not blocks:
            return [(self.sums, [self.r.x, self.r.y, *outer])]
        c, kx = self.r.x, self.r.y
        over, within = [hl.RVar("co"), hl.RVar("kxo"), *outer], [hl.RVar("ci"), hl.RVar("kxi")]
        update = self.sums.update()
        update.split(c, over[0], within[0], CHAIN)
        update.split(kx, over[1], within[1], hl.max(1, CHAIN // 2 // hl.cast(INT, self.depth)))
        block = [hl.Var(f"block_{number}") for number in range(len(over))]
        sums = update.rfactor(list(zip(over, block, strict=True)))
        for each in block:  # A known extent lets the compiler keep the sums in registers.
            sums.bound_extent(each, 1)
        sums.compute_at(self.sums, over[0])
        return [(self.sums, over), (sums, within)]

    @property
    def of_image(self) -> list[hl.Expr]:
        """Where image n has its sums, and, where cells have weights, those of the weights."""
        return [2 * n, 2 * n + 1] if self.weighed else [hl.Expr(n)]

    def give(self, sums: hl.Expr, weights: hl.Expr | None = None) -> None:
        """Define the output as the sums, perhaps divided by weights, converted to its type."""
        self.out = hl.Func("out")
        to_bytes = self.results == hl.UInt(8)
        if weights is not None:
            nothing = hl.reinterpret(sums.type(), hl.cast(hl.UInt(sums.type().bits()), -1))  # NaN
            sums = hl.select(weights == 0, nothing, hl.strict_float(sums / weights))
        self.out[AXES] = saturated(sums) if to_bytes else hl.cast(self.results, sums)
        self.out.output_buffer().dim(0).set_stride(hl.Expr())
        for axis in range(5):
            self.out.output_buffer().dim(axis).set_min(0)

    def channel(self, c: Number) -> Number:
        """The index of the group's channel c among all channels of the image."""
        return c if isinstance(self.channels, int) else g * self.depth + c

    def split_rows(self, yo: hl.Var, yi: hl.Var, rows: int) -> None:
        """Divide the output into strips, and these into tiles of so many rows."""
        whole_tiles = (self.strip + rows - 1) // rows * rows
        self.out.split(y, hl.Var("strips"), y, whole_tiles, Tail.GuardWithIf)
        self.out.split(y, yo, yi, rows, Tail.GuardWithIf).unroll(yi)

    def by_strips(
        self, order: list[hl.Var], vector: int, *, padded: bool = True, parts: hl.Var | None = None
    ) -> hl.Var:
        """Divide the output into strips of rows and chunks of images; a task is a strip of a chunk.

        `order` names the axes inside a strip, from the innermost. The images of the chunk come
        last, if they are not among them; then cells are filled image by image, and else for all of
        the chunk. If there are `parts` too, a task is one of the parts of a strip of a chunk.
        Returns the loop over tasks.
        """
        strips, images, task = hl.Var("strips"), hl.Var("images"), hl.Var("task")
        together = any(each.name() == n.name() for each in order)
        outer = [*([] if together else [n]), *([parts] if parts else []), strips, images]
        self.out.split(n, images, n, self.chunk, Tail.GuardWithIf)
        self.out.reorder(*order, *outer)
        self.out.fuse(strips, images, task)
        if parts:
            self.out.fuse(parts, task, task)
        self.out.parallel(task)
        if padded:
            self.cells.fill_at(self.out, task if together else n, task, vector)
        return task
