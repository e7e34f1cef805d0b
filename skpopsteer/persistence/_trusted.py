"""The types that a file may hold."""

__all__ = ["TRUSTED_TYPES", "untrusted_types"]

# What is behind a name here has been reviewed; see the package.
TRUSTED_TYPES = (
    "implicit.cpu.als.AlternatingLeastSquares",
    "implicit.cpu.bpr.BayesianPersonalizedRanking",
    "implicit.cpu.lmf.LogisticMatrixFactorization",
    "numpy.dtype",
    "scipy.sparse._csr.csr_array",
    "sklearn.utils._bunch.Bunch",
    "skpopsteer.adapters._array.ArrayRecommender",
    "skpopsteer.adapters._decomposition.DecompositionRecommender",
    "skpopsteer.adapters._implicit.ImplicitRecommender",
    "skpopsteer.neurons._concept.ConceptNeuronSelector",
    "skpopsteer.neurons._concept_table.ConceptTable",
    "skpopsteer.neurons._control.ControlSelector",
    "skpopsteer.neurons._describers._enrichment.EnrichmentDescriber",
    "skpopsteer.neurons._describers._tfidf.TfidfDescriber",
    "skpopsteer.neurons._effect_size.cohens_d",
    "skpopsteer.neurons._interpreter.NeuronInterpreter",
    "skpopsteer.neurons._popularity.PopularityNeuronSelector",
    "skpopsteer.neurons._subset.NeuronSubset",
    "skpopsteer.neurons._union.NeuronUnion",
    "skpopsteer.popularity.PopularityGroups",
    "skpopsteer.rerankers._calibrated_popularity.CalibratedPopularityReranker",
    "skpopsteer.rerankers._difference_of_means.DifferenceOfMeansReranker",
    "skpopsteer.rerankers._fair_top_k.FairTopKReranker",
    "skpopsteer.rerankers._inverse_popularity.InversePopularityReranker",
    "skpopsteer.rerankers._item_bias.ItemBiasReranker",
    "skpopsteer.rerankers._max_min_exposure.MaxMinExposureReranker",
    "skpopsteer.rerankers._mmr.MMRReranker",
    "skpopsteer.rerankers._norm_tempering.NormTemperingReranker",
    "skpopsteer.rerankers._penalty.PopularityPenaltyReranker",
    "skpopsteer.rerankers._personal_targets.PersonalTargetReranker",
    "skpopsteer.rerankers._profile_popularity.ProfilePopularityReranker",
    "skpopsteer.rerankers._spread_tempering.SpreadTemperingReranker",
    "skpopsteer.rerankers._tail_quota.TailQuotaReranker",
    "skpopsteer.rerankers._xquad.XQuADReranker",
    "skpopsteer.sae._probe.SparseAutoencoderProbe",
    "skpopsteer.steering._gradient.GradientPopularityAdjuster",
    "skpopsteer.steering._relevance_calibrator.RelevanceCalibrator",
    "skpopsteer.steering._relevance_features.PoolFeatures",
    "skpopsteer.steering._side.SteeredSide",
    "skpopsteer.steering._slot_pricing.SlotPricingRecommender",
    "skpopsteer.steering._steered.SteeredRecommender",
    "skpopsteer.steering._tuned.TunedSteeringCV",
)


def untrusted_types(skops_io, file):
    """Return the names of types that a file holds and `load` refuses."""
    return sorted(set(skops_io.get_untrusted_types(file=file)) - set(TRUSTED_TYPES))
