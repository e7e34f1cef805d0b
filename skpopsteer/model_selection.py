"""Split interactions, not users, in forms that scikit-learn's searches can slice."""

from numbers import Integral

import numpy as np
from scipy.sparse import csr_array, issparse, vstack
from sklearn.utils import check_random_state

from skpopsteer._validation import as_interactions

__all__ = ["HeldOut", "hide_interactions", "interaction_folds"]


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
    rank, row, lengths = _rank_in_row(X, times, random_state)
    n_hidden = np.floor(test_size * lengths + 1e-9).astype(np.int64)
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
        y = y.tocsr() if issparse(y) else np.asarray(y)
        if not issparse(y) and y.ndim != 1:
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
            rows = slice(rows, rows + 1)
        return HeldOut(self.y[rows])


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
