"""Metrics of recommendation lists: accuracy, exposure, tail, fairness, calibration.

Plain functions of arrays, usable with the lists of any recommender. A list is a row of
item positions, best first; -1 pads short lists and never counts as a slot.
"""

from skpopsteer.metrics._paired_comparison import PairedComparison
from skpopsteer.metrics._ranking_frame import RankingFrame
from skpopsteer.metrics._user_groups import taste_groups
from skpopsteer.metrics.accuracy import (
    hit_rate,
    mean_average_precision,
    mrr,
    ndcg,
    precision,
    recall,
)
from skpopsteer.metrics.calibration import popularity_lift, user_popularity_deviation
from skpopsteer.metrics.exposure import (
    average_popularity,
    coverage,
    entropy,
    gini,
    novelty,
)
from skpopsteer.metrics.fairness import popreo, poprsp
from skpopsteer.metrics.scorers import (
    RecommenderScorer,
    get_scorer,
    get_scorer_names,
    make_recommender_scorer,
)
from skpopsteer.metrics.tail import average_tail_items, tail_coverage, tail_share

__all__ = [
    "PairedComparison",
    "RankingFrame",
    "RecommenderScorer",
    "average_popularity",
    "average_tail_items",
    "coverage",
    "entropy",
    "get_scorer",
    "get_scorer_names",
    "gini",
    "hit_rate",
    "make_recommender_scorer",
    "mean_average_precision",
    "mrr",
    "ndcg",
    "novelty",
    "popreo",
    "poprsp",
    "popularity_lift",
    "precision",
    "recall",
    "tail_coverage",
    "tail_share",
    "taste_groups",
    "user_popularity_deviation",
]
