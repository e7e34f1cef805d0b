"""Write ``golden_recbole.json``: the lists of ``golden_lenskit.json``, by RecBole.

``make test-recbole`` has the environment::

    .venv-recbole/bin/python tests/metrics/make_golden_recbole.py

The values are RecBole's own, without conversion; the tests convert them where the
definitions differ. RecBole reads full lists only, so that short ones are left out, and
so are users without held-out items, as its evaluation does.
"""

import contextlib
import json
import os
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CUTS = (1, 4, 6)


def judged(case):
    """Return the users whose lists are full, and who have something held out."""
    return [
        user
        for user, items in enumerate(case["recommendations"])
        if min(items) >= 0 and case["held_out"][user]
    ]


@contextlib.contextmanager
def somewhere_else():
    """Let RecBole, which reads the command line, write where nobody minds."""
    here, arguments = os.getcwd(), sys.argv
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.argv = arguments[:1]
        try:
            yield
        finally:
            os.chdir(here)
            sys.argv = arguments


def measure(case):
    """Measure the lists of a case at every cut."""
    import torch

    with warnings.catch_warnings(), somewhere_else():
        warnings.simplefilter("ignore")
        from recbole.config import Config
        from recbole.evaluator import metrics

        settings = {"topk": list(CUTS), "metric_decimal_place": 12}
        config = Config("BPR", "ml-100k", config_dict=settings)
    users = judged(case)
    lists = np.array(case["recommendations"])[users]
    hits = np.array(
        [np.isin(lists[n], case["held_out"][user]) for n, user in enumerate(users)]
    )
    n_held_out = [len(case["held_out"][user]) for user in users]
    counts = np.bincount(np.concatenate(case["seen"]), minlength=case["n_items"])
    known = {
        "rec.topk": torch.from_numpy(np.column_stack([hits, n_held_out]).astype(int)),
        # Its item 0 is padding.
        "rec.items": torch.from_numpy(lists + 1),
        "data.num_items": case["n_items"] + 1,
        "data.count_items": {
            item: int(count) for item, count in enumerate(counts, 1) if count
        },
    }
    names = [
        "NDCG", "Recall", "Precision", "Hit", "MRR", "MAP", "GiniIndex",
        "ItemCoverage", "ShannonEntropy", "AveragePopularity", "TailPercentage",
    ]  # fmt: skip
    values = {k: {} for k in CUTS}
    for name in names:
        found = getattr(metrics, name)(config).calculate_metric(known)
        for k in CUTS:
            values[k][name.lower()] = float(found[f"{name.lower()}@{k}"])
    return values


def main():
    """Read the case, measure and write."""
    case = json.loads((HERE / "golden_lenskit.json").read_text())
    golden = {"made_by": f"recbole {version('recbole')}", "values": measure(case)}
    path = HERE / "golden_recbole.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
