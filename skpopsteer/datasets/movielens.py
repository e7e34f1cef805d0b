"""The MovieLens sets, read from a folder in GroupLens' own layouts."""

from numbers import Real

import numpy as np
from sklearn.utils import Bunch

from skpopsteer.datasets._movielens_files import (
    find_layout,
    read_movies,
    read_ratings,
    read_tags,
)
from skpopsteer.datasets._pairs import (
    check_limit,
    count_labels,
    keep_frequent,
    pair_matrices,
)
from skpopsteer.datasets._text_files import check_folder

__all__ = ["load_movielens"]


def load_movielens(
    folder, *, min_rating=None, min_user_interactions=1, min_item_interactions=1
) -> Bunch:
    r"""Load a MovieLens set from the folder it was unpacked to.

    The layout is told by the files: ``ratings.csv`` and ``movies.csv`` (latest, 20M
    and later), ``ratings.dat`` and ``movies.dat`` (1M, 10M) or ``u.data`` and
    ``u.item`` (100K); tags are read where there are any. Each file may be gzipped.

    Parameters
    ----------
    folder : str or path-like
        Where the files lie. Nothing is downloaded.
    min_rating : float, default=None
        Lowest rating that counts as an interaction, in stars; None takes every rating.
    min_user_interactions : int, default=1
        Fewest interactions a user must have to be kept, at least 1.
    min_item_interactions : int, default=1
        Fewest interactions an item must have to be kept, at least 1. Both limits are
        applied in turn until every user and item kept has enough.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X : csr_array of shape (n_users, n_items)
            1 for every interaction.
        ratings : csr_array of shape (n_users, n_items)
            Stars, with the sparsity of `X`.
        times : csr_array of shape (n_users, n_items)
            Seconds since 1970-01-01 UTC, with the sparsity of `X`.
        user_ids, item_ids : ndarray of shape (n_users,), (n_items,), dtype int64
            The ids of the source by position, ascending.
        item_titles : ndarray of shape (n_items,), dtype object
            Titles, mostly with the year; two ids may share one.
        item_genres : csr_array of shape (n_items, n_genres)
            1 where the item is of the genre.
        genre_names : ndarray of shape (n_genres,), dtype object
            Ascending; only genres of items kept.
        item_tags : csr_array of shape (n_items, n_tags)
            Number of users who gave the item the tag; no columns without a tags file.
        tag_names : ndarray of shape (n_tags,), dtype object
            Lower case, ascending; only tags of items kept.
        DESCR : str
            What was read, and what to cite.

    Raises
    ------
    FileNotFoundError
        When the folder is none or holds none of the layouts.
    ValueError
        When a row is broken (named by file and line) or nothing is left.

    See Also
    --------
    interactions_from_frame : Interactions from a data frame.
    make_interactions : Interactions without any files.

    Notes
    -----
    Users and items without an interaction kept get no position. Tags that differ only
    in case or outer blanks are one; those of users without ratings count too. The terms
    of use are in the README of each set; cite [1]_.

    Time is O(n log n) of n ratings: about half a second for the 1M set.

    References
    ----------
    .. [1] F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and
       Context", ACM TiiS 5(4), 2015, doi:10.1145/2827872.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skpopsteer.datasets import load_movielens
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     _ = (folder / "ratings.csv").write_text(
    ...         "userId,movieId,rating,timestamp\n"
    ...         "1,10,4.0,964982703\n"
    ...         "1,20,2.5,964982931\n"
    ...         "2,20,5.0,964983815\n"
    ...     )
    ...     _ = (folder / "movies.csv").write_text(
    ...         "movieId,title,genres\n"
    ...         "10,Toy Story (1995),Animation|Comedy\n"
    ...         '20,"American President, The (1995)",Comedy\n'
    ...     )
    ...     data = load_movielens(folder)
    >>> data.X.toarray()
    array([[1., 1.],
           [0., 1.]])
    >>> data.item_titles[1]
    'American President, The (1995)'
    >>> data.genre_names.tolist(), data.item_genres.toarray().tolist()
    (['Animation', 'Comedy'], [[1.0, 1.0], [0.0, 1.0]])
    """
    folder = check_folder(folder)
    _require_stars(min_rating)
    check_limit("min_user_interactions", min_user_interactions)
    check_limit("min_item_interactions", min_item_interactions)
    layout = find_layout(folder)
    table = read_ratings(folder, layout)
    if min_rating is not None:
        table = table[table[:, 2] >= min_rating]
    table = keep_frequent(table, min_user_interactions, min_item_interactions)
    if not len(table):
        raise ValueError(
            "`min_rating`, `min_user_interactions` and `min_item_interactions` must "
            f"leave at least one rating; got none with {min_rating}, "
            f"{min_user_interactions} and {min_item_interactions}. Lower them."
        )
    matrices = pair_matrices(
        table, ["ratings", "times"], layout.ratings, row="rating", item="movie"
    )
    movies = read_movies(folder, layout)
    tags = read_tags(folder, layout)
    items = _describe_items(matrices["item_ids"], movies, tags, layout.movies)
    return Bunch(**matrices, **items, DESCR=_describe_set(matrices["X"], layout))


def _describe_set(X, layout):
    n_users, n_items = X.shape
    return (
        f"MovieLens, {X.nnz} ratings by {n_users} users of {n_items} movies, read from "
        f"{layout.ratings}. Collected by GroupLens Research, University of Minnesota; "
        "the terms of use are in the README of the set. Cite: F. M. Harper and J. A. "
        "Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015, "
        "doi:10.1145/2827872."
    )


def _require_stars(min_rating):
    if min_rating is not None and not isinstance(min_rating, Real):
        raise ValueError(
            f"`min_rating` must be a number of stars or None; got {min_rating!r}. "
            "Pass None for every rating."
        )


def _describe_items(item_ids, movies, tags, name):
    """Align titles, genres and tags with the positions of the items."""
    positions = {movie: position for position, movie in enumerate(item_ids.tolist())}
    unlisted = [movie for movie in positions if movie not in movies]
    if unlisted:
        raise ValueError(
            f"`folder` must list every rated movie in {name}; got no row for movie "
            f"{unlisted[0]}. Take both files from one set."
        )
    titles = np.array([movies[movie][0] for movie in positions], dtype=object)
    genres = [
        (position, genre)
        for movie, position in positions.items()
        for genre in set(movies[movie][1])
    ]
    used = [(positions[movie], tag) for _, movie, tag in tags if movie in positions]
    item_genres, genre_names = count_labels(genres, len(item_ids))
    item_tags, tag_names = count_labels(used, len(item_ids))
    return {
        "item_titles": titles,
        "item_genres": item_genres,
        "genre_names": genre_names,
        "item_tags": item_tags,
        "tag_names": tag_names,
    }
