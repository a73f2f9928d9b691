from __future__ import annotations

import hashlib
import stat
import zipfile
from pathlib import Path

import pytest

from ds2f.corpora.download import archive
from ds2f.corpora.download.archive import join, md5, read_checksums, unzip
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
    with pytest.raises(UserError, match="grows beyond reason"):
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
