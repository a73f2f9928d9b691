from __future__ import annotations

import tarfile
from dataclasses import replace
from importlib.resources import files
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from ds2f.config import Audio, Config, Faces
from ds2f.dataset import Dataset
from ds2f.dataset.plan import Job, Needs, Plan, Stored
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import ItemError
from ds2f.extract.item import Extractor, _File
from ds2f.extract.settings import ExtractSettings, plan_of
from ds2f.io.media import decode
from ds2f.io.speech import decode as decode_speech
from ds2f.io.speech import kind_of
from ds2f.types import Extracted, Part, Source
from ds2f.voice.activity import WINDOW, VoiceActivity
from ds2f.voice.encode import VoiceEncoder
from helpers import detected, grey_ramp, item_of, noise, silence, tone, wanting, write_audio, write_video
from made_up_media import Film, Sound, write

SETTINGS = ExtractSettings.of(Config())
VOICE = (6.0, "campplus-frames")
SAMPLE = Path(str(files("ds2f") / "demo" / "samples" / "person-1.mp4"))


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(SETTINGS)


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "videos" / "avspeech").glob("*.mp4"))[:4]


def _job(path: Path) -> Job:
    return Job(1, Source(path), "video", str(path), Needs(speech=True, face=True, voices=(VOICE,)))


def _failures(extractor: Extractor, path: Path) -> dict[str, str]:
    (result,) = extractor.extract([_job(path)])
    return dict(result.failures)


def test_refusals_name_stage_and_reason(extractor: Extractor, tmp_path: Path) -> None:
    frames = grey_ramp(10)
    no_face = {"face": "no face found"}
    mute = _failures(extractor, write_video(tmp_path / "mute.mp4", frames))
    assert mute == {"audio": "a video without sound", **no_face}
    silent = _failures(extractor, write_video(tmp_path / "silent.mp4", frames, silence(2.0)))
    assert silent == {"speech": "silence: there is no sound in it", **no_face}
    for name, sound in (("tone.mp4", tone(2.0)), ("noise.mp4", noise(2.0))):
        assert set(_failures(extractor, write_video(tmp_path / name, frames, sound))) == {"speech", "face"}
    only_sound = _failures(extractor, write_audio(tmp_path / "a.wav", tone(2.0)))
    assert set(only_sound) == {"speech", "face"}
    assert only_sound["face"] == "sound without a picture"
    damaged = write_video(tmp_path / "damaged.mp4", frames)
    data = bytearray(damaged.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)  # the index is whole, the pictures are gone
    damaged.write_bytes(data)
    assert _failures(extractor, damaged)["face"] == "none of its pictures can be decoded"
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert _failures(extractor, tmp_path / "empty.mp4") == {"open": "the file is empty (zero bytes)"}


def test_a_face_that_comes_only_at_the_end_is_found(extractor: Extractor, tmp_path: Path) -> None:
    face = decode(SAMPLE, 1, sound=False).frames[0].image
    slides = [np.full_like(face, 128)] * 37
    talk = write_video(tmp_path / "talk.mp4", [*slides, face, face, face])  # of 8.0 s the last 0.6
    (result,) = extractor.extract([Job(1, Source(talk), "video", str(talk), Needs(face=True))])
    assert result.failures == ()
    assert result.face is not None
    assert 7.4 <= result.face.time < 8.0


def test_what_is_said_late_is_heard_as_in_drawing_and_not_beyond_a_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def loud(_: object, audio: np.ndarray) -> np.ndarray:
        windows = audio[: audio.size // WINDOW * WINDOW].reshape(-1, WINDOW)
        return (np.abs(windows).max(1) > 0.01).astype(np.float32)

    monkeypatch.setattr(VoiceActivity, "probabilities", loud)
    audio = Audio(max_seconds=2.0, clip_seconds=[1.0], min_speech=0.2)
    sound = np.concatenate([silence(7.0), tone(1.5), silence(3.0)])
    path = write_video(tmp_path / "late.mp4", grey_ramp(10), sound)
    extractor = Extractor(ExtractSettings(audio, Faces()))
    job = replace(_job(path), kind="sound", needs=Needs(speech=True))
    whole, early, late = extractor.extract(
        [replace(job, part=part) for part in (Part(), Part(0.0, 5.0), Part(6.0, 3.0))]
    )
    drawn = VoiceEncoder(audio, names=[]).encode(path).speech
    assert whole.speech is not None
    np.testing.assert_array_equal(decode_speech(whole.speech.sound), drawn.audio)
    assert whole.speech.start == drawn.start == pytest.approx(7.0, abs=0.2)
    assert (whole.speech.stream, whole.speech.channels) == (1, "1 of 1")  # the film is stream 0
    assert whole.facts is not None
    assert whole.facts.stream == 0
    assert dict(early.failures) == {"speech": "silence: there is no sound in it"}
    assert late.speech is not None
    assert late.speech.start == pytest.approx(7.0, abs=0.2)


def test_one_bad_file_does_not_harm_its_neighbours(extractor: Extractor, clips: list[Path], tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear Sir or Madam")
    alone = extractor.extract([_job(clips[0])])[0]
    bad, good = extractor.extract([_job(tmp_path / "letter.mp4"), _job(clips[0])])
    assert dict(bad.failures).keys() == {"open"}
    np.testing.assert_allclose(good.voices[VOICE], alone.voices[VOICE], atol=1e-6)


def test_real_clips_give_voice_and_face(extractor: Extractor, clips: list[Path]) -> None:
    results = [r for r in extractor.extract([_job(path) for path in clips]) if not r.failures]
    assert len(results) >= 2
    for result in results:
        assert result.face is not None
        assert np.linalg.norm(result.voices[VOICE]) == pytest.approx(1.0, abs=1e-3)
        speech_seconds, repeats = result.clips[6.0]
        assert 1.0 <= speech_seconds <= 6.0
        assert speech_seconds * repeats >= 6.0 - 1e-6
        assert result.face.identity.shape == (128,)
        assert 0 < result.face.quality <= 1
        assert 0 < result.face.coverage <= 1
    first, second = (r.face for r in results[:2])
    assert first is not None
    assert second is not None
    assert np.linalg.norm(first.identity - second.identity) > 0.3


def test_extraction_is_repeatable(extractor: Extractor, clips: list[Path]) -> None:
    one, two = (extractor.extract([_job(clips[0])])[0] for _ in range(2))
    assert one.face is not None
    assert two.face is not None
    np.testing.assert_array_equal(one.face.identity, two.face.identity)
    np.testing.assert_array_equal(one.voices[VOICE], two.voices[VOICE])


def test_a_second_crop_with_margins(clips: list[Path]) -> None:
    settings = replace(SETTINGS, faces=replace(SETTINGS.faces, box_crop=96))
    (result,) = Extractor(settings).extract([_job(clips[0])])
    assert result.face is not None
    assert result.face.box_webp is not None
    assert cv2.imdecode(np.frombuffer(result.face.box_webp, np.uint8), cv2.IMREAD_COLOR).shape == (96, 96, 3)


def test_a_face_that_is_not_where_it_was_found_is_not_replaced_by_another(extractor: Extractor, tmp_path: Path) -> None:
    """Earlier versions counted the times of broadcasts from midnight, or whenever their clock began."""
    path = write_video(tmp_path / "a.mp4", grey_ramp(10))
    stored = Stored(identity=np.zeros(128, np.float32), found=detected(), time=602.0)
    job = replace(_job(path), needs=Needs(identities=("arcface",)), stored=stored)
    extractor._read(file := _File(replace(job, stored=replace(stored, time=0.8))))
    assert file.image is not None
    for time in (30.0, 602.0):
        with pytest.raises(ItemError, match=rf"the frame of its face, at {time:.2f} s, is not there"):
            extractor._read(_File(replace(job, stored=replace(stored, time=time))))


def test_acoustic_features_and_attributes_of_a_real_clip(clips: list[Path]) -> None:
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed: pip install 'ds2f[acoustics]'")
    needs = Needs(speech=True, face=True, attributes=("ds2f-attributes",), acoustics=True)
    (result,) = Extractor(SETTINGS).extract([replace(_job(clips[0]), needs=needs)])
    assert result.failures == ()
    assert result.acoustics is not None
    assert 60 < result.acoustics["f0_median_hz"] < 400
    attributes = result.attributes["ds2f-attributes"]
    assert 0 < attributes.age < 100
    for distribution in (attributes.age_bins, attributes.gender, attributes.ethnicity):
        assert sum(distribution.values()) == pytest.approx(1.0, abs=1e-3)


def _run(dataset: Dataset, extractor: Extractor, plan: Plan) -> list[Job]:
    """One pass over what waits, in this process; returns the jobs that there were."""
    jobs = wanting(dataset, plan)
    for job in jobs:
        store(dataset, job, extractor.extract([job])[0], plan)
    return jobs


def test_a_new_length_or_setting_recomputes_only_its_own_rows(
    dataset: Dataset, clips: list[Path], shared_data: Path
) -> None:
    dataset.add_items(clips[0].parent, "video", [item_of(path, path.name) for path in clips[:2]], SplitRule())
    _run(dataset, Extractor(SETTINGS), plan_of(SETTINGS))
    before = dict(dataset.connection.execute("SELECT video_id, vector FROM voice_embeddings").fetchall())
    crops = dataset.connection.execute("SELECT rowid, webp FROM crops").fetchall()
    assert _run(dataset, Extractor(SETTINGS), plan_of(SETTINGS)) == []

    longer = replace(SETTINGS, audio=replace(SETTINGS.audio, clip_seconds=[6.0, 3.0]))
    jobs = _run(dataset, Extractor(longer), plan_of(longer))
    assert [job.needs for job in jobs] == [Needs(voices=((3.0, "campplus-frames"),))] * 2
    rows = dataset.connection.execute("SELECT video_id, seconds, vector FROM voice_embeddings").fetchall()
    assert len(rows) == 4
    assert {r[0]: r[2] for r in rows if r[1] == 6.0} == before
    short = {r[0]: np.frombuffer(r[2], np.float32) for r in rows if r[1] == 3.0}
    fresh = Extractor(longer).extract(
        [replace(_job(clips[0]), needs=Needs(speech=True, voices=((3.0, "campplus-frames"),)))]
    )
    np.testing.assert_array_equal(short[jobs[0].video_id], fresh[0].voices[3.0, "campplus-frames"])

    fewer = replace(longer, faces=replace(longer.faces, frames=2))
    jobs = _run(dataset, Extractor(fewer), plan_of(fewer))
    assert [(job.needs.speech, job.needs.face, job.needs.voices) for job in jobs] == [(False, True, ())] * 2
    assert len(dataset.pairs(seconds=3.0)) == 2
    assert len(dataset.connection.execute("SELECT 1 FROM crops").fetchall()) == len(crops)


def test_real_still_inside_a_tar(extractor: Extractor, shared_data: Path) -> None:
    from ds2f.corpora.scan import scan

    archive = shared_data / "faces" / "lfw.tar"
    results: list[Extracted] = []
    for still in islice(scan(archive, "still"), 3):
        source = Source(archive, still.offset, still.size)
        results += extractor.extract([Job(1, source, "still", still.path, Needs(face=True))])
    found = [result for result in results if not result.failures]
    assert len(found) >= 2
    for result in found:
        assert result.speech is None
        assert result.face is not None
        assert result.facts is not None
        assert (result.facts.width, result.facts.height) == (128, 128)
        x, y, w, h = result.face.detected.box
        assert 0 <= x + w / 2 <= 128, "the box is in pixels of the picture, not of its enlargement"
        assert 0 <= y + h / 2 <= 128


def test_a_sound_gives_its_voice_and_is_not_blamed_for_having_no_face(extractor: Extractor, tmp_path: Path) -> None:
    """Whole, in a tar, a channel, and a part of a longer one: the same speech gives the same voice."""
    spoken = decode(SAMPLE, 0).audio
    plain = tmp_path / "plain.wav"
    soundfile.write(plain, spoken, 16000, "FLOAT")
    pause = np.zeros(3 * 16000, np.float32)
    soundfile.write(tmp_path / "call.wav", np.stack([noise(len(spoken) / 16000), spoken], 1), 16000, "FLOAT")
    soundfile.write(tmp_path / "long.wav", np.concatenate([pause, spoken, pause]), 16000, "FLOAT")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(plain, "plain.wav")
    with tarfile.open(tmp_path / "a.tar") as tar:
        member = tar.getmembers()[0]
    needs = Needs(speech=True, voices=(VOICE,))
    seconds = len(spoken) / 16000
    jobs = [
        Job(1, Source(plain), "sound", "", needs),
        Job(2, Source(tmp_path / "a.tar", member.offset_data, member.size), "sound", "", needs),
        Job(3, Source(tmp_path / "call.wav"), "sound", "", needs, part=Part(channel=2)),
        Job(4, Source(tmp_path / "long.wav"), "sound", "", needs, part=Part(3.0, seconds)),
        Job(5, Source(plain), "sound", "", needs, part=Part(1.0, seconds)),
        Job(6, Source(plain), "sound", "", needs, part=Part(500.0, 1.0)),
    ]
    whole, inside, channel, part, outside, behind = extractor.extract(jobs)
    for result in (whole, inside, channel, part):
        assert result.failures == ()
        assert result.face is None
        assert float(result.voices[VOICE] @ whole.voices[VOICE]) > 0.999
    assert whole.speech is not None
    assert part.speech is not None
    assert part.speech.start == pytest.approx(whole.speech.start + 3.0, abs=0.05), "counted from the start of the file"
    assert dict(outside.failures)["audio"].startswith("the part ends at")
    assert dict(behind.failures)["audio"] == "the part begins at 500.0 s, after the sound has ended"


def test_a_part_of_a_video_is_timed_as_in_a_wav_made_from_it(extractor: Extractor, tmp_path: Path) -> None:
    """Manifests count so, where the sound of the video begins after its picture, too."""
    spoken = decode(SAMPLE, 0).audio
    soundfile.write(tmp_path / "plain.wav", spoken, 16000)
    film = Film([*grey_ramp(10)])
    late = write(tmp_path / "late.mkv", film, Sound(spoken, "flac", late=0.5))
    part, needs = Part(1.0, len(spoken) / 16000 - 1.0), Needs(speech=True, voices=(VOICE,))
    jobs = [Job(1, Source(path), "sound", "", needs, part=part) for path in (tmp_path / "plain.wav", late)]
    plain, video = extractor.extract(jobs)
    assert plain.failures == video.failures == ()
    assert plain.speech is not None
    assert video.speech is not None
    assert video.speech.start == pytest.approx(plain.speech.start, abs=0.001)
    assert float(plain.voices[VOICE] @ video.voices[VOICE]) > 0.9999


def test_what_is_embedded_is_what_opus_gives_back() -> None:
    """So an encoder added later gets what one present from the start got."""
    settings = replace(SETTINGS, audio=replace(SETTINGS.audio, store="opus"))
    extractor = Extractor(settings)
    job = replace(_job(SAMPLE), needs=Needs(speech=True, voices=(VOICE,)))
    (first,) = extractor.extract([job])
    assert first.speech is not None
    assert kind_of(first.speech.sound) == "opus"
    (later,) = extractor.extract([replace(job, needs=Needs(voices=(VOICE,)), stored=Stored(first.speech))])
    np.testing.assert_array_equal(later.voices[VOICE], first.voices[VOICE])
    (lossless,) = Extractor(SETTINGS).extract([job])
    assert 0.999 < float(first.voices[VOICE] @ lossless.voices[VOICE]) < 1
    assert plan_of(settings).speech_key != plan_of(SETTINGS).speech_key
