"""The machine: its description, its best rates, and the two threads that everyone gets."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

THREADS = 2
PACKAGES = {  # the packages that are compared, by the names that pip has for them
    "convlens": "convlens",
    "NumPy": "numpy",
    "PyTorch": "torch",
    "ONNX Runtime": "onnxruntime",
    "OpenCV": "opencv-python-headless",
    "SciPy": "scipy",
    "JAX": "jax",
    "autograd": "autograd",
    "PyLops": "pylops",
}


def limit_threads() -> None:
    """Give this process, and those it starts, two processors; call it before importing NumPy."""
    names = ("OMP", "OPENBLAS", "MKL")
    os.environ.update({f"{name}_NUM_THREADS": str(THREADS) for name in names})
    os.environ["NPROC"] = str(THREADS)  # XLA, and so JAX, takes its number of threads from this
    os.environ["JAX_PLATFORMS"] = "cpu"
    if hasattr(os, "sched_setaffinity"):  # so that nobody can use more than two, or count them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


@contextmanager
def one_thread() -> Iterator[None]:
    """Have convlens compute on one thread meanwhile, and PyTorch, if it is here."""
    import convlens  # noqa: PLC0415  # after `limit_threads`

    torch = sys.modules.get("torch")
    convlens.set_threads(1)
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        convlens.set_threads(THREADS)
        if torch:
            torch.set_num_threads(THREADS)


def versions() -> dict[str, str]:
    """The versions of the compared packages that are installed."""
    found = {"Python": platform.python_version()}
    for name, package in PACKAGES.items():
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def description() -> str:
    """The processor, the memory and the system in one line."""
    processor = platform.processor() or platform.machine()
    cpuinfo, details = Path("/proc/cpuinfo"), ""
    if cpuinfo.exists():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        facts = {name.strip(): value.strip() for name, _, value in lines}
        processor = facts.get("model name", processor)
        sets = [level for level in ("avx2", "avx512f") if level in facts.get("flags", "").split()]
        details = f" ({', '.join(sets)})" if sets else ""
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        details += f", {memory:.0f} GiB of memory"
    return f"{processor}{details}, {platform.system()}, {THREADS} threads"


def facts() -> list[str]:
    """The lines of a page that name the machine and the versions."""
    of_packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return [f"- {description()}", f"- {of_packages}"]


def bandwidth(size: int) -> float:
    """The most bytes a second that two threads copy, read or write, in arrays of `size` bytes."""
    import numpy as np  # noqa: PLC0415  # after limit_threads

    source, target = np.ones(size // 4, np.float32), np.ones(size // 4, np.float32)
    halves = [slice(0, size // 8), slice(size // 8, None)]

    def rate(work: Callable[[slice], Any], moved: int) -> float:
        def both() -> None:
            threads = [Thread(target=work, args=(half,)) for half in halves]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return moved / _least(both)

    return max(
        rate(lambda half: np.copyto(target[half], source[half]), 2 * size),
        rate(lambda half: source[half].max(), size),
        rate(lambda half: target[half].fill(1), size),
    )


def multiply_add_rate(dtype: str, side: int) -> float:
    """The most multiply-adds a second that a large matrix product makes."""
    import numpy as np  # noqa: PLC0415  # after limit_threads

    left, right, product = (np.ones((side, side), dtype) for _ in range(3))
    return float(side**3) / _least(lambda: np.matmul(left, right, out=product))


def _least(call: Callable[[], Any], repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)
