"""Bridge to scikit-learn's decompositions used as recommenders."""

from numbers import Integral

import joblib
import numpy as np
from numpy.linalg import LinAlgError
from scipy.sparse.linalg import ArpackError
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skpopsteer._compat import HasMethods, Interval
from skpopsteer.adapters._base import EmbeddingAdapter, as_float32


class DecompositionRecommender(EmbeddingAdapter):
    """Recommender that reconstructs the interactions with a decomposition.

    Users are ``decomposition.transform(X)``, items the columns of ``components_``, and
    a score is the reconstructed entry.

    Parameters
    ----------
    decomposition : estimator
        A linear decomposition of scikit-learn with `components_`, such as
        :class:`~sklearn.decomposition.TruncatedSVD`,
        :class:`~sklearn.decomposition.NMF` or :class:`~sklearn.decomposition.PCA`
        without whitening. A fitted one is used as it is (freeze it with
        :func:`as_recommender`); ``fit`` trains a clone of an unfitted one.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    decomposition_ : estimator
        The fitted decomposition.
    item_embeddings_ : ndarray of shape (n_items, d), dtype float32
        Transposed components.
    item_bias_ : ndarray of shape (n_items,), dtype float32, or None
        Column means, where the decomposition centres (PCA).

    See Also
    --------
    as_recommender : Freeze a trained host of any kind.

    Notes
    -----
    There is no table of users: rows are always folded in, so `user_ids` is refused.
    The iterative solver of NMF starts from the mean of what it is given, so an
    embedding depends slightly (its `tol`) on the rows it is encoded with.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import DecompositionRecommender
    >>> from skpopsteer.datasets import make_interactions
    >>> X = make_interactions(100, 50, random_state=0).X
    >>> host = DecompositionRecommender(TruncatedSVD(8, random_state=0)).fit(X)
    >>> host.predict(X).shape
    (100, 10)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "decomposition": [HasMethods(["fit", "transform"])],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    #: No table of trained users: every row is folded in.
    user_embeddings_ = None

    def __init__(self, decomposition, *, n_recommendations=10):
        self.decomposition = decomposition
        self.n_recommendations = n_recommendations

    @property
    def decomposition_(self):
        """The fitted decomposition: the one passed in, or the clone ``fit`` trained."""
        if self._holds_trained_model():
            return self.decomposition
        check_is_fitted(self)
        return self._trained

    @property
    def item_embeddings_(self):
        """Transposed components, of shape (n_items, d)."""
        return self._table(
            "components",
            self.decomposition_.components_,
            self._check_linear,
        )

    @property
    def item_bias_(self):
        """Column means of shape (n_items,) where the decomposition centres, or None."""
        mean = getattr(self.decomposition_, "mean_", None)
        return None if mean is None else np.asarray(mean, dtype=np.float32).ravel()

    def _holds_trained_model(self):
        return hasattr(self.decomposition, "components_")

    def _content_key(self):
        return joblib.hash(self.decomposition_)

    def _check_model(self):
        super()._check_model()
        if getattr(self.decomposition, "whiten", False):
            raise ValueError(
                "`decomposition` must not whiten, or the components are no item "
                f"embeddings; got {self.decomposition!r}. Set whiten=False."
            )
        try:
            check_is_fitted(self.decomposition)
        except NotFittedError:
            return
        _require_components(self.decomposition)

    def _check_linear(self, components):
        """Return the transposed components, if they are what scores are made with."""
        decomposition, bias = self.decomposition_, self.item_bias_
        if hasattr(decomposition, "inverse_transform"):
            codes = np.eye(len(components), dtype=components.dtype)
            decoded = np.asarray(decomposition.inverse_transform(codes))
            if bias is not None:
                decoded = decoded - bias
            if not np.allclose(decoded, components, rtol=1e-3, atol=1e-4):
                raise ValueError(
                    "`decomposition` must reconstruct by a product with components_; "
                    f"got {type(decomposition).__name__}, whose inverse_transform does "
                    "not. TruncatedSVD, NMF and PCA do."
                )
        # In rows of items, whatever order the components are in: a file changes it, and
        # scores then differ in their last digit.
        return np.ascontiguousarray(components.T, dtype=np.float32)

    def _train(self, X):
        # TruncatedSVD divides by the variance, which rows that are all alike lack, and
        # huge ones have too much of.
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            try:
                trained = clone(self.decomposition).fit(X)
            except (ArpackError, LinAlgError) as error:
                raise ValueError(
                    "`X` must hold rows that can be decomposed; got ones of which "
                    f"{type(self.decomposition).__name__} says: {error} Pass more "
                    "rows, or ask for fewer components."
                ) from error
        self._trained = _require_components(trained)

    def _fold_in(self, X):
        decomposition = self.decomposition_
        # NMF wants rows of the type it was trained with.
        X = X.astype(decomposition.components_.dtype, copy=False)
        try:
            U = decomposition.transform(X)
        except TypeError as error:
            raise TypeError(
                "`decomposition` must transform sparse rows; got "
                f"{type(decomposition).__name__}, which says: {error} "
                "TruncatedSVD, NMF and PCA do."
            ) from error
        # A frame where scikit-learn is configured to return frames.
        return as_float32(U, X)


def _require_components(decomposition):
    if not hasattr(decomposition, "components_"):
        raise ValueError(
            "`decomposition` must have components_ after fit, a host without "
            f"embeddings cannot be steered; got {type(decomposition).__name__}. "
            "TruncatedSVD and NMF have them."
        )
    return decomposition
