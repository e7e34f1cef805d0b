"""The table of the frontier, and who beats whom."""

from collections import defaultdict

import numpy as np

from frontier.cell import LEVELS
from frontier.families import NEURONS, OURS
from frontier.judge import MEASURES, better

__all__ = ["report"]

#: Tail coverage that is full but for an item or two.
CEILING = 0.002
#: What a pair is won by; coverage at five exposures is counted apart.
WON_BY = ("Gini", "tail coverage", "tail share")
NAMES = {
    "als": "ALS", "bpr": "BPR", "elsa": "ELSA", "sasrec": "SASRec",
    "lastfm-hetrec": "Last.fm", "ml-1m": "ML-1M", "gowalla": "Gowalla",
    "ml-100k": "ML-100K", "ml-latest-small": "ml-latest-small",
}  # fmt: skip


def report(cells):
    """Return the results as Markdown.

    Parameters
    ----------
    cells : list of dict
        What ``frontier_table`` stores of every split.

    Returns
    -------
    str
    """
    pairs = defaultdict(list)
    for cell in cells:
        pairs[cell["host name"], cell["data"]].append(Split(cell))
    lines = [INTRODUCTION.format(n_pairs=len(pairs)), *summary(pairs)]
    for pair, splits in pairs.items():
        lines += table(pair, splits)
    return "\n".join(lines) + "\n"


class Split:
    """One split of a pair: figures by family, level and measure."""

    def __init__(self, cell):
        self.cell, self.host = cell, cell["host"]
        self.rows = {
            (row["family"], row["level"], row["measure"]): row for row in cell["chosen"]
        }
        self.families = list(dict.fromkeys(row["family"] for row in cell["chosen"]))

    def ours(self, level, measure):
        """Return the joint lists of slot pricing.

        What the price table has on validation is of the users its prices were found
        for: it cannot be weighed against the joint lists there.
        """
        return self.rows[OURS[0], level, measure]

    def rivals(self):
        """Return the families that are not ours."""
        return [family for family in self.families if family not in OURS]


def gap(splits, mine, theirs, measure):
    """Return how much better mine is, over splits, with a 95 % interval over users."""
    sign = better(measure)
    point = np.mean([
        sign * (m["test"][measure] - t["test"][measure])
        for m, t in zip(mine, theirs, strict=True)
    ])  # fmt: skip
    draws = np.mean([
        sign * (np.array(m["draws"]) - np.array(t["draws"]))
        for m, t in zip(mine, theirs, strict=True)
    ], axis=0)  # fmt: skip
    # Draws repeat users, which moves coverage: what counts is their spread.
    low, high = point + np.percentile(draws - draws.mean(), [2.5, 97.5])
    return point, low, high


def verdicts(splits, measure):
    """Return, by level, the gap to the rival that is nearest."""
    found = {}
    for level in LEVELS:
        mine = [split.ours(level, measure) for split in splits]
        gaps = {
            family: gap(
                splits, mine, [s.rows[family, level, measure] for s in splits], measure
            )
            for family in splits[0].rivals()
        }
        nearest = min(gaps, key=lambda family: gaps[family][0])
        beaten_by = [family for family, (_, _, high) in gaps.items() if high < 0]
        found[level] = nearest, gaps[nearest], beaten_by
    return found


def at_ceiling(splits, level):
    """Tell whether ours lists all tail items that any method lists at any level."""
    ours = [split.ours(level, "tail coverage")["test"] for split in splits]
    highest = [
        max(row["test"]["tail coverage"] for row in split.rows.values())
        for split in splits
    ]
    return all(
        own["tail coverage"] >= most - CEILING
        for own, most in zip(ours, highest, strict=True)
    )


def summary(pairs):
    """Return how many pairs are won, and how neurons do beside the penalty."""
    lines = [
        "| pair | not beaten | strictly better | of 15, better | level at full | "
        "surely better | tail coverage at 5: not beaten of 5 | "
        "neurons at least the penalty, of 15 |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for pair, splits in pairs.items():
        found = {
            (measure, level): verdict
            for measure in WON_BY
            for level, verdict in verdicts(splits, measure).items()
        }
        cells = list(found.values())
        unbeaten = not any(beaten for _, _, beaten in cells)
        points = sum(point > 0 for _, (point, _, _), _ in cells)
        level_at_top = sum(
            point <= 0 and measure == "tail coverage" and at_ceiling(splits, level)
            for (measure, level), (_, (point, _, _), _) in found.items()
        )
        surely = sum(low > 0 for _, (_, low, _), _ in cells)
        depth = verdicts(splits, "tail coverage at 5").values()
        deep = sum(not beaten for _, _, beaten in depth)
        strictly = "yes" if points + level_at_top == len(cells) else "no"
        row = [
            name_of(pair), "yes" if unbeaten else "**no**", strictly, points,
            level_at_top, surely, deep, neurons_beside_penalty(splits),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, row))} |")
    return [*lines, ""]


def neurons_beside_penalty(splits):
    """Count the cells where the best neurons are no worse than the penalty."""
    n_cells = 0
    for measure in WON_BY:
        for level in LEVELS:
            theirs = [s.rows["log-popularity penalty", level, measure] for s in splits]
            mine = []
            for split in splits:
                rows = [
                    split.rows[family, level, measure]
                    for family in NEURONS
                    if (family, level, measure) in split.rows
                ]
                mine.append(
                    max(rows, key=lambda r: better(measure) * r["valid"][measure])
                )
            n_cells += gap(splits, mine, theirs, measure)[2] >= 0
    return n_cells


def table(pair, splits):
    """Return the lines of a pair: a row a method, a column a level."""
    first = splits[0].cell
    n = len(splits)
    own = " / ".join(
        f"{np.mean([split.host[m] for split in splits]):.3f}" for m in MEASURES
    )
    ndcg = np.mean([split.host["ndcg"] for split in splits])
    lines = [
        f"## {name_of(pair)}", "",
        f"{first['users']:,} users, {first['items']:,} items, pool {first['pool']}, "
        f"mean of {n} split{'s' if n > 1 else ''}. Host: NDCG@10 {ndcg:.4f}, "
        f"{own}.", "",
        "| method | " + " | ".join(f"{100 * level:.0f} %" for level in LEVELS) + " |",
        "|---|" + "---|" * len(LEVELS),
    ]  # fmt: skip
    for family in [*OURS, *splits[0].rivals()]:
        cells = [cell_of(family, level, splits) for level in LEVELS]
        lines.append(f"| {family} | {' | '.join(cells)} |")
    lines += ["", "Nearest rival, and how much better slot pricing is:", ""]
    lines += [
        "| measure | " + " | ".join(f"{100 * level:.0f} %" for level in LEVELS) + " |",
        "|---|" + "---|" * len(LEVELS),
    ]
    for measure in MEASURES:
        found = verdicts(splits, measure)
        cells = [
            f"{nearest} {point:+.3f} ({low:+.3f} to {high:+.3f})"
            for nearest, (point, low, high), _ in found.values()
        ]
        lines.append(f"| {measure} | {' | '.join(cells)} |")
    return [*lines, ""]


def cell_of(family, level, splits):
    """Return the mean of every measure, and the lowest share of NDCG kept."""
    rows = {m: [s.rows[family, level, m] for s in splits] for m in MEASURES}
    values = " / ".join(
        f"{np.mean([row['test'][m] for row in some]):.3f}" for m, some in rows.items()
    )
    kept = min(np.mean([row["test"]["kept"] for row in some]) for some in rows.values())
    return f"{values} ({kept:.3f})"


def name_of(pair):
    """Return what to call a pair."""
    return " · ".join(NAMES[part] for part in pair)


INTRODUCTION = """# The frontier of accuracy and exposure

{n_pairs} pairs of a host and a data set. Every method chooses from the host's best
items of a row (the pool), and is turned over ten strengths that run from nothing
lost to a quarter of NDCG@10 lost, found anew for every form; with and without a
strength per user, and with the host's first 0, 2, 4 to 9 items kept. Where a form has
strengths on both sides of a level, and what lies between may be better than all that
was tried, strengths between them are tried too, in eight rounds. For every share of the
host's NDCG and every measure the setting with the best value on validation is chosen
among those that keep to the share there, and its figures on the test are reported:
Gini (lower is better) / tail coverage / tail coverage at 5 exposures / tail share, in
brackets the lowest share of NDCG kept on the test. Tail: the 80 % of items with the
fewest training interactions. Of Gowalla the lists of 7,000 users are judged, drawn anew
for every split.

*Not beaten*: no rival is surely better (95 % interval over users, three splits
together) in Gini, tail coverage or tail share at any of the five levels. *Strictly
better*: better than each rival in all fifteen, but where coverage is full: ours lists
every item of the tail that any method lists at any level, and somebody else does too.
Slot pricing stands for itself with its joint lists; its price table ("slot prices"),
whose lists do not depend on who else is asked, has a row of its own, for its figures on
validation are of the users its prices were found for. Calibration learns from
validation, which plain rerankers use to be tuned only; with which of its features is a
setting. Neurons in score space are weighed by log popularity or by how often the host
lists an item; 32 of 1,024 of them fire for an item, or 1,024 of 2,048.

Which features, forms and strengths there are was settled on other splits of the same
data, 0 to 2, with their test sets in view: the features of the calibration, slot
pricing with the host's first items as a setting, probabilities that keep the host's
order (and have no squares then, which made them flat beyond the first dozens of items),
features that know what scores are usual for an item, strengths between those that were
tried first, neurons weighed by exposure, and that joint lists stand for slot pricing.
Then nothing was changed any more, hosts were trained on splits 3 to 5, and their test
sets were read once, for this table. One row came later: neurons in score space got
codes of many neurons, an item bias for the neurons of items to read, and a small
penalty on the weights of all neurons, which was settled on the validation of split 0,
and were measured anew on the same test sets.
"""
