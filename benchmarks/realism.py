"""How realistic faces are as a whole, and how similar to the given people, depending on steps, guidance and the fast
decoder.

    python benchmarks/realism.py DATABASE [--model FOLDER] [--split test] [--faces 500] [--weak FOLDER...]

Identities of some real faces of the split are drawn and compared with the other real faces of the split: Fréchet and
kernel distance in dlib's space (lower is better), next to those of the real faces themselves. likeness: centred cosine
between the given identity and the face drawn; precision, recall: shares of the drawn among the real, and vice versa;
dots: fine structure that all pictures share and those of the decoder with 10 steps lack (rms in 1/255). --weak adds
autoguidance (Karras et al. 2024, arXiv:2406.02507): away from what an older decoder draws, given by its folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import cast

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ds2f.dataset import Dataset
from ds2f.diffusion.samplers import multistep
from ds2f.evaluation.realism import frechet_distance, kernel_distance, precision
from ds2f.face.dlib_torch import embed_crops
from ds2f.models import folders, store
from ds2f.models.conditioning import Condition, Conditions
from ds2f.models.decoder import Decoder
from ds2f.models.pixels import to_uint8
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings, guidance_of
from ds2f.training.likeness import Likeness

BATCH = 16
WEIGHTS = (1.25, 1.5, 2.0)
VARIANTS = {
    "multistep, 4 steps": SamplingSettings(steps=4),
    "multistep, 6 steps": SamplingSettings(steps=6),
    "multistep, 10 steps": SamplingSettings(fast=False),
    "multistep, 20 steps": SamplingSettings(steps=20),
    "10 steps, guidance 1": SamplingSettings(guidance=1.0),
    "10 steps, guidance 1.5": SamplingSettings(guidance=1.5),
    "10 steps, guidance 3": SamplingSettings(guidance=3.0),
    "10 steps, noise 1": SamplingSettings(noise=1.0, fast=False),
    "fast decoder": SamplingSettings(),
    "fast decoder, noise 1": SamplingSettings(noise=1.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--faces", type=int, default=500)
    parser.add_argument("--only", default="", metavar="TEXT", help="variants whose name has this in it")
    parser.add_argument("--weak", type=Path, nargs="+", default=[], metavar="FOLDER")
    options = parser.parse_args()
    size = folders.own_size(options.model or folders.shipped())
    model = Speech2Face.from_pretrained(options.model, device="cpu", size=size)
    with Dataset(options.database) as dataset:
        real = np.stack([row.identity for row in dataset.faces(options.split)])
    chosen = np.random.default_rng(0).permutation(len(real))
    told, others = real[chosen[: options.faces]], real[chosen[options.faces :]]
    judge = Likeness(cast(Tensor, model.decoder.conditioning.identity_mean))
    print(f"{len(told)} drawn, {len(others)} real\n")
    print("| | Fréchet | kernel x1000 | precision | recall | likeness | dots | s per face |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    print(_row("the real faces themselves", told, others, told, judge), flush=True)
    plain = _fine(model.sample_images(told, range(len(told)), SamplingSettings(fast=False)))
    for name, settings in VARIANTS.items():
        if options.only not in name:
            continue
        started = time.perf_counter()
        pictures = model.sample_images(told, range(len(told)), settings)
        seconds = (time.perf_counter() - started) / len(told)
        dots = _dots(_fine(pictures), plain)
        print(_row(name, embed_crops(pictures, judge.network), others, told, judge, dots, seconds), flush=True)
    for folder in options.weak:
        weak = store.load_decoder(folder)
        for weight in WEIGHTS:
            started = time.perf_counter()
            pictures = _autoguided(model.decoder, weak, told, weight)
            seconds = (time.perf_counter() - started) / len(told)
            name = f"10 steps, autoguidance {weight:g} by {folder.name}"
            dots = _dots(_fine(pictures), plain)
            print(_row(name, embed_crops(pictures, judge.network), others, told, judge, dots, seconds), flush=True)


def _autoguided(decoder: Decoder, weak: Decoder, told: np.ndarray, weight: float) -> np.ndarray:
    """x̂ = x̂_weak(c) + w (x̂(c) − x̂_weak(c)) at the times of guidance."""
    if not torch.equal(decoder.image_mean, weak.image_mean) or not torch.equal(decoder.image_std, weak.image_std):
        sys.exit("The older decoder has another mean face: its predictions mean something else.")
    start, end = guidance_of(SamplingSettings()).start, guidance_of(SamplingSettings()).end
    pictures = []
    for first in range(0, len(told), BATCH):
        rows = torch.from_numpy(told[first : first + BATCH]).float()
        conditions = {"identity": Condition.of(rows), "coverage": Condition.of(torch.ones(len(rows), 1))}

        def predict(z: Tensor, t: Tensor, conditions: Conditions = conditions) -> Tensor:
            x: Tensor = decoder(z, t, conditions)
            if not start <= float(t[0]) <= end:
                return x
            other: Tensor = weak(z, t, conditions)
            return other + weight * (x - other)

        seeds = range(first, first + len(rows))
        noise = torch.cat([torch.randn(1, 3, decoder.config.size, decoder.config.size,
                                       generator=torch.Generator().manual_seed(seed)) for seed in seeds])  # fmt: skip
        noise = SamplingSettings.noise * decoder.config.noise * noise
        pictures.append(to_uint8(decoder.denormalise(multistep(predict, noise, SamplingSettings.steps))))
    return np.concatenate(pictures)


def _fine(pictures: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) uint8 to their grey mean, (h, w), without its coarse part."""
    grey = pictures.mean((0, 3))
    return grey - gaussian_filter(grey, 1.2 * len(grey) / 64)


def _dots(fine: np.ndarray, plain: np.ndarray) -> float:
    """Root mean square of the difference over the face, in 1/255."""
    size = len(fine)
    face = (fine - plain)[size // 4 : size * 7 // 8, size * 3 // 16 : size * 13 // 16]
    return float(np.sqrt(np.mean(face**2)))


def _row(
    name: str,
    drawn: np.ndarray,
    real: np.ndarray,
    told: np.ndarray,
    judge: Likeness,
    dots: float | None = None,
    seconds: float | None = None,
) -> str:
    mean = judge.mean.numpy()
    unit = [(x - mean) / np.linalg.norm(x - mean, axis=1, keepdims=True) for x in (drawn, told)]
    numbers = [
        f"{frechet_distance(drawn, real):.4f}",
        f"{1000 * kernel_distance(drawn, real):.2f}",
        f"{precision(drawn, real).mean():.2f}",
        f"{precision(real, drawn).mean():.2f}",
        f"{(unit[0] * unit[1]).sum(1).mean():.3f}",
        "" if dots is None else f"{dots:.1f}",
        "" if seconds is None else f"{seconds:.3f}",
    ]
    return f"| {name} | {' | '.join(numbers)} |"


if __name__ == "__main__":
    with torch.no_grad():
        main()
