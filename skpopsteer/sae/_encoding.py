"""What a fitted probe does with rows: encode, decode, and say how well."""

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skpopsteer.sae._refining import refine
from skpopsteer.sae._standardize import row_deviations, row_statistics, standardize
from skpopsteer.sae._weights import BLOCK_ACTIVATIONS, SparseWeights, keep_largest

__all__ = ["EncodingMixin", "as_float32"]


def as_float32(probe, X, *, reset):
    """Validate rows of a probe, which are finite in float32 too.

    Parameters
    ----------
    probe : estimator
    X : array-like of shape (n_rows, n_features)
    reset : bool
        True where it is fitted anew.

    Returns
    -------
    ndarray of shape (n_rows, n_features), dtype float32
    """
    # What overflows is infinite, and refused with one line instead of a warning too.
    with np.errstate(over="ignore"):
        return validate_data(probe, X, dtype=np.float32, reset=reset)


class EncodingMixin(TransformerMixin):
    """Mixin for a probe with weights: everything but training.

    A subclass has `k`, `loss`, `refine`, `sparse_output`, `standardize_rows` and the
    fitted weights.
    """

    @property
    def decodes_with_rows(self):
        """Whether :meth:`inverse_transform` needs the rows to give their own scale."""
        return self.standardize_rows or self.loss == "cosine"

    def transform(self, X):
        """Return the activations of the neurons.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings.

        Returns
        -------
        ndarray or csr_array of shape (n_rows, n_neurons), dtype float32
            Not negative; the code of a row does not depend on the rows it comes with.
        """
        X = self._standardized(self._check_rows(X))
        return self._encode(self._weights(), X, self.sparse_output)

    def pre_activations(self, X):
        """Return what decides which neurons fire.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings.

        Returns
        -------
        ndarray of shape (n_rows, n_neurons), dtype float32
        """
        X = self._standardized(self._check_rows(X))
        return self._weights().pre_activations(X)

    def activate(self, P):
        """Keep some pre-activations: ReLU and TopK, or those above the threshold.

        Parameters
        ----------
        P : array-like of shape (n_rows, n_neurons)
            Pre-activations, steered or not.

        Returns
        -------
        ndarray of shape (n_rows, n_neurons), dtype float32
            ``activate(pre_activations(X))`` is ``transform(X)``, but for what `refine`
            adds to it.
        """
        check_is_fitted(self)
        with np.errstate(over="ignore"):
            P = check_array(P, dtype=np.float32)
        return self._activate(P, self.threshold_, sparse=False)

    def decode_shift(self, X, shift):
        """Decode what is changed by a shift of all pre-activations.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features), dtype float32
            Embeddings; not validated, and not standardised.
        shift : ndarray of shape (n_neurons,) or (n_rows, n_neurons), dtype float32
            Added to the pre-activations.

        Returns
        -------
        ndarray of shape (n_rows, n_features), dtype float32
            ``(activate(P + shift) - activate(P)) @ decoder_weights_``, P being the
            pre-activations; with TopK only the `k` neurons that a row keeps are
            touched. What `refine` adds is the same before and after.
        """
        P = self._weights().pre_activations(X)
        if self.threshold_ is not None:
            before = self._activate(P, self.threshold_, False)
            after = self._activate(P + shift, self.threshold_, False)
            return (after - before) @ self.decoder_weights_
        lost, were = keep_largest(P, self.k)
        P += shift
        gained, are = keep_largest(P, self.k)
        # One product of both codes; a neuron that is in both is in it twice.
        changes, neurons = np.hstack([gained, -lost]), np.hstack([are, were])
        indptr = np.arange(0, changes.size + 1, changes.shape[1])
        code = csr_array((changes.ravel(), neurons.ravel(), indptr), shape=P.shape)
        return code @ self.decoder_weights_

    def inverse_transform(self, Z, X=None):
        """Decode activations to embeddings.

        Parameters
        ----------
        Z : array-like or sparse of shape (n_rows, n_neurons)
            Activations.
        X : array-like of shape (n_rows, n_features), default=None
            The rows they were made of; where `decodes_with_rows`, what activations do
            not hold is put back. With `standardize_rows` that is every row's mean and
            deviation, and without `X` the result is standardised. With
            ``loss="cosine"`` it is every row's length, and without `X` one factor
            serves all rows.

        Returns
        -------
        ndarray of shape (n_rows, n_features), dtype float32
        """
        check_is_fitted(self)
        with np.errstate(over="ignore"):
            Z = check_array(Z, accept_sparse="csr", dtype=np.float32)
        n_neurons = len(self.encoder_bias_)
        if Z.shape[1] != n_neurons:
            raise ValueError(
                f"`Z` must have one column per neuron ({n_neurons}); got "
                f"{Z.shape[1]}. Pass what transform returns."
            )
        decoded = self._weights().reconstruct(csr_array(Z) if issparse(Z) else Z)
        if X is None or not self.decodes_with_rows:
            return decoded
        return self._at_scale_of(self._check_rows(X), decoded)

    def score(self, X, y=None):
        """Return the share of variance explained, 1 - FVU.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings.
        y : None
            Ignored.

        Returns
        -------
        float
            1 is a perfect reconstruction, 0 no better than the mean of `X`.
        """
        X = self._check_rows(X)
        return 1.0 - self._evaluate(self._weights(), [X])[0]

    def _check_rows(self, X):
        check_is_fitted(self)
        return as_float32(self, X, reset=False)

    def _standardized(self, X):
        return standardize(X) if self.standardize_rows else X

    def _at_scale_of(self, X, decoded):
        """Put back what the code of a row does not hold."""
        if self.standardize_rows:
            mean, deviation = row_statistics(X)
            if self.loss == "cosine":
                # Mean and deviation are then the row's own, and so is the length.
                decoded, deviation = standardize(decoded), row_deviations(X)
            return decoded * deviation + mean
        if self.loss == "cosine":
            lengths = np.linalg.norm(decoded, axis=1, keepdims=True)
            own = np.linalg.norm(X, axis=1, keepdims=True)
            return decoded * (own / np.where(lengths > 0, lengths, np.float32(1)))
        return decoded

    def _weights(self):
        return SparseWeights(
            self.encoder_weights_,
            self.encoder_bias_,
            self.decoder_weights_,
            self.decoder_bias_,
            self.threshold_,
        )

    def _encode(self, weights, X, sparse):
        """Return the activations of rows, standardised where they have to be."""
        P = weights.pre_activations(X)
        Z = self._activate(P, weights.threshold, sparse or self.refine > 0)
        if self.refine:
            Z = refine(Z, X, weights, self.refine)
        return Z if sparse or not self.refine else Z.toarray()

    def _activate(self, P, threshold, sparse):
        if threshold is not None:
            Z = np.where(threshold < P, P, np.float32(0)).clip(min=0)
            return csr_array(Z) if sparse else Z
        values, neurons = keep_largest(P, self.k)
        if not sparse:
            Z = np.zeros_like(P)
            np.put_along_axis(Z, neurons, values, axis=1)
            return Z
        indptr = np.arange(0, values.size + 1, values.shape[1])
        Z = csr_array((values.ravel(), neurons.ravel(), indptr), shape=P.shape)
        Z.eliminate_zeros()
        Z.sort_indices()
        return Z

    def _evaluate(self, weights, blocks):
        """Measure FVU and L0, and find silent neurons, block by block.

        Returns
        -------
        fvu, l0 : float
        silent : ndarray of shape (n_neurons,), dtype bool
        """
        n_neurons = len(weights.encoder_bias)
        fired = np.zeros(n_neurons, dtype=bool)
        sums = np.zeros(4)
        total, offset = 0.0, None
        step = max(1, min(8192, BLOCK_ACTIVATIONS // n_neurons))
        for block in blocks:
            for start in range(0, len(block), step):
                rows = block[start : start + step]
                X = self._standardized(rows)
                Z = self._encode(weights, X, sparse=True)
                fired[Z.indices] = True
                decoded = weights.reconstruct(Z)
                decoded = self._at_scale_of(rows, decoded)
                # Distances to the first row: squares then lose nothing to the mean.
                offset = rows[0].astype(np.float64) if offset is None else offset
                distance = rows - offset
                total = total + distance.sum(axis=0)
                sums += [
                    _squares(rows - decoded), _squares(distance), Z.nnz, len(rows)
                ]  # fmt: skip
        error, squares, n_kept, n_rows = sums
        variance = squares - float(np.square(total).sum()) / n_rows
        # All rows alike, to rounding: there is nothing to explain.
        fvu = error / variance if variance > 1e-12 * squares else error > 0
        return float(fvu), float(n_kept / n_rows), ~fired


def _squares(values):
    return float(np.square(values, dtype=np.float64).sum())
