"""The headline table of an evaluation, for the terminal."""

from __future__ import annotations

from rich.table import Table

from ds2f.console import out
from ds2f.evaluation.results import Evaluation, Retrieval


def print_summary(evaluation: Evaluation) -> None:
    """One row per method: retrieval of the true face by centred cosine, and how many pictures had a face."""
    out.print(
        f"True face found again among {evaluation.gallery:g} ({evaluation.split} split, {evaluation.clips} clips of "
        f"{evaluation.people} people, {evaluation.face_encoder} space, centred cosine; 95 % interval)"
    )
    table = Table(box=None, padding=(0, 3, 0, 0))
    table.add_column("method", min_width=18)
    for title in ("R@1", "R@10", "median rank", "pictures"):
        table.add_column(title, justify="right")
    for method in evaluation.methods:
        seen = str(method.faces) + (f" of {evaluation.clips}" if method.faces < evaluation.clips else "")
        table.add_row(method.name, *_row(method.centred_cosine), seen if method.kind == "images" else "")
    table.add_row("chance", *_row(evaluation.chance), "", style="dim")
    out.print(table)


def _row(retrieval: Retrieval) -> list[str]:
    def shown(value: float, low: float | None, high: float | None, scale: float, unit: str) -> str:
        text = f"{value * scale:.0f}{unit}"
        return text if low is None or high is None else f"{text} [{low * scale:.0f}-{high * scale:.0f}]"

    one, ten, median = retrieval.r_at_1, retrieval.r_at_10, retrieval.median_rank
    return [
        shown(one.value, one.low, one.high, 100, " %"),
        shown(ten.value, ten.low, ten.high, 100, " %"),
        shown(median.value, median.low, median.high, 1, ""),
    ]
