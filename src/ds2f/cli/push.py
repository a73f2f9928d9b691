"""`ds2f push`: uploads a model to the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("model", type=Path, metavar="FOLDER", help="model folder, as ds2f train writes it")
    sub.add_argument("repo", metavar="OWNER/NAME", help="repository, created if missing")
    sub.add_argument("--metrics", type=Path, metavar="FILE", help="metrics.json of ds2f evaluate, for the card")
    sub.add_argument("--revision", metavar="BRANCH", help="branch to commit to (default: main)")
    sub.add_argument("--public", action="store_true", help="make a new repository public (default: private)")


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out
    from ds2f.speech2face import hub

    address = hub.push(options.model, options.repo, options.metrics, options.revision, options.public)
    out.print(f"{options.model} is at {address}")
    if options.revision:  # the commands take the main branch
        out.print(f'Use it: Speech2Face.from_pretrained("{options.repo}", revision="{options.revision}")')
    else:
        out.print(f"Use it: ds2f generate talk.wav --out faces --model {options.repo}")
