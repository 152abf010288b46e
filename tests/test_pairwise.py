"""Pairwise sums of arrays are right, take little memory, and have an order that is fixed."""

import numpy as np
import pytest

from convlens.core.pairwise import Pairwise


@pytest.mark.parametrize("count", [*range(1, 40), 1000])
def test_total(count):
    """An array is missing from the total, or is in it twice."""
    pairwise = Pairwise()
    for number in range(count):
        pairwise.add(np.array([number, 1], np.int64))
    np.testing.assert_array_equal(pairwise.total(), [count * (count - 1) // 2, count])


def test_error():
    """The sum of a hundred thousand times 0.1 in float32 is off by more than a few eps."""
    pairwise = Pairwise()
    for _ in range(100_000):
        pairwise.add(np.full(1, 0.1, np.float32))
    exact = 100_000 * float(np.float32(0.1))
    assert abs(float(pairwise.total()[0]) / exact - 1) <= 4 * np.finfo(np.float32).eps


def test_memory():
    """More arrays are kept than one for each power of two."""
    pairwise = Pairwise()
    for count in range(1, 200):
        pairwise.add(np.zeros(1))
        assert len(pairwise._sums) == count.bit_count()


@pytest.mark.parametrize("count", [1, 2, 5, 8, 1000])
def test_zeros_that_are_skipped(count):
    """Zeros that are skipped give other bits than zeros that are added."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        added, skipped = Pairwise(), Pairwise()
        for _ in range(10):
            zeros, number = int(rng.integers(count)), rng.standard_normal(1)
            skipped.skip(zeros)
            for _ in range(zeros):
                added.add(np.zeros(1))
            added.add(number.copy())
            skipped.add(number.copy())
        assert added.total() == skipped.total()


def test_more_zeros_than_could_be_counted():
    """Skipping 2**70 arrays of zeros takes long, or changes the sum."""
    pairwise = Pairwise()
    pairwise.skip(2**70 - 1)
    pairwise.add(np.ones(1))
    np.testing.assert_array_equal(pairwise.total(), [1])
