"""A whole list by made-up encoders, and the command by a real one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.cli import main
from ds2f.config import Audio
from ds2f.dataset.speakers import speaker_hash
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.evaluation.speakers.encoding import NamedEncoder
from ds2f.evaluation.speakers.records import Options
from ds2f.evaluation.speakers.run import verify
from ds2f.evaluation.speakers.trials import Trial, read_trials, write_trials
from ds2f.io.media import decode
from helpers import write_audio

from .conftest import Spectrum, path_of

OPTIONS = Options(seconds=(), whole=True, bootstrap=10)


def test_two_systems_do_not_share_a_file_of_scores(recordings: Path, tmp_path: Path, encoder: NamedEncoder) -> None:
    trials = trials_of(range(2))
    scores = np.zeros(len(trials))
    for others in ({encoder.name: scores}, {"a b": scores, "a-b": scores}, {f"{encoder.name}, calibrated": scores}):
        with pytest.raises(UserError, match="would write one file of scores; rename one of them"):
            verify(trials, recordings, [encoder], Audio(), tmp_path / "out", OPTIONS, others=others)
    assert not (tmp_path / "out").exists()


def trials_of(speakers: range) -> list[Trial]:
    same = [Trial(True, path_of(s, a), path_of(s, b)) for s in speakers for a in range(3) for b in range(a)]
    others = [Trial(False, path_of(s, 0), path_of(t, 1)) for s in speakers for t in speakers if s != t]
    return same + others


def test_all_that_the_field_does_to_a_list(recordings: Path, tmp_path: Path) -> None:
    trials, out = trials_of(range(12)), tmp_path / "out"
    cohort = tmp_path / "cohort.txt"
    cohort.write_text("".join(f"{path_of(s, 0)}\n" for s in range(11, 24)))
    encoders = [NamedEncoder(Spectrum(), "spectrum"), NamedEncoder(Spectrum("other"), "other")]
    options = replace(OPTIONS, codecs=("telephone",), cohort=cohort, calibrate="folds")
    given = {"theirs": np.array([float(t.same) for t in trials])}
    found = verify(trials, recordings, encoders, Audio(), out, options, others=given)
    assert (found.trials, found.same, found.left_out, found.speakers) == (len(trials), 36, 0, 12)
    assert (found.told_by, found.cohort, found.cohort_left_out) == ("layout", 12, ("voxceleb/id10012",))
    steps = ["plain", "s-norm", "calibrated", "calibrated, quality"]
    names = [*((n, s) for n in ("spectrum", "other") for s in steps), ("fusion", "calibrated, quality")]
    conditions = ["clean", "telephone", "clean / telephone"]
    by_name = {(s.name, s.steps, s.condition): s for s in found.systems}
    assert set(by_name) == {(*n, c) for n in names for c in conditions} | {("theirs", "plain", "given")}
    plain, _, calibrated, _ = (by_name["spectrum", step, "clean"] for step in steps)
    assert plain.rates.eer.value < 0.3
    assert calibrated.min_cllr <= calibrated.cllr
    cost = {step: sum(by_name["spectrum", step, c].cllr for c in conditions) for step in steps}
    assert cost["calibrated"] < cost["plain"]
    assert by_name["spectrum", "plain", "clean / telephone"].rates.eer.value > plain.rates.eer.value
    assert by_name["theirs", "plain", "given"].rates.eer.value == 0.0
    assert [g.name for g in plain.groups if g.by == "gender"] == ["female", "male"]
    assert json.loads((out / "verification.json").read_text())["systems"][0]["rates"]["trials"] == len(trials)
    assert read_trials(out / "trials.kaldi.txt") == read_trials(out / "trials.voxceleb.txt") == trials
    lines = (out / "scores" / plain.scores).read_text().splitlines()
    assert lines[0].split()[:2] == [trials[0].first, trials[0].second]
    assert len(list((out / "scores").iterdir())) == len(found.systems)
    assert (out / "det.png").stat().st_size > 10_000


def test_a_calibration_by_another_list_uses_other_speakers_alone(
    recordings: Path, tmp_path: Path, encoder: NamedEncoder
) -> None:
    trials, development = trials_of(range(8)), trials_of(range(6, 18))
    options = replace(OPTIONS, calibrate="dev.txt")
    found = verify(trials, recordings, [encoder], Audio(), tmp_path, options, development)
    kept = [t for t in development if not {t.first[:7], t.second[:7]} & {"id10007", "id10008"}]
    assert found.calibrated_on == len(kept)
    assert found.trials == len(trials)
    with pytest.raises(UserError, match="The list to calibrate on lacks trials of one kind"):
        verify(trials, recordings, [encoder], Audio(), tmp_path, options, trials)
    with pytest.raises(UserError, match="2 speakers are too few to calibrate each fold of them on the others"):
        verify(trials_of(range(2)), recordings, [encoder], Audio(), tmp_path, replace(OPTIONS, calibrate="folds"))


def test_crops_and_lengths(recordings: Path, tmp_path: Path, encoder: NamedEncoder) -> None:
    options = replace(OPTIONS, seconds=(0.3, 0.6), crops=4)
    found = verify(trials_of(range(6)), recordings, [encoder], Audio(), tmp_path, options)
    assert found.scoring.startswith(
        "minus the mean distance of all pairs of crops; 4 crops of 0.3 s or 0.6 s of the whole"
    )
    assert [s.condition for s in found.systems] == ["clean, 0.3 s", "clean, 0.6 s"]
    scores = (tmp_path / "scores" / found.systems[0].scores).read_text().split()[2::4]
    assert all(-2 <= float(score) <= 0 for score in scores)


def test_training_speakers_are_refused_before_anything_is_heard(recordings: Path, tmp_path: Path) -> None:
    encoder = NamedEncoder(Spectrum(trained_on=frozenset({speaker_hash("voxceleb", "id10003")})), "spectrum")
    with pytest.raises(UserError, match="was trained on 1 of the 6 speakers"):
        verify(trials_of(range(6)), recordings, [encoder], Audio(), tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()
    found = verify(
        trials_of(range(6)), recordings, [encoder], Audio(), tmp_path / "out", replace(OPTIONS, allow_leak=True)
    )
    assert found.trained_on == {"spectrum": ("voxceleb/id10003",)}


def test_nothing_that_can_be_used(tmp_path: Path, encoder: NamedEncoder) -> None:
    trials = [Trial(True, "a", "b"), Trial(False, "b", "c")]
    with pytest.raises(UserError, match="Too few recordings can be used: 3 were refused, such as a: the file does not"):
        verify(trials, tmp_path, [encoder], Audio(), tmp_path, OPTIONS)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Synthetic voices from the box, each cut in two: one half is the same speaker as the other."""
    monkeypatch.chdir(tmp_path)
    people = sorted(samples().glob("*.mp4"))[:2]
    for person in people:
        sound = decode(person, frames=0).audio
        (tmp_path / person.stem).mkdir()
        for half, audio in enumerate(np.array_split(sound, 2)):
            write_audio(tmp_path / person.stem / f"{half}.wav", audio)
    (tmp_path / "broken.wav").write_text("Dear Sir or Madam")
    names = [person.stem for person in people]
    trials = [Trial(True, f"{a}/0.wav", f"{a}/1.wav") for a in names]
    trials += [Trial(False, f"{a}/0.wav", f"{b}/1.wav") for a in names for b in names if a != b]
    write_trials(tmp_path / "trials.txt", [*trials, Trial(False, "broken.wav", "none.wav")])
    (tmp_path / "theirs.txt").write_text("".join(f"{t.first} {t.second} {int(t.same)}\n" for t in trials))
    assert main(["verify", "trials.txt", "--encoder", "campplus", "--device", "cpu", "--codec", "telephone"]) == 0
    said = capsys.readouterr()
    assert "4 trials, 2 of one speaker; 2 speakers, by their folders; 1 left out. Cosine; 6 s of speech" in said.out
    assert re.search(r"clean / telephone: *\n  campplus +\d", said.out)
    assert "broken.wav: not a media file" in said.err
    assert "none.wav: the file does not exist" in said.err
    found = json.loads((tmp_path / "verification" / "verification.json").read_text())
    assert found["systems"][0]["rates"]["eer"]["value"] < 0.35
    write_trials(tmp_path / "trials.txt", trials)
    assert main(["verify", "trials.txt", "--scores", "theirs.txt", "--out", "beside"]) == 0
    assert re.search(r"theirs +0.0 \[", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--codec", "fax"], "There is no codec 'fax'"),
        (["--seconds", "2,x"], "must be seconds, at least 0.1"),
        (["--whole", "--crops", "3"], "need a length; give --seconds too"),
        (["--encoder", "campplus", "--encoder", "campplus"], "An encoder is named twice"),
        (["--cohort", "none.txt"], "The cohort none.txt cannot be read"),
        (["--calibrate", "none.txt"], "trial list none.txt cannot be read"),
        (["--scores", "none.txt"], "file of scores none.txt cannot be read"),
        (["--speakers", "none.txt"], "table of speakers none.txt cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    options: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trials.txt").write_text("1 a/1.wav a/2.wav\n0 a/1.wav b/1.wav\n")
    try:
        code = main(["verify", "trials.txt", "--device", "cpu", *options])
    except SystemExit as stopped:  # argparse
        code = int(stopped.code or 0)
    assert code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    assert "Traceback" not in said
