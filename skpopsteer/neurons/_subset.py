"""Neurons somebody has chosen by hand."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skpopsteer._compat import EstimatorMixin, _fit_context
from skpopsteer._validation import is_finite_number

__all__ = ["NeuronSubset"]


class NeuronSubset(EstimatorMixin, SelectorMixin, BaseEstimator):
    """Turn the neurons that are named, whatever the data say.

    For ablation and targeted tuning: neurons that were interpreted, and are now to be
    silenced, amplified or held.

    Parameters
    ----------
    neurons : list of int, or dict of int to float
        Neurons, or the weight of each; a list weighs all alike, with 1. In a
        :class:`~skpopsteer.steering.SteeredRecommender` a neuron is turned by strength
        times weight.

    Attributes
    ----------
    steering_weights_ : ndarray of shape (n_neurons,)
        The weights; 0 for neurons that are not named.
    n_features_in_ : int
        Number of neurons.

    See Also
    --------
    NeuronUnion : Several knobs at once.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import NeuronSubset
    >>> NeuronSubset({2: -0.5}).fit(np.ones((4, 3))).steering_weights_
    array([ 0. ,  0. , -0.5])
    """

    _parameter_constraints: dict = {"neurons": [list, dict, np.ndarray]}  # noqa: RUF012

    #: Any row will do: only the number of columns is read.
    fits_on = "rows"
    #: Positive turns up.
    default_strength = 1.0

    def __init__(self, neurons):
        self.neurons = neurons

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, Z, y=None):
        """Check that the neurons are there.

        Parameters
        ----------
        Z : array-like or sparse of shape (n_rows, n_neurons)
            Activations; only their number of columns is read.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted selector.
        """
        Z = validate_data(self, Z, accept_sparse="csr")
        if getattr(self.neurons, "ndim", 1) != 1:
            raise ValueError(
                "`neurons` must be a list, an array of one dimension or a dict; got "
                f"shape {self.neurons.shape}. Name the columns of the probe."
            )
        pairs = ((neuron, 1.0) for neuron in self.neurons)
        if isinstance(self.neurons, dict):
            pairs = self.neurons.items()
        steering_weights = np.zeros(Z.shape[1])
        for neuron, weight in pairs:
            # True counts as an integer, and as an index selects everything.
            known = isinstance(neuron, Integral) and not isinstance(neuron, bool)
            if (
                not known
                or not 0 <= neuron < Z.shape[1]
                or not is_finite_number(weight)
            ):
                raise ValueError(
                    f"`neurons` must be positions 0 to {Z.shape[1] - 1}, with finite "
                    f"weights; got {neuron!r}: {weight!r}. Columns of the probe's "
                    "transform are the neurons."
                )
            steering_weights[neuron] = weight
        self.steering_weights_ = steering_weights
        return self

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.steering_weights_ != 0

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
