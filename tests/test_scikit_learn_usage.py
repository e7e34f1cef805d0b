"""The ways a scikit-learn user puts the pieces together."""

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RandomizedSearchCV,
    cross_val_predict,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skpopsteer import (
    DecompositionRecommender,
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.metrics import get_scorer, tail_share
from tests.instances import ESTIMATORS


def small_model(host):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    return SteeredRecommender(host, rule="shift", probe=probe, random_state=0)


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


@pytest.fixture
def popularity_of_all(interactions):
    """Counts of more users than a fold has, and groups that are not popularity's."""
    popularity = 10 + 3 * np.bincount(interactions.indices, minlength=100)
    return popularity, np.where(np.arange(100) % 2, 1, -1)


def test_popularity_and_groups_may_be_the_callers(host, split, popularity_of_all):
    X, y = split
    popularity, groups = popularity_of_all
    model = small_model(host)
    model.fit(X, item_popularity=popularity, item_groups=groups)
    assert model.item_popularity_.tolist() == popularity.tolist()
    assert model.item_groups_.tolist() == groups.tolist()
    assert model.n_users_ == popularity.max()
    assert get_scorer("tail_share@5")(model, X, y) == tail_share(
        model.recommend(X, 5), groups
    )
    assert np.isfinite(get_scorer("novelty@5")(model, X, y))
    # One row is one value per item as well.
    again = small_model(host).fit(
        X, item_popularity=popularity[None, :], item_groups=groups[None, :]
    )
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert (again.predict(X) != small_model(host).fit(X).predict(X)).any()
    penalty = PopularityPenaltyReranker(host).fit(X, item_popularity=popularity)
    assert penalty.item_popularity_.tolist() == popularity.tolist()


@pytest.mark.parametrize(
    ("params", "line"),
    [
        (
            {"item_popularity": np.ones(99)},
            r"`item_popularity` must hold one value per ",
        ),
        (
            {"item_popularity": -np.ones(100)},
            "`item_popularity` must hold finite number",
        ),
        (
            {"item_groups": np.ones((100, 1))},
            r"`item_groups` must hold one value per i",
        ),
        (
            {"item_groups": np.full(100, 2)},
            r"`item_groups` must hold 1 \(head\), 0 \(m",
        ),
        (
            {"item_groups": np.ones(100)},
            "`item_groups` must hold at least one head item",
        ),
    ],
)
def test_bad_popularity_and_groups_give_one_line(host, split, params, line):
    with pytest.raises(ValueError, match=f"^{line}"):
        small_model(host).fit(split[0], **params)


def test_metadata_reaches_fit_and_scorer(split, popularity_of_all):
    X, y = split
    popularity, groups = popularity_of_all
    svd = TruncatedSVD(8, random_state=0).fit(X)
    shuffled = np.random.default_rng(0).permutation(svd.transform(X))
    host = as_recommender((shuffled, svd.components_.T))
    ids = np.arange(200)[::-1]
    with config_context(enable_metadata_routing=True):
        model = small_model(host).set_fit_request(
            user_ids=True, item_popularity=True, item_groups=True
        )
        search = GridSearchCV(
            model, {"strength": [0.5]}, cv=2, scoring=get_scorer("tail_share@5")
        )
        search.fit(
            X, y, user_ids=ids, item_popularity=popularity[None, :],
            item_groups=groups[None, :],
        )  # fmt: skip
    best = search.best_estimator_
    assert best.item_popularity_.tolist() == popularity.tolist()
    half = slice(100, 200)
    by_hand = small_model(host).set_params(strength=0.5)
    by_hand.fit(
        X[half], user_ids=ids[half], item_popularity=popularity, item_groups=groups
    )
    lists = by_hand.recommend(X[:100], 5, user_ids=ids[:100])
    assert search.cv_results_["split0_test_score"][0] == tail_share(lists, groups)


def test_groups_of_users_stay_together(host, split):
    X, y = split
    households = np.repeat(np.arange(50), 4)
    search = GridSearchCV(
        PopularityPenaltyReranker(host), {"strength": [0.0, 0.1]}, cv=GroupKFold(5)
    )
    assert search.fit(X, y, groups=households).best_score_ > 0


def test_ids_reach_a_frozen_host_inside_a_pipeline(split):
    X, _ = split
    svd = TruncatedSVD(8, random_state=0).fit(X)
    shuffled = np.random.default_rng(0).permutation(svd.transform(X))
    host = as_recommender((shuffled, svd.components_.T))
    ids = np.arange(200)[::-1]
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    with config_context(enable_metadata_routing=True):
        host.set_transform_request(user_ids=True)
        pipeline = make_pipeline(host, probe)
        Z = pipeline.fit(X, None, user_ids=ids).transform(X, user_ids=ids)
    np.testing.assert_array_equal(Z, probe.transform(host.transform(X, ids)))


def test_neurons_stand_beside_other_features(host, interactions):
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    neurons = make_pipeline(host, probe)
    union = FeatureUnion([("embeddings", host), ("neurons", neurons)])
    both = union.fit_transform(interactions)
    assert both.shape == (200, 8 + 32)
    names = union.get_feature_names_out()
    assert names[0] == "embeddings__decompositionrecommender0"
    assert names[-1] == "neurons__sparseautoencoderprobe31"
    np.testing.assert_array_equal(both[:, 8:], neurons.transform(interactions))

    ages = np.random.default_rng(0).integers(18, 80, (200, 1))
    table = hstack([ages, interactions], format="csr")
    columns = ColumnTransformer(
        [("age", StandardScaler(with_mean=False), [0]),
         ("taste", neurons, slice(1, 101))],
        sparse_threshold=0,
    )  # fmt: skip
    features = columns.fit_transform(table)
    assert features.shape == (200, 33)
    np.testing.assert_allclose(features[:, 1:], neurons.transform(interactions))


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_neurons_come_as_a_frame_under_their_labels(interactions, backend):
    host = as_recommender(TruncatedSVD(8, random_state=0).fit(interactions))
    probe = SparseAutoencoderProbe(8, k=2, max_iter=3, random_state=0)
    pipeline = make_pipeline(host, probe).set_output(transform=backend)
    pipeline.fit(interactions)
    probe.label_neurons({1: "film-noir", 3: "blockbusters", 5: "film-noir"})
    frame = pipeline.transform(interactions)
    assert list(frame.columns) == [
        "sparseautoencoderprobe0", "film-noir (1)", "sparseautoencoderprobe2",
        "blockbusters", "sparseautoencoderprobe4", "film-noir (5)",
        "sparseautoencoderprobe6", "sparseautoencoderprobe7",
    ]  # fmt: skip
    assert list(pipeline.get_feature_names_out()) == list(frame.columns)
    if backend == "polars":  # whose names scikit-learn 1.6 does not read
        return
    selector = PopularityNeuronSelector(n_neurons_to_select=2)
    groups = np.where(np.arange(200) < 100, 1, -1)
    chosen = selector.fit(frame, groups).get_feature_names_out()
    support = np.flatnonzero(selector.get_support())
    assert chosen.tolist() == [frame.columns[i] for i in support]


def test_the_html_of_every_estimator_links_to_its_page(host):
    for estimator in [small_model(host), *ESTIMATORS]:
        name = type(estimator).__name__
        folder = type(estimator).__module__.split(".")[1]
        page = f"/api/skpopsteer.{folder}.{name}.html"
        assert page in estimator._repr_html_()
