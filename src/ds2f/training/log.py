"""What a training says of itself: log.jsonl always, TensorBoard if wanted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ds2f.io.extras import optional
from ds2f.io.files import replacing


def pace(rate: float) -> str:
    """Rows a second, for people: those of a large model on a CPU are few."""
    return f"{rate:,.0f} rows/s" if rate >= 10 else f"{rate:.2g} rows/s"


class Log:
    """What goes on after a checkpoint. Raises UserError if TensorBoard is wanted and not installed."""

    def __init__(self, run: Path, tensorboard: bool, seen: int = 0, writes: bool = True) -> None:
        """run: its folder; seen: rows at the checkpoint, later lines are of steps that will be done again; writes:
        whether this process is the one that does."""
        self.path = run / "log.jsonl"
        if writes:
            self._cut(seen)
        self.writer: Any = None
        if tensorboard:
            optional("tensorboard", "tensorboard", "[train] tensorboard")
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(run / "tensorboard")

    def _cut(self, seen: int) -> None:
        """Leave out lines after `seen`, and one that a killed run has not finished."""
        lines = self.path.read_text("utf-8").splitlines(keepends=True) if self.path.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["seen"] <= seen]
        if len(kept) < len(lines):
            with replacing(self.path) as aside:
                aside.write_text("".join(kept), "utf-8")

    def write(self, seen: int, loss: float, validation: float, rate: float, picture: Path) -> None:
        """Add a line to the log.

        seen: rows.
        loss: smoothed, of training.
        validation: of the averaged model.
        rate: rows per second.
        picture: of samples, if there is one.
        """
        line = {
            "seen": seen,
            "loss": round(loss, 5),
            "validation": round(validation, 5) if math.isfinite(validation) else None,  # nothing to measure by
            "rows_per_second": round(rate, 1),
        }
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.writer is not None:
            for name in ("loss", "validation", "rows_per_second"):
                if line[name] is not None:
                    self.writer.add_scalar(name, line[name], seen)
            if picture.exists():
                from ds2f.io.media import read_image
                from ds2f.types import Source

                self.writer.add_image("samples", read_image(Source(picture)), seen, dataformats="HWC")
            self.writer.flush()
