"""Attributes that are more frequent where a neuron fires than elsewhere."""

import numpy as np
from scipy.sparse import csr_array
from scipy.special import gammaln
from scipy.stats import false_discovery_control

__all__ = ["enriched_attributes", "hypergeometric_tail"]


def enriched_attributes(Z, shown, neurons, fdr):
    """Test every pair of a neuron and an attribute for enrichment.

    Parameters
    ----------
    Z : csc_array of shape (len(shown), n_neurons)
        Activations, stored where positive.
    shown : ShownItems
        Items that stand for the rows; without features nothing is tested.
    neurons : ndarray of shape (m,)
        Neurons to test.
    fdr : float
        False discovery rate of the procedure of Benjamini and Hochberg over all pairs.

    Returns
    -------
    ndarray of shape (m,), dtype object
        For every neuron a tuple of names of attributes, lowest p-value first, equal
        ones by how many times more frequent they are.
    """
    if shown.item_features is None:
        return _as_tuples([()] * len(neurons))
    attributes = shown.item_features[shown.items]
    n_rows, n_with = len(shown), np.asarray(attributes.sum(axis=0)).ravel()
    active = csr_array(Z[:, neurons].T)
    n_active = np.diff(active.indptr)
    active.data = np.ones(active.nnz)
    both = (active @ attributes).tocoo()
    row, column, n_both = both.row, both.col, both.data
    expected = n_active[row] * n_with[column] / n_rows
    more = n_both > expected
    row, column, n_both, expected = (a[more] for a in (row, column, n_both, expected))
    # Pairs that are not over-represented count as tests too: p = 1.
    n_tests = np.count_nonzero(n_active) * np.count_nonzero(n_with)
    p_values = np.ones(n_tests)
    p_values[: len(row)] = hypergeometric_tail(
        n_both, n_rows, n_with[column], n_active[row]
    )
    kept = false_discovery_control(p_values)[: len(row)] <= fdr if n_tests else more
    order = np.lexsort((column, expected / n_both, p_values[: len(row)], row))
    order = order[kept[order]]
    names = shown.feature_names[column[order]]
    ends = np.searchsorted(row[order], np.arange(1, len(neurons)))
    return _as_tuples(np.split(names, ends))


def hypergeometric_tail(n_both, n_rows, n_with, n_active):
    """Return the probability of at least `n_both` common rows, by chance.

    Parameters
    ----------
    n_both : ndarray of shape (n,)
        Rows that are active and have the attribute; more than expected by chance.
    n_rows : int
        All rows.
    n_with, n_active : ndarray of shape (n,)
        Rows with the attribute, and active rows.

    Returns
    -------
    ndarray of shape (n,)
        ``scipy.stats.hypergeom.sf(n_both - 1, n_rows, n_with, n_active)``.

    Notes
    -----
    The terms are summed from the first on, each being the last one times a ratio below
    1, until they no longer count: all pairs at once, where scipy takes ten microseconds
    and more for each.
    """
    k, K, n, N = (
        np.asarray(a, dtype=np.float64) for a in (n_both, n_with, n_active, n_rows)
    )
    term = np.exp(_log_choose(K, k) + _log_choose(N - K, n - k) - _log_choose(N, n))
    total, left = term.copy(), np.arange(len(term))
    while len(left):
        ratio = (K - k) * (n - k) / ((k + 1) * (N - K - n + k + 1))
        term = term * ratio
        total[left] += term
        going = term > 1e-16 * total[left]
        left, term, k, K, n = (a[going] for a in (left, term, k + 1, K, n))
    return np.minimum(total, 1.0)


def _as_tuples(parts):
    # Numpy would make a table of tuples that are equally long.
    tuples = np.empty(len(parts), dtype=object)
    tuples[:] = [tuple(part) for part in parts]
    return tuples


def _log_choose(n, k):
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
