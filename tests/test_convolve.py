"""`convolve` against the oracle, and at the edges: of images, of types, of arithmetic."""

from functools import reduce

import numpy as np
import oracle
import pytest
from strategies import (
    PAD_MODES,
    TYPES,
    each_method,
    random_convolution,
    random_numbers,
    takes,
)

import convlens

pytestmark = each_method


# ---------------------------------------------------------------------- against the oracle


@pytest.mark.parametrize("hundred", range(30))
def test_random_calls(method, hundred):
    """Random calls of every kind give what the oracle gives."""
    for seed, case, expected in oracle.random_calls(hundred, random_convolution, oracle.convolve):
        if not takes(method, *case.types):
            continue
        result = convlens.convolve(*case.arguments, **case.options, method=method)
        try:
            expected.check(result)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {case}: {error}") from None


@pytest.mark.parametrize("kernels", TYPES, ids=str)
@pytest.mark.parametrize("images", TYPES, ids=str)
def test_types(method, images, kernels):
    """Every pair of types gives the right result type and the right sums."""
    rng = np.random.default_rng(0)
    x = random_numbers(rng, (2, 4, 3, 2), images, small=True)
    k = random_numbers(rng, (2, 3, 2, 2), kernels, small=True)
    result = convlens.convolve(x, k, method=method)
    expected = oracle.convolve(x, k)
    integers = oracle.is_integer(images, kernels)
    natural = np.result_type(images, kernels)
    assert expected.dtype == (np.int64 if integers and natural != np.uint64 else natural)
    expected.check(result)


HALVES = [-0.6, -0.5, 0.5, 1.5, 2.5, 254.5, 255.4, 255.5, 1e30, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("images", ["f2", "f4", "f8", "g"])
def test_halves_go_to_even_numbers(method, images, dtype):
    """Sums are rounded otherwise than half to even, not clipped, or NaN is not 0."""
    if not takes(method, images):
        pytest.skip("which the engine does not take")
    limits = np.iinfo(dtype)
    near = [float(limits.max) * (1 + part) for part in (-0.01, 0, 0.01)]
    with np.errstate(over="ignore"):
        x = np.array([[*HALVES, *near, *(-n for n in near)]]).astype(images)
    for dtype_of_kernel in (images, "?"):
        one = np.ones((1, 1), dtype_of_kernel)
        result = convlens.convolve(x, one, dtype=dtype, overflow="saturate", method=method)
        exactly = [0 if np.isnan(n) else np.rint(np.longdouble(n)) for n in x[0]]
        expected = [
            int(max(min(n, np.longdouble(limits.max)), np.longdouble(limits.min))) for n in exactly
        ]
        assert result.tolist() == [expected]
        assert result.dtype == dtype


def test_bytes_are_rounded_and_clipped_from_float32(method):
    """Sums of bytes under a kernel of float32 are rounded otherwise than half to even."""
    x = np.arange(256, dtype=np.uint8)[np.newaxis, np.newaxis].repeat(2, 0)  # (2, 1, 256)
    for factor in (0.5, -0.5, 1.5, 0.25, np.nan, np.inf):
        k = np.full((1, 1), factor, np.float32)
        result = convlens.convolve(x, k, dtype=np.uint8, overflow="saturate", method=method)
        sums = convlens.convolve(x, k, method="numpy")
        expected = np.clip(np.where(np.isnan(sums), 0, np.rint(sums)), 0, 255)
        np.testing.assert_array_equal(result, expected)


def test_images_without_pixels_are_clipped(method):
    """What padding alone makes is not rounded and clipped."""
    options = {"dtype": np.uint8, "overflow": "saturate", "pad_value": 100, "method": method}
    for factor, expected in ((3, 255), (-1, 0), (2.005, 200), (np.nan, 0)):
        result = convlens.convolve(np.empty((0, 2)), [[factor]], 1, **options)
        assert result.tolist() == [[expected] * 4] * 2


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "c8"])
def test_foreign_byte_order(method, dtype):
    """Byte-swapped images and kernels give a result in the machine's byte order."""
    x, k = np.arange(12).reshape(3, 4), np.arange(4).reshape(2, 2)
    swapped = np.dtype(dtype).newbyteorder()
    result = convlens.convolve(x.astype(swapped), k.astype(swapped), method=method)
    oracle.convolve(x.astype(dtype), k.astype(dtype)).check(result)


SIZES = {
    "many small images": ((700, 5, 7, 3), (2, 3, 3, 4), {}),
    "a tall image": ((1, 3000, 9, 5), (3, 3, 5, 2), {"stride": (5, 2)}),
    "a wide image": ((2, 2, 9000, 9), (2, 3, 9), {"stride": (1, 20)}),
    "a gray row": ((70000,), (5,), {"stride": (1, 33)}),
    "many channels": ((2, 3, 3, 1500), (2, 2, 1500, 3), {}),
    "many kernels": ((2, 3, 70, 3), (2, 2, 3, 400), {}),
    "dense": ((2, 3, 131, 130), (2, 3, 130, 70), {}),
    "dense in groups": ((2, 3, 67, 142), (2, 1, 71, 132), {"groups": 2}),
    "a wide kernel": ((1, 3, 400), (2, 300), {}),
    "far apart": ((1, 2, 4000, 20), (1, 3), {"dilation": (1, 1500), "stride": (1, 7)}),
    "many small volumes": ((200, 4, 5, 7, 3), (2, 3, 2, 3, 4), {"space": 3}),
    "a deep volume": ((1, 700, 6, 9, 5), (3, 3, 2, 5, 2), {"space": 3, "stride": (5, 2, 1)}),
    "a wide volume": ((2, 2, 2, 3000, 9), (2, 1, 3, 9), {"space": 3, "stride": (1, 1, 20)}),
    "a dense volume": ((1, 3, 2, 37, 70), (2, 2, 2, 70, 67), {"space": 3}),
    "slabs far apart": ((1, 900, 2, 3, 8), (3, 1, 2), {"space": 3, "dilation": (300, 1, 1)}),
    "many short signals": ((700, 9, 3), (4, 3, 5), {"space": 1}),
    "a dense signal": ((2, 300, 70), (5, 70, 67), {"space": 1, "dilation": 3}),
}


@pytest.mark.parametrize("pad_mode", ["constant", "wrap"])
@pytest.mark.parametrize("sizes", SIZES)
def test_sizes(method, sizes, pad_mode):
    """Sizes at which an engine may cut its work into pieces; whole numbers make sums exact."""
    image_shape, kernel_shape, options = SIZES[sizes]
    if len(image_shape) == 1:
        image_shape, kernel_shape = (1, 1, *image_shape), (1, *kernel_shape)
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, image_shape).astype(np.float32)
    k = rng.integers(-3, 4, kernel_shape).astype(np.float32)
    result = convlens.convolve(x, k, pad_mode=pad_mode, **options, method=method)
    expected = oracle.convolve(x, k, pad_mode=pad_mode, **options)
    np.testing.assert_array_equal(result, expected.values.astype(np.float32))


@pytest.mark.parametrize("dtype", ["f4", "i8", "u1"])
@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((300_000,), (7,)),
        ((50, 60, 70), (3, 2, 4)),
        ((9, 20, 1500), (1, 5, 1)),
        ((9, 9, 900), (9, 9, 9)),
    ],
    ids=str,
)
def test_large_signals_and_volumes(method, size, window, dtype):
    """Outputs are sums over the taps of shifted images, which is another way to say the same."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, size).astype(dtype)
    lines = [rng.integers(0, 3, n) for n in window]
    product = reduce(np.multiply.outer, lines)
    for k in (product.astype(dtype), rng.integers(0, 3, window).astype(dtype)):
        pads = oracle.paddings("same", size, window, (1,) * len(size))
        padded = np.pad(x.astype(np.int64), pads, constant_values=5)
        expected = np.zeros(size, np.int64)
        for tap in np.ndindex(*window):
            under = tuple(slice(t, t + n) for t, n in zip(tap, size, strict=True))
            expected += padded[under] * int(k[tap])
        result = convlens.convolve(x, k, pad_value=5, method=method, space=len(size))
        np.testing.assert_array_equal(result, expected)


# ----------------------------------------------------------------- signals, volumes, padding


def test_a_signal(method):
    """Every output is the sum of what lies under the kernel, which is not flipped."""
    result = convlens.convolve([1, 2, 3, 4], [1, 10], "valid", method=method, space=1)
    assert result.tolist() == [21, 32, 43]
    result = convlens.convolve([1, 2, 3, 4], [1, 10, 100], 2, 2, method=method, space=1)
    assert result.tolist() == [100, 321, 43]


def test_a_volume(method):
    """Axes are depth, height and width, in arrays as well as in all arguments."""
    x = np.arange(24).reshape(2, 3, 4)
    k = np.zeros((2, 1, 3), int)
    k[1, 0, 2], k[0, 0, 0] = 1, 100
    result = convlens.convolve(x, k, "valid", (1, 2, 1), method=method, space=3)
    assert result.tolist() == [
        [[x[1, y, c + 2] + 100 * x[0, y, c] for c in (0, 1)] for y in (0, 2)]
    ]
    padding = ((1, 0), (0, 0), (0, 0))
    result = convlens.convolve(x, k, padding, dilation=(2, 1, 1), method=method, space=3)
    assert result.tolist() == [x[1, :, 2:].tolist()]


def test_padding_of_any_number(method):
    """Cells of padding hold `pad_value` if asked, and zeros by default."""
    for value in (10, 0, -1):
        result = convlens.convolve([1, 2, 3], [1, 1, 1], pad_value=value, method=method, space=1)
        assert result.tolist() == [3 + value, 6, 5 + value]
    result = convlens.convolve([[1, 2], [3, 4]], [[1, 1]], 1, pad_value=5, method=method)
    assert result.tolist() == [[10] * 3, [6, 3, 7], [8, 7, 9], [10] * 3]


# ---------------------------------------------------------------------------- small and odd


@pytest.mark.parametrize(
    ("image_shape", "kernel_shape", "result_shape"),
    [
        ((0, 5, 6), (3, 3), (0, 5, 6)),
        ((0, 5, 6, 2), (3, 3, 2), (0, 5, 6)),
        ((0, 5, 6, 2), (3, 3, 2, 7), (0, 5, 6, 7)),
        ((0, 5, 6, 2), (3, 3), (0, 5, 6, 2)),
        ((2, 5, 6, 0), (3, 3), (2, 5, 6, 0)),
        ((2, 0, 6), (3, 3), (2, 0, 6)),
        ((2, 5, 0), (3, 3), (2, 5, 0)),
        ((2, 5, 6, 3), (3, 3, 3, 0), (2, 5, 6, 0)),
        ((5, 6, 0), (3, 3, 0, 0), (5, 6, 0)),
    ],
)
def test_nothing(method, image_shape, kernel_shape, result_shape):
    """Without images, channels or pixels the result is empty and has the right shape."""
    result = convlens.convolve(np.ones(image_shape), np.ones(kernel_shape), method=method)
    assert result.shape == result_shape
    assert result.dtype == np.float64


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("shape", [(2, 0, 3), (2, 3, 0), (2, 0, 0)])
def test_padding_around_no_pixels(method, shape, pad_mode):
    """Where there is no pixel to repeat, padding holds zeros; so sums are zero, or NaN."""
    x, k = np.ones(shape), np.ones((2, 2))
    options = {"pad_mode": pad_mode, "method": method}
    m, h, w = shape
    result = convlens.convolve(x, k, 1, **options)
    np.testing.assert_array_equal(result, np.zeros((m, h + 1, w + 1)))
    for number in (np.nan, np.inf):
        k[1, 0] = number
        result = convlens.convolve(x, k, 1, **options)
        np.testing.assert_array_equal(result, np.full((m, h + 1, w + 1), np.nan))


@pytest.mark.parametrize("groups", [1, 2])
def test_no_channels(method, groups):
    """Sums over no channels are zero, as in PyTorch, of every kernel."""
    x, k = np.ones((2, 5, 6, 0)), np.ones((3, 3, 0, 4))
    result = convlens.convolve(x, k, groups=groups, method=method)
    np.testing.assert_array_equal(result, np.zeros((2, 5, 6, 4)))
    result = convlens.convolve(x, np.ones((3, 3, 0)), method=method)
    np.testing.assert_array_equal(result, np.zeros((2, 5, 6)))
    assert "(2, 5, 6, 4)" in str(convlens.plan_convolve(x, k, groups=groups, method=method))


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("padding", ["valid", "same", "full", 3, ((2, 0), (1, 4))])
def test_one_pixel(method, padding, pad_mode):
    """An image of a single pixel is right with every padding and border."""
    x = np.full((1, 1, 1), 7)
    k = np.arange(1, 10).reshape(3, 3) if padding != "valid" else np.full((1, 1), 5)
    result = convlens.convolve(x, k, padding, pad_mode=pad_mode, method=method)
    oracle.convolve(x, k, padding, pad_mode=pad_mode).check(result)


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("padding", ["same", "full"])
def test_kernel_larger_than_the_image(method, padding, pad_mode):
    """A kernel of 9 x 12 taps is right on an image of 3 x 2 pixels."""
    rng = np.random.default_rng(0)
    x, k = rng.integers(-9, 9, (2, 3, 2)), rng.integers(-9, 9, (9, 12))
    result = convlens.convolve(x, k, padding, pad_mode=pad_mode, method=method)
    oracle.convolve(x, k, padding, pad_mode=pad_mode).check(result)


@pytest.mark.parametrize("padding", ["valid", "same", "full"])
def test_huge_stride(method, padding):
    """A stride larger than the image leaves a single output."""
    x, k = np.arange(20).reshape(1, 4, 5), np.arange(6).reshape(2, 3)
    result = convlens.convolve(x, k, padding, stride=(10**9, 10**18), method=method)
    assert result.shape == (1, 1, 1)
    oracle.convolve(x, k, padding, stride=(10**9, 10**18)).check(result)


def test_same_with_a_stride_puts_the_odd_cell_after(method):
    """Four pixels with windows of 3 and stride 2 have their one cell of padding at the end."""
    x, k = np.array([[1, 10, 100, 1000]]), np.array([[1, 2, 4]])
    result = convlens.convolve(x, k, "same", stride=(1, 2), method=method)
    np.testing.assert_array_equal(result, [[1 + 20 + 400, 100 + 2000]])


def test_no_flip(method):
    """The kernel is not flipped: the result is a cross-correlation."""
    x, k = np.array([[1, 2, 3]]), np.array([[1, 10, 100]])
    np.testing.assert_array_equal(convlens.convolve(x, k, "valid", method=method), [[321]])


def test_lists(method):
    """Nested lists are accepted as images and kernels."""
    result = convlens.convolve([[1, 2], [3, 4]], [[1, 1]], "valid", method=method)
    np.testing.assert_array_equal(result, [[3], [7]])
    assert result.dtype == np.int64


# ------------------------------------------------------------------------------- integers


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
def test_integers_at_the_edges_of_their_type(method, dtype):
    """Sums of the smallest and the largest integers are exact, far beyond their type."""
    limits = np.iinfo(dtype)
    ones = np.ones((3, 3), dtype)
    for number in (limits.min, limits.max):
        result = convlens.convolve(np.full((3, 3), number, dtype), ones, "valid", method=method)
        assert result.dtype == np.int64
        assert result.tolist() == [[9 * number]]
        # Products of extreme pixels and extreme taps do not wrap either.
        result = convlens.convolve(
            np.full((1, 1), number, dtype), np.full((1, 1), limits.max // 2, dtype), method=method
        )
        assert result.tolist() == [[number * (limits.max // 2)]]


def test_uint8_does_not_saturate(method):
    """Nine pixels of 200 add up to 1800 in uint8 images."""
    x = np.full((1, 3, 3), 200, np.uint8)
    result = convlens.convolve(x, np.ones((3, 3), np.uint8), "valid", method=method)
    assert result.tolist() == [[[1800]]]


def test_largest_sums_that_int64_holds(method):
    """The largest uint32 times the largest taps whose products fit into int64 is exact."""
    x = np.full((1, 1), 2**32 - 1, np.uint32)
    for tap in (2**31 - 1, -(2**31) + 1):
        result = convlens.convolve(x, np.array([[tap]]), method=method)
        assert result.tolist() == [[(2**32 - 1) * tap]]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_64_bit_sums_are_those_of_numpy(method, dtype):
    """They are taken in the type that `numpy.sum` takes them in, and leave it as it does."""
    limits = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max, (5, 4), dtype, endpoint=True)
    for ones in (np.ones((5, 4), bool), np.ones((5, 4), "u1"), [[1] * 4] * 5):
        result = convlens.convolve(x, ones, "valid", method=method)
        assert result.dtype == x.sum().dtype
        assert result.tolist() == [[x.sum()]]


def test_unsigned_64_bit_numbers(method):
    """They stay what they are; signed kernels, which can make negative sums, make them int64."""
    x = np.array([[2**63 + 1]], np.uint64)
    for kernel in ([[1]], np.array([[1]], np.uint64), np.array([[True]])):
        result = convlens.convolve(x, kernel, method=method)
        assert (result.dtype, result.tolist()) == (np.uint64, [[2**63 + 1]])
        plan = convlens.plan_convolve(x, kernel, method=method)
        assert plan.output_dtype == np.uint64
        assert plan(x, kernel).tolist() == [[2**63 + 1]]
    for kernel in ([[-1]], np.array([[-1]])):
        result = convlens.convolve(x, kernel, method=method)
        assert (result.dtype, result.tolist()) == (np.int64, [[2**63 - 1]])
    swapped = x.astype(x.dtype.newbyteorder())
    assert convlens.convolve(swapped, [[1]], method=method).tolist() == [[2**63 + 1]]
    assert convlens.convolve(np.array([[3]], np.uint8), [[1]], method=method).dtype == np.int64


@pytest.mark.parametrize("shape", [(2, 3, 30, 5), (3, 3)])
def test_unsigned_64_bit_kernels(method, shape):
    """Images of any unsigned type make unsigned sums with them."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2, 9, 8, 30), np.uint8)
    k = rng.integers(0, 2**45, shape, np.uint64)
    for images, kernels in ((x, k), (x.astype("u8") << np.uint64(50), k), (x > 9, k)):
        result = convlens.convolve(images, kernels, method=method)
        assert result.dtype == np.uint64
        oracle.convolve(images, kernels).check(result)


def test_dtype_of_unsigned_64_bit_sums(method):
    """As int64 they keep their bits, as floats their value."""
    x = np.array([[2**63 + 2**40]], np.uint64)
    for dtype, number in (("i8", -(2**63) + 2**40), ("u8", x[0, 0])):
        result = convlens.convolve(x, [[1]], dtype=dtype, method=method)
        assert (result.dtype, result.tolist()) == (dtype, [[number]])
    with pytest.raises(ValueError, match="dtype=float64 cannot hold every result exactly"):
        convlens.convolve(x, [[1]], dtype="f8", method=method)


def test_booleans(method):
    """True counts as 1, so a kernel of booleans counts the True neighbours."""
    x = np.array([[True, True, False], [True, True, True]])
    result = convlens.convolve(x, np.ones((2, 2), bool), "valid", method=method)
    assert result.dtype == np.int64
    assert result.tolist() == [[4, 3]]


# ---------------------------------------------------------------------------------- dtype


@pytest.mark.parametrize(
    ("dtype", "images", "tap"),
    [
        (np.uint8, np.bool_, 255),
        (np.uint16, np.uint8, 257),
        (np.int16, np.uint8, 128),
        (np.int16, np.int8, 256),
        (np.int32, np.int16, -(2**16) + 2),
        (np.uint32, np.uint16, 2**16),
        (np.uint64, np.uint32, 2**31),
        (np.float16, np.uint8, 8),
        (np.float32, np.uint16, 256),
        (np.float64, np.int32, 2**20),
        (np.longdouble, np.int32, 2**20),
        (np.complex64, np.uint8, 2**16),
        (np.complex128, np.int32, 2**20),
    ],
)
def test_dtype_that_fits(method, dtype, images, tap):
    """The extreme results of each type pair are exact in the requested dtype."""
    low, high = (0, 1) if images == np.bool_ else (np.iinfo(images).min, np.iinfo(images).max)
    x = np.array([[low, high, 0, 1]]).astype(images)
    result = convlens.convolve(x, np.array([[tap]]), dtype=dtype, method=method)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.array([[low * tap, high * tap, 0, tap]], dtype))


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="a long double without 64 bits")
@pytest.mark.parametrize(
    ("pixel", "tap"), [(np.int64(-(2**63)), -1), (np.uint32(2**32 - 1), 2**32 - 1)]
)
@pytest.mark.parametrize("dtype", [np.longdouble])
def test_longdouble_holds_64_bits_exactly(method, pixel, tap, dtype):
    """Sums requested as 64-bit long doubles do not wrap in int64 first."""
    result = convlens.convolve([[pixel]], np.array([[tap]]), dtype=dtype, method=method)
    assert int(result[0, 0]) == int(pixel) * tap


def test_dtype_widens_floats(method):
    """dtype=float64 computes the sums of float32 arrays in float64."""
    x, k = np.full((1, 3), 0.1, np.float32), np.full((1, 3), 0.1, np.float32)
    result = convlens.convolve(x, k, "valid", dtype=np.float64, method=method)
    assert result.dtype == np.float64
    oracle.convolve(x, k, "valid", dtype=np.float64).check(result)


def test_dtype_narrows_floats(method):
    """Sums are computed in the images' type and rounded once, to the requested one."""
    x, k = np.array([[1.0, 2.0**-30, -1.0]]), np.ones((1, 3))
    result = convlens.convolve(x, k, "valid", dtype=np.float32, method=method)
    assert result.dtype == np.float32
    assert result.tolist() == [[2.0**-30]]


# -------------------------------------------------------------------------------- float16


def test_float16_sums_beyond_its_range(method):
    """An intermediate sum may exceed the range of float16."""
    x, k = np.array([[60000, 60000, -60000]], np.float16), np.ones((1, 3), np.float16)
    result = convlens.convolve(x, k, "valid", method=method)
    assert result.dtype == np.float16
    assert result.tolist() == [[np.float16(60000)]]


def test_float16_sums_beyond_its_precision(method):
    """4096 ones add up to 4096; summed in float16 they would stop at 2048."""
    x, k = np.ones((64, 64), np.float16), np.ones((64, 64), np.float16)
    assert convlens.convolve(x, k, "valid", method=method).tolist() == [[4096]]


def test_float16_products(method):
    """Products that are too small for float16 contribute to the sum."""
    x, k = np.full((1, 4), 2.0**-14, np.float16), np.full((1, 4), 2.0**-12, np.float16)
    assert convlens.convolve(x, k, "valid", method=method).tolist() == [[2.0**-24]]


def test_float16_results_beyond_its_range(method):
    """A result too large for float16 is inf."""
    x, k = np.array([[60000, 60000]], np.float16), np.ones((1, 2), np.float16)
    assert convlens.convolve(x, k, "valid", method=method).tolist() == [[np.inf]]


# ------------------------------------------------------------------------------------ out


def test_out(method):
    """`out` is filled and returned."""
    x, k = np.arange(30.0).reshape(1, 5, 6), np.ones((2, 2))
    out = np.full((1, 4, 5), np.nan)
    assert convlens.convolve(x, k, "valid", out=out, method=method) is out
    np.testing.assert_array_equal(out, convlens.convolve(x, k, "valid", method=method))


@pytest.mark.parametrize("kernel_shape", [(3, 3), (3, 3, 2), (3, 3, 2, 4)])
def test_out_of_any_layout(method, kernel_shape):
    """A strided, reversed, transposed `out` is filled, and the memory around it is unchanged."""
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal((3, 6, 5, 2)), rng.standard_normal(kernel_shape)
    expected = convlens.convolve(x, k, method=method)
    around = np.full([2 * size + 3 for size in expected.shape[::-1]], 7.0)
    out = around[(slice(-2, 1, -2),) * expected.ndim].transpose()
    assert out.shape == expected.shape
    assert convlens.convolve(x, k, out=out, method=method) is out
    np.testing.assert_array_equal(out, expected)
    assert np.count_nonzero(around == 7.0) == around.size - expected.size


def test_out_with_dtype(method):
    """`out` may have the requested dtype."""
    x, k = np.full((1, 2, 2), 200, np.uint8), np.ones((2, 2), np.uint8)
    out = np.zeros((1, 1, 1), np.uint16)
    assert convlens.convolve(x, k, "valid", dtype=np.uint16, out=out, method=method) is out
    assert out.tolist() == [[[800]]]


# --------------------------------------------------------------------------- NaN and inf


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("size", [(5, 6), (11,), (3, 4, 5)], ids=str)
def test_nan_and_inf_reach_what_covers_them(method, size, dtype, pad_mode, bad):
    """NaN and inf appear in exactly the outputs that cover the pixel, even under a tap of 0."""
    rng, space = np.random.default_rng(0), len(size)
    window = (2, 1, 3)[-space:] if space == 3 else (2, 3)[-space:]
    every = 1 if space == 2 else 5
    for number, pixel in list(enumerate(np.ndindex(*size)))[::every]:
        x = rng.standard_normal((3, *size, 2)).astype(dtype)
        x[1, *pixel, 0] = bad
        k = rng.standard_normal((*window, 2, 4)).astype(dtype)
        k[..., 1, :, :] = 0
        stride = (1 + number % 2, 1 + number % 3, 1 + number % 2)[:space]
        dilation = (1 + number // 9 % 4, 1 + number % 2, 2)[:space]
        padding = ("same", "full", ((1, 4), (7, 2), (2, 3))[:space])[number % 3]
        result = convlens.convolve(
            x, k, padding, stride, dilation=dilation, pad_mode=pad_mode, method=method, space=space
        )
        covers = oracle.windows_over(pixel, size, window, padding, pad_mode, stride, dilation)
        assert np.isfinite(result[[0, 2]]).all()  # the other images
        for kernel in range(4):
            np.testing.assert_array_equal(~np.isfinite(result[1, ..., kernel]), covers)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("size", [(11,), (5, 6), (3, 4, 5)], ids=str)
def test_nan_and_inf_in_the_padding(method, size, bad):
    """If the padding holds NaN or inf, exactly the outputs whose windows touch it have them."""
    space = len(size)
    x, k = np.ones((2, *size)), np.ones((3,) * space)
    result = convlens.convolve(x, k, 2, 2, pad_value=bad, method=method, space=space)
    touches = np.ones(result.shape[1:], bool)
    touches[tuple(slice(1, (n - 1) // 2 + 1) for n in size)] = False
    for image in result:
        np.testing.assert_array_equal(~np.isfinite(image), touches)


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("kernel_shape", [(3, 3), (3, 3, 1, 4), (3, 3, 2, 4)])
def test_nan_stays_in_its_channel_or_group(method, kernel_shape, pad_mode):
    """A NaN in channel 1 of 4 reaches only the kernels that use this channel."""
    x, k = np.ones((1, 4, 5, 4)), np.ones(kernel_shape)
    x[0, 2, 2, 1] = np.nan
    groups = 1 if k.ndim == 2 else 4 // k.shape[2]
    result = convlens.convolve(x, k, groups=groups, pad_mode=pad_mode, method=method)
    reached = [n for n in range(4) if np.isnan(result[0, ..., n]).any()]
    assert reached == ([0, 1] if kernel_shape == (3, 3, 2, 4) else [1])
    covers = oracle.windows_over((2, 2), (4, 5), (3, 3), "same", pad_mode, (1, 1), (1, 1))
    np.testing.assert_array_equal(np.isnan(result[0, ..., 1]), covers)


def test_nan_in_wide_channels(method):
    """A NaN among 150 columns and 70 channels reaches three columns of all 70 kernels."""
    x, k = np.ones((2, 1, 150, 70), np.float32), np.ones((1, 3, 70, 70), np.float32)
    x[1, 0, 63, 66] = np.nan
    result = convlens.convolve(x, k, method=method)
    bad = np.zeros(result.shape, bool)
    bad[1, 0, 62:65] = True
    np.testing.assert_array_equal(np.isnan(result), bad)


def test_inf_keeps_its_sign(method):
    """Inf times a positive tap is inf, times a negative one -inf; inf - inf is NaN."""
    x = np.array([[0.0, np.inf, 0.0, 0.0, -np.inf, np.inf, np.inf]])
    result = convlens.convolve(x, np.array([[2.0, -1.0]]), "valid", method=method)
    np.testing.assert_array_equal(result, [[-np.inf, np.inf, 0, np.inf, -np.inf, np.nan]])


def test_three_axes_with_a_plain_kernel_are_gray_images(method):
    """(h, w, c) with a (kh, kw) kernel is h gray images; with its m it is one photograph."""
    photograph = np.random.default_rng(3).random((6, 7, 3))
    kernel = np.ones((3, 3))
    gray = convlens.convolve(photograph, kernel, method=method)
    assert np.array_equal(gray[2], convlens.convolve(photograph[2], kernel, method=method))
    blurred = convlens.convolve(photograph[np.newaxis], kernel, method=method)
    for channel in range(3):
        alone = convlens.convolve(photograph[..., channel], kernel, method=method)
        np.testing.assert_allclose(blurred[0, ..., channel], alone, rtol=1e-14)


def test_floats_are_rounded_to_the_asked_type(method):
    """Results beyond the requested type's range are inf, as they are in NumPy."""
    images, kernel = np.full((5, 5), 1e300), np.ones((1, 1))
    assert convlens.convolve(images, kernel, dtype="f4", method=method)[2, 2] == np.inf
    images[:] = 1 / 3
    rounded = convlens.convolve(images, kernel, dtype="f4", method=method)
    assert np.array_equal(rounded, images.astype("f4"))
