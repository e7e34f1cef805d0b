"""Checks of what the caller hands over: interactions, held-out items, user ids.

Every message is one line: the argument in backticks, what it must be, what came, what
to do. Nothing here changes the caller's arrays.
"""

from skpopsteer._item_features import check_item_features
from skpopsteer._validation._arrays import (
    as_array,
    as_csr_array,
    canonical_csr,
    check_embeddings,
    is_finite_number,
)
from skpopsteer._validation._items import (
    check_item_lists,
    check_list_length,
    check_per_item,
    check_popularity,
)
from skpopsteer._validation._rows import (
    as_interactions,
    check_interactions,
    check_user_ids,
)

__all__ = [
    "as_array",
    "as_csr_array",
    "as_interactions",
    "canonical_csr",
    "check_embeddings",
    "check_interactions",
    "check_item_features",
    "check_item_lists",
    "check_list_length",
    "check_per_item",
    "check_popularity",
    "check_user_ids",
    "is_finite_number",
]
