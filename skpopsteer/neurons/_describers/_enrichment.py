"""Concepts as attributes that the items of a neuron share."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from skpopsteer._compat import EstimatorMixin, Interval
from skpopsteer.neurons._describers._score_levels import best_split, score_levels


class _WeightedAttributes(NamedTuple):
    columns: np.ndarray
    weights: np.ndarray
    threshold: float


class EnrichmentDescriber(EstimatorMixin, BaseEstimator):
    r"""Describe a neuron by the attributes its items have more often than others.

    Parameters
    ----------
    max_attributes : int, default=3
        Attributes named in a label.

    Attributes
    ----------
    base_rates_ : ndarray of shape (n_attributes,)
        Share of the rows whose item has the attribute, smoothed.

    See Also
    --------
    NeuronInterpreter : Takes it as `describer`.
    TfidfDescriber : The same from words.

    Notes
    -----
    With :math:`q_a` the base rate of attribute a over all rows, :math:`c_a` how many of
    the N active cases have it, and A(i) the attributes of item i,

    .. math::

        w_a = \max\left(0, \log \frac{c_a + q_a}{(N + 1) q_a}\right), \qquad
        s(i) = \frac{1}{|A(i)|} \sum_{a \in A(i)} w_a.

    The level of an item is ``5 s(i) / t``, cut to [0, 10], where t splits the active
    from the inactive cases best; there an active case is scored by weights that the
    others give. Scored by its own attributes, thousands of tags put t above all items
    but those described. Base rates are those of the rows, not of the
    catalogue: what is frequent only because it is popular gets no weight. An item
    without attributes has the score 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import EnrichmentDescriber, NeuronInterpreter
    >>> rng = np.random.default_rng(0)
    >>> genres = np.eye(4)[np.arange(100) % 4]
    >>> items = rng.integers(100, size=1000)
    >>> Z = genres[items] * rng.random((1000, 1))
    >>> names = ["Drama", "Horror", "Noir", "War"]
    >>> interpreter = NeuronInterpreter(
    ...     describer=EnrichmentDescriber(max_attributes=1), random_state=0
    ... ).fit_activations(Z, items, item_features=(genres, names))
    >>> interpreter.labels_[3], float(interpreter.confidence_[3])
    ('War', 1.0)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "max_attributes": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, max_attributes=3):
        self.max_attributes = max_attributes

    def fit(self, shown):
        """Count how often attributes occur over all rows.

        Parameters
        ----------
        shown : ShownItems
            Items that stand for the rows.

        Returns
        -------
        self : object
            Fitted describer.
        """
        self._validate_params()
        if shown.item_features is None:
            raise ValueError(
                "`item_features` must be given for the describer 'enrichment'; got "
                "None. Pass genres or tags, or describe titles with 'tfidf'."
            )
        counts = shown.item_features.T @ np.bincount(
            shown.items, minlength=shown.item_features.shape[0]
        )
        self.base_rates_ = (counts + 1) / (len(shown) + 2)
        n_attributes = np.maximum(np.diff(shown.item_features.indptr), 1)
        self._shares = shown.item_features.multiply(
            1 / n_attributes[:, np.newaxis]
        ).tocsr()
        return self

    def describe(self, cases):
        """Weigh the attributes of the items of a neuron.

        Parameters
        ----------
        cases : NeuronCases
            With levels.

        Returns
        -------
        object
            Weights of attributes and a threshold.
        """
        shares, fires = self._shares[cases.items], cases.levels > 0
        columns, counts = np.unique(shares[fires].indices, return_counts=True)
        n_own, rates = np.count_nonzero(fires), self.base_rates_[columns]
        weights = _weigh(counts, n_own, rates)
        scores = self._score(shares, columns, weights)
        # An item has all attributes it is scored by: without it each counts one less.
        without_one = _weigh(counts - 1, n_own - 1, rates)
        scores[fires] = self._score(shares[fires], columns, without_one)
        return _WeightedAttributes(columns, weights, best_split(scores, fires))

    def predict(self, concept, cases):
        """Predict the activation levels of cases.

        Parameters
        ----------
        concept : object
            What :meth:`describe` returned.
        cases : NeuronCases
            Their levels are not looked at.

        Returns
        -------
        ndarray of shape (n_cases,)
            From 0 to 10.
        """
        shares = self._shares[cases.items]
        scores = self._score(shares, concept.columns, concept.weights)
        return score_levels(scores, concept.threshold)

    def label(self, concept, attributes):
        """Name the first of the attributes that are enriched over all active rows.

        Parameters
        ----------
        concept : object
            What :meth:`describe` returned.
        attributes : tuple of str
            Enriched attributes, best first.

        Returns
        -------
        str
            Names with commas between; empty where nothing is enriched.
        """
        return ", ".join(attributes[: self.max_attributes])

    def _score(self, shares, columns, weights):
        of_all = np.zeros(len(self.base_rates_))
        of_all[columns] = weights
        return shares @ of_all


def _weigh(counts, n_items, rates):
    return np.maximum(0.0, np.log((counts + rates) / ((n_items + 1) * rates)))
