"""Write pictures row by row: TIFF by itself, and the other formats with libvips."""

from __future__ import annotations

import os
import shutil
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from errno import ENOSPC
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from convlens.files import replacing, scratch
from convlens.pictures import exif, frames, metadata, tiff
from convlens.pictures.result import Result
from convlens.pictures.vips import pyvips

FORMATS = {  # by the suffix
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WebP",
    ".gif": "GIF",
}
_SAVING: dict[str, dict[str, Any]] = {
    "PNG": {},
    "JPEG": {"Q": 95},
    "WebP": {"lossless": True, "exact": True},
    "GIF": {},
}
_NEARLY_FULL = 2**20  # bytes of a disk that are left, where libvips does not say why it fails
_MOST = 2**31 - 1, 2**42  # rows or columns, and bytes, of what is still a picture
_RESOLUTION = (0x11A, 0x11B, 0x128)  # its tags in EXIF
_LARGE = 2**32 - 2**26  # bytes of pixels beyond which a TIFF is a BigTIFF


def check_format(
    kind: str, dtype: np.dtype[Any], colours: int, *, alpha: bool, pages: int = 1
) -> None:
    """Refuse a format that cannot hold such a picture without loss.

    Examples
    --------
    >>> check_format("JPEG", np.dtype(np.uint8), 3, alpha=False)
    >>> check_format("JPEG", np.dtype(np.uint8), 3, alpha=True)
    Traceback (most recent call last):
        ...
    ValueError: JPEG cannot hold transparency; write .png, .tif or .webp, or give --alpha ignore
    """
    if kind == "TIFF":
        return
    if pages > 1 and kind == "JPEG":
        raise ValueError(f"JPEG holds one picture, not {pages}; write .tif, .gif, .webp or .png")
    if pages > 1 and dtype == np.uint16 and kind == "PNG":
        raise ValueError("an animated PNG of 16 bits is not written; write .tif")
    if dtype == np.uint16 and kind != "PNG":
        raise ValueError(f"{kind} cannot hold 16 bits; write .png or .tif")
    if dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{kind} cannot hold {dtype}; write .tif")
    if colours not in (1, 3):
        raise ValueError(f"{kind} holds 1 or 3 channels, gray or RGB, not {colours}; write .tif")
    if alpha and kind == "JPEG":
        raise ValueError(
            "JPEG cannot hold transparency; write .png, .tif or .webp, or give --alpha ignore"
        )


def check_size(shape: tuple[int, ...], nbytes: int) -> None:
    """Refuse results that are too large for any format."""
    if max(shape) > _MOST[0] or nbytes > _MOST[1]:
        size = " x ".join(f"{n:,}" for n in shape[:2])
        raise ValueError(f"the result would have {size} pixels, too many for a picture")


def write(path: Path, kind: str, results: Iterable[Result], nbytes: int, *, several: bool) -> None:
    """Write a picture, completely or not at all.

    JPEG is written at quality 95, and GIF with up to 256 colours; the other formats lose nothing.

    Parameters
    ----------
    path : pathlib.Path
    kind : str
        "PNG", "JPEG", "TIFF", "WebP" or "GIF".
    results : iterable of Result
        The pages, which `check_format` has seen.
    nbytes : int
        The bytes of the pixels of all pages.
    several : bool
        Whether there are several pages.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the picture is too large for the format.
    """
    written: list[Result] = []
    with replacing(path) as temporary:
        if kind == "TIFF":
            sheets = (_sheet(result) for result in results)
            tiff.write(temporary, sheets, compressed=True, large=nbytes > _LARGE)
            return
        if kind == "PNG" and several:
            made = [np.concatenate(list(result.strips)) for result in _noted(results, written)]
            shown, loop = written[0].picture.times() or ([100] * len(made), 0)
            frames.write_png(temporary, made, shown, loop)
            return
        # libvips encodes from a file of bare pixels, so that nothing has to be held in memory.
        with scratch(temporary) as bare:
            free = shutil.disk_usage(bare.parent).free
            if nbytes > free:
                raise OSError(
                    f"the pixels take {nbytes:,} bytes meanwhile, and the disk has {free:,} left"
                )
            sheets = (_bare(result) for result in _noted(results, written))
            tiff.write(bare, sheets, compressed=False, large=nbytes > _LARGE)
            _encode(bare, temporary, kind, written)


def _noted(results: Iterable[Result], written: list[Result]) -> Iterator[Result]:
    for result in results:
        written.append(result)
        yield result


def _bare(result: Result) -> tiff.Sheet:
    extra = (tiff.UNASSOCIATED,) * result.alpha
    return tiff.Sheet(result.shape, result.dtype, result.colours == 3, extra, result.strips)


def _sheet(result: Result) -> tiff.Sheet:
    """The page of a TIFF, with what the picture carries."""
    picture = result.picture
    description, tags, byteorder = metadata.tags(result)
    rgb = result.colours >= 3 and (picture.rgb or result.colours == 3)
    beyond = result.colours - (3 if rgb else 1)
    extra = picture.tags.extra if picture.tags is not None else ()
    extra = (*(kind for kind in extra if kind != tiff.ASSOCIATED), *(0,) * beyond)[:beyond]
    return tiff.Sheet(
        *(result.shape, result.dtype, rgb, (*extra, *(tiff.UNASSOCIATED,) * result.alpha)),
        *(result.strips, metadata.resolution(result), metadata.scale(result), description),
        *(metadata.profile(result), tags, byteorder),
    )


def _encode(bare: Path, target: Path, kind: str, results: list[Result]) -> None:
    """Have libvips encode a file of bare pixels, with what the first page carries."""
    first = results[0]
    per_cm = metadata.resolution(first)
    with open(bare, "rb") as pixels, open(target, "r+b") as file:
        source = pyvips.Source.new_from_descriptor(pixels.fileno())
        image = pyvips.Image.new_from_source(source, "", access="sequential", n=len(results))
        across, down = per_cm or (10, 10)
        image = image.copy(xres=across / 10, yres=down / 10)
        image = metadata.described(image, first)
        if len(results) > 1:
            image = metadata.animated(image, first)
        keep = "xmp|iptc|icc|other" + "|exif" * bool(image.get_typeof("exif-data"))
        target_of = pyvips.Target.new_to_descriptor(file.fileno())
        save = getattr(image, f"{kind.lower()}save_target")
        _interruptibly(image, lambda: save(target_of, keep=keep, **_SAVING[kind]), kind, target)
        described = image.get_typeof("exif-data")
        if described and per_cm is None:
            _tell_no_resolution(file, kind)
    if kind == "PNG":
        kept = metadata.chunks(first.picture)
        _merge_chunks(target, bare, kept, resolution=per_cm is not None)
        shutil.copyfile(bare, target)
    elif kind == "JPEG" and not described:
        _tell_density(target, bare, per_cm)
        shutil.copyfile(bare, target)


def _interruptibly(image: Any, call: Callable[[], object], kind: str, path: Path) -> None:
    """Run a call of libvips on a thread, so that Ctrl-C and signals are seen meanwhile."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except pyvips.Error as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        thread.join()
    except BaseException:
        image.set_kill(True)
        thread.join()
        raise
    if failed:
        if shutil.disk_usage(path.parent).free < _NEARLY_FULL:
            raise OSError(ENOSPC, os.strerror(ENOSPC), str(path))
        reason = str(getattr(failed[0], "detail", failed[0])).strip().splitlines()[-1]
        raise ValueError(f"the picture cannot be written as {kind}: {reason}") from None


def _tell_no_resolution(file: BinaryIO, kind: str) -> None:
    """Take the resolution out of EXIF, where libvips makes one up."""
    place = exif.place(file, kind)
    if place is None:
        return
    file.seek(place.start)
    told = exif.without(file.read(place.length), _RESOLUTION)
    file.seek(place.start)
    file.write(told)
    if kind == "PNG":
        file.write(struct.pack(">I", zlib.crc32(place.name + told)))


def _tell_density(source: Path, target: Path, per_cm: tuple[float, float] | None) -> None:
    """Copy a JPEG with a header that has the resolution or none, as libvips tells it in EXIF alone.

    The header, JFIF, counts whole pixels in an inch.
    """
    across, down = (min(max(round(n * 2.54), 1), 65535) for n in per_cm or (0, 0))
    head = struct.pack(">5sHBHHBB", b"JFIF\0", 0x0101, per_cm is not None, across, down, 0, 0)
    with open(source, "rb") as file, open(target, "wb") as made:
        made.write(file.read(2) + b"\xff\xe0" + struct.pack(">H", 2 + len(head)) + head)
        shutil.copyfileobj(file, made)


def _merge_chunks(source: Path, target: Path, kept: list[bytes], *, resolution: bool) -> None:
    """Copy a PNG with these chunks in place of what libvips made of them, or of a resolution."""
    dropped = (
        {chunk[4:8] for chunk in kept} | {b"tEXt", b"zTXt"} | (set() if resolution else {b"pHYs"})
    )
    with open(source, "rb") as file, open(target, "wb") as made:
        made.write(frames.PNG_SIGNATURE)
        for chunk in frames.chunks(file):
            if chunk.name in dropped and not frames.is_xmp(file, chunk):
                continue
            file.seek(chunk.start - 8)
            made.write(file.read(chunk.length + 12))
            if chunk.name == b"IHDR":
                made.writelines(kept)
