"""SF2F's table on the made-up people, against its own definition written out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ds2f.cli import main
from ds2f.dataset.queries import Dataset, Pair
from ds2f.errors import UserError
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.protocols import sf2f
from ds2f.evaluation.protocols.vggface import VGGFace, vggface_score
from ds2f.types import DetectedFace


class Mean:
    """A face encoder that sees the mean colour of the box and no more."""

    name, licence, dim = "mean", "", 3

    def embed(self, images: list[np.ndarray], faces: list[DetectedFace]) -> np.ndarray:
        found = []
        for image, face in zip(images, faces, strict=True):
            x, y, w, h = face.box
            found.append(image[y : y + h, x : x + w].reshape(-1, 3).mean(0))
        return np.array(found, np.float32)


def test_the_box_is_sf2fs() -> None:
    image, face = sf2f.in_box(np.zeros((64, 64, 3), np.uint8))
    assert image.shape == (256, 256, 3)
    x, y, w, h = face.box
    assert (x, y, x + w, y + h) == (60, 49, 196, 235)  # int(0.235 * 256), ..., the last pixel counted in
    inside = (face.landmarks > (x, y)).all() and (face.landmarks < (x + w, y + h)).all()
    assert inside  # the canonical crop's eyes, nose and mouth lie in it


def test_recall_is_the_mean_over_galleries_of_a_hundred() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(130, 8))
    asked = truth + 2 * rng.normal(size=truth.shape)
    row = sf2f.measure_method("m", "s", asked, truth, Bootstrap([str(i) for i in range(130)], 50))
    assert (row.people, row.pictures, row.gallery) == (130, 130, 100)
    cosine = asked @ truth.T / np.linalg.norm(asked, axis=1)[:, None] / np.linalg.norm(truth, axis=1)
    drawn = {k: [] for k in sf2f.RECALLS}
    for _ in range(300):
        chosen = rng.choice(130, 100, replace=False)
        place = (cosine[np.ix_(chosen, chosen)] > np.diag(cosine)[chosen, None]).sum(1)
        for k, found in drawn.items():
            found.append((place < k).mean())
    for k, found in drawn.items():
        assert row.recall[k].value == pytest.approx(np.mean(found), abs=0.01)
    assert row.cosine is not None
    assert row.between is not None
    assert row.l2 is not None
    assert row.l1 is not None
    assert row.cosine.value == pytest.approx(np.diag(cosine).mean())
    assert row.between.value == pytest.approx((cosine.sum() - np.diag(cosine).sum()) / (130 * 129))
    assert row.l2.value == pytest.approx(np.linalg.norm(asked - truth, axis=1).mean())
    assert row.l1.value == pytest.approx(np.abs(asked - truth).sum(1).mean())


def test_a_person_without_a_picture_is_a_blind_guess() -> None:
    truth = np.random.default_rng(0).normal(size=(20, 4))
    asked = truth.copy()
    asked[10:] = np.nan
    row = sf2f.measure_method("m", "s", asked, truth, Bootstrap([str(i) for i in range(20)], 50))
    assert (row.pictures, row.gallery) == (10, 20)
    assert row.recall[1].value == pytest.approx(0.5 * 1 + 0.5 / 20)
    assert row.cosine is not None
    assert row.cosine.value == pytest.approx(1)
    assert [share.value for share in sf2f.chance("s", 20).recall.values()] == [1 / 20, 2 / 20, 5 / 20, 10 / 20, 1, 1]


def test_the_table_of_a_dataset(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    """Pictures that are the person's mean colour find it; those of one colour find nobody."""
    with Dataset(database) as data:
        people = sf2f.load_people(data, "test", [Mean()])
        for pair, colour in zip(people.clips, people.truth["mean"], strict=True):
            for name, shade in (("right", colour), ("grey", (90, 90, 90))):
                file = tmp_path / name / f"{pair.picture}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (32, 32), tuple(round(float(c)) for c in shade)).save(file)
        images = {name: tmp_path / name for name in ("right", "grey")}
        rows = {row.method: row for row in sf2f.table(data, "test", images, [Mean()], draws=20)}
    assert list(rows) == ["right", "grey", "own face", "chance"]
    assert len({pair.person for pair in pairs}) == rows["right"].people == rows["right"].pictures
    assert rows["right"].recall[1].value > rows["grey"].recall[1].value
    assert rows["own face"].cosine is not None
    assert rows["own face"].cosine.value > 0.99


def test_the_command(
    database: Path,
    pairs: list[Pair],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sf2f, "load_embedder", lambda spec: Mean())
    file = tmp_path / "faces" / f"{pairs[0].picture}.png"
    file.parent.mkdir(parents=True)
    Image.new("RGB", (32, 32), (90, 80, 70)).save(file)
    given = ["evaluate", "--protocol", "sf2f", "--database", str(database), "--out", str(tmp_path / "out")]
    assert main([*given, "--images", str(tmp_path / "faces")]) == 0
    said = capsys.readouterr().out
    assert "R@50" in said
    assert "own face" in said
    found = json.loads((tmp_path / "out" / "sf2f.json").read_text())
    assert [row["method"] for row in found["rows"]] == ["faces", "own face", "chance"]
    assert found["rows"][0]["pictures"] == 1
    assert main(given) == 2
    assert "--images" in capsys.readouterr().err
    assert main([*given, "--images", str(tmp_path / "faces"), "--guided"]) == 2


def test_vggface_score() -> None:
    sure = np.tile(np.eye(4), (25, 1))  # every picture surely somebody, all equally often
    assert vggface_score(sure).mean == pytest.approx(4, rel=0.1)
    alike = np.tile([0.7, 0.1, 0.1, 0.1], (100, 1))
    found = vggface_score(alike)
    assert (found.mean, found.deviation) == pytest.approx((1, 0))


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    class Classes(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))

    torch.jit.script(Classes()).save(tmp_path / "vggface.pt")
    network = VGGFace(tmp_path / "vggface.pt")
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    assert network.probabilities([red]).argmax() == 0
    assert network.score([red] * 4) is None
    score = network.score([red] * 5)
    assert score is not None
    assert score.mean == pytest.approx(1)
    with pytest.raises(UserError, match="There is no file"):
        VGGFace(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(UserError, match="cannot be used"):
        VGGFace(tmp_path / "text.pt")
