"""Images with their borders around them: where every pipeline reads its numbers.

A row of an image is flat here: its numbers, pixel after pixel, channel after channel. Around the
image lie the cells of the padding. Where a cell takes its number from is decided outside, by
integers: `rows` names for each row of cells a row of the image, or -1 for a row of padding;
`before` and `after` do the same for the few numbers left and right of the image. So one pipeline
serves every padding and border mode, and no padded copy of an image is ever made: cells are filled
strip by strip, in the cache, on the way from the image to the sums.
"""

from __future__ import annotations

import halide as hl

INT = hl.Int(32)


class Cells:
    """A strip of rows of images and padding, as numbers of one type.

    Attributes
    ----------
    func : halide.Func
        ``func[f, y, n]``: the number at position f of row y of image n, of the strip and its cells.
    arguments : list
        What a pipeline that reads cells is called with, first of all.
    """

    def __init__(self, pixels: hl.Type, numbers: hl.Type, padding: hl.Expr | None = None) -> None:
        self.images = hl.ImageParam(pixels, 3, "images")  # numbers of a row, rows, images
        self.rows = hl.ImageParam(INT, 1, "rows")
        self.before = hl.ImageParam(INT, 1, "before")
        self.after = hl.ImageParam(INT, 1, "after")
        self.left = hl.Param(INT, "left")  # numbers of padding before the image
        self.right = hl.Param(INT, "right")  # where the image ends
        self.first = hl.Param(INT, "first")  # the image's number at `left`
        self.arguments = [
            self.images, self.rows, self.before, self.after, self.left, self.right, self.first
        ]  # fmt: skip
        for buffer in (self.images, self.rows, self.before, self.after):
            for axis in range(buffer.dimensions()):
                buffer.dim(axis).set_min(0)

        f, y, n = hl.Var("f"), hl.Var("y"), hl.Var("n")
        self.padding = hl.cast(numbers, 0) if padding is None else padding
        self.numbers = numbers
        self.func = hl.Func("cells")
        self.func[f, y, n] = hl.undef(numbers)
        self.inner = hl.RDom([(self.left, self.right - self.left)], "inner")
        self.func[self.inner.x, y, n] = self.number(self.inner.x - self.left + self.first, y, n)
        left = hl.RDom([(0, self.left)], "before")
        self.func[left.x, y, n] = self.anywhere(self.before[left.x], y, n)
        right = hl.RDom([(0, self.after.dim(0).extent())], "after")
        self.func[self.right + right.x, y, n] = self.anywhere(self.after[right.x], y, n)

    def number(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The number at a position of an image's row, for row y of the cells."""
        row = self.rows[y]
        inside = hl.clamp(row, 0, self.images.dim(1).extent() - 1)
        return hl.select(row < 0, self.padding, hl.cast(self.numbers, self.images[f, inside, n]))

    def anywhere(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The same for a position that may be -1, which is padding."""
        inside = hl.clamp(f, 0, self.images.dim(0).extent() - 1)
        return hl.select(f < 0, self.padding, self.number(inside, y, n))

    def fill_at(self, func: hl.Func, each: hl.Var, task: hl.Var, vector: int) -> None:
        """Fill the cells that one turn of a loop needs, in memory that lasts for a whole task."""
        self.func.compute_at(func, each).hoist_storage(func, task)
        self.func.update(0).vectorize(self.inner.x, vector, hl.TailStrategy.Predicate)
        self.func.update(1).unscheduled()
        self.func.update(2).unscheduled()
