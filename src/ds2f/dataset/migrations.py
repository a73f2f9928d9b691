"""Upgrades databases of earlier versions when they are opened, so that nothing has to be extracted again.

A migration is SQL from one version to the next. It runs in one transaction, so a file is always of either the old or
the new version. If a table has to be rebuilt, for example for a constraint that ALTER TABLE cannot add: create NEW,
copy, drop the old one, rename, and create its indices again (sqlite.org/lang_altertable.html, section 7).
"""

from __future__ import annotations

import sqlite3

MIGRATIONS: dict[int, str] = {
    2: """
CREATE TABLE new_videos (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    root_id       INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE,
    path          TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('video', 'sound', 'still')),
    identity_id   INTEGER NOT NULL REFERENCES identities (id),
    size          INTEGER NOT NULL,
    mtime_ns      INTEGER NOT NULL,
    tar_offset    INTEGER,
    state         TEXT NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done', 'failed')),
    speech_recipe TEXT REFERENCES recipes (key),
    face_recipe   TEXT REFERENCES recipes (key),
    duration      REAL,
    width         INTEGER,
    height        INTEGER,
    fps           REAL,
    part_start    REAL,
    part_seconds  REAL,
    part_channel  INTEGER,
    stream        INTEGER,
    UNIQUE (root_id, path)
);
INSERT INTO new_videos SELECT *, NULL, NULL, NULL, NULL FROM videos;
DROP TABLE videos;
ALTER TABLE new_videos RENAME TO videos;
CREATE INDEX videos_by_state ON videos (kind, state, speech_recipe, face_recipe);
CREATE INDEX videos_by_identity ON videos (identity_id, state, kind);
ALTER TABLE speech ADD COLUMN stream INTEGER;
ALTER TABLE speech ADD COLUMN channels TEXT;
ALTER TABLE roots ADD COLUMN name TEXT;
CREATE UNIQUE INDEX roots_by_name ON roots (name);
ALTER TABLE identities ADD COLUMN person_id INTEGER REFERENCES identities (id) ON DELETE SET NULL;
CREATE TABLE known_as (
    corpus TEXT NOT NULL,
    name   TEXT NOT NULL,
    source TEXT NOT NULL,
    row    INTEGER NOT NULL,
    PRIMARY KEY (corpus, name, source, row)
) WITHOUT ROWID;
CREATE INDEX known_as_by_row ON known_as (source, row);
CREATE TABLE outputs (
    path TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('faces', 'export', 'report'))
) WITHOUT ROWID;
    """,
    3: """
CREATE INDEX identities_by_person ON identities (person_id);
ALTER TABLE speech_audio RENAME COLUMN flac TO sound;
CREATE TABLE new_outputs (
    path TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('faces', 'export', 'report', 'training'))
) WITHOUT ROWID;
INSERT INTO new_outputs SELECT * FROM outputs;
DROP TABLE outputs;
ALTER TABLE new_outputs RENAME TO outputs;
    """,
}
"""{version: SQL that upgrades it to the next}."""


def migrate(connection: sqlite3.Connection) -> None:
    """Upgrade an open database to the current version. If it raises sqlite3.Error, the database is unchanged."""
    connection.execute("PRAGMA foreign_keys = OFF")  # while tables are rebuilt; has no effect inside a transaction
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have migrated it
            while version in MIGRATIONS:
                for statement in _statements(MIGRATIONS[version]):
                    connection.execute(statement)
                version += 1
            connection.execute(f"PRAGMA user_version = {version}")
            if broken := connection.execute("PRAGMA foreign_key_check").fetchone():
                raise sqlite3.IntegrityError(f"a row of {broken[0]} would belong to nothing in {broken[2]}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has already ended it
                connection.execute("ROLLBACK")
            raise
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def _statements(script: str) -> list[str]:
    """The single statements of a script: sqlite3's executescript would commit first."""
    found, rest = [], ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found
