"""report.html: a single self-contained file that opens without a network, also on a phone."""

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
from ds2f.evaluation.baselines import Answers
from ds2f.evaluation.charts import age_scatter, rank_curves
from ds2f.evaluation.guided import Example
from ds2f.evaluation.results import Evaluation, Measure, MethodResult
from ds2f.io.images import read_image
from ds2f.types import Source

PICTURE = 160  # pixels; shown at about half of it, sharp on a phone's screen
RANDOM_ROWS, EXTREME_ROWS = 12, 6
GALLERIES = {
    "all": "Among everybody",
    "gender": "Among faces of the true gender",
    "gender_age": "Among faces of the true gender and decade",
}
NOTHING = Markup("–")


@dataclass(frozen=True)
class Cell:
    """A picture in a gallery. picture: data URI, None if there is none; caption, rank: the text below it."""

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


def render_report(
    evaluation: Evaluation,
    curves: Mapping[str, np.ndarray],
    crops: Sequence[bytes],
    answers: Sequence[Answers],
    examples: Sequence[Example] = (),
) -> str:
    """The report as HTML.

    evaluation: the results.
    curves: {method: R@k for k = 1, 2, ...}.
    crops: WebP bytes of the true face of every clip.
    answers: of the methods, for their pictures.
    examples: of guided mode.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        percent=_percent, number=_number, rank=_rank, tenths=_tenths, share=_share, digits=_digits
    )
    template = environment.from_string(Path(__file__).with_name("report.html.j2").read_text("utf-8"))
    drawn = [method for method in evaluation.methods if method.kind == "images"]
    seen = [method for method in drawn if method.agreement is not None]
    return template.render(
        e=evaluation,
        kinds={
            kind: [method for method in evaluation.methods if method.kind == kind]
            for kind in ("images", "together", "control", "baseline")
        },
        drawn=drawn,
        seen=seen,
        feature_spaces=list(dict.fromkeys(r.space for method in evaluation.methods for r in method.realism)),
        several=any(method.variety and method.variety.of_voice for method in evaluation.methods),
        galleries=GALLERIES,
        pictures=_galleries(evaluation, drawn, crops, {a.name: a for a in answers}),
        curve=_uri(rank_curves(evaluation, curves), "svg+xml"),
        restored=[_restored_row(example) for example in examples],
        scatters={method.name: _uri(age_scatter(evaluation, method), "svg+xml") for method in seen},
    )


def _galleries(
    evaluation: Evaluation, drawn: Sequence[MethodResult], crops: Sequence[bytes], answers: Mapping[str, Answers]
) -> list[Gallery]:
    """Random clips, and the best and the worst of the first method with pictures."""
    if not drawn:
        return []
    first = drawn[0]
    files = {method.name: _first_files(answers[method.name], len(crops)) for method in drawn}
    have = np.flatnonzero([file is not None for file in files[first.name]])
    ranks = np.array([np.nan if rank is None else rank for rank in first.per_clip["rank"]])
    chosen = np.sort(np.random.default_rng(evaluation.provenance.seed).permutation(have)[:RANDOM_ROWS])
    ordered = have[np.argsort(ranks[have], kind="stable")]

    def rows(indices: Sequence[int] | np.ndarray) -> tuple[Row, ...]:
        return tuple(_row(int(i), evaluation, drawn, crops, files) for i in indices)

    return [
        Gallery("Random clips", "Chosen at random: a fair impression.", rows(chosen)),
        Gallery("Best", f"The clips whose true face {first.name} ranks first.", rows(ordered[:EXTREME_ROWS])),
        Gallery("Worst", f"And those that {first.name} ranks last.", rows(ordered[::-1][:EXTREME_ROWS])),
    ]


def _first_files(answers: Answers, count: int) -> list[Path | None]:
    """The first picture of each clip: of several, the first one drawn, not the best."""
    found: list[Path | None] = [None] * count
    for clip, file in zip(answers.clips[::-1], answers.files[::-1], strict=True):
        found[clip] = file
    return found


def _row(
    i: int,
    evaluation: Evaluation,
    drawn: Sequence[MethodResult],
    crops: Sequence[bytes],
    files: Mapping[str, Sequence[Path | None]],
) -> Row:
    cells = [Cell(_uri(crops[i], "webp"), "true face")]
    for method in drawn:
        file, rank = files[method.name][i], method.per_clip["rank"][i]
        picture = None if file is None else _thumbnail(file)
        cells.append(Cell(picture, method.name, "" if rank is None else f"rank {round(rank, 1):g}"))
    return Row(evaluation.clips[i].path, tuple(cells))


def _restored_row(example: Example) -> Row:
    cells = [Cell(_shown(picture), name) for name, picture in example.pictures.items()]
    return Row(f"{example.degradation}: {example.clip}", tuple(cells))


def _thumbnail(file: Path) -> str | None:
    try:
        return _shown(read_image(Source(file)))
    except ItemError:
        return None


def _shown(picture: np.ndarray) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((PICTURE, PICTURE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return _uri(buffer.getvalue(), "webp")


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _text(measure: Measure | None, text: Callable[[float], str]) -> Markup:
    """The value, with its interval in small print."""
    if measure is None or np.isnan(measure.value):
        return NOTHING
    value = Markup("<b>{}</b>").format(text(measure.value))
    if measure.low is None or measure.high is None:
        return value
    return value + Markup(" <small>{} – {}</small>").format(text(measure.low), text(measure.high))


def _percent(measure: Measure | None) -> Markup:
    return _text(measure, lambda value: f"{100 * value:.1f}")


def _number(measure: Measure | None) -> Markup:
    return _text(measure, "{:.3f}".format)


def _digits(measure: Measure | None, factor: float = 1.0) -> Markup:
    """Three significant digits, never in scientific notation."""
    return _text(measure, lambda value: np.format_float_positional(factor * value, 3, fractional=False).rstrip("."))


def _rank(measure: Measure | None) -> Markup:
    return _text(measure, lambda value: f"{round(value, 1):g}")


def _tenths(measure: Measure | None) -> Markup:
    return _text(measure, lambda value: f"{value:.1f}")


def _share(value: float, whole: float) -> str:
    """CSS length of a part of a bar."""
    return f"{100 * min(1.0, max(0.0, value / whole)):.2f}%" if whole else "0%"
