"""Convolution and pooling on plain NumPy arrays, to read, to run and to see."""

from typing import TYPE_CHECKING, Any

from convlens import filters, ndimage
from convlens.arguments import ChannelsWarning
from convlens.config import set_threads, show_config
from convlens.gradients import (
    convolve_transpose,
    kernel_gradient,
    plan_convolve_transpose,
    plan_kernel_gradient,
    plan_pool_gradient,
    pool_gradient,
    pool_indices,
)
from convlens.linear import linear_operator
from convlens.operations import convolve, plan_convolve, plan_pool, pool
from convlens.plan import Plan
from convlens.plan.back import BackPlan

if TYPE_CHECKING:
    from convlens.explorer import Explorer, explore

__version__ = "0.1.0"
__all__ = [
    "BackPlan",
    "ChannelsWarning",
    "Explorer",
    "Plan",
    "convolve",
    "convolve_transpose",
    "explore",
    "filters",
    "kernel_gradient",
    "linear_operator",
    "ndimage",
    "plan_convolve",
    "plan_convolve_transpose",
    "plan_kernel_gradient",
    "plan_pool",
    "plan_pool_gradient",
    "pool",
    "pool_gradient",
    "pool_indices",
    "set_threads",
    "show_config",
]


def __getattr__(name: str) -> Any:
    # The explorer reads files and makes HTML; whoever computes need not wait for it.
    if name in ("Explorer", "explore"):
        from convlens import explorer  # noqa: PLC0415

        return getattr(explorer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
