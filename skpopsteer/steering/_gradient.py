"""Take the direction of popularity out of the scores of a host."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import check_random_state

from skpopsteer._compat import HasMethods, Interval, StrOptions, _fit_context
from skpopsteer._post_hoc import PostHocMixin, within_float32
from skpopsteer._validation import check_interactions, check_user_ids
from skpopsteer.adapters._base import decode_into, encode_rows
from skpopsteer.adapters._export import ExportMixin
from skpopsteer.steering._gradient_directions import LOSSES, take_out
from skpopsteer.steering._gradient_recorder import check_given, read_gradients
from skpopsteer.steering._gradient_sums import (
    Settings,
    loss_of,
    sum_centroids,
    sum_host,
    unit,
)


class GradientPopularityAdjuster(
    ExportMixin, PostHocMixin, MetaEstimatorMixin, BaseEstimator
):
    r"""Subtract from items and users their share of one direction of popularity.

    In training, the gradients of items as positives add up to one direction that all
    popular items move in. ``fit`` finds that direction, from the users, from the loss
    at the final embeddings or from gradients that were recorded; recommending takes the
    share `beta` of it out of the items, and the share `gamma` of its counterpart, user
    conformity, out of the users. The host is never changed.

    Parameters
    ----------
    recommender : estimator
        The host, as for :class:`~skpopsteer.steering.SteeredRecommender`. It must score
        by inner products.
    direction : str, default="mean_user"
        Where the direction of popularity comes from. ``"mean_user"`` is the mean of all
        users, each counted once; ``"activity_weighted_user"`` counts every user once
        per interaction. ``"positive_gradient"`` computes the gradients of the positives
        anew, at the final embeddings; ``"recorded"`` reads those of ``fit(X,
        gradients=...)``.
    loss : {"bpr", "bce", "als"}, default=None
        What the host was trained with, for ``direction="positive_gradient"``: pairwise
        ranking, binary cross-entropy, or weighted least squares. None is told by hosts
        of implicit (LMF is ``"bce"``).
    n_samples : int, default=None
        Uniform negatives per positive to estimate ``"bpr"`` and ``"bce"`` from; None is
        exact. ``"als"`` needs none.
    center : bool, default=False
        Measure the items from the mean of `item_coordinates_`. The scores of a user
        then keep their mean; no list changes.
    alpha : float, default=None
        Confidence of ``"als"``: ``1 + alpha x`` for a value x of ``X``. A host of
        implicit is taken at its own ``alpha x``; None reads its alpha off it, and is 1
        for other hosts.
    normalize_users : bool, default=True
        Bring users to length 1 before they are summed, so that active ones count no
        more for being long. False gives the gradient of the host's own loss.
    beta : float, default=0.5
        Share of the direction that is taken out of the items: 0 none, 1 all of it.
        Positive lowers popularity, negative raises it.
    gamma : float, default=0.0
        Likewise for user conformity, out of the users.
    keep_top : int, default=0
        The host's first items of every list that stay where they are.
    n_recommendations : int, default=10
        Length of the lists.
    random_state : int, RandomState instance or None, default=None
        Seed of the negatives.

    Attributes
    ----------
    recommender_ : estimator
        The fitted host.
    popularity_direction_ : ndarray of shape (d,) or (d + 1,), dtype float64
        Of length 1. The last entry is of the item bias, for a host that has one.
    conformity_direction_ : ndarray of shape (d,) or (d + 1,), dtype float64
        Of length 1; all 0 where there is none, as for items that are equally popular.
    item_coordinates_ : ndarray of shape (n_items,), dtype float32
        Every item along `popularity_direction_`, in units of the host's embeddings.
    loss_ : str or None
        The loss that was used.
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    n_users_ : int
        Rows of ``fit``, which the popularity was counted over; as many as the most
        popular item asks for, if it was given.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    GradientRecorder : Record gradients in a training loop of torch.
    skpopsteer.rerankers.PopularityPenaltyReranker : The baseline to beat.

    Notes
    -----
    With directions p and c of length 1, an item v and a user u become

    .. math::

        v' = v - \beta \langle v, p \rangle p, \qquad
        u' = u - \gamma \langle u, c \rangle c,

    and the score is :math:`\langle u', v' \rangle`. For the items alone that subtracts
    :math:`\beta \langle v, p \rangle \langle u, p \rangle` from the host's score: a
    change of rank one, which is nil for users without a share in p. Since
    :math:`\langle u', v' \rangle = \langle u' - \beta \langle u', p \rangle p, v
    \rangle`, only rows of users are ever computed. The length of users changes no list,
    so that the scores stay on the host's scale.

    An item bias is popularity outside of the embedding. It is a further coordinate of
    every item, which meets a 1 at every user; the directions have that coordinate too,
    so that the bias is adjusted with the rest.

    p and c are sums over pairs, in ``docs/methods/gradient_perspective.md`` for each
    loss. Negatives are uniform there. Where a host was trained with popular negatives,
    as BPR of implicit is, the two roles of an item cancel out: look at the correlation
    of `item_coordinates_` with the log of popularity. Without a loss c is the mean item
    weighted by popularity, less the plain mean; likewise for recorded gradients without
    those of users. For ``"als"`` both are of the positive part, for its whole gradient
    is the embedding itself. `strength` is `beta`, or `gamma` where `beta` is 0; another
    strength turns both in proportion.

    Users are encoded and summed in spans, whose scores are made in blocks. Beside the
    encoding, ``fit`` costs O(n_users d) for the mean user, O(nnz d) for ALS, O(nnz d
    n_samples) for samples, and O(n_users n_items d) exactly, plus
    :math:`\sum_u |I_u| (n_{items} - |I_u|)` logistic functions for BPR, :math:`I_u`
    being the items of a user. Recommending costs O(d) per user more than the host, and
    one addition per score where there is a bias.

    The method follows [1]_ as far as its abstract and a summary tell. Training with
    normalised users is not part of it here, and the forms of the projection, of the
    strengths and of the recomputed gradients are reconstructions.

    References
    ----------
    .. [1] W. Ren et al., "Mitigating Popularity Bias in Recommendation with Unbalanced
       Interactions: A Gradient Perspective", ICDM 2022,
       doi:10.1109/ICDM54844.2022.00054.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.steering import GradientPopularityAdjuster
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = GradientPopularityAdjuster(host, beta=0.8).fit(X)
    >>> before = model.item_popularity_[model.recommend(X, strength=0)].mean()
    >>> bool(model.item_popularity_[model.predict(X)].mean() < before)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "recommender": [HasMethods(["fit", "encode_users", "decode"])],
        "direction": [
            StrOptions(
                {"mean_user", "activity_weighted_user", "positive_gradient", "recorded"}
            )
        ],
        "loss": [StrOptions(set(LOSSES)), None],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "center": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="neither"), None],
        "normalize_users": ["boolean"],
        "beta": [Interval(Real, None, None, closed="neither")],
        "gamma": [Interval(Real, None, None, closed="neither")],
        "keep_top": [Interval(Integral, 0, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        recommender,
        *,
        direction="mean_user",
        loss=None,
        n_samples=None,
        center=False,
        alpha=None,
        normalize_users=True,
        beta=0.5,
        gamma=0.0,
        keep_top=0,
        n_recommendations=10,
        random_state=None,
    ):
        self.recommender = recommender
        self.direction = direction
        self.loss = loss
        self.n_samples = n_samples
        self.center = center
        self.alpha = alpha
        self.normalize_users = normalize_users
        self.beta = beta
        self.gamma = gamma
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, gradients=None, user_ids=None, item_popularity=None):
        """Find the directions of popularity and conformity.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the host was trained on. Values count for ``"als"`` only.
        y : object, default=None
            Not used.
        gradients : GradientRecorder, array-like or tuple of two array-like, \
default=None
            With ``direction="recorded"``: a recorder; the gradients of items as
            positives, of shape (n_items, d) or summed to (d,); or those and the
            gradients of users. With an item bias its gradient is a last column. In a
            search pass a recorder or sums, which no fold cuts.
        user_ids : array-like of shape (n_users,), default=None
            Positions of the rows among the host's trained users, whose trained vectors
            are then used. None folds every row in.
        item_popularity : array-like of shape (n_items,) or (1, n_items), default=None
            Interactions per item, counted elsewhere; None counts those of `X`.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            For a host with a non-linear decoder, one that does not tell its loss, and
            for a direction that is 0.
        """
        check_given(self.direction, gradients)
        X = check_interactions(self, X, reset=True)
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        self._count_popularity(X, item_popularity)
        self.recommender_ = host = self._fit_host(X)
        self._check_decode()
        self.loss_ = None
        if self.direction == "positive_gradient":
            self.loss_ = self.loss or loss_of(host)
        popularity, conformity = self._find(X, user_ids, gradients)
        self.popularity_direction_ = popularity
        self.conformity_direction_ = conformity
        self._n_features_out = host.item_embeddings_.shape[1]
        self._take_coordinates()
        self._turn(None)
        return self

    def set_params(self, **params):
        """Set parameters, among them `strength`, which turns `beta` and `gamma` alike.

        Parameters
        ----------
        **params : dict
            Names and values. `strength` is set last.

        Returns
        -------
        self : object
            This estimator.
        """
        strength = params.pop("strength", None)
        super().set_params(**params)
        if strength is not None:
            self.strength = strength
        return self

    @property
    def strength(self):
        """The share `beta`, or `gamma` where `beta` is 0; setting it turns both."""
        return self.beta or self.gamma

    @strength.setter
    def strength(self, strength):
        self._check_strength(strength)
        self.beta, self.gamma = self._strengths(strength)

    def _strengths(self, strength):
        """Return the shares of items and users at a strength."""
        if strength is None:
            return self.beta, self.gamma
        if not self.beta:
            return (self.beta, strength) if self.gamma else (strength, self.gamma)
        # Both keep their proportions: it is one knob.
        return strength, self.gamma * (strength / self.beta)

    def _find(self, X, user_ids, gradients):
        """Return the directions of popularity and of conformity."""
        host = self.recommender_
        if self.direction == "recorded":
            popularity, conformity = read_gradients(
                gradients, *host.item_embeddings_.shape, host.item_bias_ is not None
            )
        else:
            seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
            by_activity = self.direction == "activity_weighted_user"
            settings = Settings(
                self.loss_, by_activity, self.normalize_users, self.n_samples,
                self.alpha, seed,
            )  # fmt: skip
            popularity, conformity = sum_host(host, settings, X, user_ids)
        popularity = unit(*popularity)
        if popularity is None:
            raise ValueError(
                "`direction` must give a sum that is not 0; got "
                f"{self.direction!r}, whose parts cancel out. Choose another; recorded "
                "gradients must be those of positives only."
            )
        conformity = unit(*(conformity or sum_centroids(host, self.item_popularity_)))
        if conformity is None:
            conformity = np.zeros_like(popularity)
        return popularity, conformity

    def _take_coordinates(self):
        host, direction = self.recommender_, self.popularity_direction_
        V, bias = host.item_embeddings_, host.item_bias_
        coordinates = V @ direction[: V.shape[1]].astype(V.dtype)
        if bias is not None:
            coordinates += bias * direction[-1].astype(bias.dtype)
        self._origin = float(coordinates.mean()) if self.center else 0.0
        self.item_coordinates_ = coordinates - np.float32(self._origin)

    def _take_new_items(self, n_new):
        super()._take_new_items(n_new)
        # The new host may be of another kind.
        self._check_decode()
        width = self.recommender_._n_features_out
        known = len(self.popularity_direction_)
        if known != width + (self.recommender_.item_bias_ is not None):
            raise ValueError(
                "`recommender` must have an item bias where the host of fit has one; "
                f"got directions of length {known} and embeddings of width {width}. "
                "Fit the model on that host."
            )
        self._take_coordinates()

    def _encode(self, X, user_ids):
        return self.recommender_.encode_users(X, user_ids)

    def _encode_span(self, X, user_ids, per_row):
        return encode_rows(self.recommender_, X, user_ids)

    def _turn(self, strength):
        beta, gamma = self._strengths(strength)
        if gamma and not self.conformity_direction_.any():
            raise ValueError(
                f"`gamma` must be 0 where there is no direction of conformity; got "
                f"{gamma}. Items that are equally popular have none."
            )
        return beta, gamma

    def _scores_tiles(self):
        # What stays of the host's top is looked up wherever it stands.
        return not self.keep_top and not self.recommender_.has_nonlinear_decode

    def _score_into(self, out, encoded, X, turned, items=slice(None)):
        host, (beta, gamma) = self.recommender_, turned
        users, ones = self._conform(encoded, gamma)
        with within_float32("beta"):
            users, ones, along = take_out(users, ones, self.popularity_direction_, beta)
        decode_into(host, out, users, items)
        with within_float32("beta"):
            if host.item_bias_ is not None and np.ndim(ones):
                # The host has added its bias once.
                out += (ones - 1.0)[:, None] * host.item_bias_[items]
            if self._origin and beta:
                out += np.float32(self._origin) * along[:, None]

    def _conform(self, users, gamma):
        """Return users without their conformity, and what stands for their ones."""
        with within_float32("gamma"):
            return take_out(users, 1.0, self.conformity_direction_, gamma)[:2]

    def _host_score_into(self, out, encoded):
        decode_into(self.recommender_, out, encoded)

    def _baked(self, encoded, turned):
        host, (beta, gamma) = self.recommender_, turned
        p = self.popularity_direction_.astype(np.float32)
        V, bias = host.item_embeddings_, host.item_bias_
        with within_float32("beta"):
            coordinates = np.float32(beta) * self.item_coordinates_
            V = V - coordinates[:, None] * p[: V.shape[1]]
        users, ones = self._conform(encoded, gamma)
        if bias is None:
            return users, V, None
        bias = bias - coordinates * p[-1]
        if not np.ndim(ones):
            return users, V, bias
        # Every user weighs the bias on its own: it has become a coordinate.
        return np.column_stack([users, ones]), np.column_stack([V, bias]), None

    def _check_decode(self):
        if self.recommender_.has_nonlinear_decode:
            raise ValueError(
                "`recommender` must score by inner products; got a host with a "
                "non-linear decoder, whose items have no embeddings to adjust. Use "
                "SteeredRecommender or PopularityPenaltyReranker."
            )
