"""Which public names a test tries: the registry checks that none is left out."""

__all__ = ["covers"]


def covers(*names):
    """Say which public names, such as ``"metrics.ndcg"``, a test tries."""

    def mark(test):
        test.covers = (*getattr(test, "covers", ()), *names)
        return test

    return mark
