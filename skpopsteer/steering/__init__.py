"""Turn neurons like knobs and recommend from what comes out."""

from skpopsteer.steering._path import steering_path
from skpopsteer.steering._steered import SteeredRecommender

__all__ = ["SteeredRecommender", "steering_path"]
