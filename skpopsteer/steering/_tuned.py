"""Turn the knob until a target is reached, and no further."""

import copy
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skpopsteer._compat import (
    EstimatorMixin,
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from skpopsteer._validation import check_interactions, check_user_ids
from skpopsteer.metrics import RecommenderScorer
from skpopsteer.metrics._bootstrap import recentred_interval
from skpopsteer.model_selection import HeldOut
from skpopsteer.steering._candidates import (
    Users,
    compare_candidates,
    fit_on,
    shared_memory,
    tune,
    with_seed,
)
from skpopsteer.steering._strength_search import make_search, one_metric


class TunedSteeringCV(EstimatorMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Find the strength that reaches a target at the least loss.

    "Reach a tail share of 0.30 with the least loss of NDCG", or "the lowest Gini within
    3 % of NDCG": one score is maximised while another is kept above a floor. Strengths
    are searched on one fitted model, whose host encodes the users once; other
    parameters are compared by cross-validation.

    Parameters
    ----------
    estimator : estimator
        A recommender with a `strength`:
        :class:`~skpopsteer.steering.SteeredRecommender` or a reranker.
    objective : str or RecommenderScorer, default="ndcg@10"
        What to maximise: a name for :func:`~skpopsteer.metrics.get_scorer` or what
        :func:`~skpopsteer.metrics.make_recommender_scorer` makes.
    constraint : str or RecommenderScorer, default="tail_share@10"
        What to keep above the floor. Losses carry a minus sign in both.
    target : float, default=None
        The floor, in the unit of `constraint`.
    within : float, default=None
        Instead of `target`: the share of the host's own score that may be lost, in [0,
        1). 0.03 keeps 97 % of the NDCG.
    strengths : array-like of float, default=None
        Where to look first; the search stays between the lowest and the highest. None
        takes 0 and the powers of two from 1/16 to 64 times the estimator's `strength`,
        and up to 4,096 times where the target asks for it.
    param_grid : dict or list of dicts, default=None
        Other parameters to compare, as for ``GridSearchCV``: `side`, `rule`,
        `user_strength`, ``selector__n_neurons_to_select``. None compares nothing.
    tol : float, default=1e-3
        How far above the floor the constraint may stay, in its unit.
    cv : int, cross-validation generator, iterable or "prefit", default=5
        Folds of users. Each is scored at the strength that was found on the others.
        ``"prefit"``, or an estimator in a ``FrozenEstimator``, searches the strength of
        a fitted estimator only; nothing is fitted, and it is left as it is.
    n_boot : int, default=1000
        Draws of users for `interval_`.
    n_jobs : int, default=None
        Candidates and folds fitted at the same time.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws, and of the estimator's `random_state` where that is not an
        int: all candidates share one.

    Attributes
    ----------
    best_estimator_ : estimator
        Fitted on all users, with the strength that was found.
    best_strength_ : float
        That strength.
    best_params_ : dict
        The candidate of `param_grid`, and the strength.
    best_score_, constraint_score_ : float
        Objective and constraint on the users of ``fit``, which the strength was found
        on. ``cv_results_`` has those of users it was not found on.
    floor_ : float
        The target, or what `within` made of the host's score.
    reached_ : bool
        Whether `constraint_score_` is at least `floor_`.
    interval_ : tuple of float
        Interval of 95 % of `constraint_score_`, bootstrap over users.
    path_ : :class:`~sklearn.utils.Bunch`
        `strengths`, `objective` and `constraint`, ndarrays of shape (n_measured,): all
        that was measured on the way, by ascending strength.
    cv_results_ : dict of str to list or ndarray
        One entry per candidate: ``params``, ``param_*``, ``mean_strength`` (over
        folds), ``mean_shortfall`` and ``reached`` (where it was found), mean, std and
        ``split*_test_objective`` and ``_constraint``. Empty with ``cv="prefit"``.
    n_features_in_ : int
        Number of items.

    Raises
    ------
    ValueError
        For a target outside the range of the constraint, before anything is fitted.

    Warns
    -----
    UserWarning
        When no strength reaches the target. The nearest is taken.

    See Also
    --------
    steering_path : The whole curve.
    skpopsteer.model_selection.best_subject_to : The same choice for ``GridSearchCV``.

    Notes
    -----
    With objective f, constraint g and floor c this is

    .. math:: \max_s f(s) \quad \text{subject to} \quad g(s) \ge c .

    Strengths are scanned, each crossing of the floor is bisected until g exceeds c by
    at most `tol`, and the best strength measured is taken, or one that just meets the
    floor if that is within .5 % of it; neither score has to be monotone. Some 30
    strengths are measured a fit; each costs the scores and the lists. A strength does
    not carry over from one autoencoder to another: every fold has its own, and that of
    the best candidate is found anew after it is fitted on all users. Without a `memory`
    of the estimator candidates share a temporary one.

    References
    ----------
    .. [1] Y. Haimes, L. Lasdon and D. Wismer, "On a Bicriterion Formulation of the
       Problems of Integrated System Identification and System Optimization", IEEE
       Transactions on Systems, Man, and Cybernetics 1(3), 1971,
       doi:10.1109/TSMC.1971.4308298: one criterion as a constraint.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.model_selection import hide_interactions
    >>> from skpopsteer.rerankers import PopularityPenaltyReranker
    >>> from skpopsteer.steering import TunedSteeringCV
    >>> X, y = hide_interactions(
    ...     make_interactions(200, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> tuned = TunedSteeringCV(PopularityPenaltyReranker(host), target=0.7, cv=2)
    >>> tuned = tuned.fit(X, y)
    >>> tuned.reached_, round(tuned.constraint_score_, 2)
    (True, 0.7)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "estimator": [HasMethods(["fit", "recommend"])],
        "objective": [str, RecommenderScorer],
        "constraint": [str, RecommenderScorer],
        "target": [Interval(Real, None, None, closed="neither"), None],
        "within": [Interval(Real, 0, 1, closed="left"), None],
        "strengths": ["array-like", None],
        "param_grid": [dict, list, None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "cv": ["cv_object", StrOptions({"prefit"})],
        "n_boot": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [
            Interval(Integral, None, -1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        objective="ndcg@10",
        constraint="tail_share@10",
        target=None,
        within=None,
        strengths=None,
        param_grid=None,
        tol=1e-3,
        cv=5,
        n_boot=1000,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.objective = objective
        self.constraint = constraint
        self.target = target
        self.within = within
        self.strengths = strengths
        self.param_grid = param_grid
        self.tol = tol
        self.cv = cv
        self.n_boot = n_boot
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, user_ids=None, **fit_params):
        """Compare the candidates, fit the best on all users, and find its strength.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions the recommender sees.
        y : sparse of shape (n_users, n_items), array-like of shape (n_users,) or \
HeldOut
            Held-out interactions, which the strength is found on.
        user_ids : array-like of shape (n_users,), default=None
            Positions of trained users; None folds every row in.
        **fit_params : dict
            What else the estimator's ``fit`` reads; handed on whole.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        search = self._search()
        rng = check_random_state(self.random_state)
        users = self._users(X, y, user_ids, fit_params)
        frozen = isinstance(self.estimator, FrozenEstimator)
        if frozen or isinstance(self.cv, str):
            check_is_fitted(self.estimator)
            # A copy of the shell, whose strength is set below; the fitted parts are
            # shared with the caller's estimator and only read.
            model = copy.copy(self.estimator.estimator if frozen else self.estimator)
            params, self.cv_results_ = {}, {}
        else:
            base = with_seed(self.estimator, rng)
            params = self._choose(base, users, search)
            model = fit_on(clone(base).set_params(**params), users)
        strength, self.reached_, self.floor_, curve = tune(model, users, search)
        self.best_estimator_ = model._set_strength(strength)
        self.best_strength_ = strength
        self.best_params_ = {**params, "strength": strength}
        self.best_score_, self.constraint_score_ = curve.measure(strength)
        self.path_ = curve.path()
        self.interval_ = self._interval(search.goal.constraint, users, curve, rng)
        if not self.reached_:
            self._warn_of_the_nearest()
        return self

    def predict(self, X, user_ids=None):
        """Recommend `n_recommendations` unseen items to every row.

        Parameters
        ----------
        X, user_ids : see :meth:`recommend`
            As there.

        Returns
        -------
        ndarray of shape (n_users, n_recommendations), dtype int64
            Item positions, best first, padded with -1.
        """
        return self._fitted().predict(X, user_ids=user_ids)

    def recommend(self, X, n_recommendations=None, **params):
        """Recommend items to every row, at the strength that was found.

        Parameters
        ----------
        X : array-like or sparse of shape (n_users, n_items)
            Interactions.
        n_recommendations : int, default=None
            Length of the lists; None takes the estimator's own.
        **params : dict
            What ``recommend`` of the estimator takes, `user_ids` among them.

        Returns
        -------
        ndarray of shape (n_users, n_recommendations), dtype int64
            As ``recommend`` of the estimator.
        """
        return self._fitted().recommend(X, n_recommendations, **params)

    def decision_function(self, X, user_ids=None):
        """Score every item for every row, seen items included.

        Parameters
        ----------
        X, user_ids : see :meth:`recommend`
            As there.

        Returns
        -------
        ndarray of shape (n_users, n_items), dtype float32
        """
        return self._fitted().decision_function(X, user_ids=user_ids)

    def score(self, X, y, user_ids=None):
        """Return the objective on held-out interactions.

        Parameters
        ----------
        X, y, user_ids : see :meth:`fit`
            As there.

        Returns
        -------
        float
            Higher is better.
        """
        return one_metric(self.objective)(self._fitted(), X, y, user_ids=user_ids)

    @property
    def n_recommendations(self):
        """Length of the lists: the estimator's own."""
        return getattr(self, "best_estimator_", self.estimator).n_recommendations

    @property
    def item_popularity_(self):
        """Interactions per item in ``fit``, of shape (n_items,)."""
        return self._fitted().item_popularity_

    @property
    def item_groups_(self):
        """+1 head, 0 mid, -1 tail, of shape (n_items,); not of every estimator."""
        return self._fitted().item_groups_

    @property
    def n_users_(self):
        """Rows of ``fit``, which the popularity was counted over."""
        return self._fitted().n_users_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = True
        return tags

    def _fitted(self):
        check_is_fitted(self)
        return self.best_estimator_

    def _search(self):
        if not hasattr(self.estimator, "_lister"):
            raise TypeError(
                "`estimator` must be a recommender with a strength; got "
                f"{type(self.estimator).__name__}. Wrap a host in SteeredRecommender."
            )
        return make_search(
            self.objective, self.constraint, self.target, self.within, self.strengths,
            self.tol,
        )  # fmt: skip

    def _users(self, X, y, user_ids, fit_params):
        X = check_interactions(self, X, reset=True)
        y = HeldOut(y)
        if len(y) != X.shape[0]:
            raise ValueError(
                f"`y` must have one row per row of `X` ({X.shape[0]}); got {len(y)}. "
                "hide_interactions(X) makes X_seen and y."
            )
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        return Users(X, y, user_ids, fit_params)

    def _choose(self, base, users, search):
        """Compare the candidates, and return the parameters of the best."""
        candidates = list(ParameterGrid(self.param_grid or {}))
        for params in candidates:
            clone(base).set_params(**params)
        try:
            folds = list(check_cv(self.cv).split(users.X))
        except TypeError as error:
            raise TypeError(
                f"`cv` must be what splits rows into folds; got {self.cv!r}. Pass a "
                "number of folds."
            ) from error
        if not folds:
            raise ValueError(
                "`cv` must give pairs of training and test rows, one at least; got "
                f"{self.cv!r}. Pass a number of folds."
            )
        with shared_memory(base) as shared:
            self.cv_results_ = results = compare_candidates(
                shared, candidates, users, folds, search, self.n_jobs
            )
        # Those that reach the target by the objective, the others by what they miss.
        order = np.lexsort((-results["mean_test_objective"], results["mean_shortfall"]))
        return candidates[order[0]]

    def _interval(self, constraint, users, curve, rng):
        lists = curve.lists(self.best_strength_)
        draws = constraint.bootstrap_lists(
            curve.model, users.X, users.y, lists, n_boot=self.n_boot, random_state=rng
        )
        (draws,) = draws.values()
        return tuple(recentred_interval(draws, self.constraint_score_).tolist())

    def _warn_of_the_nearest(self):
        (name,) = one_metric(self.constraint).metrics
        tried = self.path_.strengths
        parameter = "within" if self.target is None else "target"
        warnings.warn(
            f"`{parameter}` must be within reach of strengths {tried[0]:g} to "
            f"{tried[-1]:g}; got {self.floor_:.4g} for {name}. The nearest is "
            f"{self.constraint_score_:.4g}, at strength {self.best_strength_:.4g}. Try "
            "another side, rule or selector in param_grid, keep_top=0, or "
            "PopularityPenaltyReranker.",
            stacklevel=3,
        )
