"""The parts of a report agree with what they are made of, and say what is missing."""

import copy
import json
import pickle
import re

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError

from skpopsteer import (
    DecompositionRecommender,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    TorchRecommender,
    TunedSteeringCV,
    as_recommender,
    metrics,
)
from skpopsteer.inspection._equal_gain import overlaps
from skpopsteer.inspection._report import steering_report
from skpopsteer.inspection._report_frontier import judge
from skpopsteer.inspection._report_lists import HOST, REBUILT, STEERED
from skpopsteer.inspection._report_strengths import find_strengths
from skpopsteer.model_selection import HeldOut
from skpopsteer.neurons import (
    ConceptNeuronSelector,
    NeuronSubset,
    NeuronUnion,
    PopularityNeuronSelector,
)
from skpopsteer.popularity import PopularityGroups, item_popularity

PENALTY = "log-popularity penalty"


def make(model, split, **given):
    return steering_report(model, *split, n_users=5, random_state=0, **given)


@pytest.fixture(scope="module")
def report(steered, split):
    return make(steered, split)


@pytest.fixture(scope="module")
def bare(steered, split):
    return make(steered, split[:1])


# Lists, as the model is set.


def test_figures_are_those_of_the_lists(report, steered, host, split):
    X, y = split
    popularity = item_popularity(X)
    labels = PopularityGroups().label(popularity)
    rebuilt = copy.copy(steered).set_params(reconstruction="replace")
    lists = {
        HOST: host.recommend(X),
        REBUILT: rebuilt.recommend(X, strength=0),
        STEERED: steered.recommend(X),
    }
    assert [one.name for one in report.lists] == list(lists)
    for one in report.lists:
        ids = lists[one.name]
        assert one.ndcg == metrics.ndcg(y, ids)
        assert one.recall == metrics.recall(y, ids)
        assert one.gini == metrics.gini(ids, 100)
        assert one.coverage == metrics.coverage(ids, 100)
        assert one.tail_coverage == metrics.tail_coverage(ids, labels)
        assert one.tail_share == metrics.tail_share(ids, labels)
        assert one.average_popularity == metrics.average_popularity(ids, popularity)
        assert one.same_as_host == overlaps(lists[HOST], ids).mean()
    assert report.lists[2].ndcg == steered.score(X, y)
    # Steering and rebuilding change something here, and not the same.
    assert len({one.gini for one in report.lists}) == 3


def test_lists_are_those_of_the_users_named(split):
    X, y = split
    rng = np.random.default_rng(0)
    tables = rng.normal(size=(300, 8)), rng.normal(size=(100, 8))
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(
        as_recommender(tables), rule="shift", probe=probe, random_state=0
    )
    ids = np.arange(200)[::-1] + 100
    report = make(model.fit(X, user_ids=ids), split, user_ids=ids)
    own = metrics.ndcg(y, model.recommender_.recommend(X, user_ids=ids))
    assert report.lists[0].ndcg == own
    assert report.comparison["ndcg"][0, 0] == pytest.approx(own)
    assert report.audit.accuracy_ == pytest.approx(own)
    assert "trained vectors" in report.to_markdown()


def test_thirds_make_up_all_users(report):
    for three in (report.costs[:3], report.costs[3:]):
        n = np.array([one.n_users for one in three])
        assert n.sum() == 200
        for name, whole in [("host_ndcg", report.lists[0]), ("ndcg", report.lists[2])]:
            means = [getattr(one, name) for one in three]
            assert np.average(means, weights=n) == pytest.approx(whole.ndcg)
    groups = [one.group for one in report.costs]
    assert groups == ["niche", "mixed", "popular", "light", "medium", "heavy"]


def test_users_without_held_out_items_pay_nothing(steered, split):
    X, y = split
    y = y.tolil()
    y[100:] = 0
    report = make(steered, (X, csr_array(y.tocsr())))
    assert sum(one.n_users for one in report.costs[:3]) == 100
    assert report.data["held_out_interactions"] == split[1][:100].nnz


# The other parts.


def test_parts_are_of_the_same_model(report, steered, split):
    assert report.audit.levers_["SteeredRecommender"] is steered
    assert report.audit.recommender_ is steered.recommender_
    assert report.comparison.names == ["host", STEERED, PENALTY]
    assert report.rivals == [PENALTY]
    assert len(report.explorer.cards) == 32
    assert report.data == {
        "users": 200, "items": 100, "interactions": split[0].nnz,
        "held_out_interactions": split[1].nnz, "users_of_the_audit": 200,
        "head_items": 20, "tail_items": 80,
    }  # fmt: skip


def test_health_is_that_of_the_probe(report, steered):
    (side,) = report.health
    probe, weights = steered.probe_, steered.selector_.steering_weights_
    assert (side.side, side.n_neurons, side.probe) == (
        "user", 32, "SparseAutoencoderProbe",
    )  # fmt: skip
    assert side.fvu == probe.fvu_
    assert side.l0 == probe.l0_
    assert side.n_dead == probe.dead_neurons_.sum()
    assert side.n_iter == 3
    assert side.activation == "topk, k=4"
    assert side.stability is None
    # Positive strength of a popularity selector turns popular neurons down.
    assert side.n_down == (weights > 0).sum()
    assert side.n_up == (weights < 0).sum()
    down = [one for one in side.neurons if one.turned < 0]
    up = [one for one in side.neurons if one.turned > 0]
    popular = np.argsort(-weights, kind="stable")[:5]
    assert [one.neuron for one in down] == popular.tolist()
    assert [one.turned for one in up] == np.sort(-weights)[::-1][:5].tolist()
    assert down[0].score == steered.selector_.scores_.max()


def test_stability_is_the_mean_of_living_neurons(split, host):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, n_init=2, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(
        split[0]
    )
    (side,) = make(model, split[:1]).health
    alive = ~model.probe_.dead_neurons_
    assert side.stability == pytest.approx(model.probe_.stability_[alive].mean())


def test_both_sides_are_examined(split, host):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, probe=probe, side="both", random_state=0)
    report = make(model.fit(split[0]), split[:1])
    assert [side.side for side in report.health] == ["user", "item"]
    assert "Autoencoder of items" in report.to_markdown()


def test_a_penalty_on_items_is_reported(split, host):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, probe=probe, random_state=0)
    report = make(model.fit(split[0]), split)
    assert [side.side for side in report.health] == ["item"]
    assert "(rule offset)" in report.to_markdown()
    # An offset goes by no autoencoder of users: nothing is lost there.
    assert report.lists[1].same_as_host == 1
    assert report.lists[2].same_as_host < 1
    (side,) = report.health
    tops = report.explorer.cards[side.neurons[0].neuron].top_items
    assert tops[0].name in report.to_markdown()


def test_a_host_that_decodes_with_layers_is_reported(split, host):
    V = torch.tensor(np.array(host.item_embeddings_))
    bent = TorchRecommender(
        torch.nn.Linear(1, 1),
        encoder=lambda module, rows: rows @ V,
        decoder=lambda module, U: torch.tanh(U @ V.T),
        n_items=len(V),
    )
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(
        as_recommender(bent), rule="shift", probe=probe, random_state=0
    )
    report = make(model.fit(split[0]), split)
    assert report.settings["host"] == "TorchRecommender (Linear)"
    assert [one.name for one in report.audit.channels_] == ["neurons", "mean score"]
    assert report.comparison.names == ["host", STEERED, PENALTY]


def test_a_probe_that_says_nothing_of_itself(split, host):
    model = SteeredRecommender(
        host, rule="shift", probe=TruncatedSVD(6, random_state=0)
    )
    report = make(model.fit(split[0]), split[:1])
    (side,) = report.health
    assert side.n_neurons == 6
    assert {side.fvu, side.l0, side.n_dead, side.activation, side.n_iter} == {None}
    assert {one.dead for one in side.neurons} == {None}
    assert report.to_markdown().count("| not known |") == 6


def test_several_knobs_are_named(split, host):
    genres = np.eye(4)[np.arange(100) % 4]
    union = NeuronUnion(
        [("popular", PopularityNeuronSelector()), ("a", ConceptNeuronSelector("a"))],
        strengths={"popular": -0.5, "a": 2.0},
    )
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, probe=probe, selector=union, random_state=0)
    model.fit(split[0], item_features=(genres, ["a", "b", "c", "d"]))
    (side,) = make(model, split[:1]).health
    assert "popular (PopularityNeuronSelector, -0.5)" in side.selector
    assert "a (ConceptNeuronSelector, 2)" in side.selector
    turned = model.selector_.steering_weights_
    assert side.n_down == (turned < 0).sum()
    assert {one.score for one in side.neurons} == {None}


# Levels, rivals, strengths.


def test_rivals_are_compared_at_their_strengths(steered, penalty, host, split):
    keep = PopularityPenaltyReranker(host, keep_top=3).fit(split[0])
    rivals = {"a | b": (penalty, [0.05, 0.1]), 3: [(keep, [0.1])], "fixed": penalty}
    report = make(steered, split, rivals=rivals, strengths=[0.5, 2.0])
    assert report.rivals == ["a | b", "3", "fixed"]
    assert report.searched == []
    used = {
        strength
        for setting in report.comparison.settings
        for pair in setting
        if pair
        for strength in [pair[1]]
    }
    assert used <= {0.5, 2.0, 0.05, 0.1, None}
    assert "were looked for" not in report.to_markdown()


def test_a_verdict_is_the_rivals_turned_round(report):
    opposite = {"better": "worse", "worse": "better"}
    mine = judge(report.comparison, STEERED, PENALTY)
    theirs = judge(report.comparison, PENALTY, STEERED)
    assert {"better", "worse"} & {cell["verdict"] for cell in mine}
    for one, other in zip(mine, theirs, strict=True):
        assert other["verdict"] == opposite.get(one["verdict"], one["verdict"])
        assert other["difference"] == -one["difference"]


def test_a_verdict_goes_by_the_adjusted_interval(report):
    signs = {"gini": -1}
    cells = judge(report.comparison, STEERED, PENALTY)
    assert len(cells) == 25
    for cell in cells:
        found = report.comparison.difference(STEERED, PENALTY)[cell["level"]]
        one = found[cell["measure"]]
        gain = signs.get(cell["measure"], 1) * one.value
        if cell["verdict"] == "better":
            assert gain > 0
            assert one.p_adjusted < 0.05
        elif cell["verdict"] == "worse":
            assert gain < 0
            assert one.p_adjusted < 0.05
        elif cell["verdict"] == "the same":
            assert one.value == one.low == one.high == 0
        else:
            assert one.p_adjusted >= 0.05


def test_a_model_is_the_same_as_itself(steered, split):
    report = make(steered, split, rivals={"twin": (steered, [1.0])}, strengths=[1.0])
    cells = judge(report.comparison, STEERED, "twin")
    assert {cell["verdict"] for cell in cells} == {"the same"}
    summary = str(report)
    assert "better in 0, worse in 0 and the same in 25 of 25 cells" in summary


def test_the_summary_counts_losses_like_wins(report):
    verdicts = [cell["verdict"] for cell in judge(report.comparison, STEERED, PENALTY)]
    text = str(report)
    for verdict in ("better", "worse"):
        assert f"{verdict} in {verdicts.count(verdict)}" in text


@pytest.mark.parametrize("first", [0.01, 0.2, 30.0])
def test_strengths_cover_all_levels(penalty, split, first):
    X, y = split
    found = find_strengths(penalty, X, y, None, 0.8, first)
    own = metrics.ndcg(y, penalty.recommender_.recommend(X))
    kept = [metrics.ndcg(y, penalty.recommend(X, strength=s)) / own for s in found]
    assert found == sorted(found)
    assert found[0] > 0
    assert kept[0] >= 0.995
    # Just beyond the margin below the lowest level, and no waste behind that.
    assert 0.6 < kept[-1] < 0.75
    assert np.diff([1.0, *kept]).min() > -0.1
    assert 16 <= len(found) <= 40


def test_strengths_keep_the_sign_of_the_first(penalty, split):
    found = find_strengths(penalty, *split, None, 0.8, -0.01)
    assert max(found) < 0
    assert found == sorted(found, reverse=True)


def test_strengths_of_a_knob_that_moves_nothing(host, split):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, probe=probe, selector=NeuronSubset([]))
    report = make(model.fit(split[0]), split)
    assert report.lists[2].same_as_host == 1
    cells = report.comparison
    assert (cells["gini"][:, 1] == cells["gini"][0, 0]).all()


# What is missing is said.


def test_without_held_out_items(bare):
    assert bare.comparison is None
    assert bare.costs == []
    assert [one.ndcg for one in bare.lists] == [None] * 3
    assert bare.data["held_out_interactions"] is None
    assert bare.audit.kept_name_ == "the host's lists"
    markdown = bare.to_markdown()
    assert "Left out: Nothing was held out" in markdown
    assert "pass \\`y\\`" in markdown
    assert not re.search("NDCG|recall", markdown)
    assert json.loads(bare.to_json())["frontier"] is None


@pytest.mark.parametrize("given", [{"rivals": {}}, {"strengths": [1.0]}])
def test_methods_cannot_be_compared_without_held_out_items(steered, split, given):
    with pytest.raises(ValueError, match=f"`{next(iter(given))}` must be None without"):
        make(steered, split[:1], **given)


def test_a_poor_autoencoder_is_said(split, host):
    probe = SparseAutoencoderProbe(32, k=1, max_iter=1, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(
        split[0]
    )
    report = make(model, split)
    assert report.lists[1].ndcg < 0.95 * report.lists[0].ndcg
    assert "With nothing turned the autoencoder keeps" in str(report)


def test_dead_neurons_are_said(split, host):
    probe = SparseAutoencoderProbe(512, k=1, max_iter=1, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(
        split[0]
    )
    assert model.probe_.dead_neurons_.mean() > 0.05
    assert "of the neurons of users never fire, more than 5 %" in str(
        make(model, split[:1])
    )


# Input.


def test_forms_of_held_out_items(steered, split, report):
    assert make(steered, (split[0], HeldOut(split[1]))).to_json() == report.to_json()
    last = np.array([row.indices[-1] if row.nnz else -1 for row in split[1]])
    one_each = make(steered, (split[0], last))
    assert one_each.data["held_out_interactions"] == (last >= 0).sum()
    assert one_each.lists[0].ndcg == metrics.ndcg(last, steered.recommender_.recommend(
        split[0]
    ))  # fmt: skip


def test_containers_make_no_difference(steered, split, report, container):
    X, y = map(container, split)
    assert make(steered, (X, y)).to_json() == report.to_json()


def test_seeds_are_kept_and_the_callers_left_alone(steered, split, report):
    X, y = (part.copy() for part in split)
    before = pickle.dumps(steered)
    again = steering_report(steered, X, y, n_users=5, random_state=0)
    assert again.to_json() == report.to_json()
    assert again.to_html() == report.to_html()
    assert again.to_markdown() == report.to_markdown()
    assert pickle.dumps(steered) == before
    assert abs(X - split[0]).nnz == abs(y - split[1]).nnz == 0
    other = steering_report(steered, X, y, n_users=5, random_state=1)
    assert other.to_json() != report.to_json()


def test_a_search_is_reported_by_what_it_found(host, split, steered):
    search = TunedSteeringCV(steered, within=0.1, random_state=0)
    search.fit(*split)
    report = make(search, split[:1])
    assert report.model is search.best_estimator_


def test_a_host_that_was_trained_here_is_not_trained_again(split):
    X, _ = split
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    untrained = DecompositionRecommender(TruncatedSVD(8, random_state=0))
    model = SteeredRecommender(
        untrained, rule="shift", probe=probe, random_state=0
    ).fit(X)
    items, lists = model.recommender_.item_embeddings_.copy(), model.recommend(X)
    report = make(model, split)
    assert (report.model.recommend(X) == lists).all()
    assert (model.recommender_.item_embeddings_ == items).all()
    assert report.audit.recommender_.estimator is model.recommender_


def test_bad_input(steered, penalty, host, split):
    with pytest.raises(TypeError, match="`model` must be a fitted SteeredRecommender"):
        make(penalty, split)
    with pytest.raises(NotFittedError):
        make(SteeredRecommender(host, rule="shift"), split)
    for rivals in ({}, [penalty]):
        with pytest.raises(ValueError, match="`rivals` must be a dict of names"):
            make(steered, split, rivals=rivals)
    with pytest.raises(ValueError, match="`rivals` must have names of their own"):
        make(steered, split, rivals={"steered": penalty})
    with pytest.raises(ValueError, match="`user_ids` must name one user per row"):
        make(steered, split, user_ids=[0])
    with pytest.raises(ValueError, match="`X`"):
        steering_report(steered, split[0] * np.nan)
