"""What was probably meant: the ends of the sentences that refuse a call.

Nothing here decides whether a call is right; `arguments` does. Each function gives a text to put
after a refusal, which is empty where there is nothing to suggest.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from os import PathLike, fspath
from typing import Any

import numpy as np

_FILTERS = "convlens.filters"
Words = Mapping[str, tuple[str, ...]]  # of each argument, the words it takes

# Words of other libraries, and of everyday speech, for the words taken here.
_SYNONYMS = {
    **dict.fromkeys(("mean", "average"), "avg"),
    **dict.fromkeys(("total", "add"), "sum"),
    **dict.fromkeys(("maximum", "amax"), "max"),
    **dict.fromkeys(("minimum", "amin"), "min"),
    **dict.fromkeys(("middle", "med"), "median"),
    **dict.fromkeys(("zeros", "zero", "fill"), "constant"),
    **dict.fromkeys(("replicate", "nearest"), "edge"),
    "mirror": "reflect",
    "symm": "symmetric",
    **dict.fromkeys(("circular", "periodic"), "wrap"),
}

# Arguments of other libraries, and of their older versions, for the arguments here.
_ARGUMENTS = {
    "images": ("image", "img", "input", "inputs", "x", "a", "data", "src", "in1"),
    "kernels": ("kernel", "filter", "filters", "weight", "weights", "in2"),
    "kernel_shape": (
        *("kernel_size", "pool_size", "block_size", "ksize", "size"),
        *("window", "window_shape", "window_size"),
    ),
    "stride": ("strides", "step", "steps", "window_strides"),
    "dilation": ("dilations", "dilation_rate", "rate", "rhs_dilation", "window_dilation"),
    "padding": ("pad", "pads", "pad_width", "auto_pad"),
    "pad_mode": ("padding_mode", "border_mode", "borderType", "border", "boundary", "mode"),
    "pad_value": ("cval", "fillvalue", "constant_values", "constant_value", "padding_value"),
    "space": ("ndim", "ndims", "dims", "dimensions", "spatial_dims"),
    "mode": ("func", "operation", "op", "reduction", "pool_mode"),
    "groups": ("group", "feature_group_count"),
    "dtype": ("ddepth",),
    "overflow": ("saturate", "casting", "clip"),
    "where": ("mask", "nan_treatment", "skipna"),
    "renormalize": ("normalize", "normalize_kernel"),
    "out": ("output", "dst"),
    "partial": ("ceil_mode",),
    "count_padding": ("count_include_pad",),
    "method": ("engine", "backend"),
}

# What does the work of arguments that have no counterpart here.
_INSTEAD = {
    **dict.fromkeys(
        ("axis", "axes"),
        "the window slides along every spatial axis, but not along one where its size is 1: (1, n) "
        "slides along the rows of images alone, (n, 1) along the columns",
    ),
    **dict.fromkeys(
        ("origin", "anchor"),
        "unequal padding shifts the window: padding=((top, bottom), (left, right)) for images, and "
        "so many pairs as there are spatial axes",
    ),
    **dict.fromkeys(
        ("data_format", "channels_first", "channel_axis"),
        "channels come last; np.moveaxis(images, 1, -1) puts them there",
    ),
    "bias": "add it to the result",
    "delta": "add it to the result",
    "groups": "every channel is pooled by itself",
    "kernel_shape": "the kernels' own shape is the window's",
    "out": "a plan computes nothing: pass out when you call it, as in plan(images, out=out)",
}


def word(value: object, words: tuple[str, ...], elsewhere: Words) -> str:
    """The nearest of an argument's words, or else the argument `elsewhere` that the word is of.

    Examples
    --------
    >>> word("mean", ("max", "avg"), {})
    ": did you mean 'avg'?"
    >>> word("same", ("max", "avg"), {"padding": ("valid", "same")})
    ": did you mean padding='same'?"
    """
    meant = _meant(value, {"": words, **elsewhere})
    return f": did you mean {meant}?" if meant else ""


def _meant(value: object, arguments: Words) -> str:
    """``argument='word'`` for the argument that has the word nearest to the value, if any is near.

    The argument without a name is the one that the value was given for.
    """
    if callable(value):  # as NumPy's mean and max are given to libraries that reduce by functions
        value = getattr(value, "__name__", None)
    if not isinstance(value, str):
        return ""
    for cutoff in (1.0, 0.7):  # an exact word of another argument beats a likeness to this one's
        for name, words in arguments.items():
            if (close := _closest(value, words, cutoff)) is not None:
                return f"{name}={close!r}" if name else repr(close)
    return ""


def _closest(value: str, words: Collection[str], cutoff: float) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415  # slow to import, seldom needed

    spelt = value.lower()
    close = get_close_matches(_SYNONYMS.get(spelt, spelt), words, n=1, cutoff=cutoff)
    return close[0] if close else None


def keyword(name: str, value: object, parameters: Collection[str], words: Words) -> str:
    """What to write for a keyword that a function does not have.

    Examples
    --------
    >>> keyword("kernel_size", 3, ["images", "kernel_shape", "stride"], {})
    'did you mean kernel_shape=?'
    >>> keyword("mode", "same", ["images", "padding"], {"padding": ("valid", "same")})
    "did you mean padding='same'?"
    """
    if name in ("mode", "border_mode") and (meant := _meant(value, words)):
        # scipy.ndimage calls the two mirror images by other names than numpy.pad.
        note = " (SciPy's mode='reflect' is pad_mode='symmetric')" if value == "reflect" else ""
        return f"did you mean {meant}{note}?"
    if name == "output" and not isinstance(value, np.ndarray) and "dtype" in parameters:
        return "did you mean dtype=?"
    for ours, theirs in _ARGUMENTS.items():
        if name in theirs:
            name = ours
            break
    if name in parameters:
        return f"did you mean {name}=?"
    if name in _INSTEAD:
        return _INSTEAD[name]
    close = _closest(name, parameters, 0.7)
    return f"did you mean {close}=?" if close else f"there are {', '.join(parameters)}"


def no_array(name: str, value: object) -> str:
    """How to make an array of a thing that is none: a file's path, or a filter that is not called.

    Examples
    --------
    >>> no_array("images", "scans.npy")
    ": read the file first, as in np.load('scans.npy')"
    """
    if callable(value) and getattr(value, "__module__", None) == _FILTERS:
        return f": call it, as in filters.{getattr(value, '__name__', '')}()"
    if not isinstance(value, (str, PathLike)):
        return ""
    path = str(fspath(value))
    filter_name = path.partition(":")[0].strip()
    # Not imported, because it imports `arguments`, which imports this module.
    filters = sys.modules.get(_FILTERS)
    if name == "kernels" and filter_name in getattr(filters, "__all__", ()):
        return f": did you mean filters.{filter_name}()?"
    if path.endswith(".npy"):
        return f": read the file first, as in np.load({path!r})"
    if isinstance(value, PathLike) or "." in path:
        return f": read the picture first, as in np.asarray(PIL.Image.open({path!r}))"
    return ""


def no_number(name: str, dtype: np.dtype[Any]) -> str:
    """How to make numbers of an array of another type.

    Examples
    --------
    >>> no_number("images", np.dtype("M8[s]"))
    ': convert it first, as in images.astype(np.int64)'
    """
    if dtype.names:
        return f": choose one of its fields, as in {name}[{dtype.names[0]!r}]"
    # Types that a package adds to NumPy, such as the bfloat16 and int4 of ml_dtypes, have numbers
    # but not NumPy's arithmetic; float32 holds all of ml_dtypes' real ones.
    added = "complex64" if "complex" in dtype.name else "float32"
    target = added if dtype.isbuiltin == 2 else {"M": "int64", "m": "int64"}.get(dtype.kind)
    target = target or (None if dtype.kind == "V" else "float64")
    return f": convert it first, as in {name}.astype(np.{target})" if target else ""


_KINDS = {1: "signals", 2: "images", 3: "volumes"}

_THIN = {  # how to write kernels that have fewer axes, by the number of spatial axes and of theirs
    (2, 1): "kernels[np.newaxis] is a kernel of one row, kernels[:, np.newaxis] of one column",
    (3, 1): "kernels[np.newaxis, np.newaxis] is a kernel along the width alone",
    (3, 2): "kernels[np.newaxis] is a kernel of one slab",
}


def ranks(
    space: int, images: tuple[int, ...], kernels: tuple[int, ...] | None, others: Sequence[int]
) -> str:
    """What is missing, where the numbers of axes are none of those taken.

    `others` are the numbers of spatial axes for which they would be taken, the likeliest first.

    Examples
    --------
    >>> ranks(2, (10000,), (5,), [1])
    ': did you mean space=1, for signals?'
    """
    meant = f"did you mean space={others[0]}, for {_KINDS[others[0]]}?" if others else ""
    thin = "" if kernels is None else _THIN.get((space, len(kernels)), "")
    if thin and len(images) >= space:
        return f": {meant} For {_KINDS[space]} {thin}" if meant else f": {thin}"
    if meant:
        return f": {meant}"
    if kernels is not None and len(images) == space < len(kernels) and kernels[space] == 1:
        return ": images[..., np.newaxis] has a channel"
    return ""


def count(given: int, space: int) -> str:
    """The number of spatial axes that so many numbers are for, if it is not the call's.

    Examples
    --------
    >>> count(3, 2)
    ': did you mean space=3?'
    """
    return f": did you mean space={given}?" if given in _KINDS and given != space else ""


def channels(space: int, images: tuple[int, ...], kernels: tuple[int, ...], groups: int) -> str:
    """Which of them have their channels first, where only that would make the channels agree.

    Images may be (m, c, h, w) or (c, h, w), and kernels (nc, c, kh, kw) or (c, kh, kw), as PyTorch
    has them; signals and volumes likewise.

    Examples
    --------
    >>> channels(2, (8, 3, 32, 32), (3, 3, 3, 16), 1)
    ': are the channels first? np.moveaxis(images, 1, -1) puts them last'
    """
    first = 1 if len(images) == space + 2 else 0
    many = len(kernels) == space + 2
    to_last = ", ".join(map(str, (*range(2, space + 2), 1, 0)))
    move_images = f"np.moveaxis(images, {first}, -1)"
    move_kernels = f"kernels.transpose({to_last})" if many else "np.moveaxis(kernels, 0, -1)"
    last_kernels = kernels[space], kernels[space + 1] if many else 1
    first_kernels = (kernels[1], kernels[0]) if many else (kernels[0], 1)
    for size, (depth, count), moves in (
        (images[first], last_kernels, move_images),
        (images[-1], first_kernels, move_kernels),
        (images[first], first_kernels, f"{move_images} and {move_kernels}"),
    ):
        # Kernels with the channels last often look like others with them first, so that windows
        # that are not square are not taken for a sign of it.
        square = "kernels" not in moves or len(set(kernels[-space:])) == 1
        # A size that the next axis has too is the height of a square picture.
        if "images" in moves and images[first] == images[first + 1]:
            continue
        if size == groups * depth and count % groups == 0 and square:
            put, unclear = "put" if " and " in moves else "puts", space == 1 and many
            # Those of signals have c in the middle, whether they are (kw, c, nc) or (nc, c, kw).
            both = f", and {move_kernels} those of kernels (nc, c, kw)"
            return f": are the channels first? {moves} {put} them last{both if unclear else ''}"
    return ""
