"""Train RecTools' SASRec on MovieLens, leave-one-out; read by popsteer_sasrec.py."""

import json
import logging
import pathlib
import time
import warnings

import numpy as np
from scipy.sparse import csr_array

from skpopsteer import as_recommender
from skpopsteer.metrics import ndcg

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
MAX_LENGTH = 50
SASREC = {
    "n_factors": 64, "n_blocks": 2, "n_heads": 2, "dropout_rate": 0.2,
    "session_max_len": MAX_LENGTH, "batch_size": 128, "lr": 1e-3,
}  # fmt: skip
#: Epochs at most, and how many without a better NDCG@10 on validation end a training.
EPOCHS = {"ml-1m": (20, 3), "ml-100k": (80, 10)}


def quiet():
    """Silence what RecTools and Lightning say of every epoch."""
    warnings.filterwarnings("ignore")
    for name in ("", ".utilities.rank_zero"):
        logging.getLogger(f"pytorch_lightning{name}").setLevel(logging.ERROR)


def read(name):
    """Return users and items of ratings of 4 and 5 with a time, oldest first, 5-core.

    Both are numbered from 0, and rows are sorted by user. Equal times keep the order of
    the file.
    """
    with np.load(SHARED / name / "interactions.npz") as arrays:
        kept = (arrays["rating"] >= 4) & (arrays["timestamp"] >= 0)
        user, item, times = (arrays[k][kept] for k in ("user", "item", "timestamp"))
    while True:
        kept = (np.bincount(user)[user] >= 5) & (np.bincount(item)[item] >= 5)
        if kept.all():
            break
        user, item, times = user[kept], item[kept], times[kept]
    order = np.lexsort((times, user))
    user = np.unique(user[order], return_inverse=True)[1]
    return user, np.unique(item[order], return_inverse=True)[1]


def from_end(user):
    """Return how many rows of the same user follow each row."""
    last = np.cumsum(np.bincount(user)) - 1
    return last[user] - np.arange(len(user))


def pieces(user, item):
    """Return a data set of RecTools: histories cut into pieces that overlap by one.

    RecTools trains on the last items of a user only; so cut, every item but a user's
    first is a target, as in the published training on all prefixes.
    """
    import pandas as pd
    from rectools.dataset import Dataset

    back = from_end(user)
    rows = pd.DataFrame({"user": user, "piece": back // MAX_LENGTH, "item_id": item})
    # The oldest item of a piece is also the newest of the next.
    first = rows[(back % MAX_LENGTH == 0) & (back > 0)].copy()
    first["piece"] -= 1
    frame = pd.concat([rows, first]).sort_index(kind="stable")
    sizes = frame.groupby(["user", "piece"])["item_id"].transform("size")
    frame = frame[sizes > 1]
    frame["user_id"] = frame["user"] * 1000 + frame["piece"]
    frame["datetime"] = pd.to_datetime(frame.index.to_numpy(), unit="s")
    frame["weight"] = 1
    return Dataset.construct(frame[["user_id", "item_id", "weight", "datetime"]])


def flat_loss(logits, y, w):
    """Return RecTools' softmax loss, laid out so that it takes half of the time."""
    from torch.nn.functional import cross_entropy

    losses = cross_entropy(
        logits.flatten(0, 1), y.flatten(), ignore_index=0, reduction="none"
    )
    return (losses * w.flatten()).sum() / (y != 0).sum()


def histories(host, user, item):
    """Return matrices of times, and held-out items, by the positions of the model.

    The last item of a user is for the test, the one before for validation. Items that
    only those hold are unknown to the model, and left out.
    """
    position = np.full(item.max() + 1, -1)
    position[host.item_ids_] = np.arange(host.n_items_)
    column, back = position[item], from_end(user)

    def matrix(kept):
        kept = kept & (column >= 0)
        steps = np.flatnonzero(kept) + 1.0
        shape = user.max() + 1, host.n_items_
        return csr_array((steps, (user[kept], column[kept])), shape=shape)

    return {
        "valid": (matrix(back >= 2), column[back == 1]),
        "test": (matrix(back >= 1), column[back == 0]),
    }


def train(name, seed, folder):
    """Train one SASRec with early stopping; write it, and the vectors of all rows."""
    import torch
    from rectools.models import SASRecModel

    user, item = read(name)
    seen = from_end(user) >= 2
    dataset = pieces(user[seen], item[seen])
    torch.manual_seed(seed)
    most, patience = EPOCHS[name]
    model = SASRecModel(epochs=most, **SASREC)
    curve, start = [], time.perf_counter()
    for epoch in range(most):
        model.fit_partial(dataset, min_epochs=1, max_epochs=1)
        model.lightning_model.loss_calculator = flat_loss
        host = as_recommender(model)
        X, y = histories(host, user, item)["valid"]
        curve.append(float(ndcg(y, host.recommend(X))))
        seconds = time.perf_counter() - start
        print(f"{name} {seed}: epoch {epoch}, {curve[-1]:.4f}, {seconds:.0f} s")
        best = int(np.argmax(curve))
        if best == epoch:
            weights = {k: v.clone() for k, v in model.torch_model.state_dict().items()}
        elif epoch - best >= patience:
            break
    model.torch_model.load_state_dict(weights)
    parts = histories(host, user, item).items()
    states = {part: host.encode_users(X) for part, (X, _) in parts}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "vectors.npz", items=host.item_embeddings_, **states)
    model.save(folder / "model.pickle")
    record = {"valid": curve, "seconds": seconds}
    (folder / "training.json").write_text(json.dumps(record), encoding="utf-8")
