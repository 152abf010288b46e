"""Long sums of arrays: right, in little memory, in an order that their number alone decides."""

import numpy as np
import pytest

from convlens.engines.pairwise import Pairwise


@pytest.mark.parametrize("count", [*range(1, 40), 1000])
def test_total(count):
    """Every array is in the total once."""
    pairwise = Pairwise()
    for number in range(count):
        pairwise.add(np.array([number, 1], np.int64))
    np.testing.assert_array_equal(pairwise.total(), [count * (count - 1) // 2, count])


def test_error():
    """A hundred thousand times 0.1 in float32 is off by a few eps, not by hundreds."""
    pairwise = Pairwise()
    for _ in range(100_000):
        pairwise.add(np.full(1, 0.1, np.float32))
    exact = 100_000 * float(np.float32(0.1))
    assert abs(float(pairwise.total()[0]) / exact - 1) <= 4 * np.finfo(np.float32).eps


def test_memory():
    """Of many arrays added no more than one for each power of two is kept."""
    pairwise = Pairwise()
    for count in range(1, 200):
        pairwise.add(np.zeros(1))
        assert len(pairwise._sums) == count.bit_count()


@pytest.mark.parametrize("count", [1, 2, 5, 8, 1000])
def test_zeros_that_are_skipped(count):
    """They decide the order as zeros that are added would, and change no bit."""
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
    """2**70 of them take no time."""
    pairwise = Pairwise()
    pairwise.skip(2**70 - 1)
    pairwise.add(np.ones(1))
    np.testing.assert_array_equal(pairwise.total(), [1])
