"""Several knobs at once: named selectors side by side."""

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted, validate_data

from skpopsteer._compat import EstimatorMixin, _BaseComposition, _fit_context
from skpopsteer._validation import is_finite_number

__all__ = ["NeuronUnion", "knobs_of"]


class NeuronUnion(EstimatorMixin, SelectorMixin, _BaseComposition):
    r"""Join selectors, each of which is a knob with a name and a strength.

    In a :class:`~skpopsteer.steering.SteeredRecommender` every selector is fitted on
    the rows it asks for, and all knobs turn in one encoding and decoding.

    Parameters
    ----------
    selectors : list of tuple of (str, estimator)
        Names and selectors: anything with `steering_weights_` after ``fit``. Their
        parameters are reached as ``name__parameter``.
    strengths : dict of str to float, default=None
        Strength by name; positive means more of what the selector looks for. Without
        one a knob has the strength its selector has alone: -1 for popularity, 1 for a
        concept. ``SteeredRecommender.strength`` multiplies all of them.

    Attributes
    ----------
    selectors_ : list of tuple of (str, estimator)
        Fitted clones.
    named_selectors_ : :class:`~sklearn.utils.Bunch`
        The same by name.
    strengths_ : dict of str to float
        Strength of every knob.
    steering_weights_ : ndarray of shape (n_neurons,)
        Sum of the weights of all knobs, multiplied by their strengths; positive for
        neurons that are turned up.
    n_features_in_ : int
        Number of neurons.

    See Also
    --------
    PopularityNeuronSelector : The knob of popularity.
    ConceptNeuronSelector : A knob for a tag.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import NeuronUnion, PopularityNeuronSelector
    >>> Z = np.array([[2.0, 0, 1], [3, 0, 2], [0, 2, 1], [0, 3, 2]])
    >>> union = NeuronUnion(
    ...     [
    ...         ("all", PopularityNeuronSelector()),
    ...         ("one", PopularityNeuronSelector(n_neurons_to_select=1)),
    ...     ],
    ...     strengths={"one": -0.5},
    ... )
    >>> union.fit(Z, [1, 1, -1, -1]).steering_weights_
    array([-1.5,  1. ,  0. ])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "selectors": [list],
        "strengths": [dict, None],
    }

    #: A knob of knobs: their own strengths say which way.
    default_strength = 1.0

    def __init__(self, selectors, *, strengths=None):
        self.selectors = selectors
        self.strengths = strengths

    @property
    def named_selectors_(self):
        """Fitted selectors by name."""
        check_is_fitted(self, "selectors_")
        return Bunch(**dict(self.selectors_))

    def get_params(self, deep=True):
        """Return the parameters, those of the selectors among them.

        Parameters
        ----------
        deep : bool, default=True
            Include ``name`` and ``name__parameter`` for every selector.

        Returns
        -------
        dict of str to object
        """
        return self._get_params("selectors", deep=deep)

    def set_params(self, **params):
        """Set parameters, those of the selectors among them.

        Parameters
        ----------
        **params : dict
            Parameters by name; ``name=selector`` replaces a selector.

        Returns
        -------
        self : object
        """
        if "selectors" in params:
            self.selectors = params.pop("selectors")
        if self._holds_pairs():
            return self._set_params("selectors", **params)
        # `fit` says what is wrong with them; scikit-learn would fail to unpack them.
        return BaseEstimator.set_params(self, **params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, Z, y, **fit_params):
        """Fit every selector on the same rows.

        Parameters
        ----------
        Z : array-like or sparse of shape (n_rows, n_neurons)
            Activations or pre-activations.
        y : array-like
            What the selectors read.
        **fit_params : dict
            Handed on to every selector.

        Returns
        -------
        self : object
            Fitted union.
        """
        validate_data(self, Z, accept_sparse="csr")
        return self.fit_each(lambda selector: selector.fit(Z, y, **fit_params))

    def fit_each(self, fit_one):
        """Fit every selector on rows of its own.

        Parameters
        ----------
        fit_one : callable
            ``fit_one(selector)`` fits a clone, and returns it.

        Returns
        -------
        self : object
            Fitted union.
        """
        self._check_selectors()
        self.strengths_ = self._find_strengths()
        fitted = [(name, fit_one(clone(one))) for name, one in self.selectors]
        widths = [len(selector.steering_weights_) for _, selector in fitted]
        if len(set(widths)) > 1:
            raise ValueError(
                "`selectors` must be fitted on the neurons of one autoencoder; got "
                f"{widths} neurons. Fit them on the activations of the same probe."
            )
        self.selectors_ = fitted
        self.n_features_in_ = widths[0]
        self.steering_weights_ = sum(
            self.strengths_[name] * selector.steering_weights_
            for name, selector in fitted
        )
        return self

    def _holds_pairs(self):
        return (
            isinstance(self.selectors, list)
            and bool(self.selectors)
            and all(
                isinstance(pair, tuple) and len(pair) == 2 for pair in self.selectors
            )
        )

    def _check_selectors(self):
        if not self._holds_pairs():
            raise ValueError(
                "`selectors` must be a list of (name, selector), with one at least; "
                f"got {self.selectors!r}. For example "
                "[('popularity', PopularityNeuronSelector())]."
            )
        names = [name for name, _ in self.selectors]
        # Names must be unique, and neither parameters nor hold a double underscore.
        self._validate_names(names)
        for name, selector in self.selectors:
            if not hasattr(selector, "fit") or isinstance(selector, NeuronUnion):
                raise TypeError(
                    "`selectors` must hold selectors of neurons, no unions; got "
                    f"{type(selector).__name__} for {name!r}. Put the selectors of a "
                    "union into this one."
                )

    def _find_strengths(self):
        strengths = {
            name: default_strength(selector) for name, selector in self.selectors
        }
        for name, strength in (self.strengths or {}).items():
            if name not in strengths:
                raise ValueError(
                    f"`strengths` must name selectors ({', '.join(strengths)}); got "
                    f"{name!r}. Use the names of `selectors`."
                )
            if not is_finite_number(strength):
                raise ValueError(
                    f"`strengths` must hold finite numbers; got {strength!r} for "
                    f"{name!r}. Positive means more of it."
                )
            strengths[name] = float(strength)
        return strengths

    def _get_support_mask(self):
        check_is_fitted(self)
        weights = [selector.steering_weights_ for _, selector in self.selectors_]
        return np.any(np.array(weights) != 0, axis=0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags


def default_strength(selector):
    """Return the strength of a selector that is the only knob."""
    return float(getattr(selector, "default_strength", -1.0))


def knobs_of(selector, strengths=None):
    """Return the knobs of a fitted selector.

    Parameters
    ----------
    selector : fitted selector
        A union, or a single one.
    strengths : dict of str to float, default=None
        Of a union: the strengths of some knobs, 0 for the others, instead of its own.

    Returns
    -------
    list of tuple of (float, ndarray of shape (n_neurons,))
        Strength and weights of every knob.
    """
    if not isinstance(selector, NeuronUnion):
        return [(default_strength(selector), selector.steering_weights_)]
    own = selector.strengths_ if strengths is None else strengths
    return [
        (own.get(name, 0.0), one.steering_weights_) for name, one in selector.selectors_
    ]
