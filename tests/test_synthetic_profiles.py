from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skpopsteer.popularity import synthetic_profiles

# Every value occurs once, so that it tells which row a profile is the twin of.
REAL = np.array(
    [
        [11, 0, 12, 0, 0, 13, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 21, 0, 0, 0, 0, 0, 0],
        [31, 32, 33, 34, 35, 36, 37, 38],
    ]
)
GROUPS = np.array([1, 1, 1, 0, -1, -1, -1, -1])
N_HEAD, N_TAIL = 3, 4


def make(X=REAL, groups=GROUPS, **params):
    params.setdefault("random_state", 0)
    return synthetic_profiles(csr_array(X), groups, **params)


def values_of(profiles):
    return sorted(tuple(profiles.data[s:e]) for s, e in pairwise(profiles.indptr))


def lengths_of(sequences):
    return (sequences >= 0).sum(axis=1)


def test_values_follow_the_twin():
    profiles, groups = make(n_profiles=3)
    popular, unpopular = profiles[groups == 1], profiles[groups == -1]
    assert values_of(popular) == [(11, 12, 13), (21,), (31, 32, 33)]
    assert values_of(unpopular) == [(11, 12, 13), (21,), (31, 32, 33, 34)]


def test_a_row_longer_than_its_group_gets_the_whole_group():
    profiles, _ = make(n_profiles=3)
    longest = profiles.toarray()[np.diff(profiles.indptr) >= N_HEAD]
    whole = {tuple(np.flatnonzero(row)) for row in longest}
    assert (0, 1, 2) in whole
    assert (4, 5, 6, 7) in whole


def test_profiles_hold_one_group_only():
    profiles, groups = make(n_profiles=50)
    assert profiles.shape == (100, 8)
    assert set(profiles[groups == 1].indices) == {0, 1, 2}
    assert set(profiles[groups == -1].indices) == {4, 5, 6, 7}


def test_popular_profiles_come_first():
    _, groups = make(n_profiles=4)
    assert_array_equal(groups, [1] * 4 + [-1] * 4)
    assert groups.dtype == np.int8


def test_profiles_are_canonical(container):
    profiles, _ = synthetic_profiles(
        container(REAL.astype(float)), GROUPS, random_state=0
    )
    assert isinstance(profiles, csr_array)
    assert profiles.has_canonical_format
    assert (profiles.data > 0).all()


def test_empty_rows_have_no_twins():
    profiles, _ = make(n_profiles=30)
    assert np.diff(profiles.indptr).min() == 1
    sequences, _ = make(n_profiles=30, as_sequences=True)
    assert lengths_of(sequences).min() == 1


def test_rows_are_used_evenly():
    profiles, groups = make(n_profiles=7)
    firsts = profiles[groups == 1].data[profiles[groups == 1].indptr[:-1]]
    _, counts = np.unique(firsts, return_counts=True)
    assert sorted(counts) == [2, 2, 3]


def test_few_rows_have_2048_twins_a_group():
    _, groups = make()
    assert (groups == 1).sum() == (groups == -1).sum() == 2_048


@pytest.mark.parametrize(("version", "n_twins"), [("v1", 21_000), ("v2", 20_480)])
def test_many_rows_have_as_many_twins_as_published(version, n_twins):
    X = csr_array(np.ones((21_000, 1))) @ csr_array([[1.0, 0.0]])
    _, groups = make(X, [1, -1], version=version, as_sequences=True)
    assert (groups == 1).sum() == (groups == -1).sum() == n_twins


@pytest.mark.parametrize("as_sequences", [False, True])
@pytest.mark.parametrize(("version", "longest"), [("v1", 70), ("v2", 50)])
def test_the_second_version_cuts_long_histories(version, longest, as_sequences):
    X = np.zeros((2, 200))
    X[0, :70] = X[1, :5] = 1
    groups = np.repeat([1, -1], 100)
    profiles, _ = make(
        X, groups, n_profiles=2, version=version, as_sequences=as_sequences
    )
    lengths = lengths_of(profiles) if as_sequences else np.diff(profiles.indptr)
    assert sorted(lengths) == [5, 5, longest, longest]


def test_sequences_are_drawn_with_replacement():
    sequences, _ = make(n_profiles=300, as_sequences=True)
    assert sequences.dtype == np.int64
    full = sequences[lengths_of(sequences) == 8]
    assert len(full) == 200
    popular = full[:100]
    assert set(popular.ravel()) == {0, 1, 2}
    assert len({tuple(row) for row in popular}) > 90


def test_sequences_are_padded_at_the_end():
    sequences, groups = make(n_profiles=6, as_sequences=True)
    lengths = lengths_of(sequences)
    assert sorted(lengths[groups == 1]) == [1, 1, 3, 3, 8, 8]
    for row, length in zip(sequences, lengths, strict=True):
        assert (row[:length] >= 0).all()
        assert (row[length:] == -1).all()


@pytest.mark.parametrize("as_sequences", [False, True])
def test_items_are_drawn_uniformly_whatever_their_popularity(as_sequences):
    X = np.zeros((50, 8))
    X[:, 0] = 1
    profiles, groups = make(X, GROUPS, n_profiles=8_000, as_sequences=as_sequences)
    items = profiles[:, 0] if as_sequences else profiles.indices
    shares = np.bincount(items[groups == 1], minlength=8) / 8_000
    # Five standard errors of a share of a third.
    assert np.abs(shares[:3] - 1 / 3).max() < 5 * np.sqrt(2 / 9 / 8_000)


@pytest.mark.parametrize("as_sequences", [False, True])
def test_draws_come_from_the_seed_alone(as_sequences):
    def draw(seed):
        profiles, _ = make(n_profiles=40, as_sequences=as_sequences, random_state=seed)
        return profiles if as_sequences else profiles.toarray()

    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert_array_equal(draw(5), draw(5))
    assert_array_equal(draw(5), draw(np.random.RandomState(5)))
    assert (draw(5) != draw(6)).any()
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_real_rows_are_left_as_they_are():
    X = csr_array(([1.0, 0.0, 2.0], [2, 1, 0], [0, 3]), shape=(1, 8))
    before = X.data.copy(), X.indices.copy()
    synthetic_profiles(X, GROUPS, n_profiles=2, random_state=0)
    assert_array_equal(X.data, before[0])
    assert_array_equal(X.indices, before[1])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"version": "v3"}, "`version` must be 'v1' or 'v2'; got 'v3'"),
        (
            {"groups": GROUPS[:5]},
            r"`item_groups` must hold one group per item \(8\); got shape \(5,\)",
        ),
        (
            {"groups": np.abs(GROUPS)},
            r"`item_groups` must hold at least one head item \(1\) and one tail item "
            r"\(-1\); got 7 and 0",
        ),
        ({"groups": -np.abs(GROUPS)}, "got 0 and 7"),
        ({"X": np.zeros((2, 8))}, "`X` must hold at least one interaction; got none"),
    ],
)
def test_bad_input_is_named(params, message):
    with pytest.raises(ValueError, match=message):
        make(**params)


@pytest.mark.parametrize("n_profiles", [0, -1, 2.5])
def test_the_number_of_profiles_must_be_positive(n_profiles):
    with pytest.raises((TypeError, ValueError), match="`n_profiles` must be"):
        make(n_profiles=n_profiles)
