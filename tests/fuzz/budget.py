"""How many examples a test tries."""

import os
from collections import Counter

from hypothesis import HealthCheck, settings

__all__ = ["TRIED", "examples"]

#: Examples tried by this process, by the name of the test.
TRIED: Counter[str] = Counter()
#: How many times as many examples as the bounded profile the long one tries.
TIMES_LONGER = 25

_ANY_SPEED = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
    HealthCheck.differing_executors,
]
settings.register_profile(
    "bounded",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=_ANY_SPEED,
)
settings.register_profile(
    "long",
    deadline=None,
    print_blob=True,
    suppress_health_check=_ANY_SPEED,
)


def examples(n_bounded, *, times_longer=TIMES_LONGER):
    """Give a test its number of examples; the profile is not changed for others."""
    long = settings.get_profile("long")
    if os.environ.get("SKPOPSTEER_FUZZ") == "long" or settings.default == long:
        return settings(long, max_examples=n_bounded * times_longer)
    return settings(settings.get_profile("bounded"), max_examples=n_bounded)
