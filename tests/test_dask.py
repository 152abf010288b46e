"""Dask arrays in any chunks give the same bits as in memory, and are computed only when asked for.

Results are computed with the threaded scheduler, and on a cluster of two worker processes, one of
which is killed.
"""

import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise

import dask
import dask.array as da
import numpy as np
import pytest
from dask.array.core import slices_from_chunks
from distributed import Client, LocalCluster
from strategies import (
    PAD_MODES,
    POOL_MODES,
    built,
    each_method,
    random_convolution,
    random_pooling,
    takes,
)
from test_invariance import DENSE, SHALLOW, arrays, same_bits

from convlens import (
    convolve,
    convolve_transpose,
    filters,
    plan,
    plan_convolve,
    plan_convolve_transpose,
    plan_pool,
    pool,
)

# The only messages with which random calls may be refused. Any other error would go unnoticed,
# because it is raised in memory and for the Dask array alike.
REFUSALS = "cover no pixel|larger than the padded|no pixels to repeat|cannot hold every result"


def check(function, images, *arguments, **options):
    """Fail unless a Dask array gives the same bits as in memory, or is refused as it is there."""
    in_memory = images.compute(scheduler="sync")
    try:
        expected = function(in_memory, *arguments, **options)
    except ValueError as error:
        assert re.search(REFUSALS, str(error))  # noqa: PT017
        with pytest.raises(ValueError, match=f"^{re.escape(str(error))}$"):
            function(images, *arguments, **options)
        return
    result = function(images, *arguments, **options)
    assert isinstance(result, da.Array)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    assert type(result._meta) is np.ndarray
    assert (result._meta.ndim, result._meta.dtype) == (expected.ndim, expected.dtype)
    chunks = dask.compute(*result.to_delayed().ravel(), scheduler="threads")
    for chunk, place in zip(chunks, slices_from_chunks(result.chunks), strict=True):
        assert same_bits(chunk, expected[place])  # and the same shape and type


# ----------------------------------------------------------------------------------- bits


def in_chunks(rng, values):
    """A Dask array of these values in random chunks, some of one pixel or of none."""
    chunks = []
    for size in values.shape:
        bounds = sorted(rng.integers(0, size + 1, rng.integers(0, 5)).tolist())
        chunks.append(tuple(stop - start for start, stop in pairwise([0, *bounds, size])))
    return da.from_array(values, chunks=tuple(chunks))


VERBS = {"convolve": (convolve, random_convolution), "pool": (pool, random_pooling)}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("method", ["auto", pytest.param("compiled", marks=built), "numpy"])
def test_any_call(method, verb):
    """A random call of any kind, in any number of axes, has other bits in some chunks."""
    function, draw = VERBS[verb]
    for seed in range(250):
        rng = np.random.default_rng([12, seed])
        case = draw(rng)
        if method != "auto" and not takes(method, *case.types):
            continue
        images, *rest = case.arguments
        check(function, in_chunks(rng, np.asarray(images)), *rest, **case.options, method=method)


def cut_at(values, *bounds):
    """A Dask array whose axes are all divided at those of these places that they reach."""
    chunks = []
    for size in values.shape:
        inner = [bound for bound in bounds if bound < size]
        chunks.append(tuple(stop - start for start, stop in pairwise([0, *inner, size])))
    return da.from_array(values, chunks=tuple(chunks))


@each_method
@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("sizes", SHALLOW | DENSE)
def test_convolve_large(method, sizes, dtype):
    """Large images, or sums over many channels, have other bits in some chunks."""
    images, kernels, options = arrays((SHALLOW | DENSE)[sizes], dtype)
    for bounds in ([1, 2, 7, 50, 90], [33, 64, 65, 128, 40_000]):
        check(convolve, cut_at(images, *bounds), kernels, **options, method=method)


@each_method
def test_convolve_deep(method):
    """Pixels with thousands of channels have other bits in some chunks."""
    images, kernels, _ = arrays(((1, 2, 9, 5000), (1, 2, 5000, 2), {}), "f")
    check(convolve, cut_at(images, 1, 4, 2000), kernels, method=method)


@pytest.mark.parametrize("method", ["auto", pytest.param("compiled", marks=built), "numpy"])
def test_any_transpose(method):
    """A random transpose, in any number of axes, has other bits in some chunks."""
    not_taken = "dtype", "overflow", "pad_value", "renormalize", "where"
    for seed in range(100):
        rng = np.random.default_rng([13, seed])
        case = random_convolution(rng)
        options = {k: v for k, v in case.options.items() if k not in not_taken}
        images, kernels = (rng.standard_normal(np.shape(each)) for each in case.arguments)
        outputs = rng.standard_normal(convolve(images, kernels, **options).shape)
        one = (images.ndim - case.space, kernels.ndim - case.space) in ((0, 0), (1, 1), (1, 2))
        size = images.shape[not one :][: case.space]
        check(
            convolve_transpose,
            in_chunks(rng, outputs),
            kernels,
            size,
            **options,
            method=method,
        )


LARGE = {  # outputs, kernels, options
    "photographs": ((3, 32, 31), (5, 5, 3), {"pad_mode": "wrap"}),
    "a layer": ((2, 5, 143, 64), (3, 3, 64, 64), {"stride": 2, "pad_mode": "reflect"}),
    "groups": ((3, 4, 67, 160), (3, 1, 65, 160), {"groups": 2}),
    "a long row": ((2, 70_001), (2, 301), {"pad_mode": "symmetric"}),
    "transforms": ((300, 400), (41, 41), {"pad_mode": "wrap"}),
    "dilated": ((1, 40, 100), (3, 3, 100), {"padding": "full", "dilation": (1, 3)}),
}


@each_method
@pytest.mark.parametrize("call", LARGE)
def test_transpose_large(method, call):
    """Large transposes, one of them by transforms, have other bits in some chunks."""
    of_outputs, of_kernels, options = LARGE[call]
    rng = np.random.default_rng(0)
    outputs, kernels = (rng.standard_normal(n, np.float32) for n in (of_outputs, of_kernels))
    for bounds in ([1, 2, 7, 50, 90], [33, 64, 65, 128, 40_000]):
        check(convolve_transpose, cut_at(outputs, *bounds), kernels, **options, method=method)


@each_method
def test_transpose_of_nan_and_of_nothing(method):
    """NaN reaches other pixels in chunks, or images without pixels are no zeros."""
    outputs = np.random.default_rng(0).random((2, 20, 21, 2))
    outputs[0, 4, 7, 1], outputs[1, 0, 20, 0] = np.nan, np.inf
    for pad_mode in PAD_MODES:
        options = {"stride": (1, 2), "pad_mode": pad_mode, "method": method}
        check(convolve_transpose, cut_at(outputs, 1, 5, 6, 13), np.ones((3, 4, 3, 2)), **options)
        kernels = np.ones((3, 4, 3, 2))
        kernels[0, 3, 1, 0], kernels[2, 0, 2, 1] = np.nan, np.inf
        check(convolve_transpose, cut_at(outputs, 1, 5, 6, 13), kernels, **options)
    for shape in ((0, 5, 6, 4), (2, 0, 6, 4), (2, 5, 6, 0)):
        kernels = np.ones((3, 3, 2, shape[3]))
        check(convolve_transpose, da.zeros(shape, chunks=2), kernels, method=method)
    check(convolve_transpose, da.ones(7, chunks=2), [1.0], 20, stride=3, space=1, method=method)


@each_method
@pytest.mark.parametrize("pad_mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_nan_and_inf(method, pad_mode):
    """NaN or inf reach other outputs in chunks than in memory."""
    images = np.random.default_rng(0).random((2, 20, 21, 3))
    images[0, 4, 7, 1], images[1, 0, 20, 0] = np.nan, np.inf
    chunked = cut_at(images, 1, 5, 6, 13)
    for kernels in (filters.box(5), np.ones((3, 4, 3, 2))):
        check(convolve, chunked, kernels, pad_mode=pad_mode, method=method)
    for mode in POOL_MODES:
        check(pool, chunked, 3, 2, mode, padding=1, method=method)


@each_method
def test_padding_beyond_the_image(method):
    """Padding larger than the image is wrong for chunks of one pixel."""
    images = cut_at(np.random.default_rng(0).random((5, 4)), 1, 2, 3)
    for pad_mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
        check(convolve, images, np.ones((3, 2)), (19, 12), pad_mode=pad_mode, method=method)
    for mode in ("avg", "sum"):
        check(pool, images, 2, 3, mode, padding=9, count_padding=True, method=method)


@each_method
@pytest.mark.parametrize("shape", [(0, 5, 6, 4), (2, 0, 6, 4), (2, 5, 6, 0)])
def test_no_pixels(method, shape):
    """Images without pixels do not give what they give in memory: nothing, zeros or NaN."""
    images = da.zeros(shape, chunks=2)
    for pad_mode in PAD_MODES:
        for number in (1, np.nan):
            kernels = np.full((3, 3, shape[3], 5), number)
            check(convolve, images, kernels, 3, pad_mode=pad_mode, method=method)
            check(convolve, images, kernels[..., :0], 3, pad_mode=pad_mode, method=method)
    check(convolve, images, np.ones((3, 3)), method=method)
    check(convolve, images, np.ones((3, 3)), "full", method=method)
    check(pool, images, 2, 1, "sum", padding=1, method=method)


def test_byte_order():
    """Byte-swapped Dask arrays give other bits."""
    check(convolve, cut_at(np.arange(30.0).reshape(5, 6).astype(">f4"), 2, 3), np.ones((3, 3)))


# ------------------------------------------------------------------------------------- lazy


def never(block):
    """Fail, because no chunk may be computed."""
    raise AssertionError(f"computed: {block.shape}")


@pytest.fixture
def uncomputed():
    """A Dask array of a petabyte that fails if any of it is computed."""
    zeros = da.zeros((1000, 500_000, 500_000, 4), np.uint8, chunks=(500, 125_000, 125_000, 2))
    return zeros.map_blocks(never, dtype=np.uint8, meta=np.empty((0,) * 4, np.uint8))


def test_nothing_is_computed(uncomputed):
    """A call or a plan computes a chunk, or the result has another shape, type or chunks."""
    kernels = np.ones((3, 3, 4, 7), np.int8)
    result, plan = convolve(uncomputed, kernels), plan_convolve(uncomputed, kernels)
    assert (result.shape, result.dtype) == (plan.output_shape, plan.output_dtype)
    assert result.chunks == ((500, 500), (125_000,) * 4, (125_000,) * 4, (7,))
    assert "(1000, 500000, 500000, 4) uint8" in str(plan)
    result, plan = pool(uncomputed, 2), plan_pool(uncomputed, 2)
    assert (result.shape, result.dtype) == (plan.output_shape, plan.output_dtype)
    assert result.chunks == ((500, 500), (62_500,) * 4, (62_500,) * 4, (2, 2))
    with pytest.raises(AssertionError, match="computed"):
        result[0, 0, 0, 0].compute(scheduler="sync")


def test_no_call_guesses(monkeypatch):
    """A call runs the engine to find out a type, if only on empty arrays."""

    def too_early(*_):
        raise AssertionError("executed")

    monkeypatch.setattr(plan, "_execute_part", too_early)
    images = da.ones((4, 20, 30, 3), chunks=7)
    for result in (convolve(images, np.ones((3, 3, 3, 2))), pool(images, 2)):
        assert result._meta.size == 0
        with pytest.raises(AssertionError, match="executed"):
            result.compute(scheduler="sync")


def test_a_plan_runs_on_dask_arrays():
    """A plan gives other bits for a Dask array than in memory."""
    images = da.from_array(np.arange(30.0).reshape(5, 6), chunks=2)
    plan = plan_pool(images, 2, mode="avg")
    assert same_bits(plan(images).compute(scheduler="sync"), plan(images.compute(scheduler="sync")))


def test_chunks_of_each_kind_of_output():
    """An output does not lie in the chunk that holds the middle of its window."""
    images = da.zeros((4, 20, 30, 6), chunks=((1, 3), (5, 15), (10, 0, 20), (2, 4)))
    blur, bank, depthwise = np.ones((3, 3)), np.ones((3, 3, 6, 5)), np.ones((3, 3, 1, 12))
    assert convolve(images, blur).chunks == ((1, 3), (5, 15), (10, 20), (2, 4))
    assert convolve(images, blur, "valid").chunks == ((1, 3), (4, 14), (9, 19), (2, 4))
    assert convolve(images, blur, "full").chunks == ((1, 3), (6, 16), (11, 21), (2, 4))
    assert convolve(images, blur, stride=2).chunks == ((1, 3), (2, 8), (5, 10), (2, 4))
    assert convolve(images, bank).chunks == ((1, 3), (5, 15), (10, 20), (5,))
    assert convolve(images, depthwise, groups=6).chunks == ((1, 3), (5, 15), (10, 20), (4, 8))
    assert convolve(images, bank[..., 0]).chunks == ((1, 3), (5, 15), (10, 20))
    assert pool(images, 7).chunks == ((1, 3), (1, 1), (1, 3), (2, 4))


@pytest.mark.parametrize("reach", [3, 9])
def test_the_graph_grows_with_the_chunks_alone(reach):
    """The graph has other tasks than one for each chunk and for each slice of its neighbours."""
    kernel = np.ones((reach, reach))

    def tasks(chunk, across):
        images = da.zeros((chunk * across, chunk * across), chunks=chunk)
        result = convolve(images, kernel)
        return len(result.dask) - len(images.dask)

    for across in (1, 2, 10):
        assert tasks(100, across) == tasks(10_000, across)
        sides, corners = 4 * across * (across - 1), 4 * (across - 1) ** 2
        assert tasks(100, across) == across**2 + sides + corners + 1  # One task holds the kernels.


def test_only_halos_are_cut_out():
    """More is sliced than the pixels that windows share across chunks, or an array is rechunked."""
    images = da.zeros((300, 400), chunks=100)
    result = convolve(images, np.ones((5, 7)))
    assert not [key for key in result.dask.layers if "rechunk" in key]
    slices = [task for key, task in dict(result.dask).items() if key[0].startswith("slice")]
    cells = sum(
        int(np.prod([index.stop - index.start for index in task.args[1]])) for task in slices
    )
    assert cells == 2 * (2 * 2 * 400) + 3 * (2 * 3 * 300) + 4 * 6 * (2 * 3)


def test_transposes_read_only_what_they_need(uncomputed):
    """A transpose computes a chunk at once, has other chunks, or slices more than its windows."""
    result = convolve_transpose(uncomputed, np.ones((3, 3, 7, 4), np.int8), stride=2)
    plan = plan_convolve_transpose(uncomputed, np.ones((3, 3, 7, 4), np.int8), stride=2)
    assert (result.shape, result.dtype) == (plan.output_shape, plan.output_dtype)
    assert result.chunks == ((500, 500), (250_000,) * 4, (250_000,) * 4, (7,))
    with pytest.raises(AssertionError, match="computed"):
        result[0, 0, 0, 0].compute(scheduler="sync")
    outputs = da.zeros((300, 400), chunks=100)
    result = convolve_transpose(outputs, np.ones((5, 7)))
    slices = [task for key, task in dict(result.dask).items() if key[0].startswith("slice")]
    cells = sum(
        int(np.prod([index.stop - index.start for index in task.args[1]])) for task in slices
    )
    assert cells == 2 * (2 * 2 * 400) + 3 * (2 * 3 * 300) + 4 * 6 * (2 * 3)
    assert result.chunks == outputs.chunks
    outputs = da.zeros((600, 500), chunks=100)
    result = convolve_transpose(outputs, np.ones((5, 7)), pad_mode="wrap")
    read = result.dask.cull({(result.name, 0, 0)})
    chunks = {key[1:] for key in read if key[0] == outputs.name}
    assert chunks == {(row, column) for row in (0, 1, 5) for column in (0, 1, 4)}


@each_method
def test_chunks_between_taps(method):
    """Chunks that taps pass over are read, or sums are taken in other parts without them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 700_000)).astype(np.float32)
    kernel = rng.standard_normal((1, 10)).astype(np.float32)
    images = da.from_array(x, chunks=(1, 5000))
    options = {"dilation": (1, 70_000), "method": method}
    some = convolve(images, kernel, **options)[:, 350_000:360_000]
    assert same_bits(
        some.compute(scheduler="sync"), convolve(x, kernel, **options)[:, 350_000:360_000]
    )
    needed = dask.optimize(some)[0].dask
    slices = [key for key in dict(needed) if key[0].startswith("slice")]
    assert len(slices) <= 2 * 10 * 2  # two chunks of the result, ten taps, on two chunks each


def test_the_same_call_has_the_same_name():
    """Equal calls have different names, so that Dask computes both, or others have equal ones."""
    images = da.from_array(np.arange(30.0).reshape(5, 6), chunks=2)
    names = [
        convolve(images, np.ones((3, 3))).name,
        convolve(images, np.ones((3, 3))).name,
        convolve(images, np.zeros((3, 3))).name,
        convolve(images, np.ones((3, 3)), pad_mode="edge").name,
        convolve(images + 1, np.ones((3, 3))).name,
        pool(images, 3, 1, "sum").name,
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 5


def test_kernels_may_change_later():
    """A kernel that changes after the call changes the result."""
    images, kernels = da.ones((5, 6), chunks=2), np.ones((1, 1))
    result = convolve(images, kernels)
    kernels[:] = 7
    assert (result.compute(scheduler="sync") == 1).all()


def test_dask_is_not_imported_without_need():
    """A call without a Dask array imports Dask."""
    code = (
        "import sys, numpy, convlens; x = numpy.ones((5, 6)); convlens.convolve(x, x[:3, :3]); "
        "convlens.pool(x, 2); convlens.plan_pool(x, 2)(x); sys.exit('dask' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --------------------------------------------------------------------------------- refusals

IMAGES = da.ones((5, 6), chunks=2)
BLUR = np.ones((3, 3))


def test_out_is_refused():
    """`out` is taken for a Dask array, whose result is not computed yet."""
    for call in (
        lambda: convolve(IMAGES, BLUR, out=np.empty((5, 6))),
        lambda: pool(IMAGES, 2, out=np.empty((2, 3))),
        lambda: plan_pool(IMAGES, 2)(IMAGES, out=np.empty((2, 3))),
        lambda: convolve_transpose(IMAGES, BLUR, out=np.empty((5, 6))),
    ):
        words = ": out must be left out where (images|outputs) are a Dask array"
        with pytest.raises(TypeError, match=words):
            call()


@pytest.mark.parametrize("images", [IMAGES, np.ones((5, 6))], ids=["dask", "numpy"])
@pytest.mark.parametrize("call", [convolve, plan_convolve])
def test_kernels_must_be_in_memory(call, images):
    """Kernels that are a Dask array are taken, or refused in other words."""
    words = "^convolve: kernels must be in memory, .* got a Dask array: pass kernels.compute"
    with pytest.raises(TypeError, match=words):
        call(images, da.ones((3, 3)))


def no_numbers():
    """Yield Dask arrays that must be refused, with the error and its message."""
    yield IMAGES.astype("M8[s]"), TypeError, "images must be an array of numbers; got dtype dat"
    yield IMAGES.astype(object), TypeError, "images must be an array of numbers; got dtype obj"
    masked = da.ma.masked_less(IMAGES, 2)
    yield masked, TypeError, "images must be a Dask array of NumPy arrays; its chunks are numpy.ma"
    unknown = IMAGES[IMAGES[:, 0] > 0]
    words = "images must have chunks of known sizes; images.shape=(nan, 6): call images.compute_"
    yield unknown, ValueError, words


@pytest.mark.parametrize(("images", "error", "words"), list(no_numbers()))
def test_what_is_no_dask_array_of_numbers(images, error, words):
    """A Dask array of no numbers, masked arrays or unknown sizes is not refused at once."""
    for call in (convolve, plan_convolve):
        with pytest.raises(error, match=f"^convolve: {re.escape(words)}"):
            call(images, BLUR)
    for call in (pool, plan_pool):
        with pytest.raises(error, match=f"^pool: {re.escape(words)}"):
            call(images, 2)


# ---------------------------------------------------------------------------------- cluster


@pytest.fixture
def client():
    """A client of a cluster of two worker processes."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_cluster(client):
    """Two worker processes together compute other bits, or one of them has nothing to do."""
    rng = np.random.default_rng(0)
    images, kernels = rng.random((3, 90, 100, 4), np.float32), rng.random((5, 3, 4, 8), np.float32)
    chunked = client.persist(da.from_array(images, chunks=(2, 20, 30, 3)))
    result = client.persist(convolve(chunked, kernels, pad_mode="reflect", stride=2))
    assert same_bits(result.compute(), convolve(images, kernels, pad_mode="reflect", stride=2))
    assert all(held for held in client.has_what().values())
    pooled = pool(chunked, 3, 2, "avg", padding="same")
    assert same_bits(pooled.compute(), pool(images, 3, 2, "avg", padding="same"))


def makers(client):
    """The workers that hold chunks of a convolution's result."""
    keys = client.has_what().items()
    return [worker for worker, held in keys if any(key[0].startswith("convolve-") for key in held)]


def test_a_worker_is_killed(client, tmp_path):
    """The result is lost or wrong if a worker is killed midway and its chunks are lost with it."""
    images = np.random.default_rng(0).random((80, 90))
    go_on = tmp_path / "go on"

    def late(block, block_info=None):
        """Return the pixels, those of the last chunk only when the test goes on."""
        while block_info[0]["chunk-location"] == (3, 2) and not go_on.exists():
            time.sleep(0.01)
        return block

    chunked = da.from_array(images, chunks=(20, 30)).map_blocks(late, dtype=images.dtype)
    result = client.compute(convolve(chunked, np.ones((5, 5)), pad_mode="wrap"))
    workers = client.run(os.getpid)
    deadline = time.monotonic() + 30
    while not (busy := makers(client)):
        assert time.monotonic() < deadline, client.has_what()
        time.sleep(0.01)
    assert not result.done()
    os.kill(workers[busy[0]], signal.SIGKILL)
    go_on.touch()
    assert same_bits(result.result(timeout=60), convolve(images, np.ones((5, 5)), pad_mode="wrap"))
    assert workers[busy[0]] not in client.run(os.getpid).values()
