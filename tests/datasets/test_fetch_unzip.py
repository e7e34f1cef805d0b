"""An archive writes plain files below its folder, or nothing."""

import os
import stat
import zipfile

import pytest

from skpopsteer.datasets._unzip import unzip
from tests.datasets.archive_server import make_zip


def member(name, *, mode=0, date=(2011, 5, 1, 0, 0, 0), method=zipfile.ZIP_DEFLATED):
    info = zipfile.ZipInfo(name, date)
    info.filename = name  # as it stands: the constructor tidies it up
    info.external_attr = mode << 16
    info.compress_type = method
    return info


@pytest.fixture
def unpack(tmp_path):
    (tmp_path / "work").mkdir()
    archive = tmp_path / "work" / "set.zip"

    def unpack(content, *, inside="", most_bytes=10**6):
        if not isinstance(content, bytes):
            content = make_zip(content)
        archive.write_bytes(content)
        folder = tmp_path / "work" / "files"
        unzip(archive, folder, inside=inside, most_bytes=most_bytes)
        found = (path for path in folder.rglob("*") if path.is_file())
        return {str(p.relative_to(folder)): p.read_bytes() for p in found}

    yield unpack
    # Nothing is outside of the folder, whatever happened.
    assert os.listdir(tmp_path) == ["work"]
    assert set(os.listdir(tmp_path / "work")) <= {"files", "set.zip"}


def refused(unpack, content, reason, tmp_path, **limits):
    with pytest.raises(ValueError, match=r"^`set\.zip` must ") as caught:
        unpack(content, **limits)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    # It is found before anything is written.
    assert not (tmp_path / "work" / "files").exists()


def test_files_come_out_as_they_went_in(unpack):
    files = {"a.dat": b"1", "below/b.dat": b"2" * 10_000, "empty": b""}
    assert unpack({"below/": b"", **files}) == files


def test_one_folder_is_taken_and_the_others_left(unpack):
    files = {"set/a": b"1", "set/b/c": b"2", "settle/a": b"3", "a": b"4"}
    assert unpack(files, inside="set") == {"a": b"1", os.path.join("b", "c"): b"2"}


def test_modes_of_members_are_not_taken_over(unpack, tmp_path):
    unpack({member("a", mode=stat.S_IFREG | 0o6777): b"1"})
    mode = (tmp_path / "work" / "files" / "a").stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR | stat.S_IWOTH)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/cron.d/x", "../x", "a/../../x", "a/..", "..", "//server/x", "C:\\x",
        "C:x", "..\\x", "a\\..\\..\\x", "file:stream", "/", "../",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere(unpack, tmp_path, name):
    content = {"first": b"good", member(name): b"bad"}
    refused(unpack, content, f"got {name!r}, which is outside", tmp_path)
    # In a folder that would not be unpacked too.
    refused(unpack, content, f"got {name!r}, which is outside", tmp_path, inside="b")


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK]
)
def test_links_and_devices(unpack, tmp_path, kind):
    content = {member("link", mode=kind | 0o777): b"/etc/passwd", "link/x": b"bad"}
    refused(unpack, content, "got 'link', which is a link or a device", tmp_path)


def test_a_folder_that_is_a_link(unpack, tmp_path):
    content = {member("link/", mode=stat.S_IFLNK | 0o777): b"/etc"}
    refused(unpack, content, "got 'link/', which is a link or a device", tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("second", ["a", "A"])
def test_a_name_that_is_there_twice(unpack, tmp_path, second):
    content = {member("a"): b"good", member(second): b"bad"}
    refused(unpack, content, f"got {second!r}, which is there twice", tmp_path)


def test_more_than_the_disk_should_hold(unpack, tmp_path):
    bomb = {"a": bytes(600_000), "b": bytes(400_001)}
    assert len(make_zip(bomb)) < 2_000
    refused(unpack, bomb, "at most 1000000 bytes", tmp_path)
    assert sum(map(len, unpack(bomb, most_bytes=1_000_001).values())) == 1_000_001


def test_more_files_than_a_folder_should_hold(unpack, tmp_path):
    refused(unpack, {str(i): b"" for i in range(1001)}, "in 1001", tmp_path)


def test_a_member_that_is_longer_than_it_says(unpack, tmp_path):
    content = bytearray(make_zip({"a": bytes(500_000)}))
    size = (500_000).to_bytes(4, "little")
    assert content.count(size) == 2
    for _ in range(2):
        place = content.index(size)
        content[place : place + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(ValueError, match="must be a whole zip file"):
        unpack(bytes(content), most_bytes=2000)
    assert (
        sum(p.stat().st_size for p in (tmp_path / "work" / "files").iterdir()) <= 1000
    )


def _broken():
    # Contents that do not compress, so that they are most of the file.
    content = make_zip({"a": os.urandom(5000), "b": b"2"})
    central = content.index(b"PK\x01\x02")
    changed = {}
    for name, places, change in [
        ("a wrong byte", [2500], lambda byte: byte ^ 1),
        ("encrypted", [6, central + 8], lambda byte: byte | 1),
        ("an unknown method", [8, central + 10], lambda _: 99),
    ]:
        changed[name] = bytearray(content)
        for place in places:
            changed[name][place] = change(content[place])
    cut = {"without an end": content[:-30], "half": content[:3000], "empty": b""}
    return {**cut, "a page": b"<html>", **changed}


@pytest.mark.parametrize("kind", _broken())
def test_archives_that_are_broken(unpack, kind):
    with pytest.raises(ValueError, match="whole zip file without a password") as caught:
        unpack(bytes(_broken()[kind]))
    assert "\n" not in str(caught.value)
