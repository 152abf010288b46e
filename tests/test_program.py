"""A program that was written for SciPy's filters gives the same picture with ours."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).parents[1] / "docs" / "spots.py"
pytest.importorskip("scipy.ndimage")


def test_only_the_import_is_changed(tmp_path):
    """The picture changes, or the program does not run, when its filters are ours."""
    text = PROGRAM.read_text(encoding="utf-8")
    assert text.count("\nfrom scipy import ndimage\n") == 1
    ours = text.replace("\nfrom scipy import ndimage\n", "\nfrom convlens import ndimage\n")
    pictures = []
    for name, code in (("theirs", text), ("ours", ours)):
        program, picture = tmp_path / f"{name}.py", tmp_path / f"{name}.npy"
        program.write_text(code, encoding="utf-8")
        subprocess.run([sys.executable, str(program), str(picture)], check=True)
        pictures.append(np.load(picture))
    np.testing.assert_array_equal(*pictures)
    assert 0.005 < (pictures[0] == (255, 220, 0)).all(axis=-1).mean() < 0.2
