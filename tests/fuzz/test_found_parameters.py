"""Values of parameters that the tests of this folder found, and what they must do now.

Each of them ended with a warning of numpy, a line that is not ours, or a wrong kind of
error.
"""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD

from skpopsteer.adapters import (
    DecompositionRecommender,
    ImplicitRecommender,
    as_recommender,
)
from skpopsteer.datasets import make_interactions
from skpopsteer.neurons import (
    ConceptNeuronSelector,
    NeuronInterpreter,
    NeuronUnion,
    PopularityNeuronSelector,
)
from skpopsteer.rerankers import (
    DifferenceOfMeansReranker,
    InversePopularityReranker,
    ItemBiasReranker,
    MaxMinExposureReranker,
    NormTemperingReranker,
    PopularityPenaltyReranker,
    SpreadTemperingReranker,
)
from skpopsteer.steering import (
    GradientPopularityAdjuster,
    RelevanceCalibrator,
    SlotPricingRecommender,
    SteeredRecommender,
    TunedSteeringCV,
)
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.models import HELD_OUT, N_ITEMS, N_USERS, TRAIN, table_host
from tests.instances import small_probe

FAR = (1e300, -1e300, 1e38, -1e38)


@pytest.mark.parametrize("strength", FAR)
@pytest.mark.parametrize(
    "reranker",
    [
        PopularityPenaltyReranker,
        NormTemperingReranker,
        SpreadTemperingReranker,
        ItemBiasReranker,
        lambda host, **far: InversePopularityReranker(host, from_lowest=False, **far),
        DifferenceOfMeansReranker,
        lambda host, **far: SpreadTemperingReranker(host, center=True, **far),
        lambda host, **far: PopularityPenaltyReranker(
            host, user_strength="profile", **far
        ),
        lambda host, **far: PopularityPenaltyReranker(host, pool_size=5, **far),
    ],
)
def test_strengths_overflowed_scores(reranker, strength):
    model = reranker(_biased_host()).fit(TRAIN)
    calls = [
        attempt(model.recommend, TRAIN, strength=strength),
        attempt(model.set_params(strength=strength).decision_function, TRAIN),
    ]
    if model.user_strength is None and model.pool_size is None:
        calls.append(attempt(model.export_embeddings, TRAIN, strength=strength))
    for call in calls:
        if isinstance(call, Refusal):
            assert call.message.startswith("`strength` must leave scores")


@pytest.mark.parametrize("share", ["beta", "gamma"])
@pytest.mark.parametrize("far", FAR)
def test_shares_of_directions_overflowed_embeddings(share, far):
    model = GradientPopularityAdjuster(_biased_host()).set_params(**{share: far})
    answer(model.fit, TRAIN)
    for call in (model.recommend, model.decision_function, model.export_embeddings):
        result = attempt(call, TRAIN)
        if isinstance(result, Refusal):
            assert result.message.startswith(f"`{share}` must leave scores")


def test_far_strengths_are_refused_with_a_line():
    model = PopularityPenaltyReranker(table_host()).fit(TRAIN)
    line = refusal(model.recommend, TRAIN, strength=1e300)
    assert line == (
        "`strength` must leave scores that float32 holds; got a strength where they "
        "overflow. Turn it less far."
    )


def test_so_few_negatives_that_their_share_was_0():
    model = RelevanceCalibrator(table_host(), n_negatives=5e-324, random_state=0)
    attempt(model.fit, TRAIN, HELD_OUT)


def test_more_exposures_than_an_integer_holds():
    few = SlotPricingRecommender(table_host(), min_exposures=10**6, random_state=0)
    many = SlotPricingRecommender(table_host(), min_exposures=10**30, random_state=0)
    wanted = answer(few.fit, TRAIN, HELD_OUT).allocate(TRAIN, strength=0.1)
    found = answer(many.fit, TRAIN, HELD_OUT).allocate(TRAIN, strength=0.1)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("length", [True, 10**30])
@pytest.mark.parametrize("kind", [SlotPricingRecommender, MaxMinExposureReranker])
def test_lists_of_such_a_length_were_begun(kind, length):
    model = kind(table_host(), n_recommendations=length, random_state=0)
    assert "`n_recommendations` must be" in refusal(model.fit, TRAIN, HELD_OUT)


def test_true_for_a_length_failed_in_the_pass_through():
    model = SteeredRecommender(
        table_host(), probe=small_probe(), n_recommendations=True, random_state=0
    )
    answer(model.fit, TRAIN, HELD_OUT)
    assert "`n_recommendations` must be" in refusal(model.predict, TRAIN)


@pytest.mark.parametrize("parameter", ["k", "batch_size", "n_init"])
def test_true_for_a_number_of_a_probe(parameter):
    Z = np.random.default_rng(0).normal(size=(20, 5))
    probe = answer(small_probe().set_params(**{parameter: True}).fit, Z)
    wanted = small_probe().set_params(**{parameter: 1}).fit(Z)
    np.testing.assert_array_equal(answer(probe.transform, Z), wanted.transform(Z))


@pytest.mark.parametrize(
    "sizes", [[[1], [1, 2]], ["a", "b"], np.array(2), np.array([None]), {"a": 1}, [1.5]]
)
def test_nested_sizes_that_are_no_integers(sizes):
    probe = small_probe().set_params(nested_sizes=sizes)
    assert "`nested_sizes` must" in refusal(probe.fit, np.eye(8, 5))


@pytest.mark.parametrize(
    "selectors", [["a", "b"], [[1], [1, 2]], np.zeros(0), 3, [("a", "b", "c")], []]
)
def test_selectors_that_are_no_pairs_could_not_be_set(selectors):
    union = NeuronUnion([("a", PopularityNeuronSelector())])
    union.set_params(selectors=selectors)
    union.set_params(strengths={"a": 1.0})
    line = refusal(union.fit, np.eye(4), [1, -1, 1, -1])
    assert "`selectors`" in line or "'selectors'" in line


def test_neurons_of_unequal_length():
    probe = small_probe().fit(table_host().encode_users(TRAIN))
    interpreter = NeuronInterpreter(table_host(), probe, neurons=[[1], [1, 2]])
    assert "`neurons` must" in refusal(interpreter.fit, TRAIN, HELD_OUT)


@pytest.mark.parametrize("n_jobs", [0, False])
def test_no_jobs_at_all(n_jobs):
    penalty = PopularityPenaltyReranker(table_host())
    tuned = TunedSteeringCV(penalty, target=0.5, cv=2, n_jobs=n_jobs, random_state=0)
    assert "n_jobs" in refusal(tuned.fit, TRAIN, HELD_OUT)


def test_folds_that_are_bytes():
    penalty = PopularityPenaltyReranker(table_host())
    tuned = TunedSteeringCV(penalty, target=0.5, cv=b"bytes", random_state=0)
    assert "`cv` must" in refusal(tuned.fit, TRAIN, HELD_OUT)


def test_more_interactions_than_can_be_drawn():
    X = answer(make_interactions, 4, 6, mean_interactions=1e30, random_state=0).X
    assert (np.diff(X.indptr) == 3).all()


def test_concepts_of_half_precision():
    Z = np.random.default_rng(0).random((6, 3))
    y = np.array([[1], [0], [1], [0], [1], [0]], dtype=np.float16)
    wanted = ConceptNeuronSelector().fit(Z, y.astype(np.float64)).scores_
    np.testing.assert_array_equal(
        answer(ConceptNeuronSelector().fit, Z, y).scores_, wanted
    )


def test_weights_that_implicit_makes_nothing_of():
    from implicit.als import AlternatingLeastSquares

    model = ImplicitRecommender(AlternatingLeastSquares(4, use_gpu=False))
    line = refusal(model.fit, csr_array([[1e30]]))
    assert line.startswith("`X` must hold weights that least squares can be solved")


def test_weights_that_a_decomposition_makes_huge_vectors_of():
    host = DecompositionRecommender(TruncatedSVD(1, random_state=0))
    for X in (csr_array([[1e300, 0.0]]), csr_array([[0.0, 0.0], [1e300, 0.0]])):
        answer(host.fit, X)
        attempt(host.recommend, X)


def test_spread_of_huge_scores_overflowed():
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(n, 2)).astype(np.float32) for n in (N_USERS, N_ITEMS)]
    lists = []
    for scale in (np.float32(1), np.float32(2.0**100)):
        host = as_recommender((tables[0], tables[1] * scale))
        model = SteeredRecommender(host, probe=small_probe(), random_state=0)
        answer(model.fit, TRAIN)
        lists.append(answer(model.recommend, TRAIN, strength=0))
    np.testing.assert_array_equal(*lists)


def _biased_host():
    from skpopsteer.adapters import as_recommender

    rng = np.random.default_rng(0)
    return as_recommender(
        (
            rng.normal(size=(N_USERS, 3)),
            rng.normal(size=(N_ITEMS, 3)),
            rng.random(N_ITEMS),
        )
    )
