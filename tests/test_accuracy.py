"""Sums of floats are about as exact as NumPy's own, however large the window.

Errors are measured in eps of the sums' type times the sum of all magnitudes. `numpy.sum` adds up
pairwise, which keeps its error near 1. A single chain of additions is off by hundreds if many equal
numbers are added up, because their rounding errors all have the same sign.
"""

from functools import reduce

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


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("window", [(30_000,), (20, 21, 22), (2, 3, 2000)])
def test_signals_and_volumes(method, window, numbers, dtype):
    """A sum or a mean along one axis or three is less exact than NumPy's."""
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    image, kernel = (NUMBERS[numbers](rng, *window).astype(dtype) for _ in range(2))
    options = {"method": method, "space": len(window)}
    products = image.astype("g") * kernel.astype("g")
    result = convlens.convolve(image, kernel, "valid", **options)
    expected = error((image * kernel).sum(), products, eps)
    assert error(result.item(), products, eps) <= allowed(method, numbers, expected)
    for mode, count in (("sum", 1), ("avg", image.size)):
        result = convlens.pool(image, window, mode=mode, **options)
        values = image.astype("g") / count
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
@pytest.mark.parametrize("ones", [(9,), (7, 5)])
def test_passes_overflow_only_where_the_sum_does(method, ones, dtype):
    """Passes along the axes give inf or NaN where the sum is finite, or a number where it is not.

    The sums along a column may be larger than any float although the whole sum is 0.
    """
    ones = np.ones(ones, dtype)
    options = {"padding": "valid", "method": method, "space": ones.ndim + 1}
    size = (20,) * (ones.ndim + 1)
    row = np.array([1, -1, 1, -1, 0, 1, -1, 1, -1], dtype)
    largest = np.full(size, np.finfo(dtype).max / 4, dtype)
    assert (convlens.convolve(largest, np.multiply.outer(ones, row), **options) == 0).all()
    box = np.multiply.outer(ones, np.ones(9, dtype))
    small = np.full(size, np.finfo(dtype).max / box.size / 1.2, dtype)
    expected = small.ravel()[0] * box.size
    np.testing.assert_allclose(convlens.convolve(small, box, **options), expected, rtol=1e-5)
    assert np.isinf(convlens.convolve(small, 2 * box, **options)).all()


@pytest.mark.parametrize("space", [2, 3])
def test_kernels_that_are_nearly_a_product(method, space):
    """A kernel that is a product of lines along the axes but for one number loses that number."""
    rng = np.random.default_rng(0)
    kernel = reduce(np.multiply.outer, (rng.random(9) for _ in range(space)))
    middle = (4,) * space
    kernel[middle] *= 1 + 1e-9
    image = np.zeros(kernel.shape)
    image[middle] = 1
    result = convlens.convolve(image, kernel, method=method, space=space)
    assert result[middle] == kernel[middle]
