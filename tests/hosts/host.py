"""What a host of the table is, the data it is trained on, and lists by hand."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from skpopsteer.datasets import make_interactions

N_USERS, N_ITEMS, WIDTH, MAX_LENGTH = 200, 100, 8, 12


@dataclass(frozen=True)
class Host:
    """A trained host.

    `model` is what the foreign library trained, `trained` its :func:`snapshot` before
    anything of ours touched it, and `recommender` what ``as_recommender`` made of it.
    ``own_lists(way, rows, k, exclude_seen=True)`` gives ids and scores of the foreign
    library for some rows of `X`, where `way` is "user_ids" or "fold_in".
    """

    name: str
    model: Any
    trained: Any
    recommender: Any
    X: csr_array
    own_lists: Callable

    def arguments(self, way, rows):
        """Return what our methods take for the same rows."""
        ids = {"user_ids": rows} if way == "user_ids" else {}
        return {"X": self.X[rows], **ids}

    def own_scores(self, way, rows):
        """Return the library's own score of every item."""
        ids, values = self.own_lists(way, rows, N_ITEMS, exclude_seen=False)
        scores = np.full(ids.shape, np.nan)
        np.put_along_axis(scores, ids, values, axis=1)
        return scores


@cache
def weighted_interactions():
    X = make_interactions(N_USERS, N_ITEMS, random_state=0).X
    X.data = np.random.default_rng(0).integers(1, 6, X.nnz).astype(np.float64)
    return X


@cache
def timed_interactions():
    """Times in seconds of this century, of which every tenth ties with another."""
    X = make_interactions(N_USERS, N_ITEMS, random_state=1).X
    rng = np.random.default_rng(1)
    X.data = 1.6e9 + rng.integers(0, 10 * X.nnz, X.nnz).astype(np.float64)
    tied = rng.choice(X.nnz - 1, X.nnz // 10, replace=False)
    X.data[tied] = X.data[tied + 1]
    return X


def lists_by_hand(scores, X, k, exclude_seen):
    """Sort all scores with numpy; seen items go to the end, and are cut off."""
    scores = np.array(scores, dtype=np.float64)
    if exclude_seen:
        scores[X.nonzero()] = -np.inf
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(scores, ids, axis=1)
    return np.where(values == -np.inf, -1, ids), values


def snapshot(model):
    """Copy all state of a foreign model, to be compared with assert_equal of numpy."""
    if isinstance(model, torch.nn.Module):
        return {
            "weights": {k: v.numpy().copy() for k, v in model.state_dict().items()},
            "modes": {name: part.training for name, part in model.named_modules()},
            "gradients": {
                name: (part.requires_grad, part.grad)
                for name, part in model.named_parameters()
            },
        }
    return copy.deepcopy(model if isinstance(model, tuple) else vars(model))
