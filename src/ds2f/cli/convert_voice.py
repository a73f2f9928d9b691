"""`ds2f convert-voice`: third-party weights as safetensors and JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from ds2f.cli.arguments import add_out
from ds2f.models.speaker import ORIGINS


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "weights", type=Path, metavar="FILE", help="PyTorch checkpoint (its code is never run), or safetensors"
    )
    shown = "who trained them (default: recognised by the names of the tensors; CAM++: wespeaker)"
    sub.add_argument("--origin", choices=ORIGINS, help=shown)
    sub.add_argument("--licence", default="", metavar="TEXT", help="licence of the weights, for the model's JSON")
    add_out(sub, "folder for the speaker encoder, such as runs/voice")


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out
    from ds2f.models.speaker.foreign import convert

    network, origin = convert(options.weights, options.out, options.origin, options.licence)
    config, features = network.config, network.config.features
    out.print(f"{config.network} of {origin}, {config.dim} numbers per voice, is in {options.out}.")
    kind = f"{features.bins} log mel bands ({'Kaldi' if features.family == 'kaldi' else 'torchaudio'}'s, "
    out.print(f"It reads {kind}{features.window} window), normalised by {features.normalise}.")
    out.print(f"Measure it: ds2f verify TRIALS --encoder {options.out}")
