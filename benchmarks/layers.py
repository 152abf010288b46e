"""The race of single layers: convlens, PyTorch and ONNX Runtime, and the page that tells of it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from math import exp, log
from pathlib import Path
from statistics import mean
from time import perf_counter

from benchmark import floor
from contenders import Task, contenders, find_peers
from machine import bandwidth, facts, multiply_add_rate
from networks import NETWORKS, cases
from race import check, race
from reference import reference
from report import Row, markdown, milliseconds, ratio, write_whole

HERE = Path(__file__).parent
LEAST = 0.9  # what no layer should be under: the best peer's time over ours
WORST = 10  # how many of the slowest layers the page lists for each network
# Those that networks run on: both get images and kernels as they keep them.
PEERS = {"PyTorch": "PyTorch, channels-last", "ONNX Runtime": "ONNX Runtime"}

ABOUT = """\
Every convolution and pooling of these networks that differs from the others, alone, in float32, on
two threads. *Ahead* is the time of the best peer over that of convlens: above 1x convlens is
faster. The peers are PyTorch with the layout channels-last, and ONNX Runtime with its own. Times
are medians, into an array made before where a peer can do that. ONNX Runtime has seen the kernels
when its model was loaded, and keeps them in the order that suits it; the others get them at each
call.
"""


def main() -> None:
    """Race the layers that the command line asks for, and write or print the page."""
    options = _options()
    started = perf_counter()
    peers, missing = find_peers(PEERS)
    speed, rates = bandwidth(2**28), {"float32": multiply_add_rate("float32", 2048)}
    rows: dict[tuple[str, int], list[Row]] = {}
    for (network, batch), layers in cases().items():
        chosen = [each for each in layers if re.search(options.only, each.name, re.IGNORECASE)]
        for case in chosen:
            task = Task(case)
            everyone = contenders(task, peers)
            results = check(
                [each for each in everyone if each.role == "ours" or each.name in PEERS.values()],
                reference(task),
            )
            race(results, budget=options.budget, most=9)
            row = Row(case, results, floor(task, speed, rates))
            rows.setdefault((network, batch), []).append(row)
            taken = perf_counter() - started
            print(f"{taken:5.0f} s  {case.name}: {ratio(row.ahead())}", flush=True)
    text = _page(rows, missing)
    if options.only:
        print(f"\n{text}")
        return
    write_whole(HERE / "LAYERS.md", lambda path: path.write_text(text, encoding="utf-8"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Time the layers of networks, and write LAYERS.md."
    )
    parser.add_argument("--only", metavar="PATTERN", default="", help="just these, and print them")
    parser.add_argument(
        "--budget", metavar="SECONDS", type=float, default=1.5, help="for the turns of a layer"
    )
    return parser.parse_args()


def geometric_mean(values: Sequence[float]) -> float:
    """The n-th root of the product of n numbers."""
    return exp(mean(map(log, values)))


def _page(rows: dict[tuple[str, int], list[Row]], missing: list[str]) -> str:
    ahead = {
        key: [value for value in (row.ahead() for row in some) if value is not None]
        for key, some in rows.items()
    }
    everything = [value for values in ahead.values() for value in values]
    below = sum(value < LEAST for value in everything)
    parts = ["# How fast, layer by layer\n", "Made by `make bench-layers`.\n", *facts(), "", ABOUT]
    if missing:
        parts.append(f"Not installed, so left out: {', '.join(missing)}.\n")
    if everything:
        parts.append(
            f"**Geometric mean over {len(everything)} layers: {geometric_mean(everything):.2f}x of "
            f"the best peer; {below} are under {LEAST}x.**\n"
        )
    lines = [
        (
            network,
            str(batch),
            str(len(values)),
            f"{geometric_mean(values):.2f}x",
            ratio(min(values)),
            str(sum(value < LEAST for value in values)),
        )
        for (network, batch), values in ahead.items()
        if values
    ]
    head = ("network", "batch", "layers", "geometric mean", "worst", f"under {LEAST}x")
    parts.append(markdown(head, lines))
    parts += [f"- {name}: {network.source}" for name, network in NETWORKS.items()]
    for title, worst in (("The slowest layers", True), ("Every layer", False)):
        parts.append(f"\n## {title}\n")
        parts.append(_table(rows, worst=worst))
    faults = [
        f"- {row.case.name}: {each.name}: {each.fault}"
        for some in rows.values()
        for row in some
        for each in row.results
        if each.fault
    ]
    return "\n".join([*parts, *faults]).rstrip() + "\n"


def _table(rows: dict[tuple[str, int], list[Row]], *, worst: bool) -> str:
    lines = []
    for some in rows.values():
        layers = [(value, row) for row in some if (value := row.ahead()) is not None]
        if worst:
            layers = sorted(layers, key=lambda each: each[0])[:WORST]
            layers = [each for each in layers if each[0] < LEAST]
        for value, row in layers:
            best = row.best("peer")
            assert best is not None
            lines.append(
                (
                    row.case.name,
                    ratio(value),
                    milliseconds(row.ours.seconds("into")),
                    f"{milliseconds(best.seconds('into'))} {best.library}",
                    f"{row.of_floor:.0%}",
                )
            )
    return markdown(("layer", "ahead", "convlens, ms", "best peer, ms", "of the floor"), lines)
