"""How many protected items every beginning of a list must hold: FA*IR's table."""

import numpy as np
from scipy.stats import binom

__all__ = ["failure_probability", "minimum_table"]


def minimum_table(k, share, significance=0.1, adjustment="exact"):
    """Compute how many protected items every beginning of a list must hold.

    Parameters
    ----------
    k : int
        Length of the list.
    share : float
        Least share of protected items, in [0, 1].
    significance : float, default=0.1
        Level of the test, in (0, 1).
    adjustment : {"exact", "sidak"} or None, default="exact"
        As in :class:`~skpopsteer.rerankers.FairTopKReranker`.

    Returns
    -------
    ndarray of shape (k,), dtype int64
        Numbers for the first 1, ..., k items.

    Examples
    --------
    >>> from skpopsteer.rerankers._minimum_table import minimum_table
    >>> minimum_table(10, 0.5, 0.1, None)
    array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3])
    >>> minimum_table(10, 0.5, 0.1)
    array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3])
    """
    lengths = np.arange(1, k + 1)[:, None]
    distribution = binom.cdf(np.arange(k + 1), lengths, share)
    if adjustment is None:
        return _table(distribution, significance)
    if adjustment == "sidak":
        return _table(distribution, 1 - (1 - significance) ** (1 / k))
    # Between two neighbours of these the table is the same.
    levels = np.unique(np.append(distribution[distribution <= significance], 0.0))
    low, high = 0, len(levels) - 1
    while high - low > 1:
        middle = (low + high) // 2
        table = _table(distribution, levels[middle])
        if failure_probability(table, share) <= significance:
            low = middle
        else:
            high = middle
    tables = [_table(distribution, level) for level in levels[[low, high]]]
    missed = [abs(failure_probability(t, share) - significance) for t in tables]
    return tables[int(np.argmin(missed))]


def _table(distribution, level):
    return (distribution > level).argmax(axis=1)


def failure_probability(table, share):
    """Compute how often a list of random draws holds too few protected items.

    Parameters
    ----------
    table : array-like of shape (k,)
        Least numbers, as :func:`minimum_table` gives.
    share : float
        Probability that an item is protected.

    Returns
    -------
    float
        Probability that some beginning of the list holds too few.

    Examples
    --------
    >>> from skpopsteer.rerankers._minimum_table import failure_probability
    >>> failure_probability([0, 1, 1], 0.5)
    0.25
    """
    # Probability of every number so far, of lists that have not failed.
    passed = np.zeros(len(table) + 1)
    passed[0] = 1.0
    for least in table:
        drawn = passed * share
        passed *= 1 - share
        passed[1:] += drawn[:-1]
        passed[:least] = 0.0
    return float(1 - passed.sum())
