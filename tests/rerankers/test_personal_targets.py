"""Personal targets against the linear programme, lists against a plain reference."""

import math

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

from skpopsteer import as_recommender
from skpopsteer.rerankers import PersonalTargetReranker
from skpopsteer.rerankers._personal_targets import target_shift
from tests.rerankers.plain_lists import (
    IDS,
    host_of,
    padded,
    plain_shares,
    pools_of,
    random_case,
)


@pytest.mark.parametrize("target", [0.1, 0.45, 0.8])
def test_targets_solve_the_published_programme(target):
    tail = np.random.default_rng(0).beta(0.7, 1.0, size=50)
    tail[:3] = 0, 1, 1
    shift = target_shift(tail, target)
    personal = np.clip(tail + shift, 0, 1)
    assert personal.mean() == pytest.approx(target, abs=1e-9)
    # min sum(gamma), sum_u gamma_u g = sum_u (p_u - q), 0 <= gamma_u <= l_u.
    wanted = np.array([target, 1 - target])
    profiles = np.stack([tail, 1 - tail], axis=1)
    direction = profiles.mean(axis=0) - wanted
    g = direction / np.linalg.norm(direction)
    limits = np.where(g > 0, profiles / g, (profiles - 1) / g).min(axis=1)
    solved = linprog(
        np.ones(50),
        A_eq=np.full((1, 50), g[0]),
        b_eq=[(profiles - wanted).sum(axis=0)[0]],
        bounds=[(0, limit) for limit in limits],
    )
    gamma = (profiles - np.stack([personal, 1 - personal], axis=1)) @ g
    assert (gamma >= -1e-9).all()
    assert (gamma <= limits + 1e-9).all()
    np.testing.assert_allclose((gamma[:, None] * g).sum(axis=0), 50 * direction)
    # As good as what the solver returns, and so is any other feasible point.
    assert gamma.sum() == pytest.approx(solved.fun)
    assert (gamma**2).sum() <= (solved.x**2).sum() + 1e-9


def test_a_target_that_is_met_moves_nobody():
    assert target_shift(np.array([0.2, 0.6]), 0.4) == pytest.approx(0, abs=1e-9)
    assert target_shift(np.array([0.0, 0.9]), 0.6) == pytest.approx(0.2)


def reference(pool, groups, tail_share, k, strength, lam):
    """Make a list as published, after a target between the host's and the personal."""
    in_tail = [groups[item] == -1 for item, _ in pool]
    weights = [1 / math.log2(place + 2) for place in range(k)]
    filled = weights[: min(k, len(pool))]
    own = [
        sum(w for w, tail in zip(filled, in_tail, strict=False) if tail == side)
        for side in (True, False)
    ]
    personal = [tail_share * sum(filled), (1 - tail_share) * sum(filled)]
    target = [
        (1 - strength) * a + strength * b for a, b in zip(own, personal, strict=True)
    ]
    exposure, places = [0.0, 0.0], [None] * k
    for step, weight in enumerate(weights):
        for place in range(len(pool)):
            side = 0 if in_tail[place] else 1
            if place in places or exposure[side] + weight > target[side] + 1e-9:
                continue
            places[step] = place
            exposure[side] += weight
            break
    for step, weight in enumerate(weights):
        if places[step] is not None:
            continue
        best, best_score = None, -math.inf
        for place in range(len(pool)):
            if place in places:
                continue
            after = list(exposure)
            after[0 if in_tail[place] else 1] += weight
            disparity = sum((a - t) ** 2 for a, t in zip(after, target, strict=True))
            score = lam / (place + 1) - (1 - lam) * disparity / 2
            if score > best_score:
                best, best_score = place, score
        if best is not None:
            places[step] = best
            exposure[0 if in_tail[best] else 1] += weight
    return [place for place in places if place is not None]


@pytest.mark.parametrize("lam", [0.05, 0.7, 1.0])
@pytest.mark.parametrize("strength", [0.3, 1.0, 7.0])
# Below what histories hold some targets would be negative.
@pytest.mark.parametrize("target", [0.8, 0.05])
@pytest.mark.parametrize("seed", range(3))
def test_lists_are_those_of_the_reference(seed, target, strength, lam):
    X, host = random_case(seed)
    model = PersonalTargetReranker(
        host, strength=strength, target_tail_share=target, relevance_weight=lam,
        pool_size=11, n_recommendations=6,
    ).fit(X, user_ids=IDS)  # fmt: skip
    likes = plain_shares(X, model.item_groups_, [-1])
    lists = model.recommend(X, user_ids=IDS)
    for row, pool, tail in zip(lists, pools_of(host, X, 11), likes, strict=True):
        share = min(max(tail + model.target_shift_, 0), 1)
        places = reference(pool, model.item_groups_, share, 6, min(strength, 1), lam)
        assert row.tolist() == padded(pool, places, 6)


def test_by_hand():
    # Three places with exposures 1, .631, .5, a third of them for the tail: .710.
    host = host_of([[-9.0, -9, -9, 6, 5, 4, 3, 2]])
    X, groups = csr_array([[1, 1, 1, 0, 0, 0, 0, 0]]), [-1, 1, 1, 1, 1, 1, -1, -1]
    model = PersonalTargetReranker(
        host, strength=1.0, target_tail_share=1 / 3, n_recommendations=3
    ).fit(X, item_groups=groups)
    assert model.target_shift_ == pytest.approx(0, abs=1e-9)
    # 3 is safe for the first (1 of 1.421), the tail's 6 for the second (.631 of .710);
    # at the third neither is: 4 adds .5 to 1, off by .079, 6's neighbour .421.
    assert model.recommend(X, user_ids=[0]).tolist() == [[3, 6, 4]]


def test_new_rows_get_the_shift_of_fit_and_allocate_its_own():
    X, host = random_case(0)
    model = PersonalTargetReranker(
        host, strength=1.0, target_tail_share=0.8, n_recommendations=6
    ).fit(X, user_ids=IDS)
    together = model.recommend(X, user_ids=IDS)
    assert np.array_equal(model.allocate(X, user_ids=IDS), together)
    some = np.flatnonzero(np.diff(X.indptr) > 8)
    alone = PersonalTargetReranker(
        host, strength=1.0, target_tail_share=0.8, n_recommendations=6
    ).fit(X[some], user_ids=some, item_groups=model.item_groups_)
    assert alone.target_shift_ != model.target_shift_
    jointly = model.allocate(X[some], user_ids=some)
    assert np.array_equal(jointly, alone.recommend(X[some], user_ids=some))
    assert not np.array_equal(jointly, together[some])
    assert np.array_equal(model.recommend(X[some], user_ids=some), together[some])


@pytest.mark.parametrize("target", [0.1, 0.5, 0.75])
def test_targets_hold_over_all_users(target):
    rng = np.random.default_rng(0)
    groups = np.where(np.arange(200) < 40, 1, -1)
    chance = np.where(groups == 1, 0.3, 0.05) * rng.uniform(0.2, 1.8, size=(100, 1))
    X, ids = csr_array((rng.random((100, 200)) < chance) * 1.0), np.arange(100)
    scores = rng.normal(size=(100, 200)) + 1.5 * (groups == 1)
    host = as_recommender((scores.astype("f4"), np.eye(200, dtype="f4")))
    model = PersonalTargetReranker(
        host, strength=1.0, target_tail_share=target, relevance_weight=0.01
    ).fit(X, user_ids=ids, item_groups=groups)
    weights = 1 / np.log2(np.arange(2, 12))
    in_tail = groups[model.allocate(X, user_ids=ids)] == -1
    shares = (in_tail * weights).sum(axis=1) / weights.sum()
    assert shares.mean() == pytest.approx(target, abs=0.01)
    # Those who like the tail more get more of it.
    likes = np.array(plain_shares(X, groups, [-1]))
    assert np.corrcoef(likes, shares)[0, 1] > 0.9


@pytest.mark.parametrize(
    "params",
    [{"target_tail_share": 0.0}, {"target_tail_share": 1.0}, {"relevance_weight": 0.0}],
)
def test_parameters_that_mean_nothing_are_refused(params):
    X, host = random_case(0)
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of"):
        PersonalTargetReranker(host, **params).fit(X)
