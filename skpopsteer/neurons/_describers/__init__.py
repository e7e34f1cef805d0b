"""What turns cases of a neuron into a concept, and a concept into predictions.

A describer is any object with

- ``describe(cases) -> concept``: `cases` is a :class:`NeuronCases` with levels; None or
  an empty string says that no concept was found;
- ``predict(concept, cases) -> levels``: one level from 0 to 10 per case, NaN where
  there is none; above 5 says that the neuron fires;

and, where it wants them,

- ``fit(shown)``: called once before; `shown` has `items`, `item_features`,
  `feature_names` and `item_titles`, but no activations, so that nothing of the
  verification can leak into a description;
- ``label(concept, attributes) -> str``: `attributes` are the names of those enriched
  over all active rows; without it a concept is its own label.
"""

from skpopsteer.neurons._describers._callable import CallableDescriber
from skpopsteer.neurons._describers._enrichment import EnrichmentDescriber
from skpopsteer.neurons._describers._tfidf import TfidfDescriber

__all__ = ["CallableDescriber", "EnrichmentDescriber", "TfidfDescriber"]
