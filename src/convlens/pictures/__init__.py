"""Picture files, read and written row by row, with what they carry beside their pixels."""

from convlens.pictures.metadata import lost
from convlens.pictures.reading import NOT_READ, Picture, pages
from convlens.pictures.result import Result
from convlens.pictures.values import (
    MAPS,
    extent_of,
    middles,
    to_pixels,
    unweigh,
    weigh,
    weighed_dtype,
    weight,
)
from convlens.pictures.writing import FORMATS, check_format, check_size, write

__all__ = [
    "FORMATS",
    "MAPS",
    "NOT_READ",
    "Picture",
    "Result",
    "check_format",
    "check_size",
    "extent_of",
    "lost",
    "middles",
    "pages",
    "to_pixels",
    "unweigh",
    "weigh",
    "weighed_dtype",
    "weight",
    "write",
]
