"""The transpose of a convolution, computed as ordinary convolutions of its outputs.

Number the cells of an axis from the first cell of padding. Tap t of output o lies on cell
``o * stride + t * dilation``, so the transpose gives each cell the sum of number t times output o,
over all t and o that meet there. For the cells of one *phase*, all of which leave the same rest
when they are divided by the stride, the taps are every so many of the kernel, and the outputs are
neighbours: this is a convolution with these taps, flipped, at stride 1. With s strides along each
of two axes there are s * s such convolutions, which together take as many multiply-adds as the
convolution itself. Nothing is multiplied by inserted zeros.

Channels of the kernels are exchanged within their groups, because each kernel gives back to all
channels that it has read. Where padding repeats pixels, its cells give what they get to those.

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning",
arXiv:1603.07285, section 4, which inserts zeros; the phases are those of polyphase filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np

from convlens.core.axis import ZEROS, Axis
from convlens.core.problem import FULL, Array, Problem, Region, Spec
from convlens.methods import Program
from convlens.methods.boxes import boxes, of, steps
from convlens.methods.folds import Fold, Run, folded

Settle = Callable[[Problem, Array | None], Program]
NUMBERS = 2**16  # the most numbers of a block at a border, which are folded together
APART = 2**20  # the most numbers of kernels in groups, of which there is a copy


class Phase(NamedTuple):
    """The cells of an axis that are a whole number of strides from each other.

    Attributes
    ----------
    first : int
        The first of these cells, counted from the first cell of padding.
    taps : slice
        The taps of the kernel that lie on them.
    axis : Axis
        How these taps, flipped, slide over the outputs; each of its own outputs is one cell.
    """

    first: int
    taps: slice
    axis: Axis


def phases(axis: Axis) -> list[Phase]:
    """The phases of an axis that any tap lies on.

    Examples
    --------
    >>> axis = Axis(size=6, window=3, stride=2, dilation=1, before=0, after=1)
    >>> [(phase.first, phase.taps) for phase in phases(axis)]
    [(0, slice(0, None, 2)), (1, slice(1, None, 2))]
    """
    if axis.partial:  # A window that hangs over lies on padding instead, which takes nothing.
        axis = axis.part(range(axis.outputs), range(axis.window))
    common = gcd(axis.stride, axis.dilation)
    every, gap = axis.stride // common, axis.dilation // common
    found = []
    for tap in range(min(every, axis.window)):
        later, first = divmod(tap * axis.dilation, axis.stride)
        taps, cells = (
            len(range(tap, axis.window, every)),
            len(range(first, axis.padded, axis.stride)),
        )
        reach = (taps - 1) * gap + 1
        before = reach - 1 + later
        after = cells - 1 + reach - axis.outputs - before
        slides = Axis(axis.outputs, taps, 1, gap, before, after, border=ZEROS)
        found.append(Phase(first, slice(tap, None, every), slides))
    return found


@dataclass(frozen=True, slots=True)
class Part:
    """The convolution that makes the cells of one phase of each axis."""

    phases: tuple[Phase, ...]
    problem: Problem
    program: Program


class Transposed:
    """How the transpose of a convolution is computed.

    Parameters
    ----------
    problem : Problem
        The convolution.
    kernels : numpy.ndarray or None
        Its kernels, or None if only their shape is known.
    settle : callable
        Chooses the program for one of the convolutions, and its kernels.
    """

    for_any_numbers = False

    def __init__(self, problem: Problem, kernels: Array | None, settle: Settle) -> None:
        depth = problem.channels // max(1, problem.groups)
        each = problem.output_channels // max(1, problem.groups)
        many = problem.taps * depth * problem.output_channels > APART
        # Exchanging the channels of one group needs no copy of its kernels, but that of several.
        self._apart = many and problem.groups > 1 and depth > 1
        self._each = each
        groups = 1 if self._apart else problem.groups
        full = FULL[len(problem.axes)]
        self._same = "c" not in problem.layout.kernels
        self._layout = full._replace(kernels=full.kernels[:-2]) if self._same else full
        self._problem = replace(
            problem,
            groups=groups,
            channels=groups * depth,
            output_channels=groups * each,
        )
        some = None if kernels is None else problem.full_kernels(kernels)[..., : groups * each]
        combined = product(*map(phases, problem.axes))
        self.parts = [self._part(chosen, some, settle) for chosen in combined]

    def _part(self, chosen: tuple[Phase, ...], kernels: Array | None, settle: Settle) -> Part:
        forward = self._problem
        groups = max(1, forward.groups)
        shape = forward.batch, *(axis.outputs for axis in forward.axes), forward.output_channels
        taps = tuple(phase.axis.window for phase in chosen)
        depth = forward.output_channels // groups
        dtype = forward.images.dtype if forward.kernels is None else forward.kernels.dtype
        problem = replace(
            forward,
            operation="convolve",
            mode="sum",
            images=Spec(shape, forward.images.dtype),
            kernels=Spec(taps if self._same else (*taps, depth, forward.channels), dtype),
            layout=self._layout,
            axes=tuple(phase.axis for phase in chosen),
            channels=forward.output_channels,
            output_channels=forward.channels,
            padding_word="given",
            count_padding=True,
        )
        turned = None if kernels is None else self._turned(chosen, kernels)
        return Part(chosen, problem, settle(problem, turned))

    def _turned(self, chosen: tuple[Phase, ...], kernels: Array) -> Array:
        """The kernels of a part: (*taps, n of a group, c), or (*taps) if all channels have one."""
        index: Any = tuple(phase.taps for phase in chosen)
        backwards: Any = (slice(None, None, -1),) * len(chosen)
        some: Array = kernels[index][backwards]
        if self._same:
            return some[..., 0, 0]
        *taps, depth, count = some.shape
        groups = max(1, self._problem.groups)
        some = some.reshape(*taps, depth, groups, count // groups).swapaxes(-1, -3)
        exchanged: Array = some.reshape(*taps, count // groups, groups * depth)
        return exchanged

    @cached_property
    def main(self) -> Part:
        """The part that takes the most multiply-adds."""
        return max(self.parts, key=lambda part: part.problem.taps)

    def convolutions(self, kernels: Array) -> Iterator[tuple[Problem, Array]]:
        """The convolutions with their kernels; of the first group, if they are computed apart."""
        some = kernels[..., : self._problem.output_channels]
        for part in self.parts:
            yield part.problem, self._turned(part.phases, some)

    @property
    def repeats(self) -> int:
        """How many cells a pixel stands for at the most: one, and those that repeat it."""
        return prod(Fold(axis).most for axis in self._problem.axes)

    def grain(self, problem: Problem) -> tuple[int, ...]:
        """It is computed as a whole."""
        return tuple(axis.outputs for axis in problem.axes)

    def describe(self) -> str:
        """Say how many convolutions there are, and how the largest is computed."""
        how = self.main.program.describe()
        count = len(self.parts)
        words = "as a convolution with flipped kernels"
        if count > 1:
            words = f"in {count} convolutions, one for each phase of the stride"
        words += ", of each group by itself" * self._apart
        if any(axis.border.repeats and (axis.before or axis.after) for axis in self._problem.axes):
            words += ", padding added to the pixels that it repeats"
        return f"{words}, {how}"

    def run(self, problem: Problem, outputs: Array, kernels: Array | None, out: Array) -> None:
        """Write the transpose, applied to these outputs, into `out`."""
        assert kernels is not None
        image, outputs = problem.full_images(out), problem.full_output(outputs)
        kernels = problem.full_kernels(kernels)  # (*taps, c // groups, nc)
        depth, each = kernels.shape[-2], self._each
        for group in range(problem.groups if self._apart else 1):
            n, c = slice(None), slice(None)
            if self._apart:
                n, c = (slice(group * size, (group + 1) * size) for size in (each, depth))
            turned = [self._turned(part.phases, kernels[..., n]) for part in self.parts]
            _Run(self.parts, turned, outputs[..., n], self._problem.axes).write(image[..., c])


class _Run:
    """The parts of a transpose, with their kernels and the outputs that they are applied to."""

    def __init__(
        self, parts: list[Part], kernels: list[Array], outputs: Array, axes: tuple[Axis, ...]
    ) -> None:
        self._parts, self._kernels, self._outputs, self._axes = parts, kernels, outputs, axes

    def write(self, out: Array) -> None:
        """Write all pixels of the images (m, *space, c)."""
        folds = [Fold(axis) for axis in self._axes]
        for block in product(*(fold.strips for fold in folds)):
            pixels = tuple(each for each, _ in block)
            touched = [folded for _, folded in block]
            if any(touched):
                self._writefolded(out, pixels, touched, folds)
            else:
                self._write_cells(out[:, *map(of, pixels)], range(len(out)), pixels)

    def _writefolded(
        self, out: Array, pixels: tuple[range, ...], touched: list[bool], folds: list[Fold]
    ) -> None:
        """Write pixels that cells of padding repeat: for each, the sum of all its cells."""
        m, channels = len(out), max(1, out.shape[-1])
        dtype = self._parts[0].problem.sum_dtype
        limit = NUMBERS // channels  # cells of a box, in whatever batch: where cuts are makes bits
        for some in boxes(pixels, steps([len(each) for each in pixels], limit)):
            sizes = tuple(map(len, some))
            runs = [
                fold.runs(each) if folded else [Run(each, None)]
                for fold, folded, each in zip(folds, touched, some, strict=True)
            ]
            pieces = [
                (each, box)
                for each in product(*runs)
                for cells in [[run.cells for run in each]]
                for box in boxes(cells, steps([len(run) for run in cells], limit))
            ]
            largest = max(prod(sizes), *(prod(map(len, box)) for _, box in pieces))
            together = max(1, limit // largest)
            for first in range(0, m, together):
                images = range(first, min(first + together, m))
                sums = np.zeros((len(images), *sizes, out.shape[-1]), dtype)
                for each, box in pieces:
                    values = np.empty((len(images), *map(len, box), out.shape[-1]), dtype)
                    self._write_cells(values, images, box)
                    for axis, (run, here) in enumerate(zip(each, box, strict=True), 1):
                        if run.places is not None:
                            start = here.start - run.cells.start
                            places = run.places[start : start + len(here)]
                            values = folded(values, axis, places, sizes[axis - 1])
                    sums += values
                out[of(images), *map(of, some)] = sums

    def _write_cells(self, out: Array, images: range, cells: tuple[range, ...]) -> None:
        """Write what these cells get, counted from the first pixel: (m, *cells, c)."""
        outputs = self._outputs[of(images)]
        covered = sum(prod(p.problem.full_output_shape[1:-1]) for p in self._parts)
        if covered < prod(axis.padded for axis in self._axes) or not outputs.size:
            out[...] = 0
        if not outputs.size or not out.size:
            return
        for part, kernels in zip(self._parts, self._kernels, strict=True):
            places, at = [], []
            for phase, axis, each in zip(part.phases, self._axes, cells, strict=True):
                first = phase.first - axis.before  # of the phase's cells, from the first pixel
                start, stop = (-((first - cell) // axis.stride) for cell in (each.start, each.stop))
                start, stop = max(0, start), max(0, stop)
                stop = min(stop, phase.axis.outputs)
                places.append(range(start, max(start, stop)))
                begin = first + start * axis.stride - each.start
                end = begin + (stop - start - 1) * axis.stride + 1
                at.append(slice(begin, max(begin, end), axis.stride))
            if all(places):
                region = Region(range(len(outputs)), tuple(places))
                problem = part.problem.part(region)
                if problem.output_dtype != out.dtype:  # sums that are to be added up
                    problem = replace(problem, output_dtype=out.dtype)
                part.program.run(problem, outputs, kernels, out[:, *at])
