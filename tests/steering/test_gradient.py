"""The adjustment against its formula, and what may not change it."""

import pathlib
import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.lmf import LogisticMatrixFactorization
from joblib import parallel_config
from scipy.sparse import csr_array, csr_matrix
from scipy.sparse import random as sparse_random
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skpopsteer import (
    ArrayRecommender,
    ImplicitRecommender,
    TorchRecommender,
    TunedSteeringCV,
    as_recommender,
    steering_path,
)
from skpopsteer.datasets import load_movielens
from skpopsteer.model_selection import hide_interactions
from skpopsteer.popularity import item_popularity
from skpopsteer.steering._gradient import GradientPopularityAdjuster
from skpopsteer.steering._gradient_directions import bpr_by_score

MOVIELENS = pathlib.Path(__file__).parents[2] / "data" / "ml-latest-small"
D = 6
IDS = np.arange(200)
WAYS = [
    {"direction": "mean_user"},
    {"direction": "activity_weighted_user"},
    {"direction": "positive_gradient", "loss": "bpr"},
    {"direction": "positive_gradient", "loss": "bpr", "n_samples": 3},
    {"direction": "positive_gradient", "loss": "bce"},
    {"direction": "positive_gradient", "loss": "bce", "n_samples": 3},
    {"direction": "positive_gradient", "loss": "als"},
]


def train_implicit(kind, X, **params):
    with threadpool_limits(1, "blas"):
        model = kind(**{"factors": D, "num_threads": 1, "random_state": 0, **params})
        model.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
    return model


@pytest.fixture(scope="module")
def X(split):
    return split[0]


@pytest.fixture(scope="module")
def tables(X):
    """Users and items of which popularity is a part, and a bias of the items."""
    U, S, Vt = np.linalg.svd(X.toarray(), full_matrices=False)
    bias = 0.05 * np.log1p(item_popularity(X))
    return (U[:, :D] * S[:D]).astype("f4"), Vt[:D].T.astype("f4"), bias.astype("f4")


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "bias"])
def own(request, tables):
    """Tables of a host: (U, V), or (U, V, bias)."""
    return tables if request.param else tables[:2]


@pytest.fixture(scope="module")
def arrays(own):
    return as_recommender(own)


def fit(host, X, **params):
    return GradientPopularityAdjuster(host, **{"random_state": 0, **params}).fit(
        X, user_ids=np.arange(X.shape[0])
    )


def extended(own):
    """The tables in double precision, an item bias as their last column."""
    U, V = (table.astype("f8") for table in own[:2])
    if len(own) == 2:
        return U, V
    return np.column_stack([U, np.ones(len(U))]), np.column_stack([V, own[2]])


def unit(vector):
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_scores_are_those_of_items_and_users_that_were_moved(arrays, own, X, way):
    U, V = extended(own)
    model = fit(arrays, X, **way, beta=0.7, gamma=0.4)
    p, c = model.popularity_direction_, model.conformity_direction_
    assert np.linalg.norm(p) == pytest.approx(1)
    assert np.linalg.norm(c) == pytest.approx(1)
    np.testing.assert_allclose(model.item_coordinates_, V @ p, atol=1e-5)
    moved = V - 0.7 * np.outer(V @ p, p)
    users = U - 0.4 * np.outer(U @ c, c)
    scores = model.decision_function(X, user_ids=IDS)
    np.testing.assert_allclose(scores, users @ moved.T, atol=1e-4)
    assert np.abs(scores - U @ V.T).max() > 0.05
    # Rank one, of the items alone.
    model.set_params(gamma=0.0)
    own_scores = arrays.decision_function(X, user_ids=IDS)
    rank_one = np.outer(U @ p, model.item_coordinates_)
    np.testing.assert_allclose(
        model.decision_function(X, user_ids=IDS), own_scores - 0.7 * rank_one, atol=1e-4
    )


def test_the_directions_without_a_loss(arrays, own, X):
    U, V = extended(own)
    rows = U / np.linalg.norm(U, axis=1, keepdims=True)
    popularity = item_popularity(X)
    centroid = unit(popularity @ V / popularity.sum() - V.mean(axis=0))
    for direction, weights in [
        ("mean_user", np.ones(200)),
        ("activity_weighted_user", np.diff(X.indptr)),
    ]:
        model = fit(arrays, X, direction=direction)
        np.testing.assert_allclose(
            model.popularity_direction_, unit(weights @ rows), atol=1e-5
        )
        np.testing.assert_allclose(model.conformity_direction_, centroid, atol=1e-5)
        model = fit(arrays, X, direction=direction, normalize_users=False)
        np.testing.assert_allclose(
            model.popularity_direction_, unit(weights @ U), atol=1e-5
        )
        assert model.loss_ is None
    given = fit(arrays, X, direction="mean_user").fit(
        X, user_ids=IDS, item_popularity=popularity[::-1]
    )
    mirrored = unit(popularity[::-1] @ V / popularity.sum() - V.mean(axis=0))
    np.testing.assert_allclose(given.conformity_direction_, mirrored, atol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
def test_the_directions_of_a_pairwise_loss(arrays, own, X, normalize):
    """By the formulas, pair by pair."""
    U, V = extended(own)
    rows = U / np.linalg.norm(U, axis=1, keepdims=True) if normalize else U
    p, c = np.zeros(V.shape[1]), np.zeros(V.shape[1])
    for row, held in enumerate(X.toarray() > 0):
        scores = V @ U[row]
        odds = 1 / (1 + np.exp(scores[held][:, None] - scores[~held]))
        p += odds.mean(axis=1).sum() * rows[row]
        c += odds.mean(axis=1) @ V[held]
        c -= odds.sum(axis=0) @ V[~held] / (~held).sum()
    model = fit(
        arrays, X, direction="positive_gradient", loss="bpr", normalize_users=normalize
    )
    np.testing.assert_allclose(model.popularity_direction_, unit(p), atol=1e-4)
    np.testing.assert_allclose(model.conformity_direction_, unit(c), atol=1e-4)


@pytest.mark.parametrize("alpha", [None, 3.0])
def test_the_directions_of_least_squares(arrays, own, X, alpha):
    U, V = extended(own)
    rows = U / np.linalg.norm(U, axis=1, keepdims=True)
    values = 1.0 + np.random.default_rng(0).random(X.nnz)
    weighted = csr_array((values, X.indices, X.indptr), shape=X.shape)
    confidence = 1 + (alpha or 1.0) * weighted.toarray()
    residual = np.where(X.toarray() > 0, confidence * (1 - U @ V.T), 0)
    model = fit(
        arrays, weighted, direction="positive_gradient", loss="als", alpha=alpha
    )
    np.testing.assert_allclose(
        model.popularity_direction_, unit(residual.sum(1) @ rows), atol=1e-4
    )
    np.testing.assert_allclose(
        model.conformity_direction_, unit(residual.sum(0) @ V), atol=1e-4
    )


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_at_nought_the_lists_are_the_hosts(arrays, X, way):
    model = fit(arrays, X, **way, beta=0.0)
    scores = arrays.decision_function(X, user_ids=IDS)
    assert np.array_equal(model.decision_function(X, user_ids=IDS), scores)
    model.set_params(beta=0.9, gamma=0.5)
    off = model.recommend(X, user_ids=IDS, strength=0)
    assert np.array_equal(off, arrays.recommend(X, user_ids=IDS))
    assert not np.array_equal(off, model.recommend(X, user_ids=IDS))


def test_at_one_nothing_of_the_direction_is_left_and_no_more_can_be_taken(
    arrays, own, X
):
    model = fit(arrays, X, beta=1.0)
    p = model.popularity_direction_
    served = model.export_embeddings(X, user_ids=IDS)
    kept = tuple(table for table in served.values() if table is not None)
    _, V = extended(kept)
    np.testing.assert_allclose(V @ p, 0, atol=1e-5)
    again = GradientPopularityAdjuster(
        as_recommender(kept), direction="recorded", beta=1.0
    ).fit(X, gradients=p)
    np.testing.assert_allclose(again.item_coordinates_, 0, atol=1e-5)
    np.testing.assert_allclose(
        again.decision_function(X, user_ids=IDS),
        model.decision_function(X, user_ids=IDS),
        atol=1e-4,
    )
    # At half of it, half is left.
    half = model.set_params(beta=0.5).export_embeddings(X, user_ids=IDS)
    kept = tuple(table for table in half.values() if table is not None)
    np.testing.assert_allclose(
        extended(kept)[1] @ p, extended(own)[1] @ p / 2, atol=1e-5
    )


@pytest.mark.parametrize(
    "way", [way for way in WAYS if "n_samples" not in way], ids=str
)
def test_a_rotation_of_the_embeddings_changes_nothing(own, X, way):
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0].astype("f4")
    turned = (own[0] @ turn, own[1] @ turn, *own[2:])
    models = [
        fit(as_recommender(tables), X, **way, beta=0.8, gamma=0.3)
        for tables in (own, turned)
    ]
    np.testing.assert_allclose(
        models[0].item_coordinates_, models[1].item_coordinates_, atol=1e-4
    )
    scores = [model.decision_function(X, user_ids=IDS) for model in models]
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_neither_sign_nor_length_of_gradients_matters(arrays, own, X):
    width = extended(own)[1].shape[1]
    rng = np.random.default_rng(0)
    items, users = rng.normal(size=(100, width)), rng.normal(size=(200, width))
    items += 1
    scores = [
        GradientPopularityAdjuster(arrays, direction="recorded", beta=0.8, gamma=0.4)
        .fit(X, gradients=(factor * items, factor * users))
        .decision_function(X, user_ids=IDS)
        for factor in (1.0, -1.0, 1e-3)
    ]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
    np.testing.assert_allclose(scores[0], scores[2], atol=1e-6)
    # Sums are as good as rows; without users conformity is that of the centroids.
    model = GradientPopularityAdjuster(arrays, direction="recorded", beta=0.8)
    for gradients in (items, items.sum(0), items.sum(0)[None], items.tolist()):
        model.fit(X, gradients=gradients)
        np.testing.assert_allclose(
            model.popularity_direction_, -unit(items.sum(0)), atol=1e-12
        )
        np.testing.assert_allclose(
            model.conformity_direction_,
            fit(arrays, X).conformity_direction_,
            atol=1e-12,
        )


def test_users_without_a_share_in_the_direction_keep_their_scores(X):
    V = np.random.default_rng(0).normal(size=(100, 3)).astype("f4")
    U = np.zeros((200, 3), dtype="f4")
    U[:150, 0], U[150:, 1] = 1.0, 1.0
    model = GradientPopularityAdjuster(
        as_recommender((U, V)), direction="recorded", beta=1.0
    ).fit(X, gradients=[1.0, 0, 0])
    change = model.decision_function(X, user_ids=IDS) - U @ V.T
    assert not change[150:].any()
    np.testing.assert_allclose(change[:150], np.tile(-V[:, 0], (150, 1)), atol=1e-6)


def test_popularity_in_the_bias_alone_is_found_and_taken_out(X):
    rng = np.random.default_rng(0)
    bias = np.log(item_popularity(X)).astype("f4")
    host = as_recommender(
        (0.3 * rng.normal(size=(200, 3)), 0.3 * rng.normal(size=(100, 3)), bias)
    )
    model = fit(host, X, beta=1.0)
    assert model.popularity_direction_.shape == (4,)
    assert np.abs(model.popularity_direction_[-1]) > 0.9
    assert np.corrcoef(model.item_coordinates_, bias)[0, 1] > 0.95
    popularity = item_popularity(X)
    before, after = (
        popularity[model.recommend(X, user_ids=IDS, strength=s)].mean() for s in (0, 1)
    )
    assert after < 0.6 * before


def test_centred_coordinates_change_no_list_and_keep_the_mean_score(arrays, X):
    model = fit(arrays, X, beta=0.8, gamma=0.3)
    centred = fit(arrays, X, beta=0.8, gamma=0.3, center=True)
    assert np.abs(model.item_coordinates_.mean()) > 1e-3
    np.testing.assert_allclose(
        centred.item_coordinates_,
        model.item_coordinates_ - model.item_coordinates_.mean(),
        atol=1e-6,
    )
    scores, other = (one.decision_function(X, user_ids=IDS) for one in (centred, model))
    shift = scores - other
    np.testing.assert_allclose(shift, np.tile(shift[:, :1], 100), atol=1e-5)
    assert np.abs(shift).max() > 1e-2
    centred.set_params(gamma=0.0)
    np.testing.assert_allclose(
        centred.decision_function(X, user_ids=IDS).mean(1),
        arrays.decision_function(X, user_ids=IDS).mean(1),
        atol=1e-5,
    )
    served = centred.export_embeddings(X, user_ids=IDS)
    plain = as_recommender(tuple(t for t in served.values() if t is not None))
    np.testing.assert_allclose(
        plain.decision_function(X, user_ids=IDS),
        centred.decision_function(X, user_ids=IDS),
        atol=1e-4,
    )


def test_the_losses_that_models_of_implicit_tell(X):
    for kind, loss in [
        (AlternatingLeastSquares, "als"),
        (BayesianPersonalizedRanking, "bpr"),
        (LogisticMatrixFactorization, "bce"),
    ]:
        host = as_recommender(train_implicit(kind, X, iterations=3))
        model = fit(host, X, direction="positive_gradient")
        assert model.loss_ == loss
        named = fit(host, X, direction="positive_gradient", loss=loss)
        assert np.array_equal(model.popularity_direction_, named.popularity_direction_)
        other = {"als": "bpr"}.get(loss, "als")
        other = fit(host, X, direction="positive_gradient", loss=other)
        assert other.loss_ != loss
        assert not np.allclose(
            model.popularity_direction_, other.popularity_direction_, atol=1e-4
        )
    host = ImplicitRecommender(train_implicit(AlternatingLeastSquares, X, alpha=5.0))
    model = fit(as_recommender(host), X, direction="positive_gradient")
    told = fit(as_recommender(host), X, direction="positive_gradient", alpha=5.0)
    assert np.array_equal(model.popularity_direction_, told.popularity_direction_)


def test_an_untrained_host_is_trained_and_told(X):
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(
            factors=4, iterations=2, num_threads=1, random_state=0
        )
    model = GradientPopularityAdjuster(
        ImplicitRecommender(als), direction="positive_gradient"
    ).fit(X)
    assert model.loss_ == "als"
    assert als.item_factors is None


def test_samples_are_seeded_and_near_the_exact_direction(arrays, X):
    way = {"direction": "positive_gradient", "loss": "bpr"}
    exact = fit(arrays, X, **way)
    draws = [
        fit(arrays, X, **way, n_samples=4, random_state=seed) for seed in (0, 0, 1)
    ]
    first, again, other = (model.popularity_direction_ for model in draws)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first @ exact.popularity_direction_ > 0.999
    assert draws[0].conformity_direction_ @ exact.conformity_direction_ > 0.98


def test_neither_workers_nor_containers_change_what_is_found(
    arrays, X, container, monkeypatch
):
    way = {"direction": "positive_gradient", "loss": "bpr", "n_samples": 2}
    monkeypatch.setattr("skpopsteer._spans.SPAN_ROWS", 70)
    model = fit(arrays, X, **way)
    with parallel_config(backend="threading", n_jobs=2):
        shared = fit(arrays, container(X), **way)
        lists = shared.predict(container(X), user_ids=IDS)
    assert np.array_equal(model.popularity_direction_, shared.popularity_direction_)
    assert np.array_equal(model.conformity_direction_, shared.conformity_direction_)
    assert np.array_equal(model.predict(X, user_ids=IDS), lists)
    monkeypatch.undo()
    exact = {"direction": "positive_gradient", "loss": "bpr"}
    whole = fit(arrays, X, **exact)
    monkeypatch.setattr("skpopsteer._spans.SPAN_ROWS", 70)
    np.testing.assert_allclose(
        fit(arrays, X, **exact).popularity_direction_,
        whole.popularity_direction_,
        atol=1e-7,
    )


def test_the_host_and_the_interactions_are_left_as_they_are(own, X):
    tables = tuple(np.array(table) for table in own)
    for table in tables:
        table.flags.writeable = False
    rows = X.copy()
    rows.data.flags.writeable = False
    model = fit(as_recommender(tables), rows, gamma=0.5)
    model.predict(rows, user_ids=IDS)
    model.decision_function(rows, user_ids=IDS)
    served = model.export_embeddings(rows, user_ids=IDS)
    served.item_embeddings[:] = 0
    for table, before in zip(tables, own, strict=True):
        assert np.array_equal(table, before)
    assert (rows != X).nnz == 0


@pytest.mark.parametrize("loss", ["bpr", "bce"])
def test_the_exact_form_never_holds_all_scores(loss):
    n_users, n_items = 2000, 6000
    X = csr_array(sparse_random(n_users, n_items, density=1e-3, random_state=0))
    rng = np.random.default_rng(0)
    host = as_recommender(
        (rng.normal(1, 1, size=(n_users, 4)), rng.normal(size=(n_items, 4)))
    )
    host.recommend(X[:1])
    tracemalloc.start()
    fit(host, X, direction="positive_gradient", loss=loss)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All scores in single precision would be 48 MB.
    assert peak < 40e6


def test_strength_turns_both_in_proportion(arrays, X):
    model = fit(arrays, X, beta=0.5, gamma=0.2)
    assert model.strength == 0.5
    other = fit(arrays, X, beta=0.8, gamma=0.32)
    expected = other.decision_function(X, user_ids=IDS)
    lists = model.recommend(X, user_ids=IDS, strength=0.8)
    assert np.array_equal(lists, other.predict(X, user_ids=IDS))
    assert (model.beta, model.gamma) == (0.5, 0.2)
    same = clone(model).set_params(strength=0.8).fit(X, user_ids=IDS)
    assert (same.beta, same.gamma) == pytest.approx((0.8, 0.32))
    assert same.strength == 0.8
    np.testing.assert_allclose(
        same.decision_function(X, user_ids=IDS), expected, atol=1e-5
    )
    # The others are set first.
    same.set_params(strength=0.3, gamma=0.8)
    assert (same.beta, same.gamma) == pytest.approx((0.3, 0.3))
    # Where only the users are adjusted, that is what turns.
    users = fit(arrays, X, beta=0.0, gamma=0.5)
    assert users.strength == 0.5
    assert np.array_equal(
        users.recommend(X, user_ids=IDS, strength=0.9),
        fit(arrays, X, beta=0.0, gamma=0.9).predict(X, user_ids=IDS),
    )
    nothing = fit(arrays, X, beta=0.0, gamma=0.0).set_params(strength=0.4)
    assert (nothing.beta, nothing.gamma) == (0.4, 0.0)
    assert "strength" not in nothing.get_params()
    with pytest.raises(ValueError, match="`strength` must be a finite number"):
        nothing.set_params(strength=np.nan)


def test_a_path_and_searches(host, split):
    X, y = split
    model = GradientPopularityAdjuster(host, gamma=0.1)
    strengths = [0.0, 0.4, 0.8]
    path = steering_path(model.fit(X), X, y, strengths, scoring=["ndcg", "tail_share"])
    for place, strength in enumerate(strengths):
        at = clone(model).set_params(beta=strength, gamma=0.2 * strength).fit(X)
        assert at.score(X, y) == pytest.approx(path.scores["ndcg"][place])
    assert (np.diff(path.scores["tail_share"]) > 0).all()
    for name in ("beta", "strength"):
        grid = GridSearchCV(model, {name: [0.0, 0.5, 1.0]}, cv=2, scoring=_tail_share)
        grid.fit(X, y)
        assert grid.best_params_ == {name: 1.0}
        assert grid.best_estimator_.beta == 1.0
        assert grid.best_estimator_.gamma == (0.1 if name == "beta" else 0.2)
        assert len(set(grid.cv_results_["mean_test_score"])) == 3


def _tail_share(model, X, y):
    popularity = model.item_popularity_
    return (popularity[model.predict(X)] < np.median(popularity)).mean()


def test_a_target_is_reached(host, split):
    X, y = split
    model = GradientPopularityAdjuster(host, gamma=0.25)
    tuned = TunedSteeringCV(
        model, target=0.7, cv=2, param_grid={"direction": ["mean_user"]}
    ).fit(X, y)
    assert tuned.reached_
    assert 0.7 <= tuned.constraint_score_ <= 0.705
    best = tuned.best_estimator_
    assert best.beta == tuned.best_strength_
    assert best.gamma == pytest.approx(0.5 * tuned.best_strength_)
    # What was measured at that strength is what it now recommends.
    at = clone(model).fit(X).recommend(X, strength=tuned.best_strength_)
    assert np.array_equal(tuned.predict(X), at)


@pytest.mark.parametrize("kind", [AlternatingLeastSquares, BayesianPersonalizedRanking])
def test_popularity_falls_with_beta_on_movielens(kind):
    X = load_movielens(
        MOVIELENS, min_rating=4, min_user_interactions=5, min_item_interactions=5
    ).X
    X, _ = hide_interactions(X, random_state=0)
    ids = np.arange(X.shape[0])
    host = as_recommender(train_implicit(kind, X, factors=32))
    popularity = item_popularity(X)
    for way in ({}, {"direction": "positive_gradient"}):
        model = fit(host, X, **way, n_samples=5)
        # BPR of implicit draws popular negatives, which cancel the most of it.
        least = 0.8 if kind is AlternatingLeastSquares else 0.2
        found = np.corrcoef(model.item_coordinates_, np.log1p(popularity))[0, 1]
        assert found > least
        means = [
            popularity[model.recommend(X, user_ids=ids, strength=s)].mean()
            for s in (-0.5, 0, 0.25, 0.5, 0.75, 1)
        ]
        assert (np.diff(means) < 0).all()
        assert means[-1] < 0.75 * means[1]
        model.set_params(beta=0.0)
        means = [
            popularity[model.set_params(gamma=g).predict(X, user_ids=ids)].mean()
            for g in (0, 0.5, 1)
        ]
        assert (np.diff(means) < 0).all()


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_exported_vectors_give_the_same_lists(arrays, own, X, gamma):
    model = fit(arrays, X, beta=0.7, gamma=gamma)
    served = model.export_embeddings(X, user_ids=IDS)
    # Users who weigh the bias on their own need a column for it.
    with_bias = len(own) == 3
    assert (served.item_bias is not None) == (with_bias and not gamma)
    assert served.item_embeddings.shape == (100, D + bool(with_bias and gamma))
    if not gamma:
        assert np.array_equal(served.user_embeddings, own[0])
    plain = as_recommender(tuple(t for t in served.values() if t is not None))
    np.testing.assert_allclose(
        plain.decision_function(X, user_ids=IDS),
        model.decision_function(X, user_ids=IDS),
        atol=1e-4,
    )
    ids, _ = model.to_implicit(X, user_ids=IDS).recommend(
        IDS, csr_matrix(X, dtype=np.float32), N=10
    )
    expected, scores = model.recommend(X, user_ids=IDS, return_scores=True)
    for row, wanted, values in zip(ids, expected, scores, strict=True):
        if np.diff(values).max() < -1e-5:
            assert row.tolist() == wanted.tolist()


@pytest.mark.parametrize(
    "kind",
    [AlternatingLeastSquares, BayesianPersonalizedRanking, LogisticMatrixFactorization],
)
def test_models_of_implicit_serve_it(X, kind):
    model = fit(as_recommender(train_implicit(kind, X)), X, gamma=0.2)
    served = model.to_implicit(X, user_ids=IDS)
    scores = model.decision_function(X, user_ids=IDS)
    own = served.user_factors @ served.item_factors.T
    # A bias of the user is the same for all items.
    np.testing.assert_allclose(
        own - own[:, :1], scores - scores[:, :1], rtol=1e-3, atol=1e-3
    )


def test_the_hosts_first_items_stay(arrays, X):
    model = fit(arrays, X, beta=0.9, keep_top=3)
    top = arrays.recommend(X, user_ids=IDS)[:, :3]
    free = fit(arrays, X, beta=0.9).predict(X, user_ids=IDS)
    kept = model.predict(X, user_ids=IDS)
    assert np.array_equal(kept[:, :3], top)
    for row, head, rest in zip(kept, top, free, strict=True):
        assert row[3:].tolist() == [item for item in rest if item not in head][:7]
    with pytest.raises(ValueError, match="`keep_top` must be 0 to export vectors"):
        model.export_embeddings(X, user_ids=IDS)


@pytest.mark.parametrize("center", [False, True])
def test_a_host_that_has_grown(own, X, center):
    small = as_recommender((own[0], *(table[:90] for table in own[1:])))
    model = fit(small, csr_array(X[:, :90]), beta=0.8, center=center)
    again = model.with_host(as_recommender(own))
    U, V = extended(own)
    p = model.popularity_direction_
    coordinates = V @ p - (V @ p).mean() * center
    np.testing.assert_allclose(again.item_coordinates_, coordinates, atol=1e-5)
    np.testing.assert_allclose(
        again.decision_function(X, user_ids=IDS),
        U @ V.T - 0.8 * np.outer(U @ p, coordinates),
        atol=1e-4,
    )
    assert len(model.item_coordinates_) == 90
    other = own[:2] if len(own) == 3 else (*own, np.zeros(100))
    with pytest.raises(ValueError, match="`recommender` must have an item bias where"):
        model.with_host(as_recommender(other))


def test_it_pickles_and_clones(arrays, X):
    model = fit(arrays, X, gamma=0.2)
    again = pickle.loads(pickle.dumps(model))
    lists = model.predict(X, user_ids=IDS)
    assert np.array_equal(again.predict(X, user_ids=IDS), lists)
    anew = clone(model).fit(X, user_ids=IDS)
    assert np.array_equal(anew.predict(X, user_ids=IDS), lists)


def test_a_host_that_only_looks_users_up(tables, X):
    host = as_recommender(ArrayRecommender(*tables[:2], fold_in=None))
    model = GradientPopularityAdjuster(host)
    with pytest.raises(ValueError, match=r"^`user_ids` must be given: this host only"):
        model.fit(X)
    model.fit(X, user_ids=IDS)
    assert model.predict(X, user_ids=IDS).shape == (200, 10)
    with pytest.raises(ValueError, match=r"^`user_ids` must name one user per row"):
        model.fit(X, user_ids=IDS[:5])
    with pytest.raises(ValueError, match=r"^`user_ids` must be positions of trained"):
        model.fit(X, user_ids=IDS + 1)
    # Recorded gradients need no users.
    model.set_params(direction="recorded").fit(X, gradients=np.ones(D))
    with pytest.raises(ValueError, match=r"^`user_ids` must name one user per row"):
        model.fit(X, gradients=np.ones(D), user_ids=IDS[:5])


def test_rows_are_looked_up_by_their_ids_or_folded_in(X):
    rng = np.random.default_rng(0)
    U, V = rng.normal(1, 1, size=(200, 3)), rng.normal(size=(100, 3))
    host = as_recommender((U, V))
    ids = IDS[::-2]
    model = GradientPopularityAdjuster(host, normalize_users=False)
    model.fit(X[:100], user_ids=ids)
    np.testing.assert_allclose(
        model.popularity_direction_, unit(U[ids].sum(0)), atol=1e-6
    )
    model.fit(X[:100])
    folded = host.encode_users(X[:100])
    np.testing.assert_allclose(
        model.popularity_direction_, unit(folded.sum(0)), atol=1e-5
    )


def test_a_host_with_a_decoder_is_refused(tables, X):
    module = torch.nn.Linear(100, D)
    host = as_recommender(
        TorchRecommender(
            module,
            encoder="forward",
            n_items=100,
            decoder=lambda module, U: torch.sigmoid(U @ module.weight),
        )
    )
    message = r"^`recommender` must score by inner products; got a host with .*\.$"
    with pytest.raises(ValueError, match=message):
        GradientPopularityAdjuster(host).fit(X)
    with pytest.raises(ValueError, match=message):
        fit(as_recommender(tables[:2]), X).with_host(host)


@pytest.mark.parametrize(
    ("params", "gradients", "message"),
    [
        ({"loss": "hinge"}, None, "The 'loss' parameter"),
        ({"direction": "global"}, None, "The 'direction' parameter"),
        ({"n_samples": 0}, None, "The 'n_samples' parameter"),
        ({"alpha": 0.0}, None, "The 'alpha' parameter"),
        ({"beta": np.nan}, None, "The 'beta' parameter"),
        ({"gamma": np.inf}, None, "The 'gamma' parameter"),
        (
            {"direction": "positive_gradient"}, None,
            r"^`loss` must be 'bpr', 'bce' or 'als' .*got None with ArrayRecommender\.",
        ),
        ({"direction": "recorded"}, None, r"^`gradients` must be given with direction"),
        ({}, np.ones(D), r"^`gradients` must be None unless direction='recorded'; got"),
    ],
)  # fmt: skip
def test_bad_parameters(tables, X, params, gradients, message):
    model = GradientPopularityAdjuster(as_recommender(tables), **params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, gradients=gradients)


@pytest.mark.parametrize(
    ("gradients", "error", "message"),
    [
        (np.ones(D - 1), ValueError, r"must have shape \(6,\), or 100 rows .*\(5,\)"),
        (np.ones((D, 100)), ValueError, r"must have shape \(6,\), .*got \(6, 100\)"),
        (np.ones((3, D)), ValueError, r"must have shape \(6,\), or 100 rows of that"),
        (np.ones((1, 1, D)), ValueError, r"must have shape \(6,\), .*got \(1, 1, 6\)"),
        (np.full(D, np.nan), ValueError, r"^`gradients` of items must be finite; got"),
        (np.array(["a"] * D), TypeError, r"^`gradients` of items must hold numbers"),
        (np.zeros(D), ValueError, r"^`direction` must give a sum that is not 0; got"),
        ((np.ones(D),) * 3, ValueError, r"^`gradients` must be .*got a tuple of 3\."),
        (
            (np.ones(D), np.ones((5, D + 1))), ValueError,
            r"^`gradients` of users must have shape \(6,\) or \(6,\), or a row each",
        ),
    ],
)  # fmt: skip
def test_bad_gradients(tables, X, gradients, error, message):
    host = as_recommender(tables[:2])
    model = GradientPopularityAdjuster(host, direction="recorded")
    with pytest.raises(error, match=message):
        model.fit(X, gradients=gradients)


def test_gradients_of_a_host_with_a_bias(tables, X):
    model = GradientPopularityAdjuster(as_recommender(tables), direction="recorded")
    with pytest.raises(ValueError, match=r"\(7,\), .* An item bias comes as the last"):
        model.fit(X, gradients=np.ones(D))
    model.fit(X, gradients=(np.ones(D + 1), np.ones(D)))
    assert model.conformity_direction_[-1] == 0


def test_gradients_of_both_roles_of_a_pairwise_loss(tables, X):
    U, V = tables[:2]
    positive, negative = bpr_by_score(U, V, X)
    host = as_recommender((U, V))
    model = GradientPopularityAdjuster(host, direction="recorded")
    both = positive.T @ U + negative.T @ U
    assert both.sum(axis=0).any()
    with pytest.raises(ValueError, match=r"^`direction` must give a sum that is not 0"):
        model.fit(X, gradients=both)
    # Those of positives alone are the direction that is computed anew.
    model.fit(X, gradients=(positive.T @ U, (positive + negative) @ V))
    anew = fit(
        host, X, direction="positive_gradient", loss="bpr", normalize_users=False
    )
    for name in ("popularity_direction_", "conformity_direction_"):
        np.testing.assert_allclose(getattr(model, name), getattr(anew, name), atol=1e-5)


def test_users_that_cancel_out(X):
    U = np.tile([[1.0, 2.0], [-1.0, -2.0]], (100, 1))
    host = as_recommender((U, np.random.default_rng(0).normal(size=(100, 2))))
    with pytest.raises(ValueError, match=r"^`direction` must give a sum that is not 0"):
        fit(host, X)


def test_items_that_are_equally_popular(tables):
    X = np.ones((200, 100))
    host = as_recommender(tables[:2])
    model = fit(host, X)
    assert not model.conformity_direction_.any()
    for turn in (
        lambda: fit(host, X, gamma=0.5),
        lambda: model.set_params(gamma=0.5).predict(X, user_ids=IDS),
    ):
        with pytest.raises(ValueError, match=r"^`gamma` must be 0 where there is no "):
            turn()


def test_no_interactions():
    host = as_recommender(TruncatedSVD(2, random_state=0).fit(np.eye(5) + 1))
    for way in ({}, {"direction": "positive_gradient", "loss": "bpr"}):
        with pytest.raises(ValueError, match=r"^`direction` must give a sum that is"):
            GradientPopularityAdjuster(host, **way).fit(csr_array((3, 5)))


@pytest.mark.parametrize("name", ["beta", "gamma"])
def test_a_strength_beyond_float32_is_named(arrays, X, name):
    model = fit(arrays, X).set_params(**{"beta": 1.0, "gamma": 1.0, name: 1e39})
    line = f"^`{name}` must leave scores that float32 holds"
    with pytest.raises(ValueError, match=line):
        model.decision_function(X)
    with pytest.raises(ValueError, match=line):
        model.export_embeddings(X)
