"""Optional packages: imported when they are asked for, with a sentence that says how to get one that is missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ds2f.errors import UserError


def optional(module: str, extra: str, wanted_by: str) -> Any:
    """Import `module` of the extra `extra`. Raises UserError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except (
        ImportError,
        OSError,
    ) as error:  # OSError: a compiled part made for another torch, as torchaudio's
        package = module.partition(".")[0]
        missing = isinstance(error, ImportError) and error.name == package
        reason = "is not installed" if missing else f"cannot be imported ({first_line(error)})"
        raise UserError(f"{wanted_by} needs {package}, which {reason}; run: pip install 'ds2f[{extra}]'") from None


def installed(module: str) -> bool:
    """Whether there is such a package; it is not imported."""
    return importlib.util.find_spec(module) is not None


def first_line(error: Exception) -> str:
    """What a library said, short enough for one sentence of ours."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
