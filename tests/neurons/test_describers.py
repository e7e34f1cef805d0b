"""Describers: formulas by hand, and answers of all kinds from functions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from skpopsteer._compat import InvalidParameterError
from skpopsteer.neurons import (
    CallableDescriber,
    EnrichmentDescriber,
    NeuronCases,
    TfidfDescriber,
)
from skpopsteer.neurons._cases import ShownItems
from skpopsteer.neurons._describers._score_levels import best_split, score_levels

NAMES = np.array(["action", "drama", "noir"], dtype=object)
FEATURES = csr_array(
    np.array([[1.0, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 0], [0, 1, 0]])
)
TITLES = np.array(["Heat", "The Rock", "Heat Wave", "", "Sci-Fi", "Rock"], dtype=object)
ITEMS = np.array([0, 0, 1, 2, 2, 3, 4, 5, 5, 5])


def shown_items(features=FEATURES, names=NAMES, titles=TITLES):
    return ShownItems(np.arange(len(ITEMS)), ITEMS, features, names, titles)


def cases_of(shown, active, inactive):
    """Cases of the given items, the active ones at level 10."""
    places = [np.flatnonzero(shown.items == item)[0] for item in [*active, *inactive]]
    levels = np.repeat([10.0, 0.0], [len(active), len(inactive)])
    return NeuronCases(shown, np.array(places), levels)


# Scores into levels


def test_the_best_split_lies_between_the_groups():
    scores = np.array([4.0, 3.0, 1.0, 0.0])
    fires = np.array([True, True, False, False])
    assert best_split(scores, fires) == 2.0


def test_of_equally_good_splits_the_lowest_is_taken():
    # Above 0 and above 2 find one of two without a false alarm.
    scores = np.array([2.0, 0.0, 0.0, 0.0])
    assert best_split(scores, np.array([True, True, False, False])) == 1.0
    scores, fires = np.array([9.0, 5.0, 3.0, 1.0]), np.array([1, 0, 1, 0], dtype=bool)
    assert best_split(scores, fires) == 2.0


def test_without_a_positive_score_nothing_is_above_the_split():
    threshold = best_split(np.array([0.0, -1.0]), np.array([True, False]))
    assert threshold == np.inf
    assert_array_equal(score_levels(np.array([0.0, 3.0, -2.0]), threshold), 0)


def test_the_split_is_level_5_and_levels_end_at_0_and_10():
    levels = score_levels(np.array([-1.0, 0.0, 1.0, 2.0, 3.0, 9.0]), 2.0)
    assert_array_equal(levels, [0, 0, 2.5, 5, 7.5, 10])


# Enrichment


def test_enrichment_is_the_formula():
    describer = EnrichmentDescriber().fit(shown_items())
    # Of ten rows 3 are action, 7 drama, 1 noir.
    rates = np.array([4, 8, 2]) / 12
    assert_allclose(describer.base_rates_, rates)
    cases = cases_of(shown_items(), [0, 1], [2, 4])
    concept = describer.describe(cases)
    weights = np.zeros(3)
    weights[concept.columns] = concept.weights
    action = np.log((2 + rates[0]) / (3 * rates[0]))
    # One drama of two is fewer than usual.
    assert (1 + rates[1]) / (3 * rates[1]) < 1
    assert_allclose(weights, [action, 0, 0])
    # Without itself an item is scored by N = 1 and one action less.
    left_out = np.log((1 + rates[0]) / (2 * rates[0]))
    assert concept.threshold == pytest.approx(left_out / 2 / 2)
    levels = describer.predict(concept, cases)
    scores = np.array([action, action / 2, 0, 0])
    assert_allclose(levels, np.clip(5 * scores / concept.threshold, 0, 10))


def test_an_attribute_of_one_item_alone_does_not_raise_the_split():
    """Its own tags would score a described item far above all that may follow."""
    rng = np.random.default_rng(0)
    n_items, own_tags = 40, np.repeat(np.eye(40), 5, axis=1)
    shared = (np.arange(n_items) < 20)[:, np.newaxis]
    features = csr_array(np.hstack([shared, own_tags]).astype(float))
    items = rng.permutation(n_items)
    shown = ShownItems(
        np.arange(n_items), items, features, np.arange(201).astype(str).astype(object)
    )
    describer = EnrichmentDescriber().fit(shown)
    concept = describer.describe(cases_of(shown, range(5), range(20, 25)))
    others = cases_of(shown, range(5, 10), range(25, 30))
    levels = describer.predict(concept, others)
    assert (levels[:5] > 5).all()
    assert (levels[5:] == 0).all()


def test_an_item_without_attributes_is_never_predicted():
    describer = EnrichmentDescriber().fit(shown_items())
    concept = describer.describe(cases_of(shown_items(), [0, 1], [2, 5]))
    assert describer.predict(concept, cases_of(shown_items(), [4], []))[0] == 0


def test_cases_without_any_attribute_give_a_constant_answer():
    describer = EnrichmentDescriber().fit(shown_items())
    concept = describer.describe(cases_of(shown_items(), [4, 4], [0, 2]))
    cases = cases_of(shown_items(), [0, 1], [2, 4])
    assert_array_equal(describer.predict(concept, cases), 0)


def test_enrichment_needs_features():
    with pytest.raises(ValueError, match="`item_features` must be given"):
        EnrichmentDescriber().fit(shown_items(None, None))


def test_the_label_is_the_first_enriched_attributes():
    label = EnrichmentDescriber(max_attributes=2).label
    assert label(None, ("noir", "drama", "action")) == "noir, drama"
    assert label(None, ()) == ""


# TF-IDF


def test_tfidf_is_the_formula():
    shown = shown_items()
    describer = TfidfDescriber().fit(shown)
    texts = [
        "heat action", "the rock action drama", "heat wave drama", "drama noir",
        "sci-fi", "rock drama",
    ]  # fmt: skip
    vectorizer = TfidfVectorizer(token_pattern=r"[\w-]+")
    weights = vectorizer.fit_transform(texts).toarray()
    mean = weights[ITEMS].mean(axis=0)
    cases = cases_of(shown, [0, 2], [3, 5])
    concept = describer.describe(cases)
    direction = weights[[0, 2]].mean(axis=0) - mean
    # The split compares an active item with the other one.
    left_out = np.array([weights[0] @ (weights[2] - mean)])
    left_out = np.append(left_out, weights[2] @ (weights[0] - mean))
    scores = np.append(left_out, weights[[3, 5]] @ direction)
    fires = np.array([True, True, False, False])
    assert concept.threshold == pytest.approx(best_split(scores, fires))
    expected = score_levels(weights[[0, 2, 3, 5]] @ direction, concept.threshold)
    assert_allclose(describer.predict(concept, cases), expected)
    assert describer.label(concept, ()) == "heat"


def test_words_keep_their_hyphens():
    terms = TfidfDescriber().fit(shown_items()).vectorizer_.get_feature_names_out()
    assert "sci-fi" in terms


def test_a_vectorizer_of_ones_own_is_not_changed():
    own = CountVectorizer(binary=True)
    describer = TfidfDescriber(own).fit(shown_items())
    assert not hasattr(own, "vocabulary_")
    assert describer.vectorizer_.binary


def test_tfidf_reads_titles_or_attributes_alone():
    for shown in shown_items(None, None), shown_items(titles=None):
        describer = TfidfDescriber().fit(shown)
        concept = describer.describe(cases_of(shown, [0, 2], [3, 4]))
        assert len(describer.predict(concept, cases_of(shown, [1], [5]))) == 2


@pytest.mark.parametrize("titles", [None, np.full(6, "", dtype=object)])
def test_tfidf_needs_some_text(titles):
    with pytest.raises(ValueError, match="got no text for any item shown"):
        TfidfDescriber().fit(shown_items(None, None, titles))


# Functions


def test_functions_get_cases_one_by_one():
    seen = []

    def describe(cases):
        seen.append([(case.item, case.level) for case in cases])
        return "heat"

    def predict(concept, case):
        seen.append((concept, case.title, case.level))
        return 7

    describer = CallableDescriber(describe, predict).fit(shown_items())
    assert describer.describe(cases_of(shown_items(), [0], [2])) == "heat"
    hidden = NeuronCases(shown_items(), np.array([2, 3]))
    assert describer.predict("heat", hidden) == [7, 7]
    assert seen == [
        [(0, 10.0), (2, 0.0)],
        ("heat", "The Rock", None),
        ("heat", "Heat Wave", None),
    ]


def test_a_clone_keeps_the_functions_and_what_they_hold():
    class Client:
        def __deepcopy__(self, memo):
            raise AssertionError("a client must not be copied")

        def describe(self, cases):
            return "a"

        def predict(self, concept, case):
            return 1

    client = Client()
    describer = CallableDescriber(client.describe, client.predict)
    assert clone(describer).describe_func.__self__ is client


@pytest.mark.parametrize(
    "describer",
    [
        CallableDescriber("no function", len),
        EnrichmentDescriber(0),
        TfidfDescriber(max_terms=0),
        TfidfDescriber(vectorizer=3),
    ],
)
def test_bad_parameters_are_named(describer):
    with pytest.raises(InvalidParameterError, match="parameter of"):
        describer.fit(shown_items())
