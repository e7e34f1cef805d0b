"""Weights of an autoencoder as arrays, and what can be computed from them alone."""

from dataclasses import dataclass

import numpy as np

__all__ = ["SparseWeights", "keep_largest"]

#: Rows encoded at once are bounded by this many activations (64 MiB of float32).
BLOCK_ACTIVATIONS = 2**24


@dataclass
class SparseWeights:
    """Encoder and decoder of a sparse autoencoder, in the units of the data.

    Attributes
    ----------
    encoder : ndarray of shape (n_neurons, n_features)
    encoder_bias : ndarray of shape (n_neurons,)
    decoder : ndarray of shape (n_neurons, n_features)
    decoder_bias : ndarray of shape (n_features,)
    """

    encoder: np.ndarray
    encoder_bias: np.ndarray
    decoder: np.ndarray
    decoder_bias: np.ndarray

    def pre_activations(self, X):
        """Return ``(X - decoder_bias) @ encoder.T + encoder_bias``."""
        return (X - self.decoder_bias) @ self.encoder.T + self.encoder_bias

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
        Not negative, in descending order; zeros where fewer than k are positive.
    neurons : ndarray of shape (n_rows, k), dtype int64
        Where they stand.
    """
    # Imported here: torch takes seconds to load, and a pipeline may never need it.
    import torch

    values, neurons = torch.from_numpy(np.ascontiguousarray(P)).topk(k, dim=1)
    # In numpy: waking torch's threads for so few values costs more than all the rest.
    return np.maximum(values.numpy(), 0), neurons.numpy()
