"""One face, or several, for every clip of a dataset."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from ds2f.cli import main
from ds2f.dataset import Dataset, outputs
from ds2f.dataset.queries import Pair
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.evaluation.embed import find_pictures
from ds2f.speech2face.files import AT_ONCE, from_dataset, from_files, heard_clips, made_from, voices_of
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from helpers import tiny_decoder
from people import paired_dataset


def test_several_faces_of_a_clip_are_numbered_kept_and_found(dataset: Dataset, tmp_path: Path) -> None:
    paired_dataset(dataset, 40)
    model, out = Speech2Face.from_pretrained(device="cpu", size=64), tmp_path / "faces"
    split = next(s for s in ("val", "test") if len(dataset.pairs(s)) > 1)
    pairs = dataset.pairs(split)

    first = from_dataset(model, dataset, split, out, 2, 5, SamplingSettings()).faces
    assert len({path.read_bytes() for path in first}) == 2 * len(pairs), "every one is another"
    assert [[file.name[-6:] for file in of_clip] for of_clip in find_pictures(out, pairs)] == [
        ["-0.png", "-1.png"] for _ in pairs
    ]
    record = json.loads((out / "generation.json").read_text())["faces"]
    assert {entry["root"] for entry in record} == {"/videos"}
    assert [entry["input"] for entry in record] == [pair.path for pair in pairs for _ in range(2)]
    assert [entry["seed"] for entry in record] == [5 + 4 * k + i for k in range(len(pairs)) for i in range(2)]

    first[0].unlink()
    made = [path.stat().st_mtime_ns for path in first[1:]]
    assert from_dataset(model, dataset, split, out, 2, 5, SamplingSettings()).faces == first
    assert [path.stat().st_mtime_ns for path in first[1:]] == made, "only what is missing is drawn"

    assert outputs.remembered(dataset, "faces") == [out], "forgetting goes there"
    (single,) = from_dataset(model, dataset, split, tmp_path / "single", 1, 5, SamplingSettings()).faces[:1]
    assert single.with_suffix("").name == Path(pairs[0].path).stem
    with pytest.raises(UserError, match="one face per clip, which would hide 2 per clip"):
        from_dataset(model, dataset, split, tmp_path / "single", 2, 5, SamplingSettings())
    with pytest.raises(UserError, match=r"has more than 1 faces of some clips \(.*-0\.png\)"):
        from_dataset(model, dataset, split, out, 1, 5, SamplingSettings())
    Image.open(first[1]).save(out / f"{first[1].stem[:-1]}2.webp")
    with pytest.raises(UserError, match=r"has more than 2 faces of some clips \(.*-2\.webp\)"):
        from_dataset(model, dataset, split, out, 2, 5, SamplingSettings())


def test_pictures_that_an_earlier_run_drew_more_of_are_told(tmp_path: Path, tiny: Speech2Face) -> None:
    clips = [samples() / "person-1.mp4"]
    many = from_files(tiny, clips, tmp_path / "out", 3, 0, SamplingSettings(steps=1))
    assert many.left_over == []
    few = from_files(tiny, clips, tmp_path / "out", 1, 0, SamplingSettings(steps=1))
    assert few.left_over == many.faces[1:]


def test_a_clip_named_like_the_second_picture_of_another_is_its_own(
    dataset: Dataset, tmp_path: Path, tiny: Speech2Face
) -> None:
    paired_dataset(dataset, 12)
    sql = dataset.connection
    with dataset.transaction():
        some = [row[0] for row in sql.execute("SELECT v.id FROM videos v JOIN speech s ON s.video_id = v.id LIMIT 2")]
        for file, name in zip(some, ("talk.mp4", "talk-2.mp4"), strict=True):
            sql.execute("UPDATE videos SET path = ? WHERE id = ?", (name, file))
        sql.execute("UPDATE identities SET split = 'test'")
    for _ in "12":  # again, as an interrupted run goes on
        written = from_dataset(tiny, dataset, "test", tmp_path, 1, 0, SamplingSettings(steps=1))
        assert {"talk.png", "talk-2.png"} <= {face.name for face in written.faces}


def test_what_gives_no_face_leaves_nothing(tmp_path: Path, tiny: Speech2Face) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    written = from_files(tiny, [tmp_path / "text.wav"], tmp_path / "out", 1, 0, SamplingSettings(steps=1))
    assert len(written.refused) == 1
    assert not (tmp_path / "out").exists()
    (tmp_path / "there").mkdir()
    assert main(["generate", str(tmp_path / "text.wav"), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 2
    assert not (tmp_path / "out").exists()
    from_files(tiny, [tmp_path / "text.wav"], tmp_path / "there", 1, 0, SamplingSettings(steps=1))
    assert list((tmp_path / "there").iterdir()) == []


def test_a_decoder_that_hears_for_itself_needs_its_own_rows_of_every_clip(dataset: Dataset, tmp_path: Path) -> None:
    paired_dataset(dataset, 8)
    model, direct = Speech2Face.from_pretrained(device="cpu", size=64), SamplingSettings(direct=True)
    split = "train"
    pairs, rng = dataset.pairs(split), np.random.default_rng(0)

    def hear(which: list[Pair]) -> None:
        rows = [(pair.video_id, rng.normal(size=256).astype("<f4").tobytes()) for pair in which]
        dataset.connection.executemany("INSERT INTO voice_embeddings VALUES (?, 6, 'resemblyzer', ?)", rows)

    with pytest.raises(UserError, match="cannot be conditioned on voices by campplus-frames"):
        from_dataset(model, dataset, split, tmp_path / "none", 1, 0, direct)
    hear(pairs[:1])
    with pytest.raises(UserError, match=r"Not all clips of .* have a row of 'resemblyzer'"):
        from_dataset(model, dataset, split, tmp_path / "some", 1, 0, direct)
    hear(pairs[1:])
    drawn = from_dataset(model, dataset, split, tmp_path / "all", 1, 0, direct).faces
    heard = from_dataset(model, dataset, split, tmp_path / "heard", 1, 0, SamplingSettings()).faces
    assert len(drawn) == len(pairs)
    assert drawn[0].read_bytes() != heard[0].read_bytes()


@pytest.fixture(scope="module")
def tiny() -> Speech2Face:
    shipped = Speech2Face.from_pretrained(device="cpu", size=64)
    return Speech2Face(shipped.prior, tiny_decoder(), shipped.folder, torch.device("cpu"))


QUICK = SamplingSettings(steps=1)


def test_a_face_of_an_older_voice_is_drawn_again(dataset: Dataset, tmp_path: Path, tiny: Speech2Face) -> None:
    paired_dataset(dataset, 4)
    sql = dataset.connection
    first = from_dataset(tiny, dataset, "train", tmp_path, 2, 0, QUICK).faces
    before = {path: path.read_bytes() for path in first}
    one = dataset.pairs("train")[1]
    other = np.random.default_rng(7).normal(size=512).astype("<f4").tobytes()
    sql.execute("UPDATE voice_embeddings SET vector = ? WHERE video_id = ?", (other, one.video_id))
    again = from_dataset(tiny, dataset, "train", tmp_path, 2, 0, QUICK).faces
    assert [path for path in again if path.read_bytes() != before[path]] == first[2:4]
    for path in first[2:4]:
        with Image.open(path) as picture:
            said = json.loads(picture.info["ds2f"])
        assert not {"identity", "voice", "input"} & set(said)


def test_what_a_face_is_made_from_tells_voice_seed_and_settings_apart_and_no_voice() -> None:
    voice, other = np.zeros(4, np.float32), np.ones(4, np.float32)
    details = {"seed": 1, "steps": 2}
    keys = [made_from(details, voice), made_from(details, other), made_from({**details, "seed": 2}, voice)]
    keys += [made_from({**details, "steps": 3}, voice), made_from(details, voice, other)]
    assert len({key["made_from"] for key in keys}) == len(keys)
    assert made_from(details, voice.copy()) == keys[0]


def test_voices_are_of_the_length_that_the_model_hears_whatever_is_commoner(
    dataset: Dataset, tmp_path: Path, tiny: Speech2Face
) -> None:
    paired_dataset(dataset, 6, seconds=(3.0, 6.0))
    sql, pairs = dataset.connection, dataset.pairs("train", seconds=6.0)
    sql.execute("DELETE FROM voice_embeddings WHERE seconds = 6 AND video_id = ?", (pairs[0].video_id,))
    assert dataset.clip_seconds("campplus-frames") == 3.0
    heard = [clip.file for clip in heard_clips(tiny, dataset, "train")]
    assert heard == [pair.video_id for pair in pairs[1:]]
    np.testing.assert_array_equal(voices_of(tiny, dataset, "train", heard), [pair.voice for pair in pairs[1:]])
    with pytest.raises(UserError, match="has no voice that the model takes; run `ds2f extract`"):
        voices_of(tiny, dataset, "train", [pair.video_id for pair in pairs])
    sql.execute("DELETE FROM voice_embeddings WHERE seconds = 6")
    sentence = r"takes clips of 6 s; .* has voices of 3 s\. Add 6 to \[audio\] clip_seconds"
    with pytest.raises(UserError, match=sentence):
        from_dataset(tiny, dataset, "train", tmp_path, 1, 0, QUICK)
    with pytest.raises(UserError, match=sentence):
        voices_of(tiny, dataset, "train", [pair.video_id for pair in dataset.pairs("train")])
    sql.execute("UPDATE voice_embeddings SET encoder = 'resemblyzer'")
    with pytest.raises(UserError, match="no voices by 'campplus-frames', which the model takes"):
        from_dataset(tiny, dataset, "train", tmp_path, 1, 0, QUICK)


def test_two_splits_in_one_folder_are_both_recorded_and_two_ways_of_drawing_refused(
    dataset: Dataset, tmp_path: Path, tiny: Speech2Face
) -> None:
    paired_dataset(dataset, 24)
    out = tmp_path / "faces"
    splits = [split for split in ("val", "test", "train") if dataset.pairs(split)][:2]
    alone = [{"input": "talk.wav", "image": "talk-0.png", "seed": 0}]  # drawn without a dataset, anyhow
    out.mkdir()
    (out / "talk-0.png").touch()
    (out / "generation.json").write_text(json.dumps({"faces": alone, "model": {}, "settings": {}, "size": 1}))
    for split in splits:
        from_dataset(tiny, dataset, split, out, 1, 5, QUICK)
    record = json.loads((out / "generation.json").read_text())
    clips = {pair.path for split in splits for pair in dataset.pairs(split)}
    assert {entry["input"] for entry in record["faces"]} == clips | {"talk.wav"}
    of_talk = next(entry for entry in record["faces"] if entry["input"] == "talk.wav")
    assert (of_talk["settings"], of_talk["size"]) == ({}, 1), "it was drawn otherwise, and says so"
    assert set(load_file(out / "identities.safetensors")) == {e["image"] for e in record["faces"]} - {"talk-0.png"}
    with pytest.raises(UserError, match="other faces, of another model or with other settings"):
        from_dataset(tiny, dataset, splits[0], out, 1, 5, replace(QUICK, temperature=0.9))
    assert json.loads((out / "generation.json").read_text()) == record


def test_a_recording_of_the_same_name_does_not_replace_faces_of_another(tmp_path: Path, tiny: Speech2Face) -> None:
    sample = next(iter(sorted(samples().glob("*.mp4"))))
    talks = [tmp_path / folder / "talk.mp4" for folder in "ab"]
    for talk in talks:
        talk.parent.mkdir()
        talk.write_bytes(sample.read_bytes())
    out = tmp_path / "faces"
    for _ in range(2):
        from_files(tiny, talks[:1], out, 1, 5, QUICK)
    with pytest.raises(UserError, match=r"a/talk\.mp4, which .*b/talk\.mp4 would replace"):
        from_files(tiny, talks[1:], out, 1, 5, QUICK)


def test_a_folder_remembers_the_faces_of_earlier_recordings(tmp_path: Path, tiny: Speech2Face) -> None:
    sample = next(iter(sorted(samples().glob("*.mp4"))))
    first, other, same_name = (tmp_path / place for place in ("a/talk.mp4", "other.mp4", "b/talk.mp4"))
    for talk in (first, other, same_name):
        talk.parent.mkdir(exist_ok=True)
        talk.write_bytes(sample.read_bytes())
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    out = tmp_path / "faces"
    from_files(tiny, [first, tmp_path / "broken.mp4"], out, 1, 5, QUICK)
    from_files(tiny, [other], out, 1, 5, replace(QUICK, temperature=0.5))
    record = json.loads((out / "generation.json").read_text())
    entries = {Path(entry["input"]).name: entry for entry in record["faces"]}
    assert set(entries) == {"talk.mp4", "broken.mp4", "other.mp4"}
    assert "failed" in entries["broken.mp4"]
    assert record["settings"]["temperature"] == 0.5
    assert entries["talk.mp4"]["settings"]["temperature"] == QUICK.temperature
    assert "settings" not in entries["other.mp4"]
    assert set(load_file(out / "identities.safetensors")) == {"talk-0.png", "other-0.png"}
    with pytest.raises(UserError, match=r"a/talk\.mp4, which .*b/talk\.mp4 would replace"):
        from_files(tiny, [same_name], out, 1, 5, QUICK)


def test_a_run_that_is_stopped_has_said_what_it_drew(tmp_path: Path, tiny: Speech2Face) -> None:
    out, talks = tmp_path / "faces", sorted(samples().glob("*.mp4"))[:3]

    def stop(done: int, total: int, note: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        from_files(tiny, talks, out, 1, 5, QUICK, progress=stop)
    drawn = [f"{talk.stem}-0.png" for talk in talks[:2]]
    assert [face["image"] for face in json.loads((out / "generation.json").read_text())["faces"]] == drawn
    assert set(load_file(out / "identities.safetensors")) == set(drawn)


def test_a_run_over_clips_that_is_stopped_leaves_no_record_of_how_earlier_ones_were_drawn(
    dataset: Dataset, tmp_path: Path, tiny: Speech2Face
) -> None:
    paired_dataset(dataset, 4)
    first = from_dataset(tiny, dataset, "train", tmp_path / "faces", 1, 5, QUICK)
    cooler = replace(QUICK, temperature=0.5)

    def stop(done: int, total: int, note: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        from_dataset(tiny, dataset, "train", tmp_path / "faces", 1, 5, cooler, progress=stop)
    record = json.loads((tmp_path / "faces/generation.json").read_text())
    assert (record["settings"]["temperature"], record["faces"]) == (0.5, []), "some are drawn anew, some are not"
    from_dataset(tiny, dataset, "train", tmp_path / "faces", 1, 5, cooler)
    record = json.loads((tmp_path / "faces/generation.json").read_text())
    assert len(record["faces"]) == len(first.faces)


def test_many_faces_of_a_recording_are_written_as_they_are_drawn(tmp_path: Path, tiny: Speech2Face) -> None:
    talk, told, count = next(samples().glob("*.mp4")), list[str](), AT_ONCE + 2
    written = from_files(tiny, [talk], tmp_path, count, 5, QUICK, progress=lambda *said: told.append(said[2]))
    assert told == [talk.name, f"{talk.name}, face {AT_ONCE + 1} of {count}", ""]
    assert len(written.faces) == count
    vectors = load_file(tmp_path / "identities.safetensors")
    for number, face in enumerate(tiny(talk, count, 5, settings=QUICK)):
        assert np.array_equal(vectors[f"{talk.stem}-{number}.png"], face.identity)
        assert np.array_equal(np.array(Image.open(written.faces[number])), np.array(face.image))


def test_faces_of_a_recording_that_is_called_like_a_clip_are_not_measured_with_it(
    dataset: Dataset, tmp_path: Path, tiny: Speech2Face
) -> None:
    paired_dataset(dataset, 4)
    pair = dataset.pairs("train")[0]
    out = tmp_path / "faces"
    talk = tmp_path / Path(pair.path).name
    talk.write_bytes(next(iter(sorted(samples().glob("*.mp4")))).read_bytes())
    from_files(tiny, [talk], out, 4, 5, QUICK)
    with pytest.raises(UserError, match="has more than 2 faces of some clips"):
        from_dataset(tiny, dataset, "train", out, 2, 5, QUICK)


def test_all_splits_and_sounds_without_a_face_are_drawn(dataset: Dataset, tmp_path: Path, tiny: Speech2Face) -> None:
    paired_dataset(dataset, 4)
    dataset.connection.execute("UPDATE identities SET split = 'test' WHERE id = 1")
    sound = dataset.connection.execute(
        "UPDATE videos SET kind = 'sound' WHERE path = '0003.mp4' RETURNING id"
    ).fetchone()
    dataset.connection.execute("DELETE FROM faces WHERE video_id = ?", (sound[0],))
    drawn = from_dataset(tiny, dataset, None, tmp_path, 1, 0, QUICK)
    assert [path.name for path in drawn.faces] == ["0000.png", "0001.png", "0002.png", "0003.png"]
    assert all(path.exists() for path in drawn.faces)
