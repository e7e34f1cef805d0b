"""Bridge to the library Cornac: matrix factorisations and variational autoencoders."""

from numbers import Integral, Real

import joblib
import numpy as np

from skpopsteer._compat import HasMethods, Interval
from skpopsteer._validation import check_embeddings
from skpopsteer.adapters._base import EmbeddingAdapter
from skpopsteer.adapters._cornac_models import (
    AUTOENCODERS,
    copied_to_cpu,
    decode_layers,
    find_module,
    find_tables,
    ids_by_position,
    own_scores,
    to_numpy,
)
from skpopsteer.adapters._torch import TorchRecommender


class CornacRecommender(EmbeddingAdapter):
    """Bridge to a trained model of the library Cornac.

    Two kinds of models have embeddings to steer:

    - two tables, of users and items: ``MF``, ``SVD``, ``PMF``, ``NMF``, ``WMF``,
      ``MMMF``, ``BPR``, ``WBPR``, ``HPF``, ``IBPR``, ``LightGCN`` and all others whose
      ``score`` is the product of two such tables. The bias of the items becomes
      `item_bias_`. The global mean and the user bias, the same for all items of a user,
      change no list and are left out of the scores;
    - autoencoders: ``VAECF``, ``RecVAE`` and ``BiVAECF``. A user is the mean of the
      encoder, for any row of interactions.

    Parameters
    ----------
    model : cornac.models.Recommender
        Trained model; it is only read.
    regularization : float, default=1.0
        Ridge penalty for folding rows into a model of two tables, in units of the mean
        squared column norm of the item factors. Autoencoders encode rows themselves.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, d), dtype float32
        Items; not of a ``VAECF`` with hidden layers, whose decoder is no product.
    item_bias_ : ndarray of shape (n_items,), dtype float32, or None
        Item bias; None where the model has none, or was trained without.
    user_embeddings_ : ndarray of shape (n_users, d), dtype float32, or None
        Trained users; None for ``VAECF`` and ``RecVAE``, which have no such table.
    item_ids_ : ndarray of shape (n_items,)
        Your own id of every item position.
    user_ids_ : ndarray of shape (n_users,)
        Your own id of every user position.

    See Also
    --------
    as_recommender : Freeze a trained host of any kind.
    TorchRecommender : Bridge to autoencoders of your own.

    Notes
    -----
    Positions are the numbers Cornac gives to users and items: rows and columns of ``X``
    are those of ``train_set.matrix``. `item_ids_` turns lists into your own ids, and
    ``model.uid_map[user]`` a user into a position. Users and items that are only in a
    validation or test set are numbered behind the trained ones; they are left out, as
    in ``model.rank``.

    ``VAECF`` scores with a softmax or a sigmoid of what its decoder returns, and
    ``BiVAECF`` with a sigmoid of the product; neither changes a list, so neither is
    applied. ``VAECF`` and ``BiVAECF`` read every entry of a row as 1, ``RecVAE`` its
    value. Cornac leaves a trained ``RecVAE`` in training mode, where its own ``score``
    drops inputs at random; it is evaluated here without, and left in the mode it had.

    A model of two tables has no encoder. The direction of an embedding is the ridge
    solution on the row, its length the median length of the trained users. That is
    another recommender than the trained one, and may share few of its lists: pass
    `user_ids` to judge the model you trained.

    ``fit`` is refused: a Cornac model is trained on a data set of its own. EASE and
    neighbourhood models weigh pairs of items and have no embeddings. Tried with Cornac
    2.0.0, 2.2.2, 2.3.3 and 3.0.1.

    References
    ----------
    .. [1] A. Salah, Q.-T. Truong and H. W. Lauw, "Cornac: A Comparative Framework for
       Multimodal Recommender Systems", JMLR 21(95), 2020.
    .. [2] D. Liang et al., "Variational Autoencoders for Collaborative Filtering",
       WWW 2018, arXiv:1802.05814.

    Examples
    --------
    >>> from cornac.data import Dataset
    >>> from cornac.models import BPR
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> X = make_interactions(100, 50, random_state=0).X.tocoo()
    >>> rows = [(f"user{u}", f"item{i}", 1.0) for u, i in zip(X.row, X.col)]
    >>> train_set = Dataset.from_uir(rows)
    >>> model = BPR(k=8, max_iter=20, seed=0).fit(train_set)
    >>> host = as_recommender(model)
    >>> user = model.uid_map["user3"]
    >>> ids = host.recommend(train_set.matrix[[user]], 5, user_ids=[user])
    >>> host.item_ids_[ids].shape
    (1, 5)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "model": [HasMethods(["rank", "score"])],
        "regularization": [Interval(Real, 0, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, model, *, regularization=1.0, n_recommendations=10):
        self.model = model
        self.regularization = regularization
        self.n_recommendations = n_recommendations

    @property
    def has_nonlinear_decode(self):
        """Whether scores are anything but a product with `item_embeddings_`."""
        return find_tables(self.model)[1] is None

    @property
    def item_embeddings_(self):
        """Item embeddings of shape (n_items, d)."""
        source = find_tables(self.model)[1]
        if source is None:
            raise AttributeError(
                "`item_embeddings_` must come from a decoder of one layer; got "
                f"VAECF with hidden layers {self.model.autoencoder_structure}. "
                "Steer its users."
            )
        return self._embeddings("item_embeddings", source, self.n_items_)

    @property
    def user_embeddings_(self):
        """Trained users of shape (n_users, d), or None."""
        source = find_tables(self.model)[0]
        if source is None:
            return None
        return self._embeddings("user_embeddings", source, self.model.num_users)

    @property
    def item_bias_(self):
        """Item bias of shape (n_items,), or None."""
        source = find_tables(self.model)[2]
        if source is None:
            return None
        # One column, so that it is checked as the embeddings are.
        bias = self._embeddings("item_bias", source, self.n_items_)[:, 0]
        return bias if bias.any() else None

    @property
    def item_ids_(self):
        """The caller's own id of every item position, of shape (n_items,)."""
        return ids_by_position(self.model.iid_map, self.n_items_)

    @property
    def user_ids_(self):
        """The caller's own id of every user position, of shape (n_users,)."""
        return ids_by_position(self.model.uid_map, self.model.num_users)

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
        if self.has_nonlinear_decode:
            return self._autoencoder().decode(U)
        return super().decode(U)

    @property
    def n_items_(self):
        """Number of items of the host."""
        return self.model.num_items

    @property
    def _n_features_out(self):
        return self.model.k if self.has_nonlinear_decode else super()._n_features_out

    def __getstate__(self):
        state = super().__getstate__()
        module = find_module(self.model)
        parts = [] if module is None else module.parameters()
        if any(part.device.type != "cpu" for part in parts):
            # Whoever loads this may have no GPU; the caller's model stays where it is.
            state["model"] = copied_to_cpu(self.model)
        return state

    def _embeddings(self, name, source, n_rows):
        return self._table(
            name,
            source,
            lambda table: check_embeddings(name, to_numpy(table)[:n_rows]),
            # An optimiser changes a tensor in place: only its version tells.
            getattr(source, "_version", None),
        )

    def _autoencoder(self):
        _, encoder = AUTOENCODERS[type(self.model).__name__]
        return TorchRecommender(
            find_module(self.model), encoder=encoder, decoder=decode_layers
        )

    def _holds_trained_model(self):
        return True

    def _content_key(self):
        module = find_module(self.model)
        if module is None:
            tables = self.item_embeddings_, self.user_embeddings_
            return joblib.hash((tables, self.regularization))
        weights = [to_numpy(part) for part in module.state_dict().values()]
        settings = type(self.model).__name__, getattr(self.model, "act_fn", None)
        return joblib.hash((settings, weights, self.user_embeddings_))

    def _check_model(self):
        super()._check_model()
        users, items, _ = find_tables(self.model)
        if find_module(self.model) is None:
            self._table("compared", items, lambda _: self._compare_scores(), id(users))

    def _compare_scores(self):
        """Require the library's own scores, up to one number a user."""
        U, V, bias = self.user_embeddings_, self.item_embeddings_, self.item_bias_
        for user in {0, len(U) - 1}:
            own = own_scores(self.model, user)[: len(V)]
            ours = V @ U[user] + (0 if bias is None else bias)
            missing = own - ours if own.shape == ours.shape else own
            if np.ptp(missing) > 1e-3 * np.ptp(own) + 1e-5 * np.abs(own).max():
                raise TypeError(
                    "`model` must score by the product of its tables and the item "
                    f"bias; got {type(self.model).__name__}, whose score does not. "
                    "Wrap tables that do: as_recommender((users, items, bias))."
                )
        return 0.0

    def _fold_in(self, X):
        if find_module(self.model) is not None:
            return self._autoencoder()._fold_in(X)
        return self._ridge_fold_in(X)
