"""Calls that repeat are run at once; here other things about the arrays change in between."""

import gc
import weakref

import numpy as np
import pytest

import convlens
from convlens import gradients, ndimage, operations
from convlens import repeats as calls
from convlens.compiled import kernel_gradient, repeats, work
from convlens.compiled.library import load, loaded
from convlens.compiled.work import REPEATS
from convlens.ndimage import engine

pytestmark = pytest.mark.skipif(isinstance(load(), str), reason="there is no compiled engine")


def images(*shape):
    """Random numbers, the same for each shape."""
    return np.random.default_rng(shape).normal(0, 9, shape).astype(np.float32)


def by_plan(x, k, *, out=None, **options):
    """The convolution that a plan carries out."""
    return convlens.plan_convolve(x, k, **options)(x, k, out=out)


CALLS = {
    "a convolution": convlens.convolve,
    "a plan": by_plan,  # whose runs are kept by `compiled.repeats` alone
    "a pooling": lambda x, _, **options: convlens.pool(x, 3, 1, padding="same", **options),
}


@pytest.fixture(autouse=True)
def forget():
    """Begin each test with nothing kept."""
    REPEATS.cache_clear()
    operations.CALLS.cache_clear()
    gradients.CALLS.cache_clear()
    kernel_gradient.REPEATS.cache_clear()
    engine.REPEATS.cache_clear()


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
        assert len(operations.CALLS._known) <= calls.MOST


def is_run_at_once(x, k, **options):
    """Whether a call is known, and nothing is left to do but to run pipelines."""
    given = convlens.arguments.ConvolveOptions(**options)
    known = operations.CALLS.find(calls.key(given, "auto", x, k, None), k)
    return known is not None and known.steps is not None


KERNELS = {
    "floats": (np.float32, lambda k: k),
    "one of floats": (np.float32, lambda k: k[..., 0, 0]),
    "floats on their side": (np.float32, np.asfortranarray),
    "floats of another type": (np.float64, lambda k: k),
    "integers": (np.uint8, lambda k: k.astype(np.uint8)),
    "one of integers": (np.uint8, lambda k: k[..., 0, 0].astype(np.uint8)),
    "a product of two lines": (np.float32, lambda k: np.outer(*[k[:, 0, 0, 0]] * 2)),
}


@pytest.mark.parametrize(("dtype", "made"), KERNELS.values(), ids=KERNELS)
def test_other_numbers_in_the_same_kernels(dtype, made):
    """Numbers are written into the kernels' array between two calls, or come in another one."""
    x = np.abs(images(2, 40, 40, 3)).astype(dtype)
    kernels = [made(np.abs(np.round(images(5, 5, 3, n)[..., :2]))) for n in (2, 3, 4)]
    k = kernels[0].copy(order="K")
    for each in (*kernels, kernels[0], kernels[0] * 0, kernels[1]):
        k[...] = each
        expected = convlens.convolve(x, k, method="numpy")
        for same in (k, k.copy(order="K"), k):
            result = convlens.convolve(x, same)
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-2)
    if k.dtype == dtype and (dtype is np.uint8 or k.flags.c_contiguous):
        assert is_run_at_once(x, k)


def test_arguments_that_only_look_the_same():
    """An argument that is refused passes because another, which is right, equals it."""
    x, k = images(1, 40, 40, 8), images(3, 3, 8, 8)
    for _ in range(2):
        convlens.convolve(x, k, stride=1)
        with pytest.raises(TypeError, match="stride must be"):
            convlens.convolve(x, k, stride=True)
        with pytest.raises(TypeError, match="stride must be"):
            convlens.convolve(x, k, stride=(1, True))
        assert convlens.convolve(x, k, dtype=np.float64).dtype == np.float64
        assert convlens.convolve(x, k, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_outputs_that_are_refused(call):
    """An output is written because one like it was right before."""
    both = images(3, 40, 40, 3)
    x, k = both[:2], images(3, 3, 3, 3)
    for _ in range(2):
        call(x, k, out=np.zeros((2, 40, 40, 3), np.float32))
        before = both.copy()
        with pytest.raises(ValueError, match="out shares memory with an input"):
            call(x, k, out=both[1:])
        with pytest.raises(ValueError, match="out is read-only"):
            call(x, k, out=np.frombuffer(bytes(x.nbytes), x.dtype).reshape(x.shape))
        with pytest.raises(ValueError, match="out must have shape"):
            call(x, k, out=np.zeros((2, 40, 40, 4), np.float32))
        np.testing.assert_array_equal(both, before)


def test_a_warning_comes_each_time():
    """The second call on an array that looks like one picture says nothing of it."""
    x, k = images(40, 40, 3), images(3, 3)
    for _ in range(3):
        with pytest.warns(convlens.ChannelsWarning):
            convlens.convolve(x, k)


def test_another_number_of_threads():
    """A call that repeats is divided as it was on other threads."""
    x, k = images(1, 200, 200, 8), images(3, 3, 8, 8)
    expected, threads = convlens.convolve(x, k), loaded().threads
    try:
        for count in (1, 3, 1):
            convlens.set_threads(count)
            assert not (count == 3 and is_run_at_once(x, k))
            np.testing.assert_array_equal(convlens.convolve(x, k), expected)
            assert is_run_at_once(x, k)
    finally:
        convlens.set_threads(threads)


FILTERS = {
    "a product": lambda x, **options: ndimage.gaussian_filter(x, 1, **options),
    "weights": lambda x, **options: ndimage.correlate(x, WEIGHTS, **options),
    "the largest": lambda x, **options: ndimage.maximum_filter(x, 3, **options),
    "a median": lambda x, **options: ndimage.median_filter(x, 3, **options),
    "means": lambda x, **options: ndimage.uniform_filter(x, 3, **options),
}
WEIGHTS = np.arange(9.0).reshape(3, 3) ** 2 - 5


@pytest.mark.parametrize("filter_", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_filters_that_repeat(filter_, dtype):
    """A filter runs as that of other numbers, of arrays that lie in another way, or of a part."""
    large = (images(60, 70) * 20).astype(dtype)
    outputs = np.zeros((60, 70), dtype)
    for view in (np.s_[:, :], np.s_[:40, :50], np.s_[5:45, 9:59], np.s_[::-1], np.s_[:, ::2]):
        expected = filter_(large[view].copy())
        for x in (large[view], large[view].copy(), np.asfortranarray(large[view])):
            for _ in range(3):
                np.testing.assert_array_equal(filter_(x), expected)
                outputs[...] = 0
                assert filter_(x, output=outputs[view]) is not None
                np.testing.assert_array_equal(outputs[view], expected)
                assert np.count_nonzero(outputs) == np.count_nonzero(expected)


def test_filters_with_other_weights():
    """A filter runs with the weights of an earlier one, of the same shape or the same numbers."""
    x = images(40, 40)
    for weights in (WEIGHTS, WEIGHTS + 1, WEIGHTS.reshape(1, 9), WEIGHTS.reshape(9, 1), WEIGHTS):
        expected = convlens.convolve(x, weights, padding="same", pad_mode="symmetric")
        for _ in range(2):
            result = ndimage.correlate(x, weights)
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-3)
    changed = WEIGHTS.copy()
    before = ndimage.correlate(x, changed)
    changed[1, 1] += 100
    assert (ndimage.correlate(x, changed) != before).mean() > 0.9


def test_filters_keep_what_they_need():
    """What a filter runs again uses memory that is let go with the run that it is made of."""
    x = (images(40, 40) * 20).astype(np.uint8)
    expected = [each(x) for each in FILTERS.values()]
    REPEATS.cache_clear()
    work._prepared.cache_clear()
    gc.collect()
    rubbish = [np.full(n, 255, np.uint8) for n in range(1, 2000)]
    for filter_, result in zip(FILTERS.values(), expected, strict=True):
        np.testing.assert_array_equal(filter_(x), result)
    assert len(rubbish) == 1999


def test_filters_let_arrays_go():
    """What is kept of a filter keeps its arrays alive."""
    for filter_ in FILTERS.values():
        x = images(40, 40)
        result = filter_(x)
        alive = [weakref.ref(each) for each in (x, result)]
        del x, result
        gc.collect()
        assert [each() for each in alive] == [None] * 2


def pooled(x, y, mode, **options):
    """The gradient of a pooling, whose outputs have the size of those of a convolution."""
    return convlens.pool_gradient(x, y, 3, 2, mode, padding="same", **options)


# Calls that go back: each is given images, and what comes back to outputs, 2 pixels apart.
BACK = {
    "a transpose": lambda x, y, **options: convlens.convolve_transpose(
        y, images(3, 3, x.shape[-1], y.shape[-1]), x.shape[1:3], stride=2, **options
    ),
    "a gradient by kernels": lambda x, y, **options: convlens.kernel_gradient(
        x, y, (3, 3, x.shape[-1], y.shape[-1]), stride=2, **options
    ),
    "maxima": lambda x, y, **options: pooled(x, y, "max", **options),
    "means": lambda x, y, **options: pooled(x, y, "avg", **options),
    "sums": lambda x, y, **options: pooled(x, y, "sum", **options),
}


@pytest.mark.parametrize("call", BACK.values(), ids=BACK)
@pytest.mark.parametrize("channels", [1, 6, 20])
def test_calls_that_go_back(call, channels):
    """A call that is remembered takes numbers, or memory, of the one before."""
    shapes = (2, 34, 40, channels), (2, 17, 20, channels)
    for seed in range(3):
        x, y = (images(*shape) + seed for shape in shapes)
        expected = call(x, y, method="numpy")
        for _ in range(2):
            np.testing.assert_allclose(call(x, y), expected, rtol=1e-4, atol=1e-2)
            out = np.zeros_like(expected)
            assert call(x, y, out=out) is out
            np.testing.assert_array_equal(out, call(x, y))
        others = [np.repeat(each, 2, axis=-1)[..., ::2] for each in (x, y)]
        np.testing.assert_array_equal(call(*others), call(x, y))
        reversed_ = call(x[:, ::-1], y)
        np.testing.assert_array_equal(reversed_, call(x[:, ::-1].copy(), y))


@pytest.mark.parametrize("call", BACK.values(), ids=BACK)
def test_calls_that_go_back_let_arrays_go(call):
    """What is remembered of a call keeps its arrays alive."""
    x, y = images(2, 34, 40, 6), images(2, 17, 20, 6)
    kept = [weakref.ref(each) for each in (x, y, call(x, y))]
    call(x, y)
    del x, y
    gc.collect()
    assert [each() for each in kept] == [None] * 3
