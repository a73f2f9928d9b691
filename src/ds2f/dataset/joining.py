"""One person across corpora: which identities a table of people joins, and what happens to their split.

A table is stored whole in `known_as`, so that identities ingested later are joined too. Names are compared exactly as
the corpora write them, never by similarity. A person keeps the split of whichever of their identities was ingested
first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from ds2f.corpora.metadata import is_side_file
from ds2f.corpora.tables import LOCAL, Alias, PeopleTable
from ds2f.dataset.forgotten import ForgottenNames
from ds2f.errors import UserError

Item = TypeVar("Item", bound=Any)  # hashable, and comparable with one another


def components(groups: Iterable[Iterable[Item]]) -> dict[Item, Item]:
    """{item of any group: the smallest item that it is connected with}, by sharing a group, directly or through others
    (union-find; Galler & Fischer, CACM 7(5), 1964)."""
    above: dict[Item, Item] = {}

    def top(item: Item) -> Item:
        while above.setdefault(item, item) != item:
            above[item] = item = above[above[item]]
        return item

    for group in groups:
        tops = [top(item) for item in group]
        above |= dict.fromkeys(tops, min(tops, default=None))
    return {item: top(item) for item in above}


@dataclass(frozen=True)
class Joined:
    """people: with two or more identities here; moved: {(split, other split): identities moved to the split of their
    person}; tables: how each table was used."""

    people: int
    moved: dict[tuple[str, str], int]
    tables: tuple[TableUse, ...]


@dataclass(frozen=True)
class TableUse:
    """Rows of a table of people. corpora: how many of the corpora that it names are here; joined: rows with two or more
    identities here; single: with one; absent: with none."""

    source: str
    corpora: int
    joined: int
    single: int
    absent: int


def keep_tables(sql: sqlite3.Connection, tables: Sequence[PeopleTable]) -> tuple[str, ...]:
    """Store tables in place of earlier versions, without people who were forgotten. An earlier version was read from
    the same file, or from one that is gone, has the same columns, and has a name in common. Returns the latter."""
    gone = ForgottenNames(sql)
    replaced: set[str] = set()
    column = _columns(sql, tables)
    for table in tables:
        kept = [row for row in table.rows if len(row) > 1 and not any(alias in gone for alias in row)]
        earlier = _replaced(sql, table.source, {alias for row in kept for alias in row}, column)
        replaced |= earlier
        sql.executemany("DELETE FROM known_as WHERE source = ?", [(source,) for source in (table.source, *earlier)])
        sql.executemany(
            "INSERT OR IGNORE INTO known_as VALUES (?, ?, ?, ?)",
            ((*alias, table.source, number) for number, row in enumerate(kept, 1) for alias in row),
        )
    return tuple(sorted(replaced))


def _replaced(sql: sqlite3.Connection, source: str, names: set[Alias], column: Callable[[Alias], Alias]) -> set[str]:
    """Stored tables whose files are gone and of which this one, with these names, is a later version."""
    found = set()
    for (other,) in sql.execute("SELECT DISTINCT source FROM known_as WHERE source <> ?", (source,)).fetchall():
        if Path(other).exists():
            continue
        stored: set[Alias] = {
            (r[0], r[1]) for r in sql.execute("SELECT corpus, name FROM known_as WHERE source = ?", (other,))
        }
        if stored & names and {*map(column, stored)} == {*map(column, names)}:
            found.add(other)
    return found


def _columns(sql: sqlite3.Connection, tables: Iterable[PeopleTable]) -> Callable[[Alias], Alias]:
    """Tells the column of a name: its corpus, and the folder if people of the corpus are local to one. Names of folders
    may contain slashes, so only ingested ones and those that `tables` name are told apart reliably."""
    folders = {row[0] for row in sql.execute("SELECT name FROM roots WHERE name IS NOT NULL")}
    folders.update(*(table.folders for table in tables))

    def column(alias: Alias) -> Alias:
        corpus, name = alias
        if corpus not in LOCAL:
            return corpus, ""
        parts = name.split("/")
        ends = range(len(parts) - 1, 0, -1)
        return corpus, next((f for n in ends if (f := "/".join(parts[:n])) in folders), parts[0])

    return column


def refuse_contradictions(sql: sqlite3.Connection, tables: Sequence[PeopleTable]) -> None:
    """Raise UserError if tables of the user's own would make two names of one column one person although no row has
    both: two of the tables contradict each other. Tables of the corpora themselves are not asked: two corpora may have
    had a person in two versions. tables: to check, together with those stored before."""
    if not (given := {table.source for table in tables}):
        return
    column = _columns(sql, tables)
    rows: dict[tuple[str, int], list[Alias]] = {}
    for source, row, corpus, name in sql.execute("SELECT source, row, corpus, name FROM known_as ORDER BY 1, 2, 3, 4"):
        if source in given or not is_side_file(Path(source).name):
            rows.setdefault((source, row), []).append((corpus, name))
    person_of = components(rows.values())
    people: dict[Alias, dict[tuple[str, int], list[Alias]]] = {}
    for place, names in rows.items():
        people.setdefault(person_of[names[0]], {})[place] = names
    for of_person in people.values():
        if len(of_person) > 1 and any(source in given for source, _ in of_person):
            _refuse(given, column, of_person)


def _refuse(given: set[str], column: Callable[[Alias], Alias], rows: dict[tuple[str, int], list[Alias]]) -> None:
    """rows: of one person."""
    said = {pair for names in rows.values() for pair in combinations(sorted(names), 2)}
    for one, other in combinations(sorted({alias for names in rows.values() for alias in names}), 2):
        if column(one) == column(other) and (one, other) not in said:
            first, *more = sorted({source for source, _ in rows}, key=lambda source: (source not in given, source))
            raise UserError(
                f"{first} contradicts {' and '.join(more)}: together they make {'/'.join(one)} and {'/'.join(other)} "
                "one person, and no row says so. Correct the wrong one and give it again with --people; if it is no "
                "longer needed, delete its file."
            )


def join(sql: sqlite3.Connection, known: int) -> Joined:
    """Make all identities that share a row of a table one person, directly or through other rows. Runs within the
    caller's transaction. known: the last identity of earlier ingests; those after it have not been in a split yet."""
    uses: dict[str, list[list[int]]] = {}
    rows = sql.execute(
        "SELECT k.source, group_concat(i.id) FROM known_as k"
        " LEFT JOIN identities i ON i.corpus = k.corpus AND i.name = k.name GROUP BY k.source, k.row"
    )
    for source, ids in rows:
        uses.setdefault(source, []).append([int(part) for part in ids.split(",")] if ids else [])
    people = components(found for of_table in uses.values() for found in of_table)
    wanted = {identity: person for identity, person in people.items() if identity != person}
    before = dict(sql.execute("SELECT id, person_id FROM identities WHERE person_id IS NOT NULL").fetchall())
    changes = [(wanted.get(i), i) for i in before.keys() | wanted.keys() if before.get(i) != wanted.get(i)]
    sql.executemany("UPDATE identities SET person_id = ? WHERE id = ?", changes)
    torn = "FROM identities i JOIN identities p ON p.id = i.person_id WHERE p.split <> i.split"
    moved = {
        (r[0], r[1]): r[2]
        for r in sql.execute(f"SELECT i.split, p.split, count(*) {torn} AND i.id <= ? GROUP BY 1, 2", (known,))
    }
    sql.execute(
        "UPDATE identities AS i SET split = (SELECT p.split FROM identities p WHERE p.id = i.person_id)"
        f" WHERE i.id IN (SELECT i.id {torn})"
    )
    here = (
        "SELECT count(*) FROM (SELECT DISTINCT corpus FROM known_as WHERE source = ?) k"
        " WHERE EXISTS (SELECT 1 FROM identities i WHERE i.corpus = k.corpus)"
    )
    tables = tuple(
        TableUse(
            source,
            sql.execute(here, (source,)).fetchone()[0],
            sum(len(found) > 1 for found in of_table),
            sum(len(found) == 1 for found in of_table),
            sum(not found for found in of_table),
        )
        for source, of_table in sorted(uses.items())
    )
    return Joined(len(set(wanted.values())), moved, tables)
