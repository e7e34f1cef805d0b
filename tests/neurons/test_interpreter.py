"""The dictionary of concepts on activations: planted answers, chance, bad input."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csc_matrix, csr_array
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import check_param_validation

from skpopsteer.neurons import (
    CallableDescriber,
    EnrichmentDescriber,
    NeuronInterpreter,
)
from skpopsteer.sae import SparseAutoencoderProbe

N_ROWS, N_ITEMS, N_GENRES = 3000, 400, 12
NAMES = [f"genre {g:02d}" for g in range(N_GENRES)]
FEW_ITEMS = "`which_item` must show at least"


@pytest.fixture(scope="module")
def genres():
    """One to three genres an item, of unequal frequency."""
    rng = np.random.default_rng(0)
    frequency = np.linspace(1, 3, N_GENRES)
    table = np.zeros((N_ITEMS, N_GENRES))
    for item in range(N_ITEMS):
        size = rng.integers(1, 4)
        table[item, rng.choice(N_GENRES, size, False, frequency / frequency.sum())] = 1
    return table


@pytest.fixture(scope="module")
def items():
    rng = np.random.default_rng(1)
    appeal = 1 / np.arange(1, N_ITEMS + 1) ** 0.6
    return rng.choice(N_ITEMS, N_ROWS, p=appeal / appeal.sum())


@pytest.fixture(scope="module")
def planted(genres, items):
    """Neuron g fires where the item is of genre g, and the last one never."""
    rng = np.random.default_rng(2)
    Z = genres[items] * rng.lognormal(size=(N_ROWS, N_GENRES))
    return np.hstack([Z, np.zeros((N_ROWS, 1))])


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(3)
    return csr_array(
        np.where(rng.random((N_ROWS, 1200)) < 0.03, rng.random((N_ROWS, 1200)), 0)
    )


def interpret(Z, items, genres, **params):
    return NeuronInterpreter(random_state=0, **params).fit_activations(
        Z, items, item_features=(genres, NAMES)
    )


def test_planted_concepts_are_found(planted, items, genres):
    interpreter = interpret(planted, items, genres)
    confidence = interpreter.confidence_[:N_GENRES]
    assert confidence.mean() > 0.95
    assert interpreter.interpretable_[:N_GENRES].all()
    for genre, name in enumerate(NAMES):
        assert interpreter.concepts_["attributes"][genre][0] == name
        assert interpreter.labels_[genre].split(", ")[0] == name
    assert interpreter.interpretable_share_ == 1.0
    assert interpreter.null_interpretable_share_ < 0.3


def test_planted_concepts_are_found_in_titles(planted, items, genres):
    rng = np.random.default_rng(0)
    words = [f"word{g}" for g in range(N_GENRES)]
    titles = [
        " ".join([*(words[g] for g in np.flatnonzero(row)), f"x{rng.integers(10**6)}"])
        for row in genres
    ]
    interpreter = NeuronInterpreter(describer="tfidf", random_state=0)
    interpreter.fit_activations(planted, items, item_titles=titles)
    assert interpreter.confidence_[:N_GENRES].mean() > 0.9
    for genre, word in enumerate(words):
        assert interpreter.labels_[genre].split(", ")[0] == word


def test_a_silent_neuron_is_unverified(planted, items, genres):
    interpreter = interpret(planted, items, genres)
    row = interpreter.concepts_[N_GENRES]
    assert (row["status"], row["reason"]) == ("unverified", "never fires")
    assert (row["n_active"], row["label"], row["attributes"]) == (0, "", ())
    assert np.isnan(interpreter.confidence_[N_GENRES])
    assert N_GENRES not in interpreter.labels_
    assert not interpreter.interpretable_[N_GENRES]


def test_too_few_cases_are_unverified_and_not_scored(planted, items, genres):
    Z = planted.copy()
    (active,) = np.nonzero(Z[:, 0])
    Z[active[15:], 0] = 0
    interpreter = interpret(Z, items, genres)
    row = interpreter.concepts_[0]
    assert (row["status"], row["reason"]) == ("unverified", "9 of 10 active rows")
    for name in "confidence", "recall", "specificity", "auc", "null_confidence":
        assert np.isnan(row[name])
        assert np.isnan(getattr(interpreter, f"{name}_")[0])
    # The share is that of the verified neurons.
    assert interpreter.interpretable_share_ == 1.0


@pytest.mark.parametrize("describer", ["enrichment", "tfidf"])
@pytest.mark.parametrize("distinct_items", [True, False])
def test_noise_is_at_chance(noise, items, genres, describer, distinct_items):
    interpreter = interpret(
        noise, items, genres, describer=describer, distinct_items=distinct_items
    )
    for confidence in interpreter.confidence_, interpreter.null_confidence_:
        assert np.isfinite(confidence).sum() > 1000
        assert np.nanmean(confidence) == pytest.approx(0.5, abs=0.02)
    assert interpreter.interpretable_share_ < 0.08
    assert interpreter.null_interpretable_share_ < 0.08


def test_permuted_descriptions_are_at_chance(items, genres):
    """Neurons with meaning, 1,000 of them; tried on another, a description has none."""
    rng = np.random.default_rng(4)
    genre = rng.integers(N_GENRES, size=1000)
    strength = rng.random((N_ROWS, 1000)) * (0.2 + genres[items][:, genre])
    Z = np.where(strength > np.quantile(strength, 0.97, axis=0), strength, 0)
    interpreter = interpret(Z, items, genres)
    assert np.nanmean(interpreter.null_confidence_) == pytest.approx(0.5, abs=0.02)
    assert interpreter.null_interpretable_share_ < 0.08 + 1 / N_GENRES
    assert interpreter.interpretable_share_ > 0.8


def test_a_constant_answer_has_exactly_half(noise, items, genres):
    describer = CallableDescriber(lambda cases: "nothing", lambda concept, case: 0)
    interpreter = interpret(noise, items, genres, describer=describer)
    verified = interpreter.concepts_["status"] == "verified"
    assert verified.sum() > 1000
    assert_array_equal(interpreter.confidence_[verified], 0.5)
    assert_array_equal(interpreter.null_confidence_[verified], 0.5)
    assert interpreter.interpretable_share_ == 0


def test_a_toss_up_reaches_the_threshold_as_often_as_chance_says(noise, items, genres):
    rng = np.random.default_rng(0)
    describer = CallableDescriber(
        lambda cases: "?", lambda concept, case: 10 * rng.integers(2)
    )
    interpreter = interpret(noise, items, genres, describer=describer)
    assert interpreter.chance_share_ == pytest.approx(0.0547, abs=1e-4)
    # 1,200 neurons: a deviation of .0066.
    assert interpreter.interpretable_share_ == pytest.approx(0.0547, abs=0.02)
    assert interpreter.null_interpretable_share_ == pytest.approx(0.0547, abs=0.02)


def test_what_a_description_is_made_of_is_not_what_it_is_checked_on(
    planted, items, genres
):
    shown, asked = {}, {}

    def describe(cases):
        shown[len(shown)] = {(case.row, case.item) for case in cases}
        return len(shown) - 1

    def predict(concept, case):
        assert case.level is None
        asked.setdefault(concept, set()).add((case.row, case.item))
        return 0

    interpret(
        planted,
        items,
        genres,
        describer=CallableDescriber(describe, predict),
        n_permutations=0,
    )
    assert len(shown) == N_GENRES
    for concept, cases in shown.items():
        assert len(cases) == len(asked[concept]) == 10
        assert not {row for row, _ in cases} & {row for row, _ in asked[concept]}
        assert not {item for _, item in cases} & {item for _, item in asked[concept]}


def test_a_null_concept_is_tried_on_another_neuron(planted, items, genres):
    """The rows of the null are verification rows, but never the concept's own."""
    asked = {}

    def predict(concept, case):
        asked.setdefault(concept, []).append(case.row)
        return 0

    names = iter(range(10**6))
    describer = CallableDescriber(lambda cases: next(names), predict)
    interpret(planted, items, genres, describer=describer, n_permutations=3)
    own = {concept: set(rows[:10]) for concept, rows in asked.items()}
    for concept, rows in asked.items():
        assert len(rows) == 40
        others = [set(rows[start : start + 10]) for start in (10, 20, 30)]
        owners = [[c for c in own if own[c] == other] for other in others]
        assert all(len(found) == 1 for found in owners)
        assert concept not in [found[0] for found in owners]
        assert len({found[0] for found in owners}) == 3


def test_cases_to_predict_come_in_random_order(planted, items, genres):
    firsts = []

    class Recorder:
        def describe(self, cases):
            return "x"

        def predict(self, concept, cases):
            firsts.append(planted[[case.row for case in cases]] > 0)
            return np.zeros(len(cases))

    interpret(planted, items, genres, describer=Recorder(), n_permutations=0)
    # Neuron i is the i-th; were active rows first, all five would fire.
    in_front = [fires[:5, i].sum() for i, fires in enumerate(firsts)]
    assert min(in_front) < 5
    assert 1.5 < np.mean(in_front) < 3.5


def test_a_describer_never_meets_activations_before_the_verification(planted, items):
    class Curious:
        def fit(self, shown):
            held = vars(shown).values()
            assert not any(getattr(a, "shape", ())[1:] == (13,) for a in held)
            self.shown = shown

        def describe(self, cases):
            return "x"

        def predict(self, concept, cases):
            assert cases.levels is None
            return np.zeros(len(cases))

    curious = Curious()
    NeuronInterpreter(describer=curious).fit_activations(planted, items)
    assert_array_equal(curious.shown.items, items)


def test_failures_of_one_neuron_leave_the_others(planted, items, genres):
    answers = iter(range(N_GENRES))

    def describe(cases):
        neuron = next(answers)
        if neuron == 1:
            raise ConnectionError("no route")
        return {2: None, 3: "  ", 4: "fails later", 5: "says nothing"}.get(neuron, "ok")

    def predict(concept, case):
        if concept == "fails later":
            raise KeyError("x")
        return "high" if concept == "says nothing" else len(case.attributes)

    interpreter = NeuronInterpreter(
        describer=CallableDescriber(describe, predict), random_state=0
    )
    with pytest.warns(UserWarning, match=r"5 failures, first for neuron 1: Connection"):
        interpreter.fit_activations(planted, items, item_features=genres)
    table = interpreter.concepts_
    failed = [1, 2, 3, 4, 5]
    assert table["status"][failed].tolist() == ["error"] * 5
    assert table["reason"][1] == "ConnectionError: no route"
    assert "got nothing" in table["reason"][2]
    assert "got nothing" in table["reason"][3]
    assert table["reason"][4] == "KeyError: 'x'"
    assert table["reason"][5] == "no usable prediction"
    assert np.isnan(interpreter.confidence_[failed]).all()
    assert np.isnan(interpreter.null_confidence_[failed]).all()
    others = [0, *range(6, N_GENRES)]
    assert table["status"][others].tolist() == ["verified"] * len(others)
    assert np.isfinite(interpreter.null_confidence_[others]).all()
    assert sorted(interpreter.labels_) == others


def test_missing_predictions_lower_no_figure_and_raise_the_chance(
    planted, items, genres
):
    """Level 0 for every other case and nothing for the rest: specificity stays 1."""
    turn = iter(range(10**6))
    describer = CallableDescriber(
        lambda cases: "x", lambda concept, case: (0, None)[next(turn) % 2]
    )
    interpreter = interpret(planted, items, genres, describer=describer)
    verified = interpreter.concepts_["status"] == "verified"
    assert verified.sum() >= 10
    assert_array_equal(interpreter.specificity_[:13][verified], 1)
    assert_array_equal(interpreter.confidence_[:13][verified], 0.5)
    assert (interpreter.chance_[:13][verified] > 0.06).all()


def test_a_wrong_number_of_predictions_is_an_error(planted, items):
    class Short:
        def describe(self, cases):
            return "x"

        def predict(self, concept, cases):
            return [1.0]

    with pytest.warns(UserWarning, match="must return one level per case"):
        NeuronInterpreter(describer=Short()).fit_activations(planted, items)


def test_a_describer_of_ones_own_needs_two_methods_only(planted, items, genres):
    class First:
        def describe(self, cases):
            active = cases.items[cases.levels > 0]
            return int(genres[active].sum(axis=0).argmax())

        def predict(self, concept, cases):
            return 10 * genres[cases.items, concept]

    interpreter = interpret(planted, items, genres, describer=First())
    assert interpreter.labels_[3] == "3"
    assert interpreter.confidence_[:N_GENRES].mean() > 0.9


def test_labels_fit_a_probe(planted, items, genres):
    interpreter = interpret(planted, items, genres)
    probe = SparseAutoencoderProbe(13, k=2, max_iter=1, random_state=0)
    probe.fit(np.random.default_rng(0).normal(size=(50, 4)))
    probe.label_neurons(interpreter.labels_)
    assert probe.get_feature_names_out()[5].startswith("genre 05")


def test_the_same_seed_gives_the_same_table(planted, items, genres):
    frames = [interpret(planted, items, genres).concepts_.to_frame() for _ in range(2)]
    pd.testing.assert_frame_equal(*frames)
    other = NeuronInterpreter(random_state=1).fit_activations(
        planted, items, item_features=(genres, NAMES)
    )
    assert not frames[0].equals(other.concepts_.to_frame())


@pytest.mark.parametrize("describer", ["enrichment", "tfidf"])
def test_a_fitted_interpreter_can_be_pickled(planted, items, genres, describer):
    interpreter = interpret(planted, items, genres, describer=describer)
    loaded = pickle.loads(pickle.dumps(interpreter))
    pd.testing.assert_frame_equal(
        loaded.concepts_.to_frame(), interpreter.concepts_.to_frame()
    )


def test_a_frozen_probe_survives_a_clone():
    probe = SparseAutoencoderProbe(4, k=2, max_iter=1, random_state=0)
    probe.fit(np.random.default_rng(0).normal(size=(20, 3)))
    copy = clone(NeuronInterpreter(probe=FrozenEstimator(probe)))
    assert copy.probe.transform(np.ones((1, 3))).shape == (1, 4)


def test_the_callers_arrays_stay_as_they_are(planted, items, genres):
    Z, features = csr_array(planted), csr_array(genres)
    # A zero that is stored, and a negative value, must stay as well.
    Z.data[:2] = [0.0, -1.0]
    titles = np.array(["x"] * N_ITEMS, dtype=object)
    held = [Z.data, Z.indices, Z.indptr, features.data, items, titles]
    before = [array.copy() for array in held]
    NeuronInterpreter(random_state=0).fit_activations(
        Z, items, item_features=features, item_titles=titles
    )
    for array, copy in zip(held, before, strict=True):
        assert_array_equal(array, copy)


@pytest.mark.parametrize("form", [csr_array, csc_matrix, pd.DataFrame, np.float32])
def test_activations_come_in_any_form(planted, items, genres, form):
    expected = interpret(planted.astype(np.float32), items, genres).confidence_
    given = interpret(form(planted.astype(np.float32)), items, genres)
    assert_array_equal(given.confidence_, expected)


def test_negative_activations_do_not_fire(planted, items, genres):
    below = np.where(planted > 0, planted, -1.0)
    expected = interpret(planted, items, genres).concepts_
    given = interpret(below, items, genres).concepts_
    assert_array_equal(given["n_active"], expected["n_active"])
    assert_array_equal(given["confidence"], expected["confidence"])


@pytest.mark.parametrize(
    "form",
    [
        lambda g: g,
        lambda g: csr_array(g),
        lambda g: (csr_array(g), NAMES),
        lambda g: dict(zip(NAMES, g.T, strict=True)),
        lambda g: pd.DataFrame(g, columns=NAMES),
        lambda g: pl.DataFrame(dict(zip(NAMES, g.T, strict=True))),
        lambda g: 7 * g,
        lambda g: g.tolist(),
    ],
)
def test_features_come_in_any_form(planted, items, genres, form):
    interpreter = NeuronInterpreter(random_state=0)
    interpreter.fit_activations(planted, items, item_features=form(genres))
    expected = interpret(planted, items, genres)
    assert_array_equal(interpreter.confidence_, expected.confidence_)


def test_rows_without_an_item_are_left_out(planted, items, genres):
    missing = np.arange(N_ROWS) % 3 == 0
    Z = planted.copy()
    Z[missing] = 9.0
    partly = interpret(Z, np.where(missing, -1, items), genres)
    n_active = (planted[~missing] > 0).sum(axis=0)
    assert_array_equal(partly.concepts_["n_active"], n_active)
    assert partly.confidence_[:N_GENRES].mean() > 0.9
    # Rows keep the numbers they have in Z.
    rows = []
    describer = CallableDescriber(
        lambda cases: rows.extend(case.row for case in cases) or "x", lambda c, case: 0
    )
    interpret(Z, np.where(missing, -1, items), genres, describer=describer)
    assert not missing[rows].any()


def test_only_the_neurons_asked_for_are_interpreted(planted, items, genres):
    everything = interpret(planted, items, genres)
    some = interpret(planted, items, genres, neurons=[7, 2])
    assert some.concepts_["neuron"].tolist() == [2, 7]
    assert len(some.confidence_) == some.n_neurons_ == N_GENRES + 1
    assert np.flatnonzero(np.isfinite(some.confidence_)).tolist() == [2, 7]
    assert_array_equal(some.confidence_[[2, 7]], everything.confidence_[[2, 7]])
    assert sorted(some.labels_) == [2, 7]


def test_one_neuron_alone_has_nothing_to_be_permuted_with(planted, items, genres):
    interpreter = interpret(planted, items, genres, neurons=[2])
    assert interpreter.confidence_[2] > 0.8
    assert np.isnan(interpreter.null_interpretable_share_)
    assert np.isnan(interpreter.null_confidence_[2])


def test_items_without_text_or_attributes_are_fine(planted, items, genres):
    bare = genres.copy()
    bare[::3] = 0
    titles = np.full(N_ITEMS, "", dtype=object)
    titles[::7] = "a title"
    titles[1], titles[2], titles[4] = None, np.nan, pd.NA
    for describer in "enrichment", "tfidf":
        interpreter = NeuronInterpreter(describer=describer, random_state=0)
        interpreter.fit_activations(
            planted, items, item_features=bare, item_titles=titles
        )
        assert np.nanmean(interpreter.confidence_) > 0.6
    cases = []
    describer = CallableDescriber(lambda c: cases.extend(c) or "x", lambda c, case: 0)
    NeuronInterpreter(describer=describer).fit_activations(
        planted, items, item_titles=titles
    )
    assert {case.title for case in cases} == {"", "a title"}
    assert {case.attributes for case in cases} == {()}


def test_matching_takes_the_popularity_it_is_given(planted, items, genres):
    def confidence(item_popularity):
        interpreter = NeuronInterpreter(match_popularity=True, random_state=0)
        interpreter.fit_activations(
            planted, items, item_features=genres, item_popularity=item_popularity
        )
        return interpreter.confidence_[:N_GENRES]

    counts = np.bincount(items, minlength=N_ITEMS)
    assert_array_equal(confidence(counts), confidence(None))
    assert (confidence(counts[::-1]) != confidence(None)).any()


def test_few_items_are_warned_of_where_the_caller_stands(planted):
    items = np.arange(N_ROWS) % 30
    features = np.eye(N_GENRES)[np.arange(30) % N_GENRES]
    with pytest.warns(UserWarning, match=rf"{FEW_ITEMS} 100 .* got 30") as caught:
        interpreter = NeuronInterpreter(random_state=0).fit_activations(
            planted, items, item_features=features
        )
    assert caught[0].filename == __file__
    assert interpreter.n_distinct_items_ == 30


def test_the_describer_is_cloned_not_changed(planted, items, genres):
    describer = EnrichmentDescriber(max_attributes=1)
    interpreter = interpret(planted, items, genres, describer=describer)
    assert not hasattr(describer, "base_rates_")
    assert interpreter.describer_.base_rates_.shape == (N_GENRES,)
    assert interpreter.labels_[4] == "genre 04"


# The table


def test_the_table_prints_the_best_first_and_the_shares_below(planted, items, genres):
    interpreter = interpret(planted, items, genres)
    lines = str(interpreter.concepts_).splitlines()
    assert lines[0].split()[:3] == ["neuron", "label", "n_active"]
    printed = [float(line.split()[-7]) for line in lines[2:14]]
    assert len(printed) == 12
    assert "unverified" in lines[14]
    assert lines[-1].startswith("12 of 12 verified neurons (13 in all)")
    assert "By chance 5.5%, with permuted descriptions" in lines[-1]
    assert lines[-1].endswith(f"{interpreter.n_distinct_items_} different items.")


def test_a_long_table_is_cut_and_long_labels_too(noise, items, genres):
    describer = CallableDescriber(lambda cases: "x" * 99, lambda concept, case: 0)
    text = str(
        interpret(noise[:, :30], items, genres, describer=describer).concepts_
    ).splitlines()
    assert len(text) == 2 + 20 + 1 + 1
    assert text[-2] == "... 10 more, of lower confidence or unverified"
    assert f" {'x' * 27}... " in text[3]


def test_the_table_shows_as_html_with_text_escaped(planted, items, genres):
    describer = CallableDescriber(lambda cases: "<b>", lambda concept, case: 0)
    table = interpret(planted, items, genres, describer=describer).concepts_
    html = table._repr_html_()
    assert "<td>&lt;b&gt;</td>" in html
    assert html.count("<tr>") == 14


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_the_table_becomes_a_frame(planted, items, genres, backend):
    table = interpret(planted, items, genres).concepts_
    frame = table.to_frame(backend)
    assert list(frame.columns) == [
        "neuron", "label", "attributes", "n_active", "confidence", "recall",
        "specificity", "auc", "chance", "null_confidence", "interpretable", "status",
        "reason",
    ]  # fmt: skip
    assert len(frame) == len(table) == 13
    assert frame["label"].to_list() == table["label"].tolist()
    assert next(iter(frame["attributes"][3])) == "genre 03"
    # Frames are the caller's: changing one leaves the table.
    assert table["attributes"][3][0] == "genre 03"


def test_the_table_is_read_by_column_and_by_neuron(planted, items, genres):
    table = interpret(planted, items, genres).concepts_
    assert table[3]["n_active"] == (planted[:, 3] > 0).sum()
    assert table[np.int64(3)]["label"] == table["label"][3]
    with pytest.raises(KeyError, match="`key` must be a neuron of the table; got 99"):
        table[99]
    with pytest.raises(KeyError, match="a neuron or one of neuron, label, attributes"):
        table["precision"]


# Bad input


def test_every_parameter_is_validated():
    check_param_validation("NeuronInterpreter", NeuronInterpreter())


@pytest.mark.parametrize("neurons", [[99], [-1], [0.5], [], [[1]], [True]])
def test_unknown_neurons_are_refused(planted, items, genres, neurons):
    with pytest.raises(ValueError, match="`neurons` must be positions of neurons"):
        interpret(planted, items, genres, neurons=neurons)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": np.zeros(5, dtype=int)}, "`items` must hold one integer item pos"),
        ({"items": np.zeros(N_ROWS)}, "`items` must hold one integer item position"),
        ({"items": np.full(N_ROWS, -2)}, "`items` must be item positions, or -1"),
        ({"items": np.full(N_ROWS, -1)}, "`items` must stand for at least one row"),
        ({"items": np.full(N_ROWS, 999)}, "known items, 0 to 399; got 999"),
        ({"item_titles": ["a", "b"]}, "one row per item .2.|known items, 0 to 1"),
        ({"item_titles": np.zeros((N_ITEMS, 2))}, "`item_titles` must hold one text"),
        ({"item_features": None}, "`item_features` must be given for the describer"),
        ({"item_popularity": [-1.0] * N_ITEMS}, "`item_popularity` must hold finite"),
        ({"item_popularity": 3}, "`item_popularity` must be a 1-D array"),
        ({"Z": np.full((N_ROWS, 2), np.nan)}, "NaN"),
    ],
)
def test_bad_arguments_are_named(planted, items, genres, change, message):
    arguments = {"Z": planted, "items": items, "item_features": genres, **change}
    with pytest.raises(ValueError, match=message):
        NeuronInterpreter().fit_activations(**arguments)
