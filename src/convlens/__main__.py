"""The command `convlens`, also as `python -m convlens`; it needs the extra [cli]."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from signal import SIGTERM, signal


def main() -> int:
    """Run the command that the process was started with; its exit code."""
    try:
        from convlens import cli  # noqa: PLC0415  # without the extra there is nothing to import
    except ModuleNotFoundError as error:
        missing = f"convlens: the command needs {error.name}: pip install 'convlens[cli]'"
        print(missing, file=sys.stderr)
        return 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal can show every letter
    signal(SIGTERM, lambda number, _: sys.exit(128 + number))  # by way of every `finally`
    return cli.run()


if __name__ == "__main__":
    sys.exit(main())
