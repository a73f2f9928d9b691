"""One training on the workers of a Ray cluster, such as the one used for extraction: Ray Train starts and joins the
processes, and restarts them if one is lost; the loop inside is `loop.train`, which resumes from its own checkpoints."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

from ds2f.config import Train
from ds2f.errors import UserError
from ds2f.extract.engines.ray import joined
from ds2f.models.store import pick_device
from ds2f.training.jobs import JOBS

ALONE = ("attributes", "alignment")  # these also refuse a launcher
RESTARTS = 3  # after dead workers or lost nodes
REFUSED = "ds2f.errors.UserError: "  # precedes our own sentence in Ray's report of a failure


def train_on_ray(model: str, database: Path, runs: Path, settings: Train, workers: int, address: str = "") -> Path:
    """Train a model, or resume its training, with as many processes as `workers`. Returns the model folder.

    model: in `jobs.JOBS`.
    database: the dataset, under the same path on every node; ignored with [train] shards.
    runs: folder of checkpoints, visible to every node; the first process writes it.
    settings: [train] of ds2f.toml.
    workers: processes, each with its own GPU if `settings.device` is one.
    address: of a running cluster ("auto" finds it); if empty, one is started here.
    Raises UserError for whatever prevents training, and for workers that died more often than RESTARTS.
    """
    if model in ALONE:
        raise UserError(f"The {model} takes seconds to train; run `ds2f train {model}` without Ray.")
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpu = pick_device(settings.device).type == "cuda"
    place, name = runs.absolute() / "ray", f"{model}-{uuid.uuid4().hex[:8]}"
    told = {"model": model, "database": str(database.absolute()), "runs": str(runs.absolute()), "settings": settings}
    with joined(address, workers):
        trainer = TorchTrainer(
            _work,
            train_loop_config=told,
            torch_config=TorchConfig("nccl" if gpu else "gloo"),
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu),
            run_config=RunConfig(
                name=name, storage_path=str(place), failure_config=FailureConfig(max_failures=RESTARTS)
            ),
        )
        try:
            trainer.fit()
        except RuntimeError as error:
            raise UserError(_sentence(error, workers)) from None
        finally:
            shutil.rmtree(place, ignore_errors=True)  # Ray's own records; the checkpoints are ours
    return runs / JOBS[model].folder


def _work(told: dict[str, Any]) -> None:
    """What every worker does, joined with the others."""
    from ds2f.training.jobs import train

    train(told["model"], Path(told["database"]), Path(told["runs"]), told["settings"])


def _sentence(error: Exception, workers: int) -> str:
    """Our sentence, if a worker ended with one; otherwise the first one of Ray's."""
    _, refused, said = str(error).partition(REFUSED)
    if refused:
        return said.splitlines()[0]
    last = (str(error).splitlines() or [type(error).__name__])[-1]
    return (
        f"The training on {workers} workers of Ray ended ({last}). Its last checkpoint is "
        "whole; run the same command again."
    )
