"""What every recommender shares, and what stays of the host's lists."""

import copy
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from skpopsteer import (
    PopularityPenaltyReranker,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.base import RecommenderMixin
from skpopsteer.metrics import ndcg
from tests.hosts import HOSTS, N_ITEMS, N_USERS

K = 10
POST_HOC = {
    "penalty": lambda host, **params: PopularityPenaltyReranker(host, **params),
    "steered": lambda host, **params: SteeredRecommender(
        host, probe=PCA(4), random_state=0, **({"rule": "shift"} | params)
    ),
}


@pytest.fixture
def host():
    return HOSTS["truncated_svd"]()


@pytest.fixture(params=POST_HOC)
def post_hoc(request, host):
    """Rerank so hard that few of the host's items would stay by themselves."""
    return POST_HOC[request.param](host.recommender, strength=2.0).fit(host.X)


class _Fixed(RecommenderMixin, BaseEstimator):
    """Gives one row of scores to everybody."""

    def __init__(self, scores, n_recommendations=3):
        self.scores = scores
        self.n_recommendations = n_recommendations

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def _encode(self, X, user_ids):
        return np.zeros((X.shape[0], 1), dtype=np.float32)

    def _score_into(self, out, encoded, X, turned):
        out[:] = self.scores


def test_two_hooks_make_a_recommender():
    X = np.array([[0, 0, 0, 1], [0, 0, 0, 0]])
    model = _Fixed([1.0, 5.0, 3.0, 5.0]).fit(X)
    assert model.predict(X).tolist() == [[1, 2, 0], [1, 3, 2]]
    assert model.decision_function(X).tolist() == [[1, 5, 3, 5]] * 2
    ids, scores = model.recommend(X, 4, return_scores=True)
    assert ids.tolist() == [[1, 2, 0, -1], [1, 3, 2, 0]]
    assert scores[0].tolist() == [5, 3, 1, -np.inf]


def test_candidates_exclude_and_seen_hold_together():
    X = np.array([[1, 0, 0, 0, 0]])
    model = _Fixed([9.0, 8.0, 7.0, 6.0, 5.0]).fit(X)
    ids = model.recommend(X, candidates=[0, 1, 4, 2], exclude=[[1, -1]])
    assert ids.tolist() == [[2, 4, -1]]
    everything = model.recommend(X, exclude_seen=False, exclude=[])
    assert everything.tolist() == [[0, 1, 2]]
    assert model.recommend(X, candidates=[]).tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize("n_recommendations", [0, -1, 2.0, "3", True, np.nan, [5]])
def test_length_of_lists_must_be_a_positive_integer(host, n_recommendations):
    message = r"^`n_recommendations` must be an integer >= 1; got "
    with pytest.raises(ValueError, match=message):
        host.recommender.recommend(host.X, n_recommendations)


def test_length_of_lists_may_be_of_any_integer_type(host, post_hoc):
    for model in [host.recommender, post_hoc]:
        assert model.recommend(host.X).shape == (N_USERS, K)
        assert model.recommend(host.X, np.int32(3)).shape == (N_USERS, 3)


@pytest.mark.parametrize("name", ["candidates", "exclude"])
@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([N_ITEMS], "hold item positions 0 to 99; got 100"),
        ([3, -2], "hold item positions 0 to 99; got -2"),
        ([[0], [N_ITEMS], [1]], "hold item positions 0 to 99; got 100"),
        ([0.5], "hold integer item positions; got dtype float64"),
        (np.ones(N_ITEMS, dtype=bool), "hold integer item positions; got dtype bool"),
        ([[1], [2]], r"hold one list per row of `X` \(3\); got 2"),
        (csr_array((2, N_ITEMS)), r"have the shape of `X`, \(3, 100\); got \(2, 100\)"),
        (csr_array((3, 99)), r"have the shape of `X`, \(3, 100\); got \(3, 99\)"),
    ],
)
def test_bad_lists_of_items_give_one_clear_line(host, name, lists, message):
    with pytest.raises(ValueError, match=f"^`{name}` must {message}"):
        host.recommender.recommend(host.X[:3], **{name: lists})


@pytest.mark.parametrize("n_bad", [1, N_ITEMS])
def test_scores_that_are_no_numbers_give_one_clear_line(host, n_bad):
    scores = np.ones(N_ITEMS)
    scores[:n_bad] = np.nan
    with pytest.raises(
        ValueError, match=r"^`recommender` must give scores that are numbers; got NaN"
    ):
        _Fixed(scores).fit(host.X).recommend(host.X)


def test_an_unfitted_recommender_says_so(host):
    for make in [*POST_HOC.values(), _Fixed]:
        with pytest.raises(NotFittedError, match="instance is not fitted yet"):
            make(host.recommender).predict(host.X)


@pytest.mark.parametrize("make", POST_HOC.values(), ids=POST_HOC)
@pytest.mark.parametrize("table", ["user_factors", "item_factors"])
def test_a_diverged_host_gives_one_clear_line(make, table):
    host = HOSTS["bpr"]()
    diverged = copy.deepcopy(host.model)
    getattr(diverged, table)[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"^`\w+` must [^\n]*it may have diverged"):
        make(as_recommender(diverged), keep_top=1).fit(host.X).predict(host.X)


def test_score_is_ndcg_of_the_predicted_lists(host, post_hoc):
    drawn = np.random.default_rng(0).random(host.X.shape) * (host.X.toarray() == 0)
    y = csr_array(drawn > 0.9)
    for model in [host.recommender, post_hoc]:
        expected = ndcg(y, model.predict(host.X))
        assert 0 < expected < 1
        assert model.score(host.X, y) == expected
    last = np.argmax(drawn, axis=1)
    assert host.recommender.score(host.X, last) == ndcg(
        last, host.recommender.predict(host.X)
    )


def test_recommenders_take_sparse_rows_and_no_negative_ones(post_hoc):
    tags = get_tags(post_hoc)
    assert tags.input_tags.sparse
    assert tags.input_tags.positive_only
    assert not tags.target_tags.required


def test_strength_0_gives_the_lists_and_scores_of_the_host(host, post_hoc):
    for params in [{}, {"exclude_seen": False}, {"candidates": np.arange(40)}]:
        params["return_scores"] = True
        ids, scores = post_hoc.recommend(host.X, strength=0, **params)
        own_ids, own_scores = host.recommender.recommend(host.X, **params)
        np.testing.assert_array_equal(ids, own_ids)
        np.testing.assert_array_equal(scores, own_scores)
        changed, _ = post_hoc.recommend(host.X, **params)
        assert (changed != own_ids).mean() > 0.05


def test_strength_of_a_call_leaves_the_estimators_own_as_it_was(host, post_hoc):
    before = post_hoc.predict(host.X)
    post_hoc.recommend(host.X, strength=0)
    assert post_hoc.strength == 2.0
    np.testing.assert_array_equal(post_hoc.predict(host.X), before)
    np.testing.assert_array_equal(post_hoc.recommend(host.X, strength=2.0), before)


@pytest.mark.parametrize("keep_top", [1, 4, K, K + 5])
def test_kept_items_stay_and_the_rest_follows_the_changed_order(
    host, post_hoc, keep_top
):
    own = host.recommender.recommend(host.X)
    order = post_hoc.recommend(host.X, N_ITEMS)
    post_hoc.set_params(keep_top=keep_top)
    for row, host_row, changed in zip(
        post_hoc.predict(host.X).tolist(), own.tolist(), order.tolist(), strict=True
    ):
        kept = host_row[:keep_top]
        rest = [item for item in changed if item not in kept]
        assert row == (kept + rest)[:K]


def test_lists_with_kept_items_are_padded_when_both_run_out(host, post_hoc):
    post_hoc.set_params(keep_top=3)
    candidates = [[1, 2], [], np.setdiff1d(np.arange(N_ITEMS), host.X[[2]].indices)]
    ids, scores = post_hoc.recommend(
        host.X[:3], candidates=candidates, exclude_seen=False, return_scores=True
    )
    assert sorted(ids[0, :2].tolist()) == [1, 2]
    assert (ids[0, 2:] == -1).all()
    assert (ids[1] == -1).all()
    assert len(set(ids[2].tolist()) - {-1}) == K
    np.testing.assert_array_equal(np.isinf(scores), ids == -1)


def test_scores_with_kept_items_are_the_changed_ones(host, post_hoc):
    post_hoc.set_params(keep_top=3)
    ids, scores = post_hoc.recommend(host.X, return_scores=True)
    expected = np.take_along_axis(post_hoc.decision_function(host.X), ids, axis=1)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    own = host.recommender.decision_function(host.X)
    assert (np.abs(scores - np.take_along_axis(own, ids, axis=1)) > 1e-3).any()


def test_kept_items_obey_what_is_excluded(host, post_hoc):
    post_hoc.set_params(keep_top=3)
    banned = host.recommender.recommend(host.X, 2)
    ids = post_hoc.recommend(host.X, exclude=banned)
    assert not (ids[:, :, None] == banned[:, None, :]).any()
    expected = host.recommender.recommend(host.X, 3, exclude=banned)
    np.testing.assert_array_equal(ids[:, :3], expected)


def test_trained_users_are_looked_up_through_the_whole_chain():
    host = HOSTS["arrays"]()
    assert isinstance(host.recommender, FrozenEstimator)
    users = np.arange(N_USERS)[::-1]
    X = host.X[users]
    for make in POST_HOC.values():
        model = make(host.recommender, strength=0).fit(host.X)
        own = host.recommender.predict(X, user_ids=users)
        np.testing.assert_array_equal(model.predict(X, user_ids=users), own)
        scores = model.decision_function(X, user_ids=users)
        own_scores = host.recommender.decision_function(X, user_ids=users)
        np.testing.assert_array_equal(scores, own_scores)
        assert (model.predict(X) != own).any()


@pytest.mark.parametrize("kind", ["host", *POST_HOC])
def test_recommending_never_holds_all_scores(kind):
    n_users, n_items = 20_000, 2_000
    rng = np.random.default_rng(0)
    U, V = rng.normal(size=(n_users, 4)), rng.normal(size=(n_items, 4))
    items = rng.integers(n_items, size=2 * n_users)
    X = csr_array((np.ones(len(items)), items, np.arange(0, len(items) + 1, 2)))
    X.resize((n_users, n_items))
    ids = {"user_ids": np.arange(n_users)}
    model = as_recommender((U, V))
    if kind != "host":
        model = POST_HOC[kind](model, keep_top=2).fit(X[:500])
    model.recommend(X[:10], user_ids=ids["user_ids"][:10])
    tracemalloc.start()
    model.recommend(X, K, **ids)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All scores would be 160 MB; a block of them is 16, and its partition twice that.
    assert peak < 4 * n_users * n_items * 0.75


@pytest.mark.parametrize("name", ["candidates", "exclude"])
def test_what_only_looks_like_lists_gets_one_clear_line(host, name):
    mask = np.zeros((3, N_ITEMS), dtype=int)
    mask[:, 5] = 1
    with pytest.raises(ValueError, match=f"^`{name}` must be .*got a dense mask of"):
        host.recommender.recommend(host.X[:3], **{name: mask})
    with pytest.raises(TypeError, match=f"^`{name}` must be item positions.*got set"):
        host.recommender.recommend(host.X[:3], **{name: {1, 2}})
    with pytest.raises(ValueError, match=f"^`{name}` must be one flat list, or one"):
        host.recommender.recommend(host.X[:3], **{name: [1, [2], 3]})
