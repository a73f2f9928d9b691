from __future__ import annotations

import io
import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.cli import main
from ds2f.corpora.tables import PeopleTable
from ds2f.dataset import Dataset
from ds2f.dataset.export import export
from ds2f.dataset.forget import find, forget
from ds2f.dataset.ingest import enter
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.io.images import decode_image
from ds2f.io.speech import decode
from ds2f.types import Attributes, Extracted, Language
from helpers import PLAN, extracted, item, wanting

PAIRS, STILLS = 6, 2


@pytest.fixture
def filled(dataset: Dataset, tmp_path: Path) -> Dataset:
    """Six pairs, two stills, and a recording that gave nothing; all in train."""
    rule = SplitRule(val=0.0, test=0.0)
    clips = [item(f"{n}.mp4", f"person {n}") for n in range(PAIRS + 1)]
    dataset.add_items(tmp_path / "clips", "video", clips, rule)
    dataset.add_items(tmp_path / "stills", "still", [item(f"{n}.jpg", f"face {n}") for n in range(STILLS)], rule)
    for number, job in enumerate(wanting(dataset)):
        result = extracted(number, voice=job.kind == "video")
        if number == 0:
            gender = {"male": 0.25, "female": 0.75}
            attributes = Attributes(33.5, {"30-39": 1.0}, gender, {"Indian": 1.0})
            result = Extracted(
                result.facts,
                result.speech,
                result.face,
                result.clips,
                result.voices,
                identities={"uniface:arcface": np.arange(4, dtype=np.float32)},
                attributes={"ds2f-attributes": attributes},
                languages={"whisper/tiny": Language("hi", 0.9)},
            )
        if number == PAIRS:
            result = Extracted(failures=(("open", "the file is empty (zero bytes)"),))
        store(dataset, job, result, PLAN)
    return dataset


def _readme(folder: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((folder / "README.json").read_text())


def _samples(tar: Path) -> dict[str, dict[str, bytes]]:
    """{key: {extension: bytes}}, and the members of a sample stand together."""
    found: dict[str, dict[str, bytes]] = {}
    with tarfile.open(tar) as archive:
        for member in archive:
            key, _, extension = member.name.partition(".")
            assert key not in list(found)[:-1], "a sample is not torn apart"
            found.setdefault(key, {})[extension] = archive.extractfile(member).read()  # type: ignore[union-attr]
    return found


def test_webdataset_holds_what_the_dataset_holds(filled: Dataset, tmp_path: Path) -> None:
    written = export(filled, "webdataset", tmp_path / "out")
    assert (written.records, written.shards) == (PAIRS + STILLS, 2)
    pairs, faces = (_samples(tmp_path / "out" / f"train-{part}-000000.tar") for part in ("pairs", "faces"))
    assert (len(pairs), len(faces)) == (PAIRS, STILLS)
    assert list(pairs) != sorted(pairs), "neighbours in a tar are strangers"
    for pair in filled.pairs():
        sample = pairs[f"{pair.video_id:09d}"]
        values = json.loads(sample["json"])
        assert (values["path"], values["identity"], values["split"]) == (pair.path, pair.person[7:], "train")
        assert values["speech_seconds"] == 4.0
        np.testing.assert_array_equal(np.load(io.BytesIO(sample["voice_campplus_frames_6s.npy"])), pair.voice)
        np.testing.assert_array_equal(np.load(io.BytesIO(sample["face_dlib.npy"])), pair.identity)
        assert sample["webp"] == pair.crop
        assert decode_image(sample["webp"]).shape == (32, 32, 3)
        assert decode(sample["flac"]).size == 4 * 16_000
    assert all("flac" not in sample and "face_dlib.npy" in sample for sample in faces.values())
    first = json.loads(pairs["000000001"]["json"])
    assert (first["age_ds2f_attributes"], first["gender_ds2f_attributes"]) == (33.5, "female")
    assert first["gender_ds2f_attributes_distribution"] == {"male": 0.25, "female": 0.75}
    assert (first["language_whisper_tiny"], first["language_probability_whisper_tiny"]) == ("hi", 0.9)


def test_parquet_is_a_table_of_the_same(filled: Dataset, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (pip install 'ds2f[export]')")
    filled.connection.execute("INSERT INTO labels VALUES (1, 'nationality', 'India')")
    export(filled, "parquet", tmp_path / "out")
    table = parquet.read_table(tmp_path / "out" / "train-pairs-000000.parquet")
    assert str(table.schema.field("voice_campplus_frames_6s").type) == "fixed_size_list<element: float>[512]"
    rows = table.to_pylist()
    for row, pair in zip(rows, filled.pairs(), strict=True):
        assert (row["video_id"], row["identity"], row["crop"]) == (pair.video_id, pair.person[7:], pair.crop)
        np.testing.assert_array_equal(np.float32(row["voice_campplus_frames_6s"]), pair.voice)
        np.testing.assert_array_equal(np.float32(row["face_dlib"]), pair.identity)
    assert rows[0]["face_uniface_arcface"] == [0, 1, 2, 3]
    assert rows[1]["face_uniface_arcface"] is None
    assert [r["age_ds2f_attributes"] for r in rows[:2]] == [33.5, None]
    assert json.loads(rows[0]["labels"]) == {"nationality": "India"}
    stills = parquet.read_table(tmp_path / "out" / "train-faces-000000.parquet")
    assert stills.schema.equals(table.schema), "all shards make one table"
    assert stills.column("voice_campplus_frames_6s").null_count == STILLS


def test_parquet_keeps_few_rows_in_memory(filled: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (pip install 'ds2f[export]')")
    monkeypatch.setattr("ds2f.dataset.formats.ROW_GROUP", 4)
    export(filled, "parquet", tmp_path / "out")
    assert parquet.ParquetFile(tmp_path / "out" / "train-pairs-000000.parquet").num_row_groups == 2


def test_readme_says_what_it_is(filled: Dataset, tmp_path: Path) -> None:
    written = export(filled, "webdataset", tmp_path / "out")
    readme = _readme(tmp_path / "out")
    assert (readme["dataset"], readme["fingerprint"]) == (filled.name(), filled.fingerprint())
    assert readme["encoders"] == ["campplus-frames", "dlib", "uniface:arcface"]
    assert readme["records"] == {"train-pairs": PAIRS, "train-faces": STILLS}
    columns = {column["name"]: column for column in readme["columns"]}
    assert (columns["face_dlib"]["dimension"], columns["face_dlib"]["rows"]) == (128, PAIRS + STILLS)
    assert sum(shard["bytes"] for shard in readme["shards"]) == written.bytes
    for shard in readme["shards"]:
        assert (tmp_path / "out" / shard["file"]).stat().st_size == shard["bytes"]


def test_choices(filled: Dataset, tmp_path: Path) -> None:
    export(filled, "webdataset", tmp_path / "out", encoders=["dlib"])
    sample = next(iter(_samples(tmp_path / "out" / "train-pairs-000000.tar").values()))
    assert [name for name in sample if name.endswith("npy")] == ["face_dlib.npy"]
    with pytest.raises(UserError, match=r"'ecapa'; this dataset has campplus-frames, dlib, uniface:arcface"):
        export(filled, "webdataset", tmp_path / "other", encoders=["ecapa"])
    with pytest.raises(UserError, match="no faces or voices to export"):
        export(filled, "webdataset", tmp_path / "other", splits=["test"])
    assert not (tmp_path / "other").exists()


def test_shards_are_cut_by_size(filled: Dataset, tmp_path: Path) -> None:
    crop = b"x" * 900_000
    filled.connection.execute("UPDATE crops SET webp = ?", (crop,))
    export(filled, "webdataset", tmp_path / "out", shard_mb=2)
    readme = _readme(tmp_path / "out")
    assert [shard["records"] for shard in readme["shards"]] == [2, 2, 2, 2]
    keys = [key for shard in readme["shards"] for key in _samples(tmp_path / "out" / shard["file"])]
    assert len(set(keys)) == PAIRS + STILLS


def test_a_stopped_export_goes_on_and_ends_the_same(filled: Dataset, tmp_path: Path) -> None:
    filled.connection.execute("UPDATE crops SET webp = ?", (b"x" * 900_000,))

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(filled, "webdataset", tmp_path / "out", shard_mb=2, progress=stop)
    assert not (tmp_path / "out").exists(), "half an export is not seen"
    seen: list[int] = []
    export(filled, "webdataset", tmp_path / "out", shard_mb=2, progress=lambda done, total: seen.append(done))
    assert seen == [4, 5, 6, 7, 8], "two whole shards were kept"
    export(filled, "webdataset", tmp_path / "whole", shard_mb=2)
    assert _readme(tmp_path / "out") == _readme(tmp_path / "whole")
    for shard in _readme(tmp_path / "whole")["shards"]:
        assert (tmp_path / "out" / shard["file"]).read_bytes() == (tmp_path / "whole" / shard["file"]).read_bytes()


def test_only_an_export_is_replaced(filled: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export(filled, "webdataset", out)
    export(filled, "webdataset", out, encoders=["dlib"])
    assert _readme(out)["encoders"] == ["dlib"]
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "README.json").write_text("{}")
    with pytest.raises(UserError, match="give a new folder"):
        export(filled, "webdataset", foreign)
    assert [path.name for path in foreign.iterdir()] == ["README.json"]
    with pytest.raises(UserError, match="cannot be used"):
        export(filled, "webdataset", foreign / "README.json")
    leftovers = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert leftovers == []


def test_the_command(filled: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", "--format", "webdataset", "--split", "train", "--database", str(filled.path)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "8 records in 2 shards" in capsys.readouterr().out
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert "holds things that ds2f export did not write" in capsys.readouterr().err


# ── what other tools make of it ───────────────────────────────────────────────────────────────────────────────

DOCS = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
SNIPPETS = {
    name: re.search(rf"```python\nimport {name}\n(.*?)```", DOCS, re.DOTALL)[1]  # type: ignore[index]
    for name in ("pandas", "datasets", "duckdb")
}


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_sounds_are_exported_too_and_share_a_person_with_the_faces(dataset: Dataset, tmp_path: Path, form: str) -> None:
    rule = SplitRule(val=0.0, test=0.0)
    dataset.add_items(
        tmp_path / "wav", "sound", [item(f"{n}.wav", f"id{n}", corpus="voxceleb") for n in (1, 2, 3)], rule
    )
    table = PeopleTable("/t.csv", [(("voxceleb", "id1"), ("hqvoxceleb", "Ann_Ash"))])
    enter(dataset, tmp_path / "hq", "still", [item("1.jpg", "Ann_Ash", corpus="hqvoxceleb")], rule, [table])
    for number, job in enumerate(wanting(dataset)):
        found = extracted(number, voice=job.kind == "sound")
        if job.kind == "sound":
            found = replace(found, face=None)
        silent = Extracted(failures=(("speech", "silence"),))
        store(dataset, job, silent if number == 2 else found, PLAN)
    if form == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    written = export(dataset, form, tmp_path / "out")
    assert written.records == 3
    assert _readme(tmp_path / "out")["records"] == {"train-faces": 1, "train-voices": 2}
    if form == "webdataset":
        voices, faces = (_samples(tmp_path / "out" / f"train-{part}-000000.tar") for part in ("voices", "faces"))
        assert all({"json", "flac", "voice_campplus_frames_6s.npy"} == s.keys() for s in voices.values())
        people = [[json.loads(s["json"])["person"] for s in part.values()] for part in (voices, faces)]
    else:
        tables = [parquet.read_table(tmp_path / "out" / f"train-{part}-000000.parquet") for part in ("voices", "faces")]
        assert tables[0]["crop"].null_count == tables[0]["face_dlib"].null_count == 2
        assert tables[0]["voice_campplus_frames_6s"].null_count == 0
        people = [table["person"].to_pylist() for table in tables]
    assert (sorted(people[0]), people[1]) == (["voxceleb/id1", "voxceleb/id2"], ["voxceleb/id1"])
    person = find(dataset, "Ann_Ash")
    assert person is not None
    forget(dataset, person, tmp_path / "faces", keep_files=True)
    assert _readme(tmp_path / "out")["records"] == {"train-faces": 0, "train-voices": 1}


@pytest.mark.parametrize("library", SNIPPETS)
@pytest.mark.parametrize("pairs", [False, True])
def test_what_the_docs_ask_of_a_table_runs(
    filled: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, pairs: bool
) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'ds2f[export]'")
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    with filled.transaction():  # one speaks, and its voice could not be described
        filled.connection.execute("DELETE FROM voice_embeddings WHERE video_id = 2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    written = export(filled, "parquet", tmp_path / "tables", encoders=["dlib", "campplus-frames"], pairs=pairs)
    assert (written.records, written.left_out) == ((PAIRS - 1, 1) if pairs else (PAIRS + STILLS, 0))
    names = {library: module}
    exec(SNIPPETS[library], names)
    if library == "duckdb":
        likeness = [row[1] for row in names["nearest"].fetchall()]
        assert likeness[0] == pytest.approx(1.0)
        assert likeness == sorted(likeness, reverse=True)
        assert len(likeness) == written.records
    else:
        voices = names["voices"]
        found = voices["voice_campplus_frames_6s"] if library == "pandas" else voices
        assert sum(vector is not None for vector in found) == PAIRS - 1
        assert all(len(vector) == 512 for vector in found if vector is not None)


def test_list_functions_take_pairs_only(filled: Dataset, tmp_path: Path) -> None:
    """As docs/data.md says of DuckDB 2.0; see findings/duckdb_null_vectors.sh."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'ds2f[export]'")
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    encoders = ["campplus-frames"]
    export(filled, "parquet", tmp_path / "all", encoders=encoders)
    export(filled, "parquet", tmp_path / "pairs", encoders=encoders, pairs=True)
    asked = "SELECT list_cosine_similarity(voice_campplus_frames_6s, voice_campplus_frames_6s) FROM '{}/*.parquet'"
    same = duckdb.sql(asked.format(tmp_path / "pairs")).fetchall()
    assert [value for (value,) in same] == pytest.approx([1.0] * PAIRS)
    with pytest.raises(duckdb.InvalidInputException, match="NULL"):
        duckdb.sql(asked.format(tmp_path / "all")).fetchall()


def test_pairs_without_any(filled: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no recordings with a voice, a face and every vector"):
        export(filled, "webdataset", tmp_path / "out", splits=["test"], pairs=True)


def test_every_vector_of_the_wanted_encoders(filled: Dataset, tmp_path: Path) -> None:
    every = export(filled, "webdataset", tmp_path / "every", pairs=True)  # uniface:arcface saw one face only
    assert (every.records, every.left_out) == (1, PAIRS - 1)
    (shard,) = (tmp_path / "every").glob("*.tar")
    (sample,) = _samples(shard).values()
    assert {"voice_campplus_frames_6s.npy", "face_dlib.npy", "face_uniface_arcface.npy"} <= sample.keys()
