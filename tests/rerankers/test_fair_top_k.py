"""FA*IR: the published tables, the algorithm against a reference, and by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import binom

from skpopsteer.rerankers import FairTopKReranker
from skpopsteer.rerankers._minimum_table import failure_probability, minimum_table
from tests.rerankers.plain_lists import IDS, host_of, padded, pools_of, random_case


# Zehlike et al. 2017, the table of m for a significance of 0.1.
@pytest.mark.parametrize(
    ("share", "table"),
    [
        (0.1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (0.2, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]),
        (0.3, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]),
        (0.4, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3]),
        (0.5, [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4]),
        (0.6, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
        (0.7, [0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6]),
    ],
)
def test_table_of_the_publication(share, table):
    assert minimum_table(12, share, 0.1, None).tolist() == table


# Published with the reference implementation of the authors, fairsearch.
PLAIN = {
    (10, 0.2, 0.15): [0] * 8 + [1] * 2,
    (20, 0.25, 0.1): [0] * 8 + [1] * 6 + [2] * 5 + [3],
    (30, 0.3, 0.05): [0] * 8 + [1] * 5 + [2] * 5 + [3] * 5 + [4] * 4 + [5] * 3,
}
ADJUSTED = {
    (10, 0.2, 0.15): ([0] * 8 + [1] * 2, 0.13421772800000065),
    (20, 0.25, 0.1): ([0] * 8 + [1] * 7 + [2] * 5, 0.10515247355215251),
    (30, 0.3, 0.05): (
        [0] * 10 + [1] * 6 + [2] * 5 + [3] * 4 + [4] * 5,
        0.04877730797178359,
    ),
}


@pytest.mark.parametrize("case", PLAIN)
def test_tables_of_fairsearch(case):
    assert minimum_table(*case, None).tolist() == PLAIN[case]
    table, probability = ADJUSTED[case]
    assert minimum_table(*case).tolist() == table
    assert failure_probability(table, case[1]) == pytest.approx(probability, abs=1e-12)


# The second is that of its Java form. The Python form leaves the last place out of the
# probability and has .0796875, whose table fails in 16.6 % and not in 15.
@pytest.mark.parametrize(
    ("k", "share", "significance", "level"),
    [(20, 0.25, 0.1, 0.07812500000000001), (30, 0.3, 0.15, 0.075)],
)
def test_adjusted_levels_of_fairsearch(k, share, significance, level):
    expected = minimum_table(k, share, level, None)
    assert minimum_table(k, share, significance).tolist() == expected.tolist()


def test_sidak_is_the_form_of_popsteers_comparison():
    level = 1 - 0.9 ** (1 / 10)
    for share in (0.3, 0.5, 0.7, 0.9, 0.99):
        expected = [
            next(z for z in range(t + 1) if binom.cdf(z, t, share) > level)
            for t in range(1, 11)
        ]
        assert minimum_table(10, share, 0.1, "sidak").tolist() == expected


@pytest.mark.parametrize("adjustment", ["exact", "sidak", None])
def test_tables_at_the_ends(adjustment):
    assert minimum_table(6, 0.0, 0.1, adjustment).tolist() == [0] * 6
    assert minimum_table(6, 1.0, 0.1, adjustment).tolist() == [1, 2, 3, 4, 5, 6]
    assert minimum_table(1, 0.5, 0.1, adjustment).tolist() == [0]


def test_the_adjusted_table_fails_as_often_as_asked_for():
    for share in (0.1, 0.3, 0.5, 0.8, 0.95):
        tables = {
            tuple(minimum_table(12, share, level, None))
            for level in np.linspace(1e-6, 0.2, 4001)
        }
        missed = {t: abs(failure_probability(t, share) - 0.2) for t in tables}
        best = tuple(minimum_table(12, share, 0.2))
        assert missed[best] == min(missed.values())


def test_failure_probability_against_draws():
    table = minimum_table(12, 0.6, 0.1, None)
    draws = np.random.default_rng(0).random((200_000, 12)) < 0.6
    failed = (np.cumsum(draws, axis=1) < table).any(axis=1).mean()
    assert failure_probability(table, 0.6) == pytest.approx(failed, abs=3e-3)
    # The last place counts too, which fairsearch leaves out.
    assert failure_probability([0, 0, 1], 0.5) == 0.125


def reference(pool, groups, k, table):
    """Follow the published algorithm, with two queues."""
    protected = [p for p in range(len(pool)) if groups[pool[p][0]] == -1]
    others = [p for p in range(len(pool)) if groups[pool[p][0]] != -1]
    places, n_protected = [], 0
    for step in range(k):
        if not protected and not others:
            break
        if protected and (
            not others or n_protected < table[step] or protected[0] < others[0]
        ):
            places.append(protected.pop(0))
            n_protected += 1
        else:
            places.append(others.pop(0))
    return places


@pytest.mark.parametrize("adjustment", ["exact", "sidak", None])
@pytest.mark.parametrize("strength", [0.3, 0.7, 0.95, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_lists_are_those_of_the_reference(seed, strength, adjustment):
    X, host = random_case(seed, ties=seed == 2)
    model = FairTopKReranker(
        host, strength=strength, significance=0.3, adjustment=adjustment,
        pool_size=11, n_recommendations=6,
    ).fit(X, user_ids=IDS)  # fmt: skip
    table = minimum_table(6, min(strength, 1), 0.3, adjustment)
    lists = model.recommend(X, user_ids=IDS)
    for row, pool in zip(lists, pools_of(host, X, 11), strict=True):
        places = reference(pool, model.item_groups_, 6, table)
        assert row.tolist() == padded(pool, places, 6)


def test_by_hand():
    # m = 0 0 1 1 2 2 for a share of .6: places three and five at the latest.
    host = host_of([[9.0, 8, 7, 6, 5, 4, 3, 2, 1]])
    X, groups = csr_array((1, 9)), [1, 1, 1, 1, 1, 1, -1, -1, -1]
    model = FairTopKReranker(host, strength=0.6, adjustment=None, n_recommendations=6)
    model.fit(X, item_groups=groups)
    assert model.recommend(X, user_ids=[0]).tolist() == [[0, 1, 6, 2, 7, 3]]
    # Without a tail item left the host's next one stands in.
    lists = model.recommend(X, user_ids=[0], exclude=[7, 8])
    assert lists.tolist() == [[0, 1, 6, 2, 3, 4]]


def test_a_share_of_each_user():
    X, host = random_case(0)
    factors = np.linspace(0, 2, len(IDS))
    model = FairTopKReranker(
        host, strength=0.9, user_strength=lambda X: factors, n_recommendations=6
    ).fit(X, user_ids=IDS)
    lists = model.recommend(X, user_ids=IDS)
    plain = FairTopKReranker(host, n_recommendations=6).fit(X, user_ids=IDS)
    for user, factor in enumerate(factors.astype(np.float32)):
        share = round(min(0.9 * float(factor), 1), 2)
        row = plain.recommend(X[[user]], strength=share, user_ids=[user])[0]
        assert lists[user].tolist() == row.tolist()


@pytest.mark.parametrize(
    "params", [{"significance": 0.0}, {"significance": 1.0}, {"adjustment": "none"}]
)
def test_parameters_that_mean_nothing_are_refused(params):
    X, host = random_case(0)
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of"):
        FairTopKReranker(host, **params).fit(X)
