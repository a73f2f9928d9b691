"""`ds2f demo`: ingest, extract, generate and evaluate the sample clips, then lay true and drawn faces side by side."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ds2f.cli.arguments import add_workers
from ds2f.cli.evaluate import evaluate
from ds2f.cli.extract import extract
from ds2f.cli.generate import generate_dataset
from ds2f.cli.ingest import ingest
from ds2f.errors import UserError

VARIANTS = 4  # faces per clip on the sheet


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--out", type=Path, default=Path("demo-out"), metavar="FOLDER", help="default: demo-out")
    add_workers(sub)


def run(options: argparse.Namespace) -> None:
    """Everything into a folder; what is there already is kept."""
    from ds2f.cli.console import out
    from ds2f.config import Config, Split
    from ds2f.demo import samples
    from ds2f.demo.sheet import draw_sheet
    from ds2f.io.files import make_folder

    folder: Path = options.out
    if not any(samples().glob("*.mp4")):
        raise UserError("The sample clips are missing from the package; install it again.")
    make_folder(folder)
    config = replace(Config(), split=Split(val=0.0, test=1.0))  # these people are only looked at, nobody learns
    database, report = folder / "dataset.db", folder / "report"
    out.print("ds2f demo", style="bold", end="")
    out.print(": eight synthetic people, invented faces and machine voices.")
    ingest(database, [samples()], "video", config)
    extract(database, config, options.workers)
    for variant in range(VARIANTS):
        seeded = replace(config, generate=replace(config.generate, seed=1000 * variant))
        generate_dataset(database, "test", folder / f"faces-{variant}", seeded, "auto")
    evaluate(database, {"ds2f": folder / "faces-0"}, "test", report, config)
    sheet = draw_sheet(database, [folder / f"faces-{v}" for v in range(VARIANTS)], folder / "contact-sheet.png")
    for what, file in (("\nContact sheet: ", sheet), ("Report:        ", report / "report.html")):
        out.print(what, style="bold", end="")
        out.print(file)
    out.print("Next, your own voice: ds2f generate talk.wav --out faces")
