"""Face to face: a true identity in, a picture out, embedded again: is it the same person?

    python benchmarks/identity.py DATABASE [--model FOLDER] [--split test] [--faces 200]

The gallery is every face of the split except other photographs of the person drawn; pictures go through detector,
landmarks and dlib's network like real ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from ds2f.dataset import Dataset
from ds2f.evaluation import retrieval
from ds2f.face.dlib_resnet import DlibResNet
from ds2f.face.mtcnn import MTCNN
from ds2f.models import folders
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0, 3.0])
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    size = folders.own_size(options.model or folders.shipped())
    model = Speech2Face.from_pretrained(options.model, device="cpu", size=size)
    detector, embedder = MTCNN(), DlibResNet()
    with Dataset(options.database) as dataset:
        rows = list(dataset.faces(options.split))
        people = np.array([row.person for row in rows])
    gallery = np.stack([row.identity for row in rows])
    mean = model.prior.identity_mean.numpy()
    chosen = np.random.default_rng(0).choice(len(rows), min(options.faces, len(rows)), replace=False)
    print(f"{len(chosen)} of the {len(rows)} faces of {options.split}")
    ways = {"as by default": SamplingSettings()}
    ways |= {f"guidance {g:g}": SamplingSettings(steps=options.steps, guidance=g, fast=False) for g in options.guidance}
    for way, settings in ways.items():
        faces = model.sample_images(gallery[chosen], [int(i) for i in chosen], settings)
        places, likeness, faceless = [], [], 0
        for i, face in zip(chosen, faces, strict=True):
            large = cv2.resize(face, (256, 256), interpolation=cv2.INTER_CUBIC)
            found = detector.detect(large)
            if not found:
                faceless += 1
                places.append(len(rows) / 2)
                continue
            vector = embedder.embed([large], found[:1])[0]
            distance = retrieval.cosine(vector - mean, gallery - mean)
            likeness.append(1 - distance[i])
            places.append(1 + int((distance[people != people[i]] < distance[i]).sum()))
        hit = [f"R@{k} {100 * np.mean(np.array(places) <= k):.0f} %" for k in (1, 5, 10)]
        print(
            f"{way}: {', '.join(hit)}, median rank {np.median(places):.0f}, "
            f"likeness {np.mean(likeness):.3f}, no face found {faceless}",
            flush=True,
        )


if __name__ == "__main__":
    main()
