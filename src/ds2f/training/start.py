"""What all trainings share between a configuration and a saved model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ds2f import __version__
from ds2f.config import Train
from ds2f.errors import UserError
from ds2f.models import store
from ds2f.models.packing import Precision
from ds2f.models.processor import cpu_has_bf16
from ds2f.training.loop import Options, Task, train
from ds2f.training.packed import Place
from ds2f.training.processes import is_main, launched
from ds2f.types import Progress

Card = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A training ready to start. dataset: fingerprint of its data; finish: turns the averaged model into the one to
    save, and returns additions to its card; precision: of the saved numbers."""

    task: Task
    options: Options
    dataset: str
    finish: Callable[[Any], tuple[store.Model, Card]] = lambda model: (model, {})
    precision: Precision = "float16"

    def run(self, folder: Path, progress: Progress | None = None) -> Path:
        """Train to the end, and save the model into `folder`. Returns the folder."""
        model, more = self.finish(train(self.task, replace(self.options, data=self.dataset), progress))
        card = {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "ds2f": __version__,
            "torch": torch.__version__,
            "dataset": self.dataset,
            "training_rows": self.task.size,
            "rows_seen": self.options.total,
        }
        if is_main():
            store.save(folder, model, card | more, self.precision)
        return folder


def place_of(settings: Train, runs: Path, progress: Progress | None = None) -> Place:
    """Where the faces or pairs of a training are stored. settings: [train] of ds2f.toml; runs: folder of checkpoints;
    progress: called while they are packed."""
    return Place(Path(settings.packed) if settings.packed else runs / "packed", settings.memory_gb * 1e9, progress)


def make_options(run: Path, settings: Train, device: torch.device, batch: int, total: int, lr: float) -> Options:
    """The loop's options from [train]. Raises UserError for whatever prevents training.

    run: folder of checkpoints and logs.
    settings: [train] of ds2f.toml.
    device: of the model.
    batch: rows per step.
    total: rows in all.
    lr: peak learning rate.
    """
    if not 1 <= settings.accumulate <= batch or launched() > batch:
        raise UserError(
            f"[train] accumulate = {settings.accumulate}: a batch of {batch} can be split into 1 to {batch} parts, and "
            f"computed by as many processes; there are {launched()}."
        )
    return Options(
        run=run,
        batch=batch,
        total=total,
        lr=lr,
        seed=settings.seed,
        save_seconds=settings.save_seconds,
        tensorboard=settings.tensorboard,
        accumulate=settings.accumulate,
        bf16=device.type == "cuda" or (device.type == "cpu" and cpu_has_bf16()),
    )


def refuse_launcher(model: str) -> None:
    """Raises UserError if several processes were launched for a model that takes seconds."""
    if launched() > 1:
        raise UserError(f"The {model} takes seconds to train; run `ds2f train {model}` without a launcher.")
