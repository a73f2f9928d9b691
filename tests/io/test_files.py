"""Files whole or not at all; a disk that is full or may not be written."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from safetensors import SafetensorError

from ds2f import config
from ds2f.cli import main
from ds2f.dataset import Dataset, schema
from ds2f.dataset.splits import SplitRule
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.io.files import disk_trouble, make_folder, read_lines, replacing
from helpers import item

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "faces/talk-0.png.part")


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "ds2f.toml"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        _stopped_while_writing(path)
    assert path.read_text() == "old"
    with replacing(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["ds2f.toml"]


def _stopped_while_writing(path: Path) -> None:
    with replacing(path) as aside:
        aside.write_text("ne")
        raise KeyboardInterrupt


def _full_database(tmp_path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(tmp_path / "full.db")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 2")
    return connection


def test_a_full_disk_is_known_whoever_says_it(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError) as full:
        _full_database(tmp_path).execute("INSERT INTO t VALUES (zeroblob(100000))")
    said = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    for error in (NO_SPACE, full.value, said):
        assert "The disk is full" in str(disk_trouble(error))
    assert "talk-0.png" in str(disk_trouble(NO_SPACE))


def test_what_may_not_be_written_and_what_is_no_trouble_of_the_disk(tmp_path: Path) -> None:
    _full_database(tmp_path)
    with pytest.raises(sqlite3.OperationalError) as refused:
        sqlite3.connect(f"file:{tmp_path / 'full.db'}?mode=ro", uri=True).execute("DROP TABLE t")
    for error in (refused.value, PermissionError(errno.EACCES, "Permission denied", "dataset.db")):
        assert "may not be" in str(disk_trouble(error))
    with pytest.raises(sqlite3.OperationalError) as wrong:
        sqlite3.connect(":memory:").execute("SELECT * FROM nowhere")
    for error in (wrong.value, OSError("a library's own"), KeyError("x"), SafetensorError("header too large")):
        assert disk_trouble(error) is None


def test_a_command_says_it_in_one_sentence_and_nothing_half_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, text: str, encoding: str = "") -> None:
        path.touch()
        raise NO_SPACE

    monkeypatch.setattr(Path, "write_text", full)
    assert main(["init", "--config", str(tmp_path / "ds2f.toml")]) == 2
    assert "make room" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(config, "load", lambda path: full(tmp_path / "x", ""))
    assert main(["status"]) == 2
    said = capsys.readouterr().err
    assert "The disk is full (faces/talk-0.png.part)" in said
    assert "Traceback" not in said


LIMITED = """
import resource, signal, sys
from ds2f.cli import main
from ds2f.dataset import Dataset, schema
from ds2f.dataset.splits import SplitRule
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing beyond the limit is then an error, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.exit(main(sys.argv[1:]))
"""


def test_many_may_make_one_folder_at_once(tmp_path: Path) -> None:
    """Each asks whether it can be written, and none takes another's trace of that away."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: make_folder(tmp_path / "out"), range(2000)))
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "taken").touch()
    with pytest.raises(UserError, match="taken/out cannot be written"):
        make_folder(tmp_path / "taken" / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
def test_a_database_that_cannot_be_made_can_be_made_later(tmp_path: Path) -> None:
    ingest = ["ingest", str(samples()), "--database", str(tmp_path / "dataset.db")]
    done = subprocess.run([sys.executable, "-c", LIMITED, *ingest], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert main(ingest) == 0


def test_a_damaged_database_and_one_in_use_are_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.db"
    with Dataset(path, create=True) as dataset:
        dataset.add_items(tmp_path, "video", [item(f"{k:03d}.mp4", f"{k}") for k in range(300)], SplitRule())
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert main(["forget", "7", "--database", str(path), "--yes"]) == 2
        assert "cannot be written (database is locked)" in capsys.readouterr().err
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        assert "Another process" in str(disk_trouble(error))
    data = bytearray(path.read_bytes())
    data[4096 * 4 :] = bytes(len(data) - 4096 * 4)  # as a disk that fails leaves it
    path.write_bytes(data)
    assert main(["forget", "7", "--database", str(path), "--yes"]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_names_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 125 + "n.png")  # 255 bytes
    with replacing(path) as aside:
        aside.write_text("new")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with pytest.raises(OSError, match="too long") as failed:
        (tmp_path / ("n" * 256)).touch()
    assert "too long" in str(disk_trouble(failed.value))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_are_read_as_editors_write_them(tmp_path: Path, encoding: str, end: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""  # the others write their own, or none
    path = tmp_path / "list.txt"
    path.write_bytes((mark + end.join(["1 a/é.wav b.wav", "0 a/é.wav c.wav"])).encode(encoding))
    assert read_lines(path, "list") == ["1 a/é.wav b.wav", "0 a/é.wav c.wav"]


def test_a_list_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"trial list .*gone.txt cannot be read \(No such file or directory\)"):
        read_lines(tmp_path / "gone.txt", "trial list")
    (tmp_path / "latin.txt").write_bytes(b"1 caf\xe9.wav b.wav")
    with pytest.raises(UserError, match="save it as UTF-8"):
        read_lines(tmp_path / "latin.txt", "trial list")
