"""Random calls give what other libraries compute, for the kinds of calls that these can express.

The table `PEERS` says for each library how to draw calls that it can express, as arguments of
convlens, and how it computes them. Integers must agree exactly. Floats must agree within the
rounding of a sum: for n terms, added in whatever order, this is at most n units in the last place
of the sum of their magnitudes.
"""

import warnings
from collections.abc import Callable
from functools import reduce
from math import ceil, prod
from typing import NamedTuple

import cv2
import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from scipy import ndimage, signal

from convlens import convolve, pool

CONSTANT = "constant"


class Peer(NamedTuple):
    """Someone else who computes some of what `convlens` computes.

    Attributes
    ----------
    name : str
        What it is called there.
    call : callable
        `convolve` or `pool`.
    draw : callable
        From a random generator and the number of spatial axes, a call that the peer can express:
        the images' shape, the kernels' shape or the window, and the options but for `space`, all as
        `convlens` takes them.
    compute : callable
        From images, kernels or window, and options, the peer's result.
    space : int
        The number of spatial axes.
    exact : str
        The type in which the peer is given integers; its sums of small ones are exact.
    terms : callable
        From the images' shape, how many more roundings a running sum brings.
    module : str
        What must be installed; the test is skipped without it.
    calls : int
        How many calls of each kind of numbers are compared.
    """

    name: str
    call: Callable
    draw: Callable
    compute: Callable
    space: int = 2
    exact: str = "f8"
    terms: Callable = lambda _shape: 0
    module: str = "numpy"
    calls: int = 100


# --------------------------------------------------------------------- drawing calls


def integers(rng, low, high, count):
    """Random integers of Python's type, from low to high, both included."""
    return tuple(rng.integers(low, high + 1, count).tolist())


def choose(rng, *values):
    """A random one of the values."""
    return values[rng.integers(len(values))]


def random_window(rng, space):
    """A window of random size, smaller where there are more axes."""
    return integers(rng, 1, {1: 9, 2: 5, 3: 3}[space], space)


def reach_of(window, dilation):
    """How many pixels a window spans along each axis."""
    return tuple((taps - 1) * gap + 1 for taps, gap in zip(window, dilation, strict=True))


def size_that_fits(rng, window, dilation, padding):
    """Random sizes of an image that, with its padding, has room for the window."""
    most = 4 if len(window) == 3 else 8
    least = [max(1, r - sum(p)) for r, p in zip(reach_of(window, dilation), padding, strict=True)]
    extra = integers(rng, 0, most, len(window))
    return tuple(low + more for low, more in zip(least, extra, strict=True))


def draw_window(rng, space, *, dilated=True, strided=True, sides=None):
    """A window, stride, dilation and padding; the padding is a word, or numbers for all sides."""
    window, ones = integers(rng, 1, 3 if space == 3 else 4, space), (1,) * space
    dilation = integers(rng, 1, 3, space) if dilated and rng.random() < 0.5 else ones
    stride = integers(rng, 1, 4, space) if strided and rng.random() < 0.7 else ones
    sides = sides or (lambda taps: integers(rng, 0, taps - 1, 2))
    padding = choose(rng, "valid", "same", tuple(sides(taps) for taps in window))
    return window, stride, dilation, padding


def draw_batch(rng, window, dilation, padding):
    """A random shape (m, *space, c) with room for the window."""
    given = padding if isinstance(padding, tuple) else ((0, 0),) * len(window)
    sizes = size_that_fits(rng, window, dilation, given)
    return *integers(rng, 1, 3, 1), *sizes, *integers(rng, 1, 3, 1)


def draw_layer(rng, space):
    """A random layer of a network: shapes, and options with groups."""
    window, stride, dilation, padding = draw_window(rng, space)
    *images, channels = draw_batch(rng, window, dilation, padding)
    groups, kernels = integers(rng, 1, 3, 2)
    options = {"padding": padding, "stride": stride, "dilation": dilation, "groups": groups}
    return (*images, channels * groups), (*window, channels, kernels * groups), options


def draw_pooling(rng, space, modes, **limits):
    """A random pooling of which every window covers a pixel."""
    while True:
        window, stride, dilation, padding = draw_window(rng, space, **limits)
        shape = draw_batch(rng, window, dilation, padding)
        options = {"stride": stride, "mode": choose(rng, *modes), "padding": padding}
        options |= {"dilation": dilation}
        if all_windows_see_the_image(shape[1:-1], window, options):
            return shape, window, options


def all_windows_see_the_image(sizes, window, options):
    """Whether every window covers a pixel; taps far apart may straddle a small image."""
    dilation = options["dilation"]
    return (options["padding"] == "valid" or set(dilation) == {1}) or min(
        size - (taps - 1) * gap for size, taps, gap in zip(sizes, window, dilation, strict=True)
    ) >= 0


def draw_border(rng, *modes):
    """What the padding holds: one of these modes, and for "constant" perhaps a number."""
    mode = choose(rng, *modes)
    if mode != CONSTANT or rng.random() < 0.5:
        return {"pad_mode": mode}
    return {"pad_mode": mode, "pad_value": choose(rng, -3, -1, 2, 5)}


def channels_first(values, before=1):
    """The last axis put after the first ones, as all of these but JAX have it."""
    return np.moveaxis(values, -1, before)


# ------------------------------------------------------------------------------- SciPy


def every(stride):
    """An index that selects from images (m, *space, c) by the stride."""
    return (slice(None), *(slice(None, None, step) for step in stride))


def draw_correlate2d(rng, space):
    """A gray image, and a kernel that is no larger, as SciPy would swap the two."""
    window = random_window(rng, space)
    sizes = size_that_fits(rng, window, (1, 1), ((0, 0), (0, 0)))
    border = draw_border(rng, "constant", "symmetric", "wrap")
    return sizes, window, {"padding": choose(rng, "valid", "same", "full"), **border}


def correlate2d(images, kernels, padding, pad_mode, pad_value=0):
    """`scipy.signal.correlate2d`, whose "same" also has an odd cell after the image."""
    boundary = {"constant": "fill", "symmetric": "symm", "wrap": "wrap"}[pad_mode]
    return signal.correlate2d(images, kernels, padding, boundary, pad_value)


def draw_correlate(rng, space):
    """A single image without channels, and a kernel that is no larger."""
    window = random_window(rng, space)
    sizes = size_that_fits(rng, window, (1,) * space, ((0, 0),) * space)
    return sizes, window, {"padding": choose(rng, "valid", "full", centred(window))}


def correlate(images, kernels, padding):
    """`scipy.signal.correlate`, whose "same" has an odd cell before the image."""
    mode = padding if isinstance(padding, str) else "same"
    return signal.correlate(images, kernels, mode, method="direct")


def convolve_flipped(images, kernels, padding):
    """`scipy.signal.convolve`, which flips the kernel."""
    mode = padding if isinstance(padding, str) else "same"
    return signal.convolve(images, np.flip(kernels), mode, method="direct")


def draw_channels(rng, space):
    """One image with several channels, and one kernel."""
    window, channels = random_window(rng, space), integers(rng, 1, 4, 1)
    sizes = size_that_fits(rng, window, (1,) * space, ((0, 0),) * space)
    return (*sizes, *channels), (*window, *channels), {"padding": "valid"}


def correlate_channels(images, kernels, padding):
    """`scipy.signal.correlate` with one more dimension, which fits exactly once."""
    return signal.correlate(images, kernels, padding, method="direct")[..., 0]


def centred(window):
    """The padding of libraries that centre a kernel, rounded up, on each pixel."""
    return tuple((taps // 2, taps - 1 - taps // 2) for taps in window)


def draw_centred(rng, space, *pad_modes, channels=3):
    """A kernel centred on each pixel, with a random stride, for each channel alone."""
    window = random_window(rng, space)
    shape = (*integers(rng, 1, 3, 1), *integers(rng, 1, 9, space), *integers(rng, 1, channels, 1))
    options = {"padding": centred(window), "stride": integers(rng, 1, 3, space)}
    return shape, window, options | draw_border(rng, *pad_modes)


SCIPY_MODES = {
    "constant": "constant",
    "edge": "nearest",
    "reflect": "mirror",
    "symmetric": "reflect",
    "wrap": "wrap",
}


def ndimage_correlate(images, kernels, padding, stride, pad_mode, pad_value=0):
    """`scipy.ndimage.correlate` on every pixel of (m, *space, c), of which the stride selects."""
    assert padding == centred(kernels.shape)
    kernel = kernels[np.newaxis, ..., np.newaxis]
    everywhere = ndimage.correlate(images, kernel, mode=SCIPY_MODES[pad_mode], cval=pad_value)
    return everywhere[every(stride)]


def draw_centred_pooling(rng, space, modes, dilations=3, borders=()):
    """A window centred on each pixel, with a random stride and perhaps one of these borders."""
    window = integers(rng, 1, 3 if space == 3 else 4, space)
    dilation = integers(rng, 1, dilations, space)
    reach = reach_of(window, dilation)
    options = {"padding": centred(reach), "stride": integers(rng, 1, 3, space)}
    # Taps that are far apart may straddle a small image, so it has at least the size of a window.
    sizes = tuple(r + extra for r, extra in zip(reach, integers(rng, 0, 5, space), strict=True))
    shape = (*integers(rng, 1, 3, 1), *sizes, *integers(rng, 1, 3, 1))
    border = draw_border(rng, *borders) if borders and rng.random() < 0.6 else {}
    return shape, window, options | {"dilation": dilation, "mode": choose(rng, *modes)} | border


def ndimage_extremes(images, window, padding, stride, dilation, mode, pad_mode=None, pad_value=0):
    """The maximum or minimum filter with a footprint, by default with a border that never wins.

    SciPy takes the border's value as a float64, which cannot represent the largest int64.
    """
    reach = reach_of(window, dilation)
    assert padding == centred(reach)
    footprint = np.zeros((1, *reach, 1), bool)
    footprint[every(dilation)] = True
    if pad_mode is None:
        pad_mode, pad_value = CONSTANT, extremes(images.dtype)[0 if mode == "max" else 1]
    border = {"mode": SCIPY_MODES[pad_mode], "cval": pad_value}
    function = {"max": ndimage.maximum_filter, "min": ndimage.minimum_filter}[mode]
    return function(images, footprint=footprint, **border)[every(stride)]


def extremes(dtype):
    """The values that never win as a maximum and as a minimum of such numbers."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def draw_uniform(rng, space):
    """A mean that counts the padding as zeros, or as what it holds."""
    shape, window, options = draw_centred_pooling(rng, space, ["avg"], 1, SCIPY_MODES)
    return shape, window, options | {"count_padding": True}


def ndimage_uniform(
    images, window, padding, stride, dilation, mode, count_padding, pad_mode=CONSTANT, pad_value=0
):
    """`scipy.ndimage.uniform_filter`, which computes running sums."""
    assert (padding, set(dilation)) == (centred(window), {1})
    assert (mode, count_padding) == ("avg", True)
    border = {"mode": SCIPY_MODES[pad_mode], "cval": pad_value}
    pooled = ndimage.uniform_filter(images.astype(float), (1, *window, 1), **border)
    return pooled[every(stride)]


def ndimage_sums(images, window, padding, stride, dilation, mode, pad_mode=CONSTANT, pad_value=0):
    """`scipy.ndimage.correlate` with a footprint of ones."""
    reach = reach_of(window, dilation)
    assert (padding, mode) == (centred(reach), "sum")
    footprint = np.zeros((1, *reach, 1), images.dtype)
    footprint[every(dilation)] = 1
    border = {"mode": SCIPY_MODES[pad_mode], "cval": pad_value}
    return ndimage.correlate(images, footprint, **border)[every(stride)]


# ------------------------------------------------------------------------------ OpenCV

OPENCV_BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
}


def each_image(images, function, stride):
    """Apply a function of (h, w, c) to each image and select by the stride.

    OpenCV drops the axis of a single channel, which is put back.
    """
    results = [function(np.ascontiguousarray(image)) for image in images]
    results = [result.reshape(*result.shape[:2], images.shape[-1]) for result in results]
    return np.stack(results)[every(stride)]


def filter2d(images, kernels, padding, stride, pad_mode, pad_value=0):
    """`cv2.filter2D`; where it cannot pad, this border is made first and cut off again."""
    assert padding == centred(kernels.shape)
    if pad_mode != "wrap" and not pad_value:
        border = OPENCV_BORDERS[pad_mode]
        return each_image(images, lambda i: cv2.filter2D(i, -1, kernels, borderType=border), stride)
    ((top, bottom), (left, right)), (h, w) = padding, images.shape[1:3]
    border = (OPENCV_BORDERS | {"wrap": cv2.BORDER_WRAP})[pad_mode]

    def padded(image):
        value = [pad_value] * 4
        image = cv2.copyMakeBorder(image, top, bottom, left, right, border, value=value)
        return cv2.filter2D(image, -1, kernels)[top : top + h, left : left + w]

    return each_image(images, padded, stride)


def opencv_extremes(images, window, padding, stride, dilation, mode, pad_mode=None, pad_value=0):
    """Morphological dilation, which is a maximum, and erosion, which is a minimum."""
    reach = reach_of(window, dilation)
    assert padding == centred(reach)
    footprint = np.zeros(reach, np.uint8)
    footprint[:: dilation[0], :: dilation[1]] = 1
    border = {}
    if pad_mode is not None:
        border = {"borderType": OPENCV_BORDERS[pad_mode], "borderValue": [pad_value] * 4}
    function = {"max": cv2.dilate, "min": cv2.erode}[mode]
    return each_image(images, lambda image: function(image, footprint, **border), stride)


def draw_box(rng, space):
    """Sums, and means that count the padding as zeros, or as the pixels that it holds."""
    borders = ("edge", "reflect", "symmetric")
    shape, window, options = draw_centred_pooling(rng, space, ["avg", "sum"], 1, borders)
    return shape, window, options | {"count_padding": True}


def opencv_box(images, window, padding, stride, dilation, mode, count_padding, pad_mode=CONSTANT):
    """`cv2.boxFilter`, which computes running sums and may divide them."""
    assert (padding, dilation, count_padding) == (centred(window), (1, 1), True)
    options = {"normalize": mode == "avg", "borderType": OPENCV_BORDERS[pad_mode]}
    return each_image(images, lambda i: cv2.boxFilter(i, -1, window[::-1], **options), stride)


# --------------------------------------------------------- ONNX's reference evaluator


def onnx_run(operator, arrays, **attributes):
    """Run one ONNX operator on arrays that have their channels first."""
    names = "xw"[: len(arrays)]
    node = onnx.helper.make_node(operator, [*names], ["y"], **attributes)
    (result,) = ReferenceEvaluator(node).run(None, dict(zip(names, arrays, strict=True)))
    return np.moveaxis(result, 1, -1)


def onnx_padding(padding):
    """The operator's attribute for a padding: all numbers of cells before, then those after."""
    if isinstance(padding, str):
        return {"auto_pad": {"valid": "VALID", "same": "SAME_UPPER"}[padding]}
    return {"pads": [side for sides in zip(*padding, strict=True) for side in sides]}


def onnx_conv(images, kernels, padding, stride, dilation, groups):
    """ONNX's operator Conv."""
    return onnx_run(
        "Conv",
        (channels_first(images), channels_first(channels_first(kernels, 0), 1)),
        strides=stride,
        dilations=dilation,
        group=groups,
        **onnx_padding(padding),
    )


def draw_onnx_pooling(rng, space, modes):
    """A random pooling, of the kinds on which the reference evaluator follows its own operator.

    (1) SAME_UPPER: where the stride skips pixels, it pads by a negative number.
    (2) AveragePool: with an automatic padding it ignores the dilation.
    (3) AveragePool: it puts half of the cells that a partial window hangs over before the image.
    (4) MaxPool: at stride 1 without dilation, it fails or makes wrong sizes with a padding in
        numbers, and with an automatic one on signals and volumes.
    """
    while True:
        shape, window, options = draw_pooling(rng, space, modes)
        stride, dilation, padding = options["stride"], options["dilation"], options["padding"]
        options["partial"] = not isinstance(padding, str) and bool(rng.random() < 0.5)
        average = options["mode"] == "avg"
        options["count_padding"] = average and bool(rng.random() < 0.5)
        fine = True
        for axis, reach in enumerate(reach_of(window, dilation)):
            size = shape[1 + axis]
            if padding == "same":
                last = (ceil(size / stride[axis]) - 1) * stride[axis] + reach
                fine &= last >= size  # (1)
            if options["partial"] and average:
                room = size + sum(padding[axis]) - reach
                fine &= -room % stride[axis] <= 1  # (3)
        if isinstance(padding, str) and average:
            fine &= set(dilation) == {1}  # (2)
        if not average and {*stride, *dilation} == {1}:
            fine &= padding == "valid" or (padding == "same" and space == 2)  # (4)
        if fine:
            return shape, window, options


def onnx_pool(images, window, padding, stride, dilation, mode, partial, count_padding):
    """ONNX's operators MaxPool and AveragePool."""
    attributes = onnx_padding(padding) | {"count_include_pad": int(count_padding)}
    if mode == "max":
        del attributes["count_include_pad"]
    if not isinstance(padding, str):
        attributes["ceil_mode"] = int(partial)
    return onnx_run(
        {"max": "MaxPool", "avg": "AveragePool"}[mode],
        (channels_first(images),),
        kernel_shape=window,
        strides=stride,
        dilations=dilation,
        **attributes,
    )


# ----------------------------------------------------------------------------- PyTorch

TORCH_MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}
TORCH_MODES["wrap"] = "circular"


def torch_padded(images, padding, pad_mode, pad_value):
    """The images, channels first, after `torch.nn.functional.pad`."""
    import torch  # noqa: PLC0415  # only where it is installed

    sides = [cells for pair in reversed(padding) for cells in pair]  # of the last axis first
    value = {"value": pad_value} if pad_mode == CONSTANT else {}
    return torch.nn.functional.pad(images, sides, TORCH_MODES[pad_mode], **value)


def both_sides(rng, taps):
    """A padding for PyTorch's pooling: one number for both sides, at most half the window."""
    return integers(rng, 0, taps // 2, 1) * 2


def draw_torch_conv(rng, space):
    """A random layer; "same" needs stride 1, and other borders less padding than the image."""
    while True:
        shape, kernels, options = draw_layer(rng, space)
        padding = options["padding"]
        if isinstance(padding, str):
            if padding == "same" and set(options["stride"]) != {1}:
                continue
        elif torch_pads(shape, padding):
            options |= draw_border(rng, *TORCH_MODES)
        return shape, kernels, options


def torch_pads(shape, padding):
    """Whether there is less padding than image."""
    return all(max(sides) < size for sides, size in zip(padding, shape[1:-1], strict=True))


def torch_conv(images, kernels, padding, stride, dilation, groups, pad_mode=CONSTANT, pad_value=0):
    """`torch.nn.functional.conv2d` and its like, after `pad` where they cannot pad themselves."""
    import torch  # noqa: PLC0415  # only where it is installed

    function = getattr(torch.nn.functional, f"conv{images.ndim - 2}d")
    images = torch.from_numpy(channels_first(images).copy())
    kernels = torch.from_numpy(channels_first(channels_first(kernels, 0), 1).copy())
    if not isinstance(padding, str):
        images, padding = torch_padded(images, padding, pad_mode, pad_value), 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
        result = function(images, kernels, None, stride, padding, dilation, groups)
    return np.moveaxis(result.numpy(), 1, -1)


def draw_torch_pooling(rng, space, modes, *, dilated):
    """A random pooling, with a padding in numbers that are the same on both sides.

    `avg_pool3d` also takes no images that are smaller than a window.
    """
    while True:
        limits = {"dilated": dilated, "sides": lambda taps: both_sides(rng, taps)}
        shape, window, options = draw_pooling(rng, space, modes, **limits)
        if options["padding"] == "same" or (space == 3 and np.less(shape[1:-1], window).any()):
            continue
        if isinstance(options["padding"], tuple) and rng.random() < 0.4:
            if torch_pads(shape, options["padding"]):
                return shape, window, options | draw_border(rng, *TORCH_MODES)
            continue
        options["partial"] = bool(rng.random() < 0.5)
        options["count_padding"] = options["mode"] == "avg" and bool(rng.random() < 0.5)
        return shape, window, options


def torch_pool(
    images,
    window,
    padding,
    stride,
    dilation,
    mode,
    partial=False,
    count_padding=False,
    pad_mode=None,
    pad_value=0,
):
    """`max_pool2d`, `avg_pool2d` and so on; a minimum is the maximum of the negative, negative."""
    import torch  # noqa: PLC0415  # only where it is installed

    space = images.ndim - 2
    images = torch.from_numpy(channels_first(images).copy())
    sides = (0,) * space if padding == "valid" else tuple(before for before, _ in padding)
    if pad_mode is not None:
        images, sides = torch_padded(images, padding, pad_mode, pad_value), (0,) * space
    if mode == "avg":
        function = getattr(torch.nn.functional, f"avg_pool{space}d")
        pooled = function(
            images, window, stride, sides, ceil_mode=partial, count_include_pad=count_padding
        )
    else:
        function = getattr(torch.nn.functional, f"max_pool{space}d")
        sign = 1 if mode == "max" else -1
        pooled = sign * function(sign * images, window, stride, sides, dilation, ceil_mode=partial)
    return np.moveaxis(pooled.numpy(), 1, -1)


# --------------------------------------------------------------------------------- JAX


def jax_padding(padding):
    """The padding in capitals if it is a word, as JAX has it."""
    return padding.upper() if isinstance(padding, str) else padding


def jax_conv(images, kernels, padding, stride, dilation, groups):
    """`jax.lax.conv_general_dilated`, with the layout of convlens."""
    import jax  # noqa: PLC0415  # only where it is installed

    space = "DHW"[-(images.ndim - 2) :]
    jax.config.update("jax_enable_x64", True)
    result = jax.lax.conv_general_dilated(
        images,
        kernels,
        stride,
        jax_padding(padding),
        rhs_dilation=dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=groups,
        precision=jax.lax.Precision.HIGHEST,
    )
    return np.asarray(result)


def jax_pool(images, window, padding, stride, dilation, mode):
    """`jax.lax.reduce_window`."""
    import jax  # noqa: PLC0415  # only where it is installed

    operator, start = {
        "max": (jax.lax.max, extremes(images.dtype)[0]),
        "min": (jax.lax.min, extremes(images.dtype)[1]),
        "sum": (jax.lax.add, 0),
    }[mode]
    if isinstance(padding, tuple):
        padding = ((0, 0), *padding, (0, 0))
    jax.config.update("jax_enable_x64", True)
    result = jax.lax.reduce_window(
        images,
        images.dtype.type(start),
        operator,
        (1, *window, 1),
        (1, *stride, 1),
        jax_padding(padding),
        window_dilation=(1, *dilation, 1),
    )
    return np.asarray(result)


# --------------------------------------------------------------------------- the table

IMAGES_ALONE = [  # peers that know nothing but images
    Peer("scipy.signal.correlate2d", convolve, draw_correlate2d, correlate2d, exact="i8"),
    Peer(
        "cv2.filter2D",
        convolve,
        lambda rng, space: draw_centred(rng, space, *OPENCV_BORDERS, "wrap"),
        filter2d,
    ),
    Peer(
        "cv2.dilate",
        pool,
        lambda rng, space: draw_centred_pooling(rng, space, ["max", "min"], 3, OPENCV_BORDERS),
        opencv_extremes,
        exact="i2",
    ),
    Peer("cv2.boxFilter", pool, draw_box, opencv_box, terms=lambda s: 2 * sum(s)),
]


def peers(space):
    """The peers that know any number of axes, for calls with so many."""
    of_space = "" if space == 2 else f" {space}d"
    calls = 100 if space == 2 else 50
    light = [
        Peer("scipy.signal.correlate", convolve, draw_correlate, correlate, exact="i8"),
        Peer("scipy.signal.convolve", convolve, draw_correlate, convolve_flipped, exact="i8"),
        Peer(
            "scipy.signal.correlate of channels",
            convolve,
            draw_channels,
            correlate_channels,
            exact="i8",
        ),
        Peer(
            "scipy.ndimage.correlate",
            convolve,
            lambda rng, space: draw_centred(rng, space, *SCIPY_MODES),
            ndimage_correlate,
            exact="i8",
        ),
        Peer(
            "scipy.ndimage.maximum_filter",
            pool,
            lambda rng, space: draw_centred_pooling(rng, space, ["max", "min"], 3, SCIPY_MODES),
            ndimage_extremes,
            exact="i2",
        ),
        Peer("scipy.ndimage.uniform_filter", pool, draw_uniform, ndimage_uniform, terms=sum),
        Peer(
            "scipy.ndimage.correlate with ones",
            pool,
            lambda rng, space: draw_centred_pooling(rng, space, ["sum"], 3, SCIPY_MODES),
            ndimage_sums,
            exact="i8",
        ),
        Peer("onnx Conv", convolve, draw_layer, onnx_conv),
        Peer(
            "onnx MaxPool",
            pool,
            lambda rng, space: draw_onnx_pooling(rng, space, ["max"]),
            onnx_pool,
        ),
        Peer(
            "onnx AveragePool",
            pool,
            lambda rng, space: draw_onnx_pooling(rng, space, ["avg"]),
            onnx_pool,
        ),
    ]
    heavy = [
        Peer(f"torch conv{space}d", convolve, draw_torch_conv, torch_conv, module="torch"),
        Peer(
            f"torch max_pool{space}d",
            pool,
            lambda rng, space: draw_torch_pooling(rng, space, ["max", "min"], dilated=True),
            torch_pool,
            module="torch",
        ),
        Peer(
            f"torch avg_pool{space}d",
            pool,
            lambda rng, space: draw_torch_pooling(rng, space, ["avg"], dilated=False),
            torch_pool,
            module="torch",
        ),
    ]
    # JAX compiles every call, which is slow.
    slow = [
        Peer("jax conv_general_dilated", convolve, draw_layer, jax_conv, module="jax"),
        Peer(
            "jax reduce_window",
            pool,
            lambda rng, space: draw_pooling(rng, space, ["max", "min", "sum"]),
            jax_pool,
            exact="i8",
            module="jax",
        ),
    ]
    return [
        *(each._replace(name=each.name + of_space, space=space, calls=calls) for each in light),
        *(each._replace(space=space, calls=calls) for each in heavy),
        *(
            each._replace(name=each.name + of_space, space=space, calls=calls * 2 // 5)
            for each in slow
        ),
    ]


PEERS = [*IMAGES_ALONE, *(peer for space in (2, 1, 3) for peer in peers(space))]


# -------------------------------------------------------------------------- the tests


def numbers(rng, shape, kind):
    """Small integers, or floats of both signs."""
    if kind == "integers":
        return rng.integers(-100, 101, shape)
    return rng.standard_normal(shape).astype(kind)


def rounding(peer, images, given, options):
    """How far two sums of the same terms may differ, in whatever order they are added."""
    if options.get("mode") in ("max", "min"):
        return 0
    pixel = max(np.abs(images).max(), abs(options.get("pad_value", 0)))
    if peer.call is convolve:
        terms = prod(given.shape[: peer.space + 1])  # of one kernel
        magnitudes = np.abs(given).reshape(terms, -1).sum(0).max()
    else:
        terms = prod(given)
        magnitudes = terms if options["mode"] == "sum" else 1
    precision = np.finfo(np.result_type(images, np.float32)).eps
    return (terms + 1 + peer.terms(images.shape)) * precision * pixel * magnitudes


@pytest.mark.parametrize("kind", ["integers", "f8", "f4"])
@pytest.mark.parametrize("peer", PEERS, ids=[peer.name.replace(" ", ".") for peer in PEERS])
def test_peer(peer, kind):
    """Random calls that the peer can express give what the peer computes."""
    pytest.importorskip(peer.module)
    rng = np.random.default_rng([PEERS.index(peer), len(kind)])
    for _ in range(peer.calls):
        shape, given, options = peer.draw(rng, peer.space)
        images = numbers(rng, shape, kind)
        theirs = [images.astype(peer.exact) if kind == "integers" else images]
        if peer.call is convolve:
            given = numbers(rng, given, kind)
            theirs.append(given.astype(peer.exact) if kind == "integers" else given)
        else:
            theirs.append(given)
        ours = peer.call(images, given, **options, space=peer.space)
        theirs = peer.compute(*theirs, **options)
        exact = kind == "integers" and options.get("mode") != "avg"
        bound = 0 if exact else rounding(peer, images, given, options)
        assert ours.shape == theirs.shape, (shape, options)
        np.testing.assert_allclose(
            ours.astype(float), theirs.astype(float), rtol=0, atol=bound, err_msg=f"{options}"
        )


def gaussian(sigma):
    """SciPy's gaussian along one axis."""
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return weights / weights.sum()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("pad_mode", SCIPY_MODES)
@pytest.mark.parametrize("size", [(90,), (30, 41), (14, 15, 16)], ids=str)
def test_gaussian_filter(size, pad_mode, dtype):
    """A gaussian, whose kernel is a product, blurs as `scipy.ndimage.gaussian_filter` does."""
    images = np.random.default_rng(0).standard_normal(size).astype(dtype)
    sigmas = (1.5, 0.8, 1.1)[: len(size)]
    kernel = reduce(np.multiply.outer, map(gaussian, sigmas)).astype(dtype)
    pad_value = 2.5 if pad_mode == CONSTANT else 0
    border = {"pad_mode": pad_mode, "pad_value": pad_value}
    theirs = ndimage.gaussian_filter(images, sigmas, mode=SCIPY_MODES[pad_mode], cval=pad_value)
    for method in ("auto", "numpy"):
        ours = convolve(images, kernel, **border, method=method, space=len(size))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=20 * np.finfo(dtype).eps)


ALWAYS_HERE = [peer for peer in PEERS if peer.module == "numpy"]
ASKED = {
    convolve: {
        "padding": {"valid", "same", "full", "given"},
        "pad_mode": {"constant", "edge", "reflect", "symmetric", "wrap"},
        "stride": {"1", "more", "two"},
        "dilation": {"1", "more", "two"},
        "groups": {"1", "more"},
        "pad_value": {"a number"},
    },
    pool: {
        "padding": {"valid", "same", "given"},
        "mode": {"max", "min", "avg", "sum"},
        "stride": {"1", "more", "two"},
        "dilation": {"1", "more", "two"},
        "partial": {"True", "False"},
        "count_padding": {"True", "False"},
        "pad_mode": {"constant", "edge", "reflect", "symmetric", "wrap"},
        "pad_value": {"a number"},
    },
}


def in_words(name, value):
    """The kind of value that an option has."""
    if name == "padding":
        return value if isinstance(value, str) else "given"
    if name in ("stride", "dilation", "groups"):
        ways = set(value) if isinstance(value, tuple) else {value}
        return "two" if len(ways) > 1 else "1" if ways == {1} else "more"
    return "a number" if name == "pad_value" else str(value)


@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize("call", [convolve, pool], ids=["convolve", "pool"])
def test_together_they_are_asked_everything(call, space):
    """The peers that are always installed cover every option, and each kind of its values."""
    asked, expected = {name: set() for name in ASKED[call]}, ASKED[call]
    if space == 1:  # a single number is not two
        expected = {name: values - {"two"} for name, values in expected.items()}
    for peer in ALWAYS_HERE:
        if peer.call is call and peer.space == space:
            rng = np.random.default_rng(1)
            for _ in range(peer.calls):
                for name, value in peer.draw(rng, peer.space)[-1].items():
                    asked[name].add(in_words(name, value))
    assert asked == expected


# ------------------------------------------------------------------- what differs

BYTES = np.full((5, 5), 200, np.uint8)
NINE = np.ones((3, 3), np.uint8)
SILENT = {
    "scipy.signal.correlate2d": (lambda: signal.correlate2d(BYTES, NINE, "valid"), 1800 % 256),
    "scipy.signal.correlate": (lambda: signal.correlate(BYTES, NINE, "valid"), 1800 % 256),
    "scipy.ndimage.correlate": (lambda: ndimage.correlate(BYTES, NINE), 1800 % 256),
    "cv2.filter2D": (lambda: cv2.filter2D(BYTES, -1, NINE), 255),
}


@pytest.mark.parametrize("name", SILENT)
def test_nine_times_200(name):
    """Nine pixels of 200 add up to 1800, where SciPy silently wraps and OpenCV saturates."""
    compute, wrong = SILENT[name]
    result = compute()
    assert result.dtype == np.uint8
    assert (result == wrong).all()
    ours = convolve(BYTES, NINE, "valid")
    assert ours.dtype == np.int64
    assert (ours == 1800).all()


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
def test_pictures_are_clipped_as_in_opencv(dtype):
    """A batch of pictures under integers has other pixels than a loop of `cv2.filter2D`."""
    rng = np.random.default_rng(0)
    limits = np.iinfo(dtype)
    for number in range(60):
        side, c = choose(rng, 1, 3, 5, 7), choose(rng, 1, 3, 4)
        images = rng.integers(limits.min, limits.max, (3, 23, 40, c), dtype, endpoint=True)
        kernel = rng.integers(-4, 5, (side, side))
        mode = choose(rng, *OPENCV_BORDERS)
        border, as_floats = OPENCV_BORDERS[mode], kernel.astype(np.float64)
        theirs = each_image(
            images, lambda i, k=as_floats, b=border: cv2.filter2D(i, -1, k, borderType=b), (1, 1)
        )
        ours = convolve(images, kernel, pad_mode=mode, dtype=dtype, overflow="saturate")
        np.testing.assert_array_equal(ours, theirs, err_msg=f"call {number}: {side}, {mode}")


def test_nine_times_200_in_bytes():
    """dtype=uint8 is refused for this sum, as it does not fit."""
    with pytest.raises(ValueError, match=r"dtype=uint8 cannot hold every result.* 0 to 2295"):
        convolve(BYTES, NINE, dtype=np.uint8)
