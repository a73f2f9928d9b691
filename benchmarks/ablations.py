"""What each component contributes to the prior: fitted with and without it, measured on people it has not seen.

    python benchmarks/ablations.py dataset.db [--speech path/to/speech]

Every variant predicts the identity vector of each held-out voice; the true faces are ranked by cosine to it, relative
to the mean face; sampled identities are drawn four times. There are two measurements: the validation split after
fitting on train; and, for the linear maps, five folds by person of the train split, each a gallery of its own, with ten
times as many voices. The test split is not used.

The dataset needs acoustic features ([audio] acoustics). --speech is a folder with speakers.csv (path, source, speaker,
sex): voices of known gender without a face, such as those of LibriSpeech and RAVDESS.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from ds2f.config import Audio, Train
from ds2f.dataset import Dataset
from ds2f.dataset.recordings import stored_voices
from ds2f.errors import ItemError
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.results import Measure
from ds2f.evaluation.retrieval import rank
from ds2f.models import store
from ds2f.models.linear import Products, choose_alpha
from ds2f.models.prior import Prior, PriorConfig
from ds2f.models.voices import VoiceInputs
from ds2f.speech2face.imagine import Wished, around_expected
from ds2f.speech2face.settings import SamplingSettings
from ds2f.training.genders import GenderAxis, fit_map
from ds2f.training.loop import Options, train
from ds2f.training.pairs import Looks, PairData, folds, load_pairs
from ds2f.training.prior import PriorTask
from ds2f.types import GENDERS, VOICE, Wish
from ds2f.voice.encode import VoiceEncoder

FOLDS = 5
DRAWS = 4
TEMPERATURE, GUIDANCE = SamplingSettings.temperature, SamplingSettings.voice_guidance
FITTED: dict[int, Prior] = {}  # variants that differ only in guidance share a flow


Predict = Callable[[PairData, PairData], np.ndarray]
"""(pairs to fit on, pairs of other people) to identity vectors for the latter, (n, 128), or (draws, n, 128)."""


def ridge(names: tuple[str, ...], speakers: tuple[np.ndarray, np.ndarray] | None = None) -> Predict:
    """The linear map from some descriptions of the voice, optionally also fitted to the gender of voices without a
    face: (k, d) and (k,) int."""

    def predict(known: PairData, held_out: PairData) -> np.ndarray:
        inputs = VoiceInputs({name: d for name, d in known.dims.items() if name in names})
        inputs.fit(known.voices)
        x, y = inputs(known.voices).numpy(), known.identity
        alpha = choose_alpha(x, y, known.person)
        pairs = Products.of(x, y)
        axis = GenderAxis.of(y, known.looks.genders, *speakers) if speakers else None
        return fit_map(pairs, alpha, axis).predict(inputs(held_out.voices).numpy())

    return predict


def only_first_clip(predict: Predict) -> Predict:
    """Fit on one clip per person instead of all."""
    return lambda known, held_out: predict(known.rows(np.unique(known.person, return_index=True)[1]), held_out)


def flow(steered: bool = False) -> Predict:
    """The flow over what the linear map leaves open, sampled with the defaults of `ds2f generate`. steered: guided by
    the age and gender that a model predicts for the true face, by Bayes' rule."""

    def predict(known: PairData, held_out: PairData) -> np.ndarray:
        if id(known) not in FITTED:
            FITTED[id(known)] = fit_flow(known, held_out)
        looks = held_out.looks if steered else None
        return np.stack([draw(FITTED[id(known)], held_out, looks, seed) for seed in range(DRAWS)])

    return predict


def fit_flow(known: PairData, held_out: PairData) -> Prior:
    torch.manual_seed(0)
    prior = Prior(PriorConfig())
    task = PriorTask(prior, known, held_out, torch.device("cpu"))
    settings = Train()
    with TemporaryDirectory() as folder:
        total = settings.prior_steps * settings.prior_batch
        options = Options(Path(folder), settings.prior_batch, total, settings.prior_lr, 0, save_seconds=1e9)
        fitted = train(task, options)
    assert isinstance(fitted, Prior)
    print(f"    validation loss {task.validate(fitted):.4f}", flush=True)
    return fitted


@torch.no_grad()
def draw(prior: Prior, pairs: PairData, looks: Looks | None, seed: int) -> np.ndarray:
    """(n, 128) identities for the voices, sampled as by `Speech2Face`. looks: age and gender to be steered towards."""
    mean = prior.predict_mean(prior.inputs(pairs.voices))
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
    sample = partial(around_expected, prior, temperature=TEMPERATURE, voice_guidance=GUIDANCE)
    if looks is None:
        return sample(mean, prior.identity_mean, noise).numpy()
    head = store.load_attributes(store.shipped())
    wishes = [Wish(float(age), GENDERS[int(f <= 0.5)]) for age, f in zip(looks.age, looks.female, strict=True)]
    rows = zip(mean.split(1), noise.split(1), wishes, strict=True)
    return torch.cat([sample(m, prior.identity_mean, z, wished=Wished(head, wish)) for m, z, wish in rows]).numpy()


@dataclass(frozen=True)
class Found:
    """hit: (n,) R@10 of each voice; place: (n,) expected rank; size: of the gallery."""

    hit: np.ndarray
    place: np.ndarray
    size: float

    @classmethod
    def of(cls, predict: Predict, known: PairData, held_out: PairData) -> Found:
        mean, people = known.identity.mean(0), [str(p) for p in held_out.person]
        vectors = predict(known, held_out)
        drawn = vectors if vectors.ndim == 3 else vectors[None]
        every = [rank(v - mean, held_out.identity - mean, people, "cosine") for v in drawn]
        hit, place = (np.mean(x, 0) for x in ([r.hit(10) for r in every], [r.middle for r in every]))
        return cls(hit, place, float(np.median(every[0].size)))


def in_folds(predict: Predict, pairs: PairData) -> Found:
    fold = folds(pairs.person, FOLDS)
    parts = [Found.of(predict, pairs.rows(fold != k), pairs.rows(fold == k)) for k in range(FOLDS)]
    order = np.argsort(np.concatenate([np.flatnonzero(fold == k) for k in range(FOLDS)]))
    hit, place = (np.concatenate([getattr(p, name) for p in parts])[order] for name in ("hit", "place"))
    return Found(hit, place, float(np.mean([p.size for p in parts])))


def shown(measure: Measure | None, form: str) -> str:
    if measure is None or measure.low is None or measure.high is None:
        return ""
    return f"{measure.value:{form}} [{measure.low:{form}}-{measure.high:{form}}]"


def load_speech(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The default encoder's vectors for 6 s of each recording with enough speech, (k, d), and the speaker's gender,
    (k,) int."""
    encoder, rows = VoiceEncoder(Audio(), 6.0), []
    for row in csv.DictReader((folder / "speakers.csv").open()):
        try:
            rows.append((encoder.encode(folder / row["path"]).voices[VOICE], GENDERS.index(row["sex"])))
        except ItemError as error:
            print(f"{row['path']}: {error.reason}")
    return np.stack([voice for voice, _ in rows]), np.array([gender for _, gender in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("database", type=Path)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--only", default="", metavar="TEXT", help="variants whose name has this in it")
    options = parser.parse_args()
    with Dataset(options.database) as dataset:
        names = sorted(stored_voices(dataset), key=lambda name: name != VOICE)
        known, held_out = (load_pairs(dataset, split, names, 1) for split in ("train", "val"))
    alone = ridge((VOICE,))
    variants: dict[str, Predict] = {
        f"ridge, {VOICE}": alone,
        **{f"{name} in its place": ridge((name,)) for name in names[1:]},
        **{f"+ {name}": ridge((VOICE, name)) for name in names[1:]},
        "one clip of each person": only_first_clip(alone),
    }
    if options.speech:
        variants["+ voices of known gender"] = ridge((VOICE,), load_speech(options.speech))
    variants |= {"+ flow": flow(), "+ flow, steered to true age and gender": flow(steered=True)}
    print("| | validation: R@10 | median rank | folds: R@10 | median rank |\n| --- | --- | --- | --- | --- |")
    for name, predict in variants.items():
        if options.only not in name:
            continue
        cells = []
        measured = [(Found.of(predict, known, held_out), held_out)]
        if "flow" not in name:  # fitting a flow takes minutes
            measured.append((in_folds(predict, known), known))
        for found, pairs in measured:
            bootstrap = Bootstrap([str(p) for p in pairs.person], 1000)
            hit, place = bootstrap.mean(found.hit), bootstrap.median(found.place)
            cells += [
                shown(hit, ".0%"),
                f"{shown(place, '.0f')} of {found.size:.0f}",
            ]
        print(f"| {name} | {' | '.join([*cells, '', ''][:4])} |", flush=True)


if __name__ == "__main__":
    main()
