from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ds2f.config import Audio, Faces
from ds2f.dataset import Dataset
from ds2f.dataset.queries import SplitRule
from ds2f.errors import UserError
from ds2f.extract.engine import Outcome, attempt, local_processes
from ds2f.extract.item import Settings
from ds2f.extract.run import extract_missing
from helpers import extracted, grey_ramp, item, jobs, make_fake_extract, make_that_fails, tone, write_video

SETTINGS = Settings(Audio(), Faces())


def _outcomes(count: int, workers: int, **special: frozenset[int]) -> dict[int, Outcome]:
    make = partial(
        make_fake_extract,
        special.get("deadly", frozenset()),
        special.get("refused", frozenset()),
        special.get("broken", frozenset()),
    )
    outcomes = list(local_processes(jobs(count), make, workers))
    assert len(outcomes) == count, "every job has exactly one outcome"
    return {outcome.job.video_id: outcome for outcome in outcomes}


def test_results_and_reasons_come_back_from_workers() -> None:
    found = _outcomes(6, 2, refused=frozenset({1}), broken=frozenset({4}))
    assert (found[1].result, found[1].stage, found[1].reason) == (None, "speech", "no speech found")
    assert (found[4].result, found[4].stage) == (None, "worker")
    assert found[4].reason == "unexpected ZeroDivisionError: division by zero"
    for number in (0, 2, 3, 5):
        result = found[number].result
        assert result is not None
        np.testing.assert_array_equal(result.face.identity, extracted(number).face.identity)


def test_a_worker_that_dies_takes_down_only_its_own_file() -> None:
    found = _outcomes(9, 1, deadly=frozenset({3}))
    dead = [number for number, outcome in found.items() if outcome.result is None]
    assert dead == [3]
    assert (found[3].stage, found[3].reason) == ("worker", "the worker process died on this file")


def test_a_worker_dying_on_the_last_and_only_file() -> None:
    found = _outcomes(1, 1, deadly=frozenset({0}))
    assert found[0].stage == "worker"


def test_a_model_that_cannot_be_loaded_stops_the_run_and_blames_no_file() -> None:
    with pytest.raises(UserError, match="face_recognition_models is missing"):
        list(local_processes(jobs(3), make_that_fails, 1))


def test_attempt_lets_ctrl_c_through() -> None:
    def interrupted(job: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupted, jobs(1)[0])  # type: ignore[arg-type]


def test_bad_files_become_rows_and_the_run_goes_on(tmp_path: Path) -> None:
    write_video(tmp_path / "mute.mp4", grey_ramp(5))
    write_video(tmp_path / "tone.mp4", grey_ramp(10), tone(2.0))
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "letter.mp4").write_text("Dear Sir or Madam")
    names = ["mute.mp4", "tone.mp4", "empty.mp4", "letter.mp4", "deleted.mp4"]
    database = tmp_path / "dataset.db"
    with Dataset(database, create=True) as dataset:
        dataset.add_items(tmp_path, "video", [item(name) for name in names], SplitRule())
    seen: list[tuple[int, int]] = []
    summary = extract_missing(database, SETTINGS, 1, progress=lambda done, total, _: seen.append((done, total)))
    assert (summary.done, summary.failed) == (0, 5)
    assert seen == [(done, 5) for done in range(6)]
    with Dataset(database) as dataset:
        reasons = {stage: reason for stage, reason, _ in dataset.failure_counts()}
        assert reasons["audio"] == "a video without sound"
        assert {"open", "audio", "speech"} == set(reasons)
    again = extract_missing(database, SETTINGS, 1)
    assert (again.done, again.failed) == (0, 0), "failed files are not tried again unasked"


def test_real_clips_go_all_the_way(tmp_path: Path, shared_data: Path) -> None:
    from ds2f.corpora.scan import Skipped, scan

    folder = tmp_path / "avspeech"
    folder.mkdir()
    for source in sorted((shared_data / "videos" / "avspeech").glob("*.mp4"))[:5]:
        (folder / source.name).symlink_to(source)
    database = tmp_path / "dataset.db"
    with Dataset(database, create=True) as dataset:
        assert dataset.add_items(folder, "video", scan(folder, "video", Skipped()), SplitRule()) == (5, 0)
    summary = extract_missing(database, SETTINGS, 2)
    assert summary.done + summary.failed == 5
    assert summary.done >= 2
    with Dataset(database) as dataset:
        pairs = dataset.pairs()
    assert len(pairs) == summary.done
    assert all(pair.corpus == "avspeech" for pair in pairs)
