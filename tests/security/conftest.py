"""One hostile text in every place where somebody else's text can be."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD

from skpopsteer import (
    NeuronInterpreter,
    NeuronUnion,
    PopularityNeuronSelector,
    PopularityPenaltyReranker,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import make_interactions
from skpopsteer.inspection import (
    NeuronExplorer,
    PopularityAudit,
    ablate_neurons,
    compare,
    explain_changes,
    steering_report,
    steering_specificity,
)
from skpopsteer.metrics import RankingFrame
from skpopsteer.neurons import map_concepts
from tests.security.pages import EVIL

#: No name of a class can be written like this, but it can be made.
HostileSVD = type(EVIL, (TruncatedSVD,), {})


@pytest.fixture(scope="session")
def hostile(interactions, split):
    """Everything that prints itself, by its name."""
    X, y = split
    n_users, n_items = X.shape
    table = csr_array(make_interactions(200, 100, random_state=0).item_concepts)
    tags = [f"{EVIL} {n}" for n in range(table.shape[1])]
    titles = [f"{EVIL} {n}" for n in range(n_items)]
    users = [f"{EVIL} {n}" for n in range(n_users)]
    host = as_recommender(HostileSVD(8, random_state=0).fit(X))
    probe = SparseAutoencoderProbe(32, k=4, max_iter=3, random_state=0)
    union = NeuronUnion(
        [
            (EVIL.replace("__", ""), PopularityNeuronSelector()),
            ("other", PopularityNeuronSelector(n_neurons_to_select=2)),
        ],
        strengths={EVIL.replace("__", ""): -1.0},
    )
    model = SteeredRecommender(
        host, rule="shift", probe=probe, selector=union, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X)
        model.probe_.label_neurons({n: f"{EVIL} {n}" for n in range(32)})
        penalty = PopularityPenaltyReranker(host).fit(X)
        Z = model.probe_.transform(host.encode_users(X))
        concepts = np.random.default_rng(0).random((n_users, 3)) < 0.3
        names = [f"{EVIL} {n}" for n in range(3)]
        groups = np.array([f"{EVIL} {n % 2}" for n in range(n_users)])
        interpreter = NeuronInterpreter(host, model.probe_, random_state=0)
        interpreter.fit(X, item_features=(table, tags), item_titles=titles)
        frames = [
            RankingFrame(
                "recall@10", X, y, one.recommend(X), user_groups=groups, n_boot=20,
                random_state=0,
            )
            for one in (model, penalty)
        ]  # fmt: skip
        explorer = NeuronExplorer.from_model(
            model, X, y, item_titles=titles, user_names=users,
            item_features=(table, tags), random_state=0,
        )  # fmt: skip
        report = steering_report(
            model, X, y, n_users=5, item_titles=titles, user_names=users,
            rivals={EVIL: (penalty, [0.05, 0.2])}, strengths=[0.5, 1.0], random_state=0,
        )  # fmt: skip
        return {
            "model": model,
            "reranker": penalty,
            "explorer": explorer,
            "neuron": explorer.neuron(0),
            "report": report,
            "audit": PopularityAudit(host, random_state=0).fit(X, y),
            "comparison": compare({EVIL: model, "penalty": penalty}, X, y),
            "levels": report.comparison,
            "frame": frames[0],
            "paired": frames[0].compare(frames[1]),
            "specificity": steering_specificity(
                {EVIL: penalty}, X, y, attributes={EVIL: (table, tags)},
                n_boot=20, random_state=0,
            ),
            "ablation": ablate_neurons(
                model, X, y, neurons={EVIL: [3, 5]}, item_titles=titles,
                item_features=(table, tags), n_controls=3, random_state=0,
            ),
            "change": explain_changes(
                model, X[:3], item_titles=titles,
                neuron_labels={n: f"{EVIL} {n}" for n in range(32)},
            )[0],
            "concepts": interpreter.concepts_,
            "map": map_concepts(Z, concepts, names, rows="users"),
        }  # fmt: skip
