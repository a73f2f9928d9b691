"""Faces cropped by hand and shrunk to a few pixels, completed as guides: used as they are, and aligned.

    python benchmarks/tiny_guides.py DATABASE lfw.tar --judge tflite:MobileFaceNet.tflite [--sizes 8,12,16,24]
        [--sheet FILE]

Heads of the test split of DATABASE, and turned heads of LFW (the nose at least TURNED eye distances from midway between
the eyes), are cropped as one would by hand: a square of 2.6 to 4.2 eye distances (for LFW as if they were not turned),
up to 0.35 of them off centre. Each is completed without a voice, as it is and by `FaceEncoder.align`, and by the latter
with a voice: heads of DATABASE with their own, those of LFW with that of one of the others. Found: by the
detector in the drawn picture; likeness: cosine to the true face by the judge, which training has not seen, 0 if no face
is found; shape: deviation of landmarks from the true ones after the best similarity transform, in eye distances;
streaks: how much the top eighth of the picture changes horizontally relative to vertically, which is a lot where a
guide's border has been extended; kernel: distance to the true faces in the judge's space (Bińkowski et al. 2018); guide
off: deviation from the true landmarks of those of the guide as it is, and of those from eigenfaces, for the two kinds
of heads. Intervals over faces, each of another person.
"""

from __future__ import annotations

import argparse
import itertools
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ds2f.dataset.pairing import paired
from ds2f.dataset.queries import Dataset
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.realism import kernel_distance
from ds2f.face.align import similarity, template
from ds2f.face.eigenfaces import locate
from ds2f.face.encode import FaceEncoder, enlarged
from ds2f.face.file_embedder import FileEmbedder
from ds2f.io.images import decode_image, write_grid
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from ds2f.types import DetectedFace

SIZE, TURNED, SURE = 256, 0.22, 0.9


@dataclass(frozen=True)
class Cut:
    """A head cropped by hand: (SIZE, SIZE, 3) uint8 RGB, its (5, 2) landmarks there, whether it is turned, and a voice,
    (d,)."""

    picture: np.ndarray
    landmarks: np.ndarray
    turned: bool
    voice: np.ndarray

    @property
    def eyes(self) -> float:
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("lfw", type=Path, help="tar of lfw/Person_Name/Person_Name_NNNN.webp")
    parser.add_argument("--judge", required=True, help="onnx:FILE, tflite:FILE or ncnn:FILE.param")
    parser.add_argument("--faces", type=int, default=20, help="of each kind (default: 20)")
    parser.add_argument("--sizes", default="8,12,16,24", help="pixels across (default: 8,12,16,24)")
    shown = (
        "of the first size: true, as it lies and drawn from that, aligned and drawn from that, without and with a voice"
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE", help=shown)
    options = parser.parse_args()
    encoder, judge = FaceEncoder(), FileEmbedder(options.judge)
    crops, voices = of_test(options.database, options.faces)
    heads = [(picture, 0.0) for picture in crops]
    cuts = by_hand(encoder, [*heads, *turned(options.lfw, encoder, options.faces)], voices)
    model, settings = Speech2Face.from_pretrained(device="cpu"), replace(SamplingSettings(), watermark=False)
    true = judge.embed([cut.picture for cut in cuts], [_face(cut.landmarks) for cut in cuts])
    print("| px | guide | found | likeness | shape off | streaks | kernel x 1000 |\n|" + " --- |" * 7)
    for number, size in enumerate(map(int, options.sizes.split(","))):
        tiny = [cv2.resize(cut.picture, (size, size), interpolation=cv2.INTER_AREA) for cut in cuts]
        as_they_lie = [cv2.resize(t, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for t in tiny]
        ways = {"as it lies": np.stack(as_they_lie), "aligned": np.stack([encoder.align(t, SIZE) for t in tiny])}
        drawn = {w: model.sample_images(None, range(len(cuts)), settings, guides=g) for w, g in ways.items()}
        faces = model.sample_faces(
            np.stack([cut.voice for cut in cuts]), range(len(cuts)), settings, guides=ways["aligned"]
        )
        drawn["aligned, with a voice"] = np.stack([np.asarray(face.image) for face in faces])
        found = {way: measured(pictures, cuts, true, encoder, judge) for way, pictures in drawn.items()}
        for way, (values, kernel) in found.items():
            print(f"| {size} | {way} | {' | '.join(map(_said, values))} | {kernel:.2f} |", flush=True)
        before, after = (found[way][0] for way in ways)
        places = {
            "as it lies": [template(SIZE)] * len(cuts),
            "eigenfaces alone": [locate(t) * SIZE / size for t in tiny],
        }
        for way, found_at in places.items():
            off = [(_off(points, cut), cut.turned) for points, cut in zip(found_at, cuts, strict=True)]
            kinds = ([far for far, turned in off if turned == kind] for kind in (False, True))
            print(
                f"| {size} | {way}: guide off, of the test split and turned | {' | '.join(map(_said, kinds))} | | | |"
            )
        print(f"| {size} | difference | {' | '.join(_said(b - a) for a, b in zip(before, after, strict=True))} | |")
        if options.sheet and not number:
            columns = [[cut.picture for cut in cuts], *(list(p) for way in ways for p in (ways[way], drawn[way]))]
            columns.append(list(drawn["aligned, with a voice"]))
            write_grid(options.sheet, [np.stack(row) for row in zip(*columns, strict=True)])


def of_test(database: Path, count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Stored crops and voices, one of each per person."""
    with Dataset(database) as data:
        pairs = paired(data, "test")
    first = list({pair.person: pair for pair in reversed(pairs)}.values())[::-1][:count]
    return [decode_image(pair.crop) for pair in first], [pair.voice for pair in first]


def turned(tar: Path, encoder: FaceEncoder, count: int) -> list[tuple[np.ndarray, float]]:
    """Pictures with one head, turned, of different people, and its `yaw`."""
    found: dict[str, tuple[np.ndarray, float]] = {}
    with tarfile.open(tar) as opened:
        members = [member for member in opened.getmembers() if member.isfile()]
        np.random.default_rng(0).shuffle(members)
        for member in members:
            person, file = member.name.split("/")[1], opened.extractfile(member)
            assert file is not None
            if person in found:
                continue
            picture = decode_image(file.read())
            faces = encoder.detect(enlarged(picture))
            if len(faces) == 1 and abs(yaw(faces[0].landmarks)) >= TURNED:
                found[person] = picture, yaw(faces[0].landmarks)
            if len(found) == count:
                break
    return list(found.values())


def yaw(landmarks: np.ndarray) -> float:
    """How far the nose is from midway between the eyes, in eye distances."""
    eyes = landmarks[1] - landmarks[0]
    return float((landmarks[2] - (landmarks[0] + landmarks[1]) / 2) @ eyes / (eyes @ eyes))


def by_hand(encoder: FaceEncoder, heads: list[tuple[np.ndarray, float]], voices: list[np.ndarray]) -> list[Cut]:
    """Pictures, and how far the head in each is turned to the side, see `yaw`; voices for them, in turn."""
    rng, cuts = np.random.default_rng(1), []
    for (small, aside), voice in zip(heads, itertools.cycle(voices)):
        picture = enlarged(small)
        faces = encoder.detect(picture)
        if not faces:
            continue
        landmarks = faces[0].landmarks
        eyes = np.linalg.norm(landmarks[1] - landmarks[0]) / max(0.55, 1 - abs(aside))
        scale = SIZE / (eyes * rng.uniform(2.6, 4.2))
        middle = landmarks.mean(0) + rng.uniform(-0.35, 0.35, 2) * eyes
        move = np.hstack([scale * np.eye(2), (SIZE / 2 - scale * middle)[:, None]]).astype(np.float32)
        cut = cv2.warpAffine(picture, move, (SIZE, SIZE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        cuts.append(Cut(cut, (landmarks @ move[:, :2].T + move[:, 2]).astype(np.float32), aside != 0, voice))
    return cuts


def measured(
    pictures: np.ndarray, cuts: list[Cut], true: np.ndarray, encoder: FaceEncoder, judge: FileEmbedder
) -> tuple[list[np.ndarray], float]:
    """(n,) each: found, likeness, shape, streaks; and the kernel distance."""
    rows, vectors = [], []
    for small, cut, of_true in zip(pictures, cuts, true, strict=True):
        picture = enlarged(small)
        faces = encoder.detect(picture)
        if not faces:
            rows.append((0.0, 0.0, np.nan, streaks(small)))
            continue
        vectors.append(judge.embed([picture], faces[:1])[0])
        move = similarity(faces[0].landmarks.astype(np.float64), cut.landmarks.astype(np.float64))
        off = _off(faces[0].landmarks @ move[:, :2].T + move[:, 2], cut)
        rows.append((float(faces[0].score >= SURE), float(vectors[-1] @ of_true), off, streaks(small)))
    return list(np.array(rows).T), 1000 * kernel_distance(np.stack(vectors), true)


def streaks(picture: np.ndarray) -> float:
    """Of (SIZE, SIZE, 3) uint8 RGB: mean change from pixel to pixel sideways over that downwards, in the top eighth."""
    top = picture[: SIZE // 8].astype(float)
    sideways, downwards = (np.abs(np.diff(top, axis=axis)).mean() for axis in (1, 0))
    return float(sideways / max(downwards, 1e-6))


def _face(landmarks: np.ndarray) -> DetectedFace:
    return DetectedFace((0, 0, SIZE, SIZE), landmarks, 1.0)


def _off(landmarks: np.ndarray, cut: Cut) -> float:
    """How far (5, 2) landmarks are from the true ones, in eye distances."""
    return float(np.linalg.norm(landmarks - cut.landmarks, axis=1).mean() / cut.eyes)


def _said(values: Sequence[float] | np.ndarray) -> str:
    found = Bootstrap([str(i) for i in range(len(values))], 1000, 0).mean(np.asarray(values))
    assert found is not None
    return f"{found.value:.2f} [{found.low:.2f} to {found.high:.2f}]"


if __name__ == "__main__":
    main()
