"""Record the gradients of embeddings while a loop of torch trains them."""

import numpy as np

from skpopsteer._validation import as_array

__all__ = ["GradientRecorder", "check_given", "read_gradients"]


class GradientRecorder:
    """Sum the gradients of looked-up embeddings over the training of a torch model.

    Hand it what a step looks up, before the backward pass; what autograd then computes
    for those tensors is added up. It changes no gradient, keeps no graph, and holds two
    vectors, whatever the size of the model.

    Attributes
    ----------
    positives_ : ndarray of shape (d,) or (d + 1,), dtype float64, or None
        Sum of the gradients of items in their role as positives; with their bias, its
        sum comes last. None before anything was recorded.
    users_ : ndarray of shape (d,), dtype float64, or None
        Sum of the gradients of users.

    See Also
    --------
    GradientPopularityAdjuster : ``fit(X, gradients=recorder)`` reads it.

    Notes
    -----
    Watch the items in their role as positives only: a pairwise loss gives every
    positive and its negative the same gradient with opposite signs, so that the sum
    over both is 0. What is looked up without gradients, as in an evaluation, is let
    pass. A factor that is the same at all steps, such as the size of a batch that a
    loss is averaged over, changes no direction. The cost is one sum per step, and one
    copy of its result from the device.

    Examples
    --------
    >>> import torch
    >>> from skpopsteer.steering import GradientRecorder
    >>> users, items = torch.nn.Embedding(20, 4), torch.nn.Embedding(30, 4)
    >>> recorder = GradientRecorder()
    >>> u, i, j = torch.tensor([[0, 1], [2, 3], [4, 5]])
    >>> user, positive, negative = users(u), items(i), items(j)
    >>> recorder.watch(positives=positive, users=user)
    >>> margin = (user * (positive - negative)).sum(1)
    >>> (-torch.nn.functional.logsigmoid(margin).sum()).backward()
    >>> recorder.positives_.shape
    (4,)
    """

    def __init__(self):
        self._sums, self._lengths = {}, {}

    def watch(self, *, positives=None, users=None, bias=None):
        """Add what the next backward pass gives these tensors.

        Parameters
        ----------
        positives : tensor of shape (..., d), default=None
            Item embeddings looked up as positives.
        users : tensor of shape (..., d), default=None
            User embeddings, as they are after whatever normalises them.
        bias : tensor, default=None
            Biases of the same items, of any shape.

        Raises
        ------
        TypeError
            For what is no tensor.
        ValueError
            For another width than before.
        """
        for name, tensor in [
            ("positives", positives), ("users", users), ("bias", bias),
        ]:  # fmt: skip
            if tensor is None:
                continue
            if not hasattr(tensor, "register_hook"):
                raise TypeError(
                    f"`{name}` must be a tensor of torch that was looked up; got "
                    f"{type(tensor).__name__}. Watch it before the backward pass."
                )
            if not tensor.ndim:
                raise ValueError(
                    f"`{name}` must have rows of what was looked up; got a single "
                    "number. Watch it before it is summed."
                )
            width = 1 if name == "bias" else tensor.shape[-1]
            known = len(self._sums.get(name, np.empty(width)))
            if width != known:
                raise ValueError(
                    f"`{name}` must be as wide as before ({known}); got {width}. "
                    "Use one recorder per model."
                )
            if tensor.requires_grad:
                tensor.register_hook(self._adder(name, width))

    @property
    def positives_(self):
        """Sum of the gradients of positives, and of their bias."""
        parts = [self._sums.get(name) for name in ("positives", "bias")]
        if parts[0] is None:
            return None
        return np.concatenate([part for part in parts if part is not None])

    @property
    def users_(self):
        """Sum of the gradients of users."""
        total = self._sums.get("users")
        return None if total is None else total.copy()

    def _adder(self, name, width):
        def add(gradient):
            rows = gradient.detach().float().reshape(-1, width)
            length = float(rows.norm(dim=1).sum())
            total = rows.sum(0).cpu().numpy().astype(np.float64)
            self._sums[name] = self._sums.get(name, 0.0) + total
            self._lengths[name] = self._lengths.get(name, 0.0) + length

        return add


def check_given(direction, gradients):
    """Refuse gradients that nobody would read, and none where some are asked for."""
    if direction == "recorded" and gradients is None:
        raise ValueError(
            "`gradients` must be given with direction='recorded'; got None. Pass a "
            "GradientRecorder, or set direction='positive_gradient'."
        )
    if direction != "recorded" and gradients is not None:
        raise ValueError(
            "`gradients` must be None unless direction='recorded'; got them with "
            f"direction={direction!r}. Set direction='recorded'."
        )


def read_gradients(gradients, n_items, d, has_bias):
    """Read what ``fit(X, gradients=...)`` was given.

    Parameters
    ----------
    gradients : GradientRecorder, array-like or tuple of two array-like
        A recorder; gradients of positives; or those and the gradients of users. Arrays
        are sums (width,), one row (1, width), or a row each.
    n_items, d : int
        Of the host.
    has_bias : bool
        Whether the host has an item bias, whose gradient comes last.

    Returns
    -------
    positives : tuple of (ndarray of shape (width,), float)
        Minus the sum, and the most it could be long.
    users : tuple of (ndarray of shape (width,), float) or None
    """
    lengths = {}
    if isinstance(gradients, GradientRecorder):
        items, users = gradients.positives_, gradients.users_
        lengths = gradients._lengths
        if items is None:
            raise ValueError(
                "`gradients` must have recorded positives; got a recorder without any. "
                "Call watch(positives=...) before every backward pass."
            )
    elif isinstance(gradients, tuple):
        if len(gradients) != 2:
            raise ValueError(
                "`gradients` must be those of items, or a tuple of those of items and "
                f"of users; got a tuple of {len(gradients)}. Pass (items, users)."
            )
        items, users = gradients
    else:
        items, users = gradients, None
    width = d + has_bias
    total, length = _sum_rows("items", items, (width,), (1, n_items))
    # Items move against their gradients.
    positives = -total, lengths.get("positives", length)
    if users is None:
        return positives, None
    total, length = _sum_rows("users", users, (width, d), None)
    # The 1 that meets the bias is no parameter of a user, and has no gradient.
    return positives, (np.pad(-total, (0, width - len(total))), length)


def _sum_rows(what, table, widths, n_rows):
    """Check gradients; return their sum, and the sum of their lengths."""
    table = as_array("gradients", table)
    if table.dtype.kind not in "iuf":
        raise TypeError(
            f"`gradients` of {what} must hold numbers; got dtype {table.dtype}. Pass "
            "tensors as tensor.detach().cpu().numpy()."
        )
    rows = np.atleast_2d(table)
    wrong_rows = n_rows is not None and len(rows) not in n_rows
    if rows.ndim != 2 or rows.shape[1] not in widths or wrong_rows:
        expected = " or ".join(f"({width},)" for width in widths)
        more = "a row each" if n_rows is None else f"{n_rows[1]} rows of that"
        raise ValueError(
            f"`gradients` of {what} must have shape {expected}, or {more}; got "
            f"{table.shape}. An item bias comes as the last column."
        )
    rows = rows.astype(np.float64)
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(rows, axis=1).sum())
    if not np.isfinite(length):
        raise ValueError(
            f"`gradients` of {what} must be finite; got NaN or infinity. Check the "
            "training: a step may have overflowed."
        )
    return rows.sum(axis=0), length
