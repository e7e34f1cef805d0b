"""Split interactions, not users: hide some of every row to judge the lists on."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import check_random_state

from skpopsteer._validation import as_interactions

__all__ = ["hide_interactions"]


def hide_interactions(X, *, test_size=0.2, times=None, random_state=None):
    """Hide a share of every user's interactions.

    Parameters
    ----------
    X : CSR array or matrix of shape (n_users, n_items)
        Interactions; left as they are.
    test_size : float, default=0.2
        Share of a row to hide, in (0, 1), rounded down; a row keeps one item at least.
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
    if not 0 < test_size < 1:
        raise ValueError(
            f"`test_size` must be a share in (0, 1); got {test_size!r}. "
            "Write 20 % as 0.2."
        )
    X = as_interactions("X", X)
    lengths = np.diff(X.indptr)
    row = np.repeat(np.arange(X.shape[0]), lengths)
    draw = check_random_state(random_state).uniform(size=X.nnz)
    order = np.lexsort(
        (draw, row) if times is None else (draw, _aligned(times, X), row)
    )
    rank = np.empty(X.nnz, dtype=np.int64)
    rank[order] = np.arange(X.nnz) - np.repeat(X.indptr[:-1], lengths)
    n_hidden = np.floor(test_size * lengths + 1e-9).astype(np.int64)
    hidden = rank >= (lengths - n_hidden)[row]
    return _part(X, X.data, ~hidden, row), _part(X, np.ones(X.nnz), hidden, row)


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
