"""Which of these faces fits this voice? What `ds2f match` calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ds2f.config import Audio
from ds2f.errors import ItemError, UserError
from ds2f.evaluation.embed import embedder
from ds2f.models import store
from ds2f.models.alignment import Alignment
from ds2f.models.conditioning import Condition
from ds2f.speech2face import hub
from ds2f.voice.encode import VoiceEncoder


@dataclass(frozen=True)
class Match:
    """A face. fits: probability that it belongs to the voice, if it were as likely a stranger's, chance 1/2; share:
    probability that it is the one, if exactly one of the faces is, chance 1 / faces."""

    face: Path
    fits: float
    share: float


@dataclass(frozen=True)
class Matches:
    """faces: best first; refused: (picture, reason) of those that show no usable face."""

    faces: list[Match]
    refused: list[tuple[Path, str]]


class Matcher:
    """Voice encoders, face models and the alignment, loaded once."""

    def __init__(self, model: str | Path | None = None, audio: Audio | None = None) -> None:
        """model: folder of one with an alignment, or its id on the Hub; None for the shipped one.

        Raises UserError if it cannot be used.
        """
        folder = store.shipped() if model is None else hub.resolve(model)
        self.model: Alignment = store.load_alignment(folder)
        config = self.model.config
        if config.face_encoder != "dlib":
            raise UserError(f"The alignment in {folder} knows faces by {config.face_encoder}; only dlib is read here.")
        self.voice_encoder = VoiceEncoder(audio or Audio(), config.clip_seconds, list(config.voices))
        self.embed = embedder([config.face_encoder])

    def match(self, voice: Path, faces: Sequence[Path]) -> Matches:
        """voice: a recording, sound or video; faces: pictures.

        Raises UserError if the voice cannot be used, or none of the faces.
        """
        try:
            heard = self.voice_encoder.encode(voice).voices
        except ItemError as error:
            raise UserError(f"{voice}: {error.reason}.") from None
        found: dict[Path, np.ndarray] = {}
        refused: list[tuple[Path, str]] = []
        for face in dict.fromkeys(faces):
            try:
                found[face] = self.embed(face)[self.model.config.face_encoder]
            except ItemError as error:
                refused.append((face, error.reason))
        if not found:
            reasons = "; ".join(f"{path}: {reason}" for path, reason in refused)
            raise UserError(f"None of the pictures shows a face that can be compared ({reasons}).")
        odds = self.log_odds(heard, np.stack(list(found.values())))
        fits, share = torch.sigmoid(odds).tolist(), torch.softmax(odds, 0).tolist()
        ranked = sorted(map(Match, found, fits, share), key=lambda m: -m.fits)
        return Matches(ranked, refused)

    @torch.no_grad()
    def log_odds(self, heard: dict[str, np.ndarray], identity: np.ndarray) -> torch.Tensor:
        """heard: {name: (d,)}; identity: (n, 128). Returns (n,), see `Alignment.log_odds`."""
        told = {name: Condition.of(torch.from_numpy(vector)[None]) for name, vector in heard.items()}
        return self.model.log_odds(self.model.inputs(told), torch.from_numpy(identity))[0]
