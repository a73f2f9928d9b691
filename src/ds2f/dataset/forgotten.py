"""Who was forgotten: hashes of names in the table `meta`, salted with the name of the dataset, so that they tell
nothing to somebody who does not know the name already, and are of no use in another dataset."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable

from ds2f.types import CorpusItem

PREFIX = "forgotten/"


def remember(sql: sqlite3.Connection, corpus: str, name: str) -> None:
    """From now on ingest leaves this person out. Within the caller's transaction."""
    sql.execute("INSERT OR IGNORE INTO meta VALUES (?, '')", (_key(_salt(sql), corpus, name),))


def is_forgotten(sql: sqlite3.Connection, corpus: str, name: str) -> bool:
    return _key(_salt(sql), corpus, name) in _keys(sql)


def willing(sql: sqlite3.Connection, items: Iterable[CorpusItem]) -> list[CorpusItem]:
    """The items without those of people who were forgotten."""
    gone, salt = _keys(sql), _salt(sql)
    return [item for item in items if not gone or _key(salt, item.corpus, item.identity) not in gone]


def _key(salt: str, corpus: str, name: str) -> str:
    return PREFIX + hashlib.sha256(f"{salt}:{corpus}/{name}".encode()).hexdigest()


def _salt(sql: sqlite3.Connection) -> str:
    return str(sql.execute("SELECT value FROM meta WHERE key = 'name'").fetchone()[0])


def _keys(sql: sqlite3.Connection) -> set[str]:
    return {row[0] for row in sql.execute("SELECT key FROM meta WHERE key GLOB ?", (PREFIX + "*",))}
