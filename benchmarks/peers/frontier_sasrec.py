"""Train RecTools' SASRec on rolling ends and store its vectors.

Run by frontier_hosts.py in RecTools' own environment, as
``frontier_sasrec.py DATA SPLIT``.
"""

import pathlib
import sys
import time

import numpy as np
from scipy.sparse import csr_array

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from frontier.data import read_sequences
from frontier.pairs import HostPair, save_pair, versions
from frontier.splits import drop_last
from peers.sasrec import (
    SASREC,
    flat_loss,
    from_end,
    histories,
    pieces,
    quiet,
)

from skpopsteer import as_recommender

#: Epochs at most, and how many without a better NDCG@10 on validation end a training.
#: On ml-latest-small early epochs, which know popularity alone, stay best for long.
EPOCHS = {"ml-1m": (10, 2), "ml-100k": (60, 10), "ml-latest-small": (60, 20)}
#: Learns in a third of the epochs that batches of 128 take.
BATCH_SIZE = 32


def as_pair(host, user, item, user_ids, item_ids, info):
    """Return a pair of a trained model; columns are in the order of its items."""
    parts = histories(host, user, item)

    def held_out(column):
        known = column >= 0
        rows, ones = np.flatnonzero(known), np.ones(known.sum(), dtype=np.float32)
        return csr_array((ones, (rows, column[known])), parts["valid"][0].shape)

    X_train = parts["valid"][0].astype(np.float32)
    X_train.data[:] = 1
    return HostPair(
        U_valid=host.encode_users(parts["valid"][0]),
        U_test=host.encode_users(parts["test"][0]),
        V=host.item_embeddings_, item_bias=None, X_train=X_train,
        y_valid=held_out(parts["valid"][1]), y_test=held_out(parts["test"][1]),
        user_ids=user_ids, item_ids=item_ids[host.item_ids_], info=info,
    )  # fmt: skip


def train(data, split):
    """Return a trained pair: the state of the best epoch on validation."""
    import torch
    from rectools.models import SASRecModel

    sequences = read_sequences(data)
    kept = drop_last(sequences.user, split)
    users, user = np.unique(sequences.user[kept], return_inverse=True)
    item = sequences.item[kept]
    seen = from_end(user) >= 2
    dataset = pieces(user[seen], item[seen])
    most, patience = EPOCHS[data]
    info = {
        "host": "sasrec", "data": data, "split": split,
        "versions": versions("rectools", "torch", "numpy", "scipy"),
        "settings": {**SASREC, "batch_size": BATCH_SIZE},
    }  # fmt: skip
    torch.manual_seed(split)
    model = SASRecModel(epochs=most, **info["settings"])
    curve, start = [], time.perf_counter()
    for epoch in range(most):
        model.fit_partial(dataset, min_epochs=1, max_epochs=1)
        model.lightning_model.loss_calculator = flat_loss
        pair = as_pair(
            as_recommender(model), user, item, sequences.user_ids[users],
            sequences.item_ids, info,
        )  # fmt: skip
        curve.append(pair.ndcg("valid"))
        print(f"  sasrec: epoch {epoch + 1}, {curve[-1]:.4f}", flush=True)
        if np.argmax(curve) == epoch:
            best = pair
        elif epoch - np.argmax(curve) >= patience:
            break
    info["settings"]["epochs"] = int(np.argmax(curve)) + 1
    info["seconds"] = time.perf_counter() - start
    info["ndcg_valid"], info["curve"] = max(curve), curve
    return best


if __name__ == "__main__":
    quiet()
    save_pair(train(sys.argv[1], int(sys.argv[2])))
