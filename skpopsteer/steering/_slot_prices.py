"""Joint lists of many users, and one price an item that stands for them."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Exposure", "Market", "fit_prices", "make_market"]

#: Rounds of prices at a strength; the first, the least and the largest step of a
#: logarithm of a price, and what a step is multiplied by when the price goes on in one
#: direction and when it turns.
_ROUNDS = 25
_FIRST, _LEAST, _LARGEST = 0.01, 1e-4, 0.3
_FASTER, _SLOWER = 1.2, 0.5


@dataclass(frozen=True)
class Exposure:
    """What the slots that an item holds are worth.

    Attributes
    ----------
    strength : float
    tail_weight : float
        Share of the value that goes to slots of tail items, however many there are.
    tail : ndarray of shape (n_items,), dtype float64
        1 for tail items, else 0.
    floor : int
        Slots up to which each is worth what the first is.
    n_slots : int
        Length of a list: the value of exposure is in units of lists.
    unit : float
        What one slot counts for.
    """

    strength: float
    tail_weight: float
    tail: np.ndarray
    floor: int
    n_slots: int
    unit: float = 1.0

    @property
    def scale(self):
        """What the concave part is multiplied by."""
        return self.strength * (1.0 - self.tail_weight) * self.n_slots

    @property
    def of_tail(self):
        """What a slot is worth for its item alone."""
        return self.strength * self.tail_weight * self.tail


@dataclass
class Market:
    """Candidates of some users, best probability first.

    Attributes
    ----------
    items : ndarray of shape (n_users, m), dtype int32
        Padded with -1.
    order : ndarray of shape (n_users, m), dtype int64
        Where candidates stand in the host's order.
    gains : ndarray of shape (n_users, m), dtype float32
        What a candidate adds to the objective in the first slot.
    kept : ndarray of shape (n_users, n_kept), dtype int64
        Places of the items that hold the first slots; -1 for none.
    discounts : ndarray of shape (k,)
    """

    items: np.ndarray
    order: np.ndarray
    gains: np.ndarray
    kept: np.ndarray
    discounts: np.ndarray

    def sample(self, n_users, rng):
        """Return a market of some of the users, or this one if there are not more."""
        if len(self.items) <= n_users:
            return self
        rows = np.sort(rng.choice(len(self.items), n_users, replace=False))
        return Market(
            self.items[rows], self.order[rows], self.gains[rows], self.kept[rows],
            self.discounts,
        )  # fmt: skip

    def no_lists(self):
        """Return lists without items."""
        return np.full((len(self.items), len(self.discounts)), -1, dtype=np.int64)

    def at_prices(self, prices, places=None):
        """Return the best list of every user, as places among the candidates."""
        # Not at the top: importing numba takes as long as all the rest.
        from skpopsteer.steering._slot_programme import price_lists

        places = self.no_lists() if places is None else places
        price_lists(self.items, self.gains, prices, self.discounts, self.kept, places)
        return places

    def allocate(self, exposure, rng, n_passes, *, places=None, counts=None):
        """Choose all lists jointly, by coordinate ascent over the users.

        Parameters
        ----------
        exposure : Exposure
        rng : numpy Generator
            Order of the users.
        n_passes : int
        places : ndarray of shape (n_users, k), default=None
            Lists to start from. Changed.
        counts : ndarray of shape (n_items,), default=None
            Slots that items hold, those of `places` included. Changed.

        Returns
        -------
        places : ndarray of shape (n_users, k)
        counts : ndarray of shape (n_items,)
        """
        from skpopsteer.steering._slot_programme import pass_over

        places = self.no_lists() if places is None else places
        counts = self.count(places, exposure.tail) if counts is None else counts
        memory = np.empty(len(counts))
        for _ in range(n_passes):
            pass_over(
                rng.permutation(len(self.items)), self.items, self.gains,
                self.discounts, self.kept, places, counts, memory, exposure.of_tail,
                exposure.scale, exposure.floor, exposure.unit,
            )  # fmt: skip
        return places, counts

    def value(self, places, counts, exposure):
        """Return what an allocation never lowers."""
        from skpopsteer.steering._slot_programme import value_of

        return value_of(
            self.items, self.gains, self.discounts, places, counts, exposure.of_tail,
            exposure.scale, exposure.floor, exposure.unit,
        )  # fmt: skip

    def count(self, places, per_item):
        """Return the slots that every item holds."""
        listed = np.take_along_axis(self.items, np.maximum(places, 0), axis=1)
        held = listed[places >= 0]
        return np.bincount(held, minlength=len(per_item)).astype(np.float64)

    def of(self, places):
        """Return the items of lists, -1 where they are padded."""
        listed = np.take_along_axis(self.items, np.maximum(places, 0), axis=1)
        return np.where(places < 0, -1, listed).astype(np.int64)


def make_market(pool, relevance, weights, n_kept, k):
    """Put the items of pools into the order of their probability.

    Parameters
    ----------
    pool : Pool of n_users times m items
    relevance : ndarray of shape (n_users, m)
        Probabilities.
    weights : ndarray of shape (n_users,)
        What a hit in the first slot is worth for a user.
    n_kept : int
        First items of the host that stay.
    k : int
        Slots.

    Returns
    -------
    Market
    """
    padded = pool.items < 0
    order = np.argsort(np.where(padded, np.inf, -relevance), axis=1, kind="stable")
    items = np.take_along_axis(pool.items, order, axis=1).astype(np.int32)
    gains = np.take_along_axis(relevance, order, axis=1) * weights[:, None]
    # The place of every item of the host's order, for its first ones.
    kept = np.argsort(order, axis=1)[:, : min(n_kept, k)]
    kept[padded[:, : kept.shape[1]]] = -1
    discounts = 1.0 / np.log2(np.arange(2.0, k + 2.0))
    return Market(items, order, gains.astype(np.float32), kept, discounts)


def fit_prices(market, exposures, rng, n_passes):
    """Find prices that give about the joint lists to one user at a time.

    Parameters
    ----------
    market : Market
    exposures : list of Exposure
        By ascending strength, each above 0.
    rng : numpy Generator
    n_passes : int
        Of the joint allocations that prices start from.

    Returns
    -------
    ndarray of shape (len(exposures), n_items)
        Logarithms of what a slot is worth for exposure, per unit of the scale.
    """
    places, path = market.no_lists(), []
    for exposure in exposures:
        places, counts = market.allocate(exposure, rng, n_passes, places=places)
        path.append(_clear(market, exposure, _log_slopes(counts, exposure)))
    return np.array(path)


def _clear(market, exposure, log_price):
    """Move prices until they agree with the slots they give; keep the best on the way.

    The price of an item is right where it is the slope of its value at the slots it
    gets. All prices move at once and lists jump, so that a common step swings for ever:
    every price has its own, which shrinks when the price turns (Rprop).
    """
    lists, best, found = market.no_lists(), -np.inf, log_price
    step, direction = np.full(len(log_price), _FIRST), np.zeros(len(log_price))
    for _ in range(_ROUNDS):
        prices = exposure.scale * np.exp(log_price) + exposure.of_tail
        counts = market.count(market.at_prices(prices, lists), exposure.tail)
        value = market.value(lists, counts, exposure)
        if value > best:
            best, found = value, log_price
        gap = _log_slopes(counts, exposure) - log_price
        turned = np.sign(gap) * direction
        step *= np.where(turned > 0, _FASTER, np.where(turned < 0, _SLOWER, 1.0))
        step = np.clip(step, _LEAST, _LARGEST)
        direction = np.sign(gap)
        log_price = log_price + direction * np.minimum(step, np.abs(gap))
    return found


def _log_slopes(counts, exposure):
    beyond = np.maximum(counts - exposure.floor + 1.0, 0.0)
    return -np.log1p(exposure.unit * beyond)
