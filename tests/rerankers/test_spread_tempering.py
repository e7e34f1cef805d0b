"""What spread tempering knows of scores, and what it reaches with that."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.frozen import FrozenEstimator

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.datasets import load_movielens
from skpopsteer.metrics import ndcg
from skpopsteer.model_selection import hide_interactions
from skpopsteer.popularity import PopularityGroups
from skpopsteer.rerankers import (
    NormTemperingReranker,
    PopularityPenaltyReranker,
    SpreadTemperingReranker,
)
from tests.conftest import ROOT
from tests.hosts import HOSTS


def statistics(model, X, user_ids=None):
    """Score everybody at once, in float64."""
    scores = model.decision_function(X, user_ids=user_ids).astype(np.float64)
    return scores.mean(axis=0), scores.std(axis=0)


@pytest.mark.parametrize(
    "name", ["truncated_svd", "pca", "als", "bpr", "mult_vae", "sequence_model"]
)
def test_means_and_deviations_are_those_of_the_hosts_scores(name):
    host = HOSTS[name]()
    model = SpreadTemperingReranker(host.recommender).fit(host.X)
    means, deviations = statistics(host.recommender, host.X)
    np.testing.assert_allclose(model.score_means_, means, atol=1e-5)
    np.testing.assert_allclose(model.score_deviations_, deviations, atol=1e-5)
    assert deviations.max() > 1e-3


def test_statistics_of_trained_users_differ_from_those_of_rows():
    host = HOSTS["bpr"]()
    ids = np.arange(host.X.shape[0])[::-1]
    model = SpreadTemperingReranker(host.recommender).fit(host.X, user_ids=ids)
    means, deviations = statistics(host.recommender, host.X, ids)
    np.testing.assert_allclose(model.score_means_, means, atol=1e-5)
    np.testing.assert_allclose(model.score_deviations_, deviations, atol=1e-5)
    folded = SpreadTemperingReranker(host.recommender).fit(host.X)
    assert not np.allclose(folded.score_deviations_, deviations, rtol=1e-2)


def test_both_ways_to_the_statistics_agree(interactions):
    host = as_recommender(PCA(8, random_state=0).fit(interactions.toarray()))
    closed = SpreadTemperingReranker(host).fit(interactions)
    scored = SpreadTemperingReranker(FrozenEstimator(PopularityPenaltyReranker(
        host, strength=0.0
    ).fit(interactions)), pool_size=50).fit(interactions)  # fmt: skip
    np.testing.assert_allclose(closed.score_means_, scored.score_means_, atol=1e-6)
    np.testing.assert_allclose(
        closed.score_deviations_, scored.score_deviations_, atol=1e-6
    )


def test_deviations_keep_their_digits_beside_a_large_mean(monkeypatch):
    monkeypatch.setattr("skpopsteer.topk.BLOCK_SCORES", 4_000)
    rng = np.random.default_rng(0)
    U = np.c_[np.full(3000, 1e3), rng.normal(size=(3000, 2))]
    V = np.c_[np.ones(4), rng.normal(size=(4, 2))]
    X = csr_array(np.ones((3000, 4)))
    host = as_recommender((U, V))
    ids = np.arange(3000)
    exact = (U[:, 1:] @ V[:, 1:].T).std(axis=0)
    closed = SpreadTemperingReranker(host).fit(X, user_ids=ids)
    np.testing.assert_allclose(closed.score_deviations_, exact, rtol=1e-5)
    inner = FrozenEstimator(PopularityPenaltyReranker(host).fit(X, user_ids=ids))
    scored = SpreadTemperingReranker(inner, pool_size=4).fit(X, user_ids=ids)
    # The scores themselves are rounded to 6e-5.
    np.testing.assert_allclose(scored.score_deviations_, exact, atol=1e-4)


def test_scores_of_a_recommender_are_made_block_by_block(interactions, monkeypatch):
    host = as_recommender(TruncatedSVD(8, random_state=0).fit(interactions))
    inner = SteeredRecommender(
        host, rule="shift",
        probe=SparseAutoencoderProbe(32, k=4, max_iter=2, random_state=0),
        random_state=0,
    ).fit(interactions)  # fmt: skip
    expected = statistics(inner, interactions)
    shapes = []
    score = SteeredRecommender.decision_function

    def counting(self, X, user_ids=None):
        shapes.append(X.shape)
        return score(self, X, user_ids)

    monkeypatch.setattr(SteeredRecommender, "decision_function", counting)
    monkeypatch.setattr("skpopsteer.topk.BLOCK_SCORES", 4_200)
    model = SpreadTemperingReranker(FrozenEstimator(inner), pool_size=40)
    model.fit(interactions)
    assert len(shapes) == 5
    np.testing.assert_allclose(model.score_means_, expected[0], atol=1e-6)
    np.testing.assert_allclose(model.score_deviations_, expected[1], atol=1e-6)


class _Lists(BaseEstimator):
    """A recommender of somebody's, with what a pool needs and no more."""

    def __init__(self, inner):
        self.inner = inner

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def recommend(self, X, n_recommendations, **params):
        return self.inner.recommend(X, n_recommendations, **params)


def test_a_recommender_whose_scores_cannot_be_seen_is_refused(interactions):
    inner = as_recommender(TruncatedSVD(4, random_state=0).fit(interactions))
    inner = PopularityPenaltyReranker(inner).fit(interactions)
    lists = _Lists(inner).fit(interactions)
    with pytest.raises(TypeError, match=r"^`recommender` must have .*; got _Lists\."):
        SpreadTemperingReranker(lists, pool_size=20).fit(interactions)


@pytest.fixture(scope="module")
def movielens():
    """Positive ratings, their test part, a trained ALS, and the tail."""
    implicit = pytest.importorskip("implicit")
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    X = load_movielens(ROOT / "data" / "ml-latest-small").X
    X = csr_array(X[:, np.asarray((X > 0).sum(axis=0)).ravel() >= 5])
    seen, held_out = hide_interactions(X, random_state=0)
    with threadpool_limits(1, "blas"):
        als = implicit.als.AlternatingLeastSquares(
            factors=64, regularization=0.1, alpha=5, iterations=15, random_state=0,
            num_threads=1,
        )  # fmt: skip
        als.fit(csr_matrix(seen > 0, dtype=np.float32), show_progress=False)
    popularity = np.asarray((seen > 0).sum(axis=0)).ravel()
    return seen, held_out, as_recommender(als), PopularityGroups().label(popularity)


def curve(model, movielens, strengths):
    """Return NDCG and tail coverage at every strength."""
    seen, held_out, _, groups = movielens
    model.fit(seen)
    points = []
    for t in strengths:
        ids = model.recommend(seen, strength=t)
        listed = np.unique(ids)
        coverage = (groups[listed[listed >= 0]] == -1).sum() / (groups == -1).sum()
        points.append((ndcg(held_out, ids), coverage))
    return np.array(points).T


def coverage_at(share, accuracy, coverage):
    """Read the curve where it crosses that share of the NDCG it starts with."""
    below = np.flatnonzero(accuracy < share * accuracy[0])[0]
    part = slice(below - 1, below + 1)
    return np.interp(share * accuracy[0], accuracy[part][::-1], coverage[part][::-1])


def test_tempering_reaches_more_of_the_tail_than_the_penalty(movielens):
    """At a fifth of the NDCG; at less than that the penalty is as good here."""
    host, strengths = movielens[2], np.linspace(0, 1, 21)
    penalty = curve(PopularityPenaltyReranker(host), movielens, 0.4 * strengths)
    norm = curve(NormTemperingReranker(host), movielens, 1.5 * strengths)
    spread = curve(SpreadTemperingReranker(host), movielens, 1.5 * strengths)
    per_user = SpreadTemperingReranker(host, user_strength="profile")
    per_user = curve(per_user, movielens, 1.5 * strengths)
    reached = [
        coverage_at(0.8, *points) for points in (penalty, norm, spread, per_user)
    ]
    assert (np.diff(reached) > 0.02).all()
