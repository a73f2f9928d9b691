"""`ds2f demo`: ingest, extract, generate and evaluate the sample clips, then lay true and drawn faces side by side.

Without the extra packages that look at faces it draws, and leaves dataset and report out.
"""

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
    from ds2f.demo import samples
    from ds2f.io.extras import has
    from ds2f.io.files import make_folder

    folder: Path = options.out
    if not any(samples().glob("*.mp4")):
        raise UserError("The sample clips are missing from the package; install it again.")
    make_folder(folder)
    out.print("ds2f demo", style="bold", end="")
    out.print(": eight synthetic people, invented faces and machine voices.")
    if has("faces", "evaluate"):
        sheet, report = _whole_way(folder, options.workers)
        out.print("\nReport:        ", style="bold", end="")
        out.print(report)
    else:
        sheet = _drawn(folder)
        out.print("\nA dataset and a report were left out; they look at faces in pictures. To have them, too:")
        out.print("    pip install 'ds2f[demo]' && ds2f demo")
    out.print("Contact sheet: ", style="bold", end="")
    out.print(sheet)
    out.print("Next, your own voice: ds2f generate talk.wav --out faces")


def _drawn(folder: Path) -> Path:
    """Faces for the voices of the sample clips, and nothing else. Returns the contact sheet."""
    from ds2f.cli.generate import generate_files
    from ds2f.config import Config
    from ds2f.demo import samples
    from ds2f.demo.sheet import sheet_of_clips
    from ds2f.types import NO_WISH

    clips, faces = sorted(samples().glob("*.mp4")), folder / "faces"
    chosen = replace(Config(), generate=replace(Config().generate, count=VARIANTS))
    generate_files(clips, faces, chosen, "auto", NO_WISH)
    drawn = [[faces / f"{clip.stem}-{variant}.png" for variant in range(VARIANTS)] for clip in clips]
    return sheet_of_clips(clips, drawn, folder / "contact-sheet.png")


def _refuse_others(database: Path, clips: Path) -> None:
    """Raises UserError for a dataset of clips that lie elsewhere, beside which these would be the same people again."""
    from ds2f.dataset import Dataset

    if not database.exists():
        return
    with Dataset(database) as dataset:
        roots = [row[0] for row in dataset.connection.execute("SELECT path FROM roots")]
    if roots and str(clips.resolve()) not in roots:
        raise UserError(
            f"{database} is of the sample clips in {roots[0]}, not of this installation's; remove it, or give another "
            "--out."
        )


def _whole_way(folder: Path, workers: int) -> tuple[Path, Path]:
    """Returns contact sheet and report."""
    from ds2f.config import Config, Split
    from ds2f.demo import samples
    from ds2f.demo.sheet import draw_sheet

    config = replace(Config(), split=Split(val=0.0, test=1.0))  # these people are only looked at, nobody learns
    database, faces, report = folder / "dataset.db", folder / "faces-of-clips", folder / "report"
    _refuse_others(database, samples())
    ingest(database, [samples()], "video", config)
    extract(database, config, workers)
    generate_dataset(database, "test", faces, config, "auto", VARIANTS)
    evaluate(database, {"ds2f": faces}, "test", report, config)
    sheet = draw_sheet(database, faces, VARIANTS, folder / "contact-sheet.png")
    return sheet, report / "report.html"
