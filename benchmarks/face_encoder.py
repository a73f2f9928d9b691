"""A speaker encoder fine-tuned for faces: does CAM++ predict more of a face once its last third has been trained on
pairs?

    python benchmarks/face_encoder.py DATABASE [--judge tflite:MobileFaceNet.tflite] [--steps 60] [--keep 0]

Uses all pairs of voice and face in folds by person. On each fold's training people, the last block of CAM++ and a
linear map are trained, starting from the frozen network and its ridge map,

    L = 1 − cos(ŷ_i, y_i) − log  e^{cos(ŷ_i, y_i) / τ} / Σ_j e^{cos(ŷ_i, y_j) / τ}

over j of the same gender and other people, y: a face relative to the mean face, ŷ: the prediction for the voice. Then a
new ridge map is fitted to the voices as the trained network encodes them, and both are evaluated on the held-out
people: at what rank among the fold's faces is the true one? In dlib's space, which training has seen, and in a judge's,
to which only a ridge map is fitted.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.dataset.speech import Sounds
from ds2f.face.align import template
from ds2f.face.attributes import IdentityAttributes
from ds2f.face.file_embedder import FileEmbedder
from ds2f.io.images import decode_image
from ds2f.io.speech import decode
from ds2f.models.linear import LinearPrior, directions
from ds2f.models.processor import cpu_has_bf16
from ds2f.models.speaker.campplus import CAMPlusPlus
from ds2f.training.loop import Options, make_optimizers, schedule
from ds2f.training.losses.distil import departure
from ds2f.training.pairs import folds
from ds2f.training.voice import begin
from ds2f.types import DetectedFace

FOLDS = 5
CLIP, CROP = 96_000, 150  # samples that are encoded; frames of 20 ms that training uses
BATCH, TEMPERATURE = 32, 0.1


class Last(nn.Module):
    """The last third of CAM++: (n, 512, t) to the mean over frames, (n, 512) of length one."""

    def __init__(self, network: CAMPlusPlus) -> None:
        super().__init__()
        self.block, self.transit = copy.deepcopy(network.blocks[2]), copy.deepcopy(network.transits[2])
        self.last = copy.deepcopy(network.last)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(F.relu(self.last(self.transit(self.block(x)))).float().mean(2), dim=1)


@dataclass(frozen=True)
class Pairs:
    """before: (n, 512, t) input of the last third; face: {space: (n, d)}; person, female: (n,)."""

    before: Tensor
    face: dict[str, np.ndarray]
    person: np.ndarray
    female: np.ndarray


@torch.no_grad()
def load(database: Path, judge: str) -> tuple[Pairs, CAMPlusPlus]:
    network = begin(Train(voice_from="campplus")).eval()
    inner, before, crops = cast(CAMPlusPlus, network.network), [], []
    sounds = Sounds(database)
    with Dataset(database) as dataset:
        pairs = dataset.pairs()
        for pair in pairs:
            clip = torch.from_numpy(np.resize(decode(sounds[pair.video_id]), CLIP)[None])
            with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
                planes = inner.head(network.features(clip).transpose(1, 2)[:, None])
                x = F.relu(inner.enter(planes.flatten(1, 2)))
                for part in range(2):
                    x = inner.transits[part](inner.blocks[part](x))
            before.append(x[0].half())
            crops.append(decode_image(pair.crop))
    identity = np.stack([pair.identity for pair in pairs])
    face = {"dlib": identity}
    if judge:
        face["judge"] = seen_by(judge, crops)
    people = {name: i for i, name in enumerate(dict.fromkeys(pair.person for pair in pairs))}
    female = np.array([a.gender["female"] > 0.5 for a in IdentityAttributes().predict([], [], identity)])
    return Pairs(torch.stack(before), face, np.array([people[p.person] for p in pairs]), female), inner


def seen_by(judge: str, crops: Sequence[np.ndarray]) -> np.ndarray:
    """Stored crops, with the landmarks where `canonical_crop` put them; a few at a time, which bounds memory."""
    face = DetectedFace((0, 0, *crops[0].shape[:2]), template(crops[0].shape[0]), 1.0)
    network, parts = FileEmbedder(judge), (list(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH))
    return np.concatenate([network.embed(part, [face] * len(part)) for part in parts])


def fine_tune(
    frozen: Last, voice: np.ndarray, pairs: Pairs, rows: np.ndarray, steps: int, lr: float, keep: float
) -> tuple[Last, nn.Linear]:
    """frozen: to start from; voice: (k, 512) its vectors; rows: (k,) of the training people."""
    identity = pairs.face["dlib"][rows]
    ridge = LinearPrior.fit_to_people(voice, identity, pairs.person[rows])
    linear = nn.Linear(512, identity.shape[1])
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(ridge.weight.T))
        linear.bias.copy_(torch.from_numpy(-ridge.voice_mean @ ridge.weight))
    last = copy.deepcopy(frozen).requires_grad_(True)
    both = nn.ModuleList([last, linear])
    (optimizer,) = make_optimizers(both, Options(Path(), BATCH, steps, lr, 0, 0, muon=False, relative=True))
    truth = torch.from_numpy(identity - identity.mean(0))
    rng = np.random.default_rng(0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * schedule(step, steps)
        chosen = rng.choice(len(rows), BATCH, replace=False)
        start = int(rng.integers(pairs.before.shape[2] - CROP + 1))
        x = pairs.before[torch.from_numpy(rows[chosen])][:, :, start : start + CROP].float()
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
            vector = last(x)
        cosine = F.normalize(linear(vector), dim=1) @ F.normalize(truth[chosen], dim=1).T
        person, female = pairs.person[rows[chosen]], pairs.female[rows[chosen]]
        other = torch.from_numpy((person[:, None] != person) & (female[:, None] == female))
        logits = (cosine / TEMPERATURE).masked_fill(~other & ~torch.eye(BATCH, dtype=torch.bool), -torch.inf)
        loss = (1 - cosine.diagonal()).mean() + F.cross_entropy(logits, torch.arange(BATCH))
        if keep:
            with torch.no_grad():
                wanted = frozen(x)
            loss = loss + keep * departure(vector, wanted)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            print(f"  step {step}: {loss.item():.3f}, {time.process_time():.0f} s", flush=True)
    return last.eval(), linear


@torch.no_grad()
def heard(last: nn.Module, before: Tensor) -> np.ndarray:
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
        return np.concatenate([last(part.float()).numpy() for part in before.split(16)])


def places(expected: np.ndarray, face: np.ndarray, person: np.ndarray) -> np.ndarray:
    """(n,) in [0, 1]: the share of other people's faces that are closer to the prediction than the true one."""
    near = directions(expected) @ directions(face).T
    others = person[:, None] != person
    return ((near > np.diagonal(near)[:, None]) & others).sum(1) / others.sum(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--judge", default="")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--keep", type=float, default=0.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    pairs, network = load(options.database, options.judge)
    fold = folds(pairs.person, FOLDS)
    found: dict[str, np.ndarray] = {}
    frozen = Last(network).eval().requires_grad_(False)
    before = heard(frozen, pairs.before)
    for k in range(FOLDS):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        last, linear = fine_tune(frozen, before[train], pairs, train, options.steps, options.lr, options.keep)
        for name, voice in (("frozen", before), ("trained", heard(last, pairs.before))):
            for space, face in pairs.face.items():
                ridge = LinearPrior.fit_to_people(voice[train], face[train], pairs.person[train])
                expected, true = ridge.predict(voice[test]) - ridge.identity_mean, face[test] - ridge.identity_mean
                found.setdefault(f"{name}, {space}", np.zeros(len(fold)))[test] = places(
                    expected, true, pairs.person[test]
                )
        with torch.no_grad():
            expected = linear(torch.from_numpy(heard(last, pairs.before[torch.from_numpy(test)]))).numpy()
        true = pairs.face["dlib"][test] - pairs.face["dlib"][train].mean(0)
        found.setdefault("trained with its map, dlib", np.zeros(len(fold)))[test] = places(
            expected, true, pairs.person[test]
        )
        report(found, pairs.person, fold <= k)
    if options.out:
        shown = {"processor_seconds": time.process_time(), "pairs": len(fold)}
        options.out.write_text(json.dumps(shown | report(found, pairs.person, fold >= 0), indent=2))


def report(found: dict[str, np.ndarray], person: np.ndarray, rows: np.ndarray) -> dict[str, list[float]]:
    """First tenth and median rank, with the difference to the frozen network over people."""
    rng, names = np.random.default_rng(0), np.unique(person[rows])
    said = {}
    for name, place in found.items():
        base = found[f"frozen, {name.split(', ')[1]}"]
        gain = (place <= 0.1).astype(float) - (base <= 0.1)
        each = np.array([gain[rows & (person == p)].sum() for p in names])
        count = np.array([(rows & (person == p)).sum() for p in names])
        drawn = [each[i].sum() / count[i].sum() for i in rng.integers(len(names), size=(1000, len(names)))]
        low, high = np.percentile(drawn, (2.5, 97.5))
        said[name] = [float((place[rows] <= 0.1).mean()), float(np.median(place[rows])), float(low), float(high)]
        print(
            f"{name}: first tenth {said[name][0]:.1%}, median {said[name][1]:.1%}, "
            f"against frozen {gain[rows].mean():+.1%} [{low:+.1%} to {high:+.1%}]",
            flush=True,
        )
    return said


if __name__ == "__main__":
    main()
