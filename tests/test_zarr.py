"""Zarr stores: the bits of the same call in memory, in little memory, whole or not at all."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from strategies import random_convolution, random_pooling
from test_invariance import same_bits

import convlens
from convlens.execute import files
from convlens.execute.stores import open_store
from convlens.plan import execute_file

zarr = pytest.importorskip("zarr")

PIXELS = np.random.default_rng(8).integers(0, 256, (40, 50), np.uint8)
VERBS = {
    "convolve": (convlens.convolve, convlens.plan_convolve, random_convolution),
    "pool": (convlens.pool, convlens.plan_pool, random_pooling),
}


def store(path, values, **options):
    """Make a store that holds these values."""
    array = zarr.create_array(
        path, shape=values.shape, dtype=values.dtype, overwrite=True, **options
    )
    array[...] = values
    return array


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder, with a store, a group of two, an array in a file, and broken stores."""
    monkeypatch.chdir(tmp_path)
    store("in.zarr", PIXELS, chunks=(16, 16))
    group = zarr.open_group("group.zarr", mode="w")
    for name in ("large", "small"):
        group.create_array(name, shape=(4, 4), chunks=(2, 2), dtype="u1")
    store("bad.zarr", PIXELS, chunks=(16, 16))
    Path("bad.zarr/c/1/2").write_text("no chunk")
    Path("broken.zarr").mkdir()
    Path("broken.zarr/zarr.json").write_text("no json")
    np.save("x.npy", PIXELS)
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_the_same_numbers_in_chunks_of_every_size(tmp_path, monkeypatch, verb):
    """Results change with the chunks, or the progress does not add up to the images."""
    function, plan, draw = VERBS[verb]
    seen = Counter()
    for seed in range(60):
        rng = np.random.default_rng([12, seed])
        case = draw(rng)
        images, argument = np.asarray(case.arguments[0]), case.arguments[1]
        if verb == "convolve":
            argument = np.asarray(argument)
        try:
            expected = function(images, argument, **case.options)
        except ValueError as error:
            assert "cover no pixel" in str(error)  # noqa: PT017
            continue
        if {images.dtype.char, expected.dtype.char} & {"g", "G"}:  # which Zarr has not
            continue
        chunks = tuple(int(rng.integers(1, max(2, size + 1))) for size in images.shape)
        source, target, steps = tmp_path / "images.zarr", tmp_path / "results.zarr", []
        store(source, images, chunks=chunks, zarr_format=2 + seed % 2)
        monkeypatch.setattr(files, "TILE_BYTES", [2**25, 900][seed // 2 % 2])
        planned = plan(images, argument, **case.options)
        kernels = argument if verb == "convolve" else None
        execute_file(planned, open_store(source), kernels, target, steps.append)
        result = zarr.open_array(target, mode="r")[...]
        assert same_bits(np.asarray(result), np.asarray(expected)), (str(case), chunks)
        assert sum(steps) == (images.nbytes if steps else 0)
        assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]
        seen[min(len(steps), 4)] += 1
    assert min(seen[1], seen[4]) > 3, seen


@pytest.mark.parametrize(
    ("shape", "chunks", "kernel", "options", "expected"),
    [
        ((5, 40, 60), (2, 16, 16), (3, 3), {"stride": 2}, (1, 8, 8)),
        ((5, 40, 60), (2, 40, 60), (3, 3), {}, (2, 40, 60)),
        ((5, 40, 60, 4), (1, 16, 16, 2), (3, 3), {}, (1, 16, 16, 2)),
        ((5, 40, 60, 4), (1, 16, 16, 2), (3, 3, 4), {}, (1, 16, 16)),
        ((5, 40, 60, 4), (1, 16, 16, 2), (3, 3, 4, 9), {}, (1, 16, 16, 9)),
        ((40, 60, 20), (8, 8, 8), (3, 3, 3), {"space": 3, "padding": "valid"}, (8, 8, 8)),
    ],
)
def test_chunks_of_the_result(tmp_path, shape, chunks, kernel, options, expected):
    """The result's chunks are not those of the images, divided by the stride."""
    images = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    store(tmp_path / "i.zarr", images, chunks=chunks)
    plan = convlens.plan_convolve(images, np.ones(kernel), **options)
    execute_file(plan, open_store(tmp_path / "i.zarr"), np.ones(kernel), tmp_path / "o.zarr")
    made = zarr.open_array(tmp_path / "o.zarr", mode="r")
    assert made.chunks == expected
    np.testing.assert_array_equal(made[...], plan(images, np.ones(kernel)))


def test_in_python(tmp_path):
    """A store that Dask reads is computed at once, or an array of Zarr's is not taken for one."""
    da = pytest.importorskip("dask.array")
    values = np.random.default_rng(0).random((20, 30))
    array = store(tmp_path / "in.zarr", values, chunks=(8, 8))
    expected = convlens.convolve(values, convlens.filters.gaussian(1), pad_mode="wrap")
    whole = convlens.convolve(array, convlens.filters.gaussian(1), pad_mode="wrap")
    assert same_bits(whole, expected)
    lazy = convlens.convolve(
        da.from_zarr(tmp_path / "in.zarr"), convlens.filters.gaussian(1), pad_mode="wrap"
    )
    assert isinstance(lazy, da.Array)
    lazy.to_zarr(tmp_path / "out.zarr")
    assert same_bits(zarr.open(tmp_path / "out.zarr")[...], expected)


@pytest.mark.parametrize("version", [2, 3])
def test_attributes_and_names_of_axes(tmp_path, version):
    """Attributes are lost, or the names of axes, or axes have the names of others."""
    images, kernels = np.ones((3, 9, 9, 2), np.float32), np.ones((3, 3, 2, 5))
    names = ("z", "y", "x", "colour")
    named = {"dimension_names": names} if version == 3 else {}
    attributes = {"unit": "mm"} | ({} if version == 3 else {"_ARRAY_DIMENSIONS": list(names)})
    source = tmp_path / "i.zarr"
    store(source, images, chunks=(1, 4, 4, 2), zarr_format=version, attributes=attributes, **named)
    for kernel, expected in (
        (kernels, ("z", "y", "x", None)),
        (kernels[..., 0], ("z", "y", "x")),
        (kernels[..., 0, 0], names),
    ):
        plan = convlens.plan_convolve(images, kernel)
        execute_file(plan, open_store(source), kernel, tmp_path / "o.zarr")
        made = zarr.open_array(tmp_path / "o.zarr", mode="r")
        assert (dict(made.attrs), made.metadata.dimension_names) == ({"unit": "mm"}, expected)


def test_the_command(here, typed):
    """A store is not read or replaced, or taken for a folder where it is named, or in a folder."""
    code, out, err = typed("apply box:3 in.zarr/ -o out.zarr/")
    assert (code, err, out[:29]) == (0, "", "out.zarr: (40, 50) float64, i")
    expected = convlens.convolve(PIXELS, convlens.filters.box(3))
    np.testing.assert_array_equal(zarr.open_array("out.zarr", mode="r")[...], expected)
    assert typed("pool 2 in.zarr -o out.zarr --force")[::2] == (0, "")
    np.testing.assert_array_equal(
        zarr.open_array("out.zarr", mode="r")[...], convlens.pool(PIXELS, 2)
    )
    assert typed("pool 2 group.zarr/large -o small.zarr")[::2] == (0, "")
    assert "(40, 50) uint8" in typed("explain pool 2 in.zarr")[1]
    Path("all").mkdir()
    for name in ("in.zarr", "x.npy"):
        Path(name).rename(here / "all" / name)
    assert typed("pool 2 all -o pooled")[::2] == (0, "")
    assert sorted(os.listdir("pooled")) == ["in.zarr", "x.npy"]
    assert not list(here.rglob(".convlens-*"))


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("none.zarr -o o.zarr", 1, "none.zarr: No such file or directory"),
        ("in.zarr -o in.zarr --force", 2, "in.zarr is read from; write to another file"),
        ("in.zarr -o in.zarr/o.zarr", 2, "in.zarr/o.zarr lies in a store that is read from"),
        ("group.zarr/large -o group.zarr --force", 2, "group.zarr lies in a store that is read"),
        ("in.zarr -o group.zarr", 2, "group.zarr exists; --force overwrites it"),
        ("in.zarr -o o.npy", 2, "in.zarr is a Zarr store, and o.npy would not be"),
        ("x.npy -o o.zarr", 2, "x.npy is an array (.npy), and o.zarr would not be"),
        ("in.zarr -o -", 2, "standard output cannot be a Zarr store, as in.zarr is"),
        ("- -o o.zarr", 2, "standard input cannot be a Zarr store, which o.zarr would be"),
        ("in.zarr x.npy -o o.zarr", 2, "several inputs need a folder to be written to"),
        ("bad.zarr -o o.zarr", 1, "bad.zarr: its chunk (1, 2) is damaged: "),
        ("broken.zarr -o o.zarr", 1, "broken.zarr: not a Zarr store that can be read"),
        (
            "group.zarr -o o.zarr",
            1,
            "group.zarr: it is a group of arrays, not an array; it holds "
            f"{Path('group.zarr/large')}, {Path('group.zarr/small')}",
        ),
    ],
)
def test_refused(here, typed, line, code, words):
    """What is wrong is not said in one sentence, or something is changed, or left behind."""
    before = sorted(here.rglob("*"))
    returned, out, err = typed(f"apply box:3 {line}")
    assert (returned, out, err.count("\n")) == (code, "", 1)
    assert words in err
    assert sorted(here.rglob("*")) == before


def test_without_zarr(here):
    """Without the package, it is not said how to install it."""
    code = "import sys; sys.modules['zarr'] = None; from convlens.cli import run; run(sys.argv[1:])"
    words = [sys.executable, "-c", code, "apply", "box:3", "in.zarr", "-o", "o.zarr"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=here)
    expected = "convlens: in.zarr: Zarr stores need zarr: pip install 'convlens[zarr]'\n"
    assert done.stderr == expected


@pytest.mark.skipif(sys.platform != "linux", reason="reads its peak of memory as Linux does")
def test_memory(tmp_path):
    """A store of 1.2 GB takes more than 300 MB, or its result is wrong."""
    source, target = tmp_path / "x.zarr", tmp_path / "y.zarr"
    array = zarr.create_array(source, shape=(660, 660, 675), chunks=(64, 64, 64), dtype="f4")
    noise = np.random.default_rng(4).integers(0, 256, (64, 64, 64)).astype(np.float32)
    for place in (0, 256, 576):  # the other chunks are not stored, which stands for zeros
        array[(slice(place, place + 64),) * 3] = noise
    code = """
import sys
from convlens.cli import run
code = run(sys.argv[1:])
status = open("/proc/self/status").read().split()
print(int(status[status.index("VmHWM:") + 1]) * 1024)
sys.exit(code)
"""
    words = ["apply", tmp_path / "k.npy", source, "-o", target, "--space", "3", "--stride", "2"]
    words += ["--padding", "1"]
    np.save(tmp_path / "k.npy", kernel := np.ones((3, 3, 3), np.float32))
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 300_000_000
    made = zarr.open_array(target, mode="r")
    assert made.shape == (330, 330, 338)
    whole = np.zeros((80, 80, 80), np.float32)
    whole[8:72, 8:72, 8:72] = noise
    for place in (256, 576):
        around = slice((place - 8) // 2, (place + 72) // 2)
        expected = convlens.convolve(whole, kernel, 1, 2, space=3)
        np.testing.assert_array_equal(
            made[(around,) * 3][1:-1, 1:-1, 1:-1], expected[1:-1, 1:-1, 1:-1]
        )


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(here, number, code):
    """A signal amid the work changes the old store, or leaves a part of the new one behind."""
    zarr.create_array("large.zarr", shape=(1, 20_000, 20_000), chunks=(1, 500, 500), dtype="f4")
    before = sorted(os.listdir(here))
    command = [sys.executable, "-m", "convlens", "apply", "box:9", "large.zarr"]
    with subprocess.Popen([*command, "-o", "in.zarr", "--force"], stderr=subprocess.PIPE) as work:
        while not list(here.glob(".convlens-*")):
            assert work.poll() is None
            time.sleep(0.01)
        time.sleep(0.3)
        work.send_signal(number)
        work.communicate(timeout=60)
    assert work.returncode == code
    assert sorted(os.listdir(here)) == before
    np.testing.assert_array_equal(zarr.open_array("in.zarr", mode="r")[...], PIXELS)
