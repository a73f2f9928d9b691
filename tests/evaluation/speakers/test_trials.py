from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ds2f.errors import UserError
from ds2f.evaluation.speakers.trials import (
    Trial,
    read_scores,
    read_table,
    read_trials,
    write_scores,
    write_trials,
)

TRIALS = [Trial(True, "a/1.wav", "a/2.wav"), Trial(False, "a/1.wav", "b/1.wav")]


def test_a_trial_list_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trials.txt"
    path.write_text("1 a/1.wav a/2.wav\n\n0 a/1.wav b/1.wav\n")
    assert read_trials(path) == TRIALS
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
    saved, kaldi = tmp_path / "saved.txt", tmp_path / "kaldi.txt"
    saved.write_bytes(b"\xef\xbb\xbf1 a/1.wav a/2.wav\r\n0 a/1.wav b/1.wav\r\n")
    kaldi.write_text("a/1.wav a/2.wav target\na/1.wav b/1.wav nontarget\n")
    assert read_trials(saved) == read_trials(kaldi) == TRIALS


@pytest.mark.parametrize("form", ["voxceleb", "kaldi"])
def test_a_list_that_is_written_is_read_again(tmp_path: Path, form: str) -> None:
    write_trials(tmp_path / "t.txt", TRIALS, form)
    assert read_trials(tmp_path / "t.txt") == TRIALS


def test_scores_are_written_as_others_read_them_and_read_as_others_write_them(tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    write_scores(path, TRIALS, np.array([0.75, -0.1234567]))
    assert path.read_text() == "a/1.wav a/2.wav 0.750000 target\na/1.wav b/1.wav -0.123457 nontarget\n"
    np.testing.assert_array_equal(read_scores(path, TRIALS), [0.75, -0.123457])
    path.write_text("a/1.wav b/1.wav -3e-1\na/1.wav a/2.wav 2\n")
    np.testing.assert_array_equal(read_scores(path, TRIALS), [2, -0.3])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a/1.wav a/2.wav 1\n", "no score for 1 trials, such as a/1.wav b/1.wav"),
        ("a/1.wav a/2.wav high\n", "line 1: a score is"),
        ("a/1.wav a/2.wav nan\n", "line 1: a score is"),
        ("a/1.wav a/2.wav 1 same\n", "line 1: a score is"),
        ("a/1.wav a/2.wav 1 nontarget\n", "line 1: the list of trials calls this one target"),
        ("a/1.wav a/2.wav 1\na/1.wav a/2.wav 2\n", "line 2: .* have another score in an earlier line"),
    ],
)
def test_scores_that_do_not_fit_the_list_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(UserError, match=words):
        read_scores(tmp_path / "s.txt", TRIALS)


def test_tables_of_speakers(tmp_path: Path) -> None:
    path = tmp_path / "speakers.csv"
    path.write_text("path,source,speaker,sex\na.wav,x,1,male\nb.wav,x,2,F\n")
    assert read_table(path) == {"a.wav": ("1", "male"), "b.wav": ("2", "female")}
    path.write_text("a.wav 1\nb.wav 2\n")
    assert read_table(path) == {"a.wav": ("1", ""), "b.wav": ("2", "")}
    for text in ("", "speaker;path\n", "path,speaker\na.wav\n", "a b c\n"):
        path.write_text(text)
        with pytest.raises(UserError, match="is not a table of speakers"):
            read_table(path)
