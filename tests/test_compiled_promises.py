"""Promises that involve the compiled engine's own memory, threads and loops.

Promises that are tested on both engines are in test_invariance.py, test_memory.py and
test_promises.py.
"""

import hashlib
import os
import platform
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from strategies import POOL_MODES, built
from test_invariance import DENSE, SHALLOW, arrays, bits, same_bits

import convlens
from convlens.compiled import choice, work
from convlens.compiled.library import Run, frame, load

pytestmark = built

HERE = Path(__file__).parent  # where scripts find this module


def script(code, **environment):
    """A fresh interpreter that runs the code, with this module's names."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from test_compiled_promises import *\n{code}"],
        cwd=HERE,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ---------------------------------------------------------------------------- invariance


def images(*shape, dtype="f4"):
    """Random images, which are the same at every call."""
    values = np.random.default_rng(0).standard_normal(shape)
    return (values * 50 + 100).astype(dtype)


COLUMN_BY_ROW = np.outer([1, 4, 6, 4, 1, 2, 3], [1, 2, 5, 2, 1, 3, 4]).astype("f4") / 64
WAYS = {  # the ways in which calls are computed: images, and the call
    "planes": (images(37, 30, 31), lambda x: convlens.convolve(x, COLUMN_BY_ROW[:3, :3])),
    "unpadded": (
        images(37, 30, 31),
        lambda x: convlens.convolve(x, COLUMN_BY_ROW[:3, :3], "valid"),
    ),
    "large planes": (images(2, 700, 900), lambda x: convlens.convolve(x, COLUMN_BY_ROW[:4, :5])),
    "colours": (images(19, 32, 32, 3), lambda x: convlens.convolve(x, images(5, 5, 3, 2))),
    "separable": (images(5, 300, 200, 3), lambda x: convlens.convolve(x, COLUMN_BY_ROW)),
    "dense": (images(9, 20, 21, 8), lambda x: convlens.convolve(x, images(3, 3, 8, 40))),
    "depthwise": (
        images(9, 50, 51, 32),
        lambda x: convlens.convolve(x, images(3, 3, 1, 32), stride=2, groups=32),
    ),
    "depthwise in place": (
        images(9, 50, 51, 40),
        lambda x: convlens.convolve(x, images(3, 3, 1, 40), groups=40),
    ),
    "float16": (images(9, 50, 51, dtype="f2"), lambda x: convlens.convolve(x, COLUMN_BY_ROW[:2])),
    "windows": (images(19, 40, 41, 3), lambda x: convlens.pool(x, 3, 2, "avg", padding=1)),
    "squares": (images(37, 40, 42, 3), lambda x: convlens.pool(x, 2, mode="avg")),
    "tiles": (images(9, 90, 83, 3), lambda x: convlens.pool(x, (9, 5), 1, padding="same")),
    "doubling": (images(7, 200, 150), lambda x: convlens.pool(x, 40, 1, "avg", padding="same")),
    "doubling in doubles": (
        images(5, 90, 150, 3, dtype="f8"),
        lambda x: convlens.pool(x, (50, 30), (1, 2), "sum"),
    ),
}


@pytest.fixture
def threads():
    """Restore the number of threads after the test."""
    before = load().threads
    yield
    convlens.set_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("way", WAYS)
def test_any_split_on_any_number_of_threads(way):
    """Bits change with the split of the batch or with the number of threads."""
    x, function = WAYS[way]
    convlens.set_threads(1)
    whole = function(x)
    for count in (1, 2, 3, 4):
        convlens.set_threads(count)
        for at in {0, 1, len(x) // 3, len(x) - 1}:
            parts = [function(part) for part in (x[:at], x[at:])]
            assert same_bits(np.concatenate(parts), whole), f"{count} threads, split at {at}"


def digest():
    """A hash of the results of all these ways."""
    results = hashlib.sha256()
    for x, function in WAYS.values():
        results.update(bits(function(x)))
    for sizes in (*DENSE.values(), *SHALLOW.values()):
        x, k, options = arrays(sizes, "f")
        results.update(bits(convlens.convolve(x, k, **options)))
    return results.hexdigest()


@pytest.mark.parametrize("count", ["1", "2", "4"])
def test_threads_of_the_environment(count):
    """CONVLENS_THREADS is ignored, or bits change with it."""
    printed, error = script("print(load().threads, digest())", CONVLENS_THREADS=count).communicate()
    assert printed.split() == [count, digest()], error


# -------------------------------------------------------------------------------- memory

MEMORY = {  # the images, and a call on them whose memory is measured
    "convolve": ("ones(4, 3000, 3000)", "convolve(x, k(3, 3))"),
    "valid": ("ones(4, 3000, 3000)", "convolve(x, k(3, 3), 'valid')"),
    "many small images": ("ones(60_000, 28, 28)", "convolve(x, k(3, 3))"),
    "dense": ("ones(8, 100, 100, 128)", "convolve(x, k(3, 3, 128, 128))"),
    "depthwise": ("ones(4, 500, 500, 64)", "convolve(x, k(3, 3, 1, 64), groups=64)"),
    "two passes": ("ones(2, 3000, 3000)", "convolve(x, k(31, 31))"),
    "bytes": ("ones(4, 3000, 3000, t='u1')", "convolve(x, k(3, 3, t='i1'))"),
    "float16": ("ones(4, 3000, 3000, t='f2')", "convolve(x, k(3, 3, t='f2'))"),
    "16 bits": ("ones(4, 3000, 3000, t='i2')", "convolve(x, k(5, 5, t='i2'))"),
    "64 bits": ("ones(4, 2000, 2000, t='i8')", "convolve(x, k(3, 3, t='i8'))"),
    "byte-swapped": ("ones(4, 2000, 2000, t='>f8')", "convolve(x, k(3, 3, t='f8'))"),
    "transposed": ("ones(4, 3000, 3000).transpose(0, 2, 1)", "convolve(x, k(3, 3))"),
    "every other pixel": ("ones(2, 5000, 5000)[:, ::2, ::2]", "convolve(x, k(3, 3))"),
    "a large bank": ("ones(1, 4, 4, 1024)", "convolve(x, k(3, 3, 1024, 2048))"),
    "a large bank of bytes": (
        "ones(1, 4, 4, 1024, t='u1')",
        "convolve(x, k(3, 3, 1024, 2048, t='i1'))",
    ),
    "a large kernel": ("ones(1, 900, 900)", "convolve(x, k(1200, 1200), 'full', stride=200)"),
    "a large kernel of two passes": (
        "ones(1, 1300, 1300)",
        "convolve(x, k(1200, 1200), 'valid')",
    ),
    "far apart": (
        "ones(4, 8000, 2000).transpose(0, 2, 1)",
        "convolve(x, k(2, 3), 'valid', stride=(999, 2999))",
    ),
    "pool": ("ones(4, 3000, 3000)", "pool(x, 3, 1)"),
    "pool side by side": ("ones(4, 3000, 3000)", "pool(x, 2)"),
    "pool bytes": ("ones(4, 3000, 3000, t='u1')", "pool(x, 3, 1, 'avg')"),
    "pool 16 bits": ("ones(4, 3000, 3000, t='i2')", "pool(x, 3, 1)"),
    "tiles": ("ones(2, 4000, 4000)", "pool(x, 31, 1)"),
    "doubling": ("ones(2, 4000, 4000)", "pool(x, 61, 1)"),
    "doubling sums": ("ones(1, 4000, 4000)", "pool(x, 301, 1, 'sum')"),
    "doubling 32 bits": ("ones(1, 4000, 4000, t='i4')", "pool(x, 31, 1, 'sum')"),
    "doubling colours": ("ones(1, 2000, 2000, 3, t='u1')", "pool(x, 61, 1, 'avg')"),
    "tall": ("ones(1, 20_000_000, 1)", "pool(x, (100, 1))"),
    "tall bytes": (
        "ones(1, 20_000_000, 1, t='u1')",
        "convolve(x, k(100, 1, t='u1'), 'valid', stride=(150, 1))",
    ),
    "a signal": ("ones(1, 40_000_000)", "pool(x, (1, 3), 1)"),
    "a signal averaged": ("ones(1, 40_000_000)", "pool(x, (1, 3), 1, 'avg')"),
    "a large window averaged": ("ones(1, 2500, 2500, t='f8')", "pool(x, 2400, 1, 'avg')"),
    "one window": ("ones(1, 1, 10_000_000, t='f8')", "pool(x, (1, 10_000_000), 1, 'sum')"),
    "a large window of colours": (
        "ones(1, 1300, 1300, 3, t='f8')",
        "convolve(x, k(1200, 1200, t='f8'), 'valid', stride=(8, 1))",
    ),
    "a large window of bytes": (
        "ones(1, 800, 900, 3, t='u1')",
        "convolve(x, k(601, 601, t='f8'), stride=(8, 1))",
    ),
    "one window's sum": ("ones(1, 1, 10_000_000)", "convolve(x, k(1, 10_000_000), 'valid')"),
    "images far apart": ("ones(4000, 1000, 50)[:, :20]", "convolve(x, k(1, 1))"),
    "far apart pooled": ("ones(4, 8000, 2000).transpose(0, 2, 1)", "pool(x, 3, 999)"),
}


def peaks():
    """Print, for each of these calls, by how much memory grows beyond images and output."""

    def ones(*shape, t="f4"):
        return np.ones(shape, t)

    def memory(name):
        text = Path("/proc/self/status").read_text(encoding="ascii")
        return int(text.split(f"{name}:")[1].split()[0]) * 1024

    names = {"ones": ones, "k": cache(ones)}
    plan = names | {"convolve": convlens.plan_convolve, "pool": convlens.plan_pool}
    run = names | {"convolve": convlens.convolve, "pool": convlens.pool}
    convlens.pool(ones(5, 5), 2)  # loads the library, which is not counted
    for name, (made, call) in MEMORY.items():
        x = eval(made, names)
        x.flags.writeable = False
        planned = eval(call, plan | {"x": x})
        out = ones(*planned.output_shape, t=planned.output_dtype)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM, the peak
        before = memory("VmRSS")
        eval(f"{call[:-1]}, out=out)", run | {"x": x, "out": out})
        print(f"{name}: {memory('VmHWM') - before}", flush=True)


MEASURED = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="measured as Linux can"
)
# These make the allocator return freed memory to the system at once.
FREED = {f"MALLOC_{name}_THRESHOLD_": "65536" for name in ("MMAP", "TRIM")}


@MEASURED
@pytest.mark.parametrize("threads", [1, 3])
def test_memory_of_the_whole_process(threads):
    """A call takes more than 32 MB a thread, the library's own memory included.

    `tracemalloc` would not see the library's memory, so the whole process is measured.
    """
    process = script("peaks()", CONVLENS_THREADS=str(threads), **FREED)
    printed, error = process.communicate()
    grown = dict(line.split(": ") for line in printed.splitlines())
    assert list(grown) == list(MEMORY), error
    too_much = {name: int(size) for name, size in grown.items() if int(size) > 32e6 * threads}
    assert not too_much


KEPT = """
def resident():
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split("VmRSS:")[1].split()[0]) * 1024

image, out = np.ones((1, 140_000, 1), "f4"), np.empty((1, 140_000, 1), "f4")
convlens.pool(image, (3, 1), 1, "avg", padding="same", out=out)
before = resident()
for number in range(300):
    some = image[:, : 130_000 + number], out[:, : 130_000 + number]
    convlens.pool(some[0], (3, 1), 1, "avg", padding="same", out=some[1])
    convlens.convolve(some[0], image[0, :3], out=some[1])
print(resident() - before)
"""


@MEASURED
def test_what_is_kept_between_calls():
    """Prepared calls, which are cached, keep arrays that are as long as the images."""
    printed, error = script(KEPT, CONVLENS_THREADS="1", **FREED).communicate()
    assert printed, error
    assert int(printed) < 16e6


SUBNORMAL = """
import ctypes
from convlens import convolve, convolve_transpose, kernel_gradient

convlens.set_threads(1)  # the caller's, whose flags these are
C = ctypes.CDLL(None)
state = (ctypes.c_uint32 * 8)()  # of the processor's floats: the last word has the flags

def meets(call):
    C.fegetenv(state)
    state[7] &= ~0x3F
    C.fesetenv(state)
    call()
    C.fegetenv(state)
    return bool(state[7] & 2)

def left_behind():
    for power in range(6, 23):
        several = [np.full(2**power // 4, 0x12345, "u4") for _ in range(6 if power < 17 else 1)]
        del several

x = images(3, 30, 29, 3)
x[1, 2, 3, 1] = 1e-40
print("given", meets(lambda: convolve(x, images(3, 3, 3, 2))))
for shape, kernels, options in [
    ((9, 28, 28), (3, 3), {}),
    ((9, 30, 33), (4, 2), dict(stride=(1, 3))),
    ((2, 40, 300), (1, 70), {}),
    ((2, 5000), (9,), dict(space=1)),
    ((9, 28, 28, 3), (3, 3, 3, 1), {}),
    ((9, 28, 28, 3), (3, 3, 3, 2), {}),
    ((9, 28, 28, 3), (3, 3, 3, 3), {}),
    ((9, 28, 28, 3), (3, 3, 3, 4), {}),
    ((9, 57, 45, 7), (5, 5, 7, 2), {}),
    ((9, 57, 45, 3), (7, 7, 3, 1), dict(stride=2)),
    ((9, 29, 27, 6), (3, 3, 3, 4), dict(groups=2)),
    ((9, 17, 19, 24), (3, 3, 24, 8), {}),
    ((9, 17, 19, 24), (3, 3, 24, 40), dict(stride=2)),
    ((9, 17, 19, 40), (3, 3, 40, 70), {}),
    ((9, 53, 61, 32), (3, 3, 1, 32), dict(groups=32)),
    ((9, 53, 61, 32), (5, 5, 1, 32), dict(groups=32)),
    ((9, 53, 61, 32), (9, 2, 1, 32), dict(groups=32)),
    ((2, 500, 32), (3, 1, 32), dict(groups=32, space=1)),
    ((3, 9, 11, 13), (3, 3, 3), dict(space=3)),
    ((3, 9, 11, 13, 2), (3, 3, 3, 2, 2), dict(space=3)),
    ((3, 9, 11, 13, 4), (3, 3, 3, 4, 9), dict(space=3)),
    ((3, 90, 77), (9, 9), {}),
]:
    for kind in ("f4", "f8"):
        x, k = images(*shape, dtype=kind), images(*kernels, dtype=kind)
        if kernels == (9, 9):
            k[...] = np.outer(range(1, 10), range(2, 11))
        call = lambda: convolve(x, k, **options)
        call()
        for _ in range(3):
            left_behind()
            if meets(call):
                print("met", kind, shape, kernels, options)
        y = call()
        y[...] = images(*y.shape, dtype=kind)
        back = [
            lambda: convolve_transpose(y, k, shape[1 : 1 + options.get("space", 2)], **options),
            lambda: kernel_gradient(x, y, kernels, **options),
        ]
        for call in back if shape[-1] > 3 else []:
            call()
            for number in range(3):
                left_behind()
                if meets(call):
                    print("met on the way back", number, kind, shape, kernels, options)
"""


@pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc",
    reason="THE FLAGS OF SUBNORMAL NUMBERS ARE READ ON LINUX, of x86-64 alone",
)
@pytest.mark.parametrize("level", getattr(load(), "levels", []))
def test_no_time_is_lost_on_numbers_that_no_one_wrote(level):
    """The last tile of a row multiplies what earlier calls left in memory, beyond the row.

    If these are subnormal numbers, which the flag of the processor tells, some processors take more
    than a hundred cycles for each product.
    """
    used_again = {name: str(2**25) for name in FREED}  # the most that glibc takes
    printed, error = script(SUBNORMAL, CONVLENS_LEVEL=level, **used_again).communicate()
    assert printed == "given True\n", error


def test_more_than_2_31_pixels_of_one_image_many_times():
    """A batch that is one image repeated 600,000 times, by a stride of 0, gives wrong results."""
    rng = np.random.default_rng(0)
    image, k = rng.integers(0, 256, (64, 64), np.uint8), np.arange(9).reshape(3, 3)
    many = np.broadcast_to(image, (600_000, 64, 64))
    assert many.size > 2**31
    result = convlens.convolve(many, k, "valid", 61)
    assert (result == convlens.convolve(image, k, "valid", 61)).all()
    for mode in POOL_MODES:
        result = convlens.pool(many[:, :40], 30, 30, mode)
        assert (result == convlens.pool(image[:40], 30, 30, mode)).all()


# -------------------------------------------------------------------------------- Ctrl-C

LONG = {  # calls that take many seconds
    "dense": "convlens.convolve(zeros(400, 56, 56, 256), ones(3, 3, 256, 256))",
    "one dense image": "convlens.convolve(zeros(1000, 1000, 256), ones(3, 3, 256, 256))",
    "many channels": "convlens.convolve(zeros(600, 3, 3, 50_000), ones(3, 3, 50_000, 64))",
    "a large kernel": "convlens.convolve(zeros(3000, 3000), images(301, 301))",
    "two passes": "convlens.convolve(zeros(200, 2000, 2000), ones(301, 301))",
    "64-bit integers": "convlens.convolve(zeros(20, 2000, 2000, t='i8'), ones(25, 25, t='i8'))",
    "converted": "convlens.convolve(zeros(200, 2000, 2000, t='i2'), ones(15, 14, t='i2'))",
    "byte-swapped": "convlens.convolve(zeros(200, 2000, 2000, t='>f4'), images(15, 14))",
    "without order": "convlens.convolve(zeros(200, 2000, 2000).swapaxes(1, 2), images(15, 14))",
    "float16": "convlens.convolve(zeros(200, 2000, 2000, t='f2'), images(15, 14, dtype='f2'))",
    "pool": "convlens.pool(zeros(600, 1000, 1000, 3), 7, 1, 'avg', dilation=9)",
    "doubling": "convlens.pool(zeros(40, 5000, 5000), 301, 1, 'sum')",
    "doubling a huge image": "convlens.pool(zeros(40_000, 30_000), 501, 1)",
    "doubling 64 bits": "convlens.pool(zeros(100, 3000, 3000, t='i8'), 301, 1, 'sum')",
}
INTERRUPTED = """
def zeros(*shape, t="f4"):
    return np.zeros(shape, t)  # no page of which is there before it is read

def ones(*shape, t="f4"):
    return np.ones(shape, t)

x = np.ones((1, 5, 5), "f4")
expected = convlens.pool(x, 2)
print("begun", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
assert same_bits(convlens.pool(x, 2), expected)
print("goes on", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="a signal that Windows has not")
@pytest.mark.parametrize("kind", LONG)
def test_ctrl_c(kind):
    """Ctrl-C does not end a long call within a second, or the next call fails."""
    waited = []
    while not waited or (waited[-1] >= 1 and len(waited) < 3):  # A busy machine may be late once.
        process = script(INTERRUPTED.format(call=LONG[kind]))
        try:
            assert process.stdout.readline() == "begun\n", process.stderr.read()
            time.sleep(0.4)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            start = time.perf_counter()
            assert process.stdout.readline() == "interrupted\n", process.stderr.read()
            waited.append(time.perf_counter() - start)
            assert process.stdout.read() == "goes on\n", process.stderr.read()
        finally:
            process.kill()
            process.communicate()
    print(f"{waited[-1]:.2f} s")
    assert waited[-1] < 1, f"{waited} s"


# --------------------------------------------------------------------------------- errors


def test_an_error_in_the_library_is_an_exception(monkeypatch):
    """An error in a pipeline ends the process, as Halide's own handler would."""
    x, k = images(2, 9, 9), np.ones((4, 4), "f4")
    out = np.empty_like(x)
    call = convlens.plan_convolve(x, k).problem
    method = choice.convolution(call, np.dtype("f4"), separable=False)
    placement = work.Placement.of(x[..., None])  # of images and output alike
    prepared = work.Work(call, method, (placement,), False, placement, threads=1)
    right = {}

    class Noting(Run):
        def __init__(self, library, variant, arguments, arrays):
            right.update(arguments)
            super().__init__(library, variant, arguments, arrays)

    monkeypatch.setattr(work, "Run", Noting)
    assert len(list(prepared.pieces([x[..., None]], out[..., None]))) == 1
    wrong_type = right | {"images": frame((2, 9, 9), (648, 72, 8), np.dtype("f8"))}
    wrong_size = right | {"images": frame((2, 9, 2), (648, 72, 4), np.dtype("f4"))}
    for arguments, words in (
        (wrong_type, "images has type float32 but .* float64"),
        (wrong_size, "images is accessed at 8, which is beyond the max"),
    ):
        broken = Run(load(), method.variant, arguments, ["images", "kernels", "out"])
        for _ in range(3):
            with pytest.raises(RuntimeError, match=f"^the compiled pipeline planes_.*: .*{words}"):
                broken(images(2, 9, 9, dtype="f8"), k, out)
    for arguments, words in (  # faults of the engine's own
        (
            {n: a for n, a in right.items() if n != "strip"},
            r"missing arguments \['strip'\], superfluous ones \[\]",
        ),
        (right | {"slabs": right["rows"]}, r"missing arguments \[\], superfluous ones \['slabs'\]"),
        (right | {"rows": 3}, "takes rows as array; got 3"),
        (right | {"sx": right["rows"]}, "takes sx as int32; got <"),
    ):
        with pytest.raises(TypeError, match=words):
            Run(load(), method.variant, arguments, ["images", "kernels", "out"])
    assert convlens.convolve(x, k).shape == x.shape


def test_memory_that_there_is_not():
    """A result that is larger than all memory gives something else than MemoryError."""
    x = np.broadcast_to(np.float32(1), (2**40, 5, 5))
    with pytest.raises(MemoryError):
        convlens.convolve(x, np.ones((3, 3), "f4"))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("verb", ["convolve", "pool"])
def test_small_images_are_computed_together(verb, padding, monkeypatch):
    """Each image of a batch is prepared by itself, which takes far longer than to compute it."""
    prepared, runs = [], work.Work._runs

    def counted(self, *arguments):
        prepared.append(self)
        return runs(self, *arguments)

    monkeypatch.setattr(work.Work, "_runs", counted)
    work._prepared.cache_clear()
    digits = np.ones((500, 28, 28), np.float32)
    options = {"padding": padding, "pad_mode": "edge", "method": "compiled"}
    if verb == "convolve":
        convlens.convolve(digits, np.ones((3, 3), np.float32), **options)
    else:
        for mode in ("max", "avg", "median"):
            convlens.pool(digits, 3, 1, mode, **options)
    assert len(prepared) <= 8
