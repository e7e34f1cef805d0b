"""Bridge to LensKit: scorers with user and item embeddings, and their pipelines."""

from numbers import Integral, Real

import joblib
import numpy as np

from skpopsteer._compat import HasMethods, Interval, import_optional
from skpopsteer._validation import check_embeddings
from skpopsteer.adapters._base import EmbeddingAdapter
from skpopsteer.adapters._lenskit_scorers import (
    PLACES,
    check_release,
    choose,
    convert,
    copied_to_cpu,
    find,
    find_scorer,
)


class LensKitRecommender(EmbeddingAdapter):
    """Bridge to a trained scorer of LensKit, or to a pipeline that contains one.

    Scorers with embeddings are those of ALS (``BiasedMFScorer``, ``ImplicitMFScorer``),
    FlexMF, ``FunkSVDScorer``, ``BiasedSVDScorer``, ``NMFScorer``, ``HPFScorer`` and of
    ``lenskit.implicit``. The model is only read, and ``fit`` refuses: train it with
    LensKit and hand it over frozen, as ``as_recommender(model)``.

    LensKit numbers items and users by its vocabularies, which it sorts by id. Columns
    of ``X`` are positions in the model's item vocabulary and `user_ids` are positions
    in its user vocabulary: ``item_ids_`` and ``user_ids_`` tell which id is where.

    Parameters
    ----------
    model : Component or Pipeline of LensKit
        Trained. Of a pipeline the one scorer with embeddings is taken, or the component
        named "scorer" where there are several; what comes after it, such as a reranker,
        is left out.
    regularization : float, default=1.0
        Ridge penalty for folding rows into all scorers but those of ``lenskit.als``, in
        units of the mean squared column norm of the item embeddings.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    scorer_ : Component
        The scorer that is read: `model`, or the part of it.
    item_ids_ : ndarray of shape (n_items,)
        LensKit's id of the item at every position.
    user_ids_ : ndarray of shape (n_users,), or None
        LensKit's id of the user at every position; None without user embeddings.
    item_embeddings_ : ndarray of shape (n_items, d), dtype float32
        Item embeddings. With convolution layers the mean of all layers, which is what
        LensKit scores with.
    item_bias_ : ndarray of shape (n_items,), dtype float32, or None
        Item bias of ``BiasedMFScorer``, ``FunkSVDScorer``, ``BiasedSVDScorer`` and
        ``lenskit.implicit.BPR``.
    user_embeddings_ : ndarray of shape (n_users, d), dtype float32, or None
        User embeddings; None if the model was trained with ``user_embeddings=False``.

    See Also
    --------
    as_recommender : Freeze a trained host of any kind.

    Notes
    -----
    Scores are LensKit's without its global mean and user bias: they are the same for
    all items of a user, and change no list.

    The scorers of ``lenskit.als`` fold a row in by their own solver, as LensKit does
    for a query with history; the values of ``X`` are ratings to ``BiasedMFScorer`` and,
    with ``use_ratings=True``, to ``ImplicitMFScorer``. It solves a system per row.
    LensKit's own pipelines do this for trained users too, with the history of the
    training data; `user_ids` gives the trained vectors instead, as
    ``user_embeddings="prefer"`` does there.

    The others know trained users alone. For them the direction of the embedding is the
    ridge solution on the row, its length the median length of the trained users. That
    is another recommender than the trained one, and may share few of its lists: pass
    `user_ids` to judge the model you trained.

    A row without items is ranked by the item bias alone, or by position; LensKit has no
    list for it. FlexMF has no `item_bias_` in the releases tried: LensKit neither
    trains the biases it makes nor scores with them. Pickles hold FlexMF on the CPU.

    Tried with LensKit 2025.6.3, 2025.7.0, 2025.8.0 and 2025.8.1, the last that installs
    on Python 3.11. Releases before 2025.6 are refused, and so are scorers without two
    tables, such as neighbours, and the graph models of ``lenskit.graphs``.

    References
    ----------
    .. [1] M. D. Ekstrand, "LensKit for Python: Next-Generation Software for Recommender
       Systems Experiments", CIKM 2020, arXiv:1809.03125.
    .. [2] Y. Hu, Y. Koren and C. Volinsky, "Collaborative Filtering for Implicit
       Feedback Datasets", ICDM 2008, doi:10.1109/ICDM.2008.22.

    Examples
    --------
    >>> import pandas as pd  # doctest: +SKIP
    >>> from lenskit import topn_pipeline  # doctest: +SKIP
    >>> from lenskit.als import ImplicitMFScorer  # doctest: +SKIP
    >>> from lenskit.data import from_interactions_df  # doctest: +SKIP
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> X = make_interactions(100, 50, random_state=0).X
    >>> users, items = X.nonzero()
    >>> frame = pd.DataFrame({"user_id": users, "item_id": items})  # doctest: +SKIP
    >>> pipeline = topn_pipeline(ImplicitMFScorer(embedding_size=8))  # doctest: +SKIP
    >>> pipeline.train(from_interactions_df(frame))  # doctest: +SKIP
    >>> host = as_recommender(pipeline)  # doctest: +SKIP

    Columns in the order of the model, and the ids it recommends:

    >>> X = X[:, host.item_ids_]  # doctest: +SKIP
    >>> host.item_ids_[host.predict(X)].shape  # doctest: +SKIP
    (100, 10)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "model": [HasMethods(["train"])],
        "regularization": [Interval(Real, 0, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, model, *, regularization=1.0, n_recommendations=10):
        self.model = model
        self.regularization = regularization
        self.n_recommendations = n_recommendations

    @property
    def scorer_(self):
        """The scorer that is read: the model, or the part of it."""
        return find_scorer(self.model)

    @property
    def item_ids_(self):
        """LensKit's ids of the items, of shape (n_items,)."""
        return find(self.scorer_, ("items", "items_")).ids()

    @property
    def user_ids_(self):
        """LensKit's ids of the users, of shape (n_users,), or None."""
        users = find(self.scorer_, ("users", "users_"))
        return None if users is None else users.ids()

    @property
    def item_embeddings_(self):
        """Item embeddings of shape (n_items, d)."""
        return self._read("item_embeddings")

    @property
    def user_embeddings_(self):
        """User embeddings of shape (n_users, d), or None."""
        return self._read("user_embeddings")

    @property
    def item_bias_(self):
        """Item bias of shape (n_items,), or None."""
        bias = self._read("item_bias")
        return None if bias is None else bias[:, 0]

    def __getstate__(self):
        state = super().__getstate__()
        weights = find(choose(self.model), ("model.i_embed.weight",))
        if weights is not None and weights.device.type != "cpu":
            # Whoever loads this may have no GPU; the caller's model stays where it is.
            state["model"] = copied_to_cpu(self.model)
        return state

    def _read(self, name):
        scorer = self.scorer_
        places = PLACES[type(scorer).__name__]
        source = find(scorer, getattr(places, name))
        if source is None:
            return None
        version = None
        if hasattr(source, "data_ptr"):
            # An optimiser changes a tensor in place: only its version tells.
            version = source.data_ptr(), source._version
        return self._table(
            name,
            source,
            lambda source: check_embeddings(name, convert(source, name, places)),
            version,
        )

    def _holds_trained_model(self):
        scorer = choose(self.model)
        places = PLACES.get(type(scorer).__name__)
        return bool(places) and find(scorer, places.item_embeddings) is not None

    def _check_model(self):
        check_release(import_optional("lenskit", "lenskit").__version__)
        super()._check_model()
        scorer = find_scorer(self.model)
        if not self._holds_trained_model():
            raise ValueError(
                f"`model` must be trained; got an untrained {type(scorer).__name__}. "
                "Call its train(dataset) first: only LensKit trains it."
            )

    def _content_key(self):
        scorer = self.scorer_
        bias = find(scorer, ("bias",))
        solver = (
            vars(scorer.config),
            find(scorer, ("_OtOr",)),
            bias and (bias.global_bias, bias.damping),
        )
        tables = self.item_embeddings_, self.user_embeddings_, self.item_bias_
        return joblib.hash((solver, tables, self.regularization))

    def _fold_in(self, X):
        V, scorer = self.item_embeddings_, self.scorer_
        if not hasattr(scorer, "new_user_embedding"):
            return self._ridge_fold_in(X)
        from lenskit.data import ItemList

        U = np.zeros((X.shape[0], V.shape[1]), dtype=np.float32)
        # Rows without items stay 0: the solver has nothing to solve for.
        for row in np.flatnonzero(np.diff(X.indptr)):
            held = slice(X.indptr[row], X.indptr[row + 1])
            history = ItemList(
                item_nums=X.indices[held].astype(np.int32),
                vocabulary=scorer.items,
                rating=X.data[held],
            )
            U[row], _ = scorer.new_user_embedding(None, history)
        return U
