"""Bridge to torch modules: how users are encoded, and where the items are."""

import copy
import threading
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from operator import attrgetter
from uuid import uuid4

import numpy as np
from scipy.sparse import csr_array, issparse

from skpopsteer._compat import HasMethods, Interval, StrOptions, available_if
from skpopsteer._spans import over_spans
from skpopsteer._validation import check_embeddings
from skpopsteer.adapters._base import EmbeddingAdapter
from skpopsteer.adapters._sequences import check_sequences, rows_to_sequences

_one_at_a_time = threading.RLock()


class TorchRecommender(EmbeddingAdapter):
    """Bridge to a trained torch module.

    The module is used as it is: in evaluation mode, without gradients, on the device
    where it is; the mode of every submodule is restored afterwards. It is trained
    already, so ``fit`` refuses: hand it over as
    ``as_recommender(TorchRecommender(...))``.

    Parameters
    ----------
    module : torch.nn.Module
        Trained module.
    encoder : str or callable
        How users are encoded: the name of a method of the module, or a callable
        ``encoder(module, batch)``. It gets a float32 tensor of rows (n, n_items), or
        with ``inputs="sequences"`` an int64 tensor (n, max_length) of the module's own
        item ids, and returns embeddings (n, d).
    item_embeddings : str, callable or None, default=None
        Where the item embeddings are: a dotted attribute of the module such as
        ``"item_embedding.weight"``, or a callable ``item_embeddings(module)``. Needed
        unless `decoder` is given.
    item_bias : str, callable or None, default=None
        Likewise for a bias of the items.
    decoder : str, callable or None, default=None
        Non-linear decoder: a method name, or ``decoder(module, U)`` with a float32
        tensor (n, d), returning scores (n, n_items). None is the product with the item
        embeddings.
    n_items : int, default=None
        Size of the catalogue, needed only where `item_embeddings` is None.
    inputs : {"rows", "sequences"}, default="rows"
        What `encoder` reads. Order-aware modules read sequences; the values of ``X``
        are then times.
    max_length : int, default=50
        Longest sequence; older items are cut off.
    padding : {"first", "last"}, default="first"
        The module's id of "no item": 0, so that item i has id i + 1 and row 0 of the
        item table is left out; or n_items. Only for sequences.
    padding_side : {"right", "left"}, default="right"
        Where short sequences are padded. Only for sequences.
    batch_size : int, default=1024
        Rows encoded at once; 1,024 at the most.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, d), dtype float32
        Item embeddings without padding.
    item_bias_ : ndarray of shape (n_items,), dtype float32, or None
        Item bias without padding.

    See Also
    --------
    rows_to_sequences : Turn rows of times into padded sequences.

    Examples
    --------
    >>> import torch
    >>> from skpopsteer.adapters import TorchRecommender
    >>> from skpopsteer.datasets import make_interactions
    >>> X = make_interactions(100, 50, random_state=0).X
    >>> module = torch.nn.Sequential(torch.nn.Linear(50, 8), torch.nn.Linear(8, 50))
    >>> host = TorchRecommender(
    ...     module,
    ...     encoder=lambda module, rows: module[0](rows),
    ...     item_embeddings="1.weight",
    ...     item_bias="1.bias",
    ... )
    >>> host.predict(X).shape
    (100, 10)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "module": [HasMethods(["modules", "parameters"])],
        "encoder": [str, callable],
        "item_embeddings": [str, callable, None],
        "item_bias": [str, callable, None],
        "decoder": [str, callable, None],
        "n_items": [Interval(Integral, 2, None, closed="left"), None],
        "inputs": [StrOptions({"rows", "sequences"})],
        "max_length": [Interval(Integral, 1, None, closed="left")],
        "padding": [StrOptions({"first", "last"})],
        "padding_side": [StrOptions({"right", "left"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    #: No table of trained users: every row is encoded.
    user_embeddings_ = None

    def __init__(
        self,
        module,
        *,
        encoder,
        item_embeddings=None,
        item_bias=None,
        decoder=None,
        n_items=None,
        inputs="rows",
        max_length=50,
        padding="first",
        padding_side="right",
        batch_size=1024,
        n_recommendations=10,
    ):
        self.module = module
        self.encoder = encoder
        self.item_embeddings = item_embeddings
        self.item_bias = item_bias
        self.decoder = decoder
        self.n_items = n_items
        self.inputs = inputs
        self.max_length = max_length
        self.padding = padding
        self.padding_side = padding_side
        self.batch_size = batch_size
        self.n_recommendations = n_recommendations

    @property
    def has_nonlinear_decode(self):
        """Whether scores are anything but a product with `item_embeddings_`."""
        return self.decoder is not None

    @property
    def item_embeddings_(self):
        """Item embeddings of shape (n_items, d)."""
        if self.item_embeddings is None:
            raise AttributeError(
                "`item_embeddings` must be given for this; got None. Name the "
                "attribute of the module that holds the table."
            )
        source = self._find("item_embeddings")
        # An optimiser changes a parameter in place: only its version tells.
        version = source._version
        return self._table("item_embeddings", source, self._check_items, version)

    @property
    def item_bias_(self):
        """Item bias of shape (n_items,), or None."""
        if self.item_bias is None:
            return None
        source = self._find("item_bias")
        return self._table("item_bias", source, self._without_padding, source._version)

    def decode(self, U):
        """Score every item for every embedding.

        Parameters
        ----------
        U : array-like of shape (n_rows, d)
            User embeddings.

        Returns
        -------
        ndarray of shape (n_rows, n_items), dtype float32
        """
        if self.decoder is None:
            return super().decode(U)
        return self._run(self.decoder, np.asarray(U, dtype=np.float32))

    def _encode_sequences_allowed(self):
        return self.inputs == "sequences"

    @available_if(_encode_sequences_allowed)
    def encode_sequences(self, sequences):
        """Return one embedding per sequence; only with ``inputs="sequences"``.

        Parameters
        ----------
        sequences : array-like of shape (n_users, length)
            Item positions, oldest first, padded with -1; repeats are kept, which a
            matrix of interactions cannot hold.

        Returns
        -------
        ndarray of shape (n_users, d), dtype float32
        """
        self._check_model()
        n_items = self.n_items_
        sequences = check_sequences(sequences, n_items, self.max_length)
        held = sequences >= 0
        if self.padding == "first":
            ids = sequences + 1
        else:
            ids = np.where(held, sequences, n_items)
        if self.padding_side == "left":
            order = np.argsort(held, axis=1, kind="stable")
            ids = np.take_along_axis(ids, order, axis=1)
        parts = over_spans(_encode_span, self, ids)
        return self._check_encoded(np.concatenate(parts))

    @property
    def _n_features_out(self):
        if self.item_embeddings is not None:
            return self.item_embeddings_.shape[1]
        return self._fold_in(csr_array((1, self.n_items_), dtype=np.float32)).shape[1]

    @property
    def n_items_(self):
        """Number of items of the host."""
        if self.item_embeddings is not None:
            return self.item_embeddings_.shape[0]
        if self.n_items is None:
            raise ValueError(
                "`n_items` must be given where `item_embeddings` is None; got None. "
                "It is the number of scores the decoder returns."
            )
        return self.n_items

    def __getstate__(self):
        state = super().__getstate__()
        tensors = (*self.module.parameters(), *self.module.buffers())
        if any(tensor.device.type != "cpu" for tensor in tensors):
            # Whoever loads this may have no GPU; the caller's module stays where it is.
            state["module"] = copy.deepcopy(self.module).cpu()
        return state

    def _content_key(self):
        # Nothing tells the content of any module, so this names the object, for as long
        # as nobody trains it or sets a parameter; it is not pickled.
        tensors = (*self.module.parameters(), *self.module.buffers())
        version = (
            self.encoder, self.inputs, self.max_length, self.padding, self.padding_side,
            *(tensor._version for tensor in tensors),
        )  # fmt: skip
        return str(self._table("name", self.module, lambda _: uuid4().hex, version))

    def _check_model(self):
        super()._check_model()
        _ = self.n_items_, self.item_bias_

    def _holds_trained_model(self):
        return True

    def _fold_in(self, X):
        if self.inputs == "sequences":
            return self.encode_sequences(rows_to_sequences(X, self.max_length))
        return self._check_encoded(self._run(self.encoder, X))

    def _check_encoded(self, U):
        # The inner product needs equal widths; a decoder knows its own.
        linear = self.decoder is None
        width = self.item_embeddings_.shape[1] if linear else None
        return check_embeddings("encoder", U, n_columns=width)

    def _find(self, name):
        where = getattr(self, name)
        if callable(where):
            found = where(self.module)
        else:
            try:
                found = attrgetter(where)(self.module)
            except AttributeError:
                raise ValueError(
                    f"`{name}` must name an attribute of the module; got {where!r}. "
                    "module.named_parameters() lists them."
                ) from None
        if not hasattr(found, "detach"):
            raise TypeError(
                f"`{name}` must name a tensor of the module; got {where!r}, a "
                f"{type(found).__name__}. module.named_parameters() lists them."
            )
        return found

    def _check_items(self, table):
        return check_embeddings("item_embeddings", self._without_padding(table))

    def _without_padding(self, table):
        # numpy has no bfloat16.
        table = table.detach().float().cpu().numpy()
        if self.inputs == "rows":
            return table
        return table[1:] if self.padding == "first" else table[:-1]

    def _run(self, function, rows):
        """Call a method of the module, or a function on it, batch by batch."""
        import torch

        if callable(function):
            call = partial(function, self.module)
        elif hasattr(self.module, function):
            call = getattr(self.module, function)
        else:
            raise ValueError(
                "`encoder` and `decoder` must name methods of the module; got "
                f"{function!r}. Pass a callable of (module, batch) instead."
            )
        parameter = next(iter(self.module.parameters()), torch.empty(0))
        results = []
        with evaluating(self.module), torch.no_grad():
            for start in range(0, max(1, rows.shape[0]), self.batch_size):
                batch = rows[start : start + self.batch_size]
                if issparse(batch):
                    batch = batch.toarray().astype(np.float32, copy=False)
                # torch warns of memory it could not write to, though nobody will.
                batch = torch.as_tensor(np.require(batch, requirements="W"))
                batch = batch.to(parameter.device)
                if batch.is_floating_point() and parameter.is_floating_point():
                    batch = batch.to(parameter.dtype)
                result = _called(call, batch)
                results.append(result.float().cpu().numpy())
        # Concatenating copies, so the module's own memory is never handed out.
        return np.concatenate(results)


def _called(call, batch):
    try:
        return call(batch)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        if "shape" not in reason:
            raise
        raise ValueError(
            f"`encoder` and `decoder` must take batches of shape {tuple(batch.shape)}; "
            f"got ones of which torch says: {reason}. Look at `inputs` too."
        ) from error


def _encode_span(adapter, ids):
    return adapter._run(adapter.encoder, ids)


@contextmanager
def evaluating(module):
    """Put a module in evaluation mode, and every submodule back where it was."""
    # Threads would put back the modes that they have found each other's module in.
    with _one_at_a_time:
        modes = [(part, part.training) for part in module.modules()]
        module.eval()
        try:
            yield
        finally:
            for part, training in modes:
                part.training = training
