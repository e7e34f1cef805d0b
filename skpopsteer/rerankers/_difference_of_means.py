"""Shift every user along the line from unpopular to popular tastes."""

import numpy as np
from sklearn.utils import check_random_state

from skpopsteer._compat import HasMethods, StrOptions
from skpopsteer._post_hoc import within_float32
from skpopsteer._profiles import encode_twins, extreme_users
from skpopsteer.adapters._base import decode_into
from skpopsteer.adapters._export import bake
from skpopsteer.popularity import PopularityGroups
from skpopsteer.rerankers._score_rule import (
    SCORE_RULE_CONSTRAINTS,
    ScoreRule,
    name_of,
    of_rows,
    scores_by_products,
)


class DifferenceOfMeansReranker(ScoreRule):
    r"""Shift user embeddings against the direction of popular tastes.

    The direction is the mean embedding of users who like popular items only, less that
    of users who like unpopular items only. It is what neuron steering has to beat
    without an autoencoder.

    Parameters
    ----------
    recommender : estimator
        The host, as for :class:`~skpopsteer.steering.SteeredRecommender`.
    strength : float, default=0.3
        How far to shift, in differences of the two means. Positive lowers popularity; 0
        gives the host's lists.
    groups : PopularityGroups, default=None
        What counts as head and tail; None is ``PopularityGroups()``.
    profiles : {"synthetic", "real"}, default="synthetic"
        Groups of users that are compared: twins of real users with items of one group
        only, or the tenth of real users with the most and least popular histories.
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user, as for
        :class:`~skpopsteer.steering.SteeredRecommender`.
    pool_size : int, default=None
        Choose among the host's best items of every row, so many; None is the whole
        catalogue.
    keep_top : int, default=0
        The host's first items of every list that stay where they are.
    n_recommendations : int, default=10
        Length of the lists.
    random_state : int, RandomState instance or None, default=None
        Seed of the synthetic profiles.

    Attributes
    ----------
    recommender_ : estimator
        The fitted host.
    direction_ : ndarray of shape (d,), dtype float32
        The difference of the two means.
    item_groups_ : ndarray of shape (n_items,), dtype int8
        +1 head, 0 mid, -1 tail.
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    n_users_ : int
        Rows of ``fit``, which the popularity was counted over; as many as the most
        popular item asks for, if it was given.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    skpopsteer.steering.SteeredRecommender : Steering by neurons.

    Notes
    -----
    With the mean embeddings :math:`\mu^+` of popular and :math:`\mu^-` of unpopular
    profiles,

    .. math::

        u' = u - t \delta, \quad \delta = \mu^+ - \mu^-, \qquad
        s'_{ui} = s_{ui} - t \langle \delta, v_i \rangle .

    For inner products a shift that is the same for all users is a penalty per item. A
    host with a non-linear decoder decodes the shifted embedding, and then serves no
    pool. Fitting costs one fold-in of the profiles; recommending, one subtraction per
    score over the host's.

    Its neighbour steers the dimensions of the embedding one by one, by their effect
    size, as PopSteer steers neurons:
    ``SteeredRecommender(host, probe=FunctionTransformer())``, with the transformer of
    :mod:`sklearn.preprocessing` for an autoencoder that changes nothing. Both show what
    an autoencoder adds.

    References
    ----------
    .. [1] A. Turner et al., "Steering Language Models With Activation Engineering",
       2023, arXiv:2308.10248: differences of activations as directions to steer in.
    .. [2] L. Liu et al., "Rethinking Popularity Bias in Collaborative Filtering via
       Analytical Vector Decomposition", KDD 2026, arXiv:2512.10688: a popularity
       direction from the means of items, and a step along it for every user.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.rerankers import DifferenceOfMeansReranker
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = DifferenceOfMeansReranker(host, random_state=0).fit(X)
    >>> before = model.item_popularity_[model.recommend(X, strength=0)].mean()
    >>> bool(model.item_popularity_[model.predict(X)].mean() < before)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **SCORE_RULE_CONSTRAINTS,
        "groups": [HasMethods(["label"]), None],
        "profiles": [StrOptions({"synthetic", "real"})],
        "random_state": ["random_state"],
    }

    # A shift of a user is part of the user's vector, whatever its length.
    _exported_with: dict = {"pool_size": None}  # noqa: RUF012

    def __init__(
        self,
        recommender,
        *,
        strength=0.3,
        groups=None,
        profiles="synthetic",
        user_strength=None,
        pool_size=None,
        keep_top=0,
        n_recommendations=10,
        random_state=None,
    ):
        self.recommender = recommender
        self.strength = strength
        self.groups = groups
        self.profiles = profiles
        self.user_strength = user_strength
        self.pool_size = pool_size
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations
        self.random_state = random_state

    def _learn(self, X, user_ids):
        host = self.recommender_
        if not hasattr(host, "encode_users"):
            raise TypeError(
                "`recommender` must be a host with encode_users and decode; got "
                f"{name_of(host)}. Wrap a trained model: as_recommender(model)."
            )
        groups = self.groups or PopularityGroups()
        self.item_groups_ = groups.label(self.item_popularity_)
        if self.profiles == "real":
            users, side = extreme_users(X, self.item_popularity_)
            ids = None if user_ids is None else user_ids[users]
            embeddings = host.encode_users(X[users], ids)
        else:
            rng = check_random_state(self.random_state)
            embeddings, side = encode_twins(host, X, self.item_groups_, rng)
        popular, unpopular = (
            embeddings[side == sign].mean(axis=0, dtype=np.float64) for sign in (1, -1)
        )
        self.direction_ = (popular - unpopular).astype(np.float32)

    def _describe_items(self):
        self._item_shift = None
        if scores_by_products(self.recommender_):
            self._item_shift = self.recommender_.item_embeddings_ @ self.direction_
        elif self.pool_size is not None:
            self._refuse_pool()

    def _refuse_pool(self):
        raise ValueError(
            "`pool_size` must be None for a host with a non-linear decoder, which "
            f"tells nothing of single items; got {self.pool_size}. Set it to None."
        )

    def _take_new_items(self, n_new):
        super()._take_new_items(n_new)
        self.item_groups_ = np.pad(self.item_groups_, (0, n_new), constant_values=-1)

    def _score_into(self, out, encoded, X, turned):
        if self._item_shift is None:
            decode_into(self.recommender_, out, self._shift(encoded, turned))
        else:
            super()._score_into(out, encoded, X, turned)

    def _shift(self, encoded, turned):
        with within_float32():
            change = of_rows(turned, encoded.factors) * self.direction_
            return encoded.embeddings - change

    def _rescore(self, scores, items, t):
        if self._item_shift is None:
            self._refuse_pool()
        scores -= t * self._item_shift[items]

    def _baked(self, encoded, turned):
        return bake(self.recommender_, self._shift(encoded, turned))
