"""The programs that the page writes for the libraries, and how to run them."""

import os
import sys
from importlib.util import find_spec

import pytest
from course.course import FOLDER

MODULES = {  # what each library's programs import
    "convlens": "convlens",
    "Course files": "numpy",
    "NumPy": "numpy",
    "SciPy": "scipy",
    "PyTorch": "torch",
    "TensorFlow": "tensorflow",
    "JAX": "jax",
}


def written(browser, page_file, cases):
    """What the page makes of each (state, picture): its output or a reason, and its programs."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(page_file.as_uri())
    found = page.evaluate(
        """([cases, names]) => cases.map(([state, picture]) => {
          explorer.set(state, picture);
          const { output, reason } = explorer;
          const write = (name) => [name, explorer.program(name)];
          return {
            reason, programs: reason ? {} : Object.fromEntries(names.map(write)),
            shape: output && [output.h, output.w, output.c], data: output && [...output.data],
          };
        })""",
        [cases, list(MODULES)],
    )
    context.close()
    return found


def runnable(library, monkeypatch):
    """Let this library's programs be run, or skip the test if it is not installed."""
    if find_spec(MODULES[library]) is None:
        pytest.skip(f"{MODULES[library]} is not installed")
    monkeypatch.setattr(sys, "path", [os.fspath(FOLDER), *sys.path])


def run(code, library, **names):
    """Run a program on these names; returns all that it leaves."""
    exec(compile(code, library, "exec"), names)
    return names
