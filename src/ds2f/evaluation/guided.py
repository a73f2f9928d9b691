"""Guided mode: true faces are degraded, completed by the decoder with and without the voice, and compared with the
truth.

The degraded picture is the clip's true face, from another video than its voice if there is one. The face encoders use
the face position that the detector finds in the true picture also for degraded and restored ones: hardly any detector
finds a face in eight by eight blocks, but whoever has such a picture knows where in it the face is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from ds2f.config import Faces
from ds2f.dataset import Dataset
from ds2f.diffusion.plain import first_seeds
from ds2f.errors import UserError
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.restoration import fidelity, kept
from ds2f.evaluation.results import RESTORED, SPOILT, WITH_VOICE, Kept, Restoration
from ds2f.evaluation.subjects import Subjects
from ds2f.face.encode import FaceEncoder, enlarged
from ds2f.io.images import decode_image, details_of, read_image, write_face
from ds2f.models.guide import DEGRADATIONS, named
from ds2f.models.pixels import from_uint8, to_uint8
from ds2f.speech2face.draw import BATCH
from ds2f.speech2face.files import made_from, voices_of
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from ds2f.types import Progress, Source, Wish

LEVELS = (0.0, 0.5, 1.0)
FOLDER = "guided"
"""Folder of the restored faces, inside that of the report."""


@dataclass(frozen=True)
class Example:
    """One clip under one degradation. pictures: {description: (size, size, 3) uint8 RGB}, the true one first."""

    clip: str
    degradation: str
    pictures: dict[str, np.ndarray]


@dataclass(frozen=True)
class Guided:
    """Results of guided mode. measures: by degradation and picture; examples: one per degradation, the same clip for
    all strengths of a kind; details: of the model and its settings."""

    measures: tuple[Restoration, ...] = ()
    examples: tuple[Example, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Restorer:
    """Completes degraded faces with a model, and measures the results. The faces are kept as files, so a stopped run
    resumes."""

    def __init__(
        self, model: Speech2Face, settings: SamplingSettings, seed: int = 0, progress: Progress | None = None
    ) -> None:
        """seed: of the first clip's noise; progress: called with (faces drawn, total). Raises UserError for a model
        whose decoder takes no guide."""
        if not model.decoder.config.guide:
            raise UserError(f"The decoder in {model.folder} cannot complete pictures; leave out --guided.")
        self.model, self.settings, self.seed = model, settings, seed
        self.progress = progress

    def measure_restoration(
        self, data: Dataset, split: str, subjects: Subjects, clips: np.ndarray, bootstrap: Bootstrap, folder: Path
    ) -> Guided:
        """Complete and measure. Raises UserError if the dataset lacks an encoder that the model uses.

        data: the dataset.
        split: the one that is measured.
        subjects: its clips and their true faces.
        clips: (m,) int, which of them take part.
        bootstrap: over their people.
        folder: of the report.
        """
        pairs = subjects.measured.pairs
        true = np.stack([self._true(subjects.true.crops[i]) for i in clips])
        voices = voices_of(self.model, data, split, [pairs[i].video_id for i in clips])
        eye = _Eye(true, subjects.spaces, subjects.encoders)
        files = [f"{pairs[i].picture}.png" for i in clips]
        tick = self._ticks(2 * len(DEGRADATIONS) * len(LEVELS) * len(clips))
        measures, examples = [], []
        for number, (kind, level) in enumerate(product(DEGRADATIONS, LEVELS)):
            words, place = named(kind, level), folder / FOLDER / f"{kind}-{level:g}"
            spoilt = spoil(true, kind, level)
            shown = {
                SPOILT: spoilt,
                RESTORED: self._complete(spoilt, None, [place / "alone" / file for file in files], tick),
                WITH_VOICE: self._complete(spoilt, voices, [place / "voice" / file for file in files], tick),
            }
            for name, pictures in shown.items():
                psnr, ssim = fidelity(pictures, true, bootstrap)
                left = _kept(eye.vectors(pictures), subjects, clips, bootstrap)
                measures.append(Restoration(kind, level, words, name, len(clips), psnr, ssim, left))
            one = number // len(LEVELS) % len(clips)
            pictures_of_one = {"true face": true[one], **{name: pictures[one] for name, pictures in shown.items()}}
            examples.append(Example(pairs[clips[one]].path, words, pictures_of_one))
        details = {"folder": str(self.model.folder), "seed": self.seed, **self.model.details(self.settings)}
        return Guided(tuple(measures), tuple(examples), details)

    def _true(self, crop: bytes) -> np.ndarray:
        """A stored crop at the decoder's size, which is that of its guides."""
        return self._reduced(decode_image(crop))

    def _reduced(self, picture: np.ndarray) -> np.ndarray:
        return cv2.resize(picture, (self.model.decoder.config.size,) * 2, interpolation=cv2.INTER_AREA)

    def _complete(
        self, spoilt: np.ndarray, voices: np.ndarray | None, files: Sequence[Path], tick: Callable[[int], None]
    ) -> np.ndarray:
        """(m, size, size, 3) uint8 RGB, of the size of the degraded pictures; read from `files` where these exist
        and were made from the same inputs. voices: (m, d), None to complete without."""
        seeds = [self.seed + first for first in first_seeds(len(files))]
        details = [self.model.details(self.settings, Wish(guide=guide)) for guide in spoilt]
        made: list[dict[str, Any]] = [{"seed": seed, **of_face} for seed, of_face in zip(seeds, details, strict=True)]
        if voices is not None:
            made = [made_from(of_face, voice) for of_face, voice in zip(made, voices, strict=True)]
        todo = [i for i, file in enumerate(files) if details_of(file) != made[i]]
        tick(len(files) - len(todo))
        for start in range(0, len(todo), BATCH):
            rows = todo[start : start + BATCH]
            chosen = [seeds[i] for i in rows]
            if voices is None:
                drawn = self.model.sample_images(None, chosen, self.settings, guides=spoilt[rows])
                images = [Image.fromarray(face) for face in drawn]
            else:
                faces = self.model.sample_faces(voices[rows], chosen, self.settings, guides=spoilt[rows])
                images = [face.image for face in faces]
            for i, image in zip(rows, images, strict=True):
                write_face(files[i], image, made[i], signer=self.model.signer)
            tick(len(rows))
        return np.stack([self._reduced(read_image(Source(file))) for file in files])

    def _ticks(self, total: int) -> Callable[[int], None]:
        done = 0

        def tick(more: int) -> None:
            nonlocal done
            done += more
            if self.progress is not None and more:
                self.progress(done, total)

        return tick


class _Eye:
    """The face encoders, applied to different pictures of the same faces at the same positions."""

    def __init__(self, true: np.ndarray, spaces: Sequence[str], encoders: Sequence[str]) -> None:
        """true: (n, size, size, 3) uint8 RGB; encoders: see `Subjects`."""
        self._encoder = FaceEncoder(Faces(encoders=list(encoders)))
        self._dims = {space: self._encoder.embedder(space).dim for space in spaces}
        self._faces = [next(iter(self._encoder.detect(enlarged(picture))), None) for picture in true]

    def vectors(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        """{space: (n, d)}, a row of NaN where even the true picture shows no face."""
        seen = np.array([face is not None for face in self._faces])
        images = [enlarged(picture) for picture in pictures[seen]]
        faces = [face for face in self._faces if face is not None]
        found = {}
        for space, dim in self._dims.items():
            found[space] = np.full((len(seen), dim), np.nan)
            if images:
                with threadpool_limits(1):  # one small face at a time, as in `run`
                    found[space][seen] = self._encoder.embed(space, images, faces)
        return found


def spoil(pictures: np.ndarray, kind: str, level: float) -> np.ndarray:
    """(n, size, size, 3) uint8 RGB, degraded as by `models.guide` in training."""
    return to_uint8(DEGRADATIONS[kind](from_uint8(pictures), level))


def _kept(
    vectors: dict[str, np.ndarray], subjects: Subjects, clips: np.ndarray, bootstrap: Bootstrap
) -> dict[str, Kept]:
    """For every space, with both the vectors and the gallery centred by the mean identity of train."""
    people, found = subjects.measured.people, {}
    for space, of_pictures in vectors.items():
        middle = subjects.middle(space)
        found[space] = kept(of_pictures - middle, subjects.truth(space) - middle, people, clips, bootstrap)
    return found
