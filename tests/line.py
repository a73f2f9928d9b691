"""The smallest task of training, for tests of the loop, in this process and in others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from ds2f.training.loop import Options


class Line:
    """y = x W for a fixed W, with noise from the generator, so that randomness matters."""

    size = 50

    def __init__(self, stop_at: int | None = None, poison_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential()
        self.model.blocks = nn.ModuleList([nn.Linear(6, 4, bias=False)])  # a matrix for Muon
        self.model.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 1))
        self.x = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
        self.y = self.x.sum(1, keepdim=True)
        self.calls, self.stop_at, self.poison_at = 0, stop_at, poison_at

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        noise = 0.01 * torch.randn(len(rows), 6, generator=generator)
        error = self.model.head(self.model.blocks[0](self.x[rows] + noise)) - self.y[rows]
        return error.square().mean() * (float("nan") if self.calls == self.poison_at else 1.0)

    def validate(self, ema: nn.Module) -> float:
        with torch.no_grad():
            return float((ema.head(ema.blocks[0](self.x)) - self.y).square().mean())

    def preview(self, ema: nn.Module, path: Path) -> None:
        Image.new("RGB", (8, 8)).save(path)


def options(run: Path, **changes: object) -> Options:
    return replace(Options(run, batch=8, total=8 * 40, lr=0.02, seed=3, save_seconds=1e9), **changes)  # type: ignore[arg-type]
