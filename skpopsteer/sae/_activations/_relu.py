"""All positive activations, made few by a penalty on their sum."""

from skpopsteer.sae._activations._topk import TopK
from skpopsteer.sae._codes import DenseCodes


class ReLU(TopK):
    """ReLU with an L1 penalty, the first sparse autoencoders of interpretability.

    Parameters
    ----------
    k : int
        Not used: the penalty decides how many fire.
    sparsity_penalty : float
        Weight of the sum of activations, mean over rows, in units of the length of a
        row. Decoder rows of unit length keep the penalty from being evaded by longer
        directions.
    n_features : int
        Width of the rows, whose length after scaling is its square root.

    References
    ----------
    .. [1] H. Cunningham et al., "Sparse Autoencoders Find Highly Interpretable Features
       in Language Models", ICLR 2024, arXiv:2309.08600.
    .. [2] T. Bricken et al., "Towards Monosemanticity", Transformer Circuits, 2023.
    """

    #: Everything above 0 counts at inference too.
    threshold = 0.0

    def __init__(self, k, sparsity_penalty, n_features=1):
        super().__init__(k)
        self.sparsity_penalty = sparsity_penalty / n_features**0.5

    def select(self, pre):
        """Keep what is positive."""
        return DenseCodes(pre.relu())

    def learn(self, codes, pre, by_value):
        """Add the penalty, whose gradient is the same for all that fire."""
        weight = self.sparsity_penalty / len(pre)
        loss = weight * float(codes.values.sum())
        return loss, weight
