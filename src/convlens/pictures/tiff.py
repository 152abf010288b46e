"""TIFF's own side of a picture: which samples are alpha, the tags that it carries, and writing.

libvips decodes the pixels of nearly every TIFF, but takes a last sample for alpha that is not
tagged so, and keeps few tags. tifffile reads the tags, and writes the files.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import tifffile

from convlens.core.axis import Axis
from convlens.core.problem import Array

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # it would print on stderr

ByteOrder = Literal["<", ">"]

ASSOCIATED, UNASSOCIATED = 1, 2  # the kinds of extra samples that are alpha
_GRAY, _RGB = (0, 1), (2, 3, 6)  # photometric interpretations; libvips makes RGB of 3 and 6
_PER_CM = {2: 1 / 2.54, 3: 1.0}  # resolution units: inch and centimetre
_NO_UNIT = 1  # another of them
# Tags that are rewritten, because they say how the pixels are stored.
_STORAGE = {
    *(254, 255, 256, 257, 258, 259, 262, 266, 270, 273, 277, 278, 279, 282, 283, 284, 296),
    *(274, 305, 317, 320, 322, 323, 324, 325, 338, 339, 340, 341, 347, 529, 530, 531, 532),
    *(34675, 50838),
}
# Tags that point to other places of the file, or hold other pixels.
_UNKEPT = {
    330: "sub-images",
    34665: "EXIF",
    34853: "GPS",
    37724: "Photoshop's layers",
    50839: "ImageJ's labels",
}
# How descriptions begin into which programs write sizes and numbers of pages.
STRUCTURED = ("ImageJ=", "<?xml", "<OME")
_SCALE, _TIE, _TRANSFORMATION = 33550, 33922, 34264  # GeoTIFF's: pixels to places on Earth
_REDUCED_OR_MASK = 0b101  # bits of the subfile type
STRIP_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag as it is stored: its code, type, count, and bytes."""

    code: int
    dtype: int
    count: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """What the tags of one page say.

    Attributes
    ----------
    index : int
        Its place among all pages of the file, thumbnails and masks included.
    shape : tuple of int
        (h, w), as stored.
    samples, colours : int
        All samples of a pixel, and those that are filtered, which leaves out alpha.
    rgb : bool
        Whether the first three are red, green and blue.
    dtype : numpy.dtype
    alpha : bool
        Whether the last sample is tagged as alpha.
    bits, orientation, photometric : int
        As stored.
    planar : bool
        Whether channels are stored one after another.
    extra : tuple of int
        The kinds of the samples beyond gray or RGB.
    resolution : (float, float) or None
        Pixels in a centimetre, across and down.
    scale : (float, float) or None
        Pixels in a unit that the format does not know, as ImageJ's description names it.
    description : str
    tags : tuple of Tag
        The tags that a result may keep.
    unkept : tuple of str
        What else it carries that cannot be kept.
    byteorder : str
    """

    index: int
    shape: tuple[int, int]
    samples: int
    colours: int
    rgb: bool
    dtype: np.dtype[Any]
    alpha: bool
    bits: int
    orientation: int
    photometric: int
    planar: bool
    extra: tuple[int, ...]
    resolution: tuple[float, float] | None
    scale: tuple[float, float] | None
    description: str
    tags: tuple[Tag, ...]
    unkept: tuple[str, ...]
    byteorder: ByteOrder

    @property
    def storage(self) -> tuple[Any, ...]:
        """What decides how libvips decodes it."""
        stored = self.shape, self.samples, self.dtype, self.bits, self.planar
        return *stored, self.orientation, self.photometric


def pages(file: BinaryIO) -> list[Page]:
    """The pages of a TIFF file, without its thumbnails, overviews and masks.

    Raises
    ------
    ValueError
        If the file is damaged, or the numbers of a page are of a kind that is not read.
    """
    try:
        with tifffile.TiffFile(file) as tiff:
            whole = [page.aspage() for page in tiff.pages]  # with all their tags
            kept = [page for page in whole if not page.subfiletype & _REDUCED_OR_MASK]
            others = len(tiff.pages) - len(kept)
            stack = (tiff.imagej_metadata or {}).get("images", 1)
            read = [_page(page, others) for page in kept]
            if read and read[0].description.startswith(STRUCTURED):
                read[1:] = [
                    replace(page, unkept=(*page.unkept, "the description of all pages"))
                    for page in read[1:]
                ]
    except (tifffile.TiffFileError, struct.error, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"the TIFF file is damaged: {error}") from None
    if not read:
        raise ValueError("the TIFF file holds no picture")
    if stack > len(read) == 1:
        raise ValueError(
            f"ImageJ's description tells of {stack} pictures, and the file has tags for 1; save it "
            "in less than 4 GB, or as an array (.npy)"
        )
    return read


def _page(page: Any, others: int) -> Page:
    photometric, extra = int(page.photometric), tuple(int(kind) for kind in page.extrasamples)
    if photometric not in (*_GRAY, *_RGB):
        raise ValueError(
            f"its colours are {getattr(page.photometric, 'name', photometric)}; convert them "
            "to gray or RGB first"
        )
    if not page.imagelength or not page.imagewidth:
        raise ValueError("the TIFF file is damaged: it has no pixels")
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise ValueError(f"its numbers are {page.dtype or 'unknown'}, not integers or floats")
    rgb = photometric in _RGB
    samples = 3 if photometric == 3 else page.samplesperpixel
    beyond = samples - (3 if rgb else 1)
    extra = (*extra, *(0,) * beyond)[:beyond]  # those without a kind are unspecified
    alpha = bool(extra) and extra[-1] in (ASSOCIATED, UNASSOCIATED)
    file, byteorder = page.parent.filehandle, page.parent.byteorder
    tags, unkept = [], ["overviews and masks"] * (others > 0)
    for tag in page.tags:
        if tag.code in _UNKEPT:
            unkept.append(_UNKEPT[tag.code])
        elif tag.code not in _STORAGE:
            file.seek(tag.valueoffset)
            value = file.read(tag.valuebytecount)
            tags.append(Tag(tag.code, int(tag.dtype), tag.count, value))
    number = page.tags.valueof
    return Page(
        index=page.index,
        shape=(page.imagelength, page.imagewidth),
        samples=samples,
        colours=samples - alpha,
        rgb=rgb,
        dtype=page.dtype.newbyteorder("="),
        alpha=alpha,
        bits=page.bitspersample,
        orientation=int(number(274, 1)),
        photometric=photometric,
        planar=samples > 1 and page.planarconfig == 2,
        extra=extra,
        resolution=_per_cm(number(282), number(283), int(number(296, 2))),
        scale=_ratios(number(282), number(283)) if int(number(296, 2)) == _NO_UNIT else None,
        description="" if page.description.startswith('{"shape"') else page.description,
        tags=tuple(tags),
        unkept=tuple(unkept),
        byteorder=byteorder,
    )


def _per_cm(across: Any, down: Any, unit: int) -> tuple[float, float] | None:
    """Pixels in a centimetre, or None if the tags do not say."""
    ratios = _ratios(across, down)
    if ratios is None or unit not in _PER_CM:
        return None
    return ratios[0] * _PER_CM[unit], ratios[1] * _PER_CM[unit]


def _ratios(across: Any, down: Any) -> tuple[float, float] | None:
    """The numbers of two tags, or None if they are not there."""
    if not across or not down or 0 in (*across, *down):
        return None
    return across[0] / across[1], down[0] / down[1]


def array(file: BinaryIO, page: Page) -> Array:
    """The pixels of a page that libvips does not read, (h, w, samples)."""
    if page.orientation != 1 or page.photometric not in (1, 2) or ASSOCIATED in page.extra:
        raise ValueError(
            f"a TIFF of {page.dtype}{', stored plane by plane,' * page.planar} is read only if it "
            "is upright, 0 is black, and its colours are not multiplied by alpha"
        )
    try:
        with tifffile.TiffFile(file) as tiff:
            whole = tiff.pages[page.index].aspage()
            values: Array = whole.asarray()
            if page.planar:
                values = np.moveaxis(values, 0, -1)
    except (tifffile.TiffFileError, struct.error, IndexError) as error:
        raise ValueError(f"the picture is damaged or cut short: {error}") from None
    return values.reshape(*page.shape, page.samples)


# --------------------------------------------------------------------- the tags of a result


def moved(tags: Iterable[Tag], byteorder: str, rows: Axis, columns: Axis) -> list[Tag]:
    """The tags for a result whose windows lie so: GeoTIFF's places follow the pixels.

    A pixel of the result lies where the middle of its window was.
    """
    (down, top), (across, left) = map(_middle, (rows, columns))
    steps, starts = np.array([across, down, 1.0]), np.array([left, top, 0.0])
    return [_moved(tag, byteorder, steps, starts) for tag in tags]


def _moved(tag: Tag, byteorder: str, steps: Array, starts: Array) -> Tag:
    if tag.code not in (_SCALE, _TIE, _TRANSFORMATION):
        return tag
    numbers = np.frombuffer(tag.value, f"{byteorder}f8").copy()
    if tag.code == _SCALE:
        numbers *= steps[: len(numbers)]
    elif tag.code == _TIE:
        ties = numbers.reshape(-1, 6)  # column, row, layer, x, y, z
        ties[:, :3] = (ties[:, :3] - starts) / steps
    else:
        matrix = numbers.reshape(4, 4)
        matrix[:, 3] += matrix[:, :3] @ starts
        matrix[:, :3] *= steps
    return Tag(tag.code, tag.dtype, tag.count, numbers.tobytes())


def _middle(axis: Axis) -> tuple[int, float]:
    """How far pixels of the result lie apart, and where the edge of the first one lies."""
    return axis.stride, (axis.reach - axis.stride) / 2 - axis.before


def stays(axis: Axis) -> bool:
    """Whether each pixel of a result lies where the pixel with its number was."""
    return _middle(axis) == (1, 0.0) and axis.outputs == axis.size


# ----------------------------------------------------------------------------- writing


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page to write: rows of pixels, and what is said of them.

    Attributes
    ----------
    shape : tuple of int
        (h, w, samples).
    dtype : numpy.dtype
    rgb : bool
    extra : tuple of int
        The kinds of the samples beyond gray or RGB.
    strips : iterable of numpy.ndarray
        Rows (n, w, samples), from top to bottom.
    resolution : (float, float) or None
        Pixels in a centimetre, across and down.
    scale : (float, float) or None
        Pixels in a unit that the format does not know, as ImageJ's description names it.
    description : str
    profile : bytes or None
        The colour profile.
    tags : sequence of Tag
    byteorder : str
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    rgb: bool
    extra: tuple[int, ...]
    strips: Iterable[Array]
    resolution: tuple[float, float] | None = None
    scale: tuple[float, float] | None = None
    description: str = ""
    profile: bytes | None = None
    tags: Sequence[Tag] = ()
    byteorder: ByteOrder = "<"


def write(path: Path, sheets: Iterable[Sheet], *, compressed: bool, large: bool) -> None:
    """Write a TIFF file, strip by strip, without loss.

    Parameters
    ----------
    path : pathlib.Path
    sheets : iterable of Sheet
    compressed : bool
        Whether strips are deflated.
    large : bool
        Whether the file may come to 4 GB, which takes the format BigTIFF.
    """
    writer = None
    try:
        for sheet in sheets:
            if writer is None:
                writer = tifffile.TiffWriter(path, bigtiff=large, byteorder=sheet.byteorder)
            _write(writer, sheet, compressed)
    finally:
        if writer is not None:
            writer.close()


def _write(writer: Any, sheet: Sheet, compressed: bool) -> None:
    h, w, samples = sheet.shape
    stored = sheet.dtype.newbyteorder(sheet.byteorder)
    rows = max(1, min(h, STRIP_BYTES // max(1, w * samples * stored.itemsize)))
    predicted = compressed and sheet.dtype.kind in "iu"
    colours = samples - len(sheet.extra)
    options: dict[str, Any] = {}
    if samples > 1:
        options["planarconfig"] = "contig"
    if sheet.extra:
        options["extrasamples"] = sheet.extra
    if compressed:
        options |= {"compression": "zlib", "predictor": 2 if predicted else None}
    if sheet.resolution is not None:
        options |= {"resolution": sheet.resolution, "resolutionunit": "CENTIMETER"}
    elif sheet.scale is not None:
        options |= {"resolution": sheet.scale, "resolutionunit": "NONE"}
    writer.write(
        (_encoded(strip, stored, predicted, compressed) for strip in _even(sheet.strips, rows)),
        shape=(h, w) if samples == 1 else (h, w, samples),
        dtype=stored,
        photometric="rgb" if sheet.rgb and colours == 3 else "minisblack",
        rowsperstrip=rows,
        description=sheet.description.encode() or None,
        iccprofile=sheet.profile,
        extratags=[(tag.code, tag.dtype, tag.count, tag.value, True) for tag in sheet.tags],
        software=False,
        metadata=None,
        contiguous=False,
        **options,
    )


def _even(strips: Iterable[Array], rows: int) -> Iterator[Array]:
    """The same rows in strips of `rows` each, but for the last."""
    rest: list[Array] = []
    held = 0
    for strip in strips:
        rest.append(strip)
        held += len(strip)
        if held < rows:
            continue
        whole = np.concatenate(rest) if len(rest) > 1 else strip
        end = held // rows * rows
        for first in range(0, end, rows):
            yield whole[first : first + rows]
        rest, held = ([whole[end:]], held - end) if end < held else ([], 0)
    if held:
        yield np.concatenate(rest)


def _encoded(strip: Array, dtype: np.dtype[Any], predicted: bool, compressed: bool) -> bytes:
    """The bytes of a strip; with a predictor, numbers are stored as differences across."""
    if predicted:
        differences = strip.copy()
        differences[:, 1:] -= strip[:, :-1]
        strip = differences
    data = np.ascontiguousarray(strip, dtype).tobytes()
    return zlib.compress(data, 6) if compressed else data
