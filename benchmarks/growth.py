"""How time grows: with the batch, the image's side, the kernel's side and the pooling window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case
from contenders import Task, contenders
from race import check, race
from reference import reference

# Okabe and Ito's colours: people who confuse red and green can tell them apart. Markers help too.
STYLES: dict[str, dict[str, Any]] = {
    "convlens": {"color": "black", "marker": "o", "linewidth": 2.5, "zorder": 3},
    "PyTorch": {"color": "#D55E00", "marker": "s"},
    "ONNX Runtime": {"color": "#0072B2", "marker": "^"},
    "OpenCV": {"color": "#009E73", "marker": "D"},
    "SciPy": {"color": "#CC79A7", "marker": "v"},
    "JAX": {"color": "#E69F00", "marker": "X"},
}
Curves = dict[str, list[tuple[int, float]]]  # sizes and seconds, by library
LONGEST = 0.2  # seconds; who takes longer for a size is not timed on larger ones


def _convolution(images: tuple[int, ...], side: int) -> Case:
    return Case("", images, (side, side), 0, options={"padding": "same"})


def _window(side: int) -> Case:
    options = {"mode": "max", "stride": 1, "padding": "same"}
    return Case("", (1024, 1024), (side, side), 0, operation="pool", options=options)


PANELS: list[tuple[str, str, list[int], Callable[[int], Case]]] = [
    (
        "A batch of 28 x 28 images, 3x3 kernel",
        "images in the batch",
        [1, 10, 100, 1_000, 10_000],
        lambda m: _convolution((m, 28, 28), 3),
    ),
    (
        "One square image, 3x3 kernel",
        "the image's side, in pixels",
        [16, 64, 256, 1024, 4096],
        lambda side: _convolution((side, side), 3),
    ),
    (
        "A 512 x 512 image, square kernel",
        "the kernel's side",
        [1, 3, 5, 7, 11, 15, 23, 31],
        lambda side: _convolution((512, 512), side),
    ),
    (
        "A 1024 x 1024 image, largest of a square window",
        "the window's side",
        [3, 5, 9, 17, 33, 65],
        _window,
    ),
]


def measure(peers: dict[str, Any], *, quick: bool, progress: Callable[[str], None]) -> list[Curves]:
    """For each panel, and each library in it, sizes and seconds."""
    curves = []
    for title, _, sizes, make in PANELS:
        lines: Curves = {}
        running = set(STYLES)
        for size in sizes[:2] if quick else sizes:
            task = Task(make(size))
            installed = {name: peer for name, peer in peers.items() if name in running}
            known = [each for each in contenders(task, installed) if each.role != "trick"]
            results = check(known, reference(task))
            how: dict[str, Any] = {"budget": 0.1, "pause": 0} if quick else {"budget": 1}
            race(results, **how, outclassed=np.inf)
            for name in STYLES:
                own = [each for each in results if each.library == name]
                times = [each.seconds("into") for each in own if not each.fault]
                if times:
                    lines.setdefault(name, []).append((size, min(times)))
                    if min(times) > LONGEST:
                        running.discard(name)
        curves.append(lines)
        progress(f"growth: {title}")
    return curves


def draw(curves: list[Curves], path: Path) -> None:
    """Draw the four panels into a PNG file."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # not needed to time

    figure = Figure(figsize=(11, 8.5), layout="constrained")
    panels = figure.subplots(2, 2).flat
    for panel, (title, label, sizes, _), lines in zip(panels, PANELS, curves, strict=True):
        for name, points in lines.items():
            x, seconds = np.transpose(points)
            panel.loglog(x, 1e3 * seconds, label=name, markersize=6, **STYLES[name])
        panel.set_title(title, loc="left", fontsize=12)
        panel.set_xlabel(label)
        panel.set_ylabel("milliseconds")
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        panel.minorticks_off()
        panel.grid(color="#dddddd", linewidth=0.8)
        panel.spines[["top", "right"]].set_visible(False)
    names = {line.get_label(): line for panel in figure.axes for line in panel.get_lines()}
    order = [name for name in STYLES if name in names]
    figure.legend(
        [names[name] for name in order],
        order,
        loc="outside upper center",
        ncols=len(order),
        frameon=False,
        fontsize=12,
    )
    figure.savefig(path, dpi=120, facecolor="white", format="png")
