"""Checkpoints of a run: written to a temporary folder and renamed, safetensors and JSON only, resumed bit for bit on a
CPU.

runs/decoder/checkpoint-000012800/  weights.safetensors  ema.safetensors  optimizers.safetensors  state.json
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import Optimizer

from ds2f.errors import UserError
from ds2f.io.extras import first_line
from ds2f.io.files import write_json
from ds2f.models.store import write_tensors

KEEP = 2  # checkpoints: the newest, and one before it in case the disk fails while writing the newest


@contextmanager
def writing(run: Path) -> Iterator[None]:
    """Turns a full or unwritable disk into one sentence. Raises UserError."""
    try:
        yield
    except (OSError, safetensors.SafetensorError) as error:
        kept = checkpoints(run)
        last = f"The last one, {kept[-1]}, is whole." if kept else "There is none before it."
        raise UserError(
            f"The checkpoint of {run} cannot be written ({getattr(error, 'strerror', None) or error}). {last} "
            "Make room, or give another paths.runs, and run again."
        ) from None


def save(
    run: Path, step: int, model: nn.Module, ema: nn.Module, optimizers: list[Optimizer], state: dict[str, Any]
) -> Path:
    """Write checkpoint-<step>; once it is complete, all but the one before it are deleted.

    Raises UserError if the disk is full; older checkpoints are then unchanged.

    run: folder of the run.
    step: steps done.
    model: whose weights to store.
    ema: the averaged model.
    optimizers: whose state to store.
    state: whatever else `resume` must return.
    """
    final = run / f"checkpoint-{step:09d}"
    if (final / "state.json").exists():
        return final  # a run that was stopped just after saving
    aside = final.with_name(final.name + ".part")
    with writing(run):
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            write_tensors(aside / "weights.safetensors", model.state_dict())
            write_tensors(aside / "ema.safetensors", ema.state_dict())
            write_tensors(aside / "optimizers.safetensors", _flatten(optimizers))
            write_json(aside / "state.json", {"step": step, **state})
            aside.rename(final)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    for old in checkpoints(run)[:-KEEP]:
        shutil.rmtree(old.rename(old.with_name(old.name + ".part")))  # so a partial one is not taken for whole
    return final


def tidy(run: Path) -> None:
    """Delete what a killed run has left: an incomplete checkpoint, and pictures from steps after the last
    checkpoint."""
    whole = checkpoints(run)
    for torso in set(run.glob("checkpoint-*")) - set(whole):
        shutil.rmtree(torso)
    last = whole[-1].name.removeprefix("checkpoint-") if whole else ""
    for picture in run.glob("preview-*.png"):
        if picture.stem.removeprefix("preview-") > last:
            picture.unlink()


def checkpoints(run: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    return sorted(p for p in run.glob("checkpoint-*") if p.suffix != ".part" and (p / "state.json").exists())


def resume(run: Path, model: nn.Module, ema: nn.Module, optimizers: list[Optimizer]) -> dict[str, Any] | None:
    """Load the newest checkpoint into the given objects; returns its state, or None if there is none.

    Raises UserError if it does not fit the configured model.
    """
    found = checkpoints(run)
    if not found:
        return None
    newest = found[-1]
    try:
        model.load_state_dict(load_file(newest / "weights.safetensors"))
        ema.load_state_dict(load_file(newest / "ema.safetensors"))
        _unflatten(optimizers, load_file(newest / "optimizers.safetensors"))
        return dict(json.loads((newest / "state.json").read_text("utf-8")))
    except (RuntimeError, KeyError, ValueError, OSError, safetensors.SafetensorError) as error:
        raise UserError(
            f"The checkpoint {newest} does not fit the configuration ({first_line(error)}); "
            "restore the old configuration, or give another paths.runs."
        ) from None


def _flatten(optimizers: list[Optimizer]) -> dict[str, Tensor]:
    flat = {}
    for o, optimizer in enumerate(optimizers):
        for index, entries in optimizer.state_dict()["state"].items():
            for key, value in entries.items():
                flat[f"{o}.{index}.{key}"] = value
    return flat


def _unflatten(optimizers: list[Optimizer], flat: dict[str, Tensor]) -> None:
    for o, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        state["state"] = {}
        for name, value in flat.items():
            which, index, key = name.split(".", 2)
            if int(which) == o:
                state["state"].setdefault(int(index), {})[key] = value
        optimizer.load_state_dict(state)
