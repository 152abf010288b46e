"""JAX, compiled before it is timed, on images stored pixel by pixel and channel by channel."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from contenders import Contender, Task
from jax import lax

jax.config.update("jax_enable_x64", True)  # else float64 would quietly become float32


def contenders(task: Task) -> list[Contender]:
    """Both layouts, such as NHWC and NCHW."""
    if not task.pads_zeros:
        return []
    letters, (first, *space, last) = "DHW"[-task.space :], range(2 + task.space)
    return [
        _contender(task, f"N{letters}C", (first, *space, last)),
        _contender(task, f"NC{letters}", (first, last, *space)),
    ]


def _contender(task: Task, layout: str, order: tuple[int, ...]) -> Contender:
    pixels = jnp.asarray(np.ascontiguousarray(task.pixels.transpose(order)))
    inputs = [pixels]
    if task.mode == "sum":
        inputs.append(jnp.asarray(task.taps.astype(task.real)))  # (*taps, c // groups, nc)
    compiled = jax.jit(partial(_compute, task, layout, order)).lower(*inputs).compile()
    back = np.argsort(order)
    return Contender(
        f"JAX, {layout}",
        lambda: compiled(*inputs).block_until_ready(),
        lambda result: np.asarray(result).transpose(back),
    )


def _compute(task: Task, layout: str, order: tuple[int, ...], pixels: Any, taps: Any = None) -> Any:
    """The function that is compiled."""
    plan, pixels = task.plan, pixels.astype(task.real)
    if task.mode == "sum":
        return lax.conv_general_dilated(
            pixels,
            taps,
            plan.stride,
            plan.padding,
            rhs_dilation=plan.dilation,
            dimension_numbers=(layout, "DHWIO"[-2 - task.space :], layout),
            feature_group_count=plan.groups,
        )

    def axes(inner: tuple[Any, ...], other: Any) -> tuple[Any, ...]:
        full = (other, *inner, other)
        return tuple(full[axis] for axis in order)

    where = (axes(plan.window, 1), axes(plan.stride, 1), axes(plan.padding, (0, 0)))
    if task.mode == "max":
        return lax.reduce_window(pixels, -np.inf, lax.max, *where)
    sums = lax.reduce_window(pixels, 0.0, lax.add, *where)
    if task.count_padding or not task.pads:
        return sums / np.prod(plan.window)
    ones = jnp.ones_like(pixels, shape=axes(task.pixels.shape[1:-1], 1))
    return sums / lax.reduce_window(ones, 0.0, lax.add, *where)
