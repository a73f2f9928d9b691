"""Made-up people whose faces follow from their voices by a known map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.plan import Plan
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.models.conditioning import Condition
from ds2f.training.pairs import Looks, PairData
from ds2f.types import AGE_BINS, ETHNICITIES, Attributes
from helpers import PLAN, extracted, item, wanting

MAP = np.random.default_rng(9).normal(size=(12, 6)).astype(np.float32)


def made_up_pairs(count: int, seed: int, clips: int = 1, noise: float = 0.5) -> PairData:
    """`clips` rows of each person: a 12-d voice, a 6-d identity = voice @ MAP + noise. The gender is in the first
    number of the voice, the age in the first of the identity."""
    rng = np.random.default_rng(seed)
    voice = np.repeat(rng.normal(size=(count, 12)).astype(np.float32), clips, 0)
    identity = voice @ MAP + noise * rng.normal(size=(count * clips, 6)).astype(np.float32)
    return PairData(
        {"campplus-frames": Condition.of(torch.from_numpy(voice))},
        identity,
        np.repeat(np.arange(count), clips),
        Looks(
            45 + 5 * identity[:, 0],
            (voice[:, 0] > 0).astype(np.float32),
            np.full((count * clips, 5), 0.2, np.float32),
        ),
    )


def ten_clips_each(seed: int, people: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, 64) voices, (n, 16) identities and (n,) whose they are: ten clips of each person, much alike. A little of a
    face follows from the voice."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 10)
    voice = rng.normal(size=(people, 64))
    voice[:, :4] *= 2
    identity = 0.5 * voice[:, :4] @ rng.normal(size=(4, 16)) + rng.normal(size=(people, 16))
    voice = voice[person] + 0.3 * rng.normal(size=(len(person), 64))
    return voice, identity[person] + 0.1 * rng.normal(size=(len(person), 16)), person


def paired_dataset(dataset: Dataset, count: int, plan: Plan = PLAN, seconds: tuple[float, ...] = (6.0,)) -> None:
    """Enter `count` recordings of as many people, with one clip of each length and attributes. The first 6 numbers of
    the identity follow from the first 12 of the voice."""
    rng = np.random.default_rng(0)
    dataset.add_items(Path("/videos"), "video", [item(f"{i:04d}.mp4", str(i)) for i in range(count)], SplitRule())
    plan = replace(plan, voices=tuple((s, "campplus-frames") for s in seconds), attributes=("ds2f-attributes",))
    for number, job in enumerate(wanting(dataset, plan)):
        voice = rng.normal(size=512).astype(np.float32)
        identity = rng.normal(size=128).astype(np.float32)
        identity[:6] = voice[:12] @ MAP
        made = extracted(number)
        assert made.face is not None
        female = float(voice[0] > 0)
        looks = Attributes(
            45 + 5 * float(identity[0]),
            dict.fromkeys(AGE_BINS, 1 / 9),
            {"male": 1 - female, "female": female},
            dict.fromkeys(ETHNICITIES, 0.2),
        )
        result = replace(
            made,
            face=replace(made.face, identity=identity),
            clips={s: (4.0, 1.0) for s in seconds},
            voices={(s, "campplus-frames"): voice + 0.1 * rng.normal(size=512).astype(np.float32) for s in seconds},
            attributes={"ds2f-attributes": looks},
        )
        store(dataset, job, result, plan)
