"""A steered model beside its rivals at equal accuracy: strengths, verdicts, tables."""

from skpopsteer.inspection._audit_words import percent
from skpopsteer.inspection._compare_measures import SIGNS, USER_GROUPS
from skpopsteer.inspection._report_blocks import (
    Table,
    clean,
    count,
    enumerate_words,
    number,
    signed,
    span,
)

__all__ = [
    "MEASURE_WORDS",
    "frontier_tables",
    "frontier_text",
    "judge",
    "rival_sentence",
]

#: A difference counts where its adjusted p-value is below.
_SURE = 0.05
#: The level that is put into words.
_WORDED = 0.95
#: Headers and nouns of the measures, and what their better end is.
MEASURE_WORDS = {
    "gini": "Gini",
    "tail_coverage_1": "tail coverage, 1+ lists",
    "tail_coverage_5": "tail coverage, 5+ lists",
    "tail_coverage_10": "tail coverage, 10+ lists",
    "tail_share": "tail share",
}
_BETTER, _WORSE, _SAME, _OPEN = "better", "worse", "the same", "too close to tell"
#: Counted even where there are none.
_COUNTED = (_BETTER, _WORSE)
_GROUP_HEADERS = [
    f"{group} {'taste' if place < 3 else 'users'}"
    for place, group in enumerate(USER_GROUPS)
]


def judge(comparison, name, rival):
    """Say for every level and measure whether a method differs from a rival.

    Parameters
    ----------
    comparison : LevelComparison
    name, rival : str

    Returns
    -------
    list of dict
        One per level and measure: `level`, `measure`, `difference` (`name` minus
        `rival`), `low`, `high`, `p_adjusted`, and `verdict`: "better", "worse", "the
        same" for no difference on any draw, or "too close to tell".
    """
    found = []
    for level, row in comparison.difference(name, rival).items():
        for measure, sign in zip(comparison.measures, SIGNS, strict=True):
            one = row[measure]
            verdict = _OPEN
            if one.value == one.low == one.high == 0:
                verdict = _SAME
            elif one.p_adjusted < _SURE and one.value != 0:
                verdict = _BETTER if sign * one.value > 0 else _WORSE
            found.append({
                "level": level, "measure": measure, "difference": one.value,
                "low": one.low, "high": one.high, "p_adjusted": one.p_adjusted,
                "verdict": verdict,
            })  # fmt: skip
    return found


def rival_sentence(comparison, name, rival):
    """Count wins and losses, and word the level that is asked for most.

    Parameters
    ----------
    comparison : LevelComparison
    name, rival : str

    Returns
    -------
    str
    """
    cells = judge(comparison, name, rival)
    tally = {
        verdict: sum(cell["verdict"] == verdict for cell in cells)
        for verdict in (_BETTER, _WORSE, _SAME, _OPEN)
    }
    counted = enumerate_words(
        [
            f"{verdict} in {n}"
            for verdict, n in tally.items()
            if n or verdict in _COUNTED
        ]
    )
    level = worded_level(comparison)
    place = comparison.levels.index(level)
    clauses = []
    for measure in ("gini", "tail_share"):
        mine, theirs = (
            comparison[measure][place, comparison.names.index(one)]
            for one in (name, rival)
        )
        verdict = next(
            cell["verdict"]
            for cell in cells
            if cell["level"] == level and cell["measure"] == measure
        )
        clauses.append(
            f"{MEASURE_WORDS[measure]} {number(mine)} against {number(theirs)} "
            f"({verdict})"
        )
    n_levels, n_measures = len(comparison.levels), len(comparison.measures)
    return (
        f"At equal accuracy, against {clean(rival)}: {counted} of "
        f"{n_levels * n_measures} cells "
        f"({count(n_levels, 'level')} by {count(n_measures, 'measure')}). At "
        f"{percent(level)} of the host's NDCG kept, {enumerate_words(clauses)}."
    )


def worded_level(comparison):
    """Return the level nearest to the one that is put into words."""
    return min(comparison.levels, key=lambda one: (abs(one - _WORDED), one))


def frontier_text(comparison, measures):
    """Put the picture of a comparison into words.

    Parameters
    ----------
    comparison : LevelComparison
    measures : list of str
        Those that are drawn.

    Returns
    -------
    str
    """
    level = worded_level(comparison)
    place = comparison.levels.index(level)
    panels = []
    for measure in measures:
        figures = comparison[measure][place].tolist()
        values = [
            f"{clean(name)} {number(value)}"
            for name, value in zip(comparison.names, figures, strict=True)
        ]
        panels.append(f"{MEASURE_WORDS[measure]}: {', '.join(values)}")
    return (
        f"{count(len(measures), 'panel')}, one curve per method over the share of the "
        "host's NDCG that is kept, a star for the host, bands for 95 % intervals. At "
        f"{percent(level)} kept: {'; '.join(panels)}."
    )


def frontier_tables(comparison, name, rivals):
    """Make the tables of a comparison.

    Parameters
    ----------
    comparison : LevelComparison
    name : str
        The method that is reported.
    rivals : list of str

    Yields
    ------
    Table
    """
    yield _reach(comparison)
    for rival in rivals:
        yield _verdicts(comparison, name, rival)
    yield _payers(comparison)
    yield _volumes(comparison)
    yield _settings(comparison)


def _rows(comparison, cells):
    """Name a row for every level and method, and fill it."""
    return [
        [percent(level), clean(name), *cells(place, n)]
        for place, level in enumerate(comparison.levels)
        for n, name in enumerate(comparison.names)
        if n > 0
    ]


def _reach(comparison):
    columns = ["ndcg_kept", *comparison.measures]

    def cells(level, name):
        row = []
        for column in columns:
            profile = comparison.rows(column)[level, name]
            mark = " =" if profile == 0 and column != "ndcg_kept" else ""
            row.append(_cell(comparison, profile, column, mark))
        return row

    host = ["", clean(comparison.names[0])]
    host += [_cell(comparison, 0, column) for column in columns]
    ndcg = comparison.columns.index("ndcg")
    k = comparison.n_recommendations
    return Table(
        f"What every method reaches while it keeps a share of the host's NDCG@{k} "
        f"({number(comparison.values[0, ndcg])}); below, 95 % intervals",
        ["to be kept", "method", "NDCG kept", *MEASURE_WORDS.values()],
        [host, *_rows(comparison, cells)],
        n_labels=2,
    )


def _cell(comparison, row, column, mark=""):
    place = comparison.columns.index(column)
    value = number(comparison.values[row, place])
    ends = span(comparison.low[row, place], comparison.high[row, place])
    return _above(value + mark, ends)


def _above(value, ends):
    """Put an interval, if there is one, below its value."""
    return f"{value}\n{ends}" if ends else value


def _verdicts(comparison, name, rival):
    cells = judge(comparison, name, rival)
    rows = []
    for level in comparison.levels:
        row = [percent(level)]
        for cell in cells:
            if cell["level"] == level:
                ends = span(cell["low"], cell["high"], 4)
                below = f"{cell['verdict']}{f', {ends}' if ends else ''}"
                row.append(f"{signed(cell['difference'], 4)}\n{below}")
        rows.append(row)
    return Table(
        f"{clean(name)} minus {clean(rival)}, paired: lower is better for Gini, higher "
        "for the others",
        ["to be kept", *MEASURE_WORDS.values()],
        rows,
    )


def _payers(comparison):
    columns = [f"ndcg_kept_{group}" for group in USER_GROUPS]
    places = [comparison.columns.index(column) for column in columns]
    dearest = comparison.rows("ndcg_kept")

    def cells(level, name):
        return [number(v) for v in comparison.values[dearest[level, name], places]]

    return Table(
        "Who pays: share of the host's NDCG that thirds of the users keep, at the "
        "setting that keeps the least of those chosen at a level",
        ["to be kept", "method", *_GROUP_HEADERS],
        _rows(comparison, cells),
        n_labels=2,
    )


def _volumes(comparison):
    rows = []
    for name, found in comparison.hypervolume().items():
        cells = []
        for value, low, high in found.values():
            cells.append(
                _above(number(1000 * value, 2), span(1000 * low, 1000 * high, 2))
            )
        rows.append([clean(name), *cells])
    return Table(
        "Over all levels: area between the curve of a method and the host "
        "(hypervolume), in thousandths",
        ["method", *MEASURE_WORDS.values()],
        rows,
    )


def _settings(comparison):
    shown = ("gini", "tail_share")
    places = [comparison.measures.index(measure) for measure in shown]

    def cells(level, name):
        rows = comparison.chosen[level, name, places]
        return [clean(comparison.words[row]) for row in rows]

    return Table(
        "Settings chosen, one for each half of the users",
        ["to be kept", "method", *(f"for {MEASURE_WORDS[one]}" for one in shown)],
        _rows(comparison, cells),
        n_labels=4,
    )
