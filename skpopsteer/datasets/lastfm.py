"""Artists of Last.fm and who listened to them, read from the files of HetRec 2011."""

import numpy as np
from sklearn.utils import Bunch

from skpopsteer.datasets._lastfm_files import (
    LISTENED,
    check_files,
    read_artists,
    read_listened,
    read_tags,
)
from skpopsteer.datasets._pairs import (
    check_limit,
    count_labels,
    keep_frequent,
    pair_matrices,
)
from skpopsteer.datasets._text_files import check_folder

__all__ = ["load_lastfm"]


def load_lastfm(folder, *, min_user_interactions=1, min_item_interactions=1) -> Bunch:
    r"""Load the Last.fm set of HetRec 2011 from the folder it was unpacked to.

    Who listened to which artist how often, of ``user_artists.dat`` and ``artists.dat``,
    and the tags of artists, of ``tags.dat`` and ``user_taggedartists.dat`` where both
    are there. Each file may be gzipped.

    Parameters
    ----------
    folder : str or path-like
        Where the files lie. Nothing is downloaded.
    min_user_interactions : int, default=1
        Fewest artists a user must have to be kept, at least 1.
    min_item_interactions : int, default=1
        Fewest listeners an artist must have to be kept, at least 1. Both limits are
        applied in turn until every user and artist kept has enough.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X : csr_array of shape (n_users, n_items)
            1 where the user listened to the artist.
        listening_counts : csr_array of shape (n_users, n_items)
            How often, with the sparsity of `X`; from 1 to 352,698 in the full set.
        times : None
            The set does not say when somebody listened.
        user_ids, item_ids : ndarray of shape (n_users,), (n_items,), dtype int64
            The ids of the source by position, ascending.
        item_titles : ndarray of shape (n_items,), dtype object
            Names of the artists.
        item_tags : csr_array of shape (n_items, n_tags)
            Number of users who gave the artist the tag; no columns without tags.
        tag_names : ndarray of shape (n_tags,), dtype object
            Lower case, ascending; only tags of artists kept.
        DESCR : str
            What was read, and what to cite.

    Raises
    ------
    FileNotFoundError
        When the folder is none or lacks the files.
    ValueError
        When a row is broken (named by file and line) or nothing is left.

    See Also
    --------
    fetch_lastfm : Download the set first, if it is not there.
    load_movielens : Ratings of films, with times.

    Notes
    -----
    The source lists at most 50 artists a user, the most played ones. Tags that differ
    only in case or outer blanks are one. The set "is made available for non-commercial
    use"; its README asks to cite Last.fm, and names [1]_.

    Time is O(n log n) of n rows: about a second for the set.

    References
    ----------
    .. [1] I. Cantador, P. Brusilovsky and T. Kuflik, "2nd Workshop on Information
       Heterogeneity and Fusion in Recommender Systems (HetRec 2011)", RecSys 2011,
       doi:10.1145/2043932.2044016.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skpopsteer.datasets.lastfm import load_lastfm
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     _ = (folder / "user_artists.dat").write_text(
    ...         "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t11690\n3\t51\t200\n"
    ...     )
    ...     _ = (folder / "artists.dat").write_text(
    ...         "id\tname\turl\tpictureURL\n51\tDuran Duran\t\t\n52\tMorcheeba\t\t\n"
    ...     )
    ...     data = load_lastfm(folder)
    >>> data.X.toarray()
    array([[1., 1.],
           [1., 0.]])
    >>> data.item_titles.tolist()
    ['Duran Duran', 'Morcheeba']
    """
    folder = check_folder(folder)
    check_limit("min_user_interactions", min_user_interactions)
    check_limit("min_item_interactions", min_item_interactions)
    check_files(folder)
    table = keep_frequent(
        read_listened(folder), min_user_interactions, min_item_interactions
    )
    if not len(table):
        raise ValueError(
            "`min_user_interactions` and `min_item_interactions` must leave at least "
            f"one row; got none with {min_user_interactions} and "
            f"{min_item_interactions}. Lower them."
        )
    matrices = pair_matrices(
        table.astype(np.float64), ["listening_counts"], LISTENED,
        row="listening count", item="artist",
    )  # fmt: skip
    items = _describe_artists(matrices["item_ids"], folder)
    return Bunch(**matrices, times=None, **items, DESCR=_describe_set(matrices["X"]))


def _describe_artists(item_ids, folder):
    """Align names and tags with the positions of the artists."""
    names = read_artists(folder)
    positions = {artist: position for position, artist in enumerate(item_ids.tolist())}
    unlisted = [artist for artist in positions if artist not in names]
    if unlisted:
        raise ValueError(
            "`folder` must name every artist in artists.dat; got no row for artist "
            f"{unlisted[0]}. Take both files from one set."
        )
    tags = read_tags(folder)
    used = [(positions[artist], tag) for _, artist, tag in tags if artist in positions]
    item_tags, tag_names = count_labels(used, len(item_ids))
    return {
        "item_titles": np.array([names[artist] for artist in positions], dtype=object),
        "item_tags": item_tags,
        "tag_names": tag_names,
    }


def _describe_set(X):
    n_users, n_items = X.shape
    return (
        f"Last.fm of HetRec 2011, {X.nnz} pairs of {n_users} users and {n_items} "
        f"artists, read from {LISTENED}. For non-commercial use; cite Last.fm, "
        "http://www.lastfm.com, and I. Cantador, P. Brusilovsky and T. Kuflik, 2nd "
        "Workshop on Information Heterogeneity and Fusion in Recommender Systems, "
        "RecSys 2011, doi:10.1145/2043932.2044016."
    )
