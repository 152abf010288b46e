"""The old place; it goes when the engines have moved."""

# ruff: noqa
from convlens.core.problem import *
from convlens.core.problem import Array as Array
from convlens.core.problem import Layout as Layout
from convlens.core.problem import Problem as Call
from convlens.core.problem import Spec as Spec
from convlens.core.problem import kernel_parts as kernel_parts

__all__ = ["Array", "Call", "Layout", "Spec", "kernel_parts"]
