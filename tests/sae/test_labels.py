"""Labels name the columns of a probe, without a clash."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skpopsteer import SparseAutoencoderProbe

U = np.random.default_rng(0).normal(size=(50, 4))


@pytest.fixture
def probe():
    return SparseAutoencoderProbe(5, k=2, max_iter=1, random_state=0).fit(U)


def names(probe):
    return probe.get_feature_names_out().tolist()


def test_labels_are_added_changed_and_taken_away(probe):
    plain = names(probe)
    assert probe.label_neurons({0: "noir"}).label_neurons({np.int64(2): "war"}) is probe
    assert names(probe) == ["noir", plain[1], "war", *plain[3:]]
    probe.label_neurons({0: "crime", 2: ""})
    assert names(probe) == ["crime", *plain[1:]]
    assert probe.neuron_labels_ == {0: "crime"}


def test_names_stay_different(probe):
    probe.label_neurons({0: "noir", 1: "noir", 2: "sparseautoencoderprobe4"})
    assert names(probe)[:3] == ["noir (0)", "noir (1)", "sparseautoencoderprobe4 (2)"]
    assert len(set(names(probe))) == 5


def test_labels_end_where_neurons_do(probe):
    probe.label_neurons({0: "noir"})
    probe.partial_fit(U)
    assert probe.neuron_labels_ == {0: "noir"}
    probe.set_params(warm_start=True).fit(U)
    assert probe.neuron_labels_ == {0: "noir"}
    probe.set_params(warm_start=False).fit(U)
    assert probe.neuron_labels_ == {}
    with pytest.raises(NotFittedError):
        clone(probe).label_neurons({0: "noir"})


@pytest.mark.parametrize("labels", [{5: "a"}, {-1: "a"}, {0: 3}, {"0": "a"}])
def test_bad_labels_give_one_line_and_change_nothing(probe, labels):
    with pytest.raises(ValueError, match=r"^`labels` must map neurons, 0 to 4, to str"):
        probe.label_neurons({1: "kept out", **labels})
    assert probe.neuron_labels_ == {}
