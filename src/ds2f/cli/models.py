"""Which model a command uses, and how it is loaded: --model, else [generate] model, else the one that ships with
ds2f."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ds2f.config import Config
    from ds2f.io.credentials import Signing
    from ds2f.speech2face.model import Speech2Face
    from ds2f.speech2face.quick import QuickSpeech2Face
    from ds2f.speech2face.settings import SamplingSettings
    from ds2f.types import Wish


def add_model(sub: argparse.ArgumentParser, what: str = "", more: str = "") -> None:
    """what: the part of the model that is used, if not all of it; more: about the default."""
    shown = f"{what}folder, or id on the Hub (default: [generate] model of ds2f.toml, or the one shipped{more})"
    sub.add_argument("--model", help=shown)


def add_device(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")


def with_model(config: Config, model: str | None) -> Config:
    """The configuration with the model that --model names, if any. Its relative paths start at the current folder,
    not at ds2f.toml."""
    if not model:
        return config
    chosen = str(Path(model).absolute()) if Path(model).is_dir() else model
    return replace(config, generate=replace(config.generate, model=chosen))


def model_for(config: Config, device: str, wish: Wish) -> tuple[Speech2Face | QuickSpeech2Face, SamplingSettings]:
    """As `load_model`, but of the two implementations that draw the same, the one that loads faster."""
    from ds2f.models import folders
    from ds2f.speech2face import quick
    from ds2f.speech2face.settings import settings_of

    settings, folder = settings_of(config.generate), model_folder(config) or folders.shipped()
    drawing = folders.drawing_of_size(folder, config.generate.size or None)
    if quick.can_draw(folder, drawing, settings, wish, device):
        model = quick.QuickSpeech2Face(folder, drawing, config.audio, signing_of(config))
        if model.signer is None and config.generate.sign:
            _say_unsigned()
        return model, settings
    return load_model(config, device)


def load_model(config: Config, device: str) -> tuple[Speech2Face, SamplingSettings]:
    """The model of the configuration and its sampling settings; rejects invalid settings before the model is used."""
    from ds2f.speech2face.model import Speech2Face
    from ds2f.speech2face.settings import settings_of

    chosen = config.generate
    settings = settings_of(chosen)
    folder = model_folder(config)
    model = Speech2Face.from_pretrained(
        folder, device=device, audio=config.audio, size=chosen.size or None, signing=signing_of(config)
    )
    if model.signer is None and chosen.sign:
        _say_unsigned()
    return model, settings


@cache  # `ds2f demo` draws several times
def _say_unsigned() -> None:
    from ds2f.cli.console import err

    err.print("The pictures are marked, but not signed (C2PA); to sign them, run: pip install 'ds2f[c2pa]'")


def signing_of(config: Config) -> Signing:
    """Who signs pictures, according to [generate]."""
    from ds2f.io.credentials import Signing

    chosen = config.generate
    files = [config.path(name) if name else None for name in (chosen.certificate, chosen.certificate_key)]
    return Signing(chosen.sign, *files)


def model_folder(config: Config) -> Path | None:
    """Folder of the configured model, fetched from the Hub if it is not a folder; None for the one that ships with
    ds2f.

    Raises UserError if there is none.
    """
    chosen, folder = config.generate.model, config.path(config.generate.model)
    if not chosen:
        return None
    from ds2f.speech2face import hub

    return hub.resolve(folder if folder.is_dir() else chosen)


def alignment_folder(config: Config, model: str | None) -> Path | None:
    """Folder of the model whose alignment of voices and faces is used: the one of --model; else the configured one
    if it has an alignment, since a model that only draws has none; else None, the one that ships with ds2f."""
    folder = model_folder(with_model(config, model))
    return folder if folder and (model or (folder / "alignment.json").is_file()) else None
