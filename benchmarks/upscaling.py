"""What --upscale does to a face's identity: drawn faces before and after, by recognisers that no training has seen.

    python benchmarks/upscaling.py RECORDING... --judge tflite:MobileFaceNet.tflite [--judge ...] [--count 8]
        [--factor 2 4] [--out FOLDER]

--out: for visual inspection, each face in a row, by bicubic interpolation and upscaled.

For each judge: the cosine of a face with its upscaled version, next to that with bicubic interpolation (what the size
alone changes), and of a face with the others drawn for that voice and for other voices (how different another person
is); and how often the upscaled face's nearest neighbour among all faces is its own original.
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
    parser.add_argument("--factor", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    model, encoder = Speech2Face.from_pretrained(device="cpu", size=128), FaceEncoder()
    drawn = model(options.recordings, count=options.count)
    faces = [np.asarray(face.image) for of_voice in drawn for face in of_voice]
    voices = np.repeat(np.arange(len(drawn)), options.count)
    judges = [registry.load_embedder(spec) for spec in options.judge]
    known = [_vectors(encoder, judge, faces) for judge in judges]
    for factor in options.factor:
        enlarged = _enlarged(faces, factor)
        side = len(enlarged[0])
        plain = [cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC) for face in faces]
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            for number, pair in enumerate(zip(plain, enlarged, strict=True)):
                cv2.imwrite(
                    str(options.out / f"x{factor}-{number}.png"), cv2.cvtColor(np.hstack(pair), cv2.COLOR_RGB2BGR)
                )
        for judge, own in zip(judges, known, strict=True):
            _compare(judge.name, voices, own, *(_vectors(encoder, judge, pictures) for pictures in (enlarged, plain)))


def _enlarged(faces: list[np.ndarray], factor: int) -> list[np.ndarray]:
    larger(faces[0][:8, :8], factor)  # loads the network
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    enlarged = [larger(face, factor) for face in faces]
    used = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    wall = time.perf_counter() - started
    side, count = len(enlarged[0]), len(faces)
    print(f"{count} faces to {side} px: {used / count:.1f} s of processor time each, {wall / count:.1f} s", flush=True)
    return enlarged


def _compare(name: str, voices: np.ndarray, own: np.ndarray, up: np.ndarray, bicubic: np.ndarray) -> None:
    """Vectors of n faces, of their enlargements by the network and by interpolation: (n, d) each."""
    seen = np.isfinite(own).all(1) & np.isfinite(up).all(1) & np.isfinite(bicubic).all(1)
    count = len(own)
    own, up, bicubic, of = own[seen], up[seen], bicubic[seen], voices[seen]
    between = own @ own.T
    same_voice = (of[:, None] == of) & ~np.eye(len(of), dtype=bool)
    print(f"{name}, {len(own)} of {count} faces found before and after:")
    print(f"  with its enlargement            {_spread((own * up).sum(1))}")
    print(f"  with its bicubic enlargement    {_spread((own * bicubic).sum(1))}")
    print(f"  with others of the same voice   {_spread(between[same_voice])}")
    print(f"  with those of other voices      {_spread(between[of[:, None] != of])}")
    print(f"  nearest of all is its own       {np.mean((up @ own.T).argmax(1) == np.arange(len(own))):.1%}", flush=True)


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
