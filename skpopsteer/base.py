"""What makes an estimator a recommender: lists, scores and accuracy from two hooks."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from skpopsteer._compat import EstimatorMixin
from skpopsteer._spans import over_spans, spans
from skpopsteer._tiles import TILE_ROWS, BestItems, item_tiles, tiles_pay
from skpopsteer._validation import (
    check_interactions,
    check_item_lists,
    check_list_length,
    check_user_ids,
    is_finite_number,
)
from skpopsteer.metrics import get_scorer
from skpopsteer.topk import BLOCK_SCORES, finite_top_k, forbid, only, row_blocks

__all__ = ["RecommenderMixin"]


class RecommenderMixin(EstimatorMixin):
    """Mixin for everything that turns rows of interactions into lists of items.

    A subclass gives two hooks, both on validated input:

    - ``_encode(X, user_ids)``: what is known of every row, one row each;
    - ``_score_into(out, encoded, X, turned)``: the scores of a block of those rows,
      written to `out` of shape (n_rows, n_items), dtype float32.

    `turned` is what ``_turn(strength)`` made of the strength, once for all rows. Two
    more may be given: ``_steer(encoded, turned)``, a change of many encoded rows at
    once before they are scored, and ``_per_row(X)``, whatever has to be made of all
    rows at once, which ``_encode_span(X, user_ids, per_row)`` gets cut.

    Where ``_scores_tiles()`` is true, ``_score_into`` takes a slice of items as well,
    and long catalogues are scored tile by tile.

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
            self._score_into(scores[rows], block, X[rows], turned)
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
        k = check_list_length(n_recommendations, self.n_recommendations, X.shape[1])
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
            X, user_ids, per_row, *each,
        )  # fmt: skip
        ids, values = (np.concatenate(parts) for parts in zip(*lists, strict=True))
        return (ids, values) if return_scores else ids

    def _span_lists(self, X, user_ids, per_row, turned, k, exclude_seen, masks):
        """Encode the validated rows of a span and make their lists."""
        exclude, candidates = masks
        forbidden = [X] if exclude_seen else []
        if exclude is not None:
            forbidden.append(exclude)
        encoded = self._encode_span(X, user_ids, per_row)
        return self._lists(X, encoded, turned, k, forbidden, candidates)

    def _lists(self, X, encoded, turned, k, forbidden, candidates=None):
        """Make the lists of validated rows, block by block."""
        if candidates is None and self._scores_tiles() and tiles_pay(X.shape, k):
            return self._lists_of_tiles(X, encoded, turned, k, forbidden)
        ids = np.empty((X.shape[0], k), dtype=np.int64)
        values = np.empty((X.shape[0], k), dtype=np.float32)
        # One for all blocks: new memory would cost as much as the scores in it.
        memory = np.empty((0, X.shape[1]), dtype=np.float32)
        for rows, block in self._steered_blocks(X, encoded, turned):
            n_rows = rows.stop - rows.start
            if n_rows > len(memory):
                memory = np.empty((n_rows, X.shape[1]), dtype=np.float32)

            def allow(scores, rows=rows):
                for mask in forbidden:
                    forbid(scores, mask, rows)
                return scores if candidates is None else only(scores, candidates, rows)

            ids[rows], values[rows] = self._block_lists(
                memory[:n_rows], block, X[rows], turned, k, allow
            )
        return ids, values

    def _lists_of_tiles(self, X, encoded, turned, k, forbidden):
        """Make the lists of validated rows, tile by tile."""
        ids = np.empty((X.shape[0], k), dtype=np.int64)
        values = np.empty((X.shape[0], k), dtype=np.float32)
        for rows, block in self._steered_blocks(X, encoded, turned, TILE_ROWS):
            seen = X[rows]
            masks = [mask[rows] if issparse(mask) else mask for mask in forbidden]
            best = BestItems(seen.shape[0], k, masks)
            for items in item_tiles(X.shape[1]):
                tile = best.memory(items)
                added = self._score_tile(tile, block, seen, turned, items)
                best.add(tile, items, *added)
            ids[rows], values[rows] = best.lists()
        return ids, values

    def _scores_tiles(self):
        return False

    def _score_tile(self, out, encoded, X, turned, items):
        """Write scores of some items; return what is to be added to them."""
        self._score_into(out, encoded, X, turned, items)
        return ()

    def _steered_blocks(self, X, encoded, turned, n_rows=None):
        """Yield the rows of every block, and what is known of them, steered."""
        n_columns = X.shape[1] if n_rows is None else BLOCK_SCORES // n_rows
        for span in spans(X.shape[0]):
            part = self._steer(encoded[span], turned)
            for rows in row_blocks(span.stop - span.start, n_columns):
                within = slice(span.start + rows.start, span.start + rows.stop)
                yield within, part[rows]

    def _per_row(self, X):
        return None

    def _encode_span(self, X, user_ids, per_row):
        return self._encode(X, user_ids)

    def _steer(self, encoded, turned):
        return encoded

    def _block_lists(self, memory, encoded, X, turned, k, allow):
        self._score_into(memory, encoded, X, turned)
        return finite_top_k(allow(memory), k)


def _lists_of_span(context, X, user_ids, per_row, exclude, candidates):
    """Make the lists of the rows of a span."""
    model, turned, k, exclude_seen, shared = context
    masks = [
        own if common is None else common
        for own, common in zip((exclude, candidates), shared, strict=True)
    ]
    return model._span_lists(X, user_ids, per_row, turned, k, exclude_seen, masks)


def check_strength(strength):
    """Refuse a strength that is neither None nor a finite number."""
    if strength is not None and not is_finite_number(strength):
        raise ValueError(
            f"`strength` must be a finite number or None; got {strength!r}. "
            "0 gives the lists of the host."
        )
