"""The tutorial, the guide and the page of metrics do what they show.

Their code runs from top to bottom and prints the figures under it; references lead
somewhere; the table of other libraries' figures is what those libraries compute.
"""

import importlib
import re
import warnings
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from typing import NamedTuple

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from skpopsteer import metrics
from skpopsteer.metrics import scorers
from tests.test_readme import ROOT

DOCS = ROOT / "docs"
GUIDE = DOCS / "user_guide"
#: These begin with data of their own; all others where the guide's first page ends.
ALONE = [DOCS / "tutorial.md", DOCS / "metrics.md"]
PAGES = [*ALONE, *sorted(GUIDE.glob("*.md"))]
#: Versions, processor and threads that the figures were made with. An autoencoder that
#: is trained with others is another one, and so are its figures and lists.
MADE_WITH = ("2.4.6", "2.13.0", "AVX512", "Haswell", 1)
_FENCE = re.compile(
    r"(?:<!-- needs (?P<needs>\w+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)```\n", re.S
)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d*\.?\d+(?:e[-+]?\d+)?(?!\w)")


class Block(NamedTuple):
    """Code, what it prints, the library it needs, and the line it begins at."""

    code: str
    printed: str
    needs: str | None
    line: int


def blocks_of(path):
    text = path.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    blocks = []
    for match, after in zip(fences, [*fences[1:], None], strict=True):
        if match["kind"] != "python":
            continue
        shown = ""
        # Output stands directly under its code.
        if after and after["kind"] == "text":
            between = text[match.end() : after.start()]
            shown = after["text"] if not between.strip() else ""
        line = text[: match.start()].count("\n") + 2
        blocks.append(Block(match["text"], shown, match["needs"], line))
    return blocks


def near(shown, printed):
    """Whether two outputs have the same words and, to a few percent, numbers.

    Whole numbers must be the same. Others come from float32 on whatever processor.
    """
    words, numbers = [], []
    for text in (shown, printed):
        words.append(re.sub(r"\s+|-{3,}", " ", _NUMBER.sub("#", text)).split())
        numbers.append(_NUMBER.findall(text))
    if words[0] != words[1] or len(numbers[0]) != len(numbers[1]):
        return False
    for one, other in zip(*numbers, strict=True):
        if "." not in one:
            if one != other:
                return False
        elif not np.isclose(float(one), float(other), rtol=0.05, atol=2e-3):
            return False
    return True


def made_here():
    (architecture, *_) = [
        library["architecture"]
        for library in threadpool_info()
        if library["internal_api"] == "openblas"
    ] or [None]
    torch_version = torch.__version__.partition("+")[0]
    capability = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    return np.__version__, torch_version, capability, architecture, threads


def agree(shown, printed):
    if made_here() == MADE_WITH:
        return near(shown, printed)
    return bool(shown.strip()) == bool(printed.strip())


def run(path, names):
    for block in blocks_of(path):
        if block.needs and find_spec(block.needs) is None:
            continue
        # Tracebacks then name the page and the line in it.
        code = compile("\n" * (block.line - 1) + block.code, str(path), "exec")
        with redirect_stdout(StringIO()) as printed, warnings.catch_warnings():
            if block.needs:
                # Those of the library, about its own dependencies.
                warnings.simplefilter("ignore")
            exec(code, names)
        output = printed.getvalue()
        line = f"{path.name}, line {block.line}"
        assert agree(block.printed, output), f"{line}:\n{output}"
    return names


@pytest.fixture(scope="session")
def beginning():
    """What all pages of the guide share: the code of its first page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return run(GUIDE / "index.md", {})


# Of joblib's, on a disk that is slow or busy.
@pytest.mark.filterwarnings("ignore:Persisting input arguments took:UserWarning")
@pytest.mark.parametrize(
    "path", [p for p in PAGES if p.name != "index.md"], ids=lambda path: path.stem
)
def test_the_code_of_a_page_prints_what_it_shows(path, request, tmp_path, monkeypatch):
    names = {} if path in ALONE else dict(request.getfixturevalue("beginning"))
    # Files that a page writes stay out of the repository.
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    run(path, names)


def test_outputs_are_compared():
    shown = "host    0.2988  12 lists\n"
    assert near(shown, "host 0.299 12 lists")
    assert not near(shown, "host 0.350 12 lists")
    assert not near(shown, "host 0.299 13 lists")
    assert not near(shown, "model 0.299 12 lists")
    assert not near(shown, "")


def test_every_page_stands_in_the_table_of_contents():
    listed = re.search(r"```\{toctree\}.*?```", (GUIDE / "index.md").read_text(), re.S)
    found = {path.stem for path in GUIDE.glob("*.md")} - {"index"}
    assert set(listed[0].split()) & found == found


def _python_object(name):
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise ImportError(name)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_references_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"\{(?:class|func|meth|mod|attr)\}`~?([\w.]+)`", text):
        assert _python_object(name) is not None
    for target in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`", text):
        page = (path.parent / target).resolve()
        place = page.relative_to(DOCS)
        if place.parts[:2] == ("results", "tables"):
            assert (ROOT / "benchmarks" / "results" / f"{place.name}.md").exists()
        elif place.parts[0] == "auto_examples":
            assert (ROOT / "examples" / f"{place.name}.py").exists(), target
        else:
            assert page.with_suffix(".md").exists(), target
    for name in re.findall(
        r"`((?:docs|data|tests|examples|benchmarks)/[\w./-]+)`", text
    ):
        assert (ROOT / name).exists(), name


def _rows(text, first):
    """Return the cells of the table whose first heading is `first`."""
    lines = iter(text.splitlines())
    heads = next(line for line in lines if line.startswith(f"| {first} |"))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [cell.strip() for cell in heads.strip("|").split("|")], rows


METRICS = (DOCS / "metrics.md").read_text(encoding="utf-8")


def test_the_table_of_metrics_is_that_of_the_scorers():
    _, rows = _rows(METRICS, "metric")
    found = {}
    for function, better, scorer, aliases, *_ in rows:
        name = re.search(r"`~skpopsteer\.metrics\.(\w+)`", function)[1]
        found[scorer.strip("`")] = getattr(metrics, name), better
        for alias in re.findall(r"`(\w+)`", aliases):
            assert scorers.ALIASES[alias] == scorer.strip("`").removeprefix("neg_")
    expected = {name: (one, "higher") for name, one in scorers.SCORES.items()}
    for name, one in scorers.LOSSES.items():
        expected[f"neg_{name}"] = (one, "lower")
    assert found == expected
    mentioned = {a for row in rows for a in re.findall(r"`(\w+)`", row[3])}
    assert mentioned == set(scorers.ALIASES)


@pytest.fixture
def example():
    """Lists, held-out items and training interactions of the page's small example."""
    names = {}
    (block,) = (b for b in blocks_of(DOCS / "metrics.md") if "lists =" in b.code)
    with redirect_stdout(StringIO()):
        exec(block.code, names)
    return names["lists"], names["y"], names["X"]


def _pairs(matrix):
    return list(zip(*(part.tolist() for part in matrix.nonzero()), strict=True))


def skpopsteer_figures(lists, y, X):
    popularity, n_items = X.sum(axis=0), X.shape[1]
    ndcg = metrics.ndcg(y, lists)
    return {
        "NDCG@3": ndcg,
        "NDCG@3, set alike": ndcg,
        "recall@3": metrics.recall(y, lists),
        "precision@3": metrics.precision(y, lists),
        "hit rate": metrics.hit_rate(y, lists),
        "MRR": metrics.mrr(y, lists),
        "MAP@3": metrics.mean_average_precision(y, lists),
        "Gini": metrics.gini(lists, n_items),
        "coverage": metrics.coverage(lists, n_items),
        "entropy": metrics.entropy(lists, n_items),
        "average popularity": metrics.average_popularity(lists, popularity),
        "novelty": metrics.novelty(lists, popularity, X.shape[0]),
    }


def rectools_figures(lists, y, X):
    import pandas as pd
    from rectools import metrics as theirs

    columns = ["user_id", "item_id"]
    reco = pd.DataFrame(
        [(u, i, r + 1) for u, row in enumerate(lists) for r, i in enumerate(row)],
        columns=[*columns, "rank"],
    )
    test, seen = (pd.DataFrame(_pairs(one), columns=columns) for one in (y, X))
    metric, catalog = (
        {
            "NDCG@3": theirs.NDCG(3),
            "NDCG@3, set alike": theirs.NDCG(3, divide_by_achievable=True),
            "recall@3": theirs.Recall(3),
            "precision@3": theirs.Precision(3),
            "hit rate": theirs.HitRate(3),
            "MRR": theirs.MRR(3),
            "MAP@3": theirs.MAP(3),
        },
        theirs.CatalogCoverage(3, normalize=True),
    )
    figures = {name: one.calc(reco, test) for name, one in metric.items()}
    figures["coverage"] = catalog.calc(reco, range(X.shape[1]))
    figures["average popularity"] = theirs.AvgRecPopularity(3).calc(reco, seen)
    figures["novelty"] = theirs.MeanInvUserFreq(3).calc(reco, seen)
    return figures


def lenskit_figures(lists, y, X):
    import pandas as pd
    from lenskit import metrics as theirs
    from lenskit.data import ItemList, from_interactions_df
    from lenskit.metrics.ranking import AveragePrecision

    seen = pd.DataFrame(_pairs(X), columns=["user_id", "item_id"])
    popular = theirs.MeanPopRank(from_interactions_df(seen), n=3)
    listed = [ItemList(item_ids=row, ordered=True) for row in lists]
    truth = [ItemList(item_ids=y[[u]].nonzero()[1]) for u in range(len(lists))]
    alike = theirs.NDCG(3, weight=theirs.LogRankWeight(offset=1))
    metric = {
        "NDCG@3": theirs.NDCG(3),
        "NDCG@3, set alike": alike,
        "recall@3": theirs.Recall(3),
        "precision@3": theirs.Precision(3),
        "hit rate": theirs.Hit(3),
        "MRR": theirs.RecipRank(3),
        "MAP@3": AveragePrecision(3),
    }
    judged = [pair for pair in zip(listed, truth, strict=True) if len(pair[1])]
    figures = {
        name: np.mean([one.measure_list(*pair) for pair in judged])
        for name, one in metric.items()
    }
    gini = theirs.ListGini(3, items=X.shape[1])
    counted = [gini.compute_list_data(one, None) for one in listed]
    figures["Gini"] = gini.global_aggregate(counted)
    ranks = [popular.measure_list(one, None) for one in listed]
    figures["average popularity"] = np.mean(ranks)
    return figures


def recbole_figures(lists, y, X):
    import torch
    from recbole.config import Config
    from recbole.evaluator import metrics as theirs

    settings = {"topk": [3], "metric_decimal_place": 6}
    # It also makes names that numpy has dropped.
    config = Config("BPR", "ml-100k", config_dict=settings)
    n_held_out = np.diff(y.indptr)
    hits = np.take_along_axis(y.toarray(), lists, axis=1)
    judged = np.column_stack([hits, n_held_out])[n_held_out > 0]
    known = {
        "rec.topk": torch.from_numpy(judged.astype(int)),
        # Its item 0 is padding.
        "rec.items": torch.from_numpy(lists + 1),
        "data.num_items": X.shape[1] + 1,
        "data.count_items": dict(enumerate(X.sum(axis=0).tolist(), 1)),
    }
    metric = {
        "NDCG@3": theirs.NDCG,
        "NDCG@3, set alike": theirs.NDCG,
        "recall@3": theirs.Recall,
        "precision@3": theirs.Precision,
        "hit rate": theirs.Hit,
        "MRR": theirs.MRR,
        "MAP@3": theirs.MAP,
        "Gini": theirs.GiniIndex,
        "coverage": theirs.ItemCoverage,
        "entropy": theirs.ShannonEntropy,
        "average popularity": theirs.AveragePopularity,
    }
    return {
        name: next(iter(one(config).calculate_metric(known).values()))
        for name, one in metric.items()
    }


def cornac_figures(lists, y, X):
    from cornac import metrics as theirs

    metric = {
        "NDCG@3": theirs.NDCG(3),
        "NDCG@3, set alike": theirs.NDCG(3),
        "recall@3": theirs.Recall(3),
        "precision@3": theirs.Precision(3),
        "hit rate": theirs.HitRatio(3),
    }
    truth = [y[[u]].nonzero()[1] for u in range(len(lists))]
    return {
        name: np.mean(
            [
                one.compute(gt_pos=own, pd_rank=row)
                for row, own in zip(lists, truth, strict=True)
                if len(own)
            ]
        )
        for name, one in metric.items()
    }


def implicit_figures(lists, y, X):
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.evaluation import ranking_metrics_at_k
    from scipy.sparse import csr_matrix

    model = AlternatingLeastSquares(factors=X.shape[1])
    scores = np.zeros(y.shape, dtype=np.float32)
    np.put_along_axis(scores, lists, np.array([3.0, 2, 1], dtype=np.float32), axis=1)
    model.user_factors, model.item_factors = scores, np.eye(X.shape[1], dtype="float32")
    found = ranking_metrics_at_k(
        model, csr_matrix(y.shape), csr_matrix(y), K=3, show_progress=False
    )
    return {
        "NDCG@3": found["ndcg"],
        "NDCG@3, set alike": found["ndcg"],
        "precision@3": found["precision"],
        "MAP@3": found["map"],
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "library", ["skpopsteer", "rectools", "lenskit", "recbole", "cornac", "implicit"]
)
def test_the_figures_of_a_library_are_its_own(library, example, monkeypatch, tmp_path):
    pytest.importorskip(library)
    # RecBole reads the command line, and writes where it is called.
    monkeypatch.setattr("sys.argv", ["pytest"])
    monkeypatch.chdir(tmp_path)
    heads, rows = _rows(METRICS, "figure")
    column = next(i for i, head in enumerate(heads) if head.lower().startswith(library))
    shown = {row[0]: row[column] for row in rows}
    figures = globals()[f"{library}_figures"](*example)
    for name, cell in shown.items():
        if cell == "\N{EN DASH}":
            assert name not in figures
        else:
            assert float(cell) == pytest.approx(figures[name], abs=5.1e-5), name
