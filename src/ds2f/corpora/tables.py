"""Tables of people: reads rows as spreadsheets save them, and which identities in several corpora are one person."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ds2f.errors import UserError
from ds2f.io.files import decode_text

ALSO_CALLED = {
    **{"voxceleb1": "voxceleb", "voxceleb2": "voxceleb", "vggface1": "vggface"},
    **{"casiawebface": "casia", "scutfbp5500": "scut"},
}
LOCAL = ("folder", "kaldi", "lhotse", "mavceleb")  # their people are local to a folder
Alias = tuple[str, str]
"""(corpus, name of a person in it)."""


class Unreadable(Exception):
    """Why a file cannot be read, as the end of a sentence that begins with its path."""


@dataclass
class PeopleTable:
    """Which identities in several corpora are one person. source: the file; rows: the names of one person each, in at
    least one corpus; folders: columns that are not corpora and so must be ingested folders."""

    source: str
    rows: list[tuple[Alias, ...]] = field(default_factory=list)
    folders: tuple[str, ...] = ()

    def add(self, names: Sequence[Alias]) -> None:
        if names:
            self.rows.append(tuple(dict.fromkeys(names)))

    def ambiguous(self) -> set[Alias]:
        """Names that occur in several rows."""
        counts = Counter(alias for row in dict.fromkeys(self.rows) for alias in row)
        return {alias for alias, count in counts.items() if count > 1}

    def drop_ambiguous(self) -> set[Alias]:
        """Remove names that occur in several rows from all of them, and return them."""
        twice = self.ambiguous()
        rows = (tuple(alias for alias in row if alias not in twice) for row in dict.fromkeys(self.rows))
        self.rows = [row for row in rows if row]
        return twice


def read_people(path: Path) -> PeopleTable:
    """A user's own table: a header that names corpora, or ingested folders, and one row per person, with empty cells
    for corpora that do not have them.

    Raises UserError if it cannot be read, names only one corpus, or has a person in two rows.
    """
    try:
        lines = list(read_rows(path))
    except Unreadable as error:
        raise UserError(f"The table of people {path} {error}.") from None
    header = lines[0] if lines else []
    if len(header) < 2 or not all(header) or len(set(header)) < len(header):
        raise UserError(
            f"The first line of {path} must name two or more corpora, such as voxceleb,vggface2, or ingested folders."
        )
    corpora = [_corpus(column) for column in header]
    folders = tuple(column for column, corpus in zip(header, corpora, strict=True) if not corpus)
    table = PeopleTable(str(path.resolve()), folders=folders)
    where: dict[Alias, int] = {}
    for number, row in enumerate(lines[1:], 2):
        if len(row) > len(header):
            raise UserError(f"Row {number} of {path} has {len(row)} cells, its first line {len(header)}.")
        names = [
            alias
            for column, corpus, cell in zip(header, corpora, row, strict=False)
            if cell
            for alias in ([(corpus, cell)] if corpus else [(local, f"{column}/{cell}") for local in LOCAL])
        ]
        for alias in names:
            if where.setdefault(alias, number) != number:
                raise UserError(
                    f"{path} has {'/'.join(alias)} in row {where[alias]} and in row {number}; a person has one row."
                )
        table.add(names)
    if not any(sum(map(bool, row)) > 1 for row in lines[1:]):
        raise UserError(f"{path} joins nobody: no row has names in two columns.")
    return table


def _corpus(column: str) -> str:
    """The corpus that a column is named after, "" if none: `VoxCeleb2 ID` means voxceleb."""
    from ds2f.corpora import BY_NAME

    name = re.sub(r"[^a-z0-9]", "", column.lower()).removesuffix("id")
    found = ALSO_CALLED.get(name, name)
    return found if found in BY_NAME and found != "folder" else ""


def read_rows(path: Path, delimiter: str | None = None, blanks: bool = False) -> Iterator[list[str]]:
    """Rows of a table, with whitespace around cells stripped and empty rows left out, whichever spreadsheet saved it.

    delimiter: None for whichever of tab, semicolon and comma occurs in the first line; blanks: without a comma, split
    at whitespace. Raises Unreadable.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror or error})") from None
    try:
        text = unicodedata.normalize("NFC", decode_text(data))
    except UnicodeDecodeError:
        raise Unreadable("is not text in UTF-8") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((line for line in lines if line.strip()), "")
    if delimiter is None:
        delimiter = next((mark for mark in "\t;," if mark in first), ",")
    if blanks and "," not in first:
        yield from (cells for line in lines if (cells := re.split(r"\s+", line.strip())) != [""])
        return
    try:
        for cells in csv.reader(lines, delimiter=delimiter, skipinitialspace=True):
            row = [cell.strip() for cell in cells]
            if any(row):
                yield row
    except csv.Error as error:
        raise Unreadable(f"is not a table ({error})") from None
