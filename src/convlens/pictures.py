"""Read and write pictures, PNG, JPEG, TIFF and WebP of 8 and 16 bits, with libvips.

libvips keeps every bit of all of these. Pillow, the usual choice, reads colours of 16 bits as 8.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convlens.core.axis import Axis
from convlens.core.problem import Array, Spec
from convlens.files import replacing

os.environ["VIPS_WARNING"] = "off"  # any value stops libvips from printing warnings of its own
import pyvips

pyvips.cache_set_max(0)  # without the cache, a file that has changed is read again
pyvips._remove_log_handler()  # libvips would call Python to log, and a Ctrl-C there would be lost

MAPS = ("clip", "stretch", "absolute")

_COLOURS = {"b-w", "grey16", "srgb", "rgb16"}  # libvips's names for gray and RGB
_NUMBERS: dict[str, np.dtype[Any]] = {"uchar": np.dtype(np.uint8), "ushort": np.dtype(np.uint16)}
_LOADERS = {"pngload", "jpegload", "tiffload", "webpload"}
_DESCRIPTIONS = ("exif-", "icc-profile-", "xmp-", "iptc-")  # metadata that results keep
_WRITING: dict[str, dict[str, Any]] = {
    ".jpg": {"Q": 95},
    ".jpeg": {"Q": 95},
    ".webp": {"lossless": True, "exact": True},
    ".tif": {"compression": "deflate", "predictor": "horizontal"},
    ".tiff": {"compression": "deflate", "predictor": "horizontal"},
}


@dataclass(frozen=True, slots=True)
class Picture:
    """The pixels of a picture, turned upright.

    Attributes
    ----------
    pixels : numpy.ndarray
        A batch of one, (1, h, w) gray or (1, h, w, 3) in colours; uint8 or uint16.
    alpha : numpy.ndarray or None
        The opacity, (h, w), of the same type.
    file : pyvips.Image
        The image that they were read from, which has the colour profile and the metadata.
    """

    pixels: Array
    alpha: Array | None
    file: Any


def spec(path: Path) -> Spec:
    """The shape and type of `Picture.pixels`, read from the beginning of the file."""
    image = _open(path)
    size = (1, image.height, image.width)
    return Spec(size if _colours(image) == 1 else (*size, 3), _NUMBERS[image.format])


def read(path: Path) -> Picture:
    """Read a picture, and turn it upright as its EXIF orientation says.

    Parameters
    ----------
    path : pathlib.Path
        A PNG, JPEG, TIFF or WebP file.

    Returns
    -------
    Picture

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it holds no picture, or one that is damaged or that cannot be kept without loss.
    """
    image = _open(path)
    try:
        values = image.numpy().reshape(image.height, image.width, image.bands)  # (h, w, bands)
    except pyvips.Error:
        raise ValueError("the picture is damaged or cut short") from None
    colours = _colours(image)
    alpha = values[:, :, -1] if image.hasalpha() else None
    pixels = values[np.newaxis, :, :, 0] if colours == 1 else values[np.newaxis, :, :, :colours]
    return Picture(pixels, alpha, image)


def write(picture: Picture, path: Path) -> None:
    """Write a picture, in the format of the path's suffix, completely or not at all.

    JPEG is written at quality 95; the other formats lose nothing. Problem `check_format` before, to
    know whether the format can hold the picture.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the picture is too large for the format.
    """
    bands = picture.pixels[0].reshape(*picture.pixels.shape[1:3], -1)  # (h, w, 1 or 3)
    colours = bands.shape[2]
    if picture.alpha is not None:
        bands = np.dstack([bands, picture.alpha])
    kind = ("b-w", "srgb") if bands.dtype == np.uint8 else ("grey16", "rgb16")
    image = pyvips.Image.new_from_array(
        np.ascontiguousarray(bands), interpretation=kind[colours > 1]
    ).copy(xres=picture.file.xres, yres=picture.file.yres)
    for name in picture.file.get_fields():
        # A profile says what the colours mean, and one for three colours does not apply to gray.
        if name.startswith("icc-") and colours != _colours(picture.file):
            continue
        if name.startswith(_DESCRIPTIONS):
            image.set_type(picture.file.get_typeof(name), name, picture.file.get(name))
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)  # the pixels are upright already
    suffix = path.suffix.lower()
    try:
        data = image.write_to_buffer(suffix, **_WRITING.get(suffix, {}))
    except pyvips.Error as error:
        reason = str(error.detail).strip().splitlines()[-1]
        raise ValueError(f"the picture cannot be written as {suffix}: {reason}") from None
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def check_format(path: Path, dtype: np.dtype[Any], *, alpha: bool) -> None:
    """Refuse a format that cannot hold such a picture without loss.

    Examples
    --------
    >>> check_format(Path("photo.jpg"), np.dtype(np.uint8), alpha=False)
    >>> check_format(Path("photo.jpg"), np.dtype(np.uint8), alpha=True)
    Traceback (most recent call last):
        ...
    ValueError: a .jpg file cannot hold transparency; write a .png, .tif or .webp
    """
    suffix = path.suffix.lower()
    if dtype == np.uint16 and suffix not in (".png", ".tif", ".tiff"):
        raise ValueError(f"a {suffix} file cannot hold 16 bits; write a .png or .tif")
    if alpha and suffix in (".jpg", ".jpeg"):
        raise ValueError(f"a {suffix} file cannot hold transparency; write a .png, .tif or .webp")


def with_result(picture: Picture, result: Array, rows: Axis, columns: Axis, how: str) -> Picture:
    """The picture that results from a convolution or pooling of another.

    Parameters
    ----------
    picture : Picture
        The picture before.
    result : numpy.ndarray
        (1, oh, ow) or (1, oh, ow, 1 or 3), of any real type.
    rows, columns : Axis
        Where the windows lie. Alpha takes no part in the computation: a result has the alpha of the
        pixel in the middle of its window.
    how : {"clip", "stretch", "absolute"}
        As in `to_pixels`.
    """
    alpha = picture.alpha
    if alpha is not None:
        alpha = alpha[np.ix_(_middles(rows), _middles(columns))]  # (oh, ow)
    pixels = to_pixels(result, picture.pixels.dtype, how)
    return replace(picture, pixels=pixels, alpha=alpha)


def to_pixels(values: Array, dtype: np.dtype[Any], how: str) -> Array:
    """Turn numbers into pixels: integers between 0 and the largest value of their type.

    Parameters
    ----------
    values : numpy.ndarray
        Real numbers.
    dtype : numpy.dtype
        uint8 or uint16.
    how : {"clip", "stretch", "absolute"}
        "clip" replaces values beyond the limits by the nearest one. "stretch" maps the smallest
        value to black and the largest to white, and those between in proportion; if all are equal
        they become black. "absolute" takes absolute values and then clips them.

    Returns
    -------
    numpy.ndarray
        Of the same shape, and of `dtype`.

    Raises
    ------
    ValueError
        If the numbers are complex, or include NaN or inf.

    Examples
    --------
    >>> for how in MAPS:
    ...     print(to_pixels(np.array([-510, 0, 255, 510]), np.dtype(np.uint8), how))
    [  0   0 255 255]
    [  0 128 191 255]
    [255   0 255 255]
    """
    if values.dtype.kind == "c":
        raise ValueError("complex results make no picture; use an array (.npy)")
    if not np.isfinite(values).all():
        raise ValueError("the results hold NaN or inf, which make no picture; use an array (.npy)")
    largest = np.iinfo(dtype).max
    if how == "absolute":
        values = np.abs(values)
    elif how == "stretch":
        low, high = float(values.min()), float(values.max())
        values = (values - low) * (largest / (high - low) if high > low else 0)
    pixels: Array = np.rint(np.clip(values, 0, largest)).astype(dtype)
    return pixels


def _open(path: Path) -> Any:
    """Open the file as an upright libvips image, whose pixels are read later."""
    with open(path, "rb"):  # raises the system's own error if the file cannot be opened
        pass
    try:
        image = pyvips.Image.new_from_file(str(path), fail_on="error").autorot()
        known = image.get("vips-loader") in _LOADERS
    except pyvips.Error:
        known = False
    if not known:
        raise ValueError("not a PNG, JPEG, TIFF or WebP picture, or a damaged one")
    if image.get_typeof("n-pages") and image.get("n-pages") > 1:
        raise ValueError(f"the file holds {image.get('n-pages')} pictures; one was expected")
    if image.interpretation not in _COLOURS or image.format not in _NUMBERS:
        raise ValueError(
            f"the picture's numbers are {image.interpretation} of type {image.format}; convert it "
            "to gray or RGB of 8 or 16 bits first"
        )
    return image


def _colours(image: Any) -> int:
    return int(image.bands - image.hasalpha())


def _middles(axis: Axis) -> list[int]:
    """The pixel in the middle of each output's window, or the nearest pixel to it."""
    first = (axis.reach - 1) // 2 - axis.before
    return [
        min(max(first + output * axis.stride, 0), axis.size - 1) for output in range(axis.outputs)
    ]
