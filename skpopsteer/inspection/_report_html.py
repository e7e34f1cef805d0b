"""A report as sections of a page."""

from skpopsteer._compat import import_optional
from skpopsteer.inspection._report_blocks import Figure
from skpopsteer.inspection._report_sections import sections_of
from skpopsteer.inspection._report_svg import draw_svg

__all__ = ["html_sections", "notebook_html"]


def html_sections(report):
    """Render the sections of a report.

    Parameters
    ----------
    report : SteeringReport

    Returns
    -------
    list of tuple of (str, markupsafe.Markup)
        Heading and body of every section; the style of all is in the first.

    Raises
    ------
    ImportError
        Without Jinja2.
    """
    environment = _environment()
    markup = import_optional("markupsafe", "report").Markup
    template = environment.get_template("section.html")
    found = []
    for place, section in enumerate(sections_of(report)):
        pictures = _pictures(report, section, markup)
        body = template.render(section=section, pictures=pictures, first=not place)
        found.append((section.heading, markup(body)))
    return found


def notebook_html(report):
    """Render a report for a notebook: its sections, without the explorer.

    Parameters
    ----------
    report : SteeringReport

    Returns
    -------
    str
    """
    sections = html_sections(report)
    return _environment().get_template("notebook.html").render(sections=sections)


def _environment():
    jinja2 = import_optional("jinja2", "report")
    return jinja2.Environment(
        loader=jinja2.PackageLoader("skpopsteer.inspection", "report_templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _pictures(report, section, markup):
    """Draw what a section shows; nothing without matplotlib."""
    figures = [block for block in section.blocks if isinstance(block, Figure)]
    try:
        return {one.name: markup(draw_svg(report, one)) for one in figures}
    except ImportError:
        return {}
