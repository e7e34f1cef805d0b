"""The main estimator: a host, its neurons, and a knob."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skpopsteer._compat import HasMethods, Interval, StrOptions, _fit_context
from skpopsteer._spans import over_spans
from skpopsteer._user_strength import niche_taste
from skpopsteer._validation import check_interactions, check_user_ids
from skpopsteer.steering._fitting import (
    choose_form,
    fit_item_side,
    fit_user_side,
    label_items,
    read_features,
    warn_of_pass_through,
)
from skpopsteer.steering._html import PanelMixin
from skpopsteer.steering._knobs import KnobMixin
from skpopsteer.steering._rules import OFFSET, RULES


class SteeredRecommender(
    KnobMixin,
    PanelMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    MetaEstimatorMixin,
    BaseEstimator,
):
    r"""Recommend from embeddings whose popularity neurons have been turned.

    ``fit`` trains a sparse autoencoder on the host's embeddings, finds the neurons that
    carry popularity, and leaves the host alone. Recommending turns those neurons by
    `strength`: it scores with the changed embedding, or takes from the score of an item
    what its neurons tell of popularity, which is the default.

    Parameters
    ----------
    recommender : estimator
        The host: ``as_recommender(trained_model)``, which is never retrained, or an
        adapter around an untrained model, which ``fit`` trains a clone of.
    probe : estimator, default=None
        Autoencoder of the user side: anything with `transform` and `inverse_transform`;
        with `pre_activations` and `activate` too, neurons are shifted between the two.
        None is ``SparseAutoencoderProbe(2048, k=1024, max_iter=10)`` for
        ``rule="offset"`` with a selector that weighs all neurons, as None does; else
        ``SparseAutoencoderProbe()``. Seeded by `random_state`.
    selector : estimator, default=None
        Gives `steering_weights_`. None is ``PopularityNeuronSelector("score_omp",
        n_neurons_to_select="all")`` for ``rule="offset"``, else
        ``PopularityNeuronSelector()``; a ``ConceptNeuronSelector`` is a knob for a tag,
        a ``NeuronSubset`` turns chosen neurons, and a ``NeuronUnion`` turns several
        knobs at once.
    rule : str, default=None
        What turning by t (strength times weight, positive upwards) does to a neuron.
        ``"shift"`` adds t deviations to its pre-activation, before ReLU and TopK
        (PopSteer). ``"add"`` adds them to the activation itself, below 0 too, so that
        every row moves by one and the same vector: the form that a selection in score
        space reckons with. The others need activations that are not negative.
        ``"scale"`` multiplies the activation by ``exp(t)``; ``"clamp"`` bounds it where
        it fires: not above ``1 + t`` of its peak, or not below ``t`` of it;
        ``"interpolate"`` moves the share t of the activations of a row to the neurons
        that are turned up, and takes the share t from those that are turned down, with
        the mass of the row kept (From Knots to Knobs); ``"multiply"`` multiplies by
        ``1 + t``, so that -1 ablates (RecSAE); ``"hold"`` holds it at t of its peak in
        every row. ``"offset"``, for ``side="item"``, leaves embeddings alone, whatever
        `reconstruction` says, and adds t times its activation to the score of an item,
        for every user: a penalty on what the neurons of items tell of popularity. They
        read the host's item bias too, where it has one, behind the embedding. None
        is ``"shift"`` if a selector or a side is given; else ``"offset"`` on the item
        side, of the forms that weigh neurons by popularity the strongest where hosts
        were compared, for a host that has item embeddings.
    strength : float, default=1.0
        How far the knobs are turned; PopSteer's alpha (v2: alpha_pop). Of a popularity
        selector positive lowers popularity, negative raises it (surely for
        ``rule="shift"`` and ``"offset"`` only); of a concept positive gives more of it.
        The strengths of a ``NeuronUnion`` are multiplied by it. In standard deviations
        of the pre-activation for ``rule="shift"``, for a neuron of weight 1; a share
        between 0 and 1 for ``rule="interpolate"``. These do not carry over from one
        autoencoder to another. With ``rule="offset"`` strength 1 takes from an item one
        standard deviation more popular than another, as its neurons tell it, a quarter
        of the standard deviation of the scores of a user's best items, and suits any
        host. With ``rule="add"`` and ``PopularityNeuronSelector("score_omp")`` it is in
        units of score per unit of log popularity, as that of a
        ``PopularityPenaltyReranker``.
    unpopular_strength : float, default=None
        Strength for neurons of unpopular profiles (v2: alpha_unpop); None means
        `strength`.
    side : {"user", "item", "both"}, default=None
        Whose embeddings are steered; None is the item side for ``rule="offset"``, else
        the user side. The item side trains on the item embeddings and
        compares head with tail items; it needs a host that decodes by inner products.
        A shift that moves every item alike ranks nothing anew, so that there
        ``rule="scale"`` is the stronger lever.
    item_probe, item_selector : estimator, default=None
        Of the item side; None clones those of the user side.
    item_strength : float, default=None
        Strength of the item side; None means as on the user side.
    groups : PopularityGroups, default=None
        What counts as head and tail; None is ``PopularityGroups()``.
    profiles : {"synthetic", "real"}, default="synthetic"
        Groups of users the selector compares: twins of real users with items of one
        group only, or the tenth of real users with the most and least popular
        histories.
    shift_scale : {"real", "own", "opposite"}, default="real"
        Whose standard deviation one unit of strength is: real rows (PopSteer v2), the
        group the neuron belongs to (v1 as intended), the other group (v1 as coded).
    user_strength : {"profile"}, callable or None, default=None
        Multiplies the strength per user. ``"profile"`` turns further for users with
        niche histories, 1 on average over the users of ``fit``; a callable maps a CSR
        array of rows to factors (n_users,).
    reconstruction : {"residual", "replace"}, default="residual"
        ``"residual"`` keeps what the autoencoder cannot explain, so that strength 0
        gives the host's own lists exactly. ``"replace"`` is the papers' form: the
        reconstruction takes the place of the embedding.
    keep_top : int, default=0
        The host's first items of every list that stay where they are.
    n_recommendations : int, default=10
        Length of the lists.
    memory : str or joblib.Memory, default=None
        Where the training of the autoencoders is cached; never the host.
    random_state : int, RandomState instance or None, default=None
        Seed of profiles, sub-histories and default autoencoders.

    Attributes
    ----------
    recommender_ : estimator
        The fitted host.
    side_, rule_ : str
        What `side` and `rule` say, or None has become.
    probe_, item_probe_ : estimator
        Fitted autoencoders, `probe_` that of the users where both sides have one.
    selector_, item_selector_ : estimator
        Fitted selectors, likewise.
    item_popularity_ : ndarray of shape (n_items,)
        Interactions per item, counted in ``fit`` or given to it.
    n_users_ : int
        Rows of ``fit``, which the popularity was counted over; as many as the most
        popular item asks for, if it was given.
    item_groups_ : ndarray of shape (n_items,), dtype int8
        +1 head, 0 mid, -1 tail.
    n_features_in_ : int
        Number of items.

    See Also
    --------
    skpopsteer.adapters.as_recommender : Freeze a trained host.
    skpopsteer.rerankers.PopularityPenaltyReranker : The baseline to beat.

    Notes
    -----
    With pre-activations p, code z = TopK(ReLU(p)), weights w of the selector and
    deviations σ, PopSteer's shift of an embedding u is

    .. math::

        p' = p - \alpha\, w \odot \sigma, \qquad
        u' = u + W_{dec}^\top (z' - z)

    (:math:`u' = W_{dec}^\top z' + b` with ``reconstruction="replace"``). As published
    are ``reconstruction="replace"`` with ``groups=PopularityGroups("count", head=.1,
    tail=.1)`` for v2, and with ``groups=PopularityGroups("mass")``,
    ``selector=PopularityNeuronSelector(weighting="joint")`` and
    ``shift_scale="opposite"`` for v1.

    Where there are fewer than 8,192 users the autoencoder also trains on embeddings of
    random parts of their histories. Fitting costs one fold-in of those rows and of the
    profiles, and the training of the autoencoder; recommending adds one encoder product
    per row to what the host costs.

    With ``side="item"`` or ``"both"`` the factor of a user multiplies the displacement
    of the items rather than the strength, so that one set of steered items serves all.

    References
    ----------
    .. [1] P. Ahmadov and M. Mansoury, "Opening the Black Box: Interpretable Remedies
       for Popularity Bias in Recommender Systems", RecSys 2025, arXiv:2508.17297.
    .. [2] P. Ahmadov and M. Mansoury, "From Insight to Intervention: Interpretable
       Neuron Steering for Controlling Popularity Bias in Recommender Systems", WWW
       2026, arXiv:2601.15122.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.sae import SparseAutoencoderProbe
    >>> from skpopsteer.steering import SteeredRecommender
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    >>> model = SteeredRecommender(host, probe=probe, random_state=0).fit(X)
    >>> model.predict(X).shape
    (200, 10)
    >>> bool((model.recommend(X, strength=0) == host.recommend(X)).all())
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "recommender": [HasMethods(["fit"])],
        "probe": [HasMethods(["fit", "transform", "inverse_transform"]), None],
        "selector": [HasMethods(["fit"]), None],
        "rule": [StrOptions({*RULES, OFFSET}), None],
        "strength": [Interval(Real, None, None, closed="neither")],
        "unpopular_strength": [Interval(Real, None, None, closed="neither"), None],
        "side": [StrOptions({"user", "item", "both"}), None],
        "item_probe": [HasMethods(["fit", "transform", "inverse_transform"]), None],
        "item_selector": [HasMethods(["fit"]), None],
        "item_strength": [Interval(Real, None, None, closed="neither"), None],
        "groups": [HasMethods(["label"]), None],
        "profiles": [StrOptions({"synthetic", "real"})],
        "shift_scale": [StrOptions({"real", "own", "opposite"})],
        "user_strength": [StrOptions({"profile"}), callable, None],
        "reconstruction": [StrOptions({"residual", "replace"})],
        "keep_top": [Interval(Integral, 0, None, closed="left")],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
        "memory": [str, HasMethods(["cache"]), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        recommender,
        *,
        probe=None,
        selector=None,
        rule=None,
        strength=1.0,
        unpopular_strength=None,
        side=None,
        item_probe=None,
        item_selector=None,
        item_strength=None,
        groups=None,
        profiles="synthetic",
        shift_scale="real",
        user_strength=None,
        reconstruction="residual",
        keep_top=0,
        n_recommendations=10,
        memory=None,
        random_state=None,
    ):
        self.recommender = recommender
        self.probe = probe
        self.selector = selector
        self.rule = rule
        self.strength = strength
        self.unpopular_strength = unpopular_strength
        self.side = side
        self.item_probe = item_probe
        self.item_selector = item_selector
        self.item_strength = item_strength
        self.groups = groups
        self.profiles = profiles
        self.shift_scale = shift_scale
        self.user_strength = user_strength
        self.reconstruction = reconstruction
        self.keep_top = keep_top
        self.n_recommendations = n_recommendations
        self.memory = memory
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X,
        y=None,
        *,
        item_features=None,
        user_ids=None,
        item_popularity=None,
        item_groups=None,
    ):
        """Train the autoencoder on the host's embeddings and find its neurons.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommender sees; times for an order-aware host.
        y : sparse of shape (n_users, n_items) or HeldOut, default=None
            Held-out interactions: a warning tells when the autoencoder, with nothing
            turned, keeps less than 95 % of the host's NDCG on some of them. Not used
            for anything else; other objects are not looked at.
        item_features : sparse or array-like of shape (n_items, n_features), tuple, \
data frame or mapping, default=None
            What a ``ConceptNeuronSelector`` reads: a matrix of weights that are not
            negative, ``(matrix, names)``, a frame with one row per item, or vectors by
            name. Must be None where no selector reads it. Inside a search pass the
            tuple, which is never sliced.
        user_ids : array-like of shape (n_users,), default=None
            Positions of the rows among the host's trained users, whose trained vectors
            are then used. None folds every row in.
        item_popularity : array-like of shape (n_items,) or (1, n_items), default=None
            Interactions per item, counted elsewhere; None counts those of `X`.
        item_groups : array-like of shape (n_items,) or (1, n_items), default=None
            +1 head, 0 mid, -1 tail, instead of what `groups` makes of the popularity.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        self._check_host()
        X = check_interactions(self, X, reset=True)
        self._count_popularity(X, item_popularity)
        self.item_groups_ = label_items(self, item_groups)
        if not X.nnz:
            raise ValueError(
                "`X` must hold at least one interaction; got none. "
                "Popularity is counted from them."
            )
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        self.recommender_ = self._fit_host(X)
        self._user_side = self._item_side = None
        self._form = choose_form(self)
        self._check_decode()
        features = read_features(self, item_features, X.shape[1])
        rng = np.random.default_rng(
            check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        )
        if self.side_ != "item":
            self._user_side = fit_user_side(self, X, user_ids, features, rng)
        if self.side_ != "user":
            self._item_side = fit_item_side(self, X, user_ids, features, rng)
        self._n_features_out = self.recommender_._n_features_out
        taste = niche_taste(X, self.item_popularity_)
        self._mean_taste = float(np.nanmean(taste))
        warn_of_pass_through(self, X, y, user_ids)
        return self

    def fit_transform(self, X, y=None, *, user_ids=None, **fit_params):
        """Fit, and return the steered embeddings of the same rows.

        Parameters
        ----------
        X, y, user_ids, **fit_params : see :meth:`fit`
            As there.

        Returns
        -------
        ndarray of shape (n_users, d), dtype float32
            What ``transform(X, user_ids)`` returns.
        """
        return self.fit(X, y, user_ids=user_ids, **fit_params).transform(X, user_ids)

    def transform(self, X, user_ids=None):
        """Return steered user embeddings.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.

        Returns
        -------
        ndarray of shape (n_users, d), dtype float32
            The host's own embeddings with ``side="item"``.
        """
        X, user_ids = self._check_rows(X, user_ids)
        per_row = self._per_row(X)
        context = self, self._pushes(None)[0]
        return np.concatenate(over_spans(_steer_span, context, X, user_ids, per_row))

    @property
    def side_(self):
        """Whose embeddings are steered: what `side` says, or None has become."""
        check_is_fitted(self, "_form")
        return self.side or self._form[0]

    @property
    def rule_(self):
        """What turning does: what `rule` says, or None has become."""
        check_is_fitted(self, "_form")
        return self.rule or self._form[1]

    @property
    def probe_(self):
        """The fitted autoencoder, that of the users where both sides have one."""
        return self._first_side().probe

    @property
    def selector_(self):
        """The fitted selector, that of the users where both sides have one."""
        return self._first_side().selector

    @property
    def item_probe_(self):
        """The fitted autoencoder of the item side."""
        return self._side("item").probe

    @property
    def item_selector_(self):
        """The fitted selector of the item side."""
        return self._side("item").selector

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _check_host(self):
        if not hasattr(self.recommender, "encode_users"):
            raise TypeError(
                "`recommender` must be a host with encode_users and decode; got "
                f"{type(self.recommender).__name__}. Wrap a trained model: "
                "SteeredRecommender(as_recommender(model))."
            )

    def _check_decode(self):
        if self.side_ == "user" or not self.recommender_.has_nonlinear_decode:
            return
        if self.rule_ == OFFSET:
            raise ValueError(
                "`rule` must not be 'offset' for a host with a non-linear decoder, "
                "whose items have no embeddings to read; got 'offset'. Fit on that "
                "host with rule='shift'."
            )
        raise ValueError(
            "`side` must be 'user' for a host with a non-linear decoder, whose items "
            f"have no embeddings to steer; got {self.side_!r}. Set side='user'."
        )

    def _first_side(self):
        return self._side("item" if self.side_ == "item" else "user")

    def _side(self, name):
        check_is_fitted(self)
        side = getattr(self, f"_{name}_side")
        if side is None:
            raise AttributeError(
                f"`side` must include {name!r} when `fit` is called; it did not. Set "
                "side and fit again."
            )
        return side


def _steer_span(context, X, user_ids, per_row):
    model, push = context
    return model._steer_users(model._encode_span(X, user_ids, per_row), push)
