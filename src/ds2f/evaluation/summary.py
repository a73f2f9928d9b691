"""The headline table of an evaluation, and a comparison of two, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from ds2f.cli.console import err, out
from ds2f.evaluation.compare import Comparison
from ds2f.evaluation.results import SPOILT, Evaluation, Measure, Restoration, Retrieval

_PERCENT = ("r_at_1", "r_at_5", "r_at_10", "gender", "ethnicity")
_NAMES = {
    "r_at_1": "R@1, %",
    "r_at_5": "R@5, %",
    "r_at_10": "R@10, %",
    "rank": "mean rank",
    "mrr": "MRR",
    "cosine": "cosine distance",
    "gender": "gender right, %",
    "ethnicity": "ethnicity right, %",
    "age_error": "age error, years",
}


def print_summary(evaluation: Evaluation) -> None:
    """One row per method: retrieval of the true face by centred cosine, and how many pictures had a face."""
    chance = evaluation.chance.retrieval["all"]
    out.print(
        f"True face found again among {chance.gallery:g} ({evaluation.split} split, {len(evaluation.clips)} clips of "
        f"{evaluation.people} people, {evaluation.spaces[0]} space, centred cosine; 95 % interval)"
    )
    table = _table("method", "R@1", "R@10", "median rank", "gender right", "pictures")
    for method in evaluation.methods:
        found = method.spaces[evaluation.spaces[0]].centred_cosine["all"]
        gender = method.agreement.gender.accuracy if method.agreement else None
        seen = f"{method.faces}" + (
            f" of {method.pictures + method.missing}" if method.missing + method.faceless else ""
        )
        table.add_row(method.name, *_row(found), _shown(gender, 100, " %"), seen if method.kind == "images" else "")
    table.add_row("chance within gender", *_row(evaluation.chance.knowing_gender), "100 %", "", style="dim")
    table.add_row("chance", *_row(chance), "", "", style="dim")
    out.print(table)
    if evaluation.guided:
        _print_guided(evaluation.guided)
    for leak in evaluation.provenance.leaks:
        err.print(f"Leak, allowed on request: {leak}.", markup=False)


def _print_guided(found: Sequence[Restoration]) -> None:
    """One row per degradation and picture."""
    space = next(iter(found[0].spaces))
    out.print(f"\nSpoilt faces completed ({found[0].clips} clips, {space} space)")
    table = _table("degradation", "picture", "PSNR, dB", "SSIM", "likeness", "R@1")
    for r in found:
        kept = r.spaces[space]
        table.add_row(
            r.degradation if r.picture == SPOILT else "",
            r.picture,
            f"{r.psnr.value:.1f}",
            f"{r.ssim.value:.3f}",
            f"{kept.likeness.value:.2f}" if kept.likeness else "",
            f"{kept.r_at_1.value:.0%}",
        )
    out.print(table)


def print_comparison(found: Comparison) -> None:
    """One row per measure: both means, and the paired difference."""
    out.print(f"first:  {found.first}", markup=False)
    out.print(f"second: {found.second}", markup=False)
    left_out = found.only_first + found.only_second
    note = f"; {left_out} clips that only one has are left out" if left_out else ""
    out.print(f"{found.clips} clips of {found.people} people{note}. Differences: paired, 95 % interval over people")
    table = _table("measure", "first", "second", "second − first", "better", "clips")
    for row in found.differences:
        scale, digits = (100, 1) if row.measure in _PERCENT else (1, 3 if row.measure in ("mrr", "cosine") else 1)
        table.add_row(
            _NAMES[row.measure],
            f"{scale * row.first:.{digits}f}",
            f"{scale * row.second:.{digits}f}",
            _shown(row.difference, scale, "", f"+.{digits}f"),
            row.better or "neither",
            str(row.clips),
        )
    out.print(table)


def _table(first: str, *titles: str) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0))
    table.add_column(first, min_width=18)
    for title in titles:
        table.add_column(title, justify="right")
    return table


def _row(retrieval: Retrieval) -> list[str]:
    return [
        _shown(retrieval.r_at_1, 100, " %"),
        _shown(retrieval.r_at_10, 100, " %"),
        _shown(retrieval.median_rank, 1, ""),
    ]


def _shown(measure: Measure | None, scale: float, unit: str, digits: str = ".0f") -> str:
    if measure is None:
        return ""
    text = f"{measure.value * scale:{digits}}{unit}"
    if measure.low is None or measure.high is None:
        return text
    dash = "-" if digits == ".0f" else " to "
    return f"{text} [{measure.low * scale:{digits}}{dash}{measure.high * scale:{digits}}]"
