"""`pool` against the oracle, and at the edges: of images, of types, of arithmetic."""

from functools import reduce

import numpy as np
import oracle
import pytest
from strategies import (
    PAD_MODES,
    POOL_MODES,
    TYPES,
    each_method,
    random_numbers,
    random_pooling,
    takes,
)

import convlens

pytestmark = each_method


# ---------------------------------------------------------------------- against the oracle


@pytest.mark.parametrize("hundred", range(30))
def test_random_calls(method, hundred):
    """Random calls of every kind give what the oracle gives, or are refused where it refuses."""
    for seed, case, expected in oracle.random_calls(hundred, random_pooling, oracle.pool):
        if not takes(method, *case.types):
            continue
        try:
            if expected is None:
                with pytest.raises(ValueError, match="cover no pixel"):
                    convlens.pool(*case.arguments, **case.options, method=method)
            else:
                expected.check(convlens.pool(*case.arguments, **case.options, method=method))
        except (AssertionError, pytest.fail.Exception) as error:
            raise AssertionError(f"seed {seed}: {case}: {error}") from None


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_types(method, dtype, mode):
    """Every type and mode gives the right result type and the right numbers."""
    x = random_numbers(np.random.default_rng(0), (2, 5, 4, 3), dtype, small=True)
    result = convlens.pool(x, (2, 3), 1, mode, method=method)
    if mode in ("max", "min") or dtype.kind in "fc":
        assert result.dtype == dtype
    else:
        whole = np.uint64 if dtype == np.uint64 else np.int64
        assert result.dtype == (whole if mode == "sum" else np.float64)
    oracle.pool(x, (2, 3), 1, mode).check(result)


SIZES = {
    "many small images": ((700, 5, 7, 3), (2, 3), {}),
    "a tall image": ((1, 9000, 9, 5), (3, 3), {"stride": (50, 2)}),
    "a wide image": ((2, 2, 9000, 9), (2, 3), {"stride": (1, 40)}),
    "a gray row": ((1, 1, 70000, 1), (1, 5), {"stride": (1, 66)}),
    "many channels": ((2, 3, 3, 70000), (2, 2), {"stride": 1}),
    "a wide window": ((1, 3, 400, 2), (2, 300), {"stride": 1}),
    "far apart": ((1, 2, 4000, 20), (1, 3), {"dilation": (1, 1500), "stride": (1, 7)}),
    "many small volumes": ((200, 4, 5, 7, 3), 2, {"space": 3}),
    "a deep volume": ((1, 900, 6, 9, 5), (3, 3, 2), {"space": 3, "stride": (5, 2, 1)}),
    "a wide volume": ((2, 2, 2, 3000, 9), (2, 1, 3), {"space": 3, "stride": (1, 1, 20)}),
    "a large window": ((1, 30, 31, 32), (20, 21, 22), {"space": 3, "stride": 3}),
    "slabs far apart": ((1, 900, 2, 3, 8), (3, 1, 2), {"space": 3, "dilation": (300, 1, 1)}),
    "many short signals": ((700, 9, 3), 4, {"space": 1}),
    "a signal": ((1, 30_000), 600, {"space": 1, "stride": 50}),
}


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("sizes", SIZES)
def test_sizes(method, sizes, mode, padding):
    """Sizes at which an engine may cut its work into pieces; whole numbers make sums exact."""
    shape, window, options = SIZES[sizes]
    x = np.random.default_rng(0).integers(-100, 100, shape).astype(np.float32)
    expected = oracle.pool(x, window, mode=mode, padding=padding, **options)
    result = convlens.pool(x, window, mode=mode, padding=padding, **options, method=method)
    expected.check(result)


@pytest.mark.parametrize("dtype", ["f4", "i8", "u1"])
@pytest.mark.parametrize("mode", ["max", "min", "sum"])
@pytest.mark.parametrize(
    ("size", "window"),
    [((300_000,), (7,)), ((50, 60, 70), (3, 2, 4)), ((9, 20, 1500), (1, 5, 1))],
    ids=str,
)
def test_large_signals_and_volumes(method, size, window, mode, dtype):
    """Outputs are shifted images merged, which is another way to say the same."""
    x = np.random.default_rng(0).integers(0, 200, size).astype(dtype)
    padded = np.pad(x.astype(int), oracle.paddings("same", size, window, (1,) * len(size)), "edge")
    shifted = (
        padded[tuple(slice(t, t + n) for t, n in zip(tap, size, strict=True))]
        for tap in np.ndindex(*window)
    )
    merge = {"max": np.maximum, "min": np.minimum, "sum": np.add}
    options = {"padding": "same", "pad_mode": "edge", "space": len(size), "method": method}
    result = convlens.pool(x, window, 1, mode, **options)
    np.testing.assert_array_equal(result, reduce(merge[mode], shifted))


# ---------------------------------------------------------------------------- small and odd


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize(
    ("shape", "result_shape"),
    [
        ((0, 5, 6), (0, 2, 3)),
        ((0, 5, 6, 2), (0, 2, 3, 2)),
        ((2, 5, 6, 0), (2, 2, 3, 0)),
    ],
)
def test_nothing(method, shape, result_shape, mode):
    """Without images or channels the result is empty and has the right shape."""
    result = convlens.pool(np.ones(shape), 2, mode=mode, method=method)
    assert result.shape == result_shape
    assert result.dtype == np.float64


@pytest.mark.parametrize("mode", POOL_MODES)
def test_no_pixels(method, mode):
    """Images without pixels give results without pixels, with "same" padding."""
    result = convlens.pool(np.ones((2, 0, 6, 3)), 2, mode=mode, padding="same", method=method)
    assert result.shape == (2, 0, 3, 3)


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("padding", ["valid", "same", "full", 1])
def test_one_pixel(method, padding, mode):
    """A single pixel is its own maximum, minimum, mean and sum, whatever the padding."""
    window = 1 if padding == "valid" else 2
    result = convlens.pool(np.array([[-5]]), window, 1, mode, padding=padding, method=method)
    assert set(result.ravel()) == {-5}


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("padding", ["same", "full"])
def test_window_larger_than_the_image(method, padding, mode):
    """A window of 9 x 12 taps is right on an image of 3 x 2 pixels."""
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 2))
    result = convlens.pool(x, (9, 12), 1, mode, padding=padding, method=method)
    oracle.pool(x, (9, 12), 1, mode, padding=padding).check(result)


def test_huge_stride(method):
    """A stride larger than the image leaves a single output."""
    x = np.arange(20).reshape(4, 5)
    assert convlens.pool(x, 2, 10**18, method=method).tolist() == [[6]]


def test_stride_is_the_window_by_default(method):
    """Windows lie side by side by default, and remaining pixels are left out."""
    x = np.arange(35).reshape(5, 7)
    assert convlens.pool(x, (2, 3), method=method).tolist() == [[9, 12], [23, 26]]


def test_lists(method):
    """Nested lists are accepted as images."""
    assert convlens.pool([[1, 2], [3, 4]], 2, mode="avg", method=method).tolist() == [[2.5]]


# --------------------------------------------------------------- signals, volumes, borders


def test_a_signal(method):
    """Every output is made of the samples under the window."""
    x = [4, 1, 3, 8, 2]
    results = {
        mode: convlens.pool(x, 2, mode=mode, method=method, space=1).tolist() for mode in POOL_MODES
    }
    assert results == {"max": [4, 8], "min": [1, 3], "avg": [2.5, 5.5], "sum": [5, 11]}


def test_a_volume(method):
    """Axes are depth, height and width, in arrays as well as in the window."""
    x = np.arange(24).reshape(2, 3, 4)
    assert convlens.pool(x, (2, 1, 4), method=method, space=3).tolist() == [[[15], [19], [23]]]
    assert convlens.pool(x, (1, 3, 2), 1, "min", method=method, space=3).tolist() == [
        [[0, 1, 2]],
        [[12, 13, 14]],
    ]


@pytest.mark.parametrize("pad_mode", PAD_MODES)
def test_cells_of_a_border_count_like_pixels(method, pad_mode):
    """Means, sums and extremes take what the padding holds into account."""
    x, options = [5, 1, 3], {"padding": 2, "pad_mode": pad_mode, "method": method, "space": 1}
    cells = np.pad(x, 2, pad_mode).tolist()
    windows = [cells[n : n + 3] for n in range(5)]
    assert convlens.pool(x, 3, 1, **options).tolist() == list(map(max, windows))
    assert convlens.pool(x, 3, 1, "min", **options).tolist() == list(map(min, windows))
    assert convlens.pool(x, 3, 1, "sum", **options).tolist() == list(map(sum, windows))
    means = convlens.pool(x, 3, 1, "avg", **options)
    np.testing.assert_allclose(means, np.mean(windows, axis=1), rtol=1e-15)


def test_padding_of_any_number(method):
    """With pad_mode="constant" padding holds `pad_value`, which may win; by default it is 0."""
    x, options = [-5, -1, -3], {"padding": 1, "pad_mode": "constant", "method": method, "space": 1}
    assert convlens.pool(x, 2, 1, **options).tolist() == [0, -1, -1, 0]
    assert convlens.pool(x, 2, 1, **options, pad_value=-2).tolist() == [-2, -1, -1, -2]
    assert convlens.pool(x, 2, 1, "min", **options, pad_value=-4).tolist() == [-5, -5, -3, -4]
    assert convlens.pool(x, 2, 1, "sum", **options, pad_value=9).tolist() == [4, -6, -4, 6]
    assert convlens.pool(x, 2, 1, "avg", **options, pad_value=9).tolist() == [2, -3, -2, 3]


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_windows_on_a_border_alone(method, dtype, mode):
    """They give what the padding holds, as no other cell is there."""
    x = random_numbers(np.random.default_rng(0), (4,), dtype)
    options = {"padding": (0, 9), "method": method, "space": 1}
    result = convlens.pool(x, 2, 1, mode, pad_mode="edge", **options)
    np.testing.assert_array_equal(result[4:], [x[-1]] * 8)
    result = convlens.pool(x, 2, 1, mode, pad_mode="constant", pad_value=x[0], **options)
    np.testing.assert_array_equal(result[4:], [x[0]] * 8)


# -------------------------------------------------------------------- padding, partial, counts


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_padding_never_wins(method, dtype, mode):
    """Padding is never the result, not even over a type's smallest number or infinity."""
    if dtype.kind == "b":
        worst = mode == "min"
    elif dtype.kind in "iu":
        worst = np.iinfo(dtype).min if mode == "max" else np.iinfo(dtype).max
    else:
        worst = -np.inf if mode == "max" else np.inf
    x = np.full((1, 3, 3), worst, dtype)
    result = convlens.pool(x, 3, 1, mode, padding="full", method=method)
    assert result.shape == (1, 5, 5)
    np.testing.assert_array_equal(result, np.full((1, 5, 5), worst, dtype))


def test_all_negative(method):
    """The maximum of negative numbers is negative at the border too."""
    x = -np.arange(1.0, 10).reshape(3, 3)
    result = convlens.pool(x, 3, 1, padding="same", method=method)
    assert result.tolist() == [[-1, -1, -2], [-1, -1, -2], [-4, -4, -5]]


def test_average_leaves_padding_out(method):
    """At a corner only the four pixels count, so that the mean of ones is 1."""
    result = convlens.pool(np.ones((3, 3)), 3, 1, "avg", padding="same", method=method)
    np.testing.assert_array_equal(result, np.ones((3, 3)))


def test_average_counts_padding_if_asked(method):
    """With `count_padding` a corner of nines has a mean of 4, an edge of 6."""
    result = convlens.pool(
        np.full((3, 3), 9), 3, 1, "avg", padding=1, count_padding=True, method=method
    )
    assert result.tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


def test_partial_windows_see_what_they_cover(method):
    """Of five columns in windows of three, the second window covers two."""
    x = np.array([[1, 2, 3, 4, 6]])
    results = {
        mode: convlens.pool(x, (1, 3), mode=mode, partial=True, method=method).tolist()
        for mode in POOL_MODES
    }
    assert results == {"max": [[3, 6]], "min": [[1, 4]], "avg": [[2, 5]], "sum": [[6, 10]]}


def test_overhang_is_never_counted(method):
    """Padding is counted on request, but not the cells beyond the far edge of the padding."""
    x = np.array([[6, 6, 6, 6]])  # 6 cells with the padding; steps of 3 leave a window hanging over
    result = convlens.pool(
        x, (1, 4), (1, 3), "avg", padding=(0, 1), partial=True, count_padding=True, method=method
    )
    # Cells -1 … 2 hold 18 in four cells; cells 2 … 4 hold 12 in three, as cell 5 is not padding.
    assert result.tolist() == [[18 / 4, 12 / 3]]


def test_no_partial_window_behind_the_image(method):
    """A partial window must start on the image, not on the padding after it, as in PyTorch."""
    x = np.array([[1, 2, 3, 4]])
    result = convlens.pool(x, (1, 2), padding=((0, 0), (1, 1)), partial=True, method=method)
    assert result.tolist() == [[1, 3, 4]]
    result = convlens.pool(x, (1, 2), padding=((0, 0), (0, 1)), partial=True, method=method)
    assert result.tolist() == [[2, 4]]


def test_partial_only_adds_windows(method):
    """A whole window on the padding after the image exists with `partial` and without."""
    for partial in (False, True):
        result = convlens.pool(
            [[5]], 1, 1, "sum", padding=((0, 0), (0, 3)), partial=partial, method=method
        )
        assert result.tolist() == [[5, 0, 0, 0]]


def test_partial_window_larger_than_the_image(method):
    """A window larger than the image gives one output with `partial`."""
    result = convlens.pool(np.array([[1, 5]]), (1, 3), partial=True, method=method)
    assert result.tolist() == [[5]]


# ------------------------------------------------------------------------------- integers


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u1", "u2", "u4"])
def test_integers_at_the_edges_of_their_type(method, dtype):
    """Sums and means of the smallest and the largest integers are right."""
    for number in (np.iinfo(dtype).min, np.iinfo(dtype).max):
        x = np.full((3, 3), number, dtype)
        results = {mode: convlens.pool(x, 3, mode=mode, method=method) for mode in POOL_MODES}
        assert results["sum"].tolist() == [[9 * number]]
        assert results["avg"].tolist() == [[number]]
        assert results["max"].tolist() == results["min"].tolist() == [[number]]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_64_bit_sums_are_those_of_numpy(method, dtype):
    """They are taken in the type that `numpy.sum` takes them in, and leave it as it does."""
    limits = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max, (5, 4), dtype, endpoint=True)
    for images in (x, x.astype(x.dtype.newbyteorder())):
        result = convlens.pool(images, (5, 4), mode="sum", method=method)
        assert result.dtype == x.sum().dtype
        assert result.tolist() == [[x.sum()]]


@pytest.mark.parametrize(
    "number", [2**62, -(2**63), 2**63 - 1, np.uint64(2**63), np.uint64(2**64 - 1)]
)
def test_64_bit_means(method, number):
    """The mean of four equal 64-bit integers is that integer as a float64, up to 1 ulp."""
    result = convlens.pool(np.full((2, 2), number), 2, mode="avg", method=method)
    np.testing.assert_array_max_ulp(result, np.full((1, 1), float(number)), maxulp=1)


def test_booleans(method):
    """For booleans max is "any", min is "all", and sum counts."""
    x = np.array([[True, False], [False, False]])
    assert convlens.pool(x, 2, method=method).tolist() == [[True]]
    assert convlens.pool(x, 2, mode="min", method=method).tolist() == [[False]]
    assert convlens.pool(x, 2, mode="sum", method=method).tolist() == [[1]]
    assert convlens.pool(x, 2, mode="avg", method=method).tolist() == [[0.25]]


def test_unsigned_64_bit_numbers(method):
    """Of numbers beyond int64 the sum is unsigned, and the mean as large as they are."""
    x = np.full((2, 2), 2**63 + 2**40, np.uint64)
    total = convlens.pool(x, 1, mode="sum", method=method)
    assert (total.dtype, total.tolist()) == (np.uint64, x.tolist())
    means = convlens.pool(x, (1, 2), mode="avg", method=method)
    assert means.tolist() == [[2.0**63 + 2**40]] * 2


# --------------------------------------------------------------------------------- floats


def test_float16_averages_beyond_its_range(method):
    """A mean fits into float16 although the sum of nine does not."""
    x = np.full((3, 3), 60000, np.float16)
    assert convlens.pool(x, 3, mode="avg", method=method).tolist() == [[60000]]


def test_float16_sums_beyond_its_precision(method):
    """4096 ones add up to 4096; summed in float16 they would stop at 2048."""
    x = np.ones((64, 64), np.float16)
    assert convlens.pool(x, 64, mode="sum", method=method).tolist() == [[4096]]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex(method, dtype):
    """Complex numbers are compared in NumPy's order: first the real, then the imaginary parts."""
    x = np.array([[1 + 5j, 2 - 9j], [2 - 3j, 1 - 7j]], dtype)
    assert convlens.pool(x, 2, method=method).tolist() == [[2 - 3j]]
    assert convlens.pool(x, 2, mode="min", method=method).tolist() == [[1 - 7j]]
    assert convlens.pool(x, 2, mode="sum", method=method).tolist() == [[6 - 14j]]
    assert convlens.pool(x, 2, mode="avg", method=method).tolist() == [[1.5 - 3.5j]]


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("pad_mode", [None, *PAD_MODES])
@pytest.mark.parametrize("size", [(5, 6), (11,), (3, 4, 5)], ids=str)
def test_nan_reaches_what_covers_it(method, size, pad_mode, dtype, mode):
    """Exactly the outputs that cover the NaN are NaN, in its image and channel."""
    rng, space = np.random.default_rng(0), len(size)
    window = (2, 1, 3) if space == 3 else (2, 3)[-space:]
    every = 1 if pad_mode is None and space == 2 else 7
    for number, pixel in list(enumerate(np.ndindex(*size)))[::every]:
        x = rng.standard_normal((3, *size, 2)).astype(dtype)
        x[1, *pixel, 1] = np.nan
        stride, dilation = (1 + number % 2,) * space, (1 + number // 15 % 2,) * space
        options = {"padding": "full", "pad_mode": pad_mode, "dilation": dilation, "space": space}
        result = convlens.pool(x, window, stride, mode, **options, method=method)
        bad = np.zeros(result.shape, bool)
        holds = pad_mode or "constant"  # no NaN where it holds nothing
        bad[1, ..., 1] = oracle.windows_over(pixel, size, window, "full", holds, stride, dilation)
        np.testing.assert_array_equal(np.isnan(result), bad)


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("size", [(11,), (5, 6), (3, 4, 5)], ids=str)
def test_nan_in_the_padding(method, size, mode):
    """If the padding holds NaN, exactly the outputs whose windows touch it are NaN."""
    options = {"padding": 2, "pad_mode": "constant", "pad_value": np.nan, "space": len(size)}
    result = convlens.pool(np.ones((2, *size)), 3, 2, mode, **options, method=method)
    touches = np.ones(result.shape[1:], bool)
    touches[tuple(slice(1, (n - 1) // 2 + 1) for n in size)] = False
    for image in result:
        np.testing.assert_array_equal(np.isnan(image), touches)


def test_inf_reaches_what_it_wins(method):
    """Infinity is compared like any other number, and dominates sums and means."""
    x = np.array([[1.0, np.inf, 2.0, -np.inf, 3.0]])
    results = {
        mode: convlens.pool(x, (1, 2), 1, mode, method=method)[0].tolist() for mode in POOL_MODES
    }
    inf = np.inf
    assert results["max"] == [inf, inf, 2, 3]
    assert results["min"] == [1, 2, -inf, -inf]
    assert results["avg"] == results["sum"] == [inf, inf, -inf, -inf]


# ------------------------------------------------------------------------------------ out


@pytest.mark.parametrize("mode", POOL_MODES)
def test_out_of_any_layout(method, mode):
    """A strided, reversed, transposed `out` is filled, and the memory around it is unchanged."""
    x = np.random.default_rng(0).standard_normal((3, 6, 5, 2))
    expected = convlens.pool(x, (2, 3), 1, mode, method=method)
    around = np.full([2 * size + 3 for size in expected.shape[::-1]], 7.0)
    out = around[(slice(-2, 1, -2),) * 4].transpose()
    assert convlens.pool(x, (2, 3), 1, mode, out=out, method=method) is out
    np.testing.assert_array_equal(out, expected)
    assert np.count_nonzero(around == 7.0) == around.size - expected.size


# ---------------------------------------------------------------------------------- nothing


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize(
    ("shape", "padding", "result_shape"),
    [
        ((0, 5, 6), 9, (0, 22, 23)),
        ((2, 5, 6, 0), 9, (2, 22, 23, 0)),
        ((2, 0, 6), ((0, 0), (9, 9)), None),
        ((2, 0, 6), "same", (2, 0, 6)),
    ],
)
def test_no_output(method, mode, shape, padding, result_shape):
    """A pooling without outputs has no windows over padding alone, and is not refused for any."""
    if result_shape is None:
        with pytest.raises(ValueError, match="the window is larger than the padded images"):
            convlens.pool(np.ones(shape), 2, 1, mode, padding=padding, method=method)
        return
    result = convlens.pool(np.ones(shape), 2, 1, mode, padding=padding, method=method)
    assert result.shape == result_shape


def test_padding_around_no_pixels(method):
    """Sums over padding alone are 0, and so are means that count it; all else is refused."""
    x = np.ones((2, 0, 3))
    options = {"padding": 1, "method": method}
    zeros = np.zeros((2, 1, 4))
    np.testing.assert_array_equal(convlens.pool(x, 2, 1, "sum", **options), zeros)
    means = convlens.pool(x, 2, 1, "avg", count_padding=True, **options)
    np.testing.assert_array_equal(means, zeros)
    for mode in ("max", "min", "avg"):
        with pytest.raises(ValueError, match="cover no pixel"):
            convlens.pool(x, 2, 1, mode, **options)
