"""`ds2f train`: the models by name, progress, and what is said at the end."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from ds2f.cli.console import bar, err, out
from ds2f.config import Config, Train
from ds2f.errors import UserError
from ds2f.models import store
from ds2f.training import start
from ds2f.training.estimate import describe, estimate
from ds2f.training.loop import Step
from ds2f.training.processes import is_main

TRAIN = {
    "prior": start.train_prior,
    "decoder": start.train_decoder,
    "fast-decoder": start.train_fast_decoder,
    "attributes": start.train_attributes,
    "alignment": start.train_alignment,
}
JOBS = {
    "prior": start.prior_job,
    "decoder": start.decoder_job,
    "fast-decoder": start.fast_decoder_job,
    "attributes": start.attributes_job,
}


def train(model: str, database: Path, runs: Path, config: Config) -> Path:
    """Train one of TRAIN, or go on. Returns the model folder."""
    if not is_main():
        out.quiet = err.quiet = True  # of many processes, one speaks
    with bar(f"train {model}") as shown:

        def progress(step: Step) -> None:
            said = f"loss {step.loss:.3f}, {step.rate:,.0f} rows/s" if step.rate else "choosing its size"
            shown.update(step.seen, step.total, said)

        folder = TRAIN[model](database, runs, _settings(config), progress)
    if is_main():
        _print_measures(model, folder)
    what = "attribute model" if model == "attributes" else model
    out.print(f"The {what} is in {folder}; its log in {runs / model / 'log.jsonl'}.")
    return folder


def dry_run(model: str, database: Path, runs: Path, config: Config) -> None:
    """Say what `train` would do, and check all that can be checked before its first step."""
    if model not in JOBS:
        raise UserError(f"The {model} takes seconds to train; run `ds2f train {model}` without --dry-run.")
    job = JOBS[model](database, runs, _settings(config), sample=True)
    device = str(next(job.task.model.parameters()).device)
    found = estimate(job.task, job.options)
    if not is_main():
        return
    out.print("[train]", markup=False)
    for key, value in asdict(config.train).items():
        out.print(f"{key} = {json.dumps(value)}", markup=False, soft_wrap=True)
    out.print()
    for line in describe(found, job.options, device):
        out.print(line, markup=False, soft_wrap=True)


def _settings(config: Config) -> Train:
    """[train], its path made relative to where ds2f.toml lies."""
    folder = config.train.decoder_from
    return replace(config.train, decoder_from=str(config.path(folder)) if folder else "")


def _print_measures(model: str, folder: Path) -> None:
    """Those of the models that measure themselves."""
    if model not in ("attributes", "alignment"):
        return
    measures = store.description(folder, model)["card"]["measures"]
    if model == "attributes":
        from ds2f.evaluation.attributes import AttributeMeasures, print_measures

        print_measures(AttributeMeasures.from_json(measures))
    else:
        from ds2f.training.matching import MatchMeasures, print_matching

        print_matching({name: MatchMeasures.from_json(found) for name, found in measures.items()})
