"""On how many threads pipelines run, and what keeps them apart from forks."""

from __future__ import annotations

import ctypes
import operator
import os
from collections.abc import Sequence
from functools import partial
from itertools import chain, starmap
from math import ceil, inf
from threading import get_ident
from time import sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

THREADS = "CONVLENS_THREADS"  # the name of an environment variable
MOST_THREADS = 256  # the limit of the pool


def threads_of_environment() -> int:
    """Count the threads that the environment asks for, else the processors for this process."""
    asked = os.environ.get(THREADS)
    if not asked:
        return min(_processors(), MOST_THREADS)
    if not asked.isdecimal() or not 1 <= int(asked) <= MOST_THREADS:
        raise ValueError(
            f"the environment variable {THREADS} must be a number of threads, 1 to {MOST_THREADS}; "
            f"got {asked!r}"
        )
    return int(asked)


def _processors() -> int:
    """How many processors this process may run on, or has the time of."""
    from pathlib import Path  # noqa: PLC0415  # which is slow to import, and not needed before

    mine = getattr(os, "sched_getaffinity", None)  # which not every system has
    count = len(mine(0)) if mine else os.cpu_count() or 1
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:  # not on Linux
        return count
    return ceil(min(count, max(1, quota(groups, Path("/sys/fs/cgroup")))))


def quota(groups: str, root: Path) -> float:
    """How many processors' time the control groups of a process allow it, or inf.

    Parameters
    ----------
    groups : str
        The content of /proc/self/cgroup.
    root : Path
        The folder where the control groups are mounted.
    """
    allowed = inf
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = root / controllers  # version 2 of control groups names no controllers
        group = mounted / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(mounted):
                allowed = min(allowed, _quota_of(folder))
    return allowed


def _quota_of(folder: Path) -> float:
    """The quota that one control group sets."""
    try:
        if (folder / "cpu.max").exists():
            time, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            time, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8").strip()
                for name in ("quota", "period")
            )
    except OSError:  # a group outside of the container, or one without a quota
        return inf
    return inf if time in ("max", "-1") else int(time) / int(period)


_call: Any = operator.call  # its own annotations exclude calls of different functions


class Running:
    """Which threads run pipelines and which fork, so that nothing runs at the moment of a fork.

    A forked process has one thread, and all memory as it was. If the pool's threads, or another
    thread's pipeline, were at work at that moment, then the new process would inherit locks that
    nobody opens again. So a fork waits for the pipelines of other threads, and other threads' calls
    wait for a fork.

    Signal handlers make this delicate. A handler runs in the main thread between any two bytecodes.
    There it may raise an exception, as that of Ctrl-C does, or it may call `fork` or a pipeline.
    But it never runs inside C code that neither waits for a lock nor calls Python. So two rules
    keep the state true at all times:

    * Each change of state is made in C code, in the same call as the thing it stands for. Only one
      call notes the thread, runs the pipeline and removes the note; so they happen together or not
      at all.
    * There is no lock. A thread that must wait looks again and again, and holds nothing meanwhile.
      No thread waits for itself.
    """

    def __init__(self) -> None:
        # One entry for each pipeline that runs, and for each fork between its hooks.
        self._running: list[int] = []
        self._forking: list[int] = []
        self._steps: tuple[Any, ...] = (self._running.append, next, self._running.remove)
        # These two are C code throughout: iter calls get_ident, and map passes on what it returns.
        self.begin_fork = partial(next, map(self._forking.append, iter(get_ident, None)))
        self.end_fork = partial(next, map(self._forking.remove, iter(get_ident, None)))

    def call(self, function: Any, arguments: Sequence[Any]) -> int:
        """Call a function of the library, as soon as no other thread forks."""
        me = get_ident()
        first: Any
        while True:
            # The first item of `turn` is another thread that forks. If there is none, it is a tuple
            # of what the function returns, which is not called before the item is asked for.
            turn = chain(filter(me.__ne__, self._forking), zip(starmap(function, [arguments])))
            try:
                # This one call notes the thread, takes its turn and removes the note. A fork too is
                # noted before it looks for pipelines. So if both begin at the same time, then at
                # least one of them sees the other.
                _, first, _ = list(map(_call, self._steps, (me, turn, me)))
            except ctypes.ArgumentError:  # which the function raises before it begins
                self._running.remove(me)
                raise
            if isinstance(first, tuple):
                code: int = first[0]
                return code
            sleep(1e-4)

    def may_fork(self) -> bool:
        """Whether this thread's fork is the next one, and no other thread runs a pipeline."""
        me = get_ident()
        return self._forking[:1] in ([], [me]) and set(self._running.copy()) <= {me}

    def forget_others(self) -> None:
        """Drop the entries of all other threads, which do not exist in a forked process."""
        me = get_ident()
        for threads in (self._running, self._forking):
            threads[:] = [thread for thread in threads if thread == me]


# There is one for the whole process, since the pool's threads are shared too.
RUNNING = Running()
