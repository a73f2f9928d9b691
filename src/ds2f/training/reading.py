"""The faces of a split as arrays, one block at a time: decoded crops, and what is known about them as records."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import cv2
import numpy as np

from ds2f.dataset import Dataset
from ds2f.dataset.faces import KnownFace, count_faces, has_voices, known_faces, lengths_of_voices
from ds2f.dataset.recordings import stored_voices
from ds2f.errors import UserError
from ds2f.face.align import sharpness
from ds2f.io.images import decode_image
from ds2f.models.decoder import one_hot, voice_condition
from ds2f.training.pairs import check_voices
from ds2f.types import ETHNICITIES, Attributes, Progress

logger = logging.getLogger(__name__)

BLOCK = 512  # faces read and decoded at a time
GIVEN = "given:"  # precedes the name of a condition: whether it is known
NUMBERS = np.dtype("<f4")


class FaceReader:
    """Reads the faces of a split, block by block, as arrays. count: faces; dtype: of a row of what is known."""

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        size: int,
        voices: Sequence[str],
        languages: Sequence[str],
        seconds: float | None,
        progress: Progress | None = None,
    ) -> None:
        """dataset, split, size, voices, languages, seconds: as in `faces.load_faces`, which says what is raised.
        progress: called with (faces read, total, a word)."""
        self.progress = progress
        self.dataset, self.split, self.size, self.voices, self.languages = dataset, split, size, voices, languages
        self.seconds = dataset.clip_seconds(voices[0]) if seconds is None else seconds
        if stored_voices(dataset):
            check_voices(dataset, voices, self.seconds)
        if has_voices(dataset, split) and not has_voices(dataset, split, voices[0], self.seconds):
            raise UserError(
                f"{dataset.path} has no voices of {voices[0]} of {self.seconds:g} s in split {split!r}; "
                f"add {self.seconds:g} to [audio] clip_seconds, and run `ds2f extract` again."
            )
        self.count = count_faces(dataset, split)
        if not self.count:
            raise UserError(
                f"{dataset.path} has no faces in split {split!r}; run `ds2f extract` first, or ingest more."
            )
        first = next(dataset.faces(split))
        stored = len(decode_image(first.crop))
        if stored < size:
            raise UserError(
                f"{dataset.path} holds faces of {stored} px, and {size} px are wanted; set [faces] crop_size = {size} "
                f"and run `ds2f extract` again, or [train] decoder_size to {stored} or less."
            )
        told = {voice_condition(n): d for n, d in lengths_of_voices(dataset, voices, self.seconds).items()}
        lengths = {"identity": len(first.identity), "coverage": 1, "sharpness": 1, **told, "age": 1, "gender": 1}
        lengths |= {"ethnicity": len(ETHNICITIES), **({"language": len(languages)} if languages else {})}
        self.dtype = np.dtype([f for n, d in lengths.items() for f in ((n, NUMBERS, (d,)), (GIVEN + n, "?"))])
        self.names = tuple(lengths)
        self._given = dict.fromkeys(lengths, 0)
        self._sums = {name: (np.zeros(d), np.zeros(d)) for name, d in lengths.items()}  # of numbers, and how many

    def blocks(self, most: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(k, 3, size, size) uint8 and (k,) of `dtype`, until there are `most`."""
        left = self.count if most is None else most
        with ThreadPoolExecutor() as threads:  # OpenCV releases the GIL
            for found in known_faces(self.dataset, self.split, self.voices, self.seconds, min(BLOCK, left)):
                chosen = list(islice(found, left))
                left -= len(chosen)
                if self.progress:
                    self.progress(self.count - left, self.count, "packing faces")
                yield np.stack(list(threads.map(self._pixels, chosen))), self._rows(chosen)
                if left == 0:
                    return

    def finish(self) -> list[str]:
        """The conditions that are known for any face that was read."""
        if self._given["gender"] and not self._given["ethnicity"] and self.split == "train":
            logger.warning(
                "The attribute model names other ethnicities than %s: the decoder learns age and gender of it alone.",
                ", ".join(ETHNICITIES),
            )
        return [name for name in self.names if self._given[name]]

    def fill(self, known: np.ndarray) -> bool:
        """Replace values that could not be measured, NaN, by their mean, in place. Returns whether there were any."""
        found = False
        for name, (total, count) in self._sums.items():
            missing = np.isnan(known[name])
            if missing.any():
                known[name] = np.where(missing, total / np.maximum(count, 1), known[name])
                found = True
        return found

    def _pixels(self, known: KnownFace) -> np.ndarray:
        crop = decode_image(known.face.crop)
        if crop.shape[0] != self.size:
            crop = cv2.resize(crop, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return crop.transpose(2, 0, 1)

    def _rows(self, found: Sequence[KnownFace]) -> np.ndarray:
        rows = np.zeros(len(found), self.dtype)
        for place, known in enumerate(found):
            for name, value in self._known(known).items():
                if value is not None and name in self._given:
                    rows[name][place], rows[GIVEN + name][place] = value, True
        for name in self.names:
            values = rows[name][rows[GIVEN + name]]
            self._given[name] += len(values)
            total, count = self._sums[name]
            total += np.nansum(values, 0, dtype=np.float64)
            count += (~np.isnan(values)).sum(0)
        return rows

    def _known(self, known: KnownFace) -> dict[str, np.ndarray | list[float] | None]:
        face, looks, code = known.face, known.face.attributes, known.language
        return {
            "identity": face.identity,
            "coverage": [face.coverage],
            "sharpness": [sharpness(face.landmarks, self.size)] if len(face.landmarks) else None,
            **{voice_condition(name): known.heard.get(name) for name in self.voices},
            "age": [looks.age] if looks and not math.isnan(looks.age) else None,
            "gender": [looks.gender["female"]] if looks and looks.gender else None,
            "ethnicity": _ethnicity(looks),
            "language": one_hot(self.languages, code) if code in self.languages else None,
        }


def _ethnicity(looks: Attributes | None) -> list[float] | None:
    """In the classes of ETHNICITIES; None for a model with other classes."""
    if looks is None or not looks.ethnicity.keys() >= set(ETHNICITIES):
        return None
    return [looks.ethnicity[name] for name in ETHNICITIES]
