"""Turn neurons like knobs and recommend from what comes out."""

from skpopsteer.steering._blocks import steer_blocks
from skpopsteer.steering._gradient import GradientPopularityAdjuster
from skpopsteer.steering._gradient_recorder import GradientRecorder
from skpopsteer.steering._hook import steered
from skpopsteer.steering._path import steering_path
from skpopsteer.steering._relevance_calibrator import RelevanceCalibrator
from skpopsteer.steering._slot_pricing import SlotPricingRecommender
from skpopsteer.steering._steered import SteeredRecommender
from skpopsteer.steering._tuned import TunedSteeringCV

__all__ = [
    "GradientPopularityAdjuster",
    "GradientRecorder",
    "RelevanceCalibrator",
    "SlotPricingRecommender",
    "SteeredRecommender",
    "TunedSteeringCV",
    "steer_blocks",
    "steered",
    "steering_path",
]
