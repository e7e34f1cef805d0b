"""Centre and spread of a table of rows, block by block, in float64."""

import numpy as np

__all__ = ["geometric_median", "moments"]

#: Numbers in a block (16 MiB of float64).
BLOCK_NUMBERS = 2**21


def moments(rows):
    """Return the mean row, and the mean squared distance of a row to it.

    Parameters
    ----------
    rows : ArrayRows or BlockRows
        Of shape (n_rows, n_features), with at least one row.

    Returns
    -------
    mean : ndarray of shape (n_features,), dtype float64
    variance : float
        The sum of the variances of the features; exactly 0 if all rows are equal.

    Notes
    -----
    One pass over the rows, O(n_rows · n_features) time. Sums are taken of distances to
    the first row, and the squares are centred in every block before they are merged,
    so that a large offset common to all rows costs no digits.
    """
    first = None
    count, mean, squares = 0, 0.0, 0.0
    for block in _small_blocks(rows):
        if first is None:
            first = block[0].astype(np.float64)
        shifted = block - first
        there = shifted.mean(axis=0)
        shifted -= there
        difference, total = there - mean, count + len(block)
        squares += np.vdot(shifted, shifted)
        squares += np.vdot(difference, difference) * count * len(block) / total
        mean = mean + difference * (len(block) / total)
        count = total
        # A view of a block that would otherwise stay while the next one is read.
        del block
    return first + mean, float(squares / count)


def geometric_median(rows, *, tol=1e-6, max_iter=100):
    """Return the point with the least mean distance, not squared, to the rows.

    Half of the rows would have to be wrong to move it far; one is enough for the mean.

    Parameters
    ----------
    rows : ArrayRows or BlockRows
        Of shape (n_rows, n_features), with at least one row.
    tol : float, default=1e-6
        Stops when a step is shorter than this share of a typical distance, the
        geometric mean of those of the rows.
    max_iter : int, default=100
        Steps at the most; the last point is returned if they do not suffice.

    Returns
    -------
    ndarray of shape (n_features,), dtype float64

    Notes
    -----
    Weiszfeld's algorithm from the mean, ``y ← y + max(0, 1 - η / |R|) R / W`` with
    ``R = Σ (x - y) / |x - y|`` and ``W = Σ 1 / |x - y|`` over the rows away from y, and
    η the number of rows on it, as Vardi and Zhang [1]_ correct it. A departure: a row
    is on y within the tolerance, not only at distance 0, or rounding would leave the
    point just beside a row and too heavy to move. O(n_rows · n_features) time a step,
    which is one pass.

    References
    ----------
    .. [1] Y. Vardi and C.-H. Zhang, "The multivariate L1-median and associated data
       depth", PNAS 97(4), 2000, doi:10.1073/pnas.97.4.1423.
    """
    point = moments(rows)[0]
    # A first look at the distances only: what is near is not known yet.
    _, _, _, typical = _pull(rows, point, near=0.0)
    for _ in range(max_iter):
        pull, weight, n_near, typical = _pull(rows, point, near=tol * typical)
        strength = np.linalg.norm(pull)
        # The rows on the point hold it against the pull of all others.
        if strength <= n_near:
            break
        step = (1 - n_near / strength) * pull / weight
        point = point + step
        if np.linalg.norm(step) <= tol * typical:
            break
    return point


def _pull(rows, point, near):
    """Return R, W and η of a point, and the geometric mean of the distances to it."""
    pull, weight, logarithms = np.zeros_like(point), 0.0, 0.0
    n_near = n_far = 0
    for block in _small_blocks(rows):
        away = block - point
        distance = np.sqrt(np.einsum("ij,ij->i", away, away))
        far = distance > near
        distance = distance[far]
        pull += (1 / distance) @ away[far]
        weight += float((1 / distance).sum())
        logarithms += float(np.log(distance).sum())
        n_far += len(distance)
        n_near += len(far) - len(distance)
        del block
    typical = float(np.exp(logarithms / n_far)) if n_far else 0.0
    return pull, weight, n_near, typical


def _small_blocks(rows):
    return rows.blocks(max(1, min(2**16, BLOCK_NUMBERS // max(1, rows.n_features))))
