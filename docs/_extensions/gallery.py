"""The order of the gallery, and what must not leak from one example to the next."""

import logging

#: From the first steps to serving; examples that are not named come last.
ORDER = [
    "plot_steer_movielens.py",
    "plot_search_strength.py",
    "plot_reach_a_target.py",
    "plot_displays.py",
    "plot_who_pays.py",
    "plot_what_changed.py",
    "plot_neuron_features.py",
    "plot_neuron_meanings.py",
    "plot_save_and_serve.py",
]


def sort_key(filename):
    """Return what an example is sorted by."""
    place = ORDER.index(filename) if filename in ORDER else len(ORDER)
    return place, filename


def reset_logging(gallery_conf, file):
    """Take back what an example did to logging."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    logging.getLogger("skpopsteer").setLevel(logging.NOTSET)
