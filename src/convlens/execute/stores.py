"""Carry a plan out on an array in a Zarr store, tile by tile, into a store of its own.

The result is stored in chunks like those of the images, and a tile consists of whole chunks of the
result, so that each is written once. The windows of a tile reach into chunks around it, which other
tiles need as well; those that were read last are kept, as many as memory allows.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import product
from math import prod
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import numpy as np

from convlens.core.memory import Memory
from convlens.core.problem import FULL, Array, Problem, Region, Spec
from convlens.execute import files
from convlens.execute.files import Engine, Worker, carry_out, cut, part_of, tile_size
from convlens.files import TEMPORARY, is_store, resolved

ZarrArray = Any  # zarr is imported only when a store is opened
KEPT = 2**26  # bytes of the chunks that were read last and are kept
_OF_AXES = "_ARRAY_DIMENSIONS"  # the attribute in which version 2 of the format has axes' names


class StoredArray(NamedTuple):
    """An array in a Zarr store: its shape and type, and the array itself."""

    spec: Spec
    array: ZarrArray


def open_store(path: Path) -> StoredArray:
    """Open the array in a Zarr store, of version 3 of the format or 2, for reading.

    Raises
    ------
    FileNotFoundError
        If there is no such store.
    ValueError
        If it holds no array, or several, or zarr is not installed.
    """
    try:
        import zarr  # noqa: PLC0415  # seldom needed
    except ImportError:
        raise ValueError("Zarr stores need zarr: pip install 'convlens[zarr]'") from None
    if not is_store(path):
        raise ValueError("not a Zarr store: there is no zarr.json in it, .zarray or .zgroup")
    try:
        array = zarr.open(path, mode="r")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"not a Zarr store that can be read: {error}") from None
    if isinstance(array, zarr.Group):
        held = ", ".join(str(path / name) for name in sorted(array))
        raise ValueError(f"it is a group of arrays, not an array; it holds {held or 'nothing'}")
    return StoredArray(Spec(array.shape, np.dtype(array.dtype)), array)


def stream(
    problem: Problem,
    stored: StoredArray,
    kernels: Array | None,
    engine: Engine,
    target: Path,
    grain: Sequence[int],
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Compute a problem on a store, into another that is written completely or not at all.

    The results have the bits of the same call in memory. Attributes are kept, and so are the names
    of axes.

    Parameters
    ----------
    problem, kernels, engine, grain, advance
        As for `convlens.execute.files.stream`.
    stored : StoredArray
        The images.
    target : pathlib.Path
        The store to write.

    Raises
    ------
    OSError
        If a store cannot be read or written.
    ValueError
        If the pixels under a single window are too large for memory.
    """
    array = stored.array
    chunk, tile = _sizes(problem, grain, array.chunks)
    kept = max(1, KEPT // max(1, prod(array.chunks) * stored.spec.dtype.itemsize))
    block = lru_cache(kept)(partial(_block, array))
    with replacing_store(target) as temporary:
        made = _create(temporary, problem, array, chunk)
        read = partial(_read, block, array.chunks, problem)
        write = partial(_write, made, problem)
        workers = [Worker(problem, kernels, engine, read, write) for _ in range(files.WORKERS)]
        carry_out(problem, cut(problem, tile), workers, advance)


@contextmanager
def replacing_store(path: Path) -> Iterator[Path]:
    """Write to a temporary folder, which replaces this one if all goes well.

    If anything fails, or is interrupted, the temporary folder is removed and this one is unchanged.

    Yields
    ------
    pathlib.Path
        A folder to be made, beside this one and with the same suffix.
    """
    path = resolved(path)
    temporary, before = (
        path.with_name(f"{TEMPORARY}{token_hex(8)}{path.suffix}") for _ in range(2)
    )
    try:
        yield temporary
        if path.exists():
            path.rename(before)
        temporary.rename(path)
    finally:
        if before.exists() and not path.exists():
            before.rename(path)
        for folder in (temporary, before):
            shutil.rmtree(folder, ignore_errors=True)


def _create(path: Path, problem: Problem, array: ZarrArray, chunk: Sequence[int]) -> ZarrArray:
    """Make the array for the results, with the attributes of the images."""
    import zarr  # noqa: PLC0415

    attributes = dict(array.attrs)
    names = attributes.pop(_OF_AXES, getattr(array.metadata, "dimension_names", None))
    if names is not None:
        named = dict(zip(problem.layout.images, names, strict=True))
        # Channels that were summed over are no axis of the result, nor are kernels one of theirs.
        named["n"] = named.get("c") if problem.channels == problem.groups else None
        names = [named.get(axis) for axis in problem.layout.output]
    lengths = dict(zip(FULL[len(problem.axes)].output, chunk, strict=True))
    return zarr.create_array(
        path,
        shape=problem.output_shape,
        chunks=tuple(lengths[axis] for axis in problem.layout.output),
        dtype=problem.output_dtype,
        attributes=attributes,
        dimension_names=names,
    )


def _sizes(
    problem: Problem, grain: Sequence[int], chunks: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The lengths of the result's chunks, and those of tiles, which have all channels."""
    full = FULL[len(problem.axes)]
    of = dict(zip(problem.layout.images, chunks, strict=True))
    outputs = [
        max(1, min(axis.outputs, -(-of[letter] // axis.stride))) if letter in of else 1
        for letter, axis in zip(full.images[1:-1], problem.axes, strict=True)
    ]
    images, *places = tile_size(problem, grain, outputs)
    count = min(images, max(1, of.get("m", 1)))
    channels = problem.output_channels
    if problem.channels == problem.groups == channels:  # each depends on one channel
        channels = of.get("c", channels)
    tile = [count, *places]
    for axis in reversed(range(len(tile))):
        # Whole chunks, as many as fit: first a row of them, then rows, slabs and images.
        size, one = problem.full_output_shape[axis], tile[axis]
        fit = files.TILE_BYTES // max(1, tile[0] * files.tile_bytes(problem, tile[1:]))
        tile[axis] = min(size, one * max(1, fit))
        if tile[axis] < size:
            break
    return (count, *places, max(1, channels)), tuple(tile)


def _block(array: ZarrArray, *numbers: int) -> Array:
    """The chunk with these numbers."""
    try:
        chunk: Array = array.blocks[numbers]
    except (RuntimeError, ValueError) as error:  # of the libraries that decode
        raise ValueError(f"its chunk {numbers} is damaged: {error}") from None
    return chunk


def _read(
    block: Callable[..., Array],
    chunks: Sequence[int],
    problem: Problem,
    tile: Region,
    memory: Memory,
) -> tuple[Problem, Array]:
    """Read the pixels of one tile; returns the problem for this tile alone, and its images."""
    part, runs = part_of(problem, tile)
    images = memory.array("images", part.images.shape, part.images.dtype)
    letters = FULL[len(problem.axes)].images
    wanted = dict(zip(letters, ([tile.images], *runs, [range(problem.channels)]), strict=True))
    pieces = (
        list(_pieces(wanted[letter], chunk))
        for letter, chunk in zip(problem.layout.images, chunks, strict=True)
    )
    for along in product(*pieces):
        numbers, pixels, places = zip(*along, strict=True)
        images[places] = block(*numbers)[pixels]
    return part, images


def _pieces(runs: Sequence[range], chunk: int) -> Iterator[tuple[int, slice, slice]]:
    """The pieces of chunks of which a tile consists along an axis.

    Each is the number of a chunk, which of its pixels are taken, and their places in the tile.
    """
    place = 0
    for run in runs:
        first = run.start
        while first < run.stop:
            number, within = divmod(first, chunk)
            count = min(chunk - within, run.stop - first)
            yield number, slice(within, within + count), slice(place, place + count)
            first, place = first + count, place + count


def _write(made: ZarrArray, problem: Problem, tile: Region, result: Array) -> None:
    """Write the results of one tile, which are whole chunks, to their places."""
    runs = tile.images, *tile.places, range(problem.output_channels)
    of = dict(zip(FULL[len(problem.axes)].output, runs, strict=True))
    places = (of[axis] for axis in problem.layout.output)
    made[tuple(slice(place.start, place.stop) for place in places)] = result
