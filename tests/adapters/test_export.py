"""What is exported serves the steered lists without the package that steered them."""

import copy
from functools import cache

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.cpu.lmf import LogisticMatrixFactorization
from scipy.sparse import csr_matrix
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_limits

from skpopsteer import (
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from tests.hosts import HOSTS, LINEAR, N_ITEMS, WAYS, WIDTH, snapshot

K = 10
#: Not in order: a row is served from where it stands in X.
ROWS = np.arange(60)[::-1].copy()
SIDES = {
    "user": {"strength": 2.0},
    "item": {"side": "item", "rule": "scale"},
    "both": {"side": "both", "rule": "scale"},
    "item, by user": {"side": "item", "rule": "scale", "user_strength": "profile"},
    "both, by user": {"side": "both", "rule": "scale", "user_strength": "profile"},
}
WAYS = [pair for pair in WAYS if pair[0] in LINEAR]
KINDS = {
    "als": AlternatingLeastSquares,
    "bpr": BayesianPersonalizedRanking,
    "lmf": LogisticMatrixFactorization,
}


@cache
def _fitted(name, lever):
    host = HOSTS[name]()
    if lever == "penalty":
        return PopularityPenaltyReranker(host.recommender, strength=0.3).fit(host.X)
    probe = SparseAutoencoderProbe(32, k=4, max_iter=2, random_state=0)
    params = {"random_state": 0, **SIDES[lever]}
    return SteeredRecommender(
        host.recommender, probe=probe, **({"rule": "shift"} | params)
    ).fit(host.X)


def _with(model, **params):
    """Copy the shell of a fitted model, with other knobs."""
    return copy.copy(model).set_params(**params)


def _assert_same_lists(ids, model, arguments, **knobs):
    """Equal item for item, but for float ties judged by the model's own scores."""
    expected = model.recommend(**arguments, n_recommendations=K, **knobs)
    differ = ids != expected
    assert differ.mean() <= 0.01
    if differ.any():
        scores = model.decision_function(**arguments)
        ours, theirs = (np.take_along_axis(scores, i, 1) for i in (ids, expected))
        np.testing.assert_allclose(ours[differ], theirs[differ], rtol=1e-4)


def _served(model, X, **params):
    return model.recommend(
        np.arange(X.shape[0]), csr_matrix(X, dtype=np.float32), N=K, **params
    )


@pytest.mark.parametrize("lever", [*SIDES, "penalty"])
@pytest.mark.parametrize(("name", "way"), WAYS)
def test_vectors_and_implicit_give_the_steered_lists(name, way, lever, tmp_path):
    host, model = HOSTS[name](), _fitted(name, lever)
    arguments = host.arguments(way, ROWS)
    X = arguments["X"]
    vectors = model.export_embeddings(**arguments)
    plain = as_recommender(tuple(vectors.values()))
    ids = plain.recommend(X, K, user_ids=np.arange(len(ROWS)))
    _assert_same_lists(ids, model, arguments)
    served = model.to_implicit(**arguments)
    ids, scores = _served(served, X)
    _assert_same_lists(ids, model, arguments)
    served.save(str(tmp_path / "model.npz"))
    loaded = type(served).load(str(tmp_path / "model.npz"))
    for again, before in zip(_served(loaded, X), (ids, scores), strict=True):
        np.testing.assert_array_equal(again, before)
    # Or a host without any steering would pass.
    own, _ = host.own_lists(way, ROWS, K)
    assert (ids != own).mean() > 0.02


@pytest.mark.parametrize(
    ("lever", "params"),
    [
        ("user", {"rule": "clamp", "strength": 0.5}),
        ("user", {"unpopular_strength": 0.3}),
        ("user", {"reconstruction": "replace"}),
        ("user", {"user_strength": "profile"}),
        ("both", {"user_strength": lambda X: np.arange(X.shape[0]) % 3}),
        ("both", {"item_strength": -1.0}),
        ("penalty", {"strength": -0.2}),
    ],
)
def test_knobs_are_baked_as_they_stand(lever, params):
    host = HOSTS["als"]()
    model = _with(_fitted("als", lever), **params)
    arguments = host.arguments("user_ids", ROWS)
    ids, _ = _served(model.to_implicit(**arguments), arguments["X"])
    _assert_same_lists(ids, model, arguments)
    assert (ids != _fitted("als", lever).recommend(**arguments)).any()


@pytest.mark.parametrize("lever", [*SIDES, "penalty"])
@pytest.mark.parametrize("strength", [0, 0.5, -1.0])
def test_strength_of_the_call_takes_the_place_of_the_models(lever, strength):
    host, model = HOSTS["bpr"](), _fitted("bpr", lever)
    arguments = host.arguments("user_ids", ROWS)
    X = arguments["X"]
    vectors = model.export_embeddings(**arguments, strength=strength)
    plain = as_recommender(tuple(vectors.values()))
    ids = plain.recommend(X, K, user_ids=np.arange(len(ROWS)))
    _assert_same_lists(ids, model, arguments, strength=strength)
    served, _ = _served(model.to_implicit(**arguments, strength=strength), X)
    _assert_same_lists(served, model, arguments, strength=strength)
    if strength == 0:
        own, _ = host.own_lists("user_ids", ROWS, K)
        np.testing.assert_array_equal(served, own)


@pytest.mark.parametrize("name", LINEAR)
def test_exports_are_new_arrays_of_the_documented_form(name):
    host = HOSTS[name]()
    for lever, width in [("user", WIDTH), ("both, by user", 2 * WIDTH)]:
        vectors = _fitted(name, lever).export_embeddings(host.X)
        assert list(vectors) == ["user_embeddings", "item_embeddings", "item_bias"]
        assert vectors.user_embeddings.shape == (host.X.shape[0], width)
        assert vectors.item_embeddings.shape == (N_ITEMS, width)
        assert (vectors.item_bias is None) == (host.recommender.item_bias_ is None)
        for table in vectors.values():
            if table is not None:
                assert table.dtype == np.float32
                # Nothing of it is memory of the host.
                table[:] = np.nan
    vectors = _fitted(name, "penalty").export_embeddings(host.X)
    assert vectors.item_bias.shape == (N_ITEMS,)
    np.testing.assert_equal(snapshot(host.model), host.trained)


@pytest.mark.parametrize("name", KINDS)
def test_a_host_of_implicit_gives_a_copy_of_its_kind(name):
    host = HOSTS[name]()
    for lever in SIDES:
        served = _fitted(name, lever).to_implicit(host.X)
        assert type(served) is type(host.model) is KINDS[name]
        kept = set(vars(served)) - {"user_factors", "item_factors", "factors"}
        for setting in kept - {"regularization"}:
            assert getattr(served, setting) == getattr(host.model, setting)
        n_extra = {"als": 0, "bpr": 1, "lmf": 2}[name]
        assert served.item_factors.shape[1] == served.factors + n_extra
        served.item_factors[:] = served.user_factors[:] = np.nan
    np.testing.assert_equal(snapshot(host.model), host.trained)


def _steer_als(**changes):
    """Steer a copy of the trained ALS whose attributes are changed."""
    als = copy.deepcopy(HOSTS["als"]().model)
    vars(als).update(changes)
    probe = SparseAutoencoderProbe(32, k=4, max_iter=2, random_state=0)
    model = SteeredRecommender(
        as_recommender(als), rule="shift", probe=probe, random_state=0
    )
    return als, model.fit(HOSTS["als"]().X)


def test_a_generator_is_not_shared_with_the_host():
    als, model = _steer_als(random_state=np.random.default_rng(0))
    served = model.to_implicit(HOSTS["als"]().X)
    assert served.random_state is not als.random_state
    assert served.random_state.random() == als.random_state.random()


def test_factors_of_double_precision_become_single():
    factors = vars(HOSTS["als"]().model)
    names = ("user_factors", "item_factors")
    doubles = {name: factors[name].astype(np.float64) for name in names}
    _, model = _steer_als(**doubles, dtype=np.dtype(np.float64))
    X = HOSTS["als"]().X
    served = model.to_implicit(X)
    assert served.user_factors.dtype == served.dtype == np.float32
    _assert_same_lists(_served(served, X)[0], model, {"X": X})


@pytest.mark.parametrize("name", ["als", "truncated_svd", "pca", "arrays_with_bias"])
def test_what_als_cannot_hold_goes_into_bpr(name):
    host = HOSTS[name]()
    model = _fitted(name, "penalty")
    served = model.to_implicit(host.X)
    assert type(served) is BayesianPersonalizedRanking
    vectors = model.export_embeddings(host.X)
    np.testing.assert_array_equal(served.item_factors[:, -1], vectors.item_bias)
    assert (served.user_factors[:, -1] == 1).all()
    if name == "als":
        assert served.num_threads == host.model.num_threads == 1


def test_scores_of_lmf_keep_the_user_bias_that_implicit_adds():
    host, model = HOSTS["lmf"](), _fitted("lmf", "user")
    arguments = host.arguments("user_ids", ROWS)
    served = model.to_implicit(**arguments, strength=0)
    np.testing.assert_array_equal(served.user_factors, host.model.user_factors[ROWS])
    np.testing.assert_array_equal(served.item_factors, host.model.item_factors)
    # A row that was folded in has none.
    assert (model.to_implicit(host.X[ROWS]).user_factors[:, -1] == 0).all()


def test_an_exported_als_never_folds_in_without_steering(tmp_path):
    host = HOSTS["als"]()
    served = _fitted("als", "user").to_implicit(host.X)
    served.save(str(tmp_path / "model.npz"))
    loaded = AlternatingLeastSquares.load(str(tmp_path / "model.npz"))
    X = csr_matrix(host.X, dtype=np.float32)
    uses = [
        lambda model: _served(model, X, recalculate_user=True),
        lambda model: model.partial_fit_users(np.arange(200), X),
        lambda model: model.recalculate_user(3, X[3]),
        lambda model: as_recommender(model).predict(X),
    ]
    for model in (served, loaded):
        for use in uses:
            # implicit's own words, or ours around them.
            said = "posv|where the solver fails"
            with threadpool_limits(1, "blas"), pytest.raises(ValueError, match=said):
                use(model)


@pytest.mark.parametrize("name", ["bpr", "lmf", "truncated_svd"])
def test_other_exports_have_no_fold_in(name):
    host = HOSTS[name]()
    served = _fitted(name, "user").to_implicit(host.X)
    with pytest.raises(NotImplementedError, match="recalculate_user"):
        _served(served, host.X, recalculate_user=True)


def test_caches_of_the_host_do_not_reach_the_copy():
    als, model = _steer_als()
    with threadpool_limits(1, "blas"):
        filled = als.item_norms, als.user_norms, als.YtY, als.XtX
    assert all(cache is not None for cache in filled)
    served = model.to_implicit(HOSTS["als"]().X)
    for similar, factors in [
        (served.similar_items, served.item_factors),
        (served.similar_users, served.user_factors),
    ]:
        directions = factors / np.linalg.norm(factors, axis=1, keepdims=True)
        cosines = np.sort(directions @ directions[0])[::-1]
        np.testing.assert_allclose(similar(0, N=3)[1], cosines[:3], rtol=1e-4)


def test_rows_stand_where_they_stand_in_X():
    host, model = HOSTS["als"](), _fitted("als", "user")
    every = model.export_embeddings(host.X, np.arange(200)).user_embeddings
    some = model.export_embeddings(host.X[[150, 3]], [150, 3]).user_embeddings
    np.testing.assert_allclose(some, every[[150, 3]], rtol=1e-5)


@pytest.mark.parametrize("method", ["export_embeddings", "to_implicit"])
def test_what_vectors_cannot_hold_is_refused_in_one_line(method):
    X = HOSTS["mult_vae"]().X
    for lever in ("user", "penalty"):
        kept = _with(_fitted("als", lever), keep_top=2)
        with pytest.raises(
            ValueError, match=r"^`keep_top` must be 0 .*got 2\. [^\n]*$"
        ):
            getattr(kept, method)(X)
        nonlinear = _fitted("mult_vae", lever)
        with pytest.raises(ValueError, match=r"^`recommender` must score by [^\n]*$"):
            getattr(nonlinear, method)(X)


@pytest.mark.parametrize("method", ["export_embeddings", "to_implicit"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"strength": "far"},
            r"^`strength` must be a finite number or None; got 'far'",
        ),
        ({"strength": np.nan}, r"^`strength` must be a finite number or None; got nan"),
        ({"user_ids": [1]}, r"^`user_ids` must "),
        ({"user_ids": np.full(200, 200)}, r"^`user_ids` must "),
    ],
)
def test_bad_arguments_give_one_line(method, arguments, message):
    for lever in ("user", "penalty"):
        with pytest.raises(ValueError, match=message):
            getattr(_fitted("als", lever), method)(HOSTS["als"]().X, **arguments)


@pytest.mark.parametrize("kind", [SteeredRecommender, PopularityPenaltyReranker])
def test_an_unfitted_model_has_nothing_to_export(kind):
    host = HOSTS["als"]()
    for method in ("export_embeddings", "to_implicit"):
        with pytest.raises(NotFittedError):
            getattr(kind(host.recommender), method)(host.X)
