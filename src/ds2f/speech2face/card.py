"""The model card: README.md in a model folder, written only from what the model's files and its evaluation state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from ds2f import __version__
from ds2f.errors import UserError
from ds2f.models import folders

PERCENT, NUMBER = "{:.1%}", "{:.1f}"
SHOWN = {
    "r_at_1": "true face first",
    "r_at_5": "true face among 5",
    "r_at_10": "true face among 10",
    "median_rank": "median rank",
}

# Keys of metrics.json with names and values of single clips, or with paths of the machine that ran the evaluation.
OF_PEOPLE = {"clips", "paths", "per_clip", "ranks", "leaks", "source", "generation", "database"}
OF_PEOPLE |= {"metrics_file", "report_file", "unmatched"}


@dataclass(frozen=True)
class Row:
    """One method, chance, or one group of people in an evaluation. cells: one per column."""

    name: str
    cells: tuple[str, ...]


def write_card(folder: Path) -> Path:
    """Write README.md from the JSON files in the model `folder`, and from metrics.json and MODEL_CARD.md (notes by the
    model's author) if they are there. Raises UserError if one of them cannot be read."""
    known = ("prior", "decoder", "fast-decoder", "super-resolution", "attributes")
    kinds = [kind for kind in known if (folder / f"{kind}.json").is_file()]
    parts = {kind: folders.description(folder, kind) for kind in kinds}
    measured = folder / "metrics.json"
    metrics = read_metrics(measured) if measured.is_file() else {}
    notes = folder / "MODEL_CARD.md"
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ds2f.speech2face", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )  # Markdown, so nothing is escaped
    text = environment.get_template("card.md.j2").render(
        version=__version__,
        parts=parts,
        size=folders.drawing_of_size(folder).size,
        conditions=_conditions(parts["decoder"]["config"]),
        groups=parts.get("attributes", {}).get("card", {}).get("measures", {}).get("groups", []),
        measured=_measured(metrics),
        trained_on=_trained_on(metrics),
        shown=SHOWN.values(),
        rows=list(_rows(metrics)),
        people=list(_people(metrics)),
        notes=notes.read_text("utf-8") if notes.is_file() else "",
    )
    path = folder / "README.md"
    path.write_text(text, "utf-8")
    return path


def read_metrics(path: Path) -> dict[str, Any]:
    """The metrics.json of an evaluation. Raises UserError if it cannot be read."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); `ds2f evaluate` writes it into --out.") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from None
    if not isinstance(data, dict) or not isinstance(data.get("methods"), list):
        raise UserError(f"{path} is not the metrics.json of an evaluation; make one with: ds2f evaluate")
    return data


def published(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """metrics.json without anything about single people or the machine, fit for publishing with a model."""
    clips = metrics.get("clips", 0)
    methods = [
        {
            **{name: value for name, value in method.items() if name not in OF_PEOPLE},
            "groups": [group for group in method.get("groups", []) if not group.get("few")],
        }
        for method in metrics["methods"]
    ]
    provenance = {name: value for name, value in metrics.get("provenance", {}).items() if name not in OF_PEOPLE}
    if leaks := metrics.get("provenance", {}).get("leaks"):
        provenance["leaks"] = leaks if isinstance(leaks, int) else len(leaks)  # its sentences name people and folders
    if provenance.get("guided"):
        provenance["guided"] = {name: value for name, value in provenance["guided"].items() if name != "folder"}
    return {
        **{name: value for name, value in metrics.items() if name not in OF_PEOPLE},
        "clips": len(clips) if isinstance(clips, list) else clips,
        "provenance": provenance,
        "methods": methods,
    }


def _conditions(config: Mapping[str, Any]) -> list[str]:
    known = [name for name in config.get("conditions", {}) if name not in ("coverage", "sharpness", "guide_level")]
    return [*known, "guide"] if config.get("guide") else known


def _measured(metrics: Mapping[str, Any]) -> str:
    """Which data the evaluation used."""
    shown = published(metrics) if metrics else {}
    return f"the {shown.get('split')} split: {shown.get('clips')} clips of {shown.get('people')} people"


def _trained_on(metrics: Mapping[str, Any]) -> bool:
    """Whether training has seen any of those on whom an evaluation measured. `leaks`: sentences, or, once published,
    their number."""
    return metrics.get("split") == "train" or bool(metrics.get("provenance", {}).get("leaks"))


def _retrieval(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The headline retrieval of a method: by the first face encoder, among everybody. Also reads `euclidean` of
    metrics.json version 1."""
    space: Mapping[str, Any] = next(iter(found.get("spaces", {}).values()), {})
    return space.get("centred_cosine", {}).get("all") or found.get("euclidean") or {}


def _rows(metrics: Mapping[str, Any]) -> Iterator[Row]:
    """Rows as `evaluation.results` writes them; what a version lacks is a dash."""
    for method in metrics.get("methods", []):
        yield Row(str(method.get("name")), _cells(_retrieval(method)))
    if chance := metrics.get("chance"):
        yield Row("chance", _cells(chance.get("retrieval", {}).get("all") or chance))


def _people(metrics: Mapping[str, Any]) -> Iterator[Row]:
    """How well the first method's faces fit, group by group; groups of too few people are left out."""
    method: Mapping[str, Any] = next((m for m in metrics.get("methods", []) if m.get("kind") == "images"), {})
    for group in method.get("groups", []):
        if not group.get("few"):
            cells = (
                str(group.get("people")),
                _cell(group.get("r_at_10"), PERCENT),
                _cell(group.get("gender"), PERCENT),
            )
            yield Row(f"{group.get('kind')}: {group.get('name')}", (*cells, _cell(group.get("age_mae"), NUMBER)))


def _cells(retrieval: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_cell(retrieval.get(name), NUMBER if "rank" in name else PERCENT) for name in SHOWN)


def _cell(measure: Mapping[str, Any] | None, form: str) -> str:
    if not measure or measure.get("value") is None:
        return "–"
    low, high = measure.get("low"), measure.get("high")
    interval = "" if low is None or high is None else f" [{form.format(low)}, {form.format(high)}]"
    return form.format(measure["value"]) + interval
