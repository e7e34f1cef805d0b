"""Pages, Markdown, JSON and cards: whole, strict, escaped, and of no machine."""

import json
import math
import re
import sys
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
from skpopsteer.inspection._report import steering_report
from skpopsteer.inspection._report_blocks import Table, clean, number, signed, span
from skpopsteer.inspection._report_html import html_sections
from skpopsteer.inspection._report_json import as_json, plain
from skpopsteer.inspection._report_markdown import escape, table_lines
from skpopsteer.inspection._report_sections import sections_of
from skpopsteer.inspection._report_svg import AUDIT, FRONTIER, draw_svg

HOSTILE = [
    "<script>alert(1)</script>",
    '"onmouseover=alert(1) x="',
    "a | b `c` [d](http://e.example) *f* _g_ <b>h</b>",
    "$\\frac{$ _i",
    "_hidden",
    "null \x00 bell \x07 line\nbreak \u2028 turned \u202e half \ud800 end",
    "</textarea></style></svg>{{ 7 * 7 }}{% raw %}",
    "映画 🎬",
]
VOID = {"br", "meta", "link", "img", "input", "hr", "col"}


@pytest.fixture(scope="module")
def report(host, penalty, split, tmp_path_factory):
    """A report in which everything that has a name has a bad one."""
    folder = tmp_path_factory.mktemp("secret-folder")
    probe = SparseAutoencoderProbe(
        32, k=4, max_iter=3, random_state=0, checkpoint=folder / "probe.ckpt"
    )
    model = SteeredRecommender(
        host, rule="shift", probe=probe, memory=str(folder), random_state=0,
        user_strength=lambda X: np.ones(X.shape[0]),
    ).fit(split[0])  # fmt: skip
    model.probe_.label_neurons({n: HOSTILE[n % 8] for n in range(32)})
    return steering_report(
        model, *split, n_users=5, random_state=0,
        rivals={name: (penalty, [0.05, 0.2]) for name in HOSTILE},
        strengths=[0.5, 1.0],
        item_titles=[f"{HOSTILE[n % 8]} {n}" for n in range(100)],
        user_names=[f"{HOSTILE[n % 8]} {n}" for n in range(200)],
    )  # fmt: skip


class Page(HTMLParser):
    """Elements of a page, their attributes, and its text; whether tags are in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def sections(report):
    return html_sections(report)


@pytest.fixture(scope="module")
def body(sections):
    return "".join(f"<h2>.</h2>{html}" for _, html in sections)


@pytest.fixture(scope="module")
def forms(report, body):
    return {
        "sections": body,
        "notebook": report._repr_html_(),
        "markdown": report.to_markdown(),
        "json": report.to_json(),
        "card": report.model_card().render(),
        "text": str(report),
    }


# All forms.


def test_no_form_tells_of_the_machine(forms, tmp_path):
    for name, text in forms.items():
        assert "secret-folder" not in text, name
        assert str(tmp_path.parent) not in text, name
        assert not re.search(r"\b0x[0-9a-f]{6,}", text), name
        assert "<function" not in text, name
        assert "<lambda>" not in text, name


def test_text_forms_are_of_utf_8_without_control_characters(forms):
    for name in ("sections", "markdown", "card", "text"):
        forms[name].encode("utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028]", forms[name])


# Pages.


def test_sections_are_markup_in_order(sections):
    headings = [heading for heading, _ in sections]
    assert headings == [
        "In short", "Where the host keeps popularity", "Its lists as it is set",
        "Beside other methods at equal accuracy", "Settings and health",
    ]  # fmt: skip
    for _, html in sections:
        assert hasattr(html, "__html__")
        assert not Page(html).open


def test_nothing_of_the_data_is_markup(body):
    page = Page(body)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "b", "textarea", "a", "img", "iframe", "link"}
    for _, attributes in page.elements:
        # A style attribute would not pass the policy of the page.
        assert not {one for one in attributes if one.startswith("on")} | (
            {"style", "src"} & set(attributes)
        )
    text = "".join(page.text)
    assert "<script>alert(1)</script>" in text
    assert '"onmouseover=alert(1) x="' in text
    # Templates do not read templates out of the data.
    assert "{{ 7 * 7 }}" in text
    assert "49" not in re.findall(r"svg>(\d+)", text)


def test_sections_need_no_other_file(body):
    assert "http" not in re.sub(r"\[d\]\(http://e\.example\)", "", body)
    assert "@import" not in body
    for target in re.findall(r"url\((.*?)\)", body):
        assert target.startswith("#")


def test_identifiers_are_unique_and_references_lead_somewhere(body):
    page = Page(body)
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    used = set(re.findall(r"url\(#([^)]+)\)", body))
    for _, attributes in page.elements:
        if attributes.get("href", "").startswith("#"):
            used.add(attributes["href"][1:])
        for name in ("aria-labelledby", "aria-describedby"):
            used |= {attributes[name]} if name in attributes else set()
    assert used <= set(names)
    assert any(name.startswith("skpopsteer-audit-") for name in used)
    assert any(name.startswith("skpopsteer-frontier-") for name in used)


def test_the_page_holds_the_sections_and_the_explorer(report, sections, tmp_path):
    page = report.to_html()
    assert page.lower().startswith("<!doctype html>")
    for heading, html in sections:
        assert f">{heading}<" in page
        assert str(html) in page
    names = re.findall(r'\sid="([^"]+)"', page)
    assert len(names) == len(set(names))
    assert report.explorer.to_html() != page


def test_tables_have_as_many_cells_as_headers(report, body):
    for tag in ("thead", "tbody"):
        assert tag in body
    tables = re.findall(r"<thead>(.*?)</thead>\s*<tbody>(.*?)</tbody>", body, re.S)
    assert len(tables) == 20
    for head, rows in tables:
        n = head.count("<th ")
        for row in re.findall(r"<tr>(.*?)</tr>", rows):
            assert row.count("<td") + row.count("<th ") == n


# Pictures.


@pytest.mark.parametrize("name", [AUDIT, FRONTIER])
def test_pictures_are_accessible_and_follow_the_page(report, body, name):
    (svg,) = re.findall(rf'<svg[^>]*"skpopsteer-{name}-title".*?</svg>', body, re.S)
    root = Page(svg).elements[0][1]
    assert root["role"] == "img"
    assert "viewbox" in root
    assert not {"width", "height", "xmlns"} & set(root)
    assert f'<title id="skpopsteer-{name}-title">' in svg
    assert f'<desc id="skpopsteer-{name}-words">' in svg
    assert "<style" not in svg
    assert "style=" not in svg
    assert "#000000" not in svg
    assert "#ffffff" not in svg
    assert "DejaVu" not in svg
    assert svg.count("currentColor") > 10
    # Text is text.
    assert "<text" in svg


def test_pictures_are_the_same_each_time_and_leave_nothing_open(report, opened):
    figure = figure_of(report, FRONTIER)
    first = draw_svg(report, figure)
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30}):
        assert draw_svg(report, figure) == first
        assert mpl.rcParams["axes.facecolor"] == "red"
    assert opened() == 0


def figure_of(report, name):
    blocks = [block for section in sections_of(report) for block in section.blocks]
    return next(block for block in blocks if getattr(block, "name", None) == name)


def test_names_that_are_no_formulas_are_in_the_legend(report):
    svg = draw_svg(report, figure_of(report, FRONTIER))
    texts = "".join(Page(svg).text)
    for name in ("$\\frac{$ _i", "_hidden", "映画 🎬", "<script>alert(1)</script>"):
        assert name in texts


def test_words_of_pictures_hold_the_figures(report):
    words = figure_of(report, FRONTIER).text
    place = report.comparison.levels.index(0.95)
    for measure in ("gini", "tail_coverage_1", "tail_share"):
        for value in report.comparison[measure][place]:
            assert number(value) in words
    words = figure_of(report, AUDIT).text
    for channel in report.audit.channels_:
        assert f"{channel.name} {number(channel.spearman, 2)}" in words


# Without optional packages.


def test_without_matplotlib_there_are_tables(report, no_matplotlib):
    body = "".join(html for _, html in html_sections(report))
    assert "<svg" not in body
    assert body.count("<figcaption>") == 2
    assert 'pip install "skpopsteer[plot]"' in body
    assert body.count("<table>") == 20
    assert "Exposure against the accuracy kept" in body


@pytest.fixture
def no_jinja2(monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "jinja2"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)


def test_without_jinja2_one_line_names_the_extra(report, no_jinja2, tmp_path):
    with pytest.raises(ImportError, match=r'pip install "skpopsteer\[report\]"'):
        report.to_html()
    kept = tmp_path / "report.html"
    kept.write_text("before")
    with pytest.raises(ImportError, match="`jinja2` must be installed"):
        report.save(kept)
    assert kept.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert "skpopsteer[report]" in report._repr_html_()
    assert "<script>" not in report._repr_html_()
    assert report.to_markdown().startswith("# Steering report")


def test_without_skops_one_line_names_the_extra(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.delitem(sys.modules, "skops.card", raising=False)
    with pytest.raises(ImportError, match=r'pip install "skpopsteer\[persistence\]"'):
        report.model_card()


# Markdown.


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("[a](b)", r"\[a\](b)"),
        ("*a* _b_ ~c~", r"\*a\* \_b\_ \~c\~"),
        ("<b>&amp;", r"\<b\>\&amp;"),
        ("back\\slash", r"back\\slash"),
        ("two\nlines", "two lines"),
        ("# no heading", r"\# no heading"),
        ("- no item", r"\- no item"),
        ("---", r"\---"),
        ("12. no item", r"12\. no item"),
        ("0.25 and -0.5", "0.25 and -0.5"),
        ("+0.25", "+0.25"),
        ("https://a.example www.b.example", r"https\://a.example www\.b.example"),
        ("$x$", r"\$x\$"),
        ("NDCG@10 (kept)", "NDCG@10 (kept)"),
    ],
)
def test_markdown_is_escaped(text, escaped):
    assert escape(text) == escaped


def test_markdown_is_read_as_the_text_it_is_of():
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("gfm-like", {"linkify": False, "html": True})
    for text in [*HOSTILE, "1) a", "+ a", "> a", "=== b", "!\\[x](y)", "&copy; ~~x~~"]:
        page = Page(parser.render(escape(text)))
        assert [tag for tag, _ in page.elements] == ["p"], text
        assert "".join(page.text).strip() == clean(text)
    table = Table("<b>", [*HOSTILE[:3]], [HOSTILE[2:5], ["a\nb", "-", "1."]])
    page = Page(parser.render("\n".join(table_lines(table))))
    cells = [tag for tag, _ in page.elements if tag in ("td", "th")]
    assert cells == ["th"] * 3 + ["td"] * 6
    assert not {"b", "a", "code", "em", "script", "li"} & {t for t, _ in page.elements}


def test_markdown_has_all_sections_and_tables(report):
    text = report.to_markdown()
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings[0] == "In short"
    assert len(headings) == 5
    assert text.count("\n| :--") == 20
    assert "<" not in re.sub(r"\\<", "", text)
    assert text.endswith("\n")
    assert "\n\n\n" not in text


# JSON.


def test_json_is_strict_and_in_a_fixed_order(report):
    def refuse(word):
        raise AssertionError(word)

    text = report.to_json()
    values = json.loads(text, parse_constant=refuse)
    assert values == report.to_dict()
    assert list(values) == [
        "schema", "schema_version", "versions", "title", "summary", "left_out", "data",
        "settings", "lists", "costs", "health", "audit", "frontier", "neurons",
    ]  # fmt: skip
    assert values["schema_version"] == 1
    assert values["frontier"]["methods"][2:] == [plain(name) for name in HOSTILE]
    assert len(values["frontier"]["cells"]) == 5 * 10 * 6
    assert len(values["neurons"]) == 32
    assert values["lists"][2]["ndcg"] == report.lists[2].ndcg
    assert values["audit"]["channels"][-1]["tail_share_without"] is None
    assert values["health"][0]["stability"] is None


def test_cells_of_json_are_those_of_the_comparison(report):
    table = report.comparison
    for cell in report.to_dict()["frontier"]["cells"]:
        level = table.levels.index(cell["level"])
        method = [plain(name) for name in table.names].index(cell["method"])
        assert cell["value"] == table[cell["measure"]][level, method]
        assert cell["low"] <= cell["high"]


def test_values_become_plain():
    @dataclass
    class Pair:
        second: float
        first: object

    value = {
        2: Pair(np.float32("nan"), (np.int8(3), True, np.bool_(False), None)),
        "x": np.array([[1.5, np.inf]]),
        "s": {"b", "a"},
        "half": "a\ud800",
    }
    assert plain(value) == {
        "2": {"second": None, "first": [3, True, False, None]},
        "x": [[1.5, None]], "s": ["a", "b"], "half": "a?",
    }  # fmt: skip
    assert type(plain(np.float64(1.5))) is float
    assert type(plain(np.int64(1))) is int
    with pytest.raises(TypeError, match="`value` must be of plain values"):
        plain({"model": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json({"a": math.nan})


def test_elements_of_a_list_have_a_line_each():
    text = as_json({"a": [1, {"b": 2}], "c": [], "d": {"e": [3]}})
    assert text.splitlines()[:4] == ["{", '  "a": [', "    1,", '    {"b": 2}']
    assert json.loads(text) == {"a": [1, {"b": 2}], "c": [], "d": {"e": [3]}}


# Cards.


def test_a_card_says_what_a_card_has_to(report, tmp_path):
    card = report.model_card()
    text = card.render()
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    assert headings == [
        "Steered recommender", "Intended use", "Data", "Metrics", "Limitations",
        "How to load",
    ]  # fmt: skip
    for one in report.lists:
        assert number(one.ndcg, 4) in text
    assert f"{report.data['interactions']:,}" in text
    assert "keep least" in text
    assert "skpopsteer.persistence import load" in text
    assert card.get_model() is report.model
    card.save(tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text


def test_a_card_holds_counts_and_no_data(report):
    text = report.model_card().render()
    # Titles and names of users; rivals, which the caller has named, are there.
    assert not re.search(r"alert\(1\).{0,12} \d+\b", text)
    assert "\\<script\\>" in text
    assert "<script>" not in text


def test_a_card_says_that_costs_are_not_known(report):
    unknown = [replace(one, ndcg=None, recall=None) for one in report.lists]
    bare = replace(report, lists=unknown, costs=[], comparison=None, rivals=[])
    text = bare.model_card().render()
    assert "what steering costs in accuracy is not known" in text
    assert "keep least" not in text


# Files.


def test_saved_forms_are_the_forms(report, tmp_path):
    forms = {
        ".md": report.to_markdown, ".json": report.to_json, ".HTML": report.to_html,
    }  # fmt: skip
    for suffix, form in forms.items():
        path = tmp_path / f"a report{suffix}"
        path.write_text("before")
        report.save(str(path))
        assert path.read_bytes() == form().encode("utf-8", "replace")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_that_cannot_be_written_whole_is_not_written(
    report, tmp_path, monkeypatch
):
    path = tmp_path / "report.json"
    path.write_text("before")

    def fail(*args):
        raise OSError("no space")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        report.save(path)
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize("name", ["report.pdf", "report", ".html"])
def test_other_endings_are_refused(report, tmp_path, name):
    with pytest.raises(ValueError, match=r"`path` must end in \.html, \.md or \.json"):
        report.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_named(report, tmp_path):
    with pytest.raises(ValueError, match="`path` must lie in a folder that exists"):
        report.save(tmp_path / "missing" / "report.md")


# Notebooks and text.


def test_a_notebook_shows_the_sections(report, sections):
    html = report._repr_html_()
    assert not Page(html).open
    assert html.count("<h3>") == len(sections)
    assert "<script" not in html
    assert repr(report) == f"SteeringReport(title={report.title!r})"


# Words.


@pytest.mark.parametrize(
    ("text", "limit", "cleaned"),
    [
        ("a\x00b\tc\r\nd", None, "a b c d"),
        ("a\u202eb\u2066c", None, "abc"),
        ("a\ud83d b", None, "a b"),
        ("  x  ", None, "x"),
        ("long title", 6, "long…"),
        ("fits", 4, "fits"),
        ("映画 🎬 ü", None, "映画 🎬 ü"),
    ],
)
def test_text_is_cleaned(text, limit, cleaned):
    assert clean(text, limit) == cleaned


def test_numbers_are_printed():
    assert [number(v) for v in (0.12345, -1e-9, None, math.nan, 2)] == [
        "0.123", "0.000", "", "", "2.000",
    ]  # fmt: skip
    assert [signed(v) for v in (0.5, -0.5, 1e-9)] == ["+0.500", "\u22120.500", "0.000"]
    assert signed(None) == ""
    assert span(-0.5, 0.5) == "\u22120.500 to 0.500"
    assert span(0.5, 0.5) == span(math.nan, 1.0) == span(None, None) == ""
