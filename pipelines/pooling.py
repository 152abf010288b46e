"""Pooling: the numbers under a window are merged down its rows, and then across its columns.

    down[f, y, n] = merge over ky of  cells[f, y * sy + ky * dy, n]
    out[c, x, y, n] = merge over kx of  down[(x * sx + kx * dx) * C + c, y, n]

Merging takes the larger number, the smaller number, or the sum. Halide counts axes from the
innermost: c is one of C channels, x and y a place, n an image, f a position in a row. sx and sy are
strides, dx and dy dilations. Cells of padding hold the number that changes nothing.

`windows` merges tap by tap, and `tiles` does so in registers, for common windows of extremes.
`squares` merges small windows side by side, without padding. `doubling` merges windows of 1 into
windows of 2, 4, 8 and so on, so that the work grows with the logarithm of the window's size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import halide as hl
from cells import INT, Cells, Merging, saturated
from levels import Level

# The types of images, merged numbers and results.
Types: TypeAlias = tuple[hl.Type, hl.Type, hl.Type]
c, x, y, n, f = (hl.Var(name) for name in "cxynf")
AXES = (c, x, y, n)
Tail = hl.TailStrategy


def larger(a: hl.Expr, b: hl.Expr) -> hl.Expr:
    """The larger number, or NaN if one is NaN, which the processor's own maximum may drop."""
    return hl.select((a > b) | hl.is_nan(a), a, b) if a.type().is_float() else hl.max(a, b)


def smaller(a: hl.Expr, b: hl.Expr) -> hl.Expr:
    """The smaller number, or NaN if one is NaN."""
    return hl.select((a < b) | hl.is_nan(a), a, b) if a.type().is_float() else hl.min(a, b)


def add(a: hl.Expr, b: hl.Expr) -> hl.Expr:
    """The sum of two numbers."""
    return a + b


# For each mode, the function that merges two numbers, and the number that changes nothing.
MERGES: dict[str, tuple[Callable[[hl.Expr, hl.Expr], hl.Expr], Callable[[hl.Type], hl.Expr]]] = {
    "max": (larger, hl.Type.min),
    "min": (smaller, hl.Type.max),
    "sum": (add, lambda numbers: hl.cast(numbers, 0)),
    "avg": (add, lambda numbers: hl.cast(numbers, 0)),
    "median": (smaller, lambda numbers: hl.cast(numbers, 0)),
}


def in_order(number: hl.Expr, nan: hl.Expr) -> hl.Expr:
    """A float32 as an integer, such that integers are in the order of the floats; NaN is `nan`.

    Floats of one sign are in the order of their bits, those below 0 in the reverse.
    """
    bits = hl.reinterpret(INT, number)
    magnitude = bits & 0x7FFFFFFF
    return hl.select(magnitude > 0x7F800000, nan, hl.select(bits < 0, ~magnitude, bits))


def out_of_order(number: hl.Expr) -> hl.Expr:
    """The float32 of such an integer."""
    return hl.reinterpret(hl.Float(32), number ^ ((number >> 31) & 0x7FFFFFFF))


class Pooling:
    """The arguments of every pooling, and its output.

    The sizes given here are fixed when a pipeline is compiled; the others are arguments of a call.

    Parameters
    ----------
    level
    types
        The types of the images, the merged numbers and the results.
    mode
        "max", "min", "sum" or "avg".
    channels : int, optional
        C.
    side : int, optional
        kh, kw, sx and sy, which are all the same for squares side by side; they require dilations
        of 1.
    volume : bool
        Whether the window has three axes. Then slabs are merged while cells are filled.
    held : bool
        Whether they are not, but the cells of each slab are held.
    ordered : bool
        Whether the larger or smaller of floats are found as those of integers in the same order.
        One instruction does that, where floats take four to keep NaN.
    """

    def __init__(
        self,
        level: Level,
        types: Types,
        mode: str,
        channels: int | None = None,
        side: int | None = None,
        *,
        volume: bool = False,
        held: bool = False,
        ordered: bool = False,
    ) -> None:
        pixels, self.numbers, self.results = types
        self.mode, self._level = mode, level
        self.merge, nothing = MERGES[mode]
        self.nothing = nothing(self.numbers)
        self.volume, self.ordered = volume, ordered
        convert: Callable[[hl.Expr, hl.Type], hl.Expr] = level.converted
        padded = None
        if ordered:
            nan = INT.max() if mode == "max" else INT.min()
            padded, self.numbers, self.nothing = self.numbers, INT, nothing(INT)
            convert = lambda number, _to: in_order(number, nan)  # noqa: E731
        merging = Merging(self.nothing, lambda merged, number, _tap: self.merge(number, merged))
        self.cells = Cells(
            pixels,
            self.numbers,
            volume=volume,
            merging=merging if volume and not held else None,
            convert=convert,
            padded=padded,
        )
        # How many cells of a window count, for each slab, row and column of the output. Means of
        # float16 are computed in float32 before they are rounded, and those of bytes in float64.
        half = self.results == hl.Float(16)
        self.to_bytes = self.results == hl.UInt(8) and mode in ("avg", "sum")
        self.means = self.numbers if half else hl.Float(64) if self.to_bytes else self.results
        self.slabs_counted, self.rows_counted, self.columns_counted = counted = [
            hl.ImageParam(self.means, 1, f"{name}_counted") for name in ("slabs", "rows", "columns")
        ]
        names = ("C", "kw", "kh", "sx", "sy", "dx", "dy", "strip", "chunk")
        scalars = {name: hl.Param(INT, name) for name in names}
        self.arguments = [
            *self.cells.arguments, *(counted if volume else counted[1:]), *scalars.values()
        ]  # fmt: skip
        self.strip, self.chunk = scalars["strip"], scalars["chunk"]
        self.channels = channels or scalars["C"]
        fixed = {"kw": side, "kh": side, "sx": side, "sy": side} if side else {}
        fixed |= {"dx": 1, "dy": 1} if side else {}
        sizes = scalars | fixed
        self.kw, self.kh, self.dx, self.dy = (sizes[name] for name in ("kw", "kh", "dx", "dy"))
        self.sx, self.sy = sizes["sx"], sizes["sy"]
        self.out = hl.Func("out")

    def give(self, merged: hl.Expr) -> None:
        """Define the output: the merged number, divided by the number of cells for a mean."""
        if self.ordered:
            merged = out_of_order(merged)
        if self.mode == "avg":
            counted = self.rows_counted[y] * self.columns_counted[x]
            if self.volume:
                counted *= self.slabs_counted[n]
            merged = hl.cast(self.means, merged) / counted
        convert = self._level.converted
        self.out[AXES] = saturated(merged) if self.to_bytes else convert(merged, self.results)
        for axis in range(4):
            self.out.output_buffer().dim(axis).set_min(0)

    def by_strips(self, order: list[hl.Var]) -> hl.Var:
        """Divide the output into strips and chunks of images; a task is a strip of a chunk."""
        images, task = hl.Var("images"), hl.Var("task")
        self.out.split(n, images, n, self.chunk, Tail.GuardWithIf)
        self.out.reorder(*order, n, hl.Var("strips"), images)
        self.out.fuse(hl.Var("strips"), images, task).parallel(task)
        return task
