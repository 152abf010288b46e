"""The gradient of a pooling by its images.

A sum gives what comes back to an output to each pixel under its window, and a mean an equal share
of it: this is the transpose of a convolution with ones, or where windows share few pixels, sums of
what those over a pixel give, row by row in C or copied by NumPy. A maximum gives everything to the
pixel that it was taken from. That is found again, and what each pixel gets is added up, by the
compiled library or by NumPy.

This is done for one block of pixels after another, with all outputs whose windows touch it. Where
padding repeats pixels, its cells have blocks too, which are added to the pixels in the end. Blocks
depend on the sizes of an image alone, so an image's result has the same bits in every batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, reduce
from itertools import product
from math import prod

import numpy as np

from convlens.compiled import shares
from convlens.compiled import winners as compiled
from convlens.compiled.library import address
from convlens.core.axis import ZEROS, Axis
from convlens.core.cells import arange, counts, sources
from convlens.core.memory import Memory
from convlens.core.pairwise import Pairwise
from convlens.core.problem import FULL, Array, Problem, Region, Spec
from convlens.methods import Program
from convlens.methods.boxes import boxes, of, steps
from convlens.methods.folds import folded
from convlens.methods.transposed import Transposed
from convlens.methods.winners import NUMBERS, under_windows, winners

Settle = Callable[[Problem, Array | None], Program]
AT_A_TIME = 2**19  # the most numbers of pixels that the compiled library gives to at a time
ROWS = 16  # of pixels in an image, below which threads have little to share
FEWEST = 8  # channels, below which convolutions have longer vectors
IN_PLACE = 2**23  # the same where nothing is copied: so few that Ctrl-C is heard soon
SHARES = 2**21  # the same where shares are given: a row of them is kept by each thread
LAYERS = 4  # the most windows on a pixel, along each axis, whose shares are copied and added
FEW = 1024  # outputs along an axis: for so few, what their windows count is kept
SHARED = 32  # the most windows on a pixel whose numbers are added up one after another


class PoolGradient:
    """How the gradient of a pooling is computed.

    Parameters
    ----------
    problem : Problem
        The pooling of the images.
    of_outputs : Problem
        The same pooling, by "sum" or "avg", of numbers of the outputs' type.
    settle : callable
        Chooses the program for a convolution, and its kernels.
    in_numpy : bool
        Whether the compiled library is not used for pixels that were chosen.
    """

    for_any_numbers = True

    def __init__(
        self, problem: Problem, of_outputs: Problem, settle: Settle, *, in_numpy: bool
    ) -> None:
        self._problem, self._settle, self._in_numpy = problem, settle, in_numpy
        floats = of_outputs.sum_dtype.kind in "fc" or of_outputs.mode == "sum"
        self._dtype = of_outputs.sum_dtype if floats else of_outputs.output_dtype
        self._shared = [-(-axis.reach // axis.stride) for axis in problem.axes]
        self._repeats = any(axis.border.repeats for axis in problem.axes)
        # Whether pixels lie under few windows, whose places 64 bits can hold. Without strides, a
        # convolution is faster for windows that share pixels.
        places = all(max(axis.reach, axis.stride, axis.before) < 2**61 for axis in problem.axes)
        strides = prod(axis.stride for axis in problem.axes)
        few = prod(self._shared) == 1 or (strides > 1 and max(self._shared) <= LAYERS)
        self._copied = few and places and not self._repeats
        self._many = prod(self._shared) > SHARED or self._repeats
        small = prod(axis.size for axis in problem.axes) * problem.channels <= AT_A_TIME
        choosing = problem.mode in ("max", "min")
        self._exact = self._dtype.kind in "iu"
        self._compiled = not in_numpy and self._dtype in (np.float32, np.float64)
        # Vectors along the channels need some, but where windows leave out places so does all else.
        near = problem.channels >= FEWEST or strides > 1
        self._by_rows = (
            self._compiled
            and near
            and prod(axis.size for axis in problem.axes[:-1]) >= ROWS
            and places
            and not self._many
            and not choosing
            and all(axis.dilation == 1 or axis.window == 1 for axis in problem.axes)
        )
        # What gives to all winners at once, and the number of the images that it begins at; it is
        # known from the first call that needed nothing else.
        self._kept: tuple[int, compiled.Cells] | None = None
        # The same for what gives shares, and the outputs that are shared.
        self._shares: tuple[tuple[slice, ...], shares.Shares] | None = None
        # In an image that is one block, cells of padding give to the pixels that they repeat.
        at_once = small and (not choosing or self._exact or self._compiled)
        self._in_planes = self._repeats and not at_once

    def grain(self, problem: Problem) -> tuple[int, ...]:
        """It is computed as a whole."""
        return tuple(axis.outputs for axis in problem.axes)

    def describe(self) -> str:
        """Say which way of the two is taken."""
        if self._problem.mode in ("max", "min"):
            kind = "largest" if self._problem.mode == "max" else "smallest"
            apart = self._in_numpy and self._apart
            then = "gives them all" if apart else "adds up what they get"
            return f"which finds the {kind} pixels again and {then}"
        if self._by_rows:
            return "which gives each window's share to the pixels under it, row by row"
        if self._copied:
            return "which copies each window's share to the pixels under it, axis by axis, in NumPy"
        return "as transposes of convolutions with ones, a block of pixels at a time"

    def run(self, problem: Problem, images: Array, outputs: Array | None, out: Array) -> None:
        """Write the gradient by the images into `out`."""
        assert outputs is not None
        images, out = problem.full_images(images), problem.full_images(out)  # (m, *space, c)
        outputs = problem.full_output(outputs)  # (m, *outputs, c)
        if self._in_planes or not outputs.size:
            out[...] = 0
        if not outputs.size or not out.size:
            return
        if problem.mode in ("max", "min") and self._in_numpy and self._apart:
            self._give_to_winners_apart(images, outputs, out)
            return
        nothing_copied = self._copies_nothing(images, out)
        if nothing_copied and self._kept is not None:
            first, piece = self._kept
            numbers = outputs.astype(self._dtype, copy=False)
            compiled.give(piece.of(images.reshape(-1)[first:]), numbers, out, exact=self._many)
            return
        if self._shares is not None and self._is_written(out):
            some, given = self._shares
            given.give(outputs[some].astype(self._dtype, copy=False), out)
            return
        limit = NUMBERS if self._in_numpy else AT_A_TIME
        if self._by_rows:
            limit = SHARES
        elif nothing_copied:
            limit = IN_PLACE
        limit //= problem.channels
        memory = Memory()
        for plane in product(*(_planes(axis, self._in_planes) for axis in problem.axes)):
            sizes = problem.batch, *map(len, plane)
            for n, *cells in boxes((range(problem.batch), *plane), steps(sizes, limit)):
                places = [range(axis.outputs) for axis in problem.axes]
                if not self._repeats or self._in_planes:
                    places = [_touching(*each) for each in zip(problem.axes, cells, strict=True)]
                at = of(n)
                here = None if self._in_planes else out[at, *map(of, cells)]
                if here is not None and self._is_written(here):
                    values = here
                else:
                    shape = (len(n), *map(len, cells), problem.channels)
                    values = memory.array("values", shape, self._dtype)
                if not all(places):
                    values[...] = 0
                else:
                    region = Region(n, tuple(places))
                    if problem.mode in ("max", "min"):
                        self._give_to_winners(images, outputs, region, cells, values, memory)
                    else:
                        self._give_to_all(outputs, region, cells, values)
                if here is None:
                    _add_to_pixels(problem, values, cells, out[at])
                elif values is not here:
                    here[...] = values

    def _copies_nothing(self, images: Array, out: Array) -> bool:
        """Whether the compiled library needs nothing but the arrays to give to winners."""
        as_they_are = self._problem.mode == "max" and images.dtype == compiled.compared_as(
            images.dtype
        )
        as_they_are &= images.flags.c_contiguous and images.flags.aligned
        as_they_are &= all(axis.border.mode == "nothing" for axis in self._problem.axes)
        return self._compiled and not self._many and as_they_are and self._is_written(out)

    def _is_written(self, out: Array) -> bool:
        """Whether what pixels get is written into an array itself, and not into a copy."""
        return out.dtype == self._dtype and out.flags.carray

    @property
    def _apart(self) -> bool:
        """Whether windows share no pixels, lie on pixels alone, and fit into the cache."""
        axes = self._problem.axes
        numbers = prod(axis.window for axis in axes) * self._problem.channels
        return numbers <= NUMBERS and all(
            axis.stride >= axis.reach and not (axis.before or axis.after or axis.partial)
            for axis in axes
        )

    def _give_to_winners_apart(self, images: Array, outputs: Array, out: Array) -> None:
        """Give the pixels that were chosen what came back, under windows that share none."""
        axes, shape = self._problem.axes, outputs.shape[:-1]
        taps = list(product(*(range(axis.window) for axis in axes)))
        out[...] = 0
        limit = NUMBERS // (len(taps) * outputs.shape[-1])
        for n, *places in boxes(shape, steps(shape, limit)):
            under = []  # of each tap, an index of the pixels that it lies on
            for tap in taps:
                at = [of(n)]
                for t, some, axis in zip(tap, places, axes, strict=True):
                    first = t * axis.dilation + some.start * axis.stride
                    at.append(slice(first, first + len(some) * axis.stride, axis.stride))
                under.append(tuple(at))
            numbers = [np.ascontiguousarray(images[at]) for at in under]  # (m, *outputs, c)
            chosen = reduce(np.maximum if self._problem.mode == "max" else np.minimum, numbers)
            left = outputs[of(n), *map(of, places)].astype(out.dtype)
            for each, here in zip(numbers, under, strict=True):  # to the first of equal pixels
                _give(left, each == chosen, out[here])
            if (chosen != chosen).any():
                for each, here in zip(reversed(numbers), reversed(under), strict=True):
                    _give(left, each != each, out[here])  # to the last NaN

    def _give_to_all(
        self, outputs: Array, region: Region, cells: list[range], values: Array
    ) -> None:
        """Give every pixel its share of the outputs whose windows cover it."""
        problem, some = self._problem, outputs[region.slices]
        taps = [np.ones(len(places), np.int64) for places in region.places]
        if problem.mode == "avg":
            taps = [
                (_few_counts if len(places) <= FEW else counts)(
                    axis, places, padding=problem.count_padding
                )
                for axis, places in zip(problem.axes, region.places, strict=True)
            ]
        if self._by_rows:
            given = shares.Shares(problem.axes, region.places, taps, cells)
            given.give(some.astype(self._dtype, copy=False), values)
            if values.size == prod(problem.images.shape):
                self._shares = region.slices, given
            return
        if problem.mode == "avg":
            divisor = reduce(np.multiply.outer, taps).astype(self._dtype)
            some = some / divisor[..., np.newaxis]
        if self._copied:
            _spread(problem.axes, some.astype(self._dtype, copy=False), region, cells, values)
            return
        values[...] = 0
        axes = problem.axes
        if not self._repeats or self._in_planes:
            axes = tuple(_on(*each) for each in zip(axes, region.places, cells, strict=True))
        window = tuple(axis.window for axis in axes)
        ones = np.ones(window, self._dtype)
        full = FULL[len(axes)]
        part = replace(
            problem,
            operation="convolve",
            mode="sum",
            images=Spec(values.shape, some.dtype),
            kernels=Spec(window, ones.dtype),
            layout=full._replace(kernels=full.kernels[:-2]),
            axes=axes,
            sum_dtype=self._dtype,
            output_dtype=self._dtype,
        )
        Transposed(part, ones, self._settle).run(part, some, ones, values)

    def _give_to_winners(
        self,
        images: Array,
        outputs: Array,
        region: Region,
        cells: list[range],
        values: Array,
        memory: Memory,
    ) -> None:
        """Give the pixels that were chosen under a window what came back to its output."""
        problem, sizes = self._problem, tuple(map(len, cells))

        def place(axis: int, each: Array, pixels: Array) -> Array:
            at, block = each if self._in_planes else pixels, cells[axis]
            return np.where((at >= block.start) & (at < block.stop), at - block.start, -1)

        numbers = outputs[region.slices].astype(self._dtype, copy=False)
        if self._compiled:
            pieces = under_windows(problem, images, region, place, sizes, memory)
            if pieces is not None:
                for some, piece in pieces:
                    compiled.give(piece, numbers[of(some)], values[of(some)], exact=self._many)
                if values.size == images.size and self._copies_nothing(images, values):
                    before = address(piece.numbers) - address(images)
                    none = np.empty(0, images.dtype)  # rather than keep this call's
                    self._kept = before // images.itemsize, piece.of(none)
                return
        found = winners(problem, images, region, place, sizes, memory, in_numpy=self._in_numpy)
        values[...] = 0
        here = found >= 0
        m, channels = np.arange(len(values)), np.arange(values.shape[-1])
        of_images = m.reshape(-1, *(1,) * (found.ndim - 1)) * prod(sizes)
        at = (found + of_images) * len(channels) + channels
        flat = values.reshape(-1)
        if self._exact or not self._many:
            np.add.at(flat, at[here], numbers[here])
            return
        sums = Pairwise()
        for first in product(*map(range, self._shared)):  # windows that touch no pixel together
            each = zip(first, self._shared, strict=True)
            alone = slice(None), *(slice(start, None, by) for start, by in each)
            layer = np.zeros_like(flat)
            layer[at[alone][here[alone]]] = numbers[alone][here[alone]]
            sums.add(layer)
        flat[...] = sums.total()


_few_counts = lru_cache(maxsize=256)(counts)


def _give(left: Array, here: Array, out: Array) -> None:
    """Give what is left for these outputs to their pixels."""
    np.copyto(out, left, where=here)
    np.copyto(left, 0, where=here)


def _spread(
    axes: tuple[Axis, ...],
    outputs: Array,
    region: Region,
    cells: list[range],
    values: Array,
) -> None:
    """Write into the values of these pixels the sums of what the windows over them give.

    Columns come first, because then the rows that are copied are whole ones.
    """
    for number in range(len(axes), 0, -1):
        axis, places = axes[number - 1], region.places[number - 1]
        last, place = np.divmod(arange(cells[number - 1]) + axis.before, axis.stride)
        sums: Array | None = None
        for earlier in reversed(range(-(-axis.reach // axis.stride))):
            window = last - earlier
            tap, between = np.divmod(place + earlier * axis.stride, axis.dilation)
            under = (between == 0) & (tap < axis.window) & (window >= 0) & (window < axis.outputs)
            into = values if number == 1 and sums is None else None
            some = outputs.take(window - places.start, number, into, "clip")
            if not under.all():
                some[(slice(None),) * number + (~under,)] = 0
            sums = some if sums is None else np.add(sums, some, sums)
        assert sums is not None
        outputs = sums


def _planes(axis: Axis, beyond: bool) -> Iterator[range]:
    """The pixels of an axis, and if padding `beyond` repeats them, the cells on either side."""
    yield range(axis.size)
    if beyond and axis.border.repeats:
        for cells in (range(-axis.before, 0), range(axis.size, axis.size + axis.after)):
            if cells:
                yield cells


def _touching(axis: Axis, cells: range) -> range:
    """The outputs whose windows touch these cells, or at least reach over them."""
    start = -((axis.reach - 1 - axis.before - cells.start) // axis.stride)
    stop = (cells.stop - 1 + axis.before) // axis.stride + 1
    start = max(0, start)
    return range(start, max(start, min(stop, axis.outputs)))


def _on(axis: Axis, places: range, cells: range) -> Axis:
    """How the windows of these outputs slide over these cells alone."""
    before = axis.before + cells.start - places.start * axis.stride
    after = (len(places) - 1) * axis.stride + axis.reach - len(cells) - before
    return Axis(len(cells), axis.window, axis.stride, axis.dilation, before, after, border=ZEROS)


def _add_to_pixels(problem: Problem, values: Array, cells: list[range], out: Array) -> None:
    """Add what cells got to the pixels that they hold."""
    at = []
    for number, (axis, some) in enumerate(zip(problem.axes, cells, strict=True), 1):
        pixels = sources(arange(some), axis.size, axis.border.mode)
        first, stop = int(pixels.min()), int(pixels.max()) + 1
        values = folded(values, number, pixels - first, stop - first)
        at.append(slice(first, stop))
    out[:, *at] += values
