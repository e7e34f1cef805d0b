"""Effect sizes and metrics, against sums without rounding."""

import itertools
import math

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import t

import skpopsteer.metrics
from skpopsteer.metrics._arguments import parameters
from skpopsteer.neurons import PopularityNeuronSelector, cohens_d
from skpopsteer.popularity import PopularityGroups
from tests.fuzz.plain_metrics import PLAIN, World
from tests.numerics import plain
from tests.numerics.tolerances import assert_near


@pytest.fixture(scope="module")
def groups(users):
    """The popularity of users' taste, as profiles have it: head, ignored, tail."""
    return np.resize([1, -1, 0, -1], len(users))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kind", ["pre-activations", "activations"])
def test_effect_sizes(probes, users, groups, kind, sparse):
    probe = probes["topk"]
    Z = probe.transform(users) if kind == "activations" else None
    Z = probe.pre_activations(users) if Z is None else Z
    scores, p_values = cohens_d(csr_array(Z) if sparse else Z, groups)
    expected, statistic = plain.cohens_d(Z, groups)
    assert_near("effect sizes", scores, expected)
    assert_near("effect sizes", p_values, welch(Z, groups, statistic))


def welch(Z, groups, statistic):
    p_values = []
    for column, value in zip(plain.as_float64(Z).T, statistic, strict=True):
        parts = [column[groups == sign] for sign in (1, -1)]
        errors = [part.var(ddof=1) / len(part) for part in parts]
        if not any(errors):
            p_values.append(1.0)
            continue
        freedom = sum(errors) ** 2 / sum(
            e**2 / (len(part) - 1) for e, part in zip(errors, parts, strict=True)
        )
        p_values.append(2 * t.sf(abs(value), freedom))
    return np.array(p_values)


def test_effect_sizes_of_numbers_with_an_offset(groups):
    """A mean of a thousand deviations costs nothing: moments are of differences."""
    Z = np.random.default_rng(0).normal(1000, 1, (len(groups), 20)).astype("f4")
    expected, _ = plain.cohens_d(Z, groups)
    assert_near("effect sizes", cohens_d(Z, groups)[0], expected)


def test_effect_sizes_of_pre_activations_in_float64(probes, users, groups):
    """What float32 of the encoder does to an effect, and to the neurons chosen."""
    probe = probes["topk"]
    P = probe.pre_activations(users)
    expected, _ = plain.cohens_d(plain.pre_activations(probe, users), groups)
    got = PopularityNeuronSelector(n_neurons_to_select=20).fit(P, groups)
    assert_near("effect sizes of the encoder", got.scores_, expected)
    size = np.sort(np.abs(expected))
    assert size[-20] - size[-21] > 1e-4
    np.testing.assert_array_equal(got.get_support(), np.abs(expected) >= size[-20])


@pytest.fixture(scope="module")
def world(films, film_host):
    X, y = films
    lists = film_host.recommend(X, 12)
    # Short and empty lists too.
    lists[::7, 5:] = -1
    lists[::31] = -1
    popularity = X.astype(bool).sum(axis=0)
    groups = PopularityGroups("count", head=0.2, tail=0.5).label(popularity)
    rows, held = (
        [set(M.indices[a:b].tolist()) for a, b in itertools.pairwise(M.indptr)]
        for M in (X, y)
    )
    known = {
        "X": X, "y": y, "recommendations": lists, "n_items": X.shape[1],
        "n_users": X.shape[0], "item_popularity": popularity, "item_groups": groups,
    }  # fmt: skip
    return known, World(
        lists.tolist(), held, rows, popularity.tolist(), groups.tolist(),
        X.shape[0], X.shape[0],
    )  # fmt: skip


@pytest.mark.parametrize("per_user", [False, True])
@pytest.mark.parametrize("name", PLAIN)
def test_metrics(world, name, per_user):
    known, plain_world = world
    function = getattr(skpopsteer.metrics, name)
    wanted = parameters(function)
    if per_user and "per_user" not in wanted:
        pytest.skip(f"{name} is one number for all users")
    arguments = {key: value for key, value in known.items() if key in wanted}
    if per_user:
        arguments["per_user"] = True
    got = np.atleast_1d(function(**arguments))
    expected = np.atleast_1d(np.array(PLAIN[name](plain_world, per_user), dtype=float))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    seen = ~np.isnan(expected)
    assert seen.any()
    assert len(set(expected[seen].tolist())) > 1 or not per_user
    for value, reference in zip(got[seen], expected[seen], strict=True):
        assert_near("metrics", [value], np.array([reference]))


def test_every_metric_is_here():
    functions = {
        name
        for name in skpopsteer.metrics.__all__
        if name[0].islower() and name not in {"get_scorer", "get_scorer_names"}
    }
    others = {"make_recommender_scorer", "taste_groups"}
    assert functions - others == set(PLAIN)


def test_a_mean_of_many_users_loses_no_digits():
    """Half a million values of one list each, summed as numpy does in pairs."""
    n_users = 500_000
    lists = np.zeros((n_users, 1), dtype=np.int64)
    value = skpopsteer.metrics.average_popularity(lists, np.array([0.1]))
    exact = math.fsum([0.1] * n_users) / n_users
    assert_near("metrics", [value], np.array([exact]))
