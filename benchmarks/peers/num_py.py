"""NumPy, as it is used on signals: its convolution in a loop, and averages by running sums."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from contenders import Array, Contender, Task


def contenders(task: Task) -> list[Contender]:
    """Signals of one channel, with every window."""
    plan = task.plan
    if not task.space == task.channels == plan.stride[0] == plan.dilation[0] == 1:
        return []
    if not task.pads_zeros:
        return []
    kernel = task.same_kernel
    if kernel is not None:
        return [_contender(task, "NumPy, convolve in a loop", _convolving(task, kernel))]
    if task.mode == "avg" and (task.count_padding or not task.pads):
        return [_contender(task, "NumPy, cumsum", _averaging(task))]
    return []


def _contender(task: Task, name: str, function: Callable[[Array, Array], None]) -> Contender:
    """With a function of signals (m, w) and of an array for the results."""
    signals, shape = task.pixels[..., 0], task.output_shape[:2]

    def call(out: Array) -> Array:
        function(signals, out)
        return out

    return Contender(
        name,
        lambda: call(np.empty(shape, task.real)),
        lambda result: result[..., np.newaxis],
        partial(call, np.empty(shape, task.real)),
    )


def _convolving(task: Task, kernel: Array) -> Callable[[Array, Array], None]:
    flipped = kernel[::-1].astype(task.real)
    mode: Literal["full", "valid"] = "full" if task.pads else "valid"
    # The first window that is asked for, of those that touch the signal or lie within it.
    first = len(kernel) - 1 - task.plan.padding[0][0] if task.pads else 0

    def convolve(signals: Array, out: Array) -> None:
        for signal, result in zip(signals, out, strict=True):
            result[:] = np.convolve(signal, flipped, mode)[first : first + len(result)]

    return convolve


def _averaging(task: Task) -> Callable[[Array, Array], None]:
    padding, window = ((0, 0), *task.plan.padding), task.plan.window[0]

    def average(signals: Array, out: Array) -> None:
        padded = np.pad(signals, padding) if task.pads else signals
        sums = np.cumsum(padded, axis=1, dtype=float)  # float32 would be too coarse
        out[:, 0] = sums[:, window - 1]
        np.subtract(sums[:, window:], sums[:, :-window], out=out[:, 1:], casting="same_kind")
        out /= window

    return average
