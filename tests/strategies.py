"""Random calls, and the geometries that the laws are tried on.

`random_convolution` and `random_pooling` make one call each from a NumPy generator, of every kind
there is; thousands of them are held against the oracle. The laws let Hypothesis draw sizes,
strides and paddings, which it can shrink, and fill their arrays from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from convlens.compiled.library import load
from convlens.methods import METHODS

# Every test of meaning is run with each engine by itself; what "auto" chooses of them is tested in
# test_plan.py. Types that the compiled engine does not take are computed by NumPy's alone.
built = pytest.mark.skipif(isinstance(load(), str), reason=f"no compiled engine: {load()}")
each_method = pytest.mark.parametrize(
    "method", [pytest.param(name, marks=built if name == "compiled" else ()) for name in METHODS]
)


def takes(method, *types):
    """Whether this engine takes arrays of these types: NumPy's takes all."""
    types = [np.dtype(each) for each in types]
    return method == "numpy" or not any(each.kind == "c" or each.itemsize > 8 for each in types)


law = settings(max_examples=80, deadline=None, derandomize=True)  # the same ones every time

PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")
POOL_MODES = ("max", "min", "avg", "sum")
INTEGERS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
FLOATS = ("f2", "f4", "f8", "g", "F", "D", "G")
TYPES = tuple(map(np.dtype, INTEGERS + FLOATS))
SPACES = (1, 2, 3)  # numbers of spatial axes
IMAGE_AXES, KERNEL_AXES = {1: "w", 2: "hw", 3: "dhw"}, {1: "x", 2: "yx", 3: "zyx"}
SHAPES = (  # every row of the table of shapes: axes of the images, axes of the kernels
    ("mhw", "yx"),
    ("mhwc", "yxc"),
    ("mhwc", "yxcn"),
    ("mhwc", "yx"),
    ("hw", "yx"),
    ("hwc", "yxc"),
    ("hwc", "yxcn"),
)


def in_space(axes, space):
    """The axes of an image or a kernel with so many spatial ones, for those with two."""
    return axes.replace("hw", IMAGE_AXES[space]).replace("yx", KERNEL_AXES[space])


@dataclass
class Case:
    """The arguments of one call, without the method."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def space(self):
        """The number of spatial axes."""
        return self.options.get("space", 2)

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


def random_convolution(rng, spaces=(1, 2, 2, 2, 3)):
    """One valid call of `convolve`, of a random kind, with one of these numbers of axes."""
    space = spaces[rng.integers(len(spaces))]
    shapes = SHAPES[rng.integers(len(SHAPES))]
    axes_of_images, axes_of_kernels = (in_space(axes, space) for axes in shapes)
    size = random_size(rng, space)
    *window, dilation, stride, padding = random_window(rng, size, most=3 if space == 3 else 4)
    groups, channels, kernels_each = (int(n) for n in rng.integers(1, 4, 3))
    if "n" not in axes_of_kernels:
        groups = 1
    sizes = dict(zip(IMAGE_AXES[space] + KERNEL_AXES[space], (*size, *window), strict=True))
    sizes |= {"m": random_batch(rng), "n": groups * kernels_each}
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
        "space": space,
        **random_border(rng, PAD_MODES, types[0], small=natural == np.float16),
    }
    defaults = {"padding": "same", "stride": 1, "dilation": 1, "groups": 1, "pad_mode": "constant"}
    defaults["renormalize"] = False
    integers = types[0].kind in "biu" and types[1].kind in "biu"
    if not integers and rng.random() < 0.2:
        at_least = "F" if natural.kind == "c" else "f4"
        options["dtype"] = np.dtype(FLOATS[rng.integers(FLOATS.index(at_least), len(FLOATS))])
    elif natural.kind != "c" and rng.random() < 0.2:
        options |= random_saturation(rng)
    if rng.random() < 0.2:
        images = with_nan_and_inf(rng, images)
        options |= {"where": "finite", "renormalize": weighs(kernels) and rng.random() < 0.7}
        if options["renormalize"] and integers:
            options.pop("dtype", None)
            options.pop("overflow", None)
    return Case(
        (as_list(rng, images), as_list(rng, kernels)),
        without_defaults(rng, options, defaults | {"space": 2}),
    )


def random_pooling(rng, spaces=(1, 2, 2, 2, 3)):
    """One call of `pool`, of a random kind; some have windows that cover no pixel."""
    space = spaces[rng.integers(len(spaces))]
    axes = in_space(("mhwc", "mhw", "hw")[rng.integers(3)], space)
    size = random_size(rng, space)
    sizes = dict(zip(IMAGE_AXES[space], size, strict=True))
    sizes |= {"m": random_batch(rng), "c": int(rng.integers(1, 5))}
    mode = POOL_MODES[rng.integers(len(POOL_MODES))]
    *window, dilation, stride, padding = random_window(rng, size, most=3 if space == 3 else 4)
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
        "space": space,
    }
    defaults = {
        "stride": None,
        "mode": "max",
        "padding": "valid",
        "dilation": 1,
        "pad_mode": None,
        "count_padding": False,
        "partial": False,
        "space": 2,
    }
    if rng.random() < 0.2:
        options["stride"] = None
    if rng.random() < 0.4:  # cells of padding count like pixels
        options |= random_border(rng, PAD_MODES, dtype, small=small) | {"partial": False}
    if mode in ("avg", "sum") and dtype.kind != "c" and rng.random() < 0.2:
        options |= random_saturation(rng)
    if rng.random() < 0.2:
        images, options["where"] = with_nan_and_inf(rng, images), "finite"
    same = len(set(window)) == 1 and rng.random() < 0.5
    return Case(
        (as_list(rng, images), window[0] if same else tuple(window)),
        without_defaults(rng, options, defaults),
    )


def with_nan_and_inf(rng, images):
    """Images of floats with NaN and inf in up to half of the places; others as they are."""
    if images.dtype.kind in "fc":
        share = rng.random() / 6
        for special in (np.nan, np.inf, -np.inf):
            images[rng.random(images.shape) < share] = special
    return images


def weighs(kernels):
    """Whether none of these kernels, which may be nested lists, sums to about 0."""
    kernels = np.asarray(kernels).astype(complex)
    last = kernels.reshape(-1, kernels.shape[-1])
    return bool(min(abs(kernels.sum()), *abs(last.sum(0))) > 1e-3 * abs(kernels).sum())


def random_saturation(rng):
    """An integer type that results are rounded and clipped into, mostly a small one."""
    dtype = np.dtype(INTEGERS[1:][rng.integers(len(INTEGERS) - 1)])
    return {"dtype": np.dtype("u1") if rng.random() < 0.5 else dtype, "overflow": "saturate"}


def random_size(rng, space):
    """Sizes of a small image; a few have a single pixel."""
    most = {1: 20, 2: 8, 3: 5}[space]
    return tuple(
        int(n) for n in (rng.integers(1, most + 1, space) if rng.random() < 0.95 else [1] * space)
    )


def random_batch(rng):
    """The number of images of a small batch; a few are empty."""
    return int(rng.integers(1, 4)) if rng.random() < 0.95 else 0


def random_window(rng, sizes, most=4, gap=3):
    """(*window, dilation, stride, padding) such that at least one window fits."""
    space = len(sizes)
    while True:
        window = [int(n) for n in rng.integers(1, most + 1, space)]
        dilation = int_or_each(rng, 1, gap + 1, space)
        padding = random_padding(rng, space)
        gaps = (dilation,) * space if isinstance(dilation, int) else dilation
        reaches = [(n - 1) * gap + 1 for n, gap in zip(window, gaps, strict=True)]
        if all(
            size + fewest_cells(padding, axis, space) >= reach
            for axis, (size, reach) in enumerate(zip(sizes, reaches, strict=True))
        ):
            return *window, dilation, int_or_each(rng, 1, 5, space), padding


def random_padding(rng, space=2):
    """A word or numbers in any form, up to more cells than the image has pixels."""
    form = rng.integers(6)
    if form < 3:
        return ("valid", "same", "full")[form]
    many = 4 if space == 3 else 10  # a volume would become large with many cells around it
    if form == 3:
        return int(rng.integers(0, many))
    most = many if rng.random() < 0.5 else 3
    cells = [int(n) for n in rng.integers(0, most, 2 * space)]
    if form == 4:
        return tuple(cells[:space])
    pairs = tuple(zip(cells[::2], cells[1::2], strict=True))
    return pairs[0] if space == 1 and rng.random() < 0.5 else pairs


def fewest_cells(padding, axis, space):
    """How many cells of padding an axis has at least; "same" and "full" always add enough."""
    if isinstance(padding, str):
        return 0 if padding == "valid" else 1000
    if isinstance(padding, int):
        return 2 * padding
    side = padding if space == 1 and len(padding) == 2 else padding[axis]
    return 2 * side if isinstance(side, int) else sum(side)


def int_or_each(rng, low, high, space):
    """An int for all axes or one for each, mostly the lowest."""
    numbers = [int(n) if rng.random() < 0.5 else low for n in rng.integers(low, high, space)]
    return numbers[0] if rng.random() < 0.5 else tuple(numbers)


def random_border(rng, modes, dtype, *, small):
    """What the padding of images of this type holds: `pad_mode`, and for some a `pad_value`."""
    mode = modes[rng.integers(len(modes))]
    if mode != "constant" or rng.random() < 0.5:
        return {"pad_mode": mode}
    value = random_numbers(rng, (1,), dtype, small=small)[0]
    return {"pad_mode": mode, "pad_value": value if rng.random() < 0.5 else value.item()}


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


class Grid(NamedTuple):
    """The sizes of an image, and how a window slides over it: a number for each axis.

    `cells` are numbers of cells of padding: (before, after).
    """

    space: int
    size: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    cells: tuple[tuple[int, int], ...]

    @property
    def reach(self):
        """How many pixels the window spans along each axis."""
        return tuple((n - 1) * d + 1 for n, d in zip(self.window, self.dilation, strict=True))

    @property
    def padding(self):
        """The cells, and as many more that there is room for the window."""
        pairs = zip(self.cells, self.reach, strict=True)
        return tuple((before + reach, after + reach) for (before, after), reach in pairs)


def a_grid(space):
    """A strategy for grids with so many axes; the more axes there are, the shorter they are."""
    size, window, step, cells = {1: (20, 6, 4, 20), 2: (7, 4, 3, 9), 3: (4, 3, 2, 3)}[space]
    each = (
        *(st.integers(1, most) for most in (size, window, step, step)),
        st.tuples(*[st.integers(0, cells)] * 2),
    )
    return st.builds(Grid, st.just(space), *(st.tuples(*[numbers] * space) for numbers in each))


def whole_numbers(seed, *shape):
    """Integers from -9 to 9, the same for the same seed and shape."""
    return np.random.default_rng([seed, *shape]).integers(-9, 9, shape, endpoint=True)


grids = st.sampled_from((2, 1, 2, 3)).flatmap(a_grid)
seeds = st.integers(0, 999)
windows = st.tuples(st.integers(1, 4), st.integers(1, 4))
steps = st.tuples(st.integers(1, 3), st.integers(1, 3))  # strides, dilations
pad_modes = st.sampled_from(PAD_MODES)
pool_modes = st.sampled_from(POOL_MODES)
