"""Read pictures with libvips, row by row: PNG, JPEG, TIFF, WebP and GIF, page by page.

libvips keeps every bit of all of these. Pillow, the usual choice, reads colours of 16 bits as 8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
        The first page as libvips sees it, with colour profile and metadata.
    tags : tiff.Page or None
        The tags of a TIFF.
    roll : Roll or None
        The pages one above another, if they are alike.
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
    roll: Roll | None = None

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
        roll, first = self.roll, (self.page - 1) * self.shape[0]
        if roll is not None and roll.next == first:
            return lambda start, stop: self._values(roll.region, first + start, first + stop)
        orientation = _orientation(self.image) if self.tags is None else self.tags.orientation
        image = _load(self.path, _page_options(self), sequential=orientation == 1)
        image = image.autorot() if orientation > 1 else image
        if self.kind in ("WebP", "GIF") and image.bands < self.samples:  # other frames have more
            image = image.colourspace("srgb") if self.colours == 3 else image
            image = image.addalpha() if image.bands < self.samples else image
        region = _region(image)
        return lambda start, stop: self._values(region, start, stop)

    def _values(self, region: Any, start: int, stop: int) -> Array:
        """Rows of a region of libvips, (n, w, samples)."""
        w = self.shape[1]
        try:
            data = region.fetch(0, start, w, stop - start)
        except pyvips.Error:
            raise ValueError("the picture is damaged or cut short") from None
        if self.roll is not None and region is self.roll.region:
            self.roll.next = stop
        values: Array = np.frombuffer(data, self.dtype)
        return values.reshape(stop - start, w, -1)[:, :, : self.samples]


class Roll:
    """The pages of a stack one above another, of which rows are read once, from top to bottom.

    To open a page by itself, libvips looks at all pages, which takes long if there are many.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._count, self._region = path, count, None
        self.next = 0  # the row to be read next

    @property
    def region(self) -> Any:
        """The region to read from."""
        if self._region is None:
            self._region = _region(_load(self._path, {"n": self._count}, sequential=True))
        return self._region


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
            return _tiff(path, tiff.pages(file))
    image = _load(path)
    kind = KINDS[_loader(image)]
    count = image.get("n-pages") if image.get_typeof("n-pages") else 1
    if kind in ("PNG", "JPEG"):
        count = frames.count(path, kind)
    if image.interpretation not in _COLOURS or image.format not in _NUMBERS:
        raise ValueError(
            f"the picture's numbers are {image.interpretation} of type {image.format}; convert it "
            "to gray or RGB of 8 or 16 bits first"
        )
    if kind in ("PNG", "JPEG") and count > 1 and image.format != "uchar":
        raise ValueError(f"the file holds {count} pictures of 16 bits, which are not read")
    every = _load(path, {"n": -1}) if kind in ("WebP", "GIF") else image
    upright, alpha = image.autorot(), bool(every.hasalpha())
    first = Picture(
        path=path,
        kind=kind,
        page=1,
        pages=count,
        shape=(upright.height, upright.width),
        colours=every.bands - alpha,
        rgb=every.bands - alpha == 3,
        alpha=alpha,
        dtype=_NUMBERS[image.format],
        image=image,
        tags=None,
    )
    others = [replace(first, page=number) for number in range(2, count + 1)]
    if kind == "JPEG":
        others = [replace(each, shape=frames.size(path, each.page - 1)) for each in others]
    return [first, *others]


def _tiff(path: Path, found: Sequence[tiff.Page]) -> list[Picture]:
    """The pages of a TIFF. Those that are stored alike are looked at once by libvips."""
    seen: dict[tuple[Any, ...], tuple[tuple[int, int], np.dtype[Any]]] = {}
    alike = len({page.storage for page in found}) == 1 and found[0].orientation == 1
    alike = alike and [page.index for page in found] == list(range(len(found)))
    roll = Roll(path, len(found)) if alike and not _is_beyond_libvips(found[0]) else None
    first = None
    made = []
    for number, page in enumerate(found, 1):
        if page.storage not in seen:
            image, shape, dtype = _seen(path, page)
            seen[page.storage] = shape, dtype
            first = first or image
        shape, dtype = seen[page.storage]
        picture = Picture(
            path=path,
            kind="TIFF",
            page=number,
            pages=len(found),
            shape=shape,
            colours=page.colours,
            rgb=page.rgb,
            alpha=page.alpha,
            dtype=dtype,
            image=first,
            tags=page,
            roll=roll,
        )
        made.append(picture)
    return made


def _seen(path: Path, page: tiff.Page) -> tuple[Any, tuple[int, int], np.dtype[Any]]:
    """A page as libvips sees it, with its shape and type."""
    if _is_beyond_libvips(page):
        return pyvips.Image.black(1, 1), page.shape, page.dtype
    image = _load(path, {"page": page.index})
    if image.format not in _NUMBERS:
        raise ValueError(f"the picture's numbers are {image.format}, not integers or floats")
    upright = image.autorot()
    return image, (upright.height, upright.width), _NUMBERS[image.format]


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


def _region(image: Any) -> Any:
    """What reads parts of an image."""
    try:
        return pyvips.Region.new(image)
    except pyvips.Error:
        raise ValueError(NOT_READ) from None


def _page_options(picture: Picture) -> dict[str, Any]:
    if picture.tags is not None:
        return {"page": picture.tags.index}
    return {"page": picture.page - 1} if picture.kind in ("WebP", "GIF") else {}


def _loader(image: Any) -> str:
    return str(image.get("vips-loader")).removesuffix("_source")


def _orientation(image: Any) -> int:
    return int(image.get("orientation")) if image.get_typeof("orientation") else 1
