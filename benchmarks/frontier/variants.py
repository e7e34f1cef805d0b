"""Methods that are turned by one strength, as lists of places in a judge's pool."""

import copy
from dataclasses import replace

import numpy as np

from frontier.judge import K
from skpopsteer._spans import spans
from skpopsteer.topk import finite_top_k

__all__ = ["Allocated", "Embedded", "Offset", "Priced", "Rule", "Slots"]


class Variant:
    """One method with all but its strength and the host's kept items settled.

    ``places(judge, strength)`` gives the lists, by places in the judge's pool.
    """

    #: The largest strength there is.
    most = np.inf
    #: Whether the host's first items may be kept afterwards, which costs no new lists.
    keeps_top = True

    def __init__(self, name, model):
        self.name, self.model = name, model


class Rule(Variant):
    """A reranker that chooses row by row."""

    def __init__(self, name, model, most=np.inf):
        super().__init__(name, model)
        self.most = most

    def places(self, judge, strength):
        """Return the lists at a strength."""
        turned, factors = self.model._turn(strength), self.model._per_row(judge.X)
        pool = replace(judge.pool, factors=factors)
        found = [
            self.model._choose(pool[span], turned, K)[0]
            for span in spans(len(pool.items))
        ]
        return np.concatenate(found)


class Allocated(Rule):
    """A reranker that chooses the lists of all rows together."""

    def places(self, judge, strength):
        """Return the lists at a strength."""
        model = self.model
        pool = replace(judge.pool, factors=model._per_row(judge.X))
        strengths = model._strengths(pool, model._turn(strength))
        return model._list_jointly(pool, strengths, K)


class Embedded(Variant):
    """A steering of embeddings: the pool is scored anew."""

    def places(self, judge, strength):
        """Return the lists at a strength."""
        model = self.model.with_host(judge.host)
        vectors = model.export_embeddings(judge.X, judge.ids, strength=strength)
        U, V, bias = vectors.values()
        found = []
        for span in spans(len(U)):
            items = judge.pool.items[span]
            known = np.maximum(items, 0)
            if len(V) <= 8 * items.shape[1]:
                scores = np.take_along_axis(U[span] @ V.T, known, axis=1)
            else:
                scores = np.einsum("ud,umd->um", U[span], V[known], optimize=True)
            if bias is not None:
                scores += bias[known]
            scores[items < 0] = -np.inf
            found.append(finite_top_k(scores, K)[0])
        return np.concatenate(found)


class Offset(Variant):
    """A steering that adds to the scores of items, in proportion to its strength."""

    def __init__(self, name, model):
        super().__init__(name, model)
        self.offset = model._turn(1.0)[1]

    def places(self, judge, strength):
        """Return the lists at a strength."""
        items, factors = judge.pool.items, self.model._per_row(judge.X)
        change = np.float32(strength) * self.offset[np.maximum(items, 0)]
        if factors is not None:
            change *= factors[:, None]
        # What pads a pool has a score of minus infinity.
        return finite_top_k(judge.pool.scores + change, K)[0]


class Slots(Variant):
    """Slot pricing, lists chosen jointly."""

    keeps_top = False

    def __init__(self, name, model, **params):
        super().__init__(name, copy.copy(model).set_params(**params))

    def market(self, judge):
        """Return the candidates of a judge's rows, made once for all variants."""
        made = judge.__dict__.setdefault("_markets", {})
        key = id(self.model.calibrator_), self.model.keep_top
        if key not in made:
            relevance = [
                self.model.calibrator_._relevance(judge.pool[span])
                for span in spans(len(judge.pool.items))
            ]
            relevance = np.concatenate(relevance)
            made[key] = self.model._market(judge.pool, relevance, K)
        return made[key]

    def places(self, judge, strength):
        """Return the lists at a strength."""
        market = self.market(judge)
        exposure = self.model._exposure(strength, len(market.items))
        rng = np.random.default_rng(0)
        places, _ = market.allocate(exposure, rng, self.model.n_passes)
        return in_pool(market, places)


class Priced(Slots):
    """Slot pricing, every list chosen alone at the prices of validation's lists."""

    def __init__(self, name, model, judge, **params):
        super().__init__(name, model, **params)
        self.model._log_prices = self.model._find_prices(self.market(judge))

    def places(self, judge, strength):
        """Return the lists at a strength."""
        market = self.market(judge)
        return in_pool(market, market.at_prices(self.model._turn(strength)))


def in_pool(market, places):
    """Return places among the candidates of a market as places in the pool."""
    order = np.take_along_axis(market.order, np.maximum(places, 0), axis=1)
    return np.where(places < 0, -1, order)
