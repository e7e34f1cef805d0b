"""The largest activations of a whole batch, k a row on average."""

import numpy as np

from skpopsteer.sae._activations._topk import TopK
from skpopsteer.sae._codes import kept_above, largest_of_batch

#: Weight of a batch in the running threshold.
_MOMENTUM = 0.01


class BatchTopK(TopK):
    """ReLU, then the k · n_rows largest of a batch: rows may keep more, or fewer.

    At inference a running mean of the smallest activation kept decides, so that the
    code of a row never depends on its batch.

    Parameters
    ----------
    k : int
        Activations kept in a row, on average.
    sparsity_penalty : float
        Not used.

    References
    ----------
    .. [1] B. Bussmann, P. Leask and N. Nanda, "BatchTopK Sparse Autoencoders", 2024,
       arXiv:2412.06410.
    """

    def __init__(self, k, sparsity_penalty=0.0, n_features=1):
        super().__init__(k)
        self._sum = self._weight = 0.0

    def start(self, pre):
        """Forget what was seen before training."""
        self._sum = self._weight = 0.0

    @property
    def threshold(self):
        """Running mean of the smallest activation kept, as an array of shape ()."""
        return np.float32(self._sum / self._weight if self._weight else 0.0)

    def select(self, pre):
        """Keep the largest positive ones of the batch."""
        n_kept = min(self.k * len(pre), pre.numel())
        lowest = max(largest_of_batch(pre.cpu().numpy(), n_kept), 0.0)
        # The next smaller number: what is equal to the lowest is kept as well.
        codes = kept_above(pre, float(np.nextafter(np.float32(lowest), np.float32(-1))))
        codes.values.relu_()
        self._sum = (1 - _MOMENTUM) * self._sum + _MOMENTUM * lowest
        self._weight = (1 - _MOMENTUM) * self._weight + _MOMENTUM
        return codes

    def state(self):
        """Return the running sums."""
        return {"sum": self._sum, "weight": self._weight}

    def resume(self, state):
        """Go on from what `state` returned."""
        self._sum, self._weight = state["sum"], state["weight"]
