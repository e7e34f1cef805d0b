"""The k largest activations of every row."""

from typing import Any

import torch

from skpopsteer.sae import _codes


class TopK:
    """ReLU, then the `k` largest of each row.

    Parameters
    ----------
    k : int
        Activations kept in a row.
    sparsity_penalty : float
        Not used: k says it all.

    References
    ----------
    .. [1] A. Makhzani and B. Frey, "k-Sparse Autoencoders", ICLR 2014,
       arXiv:1312.5663.
    .. [2] L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024,
       arXiv:2406.04093.
    """

    parameters = ()
    threshold: Any = None

    def __init__(self, k, sparsity_penalty=0.0, n_features=1):
        self.k = k

    def start(self, pre):
        """Learn nothing from the first batch."""

    def select(self, pre):
        """Keep k a row; of negative ones a zero is kept."""
        if _codes.on_cpu(pre):
            values, neurons = map(
                torch.from_numpy, _codes.largest(pre.numpy(), self.k, True)
            )
        else:
            values, neurons = pre.topk(self.k, dim=1, sorted=False)
        values = values.relu()
        offsets = torch.arange(0, neurons.numel() + 1, self.k, device=pre.device)
        return _codes.SparseCodes(values.reshape(-1), neurons.reshape(-1), offsets)

    def learn(self, codes, pre, by_value):
        """Add nothing to the loss."""
        return 0.0, None

    def state(self):
        """Return what is learned beside the parameters."""
        return {}

    def resume(self, state):
        """Go on from what `state` returned."""
