"""Data sets of others, downloaded where they are not there yet."""

from sklearn.utils import Bunch

from skpopsteer.datasets._archives import ARCHIVES, fetch_folder
from skpopsteer.datasets.lastfm import load_lastfm
from skpopsteer.datasets.movielens import load_movielens

__all__ = ["fetch_lastfm", "fetch_movielens"]

_PREFIX = "ml-"
_MOVIELENS = [key.removeprefix(_PREFIX) for key in ARCHIVES if key.startswith(_PREFIX)]


def fetch_movielens(
    name="latest-small", *, data_home=None, download_if_missing=True
) -> Bunch:
    r"""Load a MovieLens set, and download it first if it is not there.

    Parameters
    ----------
    name : str, default="latest-small"
        Which set: "latest-small" (1 MB to download), "100k" (5), "1m" (6), "10m" (66),
        "20m" (199), "25m" (262) or "32m" (239). The files take three to five times as
        much.
    data_home : str or path-like, default=None
        Folder of downloaded sets. None takes the environment variable
        ``SKPOPSTEER_DATA``, or else the cache folder of the user.
    download_if_missing : bool, default=True
        Whether to download; False raises an error where the set is not there.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`load_movielens` returns, and

        folder : str
            Where the files are, to load them with limits.

    Raises
    ------
    FileNotFoundError
        With ``download_if_missing=False``, when the set is not there.
    ConnectionError
        When the server is out of reach. The message says which file to download by
        hand, and to where.
    OSError
        When the download has another checksum than the set, or `data_home` has no room
        or may not be written to.
    ValueError
        For another name.
    ImportError
        When pooch is missing; the extra ``datasets`` brings it.

    See Also
    --------
    load_movielens : Load a set from a folder, with limits.
    fetch_lastfm : Who listened to which artist.

    Notes
    -----
    Terms of use, of which the README beside the files is the full text: the sets may be
    used for research, with acknowledgement [1]_, and not for commercial purposes
    without permission. "latest-small" may be passed on under the same terms; "100k",
    "1m" and "20m" may not without permission, and of the rest see the README.

    An archive is checked by its SHA-256 before it is opened. "latest-small" is a set
    for development, which GroupLens releases anew now and then: what is fetched here is
    the one of September 2018, and an error says so when it is no longer published. The
    others do not change.

    The environment variable ``SKPOPSTEER_MIRROR`` names another server with the paths
    of https://files.grouplens.org/datasets/; the checksums stay. Files appear whole or
    not at all, whatever stops a download, and several processes may fetch one set at
    once. Nothing is written when the set is there.

    References
    ----------
    .. [1] F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and
       Context", ACM TiiS 5(4), 2015, doi:10.1145/2827872.

    Examples
    --------
    >>> from skpopsteer.datasets import fetch_movielens, load_movielens
    >>> data = fetch_movielens("1m")  # doctest: +SKIP
    >>> liked = load_movielens(data.folder, min_rating=4)  # doctest: +SKIP

    A set that is there, for which no connection is needed:

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as home:
    ...     folder = Path(home) / "ml-100k"
    ...     folder.mkdir()
    ...     _ = (folder / "u.data").write_text("196\t242\t3\t881250949\n")
    ...     _ = (folder / "u.item").write_text("242|Kolya (1996)|||" + "|0" * 19)
    ...     data = fetch_movielens("100k", data_home=home)
    >>> data.item_titles.tolist(), data.ratings.toarray().tolist()
    (['Kolya (1996)'], [[3.0]])
    """
    if not isinstance(name, str) or name not in _MOVIELENS:
        raise ValueError(
            f"`name` must be one of {', '.join(map(repr, _MOVIELENS))}; got {name!r}. "
            "Load any other set from its folder, with load_movielens."
        )
    folder = fetch_folder(_PREFIX + name, data_home, download_if_missing)
    return Bunch(**load_movielens(folder), folder=str(folder))


def fetch_lastfm(*, data_home=None, download_if_missing=True) -> Bunch:
    r"""Load the Last.fm set of HetRec 2011, and download it first if it is not there.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of downloaded sets. None takes the environment variable
        ``SKPOPSTEER_DATA``, or else the cache folder of the user.
    download_if_missing : bool, default=True
        Whether to download (3 MB); False raises an error where the set is not there.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What :func:`load_lastfm` returns, and

        folder : str
            Where the files are, to load them with limits.

    Raises
    ------
    FileNotFoundError, ConnectionError, OSError, ImportError
        As :func:`fetch_movielens`.

    See Also
    --------
    load_lastfm : Load the set from a folder, with limits.
    fetch_movielens : Ratings of films; how downloads are checked, and mirrors.

    Notes
    -----
    Terms of use: "made available for non-commercial use"; who wants to use it
    commercially should ask Last.fm. Cite Last.fm, http://www.lastfm.com, and see [1]_.
    The set of 2011 does not change.

    References
    ----------
    .. [1] I. Cantador, P. Brusilovsky and T. Kuflik, "2nd Workshop on Information
       Heterogeneity and Fusion in Recommender Systems (HetRec 2011)", RecSys 2011,
       doi:10.1145/2043932.2044016.

    Examples
    --------
    >>> from skpopsteer.datasets import fetch_lastfm
    >>> data = fetch_lastfm()  # doctest: +SKIP

    A set that is there, for which no connection is needed:

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as home:
    ...     folder = Path(home) / "hetrec2011-lastfm-2k"
    ...     folder.mkdir()
    ...     _ = (folder / "user_artists.dat").write_text("2\t51\t13883\n")
    ...     _ = (folder / "artists.dat").write_text("51\tDuran Duran\n")
    ...     data = fetch_lastfm(data_home=home)
    >>> data.item_titles.tolist(), data.listening_counts.toarray().tolist()
    (['Duran Duran'], [[13883.0]])
    """
    folder = fetch_folder("hetrec2011-lastfm-2k", data_home, download_if_missing)
    return Bunch(**load_lastfm(folder), folder=str(folder))
