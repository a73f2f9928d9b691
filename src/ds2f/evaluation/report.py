"""report.html: one file with everything in it, that opens without a network and on a phone."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from ds2f.errors import ItemError
from ds2f.evaluation.results import Evaluation, Measure, MethodResult
from ds2f.media import read_image
from ds2f.types import Source

PICTURE = 160  # pixels; shown at about half of it, sharp on a phone's screen
RANDOM_ROWS, EXTREME_ROWS = 12, 6
# In the rank curve, image methods are coloured and baselines are grey.
COLOURS = ("#0b6e4f", "#c8553d", "#3d5a98", "#8a5a9e")
GREYS = ("#9a9a9a", "#8a8a8a", "#5c5c5c", "#222222")


@dataclass(frozen=True)
class Pictures:
    """crops: WebP bytes of the true face of every clip; files: {method: picture of every clip, or None}."""

    crops: tuple[bytes, ...]
    files: Mapping[str, tuple[Path | None, ...]]


@dataclass(frozen=True)
class Cell:
    """picture: data URI, None where there is none; caption, rank: what stands beneath."""

    picture: str | None
    caption: str
    rank: str = ""


@dataclass(frozen=True)
class Row:
    clip: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Gallery:
    title: str
    note: str
    rows: tuple[Row, ...]


def render_report(evaluation: Evaluation, curves: Mapping[str, np.ndarray], pictures: Pictures) -> str:
    """The page. curves: {method or "chance": R@k for k = 1, 2, ...}."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=_percent, number=_number, rank=_rank)
    template = environment.from_string(Path(__file__).with_name("report.html.j2").read_text("utf-8"))
    return template.render(
        evaluation=evaluation,
        drawn=[method for method in evaluation.methods if method.kind == "images"],
        galleries=_galleries(evaluation, pictures),
        curve=_uri(_curve_png(evaluation, curves), "png"),
    )


def _galleries(evaluation: Evaluation, pictures: Pictures) -> list[Gallery]:
    """Random clips, and the best and the worst of the first image method."""
    drawn = [method for method in evaluation.methods if method.kind == "images"]
    if not drawn:
        return []
    first = drawn[0]
    ranks = np.array(first.ranks)
    have = np.flatnonzero([file is not None for file in pictures.files[first.name]])
    chosen = np.sort(np.random.default_rng(evaluation.seed).permutation(have)[:RANDOM_ROWS])
    ordered = have[np.argsort(ranks[have], kind="stable")]

    def rows(indices: Sequence[int] | np.ndarray) -> tuple[Row, ...]:
        return tuple(_row(int(i), evaluation, drawn, pictures) for i in indices)

    return [
        Gallery("Random clips", "Drawn blindly: the honest impression.", rows(chosen)),
        Gallery("Best", f"The clips whose true face {first.name} ranks first.", rows(ordered[:EXTREME_ROWS])),
        Gallery("Worst", f"And those that {first.name} ranks last.", rows(ordered[::-1][:EXTREME_ROWS])),
    ]


def _row(i: int, evaluation: Evaluation, drawn: Sequence[MethodResult], pictures: Pictures) -> Row:
    cells = [Cell(_uri(pictures.crops[i], "webp"), "true face")]
    for method in drawn:
        file = pictures.files[method.name][i]
        picture = None if file is None else _thumbnail(file)
        cells.append(Cell(picture, method.name, f"rank {method.ranks[i]:g}"))
    return Row(evaluation.paths[i], tuple(cells))


def _thumbnail(file: Path) -> str | None:
    try:
        image = Image.fromarray(read_image(Source(file)))
    except ItemError:
        return None
    image.thumbnail((PICTURE, PICTURE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return _uri(buffer.getvalue(), "webp")


def _curve_png(evaluation: Evaluation, curves: Mapping[str, np.ndarray]) -> bytes:
    from matplotlib.figure import Figure  # not pyplot: it would look for a screen

    figure = Figure(figsize=(7.2, 4.4), dpi=170, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    colours = {"images": iter(COLOURS * 9), "baseline": iter(GREYS * 9)}
    styles = iter((":", "-.", "--", "-") * 9)
    for method in evaluation.methods:
        drawn, curve = method.kind == "images", curves[method.name]
        axes.plot(
            np.arange(1, len(curve) + 1),
            100 * curve,
            color=next(colours[method.kind]),
            linewidth=2.4 if drawn else 1.3,
            linestyle="-" if drawn else next(styles),
            label=method.name,
            zorder=3 if drawn else 2,
        )
    blind = 100 * curves["chance"]
    axes.plot(np.arange(1, len(blind) + 1), blind, color="#d9d9d9", linewidth=5, label="chance", zorder=1)
    axes.set_xlim(1, len(blind))
    axes.set_ylim(0, 100)
    axes.set_xlabel("k nearest faces of the gallery")
    axes.set_ylabel("clips whose true face is among them (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eeeeee")
    axes.legend(frameon=False, loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _show(measure: Measure, text: Callable[[float], str]) -> Markup:
    """The value, and its interval in small print."""
    value = Markup("<b>{}</b>").format(text(measure.value))
    if measure.low is None or measure.high is None:
        return value
    return value + Markup(" <small>{}–{}</small>").format(text(measure.low), text(measure.high))


def _percent(measure: Measure) -> Markup:
    return _show(measure, lambda value: f"{100 * value:.1f}")


def _number(measure: Measure) -> Markup:
    return _show(measure, "{:.3f}".format)


def _rank(measure: Measure) -> Markup:
    return _show(measure, lambda value: f"{round(value, 1):g}")
