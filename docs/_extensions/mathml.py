"""Render formulas to MathML when the pages are built.

Browsers show MathML by themselves, so that the pages need no script, no network and no
LaTeX. The converter is that of docutils.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)
#: Commands of LaTeX that the converter knows by another name, or sets too tightly.
_SYNONYMS = [
    (re.compile(r"\\(big|Big|bigg|Bigg)(?=\s*(?:[(\[]|\\[{|lvl]))"), r"\\\1l"),
    (re.compile(r"\\(big|Big|bigg|Bigg)(?=\s*(?:[)\]]|\\[}r]))"), r"\\\1r"),
    (re.compile(r"\\(middle|big|Big|bigg|Bigg)(?![a-zA-Z])\s*"), ""),
    (re.compile(r"\\dots(?![a-z])"), r"\\ldots"),
    (re.compile(r"(?<=[\w}])\s*\\(ln|log)\b"), r"\\,\\\1"),
    (re.compile(r"\\(ln|log)\s+(?=[a-zA-Z\\])"), r"\\\1\\,"),
    # A prime is a superscript; as a mark of its own it would take the next subscript.
    (re.compile(r"'"), r"^{\\prime}"),
]
_TEXT = re.compile(r"(\\text\{[^{}]*\})")


def to_mathml(tex, *, block):
    r"""Convert a formula.

    Parameters
    ----------
    tex : str
        In the syntax of LaTeX. Where `block` is set, ``\\`` outside of an environment
        begins a new line and ``&`` aligns lines.
    block : bool
        Whether the formula stands on lines of its own.

    Returns
    -------
    str
        A ``<math>`` element.

    Raises
    ------
    MathError
        For a command that the converter does not know.
    """
    tex = tex.strip()
    parts = _TEXT.split(tex)
    for command, known in _SYNONYMS:
        parts[::2] = [command.sub(known, part) for part in parts[::2]]
    tex = "".join(parts)
    if block and "\\begin" not in tex and ("\\\\" in tex or "&" in tex):
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    return tex2mathml(tex, as_block=block)


def _converted(node, *, block):
    try:
        return to_mathml(node.astext(), block=block)
    except MathError as error:
        logger.warning("a formula must be convertible: %s", error, location=node)
        return ""


def _visit_inline(writer, node):
    writer.body.append(_converted(node, block=False))
    raise nodes.SkipNode


def _visit_block(writer, node):
    # A formula that cannot be broken scrolls, instead of widening the page of a phone.
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    if node.get("number"):
        number = get_node_equation_number(writer, node)
        writer.body.append(f'<span class="eqno">({number})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    writer.body.append(_converted(node, block=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    """Make this the way formulas are rendered."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
