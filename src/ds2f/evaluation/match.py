"""Which of these faces fits this voice? The implementation of `ds2f match`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ds2f.config import Audio
from ds2f.errors import ItemError, UserError
from ds2f.face.dlib_resnet import DlibOwn, DlibResNet
from ds2f.face.encode import FaceEncoder
from ds2f.io.extras import installed
from ds2f.io.images import read_image
from ds2f.models import folders
from ds2f.models.graphs import Graph, graph_of
from ds2f.speech2face import hub
from ds2f.types import DLIB, VOICE, Excerpt, Source
from ds2f.voice.encode import VoiceEncoder

FEW = 8  # pictures that dlib's own code embeds in less time than importing PyTorch takes


@dataclass(frozen=True)
class Match:
    """A face. fits: probability that it belongs to the voice, with even prior odds against a stranger's, chance 1/2;
    share: probability that it is the right one, given that exactly one of the faces is, chance 1 / faces."""

    face: Path
    fits: float
    share: float


@dataclass(frozen=True)
class Matches:
    """The result of matching. faces: best first; refused: (picture, reason) for those without a usable face; part: of
    a long recording, that was heard."""

    faces: list[Match]
    refused: list[tuple[Path, str]]
    part: Excerpt | None = None


class Matcher:
    """Voice encoders, face models and the alignment, loaded once."""

    def __init__(self, model: str | Path | None = None, audio: Audio | None = None, faces: int = FEW + 1) -> None:
        """model: folder of one with an alignment, or its id on the Hub; None for the shipped one.
        audio: what counts as enough speech; None: the defaults of ds2f.toml.
        faces: how many there will be; for a few, importing PyTorch is not worth it.

        Raises UserError if it cannot be used.
        """
        folder = folders.shipped() if model is None else hub.resolve(model)
        config = folders.description(folder, "alignment")["config"]
        if config["face_encoder"] != DLIB:
            raise UserError(
                f"The alignment in {folder} takes faces by {config['face_encoder']}; only dlib is supported here. "
                "Train one for dlib with: ds2f train alignment"
            )
        heard = replace(audio or Audio(), precision="float32")
        self.voice_encoder = VoiceEncoder(heard, config["clip_seconds"], list(config["voices"]))
        self.face_encoder = FaceEncoder(loaded={DLIB: DlibOwn() if faces <= FEW else DlibResNet()})
        self.log_odds = _log_odds(folder, list(config["voices"]))

    def match(self, voice: Path, faces: Sequence[Path]) -> Matches:
        """voice: a recording, audio or video; faces: pictures.

        Raises UserError if the voice cannot be used, or none of the faces.
        """
        try:
            heard = self.voice_encoder.encode(voice)
        except ItemError as error:
            raise UserError(f"{voice}: {error.reason}.") from None
        found: dict[Path, np.ndarray] = {}
        refused: list[tuple[Path, str]] = []
        for face in dict.fromkeys(faces):
            try:
                found[face] = self.face_encoder.encode(read_image(Source(face))).face.identity
            except ItemError as error:
                refused.append((face, error.reason))
        if not found:
            reasons = "; ".join(f"{path}: {reason}" for path, reason in refused)
            raise UserError(f"None of the pictures shows a face that can be compared ({reasons}).")
        odds = self.log_odds(heard.voices, np.stack(list(found.values())))
        fits, against = 1 / (1 + np.exp(-odds)), np.exp(odds - odds.max())
        share = against / against.sum()
        ranked = sorted(map(Match, found, fits.tolist(), share.tolist()), key=lambda m: -m.fits)
        return Matches(ranked, refused, heard.speech.part)


LogOdds = Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]
"""Maps ({name: (d,)} of a voice, (n, 128) identities) to (n,), see `Alignment.log_odds`."""


def _log_odds(folder: Path, voices: list[str]) -> LogOdds:
    """By the alignment's graph if there is one, else by PyTorch. Raises UserError if there is no alignment."""
    path = graph_of(folder, "alignment")
    if path is not None and voices == [VOICE] and installed("onnxruntime"):
        graph = Graph(path)
        return lambda heard, identity: graph(voice=heard[VOICE][None], identity=identity)[0][0]
    import torch

    from ds2f.models import store
    from ds2f.models.conditioning import Condition

    model = store.load_alignment(folder)

    @torch.no_grad()
    def by_torch(heard: Mapping[str, np.ndarray], identity: np.ndarray) -> np.ndarray:
        told = {name: Condition.of(torch.from_numpy(vector)[None]) for name, vector in heard.items()}
        found: np.ndarray = model.log_odds(model.inputs(told), torch.from_numpy(identity))[0].numpy()
        return found

    return by_torch
