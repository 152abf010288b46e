"""Calls on Dask arrays: one call on arrays in memory for each chunk of the result.

A chunk of the result depends on the pixels under its windows: those of the chunk at the same place,
and some of other chunks. The graph therefore has one task for each chunk of the result, which joins
these pixels to a piece of the images and runs the engine on it, and one task for each slice of a
chunk that goes into a piece. A slice is cut by the worker that holds its chunk, so that only slices
move between workers.

The chunks may divide images, and each of their axes, anywhere. They may divide channels too, but a
convolution that sums over channels joins all their chunks, because a sum of floats that is taken in
other parts is rounded differently.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise, product
from operator import getitem
from typing import Any, NamedTuple, Protocol

import numpy as np

from convlens import arguments
from convlens.core.axis import Axis, sparse
from convlens.core.cells import needed
from convlens.core.problem import FULL, Array, Problem, Spec

DaskArray = Any  # Dask is imported only when a call has a Dask array
Engine = Callable[[Problem, Array, Array | None], Array]


class Slice(NamedTuple):
    """Adjacent pixels of a chunk along an axis, and where they go when slices are joined."""

    chunk: int
    pixels: slice
    joined: slice


class Cut(NamedTuple):
    """Some outputs along an axis, and where the pixels that they need come from."""

    axis: Axis  # how the window slides over the piece
    slices: list[Slice]
    size: int  # of the slices when they are joined
    cells: list[slice | list[int]]  # which of the joined pixels make the piece, part by part


class Piece(Protocol):
    """Where what a task reads along an axis comes from: a `Cut`, or one of the way back."""

    @property
    def slices(self) -> list[Slice]:
        """What is cut out of chunks."""

    @property
    def size(self) -> int:
        """The size of the slices when they are joined."""

    @property
    def cells(self) -> list[slice | list[int]]:
        """Which of the joined cells make the piece, part by part."""


class Channels(NamedTuple):
    """Some channels of the output, and the channels of the images that they depend on."""

    chunks: list[tuple[int, slice]]  # the chunk's number, and its place in the piece
    groups: int
    kept: slice  # which of all channels of the output these are

    @property
    def outputs(self) -> int:
        """The number of channels of the output."""
        return int(self.kept.stop - self.kept.start)

    @property
    def inputs(self) -> int:
        """The number of channels of the images."""
        return int(self.chunks[-1][1].stop)


class Job(NamedTuple):
    """The data that all tasks of a call share.

    Attributes
    ----------
    problem : Problem
        The shapes, layouts and types of what chunks are read of, as images, and of the result.
    compute : callable
        Computes a chunk from its piece: ``compute(problem, piece, cuts, channels)``.
    """

    problem: Problem
    compute: Callable[[Problem, Array, tuple[Any, ...], Channels], Array]


def lazily(
    problem: Problem,
    images: DaskArray,
    kernels: Array | None,
    engine: Engine,
    grain: Sequence[int],
) -> DaskArray:
    """Build the result of a call as a Dask array, without computing anything.

    Parameters
    ----------
    problem : Problem
        The whole problem.
    images : dask.array.Array
        The images, in chunks of any sizes.
    kernels : numpy.ndarray or None
        None for pooling.
    engine : callable
        Carries out a call on a part of the images: ``engine(problem, part, kernels)``.
    grain : sequence of int
        The outputs along each axis that stay together in a chunk.

    Returns
    -------
    dask.array.Array
        The result, in chunks like the images': an output belongs to the chunk that holds the
        middle of its window, or to that of a neighbour with which it stays together.

    Raises
    ------
    ValueError
        If a chunk of the result has more bytes than memory can address.
    """
    import dask.array as da  # noqa: PLC0415
    from dask.base import tokenize  # noqa: PLC0415

    if 0 in (*images.shape, *problem.output_shape):
        arguments.chunks_fit(problem.output_shape, problem.output_dtype)
        return da.broadcast_to(da.from_array(problem.of_zeros(kernels)), problem.output_shape)
    letters, sizes = sizes_of(problem, images)
    outputs = [
        _outputs(axis, sizes[letter], together)
        for letter, axis, together in zip(letters, problem.axes, grain, strict=True)
    ]
    channels = _channels(problem, sizes["c"])
    chunks = chunks_of(problem, sizes["m"], outputs, channels)
    cuts = [
        [_cut(axis, places, sizes[letter]) for places in some]
        for letter, axis, some in zip(letters, problem.axes, outputs, strict=True)
    ]
    # The kernels are copied, so that the caller may change theirs before the result is computed.
    kernels = None if kernels is None else kernels.copy()
    name = f"{problem.operation}-{tokenize(images, problem, kernels, engine)}"
    job = Job(problem, partial(_compute_part, engine, kernels))
    return as_array(name, job, images, sizes, cuts, channels, chunks)


def sizes_of(problem: Problem, images: DaskArray) -> tuple[str, dict[str, tuple[int, ...]]]:
    """The letters of the spatial axes, and the sizes of the chunks along every axis."""
    letters = FULL[len(problem.axes)].images[1:-1]
    sizes: dict[str, tuple[int, ...]] = dict.fromkeys(f"m{letters}c", (1,))
    sizes |= zip(problem.layout.images, images.chunks, strict=True)
    return letters, sizes


def chunks_of(
    problem: Problem,
    batch: Sequence[int],
    outputs: Sequence[list[range]],
    channels: list[Channels],
) -> tuple[tuple[int, ...], ...]:
    """The chunks of the result, none of which may be too large."""
    letters = FULL[len(problem.axes)].output[1:-1]
    chunks = {
        "m": tuple(filter(None, batch)),
        **{
            letter: tuple(map(_length, some)) for letter, some in zip(letters, outputs, strict=True)
        },
        "n": tuple(part.outputs for part in channels),
    }
    made = tuple(chunks[axis] for axis in problem.layout.output)
    arguments.chunks_fit(tuple(map(max, made)), problem.output_dtype)
    return made


def as_array(
    name: str,
    job: Job,
    images: DaskArray,
    sizes: dict[str, tuple[int, ...]],
    cuts: Sequence[Sequence[Piece]],
    channels: list[Channels],
    chunks: tuple[tuple[int, ...], ...],
) -> DaskArray:
    """The Dask array that a graph of these tasks makes."""
    import dask.array as da  # noqa: PLC0415
    from dask.highlevelgraph import HighLevelGraph  # noqa: PLC0415

    batches = [(chunk, size) for chunk, size in enumerate(sizes["m"]) if size]
    graph = _graph(name, job, images.name, sizes, batches, cuts, channels)
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=[images]),
        name,
        chunks,
        meta=np.empty((0,) * len(chunks), job.problem.output_dtype),
    )


def _graph(
    name: str,
    job: Job,
    images: str,
    sizes: dict[str, tuple[int, ...]],
    batches: list[tuple[int, int]],
    cuts: Sequence[Sequence[Piece]],
    channels: list[Channels],
) -> dict[Any, Any]:
    """The tasks of the graph, by their keys."""
    from dask.task_spec import DataNode, List, Task, TaskRef  # noqa: PLC0415

    layout, shared = job.problem.layout, f"job-{name}"
    letters = FULL[len(cuts)].images[1:-1]
    graph: dict[Any, Any] = {shared: DataNode(shared, job)}

    def slice_of(batch: int, parts: Sequence[Slice], deep: int) -> Any:
        """A reference to these pixels of a chunk, or to the chunk itself if they are all of it."""
        chunk = {"m": batch, "c": deep}
        chunk |= {letter: part.chunk for letter, part in zip(letters, parts, strict=True)}
        place = tuple(chunk[axis] for axis in layout.images)
        pixels = {letter: part.pixels for letter, part in zip(letters, parts, strict=True)}
        if all(each == slice(0, sizes[axis][chunk[axis]]) for axis, each in pixels.items()):
            return TaskRef((images, *place))
        bounds = (bound for each in pixels.values() for bound in (each.start, each.stop))
        key = (f"slice-{name}", *place, *bounds)
        index = tuple(pixels.get(axis, slice(None)) for axis in layout.images)
        graph[key] = Task(key, getitem, TaskRef((images, *place)), index)
        return TaskRef(key)

    for m, *at, n in np.ndindex(len(batches), *map(len, cuts), len(channels)):
        batch, count = batches[m]
        here = [along[place] for along, place in zip(cuts, at, strict=True)]
        slices = [
            slice_of(batch, parts, deep)
            for parts, (deep, _) in product(
                product(*(cut.slices for cut in here)), channels[n].chunks
            )
        ]
        places = dict(zip(f"m{letters}n", (m, *at, n), strict=True))
        key = (name, *(places[axis] for axis in layout.output))
        graph[key] = Task(
            key, _compute, TaskRef(shared), count, tuple(here), channels[n], List(*slices)
        )
    return graph


# ------------------------------------------------------------------------- what goes where


def _length(outputs: range) -> int:
    """The number of outputs, of which there may be more than `len` can count."""
    return outputs.stop - outputs.start


def _outputs(axis: Axis, sizes: Sequence[int], together: int) -> list[range]:
    """Divide the outputs along an axis as the images' chunks are, at multiples of `together`."""
    # An output comes before a cut if the middle pixel of its window does.
    shift = axis.before - (axis.reach - 1) // 2
    ends = accumulate(sizes[:-1])
    first = (max(0, -(-(end + shift) // axis.stride)) for end in ends)
    bounds = [min((bound + together // 2) // together * together, axis.outputs) for bound in first]
    return [outputs for bound in pairwise([0, *bounds, axis.outputs]) if (outputs := range(*bound))]


def _cut(axis: Axis, outputs: range, sizes: Sequence[int]) -> Cut:
    """Find where the pixels come from that these outputs need."""
    need, ends = needed(axis, outputs), list(accumulate(sizes))
    chunks_of = [np.searchsorted(ends, border, "right") for border in (need.before, need.after)]
    inner = range(bisect_right(ends, need.inner.start), bisect_left(ends, need.inner.stop) + 1)
    chunks = sorted(
        {*(inner if need.inner else ()), *np.unique(np.concatenate(chunks_of)).tolist()}
    )
    # Where taps lie far apart, whole chunks may lie between them. Their pixels are not read.
    gaps = sparse(axis, len(outputs))
    gaps &= not (axis.border.repeats and (need.axis.before or need.axis.after))

    borders, slices, size = np.concatenate([need.before, need.after]), [], 0
    shifts = {}  # from pixels to their places among the joined slices, by chunk
    for chunk in chunks:
        start, stop = ends[chunk] - sizes[chunk], ends[chunk]
        inside = range(max(start, need.inner.start), min(stop, need.inner.stop))
        others = borders[(borders >= start) & (borders < stop)]
        used = [*inside[:1], *inside[-1:], *others[:1].tolist()]
        if len(others):
            used += [int(others.min()), int(others.max())]
        if not used:
            continue
        first, count = min(used), max(used) + 1 - min(used)
        shifts[chunk] = size - first
        if len(others) or not gaps or _under_taps(axis, outputs, inside):
            pixels = slice(first - start, first + count - start)
            slices.append(Slice(chunk, pixels, slice(size, size + count)))
        size += count

    before, after = (
        [pixel + shifts[chunk] for pixel, chunk in zip(border.tolist(), of.tolist(), strict=True)]
        for border, of in zip((need.before, need.after), chunks_of, strict=True)
    )
    first = need.inner.start + shifts[bisect_right(ends, need.inner.start)] if need.inner else 0
    cells: list[slice | list[int]] = [before, slice(first, first + len(need.inner)), after]
    lengths = len(before), len(need.inner), len(after)
    cells = [part for part, length in zip(cells, lengths, strict=True) if length]
    return Cut(need.axis, slices, size, cells)


def _under_taps(axis: Axis, outputs: range, pixels: range) -> bool:
    """Whether a tap lies on one of these pixels for some output; it may also pass over them."""
    first, span = axis.pixels(outputs[0])[0], (len(outputs) - 1) * axis.stride
    tap = max(0, -((first + span - pixels.start) // axis.dilation))  # the first that gets there
    return tap < axis.window and first + tap * axis.dilation < pixels.stop


def _channels(problem: Problem, sizes: Sequence[int]) -> list[Channels]:
    """Divide the output's channels as the images', if each depends on one channel of them."""
    chunks = channel_chunks(sizes)
    if problem.channels != problem.groups:
        return [Channels(chunks, problem.groups, slice(0, problem.output_channels))]
    each = problem.output_channels // problem.channels
    return [
        Channels(
            [(chunk, slice(0, at.stop - at.start))],
            at.stop - at.start,
            slice(at.start * each, at.stop * each),
        )
        for chunk, at in chunks
    ]


def channel_chunks(sizes: Sequence[int]) -> list[tuple[int, slice]]:
    """The chunks that hold channels, and which these are."""
    bounds = enumerate(pairwise(accumulate(sizes, initial=0)))
    return [(chunk, slice(*bound)) for chunk, bound in bounds if bound[0] < bound[1]]


# ------------------------------------------------------------------------------- the tasks


def _compute(
    job: Job, count: int, cuts: tuple[Any, ...], channels: Channels, slices: list[Array]
) -> Array:
    """Compute one chunk of the result."""
    piece = _join(job.problem, count, cuts, channels, slices)
    return job.compute(job.problem, piece, cuts, channels)


def _compute_part(
    engine: Engine,
    kernels: Array | None,
    problem: Problem,
    full: Array,
    cuts: tuple[Cut, ...],
    channels: Channels,
) -> Array:
    """Compute the outputs of a chunk from the pixels of a piece, (m, *space, c)."""
    axes = zip(full.shape, FULL[len(cuts)].images, strict=True)
    piece = full.reshape([size for size, axis in axes if axis in problem.layout.images])
    if kernels is not None and "n" in problem.layout.kernels:
        kernels = kernels[..., channels.kept]
    part = replace(
        problem,
        images=Spec(piece.shape, piece.dtype),
        kernels=None if kernels is None else Spec(kernels.shape, kernels.dtype),
        axes=tuple(cut.axis for cut in cuts),
        groups=channels.groups,
        channels=channels.inputs,
        output_channels=channels.outputs,
        padding_word="given",
    )
    return engine(part, piece, kernels)


def _join(
    problem: Problem,
    count: int,
    cuts: tuple[Piece, ...],
    channels: Channels,
    slices: list[Array],
) -> Array:
    """Assemble a piece of the images, (m, *space, c), from these slices."""
    full = [problem.full_images(values) for values in slices]
    shape = count, *(cut.size for cut in cuts), channels.inputs
    if len(full) == 1 and full[0].shape == shape:
        piece = full[0].astype(problem.images.dtype, copy=False)
    else:
        piece = np.zeros(shape, problem.images.dtype)  # pages that no slice goes to take no memory
        parts = product(product(*(cut.slices for cut in cuts)), channels.chunks)
        for values, (along, (_, deep)) in zip(full, parts, strict=True):
            piece[:, *(each.joined for each in along), deep] = values
    for axis, cut in enumerate(cuts, 1):
        if cut.cells != [slice(0, cut.size)]:
            before = (slice(None),) * axis
            piece = np.concatenate([piece[*before, cells] for cells in cut.cells], axis)
    return piece
