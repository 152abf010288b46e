"""PyTorch, on images stored channel by channel and pixel by pixel."""

from functools import partial

import torch
from contenders import Contender, Task
from machine import THREADS
from torch.nn import functional

torch.set_num_threads(THREADS)
torch.set_grad_enabled(False)

LAYOUTS = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}


def contenders(task: Task) -> list[Contender]:
    """Both layouts, unless two sides are padded differently, which PyTorch cannot express."""
    if any(before != after for before, after in task.plan.padding):
        return []
    return [_contender(task, name, layout) for name, layout in LAYOUTS.items()]


def _contender(task: Task, name: str, layout: torch.memory_format) -> Contender:
    plan, real = task.plan, getattr(torch, task.real.name)
    pixels = _stored(torch.from_numpy(task.pixels).permute(0, 3, 1, 2), layout)  # (m, c, h, w)
    padding = [before for before, _ in plan.padding]
    out = None
    if task.mode == "sum":
        taps = torch.from_numpy(task.taps.astype(task.real)).permute(3, 2, 0, 1)
        arguments = (_stored(taps, layout), None, plan.stride, padding, plan.dilation, plan.groups)
        function = functional.conv2d
    elif task.mode == "max":
        arguments = (plan.window, plan.stride, padding, plan.dilation)
        function = functional.max_pool2d
    else:
        arguments = (plan.window, plan.stride, padding, False, task.count_padding)
        function = functional.avg_pool2d
        m, oh, ow, nc = task.output_shape
        out = torch.empty((m, nc, oh, ow), dtype=real).to(memory_format=layout)

    def fresh(**options):
        return function(pixels.to(real), *arguments, **options)  # .to: nothing, for floats

    return Contender(
        f"PyTorch, {name}",
        fresh,
        lambda result: result.permute(0, 2, 3, 1).numpy(),
        None if out is None else partial(fresh, out=out),
    )


def _stored(values: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    """A copy with the strides of a layout, also where an axis has length 1 and any would do."""
    return torch.empty(values.shape, dtype=values.dtype, memory_format=layout).copy_(values)
