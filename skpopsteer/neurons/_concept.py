"""Choose the neurons that stand for a concept, such as a tag or a genre."""

from numbers import Integral

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skpopsteer._compat import EstimatorMixin, Interval, StrOptions, _fit_context
from skpopsteer._validation import as_csr_array, canonical_csr
from skpopsteer.neurons._concept_columns import (
    check_concept_names,
    find_columns,
    merge_columns,
)
from skpopsteer.neurons._concept_scores import (
    ON_WEIGHTS,
    SCORE_FUNCTIONS,
    best_neurons,
    correlation_p_values,
    fire_often_enough,
    members_of,
    prepare_scores,
    score_with,
)


class ConceptNeuronSelector(EstimatorMixin, SelectorMixin, BaseEstimator):
    r"""Select the neurons that stand for a concept.

    Parameters
    ----------
    concept : str, int or list of them, default=None
        Name of a concept, number of its column, or several that count as one. None
        takes the only column there is.
    score_func : str or callable, default="point_biserial"
        How well a neuron stands for the concept; higher is better, and 0 or less is not
        at all.

        - ``"best_characterizes"``, ``"most_unique"``: TF-IDF of the activity per
          concept, see :func:`neuron_tfidf` [1]_. They read all concepts, and how much
          of them a row has.
        - ``"point_biserial"``: correlation of activation and concept, with p-values of
          the t test.
        - ``"precision"``, ``"recall"``, ``"f1"``: of firing as a guess of the concept.
        - ``"output_precision"``: average precision of the concept's items where the
          decoder's direction of the neuron ranks the items. It reads no activations.
        - A callable: ``score_func(Z, y)`` returns scores, or scores and p-values; `y`
          is 1 for rows of the concept and 0 for others (with ``rows="users"`` shares).
    n_neurons_to_select : int, default=1
        Keep this many neurons with the highest scores; ties go to the lower number.
    min_support : int, default=2
        Fewest rows of the concept a selected neuron fires on, or all of them where the
        concept has fewer. 1 is as published.
    rows : {"items", "users"}, default="items"
        What the rows are: items presented as users of one item, or real users, whose
        concepts are the shares of their histories.
    weighting : {"equal", "score"}, default="equal"
        Weights of the selected neurons: 1 each [1]_, or in proportion to the score.

    Attributes
    ----------
    scores_ : ndarray of shape (n_neurons,)
        0 where the score is undefined, as for neurons that do not vary.
    p_values_ : ndarray of shape (n_neurons,) or None
        None if `score_func` gives no p-values.
    silent_neurons_ : ndarray of shape (n_neurons,), dtype bool
        Neurons without a positive activation on the rows of ``fit``; never selected.
    steering_weights_ : ndarray of shape (n_neurons,)
        Weight in (0, 1] of the selected neurons, 0 for the others.
    n_features_in_ : int
        Number of neurons.

    See Also
    --------
    map_concepts : The neurons of all concepts in one table.
    PopularityNeuronSelector : The neurons of popularity.

    Notes
    -----
    An item is unlike the users an autoencoder was trained on: for ALS a few neurons
    fire for every one-item user, and ``"best_characterizes"``, the published choice for
    linear hosts, takes those for nearly every tag. A probe with
    ``standardize_rows=True``, as published, cures it; ``"point_biserial"`` does not
    need it. ``benchmarks/tag_knobs.py`` measures what each choice costs and reaches, on
    standardised rows, beside baselines without neurons.

    Scores of one concept cost one sparse product with `Z`; ``"output_precision"`` sorts
    the items once per neuron.

    References
    ----------
    .. [1] M. Spišák et al., "From Knots to Knobs: Towards Steerable Collaborative
       Filtering Using Sparse Autoencoders", 2026, arXiv:2601.11182.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import ConceptNeuronSelector
    >>> Z = np.array([[2.0, 0, 1], [3, 0, 0], [0, 2, 1], [0, 3, 1]])
    >>> genres = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    >>> selector = ConceptNeuronSelector("western")
    >>> selector.fit(Z, genres, feature_names=["noir", "western"]).get_support()
    array([False,  True, False])
    >>> selector.steering_weights_
    array([0., 1., 0.])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "concept": [str, Integral, list, tuple, None],
        "score_func": [StrOptions(set(SCORE_FUNCTIONS)), callable],
        "n_neurons_to_select": [Interval(Integral, 1, None, closed="left")],
        "min_support": [Interval(Integral, 1, None, closed="left")],
        "rows": [StrOptions({"items", "users"})],
        "weighting": [StrOptions({"equal", "score"})],
    }

    #: Positive strengths of a steered recommender give more of the concept.
    default_strength = 1.0

    def __init__(
        self,
        concept=None,
        *,
        score_func="point_biserial",
        n_neurons_to_select=1,
        min_support=2,
        rows="items",
        weighting="equal",
    ):
        self.concept = concept
        self.score_func = score_func
        self.n_neurons_to_select = n_neurons_to_select
        self.min_support = min_support
        self.rows = rows
        self.weighting = weighting

    @property
    def fits_on(self):
        """What a steered recommender must fit it on: ``"items"`` or ``"users"``."""
        return self.rows

    @property
    def needs_item_profiles(self):
        """Whether ``fit`` needs `item_profiles`."""
        return self.score_func == "output_precision"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, Z, y, *, feature_names=None, item_profiles=None):
        """Score the neurons on rows that have the concept and rows that do not.

        Parameters
        ----------
        Z : array-like or sparse of shape (n_rows, n_neurons)
            Activations, 0 where a neuron does not fire.
        y : array-like or sparse of shape (n_rows, n_concepts) or (n_rows,)
            How much of every concept a row has, not negative: 1, how often an item was
            given a tag, or the share of a history.
        feature_names : array-like of shape (n_concepts,), default=None
            Names that `concept` is looked up in. None takes the columns of a frame, or
            their numbers.
        item_profiles : array-like of shape (n_neurons, n_items), default=None
            Scores that the decoder's direction of every neuron gives to the items, for
            ``score_func="output_precision"``. Anything with `shape` whose slices are
            arrays does, so that it need not be in memory.

        Returns
        -------
        self : object
            Fitted selector.
        """
        if feature_names is None:
            feature_names = getattr(y, "columns", None)
        Z, y = validate_data(
            self,
            Z,
            y,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            multi_output=True,
            y_numeric=True,
        )
        Z = canonical_csr(csr_array(Z)) if issparse(Z) else Z
        T = _check_concepts(y)
        names = check_concept_names("feature_names", feature_names, T.shape[1])
        T, column = merge_columns(T, find_columns(self.concept, names))
        if not T[:, [column]].sum():
            raise ValueError(
                f"`concept` must occur in `y`; got {self.concept!r} in 0 of "
                f"{T.shape[0]} samples. Choose another, or check the order of rows."
            )
        self._check_score_func(T)
        self.scores_, self.p_values_ = self._score(Z, T, column, item_profiles)
        Z = csr_array(Z)
        self.silent_neurons_ = np.asarray((Z > 0).sum(axis=0)).ravel() == 0
        enough = fire_often_enough(Z, T, self.min_support)(np.array([column]))[0]
        self._support = self._select(enough)
        self.steering_weights_ = self._weigh()
        return self

    def _check_score_func(self, T):
        if self.score_func == "output_precision" and self.rows == "users":
            raise ValueError(
                "`rows` must be 'items' for score_func='output_precision', which asks "
                "which items have the concept; got 'users'. Use another score_func."
            )
        if self.score_func == "most_unique" and T.shape[1] < 2:
            raise ValueError(
                "`y` must hold at least two concepts for score_func='most_unique', "
                "which compares them; got one. Use another score_func."
            )

    def _score(self, Z, T, column, item_profiles):
        if callable(self.score_func):
            return score_with(self.score_func, Z, members_of(T, self.rows), column)
        score = prepare_scores(
            self.score_func, Z, T, rows=self.rows, item_profiles=item_profiles
        )
        scores = score(np.array([column]))[0]
        if self.score_func == "point_biserial":
            return scores, correlation_p_values(scores, Z.shape[0])
        return scores, None

    def _select(self, enough):
        if not enough.any():
            raise ValueError(
                "`min_support` must leave neurons that fire for the concept; got "
                f"{self.min_support}, and none does for {self.concept!r}. Lower it, or "
                "choose another concept."
            )
        best = best_neurons(self.scores_[None], enough[None], self.n_neurons_to_select)
        support = np.zeros_like(enough)
        support[best[best >= 0]] = True
        return support

    def _weigh(self):
        weights = np.where(self._support, 1.0, 0.0)
        best = self.scores_[self._support].max()
        if self.weighting == "score" and best > 0:
            weights *= self.scores_ / best
        return weights

    def _get_support_mask(self):
        check_is_fitted(self)
        return self._support

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = self.score_func in ON_WEIGHTS
        tags.target_tags.required = True
        return tags


def _check_concepts(y):
    T = as_csr_array(y if issparse(y) else np.asarray(y).reshape(len(y), -1))
    T = canonical_csr(T.astype(np.float64, copy=False))
    if (T.data < 0).any():
        raise ValueError(
            f"`y` must say how much of a concept a row has, >= 0; got {T.data.min():g}."
            " Use 0 for rows without it."
        )
    return T
