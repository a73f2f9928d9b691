"""ds2f: hears a voice and draws the face that could belong to it.

    from ds2f import Speech2Face

    model = Speech2Face.from_pretrained()
    for number, face in enumerate(model("talk.wav", count=4)):
        face.save(f"face-{number}.png")

Importing the package is deliberately cheap: torch and other heavy dependencies are imported with the first name that
needs them.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from ds2f._renamed import OldModules, old_names

if TYPE_CHECKING:
    from ds2f.errors import ItemError, UserError
    from ds2f.speech2face.describe import Belief, VoiceDescription
    from ds2f.speech2face.face import GeneratedFace
    from ds2f.speech2face.model import Speech2Face
    from ds2f.speech2face.settings import SamplingSettings

__version__ = "0.1.0"
__all__ = ["Belief", "GeneratedFace", "ItemError", "SamplingSettings", "Speech2Face", "UserError", "VoiceDescription"]

_HOMES = {
    "speech2face.describe": ("Belief", "VoiceDescription"),
    "errors": ("ItemError", "UserError"),
    "speech2face.model": ("Speech2Face",),
    "speech2face.settings": ("SamplingSettings",),
    "speech2face.face": ("GeneratedFace",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"ds2f.{home}"), name)
    return old_names(__name__, above=4)(name)


sys.meta_path.append(OldModules)  # resolves imports of renamed modules
