"""Popularity, its groups, and profiles of one group."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skpopsteer.popularity import (
    PopularityGroups,
    item_popularity,
    synthetic_profiles,
)
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.strategies import (
    bad_counts,
    bad_groups,
    bad_matrices,
    bad_per_item,
    bad_shares,
    dense_forms,
    good_groups,
    good_popularity,
    histories,
    nonsense,
    random_states,
    shape_of,
    shapes,
    sparse_forms,
)

SHARES = st.floats(0, 1, exclude_min=True, exclude_max=True)


@covers("popularity.item_popularity")
@examples(200)
@given(shape=shapes(), sparse=st.booleans(), data=st.data())
def test_item_popularity(shape, sparse, data):
    dense = data.draw(histories(shape))
    form = sparse_forms(dense) if sparse else dense_forms(dense)
    X = data.draw(form)
    if np.ndim(X) == 1 and not sparse:
        return
    assert_array_equal(answer(item_popularity, X), (dense > 0).sum(axis=0))


@examples(150)
@given(shape=shapes(min_users=1), odd=nonsense(), data=st.data())
def test_item_popularity_refuses(shape, odd, data):
    refusal(item_popularity, data.draw(bad_matrices(shape)))
    counts = attempt(item_popularity, odd)
    assert isinstance(counts, Refusal) or counts.size == 0


@covers("popularity.PopularityGroups")
@examples(300)
@given(
    n_items=st.integers(2, 12),
    convention=st.sampled_from(["count", "mass", "head_mass"]),
    head=st.one_of(st.none(), SHARES),
    tail=st.one_of(st.none(), SHARES),
    data=st.data(),
)
def test_groups(n_items, convention, head, tail, data):
    given_popularity, popularity = data.draw(good_popularity(n_items))
    groups = attempt(PopularityGroups, convention, head, tail)
    if isinstance(groups, Refusal):
        assert convention == "count"
        assert head + tail > 1
        return
    labels = answer(groups.label, given_popularity)
    assert labels.dtype == np.int8
    assert set(labels) <= {-1, 0, 1}
    assert {-1, 1} <= set(labels)
    # The head is at least as popular as the middle, that as the tail.
    for high, low in ((1, 0), (0, -1), (1, -1)):
        if (labels == high).any() and (labels == low).any():
            assert popularity[labels == high].min() >= popularity[labels == low].max()
    assert str(groups)
    assert_array_equal(labels, answer(groups.label, popularity))


@examples(200)
@given(
    convention=nonsense(),
    share=bad_shares(),
    odd=nonsense(),
    n=st.integers(2, 6),
    data=st.data(),
)
def test_groups_refuse(convention, share, odd, n, data):
    refusal(PopularityGroups, convention)
    refusal(PopularityGroups, "count", share)
    refusal(PopularityGroups, "mass", None, share)
    refusal(PopularityGroups().label, odd)
    refusal(PopularityGroups().label, data.draw(bad_per_item(n)))


@covers("popularity.synthetic_profiles")
@examples(250)
@given(
    shape=shapes(min_users=1, min_items=2),
    n_profiles=st.integers(1, 6),
    version=st.sampled_from(["v1", "v2"]),
    as_sequences=st.booleans(),
    random_state=random_states(),
    data=st.data(),
)
def test_synthetic_profiles(
    shape, n_profiles, version, as_sequences, random_state, data
):
    dense = data.draw(histories(shape))
    given_groups, groups = data.draw(good_groups(shape[1], n_groups=2))
    X = data.draw(sparse_forms(dense))
    options = {
        "n_profiles": n_profiles,
        "version": version,
        "as_sequences": as_sequences,
        "random_state": random_state,
    }
    result = attempt(synthetic_profiles, X, given_groups, **options)
    assert isinstance(result, Refusal) is (not dense.any())
    if isinstance(result, Refusal):
        return
    profiles, labels = result
    assert labels.tolist() == [1] * n_profiles + [-1] * n_profiles
    rows = profiles if as_sequences else profiles.toarray()
    for row, label in zip(rows, labels, strict=True):
        items = row[row >= 0] if as_sequences else np.flatnonzero(row)
        assert (groups[items] == label).all()
        assert len(items)
        if as_sequences:
            assert (row[len(items) :] == -1).all()
    again, _ = answer(synthetic_profiles, X, given_groups, **options)
    assert_array_equal(rows, again if as_sequences else again.toarray())


@examples(250)
@given(shape=shapes(min_users=1, min_items=2), odd=nonsense(), data=st.data())
def test_synthetic_profiles_refuse(shape, odd, data):
    X, groups = np.ones(shape), np.where(np.arange(shape[1]) % 2, 1, -1)
    bad = {
        "X": bad_matrices(shape),
        "item_groups": st.one_of(
            st.just(odd),
            st.just(np.ones(shape[1])),
            bad_groups(shape[1]).filter(lambda g: len(shape_of(g)) != 1),
        ),
        "n_profiles": bad_counts(10**30),
        "version": st.one_of(nonsense(), st.just("v3")),
        "random_state": nonsense(None, int, bool),
    }
    arguments = {"X": X, "item_groups": groups, "n_profiles": 2}
    broken = data.draw(st.sampled_from(sorted(bad)))
    arguments[broken] = data.draw(bad[broken])
    refusal(synthetic_profiles, **arguments)
