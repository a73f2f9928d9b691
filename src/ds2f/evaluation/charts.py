"""The charts of the report, as SVG, so that they are sharp on every screen."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ds2f.evaluation.results import Evaluation, MethodResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Methods with pictures are bold; baselines are thin, each with its own colour and dashes.
COLOURS = ("#0b6e4f", "#c8553d", "#3d5a98", "#8a5a9e")
BASELINES = ("#9a9a9a", "#222222", "#b07d2b", "#7a4fa3", "#6f6f6f", "#b23a6f", "#2b8a8a")
STYLES = (":", "-", "--", "-", (0, (1, 2)), (0, (5, 2)), "-.")
OLDEST = 90  # years; end of the age axes


def rank_curves(evaluation: Evaluation, curves: Mapping[str, np.ndarray]) -> bytes:
    """R@k over k, for every method and for guessing. curves: {method: R@k for k = 1, 2, ...}."""
    figure = _figure(6.0, 4.8)
    axes = figure.add_subplot()
    images = [m.name for m in evaluation.methods if m.kind == "images"]
    means = [m.name for m in evaluation.methods if m.kind == "together"]
    others = [m.name for m in evaluation.methods if m.kind == "baseline"]
    for i, name in enumerate(images):
        _curve(axes, curves[name], name, COLOURS[i % len(COLOURS)], 2.4, "-")
    for i, name in enumerate(means):
        _curve(axes, curves[name], name, COLOURS[::-1][i % len(COLOURS)], 2.0, "--")
    for i, name in enumerate(others):
        _curve(axes, curves[name], name, BASELINES[i % len(BASELINES)], 1.2, STYLES[i % len(STYLES)])
    _curve(axes, curves["chance within gender"], "chance within gender", "#ecd9b0", 4, "-")
    _curve(axes, curves["chance"], "chance", "#dcdcdc", 4, "-")
    axes.set(xlim=(1, len(curves["chance"])), ylim=(0, 101))
    axes.set_xlabel("k nearest faces of the gallery")
    axes.set_ylabel("clips whose true face is among them (%)")
    figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=9.5)
    return _svg(figure)


def age_scatter(evaluation: Evaluation, method: MethodResult) -> bytes:
    """Age of the generated face against that of the true one, one point per clip."""
    figure = _figure(4.2, 4.0)
    axes = figure.add_subplot()
    true = np.array([clip.age for clip in evaluation.clips])
    found = np.array([np.nan if age is None else age for age in method.per_clip["age"]])
    women = np.array([clip.gender == "female" for clip in evaluation.clips])
    axes.plot([0, OLDEST], [0, OLDEST], color="#dcdcdc", linewidth=1.2, zorder=0)
    for member, name, colour, mark in ((women, "women", COLOURS[3], "o"), (~women, "men", COLOURS[2], "s")):
        axes.scatter(
            true[member], found[member], s=16, color=colour, alpha=0.65, linewidths=0, label=name, marker=mark,
            rasterized=len(true) > 2000,
        )  # fmt: skip
    axes.set(xlim=(0, OLDEST), ylim=(0, OLDEST), aspect="equal")
    axes.set_xlabel("age of the true face, years")
    axes.set_ylabel("age of the generated face, years")
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    return _svg(figure)


def _curve(axes: object, curve: np.ndarray, name: str, colour: str, width: float, style: object) -> None:
    axes.plot(np.arange(1, len(curve) + 1), 100 * curve, color=colour, linewidth=width, linestyle=style, label=name)  # type: ignore[attr-defined]


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # not pyplot, which would look for a display

    return Figure(figsize=(width, height), facecolor="white", layout="constrained")


def _svg(figure: Figure) -> bytes:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eeeeee", zorder=-1)
        axes.set_axisbelow(True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", dpi=150, metadata={"Date": None})  # the same numbers give the same file
    return buffer.getvalue()
