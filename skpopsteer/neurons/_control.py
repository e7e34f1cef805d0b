"""What a steering has to beat: as much of it, in no direction, or elsewhere."""

from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from skpopsteer._compat import EstimatorMixin, HasMethods, StrOptions, _fit_context
from skpopsteer.neurons._union import NeuronUnion, default_strength

__all__ = ["ControlSelector"]


class ControlSelector(EstimatorMixin, MetaEstimatorMixin, SelectorMixin, BaseEstimator):
    """Weigh neurons as another selector does, but in random directions or places.

    A random push of the same size also spreads recommendations, at a loss of accuracy.
    What a selector has found shows in how far it gets beyond these controls.

    Parameters
    ----------
    selector : estimator
        Anything with `steering_weights_` after ``fit``, but a ``NeuronUnion``, whose
        selectors are to be controlled one by one.
    control : {"signs", "permutation"}, default="signs"
        ``"signs"`` gives the absolute weights random signs; ``"permutation"`` deals the
        weights out to the neurons anew, each with its sign.
    random_state : int, RandomState instance or None, default=None
        Seed of the signs, or of the permutation.

    Attributes
    ----------
    selector_ : estimator
        The fitted clone, with the weights it found.
    steering_weights_ : ndarray of shape (n_neurons,)
        The weights of the control.
    n_features_in_ : int
        Number of neurons.

    See Also
    --------
    PopularityNeuronSelector : What is usually controlled.

    Notes
    -----
    One draw is one control: compare with several seeds.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import ControlSelector, NeuronSubset
    >>> subset = NeuronSubset({0: 1.0, 1: -0.5})
    >>> control = ControlSelector(subset, control="permutation", random_state=0)
    >>> control.fit(np.ones((2, 4))).steering_weights_
    array([ 0. ,  0. , -0.5,  1. ])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "selector": [HasMethods(["fit"])],
        "control": [StrOptions({"signs", "permutation"})],
        "random_state": ["random_state"],
    }

    def __init__(self, selector, *, control="signs", random_state=None):
        self.selector = selector
        self.control = control
        self.random_state = random_state

    @property
    def fits_on(self):
        """What a steered recommender must fit it on: as the selector says."""
        return getattr(self.selector, "fits_on", "profiles")

    @property
    def default_strength(self):
        """Strength of the selector where it is the only knob."""
        return default_strength(self.selector)

    @property
    def needs_item_profiles(self):
        """Whether ``fit`` needs `item_profiles`."""
        return getattr(self.selector, "needs_item_profiles", False)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        Z,
        y=None,
        *,
        activations=None,
        feature_names=None,
        item_profiles=None,
        item_target=None,
    ):
        """Fit the selector, and draw the control of its weights.

        Parameters
        ----------
        Z : array-like or sparse of shape (n_rows, n_neurons)
            Activations or pre-activations.
        y : array-like, default=None
            What the selector reads.
        activations : array-like or sparse of shape (n, n_neurons), default=None
            Handed on to a selector whose ``fit`` takes it.
        feature_names : array-like of shape (n_concepts,), default=None
            Likewise.
        item_profiles : array-like of shape (n_neurons, n_items), default=None
            Likewise.
        item_target : array-like of shape (n_items,), default=None
            Likewise.

        Returns
        -------
        self : object
            Fitted selector.
        """
        if isinstance(self.selector, NeuronUnion):
            raise TypeError(
                "`selector` must be one selector of neurons, no union; got "
                "NeuronUnion. Put a ControlSelector around each selector of the union."
            )
        validate_data(self, Z, accept_sparse="csr")
        given = {
            "activations": activations,
            "feature_names": feature_names,
            "item_profiles": item_profiles,
            "item_target": item_target,
        }
        selector = clone(self.selector)
        read = {
            name: value
            for name, value in given.items()
            if value is not None and has_fit_parameter(selector, name)
        }
        self.selector_ = selector.fit(Z, y, **read)
        weights = self.selector_.steering_weights_
        rng = check_random_state(self.random_state)
        if self.control == "signs":
            self.steering_weights_ = abs(weights) * rng.choice([-1, 1], len(weights))
        else:
            self.steering_weights_ = rng.permutation(weights)
        return self

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.steering_weights_ != 0

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = get_tags(self.selector).target_tags.required
        return tags
