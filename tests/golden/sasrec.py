"""SASRec, written from its description, with RecBole's names of parameters."""

import numpy as np
import torch
from torch import nn

LAYER_NORM_EPS = 1e-12
#: Added to attention logits that must not count, as RecBole does (not -inf).
MASKED = -10_000.0


class MultiHeadAttention(nn.Module):
    def __init__(self, d, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(d, d)
        self.key = nn.Linear(d, d)
        self.value = nn.Linear(d, d)
        self.dense = nn.Linear(d, d)
        self.LayerNorm = nn.LayerNorm(d, eps=LAYER_NORM_EPS)

    def forward(self, states, mask):
        query, key, value = (
            self._heads(part(states)) for part in (self.query, self.key, self.value)
        )
        logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        mixed = (logits + mask).softmax(dim=-1) @ value
        mixed = mixed.transpose(1, 2).flatten(start_dim=2)
        return self.LayerNorm(states + self.dense(mixed))

    def _heads(self, states):
        n, length, d = states.shape
        heads = states.view(n, length, self.n_heads, d // self.n_heads)
        return heads.transpose(1, 2)


class FeedForward(nn.Module):
    def __init__(self, d, width):
        super().__init__()
        self.dense_1 = nn.Linear(d, width)
        self.dense_2 = nn.Linear(width, d)
        self.LayerNorm = nn.LayerNorm(d, eps=LAYER_NORM_EPS)

    def forward(self, states):
        hidden = nn.functional.gelu(self.dense_1(states))
        return self.LayerNorm(states + self.dense_2(hidden))


class Layer(nn.Module):
    def __init__(self, d, n_heads, width):
        super().__init__()
        self.multi_head_attention = MultiHeadAttention(d, n_heads)
        self.feed_forward = FeedForward(d, width)

    def forward(self, states, mask):
        return self.feed_forward(self.multi_head_attention(states, mask))


class Encoder(nn.Module):
    def __init__(self, n_layers, d, n_heads, width):
        super().__init__()
        self.layer = nn.ModuleList(Layer(d, n_heads, width) for _ in range(n_layers))

    def forward(self, states, mask):
        for layer in self.layer:
            states = layer(states, mask)
        return states


class SASRec(nn.Module):
    """Sequences of item ids, 0 for padding at the end, to one embedding each.

    Dropout is left out: the module is for evaluation only.
    """

    def __init__(
        self, n_items, *, d=64, max_length=50, n_layers=2, n_heads=2, width=256
    ):
        super().__init__()
        self.item_embedding = nn.Embedding(n_items + 1, d, padding_idx=0)
        self.position_embedding = nn.Embedding(max_length, d)
        self.trm_encoder = Encoder(n_layers, d, n_heads, width)
        self.LayerNorm = nn.LayerNorm(d, eps=LAYER_NORM_EPS)

    def encode(self, ids):
        """Return the output at the last item of every sequence."""
        length = ids.shape[1]
        positions = self.position_embedding.weight[:length]
        states = self.LayerNorm(self.item_embedding(ids) + positions)
        held = ids != 0
        causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        seen = causal & held[:, None, None, :]
        mask = torch.where(seen, 0.0, MASKED)
        states = self.trm_encoder(states, mask)
        last = (held.sum(dim=1) - 1).clamp(min=0)
        return states[torch.arange(len(ids), device=ids.device), last]


def load_sasrec(path, *, n_heads=2):
    """Make a SASRec of the sizes and weights in an npz archive, ready to evaluate."""
    with np.load(path) as archive:
        state = {name: torch.from_numpy(archive[name]) for name in archive.files}
    n_rows, d = state["item_embedding.weight"].shape
    module = SASRec(
        n_rows - 1,
        d=d,
        max_length=len(state["position_embedding.weight"]),
        n_layers=len({name.split(".")[2] for name in state if ".layer." in name}),
        n_heads=n_heads,
        width=len(state["trm_encoder.layer.0.feed_forward.dense_1.bias"]),
    )
    module.load_state_dict(state)
    return module.eval()
