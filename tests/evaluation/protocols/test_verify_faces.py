"""`ds2f verify-faces` as a user meets it, on a small stand-in for VoxCeleb1 and MAV-Celeb."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ds2f.cli import main
from ds2f.config import Audio, Config
from ds2f.dataset import Dataset
from ds2f.dataset.plan import waiting
from ds2f.evaluation.match import Matcher
from ds2f.evaluation.protocols import points
from ds2f.evaluation.protocols.lists import Found
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import plan_of
from ds2f.models import folders, store
from helpers import picture, silence, write_audio
from stand_in import PEOPLE, matching_list, mav_celeb_test, pins_list, show, speak, voxceleb1

FOUR = PEOPLE[:4]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VoxCeleb1 of four people; one face is a picture of nothing, and one voice says nothing."""
    root = tmp_path_factory.mktemp("voxceleb1")
    voxceleb1(root, FOUR)
    picture(root / "unzippedFaces" / FOUR[2].name / "1.6" / FOUR[2].video(2) / "0000025.jpg", size=224)
    write_audio(root / "wav" / FOUR[3].voxceleb1 / FOUR[3].video(2) / "00001.wav", silence(3.0))
    return root


@pytest.fixture(scope="module")
def mav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FAME's test set of three people in two languages."""
    root = tmp_path_factory.mktemp("mav-celeb")
    mav_celeb_test(root, PEOPLE[:3], ("English", "Urdu"))
    return root


@pytest.fixture(scope="module")
def out(corpus: Path, mav: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every file of both corpora is embedded: what a run that was stopped at its end leaves."""
    folder = tmp_path_factory.mktemp("scores")
    places = [(root, str(file.relative_to(root))) for root in (corpus, mav) for file in sorted(root.rglob("*.*"))]
    found = Found({("", place): (root, place) for root, place in places if place.endswith((".wav", ".jpg"))})
    points._enter(folder / points.DATABASE, found)
    as_match = Config(audio=Audio(precision="float32"))  # which hears so on every processor
    settings = points._settings(store.load_alignment(folders.shipped()), as_match)
    extract_missing(folder / points.DATABASE, settings)
    return folder


def run(*arguments: str | Path, out: Path) -> int:
    return main(["verify-faces", *map(str, arguments), "--out", str(out), "--workers", "1"])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path, out: Path) -> str:
    assert run(*arguments, out=out) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "Traceback" not in said
    return said


def test_lists_of_learnable_pins(corpus: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = pins_list(tmp_path / "veriflist_test_random_unseenunheard.txt", FOUR)
    assert run(pairs, "--protocol", "pins", "--root", corpus, out=out) == 1  # two files could not be used
    said = capsys.readouterr()
    assert "0000025.jpg: no face found" in said.err
    assert "0000001.wav: silence" in said.err
    assert "identifies nobody" in said.err
    found = json.loads((out / "verification.json").read_text())
    (result,) = found["lists"]
    assert (result["criterion"], result["people"], result["trials"], result["same"]) == (
        "random",
        "unseenunheard",
        16,
        8,
    )
    assert result["even"] == 4  # a voice and a face that could not be used, in a right and a wrong pair each
    assert result["auc"]["low"] <= result["auc"]["value"] <= result["auc"]["high"]
    assert [each["convention"]["name"] for each in result["detection"]] == ["ds2f", "voxceleb_trainer", "WeSpeaker"]
    assert found["models"] == {"": folders.digest(folders.shipped(), "alignment")}

    lines = [line.split() for line in (out / result["scores"]).read_text().splitlines()]
    scores = {(voice, face): float(score) for voice, face, score, _ in lines}
    assert {kind for *_, kind in lines} == {"target", "nontarget"}
    assert sum(score == 0 for score in scores.values()) == 4  # log-odds of an even guess
    voice = corpus / "wav" / FOUR[0].voxceleb1 / FOUR[0].video(1) / "00001.wav"
    face = corpus / "unzippedFaces" / FOUR[0].name / "1.6" / FOUR[0].video(2) / "0000025.jpg"
    fits = Matcher().match(voice, [face]).faces[0].fits
    listed = scores[f"{FOUR[0].name}/{FOUR[0].video(1)}_0000001.wav", f"{FOUR[0].name}/{FOUR[0].video(2)}/0000025.jpg"]
    assert 1 / (1 + np.exp(-listed)) == pytest.approx(fits, abs=1e-4)


def test_a_root_inside_another_and_one_by_a_detour_name_the_same_files(corpus: Path, out: Path, tmp_path: Path) -> None:
    pairs = pins_list(tmp_path / "veriflist_test_random_unseenunheard.txt", FOUR)
    roots = ("--root", corpus / "wav", "--root", corpus / "wav" / ".." / "unzippedFaces")
    assert run(pairs, "--protocol", "pins", *roots, out=out) == 1
    with Dataset(out / points.DATABASE) as dataset:
        assert dataset.connection.execute("SELECT count(*) FROM videos").fetchone()[0] == 16 + 12


def test_what_is_done_is_not_done_again(corpus: Path, out: Path, tmp_path: Path) -> None:
    """Lists of files that are there already ask for nothing."""
    right = matching_list(tmp_path / "matching_v2f_U.csv", FOUR, ways=3)
    back = matching_list(tmp_path / "matching_f2v_U.csv", FOUR, ways=2, faces=False)
    as_match = Config(audio=Audio(precision="float32"))  # which hears so on every processor
    settings = points._settings(store.load_alignment(folders.shipped()), as_match)
    with Dataset(out / points.DATABASE) as dataset:
        assert waiting(dataset, plan_of(settings)) == []
        files = dataset.connection.execute("SELECT count(*) FROM videos").fetchone()[0]
    assert files == 16 + 12
    assert run(right, back, "--protocol", "matching", "--root", corpus, out=out) == 1
    voices, faces = json.loads((out / "verification.json").read_text())["lists"]
    assert (voices["probes"], voices["ways"], voices["trials"], voices["even"]) == ("voice", 3, 4, 3)
    assert (faces["probes"], faces["ways"], faces["trials"], faces["even"]) == ("face", 2, 4, 2)
    assert 0 <= voices["right"]["value"] <= 1
    with Dataset(out / points.DATABASE) as dataset:
        assert dataset.connection.execute("SELECT count(*) FROM videos").fetchone()[0] == files


def test_files_that_are_not_there(corpus: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = pins_list(tmp_path / "veriflist_test_G_seenheard.txt", PEOPLE[:6])
    said = refused(capsys, pairs, "--protocol", "pins", "--root", corpus, out=out)
    assert "8 of 24 files in the list are not under" in said
    assert f"{PEOPLE[4].name}/{PEOPLE[4].video(2)}/0000025.jpg, " in said
    assert "--allow-missing" in said
    assert run(pairs, "--protocol", "pins", "--root", corpus, "--allow-missing", out=out) == 1
    assert "8 listed files are missing" in " ".join(capsys.readouterr().err.split())
    found = json.loads((out / "verification.json").read_text())
    (result,) = found["lists"]
    assert len(found["missing"]) == 8
    assert result["trials"] + result["left_out"] == 24
    assert result["left_out"] > 8
    nowhere = refused(capsys, pairs, "--protocol", "pins", "--root", tmp_path, "--allow-missing", out=out)
    assert "24 of 24 files" in nowhere
    assert "--root" in nowhere


def test_the_four_cells_of_fame(mav: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two models, each said to have heard one language: the shipped one, and a copy under another name."""
    root, lists = mav, {language: mav / "v1" / f"{language}_test.txt" for language in ("English", "Urdu")}
    other = shutil.copytree(folders.shipped(), tmp_path / "other", ignore=shutil.ignore_patterns("*decoder*", "64"))
    labels = [x for language in lists for x in ("--labels", root / f"{language}_labels.txt")]
    heard = ["--heard", "English", "--heard", f"Urdu={other}"]
    assert run(*lists.values(), "--protocol", "fame", "--root", root, *heard, *labels, out=out) == 0
    said = capsys.readouterr().out
    found = json.loads((out / "verification.json").read_text())
    assert [(r["heard"], r["name"], r["scores"]) for r in found["lists"]] == [
        ("English", "English_test", "sub_score_v1_English_heard.txt"),
        ("English", "Urdu_test", "sub_score_v1_Urdu_unheard.txt"),
        ("Urdu", "English_test", "sub_score_v1_English_unheard.txt"),
        ("Urdu", "Urdu_test", "sub_score_v1_Urdu_heard.txt"),
    ]
    assert found["overall"] == pytest.approx(np.mean([r["eer"]["value"] for r in found["lists"]]))
    assert f"{100 * found['overall']:.2f} %" in said
    ids = [line.split()[0] for line in lists["Urdu"].read_text().splitlines()]
    written = [line.split() for line in (out / "sub_score_v1_Urdu_heard.txt").read_text().splitlines()]
    assert [name for name, _ in written] == ids

    matcher = Matcher()
    distances = [float(score) for _, score in written]
    fits = [
        matcher.match(root / f"voices/Urdu/{i:05d}.wav", [root / f"faces/Urdu/{i:05d}.jpg"]).faces[0].fits
        for i in range(len(ids))
    ]
    assert np.argsort(distances).tolist() == np.argsort(fits)[::-1].tolist()  # small = one person

    assert run(lists["English"], "--protocol", "fame", "--root", root, out=out) == 0  # no labels, one model
    found = json.loads((out / "verification.json").read_text())
    assert (found["overall"], found["lists"][0]["eer"]) == (None, None)
    assert (out / "scores_English_test.txt").exists()


def test_bad_lists_get_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    path = tmp_path / "list.txt"
    speak(tmp_path / "a.wav", PEOPLE[0], 1)
    show(tmp_path / "a.jpg", PEOPLE[0], 1)
    header = "id,voice-speaker-id,face-speaker-id,label,voice-path,face-path\n"
    for protocol, text, sentence in (
        ("pins", "", "is empty"),
        ("pins", "1 a b\n", "not a list of Learnable PINs"),
        ("pins", header + "1,1,1,2,a.wav,a.jpg\n", "line 2: a trial is"),
        ("pins", header + "1,1,2,1,a.wav,a.jpg\n", "line 2: label 1 of speakers 1 and 2"),
        ("pins", header + '1,1,1,1,a.wav,"a.jpg\n2,1,1,2,a.wav,a.jpg\n', "line 3: a trial is"),
        ("pins", header + "1,1,1,1,a.wav,a.jpg\n1,1,2,0,a.wav,a.jpg\n", "line 3: a second trial has the id 1"),
        ("pins", header + "1,1,1,1,a.wav,a.jpg\n", "needs trials of both kinds"),
        ("fame", "x a.wav\n", "line 1: a trial is `id voice face`"),
        ("fame", "x a.wav a.jpg\nx a.wav a.jpg\n", "line 2: a second trial has the id x"),
        ("matching", "a.wav a.jpg\n", "line 1: a choice is a voice and two faces"),
        ("matching", "a.wav a.jpg b.wav\n", "line 1: a choice is a voice and two faces"),
        ("matching", "a.wav a.jpg b.jpg\nb.wav a.jpg b.jpg c.jpg\n", "line 2: 3 candidates of a voice, unlike line 1"),
    ):
        path.write_text(text)
        assert sentence in refused(capsys, path, "--protocol", protocol, "--root", tmp_path, out=out)
    assert "cannot be read" in refused(capsys, tmp_path / "none.txt", "--protocol", "fame", out=out)
    path.write_text("x a.wav a.jpg\n")
    assert "There is no folder" in refused(capsys, path, "--protocol", "fame", "--root", tmp_path / "no", out=out)
    heard = refused(capsys, path, "--protocol", "fame", "--root", tmp_path, "--heard", "English", out=out)
    assert "must be of one language" in heard
    assert not out.exists()


def test_labels_that_do_not_fit_get_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, labels = tmp_path / "English_test.txt", tmp_path / "labels.txt"
    pairs.write_text("x voices/English/0.wav faces/English/0.jpg\ny voices/English/1.wav faces/English/1.jpg\n")
    for text, sentence in (
        ("x 1\n", "1 of 2 trials have none, such as y"),
        ("x 1\ny 0\nz 1\n", "1 labels are of other ids"),
        ("x 1\ny maybe\n", "line 2: a label is"),
        ("x 1\ny 0\nx 0\n", "x is labelled both 0 and 1"),
        ("x 1\n0\n", "line 2: a label without an id"),
        ("1\n", "1 labels, English_test has 2 trials"),
        ("1\n1\n", "needs labels of both kinds"),
    ):
        labels.write_text(text)
        given = ["--protocol", "fame", "--root", tmp_path, "--labels", labels]
        assert sentence in refused(capsys, pairs, *given, out=tmp_path / "out")
    labels.write_text("1\n0\n")
    assert "--labels are for FAME" in refused(
        capsys,
        pins_list(tmp_path / "p.txt", FOUR),
        *("--protocol", "pins", "--root", tmp_path, "--labels", labels),
        out=tmp_path / "out",
    )
