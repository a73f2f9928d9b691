"""The attribute head's training: its data (faces whose corpus states age, gender or ethnicity, such as UTKFace), its
task and its job.

Any of the three may be missing in a row; missing ones do not contribute to the loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.evaluation.attributes import measure_attributes
from ds2f.face.attributes import estimate
from ds2f.models.ages import MAX_AGE, decades
from ds2f.models.attributes import CLASSES, AttributeHead, AttributesConfig, Distributions
from ds2f.models.looks import fit_looks
from ds2f.training.start import Card, Job, make_options, refuse_launcher
from ds2f.types import ETHNICITIES, GENDERS, FaceLabels, Progress, decade_of, years_of

AGE_SPREAD = 2.5  # years: a face of 40 may also look like 38 or 42
NOISE = 0.3  # relative to the spread of the identity vectors; other photographs of a person differ by about as much


@dataclass(frozen=True)
class LabelledFaces:
    """identity: (n, 128) float32; labels: of the same n faces."""

    identity: np.ndarray
    labels: FaceLabels

    def __len__(self) -> int:
        return len(self.identity)


def load_labelled(dataset: Dataset, splits: Sequence[str]) -> LabelledFaces:
    """The labelled faces of some splits. Raises UserError if there are none."""
    rows = [row for split in splits for row in dataset.labelled_faces(split)]
    if not rows:
        raise UserError(
            f"{dataset.path} has no faces of known age, gender or ethnicity in split {' or '.join(splits)}; ingest a "
            "corpus that states them, such as UTKFace (ds2f ingest FOLDER --kind faces), then run `ds2f extract`."
        )
    stated = [labels for _, labels in rows]
    return LabelledFaces(
        np.stack([identity for identity, _ in rows]),
        FaceLabels(
            np.array([years_of(labels.get("age", "")) for labels in stated]),
            np.array([_index(labels, "gender", GENDERS) for labels in stated]),
            np.array([_index(labels, "ethnicity", ETHNICITIES) for labels in stated]),
        ),
    )


def _index(labels: Mapping[str, str], attribute: str, names: Sequence[str]) -> int:
    value = labels.get(attribute)
    return names.index(value) if value in names else -1


def job(database: Path, runs: Path, settings: Train, sample: bool = False, progress: Progress | None = None) -> Job:
    """See `jobs.make_job`. The head learns from the identities of the train split, and the temperatures are chosen on
    val. Measures are on val and test together, except for the calibration error, which is on test alone because val
    would flatter it.

    database: whose faces with stated age, gender or ethnicity to learn from.
    runs: its attributes/ is for checkpoints.
    settings: seed and attributes_….
    sample, progress: ignored, because vectors are small.
    Raises UserError for whatever prevents training, such as a split without such faces.
    """
    refuse_launcher("attributes")
    device = torch.device("cpu")  # a step takes a millisecond there; on a GPU, launching it would take longer
    batch, total = settings.attributes_batch, settings.attributes_faces
    options = make_options(runs / "attributes", settings, device, batch, total, settings.attributes_lr)
    options = replace(options, bf16=False, muon=False, weight_decay=0.05, accumulate=1)
    with Dataset(database) as dataset:
        faces, val, test = (load_labelled(dataset, [split]) for split in ("train", "val", "test"))
        held_out = load_labelled(dataset, ["val", "test"])
        fingerprint = dataset.fingerprint()
    torch.manual_seed(settings.seed)
    head = AttributeHead(AttributesConfig(identity_dim=faces.identity.shape[1], looks=True))

    def finish(model: AttributeHead) -> tuple[AttributeHead, Card]:
        calibrate(model.eval(), val)
        measures = replace(
            measure_attributes(estimate(model, held_out.identity), held_out.labels),
            calibration_error=measure_attributes(estimate(model, test.identity), test.labels).calibration_error,
        )
        return model, {"held_out_faces": len(held_out), "measures": asdict(measures)}

    return Job(AttributesTask(head, faces, val, device), options, fingerprint, finish)


class AttributesTask:
    """See `loop.Task`."""

    def __init__(self, model: AttributeHead, train: LabelledFaces, validation: LabelledFaces, device: torch.device):
        self.identity, self.target = _tensors(train)
        model.mean.copy_(self.identity.mean(0))
        model.std.copy_(self.identity.std(0).clamp_min(1e-4))
        if model.looks is not None:
            model.looks.copy_(fit_looks(train.identity, train.labels))
        self.noise = NOISE * model.std.clone()
        self.model = model.to(device)
        self.device = device
        self.size = len(train)
        self.held_out = _tensors(validation)

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(len(rows), self.identity.shape[1], generator=generator)
        logits = self.model((self.identity[rows] + self.noise * noise).to(self.device))
        return cross_entropy(logits, {name: target[rows].to(self.device) for name, target in self.target.items()})

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        """The loss on the validation faces, without noise."""
        identity, target = self.held_out
        logits = ema.eval()(identity.to(self.device))
        return float(cross_entropy(logits, {name: t.to(self.device) for name, t in target.items()}))

    def preview(self, ema: nn.Module, path: Path) -> None:
        """Attributes cannot be shown as a picture."""


def cross_entropy(logits: Distributions, target: Distributions) -> Tensor:
    """Sum over the attributes of  −Σ_k q_k log p_k, averaged over rows; a row of zeros in q means "not stated"."""
    losses = [-(target[name] * F.log_softmax(logits[name], dim=1)).sum(1).mean() for name in CLASSES]
    return torch.stack(losses).sum()


def age_distribution(age: Tensor, spread: float = AGE_SPREAD) -> Tensor:
    """The target distribution for the softmax over years: (n,) years to (n, MAX_AGE + 1).

        q_k ∝ exp(−(k − age)² / 2σ²)

    (label distribution learning; Geng, Yin & Zhou, IEEE TPAMI 35(10), 2013; with a softmax: Gao et al. 2017,
    arXiv:1611.01731). Rows of zeros where the age is NaN.
    """
    years = torch.arange(MAX_AGE + 1, dtype=torch.float32)
    weight = torch.exp(-0.5 * ((years - age.clamp(0, MAX_AGE)[:, None]) / spread) ** 2)
    return torch.nan_to_num(weight / weight.sum(1, keepdim=True))


def calibrate(head: AttributeHead, held_out: LabelledFaces) -> None:
    """Choose the temperatures with the lowest cross-entropy on faces not seen in training.

    One number per attribute, found on a grid: it changes confidence but (for gender and ethnicity) no decision. Ages
    are evaluated by decade, because labels favour round years. Guo et al. 2017, arXiv:1706.04599.
    """
    truth = held_out.labels
    grid = torch.exp(torch.linspace(-1.2, 1.2, 97))
    with torch.no_grad():
        logits = head(torch.from_numpy(held_out.identity))
    classes = {"age": decade_of(truth.age), "gender": truth.gender, "ethnicity": truth.ethnicity}
    for i, (name, wanted) in enumerate(classes.items()):
        stated = torch.from_numpy(wanted >= 0)
        if not stated.any():
            continue
        losses = []
        for temperature in grid:
            p = F.softmax(logits[name][stated] / temperature, dim=1)
            p = torch.from_numpy(decades(p.numpy())) if name == "age" else p
            losses.append(F.nll_loss(p.clamp_min(1e-12).log(), torch.from_numpy(wanted).long()[stated]))
        head.temperature[i] = grid[int(torch.stack(losses).argmin())]


def _tensors(faces: LabelledFaces) -> tuple[Tensor, Distributions]:
    labels = faces.labels
    return torch.from_numpy(faces.identity).float(), {
        "age": age_distribution(torch.from_numpy(labels.age).float()),
        "gender": _one_hot(labels.gender, len(GENDERS)),
        "ethnicity": _one_hot(labels.ethnicity, len(ETHNICITIES)),
    }


def _one_hot(index: np.ndarray, count: int) -> Tensor:
    """(n,) ints to (n, count); rows of zeros for -1."""
    return F.one_hot(torch.from_numpy(index).long() + 1, count + 1)[:, 1:].float()
