"""What may be typed: the options and arguments of the commands, and how their words are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from convlens import pictures, spelling
from convlens.arguments import PAD_MODES, POOL_MODES
from convlens.cli.filtering import ALPHAS

Command = TypeVar("Command", bound=Callable[..., Any])


class Typed(click.ParamType[Any]):
    """The type of an argument that a function of `convlens.spelling` reads.

    If `expected` differs with the number of spatial axes, the function takes this number, too.
    """

    def __init__(self, name: str, read: Callable[..., Any], expected: str | dict[int, str]) -> None:
        self.name, self.read, self.expected = name, read, expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text; a default, which is no text, is returned as it is."""
        if not isinstance(value, str):
            return value
        expected, space = self.expected, 2 if ctx is None else ctx.params.get("space", 2)
        try:
            if isinstance(expected, str):
                return self.read(value)
            expected = expected[space]
            return self.read(value, space)
        except (ValueError, TypeError):
            self.fail(f"expected {expected}; got {value!r}", param, ctx)


NUMBERS = Typed(
    "N or V,H",
    spelling.counts,
    {
        1: "a number, as signals have one axis (at least 1)",
        2: "a number, or two: down,across (each at least 1)",
        3: "a number, or three: along the depth,down,across (each at least 1)",
    },
)
PADDING = Typed(
    "padding",
    spelling.padding,
    {
        1: "same, valid, full, or one or two numbers: both sides or before,after",
        2: "same, valid, full, or one, two or four numbers: all, vertical,horizontal or "
        "top,bottom,left,right",
        3: "same, valid, full, or one, three or six numbers: all, depth,vertical,horizontal or "
        "front,back,top,bottom,left,right",
    },
)
NUMBER = Typed("number", spelling.number, "a number")
DTYPE = Typed("dtype", np.dtype, "a NumPy dtype, such as float32")
PAGE = Typed("page", spelling.page, "a page's number, from 1 on, or all")
PATH = click.Path(path_type=Path)


def options(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Make one decorator of several options, which --help shows in this order."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def window_options(
    padding: str, stride: int | None, held: str, held_by_default: str
) -> Callable[[Command], Command]:
    """The options for where windows lie, with the defaults of either `apply` or `pool`."""
    return options(
        click.option(
            "--space",
            type=click.IntRange(1, 3),
            default=2,
            show_default=True,
            is_eager=True,  # because the other options differ with it
            metavar="1|2|3",
            help="Spatial axes: 1 for signals, 2 for images and pictures, 3 for volumes.",
        ),
        click.option(
            "--padding",
            type=PADDING,
            default=padding,
            show_default=True,
            metavar="PADDING",
            help="same, valid, full, N, V,H or TOP,BOTTOM,LEFT,RIGHT: cells around the image. "
            "Volumes have three numbers or six, FRONT,BACK first, and signals BEFORE,AFTER.",
        ),
        click.option(
            "--pad-mode",
            type=click.Choice(PAD_MODES),
            default=None,
            show_default=held_by_default,
            help=held,
        ),
        click.option(
            "--pad-value",
            type=NUMBER,
            default=0,
            show_default=True,
            metavar="NUMBER",
            help="What the padding holds if --pad-mode is constant.",
        ),
        click.option(
            "--stride",
            type=NUMBERS,
            default=stride,
            show_default="the window's size" if stride is None else True,
            metavar="N|V,H|D,V,H",
            help="Pixels from one window to the next.",
        ),
        click.option(
            "--dilation",
            type=NUMBERS,
            default=1,
            show_default=True,
            metavar="N|V,H|D,V,H",
            help="Pixels from one tap of a window to the next.",
        ),
    )


convolve_options = options(
    window_options(
        *("same", 1, "What the padding holds."), "edge for pictures, constant for arrays"
    ),
    click.option(
        "--groups",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Groups of channels and kernels.",
    ),
    click.option("--dtype", type=DTYPE, metavar="DTYPE", help="Type of the results, as in NumPy."),
)
pool_options = options(
    click.option(
        "--mode",
        type=click.Choice(POOL_MODES),
        show_default="max",
        help="What is kept. To make a picture smaller, take avg: max brightens it.",
    ),
    window_options(
        *("valid", None, "What the padding holds: then it counts like pixels."), "nothing"
    ),
    click.option(
        "--count-padding", is_flag=True, help="Count the padding in an average, as zeros."
    ),
    click.option("--partial", is_flag=True, help="Keep windows that hang over the far edges."),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
force_option = click.option("--force", is_flag=True, help="Overwrite outputs that exist.")
picture_options = options(
    click.option(
        "--alpha",
        type=click.Choice(ALPHAS),
        default="weigh",
        show_default=True,
        help="Opacity of pictures: weighs the colours and is filtered too; is kept as it is; or is "
        "left out.",
    ),
    click.option(
        "--page",
        type=PAGE,
        metavar="N|all",
        help="Which page of a TIFF, or frame of a GIF, WebP, APNG or MPO, if it has several.",
    ),
)
file_options = options(
    click.option(
        "-o",
        "--output",
        type=click.Path(),  # a string: its last slash counts
        required=True,
        help="The file to write; for several inputs, the folder. - is standard output.",
    ),
    click.option(
        "--map",
        "how",
        type=click.Choice(pictures.MAPS),
        show_default="clip; absolute for kernels that sum to 0, which find edges",
        help="How results become pixels: cut off, stretched from the least to the largest, or "
        "without their signs.",
    ),
    picture_options,
    click.option(
        "--format",
        "format_",
        type=click.Choice(("png", "jpg", "tif", "webp", "gif")),
        show_default="as the output's name says, or the input",
        help="The format of pictures that are written.",
    ),
    click.option("--recursive", is_flag=True, help="Take folders with all their subfolders."),
    force_option,
    json_option,
)
inputs_argument = click.argument("inputs", nargs=-1, required=True, type=PATH, metavar="INPUT...")
window_argument = click.argument("window", type=NUMBERS, metavar="WINDOW")
filter_argument = click.argument("filter_", metavar="FILTER")
what_argument = click.argument("what", metavar="FILE|SHAPE")
