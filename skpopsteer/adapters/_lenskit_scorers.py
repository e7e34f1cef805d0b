"""The scorers of LensKit with embeddings, and where their tables lie."""

import copy
import re
from typing import NamedTuple

#: The first release whose pipelines and tables have the names below.
_OLDEST = (2025, 6)


class Places(NamedTuple):
    """Where a scorer keeps its tables: of several paths, the first that is set."""

    user_embeddings: tuple
    item_embeddings: tuple
    item_bias: tuple = ()
    #: Items are stored as (d, n_items).
    transposed: bool = False
    #: The last column of the items is their bias; users hold 1 there.
    last_column_is_bias: bool = False


_TABLES = ("user_embeddings",), ("item_embeddings",)
# The layers of a LightGCN, where there are some, are what is scored with.
_FLEXMF = Places(
    ("model.u_layers", "model.u_embed.weight"),
    ("model.i_layers", "model.i_embed.weight"),
    ("model.i_bias.weight",),
)
PLACES = {
    "ALS": Places(*_TABLES),
    "BPR": Places(*_TABLES, ("item_embeddings",), last_column_is_bias=True),
    "BiasedMFScorer": Places(*_TABLES, ("bias.item_biases",)),
    "BiasedSVDScorer": Places(
        ("user_components_",),
        ("factorization_.components_",),
        ("bias_.item_biases",),
        transposed=True,
    ),
    "FlexMFExplicitScorer": _FLEXMF,
    "FlexMFImplicitScorer": _FLEXMF,
    "FunkSVDScorer": Places(*_TABLES, ("bias.item_biases",)),
    "HPFScorer": Places(("user_features_",), ("item_features_",)),
    "ImplicitMFScorer": Places(*_TABLES),
    "NMFScorer": Places(("user_components",), ("item_components",)),
}


def find_scorer(model):
    """Find the scorer with embeddings in a pipeline, or return the scorer itself.

    Parameters
    ----------
    model : Component or Pipeline of LensKit

    Returns
    -------
    Component
    """
    scorer = choose(model)
    if scorer is not None:
        return scorer
    parts = _parts(model)
    several = [name for name, part in parts.items() if _has_embeddings(part)]
    if several:
        raise ValueError(
            "`model` must be a pipeline with one scorer with embeddings, or one named "
            f"'scorer'; got {', '.join(several)}. Pass pipeline.component(name)."
        )
    names = ", ".join(type(part).__name__ for part in parts.values())
    raise TypeError(
        "`model` must be a scorer of LensKit with user and item embeddings "
        f"({', '.join(PLACES)}) or a pipeline with one; got {names}. "
        "Wrap tables of your own: as_recommender((user_embeddings, item_embeddings))."
    )


def check_release(release):
    """Refuse releases of LensKit that name their tables otherwise, in one line.

    Parameters
    ----------
    release : str
    """
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers and tuple(map(int, numbers.groups())) < _OLDEST:
        raise ValueError(
            f"`lenskit` must be release {_OLDEST[0]}.{_OLDEST[1]} or later; got "
            f"{release}. Upgrade it, or wrap the tables: "
            "as_recommender((user_embeddings, item_embeddings, item_bias))."
        )


def _parts(model):
    """Name the components of a pipeline; a scorer is a pipeline of one."""
    if not hasattr(model, "nodes"):
        return {"scorer": model}
    return {
        node.name: node.component
        for node in model.nodes()
        if hasattr(node, "component")
    }


def choose(model):
    """Return the scorer that `find_scorer` finds, or None where it would raise.

    Parameters
    ----------
    model : object

    Returns
    -------
    Component or None
    """
    found = {
        name: part for name, part in _parts(model).items() if _has_embeddings(part)
    }
    return next(iter(found.values())) if len(found) == 1 else found.get("scorer")


def _has_embeddings(part):
    kind = type(part)
    return kind.__module__.startswith("lenskit.") and kind.__name__ in PLACES


def find(part, paths):
    """Return what the first path that leads somewhere leads to, or None.

    Parameters
    ----------
    part : object
    paths : iterable of str
        Names of attributes, such as "model.i_embed.weight".

    Returns
    -------
    object or None
    """
    for path in paths:
        found = part
        for name in path.split("."):
            found = getattr(found, name, None)
        if found is not None:
            return found
    return None


def convert(source, name, places):
    """Convert a table of LensKit to an array of one row per user or item.

    Parameters
    ----------
    source : ndarray or torch.Tensor
        What lies at a path of the table.
    name : {"user_embeddings", "item_embeddings", "item_bias"}
    places : Places

    Returns
    -------
    ndarray of shape (n_rows, d)
    """
    table = source
    if hasattr(source, "detach"):
        table = source.detach().float().cpu().numpy()
    if table.ndim == 3:
        table = table.mean(axis=0)
    if name == "item_bias":
        # A vector, a table of one column or the last column of the items.
        return table.reshape(len(table), -1)[:, -1:]
    if name == "item_embeddings" and places.transposed:
        table = table.T
    return table[:, :-1] if places.last_column_is_bias else table


def copied_to_cpu(model):
    """Copy a model of FlexMF, or a pipeline with one, to the CPU.

    Parameters
    ----------
    model : Component or Pipeline of LensKit

    Returns
    -------
    Component or Pipeline
    """
    model = copy.deepcopy(model)
    module = find_scorer(model).model.cpu()
    # They are no buffers of the module, which therefore leaves them where they are.
    for name in ("u_layers", "i_layers"):
        layers = getattr(module, name, None)
        if layers is not None:
            setattr(module, name, layers.cpu())
    return model
