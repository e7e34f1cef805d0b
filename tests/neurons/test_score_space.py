"""Selection in score space: regressions of a target on what neurons do to scores."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix, random_array
from sklearn.base import clone
from sklearn.linear_model import (
    LinearRegression,
    OrthogonalMatchingPursuit,
    Ridge,
    lasso_path,
)
from sklearn.utils import get_tags

from skpopsteer._compat import InvalidParameterError
from skpopsteer.neurons import PopularityNeuronSelector, _score_space
from skpopsteer.steering._selection import ItemProfiles

REGRESSIONS = ["score_omp", "score_lasso"]
NAMES = ["score_correlation", *REGRESSIONS]
N_NEURONS, N_ITEMS, WIDTH = 50, 300, 12


@pytest.fixture(scope="module")
def factors():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(N_NEURONS, WIDTH))
    directions *= rng.uniform(0.1, 5, size=(N_NEURONS, 1))
    # Off centre, as the items of a host are.
    items = rng.normal(size=(N_ITEMS, WIDTH)) + rng.normal(size=WIDTH)
    return ItemProfiles(directions.astype(np.float32), items.astype(np.float32))


@pytest.fixture(scope="module")
def profiles(factors):
    return factors.directions.astype(float) @ factors.item_embeddings.T.astype(float)


@pytest.fixture(scope="module")
def target(profiles):
    rng = np.random.default_rng(1)
    reached = rng.normal(size=N_NEURONS) @ profiles
    return 5 + reached / reached.std() + rng.normal(size=N_ITEMS)


def fit(name, profiles, target, *, fires=None, **params):
    fires = np.ones(profiles.shape[0]) if fires is None else np.asarray(fires)
    selector = PopularityNeuronSelector(name, **params)
    return selector.fit(fires[None, :], item_profiles=profiles, item_target=target)


def chosen(selector):
    return np.flatnonzero(selector.get_support()).tolist()


# Recovery


@pytest.mark.parametrize("name", REGRESSIONS)
@pytest.mark.parametrize("n_neurons", [3, None, 40])
@pytest.mark.parametrize("kind", ["factors", "table"])
def test_a_planted_combination_is_found_exactly(name, n_neurons, kind):
    rng = np.random.default_rng(2)
    directions, items = rng.normal(size=(60, 40)), rng.normal(size=(500, 40))
    planted = np.zeros(60)
    planted[[3, 17, 40]] = 2.0, -1.5, 0.7
    profiles = ItemProfiles(directions, items)
    target = 3 + planted @ profiles[:]
    profiles = profiles if kind == "factors" else profiles[:]
    selector = fit(name, profiles, target, n_neurons_to_select=n_neurons)
    assert chosen(selector) == [3, 17, 40]
    assert_allclose(selector.steering_weights_, planted, atol=1e-9)
    assert selector.target_r2_ == pytest.approx(1)


@pytest.mark.parametrize("name", NAMES)
def test_the_sign_is_that_of_the_target(name):
    rng = np.random.default_rng(3)
    items = rng.normal(size=(200, 5))
    profiles = np.vstack([items[:, 0], -items[:, 1], rng.normal(size=200)])
    selector = fit(name, profiles, 2 * items[:, 0] + items[:, 1], n_neurons_to_select=2)
    assert chosen(selector) == [0, 1]
    assert np.sign(selector.scores_[:2]).tolist() == [1, -1]
    assert np.sign(selector.steering_weights_).tolist() == [1, -1, 0]


# Against the direct computation


def test_scores_are_correlations(profiles, factors, target):
    expected = [np.corrcoef(profile, target)[0, 1] for profile in profiles]
    for form in (profiles, factors, csr_array(profiles)):
        assert_allclose(fit("score_omp", form, target).scores_, expected, atol=1e-9)


@pytest.mark.parametrize("n_neurons", [1, 4, 11])
def test_omp_is_scikit_learns_on_all_the_scores(profiles, factors, target, n_neurons):
    centred = (profiles - profiles.mean(axis=1, keepdims=True)).T
    norms = np.linalg.norm(centred, axis=0)
    direct = OrthogonalMatchingPursuit(n_nonzero_coefs=n_neurons)
    direct.fit(centred / norms, target)
    for form in (factors, profiles, csr_matrix(profiles), profiles.tolist()):
        selector = fit(
            "score_omp",
            form if hasattr(form, "shape") else np.array(form),
            target,
            n_neurons_to_select=n_neurons,
        )
        assert_allclose(selector.steering_weights_, direct.coef_ / norms, atol=1e-8)
        assert selector.target_r2_ == pytest.approx(
            direct.score(centred / norms, target)
        )
        assert selector.get_support().sum() == n_neurons


@pytest.mark.parametrize("n_neurons", [4, 5, 9])
def test_lasso_keeps_what_scikit_learns_keeps(profiles, factors, target, n_neurons):
    centred = (profiles - profiles.mean(axis=1, keepdims=True)).T
    norms = np.linalg.norm(centred, axis=0)
    y = target - target.mean()
    _, path, _ = lasso_path(
        centred / norms,
        y,
        alphas=np.geomspace(1, 1e-3, 100)
        * np.abs(y @ (centred / norms)).max()
        / N_ITEMS,
    )
    sizes = (path != 0).sum(axis=0)
    last = np.flatnonzero(sizes > n_neurons)[0] - 1
    support = np.flatnonzero(path[:, last])
    assert 0 < len(support) <= n_neurons
    selector = fit("score_lasso", factors, target, n_neurons_to_select=n_neurons)
    assert chosen(selector) == support.tolist()
    least_squares = LinearRegression().fit(profiles[support].T, target)
    assert_allclose(selector.steering_weights_[support], least_squares.coef_, atol=1e-8)
    assert selector.target_r2_ == pytest.approx(
        least_squares.score(profiles[support].T, target)
    )


def test_lasso_keeps_the_largest_where_several_enter_at_once(monkeypatch):
    monkeypatch.setattr(_score_space, "_N_PENALTIES", 2)
    profiles = np.eye(4, 8) - np.eye(4, 8, 4)
    target = np.array([3.0, 5, 1, 4]) @ profiles
    selector = fit("score_lasso", profiles, target, n_neurons_to_select=2)
    assert_allclose(selector.steering_weights_, [0, 5, 0, 4])


def test_a_neuron_may_be_needed_that_says_nothing_alone():
    profiles = np.array([[2.0, 0, 0, 0], [0, 1, 0, 0]])
    selector = fit("score_omp", profiles, [3.0, 1.001, 0, 0])
    assert 0 < selector.scores_[1] < 1e-3
    assert_allclose(selector.steering_weights_, [1.5, 1.001])


def test_the_criterion_says_how_many(profiles, factors, target):
    centred = (profiles - profiles.mean(axis=1, keepdims=True)).T
    norms = np.linalg.norm(centred, axis=0)
    criteria = []
    for n in range(1, WIDTH + 1):
        direct = OrthogonalMatchingPursuit(n_nonzero_coefs=n)
        left = target - direct.fit(centred / norms, target).predict(centred / norms)
        criteria.append(N_ITEMS * np.log(left @ left) + n * np.log(N_ITEMS))
    best = int(np.argmin(criteria)) + 1
    assert 1 < best < WIDTH
    assert fit("score_omp", factors, target).get_support().sum() == best


def ridge(profiles, target):
    """What scikit-learn makes of profiles of unit length."""
    centred = (profiles - profiles.mean(axis=1, keepdims=True)).T
    norms = np.linalg.norm(centred, axis=0)
    direct = Ridge(alpha=0.003, fit_intercept=False, solver="svd")
    return direct.fit(centred / norms, target - target.mean()).coef_ / norms


@pytest.mark.parametrize("name", REGRESSIONS)
def test_all_neurons_are_one_ridge_regression(name):
    rng = np.random.default_rng(7)
    profiles = rng.normal(size=(30, 200)) * rng.uniform(0.1, 5, size=(30, 1))
    target = rng.normal(size=200)
    expected = ridge(profiles, target)
    selector = fit(name, profiles, target, n_neurons_to_select="all")
    assert_allclose(selector.steering_weights_, expected, rtol=1e-8)
    told = np.corrcoef(expected @ profiles, target)[0, 1] ** 2
    assert selector.target_r2_ == pytest.approx(told)
    # What does not pass is not all.
    some = fit(name, profiles, target, n_neurons_to_select="all", threshold=0.05)
    passes = np.abs(some.scores_) >= 0.05
    assert 0 < passes.sum() < 30
    assert_array_equal(some.get_support(), passes)
    expected = ridge(profiles[passes], target)
    assert_allclose(some.steering_weights_[passes], expected, rtol=1e-8)


def test_as_many_neurons_as_items_tell_other_items():
    rng = np.random.default_rng(0)
    items, directions = rng.normal(size=(1_000, 8)), rng.normal(size=(500, 8))
    profiles = np.maximum(directions @ items.T, 0)
    target = np.linalg.norm(items, axis=1) + 0.1 * rng.normal(size=1_000)
    known, others = profiles[:, :500], profiles[:, 500:]
    selector = fit("score_omp", known, target[:500], n_neurons_to_select="all")
    assert selector.target_r2_ > 0.99
    told = [selector.steering_weights_ @ others]
    told.append(LinearRegression().fit(known.T, target[:500]).coef_ @ others)
    left = [np.var(target[500:] - one) / target[500:].var() for one in told]
    assert left[0] < 0.1 < 1 < left[1]


def test_more_neurons_than_tell_apart_are_weighed_too(profiles, factors, target):
    selector = fit("score_omp", factors, target, n_neurons_to_select="all")
    assert_allclose(selector.steering_weights_, ridge(profiles, target), rtol=1e-7)
    assert selector.get_support().all()
    # Nothing to regress on is nothing to turn.
    flat, items = np.ones((3, 200)), np.arange(200)
    flat = fit("score_omp", flat, items, n_neurons_to_select="all")
    assert not flat.get_support().any()


def test_all_is_no_limit_on_effect_sizes():
    rng = np.random.default_rng(8)
    Z, y = np.abs(rng.normal(size=(40, 6))), np.repeat([1, -1], 20)
    weights = [
        PopularityNeuronSelector(n_neurons_to_select=n).fit(Z, y).steering_weights_
        for n in ("all", None)
    ]
    assert_array_equal(*weights)


@pytest.mark.parametrize("first", [1, 2, 5])
def test_the_number_does_not_depend_on_where_the_search_starts(
    factors, target, first, monkeypatch
):
    expected = fit("score_omp", factors, target).steering_weights_
    monkeypatch.setattr(_score_space, "_FIRST_LENGTH", first)
    got = fit("score_omp", factors, target).steering_weights_
    assert_allclose(got, expected, atol=1e-10)


def test_items_in_blocks_are_the_same_items(factors, target, monkeypatch):
    expected = fit("score_omp", factors, target, n_neurons_to_select=6)
    monkeypatch.setattr(_score_space, "_BLOCK_ITEMS", 7)
    got = fit("score_omp", factors, target, n_neurons_to_select=6)
    assert_allclose(got.steering_weights_, expected.steering_weights_, atol=1e-10)


@pytest.mark.parametrize("density", [0.02, 0.1, 0.6])
def test_sparse_profiles_are_the_same_profiles(density, monkeypatch):
    # Several blocks of items, where products are dense ones.
    monkeypatch.setattr(_score_space, "_BLOCK_NUMBERS", 40 * 64)
    rng = np.random.default_rng(5)
    sparse = csr_array(random_array((40, 200), density=density, random_state=rng))
    target = rng.normal(size=200)
    for name in NAMES:
        dense = fit(name, sparse.toarray(), target, n_neurons_to_select=7)
        got = fit(name, sparse, target, n_neurons_to_select=7)
        assert_allclose(got.steering_weights_, dense.steering_weights_, atol=1e-9)


@pytest.mark.parametrize("density", [0.02, 0.6])
def test_profiles_that_come_in_blocks(density):
    rng = np.random.default_rng(5)
    table = random_array((40, 200), density=density, random_state=rng).toarray()
    table, target = table.astype(np.float32), rng.normal(size=200)
    parts = np.split(np.arange(200), [3, 100, 101])
    in_blocks = SimpleNamespace(
        shape=table.shape, blocks=lambda: (table[:, part].T for part in parts)
    )
    for name in NAMES:
        expected = fit(name, table, target, n_neurons_to_select=7)
        got = fit(name, in_blocks, target, n_neurons_to_select=7)
        assert_allclose(got.steering_weights_, expected.steering_weights_, atol=1e-6)
        assert_allclose(got.scores_, expected.scores_, atol=1e-6)
    in_blocks.shape = 39, 200
    with pytest.raises(ValueError, match=r"one row per neuron \(40\); got 39"):
        fit("score_omp", in_blocks, target, fires=np.ones(40))


@pytest.mark.parametrize("density", [0.02, 0.6])
def test_products_of_some_rows_with_all(density, monkeypatch):
    monkeypatch.setattr(_score_space, "_BLOCK_NUMBERS", 40 * 64)
    profiles = random_array((40, 200), density=density, random_state=5)
    counts = csr_array((profiles > 0).astype(np.float32))
    rows = np.array([3, 0, 39])
    found = _score_space.row_products(counts, rows)
    assert found.dtype == np.float32
    table = counts.toarray()
    assert_array_equal(found, table @ table[rows].T)


def test_factors_of_a_large_catalogue_stay_factors():
    rng = np.random.default_rng(6)
    directions = rng.normal(size=(1024, 64)).astype(np.float32)
    items = rng.normal(size=(41_000, 64)).astype(np.float32)
    profiles = SimpleNamespace(directions=directions, item_embeddings=items)
    target, Z = rng.normal(size=41_000), np.ones((1, 1024))
    selector = PopularityNeuronSelector("score_omp", n_neurons_to_select=32)
    tracemalloc.start()
    selector.fit(Z, item_profiles=profiles, item_target=target)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The products would take 168 MB, and 336 MB in float64.
    assert peak < 50e6
    assert selector.get_support().sum() == 32


# What it does not depend on


@pytest.mark.parametrize("name", NAMES)
def test_only_differences_between_items_count(profiles, target, name):
    expected = fit(name, profiles, target, n_neurons_to_select=5)
    shift = np.random.default_rng(7).normal(size=(N_NEURONS, 1))
    got = fit(name, profiles + shift, target - 100, n_neurons_to_select=5)
    assert_allclose(got.scores_, expected.scores_, atol=1e-9)
    assert_allclose(got.steering_weights_, expected.steering_weights_, atol=1e-8)


def test_longer_profiles_get_smaller_weights(profiles, target):
    lengths = np.random.default_rng(8).uniform(0.01, 100, size=N_NEURONS)
    expected = fit("score_omp", profiles, target, n_neurons_to_select=5)
    scaled = lengths[:, None] * profiles
    got = fit("score_omp", scaled, target, n_neurons_to_select=5)
    assert_allclose(
        got.steering_weights_ * lengths, expected.steering_weights_, atol=1e-9
    )


def test_the_rows_are_not_read(factors, target):
    rng = np.random.default_rng(9)
    weights = [
        PopularityNeuronSelector("score_omp")
        .fit(Z, y, item_profiles=factors, item_target=target)
        .steering_weights_
        for Z, y in [
            (rng.normal(size=(4, N_NEURONS)), None),
            (csr_array(rng.random((9, N_NEURONS))), np.arange(9)),
        ]
    ]
    assert_array_equal(*weights)


def test_nothing_that_is_given_changes(factors, target):
    tables = factors.directions, factors.item_embeddings, target
    before = [table.copy() for table in tables]
    fit("score_lasso", factors, target)
    for table, copy in zip(tables, before, strict=True):
        assert_array_equal(table, copy)


# Conditions


@pytest.mark.parametrize("name", NAMES)
def test_the_threshold_is_of_the_correlation(factors, target, name):
    scores = fit("score_correlation", factors, target).scores_
    threshold = np.sort(np.abs(scores))[-6]
    selector = fit(name, factors, target, threshold=threshold)
    assert set(chosen(selector)) <= set(np.flatnonzero(np.abs(scores) >= threshold))
    if name == "score_correlation":
        assert selector.get_support().sum() == 6


@pytest.mark.parametrize("name", NAMES)
def test_silent_neurons_are_dropped_on_demand(factors, target, name):
    best = chosen(fit(name, factors, target, n_neurons_to_select=3))
    fires = np.ones(N_NEURONS)
    fires[best] = 0
    kept = fit(name, factors, target, n_neurons_to_select=3, fires=fires)
    assert chosen(kept) == best
    dropped = fit(
        name, factors, target, n_neurons_to_select=3, fires=fires, drop_silent=True
    )
    assert not set(best) & set(chosen(dropped))
    assert chosen(dropped)


def test_weighting_is_of_correlations_and_not_of_fits(factors, target):
    per_sign = fit("score_correlation", factors, target, n_neurons_to_select=9)
    scores, support = per_sign.scores_, per_sign.get_support()
    assert_array_equal(support, np.abs(scores) >= np.sort(np.abs(scores))[-9])
    for sign in (1, -1):
        of_sign = support & (np.sign(scores) == sign)
        expected = scores[of_sign] / np.abs(scores[of_sign]).max()
        assert_allclose(per_sign.steering_weights_[of_sign], expected)
    fitted = [
        fit("score_omp", factors, target, weighting=weighting).steering_weights_
        for weighting in ("per_sign", "joint")
    ]
    assert_array_equal(*fitted)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_more_neurons_than_there_are_are_no_more_than_independent(
    factors, target, name
):
    for n in (WIDTH + 1, N_NEURONS + 1, 10_000):
        selector = fit(name, factors, target, n_neurons_to_select=n)
        assert selector.get_support().sum() <= WIDTH
    full = fit("score_omp", factors, target, n_neurons_to_select=10_000)
    reached = LinearRegression().fit(factors.item_embeddings, target)
    expected = reached.score(factors.item_embeddings, target)
    assert full.target_r2_ == pytest.approx(expected, abs=1e-6)


def test_neurons_that_move_all_items_alike_are_no_knobs(profiles, target):
    flat = profiles.copy()
    flat[0], flat[5] = 3.0, 0.0
    for name in NAMES:
        selector = fit(name, flat, target)
        assert selector.scores_[0] == selector.scores_[5] == 0
        assert not selector.get_support()[[0, 5]].any()


@pytest.mark.parametrize("name", NAMES)
def test_a_target_out_of_reach_selects_nothing(name):
    profiles = np.array([[1.0, -1, 0, 0], [2.0, -2, 0, 0]])
    selector = fit(name, profiles, [0.0, 0, 1, -1])
    assert chosen(selector) == []
    assert_array_equal(selector.steering_weights_, [0, 0])
    assert selector.target_r2_ == 0


# As an estimator


def test_a_callable_has_no_share_of_a_target():
    Z = np.array([[2.0, 0, 1], [3, 0, 2], [0, 2, 1], [0, 3, 2]])
    selector = PopularityNeuronSelector().fit(Z, [1, 1, -1, -1])
    assert selector.target_r2_ is None
    assert (selector.fits_on, selector.needs_item_profiles) == ("profiles", False)
    named = PopularityNeuronSelector("score_omp")
    assert (named.fits_on, named.needs_item_profiles) == ("rows", True)
    assert get_tags(selector).target_tags.required
    assert not get_tags(named).target_tags.required


def test_it_is_cloned_and_transforms(factors, target):
    selector = fit("score_omp", factors, target, n_neurons_to_select=3)
    assert clone(selector).get_params() == selector.get_params()
    Z = np.random.default_rng(0).normal(size=(5, N_NEURONS))
    assert_array_equal(selector.transform(Z), Z[:, selector.get_support()])
    assert selector.p_values_ is None


# Bad input


def test_a_callable_still_needs_groups(factors):
    with pytest.raises(ValueError, match="requires y to be passed"):
        PopularityNeuronSelector().fit(np.ones((4, 3)))


def test_names_are_checked():
    with pytest.raises(InvalidParameterError, match="The 'score_func' parameter"):
        PopularityNeuronSelector("score_ridge").fit(np.ones((2, 3)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"item_profiles": None}, r"^`item_profiles` must be given .*got None. Pass "),
        ({"item_target": None}, r"^`item_target` must be given .*got None. Pass "),
        (
            {"item_profiles": np.ones((4, 6))},
            r"^`item_profiles` must have one row per neuron \(3\); got 4",
        ),
        (
            {"item_profiles": ItemProfiles(np.ones((4, 2)), np.ones((6, 2)))},
            r"^`item_profiles` must have one row per neuron \(3\); got 4",
        ),
        (
            {"item_target": np.arange(5)},
            r"^`item_target` must have one number per item \(6\); got shape \(5,\)",
        ),
        (
            {"item_target": np.ones((6, 1))},
            r"^`item_target` must have one number per item \(6\); got shape \(6, 1\)",
        ),
        (
            {"item_target": np.full(6, 0.1)},
            r"^`item_target` must differ between items; got 0.1 for all 6",
        ),
        ({"item_target": np.zeros(6)}, r"^`item_target` must differ between items"),
        ({"item_target": [1, 2, np.nan, 4, 5, 6]}, "item_target contains NaN"),
        (
            {"item_profiles": np.full((3, 6), np.nan)},
            "item_profiles contains NaN",
        ),
        (
            {"item_profiles": ItemProfiles(np.full((3, 2), np.inf), np.ones((6, 2)))},
            "item_profiles contains infinity",
        ),
        ({"fdr": 0.1}, "^`fdr` must be None where `score_func` gives no p-values"),
    ],
)
def test_what_is_wrong_is_said(name, given, message):
    rng = np.random.default_rng(0)
    known = {"item_profiles": rng.normal(size=(3, 6)), "item_target": np.arange(6.0)}
    params = {key: given[key] for key in given if key == "fdr"}
    known |= {key: value for key, value in given.items() if key != "fdr"}
    with pytest.raises(ValueError, match=message):
        PopularityNeuronSelector(name, **params).fit(np.ones((2, 3)), **known)


def test_sparse_profiles_may_be_written_in_any_way():
    rng = np.random.default_rng(3)
    table = random_array((6, 40), density=0.4, random_state=rng).toarray()
    expected = fit("score_omp", table, np.arange(40.0), n_neurons_to_select=3)
    rows, columns = np.nonzero(table)
    order = rng.permutation(np.repeat(np.arange(len(rows)), 2))
    # Every number in two halves, in no order.
    parts = table[rows, columns][order] / 2
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[order], minlength=6))])
    by_row = np.argsort(rows[order], kind="stable")
    twice = csr_array((parts[by_row], columns[order][by_row], indptr), shape=(6, 40))
    assert not twice.has_canonical_format
    got = fit("score_omp", twice, np.arange(40.0), n_neurons_to_select=3)
    assert_allclose(got.steering_weights_, expected.steering_weights_, atol=1e-9)


def test_what_differs_by_rounding_is_one_profile():
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(2, 300))
    profiles = np.stack([one, one + 3e-7 * other])
    selector = fit("score_omp", profiles, one + other, n_neurons_to_select=2)
    assert selector.get_support().sum() == 1
