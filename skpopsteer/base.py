"""What makes an estimator a recommender: lists, scores and accuracy from two hooks."""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skpopsteer._compat import EstimatorMixin
from skpopsteer._spans import over_spans, spans
from skpopsteer._validation import (
    check_interactions,
    check_item_lists,
    check_per_item,
    check_popularity,
    check_user_ids,
)
from skpopsteer.metrics import get_scorer
from skpopsteer.popularity import item_popularity
from skpopsteer.topk import forbid, merge_lists, only, row_blocks, top_k

__all__ = ["PostHocMixin", "RecommenderMixin"]


class RecommenderMixin(EstimatorMixin):
    """Mixin for everything that turns rows of interactions into lists of items.

    A subclass gives two hooks, both on validated input:

    - ``_encode(X, user_ids)``: what is known of every row, one row each;
    - ``_block_scores(encoded, X, turned)``: a new array of scores (n_rows, n_items)
      for a block of those rows.

    `turned` is what ``_turn(strength)`` made of the strength, once for all rows. Two
    more may be given: ``_steer(encoded, turned)``, a change of many encoded rows at
    once before they are scored, and ``_per_row(X)``, whatever has to be made of all
    rows at once, which ``_encode_span(X, user_ids, per_row)`` gets cut.

    Rows are done in spans, which ``joblib.parallel_config`` may spread over workers,
    and a span is scored in blocks: no method but ``decision_function`` ever holds
    n_users x n_items scores.
    """

    def predict(self, X, user_ids=None):
        """Recommend `n_recommendations` unseen items to every row.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users, to use their trained vectors. None folds every
            row in from its interactions.

        Returns
        -------
        ndarray of shape (n_users, n_recommendations), dtype int64
            Item positions, best first, padded with -1.
        """
        return self.recommend(X, user_ids=user_ids)

    def recommend(
        self,
        X,
        n_recommendations=None,
        *,
        exclude_seen=True,
        candidates=None,
        exclude=None,
        user_ids=None,
        return_scores=False,
    ):
        """Recommend items to every row.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        n_recommendations : int, default=None
            Length of the lists; None takes the estimator's own.
        exclude_seen : bool, default=True
            Leave out the items a row holds already.
        candidates : array-like of shape (n,), sparse (n_users, n_items) or list of \
lists, default=None
            The only items allowed: item positions for everybody, or one row each.
        exclude : same forms as `candidates`, default=None
            Items to leave out.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.
        return_scores : bool, default=False
            Return the scores too.

        Returns
        -------
        ids : ndarray of shape (n_users, n_recommendations), dtype int64
            Item positions, best first; equal scores by position; padded with -1.
        scores : ndarray of shape (n_users, n_recommendations), dtype float32
            Only with `return_scores`; -inf where padded.

        Notes
        -----
        Linear in users and in items; memory is bounded by a block of users. Inside
        ``joblib.parallel_config(...)`` blocks go to its workers, with the same result.
        """
        return self._recommend(
            X, n_recommendations, exclude_seen, candidates, exclude, user_ids,
            return_scores,
        )  # fmt: skip

    def decision_function(self, X, user_ids=None):
        """Score every item for every row, seen items included.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.

        Returns
        -------
        ndarray of shape (n_users, n_items), dtype float32
            This is the one method that holds all scores at once.
        """
        X, encoded, turned = self._prepare(X, user_ids, None)
        scores = np.empty(X.shape, dtype=np.float32)
        for rows, block in self._steered_blocks(X, encoded, turned):
            scores[rows] = self._block_scores(block, X[rows], turned)
        return scores

    def score(self, X, y, user_ids=None):
        """Return NDCG at `n_recommendations` of the held-out interactions.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommender sees.
        y : CSR of shape (n_users, n_items) or array-like of shape (n_users,)
            Held-out interactions, or one held-out item position a user, -1 for none.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.

        Returns
        -------
        float
            In [0, 1], higher is better; users without held-out items are left out.
        """
        return get_scorer("ndcg")(self, X, y, user_ids=user_ids)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags

    def _check_X(self, X):
        """Validate X; hosts that know their catalogue before `fit` override this."""
        return check_interactions(self, X, reset=False)

    def _prepare(self, X, user_ids, strength):
        X, user_ids = self._check_rows(X, user_ids)
        return X, self._encode(X, user_ids), self._turn(strength)

    def _check_rows(self, X, user_ids):
        check_is_fitted(self)
        X = self._check_X(X)
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        return X, user_ids

    def _lists_to_score(self, X, n_recommendations, user_ids):
        """Make the lists that a scorer reads."""
        return self.recommend(X, n_recommendations, user_ids=user_ids)

    def _check_strength(self, strength):
        check_strength(strength)

    def _turn(self, strength):
        """Prepare whatever depends on the strength and not on the rows."""
        return strength

    def _recommend(
        self,
        X,
        n_recommendations,
        exclude_seen,
        candidates,
        exclude,
        user_ids,
        return_scores,
        strength=None,
    ):
        self._check_strength(strength)
        X, user_ids = self._check_rows(X, user_ids)
        k = _check_length(n_recommendations, self.n_recommendations)
        if exclude is not None:
            exclude = check_item_lists("exclude", exclude, X.shape)
        if candidates is not None:
            candidates = check_item_lists("candidates", candidates, X.shape)
        per_row = self._per_row(X)
        # What all rows share travels once; what is a row each, with its span.
        shared = [None if issparse(mask) else mask for mask in (exclude, candidates)]
        each = [mask if issparse(mask) else None for mask in (exclude, candidates)]
        lists = over_spans(
            _lists_of_span,
            (self, self._turn(strength), k, exclude_seen, shared),
            X.shape[0],
            lambda span: [
                None if rows is None else rows[span]
                for rows in (X, user_ids, per_row, *each)
            ],
        )
        ids, values = (np.concatenate(parts) for parts in zip(*lists, strict=True))
        return (ids, values) if return_scores else ids

    def _lists(self, X, encoded, turned, k, forbidden, candidates=None):
        """Make the lists of validated rows, block by block."""
        ids = np.empty((X.shape[0], k), dtype=np.int64)
        values = np.empty((X.shape[0], k), dtype=np.float32)
        for rows, block in self._steered_blocks(X, encoded, turned):

            def allow(scores, rows=rows):
                for mask in forbidden:
                    forbid(scores, mask, rows)
                return scores if candidates is None else only(scores, candidates, rows)

            ids[rows], values[rows] = self._block_lists(
                block, X[rows], turned, k, allow
            )
        return ids, values

    def _steered_blocks(self, X, encoded, turned):
        """Yield the rows of every block, and what is known of them, steered."""
        for span in spans(X.shape[0]):
            part = self._steer(encoded[span], turned)
            for rows in row_blocks(span.stop - span.start, X.shape[1]):
                within = slice(span.start + rows.start, span.start + rows.stop)
                yield within, part[rows]

    def _per_row(self, X):
        return None

    def _encode_span(self, X, user_ids, per_row):
        return self._encode(X, user_ids)

    def _steer(self, encoded, turned):
        return encoded

    def _block_lists(self, encoded, X, turned, k, allow):
        return finite_top_k(allow(self._block_scores(encoded, X, turned)), k)


class PostHocMixin(RecommenderMixin):
    """Mixin for what changes the lists of a host: a strength, and the host's top kept.

    A subclass gives ``_host_block_scores(encoded, X)``, the host's own scores, beside
    the hooks of :class:`RecommenderMixin`.
    """

    def recommend(
        self,
        X,
        n_recommendations=None,
        *,
        exclude_seen=True,
        candidates=None,
        exclude=None,
        strength=None,
        user_ids=None,
        return_scores=False,
    ):
        """Recommend items to every row.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        n_recommendations : int, default=None
            Length of the lists; None takes the estimator's own.
        exclude_seen : bool, default=True
            Leave out the items a row holds already.
        candidates : array-like of shape (n,), sparse (n_users, n_items) or list of \
lists, default=None
            The only items allowed: item positions for everybody, or one row each.
        exclude : same forms as `candidates`, default=None
            Items to leave out.
        strength : float or dict of str to float, default=None
            Used in this call instead of the estimator's own `strength`; further
            strengths that are set keep their proportion to it. Of a model with several
            knobs a dict gives the strength of each by its name, and knobs without one
            are left alone. 0 turns nothing: the
            host's own lists, unless a reconstruction replaces the embedding. Nothing is
            fitted again.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.
        return_scores : bool, default=False
            Return the scores too. They are the changed ones, so with `keep_top` they do
            not descend from the kept items to the rest.

        Returns
        -------
        ids : ndarray of shape (n_users, n_recommendations), dtype int64
            Item positions, best first; equal scores by position; padded with -1.
        scores : ndarray of shape (n_users, n_recommendations), dtype float32
            Only with `return_scores`; -inf where padded.

        Notes
        -----
        Linear in users and in items; memory is bounded by a block of users. Inside
        ``joblib.parallel_config(...)`` blocks go to its workers, with the same result.
        """
        return self._recommend(
            X, n_recommendations, exclude_seen, candidates, exclude, user_ids,
            return_scores, strength,
        )  # fmt: skip

    def _check_rows(self, X, user_ids):
        # Knobs may have been set after `fit`: a typing error must not pass for a knob.
        self._validate_params()
        return super()._check_rows(X, user_ids)

    def _path(self, X, strengths, n_recommendations, user_ids=None):
        """Return the lists at each strength (n_strengths, n_users, k).

        The host encodes the rows once, and a block of them is done at all strengths
        before the next, so that they share what does not depend on the strength.
        """
        turned = [self._turn_checked(strength) for strength in strengths]
        k = _check_length(n_recommendations, self.n_recommendations)
        X, user_ids = self._check_rows(X, user_ids)
        encoded = self._encode_to_score(X, user_ids)
        lists = np.empty((len(turned), X.shape[0], k), dtype=np.int64)
        for rows in row_blocks(*X.shape):
            block = self._share(encoded[rows])
            for ids, one in zip(lists, turned, strict=True):
                ids[rows], _ = self._lists(X[rows], block, one, k, [X[rows]])
        return lists

    def _lister(self, X, n_recommendations, user_ids=None):
        """Return a function from strengths to lists; the host encodes the rows once."""
        k = _check_length(n_recommendations, self.n_recommendations)
        X, user_ids = self._check_rows(X, user_ids)
        encoded = self._share(self._encode_to_score(X, user_ids))

        def lists_at(strength):
            return self._lists(X, encoded, self._turn_checked(strength), k, [X])[0]

        return lists_at

    def _turn_checked(self, strength):
        check_is_fitted(self)
        self._check_strength(strength)
        return self._turn(strength)

    def _share(self, encoded):
        """Add to encoded rows what lists at several strengths have in common."""
        return encoded

    def _lists_to_score(self, X, n_recommendations, user_ids):
        return self._lister(X, n_recommendations, user_ids)(None)

    def _encode_to_score(self, X, user_ids):
        """Encode rows for a scorer, which may meet the same rows many times."""
        return self._encode(X, user_ids)

    def _count_popularity(self, X, given=None):
        """Set `item_popularity_` and `n_users_`, from X or from the caller's count."""
        self.n_users_ = X.shape[0]
        if given is None:
            self.item_popularity_ = item_popularity(X)
            return
        given = check_per_item("item_popularity", given, X.shape[1])
        self.item_popularity_ = check_popularity("item_popularity", given)
        # Nobody says how many users it was counted over: as many as an item had.
        self.n_users_ = max(self.n_users_, int(np.ceil(self.item_popularity_.max())))

    def _fit_host(self, X):
        """Fit a clone of the host, which a frozen one shrugs off, and return it."""
        host = clone(self.recommender).fit(X, None)
        if host.n_items_ != X.shape[1]:
            raise ValueError(
                f"`X` must have one column per item of the host ({host.n_items_}); got "
                f"{X.shape[1]}. Use the item positions of the training matrix."
            )
        return host

    def _block_lists(self, encoded, X, turned, k, allow):
        scores = allow(self._block_scores(encoded, X, turned))
        ids, values = finite_top_k(scores, k)
        if not self.keep_top:
            return ids, values
        host_ids, _ = top_k(allow(self._host_block_scores(encoded, X)), k)
        ids = merge_lists(host_ids, ids, self.keep_top)
        values = np.take_along_axis(scores, np.maximum(ids, 0), axis=1)
        return ids, np.where(ids == -1, -np.inf, values)


def finite_top_k(scores, k):
    """Return what `top_k` does, of scores that are finite where items may be listed."""
    ids, values = top_k(scores, k)
    if values.max(initial=-np.inf) == np.inf:
        raise ValueError(
            "`recommender` must give scores that are finite; got an infinite one. "
            "Check the training of the host, and how far it is turned."
        )
    return ids, values


def _lists_of_span(context, X, user_ids, per_row, exclude, candidates):
    """Encode the rows of a span and make their lists."""
    model, turned, k, exclude_seen, shared = context
    exclude, candidates = (
        own if common is None else common
        for own, common in zip((exclude, candidates), shared, strict=True)
    )
    forbidden = [X] if exclude_seen else []
    if exclude is not None:
        forbidden.append(exclude)
    encoded = model._encode_span(X, user_ids, per_row)
    return model._lists(X, encoded, turned, k, forbidden, candidates)


def _check_length(n_recommendations, default):
    k = default if n_recommendations is None else n_recommendations
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(
            f"`n_recommendations` must be an integer >= 1; got {k!r}. "
            "It is the length of every list."
        )
    return int(k)


def check_strength(strength):
    """Refuse a strength that is neither None nor a finite number."""
    if strength is not None and not (
        isinstance(strength, Real) and np.isfinite(strength)
    ):
        raise ValueError(
            f"`strength` must be a finite number or None; got {strength!r}. "
            "0 gives the lists of the host."
        )
