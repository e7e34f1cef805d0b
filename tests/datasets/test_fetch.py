"""Sets come from a server once, checked, and from the disk ever after."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skpopsteer.datasets import _archives, load_movielens
from skpopsteer.datasets._fetch import fetch_lastfm, fetch_movielens
from skpopsteer.datasets.lastfm import load_lastfm
from tests.datasets.archive_server import FILES, SHIPPED, make_zip, serving, sha256

SMALL = "/datasets/movielens/ml-latest-small.zip"
LASTFM = "/datasets/hetrec2011/hetrec2011-lastfm-2k.zip"
LASTFM_FILES = {
    "user_artists.dat": b"userID\tartistID\tweight\r\n2\t51\t13883\r\n3\t51\t7\r\n",
    "artists.dat": b"id\tname\turl\tpictureURL\n51\tDuran Duran\thttp://x\thttp://y\n",
    "readme.txt": b"Version 1.0 (May 2011)",
}


@pytest.fixture
def server(monkeypatch):
    """A mirror that has two sets, with the hashes of what it has."""
    small = make_zip({f"ml-latest-small/{name}": c for name, c in FILES.items()})
    contents = {SMALL: small, LASTFM: make_zip(LASTFM_FILES)}
    with serving(contents) as server:
        for name, path in [
            ("ml-latest-small", SMALL),
            ("hetrec2011-lastfm-2k", LASTFM),
        ]:
            archive = _archives.ARCHIVES[name]._replace(sha256=sha256(contents[path]))
            monkeypatch.setitem(_archives.ARCHIVES, name, archive)
        monkeypatch.setenv("SKPOPSTEER_MIRROR", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        server.contents = contents
        yield server


def assert_same(data, expected):
    assert set(data) == set(expected) | {"folder"}
    for name, value in expected.items():
        if hasattr(value, "toarray"):
            assert (data[name] != value).nnz == 0, name
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(data[name], value)
        else:
            assert data[name] == value


def test_a_set_is_downloaded_once(server, tmp_path):
    home = tmp_path / "deep" / "home"
    data = fetch_movielens(data_home=home)
    assert_same(data, load_movielens(SHIPPED))
    assert server.requests == [SMALL]
    assert os.listdir(home) == ["ml-latest-small"]
    folder = home / "ml-latest-small"
    assert data.folder == str(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    server.fault = "missing"
    for arguments in ({}, {"download_if_missing": False}):
        again = fetch_movielens("latest-small", data_home=str(home), **arguments)
        assert_same(again, load_movielens(SHIPPED))
    assert server.requests == [SMALL]


def test_the_folder_that_is_returned_loads_with_limits(server, tmp_path):
    data = fetch_movielens(data_home=tmp_path)
    liked = load_movielens(data.folder, min_rating=4)
    assert liked.X.nnz == (data.ratings.data >= 4).sum()


def test_lastfm_is_downloaded_once(server, tmp_path):
    for _ in range(2):
        data = fetch_lastfm(data_home=tmp_path)
        assert data.item_titles.tolist() == ["Duran Duran"]
        assert data.listening_counts.toarray().tolist() == [[13883], [7]]
    assert server.requests == [LASTFM]
    assert os.listdir(tmp_path) == ["hetrec2011-lastfm-2k"]
    assert_same(data, load_lastfm(data.folder))


def test_what_was_downloaded_by_hand_is_used_and_kept(server, tmp_path, monkeypatch):
    by_hand = tmp_path / "ml-latest-small.zip"
    by_hand.write_bytes(server.contents[SMALL])
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert fetch_movielens(data_home=tmp_path).X.nnz == 100_836
    assert server.requests == []
    assert sorted(os.listdir(tmp_path)) == ["ml-latest-small", "ml-latest-small.zip"]
    assert by_hand.read_bytes() == server.contents[SMALL]


def test_another_file_by_hand_is_refused_and_kept(server, tmp_path):
    by_hand = tmp_path / "ml-latest-small.zip"
    by_hand.write_bytes(b"<html>Please accept our cookies</html>")
    with pytest.raises(
        OSError, match=r"must have the SHA-256 [0-9a-f]{64}; got [0-9a-f]"
    ) as e:
        fetch_movielens(data_home=tmp_path)
    assert_one_line(e, [str(by_hand), "Delete it, or download", server.url])
    assert os.listdir(tmp_path) == ["ml-latest-small.zip"]


def assert_one_line(caught, parts=()):
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    for part in parts:
        assert part in message


def test_nothing_is_downloaded_unless_wanted(server, tmp_path):
    home = tmp_path / "home"
    with pytest.raises(FileNotFoundError, match=r"^`download_if_missing` must be") as e:
        fetch_movielens("25m", data_home=home, download_if_missing=False)
    assert_one_line(e, [str(home / "ml-25m"), "unpack ml-25m.zip there"])
    with pytest.raises(FileNotFoundError, match="to fetch hetrec2011-lastfm-2k; got"):
        fetch_lastfm(data_home=home, download_if_missing=False)
    assert server.requests == []
    assert not home.exists()


@pytest.mark.parametrize("name", ["2m", "ml-1m", "", 1, None])
def test_other_names_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"^`name` must be one of 'latest-small'") as e:
        fetch_movielens(name, data_home=tmp_path)
    assert_one_line(e, [f"got {name!r}"])


@pytest.mark.parametrize("data_home", [3, ["a"], b"bytes"])
def test_a_data_home_of_another_kind_is_refused(data_home):
    with pytest.raises(TypeError, match=r"^`data_home` must be a path or None; got"):
        fetch_movielens(data_home=data_home)


@pytest.mark.parametrize("mirror", ["files.grouplens.org", "file:///etc", "ftp://x"])
def test_a_mirror_must_be_on_the_web(mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("SKPOPSTEER_MIRROR", mirror)
    with pytest.raises(ValueError, match=r"^`SKPOPSTEER_MIRROR` must be an address"):
        fetch_lastfm(data_home=tmp_path)
    assert os.listdir(tmp_path) == []


def test_where_sets_are_kept(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch_lastfm(data_home="~/here").folder.startswith(str(tmp_path / "here"))
    monkeypatch.setenv("SKPOPSTEER_DATA", str(tmp_path / "there"))
    assert fetch_lastfm().folder.startswith(str(tmp_path / "there"))
    assert fetch_lastfm(data_home=tmp_path / "here").folder.startswith(
        str(tmp_path / "here")
    )
    monkeypatch.setenv("SKPOPSTEER_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = Path(fetch_lastfm().folder)
    assert folder.is_relative_to(tmp_path)
    assert folder.parent.name == "skpopsteer"
    monkeypatch.chdir(tmp_path)
    folder = Path(fetch_lastfm(data_home="near").folder)
    assert folder == tmp_path / "near" / "hetrec2011-lastfm-2k"


def test_pooch_is_asked_for_by_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.delenv("SKPOPSTEER_DATA", raising=False)
    for data_home in (None, tmp_path):
        with pytest.raises(ImportError, match=r'pip install "skpopsteer\[datasets\]"'):
            fetch_movielens(data_home=data_home)
    assert os.listdir(tmp_path) == []


def test_importing_does_not_import_pooch():
    code = "import sys, skpopsteer.datasets._fetch; sys.exit('pooch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_source_and_the_hashes_are_written_in_full(monkeypatch):
    monkeypatch.delenv("SKPOPSTEER_MIRROR", raising=False)
    archives = _archives.ARCHIVES
    urls = [archive.url for archive in archives.values()]
    assert len(set(urls)) == len({a.sha256 for a in archives.values()}) == 8
    for archive in archives.values():
        assert re.fullmatch("[0-9a-f]{64}", archive.sha256)
        assert re.fullmatch(
            r"https://files\.grouplens\.org/datasets/"
            r"(movielens/ml-|hetrec2011/hetrec2011-)[a-z0-9-]+\.zip",
            archive.url,
        )
        assert archive.file == os.path.basename(archive.url)


def test_only_the_folder_of_the_set_is_taken_from_an_archive(
    server, tmp_path, monkeypatch
):
    members = {f"ml-latest-small/{name}": c for name, c in FILES.items()}
    members |= {"__MACOSX/._ratings.csv": b"x", "ml-latest-small-2/ratings.csv": b"y"}
    server.contents[SMALL] = make_zip({"ml-latest-small/": b"", **members})
    archive = _archives.ARCHIVES["ml-latest-small"]
    monkeypatch.setitem(
        _archives.ARCHIVES,
        "ml-latest-small",
        archive._replace(sha256=sha256(server.contents[SMALL])),
    )
    folder = Path(fetch_movielens(data_home=tmp_path).folder)
    assert sorted(os.listdir(folder)) == sorted(FILES)
