"""The oldest and the newest Python and NumPy that are declared: the wheel's results on them.

Whoever installs convlens may have any of these, while the other tests run on one Python with one
NumPy. So the tests of meaning and of promises run once more, on the wheel, in small environments of
their own (build/edges); those that are slow and depend least on NumPy are left out.
"""

import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from interpreters import ROOT, environment, install, run, skip
from test_build import build_wheel

EDGES = ROOT / "build" / "edges"
TESTS = [
    *(f"tests/test_{name}.py" for name in ("convolve", "pool", "promises")),
    "tests/test_invariance.py::test_random_calls",
    "tests/test_invariance.py::test_layouts_of_a_convolution",
    "tests/test_invariance.py::test_layouts_of_a_pooling",
    *("-k", "not test_sizes and not test_large"),
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


class Edge(NamedTuple):
    """A Python, and whether the oldest or the newest versions of packages are installed."""

    python: str
    oldest: bool = False

    def __str__(self):
        return f"{self.python}-{'oldest' if self.oldest else 'newest'}"


def requirements(edge):
    """NumPy and what the tests import, as pyproject.toml has them: their bounds, or the oldest."""
    extra = PROJECT["optional-dependencies"]["test"]
    tools = [each for each in extra if re.match(r"(pytest|hypothesis)>", each)]
    wanted = [*PROJECT["dependencies"], *tools]
    return [each.replace(">=", "==") for each in wanted] if edge.oldest else wanted


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel for this machine; it takes the library of this checkout, if that is up to date."""
    wheels, said = build_wheel(tmp_path_factory.mktemp("wheel"))
    assert len(wheels) == 1, said
    return wheels[0]


def attempt(edge, wheel):
    """What `show_config` and the tests print there; None where there is no such Python."""
    python = environment(EDGES / str(edge), edge.python, requirements(edge))
    if python is None:
        return None
    install(python, "--no-deps", "--no-index", "--force-reinstall", wheel)
    shown = run(python, "-c", "import convlens; convlens.show_config()")
    options = "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml"
    return shown, run(python, "-m", "pytest", *options, *TESTS, cwd=ROOT, timeout=1200)


@pytest.fixture(scope="module")
def attempts(wheel):
    """All of them, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        yield {edge: pool.submit(attempt, edge, wheel) for edge in ALL}


ALL = [Edge("3.11", oldest=True), Edge("3.12"), Edge("3.13")]


@pytest.mark.parametrize("edge", ALL, ids=str)
def test_an_edge(edge, attempts, wheel):
    """Results there are wrong, or NumPy warns, or the wheel does not work."""
    outcome = attempts[edge].result()
    if outcome is None:
        skip(edge.python, "the wheel was not tested on it")
    shown, tests = outcome
    assert shown.returncode == 0, shown.stdout
    lines = dict(re.split("  +", line, maxsplit=1) for line in shown.stdout.splitlines())
    assert lines["Python"].startswith(f"{edge.python}.")
    compiled = "none-any" not in wheel.name
    assert lines["compiled"].startswith("for " if compiled else "no: ")
    if compiled:  # from the wheel, and not from this checkout
        assert Path(lines["library"]).is_relative_to(EDGES)
    assert tests.returncode == 0, tests.stdout
    assert int(re.search(r"(\d+) passed", tests.stdout)[1]) > 1000, tests.stdout


def test_the_oldest_versions_are_those_declared():
    """An edge that is called the oldest takes anything newer than pyproject.toml allows."""
    assert requirements(ALL[0])[0] == PROJECT["dependencies"][0].replace(">=", "==")
    assert PROJECT["requires-python"] == f">={ALL[0].python}"
    assert all(re.fullmatch(r"[a-z]+==[\d.]+", each) for each in requirements(ALL[0]))
    assert len(requirements(ALL[0])) == 3
