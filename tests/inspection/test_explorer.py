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
from sklearn.decomposition import TruncatedSVD

from skpopsteer import (
    ConceptNeuronSelector,
    NeuronUnion,
    PopularityNeuronSelector,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import make_interactions
from skpopsteer.inspection import _explorer_activity, _explorer_catalogue
from skpopsteer.inspection._explorer import NeuronExplorer
from skpopsteer.inspection._explorer_activity import find_tops, measure_activity
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


def test_steered_items_must_all_fit(host, split, monkeypatch):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    reasons = {}
    for rule in ("scale", "offset"):
        model = SteeredRecommender(
            host, probe=probe, side="item", rule=rule, random_state=0
        ).fit(split[0])
        for limit in (99, 100):
            for name in ("_MOST_NUMBERS", "_MOST_NUMBERS_OFFSET"):
                monkeypatch.setattr(_explorer_catalogue, name, 8 * limit)
            explorer = NeuronExplorer.from_model(model, split[0], n_users=3)
            reasons[rule, limit] = explorer.data["steering"]["reason"]
    for rule in ("scale", "offset"):
        assert "needs all 100 of them" in reasons[rule, 99]
        assert reasons[rule, 100] is None


def test_a_page_of_the_usual_size_is_below_5_mb():
    data = make_interactions(400, 3_700, random_state=0)
    host = as_recommender(TruncatedSVD(64, random_state=0).fit(data.X))
    probe = SparseAutoencoderProbe(1024, k=32, max_iter=1, random_state=0)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0)
    model.fit(data.X)
    titles = [
        f"A title of a film as long as they are, nearly ({i})" for i in range(3_700)
    ]
    explorer = NeuronExplorer.from_model(
        model, data.X, item_titles=titles, random_state=0,
        item_features=data.item_concepts,
    )  # fmt: skip
    steering = explorer.data["steering"]
    assert steering["item_embeddings"].shape == (3_700, 64)
    assert steering["user"]["pre"].shape == (50, 1024)
    assert len(explorer.to_html().encode()) < 5_000_000


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
