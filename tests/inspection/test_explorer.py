"""The explorer's data and file; what the page does with them: tests/browser."""

import base64
import dataclasses
import hashlib
import json
import pathlib
import pickle
import re
import sys
import warnings

import joblib
import numpy as np
import pytest
from markupsafe import Markup
from scipy.sparse import csr_array

from skpopsteer import (
    ArrayRecommender,
    ConceptNeuronSelector,
    NeuronUnion,
    PopularityNeuronSelector,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import make_interactions
from skpopsteer.inspection import (
    _explorer_activity,
    _explorer_budget,
    _explorer_catalogue,
    _explorer_cut,
    _explorer_settings,
)
from skpopsteer.inspection._explorer import NeuronExplorer
from skpopsteer.inspection._explorer_activity import find_tops, measure_activity
from skpopsteer.inspection._explorer_catalogue import Near
from skpopsteer.inspection._explorer_rest import OffsetNeurons, ceilings_of
from skpopsteer.inspection._explorer_settings import anchors_of
from skpopsteer.steering import TunedSteeringCV
from tests.hosts import HOSTS

ROOT = pathlib.Path(__file__).parents[2]
HOSTILE = "</script><script>alert(1)</script>\u2028& \"onmouseover='"


@pytest.fixture(scope="module")
def steered(host, split):
    """A model that steers users, as the cards of most tests are of users."""
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, probe=probe, rule="shift", random_state=0)
    return model.fit(split[0])


@pytest.fixture(scope="module")
def explorer(steered, split):
    """What most tests look at."""
    return NeuronExplorer.from_model(steered, *split, random_state=0)


@pytest.fixture(scope="module")
def activations(steered, split):
    """Dense activations of all users, and what they have."""
    Z = steered.probe_.transform(steered.recommender_.encode_users(split[0]))
    return Z.astype(np.float64), (split[0].toarray() > 0).astype(np.float64)


def embedded(html):
    """Return the data of a page."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', html
    )
    return json.loads(text)


def decode(array):
    values = np.frombuffer(base64.b64decode(array["data"]), dtype="<" + array["kind"])
    return values.reshape(array["shape"])


def test_figures_of_a_card_are_those_of_the_activations(explorer, activations, steered):
    Z, _ = activations
    assert [card.neuron for card in explorer.cards] == list(range(Z.shape[1]))
    for card in explorer.cards:
        values = Z[Z[:, card.neuron] > 0, card.neuron]
        assert (card.n_rows, card.n_active) == (len(Z), len(values))
        assert sum(card.histogram) == len(values)
        if not len(values):
            assert card.peak_activation == card.mean_activation == 0
            continue
        assert card.peak_activation == pytest.approx(values.max())
        assert card.mean_activation == pytest.approx(values.mean(), rel=1e-5)
        width = values.max() / 16
        bins = np.minimum((values / width).astype(int), 15)
        assert card.histogram == tuple(np.bincount(bins, minlength=16).tolist())
        selector = steered.selector_
        assert card.popularity_score == selector.scores_[card.neuron]
        weight = selector.steering_weights_[card.neuron]
        assert card.weights == {"popularity": weight}
        assert card.is_dead == steered.probe_.dead_neurons_[card.neuron]


def test_items_users_and_neurons_of_a_card_by_hand(explorer, activations, steered):
    Z, has = activations
    fires = Z > 0
    V = steered.recommender_.item_embeddings_
    pushes = V.astype(np.float64) @ steered.probe_.decoder_weights_.T
    n_checked = 0
    for card in explorer.cards:
        n = card.neuron
        if not 3 < card.n_active < len(Z):
            continue
        n_checked += 1
        with np.errstate(invalid="ignore", divide="ignore"):
            correlations = np.array(
                [np.corrcoef(fires[:, n], has[:, item])[0, 1] for item in range(100)]
            )
        best = np.sort(np.nan_to_num(correlations))[::-1][:10]
        values = [one.value for one in card.top_items]
        np.testing.assert_allclose(values, best[best > 0][: len(values)], rtol=1e-6)
        for one in card.top_items:
            assert one.value == pytest.approx(correlations[one.position])
            assert one.name == f"item {one.position}"
        order = np.argsort(-Z[:, n], kind="stable")[:5]
        assert [one.position for one in card.top_users] == order[
            Z[order, n] > 0
        ].tolist()
        up = np.argsort(-pushes[:, n])[:5]
        assert [one.position for one in card.pushed_up] == up[
            pushes[up, n] > 0
        ].tolist()
        down = np.argsort(pushes[:, n])[:5]
        found = [one.position for one in card.pushed_down]
        assert found == down[pushes[down, n] < 0].tolist()
        assert all(one.value < 0 for one in card.pushed_down)
        both = (fires & fires[:, [n]]).sum(axis=0)
        either = (fires | fires[:, [n]]).sum(axis=0)
        jaccard = np.where(np.arange(len(both)) == n, 0, both / np.maximum(either, 1))
        values = [one.value for one in card.cofiring]
        expected = np.sort(jaccard)[::-1][:5]
        np.testing.assert_allclose(values, expected[expected > 0])
    assert n_checked > 10


def test_blocks_of_neurons_change_nothing(steered, split, monkeypatch):
    activity = measure_activity(steered, split[0], None, np.random.default_rng(0))
    whole = find_tops(steered, activity)
    monkeypatch.setattr(_explorer_activity, "_BLOCK_ACTIVATIONS", 300)
    for name, top in find_tops(steered, activity).items():
        np.testing.assert_array_equal(top.positions, whole[name].positions)
        np.testing.assert_allclose(top.values, whole[name].values, rtol=1e-6)


def test_of_many_rows_some_are_drawn(steered, split, monkeypatch):
    monkeypatch.setattr(_explorer_activity, "_MOST_USERS", 60)
    explorer = NeuronExplorer.from_model(steered, *split, random_state=0)
    assert {card.n_rows for card in explorer.cards} == {60}
    rows = {one.position for card in explorer.cards for one in card.top_users}
    assert max(rows) > 60
    assert explorer.data["others"]["names"][0].startswith("user ")


def test_neurons_of_items_fire_for_items(host, split):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(
        host, probe=probe, side="item", rule="offset", random_state=0
    ).fit(split[0])
    explorer = NeuronExplorer.from_model(model, split[0], random_state=0)
    Z = model.item_probe_.transform(host.item_embeddings_)
    has = (split[0].toarray() > 0).astype(float)
    for card in explorer.cards:
        assert card.side == "item"
        assert card.n_rows == 100
        best = np.sort(Z[:, card.neuron])[::-1][: len(card.top_items)]
        np.testing.assert_allclose([one.value for one in card.top_items], best)
        np.testing.assert_allclose([one.value for one in card.pushed_up], best[:5])
        means = has @ Z[:, card.neuron] / has.sum(axis=1)
        for one in card.top_users:
            assert one.value == pytest.approx(means[one.position], rel=1e-5)


def test_tags_come_from_features_and_warnings_become_notes(split, host):
    data = make_interactions(200, 100, random_state=0)
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(
        split[0]
    )
    model.probe_.label_neurons({3: "mine"})
    names = [f"concept {c}" for c in range(data.item_concepts.shape[1])]
    explorer = NeuronExplorer.from_model(
        model, split[0], item_features=(data.item_concepts, names), random_state=0
    )
    tags = {tag for card in explorer.cards for tag in card.tags}
    assert tags
    assert tags <= set(names)
    assert any(card.confidence is not None for card in explorer.cards)
    assert explorer.cards[3].label == "mine"
    assert any("which_item" in note for note in explorer.data["about"]["notes"])
    plain = NeuronExplorer.from_model(model, split[0], random_state=0)
    assert all(card.tags == () and card.confidence is None for card in plain.cards)


def test_every_knob_of_a_union_is_there(host, split):
    data = make_interactions(200, 100, random_state=0)
    union = NeuronUnion(
        [("pop", PopularityNeuronSelector()), ("noir", ConceptNeuronSelector(0))],
        strengths={"noir": 2.0},
    )
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(
        host, probe=probe, selector=union, rule="shift", strength=0.5, random_state=0
    ).fit(split[0], item_features=data.item_concepts)
    explorer = NeuronExplorer.from_model(model, split[0], random_state=0)
    knobs = {knob["key"]: knob for knob in explorer.data["steering"]["knobs"]}
    assert [knobs[name]["value"] for name in ("pop", "noir")] == [-0.5, 1.0]
    assert knobs["noir"]["limit"] == 4.0
    card = explorer.cards[0]
    assert set(card.weights) == {"pop", "noir"}
    assert card.popularity_score is not None


def test_cards_are_plain_values(explorer):
    text = json.dumps([dataclasses.asdict(card) for card in explorer.cards])
    assert json.loads(text)[2]["neuron"] == 2


def test_the_file_holds_what_the_page_needs(explorer, steered, split):
    data = embedded(explorer.to_html())
    users, steering = data["users"], data["steering"]
    rows = decode(users["rows"])
    assert len(rows) == len(users["names"]) == 50
    assert users["names"][0] == f"user {rows[0]}"
    U = steered.recommender_.encode_users(split[0])[rows]
    np.testing.assert_array_equal(decode(steering["user_embeddings"]), U)
    pre = decode(steering["user"]["pre"])
    np.testing.assert_array_equal(pre, steered.probe_.pre_activations(U))
    lists = steered.recommend(split[0])[rows]
    np.testing.assert_array_equal(decode(users["own_lists"]), lists)
    host = steered.recommender_.recommend(split[0], 10)[rows]
    np.testing.assert_array_equal(decode(users["host_lists"]), host)


def test_hostile_text_cannot_leave_its_place(steered, split):
    explorer = NeuronExplorer.from_model(
        steered, *split, item_titles=[HOSTILE] * 100, user_names=[HOSTILE] * 200,
        random_state=0,
    )  # fmt: skip
    html = explorer.to_html(title=HOSTILE)
    assert "alert(1)</script>" not in html.replace("&lt;/script&gt;", "")
    assert "\u2028" not in html.partition('id="data">')[2]
    assert "&lt;script&gt;alert(1)" in html
    assert embedded(html)["items"]["names"][0] == HOSTILE
    assert "<script>" not in explorer.neuron(0)._repr_html_()


def test_the_policy_names_exactly_what_is_in_the_page(explorer):
    section = Markup("<style>p { color: red }</style><p style='margin: 0'>x</p>")
    for sections in ([], [("Heading", section)]):
        html = explorer.to_html(sections=sections)
        (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)">', html)
        policy = policy.replace("&#39;", "'")
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
        styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
        assert len(scripts) == 1
        for text in [*scripts, *styles]:
            digest = hashlib.sha256(text.encode()).digest()
            assert base64.b64encode(digest).decode() in policy
        assert policy.count("sha256-") == 1 + len(styles)
        assert ("style-src-attr" in policy) == bool(sections)
        assert "unsafe-inline" not in policy.partition("style-src-attr")[0]


def test_nothing_outside_of_the_file_is_named(explorer):
    html = explorer.to_html()
    assert not re.search(r"(?:src|href)=[\"'](?!#)", html)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)
    assert "/work" not in html
    assert str(ROOT) not in html


MODULES = {
    path.stem: path.read_text()
    for path in (ROOT / "skpopsteer/inspection/templates/js").glob("*.js")
}


def test_modules_are_joined_in_the_order_of_their_imports():
    from skpopsteer.inspection._explorer_page import _MODULES, _script

    assert set(_MODULES) == set(MODULES)
    declared = []
    for place, name in enumerate(_MODULES):
        source = MODULES[name]
        for imported, module in re.findall(
            r'import \{([^}]*)\} from "./(\w+).js"', source
        ):
            assert _MODULES.index(module) < place
            for one in imported.split(","):
                assert re.search(
                    rf"^export (const|function|class) {one.strip()}\b",
                    MODULES[module], re.MULTILINE,
                ), one  # fmt: skip
                # What is imported is used.
                assert len(re.findall(rf"\b{one.strip()}\b", source)) > 1, one
        declared += re.findall(
            r"^(?:export )?(?:const|let|function|class) (\w+)", source, re.MULTILINE
        )
    assert len(declared) == len(set(declared))
    assert not re.search(r"^\s*(import|export)\b", _script(), re.MULTILINE)


@pytest.mark.parametrize("name", MODULES)
def test_scripts_make_text_and_no_html(name):
    source = MODULES[name]
    for forbidden in (
        "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
        "new Function", "</script", "<!--", "fetch(", "XMLHttpRequest", "WebSocket",
    ):  # fmt: skip
        assert forbidden not in source


def test_the_same_seed_gives_the_same_page(steered, split):
    first, second, third = (
        NeuronExplorer.from_model(steered, *split, n_users=20, random_state=seed)
        for seed in (1, 1, 2)
    )
    assert first.to_html() == second.to_html()
    assert first.to_html() != third.to_html()
    assert pickle.loads(pickle.dumps(first)).to_html() == first.to_html()


def test_nothing_of_the_caller_is_changed(steered, split):
    X, y = split[0].copy(), split[1].copy()
    before = joblib.hash((X, y, steered.__dict__))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        NeuronExplorer.from_model(steered, X, y, random_state=0).to_html()
        assert warnings.filters == filters
    assert joblib.hash((X, y, steered.__dict__)) == before


def test_users_are_those_with_held_out_items(steered, split):
    y = np.full(200, -1)
    y[[3, 50, 120]] = split[1].indices[split[1].indptr[[3, 50, 120]]]
    explorer = NeuronExplorer.from_model(steered, split[0], y, random_state=0)
    assert explorer.data["users"]["rows"].tolist() == [3, 50, 120]
    held_out = explorer.data["users"]["held_out"]
    assert held_out["indptr"].tolist() == [0, 1, 2, 3]
    assert held_out["items"].tolist() == y[[3, 50, 120]].tolist()


def test_user_ids_name_users_and_look_their_vectors_up(split):
    host = HOSTS["als"]()
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(
        host.recommender, rule="shift", probe=probe, random_state=0
    )
    model.fit(host.X)
    ids = np.arange(host.X.shape[0])[::-1][:30]
    rows = csr_array(host.X)[ids]
    explorer = NeuronExplorer.from_model(model, rows, user_ids=ids, random_state=0)
    assert explorer.data["users"]["names"] == [f"user {user}" for user in ids]
    own = explorer.data["users"]["own_lists"]
    positions = explorer.data["items"]["positions"]
    expected = model.recommend(rows, user_ids=ids)
    np.testing.assert_array_equal(positions[own], expected)


def test_a_search_and_a_frozen_model_are_looked_into(steered, split):
    from sklearn.frozen import FrozenEstimator

    tuned = TunedSteeringCV(steered, target=0.0, cv="prefit", n_boot=5, random_state=0)
    tuned.fit(*split)
    for model in (tuned, FrozenEstimator(steered)):
        assert len(NeuronExplorer.from_model(model, split[0], n_users=3).cards) == 32


def test_a_host_with_layers_is_shown_but_not_turned():
    host = HOSTS["mult_vae"]()
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(
        host.recommender, rule="shift", probe=probe, random_state=0
    )
    model.fit(host.X)
    explorer = NeuronExplorer.from_model(model, host.X, n_users=5, random_state=0)
    assert "layers of its own" in explorer.data["steering"]["reason"]
    assert all(not card.pushed_up for card in explorer.cards)
    assert embedded(explorer.to_html())["steering"]["reason"]


#: Forms of steering: parameters of the model.
FORMS = {
    "as the model chooses": {},
    "many active neurons": {
        "probe": SparseAutoencoderProbe(2048, k=1024, max_iter=1, random_state=0)
    },
    "shift": {"rule": "shift"},
    "shift of items": {"rule": "shift", "side": "item"},
    "scale of items": {"rule": "scale", "side": "item"},
    "both": {"rule": "scale", "side": "both"},
}


@pytest.fixture(scope="module")
def films():
    """More items than fit a page, with titles as long as those of films."""
    rng = np.random.default_rng(0)
    n_items = 9_724
    popularity = 1 / np.arange(1, n_items + 1) ** 0.7
    rows = [
        np.unique(rng.choice(n_items, 40, p=popularity / popularity.sum()))
        for _ in range(300)
    ]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    X = csr_array(
        (np.ones(indptr[-1]), np.concatenate(rows), indptr), shape=(300, n_items)
    )
    V = rng.normal(size=(n_items, 64)) * popularity[:, None] ** 0.1
    host = as_recommender(ArrayRecommender(rng.normal(size=(300, 64)), V))
    titles = [f"Film {item}, titled as films are (1999)" for item in range(n_items)]
    return host, X, titles


def fitted_to(films, **params):
    host, X, _ = films
    probe = SparseAutoencoderProbe(1024, k=32, max_iter=1, random_state=0)
    params = {"probe": probe} | params
    model = SteeredRecommender(host, random_state=0, **params)
    return model.fit(X, user_ids=np.arange(len(X.indptr) - 1))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_below_5_mb_and_can_be_turned(form, films, monkeypatch):
    if form not in ("as the model chooses", "many active neurons", "shift"):
        # Each setting of the knob moves all items: a few show the bytes as well.
        monkeypatch.setattr(_explorer_settings, "_COARSE_STEPS", 2)
        monkeypatch.setattr(_explorer_catalogue, "_FEW_NEURONS", 1)
    _, X, titles = films
    model = fitted_to(films, **FORMS[form])
    ids = np.arange(X.shape[0])
    explorer = NeuronExplorer.from_model(
        model, X, user_ids=ids, item_titles=titles, random_state=0
    )
    steering = explorer.data["steering"]
    assert steering["reason"] is None
    n_held = len(steering["embedded"])
    assert n_held < X.shape[1]
    # Room is left for sections. What is held uses the rest, unless a move of the knob
    # would take too long.
    size = len(explorer.to_html().encode())
    assert size < 4_400_000
    assert size > 3_900_000 or steering["item"]["codes"]
    assert n_held > (400 if form == "shift of items" else 1_800)
    # Of every list at the settings of the knob it is known whether it is whole.
    own = explorer.data["users"]["own_lists"]
    rest = steering["rest"]
    assert rest["whole"].shape == (len(rest["anchors"]), 50)
    is_whole = np.isin(own, steering["embedded"]).all(axis=1)
    np.testing.assert_array_equal(rest["whole"][0], is_whole)
    # Of items that are shifted few fit, and these users have nothing in common.
    assert rest["whole"].mean() > (0 if form == "shift of items" else 0.99)


def test_the_size_does_not_grow_with_titles_and_names(films):
    _, X, titles = films
    model = fitted_to(films, rule="shift")
    sizes = []
    for length in (1, 40):
        explorer = NeuronExplorer.from_model(
            model, X, user_ids=np.arange(X.shape[0]), random_state=0,
            item_titles=[title * length for title in titles],
            user_names=[f"somebody {row} " * length for row in range(X.shape[0])],
        )  # fmt: skip
        html = explorer.to_html()
        sizes.append(len(html.encode()))
        assert "\N{HORIZONTAL ELLIPSIS}" in html or length == 1
    assert max(sizes) < 4_400_000
    # The cards themselves keep the whole name.
    assert len(explorer.cards[0].top_items[0].name) > 1_000


def test_all_items_are_held_where_they_fit(films, monkeypatch):
    _, X, titles = films
    model = fitted_to(films)
    monkeypatch.setattr(_explorer_budget, "_PAGE", 20_000_000)
    explorer = NeuronExplorer.from_model(
        model, X, user_ids=np.arange(X.shape[0]), item_titles=titles, random_state=0
    )
    steering = explorer.data["steering"]
    assert steering["rest"] is None
    assert len(steering["embedded"]) == X.shape[1]
    # Scores of 50 users are fewer numbers than embeddings of 64.
    host, rows = films[0], explorer.data["users"]["rows"]
    scores = host.decode(host.encode_users(X[rows], rows))
    np.testing.assert_array_equal(steering["item_scores"], scores)
    assert "item_embeddings" not in steering


def test_items_that_take_a_move_too_long_are_not_held(steered, split, monkeypatch):
    most = 40 * 50 * steered.recommender_.item_embeddings_.shape[1]
    for module in (_explorer_cut, _explorer_catalogue):
        monkeypatch.setattr(module, "MOST_PRODUCTS", most)
    monkeypatch.setattr(_explorer_catalogue, "_FEWEST", 10)
    explorer = NeuronExplorer.from_model(steered, *split, random_state=0)
    steering = explorer.data["steering"]
    assert len(steering["embedded"]) == 40
    assert steering["rest"] is not None


def test_what_an_item_takes_is_what_it_is_reckoned_to(films, monkeypatch):
    """The bytes of a page are as reckoned, within what is kept in reserve."""
    _, X, titles = films
    model = fitted_to(films)
    sizes = {}
    for room in (3_000_000, 4_000_000):
        monkeypatch.setattr(_explorer_budget, "_PAGE", room)
        monkeypatch.setattr(_explorer_budget, "_SECTIONS", 0)
        explorer = NeuronExplorer.from_model(
            model, X, user_ids=np.arange(X.shape[0]), item_titles=titles, random_state=0
        )
        sizes[room] = len(explorer.to_html().encode())
        assert 0.95 * room < sizes[room] <= room


def test_settings_of_a_knob_are_all_places_of_its_slider():
    knob = {"key": "", "value": 0.37, "limit": 1.48, "step": 0.02}
    anchors = anchors_of([knob], lattice=True)[:, 0]
    assert anchors[0] == 0.37
    assert set(np.round(np.arange(-74, 75) * 0.02, 10)) <= set(np.round(anchors, 10))
    # Lists that the page checks itself by are known, too.
    assert {0.0, -0.74, 0.37, 1.48} <= set(anchors)
    assert len(set(anchors)) == len(anchors)
    two = [knob | {"key": "a"}, knob | {"key": "b", "value": -0.5}]
    slices = anchors_of(two, lattice=False)
    assert slices[0].tolist() == [0.37, -0.5]
    moved = (slices != slices[0]).sum(axis=1)
    assert (moved[8:] <= 1).all()
    lattice = anchors_of(two, lattice=True)
    assert len(lattice) > 17 * 17
    assert [-1.48, 1.48] in lattice.tolist()


def test_ceilings_are_those_of_the_first_item_that_is_not_held():
    near = Near(
        places=np.zeros(5), counts=np.zeros(5),
        ids=np.array([[[3, 1, 0]], [[1, 3, -1]], [[1, 3, 2]]]),
        scores=np.array([[[9.0, 8, 7]], [[6.0, 5, -np.inf]], [[4.0, 3, 2]]]),
    )  # fmt: skip
    is_held = np.array([False, True, True, True, False])
    # The first misses item 0; the second has no more items; the third lists only held
    # ones, so that the last of them bounds what may come.
    ceilings, is_whole = ceilings_of(near, is_held, 3)
    np.testing.assert_array_equal(ceilings[:, 0], [7, -np.inf, 2])
    np.testing.assert_array_equal(is_whole[:, 0], [False, True, True])
    assert ceilings_of(near, is_held, 2)[1].all()


def test_neurons_of_items_bound_what_is_not_held():
    rng = np.random.default_rng(0)
    n_users, n_items, n_neurons = 6, 300, 12
    codes = csr_array(
        rng.random((n_items, n_neurons)) * (rng.random((n_items, 12)) < 0.2)
    )
    scores = rng.normal(size=(n_users, n_items))
    scores[0, :50] = -np.inf
    factors, units = rng.normal(size=n_users), rng.random(n_neurons)
    neurons = OffsetNeurons(scores, codes, units, factors, limit=4.0)
    is_held = rng.random(n_items) < 0.6
    ceilings = scores[:, ~is_held].max(axis=1)
    found = neurons.describe(is_held, ceilings)
    dense = codes.toarray()
    best = np.sort(scores, axis=1)[:, ::-1][:, :5]
    needed = np.zeros(n_items, dtype=bool)
    for place, turn in enumerate(found["turns"]):
        for neuron in range(n_neurons):
            added = factors[:, None] * units[neuron] * turn * dense[:, neuron]
            now = scores + added
            bound = (
                ceilings
                + found["excess"][place, neuron] * found["steps"][place, neuron]
            )
            highest = now[:, ~is_held].max(axis=1)
            assert (highest <= bound + 1e-6).all()
            # Above it by a step of the byte at the most, or by nothing at all.
            step = found["steps"][place, neuron]
            assert (bound <= np.maximum(highest, ceilings) + step + 1e-6).all()
            for user in np.flatnonzero(factors > 0):
                listed = np.argsort(-now[user])[:5]
                fires = dense[listed, neuron] > 0
                needed[listed[fires & np.isfinite(now[user, listed])]] = True
    assert (needed <= neurons.needed(best)).all()
    np.testing.assert_allclose(found["high"], dense[~is_held].max(axis=0), rtol=1e-6)
    assert (found["low"] == 0).all()


def test_saved_whole_or_not_at_all(explorer, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    explorer.save(path, title="First")
    assert path.read_text(encoding="utf-8") == explorer.to_html(title="First")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        explorer.save(path, title="Second")
    assert "First" in path.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(ValueError, match=r"`path` must lie in a folder that exists"):
        explorer.save(tmp_path / "none" / "page.html")


def test_one_neuron_as_text_and_as_html(explorer):
    card = max(explorer.cards, key=lambda c: c.n_active)
    view = explorer.neuron(card.neuron)
    text, html = str(view), view._repr_html_()
    assert text.startswith(f"Neuron {card.neuron}\n")
    for one in card.top_items[:5]:
        assert one.name in text
        assert one.name in html
    assert html.count("<rect") == 16
    assert "<script" not in html
    with pytest.raises(ValueError, match=r"`neuron` must be one of 0 to 31; got 32\."):
        explorer.neuron(32)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"user_names": ["a"]}, ValueError, r"`user_names` must hold one name per row"),
        ({"item_titles": ["a"]}, ValueError, r"`item_titles` must hold one text per"),
        ({"n_users": 0}, ValueError, r"`n_users` must be"),
        ({"user_ids": [1.5]}, ValueError, r"`user_ids` must be a 1-D array"),
    ],
)
def test_bad_input_gets_one_clear_line(params, error, message, steered, split):
    with pytest.raises(error, match=message) as caught:
        NeuronExplorer.from_model(steered, split[0], **params)
    assert "\n" not in str(caught.value)


def test_other_models_and_empty_rows_are_refused(steered, penalty, split):
    with pytest.raises(TypeError, match=r"`model` must be a SteeredRecommender; got P"):
        NeuronExplorer.from_model(penalty, split[0])
    with pytest.raises(ValueError, match=r"`X` must hold a user with interactions"):
        NeuronExplorer.from_model(steered, csr_array((3, 100)))


def test_html_that_is_only_a_string_is_refused(explorer):
    with pytest.raises(TypeError, match=r"`sections` must hold pairs"):
        explorer.to_html(sections=[("Heading", "<p>text</p>")])
    html = explorer.to_html(sections=[("A & B", Markup("<p>kept</p>"))])
    assert "<p>kept</p>" in html
    assert '<a href="#section-1">A &amp; B</a>' in html


def test_without_jinja2_the_extra_is_named(explorer, monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "jinja2"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r'pip install "skpopsteer\[report\]"'):
        explorer.to_html()
    # The notebook needs none.
    assert explorer.neuron(0)._repr_html_()
