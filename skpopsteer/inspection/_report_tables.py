"""The tables of a report, but for those of the comparison."""

import numpy as np

from skpopsteer.inspection._audit_words import percent
from skpopsteer.inspection._report_blocks import Table, clean, number, signed

__all__ = [
    "SIDES",
    "channel_table",
    "costs_table",
    "data_table",
    "health_table",
    "lists_table",
    "neuron_table",
    "reach_table",
    "settings_table",
]

#: What the sides of a model are made of.
SIDES = {"user": "users", "item": "items"}
#: Items that are named for a neuron, and the longest name.
_ITEMS, _LONGEST = 3, 40


def data_table(report):
    """Make the table of counts."""
    counts = {name: n for name, n in report.data.items() if n is not None}
    rows = [[name.replace("_", " "), f"{n:,}"] for name, n in counts.items()]
    return Table("Data of this report", ["what", "count"], rows)


def channel_table(audit):
    """Make the table of where a host keeps popularity."""
    rows = [
        [
            one.name, number(one.pearson, 2), number(one.spearman, 2),
            _share(one.variance_share), _share(one.variance_share_personal),
            number(one.tail_share_without),
        ]
        for one in audit.channels_
    ]  # fmt: skip
    return Table(
        "Channels: correlation with log popularity, share of the variance of a user's "
        "scores, and the tail share of lists with the channel taken out",
        ["channel", "Pearson", "Spearman", "variance, one slope",
         "variance, own slopes", "tail share without it"],
        rows,
    )  # fmt: skip


def _share(value):
    return "" if not np.isfinite(value) else percent(value)


def reach_table(audit):
    """Make the table of what every lever reaches."""
    rows = []
    for lever in audit.levers_:
        found = {one.level: one for one in audit.reach_ if one.lever == lever}
        cells = []
        for level in (*audit.levels_, None):
            one = found[level]
            cell = number(one.tail_share)
            if cell:
                below = "not turned"
                if one.strength:
                    below = f"strength {one.strength:.3g}"
                    below += "" if level else f", {percent(one.kept)} kept"
                cell += f"\n{below}"
            cells.append(cell)
        mark = "" if found[None].channel else " *"
        rows.append([lever + mark, *cells])
    return Table(
        f"Tail share while so much of {audit.kept_name_} is kept; the host's is "
        f"{number(audit.tail_share_)}",
        ["lever", *map(percent, audit.levels_), "any cost"],
        rows,
    )


def lists_table(report):
    """Make the table of the lists as the model is set."""
    k = report.settings["n_recommendations"]
    columns = {
        "ndcg": f"NDCG@{k}", "recall": f"recall@{k}", "gini": "Gini",
        "coverage": "coverage", "tail_coverage": "tail coverage",
        "tail_share": "tail share", "average_popularity": "average popularity",
        "same_as_host": "items of the host's lists",
    }  # fmt: skip
    accuracy = "NDCG and recall (higher is more accurate), "
    if report.lists[0].ndcg is None:
        accuracy = ""
        columns = {name: words for name, words in columns.items()
                   if name not in ("ndcg", "recall")}  # fmt: skip
    digits = {"average_popularity": 1}
    rows = [
        [
            one.name,
            *(number(getattr(one, name), digits.get(name, 4)) for name in columns),
        ]
        for one in report.lists
    ]
    return Table(
        f"Lists of {k}: {accuracy}Gini (lower is more equal), shares of the catalogue "
        "and of the tail, interactions per item",
        ["lists", *columns.values()],
        rows,
    )


def costs_table(report):
    """Make the table of what thirds of the users pay."""
    k = report.settings["n_recommendations"]
    rows = []
    for one in report.costs:
        kept = ""
        if one.host_ndcg:
            kept = percent(one.ndcg / one.host_ndcg)
        gap = None if one.ndcg is None else one.ndcg - one.host_ndcg
        rows.append([
            one.group, f"{one.n_users:,}", number(one.host_ndcg, 4),
            number(one.ndcg, 4), signed(gap, 4), kept,
        ])  # fmt: skip
    return Table(
        "Who pays: thirds of the users, by the popularity of what they know (niche, "
        "mixed, popular) and by how much (light, medium, heavy)",
        ["users", "count", f"NDCG@{k} of the host", f"NDCG@{k} steered", "difference",
         "kept"],
        rows,
    )  # fmt: skip


def settings_table(settings):
    """Make the table of what a model is set to."""
    rows = [[name.replace("_", " "), _setting(v)] for name, v in settings.items()]
    return Table("How the model is set", ["setting", "value"], rows, n_labels=2)


def _setting(value):
    if value is None:
        return "not set"
    return f"{value:g}" if isinstance(value, float) else clean(value)


def health_table(side):
    """Make the table of one autoencoder."""
    explained = "not known" if side.fvu is None else percent(1 - side.fvu)
    dead = "not known"
    if side.n_dead is not None:
        dead = f"{side.n_dead:,} ({percent(side.n_dead / side.n_neurons)})"
    rows = [
        ["probe", side.probe],
        ["activation", side.activation or "not known"],
        ["neurons", f"{side.n_neurons:,}"],
        ["neurons that never fire", dead],
        ["variance explained", explained],
        ["activations in a row (l0)", number(side.l0, 1) or "not known"],
        ["stability over random starts", number(side.stability) or "not known"],
        ["epochs", "not known" if side.n_iter is None else f"{side.n_iter:,}"],
        ["selector", clean(side.selector)],
        ["neurons that positive strength turns down", f"{side.n_down:,}"],
        ["neurons that positive strength turns up", f"{side.n_up:,}"],
    ]
    caption = f"Autoencoder of {SIDES[side.side]}"
    return Table(caption, ["what", "value"], rows, n_labels=2)


def neuron_table(side, cards):
    """Make the table of the neurons that are turned furthest."""
    known = {card.neuron: card for card in cards if card.side == side.side}
    rows = []
    for one in side.neurons:
        card = known.get(one.neuron)
        label = one.label if card is None else card.label
        items = [] if card is None else [item.name for item in card.top_items]
        rows.append([
            str(one.neuron), clean(label), _names(items), signed(one.turned),
            "" if one.score is None else signed(one.score, 2),
            "never" if one.dead else "",
        ])  # fmt: skip
    return Table(
        f"Neurons of {SIDES[side.side]} turned furthest by one unit of strength: "
        "those turned down first, then those turned up",
        ["neuron", "label", "fires most for", "turned by", "score", "fires"],
        rows,
        n_labels=3,
    )


def _names(items):
    return "; ".join(clean(item, _LONGEST) for item in items[:_ITEMS])
