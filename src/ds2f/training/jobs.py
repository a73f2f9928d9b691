"""What can be trained: one table, which `ds2f train`, its dry run and `ds2f run` read, and one file a model.

Such a file says what the model learns from (its data), what its loss is (its task), and how a configuration and a
dataset become a training (`job`). Nothing heavy is imported before a job is asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ds2f.types import Progress

if TYPE_CHECKING:
    from ds2f.config import Train
    from ds2f.training.start import Job


class Row(NamedTuple):
    """file: of this room, with a function `job`; learns: what the model says or does, for people; folder: of the runs,
    where the model lies."""

    file: str
    learns: str
    folder: str = "model"


JOBS = {
    "prior": Row("prior", "who could have this voice, p(identity | voice)"),
    "decoder": Row("decoder", "what somebody looks like, p(image | identity, voice, looks, guide picture)"),
    "fast-decoder": Row("distillation", "to draw in few steps what the decoder draws in many"),
    "super-resolution": Row("super_resolution", "what is finer than the decoder's pixels, p(twice the size | picture)"),
    "attributes": Row("attributes", "age, gender and ethnicity of a face"),
    "alignment": Row("alignment", "which face fits a voice"),
    "voice": Row("voice", "whose voice this is: a speaker encoder, as runs/voice", "voice"),
}
"""{name: row}. The name is also that of the run's folder, and of the model's files."""


def make_job(
    model: str,
    database: Path,
    runs: Path,
    settings: Train,
    sample: bool = False,
    progress: Progress | None = None,
) -> Job:
    """A training ready to start, or to go on. Raises UserError for what cannot work, before anything is written.

    model: of JOBS.
    database: the dataset; that of [train] shards goes before it.
    runs: folder of checkpoints, and of runs/model, where the models lie and this one will.
    settings: [train] of ds2f.toml.
    sample: with as little data as tells what a step needs, for a dry run.
    progress: called with what is to be done before the first step, where that takes long.
    """
    if settings.shards:
        from ds2f.dataset.imports import local_copy
        from ds2f.training.start import place_of

        database = local_copy([Path(folder) for folder in settings.shards], place_of(settings, runs).folder, progress)
    job: Job = import_module(f"ds2f.training.{JOBS[model].file}").job(database, runs, settings, sample, progress)
    return job


def train(model: str, database: Path, runs: Path, settings: Train, progress: Progress | None = None) -> Path:
    """Train a model, or go on training it. Returns its folder, runs/model, or runs/voice of a speaker encoder, which is
    named like any other. Raises UserError as `make_job` does.

    model: of JOBS.
    database: the dataset.
    runs: folder of checkpoints, and of runs/model.
    settings: [train] of ds2f.toml.
    progress: called with (rows seen, in all, a note).
    """
    return make_job(model, database, runs, settings, progress=progress).run(runs / JOBS[model].folder, progress)
