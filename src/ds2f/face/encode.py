"""The one way from pictures to the person in them; extraction, guide pictures, evaluation and matching all go it:

    pictures ─ detector → faces ─ canonical_crop, quality → sightings ─ people.choose → one person ─ embedder → vectors

Faces of many pictures are told apart by dlib; further embedders look at the one that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ds2f.config import Faces
from ds2f.errors import ItemError
from ds2f.face import registry
from ds2f.face.align import box_crop, canonical_crop, coverage, inside, middle_square, template
from ds2f.face.base import FaceDetector, FaceEmbedder
from ds2f.face.dlib_resnet import network_file
from ds2f.face.eigenfaces import locate, surround
from ds2f.face.people import COMPARABLE_AREA, Sighting, choose
from ds2f.face.quality import eye_distance, quality
from ds2f.io.files import by_name
from ds2f.io.images import encode_webp
from ds2f.types import DLIB, DetectedFace, Face, Frame

if TYPE_CHECKING:
    from ds2f.face.dlib_torch import DlibTorch

SMALL_STILL = 256  # pixels; smaller pictures are enlarged first, the detector was trained on larger faces
STILL_MARGIN = 0.15  # of the side, laid round a picture in which no face was found: it may be cut too tightly
STANDS_STILL = 1.0  # mean difference of two 32 px thumbnails, of 255, under which a frame shows nothing new
TINY = 64  # pixels; in a picture smaller than that, faces are smaller than the detector sees
HANDFUL = 6  # pixels; fewer say nothing of where a face lies
SQUARE = 0.03  # of its height, by which a picture may be wider or narrower and still be a crop
SURE = 0.998  # detector score that faces get in turned pictures once they are turned back, but not before
TURNED = {2: "the picture is upside down", 1: "the picture lies on its side", 3: "the picture lies on its side"}
ALIGNED = 0.08  # of a picture's side: landmarks no farther from the template are in place


@dataclass(frozen=True)
class EncodedFace:
    """A face, and where further models find it. image: (height, width, 3) uint8 RGB, the picture it was found in, of a
    small still picture its enlargement; place: the face in pixels of `image`."""

    face: Face
    image: np.ndarray
    place: DetectedFace


class FaceEncoder:
    """Finds the person in pictures and describes their face. Each model is loaded when it is first needed. Any thread
    may call it; they take turns, as OpenCV's networks carry state."""

    def __init__(
        self,
        settings: Faces | None = None,
        device: str = "cpu",
        loaded: Mapping[str, FaceEmbedder] | None = None,
    ) -> None:
        """settings: the detector, and what counts as a face; None: as ds2f.toml has it unless it says otherwise.
        device: of dlib's network, as PyTorch names it.
        loaded: {name: face embedder} of those that are loaded already.
        """
        self.settings, self.device = settings or Faces(), device
        self._turn = RLock()
        self._embedders = dict(loaded or {})

    @cached_property
    def detector(self) -> FaceDetector:
        """Raises UserError if it cannot be loaded."""
        return registry.load_detector(self.settings.detector, self.settings.min_score or None)

    def embedder(self, name: str) -> FaceEmbedder:
        """Raises UserError for a name that is unknown, or whose model cannot be loaded."""
        with self._turn:
            if name not in self._embedders:
                known = by_name(self.settings.encoders, registry.name_of)
                self._embedders[name] = registry.load_embedder(known.get(name, name), self.device)
            return self._embedders[name]

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """See FaceDetector.detect: all faces of (height, width, 3) uint8 RGB, best score first."""
        with self._turn:
            return self.detector.detect(image)

    def encode(self, picture: np.ndarray) -> EncodedFace:
        """The face of a still picture, (height, width, 3) uint8 RGB. Raises ItemError(stage="face")."""
        image = enlarged(picture)
        scale, margin = max(image.shape[:2]) / max(picture.shape[:2]), 0
        try:
            found = self.encode_frames([Frame(image, 0.0)])
        except ItemError as error:
            if error.reason in TURNED.values():
                raise
            margin = round(STILL_MARGIN * max(image.shape[:2]))
            image = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
            found = self.encode_frames([Frame(image, 0.0)])
        x, y, w, h = found.place.box
        box = (round((x - margin) / scale), round((y - margin) / scale), round(w / scale), round(h / scale))
        place = DetectedFace(box, (found.place.landmarks - margin) / np.float32(scale), found.place.score)
        seen = coverage(picture, place.landmarks)  # not of the margins
        return replace(found, face=replace(found.face, detected=place, coverage=seen))

    def encode_frames(
        self, frames: Sequence[Frame], more: Callable[[], Sequence[Frame]] = lambda: ()
    ) -> EncodedFace:  # fmt: skip
        """The person of some frames of a video, at their best.

        more: further frames, asked for only where those show nobody.
        Raises ItemError(stage="face").
        """
        settings = self.settings
        sightings = self._sightings(frames) or self._sightings(more())
        large = [s for s in sightings if eye_distance(s.detected) >= settings.min_eye_distance]
        if sightings and not large:
            raise ItemError("face", f"the face is too small (eyes under {settings.min_eye_distance:g} px apart)")
        best, identity, people = choose(large, self._identities)
        image, found = best.frame.image, best.detected
        if (turns := self._turned(image, found)) is not None:
            raise ItemError("face", TURNED[turns])
        box = None
        if settings.box_crop:
            margins = settings.box_margin_height, settings.box_margin_width
            box = encode_webp(box_crop(image, found.box, *margins, settings.box_crop))
        face = Face(
            webp=encode_webp(best.crop),
            box_webp=box,
            identity=identity,
            detected=found,
            time=best.frame.time,
            quality=best.quality,
            coverage=coverage(image, found.landmarks),
            people=people,
        )
        return EncodedFace(face, image, found)

    def align(self, picture: np.ndarray, size: int) -> np.ndarray:
        """The canonical crop, (size, size, 3) uint8 RGB, of the face in a picture, (height, width, 3) uint8 RGB. In a
        tiny picture it is looked for in the enlargement, and if the detector does not find it there, it lies where
        eigenfaces say; not in a handful of pixels. What of the crop lies outside the picture is what eigenfaces let one
        expect there. Where no face is found otherwise, as in most that are blurred, or where it lies as it should
        already, the picture, or its middle square, is taken to be that crop, whatever its size."""
        tiny, given = max(picture.shape[:2]) < TINY, picture
        if tiny:
            picture = enlarged(picture)
        (height, width), faces = picture.shape[:2], self.detect(picture)
        landmarks = faces[0].landmarks if faces else None
        if tiny and landmarks is None and min(given.shape[:2]) >= HANDFUL:
            landmarks = locate(given) * np.float32(width / given.shape[1])
        there = landmarks is not None and np.abs(landmarks / (width, height) - template(1)).max() < ALIGNED
        if landmarks is not None and not (there and abs(width / height - 1) < SQUARE):
            return surround(canonical_crop(picture, landmarks, size), inside(picture, landmarks, size))
        square, _ = middle_square(picture)
        return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if len(square) > size else cv2.INTER_CUBIC)

    def embed(self, name: str, images: Sequence[np.ndarray], places: Sequence[DetectedFace]) -> np.ndarray:
        """Vectors of n faces, each in its picture, by the embedder `name`: (n, d) float32."""
        embedder = self.embedder(name)
        with self._turn:
            return embedder.embed(images, places)

    def embed_crops(self, crops: np.ndarray) -> np.ndarray:
        """Whom canonical crops show, (n, size, size, 3) uint8 RGB: (n, 128) float32 by dlib, without looking for
        landmarks."""
        from ds2f.face.dlib_torch import embed_crops

        return embed_crops(crops, self._crop_network)

    @cached_property
    def _crop_network(self) -> DlibTorch:
        from ds2f.face.dlib_torch import load_dlib

        return load_dlib(network_file()).to(self.device)

    def _turned(self, image: np.ndarray, face: DetectedFace) -> int | None:
        """Quarter turns after which the picture shows a clearer face of comparable size, so that the one found is none;
        None, as usual, if there are none."""
        known = self.settings.detector == "mtcnn"  # others score on scales of their own
        for turns in TURNED if known and face.score < SURE else ():
            seen = self.detect(np.ascontiguousarray(np.rot90(image, turns)))
            clearer = (other for other in seen if other.score > SURE)
            if any(other.area > COMPARABLE_AREA * face.area for other in clearer):
                return turns
        return None

    def _identities(self, sightings: Sequence[Sighting]) -> np.ndarray:
        return self.embed(DLIB, [s.frame.image for s in sightings], [s.detected for s in sightings])

    def _sightings(self, frames: Sequence[Frame]) -> list[Sighting]:
        distinct: list[tuple[Frame, int]] = []
        previous: np.ndarray | None = None
        for frame in frames:
            thumbnail = cv2.resize(frame.image, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
            if previous is not None and np.abs(thumbnail - previous).mean() < STANDS_STILL:
                distinct[-1] = (distinct[-1][0], distinct[-1][1] + 1)  # nothing new to find
                continue
            previous = thumbnail
            distinct.append((frame, 1))
        sightings = []
        for frame, weight in distinct:
            for found in self.detect(frame.image):
                crop = canonical_crop(frame.image, found.landmarks, self.settings.crop_size)
                sightings.append(Sighting(frame, found, crop, quality(found, crop), weight))
        return sightings


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture, (height, width, 3) uint8 RGB, whose longer side has SMALL_STILL pixels at least."""
    scale = SMALL_STILL / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else picture
