"""From rows of (user, item, value, ...) to matrices of one sparsity."""

from numbers import Integral

import numpy as np
from scipy.sparse import csr_array

__all__ = ["check_limit", "count_labels", "keep_frequent", "pair_matrices"]


def check_limit(name, limit):
    """Refuse what is not a number of interactions."""
    if not isinstance(limit, Integral) or limit < 1:
        raise ValueError(
            f"`{name}` must be an integer of at least 1; got {limit!r}. "
            "Pass 1 to keep all that have an interaction."
        )


def keep_frequent(table, min_user_interactions, min_item_interactions):
    """Drop rare users, then rare items, until none is left to drop."""
    n_before = -1
    while n_before != len(table):
        n_before = len(table)
        for column, limit in [(0, min_user_interactions), (1, min_item_interactions)]:
            _, codes, counts = np.unique(
                table[:, column], return_inverse=True, return_counts=True
            )
            if len(counts) and counts.min() < limit:
                table = table[counts[codes] >= limit]
    return table


def pair_matrices(table, names, file, *, row, item):
    """Turn a table of pairs into matrices, one for every further column.

    Parameters
    ----------
    table : ndarray of shape (n, 2 + len(names))
        User, item, and what the pair has.
    names : list of str
        Names of the further columns.
    file, row, item : str
        Where the table is from, and what a row and an item are called there.

    Returns
    -------
    dict
        `X`, with 1 for every pair, a matrix by each of the names, `user_ids` and
        `item_ids`.
    """
    user_ids, rows = np.unique(table[:, 0].astype(np.int64), return_inverse=True)
    item_ids, columns = np.unique(table[:, 1].astype(np.int64), return_inverse=True)
    order = np.lexsort((columns, rows))
    rows, columns, table = rows[order], columns[order], table[order]
    twice = np.flatnonzero((rows[1:] == rows[:-1]) & (columns[1:] == columns[:-1]))
    if len(twice):
        user, found = user_ids[rows[twice[0]]], item_ids[columns[twice[0]]]
        raise ValueError(
            f"`folder` must hold one {row} per user and {item}; got two of {item} "
            f"{found} by user {user} in {file}. Keep one of them."
        )
    shape = (len(user_ids), len(item_ids))
    # 32-bit positions as long as they do: foreign hosts want them.
    index_dtype = np.int32 if len(table) <= np.iinfo(np.int32).max else np.int64
    indptr = np.searchsorted(rows, np.arange(len(user_ids) + 1)).astype(index_dtype)
    columns = columns.astype(index_dtype)

    def matrix(values):
        # Copies: a caller who prunes one matrix in place must not bend the others.
        return csr_array((values.copy(), columns.copy(), indptr.copy()), shape=shape)

    further = {name: matrix(table[:, 2 + i]) for i, name in enumerate(names)}
    return {
        "X": matrix(np.ones(len(table))),
        **further,
        "user_ids": user_ids,
        "item_ids": item_ids,
    }


def count_labels(pairs, n_items):
    """Count (position, label) pairs in a matrix with one column per label."""
    names = sorted({label for _, label in pairs})
    columns = {label: column for column, label in enumerate(names)}
    rows = np.array([position for position, _ in pairs], dtype=np.int32)
    places = np.array([columns[label] for _, label in pairs], dtype=np.int32)
    counts = csr_array(
        (np.ones(len(pairs)), (rows, places)), shape=(n_items, len(names))
    )
    counts.sum_duplicates()
    return counts, np.array(names, dtype=object)
