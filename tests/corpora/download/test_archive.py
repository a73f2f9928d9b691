from __future__ import annotations

import hashlib
import stat
import zipfile
from pathlib import Path

import pytest

from ds2f.corpora.download import archive
from ds2f.corpora.download.archive import Damaged, join, md5, read_checksums, unzip
from ds2f.errors import UserError


def _zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return path


def _everything(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_unzip_and_again(tmp_path: Path) -> None:
    made = _zip(tmp_path / "a.zip", **{"dev/id1/x.mp4": b"one", "dev/id2/y.mp4": b"three"})
    assert unzip(made, tmp_path / "out") == 2
    assert (tmp_path / "out/dev/id2/y.mp4").read_bytes() == b"three"
    (tmp_path / "out/dev/id1/x.mp4").write_bytes(b"o")  # what a full disk might have left
    assert unzip(made, tmp_path / "out") == 1
    assert (tmp_path / "out/dev/id1/x.mp4").read_bytes() == b"one"


@pytest.mark.parametrize("name", ["../evil.mp4", "/etc/evil.mp4", "a/../../evil.mp4", "..\\evil.mp4", "C:\\evil.mp4"])
def test_nothing_lands_outside_and_nothing_is_unpacked(tmp_path: Path, name: str) -> None:
    made = _zip(tmp_path / "a.zip", **{"good.mp4": b"good", name: b"evil"})
    with pytest.raises(UserError, match="would land outside"):
        unzip(made, tmp_path / "deep" / "out")
    assert _everything(tmp_path) == {"a.zip"}


def test_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="not a plain file"):
        unzip(tmp_path / "a.zip", tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "dev").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="by a link"):
        unzip(_zip(tmp_path / "b.zip", **{"dev/x.mp4": b"x"}), tmp_path / "out")
    assert _everything(tmp_path / "elsewhere") == set()


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BOMB_SIZE", 1 << 20)
    made = _zip(tmp_path / "a.zip", **{"zeros.mp4": bytes(8 << 20)})
    with pytest.raises(UserError, match="expands too much"):
        unzip(made, tmp_path / "out")


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(_zip(tmp_path / "whole.zip", **{"x.mp4": b"x" * 1000}).read_bytes()[:60])
    with pytest.raises(UserError, match="not a whole zip archive"):
        unzip(tmp_path / "a.zip", tmp_path / "out")


def test_checksums(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert md5(tmp_path / "a") == hashlib.md5(b"abc").hexdigest()
    sums = tmp_path / "md5.txt"
    sums.write_text(f"# sums\n{'0' * 32}  vox2_partaa\ndir/vox2_partab {'F' * 32}\n\n")
    assert read_checksums(sums) == {"vox2_partaa": "0" * 32, "vox2_partab": "f" * 32}
    sums.write_text("vox2_partaa 123\n")
    with pytest.raises(UserError, match="line 1"):
        read_checksums(sums)


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    for name in ("aa", "ab"):
        (tmp_path / name).write_text(name)
    assert join([tmp_path / "aa", tmp_path / "ab"], tmp_path / "whole").read_text() == "aaab"


def test_a_folder_that_only_begins_alike_is_outside(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "out" / "dev").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="by a link"):
        unzip(_zip(tmp_path / "a.zip", **{"dev/x.mp4": b"x"}), tmp_path / "out")
    assert _everything(tmp_path / "outside") == set()


def test_a_link_where_the_unpacked_file_is_written_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.mp4.part").symlink_to(tmp_path / "mine.txt")
    assert unzip(_zip(tmp_path / "a.zip", **{"x.mp4": b"x"}), tmp_path / "out") == 1
    assert _everything(tmp_path) == {"a.zip", "out/x.mp4"}


def test_an_archive_may_lead_through_a_link_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    assert unzip(_zip(tmp_path / "a.zip", **{"dev/x.mp4": b"x"}), tmp_path / "out") == 1


def test_a_damaged_member_leaves_no_half_of_itself(tmp_path: Path) -> None:
    made = _zip(tmp_path / "a.zip", **{"a.mp4": b"a" * 3000, "b.mp4": bytes(range(256)) * 40})
    data = bytearray(made.read_bytes())
    data[150:170] = bytes(20)
    made.write_bytes(bytes(data))
    with pytest.raises(Damaged, match="not a whole zip archive"):
        unzip(made, tmp_path / "out")
    assert _everything(tmp_path / "out") == {"a.mp4"}


def test_a_member_with_a_password(tmp_path: Path) -> None:
    made = _zip(tmp_path / "a.zip", **{"a.mp4": b"a" * 30})
    data = bytearray(made.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    made.write_bytes(bytes(data))
    with pytest.raises(UserError, match="password"):
        unzip(made, tmp_path / "out")


@pytest.mark.parametrize("names", [("a.mp4", "a.mp4/b.mp4"), ("x/a.mp4", "x//a.mp4")])
def test_two_members_in_one_place_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(UserError, match="two members in the same place"):
        unzip(_zip(tmp_path / "a.zip", **dict.fromkeys(names, b"x")), tmp_path / "out")
    assert _everything(tmp_path / "out") == set()


def test_a_file_where_a_folder_must_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dev").write_bytes(b"mine")
    with pytest.raises(UserError, match="cannot be unpacked"):
        unzip(_zip(tmp_path / "a.zip", **{"dev/x.mp4": b"x"}), tmp_path / "out")


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _zip(tmp_path / "a.zip", **{"a.mp4": b"a" * 3000, "b.mp4": b"b" * 3000})
    unzip(_zip(tmp_path / "b.zip", **{"a.mp4": b"a" * 3000}), tmp_path / "out")
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2999}))
    with pytest.raises(UserError, match="unpacking needs"):
        unzip(made, tmp_path / "out")
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 3000}))
    assert unzip(made, tmp_path / "out") == 1, "what is there needs no room"


def test_a_disk_that_fills_while_parts_are_joined_is_given_its_room_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aa").write_bytes(b"aa")

    def fill(done: int, total: int, name: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        join([tmp_path / "aa"], tmp_path / "whole", fill)
    assert _everything(tmp_path) == {"aa"}


def test_checksums_of_other_programs(tmp_path: Path) -> None:
    sums = tmp_path / "md5.txt"
    sums.write_bytes(f"\ufeffMD5 (dir/vox2_partaa) = {'0' * 32}\r\n{'1' * 32} *vox2_partab\r\n".encode())
    assert read_checksums(sums) == {"vox2_partaa": "0" * 32, "vox2_partab": "1" * 32}
