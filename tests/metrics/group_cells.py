"""What the tests of tables by groups share: every metric, and cells by brute force."""

import numpy as np

from skpopsteer import (
    PopularityGroups,
)
from skpopsteer import metrics as m

FUNCTIONS = {
    "ndcg": m.ndcg,
    "recall": m.recall,
    "precision": m.precision,
    "hit_rate": m.hit_rate,
    "mrr": m.mrr,
    "map": m.mean_average_precision,
    "coverage": m.coverage,
    "entropy": m.entropy,
    "gini": m.gini,
    "novelty": m.novelty,
    "average_popularity": m.average_popularity,
    "popularity_lift": m.popularity_lift,
    "tail_coverage": m.tail_coverage,
    "tail_share": m.tail_share,
    "average_tail_items": m.average_tail_items,
    "popreo": m.popreo,
    "poprsp": m.poprsp,
    "user_popularity_deviation": m.user_popularity_deviation,
}
BETWEEN_GROUPS = [
    "tail_coverage", "tail_share", "average_tail_items", "popreo", "poprsp",
    "user_popularity_deviation",
]  # fmt: skip
RULE = PopularityGroups("mass")


def rows_of(known, rows):
    """The same arguments for some users only."""
    return known | {name: known[name][rows] for name in ("X", "y", "recommendations")}


def columns_of(known, items):
    """The same arguments in a smaller catalogue, by brute force."""
    lists = known["recommendations"]
    place = {item: i for i, item in enumerate(items)}
    return known | {
        "X": known["X"][:, items],
        "y": known["y"][:, items],
        "n_items": len(items),
        "item_popularity": known["item_popularity"][items],
        "recommendations": np.vectorize(lambda item: place.get(item, -1))(lists),
    }


def cell(frame, metric, user_group="all", item_group="all"):
    return (
        frame.metrics.index(metric),
        frame.user_groups.index(user_group),
        frame.item_groups.index(item_group),
    )
