"""Torch modules as hosts: autoencoders and a model of sequences."""

import copy

import numpy as np
import torch

from skpopsteer.adapters import TorchRecommender, as_recommender
from tests.hosts.host import (
    MAX_LENGTH,
    N_ITEMS,
    WIDTH,
    Host,
    lists_by_hand,
    snapshot,
    timed_interactions,
    weighted_interactions,
)


class Autoencoder(torch.nn.Module):
    """Linear encoder, linear decoder with a bias."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(N_ITEMS, WIDTH)
        self.dropout = torch.nn.Dropout(0.5)
        self.decoder = torch.nn.Linear(WIDTH, N_ITEMS)

    def encode(self, rows):
        return self.encoder(self.dropout(rows))

    def forward(self, rows):
        return self.decoder(self.encode(rows))


class MultVAE(torch.nn.Module):
    """Normalised rows, dropout, two-layer encoder and decoder."""

    def __init__(self):
        super().__init__()
        self.dropout = torch.nn.Dropout(0.5)
        self.hidden = torch.nn.Linear(N_ITEMS, 16)
        self.mean = torch.nn.Linear(16, WIDTH)
        self.decoder = torch.nn.Sequential(
            torch.nn.Linear(WIDTH, 16), torch.nn.Tanh(), torch.nn.Linear(16, N_ITEMS)
        )

    def encode(self, rows):
        rows = self.dropout(torch.nn.functional.normalize(rows))
        return self.mean(torch.tanh(self.hidden(rows)))

    def decode(self, U):
        return self.decoder(U)

    def forward(self, rows):
        return self.decode(self.encode(rows))


class SequenceModel(torch.nn.Module):
    """GRU over sequences padded on the right with 0; item i has the id i + 1."""

    def __init__(self):
        super().__init__()
        self.items = torch.nn.Embedding(N_ITEMS + 1, WIDTH, padding_idx=0)
        self.dropout = torch.nn.Dropout(0.2)
        self.gru = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)

    def encode(self, sequences):
        states, _ = self.gru(self.dropout(self.items(sequences)))
        last = ((sequences > 0).sum(1) - 1).clamp(min=0)
        return states[torch.arange(len(states)), last]

    def forward(self, sequences):
        return self.encode(sequences) @ self.items.weight[1:].T


def _train(kind, inputs, targets):
    # The initial weights come from the global generator; it is put back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = kind()
        optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
        for _ in range(30):
            optimizer.zero_grad()
            log_shares = torch.log_softmax(module(inputs), dim=1)
            (-(log_shares * targets).sum(1).mean()).backward()
            optimizer.step()
    optimizer.zero_grad()
    return module


def _torch(name, module, X, tensor, **params):
    library, trained = copy.deepcopy(module).eval(), snapshot(module)
    recommender = as_recommender(TorchRecommender(module, encoder="encode", **params))

    @torch.no_grad()
    def own_lists(way, rows, k, exclude_seen=True):
        scores = library(tensor[torch.as_tensor(rows)]).numpy()
        return lists_by_hand(scores, X[rows], k, exclude_seen)

    return Host(name, module, trained, recommender, X, own_lists)


def _autoencoder(name, kind, **params):
    X = weighted_interactions()
    rows = torch.as_tensor(X.toarray().astype(np.float32))
    module = _train(kind, rows, rows).eval()
    # Not the mode of the whole: module.train(was_training) would lose it.
    module.dropout.train()
    return _torch(name, module, X, rows, **params)


def sequences_by_hand(X, max_length):
    """Sort every row by time, equal times by position, and keep the last items."""
    sequences = np.full((X.shape[0], max_length), -1)
    for user, row in enumerate(X.toarray()):
        items = sorted(np.flatnonzero(row), key=lambda item, row=row: (row[item], item))
        items = items[-max_length:]
        sequences[user, : len(items)] = items
    return sequences


def _sequence_model(name):
    X = timed_interactions()
    ids = torch.as_tensor(sequences_by_hand(X, MAX_LENGTH) + 1)
    targets = torch.as_tensor((X.toarray() > 0).astype(np.float32))
    return _torch(
        name,
        _train(SequenceModel, ids, targets).train(),
        X,
        ids,
        item_embeddings=item_table,
        inputs="sequences",
        max_length=MAX_LENGTH,
    )


def item_table(module):
    return module.items.weight


RECIPES = {
    "autoencoder": (
        _autoencoder,
        Autoencoder,
        {"item_embeddings": "decoder.weight", "item_bias": "decoder.bias"},
    ),
    "mult_vae": (_autoencoder, MultVAE, {"decoder": "decode", "n_items": N_ITEMS}),
    "sequence_model": (_sequence_model, {}),
}
WITH_OWN_FOLD_IN = ["autoencoder", "mult_vae", "sequence_model"]
NONLINEAR = ["mult_vae"]
