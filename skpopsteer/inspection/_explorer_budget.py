"""How many bytes of a page there are, and what an item in it takes of them."""

import numpy as np

from skpopsteer.inspection._explorer_encoding import as_json

__all__ = ["clip", "clip_all", "item_costs", "n_bytes", "named_cost", "room_beside"]

#: Bytes of a page, so that it stays below 5 MB, and those kept for what somebody sets
#: above the explorer.
_PAGE = 4_900_000
_SECTIONS = 600_000
#: Bytes of the names of items on the cards, and of those of users.
_MOST_NAMES = {"items": 1_000_000, "users": 200_000}
#: Characters of a name, the first that keep within those bytes.
_LENGTHS = (240, 160, 120, 90, 60, 40, 24, 12)
#: A number of so many bytes takes a third more as base64.
_BASE64 = 4 / 3
#: What names the item to the page: position, popularity, group and place.
_NAMED = _BASE64 * (4 + 4 + 1 + 4)


def n_bytes(value):
    """Return the bytes that plain values and arrays take in a page."""
    # Half characters are replaced in the page, by as many bytes.
    return len(as_json(value).encode(errors="surrogatepass"))


def room_beside(static, n_named, *parts):
    """Return the bytes that a page has for steering.

    Parameters
    ----------
    static : int
        Bytes of script, style and text.
    n_named : int
        Items that the page names in any case.
    *parts : dict, list or ndarray
        Data that the page holds in any case.

    Returns
    -------
    int
    """
    fixed = static + _NAMED * n_named + sum(map(n_bytes, parts))
    return int(_PAGE - _SECTIONS - fixed)


def clip(name, length):
    """Shorten a name that is longer; what is cut off leaves an ellipsis."""
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def clip_all(names, kind):
    """Shorten the names of a page alike, if they would take too much of it.

    Parameters
    ----------
    names : list of str
    kind : {"items", "users"}

    Returns
    -------
    names : list of str
    length : int
        Characters that a name may have.
    """
    for length in _LENGTHS:
        short = [clip(name, length) for name in names]
        if n_bytes(short) <= _MOST_NAMES[kind]:
            break
    return short, length


def named_cost(names):
    """Return the bytes of naming some items (n_items,)."""
    # With the comma behind it.
    return np.array([n_bytes(name) + 1 for name in names])


def item_costs(*, numbers, codes=None, seen, names, is_named):
    """Return the bytes that every item takes if its lists can be made in the page.

    Parameters
    ----------
    numbers : int
        Numbers of four bytes an item.
    codes : csr_array of shape (n_items, n_neurons), default=None
        Activations that go along.
    seen : ndarray of shape (n_items,)
        Users of the page who have seen it.
    names : list of str
        As they stand in the page.
    is_named : ndarray of shape (n_items,), dtype bool
        Whether the page names the item in any case.

    Returns
    -------
    ndarray of shape (n_items,)
    """
    # Place of the embedding, and of the item in the histories.
    costs = _BASE64 * (4.0 * numbers + 4 + 4 * seen)
    if codes is not None:
        neuron = 2 if codes.shape[1] <= 2**16 else 4
        costs = costs + _BASE64 * ((neuron + 4) * np.diff(codes.indptr) + 4)
    return costs + np.where(is_named, 0, _NAMED + named_cost(names))
