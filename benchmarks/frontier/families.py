"""Every method of the frontier table, with the settings it may choose from."""

from functools import cache

import numpy as np
from joblib import Memory
from sklearn.base import clone

from frontier.judge import host_of
from frontier.variants import Allocated, Embedded, Offset, Priced, Rule, Slots
from skpopsteer import (
    GradientPopularityAdjuster,
    PopularityNeuronSelector,
    RelevanceCalibrator,
    SlotPricingRecommender,
    SparseAutoencoderProbe,
    SteeredRecommender,
)
from skpopsteer.popularity import PopularityGroups
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
    PopularityPenaltyReranker,
    ProfilePopularityReranker,
    SpreadTemperingReranker,
    TailQuotaReranker,
    XQuADReranker,
)

__all__ = ["NEURONS", "OURS", "make_families"]

#: Families that are this package's.
OURS = ("slot pricing", "slot prices")
#: Families that steer neurons.
NEURONS = ("PopSteer", "neurons by effect size", "neurons in score space")
#: Rerankers that change scores, and those that choose lists: parameters of each form.
SCORE_RULES = {
    "log-popularity penalty": [(PopularityPenaltyReranker, {})],
    "inverse popularity": [
        (InversePopularityReranker, {"form": form})
        for form in ("boost", "division", "power")
    ],
    "norm tempering": [(NormTemperingReranker, {})],
    "spread tempering": [(SpreadTemperingReranker, {})],
    "per-item standardisation": [(SpreadTemperingReranker, {"center": True})],
    "difference of means": [(DifferenceOfMeansReranker, {"random_state": 0})],
}
LIST_RULES = {
    "xQuAD": [(XQuADReranker, {"coverage": c}) for c in ("smooth", "binary")],
    "MMR": [(MMRReranker, {"similarity": s}) for s in ("popularity", "embedding")],
    "calibrated popularity": [(CalibratedPopularityReranker, {})],
    "DUOR": [(ProfilePopularityReranker, {})],
}


def make_families(pair, judge, pool_size, seed, folder):
    """Return how to fit every method: training interactions, and what calibrates them.

    Parameters
    ----------
    pair : HostPair
    judge : Judge
        Of the validation.
    pool_size : int
    seed : int
    folder : str
        For what several methods share.

    Returns
    -------
    dict of str to callable
        Each returns a list of Variant.
    """
    X, host, ids = whole(pair)

    def fitted(kind, **params):
        return kind(host, pool_size=pool_size, **params).fit(X, user_ids=ids)

    def rules(forms):
        return lambda: [
            Rule(label(params, whose), fitted(kind, **params, user_strength=whose))
            for kind, params in forms
            for whose in (None, "profile")
        ]

    families = {
        name: rules(forms) for name, forms in (SCORE_RULES | LIST_RULES).items()
    }
    if pair.item_bias is not None:
        families["item-bias scaling"] = rules([(ItemBiasReranker, {})])
    families["tail quota"] = lambda: [
        Rule("share", fitted(TailQuotaReranker), most=1.0)
    ]
    families["FA*IR"] = lambda: [
        Rule(f"significance {a}", fitted(FairTopKReranker, significance=a), most=0.98)
        for a in (0.05, 0.1)
    ]
    families["PCT"] = lambda: [
        Allocated(f"target {t}", fitted(PersonalTargetReranker, target_tail_share=t))
        for t in (0.3, 0.5, 0.8)
    ]
    families["P-MMF"] = lambda: [
        Allocated(
            f"rate {rate}",
            fitted(
                MaxMinExposureReranker, learning_rate=rate, batch_size=8,
                random_state=seed,
            ),
        )
        for rate in (1e-3, 1e-2)
    ]  # fmt: skip
    families["mean-user direction"] = lambda: [
        Embedded(
            direction.replace("_", " "),
            GradientPopularityAdjuster(host, direction=direction).fit(X, user_ids=ids),
        )
        for direction in ("mean_user", "activity_weighted_user")
    ]
    families |= neuron_families(pair, judge, seed, folder)
    return families | our_families(pair, judge, pool_size, seed)


def whole(pair):
    """Return what methods are fitted on: interactions, host and positions of users."""
    U = pair.part("valid")[0]
    return pair.X_train, host_of(U, pair), np.arange(len(U))


def label(params, whose):
    """Return the name of a form."""
    words = [f"{k} {v}" for k, v in params.items() if k != "random_state"]
    return ", ".join([*words, "per user"] if whose else words) or "constant"


def neuron_families(pair, judge, seed, folder):
    """Return steering of neurons, as published and as the package does it."""
    X, host, ids = whole(pair)
    # Few neurons that fire can be read; of many, offsets are less noisy.
    sparse, dense = (
        SparseAutoencoderProbe(n, k=k, max_iter=n_epochs, random_state=seed)
        for n, k, n_epochs in ((1024, 32, 50), (2048, 1024, 10))
    )
    # An autoencoder is trained once for all that steer it.
    steered = SteeredRecommender(
        host, probe=sparse, random_state=seed, memory=Memory(folder, verbose=0)
    )

    def variants(forms, kind=Embedded, popularity=None):
        return [
            kind(
                label(words, whose),
                clone(steered)
                .set_params(**form, user_strength=whose)
                .fit(X, user_ids=ids, item_popularity=popularity),
            )
            for words, form in forms
            for whose in (None, "profile")
        ]

    def published():
        model = SteeredRecommender(
            host, rule="shift", probe=clone(steered.probe).set_params(aux_penalty=0.5),
            groups=PopularityGroups("count", head=0.1, tail=0.1),
            reconstruction="replace", random_state=seed,
        )  # fmt: skip
        return [Embedded("v2", model.fit(X, user_ids=ids))]

    def in_score_space():
        some, every = (
            PopularityNeuronSelector("score_omp", n_neurons_to_select=n)
            for n in (None, "all")
        )
        offset = {"rule": "offset", "side": "item", "selector": every}
        # How often the host lists an item is what steering is to make more even.
        listed = judge.pool.items[:, :50]
        exposure = np.bincount(listed[listed >= 0], minlength=pair.n_items)
        offsets = [
            variant
            for target, counts in (("popularity", None), ("exposure", exposure))
            for words, probe in (("sparse", sparse), ("dense", dense))
            for variant in variants(
                [({"neurons": words, "target": target}, {**offset, "probe": probe})],
                Offset,
                counts,
            )
        ]
        add = ({"rule": "add"}, {"rule": "add", "selector": some})
        return [*variants([add]), *offsets]

    return {
        "PopSteer": published,
        "neurons by effect size": lambda: variants([({}, {"rule": "shift"})]),
        "neurons in score space": in_score_space,
    }


def our_families(pair, judge, pool_size, seed):
    """Return slot pricing: joint lists with the tail weighted, and the price table."""
    X, host, ids = whole(pair)

    @cache
    def model(features):
        calibrator = RelevanceCalibrator(host, features=features, random_state=seed)
        pricing = SlotPricingRecommender(
            host, calibrator=calibrator, pool_size=pool_size, strength=0.0,
            random_state=seed,
        ).fit(X, pair.y_valid, user_ids=ids)  # fmt: skip
        # Exposure is counted over the lists that are judged.
        pricing.n_users_ = len(judge.ids)
        return pricing

    values = [(0.0, 1), (0.0, 5), (0.5, 1), (0.5, 5), (1.0, 1)]
    forms = [
        {"tail_weight": weight, "min_exposures": floor, "keep_top": kept}
        for weight, floor in values
        for kept in (0, 2)
    ]
    tables = [form for form in forms if form["keep_top"] == 0][:2]

    def variants(forms, kind, *others):
        return [
            kind(
                label({"features": features, **form}, None), model(features), *others,
                **form,
            )
            for features in ("auto", "item")
            for form in forms
        ]  # fmt: skip

    return {
        "slot pricing": lambda: variants(forms, Slots),
        "slot prices": lambda: variants(tables, Priced, judge),
    }
