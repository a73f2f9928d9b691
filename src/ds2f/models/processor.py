"""What the processor can do: chosen when a model is loaded, not when ds2f is installed."""

from __future__ import annotations

import torch

from ds2f.config import Numbers


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 natively; without that it is slower than float32."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def in_bfloat16(device: torch.device | str, precision: Numbers) -> bool:
    """Whether a model that is not trained shall multiply in bfloat16: "auto" does on a processor that has it."""
    return precision == "auto" and torch.device(device).type == "cpu" and cpu_has_bf16()
