"""The pool of threads by itself, in C, and how many threads the system allows."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from convlens.compiled.threads import quota, threads_of_environment

HERE = Path(__file__).parent
POOL = HERE.parent / "pipelines" / "runtime" / "pool.c"
COMPILER = shutil.which(os.environ.get("CC", "cc"))


@pytest.mark.skipif(COMPILER is None or os.name == "nt", reason="no C compiler, or not POSIX")
@pytest.mark.parametrize("checks", [(), ("-g", "-fsanitize=thread"), ("-g", "-fsanitize=address")])
def test_every_iteration_runs_once(checks, tmp_path):
    """Jobs lose iterations, or errors, or threads race, when several callers share the pool."""
    program = tmp_path / "pool"
    command = [COMPILER, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]
    compiled = subprocess.run(
        [*command, *checks, "-pthread", HERE / "pool.c", POOL, "-o", program],
        capture_output=True,
        text=True,
        check=False,
    )
    if checks and "cannot find" in compiled.stderr:
        pytest.skip(f"the compiler has no library for {checks[-1]}")
    assert compiled.returncode == 0, compiled.stderr
    options = {"TSAN_OPTIONS": "die_after_fork=0", "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        [program],
        env=os.environ | options,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("alike\n", "", 0)


GROUPS = "12:cpuset:/a\n4:cpu,cpuacct:/a/b\n1:name=systemd:/a\n0::/c/d\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, float("inf")),
        ({"c/d/cpu.max": "max 100000\n"}, float("inf")),
        ({"c/d/cpu.max": "150000 100000\n"}, 1.5),
        ({"c/cpu.max": "50000 100000\n", "c/d/cpu.max": "400000 100000\n"}, 0.5),
        ({"cpu.max": "300000 100000\n"}, 3),
        (
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "200000\n",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        ({"a/cpu.max": "100000 100000\n", "cpuset/a/cpu.max": "1 1\n"}, float("inf")),
    ],
)
def test_control_groups_limit_the_threads(files, expected, tmp_path):
    """A container with the time of two processors gets a thread for each of the machine's."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert quota(GROUPS, tmp_path) == expected


def test_no_more_threads_than_processors(monkeypatch):
    """Threads would wait for each other on the processors that the process may use."""
    monkeypatch.delenv("CONVLENS_THREADS", raising=False)
    available = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    assert 1 <= threads_of_environment() <= len(available)
