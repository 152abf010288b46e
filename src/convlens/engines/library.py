"""The compiled pipelines: found, loaded and called, through ctypes.

`pipelines/` compiles them into one shared library when the package is built; beside it lies a list
of what is in it. Of each pipeline there is one version for every level of a processor; the best
that this machine can run is taken, or the one that the environment variable CONVLENS_LEVEL names.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
from ctypes import POINTER, c_char_p, c_int, c_int32, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from convlens.call import Array

FOLDER = Path(__file__).parent
LEVEL, THREADS = "CONVLENS_LEVEL", "CONVLENS_THREADS"  # environment variables


class _Dimension(ctypes.Structure):
    """Halide's halide_dimension_t."""

    _fields_ = [("min", c_int32), ("extent", c_int32), ("stride", c_int32), ("flags", c_uint32)]


class _Buffer(ctypes.Structure):
    """Halide's halide_buffer_t."""

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


_CODES = {"i": 0, "u": 1, "b": 1, "f": 2}


def buffer(array: Array) -> _Buffer:
    """An array as Halide sees it: no copy, its last axis first, strides counted in numbers."""
    size, packed = array.itemsize, 1
    dimensions = (_Dimension * array.ndim)()
    for axis, (extent, stride) in enumerate(zip(array.shape[::-1], array.strides[::-1])):
        step = stride // size if extent > 1 else packed  # NumPy's means nothing for a single one
        dimensions[axis] = _Dimension(0, extent, step, 0)
        packed = step * extent
    made = _Buffer(
        0, None, array.ctypes.data, 0, _CODES[array.dtype.kind], 8 * size, 1, array.ndim, dimensions
    )
    made.array = array  # kept alive as long
    return made


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
    """

    def __init__(self, path: Path, listed: dict[str, Any]) -> None:
        self.path = path
        self._library = ctypes.CDLL(str(path))
        self.pipelines = frozenset(listed["pipelines"])
        can_use = self._library.halide_can_use_target_features
        self.levels = [
            name
            for name, bits in listed["levels"].items()
            if can_use(len(bits), (c_uint64 * len(bits))(*bits))
        ]
        forced = os.environ.get(LEVEL)
        if forced and forced not in self.levels:
            raise ValueError(
                f"{LEVEL} must be one of {', '.join(map(repr, self.levels))}, which is what this "
                f"machine can run; got {forced!r}"
            )
        self.level = forced or self.levels[0]
        self.set_threads(int(os.environ.get(THREADS, 0)) or len(os.sched_getaffinity(0)))
        self._functions: dict[str, Any] = {}
        # Halide's own handler would end the process.
        self._messages: list[str] = []
        self._handler = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)(self._note)
        self._library.halide_set_error_handler(self._handler)

    def _note(self, _context: int | None, message: bytes) -> None:
        self._messages.append(message.decode(errors="replace").strip())

    def set_threads(self, count: int) -> None:
        """Let pipelines run on so many threads."""
        self.threads = count
        self._library.halide_set_num_threads(c_int(count))

    def run(self, name: str, *arguments: _Buffer | int) -> None:
        """Run a pipeline: on buffers, which the caller keeps alive, and integers."""
        function = self._functions.get(name)
        if function is None:
            function = self._functions[name] = getattr(self._library, f"{name}_{self.level}")
        code = function(
            *(c_int32(a) if isinstance(a, int) else ctypes.byref(a) for a in arguments)
        )
        if code:
            message = self._messages.pop() if self._messages else f"code {code}"
            raise RuntimeError(f"the compiled pipeline {name} failed: {message}")


@cache
def load() -> Library:
    """The library; loaded once."""
    listed = json.loads((FOLDER / "pipelines.json").read_text(encoding="utf-8"))
    path = next(FOLDER.glob("pipelines.[sd]*"))
    return Library(path, listed)
