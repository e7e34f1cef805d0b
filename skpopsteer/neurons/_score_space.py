"""Weigh neurons by what they do to scores: regression of a target on their profiles.

The profile of a neuron is what one unit of turning it adds to the score of every item.
All that a regression over the items reads of centred profiles P (n_neurons, n_items)
and a centred target t are P P' and P t. So it is done on columns A (r, n_neurons) and b
(r,) with A'A = P P' and A'b = P t, where r is the rank of P: the width of the host's
embeddings where profiles are products with them, however many items there are.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.linalg import eigh, solve
from scipy.sparse import csr_array, issparse
from sklearn.linear_model import lasso_path, orthogonal_mp
from sklearn.utils import check_array

__all__ = ["SCORE_SPACE", "ScoreSpace", "project_profiles", "row_products"]

SCORE_SPACE = ("score_correlation", "score_omp", "score_lasso")

#: Eigenvalues and squared lengths below this share of the largest are rounding.
_ROUNDING = 1e-12
#: Items whose embeddings are held in float64 at once.
_BLOCK_ITEMS = 2**14
#: Share of numbers that are not 0 from which dense products are the faster ones, and
#: numbers in a block of those.
_DENSE, _BLOCK_NUMBERS = 0.05, 2**22
#: Neurons tried first where nobody says how many; doubled while more are worth it.
_FIRST_LENGTH = 64
#: Penalty of a fit of all neurons. It costs thousandths of the R², and without it a fit
#: of about as many neurons as items has next to nothing to say of other items.
_RIDGE = 3e-3
#: Penalties of a lasso path, and the smallest as a share of the largest.
_N_PENALTIES, _SMALLEST_PENALTY = 100, 1e-3


@dataclass
class ScoreSpace:
    """Profiles and a target, both centred over the items, in as few rows as will do.

    Attributes
    ----------
    columns : ndarray of shape (r, n_neurons), dtype float64
    target : ndarray of shape (r,), dtype float64
        Its part that some combination of the profiles reaches.
    sum_of_squares : float
        Of the whole target.
    n_items : int
    """

    columns: np.ndarray
    target: np.ndarray
    sum_of_squares: float
    n_items: int

    @cached_property
    def norms(self):
        """Lengths of the profiles, 0 where a neuron moves all items alike."""
        squares = np.einsum("ij,ij->j", self.columns, self.columns)
        squares[squares <= _ROUNDING * squares.max(initial=0.0)] = 0.0
        return np.sqrt(squares)

    def correlations(self):
        """Return the correlation of every profile with the target."""
        scale = self.norms * np.sqrt(self.sum_of_squares)
        products = self.target @ self.columns
        correlations = np.zeros_like(scale)
        np.divide(products, scale, out=correlations, where=scale > 0)
        return correlations.clip(-1, 1)

    def r2(self, weights):
        """Return the squared correlation of a weighted sum of profiles and the target.

        Parameters
        ----------
        weights : ndarray of shape (n_neurons,)

        Returns
        -------
        float
            In [0, 1]; 0 where no neuron has a weight.
        """
        total = self.columns @ weights
        scale = (total @ total) * self.sum_of_squares
        return float((total @ self.target) ** 2 / scale) if scale > 0 else 0.0

    def regress(self, method, eligible, n_neurons=None):
        """Fit the target by a few profiles.

        Parameters
        ----------
        method : {"score_omp", "score_lasso"}
        eligible : ndarray of shape (n_neurons,), dtype bool
            Neurons that may be used.
        n_neurons : int or "all", default=None
            Use this many at most; None leaves the number to the Bayesian information
            criterion, of which the items are the sample. All at once need no path.

        Returns
        -------
        ndarray of shape (n_neurons,)
            Coefficients by least squares, of all neurons by a ridge regression; 0 for
            neurons that are not used.
        """
        neurons = np.flatnonzero(eligible & (self.norms > 0))
        weights = np.zeros(self.columns.shape[1])
        correlations = np.abs(self.correlations()[neurons])
        # Without any the path would begin with rounding.
        if correlations.max(initial=0.0) > np.sqrt(_ROUNDING):
            columns = self.columns[:, neurons] / self.norms[neurons]
            if n_neurons == "all":
                weights[neurons] = _ridge(columns, self.target) / self.norms[neurons]
                return weights
            path = partial(_PATHS[method], columns, self.target)
            used, fitted = self._best_of(path, n_neurons)
            weights[neurons[used]] = fitted / self.norms[neurons[used]]
        return weights

    def _best_of(self, path, n_neurons):
        """Return the neurons and coefficients of the last fit of a path, or the best.

        A path is what comes before an exact fit: all that comes later fits rounding.
        """
        longest = len(self.target)
        length = _FIRST_LENGTH if n_neurons is None else n_neurons
        while True:
            used, path_coefficients, explained = path(min(length, longest))
            squares = self.target @ self.target
            exact = np.flatnonzero(squares - explained <= _ROUNDING * squares)
            last = exact[0] if len(exact) else len(explained) - 1
            best = last
            if n_neurons is None:
                n_used = np.count_nonzero(path_coefficients, axis=0)
                best = int(np.argmin(self._criterion(n_used, explained)[: last + 1]))
            if n_neurons is not None or best < last or length >= longest:
                return used, path_coefficients[:, best]
            length *= 2

    def _criterion(self, n_used, explained):
        left = np.maximum(self.sum_of_squares - explained, _ROUNDING * explained)
        return self.n_items * np.log(left) + n_used * np.log(self.n_items)


def project_profiles(item_profiles, item_target, n_neurons):
    """Check profiles and a target, centre both, and cut them to what matters.

    Parameters
    ----------
    item_profiles : array-like or sparse of shape (n_neurons, n_items), or object
        An object with `directions` (n_neurons, d) and `item_embeddings` (n_items, d)
        stands for their product, which is never made; one with `shape` and `blocks`,
        which yields (n, n_neurons) for all items in order, is never held at once.
    item_target : array-like of shape (n_items,)
    n_neurons : int
        How many there must be.

    Returns
    -------
    ScoreSpace

    Notes
    -----
    O(n_items · d² + n_neurons · d²) for factors. For a table O(n_neurons² · n_items),
    or what the sparse product costs, and O(n_neurons³).
    """
    factors = _factors(item_profiles)
    if factors is not None:
        shape = tuple(len(table) for table in factors)
    elif hasattr(item_profiles, "blocks"):
        shape = item_profiles.shape
    else:
        item_profiles = _check_table(item_profiles)
        shape = item_profiles.shape
    if shape[0] != n_neurons:
        raise ValueError(
            f"`item_profiles` must have one row per neuron ({n_neurons}); got "
            f"{shape[0]}. Use the probe that made `Z`."
        )
    target = _centre_target(item_target, shape[1])
    directions, item_embeddings = factors or (None, None)
    if factors is not None:
        gram, products = _moments_of_items(item_embeddings, target)
    elif hasattr(item_profiles, "blocks"):
        gram, products = _moments_of_blocks(item_profiles.blocks(), target)
    else:
        gram, products = _moments_of_table(item_profiles, target)
    values, vectors = eigh(gram)
    kept = values > _ROUNDING * max(values[-1], 0.0)
    roots = np.sqrt(values[kept])
    columns = roots[:, None] * vectors[:, kept].T
    if directions is not None:
        columns = columns @ directions.T.astype(np.float64)
    projected = (products @ vectors[:, kept]) / roots
    return ScoreSpace(columns, projected, float(target @ target), len(target))


def _factors(item_profiles):
    """Return directions and item embeddings, or None for a table."""
    if item_profiles is None:
        raise ValueError(
            "`item_profiles` must be given for a selection in score space; got None. "
            "Pass probe.decoder_weights_ @ host.item_embeddings_.T."
        )
    if not hasattr(item_profiles, "directions"):
        return None
    return tuple(
        check_array(table, input_name="item_profiles", dtype=[np.float64, np.float32])
        for table in (item_profiles.directions, item_profiles.item_embeddings)
    )


def _check_table(item_profiles):
    return check_array(
        item_profiles,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        input_name="item_profiles",
    )


def _centre_target(item_target, n_items):
    if item_target is None:
        raise ValueError(
            "`item_target` must be given for a selection in score space; got None. "
            "Pass the logarithm of the popularity, or how much of a concept items have."
        )
    target = check_array(
        item_target, ensure_2d=False, dtype=np.float64, input_name="item_target"
    )
    if target.shape != (n_items,):
        raise ValueError(
            f"`item_target` must have one number per item ({n_items}); got shape "
            f"{target.shape}. Give the items in the order of `item_profiles`."
        )
    centred = target - target.mean()
    # What is left of a constant by rounding is no variation.
    if np.abs(centred).max() <= 1e-12 * np.abs(target).max():
        raise ValueError(
            "`item_target` must differ between items; got "
            f"{target[0]:g} for all {n_items}. There is nothing to steer by."
        )
    return centred


def _moments_of_items(item_embeddings, target):
    """Return V'V and V't of centred embeddings V, a block of items at a time."""
    mean = item_embeddings.mean(axis=0, dtype=np.float64)
    gram, products = 0.0, 0.0
    for start in range(0, len(target), _BLOCK_ITEMS):
        block = slice(start, start + _BLOCK_ITEMS)
        V = item_embeddings[block] - mean
        gram = gram + V.T @ V
        products = products + V.T @ target[block]
    return gram, products


def _moments_of_table(profiles, target):
    """Return P P' and P t of centred profiles P."""
    n_items = profiles.shape[1]
    if issparse(profiles):
        profiles = csr_array(profiles.astype(np.float64))
        mean = profiles.sum(axis=1) / n_items
        gram = row_products(profiles) - n_items * np.outer(mean, mean)
        return gram, profiles @ target
    centred = profiles - profiles.mean(axis=1, keepdims=True, dtype=np.float64)
    return centred @ centred.T, centred @ target


def _moments_of_blocks(blocks, target):
    """Return P P' and P t of centred profiles P, which come in blocks of items."""
    gram, products, total, start = 0.0, 0.0, 0.0, 0
    for block in blocks:
        stop = start + len(block)
        P = block.astype(np.float64).T
        is_sparse = np.count_nonzero(block) < _DENSE * block.size
        gram = gram + (row_products(csr_array(P)) if is_sparse else P @ P.T)
        products = products + P @ target[start:stop]
        total, start = total + P.sum(axis=1), stop
    return gram - np.outer(total, total) / len(target), products


def row_products(profiles, rows=slice(None)):
    """Return P P[rows]' of sparse profiles P; what is not so sparse by dense blocks.

    Parameters
    ----------
    profiles : csr_array of shape (n_neurons, n_items)
    rows : slice or ndarray of shape (n,), default=slice(None)

    Returns
    -------
    ndarray of shape (n_neurons, n)
        Of the type of the profiles.
    """
    n_neurons, n_items = profiles.shape
    if profiles.nnz < _DENSE * n_neurons * n_items:
        return (profiles @ profiles[rows].T).toarray()
    by_item, products = csr_array(profiles.T), 0
    step = max(1, _BLOCK_NUMBERS // n_neurons)
    for start in range(0, n_items, step):
        block = by_item[start : start + step].toarray()
        products = products + block.T @ block[:, rows]
    return products


def _ridge(columns, target):
    """Return the coefficients of a ridge regression on columns of unit length."""
    gram = columns @ columns.T
    gram[np.diag_indices_from(gram)] += _RIDGE
    return columns.T @ solve(gram, target, assume_a="pos")


def _omp_path(columns, target, n_neurons):
    """Return the fits of orthogonal matching pursuit, from one neuron to n.

    Returns
    -------
    used : ndarray of shape (n,)
        Neurons of the last fit.
    path : ndarray of shape (n, n_fits)
        Their coefficients in every fit.
    explained : ndarray of shape (n_fits,)
        Sums of squares that the fits explain.
    """
    with warnings.catch_warnings():
        # An exact fit with fewer neurons than asked for is no reason to warn.
        warnings.filterwarnings("ignore", "Orthogonal matching pursuit", RuntimeWarning)
        length = min(n_neurons, columns.shape[1])
        used = np.flatnonzero(orthogonal_mp(columns, target, n_nonzero_coefs=length))
        # Once more among those, for the path: of all neurons it would take their square
        # in memory. The choices are the same.
        columns = columns[:, used]
        path = orthogonal_mp(
            columns, target, n_nonzero_coefs=len(used), return_path=True
        )
    path = path.reshape(len(used), -1)
    # Of a least-squares fit the products with the target are the squares explained.
    return used, path, (target @ columns) @ path


def _lasso_path(columns, target, n_neurons):
    """Return least-squares fits on what the lasso keeps at falling penalties.

    Fits of more than n neurons are left out; where there are no others, the n largest
    of the first make one. As :func:`_omp_path`, of all neurons.
    """
    largest = np.abs(target @ columns).max() / len(target)
    fits, coefficients = [], None
    for share in np.geomspace(1, _SMALLEST_PENALTY, _N_PENALTIES):
        _, path, _ = lasso_path(
            columns, target, alphas=[share * largest], coef_init=coefficients,
            max_iter=10_000,
        )  # fmt: skip
        coefficients = path[:, 0]
        order = np.argsort(-np.abs(coefficients), kind="stable")
        used = order[: np.count_nonzero(coefficients)]
        if len(used) > n_neurons and fits:
            break
        if len(used):
            fits.append(_least_squares(columns, target, used[:n_neurons]))
    path = np.array(fits).T
    return np.arange(columns.shape[1]), path, (target @ columns) @ path


def _least_squares(columns, target, used):
    coefficients = np.zeros(columns.shape[1])
    coefficients[used], *_ = np.linalg.lstsq(columns[:, used], target, rcond=None)
    return coefficients


_PATHS = {"score_omp": _omp_path, "score_lasso": _lasso_path}
