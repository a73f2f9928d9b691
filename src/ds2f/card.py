"""The model card: README.md beside a model, written from what its files and its evaluation say, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from ds2f import __version__
from ds2f.errors import UserError
from ds2f.models import store

SHOWN = {
    "r_at_1": "true face first",
    "r_at_5": "true face among 5",
    "r_at_10": "true face among 10",
    "median_rank": "median rank",
}


@dataclass(frozen=True)
class Row:
    """One method, or chance, of an evaluation. cells: one for each of SHOWN."""

    name: str
    cells: tuple[str, ...]


def write_card(folder: Path) -> Path:
    """Write README.md from the JSON files in the model `folder`, from metrics.json there if there is one, and from
    MODEL_CARD.md, words of the model's maker. Raises UserError if one of them cannot be read."""
    kinds = [kind for kind in ("prior", "decoder", "attributes") if (folder / f"{kind}.json").is_file()]
    parts = {kind: store.description(folder, kind) for kind in kinds}
    metrics = _read(folder / "metrics.json")
    notes = folder / "MODEL_CARD.md"
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ds2f", "."), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # Markdown, so nothing is escaped
    text = environment.get_template("card.md.j2").render(
        version=__version__,
        parts=parts,
        size=parts["decoder"]["config"]["size"],
        conditions=_conditions(parts["decoder"]["config"]),
        groups=parts.get("attributes", {}).get("card", {}).get("measures", {}).get("groups", []),
        metrics=metrics,
        shown=SHOWN.values(),
        rows=list(_rows(metrics)),
        notes=notes.read_text() if notes.is_file() else "",
    )
    path = folder / "README.md"
    path.write_text(text)
    return path


def _conditions(config: Mapping[str, Any]) -> list[str]:
    told = [name for name in config.get("conditions", {}) if name != "coverage"]
    return [*told, "guide"] if config.get("guide") else told


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from None
    if not isinstance(data, dict) or not isinstance(data.get("methods"), list):
        raise UserError(f"{path} is not the metrics.json of an evaluation; make one with: ds2f evaluate")
    return data


def _rows(metrics: Mapping[str, Any]) -> Iterator[Row]:
    """Retrieval by Euclidean distance, as `evaluation.results` writes it; what a version does not have is a dash."""
    for method in metrics.get("methods", []):
        yield Row(str(method.get("name")), _cells(method.get("euclidean") or {}))
    if metrics.get("chance"):
        yield Row("chance", _cells(metrics["chance"]))


def _cells(retrieval: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_cell(retrieval.get(name), "{:.1f}" if "rank" in name else "{:.1%}") for name in SHOWN)


def _cell(measure: Mapping[str, Any] | None, form: str) -> str:
    if not measure or measure.get("value") is None:
        return "–"
    low, high = measure.get("low"), measure.get("high")
    interval = "" if low is None or high is None else f" [{form.format(low)}, {form.format(high)}]"
    return form.format(measure["value"]) + interval
