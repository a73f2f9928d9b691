"""What --upscale does to whom a face shows: drawn faces before and after, by recognisers that no training has seen.

python benchmarks/upscaling.py RECORDING... --judge tflite:MobileFaceNet.tflite [--judge ...] [--count 8] [--factor 4]

For each judge: the cosine of a face with its own enlargement, beside that of the enlargement by bicubic interpolation
(what looking closer changes by itself) and of a face with the others drawn for that voice and for other voices (how
different another person is); and how often the enlargement's nearest of all faces is its own.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import cv2
import numpy as np

from ds2f.face import registry
from ds2f.face.base import FaceEmbedder
from ds2f.face.encode import FaceEncoder
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.upscale import larger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--judge", action="append", required=True)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--factor", type=int, default=4)
    options = parser.parse_args()
    model, encoder = Speech2Face.from_pretrained(device="cpu"), FaceEncoder()
    drawn = model(options.recordings, count=options.count)
    faces = [np.asarray(face.image) for of_voice in drawn for face in of_voice]
    larger(faces[0][:8, :8], options.factor)  # loads
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    enlarged = [larger(face, options.factor) for face in faces]
    used = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    wall = time.perf_counter() - started
    side = len(enlarged[0])
    print(
        f"{len(faces)} faces to {side} px: {used / len(faces):.1f} s of processor time each, {wall / len(faces):.1f} s"
    )
    plain = [cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC) for face in faces]
    voices = np.repeat(np.arange(len(drawn)), options.count)
    for spec in options.judge:
        judge = registry.load_embedder(spec)
        own, up, bicubic = (_vectors(encoder, judge, pictures) for pictures in (faces, enlarged, plain))
        seen = np.isfinite(own).all(1) & np.isfinite(up).all(1) & np.isfinite(bicubic).all(1)
        own, up, bicubic, of = own[seen], up[seen], bicubic[seen], voices[seen]
        between = own @ own.T
        same_voice = (of[:, None] == of) & ~np.eye(len(of), dtype=bool)
        print(f"{judge.name}, {len(own)} of {len(faces)} faces found before and after:")
        print(f"  with its enlargement            {_spread((own * up).sum(1))}")
        print(f"  with its bicubic enlargement    {_spread((own * bicubic).sum(1))}")
        print(f"  with others of the same voice   {_spread(between[same_voice])}")
        print(f"  with those of other voices      {_spread(between[of[:, None] != of])}")
        print(f"  nearest of all is its own       {np.mean((up @ own.T).argmax(1) == np.arange(len(own))):.1%}")


def _vectors(encoder: FaceEncoder, judge: FaceEmbedder, pictures: list[np.ndarray]) -> np.ndarray:
    """(n, d) of length 1; NaN where the detector finds no face."""
    rows = []
    for picture in pictures:
        scale = 512 / len(picture)  # the detector looks at all of them alike
        image = cv2.resize(picture, (512, 512), interpolation=cv2.INTER_CUBIC) if scale > 1 else picture
        found = encoder.detect(image)
        rows.append(judge.embed([image], found[:1])[0] if found else np.full(judge.dim, np.nan, np.float32))
    return np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)


def _spread(values: np.ndarray) -> str:
    low, middle, high = np.percentile(values, [5, 50, 95])
    return f"median {middle:.3f}, 5 to 95 %: {low:.3f} to {high:.3f}"


if __name__ == "__main__":
    main()
