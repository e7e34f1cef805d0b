"""The pages of the documentation: their code runs, and what they name is there."""

import importlib
import importlib.util
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest
from docutils.utils.math import MathError
from sklearn.base import BaseEstimator

import skpopsteer
from tests.test_docstrings import _public_modules

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
#: Made by the build, or fragments that are shown by another page.
MADE = {"_build", "auto_examples", "tables", "upcoming_changes"}
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if not MADE & set(page.relative_to(DOCS).parts) and page.name != "upcoming.md"
]
#: Their code goes on from page to page, and has a test of its own.
ELSEWHERE = {"tutorial.md", "metrics.md", "user_guide"}
_BLOCK = re.compile(
    r"^( *)```(python|\{testsetup\}|\{testcode\})\n(.*?)^\1```", re.M | re.S
)


def _extension(name):
    spec = importlib.util.spec_from_file_location(
        name, DOCS / "_extensions" / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _code(page):
    """Return the code of a page, what readers do not see included."""
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    code = [
        re.sub(r"\A\s*(:\w+:.*\n)+", "", textwrap.dedent(text)) for *_, text in blocks
    ]
    return "\n".join(code) if any(kind == "python" for _, kind, _ in blocks) else ""


def _name(page):
    return page.relative_to(DOCS).as_posix()


WITH_CODE = [
    page
    for page in PAGES
    if _code(page) and not ELSEWHERE & set(page.relative_to(DOCS).parts)
]


@pytest.mark.parametrize("page", WITH_CODE, ids=_name)
def test_the_code_of_a_page_runs(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {"__name__": page.stem}
    exec(compile(_code(page), str(page), "exec"), names)


def test_pages_with_code_are_found():
    assert {"index.md", "methods/popsteer.md", "contributing/add_a_host.md"} <= {
        _name(page) for page in WITH_CODE
    }


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_files_named_on_a_page_exist(page):
    named = re.findall(
        r"`((?:benchmarks|docs|data|tests|examples|skpopsteer)/[\w./-]+)`",
        page.read_text(encoding="utf-8"),
    )
    made = {"docs/_build/html", "benchmarks/results/"}
    assert not [
        name for name in named if name not in made and not (ROOT / name).exists()
    ]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", text):
        if "://" in link or "auto_examples/" in link:
            continue
        target = (page.parent / link).resolve()
        table = ROOT / "benchmarks" / "results" / target.name
        made = target.parent == DOCS / "results" / "tables" and table.exists()
        assert made or target.exists(), link


def _listed():
    found, module = [], None
    for page in sorted((DOCS / "api").glob("*.md")):
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith(".. currentmodule:: "):
                module = line.split()[-1]
            elif name := re.fullmatch(r"(?: {3}|\.\. autodata:: )(\w+)", line):
                found.append(f"{module}.{name[1]}")
    return found


def test_the_reference_lists_everything_public():
    # Modules such as `metrics.accuracy` are seen through their package.
    public = {
        f"{module.__name__}.{name}"
        for module in _public_modules()
        for name in getattr(module, "__all__", [])
        if module.__name__.count(".") == 1
    }
    listed = _listed()
    assert len(listed) == len(set(listed))
    assert set(listed) == public


def _listed_estimators():
    for name in _listed():
        module, _, attribute = name.rpartition(".")
        value = getattr(importlib.import_module(module), attribute, None)
        if isinstance(value, type) and issubclass(value, BaseEstimator):
            yield name, value


def test_notebooks_link_estimators_to_their_page():
    estimators = dict(_listed_estimators())
    assert len(estimators) > 30
    for name, kind in estimators.items():
        public = [part for part in kind.__module__.split(".") if part[0] != "_"]
        assert ".".join([*public, kind.__name__]) == name
        template = kind._doc_link_template
        assert template.endswith("/api/{estimator_module}.{estimator_name}.html")


def test_top_level_names_have_one_page_each():
    listed = _listed()
    for name in set(skpopsteer.__all__) - {"__version__"}:
        assert sum(full.endswith(f".{name}") for full in listed) == 1, name


def test_the_gallery_is_ordered():
    examples = {path.name for path in (ROOT / "examples").glob("plot_*.py")}
    gallery = _extension("gallery")
    assert set(gallery.ORDER) <= examples
    assert sorted(["new.py", *gallery.ORDER[::-1]], key=gallery.sort_key) == [
        *gallery.ORDER,
        "new.py",
    ]


@pytest.mark.parametrize(
    ("tex", "part"),
    [
        (r"\frac{a}{b}", "<mfrac>"),
        (r"\Big( x \Big)", "<mo"),
        (r"a, \dots, b", "…"),
        (r"\begin{cases} a & b \\ c & d \end{cases}", "<mtable"),
    ],
)
def test_formulas_become_mathml(tex, part):
    converted = _extension("mathml").to_mathml(tex, block=True)
    assert converted.startswith("<math")
    assert part in converted
    assert 'display="block"' in converted


def test_a_prime_leaves_the_subscript_to_its_letter():
    convert = _extension("mathml").to_mathml
    converted = re.sub(r"\s", "", convert(r"x'_i, \text{user's}", block=False))
    assert "<msubsup><mi>x</mi><mi>i</mi><mi>\N{PRIME}</mi></msubsup>" in converted
    assert "<mtext>user's</mtext>" in converted


def test_several_lines_are_aligned():
    to_mathml = _extension("mathml").to_mathml
    assert to_mathml(r"a &= b \\ c &= d", block=True).count("<mtr>") == 2


def test_an_unknown_command_is_an_error():
    with pytest.raises(MathError, match="nosuch"):
        _extension("mathml").to_mathml(r"\nosuch{a}", block=False)


def test_broken_local_links_are_found(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "page.html").write_text('<h1 id="here">x</h1>')
    (tmp_path / "index.html").write_text(
        '<a href="sub/page.html#here"></a><a href="sub/page.html?q=1#here"></a>'
        '<a href="#"></a><a href="https://example.org/no"></a><a href="mailto:a@b"></a>'
        '<a href="sub/page.html#gone"></a><a href="no.html"></a><img src="no.png">'
        '<a href="../outside.html"></a><script src="no.js"></script><a href="#no"></a>'
    )
    (tmp_path.parent / "outside.html").write_text("")
    assert _extension("local_links").broken_links(tmp_path) == [
        f"index.html: {link}"
        for link in [
            "sub/page.html#gone",
            "no.html",
            "no.png",
            "../outside.html",
            "no.js",
            "#no",
        ]
    ]


def test_the_built_pages_have_no_broken_links():
    built = DOCS / "_build" / "html"
    if not (built / "index.html").exists():
        pytest.skip("the pages are not built: make docs")
    assert not _extension("local_links").broken_links(built)


def test_every_table_has_a_page_with_one_title():
    pages = _extension("generated_pages")
    for file in (ROOT / "benchmarks" / "results").glob("*.md"):
        page = pages.table_page(file)
        path = re.search(r"{include} (\S+)", page)[1]
        assert (pages.TABLES / path).resolve() == file
        titles = re.findall(r"^# ", page + file.read_text(encoding="utf-8"), re.M)
        assert len(titles) == 1, file.name


def test_all_upcoming_changes_are_shown():
    text = _extension("generated_pages").upcoming_changes()
    fragments = list((DOCS / "whats_new" / "upcoming_changes").glob("+*.md"))
    flat = re.sub(r"\s+", " ", text)
    for file in fragments:
        assert re.sub(r"\s+", " ", file.read_text(encoding="utf-8").strip()) in flat
    assert text.count("\n- ") == len(fragments)
    assert text.startswith("## Not yet released\n\n### New features")


def test_a_page_with_a_formula_and_a_broken_link_is_reported(tmp_path):
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(DOCS / '_extensions')!r})\n"
        "extensions = ['mathml', 'local_links']\n"
    )
    (tmp_path / "index.rst").write_text(
        "Title\n=====\n\n:math:`a_1`, :math:`\\nosuch`\n\n.. math::\n   :label: one\n\n"
        "   b^2\n\nSee :eq:`one`.\n\n.. raw:: html\n\n   <a href='gone.html'>x</a>\n"
    )
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", tmp_path, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    for part in ("<msub>", 'display="block"', "(1)"):
        assert part in page
    assert "a formula must be convertible" in result.stderr
    assert "broken local link in index.html: gone.html" in result.stderr
    assert "mathjax" not in page.lower()
