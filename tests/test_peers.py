"""Random calls give what other libraries compute, for the kinds of calls that these can express.

The table `PEERS` says for each library how to draw calls that it can express, as arguments of
convlens, and how it computes them. Integers must agree exactly. Floats must agree within the
rounding of a sum: for n terms, added in whatever order, this is at most n units in the last place
of the sum of their magnitudes.
"""

import warnings
from collections.abc import Callable
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
        From a random generator, a call that the peer can express: the images' shape, the kernels'
        shape or the window, and the options, all as `convlens` takes them.
    compute : callable
        From images, kernels or window, and options, the peer's result.
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
    exact: str = "f8"
    terms: Callable = lambda _shape: 0
    module: str = "numpy"
    calls: int = 100


# --------------------------------------------------------------------- drawing calls


def integers(rng, low, high, count=2):
    """Random integers of Python's type, from low to high, both included."""
    return tuple(rng.integers(low, high + 1, count).tolist())


def choose(rng, *values):
    """A random one of the values."""
    return values[rng.integers(len(values))]


def size_that_fits(rng, window, dilation, padding, most=8):
    """Random sizes of an image that, with its padding, has room for the window."""
    reach = ((taps - 1) * gap + 1 for taps, gap in zip(window, dilation, strict=True))
    least = [max(1, r - sum(p)) for r, p in zip(reach, padding, strict=True)]
    return tuple(low + extra for low, extra in zip(least, integers(rng, 0, most), strict=True))


def draw_window(rng, *, dilated=True, strided=True, sides=None):
    """A window, stride, dilation and padding; the padding is a word, or numbers for all sides."""
    window = integers(rng, 1, 4)
    dilation = integers(rng, 1, 3) if dilated and rng.random() < 0.5 else (1, 1)
    stride = integers(rng, 1, 4) if strided and rng.random() < 0.7 else (1, 1)
    sides = sides or (lambda taps: integers(rng, 0, taps - 1))
    padding = choose(rng, "valid", "same", tuple(sides(taps) for taps in window))
    return window, stride, dilation, padding


def draw_batch(rng, window, dilation, padding):
    """A random shape (m, h, w, c) with room for the window."""
    given = padding if isinstance(padding, tuple) else ((0, 0), (0, 0))
    sizes = size_that_fits(rng, window, dilation, given)
    return *integers(rng, 1, 3, 1), *sizes, *integers(rng, 1, 3, 1)


def draw_layer(rng):
    """A random layer of a network: shapes, and options with groups."""
    window, stride, dilation, padding = draw_window(rng)
    m, h, w, channels = draw_batch(rng, window, dilation, padding)
    groups, kernels = integers(rng, 1, 3)
    options = {"padding": padding, "stride": stride, "dilation": dilation, "groups": groups}
    return (m, h, w, channels * groups), (*window, channels, kernels * groups), options


def draw_pooling(rng, modes, **limits):
    """A random pooling of which every window covers a pixel."""
    while True:
        window, stride, dilation, padding = draw_window(rng, **limits)
        shape = draw_batch(rng, window, dilation, padding)
        options = {"stride": stride, "mode": choose(rng, *modes), "padding": padding}
        options |= {"dilation": dilation}
        if all_windows_see_the_image(shape[1:3], window, options):
            return shape, window, options


def all_windows_see_the_image(sizes, window, options):
    """Whether every window covers a pixel; taps far apart may straddle a small image."""
    return (options["padding"] == "valid" or options["dilation"] == (1, 1)) or min(
        size - (taps - 1) * gap
        for size, taps, gap in zip(sizes, window, options["dilation"], strict=True)
    ) >= 0


# ------------------------------------------------------------------------------- SciPy


def draw_correlate2d(rng):
    """A gray image, and a kernel that is no larger, as SciPy would swap the two."""
    window = integers(rng, 1, 5)
    sizes = size_that_fits(rng, window, (1, 1), ((0, 0), (0, 0)))
    pad_mode = choose(rng, "constant", "symmetric", "wrap")
    return sizes, window, {"padding": choose(rng, "valid", "same", "full"), "pad_mode": pad_mode}


def correlate2d(images, kernels, padding, pad_mode):
    """`scipy.signal.correlate2d`, whose "same" also has an odd cell after the image."""
    boundary = {"constant": "fill", "symmetric": "symm", "wrap": "wrap"}[pad_mode]
    return signal.correlate2d(images, kernels, padding, boundary)


def draw_correlate(rng):
    """One image with several channels, and one kernel."""
    window, channels = integers(rng, 1, 5), integers(rng, 1, 4, 1)
    sizes = size_that_fits(rng, window, (1, 1), ((0, 0), (0, 0)))
    return (*sizes, *channels), (*window, *channels), {"padding": "valid"}


def correlate(images, kernels, padding):
    """`scipy.signal.correlate` in three dimensions, of which the last fits exactly once."""
    return signal.correlate(images, kernels, padding, method="direct")[..., 0]


def centred(window):
    """The padding of libraries that centre a kernel, rounded up, on each pixel."""
    return tuple((taps // 2, taps - 1 - taps // 2) for taps in window)


def draw_centred(rng, *pad_modes, channels=3):
    """A kernel centred on each pixel, with a random stride, for each channel alone."""
    window = integers(rng, 1, 5)
    shape = (*integers(rng, 1, 3, 1), *integers(rng, 1, 9), *integers(rng, 1, channels, 1))
    options = {"padding": centred(window), "stride": integers(rng, 1, 3)}
    return shape, window, options | {"pad_mode": choose(rng, *pad_modes)}


SCIPY_MODES = {
    "constant": "constant",
    "edge": "nearest",
    "reflect": "mirror",
    "symmetric": "reflect",
    "wrap": "wrap",
}


def ndimage_correlate(images, kernels, padding, stride, pad_mode):
    """`scipy.ndimage.correlate` on every pixel of (m, h, w, c), of which the stride selects."""
    assert padding == centred(kernels.shape)
    kernel = kernels[np.newaxis, :, :, np.newaxis]
    everywhere = ndimage.correlate(images, kernel, mode=SCIPY_MODES[pad_mode], cval=0)
    return everywhere[:, :: stride[0], :: stride[1]]


def draw_centred_pooling(rng, modes, dilations=3):
    """A window centred on each pixel, with a random stride."""
    window, dilation = integers(rng, 1, 4), integers(rng, 1, dilations)
    reach = tuple((taps - 1) * gap + 1 for taps, gap in zip(window, dilation, strict=True))
    options = {"padding": centred(reach), "stride": integers(rng, 1, 3), "dilation": dilation}
    # Taps that are far apart may straddle a small image, so it has at least the size of a window.
    sizes = tuple(r + extra for r, extra in zip(reach, integers(rng, 0, 5), strict=True))
    shape = (*integers(rng, 1, 3, 1), *sizes, *integers(rng, 1, 3, 1))
    return shape, window, options | {"mode": choose(rng, *modes)}


def ndimage_extremes(images, window, padding, stride, dilation, mode):
    """The maximum or minimum filter with a footprint, and a border that never wins.

    SciPy takes the border's value as a float64, which cannot represent the largest int64.
    """
    reach = [(taps - 1) * gap + 1 for taps, gap in zip(window, dilation, strict=True)]
    assert padding == centred(reach)
    footprint = np.zeros((1, *reach, 1), bool)
    footprint[:, :: dilation[0], :: dilation[1]] = True
    lowest, highest = extremes(images.dtype)
    if mode == "max":
        pooled = ndimage.maximum_filter(images, footprint=footprint, mode=CONSTANT, cval=lowest)
    else:
        pooled = ndimage.minimum_filter(images, footprint=footprint, mode=CONSTANT, cval=highest)
    return pooled[:, :: stride[0], :: stride[1]]


def extremes(dtype):
    """The values that never win as a maximum and as a minimum of such numbers."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def draw_uniform(rng):
    """A mean that counts the padding as zeros."""
    shape, window, options = draw_centred_pooling(rng, ["avg"], dilations=1)
    return shape, window, options | {"count_padding": True}


def ndimage_uniform(images, window, padding, stride, dilation, mode, count_padding):
    """`scipy.ndimage.uniform_filter`, which computes running sums."""
    assert (padding, dilation, mode, count_padding) == (centred(window), (1, 1), "avg", True)
    pooled = ndimage.uniform_filter(images.astype(float), (1, *window, 1), mode=CONSTANT)
    return pooled[:, :: stride[0], :: stride[1]]


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
    return np.stack(results)[:, :: stride[0], :: stride[1]]


def filter2d(images, kernels, padding, stride, pad_mode):
    """`cv2.filter2D`; it cannot wrap, so that this border is made first and cut off again."""
    assert padding == centred(kernels.shape)
    if pad_mode != "wrap":
        border = OPENCV_BORDERS[pad_mode]
        return each_image(images, lambda i: cv2.filter2D(i, -1, kernels, borderType=border), stride)
    ((top, bottom), (left, right)), (h, w) = padding, images.shape[1:3]

    def wrapped(image):
        image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_WRAP)
        return cv2.filter2D(image, -1, kernels)[top : top + h, left : left + w]

    return each_image(images, wrapped, stride)


def opencv_extremes(images, window, padding, stride, dilation, mode):
    """Morphological dilation, which is a maximum, and erosion, which is a minimum."""
    reach = [(taps - 1) * gap + 1 for taps, gap in zip(window, dilation, strict=True)]
    assert padding == centred(reach)
    footprint = np.zeros(reach, np.uint8)
    footprint[:: dilation[0], :: dilation[1]] = 1
    function = {"max": cv2.dilate, "min": cv2.erode}[mode]
    return each_image(images, lambda image: function(image, footprint), stride)


def draw_box(rng):
    """Sums, and means that count the padding as zeros."""
    shape, window, options = draw_centred_pooling(rng, ["avg", "sum"], dilations=1)
    return shape, window, options | {"count_padding": True}


def opencv_box(images, window, padding, stride, dilation, mode, count_padding):
    """`cv2.boxFilter`, which computes running sums and may divide them."""
    assert (padding, dilation, count_padding) == (centred(window), (1, 1), True)
    options = {"normalize": mode == "avg", "borderType": cv2.BORDER_CONSTANT}
    return each_image(images, lambda i: cv2.boxFilter(i, -1, window[::-1], **options), stride)


# --------------------------------------------------------- ONNX's reference evaluator


def onnx_run(operator, arrays, **attributes):
    """Run one ONNX operator on arrays that have their channels first."""
    names = "xw"[: len(arrays)]
    node = onnx.helper.make_node(operator, [*names], ["y"], **attributes)
    (result,) = ReferenceEvaluator(node).run(None, dict(zip(names, arrays, strict=True)))
    return result.transpose(0, 2, 3, 1)


def onnx_padding(padding):
    """The operator's attribute for a padding."""
    if isinstance(padding, str):
        return {"auto_pad": {"valid": "VALID", "same": "SAME_UPPER"}[padding]}
    (top, bottom), (left, right) = padding
    return {"pads": [top, left, bottom, right]}


def onnx_conv(images, kernels, padding, stride, dilation, groups):
    """ONNX's operator Conv."""
    return onnx_run(
        "Conv",
        (images.transpose(0, 3, 1, 2), kernels.transpose(3, 2, 0, 1)),
        strides=stride,
        dilations=dilation,
        group=groups,
        **onnx_padding(padding),
    )


def draw_onnx_pooling(rng, modes):
    """A random pooling, of the kinds on which the reference evaluator follows its own operator.

    (1) SAME_UPPER: where the stride skips pixels, it pads by a negative number.
    (2) AveragePool: with an automatic padding it ignores the dilation.
    (3) AveragePool: it puts half of the cells that a partial window hangs over before the image.
    (4) MaxPool: with a padding in numbers, stride 1 and no dilation, the sizes are wrong.
    """
    while True:
        shape, window, options = draw_pooling(rng, modes)
        stride, dilation, padding = options["stride"], options["dilation"], options["padding"]
        options["partial"] = not isinstance(padding, str) and bool(rng.random() < 0.5)
        average = options["mode"] == "avg"
        options["count_padding"] = average and bool(rng.random() < 0.5)
        fine = True
        for axis in range(2):
            size, reach = shape[1 + axis], (window[axis] - 1) * dilation[axis] + 1
            if padding == "same":
                last = (ceil(size / stride[axis]) - 1) * stride[axis] + reach
                fine &= last >= size  # (1)
            if options["partial"] and average:
                room = size + sum(padding[axis]) - reach
                fine &= -room % stride[axis] <= 1  # (3)
        if isinstance(padding, str) and average:
            fine &= dilation == (1, 1)  # (2)
        if not isinstance(padding, str) and not average:
            fine &= (stride, dilation) != ((1, 1), (1, 1))  # (4)
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
        (images.transpose(0, 3, 1, 2),),
        kernel_shape=window,
        strides=stride,
        dilations=dilation,
        **attributes,
    )


# ----------------------------------------------------------------------------- PyTorch


def both_sides(rng, taps):
    """A padding for PyTorch's pooling: one number for both sides, at most half the window."""
    return integers(rng, 0, taps // 2, 1) * 2


def draw_torch_conv(rng):
    """A random layer; "same" needs stride 1, and other borders less padding than the image."""
    while True:
        shape, kernels, options = draw_layer(rng)
        options["pad_mode"] = choose(rng, "constant", "edge", "reflect", "wrap")
        padding = options["padding"]
        if isinstance(padding, str):
            options["pad_mode"] = "constant"
            if padding == "same" and options["stride"] != (1, 1):
                continue
        elif max(padding[0]) >= shape[1] or max(padding[1]) >= shape[2]:
            continue
        return shape, kernels, options


def torch_conv(images, kernels, padding, stride, dilation, groups, pad_mode):
    """`torch.nn.functional.conv2d`, after `torch.nn.functional.pad` where it cannot pad itself."""
    import torch  # noqa: PLC0415  # only where it is installed

    images = torch.from_numpy(images.transpose(0, 3, 1, 2))
    kernels = torch.from_numpy(kernels.transpose(3, 2, 0, 1))
    if not isinstance(padding, str):
        (top, bottom), (left, right) = padding
        mode = {"edge": "replicate", "wrap": "circular"}.get(pad_mode, pad_mode)
        images = torch.nn.functional.pad(images, (left, right, top, bottom), mode)
        padding = 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
        result = torch.nn.functional.conv2d(
            images, kernels, None, stride, padding, dilation, groups
        )
    return result.permute(0, 2, 3, 1).numpy()


def draw_torch_pooling(rng, modes, *, dilated):
    """A random pooling, with a padding in numbers that are the same on both sides."""
    while True:
        limits = {"dilated": dilated, "sides": lambda taps: both_sides(rng, taps)}
        shape, window, options = draw_pooling(rng, modes, **limits)
        if options["padding"] == "same":
            continue
        options["partial"] = bool(rng.random() < 0.5)
        options["count_padding"] = options["mode"] == "avg" and bool(rng.random() < 0.5)
        return shape, window, options


def torch_pool(images, window, padding, stride, dilation, mode, partial, count_padding):
    """`max_pool2d` and `avg_pool2d`; a minimum is the negative maximum of the negative."""
    import torch  # noqa: PLC0415  # only where it is installed

    images = torch.from_numpy(images.transpose(0, 3, 1, 2))
    sides = (0, 0) if padding == "valid" else (padding[0][0], padding[1][0])
    if mode == "avg":
        pooled = torch.nn.functional.avg_pool2d(
            images, window, stride, sides, ceil_mode=partial, count_include_pad=count_padding
        )
    else:
        sign = 1 if mode == "max" else -1
        pooled = sign * torch.nn.functional.max_pool2d(
            sign * images, window, stride, sides, dilation, ceil_mode=partial
        )
    return pooled.permute(0, 2, 3, 1).numpy()


# --------------------------------------------------------------------------------- JAX


def jax_padding(padding):
    """The padding in capitals if it is a word, as JAX has it."""
    return padding.upper() if isinstance(padding, str) else padding


def jax_conv(images, kernels, padding, stride, dilation, groups):
    """`jax.lax.conv_general_dilated`, with the layout of convlens."""
    import jax  # noqa: PLC0415  # only where it is installed

    jax.config.update("jax_enable_x64", True)
    result = jax.lax.conv_general_dilated(
        images,
        kernels,
        stride,
        jax_padding(padding),
        rhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
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

PEERS = [
    Peer("scipy.signal.correlate2d", convolve, draw_correlate2d, correlate2d, exact="i8"),
    Peer("scipy.signal.correlate", convolve, draw_correlate, correlate, exact="i8"),
    Peer(
        "scipy.ndimage.correlate",
        convolve,
        lambda rng: draw_centred(rng, *SCIPY_MODES),
        ndimage_correlate,
        exact="i8",
    ),
    Peer(
        "scipy.ndimage.maximum_filter",
        pool,
        lambda rng: draw_centred_pooling(rng, ["max", "min"]),
        ndimage_extremes,
        exact="i2",
    ),
    Peer("scipy.ndimage.uniform_filter", pool, draw_uniform, ndimage_uniform, terms=sum),
    Peer(
        "cv2.filter2D", convolve, lambda rng: draw_centred(rng, *OPENCV_BORDERS, "wrap"), filter2d
    ),
    Peer(
        "cv2.dilate",
        pool,
        lambda rng: draw_centred_pooling(rng, ["max", "min"]),
        opencv_extremes,
        exact="i2",
    ),
    Peer("cv2.boxFilter", pool, draw_box, opencv_box, terms=lambda s: 2 * sum(s)),
    Peer("onnx Conv", convolve, draw_layer, onnx_conv),
    Peer("onnx MaxPool", pool, lambda rng: draw_onnx_pooling(rng, ["max"]), onnx_pool),
    Peer("onnx AveragePool", pool, lambda rng: draw_onnx_pooling(rng, ["avg"]), onnx_pool),
    Peer("torch conv2d", convolve, draw_torch_conv, torch_conv, module="torch"),
    Peer(
        "torch max_pool2d",
        pool,
        lambda rng: draw_torch_pooling(rng, ["max", "min"], dilated=True),
        torch_pool,
        module="torch",
    ),
    Peer(
        "torch avg_pool2d",
        pool,
        lambda rng: draw_torch_pooling(rng, ["avg"], dilated=False),
        torch_pool,
        module="torch",
    ),
    # JAX compiles every call, which is slow.
    Peer("jax conv_general_dilated", convolve, draw_layer, jax_conv, module="jax", calls=40),
    Peer(
        "jax reduce_window",
        pool,
        lambda rng: draw_pooling(rng, ["max", "min", "sum"]),
        jax_pool,
        exact="i8",
        module="jax",
        calls=40,
    ),
]


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
    pixel = np.abs(images).max()
    if peer.call is convolve:
        terms = prod(given.shape[:3])  # of one kernel
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
        shape, given, options = peer.draw(rng)
        images = numbers(rng, shape, kind)
        theirs = [images.astype(peer.exact) if kind == "integers" else images]
        if peer.call is convolve:
            given = numbers(rng, given, kind)
            theirs.append(given.astype(peer.exact) if kind == "integers" else given)
        else:
            theirs.append(given)
        ours = peer.call(images, given, **options)
        theirs = peer.compute(*theirs, **options)
        exact = kind == "integers" and options.get("mode") != "avg"
        bound = 0 if exact else rounding(peer, images, given, options)
        assert ours.shape == theirs.shape, (shape, options)
        np.testing.assert_allclose(
            ours.astype(float), theirs.astype(float), rtol=0, atol=bound, err_msg=f"{options}"
        )


ALWAYS_HERE = [peer for peer in PEERS if peer.module == "numpy"]
ASKED = {
    convolve: {
        "padding": {"valid", "same", "full", "given"},
        "pad_mode": {"constant", "edge", "reflect", "symmetric", "wrap"},
        "stride": {"1", "more", "two"},
        "dilation": {"1", "more", "two"},
        "groups": {"1", "more"},
    },
    pool: {
        "padding": {"valid", "same", "given"},
        "mode": {"max", "min", "avg", "sum"},
        "stride": {"1", "more", "two"},
        "dilation": {"1", "more", "two"},
        "partial": {"True", "False"},
        "count_padding": {"True", "False"},
    },
}


def in_words(name, value):
    """The kind of value that an option has."""
    if name == "padding":
        return value if isinstance(value, str) else "given"
    if name in ("stride", "dilation", "groups"):
        ways = set(value) if isinstance(value, tuple) else {value}
        return "two" if len(ways) > 1 else "1" if ways == {1} else "more"
    return str(value)


@pytest.mark.parametrize("call", [convolve, pool], ids=["convolve", "pool"])
def test_together_they_are_asked_everything(call):
    """The peers that are always installed cover every option, and each kind of its values."""
    asked = {name: set() for name in ASKED[call]}
    for peer in ALWAYS_HERE:
        if peer.call is call:
            rng = np.random.default_rng(1)
            for _ in range(peer.calls):
                for name, value in peer.draw(rng)[-1].items():
                    asked[name].add(in_words(name, value))
    assert asked == ASKED[call]


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


def test_nine_times_200_in_bytes():
    """dtype=uint8 is refused for this sum, as it does not fit."""
    with pytest.raises(ValueError, match=r"dtype=uint8 cannot hold every result.* 0 to 2295"):
        convolve(BYTES, NINE, dtype=np.uint8)
