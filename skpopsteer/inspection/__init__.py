"""See what steering does: tables and pictures of recommenders side by side."""

from skpopsteer.inspection._ablation import ablate_neurons
from skpopsteer.inspection._ablation_table import Ablation
from skpopsteer.inspection._changes import explain_changes
from skpopsteer.inspection._compare import Comparison, compare
from skpopsteer.inspection._compare_table import LevelComparison
from skpopsteer.inspection._effect_sizes import EffectSizeDisplay
from skpopsteer.inspection._explorer import NeuronExplorer
from skpopsteer.inspection._exposure import ExposureDisplay
from skpopsteer.inspection._list_change import ListChange
from skpopsteer.inspection._popularity_audit import PopularityAudit
from skpopsteer.inspection._popularity_lift import PopularityLiftDisplay
from skpopsteer.inspection._price_explanation import PriceExplanation, explain_prices
from skpopsteer.inspection._reliability import ReliabilityDisplay
from skpopsteer.inspection._report import steering_report
from skpopsteer.inspection._report_result import SteeringReport
from skpopsteer.inspection._specificity import steering_specificity
from skpopsteer.inspection._specificity_table import Specificity
from skpopsteer.inspection._tradeoff import TradeOffDisplay

__all__ = [
    "Ablation",
    "Comparison",
    "EffectSizeDisplay",
    "ExposureDisplay",
    "LevelComparison",
    "ListChange",
    "NeuronExplorer",
    "PopularityAudit",
    "PopularityLiftDisplay",
    "PriceExplanation",
    "ReliabilityDisplay",
    "Specificity",
    "SteeringReport",
    "TradeOffDisplay",
    "ablate_neurons",
    "compare",
    "explain_changes",
    "explain_prices",
    "steering_report",
    "steering_specificity",
]
