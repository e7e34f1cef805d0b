"""Bake the turned knobs into plain vectors, or into a model of implicit."""

import copy

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from skpopsteer.adapters._implicit import count_extra_columns

__all__ = ["CACHES", "ExportMixin", "bake"]

#: Far below zero, so that the Cholesky solver of ALS stops with an error, and finite,
#: so that it does so without a warning about numbers on the way.
_NO_FOLD_IN = -1e30
#: What models of implicit work out of their factors, and keep.
CACHES = ("_user_norms", "_item_norms", "_YtY", "_XtX")


class ExportMixin:
    """Mixin for what can leave its steering behind in vectors.

    A subclass is a recommender with a fitted host `recommender_`, a strength and
    `keep_top`, and gives ``_baked(encoded, turned)``: user embeddings, item embeddings
    and item bias (or None) whose inner products are its scores.
    """

    def export_embeddings(self, X, user_ids=None, *, strength=None):
        """Return vectors whose inner products are the scores, steering included.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions of the users to export.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users, whose trained vectors are steered; None folds
            every row in.
        strength : float or dict, default=None
            Used in this call instead of the estimator's own `strength`, as in
            ``recommend``.

        Returns
        -------
        :class:`~sklearn.utils.Bunch`
            With these attributes, all of them new arrays.

            user_embeddings : ndarray of shape (n_users, d), dtype float32
                Row i belongs to row i of `X`, whatever its position in training.
            item_embeddings : ndarray of shape (n_items, d), dtype float32
                In the order of the columns of `X`.
            item_bias : ndarray of shape (n_items,), dtype float32, or None
                Added to the products.

        Raises
        ------
        ValueError
            With `keep_top`, and for a host with a non-linear decoder: inner products
            cannot tell of either.

        Notes
        -----
        ``as_recommender((user_embeddings, item_embeddings, item_bias))`` gives the same
        lists when it is asked by positions in `X`. Users who come later have to be
        exported again: a fold-in on these vectors would not be steered. The width `d`
        is the host's, twice that where `user_strength` multiplies a displacement of
        the items, and one more where a popularity direction takes in an item bias. The
        cost is that of encoding and steering the rows once.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.decomposition import TruncatedSVD
        >>> from skpopsteer import PopularityPenaltyReranker, as_recommender
        >>> from skpopsteer.datasets import make_interactions
        >>> X = make_interactions(200, 100, random_state=0).X
        >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
        >>> model = PopularityPenaltyReranker(host).fit(X)
        >>> vectors = model.export_embeddings(X)
        >>> vectors.user_embeddings.shape, vectors.item_bias.shape
        ((200, 8), (100,))
        >>> plain = as_recommender(tuple(vectors.values()))
        >>> bool((plain.predict(X, user_ids=np.arange(200)) == model.predict(X)).all())
        True
        """
        check_is_fitted(self)
        self._check_strength(strength)
        self._check_exportable()
        _, encoded, turned = self._prepare(X, user_ids, strength)
        U, V, bias = self._baked(encoded, turned)
        return Bunch(
            user_embeddings=np.array(U, dtype=np.float32, order="C"),
            item_embeddings=np.array(V, dtype=np.float32, order="C"),
            item_bias=None if bias is None else np.array(bias, dtype=np.float32),
        )

    def to_implicit(self, X, user_ids=None, *, strength=None):
        """Return a trained model of implicit that gives the steered lists by itself.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions of the users to export.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users, whose trained vectors are steered; None folds
            every row in.
        strength : float or dict, default=None
            Used in this call instead of the estimator's own `strength`, as in
            ``recommend``.

        Returns
        -------
        object
            For a host of implicit, a model of the same class with its settings; the
            host itself is left as it was. For any other host, and for ALS where there
            is an item bias, which ALS cannot hold, a ``BayesianPersonalizedRanking``:
            nothing of it was trained with that objective, but its layout has a column
            for the bias.

        Raises
        ------
        ValueError
            With `keep_top`, and for a host with a non-linear decoder: inner products
            cannot tell of either.

        Notes
        -----
        User i of the model is row i of `X`, whatever its position in training. The
        model serves by ``recommend(ids, user_items)`` and ``save``; it is no start for
        training. ``recalculate_user=True`` would fold users in again *without*
        steering: BPR and LMF have none, and for ALS `regularization` is set to -1e30,
        so that its solver stops with "posv failed" (also after ``save`` and ``load``)
        instead of serving other lists than these. Do not raise it, as that message
        suggests: export new users again.

        The cost is that of encoding and steering the rows once.

        Examples
        --------
        >>> import numpy as np
        >>> from implicit.als import AlternatingLeastSquares
        >>> from scipy.sparse import csr_matrix
        >>> from skpopsteer import ImplicitRecommender, PopularityPenaltyReranker
        >>> from skpopsteer.datasets import make_interactions
        >>> X = make_interactions(200, 100, random_state=0).X
        >>> als = AlternatingLeastSquares(factors=8, random_state=0)
        >>> model = PopularityPenaltyReranker(ImplicitRecommender(als)).fit(X)
        >>> served = model.to_implicit(X)
        >>> ids, _ = served.recommend(np.arange(3), csr_matrix(X[:3]), N=10)
        >>> bool((ids == model.predict(X[:3])).all())
        True
        """
        vectors = self.export_embeddings(X, user_ids, strength=strength)
        trained = getattr(self.recommender_, "model_", None)
        model = _container(trained, vectors)
        user_bias = np.zeros(len(vectors.user_embeddings), dtype=np.float32)
        if user_ids is not None and count_extra_columns(model) == 2:
            user_bias = trained.user_factors[np.asarray(user_ids), -1]
        return _fill(model, vectors, user_bias)

    def _check_exportable(self):
        if self.keep_top:
            raise ValueError(
                f"`keep_top` must be 0 to export vectors; got {self.keep_top}. Inner "
                "products cannot keep the host's first items: set it to 0, or serve "
                "with recommend."
            )
        if self.recommender_.has_nonlinear_decode:
            raise ValueError(
                "`recommender` must score by inner products to export vectors; got a "
                "host with a non-linear decoder. Serve with recommend."
            )


def bake(host, U, displacement=None, factors=None):
    """Return vectors for the scores of a host after its users and items have moved.

    Parameters
    ----------
    host : fitted adapter
        With inner products for scores.
    U : ndarray of shape (n_users, d)
        Steered users.
    displacement : ndarray of shape (n_items, d), default=None
        What is added to the items; None for items that stay.
    factors : ndarray of shape (n_users,), default=None
        Multiplies the displacement, per user; None is 1.

    Returns
    -------
    U, V, bias : ndarray
        Of shapes (n_users, d'), (n_items, d') and (n_items,); the bias may be None. d'
        is 2 d with both a displacement and factors, d otherwise.
    """
    V, bias = host.item_embeddings_, host.item_bias_
    if displacement is None:
        return U, V, bias
    if factors is None:
        return U, V + displacement, bias
    # U V' + f (U D)' as one product.
    return np.hstack([U, factors[:, None] * U]), np.hstack([V, displacement]), bias


def _container(trained, vectors):
    """Return a model of implicit to put the vectors in: the host's own kind, or BPR."""
    # A model of implicit.gpu keeps its factors on the device and cannot hold ours.
    if type(trained).__module__.startswith("implicit.cpu.") and (
        vectors.item_bias is None or count_extra_columns(trained)
    ):
        model = copy.copy(trained)
        model.random_state = copy.deepcopy(trained.random_state)
        return model
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    with threadpool_limits(1, "blas"):
        return BayesianPersonalizedRanking(
            num_threads=getattr(trained, "num_threads", 0)
        )


def _fill(model, vectors, user_bias):
    """Put vectors into a model of implicit, in the layout of its kind."""
    U, V, bias = vectors.user_embeddings, vectors.item_embeddings, vectors.item_bias
    users, items = [U], [V]
    n_extra = count_extra_columns(model)
    if n_extra:
        users.append(np.ones((len(U), 1)))
        items.append(np.zeros((len(V), 1)) if bias is None else bias[:, None])
    if n_extra == 2:
        users.append(user_bias[:, None])
        items.append(np.ones((len(V), 1)))
    if not n_extra:
        model.regularization = _NO_FOLD_IN
    model.user_factors = np.hstack(users, dtype=np.float32, casting="same_kind")
    model.item_factors = np.hstack(items, dtype=np.float32, casting="same_kind")
    model.factors, model.dtype = U.shape[1], np.dtype(np.float32)
    for name in CACHES:
        if hasattr(model, name):
            setattr(model, name, None)
    return model
