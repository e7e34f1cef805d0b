"""The ways a scikit-learn user puts the pieces together."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline

from skpopsteer import (
    DecompositionRecommender,
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
)


def small_model(host):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    return SteeredRecommender(host, probe=probe, random_state=0)


def test_a_grid_over_strength_prefers_what_scores_best(host, split):
    X, y = split
    search = GridSearchCV(small_model(host), {"strength": [0.0, 0.5, 20.0]}, cv=3)
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert search.best_params_["strength"] == [0.0, 0.5, 20.0][np.argmax(scores)]
    assert scores[2] < 0.8 * scores[0]
    assert search.best_estimator_.recommender_ is host
    assert 0 < search.score(X, y) < 1


def test_a_grid_reaches_into_probe_and_selector(host, split):
    model = small_model(host).set_params(selector=PopularityNeuronSelector())
    grid = {"probe__k": [2, 4], "selector__threshold": [0.0, 0.2]}
    search = RandomizedSearchCV(model, grid, n_iter=2, cv=2, random_state=0)
    search.fit(*split)
    assert search.best_estimator_.probe_.k == search.best_params_["probe__k"]


def test_a_grid_over_the_parameters_of_a_frozen_host_is_refused(host, split):
    grid = {"recommender__n_recommendations": [5]}
    search = GridSearchCV(PopularityPenaltyReranker(host), grid, cv=2)
    with pytest.raises(ValueError, match=r"Invalid parameter|frozen"):
        search.fit(*split)
    assert host.n_recommendations == 10


def test_a_grid_over_an_unfrozen_host_trains_a_copy_for_each(split):
    host = DecompositionRecommender(TruncatedSVD(2, random_state=0))
    grid = {"recommender__decomposition__n_components": [2, 16]}
    search = GridSearchCV(PopularityPenaltyReranker(host), grid, cv=2).fit(*split)
    best = search.best_params_["recommender__decomposition__n_components"]
    assert search.best_estimator_.recommender_.item_embeddings_.shape == (100, best)
    assert not hasattr(host.decomposition, "components_")


def test_predictions_across_folds_cover_every_user(host, split):
    X, y = split
    ids = cross_val_predict(PopularityPenaltyReranker(host), X, y, cv=4)
    assert ids.shape == (200, 10)
    assert (np.diff(np.sort(ids, axis=1), axis=1) > 0).all()


def test_embed_probe_select_is_a_pipeline(host, interactions):
    popularity = interactions @ np.bincount(interactions.indices, minlength=100)
    pipeline = Pipeline(
        [
            ("embed", host),
            ("probe", SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)),
            ("select", PopularityNeuronSelector(n_neurons_to_select=5)),
        ]
    )
    Z = pipeline.fit(interactions, popularity).transform(interactions)
    assert Z.shape == (200, 5)
    names = pipeline[1:].get_feature_names_out()
    support = np.flatnonzero(pipeline[-1].get_support())
    assert names.tolist() == [f"sparseautoencoderprobe{i}" for i in support]


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_steered_embeddings_come_as_a_frame_on_request(host, interactions, backend):
    model = clone(small_model(host)).set_output(transform=backend).fit(interactions)
    frame = model.transform(interactions)
    assert list(frame.columns)[:2] == ["steeredrecommender0", "steeredrecommender1"]
    assert type(frame).__module__.startswith(backend)


def test_the_display_of_a_fitted_model_shows_its_parts(host, interactions):
    model = small_model(host).fit(interactions)
    assert "SparseAutoencoderProbe" in repr(model)
    html = model._repr_html_()
    assert "SteeredRecommender" in html
    assert "TruncatedSVD" in html
