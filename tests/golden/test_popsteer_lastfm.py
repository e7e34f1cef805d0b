"""Numbers of PopSteer's authors that must come out of their own Last.fm inputs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch

from skpopsteer.metrics import (
    average_popularity,
    coverage,
    gini,
    hit_rate,
    ndcg,
    tail_coverage,
)
from skpopsteer.neurons import PopularityNeuronSelector, cohens_d_from_stats
from skpopsteer.popularity import PopularityGroups
from skpopsteer.steering._selection import SelectorRows
from skpopsteer.steering._side import SteeredSide, _group_scales
from skpopsteer.topk import top_k

N_ITEMS = 2975
#: The strength that the authors publish for Last.fm.
ALPHA = 4.0
#: Neuron: Cohen's d, weight times alpha, shift with the opposite and own deviation.
NEURONS = {
    2307: (-4.804753, 4.000000, 0.855418, 1.200172),
    440: (-4.800300, 3.996293, 0.873089, 1.428927),
    493: (-4.797606, 3.994050, 0.572094, 0.917621),
    756: (2.489871, 2.072838, -1.037956, -0.702961),
}
#: Norm and sum of the whole shift.
SHIFT = {"opposite": (24.730582, 290.556577), "own": (28.823368, 715.091724)}


# Labels


def test_counts_of_training_targets_are_the_shipped_ones(
    training_counts, shipped_items
):
    assert_array_equal(training_counts, shipped_items.counts)
    assert training_counts.sum() == 60_200


def test_mass_groups_have_the_published_sizes(training_counts):
    labels = PopularityGroups("mass").label(training_counts)
    sizes = [int((labels == group).sum()) for group in (1, 0, -1)]
    assert sizes == [42, 1_157, 1_776]


def test_mass_groups_are_the_shipped_labels(training_counts, shipped_items):
    labels = PopularityGroups("mass").label(training_counts)
    differ = np.flatnonzero(labels != shipped_items.labels)
    # The tail ends within the items of count 12, where the authors' order is arbitrary.
    assert set(training_counts[differ]) <= {12}
    tied = training_counts == 12
    assert_array_equal(
        np.sort(labels[tied]), np.sort(shipped_items.labels[tied]).astype(np.int8)
    )


# Effect sizes, weights and shifts


def test_effect_sizes_are_the_shipped_ones(shipped_neurons):
    d = cohens_d_from_stats(*shipped_neurons.popular, *shipped_neurons.unpopular)
    assert_allclose(d, shipped_neurons.d, rtol=0, atol=1e-9)


def test_group_sizes_do_not_change_the_effect_sizes_of_equal_groups(shipped_neurons):
    moments = *shipped_neurons.popular, *shipped_neurons.unpopular
    d = cohens_d_from_stats(*moments, 60_200, 60_200)
    assert_allclose(d, shipped_neurons.d, rtol=0, atol=1e-9)


def two_row_groups(neurons):
    """Make two rows a group that have exactly the shipped mean and deviation."""
    rows = [
        mean + sign * std
        for mean, std in (neurons.popular, neurons.unpopular)
        for sign in (1, -1)
    ]
    return np.array(rows), np.array([1, 1, -1, -1])


@pytest.fixture
def v1_selector(shipped_neurons):
    """PopSteer v1's weights, from the shipped effect sizes."""
    selector = PopularityNeuronSelector(
        lambda Z, y: shipped_neurons.d, weighting="joint"
    )
    return selector.fit(np.zeros((2, len(shipped_neurons.d))), [1, -1])


@pytest.fixture
def shifts(v1_selector, shipped_neurons):
    """``shifts(kind, alpha)`` is PopSteer v1's shift of every pre-activation."""
    pre, groups = two_row_groups(shipped_neurons)
    weights = v1_selector.steering_weights_

    def shift(kind, popular, unpopular=None):
        scales = _group_scales(pre, groups, weights, kind)
        side = SteeredSide(None, v1_selector, scales, peaks=None, n_features=64)
        return side.push(popular, popular if unpopular is None else unpopular) * (
            side.scales
        )

    return shift


@pytest.mark.parametrize("neuron", NEURONS)
def test_joint_weights_of_neurons(neuron, v1_selector):
    d, weight, *_ = NEURONS[neuron]
    assert_allclose(v1_selector.scores_[neuron], d, atol=5e-7)
    signed = ALPHA * v1_selector.steering_weights_[neuron]
    assert_allclose(signed, np.sign(d) * weight, rtol=0, atol=5e-7)


def test_joint_weights_of_all_neurons(v1_selector):
    weights = v1_selector.steering_weights_
    assert_allclose(ALPHA * np.abs(weights).mean(), 0.783772, rtol=0, atol=5e-7)
    smallest = np.abs(v1_selector.scores_)
    assert smallest.argmin() == 2376
    assert_allclose(smallest.min(), 5.63478e-6, rtol=1e-6)
    assert weights[2376] == 0
    assert v1_selector.get_support().all()


@pytest.mark.parametrize("kind", ["own", "opposite"])
def test_deviations_are_of_the_group_that_is_asked_for(
    kind, v1_selector, shipped_neurons
):
    pre, groups = two_row_groups(shipped_neurons)
    scales = _group_scales(pre, groups, v1_selector.steering_weights_, kind)
    of_popular = (shipped_neurons.d > 0) == (kind == "own")
    wanted = np.where(
        of_popular, shipped_neurons.popular[1], shipped_neurons.unpopular[1]
    )
    moved = v1_selector.steering_weights_ != 0
    assert_allclose(scales[moved], wanted[moved], rtol=1e-9)


@pytest.mark.parametrize("neuron", NEURONS)
def test_shifts_of_neurons(neuron, shifts):
    *_, opposite, own = NEURONS[neuron]
    assert_allclose(shifts("opposite", ALPHA)[neuron], opposite, rtol=0, atol=1e-6)
    assert_allclose(shifts("own", ALPHA)[neuron], own, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", SHIFT)
def test_shifts_of_all_neurons(kind, shifts):
    norm, total = SHIFT[kind]
    v = shifts(kind, ALPHA)
    assert_allclose(np.linalg.norm(v), norm, rtol=0, atol=5e-6)
    assert_allclose(v.sum(dtype=np.float64), total, rtol=0, atol=5e-5)


def test_shifts_are_linear_in_the_strength(shifts):
    assert_array_equal(shifts("own", 2.0), 2 * shifts("own", 1.0))
    assert_array_equal(shifts("own", -1.0), -shifts("own", 1.0))
    assert not shifts("own", 0.0).any()
    assert_allclose(
        shifts("own", 3.0), shifts("own", 1.0) + shifts("own", 2.0), rtol=1e-6
    )


def test_each_strength_turns_its_own_neurons(shifts, shipped_neurons):
    v = shifts("own", 4.0, 0.0)
    assert (v[shipped_neurons.d > 0] < 0).all()
    assert not v[shipped_neurons.d < 0].any()
    assert_array_equal(v + shifts("own", 0.0, 2.0), shifts("own", 4.0, 2.0))


class Untouched(BaseEstimator):
    """A probe whose pre-activations are its input."""

    def transform(self, rows):
        return rows


@pytest.mark.parametrize("kind", SHIFT)
def test_a_fitted_side_shifts_as_published(kind, shipped_neurons):
    pre, groups = two_row_groups(shipped_neurons)
    side = SteeredSide.fit(
        Untouched(),
        PopularityNeuronSelector(weighting="joint"),
        rows=pre,
        selector_rows=SelectorRows(profiles=(pre, groups)),
        shift_scale=kind,
    )
    assert_allclose(side.selector.scores_, shipped_neurons.d, rtol=1e-4, atol=1e-5)
    v = side.push(ALPHA, ALPHA) * side.scales
    assert_allclose(np.linalg.norm(v), SHIFT[kind][0], rtol=1e-4)
    column = 2 if kind == "opposite" else 3
    wanted = [values[column] for values in NEURONS.values()]
    assert_allclose(v[list(NEURONS)], wanted, rtol=1e-4)


# The backbone


def padded(sequences):
    width = max(len(items) for items in sequences)
    rows = np.full((len(sequences), width), -1, dtype=np.int64)
    for row, items in zip(rows, sequences, strict=True):
        row[: len(items)] = items
    return rows


@pytest.fixture(scope="module", params=["valid", "test"])
def ranking(request, sequences, sasrec_host):
    """Top 10 of the authors' SASRec, seen items included, and what was held out."""
    n_hidden = {"valid": 2, "test": 1}[request.param]
    U = sasrec_host.encode_sequences(padded([s[:-n_hidden] for s in sequences]))
    lists, _ = top_k(sasrec_host.decode(U), 10)
    held_out = np.array([items[-n_hidden] for items in sequences])
    published = {
        "valid": Bunch(
            ndcg=0.62728, hit=0.67254, gini=0.58495, coverage=0.89244,
            deep_tail=0.87162, popularity=79.504,
        ),
        "test": Bunch(
            ndcg=0.64724, hit=None, gini=0.57894, coverage=0.90420,
            deep_tail=0.88176, popularity=81.599,
        ),
    }[request.param]  # fmt: skip
    return Bunch(lists=lists, held_out=held_out, published=published)


def test_accuracy_of_the_authors_model(ranking):
    value = ndcg(ranking.held_out, ranking.lists)
    assert value == pytest.approx(ranking.published.ndcg, abs=5e-6)
    if ranking.published.hit is not None:
        value = hit_rate(ranking.held_out, ranking.lists)
        assert value == pytest.approx(ranking.published.hit, abs=5e-6)


def test_exposure_of_the_authors_model(ranking):
    lists, published = ranking.lists, ranking.published
    assert gini(lists, N_ITEMS) == pytest.approx(published.gini, abs=5e-6)
    assert coverage(lists, N_ITEMS) == pytest.approx(published.coverage, abs=5e-6)


def test_popularity_of_the_authors_lists(ranking, training_counts, shipped_items):
    lists, published = ranking.lists, ranking.published
    value = average_popularity(lists, training_counts)
    assert value == pytest.approx(published.popularity, abs=5e-4)
    value = tail_coverage(lists, shipped_items.labels)
    assert value == pytest.approx(published.deep_tail, abs=5e-6)


def test_rows_of_times_are_read_as_sequences_of_last_events(
    sequences, last_seen, sasrec_host
):
    last_events = [
        list(dict.fromkeys(items[:-2][::-1].tolist()))[::-1] for items in sequences
    ]
    assert_allclose(
        sasrec_host.encode_users(last_seen),
        sasrec_host.encode_sequences(padded(last_events)),
        atol=1e-5,
    )
