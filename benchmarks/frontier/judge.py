"""Judge lists of a host's best items: NDCG, and four measures of exposure."""

from dataclasses import replace

import numpy as np

from skpopsteer._pool import Pool, draw_pool
from skpopsteer._spans import spans
from skpopsteer.popularity import PopularityGroups, item_popularity
from skpopsteer.steering._relevance_rows import hits_of

__all__ = ["MEASURES", "Judge", "K", "better", "host_of"]

#: Length of the lists.
K = 10
#: Measures of exposure, and whether more of it is better.
MEASURES = {
    "Gini": False,
    "tail coverage": True,
    "tail coverage at 5": True,
    "tail share": True,
}


def host_of(U, pair):
    """Return a recommender that looks up the users of a part."""
    from skpopsteer import as_recommender

    bias = pair.item_bias
    return as_recommender((U, pair.V) if bias is None else (U, pair.V, bias))


def better(measure):
    """Return 1 where more of a measure is better, else -1."""
    return 1 if MEASURES[measure] else -1


class Judge:
    """A part of a pair: the pool that every method chooses from, and what was held out.

    Parameters
    ----------
    pair : HostPair
    name : {"valid", "test"}
    pool_size : int
    rows : ndarray of int, default=None
        Some of the users; None is all.
    """

    def __init__(self, pair, name, pool_size, rows=None):
        U, seen, y = pair.part(name)
        if rows is not None:
            U, seen, y = U[rows], seen[rows], y[rows]
        # Histories are those of the training on both parts: what a method knows of a
        # user is the same where it is tuned and where it is tested.
        X = pair.X_train if rows is None else pair.X_train[rows]
        self.host, self.X, self.y = host_of(U, pair), X, y
        self.ids = np.arange(len(U))
        self.pool = replace(draw_pool(self.host, seen, self.ids, pool_size), X=X)
        self.hits = np.concatenate([hits_of(self.pool[s], y[s]) for s in spans(len(U))])
        self.tail = PopularityGroups().label(item_popularity(pair.X_train)) == -1
        discounts = 1 / np.log2(np.arange(2, K + 2))
        held = np.minimum(np.diff(y.indptr), K)
        self.judged = held > 0
        ideal = np.concatenate([[0.0], np.cumsum(discounts)])[held]
        self._gain = discounts[None, :] / np.where(self.judged, ideal, 1.0)[:, None]
        own = np.where(self.pool.items < 0, -1, np.arange(self.pool.items.shape[1]))
        self.own = own[:, :K]
        self.base = self.ndcg(self.own)

    def per_user(self, places):
        """Return the NDCG of every user's list, NaN without held-out items."""
        found = np.take_along_axis(self.hits, np.maximum(places, 0), axis=1)
        values = (found & (places >= 0)) * self._gain
        return np.where(self.judged, values.sum(axis=1), np.nan)

    def ndcg(self, places):
        """Return the mean NDCG of lists, given as places in the pool."""
        return float(np.nanmean(self.per_user(places)))

    def items(self, places):
        """Return the items of lists, -1 where they are padded."""
        items = np.take_along_axis(self.pool.items, np.maximum(places, 0), axis=1)
        return np.where(places < 0, -1, items)

    def measure(self, places):
        """Return the share of the host's NDCG that is kept, and all measures."""
        items = self.items(places)
        counts = np.bincount(items[items >= 0], minlength=len(self.tail))
        exposure = self.of_counts(counts[None, :])
        kept = self.ndcg(places) / self.base
        return {"kept": kept, **{name: float(v[0]) for name, v in exposure.items()}}

    def of_counts(self, counts):
        """Return the measures of exposures (n, n_items)."""
        total = np.maximum(counts.sum(axis=1), 1)
        n = counts.shape[1]
        # Of small integers the sort is a count.
        small = counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
        ranked = np.sort(small, axis=1, kind="stable") @ np.arange(1, n + 1)
        tail = counts[:, self.tail]
        return {
            "Gini": 2 * ranked / (n * total) - (n + 1) / n,
            "tail coverage": (tail > 0).mean(axis=1),
            "tail coverage at 5": (tail >= 5).mean(axis=1),
            "tail share": tail.sum(axis=1) / total,
        }

    def cut(self, rows):
        """Return a judge of some of the users, which asks the host nothing again."""
        part = object.__new__(Judge)
        part.host, part.tail = self.host, self.tail
        part.X, part.y, part.ids = self.X[rows], self.y[rows], self.ids[rows]
        part.pool = Pool(self.pool.items[rows], self.pool.scores[rows], part.X)
        part.hits, part.judged = self.hits[rows], self.judged[rows]
        part._gain, part.own = self._gain[rows], self.own[rows]
        part.base = part.ndcg(part.own)
        return part
