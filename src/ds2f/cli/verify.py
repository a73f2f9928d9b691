"""`ds2f verify`: a speaker encoder on a list of trials."""

from __future__ import annotations

import argparse
from pathlib import Path

from ds2f.cli.arguments import add_config, add_device, config_of

REFUSED_SHOWN = 20  # recordings that could not be used


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("trials", type=Path, metavar="TRIALS", help="lines of `1 path path`: 1 same speaker, 0 not")
    sub.add_argument("--root", type=Path, default=Path(), metavar="FOLDER", help="that the paths are relative to")
    sub.add_argument(
        "--encoder",
        metavar="SPEC",
        help="default: of the configuration the first that tells speakers apart, else campplus",
    )
    sub.add_argument("--out", type=Path, default=Path("verification"), metavar="FOLDER", help="default: verification")
    add_device(sub)


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import bar, err, out
    from ds2f.evaluation.verification import read_trials, verify
    from ds2f.io.files import make_folder
    from ds2f.models.store import pick_device
    from ds2f.voice.encoders import FRAMES, load

    config, folder = config_of(options), options.out
    trials = read_trials(options.trials)
    make_folder(folder)
    spec = options.encoder or next((s for s in config.audio.encoders if s != FRAMES), "campplus")
    encoder = load(spec, str(pick_device(options.device)))
    with bar("verify") as shown:
        found = verify(
            trials, options.root, encoder, config.audio, folder, config.evaluate.bootstrap, shown.update
        )  # fmt: skip
    for path, reason in list(found.refused.items())[:REFUSED_SHOWN]:
        err.print(f"ds2f verify: {path}: {reason}")
    if len(found.refused) > REFUSED_SHOWN:
        err.print(f"ds2f verify: and {len(found.refused) - REFUSED_SHOWN:,} more, all named in verification.json")
    low, high = found.eer_interval
    out.print(f"{found.encoder}: {found.trials:,} trials, {found.left_out:,} left out")
    out.print(f"equal error rate {100 * found.eer:.1f} % [{100 * low:.1f}-{100 * high:.1f}]")
    out.print(f"minDCF {found.min_dcf_01:.3f} at P_target 0.01, {found.min_dcf_05:.3f} at 0.05")
    out.print(f"Curve: {folder / 'roc.png'}   Numbers: {folder / 'verification.json'}")
