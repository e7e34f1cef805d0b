import csv
import gzip
import re

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer.datasets.lastfm import load_lastfm

FILES = {
    "user_artists.dat": "userID\tartistID\tweight\n7\t30\t4\n2\t10\t352698\n2\t30\t1\n",
    "artists.dat": (
        "id\tname\turl\tpictureURL\n10\tRöyksopp\thttp://x\thttp://y\n"
        '20\tNever Heard\thttp://x\n30\t"Weird Al", The\n'
    ),
    "tags.dat": "tagID\ttagValue\n1\tMetal\n2\t metal \n3\t80's\n4\tunused\n5\t \n",
    "user_taggedartists.dat": (
        "userID\tartistID\ttagID\tday\tmonth\tyear\n"
        "2\t10\t1\t1\t4\t2009\n2\t10\t2\t1\t4\t2009\n7\t10\t1\t1\t4\t1956\n"
        "9\t30\t3\t1\t5\t2009\n2\t20\t3\t1\t5\t2009\n2\t99\t3\t1\t5\t2009\n"
        "2\t30\t5\t1\t5\t2009\n"
    ),
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def edit(folder, name, old, new):
    text = FILES[name]
    assert text.count(old) == 1
    (folder / name).write_bytes(text.replace(old, new).encode())


def assert_is_the_set(data):
    assert data.user_ids.tolist() == [2, 7]
    assert data.item_ids.tolist() == [10, 30]
    assert data.X.toarray().tolist() == [[1, 1], [0, 1]]
    assert data.listening_counts.toarray().tolist() == [[352698, 1], [0, 4]]
    assert data.times is None
    assert data.item_titles.tolist() == ["Röyksopp", '"Weird Al", The']
    assert data.tag_names.tolist() == ["80's", "metal"]
    assert data.item_tags.toarray().tolist() == [[0, 2], [1, 0]]


def test_the_files_are_read(folder):
    data = load_lastfm(str(folder))
    assert_is_the_set(data)
    for name in ("X", "listening_counts", "item_tags"):
        assert type(data[name]) is csr_array
        assert data[name].dtype == np.float64
    assert data.X.indices.dtype == np.int32
    assert data.user_ids.dtype == data.item_ids.dtype == np.int64
    assert "3 pairs of 2 users and 2 artists" in data.DESCR
    # To prune one matrix in place must leave the others as they are.
    data.X.data[0] = 0
    data.X.eliminate_zeros()
    assert data.listening_counts.toarray().tolist() == [[352698, 1], [0, 4]]


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
@pytest.mark.parametrize("compress", [False, True])
def test_line_ends_and_gzip_do_not_matter(tmp_path, ending, compress):
    for name, text in FILES.items():
        content = text.replace("\n", ending).encode()
        if compress:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (tmp_path / name).write_bytes(content)
    assert_is_the_set(load_lastfm(tmp_path))


def test_a_header_is_not_needed(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text.partition("\n")[2].encode())
    assert_is_the_set(load_lastfm(tmp_path))


def test_tags_may_be_in_latin_1(folder):
    text = FILES["tags.dat"].replace("80's", "español")
    (folder / "tags.dat").write_bytes(text.encode("latin-1"))
    assert "español" in load_lastfm(folder).tag_names


@pytest.mark.parametrize("name", ["tags.dat", "user_taggedartists.dat"])
def test_tags_may_be_absent(folder, name):
    (folder / name).unlink()
    data = load_lastfm(folder)
    assert data.item_tags.shape == (2, 0)
    assert data.tag_names.tolist() == []


def test_limits(folder):
    data = load_lastfm(folder, min_user_interactions=2)
    assert data.user_ids.tolist() == [2]
    data = load_lastfm(folder, min_item_interactions=2)
    assert data.item_ids.tolist() == [30]
    assert data.item_titles.tolist() == ['"Weird Al", The']
    assert data.tag_names.tolist() == ["80's"]
    with pytest.raises(ValueError, match="must leave at least one row; got none with"):
        load_lastfm(folder, min_user_interactions=2, min_item_interactions=2)
    for name in ("min_user_interactions", "min_item_interactions"):
        for limit in (0, 1.5, None):
            with pytest.raises(ValueError, match=f"^`{name}` must be an integer of"):
                load_lastfm(folder, **{name: limit})


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("user_artists.dat", "2\t30\t1", "2\t30", 4),
        ("user_artists.dat", "2\t30\t1", "2\t30\t1\t5", 4),
        ("user_artists.dat", "2\t30\t1", "2\t30\t1.5", 4),
        ("user_artists.dat", "2\t30\t1", "2\t30\t0", 4),
        ("user_artists.dat", "2\t30\t1", "2\t30\t-1", 4),
        ("artists.dat", "20\tNever Heard\thttp://x", "20", 3),
        ("artists.dat", "20\tNever Heard\thttp://x", "x\tNever Heard", 3),
        ("tags.dat", "3\t80's", "3", 4),
        ("user_taggedartists.dat", "7\t10\t1\t1\t4\t1956", "7\t10", 4),
        ("user_taggedartists.dat", "7\t10\t1\t1\t4\t1956", "7\t10\tmetal", 4),
    ],
)
def test_broken_rows_are_named(folder, name, old, new, line):
    edit(folder, name, old, new)
    with pytest.raises(ValueError, match=r"^`folder` must hold well-formed rows;") as e:
        load_lastfm(folder)
    assert f"in {name}, line {line}. " in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        (
            "artists.dat", '30\t"Weird', '31\t"Weird',
            "name every artist in artists.dat; got no row for artist 30. Take both",
        ),
        (
            "tags.dat", "3\t80's\n", "",
            "name every tag that is used in tags.dat; got no row for tag 3. Take both",
        ),
        (
            "user_artists.dat", "7\t30\t4", "2\t10\t4",
            "hold one listening count per user and artist; got two of artist 10 by "
            "user 2 in user_artists.dat. Keep one of them.",
        ),
        (
            "user_artists.dat", FILES["user_artists.dat"], "userID\tartistID\tweight\n",
            "hold at least one listening count; got none in user_artists.dat. Restore",
        ),
    ],
)  # fmt: skip
def test_files_that_do_not_fit(folder, name, old, new, line):
    edit(folder, name, old, new)
    with pytest.raises(ValueError, match=re.escape(f"`folder` must {line}")) as caught:
        load_lastfm(folder)
    assert "\n" not in str(caught.value)


def test_folders_that_are_none(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"which is none\. fetch_lastfm makes"):
        load_lastfm(tmp_path / "nowhere")
    for name in ("user_artists.dat", "artists.dat"):
        (folder / name).rename(folder / "away")
        with pytest.raises(FileNotFoundError, match=r"must hold user_artists\.dat and"):
            load_lastfm(folder)
        (folder / "away").rename(folder / name)
    with pytest.raises(TypeError, match=r"^`folder` must be a path; got 3"):
        load_lastfm(3)


def test_a_damaged_gzip_file_is_named(folder):
    (folder / "artists.dat").unlink()
    whole = gzip.compress(FILES["artists.dat"].encode())
    for content in (whole[:-9], b"no gzip", whole[:15] + b"\xff" * 9 + whole[24:]):
        (folder / "artists.dat.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"got a damaged artists\.dat"):
            load_lastfm(folder)


def read_csv(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_set_loads_in_full(shared_data, tmp_path):
    source = shared_data / "lastfm-hetrec"
    if not source.is_dir():
        pytest.skip("lastfm-hetrec is not beside the repository, in ../shared/data")
    with np.load(source / "interactions.npz") as arrays:
        rows = np.column_stack([arrays["user"], arrays["item"], arrays["weight"]])
    artists, tagged = (
        read_csv(source / "items.csv.gz"),
        read_csv(source / "tags.csv.gz"),
    )
    named = {row["tag_id"]: row["tag"] for row in tagged}
    for name, lines in {
        "user_artists.dat": ["\t".join(map(str, row)) for row in rows.tolist()],
        "artists.dat": [f"{row['item']}\t{row['title']}\tu\tp" for row in artists],
        "tags.dat": [f"{tag}\t{text}" for tag, text in named.items()],
        "user_taggedartists.dat": [
            f"{row['user']}\t{row['item']}\t{row['tag_id']}\t1\t1\t2009"
            for row in tagged
        ],
    }.items():
        (tmp_path / name).write_bytes("\r\n".join(["a\tb", *lines, ""]).encode())
    data = load_lastfm(tmp_path)
    assert data.X.shape == (1892, 17632)
    assert data.X.nnz == 92_834
    total = rows[:, 2].astype(np.int64).sum()
    assert data.listening_counts.sum() == total
    users = np.searchsorted(data.user_ids, rows[:, 0])
    items = np.searchsorted(data.item_ids, rows[:, 1])
    np.testing.assert_array_equal(data.listening_counts[users, items], rows[:, 2])
    titles = {int(row["item"]): row["title"] for row in artists}
    assert data.item_titles.tolist() == [titles[i] for i in data.item_ids.tolist()]
    known = set(data.item_ids.tolist())
    given = {
        (row["user"], row["item"], row["tag"].lower())
        for row in tagged
        if int(row["item"]) in known
    }
    assert data.item_tags.sum() == len(given)
    # Of the artist most people have listened to, some given by nobody else.
    madonna = data.item_titles.tolist().index("Madonna")
    counts = data.item_tags[[madonna]]
    found = dict(zip(data.tag_names[counts.indices], counts.data, strict=True))
    ours = [tag for _, item, tag in given if int(item) == data.item_ids[madonna]]
    assert found == {tag: ours.count(tag) for tag in set(ours)}
