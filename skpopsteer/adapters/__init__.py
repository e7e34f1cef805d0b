"""Bridges to recommenders that are trained elsewhere: one file a foreign library."""

from skpopsteer.adapters._array import ArrayRecommender
from skpopsteer.adapters._as_recommender import as_recommender
from skpopsteer.adapters._cornac import CornacRecommender
from skpopsteer.adapters._decomposition import DecompositionRecommender
from skpopsteer.adapters._elsa import ElsaRecommender
from skpopsteer.adapters._implicit import ImplicitRecommender
from skpopsteer.adapters._layers import LayerOutput
from skpopsteer.adapters._lenskit import LensKitRecommender
from skpopsteer.adapters._recbole import RecBoleRecommender
from skpopsteer.adapters._rectools import RecToolsRecommender
from skpopsteer.adapters._sequences import rows_to_sequences
from skpopsteer.adapters._torch import TorchRecommender

__all__ = [
    "ArrayRecommender",
    "CornacRecommender",
    "DecompositionRecommender",
    "ElsaRecommender",
    "ImplicitRecommender",
    "LayerOutput",
    "LensKitRecommender",
    "RecBoleRecommender",
    "RecToolsRecommender",
    "TorchRecommender",
    "as_recommender",
    "rows_to_sequences",
]
