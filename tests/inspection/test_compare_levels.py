"""Methods at equal accuracy: the choice of settings, and their figures."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer import (
    PopularityGroups,
    PopularityPenaltyReranker,
    TunedSteeringCV,
    as_recommender,
    compare,
    metrics,
)
from skpopsteer.inspection import LevelComparison, _compare_families, _compare_levels
from skpopsteer.model_selection import HeldOut, hide_interactions
from skpopsteer.popularity import item_popularity

STRENGTHS = [0.0, 0.02, 0.05, 0.1, 0.2]
LEVELS = (0.97, 0.9, 0.8)
MEASURES = ["gini", "tail_coverage_1", "tail_coverage_5", "tail_coverage_10",
            "tail_share"]  # fmt: skip


@pytest.fixture(scope="module")
def validation(split):
    return hide_interactions(split[0], random_state=1)


@pytest.fixture(scope="module")
def keep_three(host, split):
    return PopularityPenaltyReranker(host, keep_top=3).fit(split[0])


@pytest.fixture(scope="module")
def models(penalty, keep_three):
    return {
        "penalty": (penalty, STRENGTHS),
        "both": [(penalty, [0.05, 0.2]), (keep_three, [0.1, 0.3])],
    }


@pytest.fixture(scope="module")
def table(models, split, validation):
    return compare(
        models, *split, validation=validation, levels=LEVELS, n_boot=50, random_state=0
    )


@pytest.fixture(scope="module")
def crossed(models, split):
    return compare(models, *split, levels=LEVELS, n_boot=50, random_state=0)


def by_hand(y, lists, labels):
    """Score lists by the public metrics, NDCG first."""
    return [
        metrics.ndcg(y, lists),
        metrics.gini(lists, len(labels)),
        *(metrics.tail_coverage(lists, labels, min_exposures=m) for m in (1, 5, 10)),
        metrics.tail_share(lists, labels),
    ]


def best_by_hand(scores, host_ndcg, level, measure):
    """Name the best of scored settings that keep a level, None for nobody."""
    sign = -1 if measure == "gini" else 1
    place = 1 + MEASURES.index(measure)
    able = {s: row for s, row in scores.items() if row[0] / host_ndcg >= level}
    return max(
        able, key=lambda s: (sign * able[s][place], able[s][0]), default=None
    )  # fmt: skip


@pytest.fixture(scope="module")
def labels(split):
    return PopularityGroups().label(item_popularity(split[0]))


# The choice.


def choice_of(settings, levels):
    """Choose among (NDCG, Gini, tail share) by hand, in one part; coverage is 0."""
    scores = np.zeros((len(settings), 1, 6))
    scores[:, 0, [0, 1, 5]] = settings
    host = np.array([[0.5, 0.9, 0, 0, 0, 0.1]])
    chosen = _compare_levels.choose(scores, host, levels)
    assert chosen.shape == (len(levels), 5, 1)
    return chosen[:, [0, 4], 0].tolist()


def test_the_best_of_those_that_keep_a_level_is_chosen():
    # Kept: 1, .96, .9, .8. The last has the best Gini, the third the best tail share.
    settings = [(0.5, 0.9, 0.1), (0.48, 0.8, 0.2), (0.45, 0.7, 0.4), (0.4, 0.6, 0.3)]
    chosen = choice_of(settings, (0.97, 0.95, 0.9, 0.8))
    assert chosen == [[0, 0], [1, 1], [2, 2], [3, 2]]


def test_a_level_is_kept_by_what_just_reaches_it():
    assert choice_of([(0.5, 0.9, 0.1), (0.45, 0.8, 0.2)], (1.0, 0.9)) == [
        [0, 0],
        [1, 1],
    ]


def test_nothing_keeps_the_level():
    assert choice_of([(0.4, 0.6, 0.3)], (0.9, 0.8)) == [[-1, -1], [0, 0]]


def test_of_equals_the_more_accurate_is_chosen_and_then_the_first():
    settings = [(0.45, 0.8, 0.2), (0.48, 0.8, 0.2), (0.48, 0.8, 0.2)]
    assert choice_of(settings, (0.9,)) == [[1, 1]]


def test_settings_are_the_best_on_validation(table, models, host, validation, labels):
    seen, y = validation
    host_ndcg = metrics.ndcg(y, host.recommend(seen))
    for name, family in (("penalty", [models["penalty"]]), ("both", models["both"])):
        scores = {
            (place, s): by_hand(y, model.recommend(seen, strength=s), labels)
            for place, (model, strengths) in enumerate(family)
            for s in strengths
        }
        for level in LEVELS:
            for measure in MEASURES:
                found = table.setting(level, name, measure)
                best = best_by_hand(scores, host_ndcg, level, measure)
                assert found == (() if best is None else (best,))
    # The test tells settings apart.
    chosen = [{*map(table.settings.__getitem__, rows.ravel())}
              for rows in table.chosen.transpose(1, 0, 2)]  # fmt: skip
    assert [len(settings) for settings in chosen] == [1, 2, 3]


def test_halves_are_chosen_on_each_other(crossed, penalty, host, split, labels):
    X, y = split
    own = host.recommend(X)
    halves = _compare_levels._halves(y, own, np.random.RandomState(0))
    assert sorted(np.concatenate(halves).tolist()) == list(range(200))
    lists = {s: penalty.recommend(X, strength=s) for s in STRENGTHS}
    differ = 0
    for level in LEVELS:
        for measure in MEASURES:
            chosen = []
            for rows in halves:
                scores = {
                    (0, s): by_hand(y[rows], lists[s][rows], labels) for s in lists
                }
                accuracy = metrics.ndcg(y[rows], own[rows])
                chosen.append(best_by_hand(scores, accuracy, level, measure))
            assert crossed.setting(level, "penalty", measure) == tuple(chosen)
            differ += chosen[0] != chosen[1]
            # The half that a setting was chosen on gets the other's.
            mixed = np.empty_like(own)
            mixed[halves[1]] = lists[chosen[0][1]][halves[1]]
            mixed[halves[0]] = lists[chosen[1][1]][halves[0]]
            value = by_hand(y, mixed, labels)[1 + MEASURES.index(measure)]
            place = crossed.levels.index(level), crossed.names.index("penalty")
            assert crossed[measure][place] == pytest.approx(value, abs=1e-12)
            kept = [
                metrics.ndcg(y[rows], lists[s][rows]) / metrics.ndcg(y[rows], own[rows])
                for rows, (_, s) in zip(halves, chosen, strict=True)
            ]
            row = crossed.rows(measure)[place]
            assert crossed.chosen_kept[row] == pytest.approx(np.mean(kept))
    assert differ


def test_one_half_may_stay_with_the_host(penalty):
    own, turned = np.arange(6).reshape(3, 2), np.arange(6, 12).reshape(3, 2)
    profiles = _compare_levels._Profiles(own)
    family = _compare_families.Family("a", [(penalty, (0.3,))])
    choice = np.full((1, 5, 2), [-1, 0])
    rows = [np.array([0, 2]), np.array([1])]
    numbers = profiles.add(family, choice, {0: turned}, np.array([[0.9, 0.8]]), rows)
    assert numbers.tolist() == [[1] * 5]
    assert profiles.lists[1].tolist() == [[0, 1], [8, 9], [4, 5]]
    assert profiles.settings == [(), ((), (0, 0.3))]
    assert profiles.words[1] == "the host's own | strength 0.3"
    assert profiles.kept == [1, 0.9]


def test_halves_share_the_users_with_held_out_items():
    y, own = np.full(50, -1), np.tile([0, 1], (50, 1))
    y[[4, 9, 31]] = 0
    for seed in range(20):
        halves = _compare_levels._halves(y, own, np.random.RandomState(seed))
        assert sorted((y[rows] == 0).sum() for rows in halves) == [1, 2]
        assert [len(rows) for rows in halves] == [25, 25]


# The figures.


def test_every_figure_is_the_metric_of_the_lists_chosen(
    table, models, host, split, labels
):
    X, y = split
    host_ndcg = metrics.ndcg(y, host.recommend(X))
    families = {"penalty": [models["penalty"]], "both": models["both"]}
    for place_of_level, level in enumerate(LEVELS):
        for name in ("penalty", "both"):
            for m, measure in enumerate(MEASURES):
                row = table.chosen[place_of_level, table.names.index(name), m]
                setting = table.setting(level, name, measure)
                if not setting:
                    assert row == 0
                    continue
                ((place, strength),) = setting
                lists = families[name][place][0].recommend(X, strength=strength)
                expected = by_hand(y, lists, labels)
                expected.insert(1, expected[0] / host_ndcg)
                found = table.values[row, : len(expected)]
                np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_host_comes_first_as_it_is(table, host, split, labels):
    X, y = split
    assert table.names == ["host", "penalty", "both"]
    assert (table.chosen[:, 0] == 0).all()
    expected = by_hand(y, host.recommend(X), labels)
    expected.insert(1, 1.0)
    np.testing.assert_allclose(table.values[0, :7], expected, atol=1e-12)
    assert table.setting(0.9, "host", "gini") == ()


def test_other_columns_are_of_the_setting_that_keeps_least(table):
    kept = table.values[table.chosen, table.columns.index("ndcg_kept")]
    np.testing.assert_array_equal(table["ndcg_kept"], kept.min(axis=2))
    dearest = table.chosen[2, 1, kept[2, 1].argmin()]
    column = table.columns.index("ndcg_kept_heavy")
    assert table["ndcg_kept_heavy"][2, 1] == table.values[dearest, column]


def test_thirds_of_users_keep_their_own_share(table, penalty, host, split):
    X, y = split
    lengths = np.diff(X.indptr)
    popularity = item_popularity(X)
    taste = np.array(
        [popularity[X.indices[a:b]].mean() if b > a else np.nan
         for a, b in zip(X.indptr, X.indptr[1:], strict=False)]
    )  # fmt: skip
    ((_, strength),) = table.setting(0.8, "penalty", "gini")
    row = table.chosen[2, 1, 0]
    before = metrics.ndcg(y, host.recommend(X), per_user=True)
    after = metrics.ndcg(y, penalty.recommend(X, strength=strength), per_user=True)
    for names, values in (
        (("niche", "mixed", "popular"), taste),
        (("light", "medium", "heavy"), lengths),
    ):
        first, second = np.nanquantile(values, [1 / 3, 2 / 3])
        cuts = values <= first, (values > first) & (values <= second), values > second
        for name, members in zip(names, cuts, strict=True):
            assert 20 < members.sum() < 120
            expected = np.nanmean(after[members]) / np.nanmean(before[members])
            found = table.values[row, table.columns.index(f"ndcg_kept_{name}")]
            assert found == pytest.approx(expected)


def test_settings_are_chosen_on_lists_of_the_length_asked_for(
    split, validation, host, penalty
):
    table = compare(
        {"penalty": (penalty, [0.1])}, *split, validation=validation, levels=[0.1],
        n_recommendations=4, n_boot=0,
    )  # fmt: skip
    X, y = validation
    own = metrics.ndcg(y, host.recommend(X, 4))
    kept = metrics.ndcg(y, penalty.recommend(X, 4, strength=0.1)) / own
    assert table.chosen_kept[table.chosen[0, 1, 0]] == pytest.approx(kept)


def test_attributes_move_by_total_variation(models, split, validation, host, penalty):
    X, y = split
    colours = np.array(["red", "green", "blue", "grey"])[np.arange(100) % 4]
    table = compare(
        models, X, y, validation=validation, levels=[0.8], n_boot=20, random_state=0,
        attributes={"colour": colours},
    )  # fmt: skip
    assert table.columns[-2:] == ["colour_all", "colour_user"]
    ((_, strength),) = table.setting(0.8, "penalty", "tail_share")
    row = table.chosen[0, 1, -1]

    def shares(lists):
        held = colours[lists]
        return np.stack([(held == one).mean(axis=-1) for one in np.unique(colours)])

    own = shares(host.recommend(X))
    new = shares(penalty.recommend(X, strength=strength))
    expected = [np.abs(own.mean(axis=1) - new.mean(axis=1)).sum() / 2,
                np.abs(own - new).sum(axis=0).mean() / 2]  # fmt: skip
    np.testing.assert_allclose(table.values[row, -2:], expected)
    np.testing.assert_array_equal(table.values[0, -2:], 0)
    assert (table.low[row, -2:] < expected).all()
    assert "What else moves" in str(table)


def test_without_attributes_nothing_else_moves(table):
    assert table.columns[-1] == "ndcg_kept_heavy"
    assert "What else moves" not in str(table)


# Who takes part.


def test_a_recommender_as_it_is_is_a_method_of_one_setting(
    penalty, host, split, validation
):
    fixed = PopularityPenaltyReranker(host, strength=0.4, keep_top=1).fit(split[0])
    table = compare(
        {"turned": (penalty, [0.05]), "fixed": fixed}, *split, validation=validation,
        levels=[1.0, 0.1], n_boot=0,
    )  # fmt: skip
    assert table.setting(1.0, "fixed", "gini") == ()
    assert table.setting(0.1, "fixed", "gini") == ((0, None),)
    lists = fixed.recommend(split[0])
    assert table["gini"][1, 2] == pytest.approx(metrics.gini(lists, 100))
    assert table.chosen_kept[table.chosen[0, 2, 0]] == 1


def test_where_nothing_keeps_the_level_the_hosts_lists_stand_in(
    penalty, split, validation
):
    table = compare(
        {"strong": (penalty, [50.0])}, *split, validation=validation, n_boot=10,
        random_state=0,
    )  # fmt: skip
    assert (table.chosen == 0).all()
    assert (table["ndcg_kept"] == 1).all()
    assert (table.marks == 0).all()
    lines = [line for line in str(table).splitlines() if line.startswith(" strong")]
    assert lines[0].count("=") == 5
    assert table._repr_html_().count("=<br>") == 5 * len(table.levels)


def test_the_host_among_the_models_is_the_row_of_the_host(penalty, host, split):
    models = {"turned": (penalty, [0.1]), "<ALS>": host}
    table = compare(models, *split, n_boot=0, random_state=0)
    assert table.names == ["<ALS>", "turned"]


def test_a_method_may_fall_back_on_the_host(penalty, host, split):
    models = {"turned": [host, (penalty, [50.0])]}
    table = compare(models, *split, n_boot=0, random_state=0)
    assert table.names == ["host", "turned"]
    assert table.setting(0.99, "turned", "gini") == ((0, None), (0, None))
    assert table.words[1] == "FrozenEstimator"


def test_a_search_is_turned_by_what_it_has_found(penalty, split):
    search = TunedSteeringCV(penalty, target=0.9, cv="prefit").fit(*split)
    found, expected = (
        compare({"a": (model, [0.1, 0.2])}, *split, n_boot=0, random_state=0)
        for model in (search, penalty)
    )
    np.testing.assert_array_equal(found.values, expected.values)


def test_a_host_of_ones_own(penalty, split, validation):
    X, y = split
    weak = PopularityPenaltyReranker(penalty.recommender_, strength=0.1).fit(X)
    table = compare(
        {"turned": (penalty, [0.1, 0.2])}, X, y, host=weak, validation=validation,
        levels=[0.99], n_boot=0,
    )  # fmt: skip
    assert table.values[0, 0] == pytest.approx(metrics.ndcg(y, weak.recommend(X)))
    assert table["ndcg_kept"][0, 1] > 0.9


def test_settings_of_one_method_are_told_apart_in_words(table, models, host, split):
    assert set(table.words[1:]) <= {
        *(f"strength {s:g}" for s in STRENGTHS),
        "keep_top=0, strength 0.05", "keep_top=0, strength 0.2",
        "keep_top=3, strength 0.1", "keep_top=3, strength 0.3",
    }  # fmt: skip
    same = PopularityPenaltyReranker(host).fit(split[0])
    family = _compare_families.Family("twice", [(same, (0.1,)), (same, (None,))])
    assert family.words == ["model 1, strength 0.1", "model 2"]


def test_only_the_lists_that_are_wanted_are_made(penalty, split):
    family = _compare_families.Family("a", [(penalty, (0.1, 0.2)), (penalty, (None,))])
    for wanted in ([1], [2], [0, 2], [-1]):
        made = dict(family.lists(split[0], 10, None, wanted))
        assert list(made) == [n for n in wanted if n >= 0]
        for number, lists in made.items():
            strength = family.settings[number][1]
            expected = penalty.recommend(split[0], strength=strength)
            np.testing.assert_array_equal(lists, expected)


def test_a_strength_that_is_named_twice_is_one_setting(penalty):
    (family,) = _compare_families.read_families({"a": (penalty, [0.1, 0.1, 0.2])})
    assert family.settings == [(0, 0.1), (0, 0.2)]


@pytest.mark.parametrize(
    ("name", "module"), [("_HELD", _compare_levels), ("_BLOCK", _compare_families)]
)
def test_a_small_memory_changes_nothing(
    monkeypatch, name, module, crossed, models, split
):
    monkeypatch.setattr(module, name, 1)
    table = compare(models, *split, levels=LEVELS, n_boot=50, random_state=0)
    np.testing.assert_array_equal(table.values, crossed.values)
    np.testing.assert_array_equal(table.chosen, crossed.chosen)
    np.testing.assert_array_equal(table.draws, crossed.draws)


def test_the_order_of_the_methods_changes_nothing(models, split, crossed):
    swapped = compare(
        dict(reversed(models.items())), *split, levels=LEVELS, n_boot=50,
        random_state=0,
    )  # fmt: skip
    assert swapped.names == ["host", "both", "penalty"]
    for column in crossed.columns:
        np.testing.assert_allclose(swapped[column][:, [0, 2, 1]], crossed[column])
    np.testing.assert_array_equal(swapped.marks[:, [0, 2, 1]], crossed.marks)
    one, two = (t.difference("both", "penalty") for t in (swapped, crossed))
    for level in LEVELS:
        for column, expected in two[level].items():
            assert one[level][column] == pytest.approx(expected)


def test_other_halves_come_with_another_seed(models, split, crossed):
    other = compare(models, *split, levels=LEVELS, n_boot=50, random_state=1)
    assert other.settings != crossed.settings
    np.testing.assert_array_equal(other.values[0], crossed.values[0])


def test_trained_users_are_looked_up(split, validation):
    U, V = np.random.default_rng(0).normal(size=(2, 200, 4))
    host = as_recommender((U, V[:100]))
    X, y = split
    ids = np.arange(200)
    model = PopularityPenaltyReranker(host).fit(X)
    few = validation[0][:50], validation[1][:50], ids[:50]
    table = compare(
        {"a": (model, [0.1])}, X, y, validation=few, user_ids=ids, levels=[0.1],
        n_boot=0,
    )  # fmt: skip
    expected = metrics.ndcg(y, host.recommend(X, user_ids=ids))
    assert table.values[0, 0] == pytest.approx(expected)
    lists = model.recommend(X, strength=0.1, user_ids=ids)
    assert table["gini"][0, 1] == pytest.approx(metrics.gini(lists, 100))
    assert "trained vectors" in str(table)
    message = r"`validation` must be \(X, y, user_ids\) where .* got 50 rows for 200"
    with pytest.raises(ValueError, match=message):
        compare({"a": (model, [0.1])}, X, y, validation=few[:2], user_ids=ids)


def test_held_out_items_in_any_form(penalty, split):
    X, y = split
    first = np.array([row.indices[0] if row.nnz else -1
                      for row in (y[[i]] for i in range(200))])  # fmt: skip
    one = csr_array((np.ones(200), (np.arange(200), first)), shape=X.shape)
    tables = [
        compare({"a": (penalty, [0.1])}, X, held, n_boot=0, random_state=0)
        for held in (one, first, HeldOut(one))
    ]
    for other in tables[1:]:
        np.testing.assert_array_equal(tables[0].values, other.values)


def test_nothing_of_the_callers_changes(models, split, validation, host):
    X, y = (part.copy() for part in split)
    before = host.recommend(X)
    compare(models, X, y, validation=validation, n_boot=5)
    for mine, theirs in zip((X, y), split, strict=True):
        np.testing.assert_array_equal(mine.toarray(), theirs.toarray())
    np.testing.assert_array_equal(host.recommend(X), before)


def test_the_length_of_the_lists_is_the_callers(penalty, split):
    X, y = split
    table = compare(
        {"a": (penalty, [0.1])}, X, y, n_recommendations=5, levels=0.1, n_boot=0,
        random_state=0,
    )  # fmt: skip
    lists = penalty.recommend(X, 5, strength=0.1)
    assert table["gini"][0, 1] == pytest.approx(metrics.gini(lists, 100))
    assert "NDCG@5" in str(table)


def test_other_groups_give_another_tail(penalty, split, labels):
    X, y = split
    groups = PopularityGroups("head_mass")
    table = compare(
        {"a": (penalty, [0.1])}, X, y, groups=groups, levels=0.1, n_boot=0,
        random_state=0,
    )  # fmt: skip
    lists = penalty.recommend(X, strength=0.1)
    new = groups.label(item_popularity(X))
    assert table["tail_share"][0, 1] == pytest.approx(metrics.tail_share(lists, new))
    assert metrics.tail_share(lists, new) != metrics.tail_share(lists, labels)
    assert str(groups) in table.notes[-1]


# Bad input.


@pytest.mark.parametrize("levels", [[], [0.9, 0.9], [1.1], [0], [-0.5], "high", [None],
                                    float("nan"), None])  # fmt: skip
def test_levels_that_are_none(levels, models, split):
    with pytest.raises(ValueError, match=r"^`levels` must be distinct shares .* got"):
        compare(models, *split, levels=levels)


def test_levels_come_the_highest_first(penalty, split):
    table = compare(
        {"a": (penalty, [0.1])}, *split, levels=[0.5, 0.9], n_boot=0, random_state=0
    )
    assert table.levels == (0.9, 0.5)


def test_models_without_a_host_need_one(split):
    X, y = split

    class Plain:
        def recommend(self, X, n_recommendations, user_ids=None):
            return np.tile(np.arange(n_recommendations), (X.shape[0], 1))

        def _path(self, X, strengths, n_recommendations, user_ids=None):
            return [self.recommend(X, n_recommendations) for _ in strengths]

    with pytest.raises(ValueError, match=r"^`host` must be given .* got none\. Write"):
        compare({"a": (Plain(), [0.1])}, X, y)
    with pytest.raises(TypeError, match=r"^`host` must be a fitted recommender; got s"):
        compare({"a": (Plain(), [0.1])}, X, y, host="ALS")


def test_models_on_different_hosts_need_one(penalty, split):
    U, V = np.random.default_rng(0).normal(size=(2, 200, 4))
    other = PopularityPenaltyReranker(as_recommender((U, V[:100]))).fit(split[0])
    message = "`host` must be given where .* got 2 different ones"
    with pytest.raises(ValueError, match=message):
        compare({"a": (penalty, [0.1]), "b": (other, [0.1])}, *split)


def test_a_host_that_finds_nothing_is_no_yardstick(penalty, split):
    X, _ = split
    seen_by_nobody = np.full(200, -1)
    lists = penalty.recommender_.recommend(X, 100)
    for user in (3, 4, 5, 6):
        seen_by_nobody[user] = lists[user][lists[user] >= 0][-1]
    with pytest.raises(ValueError, match=r"^`host` must find held-out .* 0\.0000"):
        compare({"a": (penalty, [0.1])}, X, seen_by_nobody, random_state=0)


def test_halves_need_two_users(penalty, split):
    alone = np.full(200, -1)
    alone[0] = penalty.recommend(split[0])[0, 0]
    with pytest.raises(ValueError, match=r"^`y` must hold .* two users .* got 1"):
        compare({"a": (penalty, [0.1])}, split[0], alone)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X, y: X, r"`validation` must be \(X, y\).*got csr"),
        (lambda X, y: (X,), r"`validation` must be \(X, y\).*got tuple"),
        (lambda X, y: (X[:, :50], y), r"`validation\[0\]` must have .*\(100\); got 50"),
        (lambda X, y: (X, y[:9]), r"`validation\[1\]` must have one row .* got 9"),
        (lambda X, y: (X, y * 0), r"`validation\[1\]` must hold at least one held-out"),
        (lambda X, y: (X, X), r"`validation\[1\]` must not overlap `validation\[0\]`"),
        (lambda X, y: (X[:0], y[:0]), r"`validation\[0\]` must have a row .* got none"),
    ],
)
def test_bad_validation(make, message, models, split, validation):
    with pytest.raises(ValueError, match=f"^{message}"):
        compare(models, *split, validation=make(*validation))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m: (m,), ValueError, r"pairs .* a tuple of 1 for 'a'"),
        (lambda m: [], ValueError, "got an empty list for 'a'"),
        (lambda m: (m, []), ValueError, r"of one number at least; got \[\] for 'a'"),
        (lambda m: (m, ["x"]), ValueError, r"of one number at least; got \['x'\]"),
        (lambda m: (m, {"x": 1}), ValueError, "of one number at least; got {'x': 1}"),
        (lambda m: (m.recommender_, [1]), TypeError, "with a strength, to be turned"),
        (lambda m: [m, [0, 1]], TypeError, "recommenders or pairs; got list for 'a'"),
        (lambda m: ["m"], TypeError, "recommenders or pairs; got str for 'a'"),
    ],
)
def test_bad_models(make, error, message, penalty, split):
    with pytest.raises(error, match=f"^`models` must hold .*{message}"):
        compare({"a": make(penalty)}, *split)


def test_the_name_of_the_host_is_taken(penalty, split):
    with pytest.raises(ValueError, match=r"^`models` must have a name of .*; got host"):
        compare({"host": (penalty, [0.1])}, *split)


@pytest.mark.parametrize("given", [{"validation": (1, 2)}, {"host": 1},
                                   {"attributes": {}}])  # fmt: skip
def test_what_only_strengths_need_is_refused_without(given, penalty, split):
    (name,) = given
    message = f"^`{name}` must be None where no model has strengths; got"
    with pytest.raises(ValueError, match=message):
        compare({"penalty": penalty}, *split, **given)


def test_it_is_a_table_of_levels(table):
    assert isinstance(table, LevelComparison)
    assert repr(table) == (
        "LevelComparison(names=['host', 'penalty', 'both'], levels=(0.97, 0.9, 0.8))"
    )
