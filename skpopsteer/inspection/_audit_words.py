"""What a popularity audit comes to, in plain words."""

import numpy as np

from skpopsteer.inspection._audit_channels import (
    BIAS,
    DIRECTION,
    LENGTH,
    MEAN_SCORE,
    NEURONS,
)

__all__ = ["percent", "recommend", "write_notes"]

#: Rank correlations with log popularity: from here on a channel carries it; up to
#: here, in either direction, it does not.
_CARRIES, _DOES_NOT = 0.5, 0.3
#: A difference of tail shares that is worth a word.
_WORTH_A_WORD = 0.005
#: Rise of the accuracy that is worth a word.
_MORE_ACCURATE = 0.05
_NOUNS = {
    BIAS: "the item bias",
    LENGTH: "the length of item vectors",
    DIRECTION: "the direction of the mean user",
    NEURONS: "the selected neurons",
}
_OTHER_WAY = {
    BIAS: "popular items have the lower bias",
    LENGTH: "popular items are shorter",
    DIRECTION: "popular items point away from it",
    NEURONS: "their strength raises popularity",
}


def recommend(audit):
    """Say where popularity lives, what to turn, and what that costs.

    Parameters
    ----------
    audit : fitted PopularityAudit

    Returns
    -------
    str
    """
    own = [one for one in audit.channels_ if one.name != MEAN_SCORE]
    return f"{_where(own)} {_what(audit)} {_beyond(audit)}"


def write_notes(audit, n_users, user_ids, groups):
    """Say what was measured, and what could not be.

    Parameters
    ----------
    audit : PopularityAudit
        Fitted but for its notes and its recommendation.
    n_users : int
        Rows of `X`.
    user_ids : ndarray or None
    groups : PopularityGroups

    Returns
    -------
    list of str
    """
    k, measured = audit.n_recommendations, len(audit.user_rows_)
    whose = "folded in from their rows" if user_ids is None else "trained vectors"
    ndcg = "" if audit.accuracy_ is None else f"NDCG@{k} {audit.accuracy_:.4f}, "
    notes = [
        f"Lists of {k} for {measured:,} of {n_users:,} users, {whose}: {ndcg}tail "
        f"share {audit.tail_share_:.3f}; {groups}.",
        "Variance: the share of the variance of a user's scores that is linear in the "
        "channel, with one slope for all users or one each. Tail share without it: of "
        "lists with the channel taken out (its lever at strength 1).",
        "* reads no channel: a yardstick. Any cost: the most that was found, and what "
        "it keeps.",
    ]
    if audit.r2_:
        words = [f"{name} {r2:.2f}" for name, r2 in audit.r2_.items()]
        notes.append(
            "R² of log popularity on the items, left out one by one: "
            f"{', '.join(words)}."
        )
    else:
        notes.append(
            "The decoder is not a product with item vectors: bias, length and mean "
            "user are no channels of this host."
        )
    kept, name, strength, tail = max(
        (kept, name, strength, tail)
        for name, curve in audit.curves_.items()
        for strength, tail, kept in zip(
            curve.strengths, curve.tail_share, curve.kept, strict=True
        )
    )
    if kept > 1 + _MORE_ACCURATE and tail < audit.tail_share_:
        notes.append(
            f"{_more_popular_is_better(audit.channels_)}: {name} at strength "
            f"{strength:.3g} has {percent(kept)} of its {audit.kept_name_}, with a "
            f"tail share of {tail:.3f}."
        )
    return notes


def _more_popular_is_better(channels):
    mean = next(one.spearman for one in channels if one.name == MEAN_SCORE)
    # A host that scores popular items higher does not shy away from them, whatever
    # still more of them would bring.
    if mean >= _CARRIES:
        return "Lists that are still more popular are more accurate"
    return "This host shies away from popularity"


def _where(channels):
    known = [one for one in channels if not np.isnan(one.spearman)]
    # First what changes the lists most when it is taken out.
    carriers = sorted(
        (one for one in known if one.spearman >= _CARRIES),
        key=lambda one: -np.nan_to_num(one.tail_share_without, nan=-1.0),
    )
    if carriers:
        first, *more = (_with_number(one) for one in carriers)
        first = f"{first[:-1]} of rank correlation with log popularity)"
        clauses = [f"popularity lives in {_enumerate([first, *more])}"]
    else:
        clauses = ["popularity lives in none of the channels alone"]
    for one in channels:
        noun, r = _NOUNS[one.name], one.spearman
        if np.isnan(r):
            clauses.append(f"{noun} {_verb(one, 'is', 'are')} the same for every item")
        elif r <= -_DOES_NOT:
            carry = _verb(one, "carries", "carry")
            clauses.append(f"{noun} {carry} it the other way ({r:.2f}: "
                           f"{_OTHER_WAY[one.name]})")  # fmt: skip
        elif r < _DOES_NOT:
            do = _verb(one, "does", "do")
            clauses.append(f"{noun} {do} not carry popularity ({_signless(r)})")
        elif r < _CARRIES:
            carry = _verb(one, "carries", "carry")
            clauses.append(f"{noun} {carry} some of it ({r:.2f})")
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _what(audit):
    level = min(audit.levels_, key=lambda one: (abs(one - 0.95), one))
    at_level = [
        one
        for one in audit.reach_
        if one.level == level and not np.isnan(one.tail_share)
    ]
    host = audit.tail_share_
    best = _best_channel(audit, at_level)
    if best is None or best.tail_share <= host + _WORTH_A_WORD:
        text = (
            f"No lever of a channel raises the tail share, {host:.3f}, at "
            f"{percent(level)} of {audit.kept_name_}"
        )
    else:
        r = {one.name: one.spearman for one in audit.channels_}[best.channel]
        turn = "Turn" if r >= _CARRIES else "Yet what brings most tail is"
        text = (
            f"{turn} {_NOUNS[best.channel]}: {best.lever} at strength "
            f"{best.strength:.3g} takes the tail share from {host:.3f} to "
            f"{best.tail_share:.3f} and keeps {percent(best.kept)} of "
            f"{audit.kept_name_}"
        )
    reached = host if best is None else best.tail_share
    yardstick = max(
        (one for one in at_level if not one.channel), key=lambda one: one.tail_share
    )
    if yardstick.tail_share > reached + _WORTH_A_WORD:
        text += f"; {yardstick.lever} reaches {yardstick.tail_share:.3f} there"
    return f"{text}."


def _best_channel(audit, at_level):
    """Of levers that reach about the same, return that of the most popular channel."""
    turned = [one for one in at_level if one.channel]
    most = max((one.tail_share for one in turned), default=0.0)
    r = {one.name: np.nan_to_num(one.spearman) for one in audit.channels_}
    return max(
        (one for one in turned if one.tail_share >= most - _WORTH_A_WORD),
        key=lambda one: r[one.channel],
        default=None,
    )


def _beyond(audit):
    pricing = "SlotPricingRecommender, which turns no channel and prices slots"
    if audit.accuracy_ is None:
        return (
            "Pass held-out items as `y` to see the cost in accuracy; with them "
            f"{pricing}, usually goes further."
        )
    return f"With held-out items, as here, {pricing}, usually goes further."


def _with_number(channel):
    return f"{_NOUNS[channel.name]} ({channel.spearman:.2f})"


def _enumerate(words):
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _signless(r):
    # No minus before what rounds to zero.
    return f"{round(r, 2) + 0.0:.2f}"


def _verb(channel, singular, plural):
    return plural if getattr(channel, "name", "") == NEURONS else singular


def percent(share):
    """Write a share for a reader.

    Parameters
    ----------
    share : float

    Returns
    -------
    str
    """
    return f"{round(100 * share, 1):g} %"
