"""What is done to files: decode, find the speech, find the face, describe both. Models are loaded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np

from ds2f.dataset.plan import Job
from ds2f.errors import ItemError
from ds2f.extract.people import Sighting, choose
from ds2f.extract.settings import Settings
from ds2f.face import registry as face_models
from ds2f.face.align import box_crop, canonical_crop, coverage
from ds2f.face.base import AttributeModel, FaceEmbedder
from ds2f.face.dlib_resnet import DlibResNet
from ds2f.face.quality import eye_distance, quality
from ds2f.io.media import decode, decode_flac, encode_flac, encode_webp, read_image
from ds2f.types import (
    Attributes,
    DetectedFace,
    Extracted,
    Face,
    Facts,
    Frame,
    Language,
    Media,
    Speech,
    StoredFace,
    StoredSpeech,
)
from ds2f.voice import acoustics, encoders, language
from ds2f.voice.activity import VoiceActivity, cut, find_speech
from ds2f.voice.base import SpeakerEncoder

SMALL_STILL = 256  # pixels; smaller pictures are enlarged first, the detector was trained on larger faces
STILL_MARGIN = 0.15  # of the side, laid round a picture in which no face was found: it may be cut too tightly
STANDS_STILL = 1.0  # mean difference of two 32 px thumbnails, of 255, under which a frame shows nothing new

Model = TypeVar("Model")


@dataclass
class _Item:
    """One file on its way: what was found so far. image, face: the picture in which the kept face lies, and where."""

    job: Job
    facts: Facts | None = None
    speech: Speech | None = None
    stored_speech: StoredSpeech | None = None
    stored_face: StoredFace | None = None
    image: np.ndarray | None = None
    face: DetectedFace | None = None
    identity: np.ndarray | None = None
    clips: dict[float, tuple[float, float]] = field(default_factory=dict)
    voices: dict[tuple[float, str], np.ndarray] = field(default_factory=dict)
    identities: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, Attributes] = field(default_factory=dict)
    languages: dict[str, Language] = field(default_factory=dict)
    acoustics: dict[str, float] | None = None
    failures: list[tuple[str, str]] = field(default_factory=list)

    def result(self) -> Extracted:
        return Extracted(
            facts=self.facts,
            speech=self.stored_speech,
            face=self.stored_face,
            clips=self.clips,
            voices=self.voices,
            identities=self.identities,
            attributes=self.attributes,
            languages=self.languages,
            acoustics=self.acoustics,
            failures=tuple(self.failures),
        )


class Extractor:
    """All extraction models of one worker process, each loaded when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        cv2.setNumThreads(1)  # parallelism is over files
        self.settings = settings
        self.detector = face_models.load_detector(settings.faces.detector, settings.faces.min_score or None)
        self.embedder: FaceEmbedder = DlibResNet(settings.device)
        self._models: dict[str, object] = {}

    def extract(self, jobs: Sequence[Job]) -> list[Extracted]:
        """Do some files: each is read by itself, then the encoders see them together. A file that fails in part
        keeps what it gave, and says in `failures` what it did not give."""
        items = [_Item(job) for job in jobs]
        for item in items:
            try:
                self._read(item)
            except ItemError as error:
                item.failures.append((error.stage, error.reason))
        self._embed_voices(items)
        self._describe_speech(items)
        self._describe_faces(items)
        return [item.result() for item in items]

    # ── one file ──────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, item: _Item) -> None:
        needs, stored = item.job.needs, item.job.stored
        if stored.speech is not None:
            item.speech = Speech(decode_flac(stored.speech.flac), stored.speech.start, stored.speech.seconds)
        item.identity = stored.identity
        if item.job.kind == "still":
            if needs.face or self._needs_picture(item):
                self._read_still(item)
        elif needs.speech or needs.face:
            self._read_recording(item)
        elif self._needs_picture(item):
            media = decode(item.job.source.path, [stored.time], max_seconds=stored.time + 1.0, sound=False)
            item.image, item.face = media.frames[0].image, stored.found

    def _needs_picture(self, item: _Item) -> bool:
        needs = item.job.needs
        return bool(needs.identities) or any(self._attribute_model(m).needs_picture for m in needs.attributes)

    def _read_recording(self, item: _Item) -> None:
        needs, settings = item.job.needs, self.settings
        frames = settings.faces.frames if needs.face else 0
        media = decode(item.job.source.path, frames, settings.audio.max_seconds, sound=needs.speech)
        item.facts = Facts(media.duration, media.width, media.height, media.fps) if needs.face else None
        if not media.has_video:
            raise ItemError("open", "sound without a picture" if media.has_audio else "neither sound nor picture in it")
        for wanted, part in ((needs.speech, self._read_speech), (needs.face, self._read_face)):
            try:
                if wanted:
                    part(item, media)
            except ItemError as error:
                item.failures.append((error.stage, error.reason))

    def _read_speech(self, item: _Item, media: Media) -> None:
        if not media.has_audio:
            raise ItemError("audio", "a video without sound")
        item.speech = self.speech(media.audio)
        item.stored_speech = StoredSpeech(encode_flac(item.speech.audio), item.speech.start, item.speech.seconds)

    def _read_face(self, item: _Item, media: Media) -> None:
        if not media.frames:
            raise ItemError("face", "none of its pictures can be decoded")
        face, frame = self.face(media.frames)
        self._keep_face(item, face, frame.image, face.detected)

    def _read_still(self, item: _Item) -> None:
        picture = read_image(item.job.source)
        face, image, detected = self.still(picture)
        item.facts = Facts(0.0, picture.shape[1], picture.shape[0], 0.0)
        self._keep_face(item, face, image, detected)

    def _keep_face(self, item: _Item, face: Face, image: np.ndarray, detected: DetectedFace) -> None:
        item.image, item.face, item.identity = image, detected, face.identity
        if item.job.needs.face:
            item.stored_face = StoredFace(
                encode_webp(face.crop),
                None if face.box_crop is None else encode_webp(face.box_crop),
                face.identity,
                face.detected,
                face.time,
                face.quality,
                face.coverage,
                face.people,
            )

    def speech(self, audio: np.ndarray) -> Speech:
        """(samples,) float32 16 kHz to what is said in it. Raises ItemError(stage="audio" or "speech")."""
        if audio.size == 0:
            raise ItemError("audio", "the sound track is empty")
        settings = self.settings.audio
        return find_speech(audio, self._activity.probabilities(audio), settings.min_speech, settings.keep_seconds)

    def still(self, picture: np.ndarray) -> tuple[Face, np.ndarray, DetectedFace]:
        """The face of a still picture, (height, width, 3) uint8 RGB, its place in pixels of that picture; then the
        enlarged picture in which it was found, and its place there. Raises ItemError(stage="face")."""
        side = max(picture.shape[:2])
        scale = max(1.0, SMALL_STILL / side)
        image = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else picture
        margin = 0
        try:
            face, _ = self.face([Frame(image, 0.0)])
        except ItemError:
            margin = round(STILL_MARGIN * max(image.shape[:2]))
            image = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
            face, _ = self.face([Frame(image, 0.0)])
        found = face.detected
        x, y, w, h = found.box
        box = (round((x - margin) / scale), round((y - margin) / scale), round(w / scale), round(h / scale))
        place = DetectedFace(box, (found.landmarks - margin) / np.float32(scale), found.score)
        return replace(face, detected=place), image, found

    def face(self, frames: Sequence[Frame]) -> tuple[Face, Frame]:
        """The person of some frames, at their best, and the frame that shows it. Raises ItemError(stage="face")."""
        settings = self.settings.faces
        sightings = self._sightings(frames)
        large = [s for s in sightings if eye_distance(s.detected) >= settings.min_eye_distance]
        if sightings and not large:
            raise ItemError("face", f"the face is too small (eyes under {settings.min_eye_distance:g} px apart)")
        chosen = choose(large, lambda s: self.embedder.embed([x.frame.image for x in s], [x.detected for x in s]))
        best, image = chosen.sighting, chosen.sighting.frame.image
        margins = (settings.box_margin_height, settings.box_margin_width)
        face = Face(
            crop=best.crop,
            identity=chosen.identity,
            detected=best.detected,
            time=best.frame.time,
            quality=best.quality,
            coverage=coverage(image, best.detected.landmarks),
            people=chosen.people,
            box_crop=box_crop(image, best.detected.box, *margins, settings.box_crop) if settings.box_crop else None,
        )
        return face, best.frame

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
            for found in self.detector.detect(frame.image):
                crop = canonical_crop(frame.image, found.landmarks, self.settings.faces.crop_size)
                sightings.append(Sighting(frame, found, crop, quality(found, crop), weight))
        return sightings

    # ── many files at once ────────────────────────────────────────────────────────────────────────────────────

    def _embed_voices(self, items: Sequence[_Item]) -> None:
        for seconds, encoder in dict.fromkeys(voice for item in items for voice in item.job.needs.voices):
            chosen = [i for i in items if i.speech is not None and (seconds, encoder) in i.job.needs.voices]
            if not chosen:
                continue
            clips = [cut(item.speech, seconds) for item in chosen if item.speech is not None]
            vectors = self._voice_encoder(encoder).embed(np.stack([clip.audio for clip in clips]))
            for item, clip, vector in zip(chosen, clips, vectors, strict=True):
                item.clips[seconds] = (clip.speech_seconds, clip.repeats)
                if np.isfinite(vector).all():
                    item.voices[seconds, encoder] = vector
                else:
                    item.failures.append((f"voice:{encoder}", f"no speech found by {encoder}"))

    def _describe_speech(self, items: Sequence[_Item]) -> None:
        longest = max(self.settings.audio.clip_seconds)
        for model in dict.fromkeys(m for item in items for m in item.job.needs.languages):
            chosen = [i for i in items if i.speech is not None and model in i.job.needs.languages]
            if chosen:
                clips = np.stack([cut(i.speech, longest).audio for i in chosen if i.speech is not None])
                for item, found in zip(chosen, self._language_model(model).predict(clips), strict=True):
                    item.languages[model] = found
        for item in items:
            if item.job.needs.acoustics and item.speech is not None:
                item.acoustics = acoustics.measure(item.speech.audio)

    def _describe_faces(self, items: Sequence[_Item]) -> None:
        for encoder in dict.fromkeys(e for item in items for e in item.job.needs.identities):
            chosen = [i for i in items if i.face is not None and encoder in i.job.needs.identities]
            if chosen:
                images, faces = [i.image for i in chosen if i.image is not None], [i.face for i in chosen if i.face]
                for item, vector in zip(chosen, self._face_encoder(encoder).embed(images, faces), strict=True):
                    item.identities[encoder] = vector
        for name in dict.fromkeys(m for item in items for m in item.job.needs.attributes):
            model = self._attribute_model(name)
            chosen = [i for i in items if name in i.job.needs.attributes and i.identity is not None]
            if not chosen:
                continue
            images = [i.image for i in chosen if i.image is not None] if model.needs_picture else []
            faces = [i.face for i in chosen if i.face is not None] if model.needs_picture else []
            identities = np.stack([i.identity for i in chosen if i.identity is not None])
            for item, attributes in zip(chosen, model.predict(images, faces, identities), strict=True):
                item.attributes[name] = attributes

    # ── models ────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _activity(self) -> VoiceActivity:
        return VoiceActivity()

    def _loaded(self, key: str, load: Callable[[], Model]) -> Model:
        if key not in self._models:
            self._models[key] = load()
        return self._models[key]  # type: ignore[return-value]

    def _voice_encoder(self, name: str) -> SpeakerEncoder:
        spec = next(s for s in self.settings.audio.encoders if encoders.name_of(s) == name)
        return self._loaded(f"voice:{name}", lambda: encoders.load(spec, self.settings.device))

    def _language_model(self, name: str) -> language.LanguageModel:
        spec = next(s for s in self.settings.audio.languages if language.name_of(s) == name)
        return self._loaded(f"language:{name}", lambda: language.load(spec, self.settings.device))

    def _face_encoder(self, name: str) -> FaceEmbedder:
        spec = next(s for s in self.settings.faces.encoders if face_models.name_of(s) == name)
        return self._loaded(f"face:{name}", lambda: face_models.load_embedder(spec))

    def _attribute_model(self, name: str) -> AttributeModel:
        spec = next(s for s in self.settings.faces.attributes if face_models.name_of(s) == name)
        return self._loaded(f"attributes:{name}", lambda: face_models.load_attributes(spec))
