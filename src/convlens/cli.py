"""The command line: turn what is typed into a plan, and carry the plan out on files.

Exit codes: 0, all is done; 1, some files could not be dealt with; 2, the command itself is wrong,
and nothing was done; 130, interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import getdoc
from itertools import accumulate
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar
from warnings import catch_warnings

import click
import numpy as np
from tqdm import tqdm

from convlens import __version__, files, filters, pictures, spelling
from convlens.arguments import PAD_MODES, POOL_MODES, SPACES, ChannelsWarning
from convlens.core.problem import Array, Spec
from convlens.execute.files import open_array
from convlens.operations import plan_convolve, plan_pool
from convlens.plan import Plan, execute_file

Command = TypeVar("Command", bound=Callable[..., Any])

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done to every file: how to plan it for given images, and the kernels, if any."""

    plan: Callable[[Any], Plan]
    kernels: Array | tuple[int, ...] | None = None

    def planned(self, spec: Spec) -> Plan:
        """The plan for images of this shape and type, made without their numbers."""
        if spec.nbytes >= 2**63:
            size = "x".join(map(str, spec.shape))
            raise ValueError(
                f"no array is as large as {size} {spec.dtype}: {spec.nbytes:.3g} bytes"
            )
        return self.plan(np.broadcast_to(np.zeros((), spec.dtype), spec.shape))

    def layout(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """A picture's shape for the call: gray gets a channel axis if the kernels have channels."""
        kernels = self.kernels.shape if isinstance(self.kernels, np.ndarray) else self.kernels
        return (*picture, 1) if len(picture) == 3 and len(kernels or ()) > 2 else picture


def convolution(kernels: Any, padding: Any, stride: Any, **options: Any) -> Operation:
    """The operation of `convlens apply`."""
    return Operation(
        lambda images: plan_convolve(images, kernels, padding, stride, **options), kernels
    )


def pooling(window: Any, stride: Any, mode: Any, **options: Any) -> Operation:
    """The operation of `convlens pool`."""
    return Operation(lambda images: plan_pool(images, window, stride, mode, **options))


# --------------------------------------------------------------------- what is typed


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
    spelling.numbers,
    {
        1: "a number, as signals have one axis",
        2: "a number, or two: down,across",
        3: "a number, or three: along the depth,down,across",
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
PATH = click.Path(path_type=Path)


def options(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Make one decorator of several options, which --help shows in this order."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def window_options(
    padding: str, stride: int | None, pad_mode: str | None, held: str
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
            default=pad_mode,
            show_default=pad_mode is not None,
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
    window_options("same", 1, "constant", "What the padding holds."),
    click.option(
        "--groups", type=int, default=1, show_default=True, help="Groups of channels and kernels."
    ),
    click.option("--dtype", type=DTYPE, metavar="DTYPE", help="Type of the results, as in NumPy."),
)
pool_options = options(
    click.option(
        "--mode",
        type=click.Choice(POOL_MODES),
        default="max",
        show_default=True,
        help="What is kept.",
    ),
    window_options(
        *("valid", None, None),
        "What the padding holds: then it counts like pixels. By default it holds nothing.",
    ),
    click.option(
        "--count-padding", is_flag=True, help="Count the padding in an average, as zeros."
    ),
    click.option("--partial", is_flag=True, help="Keep windows that hang over the far edges."),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
force_option = click.option("--force", is_flag=True, help="Overwrite outputs that exist.")
file_options = options(
    click.option(
        "-o",
        "--output",
        type=PATH,
        required=True,
        help="The file to write; for several inputs, the folder.",
    ),
    click.option(
        "--map",
        "how",
        type=click.Choice(pictures.MAPS),
        default="clip",
        show_default=True,
        help="How results become pixels: cut off, stretched from the least to the largest, or "
        "without their signs.",
    ),
    force_option,
    json_option,
)
inputs_argument = click.argument("inputs", nargs=-1, required=True, type=PATH, metavar="INPUT...")
window_argument = click.argument("window", type=NUMBERS, metavar="WINDOW")
filter_argument = click.argument("filter_", metavar="FILTER")
what_argument = click.argument("what", metavar="FILE|SHAPE")


# ----------------------------------------------------------------------- the commands


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
      convlens apply sobel_x photo.png -o edges.png --map absolute --pad-mode edge
      convlens apply sharpen holiday/ -o sharper/
      convlens apply kernels.npy images.npy -o features.npy --stride 2 --dtype float32
      convlens apply taps.txt signals.npy -o smooth.npy --space 1 --pad-mode edge
    """,
)
@filter_argument
@inputs_argument
@file_options
@convolve_options
def apply(
    filter_: str,
    inputs: Sequence[Path],
    output: Path,
    how: str,
    force: bool,
    as_json: bool,
    **rest: Any,
) -> int:
    """Convolve pictures, or .npy arrays of any size, with a filter.

    FILTER is a name, with parameters after a colon (`convlens filters` lists them), or a file of
    kernels: .npy, or rows of numbers in .txt or .csv. INPUT is a .png, .jpg, .tif, .webp or .npy
    file, or a folder of them. Kernels are not flipped.

    A picture's channels are filtered one by one; transparency is kept aside. An array may be larger
    than memory.
    """
    operation = convolution(spelling.kernel(filter_, rest["space"]), **rest)
    kernel_path = spelling.kernel_path(filter_)
    pairs = files.pair_up(inputs, output, force=force, also_read=kernel_path)
    check_space(rest["space"], [source for source, _ in pairs])
    return carry_out(operation, pairs, how, as_json)


@command.command(
    short_help="Keep the largest, smallest, mean or sum of each window.",
    epilog="""\b
    Examples:
      convlens pool 2 photo.png -o half.png --mode avg
      convlens pool 3,3 images.npy -o pooled.npy --stride 2 --padding same
      convlens pool 2 volume.npy -o half.npy --space 3 --mode avg
    """,
)
@window_argument
@inputs_argument
@file_options
@pool_options
def pool(
    window: Any,
    inputs: Sequence[Path],
    output: Path,
    how: str,
    force: bool,
    as_json: bool,
    **rest: Any,
) -> int:
    """Keep the largest, smallest, mean or sum of each WINDOW: N, V,H, or D,V,H for volumes.

    INPUT is a .png, .jpg, .tif, .webp or .npy file, or a folder of them. An array may be larger
    than memory.
    """
    pairs = files.pair_up(inputs, output, force=force)
    check_space(rest["space"], [source for source, _ in pairs])
    return carry_out(pooling(window, **rest), pairs, how, as_json)


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
@convolve_options
@json_option
def explain_apply(filter_: str, what: str, as_json: bool, **rest: Any) -> None:
    """Explain a convolution of a file, or of a SHAPE such as 1000x28x28:uint8.

    FILTER may be a shape as well, such as 3x3. Shapes are of float64 unless they say otherwise.
    """
    space = rest["space"]
    kernels = spelling.shape(filter_, space) or spelling.kernel(filter_, space)
    show_plan(convolution(kernels, **rest), what, space, as_json)


@explain.command(
    "pool",
    epilog="""\b
    Example:
      convlens explain pool 2 1000x32x32x3:uint8 --mode avg
    """,
)
@window_argument
@what_argument
@pool_options
@json_option
def explain_pool(window: Any, what: str, as_json: bool, **rest: Any) -> None:
    """Explain a pooling of a file, or of a SHAPE such as 1000x28x28:uint8."""
    show_plan(pooling(window, **rest), what, rest["space"], as_json)


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
    elif picture is not None:
        images = pictures.read(picture).pixels
    kernels = None if filter_ is None else spelling.kernel(filter_)
    # This is imported here because only this command needs it, and importing it takes time.
    from convlens.explorer import explore as page_of  # noqa: PLC0415

    page = page_of(images, kernels)
    click.echo(page.open() if output is None else page.save(output))


# -------------------------------------------------------------------------- the work


def carry_out(
    operation: Operation, pairs: Sequence[tuple[Path, Path]], how: str, as_json: bool
) -> int:
    """Process each file, and report; returns the exit code.

    A file that fails does not stop the others.
    """
    began = perf_counter()
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    warned: list[tuple[Path, str]] = []
    sizes = [source.stat().st_size if source.is_file() else 0 for source, _ in pairs]
    with tqdm(
        total=sum(sizes), unit="B", unit_scale=True, leave=False, disable=None, dynamic_ncols=True
    ) as bar:
        for (source, target), so_far in zip(pairs, accumulate(sizes), strict=True):
            bar.set_description(source.name)
            start = perf_counter()
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with catch_warnings(record=True, category=ChannelsWarning, action="always") as told:
                    made = to_file(operation, source, target, how, bar.update)
                warned += [(source, str(warning.message)) for warning in told]
            except (OSError, ValueError, TypeError, MemoryError) as error:
                failed.append({"input": str(source), "error": sentence(error, source)})
            else:
                seconds = round(perf_counter() - start, 3)
                done.append(
                    {
                        "input": str(source),
                        "output": str(target),
                        "shape": made.shape,
                        "dtype": str(made.dtype),
                        "seconds": seconds,
                    }
                )
            bar.update(so_far - bar.n)
    if as_json:
        show_json({"done": done, "failed": failed})
    elif len(pairs) == 1 and done:
        click.echo("{output}: {shape} {dtype}, in {seconds:.2f} s".format(**done[0]))
    elif done:
        folder, seconds = pairs[0][1].parent, perf_counter() - began
        click.echo(f"{folder}: {len(done)} of {len(pairs)} files, in {seconds:.2f} s")
    for path, warning in warned:
        complain(f"{path}: {warning}")
    for failure in failed:
        complain(f"{failure['input']}: {failure['error']}")
    return 1 if failed else 0


def to_file(
    operation: Operation, source: Path, target: Path, how: str, advance: Callable[[int], object]
) -> Spec:
    """Read one file and write the result; returns the shape and type of what was written."""
    kernels = operation.kernels if isinstance(operation.kernels, np.ndarray) else None
    if files.is_array(source):
        array = open_array(source)
        plan = operation.planned(array.spec)
        execute_file(plan, array, kernels, target, advance)
        return Spec(plan.output_shape, plan.output_dtype)
    picture = pictures.read(source)
    pictures.check_format(target, picture.pixels.dtype, alpha=picture.alpha is not None)
    images = picture.pixels.reshape(operation.layout(picture.pixels.shape))
    plan = operation.plan(images)
    channels = plan.output_shape[3] if len(plan.output_shape) == 4 else 1
    if channels not in (1, 3):
        raise ValueError(f"these kernels make {channels} channels, and a picture has 1 or 3")
    result = plan(images, kernels)
    made = pictures.with_result(picture, result, plan.problem.rows, plan.problem.columns, how)
    pictures.write(made, target)
    return Spec(made.pixels.shape[1:], made.pixels.dtype)


def check_space(space: int, sources: Sequence[Path]) -> None:
    """Refuse pictures where signals or volumes are meant."""
    picture = next((source for source in sources if not files.is_array(source)), None)
    if space != 2 and picture is not None:
        raise ValueError(
            f"{picture} is a picture, which has two spatial axes; got --space {space}: leave it "
            f"out, or give {SPACES[space].noun}s as .npy arrays"
        )


def show_plan(operation: Operation, what: str, space: int, as_json: bool) -> None:
    """Print the plan for a file, or for a shape, which may have a type."""
    size, _, dtype = what.partition(":")
    shape = spelling.shape(size, space)
    if shape is not None:
        spec = Spec(shape, np.dtype(dtype or np.float64))
    elif files.is_array(Path(what)):
        spec = open_array(Path(what)).spec
    else:
        check_space(space, [Path(what)])
        spec = pictures.spec(Path(what))
        spec = Spec(operation.layout(spec.shape), spec.dtype)
    with catch_warnings(category=ChannelsWarning, action="ignore"):  # the plan has it as a note
        plan = operation.planned(spec)
    if not as_json:
        click.echo(str(plan))
        return
    names = (
        *("operation", "output_shape", "padding", "stride", "dilation", "groups", "window"),
        *("windows", "multiply_adds", "bytes_moved", "method", "reason", "note"),
    )
    facts = {name: getattr(plan, name) for name in names}
    dtypes = {"input_dtype": str(spec.dtype), "output_dtype": str(plan.output_dtype)}
    show_json(facts | {"input_shape": spec.shape} | dtypes)


def drawn(kernel: Array) -> list[str]:
    """The lines that show a kernel (kh, kw) as a small picture with its numbers beside it."""
    if kernel.ndim != 2 or kernel.dtype.kind not in "iuf" or not np.isfinite(kernel).all():
        raise ValueError(
            f"only finite kernels (kh, kw) can be shown; got {kernel.shape} {kernel.dtype}"
        )
    shades = np.array(list(" ░▒▓█"))
    low, high = kernel.min(), kernel.max()
    levels = np.full(kernel.shape, 4)
    if high > low:
        levels = np.rint((kernel - low) / (high - low) * 4).astype(int)
    whole = kernel.dtype.kind != "f"
    numbers = [[f"{n:d}" if whole else f"{n:.3f}" for n in row] for row in kernel.tolist()]
    width = max(len(number) for row in numbers for number in row)
    return [
        "".join(shade * 2 for shade in shades[row])
        + "   "
        + " ".join(f"{n:>{width}}" for n in line)
        for row, line in zip(levels, numbers, strict=True)
    ]


# ------------------------------------------------------------------ words and the end


def sentence(error: BaseException, source: Path | None = None) -> str:
    """Describe an error in one line, naming the file unless it is the `source`."""
    if isinstance(error, click.ClickException):
        words = error.format_message()
    elif isinstance(error, OSError) and error.strerror:
        other = error.filename is not None and str(error.filename) != str(source)
        words = f"{error.filename}: {error.strerror}" if other else error.strerror
    else:
        words = str(error) or type(error).__name__
    return " ".join(words.split())


def complain(message: str) -> None:
    """Print what is wrong on standard error."""
    click.echo(f"convlens: {message}", err=True)


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; a user's mistakes give a sentence, no traceback.

    Parameters
    ----------
    arguments : sequence of str, optional
        What was typed after the command's name; by default the arguments of the process.

    Returns
    -------
    int
        0, 1, 2 or 130, which the module's docstring explains.

    Examples
    --------
    >>> run(["explain", "pool", "2", "10x28x28:uint8"])  # doctest: +ELLIPSIS
    pool      10 images of 28 x 28, the largest of each 2 x 2 window
    input     (10, 28, 28) uint8
    output    (10, 14, 14) uint8
    rows      (h + top + bottom - kh) // sh + 1 = (28 + 0 + 0 - 2) // 2 + 1 = 14
    columns   (w + left + right - kw) // sw + 1 = (28 + 0 + 0 - 2) // 2 + 1 = 14
    padding   none
    windows   10 x 14 x 14 = 1,960, each of 2 x 2 = 4 taps
    work      7,840 comparisons
    memory    reads 7.84 kB, writes 1.96 kB
    method    ...
    0
    """
    try:
        return command.main(arguments, "convlens", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
    except click.ClickException as error:
        complain(sentence(error))
    except click.Abort:
        complain("interrupted; no file is half written")
        return INTERRUPTED
    except (OSError, ValueError, TypeError) as error:
        complain(sentence(error))
    return 2
