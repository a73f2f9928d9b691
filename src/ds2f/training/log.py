"""A training's log: always log.jsonl, and TensorBoard on request."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ds2f.io.extras import optional
from ds2f.io.files import replacing


def pace(rate: float) -> str:
    """Rows per second, for display: for a large model on a CPU they are few."""
    return f"{rate:,.0f} rows/s" if rate >= 10 else f"{rate:.2g} rows/s"


class Log:
    """A log that continues from a checkpoint. Raises UserError if TensorBoard is requested and not installed."""

    def __init__(self, run: Path, tensorboard: bool, seen: int = 0, writes: bool = True) -> None:
        """run: its folder; seen: rows at the checkpoint, after which lines are dropped because their steps will be
        repeated; writes: whether this process writes the log."""
        self.path = run / "log.jsonl"
        if writes:
            self._cut(seen)
        self.writer: Any = None
        if tensorboard:
            optional("tensorboard", "tensorboard", "[train] tensorboard")
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(run / "tensorboard")

    def _cut(self, seen: int) -> None:
        """Drop lines after `seen`, and a line that a killed run left incomplete."""
        lines = self.path.read_text("utf-8").splitlines(keepends=True) if self.path.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["seen"] <= seen]
        if len(kept) < len(lines):
            with replacing(self.path) as aside:
                aside.write_text("".join(kept), "utf-8")

    def write(self, seen: int, loss: float, validation: float, rate: float, picture: Path) -> None:
        """Add a line to the log.

        seen: rows.
        loss: smoothed training loss.
        validation: of the averaged model.
        rate: rows per second.
        picture: of samples, if there is one.
        """
        line = {
            "seen": seen,
            "loss": round(loss, 5),
            "validation": round(validation, 5) if math.isfinite(validation) else None,  # no validation data
            "rows_per_second": round(rate, 1),
        }
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.writer is not None:
            for name in ("loss", "validation", "rows_per_second"):
                if line[name] is not None:
                    self.writer.add_scalar(name, line[name], seen)
            if picture.exists():
                from ds2f.io.images import read_image
                from ds2f.types import Source

                self.writer.add_image("samples", read_image(Source(picture)), seen, dataformats="HWC")
            self.writer.flush()
