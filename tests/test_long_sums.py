"""Sums of very many numbers are no worse than NumPy's, which adds up in pairs."""

import numpy as np
import pytest

import convlens

KINDS = {
    "constant": lambda _, shape: np.full(shape, 0.1),
    "positive": lambda rng, shape: rng.random(shape),
    "random": lambda rng, shape: rng.standard_normal(shape),
}


def check(result, terms, dtype):
    """Fail if a sum of these terms is off by more than twice as much as NumPy's, and a few eps."""
    exact = terms.astype(np.longdouble)
    unit = np.finfo(dtype).eps * np.abs(exact).sum()
    error, numpys = (abs(sum_ - exact.sum()) / unit for sum_ in (result, np.sum(terms)))
    assert result.dtype == dtype
    assert error <= 2 * numpys + 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 100_001), (100_001, 1), (317, 300)])
def test_pool(dtype, kind, shape):
    """Windows of a hundred thousand pixels: wide, tall and square ones."""
    x = KINDS[kind](np.random.default_rng(0), shape).astype(dtype)
    total = convlens.pool(x, shape, mode="sum", method="numpy")
    check(total[0, 0], x, dtype)
    mean = convlens.pool(x, shape, mode="avg", method="numpy")
    assert mean[0, 0] == total[0, 0] / dtype(x.size)


def test_pool_a_million():
    """The mean of a million times 0.1 is 0.1."""
    x = np.full((1, 1, 10**6), 0.1, np.float32)
    mean = convlens.pool(x, (1, 10**6), mode="avg", method="numpy").item()
    assert abs(mean / np.float32(0.1) - 1) <= 3 * np.finfo(np.float32).eps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 3])
def test_convolve(dtype, kind, count):
    """A layer that makes one pixel of 30 x 30 pixels of 301 channels."""
    rng = np.random.default_rng(0)
    x, k = (KINDS[kind](rng, (30, 30, 301)).astype(dtype) for _ in range(2))
    kernels = np.stack([k] * count, axis=3)
    for total in convlens.convolve(x, kernels, "valid", method="numpy")[0, 0]:
        check(total, x * k, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_one_long_row(dtype):
    """A signal under a kernel as long as itself."""
    rng = np.random.default_rng(0)
    x, k = (rng.random((1, 30_000)).astype(dtype) for _ in range(2))
    total = convlens.convolve(x, k, "valid", method="numpy")[0, 0]
    check(total.real, (x * k).real, np.float32)


def test_parts_of_the_image_have_the_bits_of_the_whole():
    """How many outputs are computed together does not change in what order terms are added up."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 1, 3000)).astype(np.float32)
    whole = convlens.pool(x, (1, 901), 1, "sum", padding="same", method="numpy")
    for at in (500, 777, 2049):
        part = convlens.pool(x[..., at - 450 : at + 451], (1, 901), 1, "sum", method="numpy")
        assert part[0, 0, 0] == whole[0, 0, at]
