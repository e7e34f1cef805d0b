"""Losses of a reconstruction, with their gradients, by one signature.

``loss(x, x_hat) -> (value, gradient by x_hat)``, both for a batch of centred and scaled
rows; the gradient has the shape of `x_hat`.
"""

import torch

__all__ = ["CosineLoss", "SquaredLoss"]


class SquaredLoss:
    r"""Squared error, as the fraction of variance unexplained.

    Parameters
    ----------
    variance : float
        Mean over *all* training rows of the squared length. The published codes of
        PopSteer and RecSAE divide by the variance within the batch, which makes the
        loss of a small batch noisy and that of one row undefined.
    metric : tensor of shape (n_features, n_features), default=None
        Gram matrix :math:`V^\top V` of the item embeddings: the error is then that of
        the scores, :math:`\|(x - \hat x) V^\top\|^2 = (x - \hat x) V^\top V (x - \hat
        x)^\top`, of all items without drawing any. None is the identity.
    """

    def __init__(self, variance, metric=None):
        self.variance, self.metric = variance, metric

    def __call__(self, x, x_hat):
        """Return the loss and its gradient."""
        error = x_hat - x
        weighted = error if self.metric is None else error @ self.metric
        scale = 1.0 / (len(x) * self.variance)
        return float((weighted * error).sum()) * scale, weighted * (2 * scale)


class CosineLoss:
    """One minus the cosine between a row and its reconstruction.

    Parameters
    ----------
    offset : tensor of shape (n_features,)
        The centre, in units of the scale: cosines are those of the rows as they came.

    References
    ----------
    .. [1] M. Spišák et al., "From Knots to Knobs", 2026, arXiv:2601.11182, trains with
       it.
    """

    def __init__(self, offset):
        self.offset = offset

    def __call__(self, x, x_hat):
        """Return the loss and its gradient."""
        x, x_hat = x + self.offset, x_hat + self.offset
        length = torch.linalg.vector_norm(x_hat, dim=1, keepdim=True).clamp(min=1e-8)
        own = torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp(min=1e-8)
        x, x_hat = x / own, x_hat / length
        cosine = (x * x_hat).sum(1, keepdim=True)
        gradient = (cosine * x_hat - x) / length / len(x)
        return float((1 - cosine).mean()), gradient
