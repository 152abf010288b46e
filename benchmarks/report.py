"""Writes what was measured as the text of RESULTS.md."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cases import WANTED_OF_COURSE, Case
from contenders import Role
from files import WANTED as WANTED_OF_FILES
from files import FileRow
from race import Column, Result

HOW_TO_READ = """\
Times are medians in milliseconds: first the time into an array made before (`out=`, OpenCV's dst,
ONNX Runtime's IO binding; who has no such way is timed as it is), then in parentheses the time with
a new array for every result. *Ahead* is the time of the best peer over that of convlens: above 1x
convlens is faster. Every peer has its best layout, made before the time starts, and the same two
threads; all take turns, so that whatever else the machine does falls on everyone. Nobody was timed
whose answer was not right: whole numbers exactly, others within the error that float arithmetic
allows each sum, against float64.

*Of the floor* is the share of a time nothing could be much faster than: the larger of the bytes of
input and output over the memory's bandwidth, and the multiply-adds over the rate of a large matrix
product (for a gaussian: of a pass along each axis; for poolings: none). Arrays of
a few megabytes stay in the processor's cache, which is faster than memory; there it may pass 100%.
"""

NOTES = """\
Why rows fall short, and what was tried. Not all of it was timed on the processor above, so the
milliseconds of a note compare with each other, and not with the table's.
"""

TRICK = """\
OpenCV's functions take one image. A batch (m, h, w) in one piece of memory can be handed to them as
one image of m * h rows; the outputs whose windows lay on two images are thrown away afterwards. No
manual says so, and it needs care with borders, so it is not among the best peers above; but it is
what a loop costs beside it, and how far ahead convlens is of it.
"""

THREADS = """\
Milliseconds on one thread and on two, into an array made before, and how many times as fast two
are: 2x where the arithmetic takes the time, and less where the memory does.
"""

FILES = """\
Arrays streamed from one .npy file to another, as `convlens apply` and `convlens pool` do, in less
than 300 MB of memory; the system has the input in its cache, where the output goes as well. *In
memory* is the same call on arrays that are there already, into one made before; *the disk* is
reading the input and writing as many bytes as the result has, in blocks of 8 MB, and nothing else.
*Share* is the speed of streaming over the lesser of their speeds. Medians in milliseconds.
Copying to and from the system's cache is a processor's work too: two of them, both of which a call
in memory takes, need half of the disk's time and all of that in memory at the least.
"""


@dataclass
class Row:
    """A case and what came of it.

    Attributes
    ----------
    case : Case
    results : list of Result
        convlens first.
    floor : float
        Seconds.
    extra : dict of str to int
        Bytes beyond input and output, by contender.
    alone : dict of str to float
        Seconds on one thread, of convlens and of PyTorch's best layout.
    """

    case: Case
    results: list[Result]
    floor: float
    extra: dict[str, int] = field(default_factory=dict)
    alone: dict[str, float] = field(default_factory=dict)

    @property
    def ours(self) -> Result:
        """The result of convlens, which comes first."""
        return self.results[0]

    def best(self, role: Role, column: Column = "into") -> Result | None:
        """The fastest of a role that gave the right answer."""
        return _fastest((each for each in self.results if each.role == role), column)

    def fastest(self, library: str) -> Result | None:
        """The fastest of a library's ways that gave the right answer."""
        return _fastest(each for each in self.results if each.library == library)

    def ahead(self, role: Role = "peer", column: Column = "into") -> float | None:
        """The best contender's time over ours, if both are right."""
        best = self.best(role, column)
        if best is None or self.ours.fault:
            return None
        return best.seconds(column) / self.ours.seconds(column)

    @property
    def of_floor(self) -> float | None:
        """The floor's time over ours."""
        return None if self.ours.fault else self.floor / self.ours.seconds("into")

    @property
    def missed(self) -> list[str]:
        """The marks that the row misses. With new arrays the mark is to be ahead at all."""
        marks = [
            (self.ahead(), self.case.wanted, "best peer"),
            (self.ahead(column="fresh"), 1, "new arrays"),
        ]
        if self.case.wanted_of_floor:
            marks.append((self.of_floor, self.case.wanted_of_floor, "floor"))
        if self.case.course:
            marks.append((self.ahead("course"), WANTED_OF_COURSE, "course file"))
        found = ["wrong answer"] if self.ours.fault else []
        found += ["nobody to compare with"] if self.best("peer") is None else []
        return found + [what for value, mark, what in marks if value is not None and value < mark]


def _fastest(results: Iterable[Result], column: Column = "into") -> Result | None:
    """The fastest of those that gave the right answer."""
    right = (each for each in results if not each.fault)
    return min(right, key=lambda each: each.seconds(column), default=None)


def text(
    rows: list[Row],
    facts: list[str],
    missing: list[str],
    first_calls: dict[str, float],
    programs: dict[str, float],
    files: list[FileRow],
    *,
    growth: bool,
) -> str:
    """The whole page, without the parts that were not measured."""
    parts: list[str | None] = ["# How fast\n", "Made by `make bench`.\n", *facts]
    if missing:
        parts.append(f"\nNot installed, so left out: {', '.join(missing)}.\n")
    parts += ["", HOW_TO_READ]
    if rows:
        parts += [_summary(rows), _table(rows), _notes(rows)]
        parts += [_course(rows), _threads(rows), _tricks(rows), _memory(rows)]
    if first_calls or programs:
        parts.append(_processes(first_calls, programs))
    parts.append(_files(files))
    if growth:
        parts.append("## How time grows\n\n![Four panels of times on log scales](growth.png)\n")
    if rows:
        parts += [_faults(rows), _everyone(rows)]
    return "\n".join(part for part in parts if part is not None).rstrip() + "\n"


def _summary(rows: list[Row]) -> str:
    missed = [row for row in rows if row.missed]
    met = f"{len(rows) - len(missed)} of {len(rows)} rows meet every mark."
    return f"## Next to the best peer\n\n**{met}** The last column says which the others miss.\n"


def _table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        best, fresh = row.best("peer"), row.best("peer", "fresh")
        peer = "nobody"
        if best and fresh:
            peer = f"{_times(best.seconds('into'), fresh.seconds('fresh'))} {best.name}"
            if fresh is not best:
                peer += f" ({fresh.name})"
        floor = "" if row.of_floor is None else f"{row.of_floor:.0%}"
        if row.case.wanted_of_floor:
            floor += f" (wanted {row.case.wanted_of_floor:.0%})"
        lines.append(
            (
                row.case.name,
                ratio(row.ahead()),
                f"{row.case.wanted:g}x",
                ratio(row.ahead(column="fresh")),
                _both(row.ours),
                peer,
                floor,
                f"**missed**: {', '.join(row.missed)}" if row.missed else "met",
            )
        )
    head = ("case", "ahead", "wanted", "ahead, new arrays", "convlens", "best peer", "of the floor")
    return markdown((*head, "mark"), lines)


def _notes(rows: list[Row]) -> str | None:
    noted = [f"- **{row.case.name}**: {row.case.note}" for row in rows if row.case.note]
    return "\n".join([NOTES, *noted, ""]) if noted else None


def _course(rows: list[Row]) -> str | None:
    lines = []
    for row in rows:
        course = row.best("course")
        if course:
            ahead = row.ahead("course")
            lines.append((row.case.name, ratio(ahead), _both(row.ours), _both(course)))
    head = ("call", f"ahead, {WANTED_OF_COURSE:g}x wanted", "convlens", "the course file")
    return _section("The mains' calls next to the course files", "", head, lines)


def _threads(rows: list[Row]) -> str | None:
    lines = []
    for row in rows:
        cells = []
        for each in (row.ours, row.fastest("PyTorch")):
            alone = row.alone.get(each.name) if each else None
            if each is None or alone is None:
                cells.append("")
                continue
            both = each.seconds("into")
            times = f"{milliseconds(alone)} → {milliseconds(both)}"
            cells.append(f"{times}, {ratio(alone / both)}")
        if any(cells):
            lines.append((row.case.name, *cells))
    return _section("One thread and two", THREADS, ("case", "convlens", "PyTorch"), lines)


def _tricks(rows: list[Row]) -> str | None:
    lines = []
    for row in rows:
        trick = row.best("trick")
        if trick:
            values = ratio(row.ahead("trick")), _both(row.ours), _both(trick), trick.name
            lines.append((row.case.name, *values))
    head = ("case", "ahead", "convlens", "the trick", "which")
    return _section("A trick", TRICK, head, lines)


def _memory(rows: list[Row]) -> str | None:
    lines = []
    for row in rows:
        if row.extra:
            (_, ours), *peers = row.extra.items()
            peer = "".join(f"{_megabytes(size)} {name}" for name, size in peers)
            lines.append((row.case.name, _megabytes(ours), peer))
    about = "How far a new process's memory rises in a call, less the result's size, in MB.\n"
    head = ("case", "convlens", "the best peer")
    return _section("Memory beyond input and output", about, head, lines)


def _processes(first_calls: dict[str, float], programs: dict[str, float]) -> str:
    first = [(name, milliseconds(seconds)) for name, seconds in first_calls.items()]
    whole = [(name, milliseconds(seconds)) for name, seconds in programs.items()]
    return (
        "## In a new process\n\n"
        + markdown(("what happens first", "ms"), first)
        + "\nA whole process, `python -c` from start to result: 50,000 digits, one 3x3 kernel.\n\n"
        + markdown(("with", "ms"), whole)
    )


def _files(rows: list[FileRow]) -> str | None:
    lines = [
        (
            row.name,
            f"{row.read / 1e6:,.0f} and {row.written / 1e6:,.0f}",
            *(milliseconds(row.seconds[name]) for name in ("streamed", "memory", "disk")),
            f"{row.share:.0%}" + ", **missed**" * (row.share < WANTED_OF_FILES),
        )
        for row in rows
    ]
    share = f"share, {WANTED_OF_FILES:.0%} wanted"
    head = ("file", "MB read and written", "streamed", "in memory", "the disk", share)
    return _section("Files larger than memory", FILES, head, lines)


def _faults(rows: list[Row]) -> str | None:
    lines = [
        (row.case.name, each.name, each.fault) for row in rows for each in row.results if each.fault
    ]
    head = ("case", "contender", "what is wrong")
    return _section("Not timed: wrong answers", "", head, lines)


def _everyone(rows: list[Row]) -> str | None:
    lines = [
        (row.case.name if each is row.ours else "", each.name, _both(each))
        for row in rows
        for each in row.results
        if not each.fault
    ]
    about = "A time with ~ is of few calls: that contender was far behind.\n"
    return _section("Everyone", about, ("case", "contender", "ms"), lines)


def _section(
    title: str, about: str, head: Iterable[str], lines: Sequence[tuple[str, ...]]
) -> str | None:
    """A table under its title, if there is anything in it."""
    if not lines:
        return None
    return f"## {title}\n\n" + (f"{about}\n" if about else "") + markdown(head, lines)


def markdown(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    head = list(head)
    table = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in table)


def _both(result: Result) -> str:
    """A contender's two times, as the table shows them."""
    if result.fault:
        return "wrong answer"
    return "~" * result.outclassed + _times(result.seconds("into"), result.seconds("fresh"))


def _times(into: float, fresh: float) -> str:
    return f"{milliseconds(into)} ({milliseconds(fresh)})"


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, of three digits."""
    value = 1e3 * seconds
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"


def ratio(value: float | None) -> str:
    """How many times faster, of three digits."""
    if value is None:
        return ""
    return f"{value:.0f}x" if value >= 100 else f"{value:.2g}x" if value < 0.1 else f"{value:.2f}x"


def write_part(path: Path, part: str) -> None:
    """Write a part of a page, which begins with its heading; the page keeps its other parts."""
    heading = part.splitlines()[0]
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = {each.splitlines()[0]: each for each in re.split(r"^(?=# )", page, flags=re.M) if each}
    parts[heading] = part
    text = "\n".join(each.rstrip() + "\n" for each in parts.values())
    write_whole(path, lambda new: new.write_text(text, encoding="utf-8"))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that it appears under its name only when it is whole."""
    part = path.with_name(f".{path.name}.part")
    write(part)
    os.replace(part, path)
