"""Look up every local link, picture and anchor of the built pages.

Sphinx checks its own references; this also sees what raw HTML, the theme and the
gallery write. A broken link is a warning, which ``make docs`` takes for an error.
"""

import pathlib
from functools import cache
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

logger = logging.getLogger(__name__)
#: Attributes that name another file, or a place in one.
_LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}


class _Page(HTMLParser):
    """Links and anchors of one page."""

    def __init__(self):
        super().__init__()
        self.links = []
        self.anchors = {"", "top"}

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors.update(filter(None, (attrs.get("id"), attrs.get("name"))))
        link = attrs.get(_LINKS.get(tag))
        if link is not None:
            self.links.append(link)


@cache
def _read(file):
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


def broken_links(folder):
    """List local links that lead nowhere.

    Parameters
    ----------
    folder : path-like
        Built pages.

    Returns
    -------
    list of str
        ``"page: link"``, in order. Links with a scheme or a host are not looked up.
    """
    _read.cache_clear()
    folder = pathlib.Path(folder).resolve()
    broken = []
    for file in sorted(folder.rglob("*.html")):
        if "_static" in file.relative_to(folder).parts:
            continue  # no pages, but parts that the theme makes pages of
        for link in _read(file).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve()
            target = file if not parts.path else target
            if target.is_dir():
                target /= "index.html"
            found = target.is_file() and target.is_relative_to(folder)
            if found and parts.fragment and target.suffix == ".html":
                found = unquote(parts.fragment) in _read(target).anchors
            if not found:
                broken.append(f"{file.relative_to(folder).as_posix()}: {link}")
    return broken


def _check(app, exception):
    if exception is None and app.builder.name == "html":
        for link in broken_links(app.outdir):
            logger.warning("broken local link in %s", link)


def setup(app):
    """Check after everything else, the links of the gallery included."""
    app.connect("build-finished", _check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
