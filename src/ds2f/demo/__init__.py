"""The demo: synthetic people that ship with ds2f."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def samples() -> Path:
    """The folder of the sample clips."""
    return Path(str(files("ds2f") / "demo" / "samples"))
