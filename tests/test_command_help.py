"""The help of the command and the README's section on it: every example and output is true."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import convlens
from convlens import cli

ROOT = Path(__file__).parents[1]
NOISE = np.random.default_rng(8).integers(0, 256, (20, 30, 3), np.uint8)
COMMANDS = ["apply", "pool", "explain apply", "explain pool", "filters", "explore"]


@pytest.mark.parametrize("words", ["", *COMMANDS])
def test_help(typed, words):
    """Each command explains itself, and shows examples of itself."""
    code, out, err = typed(f"{words} --help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: convlens {words}".rstrip())
    assert ("convlens " + words in out.partition("Example")[2]) == bool(words)
    if not words:
        assert "Exit codes: 0, all is done; 1, some files could not be dealt with; 2," in out


def test_version_and_no_command(typed):
    """--version prints the version; without a command, the help goes to standard error."""
    assert typed("--version") == (0, f"convlens {convlens.__version__}\n", "")
    code, out, err = typed("")
    assert (code, out) == (2, "")
    assert err.startswith("Usage: convlens")


# --------------------------------------------------------------------------- the README

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"(?m)^\$ (convlens .*)\n((?:(?!\$ |```).*\n)*)", README)


@pytest.fixture(scope="module")
def readers_folder(tmp_path_factory):
    """The files that the README's commands name: a cat, a holiday, digits, and a scan."""
    import skimage.data  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("reader")
    cat = Image.fromarray(skimage.data.chelsea())
    cat.save(folder / "cat.png")
    (folder / "holiday").mkdir()
    for name in ("beach", "castle", "harbour"):
        cat.save(folder / "holiday" / f"{name}.jpg")
    (folder / "holiday" / "ferry.jpg").write_text("not copied to its end")
    digits = np.random.default_rng(0).integers(0, 256, (50_000, 28, 28), np.uint8)
    np.save(folder / "digits.npy", digits)
    scan = np.ones((128, 128, 128), np.float32)
    np.save(folder / "scan.npy", scan)
    zarr.create_array(folder / "scan.zarr", data=scan, chunks=(32, 128, 128))
    tifffile.imwrite(
        folder / "cells.tif", digits[:24, :16, :16].repeat(16, 1).repeat(16, 2).astype(np.uint16)
    )
    return folder


def test_the_examples_of_the_help(readers_folder, tmp_path, typed, monkeypatch):
    """Every example in the help runs; the one on a folder meets a file that is no picture."""
    monkeypatch.setenv("BROWSER", "true %s")  # a program that looks at no page
    lines = []
    for words in COMMANDS:
        examples = typed(f"{words} --help")[1].partition("Example")[2]
        lines += re.findall(r"(?m)^ +convlens (.*)$", examples)
    assert len(lines) == 16
    for number, line in enumerate(lines):
        folder = tmp_path / str(number)
        shutil.copytree(readers_folder / "holiday", folder / "holiday")
        monkeypatch.chdir(folder)
        for name in ("photo.png", "photo.jpg"):
            Image.fromarray(NOISE).save(name)
        np.save("images.npy", np.ones((10, 32, 32, 3), np.float32))
        np.save("kernels.npy", np.ones((3, 3, 3, 8), np.float32))
        np.save("signals.npy", np.ones((5, 1000)))
        Path("taps.txt").write_text("0.25 0.5 0.25")
        np.save("volume.npy", np.ones((20, 30, 40), np.float32))
        zarr.create_array("scans.zarr", data=np.ones((2, 20, 30, 40), np.float32))
        assert typed(line)[0] == (1 if "holiday/" in line else 0), line


@pytest.mark.parametrize(("line", "output"), SHOWN, ids=[line for line, _ in SHOWN])
def test_the_readme(readers_folder, line, output):
    """The README shows what the commands print, up to times and the processor's method."""
    words = shlex.split(line)
    if words[1] == "explore":
        pytest.importorskip("convlens.explorer")
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=readers_folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    varying = r"in \d+\.\d\d s"
    if "for avx512" not in convlens.plan_pool((1, 4, 4), 2).reason:
        varying += r"|(?m:^method .*$)"
    printed, shown = (re.sub(varying, "…", text) for text in (done.stdout, output))
    assert printed == shown


def test_the_readme_shows_every_command():
    """The README has an example of every command."""
    assert {line.split()[1] for line, _ in SHOWN} == set(cli.command.commands)
