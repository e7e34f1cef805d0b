"""Hostile text, and what a browser would make of a page with it."""

from html.parser import HTMLParser

__all__ = ["EVIL", "VOID", "Page"]

#: Leaves any place in a page that text can be in, and then is an element.
EVIL = (
    '\'"></title></style></script></textarea></svg></td>--><x-evil x-evil="1" '
    'onclick="x-evil()">{{ 7 * 191 }}{% x-evil %}<!--<script>\' x-evil=\'" x-evil="'
)
VOID = {"br", "meta", "link", "img", "input", "hr", "col"}


class Page(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.comments, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_comment(self, data):
        self.comments.append(data)

    def handle_data(self, data):
        self.text.append(data)
