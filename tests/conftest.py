"""For all tests: they can be interrupted, and none runs the same engine twice."""

import signal

# A shell has what it runs in the background ignore Ctrl-C, and with it all that this starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    """Leave out "auto" for types that it gives to NumPy's engine: method="numpy" has that test."""
    twice = [item for item in items if _runs_numpy_twice(item)]
    config.hook.pytest_deselected(items=twice)
    items[:] = [item for item in items if not _runs_numpy_twice(item)]


def _runs_numpy_twice(item):
    parameters = getattr(item, "callspec", None) and item.callspec.params
    if not parameters or parameters.get("method") != "auto":
        return False
    # The course's own tests run where convlens is not installed.
    from strategies import runs_apart  # noqa: PLC0415

    types = [parameters[name] for name in ("dtype", "images", "kernels") if name in parameters]
    return not runs_apart("auto", *types)
