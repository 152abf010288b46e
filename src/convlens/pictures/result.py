"""A page that is to be written: where its pixels come from, and what it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from convlens.core.axis import Axis
from convlens.core.problem import Array
from convlens.pictures import tiff
from convlens.pictures.reading import Picture


@dataclass(frozen=True, slots=True)
class Result:
    """A page to write.

    Attributes
    ----------
    picture : Picture
        The page that it was made from, whose metadata it keeps.
    rows, columns : Axis
        Where the windows lay.
    colours : int
    alpha : bool
        Whether opacity follows the colours.
    dtype : numpy.dtype
    whole : bool
        Whether all pages of the file are written.
    strips : iterable of numpy.ndarray
        Rows (n, w, samples), from top to bottom.
    """

    picture: Picture
    rows: Axis
    columns: Axis
    colours: int
    alpha: bool
    dtype: np.dtype[Any]
    whole: bool
    strips: Iterable[Array]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(h, w, samples)."""
        return self.rows.outputs, self.columns.outputs, self.colours + self.alpha

    @property
    def nbytes(self) -> int:
        """The bytes of its pixels."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def stays(self) -> bool:
        """Whether each of its pixels lies where the pixel with its number was."""
        return tiff.stays(self.rows) and tiff.stays(self.columns)
