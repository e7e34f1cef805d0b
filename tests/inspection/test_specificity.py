"""What else moves: equal tail shares, distances by hand, exchanges that are blind."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array

from skpopsteer import (
    PopularityGroups,
    PopularityPenaltyReranker,
    TunedSteeringCV,
    as_recommender,
    metrics,
)
from skpopsteer.inspection import steering_specificity
from skpopsteer.inspection._attribute_shares import Attribute
from skpopsteer.inspection._blind_swaps import BlindSwaps
from skpopsteer.inspection._equal_gain import Knob, overlaps
from skpopsteer.inspection._specificity_rows import Rows
from skpopsteer.metrics._bootstrap import draw_weights
from skpopsteer.popularity import item_popularity

N_USERS, N_ITEMS = 200, 100


@pytest.fixture(scope="module")
def attributes():
    rng = np.random.default_rng(0)
    genres = rng.random((N_ITEMS, 4)) < 0.4
    genres[:5] = False
    return {"genre": genres, "decade": rng.choice(["1980s", "1990s", "2000s"], N_ITEMS)}


@pytest.fixture(scope="module")
def groups():
    return PopularityGroups("count", tail=0.5)


@pytest.fixture(scope="module")
def table(steered, penalty, split, attributes, groups):
    return steering_specificity(
        {"neurons": steered, "penalty": penalty}, *split, attributes=attributes,
        groups=groups, n_boot=100, random_state=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def labels(split, groups):
    return groups.label(item_popularity(split[0]))


def mixture_by_hand(items, weights):
    """Share the slots of some items out among their values."""
    total = np.zeros(weights.shape[1] + 1)
    for item in items:
        row = np.asarray(weights[item], dtype=np.float64)
        if row.sum():
            total[:-1] += row / row.sum()
        else:
            total[-1] += 1
    return total / len(items)


def distance(first, second, weights):
    gap = mixture_by_hand(first, weights) - mixture_by_hand(second, weights)
    return np.abs(gap).sum() / 2


@pytest.mark.parametrize("name", ["neurons", "penalty"])
def test_every_measure_is_that_of_the_lists_at_its_strength(
    table, name, steered, penalty, host, split, attributes, labels
):
    X, y = split
    model = {"neurons": steered, "penalty": penalty}[name]
    row = table.names.index(name)
    own = host.recommend(X)
    lists = model.recommend(X, strength=table["strength"][row])
    pairs = list(zip(own, lists, strict=True))
    expected = {
        "tail_share@10": metrics.tail_share(lists, labels),
        "overlap@10": np.mean([len(set(a) & set(b)) / 10 for a, b in pairs]),
        "ndcg@10": metrics.ndcg(y, lists),
    }
    decades = np.unique(attributes["decade"])[None] == attributes["decade"][:, None]
    for key, weights in (("genre", attributes["genre"]), ("decade", decades)):
        users = [distance(a, b, weights) for a, b in pairs]
        expected[f"{key}_all"] = distance(own.ravel(), lists.ravel(), weights)
        expected[f"{key}_user"] = np.mean(users)
    assert list(expected) == table.columns[1:]
    for column, value in expected.items():
        assert table[column][row] == pytest.approx(value), column
    before = mixture_by_hand(own.ravel(), attributes["genre"])
    after = mixture_by_hand(lists.ravel(), attributes["genre"])
    assert list(table.value_names["genre"]) == ["0", "1", "2", "3", "(none)"]
    np.testing.assert_allclose(table.own_shares["genre"], before)
    np.testing.assert_allclose(table.changes["genre"][row], after - before, atol=1e-12)


def test_tail_shares_are_equal_and_more_than_the_hosts(table, labels, host, split):
    own = metrics.tail_share(host.recommend(split[0]), labels)
    assert table["tail_share@10"][0] == own
    target = table["tail_share@10"][-1]
    near = max(0.01 * (target - own), 1.5 / (10 * N_USERS))
    assert target > own + 10 * near
    assert (np.abs(table["tail_share@10"][1:] - target) <= near).all()
    # Without a target the weaker model keeps half of the host's items, the other more.
    kept = table["overlap@10"][[1, 3]]
    assert kept.min() == pytest.approx(0.5, abs=0.05)
    assert kept.max() > kept.min()


def test_the_strength_is_the_least_that_reaches_the_target(
    steered, penalty, split, labels, host, table
):
    own = host.recommend(split[0])
    target = float(table["tail_share@10"][-1])
    for model in (steered, penalty):
        knob = Knob(model, split[0], own, labels, None)
        strength = knob.find(target, near=0.0)
        assert knob.measure(strength)[0] >= target
        for less in (0.5, 0.9, 0.99):
            assert knob.measure(less * strength)[0] <= target


def test_blind_rows_exchange_as_much_for_the_same_tail_share(table):
    for name in ("neurons", "penalty"):
        row = table.names.index(name)
        assert table.names[row + 1] == f"{name} (blind)"
        for column in ("tail_share@10", "overlap@10"):
            assert table[column][row + 1] == pytest.approx(table[column][row])
        assert np.isnan(table["strength"][row + 1])
    assert table.names[-1] == "fewest swaps (blind)"
    gain = table["tail_share@10"][-1] - table["tail_share@10"][0]
    assert 1 - table["overlap@10"][-1] == pytest.approx(gain)
    assert table["overlap@10"][-1] > table["overlap@10"][1:-1].max()


def test_an_attribute_that_is_the_tail_moves_as_far_as_the_tail(
    steered, penalty, split, labels, groups
):
    table = steering_specificity(
        {"neurons": steered, "penalty": penalty}, split[0],
        attributes={"tail": labels == -1}, groups=groups, n_boot=0,
    )  # fmt: skip
    gain = table["tail_share@10"] - table["tail_share@10"][0]
    assert gain[1:].min() > 0.03
    np.testing.assert_allclose(table["tail_all"], gain, atol=1e-12)
    assert table.value_names["tail"].tolist() == ["False", "True"]
    expected = np.column_stack([-gain, gain])
    np.testing.assert_allclose(table.changes["tail"], expected, atol=1e-12)


def test_an_exchange_within_a_genre_by_hand():
    """The popular western gives way to a rare one; chance would take a comedy, too."""
    X = np.zeros((40, 22))
    X[:20, [0, 11]] = 1
    X[:4, 1] = X[4, 12:] = X[5, 2:11] = 1
    scores = np.zeros((1, 22))
    scores[0, :2] = 1.0, 0.9
    host = as_recommender((np.ones((40, 1)), scores.T))
    model = PopularityPenaltyReranker(host, n_recommendations=1).fit(X)
    westerns = np.repeat(["western", "comedy"], 11)
    table = steering_specificity(
        {"penalty": model}, X[20:], attributes={"genre": westerns}, tail_share=1.0,
        n_recommendations=1, user_ids=np.arange(20, 40), random_state=0,
        groups=PopularityGroups("count", head=2 / 22, tail=20 / 22),
    )  # fmt: skip
    assert table["tail_share@1"].tolist() == [0, 1, 1, 1]
    assert table["overlap@1"].tolist() == [1, 0, 0, 0]
    assert table["genre_all"][1] == table["genre_user"][1] == 0
    # Half of the 20 tail items are comedies.
    assert table["genre_user"][2:] == pytest.approx([0.5, 0.5], abs=0.12)


def test_overlap_by_hand():
    own = np.array([[0, 1, -1], [2, 3, 4], [-1, -1, -1]])
    lists = np.array([[1, -1, -1], [4, 2, 5], [1, 2, 3]])
    np.testing.assert_allclose(overlaps(own, lists), [1 / 2, 2 / 3, np.nan])


def test_blind_swaps_are_lists_of_unseen_items(split, host, labels):
    X = split[0].copy()
    own, in_tail = host.recommend(X), labels == -1
    own[:3, 6:] = -1
    lists = np.roll(own, 1, axis=0)
    repeats = np.array([len(set(row)) < len(row) for row in lists])
    lists[repeats & (own >= 0).all(axis=1)] = own[repeats & (own >= 0).all(axis=1)]
    lists[:4] = own[:4]
    swaps = BlindSwaps(X, own, in_tail, seed=0)
    versions = swaps.like(lists)
    assert len({version.tobytes() for version in versions}) == len(versions)
    seen = X.toarray() > 0
    for version in versions:
        np.testing.assert_allclose(overlaps(own, version), overlaps(own, lists))
        tails = [(in_tail[rows] & (rows >= 0)).sum(axis=1) for rows in (version, lists)]
        np.testing.assert_array_equal(*tails)
        assert ((version == -1) == (own == -1)).all()
        for user, row in enumerate(version):
            items = row[row >= 0]
            assert len(set(items)) == len(items)
            assert not seen[user, items].any()


def test_swaps_draw_every_item_of_the_group_alike():
    own = np.tile([0, 1], (2_000, 1))
    in_tail = np.array([False, False, True, True, True, False])
    X = csr_array((2_000, 6))
    (first, *_) = BlindSwaps(X, own, in_tail, seed=0).fewest(0.5)
    kept = first < 2
    assert kept.sum() == 2_000
    # Anywhere: both places of a list are as likely to go.
    assert kept[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    counts = np.bincount(first[~kept], minlength=6)
    assert counts[[0, 1, 5]].tolist() == [0, 0, 0]
    assert counts[2:5] / 2_000 == pytest.approx([1 / 3] * 3, abs=0.05)


def test_where_nothing_is_left_to_draw_the_old_item_stays():
    own = np.array([[0], [0]])
    in_tail = np.array([False, True])
    X = csr_array(np.array([[0, 1], [0, 0]]))
    for version in BlindSwaps(X, own, in_tail, seed=0).fewest(1.0):
        assert version.tolist() == [[0], [1]]


def test_a_model_that_does_not_reach_the_share_gets_a_note(
    steered, penalty, split, attributes
):
    weak = PopularityPenaltyReranker(penalty.recommender, strength=1e-4).fit(split[0])
    table = steering_specificity(
        {"weak": weak, "penalty": penalty}, split[0], attributes=attributes,
        tail_share=0.9, n_boot=20,
    )  # fmt: skip
    assert table.names == ["host", "weak", "penalty", "penalty (blind)",
                           "fewest swaps (blind)"]  # fmt: skip
    assert np.isnan(table.values[1]).all()
    assert np.isnan(table.changes["genre"][1]).all()
    assert "weak does not reach it, but 0." in table.notes[1]
    assert table.moved_most("weak", "genre") == []
    assert "weak does not reach" in str(table)
    assert table["tail_share@10"][2] == pytest.approx(0.9, abs=0.005)


def test_a_model_that_raises_nothing_does_not_set_the_target(
    penalty, split, attributes
):
    X = split[0]
    idle = PopularityPenaltyReranker(penalty.recommender).fit(
        X, item_popularity=np.full(N_ITEMS, 7)
    )
    table = steering_specificity(
        {"idle": idle, "penalty": penalty}, X, attributes=attributes, n_boot=0
    )
    assert np.isnan(table["strength"][1])
    assert table["overlap@10"][2] >= 0.5
    with pytest.raises(ValueError, match=r"`models` must raise the tail share while"):
        steering_specificity({"idle": idle}, X, attributes=attributes)


def test_draws_measure_users_as_often_as_they_are_drawn(split, host, penalty, labels):
    X, y = split
    own, lists = host.recommend(X), penalty.recommend(X)
    weights = next(draw_weights(N_USERS, 3, seed=0))
    genre = Attribute("genre", np.random.default_rng(0).random((N_ITEMS, 3)), N_ITEMS)
    rows = Rows(own, labels, y, [genre])
    rows.add("model", 1.0, [lists, own])
    values, *_ = rows._measure(weights)
    for draw, times in enumerate(weights.astype(int)):
        users = np.repeat(np.arange(N_USERS), times)
        drawn = Rows(own[users], labels, y[users], [genre])
        drawn.add("model", 1.0, [lists[users], own[users]])
        expected, *_ = drawn._measure(np.ones((1, len(users))))
        np.testing.assert_allclose(values[draw, 0, 1:], expected[0, 0, 1:])


def test_intervals_hold_the_estimates(table):
    inside = (table.low <= table.values) & (table.values <= table.high)
    measured = ~np.isnan(table.values)
    measured[:, 0] = False
    assert inside[measured].all()
    assert np.isnan(table.low[:, 0]).all()
    assert (table.high > table.low)[1:, 1:].all()


def test_differences_are_paired(table):
    gap = table.difference("neurons", "penalty")
    assert list(gap) == table.columns[1:]
    row, other = table.names.index("neurons"), table.names.index("penalty")
    value, low, high = gap["overlap@10"]
    assert value == table["overlap@10"][row] - table["overlap@10"][other]
    assert low < value < high
    for same in table.difference("penalty", "penalty").values():
        assert same == (0, 0, 0)


def test_the_seed_decides(penalty, split, attributes, groups):
    def run(seed, n_boot=20):
        return steering_specificity(
            {"penalty": penalty}, split[0], attributes=attributes, groups=groups,
            n_boot=n_boot, random_state=seed,
        )  # fmt: skip

    first, again, other, none = run(0), run(0), run(1), run(0, n_boot=0)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.low, again.low)
    assert (first.values[2:, -1] != other.values[2:, -1]).all()
    assert (first.low[1, -4:] != other.low[1, -4:]).all()
    np.testing.assert_array_equal(first.values, none.values)
    assert np.isnan(none.low).all()
    assert len(none.draws) == 0
    assert "[" not in str(none).splitlines()[4]


def test_no_held_out_items_no_ndcg(penalty, split, attributes):
    table = steering_specificity(
        {"penalty": penalty}, split[0], attributes=attributes, n_boot=0,
        n_recommendations=5,
    )  # fmt: skip
    assert table.columns[:4] == ["strength", "tail_share@5", "overlap@5", "genre_all"]


def test_trained_users_and_tuned_models(split):
    X, y = split
    U, V = np.random.default_rng(0).normal(size=(2, N_USERS, 4))
    host, ids = as_recommender((U, V[:N_ITEMS])), np.arange(N_USERS)
    penalty = PopularityPenaltyReranker(host, strength=0.5).fit(X)
    tuned = TunedSteeringCV(penalty, target=0.9, cv="prefit").fit(X, y, user_ids=ids)
    table = steering_specificity(
        {"tuned": tuned}, X, y, attributes={"label": ids[:N_ITEMS] % 3}, user_ids=ids,
        n_boot=0,
    )  # fmt: skip
    expected = metrics.ndcg(y, host.recommend(X, user_ids=ids))
    assert table["ndcg@10"][0] == pytest.approx(expected)
    assert "users: trained vectors" in table.notes[0]


def test_text_says_what_moved_most(table):
    lines = str(table).splitlines()
    assert lines[0].split() == ["tail", "genre", "genre", "decade", "decade"]
    assert lines[3].startswith("host")
    assert len({len(line) for line in lines[:3]}) == 1
    row = table.names.index("penalty")
    change = table.changes["decade"][row]
    largest = np.argmax(np.abs(change))
    most = table.moved_most("penalty", "decade", 2)
    assert len(most) == 2
    assert most[0] == (table.value_names["decade"][largest], change[largest])
    for name in table.names[1:]:
        sizes = [abs(moved) for _, moved in table.moved_most(name, "genre", 5)]
        assert len(sizes) == 5
        assert (np.diff(sizes) <= 0).all()
    words = f"decade, penalty: {most[0][0]} {100 * most[0][1]:+.1f}, {most[1][0]}"
    assert any(line.startswith(words) for line in lines)
    assert not any("blind" in line for line in lines if line.endswith("all slots"))
    assert f"{table['genre_all'][row]:.3f}" in "".join(lines)
    assert lines[-1].startswith("(tail share 0.")
    assert "the most that" in lines[-1]


def test_names_are_escaped_in_html(penalty, split):
    table = steering_specificity(
        {"<b>": penalty}, split[0], n_boot=5,
        attributes={"<i>": ["<u>", "x"] * (N_ITEMS // 2)},
    )  # fmt: skip
    html = table._repr_html_()
    for raw in ("<b>", "<i>", "<u>"):
        assert raw not in html
    assert "&lt;b&gt;" in html
    assert "&lt;i&gt;" in html


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_it_becomes_frames(table, backend):
    frame = table.to_frame(backend)
    assert list(frame["recommender"]) == table.names
    np.testing.assert_array_equal(frame["genre_all"].to_numpy(), table["genre_all"])
    column = table.columns.index("genre_all")
    for end in ("low", "high"):
        np.testing.assert_array_equal(
            frame[f"genre_all_{end}"].to_numpy(), getattr(table, end)[:, column]
        )
    changes = table.changes_to_frame(backend)
    assert len(changes) == len(table.names) * (5 + 3)
    chosen = (changes["recommender"] == "penalty") & (changes["attribute"] == "decade")
    mine = changes[chosen] if backend == "pandas" else changes.filter(chosen)
    assert list(mine["value"]) == ["1980s", "1990s", "2000s"]
    row = table.names.index("penalty")
    np.testing.assert_array_equal(
        mine["change"].to_numpy(), table.changes["decade"][row]
    )
    np.testing.assert_array_equal(mine["share"].to_numpy(), table.own_shares["decade"])


@pytest.mark.parametrize(
    "labels",
    [
        ["noir", None, "war", "noir"],
        np.array(["noir", "", "war", "noir"]),
        pd.Series(["noir", None, "war", "noir"], dtype=object),
        pl.Series(["noir", None, "war", "noir"]),
    ],
)
def test_labels_are_one_value_each(labels):
    attribute = Attribute("genre", labels, 4)
    assert attribute.names.tolist() == ["noir", "war", "(none)"]
    counts = attribute.counts(np.array([[0, 3, 1], [2, -1, -1]]))
    assert counts.toarray().tolist() == [[2, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("labels", [[1980, 1990, 1980], np.array([1980.0, 1990, 1980])])
def test_numbers_are_labels_too(labels):
    attribute = Attribute("decade", labels, 3)
    assert attribute.names.tolist() == ["1980", "1990"]
    missing = Attribute("decade", np.array([1980.0, np.nan, 1980]), 3)
    assert missing.names.tolist() == ["1980", "(none)"]


@pytest.mark.parametrize(
    "features",
    [
        {"noir": [3, 0, 0], "war": [1, 2, 0]},
        (csr_array([[3, 1], [0, 2], [0, 0]]), ["noir", "war"]),
        pd.DataFrame({"noir": [3, 0, 0], "war": [1, 2, 0]}),
        pl.DataFrame({"noir": [3, 0, 0], "war": [1, 2, 0]}),
    ],
)
def test_an_item_is_shared_out_among_its_features(features):
    attribute = Attribute("tag", features, 3)
    assert attribute.names.tolist() == ["noir", "war", "(none)"]
    expected = [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 1]]
    assert attribute.weights.toarray().tolist() == expected


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"models": {}}, ValueError, "`models` must be a fitted recommender, or a dic"),
        ({"models": {"one": 1}}, TypeError, "`models` must be a fitted recommender"),
        ({"attributes": {}}, ValueError, "`attributes` must be a dict of names to"),
        ({"attributes": ["a"]}, ValueError, "`attributes` must be a dict.*got list"),
        ({"attributes": {"a": ["x"]}}, ValueError, "one value per item.*got 1 for 'a'"),
        ({"attributes": {"a": -np.eye(100)}}, ValueError, "`item_features` must hold"),
        ({"tail_share": 0.1}, ValueError, r"`tail_share` must be a share above the ho"),
        ({"tail_share": 1.5}, ValueError, r"`tail_share` must be .*at most 1; got 1.5"),
        ({"tail_share": "9"}, ValueError, "`tail_share` must be a share above"),
        ({"n_recommendations": 0}, ValueError, "`n_recommendations` must be a positi"),
        ({"n_boot": -1}, ValueError, "`n_boot` must be an integer >= 0"),
    ],
)
def test_bad_arguments(penalty, split, params, error, message):
    arguments = {
        "models": {"penalty": penalty}, "attributes": {"a": np.arange(N_ITEMS)}
    } | params  # fmt: skip
    with pytest.raises(error, match=message):
        steering_specificity(X=split[0], **arguments)


def test_a_host_without_a_strength_is_refused(host, split):
    with pytest.raises(TypeError, match="must be fitted recommenders with a strength"):
        steering_specificity({"host": host}, split[0], attributes={"a": range(N_ITEMS)})


def test_models_on_two_hosts_are_refused(penalty, split):
    U, V = np.random.default_rng(0).normal(size=(2, N_USERS, 4))
    other = PopularityPenaltyReranker(as_recommender((U, V[:N_ITEMS]))).fit(split[0])
    with pytest.raises(ValueError, match="`models` must be fitted on one host"):
        steering_specificity(
            {"one": penalty, "other": other}, split[0],
            attributes={"a": np.arange(N_ITEMS)},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda table: table["ndgc"], r"`column` must be one of strength.*got 'ndgc'"),
        (lambda t: t.difference("host", "x"), r"`second` must be one of host.*got 'x'"),
    ],
)
def test_unknown_names(table, call, message):
    with pytest.raises(KeyError, match=message):
        call(table)
