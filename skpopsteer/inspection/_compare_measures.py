"""What lists are measured by: exposure, accuracy kept, who pays, what else moves."""

import numpy as np
from scipy.sparse import csr_array

from skpopsteer import metrics
from skpopsteer.inspection._specificity_rows import Rows
from skpopsteer.metrics._bootstrap import draw_weights
from skpopsteer.metrics._lists import divide, mean_of_defined

__all__ = [
    "MEASURES",
    "SIGNS",
    "USER_GROUPS",
    "measure_profiles",
    "part_scores",
    "user_thirds",
]

#: Tail items count from so many exposures on.
_DEPTHS = (1, 5, 10)
MEASURES = ("gini", *(f"tail_coverage_{depth}" for depth in _DEPTHS), "tail_share")
#: What turns a measure into a score, of which more is better.
SIGNS = np.array([-1.0 if measure == "gini" else 1.0 for measure in MEASURES])
#: Thirds of the users: by the mean popularity of their histories, and by its length.
USER_GROUPS = ("niche", "mixed", "popular", "light", "medium", "heavy")


def part_scores(lists, y, labels, parts):
    """Measure the lists of parts of the users.

    Parameters
    ----------
    lists : ndarray of shape (n_users, k)
    y : held-out interactions
    labels : ndarray of shape (n_items,)
        -1 for the tail.
    parts : list of ndarray
        Rows.

    Returns
    -------
    ndarray of shape (n_parts, 1 + n_measures)
        NDCG, then the measures.
    """
    ndcg = metrics.ndcg(y, lists, per_user=True)
    shares = metrics.tail_share(lists, labels, per_user=True)
    scores = np.empty((len(parts), 1 + len(MEASURES)))
    for row, users in zip(scores, parts, strict=True):
        slots = lists[users]
        counts = np.bincount(slots[slots >= 0], minlength=len(labels))
        of_counts = _of_counts(counts[np.newaxis], np.arange(len(labels)), labels)[0]
        accuracy, share = mean_of_defined(ndcg[users]), mean_of_defined(shares[users])
        row[:] = accuracy, *of_counts, share
    return scores


def _of_counts(counts, items, labels):
    """Measure exposure by how often some items are recommended, and no others.

    Parameters
    ----------
    counts : ndarray of shape (n_draws, n_counted)
    items : ndarray of shape (n_counted,)
        Whose counts these are.
    labels : ndarray of shape (n_items,)

    Returns
    -------
    ndarray of shape (n_draws, n_measures - 1)
        Gini, and tail coverage at every depth.
    """
    n_items, in_tail = len(labels), labels == -1
    # Items nobody gets come first in the ascending order and add nothing.
    ranks = np.arange(n_items - len(items) + 1, n_items + 1)
    balance = np.sort(counts, axis=1) @ (2.0 * ranks - n_items - 1)
    gini = divide(balance, n_items * counts.sum(axis=1))
    of_tail = counts[:, in_tail[items]]
    deep = [(of_tail >= depth).sum(axis=1) / in_tail.sum() for depth in _DEPTHS]
    return np.column_stack([gini, *deep])


def user_thirds(X, popularity):
    """Cut the users into thirds, twice.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Histories.
    popularity : ndarray of shape (n_items,)

    Returns
    -------
    ndarray of shape (n_groups, n_users), dtype bool
        Of :data:`USER_GROUPS`. Users of equal value stay together; those without a
        history are in no group.
    """
    lengths = np.diff(X.indptr).astype(np.float64)
    users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    total = np.bincount(users, popularity[X.indices], minlength=X.shape[0])
    lengths[lengths == 0] = np.nan
    return np.concatenate([_thirds(total / lengths), _thirds(lengths)])


def _thirds(values):
    known = values[~np.isnan(values)]
    first, second = np.quantile(known, [1 / 3, 2 / 3]) if len(known) else (0.0, 0.0)
    middle = (first < values) & (values <= second)
    return np.stack([values <= first, middle, values > second])


def measure_profiles(profiles, y, labels, groups, attributes, n_boot, seed):
    """Measure several lists of every user on the same draws of the users.

    Parameters
    ----------
    profiles : list of ndarray of shape (n_users, k)
        The host's first: accuracy is a share of its own.
    y : held-out interactions
    labels : ndarray of shape (n_items,)
        -1 for the tail.
    groups : ndarray of shape (n_groups, n_users), dtype bool
        Of users.
    attributes : list of Attribute or None
    n_boot, seed : int
        Number of draws, and what they are drawn by.

    Returns
    -------
    columns : list of str
    values : ndarray of shape (n_profiles, n_columns)
    draws : ndarray of shape (n_boot, n_profiles, n_columns)

    Notes
    -----
    O(n_boot * n_users * k) a profile for the counts, and a sort of them per draw.
    """
    columns = ["ndcg", "ndcg_kept", *MEASURES]
    columns += [f"ndcg_kept_{group}" for group in USER_GROUPS]
    ndcg = np.stack([metrics.ndcg(y, lists, per_user=True) for lists in profiles])
    shares = [metrics.tail_share(lists, labels, per_user=True) for lists in profiles]
    shares = np.stack(shares)

    def measure(weights):
        overall = _means(ndcg, weights)
        kept = [_kept(ndcg, weights, users) for users in [slice(None), *groups]]
        exposure = [_exposure(lists, labels, weights) for lists in profiles]
        return np.concatenate(
            [
                overall[..., np.newaxis],
                kept[0][..., np.newaxis],
                np.stack(exposure, axis=1),
                _means(shares, weights)[..., np.newaxis],
                np.stack(kept[1:], axis=2),
            ],
            axis=2,
        )

    n_users = len(profiles[0])
    values = measure(np.ones((1, n_users)))
    blocks = draw_weights(n_users, n_boot, seed)
    draws = np.concatenate([values[:0], *map(measure, blocks)])
    if not attributes:
        return columns, values[0], draws
    names, moved, drawn = _moves(profiles, labels, attributes, n_boot, seed)
    values = np.hstack([values[0], moved])
    return columns + names, values, np.concatenate([draws, drawn], axis=2)


def _means(per_user, weights):
    """Average over users, those without a value left out (n_draws, n_profiles)."""
    known = ~np.isnan(per_user)
    sums = weights @ np.where(known, per_user, 0.0).T
    return divide(sums, weights @ known.T.astype(np.float64))


def _kept(ndcg, weights, users):
    # Held-out items decide who counts: the same users for all profiles.
    sums = weights[:, users] @ np.nan_to_num(ndcg[:, users]).T
    return divide(sums, sums[:, :1])


def _exposure(lists, labels, weights):
    """Measure the exposure by one profile on draws (n_draws, n_measures - 1)."""
    items, place = np.unique(lists, return_inverse=True)
    ends = np.arange(0, lists.size + 1, lists.shape[1])
    shape = len(lists), len(items)
    slots = csr_array((np.ones(lists.size), place.ravel(), ends), shape=shape)
    counts = (slots.T @ np.ascontiguousarray(weights.T)).T[:, items >= 0]
    # They are whole numbers, and as such sort faster.
    return _of_counts(counts.astype(np.int32, order="C"), items[items >= 0], labels)


def _moves(profiles, labels, attributes, n_boot, seed):
    """Measure how far the shares of attributes are from those in the host's lists."""
    rows = Rows(profiles[0], labels, None, attributes)
    for number, lists in enumerate(profiles):
        rows.add(str(number), np.nan, [lists])
    table = rows.table(n_boot, seed, [])
    first = table.columns.index(f"{attributes[0].name}_all")
    return table.columns[first:], table.values[:, first:], table.draws[:, :, first:]
