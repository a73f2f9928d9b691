"""Training of the attribute head on made-up people whose attributes follow from their identities by a known rule."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.cli import main
from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store as store_result
from ds2f.errors import UserError
from ds2f.face.attributes import IdentityAttributes, estimate
from ds2f.io.images import encode_webp
from ds2f.models import store
from ds2f.models.attributes import AttributeHead, AttributesConfig
from ds2f.training import jobs
from ds2f.training.attributes import (
    AttributesTask,
    LabelledFaces,
    age_distribution,
    calibrate,
    cross_entropy,
    load_labelled,
)
from ds2f.training.loop import Options, train
from ds2f.types import ETHNICITIES, GENDERS, CorpusItem, DetectedFace, Extracted, Face, FaceLabels
from helpers import PLAN, wanting

RULE = np.random.default_rng(9).normal(size=(128, 8)).astype(np.float32) / 4


def people(count: int, seed: int) -> LabelledFaces:
    """Identities, and labels that three linear maps read off them."""
    identity = np.random.default_rng(seed).normal(size=(count, 128)).astype(np.float32)
    score = identity @ RULE
    age = np.clip(np.round(45 + 8 * score[:, 0]), 0, 100)
    return LabelledFaces(identity, FaceLabels(age, (score[:, 1] > 0).astype(int), score[:, 3:].argmax(1)))


def fill(dataset: Dataset, faces: LabelledFaces, labelled: bool = True) -> None:
    """Enter the faces as extracted stills of as many identities."""
    labels = faces.labels
    stated = [
        (("age", f"{labels.age[i]:g}"), ("gender", GENDERS[labels.gender[i]]), ("ethnicity", ETHNICITIES[e]))
        for i, e in enumerate(labels.ethnicity)
    ]
    items = [
        CorpusItem(f"{i:05d}.jpg", "utkface", f"{i:05d}", 1, 1, labels=pairs if labelled else ())
        for i, pairs in enumerate(stated)
    ]
    dataset.add_items(Path("/faces"), "still", items, SplitRule())
    webp, points = encode_webp(np.zeros((8, 8, 3), np.uint8)), np.zeros((5, 2), np.float32)
    for job in wanting(dataset):
        identity = faces.identity[int(job.source.path.stem)]
        face = Face(webp, None, identity, DetectedFace((0, 0, 8, 8), points, 1.0), 0.0, 1.0, 1.0, 1)
        store_result(dataset, job, Extracted(face=face), PLAN)


def test_the_age_distribution_has_its_mean_at_the_age_and_its_spread() -> None:
    q = age_distribution(torch.tensor([40.0, 0.0, 116.0, float("nan")]), spread=2.5)
    years = torch.arange(101.0)
    torch.testing.assert_close(q.sum(1), torch.tensor([1.0, 1.0, 1.0, 0.0]))
    assert float(q[0] @ years) == pytest.approx(40, abs=1e-3)
    assert float(q[0] @ (years - 40) ** 2) == pytest.approx(2.5**2, rel=1e-3)
    assert q.argmax(1).tolist()[:3] == [40, 0, 100]


def test_what_is_not_stated_costs_nothing() -> None:
    logits = {"age": torch.randn(2, 101), "gender": torch.randn(2, 2), "ethnicity": torch.randn(2, 5)}
    target = {"age": torch.zeros(2, 101), "gender": torch.tensor([[1.0, 0], [0, 0]]), "ethnicity": torch.zeros(2, 5)}
    expected = -logits["gender"].log_softmax(1)[0, 0] / 2
    torch.testing.assert_close(cross_entropy(logits, target), expected)


def test_it_learns_the_rule(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = AttributesTask(
        AttributeHead(AttributesConfig(width=64)), people(4000, 1), people(200, 2), torch.device("cpu")
    )
    options = Options(tmp_path, batch=256, total=256 * 150, lr=4e-3, seed=0, save_seconds=1e9, muon=False)
    head = train(task, options).eval()
    unseen = people(500, 3)
    found = estimate(head, unseen.identity)
    assert ((found.female > 0.5) == unseen.labels.gender).mean() > 0.85
    assert (found.ethnicity.argmax(1) == unseen.labels.ethnicity).mean() > 0.6
    guess = np.abs(unseen.labels.age - unseen.labels.age.mean()).mean()
    assert np.abs(found.age - unseen.labels.age).mean() < 0.5 * guess


def test_calibration_finds_the_temperature_that_was_taken_away() -> None:
    """Labels drawn from a head's own probabilities; the same head, four times as sure, must be calmed four times."""
    torch.manual_seed(0)
    head = AttributeHead(AttributesConfig(identity_dim=128, width=16)).eval()
    identity = 3 * torch.randn(4000, 128)
    with torch.no_grad():
        p = head.probabilities(identity)
        gender, ethnicity, age = (torch.multinomial(p[n], 1)[:, 0].numpy() for n in ("gender", "ethnicity", "age"))
        for leave in head.leave.values():
            leave.weight *= 2.5
            leave.bias *= 2.5
    calibrate(head, LabelledFaces(identity.numpy(), FaceLabels(age.astype(float), gender, ethnicity)))
    np.testing.assert_allclose(head.temperature.numpy(), 2.5, rtol=0.15)


def test_rows_come_with_their_labels_by_split(dataset: Dataset) -> None:
    faces = people(300, 4)
    fill(dataset, faces)
    loaded = {split: load_labelled(dataset, [split]) for split in ("train", "val", "test")}
    assert sum(len(part) for part in loaded.values()) == 300
    assert 0.1 < len(load_labelled(dataset, ["val", "test"])) / 300 < 0.3
    part = loaded["train"]
    for i in (0, len(part) - 1):
        row = int(np.flatnonzero((faces.identity == part.identity[i]).all(1))[0])
        assert part.labels.age[i] == faces.labels.age[row]
        assert part.labels.gender[i] == faces.labels.gender[row]
        assert part.labels.ethnicity[i] == faces.labels.ethnicity[row]


def test_labels_in_other_words_count_as_not_stated(dataset: Dataset) -> None:
    labels = (("age", "adult"), ("gender", "female"), ("ethnicity", "Martian"))
    fill(dataset, people(1, 0), labelled=False)
    dataset.connection.executemany("INSERT INTO labels VALUES (1, ?, ?)", labels)
    split = dataset.connection.execute("SELECT split FROM identities").fetchone()[0]
    found = load_labelled(dataset, [split]).labels
    assert np.isnan(found.age[0])
    assert (found.gender[0], found.ethnicity[0]) == (1, -1)


def test_a_dataset_without_labels_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    fill(dataset, people(5, 0), labelled=False)
    with pytest.raises(UserError, match=r"no faces of known age, gender or ethnicity.*UTKFace"):
        jobs.train("attributes", dataset.path, tmp_path / "runs", Train())


def test_the_command_trains_measures_and_resumes_bit_for_bit(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dataset, people(400, 5))
    settings = "[train]\nattributes_batch = 32\nattributes_faces = 1_600\n"
    (tmp_path / "ds2f.toml").write_text(settings)

    def run(name: str) -> Path:
        arguments = ["--config", tmp_path / "ds2f.toml", "--database", dataset.path, "--runs", tmp_path / name]
        assert main(["train", "attributes", *map(str, arguments)]) in (0, 130)
        return tmp_path / name / "model" / "attributes.safetensors"

    whole = run("whole").read_bytes()
    said = capsys.readouterr().out
    assert "gender right" in said
    assert "Expected calibration error" in said
    card = json.loads((tmp_path / "whole" / "model" / "attributes.json").read_text())["card"]
    assert card["held_out_faces"] == card["measures"]["groups"][0]["faces"] > 40
    assert sum(map(sum, card["measures"]["confusion"])) == card["held_out_faces"]

    calls, loss = 0, AttributesTask.loss

    def stopped(*arguments: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 21:
            raise KeyboardInterrupt
        return loss(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(AttributesTask, "loss", stopped)
    assert not run("parts").exists()
    assert run("parts").read_bytes() == whole
    assert calls == 21 + 30
    assert store.load_attributes(tmp_path / "parts" / "model").config == AttributesConfig(looks=True)
    assert IdentityAttributes(tmp_path / "parts" / "model").name.startswith("ds2f-attributes:")
