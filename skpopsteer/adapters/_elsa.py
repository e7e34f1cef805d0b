"""Bridge to the library elsarec: the shallow linear autoencoder ELSA."""

import copy
from numbers import Integral

import joblib
import numpy as np

from skpopsteer._compat import HasMethods, Interval
from skpopsteer._validation import check_embeddings
from skpopsteer.adapters._base import EmbeddingAdapter


class ElsaRecommender(EmbeddingAdapter):
    """Bridge to a trained ELSA of the library elsarec.

    Every item is a vector of length 1, a row of A. A user is the sum of their items,
    ``U = X @ A``, each times its value in ``X``; a score is the product with an item,
    ``U @ A.T``. A user of one item, of value 1, has that item's embedding.

    ELSA does not tell whether it has been trained, so it is always taken as trained:
    ``fit`` refuses. Train it with its own ``fit`` and hand it over frozen, as
    ``as_recommender(model)``.

    Parameters
    ----------
    model : elsa.ELSA
        Trained model, on any device; it is only read.
    n_recommendations : int, default=10
        Length of the lists.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, d), dtype float32
        Rows of A: ``model.get_items_embeddings()`` at length 1.

    See Also
    --------
    as_recommender : Freeze a trained host of any kind.
    TorchRecommender : Bridge to autoencoders of your own.

    Notes
    -----
    ``ELSA.predict`` returns ``X @ A @ A.T - X``. What it subtracts is 0 for items a
    user has not seen, so the lists of unseen items are the same here, where nothing is
    subtracted; the scores of seen items are higher by their value in ``X``. Models are
    mostly trained on ones: pass rows of ones then.

    The only trace that training leaves beside the weights is the optimiser's, and a
    model whose weights were loaded from a file has none of it either. Rows are encoded
    by a sparse product, O(nnz · d), on the CPU; there is no table of users, so
    `user_ids` is refused. Pickles hold the model on the CPU.

    References
    ----------
    .. [1] V. Vančura et al., "Scalable Linear Shallow Autoencoder for Collaborative
       Filtering", RecSys 2022, doi:10.1145/3523227.3551482.

    Examples
    --------
    >>> import torch
    >>> from elsa import ELSA
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> X = make_interactions(100, 50, random_state=0).X
    >>> model = ELSA(n_items=50, n_dims=8, device=torch.device("cpu"))
    >>> losses = model.fit(X.toarray(), batch_size=32, epochs=5, verbose=False)
    >>> as_recommender(model).predict(X).shape
    (100, 10)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "model": [HasMethods(["get_items_embeddings", "parameters"])],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    #: No table of trained users: every row is encoded.
    user_embeddings_ = None
    #: Scores are products alone.
    item_bias_ = None

    def __init__(self, model, *, n_recommendations=10):
        self.model = model
        self.n_recommendations = n_recommendations

    @property
    def item_embeddings_(self):
        """Item embeddings of length 1, of shape (n_items, d)."""
        # The library returns a new tensor every time, and an optimiser changes the
        # parameters in place: only their versions tell.
        version = [(part.data_ptr(), part._version) for part in self.model.parameters()]
        return self._table("item_embeddings", self.model, _unit_rows, version)

    def __getstate__(self):
        state = super().__getstate__()
        if any(part.device.type != "cpu" for part in self.model.parameters()):
            # Whoever loads this may have no GPU; the caller's model stays where it is.
            state["model"] = _copied_to_cpu(self.model)
        return state

    def _holds_trained_model(self):
        return True

    def _content_key(self):
        return joblib.hash(self.item_embeddings_)

    def _fold_in(self, X):
        return np.asarray(X @ self.item_embeddings_, dtype=np.float32)


def _unit_rows(model):
    from torch.nn.functional import normalize

    rows = normalize(model.get_items_embeddings().float(), dim=-1)
    return check_embeddings("item_embeddings", rows.cpu().numpy())


def _copied_to_cpu(model):
    from torch.optim import Optimizer

    model = copy.deepcopy(model).cpu()
    model.set_device("cpu")
    for part in vars(model).values():
        if isinstance(part, Optimizer):
            # Loading moves its state to where the parameters are now.
            part.load_state_dict(part.state_dict())
    return model
