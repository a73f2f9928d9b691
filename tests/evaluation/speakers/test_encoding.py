from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ds2f.config import Audio
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.evaluation.speakers.cohort import Wanted, read_cohort
from ds2f.evaluation.speakers.encoding import FILE, Condition, NamedEncoder, clips, encode_recordings
from ds2f.evaluation.speakers.people import speakers_of
from ds2f.io.media import decode
from ds2f.types import SAMPLE_RATE, Speech
from helpers import write_audio

from .conftest import Spectrum, path_of, voice

WHOLE = Condition(seconds=None, whole=True)
PATHS = [path_of(0, 0), path_of(1, 0)]


def heard_by(encoder: NamedEncoder) -> list[tuple[int, ...]]:
    assert isinstance(encoder.model, Spectrum)
    return encoder.model.heard


def test_crops_lie_where_voxceleb_trainer_lays_them() -> None:
    """numpy.linspace(0, audiosize − max_audio, num=num_eval), each cut down to a whole sample."""
    sound = np.arange(40_007, dtype=np.float32)
    found = clips(Speech(sound, 0.0, 2.5), Condition(seconds=1.0, crops=10))
    starts = np.linspace(0, 40_007 - 16_000, num=10)
    np.testing.assert_array_equal(found, [sound[int(s) : int(s) + 16_000] for s in starts])
    short = clips(Speech(sound[:5000], 0.0, 0.3), Condition(seconds=1.0, crops=3))
    assert short.shape == (3, 16_000)
    np.testing.assert_array_equal(short[0], np.resize(sound[:5000], 16_000), "too little is looped")


LONG = [Condition(seconds=s) for s in (20.0, 30.0)] + [Condition(seconds=90.0, whole=True), WHOLE]


@pytest.mark.parametrize("condition", LONG)
def test_clips_are_as_long_as_asked_for_though_the_settings_keep_less(
    condition: Condition, tmp_path: Path, encoder: NamedEncoder
) -> None:
    spoken = decode(samples() / "person-5.mp4", frames=0).audio
    pause = np.zeros(4 * SAMPLE_RATE, np.float32)
    write_audio(tmp_path / "long.wav", np.resize(np.concatenate([spoken, pause]), 120 * SAMPLE_RATE))
    audio = Audio(keep_seconds=24.0, max_seconds=60.0)
    found = encode_recordings(["long.wav"], tmp_path, [encoder], [condition], audio, tmp_path)
    ((_, size),) = heard_by(encoder)
    (heard,) = found.of.values()
    assert size == round((condition.seconds or 120) * SAMPLE_RATE)
    assert heard.seconds >= (condition.seconds or 120), "not looped"


def test_what_was_heard_is_not_heard_again(recordings: Path, tmp_path: Path, encoder: NamedEncoder) -> None:
    first = encode_recordings(PATHS, recordings, [encoder], [WHOLE], Audio(), tmp_path)
    assert len(heard_by(encoder)) == 2
    again = encode_recordings(PATHS, recordings, [encoder], [WHOLE], Audio(), tmp_path)
    assert len(heard_by(encoder)) == 2
    for key, heard in first.of.items():
        np.testing.assert_array_equal(again.of[key].vectors, heard.vectors)
        assert (again.of[key].seconds, again.of[key].snr) == (heard.seconds, heard.snr)
    encode_recordings(PATHS, recordings, [encoder], [WHOLE, Condition(seconds=0.5, whole=True)], Audio(), tmp_path)
    assert [shape[1] for shape in heard_by(encoder)[2:]] == [8000, 8000], "only what is new"
    newer = NamedEncoder(encoder.model, "spectrum", "newer weights")
    encode_recordings(PATHS, recordings, [newer], [WHOLE], Audio(), tmp_path)
    assert len(heard_by(encoder)) == 6


def test_a_run_that_was_killed_while_it_wrote_goes_on(recordings: Path, tmp_path: Path, encoder: NamedEncoder) -> None:
    encode_recordings(PATHS, recordings, [encoder], [WHOLE], Audio(), tmp_path)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes()[:-30])
    encode_recordings(PATHS, recordings, [encoder], [WHOLE], Audio(), tmp_path)
    assert len(heard_by(encoder)) == 3, "the last one, which was cut short"
    encode_recordings(PATHS, recordings, [encoder], [WHOLE], Audio(), tmp_path)
    assert len(heard_by(encoder)) == 3


def test_a_recording_that_changed_is_heard_anew(tmp_path: Path, encoder: NamedEncoder) -> None:
    write_audio(tmp_path / "a.wav", voice(0, 0))
    encode_recordings(["a.wav"], tmp_path, [encoder], [WHOLE], Audio(), tmp_path)
    write_audio(tmp_path / "a.wav", voice(1, 0, 1.5))
    encode_recordings(["a.wav"], tmp_path, [encoder], [WHOLE], Audio(), tmp_path)
    assert len(heard_by(encoder)) == 2


def test_codecs_are_heard_and_files_are_left_alone(recordings: Path, tmp_path: Path, encoder: NamedEncoder) -> None:
    before = (recordings / PATHS[0]).read_bytes()
    coded = Condition("telephone", None, whole=True)
    found = encode_recordings(PATHS[:1], recordings, [encoder], [WHOLE, coded], Audio(), tmp_path)
    clean, telephone = (found.of["spectrum", condition, PATHS[0]] for condition in (WHOLE, coded))
    assert clean.bandwidth > 7 > 4.2 > telephone.bandwidth
    assert (clean.vectors * telephone.vectors).sum() < 0.9
    assert (recordings / PATHS[0]).read_bytes() == before


def test_what_cannot_be_used_is_named_and_tried_again(tmp_path: Path, encoder: NamedEncoder) -> None:
    write_audio(tmp_path / "silent.wav", np.zeros(SAMPLE_RATE, np.float32))
    (tmp_path / "letter.wav").write_text("Dear Sir or Madam")
    paths = ["silent.wav", "letter.wav", "none.wav"]
    conditions = [WHOLE, Condition(seconds=1.0)]
    found = encode_recordings(paths, tmp_path, [encoder], conditions, Audio(), tmp_path)
    assert not found.of
    said = {path: {found.refused["spectrum", c, path] for c in conditions} for path in paths}
    assert said["silent.wav"] == {"silence: there is no sound in it"}
    assert "the file does not exist" in next(iter(said["none.wav"]))
    assert "not a media file" in next(iter(said["letter.wav"]))
    write_audio(tmp_path / "none.wav", voice(0, 0))
    assert encode_recordings(paths, tmp_path, [encoder], [WHOLE], Audio(), tmp_path).of


def test_a_cohort_leaves_out_who_speaks_in_the_trials(recordings: Path, tmp_path: Path, encoder: NamedEncoder) -> None:
    wanted = Wanted(recordings, [encoder], WHOLE, Audio(), tmp_path)
    source = tmp_path / "cohort.txt"
    source.write_text("".join(f"{path_of(s, t)}\n" for s in range(14) for t in (0, 1)))
    of_trials = set(speakers_of([path_of(0, 2), path_of(3, 2)], recordings).values())
    found = read_cohort(source, wanted, of_trials)
    assert found.size == len(found.means["spectrum"]) == 12
    assert found.left_out == ("voxceleb/id10001", "voxceleb/id10004")
    of_trials = set(speakers_of([path_of(s, 2) for s in range(6)], recordings).values())
    with pytest.raises(
        UserError, match="has 8 speakers besides 6 who are also in the trials; adaptive s-norm needs 10"
    ):
        read_cohort(source, wanted, of_trials)


def test_a_cohort_says_who_speaks_or_what_is_wrong(recordings: Path, tmp_path: Path, encoder: NamedEncoder) -> None:
    wanted = Wanted(recordings, [encoder], WHOLE, Audio(), tmp_path)
    source = tmp_path / "cohort.txt"
    source.write_text("".join(f"{path_of(s, 0)} name{s % 11}\n" for s in range(22)))
    assert read_cohort(source, wanted, set()).size == 11
    source.write_text(source.read_text() + "none.wav name0\n")
    found = read_cohort(source, wanted, set())
    assert found.size == 11
    assert found.refused == {"none.wav": "the file does not exist; check the path"}
    source.write_text("a b c\n")
    with pytest.raises(UserError, match="a line of a cohort is `path`, or `path speaker`, not 'a b c'"):
        read_cohort(source, wanted, set())
    with pytest.raises(UserError, match=r"cohort .* cannot be read"):
        read_cohort(tmp_path / "none", wanted, set())
