"""`ds2f describe`: what a voice says about its speaker."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, config_of
from ds2f.cli.models import add_device, add_model, model_folder, with_model

if TYPE_CHECKING:
    from ds2f.config import Config
    from ds2f.speech2face.model import Speech2Face
    from ds2f.speech2face.quick import QuickDescriber


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING", help="sound or video, any common format")
    add_model(sub)
    add_device(sub)


def _describer(config: Config, device: str) -> QuickDescriber | Speech2Face:
    """Whichever of the two loads faster; their results are the same."""
    from ds2f.models import folders
    from ds2f.speech2face import quick

    folder = model_folder(config) or folders.shipped()
    if quick.can_describe(folder, device):
        return quick.QuickDescriber(folder, config.audio)
    from ds2f.speech2face.model import Speech2Face

    return Speech2Face.from_pretrained(folder, device=device, audio=config.audio)


def run(options: argparse.Namespace) -> int:
    from ds2f.cli.console import err, out
    from ds2f.errors import ItemError
    from ds2f.io.extras import installed

    model = _describer(with_model(config_of(options), options.model), options.device)
    heard = 0
    for path in options.recordings:
        try:
            told = model.describe(path)
        except ItemError as error:
            err.print(f"ds2f describe: {path}: {error.reason}")
            continue
        heard += 1
        out.print(f"{path}\n{told}")
    if not installed("parselmouth"):
        err.print("Pitch and rate need parselmouth; run: pip install 'ds2f[acoustics]'")
    return 0 if heard == len(options.recordings) else 1 if heard else 2
