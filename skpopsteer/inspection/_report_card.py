"""A report as a model card of skops."""

from skpopsteer._compat import import_optional
from skpopsteer.inspection._audit_words import percent
from skpopsteer.inspection._report_blocks import enumerate_words, number
from skpopsteer.inspection._report_lists import HOST, STEERED
from skpopsteer.inspection._report_markdown import escape, table_lines
from skpopsteer.inspection._report_sections import figures_of, summary_of
from skpopsteer.inspection._report_tables import costs_table, data_table, lists_table

__all__ = ["make_card"]

_TITLE = "Steered recommender"
_USE = """\
To recommend items of the catalogue it was fitted on, to users of the same kind, where
items that are seldom recommended are to be seen more often, and the accuracy that this
costs, given below, is acceptable. Strength 0 turns nothing.

Not to rank people, and no proof of fairness: what was measured is how popular items
are, not who made them or whom they suit. Figures are of the data below; on other data,
make the report again."""
_LOADING = """\
```python
from skpopsteer.persistence import load

model = load("model.skops")  # written by skpopsteer.persistence.save
ids = model.recommend(X)  # rows of interactions, in the columns of `fit`
ids = model.recommend(X, strength=0)  # with nothing turned
```"""


def make_card(report):
    """Write a model card.

    Parameters
    ----------
    report : SteeringReport

    Returns
    -------
    skops.card.Card

    Raises
    ------
    ImportError
        Without skops.
    """
    cards = import_optional("skops.card", "persistence")
    # A diagram prints the host, and where in the memory it lies.
    card = cards.Card(report.model, model_diagram=False, template=None)
    parts = {
        "": _paragraphs(summary_of(report)),
        "Intended use": _USE,
        "Data": "\n".join(table_lines(data_table(report))),
        "Metrics": "\n".join(table_lines(lists_table(report))),
        "Limitations": _paragraphs(_limitations(report)),
        "How to load": _LOADING,
    }
    if report.costs:
        parts["Limitations"] += "\n\n" + "\n".join(table_lines(costs_table(report)))
    return card.add(
        **{f"{_TITLE}/{name}" if name else _TITLE: text for name, text in parts.items()}
    )


def _limitations(report):
    """Say what steering costs, who pays, and what was not looked at."""
    figures = figures_of(report.lists)
    host, steered = figures[HOST], figures[STEERED]
    if host.ndcg is None:
        found = ["Nothing was held out: what steering costs in accuracy is not known."]
    elif not host.ndcg:
        found = ["The host finds none of the held-out items: its accuracy is 0."]
    else:
        k = report.settings["n_recommendations"]
        found = [
            f"Steering keeps {percent(steered.ndcg / host.ndcg)} of NDCG@{k}, which "
            f"goes from {number(host.ndcg, 4)} to {number(steered.ndcg, 4)}, and "
            f"{percent(1 - steered.same_as_host)} of the items of the host's lists "
            "make room for others."
        ]
    kept = {
        one.group: one.ndcg / one.host_ndcg for one in report.costs if one.host_ndcg
    }
    if kept:
        least = min(kept.values())
        payers = [group for group, share in kept.items() if share == least]
        found.append(
            "Not everybody pays alike: of the thirds of users below, those called "
            f"{enumerate_words(payers)} keep least, {percent(least)} of their NDCG."
        )
    found += [
        "Coverage of the tail says that its items are recommended, not that anybody "
        "wants them. Popularity is counted from the interactions given, which the "
        "lists of an earlier system may have shaped.",
        "Strengths do not carry over to another autoencoder, nor to another host.",
    ]
    return [*found, *report.left_out]


def _paragraphs(sentences):
    return "\n\n".join(map(escape, sentences))
