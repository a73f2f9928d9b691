"""Deprecated public names, kept for one release: each still works and warns with its new name. CHANGELOG.md lists them.

For a module that moved, add a line to MODULES. For a renamed name inside a module, add a line to NAMES and end that
module with `if not TYPE_CHECKING: __getattr__ = old_names(__name__)`. For a renamed method or parameter, add it to
METHODS or PARAMETERS and decorate the class with `@old_methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar
from warnings import warn

MODULES = {
    "arguments": "cli.arguments",
    "card": "speech2face.card",
    "completion": "speech2face.restore",
    "console": "cli.console",
    "demo.run": "demo",
    "describe": "speech2face.describe",
    "doctor": "cli.doctor",
    "extract.engine": "extract.engines.local",
    "extract.ray_engine": "extract.engines.ray",
    "extras": "io.extras",
    "extract.people": "face.people",
    "face.guide": "face.encode",
    "files": "io.files",
    "generate": "speech2face.files",
    "hub": "speech2face.hub",
    "match": "evaluation.match",
    "media": "io.media",
    "packing": "models.packing",
    "pictures": "io.images",
    "pipeline": "speech2face.model",
    "settings": "speech2face.settings",
    "speech2face.weave": "speech2face.patch_artifacts",
    "voice.listener": "voice.encode",
    "voice.trials": "evaluation.verification",
    "wishes": "speech2face.wishes",
}
"""{old module: current module}, both relative to ds2f."""

NAMES: dict[str, dict[str, str]] = {
    "ds2f": {"Settings": "speech2face.settings:SamplingSettings"},
    "evaluation.verification": {
        "Trial": "evaluation.speakers.trials:Trial",
        "read_trials": "evaluation.speakers.trials:read_trials",
        "write_scores": "evaluation.speakers.trials:write_scores",
        "Verification": "evaluation.speakers.records:Verification",
        "verify": "evaluation.speakers.run:verify",
    },
    "io.media": {"decode_flac": "io.speech:decode", "encode_flac": "io.speech:encode_flac"},
    "speech2face.settings": {"Settings": "SamplingSettings"},
    "types": {"GeneratedFace": "speech2face.face:GeneratedFace"},
    "voice.encode": {"Listener": "VoiceEncoder", "Heard": "EncodedVoice"},
}
"""{current module: {old name: current name, in the same module, or "module:name" in another}}."""

METHODS: dict[str, dict[str, str]] = {
    "VoiceEncoder": {"hear": "encode"},
    "Speech2Face": {
        "hear": "encode_voice",
        "listen": "embed_voice",
        "voices": "voice_inputs",
        "told_by": "decoder_voices",
        "told": "voice_conditions",
        "identities": "sample_identities",
        "draw": "sample_images",
        "generate": "sample_faces",
        "imagine": "sample_unconditional",
    },
}
"""{class: {old method: current method}}."""

PARAMETERS: dict[str, dict[str, str]] = {
    "draw": {"voices": "voice_conditions"},
    "generate": {"told": "voice_conditions"},
    "voices": {"heard": "encoded"},
}
"""{old method: {old parameter: current parameter}}."""

Kind = TypeVar("Kind", bound=type)


def old_names(module: str, above: int = 3) -> Callable[[str], Any]:
    """The `__getattr__` (PEP 562) of a module with renamed names. above: stack frames up to the line that uses the
    name."""

    def found(name: str) -> Any:
        new = NAMES[module.removeprefix("ds2f.")].get(name)
        if new is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, there = new.rpartition(":")
        _warn(f"{module}.{name}", f"ds2f.{home}.{there}" if home else f"{module}.{there}", above)
        return getattr(import_module(f"ds2f.{home}" if home else module), there)

    return found


def old_methods(kind: Kind) -> Kind:
    """A class decorator that adds the old method names in METHODS; each calls its replacement."""
    for old, new in METHODS[kind.__name__].items():
        setattr(kind, old, _method(kind.__name__, old, new))
    return kind


def _method(kind: str, old: str, new: str) -> Callable[..., Any]:
    renamed = PARAMETERS.get(old, {})

    def method(self: Any, *given: Any, **named: Any) -> Any:
        _warn(f"{kind}.{old}", f"{kind}.{new}", above=3)
        return getattr(self, new)(*given, **{renamed.get(name, name): value for name, value in named.items()})

    method.__name__, method.__doc__ = old, f"Deprecated name of `{new}`."
    return method


def _warn(old: str, new: str, above: int) -> None:
    warn(f"{old} is now {new}; the old name will be removed in the next release.", DeprecationWarning, stacklevel=above)


class OldModules:
    """A finder placed last on sys.meta_path, which resolves the old names of moved modules."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, module = name.partition(".")
        if package != "ds2f" or module not in MODULES:
            return None
        return ModuleSpec(name, _Moved(f"ds2f.{MODULES[module]}"))  # type: ignore[arg-type]  # importlib.abc takes 70 ms


class _Moved:
    """A loader that returns an existing module."""

    def __init__(self, home: str) -> None:
        self.home = home

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        _warn(spec.name, self.home, above=3)  # warnings skip importlib's own frames
        module = import_module(self.home)
        self.own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own  # importing by the old name overwrote it
