"""Files of several pictures of which libvips sees the first alone: animated PNG, and MPO."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple
from warnings import catch_warnings

import numpy as np
from PIL import Image

from convlens.core.problem import Array

_LEAST = 30  # bytes that a frame takes at the least
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Chunk(NamedTuple):
    """A chunk of a PNG file: its name, and where its data lie."""

    name: bytes
    start: int
    length: int


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks of a PNG file, in order; the file may end early."""
    start = file.seek(len(PNG_SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        yield Chunk(name, start + 8, length)
        start = file.seek(start + 12 + length)


def is_xmp(file: BinaryIO, chunk: Chunk) -> bool:
    """Whether a chunk holds XMP, which libvips copies by itself."""
    file.seek(chunk.start)
    return chunk.name == b"iTXt" and file.read(17) == b"XML:com.adobe.xmp"


def count(path: Path, kind: str) -> int:
    """The number of frames of an animated PNG, or of pictures in a JPEG in the format MPO; else 1.

    Files that end early count as one picture, as they are refused when they are read.

    Raises
    ------
    ValueError
        If the file tells of more pictures than it has room for.
    """
    with open(path, "rb") as file:
        found = _png(file) if kind == "PNG" else _mpo(file)
        if found * _LEAST > file.seek(0, 2):
            raise ValueError(f"the picture is damaged: it tells of {found:,} pictures")
    return max(1, found)


def _png(file: BinaryIO) -> int:
    frames = before = 0
    for chunk in chunks(file):
        if chunk.name == b"acTL":
            file.seek(chunk.start)
            frames = int.from_bytes(file.read(4), "big")
        before += chunk.name == b"fcTL"
        if chunk.name == b"IDAT":
            break
    return frames + (frames > 0 and not before)  # the first picture may be no frame


def _mpo(file: BinaryIO) -> int:
    """The number of pictures that the index of an MPO file tells, in an APP2 segment."""
    file.seek(2)
    found = 1
    while len(head := file.read(4)) == 4:
        marker, length = struct.unpack(">HH", head)
        if not 0xFFE0 <= marker <= 0xFFEF and marker != 0xFFFE:
            break  # the picture begins
        data = file.read(length - 2)
        if marker == 0xFFE1 and b"GainMap" in data:
            return 1  # the other picture says how bright screens show this one
        if marker == 0xFFE2 and data.startswith(b"MPF\0"):
            found = tag(data[4:], 0xB001) or 1
    return found


def tag(ifd: bytes, code: int) -> int | None:
    """The number of a tag in the first directory of tags, as in TIFF; None if it is not there.

    It is the number itself or, of a tag that is larger, its place.
    """
    order = "<" if ifd[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", ifd, 4)
        (entries,) = struct.unpack_from(f"{order}H", ifd, first)
        for entry in range(entries):
            found, _, _, value = struct.unpack_from(f"{order}HHII", ifd, first + 2 + 12 * entry)
            if found == code:
                return int(value)
    except struct.error:
        pass
    return None


# ------------------------------------------------------------------- frames after the first


@contextmanager
def _shown(path: Path, number: int = 0) -> Iterator[Image.Image]:
    """The frame with this number, of which the first is 0."""
    try:
        with Image.open(path) as file:
            file.seek(number)
            yield file
    except (OSError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"frame {number + 1} is damaged, missing or too large: {error}") from None


def has_comment(path: Path) -> bool:
    """Whether a JPEG or a GIF has a comment, which libvips does not read."""
    with catch_warnings(action="ignore"):  # Pillow warns of large pictures
        try:
            with Image.open(path) as file:
                return "comment" in file.info
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return False


def size(path: Path, number: int) -> tuple[int, int]:
    """The size (h, w) of a frame."""
    with _shown(path, number) as frame:
        return frame.height, frame.width


def read(path: Path, number: int, channels: int) -> Array:
    """The pixels of a frame as it is shown, (h, w, channels) of 8 bits."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    with _shown(path, number) as frame:
        values: Array = np.asarray(frame.convert(mode))
    return values.reshape(*values.shape[:2], channels)


def times(path: Path, count: int) -> tuple[list[int], int]:
    """For how many milliseconds each frame of a PNG is shown, and how often all are, 0 for ever."""
    shown = []
    with _shown(path) as file:
        for number in range(count):
            file.seek(number)
            shown.append(int(file.info.get("duration", 100)))
        return shown, int(file.info.get("loop", 0))


def write_png(path: Path, pictures: list[Array], shown: list[int], loop: int) -> None:
    """Write an animated PNG, of pictures (h, w, channels) of 8 bits."""
    first, *others = (
        Image.fromarray(each[:, :, 0] if each.shape[2] == 1 else each) for each in pictures
    )
    options = {"duration": shown, "loop": loop, "blend": 0}
    first.save(path, "PNG", save_all=True, append_images=others, **options)
