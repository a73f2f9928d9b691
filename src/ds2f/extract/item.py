"""What is done to files: decode, find the speech, find the face, describe both. Models are loaded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import cv2
import numpy as np

from ds2f.dataset.plan import Job
from ds2f.errors import ItemError, UserError
from ds2f.extract.settings import ExtractSettings
from ds2f.extract.worker import unexpected
from ds2f.face import registry as face_models
from ds2f.face.base import AttributeModel
from ds2f.face.encode import EncodedFace, FaceEncoder
from ds2f.io.extras import first_line
from ds2f.io.files import by_name
from ds2f.io.images import read_image
from ds2f.io.media import decode
from ds2f.io.speech import decode as decode_speech
from ds2f.io.speech import encode as encode_speech
from ds2f.io.streams import Choice
from ds2f.types import (
    DLIB,
    Attributes,
    DetectedFace,
    Extracted,
    Facts,
    Frame,
    Language,
    Media,
    Speech,
    StoredSpeech,
    VoiceClip,
)
from ds2f.voice import acoustics, encoders, language
from ds2f.voice.activity import cut
from ds2f.voice.encode import VoiceEncoder
from ds2f.voice.recording import further

LOOK_AGAIN = 4  # times as many frames are examined if the first show nobody
MOST_PIXELS = 2**28  # in all these frames together, so that they fit into memory
SAME_FRAME = 0.1  # seconds by which the stored time of a face may be off
PART_SLACK = 0.1  # seconds by which a part may exceed its sound: durations are rounded

Answer = TypeVar("Answer")


@dataclass
class _File:
    """A file being processed: results so far, and what the models receive.

    speech: the speech in it; image, place, identity: the picture of its person, the face in that picture, and its
    embedding.
    """

    job: Job
    found: Extracted = field(default_factory=Extracted)
    speech: Speech | None = None
    image: np.ndarray | None = None
    place: DetectedFace | None = None
    identity: np.ndarray | None = None


class Extractor:
    """All extraction models of one worker process, each loaded when first needed."""

    def __init__(self, settings: ExtractSettings) -> None:
        cv2.setNumThreads(1)  # parallelism is over files
        self.settings = settings
        self.voices = VoiceEncoder(settings.audio, device=settings.device)
        self.faces = FaceEncoder(settings.faces, settings.device)
        self._languages: dict[str, language.LanguageModel] = {}
        self._attributes: dict[str, AttributeModel] = {}

    def load(self) -> None:
        """Load all models named in the settings. Raises UserError with the name of one that cannot be loaded."""
        audio, faces = self.settings.audio, self.settings.faces
        steps: list[tuple[str, Callable[[], object]]] = [("silero-vad", lambda: self.voices.activity)]
        speakers, looks = by_name(audio.encoders, encoders.name_of), by_name(faces.encoders, face_models.name_of)
        steps += [(name, partial(self.voices.encoder, name)) for name in speakers]
        steps += [(name, partial(self._language, name)) for name in by_name(audio.languages, language.name_of)]
        steps += [("praat-parselmouth", acoustics.praat)] if audio.acoustics else []
        steps += [(faces.detector, lambda: self.faces.detector)]
        steps += [(name, partial(self.faces.embedder, name)) for name in (DLIB, *looks)]
        steps += [(name, partial(self._attribute, name)) for name in by_name(faces.attributes, face_models.name_of)]
        for name, load in steps:
            try:
                load()
            except UserError:
                raise
            except Exception as error:
                reason = f"{type(error).__name__}: {first_line(error)}"
                raise UserError(f"The model {name} cannot be loaded ({reason}); no file is to blame.") from error

    def extract(self, jobs: Sequence[Job]) -> list[Extracted]:
        """Process some files: each is read separately, then the models process them together. A file that fails in part
        keeps its results, and lists in `failures` what is missing."""
        files = [_File(job) for job in jobs]
        for file in files:
            self._try(file, "worker", partial(self._read, file))
        needs = [job.needs for job in jobs]
        for seconds, encoder in dict.fromkeys(voice for n in needs for voice in n.voices):
            self._embed_voices(files, seconds, encoder)
        for model in dict.fromkeys(name for n in needs for name in n.languages):
            self._identify_languages(files, model)
        self._measure_acoustics(files)
        for encoder in dict.fromkeys(name for n in needs for name in n.identities):
            self._embed_faces(files, encoder)
        for model in dict.fromkeys(name for n in needs for name in n.attributes):
            self._judge_attributes(files, model)
        return [file.found for file in files]

    # ── one file ──────────────────────────────────────────────────────────────────────────────────────────────

    def _try(self, file: _File, stage: str, part: Callable[[], None]) -> None:
        """Process one part of a file; errors become failures of that part. stage: for unexpected errors."""
        try:
            part()
        except ItemError as error:
            for failed in self._stages(file, error.stage):
                file.found.fail(failed, error.reason)
        except (UserError, ImportError):
            raise  # a missing model is not the file's fault
        except Exception as error:  # noqa: BLE001 - the reason is stored, and the rest of the file is processed
            file.found.fail(stage, unexpected(error))

    def _stages(self, file: _File, stage: str) -> list[str]:
        """The stages that a failure belongs to: if a face was found once and is not found again, the models that needed
        it fail."""
        needs = file.job.needs
        seeing = [f"attributes:{name}" for name in needs.attributes if self._attribute(name).needs_picture]
        seeing += [f"identity:{name}" for name in needs.identities]
        return seeing if seeing and stage not in needs.stages else [stage]

    def _read(self, file: _File) -> None:
        needs, stored = file.job.needs, file.job.stored
        if stored.speech is not None:
            file.speech = Speech(decode_speech(stored.speech.sound), stored.speech.start, stored.speech.seconds)
        file.identity = stored.identity
        if file.job.kind == "still":
            if needs.face or self._needs_picture(file):
                self._read_still(file)
        elif needs.speech or needs.face:
            self._read_recording(file)
        elif self._needs_picture(file):
            choice = Choice(video=self.settings.faces.stream)
            media = decode(file.job.source, [stored.time], stored.time + 1.0, sound=False, choice=choice)
            frame = next((f for f in media.frames if abs(f.time - stored.time) < SAME_FRAME), None)
            if frame is None:  # damage, or a time measured by an earlier version
                missing = f"the frame of its face, at {stored.time:.2f} s, is not there"
                raise ItemError("face", media.troubles.get("face", missing))
            file.image, file.place = frame.image, stored.found

    def _needs_picture(self, file: _File) -> bool:
        needs = file.job.needs
        return bool(needs.identities) or any(self._attribute(m).needs_picture for m in needs.attributes)

    def _read_recording(self, file: _File) -> None:
        needs, settings = file.job.needs, self.settings
        frames = settings.faces.frames if needs.face else 0
        sound, channel = file.job.kind == "sound", file.job.part.channel or settings.audio.channel
        # Manifests count from the first sound, as a WAV made of a video does (findings/ffmpeg_wav_starts_early.sh).
        choice = Choice(settings.audio.stream, settings.faces.stream, channel, alone=sound)
        start, seconds = self._first(file)
        media = decode(file.job.source, frames, seconds, needs.speech, start, choice)
        if needs.face or sound:
            file.found.facts = Facts(media.duration, media.width, media.height, media.fps, media.video_stream)
        if not (media.has_video or media.has_audio or sound):
            raise ItemError("open", "neither sound nor picture in it")
        if needs.speech:
            self._try(file, "speech", partial(self._read_speech, file, media, choice))
        if needs.face:
            self._try(file, "face", partial(self._read_face, file, media))

    def _read_speech(self, file: _File, media: Media, choice: Choice) -> None:
        part, (start, seconds) = file.job.part, self._first(file)
        end = start + (part.seconds or 0.0)
        if end > media.duration + PART_SLACK and media.duration > 0:
            raise ItemError("audio", f"the part ends at {end:.1f} s and the sound at {media.duration:.1f} s")
        if start > 0 and not media.audio.size:
            raise ItemError("audio", f"the part begins at {start:.1f} s, after the sound has ended")
        speech = self.voices.search(further(file.job.source, media, seconds, choice, start, part.seconds))
        store = self.settings.audio.store
        sound = encode_speech(speech.audio, store)
        file.found.speech = StoredSpeech(
            sound, start + speech.start, speech.seconds, media.audio_stream, media.channels
        )
        # What is stored is what is embedded: FLAC is lossless.
        file.speech = speech if store == "flac" else replace(speech, audio=decode_speech(sound))

    def _first(self, file: _File) -> tuple[float, float]:
        """Start and length, in seconds, of the sound that is decoded first."""
        part, most = file.job.part, self.settings.audio.max_seconds
        return part.start or 0.0, min(most, part.seconds or most)

    def _read_face(self, file: _File, media: Media) -> None:
        if not media.frames:
            raise ItemError("face", _no_picture(media))
        self._keep_face(file, self.faces.encode_frames(media.frames, partial(self._further_frames, file, media)))

    def _further_frames(self, file: _File, media: Media) -> Sequence[Frame]:
        """More frames of a recording whose first ones show nobody, for example slides whose speaker appears only at the
        end."""
        faces = self.settings.faces
        count = min(LOOK_AGAIN * faces.frames, MOST_PIXELS // (media.width * media.height))
        return decode(file.job.source, count, self._first(file)[1], False, choice=Choice(video=faces.stream)).frames

    def _read_still(self, file: _File) -> None:
        picture = read_image(file.job.source)
        encoded = self.faces.encode(picture)
        file.found.facts = Facts(0.0, picture.shape[1], picture.shape[0], 0.0)
        self._keep_face(file, encoded)

    @staticmethod
    def _keep_face(file: _File, encoded: EncodedFace) -> None:
        file.image, file.place, file.identity = encoded.image, encoded.place, encoded.face.identity
        if file.job.needs.face:
            file.found.face = encoded.face

    # ── many files at once ────────────────────────────────────────────────────────────────────────────────────

    def _ask(
        self,
        stage: str,
        files: Sequence[_File],
        model: Callable[[Sequence[_File]], Sequence[Answer]],
        keep: Callable[[_File, Answer], None],
    ) -> None:
        """Pass files to a model together and keep its answer to each. If that fails, each file is passed alone; a file
        that fails alone gets a failure of `stage`, and keeps its other results."""
        try:
            answers = [*zip(files, model(files), strict=True)] if files else []
        except (UserError, ImportError):
            raise  # a missing model is not the files' fault
        except Exception as error:  # noqa: BLE001 - one file must not affect others, nor its own other rows
            if len(files) == 1:
                files[0].found.fail(stage, error.reason if isinstance(error, ItemError) else unexpected(error))
            else:
                for file in files:
                    self._ask(stage, [file], model, keep)
            return
        for file, answer in answers:
            keep(file, answer)

    def _embed_voices(self, files: Sequence[_File], seconds: float, encoder: str) -> None:
        def embed(chosen: Sequence[_File]) -> list[tuple[VoiceClip, np.ndarray]]:
            speeches = [file.speech for file in chosen if file.speech is not None]
            return [*zip(*self.voices.embed(encoder, speeches, seconds), strict=True)]

        def keep(file: _File, answer: tuple[VoiceClip, np.ndarray]) -> None:
            clip, vector = answer
            file.found.clips[seconds] = (clip.speech_seconds, clip.repeats)
            if np.isfinite(vector).all():
                file.found.voices[seconds, encoder] = vector
            else:
                file.found.fail(f"voice:{encoder}", f"no speech found by {encoder}")

        spoken = [f for f in files if f.speech is not None and (seconds, encoder) in f.job.needs.voices]
        self._ask(f"voice:{encoder}", spoken, embed, keep)

    def _identify_languages(self, files: Sequence[_File], model: str) -> None:
        longest = max(self.settings.audio.clip_seconds)

        def identify(chosen: Sequence[_File]) -> list[Language]:
            clips = [cut(file.speech, longest).audio for file in chosen if file.speech is not None]
            return self._language(model).predict(np.stack(clips))

        def keep(file: _File, found: Language) -> None:
            file.found.languages[model] = found

        spoken = [f for f in files if f.speech is not None and model in f.job.needs.languages]
        self._ask(f"language:{model}", spoken, identify, keep)

    def _measure_acoustics(self, files: Sequence[_File]) -> None:
        def measure(chosen: Sequence[_File]) -> list[dict[str, float]]:
            return [self.voices.acoustics(file.speech) for file in chosen if file.speech is not None]

        def keep(file: _File, found: dict[str, float]) -> None:
            file.found.acoustics = found

        spoken = [f for f in files if f.speech is not None and f.job.needs.acoustics]
        self._ask("acoustics", spoken, measure, keep)

    def _embed_faces(self, files: Sequence[_File], encoder: str) -> None:
        def embed(chosen: Sequence[_File]) -> list[np.ndarray]:
            return [*self.faces.embed(encoder, *_pictures(chosen))]

        def keep(file: _File, vector: np.ndarray) -> None:
            file.found.identities[encoder] = vector

        seen = [f for f in files if f.image is not None and encoder in f.job.needs.identities]
        self._ask(f"identity:{encoder}", seen, embed, keep)

    def _judge_attributes(self, files: Sequence[_File], name: str) -> None:
        model = self._attribute(name)

        def judge(chosen: Sequence[_File]) -> list[Attributes]:
            images, places = _pictures(chosen) if model.needs_picture else ([], [])
            return model.predict(images, places, np.stack([f.identity for f in chosen if f.identity is not None]))

        def keep(file: _File, found: Attributes) -> None:
            file.found.attributes[name] = found

        known = [f for f in files if f.identity is not None and name in f.job.needs.attributes]
        seen = [f for f in known if f.image is not None or not model.needs_picture]
        self._ask(f"attributes:{name}", seen, judge, keep)

    # ── models ────────────────────────────────────────────────────────────────────────────────────────────────

    def _language(self, name: str) -> language.LanguageModel:
        if name not in self._languages:
            known = by_name(self.settings.audio.languages, language.name_of)
            self._languages[name] = language.load(known[name], self.settings.device)
        return self._languages[name]

    def _attribute(self, name: str) -> AttributeModel:
        if name not in self._attributes:
            known = by_name(self.settings.faces.attributes, face_models.name_of)
            self._attributes[name] = face_models.load_attributes(known[name])
        return self._attributes[name]


def _no_picture(media: Media) -> str:
    none = "none of its pictures can be decoded" if media.has_video else "sound without a picture"
    return media.troubles.get("face", none)


def _pictures(files: Sequence[_File]) -> tuple[list[np.ndarray], list[DetectedFace]]:
    """The pictures of those files that have one, and the face in each."""
    return [f.image for f in files if f.image is not None], [f.place for f in files if f.place is not None]
