"""See what steering does: tables and pictures of recommenders side by side."""

from skpopsteer.inspection._compare import Comparison, compare
from skpopsteer.inspection._effect_sizes import EffectSizeDisplay
from skpopsteer.inspection._exposure import ExposureDisplay
from skpopsteer.inspection._popularity_lift import PopularityLiftDisplay
from skpopsteer.inspection._tradeoff import TradeOffDisplay

__all__ = [
    "Comparison",
    "EffectSizeDisplay",
    "ExposureDisplay",
    "PopularityLiftDisplay",
    "TradeOffDisplay",
    "compare",
]
