from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ds2f.config import Audio, Faces
from ds2f.dataset.queries import Job
from ds2f.errors import ItemError
from ds2f.extract.engine import attempt
from ds2f.extract.item import Extractor, Settings, encoder_names
from ds2f.types import DetectedFace, Frame, Source
from helpers import detected, grey_ramp, noise, silence, tone, write_audio, write_video

SETTINGS = Settings(Audio(), Faces())


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(SETTINGS)


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "videos" / "avspeech").glob("*.mp4"))[:4]


def _job(path: Path, kind: str = "video") -> Job:
    return Job(1, Source(path), kind, str(path))


def _refusal(extractor: Extractor, path: Path) -> tuple[str, str]:
    with pytest.raises(ItemError) as caught:
        extractor.extract(_job(path))
    return caught.value.stage, caught.value.reason


def test_names_of_the_encoders() -> None:
    names = encoder_names(SETTINGS)
    assert (names.detector, names.face, names.voice, names.clip_seconds) == (
        "mtcnn",
        "dlib",
        "resemblyzer",
        6.0,
    )


def test_refusals_name_stage_and_reason(extractor: Extractor, tmp_path: Path) -> None:
    frames = grey_ramp(10)
    assert _refusal(extractor, write_video(tmp_path / "mute.mp4", frames)) == (
        "audio",
        "a video without sound",
    )
    stage, reason = _refusal(extractor, write_video(tmp_path / "silent.mp4", frames, silence(2.0)))
    assert (stage, "silence" in reason) == ("speech", True)
    assert _refusal(extractor, write_video(tmp_path / "tone.mp4", frames, tone(2.0)))[0] == "speech"
    assert _refusal(extractor, write_video(tmp_path / "noise.mp4", frames, noise(2.0)))[0] == "speech"
    assert _refusal(extractor, write_audio(tmp_path / "a.wav", tone(2.0))) == (
        "open",
        "sound without a picture",
    )
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert _refusal(extractor, tmp_path / "empty.mp4") == ("open", "the file is empty (zero bytes)")


def test_no_face_in_the_picture(extractor: Extractor) -> None:
    with pytest.raises(ItemError, match="no face found"):
        extractor.face([Frame(image, float(k)) for k, image in enumerate(grey_ramp(3, (120, 160)))])
    with pytest.raises(ItemError, match="no face found"):
        extractor.face([])


def test_empty_sound_track(extractor: Extractor) -> None:
    with pytest.raises(ItemError, match="empty"):
        extractor.voice(np.zeros(0, np.float32))


class _Finds:
    """Stands in for the detector: always finds the same faces."""

    name = licence = "made up"

    def __init__(self, *faces: DetectedFace) -> None:
        self.faces = list(faces)

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        return self.faces


class _Embeds:
    """Stands in for the embedder: every face it sees is `apart` from the one before."""

    name = licence = "made up"
    dim = 128

    def __init__(self, apart: float) -> None:
        self.apart = apart
        self.calls = 0

    def embed(self, images: list[np.ndarray], faces: list[DetectedFace]) -> np.ndarray:
        vectors = np.zeros((len(images), self.dim), np.float32)
        vectors[:, 0] = self.apart * (self.calls + np.arange(len(images)))
        self.calls += 1
        return vectors


def _with(extractor: Extractor, monkeypatch: pytest.MonkeyPatch, detector: _Finds, embedder: _Embeds) -> Extractor:
    monkeypatch.setattr(extractor, "detector", detector)
    monkeypatch.setattr(extractor, "embedder", embedder)
    return extractor


def _textured(seed: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (12, 24, 3), dtype=np.uint8)
    return cv2.resize(small, (240, 120), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("apart", "refused"), [(1.0, True), (0.2, False)])
def test_two_people_beside_each_other(
    extractor: Extractor, monkeypatch: pytest.MonkeyPatch, apart: float, refused: bool
) -> None:
    left = detected()
    right = DetectedFace((140, 20, 60, 80), left.landmarks + np.array([120, 0], np.float32), 1.0)
    changed = _with(extractor, monkeypatch, _Finds(left, right), _Embeds(apart))
    if refused:
        with pytest.raises(ItemError, match="two people in the picture"):
            changed.face([Frame(_textured(0), 0.0)])
    else:  # a mirror or a screen shows the same person
        assert changed.face([Frame(_textured(0), 0.0)]).time == 0.0


@pytest.mark.parametrize(("apart", "refused"), [(1.0, True), (0.2, False)])
def test_a_cut_to_somebody_else(
    extractor: Extractor, monkeypatch: pytest.MonkeyPatch, apart: float, refused: bool
) -> None:
    changed = _with(extractor, monkeypatch, _Finds(detected()), _Embeds(apart))
    frames = [Frame(_textured(1), 0.0), Frame(_textured(2), 1.0)]
    if refused:
        with pytest.raises(ItemError, match="one after the other"):
            changed.face(frames)
    else:
        assert changed.face(frames).identity.shape == (128,)


def test_a_face_that_is_too_small(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = DetectedFace((20, 20, 12, 16), detected().landmarks * np.float32(0.2), 1.0)  # eyes 8 px apart
    with pytest.raises(ItemError, match="too small"):
        _with(extractor, monkeypatch, _Finds(tiny), _Embeds(0.0)).face([Frame(_textured(0), 0.0)])


def test_real_clips_give_voice_and_face(extractor: Extractor, clips: list[Path]) -> None:
    outcomes = [attempt(extractor.extract, _job(path)) for path in clips]
    assert {outcome.stage for outcome in outcomes} <= {"", "speech", "face"}
    results = [outcome.result for outcome in outcomes if outcome.result is not None]
    assert len(results) >= 2
    for result in results:
        assert result.clip is not None
        assert result.voice is not None
        assert result.clip.audio.size == 6 * 16_000
        assert np.linalg.norm(result.voice) == pytest.approx(1.0, abs=1e-3)
        assert result.face.crop.shape == (128, 128, 3)
        assert result.face.identity.shape == (128,)
        assert 0 < result.face.quality <= 1
        assert 0 < result.face.coverage <= 1
    first, second = results[:2]
    assert np.linalg.norm(first.face.identity - second.face.identity) > 0.3


def test_extraction_is_repeatable(extractor: Extractor, clips: list[Path]) -> None:
    one, two = (extractor.extract(_job(clips[0])) for _ in range(2))
    np.testing.assert_array_equal(one.face.identity, two.face.identity)
    np.testing.assert_array_equal(one.voice, two.voice)


def test_real_still_inside_a_tar(extractor: Extractor, shared_data: Path) -> None:
    from itertools import islice

    from ds2f.corpora.scan import Skipped, scan

    archive = shared_data / "faces" / "lfw.tar"
    found = 0
    for item in islice(scan(archive, "still", Skipped()), 3):
        try:
            result = extractor.extract(Job(1, Source(archive, item.offset, item.size), "still", item.path))
        except ItemError:
            continue
        found += 1
        assert result.clip is None
        assert result.voice is None
        assert (result.width, result.height) == (128, 128)
    assert found >= 2
