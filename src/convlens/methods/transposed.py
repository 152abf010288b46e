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

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, product
from math import lcm, prod
from typing import Any, NamedTuple

import numpy as np

from convlens.compiled.exchange import side_by_side
from convlens.core.axis import Axis
from convlens.core.cells import Integers, needed
from convlens.core.problem import FULL, Array, Problem, Spec
from convlens.methods import Program, infinite
from convlens.methods.boxes import boxes, of, steps
from convlens.methods.folds import Fold, Run, both, folded, joined
from convlens.methods.phases import Phase, phases, places_of

Settle = Callable[[Problem, Array | None], Program]
NUMBERS = 2**16  # the most numbers of a block at a border, which are folded together
WHOLE = 2**20  # the most numbers of an image with its padding that is folded as a whole
COPIED = 2**24  # the most bytes of kernels that are copied together
MADE = 64  # blocks of a call whose steps are kept for the next one
APART = 2**20  # the most numbers of kernels in groups, of which there is a copy


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
        self._made: dict[Any, Steps] = {}  # for calls on whole outputs
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

    @property
    def for_any_numbers(self) -> bool:
        """Whether the programs of the convolutions do not depend on the kernels' numbers."""
        return all(part.program.for_any_numbers for part in self.parts)

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
        """How many pixels stay together along each axis, where padding repeats none of them."""
        grains = zip(*(part.program.grain(part.problem) for part in self.parts), strict=True)
        return tuple(
            1 if (together := lcm(*each)) == 1 else together * axis.stride
            for each, axis in zip(grains, problem.axes, strict=True)
        )

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
        image, outputs = problem.full_images(out), problem.full_output(outputs)
        held = [Held([range(axis.outputs)], whole=True) for axis in problem.axes]
        pixels = tuple(range(axis.size) for axis in problem.axes)
        self.run_part(problem, outputs, kernels, image, held, pixels)

    def run_part(
        self,
        problem: Problem,
        outputs: Array,
        kernels: Array | None,
        out: Array,
        held: Sequence[Held],
        pixels: tuple[range, ...],
    ) -> None:
        """Write these pixels into `out`, (m, *pixels, c), from those outputs that are `held`."""
        assert kernels is not None
        kernels = problem.full_kernels(kernels)  # (*taps, c // groups, nc)
        depth, each = kernels.shape[-2], self._each
        unit, whole, not_finite = self.grain(problem), kernels, infinite.places(kernels)
        if not_finite is not None:
            kernels = np.where(not_finite, 0, kernels)
        for group in range(problem.groups if self._apart else 1):
            n, c = slice(None), slice(None)
            if self._apart:
                n, c = (slice(group * size, (group + 1) * size) for size in (each, depth))
            turned = [self._turned(part.phases, kernels[..., n]) for part in self.parts]
            if kernels.nbytes <= COPIED:
                turned = [np.ascontiguousarray(side_by_side(each)) for each in turned]
            made = self._made if all(each.whole for each in held) else {}
            run = _Run(self.parts, turned, outputs[..., n], held, self._problem.axes, unit, made)
            run.write(out[..., c], pixels)
        if not_finite is not None:
            numbers = [each.numbers for each in held]
            infinite.give_back(problem, outputs, whole, not_finite, out, numbers, pixels)

    def needs(self, number: int, pixels: range) -> list[range]:
        """The outputs along an axis, the first being number 0, that these pixels are made of."""
        axis = self._problem.axes[number]
        return joined(
            [
                needed(phase.axis, places).inner
                for phase in phases(axis)
                for each in Fold(axis).needed(pixels)
                if (places := places_of(phase, axis, each))
            ]
        )


class Held:
    """The outputs along an axis that a piece of them holds: ranges, joined one after the other."""

    def __init__(self, ranges: Sequence[range], *, whole: bool = False) -> None:
        self._ranges, self.whole = ranges, whole
        self._firsts = list(accumulate((len(each) for each in ranges), initial=0))

    @property
    def numbers(self) -> Integers:
        """The outputs, one after the other."""
        return np.concatenate([np.arange(each.start, each.stop) for each in self._ranges])

    def under(self, axis: Axis, places: range) -> tuple[slice, Axis]:
        """The part of the piece that windows at these places need, and how they slide over it."""
        part = axis.part(places, range(axis.window))
        if self._ranges == [range(axis.size)]:
            return slice(None), part
        inner = needed(axis, places).inner
        number = bisect_right(self._ranges, inner.start, key=lambda each: each.start) - 1
        here, first = self._ranges[number], self._firsts[number]
        before, after = part.before + here.start, part.after + axis.size - here.stop
        over = replace(part, size=len(here), before=before, after=after)
        return slice(first, first + len(here)), over


class Steps(NamedTuple):
    """How the parts write some cells.

    Attributes
    ----------
    zeros : bool
        Whether some cells get nothing, and must be filled with zeros first.
    of_parts : list of (int, Problem, slices, slices)
        The number of a part, what it computes, of which outputs, and which of the cells it writes.
    """

    zeros: bool
    of_parts: list[tuple[int, Problem, tuple[slice, ...], tuple[slice, ...]]]


class _Run:
    """The parts of a transpose, with their kernels and the outputs that they are applied to."""

    def __init__(
        self,
        parts: list[Part],
        kernels: list[Array],
        outputs: Array,
        held: Sequence[Held],
        axes: tuple[Axis, ...],
        unit: tuple[int, ...],
        made: dict[Any, Steps],
    ) -> None:
        self._parts, self._kernels, self._outputs, self._held = parts, kernels, outputs, held
        self._axes, self._unit, self._made = axes, unit, made

    def write(self, out: Array, pixels: tuple[range, ...]) -> None:
        """Write these pixels of the images, (m, *pixels, c)."""
        folds = [Fold(axis) for axis in self._axes]
        cells = prod(len(fold.cells) for fold in folds) * out.shape[-1]
        repeat = any(fold.most > 1 for fold in folds)
        if repeat and cells <= WHOLE and all(unit == 1 for unit in self._unit):
            self._write_whole(out, pixels, folds)
            return
        for block in product(*(fold.strips for fold in folds)):
            whole = tuple(each for each, _ in block)
            touched = [folded for _, folded in block]
            if any(touched):
                self._write_folded(out, pixels, whole, touched, folds)
            elif all(some := tuple(map(both, whole, pixels))):
                self._write_cells(out[:, *_within(some, pixels)], range(len(out)), some)

    def _write_whole(self, out: Array, wanted: tuple[range, ...], folds: list[Fold]) -> None:
        """Write the `wanted` pixels from all cells of an image, the padding's too, at once.

        Cells that give nothing to these pixels are left at 0.
        """
        around = [fold.cells for fold in folds]
        some = [fold.needed(pixels) for fold, pixels in zip(folds, wanted, strict=True)]
        sizes, channels = tuple(map(len, around)), out.shape[-1]
        together = max(1, WHOLE // (prod(sizes) * max(1, channels)))
        dtype = self._parts[0].problem.sum_dtype
        for first in range(0, len(out), together):
            images = range(first, min(first + together, len(out)))
            values = np.zeros((len(images), *sizes, channels), dtype)
            for cells in product(*some):
                self._write_cells(values[:, *_within(cells, around)], images, cells)
            for axis, fold in enumerate(folds, 1):
                values = fold.fold(values, axis)
            whole = [range(axis.size) for axis in self._axes]
            out[of(images)] = values[:, *_within(wanted, whole)]

    def _write_folded(
        self,
        out: Array,
        wanted: tuple[range, ...],
        whole: tuple[range, ...],
        touched: list[bool],
        folds: list[Fold],
    ) -> None:
        """Write those of the `wanted` pixels of a block that cells of padding repeat.

        Each is the sum of all its cells. Cuts are those of the whole block, whichever of its pixels
        are wanted, because where cuts are makes bits.
        """
        m, channels = len(out), max(1, out.shape[-1])
        dtype = self._parts[0].problem.sum_dtype
        limit = NUMBERS // channels  # cells of a box, in whatever batch
        for box in boxes(whole, self._steps(whole, limit)):
            some = tuple(map(both, box, wanted))
            if not all(some):
                continue
            sizes = tuple(map(len, some))
            runs = [
                fold.runs(each) if folded else [Run(each, None)]
                for fold, folded, each in zip(folds, touched, box, strict=True)
            ]
            pieces = [
                (each, tuple(here))
                for each in product(*runs)
                for cells in [[run.cells for run in each]]
                for cut in boxes(cells, self._steps(cells, limit))
                for here in [
                    [
                        both(cell, pixels) if run.places is None else cell
                        for run, cell, pixels in zip(each, cut, some, strict=True)
                    ]
                ]
                if all(here)
            ]
            largest = max(prod(sizes), *(prod(map(len, cut)) for _, cut in pieces))
            together = max(1, limit // largest)
            for first in range(0, m, together):
                images = range(first, min(first + together, m))
                sums = np.zeros((len(images), *sizes, out.shape[-1]), dtype)
                for each, cut in pieces:
                    values = np.empty((len(images), *map(len, cut), out.shape[-1]), dtype)
                    self._write_cells(values, images, cut)
                    to: list[slice] = []
                    for axis, (run, here, pixels) in enumerate(
                        zip(each, cut, some, strict=True), 1
                    ):
                        if run.places is None:
                            to += _within([here], [pixels])
                            continue
                        start = here.start - run.cells.start
                        places = run.places[start : start + len(here)]
                        values = folded(values, axis, places, len(pixels))
                        to.append(slice(None))
                    sums[:, *to] += values
                out[of(images), *_within(some, wanted)] = sums

    def _steps(self, sizes: Sequence[range], limit: int) -> tuple[int, ...]:
        """The sizes of boxes of about so many cells, cut between multiples of the grain."""
        return tuple(
            each if unit == 1 or each == len(size) else -(-each // unit) * unit
            for each, size, unit in zip(
                steps([len(each) for each in sizes], limit), sizes, self._unit, strict=True
            )
        )

    def _write_cells(self, out: Array, images: range, cells: tuple[range, ...]) -> None:
        """Write what these cells get, counted from the first pixel: (m, *cells, c)."""
        outputs = self._outputs[of(images)]
        key = len(images), cells, out.dtype
        steps = self._made.get(key)
        if steps is None:
            steps = self._steps_for(*key)
            if len(self._made) < MADE:
                self._made[key] = steps
        if steps.zeros or not outputs.size:
            out[...] = 0
        if not outputs.size or not out.size:
            return
        for number, problem, under, at in steps.of_parts:
            program, kernels = self._parts[number].program, self._kernels[number]
            program.run(problem, outputs[under], kernels, out[at])

    def _steps_for(self, batch: int, cells: tuple[range, ...], dtype: np.dtype[Any]) -> Steps:
        """How to write what these cells get of so many images."""
        steps = []
        for number, part in enumerate(self._parts):
            places, at = [], []
            for phase, axis, each in zip(part.phases, self._axes, cells, strict=True):
                places.append(places_of(phase, axis, each))
                begin = phase.first - axis.before + places[-1].start * axis.stride - each.start
                end = begin + (len(places[-1]) - 1) * axis.stride + 1
                at.append(slice(begin, max(begin, end), axis.stride))
            if all(places):
                under = [
                    held.under(axis, some)
                    for held, axis, some in zip(self._held, part.problem.axes, places, strict=True)
                ]
                images = part.problem.images
                sizes = [axis.size for _, axis in under]
                problem = replace(
                    part.problem,
                    images=Spec((batch, *sizes, images.shape[-1]), images.dtype),
                    axes=tuple(axis for _, axis in under),
                    output_dtype=dtype,  # that of sums, if they are to be added up
                )
                piece = slice(None), *(some for some, _ in under)
                steps.append((number, problem, piece, (slice(None), *at)))
        covered = sum(prod(part.problem.full_output_shape[1:-1]) for part in self._parts)
        return Steps(covered < prod(axis.padded for axis in self._axes), steps)


def _within(some: Sequence[range], pixels: Sequence[range]) -> list[slice]:
    """Where some pixels lie among others, along each axis."""
    return [
        slice(each.start - whole.start, each.stop - whole.start)
        for each, whole in zip(some, pixels, strict=True)
    ]
