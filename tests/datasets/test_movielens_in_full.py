"""The set in the repository, and the others where they lie beside it."""

import csv
import gzip
import time
from pathlib import Path

import numpy as np
import pytest

from skpopsteer.datasets import load_movielens

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "data" / "ml-latest-small"
SHARED = ROOT.parent / "shared" / "data"

FLAGS = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


@pytest.fixture(scope="module")
def shipped():
    return load_movielens(SHIPPED)


def test_limits_hold_for_all_that_is_kept():
    data = load_movielens(
        SHIPPED, min_rating=4, min_user_interactions=20, min_item_interactions=10
    )
    assert np.diff(data.X.indptr).min() >= 20
    assert np.bincount(data.X.indices, minlength=data.X.shape[1]).min() >= 10
    assert len(data.item_titles) == len(data.item_ids) == data.X.shape[1]
    assert data.item_genres.shape[0] == data.item_tags.shape[0] == data.X.shape[1]


def test_shipped_set_has_the_published_size(shipped):
    assert shipped.X.shape == (610, 9724)
    assert shipped.X.nnz == 100_836
    assert shipped.X.has_canonical_format
    assert shipped.X.indices.dtype == np.int32
    assert (shipped.X.data == 1).all()
    assert set(shipped.ratings.data) == {half / 2 for half in range(1, 11)}
    for name in ("ratings", "times"):
        np.testing.assert_array_equal(shipped[name].indptr, shipped.X.indptr)
        np.testing.assert_array_equal(shipped[name].indices, shipped.X.indices)


def test_shipped_set_begins_as_the_source_does(shipped):
    assert shipped.user_ids.tolist() == list(range(1, 611))
    assert shipped.item_ids[:4].tolist() == [1, 2, 3, 4]
    assert shipped.item_titles[0] == "Toy Story (1995)"
    assert (shipped.ratings.data[0], shipped.times.data[0]) == (4.0, 964982703)
    first = shipped.item_genres[[0]].indices
    names = ["Adventure", "Animation", "Children", "Comedy", "Fantasy"]
    assert shipped.genre_names[first].tolist() == names


def test_shipped_titles_survive(shipped):
    titles = dict(zip(shipped.item_ids.tolist(), shipped.item_titles, strict=True))
    assert titles[73] == "Misérables, Les (1995)"
    assert titles[11] == "American President, The (1995)"
    assert titles[29].endswith("(Cité des enfants perdus, La) (1995)")
    assert len(titles) - len(set(titles.values())) == 5


def test_shipped_tags_count_users(shipped):
    assert (np.diff(shipped.item_tags.indptr) > 0).sum() == 1554
    assert "will ferrell" in shipped.tag_names
    assert '"artsy"' in shipped.tag_names
    toy_story = shipped.item_tags[[0]]
    names = dict(zip(shipped.tag_names[toy_story.indices], toy_story.data, strict=True))
    assert names == {"pixar": 2.0, "fun": 1.0}


def test_shipped_files_are_the_published_ones():
    rows = {"ratings": 100_836, "movies": 9_742, "tags": 3_683, "links": 9_742}
    for name, n_rows in rows.items():
        data = (SHIPPED / f"{name}.csv.gz").read_bytes()
        assert data[4:8] == bytes(4), "a time stamp makes the bytes irreproducible"
        lines = gzip.decompress(data).split(b"\r\n")
        assert len(lines) == n_rows + 2
        assert lines[-1] == b""
        if name == "links":
            assert lines[1] == b"1,0114709,862"
            assert all(len(line.split(b",")[1]) == 7 for line in lines[1:-1])
    assert "Usage License" in (SHIPPED / "README.txt").read_text(encoding="utf-8")


def test_shipped_set_loads_fast():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        load_movielens(SHIPPED)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


def shared_interactions(name):
    path = SHARED / name / "interactions.npz"
    if not path.is_file():
        pytest.skip(f"{name} is not beside the repository, in ../shared/data")
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays}


def shared_items(name):
    path = SHARED / name / "items.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return {int(row["item"]): row for row in csv.DictReader(lines)}


def assert_same_set(data, source, items):
    user_ids, rows = np.unique(source["user"], return_inverse=True)
    item_ids, columns = np.unique(source["item"], return_inverse=True)
    np.testing.assert_array_equal(data.user_ids, user_ids)
    np.testing.assert_array_equal(data.item_ids, item_ids)
    assert data.X.nnz == len(rows)
    order = np.lexsort((columns, rows))
    np.testing.assert_array_equal(data.X.indices, columns[order])
    np.testing.assert_array_equal(np.diff(data.X.indptr), np.bincount(rows))
    np.testing.assert_array_equal(data.ratings.data, source["rating"][order])
    np.testing.assert_array_equal(data.times.data, source["timestamp"][order])
    titles = [items[item]["title"] for item in item_ids.tolist()]
    assert data.item_titles.tolist() == titles
    for position, item in enumerate(item_ids.tolist()):
        start, stop = data.item_genres.indptr[position : position + 2]
        found = data.genre_names[data.item_genres.indices[start:stop]].tolist()
        assert found == sorted(filter(None, items[item]["genres"].split("|")))


def test_shipped_set_equals_its_source(shipped):
    source = shared_interactions("ml-latest-small")
    assert_same_set(shipped, source, shared_items("ml-latest-small"))


def columns_of(source):
    names = ("user", "item", "rating", "timestamp")
    return zip(*(source[name].tolist() for name in names), strict=True)


def test_100k_loads_in_full(tmp_path):
    source, items = shared_interactions("ml-100k"), shared_items("ml-100k")
    lines = [f"{u}\t{i}\t{r:g}\t{t}" for u, i, r, t in columns_of(source)]
    (tmp_path / "u.data").write_text("\n".join(lines))
    lines = [
        f"{i}|{row['title']}|||"
        + "".join(f"|{int(flag in row['genres'].split('|'))}" for flag in FLAGS)
        for i, row in items.items()
    ]
    (tmp_path / "u.item").write_text("\n".join(lines), encoding="latin-1")
    data = load_movielens(tmp_path)
    assert data.X.shape == (943, 1682)
    assert_same_set(data, source, items)


def test_1m_loads_in_full_and_fast(tmp_path):
    source, items = shared_interactions("ml-1m"), shared_items("ml-1m")
    lines = [f"{u}::{i}::{r:g}::{t}" for u, i, r, t in columns_of(source)]
    (tmp_path / "ratings.dat").write_text("\n".join(lines))
    lines = [f"{i}::{row['title']}::{row['genres']}" for i, row in items.items()]
    (tmp_path / "movies.dat").write_text("\n".join(lines), encoding="latin-1")
    start = time.perf_counter()
    data = load_movielens(tmp_path)
    assert time.perf_counter() - start < 5
    assert data.X.shape == (6040, 3706)
    assert_same_set(data, source, items)
