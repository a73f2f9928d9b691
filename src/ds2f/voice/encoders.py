"""Speaker encoders by the names used in ds2f.toml: "campplus", "wespeaker:FILE.onnx", ...

A name marks the dataset rows of its encoder. Nothing is imported or loaded before an encoder is requested.

| spec | encoder | dimension | size | licence |
| --- | --- | --- | --- | --- |
| campplus-frames | CAM++'s last layer over time, from which faces are predicted | 512 | 7 MB, bundled | Apache-2.0 |
| campplus | CAM++'s speaker embedding | 192 | the same | Apache-2.0 |
| resemblyzer | GE2E LSTM | 256 | 17 MB, in its package, an extra | Apache-2.0 |
| ds2f:FOLDER | trained by `ds2f train voice` | 192-512 | 6-33 MB | its trainer's |
| ds2f-frames:FOLDER | its last layer over time, averaged | 128-2,048 | the same | the same |
| wespeaker:FILE.onnx | WeSpeaker ResNet, CAM++, ECAPA | 192-512 | 25-90 MB | Apache-2.0; VoxCeleb weights CC BY 4.0 |
| speechbrain:SOURCE | ECAPA-TDNN | 192 | 83 MB | Apache-2.0 |
| pyannote:SOURCE | WeSpeaker ResNet34 or x-vector | 256 or 512 | 27 MB | MIT code; weights CC BY 4.0 |
| titanet:SOURCE | NeMo TitaNet | 192 | 25-97 MB | Apache-2.0 code; weights CC BY 4.0 |
"""

from __future__ import annotations

import os
from pathlib import Path

from ds2f.config import Numbers
from ds2f.errors import UserError
from ds2f.models.processor import cpu_has_bf16
from ds2f.voice import campplus_graph
from ds2f.voice.base import SpeakerEncoder

FRAMES = "campplus-frames"  # for faces; the others tell speakers apart
INCLUDED = (FRAMES, "campplus", "resemblyzer")
TRAINED = ("ds2f", "ds2f-frames")
KINDS = (
    *INCLUDED,
    *(f"{kind}:FOLDER" for kind in TRAINED),
    "wespeaker:FILE.onnx",
    "speechbrain:SOURCE",
    "pyannote:SOURCE",
    "titanet:SOURCE",
)


def name_of(spec: str) -> str:
    """The name that marks rows of this encoder: its kind and the last part of its source. Loads nothing.

    Raises UserError for a spec that matches no encoder.
    """
    kind, source = _split(spec)
    return f"{kind}/{Path(source).absolute().name.removesuffix('.onnx').removesuffix('.nemo')}" if source else kind


def load(spec: str, device: str = "cpu", precision: Numbers = "auto") -> SpeakerEncoder:
    """precision: of CAM++ and of encoders trained here, see `[audio] precision`; the others have their own.

    Raises UserError for a spec that matches no encoder, a missing package, or weights that are unavailable.
    """
    kind, source = _split(spec)
    if kind in TRAINED:
        from ds2f.voice.trained import TrainedEncoder

        return TrainedEncoder(Path(source), name_of(spec), device, kind != TRAINED[0], precision)
    if kind == "wespeaker":
        from ds2f.voice.wespeaker import WeSpeaker

        return WeSpeaker(source, name_of(spec), device)
    if kind == "speechbrain":
        from ds2f.voice.speechbrain_ecapa import SpeechBrainEncoder

        return SpeechBrainEncoder(source, name_of(spec), device)
    if kind == "pyannote":
        from ds2f.voice.pyannote_encoder import PyannoteEncoder

        return PyannoteEncoder(source, name_of(spec), device)
    if kind == "titanet":
        from ds2f.voice.titanet import TitaNet

        return TitaNet(source, name_of(spec), device)
    if kind == "resemblyzer":
        from ds2f.voice.resemblyzer import Resemblyzer

        return Resemblyzer(device)
    if device == "cpu" and (precision == "float32" or not cpu_has_bf16()) and campplus_graph.usable():
        return campplus_graph.CAMPlusPlusGraph(frames=kind == FRAMES)
    from ds2f.voice.campplus import CAMPlusPlus

    return CAMPlusPlus(device, frames=kind == FRAMES, precision=precision)


def _split(spec: str) -> tuple[str, str]:
    """Kind and source. A bare folder, such as runs/voice, is an encoder trained by `ds2f train voice`."""
    kind, colon, source = spec.partition(":")
    if kind not in INCLUDED and not colon and (Path(spec).expanduser() / "voice.json").is_file():
        kind, colon, source = TRAINED[0], ":", spec
    known = [k.partition(":")[0] for k in KINDS]
    if kind not in known or (kind in INCLUDED) == bool(colon) or bool(colon) != bool(source):
        raise UserError(f"There is no speaker encoder {spec!r}; choose one of {', '.join(KINDS)}.")
    return kind, os.path.expanduser(source)  # no shell expands ~ after a colon
