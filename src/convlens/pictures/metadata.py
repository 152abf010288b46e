"""What a picture carries beside its pixels: what a result may keep, and what it loses."""

from __future__ import annotations

from typing import Any

from convlens.pictures import frames, tiff
from convlens.pictures.reading import Picture
from convlens.pictures.result import Result
from convlens.pictures.vips import pyvips

# Fields of libvips that results keep, and the format that takes them.
_FIELDS = {"exif-data": "EXIF", "icc-profile-data": "ICC", "xmp-data": "XMP", "iptc-data": "IPTC"}
_TAKES = {
    "PNG": {"EXIF", "ICC", "XMP", "text"},
    "JPEG": {"EXIF", "ICC", "XMP", "IPTC"},
    "WebP": {"EXIF", "ICC", "XMP"},
    "TIFF": {"ICC", "XMP", "IPTC"},
    "GIF": set(),
}
# Chunks of a PNG that stay true of a result.
_CHUNKS = {b"tEXt", b"zTXt", b"iTXt", b"gAMA", b"cHRM", b"sRGB", b"cICP"}
_NAMES = {700: "XMP", 33723: "IPTC", 34675: "ICC"}
_RPC = 50844
_GEOGRAPHIC = {33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, _RPC}


def profile(result: Result) -> bytes | None:
    """The colour profile, if it applies: one for three colours does not apply to gray."""
    image = result.picture.image
    if (result.colours >= 3) != result.picture.rgb or not image.get_typeof("icc-profile-data"):
        return None
    return bytes(image.get("icc-profile-data"))


def resolution(result: Result) -> tuple[float, float] | None:
    """Pixels of the result in a centimetre, across and down; None if the picture does not say."""
    picture = result.picture
    before = picture.tags.resolution if picture.tags is not None else _resolution(picture)
    return _thinned(before, result)


def scale(result: Result) -> tuple[float, float] | None:
    """Pixels of the result in a unit that is no length, across and down; None without one."""
    tags = result.picture.tags
    return None if tags is None else _thinned(tags.scale, result)


def _thinned(before: tuple[float, float] | None, result: Result) -> tuple[float, float] | None:
    """A resolution, when only some pixels in each direction are left."""
    return before and (before[0] / result.columns.stride, before[1] / result.rows.stride)


def _resolution(picture: Picture) -> tuple[float, float] | None:
    image = picture.image
    with open(picture.path, "rb") as file:
        told = image.get_typeof("exif-data") and _tells(bytes(image.get("exif-data")))
        if picture.kind == "PNG":
            for chunk in frames.chunks(file):
                if chunk.name == b"pHYs" and chunk.length == 9:
                    file.seek(chunk.start + 8)
                    told = told or file.read(1) == b"\1"
                if chunk.name == b"IDAT":
                    break
        elif picture.kind == "JPEG":
            head = file.read(14)
            told = told or (head[6:10] == b"JFIF" and head[13] != 0)
    return (image.xres * 10, image.yres * 10) if told else None


def _tells(exif: bytes) -> bool:
    """Whether EXIF has a resolution; libvips makes one up where there is none."""
    return frames.tag(exif.removeprefix(b"Exif\0\0"), 0x11A) is not None


def chunks(picture: Picture) -> list[bytes]:
    """The chunks of a PNG that its result keeps, each with its length and checksum."""
    if picture.kind != "PNG":
        return []
    kept = []
    with open(picture.path, "rb") as file:
        for chunk in frames.chunks(file):
            if chunk.name in _CHUNKS and not frames.is_xmp(file, chunk):
                file.seek(chunk.start - 8)
                kept.append(file.read(chunk.length + 12))
    return kept


def described(image: Any, result: Result) -> Any:
    """The image with the picture's EXIF, profile, XMP and IPTC, and nothing else."""
    image = image.copy()
    for name in image.get_fields():
        if name in ("image-description", "resolution-unit", "orientation"):
            image.remove(name)
    source = result.picture.image
    for name in _FIELDS:
        if source.get_typeof(name) and (name != "icc-profile-data" or profile(result)):
            image.set_type(source.get_typeof(name), name, source.get(name))
    if image.get_typeof("exif-data"):  # the pixels are upright already
        image.set_type(pyvips.GValue.gint_type, "orientation", 1)
    return image


def animated(image: Any, result: Result) -> Any:
    """The pages, which lie one above another, as frames with the times of the picture."""
    image.set_type(pyvips.GValue.gint_type, "page-height", result.shape[0])
    if times := result.picture.times():
        image.set_type(pyvips.GValue.array_int_type, "delay", times[0])
        image.set_type(pyvips.GValue.gint_type, "loop", times[1])
    return image


def tags(result: Result) -> tuple[str, list[tiff.Tag], tiff.ByteOrder]:
    """The description, the tags and the byte order of a result that is a TIFF."""
    page = result.picture.tags
    if page is None:
        return "", _from_fields(result.picture), "<"
    kept = [tag for tag in page.tags if tag.code != _RPC or result.stays]
    description = page.description if _describes(result) else ""
    moved = tiff.moved(kept, page.byteorder, result.rows, result.columns)
    return description, moved, page.byteorder


def _from_fields(picture: Picture) -> list[tiff.Tag]:
    """The XMP and IPTC of another format, as tags."""
    made = []
    for name, code in (("xmp-data", 700), ("iptc-data", 33723)):
        if picture.image.get_typeof(name):
            value = bytes(picture.image.get(name))
            made.append(tiff.Tag(code, 7, len(value), value))
    return made


def _describes(result: Result) -> bool:
    """Whether the description stays true; some programs write sizes and numbers of pages there."""
    page = result.picture.tags
    assert page is not None
    structured = page.description.startswith(tiff.STRUCTURED)
    return not structured or (result.stays and result.whole)


def lost(result: Result, kind: str) -> list[str]:
    """What the picture carries that its result in a format does not, in words."""
    takes, image, page = _TAKES[kind], result.picture.image, result.picture.tags
    gone = [
        word for field, word in _FIELDS.items() if image.get_typeof(field) and word not in takes
    ]
    texts = [name for name in image.get_fields() if name.startswith("png-comment-")]
    if texts and kind != "PNG":
        gone.append(_counted(len(texts), "text"))
    if image.get_typeof("icc-profile-data") and "ICC" in takes and not profile(result):
        gone.append("the ICC profile, which is for other colours")
    if result.picture.kind in ("JPEG", "GIF") and frames.has_comment(result.picture.path):
        gone.append("the comment")
    if kind == "GIF" and resolution(result):
        gone.append("the resolution")
    if page is None:
        return gone
    gone = [*(word for word in gone if word not in page.unkept), *page.unkept]
    if kind != "TIFF" and page.scale not in (None, (1, 1)):
        gone.append("the resolution, which has no unit,")
    if page.description and kind != "TIFF":
        gone.append("the description")
    elif page.description and not _describes(result):
        gone.append("the description, which is no longer true,")
    if kind == "TIFF":
        moved = any(tag.code == _RPC for tag in page.tags) and not result.stays
        return [*gone, "the RPC coefficients, which are no longer true,"] if moved else gone
    others = [tag for tag in page.tags if _NAMES.get(tag.code) not in takes]
    geographic = [tag for tag in others if tag.code in _GEOGRAPHIC]
    if geographic:
        gone.append("GeoTIFF's tags")
    if len(others) > len(geographic):
        gone.append(_counted(len(others) - len(geographic), "other tag" if geographic else "tag"))
    return gone


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number > 1)}"
