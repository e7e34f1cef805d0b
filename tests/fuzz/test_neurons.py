"""Neurons: scores that are defined, and selections of what is there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.sparse import issparse
from sklearn.base import clone

from skpopsteer.neurons import (
    CallableDescriber,
    ConceptMap,
    ConceptNeuronSelector,
    ConceptTable,
    ControlSelector,
    EnrichmentDescriber,
    NeuronCase,
    NeuronCases,
    NeuronInterpreter,
    NeuronSubset,
    NeuronUnion,
    PopularityNeuronSelector,
    TfidfDescriber,
    cohens_d,
    cohens_d_from_stats,
    concept_activity,
    map_concepts,
    monosemanticity,
    neuron_tfidf,
)
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.models import SELECTORS
from tests.fuzz.strategies import (
    NONSENSE,
    bad_matrices,
    bad_tables,
    dense_forms,
    generators,
    nonsense,
    shape_of,
    sparse_forms,
)

SCORES = [
    "point_biserial",
    "precision",
    "recall",
    "f1",
    "best_characterizes",
    "most_unique",
    "output_precision",
]


@st.composite
def activations(draw, n_rows=None, sparse=True):
    """Activations with silent and constant neurons, and ends of the range."""
    rng = draw(generators())
    shape = (
        draw(st.integers(1, 9)) if n_rows is None else n_rows,
        draw(st.integers(1, 7)),
    )
    kind = draw(
        st.sampled_from(["normal", "equal", "silent", "large", "small", "ones"])
    )
    Z = {
        "normal": np.abs(rng.normal(size=shape)),
        "equal": np.full(shape, 0.7),
        "silent": np.zeros(shape),
        "large": rng.random(shape) * 1e30,
        "small": rng.random(shape) * 1e-30,
        "ones": np.ones(shape),
    }[kind]
    Z = np.where(rng.random(shape) < draw(st.sampled_from([0.5, 1, 0.2])), Z, 0)
    forms = [dense_forms(Z, ("float64",))] + [sparse_forms(Z)] * sparse
    return Z, draw(st.one_of(forms))


def _has_columns(table):
    return not issparse(table) and 0 not in shape_of(table)[1:]


@covers("neurons.cohens_d")
@examples(200)
@given(drawn=activations(), rng=generators())
def test_cohens_d(drawn, rng):
    Z, form = drawn
    y = rng.integers(-1, 2, len(Z))
    if isinstance(form, list):
        form = np.array(form)
    result = attempt(cohens_d, form, y)
    head, tail = Z[y == 1], Z[y == -1]
    assert isinstance(result, Refusal) is (not len(head) or not len(tail))
    if isinstance(result, Refusal):
        return
    scores, p_values = result
    assert scores.shape == p_values.shape == (Z.shape[1],)
    assert np.isfinite(scores).all()
    assert ((p_values >= 0) & (p_values <= 1)).all()
    n_head, n_tail = len(head), len(tail)
    pooled = np.sqrt(
        (n_head * head.var(axis=0) + n_tail * tail.var(axis=0)) / (n_head + n_tail)
    )
    gap = head.mean(axis=0) - tail.mean(axis=0)
    varied = pooled > 1e-9 * np.abs(Z).max(initial=1e-300)
    assert_allclose(
        scores[varied],
        (gap / np.where(pooled > 0, pooled, 1))[varied],
        rtol=1e-5,
        # Of equal means the difference is rounding.
        atol=1e-12,
    )


@examples(120)
@given(odd=nonsense(), data=st.data())
def test_cohens_d_refuses(odd, data):
    Z, y = np.eye(4), np.array([1, 1, -1, -1])
    refusal(cohens_d, data.draw(bad_tables(4, 4).filter(_has_columns)), y)
    refusal(cohens_d, odd, y)
    refusal(cohens_d, Z, odd)
    for strange in (y[:3], y.astype(str), y[None], np.zeros(4), [[1], [1, 2]]):
        refusal(cohens_d, Z, strange)


@covers("neurons.cohens_d_from_stats")
@examples(120)
@given(
    rng=generators(),
    n=st.integers(0, 4),
    which=st.integers(0, 5),
    odd=st.sampled_from(NONSENSE),
)
def test_cohens_d_from_stats(rng, n, which, odd):
    moments = [rng.normal(size=n), rng.random(n), rng.normal(size=n), rng.random(n)]
    scores = answer(cohens_d_from_stats, *moments, 3, 5)
    assert scores.shape == (n,)
    assert np.isfinite(scores).all()
    arguments = [*moments, 3, 5]
    arguments[which] = odd
    result = attempt(cohens_d_from_stats, *arguments)
    assert isinstance(result, Refusal) or np.isfinite(result).all()


@st.composite
def labelled(draw):
    """Activations and concepts of the same rows."""
    Z, form = draw(activations())
    rng = draw(generators())
    shape = len(Z), draw(st.integers(1, 4))
    T = (rng.random(shape) < 0.5) * rng.integers(1, 5, shape).astype(float)
    T = T * draw(st.sampled_from([1.0, 0.0, 1e-30, 1e30]))
    return Z, form, T, draw(st.one_of(sparse_forms(T), dense_forms(T)))


@covers("neurons.concept_activity", "neurons.neuron_tfidf", "neurons.monosemanticity")
@examples(200)
@given(
    drawn=labelled(),
    direction=st.sampled_from(["best_characterizes", "most_unique"]),
    of=st.sampled_from(["concepts", "neurons"]),
)
def test_activity_and_what_is_made_of_it(drawn, direction, of):
    Z, form, T, concepts = drawn
    R = answer(concept_activity, form, concepts)
    total = T.sum()
    wanted = T.T @ Z / total if total else np.zeros((T.shape[1], Z.shape[1]))
    assert_allclose(R.toarray(), wanted, rtol=1e-6, atol=0)
    F = answer(neuron_tfidf, R, direction=direction)
    assert np.isfinite(F.data).all()
    assert (F.data >= 0).all()
    measures = answer(monosemanticity, F, of=of)
    held = F.toarray().sum(axis=1 if of == "concepts" else 0) > 0
    for name in ("entropy", "divergence_from_mean", "divergence_of_mean"):
        assert (np.isfinite(measures[name]) == held).all()
        assert (measures[name][held] >= -1e-6).all()


@covers("neurons.map_concepts", "neurons.ConceptMap")
@examples(200)
@given(
    drawn=labelled(),
    score_func=st.sampled_from(SCORES),
    n_neurons=st.integers(1, 9),
    min_support=st.sampled_from([1, 2, 10**30]),
    rng=generators(),
)
def test_map_concepts(drawn, score_func, n_neurons, min_support, rng):
    Z, form, T, concepts = drawn
    profiles = rng.normal(size=(Z.shape[1], len(Z)))
    table = attempt(
        map_concepts,
        form,
        concepts,
        score_func=score_func,
        n_neurons=n_neurons,
        min_support=min_support,
        item_profiles=profiles,
    )
    if isinstance(table, Refusal):
        return
    assert isinstance(table, ConceptMap)
    assert len(table) == T.shape[1]
    assert (table.n_rows == (T > 0).sum(axis=0)).all()
    for neurons, scores in zip(table.neurons, table.scores, strict=True):
        held = neurons[neurons >= 0]
        assert len(set(held.tolist())) == len(held) <= n_neurons
        assert (held < Z.shape[1]).all()
        assert (np.diff(scores[neurons >= 0]) <= 0).all()
        assert np.isfinite(scores[neurons >= 0]).all()
    assert str(table)
    assert table._repr_html_()
    answer(table.shared_neurons)


@examples(200)
@given(drawn=labelled(), odd=nonsense(), data=st.data())
def test_concept_functions_refuse(drawn, odd, data):
    Z, form, T, concepts = drawn
    strange = data.draw(bad_matrices(Z.shape))
    refusal(concept_activity, strange, concepts)
    refusal(concept_activity, form, data.draw(bad_matrices(T.shape)))
    refusal(neuron_tfidf, strange)
    refusal(neuron_tfidf, Z, direction=odd)
    refusal(monosemanticity, strange)
    refusal(monosemanticity, Z, of=odd)
    refusal(map_concepts, strange, concepts)
    for name in (
        "names",
        "score_func",
        "n_neurons",
        "min_support",
        "rows",
        "item_profiles",
    ):
        if not (callable(odd) and name == "score_func"):
            attempt(map_concepts, form, concepts, **{name: odd})
    attempt(neuron_tfidf, odd)
    attempt(monosemanticity, odd)
    attempt(monosemanticity, Z, epsilon=odd)


@covers(
    "neurons.PopularityNeuronSelector",
    "neurons.ConceptNeuronSelector",
    "neurons.NeuronSubset",
    "neurons.NeuronUnion",
    "neurons.ControlSelector",
)
@pytest.mark.parametrize("name", sorted(SELECTORS))
@examples(40)
@given(drawn=activations(), rng=generators(), popularity=st.booleans())
def test_selectors(name, drawn, rng, popularity):
    Z, form = drawn
    y = rng.integers(0, 50, len(Z)) if popularity else rng.integers(-1, 2, len(Z))
    y = np.abs(y) if "Concept" in name else y
    selector = clone(SELECTORS[name])
    if isinstance(attempt(selector.fit, form, y), Refusal):
        return
    weights, support = selector.steering_weights_, selector.get_support()
    assert weights.shape == support.shape == (Z.shape[1],)
    assert np.isfinite(weights).all()
    assert (weights[~support] == 0).all()
    if support.any():
        kept = answer(selector.transform, form)
        kept = kept.toarray() if issparse(kept) else np.asarray(kept)
        assert_allclose(kept, Z[:, support], rtol=1e-6)
    again = clone(selector).fit(form, y)
    assert_allclose(again.steering_weights_, weights)


@pytest.mark.parametrize("name", sorted(SELECTORS))
@examples(15)
@given(odd=nonsense(), data=st.data())
def test_selectors_refuse(name, odd, data):
    Z, y = np.eye(4, 3) + 0.5, np.array([1, 1, -1, -1])
    y = np.abs(y) if "Concept" in name else y
    bad = data.draw(bad_tables(4, 3).filter(lambda t: not issparse(t)))
    # Some read the number of columns only, and some do not square.
    attempt(clone(SELECTORS[name]).fit, bad, y)
    attempt(clone(SELECTORS[name]).fit, odd, y)
    attempt(clone(SELECTORS[name]).fit, Z, odd)


NEURON_LISTS = [
    [0],
    [0, 0],
    [2],
    [3],
    [-1],
    [0.0],
    ["0"],
    [True],
    [None],
    [10**30],
    {0: 1},
    {0: "x"},
    {0: float("nan")},
    {0: float("inf")},
    {0: 10**400},
    {-1: 1},
    {"0": 1},
    {},
    [],
    np.array(0),
    np.array([0]),
    np.array([[0]]),
    np.array([True]),
    np.array([0.5]),
    [[0]],
]


@examples(80)
@given(neurons=st.sampled_from(NEURON_LISTS))
def test_neuron_subset(neurons):
    fitted = attempt(NeuronSubset(neurons).fit, np.eye(4, 3))
    if not isinstance(fitted, Refusal):
        assert np.isfinite(fitted.steering_weights_).all()
        named = {int(n) for n in neurons}
        assert named <= {0, 1, 2}


@examples(60)
@given(odd=nonsense(), data=st.data())
def test_unions_and_controls_refuse(odd, data):
    Z, y = np.eye(4, 3), np.array([1, 1, -1, -1])
    first = ("first", NeuronSubset([0]))
    selectors = data.draw(
        st.sampled_from(
            [
                odd,
                [odd],
                [("a", odd)],
                [(odd, NeuronSubset([0]))],
                [first, first],
                [("a__b", NeuronSubset([0]))],
                [("strengths", NeuronSubset([0]))],
                [("u", NeuronUnion([first]))],
                [("",)],
                [first[1]],
            ]
        )
    )
    attempt(NeuronUnion(selectors).fit, Z, y)
    for strengths in ({"x": 1.0}, {"first": odd}, odd):
        result = attempt(NeuronUnion([first], strengths=strengths).fit, Z, y)
        assert (
            isinstance(result, Refusal) or np.isfinite(result.steering_weights_).all()
        )
    attempt(ControlSelector(odd).fit, Z, y)
    refusal(ControlSelector(NeuronUnion([first])).fit, Z, y)


@examples(100)
@given(
    drawn=labelled(),
    concept=st.sampled_from([*NONSENSE, "0", 0, [0], ["0", 1], -1, 99]),
    score_func=st.sampled_from(SCORES),
    names=st.sampled_from([None, *NONSENSE]),
)
def test_concept_selector(drawn, concept, score_func, names):
    Z, form, _T, concepts = drawn
    selector = ConceptNeuronSelector(concept, score_func=score_func)
    fitted = attempt(selector.fit, form, concepts, feature_names=names)
    if not isinstance(fitted, Refusal):
        assert fitted.steering_weights_.shape == (Z.shape[1],)
        assert np.isfinite(fitted.steering_weights_).all()


@examples(60)
@given(
    drawn=activations(n_rows=12),
    rng=generators(),
    score_func=st.sampled_from(
        ["score_correlation", "score_omp", "score_lasso", "no such"]
    ),
    odd=nonsense(),
)
def test_popularity_selector_in_score_space(drawn, rng, score_func, odd):
    Z, form = drawn
    profiles, target = rng.normal(size=(Z.shape[1], 6)), rng.normal(size=6)
    selector = PopularityNeuronSelector(score_func, n_neurons_to_select=2)
    fitted = attempt(selector.fit, form, item_profiles=profiles, item_target=target)
    if not isinstance(fitted, Refusal):
        assert np.isfinite(fitted.steering_weights_).all()
    attempt(selector.fit, form, item_profiles=odd, item_target=target)
    attempt(selector.fit, form, item_profiles=profiles, item_target=odd)
    attempt(selector.fit, form, activations=odd)


DESCRIBERS = {
    "enrichment": EnrichmentDescriber,
    "tfidf": TfidfDescriber,
    "callable": lambda: CallableDescriber(
        lambda cases: "x", lambda concept, cases: [9] * len(cases)
    ),
}


@covers(
    "neurons.NeuronInterpreter",
    "neurons.EnrichmentDescriber",
    "neurons.TfidfDescriber",
    "neurons.CallableDescriber",
    "neurons.NeuronCase",
    "neurons.NeuronCases",
    "neurons.ConceptTable",
)
@pytest.mark.parametrize("describer", sorted(DESCRIBERS))
@examples(12)
@given(
    drawn=activations(n_rows=30),
    rng=generators(),
    titled=st.booleans(),
    featured=st.booleans(),
)
def test_interpreter(describer, drawn, rng, titled, featured):
    Z, form = drawn
    items = rng.integers(-1, 9, 30)
    seen = []

    def describe(cases):
        seen.append(cases)
        return "x"

    made = DESCRIBERS[describer]()
    if describer == "callable":
        made = CallableDescriber(describe, lambda concept, cases: [9] * len(cases))
    interpreter = NeuronInterpreter(describer=made, n_cases=2, random_state=0)
    fitted = attempt(
        interpreter.fit_activations,
        form,
        items,
        item_titles=[f"title {i}" for i in range(9)] if titled else None,
        item_features=rng.integers(0, 2, (9, 3)) if featured else None,
    )
    if isinstance(fitted, Refusal):
        return
    assert isinstance(fitted.concepts_, ConceptTable)
    assert len(fitted.concepts_) == Z.shape[1]
    for name in ("confidence_", "recall_", "specificity_", "auc_", "chance_"):
        values = getattr(fitted, name)
        known = values[~np.isnan(values)]
        assert ((known >= 0) & (known <= 1)).all()
    for cases in seen:
        assert all(isinstance(case, NeuronCase) for case in cases)


@examples(80)
@given(
    odd=nonsense(),
    items=st.sampled_from([*NONSENSE, [0] * 11, [-2] * 12, [2**62] * 12]),
)
def test_interpreter_refuses(odd, items):
    Z = np.eye(12, 3)
    good = np.arange(12) % 4
    interpreter = NeuronInterpreter(n_cases=2, random_state=0)
    features = np.eye(4)
    refusal(interpreter.fit_activations, odd, good, item_features=features)
    attempt(interpreter.fit_activations, Z, items, item_features=features)
    for name in ("item_features", "item_titles", "item_popularity"):
        arguments = {"item_features": features} | {name: odd}
        attempt(interpreter.fit_activations, Z, good, **arguments)


class _Keeper:
    """A describer of one's own, which keeps what it is shown."""

    def __init__(self):
        self.seen = []

    def describe(self, cases):
        self.seen.append(cases)
        return "x"

    def predict(self, concept, cases):
        self.seen.append(cases)
        return [5] * len(cases)


@examples(20)
@given(drawn=activations(n_rows=30), rng=generators())
def test_own_describers_see_cases(drawn, rng):
    _, form = drawn
    keeper = _Keeper()
    interpreter = NeuronInterpreter(describer=keeper, n_cases=2, random_state=0)
    titles = [f"title {i}" for i in range(9)]
    attempt(
        interpreter.fit_activations, form, rng.integers(-1, 9, 30), item_titles=titles
    )
    for cases in keeper.seen:
        assert isinstance(cases, NeuronCases)
        assert len(list(cases)) == len(cases)
