"""`ds2f run`: the whole pipeline, from ds2f.toml; each step does only what is missing."""

from __future__ import annotations

import argparse
from dataclasses import replace
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
    from ds2f.training.jobs import JOBS

    paths = config.paths
    if not paths.videos and not (paths.stills and paths.voices):
        raise UserError(
            "[paths] videos in ds2f.toml is empty; name the folders of videos there, or those of voices and of stills "
            "(see: ds2f init)."
        )
    database, runs = config.path(paths.database), config.path(paths.runs)
    people = [config.path(p) for p in paths.people]
    for kind, folders in (("video", paths.videos), ("sound", paths.voices), ("still", paths.stills)):
        if folders:
            ingest(database, [config.path(p) for p in folders], kind, config, people)
    extract(database, config, workers)
    if not config.evaluate.allow_leak:
        # Now, not after hours of training; a prior that this run trains doesn't exist yet.
        given = None if "prior" in config.train.models else model_folder(config) or shipped()
        refuse_leaks(database, config.evaluate.split, given)
    for name in config.train.models:
        folder = train(name, database, runs, config)
        draws = JOBS[name].folder == JOBS["prior"].folder  # not so a speaker encoder's
        if draws and not config.generate.model:
            config = replace(config, generate=replace(config.generate, model=str(folder.absolute())))
    faces, report = config.path(paths.faces), config.path(paths.report)
    generate_dataset(database, config.evaluate.split, faces, config, config.train.device)
    evaluate(database, {"ds2f": faces}, config.evaluate.split, report, config, workers=workers)
