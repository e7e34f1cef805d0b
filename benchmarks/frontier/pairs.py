"""A trained host on a split: arrays alone, written once and read by the tables."""

import json
import os
import pathlib
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from skpopsteer.metrics import ndcg
from skpopsteer.topk import forbid, row_blocks, top_k

ROOT = pathlib.Path(__file__).resolve().parents[2]
STORED = ROOT / "output" / "frontier_hosts"
MATRICES = ("X_train", "y_valid", "y_test")
TABLES = ("U_valid", "U_test", "V", "user_ids", "item_ids")


class Part(NamedTuple):
    """What a method is judged on: user embeddings, masked items, held-out items."""

    U: np.ndarray
    seen: csr_array
    y: csr_array


@dataclass(frozen=True)
class HostPair:
    """A host trained on one split of one data set.

    Scores are ``U @ V.T + item_bias``. Validation masks the training interactions, the
    test those of training and validation.

    Attributes
    ----------
    U_valid, U_test : ndarray of shape (n_users, 64), dtype float32
        Users as the host sees them at validation and at the test. One table of trained
        users for ALS and BPR. For ELSA and SASRec the encoding of the training
        interactions, and of those with the validation's.
    V : ndarray of shape (n_items, 64), dtype float32
        Items.
    item_bias : ndarray of shape (n_items,), dtype float32, or None
        What is added to the scores of an item.
    X_train, y_valid, y_test : csr_array of shape (n_users, n_items), dtype float32
        Ones. Rows of `y_valid` and `y_test` may be empty for SASRec, where an item
        held out is unknown to the model.
    user_ids, item_ids : ndarray of shape (n_users,), (n_items,)
        Ids of the source by position.
    info : dict
        "host", "data", "split"; "versions" of what trained it; its "settings"; the
        "seconds" of the training; "ndcg_valid", NDCG@10 on validation; of the first
        split "tried", all settings with their NDCG@10; of SASRec the "curve" of epochs.
    """

    U_valid: np.ndarray
    U_test: np.ndarray
    V: np.ndarray
    item_bias: np.ndarray | None
    X_train: csr_array
    y_valid: csr_array
    y_test: csr_array
    user_ids: np.ndarray
    item_ids: np.ndarray
    info: dict

    @property
    def n_items(self):
        """Number of items."""
        return len(self.V)

    def part(self, name):
        """Return users, masked and held-out items of "valid" or of "test"."""
        if name == "valid":
            return Part(self.U_valid, self.X_train, self.y_valid)
        return Part(self.U_test, self.X_train + self.y_valid, self.y_test)

    def lists(self, name, n=10, *, users=None):
        """Return the host's own lists of a part, masked, for some users or for all."""
        U, seen, _ = self.part(name)
        if users is not None:
            U, seen = U[users], seen[users]
        found = np.empty((len(U), n), dtype=np.int64)
        for rows in row_blocks(len(U), self.n_items):
            scores = U[rows] @ self.V.T
            if self.item_bias is not None:
                scores += self.item_bias
            forbid(scores, seen, rows)
            found[rows] = top_k(scores, n)[0]
        return found

    def ndcg(self, name, *, users=None):
        """Return the host's own NDCG@10 on a part, masked."""
        y = self.part(name).y
        return float(
            ndcg(y if users is None else y[users], self.lists(name, users=users))
        )


def versions(*libraries):
    """Return the versions of the libraries that train a host."""
    return {name: version(name) for name in libraries}


def path_of(host, data, split):
    """Return where a pair is stored."""
    return STORED / f"{host}-{data}-{split}.npz"


def save_pair(pair):
    """Write a pair under its name, whole or not at all."""
    arrays = {name: getattr(pair, name) for name in TABLES}
    if pair.item_bias is not None:
        arrays["item_bias"] = pair.item_bias
    for name in MATRICES:
        matrix = getattr(pair, name)
        arrays[f"{name}_indptr"] = matrix.indptr
        arrays[f"{name}_indices"] = matrix.indices
    arrays["info"] = np.array(json.dumps(pair.info))
    path = path_of(*(pair.info[key] for key in ("host", "data", "split")))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(part, path)


def load_pair(host, data, split):
    """Read a pair that ``make bench-hosts`` has stored.

    Parameters
    ----------
    host : {"als", "bpr", "elsa", "sasrec"}
        Kind of the host.
    data : {"lastfm-hetrec", "ml-1m", "gowalla", "ml-100k", "ml-latest-small"}
        The first three with the first three hosts; the last two, and "ml-1m", with
        SASRec.
    split : int
        Number of the split, which is also the seed.

    Returns
    -------
    HostPair
    """
    path = path_of(host, data, split)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there. Run `make bench-hosts` first.")
    with np.load(path, allow_pickle=False) as arrays:
        tables = {name: arrays[name] for name in TABLES}
        shape = len(tables["U_valid"]), len(tables["V"])
        matrices = {}
        for name in MATRICES:
            indices = arrays[f"{name}_indices"]
            ones = np.ones(len(indices), dtype=np.float32)
            parts = ones, indices, arrays[f"{name}_indptr"]
            matrices[name] = csr_array(parts, shape=shape)
        bias = arrays.get("item_bias")
        info = json.loads(str(arrays["info"]))
    return HostPair(**tables, **matrices, item_bias=bias, info=info)
