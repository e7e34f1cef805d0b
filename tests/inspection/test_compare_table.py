"""The table of levels: intervals, paired tests, volumes, text, frame and picture."""

from html import unescape

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.sparse import csr_array

from skpopsteer import PopularityPenaltyReranker, compare, metrics
from skpopsteer.inspection import LevelComparison
from skpopsteer.inspection._attribute_shares import Attribute
from skpopsteer.inspection._compare_measures import (
    MEASURES,
    USER_GROUPS,
    measure_profiles,
    user_thirds,
)
from skpopsteer.metrics._bootstrap import draw_weights

LEVELS = (0.95, 0.9, 0.8)
N_ITEMS = 30


@pytest.fixture(scope="module")
def table(penalty, host, split):
    keep_three = PopularityPenaltyReranker(host, keep_top=3).fit(split[0])
    models = {
        "penalty": (penalty, [0.02, 0.05, 0.1, 0.2]),
        "<b>kept</b>": (keep_three, [0.05, 0.1, 0.2]),
    }
    return compare(models, *split, levels=LEVELS, n_boot=100, random_state=0)


def made(values, draws=None, *, chosen=None, names=("host", "a", "b")):
    """Make a table whose lists have these (NDCG kept, Gini)."""
    columns = ["ndcg", "ndcg_kept", *MEASURES]
    columns += [f"ndcg_kept_{group}" for group in USER_GROUPS]

    def filled(pairs):
        pairs = np.asarray(pairs, dtype=np.float64)
        figures = np.full((*pairs.shape[:-1], len(columns)), 0.5)
        figures[..., 1:3] = pairs
        return figures

    n_profiles = len(values)
    if chosen is None:
        # One level, and a profile for each name.
        chosen = np.tile(np.arange(len(names))[:, None], (1, 1, len(MEASURES)))
    chosen = np.asarray(chosen)
    draws = np.empty((0, n_profiles, 2)) if draws is None else draws
    return LevelComparison(
        names=list(names), levels=(0.95, 0.9, 0.8)[: len(chosen)],
        measures=list(MEASURES), columns=columns, values=filled(values),
        draws=filled(draws), chosen=chosen, settings=[()] * n_profiles,
        words=[""] * n_profiles, chosen_kept=np.ones(n_profiles), n_recommendations=10,
        notes=["A note."],
    )  # fmt: skip


# Draws of users.


def test_draws_are_the_metrics_of_the_users_drawn():
    rng = np.random.default_rng(0)
    n_items = 12
    lists = [rng.permuted(np.tile(np.arange(n_items), (40, 1)), axis=1)[:, :6]
             for _ in range(2)]  # fmt: skip
    lists[1][3:6, 2:] = -1
    lists[1][7] = -1
    y = rng.integers(-1, n_items, size=40)
    labels = np.where(np.arange(n_items) < 4, 1, -1)
    groups = rng.random((6, 40)) < 0.5
    parity = Attribute("parity", np.arange(n_items) % 2, n_items)
    columns, values, draws = measure_profiles(
        lists, y, labels, groups, [parity], 4, seed=7
    )
    (weights,) = draw_weights(40, 4, 7)
    for drawn, found in [(np.ones(40), values), *zip(weights, draws, strict=True)]:
        users = np.repeat(np.arange(40), drawn.astype(int))
        accuracy = []
        for row, one in zip(found, lists, strict=True):
            drawn_lists = one[users]
            accuracy.append(metrics.ndcg(y[users], drawn_lists))
            expected = [
                accuracy[-1],
                accuracy[-1] / accuracy[0],
                metrics.gini(drawn_lists, n_items),
                *(metrics.tail_coverage(drawn_lists, labels, min_exposures=m)
                  for m in (1, 5, 10)),
                metrics.tail_share(drawn_lists, labels),
            ]  # fmt: skip
            for group in groups:
                inside = users[group[users]]
                of_host, own = (metrics.ndcg(y[inside], one[inside])
                                for one in (lists[0], one))  # fmt: skip
                expected.append(own / of_host)
            # Of two values a mixture is the share of one.
            odd = [np.ma.masked_array(one[users] % 2, one[users] < 0)
                   for one in (lists[0], one)]  # fmt: skip
            gap = odd[0].mean(axis=1) - odd[1].mean(axis=1)
            overall = odd[0].mean() - odd[1].mean()
            none = drawn_lists[:, :1].ravel() < 0
            expected += [abs(overall), np.where(none, 0.5, np.abs(gap)).mean()]
            np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-12)
    assert columns == ["ndcg", "ndcg_kept", *MEASURES,
                       *(f"ndcg_kept_{group}" for group in USER_GROUPS),
                       "parity_all", "parity_user"]  # fmt: skip


def test_intervals_hold_the_figure_of_the_population():
    rng = np.random.default_rng(1)
    n_population, n_sample, n_samples = 3000, 250, 60
    taste = rng.random(n_population)
    y = rng.integers(0, N_ITEMS, size=n_population)
    host = np.tile(np.arange(5), (n_population, 1))
    host[:, 0] = np.where(rng.random(n_population) < 0.5, y, host[:, 0])
    other = np.where(taste[:, None] < 0.5, host, np.arange(20, 25))
    for lists in (host, other):
        # The first slot may have repeated another.
        repeated = (lists[:, 1:] == lists[:, :1]) & (lists[:, :1] >= 0)
        lists[:, 1:][repeated] = -1
    labels = np.where(np.arange(N_ITEMS) < 10, 1, -1)
    groups = np.ones((6, n_population), dtype=bool)
    _, truth, _ = measure_profiles([host, other], y, labels, groups, [], 0, seed=0)
    held = 0
    places = [1, 2 + MEASURES.index("tail_share")]
    for sample in range(n_samples):
        rows = rng.choice(n_population, n_sample)
        _, values, draws = measure_profiles(
            [host[rows], other[rows]], y[rows], labels, groups[:, rows], [], 100, sample
        )
        table = made(np.zeros((2, 2)), names=("host", "other"))
        low, high = (getattr(_with(table, values, draws), end)[1, places]
                     for end in ("low", "high"))  # fmt: skip
        held += (low <= truth[1, places]) & (truth[1, places] <= high)
    assert (held >= 0.85 * n_samples).all()
    assert (held < n_samples).any()


def _with(table, values, draws):
    fields = {name: getattr(table, name) for name in table.__dataclass_fields__}
    fields = {n: v for n, v in fields.items() if n not in ("low", "high")}
    return LevelComparison(**fields | {"values": values, "draws": draws})


def test_intervals_hold_the_figure_and_stay_shares(table):
    assert (table.low <= table.values + 1e-12).all()
    assert (table.high >= table.values - 1e-12).all()
    wide = table.high[:, 2] > table.low[:, 2]
    assert wide.all()
    shares = slice(2, 2 + len(MEASURES))
    assert table.low[:, shares].min() >= 0
    assert table.high[:, shares].max() <= 1


def test_accuracy_may_rise_above_the_hosts():
    draws = np.full((40, 3, 2), 0.5)
    draws[..., 0] = np.linspace(1.1, 1.5, 40)[:, None]
    table = made([(1.3, 0.5)] * 3, draws)
    assert table.high[0, table.columns.index("ndcg_kept")] > 1.4
    assert table.low[0, table.columns.index("ndcg_kept")] > 1.05


def test_no_draws_no_intervals(penalty, split):
    bare = compare({"a": (penalty, [0.1])}, *split, n_boot=0, random_state=0)
    assert bare.draws.shape[0] == 0
    assert np.isnan(bare.low).all()
    assert (bare.marks == 0).all()
    gap = bare.difference("a", "host")[0.9]["gini"]
    assert np.isnan(gap[1:]).all()
    assert gap.value == bare["gini"][3, 1] - bare["gini"][3, 0]
    assert "95 % intervals" not in str(bare)
    assert "nan" not in str(bare)
    assert "nan" not in bare._repr_html_()


def test_thirds_keep_equals_together():
    X = np.zeros((8, 9))
    for user, length in enumerate([1, 1, 1, 2, 3, 3, 5, 0]):
        X[user, :length] = 1
    popularity = np.array([9, 8, 1, 1, 1, 1, 1, 1, 1])
    thirds = user_thirds(csr_array(X), popularity)
    # Mean popularity 9, 9, 9, 8.5, 6, 6, 4; a third lies at 6 and two at 9.
    assert thirds[:3].astype(int).tolist() == [
        [0, 0, 0, 0, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0, 0, 0], [0] * 8,
    ]  # fmt: skip
    assert thirds[3:].astype(int).tolist() == [
        [1, 1, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1, 0],
    ]  # fmt: skip
    assert not user_thirds(csr_array((2, 3)), np.zeros(3)).any()


# Who differs.


def gini_draws(*columns):
    """Make draws of (NDCG kept, Gini) from Ginis, one list of draws a name."""
    ginis = np.array(columns).T
    return np.stack([np.ones_like(ginis), ginis], axis=-1)


def test_marks_are_of_paired_draws():
    # Both move by .2 from draw to draw, and always together.
    common = np.linspace(-0.1, 0.1, 40)
    noise = np.tile([0.005, -0.005], 20)
    together = gini_draws(0.9 + common, 0.70 + common + noise, 0.72 + common)
    values = [(1, 0.9), (1, 0.70), (1, 0.72)]
    assert made(values, together).marks[0, :, 0].tolist() == [-1, 1, -1]
    apart = gini_draws(0.9 + common, 0.70 - common, 0.72 + common)
    assert made(values, apart).marks[0, :, 0].tolist() == [-1, 0, 0]


def test_marks_know_that_a_higher_share_is_better():
    common = np.linspace(-0.1, 0.1, 40)
    table = made([(1, 0.5)] * 3, gini_draws(*[0.5 + common] * 3))
    values, draws = table.values.copy(), table.draws.copy()
    place = table.columns.index("tail_share")
    values[:, place], draws[:, :, place] = [0.1, 0.3, 0.4], [0.1, 0.3, 0.4]
    marks = _with(table, values, draws).marks
    assert marks[0, :, -1].tolist() == [-1, -1, 1]
    assert (marks[:, :, :-1] == 0).all()


def test_the_last_digit_is_no_difference():
    values = np.array([(1, 0.7), (1, 0.7), (1, 0.7 + 1e-16)])
    draws = gini_draws(*[np.full(40, v) for v in (0.7, 0.7, 0.7 + 2e-16)])
    table = made(values, draws)
    assert (table.marks == 0).all()
    assert table.difference("a", "b")[0.95]["gini"] == (0, 0, 0, 1, 1)


def test_a_planted_better_method_is_marked(host, split):
    X, _ = split
    good = PopularityPenaltyReranker(host).fit(X)
    bad = PopularityPenaltyReranker(host, keep_top=9).fit(X)
    table = compare(
        {"bad": (bad, [0.05, 0.1, 0.2]), "good": (good, [0.05, 0.1, 0.2])},
        *split, levels=[0.9, 0.8], random_state=0,
    )  # fmt: skip
    share = table.measures.index("tail_share")
    assert table.marks[:, :, share].tolist() == [[-1, -1, 1]] * 2
    line = next(line for line in str(table).splitlines() if line.startswith(" good"))
    assert line.endswith("+")


def test_differences_are_of_the_same_draws(table):
    rows = [table.rows("gini")[1, n] for n in (1, 2)]
    place = table.columns.index("gini")
    found = table.difference("penalty", "<b>kept</b>")[0.9]["gini"]
    draws = table.draws[:, rows[0], place] - table.draws[:, rows[1], place]
    value = table["gini"][1, 1] - table["gini"][1, 2]
    ends = np.quantile(draws, [0.025, 0.975]) + value - draws.mean()
    np.testing.assert_allclose(found[:3], [value, *ends], atol=1e-12)
    shifted = draws - draws.mean() + value
    beyond = min((shifted <= 0).sum(), (shifted >= 0).sum())
    assert found.p_value == pytest.approx(min(1, 2 * (1 + beyond) / 101))
    assert found.p_adjusted >= found.p_value


def test_a_difference_the_other_way_round_has_the_other_sign(table):
    one = table.difference("penalty", "host")
    two = table.difference("host", "penalty")
    for level in LEVELS:
        assert list(one[level]) == ["ndcg_kept", *MEASURES]
        for column, gap in one[level].items():
            value, low, high, p_value, adjusted = two[level][column]
            assert gap == pytest.approx((-value, -high, -low, p_value, adjusted))


def test_p_values_are_of_draws_around_the_figure():
    # All draws are above 0, and around .05; the figure itself is .01.
    noise = np.linspace(-0.04, 0.04, 99)
    draws = gini_draws(np.full(99, 0.9), 0.75 + noise, np.full(99, 0.7))
    found = made([(1, 0.9), (1, 0.71), (1, 0.7)], draws).difference("a", "b")[0.95]
    below = (noise + 0.01 <= 0).sum()
    assert found["gini"].p_value == pytest.approx(2 * (1 + below) / 100)


def test_among_equal_rivals_the_name_decides():
    # Rivals a and c are equal but for their draws: a mark beside c, none beside a.
    common = np.linspace(-0.1, 0.1, 40)
    drawn = gini_draws(0.9 + common, 0.7 - common, 0.72 + common, 0.7 + common)
    values = np.array([(1, 0.9), (1, 0.7), (1, 0.72), (1, 0.7)])
    for order in ([0, 1, 2, 3], [0, 3, 2, 1]):
        names = [["host", "a", "b", "c"][n] for n in order]
        table = made(values[order], drawn[:, order], names=names)
        assert table.marks[0, 2, 0] == -1


def test_p_values_are_adjusted_for_their_number():
    common = np.linspace(-0.1, 0.1, 99)
    draws = gini_draws(0.9 + common, 0.7 + common, 0.7 + common)
    found = made([(1, 0.9), (1, 0.7), (1, 0.7)], draws).difference("a", "host")[0.95]
    # Six columns, of which five do not differ.
    assert found["gini"].p_value == 0.02
    assert found["gini"].p_adjusted == pytest.approx(0.12)
    assert found["tail_share"].p_value == 1


def test_hypervolume_by_hand():
    # Gains on the host's .9: .1 at .96, .2 at .92, .3 at .85, and .5 below the lowest.
    values = [(1, 0.9), (0.96, 0.8), (0.92, 0.7), (0.85, 0.6), (0.7, 0.4), (1.1, 0.95)]
    chosen = np.zeros((3, 3, 5), dtype=int)
    chosen[:, 1], chosen[:, 2] = [[1], [2], [3]], [[5], [5], [4]]
    table = made(values, chosen=chosen)
    # From .8 on: a strip each of .05, .07 and .04.
    expected = 0.05 * 0.3 + 0.07 * 0.2 + 0.04 * 0.1
    found = table.hypervolume()
    assert found["a"]["gini"][0] == pytest.approx(expected)
    assert found["b"]["gini"][0] == 0
    assert list(found) == ["a", "b"]
    assert list(found["a"]) == list(MEASURES)
    assert table.hypervolume(0.6)["b"]["gini"][0] == pytest.approx(0.1 * 0.5)
    assert table.hypervolume(0.9)["a"]["gini"][0] == pytest.approx(
        0.02 * 0.2 + 0.04 * 0.1
    )


def test_hypervolumes_have_paired_intervals():
    # The host's Gini moves as the method's does: what is gained does not.
    common = np.linspace(-0.1, 0.1, 40)
    draws = gini_draws(0.9 + common, 0.8 + common, 0.8 + common)
    found = made([(1, 0.9), (1, 0.8), (1, 0.8)], draws).hypervolume(0.5)
    assert found["a"]["gini"] == pytest.approx((0.05, 0.05, 0.05))


def test_no_volume_is_negative():
    # A gain in few of the draws: their mean is above the figure.
    gains = np.where(np.arange(40) < 4, 0.4, 0.01)
    draws = gini_draws(np.full(40, 0.9), 0.9 - gains, 0.9 - gains)
    found = made([(1, 0.9), (1, 0.89), (1, 0.89)], draws).hypervolume(0.5)
    value, low, high = found["a"]["gini"]
    assert low == 0 < value < high


def test_more_strengths_make_more_volume(table):
    volume = table.hypervolume()["penalty"]["tail_share"]
    assert 0 < volume[1] < volume[0] < volume[2]


# Reading it.


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda t: t["ndgc"], "`column` must be one of ndcg, ndcg_kept.*got 'ndgc'"),
        (lambda t: t.setting(0.5, "penalty", "gini"), "`level` .* 0.8; got 0.5"),
        (lambda t: t.setting(0.9, "x", "gini"), "`name` must be .* penalty.*got 'x'"),
        (lambda t: t.setting(0.9, "host", "ndcg"), "`measure` must be .* gini.*'ndcg'"),
        (lambda t: t.difference("x", "host"), "`first` must be one of host.*got 'x'"),
        (lambda t: t.difference("host", "x"), "`second` must be one of host.*got 'x'"),
        (lambda t: t.plot(measures=["x"]), "`measure` must be one of gini.*got 'x'"),
    ],
)
def test_unknown_names_list_those_there_are(ask, message, table):
    with pytest.raises(KeyError, match=message):
        ask(table)


def test_text_has_a_block_a_level_and_a_row_a_method(table):
    lines = str(table).splitlines()
    main = lines[: lines.index("")]
    assert main[0].startswith("NDCG@10 of host: ")
    assert f"{table.values[0, 0]:.3f}" in main[0]
    assert [line for line in main if line.endswith("% kept")] == [
        "95 % kept", "90 % kept", "80 % kept",
    ]  # fmt: skip
    rows = [line for line in main if line.startswith(" penalty")]
    assert len(rows) == 3
    for level, row in enumerate(rows):
        cells = [cell.rstrip("+-=") for cell in row.split()[1:]]
        expected = [table["ndcg_kept"][level, 1]]
        expected += [table[measure][level, 1] for measure in MEASURES]
        assert cells == [f"{value:.3f}" for value in expected]
    place = table.columns.index("gini")
    low, high = (end[table.chosen[0, 1, 0], place] for end in (table.low, table.high))
    assert f"{low:.3f}-{high:.3f}".replace("0.", ".") in main[main.index(rows[0]) + 1]
    assert max(map(len, lines)) <= 80
    # One rule below the headers, none between the blocks.
    assert [set(line) <= set("- ") for line in main].count(True) == 1


def test_text_tells_who_pays_and_how_settings_were_chosen(table):
    text = " ".join(str(table).split())
    assert "Who pays: NDCG kept by thirds of the users" in text
    assert f"{table['ndcg_kept_light'][2, 1]:.3f}" in text.partition("Who pays")[2]
    assert "Each half of the users has the settings chosen on the other half" in text
    assert "95 % intervals from 100 draws" in text
    assert "Hypervolume" in text
    volume, low, high = table.hypervolume()["penalty"]["gini"]
    assert f"{1000 * volume:.2f}" in text
    assert f"{1000 * low:.2f}-{1000 * high:.2f}" in text
    assert "tail: the 80 % with fewest" in text


def test_who_surely_pays_is_marked():
    common = np.linspace(-0.1, 0.1, 40)
    table = made([(1, 0.9), (0.9, 0.8), (0.9, 0.8)], gini_draws(*[0.5 + common] * 3))
    values, draws = table.values.copy(), table.draws.copy()
    light, heavy = (table.columns.index(f"ndcg_kept_{g}") for g in ("light", "heavy"))
    draws[:, 1, 1] = 0.9 + common
    for place in range(len(table.columns) - len(USER_GROUPS), len(table.columns)):
        gap = {light: -0.1, heavy: 0.1}.get(place, 0)
        values[1, place] = 0.9 + gap
        draws[:, 1, place] = 0.9 + gap + common
    text = str(_with(table, values, draws)).partition("Who pays")[2]
    row = next(line for line in text.splitlines() if line.startswith(" a"))
    assert row.split() == ["a", "0.900", "0.900", "0.900", "0.800-", "0.900", "1.000"]


def test_names_are_escaped_in_html(table):
    html = table._repr_html_()
    assert "<b>" not in html
    assert html.count("&lt;b&gt;kept&lt;/b&gt;") == 7
    assert f"{table['gini'][0, 1]:.3f}" in html
    text = unescape(html)
    assert all(note in text for note in table.notes)


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_it_becomes_a_frame(table, backend):
    frame = table.to_frame(backend)
    assert list(frame.columns) == [
        "level", "recommender", "chosen_for", "setting", "validation_ndcg_kept",
        "measure", "value", "low", "high", "mark",
    ]  # fmt: skip
    rows = frame.to_dict("records") if backend == "pandas" else frame.to_dicts()
    assert len(rows) == 3 * 3 * len(MEASURES) * len(table.columns)
    shown = [row for row in rows if row["measure"] == row["chosen_for"]]
    for row in shown:
        place = (LEVELS.index(row["level"]), table.names.index(row["recommender"]))
        assert row["value"] == table[row["measure"]][place]
        profile = table.rows(row["measure"])[place]
        column = table.columns.index(row["measure"])
        assert row["low"] == table.low[profile, column]
        assert row["high"] == table.high[profile, column]
        assert row["setting"] == table.words[profile]
        assert row["validation_ndcg_kept"] == table.chosen_kept[profile]
        assert row["mark"] == table.marks[*place, MEASURES.index(row["measure"])]
    assert {row["mark"] for row in rows} == {-1, 0, 1}
    others = [row for row in rows if row["measure"] != row["chosen_for"]]
    assert all(row["mark"] == 0 for row in others)
    with pytest.raises(ValueError, match="`backend` must be 'pandas' or 'polars'"):
        table.to_frame("arrow")


# Drawing it.


def test_a_panel_a_measure_and_a_curve_a_method(table, opened):
    axes = table.plot()
    assert opened() == 1
    assert [ax.get_ylabel().splitlines()[0] for ax in axes] == [
        "Gini of exposure @10", "Share of the tail recommended @10",
        "Share of tail items in a list @10",
    ]  # fmt: skip
    assert all("Share of the host's NDCG@10 kept" in ax.get_xlabel() for ax in axes)
    (legend,) = axes[0].figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["penalty", "<b>kept</b>", "host"]
    shown = "gini", "tail_coverage_1", "tail_share"
    for ax, measure in zip(axes, shown, strict=True):
        lines = {line.get_label(): line for line in ax.lines}
        rows = np.unique(table.rows(measure)[:, 1])
        points = table.values[np.ix_(rows, [1, table.columns.index(measure)])]
        points = points[np.argsort(points[:, 0])]
        np.testing.assert_allclose(lines["penalty"].get_xydata(), points)
        star = lines["host"].get_xydata()
        np.testing.assert_allclose(star, [[1, table[measure][0, 0]]])
        assert len(ax.patches) == 2
        levels = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2
                  and line.get_xdata()[0] == line.get_xdata()[1]]  # fmt: skip
        assert set(LEVELS) <= set(levels)


def test_it_draws_where_it_is_told(table, opened):
    axes = Figure().subplots(1, 2)
    measures = ["tail_coverage_5", "tail_coverage_10"]
    drawn = table.plot(axes, measures=measures)
    assert opened() == 0
    assert drawn.tolist() == axes.tolist()
    assert [ax.get_legend() is None for ax in axes] == [True, False]
    with pytest.raises(ValueError, match="`ax` must be an array of 3 Axes"):
        table.plot(axes)


def test_without_draws_there_are_no_bands(penalty, split, opened):
    bare = compare({"a": (penalty, [0.1])}, *split, n_boot=0, random_state=0)
    assert not any(len(ax.patches) for ax in bare.plot())


def test_methods_of_one_colour_differ(opened):
    names = ["host", *(f"method {n}" for n in range(20))]
    values = [(1, 0.9), *((0.9 + n / 100, 0.8) for n in range(20))]
    ax = made(values, names=names).plot(measures=["gini"])[0]
    looks = {
        (line.get_color(), line.get_marker(), line.get_fillstyle())
        for line in ax.lines
        if line.get_label().startswith("method")
    }
    assert len(looks) == 20


def test_many_bands_hide_no_curve(table, opened):
    draws = gini_draws(*np.random.default_rng(0).random((13, 40)))
    names = ["host", *"abcdefghijkl"]
    crowded = made([(0.9, 0.8)] * 13, draws, names=names).plot(measures=["gini"])[0]
    few = table.plot(measures=["gini"])[0]
    alphas = [ax.patches[0].get_alpha() for ax in (crowded, few)]
    assert alphas[0] == pytest.approx(alphas[1] / 2)


def test_a_method_that_kept_no_level_is_not_drawn(opened):
    chosen = np.zeros((1, 3, 5), dtype=int)
    chosen[0, 2] = 1
    ax = made([(1, 0.9), (0.96, 0.8)], chosen=chosen).plot(measures=["gini"])[0]
    lines = {line.get_label(): line for line in ax.lines}
    assert len(lines["a"].get_xdata()) == 0
    assert len(lines["b"].get_xdata()) == 1


@pytest.mark.usefixtures("no_matplotlib")
def test_the_table_needs_no_matplotlib(table):
    assert "Hypervolume" in str(table)
    with pytest.raises(ImportError, match="matplotlib"):
        table.plot()
