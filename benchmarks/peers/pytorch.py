"""PyTorch, on images stored channel by channel and pixel by pixel."""

from functools import partial
from typing import Any

import numpy as np
import torch
from contenders import Contender, Task
from machine import THREADS
from torch.nn import functional

torch.set_num_threads(THREADS)
torch.set_grad_enabled(False)

LAYOUTS = ("channels-last", "contiguous")


def contenders(task: Task) -> list[Contender]:
    """Both layouts, unless two sides are padded differently, which PyTorch cannot express.

    A single channel has the same bytes in either layout, but poolings of what is called
    channels-last take several times as long.
    """
    if any(before != after for before, after in task.plan.padding) or not task.pads_zeros:
        return []
    same = task.mode != "sum" and task.channels == 1
    return [_contender(task, layout) for layout in LAYOUTS if not (same and layout == LAYOUTS[0])]


def _contender(task: Task, layout: str) -> Contender:
    plan, real = task.plan, getattr(torch, task.real.name)
    # PyTorch knows the layout channels-last for images and volumes, and copies signals that have
    # it. So such signals are images of one row.
    row = task.space == 1 and layout == "channels-last"
    window, stride, dilation = (
        (1, *each) if row else each for each in (plan.window, plan.stride, plan.dilation)
    )
    padding = [0] * row + [before for before, _ in plan.padding]
    pixels = _stored(task.pixels[:, np.newaxis] if row else task.pixels, layout)
    names = {"sum": "conv", "max": "max_pool", "avg": "avg_pool"}
    function = getattr(functional, f"{names[task.mode]}{len(window)}d")
    arguments: tuple[Any, ...]
    out = None
    if task.mode == "sum":
        taps = task.taps[np.newaxis] if row else task.taps
        taps = _stored(np.moveaxis(taps.astype(task.real), -1, 0), layout)  # (nc, c, *taps)
        arguments = (taps, None, stride, padding, dilation, plan.groups)
    elif task.mode == "max":
        arguments = (window, stride, padding, dilation)
    else:
        arguments = (window, stride, padding, False, task.count_padding)
        if task.space > 1:
            out = _stored(np.empty(task.output_shape, task.real), layout)

    def fresh(**options: Any) -> Any:
        return function(pixels.to(real), *arguments, **options)  # .to: nothing, for floats

    return Contender(
        f"PyTorch, {layout}",
        fresh,
        lambda result: result.movedim(1, -1).reshape(task.output_shape).numpy(),
        None if out is None else partial(fresh, out=out),
    )


def _stored(values: np.ndarray, layout: str) -> torch.Tensor:
    """A copy (m, c, *space) of values (m, *space, c) with the strides of a layout.

    They are so also where an axis has length 1 and any would do.
    """
    if layout == "contiguous":
        values = np.moveaxis(values, -1, 1)
    stored = torch.from_numpy(values.copy())
    return stored if layout == "contiguous" else stored.movedim(-1, 1)
