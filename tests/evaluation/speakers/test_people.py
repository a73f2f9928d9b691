from __future__ import annotations

from pathlib import Path

import pytest

from ds2f.dataset.speakers import speaker_hash
from ds2f.errors import UserError
from ds2f.evaluation.speakers.encoding import NamedEncoder
from ds2f.evaluation.speakers.leaks import refuse_trained, trained_on
from ds2f.evaluation.speakers.people import CORPORA, FOLDERS, LIST, TABLE, who_speaks
from ds2f.evaluation.speakers.trials import Trial

from .conftest import Spectrum, path_of


def test_a_known_layout_says_who_speaks_and_its_tables_the_gender(recordings: Path) -> None:
    trials = [Trial(True, path_of(0, 0), path_of(0, 1)), Trial(False, path_of(0, 0), path_of(1, 0))]
    found = who_speaks(trials, recordings)
    assert found.source == CORPORA
    assert found.of[path_of(1, 0)].name == "voxceleb/id10002"
    assert [found.of[path_of(s, 0)].gender for s in (0, 1)] == ["male", "female"]
    assert found.of[path_of(0, 0)].hash == speaker_hash("voxceleb", "id10001")


def test_folders_say_who_speaks_where_nothing_else_does(tmp_path: Path) -> None:
    trials = [Trial(True, "anna/1.wav", "anna/2.wav"), Trial(False, "anna/1.wav", "ben/1.wav")]
    found = who_speaks(trials, tmp_path)
    assert found.source == FOLDERS
    assert found.number(["anna/1.wav", "ben/1.wav", "anna/2.wav"]) == {"anna/1.wav": 0, "ben/1.wav": 1, "anna/2.wav": 0}
    assert found.of["anna/1.wav"].hash == speaker_hash("folder", "anna")


def test_where_folders_contradict_the_list_its_own_pairs_tie_recordings_together(tmp_path: Path) -> None:
    trials = [Trial(True, "x/1.wav", "y/1.wav"), Trial(True, "y/1.wav", "z/1.wav"), Trial(False, "x/1.wav", "x/2.wav")]
    found = who_speaks(trials, tmp_path)
    assert found.source == LIST
    assert len({found.of[p].name for p in ("x/1.wav", "y/1.wav", "z/1.wav")}) == 1
    assert found.of["x/2.wav"].name != found.of["x/1.wav"].name


@pytest.mark.parametrize(
    "others",
    [
        [Trial(True, "x/1.wav", "x/2.wav")],
        [Trial(True, "x/2.wav", "x/1.wav")],
        [Trial(True, "x/1.wav", "y/1.wav"), Trial(True, "y/1.wav", "x/2.wav")],
    ],
)
def test_trials_that_contradict_each_other_are_refused(tmp_path: Path, others: list[Trial]) -> None:
    with pytest.raises(UserError, match=r"contradict each other on x/1\.wav and x/2\.wav"):
        who_speaks([*others, Trial(False, "x/1.wav", "x/2.wav")], tmp_path)


def test_a_table_must_agree_with_the_list(tmp_path: Path) -> None:
    trials = [Trial(True, "1.wav", "2.wav"), Trial(False, "1.wav", "3.wav")]
    table = tmp_path / "utt2spk"
    table.write_text("1.wav a\n2.wav a\n3.wav b\n")
    assert who_speaks(trials, tmp_path, table).source == TABLE
    table.write_text("1.wav a\n2.wav b\n3.wav b\n")
    with pytest.raises(UserError, match=r"disagree on 1.wav and 2.wav: the list says one speaker"):
        who_speaks(trials, tmp_path, table)
    table.write_text("1.wav a\n2.wav a\n")
    with pytest.raises(UserError, match=r"does not say who speaks in 1 recordings, such as 3.wav"):
        who_speaks(trials, tmp_path, table)


def test_trials_of_people_an_encoder_was_trained_on_are_refused_or_named(recordings: Path) -> None:
    trials = [Trial(True, path_of(0, 0), path_of(0, 1)), Trial(False, path_of(0, 0), path_of(1, 0))]
    speakers = set(who_speaks(trials, recordings).of.values())
    encoders = [
        NamedEncoder(Spectrum(trained_on=frozenset({speaker_hash("voxceleb", "id10002")})), "s"),
        NamedEncoder(Spectrum("other"), "o"),
    ]
    with pytest.raises(
        UserError, match=r"spectrum was trained on 1 of the 2 speakers of the trials \(voxceleb/id10002\)"
    ):
        refuse_trained(encoders, speakers, allow=False)
    assert refuse_trained(encoders, speakers, allow=True) == ({"spectrum": ("voxceleb/id10002",)}, {})


def test_a_folder_of_the_same_name_is_a_hint_and_no_refusal(tmp_path: Path) -> None:
    trials = [Trial(True, "24/1.wav", "24/2.wav"), Trial(False, "24/1.wav", "25/1.wav")]
    speakers = set(who_speaks(trials, tmp_path).of.values())
    encoders = [NamedEncoder(Spectrum(trained_on=frozenset({speaker_hash("folder", "elsewhere/24")})), "s")]
    certain, perhaps = refuse_trained(encoders, speakers, allow=False)
    assert certain == {}
    assert perhaps == {"spectrum": ("folder/24",)}
    assert trained_on(encoders, ()) == ({}, {})


def test_whoever_was_heard_without_a_name_is_a_hint_and_no_refusal(recordings: Path) -> None:
    trials = [Trial(True, path_of(0, 0), path_of(0, 1)), Trial(False, path_of(0, 0), path_of(1, 0))]
    speakers = set(who_speaks(trials, recordings).of.values())
    heard = frozenset({speaker_hash("voxceleb", "id10002")})
    encoders = [NamedEncoder(Spectrum(heard_without_names=heard), "s")]
    assert refuse_trained(encoders, speakers, allow=False) == ({}, {"spectrum": ("voxceleb/id10002",)})
