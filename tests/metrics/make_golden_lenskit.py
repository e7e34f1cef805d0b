"""Write ``golden_lenskit.json``: one seeded case, measured by LensKit.

Run it in an environment of its own, with LensKit and this folder only; the tests need
the file alone::

    python -m pip install lenskit
    python tests/metrics/make_golden_lenskit.py

The values are LensKit's own, per user and without conversion; the tests convert them
where the definitions differ.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

N_USERS, N_ITEMS, N_COLUMNS = 30, 24, 6
CUTS = (1, 4, 6)


def make_case(seed=20):
    """Draw lists, some of them short, and disjoint training and held-out items."""
    rng = np.random.default_rng(seed)
    attraction = 1 / np.arange(1, N_ITEMS + 1)
    attraction = rng.permutation(attraction / attraction.sum())
    lists = np.full((N_USERS, N_COLUMNS), -1)
    seen, held_out = [], []
    for user in range(N_USERS):
        items = rng.choice(N_ITEMS, size=16, replace=False, p=attraction)
        n_seen = rng.integers(1, 9)
        n_held_out = rng.integers(0, 9)
        seen.append(sorted(items[:n_seen].tolist()))
        held_out.append(sorted(items[8 : 8 + n_held_out].tolist()))
        unseen = np.setdiff1d(np.arange(N_ITEMS), items[:n_seen])
        length = N_COLUMNS if rng.random() < 0.7 else rng.integers(1, N_COLUMNS)
        lists[user, :length] = rng.choice(unseen, size=length, replace=False)
    return lists.tolist(), seen, held_out


def measure(lists, seen, held_out):
    """Measure every list at every cut."""
    import pandas as pd
    from lenskit.data import ItemList, from_interactions_df
    from lenskit.metrics import (
        NDCG,
        Hit,
        ListGini,
        LogRankWeight,
        MeanPopRank,
        Precision,
        Recall,
        RecipRank,
    )
    from lenskit.metrics.ranking import AveragePrecision

    pairs = [(u, i) for u, items in enumerate(seen) for i in items]
    train = from_interactions_df(pd.DataFrame(pairs, columns=["user_id", "item_id"]))
    ranked = [
        ItemList(item_ids=np.array([i for i in items if i >= 0]), ordered=True)
        for items in lists
    ]
    truth = [ItemList(item_ids=np.array(items, dtype=np.int64)) for items in held_out]
    values = {}
    for k in CUTS:
        metrics = {
            # Without the offset ranks 1 and 2 have the same weight.
            "ndcg": NDCG(k, weight=LogRankWeight(offset=1)),
            "recall": Recall(k),
            "precision": Precision(k),
            "hit": Hit(k),
            "reciprocal_rank": RecipRank(k),
            "average_precision": AveragePrecision(k),
            "mean_popularity_rank": MeanPopRank(train, n=k),
        }
        values[k] = {
            name: [
                # LensKit divides by zero for a user without held-out items.
                float(metric.measure_list(recommended, relevant))
                if len(relevant) or name == "mean_popularity_rank"
                else None
                for recommended, relevant in zip(ranked, truth, strict=True)
            ]
            for name, metric in metrics.items()
        }
        list_gini = ListGini(k, items=N_ITEMS)
        parts = [
            list_gini.compute_list_data(recommended, None) for recommended in ranked
        ]
        values[k]["gini"] = float(list_gini.global_aggregate(parts))
    return values


def main():
    """Draw, measure and write."""
    lists, seen, held_out = make_case()
    golden = {
        "made_by": f"lenskit {version('lenskit')}",
        "n_items": N_ITEMS,
        "recommendations": lists,
        "seen": seen,
        "held_out": held_out,
        "values": measure(lists, seen, held_out),
    }
    path = Path(__file__).with_name("golden_lenskit.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
