"""Lists from tiles of scores: some rows by some items, which stay in the cache."""

import numpy as np
from scipy.sparse import csr_array, issparse

from skpopsteer.topk import require_finite

__all__ = ["TILE_ROWS", "BestItems", "item_tiles", "tiles_pay"]

#: 256 by 1,024 float32 are 1 MiB, which a core keeps to itself.
TILE_ROWS, _TILE_ITEMS = 256, 1024
#: Longer lists take more insertions than partitions of whole rows do.
_LONGEST = 64
#: Of fewer items, whole rows of scores stay in the cache as well.
_FEWEST_ITEMS = 2**13
#: Fewer scores are made before numba would have been imported.
_FEWEST_SCORES = 2**22


def tiles_pay(shape, k):
    """Whether lists of `k` items are made faster of tiles than of whole rows.

    Parameters
    ----------
    shape : tuple of int
        Rows and items.
    k : int
    """
    n_rows, n_items = shape
    is_large = n_items >= _FEWEST_ITEMS and n_rows * n_items >= _FEWEST_SCORES
    return is_large and 1 <= k <= _LONGEST


def item_tiles(n_items):
    """Yield slices of consecutive items, in order."""
    for start in range(0, n_items, _TILE_ITEMS):
        yield slice(start, min(start + _TILE_ITEMS, n_items))


class BestItems:
    """The best items of some rows, of the tiles that were added so far.

    Parameters
    ----------
    n_rows : int
        At most `TILE_ROWS`.
    k : int
        Length of the lists.
    forbidden : list of csr_array (n_rows, n_items) or of ndarray (n_items,) of bool
        Items that must not be listed, a row each or of all rows.
    """

    def __init__(self, n_rows, k, forbidden):
        self.values = np.full((n_rows, k), -np.inf, dtype=np.float32)
        self.items = np.full((n_rows, k), -1, dtype=np.int64)
        self._indptr, self._indices = _union([m for m in forbidden if issparse(m)])
        if self._indptr is None:
            self._indptr = np.zeros(n_rows + 1, dtype=np.int64)
        self._barred = [mask for mask in forbidden if not issparse(mask)]
        self._memory = np.empty(n_rows * _TILE_ITEMS, dtype=np.float32)

    def memory(self, items):
        """Return memory for the scores of some items (n_rows, n), overwritten later."""
        n_rows, n_items = len(self.items), items.stop - items.start
        return self._memory[: n_rows * n_items].reshape(n_rows, n_items)

    def add(self, tile, items, offsets=None, factors=None):
        """Look through the scores of items that come behind those added before.

        Parameters
        ----------
        tile : ndarray of shape (n_rows, n), dtype float32
        items : slice
        offsets : ndarray of shape (n,), dtype float32, default=None
            What is added to the scores of every item.
        factors : ndarray of shape (n_rows,), default=None
            Multiplies `offsets` for every row; None is 1.
        """
        from skpopsteer._tile_loop import insert_best

        for mask in self._barred:
            tile[:, mask[items]] = -np.inf
        n_rows, n_items = tile.shape
        if offsets is None:
            offsets = np.zeros(n_items, dtype=np.float32)
        factors = np.ones(n_rows) if factors is None else factors
        is_number = insert_best(
            tile, items.start, offsets, factors.astype(np.float32), self._indptr,
            self._indices, self.values, self.items,
        )  # fmt: skip
        if not is_number:
            require_finite(self.values)

    def lists(self):
        """Return ids and scores (n_rows, k), as :func:`topk.finite_top_k` does."""
        require_finite(self.values)
        return self.items, self.values


def _union(masks):
    """Return row pointers and ascending columns of what any of some masks holds."""
    if not masks:
        return None, np.empty(0, dtype=np.int32)
    if len(masks) > 1:
        # What is stored counts, whatever its value.
        patterns = [
            csr_array((np.ones(m.nnz, dtype=np.int8), m.indices, m.indptr), m.shape)
            for m in masks
        ]
        masks = [sum(patterns[1:], start=patterns[0])]
    (mask,) = masks
    if not mask.has_sorted_indices:
        mask = mask.sorted_indices()
    return mask.indptr.astype(np.int64), mask.indices
