"""`ds2f compare`: paired differences between two evaluations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, config_of

if TYPE_CHECKING:
    from ds2f.evaluation.compare import Comparison

PERCENT = ("r_at_1", "r_at_5", "r_at_10", "gender", "ethnicity")
NAMES = {
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


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("first", type=Path, metavar="A.json", help="metrics.json of ds2f evaluate")
    sub.add_argument("second", type=Path, metavar="B.json", help="another, of the same clips")
    sub.add_argument("--first-method", metavar="NAME", help="default: the first folder of images there")
    sub.add_argument("--second-method", metavar="NAME", help="default: the same name, or the first folder of images")


def run(options: argparse.Namespace) -> None:
    from ds2f.evaluation.compare import compare

    draws = config_of(options).evaluate.bootstrap
    methods = (options.first_method, options.second_method)
    print_comparison(compare(options.first, options.second, *methods, draws=draws))


def print_comparison(found: Comparison) -> None:
    """One row per measure: both means, and the paired difference."""
    from ds2f.cli.console import columns, err, interval, out

    out.print(f"first:  {found.first}")
    out.print(f"second: {found.second}")
    left_out = found.only_first + found.only_second
    note = f"; {left_out} clips that only one has are left out" if left_out else ""
    out.print(f"{found.clips} clips of {found.people} people{note}. Differences: paired, 95 % interval over people")
    if found.galleries:
        first, second = found.galleries
        err.print(f"Ranks and recall are left out: the galleries differ, {first:g} faces and {second:g}.")
    table = columns("measure", "first", "second", "second − first", "better", "clips", min_width=18)
    for row in found.differences:
        scale, digits = (100, 1) if row.measure in PERCENT else (1, 3 if row.measure in ("mrr", "cosine") else 1)
        table.add_row(
            NAMES[row.measure],
            f"{scale * row.first:.{digits}f}",
            f"{scale * row.second:.{digits}f}",
            interval(row.difference, scale, "", f"+.{digits}f"),
            row.better or "neither",
            str(row.clips),
        )
    out.print(table)
