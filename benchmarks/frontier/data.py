"""Read the data sets of the frontier table; keep users and items with enough rows."""

import pathlib
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from skpopsteer.datasets import load_movielens

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


class Interactions(NamedTuple):
    """Pairs without order.

    Attributes
    ----------
    X : csr_array of shape (n_users, n_items)
        Ones.
    user_ids, item_ids : ndarray of shape (n_users,), (n_items,)
        Ids of the source by position, ascending.
    """

    X: csr_array
    user_ids: np.ndarray
    item_ids: np.ndarray


class Sequences(NamedTuple):
    """Pairs sorted by user, oldest first.

    Attributes
    ----------
    user, item : ndarray of shape (n_rows,)
        Positions.
    user_ids, item_ids : ndarray of shape (n_users,), (n_items,)
        Ids of the source by position, ascending.
    """

    user: np.ndarray
    item: np.ndarray
    user_ids: np.ndarray
    item_ids: np.ndarray


def available(data):
    """Tell whether a data set is there; ml-latest-small comes with the repository."""
    return data == "ml-latest-small" or (SHARED / data / "interactions.npz").is_file()


def k_core(user, item, *, min_user, min_item):
    """Return which rows remain when users and items with too few rows are left out.

    Both limits hold of what is returned: they are applied until nothing changes.
    """
    kept = np.ones(len(user), dtype=bool)
    while True:
        enough = kept & (np.bincount(user, weights=kept)[user] >= min_user)
        enough &= np.bincount(item, weights=kept)[item] >= min_item
        if np.array_equal(enough, kept):
            return kept
        kept = enough


def read_interactions(data):
    """Return all pairs of users with ten and items with five of them."""
    with np.load(SHARED / data / "interactions.npz") as arrays:
        user, item = arrays["user"], arrays["item"]
    kept = k_core(user, item, min_user=10, min_item=5)
    user_ids, rows = np.unique(user[kept], return_inverse=True)
    item_ids, columns = np.unique(item[kept], return_inverse=True)
    X = csr_array(
        (np.ones(len(rows), dtype=np.float32), (rows, columns)),
        shape=(len(user_ids), len(item_ids)),
    )
    return Interactions(X, user_ids, item_ids)


def read_sequences(data):
    """Return ratings of 4 and more that have a time, of users and items with five.

    Equal times keep the order of the file.
    """
    user, item, times = _liked(data)
    kept = k_core(user, item, min_user=5, min_item=5)
    user, item, times = user[kept], item[kept], times[kept]
    order = np.lexsort((times, user))
    user_ids, user = np.unique(user[order], return_inverse=True)
    item_ids, item = np.unique(item[order], return_inverse=True)
    return Sequences(user, item, user_ids, item_ids)


def _liked(data):
    if data == "ml-latest-small":
        ratings = load_movielens(ROOT / "data" / data, min_rating=4)
        times = ratings.times.tocoo()
        user, item = ratings.user_ids[times.row], ratings.item_ids[times.col]
        return user, item, times.data
    with np.load(SHARED / data / "interactions.npz") as arrays:
        # ML-1M: a time of -1 is unknown.
        kept = (arrays["rating"] >= 4) & (arrays["timestamp"] >= 0)
        return [arrays[name][kept] for name in ("user", "item", "timestamp")]
