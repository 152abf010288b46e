"""Convolution and pooling on plain NumPy arrays, to read, to run and to see."""

from convlens import filters
from convlens.config import set_threads, show_config
from convlens.operations import convolve, plan_convolve, plan_pool, pool
from convlens.plan import Plan

__version__ = "0.1.0"
__all__ = [
    "Plan",
    "convolve",
    "filters",
    "plan_convolve",
    "plan_pool",
    "pool",
    "set_threads",
    "show_config",
]
