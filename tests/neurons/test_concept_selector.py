import pathlib
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array, csr_array, eye_array
from scipy.stats import pointbiserialr
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import f_classif
from sklearn.metrics import average_precision_score
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from skpopsteer._compat import InvalidParameterError
from skpopsteer.adapters import as_recommender
from skpopsteer.datasets import load_movielens
from skpopsteer.neurons import ConceptNeuronSelector
from skpopsteer.sae import SparseAutoencoderProbe

ROOT = pathlib.Path(__file__).parents[2]
NAMES = ["Film-Noir", "Western", "Sci-Fi", "Sci-Fi Space", "Unused"]


@pytest.fixture(scope="module")
def planted():
    """200 items and 30 neurons; neuron 7 fires for noir, 3 and 21 for westerns."""
    rng = np.random.default_rng(0)
    T = (rng.random((200, 5)) < [0.2, 0.3, 0.2, 0.1, 0]).astype(float)
    Z = np.maximum(rng.normal(size=(200, 30)), 0) * (rng.random((200, 30)) < 0.3)
    Z[:, 7] += 2 * T[:, 0] * rng.random(200)
    Z[:, 3] += 3 * T[:, 1]
    Z[:, 21] += 2 * T[:, 1]
    Z[:, 12] = 0
    return Z, T


def selected(selector):
    return selector.get_support(indices=True).tolist()


def fit(planted, concept, *, names=NAMES, item_profiles=None, **params):
    Z, T = planted
    selector = ConceptNeuronSelector(concept, **params)
    return selector.fit(Z, T, feature_names=names, item_profiles=item_profiles)


# Finding


@pytest.mark.parametrize("make", [np.asarray, csr_array])
@pytest.mark.parametrize(
    "score_func",
    [
        "best_characterizes",
        "most_unique",
        "point_biserial",
        "precision",
        "recall",
        "f1",
    ],
)
def test_planted_neurons_are_found(planted, score_func, make):
    Z, T = planted
    selector = ConceptNeuronSelector(
        "Western", score_func=score_func, n_neurons_to_select=2
    )
    selector.fit(make(Z), make(T), feature_names=NAMES)
    assert selected(selector) == [3, 21]
    assert_array_equal(np.flatnonzero(selector.steering_weights_), [3, 21])
    assert_array_equal(selector.steering_weights_[[3, 21]], [1, 1])
    assert selector.n_features_in_ == 30


def test_the_output_criterion_reads_the_item_profiles(planted):
    _, T = planted
    profiles = np.random.default_rng(1).normal(size=(30, 200))
    profiles[17] += 5 * T[:, 0]
    selector = fit(
        planted, "Film-Noir", score_func="output_precision", item_profiles=profiles
    )
    assert selected(selector) == [17]
    assert_allclose(selector.scores_[17], 1.0, atol=0.01)


def test_scores_and_p_values_of_the_default(planted):
    Z, T = planted
    selector = fit(planted, "Film-Noir")
    assert selected(selector) == [7]
    expected = pointbiserialr(T[:, 0] > 0, Z[:, 7])
    assert_allclose(selector.scores_[7], expected.statistic, rtol=1e-9)
    assert_allclose(selector.p_values_[7], expected.pvalue, rtol=1e-6)
    assert selector.scores_[12] == 0
    assert selector.p_values_[12] == 1


def test_scores_without_p_values(planted):
    assert fit(planted, "Film-Noir", score_func="f1").p_values_ is None


# Neuron 12 is constant, and f_classif divides by its variance.
@pytest.mark.filterwarnings("ignore:Features")
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_a_callable_scores(planted):
    Z, T = planted
    selector = fit(planted, "Western", score_func=f_classif, n_neurons_to_select=2)
    assert selected(selector) == [3, 21]
    scores, p_values = f_classif(np.delete(Z, 12, axis=1), T[:, 1] > 0)
    assert_allclose(np.delete(selector.scores_, 12), scores)
    assert_allclose(np.delete(selector.p_values_, 12), p_values)
    assert selector.scores_[12] == 0
    assert selector.p_values_[12] == 1


def test_a_callable_sees_members_or_shares(planted):
    Z, T = planted
    seen = []

    def score_func(Z, y):
        seen.append(y)
        return Z.sum(axis=0)

    ConceptNeuronSelector(0, score_func=score_func).fit(Z, 5 * T)
    ConceptNeuronSelector(0, score_func=score_func, rows="users").fit(Z, T / 5)
    assert_array_equal(seen[0], T[:, 0])
    assert_array_equal(seen[1], T[:, 0] / 5)


def test_users_are_scored_by_their_shares():
    # Neuron 0 follows the share, neuron 1 whether there is any.
    shares = np.array([0.0, 0.1, 0.2, 0.9, 1.0])
    Z = np.column_stack([shares, shares > 0])
    users = ConceptNeuronSelector(rows="users").fit(Z, shares)
    items = ConceptNeuronSelector().fit(Z, shares)
    assert (selected(users), selected(items)) == ([0], [1])
    assert (users.fits_on, items.fits_on) == ("users", "items")


# Which neurons may be selected


def test_ties_go_to_the_lower_number():
    Z = np.tile([[0.0], [0], [1], [2]], 5)
    selector = ConceptNeuronSelector(n_neurons_to_select=2).fit(Z, [0, 0, 1, 1])
    assert selected(selector) == [0, 1]


def test_silent_neurons_are_never_selected(planted):
    _, T = planted
    profiles = np.random.default_rng(1).normal(size=(30, 200))
    profiles[12] = T[:, 0]
    selector = fit(
        planted,
        "Film-Noir",
        score_func="output_precision",
        item_profiles=profiles,
        n_neurons_to_select=30,
    )
    assert_array_equal(np.flatnonzero(selector.silent_neurons_), [12])
    assert selector.scores_[12] == 1
    assert selected(selector) == [n for n in range(30) if n != 12]


@pytest.mark.parametrize(("min_support", "expected"), [(1, 0), (2, 1), (3, 2), (99, 2)])
def test_support_is_counted_in_rows_of_the_concept(min_support, expected):
    # The fewer rows of the concept a neuron fires on, the more precise it is here.
    Z = np.array([[9, 0, 0, 0, 0], [2, 2, 0, 0, 1], [1, 1, 1, 1, 1]]).T
    selector = ConceptNeuronSelector(score_func="precision", min_support=min_support)
    assert selected(selector.fit(Z, [1, 1, 1, 0, 0])) == [expected]


def test_a_concept_of_one_row_may_have_neurons(planted):
    Z, _ = planted
    y = np.zeros(200)
    y[np.flatnonzero(Z[:, 5])[0]] = 1
    assert len(selected(ConceptNeuronSelector(min_support=5).fit(Z, y))) == 1


def test_neurons_that_fire_less_for_the_concept_are_left_out(planted):
    selector = fit(planted, "Western", n_neurons_to_select=30)
    chosen = selected(selector)
    assert (selector.scores_[chosen] > 0).all()
    assert 2 < len(chosen) < 29


def test_they_are_better_than_no_knob_at_all():
    Z = np.array([[1.0, 1], [1, 2], [2, 3], [2, 4]])
    selector = ConceptNeuronSelector(weighting="score").fit(Z, [1, 1, 0, 0])
    assert (selector.scores_ < 0).all()
    assert selected(selector) == [1]
    assert_array_equal(selector.steering_weights_, [0, 1])
    selector.set_params(n_neurons_to_select=2).fit(Z, [1, 1, 0, 0])
    assert_array_equal(selector.steering_weights_, [1, 1])


def test_weights_in_proportion_to_the_score(planted):
    selector = fit(planted, "Western", n_neurons_to_select=3, weighting="score")
    chosen = selector.get_support()
    scores = selector.scores_[chosen]
    assert_allclose(selector.steering_weights_[chosen], scores / scores.max())
    assert selector.steering_weights_.max() == 1
    assert (selector.steering_weights_[~chosen] == 0).all()


# Naming a concept


def test_a_concept_goes_by_name_or_number(planted):
    by_name = fit(planted, "Western")
    for same in (
        fit(planted, 1),
        fit(planted, np.int64(1)),
        fit(planted, ["Western"]),
        fit(planted, "1", names=None),
        fit(planted, 1, names=np.array(NAMES, dtype=object)),
    ):
        assert_array_equal(same.scores_, by_name.scores_)


@pytest.mark.parametrize("library", [pd, pl])
def test_a_frame_brings_its_names(planted, library):
    Z, T = planted
    frame = library.DataFrame(dict(zip(NAMES, T.T, strict=True)))
    selector = ConceptNeuronSelector("Western").fit(Z, frame)
    assert_array_equal(selector.scores_, fit(planted, "Western").scores_)


@pytest.mark.parametrize("score_func", ["point_biserial", "best_characterizes"])
def test_several_names_are_one_concept(planted, score_func):
    Z, T = planted
    names = ["Sci-Fi Space", "Sci-Fi"]
    selector = fit(planted, names, score_func=score_func)
    # Columns 0, 1 and 4, and the two in one.
    merged = np.column_stack([T[:, [0, 1, 4]], T[:, 2] + T[:, 3]])
    expected = ConceptNeuronSelector(3, score_func=score_func).fit(Z, merged)
    assert_allclose(selector.scores_, expected.scores_, rtol=1e-12)
    same = fit(planted, (3, 2), score_func=score_func)
    assert_array_equal(same.scores_, selector.scores_)


def test_a_union_counts_rows_that_have_any(planted):
    Z, T = planted
    either = (T[:, 2] + T[:, 3] > 0).astype(float)
    assert_allclose(
        fit(planted, [2, 3]).scores_, ConceptNeuronSelector().fit(Z, either).scores_
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda y: y,
        list,
        lambda y: y.astype(bool),
        lambda y: y.astype(np.int8),
        lambda y: y[:, None],
        lambda y: csr_array(y[:, None]),
        lambda y: csc_array(y[:, None]),
        lambda y: pd.Series(y, name="noir"),
        lambda y: pd.DataFrame({"noir": y}),
    ],
)
def test_a_single_concept_needs_no_name(planted, make):
    Z, T = planted
    selector = ConceptNeuronSelector().fit(Z, make(T[:, 0]))
    assert_array_equal(selector.scores_, fit(planted, 0).scores_)


def test_tag_counts_are_read_by_tfidf_only(planted):
    Z, T = planted
    counts = T * np.random.default_rng(2).integers(1, 50, size=T.shape)
    for score_func, same in [("point_biserial", True), ("best_characterizes", False)]:
        selector = ConceptNeuronSelector(0, score_func=score_func)
        plain, counted = (
            clone(selector).fit(Z, table).scores_ for table in (T, counts)
        )
        assert np.allclose(plain, counted) == same


# As a transformer


def test_every_container_is_read_and_left_alone(planted, container):
    Z, T = (container(csr_array(table)) for table in planted)
    before = [table.copy() for table in (Z, T)]
    selector = ConceptNeuronSelector("Western", n_neurons_to_select=2)
    selector.fit(Z, T, feature_names=NAMES)
    assert_allclose(selector.scores_, fit(planted, "Western").scores_, rtol=1e-12)
    assert_array_equal(selector.transform(Z).toarray(), planted[0][:, [3, 21]])
    for table, was in zip((Z, T), before, strict=True):
        assert_array_equal(table.data, was.data)
        assert_array_equal(table.indices, was.indices)


def test_a_clone_is_not_fitted_and_a_pickle_is(planted):
    selector = fit(planted, ["Sci-Fi", "Western"], weighting="score")
    with pytest.raises(NotFittedError):
        clone(selector).get_support()
    restored = pickle.loads(pickle.dumps(selector))
    assert_array_equal(restored.steering_weights_, selector.steering_weights_)
    assert selector.get_feature_names_out().tolist() == ["x3"]


def test_duplicates_of_a_sparse_matrix_are_summed(planted):
    Z, T = (csr_array(table) for table in planted)
    twice = [
        csr_array(
            (
                np.repeat(table.data / 2, 2),
                np.repeat(table.indices, 2),
                2 * table.indptr,
            ),
            shape=table.shape,
        )
        for table in (Z, T)
    ]
    for score_func in ("point_biserial", "recall"):
        selector = ConceptNeuronSelector(
            2, score_func=score_func, n_neurons_to_select=5
        )
        once = clone(selector).fit(Z, T)
        selector.fit(*twice)
        assert_allclose(selector.scores_, once.scores_, rtol=1e-12)
        assert selected(selector) == selected(once)
    assert twice[0].nnz == 2 * Z.nnz


def test_its_tags_say_what_it_needs():
    tags = get_tags(ConceptNeuronSelector())
    assert tags.target_tags.required
    assert tags.input_tags.sparse
    assert not tags.input_tags.positive_only


def test_what_a_steered_recommender_asks(planted):
    selector = ConceptNeuronSelector("Western")
    assert selector.fits_on == "items"
    assert selector.default_strength == 1
    assert not selector.needs_item_profiles
    selector.set_params(score_func="output_precision", rows="users")
    assert selector.needs_item_profiles
    assert selector.fits_on == "users"


def _checks():
    for estimator in (
        ConceptNeuronSelector(),
        ConceptNeuronSelector(score_func="best_characterizes"),
        ConceptNeuronSelector(score_func="f1", rows="users", weighting="score"),
    ):
        yield from estimator_checks_generator(estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    list(_checks()),
    ids=lambda value: getattr(value, "func", type(value)).__name__,
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


# Bad input


@pytest.mark.parametrize(
    "params",
    [
        {"concept": 1.5},
        {"score_func": "tfidf"},
        {"n_neurons_to_select": 0},
        {"min_support": 0},
        {"rows": "profiles"},
        {"weighting": "joint"},
    ],
)
def test_parameters_are_checked(planted, params):
    (name,) = params
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        ConceptNeuronSelector(**params).fit(*planted)


@pytest.mark.parametrize(
    ("concept", "message"),
    [
        ("film noir", "name of a concept; got 'film noir'. Nearest are 'Film-Noir'."),
        ("sci fi", "got 'sci fi'. Nearest are 'Sci-Fi', 'Sci-Fi Space'"),
        ("space", "got 'space'. Nearest are 'Sci-Fi Space'."),
        ("no", "got 'no'. Nearest are 'Film-Noir'."),
        ("qq", "got 'qq'. There are 5 of them: 'Film-Noir', 'Western', 'Sci-Fi', ..."),
        (["Western", "Westren"], "got 'Westren'. Nearest are 'Western'."),
        (5, "a name or a column from 0 to 4; got 5"),
        (-1, "a name or a column from 0 to 4; got -1"),
        (True, "name of a concept; got True"),
        (None, "name one of the 5 concepts; got None. For example 'Film-Noir'"),
        ([], "at least one name; got an empty list"),
        ("Unused", "must occur in `y`; got 'Unused' in 0 of 200 samples"),
    ],
)
def test_a_concept_that_is_none_gets_one_line(planted, concept, message):
    with pytest.raises(ValueError, match=r"^`concept` must ") as caught:
        fit(planted, concept)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_negative_weights_are_refused(planted):
    Z, T = planted
    with pytest.raises(ValueError, match=r"`y` must say how much .* >= 0; got -1"):
        ConceptNeuronSelector(0).fit(Z, -T)


def test_names_must_match_the_concepts(planted):
    message = r"`feature_names` must hold one name per concept \(5\); got 2"
    with pytest.raises(ValueError, match=message):
        fit(planted, "a", names=["a", "b"])


def test_rows_must_match(planted):
    Z, T = planted
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ConceptNeuronSelector(0).fit(Z, T[:-1])


def test_users_have_no_output_precision(planted):
    message = "`rows` must be 'items' for score_func='output_precision'"
    with pytest.raises(ValueError, match=message):
        fit(planted, 0, score_func="output_precision", rows="users")


def test_output_precision_needs_item_profiles(planted):
    message = r"`item_profiles` must have one row per neuron .* \(30, 200\); got none"
    with pytest.raises(ValueError, match=message):
        fit(planted, 0, score_func="output_precision")


def test_one_concept_is_unique_by_itself(planted):
    Z, T = planted
    message = "`y` must hold at least two concepts for score_func='most_unique'"
    with pytest.raises(ValueError, match=message):
        ConceptNeuronSelector(score_func="most_unique").fit(Z, T[:, 0])


def test_tfidf_wants_activations(planted):
    Z, T = planted
    with pytest.raises(ValueError, match="`Z` must hold finite numbers >= 0"):
        ConceptNeuronSelector(0, score_func="best_characterizes").fit(Z - 1, T)


def test_a_concept_that_nothing_fires_for_gets_one_line():
    message = "`min_support` must leave neurons that fire for the concept; got 2"
    with pytest.raises(ValueError, match=message):
        ConceptNeuronSelector("a").fit(
            [[0.0, 0], [1, 1]], [[1, 0], [0, 1]], feature_names=["a", "b"]
        )


def test_a_score_function_must_score_every_neuron(planted):
    with pytest.raises(ValueError, match="`score_func` must return one score per"):
        fit(planted, 0, score_func=lambda Z, y: [1.0, 2.0])


# On real data


def test_on_movielens_the_neurons_of_genres_rank_their_films_high():
    data = load_movielens(
        ROOT / "data" / "ml-latest-small", min_rating=4, min_item_interactions=5
    )
    host = as_recommender(TruncatedSVD(32, random_state=0).fit(data.X))
    probe = SparseAutoencoderProbe(
        256, k=8, standardize_rows=True, max_iter=20, batch_size=64, random_state=0
    ).fit(host.encode_users(data.X))
    items = eye_array(data.X.shape[1], format="csr")
    Z = probe.transform(host.encode_users(items))
    profiles = probe.decoder_weights_ @ host.item_embeddings_.T
    names = data.genre_names
    has = data.item_genres.toarray() > 0
    genres = [name for name in names if name != "(no genres listed)"]
    gain = {}
    for genre in genres:
        selector = ConceptNeuronSelector(genre)
        selector.fit(Z, data.item_genres, feature_names=names)
        (neuron,) = selected(selector)
        members = has[:, names.tolist().index(genre)]
        # Chance is the share of the genre in the catalogue.
        found = average_precision_score(members, profiles[neuron])
        gain[genre] = found / members.mean()
    assert np.median(list(gain.values())) > 1.5
    assert gain["Musical"] > 2
    assert gain["Children"] > 2
