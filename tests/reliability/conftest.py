"""One process for all scripts of this folder, which has a small model at hand."""

import pytest

from tests.reliability.forked import script_runner

PRELUDE = """
import joblib, numpy as np, pyarrow as pa, pyarrow.parquet as pq
from sklearn.decomposition import TruncatedSVD
from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.datasets import make_interactions
from skpopsteer.persistence import load, save
from skpopsteer.steering import steer_blocks
import torch
torch.set_num_threads(1)

X = make_interactions(200, 100, random_state=0).X
host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
U = host.encode_users(X)
probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
model = SteeredRecommender(host, probe=probe, rule="shift", random_state=0).fit(X)


def training(path=None):
    return SparseAutoencoderProbe(
        64, k=4, batch_size=64, max_iter=15, tol=0, random_state=0, checkpoint=path,
        early_stopping=True, n_iter_no_change=15, n_init=2,
    )


def digest(fitted):
    arrays = [fitted.decoder_weights_, fitted.encoder_bias_, fitted.loss_curve_]
    return joblib.hash([np.asarray(array) for array in arrays])


def seconds_of(work):
    began = time.monotonic()
    assert end(start(work)) == 0
    return time.monotonic() - began
"""


@pytest.fixture(scope="session")
def run():
    with script_runner(PRELUDE) as run:
        yield run
