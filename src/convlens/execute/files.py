"""Carry a plan out on a .npy file that may be larger than memory, tile by tile, into another file.

A tile is a region of the output that is small enough for memory: several whole images, or a part of
one, of whole rows if it can be. One thread reads a tile's pixels, computes the tile and
writes it, so that its numbers stay in the processor's caches. Two threads do this, each with a tile
of its own, so that one can compute while the other waits for the disk. Files are read and not
mapped into memory, because mapped pages count as memory in use, and because a mapped file that is
truncated meanwhile would end the process.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from io import FileIO
from itertools import chain, product
from math import prod
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from convlens.core.axis import Axis
from convlens.core.cells import needed
from convlens.core.memory import Memory
from convlens.core.problem import FULL, Array, Problem, Region, Spec
from convlens.files import replacing

# The bytes of a tile's pixels and results together: few enough for the caches, and so many that the
# fixed cost of a tile, up to half a millisecond, does not matter.
TILE_BYTES = 2**23
# Large windows share most of their pixels with their neighbours, so a tile of them is allowed the
# bytes of 16 windows, up to a limit. With two such tiles in memory, the engine's own memory and the
# libraries, the process stays below 300 MB.
WINDOWS, LARGEST_TILE = 16, 2**26
WORKERS = 2
# Seconds. Tiles that take longer than this to compute run on the caller's thread alone, which
# Ctrl-C stops at once. A second thread would gain little, because reading and writing are a small
# part of their time.
LONG = 0.5


Engine = Callable[[Problem, Array, Array | None, Array], object]


class ArrayFile(NamedTuple):
    """An array in a .npy file: its shape and type, and where and how its numbers lie.

    Attributes
    ----------
    path : pathlib.Path
    spec : Spec
    start : int
        The byte at which its numbers begin.
    fortran : bool
        Whether they lie in Fortran's order, the first axis closest.
    """

    path: Path
    spec: Spec
    start: int
    fortran: bool = False


def open_array(path: Path) -> ArrayFile:
    """Read the header of a .npy file.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is no .npy file, is shorter than its array, or cannot be streamed.
    """
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            readers: dict[tuple[int, int], Callable[[BinaryIO], tuple[Any, ...]]] = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            if version not in readers:
                raise ValueError(f"version {version} of the format")
            shape, fortran_order, dtype = readers[version](file)
        except ValueError as error:
            raise ValueError(f"not a .npy file of numbers: {error}") from None
        start = file.tell()
        length = file.seek(0, 2)
    spec = Spec(shape, dtype)
    if dtype.hasobject:
        raise ValueError("the array is of Python objects, not of numbers")
    if length < start + spec.nbytes:
        raise ValueError(f"the file ends early: {length:,} bytes of {start + spec.nbytes:,}")
    return ArrayFile(path, spec, start, fortran_order)


def stream(
    problem: Problem,
    array: ArrayFile,
    kernels: Array | None,
    engine: Engine,
    target: Path,
    grain: Sequence[int],
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Compute a problem on a file, into another file that is written completely or not at all.

    The results have the bits of the same call in memory.

    Parameters
    ----------
    problem : Problem
        For images of the array's shape and type.
    array : ArrayFile
        The images.
    kernels : numpy.ndarray or None
        None for pooling.
    engine : callable
        Computes a problem on a part of the images: ``engine(problem, part, kernels, out)``.
    target : pathlib.Path
        The .npy file to write.
    grain : sequence of int
        The outputs along each axis that stay together in a tile.
    advance : callable
        Called with the number of bytes of the images that were processed since the last call.

    Raises
    ------
    OSError
        If a file cannot be read or written, or the disk has no room for the result.
    ValueError
        If the pixels under a single window are too large for memory.
    """
    output = Spec(problem.output_shape, problem.output_dtype)
    tiles = _tiles(problem, grain)
    free = shutil.disk_usage(target.resolve().parent).free
    if free < output.nbytes:
        raise OSError(f"the result takes {output.nbytes:,} bytes, and its disk has {free:,} left")
    with replacing(target) as temporary, ExitStack() as stack:
        with open(temporary, "wb", buffering=0) as file:
            first_result = _write_header(file, output)
        workers = []
        for _ in range(WORKERS):
            source_file = stack.enter_context(open(array.path, "rb", buffering=0))
            target_file = stack.enter_context(open(temporary, "r+b", buffering=0))
            read = partial(_read, source_file, array, problem)
            write = partial(_write, target_file, first_result, problem)
            workers.append(Worker(problem, kernels, engine, read, write))
        carry_out(problem, tiles, workers, advance)


def carry_out(
    problem: Problem,
    tiles: Iterator[Region],
    workers: Sequence[Worker],
    advance: Callable[[int], object],
) -> None:
    """Have workers carry all tiles of a problem out, and tell of each tile's share of the bytes."""
    idle: SimpleQueue[Worker] = SimpleQueue()
    for each in workers:
        idle.put(each)

    def by_one(tile: Region) -> float:
        worker = idle.get()
        try:
            return worker.carry_out(tile)
        finally:
            idle.put(worker)

    nbytes, windows, done = problem.images.nbytes, prod(problem.full_output_shape[:-1]), 0
    with closing(_in_turns(tiles, by_one)) as finished:
        for tile in finished:
            before = nbytes * done // windows
            done += prod(map(len, (tile.images, *tile.places)))
            advance(nbytes * done // windows - before)


def _in_turns(
    tiles: Iterator[Region], carry_out: Callable[[Region], float]
) -> Generator[Region, None, None]:
    """Carry tiles out in order, and yield each when it is done.

    `carry_out` returns the seconds that it took to compute a tile. The first tiles run here, until
    one has taken less than LONG; the others run on threads.
    """
    for tile in tiles:
        seconds = carry_out(tile)
        yield tile
        if seconds <= LONG:
            break
    pool = ThreadPoolExecutor(WORKERS)
    under_way: deque[tuple[Region, Future[float]]] = deque()
    try:
        for tile in tiles:
            under_way.append((tile, pool.submit(carry_out, tile)))
            if len(under_way) > 2 * WORKERS:
                yield _finished(*under_way.popleft())
        while under_way:
            yield _finished(*under_way.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(tile: Region, future: Future[float]) -> Region:
    """Wait for the tile and return it; an error in its thread is raised here."""
    future.result()
    return tile


class Worker:
    """Carries tiles out, one at a time, with memory of its own, and its own way to the arrays.

    Parameters
    ----------
    problem : Problem
    kernels : numpy.ndarray or None
    engine : callable
        As for `stream`.
    read : callable
        ``read(tile, memory)`` gives the problem for this tile alone, and its images.
    write : callable
        ``write(tile, result)`` puts a tile's results in their places.
    """

    def __init__(
        self,
        problem: Problem,
        kernels: Array | None,
        engine: Engine,
        read: Callable[[Region, Memory], tuple[Problem, Array]],
        write: Callable[[Region, Array], object],
    ) -> None:
        self._dtype, self._kernels, self._engine = problem.output_dtype, kernels, engine
        self._read, self._write = read, write
        self._memory = Memory()

    def carry_out(self, tile: Region) -> float:
        """Read, compute and write a tile; returns the seconds that computing took."""
        part, images = self._read(tile, self._memory)
        result = self._memory.array("result", part.output_shape, self._dtype)
        began = perf_counter()
        self._engine(part, images, self._kernels, result)
        seconds = perf_counter() - began
        self._write(tile, result)
        return seconds


# ------------------------------------------------------------------------------- tiles


def _tiles(problem: Problem, grain: Sequence[int]) -> Iterator[Region]:
    """The tiles of the output, in the order in which the file stores them."""
    yield from cut(problem, tile_size(problem, grain))


def cut(problem: Problem, tile: Sequence[int]) -> Iterator[Region]:
    """Tiles of so many images, and of so many places along each axis, in order."""
    if 0 in problem.full_output_shape:
        return
    cuts = (
        [range(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(problem.full_output_shape, tile, strict=False)  # not of channels
    )
    for images, *places in product(*cuts):
        yield Region(images, tuple(places))


def tile_size(
    problem: Problem, grain: Sequence[int], longest: Sequence[int] | None = None
) -> tuple[int, ...]:
    """The number of images of a tile, and of places along each axis.

    `longest` are the most places along each axis, if there are not to be as many as fit.
    """
    m, *outputs, _ = problem.full_output_shape
    nbytes = partial(tile_bytes, problem)
    window = nbytes([1] * len(outputs))
    if window > LARGEST_TILE:
        raise ValueError(
            f"the pixels under one window take {window:,} bytes, more than the {LARGEST_TILE:,} "
            "that are held in memory at a time; load the array and call "
            f"convlens.{problem.operation}"
        )
    most = max(TILE_BYTES, min(WINDOWS * window, LARGEST_TILE))
    shape = list(longest or outputs)
    while nbytes(shape) > most and prod(shape) > 1:
        # Whole rows, and whole slabs, can be read in one piece, so outer axes are divided first.
        # But a tile stays longer than two windows along each axis while it can, because
        # neighbouring tiles both read what they share.
        windows = [
            size * axis.stride / axis.reach if size > 1 else 0
            for size, axis in zip(shape, problem.axes, strict=True)
        ]
        widest = windows.index(max(windows))
        divided = next((number for number, n in enumerate(windows) if n > 2), widest)
        shape[divided] = -(-shape[divided] // 2)
    shape = [
        min(size, -(-part // together) * together)
        for size, part, together in zip(outputs, shape, grain, strict=True)
    ]
    if shape != outputs:
        return 1, *shape
    return min(m, max(1, most // max(1, nbytes(outputs)))), *outputs


def tile_bytes(problem: Problem, places: Sequence[int]) -> int:
    """The most bytes of the pixels and results of a tile of one image."""
    pixel = problem.channels * problem.images.dtype.itemsize
    result = problem.output_channels * problem.output_dtype.itemsize
    return prod(map(_under, problem.axes, places)) * pixel + prod(places) * result


def _under(axis: Axis, outputs: int) -> int:
    """The most pixels that a tile with so many outputs along this axis holds."""
    if outputs == axis.outputs:
        return axis.size
    return min(axis.size, (outputs - 1) * axis.stride + axis.reach)


def axis_part(axis: Axis, outputs: range) -> tuple[Axis, list[range]]:
    """The axis that has just these outputs, and the pixels it consists of, run after run."""
    if len(outputs) == axis.outputs:
        return axis, [range(axis.size)]
    part, before, inner, after = needed(axis, outputs)
    first, last = ([range(n, n + 1) for n in border.tolist()] for border in (before, after))
    return part, [*first, *([inner] if inner else []), *last]


def part_of(problem: Problem, tile: Region) -> tuple[Problem, tuple[list[range], ...]]:
    """The problem for this tile alone, and the pixels of its images along each axis, by runs."""
    axes, runs = zip(*map(axis_part, problem.axes, tile.places), strict=True)
    lengths = len(tile.images), *(axis.size for axis in axes), problem.channels
    sizes = zip(lengths, FULL[len(axes)].images, strict=True)
    shape = tuple(size for size, axis in sizes if axis in problem.layout.images)
    return replace(problem, images=Spec(shape, problem.images.dtype), axes=axes), runs


# ------------------------------------------------------------------------------- files


def _read(
    file: FileIO, array: ArrayFile, problem: Problem, tile: Region, memory: Memory
) -> tuple[Problem, Array]:
    """Read the pixels of one tile; returns the problem for this tile alone, and its images."""
    part, runs = part_of(problem, tile)
    shape, dtype = part.images.shape, part.images.dtype
    whole = [axis.size for axis in problem.axes]
    if array.fortran:  # All axes are reversed, channels among them.
        stored = memory.array("images", shape[::-1], dtype)
        images, along = stored.T, [[range(problem.channels)], *reversed(runs), [tile.images]]
        pieces = _pieces(along, [*reversed(whole), problem.batch], dtype.itemsize)
    else:
        stored = images = memory.array("images", shape, dtype)
        pieces = _pieces([[tile.images], *runs], whole, problem.channels * dtype.itemsize)
    into = stored.reshape(-1).view(np.uint8).data
    for place, length in pieces:
        file.seek(array.start + place)
        piece, into = into[:length], into[length:]
        while piece:
            count = file.readinto(piece)
            if not count:
                raise ValueError("the file ends early: it has become shorter")
            piece = piece[count:]
    return part, images


def _write(file: FileIO, start: int, problem: Problem, tile: Region, result: Array) -> None:
    """Write the results of one tile to their places in the file."""
    _, *whole, nc = problem.full_output_shape
    rest = result.reshape(-1).view(np.uint8).data
    runs = [[places] for places in (tile.images, *tile.places)]
    for place, length in _pieces(runs, whole, nc * result.dtype.itemsize):
        file.seek(start + place)
        piece, rest = rest[:length], rest[length:]
        while piece:
            piece = piece[file.write(piece) :]


def _pieces(
    runs: Sequence[list[range]], sizes: Sequence[int], pixel: int
) -> Iterator[tuple[int, int]]:
    """The pieces of a file in which a part of its array lies, in order, as (first byte, bytes).

    `runs` are runs of images and of places along each axis, and `sizes` the lengths of the axes. A
    pixel takes `pixel` bytes.
    """
    axis = len(sizes)  # the last axis that is not whole, where images are axis 0
    while axis and runs[axis] == [range(sizes[axis - 1])]:
        axis -= 1
    unit = pixel * prod(sizes[axis:])
    for places in product(*(chain(*several) for several in runs[:axis])):
        first = 0
        for place, size in zip(places, sizes[:axis], strict=True):
            first = (first + place) * size
        for run in runs[axis]:
            yield (first + run.start) * unit, len(run) * unit


def _write_header(file: FileIO, output: Spec) -> int:
    """Write the header of a .npy file; returns the byte at which its numbers begin."""
    descr = np.lib.format.dtype_to_descr(output.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": output.shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()
