"""Convolution of groups of one channel, with several kernels each, or of few groups.

`runtime/channelwise.c` has the pipelines. This is what they are called with.
"""

from __future__ import annotations

from convolution import Convolution, Types
from levels import Level, Pipeline


def channelwise(_level: Level, types: Types, *, volume: bool = False) -> Pipeline:
    """Convolve with vectors along o and g, and perhaps x, where these lie side by side."""
    conv = Convolution(types, depth=1, volume=volume)
    return Pipeline(None, [*conv.arguments, conv.kernels])
