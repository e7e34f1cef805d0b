"""Every rule against its formula in plain numpy, and what all of them promise."""

import copy

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.decomposition import NMF, TruncatedSVD
from sklearn.frozen import FrozenEstimator

from skpopsteer import as_recommender
from skpopsteer.rerankers import (
    InversePopularityReranker,
    ItemBiasReranker,
    NormTemperingReranker,
    PopularityPenaltyReranker,
    SpreadTemperingReranker,
)
from skpopsteer.rerankers._score_rule import log_sizes, powers
from tests.hosts import HOSTS

IDS = np.arange(5)
#: Popularity 5, 4, 3, 2, 1 and 0.
X = csr_array(np.tri(5, 6)[::-1])
POPULARITY = np.array([5, 4, 3, 2, 1, 0.0])
U = np.array([[1, 0, 2], [0, 1, -1], [2, 1, 0], [-1, 1, 1], [0, 0, 1.0]])
V = np.array([[3, 0, 4], [0, 2, 0], [1, 2, 2], [1, 0, 0], [0, 0, 0], [0, 3, 4.0]])
BIAS = np.array([0.5, 0.25, 0, 0, -1, -0.125])
SCORES = U @ V.T + BIAS


def host(*, bias=True):
    return as_recommender((U, V, BIAS) if bias else (U, V))


def tempered(scores, sizes, t):
    """Divide by powers; what is 0 counts like the least of the others."""
    sizes = np.where(sizes > 0, sizes, sizes[sizes > 0].min())
    return scores / sizes**t


def centred(scores, t):
    return tempered(scores - t * SCORES.mean(axis=0), SCORES.std(axis=0), t)


def from_lowest(scores, gain):
    lowest = scores.min(axis=1, keepdims=True)
    return lowest + (scores - lowest) * gain


GOLDEN = {
    "penalty": (
        PopularityPenaltyReranker,
        {},
        lambda s, t: s - t * np.log([5, 4, 3, 2, 1, 1]),
    ),
    "norm": (
        NormTemperingReranker,
        {},
        lambda s, t: s / np.array([5, 2, 3, 1, 1, 5.0]) ** t,
    ),
    "spread": (
        SpreadTemperingReranker,
        {},
        lambda s, t: tempered(s, SCORES.std(axis=0), t),
    ),
    "centred spread": (SpreadTemperingReranker, {"center": True}, centred),
    "bias": (ItemBiasReranker, {}, lambda s, t: s - t * BIAS),
    "boost": (
        InversePopularityReranker,
        {},
        lambda s, t: from_lowest(s, 1 + t * (1 - POPULARITY / 5)),
    ),
    "division": (
        InversePopularityReranker,
        {"form": "division"},
        lambda s, t: from_lowest(s, 1 / (1 + t * POPULARITY / 5)),
    ),
    "power": (
        InversePopularityReranker,
        {"form": "power"},
        lambda s, t: from_lowest(s, np.array([5, 4, 3, 2, 1, 1.0]) ** -t),
    ),
    "published boost": (
        InversePopularityReranker,
        {"from_lowest": False},
        lambda s, t: s * (1 + t * (1 - POPULARITY / 5)),
    ),
    "published division": (
        InversePopularityReranker,
        {"form": "division", "from_lowest": False},
        lambda s, t: s / (1 + t * POPULARITY / 5),
    ),
    "published power": (
        InversePopularityReranker,
        {"form": "power", "from_lowest": False},
        lambda s, t: s / np.array([5, 4, 3, 2, 1, 1.0]) ** t,
    ),
}


def fitted(name, recommender=None, **params):
    kind, own, _ = GOLDEN[name]
    model = kind(recommender or host(), **{**own, **params})
    return model.fit(X, user_ids=IDS)


@pytest.fixture(params=GOLDEN)
def rule(request):
    return request.param


def ranked(scores):
    """Return all items, best first."""
    return np.argsort(-scores, axis=1, kind="stable")


@pytest.mark.parametrize("t", [0.5, 1.0, 2.0])
def test_scores_are_those_of_the_formula(rule, t):
    model = fitted(rule, strength=t)
    expected = GOLDEN[rule][2](SCORES, t)
    np.testing.assert_allclose(
        model.decision_function(X, user_ids=IDS), expected, rtol=1e-5, atol=1e-5
    )
    ids, values = model.recommend(
        X, 6, exclude_seen=False, user_ids=IDS, return_scores=True
    )
    np.testing.assert_allclose(
        values, -np.sort(-expected, axis=1), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        np.take_along_axis(expected, ids, axis=1), values, rtol=1e-5, atol=1e-5
    )


def test_strength_0_is_the_host_to_the_last_bit(rule):
    own = host().decision_function(X, user_ids=IDS)
    model = fitted(rule, strength=0)
    assert np.array_equal(model.decision_function(X, user_ids=IDS), own)
    pooled = fitted(rule, pool_size=6).recommend(
        X, 6, exclude_seen=False, user_ids=IDS, strength=0, return_scores=True
    )
    plain = host().recommend(X, 6, exclude_seen=False, user_ids=IDS, return_scores=True)
    assert np.array_equal(pooled[0], plain[0])
    assert np.array_equal(pooled[1], plain[1])


def test_a_strength_per_user_is_that_users_own(rule):
    factors = np.array([0, 0.5, 1, 2, -1.0])
    model = fitted(rule, strength=0.5, user_strength=lambda X: factors)
    scores = model.decision_function(X, user_ids=IDS)
    plain = fitted(rule)
    for row, factor in enumerate(factors):
        alone = copy.copy(plain).set_params(strength=0.5 * factor)
        np.testing.assert_allclose(
            scores[row], alone.decision_function(X, user_ids=IDS)[row], rtol=1e-5
        )


def test_niche_histories_are_turned_further_by_their_profile(rule):
    log = np.log(np.maximum(POPULARITY, 1))
    taste = np.array([log.max() - log[row > 0].mean() for row in X.toarray()])
    profile = fitted(rule, strength=0.7, user_strength="profile")
    by_hand = fitted(rule, strength=0.7, user_strength=lambda _: taste / taste.mean())
    np.testing.assert_allclose(
        profile.decision_function(X, user_ids=IDS),
        by_hand.decision_function(X, user_ids=IDS),
        rtol=1e-5,
    )
    assert not np.allclose(
        profile.decision_function(X, user_ids=IDS),
        fitted(rule, strength=0.7).decision_function(X, user_ids=IDS),
    )


def test_the_hosts_first_items_stay(rule):
    kept = fitted(rule, strength=3.0, keep_top=2)
    free = fitted(rule, strength=3.0)
    every = {"exclude_seen": False, "user_ids": IDS}
    own = host().recommend(X, 6, **every)
    for ids, top, rest in zip(
        kept.recommend(X, 6, **every), own, free.recommend(X, 6, **every), strict=True
    ):
        assert ids[:2].tolist() == top[:2].tolist()
        assert ids[2:].tolist() == [item for item in rest if item not in top[:2]]


@pytest.mark.parametrize("t", [1e3, -1e3, 2e4, -2e4])
def test_scores_stay_finite_at_any_strength(rule, t):
    for factors in (None, lambda X: np.array([0, 0.5, 1, 2, -1.0])):
        model = fitted(rule, strength=t, user_strength=factors)
        assert np.isfinite(model.decision_function(X, user_ids=IDS)).all()


@pytest.mark.parametrize("t", [25, 60, 1e4, 1e6])
def test_the_far_end_of_a_power_is_its_limit(t):
    """Shorter items first, though a power of a length fits into no number."""
    V = np.array([[1e-3], [2e-3], [1.0], [3e-3], [50.0]])
    host = as_recommender((np.ones((1, 1)), V))
    model = NormTemperingReranker(host).fit(np.ones((1, 5)))
    row = np.zeros((1, 5))
    for sign, expected in [(1, [0, 1, 3, 2, 4]), (-1, [4, 2, 3, 1, 0])]:
        ids, values = model.recommend(
            row, 5, strength=sign * t, user_ids=[0], return_scores=True
        )
        assert ids.tolist() == [expected]
        assert np.isfinite(values).all()


def test_powers_are_multiplied_by_one_number_at_the_most():
    logs = np.log(np.array([0.5, 1, 4.0])).astype(np.float32)
    np.testing.assert_allclose(powers(logs, slice(None), 3.0), [8, 1, 4**-3], rtol=1e-6)
    t = np.array([[2.0], [-40.0]], dtype=np.float32)
    items = np.array([[2, 0], [1, 2]])
    first, second = powers(logs, items, t)
    np.testing.assert_allclose(first, [4**-2, 4], rtol=1e-6)
    # 4 ** 40 is exp(55.5): exp(40) stands for it, and all are divided alike.
    np.testing.assert_allclose(np.log(second), [40 - 40 * np.log(4), 40], rtol=1e-5)
    # 64 ** -20 is exp(-83.2): exp(-80) stands for it.
    logs = np.log(np.array([1, 64.0])).astype(np.float32)
    raised = powers(logs, slice(None), 20.0)
    np.testing.assert_allclose(np.log(raised), [20 * np.log(64) - 80, -80], rtol=1e-5)


def test_powers_stop_where_they_differ_by_a_factor_that_leaves_no_digits():
    logs = np.log(np.array([0.5, 1, 4.0])).astype(np.float32)
    farthest = 120 / np.log(8)
    for t in (farthest, 1e3, 1e9):
        np.testing.assert_allclose(
            np.log(powers(logs, slice(None), t)),
            [40, 40 - farthest * np.log(2), -80],
            rtol=1e-5,
        )
    alike = powers(np.full(3, 2.0, dtype=np.float32), slice(None), 1e6)
    assert alike.dtype == np.float32
    assert (alike == alike[0]).all()
    np.testing.assert_allclose(np.log(alike), -80, rtol=1e-5)


def test_what_is_nothing_counts_like_the_least():
    logs = log_sizes(np.array([0, 2, 8, 1e-9]))
    assert logs.dtype == np.float32
    np.testing.assert_allclose(np.exp(logs), [2, 2, 8, 2], rtol=1e-6)
    assert log_sizes(np.zeros(3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "bias"),
    [
        (name, bias)
        for name in ("norm", "spread", "centred spread", "published power", "penalty")
        for bias in (False, True)
    ]
    + [("bias", True)],
)
def test_vectors_are_exported_with_their_scores(name, bias):
    model = fitted(name, host(bias=bias), strength=0.8)
    vectors = model.export_embeddings(X, user_ids=IDS)
    scores = vectors.user_embeddings @ vectors.item_embeddings.T
    if vectors.item_bias is not None:
        scores += vectors.item_bias
    np.testing.assert_allclose(
        scores, model.decision_function(X, user_ids=IDS), atol=1e-5
    )


def test_a_bias_beyond_float32_is_not_exported():
    short = as_recommender((U, np.float32(V * 1e-6), np.float32(BIAS * 1e27)))
    model = fitted("norm", short, strength=2.0)
    with pytest.raises(ValueError, match=r"^`strength` must leave scores that float32"):
        model.export_embeddings(X, user_ids=IDS)


def test_what_vectors_cannot_tell_is_not_exported():
    for params, name in [
        ({"user_strength": "profile"}, "user_strength"),
        ({"pool_size": 3}, "pool_size"),
        ({"keep_top": 1}, "keep_top"),
    ]:
        with pytest.raises(ValueError, match=f"^`{name}` must be (None|0) to export"):
            fitted("norm", **params).export_embeddings(X, user_ids=IDS)


def test_an_item_that_never_varies_counts_like_the_one_that_varies_least():
    model = fitted("spread", strength=1.0)
    deviations = SCORES.std(axis=0)
    assert deviations[4] == 0
    np.testing.assert_allclose(model.score_deviations_, deviations, atol=1e-6)
    scores = model.decision_function(X, user_ids=IDS)
    least = deviations[deviations > 0].min()
    # Scores are of float32.
    np.testing.assert_allclose(scores[:, 4], -1 / least, rtol=1e-6)
    standardised = fitted("centred spread", strength=1.0)
    scores = standardised.decision_function(X, user_ids=IDS)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scores.std(axis=0), [1, 1, 1, 1, 0, 1], atol=1e-6)


def test_norms_are_measured_and_that_of_an_empty_embedding_is_the_shortest():
    model = fitted("norm", host(bias=False), strength=1.0)
    assert model.item_norms_.tolist() == [5, 2, 3, 1, 0, 5]
    scores = model.decision_function(X, user_ids=IDS)
    assert (scores[:, 4] == 0).all()
    # At 1, as published: the length of the user times the cosine.
    np.testing.assert_allclose(scores[0, 0], (3 + 8) / 5)


@pytest.mark.parametrize("size", [1e-25, 1e20])
def test_norms_are_measured_whose_squares_float32_does_not_hold(size):
    model = fitted("norm", as_recommender((U, np.float32(V * size))))
    np.testing.assert_allclose(
        model.item_norms_, size * np.array([5, 2, 3, 1, 0, 5]), rtol=1e-6
    )


def test_the_bias_goes_at_1_and_changes_its_sign_at_2():
    scores = fitted("bias", strength=1.0).decision_function(X, user_ids=IDS)
    np.testing.assert_allclose(scores, U @ V.T, atol=1e-6)
    scores = fitted("bias", strength=2.0).decision_function(X, user_ids=IDS)
    np.testing.assert_allclose(scores, U @ V.T - BIAS, atol=1e-6)


@pytest.mark.parametrize("name", ["truncated_svd", "mult_vae"])
def test_a_host_without_a_bias_is_refused(name):
    host = HOSTS[name]()
    kind = type(host.recommender.estimator).__name__
    with pytest.raises(
        ValueError, match=rf"must have an item bias; got {kind} without"
    ):
        ItemBiasReranker(host.recommender).fit(host.X)


def test_what_has_no_embeddings_has_no_bias():
    penalty = fitted("penalty")
    with pytest.raises(
        ValueError, match="must have an item bias; got PopularityPenalt"
    ):
        ItemBiasReranker(penalty, pool_size=4).fit(X, user_ids=IDS)


def test_of_a_row_without_an_item_left_nothing_is_recommended(rule):
    every = csr_array(np.ones(X.shape))
    model = fitted(rule, strength=0.7, pool_size=3)
    lists = model.recommend(every, 4, user_ids=IDS)
    assert lists.tolist() == [[-1] * 4] * len(IDS)


class PadsWithZeros(FrozenEstimator):
    """A host of somebody else, whose scores of no items are 0."""

    def recommend(self, *args, **kwargs):
        items, scores = self.estimator.recommend(*args, **kwargs)
        return items, np.where(items < 0, np.float32(0), scores)


@pytest.mark.parametrize("name", ["penalty", "published boost", "boost", "power"])
def test_padding_is_no_item_whatever_its_score(name):
    low = as_recommender((U - 5, V))
    assert low.decision_function(X, user_ids=IDS).max() <= 0
    expected, lists = (
        fitted(name, one, strength=0.7, pool_size=6).recommend(X, 6, user_ids=IDS)
        for one in (low, PadsWithZeros(low))
    )
    assert (expected == -1).any()
    assert np.array_equal(lists, expected)


def test_where_equal_items_are_all_that_is_left_each_comes_once():
    alike = as_recommender((U, np.ones((6, 3))))
    row = csr_array([[1, 0, 1, 1, 0, 1]])
    # Of equal popularity, too.
    model = PopularityPenaltyReranker(alike, strength=0.7, pool_size=6)
    model.fit(X, user_ids=IDS, item_popularity=np.full(6, 3))
    assert model.recommend(row, 4, user_ids=[0]).tolist() == [[1, 4, -1, -1]]


@pytest.mark.parametrize("pool_size", [None, 20])
def test_a_host_without_embeddings_has_no_lengths(pool_size):
    network = HOSTS["mult_vae"]()
    with pytest.raises(
        ValueError, match=r"^`recommender` must score by inner .*; got TorchRecommend"
    ):
        NormTemperingReranker(network.recommender, pool_size=pool_size).fit(network.X)


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"strength": np.nan}, "The 'strength' parameter"),
        ({"strength": "much"}, "The 'strength' parameter"),
        ({"keep_top": -1}, "The 'keep_top' parameter"),
        ({"pool_size": 0}, "The 'pool_size' parameter"),
        ({"user_strength": "niche"}, "The 'user_strength' parameter"),
        ({"n_recommendations": 0}, "The 'n_recommendations' parameter"),
        ({"recommender": TruncatedSVD(2)}, "The 'recommender' parameter"),
    ],
)
def test_bad_parameters_are_named(rule, params, line):
    kind, own, _ = GOLDEN[rule]
    with pytest.raises(ValueError, match=line):
        kind(**{"recommender": host(), **own, **params}).fit(X)


@pytest.mark.parametrize(
    ("name", "params"),
    [("spread", {"center": "yes"}), ("boost", {"form": "log"}),
     ("boost", {"from_lowest": None})],
)  # fmt: skip
def test_bad_parameters_of_one_rule_are_named(name, params):
    (parameter,) = params
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter"):
        fitted(name, **params)


def test_users_are_checked_in_fit(rule):
    kind, own, _ = GOLDEN[rule]
    with pytest.raises(ValueError, match=r"^`user_ids` must name one user per row"):
        kind(host(), **own).fit(X, user_ids=[0, 1])


def test_the_caller_keeps_what_he_has(rule):
    tables = [a.copy() for a in (U, V, BIAS)]
    rows = X.copy()
    model = kept = as_recommender((U, V, BIAS))
    kind, own, _ = GOLDEN[rule]
    model = kind(kept, strength=2.0, **own).fit(rows, user_ids=IDS)
    model.recommend(rows, user_ids=IDS)
    model.decision_function(rows, user_ids=IDS)
    for now, before in zip((U, V, BIAS), tables, strict=True):
        assert np.array_equal(now, before)
    assert (rows != X).nnz == 0
    assert model.recommender is kept


@pytest.fixture(scope="module")
def nmf(interactions):
    """A host whose popular items are the long ones, as in ALS."""
    return as_recommender(NMF(8, random_state=0, max_iter=500).fit(interactions))


@pytest.mark.parametrize("name", [n for n in GOLDEN if n != "bias"])
def test_popularity_falls_as_the_strength_grows(name, nmf, interactions):
    kind, own, _ = GOLDEN[name]
    model = kind(nmf, **own).fit(interactions)
    popularity = model.item_popularity_
    values = [
        popularity[model.recommend(interactions, strength=t)].mean()
        for t in (-0.4, 0, 0.4, 0.8)
    ]
    assert (np.diff(values) < 0).all()


def test_popularity_falls_as_the_bias_goes():
    host = HOSTS["bpr"]()
    model = ItemBiasReranker(host.recommender).fit(host.X)
    ids = np.arange(host.X.shape[0])
    values = [
        model.item_popularity_[model.recommend(host.X, strength=t, user_ids=ids)].mean()
        for t in (-1, 0, 1, 2)
    ]
    assert (np.diff(values) < 0).all()
