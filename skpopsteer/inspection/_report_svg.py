"""Pictures of a report as SVG that stands inside of a page."""

import io
import re
import warnings
from dataclasses import replace
from xml.etree import ElementTree

from skpopsteer._compat import import_optional
from skpopsteer.inspection._report_blocks import clean

__all__ = ["AUDIT", "FRONTIER", "FRONTIER_MEASURES", "draw_svg"]

#: Names of the pictures.
AUDIT, FRONTIER = "audit", "frontier"
FRONTIER_MEASURES = ["gini", "tail_coverage_1", "tail_share"]
#: Longest name of a method in a legend.
_LONGEST = 40
_FONT_SIZE = 8
#: A hash of shapes makes their names: with a salt, the same ones every time.
_STYLE = {"svg.hashsalt": "skpopsteer", "svg.fonttype": "none", "svg.id": None}
_FONT_PIXELS = re.compile(r"[\d.]+px")
_COLORS = {"#000000": "currentColor", "#ffffff": "Canvas"}
_ABSENT_GLYPH = "Glyph .* missing from"


def draw_svg(report, figure):
    """Draw a picture of a report.

    Parameters
    ----------
    report : SteeringReport
    figure : Figure
        Which one, and its title and words.

    Returns
    -------
    str
        An element ``svg`` without width, whose colours follow the text around it. Its
        identifiers begin with the name of the figure.

    Raises
    ------
    ImportError
        Without matplotlib.
    """
    figures = import_optional("matplotlib.figure", "plot")
    style = import_optional("matplotlib.style", "plot")
    draw = {AUDIT: _draw_audit, FRONTIER: _draw_frontier}[figure.name]
    known = import_optional("matplotlib", "plot").rcParams
    salted = {name: value for name, value in _STYLE.items() if name in known}
    # The caller's own style is for other pictures, and is put back.
    with style.context(["default", salted]), warnings.catch_warnings():
        # Text stays text: the reader's fonts have what matplotlib's lack.
        warnings.filterwarnings("ignore", _ABSENT_GLYPH, UserWarning)
        canvas = draw(report, figures.Figure)
        canvas.patch.set_alpha(0.0)
        for ax in canvas.axes:
            ax.patch.set_alpha(0.0)
        stream = io.BytesIO()
        canvas.savefig(
            stream, format="svg", bbox_inches="tight", metadata={"Date": None}
        )
    return _embed(stream.getvalue(), figure)


def _draw_audit(report, make):
    canvas = make(figsize=(11.5, 4.8), layout="constrained")
    axes = report.audit.plot(canvas.subplots(1, 2))
    for ax, columns in zip(axes, (1, 2), strict=True):
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(
            handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.2),
            fontsize=_FONT_SIZE, ncols=columns, frameon=False,
        )  # fmt: skip
    return canvas


def _draw_frontier(report, make):
    comparison = report.comparison
    # A dollar begins a formula in a label, and an underscore hides it.
    names = [clean(name, _LONGEST).replace("$", r"\$") for name in comparison.names]
    names = [f" {name}" if name.startswith("_") else name for name in names]
    n_panels = len(FRONTIER_MEASURES)
    canvas = make(figsize=(4.2 * n_panels + 0.6, 4.6), layout="constrained")
    axes = replace(comparison, names=names).plot(
        canvas.subplots(1, n_panels), measures=FRONTIER_MEASURES
    )
    handles, labels = axes[0].get_legend_handles_labels()
    axes[-1].get_legend().remove()
    canvas.legend(
        handles, labels, loc="outside lower center", fontsize=_FONT_SIZE,
        ncols=min(len(handles), 2 * n_panels), frameon=False,
    )  # fmt: skip
    return canvas


def _embed(svg, figure):
    """Make a part of a page out of a file of its own."""
    root = ElementTree.fromstring(svg)
    parents = {child: parent for parent in root.iter() for child in parent}
    for element in list(root.iter()):
        # Namespaces are those of a file; a page knows what it is inside of.
        element.tag = element.tag.rpartition("}")[2]
        for name in list(element.attrib):
            value = element.attrib.pop(name)
            element.set(name.rpartition("}")[2], value)
        if element.tag in ("metadata", "style", "title"):
            parents[element].remove(element)
    prefix = f"skpopsteer-{figure.name}-"
    used = _referenced(root)
    for element in root.iter():
        _restyle(element)
        _rename(element, prefix, used)
    return _with_words(root, prefix, figure)


def _referenced(root):
    """Collect the identifiers that something refers to."""
    used = set()
    for element in root.iter():
        for value in element.attrib.values():
            used.update(re.findall(r"url\(#([^)]+)\)", value))
        if element.get("href", "").startswith("#"):
            used.add(element.get("href")[1:])
    return used


def _rename(element, prefix, used):
    """Give identifiers a prefix: a page has several pictures, and its own names."""
    name = element.attrib.pop("id", None)
    if name in used:
        element.set("id", prefix + name)
    for key, value in element.attrib.items():
        value = re.sub(r"url\(#", f"url(#{prefix}", value)
        if key == "href":
            value = f"#{prefix}{value[1:]}"
        element.set(key, value)


def _restyle(element):
    """Turn a style into attributes, and black and white into the reader's colours."""
    style = element.attrib.pop("style", "")
    pairs = [pair.partition(":") for pair in style.split(";") if pair.strip()]
    declared = {name.strip(): value.strip() for name, _, value in pairs}
    font = declared.pop("font", None)
    if font is not None:
        declared["font-size"] = _FONT_PIXELS.search(font)[0]
    declared.pop("font-family", None)
    for name, value in {**element.attrib, **declared}.items():
        if name in ("fill", "stroke"):
            value = _COLORS.get(value, value)
        element.set(name, value)


def _with_words(root, prefix, figure):
    """Tell readers of the page what is to be seen."""
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    title, words = (ElementTree.Element(tag) for tag in ("title", "desc"))
    title.text, words.text = clean(figure.title), clean(figure.text)
    title.set("id", f"{prefix}title")
    words.set("id", f"{prefix}words")
    root.insert(0, title)
    root.insert(1, words)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}title")
    root.set("aria-describedby", f"{prefix}words")
    # What is black by default, and what the style of the file said for all.
    root.set("fill", "currentColor")
    root.set("font-family", "sans-serif")
    root.set("stroke-linejoin", "round")
    root.set("stroke-linecap", "butt")
    root.tail = None
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
