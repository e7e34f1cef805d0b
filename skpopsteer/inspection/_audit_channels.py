"""What the channels of popularity are, and how much of the scores each one tells."""

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import RidgeCV

from skpopsteer._spans import spans
from skpopsteer.adapters._score_moments import score_moments

__all__ = [
    "BIAS",
    "DIRECTION",
    "LENGTH",
    "MEAN_SCORE",
    "NEURONS",
    "Channel",
    "explain_scores",
    "geometric_coordinates",
    "neuron_coordinate",
    "read_channels",
    "regress_popularity",
]

BIAS, LENGTH, DIRECTION = "item bias", "item length", "mean-user direction"
NEURONS, MEAN_SCORE = "neurons", "mean score"
#: Penalties of the ridge to choose from, as shares of the mean sum of squares of a
#: column.
_PENALTIES = np.geomspace(1e-6, 10, 15)
#: A coordinate that varies by less than this share of its size is the same for all.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Channel:
    """One number per item, and what it has to do with popularity and with the scores.

    Attributes
    ----------
    name : str
    coordinate : ndarray of shape (n_items,), dtype float64
    pearson, spearman : float
        Correlations with log popularity; NaN where the coordinate is the same for all.
    variance_share : float
        Share of the variance of a user's scores that it tells with one slope for all
        users.
    variance_share_personal : float
        The same with a slope per user.
    tail_share_without : float
        Tail share of lists with the channel taken out altogether; NaN where there is
        nothing that does so.
    """

    name: str
    coordinate: np.ndarray = field(repr=False)
    pearson: float
    spearman: float
    variance_share: float
    variance_share_personal: float
    tail_share_without: float = np.nan


def geometric_coordinates(host, direction):
    """Return what the tables of a host say of its items.

    Parameters
    ----------
    host : fitted recommender
        Scores by inner products.
    direction : ndarray of shape (d,) or (d + 1,), or None
        Of the mean user, of length 1; a last entry is that of the bias. None where
        users cancel out.

    Returns
    -------
    dict of str to ndarray of shape (n_items,), dtype float64
        By channel; without the bias where the host has none.
    """
    V, bias = host.item_embeddings_.astype(np.float64), host.item_bias_
    found = {} if bias is None else {BIAS: bias.astype(np.float64)}
    found[LENGTH] = np.linalg.norm(V, axis=1)
    if direction is not None:
        found[DIRECTION] = V @ direction[: V.shape[1]]
    return found


def neuron_coordinate(model, X, user_ids):
    """Return what one unit of strength takes out of the mean score of every item.

    Parameters
    ----------
    model : fitted SteeredRecommender
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None

    Returns
    -------
    ndarray of shape (n_items,), dtype float64

    Notes
    -----
    Measured, not multiplied out: a shift of a neuron that does not fire moves nothing.
    """
    encoded, turned = model._encode(X, user_ids), model._turn_checked(1.0)
    taken = np.zeros(X.shape[1])
    for rows, block in model._steered_blocks(X, encoded, turned):
        before, after = np.empty((2, rows.stop - rows.start, X.shape[1]), np.float32)
        model._host_score_into(before, block)
        model._score_into(after, block, X[rows], turned)
        taken += (before - after).sum(axis=0, dtype=np.float64)
    return taken / X.shape[0]


def read_channels(host, X, user_ids, coordinates, log_popularity):
    """Describe channels by their coordinates, and the mean score after them.

    Parameters
    ----------
    host : fitted recommender
    X : csr_array of shape (n_users, n_items)
        Rows that stand for the users.
    user_ids : ndarray of shape (n_users,) or None
    coordinates : dict of str to ndarray of shape (n_items,)
    log_popularity : ndarray of shape (n_items,)

    Returns
    -------
    channels : list of Channel
    within : float
        Variance of a user's scores, mean over users.
    """
    mean, _ = score_moments(host, X, user_ids)
    coordinates = {**coordinates, MEAN_SCORE: mean}
    columns = np.column_stack([_flatten(one) for one in coordinates.values()])
    within, shares, personal = explain_scores(host, X, user_ids, columns)
    ranks = rankdata(log_popularity)
    channels = [
        Channel(
            name, coordinates[name], _correlate(column, log_popularity),
            _correlate(rankdata(column), ranks), float(share), float(own),
        )
        for name, column, share, own in zip(
            coordinates, columns.T, shares, personal, strict=True
        )
    ]  # fmt: skip
    return channels, within


def explain_scores(host, X, user_ids, columns):
    """Return how much of the scores is linear in numbers of the items.

    Parameters
    ----------
    host : fitted recommender
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None
    columns : ndarray of shape (n_items, n_columns), dtype float64
        One regressor each.

    Returns
    -------
    within : float
        Mean over users of the variance of their scores over items: how high all scores
        of a user are ranks nothing, and is left out.
    shares : ndarray of shape (n_columns,)
        Share of `within` that a column tells with one slope for all users; NaN for a
        column that does not vary, or scores that do not.
    personal : ndarray of shape (n_columns,)
        The same with a slope per user.

    Notes
    -----
    Let m be the mean score of items, and C the covariance of users; variances and other
    covariances are over items. Scores u·v + b have the variance Var(m) + mean(v'Cv) -
    v̄'Cv̄ within users. The slope of a user on c is (a·u + Cov(b, c)) / Var(c) with a =
    Cov(v, c), and the mean square of that over users (Cov(m, c)² + a'Ca) / Var(c)².
    """
    centred = columns - columns.mean(axis=0)
    variances = np.square(centred).mean(axis=0)
    if getattr(host, "has_nonlinear_decode", True):
        within, common, squares = _moments_of_blocks(host, X, user_ids, centred)
    else:
        U = host.encode_users(X, user_ids)
        within, common, squares = _moments_of_products(host, U, centred)
    scale = variances * within
    shares, personal = np.full((2, len(scale)), np.nan)
    np.divide(common**2, scale, out=shares, where=scale > 0)
    np.divide(squares, scale, out=personal, where=scale > 0)
    return within, shares, personal


def _moments_of_products(host, U, centred):
    """Return `within`, and mean and mean square over users of Cov_i(s_ui, c_i)."""
    V, bias = host.item_embeddings_.astype(np.float64), host.item_bias_
    V -= V.mean(axis=0)
    user = U.mean(axis=0, dtype=np.float64)
    covariance = (U - user).T @ (U - user) / len(U)
    mean = V @ user
    if bias is not None:
        mean += bias - bias.mean(dtype=np.float64)
    # Var_i(m_i) + mean_i(v_i' C v_i) - v̄' C v̄, with V centred.
    within = float(mean @ mean + np.einsum("ij,ij->", V @ covariance, V)) / len(V)
    common = mean @ centred / len(V)
    a = V.T @ centred / len(V)
    return within, common, common**2 + np.einsum("jk,jk->k", a, covariance @ a)


def _moments_of_blocks(host, X, user_ids, centred):
    """Return the same of any recommender, whose scores are made span by span."""
    within, common, squares = 0.0, 0.0, 0.0
    for span in spans(X.shape[0]):
        ids = None if user_ids is None else user_ids[span]
        scores = host.decision_function(X[span], ids).astype(np.float64)
        scores -= scores.mean(axis=1, keepdims=True)
        products = scores @ centred / X.shape[1]
        within += np.einsum("ij,ij->", scores, scores) / X.shape[1]
        common = common + products.sum(axis=0)
        squares = squares + np.square(products).sum(axis=0)
    n_users = X.shape[0]
    return float(within) / n_users, common / n_users, squares / n_users


def regress_popularity(host, log_popularity):
    """Return how well the vectors of the items tell their log popularity.

    Parameters
    ----------
    host : fitted recommender
        Scores by inner products.
    log_popularity : ndarray of shape (n_items,)

    Returns
    -------
    dict of str to float
        R² of items left out one by one, for ``"vectors"`` and, where there is a bias
        that varies, ``"vectors and bias"``; ridge regressions whose penalty is chosen
        by the same.

    Notes
    -----
    All columns of the vectors are scaled by one number, so that a rotation of the
    embeddings changes nothing. O(n_items d²).
    """
    V, bias = host.item_embeddings_.astype(np.float64), host.item_bias_
    tables = {"vectors": _unit(V)}
    if bias is not None and _varies(bias):
        tables["vectors and bias"] = np.column_stack(
            [tables["vectors"], _unit(bias.astype(np.float64)[:, None])]
        )
    return {
        name: float(
            RidgeCV(len(V) * _PENALTIES, scoring="r2")
            .fit(table, log_popularity)
            .best_score_
        )
        for name, table in tables.items()
    }


def _unit(table):
    table = table - table.mean(axis=0)
    size = np.sqrt(np.square(table).mean())
    return table / (size if size > 0 else 1.0)


def _varies(column):
    return np.ptp(column) > _ROUNDING * np.abs(column).max()


def _flatten(column):
    """Return a coordinate as it is, or all 0 where it varies by rounding alone."""
    return column if _varies(column) else np.zeros_like(column)


def _correlate(first, second):
    first, second = first - first.mean(), second - second.mean()
    size = np.sqrt((first @ first) * (second @ second))
    # Of a constant, products are no more than rounding.
    if not first.any() or not size > 0:
        return float("nan")
    return float(np.clip(first @ second / size, -1, 1))
