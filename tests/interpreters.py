"""Other Pythons on this machine, each with an environment of its own that is made once.

The tests run on one Python with one NumPy. What must hold on others too is tried there by starting
their tests once more in such an environment.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Variables of the outer run that would change what the inner one imports or does.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV"))
}


def run(*command, **options):
    """Run a program to its end; its output and its errors, as one text."""
    return subprocess.run(
        [*map(str, command)],
        env=ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )


def is_python(path, version):
    """Whether this runs, is CPython of that version, and can make environments.

    Looking at the file's name is not enough: pyenv, for one, puts programs on the path that only
    say that no such version is chosen.
    """
    code = "import ensurepip, sys, venv; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        done = run(path, "-c", code)
    except OSError:
        return False
    return done.stdout.split() == ["cpython", *version.split(".")]


def find_python(version):
    """A Python of a version such as "3.9": the named one, or one on the path, or one of pyenv's.

    It is named by a variable such as PYTHON39. None is returned where there is none.
    """
    variable = f"PYTHON{version.replace('.', '')}"
    named = os.environ.get(variable)
    if named:
        assert is_python(named, version), f"{variable}={named} does not run as Python {version}"
        return named
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    theirs = sorted(pyenv.glob(f"versions/{version}*/bin/python3"))
    found = [sys.executable, shutil.which(f"python{version}"), *theirs]
    return next((each for each in found if each and is_python(each, version)), None)


def environment(folder, version, requirements):
    """The interpreter of an environment with these packages; None where there is no such Python.

    It is made only if `folder` does not hold it already, so the second run of the tests is quick.
    """
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(requirements)
    if stamp.exists() and stamp.read_text() == wanted and is_python(python, version):
        return python
    base = find_python(version)
    if base is None:
        return None
    done = run(base, "-m", "venv", "--clear", folder)
    assert done.returncode == 0, done.stdout
    install(python, *requirements)
    stamp.write_text(wanted)  # last, so that an environment half made is made again
    return python


def install(python, *arguments):
    """Have pip install into an environment."""
    quiet = "--quiet", "--disable-pip-version-check"
    done = run(python, "-m", "pip", "install", *quiet, *arguments)
    assert done.returncode == 0, done.stdout


def skip(version, what):
    """Skip a test that needs a Python that is not here, and say so where nobody overlooks it."""
    name = f"PYTHON{version.replace('.', '')}"
    pytest.skip(
        f"NOT RUN: there is no CPython {version} here, so {what}; install it, or say where it is: "
        f"{name}=/path/to/python{version} make test"
    )
