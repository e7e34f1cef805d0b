"""A few facts below the diagram of a model, whatever state it is in."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.utils import estimator_html_repr

from skpopsteer import (
    DecompositionRecommender,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.neurons import NeuronSubset
from skpopsteer.steering._html import host_words, panel_rows

PANEL = '<table class="skpopsteer-panel">'


@pytest.fixture(scope="module")
def model(host, split):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    return SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(
        split[0]
    )


def html_of(model):
    """What a notebook shows, which has two ways to ask."""
    bundle = model._repr_mimebundle_()["text/html"]
    assert bundle.partition(PANEL)[2] == model._repr_html_().partition(PANEL)[2]
    return bundle


def test_the_panel_is_below_the_diagram(model):
    html = html_of(model)
    assert html.count(PANEL) == 1
    assert html.startswith("<style>")
    assert html.index("SparseAutoencoderProbe") < html.index(PANEL)
    diagram, _, panel = html.partition(PANEL)
    assert "sk-top-container" in diagram
    assert panel.endswith("</table>")


def test_rows_say_what_the_model_is(model):
    rows = dict(panel_rows(model))
    assert rows["Host"] == "DecompositionRecommender (TruncatedSVD), 100 items"
    assert rows["Knob"] == "rule 'shift', strength 1, side 'user'"
    weights = model.selector_.steering_weights_
    assert rows["Turned"] == f"{np.count_nonzero(weights)} of 32 neurons of users"
    assert rows["Furthest down"].startswith(f"{np.argmax(weights)} (-1.00), ")
    assert rows["Furthest up"].startswith(f"{np.argmin(weights)} (+1.00), ")
    explained = f"{100 * (1 - model.probe_.fvu_):.1f} %"
    assert rows["Nothing turned"] == (
        f"the host's own lists; the autoencoder explains {explained} of the variance "
        "of users"
    )


def test_rows_follow_the_knobs_that_are_set(model):
    turned = clone(model).set_params(strength=0.25, unpopular_strength=2.0)
    fitted = pickle.loads(pickle.dumps(model)).set_params(
        strength=0.25, unpopular_strength=2.0, reconstruction="replace"
    )
    assert panel_rows(turned) == []
    rows = dict(panel_rows(fitted))
    assert "strength 0.25 (2 for unpopular profiles)" in rows["Knob"]
    assert rows["Nothing turned"].startswith("the lists of the reconstruction")


def test_both_sides_have_rows(host, split):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, probe=probe, side="both", random_state=0)
    rows = panel_rows(model.fit(split[0]))
    turned = [text for name, text in rows if name == "Turned"]
    assert [text.rpartition(" ")[2] for text in turned] == ["users", "items"]
    assert "of users and" in rows[-1][1]


def test_neurons_are_called_by_their_labels_and_escaped(model):
    labelled = pickle.loads(pickle.dumps(model))
    weights = labelled.selector_.steering_weights_
    labelled.probe_.label_neurons({
        int(np.argmax(weights)): "<script>alert(1)</script>",
        int(np.argmin(weights)): "x" * 100,
    })  # fmt: skip
    _, _, panel = html_of(labelled).partition(PANEL)
    assert "<script>" not in panel
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in panel
    assert "x" * 39 + "…" in panel
    assert "x" * 41 not in panel


# Odd states.


def test_nothing_is_added_before_fit(host):
    for model in (
        SteeredRecommender(host, rule="shift"),
        SteeredRecommender(None, rule="shift"),
    ):
        assert PANEL not in html_of(model)


def test_text_stays_text_where_that_is_asked_for(model):
    with sklearn.config_context(display="text"):
        assert set(model._repr_mimebundle_()) == {"text/plain"}
        assert not hasattr(model, "_repr_html_")


def test_a_diagram_of_others_is_left_alone(model):
    assert PANEL not in estimator_html_repr(model)


class Halves(TransformerMixin, BaseEstimator):
    """Probe with nothing but what a probe has to have."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.concatenate([np.maximum(X, 0), np.maximum(-X, 0)], axis=1)

    def inverse_transform(self, Z):
        return Z[:, : Z.shape[1] // 2] - Z[:, Z.shape[1] // 2 :]


def test_a_probe_that_says_nothing_of_itself(host, split):
    model = SteeredRecommender(host, rule="shift", probe=Halves(), random_state=0).fit(
        split[0]
    )
    rows = dict(panel_rows(model))
    assert rows["Turned"].endswith("of 16 neurons of users")
    assert rows["Nothing turned"] == "the host's own lists"
    assert PANEL in html_of(model)


def test_a_knob_without_neurons(host, split):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    model = SteeredRecommender(host, probe=probe, selector=NeuronSubset([]))
    rows = dict(panel_rows(model.fit(split[0])))
    assert rows["Turned"] == "0 of 32 neurons of users"
    assert "Furthest up" not in rows


@pytest.mark.parametrize(
    ("name", "value"),
    [("strength", "high"), ("recommender_", None), ("_user_side", object())],
)
def test_a_model_that_is_broken_shows_its_diagram(model, name, value):
    broken = pickle.loads(pickle.dumps(model))
    vars(broken)[name] = value
    html = html_of(broken)
    assert "sk-top-container" in html


def test_hosts_are_named_by_classes_alone():
    svd = TruncatedSVD(2)
    adapter = DecompositionRecommender(svd)
    assert host_words(adapter) == "DecompositionRecommender (TruncatedSVD)"
    tables = as_recommender((np.eye(3), np.eye(3)))
    assert host_words(tables) == "ArrayRecommender"
