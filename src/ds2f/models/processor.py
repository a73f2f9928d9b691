"""The available hardware, checked when a model is loaded rather than when ds2f is installed, and without PyTorch."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
ACCELERATORS = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")  # NVIDIA's, AMD's, and either under WSL


def on_cpu(device: str) -> bool:
    """Whether a device named by the user, "auto" or one of PyTorch's, is certainly the CPU; on a Mac it may not be."""
    if device != "auto":
        return device == "cpu"
    return sys.platform != "darwin" and not any(Path(name).exists() for name in ACCELERATORS)


@cache
def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 natively; otherwise it is slower than float32."""
    flags = _flags()
    if flags is None:  # not Linux: PyTorch knows, but takes its time
        import torch

        flags = {name for name, has in torch.cpu.get_capabilities().items() if has}
    return bool(flags & {"avx512_bf16", "amx_bf16"})


@cache
def cpu_has_vnni() -> bool:
    """Whether the processor is known to accumulate products of 8-bit integers in 32 bits, where others may overflow."""
    return bool((_flags() or set()) & {"avx512_vnni", "avx_vnni", "asimddp"})


def _flags() -> set[str] | None:
    """The processor's features according to Linux; None on other systems."""
    try:
        return set(CPUINFO.read_text("utf-8", "replace").split())
    except OSError:
        return None
