"""Side files of corpora: who somebody is and how they look, where that stands beside the files and not in their names.

| file | corpus | says |
| --- | --- | --- |
| vox1_meta.csv, vox2_meta.csv | VoxCeleb | gender and nationality of a person |
| identity_CelebA.txt (or .csv) | CelebA | the person of a picture |
| list_attr_celeba.txt (or .csv) | CelebA | gender of a picture, and whether it looks young |

They are looked for in the ingested root, beside it, and in a folder Anno.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ds2f.corpora.base import Recognised
from ds2f.errors import UserError

GENDERS = {"m": "male", "f": "female"}
Labels = tuple[tuple[str, str], ...]


@dataclass
class Metadata:
    """people: labels by person; files: the person of a picture, by its name; looks: labels by name of a picture."""

    people: dict[tuple[str, str], Labels] = field(default_factory=dict)  # by (corpus, person)
    files: dict[tuple[str, str], str] = field(default_factory=dict)  # by (corpus, file name)
    looks: dict[tuple[str, str], Labels] = field(default_factory=dict)

    def complete(self, corpus: str, name: str, found: Recognised) -> Recognised:
        """What a layout recognised, with what the side files add. name: of the file."""
        person = self.files.get((corpus, name), found.identity)
        more = self.people.get((corpus, person), ()) + self.looks.get((corpus, name), ())
        return Recognised(person, found.labels + more) if person != found.identity or more else found


def read_metadata(root: Path) -> Metadata:
    """All side files of an ingested folder or tar. Raises UserError for one that cannot be understood."""
    metadata = Metadata()
    folders = [root, root.parent] if root.is_dir() else [root.parent]
    for folder in [*folders, *(f / "Anno" for f in folders)]:
        for path in sorted(folder.glob("vox[12]_meta.csv")):
            _voxceleb(path, metadata)
        for path in (*folder.glob("identity_CelebA.*"), *folder.glob("list_attr_celeba.*")):
            _celeba(path, metadata)
    return metadata


def _voxceleb(path: Path, metadata: Metadata) -> None:
    """Columns are told apart by tabs or commas, and have spaces round them, in the files that are about."""
    rows = _rows(path, re.compile(r"\s*[,\t]\s*"))
    header = [name.strip().lower() for name in next(rows, [])]
    wanted = {key: next((i for i, name in enumerate(header) if name == key), None) for key in ("gender", "nationality")}
    ids = [i for i, name in enumerate(header) if name.endswith(" id") or name == "id"]
    gender = wanted["gender"]
    if gender is None or not ids:
        raise UserError(f"{path} is not VoxCeleb's metadata: its first line names no ID and Gender.")
    for row in rows:
        if len(row) < len(header):
            continue
        labels = [("gender", GENDERS[row[gender].lower()])] if row[gender].lower() in GENDERS else []
        nationality = wanted["nationality"]
        if nationality is not None and row[nationality]:
            labels.append(("nationality", row[nationality]))
        for i in ids:  # a person goes by a number in one release and by a name in another
            metadata.people["voxceleb", row[i]] = tuple(labels)


def _celeba(path: Path, metadata: Metadata) -> None:
    rows = _rows(path, re.compile(r"\s*,\s*|\s+"))
    if path.stem == "identity_CelebA":
        for row in rows:
            if len(row) == 2 and row[0] != "image_id":
                metadata.files["celeba", row[0]] = row[1]
        return
    header: list[str] = []
    for row in rows:
        if "Male" in row:
            header = row if row[0] == "image_id" else ["image_id", *row]
        elif header and len(row) == len(header):
            seen = dict(zip(header, row, strict=True))
            gender = "male" if seen["Male"] == "1" else "female"
            young = "yes" if seen.get("Young") == "1" else "no"
            metadata.looks["celeba", row[0]] = (("gender", gender), ("young", young))
    if not header:
        raise UserError(f"{path} is not CelebA's list of attributes: no line names them.")


def _rows(path: Path, separator: re.Pattern[str]) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            quoted = csv.reader(file) if path.suffix == ".csv" and _is_quoted(path) else None
            for line in quoted or file:
                cells = line if isinstance(line, list) else separator.split(line.strip())
                if any(cells):
                    yield [cell.strip() for cell in cells]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The side file {path} cannot be read ({error}).") from None


def _is_quoted(path: Path) -> bool:
    with path.open("rb") as file:
        return b'"' in file.read(4096)
