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
SMALL = (64, 64)  # where the call is most of the time
MODES = ("mirror", "constant", "nearest", "wrap")  # and "reflect", which the other rows have
DISK = np.hypot(*np.ogrid[-7:8, -7:8]) <= 7.5
BORDER = {"borderType": cv2.BORDER_REFLECT}
cv: Any = cv2  # whose annotations know no keywords in a dictionary
TURNS, TURN = 25, 0.004  # of calls on small arrays, and the seconds of one
Call = Callable[[Any], Any]
Call0 = Callable[[], Any]
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
LINE = np.array([1.0, 2, 0, 3, 1]) / 7

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
    yield from _sums(array)
    yield from _extremes(array)
    yield from _ranks(array)
    for mode in MODES:
        weights = _weights(array)
        for function, *args in (
            ("gaussian_filter", 2),
            ("uniform_filter", 5),
            ("maximum_filter", 5),
            ("sobel",),
            ("correlate", weights),
            ("median_filter", 3),
        ):
            label = " ".join(["3" if each is weights else str(each) for each in args] + [mode])
            yield Filter(function, tuple(args), {"mode": mode}, label=label)


def _weights(array: np.ndarray) -> np.ndarray:
    """Weights of three taps along each axis that are no product of lines."""
    weights = np.ones((3,) * array.ndim)
    weights.flat[0] = 5
    return weights


def _sums(array: np.ndarray) -> Iterator[Filter]:
    """Correlations, gaussians, means and edges. OpenCV's derivatives of bytes are clipped."""
    floats = array.dtype.kind == "f"
    for sigma in (1, 2, 5):
        side = 2 * int(4 * sigma + 0.5) + 1
        blur = partial(cv.GaussianBlur, ksize=(side, side), sigmaX=sigma, **BORDER)
        yield Filter("gaussian_filter", (sigma,), {}, blur)
    yield Filter("gaussian_filter1d", (2,), {})
    yield Filter("gaussian_gradient_magnitude", (2,), {})
    yield Filter("gaussian_laplace", (2,), {})
    edge = partial(cv.Sobel, ddepth=-1, dx=1, dy=0, ksize=3, **BORDER)
    yield Filter("sobel", (), {}, edge if floats else None)
    across, down = np.array([-1.0, 0, 1]), np.ones(3)
    edge = partial(cv.sepFilter2D, ddepth=-1, kernelX=across, kernelY=down, **BORDER)
    yield Filter("prewitt", (), {}, edge if floats else None)
    edge = partial(cv.Laplacian, ddepth=-1, ksize=1, **BORDER)
    yield Filter("laplace", (), {}, edge if floats else None)
    # Of SciPy's function or ours, whichever is timed.
    yield Filter("generic_laplace", ("prewitt",), {})
    yield Filter("generic_gradient_magnitude", ("sobel",), {})
    weights = _weights(array)
    by_weights = partial(cv.filter2D, ddepth=-1, kernel=weights, **BORDER)
    yield Filter("correlate", (weights,), {}, by_weights if floats else None, label="3")
    weights = np.arange(5.0**array.ndim).reshape((5,) * array.ndim)
    weights /= weights.sum()
    by_weights = partial(cv.filter2D, ddepth=-1, kernel=weights[::-1, ::-1], **BORDER)
    yield Filter("convolve", (weights,), {}, by_weights, label="5")
    one = np.ones(1)
    for x, y, function, axis in (
        (LINE, one, "correlate1d", -1),
        (one, LINE[::-1].copy(), "convolve1d", 0),
    ):
        by_line = partial(cv.sepFilter2D, ddepth=-1, kernelX=x, kernelY=y, **BORDER)
        yield Filter(function, (LINE,), {"axis": axis}, by_line, label=f"5, axis {axis}")
    for size in (3, 5, 15):
        yield Filter("uniform_filter", (size,), {}, partial(cv.blur, ksize=(size, size), **BORDER))
    yield Filter("uniform_filter1d", (5,), {}, partial(cv.blur, ksize=(5, 1), **BORDER))


def _extremes(array: np.ndarray) -> Iterator[Filter]:
    """The largest and smallest numbers, and what is made of them; booleans instead of bytes."""
    volume = array.ndim > 2
    box = np.ones((5, 5), np.uint8)
    for size in (3, 5, 15):
        wide = np.ones((size, size), np.uint8)
        yield Filter("maximum_filter", (size,), {}, partial(cv.dilate, kernel=wide, **BORDER))
    yield Filter("minimum_filter", (5,), {}, partial(cv.erode, kernel=box, **BORDER))
    yield Filter("maximum_filter1d", (5,), {}, partial(cv.dilate, kernel=box[:1], **BORDER))
    of_columns = partial(cv.erode, kernel=box[:, :1], **BORDER)
    yield Filter("minimum_filter1d", (5,), {"axis": 0}, None if volume else of_columns)
    yield Filter("grey_erosion", (5,), {}, partial(cv.erode, kernel=box, **BORDER))
    for function, number in (
        ("grey_opening", cv.MORPH_OPEN),
        ("grey_closing", cv.MORPH_CLOSE),
        ("morphological_gradient", cv.MORPH_GRADIENT),
        ("white_tophat", cv.MORPH_TOPHAT),
        ("black_tophat", cv.MORPH_BLACKHAT),
    ):
        yield Filter(function, (5,), {}, partial(cv.morphologyEx, op=number, kernel=box, **BORDER))
    yield Filter("morphological_laplace", (5,), {})
    ring = np.ones((5,) * array.ndim, bool)
    ring[(2,) * array.ndim] = False
    around = partial(cv.dilate, kernel=ring.astype(np.uint8), **BORDER)
    yield Filter("grey_dilation", (), {"footprint": ring}, around, "around a pixel of 5")
    if array.dtype.kind == "f":
        yield Filter("grey_dilation", (), {"structure": _weights(array)}, label="by heights of 3")
    if not volume:
        spread = partial(cv.dilate, kernel=DISK.astype(np.uint8), **BORDER)
        yield Filter("grey_dilation", (), {"footprint": DISK}, spread, "by a disk of 15")
    if array.dtype == np.float32:  # Binary filters are timed on booleans, beside the bytes.
        return
    empty = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0}
    for function, number in (
        ("binary_erosion", cv.MORPH_ERODE),
        ("binary_dilation", cv.MORPH_DILATE),
        ("binary_opening", cv.MORPH_OPEN),
        ("binary_closing", cv.MORPH_CLOSE),
    ):
        of_bytes = partial(cv.morphologyEx, op=number, kernel=CROSS, **empty)
        yield Filter(function, (), {}, of_bytes)
    thrice = partial(cv.dilate, kernel=CROSS, iterations=3, **empty)
    yield Filter("binary_dilation", (), {"iterations": 3}, thrice, "three times")


def _ranks(array: np.ndarray) -> Iterator[Filter]:
    """Medians and other ranks."""
    volume, byte = array.ndim > 2, array.dtype == np.uint8
    for size in (3, 5) if volume else (3, 5, 7, 15, 31) if byte else (3, 5, 7):
        # OpenCV repeats the pixels at the edge, as SciPy's "nearest" does.
        median_of = partial(cv.medianBlur, ksize=size) if size <= 5 or byte else None
        yield Filter("median_filter", (size,), {"mode": "nearest"}, median_of)
    yield Filter("rank_filter", (4, 3), {})
    yield Filter("percentile_filter", (20, 5), {})


def _calls(row: Filter, array: np.ndarray) -> dict[str, Call0]:
    """The row's calls, by whose they are; binary filters get booleans."""
    given = array > 127 if row.function.startswith("binary") else array

    def of(module: Any) -> Call0:
        args = row.args
        if row.function.startswith("generic"):  # They take functions, each its own module's.
            args = tuple(getattr(module, name) for name in args)
        return partial(getattr(module, row.function), given, *args, **row.options)

    calls = {"convlens": of(ndimage), "SciPy": of(scipy.ndimage)}
    if row.cv is not None and array.ndim == 2:
        calls["OpenCV"] = partial(row.cv, given.view(np.uint8) if given.dtype == bool else given)
    return calls


def _fault(row: Filter, name: str, answer: np.ndarray, right: np.ndarray) -> str:
    """What is wrong with an answer, if something is; SciPy's is the right one."""
    apart = np.abs(answer.astype(float) - right).max()
    if right.dtype.kind == "f":
        bound = 1e-4 * np.abs(right).max()
    else:
        bound = 3.0 * (name == "OpenCV" and not row.function.startswith("binary"))
    return f"off by {apart:g}" if apart > bound else ""


def _race(row: Filter, array: np.ndarray, budget: float) -> list[Result]:
    """Check and time a row."""
    calls = _calls(row, array)
    right, results = calls["SciPy"](), []
    for name, call in calls.items():
        result = Result(name, "ours" if name == "convlens" else "peer", {"fresh": call})
        began = perf_counter()
        answer = call()
        seconds = perf_counter() - began
        result.fault = _fault(row, name, answer, right)
        result.times["fresh"] = [seconds]
        results.append(result)
    short = [each for each in results if each.times["fresh"][0] < LONG]
    race(short, budget, most=9, outclassed=np.inf)
    return results


def _of_small(row: Filter, array: np.ndarray) -> tuple[dict[str, float], list[str]]:
    """The seconds of a call on a small array, in the median of many, and what is wrong."""
    calls = {name: call for name, call in _calls(row, array).items() if name != "OpenCV"}
    right = calls["SciPy"]()
    faults = [
        f"- {row.name(array)}: {name}: {fault}"
        for name, call in calls.items()
        if (fault := _fault(row, name, call(), right))
    ]
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            stop = perf_counter() + TURN
            while (began := perf_counter()) < stop:
                call()
                times[name].append(perf_counter() - began)
    return {name: median(each) for name, each in times.items()}, faults


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
    small, of_small, array = [], [], 255 * np.random.default_rng(0).random(SMALL)
    for row in rows(array):
        name = row.name(array)
        if re.search(options.only, name, re.IGNORECASE):
            calls, wrong = _of_small(row, array)
            faults += wrong
            of_small.append(calls["SciPy"] / calls["convlens"])
            small.append((name, f"{1e6 * calls['convlens']:.1f}", ratio(of_small[-1])))
            print(f"{perf_counter() - started:5.0f} s  {' | '.join(small[-1])}", flush=True)
    parts = [
        "# How fast, filter by filter\n",
        "Made by `make bench-filters`.\n",
        *facts(),
        "",
        ABOUT,
    ]
    if ahead:
        parts.append(
            f"**Ahead of SciPy over {len(ahead)} rows: {ratio(median(ahead))} in the median, "
            f"{ratio(min(ahead))} at the least.**\n"
        )
        head = ("filter", "convlens, ms", "ahead of SciPy", "ahead of OpenCV")
        parts.append(markdown(head, lines))
    if of_small:
        parts.append(
            "\n**On small arrays, where the call is most of the time: "
            f"{ratio(median(of_small))} in the median of {len(of_small)} rows, "
            f"{ratio(min(of_small))} at the least.**\n"
        )
        parts.append(markdown(("filter", "convlens, \u00b5s", "ahead of SciPy"), small))
    parts += faults
    text = "\n".join(parts).rstrip() + "\n"
    if options.only or options.side:
        print(f"\n{text}")
        return
    write_part(HERE / "RESULTS.md", text)
