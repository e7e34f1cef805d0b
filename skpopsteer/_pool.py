"""What chooses lists among the items a host would recommend."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse

from skpopsteer._post_hoc import PostHocMixin
from skpopsteer._spans import spans
from skpopsteer._validation import check_list_length
from skpopsteer.topk import merge_lists

__all__ = ["Pool", "PoolMixin", "draw_pool", "join_pools"]


@dataclass(frozen=True)
class Pool:
    """The items a host would recommend to some rows, best first.

    Attributes
    ----------
    items : ndarray of shape (n_rows, m), dtype int64
        Item positions, padded with -1 behind the last.
    scores : ndarray of shape (n_rows, m), dtype float32
        The host's, descending; -inf where padded.
    X : csr_array of shape (n_rows, n_items)
        The rows.
    factors : ndarray of shape (n_rows,) or None
        What multiplies the strength for each row.
    """

    items: np.ndarray
    scores: np.ndarray
    X: object
    factors: np.ndarray | None = None

    def __getitem__(self, rows):
        """Cut to some rows."""
        factors = None if self.factors is None else self.factors[rows]
        return Pool(self.items[rows], self.scores[rows], self.X[rows], factors)


def draw_pool(host, X, user_ids, n_items, exclude_seen=True, masks=(None, None)):
    """Ask a recommender for its best items, for validated rows.

    Parameters
    ----------
    host : fitted recommender
    X : csr_array of shape (n_rows, n_items)
    user_ids : ndarray of shape (n_rows,) or None
    n_items : int
        Items of a row.
    exclude_seen : bool, default=True
    masks : tuple, default=(None, None)
        Items to leave out, and the only ones allowed: None, a csr_array of the shape of
        X, or an ndarray (n_items,) of bool.

    Returns
    -------
    Pool
    """
    exclude, candidates = (
        # A mask that all rows share is the caller's list of positions again.
        mask if mask is None or issparse(mask) else np.flatnonzero(mask)
        for mask in masks
    )
    items, scores = host.recommend(
        X, n_items, exclude_seen=exclude_seen, exclude=exclude,
        candidates=candidates, user_ids=user_ids, return_scores=True,
    )  # fmt: skip
    return Pool(items, scores, X)


def join_pools(pools, X):
    """Return the pools of some spans as that of all rows.

    Parameters
    ----------
    pools : list of Pool
        In order, without factors.
    X : csr_array of shape (n_rows, n_items)
        All rows.

    Returns
    -------
    Pool
    """
    items = np.concatenate([pool.items for pool in pools])
    return Pool(items, np.concatenate([pool.scores for pool in pools]), X)


class PoolMixin(PostHocMixin):
    """Mixin for what chooses lists among the best `pool_size` items of a host.

    A subclass gives ``_choose(pool, turned, k)``: the lists as positions in the pool,
    of shape (n_rows, k) and padded with -1, and the scores of the whole pool that go
    with them, of shape (n_rows, m). With ``pool_size=None``, where its constraints
    allow that, it is a :class:`PostHocMixin` on the whole catalogue.

    The host may be any fitted recommender: all that is asked of it are its lists.
    """

    def _span_lists(self, X, user_ids, per_row, turned, k, exclude_seen, masks):
        if self.pool_size is None:
            return super()._span_lists(
                X, user_ids, per_row, turned, k, exclude_seen, masks
            )
        pool = self._draw(X, user_ids, per_row, k, exclude_seen, masks)
        return self._pool_lists(pool, turned, k)

    def _draw(self, X, user_ids, per_row, k, exclude_seen=True, masks=(None, None)):
        n = max(min(self.pool_size, X.shape[1]), k)
        pool = draw_pool(self.recommender_, X, user_ids, n, exclude_seen, masks)
        return replace(pool, factors=per_row)

    def _pool_lists(self, pool, turned, k):
        """Return the items and the scores of the lists of a pool."""
        places, scores = self._choose(pool, turned, k)
        if self.keep_top:
            own = np.where(pool.items < 0, -1, np.arange(pool.items.shape[1]))
            places = merge_lists(own[:, :k], places, self.keep_top)
        taken = np.maximum(places, 0)
        ids = np.where(places < 0, -1, np.take_along_axis(pool.items, taken, axis=1))
        values = np.take_along_axis(scores, taken, axis=1)
        return ids, np.where(ids < 0, -np.inf, values).astype(np.float32)

    def _path(self, X, strengths, n_recommendations, user_ids=None):
        if self.pool_size is None:
            return super()._path(X, strengths, n_recommendations, user_ids)
        turned = [self._turn_checked(strength) for strength in strengths]
        X, user_ids, k = self._check_lists(X, user_ids, n_recommendations)
        per_row = self._per_row(X)
        lists = np.empty((len(turned), X.shape[0], k), dtype=np.int64)
        for span, pool in self._pools(X, user_ids, per_row, k):
            for ids, one in zip(lists, turned, strict=True):
                ids[span], _ = self._pool_lists(pool, one, k)
        return lists

    def _lister(self, X, n_recommendations, user_ids=None):
        if self.pool_size is None:
            return super()._lister(X, n_recommendations, user_ids)
        X, user_ids, k = self._check_lists(X, user_ids, n_recommendations)
        pools = [pool for _, pool in self._pools(X, user_ids, self._per_row(X), k)]

        def lists_at(strength):
            turned = self._turn_checked(strength)
            return np.concatenate([self._pool_lists(p, turned, k)[0] for p in pools])

        return lists_at

    def _lists_to_score(self, X, n_recommendations, user_ids):
        if self.pool_size is None:
            return super()._lists_to_score(X, n_recommendations, user_ids)
        return self.recommend(X, n_recommendations, user_ids=user_ids)

    def _check_lists(self, X, user_ids, n_recommendations):
        X, user_ids = self._check_rows(X, user_ids)
        k = check_list_length(n_recommendations, self.n_recommendations, X.shape[1])
        return X, user_ids, k

    def _pools(self, X, user_ids, per_row, k):
        for span in spans(X.shape[0]):
            ids, factors = (None if c is None else c[span] for c in (user_ids, per_row))
            yield span, self._draw(X[span], ids, factors, k)
