"""What a grid over 20 strengths costs, beside the same search with one strength.

Both start from an empty memory and search the same folds of MovieLens latest-small with
a frozen implicit ALS; the autoencoder is the default one. Written to
``results/strength_grid.md``.
"""

import logging
import pathlib
import platform
import tempfile
import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skpopsteer import SteeredRecommender, as_recommender
from skpopsteer.datasets import load_movielens
from skpopsteer.metrics import get_scorer
from skpopsteer.model_selection import hide_interactions

ROOT = pathlib.Path(__file__).resolve().parents[1]
REPEATS = 3
STRENGTHS = np.linspace(0.0, 2.0, 20)
logging.getLogger("implicit").setLevel(logging.ERROR)


def train_host(X):
    """Train ALS and freeze it."""
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(factors=64, alpha=5, random_state=0)
        als.fit(csr_matrix(X, dtype="float32"), show_progress=False)
    return as_recommender(als)


def search(host, X, y, strengths, memory):
    """Return the seconds of a search, and its mean scores."""
    model = SteeredRecommender(host, rule="shift", memory=memory, random_state=0)
    grid = GridSearchCV(
        model,
        {"strength": strengths},
        cv=3,
        scoring=get_scorer(["ndcg@10", "tail_share@10"]),
        refit=False,
    )
    start = time.perf_counter()
    grid.fit(X, y)
    return time.perf_counter() - start, grid.cv_results_["mean_test_ndcg@10"]


def main():
    """Search with one strength and with many, and write the table."""
    X, y = hide_interactions(
        load_movielens(ROOT / "data" / "ml-latest-small").X, random_state=0
    )
    host = train_host(X)
    rows = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as empty:
            one, score = search(host, X, y, STRENGTHS[:1], empty)
        with tempfile.TemporaryDirectory() as empty:
            many, scores = search(host, X, y, STRENGTHS, empty)
        # The memory changes the cost and nothing else.
        assert scores[0] == score[0]
        rows.append((one, many, many / one))
    one, many, ratio = np.median(rows, axis=0)
    spread = f"{min(r[2] for r in rows):.2f} to {max(r[2] for r in rows):.2f}"
    table = (
        "| search, 3 folds, empty memory | seconds | times one strength |\n"
        "|---|--:|--:|\n"
        f"| 1 strength | {one:.1f} | 1 |\n"
        f"| {len(STRENGTHS)} strengths | {many:.1f} | {ratio:.2f} ({spread}) |\n"
    )
    print(table)
    note = (
        f"Median of {REPEATS} runs (range of the ratio in brackets), MovieLens "
        f"latest-small, ALS with 64 factors, Python {platform.python_version()}, one "
        "thread.\n"
    )
    results = ROOT / "benchmarks" / "results" / "strength_grid.md"
    results.write_text(f"{table}\n{note}", encoding="utf-8")


if __name__ == "__main__":
    main()
