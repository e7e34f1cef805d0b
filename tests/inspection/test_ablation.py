"""Chosen neurons turned: every figure against the steered recommender's own lists."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

import skpopsteer.topk
from skpopsteer import (
    NeuronSubset,
    SparseAutoencoderProbe,
    SteeredRecommender,
    TorchRecommender,
    as_recommender,
    metrics,
)
from skpopsteer.inspection import _ablation_rows, ablate_neurons
from skpopsteer.model_selection import HeldOut, hide_interactions
from tests.hosts import HOSTS, snapshot

ACTIVE, INACTIVE = 0, 1
N_ITEMS = 100


def probe_of(host, X, **params):
    params = {"max_iter": 15, "random_state": 0, **params}
    return SparseAutoencoderProbe(64, k=8, **params).fit(host.encode_users(X))


@pytest.fixture(scope="module")
def probe(host, split):
    return probe_of(host, split[0])


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, (N_ITEMS, 4)) * (rng.random((N_ITEMS, 4)) < 0.4)
    return weights.astype(float), ["noir", "<b>war</b>", "comedy", "western"]


@pytest.fixture(scope="module")
def table(host, probe, split, features):
    titles = [f"film <{item}>" for item in range(N_ITEMS)]
    return ablate_neurons(
        host, *split, probe=probe, neurons={"one": busiest(host, probe, split[0])[3],
        "<i>two</i>": busiest(host, probe, split[0])[4:6]},
        item_features=features, item_titles=titles, n_controls=6, random_state=0,
    )  # fmt: skip


def busiest(host, probe, X):
    """Neurons that fire at least once, by descending mean activation."""
    means = probe.transform(host.encode_users(X)).mean(axis=0)
    order = np.argsort(-means, kind="stable")
    return [int(neuron) for neuron in order[means[order] > 0]]


def measure(model, X, y, features, fires, k=10):
    """Measure one kind of rows by hand: before, after, per measure."""
    before, after = (model.recommend(X, k, strength=s) for s in (0, None))
    change = model.decision_function(X) - model.recommender_.decode(
        model.recommender_.encode_users(X)
    )
    rows = []
    for user in np.flatnonzero(fires):
        old, new = before[user], after[user]
        row = [[1, len(set(old) & set(new)) / k], [1, old[0] == new[0]]]
        row.append([0, np.abs(change[user]).mean()])
        hidden = y[[user]]
        row.append([metrics.ndcg(hidden, one[None]) for one in (old, new)])
        has = np.asarray(features[0]) > 0
        row += [[has[one, f].mean() for one in (old, new)] for f in range(4)]
        rows.append(row)
    return np.nanmean(np.array(rows, dtype=float), axis=0).T


TURNS = [{"factor": 0.0}, {"factor": 0.4}, {"factor": 3.0}, {"value": 0.7}]


@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize(
    ("name", "standardize_rows"),
    [("als", False), ("pca", True), ("autoencoder", False), ("mult_vae", False),
     ("mult_vae", True)],
)  # fmt: skip
def test_every_figure_is_that_of_the_steered_lists(
    name, standardize_rows, turn, features
):
    host, X = HOSTS[name]().recommender, HOSTS[name]().X
    X, y = hide_interactions(X, random_state=0)
    y = csr_array(y * (np.arange(200) % 3 > 0)[:, None])
    probe = probe_of(host, X, standardize_rows=standardize_rows)
    ranked = busiest(host, probe, X)
    groups = [(ranked[2],), (ranked[5], ranked[6])]
    rule, strength = ("hold", 0.7) if "value" in turn else ("multiply", None)
    strength = turn["factor"] - 1 if strength is None else strength
    table = ablate_neurons(
        host, X, y, probe=probe, neurons=groups, item_features=features, n_controls=0,
        **turn,
    )  # fmt: skip
    Z = probe.transform(host.encode_users(X))
    for place, group in enumerate(groups):
        model = SteeredRecommender(
            host, probe=FrozenEstimator(probe), selector=NeuronSubset(list(group)),
            rule=rule, strength=strength, random_state=0,
        ).fit(X)  # fmt: skip
        fires = (Z[:, list(group)] > 0).any(axis=1)
        for kind, some in enumerate((fires, ~fires)):
            assert table.n_rows[place, kind] == some.sum() > 0
            before, after = measure(model, X, y, features, some)
            np.testing.assert_allclose(table.before[place, kind], before, atol=1e-7)
            np.testing.assert_allclose(
                table.after[place, kind], after, rtol=1e-4, atol=1e-7
            )


def test_a_control_is_turned_as_the_neuron_is(host, probe, split, features, table):
    for place, controls in enumerate(table.controls):
        again = ablate_neurons(
            host, *split, probe=probe, neurons=controls, item_features=features,
            n_controls=0,
        )  # fmt: skip
        np.testing.assert_array_equal(table.control_changes[place], again.changes)
        np.testing.assert_array_equal(table.control_levels[place], again.levels)


def test_controls_are_other_neurons_of_nearly_the_same_activation(host, probe, split):
    means = probe.transform(host.encode_users(split[0])).mean(axis=0, dtype=float)
    chosen = busiest(host, probe, split[0])[5:9]
    table = ablate_neurons(
        host, split[0], probe=probe, neurons=[chosen[0], chosen[1:]], n_controls=5,
        random_state=3,
    )  # fmt: skip
    others = np.array([n for n in np.flatnonzero(means) if n not in chosen])
    distance = np.abs(np.log(means[others] / means[chosen[0]]))
    nearest = others[np.argsort(distance)[:10]]
    single, triples = table.controls
    assert len({*single}) == 5
    assert {neuron for (neuron,) in single} <= set(nearest)
    assert len({*triples}) == 5
    for triple in triples:
        assert len({*triple}) == 3
        assert not {*triple} & {*chosen}
    np.testing.assert_allclose(
        table.control_levels[1], [means[list(one)].sum() for one in triples], rtol=1e-5
    )
    np.testing.assert_allclose(table.levels[0], means[chosen[0]], rtol=1e-5)


def test_held_neurons_are_compared_with_others_of_nearly_the_same_peak(
    host, probe, split
):
    peaks = probe.transform(host.encode_users(split[0])).max(axis=0)
    chosen = busiest(host, probe, split[0])[5]
    table = ablate_neurons(
        host, split[0], probe=probe, neurons=chosen, value=0.5, n_controls=5,
        random_state=0,
    )  # fmt: skip
    others = np.setdiff1d(np.flatnonzero(peaks), chosen)
    nearest = others[np.argsort(np.abs(np.log(peaks[others] / peaks[chosen])))[:10]]
    assert {neuron for (neuron,) in table.controls[0]} <= set(nearest)
    np.testing.assert_array_equal(
        table.control_levels[0], peaks[np.ravel(table.controls[0])]
    )
    assert "peak" in str(table).splitlines()[0]


def test_the_seed_chooses_the_controls_and_nothing_else(host, probe, split):
    tables = [
        ablate_neurons(
            host, split[0], probe=probe, neurons=4, n_controls=4, random_state=seed
        )
        for seed in (0, 0, 1)
    ]
    first, same, other = tables
    assert first.controls == same.controls != other.controls
    np.testing.assert_array_equal(first.control_changes, same.control_changes)
    np.testing.assert_array_equal(first.changes, other.changes)


def test_fewer_controls_where_there_are_fewer_neurons(host, probe, split):
    ranked = busiest(host, probe, split[0])
    table = ablate_neurons(
        host, split[0], probe=probe, neurons=[ranked[3:], ranked[4]], n_controls=50
    )
    assert [len(some) for some in table.controls] == [0, 3]
    assert {neuron for (neuron,) in table.controls[1]} == set(ranked[:3])
    assert np.isnan(table.p_values[0]).all()
    np.testing.assert_array_less(table.p_values[1, ACTIVE], 1.01)


def test_p_values_are_ranks_of_the_size_of_the_change(table):
    for index in np.ndindex(table.changes.shape):
        own, others = (
            table.changes[index],
            table.control_changes[index[0], :, *index[1:]],
        )
        larger = sum(abs(one) >= abs(own) - 1e-12 for one in others)
        assert table.p_values[index] == pytest.approx((1 + larger) / (1 + 6))


def test_the_frame_has_mean_and_deviation_of_the_controls(table):
    frame = table.to_frame()
    for _, row in frame.iterrows():
        place = table.names.index(row["neurons"])
        kind = ["active", "inactive"].index(row["rows"])
        measure = table.measures.index(row["measure"])
        others = table.control_changes[place, :, kind, measure]
        assert row["n_rows"] == table.n_rows[place, kind]
        assert row["before"] == table.before[place, kind, measure]
        assert row["after"] == table.after[place, kind, measure]
        assert row["change"] == row["after"] - row["before"]
        assert row["control_mean"] == pytest.approx(others.mean())
        assert row["control_std"] == pytest.approx(others.std(ddof=1))
        assert row["p_value"] == table.p_values[place, kind, measure]


def test_a_factor_of_one_changes_nothing_at_all(host, probe, split, features):
    table = ablate_neurons(
        host, *split, probe=probe, neurons=[3, 5], factor=1, item_features=features
    )
    assert not table.changes.any()
    assert (table.p_values == 1).all()


def test_a_value_of_zero_silences(host, probe, split):
    held, ablated = (
        ablate_neurons(
            host, *split, probe=probe, neurons=3, n_controls=3, random_state=0, **turn
        )
        for turn in ({"value": 0}, {"factor": 0})
    )
    np.testing.assert_array_equal(held.after, ablated.after)
    np.testing.assert_array_equal(held.control_changes, ablated.control_changes)


def test_inactive_rows_are_not_computed_again(host, probe, split, monkeypatch):
    ranked, turned_rows = [], []
    top_k, score_changes = _ablation_rows.top_k, _ablation_rows.Bench.score_changes

    def counting(scores, k):
        ranked.append(len(scores))
        return top_k(scores, k)

    def counting_changes(self, turn, codes, rows, scores):
        turned_rows.append(len(rows))
        return score_changes(self, turn, codes, rows, scores)

    monkeypatch.setattr(_ablation_rows, "top_k", counting)
    monkeypatch.setattr(_ablation_rows.Bench, "score_changes", counting_changes)
    neuron = busiest(host, probe, split[0])[2]
    table = ablate_neurons(host, split[0], probe=probe, neurons=neuron, n_controls=4)
    Z = probe.transform(host.encode_users(split[0]))
    turned = [neuron, *np.ravel(table.controls[0])]
    assert sum(ranked) == 200 + (Z[:, turned] > 0).sum()
    assert sum(turned_rows) == (Z[:, turned] > 0).sum()
    assert not table.changes[:, INACTIVE].any()
    ranked.clear()
    ablate_neurons(host, split[0], probe=probe, neurons=neuron, value=1, n_controls=0)
    assert sum(ranked) == 2 * 200


def test_it_goes_through_the_rows_in_blocks(host, probe, split, features, monkeypatch):
    def table():
        return ablate_neurons(
            host, *split, probe=probe, neurons=[3, [5, 7]], value=0.5, n_controls=3,
            item_features=features, random_state=0,
        )  # fmt: skip

    at_once = table()
    monkeypatch.setattr(skpopsteer.topk, "BLOCK_SCORES", 700)
    monkeypatch.setattr(skpopsteer.topk, "BLOCK_ROWS", 1)
    widest = []
    decode = type(host.estimator).decode

    def measuring(self, U):
        widest.append(len(U))
        return decode(self, U)

    monkeypatch.setattr(type(host.estimator), "decode", measuring)
    in_blocks = table()
    assert max(widest) == 7
    np.testing.assert_allclose(in_blocks.before, at_once.before, atol=1e-6)
    np.testing.assert_allclose(in_blocks.after, at_once.after, atol=1e-6)
    assert in_blocks.controls == at_once.controls


@pytest.mark.parametrize("standardize_rows", [False, True])
def test_promoted_items_are_those_the_direction_points_to(
    host, split, standardize_rows
):
    probe = probe_of(host, split[0], standardize_rows=standardize_rows)
    table = ablate_neurons(
        host, split[0], probe=probe, neurons=[3, 5], n_controls=0, factor=2
    )
    V, W = host.item_embeddings_, probe.decoder_weights_
    for place, neuron in enumerate((3, 5)):
        scores = V @ W[neuron]
        np.testing.assert_array_equal(table.promoted[place], np.argsort(-scores)[:10])
        np.testing.assert_array_equal(table.demoted[place], np.argsort(scores)[:10])
        np.testing.assert_allclose(
            table.promoted_effects[place], np.sort(scores)[:-11:-1], rtol=1e-5
        )
    assert "promoted (exact: score per unit of activation)" in str(table)


def test_a_groups_items_are_weighed_by_mean_activation(host, probe, split):
    ranked = busiest(host, probe, split[0])
    group = [ranked[1], ranked[-1]]
    table = ablate_neurons(host, split[0], probe=probe, neurons=[group], n_controls=0)
    Z = probe.transform(host.encode_users(split[0]))
    removed = Z[:, group].mean(axis=0) @ probe.decoder_weights_[group]
    expected = np.argsort(-(host.item_embeddings_ @ removed))[:10]
    np.testing.assert_array_equal(table.promoted[0], expected)


@pytest.mark.parametrize("turn", [{"factor": 0}, {"factor": 4}, {"value": 1}], ids=str)
def test_a_non_linear_hosts_items_are_estimated_and_said_to_be(turn):
    host, X = HOSTS["mult_vae"]().recommender, HOSTS["mult_vae"]().X
    probe = probe_of(host, X)
    neuron = busiest(host, probe, X)[1]
    table = ablate_neurons(
        host, X, probe=probe, neurons=neuron, n_controls=2, random_state=0, **turn
    )
    U = host.encode_users(X)
    z = probe.transform(U)[:, [neuron]]
    silenced = host.decode(U - z * probe.decoder_weights_[neuron])
    added = (host.decode(U) - silenced)[z[:, 0] > 0].mean(axis=0)
    np.testing.assert_array_equal(table.promoted[0], np.argsort(-added)[:10])
    np.testing.assert_allclose(
        table.demoted_effects[0], np.sort(added)[:10], rtol=1e-3, atol=1e-6
    )
    assert "promoted (estimated: mean score added where active)" in str(table)


def test_any_probe_without_negative_activations_will_do(split):
    X, y = split
    host = as_recommender(NMF(8, init="nndsvda", random_state=0, max_iter=500).fit(X))
    probe = NMF(4, init="nndsvda", random_state=0, max_iter=500)
    probe.fit(host.encode_users(X))
    table = ablate_neurons(host, X, y, probe=probe, neurons=1, n_controls=2)
    U = host.encode_users(X)
    Z = probe.transform(U)
    without = Z * (np.arange(4) != 1)
    moved = U + probe.inverse_transform(without) - probe.inverse_transform(Z)
    change = np.abs((moved - U) @ host.item_embeddings_.T)[Z[:, 1] > 0].mean()
    assert table["score change"][0, ACTIVE] == pytest.approx(change, rel=1e-4)
    assert "estimated" in str(table)


def test_a_steered_recommender_gives_its_host_its_probe_and_its_peaks(host, split):
    X, y = split
    model = SteeredRecommender(
        host, rule="shift",
        probe=SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0),
        strength=2.0, keep_top=3, random_state=0,
    ).fit(X)  # fmt: skip
    some, hidden = X[:50], y[:50]
    Z = model.probe_.transform(host.encode_users(X))
    neuron = int(np.argmax(Z.max(axis=0) - Z[:50].max(axis=0)))
    assert Z[:, neuron].max() > Z[:50, neuron].max()
    turn = {"neurons": neuron, "n_controls": 3, "random_state": 0}
    ours = ablate_neurons(model, some, hidden, **turn)
    pair = ablate_neurons(host, some, hidden, probe=model.probe_, **turn)
    np.testing.assert_array_equal(ours.before, pair.before)
    np.testing.assert_array_equal(ours.after, pair.after)
    np.testing.assert_array_equal(ours.control_changes, pair.control_changes)
    held = ablate_neurons(model, some, value=1, **turn)
    assert held.levels[0] == Z[:, neuron].max()
    held_pair = ablate_neurons(host, some, value=1, probe=model.probe_, **turn)
    assert held_pair.levels[0] == Z[:50, neuron].max()
    assert held["score change"][0, INACTIVE] > held_pair["score change"][0, INACTIVE]


def test_a_search_gives_the_model_it_found(host, split):
    X, y = split
    model = SteeredRecommender(
        host, rule="shift",
        probe=SparseAutoencoderProbe(16, k=4, max_iter=2, random_state=0),
        random_state=0,
    )  # fmt: skip
    search = GridSearchCV(model, {"strength": [0.5]}, cv=2).fit(X, y)
    ours = ablate_neurons(search, X, neurons=3, n_controls=0)
    same = ablate_neurons(
        FrozenEstimator(search.best_estimator_), X, neurons=3, n_controls=0
    )
    np.testing.assert_array_equal(ours.after, same.after)


def test_nothing_is_changed(host, probe, split, features):
    X, y = split
    kept = pickle.dumps([host, probe, X, y, features])
    model = SteeredRecommender(
        host, rule="shift", probe=FrozenEstimator(probe), random_state=0
    )
    model.fit(X)
    lists, state = model.predict(X), pickle.dumps(model)
    ablate_neurons(model, X, y, neurons=[3, [5, 7]], value=0.3, item_features=features)
    ablate_neurons(model, X, y, neurons=3)
    assert pickle.dumps([host, probe, X, y, features]) == kept
    assert pickle.dumps(model) == state
    np.testing.assert_array_equal(model.predict(X), lists)


def test_a_torch_host_is_left_as_it_was():
    one = HOSTS["mult_vae"]()
    probe = probe_of(one.recommender, one.X)
    ablate_neurons(one.recommender, one.X, probe=probe, neurons=1, n_controls=2)
    np.testing.assert_equal(snapshot(one.model), one.trained)


def test_trained_users_are_looked_up_when_named(split):
    one = HOSTS["als"]()
    ids = np.arange(50, 120)
    rows = one.X[ids]
    U = one.recommender.encode_users(rows, ids)
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0).fit(U)
    table = ablate_neurons(
        one.recommender, rows, probe=probe, neurons=3, user_ids=ids, n_controls=0
    )
    assert table.n_rows[0, ACTIVE] == (probe.transform(U)[:, 3] > 0).sum()
    assert "users: trained vectors" in str(table).replace("\n", " ")


def test_one_held_out_item_a_user_and_some_without(host, probe, split):
    X, y = split
    first = np.array([row.indices[0] if row.nnz else -1 for row in y])
    first[::2] = -1
    as_matrix = csr_array(
        (np.ones(100), (np.arange(1, 200, 2), first[1::2])), shape=X.shape
    )
    tables = [
        ablate_neurons(host, X, hidden, probe=probe, neurons=3, n_controls=0)
        for hidden in (first, as_matrix, HeldOut(as_matrix))
    ]
    neuron = probe.transform(host.encode_users(X))[:, 3] > 0
    judged = neuron & (np.arange(200) % 2 == 1)
    expected = metrics.ndcg(as_matrix[judged], host.recommend(X)[judged])
    place = tables[0].measures.index("ndcg@10")
    for table in tables:
        assert table.before[0, ACTIVE, place] == pytest.approx(expected)
        np.testing.assert_array_equal(table.after, tables[0].after)


def test_lists_that_run_out_of_items(features):
    X = csr_array((np.random.default_rng(0).random((60, 12)) < 0.5).astype(float))
    X = csr_array(np.vstack([X.toarray(), np.ones((3, 12))]))
    host = as_recommender(TruncatedSVD(4, random_state=0).fit(X))
    probe = SparseAutoencoderProbe(8, k=3, max_iter=5, random_state=0)
    probe.fit(host.encode_users(X))
    has = {"first": np.arange(12) < 4}
    table = ablate_neurons(
        host, X, probe=probe, neurons=0, value=2, item_features=has, n_controls=0
    )
    model = SteeredRecommender(
        host, probe=FrozenEstimator(probe), selector=NeuronSubset([0]), rule="hold",
        strength=2, random_state=0,
    ).fit(X)  # fmt: skip
    fires = probe.transform(host.encode_users(X))[:, 0] > 0
    for kind, some in enumerate((fires, ~fires)):
        before, after = (model.recommend(X[some], strength=s) for s in (0, None))
        filled = [[set(row[row >= 0]) for row in lists] for lists in (before, after)]
        overlaps = [len(a & b) / len(a) for a, b in zip(*filled, strict=True) if a]
        assert table["overlap@10"][0, kind] == pytest.approx(np.mean(overlaps) - 1)
        stays = before[:, 0] == after[:, 0]
        stays = stays[before[:, 0] >= 0].mean()
        assert table["top-1 unchanged"][0, kind] == pytest.approx(stays - 1)
        for lists, ours in zip(filled, (table.before, table.after), strict=True):
            shares = [np.mean([i < 4 for i in items]) for items in lists if items]
            assert ours[0, kind, 3] == pytest.approx(np.mean(shares))
    assert table.n_rows.sum() == 63


def test_a_neuron_that_never_fires_has_no_active_rows(host, probe, split):
    Z = probe.transform(host.encode_users(split[0][:5]))
    silent = int(np.flatnonzero(Z.max(axis=0) == 0)[0])
    table = ablate_neurons(host, split[0][:5], probe=probe, neurons=silent)
    assert table.n_rows[0].tolist() == [0, 5]
    assert np.isnan(table.changes[0, ACTIVE]).all()
    assert not table.changes[0, INACTIVE].any()
    controls = [neuron for (neuron,) in table.controls[0]]
    assert (Z[:, controls].max(axis=0) > 0).all()
    lines = str(table).splitlines()
    assert lines[0].startswith(f"neuron {silent}: fires in 0 of 5 rows")
    assert lines[1:3] == ["active rows (0)", "inactive rows (5): unchanged"]


def test_the_text_shows_what_moved_most_with_its_sign(table):
    text = str(table)
    assert text.splitlines()[0].startswith(f"one: fires in {table.n_rows[0, 0]} of 200")
    shares = np.abs(table.changes[0, ACTIVE, 4:])
    largest = 4 + int(np.argmax(shares))
    row = next(line for line in text.splitlines() if table.measures[largest] in line)
    assert f"{table.changes[0, ACTIVE, largest]:+.4f}" in row
    assert f"{table.p_values[0, ACTIVE, largest]:.3f}" in row
    assert "inactive rows" in text
    assert ": unchanged" in text
    assert (
        f"film <{table.promoted[0, 0]}> ({table.promoted_effects[0, 0]:+.3g})" in text
    )
    assert max(len(line) for line in text.splitlines()) <= 88


def test_only_the_attributes_that_moved_most_are_shown(host, probe, split):
    has = np.random.default_rng(0).random((N_ITEMS, 20)) < 0.3
    many = (has, [f"kind {i}" for i in range(20)])
    table = ablate_neurons(
        host, split[0], probe=probe, neurons=busiest(host, probe, split[0])[0],
        item_features=many, n_controls=0,
    )  # fmt: skip
    sizes = np.abs(table.changes[0, ACTIVE, 3:])
    most = {f"kind {i}" for i in np.argsort(-sizes, kind="stable")[:5]}
    lines = str(table).splitlines()
    shown = [line.split("  ")[1] for line in lines if "share of" in line]
    assert {name.removeprefix("share of ").strip() for name in shown} == most
    assert len(table.to_frame()) == 2 * 23
    film = {"film": np.ones(N_ITEMS)}
    table = ablate_neurons(host, split[0], probe=probe, neurons=3, item_features=film)
    assert "share of film" in table.measures
    assert "share of film" not in str(table)


def test_names_titles_and_attributes_are_escaped_in_html(table):
    html = table._repr_html_()
    for tag in ("<b>", "<i>", "film <"):
        assert tag not in html
    assert "&lt;b&gt;war&lt;/b&gt;" in html
    assert "&lt;i&gt;two&lt;/i&gt;: fires in" in html
    assert f"film &lt;{table.promoted[0, 0]}&gt;" in html


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_it_becomes_frames(table, backend):
    frame = table.to_frame(backend)
    assert len(frame) == 2 * 2 * len(table.measures)
    np.testing.assert_allclose(frame["change"].to_numpy(), table.changes.ravel())
    items = table.items_to_frame(backend)
    assert len(items) == 2 * 2 * 10
    assert list(items["direction"])[:11] == ["promotes"] * 10 + ["demotes"]
    assert list(items["item"])[10:20] == table.demoted[0].tolist()
    assert list(items["title"])[20] == f"film <{table.promoted[1, 0]}>"
    np.testing.assert_allclose(
        items["effect"].to_numpy()[:10], table.promoted_effects[0]
    )


def test_labels_of_the_probe_name_the_neurons(host, probe, split):
    labelled = copy.deepcopy(probe).label_neurons({3: "noir", 5: "war"})
    table = ablate_neurons(
        host, split[0], probe=labelled, neurons=[3, [4, 5], np.int64(6)], n_controls=0
    )
    assert table.names == ["neuron 3 (noir)", "neurons 4+5 (war)", "neuron 6"]
    assert repr(table) == "Ablation(neuron 3 (noir), neurons 4+5 (war), neuron 6)"
    assert table.neurons == [(3,), (4, 5), (6,)]


def test_an_unknown_measure_lists_those_there_are(table):
    with pytest.raises(KeyError, match=r"must be one of overlap@10.*got 'ndgc'"):
        table["ndgc"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"neurons": 64}, "`neurons` must be positions 0 to 63.*; got 64"),
        ({"neurons": -1}, "`neurons` must be positions 0 to 63.*; got -1"),
        ({"neurons": 2.0}, "`neurons` must be positions 0 to 63.*; got 2.0"),
        ({"neurons": True}, "`neurons` must be positions 0 to 63.*; got True"),
        ({"neurons": "3"}, "`neurons` must be positions 0 to 63.*; got '3'"),
        ({"neurons": [[3, 3]]}, "each once in a group; got 3"),
        ({"neurons": {"a": [3, [4]]}}, "`neurons` must be positions"),
        ({"neurons": []}, "`neurons` must name at least one neuron; got none"),
        ({"neurons": {}}, "`neurons` must name at least one neuron; got none"),
        ({"neurons": [3, []]}, "`neurons` must hold groups of at least one neuron"),
        ({"factor": -1}, "`factor` must be a finite number >= 0; got -1"),
        ({"factor": np.nan}, "`factor` must be a finite number >= 0; got nan"),
        ({"factor": None}, "`factor` must be a finite number >= 0; got None"),
        ({"value": -0.5}, "`value` must be a finite number >= 0; got -0.5"),
        ({"value": np.inf}, "`value` must be a finite number >= 0; got inf"),
        ({"value": 1, "factor": 2}, "`factor` must be left out where `value` is given"),
        ({"n_controls": -1}, "`n_controls` must be an integer >= 0; got -1"),
        ({"n_controls": 1.5}, "`n_controls` must be an integer >= 0; got 1.5"),
        ({"n_recommendations": 0}, "`n_recommendations` must be a positive integer"),
        ({"item_titles": ["a"]}, "`item_titles` must hold one value per item"),
        ({"item_features": np.ones((3, 2))}, "`item_features` must have one row per"),
        ({"y": np.zeros(3, dtype=int)}, "`y` must be a matrix of the shape of `X`"),
        ({"y": csr_array((200, 99))}, "`y` must be a matrix of the shape of `X`"),
        ({"y": csr_array((200, 100))}, "`y` must hold at least one held-out"),
        ({"y": np.full(200, 100)}, "`y` must hold item positions below 100; got 100"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input_is_refused_in_one_line(host, probe, split, params, message):
    arguments = {"neurons": 3, "probe": probe, **params}
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        ablate_neurons(host, split[0], **arguments)
    assert "\n" not in str(caught.value)


def test_items_seen_cannot_be_held_out(host, probe, split):
    with pytest.raises(ValueError, match="`y` must not overlap `X`"):
        ablate_neurons(host, split[0], split[0], probe=probe, neurons=3)


def test_scores_that_are_no_numbers_are_refused():
    one = HOSTS["mult_vae"]()
    module = copy.deepcopy(one.model)
    with torch.no_grad():
        module.decoder[-1].bias[3] = np.nan
    host = as_recommender(
        TorchRecommender(module, encoder="encode", decoder="decode", n_items=N_ITEMS)
    )
    probe = probe_of(host, one.X, max_iter=1)
    with pytest.raises(ValueError, match="`recommender` must give scores that are num"):
        ablate_neurons(host, one.X, probe=probe, neurons=3)


def test_a_model_that_cannot_be_ablated_is_refused(host, probe, split):
    X = split[0]
    with pytest.raises(TypeError, match="`model` must be a SteeredRecommender, or a"):
        ablate_neurons(PCA(), X, neurons=3, probe=probe)
    with pytest.raises(TypeError, match="`probe` must be a fitted autoencoder when"):
        ablate_neurons(host, X, neurons=3)
    with pytest.raises(NotFittedError):
        ablate_neurons(host, X, neurons=3, probe=SparseAutoencoderProbe())
    with pytest.raises(NotFittedError):
        ablate_neurons(SteeredRecommender(host, rule="shift"), X, neurons=3)
    signed = PCA(4).fit(host.encode_users(X))
    with pytest.raises(ValueError, match="`probe` must have activations that are not"):
        ablate_neurons(host, X, neurons=3, probe=signed)
    small = SparseAutoencoderProbe(16, k=2, max_iter=1, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=small, random_state=0).fit(X)
    with pytest.raises(TypeError, match="`probe` must be None for a SteeredRecommende"):
        ablate_neurons(model, X, neurons=3, probe=probe)
    on_items = SteeredRecommender(host, probe=small, side="item", random_state=0).fit(X)
    with pytest.raises(AttributeError, match="`side` must include 'user'"):
        ablate_neurons(on_items, X, neurons=3)
