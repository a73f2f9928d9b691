"""evaluate() from end to end on a small made-up dataset, in which the voice says half of who it is."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ds2f.cli import main
from ds2f.cli.evaluate import named_folders, print_summary
from ds2f.config import Evaluate
from ds2f.dataset.queries import Dataset, Pair, to_blob, to_vector
from ds2f.dataset.splits import SplitRule
from ds2f.errors import UserError
from ds2f.evaluation import subjects
from ds2f.evaluation.results import Measure
from ds2f.evaluation.run import evaluate, refuse_leaks
from ds2f.face.attributes import IdentityAttributes
from ds2f.models.alignment import Alignment, AlignmentConfig
from ds2f.models.store import save
from helpers import tiny_decoder
from made_up_people import DIM, Embedder, draw, quick


def bounds(measure: Measure) -> tuple[float, float]:
    assert measure.low is not None
    assert measure.high is not None
    return measure.low, measure.high


def test_end_to_end(database: Path, pairs: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(pairs) >= 20
    draw(tmp_path / "true", pairs[1:], ".jpg")
    draw(tmp_path / "blank", pairs)
    (tmp_path / "true" / "generation.json").write_text(
        '{"model": {"fingerprint": "step-4711", "folder": "runs"}, "settings": {"steps": 7}}'
    )
    ticks: list[tuple[int, int]] = []
    images = {"oracle <1>": tmp_path / "true", "blank": tmp_path / "blank"}
    result = evaluate(
        database,
        images,
        "test",
        tmp_path / "out",
        quick(200, allow_leak=True),
        progress=lambda *tick: ticks.append(tick),
        embed=Embedder(pairs),
    )
    assert ticks == [(i + 1, 2 * len(pairs) - 1) for i in range(2 * len(pairs) - 1)]

    n = len(pairs) - 1  # the gallery lacks the person's other clip
    by_name = {method.name: method for method in result.methods}
    oracle, blank = by_name["oracle <1>"], by_name["blank"]
    assert (oracle.faces, oracle.missing, oracle.faceless, oracle.clips) == (n, 1, 0, n + 1)
    space = oracle.spaces["dlib"]
    for retrieval in (space.euclidean["all"], space.centred_cosine["all"]):
        assert retrieval.r_at_1.value == pytest.approx((n + 1 / n) / (n + 1))
        assert retrieval.gallery == n
    assert space.distances is not None
    assert space.distances.l2.value == 0.0
    assert oracle.agreement is not None
    assert oracle.agreement.gender.accuracy.value == 1
    assert oracle.agreement.age_mae.value == pytest.approx(0, abs=1e-4)
    chance = result.chance.retrieval["all"]
    unseen = blank.spaces["dlib"]
    assert (blank.faces, blank.faceless, unseen.distances, blank.agreement) == (0, len(pairs), None, None)
    assert unseen.euclidean["all"].median_rank.value == chance.median_rank.value == (n + 1) / 2
    assert unseen.euclidean["all"].r_at_5.value == pytest.approx(chance.r_at_5.value)
    assert by_name["mean face"].spaces["dlib"].centred_cosine["all"].r_at_1.value == pytest.approx(1 / n)
    low, high = bounds(by_name["linear prior"].spaces["dlib"].centred_cosine["all"].median_rank)
    assert 1 <= low <= high < (n + 1) / 4
    assert by_name["another photo"].spaces["dlib"].centred_cosine["all"].r_at_1.value == 1
    assert by_name["another photo"].spaces["dlib"].people == {}
    assert result.same_video == 0
    overall, *within = result.matching["linear prior"]
    assert overall.auc is not None
    assert overall.auc.value > 0.8
    assert [found.within for found in within] == ["gender", "age", "ethnicity", "gender, age and ethnicity"]
    assert "alignment" not in result.matching
    assert "takes campplus-frames with 512 numbers, the dataset has 8" in result.unmatched

    _check_files(result.metrics_file, result.report_file, list(by_name), n)
    print_summary(result)
    said = capsys.readouterr().out
    assert all(name.split()[0] in said for name in by_name)


def _check_files(metrics: Path, report: Path, names: list[str], n: int) -> None:
    written = json.loads(metrics.read_text())
    assert written["version"] == 2
    assert [method["name"] for method in written["methods"]] == names
    first = written["methods"][0]
    assert len(first["per_clip"]["rank"]) == len(written["clips"]) == n + 1
    assert first["per_clip"]["cosine"].count(None) == 1
    assert first["spaces"]["dlib"]["euclidean"]["all"]["r_at_1"]["value"] == pytest.approx((n + 1 / n) / (n + 1))
    assert sorted(path.name for path in metrics.parent.iterdir()) == ["metrics.json", "report.html"]
    page = report.read_text()
    for shown in (*map(escape, names), "chance within gender", "step-4711", "steps 7", "Leak, allowed"):
        assert shown in page
    for shown in ("imagined", "clips without", "identify nobody", "fewer than ten", "below 2,000"):
        assert shown in page
    assert written["provenance"]["fingerprint"] in page
    own = re.sub(r"data:image/[^\"]*", "", page)
    assert not re.search(r"https?:|url\(|(src|href)=\"[^\"]", own)
    assert "<script" not in page


def test_true_faces_are_found_and_refused(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    """The known answer: R@1 = 1, Fréchet 0. But it is no method, so it has to be asked for."""
    draw(tmp_path / "true", pairs)
    images = {"oracle": tmp_path / "true"}
    with pytest.raises(UserError, match=r"pictures of oracle are true faces.*--allow-leak"):
        evaluate(database, images, "test", tmp_path / "out", quick(50), embed=Embedder(pairs))
    assert not (tmp_path / "out" / "metrics.json").exists()
    result = evaluate(database, images, "test", tmp_path / "out", quick(50, allow_leak=True), embed=Embedder(pairs))
    oracle = result.methods[0]
    assert oracle.spaces["dlib"].centred_cosine["all"].r_at_1.value == 1
    assert oracle.spaces["dlib"].people["cosine"].r_at_1.value == 1
    for realism in oracle.realism:
        assert realism.frechet.value == pytest.approx(0, abs=1e-6)
        assert realism.precision.value == realism.recall.value == 1
        assert realism.few
    assert "true faces" in result.provenance.leaks[0]


def test_true_faces_of_still_pictures_are_found_too(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    """A voice asks for the face of its person's picture, which is nobody's clip."""
    copy = tmp_path / "copy.db"
    shutil.copy(database, copy)
    with Dataset(copy) as data:
        for pair in pairs[1::2]:  # one of everybody's two
            data.connection.execute("UPDATE videos SET kind = 'still' WHERE id = ?", (pair.video_id,))
            data.connection.execute("DELETE FROM voice_embeddings WHERE video_id = ?", (pair.video_id,))
    draw(tmp_path / "true", pairs[::2])
    with pytest.raises(UserError, match=f"{len(pairs) // 2} pictures of oracle are true faces"):
        evaluate(copy, {"oracle": tmp_path / "true"}, "test", tmp_path / "out", quick(50), embed=Embedder(pairs))


def test_a_video_in_test_and_train_is_refused(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(database, copy)
    with Dataset(copy) as data:
        refuse_leaks(copy, "test")
        for number, pair in enumerate((pairs[0], data.pairs("train")[0])):
            name = f"5MkXgwdrmJw_{number}.mp4"
            data.connection.execute("UPDATE videos SET path = ? WHERE id = ?", (name, pair.video_id))
    with pytest.raises(UserError, match="1 videos of test are also in train: 5MkXgwdrmJw"):
        refuse_leaks(copy, "test")
    with pytest.raises(UserError, match="1 videos of test are also in train: 5MkXgwdrmJw"):
        evaluate(copy, {}, "test", tmp_path / "out", quick(50))
    result = evaluate(copy, {}, "test", tmp_path / "out", quick(50, allow_leak=True))
    assert "5MkXgwdrmJw" in result.provenance.leaks[0]
    assert "Leak, allowed on request" in result.report_file.read_text()


def test_shuffled_ones_are_at_chance(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    draw(tmp_path / "true", pairs)
    images = {"oracle": tmp_path / "true"}
    result = evaluate(database, images, "test", tmp_path / "out", quick(300, allow_leak=True), embed=Embedder(pairs))
    shuffled = next(m for m in result.methods if m.kind == "control")
    chance = result.chance.retrieval["all"]
    found = shuffled.spaces["dlib"].centred_cosine["all"]
    for name in ("r_at_10", "median_rank", "mrr"):
        low, high = bounds(getattr(found, name))
        assert low <= getattr(chance, name).value <= high
    assert shuffled.realism == ()  # they are the same pictures


def test_several_faces_of_a_voice_are_averaged(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    """One of the three is the true face; the best is never picked."""
    for pair in pairs:
        for number in range(3):
            file = tmp_path / "several" / f"{Path(pair.path).with_suffix('')}-{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20)).save(file)
    images = {"three": tmp_path / "several"}
    result = evaluate(database, images, "test", tmp_path / "out", quick(50, allow_leak=True), embed=Embedder(pairs))
    three = result.methods[0]
    assert (three.pictures, three.missing, three.clips) == (3 * len(pairs), 0, len(pairs))
    assert three.spaces["dlib"].euclidean["all"].r_at_1.value == pytest.approx(1 / 3, abs=0.01)
    assert three.variety is not None
    assert three.variety.of_voice is not None
    assert three.variety.of_voice.value > 0.5
    together = result.methods[1]
    assert (together.name, together.kind) == ("three, pictures of a voice together", "together")
    assert together.spaces["dlib"].centred_cosine["all"].median_rank.value < 8, "a third of it points the right way"
    assert result.methods[2].kind == "control"


def test_a_space_by_a_file_is_looked_up_by_its_name(database: Path) -> None:
    with Dataset(database) as data, pytest.raises(UserError, match="holds no faces of 'onnx:judge'"):
        subjects.load(data, "test", IdentityAttributes(), ["onnx:models/judge.onnx"])


def test_in_two_spaces(database: Path, pairs: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(database, copy)
    with Dataset(copy) as data:
        rows = data.connection.execute("SELECT video_id, vector FROM face_embeddings").fetchall()
        twice = [(r["video_id"], to_blob(2 * to_vector(r["vector"]))) for r in rows]
        data.connection.executemany("INSERT INTO face_embeddings VALUES (?, 'other', ?)", twice)
    draw(tmp_path / "next", pairs)
    see = Embedder(pairs)

    def embed(path: Path) -> dict[str, np.ndarray]:
        vector = see(path)["dlib"]
        return {"dlib": vector, "other": 2 * vector}

    result = evaluate(copy, {"next": tmp_path / "next"}, "test", tmp_path / "out", quick(50), embed=embed)
    assert result.spaces == ("other", "dlib"), "the space that training has not seen heads the report"
    for method in result.methods:
        if method.name != "linear prior":
            first, second = method.spaces["dlib"], method.spaces["other"]
            assert first.centred_cosine == second.centred_cosine
            assert first.people.keys() == second.people.keys()
            assert first.distances is not None
            assert second.distances is not None
            assert second.distances.l2.value == pytest.approx(2 * first.distances.l2.value)
    unseen, seen = result.methods[0].realism[:2]
    assert (unseen.space, seen.space) == ("other", "dlib")
    assert unseen.frechet.value == pytest.approx(4 * seen.frechet.value), "squared, of vectors twice as long"
    page = result.report_file.read_text()
    assert "by centred cosine (other)" in page
    print_summary(result)
    assert "other space, centred" in capsys.readouterr().out
    print_summary(replace(result, spaces=("dlib",)))
    assert "dlib space, which training has seen" in capsys.readouterr().out.replace("\n", " ")
    assert "results in it are easier to reach for models trained in it" in page


def test_groups_have_counts_and_small_ones_are_marked(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(database, copy)
    with Dataset(copy) as data:  # of one person it is known what they speak
        data.connection.executemany(
            "INSERT INTO labels VALUES (?, 'language', 'sq')", [(pair.video_id,) for pair in pairs[:2]]
        )
    draw(tmp_path / "next", pairs)
    result = evaluate(copy, {"next": tmp_path / "next"}, "test", tmp_path, quick(50), embed=Embedder(pairs))
    groups = {(g.kind, g.name): g for g in result.methods[0].groups}
    alone = groups["language", "sq"]
    assert (alone.people, alone.few, alone.r_at_10 and alone.r_at_10.low) == (1, True, None)
    assert "sq, 1 person" in result.report_file.read_text()
    for kind in ("gender", "age", "ethnicity"):
        assert sum(g.clips for (k, _), g in groups.items() if k == kind) == len(pairs)
    assert all(g.few == (g.people < 10) for g in groups.values())
    assert any(g.few for g in groups.values())


def test_an_alignment_is_measured_where_there_is_one(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    """Its towers are set to hear the first six numbers of a person and to see the same six."""
    model = Alignment(AlignmentConfig({"campplus-frames": 8}, DIM, dim=6))
    with torch.no_grad():
        for tower in (model.voice, model.face):
            tower.map.weight.copy_(torch.eye(6, tower.map.in_features))
    save(tmp_path / "model", model, {})
    result = evaluate(database, {}, "test", tmp_path / "out", quick(50), model_folder=tmp_path / "model")
    overall = result.matching["alignment"][0]
    assert overall.clips == len(pairs)
    assert overall.choice[2].value > 0.95
    assert overall.choice[10].value > 0.8
    assert overall.choice[10].low is not None
    assert "Whose voice is it?" in result.report_file.read_text()
    written = json.loads(result.metrics_file.read_text())
    assert written["matching"]["alignment"][0]["choice"]["2"]["value"] == overall.choice[2].value


def test_folders_are_named_by_what_stands_before_the_first_equals_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=3e-4").mkdir()
    assert named_folders(["faces", "theirs=a/b"]) == {"faces": Path("faces"), "theirs": Path("a/b")}
    assert named_folders(["lr=3e-4", "low=lr=1e-4"]) == {"lr=3e-4": Path("lr=3e-4"), "low": Path("lr=1e-4")}


def test_pictures_of_no_clip_are_named(
    database: Path, pairs: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "true", pairs)
    for i in range(5):
        shutil.copy(tmp_path / "true" / f"{pairs[0].picture}.png", tmp_path / "true" / f"person-{i}.png")
    folders = ["--images", str(tmp_path / "true"), "--database", str(database), "--out", str(tmp_path / "o")]
    told = f"5 pictures in {tmp_path / 'true'} (person-0.png, person-1.png, person-2.png, ...)"
    for more in ([], ["--protocol", "sf2f"]):
        assert main(["evaluate", *folders, *more, "--split", "test"]) in (0, 2)
        assert told in capsys.readouterr().err


def test_an_alignment_that_cannot_be_measured_is_named_and_a_model_that_is_nowhere_refused(
    database: Path, pairs: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "true", pairs)
    folders = ["--images", str(tmp_path / "true"), "--database", str(database), "--out", str(tmp_path / "o")]
    assert main(["evaluate", *folders, "--model", "modle"]) == 2
    assert "There is no model folder modle" in " ".join(capsys.readouterr().err.split())
    save(tmp_path, tiny_decoder(), {"judges": ["dlib", "onnx:own"]})
    result = evaluate(database, {}, "test", tmp_path / "out", quick(50), model_folder=tmp_path)
    assert result.provenance.trained_spaces == ("dlib", "onnx:own"), "what taught the decoder is no judge of it"
    assert list(result.matching) == ["linear prior"]
    assert "has no alignment; make it with: ds2f train alignment" in result.unmatched
    assert "has no alignment" in result.report_file.read_text()
    print_summary(result)
    assert "Matching by an alignment is not measured: the model in" in capsys.readouterr().err


def test_of_many_clips_some_are_drawn(
    database: Path, pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ds2f.evaluation.score.MOST_CLIPS", 10)
    monkeypatch.setattr("ds2f.evaluation.matching.MOST_CLIPS", 10)
    result = evaluate(database, {}, "test", tmp_path, quick(50))
    random_face = next(m for m in result.methods if m.name == "random face")
    assert {(r.generated, r.real) for r in random_face.realism} == {(10, 10)}
    assert random_face.spaces["dlib"].centred_cosine["all"].clips == len(pairs)
    assert result.matching["linear prior"][0].clips == 10


def test_without_pictures_only_baselines(database: Path, tmp_path: Path) -> None:
    result = evaluate(database, {}, "val", tmp_path, quick(50))
    assert {method.kind for method in result.methods} == {"baseline"}
    assert len(result.methods) == 7


def test_what_the_user_can_mend(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="no folder of pictures"):
        evaluate(database, {"x": tmp_path / "nowhere"}, "test", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No picture in"):
        evaluate(database, {"x": tmp_path / "empty"}, "test", out)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written \(.*\); give another"):
        evaluate(database, {}, "test", tmp_path / "file")
    with pytest.raises(UserError, match=r"no faces of 'uniface:arcface'; add it to \[faces\] encoders"):
        evaluate(database, {}, "test", out, Evaluate(spaces=["uniface:arcface"]))
    Dataset(tmp_path / "new.db", create=True).close()
    with pytest.raises(UserError, match=r"no usable pairs in split test .* ds2f extract"):
        evaluate(tmp_path / "new.db", {}, "test", out)


def test_the_made_up_people_are_in_all_splits() -> None:
    """If the hash of the splits ever changes, the tests above would measure nothing."""
    splits = [SplitRule().of("folder", f"p{i}") for i in range(200)]
    assert min(splits.count(split) for split in ("train", "val", "test")) >= 10
