"""Estimates what a training will need before it starts: `ds2f train MODEL --dry-run`. Measured on a few rows and
extrapolated."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from ds2f.training.log import pace
from ds2f.training.loop import Options, Task, make_optimizers
from ds2f.training.processes import launched

ROWS = 8  # rows measured at once on a CPU
SECONDS = 3.0  # seconds of measurement
EMA_BYTES, GRADIENT_BYTES = 4, 4  # per parameter, float32


@dataclass(frozen=True)
class Estimate:
    """parameters: number of trained parameters; steps; flops: floating-point operations per row, forward and backward,
    as PyTorch counts them; state_bytes: weights, their average, gradients and optimisers; activation_bytes: what one
    part of a batch keeps for its backward pass; row_seconds: measured here; hours: of the whole training on all
    launched processes, assuming each has a device like this one to itself."""

    parameters: int
    steps: int
    flops: float
    state_bytes: int
    activation_bytes: int
    row_seconds: float
    hours: float

    @property
    def bytes(self) -> int:
        """Memory of one process on its device, without its libraries' caches."""
        return self.state_bytes + self.activation_bytes


def estimate(task: Task, options: Options) -> Estimate:
    """Run the task's loss forward and backward on a few rows; the model's weights do not change."""
    model = task.model.train()
    device = next(model.parameters()).device
    part = math.ceil(options.batch / max(options.accumulate, launched()))
    count = min(part, task.size, ROWS if device.type == "cpu" else part)
    rows = torch.arange(count)
    kept = _Kept({p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())})

    def once() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=options.bf16):
            loss = task.loss(rows, torch.Generator().manual_seed(0))
        loss.backward()
        model.zero_grad(set_to_none=True)
        float(loss.detach())  # waits for the device

    with saved_tensors_hooks(kept.pack, lambda x: x), FlopCounterMode(display=False) as flops:
        once()
    start, times = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS or times == 0:
        once()
        times += 1
    seconds = (time.perf_counter() - start) / times / count
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Estimate(
        parameters=parameters,
        steps=math.ceil(options.total / options.batch),
        flops=flops.get_total_flops() / count,
        state_bytes=_state_bytes(task, options),
        activation_bytes=kept.bytes * part // count,
        row_seconds=seconds,
        hours=seconds * options.total / launched() / 3600,
    )


class _Kept:
    """Counts the memory that autograd keeps, each piece once and without the weights."""

    def __init__(self, known: set[int]) -> None:
        self.seen, self.bytes = known, 0

    def pack(self, x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return x


def _state_bytes(task: Task, options: Options) -> int:
    """AdamW keeps two numbers per parameter, Muon one."""
    total = sum(x.numel() * x.element_size() for x in task.model.state_dict().values())
    for optimizer in make_optimizers(task.model, options):
        count = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
        total += count * (EMA_BYTES + GRADIENT_BYTES + (8 if isinstance(optimizer, torch.optim.AdamW) else 4))
    return total


def describe(found: Estimate, options: Options, device: str) -> list[str]:
    """Sentences for the terminal."""
    processes = launched()
    work, parts = found.flops * options.total, max(options.accumulate, processes)
    return [
        f"{found.parameters:,} parameters; {options.total:,} rows in {found.steps:,} steps of {options.batch}"
        + (f", each in {parts} parts" if parts > 1 else ""),
        f"memory on each device: {_size(found.bytes)} ({_size(found.state_bytes)} weights, average, gradients and "
        f"optimisers; {_size(found.activation_bytes)} activations), plus what the libraries themselves need",
        f"work: {_work(found.flops)} a row, {_work(work)} in all",
        f"time: {pace(1 / found.row_seconds)} measured on {device}, {found.flops / found.row_seconds / 1e12:.2g} "
        f"TFLOP/s: {_duration(found.hours)} on {processes} such "
        f"device{'s' if processes > 1 else ''}, {found.hours * processes:.2f} device hours to pay for",
    ]


def _work(flops: float) -> str:
    for size, unit in ((1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP")):
        if flops >= size:
            return f"{flops / size:,.1f} {unit}"
    return f"{flops / 1e6:,.1f} MFLOP"


def _size(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes" if hours >= 1 / 30 else "a minute or two"
