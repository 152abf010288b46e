"""What is measured in new processes: memory, the first call, and whole programs."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from cases import CASES, Case
from contenders import Contender, Task, contenders, find_peers
from machine import THREADS

STATUS, RESET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")

FIRST_CALLS = """
import json, statistics, time
import numpy as np
images = np.ones((1000, 28, 28), np.float32)
kernel = np.ones((3, 3), np.float32)
def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
def load():
    global convlens
    import convlens
times = [timed(load)]
times += [timed(lambda: convlens.convolve(images, kernel, "valid"))]
times += [statistics.median(timed(lambda: convlens.convolve(images, kernel, "valid"))
                            for _ in range(20))]
times += [statistics.median(timed(lambda: convlens.convolve(images[:1], kernel, "valid"))
                            for _ in range(500))]
print(json.dumps(times))
"""
FIRST_CALL_LABELS = (
    "import convlens, after import numpy",
    "the first call, (1000, 28, 28) and 3x3",
    "the same call again",
    "a call on (1, 28, 28) and 3x3",
)

START = """
import numpy as np
images = np.ones((50_000, 28, 28), np.float32)
kernel = np.ones((3, 3), np.float32)
"""
PROGRAMS = {
    "NumPy alone: the data, and no convolution": START + "print(images[0, 0, 0] * 9)",
    "convlens": START
    + """
import convlens
print(convlens.convolve(images, kernel, "valid")[0, 0, 0])
""",
    "PyTorch": START
    + f"""
import torch
torch.set_num_threads({THREADS})
images, kernel = torch.from_numpy(images), torch.from_numpy(kernel)
print(torch.conv2d(images[..., None].permute(0, 3, 1, 2), kernel[None, None])[0, 0, 0, 0].item())
""",
}


def first_calls(processes: int = 5) -> dict[str, float]:
    """Seconds that the first steps in a new process take, medians over several processes."""
    runs = [json.loads(_run(FIRST_CALLS)) for _ in range(processes)]
    return dict(zip(FIRST_CALL_LABELS, map(median, zip(*runs, strict=True)), strict=True))


def programs(installed: set[str], repeats: int = 5) -> dict[str, float]:
    """Seconds that whole processes take from start to result, measured in turns."""
    wanted = dict(PROGRAMS)
    if "PyTorch" not in installed:
        del wanted["PyTorch"]
    times: dict[str, list[float]] = {name: [] for name in wanted}
    for _ in range(repeats):
        for name, code in wanted.items():
            start = perf_counter()
            assert "9.0" in _run(code)
            times[name].append(perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def extra_bytes(case: Case, name: str, *, small: bool = False) -> int | None:
    """Peak memory of a call beyond input and output, in bytes; None where it cannot be measured."""
    if not RESET_PEAK.exists():
        return None
    command = [sys.executable, __file__, case.name, name, "small" if small else "full"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


def _measure_extra_bytes(case: Case, name: str, size: str) -> int:
    """How far memory rises during a call: the part of `extra_bytes` that the new process runs."""
    peers, _ = find_peers([name.partition(",")[0]])

    def contender(case: Case) -> Contender:
        return next(each for each in contenders(Task(case), peers) if each.name == name)

    contender(case.small()).fresh()  # loads what is loaded once, which is not the call's
    chosen = contender(case.small() if size == "small" else case)
    ctypes.CDLL(None).malloc_trim(0)
    RESET_PEAK.write_text("5")
    before = _in_use("VmRSS")
    result = chosen.fresh()
    return max(0, _in_use("VmHWM") - before - chosen.answer(result).nbytes)


def _in_use(name: str) -> int:
    """Bytes of memory of this process: VmRSS is what it uses now, VmHWM the most so far."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    asked = next(case for case in CASES if case.name == sys.argv[1])
    print(_measure_extra_bytes(asked, *sys.argv[2:]))
