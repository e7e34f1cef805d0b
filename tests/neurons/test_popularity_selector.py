import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skpopsteer._compat import InvalidParameterError
from skpopsteer.neurons import PopularityNeuronSelector, cohens_d

SCORES = np.array([0.5, -2.0, 0.0, 3.0, -1.0, 0.25])


def fit_scores(scores=SCORES, p_values=None, *, fires=None, **params):
    """Fit on given scores instead of activations."""
    scores = np.asarray(scores, dtype=float)
    result = scores if p_values is None else (scores, np.asarray(p_values))
    Z = np.ones((2, len(scores))) if fires is None else np.array([fires, fires]) * 1.0
    selector = PopularityNeuronSelector(lambda Z, y: result, **params)
    return selector.fit(Z, [1, -1])


def chosen(selector):
    return np.flatnonzero(selector.get_support()).tolist()


# Selection


def test_all_neurons_with_a_score_are_kept_by_default():
    assert chosen(fit_scores()) == [0, 1, 3, 4, 5]


def test_the_threshold_is_of_the_absolute_score_and_inclusive():
    assert chosen(fit_scores(threshold=1.0)) == [1, 3, 4]
    assert chosen(fit_scores(threshold=1.01)) == [1, 3]


@pytest.mark.parametrize(
    ("n", "kept"), [(1, [3]), (3, [1, 3, 4]), (6, [0, 1, 3, 4, 5])]
)
def test_the_largest_absolute_scores_are_kept(n, kept):
    assert chosen(fit_scores(n_neurons_to_select=n)) == kept


def test_equal_scores_go_to_the_lower_position():
    assert chosen(fit_scores([1, -1, 1, -1], n_neurons_to_select=2)) == [0, 1]


def test_n_counts_those_that_pass_the_other_conditions():
    selector = fit_scores(
        n_neurons_to_select=2, drop_silent=True, fires=[1, 1, 1, 0, 1, 1]
    )
    assert chosen(selector) == [1, 4]


@pytest.mark.parametrize("fdr", [0.01, 0.05, 0.3])
def test_fdr_is_the_procedure_of_benjamini_and_hochberg(fdr):
    rng = np.random.default_rng(0)
    p_values = rng.permutation(
        np.concatenate([rng.random(60), np.geomspace(1e-8, 1, 20)])
    )
    selector = fit_scores(rng.normal(size=80), p_values, fdr=fdr)
    # The step-up rule: all up to the last p-value below its share of the rate.
    ascending = np.sort(p_values)
    passing = np.flatnonzero(ascending <= fdr * np.arange(1, 81) / 80)
    expected = p_values <= ascending[passing[-1]]
    assert 0 < expected.sum() < (p_values <= fdr).sum()
    assert_array_equal(expected, false_discovery_control(p_values) <= fdr)
    assert_array_equal(selector.get_support(), expected)


def test_p_values_do_not_select_without_fdr():
    assert chosen(fit_scores([1.0, 2.0], [0.9, 0.9])) == [0, 1]


def test_silent_neurons_are_dropped_on_demand():
    fires = [1, 0, 1, -1, 1, 1]
    assert chosen(fit_scores(fires=fires)) == [0, 1, 3, 4, 5]
    selector = fit_scores(fires=fires, drop_silent=True)
    assert chosen(selector) == [0, 4, 5]
    assert_array_equal(
        selector.silent_neurons_, [False, True, False, True] + [False] * 2
    )


@pytest.mark.parametrize("kind", [np.asarray, csr_array, np.ndarray.tolist])
def test_activations_tell_which_neurons_are_silent(kind):
    Z = np.array([[2.0, 1, 5], [1, 3, 4], [0, -1, 1], [-1, 0, 2]])
    activations = np.array([[1.0, 0, 0], [0, 0, 3]])
    selector = PopularityNeuronSelector(drop_silent=True)
    selector.fit(Z, [1, 1, -1, -1], activations=kind(activations))
    assert chosen(selector) == [0, 2]
    assert_array_equal(selector.silent_neurons_, [False, True, False])


# Weights


def test_weights_per_sign():
    weights = fit_scores(threshold=0.5).steering_weights_
    assert_allclose(weights, [0.5 / 3, -1, 0, 1, -0.5, 0])


def test_weights_per_sign_are_of_the_selected_neurons_only():
    selector = fit_scores(fires=[1, 0, 1, 0, 1, 1], drop_silent=True)
    assert_allclose(selector.steering_weights_, [1, 0, 0, 0, -1, 0.5])


def test_weights_of_one_sign_alone():
    assert_allclose(fit_scores([-1.0, -4.0]).steering_weights_, [-0.25, -1])


def test_joint_weights():
    weights = fit_scores([0.5, -2, 1, 3.5], weighting="joint").steering_weights_
    assert_allclose(weights, [0, -0.5, 0.5 / 3, 1])


def test_joint_weights_start_at_the_smallest_score_of_all_neurons():
    selector = fit_scores([0.5, -2, 1, 3.5], weighting="joint", threshold=2)
    assert_allclose(selector.steering_weights_, [0, -0.5, 0, 1])


def test_joint_weights_end_at_the_largest_selected_score():
    fires = [1, 1, 1, 0]
    selector = fit_scores(
        [0.5, -2, 1, 3.5], weighting="joint", drop_silent=True, fires=fires
    )
    assert_allclose(selector.steering_weights_, [0, -1, 1 / 3, 0])


def test_joint_weights_of_equal_scores_are_full():
    selector = fit_scores([2.0, -2.0], weighting="joint")
    assert_allclose(selector.steering_weights_, [1, -1])


@pytest.mark.parametrize("weighting", ["joint", "per_sign"])
def test_nothing_selected_means_no_weights(weighting):
    selector = fit_scores(threshold=9, weighting=weighting)
    assert not selector.get_support().any()
    assert_array_equal(selector.steering_weights_, np.zeros(6))


# Forms of y


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(20, 5))


def test_groups_are_taken_as_they_are(rows):
    y = np.repeat([1, 0, -1], [6, 4, 10])
    selector = PopularityNeuronSelector().fit(rows, y)
    assert_array_equal(selector.scores_, cohens_d(rows, y)[0])
    assert_array_equal(selector.p_values_, cohens_d(rows, y)[1])


def seen_groups(y, **params):
    """Return the groups that the score function is given for some `y`."""
    seen = []

    def score_func(Z, groups):
        seen.append(np.asarray(groups))
        return np.ones(Z.shape[1])

    PopularityNeuronSelector(score_func, **params).fit(np.ones((len(y), 2)), y)
    return seen[0].tolist()


def test_a_popularity_is_split_by_head_fraction():
    y = [5, 1, 9, 3, 7, 2, 8, 4, 6, 10]
    expected = [0, -1, 1, 0, 0, -1, 0, 0, 0, 1]
    assert seen_groups(y, head_fraction=0.2) == expected
    assert seen_groups(np.array(y) / 7, head_fraction=0.2) == expected
    assert seen_groups(y, head_fraction=0.5).count(0) == 0


def test_ties_of_popularity_are_split_by_position():
    assert seen_groups([4, 4, 4, 4, 4], head_fraction=0.4) == [1, 1, 0, -1, -1]
    y = [2, 9, 2, 9, 2, 9]
    assert seen_groups(y, head_fraction=0.3) == [0, 1, -1, 1, -1, 0]


def test_zeros_and_ones_are_a_popularity():
    assert seen_groups([0, 1, 0, 1, 0], head_fraction=0.4) == [0, 1, -1, 1, -1]


def test_every_fraction_gives_two_groups():
    assert seen_groups([3, 8, 5], head_fraction=0.01) == [-1, 1, 0]
    assert seen_groups([3, 8, 5], head_fraction=0.5) == [-1, 1, 0]


# Finding


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
@pytest.mark.parametrize("weighting", ["per_sign", "joint"])
def test_planted_neurons_are_found_among_noise(kind, weighting):
    rng = np.random.default_rng(3)
    popularity = rng.zipf(1.6, size=400).astype(float)
    Z = np.maximum(rng.normal(size=(400, 60)), 0)
    rank = popularity.argsort().argsort() / 400
    Z[:, 17] += 3 * rank
    Z[:, 41] += 3 * (1 - rank)
    selector = PopularityNeuronSelector(fdr=0.001, weighting=weighting)
    selector.fit(kind(Z), popularity)
    assert chosen(selector) == [17, 41]
    assert selector.scores_[17] > 1
    assert selector.scores_[41] < -1
    weights = selector.steering_weights_
    assert weights[17] > 0.8
    assert weights[41] < -0.8
    assert np.abs(weights).max() == 1


# As a transformer


def test_transform_keeps_the_columns_of_the_support(rows, container):
    y = np.repeat([1, -1], 10)
    selector = PopularityNeuronSelector(n_neurons_to_select=2).fit(rows, y)
    support = selector.get_support()
    assert support.sum() == 2
    assert_array_equal(selector.transform(rows), rows[:, support])
    sparse = selector.transform(container(rows))
    assert_array_equal(sparse.toarray(), rows[:, support])
    assert_array_equal(selector.get_support(indices=True), np.flatnonzero(support))
    restored = selector.inverse_transform(selector.transform(rows))
    assert_array_equal(restored, np.where(support, rows, 0))


def test_feature_names_are_of_the_support():
    assert fit_scores(threshold=2).get_feature_names_out().tolist() == ["x1", "x3"]


def test_an_empty_selection_warns_on_transform():
    with pytest.warns(UserWarning, match="No features were selected"):
        assert fit_scores(threshold=9).transform(np.ones((3, 6))).shape == (3, 0)


def test_a_clone_is_not_fitted(rows):
    selector = PopularityNeuronSelector(threshold=0.1).fit(rows, np.arange(20))
    copy = clone(selector)
    assert copy.get_params() == selector.get_params()
    with pytest.raises(NotFittedError):
        copy.transform(rows)


# Bad input


@pytest.mark.parametrize(
    "params",
    [
        {"threshold": -1},
        {"n_neurons_to_select": 0},
        {"n_neurons_to_select": 1.5},
        {"head_fraction": 0},
        {"head_fraction": 0.6},
        {"weighting": "v1"},
        {"fdr": 1},
        {"drop_silent": "yes"},
        {"score_func": "cohens_d"},
    ],
)
def test_parameters_are_checked(params, rows):
    (name,) = params
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        PopularityNeuronSelector(**params).fit(rows, np.arange(20))


def test_fdr_needs_p_values():
    message = "`fdr` must be None where `score_func` gives no p-values; got 0.05"
    with pytest.raises(ValueError, match=message):
        fit_scores(fdr=0.05)


def test_activations_must_fit_the_neurons(rows):
    message = r"`activations` must have one column per neuron \(5\); got 4"
    with pytest.raises(ValueError, match=message):
        PopularityNeuronSelector().fit(rows, np.arange(20), activations=rows[:, :4])


def test_two_rows_are_needed():
    message = "`Z` must have at least 2 rows, .* got 1 sample"
    with pytest.raises(ValueError, match=message):
        PopularityNeuronSelector().fit(np.ones((1, 3)), [4.0])


def test_y_must_match_the_rows(rows):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PopularityNeuronSelector().fit(rows, np.arange(19))


def test_a_constant_popularity_still_makes_two_groups(rows):
    selector = PopularityNeuronSelector().fit(rows, np.full(20, 7.0))
    groups = np.repeat([1, 0, -1], [4, 12, 4])
    assert_array_equal(selector.scores_, cohens_d(rows, groups)[0])


def test_scores_that_are_undefined_select_nothing_and_spoil_nothing():
    Z = np.array([[5.0, 1, 3], [6, 1, 2], [1, 1, 2], [0, 1, 3]])

    def scores_and_p_values(Z, y):
        return [4.0, np.nan, 1.0], [0.01, np.nan, 0.9]

    selector = PopularityNeuronSelector(
        scores_and_p_values, weighting="joint", fdr=0.05
    ).fit(Z, [1, 1, -1, -1])
    assert chosen(selector) == [0]
    assert_array_equal(selector.steering_weights_, [1, 0, 0])


def test_a_score_function_must_score_every_neuron():
    Z = np.array([[5.0, 1], [6, 2], [1, 1], [0, 3]])
    selector = PopularityNeuronSelector(lambda Z, y: [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="`score_func` must return one score per"):
        selector.fit(Z, [1, 1, -1, -1])


def test_a_boolean_popularity_is_a_popularity():
    Z = np.array([[5.0, 1], [6, 2], [1, 1], [0, 3]])
    selector = PopularityNeuronSelector(head_fraction=0.5)
    boolean = selector.fit(Z, np.array([True, True, False, False])).scores_
    assert_array_equal(selector.fit(Z, [1, 1, -1, -1]).scores_, boolean)
