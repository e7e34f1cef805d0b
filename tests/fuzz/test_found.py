"""What the tests of this folder found, one test a fault, named after what was wrong."""

import warnings
from functools import cache

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.sparse import csr_array, csr_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import FunctionTransformer

from skpopsteer import persistence
from skpopsteer._validation import check_item_features, check_item_lists
from skpopsteer.adapters import (
    ArrayRecommender,
    DecompositionRecommender,
    ImplicitRecommender,
    LayerOutput,
    TorchRecommender,
    as_recommender,
    rows_to_sequences,
)
from skpopsteer.datasets import (
    fetch_lastfm,
    fetch_movielens,
    interactions_from_frame,
    load_movielens,
    recommendations_to_frame,
    split_events,
)
from skpopsteer.inspection import (
    EffectSizeDisplay,
    ExposureDisplay,
    PopularityLiftDisplay,
    ReliabilityDisplay,
    TradeOffDisplay,
    compare,
    explain_prices,
)
from skpopsteer.inspection._attribute_shares import check_attributes
from skpopsteer.inspection._compare_levels import check_levels
from skpopsteer.inspection._explorer import _user_names
from skpopsteer.metrics import (
    RankingFrame,
    average_popularity,
    get_scorer,
    gini,
    hit_rate,
    make_recommender_scorer,
    popularity_lift,
    recall,
    tail_share,
    user_popularity_deviation,
)
from skpopsteer.model_selection import (
    HeldOut,
    best_subject_to,
    hide_interactions,
    interaction_folds,
    knee,
)
from skpopsteer.neurons import (
    ConceptNeuronSelector,
    NeuronInterpreter,
    NeuronSubset,
    NeuronUnion,
    PopularityNeuronSelector,
    cohens_d,
    cohens_d_from_stats,
    map_concepts,
    monosemanticity,
    neuron_tfidf,
)
from skpopsteer.popularity import (
    PopularityGroups,
    item_popularity,
    synthetic_profiles,
)
from skpopsteer.rerankers import (
    MaxMinExposureReranker,
    MMRReranker,
    PopularityPenaltyReranker,
    TailQuotaReranker,
)
from skpopsteer.steering import (
    GradientPopularityAdjuster,
    GradientRecorder,
    RelevanceCalibrator,
    SlotPricingRecommender,
    SteeredRecommender,
    TunedSteeringCV,
    steering_path,
)
from skpopsteer.topk import (
    finite_top_k,
    forbid,
    highest,
    merge_lists,
    only,
    top_k,
)
from tests.fuzz.calls import answer, refusal
from tests.fuzz.models import HELD_OUT, RERANKERS, SHAPE, TRAIN, fitted, table_host
from tests.instances import small_probe

X = csr_array(np.array([[1.0, 0, 1], [0, 1, 0]]))
RAGGED = [[1], [1, 2]]
NUMBERLESS = [
    np.array([]),
    np.array(3.0),
    ["a"],
    {"a": 1},
    5,
    object(),
]


def _scrambled(dense):
    """A CSR array whose indices are neither sorted nor unique."""
    matrix = csr_array(dense)
    indices = np.concatenate([matrix.indices[::-1], matrix.indices[:1]])
    data = np.concatenate([matrix.data[::-1], matrix.data[:1]])
    return csr_array((data, indices, [0, *[len(data)] * matrix.shape[0]]), matrix.shape)


# -- lists and metrics


@pytest.mark.parametrize("metric", [recall, hit_rate])
def test_highest_of_uint64_was_taken_for_padding(metric):
    lists = np.array([[0, 2**64 - 1]], dtype=np.uint64)
    assert "beyond 2**31" in refusal(metric, [0], lists)


def test_keys_of_huge_positions_overflowed():
    assert "beyond 2**31" in refusal(recall, [2**62, 2**62], [[2**62], [2**62]])
    assert "beyond 2**31" in refusal(recall, [2**63 - 1], [[0]])


def test_lowest_of_int64_passed_for_a_group():
    groups = np.array([-1, 1, -(2**63)])
    assert "`item_groups`" in refusal(tail_share, [[0]], groups)


@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
def test_complex_interactions_were_counted(kind):
    y = kind(np.array([[1j, 1]]))
    assert "complex" in refusal(recall, y, [[0]])
    assert "complex" in refusal(popularity_lift, y, [[0]], [1, 2])


def test_catalogue_beyond_memory_was_an_overflow():
    assert "`n_items`" in refusal(gini, [[0]], 10**30)


def test_popularity_beyond_sums_was_infinite():
    assert "1e+100" in refusal(average_popularity, [[0, 1]], [1e308, 1e308])
    assert "1e-100" in refusal(popularity_lift, X, [[0], [1]], [5e-324, 1.0, 1.0])


def test_ragged_user_groups_were_numpys_matter():
    line = refusal(
        user_popularity_deviation, X, [[0], [1]], [-1, 1, 1], user_groups=RAGGED
    )
    assert "`user_groups`" in line


@pytest.mark.parametrize("groups", ["count", np.array([1, -1]), {}])
def test_groups_of_a_scorer_without_label(groups):
    assert "`groups`" in refusal(get_scorer, "coverage", groups=groups)


def test_scorer_names_without_dimensions():
    assert "`scoring`" in refusal(get_scorer, np.array("ndcg"))


def test_scorer_of_no_function():
    assert "`function`" in refusal(make_recommender_scorer, "ndcg")
    assert "`k`" in refusal(make_recommender_scorer, recall, k=0)


@pytest.mark.parametrize("odd", NUMBERLESS)
def test_frame_looked_odd_names_up(odd):
    frame = RankingFrame("recall", X, [1, 0], [[1], [2]], n_boot=0)
    assert "`item_group`" in refusal(frame.difference, odd)
    assert "`adjust`" in refusal(frame.compare, frame, adjust=odd)
    assert "`backend`" in refusal(frame.to_frame, odd)


def test_frame_counted_lengths_of_lists_it_had_not_checked():
    metrics = {"a": (recall, "2")}
    assert "`k`" in refusal(RankingFrame, metrics, X, [1, 0], [[1], [2]], n_boot=0)
    line = refusal(RankingFrame, "recall", X, [1, 0], [[1], [2]], n_boot=10**30)
    assert "`n_boot`" in line
    assert "`metrics`" in refusal(RankingFrame, np.array(3.0), X, None, [[1], [2]])


def test_popularity_of_a_scorer_was_not_checked():
    scorer = get_scorer("novelty@2")
    strange = np.full(SHAPE[1], "a")
    line = refusal(scorer, table_host(), TRAIN, HELD_OUT, item_popularity=strange)
    assert "`item_popularity`" in line


# -- popularity and splits


def test_interactions_of_half_precision():
    dense = np.array([[1, 0], [1, 2]], dtype=np.float16)
    assert answer(item_popularity, dense).tolist() == [2, 1]
    assert answer(neuron_tfidf, dense).shape == (2, 2)


def test_ragged_interactions_were_numpys_matter():
    assert "`X`" in refusal(item_popularity, RAGGED)
    assert "`popularity`" in refusal(PopularityGroups().label, RAGGED)
    assert "`item_groups`" in refusal(synthetic_profiles, X, RAGGED)


@pytest.mark.parametrize("odd", ["0.2", [0.2], np.array([0.2]), 1j])
def test_shares_of_groups_that_are_no_numbers(odd):
    assert "`head`" in refusal(PopularityGroups, "count", odd)


@pytest.mark.parametrize("odd", [np.array([]), ["count"], {}])
def test_conventions_that_cannot_be_looked_up(odd):
    assert "`convention`" in refusal(PopularityGroups, odd)
    assert "`version`" in refusal(synthetic_profiles, X, [1, -1, -1], version=odd)


def test_profiles_counted_true_and_the_uncountable():
    for n_profiles in (True, 10**30):
        line = refusal(synthetic_profiles, X, [1, -1, -1], n_profiles=n_profiles)
        assert "`n_profiles`" in line


@pytest.mark.parametrize("odd", ["0.2", None, [1], 1j])
def test_sizes_of_a_split_that_are_no_numbers(odd):
    assert "`test_size`" in refusal(hide_interactions, X, test_size=odd)


def test_split_hides_all_it_may_when_asked_for_more_than_int64():
    _, y = answer(hide_interactions, X, test_size=10**30, random_state=0)
    assert y.nnz == 1


def test_share_just_below_one_hid_whole_rows():
    _, y = answer(hide_interactions, X, test_size=np.nextafter(1, 0), random_state=0)
    assert y.toarray().sum(axis=1).tolist() == [1, 0]


def test_more_folds_than_interactions_did_not_end():
    assert "`n_splits`" in refusal(interaction_folds, X, 10**30)
    assert "`n_splits`" in refusal(interaction_folds, X, 4)


def test_loop_over_held_out_items_did_not_end():
    view = HeldOut([4, 2, 0])
    assert [part.y.tolist() for part in view] == [[4], [2], [0]]


def test_last_of_held_out_items_was_empty():
    assert HeldOut([4, 2, 0])[-1].y.tolist() == [0]


def test_ragged_held_out_items_were_numpys_matter():
    assert "`y`" in refusal(HeldOut, RAGGED)


@pytest.mark.parametrize("limits", [5, "a", [("a", 1)], {"a": "1"}, {"a": [1]}])
def test_limits_of_a_search_that_are_no_numbers(limits):
    assert "`at_least`" in refusal(best_subject_to, "a", at_least=limits)
    assert "`within`" in refusal(best_subject_to, "a", within=limits)


def test_search_whose_candidates_all_failed():
    results = {"mean_test_a": np.full(2, np.nan), "mean_test_b": np.array([1, 2.0])}
    assert "finite score" in refusal(best_subject_to("a"), results)
    assert "finite score" in refusal(knee("a", "b"), results)


def test_diverged_candidate_was_the_best():
    results = {"mean_test_a": np.array([0.5, np.inf])}
    assert best_subject_to("a")(results) == 0


def test_candidate_without_an_objective_was_chosen_for_its_limit():
    results = {
        "mean_test_a": np.array([np.nan, 0.5]),
        "mean_test_b": np.array([1.0, 0.0]),
    }
    with pytest.warns(UserWarning, match="nearest, candidate 1"):
        assert best_subject_to("a", at_least={"b": 0.5})(results) == 1


def test_knee_of_candidates_that_each_failed_at_one():
    results = {
        "mean_test_a": np.array([np.nan, 0.5]),
        "mean_test_b": np.array([1.0, np.nan]),
    }
    assert "both" in refusal(knee("a", "b"), results)


# -- top-k


def test_scores_that_cannot_be_minus_infinity():
    for scores in (np.ones((1, 2), int), np.ones((1, 2), bool), [[1.0]]):
        assert "`scores`" in refusal(top_k, scores, 1)
    assert "`scores`" in refusal(finite_top_k, np.ones(2), 1)


@pytest.mark.parametrize("k", [-1, 1.5, "1", None, True, 10**30])
def test_lengths_of_lists_that_are_none(k):
    assert "`k`" in refusal(top_k, np.ones((1, 2)), k)


def test_mask_by_columns_was_read_by_rows():
    for mask in (csr_array(np.eye(3)).tocsc(), csr_array(np.eye(3)).tocoo()):
        assert "`mask`" in refusal(only, np.ones((3, 3)), mask)
        assert "`mask`" in refusal(forbid, np.ones((3, 3)), mask)


def test_mask_of_all_rows_as_a_plain_slice():
    kept = only(np.ones((2, 2)), csr_array(np.eye(2)), slice(None))
    assert (kept == np.where(np.eye(2) > 0, 1, -np.inf)).all()


def test_highest_scores_of_no_rows():
    chosen, tied = answer(highest, np.empty((0, 32)), 1)
    assert chosen.shape == (0, 1)
    assert not len(tied)


def test_merging_no_lists():
    nothing = np.empty((0, 3), dtype=np.int64)
    assert answer(merge_lists, nothing, nothing, 1).shape == (0, 3)
    lists = np.array([[0, 1]])
    assert "`n_first`" in refusal(merge_lists, lists, lists, -1)


# -- recommenders


@pytest.mark.parametrize("n", [10**9, 10**30])
def test_lists_longer_than_memory(n):
    assert "`n_recommendations`" in refusal(table_host().recommend, TRAIN, n)


def test_pool_larger_than_the_catalogue_was_padded_to_its_size():
    model = TailQuotaReranker(table_host(), pool_size=10**30).fit(TRAIN)
    assert answer(model.recommend, TRAIN, 3).shape == (SHAPE[0], 3)


@pytest.mark.parametrize("strength", [10**400, -(10**400)])
def test_strength_beyond_floats(strength):
    model = fitted("12-PopularityPenaltyReranker")
    assert "`strength`" in refusal(model.recommend, TRAIN, strength=strength)


def test_deeper_lists_of_candidates_were_flattened():
    for lists in ([[[0]], [[1]]], [[0], 1], np.zeros((1, 1, 1), int)):
        refusal(check_item_lists, "candidates", lists, (2, 3))


def test_candidate_beyond_int64_was_taken_for_padding():
    lists = np.array([2**64 - 1, 0], dtype=np.uint64)
    assert "`candidates`" in refusal(check_item_lists, "candidates", lists, (2, 3))


def test_ragged_user_ids_were_numpys_matter():
    line = refusal(table_host().recommend, TRAIN, user_ids=[[0], [0, 1]])
    assert "`user_ids`" in line


def test_decode_multiplied_whatever_it_got():
    host = table_host()
    assert "`U`" in refusal(host.decode, np.ones((2, 5)))
    assert "`U`" in refusal(host.decode, np.full((2, 4), np.nan))
    assert "`U`" in refusal(host.decode, "text")


def test_tables_of_hosts_that_are_ragged_or_no_numbers():
    assert "`user_embeddings`" in refusal(as_recommender, (RAGGED, np.eye(2)))
    model = (np.eye(2), np.eye(2), ["a", "b"])
    assert "`item_bias`" in refusal(as_recommender, model)
    model = (np.eye(2), np.eye(2), [1e300, 0])
    assert "`item_bias`" in refusal(as_recommender, model)


def test_dates_were_counted_as_interactions():
    dates = np.full(SHAPE, np.datetime64("2020"))
    assert "`X`" in refusal(table_host().recommend, dates)


def test_callable_that_folds_in_other_rows():
    host = ArrayRecommender(None, np.eye(3, 2), fold_in=lambda X: np.ones((1, 2)))
    assert "`fold_in(X)`" in refusal(host.recommend, np.ones((2, 3)))


def test_decomposition_of_rows_that_are_all_alike_warned():
    host = DecompositionRecommender(TruncatedSVD(1, random_state=0))
    answer(host.fit, csr_array((4, 3)))


def test_solver_of_implicit_spoke_of_lapack():
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=4, num_threads=1, random_state=0)
    rows = csr_array(np.full((4, 1), 1.6e9))
    host = ImplicitRecommender(model)
    try:
        host.fit(rows).recommend(rows)
    except ValueError as error:
        assert "`X` must" in str(error)  # noqa: PT017
    huge = csr_array(np.full((4, 2), 1e300))
    assert "float32" in refusal(ImplicitRecommender(model).fit, huge)


@pytest.mark.parametrize("odd", [0, -1, 2.5, "3", None, True])
def test_sequences_of_no_length(odd):
    assert "`max_length`" in refusal(rows_to_sequences, X, odd)


def test_layer_that_cannot_be_looked_up():
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(3, 2))
    assert "`layer`" in refusal(LayerOutput(["0"]), module, torch.zeros(1, 3))
    for position in (0, "a", 5):
        layer = LayerOutput("0", position=position)
        assert "`position`" in refusal(layer, module, torch.zeros(1, 3))


# -- steering


@pytest.mark.parametrize("y", ["text", 5, range(0), RAGGED, np.full(SHAPE[0], "a")])
def test_held_out_items_of_a_calibrator_without_a_shape(y):
    model = RelevanceCalibrator(table_host(), pool_size=5, random_state=0)
    assert "`y`" in refusal(model.fit, TRAIN, y)


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_held_out_items_of_a_calibrator_counted_whatever_their_value(value):
    y = csr_array(HELD_OUT, copy=True)
    y.data[0] = value
    model = RelevanceCalibrator(table_host(), pool_size=5, random_state=0)
    assert "`y`" in refusal(model.fit, TRAIN, y)


def test_ragged_gradients_were_numpys_matter():
    model = GradientPopularityAdjuster(table_host(), direction="recorded")
    assert "`gradients`" in refusal(model.fit, TRAIN, gradients=RAGGED)


def test_path_of_no_strengths_or_scorers():
    model = PopularityPenaltyReranker(table_host()).fit(TRAIN)
    for strengths in ("a", ["a"], None, RAGGED):
        line = refusal(steering_path, model, TRAIN, HELD_OUT, strengths)
        assert "`strengths`" in line
    line = refusal(steering_path, model, TRAIN, HELD_OUT, [0], scoring=5)
    assert "`scoring`" in line
    path = answer(steering_path, model, TRAIN, HELD_OUT, [0], scoring="ndcg")
    assert list(path.scores) == ["ndcg"]


def test_subsidies_of_steps_beyond_rounding_were_divided_by_nobody():
    model = MaxMinExposureReranker(table_host(), learning_rate=1e300, random_state=0)
    assert "learning_rate" in refusal(model.fit, TRAIN)


def test_strength_beyond_float32_overflowed():
    name = next(n for n in RERANKERS if n.endswith("SteeredRecommender"))
    for strength in (1e300, 10**300):
        assert "`strength`" in refusal(fitted(name).recommend, TRAIN, strength=strength)


@pytest.mark.parametrize("width", [(), (4,)])
def test_gradients_of_a_single_number(width):
    import torch

    tensor = torch.ones(width, requires_grad=True)
    if width:
        answer(GradientRecorder().watch, positives=tensor)
    else:
        assert "`positives`" in refusal(GradientRecorder().watch, positives=tensor)


def test_gradients_whose_length_overflowed():
    model = GradientPopularityAdjuster(table_host(), direction="recorded")
    assert "`gradients`" in refusal(model.fit, TRAIN, gradients=np.full(4, 1e300))


@pytest.mark.parametrize("cv", [[], ()])
def test_searches_without_folds_were_numpys_matter(cv):
    tuned = TunedSteeringCV(
        PopularityPenaltyReranker(table_host()), target=0.5, cv=cv, random_state=0
    )
    assert "`cv`" in refusal(tuned.fit, TRAIN, HELD_OUT)


# -- neurons


def test_selector_put_the_callers_activations_in_order():
    Z = _scrambled(np.array([[1.0, 2, 3], [0, 0, 0], [0, 0, 0]]))
    answer(PopularityNeuronSelector().fit, Z, [1, -1, -1])
    selectors = [("popularity", PopularityNeuronSelector())]
    answer(NeuronUnion(selectors).fit, Z, [1, -1, -1])


def test_interpreter_wrote_to_the_callers_activations():
    dense = np.zeros((12, 2))
    dense[0] = [0, 1]
    Z = _scrambled(dense)
    for array in (Z.data, Z.indices, Z.indptr):
        array.flags.writeable = False
    items = np.arange(12) % 4
    interpreter = NeuronInterpreter(n_cases=2, random_state=0, describer="tfidf")
    titles = ["one", "two", "three", "four"]
    with pytest.warns(UserWarning, match="must"):
        interpreter.fit_activations(Z, items, item_titles=titles)


@pytest.mark.parametrize("odd", [True, 5, np.array(3.0)])
def test_features_of_the_interpreter_without_a_length(odd):
    interpreter = NeuronInterpreter(n_cases=2, random_state=0)
    items = np.arange(12) % 4
    line = refusal(interpreter.fit_activations, np.eye(12, 3), items, item_features=odd)
    assert "`item_features`" in line


@pytest.mark.parametrize(
    "Z", [np.full((4, 2), np.nan), np.full((4, 2), "a"), np.ones(4), RAGGED]
)
def test_effect_sizes_of_what_is_no_matrix_of_numbers(Z):
    assert "`Z`" in refusal(cohens_d, Z, [1, 1, -1, -1])


def test_effect_sizes_of_squares_beyond_floats():
    Z = np.array([[1e300], [-1e300], [1.0], [2.0]])
    assert "`Z`" in refusal(cohens_d, Z, [1, 1, -1, -1])
    members = [1, 1, 0, 0]
    Z = np.array([[1e300], [1.0], [1.0], [2.0]])
    assert "`Z`" in refusal(ConceptNeuronSelector(min_support=1).fit, Z, members)


def test_effect_sizes_of_deviations_whose_squares_vanish():
    Z = np.array([[1e-200], [2e-200], [0.0], [3e-200]])
    _, p_values = answer(cohens_d, Z, [1, 1, -1, -1])
    assert p_values.tolist() == [1.0]


def test_groups_of_rows_in_two_dimensions():
    assert "`y`" in refusal(cohens_d, np.eye(2), [[1, -1]])


@pytest.mark.parametrize(
    ("position", "value", "name"),
    [
        (0, ["a"], "mean_head"),
        (1, [-1.0], "std_head"),
        (2, [1, 2], "mean_tail"),
        (3, RAGGED, "std_tail"),
        (4, 0, "n_head"),
        (5, "3", "n_tail"),
    ],
)
def test_moments_that_are_none(position, value, name):
    arguments = [[1.0], [1.0], [0.0], [1.0], 3, 4]
    arguments[position] = value
    assert f"`{name}`" in refusal(cohens_d_from_stats, *arguments)


@pytest.mark.parametrize("odd", [np.array([]), ["concepts"], 5])
def test_directions_that_cannot_be_looked_up(odd):
    assert "`of`" in refusal(monosemanticity, np.eye(2), of=odd)
    assert "`direction`" in refusal(neuron_tfidf, np.eye(2), direction=odd)
    assert "`epsilon`" in refusal(monosemanticity, np.eye(2), epsilon=[odd])


def test_support_beyond_int64():
    table = answer(map_concepts, np.eye(3), np.eye(3), min_support=10**30)
    assert len(table) == 3


@pytest.mark.parametrize("names", [5, "ab", np.array("ab"), object()])
def test_names_of_concepts_that_are_no_list(names):
    if isinstance(names, str):
        # Letters are names, as many as there are.
        assert len(answer(map_concepts, np.eye(2), np.eye(2), names)) == 2
    else:
        assert "`names`" in refusal(map_concepts, np.eye(2), np.eye(2), names)


def test_concept_that_cannot_be_compared():
    selector = ConceptNeuronSelector([np.array([[0], [1]])])
    assert "`concept`" in refusal(selector.fit, np.eye(2), np.eye(2))


def test_neurons_without_dimensions_or_end():
    assert "`neurons`" in refusal(NeuronSubset(np.array(0)).fit, np.eye(2))
    assert "`neurons`" in refusal(NeuronSubset({0: 10**400}).fit, np.eye(2))
    union = NeuronUnion([("a", NeuronSubset([0]))], strengths={"a": 10**400})
    assert "`strengths`" in refusal(union.fit, np.eye(2), [1, -1])


# -- types and forms of numbers


def test_numbers_beyond_float64_passed_for_finite():
    X = np.ones(SHAPE, dtype=np.longdouble)
    assert answer(item_popularity, X).dtype == np.int64
    assert answer(hide_interactions, X, random_state=0)[0].dtype == np.float64
    X[0, 0] = np.longdouble("1e4000")
    if np.isinf(X[0, 0]):
        pytest.skip("longdouble is no longer than double here")
    for kind in (np.asarray, csr_array):
        assert "`X`" in refusal(hide_interactions, kind(X))
        assert "`X`" in refusal(table_host().recommend, kind(X))
        assert "`y`" in refusal(recall, csr_array(X), np.zeros((SHAPE[0], 1), int))


def test_features_of_half_precision():
    features, _ = answer(check_item_features, np.eye(3, dtype=np.float16), 3)
    assert features.dtype == np.float64
    assert features.toarray().tolist() == np.eye(3).tolist()


# -- displays and tables


@pytest.mark.parametrize("odd", [-1, 1.5, "2", None, True, np.array(2)])
def test_numbers_of_things_to_show_were_slices(odd):
    display = EffectSizeDisplay([0.5, -1.0])
    line = refusal(display.plot, _ax(), n_labels=odd)
    assert "`n_labels`" in line
    model, probe = _priced()
    for name in ("n_examples", "n_shown"):
        assert f"`{name}`" in refusal(explain_prices, model, probe, **{name: odd})


@pytest.mark.parametrize("odd", ["text", RAGGED, 1j, ["a"], [np.inf], None, {}])
def test_effect_sizes_that_are_no_numbers(odd):
    assert "`scores`" in refusal(EffectSizeDisplay, odd)


@pytest.mark.parametrize("odd", [RAGGED, "text", [0, 1], {}])
def test_masks_of_neurons_that_are_none(odd):
    assert "`selected`" in refusal(EffectSizeDisplay, [1.0, 2.0], selected=odd)
    assert "`silent`" in refusal(EffectSizeDisplay, [1.0, 2.0], silent=odd)


@pytest.mark.parametrize(
    "odd", [5, "ab", np.array("ab"), {"a": "b"}, {2: "a"}, {True: "a"}, {0.5: "a"}]
)
def test_labels_of_neurons_that_are_none(odd):
    assert "`labels`" in refusal(EffectSizeDisplay, [1.0, 2.0], labels=odd)


@pytest.mark.parametrize("odd", [5, None, object(), object, np.eye(2)])
def test_prices_told_by_what_is_no_autoencoder(odd):
    model, _ = _priced()
    assert "`probe`" in refusal(explain_prices, model, odd)


def test_prices_told_by_neurons_that_are_the_same_for_all_items():
    model, _ = _priced()
    silent = FunctionTransformer(lambda V: np.zeros((len(V), 3)))
    assert "same for all" in refusal(explain_prices, model, silent)
    short = FunctionTransformer(lambda V: np.eye(2, 3))
    assert "`probe`" in refusal(explain_prices, model, short)


@pytest.mark.parametrize("odd", [5, np.array(5), object(), RAGGED])
def test_names_of_items_that_are_no_list(odd):
    model, probe = _priced()
    assert "`item_names`" in refusal(explain_prices, model, probe, item_names=odd)


@pytest.mark.parametrize("display", [ExposureDisplay, PopularityLiftDisplay])
def test_displays_of_ragged_lists(display):
    line = refusal(display.from_predictions, X, {"a": RAGGED}, ax=_ax(2))
    assert "`recommendations`" in line


@pytest.mark.parametrize("odd", ["mass", 5, PopularityGroups, [1, -1, -1]])
def test_rules_of_head_and_tail_that_are_none(odd):
    lists = [[1], [0]]
    for display in (ExposureDisplay, PopularityLiftDisplay):
        line = refusal(display.from_predictions, X, lists, groups=odd, ax=_ax(2))
        assert "`groups`" in line
    line = refusal(compare, {"host": table_host()}, TRAIN, HELD_OUT, groups=odd)
    assert "`groups`" in line


def test_comparison_of_what_does_not_recommend():
    assert "`models`" in refusal(compare, {"a": 1}, TRAIN, HELD_OUT)


@pytest.mark.parametrize("odd", ["a", ["a"], None, RAGGED, {0, 1}])
def test_curve_of_strengths_that_are_no_numbers(odd):
    model = fitted("12-PopularityPenaltyReranker")
    make = TradeOffDisplay.from_estimator
    line = refusal(make, model, TRAIN, HELD_OUT, strengths=odd, ax=_ax())
    assert "`strengths`" in line


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("mark", np.array([])),
        ("mark", [0.0]),
        ("baselines", b"bytes"),
        ("baselines", np.eye(2)),
        ("reference", RAGGED),
        ("n_boot", 10**30),
    ],
)
def test_arguments_of_a_curve_that_cannot_be_compared(name, odd):
    model = fitted("12-PopularityPenaltyReranker")
    arguments = {"strengths": [0.0], "n_boot": 2, "ax": _ax(), name: odd}
    make = TradeOffDisplay.from_estimator
    assert f"`{name}`" in refusal(make, model, TRAIN, HELD_OUT, **arguments)


def test_lists_of_a_curve_without_rows():
    make = TradeOffDisplay.from_predictions
    line = refusal(make, TRAIN, HELD_OUT, {0.0: 5}, n_boot=0, ax=_ax())
    assert "`recommendations`" in line


@pytest.mark.parametrize("odd", [np.array("a"), True, [True], np.array([]), int])
def test_levels_that_are_no_shares(odd):
    models = {"penalty": (fitted("12-PopularityPenaltyReranker"), [0.0])}
    line = refusal(compare, models, TRAIN, HELD_OUT, levels=odd)
    assert "`levels`" in line


def test_level_without_dimensions_was_iterated():
    assert check_levels(np.array(0.9)) == (0.9,)


def test_attributes_that_have_no_items():
    assert "`item_features`" in refusal(check_attributes, {"a": 1}, 2)
    assert "`attributes`" in refusal(check_attributes, {"a": RAGGED}, 2)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda odd: ExposureDisplay(
            odd, item_popularity=[1, 2], item_groups=[1, -1]), "exposures"),
        (lambda odd: ExposureDisplay(
            {"a": [1, 2]}, item_popularity=odd, item_groups=[1, -1]),
            "item_popularity"),
        (lambda odd: ExposureDisplay(
            {"a": [1, 2]}, item_popularity=[1, 2], item_groups=odd), "item_groups"),
        (lambda odd: PopularityLiftDisplay(odd, groups=["a"], n_users=[1]), "lifts"),
        (lambda odd: PopularityLiftDisplay(
            {"a": [0.0]}, groups=["a"], n_users=odd), "n_users"),
        (lambda odd: PopularityLiftDisplay(
            {"a": [0.0]}, groups=["a"], n_users=[1], intervals=odd), "intervals"),
        (lambda odd: ReliabilityDisplay(odd, [0.1], [1]), "predicted"),
        (lambda odd: ReliabilityDisplay([0.1], odd, [1]), "observed"),
        (lambda odd: ReliabilityDisplay([0.1], [0.1], odd), "count"),
        (lambda odd: TradeOffDisplay(odd, x_metric="a", y_metric="b"), "curves"),
        (lambda odd: TradeOffDisplay(
            {"a": odd}, x_metric="a", y_metric="b"), "curves"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("odd", ["text", 5, RAGGED, {"b": 1}, [np.inf], object()])
def test_displays_of_numbers_that_are_none(make, name, odd):
    assert f"`{name}`" in refusal(make, odd)


def test_scorer_drew_users_of_any_number():
    scorer, lists = get_scorer("coverage@1"), np.zeros((SHAPE[0], 1), int)
    for n_boot in (-1, 1.5, "2", 10**30):
        line = refusal(
            scorer.bootstrap_lists, table_host(), TRAIN, None, lists, n_boot=n_boot
        )
        assert "`n_boot`" in line
    for odd in (5, RAGGED, "text"):
        line = refusal(scorer.score_lists, table_host(), TRAIN, None, odd)
        assert "`recommendations`" in line


# -- files, frames and names


EVENTS = {"user": [1, 1, 2], "item": [1, 2, 1], "time": [1, 2, 3]}


@pytest.mark.parametrize("odd", ["0.2", None, [0.2], np.array([0.2]), 1j, np.nan])
def test_shares_of_events_that_are_no_numbers(odd):
    frame = pytest.importorskip("pandas").DataFrame(EVENTS)
    assert "`test_size`" in refusal(split_events, frame, test_size=odd)


@pytest.mark.parametrize("odd", [10**400, np.nan, True, "2020", [2], np.array([2])])
def test_moments_that_are_no_numbers(odd):
    frame = pytest.importorskip("pandas").DataFrame(EVENTS)
    assert "`cutoff`" in refusal(split_events, frame, cutoff=odd)


@pytest.mark.parametrize(
    "odd", ["no date", "NaT", np.datetime64("NaT"), np.inf, 5, [0], "2020-02-31"]
)
def test_moments_that_are_no_dates(odd):
    pandas = pytest.importorskip("pandas")
    times = pandas.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"])
    frame = pandas.DataFrame(EVENTS | {"time": times})
    assert "`cutoff`" in refusal(split_events, frame, cutoff=odd)


@pytest.mark.parametrize("odd", [np.array(["user", "a"]), 0, ["user"], RAGGED, {}])
def test_names_of_columns_that_are_none(odd):
    frame = pytest.importorskip("pandas").DataFrame(EVENTS)
    assert "`user`" in refusal(interactions_from_frame, frame, user=odd)
    assert "`duplicates`" in refusal(interactions_from_frame, frame, duplicates=odd)


@pytest.mark.parametrize(
    "odd", [RAGGED, [{}, {}], [1.5, 2.5], [None, 1], [1, "a"], np.array([[1, 2]])]
)
def test_known_ids_that_are_none(odd):
    frame = pytest.importorskip("pandas").DataFrame(EVENTS)
    if isinstance(odd, list) and odd == [1, "a"]:
        odd = np.array(odd, dtype=object)
    assert "`user_ids`" in refusal(interactions_from_frame, frame, user_ids=odd)


def test_frame_of_lists_that_are_ragged_or_beyond():
    make = recommendations_to_frame
    assert "`ids`" in refusal(make, RAGGED)
    assert "`ids`" in refusal(make, np.array([[2**64 - 1]], np.uint64))
    for name in ("scores", "user_ids", "item_ids", "item_titles"):
        assert f"`{name}`" in refusal(make, [[0], [1]], **{name: RAGGED})
    assert "`scores`" in refusal(make, [[0]], [["a"]])


@pytest.mark.parametrize("odd", [0, False, [], np.array([]), b"home", "", "a\0b"])
def test_homes_of_data_that_are_no_paths(odd):
    for fetch in (fetch_lastfm, fetch_movielens):
        line = refusal(fetch, data_home=odd, download_if_missing=False)
        assert "`data_home`" in line


def test_home_of_a_user_nobody_knows():
    home = "~nobody-of-this-name/data"
    assert "`data_home`" in refusal(fetch_lastfm, data_home=home)


@pytest.mark.parametrize("odd", [np.array(["1m", "10m"]), [], None, ["1m"]])
def test_sets_that_cannot_be_looked_up(odd):
    assert "`name`" in refusal(fetch_movielens, odd, download_if_missing=False)


@pytest.mark.parametrize("odd", [b"folder", 5, "a\0b", np.array(["a"])])
def test_folders_that_are_no_paths(odd):
    assert "`folder`" in refusal(load_movielens, odd)


@pytest.mark.parametrize("odd", [5, None, "a\0b", b"model", [], {}])
def test_files_of_models_that_are_no_paths(odd, tmp_path):
    pytest.importorskip("skops")
    assert "`file`" in refusal(persistence.save, PopularityNeuronSelector(), odd)
    assert "`file`" in refusal(persistence.load, odd)


def test_files_of_models_that_are_folders_or_none(tmp_path):
    pytest.importorskip("skops")
    assert "`file`" in refusal(persistence.save, PopularityNeuronSelector(), tmp_path)
    assert "`file`" in refusal(persistence.load, tmp_path)
    assert "`file`" in refusal(persistence.load, tmp_path / "none")


# -- autoencoders


@pytest.mark.parametrize(
    "odd", [5, None, "ab", [(0, "a")], {True: "a"}, {0.0: "a"}, {"0": "a"}, {0: 1}]
)
def test_meanings_of_neurons_that_are_none(odd):
    probe = small_probe().fit(np.eye(4, 3))
    assert "`labels`" in refusal(probe.label_neurons, odd)


@pytest.mark.parametrize(
    "odd",
    [
        print,
        lambda: None,
        dict,
        np.array(3.0),
        5,
        "one.npy",
        [RAGGED],
        [np.eye(2), np.full((1, 2), "a")],
        [np.eye(2), np.eye(3)],
        [np.full((1, 2), np.nan)],
        [],
        [np.empty((0, 2))],
        iter([np.eye(2)]),
    ],
)
def test_blocks_that_are_none(odd):
    assert "`blocks`" in refusal(small_probe().fit_blocks, odd)


@pytest.mark.parametrize("content", [b"", b"PK\3\4junk", b"\x93NUMPY", b"junk", b"{"])
def test_block_of_a_broken_file(content, tmp_path):
    file = tmp_path / "block.npy"
    np.save(file, np.eye(2))
    if content == b"{":
        # A header that does not parse.
        content = file.read_bytes().replace(b"}", b"{")
    file.write_bytes(content)
    assert "`blocks`" in refusal(small_probe().fit_blocks, [file])


# -- hosts at their ends


def test_decomposition_of_nothing_spoke_of_a_starting_vector():
    from sklearn.decomposition import PCA

    host = DecompositionRecommender(PCA(2))
    assert "`X`" in refusal(host.fit, csr_array((3, 3)))


@pytest.mark.parametrize("weight", [1e300, 1e-300])
def test_squares_of_weights_were_no_floats(weight):
    # Rows that are folded in get the length that trained embeddings have.
    host = ArrayRecommender(np.eye(3, 2), np.eye(4, 2))
    U = answer(host.encode_users, csr_array(weight * np.eye(3, 4)))
    assert np.isfinite(U).all()
    assert np.linalg.norm(U[0]) > 0.1
    plain = ArrayRecommender(None, np.eye(4, 2))
    if weight > 1:
        assert "`X`" in refusal(plain.encode_users, csr_array(weight * np.eye(3, 4)))


def test_squares_of_embeddings_were_no_floats():
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(20, 3)), rng.normal(size=(15, 3))
    lists = []
    for scale in (1.0, 2.0**90):
        host = as_recommender((users, scale * items))
        model = MMRReranker(host, similarity="embedding", pool_size=8).fit(TRAIN)
        ids = np.arange(SHAPE[0])
        lists.append(answer(model.recommend, TRAIN, 5, user_ids=ids))
    np.testing.assert_array_equal(*lists)


def test_layer_in_the_place_of_a_table():
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 3))
    wanted = {"encoder": LayerOutput("0"), "item_embeddings": "1.weight"}
    host = TorchRecommender(module, **(wanted | {"item_embeddings": "1"}))
    assert "`item_embeddings`" in refusal(as_recommender, host)
    host = as_recommender(TorchRecommender(module, **(wanted | {"encoder": "1"})))
    assert "`encoder`" in refusal(host.recommend, np.eye(2, 3))


# -- steering far


@pytest.mark.parametrize("strength", [-64, -1e6, 64, 1e6])
def test_factors_of_both_sides_overflowed(strength):
    model = SteeredRecommender(
        table_host(),
        rule="scale",
        side="both",
        probe=small_probe(),
        random_state=0,
    ).fit(TRAIN)
    _, scores = answer(
        model.recommend,
        TRAIN,
        strength=strength,
        return_scores=True,
        exclude_seen=False,
    )
    assert np.isfinite(scores).all()


def test_lists_of_a_steered_model_longer_than_memory():
    model = SteeredRecommender(
        table_host(),
        rule="shift",
        probe=small_probe(),
        n_recommendations=10**30,
        random_state=0,
    )
    answer(model.fit, TRAIN, HELD_OUT)
    assert "`n_recommendations`" in refusal(model.predict, TRAIN)


@pytest.mark.parametrize("odd", [RAGGED, ["a"], [None], [[]], [np.nan]])
def test_strengths_of_a_search_that_are_no_numbers(odd):
    penalty = PopularityPenaltyReranker(table_host())
    tuned = TunedSteeringCV(penalty, target=0.5, strengths=odd, cv=2, random_state=0)
    assert "`strengths`" in refusal(tuned.fit, TRAIN, HELD_OUT)


def test_calibrator_of_few_users_said_nothing():
    rng = np.random.default_rng(0)
    X = (rng.random((120, 15)) < 0.3).astype(float)
    y = np.where(X > 0, 0.0, rng.random(X.shape) < 0.3)
    y[:, 0] = X[:, 0] == 0
    X, y = csr_array(X), csr_array(y)
    host = as_recommender((rng.normal(size=(120, 4)), rng.normal(size=(15, 4))))
    for kind in (RelevanceCalibrator, SlotPricingRecommender):
        model = kind(host, random_state=0)
        with pytest.warns(UserWarning, match="100 users at least; got those of 3"):
            model.fit(X[:40], y[:40])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(X, y)


def _ax(n_axes=1):
    return Figure().subplots(1, n_axes)


@cache
def _priced():
    name = next(name for name in RERANKERS if name.endswith("SlotPricingRecommender"))
    return fitted(name), small_probe().fit(table_host().item_embeddings_)


@pytest.mark.parametrize("odd", [1.5, True, np.zeros((2, 2))])
def test_names_of_users_that_were_no_list_were_iterated(odd):
    line = refusal(_user_names, odd, None, 2)
    assert line.startswith("`user_names` must be a list of names; got")
