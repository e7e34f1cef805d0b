"""The objective of PopSteer's autoencoder, with its auxiliary loss corrected."""

import torch
from torch.nn import functional

__all__ = ["auxiliary_loss", "decode_sparse", "reconstruction_loss"]


def decode_sparse(values, neurons, decoder):
    """Sum the decoder rows of the kept neurons, weighted by their activations.

    Only the kept k rows of the decoder are touched, in the backward pass too: the same
    number as the dense product, at a fraction of the work.
    """
    return functional.embedding_bag(
        neurons, decoder, per_sample_weights=values, mode="sum"
    )


def reconstruction_loss(residual, variance):
    """Return the fraction of variance unexplained, FVU.

    Parameters
    ----------
    residual : tensor of shape (n_rows, n_features)
        x - x̂.
    variance : float
        Mean squared distance of a row to the mean of *all* training rows. The published
        code divides by the variance within the batch, which makes the loss of a small
        batch noisy and that of one row undefined.
    """
    return residual.pow(2).sum() / (len(residual) * variance)


def auxiliary_loss(pre_activations, residual, decoder, dead, variance):
    """Let dead neurons explain what the living ones left over.

    ``AUX = c · Σ‖ê − e‖² / TV`` with ``e = x − x̂`` held constant, ``ê`` the decoding of
    the k_aux = min(2d, n_dead) largest activations among the dead, without bias, and
    ``c = min(n_dead / 2d, 1)``.

    The published code differs in four ways, all of which defeat its purpose: its target
    is x̂ − x, the negative of what is missing; it adds the decoder bias to ê; gradients
    flow into the target; and a neuron counts as alive when TopK picks a zero of it.

    Parameters
    ----------
    pre_activations : tensor of shape (n_rows, n_neurons)
    residual : tensor of shape (n_rows, n_features)
        x - x̂.
    decoder : tensor of shape (n_neurons, n_features)
    dead : boolean tensor of shape (n_neurons,)
    variance : float
        As in :func:`reconstruction_loss`.

    Returns
    -------
    tensor of shape ()
        0 when no neuron is dead.
    """
    n_dead = int(dead.sum())
    if not n_dead:
        return residual.new_zeros(())
    n_features = residual.shape[1]
    candidates = pre_activations[:, dead]
    values, neurons = candidates.topk(min(2 * n_features, n_dead), dim=1)
    explained = decode_sparse(torch.relu(values), neurons, decoder[dead])
    coefficient = min(n_dead / (2 * n_features), 1.0)
    return coefficient * reconstruction_loss(explained - residual.detach(), variance)
