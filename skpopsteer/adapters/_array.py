"""Bridge to any model that is two tables of embeddings."""

from numbers import Integral, Real

import joblib
import numpy as np

from skpopsteer._compat import Interval, StrOptions
from skpopsteer._validation import as_array, check_embeddings
from skpopsteer.adapters._base import EmbeddingAdapter


class ArrayRecommender(EmbeddingAdapter):
    """Recommender made of trained user and item embeddings.

    The score of an item is the inner product of the two embeddings plus the item's
    bias. It is trained already, so ``fit`` refuses; hand it over frozen, as
    ``as_recommender((U, V))`` or ``as_recommender(ArrayRecommender(U, V))``.

    Parameters
    ----------
    user_embeddings : array-like of shape (n_users, d) or None
        Trained users; None where only folded-in users are needed.
    item_embeddings : array-like of shape (n_items, d)
        Trained items.
    item_bias : array-like of shape (n_items,), default=None
        Added to the scores. Keep it out of the embeddings: a column that is constant
        for one side carries no taste, and a probe would learn it as one.
    fold_in : {"ridge", None} or callable, default="ridge"
        How a row becomes an embedding. ``"ridge"`` solves least squares on the row and
        gives the result the median length of the trained users; a callable maps a
        CSR array (n_rows, n_items) to embeddings (n_rows, d); None allows look-up only.
    regularization : float, default=1.0
        Ridge penalty, in units of the mean squared column norm of `item_embeddings`.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, d), dtype float32
        Item embeddings.
    item_bias_ : ndarray of shape (n_items,), dtype float32, or None
        Item bias.
    user_embeddings_ : ndarray of shape (n_users, d), dtype float32, or None
        User embeddings.

    See Also
    --------
    as_recommender : Freeze a trained host of any kind.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.adapters import ArrayRecommender
    >>> V = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.6]])
    >>> host = ArrayRecommender(np.array([[1.0, 0.1]]), V, n_recommendations=2)
    >>> host.recommend(np.array([[1, 0, 0]]), user_ids=[0])
    array([[2, 1]])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "user_embeddings": ["array-like", None],
        "item_embeddings": ["array-like"],
        "item_bias": ["array-like", None],
        "fold_in": [StrOptions({"ridge"}), callable, None],
        "regularization": [Interval(Real, 0, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        user_embeddings,
        item_embeddings,
        *,
        item_bias=None,
        fold_in="ridge",
        regularization=1.0,
        n_recommendations=10,
    ):
        self.user_embeddings = user_embeddings
        self.item_embeddings = item_embeddings
        self.item_bias = item_bias
        self.fold_in = fold_in
        self.regularization = regularization
        self.n_recommendations = n_recommendations

    @property
    def item_embeddings_(self):
        """Item embeddings of shape (n_items, d)."""
        return self._table(
            "item_embeddings",
            self.item_embeddings,
            lambda table: check_embeddings("item_embeddings", table),
        )

    @property
    def user_embeddings_(self):
        """User embeddings of shape (n_users, d), or None."""
        if self.user_embeddings is None:
            return None
        width = self.item_embeddings_.shape[1]
        return self._table(
            "user_embeddings",
            self.user_embeddings,
            lambda table: check_embeddings("user_embeddings", table, n_columns=width),
        )

    @property
    def item_bias_(self):
        """Item bias of shape (n_items,), or None."""
        if self.item_bias is None:
            return None
        return self._table("item_bias", self.item_bias, self._check_bias)

    @property
    def folds_in(self):
        """Whether rows can be folded in; False with ``fold_in=None``."""
        return self.fold_in is not None

    def _check_bias(self, bias):
        bias = as_array("item_bias", bias)
        if bias.dtype.kind not in "biuf":
            raise TypeError(
                f"`item_bias` must hold numbers; got dtype {bias.dtype}. "
                "Leave it out if the model has none."
            )
        with np.errstate(over="ignore"):
            bias = bias.astype(np.float32, copy=False)
        if bias.shape != (self.n_items_,) or not np.isfinite(bias).all():
            raise ValueError(
                f"`item_bias` must hold one finite number per item "
                f"({self.n_items_}); got shape {bias.shape}. "
                "Leave it out if the model has none."
            )
        return bias

    def _check_model(self):
        super()._check_model()
        _ = self.item_embeddings_, self.user_embeddings_, self.item_bias_

    def _holds_trained_model(self):
        return True

    def _content_key(self):
        if callable(self.fold_in):
            return None
        tables = self.item_embeddings_, self.user_embeddings_
        return joblib.hash((tables, self.fold_in, self.regularization))

    def _fold_in(self, X):
        if self.fold_in is None:
            raise ValueError(
                "`user_ids` must be given: this host only looks trained users up; got "
                "None. Pass user_ids, or set fold_in='ridge'."
            )
        V = self.item_embeddings_
        if callable(self.fold_in):
            U = check_embeddings("fold_in(X)", self.fold_in(X), n_columns=V.shape[1])
            if len(U) != X.shape[0]:
                raise ValueError(
                    f"`fold_in(X)` must have a row per row of `X` ({X.shape[0]}); got "
                    f"{len(U)}. Fold every row in by itself."
                )
            return U
        return self._ridge_fold_in(X)
