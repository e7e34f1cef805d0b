"""Displays and tables: every argument replaced by something else in turn."""

import inspect
from functools import cache, wraps

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn.model_selection import GridSearchCV

from skpopsteer import inspection
from skpopsteer.inspection import (
    Ablation,
    Comparison,
    EffectSizeDisplay,
    ExposureDisplay,
    LevelComparison,
    ListChange,
    NeuronExplorer,
    PopularityAudit,
    PopularityLiftDisplay,
    PriceExplanation,
    ReliabilityDisplay,
    Specificity,
    SteeringReport,
    TradeOffDisplay,
    ablate_neurons,
    compare,
    explain_changes,
    explain_prices,
    steering_report,
    steering_specificity,
)
from skpopsteer.metrics import get_scorer
from skpopsteer.rerankers import PopularityPenaltyReranker
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt
from tests.fuzz.covering import covers
from tests.fuzz.models import HELD_OUT, N_ITEMS, RERANKERS, TRAIN, fitted, table_host
from tests.fuzz.strategies import NONSENSE, bad_matrices
from tests.instances import small_probe


def _named(ending):
    return fitted(next(name for name in sorted(RERANKERS) if name.endswith(ending)))


@cache
def _item_probe():
    return small_probe().fit(table_host().item_embeddings_)


def _ax(n_axes=1):
    return Figure().subplots(1, n_axes)


@wraps(explain_changes)
def _first_change(**arguments):
    return explain_changes(**arguments)[0]


@wraps(PopularityAudit)
def _audit(X, y, user_ids, **parameters):
    return PopularityAudit(**parameters).fit(X, y, user_ids=user_ids)


@cache
def _search():
    search = GridSearchCV(
        PopularityPenaltyReranker(table_host()),
        {"strength": [0.0, 0.1]},
        scoring=get_scorer(["ndcg@3", "coverage@3"]),
        refit="ndcg@3",
        cv=2,
    )
    return search.fit(TRAIN, HELD_OUT)


LISTS = np.tile(np.arange(5), (TRAIN.shape[0], 1))
FEATURES = np.eye(N_ITEMS, 3)
#: Good calls, by what they return: each argument is then replaced in turn.
CALLS = {
    "ablate_neurons": lambda: (
        ablate_neurons,
        {
            "model": _named("SteeredRecommender"),
            "X": TRAIN,
            "y": HELD_OUT,
            "neurons": [0, 1],
            "n_controls": 2,
            "random_state": 0,
        },
        Ablation,
    ),
    "compare": lambda: (
        compare,
        {
            "models": {"host": table_host(), "penalty": _named("PenaltyReranker")},
            "X": TRAIN,
            "y": HELD_OUT,
            "n_recommendations": 5,
        },
        Comparison,
    ),
    "compare at levels": lambda: (
        compare,
        {
            "models": {"penalty": (_named("PenaltyReranker"), [0, 1.0])},
            "X": TRAIN,
            "y": HELD_OUT,
            "validation": (TRAIN, HELD_OUT),
            "levels": (0.9,),
            "host": table_host(),
            "n_recommendations": 5,
            "n_boot": 3,
            "random_state": 0,
        },
        LevelComparison,
    ),
    "explain_changes": lambda: (
        _first_change,
        {
            "model": _named("SteeredRecommender"),
            "X": TRAIN[:2],
            "n_neurons": 2,
            "strength": 3.0,
            "n_recommendations": 5,
        },
        ListChange,
    ),
    "explain_prices": lambda: (
        explain_prices,
        {
            "model": _named("SlotPricingRecommender"),
            "probe": _item_probe(),
            "item_names": [str(i) for i in range(N_ITEMS)],
            "n_examples": 2,
            "n_shown": 2,
        },
        PriceExplanation,
    ),
    "steering_specificity": lambda: (
        steering_specificity,
        {
            "models": {"penalty": _named("PenaltyReranker")},
            "X": TRAIN,
            "y": HELD_OUT,
            "attributes": {"kind": FEATURES},
            "n_recommendations": 5,
            "n_boot": 3,
            "random_state": 0,
        },
        Specificity,
    ),
    "neuron explorer": lambda: (
        NeuronExplorer.from_model,
        {
            "model": _named("SteeredRecommender"),
            "X": TRAIN,
            "y": HELD_OUT,
            "n_users": 3,
            "item_titles": [str(i) for i in range(N_ITEMS)],
            "random_state": 0,
        },
        NeuronExplorer,
    ),
    "steering report": lambda: (
        steering_report,
        {
            "model": _named("SteeredRecommender"),
            "X": TRAIN,
            "y": HELD_OUT,
            "n_users": 3,
            "strengths": [0, 1.0],
            "random_state": 0,
        },
        SteeringReport,
    ),
    "audit": lambda: (
        _audit,
        {
            "recommender": table_host(),
            "X": TRAIN,
            "y": HELD_OUT,
            "user_ids": None,
            "random_state": 0,
        },
        PopularityAudit,
    ),
    "trade-off": lambda: (
        TradeOffDisplay.from_estimator,
        {
            "model": _named("PenaltyReranker"),
            "X": TRAIN,
            "y": HELD_OUT,
            "strengths": [0, 1.0],
            "n_boot": 3,
            "random_state": 0,
            "ax": _ax(),
        },
        TradeOffDisplay,
    ),
    "trade-off of lists": lambda: (
        TradeOffDisplay.from_predictions,
        {
            "X": TRAIN,
            "y": HELD_OUT,
            "recommendations": {0.0: LISTS, 1.0: LISTS[:, ::-1]},
            "n_boot": 3,
            "random_state": 0,
            "ax": _ax(),
        },
        TradeOffDisplay,
    ),
    "effect sizes": lambda: (
        EffectSizeDisplay.from_estimator,
        {"estimator": _named("SteeredRecommender"), "n_labels": 2, "ax": _ax()},
        EffectSizeDisplay,
    ),
    "effect sizes of scores": lambda: (
        EffectSizeDisplay.from_predictions,
        {
            "scores": np.array([0.5, -1.0, 0.0]),
            "selected": np.array([True, False, True]),
            "labels": {0: "a"},
            "ax": _ax(),
        },
        EffectSizeDisplay,
    ),
    "exposure": lambda: (
        ExposureDisplay.from_estimator,
        {
            "models": {"host": table_host()},
            "X": TRAIN,
            "n_recommendations": 5,
            "ax": _ax(2),
        },
        ExposureDisplay,
    ),
    "exposure of lists": lambda: (
        ExposureDisplay.from_predictions,
        {"X": TRAIN, "recommendations": {"a": LISTS}, "ax": _ax(2)},
        ExposureDisplay,
    ),
    "lift": lambda: (
        PopularityLiftDisplay.from_estimator,
        {
            "models": {"host": table_host()},
            "X": TRAIN,
            "n_recommendations": 5,
            "n_boot": 3,
            "random_state": 0,
            "ax": _ax(),
        },
        PopularityLiftDisplay,
    ),
    "lift of lists": lambda: (
        PopularityLiftDisplay.from_predictions,
        {"X": TRAIN, "recommendations": {"a": LISTS}, "n_boot": 3, "ax": _ax()},
        PopularityLiftDisplay,
    ),
    "reliability": lambda: (
        ReliabilityDisplay.from_estimator,
        {"model": _named("RelevanceCalibrator"), "ax": _ax()},
        ReliabilityDisplay,
    ),
    "reliability of numbers": lambda: (
        _drawn(ReliabilityDisplay),
        {
            "predicted": [0.1, 0.4],
            "observed": np.array([0.2, 0.3]),
            "count": [9, 5],
            "brier_score": 0.1,
            "brier_reference": 0.2,
            "ax": _ax(),
        },
        ReliabilityDisplay,
    ),
    "effect sizes of numbers": lambda: (
        _drawn(EffectSizeDisplay),
        {"scores": [0.5, -1.0, 0.0], "labels": ["a", "b", "c"], "ax": _ax()},
        EffectSizeDisplay,
    ),
    "exposure of counts": lambda: (
        _drawn(ExposureDisplay),
        {
            "exposures": {"a": np.arange(4)},
            "item_popularity": [4, 3, 2, 1],
            "item_groups": [1, 0, -1, -1],
            "ax": _ax(2),
        },
        ExposureDisplay,
    ),
    "lift of numbers": lambda: (
        _drawn(PopularityLiftDisplay),
        {
            "lifts": {"a": [0.1, 0.2]},
            "groups": ["niche", "hits"],
            "n_users": [3, 4],
            "intervals": {"a": [[0.0, 0.1], [0.2, 0.3]]},
            "ax": _ax(),
        },
        PopularityLiftDisplay,
    ),
    "trade-off of numbers": lambda: (
        _drawn(TradeOffDisplay),
        {
            "curves": {"a": {"points": [0, 1], "x": [0.1, 0.2], "y": [0.4, 0.3]}},
            "x_metric": "tail_share@5",
            "y_metric": "ndcg@5",
            "ax": _ax(),
        },
        TradeOffDisplay,
    ),
    "trade-off of a search": lambda: (
        TradeOffDisplay.from_search,
        {
            "search": _search(),
            "x_metric": "coverage@3",
            "y_metric": "ndcg@3",
            "ax": _ax(),
        },
        TradeOffDisplay,
    ),
}


def _drawn(display):
    """Make a display of numbers that are there already, and draw it."""

    @wraps(display)
    def call(ax, **numbers):
        return display(**numbers).plot(ax)

    return call


def _complete(call, arguments):
    """Add what is left to its default: it is replaced too."""
    for name, parameter in inspect.signature(call).parameters.items():
        if parameter.default is not parameter.empty:
            arguments.setdefault(name, parameter.default)
    return arguments


@covers(
    *(
        f"inspection.{name}"
        for name in (
            "Ablation",
            "Comparison",
            "EffectSizeDisplay",
            "ExposureDisplay",
            "LevelComparison",
            "ListChange",
            "NeuronExplorer",
            "PopularityAudit",
            "PopularityLiftDisplay",
            "PriceExplanation",
            "ReliabilityDisplay",
            "Specificity",
            "SteeringReport",
            "TradeOffDisplay",
            "ablate_neurons",
            "compare",
            "explain_changes",
            "explain_prices",
            "steering_report",
            "steering_specificity",
        )
    )
)
@pytest.mark.parametrize("name", sorted(CALLS))
@examples(6, times_longer=40)
@given(odd=st.sampled_from(NONSENSE), data=st.data())
def test_argument_is_taken_or_refused(name, odd, data):
    call, arguments, kind = CALLS[name]()
    _complete(call, arguments)
    if name not in _ANSWERED:
        assert isinstance(answer(call, **arguments), kind)
        _ANSWERED.add(name)
    broken = data.draw(st.sampled_from(sorted(arguments)))
    if broken in ("y", "X"):
        odd = data.draw(st.one_of(st.just(odd), bad_matrices(TRAIN.shape)))
    if broken == "ax" and odd is None:
        return  # a figure of pyplot, which somebody has to close
    result = attempt(call, **(arguments | {broken: odd}))
    if not isinstance(result, Refusal):
        assert isinstance(result, kind)
        assert str(result)


_ANSWERED: set[str] = set()


@pytest.mark.parametrize("name", sorted(CALLS))
@examples(3, times_longer=20)
@given(odd=st.sampled_from(NONSENSE))
def test_frames_of_results_refuse_other_libraries(name, odd):
    call, arguments, _ = CALLS[name]()
    if name not in _RESULTS:
        _RESULTS[name] = answer(call, **arguments)
    result = _RESULTS[name]
    if "backend" in inspect.signature(getattr(result, "to_frame", print)).parameters:
        assert isinstance(attempt(result.to_frame, odd), Refusal)
        assert len(answer(result.to_frame))


_RESULTS: dict = {}


def test_calls_are_of_public_names():
    kinds = {CALLS[name]()[2].__name__ for name in CALLS}
    assert kinds <= set(inspection.__all__)
