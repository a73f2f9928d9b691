"""Forgetting a person: nothing of them stays in any file, the others stay whole, and they do not come back."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ds2f.cli import main
from ds2f.dataset import Dataset, schema
from ds2f.dataset.forget import find, forget, wipe
from ds2f.dataset.ingest import enter
from ds2f.dataset.plan import Shard
from ds2f.dataset.shards import Merged, merge, split_off
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.io.files import write_json
from ds2f.io.speech import encode_flac
from ds2f.models.store import write_tensors
from ds2f.types import Attributes, CorpusItem, Extracted, Language, Part
from helpers import PLAN, extracted, noise, wanting

GONE, STAYS = "Zebulon-Quux", "Anna-Blume"


def _items() -> list[CorpusItem]:
    labels = (("nationality", "Ruritania-of-Zebulon"),)
    gone = [CorpusItem(f"{GONE}/{n}.mp4", "voxceleb", GONE, 5, 1, None, labels) for n in range(3)]
    return [*gone, *(CorpusItem(f"{STAYS}/{n}.mp4", "voxceleb", STAYS, 5, 1) for n in range(2))]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A dataset of two people, with their files and with faces drawn for them."""
    root, path = tmp_path / "videos", tmp_path / "dataset.db"
    with Dataset(path, create=True) as dataset:
        dataset.add_items(root, "video", _items(), SplitRule())
        seen = Attributes(33.5, {"30-39": 1.0}, {"male": 0.5, "female": 0.5}, {})
        for number, job in enumerate(wanting(dataset)):
            result = replace(extracted(number), attributes={"m": seen}, languages={"l": Language("hi", 0.9)})
            store(dataset, job, result if number != 1 else Extracted(failures=(("open", "the file is empty"),)), PLAN)
    faces = tmp_path / "faces"
    names = []
    for item in _items():
        (root / item.path).parent.mkdir(parents=True, exist_ok=True)
        (root / item.path).write_bytes(b"video")
        picture = (faces / item.path).with_suffix(".png")
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"picture")
        names.append(str(picture.relative_to(faces)))
    write_tensors(faces / "identities.safetensors", {name: torch.rand(128) for name in names})
    entries = [{"input": item.path, "image": name, "seed": 0} for item, name in zip(_items(), names, strict=True)]
    write_json(faces / "generation.json", {"identity_vectors": "identities.safetensors", "faces": entries})
    return path


def _forget(whole: Path, *more: str) -> int:
    return main(["forget", f"voxceleb/{GONE}", "--database", str(whole), "--faces", str(whole.parent / "faces"), *more])


def _bytes(folder: Path) -> bytes:
    """Of all files and names under a folder."""
    found = sorted(folder.rglob("*"))
    return b"".join(str(path).encode() + (path.read_bytes() if path.is_file() else b"") for path in found)


def test_nothing_of_the_person_stays(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    traces = [
        GONE.encode(),
        b"Ruritania",
        extracted(0).voices[6.0, "campplus-frames"].tobytes(),
        extracted(0).face.identity.tobytes(),
        extracted(2).face.webp[40:120],
        encode_flac(noise(4.0, seed=2))[100:300],
    ]
    kept = extracted(3).face.identity.tobytes()
    before = _bytes(whole.parent)
    assert all(trace in before for trace in (*traces, kept))
    with Dataset(whole) as dataset:
        counts = {t: n for t, n in _counts(dataset.connection).items() if n}
    assert _forget(whole, "--yes") == 0
    said = capsys.readouterr().out
    assert "3 videos" in said
    assert "Deleted 3 original files and 3 generated faces" in said
    after = _bytes(whole.parent)
    assert not any(trace in after for trace in traces)
    assert kept in after
    with Dataset(whole) as dataset:
        assert dataset.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert [tuple(r) for r in dataset.connection.execute("SELECT corpus, name FROM identities")] == [
            ("voxceleb", STAYS)
        ]
        left = _counts(dataset.connection)
        assert all(
            left[table] < counts[table]
            for table in counts
            if not table.startswith(("meta", "recipes", "roots", "sqlite_"))
        )
        assert left["videos"] == 2
        assert left["faces"] == 2
    record = json.loads((whole.parent / "faces" / "generation.json").read_text())
    assert [entry["image"] for entry in record["faces"]] == [f"{STAYS}/0.png", f"{STAYS}/1.png"]


def test_of_two_roots_with_one_path_and_of_several_pictures_the_right_ones_go(whole: Path) -> None:
    """Another corpus holds somebody else at the same path; both have two numbered pictures."""
    faces, other = whole.parent / "faces", whole.parent / "elsewhere" / "videos"
    with Dataset(whole) as dataset:
        dataset.add_items(other, "video", [CorpusItem(f"{GONE}/0.mp4", "folder", "someone", 5, 1)], SplitRule())
        stems = {key: stem for key, stem in dataset.picture_stems().items() if key.path == f"{GONE}/0.mp4"}
    names = {key: [f"{stem}-{i}.png" for i in range(2)] for key, stem in stems.items()}
    entries = [
        {"root": key.root, "input": key.path, "image": name, "seed": 0}
        for key, found in names.items()
        for name in found
    ]
    for name in (name for found in names.values() for name in found):
        (faces / name).parent.mkdir(parents=True, exist_ok=True)
        (faces / name).write_bytes(b"picture")
    write_tensors(faces / "identities.safetensors", {entry["image"]: torch.rand(128) for entry in entries})
    write_json(faces / "generation.json", {"identity_vectors": "identities.safetensors", "faces": entries})
    assert _forget(whole, "--yes") == 0
    assert {key.root: all((faces / name).exists() for name in found) for key, found in names.items()} == {
        str(whole.parent / "videos"): False,
        str(other): True,
    }
    assert not any((faces / name).exists() for name in names[next(k for k in names if k.root != str(other))])
    assert len(json.loads((faces / "generation.json").read_text())["faces"]) == 2


def _counts(sql: sqlite3.Connection) -> dict[str, int]:
    of_ours = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    tables = [r[0] for r in sql.execute(of_ours)]
    return {table: sql.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def test_the_person_does_not_come_back(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _forget(whole, "--yes") == 0
    with Dataset(whole) as dataset:
        assert dataset.add_items(whole.parent / "videos", "video", _items(), SplitRule()) == (0, 0)
        assert dataset.add_items(whole.parent / "elsewhere", "video", _items(), SplitRule()) == (2, 0)
        assert dataset.corpora() == [("voxceleb", 1, 4)]
    capsys.readouterr()
    assert _forget(whole, "--yes") == 0
    assert "forgotten already" in capsys.readouterr().out
    with Dataset(whole.parent / "another.db", create=True) as another:  # the hash is of no use there
        assert another.add_items(whole.parent, "video", _items(), SplitRule()) == (5, 0)
        hashes = [r[0] for r in sqlite3.connect(whole).execute("SELECT key FROM meta WHERE key GLOB 'forgotten/*'")]
        another.connection.execute("INSERT INTO meta VALUES (?, '')", (hashes[0],))
        assert another.add_items(whole.parent / "b", "video", _items(), SplitRule()) == (5, 0)


def test_ingest_says_whom_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("a", "b"):
        (tmp_path / "videos" / f"{name}.mp4").write_text("Dear Sir or Madam")
    ingest = ["ingest", str(tmp_path / "videos"), "--database", str(tmp_path / "d.db")]
    assert main(ingest) == 0
    with Dataset(tmp_path / "d.db") as dataset:
        name = dataset.connection.execute("SELECT name FROM identities ORDER BY name").fetchone()[0]
    assert main(["forget", f"folder/{name}", "--database", str(tmp_path / "d.db"), "--keep-files", "--yes"]) == 0
    capsys.readouterr()
    assert main(ingest) == 0
    assert "2 files, 0 new, 0 changed; 1 of forgotten people left out" in capsys.readouterr().out


def test_files_may_stay(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _forget(whole, "--yes", "--keep-files") == 0
    assert f"Still there: {whole.parent}/videos/{GONE}/0.mp4" in capsys.readouterr().out
    assert (whole.parent / "videos" / GONE / "0.mp4").exists()


def test_what_lies_in_a_tar_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dataset.db"
    with Dataset(path, create=True) as dataset:
        item = CorpusItem("lfw/A/A_1.jpg", "lfw", "A", 5, 1, 512)
        dataset.add_items(tmp_path / "lfw.tar", "still", [item], SplitRule())
    assert main(["forget", "A", "--database", str(path), "--yes"]) == 0
    assert f"Still inside {tmp_path}/lfw.tar: lfw/A/A_1.jpg" in capsys.readouterr().out


def test_it_asks_first_and_names_must_be_clear(
    whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _forget(whole) == 2
    assert "delete 3 files for good? Only a terminal can ask" in capsys.readouterr().err
    assert main(["forget", "Nemo", "--database", str(whole)]) == 2
    said = capsys.readouterr().err
    assert "Nobody in" in said
    assert main(shlex.split(said.partition("All names: ds2f ")[2])) == 0, "the command that it names says them"
    assert f"/{GONE}\n" in capsys.readouterr().out
    assert main(["forget", GONE[1:], "--database", str(whole)]) == 2
    assert f"perhaps voxceleb/{GONE}." in capsys.readouterr().err
    with Dataset(whole) as dataset:
        dataset.add_items(whole.parent / "b", "video", [CorpusItem("x.mp4", "folder", GONE, 5, 1)], SplitRule())
        assert _counts(dataset.connection)["videos"] == 6
    assert main(["forget", GONE, "--database", str(whole)]) == 2
    assert f"may be folder/{GONE}, voxceleb/{GONE}" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert _forget(whole) == 2
    assert "Nothing was removed" in capsys.readouterr().err


def test_a_file_that_cannot_be_deleted_leaves_the_rows(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stuck = whole.parent / "videos" / GONE / "1.mp4"
    stuck.unlink()
    stuck.mkdir()  # even root cannot unlink a folder
    assert _forget(whole, "--yes") == 2
    assert "1.mp4 cannot be deleted" in capsys.readouterr().err
    with Dataset(whole) as dataset:
        assert _counts(dataset.connection)["videos"] == 5
    stuck.rmdir()
    assert _forget(whole, "--yes") == 0


def test_another_process_that_reads_is_named(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader = sqlite3.connect(whole, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM videos").fetchone()
    try:
        from ds2f.dataset import forget as forgetting

        with Dataset(whole) as dataset:
            dataset.connection.execute("PRAGMA busy_timeout = 100")
            person = forgetting.find(dataset, GONE)
            assert person is not None
            forgetting.forget(dataset, person, whole.parent / "none")
            with pytest.raises(UserError, match="another process uses"):
                forgetting.wipe(dataset)
    finally:
        reader.close()
    assert _forget(whole, "--yes") == 0


@pytest.mark.parametrize("name", [GONE, f"voxceleb/{GONE}"])
def test_a_forgetting_that_another_process_kept_from_its_end_is_finished(
    whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.1)
    reader = sqlite3.connect(whole, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM videos").fetchone()
    assert _forget(whole, "--yes") == 2
    told = capsys.readouterr()
    assert "3 videos" in told.out, "what was removed is said all the same"
    assert "run this command again" in told.err
    reader.close()
    assert main(["forget", name, "--database", str(whole), "--yes"]) == 0
    assert "forgotten already" in capsys.readouterr().out
    assert extracted(0).voices[6.0, "campplus-frames"].tobytes() not in _bytes(whole.parent)


def test_a_forgetting_that_was_killed_before_its_end_is_finished_whoever_is_named_next(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Dataset(whole) as dataset:
        person = find(dataset, GONE)
        assert person is not None
        forget(dataset, person, whole.parent / "faces")
        dataset.connection.execute("PRAGMA wal_autocheckpoint = 0")
    traces = sqlite3.connect(whole).execute("PRAGMA freelist_count").fetchone()[0]
    assert traces, "old pages"
    assert main(["forget", "Nemo", "--database", str(whole), "--yes"]) == 2
    assert "Nobody in" in capsys.readouterr().err
    assert sqlite3.connect(whole).execute("PRAGMA freelist_count").fetchone()[0] == 0


class _Full:
    """A dataset whose disk takes no more."""

    path = Path("dataset.db")

    @property
    def connection(self) -> _Full:
        return self

    def execute(self, statement: str) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error


def test_a_disk_that_is_full_is_not_taken_for_another_process() -> None:
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        wipe(_Full())  # type: ignore[arg-type]


def test_shards_beside_the_dataset_are_rid_of_them_too(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Dataset(whole) as dataset:
        dataset.connection.execute("UPDATE videos SET state = 'new', speech_recipe = NULL, face_recipe = NULL")
    for shard in [split_off(whole, Shard(index, 2), PLAN) for index in (1, 2)]:
        with Dataset(shard) as part:
            for number, job in enumerate(wanting(part)):
                store(part, job, extracted(number), PLAN)
    assert GONE.encode() in b"".join(path.read_bytes() for path in whole.parent.glob("*.shard-*"))
    assert _forget(whole, "--yes") == 0
    assert "6 videos" in capsys.readouterr().out
    assert GONE.encode() not in b"".join(path.read_bytes() for path in whole.parent.glob("dataset*"))
    assert merge(whole, sorted(whole.parent.glob("*.shard-*.db"))) == Merged(2, 0)


# ── links ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _behind_links(whole: Path) -> Path:
    """0.mp4 becomes a link to a link to the recording, which lies elsewhere."""
    recording, between = whole.parent / "store" / f"{GONE}.mp4", whole.parent / "between.mp4"
    recording.parent.mkdir()
    (whole.parent / "videos" / GONE / "0.mp4").rename(recording)
    between.symlink_to(Path("store") / recording.name)
    (whole.parent / "videos" / GONE / "0.mp4").symlink_to(between)
    return recording


def test_a_recording_behind_a_link_goes_and_is_named_in_the_question(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = _behind_links(whole)
    assert _forget(whole) == 2
    assert f"delete 3 files for good, among them {recording}, to which a link leads?" in capsys.readouterr().err
    assert recording.exists()
    assert _forget(whole, "--yes") == 0
    assert "Deleted 3 original files" in capsys.readouterr().out
    assert sorted(path.name for path in whole.parent.iterdir()) == ["dataset.db", "faces", "store", "videos"]
    assert list(recording.parent.iterdir()) == []


def test_a_recording_behind_a_link_that_was_half_deleted(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _behind_links(whole).unlink()
    assert _forget(whole, "--yes") == 0
    assert "Deleted 2 original files" in capsys.readouterr().out
    assert not (whole.parent / "between.mp4").is_symlink()


def test_links_stay_whole_where_files_shall_stay(whole: Path) -> None:
    recording = _behind_links(whole)
    assert _forget(whole, "--yes", "--keep-files") == 0
    assert (whole.parent / "videos" / GONE / "0.mp4").resolve() == recording
    assert recording.exists()


def test_other_names_of_the_same_bytes_are_said(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = whole.parent / "videos" / GONE
    (whole.parent / "copy.mp4").hardlink_to(folder / "0.mp4")
    (folder / "2.mp4").unlink()
    (folder / "2.mp4").hardlink_to(folder / "1.mp4")  # both are theirs and go
    assert _forget(whole, "--yes") == 0
    said = capsys.readouterr().out
    assert f"Still on the disk: {folder / '0.mp4'} has 1 more names" in said
    assert said.count("Still on the disk") == 1


def test_an_empty_folder_behind_a_link_goes_too(whole: Path) -> None:
    folder, elsewhere = whole.parent / "videos" / GONE, whole.parent / f"folder of {GONE}"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert _forget(whole, "--yes") == 0
    assert not elsewhere.exists()
    assert not folder.is_symlink()


def test_a_root_that_holds_nothing_more_is_no_longer_named(tmp_path: Path) -> None:
    with Dataset(tmp_path / "d.db", create=True) as dataset:
        items = [CorpusItem("0.mp4", "folder", GONE, 5, 1)]
        enter(dataset, tmp_path / GONE, "video", items, SplitRule(), person="folder")
    assert main(["forget", GONE, "--database", str(tmp_path / "d.db"), "--yes"]) == 0
    assert GONE.encode() not in (tmp_path / "d.db").read_bytes()


def test_who_is_forgotten_while_an_ingest_looks_for_files_is_not_entered_by_it(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    with Dataset(path, create=True) as dataset:
        dataset.add_items(tmp_path / "a", "video", _items(), SplitRule())

    def found() -> Iterator[CorpusItem]:
        for number, item in enumerate(_items()):
            if number == 2:
                assert main(["forget", GONE, "--database", str(path), "--yes"]) == 0
            yield item

    with Dataset(path) as dataset:
        assert dataset.add_items(tmp_path / "b", "video", found(), SplitRule()) == (2, 0)
        assert [tuple(r) for r in dataset.connection.execute("SELECT name FROM identities")] == [(STAYS,)]


def test_parts_of_a_recording_go_with_it_unless_others_are_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [(GONE, "alone.wav", 0.0), (GONE, "alone.wav", 7.25), (GONE, "both.wav", 0.0), (STAYS, "both.wav", 9.0)]
    items = []
    for who, file, start in parts:
        (tmp_path / file).write_bytes(b"sound")
        part = Part(start, 3.5)
        items.append(CorpusItem(file + part.fragment, "folder", who, 5, 1, kind="sound", part=part))
    with Dataset(tmp_path / "d.db", create=True) as dataset:
        dataset.add_items(tmp_path, "sound", items, SplitRule())
    assert main(["forget", GONE, "--database", str(tmp_path / "d.db"), "--yes"]) == 0
    said = capsys.readouterr().out
    assert "Deleted 1 original file " in said
    assert f"Still inside {tmp_path / 'both.wav'}: #t=0,3.5" in said
    assert [path.name for path in tmp_path.glob("*.wav")] == ["both.wav"]


def test_parts_late_in_a_long_recording_are_told_apart() -> None:
    assert Part(36000.125, 1.5).fragment == "#t=36000.125,36001.625"
    assert Part(36000.125, 1.5).fragment != Part(36000.25, 1.5).fragment
    assert Part(0.1, 0.2).fragment == "#t=0.1,0.3"


def test_the_sound_that_voxceleb_publishes_beside_a_video_goes_with_it(tmp_path: Path) -> None:
    """Of a clip that is there as mp4 and as aac only the video is entered."""
    names = [f"id0001{person}/21Uxsk56VDQ/0000{clip}" for person in (2, 3) for clip in (1, 2)]
    for name in names:
        for file in (f"dev/mp4/{name}.mp4", f"dev/aac/{name}.m4a"):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_bytes(b"recording")
    root = tmp_path / "dev" / "mp4"
    with Dataset(tmp_path / "dataset.db", create=True) as dataset:
        items = [CorpusItem(f"{name}.mp4", "voxceleb", name.split("/")[0], 9, 1) for name in names]
        dataset.add_items(root, "video", items, SplitRule())
        person = find(dataset, "id00012")
        assert person is not None
        assert forget(dataset, person, tmp_path / "faces").files == 4
    left = {
        path.relative_to(tmp_path / "dev").as_posix() for path in (tmp_path / "dev").rglob("*.m*") if path.is_file()
    }
    assert left == {f"{kind}/{name}.{end}" for name in names[2:] for kind, end in (("mp4", "mp4"), ("aac", "m4a"))}


# ── a folder ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_can_be_dropped_and_ingested_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = tmp_path / "d.db"
    for name in ("wav/id10001/0a1B2c3D4e5/00001.wav", "wav/id10002/0a1B2c3D4e6/00001.wav", "faces/n000001/0001_01.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    table = tmp_path / "people.csv"
    table.write_text("voxceleb,vggface2\nid10001,n000001\n")
    voices = ["ingest", "--kind", "voices", str(tmp_path / "wav"), "--database", str(database)]
    assert main([*voices, "--people", str(table)]) == 0
    assert main(["ingest", "--kind", "faces", str(tmp_path / "faces"), "--database", str(database)]) == 0
    drop = ["forget", "--root", str(tmp_path / "wav"), "--database", str(database)]
    capsys.readouterr()
    assert main(drop) == 2
    assert f"Remove 2 entries of {tmp_path / 'wav'} from {database}? Only a terminal can ask" in " ".join(
        capsys.readouterr().err.split()
    )
    assert main([*drop, "--yes"]) == 0
    with Dataset(database) as dataset:
        assert [tuple(r) for r in dataset.connection.execute("SELECT corpus, name, person_id FROM identities")] == [
            ("vggface2", "n000001", None)
        ]
        assert [r[0] for r in dataset.connection.execute("SELECT path FROM roots")] == [str(tmp_path / "faces")]
    assert main([*drop, "--yes"]) == 2
    assert f"wav is not an ingested folder of {database}; these are: {tmp_path / 'faces'}." in " ".join(
        capsys.readouterr().err.split()
    )
    assert main(voices) == 0
    assert "2 files, 2 new" in capsys.readouterr().out
    with Dataset(database) as dataset:  # which only gives people their names, as one above those of numbered people
        dataset.connection.execute("INSERT INTO roots (path, name) VALUES (?, 'all')", (str(tmp_path),))
    assert main(["forget", "--root", str(tmp_path), *drop[3:], "--yes"]) == 2
    assert "is not an ingested folder" in " ".join(capsys.readouterr().err.split())
