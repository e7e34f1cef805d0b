"""Steer a trained recommender away from popularity, the scikit-learn way.

Importing the package loads neither torch nor implicit, numba or matplotlib; they are
loaded by the first call that needs them.
"""

from skpopsteer._version import __version__
from skpopsteer.adapters import (
    ArrayRecommender,
    CornacRecommender,
    DecompositionRecommender,
    ElsaRecommender,
    ImplicitRecommender,
    LensKitRecommender,
    RecBoleRecommender,
    RecToolsRecommender,
    TorchRecommender,
    as_recommender,
)
from skpopsteer.inspection import compare
from skpopsteer.neurons import (
    ConceptNeuronSelector,
    NeuronInterpreter,
    NeuronSubset,
    NeuronUnion,
    PopularityNeuronSelector,
)
from skpopsteer.popularity import PopularityGroups
from skpopsteer.rerankers import PopularityPenaltyReranker
from skpopsteer.sae import SparseAutoencoderProbe
from skpopsteer.steering import (
    GradientPopularityAdjuster,
    RelevanceCalibrator,
    SlotPricingRecommender,
    SteeredRecommender,
    TunedSteeringCV,
    steering_path,
)

__all__ = [
    "ArrayRecommender",
    "ConceptNeuronSelector",
    "CornacRecommender",
    "DecompositionRecommender",
    "ElsaRecommender",
    "GradientPopularityAdjuster",
    "ImplicitRecommender",
    "LensKitRecommender",
    "NeuronInterpreter",
    "NeuronSubset",
    "NeuronUnion",
    "PopularityGroups",
    "PopularityNeuronSelector",
    "PopularityPenaltyReranker",
    "RecBoleRecommender",
    "RecToolsRecommender",
    "RelevanceCalibrator",
    "SlotPricingRecommender",
    "SparseAutoencoderProbe",
    "SteeredRecommender",
    "TorchRecommender",
    "TunedSteeringCV",
    "__version__",
    "as_recommender",
    "compare",
    "steering_path",
]
