"""A report on a steered recommender, and the forms it takes."""

import pathlib
from dataclasses import dataclass
from html import escape
from typing import Any

import sklearn

from skpopsteer._version import __version__
from skpopsteer._whole_file import whole_file
from skpopsteer.inspection._report_card import make_card
from skpopsteer.inspection._report_frontier import judge
from skpopsteer.inspection._report_html import html_sections, notebook_html
from skpopsteer.inspection._report_json import as_json, plain
from skpopsteer.inspection._report_lists import STEERED
from skpopsteer.inspection._report_markdown import as_markdown
from skpopsteer.inspection._report_sections import summary_of

__all__ = ["SteeringReport"]

#: Of :meth:`SteeringReport.to_dict`; goes up when a key changes its meaning or goes.
_SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False, repr=False)
class SteeringReport:
    """What :func:`steering_report` found: becomes a page, Markdown, JSON or a card.

    Parameters
    ----------
    model : SteeredRecommender
        The fitted model that is reported.
    audit : PopularityAudit
        Where its host keeps popularity, and what turning each place can reach.
    lists : list of ListFigures
        Lists at the strength of the model, beside those of the host and of the
        autoencoder with nothing turned: `name`, `same_as_host` (share of the items of
        the host's lists), `ndcg` and `recall` (None without held-out items), `gini`,
        `coverage`, `tail_coverage`, `tail_share` and `average_popularity`.
    costs : list of GroupCost
        What thirds of the users pay: `group`, `n_users`, `host_ndcg` and `ndcg`. Empty
        without held-out items.
    comparison : LevelComparison or None
        The model, called "steered", and its rivals at equal accuracy; None without
        held-out items.
    rivals : list of str
        Their names.
    settings : dict of str to object
        What the model is set to.
    health : list of SideHealth
        Of every autoencoder: `side`, `probe`, `selector`, `activation`, `n_neurons`,
        `n_dead`, `fvu`, `l0`, `stability`, `n_iter`, `n_down`, `n_up` and `neurons`,
        those turned furthest.
    explorer : NeuronExplorer
        The neuron cards, and the lists that change while a knob is turned.
    data : dict of str to int or None
        Counts of users, items and interactions.
    left_out : list of str
        Parts that are missing, and why.
    searched : list of str
        Methods whose strengths a search has found on the same users.
    title : str
        Heading of the page.

    See Also
    --------
    steering_report : Makes it.

    Notes
    -----
    All forms are made of the same numbers, and hold no time, no path and no name of a
    machine: the same report becomes the same text. Names and titles out of the data
    are escaped in every one of them. Pictures need matplotlib, pages Jinja2, cards
    skops; Markdown and JSON need neither.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
    >>> from skpopsteer import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import steering_report
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    >>> model = SteeredRecommender(host, probe=probe, random_state=0).fit(X)
    >>> report = steering_report(model, X, n_users=5, random_state=0)
    >>> report.to_markdown().splitlines()[0]
    '# Steering report: DecompositionRecommender (TruncatedSVD)'
    >>> report.to_dict()["data"]["users"]
    200
    """

    model: Any
    audit: Any
    lists: list
    costs: list
    comparison: Any
    rivals: list[str]
    settings: dict
    health: list
    explorer: Any
    data: dict
    left_out: list[str]
    searched: list[str]
    title: str

    def to_html(self):
        """Return the page: sections, and the live explorer below them.

        Returns
        -------
        str
            One document that needs no other file and no connection.

        Raises
        ------
        ImportError
            Without Jinja2.
        """
        return self.explorer.to_html(title=self.title, sections=html_sections(self))

    def to_markdown(self):
        """Return the report as Markdown, with pictures in words.

        Returns
        -------
        str
        """
        return as_markdown(self)

    def to_dict(self):
        """Return the numbers of the report as plain values.

        Returns
        -------
        dict
            Keys in a fixed order. What is not known, and what is not finite, is None.
        """
        audit = self.audit
        return plain({
            "schema": "skpopsteer.SteeringReport",
            "schema_version": _SCHEMA_VERSION,
            "versions": {
                "skpopsteer": __version__, "scikit-learn": sklearn.__version__,
            },
            "title": self.title,
            "summary": summary_of(self),
            "left_out": self.left_out,
            "data": self.data,
            "settings": self.settings,
            "lists": self.lists,
            "costs": self.costs,
            "health": self.health,
            "audit": {
                "recommendation": audit.recommendation_,
                "notes": audit.notes_,
                "tail_share": audit.tail_share_,
                "accuracy": audit.accuracy_,
                "kept": audit.kept_name_,
                "levels": audit.levels_,
                "channels": [_without_coordinate(one) for one in audit.channels_],
                "reach": audit.reach_,
            },
            "frontier": None if self.comparison is None else _frontier(self),
            "neurons": self.explorer.cards,
        })  # fmt: skip

    def to_json(self):
        """Return :meth:`to_dict` as strict JSON.

        Returns
        -------
        str
        """
        return as_json(self.to_dict())

    def save(self, path):
        """Write the report to a file, whole or not at all.

        Parameters
        ----------
        path : str or path-like
            Ends in ``.html``, ``.md`` or ``.json``. An existing file is replaced.

        Raises
        ------
        ValueError
            For another ending, and for a folder that does not exist.
        ImportError
            For a page, without Jinja2.
        """
        path = pathlib.Path(path)
        forms = {
            ".html": self.to_html, ".md": self.to_markdown, ".json": self.to_json,
        }  # fmt: skip
        if path.suffix.lower() not in forms:
            raise ValueError(
                f"`path` must end in .html, .md or .json; got {str(path)!r}. The "
                "ending says which form is written."
            )
        if not path.parent.is_dir():
            raise ValueError(
                f"`path` must lie in a folder that exists; got {str(path)!r}. Make the "
                "folder first."
            )
        text = forms[path.suffix.lower()]()
        with whole_file(path) as unfinished:
            # Halves of surrogate pairs are no text in any encoding.
            unfinished.write_bytes(text.encode("utf-8", "replace"))

    def model_card(self):
        """Return a model card, to be completed and saved.

        Returns
        -------
        skops.card.Card
            With what the model is for, counts of the data, metrics, what steering
            costs and whom, and how to load it.

        Raises
        ------
        ImportError
            Without skops.
        """
        return make_card(self)

    def __str__(self):
        return "\n".join([self.title, *summary_of(self), *self.left_out])

    def __repr__(self):
        return f"SteeringReport(title={self.title!r})"

    def _repr_html_(self):
        try:
            return notebook_html(self)
        except ImportError as error:
            # A notebook shows something, and what it lacks.
            return f"<pre>{escape(str(self))}</pre><p>{escape(str(error))}</p>"


def _without_coordinate(channel):
    names = (
        "name", "pearson", "spearman", "variance_share", "variance_share_personal",
        "tail_share_without",
    )  # fmt: skip
    return {name: getattr(channel, name) for name in names}


def _frontier(report):
    table = report.comparison
    columns = ["ndcg_kept", *table.measures]
    cells = []
    for level, of_level in enumerate(table.levels):
        for n, name in enumerate(table.names):
            for column in columns:
                row = table.rows(column)[level, n]
                place = table.columns.index(column)
                cells.append({
                    "level": of_level, "method": name, "measure": column,
                    "value": table.values[row, place], "low": table.low[row, place],
                    "high": table.high[row, place], "setting": table.words[row],
                })  # fmt: skip
    return {
        "methods": table.names,
        "levels": table.levels,
        "measures": table.measures,
        "cells": cells,
        "steered_minus_rival": {
            rival: judge(table, STEERED, rival) for rival in report.rivals
        },
        "hypervolume": {
            name: {
                measure: {"value": value, "low": low, "high": high}
                for measure, (value, low, high) in found.items()
            }
            for name, found in table.hypervolume().items()
        },
        "notes": table.notes,
    }
