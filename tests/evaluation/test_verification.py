from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from ds2f.cli import main
from ds2f.config import Audio
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.evaluation.verification import (
    Trial,
    bootstrap_intervals,
    equal_error_rate,
    error_rates,
    min_dcf,
    read_trials,
    roc_auc,
    verify,
    write_scores,
)
from ds2f.io.media import decode
from helpers import write_audio


def _scores(seed: int = 0, apart: float = 1.5, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    same = rng.random(count) < 0.4
    return rng.normal(size=count) + apart * same, same


def test_error_rates_are_those_of_scikit_learn() -> None:
    scores, same = _scores()
    scores = np.round(scores, 1)  # ties
    alarm, miss = error_rates(scores, same)
    expected_alarm, expected_hit, _ = roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_allclose(alarm, expected_alarm)
    np.testing.assert_allclose(1 - miss, expected_hit)


def test_auc_is_that_of_scikit_learn_with_ties_and_counts() -> None:
    rng = np.random.default_rng(1)
    same = rng.integers(0, 2, 500).astype(bool)
    scores = np.round(rng.normal(size=500) + same, 1)
    assert roc_auc(scores, same) == pytest.approx(roc_auc_score(same, scores), abs=1e-9)
    counts = rng.integers(0, 4, 500)
    assert roc_auc(scores, same, counts) == pytest.approx(roc_auc_score(same, scores, sample_weight=counts), abs=1e-9)


def test_equal_error_rate_is_where_the_curve_of_scikit_learn_crosses() -> None:
    scores, same = _scores()
    alarm, hit, _ = roc_curve(same, np.round(scores, 1), drop_intermediate=False)
    crossing = np.interp(0, alarm - (1 - hit), alarm)
    assert equal_error_rate(np.round(scores, 1), same) == pytest.approx(crossing, abs=1e-9)


def test_equal_error_rate_of_known_answers() -> None:
    same = np.array([True, True, False, False])
    assert equal_error_rate(np.array([4.0, 3.0, 2.0, 1.0]), same) == 0.0
    assert equal_error_rate(np.array([1.0, 2.0, 3.0, 4.0]), same) == 1.0
    assert equal_error_rate(np.array([4.0, 1.0, 3.0, 2.0]), same) == pytest.approx(0.5)
    scores, same = _scores(apart=2.0, count=200_000)
    assert equal_error_rate(scores, same) == pytest.approx(0.1587, abs=0.005), "Φ(−1) for Gaussians 2 apart"
    assert equal_error_rate(scores * 0, same) == pytest.approx(0.5)


def test_no_number_depends_on_the_order_of_tied_scores() -> None:
    scores, same = _scores()
    scores = np.round(scores)  # all tied with others
    other = np.random.default_rng(1).permutation(len(scores))
    right_first, wrong_first = np.argsort(~same, kind="stable"), np.argsort(same, kind="stable")
    for rows in (other, right_first, wrong_first):
        assert equal_error_rate(scores[rows], same[rows]) == equal_error_rate(scores, same)
        assert min_dcf(scores[rows], same[rows], 0.05) == min_dcf(scores, same, 0.05)


def test_labels_may_be_ones_and_zeros() -> None:
    scores, same = _scores()
    assert equal_error_rate(scores, same.astype(int)) == equal_error_rate(scores, same)
    assert min_dcf(scores, same.astype(float), 0.01) == min_dcf(scores, same, 0.01)


def test_scores_that_say_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        equal_error_rate(np.array([np.nan, 0.0]), np.array([True, False]))
    with pytest.raises(ValueError, match="pairs of one person and pairs of two"):
        min_dcf(np.array([1.0, 0.0]), np.array([True, True]), 0.01)


def test_counts_are_repetitions() -> None:
    scores, same = _scores(count=50)
    counts = np.random.default_rng(1).integers(0, 4, 50)
    repeated = error_rates(np.repeat(scores, counts), np.repeat(same, counts))
    for mine, expected in zip(error_rates(scores, same, counts), repeated, strict=True):
        assert set(np.round(mine, 12)) == set(np.round(expected, 12))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Gaussians 2 apart: the equal error rate is Φ(−1). 60 lists of 400 trials, 95 % intervals."""
    found = [bootstrap_intervals(*_scores(seed, 2.0), resamples=100)[0] for seed in range(60)]
    covered = sum(low <= 0.1587 <= high for low, high in found)
    assert 51 <= covered <= 60
    assert np.mean([high - low for low, high in found]) == pytest.approx(0.075, abs=0.02), "about 4 standard errors"


def test_detection_cost_of_known_answers() -> None:
    same = np.array([True] * 10 + [False] * 90)
    assert min_dcf(np.where(same, 1.0, 0.0), same, 0.01) == 0.0
    assert min_dcf(np.zeros(100), same, 0.01) == pytest.approx(1.0), "knowing nothing costs as much as always saying no"
    one_missed = np.where(same, 1.0, 0.0)
    one_missed[0] = -1.0
    assert min_dcf(one_missed, same, 0.05) == pytest.approx(0.1)
    # NIST 2008: p = 0.01, a miss costs 10; always saying no costs 0.1, the one miss of ten a tenth of that.
    assert min_dcf(one_missed, same, 0.01, c_miss=10) == pytest.approx(0.1)
    # Where a false alarm costs 100 and a miss 1 at p = 0.5, none of ten wrong scores above a right one may pass.
    one_alarm = np.where(same, 1.0, 0.0)
    one_alarm[99] = 2.0
    assert min_dcf(one_alarm, same, 0.5, c_fa=100) == pytest.approx(1.0)
    assert min_dcf(one_alarm, same, 0.5) == pytest.approx(1 / 90)


def test_a_trial_list_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trials.txt"
    path.write_text("1 a/1.wav a/2.wav\n\n0 a/1.wav b/1.wav\n")
    assert read_trials(path) == [Trial(True, "a/1.wav", "a/2.wav"), Trial(False, "a/1.wav", "b/1.wav")]
    for text, words in (
        ("1 a b\n2 a b\n", "line 2"),
        ("1 a\n", "line 1"),
        ("1 a b\n", "both kinds"),
        ("", "both kinds"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            read_trials(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_trials(tmp_path / "none.txt")


def test_a_list_as_notepad_saves_it_and_a_list_of_kaldi_say_the_same(tmp_path: Path) -> None:
    plain, saved, kaldi = tmp_path / "plain.txt", tmp_path / "saved.txt", tmp_path / "kaldi.txt"
    plain.write_text("1 a/1.wav a/2.wav\n0 a/1.wav b/1.wav\n")
    saved.write_bytes(b"\xef\xbb\xbf1 a/1.wav a/2.wav\r\n0 a/1.wav b/1.wav\r\n")
    kaldi.write_text("a/1.wav a/2.wav target\na/1.wav b/1.wav nontarget\n")
    assert read_trials(saved) == read_trials(plain) == read_trials(kaldi)


def test_scores_are_written_as_others_read_them(tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    write_scores(path, [Trial(True, "a", "b"), Trial(False, "a", "c")], np.array([0.75, -0.1234567]))
    assert path.read_text() == "a b 0.750000 target\na c -0.123457 nontarget\n"


def test_real_speakers(tmp_path: Path, shared_data: Path) -> None:
    from ds2f.voice.resemblyzer import Resemblyzer

    root = shared_data / "speech" / "librispeech"
    speakers = sorted(p for p in root.iterdir() if len(list(p.glob("*.opus"))) >= 2)[:5]
    files = [[str(f.relative_to(root)) for f in sorted(s.glob("*.opus"))[:2]] for s in speakers]
    wanted = [Trial(True, *pair) for pair in files]
    wanted += [Trial(False, a[0], b[1]) for a in files for b in files if a is not b]
    result = verify(
        [*wanted, Trial(True, files[0][0], "none.opus")], root, Resemblyzer(), Audio(), tmp_path / "out", 50
    )
    assert result.eer < 0.2
    assert (result.trials, result.same, result.left_out) == (25, 5, 1)
    assert result.refused == {"none.opus": "the file does not exist; check the path"}
    assert result.eer_interval[0] <= result.eer <= result.eer_interval[1]
    assert json.loads((tmp_path / "out" / "verification.json").read_text())["eer"] == result.eer
    assert (tmp_path / "out" / "roc.png").stat().st_size > 5000


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Synthetic voices from the box, each cut in two: one half is the same speaker as the other."""
    monkeypatch.chdir(tmp_path)
    people = sorted(samples().glob("*.mp4"))[:3]
    for person in people:
        sound = decode(person, frames=0).audio
        for half, audio in enumerate(np.array_split(sound, 2)):
            write_audio(tmp_path / f"{person.stem}-{half}.wav", audio)
    (tmp_path / "broken.wav").write_text("Dear Sir or Madam")
    names = [person.stem for person in people]
    lines = [f"1 {a}-0.wav {a}-1.wav" for a in names] + [
        f"0 {a}-0.wav {b}-1.wav" for a in names for b in names if a != b
    ]
    (tmp_path / "trials.txt").write_text("\n".join([*lines, "0 broken.wav none.wav"]))
    assert main(["verify", "trials.txt", "--encoder", "resemblyzer", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "resemblyzer: 9 trials, 1 left out" in said.out
    assert "broken.wav: not a media file" in said.err
    assert "none.wav: the file does not exist" in said.err
    assert json.loads((tmp_path / "verification" / "verification.json").read_text())["eer"] < 0.35
    (tmp_path / "trials.txt").write_text(lines[0] + "\nsame a b\n")
    assert main(["verify", "trials.txt"]) == 2
    assert "trials.txt, line 2: a trial is `1 path path`" in capsys.readouterr().err


def test_nothing_that_can_be_used(tmp_path: Path) -> None:
    from ds2f.voice.resemblyzer import Resemblyzer

    with pytest.raises(UserError, match="Too few recordings can be used: 2 were refused"):
        verify([Trial(True, "a", "b"), Trial(False, "b", "a")], tmp_path, Resemblyzer(), Audio(), tmp_path)
