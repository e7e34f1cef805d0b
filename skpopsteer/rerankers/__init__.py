"""What a user would pick instead of steering neurons, with the same interface."""

from skpopsteer.rerankers._calibrated_popularity import CalibratedPopularityReranker
from skpopsteer.rerankers._difference_of_means import DifferenceOfMeansReranker
from skpopsteer.rerankers._fair_top_k import FairTopKReranker
from skpopsteer.rerankers._inverse_popularity import InversePopularityReranker
from skpopsteer.rerankers._item_bias import ItemBiasReranker
from skpopsteer.rerankers._max_min_exposure import MaxMinExposureReranker
from skpopsteer.rerankers._mmr import MMRReranker
from skpopsteer.rerankers._norm_tempering import NormTemperingReranker
from skpopsteer.rerankers._penalty import PopularityPenaltyReranker
from skpopsteer.rerankers._personal_targets import PersonalTargetReranker
from skpopsteer.rerankers._profile_popularity import ProfilePopularityReranker
from skpopsteer.rerankers._spread_tempering import SpreadTemperingReranker
from skpopsteer.rerankers._tail_quota import TailQuotaReranker
from skpopsteer.rerankers._xquad import XQuADReranker

__all__ = [
    "CalibratedPopularityReranker",
    "DifferenceOfMeansReranker",
    "FairTopKReranker",
    "InversePopularityReranker",
    "ItemBiasReranker",
    "MMRReranker",
    "MaxMinExposureReranker",
    "NormTemperingReranker",
    "PersonalTargetReranker",
    "PopularityPenaltyReranker",
    "ProfilePopularityReranker",
    "SpreadTemperingReranker",
    "TailQuotaReranker",
    "XQuADReranker",
]
