"""One table of instances that scikit-learn's checks and ours run on."""

from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.lmf import LogisticMatrixFactorization
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from skpopsteer import (
    ConceptNeuronSelector,
    DecompositionRecommender,
    ImplicitRecommender,
    NeuronSubset,
    NeuronUnion,
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
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
    SteeredRecommender(small_host(), probe=small_probe(), random_state=0),
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
]


def expected_failures(estimator):
    return RECOMMENDER_FAILURES if hasattr(estimator, "recommend") else {}
