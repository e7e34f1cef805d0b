"""Weights of an autoencoder as arrays, and what can be computed from them alone."""

from dataclasses import dataclass

import numpy as np

__all__ = ["SparseWeights", "keep_largest"]

#: Rows encoded at once are bounded by this many activations (8 MiB of float32).
BLOCK_ACTIVATIONS = 2**21


@dataclass
class SparseWeights:
    """Encoder and decoder of a sparse autoencoder, in the units of the data.

    Attributes
    ----------
    encoder : ndarray of shape (n_neurons, n_features)
    encoder_bias : ndarray of shape (n_neurons,)
    decoder : ndarray of shape (n_neurons, n_features)
    decoder_bias : ndarray of shape (n_features,)
    threshold : ndarray of shape () or (n_neurons,), or None
        What an activation has to exceed; None where the k largest of a row are kept.
    """

    encoder: np.ndarray
    encoder_bias: np.ndarray
    decoder: np.ndarray
    decoder_bias: np.ndarray
    threshold: np.ndarray | None = None

    def pre_activations(self, X):
        """Return ``(X - decoder_bias) @ encoder.T + encoder_bias``."""
        P = (X - self.decoder_bias) @ self.encoder.T
        P += self.encoder_bias
        return P

    def reconstruct(self, Z):
        """Return ``Z @ decoder + decoder_bias``."""
        return Z @ self.decoder + self.decoder_bias

    def rescaled(self, scale, shift):
        """Fold ``x = scale * x' + shift`` into weights that were trained on x'.

        ReLU and TopK are positively homogeneous: multiplying both biases by the scale
        multiplies every activation by it, and the directions stay as they are.
        """
        return SparseWeights(
            self.encoder,
            self.encoder_bias * scale,
            self.decoder,
            self.decoder_bias * scale + shift,
            None if self.threshold is None else self.threshold * scale,
        )

    def lengthened(self, factor):
        """Multiply every reconstruction, which only moves the activations' scale."""
        bias = factor * self.decoder_bias
        # What is subtracted in front of the encoder changes with the bias.
        moved = self.encoder @ (bias - self.decoder_bias)
        return SparseWeights(
            factor * self.encoder,
            factor * (self.encoder_bias + moved),
            self.decoder,
            bias,
            None if self.threshold is None else factor * self.threshold,
        )


def keep_largest(P, k):
    """Apply ReLU, keep the k largest values of every row and set the others to zero.

    Parameters
    ----------
    P : ndarray of shape (n_rows, n_neurons), dtype float32
        Pre-activations; left as they are.
    k : int
        Values kept, per row: a row's code never depends on other rows.

    Returns
    -------
    values : ndarray of shape (n_rows, k)
        Not negative, in no order; zeros where fewer than k are positive.
    neurons : ndarray of shape (n_rows, k), dtype int64
        Where they stand.
    """
    # Imported here: torch takes seconds to load, and a pipeline may never need it.
    from skpopsteer.sae._codes import largest

    values, neurons = largest(P, int(k))
    return np.maximum(values, 0), neurons
