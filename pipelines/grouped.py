"""Convolution with vectors along the outputs of all groups, and of several pixels.

`runtime/grouped.c` has the pipelines. This is what they are called with.
"""

from __future__ import annotations

from convolution import Convolution, Types
from levels import Level, Pipeline


def grouped(_level: Level, types: Types, *, volume: bool = False) -> Pipeline:
    """Convolve with vectors along o, g and x, where these lie side by side."""
    conv = Convolution(types, volume=volume)
    return Pipeline(None, [*conv.arguments, conv.kernels])
