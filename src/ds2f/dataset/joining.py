"""One person across corpora: which identities a table of people joins, and what becomes of their split.

A table is kept whole in `known_as`, so that whoever is ingested later finds the others. Names are compared as the
corpora write them and never guessed alike. A person keeps the split of whichever of their identities came first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from ds2f.corpora.tables import PeopleTable
from ds2f.dataset.forgotten import Forgotten


@dataclass(frozen=True)
class Joined:
    """people: who have two or more identities here; moved: {(split, other split): identities that were moved to that of
    their person}; tables: what became of each table."""

    people: int
    moved: dict[tuple[str, str], int]
    tables: tuple[TableUse, ...]


@dataclass(frozen=True)
class TableUse:
    """Rows of a table of people. corpora: how many of those that it names are here; joined: rows of people with two or
    more identities here; single: with one; absent: with none."""

    source: str
    corpora: int
    joined: int
    single: int
    absent: int


def keep_tables(sql: sqlite3.Connection, tables: Iterable[PeopleTable]) -> None:
    """Store tables in place of what was read from the same files before, without those who were forgotten."""
    gone = Forgotten(sql)
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
    """Make one person of all identities that stand in one row of a table, directly or by way of other rows. Within the
    caller's transaction. known: the last identity of earlier ingests; none behind it has been in a split before."""
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
