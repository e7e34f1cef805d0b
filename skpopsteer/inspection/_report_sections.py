"""What a report says: its parts as sections of words, tables and pictures."""

import numpy as np

from skpopsteer.inspection._audit_words import percent
from skpopsteer.inspection._report_blocks import (
    Figure,
    Section,
    clean,
    enumerate_words,
    number,
)
from skpopsteer.inspection._report_frontier import (
    frontier_tables,
    frontier_text,
    rival_sentence,
)
from skpopsteer.inspection._report_lists import HOST, REBUILT, STEERED
from skpopsteer.inspection._report_svg import AUDIT, FRONTIER, FRONTIER_MEASURES
from skpopsteer.inspection._report_tables import (
    SIDES,
    channel_table,
    costs_table,
    data_table,
    health_table,
    lists_table,
    neuron_table,
    reach_table,
    settings_table,
)

__all__ = ["figures_of", "sections_of", "summary_of"]

#: What an autoencoder has to keep of the host's NDCG, and how many of its neurons may
#: be dead, before ``fit`` warns.
_KEPT_NDCG, _DEAD = 0.95, 0.05


def sections_of(report):
    """Write the sections of a report.

    Parameters
    ----------
    report : SteeringReport

    Returns
    -------
    list of Section
    """
    found = [_summary(report), _audit(report), _lists(report)]
    if report.comparison is not None:
        found.append(_frontier(report))
    return [*found, _health(report)]


def figures_of(lists):
    """Return the figures of lists by the name of their row."""
    return {one.name: one for one in lists}


def summary_of(report):
    """Say in a few sentences what the model does.

    Parameters
    ----------
    report : SteeringReport

    Returns
    -------
    list of str
    """
    sentences = [_what(report), _effect(report)]
    if report.comparison is not None:
        sentences += [
            rival_sentence(report.comparison, STEERED, rival) for rival in report.rivals
        ]
    return [*sentences, *_alarms(report)]


def _summary(report):
    blocks = [*summary_of(report)]
    if report.left_out:
        blocks.append(f"Left out: {' '.join(report.left_out)}")
    return Section("summary", "In short", [*blocks, data_table(report)])


def _what(report):
    turned = enumerate_words([
        f"{side.n_down + side.n_up:,} of {side.n_neurons:,} neurons of "
        f"{SIDES[side.side]}"
        for side in report.health
    ])  # fmt: skip
    settings = report.settings
    return (
        f"A steered {clean(settings['host'])}: the knob turns {turned}, at strength "
        f"{settings['strength']:g} (rule {settings['rule']})."
    )


def _effect(report):
    figures = figures_of(report.lists)
    host, steered = figures[HOST], figures[STEERED]
    k = report.settings["n_recommendations"]
    changes = [
        _change("the tail share", host.tail_share, steered.tail_share),
        _change("the Gini of exposure", host.gini, steered.gini),
    ]
    if host.ndcg is not None:
        kept = "" if not host.ndcg else f", {percent(steered.ndcg / host.ndcg)} kept"
        changes.insert(0, _change(f"NDCG@{k}", host.ndcg, steered.ndcg) + kept)
    return (
        f"As it is set, {percent(steered.same_as_host)} of the items of the host's "
        f"lists of {k} stay; {enumerate_words(changes)}."
    )


def _change(what, before, after):
    before, after = number(before), number(after)
    return (
        f"{what} stays {after}" if before == after
        else f"{what} goes from {before} to {after}"
    )  # fmt: skip


def _alarms(report):
    """Say what is not as it should be."""
    alarms = []
    figures = figures_of(report.lists)
    host, rebuilt = figures[HOST], figures[REBUILT]
    if host.ndcg and rebuilt.ndcg < _KEPT_NDCG * host.ndcg:
        alarms.append(
            f"With nothing turned the autoencoder keeps "
            f"{percent(rebuilt.ndcg / host.ndcg)} of the host's NDCG, less than "
            f"{percent(_KEPT_NDCG)}: train it longer, or raise its n_neurons or k."
        )
    for side in report.health:
        if side.n_dead is not None and side.n_dead > _DEAD * side.n_neurons:
            alarms.append(
                f"{percent(side.n_dead / side.n_neurons)} of the neurons of "
                f"{SIDES[side.side]} never fire, more than {percent(_DEAD)}."
            )
    return alarms


def _audit(report):
    audit = report.audit
    level = min(audit.levels_, key=lambda one: (abs(one - 0.95), one))
    shares = [
        f"{one.name} {number(one.spearman, 2) or 'constant'}" for one in audit.channels_
    ]
    reached = [
        f"{one.lever} {number(one.tail_share)}"
        for one in audit.reach_
        if one.level == level and np.isfinite(one.tail_share)
    ]
    words = (
        "Left, bars: rank correlation of every channel with log popularity "
        f"({', '.join(shares)}) and its share of the variance of scores. Right, one "
        f"curve per lever: tail share over the share of {audit.kept_name_} kept, a "
        f"star for the host ({number(audit.tail_share_)}). At {percent(level)} kept: "
        f"{', '.join(reached) or 'no lever keeps it'}."
    )
    figure = Figure(AUDIT, "Where popularity is, and what every lever reaches", words)
    return Section(
        "audit",
        "Where the host keeps popularity",
        [
            clean(audit.recommendation_),
            figure,
            channel_table(audit),
            reach_table(audit),
            *map(clean, audit.notes_),
        ],
    )


def _lists(report):
    blocks = [
        "The model as it is set, its host, and the host's embeddings by way of the "
        "autoencoder with nothing turned (pass-through): what that row loses is lost "
        "to the autoencoder, and not to steering.",
        _pass_through(report),
        lists_table(report),
    ]
    if report.costs:
        blocks.append(costs_table(report))
    return Section("lists", "Its lists as it is set", blocks)


def _pass_through(report):
    figures = figures_of(report.lists)
    host, rebuilt = figures[HOST], figures[REBUILT]
    kept = f"{percent(rebuilt.same_as_host)} of the items of the host's lists"
    if host.ndcg:
        kept = f"{percent(rebuilt.ndcg / host.ndcg)} of its NDCG and {kept}"
    return f"Pass-through keeps {kept}."


def _frontier(report):
    comparison = report.comparison
    figure = Figure(
        FRONTIER,
        "Exposure against the accuracy kept",
        frontier_text(comparison, FRONTIER_MEASURES),
    )
    notes = [
        "Better and worse: paired differences on the same draws of users, p-values "
        "adjusted for all cells against one rival (Benjamini-Hochberg), below 0.05. = "
        "no setting kept the level where it was chosen: the host's own lists.",
        "NDCG kept: the least among the settings of the row. Tail coverage, 5+ lists: "
        "share of the tail items that stand in five lists or more.",
        *comparison.notes,
    ]
    if report.searched:
        notes.append(
            f"Strengths of {enumerate_words([clean(one) for one in report.searched])} "
            "to choose from were looked for on the users of the audit, so that they "
            "cover all levels."
        )
    verdicts = [rival_sentence(comparison, STEERED, rival) for rival in report.rivals]
    tables = frontier_tables(comparison, STEERED, report.rivals)
    return Section(
        "frontier",
        "Beside other methods at equal accuracy",
        [*verdicts, figure, *tables, *map(clean, notes)],
    )


def _health(report):
    blocks = [settings_table(report.settings)]
    for side in report.health:
        blocks += [health_table(side), neuron_table(side, report.explorer.cards)]
    return Section("health", "Settings and health", blocks)
