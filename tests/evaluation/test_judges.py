"""Attribute models that judge drawn faces: whose word is the truth, each picture alone and a voice's together."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.cli.evaluate import print_summary
from ds2f.dataset.queries import Dataset, Pair
from ds2f.errors import UserError
from ds2f.evaluation.judges import load_judges
from ds2f.evaluation.run import evaluate
from ds2f.types import ETHNICITIES
from made_up_people import Embedder, draw, quick

OWN, SPEC = "onnx:own", "onnx:judges/own.onnx"
ROWS = np.array([[30, 0.9, 0.7, 0.3], [50, 0.2, 0.1, 0.9], [37, 0.7, 0.1, 0.9]])  # of the three pictures of a voice
SEEN = {
    "age": (40.0, {"40-49": 1.0}),
    "gender": ("female", {"male": 0.1, "female": 0.9}),
    "ethnicity": ("Blue", {"Blue": 0.7, "Green": 0.3}),
}  # in every true face


@pytest.fixture
def judged(database: Path, tmp_path: Path) -> Path:
    """The dataset, with what the model saw in its faces."""
    copy = tmp_path / "copy.db"
    shutil.copy(database, copy)
    with Dataset(copy) as data:
        files = [row[0] for row in data.connection.execute("SELECT video_id FROM faces")]
        rows = [
            (file, OWN, attribute, value, None, json.dumps(distribution))
            for file in files
            for attribute, (value, distribution) in SEEN.items()
        ]
        data.connection.executemany("INSERT INTO face_attributes VALUES (?, ?, ?, ?, ?, ?)", rows)
        data.connection.commit()
    return copy


def test_each_picture_alone_and_those_of_a_voice_together(
    judged: Path, pairs: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Dataset(judged) as data:  # the faces of a person are each the true one of the other clip
        stated = [(pair.face_file, "gender", "male") for pair in pairs[:4]]
        data.connection.executemany("INSERT INTO labels (video_id, attribute, value) VALUES (?, ?, ?)", stated)
        data.connection.commit()
    for number in range(3):
        draw(tmp_path / "several", pairs, f"-{number}.png")
    see = Embedder(pairs)

    def embed(path: Path) -> dict[str, np.ndarray]:
        return {**see(path), f"attributes:{OWN}": ROWS[int(path.stem.rsplit("-", 1)[1])]}

    settings = replace(quick(100, allow_leak=True), attributes=["ds2f-attributes", SPEC])
    result = evaluate(judged, {"three": tmp_path / "several"}, "test", tmp_path / "out", settings, embed=embed)
    n = len(pairs)
    unseen, own = result.judges
    assert (unseen.name, unseen.trained, own.name, own.trained) == (OWN, False, "ds2f-attributes", True)
    assert unseen.stated == {"gender": 4, "age": 0, "ethnicity": 0}
    assert unseen.estimated == {"gender": n - 4, "age": n, "ethnicity": n}

    alone, together = (m.judged[OWN] for m in result.methods if m.kind in ("images", "together"))
    for found, gender, age, bias, ethnicity in (
        (alone, (2 / 3 * (n - 4) + 1 / 3 * 4) / n, (10 + 10 + 3) / 3, -1, 1 / 3),
        (together, (n - 4) / n, 1, -1, 0),
    ):
        for measure, value in zip(
            (found.gender, found.age_mae, found.age_bias, found.ethnicity), (gender, age, bias, ethnicity), strict=True
        ):
            assert measure is not None
            assert measure.low is not None
            assert measure.high is not None
            assert measure.value == pytest.approx(value)
            assert measure.low <= measure.value + 1e-9
            assert measure.high >= measure.value - 1e-9
    by_name = {method.name: method for method in result.methods}
    other = by_name["random face"].judged[OWN].age_mae
    assert other is not None
    assert other.value == 0, "real faces are as the dataset has them"
    assert "linear prior" not in {m.name for m in result.methods if OWN in m.judged}, "there is no picture of it"
    assert result.headline(by_name["three"]) == (alone.gender, alone.age_mae)
    assert result.headline(by_name["linear prior"]) == (None, None)

    page = result.report_file.read_text("utf-8")
    assert f"Judged by {OWN}, which training has not seen" in page
    assert f"as the corpus states it (4 clips) and as this model estimates from the true face ({n - 4} clips)" in page
    assert "Judged by ds2f-attributes, which training or steering has seen" in page
    written = json.loads(result.metrics_file.read_text("utf-8"))
    assert written["judges"][0]["name"] == OWN
    assert written["methods"][1]["judged"][OWN]["age_mae"]["value"] == pytest.approx(1)
    print_summary(result)
    assert f"by {OWN}, which training has not seen" in capsys.readouterr().out


def test_our_own_head_judges_by_identity_vectors_and_is_said_to_be_known(database: Path) -> None:
    with Dataset(database) as data:
        (judge,) = load_judges(data, ["ds2f-attributes"], ["ds2f-attributes"])
    assert (judge.looks, judge.trained, judge.classes) == (False, True, ETHNICITIES)
    rows = judge.of_identities(np.stack([np.zeros(128), np.full(128, np.nan)]))
    assert 0 < rows[0, 0] < 100
    assert rows[0, 2:].sum() == pytest.approx(1, abs=1e-5)
    assert np.isnan(rows[1]).all()


def test_one_that_has_not_seen_the_dataset_is_refused(database: Path) -> None:
    with Dataset(database) as data, pytest.raises(UserError, match=r"'onnx:own' for its faces.*\[faces\] attributes"):
        load_judges(data, [SPEC], [])
