"""Calls that repeat are run at once; here other things about the arrays change in between."""

import gc
import weakref

import numpy as np
import pytest

import convlens
from convlens.compiled import repeats
from convlens.compiled.library import load
from convlens.compiled.work import REPEATS

pytestmark = pytest.mark.skipif(isinstance(load(), str), reason="there is no compiled engine")


def images(*shape):
    """Random numbers, the same for each shape."""
    return np.random.default_rng(shape).normal(0, 9, shape).astype(np.float32)


CALLS = {
    "a convolution": convlens.convolve,
    "a pooling": lambda x, _, **options: convlens.pool(x, 3, 1, padding="same", **options),
}


@pytest.fixture(autouse=True)
def forget():
    """Begin each test with nothing kept."""
    REPEATS.cache_clear()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[:],
        lambda x: x[::-1],
        lambda x: x[:, ::-1],
        lambda x: x.transpose(0, 2, 1, 3),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
        lambda x: np.frombuffer(b"0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
    ],
)
def test_arrays_that_lie_in_another_way(call, view):
    """A call runs as that of an array of the same shape which lies in another way."""
    kernels = images(3, 3, 3, 5)
    for each in (images(2, 40, 40, 3), images(2, 40, 40, 3) + 1):
        expected = call(each, kernels, method="numpy")
        for _ in range(2):
            np.testing.assert_allclose(call(each, kernels), expected, rtol=1e-5, atol=1e-3)
            np.testing.assert_allclose(call(view(each), kernels), call(view(each).copy(), kernels))
            out = view(np.zeros(expected.shape, expected.dtype))
            if out.flags.writeable and out.shape == expected.shape:
                assert call(each, kernels, out=out) is out
                np.testing.assert_array_equal(out, call(each, kernels))


def test_the_same_array_twice():
    """Images that are their own kernels are taken for the kernels of another call."""
    one, other = images(40, 40), images(40, 41)[:, 1:]
    for x, k in ((one, one), (one, one.copy()), (other.copy(), one), (one, other.copy())):
        expected = convlens.convolve(x, k, "valid", method="numpy")
        np.testing.assert_allclose(convlens.convolve(x, k, "valid"), expected, rtol=1e-5)


def test_kernels_that_may_not_be_written():
    """A read-only kernel, which may be a part of a file, is not read any more."""
    x, k = images(2, 40, 40, 8), images(3, 3, 8, 16)
    expected = convlens.convolve(x, k)
    k.flags.writeable = False
    for _ in range(2):
        np.testing.assert_array_equal(convlens.convolve(x, k), expected)
        np.testing.assert_array_equal(convlens.convolve(x, k.copy()), expected)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_arrays_are_let_go(call):
    """What is kept of a call keeps its arrays alive."""
    x, k = images(1, 40, 40, 3), images(3, 3, 3, 8)
    result = call(x, k)
    alive = [weakref.ref(each) for each in (x, k, result)]
    del x, k, result
    gc.collect()
    assert [each() for each in alive] == [None] * 3


def test_not_more_than_so_many_calls_are_kept():
    """Memory grows with the number of different calls."""
    k = images(3, 3)
    for n in range(30, 30 + repeats.MOST + 20):
        convlens.convolve(images(1, 20, n), k, method="compiled")
        assert len(REPEATS._steps) <= repeats.MOST
