"""One table of instances that scikit-learn's checks and ours run on."""

from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.lmf import LogisticMatrixFactorization
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from skpopsteer import (
    ConceptNeuronSelector,
    DecompositionRecommender,
    GradientPopularityAdjuster,
    ImplicitRecommender,
    NeuronSubset,
    NeuronUnion,
    PopularityGroups,
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    RelevanceCalibrator,
    SlotPricingRecommender,
    SparseAutoencoderProbe,
    SteeredRecommender,
)
from skpopsteer.neurons._control import ControlSelector
from skpopsteer.rerankers import (
    CalibratedPopularityReranker,
    DifferenceOfMeansReranker,
    FairTopKReranker,
    InversePopularityReranker,
    ItemBiasReranker,
    MaxMinExposureReranker,
    MMRReranker,
    NormTemperingReranker,
    PersonalTargetReranker,
    ProfilePopularityReranker,
    SpreadTemperingReranker,
    TailQuotaReranker,
    XQuADReranker,
)

_ONE_VALUE_A_ROW = "predict returns a list of items a row, the check wants one value"
RECOMMENDER_FAILURES = {
    "check_estimator_sparse_array": _ONE_VALUE_A_ROW,
    "check_estimator_sparse_matrix": _ONE_VALUE_A_ROW,
}


def small_probe(**params):
    return SparseAutoencoderProbe(
        16, k=4, **{"max_iter": 2, "random_state": 0, **params}
    )


def small_host():
    return DecompositionRecommender(TruncatedSVD(1, random_state=0))


def _implicit(kind, **params):
    with threadpool_limits(1, "blas"):
        return ImplicitRecommender(
            kind(factors=4, random_state=0, num_threads=1, iterations=3, **params)
        )


ESTIMATORS = [
    small_probe(),
    small_probe(sparse_output=True, n_init=2),
    PopularityNeuronSelector(),
    PopularityNeuronSelector(weighting="joint", fdr=0.5, drop_silent=True),
    ConceptNeuronSelector(),
    ConceptNeuronSelector(score_func="f1", n_neurons_to_select=2, weighting="score"),
    NeuronSubset({0: 0.5}),
    NeuronUnion(
        [("first", NeuronSubset([0])), ("popularity", PopularityNeuronSelector())]
    ),
    small_host(),
    _implicit(AlternatingLeastSquares),
    _implicit(BayesianPersonalizedRanking),
    _implicit(LogisticMatrixFactorization),
    PopularityPenaltyReranker(small_host(), keep_top=1),
    GradientPopularityAdjuster(small_host(), keep_top=1),
    RelevanceCalibrator(small_host(), pool_size=5, cv=2, random_state=0),
    SlotPricingRecommender(small_host(), pool_size=5, strength=0.01, random_state=0),
    SteeredRecommender(small_host(), rule="shift", probe=small_probe(), random_state=0),
    SteeredRecommender(
        small_host(),
        probe=small_probe(),
        side="both",
        rule="scale",
        user_strength="profile",
        reconstruction="replace",
        keep_top=2,
        random_state=0,
    ),
    SteeredRecommender(
        small_host(),
        probe=small_probe(),
        selector=NeuronUnion(
            [("first", NeuronSubset([0])), ("popularity", PopularityNeuronSelector())],
            strengths={"first": 0.2},
        ),
        rule="interpolate",
        random_state=0,
    ),
    NormTemperingReranker(small_host(), user_strength="profile"),
    SpreadTemperingReranker(small_host(), keep_top=1),
    SpreadTemperingReranker(small_host(), center=True, pool_size=5),
    ItemBiasReranker(_implicit(BayesianPersonalizedRanking)),
    InversePopularityReranker(small_host(), pool_size=5),
    InversePopularityReranker(small_host(), form="power", from_lowest=False),
    DifferenceOfMeansReranker(small_host(), random_state=0),
    DifferenceOfMeansReranker(small_host(), profiles="real", user_strength="profile"),
    ControlSelector(PopularityNeuronSelector(), random_state=0),
    ControlSelector(NeuronSubset({0: 0.5}), control="permutation", random_state=0),
    TailQuotaReranker(small_host(), pool_size=5),
    XQuADReranker(small_host(), user_strength="profile"),
    XQuADReranker(small_host(), coverage="binary", keep_top=1),
    MMRReranker(small_host()),
    MMRReranker(small_host(), similarity="embedding", pool_size=5),
    CalibratedPopularityReranker(small_host(), groups=PopularityGroups("mass")),
    ProfilePopularityReranker(small_host()),
    FairTopKReranker(small_host(), strength=0.9),
    PersonalTargetReranker(small_host(), target_tail_share=0.9),
    MaxMinExposureReranker(small_host(), random_state=0),
    MaxMinExposureReranker(
        small_host(), providers="groups", batch_size=7, capped=True, random_state=0
    ),
]


def expected_failures(estimator):
    return RECOMMENDER_FAILURES if hasattr(estimator, "recommend") else {}
