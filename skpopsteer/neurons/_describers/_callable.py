"""Concepts from a function of the caller's: a language model, or a person."""

from sklearn.base import BaseEstimator

from skpopsteer._compat import EstimatorMixin


class CallableDescriber(EstimatorMixin, BaseEstimator):
    """Describe neurons and predict activations by functions of your own.

    Parameters
    ----------
    describe_func : callable
        ``describe_func(cases)`` gets the construction cases of a neuron, a list of
        :class:`NeuronCase`, active ones first and strongest first, and returns a
        concept, such as a sentence. None or an empty string says that there is none.
    predict_func : callable
        ``predict_func(concept, case)`` gets one case without its level and returns the
        level from 0 to 10 at which a neuron of that concept would fire; above 5 it
        fires.

    See Also
    --------
    NeuronInterpreter : Takes it as `describer`; its `neurons` limit the calls.

    Notes
    -----
    `describe_func` is called once for a neuron, `predict_func` for each of its 2N
    verification cases and again for as many of every permutation. Active and inactive
    cases come in random order. This package makes no network call.

    A predicted level that is no number from 0 to 10 (text that says one is) is missing:
    neither right nor wrong. An exception in either function, or no concept, marks the
    neuron in the table and the others go on. For a language model use temperature 0 and
    cache its answers, and never put the level of a case to be predicted into the
    prompt.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import CallableDescriber, NeuronInterpreter
    >>> def describe(cases):
    ...     words = [word for case in cases if case.level for word in case.attributes]
    ...     return max(sorted(words), key=words.count)
    >>> def predict(concept, case):
    ...     return 10 if concept in case.attributes else 0
    >>> rng = np.random.default_rng(0)
    >>> genres = np.eye(4)[np.arange(100) % 4]
    >>> items = rng.integers(100, size=1000)
    >>> Z = genres[items] * rng.random((1000, 1))
    >>> interpreter = NeuronInterpreter(
    ...     describer=CallableDescriber(describe, predict), random_state=0
    ... ).fit_activations(
    ...     Z, items, item_features=(genres, ["Drama", "Horror", "Noir", "War"])
    ... )
    >>> interpreter.labels_[1], float(interpreter.confidence_[1])
    ('Horror', 1.0)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "describe_func": [callable],
        "predict_func": [callable],
    }

    def __init__(self, describe_func, predict_func):
        self.describe_func = describe_func
        self.predict_func = predict_func

    def __sklearn_clone__(self):
        # Nothing is fitted, and a client of a language model cannot be copied.
        return self

    def fit(self, shown):
        """Check the functions; there is nothing to fit.

        Parameters
        ----------
        shown : ShownItems
            Not looked at.

        Returns
        -------
        self : object
            The describer.
        """
        self._validate_params()
        return self

    def describe(self, cases):
        """Ask for the concept of a neuron.

        Parameters
        ----------
        cases : NeuronCases
            With levels.

        Returns
        -------
        object
            What the function answers.
        """
        return self.describe_func(list(cases))

    def predict(self, concept, cases):
        """Ask for the level of each case.

        Parameters
        ----------
        concept : object
            What :meth:`describe` returned.
        cases : NeuronCases
            Without levels.

        Returns
        -------
        list
            What the function answers, one each.
        """
        return [self.predict_func(concept, case) for case in cases]
