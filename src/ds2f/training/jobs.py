"""What can be trained: one table, which `ds2f train`, its dry run and `ds2f run` use, and one file per model.

Such a file contains the model's data, its loss (the task), and the construction of a training from a configuration and
a dataset (`job`). Nothing heavy is imported before a job is requested.
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
    """file: in this package, with a function `job`; learns: what the model does, for users; folder: of the runs, where
    the model is stored."""

    file: str
    learns: str
    folder: str = "model"


JOBS = {
    "prior": Row("prior", "who could have this voice, p(identity | voice)"),
    "decoder": Row("decoder", "what somebody looks like, p(image | identity, voice, looks, guide picture)"),
    "fast-decoder": Row("distillation", "to draw in few steps what the decoder draws in many"),
    "super-resolution": Row("super_resolution", "what a decoder leaves soft, p(sharp picture | picture)"),
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
    """A training ready to start or resume. Raises UserError for whatever prevents it, before anything is written.

    model: in JOBS.
    database: the dataset; that of [train] shards takes precedence.
    runs: folder of checkpoints, and of runs/model, which contains the models.
    settings: [train] of ds2f.toml.
    sample: with as little data as is needed to measure a step, for a dry run.
    progress: called during lengthy preparation before the first step.
    """
    if settings.shards:
        from ds2f.dataset.imports import local_copy
        from ds2f.training.start import place_of

        database = local_copy([Path(folder) for folder in settings.shards], place_of(settings, runs).folder, progress)
    job: Job = import_module(f"ds2f.training.{JOBS[model].file}").job(database, runs, settings, sample, progress)
    return job


def train(model: str, database: Path, runs: Path, settings: Train, progress: Progress | None = None) -> Path:
    """Train a model, or resume its training. Returns its folder: runs/model, or runs/voice for a speaker encoder, which
    is referred to like any other. Raises UserError as `make_job` does.

    model: in JOBS.
    database: the dataset.
    runs: folder of checkpoints, and of runs/model.
    settings: [train] of ds2f.toml.
    progress: called with (rows seen, total, a note).
    """
    return make_job(model, database, runs, settings, progress=progress).run(runs / JOBS[model].folder, progress)
