"""Split interactions at random, and sequences at rolling ends."""

import numpy as np
from scipy.sparse import csr_array

#: Of every user: up to here for training, and up to here for validation.
TRAIN, VALID = 0.7, 0.8


def random_split(X, seed):
    """Return training, validation and test: 70, 10 and 20 % of every user's items.

    Shares are rounded; every part of ten items or more has one at least.
    """
    lengths = np.diff(X.indptr)
    user = np.repeat(np.arange(X.shape[0]), lengths)
    order = np.lexsort((np.random.default_rng(seed).random(X.nnz), user))
    place = np.empty(X.nnz)
    # The middle of each rank, as a share of the row.
    place[order] = (np.arange(X.nnz) - X.indptr[user] + 0.5) / lengths[user]
    part = np.searchsorted([TRAIN, VALID], place, side="right")
    return [
        csr_array((X.data[part == p], (user[part == p], X.indices[part == p])), X.shape)
        for p in range(3)
    ]


def drop_last(user, n_dropped, *, min_length=4):
    """Return which rows remain without the last ones of every user.

    Parameters
    ----------
    user : ndarray of shape (n_rows,)
        Sorted; rows of a user are oldest first.
    n_dropped : int
        Rows dropped at the end of every user.
    min_length : int, default=4
        Users who have fewer rows left lose them all: one is for the test, one for
        validation, and a sequence to train on has two.

    Returns
    -------
    ndarray of shape (n_rows,), dtype bool
    """
    lengths = np.bincount(user)
    place = np.arange(len(user)) - (np.cumsum(lengths) - lengths)[user]
    left = (lengths - n_dropped)[user]
    return (place < left) & (left >= min_length)
