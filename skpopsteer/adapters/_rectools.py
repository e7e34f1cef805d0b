"""Bridge to the transformers of RecTools: SASRec and BERT4Rec."""

from numbers import Integral

import joblib
import numpy as np

from skpopsteer._compat import HasMethods, Interval
from skpopsteer._spans import over_spans
from skpopsteer._validation import check_embeddings
from skpopsteer.adapters._base import EmbeddingAdapter
from skpopsteer.adapters._sequences import check_sequences, rows_to_sequences
from skpopsteer.adapters._torch import evaluating


class RecToolsRecommender(EmbeddingAdapter):
    """Bridge to a trained transformer of RecTools, such as SASRec or BERT4Rec.

    A user is the state of their sequence that RecTools multiplies with the item
    vectors: of the last item for SASRec, of the mask that is appended for BERT4Rec. The
    values of ``X`` are times. The model is only read: in evaluation mode, without
    gradients, on the device where it is.

    Items are at the positions of the model's own order, without its extra tokens, which
    is hardly the order of your columns: ``item_ids_`` tells which item is where.

    Parameters
    ----------
    model : SASRecModel, BERT4RecModel or another transformer of RecTools
        Fitted model. Its sequences are cut to its own ``session_max_len``.
    batch_size : int, default=256
        Rows encoded at once.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, d), dtype float32
        The item vectors RecTools ranks with: the sum of all item nets. Of length 1 if
        the model's similarity is the cosine.
    item_ids_ : ndarray of shape (n_items,)
        External id of the item at every position.

    See Also
    --------
    as_recommender : Freeze a trained host of any kind.
    rows_to_sequences : Turn rows of times into padded sequences.
    TorchRecommender : Bridge to sequential models of your own.

    Notes
    -----
    Lists and scores are those of ``model.recommend``. With the similarity "cosine" the
    state is given length 1 too. Equal times keep the order of the item positions, where
    RecTools keeps that of its data set. A row without items, for which RecTools has no
    list, is encoded as a sequence of padding.

    ``fit`` refuses: a model is trained by its own ``fit``, on a data set of RecTools.
    There is no table of users, so `user_ids` is refused. Models whose attention reads
    times (HSTU, unless ``relative_time_attention=False``) and similarities other than
    RecTools' own are refused. Tried with RecTools 0.19.0, which needs numpy < 2.

    References
    ----------
    .. [1] W.-C. Kang and J. McAuley, "Self-Attentive Sequential Recommendation", ICDM
       2018, arXiv:1808.09781.
    .. [2] F. Sun et al., "BERT4Rec: Sequential Recommendation with Bidirectional
       Encoder Representations from Transformer", CIKM 2019, arXiv:1904.06690.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd  # doctest: +SKIP
    >>> from rectools.dataset import Dataset  # doctest: +SKIP
    >>> from rectools.models import SASRecModel  # doctest: +SKIP
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> times = make_interactions(100, 50, random_state=0).X
    >>> times.data = np.random.default_rng(0).permutation(times.nnz) + 1.0
    >>> users, items = times.nonzero()
    >>> frame = pd.DataFrame({
    ...     "user_id": users, "item_id": items, "weight": 1,
    ...     "datetime": pd.to_datetime(times.data, unit="s"),
    ... })  # doctest: +SKIP
    >>> model = SASRecModel(n_factors=8, epochs=1, session_max_len=20)  # doctest: +SKIP
    >>> host = as_recommender(model.fit(Dataset.construct(frame)))  # doctest: +SKIP

    Columns in the order of the model, and what it recommends:

    >>> X = times[:, host.item_ids_]  # doctest: +SKIP
    >>> host.item_ids_[host.predict(X)].shape  # doctest: +SKIP
    (100, 10)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "model": [HasMethods(["recommend", "fit"])],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    #: No table of trained users: every row is encoded.
    user_embeddings_ = None
    #: Scores are products alone.
    item_bias_ = None

    def __init__(self, model, *, batch_size=256, n_recommendations=10):
        self.model = model
        self.batch_size = batch_size
        self.n_recommendations = n_recommendations

    @property
    def item_embeddings_(self):
        """Item embeddings of shape (n_items, d)."""
        module = self.model.torch_model
        return self._table("item_embeddings", module, self._items, _version(module))

    @property
    def item_ids_(self):
        """External ids of the items, of shape (n_items,)."""
        import pandas as pd

        # The library keeps them with its extra tokens, which are strings.
        ids = pd.Series(self.model.data_preparator.get_known_item_ids())
        return ids.infer_objects().to_numpy()

    def encode_sequences(self, sequences):
        """Return one embedding per sequence.

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
        sequences = check_sequences(sequences, self.n_items_, self._max_length)
        n_extra = self.model.data_preparator.n_item_extra_tokens
        ids = np.where(sequences < 0, 0, sequences + n_extra)
        U = check_embeddings("model", np.concatenate(over_spans(_encode, self, ids)))
        return _at_length_1(U) if self._is_cosine else U

    @property
    def _max_length(self):
        return self.model.data_preparator.session_max_len

    @property
    def _is_cosine(self):
        return self.model.torch_model.similarity_module.distance == "cosine"

    def _holds_trained_model(self):
        return bool(getattr(self.model, "is_fitted", False))

    def _check_model(self):
        super()._check_model()
        check_transformer(self.model)

    def _content_key(self):
        # Weights alone do not tell how many heads read them.
        module = self.model.torch_model
        hashed = self._table("content", module, self._hash, _version(module))
        return str(hashed)

    def _hash(self, module):
        weights = {
            name: part.float().cpu().numpy()
            for name, part in module.state_dict().items()
        }
        return joblib.hash([self.model.lightning_model.model_config, weights])

    def _items(self, module):
        import torch

        with evaluating(module), torch.no_grad():
            table = module.item_model.get_all_embeddings()
            table = module.similarity_module.item_tower_forward(table)
        table = table[self.model.data_preparator.n_item_extra_tokens :]
        V = check_embeddings("item_embeddings", table.float().cpu().numpy())
        return _at_length_1(V) if self._is_cosine else V

    def _fold_in(self, X):
        return self.encode_sequences(rows_to_sequences(X, self._max_length))


def _encode(adapter, ids):
    """Return the states that RecTools multiplies with the items, batch by batch."""
    import torch

    module, preparator = adapter.model.torch_model, adapter.model.data_preparator
    device = next(module.parameters()).device
    encoded = []
    with evaluating(module), torch.no_grad():
        items = module.item_model.get_all_embeddings()
        for start in range(0, max(1, len(ids)), adapter.batch_size):
            batch = _collate(preparator, ids[start : start + adapter.batch_size])
            batch = {name: part.to(device) for name, part in batch.items()}
            states = module.encode_sessions(batch, items)[:, -1, :]
            states = module.similarity_module.session_tower_forward(states)
            encoded.append(states.float().cpu().numpy())
    return np.concatenate(encoded)


def check_transformer(model):
    """Refuse models that no state and item vectors stand for, in one line.

    Parameters
    ----------
    model : object of RecTools
    """
    name = type(model).__name__
    # By name: where the library is not installed, no model is one of its.
    bases = {(base.__module__, base.__name__) for base in type(model).__mro__}
    if ("rectools.models.nn.transformers.base", "TransformerModelBase") not in bases:
        raise TypeError(
            "`model` must be a transformer of RecTools (SASRecModel, BERT4RecModel); "
            f"got {name}. Wrap the model inside, or its tables: "
            "as_recommender((user_embeddings, item_embeddings))."
        )
    if not model.is_fitted:
        raise ValueError(
            f"`model` must be fitted; got a {name} that is not. Call its "
            "fit(dataset) first: only RecTools trains it."
        )
    if model.data_preparator.add_unix_ts:
        raise ValueError(
            f"`model` must read the order of items alone; got a {name} that reads "
            "their times. Train it with relative_time_attention=False."
        )
    from rectools.models.nn.transformers.similarity import DistanceSimilarityModule

    similarity = model.torch_model.similarity_module
    if type(similarity) is not DistanceSimilarityModule:
        raise ValueError(
            "`model` must rank by RecTools' own DistanceSimilarityModule (dot or "
            f"cosine); got {type(similarity).__name__}. Use a TorchRecommender with a "
            "decoder."
        )


def _version(module):
    # An optimiser changes parameters in place: only their versions tell.
    return [(part.data_ptr(), part._version) for part in module.parameters()]


def _collate(preparator, ids):
    """Pad sequences as the library does where it recommends.

    An empty sequence is one padding, which the library itself never meets.
    """
    sequences = [row[row > 0].tolist() or [0] for row in ids]
    return preparator._collate_fn_recommend([(row, None, {}) for row in sequences])


def _at_length_1(table):
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-8)
