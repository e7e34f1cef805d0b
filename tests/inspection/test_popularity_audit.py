"""Popularity planted in one channel is found there; figures agree with brute force."""

import itertools
import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from implicit.als import AlternatingLeastSquares
from matplotlib.figure import Figure
from scipy.sparse import csr_array, csr_matrix
from scipy.stats import pearsonr, spearmanr
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_limits

from skpopsteer import (
    DecompositionRecommender,
    PopularityGroups,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    TorchRecommender,
    TunedSteeringCV,
    as_recommender,
)
from skpopsteer.datasets import load_movielens
from skpopsteer.inspection import PopularityAudit
from skpopsteer.inspection._audit_channels import (
    Channel,
    explain_scores,
    neuron_coordinate,
    regress_popularity,
)
from skpopsteer.inspection._audit_reach import Reach
from skpopsteer.inspection._audit_words import percent, recommend
from skpopsteer.metrics import ndcg
from skpopsteer.model_selection import HeldOut, hide_interactions
from tests.conftest import ROOT
from tests.inspection.html_tables import tables_of

N_USERS, N_ITEMS, WIDTH = 150, 120, 12
LEVER_OF = {
    "item bias": "ItemBiasReranker",
    "item length": "NormTemperingReranker",
    "mean-user direction": "GradientPopularityAdjuster",
    "neurons": "SteeredRecommender",
}


def scatter(rng, n, width):
    """Directions, all over the sphere."""
    rows = rng.normal(size=(n, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def plant(where, sign=1, seed=0):
    """Return tables of a host with popularity in one place, and the popularity."""
    rng = np.random.default_rng(seed)
    # Not quite symmetric: squares of mirrored values would tie.
    z = rng.permutation(np.linspace(-1.5, 1.5, N_ITEMS)) + rng.normal(0, 0.001, N_ITEMS)
    U, V, bias = scatter(rng, N_USERS, WIDTH), scatter(rng, N_ITEMS, WIDTH), None
    if where == "item bias":
        bias = sign * z
        V *= rng.uniform(0.8, 1.2, (N_ITEMS, 1))
    elif where == "item length":
        V *= np.exp(sign * z)[:, None]
    elif where == "mean-user direction":
        U[:, 0], V[:, 0] = 1.0, 0.0
        V /= np.linalg.norm(V, axis=1, keepdims=True)
        V[:, 0] = sign * z
    return (U, V) if bias is None else (U, V, bias), np.exp(2 * (z + 2))


def some_interactions(seed=0):
    rng = np.random.default_rng(seed)
    return csr_array((rng.random((N_USERS, N_ITEMS)) < 0.1).astype(np.float64))


def audit_planted(tables, popularity, **params):
    params = {"steered": "drop", "random_state": 0, **params}
    return PopularityAudit(as_recommender(tables), **params).fit(
        some_interactions(), user_ids=np.arange(N_USERS), item_popularity=popularity
    )


@pytest.fixture(scope="module")
def audit(host, split, steered):
    return PopularityAudit(host, steered=steered, random_state=0).fit(*split)


@pytest.fixture(scope="module")
def plain(host, split):
    """One without neurons and without held-out items."""
    return PopularityAudit(host, steered="drop", levels=[0.8, 0.95]).fit(split[0])


def channel(audit, name):
    (found,) = [one for one in audit.channels_ if one.name == name]
    return found


PLACES = {
    "item bias": "Popularity lives in the item bias (1.00 of rank correlation",
    "item length": "Popularity lives in the length of item vectors (1.00 of rank",
    "mean-user direction": "Popularity lives in the direction of the mean user (1.00",
}
NOT_THERE = {
    "item length": "the length of item vectors does not carry popularity",
    "mean-user direction": "the direction of the mean user does not carry popularity",
}


@pytest.mark.parametrize("where", PLACES)
def test_planted_popularity_is_named_where_it_is(where):
    audit = audit_planted(*plant(where))
    text = audit.recommendation_
    assert text.startswith(PLACES[where])
    for other, words in NOT_THERE.items():
        assert (words in text) == (other != where)
    # Its lever is the one to turn, and without it lists are as good as blind.
    noun = PLACES[where].removeprefix("Popularity lives in ").partition(" (")[0]
    assert f"Turn {noun}: {LEVER_OF[where]} at strength" in text
    own = channel(audit, where)
    others = [one for one in audit.channels_ if one.name in NOT_THERE]
    best = max(others, key=lambda one: one.tail_share_without, default=own)
    assert own.tail_share_without >= best.tail_share_without
    assert own.tail_share_without > audit.tail_share_ + 0.3


def test_a_shared_channel_explains_what_the_mean_does_and_length_does_not():
    shared = channel(audit_planted(*plant("item bias")), "item bias")
    assert shared.variance_share > 0.85
    more = shared.variance_share_personal - shared.variance_share
    assert 0 < more < 0.002
    # Long items win by their spread: there is no slope in it, for anybody.
    assert channel(audit_planted(*plant("item length")), "item length").variance_share \
        < 0.01  # fmt: skip


@pytest.mark.parametrize("where", PLACES)
def test_popularity_the_other_way_round_is_said_to_be_so(where):
    audit = audit_planted(*plant(where, sign=-1))
    assert channel(audit, where).spearman == pytest.approx(-1, abs=1e-3)
    assert "Popularity lives in none of the channels alone" in audit.recommendation_
    assert "carries it the other way (-1.00: popular items" in audit.recommendation_
    assert "Yet what brings most tail is" in audit.recommendation_ or (
        "No lever of a channel raises the tail share" in audit.recommendation_
    )


def test_a_channel_that_is_the_same_for_all_has_no_correlation():
    (U, V), popularity = plant("nowhere")
    audit = audit_planted((U, V), popularity)
    length = channel(audit, "item length")
    assert np.isnan([length.pearson, length.spearman, length.variance_share]).all()
    words = "the length of item vectors is the same for every item"
    assert words in audit.recommendation_
    assert "nan" not in str(audit)
    # Turning it brings nothing: of equals the least turned counts.
    turned = [one for one in audit.reach_ if one.channel == "item length"]
    assert {one.strength for one in turned} == {0.0}


def test_a_channel_the_other_way_round_is_turned_the_other_way():
    (U, V), popularity = plant("item length", sign=-1)
    # Popular items are short, and would not be recommended but for their bias.
    audit = audit_planted((U, V, np.log(popularity)), popularity)
    assert channel(audit, "item length").spearman == pytest.approx(-1, abs=1e-3)
    turned = [one for one in audit.reach_ if one.channel == "item length"]
    assert all(one.strength < 0 for one in turned[3:])
    assert turned[-1].tail_share > audit.tail_share_ + 0.3


def told(channels, reached, *, accuracy=0.3, host=0.1):
    """Advice on channels (name, correlation, tail without) and what they reach."""
    nothing = np.zeros(1)
    channels = [
        Channel(name, nothing, r, r, 0.1, 0.1, without) for name, r, without in channels
    ]
    reach = [
        Reach(LEVER_OF.get(name, name), name if name in LEVER_OF else None,
              level, 0.5, tail, level)
        for name, *tails in reached
        for level, tail in zip((0.9, 0.96), tails, strict=True)
    ]  # fmt: skip
    audit = SimpleNamespace(
        channels_=channels, reach_=reach, levels_=(0.96, 0.9), tail_share_=host,
        accuracy_=accuracy, kept_name_="NDCG@10",
    )  # fmt: skip
    return recommend(audit)


BIAS_AND_LENGTH = [("item bias", 0.45, 0.2), ("item length", 0.9, 0.3)]


def test_the_lever_that_brings_most_need_not_turn_where_popularity_is():
    reached = [("item bias", 0.5, 0.2), ("item length", 0.4, 0.15), ("Yard", 0.1, 0.1)]
    text = told(BIAS_AND_LENGTH, reached)
    assert text == (
        "Popularity lives in the length of item vectors (0.90 of rank correlation with "
        "log popularity); the item bias carries some of it (0.45). Yet what brings "
        "most tail is the item bias: ItemBiasReranker at strength 0.5 takes the tail "
        "share from 0.100 to 0.200 and keeps 96 % of NDCG@10. With held-out items, as "
        "here, SlotPricingRecommender, which turns no channel and prices slots, "
        "usually goes further."
    )


def test_of_levers_that_bring_the_same_the_channel_of_popularity_is_turned():
    reached = [("item bias", 0.5, 0.204), ("item length", 0.4, 0.2), ("Yard", 0.9, 0.3)]
    text = told(BIAS_AND_LENGTH, reached)
    assert "Turn the length of item vectors: NormTemperingReranker" in text
    assert "from 0.100 to 0.200 and keeps 96 % of NDCG@10; Yard reaches 0.300" in text


def test_carriers_stand_by_what_their_absence_does_to_lists():
    channels = [
        ("item bias", 0.6, 0.2), ("item length", 0.9, 0.1),
        ("mean-user direction", 0.7, 0.4), ("neurons", 0.99, np.nan),
    ]  # fmt: skip
    text = told(channels, [("neurons", 0.1, np.nan), ("Yard", 0.1, 0.1)])
    assert text.startswith(
        "Popularity lives in the direction of the mean user (0.70 of rank correlation "
        "with log popularity), the item bias (0.60), the length of item vectors (0.90) "
        "and the selected neurons (0.99). No lever of a channel raises the tail share, "
        "0.100, at 96 % of NDCG@10."
    )


def test_neurons_are_many():
    for r, words in [
        (-0.001, "the selected neurons do not carry popularity (0.00)"),
        (-0.4, "the selected neurons carry it the other way (-0.40: their strength"),
        (0.4, "the selected neurons carry some of it (0.40)"),
        (np.nan, "the selected neurons are the same for every item"),
    ]:
        text = told([("neurons", r, np.nan)], [("Yard", 0.1, 0.1)], accuracy=None)
        assert words in text
        assert "Pass held-out items as `y` to see the cost in accuracy" in text


def test_users_that_cancel_out_have_no_direction():
    (U, V), popularity = plant("item length")
    U[1::2] = -U[::2]
    audit = audit_planted((U, V), popularity)
    assert [one.name for one in audit.channels_] == ["item length", "mean score"]
    assert "GradientPopularityAdjuster" not in audit.levers_


def shares_by_hand(scores, c):
    """Regress all scores on a coordinate by least squares, twice."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    x = (c - c.mean())[:, None]
    total = np.square(centred).sum()
    slope = np.linalg.lstsq(np.tile(x, (len(scores), 1)), centred.ravel())[0]
    one = 1 - np.square(centred - slope * x.T).sum() / total
    left = [row - x[:, 0] * np.linalg.lstsq(x, row)[0] for row in centred]
    return one, 1 - np.square(left).sum() / total


@pytest.mark.parametrize("where", [*PLACES, "nowhere"])
def test_shares_and_correlations_agree_with_brute_force(where):
    tables, popularity = plant(where, seed=1)
    rng = np.random.default_rng(0)
    # Users of any length and mean, and a bias beside whatever else there is.
    U = tables[0] * rng.lognormal(size=(N_USERS, 1)) + rng.normal(size=WIDTH)
    bias = tables[2] if len(tables) == 3 else rng.normal(size=N_ITEMS)
    audit = audit_planted((U, tables[1], bias), popularity)
    scores = U @ tables[1].T + bias
    log_popularity = np.log(np.maximum(popularity, 1))
    directions = U / np.linalg.norm(U, axis=1, keepdims=True)
    mean = directions.mean(axis=0)
    expected = {
        "item bias": bias,
        "item length": np.linalg.norm(tables[1], axis=1),
        "mean-user direction": tables[1] @ mean / np.linalg.norm(mean),
        "mean score": scores.mean(axis=0),
    }
    assert [one.name for one in audit.channels_] == list(expected)
    for one in audit.channels_:
        c = expected[one.name]
        np.testing.assert_allclose(one.coordinate, c, rtol=1e-4, atol=1e-5)
        if np.ptp(c) < 1e-6:
            continue
        found = one.variance_share, one.variance_share_personal
        assert found == pytest.approx(shares_by_hand(scores, c), rel=1e-4, abs=1e-7)
        assert one.pearson == pytest.approx(pearsonr(c, log_popularity)[0], abs=1e-5)
        assert one.spearman == pytest.approx(spearmanr(c, log_popularity)[0], abs=1e-3)


def bent(host):
    """The same host with a decoder that is none, so that nobody can multiply."""
    V = torch.tensor(np.array(host.item_embeddings_))
    return as_recommender(
        TorchRecommender(
            torch.nn.Linear(1, 1),
            encoder=lambda module, rows: rows @ V,
            decoder=lambda module, U: torch.tanh(U @ V.T),
            n_items=len(V),
        )
    )


@pytest.mark.parametrize("width", [1, 3])
def test_blocks_explain_what_brute_force_does(host, split, width):
    X, model = split[0], bent(host)
    columns = np.random.default_rng(0).normal(size=(X.shape[1], width))
    within, shares, personal = explain_scores(model, X, None, columns)
    scores = model.decision_function(X).astype(np.float64)
    assert within == pytest.approx(scores.var(axis=1).mean())
    expected = np.array([shares_by_hand(scores, c) for c in columns.T])
    np.testing.assert_allclose([shares, personal], expected.T, rtol=1e-5)


def test_rotations_and_permutations_change_nothing():
    tables, popularity = plant("item length", seed=2)
    rng = np.random.default_rng(3)
    # Some axes are longer than others, until they are turned.
    axes = np.geomspace(0.05, 2, WIDTH)
    tables = (tables[0], tables[1] * axes, rng.normal(scale=0.1, size=N_ITEMS))
    turn = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    order = rng.permutation(N_ITEMS)
    first = audit_planted(tables, popularity)
    turned = audit_planted((tables[0] @ turn, tables[1] @ turn, tables[2]), popularity)
    moved = PopularityAudit(
        as_recommender((tables[0], tables[1][order], tables[2][order])),
        steered="drop", random_state=0,
    ).fit(
        csr_array(some_interactions()[:, order]), user_ids=np.arange(N_USERS),
        item_popularity=popularity[order],
    )  # fmt: skip
    for other, coordinates in ((turned, np.arange(N_ITEMS)), (moved, order)):
        for one, same in zip(first.channels_, other.channels_, strict=True):
            np.testing.assert_allclose(
                one.coordinate[coordinates], same.coordinate, atol=1e-5
            )
            assert same.pearson == pytest.approx(one.pearson, abs=1e-4)
            assert same.variance_share == pytest.approx(one.variance_share, abs=1e-4)
            assert same.tail_share_without == pytest.approx(
                one.tail_share_without, abs=0.01, nan_ok=True
            )
        assert other.r2_ == pytest.approx(first.r2_, abs=1e-3)
        for one, same in zip(first.reach_, other.reach_, strict=True):
            assert same.tail_share == pytest.approx(one.tail_share, abs=0.02)


def ndcg_by_hand(y, lists):
    gains = []
    for held, row in zip(y.toarray(), lists, strict=True):
        wanted = np.flatnonzero(held)
        if len(wanted):
            discounts = 1 / np.log2(np.arange(2, len(row) + 2))
            hits = [d for d, item in zip(discounts, row, strict=True) if item in wanted]
            gains.append(sum(hits) / discounts[: len(wanted)].sum())
    return np.mean(gains)


def test_reach_is_what_the_lists_at_its_strength_hold(audit, host, split):
    X, y = split
    X, y = X[audit.user_rows_], y[audit.user_rows_]
    tail = np.flatnonzero(PopularityGroups().label(audit.item_popularity_) == -1)
    own = ndcg_by_hand(y, host.recommend(X))
    assert audit.accuracy_ == pytest.approx(own)
    assert {one.lever for one in audit.reach_} == set(audit.levers_)
    assert list(audit.levers_) == [
        "NormTemperingReranker", "GradientPopularityAdjuster", "SteeredRecommender",
        "PopularityPenaltyReranker", "SpreadTemperingReranker",
    ]  # fmt: skip
    for one in audit.reach_:
        lists = audit.levers_[one.lever].recommend(X, 10, strength=one.strength)
        assert one.tail_share == pytest.approx(np.isin(lists, tail).mean())
        assert one.kept == pytest.approx(ndcg_by_hand(y, lists) / own)
        assert one.level is None or one.kept >= one.level
        assert one.tail_share >= audit.tail_share_


def test_without_held_out_items_the_cost_is_the_items_replaced(plain, host, split):
    own = host.recommend(split[0])
    assert plain.accuracy_ is None
    assert plain.levels_ == (0.95, 0.8)
    for one in plain.reach_:
        lists = plain.levers_[one.lever].recommend(split[0], strength=one.strength)
        pairs = zip(own, lists, strict=True)
        shares = [len({*first} & {*second}) / 10 for first, second in pairs]
        assert one.kept == pytest.approx(np.mean(shares))
    assert "so much of the host's lists is kept" in str(plain)
    assert "Pass held-out items as `y`" in plain.recommendation_


def test_no_strength_of_a_fine_grid_does_better(audit, split):
    X, y = split
    levers = ["NormTemperingReranker", "PopularityPenaltyReranker",
              "GradientPopularityAdjuster"]  # fmt: skip
    groups = PopularityGroups().label(audit.item_popularity_)
    for name in levers:
        model = audit.levers_[name]
        farthest = 1.5 * max(one.strength for one in audit.reach_
                             if one.lever == name and one.level)  # fmt: skip
        points = []
        for lists in model._path(X, np.linspace(0, farthest, 150).tolist(), 10):
            kept = ndcg(y, lists) / audit.accuracy_
            points.append((kept, (groups[lists] == -1).mean()))
        for one in audit.reach_:
            if one.lever == name and one.level:
                best = max(tail for kept, tail in points if kept >= one.level)
                assert one.tail_share >= best - 0.015, one


def test_a_lever_is_turned_on_where_the_tail_comes_in_late():
    rng = np.random.default_rng(0)
    log_popularity = rng.permutation(np.linspace(0.0, 9.0, N_ITEMS))
    U, V = scatter(rng, N_USERS, WIDTH), scatter(rng, N_ITEMS, WIDTH)
    U[:, 0], V[:, 0] = 1.0, log_popularity
    # Items of equal popularity change places long before those of the tail come in.
    audit = audit_planted((U, V), np.exp(log_popularity))
    for one in audit.reach_:
        if one.level is None and one.lever != "NormTemperingReranker":
            assert one.tail_share > 0.99, one
    curve = audit.curves_["PopularityPenaltyReranker"]
    early = (curve.strengths > 0) & (curve.tail_share == 0)
    assert early.sum() >= 4
    assert (curve.kept[early] < 0.98).sum() >= 3


def test_reach_falls_with_the_level_and_is_the_best_of_its_curve(audit):
    for name, curve in audit.curves_.items():
        assert (np.diff(curve.strengths) > 0).all()
        # From a sixteenth of a unit to sixteen, both ways, and closer at the levels.
        assert 20 <= len(curve.strengths) <= 50
        reached = [one for one in audit.reach_ if one.lever == name]
        assert [one.level for one in reached] == [0.99, 0.97, 0.95, 0.9, 0.8, None]
        assert all(a.tail_share <= b.tail_share for a, b in itertools.pairwise(reached))
        for one in reached:
            able = curve.kept >= (-np.inf if one.level is None else one.level)
            assert one.tail_share == curve.tail_share[able].max()
            assert LEVER_OF.get(one.channel, name) == name


def test_the_lever_of_the_mean_user_leaves_the_bias_alone():
    (U, V), popularity = plant("mean-user direction")
    bias = np.log(popularity)
    audit = audit_planted((U, V, bias), popularity)
    adjuster = audit.levers_["GradientPopularityAdjuster"]
    assert adjuster.popularity_direction_[-1] == 0
    users = np.arange(N_USERS)
    at_one = adjuster.set_params(beta=1.0).decision_function(some_interactions(), users)
    mean = U / np.linalg.norm(U, axis=1, keepdims=True)
    p = mean.mean(axis=0) / np.linalg.norm(mean.mean(axis=0))
    expected = U @ V.T + bias - np.outer(U @ p, V @ p)
    np.testing.assert_allclose(at_one, expected, atol=1e-4)


def test_neurons_are_what_one_unit_of_strength_takes_out(audit, steered, split, host):
    X = split[0][audit.user_rows_]
    turned = clone(steered)
    vars(turned).update(vars(steered) | {"strength": 1.0})
    taken = host.decision_function(X) - turned.decision_function(X)
    neurons = channel(audit, "neurons")
    np.testing.assert_allclose(neurons.coordinate, taken.mean(axis=0), atol=1e-5)
    assert np.isnan(neurons.tail_share_without)
    assert steered.strength == 1.0
    assert audit.levers_["SteeredRecommender"] is steered


def test_neurons_of_trained_users_are_those_of_their_vectors(split, host):
    rng = np.random.default_rng(0)
    tables = scatter(rng, 200, WIDTH), scatter(rng, 100, WIDTH)
    looked_up, ids = as_recommender(tables), np.arange(200)[::-1]
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(looked_up, probe=probe, rule="shift", random_state=0)
    model.fit(split[0], user_ids=ids)
    own = looked_up.decision_function(split[0], user_ids=ids)
    turned = model.set_params(strength=1.0).decision_function(split[0], user_ids=ids)
    found = neuron_coordinate(model, split[0], ids)
    np.testing.assert_allclose(found, (own - turned).mean(axis=0), atol=1e-5)


def test_neurons_that_always_add_are_products_with_their_directions(host, split):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, probe=probe, rule="add", random_state=0)
    model.fit(split[0])
    side = model._user_side
    way = (
        model.selector_.steering_weights_ * side.scales @ model.probe_.decoder_weights_
    )
    found = neuron_coordinate(model, split[0], None)
    np.testing.assert_allclose(found, way @ host.item_embeddings_.T, atol=1e-5)


def test_neurons_may_be_fitted_here_and_come_from_a_search(host, split, steered):
    unfitted = SteeredRecommender(
        "anything with fit is replaced",
        rule="shift",
        probe=SparseAutoencoderProbe(16, k=4, max_iter=2, random_state=0),
        random_state=0,
    )
    audit = PopularityAudit(host, steered=unfitted, random_state=0)
    audit.fit(*split, item_popularity=np.arange(100))
    neurons = audit.levers_["SteeredRecommender"]
    np.testing.assert_array_equal(neurons.item_popularity_, np.arange(100))
    assert not hasattr(unfitted, "recommender_")
    assert unfitted.recommender == "anything with fit is replaced"
    assert neurons.recommender_ is host
    search = TunedSteeringCV(steered, within=0.1, cv="prefit").fit(*split)
    audit = PopularityAudit(host, steered=search, random_state=0).fit(*split)
    assert audit.levers_["SteeredRecommender"] is search.best_estimator_


def test_neurons_of_the_default_know_the_groups_and_the_seed(interactions):
    X = csr_array(interactions[:60, :40])
    small = as_recommender(TruncatedSVD(4, random_state=0).fit(X))
    groups = PopularityGroups("count", tail=0.5)
    audit = PopularityAudit(small, groups=groups, levels=0.9, random_state=0).fit(X)
    neurons = audit.levers_["SteeredRecommender"]
    assert neurons.groups == groups
    assert neurons.probe_.decoder_weights_.shape == (2048, 4)
    assert [one.name for one in audit.channels_][-2:] == ["neurons", "mean score"]
    np.testing.assert_array_equal(audit.item_groups_, neurons.item_groups_)


def test_neurons_of_another_host_or_of_no_steering_are_refused(host, split, steered):
    other = as_recommender(TruncatedSVD(8, random_state=1).fit(split[0] * 2))
    with pytest.raises(ValueError, match="`steered` must be fitted around"):
        PopularityAudit(other, steered=steered).fit(*split)
    with pytest.raises(ValueError, match="`steered` must be fitted around"):
        PopularityAudit(bent(host), steered=steered).fit(*split)
    with pytest.raises(TypeError, match="`steered` must be a SteeredRecommender"):
        PopularityAudit(host, steered=PopularityPenaltyReranker(host)).fit(*split)
    same = as_recommender(TruncatedSVD(8, random_state=0).fit(split[0]))
    assert PopularityAudit(same, steered=steered, levels=0.9).fit(*split).reach_


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_the_ridge_leaves_out_items_one_by_one(noise):
    tables, popularity = plant("mean-user direction", seed=4)
    n = 30
    U, V = tables[0], tables[1][:n]
    bias = np.random.default_rng(0).normal(size=n)
    target = np.log(popularity[:n]) + noise * np.random.default_rng(1).normal(size=n)
    host = as_recommender((U, V, bias))

    def best(table):
        penalties, errors = n * np.geomspace(1e-6, 10, 15), np.zeros(15)
        for out in range(n):
            rest = np.arange(n) != out
            x, t = table[rest], target[rest]
            centred, width = x - x.mean(axis=0), table.shape[1]
            for place, penalty in enumerate(penalties):
                gram = centred.T @ centred + penalty * np.eye(width)
                slope = np.linalg.solve(gram, centred.T @ (t - t.mean()))
                guess = t.mean() + (table[out] - x.mean(axis=0)) @ slope
                errors[place] += (guess - target[out]) ** 2
        return 1 - min(errors) / np.square(target - target.mean()).sum()

    scaled = (V - V.mean(axis=0)) / np.sqrt(np.square(V - V.mean(axis=0)).mean())
    both = np.column_stack([scaled, (bias - bias.mean()) / bias.std()])
    found = regress_popularity(host, target)
    # Leaving out in closed form does not move the mean of the columns.
    assert found["vectors"] == pytest.approx(best(scaled), abs=0.01)
    assert found["vectors and bias"] == pytest.approx(best(both), abs=0.01)
    assert list(regress_popularity(as_recommender((U, V)), target)) == ["vectors"]
    still = as_recommender((U, V, np.full(n, 0.3)))
    assert list(regress_popularity(still, target)) == ["vectors"]


def test_a_decoder_that_multiplies_nothing_leaves_what_can_be_said(host, split):
    model = bent(host)
    probe = SparseAutoencoderProbe(16, k=4, max_iter=2, random_state=0)
    steered = SteeredRecommender(model, rule="shift", probe=probe, random_state=0)
    audit = PopularityAudit(model, steered=steered, levels=[0.9], random_state=0)
    audit.fit(*split)
    assert [one.name for one in audit.channels_] == ["neurons", "mean score"]
    assert list(audit.levers_) == [
        "SteeredRecommender", "PopularityPenaltyReranker", "SpreadTemperingReranker",
    ]  # fmt: skip
    assert audit.r2_ == {}
    assert "The decoder is not a product with item vectors" in " ".join(audit.notes_)
    X = split[0][audit.user_rows_]
    mean = channel(audit, "mean score")
    scores = model.decision_function(X).astype(np.float64)
    np.testing.assert_allclose(mean.coordinate, scores.mean(axis=0), atol=1e-5)
    found = mean.variance_share, mean.variance_share_personal
    assert found == pytest.approx(shares_by_hand(scores, mean.coordinate), rel=1e-4)
    # Without neurons there is a yardstick at least.
    alone = clone(audit).set_params(steered="drop").fit(*split)
    assert [one.name for one in alone.channels_] == ["mean score"]
    assert "No lever of a channel raises the tail share" in alone.recommendation_


def test_a_host_that_shies_away_from_popularity_is_told(host, split):
    V = np.array(host.item_embeddings_)
    U = host.encode_users(split[0])
    popularity = np.bincount(split[0].indices, minlength=len(V))
    shy = as_recommender((U, V, -0.3 * np.log(np.maximum(popularity, 1))))
    audit = PopularityAudit(shy, steered="drop", random_state=0)
    audit.fit(*split, user_ids=np.arange(len(U)))
    assert "This host shies away from popularity" in str(audit)
    assert "the item bias carries it the other way (-1.00" in audit.recommendation_


def test_als_keeps_popularity_in_the_length_of_its_vectors():
    data = load_movielens(ROOT / "data" / "ml-latest-small", min_item_interactions=5)
    X, y = hide_interactions(data.X, random_state=0)
    model = AlternatingLeastSquares(
        32, alpha=5, regularization=0.1, num_threads=1, random_state=0
    )
    with threadpool_limits(1, "blas"):
        model.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
    audit = PopularityAudit(as_recommender(model), steered="drop", random_state=0)
    audit.fit(X, y, user_ids=np.arange(X.shape[0]))
    assert channel(audit, "item length").spearman > 0.85
    assert audit.r2_["vectors"] > 0.7
    # First what changes the lists most when it is taken out.
    length, direction = (
        channel(audit, n) for n in ("item length", "mean-user direction")
    )
    assert length.tail_share_without > direction.tail_share_without
    assert direction.spearman > 0.5
    text = audit.recommendation_
    assert text.startswith("Popularity lives in the length of item vectors (0.")
    assert ") and the direction of the mean user (0." in text
    by_level = {(one.lever, one.level): one.tail_share for one in audit.reach_}
    assert by_level["NormTemperingReranker", 0.95] > audit.tail_share_ + 0.02


@pytest.mark.parametrize("form", ["HeldOut", "1-D", "csr_matrix", "coo"])
def test_held_out_items_come_in_any_form(host, split, form):
    X, y = split
    first = np.array([row.indices[0] if row.nnz else -1 for row in map(csr_array, y)])
    given = {
        "HeldOut": HeldOut(y), "1-D": first, "csr_matrix": csr_matrix(y),
        "coo": y.tocoo(),
    }[form]  # fmt: skip
    params = {"steered": "drop", "levels": 0.9, "random_state": 0}
    audit = PopularityAudit(host, **params).fit(X, given)
    if form == "1-D":
        some = first >= 0
        places = np.flatnonzero(some), first[some]
        y = csr_array((np.ones(some.sum()), places), y.shape)
    assert audit.reach_ == PopularityAudit(host, **params).fit(X, y).reach_


def test_users_are_sampled_among_those_who_can_be_judged(host, split):
    X, y = split
    y = csr_array(y.toarray() * (np.arange(y.shape[0]) % 2)[:, None])
    params = {"steered": "drop", "levels": 0.9}
    audit = PopularityAudit(host, max_users=30, random_state=5, **params).fit(X, y)
    assert len(audit.user_rows_) == 30
    assert (np.diff(audit.user_rows_) > 0).all()
    assert (audit.user_rows_ % 2 == 1).all()
    again = PopularityAudit(host, max_users=30, random_state=5, **params).fit(X, y)
    assert again.reach_ == audit.reach_
    other = PopularityAudit(host, max_users=30, random_state=6, **params).fit(X, y)
    assert (other.user_rows_ != audit.user_rows_).any()
    # All of the popularity, whoever is measured.
    np.testing.assert_array_equal(
        audit.item_popularity_, np.bincount(X.indices, minlength=X.shape[1])
    )
    penalty = audit.levers_["PopularityPenaltyReranker"]
    np.testing.assert_array_equal(penalty.item_popularity_, audit.item_popularity_)
    everybody = PopularityAudit(host, max_users=None, **params).fit(X)
    assert len(everybody.user_rows_) == X.shape[0]
    assert "Lists of 10 for 30 of 200 users" in str(audit)


def test_rows_without_history_may_be_looked_up():
    tables, popularity = plant("item bias")
    audit = PopularityAudit(as_recommender(tables), steered="drop", levels=0.9).fit(
        csr_array((N_USERS, N_ITEMS)), user_ids=np.arange(N_USERS),
        item_popularity=popularity[None],
    )  # fmt: skip
    assert len(audit.user_rows_) == N_USERS
    assert audit.recommendation_.startswith("Popularity lives in the item bias")


def test_rerankers_choose_from_the_pool_and_lists_have_their_length(host, split):
    audit = PopularityAudit(
        host, steered="drop", levels=0.9, pool_size=20, n_recommendations=5
    ).fit(*split)
    assert audit.kept_name_ == "NDCG@5"
    tail = audit.item_groups_ == -1
    assert audit.tail_share_ == pytest.approx(tail[host.recommend(split[0], 5)].mean())
    pool = host.recommend(split[0], 20)
    for name, model in audit.levers_.items():
        lists = model.recommend(split[0], strength=1e3)
        assert lists.shape == (200, 5)
        inside = [set(row) <= set(some) for row, some in zip(lists, pool, strict=True)]
        assert all(inside) == (name != "GradientPopularityAdjuster")


def test_lists_of_neurons_have_the_length_asked_for(host, split, steered):
    audit = PopularityAudit(host, steered=steered, levels=0.9, n_recommendations=4)
    audit.fit(*split)
    tail = audit.item_groups_ == -1
    curve = audit.curves_["SteeredRecommender"]
    lists = steered.recommend(split[0], 4, strength=curve.strengths[-1])
    assert curve.tail_share[-1] == pytest.approx(tail[lists].mean())


def test_an_untrained_host_is_trained_once_and_left_as_it_is(split):
    untrained = DecompositionRecommender(TruncatedSVD(8, random_state=0))
    audit = PopularityAudit(untrained, steered="drop", levels=0.9).fit(*split)
    assert not hasattr(untrained, "n_features_in_")
    assert not hasattr(untrained.decomposition, "components_")
    hosts = {id(model.recommender_) for model in audit.levers_.values()}
    assert hosts == {id(audit.recommender_)}


def test_nothing_of_the_caller_changes(split):
    tables, popularity = plant("item length")
    bias = np.random.default_rng(0).normal(size=N_ITEMS)
    before = [np.copy(table) for table in (*tables, bias, popularity)]
    X = some_interactions()
    kept = X.data.copy(), X.indices.copy()
    y = csr_array(1.0 * (X.toarray() == 0))
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    host = as_recommender((*tables, bias))
    PopularityAudit(host, steered="drop", levels=0.9, random_state=0).fit(
        X, y, user_ids=np.arange(N_USERS), item_popularity=popularity
    )
    for table, copy in zip((*tables, bias, popularity), before, strict=True):
        np.testing.assert_array_equal(table, copy)
    for table, copy in zip((X.data, X.indices), kept, strict=True):
        np.testing.assert_array_equal(table, copy)
    after = np.random.get_state()[1]  # noqa: NPY002
    np.testing.assert_array_equal(after, state)
    assert host.n_recommendations == 10


BAD_FITS = [
    ({"levels": [0.9, 1.5]}, {}, ValueError, "`levels` must be distinct shares"),
    ({"levels": []}, {}, ValueError, "`levels` must be distinct shares"),
    ({"max_users": 0}, {}, ValueError, "max_users"),
    ({"steered": "none"}, {}, ValueError, "steered"),
    ({"groups": "tail"}, {}, ValueError, "groups"),
    ({}, {"item_popularity": np.full(100, 3)}, ValueError, "must differ between items"),
    ({}, {"item_popularity": np.ones(7)}, ValueError, "`item_popularity` .* per item"),
    ({}, {"user_ids": [0, 1]}, ValueError, "`user_ids` must name one user per row"),
    ({}, {"y": np.full(200, -1)}, ValueError, "`y` must hold at least one held-out"),
    ({}, {"y": np.ones(3, dtype=int)}, ValueError, "`y` must have one row per list"),
]


@pytest.mark.parametrize(("params", "given", "error", "message"), BAD_FITS)
def test_bad_input_gets_one_clear_line(host, split, params, given, error, message):
    with pytest.raises(error, match=message) as raised:
        PopularityAudit(host, **{"steered": "drop", **params}).fit(split[0], **given)
    assert "\n" not in str(raised.value)


def test_what_is_no_host_is_refused(split, host):
    with pytest.raises(TypeError, match="`recommender` must be a host with"):
        PopularityAudit(TruncatedSVD(2)).fit(*split)
    with pytest.raises(ValueError, match="`X` must have one column per item of the"):
        PopularityAudit(host, steered="drop").fit(split[0][:, :50])
    U, V = host.encode_users(split[0]), np.array(host.item_embeddings_)
    # Every held-out item is the worst of all.
    hopeless = as_recommender((np.abs(U) * 0 + 1, np.where(V > 9, V, 0.0)))
    worst = np.full(len(U), 99)
    X = csr_array((np.ones(40), (np.arange(40), np.arange(40) % 20)), (len(U), 100))
    with pytest.raises(ValueError, match="`y` must hold items that the host finds"):
        PopularityAudit(hopeless, steered="drop").fit(
            X, worst, user_ids=np.arange(len(U))
        )


def test_the_text_fits_the_terminal_and_tells_what_is_known(audit, host, split):
    text = str(audit)
    assert max(map(len, text.splitlines())) <= 88
    for name in audit.levers_:
        assert name in text
    assert "PopularityPenaltyReranker *" in text
    words = " ".join(text.split())
    assert f"NDCG@10 {audit.accuracy_:.4f}, tail share {audit.tail_share_:.3f}" in words
    assert audit.recommendation_ in words
    assert "Where DecompositionRecommender keeps popularity" in text
    for one in audit.channels_:
        assert f"{one.pearson:.2f}" in text
        assert f"{100 * one.variance_share:.1f} %" in text
    many = PopularityAudit(host, steered="drop", levels=np.linspace(0.5, 0.98, 13))
    text = str(many.fit(*split))
    assert max(map(len, text.splitlines())) <= 88
    assert text.count("any cost") == 1
    assert text.count("50 %") >= 1


def test_shares_are_told_to_a_tenth_of_a_per_cent():
    assert [percent(share) for share in (0.9, 0.975, 0.9994, 0.9996)] == [
        "90 %", "97.5 %", "99.9 %", "100 %",
    ]  # fmt: skip


def test_the_tables_of_a_notebook_hold_the_records(audit):
    (channels, reach), outside = tables_of(audit._repr_html_())
    assert outside == "".join([*audit.notes_, audit.recommendation_])

    def number(value, form=".2f"):
        return "" if np.isnan(value) else f"{value:{form}}"

    assert channels.rows[1:] == [
        [
            one.name, number(one.pearson), number(one.spearman),
            f"{100 * one.variance_share:.1f} %",
            f"{100 * one.variance_share_personal:.1f} %",
            number(one.tail_share_without, ".3f"),
        ]
        for one in audit.channels_
    ]  # fmt: skip
    levels = [percent(level) for level in audit.levels_]
    assert reach.rows[0] == ["lever", *levels, "any cost"]
    assert f"the host's is {audit.tail_share_:.3f}" in reach.caption
    for name, *cells in reach.rows[1:]:
        found = [one for one in audit.reach_ if one.lever == name.removesuffix(" *")]
        assert name.endswith(" *") == (found[0].channel is None)
        expected = [f"{one.tail_share:.3f}" for one in found]
        expected[-1] += f" ({round(100 * found[-1].kept)} %)"
        assert cells == expected


def test_the_page_of_a_notebook_escapes_what_it_is_given(host, split):
    class Loud(PopularityGroups):
        def __str__(self):
            return "<script>alert('tail')</script> & more"

    audit = PopularityAudit(host, steered="drop", levels=0.9, groups=Loud())
    assert "PopularityAudit" in audit._repr_html_()
    html = audit.fit(*split)._repr_html_()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    assert "&amp; more" in html
    assert html.count("<table>") == html.count("</table>") == 2
    bundle = audit._repr_mimebundle_()
    assert bundle == {"text/plain": str(audit), "text/html": html}


def test_frames_hold_the_records(audit):
    frame = audit.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame["channel"].tolist() == [one.name for one in audit.channels_]
    assert frame["spearman"].tolist() == [one.spearman for one in audit.channels_]
    reach = audit.reach_to_frame("polars")
    assert isinstance(reach, pl.DataFrame)
    assert reach["lever"].to_list() == [one.lever for one in audit.reach_]
    assert reach["tail_share"].to_list() == [one.tail_share for one in audit.reach_]
    assert reach["channel"].null_count() == 12
    assert np.isnan(reach["level"].to_numpy()).sum() == 5
    with pytest.raises(ValueError, match="`backend` must be"):
        audit.to_frame("excel")


def test_the_picture_has_words_and_draws_what_was_measured(audit):
    axes = Figure(figsize=(11, 5)).subplots(1, 2)
    assert list(audit.plot(axes)) == list(axes)
    left, right = axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == [one.name for one in audit.channels_]
    widths = np.array([bar.get_width() for bar in left.patches]).reshape(3, -1)
    np.testing.assert_allclose(widths[0], [one.spearman for one in audit.channels_])
    shares = [one.variance_share for one in audit.channels_]
    np.testing.assert_allclose(widths[1], shares)
    personal = [one.variance_share_personal for one in audit.channels_]
    np.testing.assert_allclose(widths[1] + widths[2], personal)
    assert left.get_xlabel()
    assert right.get_xlabel().startswith("Share of NDCG@10 kept")
    assert right.get_ylabel().startswith("Share of tail items")
    legend = [text.get_text() for text in right.get_legend().get_texts()]
    assert "NormTemperingReranker (item length)" in legend
    assert "PopularityPenaltyReranker (yardstick)" in legend
    assert legend[-1] == "host"
    lines = {line.get_label(): line for line in right.get_lines()}
    for name, curve in audit.curves_.items():
        (line,) = [one for label, one in lines.items() if label.startswith(name)]
        points = set(zip(curve.kept, curve.tail_share, strict=True))
        drawn = line.get_xydata()
        assert {tuple(point) for point in drawn} <= points
        able = curve.tail_share >= audit.tail_share_
        assert drawn[0, 0] == curve.kept[able].max()
        assert (np.diff(drawn[:, 0]) <= 0).all()
        assert (np.diff(drawn[:, 1]) > 0).all()


def test_a_new_figure_is_made_where_none_is_given(audit, opened):
    axes = audit.plot()
    assert opened() == 1
    assert len(axes) == 2
    with pytest.raises(ValueError, match="`ax` must be an array of 2 Axes"):
        audit.plot(Figure().subplots())


def test_it_is_an_estimator_and_no_recommender(audit, host, split):
    fresh = clone(audit)
    assert fresh.get_params()["recommender"] is host
    assert not hasattr(fresh, "recommend")
    assert str(fresh) == repr(fresh)
    with pytest.raises(NotFittedError):
        fresh.plot()
    with pytest.raises(NotFittedError):
        fresh.to_frame()
    copy = pickle.loads(pickle.dumps(audit))
    assert str(copy) == str(audit)
    assert copy.reach_ == audit.reach_
