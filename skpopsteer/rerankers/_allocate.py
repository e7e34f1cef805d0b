"""Lists that are chosen for many users together."""

from dataclasses import replace

import numpy as np
from scipy.sparse import issparse

from skpopsteer._pool import join_pools
from skpopsteer._spans import spans
from skpopsteer._validation import check_item_lists, check_list_length

__all__ = ["AllocateMixin", "draw_pools"]


class AllocateMixin:
    """Mixin for rules that also choose the lists of many users together.

    A subclass gives ``_list_jointly(pool, strength, k)``: as ``_list`` of
    :class:`~skpopsteer.rerankers._list_rule.ListRule`, for the rows of a whole call,
    and with the host's first `keep_top` items where they are.
    """

    def allocate(
        self,
        X,
        n_recommendations=None,
        *,
        exclude_seen=True,
        candidates=None,
        exclude=None,
        strength=None,
        user_ids=None,
    ):
        """Recommend items to all rows together, as published.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        n_recommendations : int, default=None
            Length of the lists; None takes the estimator's own.
        exclude_seen : bool, default=True
            Leave out the items a row holds already.
        candidates : array-like of shape (n,), sparse (n_users, n_items) or list of \
lists, default=None
            The only items allowed: item positions for everybody, or one row each.
        exclude : same forms as `candidates`, default=None
            Items to leave out.
        strength : float, default=None
            Used in this call instead of the estimator's own `strength`.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.

        Returns
        -------
        ndarray of shape (n_users, n_recommendations), dtype int64
            Item positions, best first, padded with -1. A list depends on who else is
            asked for, and in what order; those of ``recommend`` do not.

        Notes
        -----
        All pools are held at once: 12 bytes times `pool_size` a row.
        """
        self._check_strength(strength)
        X, user_ids = self._check_rows(X, user_ids)
        k = check_list_length(n_recommendations, self.n_recommendations, X.shape[1])
        masks = tuple(
            None if lists is None else check_item_lists(name, lists, X.shape)
            for name, lists in [("exclude", exclude), ("candidates", candidates)]
        )
        pool = draw_pools(self, X, user_ids, k, exclude_seen, masks)
        turned = self._turn(strength)
        if turned == 0:
            places, _ = self._choose(pool, turned, k)
        else:
            places = self._list_jointly(pool, self._strengths(pool, turned), k)
        items = np.take_along_axis(pool.items, np.maximum(places, 0), axis=1)
        return np.where(places < 0, -1, items)


def draw_pools(model, X, user_ids, k, exclude_seen=True, masks=(None, None)):
    """Ask the host of a model for its best items, span by span.

    Parameters
    ----------
    model : PoolMixin
    X : csr_array of shape (n_users, n_items)
    user_ids : ndarray of shape (n_users,) or None
    k : int
        Length of the lists.
    exclude_seen : bool, default=True
    masks : tuple, default=(None, None)
        What to exclude and what to allow, as ``check_item_lists`` returns them.

    Returns
    -------
    Pool
        Of all rows.
    """
    parts = []
    for span in spans(X.shape[0]):
        ids = None if user_ids is None else user_ids[span]
        cut = tuple(mask[span] if issparse(mask) else mask for mask in masks)
        parts.append(model._draw(X[span], ids, None, k, exclude_seen, cut))
    return replace(join_pools(parts, X), factors=model._per_row(X))
