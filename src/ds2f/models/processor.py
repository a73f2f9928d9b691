"""What there is to compute with: looked at when a model is loaded, not when ds2f is installed, and without PyTorch."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
ACCELERATORS = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")  # NVIDIA's, AMD's, and either under Windows' Linux


def on_cpu(device: str) -> bool:
    """Whether a device as the user names it, "auto" or one of PyTorch's, is surely the CPU; a Mac's may not be."""
    if device != "auto":
        return device == "cpu"
    return sys.platform != "darwin" and not any(Path(name).exists() for name in ACCELERATORS)


@cache
def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 natively; without that it is slower than float32."""
    flags = _flags()
    if flags is None:  # no Linux: PyTorch knows, but takes its time
        import torch

        flags = {name for name, has in torch.cpu.get_capabilities().items() if has}
    return bool(flags & {"avx512_bf16", "amx_bf16"})


@cache
def cpu_has_vnni() -> bool:
    """Whether the processor is known to sum products of 8-bit numbers in 32 bits, where others may overflow."""
    return bool((_flags() or set()) & {"avx512_vnni", "avx_vnni", "asimddp"})


def _flags() -> set[str] | None:
    """What Linux says that the processor has; None elsewhere."""
    try:
        return set(CPUINFO.read_text("utf-8", "replace").split())
    except OSError:
        return None
