"""One table of trained hosts, each from the real library, with that library's lists.

A library that cannot be installed beside the others has its own environment (see the
targets of the Makefile); the table then holds what is installed.
"""

from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec

from tests.hosts.host import (
    MAX_LENGTH,
    N_ITEMS,
    N_USERS,
    WIDTH,
    Host,
    lists_by_hand,
    snapshot,
    timed_interactions,
    weighted_interactions,
)

__all__ = [
    "HOSTS",
    "LINEAR",
    "MAX_LENGTH",
    "N_ITEMS",
    "N_USERS",
    "WAYS",
    "WIDTH",
    "WITH_USER_IDS",
    "Host",
    "lists_by_hand",
    "snapshot",
    "timed_interactions",
    "weighted_interactions",
]

#: Modules of this folder, and the package each of them needs.
_SOURCES = {
    "cornac_models": "cornac",
    "factorizations": "elsa",
    "lenskit_models": "lenskit",
    "modules": "torch",
    "recbole_models": "torch",
    "rectools_models": "rectools",
}
_sources = [
    import_module(f"tests.hosts.{name}")
    for name, package in _SOURCES.items()
    if find_spec(package)
]


def _all(name):
    return [host for source in _sources for host in getattr(source, name, [])]


#: Factories by name; what they train is kept for the session.
HOSTS = {
    name: cache(partial(build, name, *args, **params))
    for source in _sources
    for name, (build, *args, params) in source.RECIPES.items()
}
WITH_USER_IDS = _all("WITH_USER_IDS")
#: Hosts whose library encodes rows of interactions itself.
WITH_OWN_FOLD_IN = _all("WITH_OWN_FOLD_IN")
LINEAR = [name for name in HOSTS if name not in _all("NONLINEAR")]
WAYS = [(name, "user_ids") for name in WITH_USER_IDS]
WAYS += [(name, "fold_in") for name in WITH_OWN_FOLD_IN]
