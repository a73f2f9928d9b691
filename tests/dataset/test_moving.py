"""An ingested folder that has been moved: nobody is entered twice, and nothing that was extracted is lost."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tarfile
from pathlib import Path

import pytest

from ds2f.cli import main
from ds2f.dataset import Dataset
from ds2f.dataset.moving import _new_names
from ds2f.dataset.outputs import remember
from ds2f.dataset.plan import Shard
from ds2f.dataset.shards import Merged, merge, split_off
from ds2f.dataset.store import store
from ds2f.io.files import write_json
from helpers import PLAN, extracted, wanting

FILES = ("ann/1.wav", "ann/2.wav", "bob/1.wav")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Of two folders of one name."""
    for place in ("disk/calls", "other/calls"):
        for name in FILES:
            (tmp_path / place / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place / name).write_bytes(f"{place}/{name}".encode())
    path = tmp_path / "d.db"
    for place in ("disk/calls", "other/calls"):
        _ingest(path, tmp_path / place, "--person", "file")
    return path


def _extract(database: Path) -> None:
    with Dataset(database) as dataset:
        for job in wanting(dataset):
            store(dataset, job, extracted(job.video_id), PLAN)


def _ingest(database: Path, root: Path, *more: str) -> None:
    assert main(["ingest", "--kind", "voices", str(root), "--database", str(database), *more]) == 0


def _contents(database: Path) -> list[tuple[object, ...]]:
    """Everything but the paths of the roots."""
    query = (
        "SELECT v.id, v.path, v.state, i.corpus, i.name, i.split, e.vector FROM videos v JOIN roots r"
        " ON r.id = v.root_id JOIN identities i ON i.id = v.identity_id LEFT JOIN voice_embeddings e"
        " ON e.video_id = v.id ORDER BY v.id, e.vector"
    )
    with Dataset(database) as dataset:
        return [tuple(row) for row in dataset.connection.execute(query)]


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("place", ["disk/renamed", "mounted/calls", "new/place/of/all"])
def test_a_moved_folder_is_the_same_folder(
    tmp_path: Path, database: Path, place: str, link: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    _extract(database)
    before = _contents(database)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "other/calls").rename(tmp_path / place)
    (tmp_path / place / "bob/1.wav").unlink()  # most are enough
    if link:
        (tmp_path / "other/calls").symlink_to(tmp_path / place)
    capsys.readouterr()
    _ingest(database, tmp_path / place)
    said = capsys.readouterr().out.replace("\n", " ")
    assert f"{tmp_path / place} is {tmp_path / 'other/calls'}, which has been moved" in said
    assert "2 files, 0 new, 0 changed" in said
    assert "Each file counts as a person, as chosen at an earlier ingest" in said
    assert _contents(database) == before
    with Dataset(database) as dataset:
        paths = {row[0] for row in dataset.connection.execute("SELECT path FROM roots")}
        assert paths == {str(tmp_path / "disk/calls"), str(tmp_path / place)}
    _ingest(database, tmp_path / place)
    assert "has been moved" not in capsys.readouterr().out


def test_a_copy_whose_original_is_there_is_another_folder(
    tmp_path: Path, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tmp_path / "other/calls", tmp_path / "copy/calls")
    _ingest(database, tmp_path / "copy/calls")
    said = capsys.readouterr()
    assert "3 files, 3 new" in said.out
    assert "has been moved" not in said.out
    assert len(_contents(database)) == 9


def test_another_folder_with_the_same_names_is_another(tmp_path: Path, database: Path) -> None:
    shutil.rmtree(tmp_path / "other/calls")
    for name in FILES:
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / name).write_bytes(b"of another length")
    before = _contents(database)
    _ingest(database, tmp_path / "new")
    assert [row for row in _contents(database) if row[0] <= 6] == before
    assert len(_contents(database)) == 5 + 3 + 1


def test_a_copy_without_its_times_is_told_and_the_earlier_can_be_dropped(
    tmp_path: Path, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tmp_path / "other/calls", tmp_path / "copy/calls", copy_function=shutil.copyfile)
    for name in FILES:
        os.utime(tmp_path / "copy/calls" / name, (1, 1))
    shutil.rmtree(tmp_path / "other/calls")
    for _ in range(2):
        capsys.readouterr()
        _ingest(database, tmp_path / "copy/calls")
        said = capsys.readouterr().err.replace("\n", " ")
        drop = f'ds2f forget --root "{tmp_path / "other/calls"}" --database "{database}"'
        assert drop in said
    assert main([*shlex.split(drop)[1:], "--yes"]) == 0
    assert "no longer holds files of" in capsys.readouterr().out
    assert {row[4] for row in _contents(database) if str(row[4]).startswith("other")} == set()
    assert len({row[0] for row in _contents(database)}) == 6
    _ingest(database, tmp_path / "copy/calls")
    assert "count twice" not in capsys.readouterr().err


def test_of_two_entries_of_one_folder_the_one_by_its_old_path_is_dropped(
    tmp_path: Path, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As earlier versions entered it, and where a link is left at the old place."""
    shutil.copytree(tmp_path / "other/calls", tmp_path / "new")
    _ingest(database, tmp_path / "new")
    shutil.rmtree(tmp_path / "other/calls")
    (tmp_path / "other/calls").symlink_to(tmp_path / "new")
    capsys.readouterr()
    _ingest(database, tmp_path / "new")
    assert f'ds2f forget --root "{tmp_path / "other/calls"}"' in capsys.readouterr().err.replace("\n", " ")
    assert main(["forget", "--root", str(tmp_path / "other/calls"), "--database", str(database), "--yes"]) == 0
    with Dataset(database) as dataset:
        paths = {row[0] for row in dataset.connection.execute("SELECT path FROM roots")}
    assert paths == {str(tmp_path / "disk/calls"), str(tmp_path / "new")}


def test_a_folder_moves_to_another_drive_under_the_same_path(dataset: Dataset) -> None:
    """As C:\\calls to D:\\calls; a path of two slashes has a root of its own, too."""
    before, after = "//gone/calls", Path("/gone/calls")
    assert _new_names(dataset.connection, before, after) == {before: str(after)}


def test_what_lies_in_a_moved_folder_moves_along(tmp_path: Path, database: Path) -> None:
    root = tmp_path / "disk/calls"
    _ingest(database, root / "ann")
    (root / "cat").mkdir()
    (root / "cat/1.wav").write_bytes(b"cat")
    _ingest(database, root / "cat")
    root.rename(tmp_path / "new")
    _ingest(database, tmp_path / "new")
    with Dataset(database) as opened:
        paths = {row[0] for row in opened.connection.execute("SELECT path FROM roots")}
    assert str(tmp_path / "new/cat") in paths
    assert str(root / "cat") not in paths


def test_a_moved_tar_is_the_same_tar(tmp_path: Path) -> None:
    tar, database = tmp_path / "a" / "calls.tar", tmp_path / "d.db"
    tar.parent.mkdir()
    (tmp_path / "1.wav").write_bytes(b"x" * 99)
    with tarfile.open(tar, "w") as archive:
        archive.add(tmp_path / "1.wav", "ann/1.wav")
    _ingest(database, tar)
    before = _contents(database)
    (tmp_path / "b").mkdir()
    _ingest(database, tar.rename(tmp_path / "b" / "calls.tar"))
    assert _contents(database) == before
    other = tmp_path / "b" / "others.tar"
    shutil.copy2(tmp_path / "b" / "calls.tar", other)
    (tmp_path / "b" / "calls.tar").unlink()
    _ingest(database, other)
    assert len(_contents(database)) == 2, "shards of one time are not each other"


def test_what_a_manifest_lists_may_move_with_it(tmp_path: Path) -> None:
    for name in ("1.wav", "2.wav"):
        (tmp_path / "old/audio").mkdir(parents=True, exist_ok=True)
        (tmp_path / "old/audio" / name).write_bytes(name.encode())
    database = tmp_path / "d.db"

    def list_them(place: Path) -> Path:
        (place / "data").mkdir(exist_ok=True)
        (place / "data/wav.scp").write_text(f"u1 {place}/audio/1.wav\nu2 {place}/audio/2.wav\n")
        (place / "data/utt2spk").write_text("u1 ann\nu2 bob\n")
        return place / "data"

    _ingest(database, list_them(tmp_path / "old"))
    before = _contents(database)
    (tmp_path / "old").rename(tmp_path / "new")
    _ingest(database, list_them(tmp_path / "new"))
    assert _contents(database) == before
    assert {row[4] for row in before} == {"data/ann", "data/bob"}


def test_shards_and_drawn_faces_follow(tmp_path: Path, database: Path) -> None:
    with Dataset(database) as dataset:
        remember(dataset, "faces", tmp_path / "faces")
    shard = split_off(database, Shard(1, 1), PLAN)
    _extract(shard)
    (tmp_path / "faces").mkdir()
    entries = [{"root": str(tmp_path / f"{place}/calls"), "input": "ann/1.wav"} for place in ("disk", "other")]
    write_json(tmp_path / "faces/generation.json", {"faces": entries})
    (tmp_path / "other/calls").rename(tmp_path / "new")
    _ingest(database, tmp_path / "new")
    assert merge(database, [shard]) == Merged(6, 0)
    drawn = json.loads((tmp_path / "faces/generation.json").read_text())["faces"]
    assert [entry["root"] for entry in drawn] == [str(tmp_path / "disk/calls"), str(tmp_path / "new")]
