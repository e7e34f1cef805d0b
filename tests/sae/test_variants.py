"""Every variant reconstructs, keeps what it promises, and codes rows by themselves."""

import pickle

import numpy as np
import pytest
from sklearn.decomposition import NMF, PCA, TruncatedSVD

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.metrics import average_popularity
from skpopsteer.persistence import load, save
from skpopsteer.popularity import item_popularity

VARIANTS = {
    "topk": {},
    "batch_topk": {"activation": "batch_topk"},
    "jumprelu": {"activation": "jumprelu"},
    "relu": {"activation": "relu"},
    "matryoshka": {"activation": "batch_topk", "nested_sizes": [16, 48]},
    "cosine": {"loss": "cosine"},
    "prediction": {"loss": "prediction"},
    "standardized": {"standardize_rows": True},
    "median": {"center": "median"},
    "resampled": {"resample_every": 3},
    "early": {"early_stopping": True, "n_iter_no_change": 3},
}


@pytest.fixture(scope="module")
def planted():
    """5,000 sparse sums of 48 directions around a mean far from zero."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(48, 24))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    codes = rng.gamma(4.0, size=(5000, 48)) * (rng.random((5000, 48)) < 4 / 48)
    return (codes @ directions + 3 * rng.normal(size=24)).astype(np.float32)


@pytest.fixture(scope="module")
def items():
    return np.random.default_rng(1).normal(size=(60, 24))


def probe_of(name, **params):
    settings = {"k": 8, "batch_size": 256, "max_iter": 25, "random_state": 0}
    return SparseAutoencoderProbe(96, **{**settings, **VARIANTS[name], **params})


def fit(probe, X, items):
    if probe.loss == "prediction":
        return probe.fit(X, item_embeddings=items)
    return probe.fit(X)


@pytest.fixture(scope="module", params=VARIANTS)
def fitted(request, planted, items):
    return fit(probe_of(request.param), planted, items)


def test_rows_are_explained(fitted, planted):
    decoded = fitted.inverse_transform(fitted.transform(planted), planted)
    centred = planted - planted.mean(axis=0)
    fvu = ((planted - decoded) ** 2).sum() / (centred**2).sum()
    assert fitted.fvu_ == pytest.approx(fvu, rel=1e-4)
    assert fitted.score(planted) == pytest.approx(1 - fvu, rel=1e-4)
    assert fvu < 0.35


def test_few_neurons_fire(fitted, planted):
    Z = fitted.transform(planted)
    assert Z.min() >= 0
    assert fitted.l0_ == pytest.approx((Z > 0).sum(axis=1).mean())
    np.testing.assert_array_equal(fitted.dead_neurons_, ~(Z > 0).any(axis=0))
    if fitted.activation == "topk":
        assert (Z > 0).sum(axis=1).max() <= 8
    elif fitted.activation != "relu":
        assert 5 < fitted.l0_ < 12


def test_a_code_does_not_depend_on_the_rows_it_comes_with(fitted, planted):
    together = fitted.transform(planted[:50])
    alone = np.vstack([fitted.transform(planted[[i]]) for i in range(50)])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-4)
    pre = fitted.pre_activations(planted[:50])
    np.testing.assert_array_equal(fitted.activate(pre), together)
    sparse = fitted.set_params(sparse_output=True).transform(planted[:50])
    fitted.set_params(sparse_output=False)
    np.testing.assert_array_equal(sparse.toarray(), together)


def test_directions_have_unit_length(fitted):
    lengths = np.linalg.norm(fitted.decoder_weights_, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_copies_code_alike(fitted, planted, tmp_path):
    Z = fitted.transform(planted[:20])
    save(fitted, tmp_path / "probe.skops")
    for copy in (pickle.loads(pickle.dumps(fitted)), load(tmp_path / "probe.skops")):
        np.testing.assert_array_equal(copy.transform(planted[:20]), Z)
        copy.set_params(warm_start=True, max_iter=1)
        if copy.loss != "prediction":
            copy.fit(planted)


@pytest.mark.parametrize("name", VARIANTS)
def test_scaling_the_rows_changes_no_direction(name, planted, items):
    first = fit(probe_of(name, max_iter=3), planted, items)
    again = fit(probe_of(name, max_iter=3), 8.0 * planted, items)
    np.testing.assert_allclose(
        again.decoder_weights_, first.decoder_weights_, atol=2e-3
    )
    pre = first.pre_activations(planted[:100])
    scale = 1.0 if first.standardize_rows else 8.0
    np.testing.assert_allclose(
        again.pre_activations(8.0 * planted[:100]), scale * pre, rtol=2e-2, atol=0.2
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_it_steers(name, host, interactions):
    probe = probe_of(name, max_iter=5)
    model = SteeredRecommender(host, rule="shift", probe=probe, random_state=0).fit(
        interactions
    )
    popularity = item_popularity(interactions)
    host_lists = host.recommend(interactions)
    np.testing.assert_array_equal(model.recommend(interactions, strength=0), host_lists)
    lists = model.recommend(interactions, strength=2.0)
    assert average_popularity(lists, popularity) < average_popularity(
        host_lists, popularity
    )


def test_nested_dictionaries_reconstruct_alone(planted):
    plain = probe_of("topk").fit(planted)
    nested = probe_of("topk", nested_sizes=[16, 48]).fit(planted)
    centred = ((planted - planted.mean(axis=0)) ** 2).sum()

    def fvu_of_first(probe, n):
        Z = probe.transform(planted)
        Z[:, n:] = 0
        return ((planted - probe.inverse_transform(Z)) ** 2).sum() / centred

    for n in (16, 48):
        assert fvu_of_first(nested, n) < 0.8 * fvu_of_first(plain, n)


def test_a_loss_of_predictions_keeps_scores_that_matter(planted):
    """Items look along four of the features only: the rest need not be explained."""
    V = np.zeros((50, 24))
    V[:, :4] = np.random.default_rng(0).normal(size=(50, 4))
    params = {"k": 3, "max_iter": 120}
    plain = probe_of("topk", **params).fit(planted)
    aware = probe_of("prediction", **params).fit(planted, item_embeddings=V)

    def score_error(probe):
        decoded = probe.inverse_transform(probe.transform(planted))
        return (((planted - decoded) @ V.T) ** 2).sum()

    assert score_error(aware) < 0.5 * score_error(plain)
    assert aware.fvu_ > plain.fvu_


def test_reconstructions_of_a_cosine_have_the_length_of_the_rows(planted):
    probe = probe_of("cosine").fit(planted)
    decoded = probe.inverse_transform(probe.transform(planted)).astype(np.float64)
    best = (decoded * planted).sum() / (decoded**2).sum()
    assert best == pytest.approx(1.0, abs=1e-3)


def test_standardised_rows_need_their_scale_back(planted):
    probe = probe_of("standardized").fit(planted)
    Z = probe.transform(planted)
    np.testing.assert_allclose(probe.transform(5 * planted + 2), Z, atol=2e-2)
    back = probe.inverse_transform(Z, planted)
    plain = probe.inverse_transform(Z)
    deviation = planted.std(axis=1, keepdims=True)
    mean = planted.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(plain * deviation + mean, back, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"nested_sizes": [48, 16]}, r"`nested_sizes` must ascend from 1 or more to a"),
        ({"nested_sizes": [0, 16]}, r"`nested_sizes` must ascend from 1 or more to at"),
        ({"nested_sizes": [16, 200]}, r"`nested_sizes` must ascend from 1 or more to "),
        (
            {"nested_sizes": [16], "activation": "relu"},
            "`nested_sizes` must be None for an activation with a penalty; got some f",
        ),
        ({"loss": "prediction"}, "`item_embeddings` must be given for loss='predictio"),
        ({"k": 97}, r"`k` must be at most `n_neurons` \(96\); got 97"),
    ],
)
def test_bad_parameters_give_one_line(planted, params, line):
    with pytest.raises(ValueError, match=f"^{line}"):
        probe_of("topk", **params).fit(planted)


def test_bad_items_give_one_line(planted, items):
    with pytest.raises(ValueError, match=r"^`item_embeddings` must be given for loss="):
        probe_of("topk").fit(planted, item_embeddings=items)
    with pytest.raises(ValueError, match=r"^`item_embeddings` must have 24 columns"):
        probe_of("prediction").fit(planted, item_embeddings=items[:, :5])


@pytest.mark.parametrize("rule", ["shift", "scale"])
def test_decompositions_of_scikit_learn_stand_in_for_a_probe(interactions, rule):
    """PCA has signed activations, which can be shifted; NMF wants rows that are not
    negative, as an NMF host has them."""
    host = as_recommender(NMF(8, init="nndsvda", max_iter=500).fit(interactions))
    probe = NMF(6, init="nndsvda", max_iter=2000, random_state=0)
    if rule == "shift":
        host = as_recommender(TruncatedSVD(8, random_state=0).fit(interactions))
        probe = PCA(6, random_state=0)
    model = SteeredRecommender(host, probe=probe, rule=rule, random_state=0)
    model.fit(interactions)
    own = host.recommend(interactions)
    np.testing.assert_array_equal(model.recommend(interactions, strength=0), own)
    popularity = item_popularity(interactions)
    steered = model.recommend(interactions, strength=1.0)
    assert average_popularity(steered, popularity) < average_popularity(own, popularity)
