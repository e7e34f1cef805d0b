"""Models of RecBole as torch modules, made of their trained weights alone.

Parameters have RecBole's names, and every module does what RecBole's does in evaluation
mode: there is no dropout. Ids are RecBole's: 0 is "no item", item i has the id i + 1.
"""

import re

import torch
from torch import nn

__all__ = ["build"]

#: Added to the attention logits of what must not count: RecBole takes no -inf.
_MASKED = -10_000.0
_ACTIVATIONS = {
    "gelu": nn.functional.gelu,
    "relu": nn.functional.relu,
    "sigmoid": torch.sigmoid,
    "swish": nn.functional.silu,
    "tanh": torch.tanh,
}


class _Attention(nn.Module):
    def __init__(self, d, n_heads, eps):
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key = nn.Linear(d, d), nn.Linear(d, d)
        self.value, self.dense = nn.Linear(d, d), nn.Linear(d, d)
        self.LayerNorm = nn.LayerNorm(d, eps=eps)

    def forward(self, states, mask):
        query, key, value = (
            part(states).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        logits = query @ key.mT / query.shape[-1] ** 0.5 + mask
        mixed = (logits.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        return self.LayerNorm(self.dense(mixed) + states)


class _FeedForward(nn.Module):
    def __init__(self, d, width, activation, eps):
        super().__init__()
        self.dense_1, self.dense_2 = nn.Linear(d, width), nn.Linear(width, d)
        self.activation = _ACTIVATIONS[activation]
        self.LayerNorm = nn.LayerNorm(d, eps=eps)

    def forward(self, states):
        return self.LayerNorm(
            self.dense_2(self.activation(self.dense_1(states))) + states
        )


class _Layer(nn.Module):
    def __init__(self, d, width, n_heads, activation, eps):
        super().__init__()
        self.multi_head_attention = _Attention(d, n_heads, eps)
        self.feed_forward = _FeedForward(d, width, activation, eps)

    def forward(self, states, mask):
        return self.feed_forward(self.multi_head_attention(states, mask))


class SASRec(nn.Module):
    """Self-attention over a sequence; norms stand behind each part of a layer."""

    def __init__(self, shapes, setting):
        super().__init__()
        n_rows, d = _size(shapes, "item_embedding.weight")
        self.max_length = _size(shapes, "position_embedding.weight")[0]
        width, _ = _size(shapes, "trm_encoder.layer.0.feed_forward.dense_1.weight")
        n_layers = len({name.split(".")[2] for name in shapes if ".layer." in name})
        n_heads, eps = setting("n_heads", int), setting("layer_norm_eps", float)
        activation = setting("hidden_act", str)
        if n_heads < 1 or d % n_heads or activation not in _ACTIVATIONS:
            raise ValueError(
                "`checkpoint` must hold settings that RecBole's SASRec has; got "
                f"n_heads={n_heads} at width {d}, hidden_act={activation!r}. Use "
                "TorchRecommender with your module."
            )
        self.item_embedding = nn.Embedding(n_rows, d)
        self.position_embedding = nn.Embedding(self.max_length, d)
        self.trm_encoder = nn.Module()
        self.trm_encoder.layer = nn.ModuleList(
            _Layer(d, width, n_heads, activation, eps) for _ in range(n_layers)
        )
        self.LayerNorm = nn.LayerNorm(d, eps=eps)

    def encode(self, ids):
        """Return the state at the last item of every sequence, padded at the end."""
        positions = self.position_embedding.weight[: ids.shape[1]]
        states = self.LayerNorm(self.item_embedding(ids) + positions)
        # RecBole masks the padding too, all of which lies behind the last item.
        mask = torch.full((ids.shape[1],) * 2, _MASKED, device=ids.device).triu(1)
        for layer in self.trm_encoder.layer:
            states = layer(states, mask)
        return _at_last(states, ids != 0)


class GRU4Rec(nn.Module):
    """Recurrent layers over a sequence, and a linear map to the width of the items."""

    def __init__(self, shapes, setting):
        super().__init__()
        n_rows, d = _size(shapes, "item_embedding.weight")
        self.max_length = setting("MAX_ITEM_LIST_LENGTH", int)
        _, width = _size(shapes, "gru_layers.weight_hh_l0")
        n_layers = sum(name.startswith("gru_layers.weight_hh") for name in shapes)
        self.item_embedding = nn.Embedding(n_rows, d)
        self.gru_layers = nn.GRU(d, width, n_layers, bias=False, batch_first=True)
        self.dense = nn.Linear(width, d)

    def encode(self, ids):
        """Return the state at the last item of every sequence, padded at the end."""
        states, _ = self.gru_layers(self.item_embedding(ids))
        return _at_last(self.dense(states), ids != 0)


class MultiVAE(nn.Module):
    """Rows of interactions to the mean of their code, and codes to scores."""

    def __init__(self, shapes, setting):
        super().__init__()
        self.encoder = _mlp("encoder", shapes)
        self.decoder = _mlp("decoder", shapes)
        self.n_items = _size(shapes, "encoder.0.weight")[1] - 1

    def encode(self, rows):
        """Encode rows as RecBole reads them: every interaction counts 1."""
        rows = nn.functional.pad((rows > 0).to(rows.dtype), (1, 0))
        moments = self.encoder(nn.functional.normalize(rows))
        return moments[:, : moments.shape[1] // 2]

    def decode(self, U):
        """Score all items but the padding."""
        return self.decoder(U)[:, 1:]


def _mlp(name, shapes):
    depths = sorted(
        int(key.split(".")[1])
        for key in shapes
        if re.fullmatch(rf"{name}\.\d+\.weight", key)
    )
    layers = []
    for depth in depths:
        width, n_inputs = _size(shapes, f"{name}.{depth}.weight")
        layers += [nn.Linear(n_inputs, width), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def _size(shapes, name):
    """Return the size of a table of weights."""
    if len(shapes.get(name, ())) != 2:
        raise ValueError(
            f"`checkpoint` must hold the table {name}, which RecBole's model of that "
            "name has; got none. Use TorchRecommender with your module."
        )
    return shapes[name]


def _at_last(states, held):
    # RecBole has no empty sequence; here its state is that of the first position.
    last = (held.sum(dim=1) - 1).clamp(min=0)
    return states[torch.arange(len(states), device=states.device), last]


#: Modules by RecBole's name of the model.
_BUILDERS = {"GRU4Rec": GRU4Rec, "MultiVAE": MultiVAE, "SASRec": SASRec}


def build(name, weights, setting):
    """Make a module of trained weights.

    Parameters
    ----------
    name : {"GRU4Rec", "MultiVAE", "SASRec"}
        RecBole's name of the model.
    weights : dict of str to ndarray
        RecBole's ``state_dict``.
    setting : callable
        ``setting(name, type)`` returns a setting of the checkpoint.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, on the CPU, without gradients; it shares the arrays' memory.
    """
    shapes = {key: table.shape for key, table in weights.items()}
    # Weights made here would be drawn from the global generator, to be thrown away.
    with torch.device("meta"):
        module = _BUILDERS[name](shapes, setting)
    wanted = {key: tuple(part.shape) for key, part in module.state_dict().items()}
    strange = sorted(set(wanted.items()) ^ set(shapes.items()))
    if strange:
        raise ValueError(
            f"`checkpoint` must hold the tables of RecBole's {name}, no others; they "
            f"differ in {strange[0][0]}. Use TorchRecommender with your module."
        )
    tensors = {key: torch.from_numpy(table) for key, table in weights.items()}
    module.load_state_dict(tensors, assign=True)
    return module.requires_grad_(False).eval()
