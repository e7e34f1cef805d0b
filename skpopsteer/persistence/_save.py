"""Write models to files that are read without pickle."""

import copy

from sklearn.base import BaseEstimator

from skpopsteer._compat import import_optional
from skpopsteer._whole_file import whole_file
from skpopsteer.adapters import (
    ElsaRecommender,
    RecBoleRecommender,
    RecToolsRecommender,
    TorchRecommender,
)
from skpopsteer.persistence._parts import OF_ONE_MACHINE, parts_of
from skpopsteer.persistence._paths import path_of
from skpopsteer.persistence._trusted import untrusted_types
from skpopsteer.steering._side import SteeredSide

__all__ = ["save", "without_folders"]


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
    and `checkpoint` are left out: those folders belong to one machine. Time and size
    are linear in the numbers the model holds; so is the memory, which holds them twice.

    Who is killed while saving leaves what was there, and a hidden file beside it, which
    the next save to that place removes. Several may save to one place at once: the last
    one stays.

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
    file = path_of(file)
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
    if file.is_dir():
        raise ValueError(
            f"`file` must be the name of a file; got the folder {str(file)!r}. Write "
            "folder / 'model.skops'."
        )
    _refuse_torch(model)
    model = without_folders(model, {})
    with whole_file(file) as unfinished:
        _refuse_untrusted(model, _dump(skops_io, model, unfinished))


def _dump(skops_io, model, file):
    """Write a new file, and return the names of types in it that `load` refuses."""
    try:
        with open(file, "wb") as stream:
            skops_io.dump(model, stream)
        return untrusted_types(skops_io, file)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error.__context__, MemoryError):
            # Closing what is half an archive fails too, and would hide the reason.
            raise error.__context__ from None
        raise ValueError(
            f"`model` must be of parts that skops can save; got {type(model).__name__}"
            f", of which skops says: {error}. Use arrays of numpy and models on the "
            "CPU, or joblib."
        ) from error


def without_folders(value, copies):
    """Copy the shells of estimators, without paths; arrays are not copied."""
    if id(value) in copies:
        return copies[id(value)]
    if type(value) in (list, tuple):
        return type(value)(without_folders(held, copies) for held in value)
    if type(value) is dict:
        return {key: without_folders(held, copies) for key, held in value.items()}
    if not isinstance(value, BaseEstimator | SteeredSide):
        return value
    # A part that is held twice is one part in the copy too.
    shell = copies[id(value)] = copy.copy(value)
    # What a host was read from is no folder of a training: it is refused by its name.
    left_out = () if isinstance(value, RecBoleRecommender) else OF_ONE_MACHINE
    for name, held in vars(shell).items():
        kept = None if name in left_out else without_folders(held, copies)
        vars(shell)[name] = kept
    return shell


def _refuse_torch(model):
    for part in parts_of(model):
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
    held = [item for part in parts_of(model) for item in vars(part).items()]
    for name, value in held:
        kind = value if hasattr(value, "__name__") else type(value)
        kind = f"{getattr(kind, '__module__', None)}.{kind.__name__}"
        if kind in untrusted:
            where, what = name, kind
    raise ValueError(
        f"`{where}` must be of a type that load trusts; got {what}. Change it, or bake "
        "it in with export_embeddings(X), or use joblib."
    )
