"""The lists of the page are those of ``recommend``, in every form of steering."""

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
from skpopsteer.inspection._explorer import NeuronExplorer
from skpopsteer.metrics import gini, ndcg, tail_share
from tests.browser import models
from tests.browser.conftest import wait
from tests.browser.models import X, Y, fitted, lists_with_neurons, union

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
    "as the model chooses": {"side": None, "rule": None},
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


@pytest.mark.parametrize("n_coarse", [10, 100])
def test_a_catalogue_that_is_cut_says_which_lists_are_exact(
    n_coarse, open_page, monkeypatch
):
    from skpopsteer.inspection import _explorer_catalogue

    monkeypatch.setattr(_explorer_catalogue, "_MOST_NUMBERS", 8 * 80)
    monkeypatch.setattr(_explorer_catalogue, "_MOST_COARSE", 8 * n_coarse)
    model = fitted(with_bias=True)
    explorer = NeuronExplorer.from_model(model, X, Y, n_users=25, random_state=0)
    steering = explorer.data["steering"]
    assert len(steering["embedded"]) == 80
    assert len(steering["rest"]["coarse"]) == min(n_coarse, 20)
    page = open_page(explorer.to_html())
    rows = explorer.data["users"]["rows"]
    shares = []
    for strength in (0.0, 0.1, 0.5, 1.0, 3.0, 20.0):
        expected = model.recommend(X, strength=strength)[rows]
        found = lists_of_page(page, {"": strength})
        script = "return neuronExplorer.exact({'': arguments[0]})"
        exact = np.array(page.execute_script(script, strength))
        assert (found[exact] == expected[exact]).all()
        right = (found == expected).all(axis=1)
        shares.append((exact.mean(), right.mean()))
    exact, right = np.transpose(shares)
    if n_coarse == 100:
        # Of every item something is known: hardly a right list is doubted.
        assert exact.sum() > 0.8 * right.sum()
        assert right[0] > 0.8
    # Where items are missing, or may be, the page says so.
    assert exact.min() < 1
    move_slider(page, [0.0, 0.1, 0.5, 1.0, 3.0, 4.0][int(exact.argmin())])
    place = page.find_element("id", "exactness")
    wait(lambda: "may lack an item" in place.text)


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
    from skpopsteer.inspection import _explorer_sides

    model = fitted(side="item")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_explorer_sides, "_MOST_PRE", 100)
        explorer = NeuronExplorer.from_model(model, X, Y, random_state=0)
    page = open_page(explorer.to_html())
    assert "100 times 48 pre-activations" in page.find_element("id", "reason").text
    assert not page.find_element("id", "knob-0").is_enabled()
    assert not page.find_element("css selector", ".card button").is_enabled()
    row = explorer.data["users"]["rows"][0]
    shown = page.find_element("id", "list").get_attribute("data-items")
    assert shown == " ".join(map(str, model.predict(X)[row]))


def test_a_probe_that_decodes_otherwise_is_refused():
    class Squares(PCA):
        def inverse_transform(self, Z):
            return np.asarray(super().inverse_transform(Z), dtype=np.float32) ** 2

    model = SteeredRecommender(
        models.host(), probe=Squares(6), rule="shift", random_state=0
    ).fit(X)
    explorer = NeuronExplorer.from_model(model, X, random_state=0)
    assert "no sum over its neurons" in explorer.data["steering"]["reason"]
