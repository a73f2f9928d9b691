"""What sampler, steps and guidance do to faces: how close to the converged picture, how similar to the given person.

    python benchmarks/sampling.py DATABASE [--model FOLDER] [--split val] [--people 24]

rmse: relative to 100 steps of Heun from the same noise, pixels in [-1, 1]. likeness: centred cosine in dlib's space
between the given identity and the face drawn. variety: mean distance in that space between two seeds of one identity.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ds2f.dataset import Dataset
from ds2f.diffusion.flow import Predict
from ds2f.diffusion.guidance import Guidance, guided
from ds2f.diffusion.samplers import SAMPLERS, heun, multistep
from ds2f.models.conditioning import Condition
from ds2f.speech2face.model import Speech2Face
from ds2f.training.likeness import Likeness

NOISE = 0.85  # the pipeline's default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--people", type=int, default=24)
    options = parser.parse_args()
    decoder = Speech2Face.from_pretrained(options.model, device="cpu").decoder
    with Dataset(options.database) as dataset:
        rows = [row.identity for row in dataset.faces(options.split)]
    chosen = np.random.default_rng(0).choice(len(rows), options.people, replace=False)
    identity = torch.from_numpy(np.stack([rows[i] for i in chosen]))
    told = {"identity": Condition.of(identity), "coverage": Condition.of(torch.ones(len(identity), 1))}
    judge = Likeness(cast(Tensor, decoder.conditioning.identity_mean))

    def noise(seed: int) -> Tensor:
        shape = (len(identity), 3, decoder.config.size, decoder.config.size)
        return NOISE * decoder.config.noise * torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    def drawn(sampler: Callable[..., Tensor], predict: Predict, steps: int, seed: int = 0) -> Tensor:
        return decoder.denormalise(sampler(predict, noise(seed), steps))

    predict = guided(decoder, told, Guidance(2.0))
    reference = drawn(heun, predict, 100)
    print("sampler   steps  evaluations   rmse  likeness  s per face")
    for name, sampler in SAMPLERS.items():
        for steps in (2, 4, 6, 10, 20) if sampler is heun else (2, 4, 6, 10, 20, 40):
            started = time.perf_counter()
            faces = drawn(sampler, predict, steps)
            seconds = (time.perf_counter() - started) / len(identity)
            evaluations = 2 * steps - 1 if sampler is heun else steps
            error = float((faces - reference).square().mean().sqrt())
            like = float(judge(faces, identity).mean())
            print(f"{name:9} {steps:5} {evaluations:12} {error:6.3f} {like:9.3f} {seconds:11.3f}", flush=True)

    print("\nguidance  interval    likeness  variety")
    for weight in (1.0, 1.5, 2.0, 3.0, 4.0):
        for start, end in ((0.0, 1.0), (0.1, 0.7)) if weight > 1 else ((0.0, 1.0),):
            guide = guided(decoder, told, Guidance(weight, start=start, end=end))
            pictures = [drawn(multistep, guide, 10, seed) for seed in (0, 1)]
            like = float(torch.stack([judge(faces, identity) for faces in pictures]).mean())
            vectors = [judge.vectors(faces) for faces in pictures]
            variety = float((vectors[0] - vectors[1]).norm(dim=1).mean())
            print(f"{weight:8} {start:5}-{end:3} {like:12.3f} {variety:8.3f}", flush=True)


if __name__ == "__main__":
    with torch.no_grad():
        main()
