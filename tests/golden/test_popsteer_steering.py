"""What PopSteer's steering must do, on the authors' Last.fm model."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skpopsteer.adapters import as_recommender
from skpopsteer.metrics import average_popularity, gini
from skpopsteer.neurons import PopularityNeuronSelector
from skpopsteer.popularity import PopularityGroups, synthetic_profiles
from skpopsteer.sae import SparseAutoencoderProbe
from skpopsteer.steering import SteeredRecommender

STRENGTHS = (-1, 0, 0.5, 1, 2)


@pytest.fixture(scope="module")
def base(sasrec_host, tmp_path_factory):
    """An unfitted model; its small autoencoder is trained once for all tests."""
    return SteeredRecommender(
        as_recommender(sasrec_host),
        rule="shift",
        probe=SparseAutoencoderProbe(512, k=32, max_iter=10, random_state=0),
        memory=str(tmp_path_factory.mktemp("probe")),
        random_state=0,
    )


@pytest.fixture(scope="module")
def v2_model(base, last_seen):
    """PopSteer's second version, with the error of the autoencoder kept."""
    return clone(base).fit(last_seen)


@pytest.fixture(scope="module")
def v1_model(base, last_seen):
    """PopSteer's first version as its code has it."""
    model = clone(base).set_params(
        selector=PopularityNeuronSelector(weighting="joint"),
        groups=PopularityGroups("mass"),
        shift_scale="opposite",
        reconstruction="replace",
    )
    return model.fit(last_seen)


@pytest.fixture(params=["v1_model", "v2_model"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def judged(last_seen):
    """A third of the users: enough for trends."""
    return last_seen[::3]


def with_weights(model, weights):
    changed = copy.deepcopy(model)
    changed.selector_.steering_weights_ = weights
    return changed


def popularity(model, X, strength):
    lists = model.recommend(X, strength=strength)
    return average_popularity(lists, model.item_popularity_)


def test_popularity_falls_with_the_strength(model, judged):
    values = [popularity(model, judged, strength) for strength in STRENGTHS]
    assert (np.diff(values) < 0).all()
    assert values[-1] < 0.6 * values[1]


def test_a_flipped_sign_raises_popularity(model, judged):
    flipped = with_weights(model, -model.selector_.steering_weights_)
    before, after = (popularity(flipped, judged, strength) for strength in (0, 1))
    assert after > 1.2 * before


def test_permuted_weights_hardly_matter(model, judged):
    weights = model.selector_.steering_weights_
    before, after = (popularity(model, judged, strength) for strength in (0, 1))
    rng = np.random.default_rng(0)
    moves = [
        popularity(with_weights(model, rng.permutation(weights)), judged, 1) - before
        for _ in range(3)
    ]
    assert np.abs(moves).max() < (before - after) / 2
    assert np.abs(moves).mean() < (before - after) / 3


def test_exposure_is_most_even_at_a_moderate_strength(v2_model, judged):
    host, moderate, extreme = (
        gini(v2_model.recommend(judged, strength=strength), judged.shape[1])
        for strength in (0, 1, 6)
    )
    assert moderate < host
    assert moderate < extreme


def test_strength_zero_gives_the_lists_of_the_host(v2_model, judged, sasrec_host):
    lists = v2_model.recommend(judged, strength=0)
    assert_array_equal(lists, sasrec_host.recommend(judged))


@pytest.mark.parametrize("as_sequences", [False, True])
@pytest.mark.parametrize(("version", "longest"), [("v1", None), ("v2", 50)])
def test_synthetic_profiles_keep_to_one_group_and_to_the_real_lengths(
    version, longest, as_sequences, last_seen, shipped_items
):
    profiles, groups = synthetic_profiles(
        last_seen,
        shipped_items.labels,
        n_profiles=last_seen.shape[0],
        version=version,
        as_sequences=as_sequences,
        random_state=0,
    )
    lengths = np.diff(last_seen.indptr)
    lengths = lengths if longest is None else np.minimum(lengths, longest)
    for group in (1, -1):
        rows = profiles[groups == group]
        items, found = items_and_lengths(rows, as_sequences)
        assert set(shipped_items.labels[items]) == {group}
        n_allowed = (shipped_items.labels == group).sum()
        limit = lengths if as_sequences else np.minimum(lengths, n_allowed)
        assert_array_equal(np.sort(found), np.sort(limit))


def items_and_lengths(rows, as_sequences):
    if as_sequences:
        return rows[rows >= 0], (rows >= 0).sum(axis=1)
    return rows.indices, np.diff(rows.indptr)


@pytest.mark.parametrize("as_sequences", [False, True])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_synthetic_profiles_come_from_the_seed(
    version, as_sequences, last_seen, shipped_items
):
    first, again, other = (
        synthetic_profiles(
            last_seen,
            shipped_items.labels,
            version=version,
            as_sequences=as_sequences,
            random_state=seed,
        )[0]
        for seed in (3, 3, 4)
    )
    assert_same = assert_array_equal if as_sequences else assert_same_rows
    assert_same(first, again)
    with pytest.raises(AssertionError):
        assert_same(first, other)


def assert_same_rows(first, second):
    for name in ("indptr", "indices", "data"):
        assert_array_equal(getattr(first, name), getattr(second, name))
