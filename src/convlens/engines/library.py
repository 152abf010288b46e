"""The compiled pipelines: found, loaded and called, through ctypes.

`pipelines/` compiles them into one shared library when the package is built; beside it lies a list
of what is in it. Of each pipeline there is one version for every level of a processor; the best
that this machine can run is taken, or the one that the environment variable CONVLENS_LEVEL names.
"""

from __future__ import annotations

import ctypes
import operator
import os
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_int32, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from functools import cache, partial
from itertools import chain, starmap
from threading import get_ident
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

    def __call__(self, *arrays: Array) -> None:
        """Run the pipeline on these arrays."""
        arguments = self._arguments.copy()
        for (place, frame), array in zip(self._frames, arrays, strict=True):
            made = Buffer.from_buffer_copy(frame)
            made.host = array.__array_interface__["data"][0]
            arguments[place] = ctypes.byref(made)
        code = RUNNING.call(self._function, arguments)
        if code:
            raise RuntimeError(f"the compiled pipeline {self._name}: {self._library.said(code)}")


_call: Any = operator.call  # its own annotations exclude calls of different functions


class Running:
    """Which threads run pipelines and which fork, so that nothing runs at the moment of a fork.

    A forked process has one thread, and all memory as it was. If Halide's threads, or another
    thread's pipeline, were at work at that moment, then the new process would inherit locks that
    nobody opens again. So a fork waits for the pipelines of other threads, and other threads' calls
    wait for a fork.

    Signal handlers make this delicate. A handler runs in the main thread between any two bytecodes;
    it may raise an exception there, as Ctrl-C does, or call `fork` or a pipeline itself. But it
    never runs within a call of a C function. So two rules keep the state true at all times:

    * Each change of state is made by one call of C code, together with what it belongs to: a
      pipeline's thread is noted, the pipeline run, and the note removed within a single call.
    * There is no lock. What must wait looks again and again, and holds nothing meanwhile; and no
      thread waits for itself.
    """

    def __init__(self) -> None:
        # One entry for each pipeline that runs, and for each fork between its hooks.
        self._running: list[int] = []
        self._forking: list[int] = []
        self._steps: tuple[Any, ...] = (self._running.append, next, self._running.remove)
        # These two are C code throughout: iter calls get_ident, and map passes on what it returns.
        self.begin_fork = partial(next, map(self._forking.append, iter(get_ident, None)))
        self.end_fork = partial(next, map(self._forking.remove, iter(get_ident, None)))

    def call(self, function: Any, arguments: Sequence[Any]) -> int:
        """Call a function of the library, as soon as no other thread forks."""
        me = get_ident()
        first: Any
        while True:
            # The first item of this is another thread that forks, or if there is none, what the
            # function returns, in a tuple. Nothing is called before the item is asked for.
            turn = chain(filter(me.__ne__, self._forking), zip(starmap(function, [arguments])))
            try:
                # All steps in one call of C code: this thread is noted, its turn taken, the note
                # removed. A fork too is noted before it looks for pipelines that run, so if both
                # come at the same time, then at least one of them sees the other.
                _, first, _ = list(map(_call, self._steps, (me, turn, me)))
            except ctypes.ArgumentError:  # raised by the second step
                self._running.remove(me)
                raise
            if isinstance(first, tuple):
                code: int = first[0]
                return code
            sleep(1e-4)

    def may_fork(self) -> bool:
        """Whether this thread's fork is the next one, and no other thread runs a pipeline."""
        me = get_ident()
        return self._forking[0] == me and set(self._running.copy()) <= {me}

    def forget_others(self) -> None:
        """Drop the entries of all other threads, which do not exist in a forked process."""
        me = get_ident()
        for threads in (self._running, self._forking):
            threads[:] = [thread for thread in threads if thread == me]


# There is one for the whole process, since Halide's threads are shared too.
RUNNING = Running()


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
        self._threads = c_int32()  # C code can read it, in a hook that no handler interrupts
        self.set_threads(_threads())
        if hasattr(os, "register_at_fork"):
            self._register_hooks()

    def _register_hooks(self) -> None:
        """Have all threads of Halide ended before a fork; they come back when they are needed."""
        # Python calls the hooks `before` from the last to the first, the others from the first.
        # A handler may end a Python function at its very beginning, so those are there twice. They
        # may run twice, unlike the notes of a fork, which are C code.
        set_threads = partial(self._library.halide_set_num_threads, self._threads)
        register = os.register_at_fork
        for _ in range(2):
            register(before=self._stop, after_in_child=RUNNING.forget_others)
        register(after_in_parent=set_threads, after_in_child=set_threads)
        register(
            before=RUNNING.begin_fork,
            after_in_parent=RUNNING.end_fork,
            after_in_child=RUNNING.end_fork,
        )

    def _stop(self) -> None:
        """Wait until this thread may fork, and end Halide's threads."""
        interrupt = None
        while True:
            try:
                while not RUNNING.may_fork():
                    sleep(1e-4)
                self._library.halide_shutdown_thread_pool()
                # A handler that computes before the fork must not start threads again.
                self._library.halide_set_num_threads(1)
                break
            except BaseException as error:  # noqa: BLE001  # raised by a signal handler
                interrupt = error  # Python will fork all the same, so the work has to be done
        if interrupt is not None:
            raise interrupt  # which Python prints, as it does with all exceptions in these hooks

    def _note(self, _context: int | None, message: bytes) -> None:
        self._messages.append(message.decode(errors="replace").strip())

    def said(self, code: int) -> str:
        """What went wrong, after a pipeline returned this code."""
        return self._messages.pop() if self._messages else f"code {code}"

    @property
    def threads(self) -> int:
        """How many threads pipelines may run on."""
        return self._threads.value

    def set_threads(self, count: int) -> None:
        """Let pipelines run on so many threads."""
        self._threads.value = count
        RUNNING.call(self._library.halide_set_num_threads, [self._threads])

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
