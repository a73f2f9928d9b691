"""A small dataset of made-up people, in which the voice says half of who somebody is, and pictures of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ds2f.config import Evaluate
from ds2f.dataset.queries import Dataset, Pair
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import ItemError
from ds2f.io.images import encode_webp
from ds2f.io.speech import encode_flac
from ds2f.types import CorpusItem, DetectedFace, Extracted, Face, Facts, StoredSpeech
from helpers import PLAN, wanting

DIM = 128  # as dlib's, so that the attribute model can read them


def _extracted(rng: np.random.Generator, person: np.ndarray) -> Extracted:
    crop = rng.integers(0, 255, (32, 32, 3), np.uint8)
    detected = DetectedFace((4, 4, 20, 20), np.zeros((5, 2), np.float32), 1.0)
    identity = (person + 0.02 * rng.normal(size=DIM)).astype(np.float32)
    voice = np.concatenate([person[:6], 0.1 * rng.normal(size=2)]).astype(np.float32)
    return Extracted(
        Facts(1.0, 32, 32, 25.0),
        StoredSpeech(encode_flac(np.zeros(1600, np.float32)), 0.0, 1.0),
        Face(encode_webp(crop), None, identity, detected, 0.0, 1.0, 1.0, 1),
        clips={6.0: (1.0, 6.0)},
        voices={(6.0, "campplus-frames"): voice},
    )


def _person(rng: np.random.Generator) -> np.ndarray:
    """Somebody of whom half of what matters can be heard: the first six of twelve large numbers."""
    return np.concatenate([rng.normal(size=12), 0.01 * rng.normal(size=DIM - 12)]) / 5


def make_dataset(path: Path) -> None:
    """200 people with two clips each."""
    rng = np.random.default_rng(0)
    items = [CorpusItem(f"p{i // 2}/{i}.mp4", "folder", f"p{i // 2}", 1, 1) for i in range(400)]
    with Dataset(path, create=True) as data:
        data.add_items(Path("videos"), "video", items, SplitRule())
        people: dict[str, np.ndarray] = {}
        for job in wanting(data):
            person = people.setdefault(job.source.path.parent.name, _person(rng))
            store(data, job, _extracted(rng, person), PLAN)


def quick(draws: int = 50, allow_leak: bool = False) -> Evaluate:
    """Settings of a short bootstrap."""
    return Evaluate(bootstrap=draws, allow_leak=allow_leak)


def draw(folder: Path, pairs: list[Pair], suffix: str = ".png") -> None:
    for pair in pairs:
        file = folder / f"{pair.picture}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (90, 120, 150)).save(file)


class Embedder:
    """Sees the true face of a clip, that of its person's other video, in pictures of the folder `true`; that of the
    next person in `next`; several in turn in `several`; and no face at all in those of `blank`."""

    def __init__(self, pairs: list[Pair]) -> None:
        self.places = {pair.picture: i for i, pair in enumerate(pairs)}
        self.true = {i: next(p.identity for j, p in enumerate(pairs) if p.person == q.person and j != i)
                     for i, q in enumerate(pairs)}  # fmt: skip

    def __call__(self, path: Path) -> dict[str, np.ndarray]:
        stem = str(Path(*path.parts[-2:]).with_suffix(""))
        if "blank" in path.parts:
            raise ItemError("face", "no face found")
        if "several" in path.parts:
            stem, number = stem.rsplit("-", 1)
            return {"dlib": self.true[(self.places[stem] + 2 * int(number)) % len(self.true)]}
        shift = 2 if "next" in path.parts else 0
        return {"dlib": self.true[(self.places[stem] + shift) % len(self.true)]}
