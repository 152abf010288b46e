"""The commands: what each takes, and what it says of itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from inspect import getdoc
from pathlib import Path
from typing import Any

import click
import numpy as np

from convlens import __version__, files, filters, pictures, spelling
from convlens.cli import streams, work
from convlens.cli.filtering import Choices
from convlens.cli.operation import Operation
from convlens.cli.options import (
    PATH,
    convolve_options,
    file_options,
    filter_argument,
    force_option,
    inputs_argument,
    json_option,
    picture_options,
    pool_options,
    what_argument,
    window_argument,
)
from convlens.cli.words import drawn, show_json
from convlens.execute.stores import open_store

_HINT = (
    "pool kept the largest of each window, which brightens a picture; --mode avg makes it smaller "
    "as it is"
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""Exit codes: 0, all is done; 1, some files could not be dealt with; 2, the command is
    not right, and nothing was done; 130, interrupted.""",
)
@click.version_option(__version__, prog_name="convlens", message="%(prog)s %(version)s")
def command() -> None:
    """Convolution and pooling on pictures and on arrays of any size."""


@command.command(
    short_help="Convolve pictures or arrays with a filter.",
    epilog="""\b
    Examples:
      convlens apply gaussian:sigma=2 photo.jpg -o soft.png
      convlens apply sobel_x photo.png -o edges.png
      convlens apply sharpen holiday/ -o sharper/
      convlens apply kernels.npy images.npy -o features.npy --stride 2 --dtype float32
      convlens apply taps.txt signals.npy -o smooth.npy --space 1 --pad-mode edge
    """,
)
@filter_argument
@inputs_argument
@file_options
@convolve_options
def apply(filter_: str, inputs: Sequence[Path], output: str, **rest: Any) -> int:
    """Convolve pictures, or arrays of any size, with a filter.

    FILTER is a name, with parameters after a colon (`convlens filters` lists them), or a file of
    kernels: .npy, or rows of numbers in .txt or .csv. INPUT is a .png, .jpg, .tif, .webp, .gif or
    .npy file, a Zarr store, a folder of them, or - for standard input. Kernels are not flipped.

    A picture's channels are filtered one by one, weighed by its transparency; beyond its borders,
    the nearest pixel repeats. Pictures and arrays may be larger than memory.
    """
    kernels = spelling.kernel(filter_, rest["space"])
    kernel_path = spelling.kernel_path(filter_)
    return _process(Operation(kernels, {}), inputs, output, kernel_path, rest)


@command.command(
    short_help="Keep the largest, smallest, mean or sum of each window.",
    epilog="""\b
    Examples:
      convlens pool 2 photo.png -o half.png --mode avg
      convlens pool 3,3 images.npy -o pooled.npy --stride 2 --padding same
      convlens pool 2 volume.npy -o half.npy --space 3 --mode avg
      convlens pool 2 scans.zarr -o half.zarr --space 3 --mode avg
    """,
)
@window_argument
@inputs_argument
@file_options
@pool_options
def pool(window: Any, inputs: Sequence[Path], output: str, **rest: Any) -> int:
    """Keep the largest, smallest, mean or sum of each WINDOW: N, V,H, or D,V,H for volumes.

    INPUT is a .png, .jpg, .tif, .webp, .gif or .npy file, a Zarr store, a folder of them, or - for
    standard input. Pictures and arrays may be larger than memory.

    To make a picture smaller, give --mode avg: the largest of each window brightens it.
    """
    unset = rest["mode"] is None
    operation = Operation(None, {"kernel_shape": window})
    rest["mode"] = rest["mode"] or "max"
    return _process(operation, inputs, output, None, rest, _HINT if unset else None)


def _process(
    operation: Operation,
    inputs: Sequence[Path],
    output: str,
    also_read: Path | None,
    rest: dict[str, Any],
    hint: str | None = None,
) -> int:
    """Do an operation to every input; returns the exit code."""
    if output == "-" and rest["as_json"]:
        raise ValueError("--json would be mixed with the result on standard output")
    skipped: list[str] = []
    force, recursive, as_json = (rest.pop(name) for name in ("force", "recursive", "as_json"))
    job = _job(operation, rest, hint)
    pairs = files.pair_up(
        *(inputs, Path(output)),
        force=force,
        also_read=also_read,
        folder=output.endswith(("/", os.sep)),
        recursive=recursive,
        skipped=skipped,
        suffix=None if job.format is None else f".{job.format}",
    )
    work.check_space(rest["space"], [source for source, _ in pairs])
    return work.carry_out(job, pairs, as_json, skipped)


def _job(operation: Operation, rest: dict[str, Any], hint: str | None = None) -> work.Job:
    """The job with these options; the choices for pictures are taken out of them."""
    choices = Choices(rest.pop("how", None), rest.pop("alpha"), rest.pop("page"))
    format_ = rest.pop("format_", None)
    operation = Operation(operation.kernels, {**operation.options, **rest})
    return work.Job(operation, choices, format_, hint)


@command.group(short_help="Say what apply or pool would compute.")
def explain() -> None:
    """Say what `apply` or `pool` would compute, how, and at what cost."""


@explain.command(
    "apply",
    epilog="""\b
    Examples:
      convlens explain apply gaussian:sigma=2 photo.jpg
      convlens explain apply 3x3x3x64 1000x32x32x3:float32 --stride 2
    """,
)
@filter_argument
@what_argument
@picture_options
@convolve_options
@json_option
def explain_apply(filter_: str, what: str, as_json: bool, **rest: Any) -> None:
    """Explain a convolution of a file, or of a SHAPE such as 1000x28x28:uint8.

    FILTER may be a shape as well, such as 3x3. Shapes are of float64 unless they say otherwise.
    """
    space = rest["space"]
    kernels = spelling.shape(filter_, space) or spelling.kernel(filter_, space)
    work.show_plan(_job(Operation(kernels, {}), rest), what, as_json)


@explain.command(
    "pool",
    epilog="""\b
    Example:
      convlens explain pool 2 1000x32x32x3:uint8 --mode avg
    """,
)
@window_argument
@what_argument
@picture_options
@pool_options
@json_option
def explain_pool(window: Any, what: str, as_json: bool, **rest: Any) -> None:
    """Explain a pooling of a file, or of a SHAPE such as 1000x28x28:uint8."""
    rest["mode"] = rest["mode"] or "max"
    work.show_plan(_job(Operation(None, {"kernel_shape": window}), rest), what, as_json)


@command.command(
    "filters",
    short_help="Show filters and their numbers.",
    epilog="""\b
    Examples:
      convlens filters
      convlens filters gaussian:sigma=0.7 sobel_x
    """,
)
@click.argument("names", nargs=-1, metavar="[FILTER]...")
@json_option
def list_filters(names: Sequence[str], as_json: bool) -> None:
    """Show filters: their parameters, their numbers, and what they look like.

    Each picture shows the smallest number darkest and the largest lightest.
    """
    kernels = {name: spelling.kernel(name) for name in names or filters.__all__}
    if as_json:
        show_json(
            [
                {"filter": name, "shape": kernel.shape, "kernel": kernel.tolist()}
                for name, kernel in kernels.items()
            ]
        )
        return
    pictured = {name: drawn(kernel) for name, kernel in kernels.items()}
    for name, lines in pictured.items():
        click.secho(name if names else spelling.described(name), bold=True)
        if not names:
            click.echo(f"  {(getdoc(getattr(filters, name)) or '').splitlines()[0]}")
        for line in lines:
            click.echo(f"  {line}")
        click.echo()


@command.command(
    short_help="Watch a filter at work, in the browser.",
    epilog="""\b
    Examples:
      convlens explore photo.jpg
      convlens explore photo.jpg --filter laplacian -o laplacian.html
    """,
)
@click.argument("picture", required=False, type=PATH, metavar="[FILE]")
@click.option("--filter", "filter_", metavar="FILTER", help="The filter that the page begins with.")
@click.option("-o", "--output", type=PATH, help="Write the page to this .html file; open nothing.")
@force_option
def explore(picture: Path | None, filter_: str | None, output: Path | None, force: bool) -> None:
    """Open a page on which a filter can be watched sliding over a picture, number by number.

    FILE is a picture, or a small .npy array; without it the page shows pictures of its own. FILTER
    is a name with parameters, or a file of kernels, as for `apply`.
    """
    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"the page's name must end in .html; got {output}")
    if output is not None and output.exists() and not force:
        raise ValueError(f"{output} exists; --force overwrites it")
    images = None
    if picture is not None and files.is_array(picture):
        images = np.load(picture, mmap_mode="r", allow_pickle=False)
    elif picture is not None and files.is_store(picture):
        images = open_store(picture).array[...]
    elif picture is not None:
        with streams.readable(picture) as file:
            first = pictures.pages(file)[0]
            values = first.rows()(0, first.shape[0])[:, :, : first.colours]
        images = values.reshape(first.spec.shape)
    kernels = None if filter_ is None else spelling.kernel(filter_)
    # This is imported here because only this command needs it, and importing it takes time.
    from convlens.explorer import explore as page_of  # noqa: PLC0415

    page = page_of(images, kernels)
    click.echo(page.open() if output is None else page.save(output))
