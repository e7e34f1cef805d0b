"""What a checkpoint of RecBole holds: tables of embeddings, or a module."""

import numpy as np
from scipy.sparse import block_array, diags_array

from skpopsteer._validation import as_interactions
from skpopsteer.adapters._array import ArrayRecommender
from skpopsteer.adapters._safe_weights import Made, read_checkpoint
from skpopsteer.adapters._torch import TorchRecommender

__all__ = ["read_host"]

#: Models that score by products of two tables, which are worked out of those they
#: train; RecBole puts them in the checkpoint after a validation on all items.
_GRAPH = ("DGCF", "LightGCN", "NGCF", "SGL", "SpectralCF")
_SEQUENTIAL = ("GRU4Rec", "SASRec")
_KNOWN = ("BPR", *_GRAPH, "MultiVAE", *_SEQUENTIAL)


def read_host(path, interactions=None):
    """Make an adapter of what a checkpoint holds.

    Parameters
    ----------
    path : str or path-like
        File that RecBole saved.
    interactions : CSR array or matrix of shape (n_users, n_items), default=None
        What a LightGCN was trained on.

    Returns
    -------
    ArrayRecommender or TorchRecommender
        Without the padding, RecBole's id 0.
    """
    saved = read_checkpoint(path)
    config, weights = saved.get("config"), saved.get("state_dict")
    if isinstance(config, Made) and isinstance(config.state, dict):
        config = config.state.get("final_config_dict")
    if not isinstance(config, dict) or not isinstance(weights, dict):
        raise ValueError(
            "`checkpoint` must be one that RecBole saved, with `config` and "
            f"`state_dict`; got a dict of {sorted(map(str, saved))}. Wrap other "
            "tables: as_recommender((user_embeddings, item_embeddings))."
        )
    weights = {
        name: table for name, table in weights.items() if isinstance(table, np.ndarray)
    }

    def setting(name, kind):
        value = config.get(name)
        if not isinstance(value, (int, float) if kind is float else kind):
            raise ValueError(
                f"`checkpoint` must hold RecBole's setting {name}, of type "
                f"{kind.__name__}; got {value!r}. Save it with RecBole's own config."
            )
        return value

    name = setting("model", str)
    _refuse_unknown(name, weights)
    if interactions is not None and name != "LightGCN":
        raise ValueError(
            f"`interactions` must be None but for LightGCN; got some for {name}. Leave "
            "them out."
        )
    if name == "BPR":
        return _products(name, weights)
    if name in _GRAPH:
        return _graph_host(name, weights, saved, interactions, setting)
    from skpopsteer.adapters._recbole_modules import build

    module = build(name, weights, setting)
    if name in _SEQUENTIAL:
        reads = {
            "item_embeddings": "item_embedding.weight",
            "inputs": "sequences",
            "max_length": module.max_length,
        }
    else:
        reads = {"decoder": "decode", "n_items": module.n_items}
    return TorchRecommender(module, encoder="encode", **reads)


def _refuse_unknown(name, weights):
    if name in _KNOWN:
        return
    if name == "NeuMF":
        raise ValueError(
            "`checkpoint` must be of a model that scores by embeddings; got NeuMF, "
            "whose scores come from a network of a user and an item together. Train "
            "another model, such as BPR."
        )
    tables = ", ".join(
        f"{key} {table.shape}" for key, table in weights.items() if table.ndim == 2
    )
    raise ValueError(
        f"`checkpoint` must be of a model that is known here ({', '.join(_KNOWN)}); "
        f"got {name!r} with the tables {tables or 'none'}. If its scores are products "
        "of two tables, use ArrayRecommender(user_embeddings, item_embeddings)."
    )


def _products(name, tables, names=("user_embedding.weight", "item_embedding.weight")):
    """Wrap two tables whose first rows are padding."""
    found = [tables.get(key) for key in names]
    if any(not isinstance(table, np.ndarray) or table.ndim != 2 for table in found):
        raise ValueError(
            f"`checkpoint` must hold the tables of RecBole's {name}, {names[0]} and "
            f"{names[1]}; got {sorted(map(str, tables))}. Save it with RecBole."
        )
    # Copies, so that the rest of the file's arrays may go.
    return ArrayRecommender(*(table[1:].copy() for table in found))


def _graph_host(name, weights, saved, interactions, setting):
    """Wrap the final tables of a model that averages over neighbours."""
    final = saved.get("other_parameter")
    names = "restore_user_e", "restore_item_e"
    has_final = isinstance(final, dict) and all(
        isinstance(final.get(key), np.ndarray) for key in names
    )
    stored = _products(name, final, names) if has_final else None
    if interactions is None:
        if stored is not None:
            return stored
        remedy = (
            "Pass what it was trained on: RecBoleRecommender(path, interactions=X)."
            if name == "LightGCN"
            else "Save it after a validation on all items."
        )
        raise ValueError(
            f"`checkpoint` must hold the final embeddings of {name}; got only those of "
            f"layer 0, which it does not score with. {remedy}"
        )
    first = _products(name, weights)
    X = as_interactions("interactions", interactions)
    U, V = propagate(
        X, first.user_embeddings, first.item_embeddings, setting("n_layers", int)
    )
    if stored is not None and not (
        _agree(U, stored.user_embeddings) and _agree(V, stored.item_embeddings)
    ):
        raise ValueError(
            "`interactions` must be those LightGCN was trained on, at RecBole's ids "
            "less 1; got others, as the final embeddings in the checkpoint tell. Leave "
            "them out: the checkpoint has what is needed."
        )
    return ArrayRecommender(U, V)


def propagate(X, U, V, n_layers):
    """Average the embeddings of LightGCN over its layers.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Training interactions; their values do not matter.
    U, V : ndarray of shape (n_users, d) and (n_items, d)
        Trained embeddings, of layer 0.
    n_layers : int
        Number of steps to the neighbours.

    Returns
    -------
    U, V : ndarray
        Final embeddings. O(n_layers nnz d).
    """
    if X.shape != (len(U), len(V)):
        raise ValueError(
            f"`interactions` must have the users and items of the checkpoint, "
            f"{(len(U), len(V))}; got {X.shape}. Leave RecBole's row and column 0 out."
        )
    X = (X > 0).astype(np.float32)
    edges = block_array([[None, X], [X.T, None]], format="csr")
    # RecBole's way to let nodes without neighbours pass.
    scale = diags_array((edges.sum(axis=1) + 1e-7) ** -0.5)
    step = (scale @ edges @ scale).astype(np.float32)
    layer = total = np.concatenate([U, V])
    for _ in range(n_layers):
        layer = step @ layer
        total = total + layer
    mean = (total / (n_layers + 1)).astype(np.float32)
    return mean[: len(U)], mean[len(U) :]


def _agree(computed, stored):
    """Tell whether tables are equal but for rounding."""
    return computed.shape == stored.shape and (
        np.abs(computed - stored).max() <= 1e-3 * np.abs(stored).max()
    )
