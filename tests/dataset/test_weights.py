"""Rows of a model are of one set of weights: another file under the same name makes them anew."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ds2f.config import Config
from ds2f.dataset import Dataset
from ds2f.dataset.plan import Needs, Plan, Shard
from ds2f.dataset.shards import Merged, merge, split_off
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.dataset.weights import settle
from ds2f.errors import UserError
from ds2f.extract.settings import ExtractSettings, plan_of
from helpers import PLAN, extracted, item, wanting

OLD = replace(PLAN, weights=(("voice:campplus-frames", "old"),))
NEW = replace(PLAN, weights=(("voice:campplus-frames", "new"),))


@pytest.fixture
def filled(dataset: Dataset, tmp_path: Path) -> Dataset:
    dataset.add_items(tmp_path, "video", [item(f"{k}.mp4", str(k)) for k in range(3)], SplitRule())
    settle(dataset, OLD)
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number), OLD)
    with dataset.transaction():
        dataset.connection.execute("DELETE FROM voice_embeddings WHERE video_id = 1")
        dataset.connection.execute("INSERT INTO failures VALUES (1, 'voice:campplus-frames', 'not a number')")
    return dataset


def _rows(dataset: Dataset) -> int:
    return int(dataset.connection.execute("SELECT count(*) FROM voice_embeddings").fetchone()[0])


def test_the_same_weights_change_nothing(filled: Dataset) -> None:
    changes = filled.changes()
    assert settle(filled, OLD) == settle(filled, PLAN) == []
    assert (_rows(filled), filled.changes(), wanting(filled, OLD)) == (2, changes, [])


def test_other_weights_make_its_rows_and_failures_anew_and_nothing_else(filled: Dataset) -> None:
    assert settle(filled, NEW) == ["voice:campplus-frames"]
    assert [job.needs for job in wanting(filled, NEW)] == [Needs(voices=PLAN.voices)] * 3
    for job in wanting(filled, NEW):
        store(filled, job, replace(extracted(9), speech=None, face=None, facts=None), NEW)
    assert settle(filled, NEW) == []
    assert _rows(filled) == 3
    assert filled.counts()["video"] == {"new": 0, "done": 3, "failed": 0}


def test_shards_are_of_the_weights_that_they_were_made_with(filled: Dataset) -> None:
    shard = split_off(filled.path, Shard(1, 1), NEW)
    with Dataset(shard) as part:
        settle(part, NEW)
        for job in wanting(part, NEW):
            store(part, job, replace(extracted(9), speech=None, face=None, facts=None), NEW)
    assert merge(filled.path, [shard]) == Merged(3, 0)
    assert settle(filled, NEW) == []
    assert _rows(filled) == 3
    settle(filled, OLD)
    with pytest.raises(UserError, match="has rows of voice:campplus-frames by other weights"):
        merge(filled.path, [shard])


def test_a_shard_is_made_without_writing_to_the_whole(filled: Dataset) -> None:
    """Which files wait is the same as if the whole had been settled first; also where its log holds rows that are not
    yet in the file, which whoever closes a database last writes into it."""
    folder = filled.path.parent / "elsewhere"
    folder.mkdir()
    for file in filled.path.parent.glob(f"{filled.path.name}*"):
        shutil.copy(file, folder)
    whole = folder / filled.path.name
    before = [file.read_bytes() for file in (whole, folder / f"{whole.name}-wal")]
    assert before[1], "the log is not empty"
    for plan in (OLD, NEW, replace(NEW, face='{"other": 1}')):
        settled = folder / "settled.db"
        filled.connection.execute("VACUUM INTO ?", (str(settled),))
        with Dataset(settled) as dataset:
            settle(dataset, plan)
        assert _asked_of_a_shard(whole, plan) == _asked_of_a_shard(settled, plan)
        settled.unlink()
    assert [file.read_bytes() for file in (whole, folder / f"{whole.name}-wal")] == before


def _asked_of_a_shard(whole: Path, plan: Plan) -> list[tuple[int, Needs]]:
    shard = split_off(whole, Shard(1, 1), plan)
    with Dataset(shard) as part:
        asked = [(job.video_id, job.needs) for job in wanting(part, plan)]
    shard.unlink()
    return asked


def test_a_shard_that_is_there_takes_no_rows_by_other_weights(filled: Dataset) -> None:
    shard = split_off(filled.path, Shard(1, 1), NEW)
    filled.add_items(Path("/later"), "video", [item("3.mp4", "3")], SplitRule())
    for job in wanting(filled, OLD):
        store(filled, job, extracted(3), OLD)
    assert split_off(filled.path, Shard(1, 1), NEW) == shard
    with Dataset(shard) as part:
        assert [job.needs for job in wanting(part, NEW)] == [Needs(voices=PLAN.voices)] * 4
        for job in wanting(part, NEW):
            store(part, job, replace(extracted(9), speech=None, face=None, facts=None), NEW)
    assert [merge(filled.path, [shard]) for _ in range(2)] == [Merged(4, 0), Merged(0, 0)]
    assert (settle(filled, NEW), wanting(filled, NEW), _rows(filled)) == ([], [], 4)


def test_what_two_shards_made_by_new_weights_goes_into_the_whole(filled: Dataset) -> None:
    shards = [split_off(filled.path, Shard(index, 2), NEW) for index in (1, 2)]
    for shard in shards:
        with Dataset(shard) as part:
            for job in wanting(part, NEW):
                store(part, job, replace(extracted(9), speech=None, face=None, facts=None), NEW)
    assert [merge(filled.path, [shard]).files for shard in shards] == [2, 1]
    assert (settle(filled, NEW), wanting(filled, NEW), _rows(filled)) == ([], [], 3)


def test_rows_of_a_model_that_is_not_planned_are_not_mixed_either(filled: Dataset) -> None:
    face = replace(PLAN, identities=("sface",))
    settle(filled, replace(face, weights=(("identity:sface", "old"),)))
    shard = split_off(filled.path, Shard(1, 1), NEW)
    settle(filled, replace(face, weights=(("identity:sface", "new"),)))
    with pytest.raises(UserError, match="has rows of identity:sface by other weights"):
        merge(filled.path, [shard])
    split_off(filled.path, Shard(1, 1), NEW)
    assert merge(filled.path, [shard]).files == 3
    assert settle(filled, replace(face, weights=(("identity:sface", "new"),))) == []


def _settings(**audio: object) -> ExtractSettings:
    config = Config()
    return ExtractSettings(replace(config.audio, **audio), config.faces)  # type: ignore[arg-type]


def test_weights_are_told_by_what_is_in_them(tmp_path: Path) -> None:
    file = tmp_path / "resnet.onnx"
    file.write_bytes(b"one")
    settings = _settings(encoders=["campplus", "resemblyzer", f"wespeaker:{file}"])
    one = dict(plan_of(settings).weights)
    assert one.keys() == {"voice:campplus", "voice:wespeaker/resnet", "attributes:ds2f-attributes"}
    file.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(file)
    assert dict(plan_of(settings).weights) == one
    file.write_bytes(b"two")
    two = dict(plan_of(settings).weights)
    assert [name for name in one if one[name] != two[name]] == ["voice:wespeaker/resnet"]


def test_a_model_in_two_files(tmp_path: Path) -> None:
    for name in ("face.param", "face.bin"):
        (tmp_path / name).write_bytes(b"one")
    faces = replace(Config().faces, encoders=[f"ncnn:{tmp_path}/face.param"])
    settings = ExtractSettings(Config().audio, faces)
    one = dict(plan_of(settings).weights)["identity:ncnn:face"]
    (tmp_path / "face.bin").write_bytes(b"two")
    assert dict(plan_of(settings).weights)["identity:ncnn:face"] != one


def test_files_of_one_name_have_rows_of_their_own(tmp_path: Path) -> None:
    files = [tmp_path / folder / "resnet.onnx" for folder in ("a/x", "b/x", "c")]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(number + 1))
    two = plan_of(_settings(encoders=[f"wespeaker:{file}" for file in files[:2]]))
    names = ["wespeaker/a/x/resnet", "wespeaker/b/x/resnet"]
    assert [name for _, name in two.voices] == names
    digests = {stage: digest for stage, digest in two.weights if stage.startswith("voice:")}
    assert list(digests) == [f"voice:{name}" for name in names]
    assert len(set(digests.values())) == 2
    assert [name for _, name in plan_of(_settings(encoders=[f"wespeaker:{files[2]}"])).voices] == ["wespeaker/resnet"]
    faces = replace(Config().faces, encoders=[f"onnx:{files[1]}", f"onnx:{files[2]}"])
    assert plan_of(ExtractSettings(Config().audio, faces)).identities == ("onnx:x/resnet", "onnx:c/resnet")


def test_one_file_by_two_paths_is_one(tmp_path: Path) -> None:
    (tmp_path / "resnet.onnx").write_bytes(b"one")
    specs = [f"wespeaker:{tmp_path}/resnet.onnx", f"wespeaker:{tmp_path}/./resnet.onnx"]
    assert [name for _, name in plan_of(_settings(encoders=specs)).voices] == ["wespeaker/resnet"]
