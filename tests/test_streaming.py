"""Files larger than memory: the same bits as in memory, in little memory, whole or not at all."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from strategies import PAD_MODES, random_convolution, random_pooling
from test_invariance import same_bits

import convlens
from convlens.core.problem import Region
from convlens.execute import files
from convlens.execute.files import open_array
from convlens.plan import execute_file

VERBS = {
    "convolve": (convlens.convolve, convlens.plan_convolve, random_convolution),
    "pool": (convlens.pool, convlens.plan_pool, random_pooling),
}


def planned(plan, array, *arguments, **options):
    """The plan of a call on the images in a file."""
    images = np.broadcast_to(np.zeros((), array.spec.dtype), array.spec.shape)
    return plan(images, *arguments, **options)


@pytest.fixture
def streamed(tmp_path):
    """Carry a call out from file to file; returns what the result's file holds."""

    def call(plan, images, *arguments, advance=lambda _: None, **options):
        source, target = tmp_path / "images.npy", tmp_path / "results.npy"
        np.save(source, images)
        array = open_array(source)
        kernels = arguments[0] if plan is convlens.plan_convolve else None
        execute_file(planned(plan, array, *arguments, **options), array, kernels, target, advance)
        assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]
        return np.load(target)

    return call


# ------------------------------------------------------------------------------ meaning


@pytest.mark.parametrize("verb", VERBS)
def test_the_same_numbers_in_tiles_of_every_size(streamed, monkeypatch, verb):
    """Results change with the number of tiles, or the progress does not add up to the file."""
    function, plan, draw = VERBS[verb]
    seen = Counter()
    for seed in range(160):
        case = draw(np.random.default_rng([11, seed]))
        images, argument = case.arguments
        in_order = np.asfortranarray if seed % 3 == 0 else np.ascontiguousarray
        images = in_order(images)
        if verb == "convolve":
            argument = np.asarray(argument)
        try:
            expected = function(images, argument, **case.options)
        except ValueError as error:
            assert "cover no pixel" in str(error)  # noqa: PT017
            continue
        call = plan(images, argument, **case.options).problem
        for tile_bytes in (2**25, 2000, 900, 400):
            monkeypatch.setattr(files, "TILE_BYTES", tile_bytes)
            monkeypatch.setattr(files, "LARGEST_TILE", 2 * tile_bytes)
            try:
                tiles = list(files._tiles(call, (1,) * len(call.axes)))
            except ValueError:  # a single window is more than that
                continue
            steps = []
            result = streamed(plan, images, argument, advance=steps.append, **case.options)
            assert sum(steps) == (images.nbytes if tiles else 0)
            assert len(steps) == len(tiles)
            seen[min(len(tiles), 4)] += 1
            assert same_bits(result, expected), (str(case), tile_bytes)
    assert min(seen[count] for count in (1, 2, 3, 4)) > 3, seen


BORDERS = [
    {"pad_mode": mode, "padding": padding, "stride": stride}
    for mode in ("constant", "edge", "reflect", "symmetric", "wrap")
    for padding, stride in (("same", 1), ("full", 3), (((70, 3), (2, 90)), (5, 4)))
]


@pytest.mark.parametrize("options", BORDERS, ids=str)
@pytest.mark.parametrize("kernel_shape", [(3, 5), (3, 5, 3), (3, 5, 3, 4)])
def test_rows_of_one_image(streamed, monkeypatch, kernel_shape, options):
    """An image in tiles of whole rows has other bits than in memory."""
    rng = np.random.default_rng(1)
    images = rng.standard_normal((2, 64, 17, 3), np.float32)
    kernels = rng.standard_normal(kernel_shape, np.float32)
    expected = convlens.convolve(images, kernels, **options)
    call = convlens.plan_convolve(images, kernels, **options).problem
    monkeypatch.setattr(files, "WINDOWS", 1)
    monkeypatch.setattr(files, "TILE_BYTES", (images.nbytes + expected.nbytes) // 5)
    tiles = list(files._tiles(call, (1,) * len(call.axes)))
    assert len(tiles) > 2
    assert all(tile.places[-1] == range(call.columns.outputs) for tile in tiles)
    result = streamed(convlens.plan_convolve, images, kernels, **options)
    assert same_bits(result, expected)


@pytest.mark.parametrize("pad_mode", PAD_MODES)
def test_slabs_of_one_volume(streamed, monkeypatch, pad_mode):
    """A volume in tiles of whole slabs has other bits than in memory, or tiles cut its rows."""
    rng = np.random.default_rng(1)
    volume = rng.standard_normal((40, 12, 17, 2), np.float32)
    kernels = rng.standard_normal((3, 5, 3, 2, 4), np.float32)
    options = {"padding": ((9, 50), (2, 2), (1, 1)), "pad_mode": pad_mode, "space": 3}
    expected = convlens.convolve(volume, kernels, **options)
    call = convlens.plan_convolve(volume, kernels, **options).problem
    monkeypatch.setattr(files, "WINDOWS", 1)
    monkeypatch.setattr(files, "TILE_BYTES", (volume.nbytes + expected.nbytes) // 5)
    tiles = list(files._tiles(call, (1,) * len(call.axes)))
    assert len(tiles) > 2
    assert all(tile.places[1:] == (range(12), range(17)) for tile in tiles)
    result = streamed(convlens.plan_convolve, volume, kernels, **options)
    assert same_bits(result, expected)


def test_a_row_larger_than_a_tile(streamed, monkeypatch):
    """A row that is divided because it is larger than a tile has other bits than in memory."""
    monkeypatch.setattr(files, "TILE_BYTES", 4000)
    monkeypatch.setattr(files, "WINDOWS", 1)
    signal = np.random.default_rng(2).standard_normal((1, 20_000), np.float32)
    kernel = np.random.default_rng(3).standard_normal((1, 31), np.float32)
    result = streamed(convlens.plan_convolve, signal, kernel, pad_mode="wrap")
    assert same_bits(result, convlens.convolve(signal, kernel, pad_mode="wrap"))


@pytest.mark.parametrize("shape", [(0, 5, 6), (3, 0, 6), (3, 5, 0), (3, 5, 6, 0)])
def test_no_pixels(streamed, shape):
    """An array without pixels does not give an empty result of the right shape."""
    result = streamed(convlens.plan_convolve, np.ones(shape), np.ones((3, 3)))
    assert result.shape == shape


@pytest.mark.parametrize("pad_mode", PAD_MODES)
def test_padding_around_no_pixels(streamed, pad_mode):
    """Padding around no pixels does not hold zeros in some mode, or NaN of a kernel is lost."""
    for number, expected in ((1.0, 0.0), (np.nan, np.nan)):
        kernel = np.full((3, 3), number)
        plan = convlens.plan_convolve
        result = streamed(plan, np.ones((3, 0, 6)), kernel, 2, pad_mode=pad_mode)
        np.testing.assert_array_equal(result, np.full((3, 2, 8), expected))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_nan_and_inf_in_padding(streamed, monkeypatch, number):
    """NaN or inf of a kernel is lost in tiles whose windows cover padding alone."""
    monkeypatch.setattr(files, "TILE_BYTES", 4000)
    images, kernel = np.ones((50, 60)), np.array([[number]])
    for padding in (((0, 200), (0, 0)), ((200, 0), (0, 0)), ((0, 0), (100, 100))):
        result = streamed(convlens.plan_convolve, images, kernel, padding)
        assert same_bits(result, convlens.convolve(images, kernel, padding))
        assert not np.isfinite(result).any()


def test_unsigned_64_bit_sums(streamed):
    """Sums of uint64 are signed in a file, unlike in memory."""
    images = np.array([[2**63 + 1, 5]], np.uint64)
    result = streamed(convlens.plan_convolve, images, np.ones((1, 1), np.uint8))
    assert (result.dtype, result.tolist()) == (np.uint64, images.tolist())
    result = streamed(convlens.plan_pool, images, 1, mode="sum")
    assert (result.dtype, result.tolist()) == (np.uint64, images.tolist())


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a .npy file of numbers"),
        (b"picture", "not a .npy file of numbers"),
        (b"\x93NUMPY\x09\x00", "not a .npy file of numbers"),
        (b"\x93NUMPY\x01\x00\x10\x00", "not a .npy file of numbers"),
    ],
)
def test_no_array_files(tmp_path, content, words):
    """A file that is not in NumPy's format is taken, or refused in other words."""
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        open_array(path)


def test_arrays_that_cannot_be_streamed(tmp_path):
    """Objects or a file that ends early are taken, or refused in other words."""
    path = tmp_path / "x.npy"
    np.save(path, np.array([[None, 1]]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects, not of numbers"):
        open_array(path)
    np.save(path, np.ones((4, 5)))
    os.truncate(path, 200)
    with pytest.raises(ValueError, match="the file ends early: 200 bytes of 288"):
        open_array(path)
    with pytest.raises(FileNotFoundError):
        open_array(tmp_path / "none.npy")


def test_a_window_larger_than_a_tile(tmp_path, streamed, monkeypatch):
    """A window whose pixels exceed the memory is not refused before any work."""
    monkeypatch.setattr(files, "LARGEST_TILE", 2000)
    with pytest.raises(ValueError, match="under one window take 3,208 bytes, more than the 2,000"):
        streamed(convlens.plan_convolve, np.ones((40, 40)), np.ones((20, 20)))
    assert not (tmp_path / "results.npy").exists()


def test_a_file_that_becomes_shorter(tmp_path):
    """A file that is truncated meanwhile gives no error, or a part of a result remains."""
    source = tmp_path / "x.npy"
    np.save(source, np.ones((100, 5, 5)))
    array = open_array(source)
    plan = planned(convlens.plan_pool, array, 2)
    os.truncate(source, 5000)
    with pytest.raises(ValueError, match="the file ends early: it has become shorter"):
        execute_file(plan, array, None, tmp_path / "y.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


# --------------------------------------------------------------------- memory and threads


def test_who_carries_tiles_out():
    """Slow tiles do not run on the caller's thread, which Ctrl-C stops, or fast ones do."""
    tiles = [Region(range(n, n + 1), (range(9), range(9))) for n in range(20)]
    seconds = dict(zip(tiles, [9.0, 9.0, *[0.0] * 18], strict=True))
    threads = {}

    def carry_out(tile):
        threads[tile] = threading.current_thread()
        return seconds[tile]

    assert list(files._in_turns(iter(tiles), carry_out)) == tiles
    main = threading.current_thread()
    assert [threads[tile] is main for tile in tiles] == [True] * 3 + [False] * 17
    assert len(set(threads.values())) <= 1 + files.WORKERS


def test_what_fails_stops_the_rest():
    """Tiles are still begun after one has failed."""
    seen = []

    def carry_out(tile):
        seen.append(tile)
        if len(seen) == 5:
            raise OSError("no more")
        return 0.0

    with pytest.raises(OSError, match="no more"):
        list(files._in_turns(iter(range(1000)), carry_out))
    assert len(seen) < 5 + 3 * files.WORKERS


LIMIT = 300_000_000

IN_LITTLE_MEMORY = """
import resource, sys
import numpy as np
from convlens import cli

limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.load(sys.argv[-1])
except MemoryError:
    pass
else:
    sys.exit("the limit does not hold")
code = cli.run(sys.argv[1:])
status = open("/proc/self/status").read().split()
print("peak", int(status[status.index("VmHWM:") + 1]) * 1024)
sys.exit(code)
"""

LARGE = {
    "batch": ((60_000, 70, 70), ["apply", "sobel_x", "--stride", "5", "--dtype", "float64"]),
    "one image": ((1, 17_000, 17_300), ["apply", "box:5", "--stride", "5", "--pad-mode", "wrap"]),
    "one row": ((1, 294_000_000), ["pool", "1,4"]),
    "large windows": ((17_000, 17_300), ["pool", "4000", "--mode", "max"]),
    "one volume": ((660, 660, 675), ["pool", "4", "--space", "3", "--pad-mode", "edge"]),
    "one image, pooled": ((17_000, 17_300), ["pool", "7,7", "--mode", "avg", "--partial"]),
}


@pytest.mark.skipif(
    sys.platform != "linux", reason="limits memory, and reads its peak, as Linux does"
)
@pytest.mark.parametrize("case", LARGE)
def test_a_file_four_times_the_memory(tmp_path, case):
    """A process limited to 300 MB fails on a file of 1.2 GB, or its result is wrong."""
    shape, words = LARGE[case]
    source, target = tmp_path / "x.npy", tmp_path / "y.npy"
    images = np.lib.format.open_memmap(source, "w+", np.float32, shape)  # a hole: zeros
    flat = images.reshape(-1)
    rng = np.random.default_rng(4)
    for place in (0, flat.size // 3, flat.size - 10_000):
        flat[place : place + 10_000] = rng.integers(0, 256, 10_000)
    assert source.stat().st_size > 3.9 * LIMIT
    command = [sys.executable, "-c", IN_LITTLE_MEMORY, str(LIMIT), *words, "-o", target, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < LIMIT
    result = np.load(target, mmap_mode="r")
    assert same_bits(result, expected_of(case, images))
    del flat, images, result


def expected_of(case, images):
    """The result of the same call in memory."""
    if case == "batch":
        return convlens.convolve(images, convlens.filters.sobel_x(), stride=5, dtype="f8")
    if case == "one image":
        return convlens.convolve(images, convlens.filters.box(5), stride=5, pad_mode="wrap")
    if case == "one row":
        return convlens.pool(images, (1, 4))
    if case == "one volume":
        return convlens.pool(images, 4, pad_mode="edge", space=3)
    if case == "large windows":
        return convlens.pool(images, 4000)
    return convlens.pool(images, 7, mode="avg", partial=True)


# ------------------------------------------------------------------- whole or not at all


def run(*words, **options):
    """Run the command to its end, in a process of its own."""
    command = [sys.executable, "-m", "convlens", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def zeros(path, shape):
    """Make a file of zeros that takes no room on the disk."""
    del_me = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    del del_me
    return path


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interrupted(tmp_path, name, code):
    """A signal amid the work changes the old output, or leaves a file behind."""
    source = zeros(tmp_path / "x.npy", (1, 20_000, 20_000))
    target = tmp_path / "y.npy"
    target.write_text("precious")
    command = [sys.executable, "-m", "convlens", "apply", "box:9", source, "-o", target, "--force"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (parts := list(tmp_path.glob(".convlens-*"))) or parts[0].stat().st_size < 10**6:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(getattr(signal, name))
        message = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy", "y.npy"]
    assert target.read_text() == "precious"
    expected = "convlens: interrupted; no file is half written" if code == 130 else ""
    assert message.strip() == expected


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_interrupted_in_a_folder(tmp_path):
    """Ctrl-C leaves an incomplete output, or changes an input."""
    import cv2  # noqa: PLC0415

    folder, made = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    noise = np.random.default_rng(6).integers(0, 256, (200, 200, 3), np.uint8)
    cv2.imwrite(str(folder / "0.png"), noise)
    original = (folder / "0.png").read_bytes()
    for number in range(1, 2000):
        (folder / f"{number}.png").hardlink_to(folder / "0.png")
    command = [sys.executable, "-m", "convlens", "apply", "identity", folder, "-o", made]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while len(list(made.glob("[0-9]*.png"))) < 5:  # does not count files that are half written
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        message = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert message.strip() == "convlens: interrupted; no file is half written"
    pictures = list(made.iterdir())
    assert 5 <= len(pictures) < 2000
    assert all((cv2.imread(str(path)) == noise).all() for path in pictures)
    assert (folder / "0.png").read_bytes() == original


@pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")
def test_a_disk_that_fills_up(tmp_path):
    """A failed write gives more than one sentence, or changes the old output."""
    source = zeros(tmp_path / "x.npy", (1000, 100, 100))
    target = tmp_path / "y.npy"
    target.write_text("precious")
    most = 10**7
    done = run(
        *("apply", "box:3", source, "-o", target, "--force"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert done.returncode == 1
    assert done.stderr == f"convlens: {source}: {target}: File too large\n"
    assert target.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy", "y.npy"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte, where the user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_small_disk(tmp_path, small_disk):
    """A result too large for the disk is not refused before any work, or leaves a part."""
    source = zeros(tmp_path / "x.npy", (1000, 100, 100))
    done = run("apply", "box:3", source, "-o", small_disk / "y.npy")
    assert done.returncode == 1
    assert re.search(
        r"the result takes 80,000,000 bytes, and its disk has 1,\d+,\d+ left", done.stderr
    )
    import cv2  # noqa: PLC0415

    for size, suffix in ((500, ".png"), (700, ".tif")):  # libvips meets the full disk, and Python
        noise = np.random.default_rng(6).integers(0, 256, (size, size, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "x.png"), noise)
        target = small_disk / f"y{suffix}"
        done = run("apply", "identity", tmp_path / "x.png", "-o", target)
        assert done.returncode == 1
        full = f"{target}: No space left on device"
        assert done.stderr == f"convlens: {tmp_path / 'x.png'}: {full}\n"
    cv2.imwrite(str(tmp_path / "x.png"), noise)
    done = run("apply", "identity", tmp_path / "x.png", "-o", small_disk / "y.png")
    assert done.returncode == 1
    assert "the pixels take 1,470,000 bytes meanwhile, and the disk has 1,0" in done.stderr
    assert not list(small_disk.iterdir())
