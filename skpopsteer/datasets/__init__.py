"""Interactions to work on: planted ones, public sets, and data frames."""

from skpopsteer.datasets._fetch import fetch_lastfm, fetch_movielens
from skpopsteer.datasets.events import split_events
from skpopsteer.datasets.frames import (
    interactions_from_frame,
    recommendations_to_frame,
)
from skpopsteer.datasets.lastfm import load_lastfm
from skpopsteer.datasets.movielens import load_movielens
from skpopsteer.datasets.synthetic import make_interactions

__all__ = [
    "fetch_lastfm",
    "fetch_movielens",
    "interactions_from_frame",
    "load_lastfm",
    "load_movielens",
    "make_interactions",
    "recommendations_to_frame",
    "split_events",
]
