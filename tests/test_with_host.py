"""A fitted model goes on around a host whose catalogue, or training, has grown."""

import copy
import pickle

import numpy as np
import pytest
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_limits

from skpopsteer import (
    ImplicitRecommender,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import make_interactions
from skpopsteer.model_selection import hide_interactions
from tests.hosts import HOSTS

N_USERS, N_OLD, N_ITEMS = 200, 100, 112
IDS = np.arange(N_USERS)
OLD, NEW = slice(N_OLD), slice(N_OLD, N_ITEMS)
SIDES = ["user", "item", "both"]


@pytest.fixture(scope="module")
def grown():
    """Interactions with the whole catalogue, of which `X` has the first items."""
    return make_interactions(N_USERS, N_ITEMS, random_state=0).X


@pytest.fixture(scope="module")
def X(grown):
    return csr_array(grown[:, OLD])


@pytest.fixture(scope="module")
def tables(grown):
    """Embeddings of the users and the whole catalogue, and a bias of the items."""
    U, S, Vt = np.linalg.svd(grown.toarray(), full_matrices=False)
    bias = np.random.default_rng(0).normal(scale=0.1, size=N_ITEMS)
    return (
        (U[:, :8] * S[:8]).astype("f4"),
        Vt[:8].T.astype("f4"),
        bias.astype("f4"),
    )


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "bias"])
def hosts(request, tables):
    """One host of the old catalogue, and one of the whole."""
    U, V, bias = tables
    biases = ([bias[OLD]], [bias]) if request.param else ([], [])
    return tuple(
        as_recommender((U, rows, *more))
        for rows, more in zip((V[OLD], V), biases, strict=True)
    )


def fit(host, X, **params):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    params = {"probe": probe, "random_state": 0, **params}
    return SteeredRecommender(host, **({"rule": "shift"} | params)).fit(X, user_ids=IDS)


@pytest.fixture(scope="module", params=SIDES)
def steered(request, hosts, X):
    return fit(hosts[0], X, side=request.param, strength=1.5)


@pytest.fixture(scope="module")
def plain(tables, X):
    U, V, _ = tables
    return fit(as_recommender((U, V[OLD])), X)


@pytest.fixture(scope="module")
def plain_host(tables):
    U, V, _ = tables
    return as_recommender((U, V))


def closed_form(model, U, V, bias):
    """Multiply steered users with steered items."""
    user_push, item_push = model._pushes(None)
    moved = [
        rows if push is None else model._side(name).move(
            rows, push, rule=model.rule, reconstruction=model.reconstruction
        )
        for name, rows, push in (("user", U, user_push), ("item", V, item_push))
    ]  # fmt: skip
    scores = moved[0].astype("f8") @ moved[1].astype("f8").T
    return scores if bias is None else scores + bias


def test_items_of_both_kinds_are_steered(steered, hosts, X, grown):
    before = steered.decision_function(X, user_ids=IDS)
    model = steered.with_host(hosts[1])
    scores = model.decision_function(grown, user_ids=IDS)
    assert scores.shape == (N_USERS, N_ITEMS)
    np.testing.assert_allclose(scores[:, OLD], before, atol=1e-6)
    host = hosts[1]
    expected = closed_form(
        steered, host.user_embeddings_, host.item_embeddings_, host.item_bias_
    )
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    unsteered = host.decision_function(grown, user_ids=IDS)
    assert np.abs(scores - unsteered)[:, NEW].max() > 0.01


def test_new_items_enter_lists(steered, hosts, grown):
    model = steered.with_host(hosts[1])
    ids, values = model.recommend(grown, user_ids=IDS, return_scores=True)
    assert (ids >= N_OLD).any()
    assert ids.max() < N_ITEMS
    scores = model.decision_function(grown, user_ids=IDS)
    scores[grown.nonzero()] = -np.inf
    expected = -np.sort(-scores, axis=1)[:, :10]
    np.testing.assert_allclose(values, expected, atol=1e-6)
    alone = model.recommend(
        grown, 3, user_ids=IDS, candidates=np.arange(N_OLD, N_ITEMS)
    )
    assert ((alone >= N_OLD) | (alone == -1)).all()
    assert np.array_equal(
        model.recommend(grown, user_ids=IDS, strength=0),
        hosts[1].recommend(grown, user_ids=IDS),
    )


def test_rows_are_folded_in_by_the_new_host(plain, plain_host, grown):
    model = plain.with_host(plain_host)
    folded = plain_host.encode_users(grown)
    assert not np.allclose(folded, plain_host.encode_users(grown, user_ids=IDS))
    V = plain_host.item_embeddings_
    np.testing.assert_allclose(
        model.decision_function(grown), closed_form(plain, folded, V, None), atol=1e-5
    )


@pytest.mark.parametrize("side", SIDES)
def test_als_that_has_grown_in_place(X, grown, side):
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(
            factors=8, iterations=10, num_threads=1, random_state=0
        )
        als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
    host = as_recommender(als)
    model = fit(host, X, side=side)
    before = model.decision_function(X, user_ids=IDS)
    V = als.item_factors.copy()
    with threadpool_limits(1, "blas"):
        als.partial_fit_items(
            np.arange(N_OLD, N_ITEMS), csr_matrix(grown[:, NEW].T, dtype=np.float32)
        )
    assert host.n_items_ == N_ITEMS
    assert np.array_equal(als.item_factors[OLD], V)
    assert (np.linalg.norm(als.item_factors[NEW], axis=1) > 0).all()
    for call in (
        model.recommend,
        model.predict,
        model.transform,
        model.decision_function,
        model.export_embeddings,
    ):
        for rows in (X, grown):
            with pytest.raises(
                ValueError,
                match=r"^`recommender` must have as many items as in fit \(100\); it "
                r"has 112 by now\. Go on with model\.with_host\(recommender\)\.$",
            ):
                call(rows, user_ids=IDS)
    again = model.with_host(host)
    scores = again.decision_function(grown, user_ids=IDS)
    np.testing.assert_allclose(scores[:, OLD], before, atol=1e-6)
    expected = closed_form(model, als.user_factors, als.item_factors, None)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    lists = again.recommend(grown, user_ids=IDS, exclude_seen=False)
    assert (lists >= N_OLD).any()
    # Rows are folded in with the new items.
    with threadpool_limits(1, "blas"):
        folded = als.recalculate_user(IDS, csr_matrix(grown, dtype=np.float32))
    np.testing.assert_allclose(
        again.decision_function(grown),
        closed_form(model, folded, als.item_factors, None),
        atol=1e-5,
    )


def test_the_penalty_of_new_items_is_that_of_what_is_known(hosts, X, grown):
    model = PopularityPenaltyReranker(hosts[0], strength=0.05).fit(X)
    before = model.decision_function(X, user_ids=IDS)
    own = hosts[1].decision_function(grown, user_ids=IDS)
    again = model.with_host(hosts[1])
    scores = again.decision_function(grown, user_ids=IDS)
    np.testing.assert_allclose(scores[:, OLD], before, atol=1e-6)
    np.testing.assert_allclose(scores[:, NEW], own[:, NEW], atol=1e-6)
    popularity = np.arange(N_ITEMS)
    counted = model.with_host(hosts[1], item_popularity=popularity)
    np.testing.assert_allclose(
        counted.decision_function(grown, user_ids=IDS),
        own - 0.05 * np.log(np.maximum(popularity, 1)),
        atol=1e-6,
    )
    ids = again.recommend(grown, user_ids=IDS)
    assert (ids >= N_OLD).any()
    assert not hasattr(again, "item_groups_")


def test_popularity_and_groups_are_extended(plain, plain_host, X):
    model = plain.with_host(plain_host)
    counts = np.asarray((X > 0).sum(axis=0)).ravel()
    assert np.array_equal(model.item_popularity_, np.r_[counts, np.zeros(12)])
    assert np.array_equal(model.item_groups_[OLD], plain.item_groups_)
    assert (model.item_groups_[NEW] == -1).all()
    assert model.item_groups_.dtype == plain.item_groups_.dtype
    assert model.n_features_in_ == N_ITEMS
    assert model.n_users_ == N_USERS


@pytest.mark.parametrize("shape", [(N_ITEMS,), (1, N_ITEMS)], ids=str)
def test_popularity_that_is_given_is_taken(plain, plain_host, shape):
    popularity = np.random.default_rng(0).integers(0, 5000, N_ITEMS)
    given = popularity.reshape(shape)
    model = plain.with_host(plain_host, item_popularity=given)
    assert np.array_equal(model.item_popularity_, popularity)
    # An item cannot have had more users than there are.
    assert model.n_users_ == popularity.max()
    fewer = plain.with_host(plain_host, item_popularity=np.minimum(given, 150))
    assert fewer.n_users_ == N_USERS
    for bad, message in [
        (popularity[OLD], r"one value per item \(112\); got shape \(100,\)"),
        (popularity - 5000.0, "finite numbers >= 0; got -"),
    ]:
        with pytest.raises(ValueError, match=f"`item_popularity` must hold {message}"):
            plain.with_host(plain_host, item_popularity=bad)


def test_the_original_is_as_it_was_and_shares_what_was_trained(
    steered, hosts, X, grown
):
    state, lists = copy.copy(vars(steered)), steered.recommend(X, user_ids=IDS)
    tables = {
        name: value.copy()
        for name, value in state.items()
        if isinstance(value, np.ndarray)
    }
    model = steered.with_host(hosts[1])
    model.set_params(strength=3.0).recommend(grown, user_ids=IDS)
    for host in hosts:
        one = steered.with_host(host)
        one.item_popularity_[:] = one.item_groups_[:] = 0
    assert list(vars(steered)) == list(state)
    assert all(vars(steered)[name] is value for name, value in state.items())
    for name, value in tables.items():
        np.testing.assert_array_equal(vars(steered)[name], value)
    assert np.array_equal(steered.recommend(X, user_ids=IDS), lists)
    assert model.recommender is model.recommender_ is hosts[1]
    for name in ("_user_side", "_item_side"):
        assert getattr(model, name) is getattr(steered, name)


def test_parameters_are_those_of_the_model_and_fit_takes_the_new_host(
    plain, plain_host, grown
):
    model = plain.with_host(plain_host)
    mine, others = model.get_params(deep=False), plain.get_params(deep=False)
    assert mine.pop("recommender") is plain_host
    others.pop("recommender")
    assert mine == others
    fitted = clone(model).fit(grown, user_ids=IDS)
    assert fitted.recommender_ is plain_host
    assert fitted.n_features_in_ == N_ITEMS


def test_names_of_columns_are_dropped_with_new_columns_only(plain, plain_host, X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.toarray(), columns=[f"item {i}" for i in range(N_OLD)])
    model = copy.copy(plain).fit(frame, user_ids=IDS)
    again = model.with_host(plain_host)
    assert not hasattr(again, "feature_names_in_")
    assert len(model.feature_names_in_) == N_OLD
    same = model.with_host(model.recommender_)
    assert np.array_equal(same.feature_names_in_, model.feature_names_in_)
    assert np.array_equal(
        same.recommend(frame, user_ids=IDS), model.recommend(frame, user_ids=IDS)
    )


def test_the_copy_travels(steered, hosts, grown):
    model = steered.with_host(hosts[1])
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(
        again.decision_function(grown, user_ids=IDS),
        model.decision_function(grown, user_ids=IDS),
    )
    assert again.n_features_in_ == N_ITEMS


@pytest.mark.parametrize("given", [False, True])
def test_histories_may_hold_new_items(hosts, X, grown, given):
    model = fit(hosts[0], X, user_strength="profile")
    popularity = np.asarray((X > 0).sum(axis=0)).ravel()

    def taste(rows, counts):
        log = np.log(np.maximum(counts, 1))
        return [log.max() - log[row > 0].mean() for row in rows.toarray()]

    mean = np.mean(taste(X, popularity))
    counts = np.r_[popularity, np.zeros(12)]
    if given:
        counts = np.asarray((grown > 0).sum(axis=0)).ravel()
    again = model.with_host(hosts[1], item_popularity=counts if given else None)
    factors = np.array(taste(grown, counts)) / mean
    by_hand = copy.copy(again).set_params(user_strength=lambda X: factors)
    assert (grown[:, NEW].sum(axis=1) > 0).any()
    np.testing.assert_allclose(
        again.decision_function(grown, user_ids=IDS),
        by_hand.decision_function(grown, user_ids=IDS),
        atol=1e-5,
    )
    plain = copy.copy(again).set_params(user_strength=None)
    assert not np.allclose(
        again.transform(grown, user_ids=IDS), plain.transform(grown, user_ids=IDS)
    )
    # Nothing but new items: as far from the most popular as can be.
    row = csr_array(np.r_[np.zeros(N_OLD), np.ones(12)][None])
    assert again.recommend(row, user_ids=[0]).shape == (1, 10)


def test_users_who_are_new_to_the_host(plain, tables):
    U, V, _ = tables
    more = np.random.default_rng(1).normal(size=(7, 8)).astype("f4")
    host = as_recommender((np.vstack([U, more]), V))
    model = plain.with_host(host)
    rows = csr_array((7, N_ITEMS))
    scores = model.decision_function(rows, user_ids=np.arange(N_USERS, N_USERS + 7))
    expected = closed_form(plain, more, host.item_embeddings_, None)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    with pytest.raises(ValueError, match="`user_ids` must be positions of trained"):
        model.recommend(csr_array((1, N_ITEMS)), user_ids=[N_USERS + 7])
    with pytest.raises(ValueError, match="`user_ids` must be positions of trained"):
        plain.recommend(csr_array((1, N_OLD)), user_ids=[N_USERS])


def test_a_host_that_went_on_training(steered, hosts, X):
    """Same items, other embeddings: those of the new host are steered."""
    host = hosts[0]
    rng = np.random.default_rng(2)
    U = host.user_embeddings_ + rng.normal(scale=0.05, size=(N_USERS, 8)).astype("f4")
    V = host.item_embeddings_ + rng.normal(scale=0.05, size=(N_OLD, 8)).astype("f4")
    bias = host.item_bias_
    model = steered.with_host(as_recommender((U, V, *([] if bias is None else [bias]))))
    scores = model.decision_function(X, user_ids=IDS)
    np.testing.assert_allclose(scores, closed_form(steered, U, V, bias), atol=1e-5)
    assert not np.allclose(scores, steered.decision_function(X, user_ids=IDS))


def test_two_steps_are_one(steered, hosts, tables, grown):
    U, V, bias = tables
    biases = [] if hosts[1].item_bias_ is None else [bias[:105]]
    between = as_recommender((U, V[:105], *biases))
    twice = steered.with_host(between).with_host(hosts[1])
    once = steered.with_host(hosts[1])
    assert np.array_equal(twice.item_popularity_, once.item_popularity_)
    assert np.array_equal(twice.item_groups_, once.item_groups_)
    assert np.array_equal(
        twice.decision_function(grown, user_ids=IDS),
        once.decision_function(grown, user_ids=IDS),
    )


def test_vectors_of_the_whole_catalogue_are_exported(steered, hosts, grown):
    model = steered.with_host(hosts[1])
    vectors = model.export_embeddings(grown, user_ids=IDS)
    scores = vectors.user_embeddings @ vectors.item_embeddings.T
    if vectors.item_bias is not None:
        scores += vectors.item_bias
    expected = model.decision_function(grown, user_ids=IDS)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_hosts_that_cannot_be_gone_on_with(plain, tables):
    U, V, _ = tables
    for host, message in [
        (as_recommender((U, V[:90])), r"the items of fit \(100\), .*; got 90\."),
        (as_recommender((U[:, :5], V[:, :5])), r"embeddings .* width \(8\); got 5\."),
    ]:
        with pytest.raises(ValueError, match=f"^`recommender` must have {message}"):
            plain.with_host(host)
    for other in (plain, (U, V), V, None):
        with pytest.raises(
            TypeError, match=r"^`recommender` must be a fitted host; go"
        ):
            plain.with_host(other)
    with threadpool_limits(1, "blas"):
        untrained = ImplicitRecommender(AlternatingLeastSquares(factors=8))
    with pytest.raises(NotFittedError, match=r"ImplicitRecommender .* not fitted yet"):
        plain.with_host(untrained)
    with pytest.raises(NotFittedError, match=r"SteeredRecommender .* not fitted yet"):
        clone(plain).with_host(as_recommender((U, V)))


def test_a_cache_of_rows_tells_hosts_apart(hosts, grown, tmp_path):
    seen, y = hide_interactions(grown, random_state=0)
    old = csr_array(seen[:, OLD])
    model = fit(hosts[0], old, memory=str(tmp_path))
    model.score(old, csr_array(y[:, OLD]), user_ids=IDS)
    again = model.with_host(hosts[1])
    plain = copy.copy(again).set_params(memory=None)
    assert again.score(seen, y) == plain.score(seen, y)
    assert again.score(seen, y, user_ids=IDS) == plain.score(seen, y, user_ids=IDS)


def test_a_host_retrained_in_place_at_another_width(X):
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(factors=8, iterations=2, random_state=0)
        als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
        model = fit(as_recommender(als), X)
        als.factors, als.user_factors, als.item_factors = 5, None, None
        als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
    with pytest.raises(ValueError, match=r"^`recommender` must have .* \(8\); got 5\."):
        model.with_host(as_recommender(als))


def test_steered_items_need_a_host_that_has_them():
    linear, network = HOSTS["arrays"](), HOSTS["mult_vae"]().recommender
    assert network.has_nonlinear_decode
    model = fit(linear.recommender, linear.X, side="both")
    with pytest.raises(
        ValueError, match=r"^`side` must be 'user' for a host with a no"
    ):
        model.with_host(network)
    model = fit(linear.recommender, linear.X, rule="offset")
    with pytest.raises(ValueError, match=r"^`rule` must not be 'offset' for a host wi"):
        model.with_host(network)
