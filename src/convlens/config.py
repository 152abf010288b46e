"""What this convlens runs on, and on how many threads."""

from __future__ import annotations

import os
import platform

from convlens import arguments
from convlens.engines import library


def set_threads(count: int) -> int:
    """Set how many threads the compiled engine may use, for calls from now on.

    At first it is as many as the environment variable CONVLENS_THREADS says, else as many as the
    processors this process may run on. Results do not depend on it, to the last bit.

    Parameters
    ----------
    count : int
        1 to 256.

    Returns
    -------
    int
        How many it was before.

    Raises
    ------
    TypeError, ValueError
        If it is no such number.

    Examples
    --------
    >>> import convlens
    >>> before = convlens.set_threads(1)
    >>> convlens.set_threads(before)
    1
    """
    with arguments.refusing("set_threads"):
        count = arguments.integer("count", count)
        if not 1 <= count <= library.MOST_THREADS:
            raise ValueError(f"count must be 1 to {library.MOST_THREADS}; got {count}")
    found = library.load()
    if isinstance(found, str):
        return 1  # NumPy's engine has no threads of its own
    before = found.threads
    found.set_threads(count)
    return before


def show_config() -> None:
    """Print the versions in use, and which engines there are.

    Examples
    --------
    >>> import convlens
    >>> convlens.show_config()  # doctest: +ELLIPSIS
    convlens  0.1.0
    ...
    """
    from importlib.metadata import version  # noqa: PLC0415  # slow to import, seldom needed

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
    for name in (library.LEVEL, library.THREADS):
        if name in os.environ:
            lines[name] = os.environ[name]
    width = max(map(len, lines))
    print("\n".join(f"{name:<{width}}  {text}" for name, text in lines.items()))
