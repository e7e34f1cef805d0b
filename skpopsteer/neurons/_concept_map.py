"""The neurons of all concepts in one table."""

from dataclasses import dataclass
from html import escape
from numbers import Integral

import numpy as np

from skpopsteer._compat import (
    Interval,
    StrOptions,
    import_frame_library,
    validate_params,
)
from skpopsteer._text_table import align_columns
from skpopsteer.neurons._concept_activity import check_activations
from skpopsteer.neurons._concept_columns import check_concept_names
from skpopsteer.neurons._concept_scores import (
    SCORE_FUNCTIONS,
    best_neurons,
    fire_often_enough,
    prepare_scores,
)

__all__ = ["ConceptMap", "map_concepts"]

#: Scores held at once, and concepts that are printed.
_BLOCK_SCORES = 2**22
_MOST_CONCEPTS = 20


@dataclass(frozen=True)
class ConceptMap:
    """Neurons of concepts, as :func:`map_concepts` finds them.

    Parameters
    ----------
    names : list of str
        Concepts.
    n_rows : ndarray of shape (n_concepts,), dtype int64
        Rows that have the concept.
    neurons : ndarray of shape (n_concepts, n_neurons), dtype int64
        Best first; -1 where there are no more.
    scores : ndarray of shape (n_concepts, n_neurons)
        Their scores; -inf where there are no more.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import map_concepts
    >>> Z = np.array([[2.0, 0, 0], [3, 0, 0], [0, 2, 0], [0, 3, 0]])
    >>> genres = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 0], [0, 1, 0]])
    >>> table = map_concepts(Z, genres, ["noir", "western", "crime"], n_neurons=1)
    >>> print(table)
    concept  rows  neurons (score)
    -------  ----  ---------------
    noir        2  0 (0.962)
    western     2  1 (0.962)
    crime       2  0 (0.962)
    >>> table.shared_neurons()
    {0: ['noir', 'crime']}
    """

    names: list[str]
    n_rows: np.ndarray
    neurons: np.ndarray
    scores: np.ndarray

    def __len__(self):
        return len(self.names)

    def __getitem__(self, name):
        """Return the neurons of one concept, best first."""
        if name not in self.names:
            raise KeyError(f"`name` must be one of the concepts; got {name!r}.")
        neurons = self.neurons[self.names.index(name)]
        return neurons[neurons >= 0]

    def shared_neurons(self, n_best=1):
        """Return neurons that several concepts have in common.

        Turning one turns all of its concepts.

        Parameters
        ----------
        n_best : int, default=1
            How many neurons of every concept are looked at.

        Returns
        -------
        dict of int to list of str
            Concepts by neuron, those with the most concepts first.
        """
        concepts, places = np.nonzero(self.neurons[:, :n_best] >= 0)
        by_neuron = {}
        for concept, place in zip(concepts, places, strict=True):
            neuron = int(self.neurons[concept, place])
            by_neuron.setdefault(neuron, []).append(self.names[concept])
        shared = [pair for pair in by_neuron.items() if len(pair[1]) > 1]
        return dict(sorted(shared, key=lambda pair: (-len(pair[1]), pair[0])))

    def to_frame(self, backend="pandas"):
        """Return the table as a data frame, one row per concept and neuron.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            Columns ``"concept"``, ``"n_rows"``, ``"rank"`` from 1, ``"neuron"`` and
            ``"score"``.
        """
        concepts, places = np.nonzero(self.neurons >= 0)
        columns = {
            "concept": [self.names[concept] for concept in concepts],
            "n_rows": self.n_rows[concepts],
            "rank": places + 1,
            "neuron": self.neurons[concepts, places],
            "score": self.scores[concepts, places],
        }
        return import_frame_library(backend).DataFrame(columns)

    def __str__(self):
        rows = [["concept", "rows", "neurons (score)"], *self._cells()]
        lines, rule = align_columns(rows, left=(0, 2))
        lines.insert(1, rule)
        hidden = len(self) - _MOST_CONCEPTS
        return "\n".join(lines + [f"... {hidden} of fewer rows"] * (hidden > 0))

    def _repr_html_(self):
        head = "<tr><th>concept</th><th>rows</th><th>neurons (score)</th></tr>"
        body = "".join(
            f"<tr><th>{escape(name)}</th><td>{count}</td><td>{neurons}</td></tr>"
            for name, count, neurons in self._cells()
        )
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"

    def _cells(self):
        shown = np.argsort(-self.n_rows, kind="stable")[:_MOST_CONCEPTS]
        for concept in shown:
            pairs = zip(self.neurons[concept], self.scores[concept], strict=True)
            neurons = ", ".join(f"{n} ({score:.3f})" for n, score in pairs if n >= 0)
            yield [self.names[concept], str(self.n_rows[concept]), neurons or "none"]


@validate_params(
    {
        "score_func": [StrOptions(set(SCORE_FUNCTIONS)), callable],
        "n_neurons": [Interval(Integral, 1, None, closed="left")],
        "min_support": [Interval(Integral, 1, None, closed="left")],
        "rows": [StrOptions({"items", "users"})],
    },
    prefer_skip_nested_validation=True,
)
def map_concepts(
    Z,
    T,
    names=None,
    *,
    score_func="point_biserial",
    n_neurons=5,
    min_support=2,
    rows="items",
    item_profiles=None,
) -> ConceptMap:
    """Find the best neurons of every concept.

    Parameters
    ----------
    Z : array-like or sparse of shape (n_rows, n_neurons)
        Activations, not negative.
    T : array-like or sparse of shape (n_rows, n_concepts)
        How much of every concept a row has, not negative.
    names : array-like of shape (n_concepts,), default=None
        Names of the concepts; None takes their numbers.
    score_func : str or callable, default="point_biserial"
        As in :class:`ConceptNeuronSelector`.
    n_neurons : int, default=5
        How many neurons of every concept, at the most.
    min_support : int, default=2
        As in :class:`ConceptNeuronSelector`.
    rows : {"items", "users"}, default="items"
        As in :class:`ConceptNeuronSelector`.
    item_profiles : array-like of shape (n_neurons, n_items), default=None
        For ``score_func="output_precision"``, as in ``ConceptNeuronSelector.fit``.

    Returns
    -------
    ConceptMap
        One row per concept. A concept that no row has gets no neurons.

    See Also
    --------
    ConceptNeuronSelector : One concept, as a knob.
    NeuronInterpreter : The other way round: what every neuron stands for.

    Notes
    -----
    Concepts are scored in blocks of about four million scores. The cost is that of one
    sparse product of rows by concepts; ``score_func="output_precision"`` also sorts the
    items once per neuron, O(n_neurons · n_items log n_items).

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import map_concepts
    >>> Z = np.array([[2.0, 0, 1], [3, 0, 0], [0, 2, 1], [0, 3, 1]])
    >>> table = map_concepts(Z, [[1, 0], [1, 0], [0, 1], [0, 1]], ["noir", "western"])
    >>> table["western"]
    array([1, 2])
    """
    Z, T = check_activations(Z, T)
    names = check_concept_names("names", names, T.shape[1])
    score = prepare_scores(score_func, Z, T, rows=rows, item_profiles=item_profiles)
    enough = fire_often_enough(Z, T, min_support)
    step = max(1, _BLOCK_SCORES // Z.shape[1])
    found, found_scores = [], []
    for start in range(0, T.shape[1], step):
        columns = np.arange(start, min(start + step, T.shape[1]))
        scores = score(columns)
        neurons = best_neurons(scores, enough(columns), n_neurons)
        found.append(neurons)
        of_found = np.take_along_axis(scores, np.maximum(neurons, 0), axis=1)
        found_scores.append(np.where(neurons >= 0, of_found, -np.inf))
    return ConceptMap(
        names=names,
        n_rows=np.bincount(T.indices, minlength=T.shape[1]),
        neurons=np.concatenate(found),
        scores=np.concatenate(found_scores),
    )
