"""Nothing that comes with the data is markup, in whatever form it is looked at."""

import base64
import hashlib
import json
import pathlib
import re

import jinja2
import pytest
from jinja2 import nodes

import skpopsteer.inspection
from skpopsteer.inspection._explorer_page import render
from skpopsteer.inspection._report_html import _environment
from tests.security.pages import EVIL, VOID, Page

FOLDER = pathlib.Path(skpopsteer.inspection.__file__).parent
TEMPLATES = {
    path.name: path.read_text(encoding="utf-8")
    for folder in ("templates", "report_templates")
    for path in (FOLDER / folder).glob("*.html")
}
#: What templates write as it is; each is made by code that escapes what it holds.
WRITTEN_AS_IT_IS = {
    "explorer.html": {"style", "script", "data", "html"},
    "section.html": {"pictures"},
    "notebook.html": {"body"},
}
SHOWN = [
    "model", "reranker", "neuron", "report", "audit", "comparison", "levels", "frame",
    "paired", "specificity", "ablation", "change", "concepts", "map",
]  # fmt: skip
TAGS = {
    "a", "br", "button", "caption", "clippath", "code", "col", "dd", "defs", "desc",
    "details", "div", "dl", "dt", "em", "figcaption", "figure", "footer", "form", "g",
    "h1", "h2", "h3", "h4", "header", "html", "head", "body", "hr", "i", "input",
    "label", "legend", "fieldset", "li", "line", "main", "meta", "nav", "noscript",
    "ol", "option", "output", "p", "path", "pattern", "pre", "rect", "script",
    "section",
    "select", "small", "span", "strong", "style", "sup", "svg", "table", "tbody", "td",
    "text", "textpath", "th", "thead", "title", "tr", "tspan", "ul", "use", "b",
    "circle", "polyline", "polygon", "aside", "article", "summary", "tfoot", "symbol",
}  # fmt: skip


def assert_nothing_got_out(html, *, scripts=0, ours=True):
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag in TAGS | VOID, tag
        for name, value in attributes.items():
            assert "evil" not in name
            assert re.fullmatch(r"[a-zA-Z:-]+[0-9]*", name), name
            # Diagrams of scikit-learn have a listener of their own.
            assert not (ours and name.startswith("on")), name
            if name in ("src", "href", "xlink:href", "action", "formaction"):
                assert (value or "").startswith("#") or not ours, value
    # Nor is a template in the data read as one.
    assert "1337" not in "".join(page.text)
    if ours:
        assert [tag for tag, _ in page.elements].count("script") == scripts
        assert not page.comments
    return page


def test_the_text_would_get_out():
    """Of any place: or the tests below would show nothing."""
    for place in (
        "<p>{}</p>", "<p title='{}'>", '<p title="{}">', "<title>{}</title>",
        "<style>{}</style>", "<script>{}</script>", "<svg><text>{}</text></svg>",
        "<!--{}-->", "<textarea>{}</textarea>",
    ):  # fmt: skip
        page = Page(place.format(EVIL))
        assert any("evil" in tag or "x-evil" in one for tag, one in page.elements)
    assert "1337" in jinja2.Template("{{ 7 * 191 }}").render()


@pytest.mark.parametrize("name", SHOWN)
def test_notebooks(hostile, name):
    html = hostile[name]._repr_html_()
    ours = name not in ("model", "reranker")
    page = assert_nothing_got_out(html, ours=ours)
    if name not in ("reranker", "audit"):
        # It is there, as text; some tables cut it short.
        assert EVIL[:20] in "".join(page.text), name


def test_every_class_that_has_a_form_for_notebooks_is_tried(hostile):
    tried = {cls for name in SHOWN for cls in type(hostile[name]).__mro__}
    found = set()
    for path in FOLDER.parent.rglob("*.py"):
        classes = re.split(r"^class (\w+)", path.read_text(), flags=re.MULTILINE)[1:]
        for name, body in zip(classes[::2], classes[1::2], strict=True):
            if "def _repr_html_" in body:
                found.add(name)
    assert found - {cls.__name__ for cls in tried} == set()


@pytest.mark.parametrize("name", ["model", "reranker", "audit"])
def test_what_notebooks_ask_estimators_for(hostile, name):
    html = hostile[name]._repr_mimebundle_()["text/html"]
    assert_nothing_got_out(html, ours=name == "audit")


def test_pages(hostile):
    page = hostile["explorer"].to_html(title=EVIL, sections=[])
    assert_nothing_got_out(page, scripts=2)
    page = hostile["report"].to_html()
    assert "<svg" in page
    text = "".join(assert_nothing_got_out(page, scripts=2).text)
    assert text.count("<x-evil") > 20


def test_headings_of_sections_are_text(hostile):
    from markupsafe import Markup

    page = hostile["explorer"].to_html(sections=[(EVIL, Markup("<p>mine</p>"))])
    found = assert_nothing_got_out(page, scripts=2)
    assert "<x-evil" in "".join(found.text)


def test_data_in_the_page_are_data(hostile):
    page = hostile["explorer"].to_html(title=EVIL)
    (text,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)
    assert not set("<>&") & set(text)
    data = json.loads(text)
    assert data["items"]["names"][0] == f"{EVIL} 0"
    assert data["users"]["names"][0].startswith(EVIL)
    assert any("x-evil" in str(tag) for tag in data["cards"]["label"])


def test_the_policy_lets_one_script_run_and_nothing_be_loaded(hostile):
    for page in (hostile["explorer"].to_html(), hostile["report"].to_html()):
        found = Page(page)
        (policy,) = (
            one["content"] for tag, one in found.elements
            if tag == "meta" and one.get("http-equiv") == "Content-Security-Policy"
        )  # fmt: skip
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert rules.pop("script-src") == f"'sha256-{digest}'"
        styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
        hashes = {
            base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()
            for one in styles
        }
        assert set(rules.pop("style-src").split()) == {f"'sha256-{h}'" for h in hashes}
        assert rules == {
            "default-src": "'none'", "img-src": "data:", "base-uri": "'none'",
            "form-action": "'none'",
        }  # fmt: skip
        # What stands before it is not bound by it.
        before = page.partition("Content-Security-Policy")[0]
        assert not re.search("<(script|style|link|img)", before)


def test_markdown(hostile):
    text = hostile["report"].to_markdown()
    assert text.count("x-evil") > 10
    assert "<" not in re.sub(r"\\<", "", text)
    card = hostile["report"].model_card().render()
    assert "<x-evil" not in re.sub(r"\\<", "", card)
    markdown_it = pytest.importorskip("markdown_it")
    html = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<x-evil" not in html


def test_json(hostile):
    values = json.loads(hostile["report"].to_json())
    assert EVIL in values["frontier"]["methods"]


# Templates.


def _names(node):
    inside = {name.name for name in node.find_all(nodes.Name)}
    return inside | ({node.name} if isinstance(node, nodes.Name) else set())


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_expression_of_a_template_is_escaped(name):
    tree = jinja2.Environment().parse(TEMPLATES[name])
    assert not list(tree.find_all(nodes.EvalContextModifier))
    filters = {one.name for one in tree.find_all(nodes.Filter)}
    assert not filters & {"safe", "tojson", "xmlattr", "urlize"}
    outputs = [
        part for output in tree.find_all(nodes.Output) for part in output.nodes
        if not isinstance(part, nodes.TemplateData)
    ]  # fmt: skip
    assert outputs
    # Attributes are quoted, or a blank would end them.
    assert not re.search(r"=\{\{", TEMPLATES[name])
    for part in outputs:
        assert not isinstance(part, nodes.MarkSafe | nodes.MarkSafeIfAutoescape)
    assert WRITTEN_AS_IT_IS[name] <= set().union(*map(_names, outputs))


def test_environments_escape():
    assert _environment().autoescape is True
    source = (FOLDER / "_explorer_page.py").read_text()
    assert source.count("autoescape=True") == source.count("jinja2.Environment(") == 1


def test_sections_that_are_no_markup_are_refused(hostile):
    with pytest.raises(TypeError, match=r"^`sections` must hold pairs"):
        hostile["explorer"].to_html(sections=[("heading", EVIL)])
    assert render.__module__ == "skpopsteer.inspection._explorer_page"


def test_nothing_else_is_called_markup():
    """Where text becomes markup is looked at by a person; there is no other place."""
    found = {}
    for path in FOLDER.parent.rglob("*.py"):
        n = len(
            re.findall(r"\b[mM]arkup\(", re.sub(r'"[^"\n]*"', "", path.read_text()))
        )
        if n:
            found[path.name] = n
    assert found == {
        # Style, script, data that are escaped, and sections the caller called markup.
        "_explorer_page.py": 4,
        # Sections of a template that escapes, and pictures of matplotlib.
        "_report_html.py": 2,
    }
