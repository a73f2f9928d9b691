"""How real the faces look, all together, and how like the people told, for steps, guidance and the fast decoder.

python benchmarks/realism.py DATABASE [--model FOLDER] [--split test] [--faces 500]

Identities of some real faces of the split are drawn, and held against the other real faces of the split: Fréchet and
kernel distance in dlib's space, lower is better, beside what those real faces themselves score. likeness: centred
cosine between the identity told and the face drawn; precision, recall: shares of the drawn among the real, and back.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ds2f.dataset import Dataset
from ds2f.evaluation.realism import frechet_distance, kernel_distance, precision
from ds2f.pipeline import Settings, Speech2Face
from ds2f.training.likeness import Likeness

BATCH = 16
VARIANTS = {
    "multistep, 4 steps": Settings(steps=4),
    "multistep, 6 steps": Settings(steps=6),
    "multistep, 10 steps": Settings(fast=False),
    "multistep, 20 steps": Settings(steps=20),
    "10 steps, guidance 1": Settings(guidance=1.0),
    "10 steps, guidance 1.5": Settings(guidance=1.5),
    "10 steps, guidance 3": Settings(guidance=3.0),
    "10 steps, noise 1": Settings(noise=1.0, fast=False),
    "fast decoder": Settings(),
    "fast decoder, noise 1": Settings(noise=1.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--faces", type=int, default=500)
    parser.add_argument("--only", default="", metavar="TEXT", help="variants whose name has this in it")
    options = parser.parse_args()
    model = Speech2Face.from_pretrained(options.model, device="cpu")
    with Dataset(options.database) as dataset:
        real = np.stack([row.identity for row in dataset.faces(options.split)])
    chosen = np.random.default_rng(0).permutation(len(real))
    told, others = real[chosen[: options.faces]], real[chosen[options.faces :]]
    judge = Likeness(cast(Tensor, model.decoder.conditioning.identity_mean))
    print(f"{len(told)} drawn, {len(others)} real\n")
    print("| | Fréchet | kernel x1000 | precision | recall | likeness | s per face |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(_row("the real faces themselves", told, others, told, 0.0, judge), flush=True)
    for name, settings in VARIANTS.items():
        if options.only not in name:
            continue
        started = time.perf_counter()
        pictures = model.draw(told, range(len(told)), settings)
        seconds = (time.perf_counter() - started) / len(told)
        x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
        drawn = torch.cat([judge.vectors(x[i : i + BATCH]) for i in range(0, len(x), BATCH)]).numpy()
        print(_row(name, drawn, others, told, seconds, judge), flush=True)


def _row(name: str, drawn: np.ndarray, real: np.ndarray, told: np.ndarray, seconds: float, judge: Likeness) -> str:
    mean = judge.mean.numpy()
    unit = [(x - mean) / np.linalg.norm(x - mean, axis=1, keepdims=True) for x in (drawn, told)]
    numbers = [
        f"{frechet_distance(drawn, real):.4f}",
        f"{1000 * kernel_distance(drawn, real):.2f}",
        f"{precision(drawn, real).mean():.2f}",
        f"{precision(real, drawn).mean():.2f}",
        f"{(unit[0] * unit[1]).sum(1).mean():.3f}",
        f"{seconds:.3f}" if seconds else "",
    ]
    return f"| {name} | {' | '.join(numbers)} |"


if __name__ == "__main__":
    with torch.no_grad():
        main()
