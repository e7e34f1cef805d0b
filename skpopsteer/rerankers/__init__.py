"""What a user would pick instead of steering neurons, with the same interface."""

from skpopsteer.rerankers._penalty import PopularityPenaltyReranker

__all__ = ["PopularityPenaltyReranker"]
