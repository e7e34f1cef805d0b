"""Split interactions, not users, in forms that scikit-learn's searches can slice."""

import warnings
from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array, issparse, vstack
from sklearn.utils import check_random_state

from skpopsteer._validation import as_array, as_interactions

__all__ = [
    "HeldOut",
    "best_subject_to",
    "hide_interactions",
    "interaction_folds",
    "knee",
]


def hide_interactions(X, *, test_size=0.2, times=None, random_state=None):
    """Hide a share of every user's interactions.

    Parameters
    ----------
    X : CSR array or matrix of shape (n_users, n_items)
        Interactions; left as they are.
    test_size : float or int, default=0.2
        Share of a row to hide, in (0, 1), rounded down, or the number of interactions:
        1 leaves one out. A row keeps one item at least.
    times : CSR array or matrix of shape (n_users, n_items), default=None
        Times of the same interactions: the latest are hidden. None hides random ones.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice; breaks ties in `times`.

    Returns
    -------
    X_seen : csr_array of shape (n_users, n_items)
        What the recommender sees, with the values of `X`.
    y : csr_array of shape (n_users, n_items)
        What its lists are judged on, ones; disjoint from `X_seen`.

    Notes
    -----
    O(nnz log nnz).

    Examples
    --------
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.model_selection import hide_interactions
    >>> X = make_interactions(100, 50, random_state=0).X
    >>> X_seen, y = hide_interactions(X, test_size=0.2, random_state=0)
    >>> X_seen.nnz + y.nnz == X.nnz
    True
    """
    a_number = isinstance(test_size, Integral) and not isinstance(test_size, bool)
    a_share = isinstance(test_size, Real) and 0 < test_size < 1
    if not (test_size >= 1 if a_number else a_share):
        raise ValueError(
            "`test_size` must be a share in (0, 1), or a number of interactions; got "
            f"{test_size!r}. Write 20 % as 0.2, and leave one out by 1."
        )
    X = as_interactions("X", X)
    rank, row, lengths = _rank_in_row(X, times, random_state)
    if a_number:
        n_hidden = np.clip(lengths - 1, 0, min(test_size, X.shape[1]))
    else:
        n_hidden = np.floor(test_size * lengths + 1e-9).astype(np.int64)
        # A share just below 1 is rounded up to it.
        n_hidden = np.clip(n_hidden, 0, np.maximum(lengths - 1, 0))
    hidden = rank >= (lengths - n_hidden)[row]
    return _part(X, X.data, ~hidden, row), _part(X, np.ones(X.nnz), hidden, row)


def interaction_folds(X, n_splits=5, *, times=None, random_state=None):
    """Stack one copy of the users per fold, each with another part of them hidden.

    A `cv` of scikit-learn can only slice rows, and rows are users. Here every fold has
    rows of its own: a copy of all users without the interactions that the fold hides.

    Parameters
    ----------
    X : CSR array or matrix of shape (n_users, n_items)
        Interactions; left as they are.
    n_splits : int, default=5
        Number of folds, at least 2.
    times : CSR array or matrix of shape (n_users, n_items), default=None
        Times of the same interactions. None deals the interactions of a row out to the
        folds at random, evenly. With times, a row is cut into ``n_splits + 1`` parts in
        order of time, and fold f sees the first f + 1 of them and hides the next.
    random_state : int, RandomState instance or None, default=None
        Seed of the deal; breaks ties in `times`.

    Returns
    -------
    X_folds : csr_array of shape (n_splits * n_users, n_items)
        What is seen, fold after fold, with the values of `X`.
    y_folds : csr_array of shape (n_splits * n_users, n_items)
        What is hidden, ones; disjoint from `X_folds`.
    cv : list of tuple of ndarray
        Pairs each copy with itself: fit on what a fold sees, judged on what it hides.

    Notes
    -----
    A row of one interaction hides nothing. O(n_splits · nnz) memory.

    Examples
    --------
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.model_selection import interaction_folds
    >>> X = make_interactions(100, 50, random_state=0).X
    >>> X_folds, y_folds, cv = interaction_folds(X, 3, random_state=0)
    >>> X_folds.shape, len(cv), y_folds.nnz == X.nnz
    ((300, 50), 3, True)
    """
    if not isinstance(n_splits, Integral) or n_splits < 2:
        raise ValueError(
            f"`n_splits` must be an integer >= 2; got {n_splits!r}. "
            "Use hide_interactions for a single split."
        )
    X = as_interactions("X", X)
    if n_splits > max(2, X.nnz):
        raise ValueError(
            f"`n_splits` must be at most the number of interactions ({X.nnz}); got "
            f"{n_splits}. A fold has to hide one at least."
        )
    rng = check_random_state(random_state)
    rank, row, lengths = _rank_in_row(X, times, rng)
    if times is None:
        # Short rows would always fill the first folds without a start of their own.
        start = rng.randint(n_splits, size=X.shape[0])
        part = (rank + start[row]) % n_splits
    else:
        part = rank * (n_splits + 1) // lengths[row] - 1
    part = np.where(lengths[row] > 1, part, -1)
    seen, hidden = [], []
    for fold in range(n_splits):
        held_out = part == fold
        visible = ~held_out if times is None else part < fold
        seen.append(_part(X, X.data, visible, row))
        hidden.append(_part(X, np.ones(X.nnz), held_out, row))
    rows = np.arange(n_splits * X.shape[0]).reshape(n_splits, -1)
    cv = [(copy, copy) for copy in rows]
    return vstack(seen, format="csr"), vstack(hidden, format="csr"), cv


class HeldOut:
    """View of held-out interactions that all of scikit-learn can slice by rows.

    ``cross_validate``, ``cross_val_score`` and ``learning_curve`` refuse a sparse `y`;
    they take this, and so does every scorer and ``score`` of this package.

    Parameters
    ----------
    y : sparse of shape (n_users, n_items) or array-like of shape (n_users,)
        Held-out interactions, or one held-out item position per user.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from skpopsteer.model_selection import HeldOut
    >>> y = HeldOut(csr_array([[0, 1], [1, 0], [1, 1]]))
    >>> len(y), y[[0, 2]].y.toarray()
    (3, array([[0, 1],
           [1, 1]]))
    """

    def __init__(self, y):
        y = getattr(y, "y", y)
        y = y.tocsr() if issparse(y) else as_array("y", y)
        if y.ndim != (2 if issparse(y) else 1):
            raise ValueError(
                "`y` must be sparse (n_users, n_items), or one held-out item position "
                f"per user; got shape {y.shape}. scipy.sparse.csr_array makes one."
            )
        self.y = y

    @property
    def shape(self):
        """Shape of `y`."""
        return self.y.shape

    def __len__(self):
        return self.y.shape[0]

    def __getitem__(self, rows):
        # scikit-learn indexes what has a shape with (rows, ...).
        rows = rows[0] if isinstance(rows, tuple) else rows
        if isinstance(rows, Integral):
            # Not a slice: beyond the last row it would be empty, and a loop endless.
            rows = [rows]
        return HeldOut(self.y[rows])


def best_subject_to(objective, *, at_least=None, within=None):
    """Choose the best candidate of a search that keeps to limits: for ``refit=``.

    Parameters
    ----------
    objective : str
        Name of the metric to maximise, as the search's scorer calls it.
    at_least : dict of str to float, default=None
        Lowest mean score a candidate may have, per metric.
    within : dict of str to float, default=None
        Share in [0, 1) of the best candidate's mean score that may be lost, per metric
        whose scores are positive: ``{"ndcg@10": 0.03}`` keeps 97 %.

    Returns
    -------
    callable
        ``refit(cv_results)`` returns the index of the candidate. Where none keeps to
        all limits it returns the one that misses them least, and warns.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.model_selection import best_subject_to
    >>> refit = best_subject_to("neg_gini@10", within={"ndcg@10": 0.03})
    >>> refit({
    ...     "mean_test_ndcg@10": np.array([0.30, 0.295, 0.20]),
    ...     "mean_test_neg_gini@10": np.array([-0.9, -0.8, -0.5]),
    ... })
    1
    """
    at_least = _limits("at_least", at_least)
    within = _limits("within", within)
    for name, share in within.items():
        if not 0 <= share < 1:
            raise ValueError(
                f"`within` must hold shares in [0, 1); got {share!r} for {name!r}. "
                "Write 3 % as 0.03."
            )

    def refit(cv_results):
        objectives = _mean_scores(cv_results, objective)
        shortfall = np.where(np.isnan(objectives), np.inf, 0.0)
        for name, floor in at_least.items():
            shortfall += _shortfall(_mean_scores(cv_results, name), floor)
        for name, share in within.items():
            scores = _mean_scores(cv_results, name)
            shortfall += _shortfall(scores, (1 - share) * np.nanmax(scores))
        if shortfall.min() > 0:
            nearest = int(shortfall.argmin())
            reached = {
                name: round(float(_mean_scores(cv_results, name)[nearest]), 4)
                for name in (*at_least, *within)
            }
            warnings.warn(
                f"`refit` must find a candidate within {at_least | within}; got none. "
                f"The nearest, candidate {nearest}, reaches {reached}. Widen the grid.",
                stacklevel=2,
            )
            return nearest
        return int(np.where(shortfall > 0, -np.inf, objectives).argmax())

    return refit


def knee(first, second):
    """Choose the candidate where one metric starts to cost the other: for ``refit=``.

    Parameters
    ----------
    first, second : str
        Names of the two metrics, as the search's scorer calls them; both maximised.

    Returns
    -------
    callable
        ``refit(cv_results)`` returns the index of the candidate of the frontier that
        lies furthest above the line between the two ends, both metrics scaled to [0,
        1].

    Notes
    -----
    Of two candidates equally far the one better at `first` is taken; where one
    candidate is best at both, that one.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.model_selection import knee
    >>> knee("ndcg@10", "tail_share@10")({
    ...     "mean_test_ndcg@10": np.array([0.30, 0.29, 0.10]),
    ...     "mean_test_tail_share@10": np.array([0.00, 0.20, 0.25]),
    ... })
    1
    """

    def refit(cv_results):
        scores = np.column_stack([_mean_scores(cv_results, n) for n in (first, second)])
        if np.isnan(scores).any(axis=1).all():
            raise ValueError(
                "`refit` must find a candidate that has a finite score of both "
                f"{first!r} and {second!r}; got none. Look at what the candidates "
                "raised: error_score='raise'."
            )
        low, high = np.nanmin(scores, axis=0), np.nanmax(scores, axis=0)
        scaled = (scores - low) / np.where(high > low, high - low, 1.0)
        dominated = [
            bool(((scaled >= point).all(1) & (scaled > point).any(1)).any())
            for point in scaled
        ]
        frontier = np.flatnonzero(~np.array(dominated) & ~np.isnan(scaled).any(axis=1))
        points = scaled[frontier]
        ends = points[[points[:, 0].argmax(), points[:, 1].argmax()]]
        along, away = ends[1] - ends[0], points - ends[0]
        # The cross product: positive on the outer side of the line between the ends.
        height = along[1] * away[:, 0] - along[0] * away[:, 1]
        order = np.lexsort((-points[:, 0], -height))
        return int(frontier[order[0]])

    return refit


def _limits(name, limits):
    """Return limits by metric, each of them a number."""
    limits = {} if limits is None else limits
    if not isinstance(limits, Mapping):
        raise TypeError(
            f"`{name}` must be a dict of metrics to numbers; got {limits!r}. "
            'Write {"ndcg@10": 0.03}.'
        )
    for metric, limit in limits.items():
        if not isinstance(limit, Real) or limit != limit:
            raise ValueError(
                f"`{name}` must hold a number for every metric; got {limit!r} for "
                f"{metric!r}. Write 3 % as 0.03."
            )
    return dict(limits)


def _mean_scores(cv_results, name):
    column = f"mean_test_{name}"
    if column not in cv_results:
        known = [c.removeprefix("mean_test_") for c in cv_results if "mean_test_" in c]
        raise ValueError(
            f"`refit` must name metrics the search scores ({', '.join(known)}); got "
            f"{name!r}. Add it to scoring=get_scorer([...])."
        )
    scores = np.asarray(cv_results[column], dtype=np.float64)
    # A candidate that failed has NaN; one that diverged is no better.
    scores = np.where(np.isfinite(scores), scores, np.nan)
    if np.isnan(scores).all():
        raise ValueError(
            f"`refit` must find a candidate that has a finite score of {name!r}; got "
            "none. Look at what the candidates raised: error_score='raise'."
        )
    return scores


def _shortfall(scores, floor):
    """How far scores stay below a floor; infinitely, for a candidate that failed."""
    return np.nan_to_num(np.maximum(floor - scores, 0.0), nan=np.inf)


def _rank_in_row(X, times, random_state):
    """Order the entries of every row, by time or at random.

    Returns
    -------
    rank, row : ndarray of shape (nnz,)
        Place of every entry in its row, from 0, and which row that is.
    lengths : ndarray of shape (n_users,)
        Entries of every row.
    """
    lengths = np.diff(X.indptr)
    row = np.repeat(np.arange(X.shape[0]), lengths)
    draw = check_random_state(random_state).uniform(size=X.nnz)
    keys = (draw, row) if times is None else (draw, _aligned(times, X), row)
    rank = np.empty(X.nnz, dtype=np.int64)
    rank[np.lexsort(keys)] = np.arange(X.nnz) - np.repeat(X.indptr[:-1], lengths)
    return rank, row, lengths


def _aligned(times, X):
    """Return the times in the order of X's entries."""
    times = as_interactions("times", times)
    if times.shape != X.shape or not (
        np.array_equal(times.indptr, X.indptr)
        and np.array_equal(times.indices, X.indices)
    ):
        raise ValueError(
            "`times` must hold one time > 0 for every interaction of `X`; got "
            f"{times.nnz} for {X.nnz}. Build both from the same events."
        )
    return times.data


def _part(X, values, kept, row):
    counts = np.bincount(row[kept], minlength=X.shape[0])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return csr_array((values[kept], X.indices[kept], indptr), shape=X.shape)
