"""One run of the benchmark: the machine's rates, the cases, new processes, files, and the page."""

from __future__ import annotations

import argparse
import re
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

import files
import growth
import processes
import report
from cases import CASES, Case
from contenders import Task, contenders, find_peers
from machine import bandwidth, facts, multiply_add_rate, one_thread
from race import check, race
from reference import reference

HERE = Path(__file__).parent


def main() -> None:
    """Measure what the command line asks for, and write or print the page."""
    options = _options()
    started = perf_counter()

    def progress(line: str) -> None:
        print(f"{perf_counter() - started:5.0f} s  {line}", flush=True)

    def chosen(name: str) -> bool:
        return re.search(options.only, name, re.IGNORECASE) is not None

    peers, missing = find_peers()
    progress(f"here: {', '.join(peers) or 'no peers'}; not here: {', '.join(missing) or 'none'}")
    size, side = (2**24, 256) if options.quick else (2**28, 2048)
    speed = bandwidth(size)
    rates = {dtype: multiply_add_rate(dtype, side) for dtype in ("float32", "float64")}
    facts = _facts(speed, rates, options.quick)
    progress(facts[-1])

    rows = []
    for case in filter(lambda case: chosen(case.name), CASES):
        row = _row(case, peers, speed, rates, options.quick)
        rows.append(row)
        progress(f"{case.name}: {_told(row)}")
    first_calls, programs = {}, {}
    if chosen("processes"):
        repeats = 1 if options.quick else 5
        first_calls = processes.first_calls(repeats)
        programs = processes.programs(set(peers), repeats)
        progress("processes")
    file_rows = []
    if chosen("files"):
        file_rows = files.measure(quick=options.quick, progress=progress)
    curves = []
    if chosen("growth"):
        curves = growth.measure(peers, quick=options.quick, progress=progress)

    text = report.text(rows, facts, missing, first_calls, programs, file_rows, growth=bool(curves))
    if options.output is None:
        print(f"\n{text}")
        return
    options.output.mkdir(parents=True, exist_ok=True)
    if curves:
        report.write_whole(options.output / "growth.png", lambda path: growth.draw(curves, path))
    report.write_part(options.output / "RESULTS.md", text)
    progress(f"wrote {options.output / 'RESULTS.md'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Time convlens next to what people use today, and write RESULTS.md.",
        epilog="With --quick or --only the page is printed, unless --output says where it goes.",
    )
    parser.add_argument("--quick", action="store_true", help="small images, few repeats: to try it")
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        default="",
        help="just the cases, and of 'processes', 'files' and 'growth' those, whose names have "
        "this in them",
    )
    parser.add_argument("--output", metavar="FOLDER", type=Path, help="where RESULTS.md goes")
    options = parser.parse_args()
    if options.output is None and not (options.quick or options.only):
        options.output = HERE
    return options


def _facts(speed: float, rates: dict[str, float], quick: bool) -> list[str]:
    """The lines of the page that name the machine, its rates and the versions."""
    return [
        "**A quick try on small images: the numbers mean nothing.**\n" if quick else "",
        *facts(),
        f"- memory {speed / 1e9:.1f} GB/s; multiply-adds "
        + ", ".join(f"{rate / 1e9:.1f} billion/s in {dtype}" for dtype, rate in rates.items()),
    ]


def _row(
    case: Case, peers: dict[str, Any], speed: float, rates: dict[str, float], quick: bool
) -> report.Row:
    """Check and time everyone on one case, and measure the memory of the two best."""
    task = Task(case.small() if quick else case)
    right, quickly = reference(task), {"budget": 0.05, "most": 3, "pause": 0}
    results = check(contenders(task, peers), right)
    race(results, **(quickly if quick else {"budget": 8}))
    row = report.Row(case, results, floor(task, speed, rates))
    scaled = {each.name for each in (row.ours, row.fastest("PyTorch")) if each}
    with one_thread():
        alone = check([each for each in contenders(task, peers) if each.name in scaled], right)
        race(alone, **(quickly if quick else {"budget": 2}))
    row.alone = {each.name: each.seconds("into") for each in alone if not each.fault}
    best = row.best("peer")
    for each in filter(None, (row.ours, best)):
        extra = processes.extra_bytes(case, each.name, small=quick)
        if extra is not None:
            row.extra[each.name] = extra
    return row


def floor(task: Task, speed: float, rates: dict[str, float]) -> float:
    """Seconds that the machine's rates of memory and of multiply-adds leave a task at the least."""
    plan, work = task.plan, task.plan.multiply_adds
    if task.case.operation == "pool":
        work = 0
    elif task.case.sigma:  # a pass along each axis
        work = work * sum(plan.window) // prod(plan.window)
    return max(plan.bytes_moved / speed, work / rates[task.real.name])


def _told(row: report.Row) -> str:
    """A row's result in one line, to show the progress."""
    wrong = [each.name for each in row.results if each.fault]
    ahead, best = row.ahead(), row.best("peer")
    text = "no peer" if ahead is None or best is None else f"{ahead:.3g}x ahead of {best.name}"
    return text + (f"; wrong: {', '.join(wrong)}" if wrong else "")


if __name__ == "__main__":
    main()
