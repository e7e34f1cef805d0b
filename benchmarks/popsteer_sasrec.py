"""PopSteer on its own ground: RecTools' SASRec on ML-100K and ML-1M, three seeds each.

What do the published forms and ours reach at 97, 95 and 90 % of NDCG@10, beside a
penalty on popularity and controls? Strengths are chosen on validation, figures are of
the test. Runs in ``.venv-rectools``, which it makes. SASRec is trained once a seed;
models, vectors and lists are kept in ``output/popsteer_sasrec``. Needs ``ml-100k`` or
``ml-1m`` in ``../shared/data``; written to ``results/popsteer_sasrec.md``.
"""

import os
import pathlib
import subprocess
import time
from importlib.util import find_spec

import joblib
import numpy as np
from peers.report_sasrec import SWEEP, write_report
from peers.sasrec import SHARED, histories, quiet, read, train
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer

from skpopsteer import (
    NeuronSubset,
    PopularityGroups,
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.adapters import RecToolsRecommender
from skpopsteer.metrics import average_popularity, coverage, gini, ndcg, tail_share
from skpopsteer.popularity import item_popularity, synthetic_profiles
from skpopsteer.topk import forbid, row_blocks, top_k

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = ROOT / "output" / "popsteer_sasrec"
SETS, SEEDS = ("ml-100k", "ml-1m"), (0, 1, 2)
SHARES = (0.97, 0.95, 0.9)
LAMBDAS = (
    0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5,
    0.6, 0.8, 1,
)  # fmt: skip
ALPHAS = (
    0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 1, 1.25, 1.5, 2,
    3, 4,
)  # fmt: skip
#: Steps along the difference of means.
STEPS = (0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.25, 0.3, 0.4, 0.5)
#: α_pop and α_unpop of version 2, in all pairs.
PAIRS = (0, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 4)
N_DRAWS = 5


class EncodedOnce(RecToolsRecommender):
    """The bridge, which remembers what it made of the matrices of one seed."""

    remembered: dict = {}  # noqa: RUF012

    def _fold_in(self, X):
        key = hash((X.indptr.tobytes(), X.indices.tobytes(), X.data.tobytes()))
        if key not in self.remembered:
            self.remembered[key] = super()._fold_in(X)
        return self.remembered[key]


class DifferenceOfMeans:
    """Subtract a share of the difference between popular and unpopular profiles."""

    def __init__(self, host, X, seed):
        groups = PopularityGroups().label(item_popularity(X))
        profiles, kinds = synthetic_profiles(
            X, groups, as_sequences=True, random_state=seed
        )
        U = host.encode_sequences(profiles)
        self.host = host
        self.difference = U[kinds == 1].mean(axis=0) - U[kinds == -1].mean(axis=0)

    def set_params(self, strength):
        """Set the share of the difference that is subtracted."""
        self.strength = strength

    def transform(self, X):
        """Return moved embeddings."""
        return self.host.encode_users(X) - self.strength * self.difference


def lists(host, model, params, X):
    """Return lists of ten with the history masked, and not."""
    model.set_params(**params)
    if isinstance(model, PopularityPenaltyReranker):
        return {m: model.recommend(X, exclude_seen=m) for m in (True, False)}
    U = model.transform(X)
    found = {m: np.empty((len(U), 10), dtype=np.int64) for m in (True, False)}
    for rows in row_blocks(*X.shape):
        scores = host.decode(U[rows])
        found[False][rows] = top_k(scores, 10)[0]
        forbid(scores, X[rows])
        found[True][rows] = top_k(scores, 10)[0]
    return found


def steered(host, X, seed, *, n_neurons=1024, aux_penalty=1 / 32, **params):
    """Return a fitted SteeredRecommender; a probe is trained once a size."""
    probe = SparseAutoencoderProbe(
        n_neurons, k=32, aux_penalty=aux_penalty, random_state=seed
    )
    params = {
        "probe": probe, "random_state": seed,
        "memory": joblib.Memory(CACHE / "joblib", verbose=0), **params,
    }  # fmt: skip
    return SteeredRecommender(host, **({"rule": "shift"} | params)).fit(X)


def published(host, X, seed, version, **selection):
    """Return a published form: 4,096 neurons, and the reconstruction alone."""
    form = {"groups": PopularityGroups("count", head=0.1, tail=0.1)}
    if version == 1:
        selection["weighting"] = "joint"
        form = {"groups": PopularityGroups("mass"), "shift_scale": "opposite"}
    return steered(
        host, X, seed, n_neurons=4096, aux_penalty=0.5, reconstruction="replace",
        selector=PopularityNeuronSelector(**selection), **form,
    )  # fmt: skip


def blind(host, X, seed, ours, kind, draw):
    """Return the default form with weights that say nothing of the neurons' meaning."""
    weights = ours.selector_.steering_weights_
    rng = np.random.default_rng(1000 * seed + draw)
    if kind == "permuted":
        weights = rng.permutation(weights)
    else:
        weights = np.abs(weights) * rng.choice([-1.0, 1.0], len(weights))
    # Turned down where a weight is positive, as a popularity selector turns.
    chosen = {int(j): -float(weights[j]) for j in np.flatnonzero(weights)}
    probe = FrozenEstimator(ours.probe_)
    return steered(host, X, seed, probe=probe, selector=NeuronSubset(chosen))


def families(host, X, seed):
    """Return models by method, each with the settings it may choose from."""
    strengths = [{"strength": alpha} for alpha in ALPHAS]
    pairs = [{"strength": a, "unpopular_strength": b} for a in PAIRS for b in PAIRS]
    ours = steered(host, X, seed)
    identity = FunctionTransformer()
    penalty = PopularityPenaltyReranker(host).fit(X)
    return {
        "penalty": [(penalty, [{"strength": s} for s in LAMBDAS])],
        "v1": [
            (published(host, X, seed, 1, n_neurons_to_select=n), strengths)
            for n in (512, 4096)
        ],
        "v2": [(published(host, X, seed, 2, threshold=b), pairs) for b in (0.0, 1.0)],
        "ours": [(ours, strengths)],
        "ours, per user": [
            (steered(host, X, seed, user_strength="profile"), strengths)
        ],
        "raw dimensions": [(steered(host, X, seed, probe=identity), strengths)],
        "difference of means": [
            (DifferenceOfMeans(host, X, seed), [{"strength": s} for s in STEPS])
        ],
        "ours, weights permuted": [
            (blind(host, X, seed, ours, "permuted", 0), strengths)
        ],
        "ours, random signs": [(blind(host, X, seed, ours, "signs", 0), strengths)],
    }


def measure(found, y, groups):
    """Return NDCG@10, Gini, coverage and tail share of lists."""
    n_items = len(groups)
    return (
        ndcg(y, found), gini(found, n_items), coverage(found, n_items),
        tail_share(found, groups),
    )  # fmt: skip


def search(host, models, parts, groups, floors):
    """Return what is chosen for every mask and share: model, setting, lists; or None.

    Chosen is the lowest Gini on validation among the settings that keep the share of
    the host's NDCG@10 there.
    """
    X, y = parts["valid"]
    tried = []
    for number, (model, settings) in enumerate(models):
        for params in settings:
            ids = lists(host, model, params, X)
            scores = {mask: measure(ids[mask], y, groups) for mask in ids}
            tried.append((number, params, scores))
    chosen = {}
    for mask, floor in floors.items():
        for share in SHARES:
            able = [one for one in tried if one[2][mask][0] >= share * floor]
            chosen[mask, share] = None
            if able:
                number, params, _ = min(able, key=lambda one: one[2][mask][1])
                ids = lists(host, models[number][0], params, parts["test"][0])[mask]
                chosen[mask, share] = number, params, ids
    return chosen


def describe(host, model, parts, groups, own):
    """Return what is told of an autoencoder and its neurons."""
    X, y = parts["test"]
    d, U, probe = model.selector_.scores_, host.encode_users(X), model.probe_
    decoded = probe.inverse_transform(probe.transform(U))
    lengths = np.linalg.norm(U, axis=1) * np.linalg.norm(decoded, axis=1)
    form = model.reconstruction
    model.set_params(reconstruction="replace", unpopular_strength=None)
    plain = measure(lists(host, model, {"strength": 0}, X)[True], y, groups)
    model.set_params(reconstruction=form)
    return {
        "FVU": probe.fvu_,
        "mean cosine": float(np.mean((U * decoded).sum(axis=1) / lengths)),
        "dead neurons": probe.dead_neurons_.mean(),
        "NDCG@10 kept by the reconstruction": plain[0] / own[0],
        "Gini of the reconstruction, less the host's": plain[1] - own[1],
        "neurons that never fire for profiles or users": int(
            model.selector_.silent_neurons_.sum()
        ),
        "neurons with d > 0": int((d > 0).sum()),
        "neurons with d < 0": int((d < 0).sum()),
        "neurons with d of 1 and more": int((d >= 1).sum()),
        "neurons with d of -1 and less": int((d <= -1).sum()),
        "largest d": d.max(),
        "smallest d": d.min(),
    }


def directions(host, X, seed, ours, strength, parts, groups):
    """Return figures at one strength, of the weights and of weights gone blind."""
    rows, y = parts["test"]

    def figures(model, strength):
        ids = lists(host, model, {"strength": strength}, rows)[True]
        return measure(ids, y, groups)

    found = {
        "ours": [figures(ours, strength)],
        "signs flipped": [figures(ours, -strength)],
    }
    for name, kind in {"weights permuted": "permuted", "random signs": "signs"}.items():
        found[name] = [
            figures(blind(host, X, seed, ours, kind, draw), strength)
            for draw in range(N_DRAWS)
        ]
    return {name: np.mean(values, axis=0) for name, values in found.items()}


def sweep(host, models, parts, groups, popularity):
    """Return figures of the test, history not masked, along the strengths."""
    rows, y = parts["test"]
    forms = {
        "v1": (models["v1"][-1][0], {}),
        "v2, popular neurons only": (models["v2"][0][0], {"unpopular_strength": 0.0}),
        "ours": (models["ours"][0][0], {}),
    }
    found = {}
    for form, (model, params) in forms.items():
        found[form] = []
        for alpha in SWEEP:
            ids = lists(host, model, {"strength": alpha, **params}, rows)[False]
            mean = average_popularity(ids, popularity)
            found[form].append((*measure(ids, y, groups), mean))
    return found


def analyse(name, seed, folder):
    """Return all that is measured on one trained SASRec."""
    from rectools.models import load_model

    bridge = EncodedOnce(load_model(folder / "model.pickle"))
    bridge.remembered = {}
    host = as_recommender(bridge)
    parts = histories(host, *read(name))
    X, (rows, y) = parts["valid"][0], parts["test"]
    popularity = item_popularity(X)
    groups = PopularityGroups().label(popularity)
    own = {mask: host.recommend(rows, exclude_seen=mask) for mask in (True, False)}
    floors = {
        mask: ndcg(parts["valid"][1], host.recommend(X, exclude_seen=mask))
        for mask in own
    }
    models, chosen = families(host, X, seed), {}
    for method, candidates in models.items():
        start = time.perf_counter()
        chosen[method] = search(host, candidates, parts, groups, floors)
        print(f"{name} {seed}: {method}, {time.perf_counter() - start:.0f} s")
    scores = {mask: measure(own[mask], y, groups) for mask in own}
    strength = chosen["ours"][True, 0.95][1]["strength"]
    return {
        "y": y,
        "groups": groups,
        "floors": floors,
        "n_interactions": X.nnz,
        "own": own,
        "chosen": chosen,
        "neurons": {
            method: describe(host, models[method][-1][0], parts, groups, scores[True])
            for method in ("v1", "v2", "ours")
        },
        "strength": strength,
        "sweep": sweep(host, models, parts, groups, popularity),
        "popularity": average_popularity(own[False], popularity),
        "directions": directions(
            host, X, seed, models["ours"][0][0], strength, parts, groups
        ),
    }


def in_own_environment():
    """Run again where RecTools is, unless this is there already."""
    if find_spec("rectools"):
        return True
    subprocess.run(["make", ".venv-rectools/.installed"], cwd=ROOT, check=True)
    python = ROOT / ".venv-rectools" / "bin" / "python"
    subprocess.run([str(python), __file__], check=True, env=os.environ)
    return False


def main():
    """Train, measure, and write the tables again after every model."""
    sets = [name for name in SETS if (SHARED / name / "interactions.npz").is_file()]
    for name in sorted(set(SETS) - set(sets)):
        print(f"{name} is not in ../shared/data beside the repository: skipped")
    if not sets or not in_own_environment():
        return
    quiet()
    results = {}
    for seed in SEEDS:
        for name in sets:
            folder = CACHE / f"{name}-{seed}"
            if not (folder / "training.json").exists():
                train(name, seed, folder)
            if not (folder / "result.joblib").exists():
                joblib.dump(analyse(name, seed, folder), folder / "result.joblib")
            results.setdefault(name, []).append(
                (joblib.load(folder / "result.joblib"), folder)
            )
            write_report(results)


if __name__ == "__main__":
    main()
