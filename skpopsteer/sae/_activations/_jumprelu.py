"""Activations above a threshold that every neuron learns for itself."""

import torch

from skpopsteer.sae._activations._topk import TopK
from skpopsteer.sae._codes import kept_above

#: Width of the window around a threshold that its gradient is estimated in, in standard
#: deviations of the pre-activations. The paper's 0.001 is for billions of rows.
_BANDWIDTH = 0.1


class JumpReLU(TopK):
    r"""Activations above a learned threshold, as they are.

    The threshold's gradient is estimated in a window :math:`\varepsilon` around it,
    :math:`K` its indicator:

    .. math::

        \frac{\partial z}{\partial \theta} \approx
            -\frac{\theta}{\varepsilon} K\!\Big(\frac{p - \theta}{\varepsilon}\Big),
        \qquad
        \frac{\partial}{\partial \theta} \mathbb{1}[p > \theta] \approx
            -\frac{1}{\varepsilon} K\!\Big(\frac{p - \theta}{\varepsilon}\Big) .

    Parameters
    ----------
    k : int
        Activations a row to aim at, on average: the penalty is
        ``sparsity_penalty * (L0 / k - 1)**2``, the paper's form for a target.
    sparsity_penalty : float
        Weight of that.

    References
    ----------
    .. [1] S. Rajamanoharan et al., "Jumping Ahead: Improving Reconstruction Fidelity
       with JumpReLU Sparse Autoencoders", 2024, arXiv:2407.14435.
    """

    def __init__(self, k, sparsity_penalty, n_features=1):
        super().__init__(k)
        self.sparsity_penalty = sparsity_penalty
        self.log_threshold = self.bandwidth = None

    @property
    def parameters(self):
        """The logarithms of the thresholds, of shape (n_neurons,)."""
        return () if self.log_threshold is None else (self.log_threshold,)

    @property
    def threshold(self):
        """The thresholds, as an array of shape (n_neurons,)."""
        return self.log_threshold.exp().cpu().numpy()

    def start(self, pre):
        """Begin where k a row are kept, as TopK would on average."""
        k = min(self.k, pre.shape[1])
        kth = pre.topk(k, dim=1).values[:, -1].clamp(min=1e-3).mean()
        self.log_threshold = torch.full_like(pre[0], float(kth.log()))
        self.bandwidth = _BANDWIDTH * float(pre.std())

    def select(self, pre):
        """Keep what is above the threshold, and as zeros what is only just below."""
        threshold = self.log_threshold.exp()
        codes = kept_above(pre, threshold - self.bandwidth / 2)
        own = threshold[codes.neurons]
        self._distance = codes.values - own
        codes.values = torch.where(self._distance > 0, codes.values, 0.0)
        return codes

    def learn(self, codes, pre, by_value):
        """Set the gradient of the thresholds; add the penalty on their number."""
        n_rows, n_neurons = pre.shape
        excess = float((self._distance > 0).sum()) / n_rows / self.k - 1.0
        near = (self._distance.abs() < self.bandwidth / 2) / self.bandwidth
        own = self.log_threshold.exp()[codes.neurons]
        by_count = 2 * self.sparsity_penalty * excess / self.k / n_rows
        gradient = -near * (own * by_value + by_count)
        by_threshold = codes.sum_per_neuron(gradient, n_neurons)
        self.log_threshold.grad = by_threshold * self.log_threshold.exp()
        return self.sparsity_penalty * excess**2, None

    def state(self):
        """Return the width of the window."""
        return {"bandwidth": self.bandwidth}

    def resume(self, state):
        """Go on from what `state` returned."""
        self.bandwidth = state["bandwidth"]
