"""Sphinx's settings for the site: numpydoc for docstrings, MyST for Markdown, Furo as theme."""

import re
import runpy
from importlib import resources
from pathlib import Path
from sys import path as modules

import numpy as np
from PIL import Image

import convlens

DOCS = Path(__file__).parent
modules.insert(0, str(DOCS))  # so that those beside this file are found

import gallery  # noqa: E402

MADE = DOCS / "made"  # pages and pictures that every build makes; git ignores them
COURSE = DOCS.parent / "math" / "convolutions_and_pooling"
TRAINING = DOCS.parent / "math" / "training_a_network"

project = "convlens"
author = "the convlens authors"
copyright = author  # noqa: A001  # Sphinx wants this name
version = release = convlens.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
extensions += ["links", "frames", "formulas"]  # of this folder
autosummary_generate = False  # the tables only; every name is described on one of three pages
exclude_patterns = ["_build"]
nitpicky = True

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "convlens"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {  # the explorer's colours
    "light_css_variables": {
        "color-brand-primary": "#08704f",
        "color-brand-content": "#08704f",
        "color-brand-visited": "#08704f",
    },
    "dark_css_variables": {
        "color-brand-primary": "#4fcf9f",
        "color-brand-content": "#4fcf9f",
        "color-brand-visited": "#4fcf9f",
    },
}
html_extra_path = ["made/extra"]  # whole pages that Sphinx only copies, such as the explorer

myst_enable_extensions = ["dollarmath", "deflist", "fieldlist"]
myst_fence_as_directive = ["math"]  # GitHub writes formulas in such fences
myst_heading_anchors = 4

numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {"PR01", "PR02", "PR03", "PR10", "RT03", "SS01", "GL08"}
# Users get plans from calls and never construct one.
numpydoc_validation_exclude = {r"\.(Back)?Plan$"}
autodoc_typehints = "none"  # numpydoc's sections name the types in words
autodoc_member_order = "bysource"


def draw_plans():
    """Draw the plans that the guide shows, as notebooks show them."""
    plans = {
        "valid": convlens.plan_convolve((6, 8), (3, 3), "valid"),
        "same": convlens.plan_convolve((6, 8), (3, 3)),
        "full": convlens.plan_convolve((6, 8), (3, 3), "full"),
        "stride": convlens.plan_convolve((7, 9), (3, 3), "valid", stride=2),
        "dilation": convlens.plan_convolve((7, 9), (3, 3), "valid", dilation=2),
        "partial": convlens.plan_pool((5, 7), 2, partial=True),
        "signal": convlens.plan_convolve((14,), (3,), space=1),
        "volume": convlens.plan_convolve((5, 6, 6), (3, 3, 3), space=3),
    }
    for name, plan in plans.items():
        (MADE / f"{name}.svg").write_text(plan._repr_svg_(), encoding="utf-8")


def write_course():
    """Write the course's page: its README, with the seven files below it."""
    text = (COURSE / "README.md").read_text(encoding="utf-8")
    folder = "../../math/convolutions_and_pooling"
    text = text.replace("](images/", f"]({folder}/images/")
    text = text.replace("](../../README.md#the-explorer)", "](../explorer.md)")
    text = re.sub(r"\]\((\d)-\w+\.py\)", r"](#file-\1)", text)
    frame = (
        "```{explorer} op=convolve&k=1,0,-1;1,0,-1;1,0,-1&p=valid&pic=edge\n"
        "Point at any number to see how it is made; the arrow keys move the window:\n```\n\n"
    )
    text = text.replace("## What is a kernel?", frame + "## What is a kernel?")
    files = "\n".join(
        f"(file-{path.name[0]})=\n### {path.name}\n\n"
        f"```{{literalinclude}} {folder}/{path.name}\n:language: python\n```\n"
        for path in sorted(COURSE.glob("[0-6]-*.py"))
        if "main" not in path.name
    )
    (MADE / "course.md").write_text(f"{text}\n## The seven files\n\n{files}", encoding="utf-8")


def write_training():
    """Write the page of the course's second part: its README, with the network below it."""
    text = (TRAINING / "README.md").read_text(encoding="utf-8")
    folder = "../../math/training_a_network"
    for old, new in (
        ("](images/", f"]({folder}/images/"),
        ("](../convolutions_and_pooling/)", "](course.md)"),
        ("](../../README.md)", "](../index.md)"),
        ("](../../docs/", "](../"),
        ("](lenet.py)", "](#file-lenet)"),
    ):
        text = text.replace(old, new)
    text = re.sub(r"\[(`\w+\.py`)\]\(\w+\.py\)", r"\1", text)
    frame = (
        "```{explorer} op=convolve&k=1,0,-1;1,0,-1;1,0,-1&p=valid&pic=edge&pin=input,4,4\n"
        "Point at a pixel of the input to see which outputs it feeds, and what comes back:\n```\n\n"
    )
    text = text.replace("## Pooling\n", frame + "## Pooling\n")
    code = f"```{{literalinclude}} {folder}/lenet.py\n:language: python\n```\n"
    text += f"\n(file-lenet)=\n## lenet.py\n\n{code}"
    (MADE / "training-a-network.md").write_text(text, encoding="utf-8")


def write_benchmark():
    """Write the benchmark's page, with the paths of its pictures changed to be found from there."""
    text = (DOCS.parent / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[(.*?)\]\((.*?)\)", r"![\1](../../benchmarks/\2)", text)
    (MADE / "benchmark.md").write_text(text, encoding="utf-8")


def write_explorer():
    """Write the explorer's page."""
    (MADE / "extra").mkdir(exist_ok=True)
    convlens.explore().save(MADE / "extra" / "explore.html")


def write_filters():
    """Run every filter on a photograph; write the gallery, and the reference's table of filters."""
    cat = np.load(str(resources.files("convlens.explorer") / "cat.npy"))
    gray = cat @ [0.299, 0.587, 0.114]
    (MADE / "gallery").mkdir(exist_ok=True)
    Image.fromarray(gallery.as_bytes(gray)).save(MADE / "gallery" / "before.png")
    gallery.write(MADE, gray, (DOCS / "gallery.md.in").read_text(encoding="utf-8"))


def write_deblurred():
    """Run the how-to that takes a blur off a photograph, and write its pictures."""
    program = runpy.run_path(str(DOCS / "deblur.py"))
    scene = np.load(str(resources.files("convlens.explorer") / "cat.npy"))
    photograph = program["taken"](scene)
    pictures = {
        "scene": scene,
        "photograph": photograph,
        "found": program["deblurred"](photograph),
    }
    (MADE / "deblur").mkdir(exist_ok=True)
    for name, picture in pictures.items():
        enlarged = picture.repeat(2, axis=0).repeat(2, axis=1)
        Image.fromarray(enlarged).save(MADE / "deblur" / f"{name}.png")


def without_last_blank_lines(_app, _page, source):
    """Take away the blank line that doctest wants before the end of an example in Markdown."""
    source[0] = re.sub(
        r"^(```\w+\n(?:(?!```).*\n)*?)\n```$", r"\1```", source[0], flags=re.MULTILINE
    )


def setup(app):
    """Connect to Sphinx."""
    app.connect("source-read", without_last_blank_lines)


MADE.mkdir(exist_ok=True)
draw_plans()
write_course()
write_training()
write_benchmark()
write_explorer()
write_filters()
write_deblurred()
