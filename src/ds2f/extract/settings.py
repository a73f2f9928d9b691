"""The settings of extraction, and the plan that follows from them. Nothing is loaded here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ds2f.config import Audio, Config, Extract, Faces
from ds2f.dataset.plan import Plan
from ds2f.face import file_network, registry
from ds2f.io.files import by_name
from ds2f.models.folders import shipped
from ds2f.models.store import pick_device
from ds2f.types import DLIB
from ds2f.voice import campplus_graph, encoders, language
from ds2f.voice.encode import kept_seconds
from ds2f.voice.recording import LATER

_IN_THE_BOX = {
    **dict.fromkeys(("campplus", "campplus-frames"), campplus_graph.WEIGHTS),
    "ds2f-attributes": shipped() / "attributes.safetensors",
}


@dataclass(frozen=True)
class ExtractSettings:
    """The parts of the configuration that extraction needs. device: of the encoders; item_seconds: a file that takes
    longer fails."""

    audio: Audio
    faces: Faces
    device: str = "cpu"
    item_seconds: float = 120.0

    def __post_init__(self) -> None:
        Extract(item_seconds=self.item_seconds)  # refuses whatever ds2f.toml would refuse

    @staticmethod
    def of(config: Config) -> ExtractSettings:
        """Raises UserError for a device that does not exist."""
        extract: Extract = config.extract
        return ExtractSettings(config.audio, config.faces, str(pick_device(extract.device)), extract.item_seconds)


def plan_of(settings: ExtractSettings) -> Plan:
    """Which rows every file must have. Raises UserError for an unknown model."""
    audio, faces = settings.audio, settings.faces
    speech = {
        "activity": "silero-vad",
        "min_speech": audio.min_speech,
        "max_seconds": audio.max_seconds,
        "keep_seconds": kept_seconds(audio, max(audio.clip_seconds)),
        "later_parts": LATER,
        "track": [audio.stream, audio.channel],
        **({"store": audio.store} if audio.store != "flac" else {}),
    }
    face = {
        "detector": registry.name_of(faces.detector),
        "min_score": faces.min_score,
        "frames": faces.frames,
        "crop_size": faces.crop_size,
        "min_eye_distance": faces.min_eye_distance,
        **({"stream": faces.stream} if faces.stream else {}),
        "box": [faces.box_crop, faces.box_margin_height, faces.box_margin_width] if faces.box_crop else None,
    }
    names = by_name(audio.encoders, encoders.name_of)
    return Plan(
        speech=json.dumps(speech, sort_keys=True),
        face=json.dumps(face, sort_keys=True),
        voices=tuple((seconds, name) for seconds in audio.clip_seconds for name in names),
        identities=tuple(name for name in by_name(faces.encoders, registry.name_of) if name != DLIB),
        attributes=tuple(by_name(faces.attributes, registry.name_of)),
        languages=tuple(by_name(audio.languages, language.name_of)),
        acoustics=audio.acoustics,
        weights=_weights(settings),
    )


def _weights(settings: ExtractSettings) -> tuple[tuple[str, str], ...]:
    """(stage of a model, hash of its weights), for bundled models and those in the user's files."""
    places: dict[str, tuple[Path, bool]] = {}
    for stage, specs, name_of in (
        ("voice", settings.audio.encoders, encoders.name_of),
        ("language", settings.audio.languages, language.name_of),
        ("identity", settings.faces.encoders, registry.name_of),
        ("attributes", settings.faces.attributes, registry.name_of),
    ):
        for name, spec in by_name(specs, name_of).items():
            places[f"{stage}:{name}"] = _place(spec), file_network.is_file(spec)
    return tuple((name, _digest(place, beside)) for name, (place, beside) in places.items() if place.exists())


def _place(spec: str) -> Path:
    """Location of the weights; a path that does not exist for models that another package contains or downloads."""
    kind, _, source = spec.partition(":")
    if spec in _IN_THE_BOX:
        return _IN_THE_BOX[spec]
    place = Path(source or f"/no file of {kind}").expanduser().absolute()
    inside = {"ds2f-attributes": "attributes.safetensors", **dict.fromkeys(encoders.TRAINED, "voice.safetensors")}
    return place / inside[kind] if kind in inside else place  # the folder of a voice also holds training checkpoints


def _digest(place: Path, beside: bool) -> str:
    """Hash of a folder, or of a file and, if present, the other part of an ncnn model; beside: also of the JSON file
    next to it, which describes how the user's own network takes faces."""
    found = sorted(place.rglob("*")) if place.is_dir() else [place]
    digest = hashlib.sha256()
    for file in (*found, place.with_suffix(".bin"), *([place.with_suffix(".json")] if beside else [])):
        if file.is_file():
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:12]
