"""Choose the neurons that carry popularity, and weigh them."""

from numbers import Integral, Real

import numpy as np
from scipy.stats import false_discovery_control
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skpopsteer._compat import EstimatorMixin, Interval, StrOptions, _fit_context
from skpopsteer.neurons._effect_size import cohens_d


class PopularityNeuronSelector(EstimatorMixin, SelectorMixin, BaseEstimator):
    r"""Select the neurons that tell popular rows from unpopular ones.

    Parameters
    ----------
    score_func : callable, default=cohens_d
        ``score_func(Z, y)`` returns signed scores, or scores and p-values, one per
        neuron; `y` holds 1 for the head group and -1 for the tail group.
    n_neurons_to_select : int, default=None
        Keep this many neurons with the largest absolute scores (PopSteer v1's N). None
        keeps all that pass the other conditions.
    threshold : float, default=0.0
        Keep neurons whose absolute score is at least this (PopSteer v2's beta), in
        standard deviations for `cohens_d`.
    head_fraction : float, default=0.2
        Where `y` is a popularity: the share of rows in the head, and in the tail.
    weighting : {"per_sign", "joint"}, default="per_sign"
        How scores become weights. ``"per_sign"`` (v2) divides by the largest absolute
        score of the same sign; ``"joint"`` (v1) maps the smallest absolute score of all
        neurons to 0 and the largest selected one to 1.
    fdr : float, default=None
        Keep neurons whose p-value passes the Benjamini-Hochberg procedure at this false
        discovery rate. None does not test.
    drop_silent : bool, default=False
        Leave out neurons that never fire. A silent neuron can have a large effect size
        on pre-activations, and PopSteer steers it.

    Attributes
    ----------
    scores_ : ndarray of shape (n_neurons,)
        Positive where the head group is higher.
    p_values_ : ndarray of shape (n_neurons,) or None
        None if `score_func` returned scores only.
    silent_neurons_ : ndarray of shape (n_neurons,), dtype bool
        Neurons without a positive activation on the rows of ``fit``.
    steering_weights_ : ndarray of shape (n_neurons,)
        Weight in [0, 1] with the sign of the score; 0 where not selected.
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

    References
    ----------
    .. [1] P. Ahmadov and M. Mansoury, arXiv:2508.17297 (joint, N neurons) and
       arXiv:2601.15122 (per sign, threshold).
    .. [2] Y. Benjamini and Y. Hochberg, "Controlling the False Discovery Rate", JRSS B
       57, 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.

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
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "score_func": [callable],
        "n_neurons_to_select": [Interval(Integral, 1, None, closed="left"), None],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "head_fraction": [Interval(Real, 0, 0.5, closed="right")],
        "weighting": [StrOptions({"per_sign", "joint"})],
        "fdr": [Interval(Real, 0, 1, closed="neither"), None],
        "drop_silent": ["boolean"],
    }

    #: What a steered recommender must fit it on.
    fits_on = "profiles"
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, Z, y, *, activations=None):
        """Score the neurons on two groups of rows.

        Parameters
        ----------
        Z : array-like or sparse of shape (n_rows, n_neurons)
            Activations or pre-activations.
        y : array-like of shape (n_rows,)
            Where it holds 1 and -1 and nothing but -1, 0 and 1: head, tail, ignored.
            Any other numbers are a popularity, whose highest and lowest `head_fraction`
            of rows become head and tail, ties by position.
        activations : array-like or sparse of shape (n, n_neurons), default=None
            Activations that tell which neurons fire. None takes `Z`, which is too kind
            if Z holds pre-activations: TopK may drop a positive one.

        Returns
        -------
        self : object
            Fitted selector.
        """
        Z, y = validate_data(
            self,
            Z,
            y,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            y_numeric=True,
        )
        self.scores_, self.p_values_ = self._score(Z, self._group_rows(y))
        self._check_fdr()
        self.silent_neurons_ = self._find_silent(
            Z if activations is None else activations
        )
        self._support = self._select()
        self.steering_weights_ = self._weigh()
        return self

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
        return np.asarray((activations > 0).sum(axis=0)).ravel() == 0

    def _select(self):
        size = np.abs(self.scores_)
        support = (size >= self.threshold) & (size > 0)
        if self.fdr is not None:
            support &= false_discovery_control(self.p_values_) <= self.fdr
        if self.drop_silent:
            support &= ~self.silent_neurons_
        n_selected = self.n_neurons_to_select
        if n_selected is not None and support.sum() > n_selected:
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
        tags.target_tags.required = True
        return tags
