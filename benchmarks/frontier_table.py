"""The frontier of accuracy and exposure: every rival, every host, and slot pricing.

Reads what ``make bench-hosts`` has stored. Every method is tuned on validation: for
each share of the host's NDCG that may be lost and each measure, the setting with the
best value on validation among those that keep to the share there is chosen, and its
figures on the test are reported. Results of a split are kept in
``output/frontier_cells``, where a method that has none yet is added; the table is
written to ``results/frontier.md`` and its picture to ``docs/_static/frontier.png``.

``--only als-ml-1m sasrec`` does pairs whose names begin so, ``--report`` none;
``--again "slot pricing"`` measures a method anew.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time
import warnings

import numpy as np
from frontier.cell import run_cell
from frontier.families import make_families
from frontier.judge import Judge
from frontier.pairs import load_pair, path_of
from frontier.picture import draw
from frontier.report import report
from frontier_hosts import PAIRS, SPLITS
from joblib import Parallel, delayed

ROOT = pathlib.Path(__file__).resolve().parents[1]
CELLS = ROOT / "output" / "frontier_cells"
RESULTS = ROOT / "benchmarks" / "results" / "frontier.md"
PICTURE = ROOT / "docs" / "_static" / "frontier.png"
#: Items of a row that every method chooses from.
POOL_SIZE, POOL_SIZE_OF = 500, {"gowalla": 200}
#: Users whose lists are judged at most; methods are fitted on all.
N_USERS = 7_000


def run(host, data, split, again=()):
    """Measure what is not measured yet of one split; store it whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(host, data, split, again, folder)


def judged(host, data, split):
    """Return a stored pair, how many items a pool has, and which rows are judged."""
    pair = load_pair(host, data, split)
    pool_size = min(POOL_SIZE_OF.get(data, POOL_SIZE), pair.n_items)
    n_users, rows = pair.X_train.shape[0], None
    if n_users > N_USERS:
        rows = np.random.default_rng(split).choice(n_users, N_USERS, replace=False)
        rows.sort()
    return pair, pool_size, rows


def measure(host, data, split, again, folder):
    """Do what `run` does, with a folder for what methods share."""
    start = time.perf_counter()
    pair, pool_size, rows = judged(host, data, split)
    valid = Judge(pair, "valid", pool_size, rows)
    families = make_families(pair, valid, pool_size, split, folder)
    order = list(families)
    path = CELLS / f"{host}-{data}-{split}.json"
    known = json.loads(path.read_text()) if path.is_file() else None
    if known:
        known["chosen"] = [r for r in known["chosen"] if r["family"] not in again]
        known["seconds"] = {n: s for n, s in known["seconds"].items() if n not in again}
        families = {n: fit for n, fit in families.items() if n not in known["seconds"]}
    if families:
        test = Judge(pair, "test", pool_size, rows)
        with warnings.catch_warnings():
            # That published autoencoders lose accuracy is part of the result.
            warnings.filterwarnings("ignore", message="`probe` must keep")
            warnings.filterwarnings("ignore", message="`dead_neurons_` must stay")
            cell = run_cell(families, valid, test, split).to_dict()
        if known:
            cell["chosen"] += known["chosen"]
            cell["chosen"].sort(key=lambda row: order.index(row["family"]))
            cell["seconds"] |= known["seconds"]
        cell |= {
            "host name": host, "data": data, "split": split, "users": len(valid.ids),
            "items": pair.n_items, "pool": pool_size,
        }  # fmt: skip
        CELLS.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".part").write_text(json.dumps(cell))
        os.replace(path.with_suffix(".part"), path)
    seconds = time.perf_counter() - start
    return f"{path.stem}: {len(families)} methods, {seconds:.0f} s"


def wanted(only):
    """Return the pairs and splits that are stored and asked for."""
    for host, data in PAIRS:
        for split in SPLITS:
            name = f"{host}-{data}-{split}"
            if name.startswith(only) and path_of(host, data, split).is_file():
                yield host, data, split


def main():
    """Do what is wanted, two at a time, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--again", nargs="+", default=[], metavar="METHOD")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    todo = [] if options.report else list(wanted(tuple(options.only)))
    done = Parallel(options.jobs, return_as="generator_unordered", batch_size=1)(
        delayed(run)(*one, options.again) for one in todo
    )
    for line in done:
        print(line, flush=True)
    cells = [json.loads(path.read_text()) for path in sorted(CELLS.glob("*.json"))]
    RESULTS.write_text(report(cells))
    draw(cells, PICTURE)
    print(f"Written: {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
