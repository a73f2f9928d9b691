"""The training loop, readable from top to bottom, for all models, on one processor or many machines. Progress is
counted in rows seen, so that it means the same at any batch size. If run again, it resumes.

A step's rows are split into `accumulate` parts. Each part has its own noise, which depends only on (seed, step, part),
and each process computes its share of the parts; gradients are summed. So the same parts give the same training on any
number of processes, up to the order of summation.
"""

from __future__ import annotations

import copy
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ds2f.errors import UserError
from ds2f.training import checkpoint
from ds2f.training.log import Log, pace
from ds2f.training.processes import accelerator_for, add_gradients, same_start, share_statistics, total
from ds2f.training.relative import RelativeAdamW
from ds2f.types import Progress

SAME = ("batch", "seed", "teacher")  # must not change within a run: steps are counted in batches and drawn by the seed
SEED_STRIDE = 1_000_003
PART_STRIDE = 0x9E3779B9  # 2³² / golden ratio: keeps parts far apart modulo 2³², all that a CPU's generator uses
OUT_OF_MEMORY = ("out of memory", "allocate memory", "not enough memory")  # CUDA, ROCm and MPS; CPUs


class Task(Protocol):
    """What the loop needs to know about a model's training. size: rows of training data."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def size(self) -> int: ...

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss of the model on training rows `rows` (int64 indices), with all randomness from `generator`, which
        is on the model's device."""
        ...

    def validate(self, ema: nn.Module) -> float:
        """Loss of the averaged model on the validation split, with fixed noise."""
        ...

    def preview(self, ema: nn.Module, path: Path) -> None:
        """Save a picture of the averaged model's output to `path`; models without pictures do nothing."""
        ...


@dataclass(frozen=True)
class Options:
    """run: folder of checkpoints and logs; batch: rows per step; total: rows in all; lr: peak learning rate; ema: share
    of the run over which weights are averaged; save_seconds: between checkpoints; accumulate: parts of a batch,
    computed one after the other or by several processes; tensorboard: log there too; data: fingerprint of the dataset;
    fitted: whether a part of the model was computed from these data, so that it fits no others; teacher: hash of the
    teacher model, "" if there is none; relative: lr is relative to the size of the weights, see
    `make_optimizers`; rates: {part of the model: multiple of lr} for parts with a different rate, not for matrices
    trained by Muon, nor if lr is relative; betas: AdamW's."""

    run: Path
    batch: int
    total: int
    lr: float
    seed: int
    save_seconds: float
    bf16: bool = False
    ema: float = 0.05
    weight_decay: float = 0.0
    muon: bool = True
    accumulate: int = 1
    tensorboard: bool = False
    data: str = ""
    fitted: bool = False
    teacher: str = ""
    relative: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)
    betas: tuple[float, float] = (0.9, 0.95)


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM, which batch systems and containers send some seconds before they kill, stops as Ctrl-C does."""
    alone = threading.current_thread() is threading.main_thread()
    if not alone or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@stopped_by_sigterm()
def train(task: Task, options: Options, progress: Progress | None = None) -> nn.Module:
    """Train to the end, from scratch or from the newest checkpoint. Returns the averaged model.

    progress: called with (rows seen, total, smoothed loss and rows per second). Raises UserError if the loss or its
    gradient is no longer finite, memory runs out or the disk is full (the last good checkpoint is kept). Ctrl-C and
    SIGTERM save a checkpoint before they are passed on, as KeyboardInterrupt.
    """
    model = task.model
    device = next(model.parameters()).device
    processes = accelerator_for(device)
    same_start(model, processes)
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    steps = math.ceil(options.total / options.batch)
    if not steps:  # the model stays what it starts as, whatever an earlier run left
        return ema
    optimizers = make_optimizers(model, options)
    with checkpoint.writing(options.run):
        options.run.mkdir(parents=True, exist_ok=True)
        if processes.is_main_process:
            checkpoint.tidy(options.run)
    state = checkpoint.resume(options.run, model, ema, optimizers)
    step = state["step"] if state else 0
    if state:
        _refuse_others(state, options, step >= steps)
    log = Log(options.run, options.tensorboard, step * options.batch, processes.is_main_process)
    smooth, rate = (state["loss"], state["rate"]) if state else (math.nan, 0.0)
    last_save = last_log = time.monotonic()
    logged_step = step
    loss = norm = torch.zeros(())  # of the last step, and of its gradient

    def save() -> None:
        if processes.is_main_process:
            kept = {"loss": smooth, "rate": rate, **{name: getattr(options, name) for name in (*SAME, "data")}}
            checkpoint.save(options.run, step, model, ema, optimizers, kept)

    try:
        while step < steps:
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group.get("rate", 1.0) * options.lr * schedule(step, steps)
            model.train()
            with out_of_memory_advice(options):
                loss = accumulate(task, options, step, processes)
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                with uninterrupted():  # otherwise half a step would be saved under the previous number
                    for optimizer in optimizers:
                        optimizer.step()
                        optimizer.zero_grad(set_to_none=True)
                    update_ema(ema, model, step * options.batch, options.batch, options.ema * options.total)
                    step += 1  # before waiting: if the run is stopped there, the step is complete
                value = float(loss)  # not earlier: on a GPU this waits for the whole step
            if not finite(loss, norm):
                raise UserError(
                    f"The loss or its gradient is no longer a number at step {step - 1}; the last checkpoint in "
                    f"{options.run} is whole. Lower the learning rate in ds2f.toml and run again."
                )
            smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value

            now = time.monotonic()
            if now - last_log > 2.0 or step == steps:
                rate = (step - logged_step) * options.batch / (now - last_log)
                last_log, logged_step = now, step
                if progress and processes.is_main_process:
                    seen = min(step * options.batch, options.total)
                    progress(seen, options.total, f"loss {smooth:.3f}, {pace(rate)}")
            if processes.is_main_process and (now - last_save > options.save_seconds or step == steps):
                validation, picture = task.validate(ema), options.run / f"preview-{step:09d}.png"
                with checkpoint.writing(options.run):
                    task.preview(ema, picture)
                    log.write(step * options.batch, smooth, validation, rate, picture)
                save()  # after its line: lines without a checkpoint are written again, and none twice
                last_save = time.monotonic()
    except KeyboardInterrupt:
        if step > 0 and finite(loss, norm):
            save()
        raise
    processes.wait_for_everyone()  # the last checkpoint exists before anyone uses it
    return ema


def finite(*values: Tensor) -> bool:
    """Whether all of some scalars are finite."""
    return all(math.isfinite(float(value)) for value in values)


def _refuse_others(state: dict[str, Any], options: Options, finished: bool) -> None:
    """Raises UserError for a run that was started with other settings, see SAME; for one that has finished on other
    data, whose model would be mistaken for one trained on these; and for one with a part that was fitted to other
    data."""
    anew = f"to train anew remove {options.run}, or give another paths.runs."
    for name in SAME:
        if state.get(name, now := getattr(options, name)) != now:
            raise UserError(
                f"The run in {options.run} has the {name} {state[name]}, not {now}; restore that, or {anew}"
            )
    if (finished or options.fitted) and options.data and state.get("data", options.data) != options.data:
        began = "has ended, and was of" if finished else "was begun with"
        raise UserError(f"The run in {options.run} {began} other data or labels than the dataset now has; {anew}")


def accumulate(task: Task, options: Options, step: int, processes: Accelerator) -> Tensor:
    """Gradients of the mean loss over the rows of a step, left in the parameters; returns that loss, a scalar.

    With more processes than parts, every process gets one. Order, noise and dropping depend only on (seed, step, part):
    a resumed run repeats what an uninterrupted one does.
    """
    parameters = [p for p in task.model.parameters() if p.requires_grad]
    device = parameters[0].device
    rows = data_order(task.size, step * options.batch, options.batch, options.seed)
    parts = rows.tensor_split(max(options.accumulate, processes.num_processes))
    value = torch.zeros((), device=device)
    for part in range(processes.process_index, len(parts), processes.num_processes):
        seed = options.seed * SEED_STRIDE + step + part * PART_STRIDE
        generator = torch.Generator(device).manual_seed(seed)
        torch.manual_seed(seed)  # dropout uses only the global generator
        with torch.autocast(device.type, torch.bfloat16, enabled=options.bf16):
            loss = task.loss(parts[part], generator) * (len(parts[part]) / len(rows))
        loss.backward()
        value += loss.detach().float()
    add_gradients(parameters, processes)
    share_statistics(task.model, processes)
    return total(value, processes)


def data_order(size: int, start: int, count: int, seed: int) -> Tensor:
    """Rows start .. start + count of an endless sequence of shuffled epochs: (count,) int64."""
    rows = []
    while count > 0:
        epoch, offset = divmod(start, size)
        taken = _epoch(size, seed * 7_919 + epoch)[offset : offset + count]
        rows.append(taken)
        start, count = start + len(taken), count - len(taken)
    return torch.cat(rows)


@lru_cache(maxsize=2)  # this epoch's, and the next one's if a step extends into it
def _epoch(size: int, seed: int) -> Tensor:
    """A shuffled epoch, (size,) int64: computed once, not at every step; 8 MB for a million rows."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate: 2 % warm-up, constant, then linear to zero over the last 40 % (Hägele et al.
    2024, arXiv:2405.18392)."""
    warm_up = max(1, steps // 50)
    return min(1.0, (step + 1) / warm_up, max(0.0, (steps - step) / (0.4 * steps)))


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, seen: int, batch: int, half_life: float) -> None:
    """Exponential moving average with a half-life in rows, shorter at first (Karras et al. 2024, arXiv:2312.02696).

        θ̄ ← θ + (θ̄ − θ) β,  β = 0.5^(batch / min(half-life, 0.1 · rows seen))

    ema: θ̄, updated in place.
    model: θ.
    seen: rows before this step.
    batch: rows of this step.
    half_life: in rows.
    """
    beta = 0.5 ** (batch / max(min(half_life, 0.1 * seen), 1e-8))
    torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - beta)  # all at once
    for kept, buffer in zip(ema.buffers(), model.buffers(), strict=True):
        if buffer.is_floating_point():
            kept.lerp_(buffer, 1 - beta)  # batch statistics; constant buffers do not change
        else:
            kept.copy_(buffer)


def make_optimizers(model: nn.Module, options: Options) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices of the blocks, AdamW for everything else.

    With `options.relative`, AdamW's rate is relative to the size of the weights, see `RelativeAdamW`.
    """
    rates = {p: rate for part, rate in options.rates.items() for p in model.get_submodule(part).parameters()}
    matrices = [p for n, p in model.named_parameters() if options.muon and n.startswith("blocks.") and p.dim() == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    groups = [
        {"params": [p for p in others if rates.get(p, 1.0) == rate], "rate": rate}
        for rate in dict.fromkeys([1.0, *options.rates.values()])
    ]
    optimizers: list[torch.optim.Optimizer] = [
        RelativeAdamW(others, lr=options.lr, betas=(0.9, 0.99))  # small batches and small steps need a longer memory
        if options.relative
        else torch.optim.AdamW(groups, lr=options.lr, betas=options.betas, weight_decay=options.weight_decay)
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(matrices, lr=options.lr, weight_decay=options.weight_decay, adjust_lr_fn="match_rms_adamw")
        )
    return optimizers


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the block is done. In threads other than the main one they never arrive."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    waiting = {number: handler for number, handler in before.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[tuple[int, FrameType | None]] = []
    for number in waiting:
        signal.signal(number, lambda number, frame: arrived.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in waiting.items():
            signal.signal(number, handler)
    if arrived:
        waiting[signal.Signals(arrived[0][0])](*arrived[0])


@contextmanager
def out_of_memory_advice(options: Options) -> Iterator[None]:
    """Turns running out of memory into one sentence. Raises UserError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(said in str(error) for said in OUT_OF_MEMORY):
            raise
        raise UserError(
            f"Memory ran out on a batch of {options.batch} in {options.accumulate} parts; the last checkpoint in "
            f"{options.run} is whole. Set [train] accumulate = {2 * options.accumulate} in ds2f.toml, which computes "
            "the same batch in smaller parts, and run again."
        ) from None
