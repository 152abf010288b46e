"""Find the library of compiled pipelines, load it, and call it through ctypes.

The code in `pipelines/` compiles them into one shared library when the package is built, and writes
a list of them beside it. There is one version of each pipeline for every level of a processor. This
module takes the best level that this machine can run, or the one that the environment variable
CONVLENS_LEVEL names.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from copy import copy
from ctypes import (
    POINTER,
    c_char_p,
    c_double,
    c_int32,
    c_int64,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from functools import cache, partial
from time import sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens.compiled.threads import RUNNING, threads_of_environment
from convlens.compiled.variants import Variant, Variants
from convlens.core.problem import Array

if TYPE_CHECKING:
    from pathlib import Path

LEVEL = "CONVLENS_LEVEL"  # the name of an environment variable


class _Dimension(ctypes.Structure):
    """One axis of an array, in the layout of Halide's halide_dimension_t."""

    _fields_ = [("min", c_int32), ("extent", c_int32), ("stride", c_int32), ("flags", c_uint32)]


class Buffer(ctypes.Structure):
    """An array as pipelines see it, in the layout of Halide's halide_buffer_t."""

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


_WORDS, _HOST = ctypes.sizeof(Buffer) // 8, Buffer.host.offset // 8  # of 8 bytes
_CODES = {"i": 0, "u": 1, "f": 2}


def buffer(array: Array) -> Buffer:
    """Describe an array to pipelines. The description keeps the array alive."""
    made = frame(array.shape, array.strides, array.dtype)
    made.host = address(array)
    made.array = array
    return made


def _stated_address(array: Array) -> int:
    """Where the first number of an array lies in memory, as NumPy states it in Python."""
    where: int = array.__array_interface__["data"][0]
    return where


def _read_address(array: Array) -> int:
    """The same in a tenth of the time, which for three arrays is much of a small call.

    By NumPy's C interface it is the first field of an array, behind the head of every object.
    """
    where: int = c_void_p.from_address(id(array) + object.__basicsize__).value or 0
    return where


def _is_where_read(array: Array) -> bool:
    """Whether this Python has arrays as NumPy's C interface describes them."""
    return sys.implementation.name == "cpython" and _read_address(array) == _stated_address(array)


address = _read_address if _is_where_read(np.empty(1)) else _stated_address


def frame(shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
    """Describe the layout of an array to pipelines, without its memory.

    Halide wants the last axis first, and strides counted in numbers instead of bytes.
    """
    size, packed = dtype.itemsize, 1
    dimensions = (_Dimension * len(shape))()
    for axis, (extent, stride) in enumerate(zip(shape[::-1], strides[::-1], strict=True)):
        # NumPy's stride means nothing on an axis of one number.
        step = stride // size if extent > 1 else packed
        dimensions[axis] = _Dimension(0, extent, step, 0)
        packed = step * extent
    return Buffer(0, None, None, 0, _CODES[dtype.kind], 8 * size, 1, len(shape), dimensions)


class Run:
    """A pipeline with its arguments, which can run on any arrays of the same layout.

    Parameters
    ----------
    library : Library
        The library that holds the pipeline.
    variant : Variant
        The pipeline.
    arguments : dict
        The pipeline's arguments by their names: numbers, and frames of arrays.
    arrays : list of str
        The names of those arguments that describe a layout alone, since every run has other
        arrays there.

    Attributes
    ----------
    nbytes : int
        Bytes of the arrays among its arguments, which it keeps.

    Raises
    ------
    TypeError
        If an argument is missing or superfluous, or an array where the pipeline takes a number.
    """

    def __init__(
        self, library: Library, variant: Variant, arguments: dict[str, Any], arrays: list[str]
    ) -> None:
        self._library, self._name = library, variant.name
        self._function = library.function(variant.name)
        missing = sorted(variant.arguments.keys() - arguments.keys())
        superfluous = sorted(arguments.keys() - variant.arguments.keys())
        if missing or superfluous:
            raise TypeError(
                f"the compiled pipeline {variant.name}: missing arguments {missing}, "
                f"superfluous ones {superfluous}"
            )
        order = list(variant.arguments)
        self._take([order.index(each) for each in arrays], [arguments[each] for each in arrays])
        kept = (getattr(argument, "array", None) for argument in arguments.values())
        self.nbytes = sum(array.nbytes for array in kept if array is not None)
        self._arguments = [
            _passed(name, kind, arguments[name]) for name, kind in variant.arguments.items()
        ]

    def with_kernels(self, kernels: Sequence[Array], addresses: Sequence[int]) -> Run:
        """The same run with kernels that begin at these addresses: it takes the other arrays alone.

        They lie between the first and the last of its arrays. It keeps them, with what is in them.
        """
        first, *frames, last = self._kept
        of_first, *places, of_last = self._places
        other = copy(self)
        other._take([of_first, of_last], [first, last])
        other._arguments = self._arguments.copy()
        for place, frame, array, host in zip(places, frames, kernels, addresses, strict=True):
            made = Buffer.from_buffer_copy(frame)
            made.host = host
            made.kept = array, frame  # the frame has the sizes, to which the copy points too
            other._arguments[place] = made
            other.nbytes += array.nbytes
        return other

    def _take(self, places: list[int], frames: list[Buffer]) -> None:
        """Note which of the arguments each run brings, and their frames."""
        self._places, self._kept = places, frames  # The sizes stay with the frames.
        self._idle: list[_Call] = []  # calls that have ended, one for each that ran at once

    def __call__(self, *arrays: Array) -> None:
        """Run the pipeline on these arrays, given in the order of their places."""
        self.start([address(array) for array in arrays])

    def start(self, addresses: list[int]) -> None:
        """Run the pipeline on arrays that begin at these addresses, and stay alive meanwhile."""
        try:
            call = self._idle.pop()  # which no other thread or signal handler can have then
        except IndexError:
            call = _Call(self._arguments, self._places, self._kept)
        words = call.words
        for place, host in zip(call.hosts, addresses, strict=True):
            words[place] = host
        code = RUNNING.call(self._function, call.arguments)
        self._idle.append(call)
        if code:
            raise RuntimeError(f"the compiled pipeline {self._name}: {self._library.said(code)}")


class _Call:
    """The arguments of one call as a pipeline takes them: a list of where each of them lies.

    Parameters
    ----------
    arguments : list of int or Buffer
        The numbers, as the bits of a word, and the arrays.
    places : list of int
        Which of the arguments are the arrays of this call.
    frames : list of Buffer
        Their frames.

    Attributes
    ----------
    words : ctypes array
        The list, the numbers, and the frames of the call's arrays.
    hosts : list of int
        The words that say where each of these arrays begins.
    arguments : tuple
        What the function is called with.
    """

    __slots__ = ("arguments", "hosts", "words")

    def __init__(
        self, arguments: list[int | Buffer], places: list[int], frames: list[Buffer]
    ) -> None:
        count = len(arguments)
        self.words = (c_uint64 * (2 * count + len(frames) * _WORDS))()
        start = ctypes.addressof(self.words)
        for place, argument in enumerate(arguments):
            if isinstance(argument, Buffer):
                self.words[place] = ctypes.addressof(argument)
            else:
                self.words[place] = start + 8 * (count + place)
                self.words[count + place] = argument
        self.hosts = []
        for at, (place, frame) in enumerate(zip(places, frames, strict=True)):
            first = 2 * count + at * _WORDS
            self.words[place] = start + 8 * first
            ctypes.memmove(start + 8 * first, ctypes.addressof(frame), 8 * _WORDS)
            self.hosts.append(first + _HOST)
        self.arguments = (ctypes.byref(self.words),)


def _passed(name: str, kind: str, argument: Any) -> int | Buffer:
    """An array, or the bits of a number of this type in a word."""
    if isinstance(argument, Buffer) != (kind == "array"):
        raise TypeError(f"a compiled pipeline takes {name} as {kind}; got {argument!r}")
    if isinstance(argument, Buffer):
        return argument
    return int.from_bytes(bytes(_scalar(kind)(argument)), sys.byteorder)


@cache
def _scalar(kind: str) -> Any:
    """The type of ctypes for this type of number."""
    return np.ctypeslib.as_ctypes_type(np.dtype(kind))


class Library:
    """The loaded library, and the pipelines of one level in it.

    Attributes
    ----------
    path : Path
        The file that was loaded.
    level : str
        The level in use.
    levels : list of str
        The levels that this machine can run, the best one first.
    variants : Variants
        The pipelines, and what each is for.
    halide : str
        The version of Halide that compiled the pipelines.
    threads : int
        The number of threads that pipelines may run on.
    """

    def __init__(self, path: Path, listed: dict[str, Any]) -> None:
        self.path, self.halide = path, listed["halide"]
        self._library = ctypes.CDLL(str(path))
        self.variants = Variants(listed["variants"])
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
        # Halide's own handler would end the process, so errors go to this one.
        self._handler = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)(self._note)
        self._library.halide_set_error_handler(self._handler)
        self._library.halide_set_custom_do_par_for(self._library.pool_run)
        # Pipelines take some memory for each task and give it back. The C library of Linux would
        # have the system take it away each time, and then clear new pages, until the program has
        # given back something as large.
        np.empty(2**23, np.uint8)
        self._threads = c_int32()  # C code can read it, in a hook that no handler interrupts
        self.set_threads(threads_of_environment())
        if hasattr(os, "register_at_fork"):
            self._register_hooks()

    def _register_hooks(self) -> None:
        """Have the pool's threads ended before a fork; they come back when they are needed."""
        # Python calls the hooks `before` from the last to the first, and the others from the first
        # on. An exception of a signal handler can end a hook in Python at its very beginning. So
        # those are registered twice, which does no harm. The notes of a fork must be made exactly
        # once, and nothing can interrupt them, because they are C code.
        set_threads = partial(self._library.pool_set_threads, self._threads)
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
        """Wait until this thread may fork, and end the pool's threads."""
        interrupt = None
        for _ in range(1000):  # Python forks even after an exception, so this tries again
            try:
                while not RUNNING.may_fork():
                    sleep(1e-4)
                # A handler that computes before the fork does not start threads again.
                self._library.pool_set_threads(1)
                break
            except BaseException as error:  # noqa: BLE001  # most likely that of a signal handler
                interrupt = error
        if interrupt is not None:
            raise interrupt  # which Python prints, as it does with all exceptions in these hooks

    def _note(self, _context: int | None, message: bytes) -> None:
        self._messages.append(message.decode(errors="replace").strip())

    def said(self, code: int) -> str:
        """Say what went wrong in a pipeline that has returned this code."""
        return self._messages.pop() if self._messages else f"code {code}"

    @property
    def vector(self) -> int:
        """Bytes of a vector in what is written in C."""
        return {"avx512": 64, "avx2": 32}.get(self.level, 16)

    @property
    def threads(self) -> int:
        """The number of threads that pipelines may run on."""
        return self._threads.value

    def set_threads(self, count: int) -> None:
        """Let pipelines run on this number of threads from now on."""
        self._threads.value = count
        RUNNING.call(self._library.pool_set_threads, [self._threads])

    def rank(
        self, cells: Array, planes: Array, out: Array, window: tuple[int, int], rank: int
    ) -> None:
        """Write the number of a rank under each window, of bytes, by moving histograms.

        Parameters
        ----------
        cells, out : array
            The cells, and the results (h, w) for windows from the first cells on. Both are of uint8
            or of int8, whose numbers lie side by side in a row.
        planes : (planes,) of int64
            How many bytes after the first cells those planes begin that a window lies in.
        window : tuple of int
            The rows and columns of the window, which has fewer than 2**15 numbers in all planes.
        rank : int
            0 for the smallest.
        """
        pointers = [c_void_p(each.ctypes.data) for each in (cells, planes, out)]
        apart, out_apart = (c_int64(each.strides[-2]) for each in (cells, out))
        sign = 128 if cells.dtype.kind == "i" else 0
        sizes = [c_int32(each) for each in (*out.shape, *window, rank, sign)]
        first, places, results = pointers
        arguments = [first, apart, places, c_int32(len(planes)), results, out_apart, *sizes]
        if RUNNING.call(self._library.ranks_run, arguments):
            raise MemoryError("there is no memory for the histograms of a window's columns")

    def move(
        self,
        cells: Array,
        rows: Array,
        taps: Array,
        entering: Array,
        leaving: Array,
        out: Array,
        rank: int,
    ) -> None:
        """Write the number of a rank under a window that moves along rows of cells.

        Parameters
        ----------
        cells : array of uint16
            Without gaps.
        rows : (rows,) of int64
            How many cells after the first one each row begins.
        taps, entering, leaving : array of int64
            How many cells after a place the window's taps lie; those among them that it enters when
            it comes to a place, and those that it leaves when it goes on.
        out : (rows, columns) of uint16
        rank : int
            0 for the smallest.
        """
        arrays = [
            c_void_p(each.ctypes.data) for each in (cells, rows, taps, entering, leaving, out)
        ]
        numbers, starts, places, entered, left, results = arrays
        count, columns = (c_int32(size) for size in out.shape)
        of_taps = [places, c_int32(len(taps)), entered, left, c_int32(len(leaving))]
        arguments = [numbers, starts, count, columns, *of_taps, results, c_int32(rank)]
        if RUNNING.call(self._library.moving_run, arguments):
            raise MemoryError("there is no memory for the histograms of windows")

    def find_winners(self, cells: Array, sizes: Array, places: list[Array], out: Array) -> None:
        """Write the place of the largest cell under each window; see `compiled.winners`.

        Parameters
        ----------
        cells : array of float32 or float64
        sizes : array of int64
            Those of the images, how many numbers images, planes and rows lie apart, and of each of
            three axes the size, the outputs, the window, stride, dilation, padding before, and how
            many places there are.
        places : list of array of int64
            Of the cells along each axis.
        out : array of int64
        """
        pointers = [c_void_p(address(each)) for each in (cells, sizes, *places, out)]
        arguments = [*pointers, c_int32(cells.itemsize == 8)]
        if RUNNING.call(self._library.winners_find, arguments):
            raise MemoryError("there is no memory for the winners of rows under a window")

    def give_to_winners(
        self,
        cells: Array,
        sizes: Array,
        places: list[Array],
        numbers: Array,
        values: Array,
        *,
        exact: bool,
    ) -> None:
        """Write what each place gets of numbers that come back to windows; see `compiled.winners`.

        Parameters
        ----------
        cells, sizes, places
            As for `find_winners`.
        numbers, values : array of float32 or float64
            Of one type.
        exact : bool
            Whether sums are no worse than one rounding each.
        """
        arrays = cells, sizes, *places, numbers, values
        pointers = [c_void_p(address(each)) for each in arrays]
        wide = [c_int32(each.itemsize == 8) for each in (cells, values)]
        arguments = [*pointers, *wide, c_int32(exact), c_int32(self.vector)]
        if RUNNING.call(self._library.winners_give, arguments):
            raise MemoryError("there is no memory for the winners of rows under a window")

    def give_shares(
        self,
        outputs: Array,
        sizes: Array,
        windows: list[Array],
        counts: list[Array],
        values: Array,
    ) -> None:
        """Write what each pixel gets of windows that give all the same; see `compiled.shares`.

        Parameters
        ----------
        outputs, values : array of float32 or float64
            Of one type, without gaps.
        sizes : array of int64
            Those of the images, and of each of three axes the cells and the outputs.
        windows, counts : list of array of int64
            For each axis the windows over each cell, and into how many parts windows are divided.
        """
        tables = [(c_void_p * len(each))(*map(address, each)) for each in (windows, counts)]
        first, of_sizes, into = (c_void_p(address(each)) for each in (outputs, sizes, values))
        arguments = [first, of_sizes, *tables, into, c_int32(values.itemsize == 8)]
        if RUNNING.call(self._library.shares_give, arguments):
            raise MemoryError("there is no memory for the shares of a row of windows")

    def add_few_products(
        self, arrays: list[int], padding: float, sums: int, *, wide: bool, along: bool
    ) -> None:
        """Add up products of outputs by the cells under the taps; see `compiled.kernel_gradient`.

        Parameters
        ----------
        arrays : list of int
            The addresses of the images and outputs, whose rows have no gaps; of their sizes, as in
            `runtime/few.c`; and of the pixels of rows and columns of cells, below 0 for padding.
        padding : float
        sums : int
            The address of the sums, and of what was lost of each by rounding: (kh, kw, c, nc, 2) if
            vectors lie `along` the kernels, and else (kh, c // groups, nc, kw, 2), of float64.
        wide : bool
            Whether images and outputs are float64, and not float32.
        along : bool
        """
        arguments = [*map(c_void_p, arrays), c_double(padding), c_void_p(sums)]
        arguments += [c_int32(wide), c_int32(self.vector), c_int32(along)]
        if RUNNING.call(self._library.few_run, arguments):
            raise MemoryError("there is no memory for sums of products")

    def function(self, name: str) -> Any:
        """Look up a pipeline by its name, in the version of this level.

        It takes a list of where its arguments lie, which is passed faster than all of them.
        """
        if name not in self._functions:
            self._functions[name] = getattr(self._library, f"{name}_{self.level}_argv")
        return self._functions[name]


@cache
def load() -> Library | str:
    """Load the library at the first call, and return it; or return why there is none."""
    import json  # noqa: PLC0415  # both are slow to import, and are not needed before
    from pathlib import Path  # noqa: PLC0415

    folder = Path(__file__).parent
    paths = [folder / f"pipelines{suffix}" for suffix in (".so", ".dylib", ".dll")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return "convlens was built without it"
    try:
        listed = json.loads((folder / "pipelines.json").read_text(encoding="utf-8"))
        size = path.stat().st_size
        if size != listed["bytes"]:  # since loading half a library could end the process
            return f"{path.name} cannot be loaded: it has {size} bytes of {listed['bytes']}"
        return Library(path, listed)
    except OSError as error:  # for example, the library was made for another machine
        return f"{path.name} cannot be loaded: {error}"


def loaded() -> Library:
    """Return the library, to code that runs only after a plan has found that it is there."""
    library = load()
    assert isinstance(library, Library)
    return library
