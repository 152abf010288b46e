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
