"""`ds2f match`: which of several faces fits a voice best."""

from __future__ import annotations

import argparse
from pathlib import Path

from ds2f.cli.arguments import add_config, config_of
from ds2f.cli.models import add_model, alignment_folder
from ds2f.errors import UserError


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("voice", type=Path, metavar="VOICE", help="audio or video of one speaker")
    sub.add_argument("faces", nargs="+", type=Path, metavar="FACE", help="pictures, one face in each")
    add_model(sub, "model whose alignment is used: ", "; the shipped one, too, where that has no alignment")


def run(options: argparse.Namespace) -> int:
    """Returns 0, or 1 if a picture shows no usable face."""
    config = config_of(options)
    for path, what in ((options.voice, "recording"), *((face, "picture") for face in options.faces)):
        if not path.exists():  # before the models are loaded
            raise UserError(f"There is no {what} {path}; check the path.")
    from ds2f.cli.console import columns, err, out
    from ds2f.evaluation.match import Matcher

    model = alignment_folder(config, options.model)
    found = Matcher(model, config.audio, len(options.faces)).match(options.voice, options.faces)
    for path, reason in found.refused:
        err.print(f"ds2f match: {path}: {reason}")
    if found.part:
        err.print(f"ds2f match: {options.voice}: heard only {found.part}")
    table = columns("face", "fits the voice", "of these, the one")
    for m in found.faces:
        table.add_row(str(m.face), f"{100 * m.fits:.0f} %", f"{100 * m.share:.0f} %")
    table.add_row("chance", "50 %", f"{100 / len(found.faces):.0f} %")
    out.print(table)
    err.print("A voice says little about a face. This is a guess over many people and identifies nobody.")
    return 1 if found.refused else 0
