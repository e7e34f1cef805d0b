"""The table of what steering popularity moves besides popularity."""

from dataclasses import dataclass
from html import escape

import numpy as np

from skpopsteer._compat import import_frame_library
from skpopsteer._text_table import align_columns
from skpopsteer.metrics._bootstrap import recentred_interval

__all__ = ["Specificity", "interval"]


@dataclass(frozen=True, eq=False)
class Specificity:
    """Table of :func:`steering_specificity`: text, HTML, or a frame.

    Parameters
    ----------
    names : list of str
        Rows: the host, every model followed by its blind swaps, and the fewest swaps.
    columns : list of str
        Measures.
    values, low, high : ndarray of shape (n_rows, n_columns)
        The figures, and the ends of their intervals of 95 %; NaN where there is none.
    changes : dict of str to ndarray of shape (n_rows, n_values)
        For every attribute: share of the slots with each value, minus the host's.
    value_names : dict of str to ndarray of shape (n_values,)
        The values of every attribute.
    own_shares : dict of str to ndarray of shape (n_values,)
        Their shares in the lists of the host.
    draws : ndarray of shape (n_boot, n_rows, n_columns)
        The measures on draws of the users, the same for all rows.
    notes : list of str
        What the rows have in common, and what could not be done.

    See Also
    --------
    steering_specificity : Makes it.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import PopularityPenaltyReranker, as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import steering_specificity
    >>> data = make_interactions(200, 100, random_state=0)
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(data.X))
    >>> model = PopularityPenaltyReranker(host).fit(data.X)
    >>> table = steering_specificity(
    ...     {"penalty": model}, data.X, attributes={"concept": data.item_concepts}
    ... )
    >>> table.names
    ['host', 'penalty', 'penalty (blind)', 'fewest swaps (blind)']
    >>> table["tail_share@10"].shape
    (4,)
    """

    names: list[str]
    columns: list[str]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    changes: dict
    value_names: dict
    own_shares: dict
    draws: np.ndarray
    notes: list[str]

    def __getitem__(self, column):
        """Return one measure of all rows, by name."""
        return self.values[:, self._column(column)]

    def difference(self, first, second):
        """Subtract a row from another, on the same draws of users.

        Parameters
        ----------
        first, second : str
            Names of rows.

        Returns
        -------
        dict of str to tuple of float
            For every measure but the strength, which does not compare: the difference,
            first minus second, and the ends of its interval of 95 %.
        """
        for name, value in (("first", first), ("second", second)):
            if value not in self.names:
                raise KeyError(
                    f"`{name}` must be one of {', '.join(self.names)}; got {value!r}."
                )
        rows = self.names.index(first), self.names.index(second)
        value = self.values[rows[0]] - self.values[rows[1]]
        draws = self.draws[:, rows[0]] - self.draws[:, rows[1]]
        low, high = interval(draws, value)
        triples = zip(value.tolist(), low.tolist(), high.tolist(), strict=True)
        by_name = dict(zip(self.columns, triples, strict=True))
        return {name: by_name[name] for name in self.columns if name != "strength"}

    def moved_most(self, name, attribute, n_values=3):
        """Return the values whose share moved most.

        Parameters
        ----------
        name : str
            Of a row.
        attribute : str
            Of an attribute.
        n_values : int, default=3
            How many, at most.

        Returns
        -------
        list of tuple of (str, float)
            Values and the changes of their shares, the largest first; those that have
            not moved are left out.
        """
        change = self.changes[attribute][self.names.index(name)]
        order = np.argsort(-np.abs(np.nan_to_num(change)), kind="stable")[:n_values]
        names = self.value_names[attribute]
        return [(str(names[i]), float(change[i])) for i in order if abs(change[i]) > 0]

    def to_frame(self, backend="pandas"):
        """Return the table as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per recommender; every measure is followed by the ends of its
            interval, ``<measure>_low`` and ``<measure>_high``.
        """
        columns = {"recommender": self.names}
        for place, name in enumerate(self.columns):
            columns[name] = self.values[:, place]
            columns[f"{name}_low"] = self.low[:, place]
            columns[f"{name}_high"] = self.high[:, place]
        return import_frame_library(backend).DataFrame(columns)

    def changes_to_frame(self, backend="pandas"):
        """Return the shares of all attribute values as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per recommender, attribute and value: its share of the host's slots,
            and the change.
        """
        columns = {
            name: []
            for name in ("recommender", "attribute", "value", "share", "change")
        }
        for attribute, values in self.value_names.items():
            n_rows, n_values = self.changes[attribute].shape
            columns["recommender"] += np.repeat(self.names, n_values).tolist()
            columns["attribute"] += [attribute] * (n_rows * n_values)
            columns["value"] += [str(value) for value in values] * n_rows
            columns["share"] += self.own_shares[attribute].tolist() * n_rows
            columns["change"] += self.changes[attribute].ravel().tolist()
        return import_frame_library(backend).DataFrame(columns)

    def __str__(self):
        header = ["", *(name.rpartition("_")[0] for name in self.columns)]
        rows = [header, ["", *(name.rpartition("_")[2] for name in self.columns)]]
        for name, cells, ends in zip(
            self.names, self._cells(), self._intervals(), strict=True
        ):
            rows += [[name, *cells], ["", *ends]] if any(ends) else [[name, *cells]]
        lines, rule = align_columns(rows)
        lines.insert(2, rule)
        return "\n".join([*lines, *self._moves(), *(f"({n})" for n in self.notes)])

    def _repr_html_(self):
        head = "".join(f"<th>{escape(name)}</th>" for name in ["", *self.columns])
        body = ""
        for name, cells, ends in zip(
            self.names, self._cells(), self._intervals(), strict=True
        ):
            pairs = zip(cells, ends, strict=True)
            row = "".join(
                f"<td>{cell}<br><small>{end}</small></td>" for cell, end in pairs
            )
            body += f"<tr><th>{escape(name)}</th>{row}</tr>"
        notes = "<br>".join(map(escape, [*self._moves(), *self.notes]))
        return (
            f"<table><caption>{notes}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )

    def _column(self, column):
        if column not in self.columns:
            raise KeyError(
                f"`column` must be one of {', '.join(self.columns)}; got {column!r}."
            )
        return self.columns.index(column)

    def _cells(self):
        return [["" if v != v else _number(v) for v in row] for row in self.values]

    def _intervals(self):
        pairs = zip(self.low, self.high, strict=True)
        return [
            [
                "" if a != a or a == b else f"[{_number(a)}, {_number(b)}]"
                for a, b in zip(*pair, strict=True)
            ]
            for pair in pairs
        ]

    def _moves(self):
        """Word the values that moved most, of the models."""
        for attribute in self.changes:
            for name in self.names[1:]:
                moved = self.moved_most(name, attribute)
                if moved and not name.endswith("(blind)"):
                    words = ", ".join(f"{v} {100 * c:+.1f}" for v, c in moved)
                    yield f"{attribute}, {name}: {words} % of all slots"


def interval(draws, values):
    """Return the ends of the interval of every column, NaN where there are no draws."""
    ends = [
        recentred_interval(column, value) if len(column) else np.full(2, np.nan)
        for column, value in zip(draws.T, values, strict=True)
    ]
    return np.array(ends).T


def _number(value):
    # From minus zero, or what rounds to it, a plain zero.
    return f"{round(float(value), 3) + 0.0:.3f}"
