"""The tables of dataset.db, and opening it safely.

    roots ─< videos ─< clips ─< voice_embeddings
               │  └──< faces ─< face_embeddings
    identities ┘  └──< labels, failures

A new encoder is new rows in an embeddings table, never a rewrite. A video is `done` when its rows are all
there, `failed` when a row of `failures` says why not, `new` otherwise; change and rows go in one transaction.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ds2f.errors import UserError

APPLICATION_ID = 0x64733266  # "ds2f", in the header of every SQLite file that is ours
SCHEMA_VERSION = 1

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE roots (
    id   INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE                 -- absolute path of a folder or of a .tar
);

CREATE TABLE identities (
    id     INTEGER PRIMARY KEY,
    corpus TEXT NOT NULL,
    name   TEXT NOT NULL,
    split  TEXT NOT NULL CHECK (split IN ('train', 'val', 'test')),
    UNIQUE (corpus, name)
);

CREATE TABLE videos (                         -- one file: a recording, or a still picture
    id          INTEGER PRIMARY KEY,
    root_id     INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE,
    path        TEXT NOT NULL,                -- relative to the root, forward slashes
    kind        TEXT NOT NULL CHECK (kind IN ('video', 'still')),
    identity_id INTEGER NOT NULL REFERENCES identities (id),
    size        INTEGER NOT NULL,             -- bytes
    mtime_ns    INTEGER NOT NULL,
    tar_offset  INTEGER,                      -- bytes, only inside a tar
    state       TEXT NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done', 'failed')),
    duration    REAL,                         -- seconds
    width       INTEGER,                      -- pixels
    height      INTEGER,
    fps         REAL,
    UNIQUE (root_id, path)
);
CREATE INDEX videos_by_state ON videos (state, kind);
CREATE INDEX videos_by_identity ON videos (identity_id);

CREATE TABLE clips (                          -- speech, cut to one length
    id             INTEGER PRIMARY KEY,
    video_id       INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    start          REAL NOT NULL,             -- seconds into the file of the first speech
    seconds        REAL NOT NULL,             -- length of the clip
    speech_seconds REAL NOT NULL,             -- real speech in the file
    repeats        REAL NOT NULL,             -- 1 = trimmed; 2.5 = the speech was laid 2.5 times end to end
    audio          BLOB,                      -- FLAC, 16 kHz mono 16 bit
    UNIQUE (video_id, seconds)
);

CREATE TABLE faces (                          -- the face kept
    id        INTEGER PRIMARY KEY,
    video_id  INTEGER NOT NULL UNIQUE REFERENCES videos (id) ON DELETE CASCADE,
    time      REAL NOT NULL,                  -- seconds into the file
    x REAL NOT NULL, y REAL NOT NULL, w REAL NOT NULL, h REAL NOT NULL,   -- box, pixels
    landmarks BLOB NOT NULL,                  -- 5 x 2 float32: eyes, nose, mouth corners; pixels
    score     REAL NOT NULL,                  -- detector, 0..1
    quality   REAL NOT NULL,                  -- 0..1
    coverage  REAL NOT NULL,                  -- share of the crop inside the picture, 0..1
    crop      BLOB NOT NULL,                  -- WebP, canonical alignment
    detector  TEXT NOT NULL
);

CREATE TABLE voice_embeddings (
    clip_id INTEGER NOT NULL REFERENCES clips (id) ON DELETE CASCADE,
    encoder TEXT NOT NULL,
    vector  BLOB NOT NULL,                    -- float32
    PRIMARY KEY (clip_id, encoder)
) WITHOUT ROWID;

CREATE TABLE face_embeddings (
    face_id INTEGER NOT NULL REFERENCES faces (id) ON DELETE CASCADE,
    encoder TEXT NOT NULL,
    vector  BLOB NOT NULL,                    -- float32
    PRIMARY KEY (face_id, encoder)
) WITHOUT ROWID;

CREATE TABLE labels (                         -- what the corpus itself states: age, gender, ethnicity, ...
    video_id  INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    attribute TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (video_id, attribute)
) WITHOUT ROWID;

CREATE TABLE failures (
    video_id INTEGER PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
    stage    TEXT NOT NULL,                   -- open, audio, speech, face, worker
    reason   TEXT NOT NULL
);
"""


def create(path: Path) -> sqlite3.Connection:
    """Open the database at `path`, making it if it is not there."""
    if path.exists() and path.stat().st_size > 0:
        return connect(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _open(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {SCHEMA_VERSION}; {TABLES} COMMIT;"
        )
    except (sqlite3.OperationalError, OSError) as error:
        raise UserError(f"The database {path} cannot be made ({error}); choose a folder you may write to.") from None
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing database. Raises UserError if it is missing, not ours, or of another version."""
    if not path.is_file():
        raise UserError(f"There is no database at {path}; make it with: ds2f ingest FOLDER --database {path}")
    try:
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\x00":
                raise UserError(f"{path} is not a ds2f dataset (not an SQLite file); give another --database.")
        connection = _open(path)
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except PermissionError:
        raise UserError(f"{path} cannot be read (permission denied).") from None
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path} is damaged or cannot be opened ({error}); restore it or ingest anew.") from None
    if application != APPLICATION_ID:
        raise UserError(f"{path} is an SQLite file but not a ds2f dataset; give another --database.")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {version}, this ds2f reads version {SCHEMA_VERSION}; "
            "use the matching ds2f, or ingest and extract into a new database."
        )
    try:
        connection.execute("PRAGMA journal_mode = WAL")  # only now: a file that is not ours stays as it was
    except sqlite3.OperationalError as error:
        raise UserError(f"{path} cannot be opened ({error}).") from None
    return connection


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)  # explicit transactions only
    connection.execute("PRAGMA synchronous = NORMAL")  # kill -9 loses nothing; a power cut at most the last commits
    connection.execute("PRAGMA foreign_keys = ON")
    connection.row_factory = sqlite3.Row
    return connection
