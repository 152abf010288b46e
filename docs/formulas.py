"""Formulas as MathML, which browsers draw by themselves; the site fetches no script."""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def inline(writer, node):
    """A formula within a sentence."""
    writer.body.append(tex2mathml(node.astext()).strip())
    raise nodes.SkipNode


def block(writer, node):
    """A formula on a line of its own."""
    formula = tex2mathml(node.astext()).replace("<math ", '<math display="block" ', 1)
    writer.body.append(f'<div class="math">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Connect to Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True}
