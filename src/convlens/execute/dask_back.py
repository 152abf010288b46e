"""The transpose of a convolution on Dask arrays: as `dask`, with outputs in place of images.

A chunk of pixels depends on the outputs whose windows cover it, or cover cells of padding that
repeat its pixels. These outputs may lie at both ends of an axis, where images wrap. All channels of
the outputs are joined, because a pixel is a sum over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from convlens import arguments
from convlens.core.axis import Axis
from convlens.core.problem import FULL, Array, Layout, Problem, Spec
from convlens.execute.dask import (
    Channels,
    DaskArray,
    Job,
    Slice,
    as_array,
    channel_chunks,
    chunks_of,
    sizes_of,
)
from convlens.methods.folds import Fold
from convlens.methods.transposed import Held, Transposed


class CutBack(NamedTuple):
    """Some pixels along an axis, and where the outputs that they are made of come from."""

    pixels: range
    held: list[range]  # the outputs
    slices: list[Slice]
    size: int
    cells: list[slice | list[int]]


def lazily(problem: Problem, outputs: DaskArray, kernels: Array, program: Transposed) -> DaskArray:
    """Build the transpose of a convolution, applied to a Dask array, without computing anything.

    Parameters
    ----------
    problem : Problem
        The convolution.
    outputs : dask.array.Array
        What it is applied to, in chunks of any sizes.
    kernels : numpy.ndarray
    program : Transposed
        How it is computed, with these kernels.

    Returns
    -------
    dask.array.Array
        The images, in chunks like the outputs': a pixel belongs to the chunk of the output whose
        window has its middle next to it, or to that of a neighbour with which it stays together.

    Raises
    ------
    ValueError
        If a chunk of the result has more bytes than memory can address.
    """
    import dask.array as da  # noqa: PLC0415
    from dask.base import tokenize  # noqa: PLC0415

    spec = problem.images
    if 0 in (*outputs.shape, *spec.shape):
        arguments.chunks_fit(spec.shape, problem.output_dtype)
        return da.zeros(spec.shape, problem.output_dtype)
    layout = problem.layout
    back = replace(
        problem,
        operation="convolve_transpose",
        images=Spec(outputs.shape, outputs.dtype),
        layout=Layout(
            layout.output.replace("n", "c"), layout.kernels, layout.images.replace("c", "n")
        ),
        channels=problem.output_channels,
        output_channels=problem.channels,
    )
    letters, sizes = sizes_of(back, outputs)
    grain = program.grain(problem)
    pixels = [
        _pixels(axis, sizes[letter], together)
        for letter, axis, together in zip(letters, problem.axes, grain, strict=True)
    ]
    channels = [Channels(channel_chunks(sizes["c"]), problem.groups, slice(0, problem.channels))]
    chunks = chunks_of(back, sizes["m"], pixels, channels)
    cuts = [
        [_cut_back(program.needs(number, some), some, sizes[letter]) for some in of_axis]
        for number, (letter, of_axis) in enumerate(zip(letters, pixels, strict=True))
    ]
    kernels = kernels.copy()
    name = f"convolve_transpose-{tokenize(outputs, problem, kernels, program.describe())}"
    job = Job(back, partial(_compute_back, problem, program, kernels))
    return as_array(name, job, outputs, sizes, cuts, channels, chunks)


def _pixels(axis: Axis, sizes: Sequence[int], together: int) -> list[range]:
    """Divide the pixels of an axis as the outputs' chunks are, at multiples of `together`.

    The pixels at an end that padding repeats stay in one chunk.
    """
    strips = [0, *(strip.stop for strip, _ in Fold(axis).strips)]
    bounds = [0]
    for end in accumulate(sizes[:-1]):
        # `convolve` of images that are cut here has this chunk again. With a stride, several cuts
        # do that; one at so many strides is taken if it does, so that a chunk of 100 gives 200.
        last = end * axis.stride - axis.before + (axis.reach - 1) // 2
        wanted = min(last, max(end * axis.stride, last - axis.stride + 1))
        allowed = set(strips)
        for strip, repeated in Fold(axis).strips:
            if not repeated and wanted in strip:
                steps = (wanted - strip.start + together // 2) // together
                allowed.add(min(strip.start + steps * together, strip.stop))
        bounds.append(max(bounds[-1], min(allowed, key=lambda each: abs(each - wanted))))
    return [some for bound in pairwise([*bounds, axis.size]) if (some := range(*bound))]


def _cut_back(held: list[range], pixels: range, sizes: Sequence[int]) -> CutBack:
    """Find where the outputs come from that these pixels are made of."""
    slices, size = [], 0
    for some in held:
        for chunk, (start, stop) in enumerate(pairwise(accumulate(sizes, initial=0))):
            here = range(max(start, some.start), min(stop, some.stop))
            if here:
                at = slice(here.start - start, here.stop - start)
                slices.append(Slice(chunk, at, slice(size, size + len(here))))
                size += len(here)
    return CutBack(pixels, held, slices, size, [slice(0, size)])


def _compute_back(
    forward: Problem,
    program: Transposed,
    kernels: Array,
    problem: Problem,
    piece: Array,
    cuts: tuple[CutBack, ...],
    _: Channels,
) -> Array:
    """Compute the pixels of a chunk from the outputs of a piece, (m, *held, n)."""
    pixels = tuple(cut.pixels for cut in cuts)
    shape = len(piece), *map(len, pixels), problem.output_channels
    full = np.empty(shape, problem.output_dtype)
    held = [Held(cut.held) for cut in cuts]
    with np.errstate(all="ignore"):
        program.run_part(forward, piece, kernels, full, held, pixels)
    axes = zip(shape, FULL[len(cuts)].output, strict=True)
    return full.reshape([size for size, axis in axes if axis in problem.layout.output])
