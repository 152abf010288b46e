"""Checks everyone's answer, then times those whose answer is right, in turns."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from statistics import median
from time import perf_counter, sleep
from typing import Any, Literal

from contenders import Contender, Role
from reference import Answer, fault

Column = Literal["into", "fresh"]
COLUMNS: tuple[Column, ...] = ("into", "fresh")

OUTCLASSED = 6  # who is so many times slower than the fastest peer is called a few times only
LONG = 3  # seconds; a call as long as this is not repeated to find out who runs
BRIEF = 0.05  # seconds that the brief calls of one turn may take together
# Seconds between turns, so that the threads of the last contender have gone to sleep: after a call
# PyTorch's were seen to spin for 8 ms and ONNX Runtime's for 36, which slows the next one down.
PAUSE = 0.05


@dataclass
class Result:
    """How one contender did.

    Attributes
    ----------
    name, role : str
        The contender's.
    calls : dict of str to callable
        The calls that are timed: "into" an existing array, and with "fresh" ones. They keep the
        arrays alive.
    fault : str
        Why it was not timed, or "".
    times : dict of str to list of float
        Seconds, by column.
    outclassed : bool
        Whether it was called just a few times, being far behind.
    """

    name: str
    role: Role
    calls: dict[Column, Callable[[], Any]]
    fault: str = ""
    times: dict[Column, list[float]] = field(default_factory=lambda: {"into": [], "fresh": []})
    outclassed: bool = False

    @property
    def library(self) -> str:
        """The name up to the comma."""
        return self.name.partition(",")[0]

    def seconds(self, column: Column) -> float:
        """The median of a column; who cannot write into an array is taken with fresh ones."""
        return median(self.times[column] or self.times["fresh"])


def check(contenders: Iterable[Contender], right: Answer) -> list[Result]:
    """Call everyone in both ways, and compare the results with the right answer."""
    results = []
    for contender in contenders:
        ways: dict[Column, Callable[[], Any] | None] = {
            "into": contender.into,
            "fresh": contender.fresh,
        }
        calls = {column: call for column, call in ways.items() if call}
        result = Result(contender.name, contender.role, calls)
        results.append(result)
        for column, call in calls.items():
            try:
                seconds, given = _timed(call)
                result.fault = fault(contender.answer(given), right)
            except Exception as error:  # noqa: BLE001  # whatever a peer raises, the others go on
                result.fault = f"{type(error).__name__}: {error}".splitlines()[0]
            if result.fault:
                break
            result.times[column] = [seconds]
    return results


def race(
    results: list[Result],
    budget: float,
    most: int = 25,
    outclassed: float = OUTCLASSED,
    pause: float = PAUSE,
) -> None:
    """Time everyone whose answer is right, for about `budget` seconds; then drop their arrays."""
    running = []
    for column in COLUMNS:
        right = [each for each in results if column in each.calls and not each.fault]
        for each in right:
            # The time of the check, which had to fetch new memory too.
            first = max(each.times[column], default=0)
            if first < LONG:
                repeats = 1 if first > 10 * BRIEF else 3
                each.times[column] = [_timed(each.calls[column])[0] for _ in range(repeats)]
        peers = [min(each.times[column]) for each in right if each.role == "peer"]
        for each in right:
            times = each.times[column]
            if each.role == "course" or min(times) <= outclassed * min(peers, default=inf):
                running.append((times, each.calls[column]))
            else:
                each.outclassed = True
    _take_turns(running, budget, most, pause)
    for each in results:
        each.calls.clear()


def _take_turns(
    running: list[tuple[list[float], Callable[[], Any]]], budget: float, most: int, pause: float
) -> None:
    """Time calls in turns, in another order each round; at least three rounds.

    In its turn a brief call is repeated, after one call that warms caches and threads.
    """
    turns, length = [], 0.0
    for times, call in running:
        repeats = max(1, min(5, round(BRIEF / min(times))))
        length += pause + min(times) * (repeats + (repeats > 1))
        turns.append((times, call, repeats))
        times.clear()  # these were only to find out who runs
    order = random.Random(0)
    gc.disable()
    for _ in range(max(3, min(most, round(budget / length)))) if running else ():
        order.shuffle(turns)
        for times, call, repeats in turns:
            sleep(pause)
            if repeats > 1:
                call()
            times += [_timed(call)[0] for _ in range(repeats)]
    gc.enable()


def _timed(call: Callable[..., Any]) -> tuple[float, Any]:
    """Seconds and the result, whose memory is given back later and not timed."""
    start = perf_counter()
    result = call()
    return perf_counter() - start, result
