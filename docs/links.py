"""Names of functions become links, and shapes stay on one line, on every page of the site."""

import inspect
import re
from functools import cache
from importlib import import_module

from docutils import nodes
from sphinx import addnodes

import convlens

NUMPY = "https://numpy.org/doc/stable/reference/generated/{}.html"
SCIPY = "https://docs.scipy.org/doc/scipy/reference/generated/{}.html"
THEIRS = re.compile(r"\b(?:(?:numpy|np)\.[a-z_]\w*|scipy(?:\.[a-z_]+)+\.\w+)(?![\w.(])")
OURS = {name: f"convlens.{name}" for name in convlens.__all__ if name not in ("filters", "ndimage")}
OURS |= {full: full for full in list(OURS.values())}
for module in ("filters", "ndimage"):
    for member in getattr(convlens, module).__all__:
        full = f"convlens.{module}.{member}"
        OURS |= {full: full, f"{module}.{member}": full}

SIZE = r"(?:\d?[a-z]{1,2}|\d+|c // groups)"
SHAPE = re.compile(rf"\({SIZE}(?:, {SIZE})+\)")
UNTOUCHED = (nodes.literal_block, nodes.reference, nodes.title, addnodes.pending_xref)
UNTOUCHED += (addnodes.desc_signature, nodes.raw, nodes.image)


@cache
def address(name):
    """The page of a function or class of NumPy or SciPy, or None if it has none of its own."""
    name = re.sub(r"^np\.", "numpy.", name)
    module, _, member = name.rpartition(".")
    thing = getattr(import_module(module), member, None)
    if not (inspect.isclass(thing) or callable(thing)) or hasattr(thing, "itemsize"):
        return None  # types such as numpy.float32 share a page
    return (NUMPY if module == "numpy" else SCIPY).format(name)


def link_name(node, page):
    """Put a name, in code or in italics, into a link if it is a public one."""
    name = node.astext().removesuffix("()")
    if isinstance(node, nodes.title_reference) and f"{page}.{name}" in OURS:
        name = f"{page}.{name}"  # among SciPy's filters, `convolve` is theirs
    if name in OURS and ("." in name or isinstance(node, nodes.title_reference)):
        link = addnodes.pending_xref(
            "", refdomain="py", reftype="obj", reftarget=OURS[name], refexplicit=True
        )
    elif THEIRS.fullmatch(name) and address(name):
        link = nodes.reference("", "", refuri=address(name), internal=False)
    else:
        return
    node.replace_self(link)
    link += nodes.literal("", node.astext()) if isinstance(node, nodes.title_reference) else node


def keep_together(text):
    """Split a text into parts, of which shapes do not wrap and names are links."""
    parts, end, plain = [], 0, text.astext()
    for found in sorted(
        [*SHAPE.finditer(plain), *THEIRS.finditer(plain)], key=lambda match: match.start()
    ):
        if SHAPE.fullmatch(found[0]):
            part = nodes.inline("", found[0], classes=["shape"])
        elif found[0].startswith("np.") or not address(found[0]):
            continue
        else:
            part = nodes.reference("", found[0], refuri=address(found[0]), internal=False)
        parts += [nodes.Text(plain[end : found.start()]), part]
        end = found.end()
    if parts:
        text.parent.replace(text, [*parts, nodes.Text(plain[end:])])


def improve(app, document):
    """Go through a page that was read, before its links are resolved."""

    def untouched(node):
        while node is not None:
            if isinstance(node, UNTOUCHED):
                return True
            node = node.parent
        return False

    page = app.env.docname.removeprefix("reference-")
    for kind in (nodes.title_reference, nodes.literal):
        for node in list(document.findall(kind)):
            if not untouched(node):
                link_name(node, page)
    for text in list(document.findall(nodes.Text)):
        if not untouched(text) and not isinstance(text.parent, nodes.literal):
            keep_together(text)


def setup(app):
    """Connect to Sphinx."""
    app.connect("doctree-read", improve)
    return {"parallel_read_safe": True}
