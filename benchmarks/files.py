"""Files larger than memory: streaming is timed next to the call in memory and to the disk alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

import convlens
from convlens.execute.files import open_array
from convlens.plan import execute_file

WANTED = 0.7  # the wanted share of the lesser of two speeds: in memory, and the disk's
BLOCK = 2**23  # bytes that are read or written at once
ROUNDS = 5


@dataclass(frozen=True)
class FileCase:
    """An array in a file, and what is done with it.

    Attributes
    ----------
    name : str
    shape, dtype : tuple of int, str
        The array's.
    kernel : numpy.ndarray or None
        None for pooling: the largest of each 2 x 2 window.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kernel: np.ndarray | None = None


GAUSSIAN = convlens.filters.gaussian(1).astype(np.float32)
FILE_CASES = (
    FileCase(
        "320,000 digits of 28 x 28, float32, 3x3", (320_000, 28, 28), "f4", np.ones((3, 3), "f4")
    ),
    FileCase(
        "one image of 10,000 x 12,000, float32, 3x3", (10_000, 12_000), "f4", np.ones((3, 3), "f4")
    ),
    FileCase(
        "30 photographs of 1080 x 1920 x 3, uint8, gaussian in float32",
        (30, 1080, 1920, 3),
        "u1",
        GAUSSIAN,
    ),
    FileCase("60 photographs of 1080 x 1920 x 3, uint8, 2x2 max", (60, 1080, 1920, 3), "u1"),
)


@dataclass(frozen=True)
class FileRow:
    """A case and what came of it: bytes read and written, and seconds by what was timed."""

    name: str
    read: int
    written: int
    seconds: dict[str, float]

    @property
    def share(self) -> float:
        """The time of the slower of memory and disk, over that of streaming."""
        return max(self.seconds["memory"], self.seconds["disk"]) / self.seconds["streamed"]


def measure(*, quick: bool, progress: Callable[[str], None]) -> list[FileRow]:
    """Time every case, in the folder for temporary files."""
    rows = []
    for case in FILE_CASES:
        with TemporaryDirectory() as folder:
            row = _row(case, Path(folder), quick)
        rows.append(row)
        progress(f"{row.name}: streamed at {row.share:.0%}")
    return rows


def _row(case: FileCase, folder: Path, quick: bool) -> FileRow:
    shape = tuple(size // 20 if quick and size > 100 else size for size in case.shape)
    source, target = folder / "images.npy", folder / "results.npy"
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8).astype(case.dtype)
    _save(source, images)
    if case.kernel is None:
        plan = convlens.plan_pool(images, 2)
    else:
        plan = convlens.plan_convolve(images, case.kernel)
    result = np.empty(plan.output_shape, plan.output_dtype)
    array = open_array(source)
    calls: dict[str, Callable[[], Any]] = {
        "streamed": lambda: execute_file(plan, array, case.kernel, target),
        "memory": lambda: plan(images, case.kernel, out=result),
        "disk": lambda: _move(source, target, result.nbytes),
    }
    for name in ("memory", "streamed"):
        calls[name]()
    assert np.array_equal(np.load(target, mmap_mode="r"), result), case.name
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 if quick else ROUNDS):
        for name, call in calls.items():
            target.unlink(missing_ok=True)
            start = perf_counter()
            call()
            times[name].append(perf_counter() - start)
    seconds = {name: median(values) for name, values in times.items()}
    return FileRow(case.name, prod(shape) * images.itemsize, result.nbytes, seconds)


def _save(path: Path, images: np.ndarray) -> None:
    """Write an array, and wait for the disk, which would otherwise write while others are timed."""
    with open(path, "wb") as file:
        np.save(file, images)
        os.fsync(file.fileno())


def _move(source: Path, target: Path, size: int) -> None:
    """Read one file and write so many bytes to another, without computing anything."""
    block = np.ones(BLOCK, np.uint8).data
    with open(source, "rb", buffering=0) as file:
        while file.readinto(block):
            pass
    with open(target, "wb", buffering=0) as file:
        while size:
            size -= file.write(block[:size])
