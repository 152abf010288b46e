"""The site: Sphinx, with numpydoc for docstrings, MyST for Markdown, and Furo's looks."""

import re
from pathlib import Path

import convlens

DOCS = Path(__file__).parent
MADE = DOCS / "made"  # what is made at every build; git ignores it
COURSE = DOCS.parent / "math" / "convolutions_and_pooling"

project = "convlens"
author = "the convlens authors"
copyright = author  # noqa: A001  # Sphinx's name for it
version = release = convlens.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "convlens"
html_extra_path = ["made/extra"]  # pages of their own, such as the explorer

myst_enable_extensions = ["dollarmath", "deflist", "fieldlist"]
myst_fence_as_directive = ["math"]  # as GitHub writes formulas
myst_heading_anchors = 4

numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {"PR01", "PR02", "PR03", "PR10", "RT03", "SS01", "GL08"}
numpydoc_validation_exclude = {r"\.Plan$"}  # made by calls, not from its parameters
autodoc_typehints = "none"  # numpydoc's sections have the types, in words
autodoc_member_order = "bysource"


def draw_plans():
    """The drawings of the guide: plans, as notebooks show them."""
    plans = {
        "valid": convlens.plan_convolve((6, 8), (3, 3), "valid"),
        "same": convlens.plan_convolve((6, 8), (3, 3)),
        "full": convlens.plan_convolve((6, 8), (3, 3), "full"),
        "stride": convlens.plan_convolve((7, 9), (3, 3), "valid", stride=2),
        "dilation": convlens.plan_convolve((7, 9), (3, 3), "valid", dilation=2),
        "partial": convlens.plan_pool((5, 7), 2, partial=True),
    }
    for name, plan in plans.items():
        (MADE / f"{name}.svg").write_text(plan._repr_svg_(), encoding="utf-8")


def write_course():
    """The course's README, with its seven files below it."""
    text = (COURSE / "README.md").read_text(encoding="utf-8")
    folder = "../../math/convolutions_and_pooling"
    text = text.replace("](images/", f"]({folder}/images/")
    text = text.replace("](../../README.md#the-explorer)", "](../explorer.md)")
    text = re.sub(r"\]\((\d)-\w+\.py\)", r"](#file-\1)", text)
    files = "\n".join(
        f"(file-{path.name[0]})=\n### {path.name}\n\n"
        f"```{{literalinclude}} {folder}/{path.name}\n:language: python\n```\n"
        for path in sorted(COURSE.glob("[0-6]-*.py"))
        if "main" not in path.name
    )
    (MADE / "course.md").write_text(f"{text}\n## The seven files\n\n{files}", encoding="utf-8")


def write_benchmark():
    """The benchmark's page, with its pictures found."""
    text = (DOCS.parent / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[(.*?)\]\((.*?)\)", r"![\1](../../benchmarks/\2)", text)
    (MADE / "benchmark.md").write_text(text, encoding="utf-8")


def write_explorer():
    """The explorer's page."""
    (MADE / "extra").mkdir(exist_ok=True)
    convlens.explore().save(MADE / "extra" / "explore.html")


MADE.mkdir(exist_ok=True)
draw_plans()
write_course()
write_benchmark()
write_explorer()
