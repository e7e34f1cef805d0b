"""Concepts as words that the items of a neuron share."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer

from skpopsteer._compat import EstimatorMixin, HasMethods, Interval
from skpopsteer.neurons._describers._score_levels import best_split, score_levels

#: Hyphens and apostrophes stay inside a word (sci-fi, children's), and single letters
#: are words: an attribute may be called "R".
_WORDS = r"(?u)\w(?:[\w'-]*\w)?"


class _WeightedTerms(NamedTuple):
    columns: np.ndarray
    weights: np.ndarray
    n_items: np.ndarray
    threshold: float


class TfidfDescriber(EstimatorMixin, BaseEstimator):
    r"""Describe a neuron by the words of its items' titles and attributes.

    Parameters
    ----------
    vectorizer : object, default=None
        Turns texts into rows of term weights: an unfitted TfidfVectorizer or its like,
        with ``fit_transform`` and ``get_feature_names_out``. None is a TfidfVectorizer
        that keeps hyphens inside words and words of one letter.
    max_terms : int, default=3
        Terms named in a label.

    Attributes
    ----------
    vectorizer_ : object
        The fitted vectorizer.

    See Also
    --------
    NeuronInterpreter : Takes it as `describer`.
    EnrichmentDescriber : The same from attributes alone.

    Notes
    -----
    The text of an item is its title and the names of its attributes. With x(i) its row
    of weights and m the mean of x over all rows, the concept is the mean of x over the
    active cases minus m, and the score of an item its product with x(i). The level is
    ``5 s(i) / t``, cut to [0, 10], where t > 0 splits the active from the inactive
    cases best; there an active case is scored by the mean of the others, or the words
    it alone has would raise t. Titles mostly recognise items that were shown before:
    keep ``distinct_items=True``.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import NeuronInterpreter
    >>> rng = np.random.default_rng(0)
    >>> subject = np.arange(100) % 2
    >>> titles = [f"{('Love', 'War')[s]} {i:03d}" for i, s in enumerate(subject)]
    >>> items = rng.integers(100, size=1000)
    >>> Z = np.eye(2)[subject[items]] * rng.random((1000, 1))
    >>> interpreter = NeuronInterpreter(describer="tfidf", random_state=0)
    >>> interpreter = interpreter.fit_activations(Z, items, item_titles=titles)
    >>> interpreter.labels_[1].split(", ")[0], float(interpreter.confidence_[1])
    ('war', 1.0)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "vectorizer": [HasMethods(["fit_transform", "get_feature_names_out"]), None],
        "max_terms": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, vectorizer=None, max_terms=3):
        self.vectorizer = vectorizer
        self.max_terms = max_terms

    def fit(self, shown):
        """Weigh the words of all items shown.

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
        self._items, place = np.unique(shown.items, return_inverse=True)
        texts = [
            " ".join([shown.title(item), *shown.attributes(item)])
            for item in self._items.tolist()
        ]
        if not any(text.strip() for text in texts):
            raise ValueError(
                "`item_titles` or `item_features` must be given for the describer "
                "'tfidf'; got no text for any item shown. Pass titles, genres or tags."
            )
        self.vectorizer_ = (
            TfidfVectorizer(token_pattern=_WORDS)
            if self.vectorizer is None
            else clone(self.vectorizer)
        )
        self._texts = csr_array(self.vectorizer_.fit_transform(texts))
        self._terms = self.vectorizer_.get_feature_names_out()
        self._mean = np.bincount(place) @ self._texts / len(shown)
        self._mean_scores = self._texts @ self._mean
        return self

    def describe(self, cases):
        """Average the words of the items of a neuron.

        Parameters
        ----------
        cases : NeuronCases
            With levels.

        Returns
        -------
        object
            Weights of terms and a threshold.
        """
        fires = cases.levels > 0
        own = self._texts[np.searchsorted(self._items, cases.items[fires])]
        n_own = own.shape[0]
        columns, often = np.unique(own.indices, return_counts=True)
        weights = np.asarray(own.mean(axis=0)).ravel()[columns]
        scores = self._score(columns, weights, cases)
        # Without an item's own part in the mean that it is compared with.
        overlap = scores[fires]
        own_part = np.asarray(own.multiply(own).sum(axis=1)).ravel()
        base = self._mean_scores[np.searchsorted(self._items, cases.items[fires])]
        scores[fires] = (n_own * (overlap + base) - own_part) / (n_own - 1) - base
        return _WeightedTerms(columns, weights, often, best_split(scores, fires))

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
        scores = self._score(concept.columns, concept.weights, cases)
        return score_levels(scores, concept.threshold)

    def label(self, concept, attributes):
        """Name the terms of the largest weights among those of two items or more.

        Parameters
        ----------
        concept : object
            What :meth:`describe` returned.
        attributes : tuple of str
            Not looked at.

        Returns
        -------
        str
            Terms with commas between.
        """
        weights = concept.weights - self._mean[concept.columns]
        weights[concept.n_items < 2] = 0.0
        best = np.argsort(-weights, kind="stable")[: self.max_terms]
        best = best[weights[best] > 0]
        return ", ".join(self._terms[concept.columns[best]])

    def _score(self, columns, weights, cases):
        rows = np.searchsorted(self._items, cases.items)
        of_all = np.zeros(len(self._terms))
        of_all[columns] = weights
        # The mean over all rows is dense, but its product with an item is one number.
        return self._texts[rows] @ of_all - self._mean_scores[rows]
