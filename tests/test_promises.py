"""Inputs are not changed, may be huge, and may be shared between threads and processes."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from strategies import POOL_MODES, each_method, random_convolution, random_pooling, takes
from test_invariance import DENSE, SHALLOW, SIGNALS, VOLUMES, arrays, same_bits

import convlens

pytestmark = each_method

VERBS = {
    "convolve": (convlens.convolve, random_convolution),
    "pool": (convlens.pool, random_pooling),
}


def random_calls(verb, count, method):
    """Yield random calls that are not refused, as (function, arguments, options)."""
    function, draw = VERBS[verb]
    number = 0
    while count:
        case = draw(np.random.default_rng([7, number]))
        number += 1
        if not takes(method, *case.types):
            continue
        arguments = [a if isinstance(a, (int, tuple)) else np.array(a) for a in case.arguments]
        try:
            function(*arguments, **case.options)
        except ValueError as error:
            assert "cover no pixel" in str(error)  # noqa: PT017
            continue
        yield function, arguments, case.options
        count -= 1


# --------------------------------------------------------------------------------- inputs


@pytest.mark.parametrize("verb", VERBS)
def test_inputs_stay_as_they_are(method, verb):
    """A call changes its inputs, or its result shares memory with them."""
    for function, arguments, options in random_calls(verb, 300, method):
        inputs = [a for a in arguments if isinstance(a, np.ndarray)]
        before = [a.tobytes() for a in inputs]
        result = function(*arguments, **options, method=method)
        assert [a.tobytes() for a in inputs] == before, options
        assert not any(np.shares_memory(result, a) for a in inputs)


@pytest.mark.parametrize("verb", VERBS)
def test_read_only_inputs(method, verb):
    """Read-only inputs fail, or give other bits."""
    for function, arguments, options in random_calls(verb, 300, method):
        expected = function(*arguments, **options, method=method)
        for a in arguments:
            if isinstance(a, np.ndarray):
                a.flags.writeable = False
        assert same_bits(function(*arguments, **options, method=method), expected)


@pytest.mark.parametrize("mode", POOL_MODES)
def test_a_window_of_one_pixel_copies(method, mode):
    """A window of one pixel returns the input itself, or a view of it."""
    x = np.arange(12.0).reshape(3, 4)
    result = convlens.pool(x, 1, mode=mode, method=method)
    np.testing.assert_array_equal(result, x)
    assert not np.shares_memory(result, x)


def test_out_leaves_inputs_alone(method):
    """A call writes outside `out`, which here lies between the inputs in one piece of memory."""
    memory = np.arange(60.0)
    x, out, k = memory[:25].reshape(5, 5), memory[25:50].reshape(5, 5), memory[50:59].reshape(3, 3)
    before = memory.copy()
    convlens.convolve(x, k, out=out, method=method)
    assert (memory[:25] == before[:25]).all()
    assert (memory[50:] == before[50:]).all()
    np.testing.assert_array_equal(out, convlens.convolve(x, k, method=method))


# ------------------------------------------------------------------------ sizes and views


def test_more_than_2_31_elements_in_a_file(method, tmp_path):
    """Pixels at the far end of a memory-mapped file of more than 2**31 are not found."""
    shape = (3, 30_000, 25_000)
    with open(tmp_path / "images", "wb") as file:
        file.truncate(np.prod(shape))  # a hole: it takes no room on the disk
    x = np.memmap(tmp_path / "images", np.uint8, "r+", shape=shape)
    assert x.size > 2**31
    x[2, 29_990:, 24_990:] = 200
    k = np.ones((10, 10), np.uint8)
    stride = (29_990, 24_990)
    result = convlens.convolve(x, k, "valid", stride, method=method)
    np.testing.assert_array_equal(
        result, [[[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 20_000]]]
    )
    result = convlens.pool(x, 10, stride, "sum", method=method)
    np.testing.assert_array_equal(result[2], [[0, 0], [0, 20_000]])
    for mode in ("max", "avg"):
        assert convlens.pool(x, 10, stride, mode, method=method)[2].tolist() == [[0, 0], [0, 200]]
    del x


@pytest.mark.parametrize("shape", [(2**31 + 1000,), (1300, 1300, 1300)])
def test_signals_and_volumes_of_more_than_2_31_elements(method, shape, tmp_path):
    """Pixels at the far end of a signal or a volume of more than 2**31 are not found."""
    with open(tmp_path / "images", "wb") as file:
        file.truncate(np.prod(shape))  # a hole: it takes no room on the disk
    x = np.memmap(tmp_path / "images", np.uint8, "r+", shape=shape)
    assert x.size > 2**31
    last = (slice(-10, None),) * x.ndim
    x[last] = 200
    options = {"stride": tuple(n - 10 for n in shape), "space": x.ndim, "method": method}
    result = convlens.convolve(x, np.ones((10,) * x.ndim, np.uint8), "valid", **options)
    expected = np.zeros((2,) * x.ndim)
    expected[(1,) * x.ndim] = 200
    np.testing.assert_array_equal(result, expected * 10**x.ndim)
    for mode in ("max", "avg"):
        np.testing.assert_array_equal(convlens.pool(x, 10, mode=mode, **options), expected)
    del x


def test_more_than_2_31_elements_in_a_view(method):
    """An image of more than 2**31 pixels, a view in which pixel (y, x) is base[y + x], is wrong."""
    base = np.random.default_rng(0).integers(0, 256, 100_000, np.uint8)
    x = np.lib.stride_tricks.sliding_window_view(base, 40_000)  # (60001, 40000)
    assert x.size > 2**31
    stride = (29_000, 19_000)
    k = np.arange(6).reshape(2, 3)
    expected = [
        [
            sum(int(base[y + i + z + j]) * k[i, j] for i in range(2) for j in range(3))
            for z in across
        ]
        for down, across in [(range(0, 60_000, 29_000), range(0, 39_998, 19_000))]
        for y in down
    ]
    result = convlens.convolve(x, k, "valid", stride, method=method)
    np.testing.assert_array_equal(result, expected)
    result = convlens.pool(x, (2, 3), stride, method=method)
    expected = [
        [base[y + z : y + z + 4].max() for z in range(0, 39_998, 19_000)]
        for y in range(0, 60_000, 29_000)
    ]
    np.testing.assert_array_equal(result, expected)


def test_more_than_2_31_images(method):
    """A batch of more than 2**31 images without pixels fails or takes long."""
    x = np.zeros((2**31 + 10, 0, 5))
    result = convlens.convolve(x, np.ones((3, 3)), method=method)
    assert result.shape == x.shape


# ------------------------------------------------------------------- threads and processes


def test_threads(method):
    """Calls from several threads at once give other bits than one after the other."""
    calls = [call for verb in VERBS for call in random_calls(verb, 100, method)]
    images = DENSE["wide"], DENSE["strided"], SHALLOW["gray"], SHALLOW["wide gray"]
    for sizes in (*images, *SIGNALS.values(), *VOLUMES.values()):
        x, k, options = arrays(sizes, "f")
        calls += [(convlens.convolve, (x, k), options)] * 4
        of_pool = {"space": options.get("space", 2)}
        calls += [(convlens.pool, (x, 2, 1, mode), of_pool) for mode in POOL_MODES]

    def run(call):
        function, arguments, options = call
        return function(*arguments, **options, method=method)

    expected = list(map(run, calls))
    order = np.random.default_rng(0).permutation(len(calls))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, [calls[n] for n in order]))
    for n, result in zip(order, results, strict=True):
        assert same_bits(result, expected[n]), calls[n][2]


AFTER_A_FORK = """
import os
from test_invariance import digest
before = digest({method!r})
child = os.fork()
if not child:
    os._exit(0 if digest({method!r}) == before else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_after_a_fork(method):
    """A process that is forked after its parent used threads hangs, or computes other bits."""
    command = [sys.executable, "-c", AFTER_A_FORK.format(method=method)]
    folder = Path(__file__).parent  # where the script finds test_invariance
    assert subprocess.run(command, cwd=folder, timeout=300, check=False).returncode == 0
