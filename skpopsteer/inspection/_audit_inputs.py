"""What a popularity audit measures with: users, held-out items, neurons."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone

from skpopsteer.metrics._lists import check_held_out, check_split
from skpopsteer.steering import SteeredRecommender

__all__ = ["choose_rows", "fit_steered", "held_out_of"]


def choose_rows(X, y, max_users, rng):
    """Draw the rows that are measured, of those that can be judged.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    y : sparse of shape (n_users, n_items), array-like of shape (n_users,), HeldOut \
or None
        Checked here.
    max_users : int or None
    rng : numpy.random.RandomState

    Returns
    -------
    ndarray of shape (n_measured,), dtype int64
        Ascending.
    """
    if y is None:
        rows = np.flatnonzero(np.diff(X.indptr))
        # Trained users may be looked up without a history.
        rows = rows if len(rows) else np.arange(X.shape[0])
    else:
        no_lists = np.full((X.shape[0], 1), -1)
        judged = check_held_out(check_split(X, y, no_lists), no_lists)
        rows = np.flatnonzero(judged.per_user())
    if max_users is not None and len(rows) > max_users:
        rows = np.sort(rng.permutation(rows)[:max_users])
    return rows


def held_out_of(y, rows):
    """Return the held-out items of some rows, or None without any."""
    y = getattr(y, "y", y)
    if y is None:
        return None
    return (y.tocsr() if issparse(y) else np.asarray(y))[rows]


def fit_steered(audit, X, user_ids, rng):
    """Return the model whose neurons are a channel, fitted, or None where they are not.

    Parameters
    ----------
    audit : PopularityAudit
        Its parameters, fitted host and popularity are read.
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None
    rng : numpy.random.RandomState

    Returns
    -------
    SteeredRecommender or None
    """
    steered, host = audit.steered, audit.recommender_
    if isinstance(steered, str):
        return None
    if steered is None:
        steered = SteeredRecommender(
            host, groups=audit.groups, n_recommendations=audit.n_recommendations,
            random_state=rng.randint(np.iinfo(np.int32).max),
        )  # fmt: skip
    # Of a search, what it has found.
    steered = getattr(steered, "best_estimator_", steered)
    if not isinstance(steered, SteeredRecommender):
        raise TypeError(
            "`steered` must be a SteeredRecommender, 'drop' or None; got "
            f"{type(steered).__name__}. Only that has neurons."
        )
    if not hasattr(steered, "recommender_"):
        steered = clone(steered).set_params(recommender=host)
        given = {"user_ids": user_ids, "item_popularity": audit.item_popularity_}
        return steered.fit(X, **given)
    if not _same_host(steered.recommender_, host):
        raise ValueError(
            "`steered` must be fitted around `recommender`; got one around another "
            "host. Write PopularityAudit(steered.recommender_, steered=steered)."
        )
    return steered


def _same_host(first, second):
    if first is second:
        return True
    shapes = [(host.n_items_, host._n_features_out) for host in (first, second)]
    nonlinear = [host.has_nonlinear_decode for host in (first, second)]
    if shapes[0] != shapes[1] or any(nonlinear):
        # What a decoder does cannot be compared.
        return False
    return np.array_equal(first.item_embeddings_, second.item_embeddings_)
