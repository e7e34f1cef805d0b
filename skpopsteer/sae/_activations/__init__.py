"""Which activations are kept: one paper a file.

Each class has the same few methods, called without gradients:

- ``start(pre)``: see the first pre-activations (n_rows, n_neurons);
- ``select(pre)``: keep some of them, as codes;
- ``learn(codes, pre, by_value)``: given the gradient of the loss by each kept value,
  return what the paper adds to the loss, and to that gradient (None for nothing), and
  set the gradients of its own `parameters`;
- ``threshold``: what decides at inference, in the same units; None where TopK does.
"""

from skpopsteer.sae._activations._batch_topk import BatchTopK
from skpopsteer.sae._activations._jumprelu import JumpReLU
from skpopsteer.sae._activations._relu import ReLU
from skpopsteer.sae._activations._topk import TopK

__all__ = ["ACTIVATIONS", "BatchTopK", "JumpReLU", "ReLU", "TopK"]

ACTIVATIONS = {
    "topk": TopK,
    "batch_topk": BatchTopK,
    "jumprelu": JumpReLU,
    "relu": ReLU,
}
