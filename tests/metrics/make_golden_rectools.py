"""Write ``golden_rectools.json``: the lists of ``golden_lenskit.json``, by RecTools.

``make test-rectools`` has the environment::

    .venv-rectools/bin/python tests/metrics/make_golden_rectools.py

The values are RecTools' own, without conversion; the tests convert them where the
definitions differ.
"""

import json
import warnings
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
CUTS = (1, 4, 6)


def measure(case):
    """Measure the lists of a case at every cut."""
    import pandas as pd

    with warnings.catch_warnings():
        # Those of the library, about its own dependencies.
        warnings.simplefilter("ignore")
        from rectools import metrics

    def pairs(rows):
        found = [(u, i) for u, items in enumerate(rows) for i in items]
        return pd.DataFrame(found, columns=["user_id", "item_id"])

    ranked = [
        (u, item, rank)
        for u, items in enumerate(case["recommendations"])
        for rank, item in enumerate(items, 1)
        if item >= 0
    ]
    lists = pd.DataFrame(ranked, columns=["user_id", "item_id", "rank"])
    held_out, seen = pairs(case["held_out"]), pairs(case["seen"])
    users, values = range(len(case["recommendations"])), {}
    for k in CUTS:
        accuracy = {
            "ndcg": metrics.NDCG(k),
            "ndcg_achievable": metrics.NDCG(k, divide_by_achievable=True),
            "recall": metrics.Recall(k),
            "precision": metrics.Precision(k),
            "hit_rate": metrics.HitRate(k),
            "mrr": metrics.MRR(k),
            "map": metrics.MAP(k),
            "map_by_k": metrics.MAP(k, divide_by_k=True),
        }
        found = {
            name: one.calc_per_user(lists, held_out) for name, one in accuracy.items()
        }
        popularity = metrics.AvgRecPopularity(k)
        found["average_popularity"] = popularity.calc_per_user(lists, seen)
        found["novelty"] = metrics.MeanInvUserFreq(k).calc_per_user(lists, seen)
        values[k] = {
            # None where RecTools has no value for a user.
            name: [float(of[u]) if u in of.index else None for u in users]
            for name, of in found.items()
        }
        covered = metrics.CatalogCoverage(k, normalize=True)
        values[k]["coverage"] = float(covered.calc(lists, range(case["n_items"])))
    return values


def main():
    """Read the case, measure and write."""
    case = json.loads((HERE / "golden_lenskit.json").read_text())
    golden = {"made_by": f"rectools {version('rectools')}", "values": measure(case)}
    path = HERE / "golden_rectools.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
