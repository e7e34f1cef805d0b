"""Published archives: what they hash to, and how they come to a folder, whole."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, NamedTuple

from skpopsteer._compat import import_optional
from skpopsteer.datasets._unzip import unzip

__all__ = ["ARCHIVES", "Archive", "fetch_folder"]

#: Where a mirror, which `SKPOPSTEER_MIRROR` names, has the same paths as the source.
SOURCE = "https://files.grouplens.org/datasets/"
#: Seconds without a sign of the server before it counts as out of reach.
TIMEOUT = 30
#: Times its rounded size that a download may have; it is refused by its hash then, but
#: must not fill the disk before.
_LONGER = 4
#: Times its size an archive may unpack to; these tables come to three to five times.
_UNPACKED = 20


class Archive(NamedTuple):
    """A zip file that somebody publishes, and that does not change.

    Attributes
    ----------
    path : str
        Below the address of the source.
    sha256 : str
        Of the whole file.
    n_megabytes : int
        Size, rounded up.
    inside : str
        Folder of the archive in which the files lie.
    """

    path: str
    sha256: str
    n_megabytes: int
    inside: str = ""

    @property
    def file(self) -> str:
        """Name of the archive."""
        return self.path.rpartition("/")[2]

    @property
    def url(self) -> str:
        """Address, of the source or of the mirror that is named."""
        server = os.environ.get("SKPOPSTEER_MIRROR") or SOURCE
        if not server.startswith(("https://", "http://")):
            raise ValueError(
                "`SKPOPSTEER_MIRROR` must be an address that begins with https:// or "
                f"http://; got {server!r}. Unset it to download from GroupLens."
            )
        return f"{server.rstrip('/')}/{self.path}"


#: Every hash was found in several places independent of each other: those of the sets
#: "latest-small" to "25m" in the catalogue of TensorFlow Datasets too (but for "10m"),
#: and beside them, for all but the first and the last, the MD5 GroupLens publishes.
ARCHIVES = {
    "ml-latest-small": Archive(
        "movielens/ml-latest-small.zip",
        "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        1,
        "ml-latest-small",
    ),
    "ml-100k": Archive(
        "movielens/ml-100k.zip",
        "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        5,
        "ml-100k",
    ),
    "ml-1m": Archive(
        "movielens/ml-1m.zip",
        "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        6,
        "ml-1m",
    ),
    "ml-10m": Archive(
        "movielens/ml-10m.zip",
        "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862",
        66,
        "ml-10M100K",
    ),
    "ml-20m": Archive(
        "movielens/ml-20m.zip",
        "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        199,
        "ml-20m",
    ),
    "ml-25m": Archive(
        "movielens/ml-25m.zip",
        "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
        262,
        "ml-25m",
    ),
    "ml-32m": Archive(
        "movielens/ml-32m.zip",
        "e4a68655d7386b8f95f2f2424b2ff975dfdd15ffd59e0d864a14dca43e99d6ee",
        239,
        "ml-32m",
    ),
    "hetrec2011-lastfm-2k": Archive(
        "hetrec2011/hetrec2011-lastfm-2k.zip",
        "6738f48195667ff03caaab4d32ca9a3133d8cc026b7c3cdaf6ce1010e913c59c",
        3,
    ),
}


def fetch_folder(name: str, data_home: object, download_if_missing: bool) -> Path:
    """Return the folder of a set, downloaded if it is not there.

    Parameters
    ----------
    name : str
        A key of `ARCHIVES`, and the name of the folder.
    data_home : str, path-like or None
        Where folders of sets lie; None takes `SKPOPSTEER_DATA` or the user's cache.
    download_if_missing : bool
        Whether to download at all.

    Returns
    -------
    Path

    Notes
    -----
    The folder appears by one renaming, when all of it is there. Before, everything
    lies in a hidden folder beside it, which a killed process leaves behind and the
    next one that succeeds removes. Of several processes at once the first to be ready
    counts, and the others take what it has made.
    """
    home = _find_home(data_home)
    folder = home / name
    if folder.is_dir():
        return folder
    archive = ARCHIVES[name]
    if not download_if_missing:
        raise FileNotFoundError(
            f"`download_if_missing` must be True to fetch {name}; got False, and there "
            f"is no {str(folder)!r}. Pass True, or unpack {archive.file} there."
        )
    try:
        _install(archive, folder)
    except OSError:
        # Another process may have been faster, and have cleared ours away.
        if not folder.is_dir():
            raise
    for unfinished in home.glob(f".{name}.????????"):
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _find_home(data_home: object) -> Path:
    if data_home is None:
        # Set to nothing, the variable is not set.
        data_home = os.environ.get("SKPOPSTEER_DATA") or None
    if data_home is None:
        data_home = import_optional("pooch", "datasets").os_cache("skpopsteer")
    if not isinstance(data_home, str | os.PathLike) or "\0" in str(data_home):
        raise TypeError(
            f"`data_home` must be a path or None; got {data_home!r}. Name a folder."
        )
    if not str(data_home):
        raise ValueError(
            "`data_home` must be the name of a folder; got an empty one. Pass '.' for "
            "the folder you are in, or None for the cache."
        )
    try:
        return Path(data_home).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(
            f"`data_home` must be a folder of a user who is known here; got "
            f"{str(data_home)!r}. Write the path without a tilde."
        ) from error


def _install(archive: Archive, folder: Path) -> None:
    """Put the folder in its place, or nothing at all."""
    home, unfinished = folder.parent, None
    try:
        home.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=home))
        zipped = home / archive.file
        if zipped.is_file():
            _check_by_hand(archive, zipped)
        else:
            zipped = _download(archive, unfinished, by_hand=zipped)
        unzip(
            zipped,
            unfinished / "files",
            inside=archive.inside,
            most_bytes=_UNPACKED * archive.n_megabytes * 10**6,
        )
        os.replace(unfinished / "files", folder)
    except OSError as error:
        if error.errno is None:  # it is one of ours, and says what to do
            raise
        raise OSError(
            "`data_home` must be a folder that can be written to, with room for "
            f"{_UNPACKED // 3 * archive.n_megabytes} MB; got {str(home)!r}: "
            f"{error.strerror}. Name another, or set SKPOPSTEER_DATA."
        ) from error
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)


def _check_by_hand(archive: Archive, zipped: Path) -> None:
    with open(zipped, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != archive.sha256:
        raise OSError(
            f"{str(zipped)!r} must have the SHA-256 {archive.sha256}; got {found}. "
            f"Delete it, or download {archive.url} once more."
        )


def _download(archive: Archive, folder: Path, by_hand: Path) -> Path:
    """Download an archive with the hash that is known, or raise."""
    pooch = import_optional("pooch", "datasets")
    request_error = import_optional("requests", "datasets").RequestException
    url = archive.url

    def download(url: str, path: str, _: object) -> None:
        responses: list = []
        get = pooch.HTTPDownloader(
            chunk_size=1 << 16,
            timeout=TIMEOUT,
            hooks={"response": lambda response, **_: responses.append(response)},
        )
        try:
            with open(path, "wb") as stream:
                most_bytes = _LONGER * archive.n_megabytes * 10**6
                get(url, _Bounded(stream, most_bytes), None)
        finally:
            # pooch leaves them open where writing fails.
            for response in responses:
                response.close()

    try:
        known = f"sha256:{archive.sha256}"
        return Path(pooch.retrieve(url, known, archive.file, folder, None, download))
    except request_error as error:
        raise ConnectionError(
            f"{url} must be within reach; got {_reason(error)}. Call again later, or "
            f"download it by hand to {str(by_hand)!r}."
        ) from error
    except ValueError as error:
        raise OSError(
            f"{url} must have the SHA-256 {archive.sha256}; got another: the download "
            "was damaged, or the set has been published anew. Call again; if that does "
            "not help, unpack the set by hand and load it from its folder."
        ) from error


def _reason(error) -> str:
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    return f"no connection ({type(error).__name__})"


class _Bounded:
    """A file that grows to some size only."""

    def __init__(self, stream: IO[bytes], most_bytes: int) -> None:
        self.stream, self.left = stream, most_bytes

    def write(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("longer than the archive can be")
        self.stream.write(data)

    def flush(self) -> None:
        self.stream.flush()
