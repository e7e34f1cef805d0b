"""Save models to files that can be loaded without running code out of them."""

import copy
import os
import pathlib
import uuid
import zipfile

from sklearn.base import BaseEstimator

from skpopsteer._compat import import_optional
from skpopsteer.adapters import (
    ElsaRecommender,
    RecToolsRecommender,
    TorchRecommender,
)
from skpopsteer.adapters._export import CACHES
from skpopsteer.adapters._implicit import count_extra_columns
from skpopsteer.steering._side import SteeredSide

__all__ = ["TRUSTED_TYPES", "load", "save"]

#: All that :func:`load` accepts beyond what skops trusts by itself, which is numpy's
#: arrays and the estimators of scikit-learn. A name stands here only after a review of
#: what its constructor and ``__setstate__`` do with content somebody else has written:
#: those below store it and do nothing else.
TRUSTED_TYPES = (
    "implicit.cpu.als.AlternatingLeastSquares",
    "implicit.cpu.bpr.BayesianPersonalizedRanking",
    "implicit.cpu.lmf.LogisticMatrixFactorization",
    "numpy.dtype",
    "scipy.sparse._csr.csr_array",
    "sklearn.utils._bunch.Bunch",
    "skpopsteer.adapters._array.ArrayRecommender",
    "skpopsteer.adapters._decomposition.DecompositionRecommender",
    "skpopsteer.adapters._implicit.ImplicitRecommender",
    "skpopsteer.neurons._concept.ConceptNeuronSelector",
    "skpopsteer.neurons._concept_table.ConceptTable",
    "skpopsteer.neurons._control.ControlSelector",
    "skpopsteer.neurons._describers._enrichment.EnrichmentDescriber",
    "skpopsteer.neurons._describers._tfidf.TfidfDescriber",
    "skpopsteer.neurons._effect_size.cohens_d",
    "skpopsteer.neurons._interpreter.NeuronInterpreter",
    "skpopsteer.neurons._popularity.PopularityNeuronSelector",
    "skpopsteer.neurons._subset.NeuronSubset",
    "skpopsteer.neurons._union.NeuronUnion",
    "skpopsteer.popularity.PopularityGroups",
    "skpopsteer.rerankers._calibrated_popularity.CalibratedPopularityReranker",
    "skpopsteer.rerankers._difference_of_means.DifferenceOfMeansReranker",
    "skpopsteer.rerankers._fair_top_k.FairTopKReranker",
    "skpopsteer.rerankers._inverse_popularity.InversePopularityReranker",
    "skpopsteer.rerankers._item_bias.ItemBiasReranker",
    "skpopsteer.rerankers._max_min_exposure.MaxMinExposureReranker",
    "skpopsteer.rerankers._mmr.MMRReranker",
    "skpopsteer.rerankers._norm_tempering.NormTemperingReranker",
    "skpopsteer.rerankers._penalty.PopularityPenaltyReranker",
    "skpopsteer.rerankers._personal_targets.PersonalTargetReranker",
    "skpopsteer.rerankers._profile_popularity.ProfilePopularityReranker",
    "skpopsteer.rerankers._spread_tempering.SpreadTemperingReranker",
    "skpopsteer.rerankers._tail_quota.TailQuotaReranker",
    "skpopsteer.rerankers._xquad.XQuADReranker",
    "skpopsteer.sae._probe.SparseAutoencoderProbe",
    "skpopsteer.steering._gradient.GradientPopularityAdjuster",
    "skpopsteer.steering._relevance_calibrator.RelevanceCalibrator",
    "skpopsteer.steering._relevance_features.PoolFeatures",
    "skpopsteer.steering._side.SteeredSide",
    "skpopsteer.steering._slot_pricing.SlotPricingRecommender",
    "skpopsteer.steering._steered.SteeredRecommender",
    "skpopsteer.steering._tuned.TunedSteeringCV",
)
#: What skops raises for a file that is cut off, or that no version of it wrote.
_BROKEN = (AttributeError, KeyError, TypeError, ValueError, zipfile.BadZipFile)


def save(model, file):
    """Save a model in the format of skops, which :func:`load` reads without pickle.

    Parameters
    ----------
    model : estimator
        Of skpopsteer, fitted or not, around a host of arrays, scikit-learn or implicit
        (on the CPU). It is left as it is.
    file : str or path-like
        Where to save, usually ending in ``.skops``. An existing file is replaced, and
        only by a complete one.

    Raises
    ------
    TypeError
        For anything but an estimator.
    ValueError
        For a model with a torch host, or with a part that `load` would refuse, such as
        a function of your own as `fold_in` or `user_strength`; and for a folder that
        does not exist. No file is written then.

    See Also
    --------
    load : Read the file.

    Notes
    -----
    The file holds the host, the fitted parts and the versions that made them. `memory`
    of `model` is left out: the folder of a cache belongs to one machine. Time and size
    are linear in the numbers the model holds; so is the memory, which holds them twice.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import PopularityPenaltyReranker, as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.persistence import load, save
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = PopularityPenaltyReranker(host, strength=0.2).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "model.skops"
    ...     save(model, file)
    ...     loaded = load(file)
    >>> bool((loaded.predict(X) == model.predict(X)).all())
    True
    """
    skops_io = import_optional("skops.io", "persistence")
    file = pathlib.Path(file)
    if not isinstance(model, BaseEstimator):
        raise TypeError(
            f"`model` must be an estimator; got {type(model).__name__}. Wrap a trained "
            "model: as_recommender(model)."
        )
    if not file.parent.is_dir():
        raise ValueError(
            f"`file` must lie in a folder that exists; got {str(file)!r}. Make the "
            "folder first."
        )
    _refuse_torch(model)
    model = _without_cache_folders(model, {})
    # In the same folder, or the replacement would be a copy, which can stop half-way.
    unfinished = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        _refuse_untrusted(model, _dump(skops_io, model, unfinished))
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)


def load(file):
    """Load a model that :func:`save` wrote, running no code out of the file.

    Parameters
    ----------
    file : str or path-like
        The file.

    Returns
    -------
    estimator
        It recommends as the saved one did. Loading needs neither a GPU nor torch.

    Raises
    ------
    ValueError
        For a file that holds a type that is not trusted, before anything of it is
        imported or made, and for a file that is broken.

    Warns
    -----
    UserWarning
        When other versions of skpopsteer or scikit-learn saved the file.

    See Also
    --------
    save : Write the file.

    Notes
    -----
    Trusted are the names in `TRUSTED_TYPES` and, by skops, the arrays of numpy and the
    estimators of scikit-learn; what the file says about trust is not asked. `memory`
    is always None, so that no file can name a folder of pickles to read from. For types
    of your own there is ``skops.io.load(file, trusted=[*TRUSTED_TYPES, ...])``, which
    checks the types alone. Time and memory are linear in the size of the file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skpopsteer import PopularityNeuronSelector
    >>> from skpopsteer.persistence import load, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(PopularityNeuronSelector(fdr=0.1), pathlib.Path(folder) / "a.skops")
    ...     load(pathlib.Path(folder) / "a.skops")
    PopularityNeuronSelector(fdr=0.1)
    """
    skops_io = import_optional("skops.io", "persistence")
    file = pathlib.Path(file)
    try:
        untrusted = _untrusted(skops_io, file)
        if not untrusted:
            model = skops_io.load(file, trusted=list(TRUSTED_TYPES))
    except _BROKEN as error:
        raise ValueError(
            f"`file` must be whole and written by save; got {str(file)!r}, of which "
            f"skops says: {error}. Save the model again."
        ) from error
    if untrusted:
        raise ValueError(
            f"`file` must hold types of TRUSTED_TYPES only; got {untrusted[0]}. Ask "
            "who made it: a file with other types may run code when it is loaded."
        )
    for part in _parts(model):
        _make_safe(part)
    return model


def _dump(skops_io, model, file):
    """Write a new file, and return the names of types in it that `load` refuses."""
    try:
        with open(file, "xb") as stream:
            skops_io.dump(model, stream)
            stream.flush()
            os.fsync(stream.fileno())
        return _untrusted(skops_io, file)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"`model` must be of parts that skops can save; got {type(model).__name__}"
            f", of which skops says: {error}. Use arrays of numpy and models on the "
            "CPU, or joblib."
        ) from error


def _untrusted(skops_io, file):
    """Return the names of types that a file holds and `load` refuses."""
    return sorted(set(skops_io.get_untrusted_types(file=file)) - set(TRUSTED_TYPES))


def _without_cache_folders(value, copies):
    """Copy the shells of estimators, `memory` None in each; arrays are not copied."""
    if id(value) in copies:
        return copies[id(value)]
    if type(value) in (list, tuple):
        return type(value)(_without_cache_folders(held, copies) for held in value)
    if not isinstance(value, BaseEstimator):
        return value
    # A part that is held twice is one part in the copy too.
    shell = copies[id(value)] = copy.copy(value)
    for name, held in vars(shell).items():
        kept = None if name == "memory" else _without_cache_folders(held, copies)
        vars(shell)[name] = kept
    return shell


def _refuse_torch(model):
    for part in _parts(model):
        if isinstance(part, ElsaRecommender | RecToolsRecommender | TorchRecommender):
            raise ValueError(
                "`model` must hold no torch module to be saved without pickle; got one "
                f"in {type(part).__name__}. Save the vectors of export_embeddings(X), "
                "or use joblib."
            )


def _refuse_untrusted(model, untrusted):
    """Name the first part that `load` would refuse, by its parameter if it is one."""
    if not untrusted:
        return
    where, what = "model", untrusted[0]
    held = [item for part in _parts(model) for item in vars(part).items()]
    for name, value in held:
        kind = value if hasattr(value, "__name__") else type(value)
        kind = f"{getattr(kind, '__module__', None)}.{kind.__name__}"
        if kind in untrusted:
            where, what = name, kind
    raise ValueError(
        f"`{where}` must be of a type that load trusts; got {what}. Change it, or bake "
        "it in with export_embeddings(X), or use joblib."
    )


def _parts(value):
    """Return all estimators, sides and models of implicit in there, each once."""
    found, waiting = {}, [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif id(value) not in found and (
            isinstance(value, BaseEstimator | SteeredSide) or _is_implicit(value)
        ):
            found[id(value)] = value
            waiting.append(vars(value))
    return list(found.values())


def _is_implicit(value):
    return type(value).__module__.startswith("implicit.")


def _make_safe(part):
    """Take from a loaded part what the content of a file must not decide."""
    if vars(part).get("memory") is not None:
        part.memory = None
    if not _is_implicit(part):
        return
    # The compiled solvers of implicit trust these to fit each other, and read beyond
    # the end of an array that does not.
    for name in CACHES:
        if hasattr(part, name):
            setattr(part, name, None)
    tables = [vars(part).get(name) for name in ("user_factors", "item_factors")]
    if all(table is None for table in tables):
        return
    width = vars(part).get("factors", 0) + count_extra_columns(part)
    widths = [getattr(table, "shape", ())[1:] for table in tables]
    if widths != [(width,), (width,)]:
        raise ValueError(
            f"`file` must hold tables of {width} factors in {type(part).__name__}; got "
            f"{widths}. Save the model again."
        )
