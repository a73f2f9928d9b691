"""Names of version 0.1, which say where they went; gone in the next version. See `ds2f.voice.encode`."""

from __future__ import annotations

import warnings
from typing import Any

from ds2f.voice import encode

RENAMED = {"Recording": "Recording", "Listener": "VoiceEncoder", "Heard": "EncodedVoice"}


def __getattr__(name: str) -> Any:
    if name not in RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"ds2f.voice.listener.{name} is now ds2f.voice.encode.{RENAMED[name]}", DeprecationWarning, stacklevel=2
    )
    return getattr(encode, RENAMED[name])
