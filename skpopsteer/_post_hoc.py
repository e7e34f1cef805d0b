"""What changes the lists of a host has in common: a strength, and the host's top."""

import copy
from contextlib import contextmanager

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skpopsteer._spans import spans
from skpopsteer._validation import (
    check_list_length,
    check_per_item,
    check_popularity,
)
from skpopsteer.base import RecommenderMixin
from skpopsteer.popularity import item_popularity
from skpopsteer.topk import finite_top_k, merge_lists, top_k

__all__ = ["PostHocMixin", "within_float32"]


@contextmanager
def within_float32(names="strength"):
    """Refuse a strength that makes numbers which float32 does not hold."""
    try:
        with np.errstate(over="raise"):
            yield
    except FloatingPointError:
        raise ValueError(
            f"`{names}` must leave scores that float32 holds; got a strength where "
            "they overflow. Turn it less far."
        ) from None


class PostHocMixin(RecommenderMixin):
    """Mixin for what changes the lists of a host: a strength, and the host's top kept.

    A subclass gives ``_host_score_into(out, encoded)``, the host's own scores, beside
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

    def with_host(self, recommender, *, item_popularity=None):
        """Return this fitted model around another host of the same embeddings.

        For a catalogue that has grown, or a host that went on training: nothing is
        fitted again, and items that are new to the model are steered like the others.

        Parameters
        ----------
        recommender : fitted host
            ``as_recommender(...)`` of embeddings of the same width and meaning. Items
            keep their positions; new ones come behind them.
        item_popularity : array-like of shape (n_items,), default=None
            Interactions per item of the new catalogue. None keeps what is known, and
            takes 0 for new items.

        Returns
        -------
        estimator
            A fitted copy, which shares autoencoders and selectors with this one.

        Raises
        ------
        ValueError
            For a host with fewer items, or of another width, and for one with a
            non-linear decoder where items are steered.
        TypeError
            For what is no host.

        Notes
        -----
        The new items count as tail. Embeddings that were trained anew from the start
        are of another meaning, axis by axis: fit again then, with ``warm_start``.
        """
        check_is_fitted(self)
        has_embeddings = hasattr(self.recommender_, "encode_users")
        if not hasattr(recommender, "encode_users" if has_embeddings else "recommend"):
            raise TypeError(
                "`recommender` must be a fitted host; got "
                f"{type(recommender).__name__}. Wrap it: as_recommender(model)."
            )
        n_known, n_items = self.n_features_in_, _count_items(recommender)
        if n_items < n_known:
            raise ValueError(
                f"`recommender` must have the items of fit ({n_known}), and may have "
                f"more; got {n_items}. Keep the positions of items that have gone."
            )
        if has_embeddings:
            self._check_width(recommender._n_features_out)
        model = copy.copy(self)
        model.recommender = model.recommender_ = recommender
        model.n_features_in_ = n_items
        if n_items > n_known:
            # Columns without names cannot be told by them.
            vars(model).pop("feature_names_in_", None)
        model._take_new_items(n_items - n_known)
        if item_popularity is not None:
            model._take_popularity(item_popularity, n_items)
        return model

    def _check_width(self, width):
        # What the model was fitted on: its host may have changed since.
        known = getattr(self, "_n_features_out", self.recommender_._n_features_out)
        if width != known:
            raise ValueError(
                f"`recommender` must have embeddings of the same width ({known}); got "
                f"{width}. Fit the model on that host."
            )

    def _take_new_items(self, n_new):
        """Extend what is known of every item."""
        self.item_popularity_ = np.pad(self.item_popularity_, (0, n_new))

    def _check_X(self, X):
        n_known, n_items = self.n_features_in_, _count_items(self.recommender_)
        if n_items != n_known:
            raise ValueError(
                f"`recommender` must have as many items as in fit ({n_known}); it has "
                f"{n_items} by now. Go on with model.with_host(recommender)."
            )
        return super()._check_X(X)

    def _check_rows(self, X, user_ids):
        # Knobs may have been set after `fit`: a typing error must not pass for a knob.
        self._validate_params()
        return super()._check_rows(X, user_ids)

    def _path(self, X, strengths, n_recommendations, user_ids=None):
        """Return the lists at each strength (n_strengths, n_users, k).

        The host encodes the rows once, and a span of them is done at all strengths
        before the next, so that they share what does not depend on the strength.
        """
        turned = [self._turn_checked(strength) for strength in strengths]
        X, user_ids = self._check_rows(X, user_ids)
        k = check_list_length(n_recommendations, self.n_recommendations, X.shape[1])
        encoded = self._encode_to_score(X, user_ids)
        lists = np.empty((len(turned), X.shape[0], k), dtype=np.int64)
        for span in spans(X.shape[0]):
            part, seen = self._share(encoded[span]), X[span]
            for ids, one in zip(lists, turned, strict=True):
                ids[span], _ = self._lists(seen, part, one, k, [seen])
        return lists

    def _lister(self, X, n_recommendations, user_ids=None):
        """Return a function from strengths to lists; the host encodes the rows once."""
        X, user_ids = self._check_rows(X, user_ids)
        k = check_list_length(n_recommendations, self.n_recommendations, X.shape[1])
        encoded = self._share(self._encode_to_score(X, user_ids))

        def lists_at(strength):
            return self._lists(X, encoded, self._turn_checked(strength), k, [X])[0]

        return lists_at

    def _set_strength(self, strength):
        """Make a strength, as given to ``recommend``, the estimator's own."""
        return self.set_params(strength=strength)

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
        else:
            self._take_popularity(given, X.shape[1])

    def _take_popularity(self, given, n_items):
        given = check_per_item("item_popularity", given, n_items)
        self.item_popularity_ = check_popularity("item_popularity", given)
        # Nobody says how many users it was counted over: as many as an item had.
        self.n_users_ = max(self.n_users_, int(np.ceil(self.item_popularity_.max())))

    def _fit_host(self, X):
        """Fit a clone of the host, which a frozen one shrugs off, and return it."""
        host = clone(self.recommender).fit(X, None)
        n_items = _count_items(host)
        if n_items != X.shape[1]:
            raise ValueError(
                f"`X` must have one column per item of the host ({n_items}); got "
                f"{X.shape[1]}. Use the item positions of the training matrix."
            )
        return host

    def _block_lists(self, memory, encoded, X, turned, k, allow):
        self._score_into(memory, encoded, X, turned)
        scores = allow(memory)
        ids, values = finite_top_k(scores, k)
        if not self.keep_top:
            return ids, values
        host_scores = np.empty_like(memory)
        self._host_score_into(host_scores, encoded)
        host_ids, _ = top_k(allow(host_scores), k)
        ids = merge_lists(host_ids, ids, self.keep_top)
        values = np.take_along_axis(scores, np.maximum(ids, 0), axis=1)
        return ids, np.where(ids == -1, -np.inf, values)


def _count_items(host):
    """Count the items of a host, which may be a recommender around another."""
    return host.n_items_ if hasattr(host, "encode_users") else host.n_features_in_
