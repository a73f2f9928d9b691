"""`ds2f verify-faces`: does this voice belong to this face? Published lists, scored by a model's alignment."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, add_out, add_workers, config_of
from ds2f.cli.models import add_model, alignment_folder
from ds2f.errors import UserError

if TYPE_CHECKING:
    from ds2f.evaluation.protocols.verify import FaceVerification, ListResult

REFUSED_SHOWN = 20  # files that could not be used


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("lists", nargs="+", type=Path, metavar="LIST", help="in the format of the protocol")
    sub.add_argument(
        "--protocol",
        choices=("pins", "fame", "matching"),
        required=True,
        help="pins: Learnable PINs' veriflist_test_*.txt; fame: `id voice face`; matching: `voice face face ...`",
    )
    shown = "folder that the listed paths are relative to; may be repeated (default: this folder)"
    sub.add_argument("--root", action="append", type=Path, default=[], metavar="FOLDER", help=shown)
    shown = "labels of FAME's lists: `id 1` for one person, `id 0` for two; may be repeated"
    sub.add_argument("--labels", action="append", type=Path, default=[], metavar="FILE", help=shown)
    add_model(sub, "model whose alignment is used: ", "; the shipped one, too, where that has no alignment")
    shown = "FAME: the language that the model (or the one in FOLDER) was trained on; twice for all four cells"
    sub.add_argument("--heard", action="append", default=[], metavar="LANGUAGE[=FOLDER]", help=shown)
    sub.add_argument("--allow-missing", action="store_true", help="score the rest if some files are missing")
    add_workers(sub)
    add_out(sub, "folder for scores and verification.json; a stopped run resumes there")


def run(options: argparse.Namespace) -> int:
    """Returns 0, or 1 if some files are missing or could not be used."""
    config = config_of(options)
    if options.heard and options.protocol != "fame":
        raise UserError("--heard is for FAME's lists; leave it out.")
    from ds2f.cli.console import bar, err, out
    from ds2f.evaluation.protocols.verify import verify_faces

    with bar("embed") as shown:
        found = verify_faces(
            options.lists,
            options.protocol,
            options.root or [Path()],
            options.out,
            config,
            _models(options.heard, alignment_folder(config, options.model)),
            options.labels,
            options.allow_missing,
            options.workers,
            shown.update,
        )
    for path, reason in list(found.refused.items())[:REFUSED_SHOWN]:
        err.print(f"ds2f verify-faces: {path}: {reason}")
    if len(found.refused) > REFUSED_SHOWN:
        more = len(found.refused) - REFUSED_SHOWN
        err.print(f"ds2f verify-faces: and {more:,} more, all listed in verification.json")
    if found.missing:
        err.print(f"{len(found.missing):,} listed files are missing; lines that name them were left out.")
    print_lists(found)
    out.print(f"Scores and verification.json: {options.out}")
    err.print("A voice says little about a face. This is a guess over many people and identifies nobody.")
    return 1 if found.refused or found.missing else 0


def _models(heard: Sequence[str], model: Path | None) -> dict[str, Path | None]:
    found: dict[str, Path | None] = {}
    for value in heard:
        language, _, folder = value.partition("=")
        if language in found:
            raise UserError(f"--heard {language} is given twice.")
        found[language] = Path(folder) if folder else model
    return found or {"": model}


def print_lists(found: FaceVerification) -> None:
    """One row per list and model."""
    from ds2f.cli.console import columns, interval, out

    even = ("even guesses",) if any(each.even for each in found.lists) else ()
    if found.protocol == "matching":
        table = columns("list", "probes", "of", "right", "chance", "lines", *even, left=("probes",))
    elif found.protocol == "fame":
        table = columns("list", "heard", "AUC", "EER", "lines", *even, left=("heard",))
    else:
        table = columns("list", "AUC", "EER", "lines", *even)
    for each in found.lists:
        counts = [f"{each.trials:,}", *([f"{each.even:,}"] if even else [])]
        if found.protocol == "matching":
            right, chance = interval(each.right, 100, " %"), f"{100 / each.ways:.0f} %"
            table.add_row(each.name, each.probes, str(each.ways), right, chance, *counts)
        else:
            heard = [each.heard] if found.protocol == "fame" else []
            name = f"{each.criterion}, {each.people}" if each.people else each.name
            table.add_row(name, *heard, *_rates(each), *counts)
    out.print(table)
    if found.overall is not None:
        out.print(f"overall, the mean of the four equal error rates: {100 * found.overall:.2f} %")


def _rates(each: ListResult) -> tuple[str, str]:
    from ds2f.cli.console import interval

    if each.same is None:
        return "no labels", ""
    return interval(each.auc, 100, " %", ".1f"), interval(each.eer, 100, " %", ".1f")
