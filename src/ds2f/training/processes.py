"""Several processes that train one model, on the processors of one machine or on several machines (HF Accelerate).

accelerate launch -m ds2f train decoder          torchrun --nproc-per-node 8 -m ds2f train decoder
ds2f train decoder --engine ray --ray-address auto --workers 8                                     see `cluster`
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, reduce
from torch import Tensor, distributed, nn

from ds2f.errors import UserError
from ds2f.io.extras import first_line


def launched() -> int:
    """Number of processes that a launcher has started for this training; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this is the process that writes files and reports to the user."""
    return int(os.environ.get("RANK", "0")) == 0


def own_device(device: torch.device) -> torch.device:
    """The device of this process: if there are several GPUs, the one assigned by the launcher."""
    if device.type != "cuda" or launched() == 1:
        return device
    if given := os.environ.get("ACCELERATE_TORCH_DEVICE"):  # Ray shows each worker only its own GPUs
        return torch.device(given)
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cuda", torch.cuda.current_device())


def accelerator_for(device: torch.device) -> Accelerator:
    """The processes of this training; precision and placement are left to the loop.

    Raises UserError if they cannot connect.
    """
    atexit.register(_part)
    try:
        return Accelerator(cpu=launched() > 1 and device.type == "cpu")
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The {launched()} processes of this training cannot be joined ({first_line(error)}); start them "
            "by accelerate launch or torchrun, all with the same settings."
        ) from None


def _part() -> None:
    """Leave the group before the process ends: otherwise gloo threads that are still running would abort it."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def same_start(model: nn.Module, processes: Accelerator) -> None:
    """Every process starts with the weights of the first, even if machines round differently."""
    if processes.num_processes > 1:
        for value in (*model.parameters(), *model.buffers()):
            broadcast(value.detach())


def add_gradients(parameters: Sequence[nn.Parameter], processes: Accelerator) -> None:
    """Every process gets the sum of everyone's gradients, in one message for all parameters."""
    if processes.num_processes == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = reduce(torch.cat([g.float().flatten() for g in gradients]), reduction="sum")
    for p, summed in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad = summed.view_as(p).to(p.dtype)


def share_statistics(model: nn.Module, processes: Accelerator) -> None:
    """Each process has normalised its own parts; their batch statistics become the mean over all processes."""
    if processes.num_processes == 1:
        return
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            for noted in (module.running_mean, module.running_var):
                assert noted is not None
                noted.copy_(reduce(noted.clone(), reduction="mean"))


def total(value: Tensor, processes: Accelerator) -> Tensor:
    """Sum of a number over all processes."""
    return value if processes.num_processes == 1 else reduce(value, reduction="sum")
