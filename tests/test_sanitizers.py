"""What is written in C, under the compiler's sanitizers: it may use no memory but its own."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_compiled
import test_volume_pipelines

from convlens.compiled.library import load

SOURCES = sorted((Path(__file__).parents[1] / "pipelines" / "runtime").glob("*.c"))
COMPILER = shutil.which(os.environ.get("CC", "cc"))
CHECKS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")


class Both:
    """The functions of a library of C alone, and of the whole one those that it lacks."""

    def __init__(self, sanitized, whole):
        self._sanitized, self._whole = sanitized, whole

    def __getattr__(self, name):
        try:
            return getattr(self._sanitized, name)
        except AttributeError:
            return getattr(self._whole, name)


def check(path):
    """Run what is written in C on every level, in a process of its own that has the sanitizers."""
    library = load()
    library._library = Both(ctypes.CDLL(path), library._library)
    library.set_threads(2)
    for level in test_compiled.each_level():
        rng = np.random.default_rng(0)
        for variant in test_volume_pipelines.convolutions():
            if variant.family == "grouped":
                for _ in range(8):
                    test_volume_pipelines.check(variant, rng)
        test_compiled.check_histograms(rng)
        test_compiled.check_moving(rng)
        test_compiled.check_winners(rng)
        test_compiled.check_shares(rng)
        test_compiled.check_kernel_gradients(rng)
        print(level)


@pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="no C compiler, or no Linux"
)
def test_memory(tmp_path):
    """A function in C reads or writes beyond its memory, or does what C leaves undefined."""
    path = tmp_path / "sanitized.so"
    command = [COMPILER, "-std=gnu11", "-O1", "-shared", "-fPIC", "-pthread", *CHECKS, *SOURCES]
    made = subprocess.run(
        [*command, "-o", path, "-lm"], capture_output=True, text=True, check=False
    )
    if "cannot find" in made.stderr:
        pytest.skip("the compiler has no library for its sanitizers")
    assert made.returncode == 0, made.stderr
    names = ("libasan.so", "libubsan.so")
    found = [
        subprocess.run(
            [COMPILER, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in names
    ]
    done = subprocess.run(
        [sys.executable, __file__, path],
        env=os.environ | {"LD_PRELOAD": " ".join(found), "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == load().levels


if __name__ == "__main__":
    check(sys.argv[1])
