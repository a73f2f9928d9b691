"""Optional packages: imported when they are asked for, with a sentence that says how to get one that is missing."""

from __future__ import annotations

import importlib
from typing import Any

from ds2f.errors import UserError


def optional(module: str, extra: str, wanted_by: str) -> Any:
    """Import `module` of the extra `extra`. Raises UserError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        reason = "is not installed" if error.name == package else f"cannot be imported ({error})"
        raise UserError(f"{wanted_by} needs {package}, which {reason}; run: pip install 'ds2f[{extra}]'") from None
