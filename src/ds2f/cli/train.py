"""`ds2f train`: one model at a time, with its progress and what it measures of itself."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds2f.cli.arguments import add_config, add_database, config_of, database_of, must_open
from ds2f.training.jobs import JOBS, make_job

if TYPE_CHECKING:
    from ds2f.config import Config, Train
    from ds2f.evaluation.attributes import AttributeMeasures


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    shown = "; ".join(f"{name}: {row.learns}" for name, row in JOBS.items())
    sub.add_argument("model", choices=tuple(JOBS), metavar="MODEL", help=shown)
    add_database(sub)
    sub.add_argument("--runs", type=Path, metavar="FOLDER", help="of checkpoints (default: from the configuration)")
    sub.add_argument(
        "--recipe", metavar="NAME", help="cpu-small, gpu-20min and more (docs/training.md), or your own TOML file"
    )
    sub.add_argument("--dry-run", action="store_true", help="only say what would be done, with which memory and time")


def run(options: argparse.Namespace) -> None:
    config = config_of(options)
    if options.recipe:
        from ds2f.config import with_recipe

        config = with_recipe(config, options.recipe)
    runs = options.runs or config.path(config.paths.runs)
    (dry_run if options.dry_run else train)(options.model, database_of(options, config), runs, config)


def train(model: str, database: Path, runs: Path, config: Config) -> Path:
    """Train one of the models, or go on. Returns the model folder."""
    must_open(database)
    from ds2f.cli.console import bar, err, out
    from ds2f.models import store
    from ds2f.training import jobs
    from ds2f.training.processes import is_main

    if not is_main():
        out.quiet = err.quiet = True  # of many processes, one speaks
    with bar(f"train {model}") as shown:
        folder = jobs.train(model, database, runs, _settings(config), shown.update)
    if is_main():
        _print_measures(model, store.description(folder, model)["card"])
    what = "attribute model" if model == "attributes" else model
    out.print(f"The {what} is in {folder}; its log in {runs / model / 'log.jsonl'}.")
    return folder


def dry_run(model: str, database: Path, runs: Path, config: Config) -> None:
    """Say what `train` would do, and check all that can be checked before its first step."""
    from ds2f.cli.console import out
    from ds2f.training.estimate import describe, estimate
    from ds2f.training.processes import is_main

    job = make_job(model, database, runs, _settings(config), sample=True)
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


def _settings(config: Config) -> Train:
    """[train], its path made relative to where ds2f.toml lies."""
    folder = config.train.decoder_from
    return replace(config.train, decoder_from=str(config.path(folder)) if folder else "")


def _print_measures(model: str, card: dict[str, Any]) -> None:
    """Of the models that measure themselves."""
    if model == "attributes":
        from ds2f.evaluation.attributes import AttributeMeasures
        from ds2f.io.files import from_json

        print_attributes(from_json(AttributeMeasures, card["measures"]))
    elif model == "alignment":
        print_matching(card)


def print_matching(card: Mapping[str, Any]) -> None:
    """The alignment and the linear map on the same clips. card: of an alignment; its measures are
    `evaluation.results.Matching` as JSON, overall and within gender."""
    from ds2f.cli.console import columns, out
    from ds2f.evaluation.results import Matching
    from ds2f.io.files import from_json

    measures = {name: [from_json(Matching, one) for one in found] for name, found in card["measures"].items()}
    clips = f"{card['held_out_people']} people, {card['held_out_clips']} clips"
    table = columns(clips, *measures, "chance")
    for place, among in enumerate(("", ", same gender")):
        of = [found[place] for found in measures.values()]
        rows = {"AUC": ([m.auc for m in of], "50%")} | {
            f"right of {n}": ([m.choice.get(n) for m in of], f"{1 / n:.0%}") for n in (2, 10)
        }
        for what, (found, chance) in rows.items():
            cells = ("" if c is None else f"{c.value:.1%} ({c.low:.0%} to {c.high:.0%})" for c in found)
            table.add_row(what + among, *cells, chance)
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
