"""The cells of an image and its padding, from which every pipeline reads its numbers.

Here a row of an image is flat: its numbers, pixel after pixel, channel after channel. The cells of
the padding lie around the image. Integers from the caller say where a cell takes its number from:
`rows` gives for each row of cells a row of the image, or -1 for a row of padding; `before` and
`after` do the same for the few numbers left and right of the image. Therefore one pipeline serves
every padding and every border mode, and no padded copy of an image is ever made: cells are filled
strip by strip, in the cache, on the way from the image to the sums.

Pipelines for volumes see all slabs of all volumes one after another, where they would see images.
For each slab of the output and each tap along the depth, `slabs` gives the slab that lies under the
tap, or -1 for padding. So strides, dilation and borders along the depth are all in this table. Some
pipelines hold the cells of all these slabs; others merge them into one on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import halide as hl

INT = hl.Int(32)
VECTOR = 16  # numbers of a row that are copied together


class Merging(NamedTuple):
    """How the slabs under the taps along the depth are merged into one slab of cells.

    Attributes
    ----------
    start : halide.Expr
        What a cell holds before the first slab.
    merge : callable
        Merges the number of one more slab: ``merge(merged, number, tap)``.
    """

    start: hl.Expr
    merge: Callable[[hl.Expr, hl.Expr, hl.Expr], hl.Expr]


class Cells:
    """A strip of rows of images and padding, as numbers of one type.

    Parameters
    ----------
    pixels, numbers : halide.Type
        The types of the images' numbers and of the cells' numbers.
    planes : int
        The number of planes into which a row is dealt out, number after number. With one plane for
        each channel, the numbers of a channel lie side by side.
    volume : bool
        Whether the images are slabs of volumes.
    merging : Merging, optional
        How the slabs are merged; without it the cells of each are held. For volumes alone.
    convert : callable
        Converts a number to another type.
    padded : halide.Type, optional
        The type of the number that padding is said to hold, if it is converted like the images'.
    beyond : halide.Expr, optional
        How many cells of a row, and of each plane, the last tile may read beyond those that are
        needed. They hold zeros: memory that was used before may hold subnormal numbers, and some
        processors take more than a hundred cycles for a product with one of these, even where no
        one reads the result.
    narrow : bool
        Whether borders are a few numbers wide. These are filled down all rows, number by number.
    weighed : {"", "finite", "given"}
        Which pixels take part, if not all: those that are finite, or those for which an array of
        bytes, `where`, does not hold 0. Then image n has its cells at 2 * n, with 0 for the others,
        and their weights at 2 * n + 1.

    Attributes
    ----------
    func : halide.Func
        ``func[q, p, y, n]`` is number ``q * planes + p`` in row y of the cells of image n. Where
        the slabs of a volume are held, n is followed by the tap.
    arguments : list
        The first arguments of every pipeline that reads cells.
    """

    def __init__(
        self,
        pixels: hl.Type,
        numbers: hl.Type,
        planes: int = 1,
        *,
        volume: bool = False,
        merging: Merging | None = None,
        convert: Callable[[hl.Expr, hl.Type], hl.Expr] = lambda number, to: hl.cast(to, number),
        padded: hl.Type | None = None,
        beyond: hl.Expr | None = None,
        narrow: bool = False,
        weighed: str = "",
    ) -> None:
        self._convert, self._narrow, self._weighed = convert, narrow, weighed
        self.images = hl.ImageParam(pixels, 3, "images")  # axes: numbers of a row, rows, images
        self.where = hl.ImageParam(hl.UInt(8), 3, "where")  # the same
        padding = hl.Param(padded or numbers, "padding")
        # What a cell of padding holds.
        self.padding = convert(hl.Expr(padding), numbers) if padded else padding
        self.rows = hl.ImageParam(INT, 1, "rows")
        self.before = hl.ImageParam(INT, 1, "before")
        self.after = hl.ImageParam(INT, 1, "after")
        self.left = hl.Param(INT, "left")  # how many numbers lie before the image
        self.right = hl.Param(INT, "right")  # the position at which the image ends
        self.first = hl.Param(INT, "first")  # which number of the image's row lies at `left`
        # Whether all of `before` and `after` is padding: then vectors fill borders that are wide.
        self.blank = hl.Param(INT, "blank")
        self.slabs = hl.ImageParam(INT, 2, "slabs")  # axes: taps, slabs of the output
        self.arguments = [
            self.images, *([self.where] if weighed == "given" else []), padding, self.rows,
            self.before, self.after, self.left, self.right, self.first, self.blank,
            *([self.slabs] if volume else []),
        ]  # fmt: skip
        for buffer in (self.images, self.where, self.rows, self.before, self.after, self.slabs):
            for axis in range(buffer.dimensions()):
                buffer.dim(axis).set_min(0)

        q, p, y, n, tap = (hl.Var(name) for name in ("q", "p", "y", "n", "tap"))
        self.numbers, self.planes, self._axes = numbers, planes, (q, p)
        self.volume, self.merged = volume, merging is not None
        number: Callable[..., hl.Expr] = self.number
        if merging is not None:
            self._merge_slabs(merging)
            number = self._merged_number
        at = (y, n, tap) if volume and not self.merged else (y, n)
        self.func = hl.Func("cells")
        self.func[q, p, *at] = hl.undef(numbers)
        start, stop = self.left // planes, self.right // planes
        # Rows are copied by vectors, of which the last may overlap the one before. Shorter rows
        # need a mask, which few processors have for small integers.
        length = stop - start
        short = hl.select(length < VECTOR, length, 0)
        count = hl.select(length < VECTOR, 0, (length + VECTOR - 1) // VECTOR)
        self.vectors = hl.RDom([(0, VECTOR), (0, count)], "vectors")
        self.short = hl.RDom([(0, short)], "short")
        of_vector = hl.min(self.vectors.y * VECTOR, length - VECTOR) + self.vectors.x
        for place in (of_vector, self.short.x):
            # Said of vectors, too, so that the bounds of the image are checked for the row's own.
            inside = hl.unsafe_promise_clamped(place, 0, length - 1)
            self.func[start + place, p, *at] = number(self.first + inside * planes + p, *at)
        after = self.after.dim(0).extent() // planes
        self._borders: list[tuple[hl.RVar, bool]] = []  # each number, and whether by vectors
        for name, given, at_cell, count in (
            ("before", self.before, 0, start),
            ("after", self.after, stop, after),
        ):
            each = hl.RDom([(0, count if narrow else hl.select(self.blank != 0, 0, count))], name)
            self.func[at_cell + each.x, p, *at] = self.anywhere(given[each.x * planes + p], *at)
            self._borders.append((each.x, False))
            if not narrow:
                each = hl.RDom([(0, hl.select(self.blank != 0, count, 0))], f"blank_{name}")
                self.func[at_cell + each.x, p, *at] = self.anywhere(hl.Expr(-1), *at)
                self._borders.append((each.x, True))
        self.spare = None
        if beyond is not None:  # in whole vectors, for which there is room
            self.spare = hl.RDom([(0, VECTOR), (0, (beyond + VECTOR - 1) // VECTOR)], "spare")
            place = stop + after + self.spare.y * VECTOR + self.spare.x
            self.func[place, p, *at] = hl.cast(numbers, 0)

    def _merge_slabs(self, merging: Merging) -> None:
        """Define `row`, a row of each slab under the taps merged into one, without the borders."""
        f, y, n = (hl.Var(name) for name in "fyn")
        width, taps = self.images.dim(0).extent(), self.slabs.dim(0).extent()
        self.taps, self.row = hl.RDom([(0, width), (0, taps)], "taps"), hl.Func("merged")
        self.row[f, y, n] = merging.start
        number = self.number(self.taps.x, y, n, self.taps.y)
        merged = merging.merge(hl.Expr(self.row[self.taps.x, y, n]), number, self.taps.y)
        self.row[self.taps.x, y, n] = merged
        # Padding beside the rows is merged from as many slabs: `merged_padding[t]` from t of them.
        t, r = hl.Var("t"), hl.RDom([(0, taps)], "r")
        padding = hl.Func("merged_padding")
        padding[t] = merging.start
        padding[r.x + 1] = merging.merge(hl.Expr(padding[r.x]), self.padding, r.x)
        padding.compute_root()
        self.merged_padding = hl.Expr(padding[taps])

    def pixel(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The number at position f of row y of the image itself, for calls without padding."""
        return self._convert(self.images[f, y, n], self.numbers)

    @property
    def last_row(self) -> hl.Expr:
        """The last row of the images."""
        return self.images.dim(1).extent() - 1

    def at(self, f: hl.Expr, *place: hl.Expr) -> hl.Expr:
        """The number at position f of a row of cells, if the row is a single plane."""
        return hl.Expr(self.func[f, 0, *place])

    def number(self, f: hl.Expr, y: hl.Expr, n: hl.Expr, tap: hl.Expr | None = None) -> hl.Expr:
        """The number at position f of the image's row that row y of the cells takes."""
        row = self.rows[y]
        absent = row < 0
        if tap is not None:
            slab = self.slabs[tap, n]
            absent = absent | (slab < 0)
            n = hl.clamp(slab, 0, self.images.dim(2).extent() - 1)
        inside = hl.clamp(row, 0, self.last_row)
        if self._weighed:
            cell = hl.select(absent, self.padding, self.pixel(f, inside, n // 2))
            if self._weighed == "given":
                return self._or_weight(cell, n, absent | (self.where[f, inside, n // 2] != 0))
            return self._or_weight(cell, n, _is_finite(cell))
        return hl.select(absent, self.padding, self.pixel(f, inside, n))

    def _merged_number(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The same for the slabs of a volume, merged."""
        return hl.Expr(self.row[f, y, n])

    def anywhere(self, f: hl.Expr, *place: hl.Expr) -> hl.Expr:
        """The same, for a position that may be -1, which stands for padding."""
        inside = hl.clamp(f, 0, self.images.dim(0).extent() - 1)
        if self.merged:
            return hl.select(f < 0, self.merged_padding, self._merged_number(inside, *place))
        if self._weighed:
            *_, n = place
            padding = hl.Expr(self.padding)
            there = hl.Expr(True) if self._weighed == "given" else _is_finite(padding)
            return hl.select(f < 0, self._or_weight(padding, n, there), self.number(inside, *place))
        return hl.select(f < 0, self.padding, self.number(inside, *place))

    def _or_weight(self, cell: hl.Expr, n: hl.Expr, there: hl.Expr) -> hl.Expr:
        """A cell that takes part, or else 0; for every other n its weight, 1 or 0."""
        zero, one = (hl.cast(cell.type(), number) for number in (0, 1))
        return hl.select(there, hl.select(n % 2 == 0, cell, one), zero)

    def by_channels(self, channels: hl.Expr) -> hl.Func:
        """The cells as ``padded[c, x, y, n]``, of which a few channels can be filled at a time."""
        c, x, y, n = (hl.Var(name) for name in "cxyn")
        padded = hl.Func("padded")
        padded[c, x, y, n] = hl.undef(self.numbers)
        start, stop = self.left // channels, self.right // channels
        inner = hl.RDom([(start, stop - start)], "inner")
        last = self.images.dim(0).extent() - 1

        def number(first: hl.Expr) -> hl.Expr:
            return self.number(hl.unsafe_promise_clamped(first + c, 0, last), y, n)

        padded[c, inner.x, y, n] = number(self.first + (inner.x - start) * channels)
        left = hl.RDom([(0, start)], "before")
        right = hl.RDom([(0, self.after.dim(0).extent() // channels)], "after")
        for cell, place, at in (
            (left.x, left.x, self.before),
            (right.x, stop + right.x, self.after),
        ):
            first = at[cell * channels]
            padded[c, place, y, n] = hl.select(first < 0, self.padding, number(hl.max(first, 0)))
        return padded

    def beneath(
        self, column: hl.Expr, c: hl.Expr, channels: hl.Expr, y: hl.Expr, n: hl.Expr
    ) -> hl.Expr:
        """Channel c of the cell in a column, read from the image: only for padding with zeros.

        `likely` makes Halide split loops where the image begins and ends, so that no condition is
        checked inside.
        """
        pixel = column - self.left // channels
        width = (self.right - self.left) // channels
        inside = self.first // channels + hl.clamp(hl.likely(pixel), 0, width - 1)
        number = self.number(inside * channels + c, y, n)
        return hl.select((pixel < 0) | (pixel >= width), self.padding, hl.likely(number))

    def fill_at(self, func: hl.Func, each: hl.Var, task: hl.Var, vector: int) -> None:
        """Fill the cells that one turn of a loop needs, in memory that is kept for a whole task."""
        (q, p), y = self._axes, self.func.args()[2]
        self.func.compute_at(func, each).hoist_storage(func, task)
        self.func.bound(p, 0, self.planes).align_storage(q, vector)
        if self.merged:  # Slab after slab goes into a row that stays in the first cache.
            self.row.compute_at(func, each).hoist_storage(func, task)
            self.row.vectorize(self.row.args()[0], vector)
            self.row.update().vectorize(self.taps.x, vector, hl.TailStrategy.Predicate)
        vectors = self.func.update(0)
        vectors.allow_race_conditions()  # Where vectors overlap, they hold the same.
        vectors.vectorize(self.vectors.x).reorder(p, self.vectors.y).unroll(p)
        short = self.func.update(1).vectorize(self.short.x, vector, hl.TailStrategy.Predicate)
        short.reorder(p, self.short.x).unroll(p)
        for stage, (cell, by_vectors) in enumerate(self._borders, 2):
            border = self.func.update(stage)
            if by_vectors:
                border.vectorize(cell, vector)
            elif self._narrow:
                border.reorder(y, p, cell)
            else:
                border.unscheduled()
        if self.spare is not None:
            spare = self.func.update(2 + len(self._borders))
            spare.allow_race_conditions().vectorize(self.spare.x, vector)  # there are none


def _is_finite(number: hl.Expr) -> hl.Expr:
    """Whether a float is finite, by its bits: comparisons need not be exact for NaN here."""
    bits = hl.UInt(number.type().bits())
    exponent = hl.cast(bits, 0x7F800000 if number.type().bits() == 32 else 0x7FF << 52)
    return (hl.reinterpret(bits, number) & exponent) != exponent


def saturated(sums: hl.Expr) -> hl.Expr:
    """Sums or means as unsigned bytes: rounded half to even and clipped; NaN gives 0.

    Only this step must compare NaN strictly, so that sums may still fuse their multiplications.
    """
    if not sums.type().is_float():
        return hl.cast(hl.UInt(8), hl.clamp(sums, 0, 255))
    rounded = hl.strict_float(hl.round(sums))
    clipped = hl.strict_float(hl.select(rounded > 0, hl.min(rounded, 255), 0))
    return hl.cast(hl.UInt(8), hl.cast(hl.Int(32), clipped))
