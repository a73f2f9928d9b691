"""`ds2f run`: the whole pipeline, from ds2f.toml; each step does only what is missing."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, add_workers, config_of
from ds2f.cli.evaluate import evaluate
from ds2f.cli.extract import extract
from ds2f.cli.generate import generate_dataset
from ds2f.cli.ingest import ingest
from ds2f.cli.models import model_folder
from ds2f.cli.train import train
from ds2f.errors import UserError

if TYPE_CHECKING:
    from ds2f.config import Config


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    add_workers(sub)


def run(options: argparse.Namespace) -> None:
    everything(config_of(options), options.workers)


def everything(config: Config, workers: int) -> None:
    """Run all steps, as ds2f.toml configures them; each does only what is missing."""
    from ds2f.evaluation.run import refuse_leaks
    from ds2f.models.folders import shipped

    paths = config.paths
    if not paths.videos and not (paths.stills and paths.voices):
        raise UserError(
            "[paths] videos in ds2f.toml is empty; name the folders of videos there, or those of voices and of stills "
            "(see: ds2f init)."
        )
    database, runs = config.path(paths.database), config.path(paths.runs)
    trained = _trained_here(config, runs)
    people = [config.path(p) for p in paths.people]
    for kind, folders in (("video", paths.videos), ("sound", paths.voices), ("still", paths.stills)):
        if folders:
            ingest(database, [config.path(p) for p in folders], kind, config, people)
    extract(database, config, workers)
    if not config.evaluate.allow_leak:
        # Now, not after hours of training; a prior that this run trains doesn't exist yet.
        new = trained is not None and "prior" in config.train.models
        refuse_leaks(database, config.evaluate.split, None if new else trained or model_folder(config) or shipped())
    for name in config.train.models:
        train(name, database, runs, config)
    if trained is not None:
        config = replace(config, generate=replace(config.generate, model=str(trained.absolute())))
    faces, report = config.path(paths.faces), config.path(paths.report)
    generate_dataset(database, config.evaluate.split, faces, config, config.train.device)
    evaluate(database, {"ds2f": faces}, config.evaluate.split, report, config, workers=workers)


def _trained_here(config: Config, runs: Path) -> Path | None:
    """The folder of the model that is trained here and then draws; None if [generate] names another, or if only a
    speaker encoder is trained. Raises UserError if it will not be complete: now, not after hours of training."""
    from ds2f.training.jobs import JOBS

    models = config.train.models
    folder = runs / JOBS["prior"].folder
    if config.generate.model or all(JOBS[name].folder != JOBS["prior"].folder for name in models):
        return None
    for name in ("prior", "decoder"):
        if name not in models and not (folder / f"{name}.json").is_file():
            raise UserError(
                f"[train] models makes no {name}, and {folder} has none, so nothing could be drawn afterwards; add "
                f'"{name}" there, or name a complete model as [generate] model.'
            )
    return folder
