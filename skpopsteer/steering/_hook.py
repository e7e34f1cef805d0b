"""Steer inside a torch module's own forward pass."""

from contextlib import contextmanager

from skpopsteer.steering._encoded_users import EncodedUsers
from skpopsteer.steering._knobs import check_user_knob

__all__ = ["steered"]


@contextmanager
def steered(module, layer, model, *, strength=None):
    """Steer what a layer of a torch module puts out, for as long as the block lasts.

    Serving code that calls the module stays as it is, but for this one line around it.

    Parameters
    ----------
    module : torch.nn.Module
        The module that is served; its weights and buffers are left alone.
    layer : str
        Name of the submodule whose output is the user embedding, as in
        ``module.named_modules()``; ``""`` is the module itself.
    model : fitted SteeredRecommender
        Fitted on the embeddings of that layer, with ``side="user"``.
    strength : float or dict of str to float, default=None
        Used instead of the model's own, as in ``recommend``.

    Yields
    ------
    module : torch.nn.Module
        The module that was passed in.

    Raises
    ------
    ValueError
        For a layer the module does not have, a layer of another width, and models whose
        knob is not in the user embedding alone: `side`, `user_strength` or `keep_top`
        are set.

    See Also
    --------
    skpopsteer.adapters.LayerOutput : Read the same layer, to fit the model on it.

    Notes
    -----
    The output may have any number of axes, the last of which is the embedding: all
    positions of a sequence are steered alike. Of a tuple the first element is steered.
    What is added is a constant: gradients, where there are any, pass through. With
    nothing turned the output is left as it is, bit by bit. The change is computed by
    numpy on the CPU: a module on another device pays for two copies of the output.

    Whatever calls the module inside the block is steered, other threads too, and so
    would `model` be: its host runs the same module. Use one or the other.

    Examples
    --------
    >>> import torch
    >>> from skpopsteer import SteeredRecommender, TorchRecommender, as_recommender
    >>> from skpopsteer.adapters import LayerOutput
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.sae import SparseAutoencoderProbe
    >>> from skpopsteer.steering import steered
    >>> X = make_interactions(100, 50, random_state=0).X
    >>> module = torch.nn.Sequential(torch.nn.Linear(50, 8), torch.nn.Linear(8, 50))
    >>> host = TorchRecommender(
    ...     module,
    ...     encoder=LayerOutput("0"),
    ...     item_embeddings="1.weight",
    ...     item_bias="1.bias",
    ... )
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    >>> host = as_recommender(host)
    >>> model = SteeredRecommender(host, probe=probe, rule="shift", random_state=0)
    >>> rows = torch.from_numpy(X.toarray()).float()
    >>> with steered(module, "0", model.fit(X)), torch.no_grad():
    ...     scores = module(rows)
    >>> scores.shape
    torch.Size([100, 50])
    """
    push = check_user_knob(model, strength)
    handle = _find(module, layer).register_forward_hook(_make_hook(model, push))
    try:
        yield module
    finally:
        handle.remove()


def _find(module, layer):
    if not hasattr(module, "named_modules"):
        raise TypeError(
            f"`module` must be a torch module; got {type(module).__name__}. "
            "Pass the one that is served."
        )
    layers = dict(module.named_modules())
    if not isinstance(layer, str) or layer not in layers:
        names = ", ".join(repr(name) for name in list(layers)[:20])
        raise ValueError(
            f"`layer` must name a submodule; got {layer!r}. Some are {names}."
        )
    return layers[layer]


def _make_hook(model, push):
    import torch

    n_features = model._n_features_out

    def hook(_module, _inputs, output):
        first = output[0] if isinstance(output, tuple) else output
        if first.shape[-1] != n_features:
            raise ValueError(
                f"`layer` must put out embeddings of width {n_features}, which the "
                f"model was fitted on; got {first.shape[-1]}. Name the layer that the "
                "host's encoder reads."
            )
        rows = first.detach().float().cpu().numpy().reshape(-1, n_features)
        moved = model._steer_users(EncodedUsers(rows, None), push)
        if moved is rows:
            return None
        change = torch.from_numpy(moved - rows).view(first.shape)
        new = first + change.to(device=first.device, dtype=first.dtype)
        return (new, *output[1:]) if isinstance(output, tuple) else new

    return hook
