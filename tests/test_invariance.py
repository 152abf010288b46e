"""An image's result has the same bits whatever else is in the batch.

It depends neither on how the batch is split or ordered, nor on BLAS and its threads, nor on how the
arrays lie in memory.
"""

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from strategies import (
    POOL_MODES,
    each_method,
    random_convolution,
    random_numbers,
    random_pooling,
    takes,
)

import convlens

pytestmark = each_method

DENSE = {  # images, kernels and options with so many channels that matrix products would pay
    "the last layers": ((4, 3, 5, 300), (3, 3, 300, 300), {}),
    "wide": ((3, 2, 150, 130), (2, 3, 130, 70), {}),
    "a column": ((5, 150, 1, 257), (1, 1, 257, 65), {}),
    "one kernel": ((5, 3, 97, 257), (1, 1, 257), {}),
    "one pixel": ((7, 1, 1, 300), (1, 1, 300, 129), {}),
    "single taps": ((6, 3, 7, 70), (1, 1, 70, 40), {}),
    "far apart": ((5, 9, 14, 300), (1, 1, 300, 40), {"stride": (2, 1)}),
    "two groups": ((3, 4, 67, 130), (3, 1, 65, 160), {"groups": 2}),
    "strided": ((3, 5, 143, 64), (3, 3, 64, 64), {"stride": 2, "pad_mode": "reflect"}),
    "dilated": ((3, 4, 40, 100), (3, 3, 100, 31), {"dilation": (1, 3), "padding": "full"}),
}
SHALLOW = {
    "gray": ((150, 9, 11), (3, 3), {}),
    "photographs": ((9, 32, 31, 3), (5, 5, 3), {}),
    "a blur": ((9, 32, 31, 3), (5, 5), {"pad_mode": "symmetric"}),
    "first layer": ((9, 20, 21, 3), (3, 3, 3, 16), {"stride": 2}),
    "depthwise": ((5, 12, 13, 64), (3, 3, 1, 64), {"groups": 64}),
    "single pixels": ((50, 1, 1), (1, 1), {}),
    "rows": ((50, 1, 13), (1, 3), {}),
    "wide gray": ((3, 2, 70001), (2, 3), {}),
    "a small bank": ((3, 2, 17, 70), (2, 2, 70, 69), {}),
}
SIGNALS = {
    "signals": ((150, 90), (9,), {"space": 1}),
    "a long signal": ((3, 70001), (5,), {"space": 1, "pad_mode": "wrap"}),
    "strided signals": ((5, 50, 12), (3, 4, 9), {"space": 1, "groups": 3, "stride": 2}),
    "a layer of signals": ((3, 90, 64), (9, 64, 64), {"space": 1, "dilation": 2}),
}
VOLUMES = {
    "volumes": ((9, 7, 8, 9), (3, 3, 3), {"space": 3, "pad_value": 0.5}),
    "volumes in colour": ((5, 4, 5, 6, 3), (3, 2, 5, 3), {"space": 3, "pad_mode": "symmetric"}),
    "a first layer of volumes": ((4, 6, 7, 8, 3), (3, 3, 3, 3, 16), {"space": 3, "stride": 2}),
    "a layer of volumes": ((2, 2, 3, 11, 70), (2, 3, 3, 70, 66), {"space": 3}),
    "depthwise volumes": ((3, 5, 6, 7, 33), (3, 3, 3, 1, 33), {"space": 3, "groups": 33}),
    "a large volume": ((2, 41, 40, 41), (2, 2, 3), {"space": 3, "pad_mode": "edge"}),
}


def bits(values):
    """The bytes of the numbers, without those that only pad a long double."""
    values = np.ascontiguousarray(values)
    if values.dtype.char in "gG" and np.finfo(values.dtype).nmant == 63:
        parts = values.view(np.longdouble).view(np.uint8)
        return parts.reshape(-1, np.dtype(np.longdouble).itemsize)[:, :10].tobytes()
    return values.tobytes()


def same_bits(a, b):
    """Whether two results are the same to the last bit."""
    return a.dtype == b.dtype and a.shape == b.shape and bits(a) == bits(b)


def check_batches(function, images):
    """Fail unless splits, single images and shuffled batches give the bits of the whole batch."""
    whole = function(images)
    for at in range(1, len(images)):
        parts = function(images[:at]), function(images[at:])
        assert same_bits(np.concatenate(parts), whole), f"split at {at}"
    order = np.random.default_rng(0).permutation(len(images))
    assert same_bits(function(images[order]), whole[order]), "shuffled"
    for n in range(len(images)):
        assert same_bits(function(images[n : n + 1]), whole[n : n + 1]), f"image {n} alone"


def arrays(sizes, dtype):
    """Images and kernels of such sizes, and the options."""
    image_shape, kernel_shape, options = sizes
    rng = np.random.default_rng(0)
    dtype = np.dtype(dtype)
    return (
        random_numbers(rng, image_shape, dtype),
        random_numbers(rng, kernel_shape, dtype),
        options,
    )


# -------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("dtype", "efdgFDG")
@pytest.mark.parametrize("sizes", SHALLOW)
def test_convolve(method, sizes, dtype):
    """Images of few channels, of a type of floats, have other bits in another batch."""
    x, k, options = arrays(SHALLOW[sizes], dtype)
    check_batches(lambda x: convlens.convolve(x, k, **options, method=method), x)


@pytest.mark.parametrize("dtype", "efdF")
@pytest.mark.parametrize("sizes", SIGNALS | VOLUMES)
def test_convolve_signals_and_volumes(method, sizes, dtype):
    """A signal or a volume has other bits in another batch."""
    x, k, options = arrays((SIGNALS | VOLUMES)[sizes], dtype)
    check_batches(lambda x: convlens.convolve(x, k, **options, method=method), x)


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("shape", [(9, 7, 8, 9), (5, 11, 12, 13, 3)])
def test_convolve_along_each_axis(method, shape, dtype):
    """A kernel that is a product of one along each axis gives other bits in another batch."""
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    line = np.arange(1.0, 8.0)
    k = np.multiply.outer(np.multiply.outer(line, line), line[::-1]).astype(dtype)
    check_batches(lambda x: convlens.convolve(x, k, method=method, space=3), x)


@pytest.mark.parametrize("dtype", "fdF")
@pytest.mark.parametrize("sizes", DENSE)
def test_convolve_dense(method, sizes, dtype):
    """A layer of many channels and many kernels has other bits in another batch."""
    x, k, options = arrays(DENSE[sizes], dtype)
    check_batches(lambda x: convlens.convolve(x, k, **options, method=method), x)


@pytest.mark.parametrize("sizes", ["gray", "photographs", "first layer", "a small bank"])
def test_convolve_without_m(method, sizes):
    """A single image, passed without the batch's axis, has other bits than in a batch."""
    x, k, options = arrays(SHALLOW[sizes], "f")
    whole = convlens.convolve(x, k, **options, method=method)
    for image, result in zip(x, whole, strict=True):
        assert same_bits(convlens.convolve(image, k, **options, method=method), result)


@pytest.mark.parametrize("seed", range(20))
def test_convolve_dense_random(method, seed):
    """A random layer of up to 300 channels and 300 kernels has other bits in another batch."""
    rng = np.random.default_rng(seed)
    m, h, kh, kw = rng.integers(2, 4), rng.integers(1, 4), *rng.integers(1, 3, 2)
    w, c, nc = rng.integers(1, 151), *rng.integers(1, 301, 2)
    x = rng.standard_normal((m, h, w, c)).astype("fd"[seed % 2])
    k = rng.standard_normal((kh, kw, c, nc)).astype("fd"[seed % 2])
    check_batches(lambda x: convlens.convolve(x, k, method=method), x)


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("dtype", "efdgFDG")
@pytest.mark.parametrize("shape", [(9, 11, 12, 3), (150, 5, 7), (50, 2, 2), (3, 2, 70001)])
def test_pool(method, shape, dtype, mode):
    """A pooling has other bits in another batch, perhaps a zero of the other sign."""
    x = random_numbers(np.random.default_rng(0), shape, np.dtype(dtype))
    x[x.real < -1] = -0.0
    check_batches(lambda x: convlens.pool(x, 2, mode=mode, padding="same", method=method), x)


POOLED = [  # shapes and options of signals and volumes
    ((50, 33, 3), {"space": 1}),
    ((3, 70001), {"space": 1, "pad_mode": "reflect"}),
    ((5, 6, 7, 8), {"space": 3}),
    ((3, 6, 7, 8, 5), {"space": 3, "pad_mode": "constant", "pad_value": 1}),
    ((2, 40, 41, 42), {"space": 3, "pad_mode": "wrap"}),
]


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("dtype", "efdF")
@pytest.mark.parametrize(("shape", "options"), POOLED)
def test_pool_signals_and_volumes(method, shape, options, dtype, mode):
    """A pooling of signals or volumes, or one with a border, has other bits in another batch."""
    x = random_numbers(np.random.default_rng(0), shape, np.dtype(dtype))
    x[x.real < -1] = -0.0
    options = {"mode": mode, "padding": "same", "method": method} | options
    check_batches(lambda x: convlens.pool(x, 3, 2, **options), x)


@pytest.mark.parametrize("dtype", "efdF")
def test_nan_and_inf(method, dtype):
    """NaN or inf reach other outputs in another batch.

    Where two NaNs meet, the processor chooses which bits result, so all NaNs are made equal here.
    """

    def one_nan(values):
        values[np.isnan(values)] = np.nan
        return values

    rng = np.random.default_rng(0)
    x = random_numbers(rng, (9, 5, 7, 3), np.dtype(dtype))
    x[rng.random(x.shape) < 0.01] = np.nan
    x[rng.random(x.shape) < 0.01] = np.inf
    k = random_numbers(rng, (3, 3, 3, 4), np.dtype(dtype))
    check_batches(lambda x: one_nan(convlens.convolve(x, k, method=method)), x)
    check_batches(lambda x: one_nan(convlens.pool(x, 3, 1, method=method)), x)
    check_batches(lambda x: one_nan(convlens.pool(x, 3, 1, "avg", method=method)), x)


@pytest.mark.parametrize("ten", range(20))
def test_random_calls(method, ten):
    """A random call of any type and options has other bits for an image alone."""
    for number in range(10):
        rng = np.random.default_rng([ten, number])
        for verb, draw in (
            (convlens.convolve, random_convolution),
            (convlens.pool, random_pooling),
        ):
            case = draw(rng)
            if not takes(method, *case.types):
                continue
            images, *rest = case.arguments
            images = np.asarray(images)
            of_kernels = case.space if verb is convlens.pool else np.ndim(rest[0])
            more = images.ndim - case.space, of_kernels - case.space
            if more in ((0, 0), (1, 1), (1, 2)):
                images = images[np.newaxis]  # a single image is split into itself
            try:
                whole = verb(images, *rest, **case.options, method=method)
            except ValueError as error:
                assert "cover no pixel" in str(error)  # noqa: PT017
                continue
            for n in range(len(images)):
                alone = verb(images[n : n + 1], *rest, **case.options, method=method)
                assert same_bits(alone, whole[n : n + 1]), f"seed {[ten, number]}: {case}"


# -------------------------------------------------------------------------------- threads


@cache
def digest(method):
    """A hash of many results."""
    results = hashlib.sha256()
    several = SHALLOW["photographs"], SHALLOW["a small bank"], VOLUMES["a layer of volumes"]
    for sizes in (*DENSE.values(), *several):
        for dtype in "fdF":
            if not takes(method, dtype):
                continue
            x, k, options = arrays(sizes, dtype)
            results.update(bits(convlens.convolve(x, k, **options, method=method)))
    return results.hexdigest()


BLAS = {  # each number of threads, and for each kind of processor one of them
    "Haswell": ("1", "2", "4"),
    "SkylakeX": ("4",),
    "Zen": ("2",),
    "Sandybridge": ("4",),
    "Prescott": ("1",),
}


@pytest.mark.parametrize("kernels_of", BLAS)
def test_threads_of_blas(method, kernels_of):
    """Bits depend on the threads of BLAS, or on the processor that its kernels are made for."""
    script = f"import test_invariance; print(test_invariance.digest({method!r}))"
    processes = []
    for count in BLAS[kernels_of]:
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, count)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", script],
                cwd=Path(__file__).parent,  # where the script finds this module
                env=environment | {"OPENBLAS_CORETYPE": kernels_of},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    digests = [process.communicate()[0].strip() for process in processes]
    assert len(digests[0]) == 64
    assert set(digests) == {digest(method)}


# --------------------------------------------------------------------------------- memory


def layouts(values, folder):
    """Yield arrays of the same numbers in many layouts, each with its name."""
    larger = np.zeros([2 * size + 1 for size in values.shape], values.dtype)
    sliced = larger[(slice(1, None, 2),) * values.ndim]
    sliced[...] = values
    yield "sliced", sliced
    backwards = (slice(None, None, -1),) * values.ndim
    yield "reversed", values[backwards].copy()[backwards]
    yield "Fortran order", np.asfortranarray(values)
    if values.ndim > 2:
        exchanged = [0, 2, 1, *range(3, values.ndim)]  # rows and columns, or what is there
        first = [values.ndim - 1, *range(values.ndim - 1)]  # channels, or what is last
        for axes in (exchanged, first):
            yield f"transposed by {axes}", values.transpose(axes).copy().transpose(np.argsort(axes))
    yield "byte-swapped", values.astype(values.dtype.newbyteorder())
    unaligned = np.empty(values.nbytes + 1, np.uint8)[1:].view(values.dtype).reshape(values.shape)
    unaligned[...] = values
    yield "unaligned", unaligned
    values.tofile(folder / "values")
    yield "memory-mapped", np.memmap(folder / "values", values.dtype, "r", shape=values.shape)
    read_only = values.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only


@pytest.mark.parametrize("dtype", "efdgD")
@pytest.mark.parametrize("sizes", ["gray", "photographs", "a blur", "first layer", "a small bank"])
def test_layouts_of_a_convolution(method, sizes, dtype, tmp_path):
    """Images or kernels of another layout give other bits."""
    check_layouts(SHALLOW[sizes], dtype, method, tmp_path)


@pytest.mark.parametrize("dtype", "efd")
@pytest.mark.parametrize("sizes", SIGNALS | VOLUMES)
def test_layouts_of_signals_and_volumes(method, sizes, dtype, tmp_path):
    """Signals, volumes or kernels of another layout give other bits."""
    check_layouts((SIGNALS | VOLUMES)[sizes], dtype, method, tmp_path)


def check_layouts(sizes, dtype, method, tmp_path):
    """Fail unless images and kernels give the same bits in every layout."""
    x, k, options = arrays(sizes, dtype)
    expected = convlens.convolve(x, k, **options, method=method)
    for name, images in layouts(x, tmp_path):
        result = convlens.convolve(images, k, **options, method=method)
        assert same_bits(result, expected), f"images {name}"
        assert type(result) is np.ndarray
    for name, kernels in layouts(k, tmp_path):
        result = convlens.convolve(x, kernels, **options, method=method)
        assert same_bits(result, expected), f"kernels {name}"


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("dtype", "befdgD")
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        *((shape, {"padding": "valid"}) for shape in ((9, 11, 12, 3), (20, 5, 7), (3, 2, 7001))),
        *POOLED,
    ],
)
def test_layouts_of_a_pooling(method, shape, options, dtype, mode, tmp_path):
    """Images of another layout give other bits."""
    x = random_numbers(np.random.default_rng(0), shape, np.dtype(dtype))
    x[x.real < -1] = np.array(-0.0).astype(dtype)
    options = {"padding": "same", "method": method} | options
    expected = convlens.pool(x, 2, 1, mode, **options)
    for name, images in layouts(x, tmp_path):
        result = convlens.pool(images, 2, 1, mode, **options)
        assert same_bits(result, expected), name
        assert type(result) is np.ndarray


def test_one_image_many_times(method):
    """A batch that repeats one image in memory (stride 0) gives other bits than that image."""
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal((8, 9, 3)), rng.standard_normal((3, 3, 3, 5))
    many = np.broadcast_to(x, (7, *x.shape))
    expected = convlens.convolve(x, k, method=method)
    for result in convlens.convolve(many, k, method=method):
        assert same_bits(result, expected)
    expected = convlens.pool(x[np.newaxis], 2, mode="avg", method=method)[0]
    for result in convlens.pool(many, 2, mode="avg", method=method):
        assert same_bits(result, expected)


def test_one_number_everywhere(method):
    """Images or kernels that are one number in memory (stride 0) give other bits than full ones."""
    x, k = np.broadcast_to(np.float32(0.1), (3, 8, 9, 4)), np.broadcast_to(0.3, (3, 3, 4, 5))
    result = convlens.convolve(x, k, method=method)
    assert same_bits(result, convlens.convolve(x.copy(), k.copy(), method=method))
    result = convlens.pool(x, 3, mode="sum", method=method)
    assert same_bits(result, convlens.pool(x.copy(), 3, mode="sum", method=method))


def test_out_of_any_layout(method):
    """Bits depend on the layout of `out`."""
    several = SHALLOW["photographs"], SHALLOW["a small bank"], *SIGNALS.values(), *VOLUMES.values()
    for sizes in several:
        x, k, options = arrays(sizes, "f")
        expected = convlens.convolve(x, k, **options, method=method)
        for out in (np.empty_like(expected, order="F"), np.empty_like(expected)[::-1, ::-1]):
            convlens.convolve(x, k, **options, out=out, method=method)
            assert same_bits(out, expected)


@pytest.mark.parametrize("apart", [2, 3, 16, 17])
def test_out_with_gaps(method, apart):
    """Bits depend on gaps between the pixels of `out`, or the gaps are written to."""
    several = SHALLOW["a small bank"], SHALLOW["first layer"], DENSE["strided"], DENSE["two groups"]
    for sizes in (*several, VOLUMES["a layer of volumes"]):
        x, k, options = arrays(sizes, "f")
        expected = convlens.convolve(x, k, **options, method=method)
        *outer, width, channels = expected.shape
        memory = np.full((*outer, width * apart, channels), -7.0, "f")
        out = memory[..., ::apart, :]
        convlens.convolve(x, k, **options, out=out, method=method)
        assert same_bits(out, expected)
        assert (np.delete(memory, slice(None, None, apart), axis=-2) == -7).all()
