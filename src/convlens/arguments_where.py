"""The argument `where`, normalised or refused: which pixels take part in a call."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from convlens.arguments import array, is_dask
from convlens.core.problem import Array, Problem

_EXPECTED = "an array of booleans, or 'finite' for numbers that are neither NaN nor infinite"


class Where(NamedTuple):
    """Which pixels take part.

    Attributes
    ----------
    word : {"all", "finite", "given"}
        As a problem has it.
    given : array of bool or None
        As the caller gave it; its shape is checked when the problem is known.
    own : array of bool or None
        What a masked array says itself, in the images' shape.
    """

    word: str = "all"
    given: Array | None = None
    own: Array | None = None

    def fitted(self, problem: Problem) -> Array | None:
        """The booleans in the images' shape, a view if it can be; None if there is no array.

        With fewer axes than the images they are of pixels, and the same for all channels. Then as
        in NumPy's broadcasting the first axes may be missing, and others be of length 1.
        """
        if self.given is None:
            return self.own
        images, channels = problem.images.shape, "c" in problem.layout.images
        of_pixels = channels and 0 < self.given.ndim < len(images)
        shaped = self.given[..., np.newaxis] if of_pixels else self.given
        try:
            fitted = np.broadcast_to(shaped, images)
        except ValueError:
            pixels = f" or, for all channels, {images[:-1]}" if channels else ""
            raise ValueError(
                f"where must have the images' shape {images}{pixels}, or be broadcast to it; got "
                f"{self.given.shape}"
            ) from None
        if self.own is None:
            return fitted
        return self.own if self.given.ndim == 0 and self.given else fitted & self.own


def of_call(images: Any, where: object) -> tuple[Any, Where]:
    """The images without a mask of their own, and which of their pixels take part.

    Parameters
    ----------
    images : array_like
        What a masked array masks takes no part.
    where : None, "finite" or array_like of bool
        As callers give it.
    """
    if where is None:
        return images, Where()
    own = ~np.ma.getmaskarray(images) if isinstance(images, np.ma.MaskedArray) else None
    images = array("images", images if own is None else images.data)
    if isinstance(where, str) and where == "finite":
        if own is not None:
            return images, Where("given", None, own & np.isfinite(images))
        return images, Where("finite")
    if is_dask(images) or is_dask(where):
        raise TypeError(
            "where must be 'finite' where images are a Dask array: put NaN where pixels take no "
            "part, as in da.where(where, images, np.nan)"
        )
    return images, Where("given", _booleans(where), own)


def word(where: object) -> str:
    """The word for a plan, for which an array of `where` stands for any other of its shape."""
    if where is None:
        return "all"
    if isinstance(where, str) and where == "finite":
        return where
    _booleans(where)
    return "given"


def _booleans(where: object) -> Array:
    if isinstance(where, np.ma.MaskedArray):
        raise TypeError(
            "where must be no masked array, as its mask would be lost; fill it first, as in "
            "where.filled(False)"
        )
    if isinstance(where, str):
        raise ValueError(f"where must be {_EXPECTED}; got {where!r}")
    given = np.asarray(where)
    if given.dtype.kind != "b":
        raise TypeError(
            f"where must be {_EXPECTED}; got dtype {given.dtype}: compare it, as in where=mask != 0"
        )
    return given
