"""The same seed gives the same neurons: twice, in other processes, on some threads.

Lists of one fitted object, cut and served in any way, are tried in
tests/reliability/test_same_lists.py.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
import torch
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.datasets import make_interactions
from tests.conftest import ROOT

ACTIVATIONS = ["topk", "batch_topk", "jumprelu", "relu"]
#: Of the package: data, a host, an autoencoder, and the neurons that are chosen of it.
SCRIPT = """
import json, sys
import joblib, numpy as np, torch
torch.set_num_threads(1)
np.random.seed(int(sys.argv[1]))
torch.manual_seed(int(sys.argv[1]))
from tests.numerics.test_same_seed import ACTIVATIONS, digests
print(json.dumps({name: digests(name) for name in ACTIVATIONS}))
"""


@contextmanager
def on_threads(n_threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads)
        with threadpool_limits(n_threads):
            yield
    finally:
        torch.set_num_threads(before)


def digests(activation, seed=0):
    """Fit everything anew; return hashes of the weights, the neurons and the lists."""
    X = make_interactions(200, 100, random_state=0).X
    host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    probe = SparseAutoencoderProbe(64, k=4, max_iter=4, activation=activation)
    model = SteeredRecommender(host, probe=probe, side="both", rule="shift")
    model.set_params(random_state=seed, probe__random_state=seed).fit(X)
    sides = [model.probe_, model.item_probe_]
    selectors = [model.selector_, model.item_selector_]
    return {
        "host": joblib.hash(host.encode_users(X)),
        "weights": [
            joblib.hash([one.encoder_weights_, one.decoder_weights_, one.encoder_bias_])
            for one in sides
        ],
        "neurons": [
            np.flatnonzero(one.steering_weights_).tolist() for one in selectors
        ],
        "effects": joblib.hash([one.scores_ for one in selectors]),
        "lists": joblib.hash(model.recommend(X, return_scores=True)),
    }


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_twice(activation):
    with on_threads(1):
        first, again = digests(activation), digests(activation)
    assert first == again
    assert all(map(len, first["neurons"]))


def test_the_seed_decides():
    with on_threads(1):
        first, other = digests("topk"), digests("topk", seed=1)
    assert first["host"] == other["host"]
    assert first["weights"] != other["weights"]
    assert first["lists"] != other["lists"]


def test_twice_on_two_threads():
    U = np.random.default_rng(0).normal(size=(600, 16)).astype("f4")
    probe = SparseAutoencoderProbe(64, k=4, max_iter=3, random_state=0)
    with on_threads(2):
        hashes = {joblib.hash(probe.fit(U).decoder_weights_) for _ in range(3)}
    assert len(hashes) == 1


def test_in_two_processes():
    found = []
    for number in ("1", "2"):
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT, number],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                # Sets then go through their members in another order.
                "PYTHONHASHSEED": number,
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(result.stdout))
    assert found[0] == found[1]
    assert set(found[0]) == set(ACTIVATIONS)
    assert len({str(one["weights"]) for one in found[0].values()}) == len(ACTIVATIONS)
