"""Huge paddings, dilations and windows cost nothing as long as little is computed.

Each of these calls would take minutes, or more memory than there is, if it visited every cell
between two taps, every cell of padding or every tap on padding.
"""

import math
import re
import time

import dask.array as da
import numpy as np
import oracle
import pytest
from strategies import PAD_MODES, POOL_MODES, each_method, takes
from test_invariance import same_bits

import convlens

QUICK = 2.0  # seconds of processor time


@pytest.fixture(autouse=True)
def quick():
    """Fail if a test takes more processor time than this."""
    began = time.process_time()
    yield
    assert time.process_time() - began < QUICK


def pixel(cell, size, pad_mode):
    """The pixel that a cell holds, by the definition of `numpy.pad`; None for a zero."""
    if 0 <= cell < size:
        return cell
    if pad_mode == "constant":
        return None
    if pad_mode == "edge":
        return 0 if cell < 0 else size - 1
    line = {
        "wrap": list(range(size)),
        "symmetric": [*range(size), *reversed(range(size))],
        "reflect": [*range(size), *reversed(range(1, size - 1))],
    }[pad_mode]
    return line[cell % len(line)]


def with_gaps(x, k, dilation, before, outputs, pad_mode):
    """The convolution of one (h, w) image, cell by cell, in Python's integers."""
    values = np.zeros(outputs, x.dtype)
    for place in np.ndindex(*outputs):
        for tap in np.ndindex(*k.shape):
            cells = [o + t * d - b for o, t, d, b in zip(place, tap, dilation, before, strict=True)]
            found = [pixel(c, n, pad_mode) for c, n in zip(cells, x.shape, strict=True)]
            if None not in found:
                values[place] += x[tuple(found)] * k[tap]
    return values


@each_method
@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("dilation", [(2**30, 1), (3, 2**62), (10**9 + 7, 2**40 + 1)])
@pytest.mark.parametrize("dtype", ["i8", "f8", "D"])
def test_dilation(method, dilation, pad_mode, dtype):
    """Taps so far apart that few lie on the image give a wrong result, or take long."""
    rng = np.random.default_rng(0)
    x, k = rng.integers(-9, 9, (5, 7)).astype(dtype), rng.integers(-9, 9, (2, 2)).astype(dtype)
    padding = tuple((d // 2, d - d // 2) for d in dilation)
    options = {"dilation": dilation, "pad_mode": pad_mode, "method": method}
    result = convlens.convolve(x, k, padding, **options)
    before = [first for first, _ in padding]
    np.testing.assert_array_equal(result, with_gaps(x, k, dilation, before, (5, 7), pad_mode))
    same = convlens.convolve(x, k, "same", **options)
    np.testing.assert_array_equal(same, result)


@each_method
@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize(
    "dilation", [(2**40 + 1,), (2**62,), (2**30, 1, 2), (1, 10**9 + 7, 2**40), (2**62, 3, 1)]
)
@pytest.mark.parametrize("dtype", ["i8", "f8"])
def test_dilation_of_signals_and_volumes(method, dilation, pad_mode, dtype):
    """Taps so far apart that few lie on the pixels give a wrong result, or take long."""
    rng, space = np.random.default_rng(0), len(dilation)
    size, window = (11,) if space == 1 else (3, 4, 5), (2,) * space
    x, k = rng.integers(-9, 9, size).astype(dtype), rng.integers(-9, 9, window).astype(dtype)
    options = {"dilation": dilation, "pad_mode": pad_mode, "method": method, "space": space}
    result = convlens.convolve(x, k, **options)
    before = [each // 2 for each in dilation]
    np.testing.assert_array_equal(result, with_gaps(x, k, dilation, before, size, pad_mode))


@each_method
@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("space", [1, 3])
def test_huge_strides(method, space, mode):
    """A stride far beyond the image does not leave the first window alone."""
    x = np.arange(2.0 * 3**space).reshape(2, *[3] * space)
    options = {"stride": (10**18,) * space, "method": method, "space": space}
    result = convlens.pool(x, 3, mode=mode, **options)
    whole = {"max": np.max, "min": np.min, "avg": np.mean, "sum": np.sum}[mode]
    np.testing.assert_array_equal(result.ravel(), whole(x.reshape(2, -1), axis=1))
    sums = convlens.convolve(x, np.ones((3,) * space), "valid", **options)
    np.testing.assert_array_equal(sums.ravel(), x.reshape(2, -1).sum(1))


@each_method
@pytest.mark.parametrize("pad_mode", PAD_MODES)
def test_moderate_dilation(method, pad_mode):
    """A dilation beyond the image differs from the oracle, which goes through all the padding."""
    rng = np.random.default_rng(0)
    x, k = rng.integers(-9, 9, (2, 3, 6, 9)), rng.integers(-9, 9, (2, 3, 9, 2))
    for dilation, padding in (((4, 301), "same"), ((150, 2), ((80, 90), (3, 1)))):
        result = convlens.convolve(
            x, k, padding, dilation=dilation, pad_mode=pad_mode, method=method
        )
        oracle.convolve(x, k, padding, dilation=dilation, pad_mode=pad_mode).check(result)


def test_complex_wrap():
    """Complex numbers with 65,536 columns of wrapped padding are wrong, or take long."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((3, 6, 9)) + 1j * rng.standard_normal((3, 6, 9))).astype("F")
    k = rng.standard_normal((2, 2)).astype("F")
    result = convlens.convolve(x, k, "same", dilation=(4, 65537), pad_mode="wrap")
    moved = convlens.convolve(x, k, "same", dilation=(4, 65537 % 9), pad_mode="wrap")
    # With "same", windows begin half their reach to the left, which differs for the two dilations.
    shift = (65537 // 2 - 65537 % 9 // 2) % 9
    np.testing.assert_array_equal(result, np.roll(moved, shift, axis=2))


@each_method
@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("dilation", [2**40, 2**62])
def test_pool_dilation(method, mode, dilation):
    """A pooling whose middle taps alone lie on pixels is wrong, or takes long."""
    x = np.arange(35.0).reshape(5, 7)
    result = convlens.pool(
        x, (1, 3), 1, mode, padding=((0, 0), (dilation, dilation)), dilation=dilation, method=method
    )
    np.testing.assert_array_equal(result, x)
    if mode == "avg":
        counted = convlens.pool(
            x,
            (1, 3),
            1,
            mode,
            padding=((0, 0), (dilation, dilation)),
            dilation=dilation,
            count_padding=True,
            method=method,
        )
        np.testing.assert_array_equal(counted, x / 3)


@pytest.mark.parametrize("mode", POOL_MODES)
def test_huge_windows(mode):
    """A plan for a huge window, or NumPy's engine, goes through taps that lie on padding."""
    plan = convlens.plan_pool((1, 1, 10**6), (1, 10**7 + 1), 1, mode, padding="same")
    assert plan.output_shape == (1, 1, 10**6)
    x = np.arange(10.0).reshape(1, 1, 10)
    result = convlens.pool(x, (1, 2**40), 1, mode, padding="same", method="numpy")
    expected = {"max": 9, "min": 0, "avg": 4.5, "sum": 45}[mode]
    np.testing.assert_array_equal(result, np.full((1, 1, 10), expected))


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("dilation", [10**7, 2**40, 2**62])
def test_dask(dilation, pad_mode):
    """The graph of a huge dilation is wrong, or has more cells than windows touch."""
    x = np.random.default_rng(0).integers(-9, 9, (2, 5, 7))
    k = np.array([[1, -2, 3], [2, 0, 1]])
    options = {"dilation": (1, dilation), "pad_mode": pad_mode}
    for stride in (1, 3):
        result = convlens.convolve(da.from_array(x, chunks=(1, 3, 4)), k, stride=stride, **options)
        expected = convlens.convolve(x, k, stride=stride, **options)
        np.testing.assert_array_equal(result.compute(scheduler="sync"), expected)


@each_method
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_dask_has_the_same_bits(method, stride):
    """Bits change in chunks where windows touch few of many cells, in two passes or one."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 40, 300)).astype(np.float32)
    for k in (rng.standard_normal((5, 5)), np.outer(*rng.standard_normal((2, 7)))):
        options = {"stride": stride, "dilation": (1, 900), "pad_mode": "reflect", "method": method}
        kernel = k.astype(np.float32)
        result = convlens.convolve(da.from_array(x, chunks=(1, 17, 60)), kernel, **options)
        expected = convlens.convolve(x, kernel, **options)
        assert same_bits(result.compute(scheduler="sync"), expected)


# ------------------------------------------------------------------------ results too large


@each_method
@pytest.mark.parametrize("padding", [10**10, 2**62])
def test_results_too_large(method, padding):
    """A result too large for any memory is not refused with its shape, or cannot be planned."""
    x, size = np.ones((4, 5, 6)), 2 * padding
    shape = 4, 5 + size, 6 + size
    nbytes = f"{8 * math.prod(shape):,}"
    words = re.escape(f"the result has shape {shape} and dtype float64, which take {nbytes} bytes")
    with pytest.raises(ValueError, match=f"^convolve: {words}, more than there is memory for"):
        convlens.convolve(x, np.ones((1, 1)), padding, method=method)
    plan = convlens.plan_convolve(x, np.ones((1, 1)), padding, method=method)
    assert plan.output_shape == shape
    with pytest.raises(ValueError, match=r"^pool: the result has shape"):
        convlens.pool(x, 1, mode="sum", padding=padding, method=method)
    chunks = da.from_array(x, chunks=(1, 5, 3))  # Every chunk of the result would be too large.
    with pytest.raises(ValueError, match=r"^convolve: the result has shape"):
        convlens.convolve(chunks, np.ones((1, 1)), padding, method=method)


@each_method
def test_results_larger_than_memory(method):
    """A result that could be addressed, but not held, gives an error without its shape."""
    words = (
        r"^convolve: the result has shape \(1, 1125899906842624\) and dtype float64, which take 9,"
    )
    with pytest.raises(MemoryError, match=words):
        convlens.convolve([[1.0]], [[1.0]], ((0, 0), (0, 2**50 - 1)), method=method)


# ---------------------------------------------------------------------- NumPy's own warnings


@each_method
@pytest.mark.parametrize("of_dask", [False, True])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", "F"])
def test_numpy_raises_nothing(method, dtype, of_dask):
    """np.seterr makes overflow, underflow or NaN raise, though they are valid results."""
    kind = np.finfo(dtype)
    x = np.array([[kind.max, kind.max, kind.tiny, -kind.max, np.inf, 0]], dtype)
    k = np.array([[kind.max, kind.tiny, 1 / 3]], dtype)
    layer = np.stack([k[..., np.newaxis]] * 9, axis=3)

    def results():
        images = da.from_array(x, chunks=2) if of_dask else x
        yield convlens.convolve(images, k, method=method)
        yield convlens.convolve(images[np.newaxis, ..., np.newaxis], layer, method=method)
        if takes(method, "F"):
            yield convlens.convolve(images, k, dtype="F", method=method)
        for mode in POOL_MODES:
            yield convlens.pool(images, (1, 3), 1, mode, padding="same", method=method)

    def numbers():
        return [np.asarray(result) for result in results()]

    expected = numbers()
    with np.errstate(all="raise"):
        for result, right in zip(numbers(), expected, strict=True):
            np.testing.assert_array_equal(result, right)


@each_method
def test_numpy_raises_nothing_of_narrower_results(method):
    """Sums that are too large or too small for the float16 asked for raise an error."""
    x = np.array([[1e30, 1e-30]], np.float32)
    with np.errstate(all="raise"):
        result = convlens.convolve(x, np.ones((1, 1), np.float32), dtype="f2", method=method)
    assert result.tolist() == [[np.inf, 0]]


# --------------------------------------------------------- windows of padding, taps far apart


@each_method
@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("count_padding", [False, True])
def test_windows_that_are_mostly_padding(method, mode, count_padding):
    """Taps that meet no pixel of any output take time, or change the result."""
    x = np.random.default_rng(0).integers(-99, 99, (2, 10, 12)).astype("f8")
    options = {"count_padding": count_padding, "method": method}
    result = convlens.pool(x, (200_001, 300_001), 1, mode, padding="same", **options)
    whole = {"max": x.max((1, 2)), "min": x.min((1, 2)), "sum": x.sum((1, 2))}
    whole["avg"] = x.mean((1, 2)) * (120 / (200_001 * 300_001) if count_padding else 1)
    np.testing.assert_allclose(result, np.broadcast_to(whole[mode][:, None, None], x.shape))
    lazy = convlens.pool(da.from_array(x, chunks=4), (201, 301), 1, mode, padding="same", **options)
    expected = convlens.pool(x, (201, 301), 1, mode, padding="same", **options)
    assert lazy.compute(scheduler="sync").tobytes() == expected.tobytes()


@each_method
@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("window", [(200_001,), (2001, 301, 5), (3, 2001, 9001)])
def test_windows_on_signals_and_volumes_that_are_mostly_padding(method, mode, window):
    """Taps that meet no pixel of any output take time, or change the result."""
    size = (12,) if len(window) == 1 else (2, 3, 3)
    x = np.random.default_rng(0).integers(-99, 99, (2, *size)).astype("f8")
    options = {"padding": "same", "method": method, "space": len(window)}
    result = convlens.pool(x, window, 1, mode, **options)
    whole = {"max": np.max, "min": np.min, "avg": np.mean, "sum": np.sum}[mode]
    each = whole(x.reshape(2, -1), axis=1).reshape(2, *[1] * len(size))
    np.testing.assert_allclose(result, np.broadcast_to(each, x.shape), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "u8", "f4", "D"])
def test_sums_over_more_padding_than_any_integer_counts(dtype):
    """Around no pixels, 2**80 ones of the padding do not add up to 0 modulo 2**64, or as floats."""
    x = np.zeros((2, 0, 3), dtype)
    for options in ({}, {"pad_mode": "constant"}, {"pad_mode": "constant", "pad_value": 1}):
        result = convlens.pool(x, 2**40, 1, "sum", padding=2**39, **options)
        total = 2.0**80 if "pad_value" in options and x.dtype.kind in "fc" else 0
        np.testing.assert_array_equal(result, np.full((2, 1, 4), total))


@each_method
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i8"])
def test_taps_far_apart(method, dtype):
    """Windows whose taps lie far apart are computed in parts, in memory and in chunks alike."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 99, (1, 3, 600_000)).astype(dtype)
    k = rng.integers(-9, 9, (2, 3)).astype("i4" if dtype == "u1" else dtype)
    options = {"dilation": (2, 200_000), "method": method}
    result = convlens.convolve(x, k, **options)
    padded = np.pad(x[0].astype(result.dtype), ((1, 1), (200_000, 200_000)))
    expected = sum(
        padded[i : i + 3, j : j + 600_000] * k[i // 2, j // 200_000]
        for i in (0, 2)
        for j in (0, 200_000, 400_000)
    )
    np.testing.assert_array_equal(result[0], expected)  # exactly, as floats are whole numbers
    lazy = convlens.convolve(da.from_array(x, chunks=(1, 2, 250_000)), k, **options)
    assert lazy.compute(scheduler="sync").tobytes() == result.tobytes()
