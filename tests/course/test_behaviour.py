"""What the seven functions compute, against the definitions in oracle.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import oracle
from .course import FUNCTIONS

VALID, SAME, PADDED, STRIDED, CHANNELS, SEVERAL, POOL = FUNCTIONS
CONVOLUTIONS = FUNCTIONS[:6]
DTYPES = [np.dtype(code) for code in "?bBhHiIlLqQefdg"]
EPSILON = np.finfo(float).eps

many = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def numbers(shape, dtype, bits, seed):
    """Random numbers of a type; integers from all of its range or from a few bits."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "f":
        return (rng.normal(size=shape) * 2.0 ** (bits // 6)).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -(2**bits)), min(limits.max, 2**bits)
    return rng.integers(low, high, shape, dtype=dtype, endpoint=True)


LAYOUTS = {
    "plain": lambda array: array.copy(),
    "read-only": lambda array: array.copy(),
    "Fortran-ordered": lambda array: array.copy(order="F"),
    "transposed": lambda array: array.T.copy().T,
    "reversed": lambda array: np.flip(np.flip(array).copy()),
    "sliced": lambda array: np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)[::2, ::3],
    "byte-swapped": lambda array: array.astype(array.dtype.newbyteorder()),
}


def laid_out(array, layout):
    """The same numbers, differently laid out in memory."""
    array = LAYOUTS[layout](array)
    array.flags.writeable = layout != "read-only"
    return array


def call(function, *arguments, **options):
    """Call a course function, and check what holds for every call.

    The result is a new float64 array, the arguments are as they were.
    """
    arrays = [each for each in arguments if isinstance(each, np.ndarray)]
    before = [(each.tobytes(), each.dtype, each.strides) for each in arrays]
    result = function(*arguments, **options)
    assert type(result) is np.ndarray
    assert result.dtype == np.float64
    assert result.dtype.isnative
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert not any(np.shares_memory(result, each) for each in arrays)
    assert before == [(each.tobytes(), each.dtype, each.strides) for each in arrays]
    return result


def assert_close(result, expected, sum_of_absolutes, terms, integers):
    """Equal if every number on the way is an integer below 2 ** 53, else within rounding.

    A sum of that many terms, added in any order, is off by at most terms * EPSILON / 2
    times the sum of absolutes (Higham); so is the oracle's. The 4 covers 64-bit integers
    and long floats that are rounded once before they are multiplied.
    """
    assert result.shape == expected.shape
    if integers and sum_of_absolutes.max(initial=0) < 2**53:
        np.testing.assert_array_equal(result, expected)
    else:
        assert (abs(result - expected) <= (terms + 4) * EPSILON * sum_of_absolutes).all()


@st.composite
def images_of(draw, channels):
    """A few small images of any type and layout, or none at all."""
    shape = (draw(st.integers(0, 3)), draw(st.integers(1, 8)), draw(st.integers(1, 8)), *channels)
    return draw(arrays_of(shape))


@st.composite
def arrays_of(draw, shape):
    """An array of any type and layout."""
    dtype, bits = draw(st.sampled_from(DTYPES)), draw(st.sampled_from([2, 8, 20, 64]))
    array = numbers(shape, dtype, bits, draw(st.integers(0, 9999)))
    return laid_out(array, draw(st.sampled_from(sorted(LAYOUTS))))


PADDINGS = st.tuples(st.integers(0, 3), st.integers(0, 12))
STEPS = st.one_of(st.integers(1, 3), st.integers(1, 30))
STRIDES = st.tuples(STEPS, STEPS)


@pytest.mark.parametrize("number", range(6))
@many
@given(data=st.data())
def test_convolution_is_the_sum_of_window_times_kernel(number, data):
    """A convolution differs from the oracle for some shape, type, layout, padding or stride."""
    channels = (data.draw(st.integers(1, 4)),) if number >= 4 else ()
    images = data.draw(images_of(channels))
    options = {}
    if number == 2:
        options = {"padding": data.draw(PADDINGS)}
    elif number >= 3:
        options = {
            "padding": data.draw(st.one_of(st.sampled_from(["same", "valid"]), PADDINGS)),
            "stride": data.draw(STRIDES),
        }
    meaning = {"padding": "same" if number == 1 else "valid", **options}
    if meaning["padding"] == "same":
        largest = [12, 12]
    else:
        ph, pw = (0, 0) if meaning["padding"] == "valid" else meaning["padding"]
        largest = [images.shape[1] + 2 * ph, images.shape[2] + 2 * pw]
    window = tuple(data.draw(st.one_of(st.integers(1, n), st.just(n))) for n in largest)
    several = (data.draw(st.integers(1, 3)),) if number == 5 else ()
    kernel = data.draw(arrays_of(window + channels + several))

    result = call(FUNCTIONS[number], images, kernel, **options)
    expected = oracle.convolve(images, kernel, **meaning)
    bound = oracle.convolve(abs(oracle.exact(images)), abs(oracle.exact(kernel)), **meaning)
    integers = "f" not in (images.dtype.kind, kernel.dtype.kind)
    assert_close(result, expected, bound, int(np.prod(kernel.shape[:3])), integers)


@pytest.mark.parametrize("mode", ["max", "avg"])
@many
@given(data=st.data())
def test_pooling_takes_the_largest_or_the_mean_of_each_window(mode, data):
    """Pooling differs from the oracle: a maximum by anything, a mean by more than rounding."""
    images = data.draw(images_of((data.draw(st.integers(1, 4)),)))
    window = tuple(data.draw(st.integers(1, n)) for n in images.shape[1:3])
    stride = data.draw(STRIDES)

    result = call(POOL, images, window, stride, mode)
    expected = oracle.pool(images, window, stride, mode)
    if mode == "max":
        np.testing.assert_array_equal(result, expected)
    else:
        bound = oracle.pool(abs(oracle.exact(images)), window, stride, mode)
        terms, integers = window[0] * window[1], images.dtype.kind != "f"
        assert_close(result, expected, bound * terms, terms, integers)


# Worked by hand, so that the oracle is checked as well.

IMAGE = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]])
KERNEL = np.array([[1, 10], [100, 1000]])
BY_HAND = [
    ("valid", (1, 1), [[5421, 6532], [8754, 9865]]),
    ("same", (1, 1), [[1000, 2100, 3200], [4010, 5421, 6532], [7040, 8754, 9865]]),
    ((1, 0), (2, 1), [[2100, 3200], [8754, 9865]]),
    ("same", (2, 3), [[0, 0, 0], [0, 5421, 0], [0, 87, 0]]),
]


@pytest.mark.parametrize(("padding", "stride", "expected"), BY_HAND)
def test_a_sum_worked_by_hand(padding, stride, expected):
    """The kernel is flipped: 1 * 1 + 2 * 10 + 4 * 100 + 5 * 1000 = 5421 without a flip."""
    assert oracle.convolve(IMAGE, KERNEL, padding, stride).tolist() == [expected]
    assert call(STRIDED, IMAGE, KERNEL, padding, stride).tolist() == [expected]


def test_the_first_three_by_hand():
    """A simpler function differs from the strided one with its stride left out."""
    assert call(VALID, IMAGE, KERNEL).tolist() == [BY_HAND[0][2]]
    assert call(SAME, IMAGE, KERNEL).tolist() == [BY_HAND[1][2]]
    assert call(PADDED, IMAGE, KERNEL, (1, 0)).tolist() == [
        [[2100, 3200], [5421, 6532], [8754, 9865], [87, 98]]
    ]


@pytest.mark.parametrize(
    ("mode", "expected"), [("max", [[5, 6], [8, 9]]), ("avg", [[3, 4], [6, 7]])]
)
def test_pooling_by_hand(mode, expected):
    """The function, or the oracle, differs from what was worked by hand."""
    images = IMAGE[..., None]
    assert oracle.pool(images, (2, 2), (1, 1), mode)[..., 0].tolist() == [expected]
    assert call(POOL, images, (2, 2), (1, 1), mode)[..., 0].tolist() == [expected]


def test_pooling_drops_what_does_not_fit():
    """A window hangs over the edge: of seven rows, windows of 3 at a stride of 3 see six."""
    images = np.arange(7.0).reshape(1, 7, 1, 1)
    assert call(POOL, images, (3, 1), (3, 1))[0, :, 0, 0].tolist() == [2, 5]
    assert call(POOL, images, (3, 1), (3, 1), "avg")[0, :, 0, 0].tolist() == [1, 4]


def test_defaults():
    """A default is not the brief's ('same', stride 1, 'max'), or a name cannot be given."""
    images, kernels = np.ones((2, 5, 6, 3)), np.ones((3, 3, 3, 2))
    gray, layer = images[..., 0], kernels[..., 0, 0]
    expected = oracle.convolve(images, kernels, "same")
    np.testing.assert_array_equal(call(SEVERAL, images, kernels), expected)
    np.testing.assert_array_equal(SEVERAL(images=images, kernels=kernels), expected)
    expected = expected[..., 0]
    np.testing.assert_array_equal(call(CHANNELS, images, kernels[..., 0]), expected)
    np.testing.assert_array_equal(CHANNELS(images=images, kernel=kernels[..., 0]), expected)
    np.testing.assert_array_equal(call(STRIDED, gray, layer), expected / 3)
    np.testing.assert_array_equal(call(SAME, gray, layer), expected / 3)
    ramp = np.arange(180).reshape(2, 5, 6, 3)
    np.testing.assert_array_equal(
        POOL(images=ramp, kernel_shape=(2, 2), stride=(2, 3)), oracle.pool(ramp, (2, 2), (2, 3))
    )


def kernel_of(ones, number):
    """A kernel of the rank that the function takes, for images with two channels."""
    ones = np.asarray(ones)
    channels, several = (number >= 4) * (2,), (number == 5) * (3,)
    return np.broadcast_to(
        ones.reshape(ones.shape + (1,) * (number >= 4) + (1,) * (number == 5)),
        ones.shape + channels + several,
    )


def images_for(number, gray):
    """These images, with a second channel where the function takes channels."""
    return np.stack([gray, gray], axis=-1) if number >= 4 else gray


def extra(number):
    """The padding that the third function requires, as its further arguments."""
    return ((1, 2),) if number == 2 else ()


def meaning_of(number):
    """What the oracle is told for a call with the function's defaults."""
    return ["valid", "same", (1, 2), "same", "same", "same"][number]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize(
    ("pixel", "weight"),
    [
        (np.uint8(255), np.uint8(255)),
        (np.uint8(200), np.int8(-128)),
        (np.int8(-128), np.int8(-128)),
        (np.int8(-128), np.int8(127)),
        (np.uint16(65535), np.uint16(65535)),
        (np.bool_(True), np.bool_(True)),
        (np.float16(60000), np.float16(60000)),
        (np.float16(2) ** -14, np.float16(2) ** -14),
        (np.float32(2**24 - 1), np.float32(2**24 - 1)),
        (np.float32(3e38), np.float32(3e38)),
    ],
)
def test_nothing_wraps_overflows_or_is_rounded_early(number, pixel, weight):
    """A product or sum is taken in a small type, though float64 holds it exactly."""
    gray = np.full((2, 4, 5), pixel)
    images, kernel = images_for(number, gray), kernel_of(np.full((3, 2), weight), number)
    result = call(FUNCTIONS[number], images, kernel, *extra(number))
    expected = oracle.convolve(images, kernel, meaning_of(number))
    assert abs(expected).max() >= abs(float(pixel) * float(weight)) * 6
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("number", range(6))
def test_float32_sums_are_float64_sums(number):
    """Sums are taken in float32, which does not have the number 2 ** 24 + 1."""
    gray = np.array([[[2**24, 1]]], np.float32)
    kernel = kernel_of(np.ones((1, 2), np.float32), number)
    result = call(FUNCTIONS[number], images_for(number, gray), kernel, *extra(number))
    assert result.max() == (2**24 + 1) * (1 + (number >= 4))


@pytest.mark.parametrize(
    "pixel", [np.uint8(255), np.int8(-128), np.bool_(True), np.float16(60000), np.float32(2**24)]
)
def test_a_mean_does_not_overflow(pixel):
    """The mean of equal pixels is another number, because their sum left the pixels' type."""
    images = np.full((1, 4, 6, 2), pixel)
    np.testing.assert_array_equal(call(POOL, images, (4, 3), (1, 3), "avg"), float(pixel))


def test_a_mean_of_float32_is_a_float64_mean():
    """A mean is taken in float32, which does not have the number (2 ** 24 + 1) / 2."""
    images = np.array([2**24, 1], np.float32).reshape(1, 1, 2, 1)
    assert call(POOL, images, (1, 2), (1, 1), "avg").item() == (2**24 + 1) / 2


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_pixel_windows_give_a_new_array(dtype):
    """The result is the input itself, or differs, where every window is one pixel."""
    images = numbers((2, 3, 4, 1), dtype, 20, 1)
    expected, gray, one = images.astype(float), images[..., 0], np.ones((1, 1), dtype)
    for mode in ["max", "avg"]:
        np.testing.assert_array_equal(call(POOL, images, (1, 1), (1, 1), mode), expected)
    for function in [VALID, SAME, STRIDED]:
        np.testing.assert_array_equal(call(function, gray, one), expected[..., 0])
    np.testing.assert_array_equal(call(PADDED, gray, one, (0, 0)), expected[..., 0])
    np.testing.assert_array_equal(call(CHANNELS, images, one[..., None]), expected[..., 0])
    np.testing.assert_array_equal(call(SEVERAL, images, one[..., None, None]), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (9, 5)])
@pytest.mark.parametrize("number", range(6))
def test_nan_and_inf_reach_exactly_the_windows_that_cover_them(number, stride, value):
    """NaN or inf reaches a window that does not cover it, or misses one that does."""
    rng = np.random.default_rng(3)
    options = {"stride": stride} if number >= 3 else {}
    kernel = kernel_of(rng.uniform(1, 2, (3, 2)), number)
    for y, x in [(0, 0), (3, 2), (5, 6)]:
        gray = rng.uniform(1, 2, (2, 6, 7))
        there = np.zeros(gray.shape, bool)
        there[1, y, x] = True
        # One channel of a pixel is enough.
        images, where = images_for(number, gray), images_for(number, there)
        if number >= 4:
            where[..., 0] = False
        meaning = {"padding": meaning_of(number), **options}
        covered = oracle.convolve(where, np.ones(kernel.shape, int), **meaning) > 0
        expected = np.where(covered, value, oracle.convolve(images, kernel, **meaning))
        images[where] = value
        # NumPy may warn where it meets infinity (matmul does); the numbers count here.
        with np.errstate(invalid="warn" if np.isnan(value) else "ignore"):
            result = call(FUNCTIONS[number], images, kernel, *extra(number), **options)
        assert (~covered).any()
        np.testing.assert_allclose(result, expected, rtol=16 * EPSILON, atol=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("mode", ["max", "avg"])
def test_nan_and_inf_in_pooling(mode, dtype, value):
    """NaN does not win a maximum, or -inf wins one over a finite number."""
    images = np.arange(-42, 42, dtype=dtype).reshape(1, 6, 7, 2)
    images[0, 2, 3, 1] = value
    result = call(POOL, images, (2, 3), (2, 1), mode)
    expected = oracle.pool(images, (2, 3), (2, 1), mode)
    assert np.isfinite(expected[..., 0]).all()
    assert (~np.isfinite(expected)).sum() == (0 if (mode, value) == ("max", -np.inf) else 3)
    np.testing.assert_allclose(result, expected, rtol=8 * EPSILON, atol=0)
    full = np.full((1, 2, 2, 1), value, dtype)
    np.testing.assert_array_equal(call(POOL, full, (2, 2), (1, 1), mode), value)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, np.float64])
def test_a_maximum_below_zero_stays_below_zero(dtype):
    """A maximum of negative numbers is 0, because the search for it began there."""
    images = -1 - np.arange(32, dtype=dtype).reshape(2, 4, 4, 1)
    expected = [[[-1, -3], [-9, -11]], [[-17, -19], [-25, -27]]]
    assert call(POOL, images, (2, 2), (2, 2))[..., 0].tolist() == expected


@pytest.mark.parametrize("stride", [(20, 20), (300, 1), (1, 300), (70, 110)])
@pytest.mark.parametrize("number", [3, 4, 5])
@pytest.mark.parametrize("size", [(1, 1), (4, 5), (5, 4)])
def test_same_keeps_the_size_at_strides_far_larger_than_the_image(number, stride, size):
    """Windows that lie in the padding alone do not give 0, or the size changes."""
    rng = np.random.default_rng(4)
    images = images_for(number, rng.integers(1, 9, (2, *size)))
    for window in [(1, 1), (2, 3), (7, 30)]:
        kernel = kernel_of(rng.integers(1, 9, window), number)
        result = call(FUNCTIONS[number], images, kernel, "same", stride)
        assert result.shape[:3] == (2, *size)
        np.testing.assert_array_equal(result, oracle.convolve(images, kernel, "same", stride))


@pytest.mark.parametrize("padding", [(40, 0), (0, 40), (33, 57)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (17, 4), (90, 90)])
@pytest.mark.parametrize("number", [3, 4, 5])
def test_paddings_far_larger_than_the_image(number, stride, padding):
    """The border, of windows that see padding alone, is not 0 or not wide enough."""
    images = images_for(number, np.arange(1, 13).reshape(1, 3, 4))
    kernel = kernel_of([[1, 2, 3], [4, 5, 6]], number)
    result = call(FUNCTIONS[number], images, kernel, padding, stride)
    np.testing.assert_array_equal(result, oracle.convolve(images, kernel, padding, stride))
    if number == 3 and stride == (1, 1):
        np.testing.assert_array_equal(result, call(PADDED, images, kernel, padding))


@pytest.mark.parametrize("m", [0, 1, 200])
def test_the_shapes_of_the_brief(m):
    """One of the brief's calls gives another shape, with few images or with 200."""
    rng = np.random.default_rng(5)
    digits = rng.integers(0, 256, (m, 28, 28), np.uint8)
    animals = rng.integers(0, 256, (m, 32, 32, 3), np.uint8)
    edges = np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]])
    sharpen = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])[..., None].repeat(3, axis=2)
    three = rng.integers(-1, 6, (3, 3, 3, 3))
    for result, shape in [
        (call(VALID, digits, edges), (m, 26, 26)),
        (call(SAME, digits, edges), (m, 28, 28)),
        (call(PADDED, digits, edges, (2, 4)), (m, 30, 34)),
        (call(STRIDED, digits, edges, padding="valid", stride=(2, 2)), (m, 13, 13)),
        (call(CHANNELS, animals, sharpen, padding="valid"), (m, 30, 30)),
        (call(SEVERAL, animals, three, padding="valid"), (m, 30, 30, 3)),
        (call(POOL, animals, (2, 2), (2, 2), mode="avg"), (m, 16, 16, 3)),
    ]:
        assert result.shape == shape


@pytest.mark.parametrize("number", range(6))
def test_every_image_of_a_large_batch(number):
    """An image lands in another's place where the batch is worked on in slices."""
    gray = np.arange(500, dtype=np.uint16)[:, None, None] + np.zeros((20, 30), np.uint16)
    images, kernel = images_for(number, gray), kernel_of(np.ones((2, 3), int), number)
    result = call(FUNCTIONS[number], images, kernel, *extra(number))
    one = oracle.convolve(images[1:2], kernel, meaning_of(number))
    np.testing.assert_array_equal(result, np.arange(500).reshape(-1, *[1] * (one.ndim - 1)) * one)


def test_lists_are_arrays_too():
    """Nested lists, which np.asarray understands, are refused or give something else."""
    assert VALID([[[1, 2], [3, 4]]], [[1, 1]]).tolist() == [[[3], [7]]]
    assert STRIDED([[[1, 2]]], [[1]], [0, 1], [1, 2]).tolist() == [[[0, 2]]]
    assert POOL([[[[1], [2]]]], [1, 2], [1, 1]).tolist() == [[[[2]]]]
