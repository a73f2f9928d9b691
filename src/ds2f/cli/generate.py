"""`ds2f generate`: faces for recordings, or for every clip of a dataset."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, add_out, add_size, config_of, positive
from ds2f.cli.models import add_device, add_model, load_model, model_for, with_model
from ds2f.errors import UserError

if TYPE_CHECKING:
    from ds2f.config import Config
    from ds2f.io.credentials import Signer
    from ds2f.speech2face.files import Form, Written
    from ds2f.types import Wish

SHEET = "contact-sheet.png"
SHOWN = 3  # long recordings that are named


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument(
        "recordings",
        nargs="*",
        type=Path,
        metavar="RECORDING",
        help="audio or video, or a folder of them",
    )
    sub.epilog = "What is not given here comes from [generate] of ds2f.toml."
    add_out(sub, "for pictures and generation.json")
    sub.add_argument("--database", type=Path, metavar="FILE", help="instead of recordings: the clips of this dataset")
    sub.add_argument("--split", choices=("train", "val", "test", "all"), help="with --database (default: test)")
    sub.add_argument("--count", type=positive, metavar="N", help="faces per recording (4) or per clip of a dataset (1)")
    sub.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="any whole number; the same seed gives the same face; 0, 4, 8 and so on draw the most typical person for "
        "the voice, the three after each others who may have it",
    )
    sub.add_argument("--steps", type=positive, metavar="N", help="sampler steps: more is finer and slower")
    sub.add_argument("--sampler", choices=("multistep", "heun", "euler"), help="how the steps are taken")
    sub.add_argument(
        "--guidance",
        type=float,
        metavar="WEIGHT",
        help="how strictly to follow voice and wishes; 1 = no guidance",
    )
    sub.add_argument(
        "--voice-guidance",
        type=float,
        metavar="WEIGHT",
        help="how far to move from the average person towards the voice",
    )
    sub.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="0 = only the most typical person for the voice, 1 = full variety",
    )
    sub.add_argument(
        "--noise", type=float, metavar="SCALE", help="scale of the starting noise; below 1 gives calmer pictures"
    )
    sub.add_argument("--light", type=float, metavar="SHARE", help="how much light and tint vary with the seed, 0 to 1")
    sub.add_argument("--age", type=float, metavar="YEARS", help="ask for a person of this age")
    sub.add_argument("--gender", choices=("male", "female"), help="ask for this gender")
    sub.add_argument(
        "--ethnicity",
        choices=("White", "Black", "Asian", "Indian", "Others"),
        help="ask for this ethnicity; it is never inferred from the voice",
    )
    sub.add_argument(
        "--language", metavar="CODE", help="spoken language, such as en, for a decoder trained with languages"
    )
    sub.add_argument("--guide", type=Path, metavar="PICTURE", help="a blurred, pixelated or small picture to complete")
    sub.add_argument(
        "--guide-guidance", type=float, metavar="WEIGHT", help="how strictly to follow it; 1 = no guidance"
    )
    sub.add_argument(
        "--fine",
        dest="fast",
        action="store_const",
        const=False,
        help="draw with the decoder itself instead of the fast one",
    )
    sub.add_argument(
        "--direct",
        action="store_const",
        const=True,
        help="condition the decoder on the voice directly, without the prior",
    )
    add_size(sub)
    sub.add_argument(
        "--upscale", type=int, choices=(1, 2, 4), help="enlarge the pictures by this factor with Real-ESRGAN"
    )
    sub.add_argument("--format", choices=("png", "webp", "jpeg"), help="of the pictures (png)")
    sub.add_argument("--sheet", action="store_true", help=f"also write a contact sheet of all faces: {SHEET}")
    add_model(sub)
    add_device(sub)


def run(options: argparse.Namespace) -> int:
    from ds2f.speech2face.wishes import make_wish

    config = config_of(options)
    names = ["count", "seed", "steps", "sampler", "guidance", "guide_guidance", "voice_guidance"]
    names += ["temperature", "noise", "light", "direct", "fast", "size", "upscale", "format"]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    config = with_model(replace(config, generate=replace(config.generate, **given)), options.model)
    if bool(options.recordings) == bool(options.database):
        raise UserError("Give either recordings, or --database FILE with --split.")
    wishes = (options.age, options.gender, options.ethnicity, options.guide, options.language)
    if options.split and not options.database:
        raise UserError("--split is for a dataset; leave it out, or give --database FILE instead of recordings.")
    if options.guide_guidance is not None and options.guide is None:
        raise UserError("--guide-guidance says how strictly to follow a picture; give that, too: --guide PICTURE.")
    if options.database and any(wish is not None for wish in wishes):
        raise UserError("Wishes such as --age and --guide are for recordings; leave them out with --database.")
    if options.database:
        generate_dataset(
            options.database,
            None if options.split == "all" else options.split or "test",
            options.out,
            config,
            options.device,
            options.count or 1,
            options.sheet,
        )
        return 0
    wish = make_wish(*wishes)
    return generate_files(options.recordings, options.out, config, options.device, wish, options.sheet)


def generate_files(
    recordings: Sequence[Path], folder: Path, config: Config, device: str, wish: Wish, sheet: bool = False
) -> int:
    """Draw faces for recordings. Returns 0 if all gave faces, 1 if some did, 2 if none did.

    recordings: sounds, videos, or folders of them, at least one.
    folder: for the pictures; made if it is not there.
    config: whose [generate] says the model, how many faces, the seed and how to draw.
    device: of the model, as PyTorch names it, or "auto".
    wish: age, gender, language, guide, ... that the faces shall have.
    sheet: whether to write a contact sheet, too.
    Raises UserError for what the user can mend.
    """
    from ds2f.cli.console import bar, err, out
    from ds2f.io.files import make_folder
    from ds2f.speech2face.files import from_files
    from ds2f.speech2face.names import recordings_in

    if not any(path.exists() for path in recordings):  # said now, and not after the model is loaded
        raise UserError(f"There is no recording {recordings[0]}; check the path.")
    recordings_in(recordings)
    there = folder.exists()
    make_folder(folder)  # reported now if it cannot be written, and not after the model is loaded
    if not there:
        folder.rmdir()  # `from_files` makes it, and leaves none without a face in it
    model, settings = model_for(config, device, wish)
    chosen = config.generate
    with bar("generate") as shown:
        written = from_files(
            model, recordings, folder, chosen.count, chosen.seed, settings, wish, shown.update, form_of(config)
        )
    for path, reason in written.refused:
        err.print(f"ds2f generate: {path}: {reason}")
    for path, part in written.parts[:SHOWN]:
        err.print(f"ds2f generate: {path}: heard only {part}")
    if len(written.parts) > SHOWN:
        err.print(f"ds2f generate: and {len(written.parts) - SHOWN:,} more recordings heard only in part")
    for path in written.faces:
        out.print(str(path))
    if written.left_over:
        count = len(written.left_over)
        err.print(f"{folder} still holds {count} pictures that an earlier run drew of the same recordings.")
    if sheet:
        _write_sheet(written, folder, model.signer)
    if written.faces:
        err.print("These faces are imagined; they show no real person and identify nobody.")
    return 0 if not written.refused else 1 if written.faces else 2


def generate_dataset(
    database: Path,
    split: str | None,
    folder: Path,
    config: Config,
    device: str,
    count: int = 1,
    sheet: bool = False,
) -> None:
    """Draw faces for every clip of a dataset; says how many.

    database: the dataset.
    split: train, val or test; None: all.
    folder: for the pictures.
    config: whose [generate] says the model, the seed and how to draw.
    device: of the model, as PyTorch names it, or "auto".
    count: faces for a clip, at least 1.
    sheet: whether to write a contact sheet, too.
    Raises UserError for what the user can mend.
    """
    from ds2f.cli.console import bar, out
    from ds2f.dataset import Dataset
    from ds2f.speech2face.files import from_dataset

    with Dataset(database) as dataset:
        model, settings = load_model(config, device)
        with bar("generate") as shown:
            seed, form = config.generate.seed, form_of(config)
            written = from_dataset(model, dataset, split, folder, count, seed, settings, shown.update, form)
    number = "one" if count == 1 else str(count)
    out.print(f"{len(written.faces):,} faces in {folder}, {number} per clip. They are imagined and identify nobody.")
    if sheet:
        _write_sheet(written, folder, model.signer)


def form_of(config: Config) -> Form:
    """What pictures are written as. Raises UserError if what makes them larger is not installed."""
    from ds2f.speech2face.files import Form
    from ds2f.speech2face.upscale import check

    check(config.generate.upscale)
    return Form(config.generate.format, config.generate.upscale)


def _write_sheet(written: Written, folder: Path, signer: Signer | None) -> None:
    """All faces in one picture, a row for each recording; of very many the first."""
    from ds2f.cli.console import err, out
    from ds2f.evaluation.sheet import MOST, SheetRow, contact_sheet
    from ds2f.io.images import read_image
    from ds2f.types import Source

    rows: dict[str, list[Path]] = {}
    for path, source in zip(written.faces, written.sources, strict=True):
        rows.setdefault(source, []).append(path)
    if not rows:
        return
    if len(rows) > MOST:
        err.print(f"The sheet has the first {MOST} of {len(rows):,} recordings.")
    shown = [
        SheetRow(source, None, [read_image(Source(face)) for face in faces])
        for source, faces in list(rows.items())[:MOST]
    ]
    count = max(len(row.generated) for row in shown)
    contact_sheet(shown, folder / SHEET, [f"imagined {i + 1}" for i in range(count)], signer=signer)
    out.print(str(folder / SHEET))
