"""What a page is made of, gathered so that it fits."""

import numpy as np

from skpopsteer.inspection._explorer_budget import clip, clip_all, room_beside
from skpopsteer.inspection._explorer_cards import knob_names
from skpopsteer.inspection._explorer_page import card_columns, static_bytes
from skpopsteer.inspection._explorer_steering import (
    Room,
    describe_steering,
    host_name,
)

__all__ = ["page_data"]


def page_data(
    model, sample, activity, cards, notes, held_out, *, item_names, user_names, rng
):
    """Gather all that a page computes from, but for the cards.

    Parameters
    ----------
    model : fitted SteeredRecommender
    sample : Sample
    activity : Activity
    cards : list of NeuronCard
    notes : list of str
    held_out : HeldOutItems or None
    item_names, user_names : list of str
        Of all items, and of all rows.
    rng : Generator

    Returns
    -------
    dict of str to object
        Arrays and plain values.
    """
    data, named = _beside_steering(
        model, sample, activity, cards, notes, held_out, user_names
    )
    room = _room(data, cards, named, item_names)
    steering, embedded = describe_steering(model, sample, room, rng)
    data["items"] = _items_of_page(model, np.union1d(named, embedded), room.names)
    _set_places(data, steering, embedded, sample, held_out)
    return data | {"steering": steering}


def _beside_steering(model, sample, activity, cards, notes, held_out, user_names):
    """Return what the page says besides, and the items that it names for that."""
    rows = sorted({one.position for card in cards for one in card.top_users})
    texts = [user_names[row] for row in [*sample.rows, *rows]]
    texts, _ = clip_all(texts, "users")
    n_users = len(sample.rows)
    data = {
        "about": _about(model, activity, held_out, notes),
        "users": {
            "names": texts[:n_users],
            "rows": sample.rows,
            "n_seen": np.diff(sample.X.indptr),
            "host_lists": sample.host_lists,
            "own_lists": sample.own_lists,
        },
        "others": {"rows": np.array(rows, dtype=np.int64), "names": texts[n_users:]},
    }
    wanted = [sample.host_lists.ravel(), sample.own_lists.ravel()]
    for name in ("top_items", "pushed_up", "pushed_down"):
        ranked = [one.position for card in cards for one in getattr(card, name)]
        wanted.append(np.array(ranked, dtype=np.int64))
    named = np.unique(np.concatenate(wanted))
    return data, named[named >= 0]


def _room(data, cards, named, names):
    """Return the bytes that are left for steering."""
    _, length = clip_all([names[item] for item in named.tolist()], "items")
    short = [clip(name, length) for name in names]
    is_named = np.isin(np.arange(len(names)), named)
    parts = data, card_columns(cards), [short[item] for item in named.tolist()]
    return Room(room_beside(static_bytes(), len(named), *parts), short, is_named)


def _items_of_page(model, positions, names):
    """Return what is known of every item that the page may have to name."""
    return {
        "positions": positions,
        "names": [names[item] for item in positions.tolist()],
        "popularity": model.item_popularity_[positions].astype(np.float32),
        "groups": model.item_groups_[positions],
    }


def _set_places(data, steering, embedded, sample, held_out):
    """Call every item what the page calls it: its place among those it knows."""
    positions = data["items"]["positions"].tolist()
    at = {item: place for place, item in enumerate(positions)}
    held = {item: at[item] for item in embedded.tolist()}
    users = data["users"]
    # Of the histories only what may come into a list.
    users["seen"] = _ragged(np.split(sample.X.indices, sample.X.indptr[1:-1]), held)
    users["held_out"] = _held_out(held_out, sample.rows, at)
    for name in ("host_lists", "own_lists"):
        users[name] = _places(users[name], at)
    if "checks" in steering:
        steering["embedded"] = _places(embedded, at)
        for check in steering["checks"]:
            check["lists"] = _places(check["lists"], at)
    data["about"]["n_embedded"] = len(embedded)


def _places(items, at):
    """Return the places of items in the page, of shape as given, -1 for none."""
    places = [at.get(item, -1) for item in items.ravel().tolist()]
    return np.array(places, dtype=np.int64).reshape(items.shape)


def _ragged(rows, at):
    """Return the places of the items of every row, of those that have one."""
    places = [[at[item] for item in row.tolist() if item in at] for row in rows]
    return {
        "indptr": np.concatenate([[0], np.cumsum([len(row) for row in places])]),
        "items": np.array([place for row in places for place in row], dtype=np.int64),
    }


def _held_out(held_out, rows, at):
    """Return the held-out items of some users, -1 for those the page does not know."""
    if held_out is None:
        return None
    bounds = np.searchsorted(held_out.users, [rows, rows + 1])
    parts = [held_out.items[start:stop] for start, stop in bounds.T]
    return {
        "indptr": np.concatenate([[0], np.cumsum([len(part) for part in parts])]),
        "items": _places(np.concatenate(parts), at),
    }


def _about(model, activity, held_out, notes):
    side = model._side(activity.side)
    return {
        "host": host_name(model.recommender_),
        "n_rows": activity.Z.shape[0],
        "n_users": len(activity.users),
        "n_items": model.n_features_in_,
        "n_neurons": len(side.scales),
        "n_recommendations": int(model.n_recommendations),
        "side": model.side_,
        "cards_side": activity.side,
        "rule": model.rule_,
        "reconstruction": model.reconstruction,
        "knobs": knob_names(side.selector),
        "n_tail": int((model.item_groups_ == -1).sum()),
        "has_held_out": held_out is not None,
        "notes": notes,
    }
