"""How differently a neuron behaves in two groups of rows."""

import numpy as np
from scipy.sparse import issparse
from scipy.stats import ttest_ind_from_stats

from skpopsteer._validation import as_array, is_finite_number

__all__ = ["cohens_d", "cohens_d_from_stats"]

#: Entries turned into float64 at once while moments are summed.
_BLOCK_ENTRIES = 2**22


def cohens_d(Z, y):
    r"""Compare every neuron's mean over two groups, in pooled standard deviations.

    Parameters
    ----------
    Z : array-like or sparse of shape (n_rows, n_neurons)
        Activations, or pre-activations as PopSteer uses.
    y : array-like of shape (n_rows,)
        +1 for rows of the head group, -1 for rows of the tail group; others are
        ignored.

    Returns
    -------
    scores : ndarray of shape (n_neurons,), dtype float64
        Positive for neurons that are higher in the head group. 0 for a neuron that does
        not vary within the groups: it has no scale to be steered by.
    p_values : ndarray of shape (n_neurons,), dtype float64
        Two-sided, of Welch's t test.

    See Also
    --------
    cohens_d_from_stats : The same from means and standard deviations.

    Notes
    -----
    .. math::

        d_j = \frac{\mu_{head,j} - \mu_{tail,j}}
        {\sqrt{\frac{n_h \sigma^2_{head,j} + n_t \sigma^2_{tail,j}}{n_h + n_t}}}

    with standard deviations of ddof 0. Moments are summed in float64 in two passes over
    blocks: O(n_rows · n_neurons) time, memory of one block.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import cohens_d
    >>> Z = np.array([[1.0, 0.0], [3.0, 1.0], [0.0, 0.0], [2.0, 1.0]])
    >>> scores, p_values = cohens_d(Z, [1, 1, -1, -1])
    >>> scores
    array([1., 0.])
    """
    y = as_array("y", y)
    if y.ndim != 1:
        raise ValueError(
            f"`y` must be 1-D, a group a row; got shape {y.shape}. Use 1 for head, -1 "
            "for tail, 0 for rows to ignore."
        )
    head, tail = np.flatnonzero(y == 1), np.flatnonzero(y == -1)
    if not len(head) or not len(tail):
        raise ValueError(
            "`y` must mark rows of the head group with 1 and of the tail group with "
            f"-1; got {len(head)} and {len(tail)} rows. Both groups need one."
        )
    Z = Z.tocsr() if issparse(Z) else as_array("Z", Z)
    if Z.ndim != 2 or Z.dtype.kind not in "biuf":
        raise ValueError(
            "`Z` must be a matrix of numbers, rows by neurons; got shape "
            f"{Z.shape} and dtype {Z.dtype}. Pass an array or a scipy.sparse.csr_array."
        )
    if y.shape != (Z.shape[0],):
        raise ValueError(
            f"`y` must hold one group per row of `Z` ({Z.shape[0]}); got shape "
            f"{y.shape}. Use 1 for head, -1 for tail, 0 for rows to ignore."
        )
    mean_head, std_head = _moments(Z, head)
    mean_tail, std_tail = _moments(Z, tail)
    if not np.isfinite([mean_head, std_head, mean_tail, std_tail]).all():
        raise ValueError(
            "`Z` must hold finite numbers, their squares too; got NaN, infinity or "
            "numbers beyond 1e150. Look at the training of the probe."
        )
    scores = cohens_d_from_stats(
        mean_head, std_head, mean_tail, std_tail, len(head), len(tail)
    )
    p_values = _welch_p_values(
        (mean_head, std_head, len(head)), (mean_tail, std_tail, len(tail))
    )
    return scores, p_values


def cohens_d_from_stats(
    mean_head, std_head, mean_tail, std_tail, n_head=None, n_tail=None
):
    """Compute Cohen's d from the moments of two groups.

    Parameters
    ----------
    mean_head, std_head, mean_tail, std_tail : array-like of shape (n_neurons,)
        Means and standard deviations (ddof 0) in each group.
    n_head, n_tail : int, default=None
        Sizes of the groups, as weights of the pooled variance. None weighs both alike,
        the formula of PopSteer's first version.

    Returns
    -------
    ndarray of shape (n_neurons,), dtype float64

    Notes
    -----
    PopSteer's second version weighs with n - 1, though its deviations have ddof 0; the
    consistent weight n is used here. With groups of one size, as PopSteer makes them,
    the three agree.

    Examples
    --------
    >>> from skpopsteer.neurons import cohens_d_from_stats
    >>> cohens_d_from_stats([3.0], [1.0], [1.0], [1.0])
    array([2.])
    """
    moments = {
        "mean_head": mean_head,
        "std_head": std_head,
        "mean_tail": mean_tail,
        "std_tail": std_tail,
    }
    mean_head, std_head, mean_tail, std_tail = _check_moments(moments)
    for name, n_rows in (("n_head", n_head), ("n_tail", n_tail)):
        if n_rows is not None and not (is_finite_number(n_rows) and n_rows > 0):
            raise ValueError(
                f"`{name}` must be a positive number of rows, or None; got {n_rows!r}. "
                "None weighs both groups alike."
            )
    weight = 0.5 if n_head is None or n_tail is None else n_head / (n_head + n_tail)
    pooled = np.sqrt(weight * std_head**2 + (1 - weight) * std_tail**2)
    scores = np.zeros_like(pooled)
    np.divide(mean_head - mean_tail, pooled, out=scores, where=pooled > 0)
    return scores


def _check_moments(moments):
    """Return means and deviations as float64 of one shape."""
    checked = []
    for name, values in moments.items():
        array = as_array(name, values)
        strange = array.dtype.kind not in "biuf"
        if strange or not (np.abs(array) < 1e150).all():
            raise ValueError(
                f"`{name}` must hold finite numbers, below 1e150; got "
                f"{'dtype ' + str(array.dtype) if strange else 'others'}. Pass a "
                "number per neuron."
            )
        if name.startswith("std") and (array < 0).any():
            raise ValueError(
                f"`{name}` must hold deviations >= 0; got {array.min():g}. "
                "Take the root of the variance."
            )
        checked.append(array.astype(np.float64))
        if array.shape != checked[0].shape:
            raise ValueError(
                f"`{name}` must have the shape of `mean_head`, {checked[0].shape}; got "
                f"{array.shape}. Pass a number per neuron."
            )
    return checked


def _moments(Z, rows):
    """Mean and standard deviation (ddof 0) of some rows, summed in float64."""
    n_columns = Z.shape[1]
    step = max(1, _BLOCK_ENTRIES // max(1, n_columns))
    blocks = [rows[start : start + step] for start in range(0, len(rows), step)]
    # Distances to the first row: what does not vary then has a variance of exactly 0.
    first = _dense(Z, rows[:1])[0]
    # What is not finite is refused once, by the moments.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum((_dense(Z, b) - first).sum(axis=0) for b in blocks) / len(rows)
        variance = sum(
            ((_dense(Z, b) - first - mean) ** 2).sum(axis=0) for b in blocks
        ) / len(rows)
        return first + mean, np.sqrt(variance)


def _dense(Z, rows):
    block = Z[rows]
    return (block.toarray() if issparse(block) else block).astype(np.float64)


def _welch_p_values(head, tail):
    """Return two-sided p-values; 1 where a group of one row leaves no test."""
    (mean_head, std_head, n_head), (mean_tail, std_tail, n_tail) = head, tail
    if n_head < 2 or n_tail < 2:
        return np.ones_like(mean_head)
    # The squares: those of the least deviations are 0.
    varies = (std_head**2 > 0) | (std_tail**2 > 0)
    p_values = np.ones_like(mean_head)
    # scipy wants deviations of ddof 1.
    p_values[varies] = ttest_ind_from_stats(
        mean_head[varies],
        std_head[varies] * np.sqrt(n_head / (n_head - 1)),
        n_head,
        mean_tail[varies],
        std_tail[varies] * np.sqrt(n_tail / (n_tail - 1)),
        n_tail,
        equal_var=False,
    ).pvalue
    return p_values
