"""What the tests of this folder found, one test a fault, named after what was wrong."""

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.decomposition import TruncatedSVD

from skpopsteer._validation import check_item_lists
from skpopsteer.adapters import (
    ArrayRecommender,
    DecompositionRecommender,
    ImplicitRecommender,
    LayerOutput,
    as_recommender,
    rows_to_sequences,
)
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
    PopularityPenaltyReranker,
    TailQuotaReranker,
)
from skpopsteer.steering import (
    GradientPopularityAdjuster,
    GradientRecorder,
    RelevanceCalibrator,
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
        assert "`feature_names`" in refusal(map_concepts, np.eye(2), np.eye(2), names)


def test_concept_that_cannot_be_compared():
    selector = ConceptNeuronSelector([np.array([[0], [1]])])
    assert "`concept`" in refusal(selector.fit, np.eye(2), np.eye(2))


def test_neurons_without_dimensions_or_end():
    assert "`neurons`" in refusal(NeuronSubset(np.array(0)).fit, np.eye(2))
    assert "`neurons`" in refusal(NeuronSubset({0: 10**400}).fit, np.eye(2))
    union = NeuronUnion([("a", NeuronSubset([0]))], strengths={"a": 10**400})
    assert "`strengths`" in refusal(union.fit, np.eye(2), [1, -1])
