"""`ds2f train`: one model at a time, with its progress and what it measures of itself."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds2f.cli.arguments import add_config, add_database, config_of, database_of, must_open, positive
from ds2f.errors import UserError
from ds2f.training.jobs import JOBS, make_job
from ds2f.voice.encoders import INCLUDED

if TYPE_CHECKING:
    from ds2f.config import Config, Train
    from ds2f.evaluation.attributes import AttributeMeasures

CALLED = {"attributes": "attribute model", "voice": "speaker encoder"}  # and the others as they are


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    shown = "; ".join(f"{name}: {row.learns}" for name, row in JOBS.items())
    sub.add_argument("model", choices=tuple(JOBS), metavar="MODEL", help=shown)
    add_database(sub)
    sub.add_argument("--runs", type=Path, metavar="FOLDER", help="of checkpoints (default: from the configuration)")
    sub.add_argument(
        "--recipe", metavar="NAME", help="cpu-small, gpu-20min and more (docs/training.md), or your own TOML file"
    )
    sub.add_argument(
        "--from",
        dest="start",
        metavar="ENCODER",
        help="for voice: start from campplus or a speaker encoder's folder instead of from scratch",
    )
    sub.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="train in this process, or in Ray Train workers"
    )
    sub.add_argument("--ray-address", default="", metavar="ADDRESS", help="of a running Ray cluster, or auto")
    sub.add_argument("--workers", type=positive, default=1, metavar="N", help="Ray Train workers (default: 1)")
    sub.add_argument(
        "--dry-run", action="store_true", help="only print what would be done, and the memory and time it needs"
    )


def run(options: argparse.Namespace) -> None:
    config = config_of(options)
    if options.engine == "local" and (options.ray_address or options.workers > 1):
        raise UserError("--workers and --ray-address are for Ray Train; leave them out, or add --engine ray.")
    if options.recipe:
        from ds2f.config import with_recipe

        config = with_recipe(config, options.recipe)
    if options.start is not None:
        config = begun_with(config, options.model, options.start)
    runs = options.runs or config.path(config.paths.runs)
    database = database_of(options, config)
    if options.dry_run:
        dry_run(options.model, database, runs, config)
    elif options.engine == "ray":
        train_on_ray(options.model, database, runs, config, options.workers, options.ray_address)
    else:
        train(options.model, database, runs, config)


def begun_with(config: Config, model: str, start: str) -> Config:
    """The configuration with the encoder that `--from` names. Raises UserError for other models than voice."""
    if model != "voice":
        raise UserError(f"--from is for voice; a {model} begins as [train] of ds2f.toml says.")
    folder = Path(start).expanduser()
    return replace(config, train=replace(config.train, voice_from=str(folder.absolute()) if folder.is_dir() else start))


def train(model: str, database: Path, runs: Path, config: Config) -> Path:
    """Train one of the models, or go on. Returns the model folder."""
    if not config.train.shards:
        must_open(database)
    from ds2f.cli.console import bar, err, out
    from ds2f.models import folders
    from ds2f.training import jobs
    from ds2f.training.processes import is_main

    if not is_main():
        out.quiet = err.quiet = True  # of many processes, one speaks
    with bar(f"train {model}") as shown:
        folder = jobs.train(model, database, runs, settings_of(config), shown.update)
    if is_main():
        _print_measures(model, folders.description(folder, model)["card"])
    log = runs / model / "log.jsonl"
    out.print(f"The {CALLED.get(model, model)} is in {folder}" + (f"; its log is {log}." if log.is_file() else "."))
    return folder


def train_on_ray(model: str, database: Path, runs: Path, config: Config, workers: int, address: str) -> None:
    """Train one of the models on workers of a Ray cluster, or go on.

    model: of `training.jobs.JOBS`.
    database: the dataset.
    runs: folder of checkpoints.
    config: with [train].
    workers: processes.
    address: of a running cluster; empty starts one here.
    Raises UserError for what cannot work.
    """
    if find_spec("ray") is None:
        raise UserError("Ray Train is not installed; run: pip install 'ds2f[ray]'")
    if not config.train.shards:
        must_open(database)
    from ds2f.cli.console import out
    from ds2f.training.cluster import train_on_ray

    out.print(f"{workers} workers of Ray train; how far they are: {runs / model / 'log.jsonl'}")
    folder = train_on_ray(model, database, runs, settings_of(config), workers, address)
    out.print(f"The {CALLED.get(model, model)} is in {folder}.")


def dry_run(model: str, database: Path, runs: Path, config: Config) -> None:
    """Say what `train` would do, and check all that can be checked before its first step."""
    from ds2f.cli.console import out
    from ds2f.training.estimate import describe, estimate
    from ds2f.training.processes import is_main

    job = make_job(model, database, runs, settings_of(config), sample=True)
    device = str(next(job.task.model.parameters()).device)
    found = estimate(job.task, job.options)
    if not is_main():
        return
    out.print("[train]")
    for key, value in asdict(config.train).items():
        out.print(f"{key} = {json.dumps(value)}", markup=False, soft_wrap=True)
    out.print()
    for line in describe(found, job.options, device):
        out.print(line, markup=False, soft_wrap=True)


def settings_of(config: Config) -> Train:
    """[train], its paths made relative to where ds2f.toml lies; names of encoders stay names."""

    def here(value: str) -> str:
        kind, colon, file = value.partition("onnx:") if value.startswith("onnx:") else ("", "", value)
        return value if not file or file in INCLUDED else f"{kind}{colon}{config.path(file)}"

    found: dict[str, Any] = {}
    for key in fields(config.train):
        if key.metadata["path"]:
            value = getattr(config.train, key.name)
            found[key.name] = [here(one) for one in value] if isinstance(value, list) else here(value)
    return replace(config.train, **found)


def _print_measures(model: str, card: dict[str, Any]) -> None:
    """Of the models that measure themselves."""
    if model == "prior":
        from ds2f.cli.console import out

        alone = card["voices_without_face"]
        gender = f", and gender also from {alone:,} voices without a face" if alone else ""
        out.print(f"It learnt from {card['training_rows']:,} voices of people with a face{gender}.")
    elif model == "attributes":
        from ds2f.evaluation.attributes import AttributeMeasures
        from ds2f.io.files import from_json

        print_attributes(from_json(AttributeMeasures, card["measures"]))
    elif model == "alignment":
        print_matching(card)
    elif model == "voice":
        print_voice(card)


def print_voice(card: Mapping[str, Any]) -> None:
    """What a speaker encoder has heard, and how well it tells the speakers of the validation split apart."""
    from ds2f.cli.console import out

    out.print(f"It has heard {card['speakers_heard']:,} speakers in {card['recordings']:,} recordings.")
    eer = card["validation_eer"]
    if eer is None:
        out.print("Of the validation split no speaker has two recordings, or there is only one: nothing was measured.")
    else:
        out.print(f"On the speakers of the validation split its equal error rate is {100 * eer:.1f} %.")


def print_matching(card: Mapping[str, Any]) -> None:
    """The alignment and the linear map on the same clips. card: of an alignment; its measures are
    `evaluation.results.Matching` as JSON, overall and within gender."""
    from ds2f.cli.console import columns, interval, out
    from ds2f.evaluation.results import Matching
    from ds2f.io.files import from_json

    measures = {name: [from_json(Matching, one) for one in found] for name, found in card["measures"].items()}
    clips = f"{card['held_out_people']} people, {card['held_out_clips']} clips"
    table = columns(clips, *measures, "chance")
    for place, among in enumerate(("", ", same gender")):
        of = [found[place] for found in measures.values()]
        rows = {"AUC": ([m.auc for m in of], "50 %")} | {
            f"right of {n}": ([m.choice.get(n) for m in of], f"{100 / n:.0f} %") for n in (2, 10)
        }
        for what, (found, chance) in rows.items():
            table.add_row(what + among, *(interval(measure, 100, " %") for measure in found), chance)
    out.print(table)


def print_attributes(measures: AttributeMeasures) -> None:
    """One row per group, then the confusions of ethnicity."""
    from ds2f.cli.console import columns, out
    from ds2f.types import ETHNICITIES

    table = columns("held-out faces", "count", "gender right", "ethnicity right", "age error")
    for group in measures.groups:
        age = "" if group.age_mae is None else f"{group.age_mae:.1f} years"
        table.add_row(group.group, f"{group.faces:,}", _percent(group.gender), _percent(group.ethnicity), age)
    out.print(table)
    if measures.confusion:
        out.print(f"\nEthnicity, balanced: {_percent(measures.balanced_ethnicity)}. Rows: label, columns: estimate.")
        table = columns("", *ETHNICITIES)
        for name, row in zip(ETHNICITIES, measures.confusion, strict=True):
            table.add_row(name, *(f"{count:,}" for count in row))
        out.print(table)
    errors = ", ".join(f"{name} {_percent(error)}" for name, error in measures.calibration_error.items())
    out.print(f"\nExpected calibration error: {errors}.")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
