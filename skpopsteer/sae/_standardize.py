"""Rows with mean 0 and deviation 1 each, made out of place."""

import numpy as np

__all__ = ["StandardizedRows", "row_deviations", "row_statistics", "standardize"]


def row_deviations(X):
    """Return the standard deviation of every row (n_rows, 1), 0 for a constant one."""
    # Squares of values from 1e19 on, or below 1e-23, have no room in float32.
    return X.std(axis=1, keepdims=True, dtype=np.float64).astype(X.dtype)


def row_statistics(X):
    """Return the mean and the standard deviation of every row.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)

    Returns
    -------
    mean, deviation : ndarray of shape (n_rows, 1)
        1 for the deviation of a constant row.
    """
    mean = X.mean(axis=1, keepdims=True)
    deviation = row_deviations(X)
    return mean, np.where(deviation > 0, deviation, np.float32(1))


def standardize(X):
    """Subtract from every row its mean and divide it by its deviation.

    The published code of From Knots to Knobs does so in place, so that its loss
    compares de-standardised outputs with standardised inputs; here rows stay as they
    are.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)

    Returns
    -------
    ndarray of shape (n_rows, n_features)
        A new array.

    References
    ----------
    .. [1] M. Spišák et al., "From Knots to Knobs: Towards Steerable Collaborative
       Filtering Using Sparse Autoencoders", 2026, arXiv:2601.11182.
    """
    mean, deviation = row_statistics(X)
    return (X - mean) / deviation


class StandardizedRows:
    """Training rows that are standardised on the way.

    Parameters
    ----------
    rows : ArrayRows or BlockRows
    """

    def __init__(self, rows):
        self.rows, self.n_features = rows, rows.n_features

    def __len__(self):
        return len(self.rows)

    def epoch(self, order_rng, batch_size):
        """Yield batches, as those of the rows."""
        return map(standardize, self.rows.epoch(order_rng, batch_size))

    def blocks(self, size=2**16):
        """Yield blocks, as those of the rows."""
        return map(standardize, self.rows.blocks(size))

    def sample(self, n, rng):
        """Return random rows."""
        return standardize(self.rows.sample(n, rng))
