"""`set_threads`, `show_config`, the environment variables, and a library that is not there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strategies import built

import convlens
from convlens.compiled.library import LEVEL, load
from convlens.compiled.threads import THREADS

PACKAGE = Path(convlens.__file__).parent


def run(code, *, path=PACKAGE.parent, **environment):
    """What a fresh interpreter prints for this code, or the last line of its error."""
    clean = {name: text for name, text in os.environ.items() if name not in (LEVEL, THREADS)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environment | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout if done.returncode == 0 else done.stderr.strip().split("\n")[-1]


@pytest.fixture
def threads():
    """Set the number of threads back after the test."""
    library = load()
    before = None if isinstance(library, str) else library.threads
    yield
    if before is not None:
        convlens.set_threads(before)


# -------------------------------------------------------------------------------- threads


@built
@pytest.mark.usefixtures("threads")
def test_set_threads_gives_the_number_before():
    """A caller cannot set the number back, because another one is returned."""
    convlens.set_threads(3)
    assert convlens.set_threads(np.int8(1)) == 3
    assert convlens.set_threads(256) == 1
    assert load().threads == 256


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("count", "error", "words"),
    [
        (0, ValueError, "count must be 1 to 256; got 0"),
        (-2, ValueError, "count must be 1 to 256; got -2"),
        (257, ValueError, "count must be 1 to 256; got 257"),
        (10**20, ValueError, f"count must be 1 to 256; got {10**20}"),
        (2.0, TypeError, "count must be an integer; got 2.0"),
        (True, TypeError, "count must be an integer; got True"),
        ("2", TypeError, "count must be an integer; got '2'"),
        (None, TypeError, "count must be an integer; got None"),
    ],
)
def test_set_threads_refuses(count, error, words):
    """A wrong count is taken, changes the number, or is refused in unclear words."""
    before = convlens.set_threads(1)
    with pytest.raises(error, match=rf"^set_threads: {re.escape(words)}$"):
        convlens.set_threads(count)
    assert convlens.set_threads(before) == 1


NUMBER = "import convlens; print(convlens.set_threads(1))"


@built
def test_threads_at_first():
    """The environment's number is ignored, or one that the process may not use is taken."""
    assert run(NUMBER, CONVLENS_THREADS="7") == "7\n"
    assert run(NUMBER, CONVLENS_THREADS="") == run(NUMBER)
    if hasattr(os, "sched_setaffinity"):
        one = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
        assert run(one + NUMBER) == "1\n"
        assert run(NUMBER) == f"{len(os.sched_getaffinity(0))}\n"


@built
@pytest.mark.parametrize("text", ["0", "257", "-1", "two", "1.5", " ", "²"])
def test_threads_that_are_no_number(text):
    """A wrong CONVLENS_THREADS is ignored, or refused without its name and what it takes."""
    words = "must be a number of threads, 1 to 256"
    assert run(NUMBER, CONVLENS_THREADS=text) == (
        f"ValueError: the environment variable CONVLENS_THREADS {words}; got {text!r}"
    )


# --------------------------------------------------------------------------------- levels

SHOW = "import convlens; convlens.show_config()"
REASON = "import convlens; print(convlens.plan_pool((50, 50), 2).reason)"


@built
def test_each_level_can_be_asked_for():
    """CONVLENS_LEVEL is ignored, or without it something else than the best is taken."""
    levels = load().levels
    for level in levels:
        assert run(REASON, CONVLENS_LEVEL=level).startswith(f"for {level}, ")
    assert run(REASON).startswith(f"for {levels[0]}, ")
    assert run(REASON, CONVLENS_LEVEL="").startswith(f"for {levels[0]}, ")


@built
@pytest.mark.parametrize("level", ["avx1024", "AVX2", "riscv"])
def test_levels_that_this_machine_has_not(level):
    """A level that does not run here is taken, or refused without naming those that do."""
    names = ", ".join(map(repr, load().levels))
    assert run(SHOW, CONVLENS_LEVEL=level) == (
        "ValueError: the environment variable CONVLENS_LEVEL must be one of "
        f"{names}, which this machine can run; got {level!r}"
    )


# ----------------------------------------------------------------------------- show_config


def test_show_config(capsys):
    """A line is missing, or tells something that is not so."""
    convlens.show_config()
    lines = dict(re.split("  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["convlens"] == convlens.__version__
    assert lines["NumPy"] == np.__version__
    assert lines["Python"].startswith(f"{sys.version.split()[0]} on ")
    library = load()
    if isinstance(library, str):
        assert lines["compiled"] == f"no: {library}"
        assert "threads" not in lines
        return
    assert lines["compiled"] == (
        f"for {library.level}, of {', '.join(library.levels)}; Halide {library.halide}"
    )
    assert Path(lines["library"]).parent == PACKAGE / "compiled"
    assert lines["threads"] == str(library.threads)


@built
def test_show_config_shows_the_environment():
    """What the environment asks for is not shown beside what is used."""
    level = load().levels[-1]
    lines = run(SHOW, CONVLENS_LEVEL=level, CONVLENS_THREADS="3").splitlines()
    assert f"CONVLENS_LEVEL    {level}" in lines
    assert "CONVLENS_THREADS  3" in lines
    assert "threads           3" in lines
    assert any(line.startswith(f"compiled          for {level}, of ") for line in lines)
    assert "CONVLENS" not in run(SHOW)


# ---------------------------------------------------------------- a library that is not there


def no_library(folder):
    """Delete the library and its list, as if the package had been built without Halide."""
    for path in folder.glob("pipelines.*"):
        path.unlink()
    return "convlens was built without it"


def empty(folder):
    """Leave an empty file, as a full disk does."""
    for path in folder.glob("pipelines.*"):
        if path.suffix != ".json":
            path.write_bytes(b"")
    return r"pipelines\.\w+ cannot be loaded: .+"


def truncated(folder):
    """Leave half of the library, as a broken download does."""
    for path in folder.glob("pipelines.*"):
        if path.suffix != ".json":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return r"pipelines\.\w+ cannot be loaded: .+"


def for_another_machine(folder):
    """Put something else there, as an environment copied from another machine has it."""
    for path in folder.glob("pipelines.*"):
        if path.suffix != ".json":
            path.write_bytes(b"\x00" * 10_000)
    return r"pipelines\.\w+ cannot be loaded: .+"


def no_list(folder):
    """Delete the list, as somebody who tidies up might."""
    (folder / "pipelines.json").unlink()
    return r"pipelines\.\w+ cannot be loaded: .+pipelines\.json.+"


WITHOUT = """
import numpy as np, convlens
plan = convlens.plan_convolve((5, 6), (3, 3))
print(plan.method)
print(plan.reason)
try:
    convlens.pool(np.ones((5, 6)), 2, method="compiled")
except ValueError as error:
    print(error)
print(convlens.convolve(np.ones((5, 6)), np.ones((3, 3)))[1, 1])
print(convlens.pool(np.ones((5, 6)), 2, mode="sum")[0, 0])
print(convlens.set_threads(7), convlens.set_threads(2))
convlens.show_config()
"""


@pytest.mark.parametrize(
    "broken",
    [
        no_library,
        *(
            pytest.param(each, marks=built)
            for each in (empty, truncated, for_another_machine, no_list)
        ),
    ],
    ids=lambda broken: broken.__name__,
)
def test_without_the_library(broken, tmp_path):
    """Importing or calling fails, or plans do not say why NumPy does the work."""
    copy = shutil.copytree(PACKAGE, tmp_path / "convlens", ignore=shutil.ignore_patterns("__py*"))
    why = broken(copy / "compiled")
    printed = run(WITHOUT, path=tmp_path)
    lines = printed.splitlines()
    assert len(lines) == 10, printed
    assert lines[0] == "numpy"
    reason = "which takes every type; the compiled engine would be faster, but "
    assert re.fullmatch(re.escape(reason) + why, lines[1])
    refusal = "pool: method='compiled' needs the compiled engine, but "
    assert re.fullmatch(re.escape(refusal) + why, lines[2])
    assert lines[3:6] == ["9.0", "4.0", "1 1"]
    assert re.fullmatch(f"compiled  no: {why}", lines[9])
