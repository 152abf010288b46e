"""Read pictures with libvips, row by row: PNG, JPEG, TIFF, WebP and GIF, page by page.

libvips keeps every bit of all of these. Pillow, the usual choice, reads colours of 16 bits as 8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlens.core.problem import Array, Spec
from convlens.pictures import frames, tiff
from convlens.pictures.vips import pyvips

KINDS = {  # by the name of libvips's loader
    "pngload": "PNG",
    "jpegload": "JPEG",
    "tiffload": "TIFF",
    "webpload": "WebP",
    "gifload": "GIF",
}
NOT_READ = "not a PNG, JPEG, TIFF, WebP or GIF picture, or a damaged one"
_COLOURS = {"b-w", "grey16", "srgb", "rgb16", "scrgb", "multiband"}  # libvips's names
_NUMBERS: dict[str, np.dtype[Any]] = {
    "uchar": np.dtype(np.uint8),
    "char": np.dtype(np.int8),
    "ushort": np.dtype(np.uint16),
    "short": np.dtype(np.int16),
    "uint": np.dtype(np.uint32),
    "int": np.dtype(np.int32),
    "float": np.dtype(np.float32),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One page of a picture file, upright; its pixels are read later.

    Attributes
    ----------
    path : pathlib.Path
    kind : str
        "PNG", "JPEG", "TIFF", "WebP" or "GIF".
    page, pages : int
        The page, counted from 1, and how many pages the file has.
    shape : tuple of int
        (h, w).
    colours : int
        The samples of a pixel that are filtered: 1 for gray, 3 for RGB, or more.
    rgb : bool
        Whether the first three of them are red, green and blue.
    alpha : bool
        Whether opacity follows them.
    dtype : numpy.dtype
    image : pyvips.Image
        The page as libvips sees it, with colour profile and metadata.
    tags : tiff.Page or None
        The tags of a TIFF.
    """

    path: Path
    kind: str
    page: int
    pages: int
    shape: tuple[int, int]
    colours: int
    rgb: bool
    alpha: bool
    dtype: np.dtype[Any]
    image: Any
    tags: tiff.Page | None

    @property
    def spec(self) -> Spec:
        """The shape and type of its colours: (1, h, w), or (1, h, w, colours)."""
        shape = (1, *self.shape)
        return Spec(shape if self.colours == 1 else (*shape, self.colours), self.dtype)

    @property
    def samples(self) -> int:
        """The samples of a pixel, alpha included."""
        return self.colours + self.alpha

    def times(self) -> tuple[list[int], int] | None:
        """For how many milliseconds each page is shown, and how often all are; None if not told."""
        if self.kind == "PNG" and self.pages > 1:
            return frames.times(self.path, self.pages)
        if not self.image.get_typeof("delay"):
            return None
        loop = self.image.get("loop") if self.image.get_typeof("loop") else 0
        return list(self.image.get("delay")), int(loop)

    def rows(self) -> Callable[[int, int], Array]:
        """Begin to read: a function of two rows that returns those between, (n, w, samples).

        Rows must be asked for from top to bottom.
        """
        if self.tags is not None and _is_beyond_libvips(self.tags):
            with open(self.path, "rb") as file:
                whole = tiff.array(file, self.tags)
            return lambda start, stop: whole[start:stop]
        if self.kind in ("PNG", "JPEG") and self.page > 1:
            frame = frames.read(self.path, self.page - 1, self.samples)
            return lambda start, stop: frame[start:stop]
        turned = _orientation(self.image) > 1
        image = _load(self.path, _page_options(self), sequential=not turned)
        image = image.autorot() if turned else image
        try:
            region = pyvips.Region.new(image)
        except pyvips.Error:
            raise ValueError(NOT_READ) from None
        _, w = self.shape

        def rows(start: int, stop: int) -> Array:
            try:
                data = region.fetch(0, start, w, stop - start)
            except pyvips.Error:
                raise ValueError("the picture is damaged or cut short") from None
            values: Array = np.frombuffer(data, self.dtype)
            return values.reshape(stop - start, w, image.bands)[:, :, : self.samples]

        return rows


def pages(path: Path) -> list[Picture]:
    """Open a picture file, and return all of its pages, of which no pixels are read yet.

    Pages are the pictures of a TIFF, and the frames of an animation.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it holds no picture, or one that is damaged or that cannot be kept without loss.
    """
    with open(path, "rb") as file:  # raises the system's own error if it cannot be opened
        magic = file.read(4)
        if magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            file.seek(0)
            found = tiff.pages(file)
            return [_tiff(path, page, number, len(found)) for number, page in enumerate(found, 1)]
    image = _load(path)
    kind = KINDS[_loader(image)]
    count = image.get("n-pages") if image.get_typeof("n-pages") else 1
    if kind in ("PNG", "JPEG"):
        count = frames.count(path, kind)
    each = [image]
    if kind in ("WebP", "GIF"):
        each += [_load(path, {"page": number}) for number in range(1, count)]
    else:
        each *= count
    return [_picture(path, kind, number, count, page) for number, page in enumerate(each, 1)]


def _picture(path: Path, kind: str, number: int, count: int, image: Any) -> Picture:
    if image.interpretation not in _COLOURS or image.format not in _NUMBERS:
        raise ValueError(
            f"the picture's numbers are {image.interpretation} of type {image.format}; convert it "
            "to gray or RGB of 8 or 16 bits first"
        )
    upright = image.autorot()
    shape = upright.height, upright.width
    if number > 1 and kind in ("PNG", "JPEG"):
        if image.format != "uchar":
            raise ValueError(f"the {count} pictures of 16 bits are not read; give --page 1")
        shape = frames.size(path, number - 1)
    alpha = bool(image.hasalpha())
    colours = image.bands - alpha
    return Picture(
        path=path,
        kind=kind,
        page=number,
        pages=count,
        shape=shape,
        colours=colours,
        rgb=colours == 3,
        alpha=alpha,
        dtype=_NUMBERS[image.format],
        image=image,
        tags=None,
    )


def _tiff(path: Path, page: tiff.Page, number: int, count: int) -> Picture:
    if _is_beyond_libvips(page):
        image, shape = pyvips.Image.black(1, 1), page.shape
        dtype: np.dtype[Any] = page.dtype
    else:
        image = _load(path, {"page": page.index})
        if image.format not in _NUMBERS:
            raise ValueError(f"the picture's numbers are {image.format}, not integers or floats")
        upright = image.autorot()
        shape, dtype = (upright.height, upright.width), _NUMBERS[image.format]
    return Picture(
        path=path,
        kind="TIFF",
        page=number,
        pages=count,
        shape=shape,
        colours=page.colours,
        rgb=page.rgb,
        alpha=page.alpha,
        dtype=dtype,
        image=image,
        tags=page,
    )


def _is_beyond_libvips(page: tiff.Page) -> bool:
    """Whether tifffile is to read the page: libvips refuses 64 bits, and mixes planes up."""
    return page.dtype.itemsize > 4 or page.planar


def _load(path: Path, options: dict[str, Any] | None = None, *, sequential: bool = False) -> Any:
    """Open a page of a file as a libvips image, whose pixels are read later."""
    access = {"access": "sequential"} if sequential else {}
    # libvips gets a descriptor because it takes names in UTF-8 alone.
    with open(path, "rb") as file:
        try:
            source = pyvips.Source.new_from_descriptor(file.fileno())
            image = pyvips.Image.new_from_source(
                source, "", fail_on="error", **access, **(options or {})
            )
        except pyvips.Error:
            raise ValueError(NOT_READ) from None
    if _loader(image) not in KINDS:
        raise ValueError(NOT_READ)
    return image


def _page_options(picture: Picture) -> dict[str, Any]:
    if picture.tags is not None:
        return {"page": picture.tags.index}
    return {"page": picture.page - 1} if picture.kind in ("WebP", "GIF") else {}


def _loader(image: Any) -> str:
    return str(image.get("vips-loader")).removesuffix("_source")


def _orientation(image: Any) -> int:
    return int(image.get("orientation")) if image.get_typeof("orientation") else 1
