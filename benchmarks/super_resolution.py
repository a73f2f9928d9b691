"""What super-resolution adds to the decoder's pictures: how much fine detail, its effect on identity, and its cost.

    python benchmarks/super_resolution.py DATABASE --photographs PHOTOS.db --judge tflite:MobileFaceNet.tflite
        [--model FOLDER] [--strength SHARE ...] [--upscale N] [--out SHEET.png]

One picture for each voice of validation and test, as the decoder draws it (enlarged by bicubic interpolation if super-
resolution doubles its size), by super-resolution, and (--upscale, the first N of them) by Real-ESRGAN, compared with
photographs: the validation split of a dataset with [faces] crop_size = 256, without those that are soft or cropped.
Detail: power of skin in octaves of frequency, drawn over real (geometric means, intervals over pictures); anything
finer than 64 periods per picture is beyond the resolution of a decoder of 128 px. Pattern: as in benchmarks/whose.py,
at the period of the decoder's patches. Likeness: cosine, by a recogniser that training has not seen, to the decoder's
picture; Fréchet distance to the faces of the train split in its space.

Also, how soft drawn pictures are, which training imitates in photographs: power of the centre of a face in frequency
bands at the decoder's size, relative to that of reduced photographs, for drawn pictures and for photographs as softened
in training, depending on the blur.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from ds2f.dataset import Dataset
from ds2f.diffusion.plain import first_seeds
from ds2f.evaluation.pattern import LUMA, log_spectra, pattern_energy
from ds2f.evaluation.realism import frechet_distance
from ds2f.io.images import decode_image, write_grid
from ds2f.models import folders, store
from ds2f.models.decoder import Decoder
from ds2f.models.linear import directions
from ds2f.models.pixels import to_uint8
from ds2f.speech2face.finish import finished
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.sampler import by_network
from ds2f.speech2face.settings import DEFAULT
from ds2f.speech2face.upscale import larger
from ds2f.training.faces import Faces, load_faces, pixels_of
from ds2f.training.super_resolution import SuperResolutionTask, added_by, photographs
from ds2f.types import NO_WISH
from face_encoder import seen_by

OCTAVES = {"16 to 32": (16, 32), "32 to 64": (32, 64), "64 to 128": (64, 128)}  # periods in a picture of 256 px
BANDS = (4, 8, 12, 16, 24, 32, 48, 64)  # periods in a picture of the decoder's size
SPREADS = (0.001, 0.6, 1.0, 1.3, 1.6)  # pixels of 128
SQUARE = 16  # pixels: half of the side of a square of skin
DRAWS, SHOWN = 1000, 6


def power(pictures: np.ndarray) -> np.ndarray:
    """Log power of skin in each of OCTAVES: (n, octaves)."""
    spectra = log_spectra(pictures, SQUARE)
    side = spectra.shape[1]
    along = np.abs(np.fft.fftfreq(side)) * pictures.shape[1]
    periods = np.hypot(along[:, None], along)
    return np.stack([spectra[:, (periods >= low) & (periods < high)].mean(1) for low, high in OCTAVES.values()], 1)


def ratio(drawn: np.ndarray, real: np.ndarray) -> list[str]:
    """For each octave, with its interval."""
    rng, found = np.random.default_rng(0), np.exp(drawn.mean(0) - real.mean(0))
    draws = [np.exp(rng.choice(drawn, len(drawn)).mean(0) - rng.choice(real, len(real)).mean(0)) for _ in range(DRAWS)]
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return [f"{a:.2f} [{b:.2f}-{c:.2f}]" for a, b, c in zip(found, low, high, strict=True)]


def softness(pictures: np.ndarray) -> np.ndarray:
    """Power of the centre of faces in BANDS, geometric means over (n, size, size, 3) uint8 RGB."""
    size = pictures.shape[1]
    part, window = slice(3 * size // 16, 13 * size // 16), np.hanning(10 * size // 16)
    grey = (pictures @ LUMA)[:, part, part]
    found = np.abs(np.fft.fft2((grey - grey.mean((1, 2), keepdims=True)) * np.outer(window, window))) ** 2
    along = np.fft.fftfreq(len(window)) * size
    periods = np.hypot(along[:, None], along)
    bands = [found[:, (periods >= low) & (periods < high)].mean(1) for low, high in itertools.pairwise(BANDS)]
    return np.exp(np.log(bands).mean(1))


def print_softness(decoder: Decoder, drawn: np.ndarray, faces: Faces) -> None:
    factor = faces.images(torch.arange(1)).shape[-1] // decoder.config.size
    task, rows = SuperResolutionTask(decoder, faces, faces, torch.device("cpu"), 0, 0, factor), photographs(faces)
    real = softness(to_uint8(F.avg_pool2d(pixels_of(faces, rows, task.device), task.factor)))
    print(f"\n| periods a picture | {' | '.join(f'{a} to {b}' for a, b in itertools.pairwise(BANDS))} |")
    print(f"| --- |{' --- |' * (len(BANDS) - 1)}")
    made = {"drawn": drawn}
    for spread in SPREADS:
        task.soft = (spread, spread)
        pairs = task._pairs(faces, rows, torch.Generator().manual_seed(0))[1]
        made[f"photographs blurred by {spread:g} px, drawn from the last step"] = to_uint8(pairs)
    for name, pictures in made.items():
        print(f"| {name} | {' | '.join(f'{share:.2f}' for share in softness(pictures) / real)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--photographs", type=Path, required=True, metavar="DATABASE")
    parser.add_argument("--judge", required=True, metavar="KIND:FILE")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--strength", type=float, nargs="*", default=[], help="times as much of what is added")
    parser.add_argument("--upscale", type=int, default=0, metavar="N", help="Real-ESRGAN beside it")
    parser.add_argument("--out", type=Path, help="a sheet of some of them")
    options = parser.parse_args()
    folder = options.model or folders.shipped()
    drawing = folders.drawing_of_size(folder)
    model = Speech2Face.from_pretrained(folder, device="cpu")
    sharpen, decoder = model._sharpen, model.decoder.config
    assert sharpen is not None
    with Dataset(options.database) as dataset:
        voices = np.stack([pair.voice for split in ("val", "test") for pair in dataset.pairs(split)])
        real = seen_by(options.judge, [decode_image(pair.crop) for pair in dataset.pairs("train")])
    with Dataset(options.photographs) as dataset:
        faces = load_faces(dataset, "val", drawing.size, seconds=1.0)
    photos = faces.images(photographs(faces)).permute(0, 2, 3, 1).numpy()
    seeds, plain = first_seeds(len(voices)), replace(DEFAULT, watermark=False)
    started = time.perf_counter()
    identities = model.identities_to_draw(voices, seeds, plain)
    drawn = model._drawn(model._given(identities, len(seeds), NO_WISH), seeds, plain)
    first = time.perf_counter() - started
    started = time.perf_counter()
    finer = finished(drawn, seeds, drawing, sharpen)
    then = time.perf_counter() - started
    shape, half = (drawing.size, drawing.size), (drawing.size // 2, drawing.size // 2)
    made = {"as drawn": np.stack([cv2.resize(one, shape, interpolation=cv2.INTER_CUBIC) for one in drawn])}
    made["super-resolution"] = finer
    for share in options.strength:
        network = added_by(store.load_super_resolution(drawing.folder), share)
        made[f"the same, {share:g} times as much added"] = finished(drawn, seeds, drawing, by_network(network))
    if options.upscale:
        made["Real-ESRGAN"] = np.stack(
            [larger(cv2.resize(one, half, interpolation=cv2.INTER_AREA), 2) for one in drawn[: options.upscale]]
        )
    known, of_photos = seen_by(options.judge, list(drawn)), power(photos)
    print(f"{len(drawn)} pictures, {len(photos)} photographs; {first / len(drawn):.3f} s a face to hear and draw,")
    print(f"{then / len(drawn):.3f} s more for super-resolution\n")
    print(f"| | detail: {' | '.join(OCTAVES)} | pattern | likeness | Fréchet |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, pictures in made.items():
        seen = seen_by(options.judge, list(pictures))
        alike = (directions(seen) * directions(known[: len(seen)])).sum(1)
        said = ratio(power(pictures), of_photos)
        period = decoder.patch * drawing.size // decoder.size
        said.append(f"{pattern_energy(log_spectra(pictures, period), log_spectra(photos, period)):.2f}")
        said += [f"{np.median(alike):.3f}", f"{frechet_distance(seen, real):.3f}"]
        print(f"| {name} | {' | '.join(said)} |", flush=True)
    fast = store.load_fast_decoder(drawing.folder)
    assert fast is not None
    print_softness(fast, drawn, faces)
    if options.out:
        write_grid(options.out, [pictures[:: len(drawn) // SHOWN][:SHOWN] for pictures in made.values()], scale=1)


if __name__ == "__main__":
    main()
