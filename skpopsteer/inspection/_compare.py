"""Several recommenders side by side on the same users."""

from dataclasses import dataclass
from html import escape

import numpy as np

from skpopsteer import metrics
from skpopsteer._compat import import_frame_library
from skpopsteer._text_table import align_columns
from skpopsteer.popularity import PopularityGroups, item_popularity

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """Table of :func:`compare`: prints as text, shows as HTML, becomes a frame.

    Parameters
    ----------
    names : list of str
        Rows: the recommenders.
    columns : list of str
        Measures, with the length of the lists.
    values : ndarray of shape (n_recommenders, n_measures)
        The figures.
    convention : str
        What was counted as head and tail, and how users were encoded.
    """

    names: list[str]
    columns: list[str]
    values: np.ndarray
    convention: str

    def __getitem__(self, column):
        """Return one measure of all recommenders, by name."""
        if column not in self.columns:
            raise KeyError(
                f"`column` must be one of {', '.join(self.columns)}; got {column!r}."
            )
        return self.values[:, self.columns.index(column)]

    def __str__(self):
        # Headers of two words stand in two lines: the table then fits a terminal.
        upper, lower = zip(*(_two_lines(name) for name in self.columns), strict=True)
        rows = [
            [name, *row] for name, row in zip(self.names, self._cells(), strict=True)
        ]
        rows = [["", *upper], ["", *lower], *rows]
        lines, rule = align_columns(rows)
        lines.insert(2, rule)
        return "\n".join([*lines, f"({self.convention})"])

    def _repr_html_(self):
        head = "".join(f"<th>{escape(c)}</th>" for c in ["", *self.columns])
        body = "".join(
            f"<tr><th>{escape(name)}</th>{''.join(f'<td>{c}</td>' for c in row)}</tr>"
            for name, row in zip(self.names, self._cells(), strict=True)
        )
        return (
            f"<table><caption>{escape(self.convention)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def to_frame(self, backend="pandas"):
        """Return the table as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per recommender; the first column, ``"recommender"``, is its name.
        """
        frames = import_frame_library(backend)
        columns = dict(zip(self.columns, self.values.T, strict=True))
        return frames.DataFrame({"recommender": self.names, **columns})

    def _cells(self):
        # Average popularity counts interactions; all other measures lie in [0, 1].
        digits = [1 if name.startswith("average") else 4 for name in self.columns]
        return [
            [f"{value:.{n}f}" for value, n in zip(row, digits, strict=True)]
            for row in self.values
        ]


def _two_lines(column):
    first, _, rest = column.partition("_")
    return (first, rest) if rest else ("", first)


def compare(models, X, y, *, n_recommendations=10, groups=None, user_ids=None):
    """Measure accuracy and exposure of several recommenders on the same users.

    Parameters
    ----------
    models : dict of str to fitted recommender
        The rows of the table, in order.
    X : sparse of shape (n_users, n_items)
        Interactions the recommenders see; popularity is counted from them.
    y : sparse of shape (n_users, n_items) or array-like of shape (n_users,)
        Held-out interactions.
    n_recommendations : int, default=10
        Length of the lists, the same for all.
    groups : PopularityGroups, default=None
        What counts as tail; None is ``PopularityGroups()``. The table says it in words.
    user_ids : array-like of shape (n_users,), default=None
        Positions of trained users, for all recommenders. None folds every row in, which
        the table says: for BPR and LMF that is another recommender than the trained
        one.

    Returns
    -------
    Comparison
        NDCG and recall (higher is more accurate), Gini (higher is less equal),
        coverage, tail coverage and tail share (higher is more of the catalogue, or of
        its tail), and average popularity in interactions per item.

    Notes
    -----
    Every recommender makes its lists once; the measures read only those.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import compare
    >>> from skpopsteer.model_selection import hide_interactions
    >>> X, y = hide_interactions(
    ...     make_interactions(200, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> compare({"host": host}, X, y).columns[:2]
    ['ndcg@10', 'recall@10']
    """
    if not isinstance(models, dict) or not models:
        raise ValueError(
            "`models` must be a dict of names to fitted recommenders, not empty; got "
            f"{type(models).__name__}. Write {{'host': model}}."
        )
    popularity = item_popularity(X)
    groups = PopularityGroups() if groups is None else groups
    labels = groups.label(popularity)
    rows = [
        _measure(
            model.recommend(X, n_recommendations, user_ids=user_ids),
            y,
            popularity,
            labels,
        )
        for model in models.values()
    ]
    k = n_recommendations
    return Comparison(
        names=[str(name) for name in models],
        columns=[
            f"ndcg@{k}", f"recall@{k}", f"gini@{k}", f"coverage@{k}",
            f"tail_coverage@{k}", f"tail_share@{k}", f"average_popularity@{k}",
        ],
        values=np.array(rows),
        convention=f"{groups}; users: {_whose(user_ids)}",
    )  # fmt: skip


def _whose(user_ids):
    # For hosts without a fold-in of their own these are two recommenders.
    return "folded in from their rows" if user_ids is None else "trained vectors"


def _measure(ids, y, popularity, labels):
    n_items = len(popularity)
    return [
        metrics.ndcg(y, ids),
        metrics.recall(y, ids),
        metrics.gini(ids, n_items),
        metrics.coverage(ids, n_items),
        metrics.tail_coverage(ids, labels),
        metrics.tail_share(ids, labels),
        metrics.average_popularity(ids, popularity),
    ]
