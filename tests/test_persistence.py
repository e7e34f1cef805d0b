"""Saved models come back with the same lists, and bring nothing else along."""

import copy
import importlib
import os
import pathlib
import pkgutil
import subprocess
import sys
from functools import cache

import joblib
import numpy as np
import pytest
import skops.io
import torch
from scipy.sparse import save_npz
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.utils import get_tags

import skpopsteer
from skpopsteer import (
    ConceptNeuronSelector,
    NeuronInterpreter,
    NeuronUnion,
    PopularityGroups,
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.model_selection import hide_interactions
from skpopsteer.neurons import EnrichmentDescriber, TfidfDescriber
from skpopsteer.persistence import TRUSTED_TYPES, load, save
from skpopsteer.steering import TunedSteeringCV
from tests.hosts import HOSTS, LINEAR, WITH_USER_IDS
from tests.instances import ESTIMATORS

ROOT = pathlib.Path(__file__).parents[1]
TORCH = ["elsa", "autoencoder", "mult_vae", "sequence_model"]
#: Models of types that `load` does not trust.
FOREIGN = [name for name in HOSTS if name.startswith(("cornac_", "recbole_"))]
PLAIN = [name for name in HOSTS if name not in TORCH + FOREIGN]
KNOBS = {
    "user": {},
    "item": {"side": "item", "rule": "scale"},
    "both": {"side": "both", "user_strength": "profile", "keep_top": 3},
}
CASES = [
    (name, knobs) for name in HOSTS for knobs in KNOBS if name in LINEAR or "u" in knobs
]


@cache
def steered(name, knobs="user", **params):
    host = HOSTS[name]()
    probe = SparseAutoencoderProbe(32, k=4, max_iter=2, random_state=0)
    params = {"strength": 2.0, "random_state": 0, **KNOBS[knobs], **params}
    return SteeredRecommender(
        host.recommender, probe=probe, **({"rule": "shift"} | params)
    ).fit(host.X)


def fitted(estimator, X):
    """Fit a clone on what its kind is fitted on."""
    estimator = clone(estimator)
    if get_tags(estimator).target_tags.required and hasattr(estimator, "recommend"):
        return estimator.fit(*hide_interactions(X, random_state=0))
    if hasattr(estimator, "recommend"):
        return estimator.fit(X)
    rows = np.random.default_rng(0).normal(size=(60, 8))
    groups = np.repeat([-1, 0, 1], 20)
    is_concept = isinstance(estimator, ConceptNeuronSelector)
    return estimator.fit(rows, groups == 1 if is_concept else groups)


@cache
def tuned():
    host = HOSTS["truncated_svd"]()
    X, y = hide_interactions(host.X, random_state=0)
    penalty = PopularityPenaltyReranker(host.recommender)
    search = TunedSteeringCV(
        penalty, target=0.6, cv=2, param_grid={"keep_top": [0, 1]}, random_state=0
    )
    return search.fit(X, y)


def outputs(model, name):
    """Return all that a model serves for the rows of a host."""
    X = HOSTS[name]().X
    rows = np.arange(X.shape[0])
    results = [*model.recommend(X, return_scores=True), model.decision_function(X)]
    if name in WITH_USER_IDS:
        results.append(model.predict(X, user_ids=rows))
    if hasattr(model, "strength"):
        results += [model.recommend(X, strength=value) for value in (0, -1.0)]
    return results


def assert_equal_outputs(model, loaded, name):
    assert type(loaded) is type(model)
    for ours, theirs in zip(outputs(model, name), outputs(loaded, name), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def through_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


def through_mapped_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib", mmap_mode="r")


def through_skops(model, folder):
    save(model, folder / "model.skops")
    return load(folder / "model.skops")


def through_skops_itself(model, folder):
    return skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)


@pytest.mark.parametrize("way", [through_joblib, through_mapped_joblib])
@pytest.mark.parametrize(("name", "knobs"), CASES)
def test_joblib_gives_equal_lists(name, knobs, way, tmp_path):
    model = steered(name, knobs)
    assert_equal_outputs(model, way(model, tmp_path), name)


@pytest.mark.parametrize("way", [through_skops, through_skops_itself])
@pytest.mark.parametrize(
    ("name", "knobs"), [case for case in CASES if case[0] in PLAIN]
)
def test_skops_gives_equal_lists(name, knobs, way, tmp_path):
    model = steered(name, knobs)
    loaded = way(model, tmp_path)
    assert_equal_outputs(model, loaded, name)
    # One host, not one for the parameter and one for the fitted part.
    assert loaded.recommender_ is loaded.recommender


@pytest.mark.parametrize("way", [through_joblib, through_skops])
@pytest.mark.parametrize("name", PLAIN)
def test_hosts_and_rerankers_come_back_alone(name, way, tmp_path):
    host = HOSTS[name]()
    penalty = PopularityPenaltyReranker(host.recommender, keep_top=1).fit(host.X)
    for model in (host.recommender, host.recommender.estimator, penalty):
        assert_equal_outputs(model, way(model, tmp_path), name)


@pytest.mark.parametrize("way", [through_joblib, through_skops])
def test_components_in_any_order_score_to_the_last_bit(way, tmp_path, interactions):
    svd = TruncatedSVD(16, random_state=0).fit(interactions)
    # A view of every other column: numpy saves it in an order of its own.
    svd.components_ = np.repeat(svd.components_, 2, axis=1)[:, ::2]
    host = as_recommender(svd)
    scores = way(host, tmp_path).decision_function(interactions)
    np.testing.assert_array_equal(scores, host.decision_function(interactions))


@pytest.mark.parametrize("way", [through_joblib, through_skops])
def test_probe_and_selector_come_back_alone(way, tmp_path):
    model = steered("als")
    U = HOSTS["als"]().recommender.user_embeddings_
    probe, selector = way(model.probe_, tmp_path), way(model.selector_, tmp_path)
    np.testing.assert_array_equal(probe.transform(U), model.probe_.transform(U))
    Z = model.probe_.pre_activations(U)
    np.testing.assert_array_equal(selector.transform(Z), model.selector_.transform(Z))
    # Training goes on where it stopped, the optimiser included.
    again = probe.set_params(warm_start=True).fit(U)
    expected = clone(model.probe_).set_params(warm_start=True)
    vars(expected).update(vars(model.probe_), warm_start=True)
    np.testing.assert_array_equal(
        again.encoder_weights_, expected.fit(U).encoder_weights_
    )


def test_fitted_state_holds_no_tensor():
    state, waiting, seen = [], [vars(steered("als").probe_)], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        assert not isinstance(value, torch.Tensor)
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        else:
            state.append(type(value))
    assert np.ndarray in state
    assert seen > 20


@pytest.mark.parametrize("way", [through_joblib, through_skops])
def test_a_search_comes_back_with_what_it_found(way, tmp_path):
    model = tuned()
    loaded = way(model, tmp_path)
    X = HOSTS["truncated_svd"]().X
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_equal(dict(loaded.path_), dict(model.path_))
    np.testing.assert_equal(loaded.cv_results_, model.cv_results_)
    assert loaded.path_.strengths is loaded.path_["strengths"]
    assert loaded.best_params_ == model.best_params_


@pytest.mark.parametrize("way", [through_joblib, through_skops])
def test_parameters_survive(way, tmp_path, interactions):
    model = SteeredRecommender(
        HOSTS["truncated_svd"]().recommender,
        probe=PCA(4, random_state=np.random.RandomState(3)),
        selector=PopularityNeuronSelector(fdr=0.9),
        groups=PopularityGroups("mass", head=0.3, tail=0.3),
        unpopular_strength=np.float64(0.5),
        random_state=np.random.RandomState(7),
    )
    loaded = way(model, tmp_path)
    assert loaded.groups == model.groups
    assert loaded.selector.score_func is model.selector.score_func
    assert loaded.unpopular_strength == 0.5
    for ours, theirs in [
        (model.random_state, loaded.random_state),
        (model.probe.random_state, loaded.probe.random_state),
    ]:
        np.testing.assert_equal(theirs.get_state(), ours.get_state())
    expected = model.fit(interactions).decision_function(interactions)
    np.testing.assert_array_equal(
        loaded.fit(interactions).decision_function(interactions), expected
    )


_SERVE = """
import pathlib, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("torch is absent", name=name)

sys.meta_path.insert(0, NoTorch())
import joblib, numpy as np
from scipy.sparse import load_npz
from skpopsteer.neurons import EnrichmentDescriber, TfidfDescriber
from skpopsteer.model_selection import hide_interactions
from skpopsteer.persistence import load
folder = pathlib.Path(sys.argv[1])
files = [*sorted(folder.glob("*.skops")), *sorted(folder.glob("*.joblib"))]
models = [(load if file.suffix == ".skops" else joblib.load)(file) for file in files]
assert "torch" not in sys.modules
# The autoencoder looks for its largest activations with torch, on the CPU.
sys.meta_path.pop(0)
for file, model in zip(files, models, strict=True):
    assert model.probe_.device == "cuda"
    lists = model.predict(load_npz(folder / "X.npz"))
    np.testing.assert_array_equal(lists, np.load(folder / f"{file.stem}.npy"))
    print(file.name)
"""


def test_loading_needs_neither_torch_nor_a_gpu(tmp_path):
    save_npz(tmp_path / "X.npz", HOSTS["als"]().X)
    for name in PLAIN:
        model = copy.deepcopy(steered(name))
        model.probe_.set_params(device="cuda")
        np.save(tmp_path / f"{name}.npy", model.predict(HOSTS[name]().X))
        save(model, tmp_path / f"{name}.skops")
        joblib.dump(model, tmp_path / f"{name}.joblib")
    done = subprocess.run(
        [sys.executable, "-c", _SERVE, str(tmp_path)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 * len(PLAIN)


@pytest.mark.parametrize("kind", ["recommender", "probe", "selector", "reranker"])
def test_another_version_warns(kind, tmp_path, monkeypatch):
    model = steered("truncated_svd")
    model = {
        "recommender": model,
        "probe": model.probe_,
        "selector": model.selector_,
        "reranker": PopularityPenaltyReranker(model.recommender),
    }[kind]
    with monkeypatch.context() as patch:
        patch.setattr("skpopsteer._compat.__version__", "0.0.1")
        save(model, tmp_path / "a.skops")
        joblib.dump(model, tmp_path / "a.joblib")
    for read, file in [(load, "a.skops"), (joblib.load, "a.joblib")]:
        with pytest.warns(UserWarning, match=r"the versions that saved it .*0\.0\.1"):
            read(tmp_path / file)


@pytest.fixture(scope="module")
def knobs():
    """A host with several knobs, one of them a concept."""
    host = HOSTS["truncated_svd"]()
    concepts = np.random.default_rng(0).integers(0, 2, (host.X.shape[1], 3))
    selector = NeuronUnion(
        [
            ("concept", ConceptNeuronSelector("b")),
            ("popularity", PopularityNeuronSelector()),
        ],
        strengths={"concept": 0.4},
    )
    model = SteeredRecommender(
        host.recommender,
        probe=SparseAutoencoderProbe(32, k=4, max_iter=2, refine=2, random_state=0),
        selector=selector,
        rule="interpolate",
        random_state=0,
    )
    return model.fit(host.X, item_features=(concepts, list("abc"))), host.X, concepts


def interpreted(model, X, concepts, describer):
    interpreter = NeuronInterpreter(
        model, describer=describer, n_cases=2, random_state=0
    )
    return interpreter.fit(
        X,
        item_features=(concepts, list("abc")),
        item_titles=[f"title {i}" for i in range(X.shape[1])],
    )


def test_trusted_types_are_all_that_is_needed_and_nothing_more(
    interactions, knobs, tmp_path
):
    models = [fitted(estimator, interactions) for estimator in ESTIMATORS]
    models += [*(steered(name) for name in PLAIN), tuned()]
    models += [
        knobs[0],
        *(interpreted(*knobs, d) for d in (EnrichmentDescriber(), TfidfDescriber())),
    ]
    models.append(clone(steered("als")).set_params(groups=PopularityGroups()))
    needed = set()
    for model in models:
        save(model, tmp_path / "model.skops")
        load(tmp_path / "model.skops")
        needed |= set(skops.io.get_untrusted_types(file=tmp_path / "model.skops"))
    assert needed == set(TRUSTED_TYPES)
    assert sorted(TRUSTED_TYPES) == list(TRUSTED_TYPES)


def _public_estimators():
    for module in pkgutil.walk_packages(skpopsteer.__path__, "skpopsteer."):
        if "._" not in module.name:
            public = importlib.import_module(module.name)
            for name in getattr(public, "__all__", []):
                value = getattr(public, name)
                if isinstance(value, type) and issubclass(value, BaseEstimator):
                    yield f"{value.__module__}.{name}"


def test_every_public_estimator_is_trusted_but_those_that_need_pickle():
    estimators = set(_public_estimators())
    assert len(estimators) > 7
    assert estimators - set(TRUSTED_TYPES) == {
        "skpopsteer.adapters._cornac.CornacRecommender",
        "skpopsteer.adapters._elsa.ElsaRecommender",
        "skpopsteer.adapters._lenskit.LensKitRecommender",
        # It holds functions, and a function of somebody's is code.
        "skpopsteer.neurons._describers._callable.CallableDescriber",
        "skpopsteer.adapters._recbole.RecBoleRecommender",
        "skpopsteer.adapters._rectools.RecToolsRecommender",
        "skpopsteer.adapters._torch.TorchRecommender",
        # What it found is a table, to be kept as one.
        "skpopsteer.inspection._popularity_audit.PopularityAudit",
    }


@pytest.mark.parametrize("name", TRUSTED_TYPES)
def test_trusted_names_are_where_the_thing_is_defined(name):
    module, _, attribute = name.rpartition(".")
    thing = getattr(importlib.import_module(module), attribute)
    # A name that a module has merely imported would trust another module's thing.
    assert f"{thing.__module__}.{thing.__qualname__}" == name


def test_several_knobs_come_back(knobs, tmp_path):
    model, X, _ = knobs
    loaded = through_skops(model, tmp_path)
    for strength in (None, {"concept": 0.7}):
        np.testing.assert_array_equal(
            loaded.recommend(X, strength=strength),
            model.recommend(X, strength=strength),
        )


@pytest.mark.parametrize("describer", ["enrichment", "tfidf"])
def test_what_neurons_mean_comes_back(knobs, tmp_path, describer):
    model, X, concepts = knobs
    interpreter = interpreted(model, X, concepts, describer)
    loaded = through_skops(interpreter, tmp_path)
    assert str(loaded.concepts_) == str(interpreter.concepts_)
    assert loaded.labels_ == interpreter.labels_
