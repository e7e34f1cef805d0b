"""Names of neurons: numbers until somebody knows what they mean."""

from collections import Counter
from collections.abc import Mapping
from numbers import Integral

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

__all__ = ["NeuronLabelsMixin"]


class NeuronLabelsMixin(ClassNamePrefixFeaturesOutMixin):
    """Mixin that lets neurons carry labels, which then name the columns.

    A subclass sets `neuron_labels_`, empty, where it is fitted anew.
    """

    def label_neurons(self, labels):
        """Say what neurons mean; their columns are called so from then on.

        Parameters
        ----------
        labels : dict of int to str
            Label by neuron, added to those given before; an empty one takes the
            neuron's label away.

        Returns
        -------
        self : object
            The probe.
        """
        check_is_fitted(self)
        n_neurons = self._n_features_out
        if not isinstance(labels, Mapping):
            raise TypeError(
                "`labels` must be a dict of neurons to strings; got "
                f"{type(labels).__name__}. Write {{0: 'noir'}}."
            )
        for neuron, label in labels.items():
            number = isinstance(neuron, Integral) and not isinstance(neuron, bool)
            known = number and 0 <= neuron < n_neurons
            if not known or not isinstance(label, str):
                raise ValueError(
                    f"`labels` must map neurons, 0 to {n_neurons - 1}, to strings; got "
                    f"{neuron!r}: {label!r}. The columns of transform are the neurons."
                )
        given = {int(neuron): label for neuron, label in labels.items()}
        merged = {**self.neuron_labels_, **given}
        self.neuron_labels_ = {n: text for n, text in merged.items() if text}
        return self

    def get_feature_names_out(self, input_features=None):
        """Return the names of the neurons.

        Parameters
        ----------
        input_features : None
            Only validated.

        Returns
        -------
        ndarray of shape (n_neurons,), dtype object
            The label of a neuron, followed by its number where several have the same;
            the name of the class and the number where there is none.
        """
        names = super().get_feature_names_out(input_features)
        often = Counter(self.neuron_labels_.values())
        # A label must not be taken for the name of another neuron either.
        often.update(names.tolist())
        for neuron, label in self.neuron_labels_.items():
            names[neuron] = label if often[label] == 1 else f"{label} ({neuron})"
        return np.asarray(names, dtype=object)
