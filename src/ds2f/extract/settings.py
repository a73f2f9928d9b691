"""What extraction is told, and the plan that follows from it. Nothing is loaded here."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ds2f.config import Audio, Config, Extract, Faces
from ds2f.dataset.plan import Plan
from ds2f.face import registry
from ds2f.models.store import pick_device
from ds2f.types import DLIB
from ds2f.voice import encoders, language
from ds2f.voice.encode import kept_seconds


@dataclass(frozen=True)
class ExtractSettings:
    """The parts of the configuration that extraction needs. device: of the encoders; item_seconds: a file that takes
    longer is a failure."""

    audio: Audio
    faces: Faces
    device: str = "cpu"
    item_seconds: float = 120.0

    @staticmethod
    def of(config: Config) -> ExtractSettings:
        """Raises UserError for a device that is not there."""
        extract: Extract = config.extract
        return ExtractSettings(config.audio, config.faces, str(pick_device(extract.device)), extract.item_seconds)


def plan_of(settings: ExtractSettings) -> Plan:
    """Which rows every file shall have. Raises UserError for an unknown model."""
    audio, faces = settings.audio, settings.faces
    speech = {
        "activity": "silero-vad",
        "min_speech": audio.min_speech,
        "max_seconds": audio.max_seconds,
        "keep_seconds": kept_seconds(audio, max(audio.clip_seconds)),
    }
    face = {
        "detector": registry.name_of(faces.detector),
        "min_score": faces.min_score,
        "frames": faces.frames,
        "crop_size": faces.crop_size,
        "min_eye_distance": faces.min_eye_distance,
        "box": [faces.box_crop, faces.box_margin_height, faces.box_margin_width] if faces.box_crop else None,
    }
    names = [encoders.name_of(spec) for spec in audio.encoders]
    return Plan(
        speech=json.dumps(speech, sort_keys=True),
        face=json.dumps(face, sort_keys=True),
        voices=tuple((seconds, name) for seconds in audio.clip_seconds for name in names),
        identities=tuple(name for name in map(registry.name_of, faces.encoders) if name != DLIB),
        attributes=tuple(map(registry.name_of, faces.attributes)),
        languages=tuple(map(language.name_of, audio.languages)),
        acoustics=audio.acoustics,
    )
