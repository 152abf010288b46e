"""Sums of floats are about as exact as NumPy's own, however large the window.

Errors are measured in eps of the sums' type times the sum of all magnitudes. `numpy.sum` adds up
pairwise, which keeps its error near 1. A single chain of additions is off by hundreds if many equal
numbers are added up, because their rounding errors all have the same sign.
"""

import numpy as np
import pytest
from strategies import each_method

import convlens

pytestmark = each_method

NUMBERS = {
    "equal": lambda _, *shape: np.full(shape, 0.1),
    "positive": lambda rng, *shape: rng.random(shape),
    "of both signs": lambda rng, *shape: rng.standard_normal(shape),
}
WINDOWS = [  # each is as large as its image, so that there is one output
    (9, 9),
    (31, 31),
    (3000, 1),
    (1, 100_000),
    (521, 521),
    (3, 3, 512),
    (30, 30, 301),
]


def allowed(method, numbers, numpys):
    """The largest error that is allowed if that of `numpy.sum` is `numpys`."""
    if method == "compiled" and numbers == "equal":  # Their roundings agree within each block.
        return 24
    return 2 * numpys + 3


def error(result, products, eps):
    """How far a result is from the sum of these products, in eps of the sum of their magnitudes."""
    return float(abs(result - products.sum()) / (eps * np.abs(products).sum()))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("window", WINDOWS)
def test_convolve(method, window, numbers, dtype):
    """A convolution's sum of any length is less exact than NumPy's."""
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    image, kernel = (NUMBERS[numbers](rng, *window).astype(dtype) for _ in range(2))
    products = image.astype("g") * kernel.astype("g")
    result = convlens.convolve(image[np.newaxis], kernel, "valid", method=method)
    expected = error((image * kernel).sum(), products, eps)
    assert error(result.item(), products, eps) <= allowed(method, numbers, expected)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("window", [window for window in WINDOWS if len(window) == 2])
@pytest.mark.parametrize("mode", ["avg", "sum"])
def test_pool(method, mode, window, numbers, dtype):
    """A pooling's sum or mean of any length is less exact than NumPy's."""
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    image = NUMBERS[numbers](rng, *window).astype(dtype)
    result = convlens.pool(image, window, mode=mode, method=method)
    values = image.astype("g") / (image.size if mode == "avg" else 1)
    expected = error(image.mean() if mode == "avg" else image.sum(), values, eps)
    assert error(result.item(), values, eps) <= allowed(method, numbers, expected)


def test_dense_layers(method):
    """An output of a layer of many channels and kernels is off by more than 4 eps."""
    rng = np.random.default_rng(0)
    for options, depth in (({}, 300), ({"stride": 2}, 300), ({"groups": 2}, 150)):
        images = rng.random((2, 5, 6, 300), dtype="f4")
        kernels = rng.random((3, 3, depth, 24), dtype="f4")
        result = convlens.convolve(images, kernels, **options, method=method)
        exact = convlens.convolve(images.astype("f8"), kernels.astype("f8"), **options)
        assert (np.abs(result - exact) <= 4 * np.finfo("f4").eps * exact).all()


def test_a_mean_over_millions_of_pixels(method):
    """The mean of millions of pixels is wrong, because a single chain stops growing long before."""
    size = 30_000_000 if method == "compiled" else 300_000  # NumPy takes long, tap by tap.
    mean = convlens.pool(np.full((1, 1, size), 0.1, "f4"), (1, size), mode="avg", method=method)
    assert mean.item() == pytest.approx(0.1, rel=24 * float(np.finfo("f4").eps))


@pytest.mark.parametrize("dtype", ["F", "D"])
def test_complex_numbers(method, dtype):
    """The real part of a long complex sum is less exact than NumPy's."""
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    x, k = (rng.random((1, 30_000)).astype(dtype) for _ in range(2))
    total = convlens.convolve(x, k, "valid", method=method).item()
    products = x.real.astype("g") * k.real
    assert error(total.real, products, eps) <= 2 * error(np.sum(x * k).real, products, eps) + 3


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_two_passes_overflow_only_where_the_sum_does(method, dtype):
    """Two passes give inf or NaN where the sum is finite, or a finite number where it is not.

    The sums down a column may be larger than any float although the whole sum is 0.
    """
    largest = np.finfo(dtype).max / 4
    kernel = np.outer(np.ones(9), [1, -1, 1, -1, 0, 1, -1, 1, -1]).astype(dtype)
    assert (
        convlens.convolve(np.full((20, 20), largest, dtype), kernel, "valid", method=method) == 0
    ).all()
    small = np.full((20, 20), np.finfo(dtype).max / 100, dtype)
    ones = np.ones((9, 9), dtype)
    np.testing.assert_allclose(
        convlens.convolve(small, ones, "valid", method=method), small[0, 0] * 81, rtol=1e-5
    )
    assert np.isinf(convlens.convolve(small, 2 * ones, "valid", method=method)).all()


def test_kernels_that_are_nearly_a_product(method):
    """A kernel that is a column times a row except for one number loses that number."""
    rng = np.random.default_rng(0)
    kernel = np.outer(rng.random(9), rng.random(9))
    kernel[4, 4] *= 1 + 1e-9
    image = np.zeros((9, 9))
    image[4, 4] = 1
    assert convlens.convolve(image, kernel, method=method)[4, 4] == kernel[4, 4]
