"""The gradient of a convolution by its kernels, computed as convolutions of images and outputs.

Write x for the images with their padding, y for what comes back to the outputs, s for the stride
and d for the dilation. Then the gradient by number (t, c, n) of the kernels is

    sum over images m and outputs o of  x[m, o * s + t * d, c] * y[m, o, n]

This is a convolution again: of x, whose channels are now a batch and whose batch is now the
channels, with the kernels y, at stride d and dilation s. It is computed for some images and outputs
at a time, so many that the outputs fit into a core's cache, and these results are added in pairs.
What is added up in which order depends on the shapes alone, never on threads.

Kernels of a single tap would make windows as large as the images, of which there is one each. So
for them the images and their places are numbered together, as channels of a single image that has
a pixel for each channel of x: with the kernels y, of a single tap again, a product of matrices.

The compiled method has pipelines of their own for images of many channels; see the module of this
name there.

Source: as in the gradients of `jax.lax.conv_general_dilated`, which exchanges these dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convlens.compiled import kernel_gradient
from convlens.core.axis import Axis
from convlens.core.cells import needed
from convlens.core.pairwise import Pairwise
from convlens.core.problem import FULL, Array, Problem, Region, Spec
from convlens.methods import Program
from convlens.methods.boxes import boxes, of, steps, together

Settle = Callable[[Problem, Array | None], Program]
CACHED = 2**20  # bytes of outputs, and of images, that are computed on at a time
OF_PRODUCTS = 2**21  # the same for products of matrices, of which fewer and longer ones are faster
ROWS = 16  # of a matrix that are transposed at a time: as many numbers as a line of the cache
UNDER = 2**21  # bytes of cells under the taps that are computed at a time
RESULTS = 2**20  # bytes of the kernels' numbers whose gradients are computed at a time


class Numbers(NamedTuple):
    """Some numbers of the kernels: ranges of taps, groups, and channels and kernels of a group."""

    taps: tuple[range, ...]
    groups: range
    channels: range
    kernels: range


class KernelGradient:
    """How the gradient by the kernels is computed.

    Parameters
    ----------
    problem : Problem
        The convolution; its kernels have the type of the outputs.
    settle : callable
        Chooses the program for one of the convolutions, and its kernels.
    compiled : bool
        Whether there are compiled pipelines.
    """

    for_any_numbers = True

    def __init__(self, problem: Problem, settle: Settle, *, compiled: bool = False) -> None:
        self._problem, self._settle = problem, settle
        self._way = kernel_gradient.way(problem) if compiled else None
        self._groups = max(1, problem.groups)
        self._depth = problem.channels // self._groups
        self._each = problem.output_channels // self._groups

    @property
    def _single(self) -> bool:
        """Whether kernels have a single tap, which lies on pixels alone, and several numbers."""
        return self._groups == 1 < self._depth * self._each and all(
            axis.window == 1 and not (axis.before or axis.after or axis.partial)
            for axis in self._problem.axes
        )

    def grain(self, problem: Problem) -> tuple[int, ...]:
        """It is computed as a whole."""
        return tuple(axis.outputs for axis in problem.axes)

    def describe(self) -> str:
        """Say what the convolutions are, and how the first of them is computed."""
        if self._way is not None:
            return self._way.describe(self._problem.sum_dtype)
        what = "products of matrices" if self._single else "convolutions"
        words = f"as {what} of the images by the outputs, added in pairs"
        for numbers in self._numbers():
            for region in self._regions(numbers):
                problem, _ = self._part(numbers, region)
                return f"{words}, {self._settle(problem, None).describe()}"
        return words

    def run(self, problem: Problem, images: Array, outputs: Array | None, out: Array) -> None:
        """Write the gradient by the kernels into `out`."""
        assert outputs is not None
        images, outputs = problem.full_images(images), problem.full_output(outputs)
        if self._way and self._way(problem, images, outputs).write(self._kernels(out)):
            return
        x = images.reshape(*images.shape[:-1], self._groups, self._depth)  # (m, *space, g, c)
        y = outputs.reshape(*outputs.shape[:-1], self._groups, self._each)  # (m, *outputs, g, n)
        if not x.size and y.size and self._depth:  # all cells are padding
            with_pixels, x = self._of_padding(x)
            with_pixels._write(x, y, out)
            return
        self._write(x, y, out)

    @property
    def _same(self) -> bool:
        """Whether there is one kernel for all channels."""
        return "c" not in self._problem.layout.kernels

    def _kernels(self, out: Array) -> Array:
        """A view of the gradient: (*taps, c // groups, nc), or (*taps) of one for all channels."""
        taps = tuple(axis.window for axis in self._problem.axes)
        return out.reshape(taps) if self._same else self._problem.full_kernels(out)

    def _write(self, x: Array, y: Array, out: Array) -> None:
        space, same, full = len(self._problem.axes), self._same, self._kernels(out)
        if not same:
            full = full.reshape(*full.shape[:-1], self._groups, self._each)
        if same or not y.size:
            full[...] = 0
        for numbers in self._numbers() if x.size and y.size else ():
            sums = Pairwise()
            for region in self._regions(numbers):
                sums.add(self._convolved(numbers, region, x, y))
            total = sums.total()  # (c, *taps, g, n)
            here = tuple(map(of, numbers.taps))
            if same:
                full[here] += total.sum(axis=(0, -2, -1))
            else:
                rest = map(of, (numbers.channels, numbers.groups, numbers.kernels))
                full[*here, *rest] = np.moveaxis(total, 0, space)

    def _of_padding(self, x: Array) -> tuple[KernelGradient, Array]:
        """The same for images without pixels, which get one pixel of their padding."""
        axes = []
        for axis in self._problem.axes:
            before = axis.before - (axis.before > 0)
            pixel = replace(axis, size=1, before=before, after=axis.padded - 1 - before)
            axes.append(axis if axis.size else pixel)
        shape = x.shape[0], *(axis.size for axis in axes), *x.shape[-2:]
        problem = replace(self._problem, axes=tuple(axes))
        return KernelGradient(problem, self._settle), np.full(shape, problem.pad_number, x.dtype)

    def _numbers(self) -> Iterator[Numbers]:
        """Divide the kernels' numbers, so that what is computed on at a time is of limited size."""
        axes, size = self._problem.axes, self._problem.sum_dtype.itemsize
        taps = [axis.window for axis in axes]

        def reaches() -> list[int]:
            return [(n - 1) * axis.dilation + 1 for n, axis in zip(taps, axes, strict=True)]

        most = UNDER // size  # cells under these taps, with all their channels
        while prod(reaches()) > most and max(taps) > 1:
            _, widest = max((each, n) for n, each in enumerate(reaches()) if taps[n] > 1)
            taps[widest] = (taps[widest] + 1) // 2
        whole = *(axis.window for axis in axes), self._groups, self._depth, self._each
        *_, groups, channels, kernels = steps(
            (*taps, self._groups, self._depth, self._each), RESULTS // size
        )
        channels = max(1, min(channels, most // prod(reaches())))
        for *some, g, c, n in boxes(whole, (*taps, groups, channels, kernels)):
            yield Numbers(tuple(some), g, c, n)

    def _regions(self, numbers: Numbers) -> Iterator[Region]:
        """Divide the outputs into regions whose numbers fit into the cache."""
        problem, groups = self._problem, len(numbers.groups)
        strides = prod(axis.stride for axis in problem.axes if axis.outputs > 1)
        place = groups * max(len(numbers.kernels), len(numbers.channels) * strides, 1)
        cached = OF_PRODUCTS if self._single else CACHED
        limit = max(1, cached // (problem.sum_dtype.itemsize * place))
        whole = problem.full_output_shape[:-1]
        for images, *places in boxes(whole, steps(whole, limit)):
            yield Region(images, tuple(places))

    def _part(self, numbers: Numbers, region: Region) -> tuple[Problem, list[Any]]:
        """The convolution for some numbers of the kernels, and the pixels that it needs."""
        problem, m, batch = self._problem, len(region.images), len(numbers.channels)
        axes, pixels = [], []
        for axis, places, taps in zip(problem.axes, region.places, numbers.taps, strict=True):
            # How the window would slide if it had only these taps, and where it does for these
            # outputs.
            some = axis.part(range(axis.outputs), taps)
            part, before, inner, after = needed(some, places)
            axes.append(_exchanged(part, len(places)))
            index = np.concatenate([before, np.arange(inner.start, inner.stop), after])
            pixels.append(of(inner) if len(before) == len(after) == 0 else index)
        if self._single:
            m *= prod(map(len, region.places))
            pixels = [
                slice(places.start * axis.stride, places.stop * axis.stride, axis.stride)
                for axis, places in zip(problem.axes, region.places, strict=True)
            ]
            pixel = Axis(1, 1, 1, 1, 0, 0, border=problem.axes[0].border)
            axes = [*[pixel] * (len(axes) - 1), replace(pixel, size=batch)]
            batch = 1
        groups, kernels = len(numbers.groups), len(numbers.kernels)
        sizes = tuple(axis.size for axis in axes)
        windows = tuple(axis.window for axis in axes)
        assert problem.kernels is not None
        return (
            replace(
                problem,
                images=Spec((batch, *sizes, groups * m), problem.images.dtype.newbyteorder("=")),
                kernels=Spec(
                    (*windows, m, groups * kernels), problem.kernels.dtype.newbyteorder("=")
                ),
                layout=FULL[len(axes)],
                axes=tuple(axes),
                groups=groups,
                channels=groups * m,
                output_channels=groups * kernels,
                padding_word="given",
                output_dtype=problem.sum_dtype,
            ),
            pixels,
        )

    def _convolved(self, numbers: Numbers, region: Region, x: Array, y: Array) -> Array:
        """The sums for some numbers of the kernels, over a region: (c, *taps, g, n)."""
        problem, pixels = self._part(numbers, region)
        images, groups = of(region.images), of(numbers.groups)
        some = x[images, ..., groups, of(numbers.channels)][:, *together(pixels)]
        here = y[images, *map(of, region.places), groups, of(numbers.kernels)]
        assert problem.kernels is not None
        space = range(1, len(problem.axes) + 1)
        last = len(problem.axes) + 2
        if self._single:  # images and places are numbered in the same way
            some = _transposed(some.reshape(-1, len(numbers.channels)), problem.images.dtype)
            of_outputs = (0, *space, last - 1, last)
        else:
            of_images, of_outputs = (last, *space, last - 1, 0), (*space, 0, last - 1, last)
            some = np.ascontiguousarray(some.transpose(of_images), problem.images.dtype)
        here = np.ascontiguousarray(here.transpose(of_outputs), problem.kernels.dtype)
        some, here = some.reshape(problem.images.shape), here.reshape(problem.kernels.shape)
        sums = np.empty(problem.full_output_shape, problem.output_dtype)  # (c, *taps, g * n)
        self._settle(problem, here).run(problem, some, here, sums)
        taps = map(len, numbers.taps)
        return sums.reshape(len(numbers.channels), *taps, len(numbers.groups), len(numbers.kernels))


def _transposed(values: Array, dtype: np.dtype[Any]) -> Array:
    """The transpose of a matrix, copied a few rows at a time.

    NumPy copies column by column. Where rows are a power of two bytes apart, the cache drops what
    it holds of the next columns before they are read.
    """
    turned = np.empty(values.shape[::-1], dtype)
    for first in range(0, len(values), ROWS):
        turned[:, first : first + ROWS] = values[first : first + ROWS].T
    return turned


def _exchanged(axis: Axis, outputs: int) -> Axis:
    """The axis along which so many outputs slide as a window, from one tap to the next."""
    reach = (outputs - 1) * axis.stride + 1
    after = (axis.window - 1) * axis.dilation + reach - axis.size - axis.before
    return replace(
        axis,
        window=outputs,
        stride=axis.dilation,
        dilation=axis.stride,
        after=after,
        partial=False,
    )
