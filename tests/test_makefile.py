"""What the Makefile decides: which Python makes the environment, and what it says of the engine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from strategies import built

import convlens

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="NO MAKE HERE")

MAKEFILE = Path(__file__).parents[1] / "Makefile"
NAMES = (
    "PYTHON",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MAKEOVERRIDES",
    "MFLAGS",
)  # of a make that runs these tests
# A Python that says, to the code that it is given with -c, that it is another one.
DISGUISE = """#!/bin/sh
exec {python} -c 'import sys, sysconfig
sys.version_info, sys.implementation.name = (3, {minor}, 0), "{implementation}"
sysconfig.get_config_vars()["Py_GIL_DISABLED"] = {free_threaded}
exec(sys.argv[1])' "$2"
"""


def disguise(path, minor, implementation="cpython", free_threaded=0):
    """Write a program that passes for a Python 3 of some kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"minor": minor, "implementation": implementation, "free_threaded": free_threaded}
    path.write_text(DISGUISE.format(python=sys.executable, **values))
    path.chmod(0o755)


def make(recipe, folder, **settings):
    """What make prints for one more target with this recipe; errors come after the output."""
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [shutil.which("make"), f"--file={MAKEFILE}", f"--eval=added: ; @{recipe}", "added"],
        cwd=folder,
        env=clean | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({"python3": [13]}, "python3"),
        ({"python3": [11], "python3.13": [13]}, "python3"),
        ({"python3": [14], "python3.13": [13], "python3.12": [12]}, "python3.13"),
        ({"python3": [15], "python3.12": [12], "python3.11": [11]}, "python3.12"),
        ({"python3": [10], "python3.11": [11]}, "python3.11"),
        ({"python3": [11, "pypy"], "python3.11": [11]}, "python3.11"),
        ({"python3": [13, "cpython", 1], "python3.12": [12]}, "python3.12"),  # free-threaded
        ({"python3": [14], "python3.13": [13, "cpython", 1]}, "python3"),
        ({"python3": [14]}, "python3"),
        ({"python3": [14], ".pyenv/versions/3.12.9/bin/python3": [12]}, "3.12.9/bin/python3"),
        ({"python3": [14], ".pyenv/versions/3.14.1/bin/python3": [14]}, "python3"),
        ({"python3": [12], ".pyenv/versions/3.13.1/bin/python3": [13]}, "python3"),
    ],
)
def test_the_environment_is_made_from_a_python_that_halide_serves(there, chosen, tmp_path):
    """A newcomer gets the slow engine, or none, though the right Python is there."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to(shutil.which("sh"))
    for name, arguments in there.items():
        disguise(tmp_path / ("" if "/" in name else "bin") / name, *arguments)
    found = make("echo $(PYTHON);", tmp_path, PATH=str(tmp_path / "bin"), HOME=str(tmp_path))
    assert found.removeprefix(f"{tmp_path}/.pyenv/versions/") == f"{chosen}\n"


def test_the_python_that_is_named_is_taken(tmp_path):
    """Make looks for another one although the user has named it."""
    assert make("echo $(PYTHON);", tmp_path, PYTHON="python3.99") == "python3.99\n"


def environment(folder, package):
    """An environment as the Makefile looks for it, in which the package is the one named."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
    python.chmod(0o755)


def test_it_says_what_is_missed_without_the_engine(tmp_path):
    """Someone whose Python has no Halide is not told why it is slow, nor what to do."""
    package = Path(convlens.__file__).parent
    ignored = shutil.ignore_patterns("pipelines.*", "__pycache__")
    environment(tmp_path, shutil.copytree(package, tmp_path / "convlens", ignore=ignored))
    said = make("$(MISSED)", tmp_path)
    assert said.startswith("NOTE: the compiled engine is not here, so NumPy does all the work")
    assert "install CPython 3.11, 3.12 or 3.13 (not free-threaded), remove .venv" in said
    assert "run `make wheels` on another machine and install its wheel" in said


@built
def test_it_says_nothing_where_the_engine_is_there(tmp_path):
    """Everyone reads a note that is meant for few."""
    environment(tmp_path, Path(convlens.__file__).parent)
    assert make("$(MISSED)", tmp_path) == ""


def test_the_commands_say_it():
    """`make demo` or `make test` leaves the note out."""
    text = MAKEFILE.read_text(encoding="utf-8")
    rules = {part.partition(":")[0]: part for part in text.split("\n\n")}
    assert "\t@$(MISSED)\n" in rules["demo"]
    assert "\t@$(MISSED)\n" in rules["test"]
