"""What is typed at a prompt: kernels by name and in files, and which input goes to which output."""

from pathlib import Path

import numpy as np
import pytest

from convlens import filters, spelling
from convlens.files import pair_up


def test_kernels_by_name_and_in_files(tmp_path):
    """Kernels are read from names with parameters, .npy files, and rows of numbers."""
    for text, expected in {
        "box": filters.box(),
        "box:5": filters.box(5),
        "box:size=3x5": filters.box((3, 5)),
        "gaussian:sigma=0.5, size=3": filters.gaussian(0.5, 3),
        "gaussian:2,size=auto": filters.gaussian(2),
        "gaussian:2,dtype=float32": filters.gaussian(2, dtype=np.float32),
        "sharpen:dtype=float32": filters.sharpen(dtype=np.float32),
        "laplacian:diagonals=true": filters.laplacian(diagonals=True),
        "motion-blur:length=5,angle=45": filters.motion_blur(5, 45),
        "sharpen:2": filters.sharpen(2),
    }.items():
        made = spelling.kernel(text)
        np.testing.assert_array_equal(made, expected)
        assert made.dtype == expected.dtype
    (tmp_path / "k.txt").write_text("1 2 3\n\n-4 5e0 6\n")
    np.testing.assert_array_equal(spelling.kernel(str(tmp_path / "k.txt")), [[1, 2, 3], [-4, 5, 6]])
    (tmp_path / "k.csv").write_text("1, 2\r\n3,4\r\n")
    made = spelling.kernel(str(tmp_path / "k.csv"))
    assert made.tolist() == [[1, 2], [3, 4]]
    assert made.dtype == np.int64
    np.save(tmp_path / "k.npy", np.ones((3, 3, 2, 5), np.float32))
    assert spelling.kernel(str(tmp_path / "k.npy")).shape == (3, 3, 2, 5)


def test_objects_are_not_unpickled(tmp_path):
    """A kernel file with pickled objects is refused, as unpickling runs code."""
    np.save(tmp_path / "k.npy", np.array([[print]]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"k\.npy is no \.npy file of numbers"):
        spelling.kernel(str(tmp_path / "k.npy"))


def test_pairs_of_files(tmp_path, monkeypatch):
    """One input has one output file; several have files of their names in a folder."""
    monkeypatch.chdir(tmp_path)
    one, two = Path("a.png"), Path("b.tif")
    assert pair_up([one], Path("o.jpg"), force=False) == [(one, Path("o.jpg"))]
    assert pair_up([one, two], Path("out"), force=False) == [
        (one, Path("out/a.png")),
        (two, Path("out/b.tif")),
    ]
