"""The page "Keras on NumPy": Keras's own tests pass with convlens in the place of JAX."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
# Without JAX's functions, a test that does not get to ours fails.
PLUGIN = """
import jax, keras_numpy
keras_numpy.plug_in()
for name in ("conv_general_dilated", "conv_transpose", "reduce_window"):
    delattr(jax.lax, name)
"""
TESTS = (
    "layers.convolutional.conv_test",
    "layers.convolutional.depthwise_conv_test",
    "layers.convolutional.separable_conv_test",
    "layers.convolutional.conv_transpose_test",
    "layers.pooling.max_pooling_test",
    "layers.pooling.average_pooling_test",
    "ops.nn_test",
)


@pytest.fixture
def environment(tmp_path):
    """What a program with Keras's NumPy backend and the page's file needs."""
    pytest.importorskip("jax")
    if not any((Path(folder) / "keras").is_dir() for folder in sys.path):
        pytest.skip("Keras is not installed")  # to import it here would settle its backend
    paths = os.pathsep.join([str(DOCS), str(tmp_path), *filter(None, sys.path)])
    return os.environ | {"KERAS_BACKEND": "numpy", "JAX_PLATFORMS": "cpu", "PYTHONPATH": paths}


def test_keras_without_jax(environment, tmp_path):
    """A test of Keras for convolutions or poolings fails with our functions, or calls JAX's."""
    (tmp_path / "plugged.py").write_text(PLUGIN)
    modules = [f"keras.src.{name}" for name in TESTS]
    # The tests of LoRA train a model, which this backend cannot do.
    chosen = "(conv or pool) and not lora"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "plugged", "-p", "no:cacheprovider"]
    command += ["-c", os.devnull, "-k", chosen, "--pyargs", *modules]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 300


def test_the_page_of_keras_without_jax(environment, tmp_path):
    """The page's program fails, or prints something else."""
    text = (DOCS / "keras.md").read_text(encoding="utf-8")
    program, shown = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", text, re.DOTALL).groups()
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == shown
