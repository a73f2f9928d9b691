"""One person across corpora: which identities a table of people joins, and what happens to their split.

A table is stored whole in `known_as`, so that identities ingested later are joined too. Names are compared exactly as
the corpora write them, never by similarity. A person keeps the split of whichever of their identities was ingested
first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from ds2f.corpora.tables import PeopleTable
from ds2f.dataset.forgotten import ForgottenNames


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


def keep_tables(sql: sqlite3.Connection, tables: Iterable[PeopleTable]) -> None:
    """Store tables in place of earlier versions read from the same files, without people who were forgotten."""
    gone = ForgottenNames(sql)
    for table in tables:
        sql.execute("DELETE FROM known_as WHERE source = ?", (table.source,))
        sql.executemany(
            "INSERT OR IGNORE INTO known_as VALUES (?, ?, ?, ?)",
            (
                (*alias, table.source, number)
                for number, row in enumerate(table.rows, 1)
                if len(row) > 1 and not any(alias in gone for alias in row)
                for alias in row
            ),
        )


def join(sql: sqlite3.Connection, known: int) -> Joined:
    """Make all identities that share a row of a table one person, directly or through other rows. Runs within the
    caller's transaction. known: the last identity of earlier ingests; those after it have not been in a split yet."""
    first: dict[int, int] = {}

    def find(identity: int) -> int:
        while first.setdefault(identity, identity) != identity:
            first[identity] = identity = first[first[identity]]
        return identity

    uses: dict[str, list[int]] = {}
    rows = sql.execute(
        "SELECT k.source, group_concat(i.id) FROM known_as k"
        " LEFT JOIN identities i ON i.corpus = k.corpus AND i.name = k.name GROUP BY k.source, k.row"
    )
    for source, ids in rows:
        found = sorted(int(part) for part in ids.split(",")) if ids else []
        uses.setdefault(source, []).append(len(found))
        for identity in found[1:]:
            one, other = sorted((find(found[0]), find(identity)))
            first[other] = one
    wanted = {identity: find(identity) for identity in first}
    wanted = {identity: person for identity, person in wanted.items() if identity != person}
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
            sum(n > 1 for n in counts),
            counts.count(1),
            counts.count(0),
        )
        for source, counts in sorted(uses.items())
    )
    return Joined(len(set(wanted.values())), moved, tables)
