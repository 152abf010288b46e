"""Which files a command reads and writes; each output is written completely or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

ARRAY, STORE = ".npy", ".zarr"
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".gif")
NPZ = "holds several arrays: load it with numpy.load, and save one of them with numpy.save"
KINDS = f"{', '.join(PICTURES)}, {ARRAY} or {STORE}"
STREAM = Path("-")  # standard input or output
TEMPORARY = ".convlens-"  # how names of temporary files begin
_MOST_NAMES = 5  # of skipped files that are told by name


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write to a temporary file in the same folder, which replaces this one if all goes well.

    If anything fails, or is interrupted, the temporary file is removed and this one is unchanged.
    A file that is replaced hands on its permissions, and its owner where the system allows it.

    Parameters
    ----------
    path : pathlib.Path
        The file to be made or replaced. If it is a symbolic link, the file that it leads to is.

    Yields
    ------
    pathlib.Path
        The path to write to, in the same folder and with the same suffix. The file is there, empty.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "sums.txt")) as temporary:
    ...         _ = temporary.write_text("1800")
    ...     [path.name for path in Path(folder).iterdir()]
    ['sums.txt']
    """
    path = resolved(path)
    before = path.stat() if path.exists() else None
    with scratch(path, 0o666 if before is None else 0o600) as temporary:
        mode = temporary.stat().st_mode if before is None else before.st_mode
        yield temporary
        if before is not None and hasattr(os, "chown"):
            with suppress(PermissionError):
                os.chown(temporary, before.st_uid, before.st_gid)
        temporary.chmod(stat.S_IMODE(mode))
        temporary.replace(path)


@contextmanager
def scratch(path: Path, mode: int = 0o600) -> Iterator[Path]:
    """A file beside this one, empty and of the same suffix, which is removed at the end."""
    temporary = path.with_name(f"{TEMPORARY}{token_hex(8)}{path.suffix}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def resolved(path: Path) -> Path:
    """The path without symbolic links; those that lead in a circle stay."""
    return Path(os.path.realpath(path))


def is_array(path: Path) -> bool:
    """Whether the name is that of an array; other names are taken for those of pictures."""
    return path.suffix.lower() == ARRAY


def is_store(path: Path) -> bool:
    """Whether it is a folder that holds an array of Zarr's, or a group of them."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def kind_of(path: Path) -> str:
    """What a file is, or would be, by its name; a store also by what is in it."""
    if is_array(path):
        return "an array (.npy)"
    return "a Zarr store" if path.suffix.lower() == STORE or is_store(path) else "a picture"


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not is_store(path)


def pair_up(
    inputs: Sequence[Path],
    output: Path,
    *,
    force: bool,
    also_read: Path | None = None,
    folder: bool = False,
    recursive: bool = False,
    skipped: list[str] | None = None,
    suffix: str | None = None,
) -> list[tuple[Path, Path]]:
    """Pair every file to be read with the file to be written from it.

    Parameters
    ----------
    inputs : sequence of pathlib.Path
        Files, Zarr stores and folders, or `STREAM`. A folder stands for the pictures, arrays and
        stores in it.
    output : pathlib.Path
        A file if there is one input and it is a file; else a folder, which need not exist. A name
        without a suffix is that of a folder.
    force : bool
        Whether outputs that exist may be replaced.
    also_read : pathlib.Path, optional
        Another file that is read, and so must not be written to.
    folder : bool
        Whether the output must be a folder.
    recursive : bool
        Whether folders stand for what is in their subfolders, too.
    skipped : list of str, optional
        Sentences on what is skipped in folders are appended to it.
    suffix : str, optional
        What pictures in the output's folder end in; by default what they ended in before.

    Returns
    -------
    list of (pathlib.Path, pathlib.Path)

    Raises
    ------
    ValueError
        If an output exists, is also an input, may not be written, or would be written twice.
    """
    found = [entry for path in inputs for entry in _files(path, recursive, output, skipped)]
    sources = [source for source, _ in found]
    several = len(inputs) > 1 or _is_folder(inputs[0])
    named = output.suffix.lower() in (*PICTURES, ARRAY, STORE)
    folder = folder and output.suffix.lower() != STORE  # a shell may end a store's name with a /
    if several and STREAM in (output, *inputs):
        raise ValueError("standard input and output, -, take one picture or array")
    into_folder = output != STREAM and (
        several or folder or _is_folder(output) or (not output.suffix and not output.exists())
    )
    if into_folder and STREAM in inputs:
        raise ValueError(f"standard input needs a file's name to be written to; got {output}")
    if into_folder and (output.is_file() or named):
        raise ValueError(
            f"several inputs need a folder to be written to; {output} is a file's name"
        )
    if not into_folder and not resolved(output).parent.is_dir():
        raise ValueError(f"there is no folder {output.parent} to write {output.name} in")
    if into_folder and suffix is not None:
        found = [
            (source, under if kind_of(source) != "a picture" else under.with_suffix(suffix))
            for source, under in found
        ]
    pairs = [(source, output / under if into_folder else output) for source, under in found]
    _check(pairs, [*sources, *([also_read] if also_read else [])], force)
    return pairs


def _check(pairs: Sequence[tuple[Path, Path]], read: Sequence[Path], force: bool) -> None:
    """Refuse outputs that would harm a file."""
    read_files: set[object] = {resolved(path) for path in read if path != STREAM}
    read_files |= {identity for path in read if (identity := _identity(path))}
    around = {folder for path in read_files if isinstance(path, Path) for folder in path.parents}
    written: dict[Path, Path] = {}
    for source, target in pairs:
        if target == STREAM:
            if kind_of(source) == "a Zarr store":
                raise ValueError(f"standard output cannot be a Zarr store, as {source} is")
            continue
        if target.exists() and not target.is_file() and not target.is_dir():
            raise ValueError(
                f"{target} is a device or a pipe, not a file; -o - pipes the result on"
            )
        _check_kinds(source, target)
        place = resolved(target)
        if place in read_files or _identity(target) in read_files:
            raise ValueError(f"{target} is read from; write to another file")
        if not read_files.isdisjoint(place.parents) or (is_store(target) and place in around):
            raise ValueError(f"{target} lies in a store that is read from, or the store in it")
        if place in written:
            raise ValueError(f"{written[place]} and {source} would both be written to {target}")
        written[place] = source
        if _is_folder(target):
            raise ValueError(f"{target} is a folder")
        if not target.exists():
            if place.is_symlink():
                raise ValueError(f"{target} is a symbolic link that leads back to itself")
            continue
        if not force:
            raise ValueError(f"{target} exists; --force overwrites it")
        if not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise ValueError(f"{target} may not be written to: it is read-only")


def _files(
    path: Path, recursive: bool, output: Path, skipped: list[str] | None
) -> list[tuple[Path, Path]]:
    """The path itself, or what a folder stands for, each with its name in the output's folder."""
    if path == STREAM or not _is_folder(path):
        return [(path, Path(path.name))]
    found, others, folders = [], [], 0
    for place, subfolders, names in os.walk(path):
        here = Path(place)
        # The results of a run before, in a subfolder, are no inputs of the next.
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".") and resolved(here / name) != resolved(output)
        )
        stores = [name for name in subfolders if is_store(here / name)]
        found += [(here / name, (here / name).relative_to(path)) for name in stores]
        subfolders[:] = [name for name in subfolders if name not in stores]
        for name in sorted(names):
            if name.startswith("."):
                continue
            file = here / name
            if file.suffix.lower() in (*PICTURES, ARRAY) and file.is_file():
                found.append((file, file.relative_to(path)))
            else:
                others.append(str(file.relative_to(path)))
        if not recursive:
            folders = len(subfolders)
            break
    if skipped is not None and (folders or others):
        skipped.append(f"{path}: skipped {_listed(others, folders)}")
    if not found:
        raise ValueError(
            f"there is no picture and no array in {path}: no file ends in {KINDS}"
            + "; --recursive looks into its subfolders" * bool(folders)
        )
    return found


def _listed(names: Sequence[str], folders: int) -> str:
    """The names, or the first few of them, and the number of folders."""
    told = list(names[:_MOST_NAMES])
    if len(names) > len(told):
        told.append(f"{len(names) - len(told)} other files")
    if folders:
        noun = "1 subfolder" if folders == 1 else f"{folders} subfolders"
        told.append(f"{noun} (--recursive takes them)")
    return ", ".join(told)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells whether two names are those of one file; None if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_kinds(source: Path, target: Path) -> None:
    """Refuse to make one kind of file from another."""
    if source.suffix.lower() == ".npz":
        raise ValueError(f"{source} {NPZ}")
    if target.suffix.lower() not in (*PICTURES, ARRAY, STORE) and source.name != target.name:
        raise ValueError(f"the output's name must end in {KINDS}; got {target}")
    if source == STREAM and kind_of(target) == "a Zarr store":
        raise ValueError(f"standard input cannot be a Zarr store, which {target} would be")
    if source != STREAM and kind_of(source) != kind_of(target):
        raise ValueError(f"{source} is {kind_of(source)}, and {target} would not be")
