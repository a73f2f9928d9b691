"""What goes wrong in one model, or in one part of one file, costs that and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ds2f.config import Config
from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.extract.engines.base import Load, Outcome
from ds2f.extract.item import Extractor
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import ExtractSettings, plan_of
from ds2f.face import registry
from ds2f.types import Attributes, Extracted, Language
from ds2f.voice import acoustics, encoders, language
from ds2f.voice.activity import VoiceActivity
from helpers import extracted, item, item_of, wanting

BASE = ExtractSettings.of(Config())
SETTINGS = replace(
    BASE,
    audio=replace(BASE.audio, encoders=["resemblyzer"], languages=["whisper:tiny"], acoustics=True),
    faces=replace(BASE.faces, encoders=["uniface:arcface"], attributes=["uniface:agegender", "ds2f-attributes"]),
)
STAGES = {"voice:resemblyzer", "language:whisper/tiny", "acoustics", "identity:uniface:arcface"}
STAGES |= {"attributes:uniface:agegender"}


class _Model:
    """Stands in for every model of SETTINGS that is not in the box: answers, and cannot digest what `bad` says."""

    name, licence, dim, needs_picture = "made up", "ours", 2, True

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}
        self.bad: dict[str, float] = {}

    def look(self, kind: str, things: Sequence[np.ndarray]) -> int:
        marks = [float(np.asarray(thing, np.float64).mean()) for thing in things]
        self.seen.setdefault(kind, []).extend(marks)
        if self.bad.get(kind) in marks:
            raise ValueError(f"this {kind} is indigestible")
        return len(marks)

    def embed(self, kind: str, things: Sequence[np.ndarray], *_: Any) -> np.ndarray:
        return np.ones((self.look(kind, things), 2), np.float32)

    def judge(self, images: Sequence[np.ndarray], *_: Any) -> list[Attributes]:
        return [Attributes(30.0, {}, {"male": 1.0}, {})] * self.look("picture", images)

    def identify(self, clips: Sequence[np.ndarray]) -> list[Language]:
        return [Language("en", 0.9)] * self.look("clip", clips)

    def measure(self, audio: np.ndarray) -> dict[str, float]:
        return dict.fromkeys((feature.name for feature in acoustics.FEATURES), 1.0 * self.look("speech", [audio]))

    def as_(self, **methods: Callable[..., Any]) -> _Model:
        found = _Model()
        found.__dict__.update(methods)
        return found


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> _Model:
    made_up, embedder, attributes = _Model(), registry.load_embedder, registry.load_attributes
    voice, face = (made_up.as_(embed=partial(made_up.embed, kind)) for kind in ("voice", "face"))
    judge, identify = made_up.as_(predict=made_up.judge), made_up.as_(predict=made_up.identify)
    monkeypatch.setattr(encoders, "load", lambda *_: voice)
    monkeypatch.setattr(language, "load", lambda *_: identify)
    monkeypatch.setattr(acoustics, "measure", made_up.measure)
    monkeypatch.setattr(registry, "load_embedder", lambda s, *a: face if s == "uniface:arcface" else embedder(s, *a))
    monkeypatch.setattr(registry, "load_attributes", lambda s: judge if s == "uniface:agegender" else attributes(s))
    return made_up


def test_an_error_in_one_model_costs_that_models_row_and_can_be_asked_again(
    dataset: Dataset, tmp_path: Path, model: _Model
) -> None:
    files = [shutil.copy(path, tmp_path) for path in sorted(samples().glob("*.mp4"))[:2]]
    dataset.add_items(tmp_path, "video", [item_of(Path(file), str(file)) for file in files], SplitRule())
    extractor, plan = Extractor(SETTINGS), plan_of(SETTINGS)
    jobs = wanting(dataset, plan)
    for job, result in zip(jobs, extractor.extract(jobs), strict=True):
        assert result.failures == (), job.shown
    model.bad = {kind: marks[-1] for kind, marks in model.seen.items()}

    good, bad = extractor.extract(jobs)
    assert good.failures == ()
    assert {stage for stage, _ in bad.failures} == STAGES
    assert dict(bad.failures)["identity:uniface:arcface"] == "unexpected ValueError: this face is indigestible"
    assert bad.speech is not None
    assert bad.face is not None
    assert list(bad.attributes) == ["ds2f-attributes"]
    for job, result in zip(jobs, (good, bad), strict=True):
        store(dataset, job, result, plan)
    assert dataset.counts()["video"] == {"new": 0, "done": 1, "failed": 1}
    assert wanting(dataset, plan) == [], "a model that failed on a file is not asked again unasked"

    model.bad = {}
    asked: list[Any] = []

    def engine(jobs: Any, make: Any, load: Any) -> Any:
        for job in jobs:
            asked.append(job.needs)
            yield Outcome(job, extractor.extract([job])[0])

    assert extract_missing(Path(dataset.path), SETTINGS, engine=engine, retry_failed=True).done == 1
    (needs,) = asked
    assert (needs.speech, needs.face) == (False, False), "speech and face were never lost"
    assert dataset.counts()["video"] == {"new": 0, "done": 2, "failed": 0}


def test_an_error_in_one_part_of_a_file_costs_that_part(monkeypatch: pytest.MonkeyPatch, dataset: Dataset) -> None:
    (path,) = sorted(samples().glob("*.mp4"))[:1]
    dataset.add_items(path.parent, "video", [item_of(path)], SplitRule())
    job, extractor = wanting(dataset, plan_of(BASE))[0], Extractor(BASE)
    monkeypatch.setattr(VoiceActivity, "probabilities", lambda *_: 1 / 0)
    (result,) = extractor.extract([job])
    assert result.failures == (("speech", "unexpected ZeroDivisionError: division by zero"),)
    assert result.face is not None


def test_a_face_that_is_not_found_again_fails_the_models_that_wanted_to_see_it(
    monkeypatch: pytest.MonkeyPatch, dataset: Dataset, tmp_path: Path, model: _Model
) -> None:
    cv2.imwrite(str(tmp_path / "face.png"), np.full((64, 64, 3), 90, np.uint8))
    dataset.add_items(tmp_path, "still", [item_of(tmp_path / "face.png")], SplitRule())
    plan = plan_of(BASE)
    (job,) = wanting(dataset, plan)
    found = replace(extracted(voice=False))
    found.attributes["ds2f-attributes"] = Attributes(30.0, {}, {"male": 1.0}, {})
    store(dataset, job, found, plan)
    more = plan_of(SETTINGS)
    (job,) = wanting(dataset, more)
    (result,) = Extractor(SETTINGS).extract([job])
    stages = {"identity:uniface:arcface", "attributes:uniface:agegender"}
    assert dict(result.failures) == dict.fromkeys(stages, "no face found")
    store(dataset, job, result, more)
    assert wanting(dataset, more) == [], "it would fail again, every time"


def test_what_failed_in_a_model_that_nobody_plans_any_more_does_not_wait_for_ever(dataset: Dataset) -> None:
    dataset.add_items(Path("/videos"), "video", [item(f"{k}.mp4") for k in range(3)], SplitRule())
    settings = replace(BASE, faces=replace(BASE.faces, attributes=[]))
    plan = plan_of(settings)
    more = replace(plan, voices=(*plan.voices, (6.0, "ecapa")))
    unplanned, both, gone = wanting(dataset, more)
    failed = ("voice:ecapa", "no speech found by ecapa")
    store(dataset, unplanned, replace(extracted(0), failures=(failed,)), more)
    store(dataset, both, replace(extracted(1), face=None, failures=(failed, ("face", "no face found"))), more)
    store(dataset, gone, Extracted(failures=(("open", "the file is empty (zero bytes)"),)), more)

    asked: list[int] = []

    def engine(jobs: Any, make: Any, load: Any) -> Any:
        asked.extend(job.video_id for job in jobs)
        return iter(())

    extract_missing(Path(dataset.path), settings, Load(), engine, retry_failed=True)
    assert asked == [both.video_id, gone.video_id]
    assert dataset.counts()["video"] == {"new": 2, "done": 0, "failed": 1}
    assert dataset.failures(unplanned.video_id) == dict([failed]), "nothing has asked it again: the reason stands"


@pytest.mark.parametrize(
    "error", [RuntimeError("Illegal instruction\nstack"), MemoryError(), ImportError("libGL.so.1")]
)
def test_a_model_that_cannot_be_loaded_is_one_sentence_with_its_name(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def load(*_: Any) -> None:
        raise error

    monkeypatch.setattr(registry, "load_detector", load)
    with pytest.raises(
        UserError, match=rf"The model mtcnn cannot be loaded \({type(error).__name__}: .*no file"
    ) as caught:
        Extractor(BASE).load()
    assert "\n" not in str(caught.value)


def test_a_file_that_changed_since_it_was_ingested_counts_as_failed(dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "talk.mp4"
    file.write_bytes(b"one")
    dataset.add_items(tmp_path, "video", [item_of(file)], SplitRule())

    def engine(jobs: Any, make: Any, load: Any) -> Any:
        for job in jobs:
            file.write_bytes(b"another")
            yield Outcome(job, extracted(0))

    summary = extract_missing(Path(dataset.path), SETTINGS, engine=engine)
    assert (summary.done, summary.failed) == (0, 1)
    assert dataset.counts()["video"] == {"new": 0, "done": 0, "failed": 1}
