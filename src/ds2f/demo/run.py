"""`ds2f demo`: ingest, extract, generate and evaluate the sample clips, then lay true and drawn faces side by side."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from ds2f.cli import workflow
from ds2f.cli.console import out
from ds2f.config import Config, Split
from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.evaluation.sheet import SheetRow, contact_sheet
from ds2f.io.media import decode_image, read_image
from ds2f.speech2face.files import make_folder
from ds2f.types import Source

VARIANTS = 4  # faces per clip on the sheet


def samples() -> Path:
    """The folder of the sample clips."""
    return Path(str(files("ds2f") / "demo" / "samples"))


def run_demo(folder: Path, workers: int) -> Path:
    """Everything into `folder`; what is there already is kept. Returns the path of the contact sheet."""
    if not any(samples().glob("*.mp4")):
        raise UserError("The sample clips are missing from the package; install it again.")
    make_folder(folder)
    config = replace(Config(), split=Split(val=0.0, test=1.0))  # these people are only looked at, nobody learns
    database, report = folder / "dataset.db", folder / "report"
    out.print("[bold]ds2f demo[/]: eight synthetic people, invented faces and machine voices.")
    workflow.ingest(database, [samples()], "video", config)
    workflow.extract(database, config, workers)
    for variant in range(VARIANTS):
        seeded = replace(config, generate=replace(config.generate, seed=1000 * variant))
        workflow.generate_dataset(database, "test", folder / f"faces-{variant}", seeded, "auto")
    workflow.evaluate(database, {"ds2f": folder / "faces-0"}, "test", report, config)
    sheet = draw_sheet(database, [folder / f"faces-{v}" for v in range(VARIANTS)], folder / "contact-sheet.png")
    out.print(f"\n[bold]Contact sheet:[/] {sheet}\n[bold]Report:[/]        {report / 'report.html'}")
    out.print("Next, your own voice: ds2f generate talk.wav --out faces")
    return sheet


def draw_sheet(database: Path, folders: list[Path], path: Path, limit: int = 12) -> Path:
    """True face beside the generated ones, for up to `limit` clips of the test split."""
    with Dataset(database) as dataset:
        pairs = dataset.pairs("test")[:limit]
    rows = []
    for pair in pairs:
        drawn: list[np.ndarray] = [read_image(Source(folder / f"{pair.picture}.png")) for folder in folders]
        rows.append(SheetRow(pair.path, decode_image(pair.crop), drawn))
    contact_sheet(rows, path, ["true face", *(f"imagined {i + 1}" for i in range(len(folders)))])
    return path
