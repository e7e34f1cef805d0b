import gzip
import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer.datasets import load_movielens

RATINGS = [(7, 30, 4.0, 881250949), (2, 10, 3.0, 891717742), (2, 30, 1.0, 878887116)]
MOVIES = {
    10: ("Misérables, Les (1995)", ["Drama", "War"]),
    20: ("Never Rated (1999)", ["Horror"]),
    30: ('"Great" Performances: A :: B (1975)', ["Comedy", "Drama"]),
}
TAGS = [(7, 30, "Fun"), (2, 30, " fun "), (2, 30, "fun"), (9, 10, "a::b"), (2, 20, "x")]
FLAGS = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


def write(folder, name, lines, *, encoding="utf-8", gz=False):
    data = "".join(line + "\n" for line in lines).encode(encoding)
    if gz:
        (folder / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
    else:
        (folder / name).write_bytes(data)


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def write_csv(folder, *, gz=False, encoding="utf-8"):
    ratings = [",".join(map(str, row)) for row in RATINGS]
    movies = [f"{i},{quoted(t)},{'|'.join(g)}" for i, (t, g) in MOVIES.items()]
    tags = [f"{u},{i},{quoted(tag)},99" for u, i, tag in TAGS]
    for name, header, lines in [
        ("ratings.csv", "userId,movieId,rating,timestamp", ratings),
        ("movies.csv", "movieId,title,genres", movies),
        ("tags.csv", "userId,movieId,tag,timestamp", tags),
    ]:
        write(folder, name, [header, *lines], gz=gz, encoding=encoding)


def write_dat(folder, *, gz=False, encoding="latin-1"):
    ratings = ["::".join(map(str, row)) for row in RATINGS]
    movies = [f"{i}::{t}::{'|'.join(g)}" for i, (t, g) in MOVIES.items()]
    tags = [f"{u}::{i}::{tag}::99" for u, i, tag in TAGS]
    for name, lines in [
        ("ratings.dat", ratings),
        ("movies.dat", movies),
        ("tags.dat", tags),
    ]:
        write(folder, name, lines, gz=gz, encoding=encoding)


def write_100k(folder, *, gz=False, encoding="latin-1"):
    ratings = [f"{u}\t{i}\t{r:g}\t{t}" for u, i, r, t in RATINGS]
    movies = [
        f"{i}|{t}|01-Jan-1995||http://x|" + "|".join(str(int(f in g)) for f in FLAGS)
        for i, (t, g) in MOVIES.items()
    ]
    write(folder, "u.data", ratings, gz=gz, encoding=encoding)
    write(folder, "u.item", movies, gz=gz, encoding=encoding)


LAYOUTS = pytest.mark.parametrize("write_layout", [write_csv, write_dat, write_100k])


@LAYOUTS
@pytest.mark.parametrize("gz", [False, True])
def test_every_layout_gives_the_same_set(tmp_path, write_layout, gz):
    write_layout(tmp_path, gz=gz)
    data = load_movielens(tmp_path)
    assert type(data.X) is type(data.times) is type(data.item_genres) is csr_array
    assert data.user_ids.tolist() == [2, 7]
    assert data.item_ids.tolist() == [10, 30]
    assert data.user_ids.dtype == data.item_ids.dtype == np.int64
    np.testing.assert_array_equal(data.X.toarray(), [[1, 1], [0, 1]])
    np.testing.assert_array_equal(data.ratings.toarray(), [[3, 1], [0, 4]])
    np.testing.assert_array_equal(
        data.times.toarray(), [[891717742, 878887116], [0, 881250949]]
    )
    assert data.item_titles.tolist() == [MOVIES[10][0], MOVIES[30][0]]
    assert data.genre_names.tolist() == ["Comedy", "Drama", "War"]
    np.testing.assert_array_equal(data.item_genres.toarray(), [[0, 1, 1], [1, 1, 0]])
    if write_layout is write_100k:
        assert data.item_tags.shape == (2, 0)
        assert data.tag_names.shape == (0,)
    else:
        assert data.tag_names.tolist() == ["a::b", "fun"]
        np.testing.assert_array_equal(data.item_tags.toarray(), [[1, 0], [0, 2]])
    assert "3 ratings by 2 users of 2 movies" in data.DESCR
    assert "doi:10.1145/2827872" in data.DESCR


def test_10m_files_are_utf_8(tmp_path):
    write_dat(tmp_path, encoding="utf-8")
    assert load_movielens(tmp_path).item_titles[0] == "Misérables, Les (1995)"


def test_csv_files_may_have_a_byte_order_mark_and_windows_line_ends(tmp_path):
    write_csv(tmp_path, encoding="utf-8-sig")
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    data = load_movielens(str(tmp_path))
    assert data.X.nnz == 3
    assert data.item_titles[0] == "Misérables, Les (1995)"


def test_tags_and_genres_may_be_missing(tmp_path):
    write_csv(tmp_path)
    (tmp_path / "tags.csv").unlink()
    lines = ["movieId,title,genres", "10,A,(no genres listed)", "30,B,"]
    write(tmp_path, "movies.csv", lines)
    data = load_movielens(tmp_path)
    assert data.item_tags.shape == data.item_genres.shape == (2, 0)


def test_blank_lines_are_passed_over(tmp_path):
    write_dat(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(b"\n" + path.read_bytes() + b"\n\n")
    assert load_movielens(tmp_path).X.nnz == 3


def test_matrices_share_no_memory(tmp_path):
    write_csv(tmp_path)
    data = load_movielens(tmp_path)
    data.X.data[:] = 0
    data.X.eliminate_zeros()
    assert data.times.toarray()[1, 1] == 881250949
    assert data.ratings.nnz == 3


def test_min_rating_drops_ratings_users_and_items(tmp_path):
    write_dat(tmp_path)
    data = load_movielens(tmp_path, min_rating=4)
    assert (data.user_ids.tolist(), data.item_ids.tolist()) == ([7], [30])
    assert data.ratings.data.tolist() == [4.0]
    assert data.tag_names.tolist() == ["fun"]


def test_missing_folder_is_named(tmp_path):
    message = r"`folder` must be a folder .*; got '.*nowhere', which is none\. Unpack"
    with pytest.raises(FileNotFoundError, match=message):
        load_movielens(tmp_path / "nowhere")


def test_what_is_no_path_is_named():
    with pytest.raises(TypeError, match=r"`folder` must be a path; got 3\. Pass the"):
        load_movielens(3)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], "an empty folder"),
        (["ratings.csv", "u.item"], r"ratings\.csv, u\.item"),
        ([f"{x}.txt" for x in "abcdef"], r"a\.txt, b\.txt, c\.txt, d\.txt, e\.txt, .*"),
    ],
)
def test_unknown_layout_names_the_files_looked_for(tmp_path, names, found):
    for name in names:
        (tmp_path / name).touch()
    message = (
        r"`folder` must hold ratings\.csv and movies\.csv \(.*\), or ratings\.dat and "
        r"movies\.dat \(1M and 10M\), or u\.data and u\.item \(100K\), each plain or "
        rf"gzipped; got {found}\. Pass the folder"
    )
    with pytest.raises(FileNotFoundError, match=message) as caught:
        load_movielens(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("write_layout", "name", "line", "row"),
    [
        (write_csv, "ratings.csv", 1, "user,movie,rating,time"),
        (write_csv, "ratings.csv", 3, "2,10,three,891717742"),
        (write_csv, "ratings.csv", 4, "2,30,1.0"),
        (write_csv, "ratings.csv", 2, "7,30,4.0,881250949,1"),
        (write_csv, "ratings.csv", 3, "2.5,10,3.0,891717742"),
        (write_csv, "ratings.csv", 4, "2,30,nan,878887116"),
        (write_csv, "movies.csv", 1, "id,title"),
        (write_csv, "movies.csv", 3, "20,Never Rated (1999)"),
        (write_csv, "movies.csv", 2, "ten,Title,Drama"),
        (write_csv, "tags.csv", 4, "2,30,fun"),
        (write_dat, "ratings.dat", 2, "2::10::3"),
        (write_dat, "ratings.dat", 1, "7:30:4:881250949"),
        (write_dat, "movies.dat", 3, "30"),
        (write_dat, "tags.dat", 5, "2::x::fun::99"),
        (write_100k, "u.data", 2, "2 10 3 891717742"),
        (write_100k, "u.item", 2, "20|Never Rated (1999)|01-Jan-1999||http://x|0|1"),
    ],
)
def test_broken_row_is_named_by_file_and_line(tmp_path, write_layout, name, line, row):
    write_layout(tmp_path)
    lines = (tmp_path / name).read_bytes().split(b"\n")
    lines[line - 1] = row.encode()
    (tmp_path / name).write_bytes(b"\n".join(lines))
    message = rf"`folder` must hold well-formed rows; got '.*' in {name}, line {line}\."
    with pytest.raises(ValueError, match=message) as caught:
        load_movielens(tmp_path)
    assert "\n" not in str(caught.value)


def test_broken_row_is_found_in_any_block(tmp_path, monkeypatch):
    monkeypatch.setattr("skpopsteer.datasets._movielens_files._BLOCK_LINES", 4)
    lines = [f"{user}::10::3::{user}" for user in range(1, 20)]
    write_dat(tmp_path)
    write(tmp_path, "ratings.dat", lines)
    assert load_movielens(tmp_path).X.shape == (19, 1)
    for broken in range(19):
        changed = ["", *lines[:broken], "?", *lines[broken + 1 :]]
        write(tmp_path, "ratings.dat", changed)
        with pytest.raises(ValueError, match=rf"'\?' in .*, line {broken + 2}\. "):
            load_movielens(tmp_path)


def test_open_quote_is_a_broken_row(tmp_path):
    write_csv(tmp_path)
    lines = ["movieId,title,genres", '10,"A,Drama', "30,B,Drama"]
    write(tmp_path, "movies.csv", lines)
    with pytest.raises(ValueError, match=r"in movies\.csv, line 3\. Restore"):
        load_movielens(tmp_path)


def test_long_rows_are_cut_in_the_message(tmp_path):
    write_csv(tmp_path)
    write(tmp_path, "movies.csv", ["movieId,title,genres", "x" * 500])
    with pytest.raises(ValueError, match=r"got 'x{57}\.\.\.' in movies\.csv, line 2\."):
        load_movielens(tmp_path)


def test_damaged_gzip_is_named(tmp_path):
    write_csv(tmp_path, gz=True)
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"`folder` must .*damaged ratings\.csv\.gz"):
        load_movielens(tmp_path)


def test_repeated_pair_is_named(tmp_path):
    write_dat(tmp_path)
    write(tmp_path, "ratings.dat", ["7::30::4::1", "2::30::4::1", "7::30::5::2"])
    message = r"one rating per user and movie; got two of movie 30 by user 7 in rat"
    with pytest.raises(ValueError, match=message):
        load_movielens(tmp_path)


def test_rated_movie_without_a_row_is_named(tmp_path):
    write_dat(tmp_path)
    write(tmp_path, "movies.dat", ["10::A::Drama"])
    message = r"`folder` must list every rated movie in movies\.dat; got no row for mo"
    with pytest.raises(ValueError, match=message):
        load_movielens(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"min_rating": "4"}, r"`min_rating` must be a number of stars .*; got '4'\."),
        ({"min_user_interactions": 0}, r"`min_user_interactions` must .*; got 0\. Pa"),
        ({"min_item_interactions": 1.5}, r"`min_item_interactions` .*; got 1\.5\."),
        ({"min_rating": 6}, r"must leave at least one rating; got none with 6, 1 and"),
        ({"min_rating": math.nan}, r"must leave at least one rating; got none with n"),
        ({"min_user_interactions": 3}, r"at least one rating; got none with None, 3 "),
    ],
)
def test_bad_parameters_are_named_in_one_line(tmp_path, parameters, message):
    write_csv(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        load_movielens(tmp_path, **parameters)
    assert "\n" not in str(caught.value)


def test_no_ratings_at_all(tmp_path):
    write_csv(tmp_path)
    write(tmp_path, "ratings.csv", ["userId,movieId,rating,timestamp"])
    with pytest.raises(ValueError, match=r"at least one rating; got none in ratings\."):
        load_movielens(tmp_path)
