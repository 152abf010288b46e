"""What `convolve` and `pool` must give, in plain loops over output pixels.

Written from the definitions alone, for any number of spatial axes, and sharing no code with the
library: border modes are what `numpy.pad` does, integers are Python's, floats are summed in long
double. Beside the values stand bounds on the error that rounding may cause, from the sums of
|pixel * tap|: an engine may add up in any order, and round each step once in the type that it sums
in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from math import prod
from typing import Any

import numpy as np


@dataclass
class Expected:
    """The right values, the largest error allowed for each (None for integers), and their type."""

    values: np.ndarray
    bounds: np.ndarray | None
    dtype: np.dtype[Any]

    def check(self, result):
        """Fail unless `result` is right."""
        assert isinstance(result, np.ndarray)
        assert result.shape == self.values.shape
        assert result.dtype == self.dtype
        assert result.dtype.isnative
        if self.bounds is None:
            np.testing.assert_array_equal(result, self.values.astype(self.dtype))
        else:
            nothing = np.isnan(self.values)
            np.testing.assert_array_equal(np.isnan(result[nothing]), True)
            errors = np.abs(result - self.values)
            wrong = ~(errors <= self.bounds) & ~nothing & ~np.isinf(self.bounds)  # so is NaN
            assert not wrong.any(), (
                f"{wrong.sum()} of {wrong.size} results are wrong, the first at "
                f"{np.argwhere(wrong)[0]}: {result[wrong][0]} for {self.values[wrong][0]}, "
                f"off by {errors[wrong][0]}, which may be {self.bounds[wrong][0]}"
            )


def is_integer(*types):
    """Whether all of these types are integer or boolean."""
    return all(np.dtype(t).kind in "biu" for t in types)


def convolve(
    images,
    kernels,
    padding="same",
    stride=1,
    *,
    dilation=1,
    groups=1,
    pad_mode="constant",
    pad_value=0,
    dtype=None,
    overflow="refuse",
    where=None,
    renormalize=False,
    space=2,
):
    """The cross-correlation of images and kernels."""
    if where is not None:
        options = {"padding": padding, "stride": stride, "dilation": dilation, "groups": groups}
        options |= {"pad_mode": pad_mode, "space": space}
        results = {"dtype": dtype, "overflow": overflow}
        return _masked(images, kernels, where, pad_value, options, results, renormalize=renormalize)
    images, of_lists = np.asarray(images), isinstance(kernels, list)
    kernels = np.asarray(kernels)
    if (
        images.dtype == np.uint64
        and of_lists
        and is_integer(kernels.dtype)
        and (kernels >= 0).all()
    ):
        kernels = kernels.astype(np.uint64)  # integers without a type take that of the images
    more = images.ndim - space, kernels.ndim - space  # axes that are not spatial
    one_image = more in ((0, 0), (1, 1), (1, 2))
    x = images[np.newaxis] if one_image else images
    one_output = more in ((0, 0), (1, 0), (1, 1), (2, 1))
    if x.ndim == space + 1:  # gray
        x, k = x[..., np.newaxis], kernels[..., np.newaxis, np.newaxis]
    elif kernels.ndim == space:  # the same kernel on each channel
        groups = x.shape[-1]
        k = np.stack([kernels[..., np.newaxis]] * groups, axis=-1) if groups else kernels
    else:
        k = kernels[..., np.newaxis] if kernels.ndim == space + 1 else kernels

    natural = np.result_type(images, kernels)
    exact = is_integer(natural) or is_integer(images.dtype, kernels.dtype)
    whole = np.uint64 if natural == np.uint64 else np.int64
    result = np.dtype(dtype or (whole if exact else natural)).newbyteorder("=")
    wide = object if exact else np.result_type(natural, np.longdouble)

    m, *size, c = x.shape
    window = kernels.shape[:space]
    nc = k.shape[-1] if groups else 0
    step, gap = numbers(stride, space), numbers(dilation, space)
    reach = [(n - 1) * d + 1 for n, d in zip(window, gap, strict=True)]
    pads = paddings(padding, size, reach, step)
    x = padded(x, ((0, 0), *pads, (0, 0)), pad_mode, pad_value).astype(wide)
    k = k.astype(wide)
    outputs = [
        (n + sum(p) - r) // s + 1 for n, p, r, s in zip(size, pads, reach, step, strict=True)
    ]

    values = np.zeros((m, *outputs, nc), wide)
    sizes = np.zeros((m, *outputs, nc), object if exact else np.longdouble)
    each_number = tuple(range(1, space + 2))  # of a kernel: its taps, and the channels of its group
    for group in range(groups):
        of_channels = slice(group * c // groups, (group + 1) * c // groups)
        of_kernels = slice(group * nc // groups, (group + 1) * nc // groups)
        for place in np.ndindex(*outputs):
            taps = [
                slice(o * s, o * s + r, d)
                for o, s, r, d in zip(place, step, reach, gap, strict=True)
            ]
            under = x[:, *taps, of_channels, np.newaxis]
            products = under * k[..., of_kernels]  # (m, *window, c // groups, nc // groups)
            values[:, *place, of_kernels] = products.sum(each_number)
            sizes[:, *place, of_kernels] = np.abs(products).sum(each_number)

    if one_output:
        values, sizes = values[..., 0], sizes[..., 0]
    if one_image:
        values, sizes = values[0], sizes[0]
    terms = prod(window) * k.shape[-2] if groups else 0
    if overflow == "saturate":
        if exact:
            return saturated(wrapped(values, np.dtype(whole)), None, result)
        sums = np.result_type(natural, np.float32)
        return saturated(values, rounding(terms, sizes, sums, values, sums), result)
    if exact:
        return Expected(wrapped(values, result), None, result)
    sums = np.result_type(natural, result, np.float32)
    return Expected(values, rounding(terms, sizes, sums, values, result), result)


def _masked(images, kernels, where, pad_value, options, results, *, renormalize):
    """A convolution of which some pixels take no part: two, if it is divided by weights."""
    images, space = np.asarray(images), options["space"]
    channels = images.ndim == space + 2 or np.ndim(kernels) > space
    there = mask_of(where, images, channels=channels)
    absent = isinstance(where, str) and not np.isfinite(pad_value)
    pad_value = 0 if absent else pad_value
    clean = np.where(there, images, np.zeros((), images.dtype))
    if not renormalize:
        return convolve(clean, kernels, pad_value=pad_value, **options, **results)
    border = {"pad_value": 0 if absent or options["pad_mode"] != "constant" else 1}
    sums = convolve(clean, kernels, pad_value=pad_value, **options)
    weights = convolve(there.astype(images.dtype), kernels, **border, **options)
    some = np.asarray(kernels) != 0
    left = convolve(there, some, **border, **options).values != 0
    exact = sums.bounds is None
    wide = np.longdouble if sums.dtype.kind != "c" else np.clongdouble
    a, b = sums.values.astype(wide), weights.values.astype(wide)
    of_a, of_b = (0 if exact else each.bounds for each in (sums, weights))
    natural = np.dtype(float) if exact else sums.dtype
    result = np.dtype(results["dtype"] or natural).newbyteorder("=")
    with np.errstate(all="ignore"):
        values = np.where(left & (b != 0), a / b, np.nan)
        sizes = np.abs(values)
        bounds = (of_a + sizes * of_b) / (np.abs(b) - of_b) + 2 * np.finfo(natural).eps * sizes
        bounds = np.where(np.abs(b) > of_b, bounds, np.inf)
    if results["overflow"] == "saturate":
        return saturated(values, bounds, result)
    tiny = np.finfo(result).smallest_subnormal
    return Expected(values, bounds + np.finfo(result).eps * (sizes + bounds) + tiny, result)


def mask_of(where, images, *, channels):
    """For each number of the images, which may have channels, whether it takes part."""
    if isinstance(where, str):
        return np.isfinite(images)
    where = np.asarray(where)
    if channels and 0 < where.ndim < images.ndim:
        where = where[..., np.newaxis]
    return np.broadcast_to(where, images.shape)


def pool(
    images,
    kernel_shape,
    stride=None,
    mode="max",
    *,
    padding="valid",
    dilation=1,
    pad_mode=None,
    pad_value=0,
    count_padding=False,
    partial=False,
    dtype=None,
    overflow="refuse",
    where=None,
    space=2,
):
    """Pool images; None where some window covers nothing that counts."""
    images = np.asarray(images)
    x = images.reshape(
        {space: (1, *images.shape, 1), space + 1: (*images.shape, 1)}.get(images.ndim, images.shape)
    )
    there = mask_of(True if where is None else where, images, channels=images.ndim == space + 2)
    there = there.reshape(x.shape)
    size, window, gap = x.shape[1:-1], numbers(kernel_shape, space), numbers(dilation, space)
    step = numbers(window if stride is None else stride, space)
    reach = tuple((n - 1) * d + 1 for n, d in zip(window, gap, strict=True))
    pads = paddings(padding, size, reach, step)
    if pad_mode is not None:  # cells of padding count like pixels, so they become pixels
        x = padded(x, ((0, 0), *pads, (0, 0)), pad_mode, pad_value)
        finite = not isinstance(where, str) or np.isfinite(pad_value)
        there = padded(there, ((0, 0), *pads, (0, 0)), pad_mode, finite)
        size, pads = x.shape[1:-1], ((0, 0),) * space
    outputs = [pooled_size(*axis, partial) for axis in zip(size, reach, step, pads, strict=True)]

    native = images.dtype.newbyteorder("=")
    exact = is_integer(native) and mode != "avg"
    result = native
    if mode in ("avg", "sum") and is_integer(native):
        whole = np.uint64 if native == np.uint64 else np.int64
        result = np.dtype(whole if mode == "sum" else np.float64)
    choosing = mode in ("max", "min")
    wide = object if is_integer(native) else np.result_type(native, np.longdouble)

    def covered(axis, output, low, high):
        """The cells from low to high - 1 that a window covers along one axis."""
        first = output * step[axis] - pads[axis][0]
        cells = (first + tap * gap[axis] for tap in range(window[axis]))
        return [cell for cell in cells if low <= cell < high]

    shape = (len(x), *outputs, x.shape[-1])
    values = np.zeros(shape, native if choosing else wide)
    sizes = np.zeros(shape, np.longdouble)
    for place in np.ndindex(*outputs) if values.size else ():  # else there are no windows
        cells = [covered(axis, output, 0, size[axis]) for axis, output in enumerate(place)]
        count = prod(map(len, cells))
        pixels = x[:, *np.ix_(*cells)].reshape(len(x), count, x.shape[-1])
        counted = there[:, *np.ix_(*cells)].reshape(pixels.shape)
        if choosing:
            if not count:
                return None
            if counted.all():
                values[:, *place] = pixels.max(1) if mode == "max" else pixels.min(1)
                continue
            for n, c in np.ndindex(len(x), x.shape[-1]):
                some = pixels[n, counted[n, :, c], c]
                if some.size == 0 and native.kind not in "fc":
                    return None
                chosen = (some.max() if mode == "max" else some.min()) if some.size else np.nan
                values[n, *place, c] = chosen
            continue
        pixels = np.where(counted, pixels, np.zeros((), native))
        values[:, *place] = pixels.astype(wide).sum(1)
        sizes[:, *place] = np.abs(pixels.astype(wide)).sum(1)
        if mode == "avg":
            if count_padding:
                count = 1
                for axis, output in enumerate(place):
                    low, high = -pads[axis][0], size[axis] + pads[axis][1]
                    count *= len(covered(axis, output, low, high))
            if not count:
                return None
            counts = counted.sum(1) + (count - pixels.shape[1])
            with np.errstate(invalid="ignore"):
                floats = np.longdouble if wide is object else wide
                values[:, *place] = values[:, *place].astype(floats) / counts
                sizes[:, *place] /= np.maximum(counts, 1)

    shape = {space: shape[1:-1], space + 1: shape[:-1]}.get(images.ndim, shape)
    values, sizes = values.reshape(shape), sizes.reshape(shape)
    if choosing:
        return Expected(values, None, result)
    natural, result = result, np.dtype(dtype or result).newbyteorder("=")
    if overflow == "saturate" and exact:
        return saturated(wrapped(values, natural), None, result)
    if exact:
        return Expected(wrapped(values, result), None, result)
    if is_integer(native):  # an exact sum, made a float64, divided
        values = values.astype(np.longdouble)
        bounds = 2 * np.finfo(np.float64).eps * np.abs(values)
        if overflow == "saturate":
            return saturated(values, bounds, result)
        return Expected(values, bounds + np.finfo(result).eps * np.abs(values), result)
    sums = np.result_type(native, np.float32)
    if overflow == "saturate":
        return saturated(values, rounding(prod(window), sizes, sums, values, sums), result)
    sums = np.result_type(sums, result)
    return Expected(values, rounding(prod(window), sizes, sums, values, result), result)


def numbers(value, space):
    """One number for each spatial axis."""
    return (value,) * space if isinstance(value, (int, np.integer)) else tuple(value)


def padded(x, pads, mode, value):
    """The array and the cells around it, as `numpy.pad` makes them."""
    return np.pad(x, pads, mode, **({"constant_values": value} if mode == "constant" else {}))


def paddings(padding, sizes, reaches, strides):
    """The cells before and after each axis, such as ((top, bottom), (left, right))."""
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    if padding == "full":
        return tuple((reach - 1, reach - 1) for reach in reaches)
    if padding == "same":  # ceil(size / stride) outputs, the odd cell after
        pads = []
        for size, reach, stride in zip(sizes, reaches, strides, strict=True):
            outputs = (size + stride - 1) // stride
            total = max((outputs - 1) * stride + reach - size, 0)
            pads.append((total // 2, (total + 1) // 2))
        return tuple(pads)
    each = numbers(padding, len(sizes))
    if len(sizes) == 1 and len(each) == 2:  # (left, right)
        each = (each,)
    return tuple(numbers(sides, 2) for sides in each)


def pooled_size(size, reach, stride, pads, partial):
    """How many windows there are; with `partial`, as many as in PyTorch.

    There are never fewer than without `partial`. PyTorch does not allow paddings so large that a
    whole window could start after the image.
    """
    room = sum(pads) + size - reach
    whole = room // stride + 1
    if not partial:
        return whole
    outputs = (room + stride - 1) // stride + 1
    if (outputs - 1) * stride >= size + pads[0]:  # it must start on the image or before it
        outputs -= 1
    return max(whole, outputs)


def saturated(values, bounds, result):
    """What is rounded and clipped into an integer type; which half is taken, tests of it tell."""
    limits = np.iinfo(result)
    if bounds is not None:
        nothing = np.isnan(values)
        values, bounds = np.where(nothing, 0, values), np.where(nothing, 0, bounds)
    else:  # Python's integers, for no type of NumPy's holds both the sums and the limits
        values = values.astype(object)
    clipped = np.clip(values, int(limits.min), int(limits.max))
    return Expected(clipped, None if bounds is None else bounds + 0.5, result)


def wrapped(values, result):
    """Python's integers as 64 bits hold them, modulo 2**64; for any other type as they are."""
    if result not in (np.int64, np.uint64):
        return values
    least = int(np.iinfo(result).min)
    return ((values - least) % 2**64 + least).astype(result)


def rounding(taps, sizes, sums, values, result):
    """How far a sum of products may be off.

    Both factors may be rounded to the type of the sums, then every product and every sum of two
    terms, each by half an eps of at most the sum of all |products|. The other half eps is for the
    result that it is compared with. At the end the sum is rounded to the result's type. A complex
    product takes two products and a sum in each of its parts.
    """
    steps = (taps + 4) * (2 if sums.kind == "c" else 1)
    of_sums, of_result = np.finfo(sums), np.finfo(result)
    bounds = steps * (of_sums.eps * sizes + of_sums.smallest_subnormal)
    return bounds + of_result.eps * (np.abs(values) + bounds) + of_result.smallest_subnormal


@lru_cache(maxsize=1)  # since one method comes after the other
def random_calls(hundred, make, answer):
    """A hundred random calls, as (seed, case, what it must give)."""
    seeds = [[hundred, number] for number in range(100)]
    cases = [make(np.random.default_rng(seed)) for seed in seeds]
    expected = [answer(*case.arguments, **case.options) for case in cases]
    return list(zip(seeds, cases, expected, strict=True))


@cache  # since many types and numbers are tried with the same windows
def windows_over(pixel, sizes, window, padding, pad_mode, stride, dilation):
    """Which outputs have the pixel, or a padded cell that repeats it, under a tap.

    Pixels are numbered from 1 and padded by `numpy.pad`; 0 stands for padding that repeats none.
    """
    pixels = np.arange(1, prod(sizes) + 1).reshape(sizes)
    reaches = [(n - 1) * gap + 1 for n, gap in zip(window, dilation, strict=True)]
    pads = paddings(padding, sizes, reaches, stride)
    is_pixel = padded(pixels, pads, pad_mode, 0) == pixels[pixel]
    axes = list(zip(is_pixel.shape, reaches, stride, dilation, strict=True))
    covers = np.zeros([(size - reach) // step + 1 for size, reach, step, _ in axes], bool)
    for place in np.ndindex(covers.shape):
        taps = [
            slice(o * step, o * step + reach, gap)
            for o, (_, reach, step, gap) in zip(place, axes, strict=True)
        ]
        covers[place] = is_pixel[*taps].any()
    covers.flags.writeable = False
    return covers
