"""Tables as text: columns of one width each, for whatever prints one."""

__all__ = ["align_columns"]


def align_columns(rows, left=(0,)):
    """Pad cells until every column has one width.

    Parameters
    ----------
    rows : sequence of sequence of str
        Cells, all rows of one length, headers among them.
    left : collection of int, default=(0,)
        Columns that are aligned to the left; the others are to the right.

    Returns
    -------
    lines : list of str
        One per row, without blanks at the end.
    rule : str
        Dashes under every column, to put below a header.

    Examples
    --------
    >>> from skpopsteer._text_table import align_columns
    >>> lines, rule = align_columns([["", "ndcg"], ["host", ".3"]])
    >>> lines, rule
    (['      ndcg', 'host    .3'], '----  ----')
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return lines, "  ".join("-" * width for width in widths)
