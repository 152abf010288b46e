"""Random calls, and the geometries that the laws are tried on.

`random_convolution` and `random_pooling` make one call each from a NumPy generator, of every kind
there is; thousands of them are held against the oracle. The laws let Hypothesis draw sizes,
strides and paddings, which it can shrink, and fill their arrays from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from convlens.engines.library import load

# Every test of meaning is run with each engine by itself; what "auto" chooses of them is tested in
# test_plan.py. Types that the compiled engine does not take are computed by NumPy's alone.
built = pytest.mark.skipif(isinstance(load(), str), reason=f"no compiled engine: {load()}")
each_method = pytest.mark.parametrize("method", [pytest.param("compiled", marks=built), "numpy"])


def takes(method, *types):
    """Whether this engine takes arrays of these types: NumPy's takes all."""
    types = [np.dtype(each) for each in types]
    return method == "numpy" or not any(each.kind == "c" or each.itemsize > 8 for each in types)


law = settings(max_examples=100, deadline=None, derandomize=True)  # the same ones every time

PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")
POOL_MODES = ("max", "min", "avg", "sum")
INTEGERS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
FLOATS = ("f2", "f4", "f8", "g", "F", "D", "G")
TYPES = tuple(map(np.dtype, INTEGERS + FLOATS))
SHAPES = (  # every row of the table of shapes: axes of the images, axes of the kernels
    ("mhw", "yx"),
    ("mhwc", "yxc"),
    ("mhwc", "yxcn"),
    ("mhwc", "yx"),
    ("hw", "yx"),
    ("hwc", "yxc"),
    ("hwc", "yxcn"),
)


@dataclass
class Case:
    """The arguments of one call, without the method."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def types(self):
        """The types of the arrays, and of the result if one is asked for."""
        arrays = [np.asarray(a) for a in self.arguments if not isinstance(a, (int, tuple))]
        asked = [self.options["dtype"]] if "dtype" in self.options else []
        return [array.dtype for array in arrays] + asked

    def __str__(self):
        arrays = (np.asarray(a) for a in self.arguments if not isinstance(a, (int, tuple)))
        texts = [f"{array.shape} {array.dtype}" for array in arrays]
        rest = [str(a) for a in self.arguments if isinstance(a, (int, tuple))]
        return ", ".join(texts + rest + [f"{k}={v!r}" for k, v in self.options.items()])


# -------------------------------------------------------------------------- random calls


def random_convolution(rng):
    """One valid call of `convolve`, of a random kind."""
    axes_of_images, axes_of_kernels = SHAPES[rng.integers(len(SHAPES))]
    sizes = random_sizes(rng)
    kh, kw, dilation, stride, padding = random_window(rng, (sizes["h"], sizes["w"]))
    groups, channels, kernels_each = (int(n) for n in rng.integers(1, 4, 3))
    if axes_of_kernels != "yxcn":
        groups = 1
    sizes |= {"y": kh, "x": kw, "n": groups * kernels_each}
    image_shape = [groups * channels if a == "c" else sizes[a] for a in axes_of_images]
    kernel_shape = [channels if a == "c" else sizes[a] for a in axes_of_kernels]

    types = TYPES[rng.integers(len(TYPES))], TYPES[rng.integers(len(TYPES))]
    natural = np.result_type(*types)
    images = random_numbers(rng, image_shape, types[0], small=natural == np.float16)
    # Sums of images of 32 bits or fewer must fit into int64; larger ones wrap.
    wide_images = types[0].itemsize == 8 and types[0].kind in "iu"
    small = natural == np.float16 or not wide_images
    kernels = random_numbers(rng, kernel_shape, types[1], small=small)
    options = {
        "padding": padding,
        "stride": stride,
        "dilation": dilation,
        "groups": groups,
        "pad_mode": PAD_MODES[rng.integers(len(PAD_MODES))],
    }
    defaults = {"padding": "same", "stride": 1, "dilation": 1, "groups": 1, "pad_mode": "constant"}
    integers = types[0].kind in "biu" and types[1].kind in "biu"
    if not integers and rng.random() < 0.2:
        at_least = "F" if natural.kind == "c" else "f4"
        options["dtype"] = np.dtype(FLOATS[rng.integers(FLOATS.index(at_least), len(FLOATS))])
    return Case(
        (as_list(rng, images), as_list(rng, kernels)), without_defaults(rng, options, defaults)
    )


def random_pooling(rng):
    """One call of `pool`, of a random kind; some have windows that cover no pixel."""
    axes = ("mhwc", "mhw", "hw")[rng.integers(3)]
    sizes = random_sizes(rng) | {"c": int(rng.integers(1, 5))}
    mode = POOL_MODES[rng.integers(len(POOL_MODES))]
    kh, kw, dilation, stride, padding = random_window(rng, (sizes["h"], sizes["w"]))
    dtype = TYPES[rng.integers(len(TYPES))]
    small = dtype == np.float16 or (mode == "avg" and dtype.itemsize == 8)
    images = random_numbers(rng, [sizes[a] for a in axes], dtype, small=small)
    options = {
        "stride": stride,
        "mode": mode,
        "padding": padding,
        "dilation": dilation,
        "count_padding": bool(rng.integers(2)),
        "partial": bool(rng.integers(2)),
    }
    defaults = {
        "stride": None,
        "mode": "max",
        "padding": "valid",
        "dilation": 1,
        "count_padding": False,
        "partial": False,
    }
    if rng.random() < 0.2:
        options["stride"] = None
    window = kh if kh == kw and rng.random() < 0.5 else (kh, kw)
    return Case((as_list(rng, images), window), without_defaults(rng, options, defaults))


def random_sizes(rng):
    """Sizes of small images; a few have a single pixel, and a few batches are empty."""
    m = int(rng.integers(1, 4)) if rng.random() < 0.95 else 0
    h, w = (int(n) for n in (rng.integers(1, 9, 2) if rng.random() < 0.95 else (1, 1)))
    return {"m": m, "h": h, "w": w}


def random_window(rng, sizes, most=4, gap=3):
    """(kh, kw, dilation, stride, padding) such that at least one window fits."""
    while True:
        window = [int(n) for n in rng.integers(1, most + 1, 2)]
        dilation = int_or_pair(rng, 1, gap + 1)
        padding = random_padding(rng)
        gaps = (dilation, dilation) if isinstance(dilation, int) else dilation
        reaches = [(n - 1) * gap + 1 for n, gap in zip(window, gaps, strict=True)]
        if all(
            size + fewest_cells(padding, axis) >= reach
            for axis, (size, reach) in enumerate(zip(sizes, reaches, strict=True))
        ):
            return *window, dilation, int_or_pair(rng, 1, 5), padding


def random_padding(rng):
    """A word, a number, a pair or a pair of pairs, up to more cells than the image has pixels."""
    form = rng.integers(6)
    if form < 3:
        return ("valid", "same", "full")[form]
    if form == 3:
        return int(rng.integers(0, 10))
    most = 10 if rng.random() < 0.5 else 3
    cells = [int(n) for n in rng.integers(0, most, 4)]
    return (cells[0], cells[1]) if form == 4 else ((cells[0], cells[1]), (cells[2], cells[3]))


def fewest_cells(padding, axis):
    """How many cells of padding an axis has at least; "same" and "full" always add enough."""
    if isinstance(padding, str):
        return 0 if padding == "valid" else 1000
    if isinstance(padding, int):
        return 2 * padding
    side = padding[axis]
    return 2 * side if isinstance(side, int) else sum(side)


def int_or_pair(rng, low, high):
    """An int for both axes or one for each, mostly the lowest."""
    numbers = [int(n) if rng.random() < 0.5 else low for n in rng.integers(low, high, 2)]
    return numbers[0] if rng.random() < 0.5 else tuple(numbers)


def random_numbers(rng, shape, dtype, *, small=False):
    """Integers from the whole range of their type or `small` ones; floats around 0, some 0."""
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = (limits.min, limits.max) if not small else (max(limits.min, -9), 9)
        return rng.integers(low, high, shape, dtype, endpoint=True)
    numbers = rng.standard_normal(shape)
    if dtype.kind == "c":
        numbers = numbers + 1j * rng.standard_normal(shape)
    numbers = numbers.astype(dtype)
    numbers[rng.random(shape) < 0.1] = 0.0
    numbers[rng.random(shape) < 0.1] *= -0.0
    return numbers


def as_list(rng, array):
    """The array, or sometimes the same numbers in nested lists, where these give that type."""
    plain = array.size and array.dtype in map(np.dtype, (bool, np.int64, np.float64, complex))
    return array.tolist() if plain and rng.random() < 0.3 else array


def without_defaults(rng, options, defaults):
    """The options, of which some that have the default's value are left out."""
    return {
        name: value
        for name, value in options.items()
        if value != defaults.get(name, ...) or rng.random() < 0.5
    }


# ------------------------------------------------------------------------------ for laws


def whole_numbers(seed, *shape):
    """Integers from -9 to 9, the same for the same seed and shape."""
    return np.random.default_rng([seed, *shape]).integers(-9, 9, shape, endpoint=True)


seeds = st.integers(0, 999)
sizes = st.integers(1, 7)  # of images
windows = st.tuples(st.integers(1, 4), st.integers(1, 4))
steps = st.tuples(st.integers(1, 3), st.integers(1, 3))  # strides, dilations
cells = st.tuples(st.integers(0, 9), st.integers(0, 9))  # of padding: before, after
pad_modes = st.sampled_from(PAD_MODES)
pool_modes = st.sampled_from(POOL_MODES)
