"""`ds2f evaluate`: measures folders of faces, and prints the main table."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, add_database, add_out, add_workers, config_of, database_of, must_open
from ds2f.cli.models import add_model, load_model, model_folder, with_model
from ds2f.errors import UserError

if TYPE_CHECKING:
    from ds2f.config import Config
    from ds2f.evaluation.protocols.sf2f import Row
    from ds2f.evaluation.results import AttributeJudge, Evaluation, Restoration, Retrieval

SHOWN = 3  # pictures that belong to no clip


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    shown = "generated faces; repeat for several folders"
    sub.add_argument("--images", action="append", default=[], metavar="[NAME=]FOLDER", help=shown)
    shown = "instead of the report: the table of SF2F and Vox2Face"
    sub.add_argument("--protocol", choices=("sf2f",), help=shown)
    sub.add_argument("--guided", action="store_true", help="measure how well degraded faces are completed")
    add_model(sub, "model whose alignment, and with --guided whose pictures, are measured: ")
    add_database(sub)
    sub.add_argument("--split", choices=("train", "val", "test"), help="default: from the configuration, test")
    sub.add_argument("--allow-leak", action="store_true", help="measure although test and train overlap, and report it")
    add_workers(sub)
    add_out(sub, "output folder")


def run(options: argparse.Namespace) -> None:
    config = config_of(options)
    images = named_folders(options.images)
    split = options.split or config.evaluate.split
    if options.allow_leak:
        config = replace(config, evaluate=replace(config.evaluate, allow_leak=True))
    config = with_model(config, options.model)
    if options.protocol:
        if options.guided:
            raise UserError("--guided belongs to the report; it cannot be combined with --protocol.")
        return sf2f(database_of(options, config), images, split, options.out, config)
    evaluate(database_of(options, config), images, split, options.out, config, options.guided, options.workers)


def named_folders(values: Sequence[str]) -> dict[str, Path]:
    """NAME=FOLDER or FOLDER arguments to {name: folder}; a folder that exists may have = in its own name. Raises
    UserError if two have the same name."""
    found: dict[str, Path] = {}
    for value in values:
        name, _, folder = value.partition("=") if "=" in value and not Path(value).is_dir() else ("", "", value)
        name = name or Path(folder).name or "images"
        if name in found:
            raise UserError(f"Two --images are called {name!r}; name them: --images NAME=FOLDER.")
        found[name] = Path(folder)
    return found


def evaluate(
    database: Path,
    images: dict[str, Path],
    split: str,
    folder: Path,
    config: Config,
    guided: bool = False,
    workers: int = 1,
) -> None:
    """Measure folders of images against the true faces of a split, and print the main table.

    database: the dataset.
    images: {name of the method: its folder}.
    split: train, val or test.
    folder: for metrics.json and report.html.
    config: its [evaluate] sets how to measure (in the spaces of [faces] encoders if it names none), and its [generate]
        the model.
    guided: also measure how well degraded faces are completed.
    workers: processes that embed the pictures.
    Raises UserError for what the user can fix.
    """
    if not images and not guided:
        raise UserError("Nothing to measure; give --images [NAME=]FOLDER, or --guided.")
    must_open(database)
    _name_unused(database, images, split)
    from ds2f.cli.console import bar, err, out
    from ds2f.evaluation.guided import Restorer
    from ds2f.evaluation.run import evaluate as measure

    model = model_folder(config)
    inception = config.evaluate.inception and str(config.path(config.evaluate.inception))
    spaces = config.evaluate.spaces or config.faces.encoders
    judges = config.evaluate.attributes or config.faces.attributes
    settings = replace(config.evaluate, inception=inception, spaces=list(spaces), attributes=list(judges))
    with bar("evaluate") as shown:
        restore = shown.stage("restore")
        restorer = Restorer(*load_model(config, "auto"), config.generate.seed, restore) if guided else None
        result = measure(
            database, images, split, folder, settings, model_folder=model, progress=shown.update,
            restorer=restorer, workers=workers,
        )  # fmt: skip
    print_summary(result)
    if split == "train":
        err.print("The models may have learnt from the train split: these numbers flatter.")
    out.print(f"Report: {folder / 'report.html'}   Numbers: {folder / 'metrics.json'}")


def _name_unused(database: Path, images: Mapping[str, Path], split: str) -> None:
    """Say which pictures will not be measured because no clip has their name."""
    from ds2f.cli.console import counted, err
    from ds2f.dataset import Dataset
    from ds2f.dataset.pairing import paired
    from ds2f.evaluation.embed import unused_pictures

    with Dataset(database) as data:
        pairs, stems = paired(data, split), data.picture_stems().values()
    for folder in images.values() if pairs else ():
        if unused := unused_pictures(folder, pairs, stems):
            some = ", ".join(unused[:SHOWN]) + (", ..." if len(unused) > SHOWN else "")
            number = counted(len(unused), "picture")
            err.print(f"Left out, as no clip has that name: {number} in {folder} ({some})")


def sf2f(database: Path, images: dict[str, Path], split: str, folder: Path, config: Config) -> None:
    """Measure folders of images by the protocol of SF2F, and print its table.

    database: the dataset.
    images: {name of the method: its folder}.
    split: train, val or test.
    folder: for sf2f.json.
    config: its [evaluate] sets the spaces (dlib's if it names none), the bootstrap draws and the VGGFace network.
    Raises UserError for what the user can fix.
    """
    if not images:
        raise UserError("Nothing to measure; give --images [NAME=]FOLDER.")
    must_open(database)
    _name_unused(database, images, split)
    from ds2f.cli.console import bar, out
    from ds2f.evaluation.protocols.sf2f import write_table

    vggface = config.path(config.evaluate.vggface) if config.evaluate.vggface else None
    spaces = config.evaluate.spaces or ["dlib"]
    with bar("evaluate") as shown:
        rows = write_table(
            database, split, images, folder, spaces, config.evaluate.bootstrap, vggface, shown.update,
            config.evaluate.allow_leak,
        )  # fmt: skip
    for space in dict.fromkeys(row.space for row in rows):
        print_table([row for row in rows if row.space == space], split)
    out.print(f"Numbers: {folder / 'sf2f.json'}")


def print_table(rows: Sequence[Row], split: str) -> None:
    """Print SF2F's table for one space: one column per method."""
    from ds2f.cli.console import columns, out

    some = rows[0]
    out.print(f"{some.people} people of split {split}, {some.space} space, recall by cosine among {some.gallery}")
    table = columns("", *(row.method for row in rows))
    for title, name in (("L2", "l2"), ("L1", "l1"), ("cosine", "cosine"), ("between people", "between")):
        means = [getattr(row, name) for row in rows]
        table.add_row(title, *("" if mean is None else f"{mean.value:.3f}" for mean in means))
    for k in some.recall:
        table.add_row(f"R@{k}", *(f"{100 * row.recall[k].value:.1f} %" for row in rows))
    scores = [row.vggface for row in rows]
    if any(scores):
        table.add_row("VGGFace score", *("" if s is None else f"{s.mean:.2f} ± {s.deviation:.2f}" for s in scores))
    table.add_row("pictures", *(f"{row.pictures:,}" if row.pictures else "" for row in rows))
    out.print(table)


def print_summary(evaluation: Evaluation) -> None:
    """One row per method: retrieval of the true face by centred cosine, and how many pictures show a face."""
    from ds2f.cli.console import columns, err, interval, out

    chance = evaluation.chance.retrieval["all"]
    out.print(
        f"Rank of the true face among {chance.gallery:g} ({evaluation.split} split, {len(evaluation.clips)} clips of "
        f"{evaluation.people} people, {_space(evaluation)}, centred cosine; 95 % interval)"
    )
    table = columns("method", "R@1", "R@10", "median rank", "gender right", "pictures", min_width=18)
    for method in evaluation.methods:
        found = method.spaces[evaluation.spaces[0]].centred_cosine["all"]
        gender, _ = evaluation.headline(method)
        lacking = method.missing + method.faceless
        seen = f"{method.faces}" + (f" of {method.pictures + method.missing}" if lacking else "")
        pictures = seen if method.kind == "images" else ""
        table.add_row(method.name, *_cells(found), interval(gender, 100, " %"), pictures)
    table.add_row("chance within gender", *_cells(evaluation.chance.knowing_gender), "100 %", "", style="dim")
    table.add_row("chance", *_cells(chance), "", "", style="dim")
    out.print(table)
    for judge in evaluation.judges:
        _print_judged(evaluation, judge)
    if evaluation.unmatched:
        err.print(f"Matching by an alignment is not measured: {evaluation.unmatched}.")
    if evaluation.guided:
        _print_guided(evaluation.guided)
    for leak in evaluation.provenance.leaks:
        err.print(f"Leak, allowed on request: {leak}.")


def _space(evaluation: Evaluation) -> str:
    """The space of the main table, and whether training has seen it."""
    space = evaluation.spaces[0]
    return f"{space} space" + (", which training has seen" if space in evaluation.provenance.trained_spaces else "")


def _print_judged(evaluation: Evaluation, judge: AttributeJudge) -> None:
    """One row per method with pictures: for single pictures, and for the mean of a voice's pictures."""
    from ds2f.cli.console import columns, interval, out

    rows = [m for m in evaluation.methods if m.kind in ("images", "together") and judge.name in m.judged]
    if not rows:
        return
    seen = "training or steering has seen" if judge.trained else "training has not seen"
    out.print(f"\nAge, gender and ethnicity by {judge.name}, which {seen}")
    table = columns("method", "gender right", "age error, years", "older by, years", "ethnicity alike", min_width=18)
    for method in rows:
        found = method.judged[judge.name]
        ages = interval(found.age_mae, 1, "", ".1f"), interval(found.age_bias, 1, "", "+.1f")
        table.add_row(method.name, interval(found.gender, 100, " %"), *ages, interval(found.ethnicity, 100, " %"))
    out.print(table)


def _print_guided(found: Sequence[Restoration]) -> None:
    """One row per degradation and picture."""
    from ds2f.cli.console import columns, out
    from ds2f.evaluation.results import SPOILT

    space = next(iter(found[0].spaces))
    out.print(f"\nCompletion of degraded faces ({found[0].clips} clips, {space} space)")
    table = columns("degradation", "picture", "PSNR, dB", "SSIM", "likeness", "R@1", min_width=18)
    for r in found:
        kept = r.spaces[space]
        table.add_row(
            r.degradation if r.picture == SPOILT else "",
            r.picture,
            f"{r.psnr.value:.1f}",
            f"{r.ssim.value:.3f}",
            f"{kept.likeness.value:.2f}" if kept.likeness else "",
            f"{kept.r_at_1.value:.0%}",
        )
    out.print(table)


def _cells(retrieval: Retrieval) -> list[str]:
    from ds2f.cli.console import interval

    return [
        interval(retrieval.r_at_1, 100, " %"),
        interval(retrieval.r_at_10, 100, " %"),
        interval(retrieval.median_rank, 1, ""),
    ]
