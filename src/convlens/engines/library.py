"""The compiled pipelines: found, loaded and called, through ctypes.

`pipelines/` compiles them into one shared library when the package is built; beside it lies a list
of what is in it. Of each pipeline there is one version for every level of a processor; the best
that this machine can run is taken, or the one that the environment variable CONVLENS_LEVEL names.
"""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import POINTER, c_char_p, c_int32, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from functools import cache
from time import sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens.call import Array

if TYPE_CHECKING:
    from pathlib import Path

LEVEL, THREADS = "CONVLENS_LEVEL", "CONVLENS_THREADS"  # environment variables


class _Dimension(ctypes.Structure):
    """Halide's halide_dimension_t."""

    _fields_ = [("min", c_int32), ("extent", c_int32), ("stride", c_int32), ("flags", c_uint32)]


class Buffer(ctypes.Structure):
    """Halide's halide_buffer_t: an array as pipelines see it."""

    _fields_ = [
        ("device", c_uint64),
        ("device_interface", c_void_p),
        ("host", c_void_p),
        ("flags", c_uint64),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("dimensions", c_int32),
        ("dim", POINTER(_Dimension)),
        ("padding", c_void_p),
    ]


_CODES = {"i": 0, "u": 1, "f": 2}


def buffer(array: Array) -> Buffer:
    """An array as pipelines see it, alive as long as this."""
    made = frame(array.shape, array.strides, array.dtype)
    made.host = array.__array_interface__["data"][0]
    made.array = array
    return made


def frame(shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
    """An array's shape alone: its last axis first, strides counted in numbers."""
    size, packed = dtype.itemsize, 1
    dimensions = (_Dimension * len(shape))()
    for axis, (extent, stride) in enumerate(zip(shape[::-1], strides[::-1], strict=True)):
        step = stride // size if extent > 1 else packed  # of a single one NumPy's means nothing
        dimensions[axis] = _Dimension(0, extent, step, 0)
        packed = step * extent
    return Buffer(0, None, None, 0, _CODES[dtype.kind], 8 * size, 1, len(shape), dimensions)


class Run:
    """A pipeline with its arguments, to be run on any arrays laid out alike.

    Parameters
    ----------
    library : Library
    name : str
        The pipeline's.
    arguments : list of Buffer or int
    arrays : list of int
        Which of the arguments are frames, for other arrays each time.
    """

    def __init__(
        self, library: Library, name: str, arguments: list[Any], arrays: list[int]
    ) -> None:
        self._library, self._name = library, name
        self._function = library.function(name)
        self._frames = [(place, arguments[place]) for place in arrays]
        self._kept = arguments  # which byref does not
        self._arguments = [
            ctypes.byref(each) if isinstance(each, Buffer) else each for each in arguments
        ]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that are kept with it."""
        arrays = (getattr(argument, "array", None) for argument in self._kept)
        return sum(array.nbytes for array in arrays if array is not None)

    def __call__(self, *arrays: Array) -> None:
        """Run the pipeline on these arrays."""
        arguments = self._arguments.copy()
        for (place, frame), array in zip(self._frames, arrays, strict=True):
            made = Buffer.from_buffer_copy(frame)
            made.host = array.__array_interface__["data"][0]
            arguments[place] = ctypes.byref(made)
        with self._library.running:
            code = self._function(*arguments)
        if code:
            raise RuntimeError(f"the compiled pipeline {self._name}: {self._library.said(code)}")


class Running:
    """Counts the pipelines that run, so that a fork can wait until there are none."""

    def __init__(self) -> None:
        self._gate, self._lock, self._count = threading.Lock(), threading.Lock(), 0

    def __enter__(self) -> None:
        with self._gate, self._lock:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1

    def hold(self) -> None:
        """Let none begin, and wait until none runs."""
        self._gate.acquire()
        while not self._idle():
            sleep(1e-4)

    def go_on(self) -> None:
        """Let pipelines begin again."""
        self._gate.release()

    def _idle(self) -> bool:
        with self._lock:
            return not self._count


class Library:
    """The pipelines of one level.

    Attributes
    ----------
    path : Path
    level : str
        The level in use.
    levels : list of str
        Those that this machine can run, the best first.
    pipelines : frozenset of str
    halide : str
        The version of Halide that compiled them.
    threads : int
        How many threads they may run on.
    """

    def __init__(self, path: Path, listed: dict[str, Any]) -> None:
        self.path, self.halide = path, listed["halide"]
        self._library = ctypes.CDLL(str(path))
        self.pipelines = frozenset(listed["pipelines"])
        can_use = self._library.halide_can_use_target_features
        self.levels = [
            name
            for name, bits in listed["levels"].items()
            if can_use(len(bits), (c_uint64 * len(bits))(*bits))
        ]
        self.level = os.environ.get(LEVEL) or self.levels[0]
        if self.level not in self.levels:
            raise ValueError(
                f"the environment variable {LEVEL} must be one of "
                f"{', '.join(map(repr, self.levels))}, which this machine can run; "
                f"got {self.level!r}"
            )
        self._functions: dict[str, Any] = {}
        self._messages: list[str] = []
        # Halide's own handler would end the process.
        self._handler = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)(self._note)
        self._library.halide_set_error_handler(self._handler)
        self.set_threads(_threads())
        # A fork takes along no thread but its own, and every lock as it is. So none is held then:
        # pipelines have ended, and Halide's threads too; they come back when they are needed.
        self.running = Running()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._stop, after_in_parent=self._go_on, after_in_child=self._go_on
            )

    def _stop(self) -> None:
        self.running.hold()
        self._library.halide_shutdown_thread_pool()

    def _go_on(self) -> None:
        self._library.halide_set_num_threads(self.threads)
        self.running.go_on()

    def _note(self, _context: int | None, message: bytes) -> None:
        self._messages.append(message.decode(errors="replace").strip())

    def said(self, code: int) -> str:
        """What went wrong, after a pipeline returned this code."""
        return self._messages.pop() if self._messages else f"code {code}"

    def set_threads(self, count: int) -> None:
        """Let pipelines run on so many threads."""
        self.threads = count
        self._library.halide_set_num_threads(count)

    def function(self, name: str) -> Any:
        """A pipeline of this level."""
        if name not in self._functions:
            self._functions[name] = getattr(self._library, f"{name}_{self.level}")
        return self._functions[name]


def _threads() -> int:
    """As many threads as the environment asks for, or the machine lends to this process."""
    asked = os.environ.get(THREADS)
    if not asked:
        mine = getattr(os, "sched_getaffinity", None)  # not on every system
        return len(mine(0)) if mine else os.cpu_count() or 1
    if not asked.isdecimal() or not 1 <= int(asked) <= MOST_THREADS:
        raise ValueError(
            f"the environment variable {THREADS} must be a number of threads, 1 to {MOST_THREADS}; "
            f"got {asked!r}"
        )
    return int(asked)


MOST_THREADS = 256  # Halide's own limit


@cache
def load() -> Library | str:
    """The library, loaded once; or why there is none."""
    import json  # noqa: PLC0415  # both slow to import, and not needed before
    from pathlib import Path  # noqa: PLC0415

    folder = Path(__file__).parent
    paths = [folder / f"pipelines{suffix}" for suffix in (".so", ".dylib", ".dll")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return "convlens was built without it"
    try:
        listed = json.loads((folder / "pipelines.json").read_text(encoding="utf-8"))
        size = path.stat().st_size
        if size != listed["bytes"]:  # loading half a library could end the process
            return f"{path.name} cannot be loaded: it has {size} bytes of {listed['bytes']}"
        return Library(path, listed)
    except OSError as error:  # made for another machine, say
        return f"{path.name} cannot be loaded: {error}"


def loaded() -> Library:
    """The library, for calls that are carried out by it: a plan has seen that it is there."""
    library = load()
    assert isinstance(library, Library)
    return library
