"""Which neurons carry a concept: effect sizes and selectors."""

from skpopsteer.neurons._cases import NeuronCase, NeuronCases
from skpopsteer.neurons._concept import ConceptNeuronSelector
from skpopsteer.neurons._concept_activity import concept_activity, neuron_tfidf
from skpopsteer.neurons._concept_map import ConceptMap, map_concepts
from skpopsteer.neurons._concept_table import ConceptTable
from skpopsteer.neurons._control import ControlSelector
from skpopsteer.neurons._describers import (
    CallableDescriber,
    EnrichmentDescriber,
    TfidfDescriber,
)
from skpopsteer.neurons._effect_size import cohens_d, cohens_d_from_stats
from skpopsteer.neurons._interpreter import NeuronInterpreter
from skpopsteer.neurons._monosemanticity import monosemanticity
from skpopsteer.neurons._popularity import PopularityNeuronSelector
from skpopsteer.neurons._subset import NeuronSubset
from skpopsteer.neurons._union import NeuronUnion

__all__ = [
    "CallableDescriber",
    "ConceptMap",
    "ConceptNeuronSelector",
    "ConceptTable",
    "ControlSelector",
    "EnrichmentDescriber",
    "NeuronCase",
    "NeuronCases",
    "NeuronInterpreter",
    "NeuronSubset",
    "NeuronUnion",
    "PopularityNeuronSelector",
    "TfidfDescriber",
    "cohens_d",
    "cohens_d_from_stats",
    "concept_activity",
    "map_concepts",
    "monosemanticity",
    "neuron_tfidf",
]
