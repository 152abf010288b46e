"""Standard input and output, and pipes with names: they are copied from and to files."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from convlens import files

_MAGIC = b"\x93NUMPY"


@contextmanager
def _temporary(suffix: str) -> Iterator[Path]:
    """The path of a file to be made, in a folder that is removed at the end."""
    with TemporaryDirectory(prefix="convlens-") as folder:
        yield Path(folder, f"copy{suffix}")


@contextmanager
def readable(source: Path) -> Iterator[Path]:
    """The path of a file that can be read again and again: the source itself, or a copy.

    Standard input and pipes are copied, which Python does, so that Ctrl-C is seen meanwhile.

    Raises
    ------
    OSError
        If the source cannot be opened.
    ValueError
        If it is a device or a folder, or standard input is a terminal.
    """
    if source != files.STREAM:
        if files.is_store(source):
            yield source
            return
        mode = source.stat().st_mode
        if stat.S_ISREG(mode):
            yield source
            return
        if not stat.S_ISFIFO(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a device or a socket, not a file"
            raise ValueError(f"it is {kind}")
    elif sys.stdin.isatty():
        raise ValueError("standard input is a terminal: pipe a picture or an array into it")
    with _temporary(source.suffix) as copy, open(copy, "wb") as file:
        if source == files.STREAM:
            shutil.copyfileobj(sys.stdin.buffer, file)
        else:
            with open(source, "rb") as pipe:
                shutil.copyfileobj(pipe, file)
        if not file.tell():
            raise ValueError("it is empty")
        file.close()
        yield copy


@contextmanager
def writable(target: Path, suffix: str) -> Iterator[Path]:
    """The path to write to: the target itself, or a file that is copied to standard output."""
    if target != files.STREAM:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target
        return
    with _temporary(suffix) as copy:
        yield copy
        with open(copy, "rb") as made:
            shutil.copyfileobj(made, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def is_array(source: Path, file: Path) -> bool:
    """Whether a file is an array: by the name of its source, or else by its first bytes."""
    if source.suffix:
        return files.is_array(source)
    with open(file, "rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC
