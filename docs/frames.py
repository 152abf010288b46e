"""The directive that shows the explorer within a page, set up by the part of its link after "#"."""

from html import escape

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


class Explorer(SphinxDirective):
    """A frame with the explorer, set up by the argument; the content says what to do there."""

    has_content = True
    optional_arguments = 1
    option_spec = {"height": directives.length_or_unitless}  # noqa: RUF012  # docutils' way

    def run(self):
        """The frame, which loads once it is scrolled to, and the sentence with a link below it."""
        root = "../" * self.env.docname.count("/")
        link = f"{root}explore.html" + (f"#{self.arguments[0]}" if self.arguments else "")
        height = self.options.get("height", "44rem")
        frame = (
            f'<iframe class="explorer" src="{escape(link)}" title="The explorer" loading="lazy" '
            f'style="height: {height}"></iframe>\n'
            f'<p class="whole-page"><a href="{escape(link)}">Open it on a page of its own</a></p>'
        )
        return [*self.parse_content_to_nodes(), nodes.raw("", frame, format="html")]


def setup(app):
    """Connect to Sphinx."""
    app.add_directive("explorer", Explorer)
    return {"parallel_read_safe": True}
