"""What is done to one file: decode, find the speech, find the face, describe both. Models are loaded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ds2f.config import Audio, Faces
from ds2f.dataset.queries import EncoderNames, Job
from ds2f.errors import ItemError
from ds2f.face.align import canonical_crop, coverage
from ds2f.face.dlib_resnet import SAME_PERSON_DISTANCE, DlibResNet
from ds2f.face.mtcnn import MTCNN
from ds2f.face.quality import eye_distance, quality
from ds2f.media import decode, read_image
from ds2f.types import DetectedFace, Extracted, Face, Frame, VoiceClip
from ds2f.voice.activity import VoiceActivity, cut_clip
from ds2f.voice.base import embed_one
from ds2f.voice.resemblyzer import Resemblyzer

SMALL_STILL = 256  # pixels; smaller pictures are enlarged first, the detector was trained on larger faces
STILL_MARGIN = 0.15  # of the side, laid round a picture in which no face was found: it may be cut too tightly
SECOND_FACE_AREA = 0.4  # of the largest face: a second one this large is a second person, not a passer-by


@dataclass(frozen=True)
class Settings:
    """The parts of the configuration that extraction needs."""

    audio: Audio
    faces: Faces


class Extractor:
    """All extraction models of one worker process, loaded once."""

    def __init__(self, settings: Settings) -> None:
        cv2.setNumThreads(1)  # parallelism is over files
        self.settings = settings
        self.detector = MTCNN(settings.faces.min_score)
        self.embedder = DlibResNet()
        self._activity: VoiceActivity | None = None
        self._encoder: Resemblyzer | None = None

    @property
    def names(self) -> EncoderNames:
        return encoder_names(self.settings)

    def extract(self, job: Job) -> Extracted:
        """One file. Raises ItemError if it gives no usable face (or, for a recording, no usable voice)."""
        if job.kind == "still":
            return self.extract_still(read_image(job.source))
        media = decode(job.source.path, self.settings.faces.frames, self.settings.audio.max_seconds)
        if not media.has_video or not media.frames:
            raise ItemError("open", "sound without a picture")
        if not media.has_audio:
            raise ItemError("audio", "a video without sound")
        clip, voice = self.voice(media.audio)
        face = self.face(media.frames)
        return Extracted(face, clip, voice, media.duration, media.width, media.height, media.fps)

    def extract_still(self, image: np.ndarray) -> Extracted:
        """A still picture, (height, width, 3) uint8 RGB."""
        height, width = image.shape[:2]
        if max(height, width) < SMALL_STILL:
            scale = SMALL_STILL / max(height, width)
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        try:
            face = self.face([Frame(image, 0.0)])
        except ItemError:
            margin = round(STILL_MARGIN * max(image.shape[:2]))
            image = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
            face = self.face([Frame(image, 0.0)])
        return Extracted(face, None, None, 0.0, width, height, 0.0)

    def voice(self, audio: np.ndarray) -> tuple[VoiceClip, np.ndarray]:
        """(samples,) float32 16 kHz to the clip of its speech and the (256,) speaker embedding."""
        if audio.size == 0:
            raise ItemError("audio", "the sound track is empty")
        if self._activity is None or self._encoder is None:  # still pictures never need them
            self._activity, self._encoder = VoiceActivity(), Resemblyzer()
        probability = self._activity.probabilities(audio)
        clip = cut_clip(audio, probability, self.settings.audio.clip_seconds, self.settings.audio.min_speech)
        return clip, embed_one(self._encoder, clip.audio)

    def face(self, frames: Sequence[Frame]) -> Face:
        """The best face of the frames. Raises ItemError(stage="face"): none, too small, or more than one person."""
        best: list[tuple[float, Frame, DetectedFace, np.ndarray]] = []
        previous: np.ndarray | None = None
        for frame in frames:
            thumbnail = cv2.resize(frame.image, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
            if previous is not None and np.abs(thumbnail - previous).mean() < 1.0:
                continue  # the picture stands still: nothing new to find
            previous = thumbnail
            found = sorted(self.detector.detect(frame.image), key=lambda face: -face.area)
            if not found:
                continue
            if len(found) > 1 and frame.time >= 0 and self._second_person(frame, found):
                raise ItemError("face", "two people in the picture")
            crop = canonical_crop(frame.image, found[0].landmarks, self.settings.faces.crop_size)
            best.append((quality(found[0], crop), frame, found[0], crop))
        if not best:
            raise ItemError("face", "no face found")
        score, frame, detected, crop = max(best, key=lambda candidate: candidate[0])
        if eye_distance(detected) < self.settings.faces.min_eye_distance:
            raise ItemError(
                "face",
                f"the face is too small (eyes under {self.settings.faces.min_eye_distance:g} px apart)",
            )
        identity = self.embedder.embed([frame.image], [detected])[0]
        self._refuse_change_of_person(identity, crop, [b for b in best if b[1] is not frame])
        return Face(crop, identity, detected, frame.time, score, coverage(frame.image, detected.landmarks))

    def _second_person(self, frame: Frame, found: list[DetectedFace]) -> bool:
        first, second = found[:2]
        if second.area < SECOND_FACE_AREA * first.area or _overlap(first, second) > 0.3:
            return False
        if eye_distance(second) < self.settings.faces.min_eye_distance:
            return False
        one, two = self.embedder.embed([frame.image] * 2, [first, second])
        return float(np.linalg.norm(one - two)) > SAME_PERSON_DISTANCE  # a mirror or a screen shows the same person

    def _refuse_change_of_person(
        self,
        identity: np.ndarray,
        crop: np.ndarray,
        others: list[tuple[float, Frame, DetectedFace, np.ndarray]],
    ) -> None:
        """A cut to somebody else between frames. Only crops that look different are worth an embedding."""
        for score, frame, detected, other in others:
            if _correlation(crop, other) > 0.5 or score < 0.2:
                continue
            again = self.embedder.embed([frame.image], [detected])[0]
            if float(np.linalg.norm(identity - again)) > SAME_PERSON_DISTANCE + 0.1:
                raise ItemError("face", "two people, one after the other")


def encoder_names(settings: Settings) -> EncoderNames:
    return EncoderNames(MTCNN.name, DlibResNet.name, Resemblyzer.name, settings.audio.clip_seconds)


def _overlap(a: DetectedFace, b: DetectedFace) -> float:
    """Intersection over the smaller box, in [0, 1]."""
    width = min(a.box[0] + a.box[2], b.box[0] + b.box[2]) - max(a.box[0], b.box[0])
    height = min(a.box[1] + a.box[3], b.box[1] + b.box[3]) - max(a.box[1], b.box[1])
    return max(0, width) * max(0, height) / max(1, min(a.area, b.area))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two crops, seen as 32 px grey pictures."""
    small = [cv2.resize(cv2.cvtColor(c, cv2.COLOR_RGB2GRAY), (32, 32)).astype(np.float32).ravel() for c in (a, b)]
    return float(np.corrcoef(small[0] + 1e-3 * np.arange(1024), small[1] + 1e-3 * np.arange(1024))[0, 1])
