import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, issparse
from scipy.stats import pearsonr, pointbiserialr
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
)

from skpopsteer._compat import InvalidParameterError
from skpopsteer.neurons import (
    ConceptNeuronSelector,
    _concept_map,
    _concept_scores,
    concept_activity,
    map_concepts,
    neuron_tfidf,
)
from skpopsteer.neurons._concept_scores import (
    SCORE_FUNCTIONS,
    best_neurons,
    correlation_p_values,
    fire_often_enough,
    prepare_scores,
)

DIRECTIONS = ["best_characterizes", "most_unique"]
quick = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture
def rows():
    """60 items, 9 neurons of which one is silent, and 5 tags of which one is unused."""
    rng = np.random.default_rng(0)
    Z = np.maximum(rng.normal(size=(60, 9)), 0) * (rng.random((60, 9)) < 0.5)
    T = rng.integers(1, 9, size=(60, 5)) * (rng.random((60, 5)) < 0.3)
    Z[:, 4], T[:, 3] = 0, 0
    return Z, T.astype(float)


def tfidf_by_hand(M):
    """Terms in rows, documents in columns, one number at a time."""
    n_terms, n_documents = M.shape
    result = np.zeros(M.shape)
    for r in range(n_terms):
        in_documents = sum(M[r, c] != 0 for c in range(n_documents))
        idf = np.log((n_documents + 1) / (in_documents + 1)) + 1
        for c in range(n_documents):
            total = sum(M[:, c])
            result[r, c] = M[r, c] / total * idf if total else 0
    return result


# Activity and TF-IDF


def test_activity_is_the_product_of_shares_and_activations(rows):
    Z, T = rows
    expected = (T / T.sum()).T @ Z
    activity = concept_activity(Z, T)
    assert isinstance(activity, csr_array)
    assert_allclose(activity.toarray(), expected, rtol=1e-12)
    assert activity.nnz == np.count_nonzero(expected)
    assert activity.dtype == np.float64
    assert activity.has_canonical_format


def test_activity_takes_every_container_and_dtype(rows, container):
    Z, T = rows
    expected = concept_activity(Z, T).toarray()
    for kind in (np.float64, np.float32, np.int64):
        got = concept_activity(container(Z), container(T.astype(kind)))
        assert_allclose(got.toarray(), expected, rtol=1e-12)
    got = concept_activity(container(Z.astype(np.float32)), T.astype(np.int8))
    assert got.dtype == np.float64
    assert_allclose(got.toarray(), expected, rtol=1e-6)


def test_activity_of_tags_nobody_gave_is_nothing():
    activity = concept_activity([[1.0, 2.0]], [[0, 0, 0]])
    assert activity.shape == (3, 2)
    assert activity.nnz == 0


@pytest.mark.parametrize("make", [np.asarray, csr_array])
def test_tfidf_is_the_formula_in_both_directions(rows, make):
    R = concept_activity(*rows).toarray()
    best = neuron_tfidf(make(R))
    unique = neuron_tfidf(make(R), direction="most_unique")
    for got, expected in [(best, tfidf_by_hand(R.T).T), (unique, tfidf_by_hand(R))]:
        assert issparse(got) == (make is csr_array)
        if issparse(got):
            assert got.nnz == np.count_nonzero(R)
            got = got.toarray()
        assert_allclose(got, expected, rtol=1e-12)


def test_tfidf_by_numbers():
    # Neuron 0 stands for both concepts, neuron 1 for one, neuron 2 is dead.
    R = np.array([[2.0, 2.0, 0.0], [4.0, 0.0, 0.0]])
    rare = 1 + np.log(3 / 2)
    assert_allclose(neuron_tfidf(R), [[0.5, 0.5 * rare, 0], [1, 0, 0]])
    idf = 1 + np.log(4 / np.array([[3], [2]]))
    expected = [[1 / 3, 1, 0], [2 / 3, 0, 0]] * idf
    assert_allclose(neuron_tfidf(R, direction="most_unique"), expected)


def test_the_two_directions_choose_different_neurons():
    # Neuron 0 holds most of the activity of tag 0, neuron 1 fires for it alone.
    R = np.array([[8.0, 1.0], [8.0, 0.0]])
    assert neuron_tfidf(R)[0].argmax() == 0
    assert neuron_tfidf(R, direction="most_unique")[0].argmax() == 1


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_inputs_are_left_alone(rows, direction):
    Z, T = (csr_array(table) for table in rows)
    R = concept_activity(Z, T)
    before = [table.copy() for table in (Z, T, R)]
    weighted = neuron_tfidf(R, direction=direction)
    weighted.data[:], weighted.indices[:] = -1, 0
    for table, was in zip((Z, T, R), before, strict=True):
        assert_array_equal(table.data, was.data)
        assert_array_equal(table.indices, was.indices)


table_of_weights = arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 7)),
    elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e3)),
)


@quick
@given(table_of_weights, st.sampled_from(DIRECTIONS), st.floats(1e-3, 1e3))
def test_tfidf_does_not_depend_on_the_unit(R, direction, unit):
    expected = neuron_tfidf(R, direction=direction)
    assert_allclose(neuron_tfidf(unit * R, direction=direction), expected, rtol=1e-9)


@quick
@given(table_of_weights, st.sampled_from(DIRECTIONS), st.randoms())
def test_tfidf_follows_the_neurons_and_the_concepts(R, direction, random):
    concepts = random.sample(range(R.shape[0]), R.shape[0])
    neurons = random.sample(range(R.shape[1]), R.shape[1])
    expected = neuron_tfidf(R, direction=direction)[np.ix_(concepts, neurons)]
    got = neuron_tfidf(R[np.ix_(concepts, neurons)], direction=direction)
    assert_allclose(got, expected, rtol=1e-9)


@quick
@given(table_of_weights)
def test_shares_add_up_to_at_most_the_idf(R):
    assert (neuron_tfidf(R) <= 1 + np.log((len(R) + 1) / 2) + 1e-9).all()
    assert_array_equal(neuron_tfidf(R) > 0, R > 0)


# The other scores, against scipy and scikit-learn


def scores_of(name, Z, T, *, rows="items", item_profiles=None, make=csr_array):
    score = prepare_scores(
        name, make(Z), csr_array(T), rows=rows, item_profiles=item_profiles
    )
    return score(np.arange(T.shape[1]))


def test_point_biserial_is_scipys(rows):
    Z, T = rows
    scores = scores_of("point_biserial", Z, T)
    p_values = correlation_p_values(scores, len(Z))
    for concept in (0, 1, 2, 4):
        for neuron in (0, 1, 2, 3, 5, 6, 7, 8):
            expected = pointbiserialr(T[:, concept] > 0, Z[:, neuron])
            assert_allclose(scores[concept, neuron], expected.statistic, rtol=1e-9)
            assert_allclose(p_values[concept, neuron], expected.pvalue, rtol=1e-7)
    assert_array_equal(scores[3], np.zeros(9))
    assert_array_equal(scores[:, 4], np.zeros(5))
    assert_array_equal(p_values[3], np.ones(9))


def test_the_correlation_of_users_is_with_their_shares(rows):
    Z, T = rows
    shares = T / 10
    scores = scores_of("point_biserial", Z, shares, rows="users")
    assert_allclose(scores[1, 2], pearsonr(shares[:, 1], Z[:, 2]).statistic, rtol=1e-9)
    assert not np.isclose(scores[1, 2], scores_of("point_biserial", Z, T)[1, 2])


def test_what_is_constant_correlates_with_nothing():
    Z = np.column_stack([np.full(7, 0.1), np.full(7, 1e5), np.arange(7)])
    T = np.column_stack([np.ones(7), [0, 0, 0, 0, 1, 1, 1]])
    scores = scores_of("point_biserial", Z, T)
    assert_array_equal(scores[0], np.zeros(3))
    assert_array_equal(scores[1, :2], np.zeros(2))
    assert scores[1, 2] > 0.8


@quick
@given(arrays(bool, st.integers(3, 40)), st.floats(1e-3, 1e3))
def test_no_correlation_is_beyond_one(members, unit):
    T = members[:, None].astype(float)
    scores = scores_of("point_biserial", unit * T, T)
    assert_allclose(scores, float(0 < members.sum() < len(members)), rtol=1e-9)
    assert scores <= 1
    assert np.isfinite(correlation_p_values(scores, len(T))).all()


def test_a_perfect_correlation_is_certain_and_two_rows_prove_nothing():
    assert_array_equal(correlation_p_values(np.array([1.0, -1.0]), 9), [0, 0])
    assert_array_equal(correlation_p_values(np.array([1.0, -1.0]), 2), [1, 1])


@pytest.mark.parametrize(
    ("name", "metric"),
    [("precision", precision_score), ("recall", recall_score), ("f1", f1_score)],
)
def test_firing_is_scored_as_a_guess(rows, name, metric):
    Z, T = rows
    scores = scores_of(name, Z, T)
    for concept in range(5):
        for neuron in range(9):
            guess = Z[:, neuron] > 0
            expected = metric(T[:, concept] > 0, guess, zero_division=0)
            assert_allclose(scores[concept, neuron], expected, rtol=1e-12)


def test_the_precision_for_users_is_their_mean_share():
    Z, shares = np.array([[1.0], [2], [0]]), np.array([[0.5], [0.1], [0.9]])
    assert_allclose(scores_of("precision", Z, shares, rows="users"), [[0.3]])
    assert_allclose(scores_of("recall", Z, shares, rows="users"), [[0.4]])


@pytest.mark.parametrize("block", [2**22, 150])
def test_output_precision_is_scikit_learns(rows, block, monkeypatch):
    monkeypatch.setattr(_concept_scores, "_BLOCK_ENTRIES", block)
    Z, T = rows
    # Few levels, so that there are many ties.
    profiles = np.random.default_rng(1).integers(-5, 5, size=(9, 60)).astype(np.float32)
    scores = scores_of("output_precision", Z, T, item_profiles=profiles)
    for concept in (0, 1, 2, 4):
        expected = [average_precision_score(T[:, concept] > 0, p) for p in profiles]
        assert_allclose(scores[concept], expected, rtol=1e-12)
    assert_array_equal(scores[3], np.zeros(9))


def test_output_precision_by_numbers():
    members = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 0, 0]])
    profiles = np.array([[4.0, 3, 2, 1], [1, 2, 3, 4]])
    scores = scores_of(
        "output_precision", np.ones((4, 2)), members, item_profiles=profiles
    )
    assert_allclose(scores[0], [(1 + 2 / 3) / 2, (1 / 2 + 2 / 4) / 2])
    assert_allclose(scores[1:], [[1 / 3, 1 / 2]] * 2)


def test_item_profiles_may_be_made_in_blocks(rows, monkeypatch):
    monkeypatch.setattr(_concept_scores, "_BLOCK_ENTRIES", 200)
    Z, T = rows
    rng = np.random.default_rng(2)
    directions, items = rng.normal(size=(9, 3)), rng.normal(size=(60, 3))

    asked = []

    class Profiles:
        shape = (9, 60)

        def __getitem__(self, neurons):
            asked.append(neurons)
            return directions[neurons] @ items.T

    got = scores_of("output_precision", Z, T, item_profiles=Profiles())
    whole = scores_of("output_precision", Z, T, item_profiles=directions @ items.T)
    assert_allclose(got, whole)
    assert asked == [slice(0, 3), slice(3, 6), slice(6, 9)]


@pytest.mark.parametrize("name", SCORE_FUNCTIONS)
def test_scores_follow_the_neurons_and_not_the_unit_of_the_tags(rows, name):
    Z, T = rows
    profiles = np.random.default_rng(3).normal(size=(9, 60))
    order = np.random.default_rng(4).permutation(9)
    expected = scores_of(name, Z, T, item_profiles=profiles)
    assert np.isfinite(expected).all()
    got = scores_of(name, Z[:, order], 0.25 * T, item_profiles=profiles[order])
    assert_allclose(got, expected[:, order], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "name", [n for n in SCORE_FUNCTIONS if n != "output_precision"]
)
def test_dense_and_sparse_activations_score_alike(rows, name):
    dense = scores_of(name, *rows, make=np.asarray)
    assert_array_equal(scores_of(name, *rows), dense)


def test_a_callable_scores_one_concept_at_a_time(rows):
    Z, T = rows

    def mean_difference(Z, y):
        assert y.shape == (60,)
        assert set(y) <= {0.0, 1.0}
        return y @ Z / max(y.sum(), 1) - Z.mean(axis=0)

    scores = scores_of(mean_difference, Z, T, make=np.asarray)
    members = T[:, 2] > 0
    assert_allclose(scores[2], Z[members].mean(axis=0) - Z.mean(axis=0))


# Choosing


def test_support_counts_rows_of_the_concept():
    Z = np.array([[1.0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0]])
    T = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]])
    columns = np.array([0, 1, 2])
    for min_support, expected in [
        (1, [[1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]]),
        (2, [[1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]),
        (3, [[1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]),
        (9, [[1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]),
    ]:
        enough = fire_often_enough(csr_array(Z), csr_array(T), min_support)(columns)
        assert_array_equal(enough, expected)


def test_the_best_neurons_come_first_and_ties_go_by_number():
    scores = np.array([[1.0, 3, 3, 2, 9, 0], [-1, -3, -1, -2, 9, -5]])
    enough = np.array([[True, True, True, True, False, True]] * 2)
    assert_array_equal(best_neurons(scores, enough, 3), [[1, 2, 3], [0, 2, 3]])
    expected = [[1, 2, 3, 0, -1, -1], [0, 2, 3, 1, 5, -1]]
    assert_array_equal(best_neurons(scores, enough, 8), expected)


def test_a_negative_neuron_is_not_chosen_beside_a_positive_one():
    assert_array_equal(
        best_neurons(np.array([[0.1, -0.1, 0.0]]), np.ones((1, 3), dtype=bool), 3),
        [[0, -1, -1]],
    )


# Maps


@pytest.mark.parametrize("name", SCORE_FUNCTIONS)
@pytest.mark.parametrize("min_support", [1, 3])
def test_the_map_holds_what_the_selector_selects(rows, name, min_support, monkeypatch):
    monkeypatch.setattr(_concept_map, "_BLOCK_SCORES", 2 * 9)
    Z, T = rows
    profiles = np.random.default_rng(5).normal(size=(9, 60))
    params = {"score_func": name, "min_support": min_support}
    table = map_concepts(
        Z, T, list("abcde"), n_neurons=3, item_profiles=profiles, **params
    )
    for column, concept in enumerate("abcde"):
        if concept == "d":
            assert_array_equal(table["d"], [])
            continue
        selector = ConceptNeuronSelector(concept, n_neurons_to_select=3, **params)
        selector.fit(Z, T, feature_names=list("abcde"), item_profiles=profiles)
        assert_array_equal(np.sort(table[concept]), selector.get_support(indices=True))
        best = table.neurons[column][table.neurons[column] >= 0]
        scores = table.scores[column][: len(best)]
        assert_allclose(scores, selector.scores_[best], rtol=1e-12)
        assert (np.diff(scores) <= 0).all()


def test_the_map_of_users_reads_shares(rows):
    Z, T = rows
    shares = T / 10
    table = map_concepts(Z, shares, rows="users", n_neurons=9)
    selector = ConceptNeuronSelector(0, rows="users", n_neurons_to_select=9)
    selector.fit(Z, shares)
    assert_array_equal(np.sort(table["0"]), selector.get_support(indices=True))
    assert_allclose(table.scores[0][: len(table["0"])], selector.scores_[table["0"]])


@pytest.fixture
def small_map():
    Z = np.array([[2.0, 0, 1], [3, 0, 0], [0, 2, 0], [0, 3, 0]])
    T = np.array([[1, 0, 4, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 2, 0]])
    names = ["noir", "western", "crime", "<none>"]
    return map_concepts(Z, T, names, score_func="precision", n_neurons=2, min_support=1)


def test_the_map_says_what_it_found(small_map):
    assert len(small_map) == 4
    assert_array_equal(small_map.n_rows, [2, 2, 3, 0])
    assert_array_equal(small_map.neurons, [[0, 2], [1, -1], [0, 2], [-1, -1]])
    minus = -np.inf
    expected = [[1, 1], [1, minus], [1, 1], [minus, minus]]
    assert_allclose(small_map.scores, expected)
    assert_array_equal(small_map["crime"], [0, 2])


def test_the_map_names_neurons_of_several_concepts(small_map):
    assert small_map.shared_neurons() == {0: ["noir", "crime"]}
    assert small_map.shared_neurons(2) == {0: ["noir", "crime"], 2: ["noir", "crime"]}


def test_neurons_of_most_concepts_come_first():
    Z = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    T = np.array([[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1]])
    shared = map_concepts(Z, T, n_neurons=1).shared_neurons()
    assert list(shared.items()) == [(1, ["2", "3", "4"]), (0, ["0", "1"])]


def test_the_map_prints(small_map):
    lines = str(small_map).splitlines()
    assert lines[0] == "concept  rows  neurons (score)"
    assert lines[2] == "crime       3  0 (1.000), 2 (1.000)"
    assert lines[-1] == "<none>      0  none"
    assert "&lt;none&gt;" in small_map._repr_html_()
    assert "0 (1.000), 2 (1.000)" in small_map._repr_html_()


def test_long_maps_print_the_concepts_of_most_rows():
    T = np.tri(30, 25)
    table = map_concepts(np.ones((30, 1)), T, score_func="recall")
    lines = str(table).splitlines()
    assert len(lines) == 2 + 20 + 1
    assert lines[2].startswith("0 ")
    assert lines[-1] == "... 5 of fewer rows"


@pytest.mark.parametrize(("backend", "library"), [("pandas", pd), ("polars", pl)])
def test_the_map_becomes_a_frame(small_map, backend, library):
    frame = small_map.to_frame(backend)
    assert isinstance(frame, library.DataFrame)
    columns = {name: list(frame[name]) for name in frame.columns}
    assert columns == {
        "concept": ["noir", "noir", "western", "crime", "crime"],
        "n_rows": [2, 2, 2, 3, 3],
        "rank": [1, 2, 1, 1, 2],
        "neuron": [0, 2, 1, 0, 2],
        "score": [1.0] * 5,
    }


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda Z, T: neuron_tfidf(T, direction="best"),
            "`direction` must be 'best_characterizes' or 'most_unique'; got 'best'",
        ),
        (
            lambda Z, T: neuron_tfidf(-T),
            r"`R` must hold finite numbers >= 0; .* Pass 0 for what is not",
        ),
        (
            lambda Z, T: concept_activity(Z - 1, T),
            r"`Z` must hold finite numbers >= 0; .* no pre-activations",
        ),
        (
            lambda Z, T: concept_activity(Z, T * np.nan),
            "`T` must hold finite numbers >= 0",
        ),
        (
            lambda Z, T: concept_activity(Z, T[:, 0]),
            r"`T` must be a matrix of numbers; got shape \(60,\)",
        ),
        (
            lambda Z, T: concept_activity(Z, T.astype(str)),
            "`T` must be a matrix of numbers; got shape .* and dtype <U",
        ),
        (
            lambda Z, T: map_concepts(Z, T[:50]),
            r"`T` must have one row per row of `Z` \(60\); got 50",
        ),
        (
            lambda Z, T: map_concepts(Z, T, ["a"]),
            r"`names` must hold one name per concept \(5\); got 1",
        ),
        (
            lambda Z, T: map_concepts(Z, T, score_func="output_precision"),
            r"`item_profiles` must have one row per neuron .* \(9, 60\); got none",
        ),
        (
            lambda Z, T: map_concepts(
                Z, T, score_func="output_precision", item_profiles=Z
            ),
            r"`item_profiles` must have .* \(9, 60\); got \(60, 9\)",
        ),
        (
            lambda Z, T: map_concepts(Z, T, score_func=lambda Z, y: y),
            r"`score_func` must return one score per neuron \(9\); got shape \(60,\)",
        ),
    ],
)
def test_bad_input_gets_one_line(rows, call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call(*rows)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "params", [{"score_func": "tfidf"}, {"n_neurons": 0}, {"rows": "tags"}]
)
def test_parameters_of_the_map_are_checked(rows, params):
    (name,) = params
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        map_concepts(*rows, **params)


def test_an_unknown_concept_of_the_map_is_a_key_error(small_map):
    with pytest.raises(KeyError, match="`name` must be one of the concepts; got 'war'"):
        small_map["war"]
