"""The DET plot: misses against false alarms on axes on which Gaussian scores give straight lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ds2f.evaluation.verification import error_rates, rates_to_eer
from ds2f.io.files import replacing

# Okabe & Ito's colours, which colour-blind readers can distinguish, with as many line styles.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98)
LEAST, MOST = 0.001, 0.6  # range of rates shown, unless the list is too short or a system too bad
COLUMNS, PANELS, CURVES = 3, 9, 7  # panels side by side; in total; curves per panel
SIDE, LINE = 4.0, 0.17  # inches of a panel, and of a line below it
TITLE = "equal error rate"


class Curve(NamedTuple):
    """A curve. name: has the same colour in all panels; steps: from vectors to scores, sets its line style; scores:
    (n,), higher = more alike; same: (n,) bool, both kinds."""

    name: str
    steps: str
    scores: np.ndarray
    same: np.ndarray


def plot_det(panels: Mapping[str, Sequence[Curve]], path: Path, title: str = "") -> None:
    """Write a PNG or SVG (by the suffix) of some systems (Martin et al., Eurospeech 1997): both rates through the
    inverse of the normal distribution function, with the equal error rate where the diagonal crosses a curve.

    panels: {condition: its systems}, one panel each; the title counts the systems that do not fit in.
    """
    from matplotlib.figure import Figure

    shown = {name: list(curves[:CURVES]) for name, curves in list(panels.items())[:PANELS]}
    drawn = [curve for curves in shown.values() for curve in curves]
    left_out = sum(map(len, panels.values())) - len(drawn)
    colours = dict(zip(dict.fromkeys(c.name for c in drawn), COLOURS * len(drawn), strict=False))
    dashes = dict(zip(dict.fromkeys(c.steps for c in drawn), DASHES * len(drawn), strict=False))
    rates = [error_rates(curve.scores, curve.same) for curve in drawn]
    low, high = _range(drawn, [rates_to_eer(*pair) for pair in rates])
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    height = SIDE + LINE * (4 + max(map(len, shown.values())))
    figure = Figure(figsize=(SIDE * columns, height * rows), layout="constrained", facecolor="white")
    grid, of_curves = figure.subplots(rows, columns, squeeze=False).ravel(), iter(rates)
    for axes, (name, curves) in zip(grid, shown.items(), strict=False):
        for curve in curves:
            _draw(axes, curve, next(of_curves), colours[curve.name], dashes[curve.steps], low)
        _frame(axes, name if len(panels) > 1 else "", low, high)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    more = f"{left_out} more systems in verification.json" if left_out else ""
    figure.suptitle("; ".join(filter(None, (title, more))), fontsize=11)
    with replacing(path) as aside:
        # matplotlib takes the format from the suffix, which the temporary file lacks; no date: equal numbers, equal
        # files
        kind = path.suffix.lstrip(".")
        figure.savefig(aside, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)


def _range(curves: Sequence[Curve], equal: Sequence[float]) -> tuple[float, float]:
    """The lowest and the highest rate shown. equal: the curves' equal error rates."""
    fewest = min(min(c.same.sum(), (~c.same).sum()) for c in curves)
    low = min(0.05, max(LEAST, 0.5 / fewest))  # half an error: where the curve of so few trials ends
    return low, MOST if max(equal) < MOST / 1.5 else 0.98


def _draw(axes: Any, curve: Curve, rates: tuple[np.ndarray, np.ndarray], colour: str, dashes: Any, low: float) -> None:
    from scipy.special import ndtri

    (alarm, miss), rate = rates, rates_to_eer(*rates)
    beside = ndtri(np.clip(alarm, low / 10, 1 - 1e-9)), ndtri(np.clip(miss, low / 10, 1 - 1e-9))
    name = curve.name + (f", {curve.steps}" if curve.steps else "")
    axes.plot(*beside, color=colour, linewidth=1.6, linestyle=dashes, label=f"{name}: {100 * rate:.2f} %")
    if rate > low:
        axes.plot([ndtri(rate)], [ndtri(rate)], "o", color=colour, markersize=5, markeredgecolor="white")


def _frame(axes: Any, title: str, low: float, high: float) -> None:
    from scipy.special import ndtri

    ends = [float(ndtri(low)), float(ndtri(high))]
    axes.plot(ends, ends, color="0.85", linewidth=1, zorder=0)
    shown = [tick for tick in TICKS if low <= tick <= high]
    labels = [f"{100 * tick:g}" for tick in shown]
    axes.set_xticks(ndtri(shown), labels)
    axes.set_yticks(ndtri(shown), labels)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("false alarms: two speakers taken for one (%)", fontsize=9)
    axes.set_ylabel("misses: one speaker taken for two (%)", fontsize=9)
    axes.grid(color="0.93")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.13), fontsize=8, title=TITLE, title_fontsize=8, frameon=False
    )
