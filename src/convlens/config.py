"""Set the number of threads, and show what this convlens runs on."""

from __future__ import annotations

import os
import platform

from convlens import arguments
from convlens.compiled import library, threads


def set_threads(count: int) -> int:
    """Set how many threads the compiled engine may use, for calls from now on.

    At first it is the number in the environment variable CONVLENS_THREADS, or without that the
    number of processors that this process may run on, or of those whose time its control groups
    allow it. Results are the same to the last bit with any number of threads.

    Parameters
    ----------
    count : int
        The number of threads, 1 to 256.

    Returns
    -------
    int
        The number of threads before this call.

    Raises
    ------
    TypeError
        If `count` is not an integer.
    ValueError
        If it is not 1 to 256.

    Examples
    --------
    >>> import convlens
    >>> before = convlens.set_threads(1)
    >>> convlens.set_threads(before)
    1
    """
    with arguments.refusing("set_threads"):
        count = arguments.integer("count", count)
        if not 1 <= count <= threads.MOST_THREADS:
            raise ValueError(f"count must be 1 to {threads.MOST_THREADS}; got {count}")
    found = library.load()
    if isinstance(found, str):
        return 1  # because NumPy's engine has no threads of its own
    before = found.threads
    found.set_threads(count)
    return before


def show_config() -> None:
    """Print the versions in use, and whether and how the compiled engine can run.

    Examples
    --------
    >>> import convlens
    >>> convlens.show_config()  # doctest: +ELLIPSIS
    convlens  0.1.0
    ...
    """
    from importlib.metadata import version  # noqa: PLC0415  # which is slow to import, and seldom needed

    found = library.load()
    lines = {
        "convlens": version("convlens"),
        "NumPy": version("numpy"),
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
    if isinstance(found, str):
        lines["compiled"] = f"no: {found}"
    else:
        lines["compiled"] = (
            f"for {found.level}, of {', '.join(found.levels)}; Halide {found.halide}"
        )
        lines["library"] = str(found.path)
        lines["threads"] = str(found.threads)
    for name in (library.LEVEL, threads.THREADS):
        if name in os.environ:
            lines[name] = os.environ[name]
    width = max(map(len, lines))
    print("\n".join(f"{name:<{width}}  {text}" for name, text in lines.items()))
