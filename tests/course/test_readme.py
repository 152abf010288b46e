"""The examples of the course's README give what the page shows."""

from __future__ import annotations

import doctest
import re

from .course import FOLDER


def test_every_example_of_the_readme_gives_what_it_shows(monkeypatch):
    """An example fails that a reader runs in the course's folder, from top to bottom."""
    monkeypatch.syspath_prepend(FOLDER)
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    # A closing fence would be taken for output.
    text = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    assert len(examples.examples) > 20
    outcome = doctest.DocTestRunner(verbose=False).run(examples)
    assert outcome.failed == 0
