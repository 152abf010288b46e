"""How many pictures a PNG or a JPEG file holds; libvips sees the first alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

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

    Damaged files count as one picture, as they are refused when they are read.
    """
    with open(path, "rb") as file:
        found = _png(file) if kind == "PNG" else _mpo(file)
    return max(1, found)


def _png(file: BinaryIO) -> int:
    for chunk in chunks(file):
        if chunk.name == b"acTL" and chunk.length == 8:
            file.seek(chunk.start)
            data = file.read(4)
            return int.from_bytes(data, "big")
        if chunk.name == b"IDAT":
            break
    return 1


def _mpo(file: BinaryIO) -> int:
    """The number of pictures that the index of an MPO file tells, in an APP2 segment."""
    file.seek(2)
    while len(head := file.read(4)) == 4:
        marker, length = struct.unpack(">HH", head)
        if not 0xFFE0 <= marker <= 0xFFEF and marker != 0xFFFE:
            break  # the picture begins
        data = file.read(length - 2)
        if marker == 0xFFE2 and data.startswith(b"MPF\0"):
            return _pictures_in(data[4:])
    return 1


def _pictures_in(index: bytes) -> int:
    """The number of pictures that an MPO index tells; tag 0xB001 has it."""
    order = "<" if index[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", index, 4)
        (entries,) = struct.unpack_from(f"{order}H", index, first)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHII", index, first + 2 + 12 * entry)
            if tag == 0xB001:
                return int(value)
    except struct.error:
        pass
    return 1
