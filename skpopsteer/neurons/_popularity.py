"""Choose the neurons that carry popularity, and weigh them."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array, issparse
from scipy.stats import false_discovery_control
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skpopsteer._compat import EstimatorMixin, Interval, StrOptions, _fit_context
from skpopsteer._validation import canonical_csr
from skpopsteer.neurons._effect_size import cohens_d
from skpopsteer.neurons._score_space import SCORE_SPACE, project_profiles


class PopularityNeuronSelector(EstimatorMixin, SelectorMixin, BaseEstimator):
    r"""Select the neurons that tell popular rows from unpopular ones.

    Either by what they fire for, as PopSteer does, or by what they do to the scores of
    popular and unpopular items.

    Parameters
    ----------
    score_func : callable or str, default=cohens_d
        A callable reads activations: ``score_func(Z, y)`` returns signed scores, or
        scores and p-values, one per neuron; `y` holds 1 for the head group and -1 for
        the tail group. The names read `item_profiles` and `item_target` of ``fit``
        instead, that is what turning a neuron adds to the score of every item, and how
        popular items are:

        - ``"score_correlation"``: correlation of the two, neuron by neuron.
        - ``"score_omp"``: a sparse regression of the target on all profiles together,
          by orthogonal matching pursuit [3]_. It selects neurons that make up for each
          other's side effects, and weighs them so that together they take from the
          scores as nearly a multiple of the target as they can.
        - ``"score_lasso"``: the same fit on neurons that the lasso selects.
    n_neurons_to_select : int or "all", default=None
        Keep this many neurons with the largest absolute scores (PopSteer v1's N). None
        and "all" keep all that pass the other conditions. The regressions keep the
        neurons they fit best with, at most as many as have independent profiles: the
        width of the embeddings where users are steered. With None they stop where the
        Bayesian information criterion says so; with "all" they are one ridge regression
        on all neurons: the strongest lever, of which no single neuron says much. Its
        penalty, .003 on weights of profiles of unit length, is there for items that
        come later.
    threshold : float, default=0.0
        Keep neurons whose absolute score is at least this (PopSteer v2's beta), in
        standard deviations for `cohens_d`. Names of `score_func` compare the absolute
        correlation, before a regression.
    head_fraction : float, default=0.2
        Where `y` is a popularity: the share of rows in the head, and in the tail.
    weighting : {"per_sign", "joint"}, default="per_sign"
        How scores become weights. ``"per_sign"`` (v2) divides by the largest absolute
        score of the same sign; ``"joint"`` (v1) maps the smallest absolute score of all
        neurons to 0 and the largest selected one to 1. Of a regression the coefficients
        are the weights, whatever is set here.
    fdr : float, default=None
        Keep neurons whose p-value passes the Benjamini-Hochberg procedure at this false
        discovery rate. None does not test.
    drop_silent : bool, default=False
        Leave out neurons that never fire. A silent neuron can have a large effect size
        on pre-activations, and PopSteer steers it.

    Attributes
    ----------
    scores_ : ndarray of shape (n_neurons,)
        Positive where the head group is higher, or the neuron raises popular items.
        Correlations for every name of `score_func`.
    p_values_ : ndarray of shape (n_neurons,) or None
        None if `score_func` returned scores only, or is a name.
    target_r2_ : float or None
        For the names of `score_func`: share of the variance of `item_target` that
        turning the selected neurons by their weights reproduces. 1 is a penalty on the
        target itself. None for a callable.
    silent_neurons_ : ndarray of shape (n_neurons,), dtype bool
        Neurons without a positive activation on the rows of ``fit``.
    steering_weights_ : ndarray of shape (n_neurons,)
        Weight in [0, 1] with the sign of the score; 0 where not selected. Coefficients
        of a regression are of any size: turned by them, the neurons add the fitted
        target to the scores, in its own unit.
    n_features_in_ : int
        Number of neurons.

    See Also
    --------
    cohens_d : The default effect size.

    Notes
    -----
    Selected are the neurons with a score other than 0 that pass every condition. With
    S the selected neurons and :math:`m = \min_j |d_j|` over all neurons,

    .. math::

        w_j^{joint} = \frac{|d_j| - m}{\max_{i \in S} |d_i| - m}, \qquad
        w_j^{per\,sign} = \frac{|d_j|}{\max_{i \in S,\, d_i d_j > 0} |d_i|}.

    In score space, with centred profiles :math:`P_j` and a centred target t, the
    regressions look for few non-zero weights that make :math:`\|\sum_j w_j P_j - t\|`
    small. In a :class:`~skpopsteer.steering.SteeredRecommender` a profile is what one
    standard deviation of the neuron adds to the scores, which ``rule="add"`` does to
    the letter; the target is log popularity, so that strength s takes s times the
    fitted log popularity from every score: the unit of
    :class:`~skpopsteer.rerankers.PopularityPenaltyReranker`. On the item side a profile
    is the activation on every item, for ``rule="offset"``. ``rule="shift"`` stops at
    0 and at the k largest: most of the neurons that would have to fall do not fire, and
    what is left of the fit is little.

    For profiles that are products of directions and item embeddings of width d, the
    regressions cost O(n_items d² + m d n_neurons) for m neurons; otherwise
    O(n_neurons² n_items + n_neurons³), less for sparse profiles. The lasso repeats its
    passes over the neurons for up to 100 penalties.

    References
    ----------
    .. [1] P. Ahmadov and M. Mansoury, arXiv:2508.17297 (joint, N neurons) and
       arXiv:2601.15122 (per sign, threshold).
    .. [2] Y. Benjamini and Y. Hochberg, "Controlling the False Discovery Rate", JRSS B
       57, 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    .. [3] Y. C. Pati, R. Rezaiifar and P. S. Krishnaprasad, "Orthogonal Matching
       Pursuit", Asilomar 1993, doi:10.1109/ACSSC.1993.342465.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import PopularityNeuronSelector
    >>> Z = np.array([[2.0, 0, 1], [3, 0, 2], [0, 2, 1], [0, 3, 2]])
    >>> selector = PopularityNeuronSelector().fit(Z, [1, 1, -1, -1])
    >>> selector.get_support()
    array([ True,  True, False])
    >>> selector.steering_weights_
    array([ 1., -1.,  0.])

    Neuron 1 raises the first item, neuron 2 the second; the first is more popular:

    >>> selector = PopularityNeuronSelector("score_omp")
    >>> profiles = np.array([[1.0, 1, 1, 1], [2, 0, 0, 0], [0, 1, 0, 0]])
    >>> selector.fit(Z, item_profiles=profiles, item_target=[4.0, 3, 1, 1])
    PopularityNeuronSelector(score_func='score_omp')
    >>> selector.steering_weights_.round(3)
    array([0. , 1.5, 2. ])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "score_func": [StrOptions(set(SCORE_SPACE)), callable],
        "n_neurons_to_select": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"all"}),
            None,
        ],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "head_fraction": [Interval(Real, 0, 0.5, closed="right")],
        "weighting": [StrOptions({"per_sign", "joint"})],
        "fdr": [Interval(Real, 0, 1, closed="neither"), None],
        "drop_silent": ["boolean"],
    }

    #: Positive strengths of a steered recommender lower popularity.
    default_strength = -1.0

    def __init__(
        self,
        score_func=cohens_d,
        *,
        n_neurons_to_select=None,
        threshold=0.0,
        head_fraction=0.2,
        weighting="per_sign",
        fdr=None,
        drop_silent=False,
    ):
        self.score_func = score_func
        self.n_neurons_to_select = n_neurons_to_select
        self.threshold = threshold
        self.head_fraction = head_fraction
        self.weighting = weighting
        self.fdr = fdr
        self.drop_silent = drop_silent

    @property
    def fits_on(self):
        """What a steered recommender must fit it on: ``"profiles"``, or any rows."""
        return "rows" if self.needs_item_profiles else "profiles"

    @property
    def needs_item_profiles(self):
        """Whether ``fit`` needs `item_profiles` and `item_target`, and no `y`."""
        return isinstance(self.score_func, str)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, Z, y=None, *, activations=None, item_profiles=None, item_target=None):
        """Score the neurons on two groups of rows, or in score space.

        Parameters
        ----------
        Z : array-like or sparse of shape (n_rows, n_neurons)
            Activations or pre-activations; in score space only to tell which neurons
            fire.
        y : array-like of shape (n_rows,), default=None
            Where it holds 1 and -1 and nothing but -1, 0 and 1: head, tail, ignored.
            Any other numbers are a popularity, whose highest and lowest `head_fraction`
            of rows become head and tail, ties by position. Needed unless `score_func`
            is a name, which does not read it.
        activations : array-like or sparse of shape (n, n_neurons), default=None
            Activations that tell which neurons fire. None takes `Z`, which is too kind
            if Z holds pre-activations: TopK may drop a positive one.
        item_profiles : array-like or sparse of shape (n_neurons, n_items), or object, \
default=None
            What turning a neuron by one unit adds to the score of every item. An object
            with `directions` (n_neurons, d) and `item_embeddings` (n_items, d) stands
            for their product, which is never made; one with `shape` and a method
            `blocks`, which yields (n, n_neurons) for all items in order, is never held
            at once.
        item_target : array-like of shape (n_items,), default=None
            What positive strengths shall lower: log popularity, or how much of any
            concept items have. Only differences between items count.

        Returns
        -------
        self : object
            Fitted selector.
        """
        Z, y = self._check_rows(Z, y)
        self.silent_neurons_ = self._find_silent(
            Z if activations is None else activations
        )
        space = None
        if self.needs_item_profiles:
            space = project_profiles(item_profiles, item_target, Z.shape[1])
            self.scores_, self.p_values_ = space.correlations(), None
        else:
            self.scores_, self.p_values_ = self._score(Z, self._group_rows(y))
        self._check_fdr()
        if self.score_func in ("score_omp", "score_lasso"):
            self.steering_weights_ = space.regress(
                self.score_func, self._passes(), self.n_neurons_to_select
            )
            self._support = self.steering_weights_ != 0
        else:
            self._support = self._select()
            self.steering_weights_ = self._weigh()
        self.target_r2_ = None if space is None else space.r2(self.steering_weights_)
        return self

    def _check_rows(self, Z, y):
        params = {"accept_sparse": "csr", "dtype": [np.float64, np.float32]}
        if self.needs_item_profiles:
            Z, y = validate_data(self, Z, **params), None
        else:
            Z, y = validate_data(self, Z, y, y_numeric=True, **params)
        return _own_form(Z), y

    def _score(self, Z, groups):
        result = self.score_func(Z, groups)
        scores, p_values = result if isinstance(result, tuple) else (result, None)
        scores = np.array(scores, dtype=np.float64)
        if scores.shape != (Z.shape[1],):
            raise ValueError(
                f"`score_func` must return one score per neuron ({Z.shape[1]}); got "
                f"shape {scores.shape}. Return scores, or (scores, p_values)."
            )
        if p_values is not None:
            p_values = np.array(p_values, dtype=np.float64)
            # Functions such as f_classif give NaN for a neuron that never varies.
            p_values[np.isnan(scores) | np.isnan(p_values)] = 1.0
        return np.nan_to_num(scores, nan=0.0), p_values

    def _group_rows(self, y):
        y = y.astype(np.float64)
        if np.isin(y, (-1, 0, 1)).all() and (y == 1).any() and (y == -1).any():
            return y
        n_rows = len(y)
        if n_rows < 2:
            raise ValueError(
                "`Z` must have at least 2 rows, one for the head and one for the tail; "
                f"got {n_rows} sample. Pass more rows."
            )
        size = min(max(1, round(self.head_fraction * n_rows)), n_rows // 2)
        order = np.argsort(-y, kind="stable")
        groups = np.zeros(n_rows, dtype=np.int8)
        groups[order[:size]] = 1
        groups[order[-size:]] = -1
        return groups

    def _check_fdr(self):
        if self.fdr is not None and self.p_values_ is None:
            raise ValueError(
                "`fdr` must be None where `score_func` gives no p-values; got "
                f"{self.fdr}. Return (scores, p_values) from score_func."
            )

    def _find_silent(self, activations):
        activations = check_array(
            activations, accept_sparse="csr", input_name="activations"
        )
        if activations.shape[1] != self.n_features_in_:
            raise ValueError(
                "`activations` must have one column per neuron "
                f"({self.n_features_in_}); got {activations.shape[1]}. "
                "Use the probe that made `Z`."
            )
        return np.asarray((_own_form(activations) > 0).sum(axis=0)).ravel() == 0

    def _passes(self):
        """Tell which neurons meet every condition but the number of them."""
        size = np.abs(self.scores_)
        passes = size >= self.threshold
        if self.fdr is not None:
            passes &= false_discovery_control(self.p_values_) <= self.fdr
        if self.drop_silent:
            passes &= ~self.silent_neurons_
        return passes

    def _select(self):
        size = np.abs(self.scores_)
        support = self._passes() & (size > 0)
        n_selected = self.n_neurons_to_select
        if n_selected not in (None, "all") and support.sum() > n_selected:
            order = np.argsort(-np.where(support, size, -1.0), kind="stable")
            support[order[n_selected:]] = False
        return support

    def _weigh(self):
        scores, support = self.scores_, self._support
        weights = np.zeros(len(scores))
        if self.weighting == "joint":
            smallest = np.abs(scores).min()
            span = np.abs(scores[support]).max(initial=smallest) - smallest
            # All alike: nothing to tell them apart by, so each gets the full weight.
            raw = (
                (np.abs(scores) - smallest) / span if span > 0 else np.ones(len(scores))
            )
            weights[support] = (np.sign(scores) * raw)[support]
            return weights
        for sign in (1, -1):
            chosen = support & (np.sign(scores) == sign)
            if chosen.any():
                weights[chosen] = scores[chosen] / np.abs(scores[chosen]).max()
        return weights

    def _get_support_mask(self):
        check_is_fitted(self)
        return self._support

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = not self.needs_item_profiles
        return tags


def _own_form(Z):
    # A comparison of scipy puts a matrix in order, and so the caller's memory.
    return canonical_csr(csr_array(Z)) if issparse(Z) else Z
