"""The DET plot: misses against false alarms on axes on which Gaussian scores lie on straight lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ds2f.evaluation.verification import error_rates, rates_to_eer
from ds2f.io.files import replacing

# Okabe & Ito's colours, which colour-blind readers tell apart; with as many kinds of lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98)
LEAST, MOST = 0.001, 0.6  # rates that are shown, unless the list is too short or a system too bad


class Curve(NamedTuple):
    """scores: (n,), higher = more alike; same: (n,) bool, both kinds."""

    name: str
    scores: np.ndarray
    same: np.ndarray


def plot_det(curves: Sequence[Curve], path: Path, title: str = "") -> None:
    """Write a PNG or SVG (by the ending) of some systems (Martin et al., Eurospeech 1997): both rates through the
    inverse of the normal distribution function, and where the diagonal crosses a curve its equal error rate."""
    from matplotlib.figure import Figure
    from scipy.special import ndtri

    rates = [error_rates(curve.scores, curve.same) for curve in curves]
    equal = [rates_to_eer(*pair) for pair in rates]
    fewest = min(min(c.same.sum(), (~c.same).sum()) for c in curves)
    low = min(0.05, max(LEAST, 0.5 / fewest))  # half an error: there the curve of so few trials ends
    high = MOST if max(equal) < MOST / 1.5 else 0.98
    figure = Figure(figsize=(6.0, 6.4 + 0.21 * len(curves)), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    ends = [float(ndtri(low)), float(ndtri(high))]
    axes.plot(ends, ends, color="0.85", linewidth=1, zorder=0)
    for number, (curve, (alarm, miss), rate) in enumerate(zip(curves, rates, equal, strict=True)):
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
        beside = ndtri(np.clip(alarm, low / 10, 1 - 1e-9)), ndtri(np.clip(miss, low / 10, 1 - 1e-9))
        label = f"{curve.name}: {100 * rate:.2f} %"
        axes.plot(*beside, color=colour, linewidth=1.6, linestyle=dashes, label=label)
        if rate > low:
            axes.plot([ndtri(rate)], [ndtri(rate)], "o", color=colour, markersize=5, markeredgecolor="white")
    shown = [tick for tick in TICKS if low <= tick <= high]
    labels = [f"{100 * tick:g}" for tick in shown]
    axes.set_xticks(ndtri(shown), labels)
    axes.set_yticks(ndtri(shown), labels)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set_xlabel("false alarms: two speakers taken for one (%)")
    axes.set_ylabel("misses: one speaker taken for two (%)")
    if title:
        axes.set_title(title, fontsize=10)
    axes.grid(color="0.93")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, title="equal error rate", ncols=1)
    with replacing(path) as aside:
        # matplotlib knows the kind by the ending, which a file aside does not have; no date: equal numbers, equal files
        kind = path.suffix.lstrip(".")
        figure.savefig(aside, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
