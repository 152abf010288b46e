"""Which files a command reads and writes; each output is written completely or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

ARRAY = ".npy"
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
KINDS = f"{', '.join(PICTURES)} or {ARRAY}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write to a temporary file in the same folder, which replaces this one if all goes well.

    If anything fails, or is interrupted, the temporary file is removed and this one is unchanged.

    Parameters
    ----------
    path : pathlib.Path
        The file to be made or replaced. If it is a symbolic link, the file that it leads to is.

    Yields
    ------
    pathlib.Path
        The path to write to, in the same folder and with the same suffix.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "sums.txt")) as temporary:
    ...         _ = temporary.write_text("1800")
    ...     [path.name for path in Path(folder).iterdir()]
    ['sums.txt']
    """
    path = path.resolve()
    temporary = path.with_name(f".convlens-{token_hex(8)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_array(path: Path) -> bool:
    """Whether the name is that of an array; other names are taken for those of pictures."""
    return path.suffix.lower() == ARRAY


def pair_up(
    inputs: Sequence[Path], output: Path, *, force: bool, also_read: Path | None = None
) -> list[tuple[Path, Path]]:
    """Pair every file to be read with the file to be written from it.

    Parameters
    ----------
    inputs : sequence of pathlib.Path
        Files and folders. A folder stands for the pictures and arrays directly in it.
    output : pathlib.Path
        A file if there is one input and it is a file; else a folder, which need not exist.
    force : bool
        Whether outputs that exist may be replaced.
    also_read : pathlib.Path, optional
        Another file that is read, and so must not be written to.

    Returns
    -------
    list of (pathlib.Path, pathlib.Path)

    Raises
    ------
    ValueError
        If an output exists, is also an input, or would be written twice.
    """
    sources = [source for path in inputs for source in _files(path)]
    into_folder = len(inputs) > 1 or inputs[0].is_dir() or output.is_dir()
    if into_folder and (output.is_file() or output.suffix.lower() in (*PICTURES, ARRAY)):
        raise ValueError(
            f"several inputs need a folder to be written to; {output} is a file's name"
        )
    if not into_folder and not output.resolve().parent.is_dir():
        raise ValueError(f"there is no folder {output.parent} to write {output.name} in")
    pairs = [(source, output / source.name if into_folder else output) for source in sources]

    read = [*sources, *([also_read] if also_read else [])]
    read_files: set[object] = {path.resolve() for path in read}
    read_files |= {identity for path in read if (identity := _identity(path))}
    written: dict[Path, Path] = {}
    for source, target in pairs:
        _check_kinds(source, target)
        place = target.resolve()
        if place in read_files or _identity(target) in read_files:
            raise ValueError(f"{target} is read from; write to another file")
        if place in written:
            raise ValueError(f"{written[place]} and {source} would both be written to {target}")
        written[place] = source
        if target.is_dir():
            raise ValueError(f"{target} is a folder")
        if target.exists() and not force:
            raise ValueError(f"{target} exists; --force overwrites it")
    return pairs


def _files(path: Path) -> list[Path]:
    """The path itself, or the pictures and arrays in a folder."""
    if not path.is_dir():
        return [path]
    files = [file for file in path.iterdir() if file.suffix.lower() in (*PICTURES, ARRAY)]
    files = sorted(file for file in files if file.is_file() and not file.name.startswith("."))
    if not files:
        raise ValueError(f"there is no picture and no array in {path}: no file ends in {KINDS}")
    return files


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells whether two names are those of one file; None if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_kinds(source: Path, target: Path) -> None:
    """Refuse to make a picture from an array, or an array from a picture."""
    if target.suffix.lower() not in (*PICTURES, ARRAY) and source.name != target.name:
        raise ValueError(f"the output's name must end in {KINDS}; got {target}")
    if is_array(source) != is_array(target):
        kind = "an array (.npy)" if is_array(source) else "a picture"
        raise ValueError(f"{source} is {kind}, and {target} would not be")
