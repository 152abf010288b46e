"""A pytest plugin that has SciPy's own tests judge `convlens.ndimage`.

SciPy ships its tests. Before they are collected, our functions take the place of SciPy's; what they
hand to SciPy is left alone. At the end it is said how many tests reached a function of ours. Tests
that fail for a good reason are listed in EXPECTED, and a test of that list that passes is a failure
too. `make test-scipy` runs it.
"""

import functools
from collections import Counter

import pytest
import scipy.ndimage
from scipy._lib import _array_api

from convlens import ndimage

HANDED_OVER = ("generic_filter", "generic_filter1d", "vectorized_filter")
BYTES = "SciPy adds the structure to the bytes of booleans, 255 and 1 to 0; ours are True and False"
ROUNDED = (
    "SciPy rounds between two axes with modes of their own; ours rounds the last bit elsewhere"
)
EXPECTED = {  # the reason, by the end of a test's name
    "test_white_tophat03[numpy]": BYTES,
    "test_black_tophat03[numpy]": BYTES,
    "test_multiple_modes_sequentially[numpy]": ROUNDED,
}

calls, reached = Counter(), set()
running = None


def counted(name):
    """Our function of this name, which notes the test that calls it."""
    function = getattr(ndimage, name)

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        calls[name] += 1
        reached.add(running)
        return function(*args, **kwargs)

    return wrapper


def pytest_configure():
    """Put our functions in the place of SciPy's."""
    table = getattr(_array_api, "xp_capabilities_table", {})  # by function, in newer versions
    for name in ndimage.__all__:
        if name not in HANDED_OVER:
            theirs, ours = getattr(scipy.ndimage, name), counted(name)
            if theirs in table:
                table[ours] = table[theirs]
            setattr(scipy.ndimage, name, ours)


def pytest_collection_modifyitems(items):
    """Mark the tests that are expected to fail."""
    for item in items:
        for end, reason in EXPECTED.items():
            if item.nodeid.endswith(end):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Note which test is running."""
    global running  # noqa: PLW0603
    running = item.nodeid
    return (yield)


def pytest_terminal_summary(terminalreporter):
    """Say how many tests reached our functions, and how often they were called."""
    terminalreporter.write_line(
        f"convlens.ndimage: {len(reached)} tests reached it, by {sum(calls.values())} calls of "
        f"{len(calls)} functions"
    )
