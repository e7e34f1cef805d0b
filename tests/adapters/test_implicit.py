"""What is particular about models of implicit."""

import copy
import pickle

import numpy as np
import pytest
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.lmf import LogisticMatrixFactorization
from implicit.nearest_neighbours import ItemItemRecommender
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_limits

from skpopsteer import ImplicitRecommender, as_recommender
from tests.hosts import HOSTS, N_ITEMS, N_USERS, WIDTH, snapshot

KINDS = [
    AlternatingLeastSquares,
    BayesianPersonalizedRanking,
    LogisticMatrixFactorization,
]
EVERYONE = np.arange(N_USERS)


def _untrained(kind, **params):
    with threadpool_limits(1, "blas"):
        return kind(factors=4, iterations=3, num_threads=1, random_state=0, **params)


@pytest.fixture
def bpr():
    return HOSTS["bpr"]()


@pytest.mark.parametrize("name", ["als", "bpr", "lmf"])
def test_embeddings_are_the_factors_without_extra_columns(name):
    host = HOSTS[name]()
    U, V = host.recommender.user_embeddings_, host.recommender.item_embeddings_
    np.testing.assert_array_equal(U, host.model.user_factors[:, :WIDTH])
    np.testing.assert_array_equal(V, host.model.item_factors[:, :WIDTH])
    n_extra = {"als": 0, "bpr": 1, "lmf": 2}[name]
    assert host.model.item_factors.shape[1] == WIDTH + n_extra


@pytest.mark.parametrize("name", ["als", "bpr"])
def test_scores_are_implicits_own(name):
    host = HOSTS[name]()
    scores = host.recommender.decision_function(host.X, user_ids=EVERYONE)
    own = host.own_scores("user_ids", EVERYONE)
    np.testing.assert_allclose(scores, own, rtol=1e-5, atol=1e-5)


def test_scores_of_lmf_are_implicits_own_up_to_the_user_bias():
    host = HOSTS["lmf"]()
    scores = host.recommender.decision_function(host.X, user_ids=EVERYONE)
    missing = host.own_scores("user_ids", EVERYONE) - scores
    user_bias = host.model.user_factors[:, -1:]
    assert np.abs(user_bias).max() > 0.1
    np.testing.assert_allclose(missing, np.tile(user_bias, N_ITEMS), atol=1e-4)


def test_als_has_no_bias_and_the_others_have_one():
    assert HOSTS["als"]().recommender.item_bias_ is None
    for name, column in [("bpr", -1), ("lmf", -2)]:
        host = HOSTS[name]()
        bias = host.recommender.item_bias_
        assert (bias.dtype, bias.shape) == (np.float32, (N_ITEMS,))
        np.testing.assert_array_equal(bias, host.model.item_factors[:, column])
        assert bias.std() > 0.01


def test_als_folds_in_as_recalculate_user_does():
    host = HOSTS["als"]()
    X = host.X[5:25]
    with threadpool_limits(1, "blas"):
        expected = copy.deepcopy(host.model).recalculate_user(
            np.arange(20), csr_matrix(X, dtype=np.float32)
        )
    np.testing.assert_array_equal(host.recommender.encode_users(X), expected)
    # A row is folded in from what it holds, wherever it stands.
    backwards = host.recommender.encode_users(X[np.arange(20)[::-1]])
    np.testing.assert_allclose(backwards[::-1], expected, rtol=1e-5)


@pytest.mark.parametrize("regularization", [0.0, 0.3, 1.0])
def test_bpr_folds_in_by_ridge_at_the_median_length(bpr, regularization):
    host = ImplicitRecommender(bpr.model, regularization=regularization)
    V = host.item_embeddings_.astype(np.float64)
    penalty = regularization * (V**2).sum() / WIDTH
    stacked = np.vstack([V, np.sqrt(penalty) * np.eye(WIDTH)])
    targets = np.vstack([bpr.X.toarray().T, np.zeros((WIDTH, N_USERS))])
    U = np.linalg.lstsq(stacked, targets, rcond=None)[0].T
    lengths = np.linalg.norm(host.user_embeddings_, axis=1)
    U *= np.median(lengths) / np.linalg.norm(U, axis=1, keepdims=True)
    np.testing.assert_allclose(host.encode_users(bpr.X), U, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["bpr", "lmf"])
def test_an_empty_row_is_ranked_by_the_bias_alone(name):
    host = HOSTS[name]()
    ids, scores = host.recommender.recommend(
        np.zeros((1, N_ITEMS)), N_ITEMS, return_scores=True
    )
    order = np.argsort(-host.recommender.item_bias_, kind="stable")
    np.testing.assert_array_equal(ids[0], order)
    np.testing.assert_array_equal(scores[0], host.recommender.item_bias_[order])


@pytest.mark.parametrize("kind", KINDS)
def test_fit_trains_a_copy_as_implicit_would(kind, interactions, container):
    model = _untrained(kind)
    host = ImplicitRecommender(model).fit(container(interactions))
    assert getattr(model, "item_factors", None) is None
    assert host.model is model
    assert host.model_ is not model
    own = _untrained(kind)
    with threadpool_limits(1, "blas"):
        own.fit(csr_matrix(interactions, dtype=np.float32), show_progress=False)
    np.testing.assert_array_equal(host.model_.item_factors, own.item_factors)
    again = host.fit(interactions).model_.item_factors
    np.testing.assert_array_equal(again, own.item_factors)


def test_a_clone_of_an_untrained_host_has_a_model_of_its_own(interactions):
    host = ImplicitRecommender(_untrained(AlternatingLeastSquares)).fit(interactions)
    copied = clone(host)
    assert copied.model is not host.model
    with pytest.raises(NotFittedError):
        copied.predict(interactions)


def test_an_untrained_host_must_be_fitted_first(interactions):
    host = ImplicitRecommender(_untrained(AlternatingLeastSquares))
    for method in [host.predict, host.decision_function, host.encode_users]:
        with pytest.raises(NotFittedError, match=r"^This ImplicitRecommender instance"):
            method(interactions)


def test_a_trained_host_refuses_to_be_fitted(bpr):
    before = snapshot(bpr.model)
    with pytest.raises(
        ValueError, match=r"^`fit` must be called on an untrained host only; got Implic"
    ):
        ImplicitRecommender(bpr.model).fit(bpr.X)
    np.testing.assert_equal(snapshot(bpr.model), before)


def test_a_clone_shares_the_trained_model(bpr):
    host = ImplicitRecommender(bpr.model, regularization=0.3)
    copied = clone(host)
    assert copied is not host
    assert copied.model.item_factors is bpr.model.item_factors
    assert copied.regularization == 0.3


def test_parameters_set_on_a_clone_do_not_reach_the_original(bpr):
    host = ImplicitRecommender(bpr.model)
    before = host.predict(bpr.X)
    clone(host).set_params(regularization=50.0, n_recommendations=3)
    assert (host.regularization, host.n_recommendations) == (1.0, 10)
    np.testing.assert_array_equal(host.predict(bpr.X), before)


def test_a_model_put_in_later_is_the_one_that_recommends(bpr):
    other = HOSTS["als"]()
    host = ImplicitRecommender(bpr.model)
    host.predict(bpr.X)
    host.set_params(model=other.model)
    expected = other.recommender.predict(bpr.X)
    np.testing.assert_array_equal(host.predict(bpr.X), expected)


@pytest.mark.parametrize("trained", [True, False])
def test_neighbourhood_models_have_no_embeddings(trained, interactions):
    model = ItemItemRecommender(K=5)
    if trained:
        model.fit(csr_matrix(interactions), show_progress=False)
    message = "^`model` must be a factorisation of implicit with embeddings"
    with pytest.raises(ValueError, match=message):
        ImplicitRecommender(model).fit(interactions)
    with pytest.raises((TypeError, ValueError), match=message):
        as_recommender(model)


@pytest.mark.parametrize("table", ["user_factors", "item_factors"])
def test_factors_that_are_no_numbers_give_one_clear_line(bpr, table):
    diverged = copy.deepcopy(bpr.model)
    getattr(diverged, table)[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"^`\w+` must [^\n]*it may have diverged"):
        as_recommender(diverged).recommend(bpr.X, user_ids=EVERYONE)


def test_a_negative_penalty_is_refused(bpr):
    host = ImplicitRecommender(bpr.model, regularization=-1.0)
    for use in [as_recommender, lambda host: host.recommend(bpr.X)]:
        with pytest.raises(ValueError, match=r"^The 'regularization' parameter"):
            use(host)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["als", "bpr"])
def test_models_of_the_gpu_are_read_and_leave_no_trace_of_it(kind, interactions):
    gpu = pytest.importorskip("implicit.gpu")
    if not gpu.HAS_CUDA:
        pytest.skip("needs a CUDA device, and rmm")
    module = pytest.importorskip(f"implicit.gpu.{kind}")
    name = {"als": "AlternatingLeastSquares", "bpr": "BayesianPersonalizedRanking"}
    # Widths the GPU takes as they are.
    model = getattr(module, name[kind])(factors=32, iterations=3, random_state=0)
    rows = csr_matrix(interactions, dtype=np.float32)
    model.fit(rows, show_progress=False)
    host, users = as_recommender(model), np.arange(rows.shape[0])
    scores = host.decision_function(interactions, user_ids=users)
    own = model.user_factors.to_numpy() @ model.item_factors.to_numpy().T
    np.testing.assert_allclose(scores, own, rtol=1e-4, atol=1e-5)
    assert isinstance(host.encode_users(interactions), np.ndarray)
    loaded = pickle.loads(pickle.dumps(host))
    assert isinstance(loaded.model_.item_factors, np.ndarray)
    np.testing.assert_allclose(
        loaded.decision_function(interactions, user_ids=users), scores, rtol=1e-6
    )


def test_factors_that_change_in_place_are_folded_in_as_they_are_now(interactions):
    rows = csr_matrix(interactions, dtype=np.float32)
    for kind in (AlternatingLeastSquares, BayesianPersonalizedRanking):
        model = _untrained(kind)
        with threadpool_limits(1, "blas"):
            model.fit(rows, show_progress=False)
        host = as_recommender(model)
        before = host.encode_users(interactions)
        factors = model.item_factors
        factors[:5] *= 3
        assert model.item_factors is factors
        model._YtY = None  # as implicit's own partial_fit_items does
        after = host.encode_users(interactions)
        assert np.abs(after - before).max() > 0.01
        fresh = as_recommender(copy.deepcopy(model)).encode_users(interactions)
        np.testing.assert_allclose(after, fresh, rtol=1e-4, atol=1e-6)
