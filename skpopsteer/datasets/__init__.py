"""Interactions to work on: planted ones, the MovieLens sets, and data frames."""

from skpopsteer.datasets.events import split_events
from skpopsteer.datasets.frames import (
    interactions_from_frame,
    recommendations_to_frame,
)
from skpopsteer.datasets.movielens import load_movielens
from skpopsteer.datasets.synthetic import make_interactions

__all__ = [
    "interactions_from_frame",
    "load_movielens",
    "make_interactions",
    "recommendations_to_frame",
    "split_events",
]
