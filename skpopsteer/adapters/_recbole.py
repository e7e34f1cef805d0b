"""Bridge to the library RecBole: its checkpoints, read without RecBole."""

import os
from numbers import Integral, Real

import joblib

from skpopsteer._compat import Interval, available_if
from skpopsteer.adapters._array import ArrayRecommender
from skpopsteer.adapters._base import EmbeddingAdapter
from skpopsteer.adapters._recbole_checkpoint import read_host


class RecBoleRecommender(EmbeddingAdapter):
    """Bridge to a checkpoint of the library RecBole, which need not be installed.

    The weights and the settings are read without running anything the file says: a
    checkpoint is a pickle, which may ask for any code to be run. Nothing is imported or
    called by a name in the file; what is not a number, a text, a list, a dict or a
    tensor is left aside.

    Parameters
    ----------
    checkpoint : str or path-like
        File that RecBole saved, such as ``"saved/BPR-Nov-21-2026_13-37-49.pth"``.
    interactions : CSR array or matrix of shape (n_users, n_items), default=None
        The training interactions of a LightGCN, to work its final embeddings out. Only
        needed where the checkpoint does not hold them; see Notes.
    regularization : float, default=1.0
        Ridge penalty for folding rows into models that are two tables, in units of the
        mean squared column norm of the item embeddings.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, d), dtype float32
        Item embeddings without padding; not for MultiVAE.
    user_embeddings_ : ndarray of shape (n_users, d), dtype float32, or None
        User embeddings without padding; None for SASRec, GRU4Rec and MultiVAE, which
        encode rows.

    See Also
    --------
    as_recommender : Freeze a trained host of any kind.
    ArrayRecommender : Bridge to the tables of any other model.
    TorchRecommender : Bridge to a module of your own.

    Notes
    -----
    **Positions.** RecBole's internal id 0 is padding, for users and items alike: it is
    left out, and position p is the internal id p + 1. The checkpoint does not hold your
    own ids; ``dataset.field2id_token[dataset.iid_field][1:]`` in RecBole lists those of
    the items in the order of the positions, ``dataset.uid_field`` those of the users.

    **Models.** BPR; LightGCN, NGCF, DGCF, SGL and SpectralCF; SASRec and GRU4Rec;
    MultiVAE. Others are refused. Scores are those of RecBole's ``full_sort_predict``.

    The tables that graph models train are not those they score with. RecBole keeps
    the latter in the checkpoint if it validated on all items (its default) just before
    it saved. If it did not, pass the training interactions of a LightGCN:
    ``train_data.dataset.inter_matrix("csr")[1:, 1:]``. If they are passed and the file
    holds the final tables too, both must agree.

    SASRec and GRU4Rec read the values of ``X`` as times; RecBole compares times in
    float32 and keeps the order of its file where they are equal, so close times may be
    ordered otherwise here. MultiVAE reads every interaction as 1, whatever its value.
    The user tables of the others have no rows for new users: rows are folded in by
    ridge regression, which is another recommender than the trained one; pass `user_ids`
    to judge the model you trained.

    The file is read once, when it is first needed. A pickle holds what was read. Tried
    with RecBole 1.2.1; only zip archives, the format of torch since 1.6, are read.

    References
    ----------
    .. [1] W. X. Zhao et al., "RecBole: Towards a Unified, Comprehensive and Efficient
       Framework for Recommendation Algorithms", CIKM 2021, arXiv:2011.01731.
    .. [2] X. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network
       for Recommendation", SIGIR 2020, arXiv:2002.02126.
    .. [3] W.-C. Kang and J. McAuley, "Self-Attentive Sequential Recommendation",
       ICDM 2018, arXiv:1808.09781.

    Examples
    --------
    Any file with the same entries will do, such as this one:

    >>> import numpy as np, tempfile, torch
    >>> from skpopsteer.adapters import RecBoleRecommender
    >>> users, items = torch.eye(4, 2), torch.tensor([[9.0, 9], [1, 0], [0, 1]])
    >>> saved = {
    ...     "config": {"model": "BPR"},
    ...     "state_dict": {
    ...         "user_embedding.weight": users, "item_embedding.weight": items
    ...     },
    ... }
    >>> with tempfile.NamedTemporaryFile(suffix=".pth") as file:
    ...     torch.save(saved, file.name)
    ...     host = RecBoleRecommender(file.name, n_recommendations=2)
    ...     host.recommend(np.zeros((2, 2)), user_ids=[0, 1])
    array([[1, 0], [0, 1]])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "checkpoint": [str, os.PathLike],
        "interactions": ["array-like", "sparse matrix", None],
        "regularization": [Interval(Real, 0, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    #: Scores are products alone, or a decoder's.
    item_bias_ = None

    def __init__(
        self, checkpoint, *, interactions=None, regularization=1.0, n_recommendations=10
    ):
        self.checkpoint = checkpoint
        self.interactions = interactions
        self.regularization = regularization
        self.n_recommendations = n_recommendations

    @property
    def has_nonlinear_decode(self):
        """Whether scores are anything but a product with `item_embeddings_`."""
        return self._host.has_nonlinear_decode

    @property
    def item_embeddings_(self):
        """Item embeddings of shape (n_items, d)."""
        return self._host.item_embeddings_

    @property
    def user_embeddings_(self):
        """User embeddings of shape (n_users, d), or None."""
        return self._host.user_embeddings_

    @property
    def n_items_(self):
        """Number of items of the host."""
        return self._host.n_items_

    @property
    def _n_features_out(self):
        return self._host._n_features_out

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
        return self._host.decode(U)

    def _reads_sequences(self):
        return hasattr(self._host, "encode_sequences")

    @available_if(_reads_sequences)
    def encode_sequences(self, sequences):
        """Return one embedding per sequence; only for SASRec and GRU4Rec.

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
        return self._host.encode_sequences(sequences)

    @property
    def _host(self):
        """What the checkpoint holds, as an adapter of tables or of a module."""
        path, interactions, host = self.__dict__.get("_held", (None, None, None))
        if path != self.checkpoint or interactions is not self.interactions:
            host = read_host(self.checkpoint, self.interactions)
        if isinstance(host, ArrayRecommender) and (
            host.regularization != self.regularization
        ):
            # A new shell of the same tables: a clone may hold the other one.
            tables = host.user_embeddings, host.item_embeddings
            host = ArrayRecommender(*tables, regularization=self.regularization)
        self._held = (self.checkpoint, self.interactions, host)
        return host

    def __getstate__(self):
        # Whoever loads this may not have the file.
        return {**super().__getstate__(), "_held": self._host}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._held = (self.checkpoint, self.interactions, self._held)

    def __sklearn_clone__(self):
        cloned = super().__sklearn_clone__()
        if "_held" in self.__dict__:
            cloned._held = self._held
        return cloned

    def _check_model(self):
        super()._check_model()
        self._host._check_model()

    def _holds_trained_model(self):
        return True

    def _content_key(self):
        host = self._host
        if isinstance(host, ArrayRecommender):
            return host._content_key()
        weights = {key: part.numpy() for key, part in host.module.state_dict().items()}
        return joblib.hash((repr(host.module), weights, host.max_length))

    def _fold_in(self, X):
        return self._host._fold_in(X)
