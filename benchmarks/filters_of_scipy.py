"""The race of SciPy's filters: convlens, SciPy and OpenCV, and the page that tells of it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import cv2
import numpy as np
import scipy.ndimage
from machine import THREADS, facts
from race import LONG, Result, race
from report import markdown, milliseconds, ratio, write_part

import convlens
from convlens import ndimage

HERE = Path(__file__).parent
SHAPES = ((2048, 2048), (128, 256, 256))
DISK = np.hypot(*np.ogrid[-7:8, -7:8]) <= 7.5
BORDER = {"borderType": cv2.BORDER_REFLECT}
cv: Any = cv2  # whose annotations know no keywords in a dictionary
Call = Callable[[Any], Any]

ABOUT = f"""\
Each filter gives the answer of `scipy.ndimage`, which is checked first: integers to the bit, floats
to 1e-4 of the largest. *Ahead* is a peer's time over that of convlens, both medians of calls in
turns, each with a new output; calls that take over {LONG} seconds are made once. convlens and
OpenCV run on {THREADS} threads; SciPy has none. OpenCV has filters of images alone, and not all of
these. Its sums of integers are rounded where SciPy cuts them off, so it may be off by 3.
"""


class Filter(NamedTuple):
    """A row, but for the array: a function with its arguments, and OpenCV's call for an image."""

    function: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    cv: Call | None = None
    label: str = ""

    def name(self, array: np.ndarray) -> str:
        """What the page calls it on this array."""
        words = [self.function, self.label or " ".join(map(str, self.args))]
        sizes = " x ".join(map(str, array.shape))
        return f"{' '.join(filter(None, words))}, {sizes} {array.dtype}"


def rows(array: np.ndarray) -> Iterator[Filter]:
    """The filters of the page, in usual sizes, on an image or a volume."""
    volume, byte = array.ndim > 2, array.dtype == np.uint8
    for sigma in (1, 2, 5):
        side = 2 * int(4 * sigma + 0.5) + 1
        blur = partial(cv.GaussianBlur, ksize=(side, side), sigmaX=sigma, **BORDER)
        yield Filter("gaussian_filter", (sigma,), {}, blur)
    yield Filter("gaussian_gradient_magnitude", (2,), {})
    yield Filter("gaussian_laplace", (2,), {})
    yield Filter("sobel", (), {})
    yield Filter("laplace", (), {})
    weights = np.ones((3,) * array.ndim)
    weights.flat[0] = 5  # so that it is no product of lines
    yield Filter("correlate", (weights,), {}, label="3")
    for size in (3, 5, 15):
        box = np.ones((size, size), np.uint8)
        yield Filter("uniform_filter", (size,), {}, partial(cv.blur, ksize=(size, size), **BORDER))
        yield Filter("maximum_filter", (size,), {}, partial(cv.dilate, kernel=box, **BORDER))
    if not volume:
        spread = partial(cv.dilate, kernel=DISK.astype(np.uint8), **BORDER)
        yield Filter("grey_dilation", (), {"footprint": DISK}, spread, "by a disk of 15")
    for size in (3, 5) if volume else (3, 5, 7, 15, 31) if byte else (3, 5, 7):
        # OpenCV repeats the pixels at the edge, as SciPy's "nearest" does.
        median_of = partial(cv.medianBlur, ksize=size) if size <= 5 or byte else None
        yield Filter("median_filter", (size,), {"mode": "nearest"}, median_of)


def _race(row: Filter, array: np.ndarray, budget: float) -> list[Result]:
    """Check and time a row; SciPy's answer is the right one."""

    def of(module: Any) -> Callable[[], Any]:
        return lambda: getattr(module, row.function)(array, *row.args, **row.options)

    right = of(scipy.ndimage)()
    calls = {"convlens": of(ndimage), "SciPy": of(scipy.ndimage)}
    if row.cv is not None and array.ndim == 2:
        calls["OpenCV"] = partial(row.cv, array)
    results = []
    for name, call in calls.items():
        result = Result(name, "ours" if name == "convlens" else "peer", {"fresh": call})
        began = perf_counter()
        answer = call()
        seconds = perf_counter() - began
        apart = np.abs(answer.astype(float) - right).max()
        bound = 3.0 * (name == "OpenCV") if array.dtype.kind in "iu" else 1e-4 * np.abs(right).max()
        result.fault = f"off by {apart:g}" if apart > bound else ""
        result.times["fresh"] = [seconds]
        results.append(result)
    short = [each for each in results if each.times["fresh"][0] < LONG]
    race(short, budget, most=9, outclassed=np.inf)
    return results


def main() -> None:
    """Race the filters that the command line asks for, and write or print the page."""
    parser = argparse.ArgumentParser(
        description="Time SciPy's filters; write a part of RESULTS.md."
    )
    parser.add_argument("--only", metavar="PATTERN", default="", help="just these, and print them")
    parser.add_argument("--budget", metavar="SECONDS", type=float, default=1, help="for each row")
    parser.add_argument("--side", type=int, help="of small arrays instead, for a quick try")
    options = parser.parse_args()
    started = perf_counter()
    convlens.set_threads(THREADS)
    cv2.setNumThreads(THREADS)
    lines, ahead, faults = [], [], []
    for full in SHAPES:
        shape = (options.side,) * len(full) if options.side else full
        for dtype in (np.float32, np.uint8):
            array = (255 * np.random.default_rng(0).random(shape)).astype(dtype)
            for row in rows(array):
                name = row.name(array)
                if not re.search(options.only, name, re.IGNORECASE):
                    continue
                ours, *peers = _race(row, array, options.budget)
                faults += [
                    f"- {name}: {each.name}: {each.fault}" for each in (ours, *peers) if each.fault
                ]
                seconds = {each.name: each.seconds("fresh") for each in peers if not each.fault}
                factors = {n: each / ours.seconds("fresh") for n, each in seconds.items()}
                ahead.append(factors["SciPy"])
                shown = [ratio(factors.get(peer)) for peer in ("SciPy", "OpenCV")]
                lines.append((name, milliseconds(ours.seconds("fresh")), *shown))
                print(f"{perf_counter() - started:5.0f} s  {' | '.join(lines[-1])}", flush=True)
    parts = [
        "# How fast, filter by filter\n",
        "Made by `make bench-filters`.\n",
        *facts(),
        "",
        ABOUT,
    ]
    parts.append(
        f"**Ahead of SciPy over {len(ahead)} rows: {ratio(median(ahead))} in the median, "
        f"{ratio(min(ahead))} at the least.**\n"
    )
    head = ("filter", "convlens, ms", "ahead of SciPy", "ahead of OpenCV")
    parts += [markdown(head, lines), *faults]
    text = "\n".join(parts).rstrip() + "\n"
    if options.only or options.side:
        print(f"\n{text}")
        return
    write_part(HERE / "RESULTS.md", text)
