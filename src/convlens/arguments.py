"""The one place where arguments are checked: each is normalised, or refused with a message.

A message says what was expected, what was received and, where that is not obvious, what to do.
Nothing is computed before every argument has passed.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from operator import index
from types import FrameType, TracebackType
from typing import Any, NamedTuple

import numpy as np

from convlens import hints, labels
from convlens.core.axis import Axis, Border, resolve_padding
from convlens.core.problem import Array, Layout, Problem, Spec, kernel_parts

PADDING_WORDS = ("valid", "same", "full")
PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")
POOL_MODES = ("max", "min", "avg", "sum", "median")
METHODS = ("auto", "compiled", "numpy")
OVERFLOWS = ("refuse", "saturate")
CONVOLVE_WORDS = {
    "padding": PADDING_WORDS,
    "pad_mode": PAD_MODES,
    "overflow": OVERFLOWS,
    "method": METHODS,
}
POOL_WORDS = {"mode": POOL_MODES, **CONVOLVE_WORDS}
Numbers = tuple[int, ...]  # one for each spatial axis
# A padding word, or "given"; and for each axis what `resolve_padding` takes.
Padding = tuple[str, tuple[Any, ...]]
# The largest stride, dilation and padding: sums of a few of them still fit into 64 bits.
_LARGEST = 2**62
_PLAIN, _INTEGERS = {int, str, bool, type(None), type, tuple}, {int}


class ConvolveOptions(NamedTuple):
    """The options of a convolution, as the caller gave them; see `convlens.convolve`."""

    padding: object = "same"
    stride: object = 1
    dilation: object = 1
    groups: object = 1
    pad_mode: object = "constant"
    pad_value: object = 0
    dtype: object = None
    space: object = 2
    overflow: object = "refuse"
    where: str = "all"  # of "all", "finite" and "given", if `where` is an array
    renormalize: object = False


class PoolOptions(NamedTuple):
    """The window and the options of a pooling, as the caller gave them; see `convlens.pool`."""

    kernel_shape: object
    stride: object = None
    mode: object = "max"
    padding: object = "valid"
    dilation: object = 1
    pad_mode: object = None
    pad_value: object = 0
    count_padding: object = False
    partial: object = False
    space: object = 2
    dtype: object = None
    overflow: object = "refuse"
    where: str = "all"


class Space(NamedTuple):
    """The spatial axes of a call, and how messages name them.

    Attributes
    ----------
    noun : str
        What an image with so many axes is called.
    images, kernels : str
        The letters of the axes, for layouts.
    names, lines : tuple of str
        The axes, and what is counted along each: a row is a line of one place along the height.
    numbers, paddings : str
        What an argument with a number for each axis may be, and what a padding may be.
    few : tuple of int
        Sizes of a last axis that more likely are numbers of channels.
    """

    noun: str
    images: str
    kernels: str
    names: tuple[str, ...]
    lines: tuple[str, ...]
    numbers: str
    paddings: str
    few: tuple[int, ...]

    def shape_of_images(self, *, batch: bool, channels: bool) -> str:
        """The shape of images, as in "(m, h, w, c)"."""
        return _shape_of("m" * batch + self.images + "c" * channels)

    def shape_of_kernels(self, *channels: str) -> str:
        """The shape of kernels, as in "(kh, kw, c)"."""
        return _shape_of([*(f"k{letter}" for letter in self.images), *channels])

    @property
    def convolve_layouts(self) -> dict[tuple[int, int], Layout]:
        """The layouts of a convolution, by the ranks of images and kernels."""
        hw, yx, n = self.images, self.kernels, len(self.images)
        return {
            (n + 1, n): Layout(f"m{hw}", yx, f"m{hw}"),
            (n + 2, n + 1): Layout(f"m{hw}c", f"{yx}c", f"m{hw}"),
            (n + 2, n + 2): Layout(f"m{hw}c", f"{yx}cn", f"m{hw}n"),
            (n + 2, n): Layout(f"m{hw}c", yx, f"m{hw}n"),  # the same kernel on each channel
            (n, n): Layout(hw, yx, hw),
            (n + 1, n + 1): Layout(f"{hw}c", f"{yx}c", hw),
            (n + 1, n + 2): Layout(f"{hw}c", f"{yx}cn", f"{hw}n"),
        }

    @property
    def pool_layouts(self) -> dict[int, Layout]:
        """The layouts of a pooling, by the rank of the images."""
        hw, n = self.images, len(self.images)
        layouts = (hw, "", hw), (f"m{hw}", "", f"m{hw}"), (f"m{hw}c", "", f"m{hw}n")
        return {n + more: Layout(*layout) for more, layout in enumerate(layouts)}


def _shape_of(sizes: Sequence[str]) -> str:
    """A shape in letters, as Python writes one."""
    return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"


SPACES = {
    1: Space(
        "signal",
        "w",
        "x",
        ("width",),
        ("number",),
        "an integer",
        "an integer or a pair (before, after)",
        (1, 2, 3, 4),  # a signal of so few numbers is none, and recordings often have two channels
    ),
    2: Space(
        "image",
        "hw",
        "yx",
        ("height", "width"),
        ("row", "column"),
        "an integer or a pair (vertical, horizontal)",
        "an integer, (vertical, horizontal) or ((top, bottom), (left, right))",
        (3, 4),
    ),
    3: Space(
        "volume",
        "dhw",
        "zyx",
        ("depth", "height", "width"),
        ("slab", "row", "column"),
        "an integer or three (depth, height, width)",
        "an integer, (depth, height, width) or ((front, back), (top, bottom), (left, right))",
        (3, 4),
    ),
}


REFUSALS = (TypeError, ValueError, MemoryError)


class refusing:  # noqa: N801  # a context manager, used like a function, many times a call
    """Put the name of the operation in front of the messages of errors that are raised inside.

    Only errors that this package raises are changed. They are changed in place, so that their cause
    and traceback are kept. Errors of other code that runs inside, such as an object's `__array__`,
    pass unchanged.
    """

    __slots__ = ("operation",)

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A subclass of these may be constructed from other arguments than a text.
        if error is not None and type(error) in REFUSALS and _is_ours(trace):
            error.args = (f"{self.operation}: {error}",)


def _is_ours(trace: TracebackType | None) -> bool:
    """Whether this package's own code raised an error: the last frame of its traceback tells."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and _in_package(trace.tb_frame)


def _in_package(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("convlens.")


class ChannelsWarning(UserWarning):
    """An array (h, w, 3) looks like one picture, but is taken for h images.

    Three axes always mean (m, h, w) for a pooling, or with a kernel (kh, kw). If the first two have
    at least 16 entries and the last has 3 or 4, more likely one picture was meant, whose m is
    missing. Either meaning can be made explicit, which ends the warning: ``images[np.newaxis]`` is
    one picture with channels, ``images[..., np.newaxis]`` are many images with a single channel.

    It is the same with volumes: (d, h, w, 3) looks like one volume or one film, but is taken for d
    volumes. A signal's last axis is taken for channels up to 4: (w, 2) looks like one recording of
    two channels, but is taken for w signals of two numbers.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np, convlens
    >>> photograph = np.ones((48, 64, 3))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     convlens.pool(photograph, 2).shape
    (48, 32, 1)
    >>> caught[0].category.__name__
    'ChannelsWarning'
    >>> convlens.pool(photograph[np.newaxis], 2).shape
    (1, 24, 32, 3)
    """


@lru_cache(maxsize=256)
def channels_note(problem: Problem) -> str | None:
    """The text of the `ChannelsWarning` for a problem; None if nothing looks wrong."""
    form, shape = SPACES[problem.space], problem.images.shape
    *others, c = shape
    if problem.layout.images != f"m{form.images}" or c not in form.few or min(others) < 16:
        return None
    m, each = shape[0], " x ".join(map(str, shape[1:]))
    one = "picture" if problem.space == 2 else form.noun
    channels = "1 channel" if c == 1 else f"{c} channels"
    return (
        f"images {shape} are taken for {m} {form.noun}s of {each}: pass images[np.newaxis] if they "
        f"are one {one} with {channels}, or images[..., np.newaxis] if they are {m} {form.noun}s"
    )


def warn_of_channels(problem: Problem) -> None:
    """Warn if a call looks wrong, at the line outside this package that made the call."""
    note = channels_note(problem)
    if note is None:
        return
    level, frame = 1, sys._getframe()
    while _in_package(frame) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(f"{problem.operation}: {note}", ChannelsWarning, stacklevel=level)


# ------------------------------------------------------------------------- whole problems


def key(*values: object) -> tuple[object, ...] | None:
    """A key for these arguments in a cache, or None if they are not plain enough to be one.

    The types are in it too, because True == 1.
    """
    types = tuple(map(type, values))
    if not _PLAIN.issuperset(types):
        return None
    if tuple in types:
        inner = (map(type, value) for value in values if type(value) is tuple)
        if not all(map(_INTEGERS.issuperset, inner)):
            return None
    return values, types


def convolve_problem(images: Spec, kernels: Spec, options: ConvolveOptions) -> Problem:
    """Normalise the arguments of a convolution, and make the problem."""
    space = spatial_axes(options.space)
    return _convolve_problem(
        images,
        kernels,
        space,
        padding(options.padding, space, CONVOLVE_WORDS),
        numbers("stride", options.stride, space, words=CONVOLVE_WORDS),
        numbers("dilation", options.dilation, space, words=CONVOLVE_WORDS),
        integer("groups", options.groups),
        _border(options.pad_mode, options.pad_value, images.dtype, CONVOLVE_WORDS),
        None if options.dtype is None else _result_dtype(options.dtype),
        _overflow(options.overflow, options.dtype, CONVOLVE_WORDS),
        options.where,
        flag("renormalize", options.renormalize),
    )


# Cached: calls often repeat with other arrays of the same shapes. The arguments are normalised
# first, because True == 1 would hit the entry for 1.
@lru_cache(maxsize=256)
def _convolve_problem(
    images: Spec,
    kernels: Spec,
    space: int,
    padding: Padding,
    strides: Numbers,
    dilations: Numbers,
    groups: int,
    border: Border,
    dtype: np.dtype[Any] | None,
    overflow: str,
    where: str,
    renormalize: bool,
) -> Problem:
    """The problem that these arguments make, each of them right by itself."""
    if renormalize and where == "all":
        raise ValueError(
            "renormalize=True needs where: an array of booleans, or 'finite' for numbers that are "
            "neither NaN nor infinite"
        )
    form = SPACES[space]
    layout = form.convolve_layouts.get((len(images.shape), len(kernels.shape)))
    if layout is None:
        ranks = len(images.shape), len(kernels.shape)
        others = [n for n in _nearest(space) if ranks in SPACES[n].convolve_layouts]
        kinds = ((True, False), (True, True), (False, False), (False, True))
        *shapes, last = (form.shape_of_images(batch=m, channels=c) for m, c in kinds)
        raise ValueError(
            f"images must be {', '.join(shapes)} or {last}, with kernels "
            f"{form.shape_of_kernels()}, {form.shape_of_kernels('c')} or "
            f"{form.shape_of_kernels('c // groups', 'nc')} to match; {_shapes(images, kernels)}"
            f"{hints.ranks(space, images.shape, kernels.shape, others)}"
        )
    window = kernels.shape[:space]
    if 0 in window:
        raise ValueError(f"kernels must have at least one tap; {_shapes(images, kernels)}")
    channels = images.shape[-1] if "c" in layout.images else 1
    groups, output_channels = _groups(images, kernels, layout, channels, groups)
    axes = _axes(images, layout, window, "kernel", padding, strides, dilations, border)
    types = images.dtype, kernels.dtype, dtype
    sum_dtype, output_dtype = _convolve_dtypes(*types, overflow, divided=renormalize)
    return Problem(
        operation="convolve",
        mode="sum",
        images=images,
        kernels=kernels,
        layout=layout,
        axes=axes,
        groups=groups,
        channels=channels,
        output_channels=output_channels,
        padding_word=padding[0],
        count_padding=True,
        sum_dtype=sum_dtype,
        output_dtype=output_dtype,
        overflow=overflow,
        where=where,
        renormalize=renormalize,
    )


def pool_problem(images: Spec, options: PoolOptions) -> Problem:
    """Normalise the arguments of a pooling, and make the problem."""
    space = spatial_axes(options.space)
    window = numbers("kernel_shape", options.kernel_shape, space, words=POOL_WORDS)
    stride, border = options.stride, Border("nothing")
    if options.pad_mode is not None:
        border = _border(options.pad_mode, options.pad_value, images.dtype, POOL_WORDS)
        if flag("partial", options.partial):
            raise ValueError(
                f"partial=True cannot be combined with pad_mode={options.pad_mode!r}, because "
                "nothing lies behind the padding; use more padding after the images instead"
            )
    elif _pad_value(options.pad_value) != 0:
        raise ValueError(
            f"pad_value={options.pad_value!r} needs pad_mode='constant': by default padded cells "
            "hold nothing"
        )
    return _pool_problem(
        images,
        window,
        window if stride is None else numbers("stride", stride, space, words=POOL_WORDS),
        _word("mode", options.mode, POOL_WORDS),
        padding(options.padding, space, POOL_WORDS),
        numbers("dilation", options.dilation, space, words=POOL_WORDS),
        border,
        flag("count_padding", options.count_padding),
        flag("partial", options.partial),
        None if options.dtype is None else _result_dtype(options.dtype),
        _overflow(options.overflow, options.dtype, POOL_WORDS),
        options.where,
    )


@lru_cache(maxsize=256)
def _pool_problem(
    images: Spec,
    window: Numbers,
    strides: Numbers,
    mode: str,
    padding: Padding,
    dilations: Numbers,
    border: Border,
    count_padding: bool,
    partial: bool,
    dtype: np.dtype[Any] | None,
    overflow: str,
    where: str,
) -> Problem:
    """The problem that these arguments make, each of them right by itself."""
    form = SPACES[len(window)]
    layout = form.pool_layouts.get(len(images.shape))
    if layout is None:
        others = [n for n in _nearest(len(window)) if len(images.shape) in SPACES[n].pool_layouts]
        kinds = ((True, True), (True, False), (False, False))
        full, gray, one = (form.shape_of_images(batch=m, channels=c) for m, c in kinds)
        raise ValueError(
            f"images must be {full}, {gray} or {one}; images.shape={images.shape}"
            f"{hints.ranks(len(window), images.shape, None, others)}"
        )
    axes = _axes(
        images, layout, window, "window", padding, strides, dilations, border, partial=partial
    )
    channels = images.shape[-1] if "c" in layout.images else 1
    batch = images.shape[0] if "m" in layout.images else 1
    outputs = batch * channels * prod(max(0, axis.outputs) for axis in axes)
    # A window that covers no pixel has neither a largest value nor an average.
    counts_pixels = mode in ("max", "min") or (mode == "avg" and not count_padding)
    if outputs and counts_pixels and border.mode == "nothing":
        for axis, name in zip(axes[-len(window) :], form.lines, strict=True):
            output = axis.without_pixels()
            if output is not None:
                raise ValueError(
                    f"the windows of output {name} {output} cover no pixel, padding alone "
                    f"(window {axis.window}, padding {axis.before} before and {axis.after} after "
                    f"{axis.size} pixels), and mode={mode!r} has nothing to go by; use less padding"
                )
    if mode == "median":
        _check_median(images.dtype, axes, where)
    sum_dtype, output_dtype = _pool_dtypes(images.dtype, mode, dtype, overflow)
    problem = Problem(
        operation="pool",
        mode=mode,
        images=images,
        kernels=None,
        layout=layout,
        axes=axes,
        groups=channels,
        channels=channels,
        output_channels=channels,
        padding_word=padding[0],
        count_padding=count_padding or border.mode != "nothing",
        sum_dtype=sum_dtype,
        output_dtype=output_dtype,
        overflow=overflow,
        where=where,
    )
    if mode == "sum" and dtype is not None and is_checked(problem):
        _check_sums(
            problem, [(problem.taps, 0)], f"images under {problem.taps:,} taps", "images", 1
        )
    return problem


# ----------------------------------------------------------------------------- arrays


def array(name: str, value: Any) -> Array:
    """Convert nested lists to an array of numbers; an array is returned itself, not copied.

    Of xarray's DataArrays it is the array within that counts.

    Images may also be a Dask array. It is returned as it is, because it has a shape and a type too.
    """
    value = labels.without(value)
    if is_dask(value):
        _check_dask(name, value)
        return value  # type: ignore[no-any-return]
    result = value if type(value) is np.ndarray else _as_array(name, value)
    if result.ndim == 0 and result.dtype.kind not in "biufcV":
        hint = hints.no_array(name, value)
        raise TypeError(f"{name} must be an array of numbers; got {value!r}{hint}")
    _check_numbers(name, result.dtype)
    return result


def _check_numbers(name: str, dtype: np.dtype[Any]) -> None:
    """Refuse all types but those of NumPy's own numbers and booleans."""
    # Some types that packages add to NumPy have the kind of a float, so the kind is not enough.
    if dtype.kind not in "biufc" or dtype.isbuiltin == 2:
        raise TypeError(
            f"{name} must be an array of numbers; got dtype {dtype}{hints.no_number(name, dtype)}"
        )


def kernels_for(images: np.dtype[Any], value: Any) -> Array:
    """Convert kernels to an array, for images of this type.

    Integers in nested lists have no type of their own, as with NumPy's operators: for uint64 images
    they become uint64, unless one of them is negative.
    """
    kernels = array("kernels", value)
    of_lists = not hasattr(value, "dtype") and kernels.dtype.kind == "i"
    if of_lists and images.newbyteorder("=") == _UINT64 and (kernels >= 0).all():
        return kernels.astype(_UINT64)
    return kernels


def _as_array(name: str, value: Any) -> Array:
    if _has_masks(value):
        fill = "0" if name == "kernels" else f"{name}.mean()"  # zeros would darken what is near
        alone = name == "images" and isinstance(value, np.ma.MaskedArray)
        unless = ", or pass where=True for masked pixels to take no part" if alone else ""
        raise TypeError(
            f"{name} must hold no masked arrays, as their masks would be lost; fill them first, as "
            f"in {name}.filled({fill}){unless}"
        )
    try:
        return np.asarray(value)
    except ValueError as error:
        # NumPy's message about lists does not say where they differ. An error with further frames
        # comes from an object's `__array__`, and is left as it is.
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            _shape_of_lists(name, value)
        error.add_note(f"This was raised while {name} became a NumPy array.")
        raise


_MOST_AXES = 64  # the most that a NumPy array can have


def _has_masks(value: object, depth: int = 0) -> bool:
    """Whether this is a masked array, or nested lists with one inside."""
    if isinstance(value, np.ma.MaskedArray):
        return True
    if not isinstance(value, (list, tuple)) or depth > _MOST_AXES:
        return False
    # Each type is looked at once, because a list may hold millions of numbers.
    types = set(map(type, value))
    return any(issubclass(each, (list, tuple, np.ma.MaskedArray)) for each in types) and any(
        _has_masks(inner, depth + 1) for inner in value
    )


def _shape_of_lists(name: str, value: object, depth: int = 0) -> tuple[int, ...]:
    """The shape of nested lists; they are refused where two neighbours have different ones."""
    if not isinstance(value, (list, tuple)) or depth > _MOST_AXES:
        return value.shape if isinstance(value, np.ndarray) else ()
    shapes = [_shape_of_lists(f"{name}[{i}]", inner, depth + 1) for i, inner in enumerate(value)]
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            hint = ": images of several sizes need a call each" if len(shape) > 1 else ""
            raise ValueError(
                f"{name} must be an array of numbers; got lists of unequal lengths: {name}[0] has "
                f"shape {shapes[0]}, {name}[{i}] has shape {shape}{hint}"
            ) from None
    return (len(value), *(shapes[0] if shapes else ()))


def is_dask(value: object) -> bool:
    """Whether this is a Dask array. Dask is not imported for it: without it there are none."""
    if type(value) is np.ndarray:
        return False
    value = labels.without(value)
    dask_array = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(value, dask_array.Array)


def _check_dask(name: str, value: Any) -> None:
    """Refuse a Dask array unless its chunks are NumPy arrays of numbers, of known sizes."""
    if name not in ("images", "outputs"):
        raise TypeError(
            f"{name} must be in memory, for every chunk of the result needs all of them; got a "
            f"Dask array: pass {name}.compute()"
        )
    _check_numbers(name, value.dtype)
    chunk = type(value._meta)
    if not issubclass(chunk, np.ndarray) or issubclass(chunk, np.ma.MaskedArray):
        raise TypeError(
            f"{name} must be a Dask array of NumPy arrays; its chunks are {chunk.__module__}."
            f"{chunk.__qualname__}"
        )
    if np.isnan(value.shape).any():
        raise ValueError(
            f"{name} must have chunks of known sizes; {name}.shape={value.shape}: call "
            f"{name}.compute_chunk_sizes() first"
        )


def is_shape(value: object) -> bool:
    """Whether a plan's argument is a bare shape: a tuple of integers."""
    return isinstance(value, tuple) and all(isinstance(n, (int, np.integer)) for n in value)


def spec(name: str, value: Any) -> Spec:
    """The shape and type of an array, or of a bare shape, which stands for float64 numbers."""
    if is_shape(value):
        if min(value, default=0) < 0:
            raise ValueError(f"{name}: a shape has no negative sizes; got {value}")
        return Spec(tuple(index(n) for n in value), np.dtype(np.float64))
    values = array(name, value)
    return Spec(values.shape, values.dtype)


def planned(name: str, value: object, plan: Spec) -> Array:
    """The array that a plan is run on, whose shape and type must be those of the plan."""
    values = array(name, value)
    if values.shape != plan.shape or values.dtype != plan.dtype:
        raise ValueError(
            f"the plan is for {name} {plan.shape} of {plan.dtype}; got {values.shape} of "
            f"{values.dtype}: make a plan from these arrays"
        )
    return values


def output(
    out: object, shape: tuple[int, ...], dtype: np.dtype[Any], *inputs: Array | None
) -> Array:
    """The array to write the result into: `out`, or a new one if there is no `out`."""
    if out is None:
        try:
            return np.empty(shape, dtype)
        except (ValueError, MemoryError) as error:  # more bytes than addresses, or than memory has
            kind = ValueError if isinstance(error, ValueError) else MemoryError
            raise kind(_too_large(shape, dtype)) from None
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out must be a NumPy array; got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}; got {out.shape}")
    if out.dtype != dtype:
        raise TypeError(f"out must have dtype {dtype}; got {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if _overlaps_itself(out):
        raise ValueError(
            "out overlaps itself: some of its numbers share memory, and would overwrite each other"
        )
    for values in inputs:
        if values is not None and np.shares_memory(out, values):
            raise ValueError("out shares memory with an input, which would change while it is read")
    return out


def _overlaps_itself(values: Array) -> bool:
    """Whether two numbers of an array share memory, as `numpy.lib.stride_tricks` can make them."""
    if values.flags.c_contiguous or values.flags.f_contiguous:
        return False
    # Two numbers that share memory differ along some first axis. They still share it after both are
    # moved by the same steps, so that one of them comes first along this axis and both come first
    # along the axes before it. So each axis' first entry is compared with the rest of the axis.
    while values.ndim:
        if np.shares_memory(values[:1], values[1:]):
            return True
        values = values[0]
    return False


def _too_large(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    nbytes = Spec(shape, dtype).nbytes
    return (
        f"the result has shape {shape} and dtype {dtype}, which take {nbytes:,} bytes, more than "
        "there is memory for; use less padding, a larger stride, or fewer images at a time"
    )


def chunks_fit(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse a Dask array whose largest chunk, of this shape, is too large for any memory."""
    if Spec(shape, dtype).nbytes > sys.maxsize:
        raise ValueError(_too_large(shape, dtype))


def no_output(out: object, name: str = "images") -> None:
    """Refuse an `out` for a result that is not computed yet; `name` is that of the argument."""
    if out is not None:
        raise TypeError(
            f"out must be left out where {name} are a Dask array, as the result is one too, not "
            "yet computed; write that with result.store(out) or result.to_zarr(path)"
        )


# ------------------------------------------------------------------ numbers and words


def integer(name: str, value: object) -> int:
    """A whole number: anything that can be an index, but no boolean."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer; got {value}")
    try:
        return index(value)  # type: ignore[arg-type]  # it raises the TypeError that is caught
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}") from None


def numbers(
    name: str,
    value: object,
    space: int = 2,
    at_least: int = 1,
    expected: str | None = None,
    given: object = None,
    words: hints.Words | None = None,
) -> Numbers:
    """An integer for all spatial axes, or one for each.

    Messages show the argument as `given`. `words` are the words that other arguments take, because
    the value may have been meant for one of them.
    """
    if type(value) is int and at_least <= value <= _LARGEST:  # mostly; the rest takes its time
        return (value,) * space
    if isinstance(value, np.ndarray):
        value = value.tolist()
    given = value if given is None else given
    wrong = f"{name} must be {expected or SPACES[space].numbers}; got {given!r}"
    each = value if isinstance(value, (tuple, list)) else (value,) * space
    if len(each) != space:
        raise ValueError(wrong + hints.count(len(each), space))
    try:
        integers = tuple(integer(name, number) for number in each)
    except TypeError:
        raise TypeError(f"{wrong}{hints.word(value, (), words or {})}") from None
    if min(integers) < at_least:
        raise ValueError(f"{name} must be at least {at_least}; got {given!r}")
    if max(integers) > _LARGEST:
        raise ValueError(f"{name} must be at most {_LARGEST}; got {given!r}")
    return integers


def spatial_axes(value: object) -> int:
    """The number of spatial axes."""
    space = integer("space", value)
    if space not in SPACES:
        raise ValueError(f"space must be 1 for signals, 2 for images or 3 for volumes; got {space}")
    return space


def _nearest(space: int) -> list[int]:
    """The numbers of spatial axes, those that differ least from this one first."""
    return sorted(SPACES, key=lambda other: abs(other - space))


def _border(mode: object, value: object, images: np.dtype[Any], words: hints.Words) -> Border:
    """What the padding holds: a mode of `numpy.pad`, and for "constant" a number."""
    mode = _word("pad_mode", mode, words)
    if type(value) is int and value == 0:  # by far the most common, and quickly decided
        return Border(mode)
    number = _pad_value(value)
    if mode != "constant" and number != 0:
        raise ValueError(f"pad_value={value!r} needs pad_mode='constant'; got {mode!r}")
    dtype = images.newbyteorder("=")
    with np.errstate(all="ignore"):
        held = (number if dtype.kind == "c" else number.real).astype(dtype)
    # Floats are rounded to the images' type, as long as they stay finite. Python compares integers
    # with floats exactly, which NumPy does not.
    finite = np.isfinite(held) == np.isfinite(number)
    fits = finite if dtype.kind in "fc" else held.item() == number.item()
    if not fits or (number.imag and dtype.kind != "c"):
        raise ValueError(
            f"pad_value must be a number that {images} images can hold; got {value!r}: convert "
            "the images to a wider type"
        )
    return Border(mode, held.item() or 0)  # -0.0 would be taken for 0.0 where problems are cached


def _pad_value(value: object) -> Array:
    """The number that padding holds, as an array without axes."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "biufc":
        instead = ": give it as a float" if isinstance(value, int) else ""  # of over 64 bits
        raise TypeError(f"pad_value must be a number; got {value!r}{instead}")
    return number


def flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def _word(name: str, value: object, arguments: hints.Words) -> str:
    """One of the words that this argument takes, among those of all `arguments`."""
    words = arguments[name]
    if isinstance(value, str) and value in words:
        return value
    others = {other: theirs for other, theirs in arguments.items() if other != name}
    error = ValueError if isinstance(value, str) else TypeError
    raise error(
        f"{name} must be one of {', '.join(map(repr, words))}; got {value!r}"
        f"{hints.word(value, words, others)}"
    )


def _overflow(value: object, dtype: object, words: hints.Words) -> str:
    """What becomes of sums that do not fit into the type of the result."""
    word = _word("overflow", value, words)
    if word == "saturate" and dtype is None:
        raise ValueError(
            "overflow='saturate' needs an integer dtype, the type to round and clip to, as in "
            "dtype=np.uint8"
        )
    return word


def method(value: object) -> str:
    """The method's name."""
    return _word("method", value, CONVOLVE_WORDS)


# ---------------------------------------------------------------------- shapes, windows


def _shapes(images: Spec, kernels: Spec) -> str:
    return f"images.shape={images.shape}, kernels.shape={kernels.shape}"


def _groups(
    images: Spec, kernels: Spec, layout: Layout, channels: int, groups: int
) -> tuple[int, int]:
    """Check that kernels, channels and groups agree; the numbers of groups and output channels."""
    space = len(layout.kernels.rstrip("cn"))
    if groups < 1:
        raise ValueError(f"groups must be at least 1; got {groups}")
    if "n" not in layout.kernels and groups != 1:
        shape = SPACES[space].shape_of_kernels("c // groups", "nc")
        raise ValueError(f"groups={groups} needs kernels {shape}; {_shapes(images, kernels)}")
    if "c" not in layout.kernels:
        return channels, channels  # each channel is a group; a gray image has one channel
    expected, received = channels // groups, kernels.shape[space]
    wrong = ""
    if channels % groups:
        wrong = f"groups={groups} does not divide the images' {channels} channels"
    elif expected != received:
        plural = "" if received == 1 else "s"
        have = (
            f"each of {groups} groups has {expected}" if groups > 1 else f"images have {channels}"
        )
        wrong = f"kernels expect {received} channel{plural}, {have}"
    if wrong:
        hint = hints.channels(space, images.shape, kernels.shape, groups)
        raise ValueError(f"{wrong}; {_shapes(images, kernels)}{hint}")
    output_channels = kernels.shape[-1] if "n" in layout.kernels else 1
    if output_channels % groups:
        raise ValueError(
            f"groups={groups} does not divide the {output_channels} kernels; "
            f"{_shapes(images, kernels)}"
        )
    return groups, output_channels


def padding(value: object, space: int, words: hints.Words) -> Padding:
    """The padding, for all spatial axes."""
    expected = f"{', '.join(map(repr, PADDING_WORDS))}, {SPACES[space].paddings}"
    if isinstance(value, str):
        word = _word("padding", value, words)
        return word, (word,) * space
    if isinstance(value, np.ndarray):
        value = value.tolist()
    many = (tuple, list, np.ndarray)  # a list may hold arrays
    if isinstance(value, (tuple, list)) and any(isinstance(sides, many) for sides in value):
        pairs = all(isinstance(sides, many) and len(sides) == 2 for sides in value)
        if len(value) != space or not pairs:
            hint = hints.count(len(value), space) if pairs else ""
            raise ValueError(f"padding must be {expected}; got {value!r}{hint}")
        return "given", tuple(numbers("padding", sides, 2, 0, expected, value) for sides in value)
    if space == 1 and isinstance(value, (tuple, list)) and len(value) == 2:  # (before, after)
        return "given", (numbers("padding", value, 2, 0, expected),)
    each = numbers("padding", value, space, 0, expected)
    return "given", tuple((cells, cells) for cells in each)


def _axes(
    images: Spec,
    layout: Layout,
    window: Numbers,
    window_name: str,
    padding: Padding,
    strides: Numbers,
    dilations: Numbers,
    border: Border,
    *,
    partial: bool = False,
) -> tuple[Axis, ...]:
    """The axes along which the window slides, if it fits into the padded images.

    A signal is an image of one row, so there are at least two axes.
    """
    word, paddings = padding
    form = SPACES[len(window)]
    first = layout.images.index(form.images[0])
    sizes = images.shape[first : first + len(window)]
    axes = [Axis(1, 1, 1, 1, 0, 0, border=border)] if len(window) == 1 else []
    for name, size, taps, step, gap, cells in zip(
        form.names, sizes, window, strides, dilations, paddings, strict=True
    ):
        before, after = resolve_padding(cells, size, taps, step, gap)
        axis = Axis(size, taps, step, gap, before, after, partial, border)
        # With "same", an axis without pixels has no outputs, which is not an error.
        if axis.outputs < 1 and not (word == "same" and size == 0):
            spread = f" (reaching over {axis.reach} pixels, dilation {gap})" if gap > 1 else ""
            raise ValueError(
                f"the {window_name} is larger than the padded {form.noun}s along the {name}: "
                f"{taps}{spread} against {before} + {size} + {after} = {axis.padded}, "
                f"{axis.reach - axis.padded} too many; images.shape={images.shape}, "
                f"{window_name} {' x '.join(map(str, window))}"
            )
        axes.append(axis)
    return tuple(axes)


# ------------------------------------------------------------------------------- types

_INT64 = np.dtype(np.int64)
_UINT64 = np.dtype(np.uint64)
_FLOAT64 = np.dtype(np.float64)
_KINDS = {"b": 0, "i": 0, "u": 0, "f": 1, "c": 2}  # integers fit into floats, floats into complex


def _sums_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type that sums of this one are kept in: exact, or no coarser than float32."""
    if dtype.kind in "biu":
        return _UINT64 if dtype == _UINT64 else _INT64
    return np.result_type(dtype, np.float32)


def _result_dtype(value: object) -> np.dtype[Any]:
    try:
        dtype = np.dtype(value).newbyteorder("=")  # type: ignore[call-overload]
    except (TypeError, ValueError, SyntaxError):
        raise TypeError(f"dtype must be a NumPy dtype; got {value!r}") from None
    if dtype.kind not in "iufc" or dtype.isbuiltin == 2:
        instead = ": convert the result, as in result.astype(dtype)" if dtype.isbuiltin == 2 else ""
        raise TypeError(
            f"dtype must be an integer, floating or complex type of NumPy's; got {dtype}{instead}"
        )
    return dtype  # type: ignore[no-any-return]


def _convolve_dtypes(
    images: np.dtype[Any],
    kernels: np.dtype[Any],
    result: np.dtype[Any] | None,
    overflow: str,
    *,
    divided: bool,
) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The types of a convolution's sums and of its result, which may be divided by weights."""
    integers = images.kind in "biu" and kernels.kind in "biu"
    natural = np.result_type(images, kernels).newbyteorder("=")
    if integers:  # uint64 and a signed type make a float64 in NumPy, but int64 here
        natural = _sums_of(natural) if natural.kind in "biu" else _INT64
    sums = _sums_of(natural)
    natural = _FLOAT64 if divided and integers else natural
    if result is None:
        return sums, natural
    if overflow == "saturate":
        return sums, _saturating(natural, result)
    if _KINDS[result.kind] < _KINDS[natural.kind]:
        raise ValueError(
            f"dtype={result} cannot hold the {natural} result of {images} * {kernels}; use a "
            f"{'complex' if natural.kind == 'c' else 'floating'} dtype, or integer arrays"
            f"{_or_saturate(natural, result)}"
        )
    if integers:  # They are summed exactly, in 64 bits or in a float that holds as much.
        return result if result.kind in "fc" and np.finfo(result).nmant >= 63 else sums, result
    return np.result_type(sums, result), result


def _saturating(natural: np.dtype[Any], result: np.dtype[Any]) -> np.dtype[Any]:
    """The type of a result that is rounded and clipped: an integer type, for real numbers."""
    if result.kind not in "iu":
        raise ValueError(
            f"overflow='saturate' needs an integer dtype to round and clip to; got dtype={result}"
        )
    if natural.kind == "c":
        raise ValueError(
            f"overflow='saturate' rounds real numbers, and the result is {natural}; use the real "
            "and the imaginary part of the images by themselves"
        )
    return result


def _or_saturate(natural: np.dtype[Any], result: np.dtype[Any]) -> str:
    """The other way to get this type, where there is one."""
    if natural.kind == "c" or result.kind not in "iu":
        return ""
    return ", or overflow='saturate' to round and clip"


def check_sums_fit(
    problem: Problem, kernels: Array, name: str = "images", repeats: int = 1
) -> None:
    """Refuse integer kernels whose largest possible sums the result's type cannot hold exactly.

    Sums of 64-bit images are kept in 64 bits, wrapping as NumPy's do, and are not checked. Messages
    call the images by `name`; a result may be the sum of as many sums as `repeats`. Where sums are
    divided by weights, kernels that sum to 0 are refused as well.
    """
    if problem.renormalize:
        _check_weights(problem, kernels)
    if is_checked(problem):
        sums = _sums_by_sign(problem.full_kernels(kernels))  # of each kernel
        _check_sums(problem, sums, f"{name} and these kernels", "kernels", repeats)


def _check_weights(problem: Problem, kernels: Array) -> None:
    """Refuse kernels that sum to 0, up to rounding: they have no weights to divide by."""
    kernels = problem.full_kernels(kernels)
    total, size = (
        sum(convert(part.astype(np.result_type(part, np.float64))).sum(axis=0) for part in parts)
        for convert, parts in ((np.asarray, kernel_parts(kernels)), (np.abs, kernel_parts(kernels)))
    )
    if kernels.size and np.any(np.abs(total) <= 1e-6 * size):
        raise ValueError(
            "renormalize=True divides by the sum of a kernel's numbers, and one of these kernels "
            "sums to 0; leave renormalize out, or use kernels that smooth"
        )


def check_gradient_fits(problem: Problem, outputs: Array) -> None:
    """Refuse integer outputs that can make a gradient by the kernels that its type cannot hold."""
    if not is_checked(problem):
        return
    sums: list[tuple[int, int]] = [(0, 0)] * problem.output_channels
    for image in problem.full_output(outputs):  # (*outputs, n)
        more = _sums_by_sign(image.reshape(1, -1, image.shape[-1]))
        sums = [(a + c, b + d) for (a, b), (c, d) in zip(sums, more, strict=True)]
    _check_sums(problem, sums, "images and these outputs", "outputs", 1)


def is_checked(problem: Problem) -> bool:
    """Whether sums are of integers, of types so small that they are kept exact."""
    images, kernels, result = problem.images.dtype, problem.kernels, _holding(problem)
    if images.kind not in "biu" or (kernels is not None and kernels.dtype.kind not in "biu"):
        return False
    return not (images.itemsize == 8 and result in (problem.sum_dtype, _INT64))


def _holding(problem: Problem) -> np.dtype[Any]:
    """The type that must hold every sum: the result's, unless sums are clipped or divided."""
    return problem.sum_dtype if _is_rounded(problem) else problem.output_dtype


def _is_rounded(problem: Problem) -> bool:
    """Whether results are no longer the exact sums of integers."""
    return problem.overflow == "saturate" or problem.renormalize


def _check_sums(
    problem: Problem, sums: list[tuple[int, int]], names: str, instead: str, repeats: int
) -> None:
    """Refuse sums of images times numbers, whose sums by sign these are, that may not fit."""
    images, result = problem.images.dtype, _holding(problem)
    low, high = (0, 1) if images.kind == "b" else (np.iinfo(images).min, np.iinfo(images).max)
    least = repeats * min((above * low + below * high for above, below in sums), default=0)
    largest = repeats * max((above * high + below * low for above, below in sums), default=0)
    if result.kind in "iu":
        smallest_held, largest_held = int(np.iinfo(result).min), int(np.iinfo(result).max)
    else:  # only up to 2 ** (bits of the mantissa) has every integer a float of its own
        largest_held = 2 ** (np.finfo(result).nmant + 1)
        smallest_held = -largest_held
    if least < smallest_held or largest > largest_held:
        named = f"{result}, in which sums are taken," if _is_rounded(problem) else f"dtype={result}"
        raise ValueError(
            f"{named} cannot hold every result exactly: {images} {names} "
            f"can give {least} to {largest}; use {'' if result == _INT64 else 'a wider dtype, or '}"
            f"floating-point {instead}{'' if result == _INT64 else _or_saturate(result, result)}"
        )


def _sums_by_sign(kernels: Array) -> list[tuple[int, int]]:
    """For each kernel, the exact sums of its positive and of its negative integers."""
    count = kernels.shape[-1]
    above, below = [0] * count, [0] * count
    for part in kernel_parts(kernels):  # (…, nc)
        numbers = part if part.dtype == np.uint64 else part.astype(np.int64)
        halves = (numbers >> 32, 32), (numbers & 0xFFFFFFFF, 0)  # int64 can hold their sums
        for sums, chosen in ((above, numbers > 0), (below, numbers < 0)):
            for half, shift in halves:
                totals = half.sum(axis=0, dtype=np.int64, where=chosen).tolist()
                sums[:] = [
                    sum_ + (total << shift) for sum_, total in zip(sums, totals, strict=True)
                ]
    return list(zip(above, below, strict=True))


def _check_median(images: np.dtype[Any], axes: tuple[Axis, ...], where: str) -> None:
    """Refuse medians that are no number under the window, since results have the images' type."""
    if images.kind == "c":
        raise ValueError(
            f"mode='median' needs numbers that have an order; got images of {images}: take the "
            "median of images.real and of images.imag"
        )
    if where != "all":
        raise ValueError(
            "mode='median' takes every pixel, so that a window has a number in the middle; got "
            "where=…: fill the pixels that take no part, or use mode='avg'"
        )
    window = tuple(axis.window for axis in axes)
    if prod(window) % 2 == 0:
        raise ValueError(
            "mode='median' needs an odd number of pixels under the window, one of which lies in "
            f"the middle; got a window of {' x '.join(map(str, window))}: make each side odd"
        )
    if any(axis.border.mode == "nothing" and len(axis.inside) < axis.outputs for axis in axes):
        raise ValueError(
            "mode='median' needs windows whose cells all count, and padding holds nothing by "
            "default; give pad_mode, as in pad_mode='edge', or use padding='valid' and "
            "partial=False"
        )


def _pool_dtypes(
    images: np.dtype[Any], mode: str, result: np.dtype[Any] | None, overflow: str
) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The types of a pooling's sums, or of its choice so far, and of its result."""
    images = images.newbyteorder("=")
    if mode in ("max", "min", "median"):
        if result not in (None, images):
            raise ValueError(
                f"mode={mode!r} keeps the images' type, {images}; got dtype={result}: convert the "
                "result, as in result.astype(dtype)"
            )
        return images, images
    # int64 holds the sums of smaller integers exactly, but sums of 64-bit integers may not fit.
    mean = mode == "avg" and images.kind in "biu"
    sums = _FLOAT64 if mean and images.itemsize == 8 else _sums_of(images)
    natural = _FLOAT64 if mean else images if images.kind in "fc" else sums
    if result is None:
        return sums, natural
    if overflow == "saturate":
        return sums, _saturating(natural, result)
    if _KINDS[result.kind] < _KINDS[natural.kind]:
        raise ValueError(
            f"dtype={result} cannot hold the {natural} result of mode={mode!r} on {images} images; "
            f"use a {'complex' if natural.kind == 'c' else 'floating'} dtype"
            f"{_or_saturate(natural, result)}"
        )
    return np.result_type(sums, result) if images.kind in "fc" else sums, result
