"""What trained models of Cornac hold: tables, modules, scores and ids."""

import copy

import numpy as np

#: Attributes with the users, the items and the item bias of models of two tables.
_TABLES = [
    ("u_factors", "i_factors", "i_biases"),
    ("U", "V", None),
    ("Theta", "Beta", None),
]
#: The attribute with the torch module of an autoencoder, and its encoder's mean.
AUTOENCODERS = {
    "BiVAECF": ("bivae", lambda module, rows: module.encode_user(_ones(rows))[0]),
    "RecVAE": ("recvae_model", lambda module, rows: module.encoder(rows, 0)[0]),
    "VAECF": ("vae", lambda module, rows: module.encode(_ones(rows))[0]),
}


def find_module(model):
    """Return the torch module of an autoencoder, or None."""
    attribute, _ = AUTOENCODERS.get(type(model).__name__, ("", None))
    return getattr(model, attribute, None)


def find_tables(model):
    """Return the users, the items and the item bias of a trained model, or None."""
    kind = type(model).__name__
    if not hasattr(model, "is_fitted"):
        raise ValueError(
            "`model` must come from Cornac 2.0 or later; got an older "
            f"{kind}, which does not tell whether it is trained. Update Cornac."
        )
    module = find_module(model)
    if not model.is_fitted or (kind in AUTOENCODERS and module is None):
        raise ValueError(
            f"`model` must be trained; got an untrained {kind}. Train it first: "
            "model.fit(train_set)."
        )
    if kind == "BiVAECF":
        return module.mu_theta, module.mu_beta, None
    if kind == "RecVAE":
        return None, module.decoder.weight, module.decoder.bias
    if kind == "VAECF":
        first, *others = module.decoder
        return (None, None, None) if others else (None, first.weight, first.bias)
    for names in _TABLES:
        users, items, bias = (getattr(model, name or "", None) for name in names)
        if all(np.ndim(table) == 2 for table in (users, items)):
            return users, items, bias
    raise TypeError(
        "`model` must be a model of Cornac with embeddings, such as MF, BPR or VAECF; "
        f"got {kind}. Without embeddings there is nothing to steer."
    )


def own_scores(model, user):
    """Return the library's own score of every item, up to its global mean."""
    # Scored by a shell: Cornac's compiled product asks for writable memory, which a
    # memory-mapped model does not have, and NMF for a mean of 32 bits, which it lacks.
    model = copy.copy(model)
    for name, value in vars(model).items():
        if isinstance(value, np.ndarray):
            vars(model)[name] = np.require(value, requirements="W")
    model.global_mean = np.float32(0)
    try:
        return np.ravel(model.score(user)).astype(np.float64)
    except Exception as error:
        raise ValueError(
            "`model` must be able to score with the versions installed; got "
            f"{type(model).__name__}, whose score says: {error}. Wrap its tables: "
            "as_recommender((users, items, bias))."
        ) from error


def ids_by_position(positions, n):
    """Turn a map of ids to positions around, for the first n positions."""
    ids = np.empty(n, dtype=object)
    for own, position in positions.items():
        if position < n:
            ids[position] = own
    # Of one type they become an ordinary array; tuples and mixtures stay objects.
    same = len({type(own) for own in ids}) == 1
    return np.array(ids.tolist()) if same and np.ndim(ids[0]) == 0 else ids


def _ones(rows):
    return rows.ne(0).to(rows.dtype)


def decode_layers(module, U):
    """Decode without the softmax or sigmoid behind the last layer."""
    return module.decoder(U)


def to_numpy(table):
    """Return an array or a tensor as an array; a vector as one column."""
    if hasattr(table, "detach"):
        # numpy has no bfloat16.
        table = table.detach().float().cpu().numpy()
    table = np.asarray(table)
    return table.reshape(-1, 1) if table.ndim == 1 else table


def copied_to_cpu(model):
    """Copy the module of an autoencoder to the CPU, in a shell of the model."""
    import torch

    attribute, _ = AUTOENCODERS[type(model).__name__]
    module = copy.deepcopy(getattr(model, attribute)).to(torch.device("cpu"))
    model = copy.copy(model)
    vars(model).update({attribute: module, "device": torch.device("cpu")})
    return model
