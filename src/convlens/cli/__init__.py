"""The command line: turn what is typed into a plan, and carry the plan out on files.

Exit codes: 0, all is done; 1, some files could not be dealt with; 2, the command itself is wrong,
and nothing was done; 130, interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from convlens.cli.commands import command
from convlens.cli.words import FULL, complain, drawn, sentence
from convlens.files import STREAM

__all__ = ["INTERRUPTED", "command", "drawn", "run"]

INTERRUPTED = 130


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
    except OSError as error:
        full = error.filename is None and error.errno in FULL
        complain(sentence(error, target=STREAM if full else None))
        return 1 if full else 2  # files that were done are not undone
    except (ValueError, TypeError, MemoryError) as error:
        complain(sentence(error))
    return 2
