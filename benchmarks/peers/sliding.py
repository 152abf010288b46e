"""For filters that give an output for each pixel: which of those are the outputs asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from contenders import Task


@dataclass(frozen=True)
class Sliding:
    """Which outputs of a filter, whose window lies around its pixel, are those of a task.

    Attributes
    ----------
    pixels : numpy.ndarray
        (m, *space, c).
    padding : tuple
        A pair for each spatial axis that must be added first, because outputs are asked for whose
        windows have their middle outside the images.
    outputs : tuple of slice
        Of the filter's output, along each spatial axis.
    """

    pixels: np.ndarray
    padding: tuple[tuple[int, int], ...]
    outputs: tuple[slice, ...]

    @staticmethod
    def of(task: Task, *, stacked: bool = False) -> Sliding | None:
        """None if windows lie too far outside for this, and padding would not be zeros.

        With `stacked`, the first axis is padded wherever windows leave an image, so that images can
        lie one above the other in a tall one.
        """
        plan, padding, slices = task.plan, [], []
        for axis in range(task.space):
            size, outputs = task.pixels.shape[1 + axis], task.output_shape[1 + axis]
            window, stride = plan.window[axis], plan.stride[axis]
            first = window // 2 - plan.padding[axis][0]
            last = first + (outputs - 1) * stride
            before, after = max(0, -first), max(0, last - (size - 1))
            if stacked and axis == 0:
                before, after = plan.padding[axis]
            padding.append((before, after))
            slices.append(slice(first + before, last + before + 1, stride))
        zeros = task.mode == "sum" and task.border == "constant"
        if any(map(any, padding)) and not zeros:
            return None
        return Sliding(task.pixels, tuple(padding), tuple(slices))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the filter's output: (m, *space, c) with the padding."""
        m, *sizes, c = self.pixels.shape
        return m, *(size + sum(pair) for size, pair in zip(sizes, self.padding, strict=True)), c

    def padded(self) -> np.ndarray:
        """The images as the filter needs them; usually as they are."""
        if not any(map(any, self.padding)):
            return self.pixels
        return np.pad(self.pixels, ((0, 0), *self.padding, (0, 0)))

    def picked(self, filtered: np.ndarray) -> np.ndarray:
        """The outputs asked for, of the filter's: a view (m, *outputs, nc)."""
        return filtered[:, *self.outputs]
