from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.plan import Needs, Plan, Shard, parse_shard, retry, waiting
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.io.speech import decode
from ds2f.types import Attributes, Extracted, Language
from ds2f.voice.acoustics import FEATURES
from helpers import PLAN, extracted, item, wanting

ROOT = Path("/videos")
ATTRIBUTES = Attributes(34.2, {"30-39": 1.0}, {"male": 0.2, "female": 0.8}, {"White": 0.4, "Asian": 0.6})


@pytest.fixture
def filled(dataset: Dataset) -> Dataset:
    """Four videos, all extracted by PLAN."""
    dataset.add_items(ROOT, "video", [item(f"{k}.mp4", str(k)) for k in range(4)], SplitRule())
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number), PLAN)
    assert waiting(dataset, PLAN) == []
    return dataset


def test_a_fresh_file_needs_everything(dataset: Dataset) -> None:
    dataset.add_items(ROOT, "video", [item("a.mp4")], SplitRule())
    dataset.add_items(Path("/stills"), "still", [item("a.png")], SplitRule())
    plan = replace(PLAN, identities=("arcface",), attributes=("ages",), languages=("lid",), acoustics=True)
    video, still = wanting(dataset, plan)
    assert video.needs == Needs(True, True, PLAN.voices, ("arcface",), ("ages",), ("lid",), True)
    assert still.needs == Needs(face=True, identities=("arcface",), attributes=("ages",))


def test_a_new_encoder_asks_only_for_its_rows_and_gets_what_was_stored(filled: Dataset) -> None:
    plan = replace(PLAN, voices=(*PLAN.voices, (6.0, "ecapa")), identities=("arcface",))
    jobs = wanting(filled, plan)
    assert [job.needs for job in jobs] == [Needs(voices=((6.0, "ecapa"),), identities=("arcface",))] * 4
    speech, face = extracted(0).speech, extracted(0).face
    assert speech is not None
    assert face is not None
    stored = jobs[0].stored
    assert stored.speech is not None
    np.testing.assert_array_equal(decode(stored.speech.sound), decode(speech.sound))
    assert stored.found is not None
    np.testing.assert_array_equal(stored.found.landmarks, face.detected.landmarks)
    assert (stored.found.box, stored.time) == (face.detected.box, face.time)
    assert stored.identity is not None
    np.testing.assert_array_equal(stored.identity, face.identity)

    rows = Extracted(clips={6.0: (4.0, 1.5)}, voices={(6.0, "ecapa"): np.ones(8)}, identities={"arcface": np.ones(512)})
    before = filled.pairs()
    for job in jobs:
        store(filled, job, rows, plan)
    assert waiting(filled, plan) == []
    assert len(filled.pairs(voice="ecapa", face="arcface")) == 4
    for old, new in zip(before, filled.pairs(), strict=True):
        np.testing.assert_array_equal(old.voice, new.voice)


def test_another_setting_redoes_one_part_and_leaves_the_other(filled: Dataset) -> None:
    plan = replace(PLAN, speech='{"min_speech": 2}')
    jobs = wanting(filled, plan)
    assert [job.needs for job in jobs] == [Needs(speech=True, voices=PLAN.voices)] * 4
    store(filled, jobs[0], Extracted(failures=(("speech", "only 1.5 s of speech"),)), plan)
    assert len(filled.pairs()) == 3
    assert len(list(filled.faces())) == 4, "the face is as good as before"
    assert filled.failures(jobs[0].video_id) == {"speech": "only 1.5 s of speech"}
    assert len(waiting(filled, plan)) == 3


def test_a_model_that_failed_on_a_file_is_not_asked_again(filled: Dataset) -> None:
    plan = replace(PLAN, voices=(*PLAN.voices, (6.0, "ecapa")))
    job = wanting(filled, plan)[0]
    store(filled, job, Extracted(failures=(("voice:ecapa", "no speech found by ecapa"),)), plan)
    assert len(waiting(filled, plan)) == 3
    assert len(filled.pairs()) == 4, "its other vectors stay"
    retry(filled, plan)
    (again,) = [j for j in wanting(filled, plan) if j.video_id == job.video_id]
    assert again.needs == Needs(voices=((6.0, "ecapa"),)), "and nothing else is done again"


def test_a_file_that_killed_its_worker_waits_for_retry(filled: Dataset) -> None:
    plan = replace(PLAN, attributes=("ages",))
    job = wanting(filled, plan)[0]
    store(filled, job, Extracted(failures=(("worker", "took longer than 9 s"),)), plan)
    assert len(waiting(filled, plan)) == 3
    retry(filled, plan)
    assert len(waiting(filled, plan)) == 4


def test_attributes_come_back_with_the_faces(filled: Dataset) -> None:
    plan = replace(PLAN, attributes=("ds2f-attributes",))
    for job in wanting(filled, plan):
        store(filled, job, Extracted(attributes={"ds2f-attributes": ATTRIBUTES}), plan)
    assert [row.attributes for row in filled.faces()] == [ATTRIBUTES] * 4
    row = filled.connection.execute(
        "SELECT value, probability FROM face_attributes WHERE attribute = 'gender'"
    ).fetchone()
    assert tuple(row) == ("female", 0.8)


def test_a_file_that_is_gone_meanwhile_is_left_alone(filled: Dataset) -> None:
    plan = Plan(speech="new", face="new", voices=())
    job = wanting(filled, plan)[0]
    filled.connection.execute("DELETE FROM videos WHERE id = ?", (job.video_id,))
    store(filled, job, extracted(), plan)
    assert filled.connection.execute("SELECT count(*) FROM faces").fetchone()[0] == 3


def test_shards_share_the_work_without_overlap(dataset: Dataset) -> None:
    dataset.add_items(ROOT, "video", [item(f"{k}.mp4") for k in range(10)], SplitRule())
    parts = [waiting(dataset, PLAN, Shard(index, 3)) for index in (1, 2, 3)]
    assert sorted(i for part in parts for i in part) == waiting(dataset, PLAN)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "a/b", "1/2/3"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UserError, match="--shard"):
        parse_shard(text)


def test_a_shard() -> None:
    assert parse_shard("2/8") == Shard(2, 8)


def test_language_and_acoustics_are_stored_and_go_with_their_speech(filled: Dataset) -> None:
    plan = replace(PLAN, languages=("lid",), acoustics=True)
    heard = {feature.name: 1.5 for feature in FEATURES} | {"f0_mean_hz": float("nan")}
    for job in wanting(filled, plan):
        assert job.needs == Needs(languages=("lid",), acoustics=True)
        store(filled, job, Extracted(languages={"lid": Language("fr", 0.9)}, acoustics=heard), plan)
    assert waiting(filled, plan) == []
    sql = filled.connection
    assert {tuple(r) for r in sql.execute("SELECT model, language, probability FROM languages")} == {("lid", "fr", 0.9)}
    rows = sql.execute("SELECT f0_mean_hz, speaking_rate_per_s FROM acoustics").fetchall()
    assert [tuple(row) for row in rows] == [(None, 1.5)] * 4, "what cannot be measured is NULL"
    again = replace(plan, speech='{"min_speech": 2}')
    store(filled, wanting(filled, again)[0], Extracted(failures=(("speech", "too little"),)), again)
    assert [sql.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("languages", "acoustics")] == [3, 3]
