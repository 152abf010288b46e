"""For all tests: they can be interrupted, and each engine has the types that it takes.

For those of the command: what runs a command line.
"""

import shlex
import signal

import pytest

# A shell has what it runs in the background ignore Ctrl-C, and with it all that this starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def typed(capsys):
    """Run a command line; returns the exit code, and what was printed on each stream."""
    # The course's own tests run where convlens is not installed.
    from convlens.cli import run  # noqa: PLC0415

    def command(line):
        code = run(shlex.split(line))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def pytest_collection_modifyitems(config, items):
    """Leave out types that the compiled engine does not take, and that "auto" gives to NumPy's."""
    refused = [item for item in items if _is_refused(item)]
    config.hook.pytest_deselected(items=refused)
    items[:] = [item for item in items if not _is_refused(item)]


def _is_refused(item):
    parameters = getattr(item, "callspec", None) and item.callspec.params
    if not parameters or parameters.get("method") not in ("auto", "compiled"):
        return False
    # The course's own tests run where convlens is not installed.
    from strategies import takes  # noqa: PLC0415

    types = [parameters[name] for name in ("dtype", "images", "kernels") if name in parameters]
    return not takes(parameters["method"], *types)
