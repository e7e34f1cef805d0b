"""Table of what neurons mean: prints as text, shows as HTML, becomes a frame."""

from dataclasses import dataclass
from html import escape
from numbers import Integral

import numpy as np

from skpopsteer._compat import import_frame_library
from skpopsteer._text_table import align_columns

__all__ = ["ConceptTable", "tabulate_concepts"]

#: Columns and rows that are printed; frames hold everything.
_PRINTED = [
    "neuron", "label", "n_active", "confidence", "recall", "specificity", "auc",
    "chance", "null_confidence", "status",
]  # fmt: skip
_MOST_ROWS = 20
_MOST_CHARACTERS = 30


@dataclass(frozen=True, eq=False)
class ConceptTable:
    """Concepts of neurons, one row each.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n_neurons,)
        Columns by name, of one length; ``"neuron"`` and ``"confidence"`` among them.
    summary : str
        What the table says as a whole, printed below it.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import NeuronInterpreter
    >>> items = np.arange(200) % 100
    >>> genres = np.eye(2)[np.arange(100) % 2]
    >>> interpreter = NeuronInterpreter(random_state=0).fit_activations(
    ...     genres[items], items, item_features=(genres, ["Noir", "War"])
    ... )
    >>> table = interpreter.concepts_
    >>> len(table), table["label"].tolist()
    (2, ['Noir', 'War'])
    >>> table[1]["attributes"], float(table[1]["confidence"])
    (('War',), 1.0)
    """

    columns: dict[str, np.ndarray]
    summary: str

    def __len__(self):
        return len(self.columns["neuron"])

    def __getitem__(self, key):
        """Return a column by name, or all about one neuron by its number."""
        if isinstance(key, Integral):
            (rows,) = np.nonzero(self.columns["neuron"] == key)
            if not len(rows):
                raise KeyError(f"`key` must be a neuron of the table; got {key}.")
            return {name: values[rows[0]] for name, values in self.columns.items()}
        if key not in self.columns:
            raise KeyError(
                f"`key` must be a neuron or one of {', '.join(self.columns)}; got "
                f"{key!r}."
            )
        return self.columns[key]

    def __str__(self):
        rows = [_PRINTED, *self._cells()]
        texts = [_PRINTED.index(name) for name in ("label", "status")]
        lines, rule = align_columns(rows, texts)
        lines.insert(1, rule)
        hidden = len(self) - _MOST_ROWS
        if hidden > 0:
            lines.append(f"... {hidden} more, of lower confidence or unverified")
        return "\n".join([*lines, self.summary])

    def _repr_html_(self):
        head = "".join(f"<th>{escape(name)}</th>" for name in _PRINTED)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
            for row in self._cells()
        )
        return (
            f"<table><caption>{escape(self.summary)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def to_frame(self, backend="pandas"):
        """Return the table as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per neuron, by number; attributes are lists of strings.
        """
        frames = import_frame_library(backend)
        columns = {**self.columns}
        # Tuples as cells are foreign to frames, lists are not.
        columns["attributes"] = [list(names) for names in columns["attributes"]]
        for name in ("label", "status", "reason"):
            columns[name] = columns[name].tolist()
        return frames.DataFrame(columns)

    def _cells(self):
        """Return the rows to print as text, highest confidence first."""
        confidence = np.nan_to_num(self.columns["confidence"], nan=-1.0)
        order = np.argsort(-confidence, kind="stable")[:_MOST_ROWS]
        return [[_cell(self.columns[name][row]) for name in _PRINTED] for row in order]


def tabulate_concepts(
    neurons, labels, selection, attributes, described, verdict, *, threshold,
    n_distinct_items,
):  # fmt: skip
    """Arrange what was found of neurons, with the status of each.

    Parameters
    ----------
    neurons : ndarray of shape (n,)
        Those that were asked for.
    labels : ndarray of shape (n,)
        Empty where there is none.
    selection : cases of every neuron, with the reasons why some have none
    attributes : ndarray of shape (n,), dtype object
        Enriched attributes, best first.
    described : descriptions, with their errors
    verdict : figures of the verification
    threshold : float
        Confidence of an interpretable neuron.
    n_distinct_items : int
        Different items that the rows show.

    Returns
    -------
    ConceptTable
    """
    had_cases = np.array([not reason for reason in selection.reasons])
    status = np.where(verdict.verified, "verified", "error")
    reasons = np.where(
        verdict.verified | (described.errors != ""),
        described.errors,
        "no usable prediction",
    )
    summary = (
        f"{verdict.interpretable.sum()} of {verdict.verified.sum()} verified neurons "
        f"({len(neurons)} in all) have a confidence of at least {threshold:g}: "
        f"{verdict.share:.1%}. By chance {verdict.chance_share:.1%}, with permuted "
        f"descriptions {verdict.null_share:.1%}. The rows show {n_distinct_items} "
        "different items."
    )
    return ConceptTable(
        {
            "neuron": neurons,
            "label": labels,
            "attributes": attributes,
            "n_active": selection.n_active,
            **verdict.figures,
            "interpretable": verdict.interpretable,
            "status": np.where(had_cases, status, "unverified").astype(object),
            "reason": reasons,
        },
        summary,
    )


def _cell(value):
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.3f}"
    text = str(value)
    if len(text) <= _MOST_CHARACTERS:
        return text
    return text[: _MOST_CHARACTERS - 3] + "..."
