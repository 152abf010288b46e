"""The tests of the course files once more, on the Python and NumPy that the brief names."""

import re
import tomllib

import pytest
from interpreters import ROOT, environment, run, skip

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def python39():
    """Python 3.9 with NumPy 1.25.2 in an environment of its own: .venv39."""
    python = environment(ROOT / ".venv39", "3.9", PYPROJECT["dependency-groups"]["course39"])
    if python is None:
        skip("3.9", "the course files were not tested on the Python of the brief")
    return python


def test_the_course_files_on_python_39(python39):
    """A test of the course files fails or warns there, or many are left out."""
    code = "import numpy, platform, pytest, sys; "
    code += "print('ran on', platform.python_version(), numpy.__version__); "
    code += "sys.exit(pytest.main(sys.argv[1:]))"
    # The options in pyproject.toml are for newer versions of pytest, so they are replaced here.
    options = ["-o", "addopts=", "-W", "error", "-p", "no:cacheprovider", "-ra", "-q"]
    options += ["--strict-markers", "--confcutdir", "tests/course"]
    done = run(python39, "-c", code, *options, "tests/course", cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stdout
    assert re.match(r"ran on 3\.9\.\d+ 1\.25\.2\n", done.stdout), done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 550, done.stdout
    # Only the tests of what makes the data may be skipped: its packages need a newer Python.
    skipped = re.findall(r"^SKIPPED.*", done.stdout, re.MULTILINE)
    assert all("mlxtend" in line or "git" in line for line in skipped), done.stdout
