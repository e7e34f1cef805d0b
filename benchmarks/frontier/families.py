"""Every method of the frontier table, with the settings it may choose from."""

from functools import cache

from sklearn.base import clone

from frontier.variants import Allocated, Embedded, Priced, Rule, Slots
from skpopsteer import (
    GradientPopularityAdjuster,
    PopularityNeuronSelector,
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


def make_families(pair, judge, pool_size, seed):
    """Return how to fit every method: training interactions, and what calibrates them.

    Parameters
    ----------
    pair : HostPair
    judge : Judge
        Of the validation.
    pool_size : int
    seed : int

    Returns
    -------
    dict of str to callable
        Each returns a list of Variant.
    """
    X, ids, host = pair.X_train, judge.ids, judge.host

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
    families |= neuron_families(pair, judge, seed)
    return families | our_families(pair, judge, pool_size, seed)


def label(params, whose):
    """Return the name of a form."""
    words = [f"{k} {v}" for k, v in params.items() if k != "random_state"]
    return ", ".join([*words, "per user"] if whose else words) or "constant"


def neuron_families(pair, judge, seed):
    """Return steering of neurons, as published and as the package does it."""
    X, ids, host = pair.X_train, judge.ids, judge.host
    probe = SparseAutoencoderProbe(1024, k=32, max_iter=50, random_state=seed)

    def published():
        model = SteeredRecommender(
            host, rule="shift", probe=clone(probe).set_params(aux_penalty=0.5),
            groups=PopularityGroups("count", head=0.1, tail=0.1),
            reconstruction="replace", random_state=seed,
        )  # fmt: skip
        return [Embedded("v2", model.fit(X, user_ids=ids))]

    def by_effect_size():
        model = SteeredRecommender(host, rule="shift", probe=probe, random_state=seed)
        return [
            Embedded(
                label({}, whose),
                clone(model).set_params(user_strength=whose).fit(X, user_ids=ids),
            )
            for whose in (None, "profile")
        ]

    def in_score_space():
        forms = [{"rule": "add"}, {"rule": "offset", "side": "item"}]
        return [
            Embedded(
                label({"rule": form["rule"]}, whose),
                SteeredRecommender(
                    host, probe=probe, selector=PopularityNeuronSelector("score_omp"),
                    user_strength=whose, random_state=seed, **form,
                ).fit(X, user_ids=ids),
            )
            for form in forms
            for whose in (None, "profile")
        ]  # fmt: skip

    return {
        "PopSteer": published,
        "neurons by effect size": by_effect_size,
        "neurons in score space": in_score_space,
    }


def our_families(pair, judge, pool_size, seed):
    """Return slot pricing: joint lists with the tail weighted, and the price table."""

    @cache
    def model():
        return SlotPricingRecommender(
            judge.host, pool_size=pool_size, strength=0.0, random_state=seed
        ).fit(pair.X_train, pair.y_valid, user_ids=judge.ids)

    values = [(0.0, 1), (0.0, 5), (0.5, 1), (0.5, 5), (0.8, 1), (1.0, 1)]
    forms = [
        {"tail_weight": weight, "min_exposures": floor, "keep_top": kept}
        for weight, floor in values
        for kept in (0, 2, 5)
    ]
    tables = [form for form in forms if form["keep_top"] == 0][:2]
    return {
        "slot pricing": lambda: [
            Slots(label(form, None), model(), **form) for form in forms
        ],
        "slot prices": lambda: [
            Priced(label(form, None), model(), judge, **form) for form in tables
        ],
    }
