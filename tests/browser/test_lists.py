"""The lists of the page are those of ``recommend``, in every form of steering."""

import itertools
import json

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA

from skpopsteer import (
    ArrayRecommender,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.inspection import _explorer_offsets
from skpopsteer.inspection._explorer import NeuronExplorer
from skpopsteer.metrics import gini, ndcg, tail_share
from tests.browser import models
from tests.browser.conftest import wait
from tests.browser.models import X, Y, fitted, lists_with_neurons, union
from tests.hosts import HOSTS

#: Scores this close, as a share of the largest, count as equal: float32 decides them.
ROUNDING = 1e-5


def variant(activation, **params):
    return SparseAutoencoderProbe(
        48, k=6, max_iter=8, random_state=0, activation=activation, **params
    )


class Niche(BaseEstimator):
    """A strength per user that a callable makes: it compares all rows."""

    def __call__(self, rows):
        lengths = np.diff(rows.indptr)
        return lengths / lengths.mean() - 0.3


#: Name: parameters of the model. Strengths that move lists in each.
FORMS = {
    "shift": {},
    "shift, replaced": {"reconstruction": "replace"},
    "shift, top kept": {"keep_top": 3},
    "shift, own strength of unpopular": {"unpopular_strength": 0.4, "strength": 0.5},
    "shift, strength by taste": {"user_strength": "profile"},
    "shift, strength by function": {"user_strength": Niche()},
    "shift, bias of items": {"with_bias": True},
    "shift, replaced, bias, top": {
        "with_bias": True, "reconstruction": "replace", "keep_top": 2,
    },
    "shift, refined": {
        "probe": variant("topk", refine=2), "reconstruction": "replace",
    },
    "shift, thresholds": {"probe": variant("jumprelu")},
    "shift, one threshold": {"probe": variant("batch_topk")},
    "shift, relu": {"probe": variant("relu"), "reconstruction": "replace"},
    "shift, rows standardised": {"probe": variant("topk", standardize_rows=True)},
    "shift, cosine, replaced": {
        "probe": variant("topk", loss="cosine"), "reconstruction": "replace",
    },
    "shift, cosine of standardised, replaced": {
        "probe": variant("topk", loss="cosine", standardize_rows=True),
        "reconstruction": "replace",
    },
    "shift, principal components": {"probe": PCA(6, random_state=0)},
    "add": {"rule": "add"},
    "add, replaced": {"rule": "add", "reconstruction": "replace"},
    "scale": {"rule": "scale"},
    "clamp": {"rule": "clamp", "strength": 0.6},
    "interpolate": {"rule": "interpolate", "strength": 0.3},
    "multiply": {"rule": "multiply"},
    "hold": {"rule": "hold", "strength": 0.2},
    "hold, replaced": {"rule": "hold", "reconstruction": "replace"},
    "items, shift": {"side": "item"},
    "items, scale": {"side": "item", "rule": "scale", "strength": 2.0},
    "items, scale, replaced": {
        "side": "item", "rule": "scale", "reconstruction": "replace",
    },
    "items, add, standardised": {
        "side": "item", "rule": "add",
        "probe": variant("topk", standardize_rows=True),
    },
    "items, hold": {"side": "item", "rule": "hold", "strength": 0.3},
    "items, interpolate": {"side": "item", "rule": "interpolate", "strength": 0.3},
    "items, clamp, by taste": {
        "side": "item", "rule": "clamp", "user_strength": "profile", "strength": 0.7,
    },
    "items, offset": {"side": "item", "rule": "offset"},
    "items, offset, by function": {
        "side": "item", "rule": "offset", "user_strength": Niche(),
    },
    "items, offset, own strength of unpopular": {
        "side": "item", "rule": "offset", "unpopular_strength": 0.4, "strength": 0.5,
    },
    "as the model chooses": {"side": None, "rule": None},
    "as the model chooses, the autoencoder too": {
        "side": None, "rule": None, "probe": None,
    },
    "items, offset, by taste, top": {
        "side": "item", "rule": "offset", "keep_top": 2,
        "user_strength": "profile", "with_bias": True,
    },
    "both, scale": {
        "side": "both", "rule": "scale", "item_strength": 0.6, "with_bias": True,
    },
    "both, shift, by taste": {"side": "both", "user_strength": "profile"},
}  # fmt: skip


def lists_of_page(page, knobs, neurons=None):
    script = "return JSON.stringify(neuronExplorer.lists(...JSON.parse(arguments[0])))"
    return np.array(
        json.loads(page.execute_script(script, json.dumps([knobs, neurons or {}])))
    )


def require_same(model, rows, page_lists, lists, scores_of):
    """Lists are equal, but where scores are equal to rounding."""
    n_ties = 0
    for user, (ours, theirs) in enumerate(zip(page_lists, lists, strict=True)):
        if (ours == theirs).all():
            continue
        scores = scores_of(user)
        places = ours != theirs
        size = np.abs(scores[theirs]).max()
        gaps = np.abs(scores[ours[places]] - scores[theirs[places]])
        assert (gaps <= ROUNDING * size).all(), (user, ours, theirs)
        n_ties += 1
    # Ties are rare: a tolerance that hides nothing.
    assert n_ties <= 0.02 * len(lists) + 1


def scores_at(model, rows, strength):
    """Return a function from users to their scores at a strength."""

    def scores(user):
        _, encoded, turned = model._prepare(X, None, strength)
        block = model._steer(encoded, turned)[rows[user] : rows[user] + 1]
        out = np.empty((1, X.shape[1]), dtype=np.float32)
        model._score_into(out, block, X[rows[user : user + 1]], turned)
        return out[0]

    return scores


@pytest.mark.parametrize("name", FORMS)
def test_lists_of_the_page_are_those_of_recommend(name, open_page):
    model = fitted(**FORMS[name])
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    assert explorer.data["steering"]["reason"] is None
    page = open_page(explorer.to_html())
    rows = explorer.data["users"]["rows"]
    moved = []
    for strength in (0.0, model.strength, -0.7 * model.strength, 2.3 * model.strength):
        lists = model.recommend(X, strength=strength)[rows]
        found = lists_of_page(page, {"": strength})
        require_same(model, rows, found, lists, scores_at(model, rows, strength))
        moved.append((lists != model.recommend(X, strength=0)[rows]).any())
    # A form that moves nothing would prove nothing.
    assert name == "items, add, standardised" or moved[1] or moved[3]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"rule": "interpolate"},
        {"rule": "scale", "side": "both"},
        {"rule": "offset", "side": "item"},
    ],
)
def test_several_knobs_turn_at_once(form, open_page):
    model = fitted(selector=union(), concepts=True, **form)
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    page = open_page(explorer.to_html())
    rows = explorer.data["users"]["rows"]
    lists = []
    for strength in [
        {"popularity": -0.8, "concept <0>": 0.0},
        {"popularity": 0.0, "concept <0>": 0.9},
        {"popularity": -0.8, "concept <0>": 0.9},
        {"popularity": 0.4, "concept <0>": -0.5},
    ]:
        expected = model.recommend(X, strength=strength)[rows]
        found = lists_of_page(page, strength)
        require_same(model, rows, found, expected, scores_at(model, rows, strength))
        lists.append(expected)
    assert not (lists[0] == lists[2]).all()
    assert not (lists[1] == lists[2]).all()


@pytest.mark.parametrize(
    "form", [{}, {"rule": "hold"}, {"side": "item", "rule": "offset"}, {"side": "both"}]
)
def test_any_neuron_is_a_knob(form, open_page):
    model = fitted(**form)
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    page = open_page(explorer.to_html())
    rows = explorer.data["users"]["rows"]
    strongest = sorted(explorer.cards, key=lambda card: -card.n_active)[:3]
    for card in strongest:
        for strength, value in [(0.0, 3.0), (0.5, -2.0)]:
            neurons = {card.neuron: value}
            expected = lists_with_neurons(model, rows, strength, neurons)
            found = lists_of_page(page, {"": strength}, neurons)
            wrong = (found != expected).any(axis=1)
            assert wrong.mean() <= 0.03
    assert not (expected == model.recommend(X, strength=0.5)[rows]).all()


@pytest.mark.parametrize("n_items", [100, 90])
def test_of_many_active_neurons_some_can_be_turned(n_items, open_page, monkeypatch):
    monkeypatch.setattr(_explorer_offsets, "_FEW", 0)
    monkeypatch.setattr(_explorer_offsets, "_MOST_ACTIVE", 2)
    if n_items < 100:
        models.cut_catalogue(monkeypatch, n_items)
    model = fitted(side="item", rule="offset")
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    turnable = explorer.data["steering"]["item"]["turnable"]
    weights = np.abs(model.selector_.steering_weights_)
    others = np.setdiff1d(np.arange(48), turnable)
    assert 3 <= len(turnable) < 30
    assert weights[turnable].min() >= weights[others].max()
    page = open_page(explorer.to_html())
    rows = explorer.data["users"]["rows"]
    for strength, turned in [(0.0, {}), (1.0, {}), (0.5, {turnable[1]: 3.0})]:
        neurons = {int(neuron): value for neuron, value in turned.items()}
        expected = lists_with_neurons(model, rows, strength, neurons)
        found = lists_of_page(page, {"": strength}, neurons)
        exact = exact_lists(page, {"": strength}, neurons)
        assert (exact <= (found == expected).all(axis=1)).mean() >= 0.96
        assert exact.mean() > (0.05 if turned else 0.3)
        assert exact.all() or n_items < 100
    with pytest.raises(Exception, match=f"Neuron {others[0]} cannot be turned"):
        lists_of_page(page, {"": 0.0}, {int(others[0]): 1.0})
    page.find_element("id", "pick-number").send_keys(str(others[0]))
    page.find_element("css selector", "#pick button").click()
    said = page.find_element("id", "pick-message").text
    assert said == f"Neuron {others[0]} cannot be turned here."
    why = page.find_element("id", "turnable").text
    assert why.startswith(f"{len(turnable)} of 48 neurons can be turned here, ")
    for neuron, can in [(turnable[0], True), (others[0], False)]:
        page.execute_script(
            "const s = document.getElementById('search'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'))",
            f"#{neuron}",
        )
        button = f"[aria-label='Turn neuron {neuron}']"
        wait(lambda button=button: page.find_elements("css selector", button))
        assert page.find_element("css selector", button).is_enabled() == can


def test_equal_scores_go_to_the_lower_position(open_page):
    """Small integers: products are exact, and most scores tie."""
    rng = np.random.default_rng(0)
    U, V = rng.integers(-2, 3, (200, 8)), rng.integers(-1, 2, (100, 8))
    host = as_recommender(ArrayRecommender(U, V))
    ids = np.arange(200)
    model = SteeredRecommender(host, rule="shift", probe=PCA(8), random_state=0)
    model.fit(X, user_ids=ids)
    explorer = NeuronExplorer.from_model(
        model, X, user_ids=ids, n_users=25, random_state=0
    )
    rows = explorer.data["users"]["rows"]
    scores = (U @ V.T)[rows]
    assert len(np.unique(scores)) < 40
    page = open_page(explorer.to_html())
    expected = model.recommend(X, strength=0, user_ids=ids)[rows]
    assert (lists_of_page(page, {"": 0.0}) == expected).all()


def test_totals_are_those_of_the_metrics(open_page):
    model = fitted()
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    page = open_page(explorer.to_html())
    rows = explorer.data["users"]["rows"]
    lists = lists_of_page(page, {"": model.strength})
    totals = page.execute_script("return neuronExplorer.totals()")
    held_out = csr_array(Y)[rows]
    assert totals["ndcg"] == pytest.approx(ndcg(held_out, lists), abs=1e-12)
    assert totals["gini"] == pytest.approx(gini(lists, X.shape[1]), abs=1e-12)
    share = tail_share(lists, model.item_groups_)
    assert totals["tail"] == pytest.approx(share, abs=1e-12)


#: Catalogues that are cut: form, items in the page, bytes of those that are ruled out.
CUT = {
    "user": ("shift, bias of items", 80, 0.1),
    "user, few ruled out": ("shift, bias of items", 80, 2.0),
    "user, replaced": ("shift, replaced, bias, top", 80, 0.1),
    "offset": ("items, offset", 60, 1.0),
    "offset, by taste, top": ("items, offset, by taste, top", 60, 1.0),
    "offset, by function": ("items, offset, by function", 60, 1.0),
    "items, shift": ("items, shift", 60, 1.0),
    "items, scale, replaced": ("items, scale, replaced", 60, 1.0),
    "items, standardised": ("items, add, standardised", 60, 1.0),
    "both": ("both, shift, by taste", 60, 1.0),
}


@pytest.mark.parametrize("name", CUT)
def test_a_catalogue_that_is_cut_says_which_lists_are_exact(
    name, open_page, monkeypatch
):
    form, n_items, coarse = CUT[name]
    models.cut_catalogue(monkeypatch, n_items, coarse)
    model = fitted(**FORMS[form])
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    steering = explorer.data["steering"]
    assert steering["reason"] is None
    assert len(steering["embedded"]) < n_items + 1
    page = open_page(explorer.to_html())
    wait(lambda: page.find_element("id", "checked").text)
    assert page.find_element("id", "checked").get_attribute("data-wrong") == "0"
    rows = explorer.data["users"]["rows"]
    (knob,) = steering["knobs"]
    steps = [-1.0, -0.35, 0.0, 0.2, 0.5, 1.0]
    slider = [round(share * knob["limit"] / knob["step"]) for share in steps]
    shares = []
    for values in (
        [place * knob["step"] for place in slider],
        [(place + 0.4) * knob["step"] for place in slider] + [2.0 * knob["limit"]],
    ):
        exacts, rights = [], []
        for value in values:
            expected = model.recommend(X, strength=value)[rows]
            found = lists_of_page(page, {"": value})
            exact = exact_lists(page, {"": value})
            scores = scores_at(model, rows, value)
            wholly = np.flatnonzero(exact)
            require_same(
                model, rows[exact], found[exact], expected[exact],
                lambda user, wholly=wholly, scores=scores: scores(wholly[user]),
            )  # fmt: skip
            exacts.append(exact)
            rights.append((found == expected).all(axis=1))
        shares.append((np.mean(exacts), np.mean(rights)))
    # Where a slider can stand it is known which lists are whole.
    assert shares[0][0] >= shares[0][1] - 0.02
    assert shares[0][0] > 0.2


@pytest.mark.parametrize("name", ["offset", "offset, by function", "user"])
def test_a_neuron_of_a_cut_catalogue_says_which_lists_are_exact(
    name, open_page, monkeypatch
):
    form, _, coarse = CUT[name]
    models.cut_catalogue(monkeypatch, 90, coarse)
    model = fitted(**FORMS[form])
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    assert len(explorer.data["steering"]["embedded"]) < 100
    page = open_page(explorer.to_html())
    rows = explorer.data["users"]["rows"]
    limit = explorer.data["steering"]["neuron_knob"]["limit"]
    strongest = sorted(explorer.cards, key=lambda card: -card.n_active)[:6]
    claimed, right = [], []
    for first, second in itertools.pairwise(strongest):
        for strength, turned in [
            (1.0, {first.neuron: limit}),
            (1.0, {first.neuron: 0.15 * limit}),
            (1.0, {first.neuron: -0.5 * limit}),
            (0.4, {first.neuron: 0.6 * limit, second.neuron: -0.3 * limit}),
            (1.3, {first.neuron: 0.2 * limit, second.neuron: 0.1 * limit}),
        ]:
            expected = lists_with_neurons(model, rows, strength, turned)
            found = lists_of_page(page, {"": strength}, turned)
            exact = exact_lists(page, {"": strength}, turned)
            same = (found == expected).all(axis=1)
            claimed.append(exact)
            right.append(same)
            # Ties are decided by float32.
            assert (exact & ~same).sum() <= 1
    assert (np.array(claimed) & ~np.array(right)).mean() <= 0.01
    assert np.mean(right) >= np.mean(claimed) - 0.01
    assert np.mean(claimed) > 0.1


def test_two_knobs_of_a_cut_catalogue(open_page, monkeypatch):
    models.cut_catalogue(monkeypatch, 85)
    model = fitted(selector=union(), concepts=True, rule="offset", side="item")
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    page = open_page(explorer.to_html())
    rows = explorer.data["users"]["rows"]
    shares = []
    for strength in [
        {"popularity": -0.81, "concept <0>": 0.0},
        {"popularity": -0.8, "concept <0>": 0.93},
        {"popularity": 2.4, "concept <0>": -3.5},
        {"popularity": -6.0, "concept <0>": 5.0},
    ]:
        expected = model.recommend(X, strength=strength)[rows]
        found = lists_of_page(page, strength)
        exact = exact_lists(page, strength)
        assert (found[exact] == expected[exact]).all()
        shares.append((exact.mean(), (found == expected).all(axis=1).mean()))
    exact, right = np.transpose(shares)
    # Between settings that were looked at little is lost; far beyond them all is.
    assert (exact[:3] > 0.6 * right[:3]).all()
    assert exact[:3].min() > 0.1


def test_marks_stand_at_the_lists_that_may_lack_an_item(open_page, monkeypatch):
    models.cut_catalogue(monkeypatch, 60)
    model = fitted(**FORMS["items, offset"])
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    page = open_page(explorer.to_html())
    place = page.find_element("id", "exactness")
    marks = "return [...document.querySelectorAll('.doubt')].map((e) => !e.hidden)"
    states = []
    for value in (0, -2):
        open_lists = (~exact_lists(page, {"": value})).tolist()
        move_slider(page, value)
        wait(lambda state=open_lists: page.execute_script(marks) == state)
        assert f"{sum(open_lists)} of 25 lists may lack an item" in place.text
        states.append(sum(open_lists))
    assert states[0] != states[1]
    assert 0 < min(states) < max(states) < 25
    assert "holds 60 of the items" in page.page_source


def exact_lists(page, knobs, neurons=None):
    script = "return neuronExplorer.exact(...JSON.parse(arguments[0]))"
    asked = json.dumps([knobs, neurons or {}])
    return np.array(page.execute_script(script, asked))


def move_slider(page, value):
    page.execute_script(
        "const s = document.getElementById('knob-0'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        value,
    )


@pytest.mark.parametrize(
    "form", ["shift", "items, offset", "shift, replaced, bias, top"]
)
def test_the_page_checks_itself_by_lists_of_the_model(form, open_page):
    explorer = NeuronExplorer.from_model(fitted(**FORMS[form]), X, Y, random_state=0)
    page = open_page(explorer.to_html())
    place = page.find_element("id", "checked")
    wait(lambda: place.text)
    assert place.text.startswith("Checked: ")
    assert place.get_attribute("data-wrong") == "0"
    # A page that computes something else says that it does.
    steering = dict(explorer.data["steering"])
    steering["item_embeddings"] = np.roll(steering["item_embeddings"], 1, axis=0)
    broken = NeuronExplorer(explorer.cards, {**explorer.data, "steering": steering})
    page = open_page(broken.to_html())
    place = page.find_element("id", "checked")
    wait(lambda: place.text)
    assert place.text.startswith("Do not trust these lists")


def test_what_a_page_cannot_do_it_says_and_shows_the_lists_of_the_model(open_page):
    host = HOSTS["mult_vae"]()
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(
        host.recommender, rule="shift", probe=probe, random_state=0
    ).fit(host.X)
    explorer = NeuronExplorer.from_model(model, host.X, n_users=5, random_state=0)
    page = open_page(explorer.to_html())
    assert "layers of its own" in page.find_element("id", "reason").text
    assert not page.find_element("id", "knob-0").is_enabled()
    assert not page.find_element("css selector", ".card button").is_enabled()
    row = explorer.data["users"]["rows"][0]
    shown = page.find_element("id", "list").get_attribute("data-items")
    assert shown == " ".join(map(str, model.predict(host.X)[row]))


def test_a_probe_that_decodes_otherwise_is_refused():
    class Squares(PCA):
        def inverse_transform(self, Z):
            return np.asarray(super().inverse_transform(Z), dtype=np.float32) ** 2

    model = SteeredRecommender(
        models.host(), probe=Squares(6), rule="shift", random_state=0
    ).fit(X)
    explorer = NeuronExplorer.from_model(model, X, random_state=0)
    assert "no sum over its neurons" in explorer.data["steering"]["reason"]
