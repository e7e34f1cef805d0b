"""Better activations for the neurons a row has kept: least squares instead of a guess.

The encoder is one product: it finds good neurons, but what it says of each takes no
account of the others that fire. Given the neurons, their best values are a small
non-negative least squares problem a row.
"""

import numpy as np
from scipy.sparse import csr_array

__all__ = ["refine"]

#: Directions gathered at once, in numbers: 16 MiB of float32.
_BLOCK_NUMBERS = 2**22


def refine(Z, X, weights, n_sweeps):
    """Improve activations by coordinate descent; no neuron starts to fire.

    Parameters
    ----------
    Z : csr_array of shape (n_rows, n_neurons), dtype float32
        Activations, positive where stored; left as they are.
    X : ndarray of shape (n_rows, n_features)
        The rows they were made of.
    weights : SparseWeights
    n_sweeps : int
        Passes over the neurons of a row.

    Returns
    -------
    csr_array of shape (n_rows, n_neurons), dtype float32
        With the sparsity of `Z`, but for neurons that end at 0 and are left out.

    Notes
    -----
    One coordinate at a time is set to its best value, not below 0 [1]_, so that the
    error never grows. O(n_rows · k² · (n_features + n_sweeps)).

    References
    ----------
    .. [1] A. Cichocki and A.-H. Phan, "Fast Local Algorithms for Large Scale
       Nonnegative Matrix and Tensor Factorizations", IEICE Transactions on
       Fundamentals E92-A(3), 2009, doi:10.1587/transfun.E92.A.708.
    """
    lengths = np.diff(Z.indptr)
    width = int(lengths.max(initial=0))
    if not width:
        return Z
    data = Z.data.copy()
    step = max(1, _BLOCK_NUMBERS // (width * max(width, X.shape[1])))
    for start in range(0, len(X), step):
        stop = min(start + step, len(X))
        # Rows of one width: where a row has fewer neurons, the last ones are nobody's.
        held = np.arange(width) < lengths[start:stop, None]
        stored = slice(Z.indptr[start], Z.indptr[stop])
        neurons = np.zeros(held.shape, dtype=np.int64)
        values = np.zeros(held.shape, dtype=np.float32)
        neurons[held], values[held] = Z.indices[stored], data[stored]
        directions = weights.decoder[neurons] * held[:, :, None]
        target = X[start:stop] - weights.decoder_bias
        data[stored] = _descend(values, directions, target, n_sweeps)[held]
    refined = csr_array((data, Z.indices.copy(), Z.indptr.copy()), shape=Z.shape)
    refined.eliminate_zeros()
    return refined


def _descend(values, directions, target, n_sweeps):
    """Run the sweeps for rows of one width: values (n, k), directions (n, k, d)."""
    grams = np.matmul(directions, directions.transpose(0, 2, 1))
    # Neurons first: every update is then one pass over contiguous rows.
    grams = np.ascontiguousarray(grams.transpose(1, 2, 0))
    aims = np.matmul(directions, target[:, :, None])[:, :, 0].T.copy()
    values = values.T.copy()
    lengths = np.einsum("jjn->jn", grams)
    # Nobody's neurons have no length; they stay at 0.
    lengths = np.where(lengths > 0, lengths, 1)
    for _ in range(n_sweeps):
        for j, (gram, aim) in enumerate(zip(grams, aims, strict=True)):
            gap = aim - np.einsum("in,in->n", gram, values)
            values[j] = np.maximum(values[j] + gap / lengths[j], 0)
    return values.T
