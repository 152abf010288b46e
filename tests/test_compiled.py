"""The compiled engine agrees with NumPy's, on every level of processor that this machine can run.

Integers, and the largest and smallest numbers, must be equal. Floats must be within
`oracle.rounding` of sums in long double, which allows every term to be rounded and any order of
additions.
"""

import ctypes
import mmap
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from itertools import product
from math import prod
from typing import Any

import numpy as np
import oracle
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from strategies import (
    FLOATS,
    INTEGERS,
    PAD_MODES,
    POOL_MODES,
    built,
    random_border,
    random_numbers,
    random_saturation,
    random_window,
    without_defaults,
)

import convlens
from convlens import ndimage, operations
from convlens.compiled import choice as choice_of
from convlens.compiled import (
    exchange,
    holes,
    kernel_gradient,
    lines,
    moving,
    transforms,
    winograd,
    work,
)
from convlens.compiled.library import Run, load
from convlens.compiled.variants import Variants
from convlens.core.rounding import saturated
from convlens.execute import files
from convlens.ndimage import (
    engine,
    extremes,
    maximum_filter,
    median_filter,
    minimum_filter,
    ordered,
)
from convlens.plan import execute_file

pytestmark = built

# Every type that the engine takes. uint8 and float32 are drawn more often, because they have the
# most pipelines.
TYPES = [np.dtype(name) for name in INTEGERS + FLOATS[:3] + 3 * ("u1", "f4")]
LIBRARY = load()
FUNCTIONS = {} if isinstance(LIBRARY, str) else {level: {} for level in LIBRARY.levels}


# --------------------------------------------------------------------------- random calls


@dataclass
class Case:
    """The arguments of a call, except for method and `out`."""

    verb: str
    arguments: list[Any]
    options: dict[str, Any]

    def run(self, method, **more):
        """The result of the call."""
        return getattr(convlens, self.verb)(*self.arguments, **self.options, **more, method=method)

    def plan(self):
        """The plan for the call."""
        plan = getattr(convlens, f"plan_{self.verb}")
        return plan(*self.arguments, **self.options, method="compiled")

    @cached_property
    def expected(self):
        """What NumPy's engine gives: the result, or the message if the call is refused."""
        return outcome(self, "numpy")

    @cached_property
    def exact(self):
        """The result of the call on long doubles, and that of the call on their sizes."""
        values = self._in_long_double(lambda numbers: numbers)
        with np.errstate(invalid="ignore"):
            return values, self._in_long_double(np.abs)

    def _in_long_double(self, change):
        """The result of the call on long doubles, each changed by this function."""
        arguments = [
            change(a.astype(np.longdouble)) if isinstance(a, np.ndarray) else a
            for a in self.arguments
        ]
        own = "dtype", "overflow"
        options = {name: value for name, value in self.options.items() if name not in own}
        if "pad_value" in options:
            options["pad_value"] = change(np.longdouble(options["pad_value"]))
        with np.errstate(invalid="ignore"):
            return getattr(convlens, self.verb)(*arguments, **options, method="numpy")

    def __str__(self):
        arrays = (a for a in self.arguments if isinstance(a, np.ndarray))
        texts = [f"{a.shape} {a.dtype} with strides {a.strides}" for a in arrays]
        rest = [str(a) for a in self.arguments if not isinstance(a, np.ndarray)]
        return ", ".join([self.verb, *texts, *rest, *(f"{k}={v}" for k, v in self.options.items())])


def random_case(rng, place):
    """A convolution or a pooling of arrays that `place` puts somewhere in memory."""
    return (random_convolution if rng.random() < 0.6 else random_pooling)(rng, place)


def random_convolution(rng, place):
    """A convolution with few channels or many, one kernel or many, small kernels or large ones."""
    kind = rng.choice(["gray", "summed", "bank", "grouped", "depthwise", "each"])
    m, size = int(rng.integers(1, 5)), random_size(rng)
    most, gap = (5 if rng.random() < 0.8 else 12), (3 if rng.random() < 0.8 else 20)
    *window, dilation, stride, padding = random_window(rng, size, most, gap)
    if rng.random() < 0.5:  # kernels as most are
        window = [int(rng.choice([2, 3, 3, 5]))] * len(size)
        dilation, padding = 1, "valid" if window[0] <= min(size) else "same"
        stride = 1 if rng.random() < 0.7 else 2
    c, nc, groups = (int(n) for n in rng.choice([1, 2, 3, 3, 3, 8, 17, 40], 3))
    groups = {"grouped": min(groups, 4), "depthwise": c}.get(kind, 1)
    c = c * groups if kind == "grouped" else c
    nc = c * (1 + nc % 2) if kind == "depthwise" else nc * groups
    image_shape = (m, *size) if kind == "gray" else (m, *size, c)
    more = {"gray": (), "each": (), "summed": (c,)}.get(kind, (c // groups, nc))
    kernel_shape = (*window, *more)

    images = TYPES[rng.integers(len(TYPES))]
    kernels = images if rng.random() < 0.4 else TYPES[rng.integers(len(TYPES))]
    integers = oracle.is_integer(images, kernels)
    natural = np.result_type(images, kernels)
    # Sums of 64-bit integers wrap as NumPy's do. Sums of others must fit, or the call is refused.
    small = natural == np.float16 or (integers and images.itemsize < 8)
    k = random_numbers(rng, kernel_shape, kernels, small=small)
    if not more and rng.random() < 0.5:  # a product of a line along each axis
        lines = (random_numbers(rng, n, kernels, small=True) for n in window)
        k = reduce(np.multiply.outer, lines).astype(kernels)
    options = {
        "padding": padding,
        "stride": stride,
        "dilation": dilation,
        "groups": groups,
        "space": len(size),
        **random_border(rng, PAD_MODES, images, small=small),
    }
    defaults = {"padding": "same", "stride": 1, "dilation": 1, "groups": 1, "pad_mode": "constant"}
    if rng.random() < 0.3:
        wide = natural in map(np.dtype, ("f4", "f8", "i8", "u8"))
        taken = ["f8"] if wide else ["i8", "f8", "f4"] if integers else ["f4", "f8"]
        options["dtype"] = np.dtype(rng.choice(taken))
    elif rng.random() < 0.3:
        options |= random_saturation(rng)
    x = with_nan_and_inf(rng, random_numbers(rng, image_shape, images, small=natural == np.float16))
    return Case(
        "convolve", [place(rng, x), place(rng, k)], without_defaults(rng, options, defaults)
    )


def random_pooling(rng, place):
    """A pooling with a small or large window, at any stride."""
    m, size = int(rng.integers(1, 5)), random_size(rng)
    most = 4 if rng.random() < 0.6 else 9 if len(size) == 3 else 30
    *window, dilation, stride, padding = random_window(rng, size, most)
    options = {
        "stride": None if rng.random() < 0.3 else stride,
        "mode": str(rng.choice(POOL_MODES)),
        "padding": padding,
        "dilation": dilation,
        "count_padding": bool(rng.integers(2)),
        "partial": bool(rng.integers(2)),
        "space": len(size),
    }
    if rng.random() < 0.3:  # windows as most are
        window = [2] * len(size)
        options |= {"stride": 2, "dilation": 1, "padding": "valid" if min(size) > 1 else "same"}
    dtype = TYPES[rng.integers(len(TYPES))]
    if rng.random() < 0.3:  # cells of padding count like pixels
        options |= random_border(rng, PAD_MODES, dtype, small=dtype == np.float16)
        options["partial"] = False
    if options["mode"] in ("avg", "sum") and rng.random() < 0.3:
        options |= random_saturation(rng)
    c = int(rng.choice([0, 1, 2, 3, 3, 3, 8, 17, 40]))
    x = random_numbers(rng, (m, *size, c) if c else (m, *size), dtype, small=dtype == np.float16)
    return Case("pool", [place(rng, with_nan_and_inf(rng, x)), tuple(window)], options)


def random_size(rng):
    """The sizes of a signal, an image or a volume; some images are thin."""
    space = rng.choice([1, 2, 2, 2, 3, 3])
    most = {1: (300,), 2: (24, 45), 3: (12, 12, 45)}[space]
    if space == 2 and rng.random() < 0.15:  # rows and columns may be exchanged
        return tuple(int(n) for n in rng.integers((30, 1), (200, 5)))
    return tuple(int(n) for n in rng.integers(1, most))


def with_nan_and_inf(rng, values):
    """The values, with NaN and inf at some places of some arrays of floats."""
    if values.dtype.kind == "f" and rng.random() < 0.2:
        values = values.copy()
        for special in (np.nan, np.inf, -np.inf):
            values[rng.random(values.shape) < 0.02] = special
    return values


# ------------------------------------------------------------------------ where arrays lie


def anywhere(rng, values):
    """A copy that may be sliced, reversed, in another order, unaligned or byte-swapped."""
    larger = [size * int(rng.integers(1, 3)) + int(rng.integers(0, 3)) for size in values.shape]
    order = rng.permutation(values.ndim) if rng.random() < 0.3 else np.arange(values.ndim)
    dtype = values.dtype.newbyteorder() if rng.random() < 0.2 else values.dtype
    shape = [larger[axis] for axis in order]
    offset = 1 if rng.random() < 0.1 else 0
    memory = np.full(int(np.prod(shape)) * dtype.itemsize + offset, 0xA5, np.uint8)
    view = memory[offset:].view(dtype).reshape(shape).transpose(np.argsort(order))
    for axis, size in enumerate(values.shape):
        step = int(rng.choice([1, view.shape[axis] // size if size else 1]))
        part = slice(None, size * step, step) if step else slice(0, 0)
        view = view[(slice(None),) * axis + (part,)]
        if rng.random() < 0.2:
            view = view[(slice(None),) * axis + (slice(None, None, -1),)]
    view[...] = values
    return view


PAGE = mmap.PAGESIZE


def fenced(rng, values):
    """A copy directly before or behind memory that ends the process if it is touched."""
    pages = -(-values.nbytes // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (0, pages + 1):
        address, size = ctypes.c_void_p(start + page * PAGE), ctypes.c_size_t(PAGE)
        assert ctypes.CDLL(None).mprotect(address, size, 0) == 0
    offset = (pages + 1) * PAGE - values.nbytes if rng.random() < 0.7 else PAGE
    view = np.ndarray(values.shape, values.dtype, memory, offset)
    view[...] = values
    return view


# ----------------------------------------------------------------------------- comparing


def outcome(case, method):
    """The result, or the message if the call is refused for its windows or its dtype."""
    try:
        return case.run(method)
    except ValueError as refusal:
        return str(refusal)


def check(case, rng, place):
    """Fail unless both engines agree; returns False if both refuse the call."""
    for values in case.arguments:
        if isinstance(values, np.ndarray):
            values.flags.writeable = False
    expected = case.expected
    if isinstance(expected, str):
        assert outcome(case, "compiled") == expected
        return False
    out = place(rng, np.zeros_like(expected))
    if not out.dtype.isnative:
        out = np.zeros_like(expected)
    memory = out if out.base is None or isinstance(out.base, mmap.mmap) else out.base
    before = memory.copy()
    assert case.run("compiled", out=out) is out
    compare(case, out, expected)
    out[...] = 0
    np.testing.assert_array_equal(memory, before)  # Nothing beside `out` was written.
    return True


def compare(case, result, expected):
    """Fail unless the results are equal or, for sums of floats, within the bound."""
    images, *rest = case.arguments
    kernels = rest[0] if case.verb == "convolve" else images
    natural, mode = np.result_type(images, kernels), case.options.get("mode", "max")
    chosen = case.verb == "pool" and mode in ("max", "min")
    of_floats = mode == "avg" and images.dtype.itemsize == 8  # even the mean of 64-bit integers
    if chosen or (oracle.is_integer(images.dtype, kernels.dtype) and not of_floats):
        np.testing.assert_array_equal(result, expected)
        return
    values, sizes = case.exact
    finite, clipped = np.isfinite(values), case.options.get("overflow") == "saturate"
    others = saturated(values[~finite].copy(), result.dtype) if clipped else values[~finite]
    np.testing.assert_array_equal(result[~finite], others.astype(result.dtype))
    banks = kernels.ndim == case.options.get("space", 2) + 2
    taps = kernels[..., 0].size if banks else kernels.size
    if case.verb == "pool":
        taps = prod(rest[0])
    sums = np.result_type(natural, *([] if clipped else [result]), np.float32)
    to = sums if clipped else result.dtype
    bounds = oracle.rounding(taps, sizes[finite], sums, values[finite], to) + clipped / 2
    if clipped:
        values = np.clip(values, np.iinfo(result.dtype).min, np.iinfo(result.dtype).max)
    errors = np.abs(result[finite].astype(values.dtype) - values[finite])
    worst = np.argmax(errors - bounds) if errors.size else 0
    assert (errors <= bounds).all(), (
        f"{result[finite][worst]} for {values[finite][worst]}, "
        f"off by {errors[worst]}, which may be {bounds[worst]}"
    )


def check_many(seed, count, place, levels=lambda: [LIBRARY.level]):
    """Check so many random calls, on each of these levels in turn."""
    number = 0
    while count:
        rng = np.random.default_rng([seed, number])
        case = random_case(rng, place)
        try:
            for _ in levels():
                done = check(case, rng, place)
        except (AssertionError, RuntimeError) as error:
            raise AssertionError(
                f"seed {[seed, number]}, {LIBRARY.level}: {case}: {error}"
            ) from None
        count -= done
        number += 1


@pytest.mark.parametrize("seed", range(8))
def test_random_calls(seed):
    """A random call of any type, options and layout gives another result than NumPy's engine."""
    check_many(seed, 250, anywhere)


# ----------------------------------------------------------- every pipeline, on every level


def every_kind():
    """Calls that together need every pipeline: (verb, shape, types, the rest, options)."""
    for types, dtype in (
        (("f4", "f4"), {}),
        (("f8", "f8"), {}),
        (("i8", "i8"), {}),
        (("u1", "i1"), {}),
        (("u1", "f4"), {}),
        (("i2", "u1"), {}),
        (("?", "f8"), {}),
        (("f2", "f2"), {}),
        (("u1", "i1"), {"dtype": "f4"}),
        (("u1", "?"), {"dtype": "u1", "overflow": "saturate"}),
        (("u1", "f4"), {"dtype": "u1", "overflow": "saturate"}),
    ):
        for channels in ((), (3,)):
            options = {"padding": "same", "stride": 1, **dtype}
            yield "convolve", (2, 3, 90, *channels), types, (1, 37), options
        for sides in ((3, 3), (5, 5), (1, 4), (4, 2), (9, 9)):
            for stride in (1, 2):
                for shape, rest, more in (
                    ((3, 17, 19), (), {}),
                    ((3, 17, 19, 3), (), {}),
                    ((3, 17, 19, 3), (3,), {}),
                    ((2, 17, 19, 5), (5,), {}),
                    ((3, 17, 19, 3), (3, 3), {}),
                    ((2, 17, 19, 4), (4, 2), {}),
                    ((2, 17, 19, 6), (3, 4), {"groups": 2}),
                    ((2, 17, 19, 6), (6, 8), {}),
                    ((2, 17, 19, 6), (6, 12), {}),
                    ((2, 7, 52, 5), (5, 33), {}),
                    ((2, 17, 19, 9), (1, 9), {"groups": 9}),
                    ((2, 17, 19, 21), (1, 21), {"groups": 21}),
                ):
                    if "overflow" in dtype and len(rest) > 1 and rest != (3, 3):
                        continue  # for which there are no pipelines of bytes
                    for padding in ("same", "valid"):
                        options = {"padding": padding, "stride": stride, **more, **dtype}
                        yield "convolve", shape, types, (*sides, *rest), options
    for types in (("f4", "f4"), ("f8", "f8"), ("u1", "i1")):  # a kernel for each of many channels
        for sides in ((3, 3), (7, 7)):
            for padding in ("same", "valid"):
                options = {"padding": padding, "stride": 1, "groups": 21}
                yield "convolve", (2, 10, 13, 21), types, (*sides, 1, 21), options
    for types, where in product((("f4", "?"), ("f8", "?")), ("finite", "given")):  # means
        for sides in ((3, 3), (5, 5), (1, 4), (9, 9)):
            for shape, stride in (((3, 17, 19), 1), ((2, 17, 19, 3), 2), ((2, 17, 39, 3), 1)):
                options = {"stride": stride, "where": where, "renormalize": True}
                yield "convolve", shape, types, sides, {"padding": "same", **options}
    for types in (("f4", "f4"), ("f8", "f8")):  # rows of each kind of tile
        for width, kernels in product((4, 5, 6, 7, 8, 10, 12), (7, 12, 20, 45)):
            options = {"padding": "valid", "stride": 1}
            for sides, channels in (((1, 1), 9), ((1, 1), 300), ((2, 1), 9), ((29, 1), 9)):
                shape, rest = (2, 31, width, channels), (*sides, channels, kernels)
                yield "convolve", shape, types, rest, options
            for sides in ((2, 2, 1), (4, 8, 1)):
                shape, rest = (2, 5, 9, width, 9), (*sides, 9, kernels)
                yield "convolve", shape, types, rest, {**options, "space": 3}
        for width, stride in ((23, 2), (29, (2, 3))):
            for channels, kernels in product((9, 300), (7, 20)):
                options = {"padding": "valid", "stride": stride}
                shape, rest = (2, 3, width, channels), (1, 1, channels, kernels)
                yield "convolve", shape, types, rest, options
    for types, dtype, kernels in product(  # many channels
        (("f4", "f4"), ("f8", "f8"), ("u1", "?")), ({}, {"dtype": "f4"}), (1, 2, 3, 7)
    ):
        for shape, sides in (
            ((2, 9, 11, 32), (3, 3)),
            ((2, 9, 11, 21), (3, 3)),
            ((1, 6, 7, 260), (3, 3)),
            ((1, 6, 7, 272), (3, 3)),
            ((2, 5, 6, 64), (1, 1)),
            ((1, 4, 5, 6, 32), (2, 2, 3)),
            ((1, 4, 5, 6, 21), (3, 3, 3)),
            ((1, 4, 5, 6, 96), (3, 3, 3)),
            ((1, 4, 5, 6, 102), (3, 3, 3)),
        ):
            for padding, stride in (("same", 1), ("valid", 2 if len(sides) < 3 else 1)):
                options = {"padding": padding, "stride": stride, "space": len(sides), **dtype}
                yield "convolve", shape, types, (*sides, shape[-1], kernels), options
    for types in (("f4", "f4"), ("u1", "i1")):  # taps far apart, on wide pixels
        options = {"padding": "valid", "dilation": (1, 19)}
        yield "convolve", (2, 9, 39, 16), types, (3, 3), options
    for types in (("f4", "f4"), ("f8", "f8"), ("u1", "f4"), ("f2", "f4")):  # long sums
        for stride in (1, 2):
            for shape, rest, more in (
                ((2, 21, 39), (17, 18), {}),
                ((1, 9, 390), (4, 301), {}),
                ((2, 3, 390), (1, 301), {}),
                ((2, 19, 39, 2), (17, 16, 2), {}),
                ((2, 19, 39, 5), (17, 18), {}),
                ((1, 7, 9, 400), (2, 3, 400, 8), {}),
                ((1, 7, 9, 400), (2, 3, 400, 12), {}),
                ((1, 7, 9, 140), (2, 3, 140, 19), {}),
                ((1, 7, 9, 280), (2, 3, 140, 20), {"groups": 2}),
                ((1, 7, 9, 130), (3, 3, 130, 40), {"dilation": (2, 1)}),
                ((1, 7, 19, 130), (3, 3, 130, 40), {"dilation": 3, "padding": "same"}),
                ((1, 21, 23, 21), (17, 16, 1, 21), {"groups": 21}),
            ):
                options = {"padding": "valid", "stride": stride, **more}
                yield "convolve", shape, types, rest, options
    for window in ((67, 3), (2, 130), (70, 70)):
        for channels in ((), (3,), (40,)):
            for dtype in ("f2", "f4", "f8"):
                options = {"stride": 71, "mode": "avg", "padding": (20, 30)}
                yield "pool", (2, 140, 141, *channels), (dtype,), window, options
    for mode in POOL_MODES:
        for dtype in ("?", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"):
            for channels in ((), (3,), (9,), (40,), (70,)):
                for window, stride in (
                    ((2, 2), 2),
                    ((2, 2), 1),
                    ((5, 5), 5),
                    ((3, 4), 2),
                    ((20, 20), 1),
                    *(((4, 5), 1) for _ in range(mode in ("max", "min"))),
                ):
                    width = 35 if sum(channels) > 3 else 135  # more than a vector of bytes
                    height = 70 if window == (20, 20) else 26  # so high that doubling pays
                    shape = (2, height, width, *channels)
                    options = {"stride": stride, "mode": mode}
                    yield "pool", shape, (dtype,), window, options
                    if dtype == "u1" and mode in ("avg", "sum") and channels not in ((9,), (70,)):
                        options = {**options, "dtype": dtype, "overflow": "saturate"}
                        yield "pool", shape, (dtype,), window, options
    yield from every_volume()
    # Windows of so many integers that float64 may not hold their sum exactly.
    for channels, stride in (((), (99, 1)), ((2,), (99, 2)), ((), 1)):
        options = {"stride": stride, "mode": "avg"}
        yield "pool", (1, 1450, 1452, *channels), ("i4",), (1449, 1450), options


def every_volume():
    """Calls that together need every pipeline for volumes."""
    for types, dtype in (
        (("f4", "f4"), {}),
        (("f8", "f8"), {}),
        (("i8", "i8"), {}),
        (("u1", "i1"), {}),
        (("u1", "f4"), {}),
        (("i2", "u1"), {}),
        (("u1", "i1"), {"dtype": "f4"}),
    ):
        for window in ((3, 3, 3), (2, 5, 4), (9, 9, 9)):
            for shape, rest, more in (
                ((2, 6, 7, 19), (), {}),
                ((1, 6, 7, 19, 3), (), {}),
                ((1, 5, 6, 19, 3), (3, 3), {"pad_mode": "reflect"}),
                ((1, 5, 6, 19, 6), (6, 8), {"pad_value": 3}),
                ((1, 4, 5, 12, 5), (5, 12), {}),
                ((1, 4, 5, 14, 5), (5, 12), {}),
                ((1, 4, 5, 12, 5), (5, 24), {}),
                ((1, 4, 5, 14, 5), (5, 24), {}),
                ((1, 4, 5, 14, 5), (5, 45), {}),
                ((1, 6, 7, 17, 21), (1, 21), {"groups": 21}),
            ):
                for steps in ({"padding": "same"}, {"padding": 2, "stride": (2, 1, 2)}):
                    options = {"stride": 1, "space": 3, **steps, **more, **dtype}
                    if window != (9, 9, 9) or not rest:
                        yield "convolve", shape, types, (*window, *rest), options
    for types in (("f4", "f4"), ("f8", "f8"), ("u1", "f4")):  # long sums
        for shape, rest, more in (
            ((9, 9, 39), (7, 8, 9), {}),
            ((1, 3, 4, 9, 140), (2, 2, 3, 140, 8), {}),
            ((1, 3, 4, 9, 140), (2, 2, 3, 140, 12), {}),
            ((1, 5, 4, 9, 130), (3, 3, 3, 130, 40), {"dilation": (2, 1, 1)}),
            ((1, 3, 3, 12, 130), (3, 3, 3, 130, 40), {"padding": "same"}),
            ((1, 3, 3, 12, 130), (3, 3, 3, 130, 60), {"padding": "same"}),
            ((1, 3, 4, 9, 140), (2, 2, 3, 140, 20), {}),
            ((1, 8, 9, 11, 21), (7, 8, 9, 1, 21), {"groups": 21}),
        ):
            options = {"padding": "valid", "stride": 1, "space": 3, **more}
            yield "convolve", shape, types, rest, options
    for mode in POOL_MODES:
        for dtype in ("?", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"):
            for channels in ((), (3,), (17,)):
                for window, stride in (((2, 2, 2), 2), ((3, 4, 3), 1), ((3, 20, 20), 1)):
                    height = 45 if window[1] == 20 else 7
                    options = {"stride": stride, "mode": mode, "space": 3, "padding": 1}
                    if stride == 1 and not channels:
                        options["pad_mode"] = "edge"
                    yield "pool", (1, 4, height, 37, *channels), (dtype,), window, options
        for dtype in ("u1", "f2", "f4"):
            options = {"stride": 2, "mode": mode, "space": 3}
            yield "pool", (2, 6, 5, 7, 70), (dtype,), (2, 2, 2), options
    for dtype in ("f2", "f4", "f8"):
        for channels in ((), (3,), (40,)):
            options = {"stride": 71, "mode": "avg", "space": 3}
            yield "pool", (2, 4, 140, 75, *channels), (dtype,), (3, 67, 3), options


def made(rng, verb, shape, types, rest, options):
    """The call with random numbers; kernels of 9 x 9 have rank 1 where the stride is 1."""
    images = random_numbers(rng, shape, np.dtype(types[0]), small=types[0] in ("f2", "i8", "u8"))
    if verb == "pool":
        return Case(verb, [fenced(rng, images), rest], options)
    if options.get("where") == "finite":
        images.flat[::7] = np.nan
    elif "where" in options:
        options = options | {"where": fenced(rng, rng.random(shape) < 0.8)}
    kernels = random_numbers(rng, rest, np.dtype(types[1]), small=True)
    if set(rest) == {9} and options["stride"] == 1:
        line = 1 + np.arange(9) % 2
        for axis in range(1, len(rest)):  # the product of a random line and others
            kernels[...] = kernels.take([0], axis) * line.reshape(
                -1, *(1,) * (len(rest) - 1 - axis)
            )
    return Case(verb, [fenced(rng, images), fenced(rng, kernels)], options)


def rounding(variant):
    """A name for the order of additions: pipelines with the same name must give the same bits."""
    if variant.family == "dense" and variant.requires["long"][0]:
        return "dense in blocks"  # Their blocks are cut from a row's taps and channels together.
    if "line" in variant.requires:
        return "line"
    if variant.family == "deep":
        return f"in parts {variant.requires['deep']}"
    return variant.family if variant.family in ("separable", "doubling") else "in order"


class Others(Variants):
    """All variants but those that were used."""

    def __init__(self, everything, used):
        left = [each for each in everything.by_name.values() if each not in used]
        self.by_name, self._by_types = {each.name: each for each in left}, {}
        for each in left:
            self._by_types.setdefault(each.types, []).append(each)


def check_ways(case):
    """Fail if bits depend on where an output lies, or on which pipeline computes it.

    The pipelines that the call would take are removed one by one, so that it takes the next one.
    Returns how many were tried.
    """
    library = load()
    everything, used, expected = library.variants, [], {}

    choice = work.choose

    def noting(*arguments):
        chosen = choice(*arguments)
        used.append(chosen.variant)
        return chosen

    work.choose = noting
    try:
        while True:
            forget()
            result = case.run("compiled")
            exact = case.verb == "pool" and case.options["mode"] in ("max", "min")
            way = "" if exact or result.dtype.kind != "f" else rounding(used[-1])
            if exact and used[-1].family == "tiles" and used[-1].types[2] == "f32":
                way = "in the order of integers"  # which tells 0 from -0, but not NaN from NaN
            if exact:
                np.testing.assert_array_equal(result, expected.setdefault("any", result))
            same = expected.setdefault(way, result)
            assert result.tobytes() == same.tobytes(), used
            part, there = lower_right(case, result.shape)
            assert part.run("compiled").tobytes() == result[there].tobytes(), used
            library.variants = Others(everything, used)
    except LookupError:  # No pipeline is left for the call.
        return len(used)
    except ValueError:  # a call that is refused
        assert not used
        return 0
    finally:
        library.variants = everything
        work.choose = choice
        forget()


def forget():
    """Make the next call choose its pipelines, though an equal one may have been before it."""
    operations.CALLS.cache_clear()
    work.REPEATS.cache_clear()
    work._prepared.cache_clear()


def lower_right(case, outputs):
    """The call for the outputs from row 3 and column 2 on, and the slices of those outputs."""
    images = case.options.get("space", 2) == 2 and case.options.get("padding") == "valid"
    if not images or min(outputs[1:3]) < 4:
        return case, ...
    stride = np.broadcast_to(case.options["stride"], 2)
    images = case.arguments[0][:, 3 * stride[0] :, 2 * stride[1] :]
    return Case(case.verb, [images, case.arguments[1]], case.options), np.s_[:, 3:, 2:]


def check_ordered(rng):
    """Fail if sums in a given order have other bits than NumPy's, one addition after another."""
    for shape, window in (
        ((40, 30), (5, 4)),
        ((300,), (9,)),
        ((7, 8, 300), (3, 1, 5)),
        ((1, 70), (1, 3)),
    ):
        cells = fenced(
            rng, rng.normal(size=[n + k - 1 for n, k in zip(shape, window, strict=True)])
        )
        places = list(np.ndindex(window))
        for sign in (-1, 0, 1):
            order, others = (rng.permutation(len(places))[:7] for _ in range(2))
            first, second = ([places[n] for n in each] for each in (order, others))
            terms = ordered.Terms(rng.normal(size=len(first)), first, second, sign)
            sums = ordered.Sums(terms)
            expected = sums._in_numpy(cells, shape)
            assert sums(cells, shape).tobytes() == expected.tobytes(), (shape, window, sign)


def check_passes(rng):
    """Fail if passes over integers differ from those in NumPy, or leave their arrays."""
    runs = engine.runs
    for dtype, shape in product(("u1", "i2", "u2"), ((40, 50), (3, 200), (9, 8, 70), (600,))):
        sizes = product((5, 15), repeat=2) if len(shape) == 2 else (5,)
        image = fenced(rng, random_numbers(rng, shape, np.dtype(dtype)))
        for name, *args in (
            ("gaussian_filter", 1.5),
            ("correlate1d", [0.1, 0.2, 0.4, 0.2, 0.1], 0),
            *(("uniform_filter", size) for size in sizes),
            ("sobel",),
        ):
            for mode in ("mirror", "constant"):
                out = fenced(rng, np.zeros_like(image))
                getattr(ndimage, name)(image, *args, mode=mode, output=out)
                engine.runs = lambda *_: False
                expected = getattr(ndimage, name)(image, *args, mode=mode)
                engine.runs = runs
                np.testing.assert_array_equal(out, expected, f"{name} {mode} {shape} {dtype}")


def check_medians(rng):
    """Fail if a median of any size is wrong, or reads or writes outside of its arrays."""
    for variant in load().variants.by_name.values():
        if variant.family != "medians":
            continue
        window = tuple(variant.requires[each][0] for each in ("kd", "kh", "kw"))
        window = window if variant.requires["volume"][0] else window[1:]
        name = variant.types[1]
        dtype = np.dtype(f"{name[0]}{int(name[1:]) // 8}")
        for sizes in ((5, 7, 9), (2, 3, 150), (2, 41, 80)):
            images = random_numbers(rng, sizes[3 - len(window) :], dtype)
            around = [(size // 2, size // 2) for size in window]
            windows = sliding_window_view(np.pad(images, around, "symmetric"), window)
            windows = windows.reshape(*images.shape, -1)
            expected = np.sort(windows, axis=-1)[..., windows.shape[-1] // 2]
            expected[(windows != windows).any(axis=-1)] = np.nan if dtype.kind == "f" else 0
            out = fenced(rng, np.zeros_like(images))
            median_filter(fenced(rng, images), window, output=out)
            np.testing.assert_array_equal(out, expected, f"{variant.name} {sizes}")


def check_histograms(rng):
    """Fail if a rank by moving histograms is wrong, or reads or writes outside of its arrays."""
    for sizes, window in (((40, 600), (9, 7)), ((600, 30), (70, 3)), ((5, 9, 300), (3, 4, 5))):
        for dtype in (np.uint8, np.int8):
            shape = [size + taps - 1 for size, taps in zip(sizes, window, strict=True)]
            cells = fenced(rng, random_numbers(rng, shape, np.dtype(dtype)))
            out = fenced(rng, np.zeros(sizes, dtype))
            windows = np.sort(sliding_window_view(cells, window).reshape(*sizes, -1), axis=-1)
            *deep, down, across = window
            planes = np.arange(prod(deep), dtype=np.int64) * (cells.strides[0] if deep else 0)
            for rank in (0, 20, windows.shape[-1] - 1):
                for at in np.ndindex(out.shape[:-2]):
                    load().rank(cells[at], planes, out[at], (down, across), rank)
                np.testing.assert_array_equal(out, windows[..., rank], f"{sizes} {window} {rank}")


def check_moving(rng):
    """Fail if a rank under a window of any shape is wrong, or reads or writes elsewhere."""
    for sizes, window in (((40, 300), (5, 7)), ((3, 9, 70), (3, 4, 5)), ((90,), (31,))):
        for dtype in (np.uint16, np.float32):
            cells = fenced(rng, random_numbers(rng, sizes, np.dtype(dtype), small=True))
            footprint = rng.random(window) < 0.8
            under = np.sort(sliding_window_view(cells, window)[..., footprint], axis=-1)
            for rank in (0, 9, under.shape[-1] - 1):
                chosen = moving.select(cells, footprint, rank)
                np.testing.assert_array_equal(chosen, under[..., rank], f"{sizes} {window} {rank}")


def check_transforms(rng):
    """Fail if transforms of any size are wrong."""
    available = transforms._available
    transforms.STEP, transforms.FIXED = 1e-6, 0
    for size in sorted({each.requires["size"][0] for each in load().variants.of(PRODUCTS)}):
        transforms._available = lambda problem, size=size: [
            each for each in available(problem) if each.size == size
        ]
        transforms._tiles.cache_clear()
        for dtype, channels in (("f4", ()), ("u1", ()), ("f4", (2,)), ("u1", (2,))):
            images = random_numbers(rng, (2, 130, 141, *channels), np.dtype(dtype))
            kernels = random_numbers(rng, (9, 11, *channels), np.dtype("i1"))
            case = Case("convolve", [fenced(rng, images), fenced(rng, kernels)], {})
            plan = convlens.plan_convolve(*case.arguments)
            assert f"transforms of {size} x {size}" in plan.reason
            result = plan(*case.arguments)
            exact = convlens.convolve(*case.arguments, method="numpy")
            if dtype == "f4":
                finite = np.isfinite(exact)
                np.testing.assert_array_equal(np.isfinite(result), finite)
                most = np.abs(exact[finite]).max(initial=0)
                assert (np.abs(result - exact)[finite] <= 1e-5 * most).all()
            else:
                np.testing.assert_array_equal(result, exact)
    transforms._available = available  # for the next level


def check_winograd(rng):
    """Fail if Winograd's method is wrong, or reads or writes beside the arrays."""
    winograd.TURN = winograd.PREPARE = winograd.FEW = 0
    winograd.pays.cache_clear()
    for dtype in ("f4", "f8"):
        for shape, n, padding, dilation in (
            ((2, 9, 12, 5), 33, "same", 1),
            ((1, 8, 31, 17), 16, "valid", 1),
            ((1, 7, 6, 70), 7, "full", 1),
            ((2, 9, 12, 5), 33, "same", (2, 3)),
        ):
            images = rng.standard_normal(shape).astype(dtype)
            kernels = rng.standard_normal((3, 3, shape[-1], n)).astype(dtype)
            options = {"padding": padding, "pad_mode": "edge", "dilation": dilation}
            case = Case("convolve", [fenced(rng, images), fenced(rng, kernels)], options)
            plan = convlens.plan_convolve(*case.arguments, **options)
            assert "Winograd" in plan.reason
            result = fenced(rng, np.zeros(plan.output_shape, dtype))
            plan(*case.arguments, out=result)
            exact = convlens.convolve(
                images.astype("f8"), kernels.astype("f8"), method="numpy", **options
            )
            assert np.abs(result - exact).max() <= 1e3 * np.finfo(dtype).eps


def check_kernel_gradients(rng):
    """The same for gradients by kernels: Winograd's method, products for each tap, few numbers."""
    many = ((2, 9, 12, 5), 33), ((1, 8, 31, 17), 16), ((1, 7, 6, 300), 40)
    few = ((2, 9, 12, 5), 3), ((1, 8, 1100, 1), 7), ((3, 7, 6, 4), 1)
    few += ((2, 9, 12, 3), 33), ((1, 8, 150, 1), 16), ((3, 7, 6, 5), 9)
    kernel_gradient.TURN = 0
    kernel_gradient.SUMS, kernel_gradient.SIDE_BY_SIDE = 2**19, 2**14
    for dtype, (shape, n), stride in product(("f4", "f8"), (*many, *few), (1, 2)):
        kernel_gradient.FEW_KERNELS, kernel_gradient.FEWEST = (
            (8, 16) if (shape, n) in few else (0, 0)
        )
        kernel_gradient.PART_NUMBERS = 2**16 if n == 16 else 0
        kernel_gradient.way.cache_clear()
        m, h, w, c = shape
        sizes = m, -(-h // stride), -(-w // stride), n
        images = fenced(rng, rng.standard_normal(shape).astype(dtype))
        outputs = fenced(rng, rng.standard_normal(sizes).astype(dtype))
        plan = convlens.plan_kernel_gradient(images, outputs, (3, 3, c, n), stride=stride)
        words = "Winograd" if stride == 1 else "products of the pixels"
        assert ("products of each row" if (shape, n) in few else words) in plan.reason
        result = fenced(rng, np.zeros(plan.output_shape, dtype))
        plan(images, outputs, out=result)
        exact = convlens.kernel_gradient(
            images.astype("f8"),
            outputs.astype("f8"),
            result.shape,
            stride=stride,
            method="numpy",
        )
        assert np.abs(result - exact).max() <= 1e3 * np.finfo(dtype).eps


def check_footprints(rng):
    """Fail if what is merged under a footprint is wrong, by lines of taps or tap by tap."""
    lines.WORTH, few = 0, extremes.FEW_TAPS
    forms = ((40, 300), (5, 7)), ((3, 9, 70), (2, 4, 4)), ((90,), (31,)), ((2, 5, 6, 7), (2,) * 4)
    for dtype, (sizes, window), most in product(("u1", "i2", "u2", "f4", "f8"), forms, (0, few)):
        extremes.FEW_TAPS = most
        cells = fenced(rng, random_numbers(rng, sizes, np.dtype(dtype), small=True))
        footprint, heights = rng.random(window) < 0.8, rng.integers(-3, 4, window).astype(float)
        origin = [-(taps // 2) for taps in window]  # Windows begin at their places.
        of_flipped = [taps // 2 - (taps % 2 == 0) for taps in window]
        inside = tuple(slice(size - taps + 1) for size, taps in zip(sizes, window, strict=True))
        under = sliding_window_view(cells, window)[..., footprint]
        calls = [
            (under.max(axis=-1), maximum_filter, {"footprint": footprint, "origin": origin}),
            (under.min(axis=-1), minimum_filter, {"footprint": footprint, "origin": origin}),
        ]
        if cells.dtype.kind == "f":
            high = heights[footprint]
            lower = {"footprint": footprint, "structure": heights, "origin": origin}
            higher = {name: np.flip(lower[name]) for name in ("footprint", "structure")}
            weights = {"weights": np.where(footprint, heights, 0), "origin": origin}
            calls += [
                ((under - high).min(axis=-1), ndimage.grey_erosion, lower),
                (
                    (under + high).max(axis=-1),
                    ndimage.grey_dilation,
                    higher | {"origin": of_flipped},
                ),
                ((under * high).sum(axis=-1), ndimage.correlate, weights),
            ]
        if cells.dtype == np.uint8:  # a sum that is cut off has the bits of SciPy's
            weights = {"weights": np.where(footprint, rng.random(window), 0), "origin": origin}
            runs, engine.runs = engine.runs, lambda *_: False
            right = ndimage.correlate(cells, **weights)[inside]
            engine.runs = runs
            calls.append((right, ndimage.correlate, weights))
        for expected, function, options in calls:
            out = fenced(rng, np.zeros_like(cells))
            function(cells, output=out, **options)
            exact = cells.dtype.kind != "f" or function in (maximum_filter, minimum_filter)
            off = (0, 0) if exact else (1e-5, 1e-4)
            np.testing.assert_allclose(out[inside], expected, *off, err_msg=f"{function}")


def check_winners(rng):
    """Fail if winners are others than in NumPy, or memory beside the arrays is read or written."""
    for dtype, of_outputs in (("f4", "f4"), ("f8", "f8"), ("f4", "f8"), ("f8", "f4")):
        for sizes, window, stride in (
            ((2, 9, 40, 3), (3, 2), (1, 1)),
            ((1, 70, 9, 1), (5, 3), (2, 3)),
            ((1, 60, 9, 13), (3, 3), (2, 2)),
            ((2, 12, 14, 16), (2, 2), (2, 2)),
            ((1, 11, 9, 6), (2, 2), (2, 2)),
            ((1, 9, 11, 24), (3, 3), (1, 1)),
            ((1, 9, 12, 20), (5, 5), (2, 3)),
            ((2, 4, 5, 6, 7), (2, 3, 4), (1, 2, 1)),
            ((1, 80, 1), (40,), (1,)),
        ):
            images = fenced(rng, random_numbers(rng, sizes, np.dtype(dtype), small=True))
            options = {"stride": stride, "space": len(window)}
            found = convlens.pool_indices(images, window, **options, method="compiled")
            expected = convlens.pool_indices(images, window, **options, method="numpy")
            np.testing.assert_array_equal(found, expected)
            back = fenced(rng, rng.integers(-9, 9, found.shape).astype(of_outputs))
            like = images.astype(of_outputs)
            given = [
                convlens.pool_gradient(
                    images, back, window, **options, method=method, out=fenced(rng, like)
                )
                for method in ("compiled", "numpy")
            ]
            np.testing.assert_array_equal(*given)


def check_shares(rng):
    """Fail if shares are others than in NumPy, or memory beside the arrays is read or written."""
    for dtype, mode in product(("f4", "f8"), ("sum", "avg")):
        for sizes, window, stride in (
            ((2, 19, 40, 3), (3, 2), (2, 2)),
            ((1, 70, 9, 1), (5, 3), (7, 3)),
            ((3, 20, 9, 13), (3, 3), (1, 1)),
            ((2, 4, 5, 6, 9), (2, 3, 4), (1, 2, 1)),
            ((2, 40, 9, 8), (9, 3), (2, 1)),
        ):
            images = fenced(rng, np.zeros(sizes, dtype))
            options = {"stride": stride, "space": len(window), "mode": mode, "padding": "same"}
            shape = convlens.pool(images, window, **options).shape
            back = fenced(rng, rng.integers(-9, 9, shape).astype(dtype))
            given = [
                convlens.pool_gradient(
                    images, back, window, **options, method=method, out=fenced(rng, images)
                )
                for method in ("compiled", "numpy")
            ]
            bound = 64 * np.finfo(dtype).eps
            np.testing.assert_allclose(*given, rtol=bound, atol=9 * bound)


def check_holes(rng):
    """Fail if what takes no part is seen, or memory beside the arrays is read or written."""
    for dtype, shape in product(
        ("?", "u1", "i2", "f2", "i4", "f4", "i8", "f8"),
        ((2, 9, 80, 1), (1, 300, 3, 5), (3, 4, 30, 4), (2, 3, 5, 9), (2, 2, 3, 40, 3)),
    ):
        images = random_numbers(rng, shape, np.dtype(dtype), small=True)
        for where in (rng.random(shape) < 0.8, rng.random((*shape[:-1], 1)) < 0.8):
            some = np.broadcast_to(fenced(rng, where), shape)
            cells = [fenced(rng, np.zeros_like(images)) for _ in range(2)]
            for pixels, there in ((images, some), (np.where(some, images, np.nan), None)):
                if there is None and pixels.dtype != dtype:
                    continue
                holes.fill(cells[0], fenced(rng, pixels), there, 1)
                holes.weigh(cells[1], fenced(rng, pixels), there)
                np.testing.assert_array_equal(
                    cells[0], np.where(some, images, images.dtype.type(1))
                )
                np.testing.assert_array_equal(cells[1], some)
    for dtype, counts, result in (
        *((each, counts, each) for each in ("f4", "f8") for counts in (each, "u1", "i8")),
        *(("i8", counts, "f8") for counts in ("u1", "i8")),
        ("f4", "f4", "f2"),
    ):
        for width, channels, each in ((31, 3, 3), (31, 3, 1), (2, 3, 1), (9, 7, 1), (9, 1, 1)):
            shape = 2, 9, width
            sums = random_numbers(rng, (*shape, channels), np.dtype(dtype), small=True)
            weights = rng.integers(0, 3, (*shape, each)).astype(counts)
            out = fenced(rng, np.zeros(sums.shape, result))
            with np.errstate(all="ignore"):
                holes.divide(fenced(rng, sums), fenced(rng, weights), out)
                expected = np.true_divide(sums, weights.astype(result)).astype(result)
            expected[np.broadcast_to(weights == 0, sums.shape)] = np.nan
            np.testing.assert_array_equal(out, expected)


def check_exchange(rng):
    """Kernels whose channels are exchanged are copied as they are."""
    for dtype in ("f4", "f8"):
        for shape in ((16, 16), (33, 70), (3, 3, 17, 64), (2, 1, 2, 40, 18)):
            kernels = fenced(rng, random_numbers(rng, shape, np.dtype(dtype), small=True))
            turned = kernels[::-1].swapaxes(-1, -2) if len(shape) > 2 else kernels.T
            copied = fenced(rng, np.zeros(turned.shape, dtype))
            exchange.copy(turned, copied)
            np.testing.assert_array_equal(copied, turned)


PRODUCTS = "products", "f32", "f64", "f32"


@cache
def caches():
    """All caches of the package but that of the library: some hold pipelines of a level."""
    modules = [each for name, each in sys.modules.items() if name.startswith("convlens.")]
    found = [each for module in modules for each in vars(module).values()]
    kept = [each for each in found if hasattr(each, "cache_clear") and not isinstance(each, type)]
    return [each for each in kept if each is not load]


def each_level():
    """Have the library use one level after the other."""
    for level, functions in FUNCTIONS.items():
        LIBRARY.level, LIBRARY._functions = level, functions
        for each in caches():
            each.cache_clear()
        yield level


def check_levels():
    """Check every level, in a process of its own: calls, and what they should give, are made once.

    The last line that is printed says which call on which level has ended the process.
    """
    rng, ways = np.random.default_rng(0), Counter()
    for call in every_kind():
        case = made(rng, *call)
        for level in each_level():
            print(f"{level}: {case}")
            check(case, rng, fenced)
            ways[level] += check_ways(case)
    check_many(100, 300, fenced, each_level)
    for level in each_level():
        assert ways[level] > 5000
        for special in (
            check_ordered,
            check_passes,
            check_medians,
            check_histograms,
            check_moving,
            check_footprints,
            check_winners,
            check_shares,
            check_transforms,
            check_winograd,
            check_kernel_gradients,
            check_exchange,
            check_holes,
        ):
            print(f"{level}: {special.__name__}")
            special(rng)
        missing = sorted(set(LIBRARY.variants.by_name) - set(LIBRARY._functions))
        assert not missing, f"no call needs these pipelines: {missing}"


@pytest.mark.skipif(os.name != "posix", reason="memory is fenced by mprotect")
def test_every_pipeline_on_every_level():
    """A pipeline is never used, is wrong, or reads or writes outside its arrays."""
    done = subprocess.run(
        [sys.executable, "-u", __file__], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-3000:]


# ------------------------------------------------------------------ the plan says what runs

FAMILIES = {
    "planes": "vectors along the rows",
    "dense": "vectors along the kernels",
    "depthwise": "vectors along the channels",
    "grouped": "vectors along the outputs of all groups, and of pixels side by side",
    "deep": "vectors along the channels under a window",
    "separable": "in two passes, down and then across",
    "windows": "tap by tap, down and then across",
    "squares": "squares side by side",
    "tiles": "tile by tile in registers, down and then across",
    "doubling": "by windows of twice the size at each step, down and then across",
}
OF_VOLUMES = {
    "separable": "in three passes, along the depth, down and then across",
    "windows": "tap by tap, along the depth, down and then across",
    "squares": "cubes side by side",
    "tiles": "tile by tile in registers, along the depth, down and then across",
    "doubling": "tap by tap along the depth, then by windows of twice the size at each step, down "
    "and then across",
}
OF_SIGNALS = {
    "windows": "tap by tap",
    "doubling": "by windows of twice the size at each step",
}
TURNED = "on images turned on their side, "
NUMBERS = {"f32": "float32", "f64": "float64", "u8": "uint8", "u64": "uint64"}
NUMBERS |= {"i16": "int16", "u16": "uint16", "i32": "int32", "u32": "uint32", "i64": "int64"}


def test_the_plan_says_what_runs(monkeypatch):
    """A plan names another pipeline, type or orientation than those that run."""
    ran, rows, seen = set(), set(), set()
    run = Run.__call__

    def recording(self, *arrays):
        ran.add(self._name)
        rows.add(arrays[0].shape[-3])
        return run(self, *arrays)

    monkeypatch.setattr(Run, "__call__", recording)
    for number in range(1500):
        rng = np.random.default_rng([7, number])
        case = random_case(rng, anywhere)
        try:
            plan = case.plan()
        except ValueError:  # a call that is refused
            continue
        ran.clear()
        rows.clear()
        forget()
        result = case.run("compiled")
        if not ran:  # there is nothing to compute
            assert 0 in (result.size, case.arguments[0].size)
            continue
        names = {name.partition("_")[0] for name in ran}
        types = {name.split("_")[2 if case.verb == "convolve" else 3] for name in ran}
        (family,), (numbers,) = names, types
        flat = "each slab as an image, " if "each slab" in plan.reason else ""
        space = 2 if flat else case.options.get("space")
        families = {1: OF_SIGNALS, 3: OF_VOLUMES}.get(space, {})
        words = (FAMILIES | families)[family]
        words, turned = f"{words}, in {NUMBERS[numbers]}", TURNED in plan.reason
        taps = "the taps that meet a pixel, " if plan.program.way.taps else ""
        words = f"compiled, for {LIBRARY.level}, {flat}{TURNED if turned else ''}{taps}{words}"
        assert f"{plan.method}, {plan.reason},".startswith(f"{words},"), case
        # The columns of a thin image are no more than the rows that its windows need.
        assert not turned or max(rows) <= plan.problem.columns.size, case
        seen |= {(family, numbers), "turned" if turned else "upright"}
    assert {each[0] for each in seen if isinstance(each, tuple)} == set(FAMILIES)
    assert {("planes", "i64"), ("dense", "f64"), ("doubling", "i32"), "turned", "upright"} <= seen


# ---------------------------------------------------------------------- thin and tiny images

THIN = {  # calls on thin or tiny images, with what is done because pipelines are slow on short rows
    "a column": ("convolve", (1, 5000, 1), (3, 3), {}, "turned"),
    "columns in a batch": ("convolve", (7, 900, 1), (4, 1), {"pad_mode": "wrap"}, "turned"),
    "a column of pixels": ("convolve", (2, 900, 1, 3), (5, 3, 3), {"dilation": (2, 1)}, "turned"),
    "a column, many kernels": ("convolve", (2, 900, 1, 3), (3, 3, 3, 16), {}, "turned"),
    "a column of products": ("convolve", (1, 900, 2), (9, 9), {"pad_mode": "edge"}, "turned"),
    "tall windows": ("pool", (5000, 1), (31, 1), {"stride": 1, "padding": "same"}, "turned"),
    "means": ("pool", (2, 900, 1), (31, 2), {"mode": "avg", "stride": 1, "padding": 1}, "turned"),
    "single pixels": ("convolve", (500, 1, 1), (3, 3), {}, "numpy"),
    "a tiny image": ("pool", (9, 4, 4), (3, 2), {"mode": "avg", "stride": 1}, "numpy"),
    "one not so tiny": ("pool", (9, 5, 4), (3, 2), {"mode": "avg", "stride": 1}, "upright"),
    "a layer on one pixel": ("convolve", (9, 1, 1, 3), (1, 1, 3, 4), {}, "numpy"),
    "a usual image": ("convolve", (2, 28, 28), (3, 3), {}, "upright"),
}


def way_of(plan):
    """How the plan says that the call is computed: "numpy", "turned" or "upright"."""
    return "numpy" if plan.method == "numpy" else "turned" if TURNED in plan.reason else "upright"


def thin_case(name, dtype="f4"):
    """The call of this name, on random numbers."""
    verb, shape, rest, options, _ = THIN[name]
    rng = np.random.default_rng(2)
    rest = rng.standard_normal(rest).astype(dtype) if verb == "convolve" else rest
    return Case(verb, [rng.standard_normal(shape).astype(dtype), rest], options)


@pytest.mark.parametrize("name", THIN)
def test_where_rows_are_short(name):
    """A thin or tiny image is not computed in the fast way for it, or the result is wrong."""
    case, way = thin_case(name), THIN[name][-1]
    plan = getattr(convlens, f"plan_{case.verb}")(*case.arguments, **case.options)
    assert way_of(plan) == way
    for dtype in ("f4", "f8", "u1", "f2"):
        case = thin_case(name, dtype)
        compare(case, case.run("auto"), case.run("numpy"))
        compare(case, case.run("compiled"), case.run("numpy"))


@pytest.mark.parametrize("name", THIN)
def test_thin_images_have_the_same_bits_in_parts(name, tmp_path, monkeypatch):
    """Bits change if an image is computed alone, in chunks of a Dask array or from a file."""
    da = pytest.importorskip("dask.array")
    case = thin_case(name)
    images, rest = case.arguments
    verb = getattr(convlens, case.verb)
    plan = getattr(convlens, f"plan_{case.verb}")(images, rest, **case.options)
    whole = case.run("auto")
    if images.ndim > 2:
        each = [verb(image[np.newaxis], rest, **case.options) for image in images[:9]]
        assert np.concatenate(each).tobytes() == whole[:9].tobytes()
    chunks = tuple(max(1, -(-size // 3)) for size in images.shape)
    lazy = verb(da.from_array(images, chunks=chunks), rest, **case.options)
    assert lazy.compute(scheduler="sync").tobytes() == whole.tobytes()

    monkeypatch.setattr(files, "TILE_BYTES", 2000)
    np.save(tmp_path / "images.npy", images)
    kernels = rest if case.verb == "convolve" else None
    array = files.open_array(tmp_path / "images.npy")
    execute_file(plan, array, kernels, tmp_path / "result.npy")
    assert np.load(tmp_path / "result.npy").tobytes() == whole.tobytes()


def test_the_way_does_not_depend_on_the_batch():
    """Images are computed in another way, with other bits, in a larger batch or swapped bytes."""
    for number in range(300):
        case = random_case(np.random.default_rng([8, number]), anywhere)
        case.options.pop("pad_mode", None)  # which may need a pixel
        images, rest = case.arguments
        if images.ndim == 3 and images.shape[2] in (3, 4):
            continue  # A thousand of them look like one photograph.
        plan = getattr(convlens, f"plan_{case.verb}")
        try:
            ways = {
                way_of(plan(np.broadcast_to(each[:1], (m, *each.shape[1:])), rest, **case.options))
                for each in (images, images.astype(images.dtype.newbyteorder()))
                for m in (1, 2, 1000)
            }
        except ValueError:  # a call that is refused
            continue
        assert len(ways) == 1, case


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(3, 3, 8, 40), (5, 3, 2, 3), (3, 3, 1, 40), (3, 3, 200, 64)])
def test_nan_and_inf_of_kernels_count_on_padding(shape, dtype, number):
    """NaN or inf of a kernel is lost on padding, where products with zeros are usually skipped."""
    kernels = np.ones(shape, dtype)
    kernels[0, 1, -1, 2] = number
    groups = 40 if shape[2] == 1 else 1
    images = np.ones((2, 9, 14, shape[2] * groups), dtype)
    result = convlens.convolve(images, kernels, padding=3, groups=groups)
    expected = convlens.convolve(images, kernels, padding=3, groups=groups, method="numpy")
    np.testing.assert_array_equal(result, expected)
    assert np.isnan(result[:, 0, :, 2]).all()


def test_columns_times_rows_of_integers_are_found():
    """A kernel of rank 1 is not found or is factored inexactly, or one wrong number is missed."""
    rng = np.random.default_rng(5)
    images = np.zeros((40, 40), np.uint8)
    for _ in range(300):
        column, row = (rng.integers(-60, 60, 9) * rng.integers(1, 9) for _ in range(2))
        kernel = np.outer(column, row)
        call = convlens.plan_convolve(images, kernel).problem
        full = call.full_kernels(kernel)
        numbers = choice_of.summing_type(call, full)
        factors = choice_of.rank_1(call, numbers, full)
        down, across = factors.lines
        assert factors.scale == 1
        assert (np.outer(down, across) == kernel).all()
        assert not (down % 1).any()
        assert not (across % 1).any()
        kernel[rng.integers(9), rng.integers(9)] += 1
        assert choice_of.rank_1(call, numbers, full) is None


@pytest.mark.parametrize("window", [(2, 2), (3, 4), (47, 53)])
def test_means_of_half_floats_are_rounded_once(window):
    """Sums or counts are float16, which holds neither 2491 nor sums beyond 65504."""
    images = np.random.default_rng(4).integers(0, 999, (2, 60, 61)).astype("f2")
    for stride in (window, 1):
        result = convlens.pool(images, window, stride, "avg", method="compiled")
        exact = convlens.pool(images.astype("f8"), window, stride, "avg", method="numpy")
        assert result.dtype == np.float16
        np.testing.assert_array_equal(result, exact.astype("f4").astype("f2"))


def test_every_type_is_taken():
    """The compiled engine refuses a type of integers, booleans or floats of up to 64 bits."""
    for images in TYPES:
        plan = convlens.plan_pool(np.zeros((5, 6), images), 2, method="compiled")
        assert plan.method == "compiled"
        for kernels in TYPES:
            arrays = np.zeros((5, 6), images), np.zeros((3, 3), kernels)
            assert convlens.plan_convolve(*arrays, method="compiled").method == "compiled"


if __name__ == "__main__":
    check_levels()
