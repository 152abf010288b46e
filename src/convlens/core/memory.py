"""Memory that is used again and again."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt


class Memory:
    """Memory for the arrays of a block, reused for the next one because fresh pages cost time.

    Examples
    --------
    >>> memory = Memory()
    >>> sums = memory.array("sums", (2, 3), np.dtype(float))
    >>> np.shares_memory(sums, memory.array("sums", (2, 2), np.dtype(int)))
    True
    """

    def __init__(self) -> None:
        self._bytes: dict[str, npt.NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """An array of this shape and type, in the memory that this name had before if it fits."""
        size = prod(shape) * dtype.itemsize
        if name not in self._bytes or self._bytes[name].size < size:
            self._bytes[name] = np.empty(size, np.uint8)
        return self._bytes[name][:size].view(dtype).reshape(shape)
