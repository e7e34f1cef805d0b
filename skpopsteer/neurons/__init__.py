"""Which neurons carry a concept: effect sizes and selectors."""

from skpopsteer.neurons._effect_size import cohens_d, cohens_d_from_stats
from skpopsteer.neurons._popularity import PopularityNeuronSelector

__all__ = ["PopularityNeuronSelector", "cohens_d", "cohens_d_from_stats"]
