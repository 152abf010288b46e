"""A call takes less than 32 MB beyond input and output, whatever the sizes.

NumPy reports the memory of all its arrays to `tracemalloc`. The inputs are zeros, which take hardly
any time to make; copies of them would still count in full.
"""

import tracemalloc

import numpy as np
import pytest
from strategies import PAD_MODES, POOL_MODES, each_method

import convlens

pytestmark = each_method

LIMIT = 32_000_000


def check(function, *arguments, **options):
    """Fail if the call takes more than the limit, its result not counted."""
    tracemalloc.start()
    try:
        result = function(*arguments, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    extra = peak - result.nbytes
    assert 0 < extra < LIMIT, f"{extra / 1e6:.1f} MB"


CONVOLUTIONS = {
    "large batch": ((30_000, 28, 28), (3, 3), "f4", {}),
    "large batch of bytes": ((20_000, 28, 28), (3, 3), "u1", {"stride": 2}),
    "large batch of photographs": ((5_000, 32, 32, 3), (3, 3, 3, 4), "f4", {"stride": 2}),
    "large image": ((1, 4096, 4096), (3, 3), "f4", {}),
    "large image of bytes": ((1, 4096, 4096), (3, 3), "u1", {}),
    "large image of float16": ((1, 4096, 4096), (3, 3), "f2", {"stride": 2}),
    "large byte-swapped image": ((1, 3000, 3000), (3, 3), ">f8", {"stride": 2}),
    "large image without m": ((5000, 5000), (3, 3), "f4", {"stride": 3}),
    "large stride": ((1, 8192, 4096), (7, 7), "f4", {"stride": 64}),
    "large dilation": ((1, 1024, 2048, 4), (3, 3), "f4", {"dilation": (400, 900), "stride": 4}),
    "dilated rows": ((1, 4, 50_000, 64), (1, 2), "f4", {"dilation": (1, 30_000), "stride": 2}),
    "large kernel": ((1, 1024, 1024), (61, 61), "f8", {"stride": 16}),
    "full": ((1, 2000, 2000), (40, 40), "f8", {"stride": 50, "padding": "full"}),
    "wide rows of channels": ((2, 3, 200, 10_000), (3, 3), "f4", {}),
    "dense": ((8, 64, 64, 256), (3, 3, 256, 32), "f4", {"stride": 2}),
    "large bank of kernels": ((1, 4, 4, 1024), (3, 3, 1024, 1024), "f4", {}),
    "large bank of kernels of bytes": ((1, 4, 4, 1024), (3, 3, 1024, 1024), "u1", {}),
    "a signal": ((1, 2_000_000), (1, 5), "f4", {}),
    "a signal and a long kernel": ((1, 100_000), (1, 1001), "f4", {"stride": (1, 10)}),
    "many channels": ((1, 3, 3, 200_000), (1, 3), "f4", {"padding": "valid"}),
    "a kernel of 271,000 taps": ((35, 35, 301), (30, 30, 301), "f8", {"padding": "valid"}),
    "large volume": ((1, 160, 256, 256), (3, 3, 3), "f4", {"space": 3, "stride": 2}),
    "large volume of bytes": ((1, 128, 256, 256), (3, 3, 3), "u1", {"space": 3, "stride": 2}),
    "large slabs": ((1, 3, 2000, 2500), (3, 3, 3), "f4", {"space": 3, "stride": (1, 3, 2)}),
    "deep volume": ((1, 40_000, 8, 8), (5, 3, 3), "f4", {"space": 3, "pad_value": 2}),
    "large stride in a volume": ((1, 400, 200, 200), (7, 7, 7), "f4", {"space": 3, "stride": 20}),
    "slabs far apart": ((1, 600, 90, 90), (3, 3, 3), "f4", {"space": 3, "dilation": (250, 1, 1)}),
    "volumes of channels": ((1, 9, 32, 32, 64), (3, 3, 3, 64, 32), "f4", {"space": 3, "stride": 2}),
    "many small volumes": ((9_000, 8, 9, 10), (3, 3, 3), "f4", {"space": 3}),
    "a signal of one axis": ((4_000_000,), (31,), "f4", {"space": 1, "stride": 5}),
    "signals of channels": ((4, 20_000, 64), (9, 64, 8), "f4", {"space": 1, "stride": 8}),
}


@pytest.mark.parametrize("sizes", CONVOLUTIONS)
def test_convolve(method, sizes):
    """A convolution that is large in some direction takes more than the limit."""
    image_shape, kernel_shape, dtype, options = CONVOLUTIONS[sizes]
    x, k = np.zeros(image_shape, dtype), np.zeros(kernel_shape, dtype)
    check(convlens.convolve, x, k, **options, method=method)


@pytest.mark.parametrize("pad_mode", PAD_MODES)
def test_pad_modes(method, pad_mode):
    """A padded copy is made of a large image, or of a small one with much padding."""
    k = np.zeros((3, 3), np.float32)
    large = np.zeros((1, 3000, 3000), np.float32)
    check(convlens.convolve, large, k, pad_mode=pad_mode, method=method)
    small = np.zeros((1, 50, 50), np.float32)
    check(convlens.convolve, small, k, 2000, stride=20, pad_mode=pad_mode, method=method)


def test_convolve_without_order(method):
    """A contiguous copy is made of a large image that is sliced and transposed."""
    x = np.zeros((4000, 7000), np.float32)[::-1, ::2].T[np.newaxis]
    check(convlens.convolve, x, np.zeros((3, 3), np.float32), method=method)


def test_convolve_into_out(method):
    """A second array is made for the result although it goes into `out`."""
    x, k = np.zeros((1, 4096, 4096), np.float32), np.zeros((3, 3), np.float32)
    out = np.empty((1, 4096, 4096), np.float32)
    tracemalloc.start()
    try:
        convlens.convolve(x, k, out=out, method=method)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < LIMIT


POOLINGS = {
    "large batch": ((30_000, 28, 28), 2, "f4", {}),
    "large batch of photographs": ((5_000, 32, 32, 3), 2, "u1", {}),
    "large window": ((1, 3000, 3000), 31, "f4", {"stride": 1}),
    "large window of bytes": ((1, 3000, 3000), 31, "u1", {"stride": 3}),
    "large window side by side": ((1, 4096, 4096), 31, "f8", {"partial": True}),
    "padded": ((1, 3000, 3000), 5, "f4", {"padding": "same", "stride": 2}),
    "dilated rows": ((1, 4, 50_000, 64), (1, 2), "f4", {"dilation": (1, 30_000), "stride": 2}),
    "wide rows of channels": ((2, 3, 200, 10_000), 2, "f4", {}),
    "a signal": ((1, 5_000_000), (1, 3), "f4", {"stride": 1}),
    "many channels": ((1, 3, 3, 200_000), (1, 3), "f4", {}),
    "long windows side by side": ((1, 9_000_000), (1, 140), "f4", {}),
    "a window as long as the image": ((1, 10_000), (1, 10_000), "f4", {}),
    "large volume": ((1, 128, 256, 256), 5, "f4", {"space": 3, "stride": 2}),
    "large slabs": ((1, 3, 2000, 2500), 3, "u1", {"space": 3, "stride": (1, 2, 1)}),
    "deep volume": ((1, 40_000, 8, 8), 5, "f4", {"space": 3, "stride": 1, "padding": "same"}),
    "a signal of one axis": ((5_000_000,), 31, "f4", {"space": 1, "stride": 5}),
}


def test_median(method):
    """The numbers under every window are copied to be sorted."""
    x = np.zeros((1, 3000, 3000), np.float32)
    check(convlens.pool, x, 5, 4, "median", padding="same", pad_mode="wrap", method=method)


BORDERS = {  # of images and volumes whose padded copies would be too large
    "image": ((1, 3000, 3000), 3, "f4", {"stride": 2}),
    "small image": ((1, 50, 50), 3, "f4", {"padding": 2000, "stride": 20}),
    "volume": ((1, 100, 300, 300), 3, "f4", {"space": 3, "stride": 2}),
    "signal": ((9_000_000,), 9, "f4", {"space": 1, "stride": 3}),
}


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("sizes", POOLINGS)
def test_pool(method, sizes, mode):
    """A pooling that is large in some direction takes more than the limit."""
    shape, window, dtype, options = POOLINGS[sizes]
    check(convlens.pool, np.zeros(shape, dtype), window, mode=mode, **options, method=method)


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("sizes", BORDERS)
def test_borders_of_a_pooling(method, sizes, pad_mode):
    """A padded copy is made of the images, or of what is around them."""
    shape, window, dtype, options = BORDERS[sizes]
    options = {"padding": "same", "pad_mode": pad_mode, "method": method} | options
    check(convlens.pool, np.zeros(shape, dtype), window, mode="avg", **options)


@pytest.mark.parametrize("mode", POOL_MODES)
def test_pool_without_order(method, mode):
    """A contiguous copy is made of a large image that is sliced and transposed."""
    x = np.zeros((4000, 7000), np.float32)[::-1, ::2].T
    check(convlens.pool, x, 3, 2, mode, method=method)


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("stride", [1, 2])
def test_the_way_back(method, pad_mode, stride):
    """A transpose or a gradient by the kernels takes more than the limit."""
    images, kernels = np.zeros((1, 3000, 3000), np.float32), np.zeros((3, 3), np.float32)
    options = {"stride": stride, "pad_mode": pad_mode, "method": method}
    outputs = np.zeros((1, 3000 // stride, 3000 // stride), np.float32)
    check(convlens.convolve_transpose, outputs, kernels, 3000, **options)
    if method == "compiled":  # NumPy's engine takes a step for each output
        check(convlens.kernel_gradient, images, outputs, (3, 3), **options)


@pytest.mark.parametrize("window", [1, 3])
def test_gradients_by_kernels_of_layers(method, window):
    """Pixels and outputs of a layer are copied as a whole, or too many sums of them are kept."""
    images = np.zeros((11, 56, 112, 64), np.float32)[:, ::-1]
    outputs = np.zeros((11, 56, 112, 128), np.float32)[..., ::2]
    check(convlens.kernel_gradient, images, outputs, (window, window, 64, 64), method=method)


@pytest.mark.parametrize("mode", POOL_MODES)
def test_gradients_of_poolings(method, mode):
    """The gradient of a pooling takes more than the limit."""
    images, outputs = np.zeros((1, 3000, 3000), np.float32), np.zeros((1, 1500, 1500), np.float32)
    used = "numpy" if mode in ("max", "min") else method
    check(convlens.pool_gradient, images, outputs, 2, mode=mode, method=used)
