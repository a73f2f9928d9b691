"""Who was forgotten: hashes of names in the table `meta`, salted with the dataset's name, so that they reveal nothing
to anyone who does not already know the name, and cannot be compared across datasets."""

from __future__ import annotations

import hashlib
import sqlite3

PREFIX = "forgotten/"  # followed by the hash of corpus/name: ingest leaves these out
NAME_ALONE = "forgotten-name/"  # followed by the hash of the name alone, to recognise repeated requests


def remember(sql: sqlite3.Connection, corpus: str, name: str) -> None:
    """Make ingest leave this person out from now on. Runs within the caller's transaction."""
    salt = _salt(sql)
    keys = [(PREFIX + _hash(salt, f"{corpus}/{name}"),), (NAME_ALONE + _hash(salt, name),)]
    sql.executemany("INSERT OR IGNORE INTO meta VALUES (?, '')", keys)


def is_forgotten(sql: sqlite3.Connection, identity: str) -> bool:
    """identity: corpus/name, or the name alone."""
    hashed = _hash(_salt(sql), identity)
    keys = (PREFIX + hashed, NAME_ALONE + hashed)
    return sql.execute("SELECT 1 FROM meta WHERE key IN (?, ?)", keys).fetchone() is not None


class ForgottenNames:
    """Who is left out by ingest: `(corpus, name) in ForgottenNames(sql)`."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._salt = _salt(sql)
        self._keys = {row[0] for row in sql.execute("SELECT key FROM meta WHERE key GLOB ?", (PREFIX + "*",))}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForgottenNames) and self._keys == other._keys

    def __contains__(self, who: tuple[str, str]) -> bool:
        return bool(self._keys) and PREFIX + _hash(self._salt, "/".join(who)) in self._keys


def _hash(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()


def _salt(sql: sqlite3.Connection) -> str:
    return str(sql.execute("SELECT value FROM meta WHERE key = 'name'").fetchone()[0])
