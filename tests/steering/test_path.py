"""The path is what separate calls give, for one encoding of the rows."""

import numpy as np
import pytest

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
    steering_path,
)
from skpopsteer.metrics import gini, ndcg
from skpopsteer.model_selection import HeldOut
from skpopsteer.sae._weights import SparseWeights

STRENGTHS = [0.0, 0.25, 1.0]


@pytest.fixture(scope="module", params=["penalty", "user", "both", "profile"])
def model(request, host, split):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    made = {
        "penalty": PopularityPenaltyReranker(host, keep_top=2),
        "user": SteeredRecommender(host, rule="shift", probe=probe, random_state=0),
        "both": SteeredRecommender(host, probe=probe, side="both", random_state=0),
        "profile": SteeredRecommender(
            host, rule="shift", probe=probe, user_strength="profile", random_state=0
        ),
    }
    return made[request.param].fit(split[0])


def test_every_point_is_a_call_of_recommend(model, split):
    X, y = split
    path = steering_path(model, X, y, STRENGTHS, scoring=["ndcg@5", "neg_gini"])
    for i, strength in enumerate(STRENGTHS):
        ids = model.recommend(X, strength=strength)
        assert path.scores["ndcg@5"][i] == pytest.approx(ndcg(y, ids, k=5))
        assert path.scores["neg_gini"][i] == pytest.approx(-gini(ids, 100))
    assert path.strengths.tolist() == STRENGTHS
    assert len(set(path.scores["neg_gini"])) > 1


def test_the_host_encodes_once(model, split, monkeypatch):
    calls = []
    adapter = type(model.recommender_.estimator)
    encode = adapter.encode_users

    def counting(self, X, user_ids=None):
        calls.append(X.shape)
        return encode(self, X, user_ids)

    monkeypatch.setattr(adapter, "encode_users", counting)
    steering_path(model, *split, STRENGTHS)
    assert calls == [(200, 100)]


def test_held_out_views_and_trained_users_are_taken(split):
    X, y = split
    U, V = np.random.default_rng(0).normal(size=(2, 200, 4))
    ids = np.arange(200)
    model = PopularityPenaltyReranker(as_recommender((U, V[:100]))).fit(X)
    path = steering_path(model, X, HeldOut(y), [0.1], user_ids=ids)
    expected = ndcg(y, model.recommend(X, strength=0.1, user_ids=ids))
    assert path.scores["ndcg"][0] == pytest.approx(expected)


def test_a_model_without_a_strength_is_refused(host, split):
    with pytest.raises(TypeError, match="`model` must be a fitted recommender with a"):
        steering_path(host, *split, STRENGTHS)


def test_a_strength_that_is_no_number_is_refused(model, split):
    with pytest.raises(ValueError, match="`strength` must be a finite number"):
        steering_path(model, *split, [0.0, np.nan])


def test_the_autoencoder_encodes_a_row_once_for_all_strengths(host, split, monkeypatch):
    X, _ = split
    probe = SparseAutoencoderProbe(32, k=4, max_iter=2, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(X)
    strengths = [0.0, 0.5, 1.0, 2.0]
    apart = [model.recommend(X, strength=s) for s in strengths]
    encoded = []
    encode = SparseWeights.pre_activations

    def counting(self, rows):
        encoded.append(len(rows))
        return encode(self, rows)

    monkeypatch.setattr(SparseWeights, "pre_activations", counting)
    monkeypatch.setattr("skpopsteer._spans.SPAN_ROWS", 70)
    np.testing.assert_array_equal(model._path(X, strengths, 10), apart)
    assert encoded == [70, 70, 60]
    encoded.clear()
    lists_at = model._lister(X, 10)
    for strength, lists in zip(strengths, apart, strict=True):
        np.testing.assert_array_equal(lists_at(strength), lists)
    assert encoded == [200]
    # What would fill the memory is encoded again, block by block.
    for bound in ("_BLOCK_ACTIVATIONS", "_BLOCK_SHIFTED"):
        monkeypatch.setattr(f"skpopsteer.steering._side.{bound}", 50 * 32)
    np.testing.assert_array_equal(model._path(X, strengths, 10), apart)
    assert encoded[1:4] == [50, 20, 50]


def test_lists_are_as_long_as_the_measures_ask(model, split):
    X, y = split
    path = steering_path(model, X, y, [0.5], scoring=["ndcg@15", "ndcg@5"])
    ids = model.recommend(X, 15, strength=0.5)
    assert path.scores["ndcg@15"][0] == pytest.approx(ndcg(y, ids, k=15))


def test_one_measure_may_be_named_alone(model, split):
    X, y = split
    alone = steering_path(model, X, y, [0.0, 1.0], scoring="ndcg@5")
    listed = steering_path(model, X, y, [0.0, 1.0], scoring=["ndcg@5"])
    assert list(alone.scores) == ["ndcg@5"]
    np.testing.assert_array_equal(alone.scores["ndcg@5"], listed.scores["ndcg@5"])


@pytest.mark.parametrize(
    ("strengths", "line"),
    [
        ([[0.0], [0.0, 1.0]], "`strengths` must be an array; got rows of unequal"),
        (["a"], "`strengths` must be numbers; got dtype <U1. Pass a list such as"),
    ],
)
def test_strengths_that_are_no_numbers_are_refused(model, split, strengths, line):
    with pytest.raises((ValueError, TypeError), match=f"^{line}"):
        steering_path(model, *split, strengths)
