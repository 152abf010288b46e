"""Where the EXIF of a file lies, and EXIF without some of its tags."""

from __future__ import annotations

import struct
from collections.abc import Container
from typing import BinaryIO

from convlens.pictures import frames


def place(file: BinaryIO, kind: str) -> frames.Chunk | None:
    """Where the EXIF of a PNG, a JPEG or a WebP file lies, with the name of its chunk."""
    if kind == "PNG":
        return next((chunk for chunk in frames.chunks(file) if chunk.name == b"eXIf"), None)
    start = file.seek(12 if kind == "WebP" else 2)
    while len(head := file.read(8)) == 8:
        if kind == "WebP":
            name, length = struct.unpack("<4sI", head)
            data, start = start + 8, start + 8 + length + length % 2
        else:
            name, length = head[:2], int.from_bytes(head[2:4], "big") - 2
            data, start = start + 4, start + 4 + length
        if name in (b"EXIF", b"\xff\xe1"):
            file.seek(data)
            begun = 6 if file.read(6) == b"Exif\0\0" else 0
            if begun or kind == "WebP":
                return frames.Chunk(name, data + begun, length - begun)
        if name == b"\xff\xda":  # the pixels begin
            break
        file.seek(start)
    return None


def without(ifd: bytes, codes: Container[int]) -> bytes:
    """The same bytes, but that the first directory of tags has none of these."""
    order = "<" if ifd[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", ifd, 4)
    (entries,) = struct.unpack_from(f"{order}H", ifd, first)
    end = first + 2 + 12 * entries
    tags = [ifd[at : at + 12] for at in range(first + 2, end, 12)]
    kept = [tag for tag in tags if struct.unpack_from(f"{order}H", tag)[0] not in codes]
    changed = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + ifd[end : end + 4]
    return ifd[:first] + changed.ljust(end + 4 - first, b"\0") + ifd[end + 4 :]
