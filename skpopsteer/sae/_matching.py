"""Which direction of one dictionary is which of another."""

import numpy as np
from scipy.optimize import linear_sum_assignment

__all__ = ["match_directions", "stability"]

#: Rows of the cosines computed at once, so that only one whole matrix is held.
BLOCK_ROWS = 512


def match_directions(new, old):
    """Pair the directions of two dictionaries, one to one, by their cosines.

    Parameters
    ----------
    new, old : ndarray of shape (n_neurons, n_features)
        Directions in rows, of any length; a row of zeros has cosine 0 with all.

    Returns
    -------
    order : ndarray of shape (n_neurons,), dtype int64
        ``new[order][j]`` belongs to ``old[j]``: of all permutations the one with the
        largest sum of cosines. A direction and its opposite are not alike.
    cosines : ndarray of shape (n_neurons,), dtype float64
        Of the pairs, in the order of `old`.

    Raises
    ------
    ValueError
        For dictionaries of different shapes.

    Notes
    -----
    The assignment problem of [1]_, solved by scipy: O(n_neurons³) time at the worst,
    8 bytes · n_neurons² of memory.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research
       Logistics Quarterly 2, 1955, doi:10.1002/nav.3800020109.
    """
    if new.shape != old.shape or new.ndim != 2:
        raise ValueError(
            f"`new` must have the shape of `old`, {old.shape}, 2-D; got {new.shape}. "
            "Match dictionaries of equal n_neurons and width."
        )
    new, old = _unit_rows(new), _unit_rows(old)
    costs = np.empty((len(old), len(new)))
    for start in range(0, len(old), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        # Negative already: to maximise, scipy would make a second matrix.
        np.matmul(-old[rows], new.T, out=costs[rows])
    _, order = linear_sum_assignment(costs)
    return order, -costs[np.arange(len(old)), order]


def stability(decoders, chosen):
    """Measure how well the directions of a run are found again by the other runs.

    Parameters
    ----------
    decoders : sequence of ndarray of shape (n_neurons, n_features)
        Of runs that differ in their seeds, say.
    chosen : int
        Which of them is asked about.

    Returns
    -------
    ndarray of shape (n_neurons,), dtype float64, or None
        Mean over the other runs of the cosine between a direction and the one that
        :func:`match_directions` pairs it with, in [-1, 1]; None for a single run,
        which says nothing.

    Notes
    -----
    Pairs of runs are compared by an assignment as in PW-MCC of [1]_, but the result is
    kept per direction. Time is that of one matching for each of the other runs.

    References
    ----------
    .. [1] X. Song et al., "Position: Mechanistic interpretability should prioritize
       feature consistency in SAEs", 2025, arXiv:2505.20254.
    """
    others = [run for index, run in enumerate(decoders) if index != chosen]
    if not others:
        return None
    return np.mean([match_directions(run, decoders[chosen])[1] for run in others], 0)


def _unit_rows(directions):
    directions = np.asarray(directions, dtype=np.float64)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return directions / np.where(lengths > 0, lengths, 1)
