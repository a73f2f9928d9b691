"""How much a faint pattern on a face can please dlib's network, and what remains of this when faces are seen
differently.

    python benchmarks/views.py [--size 64]

Each of the eight synthetic faces of the demo gets the pattern, at most 2.5 of 255, that eight gradient steps find to
make it look like the next one; meanwhile the judge sees the faces through one set of views. Prints by how much the
centred cosine rises, as seen through each set of views (means of six drawings).
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor

from ds2f.demo import samples
from ds2f.face.align import canonical_crop
from ds2f.face.mtcnn import MTCNN
from ds2f.io.media import decode
from ds2f.models.pixels import from_uint8
from ds2f.training.likeness import MOVED, VIEWS, Likeness

MOST, STEP, STEPS = 0.02, 0.004, 8  # of pixels in [-1, 1]
SETS = {"as it is": (), "shift, mirror": MOVED, "scale": ("scale",), "noise": ("noise",), "all": VIEWS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="pixels of the crops")
    faces = _faces(parser.parse_args().size)
    likeness = Likeness(torch.zeros(128))
    likeness.mean.copy_(likeness.vectors(faces).mean(0))
    wanted = likeness.vectors(faces).roll(1, 0)
    print(f"| made while seen | {' | '.join(SETS)} |\n| {'--- | ' * (len(SETS) + 1)}")
    for name in ("as it is", "shift, mirror", "all"):
        likeness.views = SETS[name]
        pattern = _pleasing(likeness, faces, wanted)
        gains = [f"{_gain(likeness, views, faces, pattern, wanted):.2f}" for views in SETS.values()]
        print(f"| {name} | {' | '.join(gains)} |", flush=True)


def _faces(size: int) -> Tensor:
    frames = [decode(path, frames=1).frames[0].image for path in sorted(samples().glob("*.mp4"))]
    detector = MTCNN()
    return from_uint8(np.stack([canonical_crop(f, detector.detect(f)[0].landmarks, size) for f in frames]))


def _pleasing(likeness: Likeness, faces: Tensor, wanted: Tensor) -> Tensor:
    pattern = torch.zeros_like(faces)
    for step in range(STEPS):
        pattern.requires_grad_()
        liked = likeness(faces + pattern, wanted, torch.Generator().manual_seed(step)).sum()
        (slope,) = torch.autograd.grad(liked, pattern)
        pattern = (pattern.detach() + STEP * slope.sign()).clamp(-MOST, MOST)
    return pattern


@torch.no_grad()
def _gain(
    likeness: Likeness,
    views: tuple[str, ...],
    faces: Tensor,
    pattern: Tensor,
    wanted: Tensor,
) -> float:
    likeness.views, gains = views, []
    for seed in range(100, 106):
        before, after = (
            likeness(x, wanted, torch.Generator().manual_seed(seed)).mean() for x in (faces, faces + pattern)
        )
        gains.append(float(after - before))
    return float(np.mean(gains))


if __name__ == "__main__":
    main()
