"""Train the hosts of the frontier table once, and store their arrays.

ALS, BPR and ELSA on random splits of Last.fm, ML-1M and Gowalla; SASRec, in an
environment of its own, on the last items of ml-latest-small, ML-100K and ML-1M; three
splits each, and for the first three hosts one more, which chooses their settings. What
is stored in ``output/frontier_hosts`` is not trained again, and
``frontier.pairs.load_pair`` reads it. ml-latest-small comes with the repository; the
others are read from ``../shared/data`` beside it, and skipped where they are absent.

``--only als-ml-1m sasrec`` trains pairs whose names begin so.
"""

import argparse
import subprocess
import sys

from frontier.data import ROOT, available
from frontier.hosts import CHOSEN_ON, train
from frontier.pairs import load_pair, path_of, save_pair

FACTORISATIONS = ("als", "bpr", "elsa")
#: Cheapest first.
PAIRS = [
    *((host, "lastfm-hetrec") for host in FACTORISATIONS),
    ("sasrec", "ml-latest-small"),
    ("sasrec", "ml-100k"),
    *((host, "ml-1m") for host in FACTORISATIONS),
    ("sasrec", "ml-1m"),
    *((host, "gowalla") for host in FACTORISATIONS),
]
#: What methods do was settled on splits 0 to 2.
SPLITS = (3, 4, 5)


def splits_of(host):
    """Return the splits to train on, that which chooses the settings first."""
    return SPLITS if host == "sasrec" else (CHOSEN_ON, *SPLITS)


def train_sasrec(data, split):
    """Train and store a SASRec where RecTools is."""
    make = ["make", "--silent", ".venv-rectools/.installed"]
    subprocess.run(make, cwd=ROOT, check=True)
    python = ROOT / ".venv-rectools" / "bin" / "python"
    script = ROOT / "benchmarks" / "peers" / "frontier_sasrec.py"
    subprocess.run([str(python), str(script), data, str(split)], check=True)


def describe(pair):
    """Return one line on a stored pair."""
    info = pair.info
    sizes = [
        *pair.X_train.shape, pair.X_train.nnz, pair.y_valid.nnz, pair.y_test.nnz,
    ]  # fmt: skip
    users, items, *rows = (f"{size:,}" for size in sizes)
    settings = " ".join(f"{key}={value}" for key, value in info["settings"].items())
    return (
        f"{info['host']}-{info['data']}-{info['split']}: {users} users, {items} items, "
        f"{' + '.join(rows)} interactions; NDCG@10 {info['ndcg_valid']:.4f} on "
        f"validation, {info['seconds']:.0f} s, {settings}"
    )


def main():
    """Train what is wanted and not stored yet; print a line a pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME")
    wanted = tuple(parser.parse_args().only)
    for host, data in PAIRS:
        for split in splits_of(host):
            if not f"{host}-{data}-{split}".startswith(wanted):
                continue
            if not available(data):
                print(f"{data} is not in ../shared/data beside the repository: skipped")
                break
            if not path_of(host, data, split).is_file():
                if host == "sasrec":
                    train_sasrec(data, split)
                else:
                    save_pair(train(host, data, split))
            print(describe(load_pair(host, data, split)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
