"""What all adapters share: encode users, decode against items, stay frozen."""

from functools import partial

import numpy as np
from scipy.linalg import pinvh
from scipy.sparse import csr_array
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from skpopsteer._spans import over_spans
from skpopsteer._validation import (
    check_embeddings,
    check_interactions,
    check_user_ids,
)
from skpopsteer.base import RecommenderMixin


class EmbeddingAdapter(
    RecommenderMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Base of the bridges to foreign recommenders.

    A subclass says whether it holds a trained model (``_holds_trained_model``), trains
    one (``_train``), and gives `item_embeddings_`, `item_bias_`, `user_embeddings_` and
    ``_fold_in``. `item_bias_` and `user_embeddings_` may be None.
    """

    #: Whether `decode` is anything but a product with `item_embeddings_`.
    has_nonlinear_decode = False
    #: Whether rows of interactions can be turned into embeddings.
    folds_in = True

    def fit(self, X, y=None):
        """Train a copy of the host's model.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted adapter; the model passed in is left as it was.

        Raises
        ------
        ValueError
            When the adapter holds a trained model, which is never trained again.
        """
        if self._holds_trained_model():
            raise ValueError(
                "`fit` must be called on an untrained host only; got "
                f"{type(self).__name__} holding a trained model. Wrap it with "
                "as_recommender(...): frozen, its `fit` leaves the model alone."
            )
        self._check_model()
        self._train(check_interactions(self, X, reset=True))
        # Converted now, so that nothing is stored on the estimator when it predicts.
        _ = self.item_embeddings_, self.item_bias_
        return self

    def encode_users(self, X, user_ids=None):
        """Return one embedding per row.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users, whose trained vectors are looked up. None folds
            every row in from its interactions, never by position.

        Returns
        -------
        ndarray of shape (n_users, d), dtype float32
            A new array.

        Raises
        ------
        ValueError
            For unknown ids, and without ids where the host cannot fold in.
        """
        X, user_ids = self._check_rows(X, user_ids)
        return np.concatenate(over_spans(encode_rows, self, X, user_ids))

    def transform(self, X, user_ids=None):
        """Return one embedding per row: ``encode_users(X, user_ids)``.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.

        Returns
        -------
        ndarray of shape (n_users, d), dtype float32
        """
        return self.encode_users(X, user_ids)

    def decode(self, U):
        """Score every item for every embedding.

        Parameters
        ----------
        U : array-like of shape (n_rows, d)
            User embeddings.

        Returns
        -------
        ndarray of shape (n_rows, n_items), dtype float32
            ``U @ item_embeddings_.T + item_bias_``, unless the host decodes otherwise.
        """
        check_is_fitted(self)
        U = check_embeddings("U", U, n_columns=self._n_features_out)
        scores = np.empty((len(U), self.n_items_), dtype=np.float32)
        self._multiply_into(scores, U)
        return scores

    def _multiply_into(self, out, U, items=slice(None), displacement=None):
        V = self.item_embeddings_[items]
        np.matmul(U, (V if displacement is None else V + displacement).T, out=out)
        if self.item_bias_ is not None:
            out += self.item_bias_[items]

    def set_params(self, **params):
        """Set parameters of the adapter; those of a trained model are out of reach.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
            This adapter.

        Raises
        ------
        ValueError
            For a parameter of the trained model the adapter holds.
        """
        nested = [name for name in params if "__" in name]
        if nested and self._holds_trained_model():
            raise ValueError(
                f"`{nested[0]}` must not be set on an adapter that holds a trained "
                "model; got a new value for it. Use an adapter around an untrained "
                "model to search its parameters."
            )
        return super().set_params(**params)

    def __sklearn_is_fitted__(self):
        return self._holds_trained_model() or hasattr(self, "n_features_in_")

    def __sklearn_clone__(self):
        # A trained model is shared, never copied; the shell around it is new, so that
        # parameters set on the clone do not reach the caller's adapter.
        if self._holds_trained_model():
            return type(self)(**self.get_params(deep=False))
        return super().__sklearn_clone__()

    def __getstate__(self):
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_tables"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self):
        return self.item_embeddings_.shape[1]

    def _table(self, name, source, convert, version=None):
        """Convert a table of the host once, as long as the host holds that table."""
        tables = self.__dict__.setdefault("_tables", {})
        held = tables.get(name)
        if held is None or held[0] is not source or held[1] != version:
            # Read-only, for it may be the memory of the caller's own model.
            table = np.asarray(convert(source)).view()
            table.flags.writeable = False
            held = tables[name] = (source, version, table)
        return held[2]

    def _content_key(self):
        """Name what encoding depends on: equal names, equal embeddings. Or None."""
        return None

    def _median_length(self):
        """Return the median length of the trained users, or None without any."""
        table = self.user_embeddings_
        if table is None:
            return None
        return float(self._table("median_length", table, median_length))

    def _ridge_fold_in(self, X):
        """Fold rows in by least squares, at the median length of the trained users."""
        V = self.item_embeddings_
        inverse = self._table(
            "ridge", V, partial(invert_gram, penalty=self.regularization),
            version=(self.regularization, sum_of_squares(V)),
        )  # fmt: skip
        return ridge_fold_in(X, V, inverse, self._median_length())

    def _check_model(self):
        """Validate the parameters and the model they hold, trained or not."""
        self._validate_params()

    @property
    def n_items_(self):
        """Number of items of the host."""
        return self.item_embeddings_.shape[0]

    def _check_X(self, X):
        # An adapter that holds a trained model may never have seen its `fit`.
        self._check_model()
        return check_interactions(self, X, reset=False, n_items=self.n_items_)

    def _encode(self, X, user_ids):
        if user_ids is None:
            return self._fold_in(X)
        table = self.user_embeddings_
        if table is None:
            raise ValueError(
                "`user_ids` must be None for a host without a table of users; got "
                f"{len(np.atleast_1d(user_ids))} ids. Its rows are always folded in."
            )
        return table[check_user_ids(user_ids, X.shape[0], len(table))]

    def _scores_tiles(self):
        return not self.has_nonlinear_decode

    def _score_into(self, out, encoded, X, turned, items=slice(None)):
        decode_into(self, out, encoded, items)


def encode_rows(host, X, user_ids):
    """Return what ``host.encode_users`` does, of rows that are validated already.

    Parameters
    ----------
    host : fitted adapter
        One of somebody's own may have its public method only.
    X : csr_array of shape (n_rows, n_items)
    user_ids : ndarray of shape (n_rows,) or None
    """
    return getattr(host, "_encode", host.encode_users)(X, user_ids)


def decode_into(host, out, U, items=slice(None)):
    """Write what ``host.decode(U)`` returns to memory that is there already.

    Parameters
    ----------
    host : fitted adapter
    out : ndarray of shape (n_rows, n_items of the slice), dtype float32
    U : ndarray of shape (n_rows, d), dtype float32
    items : slice, default=slice(None)
        Which items; fewer than all cost less only where the host multiplies.
    """
    if getattr(host, "has_nonlinear_decode", True):
        out[...] = host.decode(U)[:, items]
    else:
        host._multiply_into(out, U, items)


def sum_of_squares(table):
    """Return what tells a table that was changed in place, at a glance of it."""
    return float(np.einsum("ij,ij->", table, table))


def invert_gram(item_embeddings, penalty):
    """Return ``(VᵀV + λI)⁻¹``, λ being the penalty times the mean of diag(VᵀV).

    Parameters
    ----------
    item_embeddings : ndarray of shape (n_items, d)
        V.
    penalty : float
        In units that do not depend on the scale of the host.

    Returns
    -------
    ndarray of shape (d, d), dtype float64
    """
    V = item_embeddings.astype(np.float64)
    gram = V.T @ V
    d = len(gram)
    gram[np.diag_indices(d)] += penalty * max(np.trace(gram) / d, 1e-12)
    # The pseudo-inverse also serves a singular matrix: no penalty, few items.
    return pinvh(gram)


def ridge_fold_in(X, item_embeddings, inverse, length=None):
    """Solve for the user embeddings that reproduce rows of interactions best.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_items)
        Interactions.
    item_embeddings : ndarray of shape (n_items, d)
        V.
    inverse : ndarray of shape (d, d)
        What :func:`invert_gram` makes of V.
    length : float, default=None
        Give every embedding this length (empty rows stay 0); None leaves the lengths of
        the solution.

    Returns
    -------
    ndarray of shape (n_rows, d), dtype float32

    Notes
    -----
    ``u = (VᵀV + λI)⁻¹ Vᵀx``, linear in the entries of X. Where the host was trained
    with another objective than least squares the solution's direction is useful but its
    length is on another scale than trained embeddings: an item bias would then weigh
    too much or too little, hence `length`.
    """
    # The product is one of float64, into which only the items held are copied.
    held, columns = np.unique(X.indices, return_inverse=True)
    parts = csr_array((X.data, columns, X.indptr), shape=(X.shape[0], len(held)))
    with np.errstate(over="ignore", invalid="ignore"):
        U = (parts @ item_embeddings[held].astype(np.float64)) @ inverse
        if length is not None:
            norms = _lengths_of_rows(U)
            U *= length / np.where(norms > 0, norms, 1.0)
    return as_float32(U, X)


def as_float32(U, X):
    """Return the embeddings of rows X in float32, which has to hold them."""
    with np.errstate(over="ignore"):
        U = np.asarray(U, dtype=np.float32)
    if not np.isfinite(U).all():
        raise ValueError(
            "`X` must hold weights whose embeddings are within float32; got weights "
            f"up to {X.data.max(initial=0):g}. Scale them down."
        )
    return U


def _lengths_of_rows(U):
    """Return lengths (n_rows, 1), scaling rows in place whose squares are no floats."""
    norms = np.linalg.norm(U, axis=1, keepdims=True)
    beyond = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if len(beyond):
        largest = np.abs(U[beyond]).max(axis=1, keepdims=True)
        U[beyond] /= np.where(largest > 0, largest, 1.0)
        norms[beyond] = np.linalg.norm(U[beyond], axis=1, keepdims=True)
    return norms


def median_length(embeddings):
    """Return the median length of the rows of a table."""
    return np.median(np.linalg.norm(embeddings, axis=1))
