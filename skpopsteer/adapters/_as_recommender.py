"""One call that freezes a trained host of any kind."""

from pathlib import Path

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skpopsteer.adapters._array import ArrayRecommender
from skpopsteer.adapters._base import EmbeddingAdapter
from skpopsteer.adapters._cornac import CornacRecommender
from skpopsteer.adapters._decomposition import DecompositionRecommender
from skpopsteer.adapters._elsa import ElsaRecommender
from skpopsteer.adapters._implicit import ImplicitRecommender
from skpopsteer.adapters._lenskit import LensKitRecommender
from skpopsteer.adapters._recbole import RecBoleRecommender
from skpopsteer.adapters._rectools import RecToolsRecommender

#: Bridges by the package their models come from.
_BRIDGES = {
    "cornac": CornacRecommender,
    "elsa": ElsaRecommender,
    "implicit": ImplicitRecommender,
    "lenskit": LensKitRecommender,
    "rectools": RecToolsRecommender,
}


def as_recommender(model):
    """Wrap a trained recommender, frozen: nothing will ever train or copy it.

    Parameters
    ----------
    model : object
        - a trained factorisation of implicit (ALS, BPR, LMF);
        - a trained model of Cornac (MF, PMF, NMF, WMF, BPR, VAECF, BiVAECF, RecVAE);
        - a trained ELSA of elsarec;
        - a trained scorer of LensKit with embeddings, or a pipeline with one;
        - the name of a checkpoint of RecBole, ending in ``.pth``;
        - a fitted transformer of RecTools (SASRec, BERT4Rec);
        - a fitted decomposition of scikit-learn (TruncatedSVD, NMF, PCA);
        - a tuple ``(user_embeddings, item_embeddings)`` or
          ``(user_embeddings, item_embeddings, item_bias)``;
        - an adapter that holds a trained model, such as :class:`TorchRecommender` or
          :class:`ArrayRecommender`;
        - what this function returned before.

    Returns
    -------
    FrozenEstimator
        ``clone`` gives the same object and ``fit`` does nothing, so a grid search
        neither copies nor retrains the host. Methods and attributes of the adapter are
        reached through it.

    Raises
    ------
    ValueError
        For a model that is not trained.
    TypeError
        For a model without embeddings, and for a bare torch module, which does not tell
        how it encodes users.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.adapters import as_recommender
    >>> U, V = np.eye(3, 2), np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> host = as_recommender((U, V))
    >>> host.recommend(np.zeros((1, 3)), 2, user_ids=[0])
    array([[0, 1]])
    """
    if isinstance(model, FrozenEstimator):
        check_is_fitted(model)
        return _frozen(model.estimator)
    return _frozen(_wrap(model))


def _wrap(model):
    if isinstance(model, EmbeddingAdapter):
        return model
    if isinstance(model, tuple):
        if len(model) not in (2, 3):
            raise ValueError(
                "`model` must be (user_embeddings, item_embeddings) or those and the "
                f"item_bias; got a tuple of {len(model)}. Pass two or three arrays."
            )
        return ArrayRecommender(
            model[0], model[1], item_bias=model[2] if len(model) == 3 else None
        )
    if isinstance(model, str | Path) and str(model).endswith(".pth"):
        return RecBoleRecommender(model)
    library = type(model).__module__.partition(".")[0]
    if library in _BRIDGES:
        return _BRIDGES[library](model)
    if isinstance(model, BaseEstimator) and hasattr(model, "inverse_transform"):
        return DecompositionRecommender(model)
    if hasattr(model, "parameters") and hasattr(model, "modules"):
        raise TypeError(
            "`model` must tell how users are encoded; got a bare torch module "
            f"{type(model).__name__}. Use as_recommender(TorchRecommender(module, "
            "encoder=..., item_embeddings=...))."
        )
    raise TypeError(
        "`model` must be a recommender with embeddings (implicit, scikit-learn, two "
        f"arrays, an adapter); got {type(model).__name__}. Wrap its tables: "
        "as_recommender((user_embeddings, item_embeddings))."
    )


def _frozen(adapter):
    if not isinstance(adapter, EmbeddingAdapter):
        raise TypeError(
            "`model` must be a recommender with embeddings; got a frozen "
            f"{type(adapter).__name__}. Pass the trained model itself."
        )
    adapter._check_model()
    if not adapter.__sklearn_is_fitted__():
        raise ValueError(
            "`model` must be trained; got an untrained host in "
            f"{type(adapter).__name__}. Train it first, or use the adapter itself: its "
            "fit trains a copy."
        )
    # Tables are checked once, here, and kept.
    _ = adapter.n_items_, adapter.item_bias_
    return FrozenEstimator(adapter)
