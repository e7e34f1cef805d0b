"""Bridge to the library implicit: ALS, BPR and logistic matrix factorisation."""

import copy
from contextlib import contextmanager
from numbers import Integral, Real

import joblib
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils.validation import check_is_fitted

from skpopsteer._blas import one_blas_thread
from skpopsteer._compat import HasMethods, Interval
from skpopsteer._validation import check_embeddings
from skpopsteer.adapters._base import EmbeddingAdapter, sum_of_squares

#: Columns behind the factors: BPR appends the item bias (users hold 1 there), LMF the
#: item bias and, behind it, the user bias (items hold 1 there).
_EXTRA_COLUMNS = {
    "AlternatingLeastSquares": 0,
    "BayesianPersonalizedRanking": 1,
    "LogisticMatrixFactorization": 2,
}


class ImplicitRecommender(EmbeddingAdapter):
    """Bridge to a matrix factorisation of the library implicit.

    The extra columns BPR and LMF append to their factors are split off: the item bias
    becomes `item_bias_`; LMF's user bias, the same for all items of a user, changes no
    list and is left out of the scores.

    Parameters
    ----------
    model : AlternatingLeastSquares, BayesianPersonalizedRanking or \
LogisticMatrixFactorization
        A trained model, of the CPU or the GPU, is used as it is (freeze it with
        :func:`as_recommender`); an untrained one is copied and trained by ``fit``.
    regularization : float, default=1.0
        Ridge penalty for folding rows into BPR and LMF, in units of the mean squared
        column norm of the item factors. ALS folds in with its own solver.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    model_ : object
        The trained model of implicit.
    item_embeddings_ : ndarray of shape (n_items, d), dtype float32
        Item factors without extra columns.
    item_bias_ : ndarray of shape (n_items,), dtype float32, or None
        Item bias of BPR and LMF.
    user_embeddings_ : ndarray of shape (n_users, d), dtype float32
        User factors without extra columns.

    See Also
    --------
    as_recommender : Freeze a trained host of any kind.

    Notes
    -----
    ALS folds a row in exactly as ``recommend(..., recalculate_user=True)`` of implicit
    does. BPR and LMF have no such solver: the direction of the embedding is the ridge
    solution on the row, its length the median length of the trained users. That is
    another recommender than the trained one, and may share few of its lists: pass
    `user_ids` to judge the model you trained. ``fit`` limits BLAS to one thread while
    implicit trains, as that library asks for.

    References
    ----------
    .. [1] Y. Hu, Y. Koren and C. Volinsky, "Collaborative Filtering for Implicit
       Feedback Datasets", ICDM 2008, doi:10.1109/ICDM.2008.22.
    .. [2] S. Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit
       Feedback", UAI 2009, arXiv:1205.2618.
    .. [3] C. C. Johnson, "Logistic Matrix Factorization for Implicit Feedback Data",
       NIPS 2014 workshop.

    Examples
    --------
    >>> from implicit.als import AlternatingLeastSquares
    >>> from skpopsteer.adapters import ImplicitRecommender
    >>> from skpopsteer.datasets import make_interactions
    >>> X = make_interactions(100, 50, random_state=0).X
    >>> model = AlternatingLeastSquares(factors=8, random_state=0)
    >>> host = ImplicitRecommender(model, n_recommendations=5).fit(X)
    >>> host.predict(X).shape
    (100, 5)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "model": [HasMethods(["fit", "recommend"])],
        "regularization": [Interval(Real, 0, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, model, *, regularization=1.0, n_recommendations=10):
        self.model = model
        self.regularization = regularization
        self.n_recommendations = n_recommendations

    @property
    def model_(self):
        """The trained model: the one passed in, or the copy that ``fit`` trained."""
        if self._holds_trained_model():
            return self.model
        check_is_fitted(self)
        return self._trained

    @property
    def item_embeddings_(self):
        """Item factors without extra columns, of shape (n_items, d)."""
        return self._factors("item_factors")

    @property
    def user_embeddings_(self):
        """User factors without extra columns, of shape (n_users, d)."""
        return self._factors("user_factors")

    @property
    def item_bias_(self):
        """Item bias of shape (n_items,), or None for ALS."""
        n_extra = count_extra_columns(self.model)
        if not n_extra:
            return None
        return self._table(
            "item_bias",
            self.model_.item_factors,
            lambda factors: _to_numpy(factors)[:, -n_extra].copy(),
        )

    def __getstate__(self):
        state = super().__getstate__()
        for name in ("model", "_trained"):
            # Whoever loads this may have no GPU; the caller's model stays where it is.
            if hasattr(state.get(name), "to_cpu"):
                state[name] = state[name].to_cpu()
        return state

    def _factors(self, name):
        n_extra = count_extra_columns(self.model)
        return self._table(
            name,
            getattr(self.model_, name),
            lambda factors: _check_factors(name, factors, n_extra),
        )

    def _holds_trained_model(self):
        return getattr(self.model, "item_factors", None) is not None

    def _content_key(self):
        # The model itself has no stable hash; its tables and settings have.
        settings = {
            name: value
            for name, value in vars(self.model_).items()
            if value is None or isinstance(value, bool | int | float | str)
        }
        tables = self.item_embeddings_, self.user_embeddings_
        kind = type(self.model_).__name__
        return joblib.hash((kind, settings, tables, self.regularization))

    def _check_model(self):
        super()._check_model()
        count_extra_columns(self.model)

    def _train(self, X):
        model = copy.deepcopy(self.model)
        with one_blas_thread(), _solvable(X):
            model.fit(_to_csr_matrix(X), show_progress=False)
        self._trained = model

    def _fold_in(self, X):
        if count_extra_columns(self.model):
            return self._ridge_fold_in(X)
        with one_blas_thread(), _solvable(X):
            U = self._solver().recalculate_user(
                np.arange(X.shape[0]), _to_csr_matrix(X)
            )
        return _to_numpy(U)

    def _solver(self):
        """Return a shell of the model, on which it keeps V'V: not on the caller's."""
        solver = copy.copy(self.model_)
        V = solver.item_factors
        if isinstance(V, np.ndarray):
            gram = self._table("gram", V, lambda V: V.T @ V, sum_of_squares(V))
            solver._YtY = gram.copy()
            # The solver asks for writable memory, which a mapped model does not have.
            solver.item_factors = np.require(V, requirements="W")
        return solver


def count_extra_columns(model):
    """Count the columns behind the factors; refuse models without embeddings."""
    name = type(model).__name__
    if name not in _EXTRA_COLUMNS:
        raise ValueError(
            "`model` must be a factorisation of implicit with embeddings "
            f"({', '.join(_EXTRA_COLUMNS)}); got {name}. Neighbourhood models have no "
            "embeddings to steer."
        )
    return _EXTRA_COLUMNS[name]


@contextmanager
def _solvable(X):
    """Say what implicit's solver of least squares means where it fails."""
    from implicit.recommender_base import ModelFitError

    try:
        yield
    except (ValueError, ModelFitError) as error:
        if isinstance(error, ValueError) and "posv failed" not in str(error):
            raise
        raise ValueError(
            "`X` must hold weights that least squares can be solved with; got up to "
            f"{X.data.max():g}, where the solver fails. Scale the weights down, or "
            "raise the regularization of the model."
        ) from error


def _to_numpy(factors):
    return factors.to_numpy() if hasattr(factors, "to_numpy") else factors


def _check_factors(name, factors, n_extra):
    factors = check_embeddings(name, _to_numpy(factors))
    return factors[:, : factors.shape[1] - n_extra]


def _to_csr_matrix(X):
    """Convert to what implicit accepts: a csr_matrix of float32 with int32 indices."""
    if X.data.max(initial=0) > np.finfo(np.float32).max:
        raise ValueError(
            "`X` must hold weights within float32 for a model of implicit; got "
            f"{X.data.max():g}. Scale the weights down."
        )
    return csr_matrix(
        (
            X.data.astype(np.float32),
            X.indices.astype(np.int32),
            X.indptr.astype(np.int32),
        ),
        shape=X.shape,
    )
