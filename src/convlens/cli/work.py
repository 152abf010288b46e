"""The work of the commands: each file read, filtered and written, or explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from time import perf_counter
from typing import Any
from warnings import catch_warnings

import click
import numpy as np
from tqdm import tqdm

from convlens import files, pictures, spelling
from convlens.arguments import SPACES, ChannelsWarning
from convlens.cli import streams
from convlens.cli.filtering import Choices, Filtered, Volume
from convlens.cli.operation import Operation
from convlens.cli.words import complain, sentence, show_json, shown
from convlens.core.problem import Spec
from convlens.execute.files import ArrayFile, open_array
from convlens.execute.stores import StoredArray, open_store
from convlens.plan import Plan, execute_file

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "WebP": ".webp", "GIF": ".gif"}
FORMATS = {suffix[1:]: kind for kind, suffix in _SUFFIXES.items()}
# What two cores do in a second, roughly: taps in vectors of float32, taps in NumPy, bytes moved.
_TAPS, _NUMPY_TAPS, _BYTES = 3e10, 1e8, 1e9
# The taps that take as long as an output of a transform, for each of those that share it, and as an
# output of a histogram that moves.
_TRANSFORM, _HISTOGRAM = 270, 4500
_LONG = 10  # seconds, beyond which `explain` tells of the time


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done to every file.

    Attributes
    ----------
    operation : Operation
    choices : Choices
    format : str or None
        The format of pictures, if it was asked for.
    hint : str or None
        What is said once if there was a picture.
    """

    operation: Operation
    choices: Choices
    format: str | None = None
    hint: str | None = None


@dataclass(slots=True)
class Report:
    """What was done, what failed, and what is to be said of it."""

    done: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def carry_out(
    job: Job, pairs: Sequence[tuple[Path, Path]], as_json: bool, skipped: Sequence[str] = ()
) -> int:
    """Process each file, and report; returns the exit code.

    A file that fails does not stop the others.
    """
    began = perf_counter()
    report = Report(said=list(skipped))
    sizes = [_size(source) for source, _ in pairs]
    with tqdm(
        total=sum(sizes), unit="B", unit_scale=True, leave=False, disable=None, dynamic_ncols=True
    ) as bar:
        for (source, target), so_far in zip(pairs, accumulate(sizes), strict=True):
            bar.set_description(shown(source.name))
            carry_out_one(job, source, target, report, bar.update)
            bar.update(so_far - bar.n)
    if job.hint is not None and any(each["picture"] for each in report.done):
        report.said.append(job.hint)
    to_stdout = pairs[0][1] == files.STREAM
    for each in report.done:
        del each["picture"]
    if as_json:
        show_json({"done": report.done, "failed": report.failed})
    elif len(pairs) == 1 and report.done and not to_stdout:
        click.echo(shown("{output}: {shape} {dtype}, in {seconds:.2f} s".format(**report.done[0])))
    elif report.done and not to_stdout:
        source, target = pairs[0]
        folder, seconds = target.parent, perf_counter() - began
        click.echo(shown(f"{folder}: {len(report.done)} of {len(pairs)} files, in {seconds:.2f} s"))
    for words in report.said:
        complain(words)
    for failure in report.failed:
        complain(f"{failure['input']}: {failure['error']}")
    return 1 if report.failed else 0


def _size(source: Path) -> int:
    """The bytes that progress is measured by."""
    if files.is_store(source):
        with suppress(OSError, ValueError):  # which are told when its turn comes
            return open_store(source).spec.nbytes
    return source.stat().st_size if source.is_file() else 0


def carry_out_one(
    job: Job, source: Path, target: Path, report: Report, advance: Callable[[int], object]
) -> None:
    """Process one file, and add to the report."""
    start = perf_counter()
    lost: list[str] = []
    try:
        with catch_warnings(record=True, category=ChannelsWarning, action="always") as told:
            made, picture = to_file(job, source, target, lost, advance)
        report.said += [f"{source}: {warning.message}" for warning in told]
    except BrokenPipeError:
        raise
    except (OSError, ValueError, TypeError, MemoryError) as error:
        words = shown(sentence(error, source, target))
        report.failed.append({"input": shown(source), "error": words})
        return
    if lost:
        report.said.append(f"{target}: leaves out {_joined(lost)} of {source.name}")
    report.done.append(
        {
            "input": shown(source),
            "output": shown(target),
            "shape": made.shape,
            "dtype": str(made.dtype),
            "seconds": round(perf_counter() - start, 3),
            "left_out": lost,
            "picture": picture,
        }
    )


def _joined(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def to_file(
    job: Job, source: Path, target: Path, lost: list[str], advance: Callable[[int], object]
) -> tuple[Spec, bool]:
    """Read one file and write the result.

    Returns the shape and type of what was written, and whether it is a picture.
    """
    operation = job.operation
    with streams.readable(source) as file:
        if (array := array_of(source, file)) is not None:
            plan = operation.planned(array.spec)
            with streams.writable(target, files.ARRAY) as path:
                execute_file(plan, array, operation.numbers, path, advance)
            return Spec(plan.output_shape, plan.output_dtype), False
        return picture_to_file(job, file, target, lost, advance), True


def array_of(source: Path, file: Path) -> ArrayFile | StoredArray | None:
    """The array in a file or a store; None if it is a picture."""
    if files.kind_of(source) == "a Zarr store":
        return open_store(file)
    return open_array(file) if streams.is_array(source, file) else None


def picture_to_file(
    job: Job,
    file: Path,
    target: Path,
    lost: list[str],
    advance: Callable[[int], object],
) -> Spec:
    """Filter a picture and write the result; returns its shape and type."""
    pages, size = chosen(pictures.pages(file), job), file.stat().st_size
    kind = format_of(job, target, pages[0])
    plan, results = filtered(job, pages, lambda share: advance(int(share * size / len(pages))))
    first, results = _peeked(results)
    shape, count = first.shape, plan.output_shape[1] if _is_volume(job) else len(pages)
    pictures.check_format(kind, first.dtype, first.colours, alpha=first.alpha, pages=count)
    pictures.check_size(shape, first.nbytes * count)
    lost += pictures.lost(first, kind)
    with streams.writable(target, _SUFFIXES[kind]) as path:
        pictures.write(path, kind, results, first.nbytes * count, several=count > 1)
    written = shape if shape[-1] > 1 else shape[:2]
    return Spec((count, *written) if count > 1 or _is_volume(job) else written, first.dtype)


def filtered(
    job: Job, pages: Sequence[pictures.Picture], advance: Callable[[float], object] = lambda _: None
) -> tuple[Plan, Iterator[pictures.Result]]:
    """The plan for the first of these pages, or for their volume, and the results of all."""
    if _is_volume(job):
        volume = Volume(job.operation, pages, job.choices)
        return volume.plan, volume.results()
    whole = len(pages) == pages[0].pages
    first = Filtered(job.operation, pages[0], job.choices, whole, advance)

    def results() -> Iterator[pictures.Result]:
        yield first.result()
        for page in pages[1:]:
            yield Filtered(job.operation, page, job.choices, whole, advance).result()

    return first.plan, results()


def _peeked(
    results: Iterator[pictures.Result],
) -> tuple[pictures.Result, Iterator[pictures.Result]]:
    """The first of some results, and all of them."""
    first = next(results)

    def every() -> Iterator[pictures.Result]:
        yield first
        yield from results

    return first, every()


def chosen(pages: Sequence[pictures.Picture], job: Job) -> Sequence[pictures.Picture]:
    """The pages that were asked for. A file that has several is never cut to one silently."""
    first, count, page = pages[0], len(pages), job.choices.page
    space = job.operation.options["space"]
    if space == 1:
        raise ValueError("it is a picture, which has two spatial axes; give signals as .npy arrays")
    if _is_volume(job):
        if page not in (None, "all"):
            raise ValueError(f"--space 3 takes all pages as one volume; leave --page {page} out")
        if count == 1:
            raise ValueError(
                "it is a picture, which has two spatial axes; got --space 3: leave it out, or give "
                "volumes as TIFF stacks or .npy arrays"
            )
        return pages
    if page is None and count > 1:
        volume = ", or --space 3 for a volume" * (first.kind == "TIFF")
        raise ValueError(
            f"the file holds {count} pictures: give --page N for one of them, or --page all{volume}"
        )
    if page in (None, "all"):
        return pages
    assert isinstance(page, int)
    if page > count:
        raise ValueError(f"there is no page {page}: the file holds {count}")
    return pages[page - 1 : page]


def _is_volume(job: Job) -> bool:
    return bool(job.operation.options["space"] == 3)


def format_of(job: Job, target: Path, page: pictures.Picture) -> str:
    """The format to write: as asked, as the name says, or for a stream that of the picture."""
    asked = None if job.format is None else FORMATS[job.format]
    if target == files.STREAM:
        return asked or page.kind
    named = pictures.FORMATS[target.suffix.lower()]
    if asked not in (None, named):
        raise ValueError(f"{target} is the name of a {named}; got --format {job.format}")
    return named


def check_space(space: int, sources: Sequence[Path]) -> None:
    """Refuse pictures where signals are meant, or volumes that are in one picture."""
    named = (*(suffix for suffix in files.PICTURES),)
    for source in sources:
        flat = space == 3 and source.suffix.lower() in (".png", ".jpg", ".jpeg")
        if (space == 1 and source.suffix.lower() in named) or flat:
            raise ValueError(
                f"{source} is a picture, which has two spatial axes; got --space {space}: leave it "
                f"out, or give {SPACES[space].noun}s as .npy arrays" + " or TIFF stacks" * flat
            )


def show_plan(job: Job, what: str, as_json: bool) -> None:
    """Print the plan for a file, or for a shape, which may have a type."""
    operation = job.operation
    space = operation.options["space"]
    size, _, dtype = what.partition(":")
    shape = spelling.shape(size, space)
    with catch_warnings(category=ChannelsWarning, action="ignore"):  # the plan has it as a note
        if shape is not None:
            plan, weighed = operation.planned(Spec(shape, np.dtype(dtype or np.float64))), False
            count = 1
        else:
            plan, weighed, count = plan_of_file(job, Path(what))
    if not as_json:
        click.echo(str(plan))
        if weighed:
            click.echo("opacity   weighs the colours, and is filtered as they are")
        if count > 1:
            click.echo(f"pages     {count}, each by itself")
        if (seconds := count * _seconds(plan)) > _LONG:
            click.echo(f"time      long: about {_duration(seconds)} on two cores, at a guess")
        return
    names = (
        *("operation", "output_shape", "padding", "stride", "dilation", "groups", "window"),
        *("windows", "multiply_adds", "bytes_moved", "method", "reason", "note"),
    )
    facts = {name: getattr(plan, name) for name in names}
    images = plan.problem.images
    dtypes = {"input_dtype": str(images.dtype), "output_dtype": str(plan.output_dtype)}
    show_json(facts | {"input_shape": images.shape} | dtypes)


def _seconds(plan: Plan) -> float:
    """How long a plan takes, roughly."""
    if plan.method == "numpy":
        computing = plan.multiply_adds / _NUMPY_TAPS
    else:
        computing = _taps(plan) / _TAPS * (2 if "in float64" in plan.reason else 1)
    return max(computing, plan.bytes_moved / _BYTES)


def _taps(plan: Plan) -> float:
    """How many taps in vectors take as long as a compiled plan; 0 if memory takes longer."""
    problem = plan.problem
    outputs = plan.windows * problem.output_channels
    if "Fourier transforms" in plan.reason:  # always in float64
        groups = max(1, problem.groups)
        depth, kernels = problem.channels // groups, problem.output_channels // groups
        return outputs * _TRANSFORM / 2 * (1 + depth / max(1, kernels) + depth / 4)
    if "by a histogram" in plan.reason:
        return outputs * _HISTOGRAM
    if "passes" in plan.reason:
        return outputs * sum(plan.window)
    return plan.multiply_adds if "vectors along" in plan.reason else 0


def _duration(seconds: float) -> str:
    """Seconds in a unit that suits them."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count:,} {unit}{'s' * (count != 1)}"
    return f"{seconds:.0f} seconds"


def plan_of_file(job: Job, path: Path) -> tuple[Plan, bool, int]:
    """The plan by which `apply` or `pool` would go about this file, or about each of its pages.

    With it come whether opacity weighs, and how many pages there are.
    """
    with streams.readable(path) as file:
        if (array := array_of(path, file)) is not None:
            return job.operation.planned(array.spec), False, 1
        check_space(job.operation.options["space"], [path])
        try:
            pages = chosen(pictures.pages(file), job)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        count = 1 if _is_volume(job) else len(pages)
        if isinstance(job.operation.kernels, tuple):  # a shape: opacity has no kernel
            layout = job.operation.on_pictures().layout
            return job.operation.on_pictures().planned(layout(pages[0].spec)), False, count
        return filtered(job, pages)[0], pages[0].alpha and job.choices.alpha == "weigh", count
