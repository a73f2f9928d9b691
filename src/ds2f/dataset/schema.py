"""The tables of dataset.db, and how to open it safely.

    roots ─< videos ─┬─ speech, speech_audio ─< clips ─< voice_embeddings
    identities ──┘   │        └─ languages, acoustics
                     ├─ faces ─< crops, face_embeddings, face_attributes
                     └─ labels, failures

Everything refers to `video_id`: one file, one speaker, one face. A new encoder adds rows to an embeddings table and
rewrites nothing. A file's rows and its new state are written in one transaction.

WITHOUT ROWID saves an index where rows are small. Rows with vectors are not: in such a table, a row over 1,002 bytes
takes a whole page.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ds2f.dataset.migrations import MIGRATIONS, migrate
from ds2f.errors import UserError
from ds2f.voice.acoustics import FEATURES

PERSON = "coalesce(i.person_id, i.id)"
"""SQL for the identity that stands for a person, where `identities i` is one of theirs."""
LANGUAGE = (
    "coalesce((SELECT value FROM labels l WHERE l.video_id = v.id AND l.attribute = 'language'),"
    " (SELECT language FROM languages g WHERE g.video_id = v.id ORDER BY probability DESC LIMIT 1), '')"
)
"""SQL for the language spoken in `videos v`, ISO 639-1, as the corpus states it or a model hears it; '' if unknown."""
ESTIMATES = "json_group_object(attribute, json_array(value, json(distribution)))"
"""SQL for one model's rows about one face in `face_attributes`, as `queries.parse_attributes` reads them."""
CHOSEN = "(SELECT value FROM json_each(?))"
"""SQL for files whose numbers are given as a JSON array."""
DIMENSION = "length(vector) / 4"
"""SQL for how many numbers a stored vector has."""

APPLICATION_ID = 0x64733266  # "ds2f", in the header of every SQLite file of ours
BUSY_SECONDS = 30.0  # how long to wait while another process writes
SCHEMA_VERSION = 4
"""One more than in the last release, however much has changed since; dataset/migrations.py adds what files of an
earlier version lack."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE roots (
    id   INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,                -- absolute path of a folder or of a .tar
    name TEXT                                 -- shortest end of it that no other root has; NULL: not needed yet
);
CREATE UNIQUE INDEX roots_by_name ON roots (name);

CREATE TABLE identities (
    id        INTEGER PRIMARY KEY,
    corpus    TEXT NOT NULL,
    name      TEXT NOT NULL,
    split     TEXT NOT NULL CHECK (split IN ('train', 'val', 'test')),   -- the same for all identities of a person
    person_id INTEGER REFERENCES identities (id) ON DELETE SET NULL,     -- whichever represents the person; NULL: this
    UNIQUE (corpus, name)
);
CREATE INDEX identities_by_person ON identities (person_id);   -- or each that is deleted is looked for in all others

CREATE TABLE known_as (                       -- tables of people: all names in one row belong to one person
    corpus TEXT NOT NULL,
    name   TEXT NOT NULL,
    source TEXT NOT NULL,                     -- the file
    row    INTEGER NOT NULL,                  -- in it
    PRIMARY KEY (corpus, name, source, row)
) WITHOUT ROWID;
CREATE INDEX known_as_by_row ON known_as (source, row);

CREATE TABLE recipes (                        -- the settings under which speech or faces were extracted
    key      TEXT PRIMARY KEY,                -- short hash of the settings
    settings TEXT NOT NULL                    -- JSON
);

CREATE TABLE videos (                         -- one file: a video, a sound or a still picture; or a part of a sound
    id            INTEGER PRIMARY KEY AUTOINCREMENT,   -- never reused: a late result must not hit another file
    root_id       INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE,
    path          TEXT NOT NULL,              -- relative to the root, forward slashes
    kind          TEXT NOT NULL CHECK (kind IN ('video', 'sound', 'still')),
    identity_id   INTEGER NOT NULL REFERENCES identities (id),
    size          INTEGER NOT NULL,           -- bytes
    mtime_ns      INTEGER NOT NULL,
    tar_offset    INTEGER,                    -- bytes, only inside a tar
    state         TEXT NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done', 'failed')),
    speech_recipe TEXT REFERENCES recipes (key),   -- NULL: not tried yet
    face_recipe   TEXT REFERENCES recipes (key),
    duration      REAL,                       -- seconds
    width         INTEGER,                    -- pixels
    height        INTEGER,
    fps           REAL,
    part_start    REAL,                       -- seconds into the sound; NULL: all of it
    part_seconds  REAL,
    part_channel  INTEGER,                    -- counted from 1; NULL: all; see `types.Part`
    stream        INTEGER,                    -- picture stream used, FFmpeg's index; NULL: unknown
    UNIQUE (root_id, path)
);
CREATE INDEX videos_by_state ON videos (kind, state, speech_recipe, face_recipe);
CREATE INDEX videos_by_identity ON videos (identity_id, state, kind);

CREATE TABLE speech (
    video_id INTEGER PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
    start    REAL NOT NULL,                   -- seconds into the file of the first speech
    seconds  REAL NOT NULL,                   -- real speech in the part of the file that was analysed
    stream   INTEGER,                         -- sound stream used, FFmpeg's index; NULL: unknown
    channels TEXT                             -- of that stream: "1 of 2", "mean of 2"
);

CREATE TABLE speech_audio (                   -- the start of the speech, without pauses; clips are cut from it
    video_id INTEGER PRIMARY KEY REFERENCES speech (video_id) ON DELETE CASCADE,
    sound    BLOB NOT NULL                    -- 16 kHz mono: FLAC of 16 bit, or Opus in Ogg
);

CREATE TABLE clips (                          -- speech, cut or looped to one length
    video_id       INTEGER NOT NULL REFERENCES speech (video_id) ON DELETE CASCADE,
    seconds        REAL NOT NULL,             -- length of the clip
    speech_seconds REAL NOT NULL,             -- real speech in the clip
    repeats        REAL NOT NULL,             -- 1 = trimmed; 2.5 = the speech was repeated 2.5 times
    PRIMARY KEY (video_id, seconds)
) WITHOUT ROWID;

CREATE TABLE voice_embeddings (
    video_id INTEGER NOT NULL,
    seconds  REAL NOT NULL,
    encoder  TEXT NOT NULL,
    vector   BLOB NOT NULL,                   -- float32
    PRIMARY KEY (video_id, seconds, encoder),
    FOREIGN KEY (video_id, seconds) REFERENCES clips (video_id, seconds) ON DELETE CASCADE
);
CREATE INDEX voice_embeddings_by_encoder ON voice_embeddings (encoder, seconds);

CREATE TABLE languages (
    video_id    INTEGER NOT NULL REFERENCES speech (video_id) ON DELETE CASCADE,
    model       TEXT NOT NULL,
    language    TEXT NOT NULL,                -- ISO 639-1
    probability REAL NOT NULL,                -- 0..1
    PRIMARY KEY (video_id, model)
) WITHOUT ROWID;

CREATE TABLE faces (                          -- the face kept
    video_id  INTEGER PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
    time      REAL NOT NULL,                  -- seconds into the file
    x REAL NOT NULL, y REAL NOT NULL, w REAL NOT NULL, h REAL NOT NULL,   -- box, pixels
    landmarks BLOB NOT NULL,                  -- 5 x 2 float32: eyes, nose, mouth corners; pixels
    score     REAL NOT NULL,                  -- detector, 0..1
    quality   REAL NOT NULL,                  -- 0..1
    coverage  REAL NOT NULL,                  -- share of the canonical crop inside the picture, 0..1
    people    INTEGER NOT NULL                -- seen in the file; 1 = nobody else
);

CREATE TABLE crops (
    video_id INTEGER NOT NULL REFERENCES faces (video_id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('canonical', 'box')),
    webp     BLOB NOT NULL,
    PRIMARY KEY (video_id, kind)
);

CREATE TABLE face_embeddings (
    video_id INTEGER NOT NULL REFERENCES faces (video_id) ON DELETE CASCADE,
    encoder  TEXT NOT NULL,
    vector   BLOB NOT NULL,                   -- float32
    PRIMARY KEY (video_id, encoder)
);
CREATE INDEX face_embeddings_by_encoder ON face_embeddings (encoder);

CREATE TABLE face_attributes (                -- a model's estimates; what the corpus states is in labels
    video_id     INTEGER NOT NULL REFERENCES faces (video_id) ON DELETE CASCADE,
    model        TEXT NOT NULL,
    attribute    TEXT NOT NULL CHECK (attribute IN ('age', 'gender', 'ethnicity')),
    value        NOT NULL,                    -- expected age in years, or the likeliest name
    probability  REAL,                        -- of that value, 0..1; NULL for age
    distribution TEXT NOT NULL,               -- JSON: {name or decade: probability}
    PRIMARY KEY (video_id, model, attribute)
) WITHOUT ROWID;
CREATE INDEX face_attributes_by_model ON face_attributes (model, attribute);

CREATE TABLE labels (                         -- what the corpus itself states: age, gender, nationality, ...
    video_id  INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    attribute TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (video_id, attribute)
) WITHOUT ROWID;

CREATE TABLE failures (
    video_id INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    stage    TEXT NOT NULL,                   -- open, audio, speech, face, worker, or one model: voice:NAME, ...
    reason   TEXT NOT NULL,
    PRIMARY KEY (video_id, stage)
) WITHOUT ROWID;

CREATE TABLE outputs (                        -- output folders that `ds2f forget` has to clean up
    path TEXT PRIMARY KEY,                    -- absolute
    kind TEXT NOT NULL CHECK (kind IN ('faces', 'export', 'report', 'training'))
) WITHOUT ROWID;
"""


def _acoustics_table() -> str:
    """One column per feature, with its unit in the name; `voice.acoustics` explains each."""
    columns = "".join(f", {feature.name} REAL" for feature in FEATURES)
    return f"CREATE TABLE acoustics (video_id INTEGER PRIMARY KEY REFERENCES speech ON DELETE CASCADE{columns});"


def create(path: Path) -> sqlite3.Connection:
    """Open the database at `path`, creating it if it does not exist."""
    if path.exists() and path.stat().st_size > 0:
        return connect(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # If this fails, an empty file remains, which can be initialised later.
        with _opened(path) as connection, closing(connection):
            connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {SCHEMA_VERSION}; {TABLES} {_acoustics_table()}"
                f"INSERT INTO meta VALUES ('name', '{uuid.uuid4().hex}'); COMMIT;"
            )
    except (sqlite3.OperationalError, OSError) as error:
        if "already exists" in str(error):  # another process has made it in the meantime
            return connect(path)
        raise UserError(
            f"The database {path} cannot be made ({error}); make room, or choose a folder you may write to."
        ) from None
    return connect(path)


def connect(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing database. read_only: never write to its file, not even to upgrade it.

    Raises UserError if it does not exist, is not ours, has another version, or cannot be upgraded.
    """
    if path.is_dir():
        raise UserError(f"The database {path} is a folder; give a file, such as {path / 'dataset.db'}.")
    if not path.is_file():
        raise UserError(f"There is no database at {path}; make it with: ds2f ingest FOLDER --database {path}")
    try:
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\x00":
                raise UserError(f"{path} is not a ds2f dataset (not an SQLite file); give another --database.")
        with _opened(path, read_only) as connection:
            version = _version(connection, path)
            if read_only and version != SCHEMA_VERSION:
                raise UserError(
                    f"{path} has schema version {version}, and several processes may be about to upgrade it; "
                    f"upgrade it once, with: ds2f status --database {path}"
                )
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")  # now: a file that is not ours must stay unchanged
            if version != SCHEMA_VERSION:
                migrate(connection)
    except PermissionError:
        raise UserError(
            f"{path} cannot be read (permission denied); change its permissions, or give another --database."
        ) from None
    except sqlite3.IntegrityError as error:
        raise UserError(
            f"{path} cannot be upgraded to schema version {SCHEMA_VERSION} ({error}) and stays as it is; "
            "use the ds2f that made it, or ingest and extract into a new database."
        ) from None
    except sqlite3.OperationalError as error:
        raise UserError(
            f"{path} cannot be opened ({error}); SQLite must be able to write into its folder, "
            "and no other process may keep it locked."
        ) from None
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path} is damaged or cannot be opened ({error}); restore it or ingest anew.") from None
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Schema version of a dataset. Raises UserError unless it is one that we can read or upgrade."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if application != APPLICATION_ID:
        raise UserError(f"{path} is an SQLite file but not a ds2f dataset; give another --database.")
    if version != SCHEMA_VERSION and version not in MIGRATIONS:
        raise UserError(
            f"{path} has schema version {version}, this ds2f reads versions {min(MIGRATIONS)} to {SCHEMA_VERSION}; "
            "use the matching ds2f, or ingest and extract into a new database."
        )
    return version


def read_only_name(path: Path) -> str:
    """The name by which SQLite opens or attaches a database that it must not write to."""
    return f"{path.absolute().as_uri()}?mode=ro"


@contextmanager
def _opened(path: Path, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection, closed only if the block raises an error."""
    name = read_only_name(path) if read_only else str(path.absolute())  # absolute: a file called "file:x" is no URI
    # None: explicit transactions only; uri: so that others can be attached by `read_only_name`
    connection = sqlite3.connect(name, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")  # kill -9 loses nothing; a power cut at most the last commits
        connection.execute("PRAGMA foreign_keys = ON")
        connection.row_factory = sqlite3.Row
        yield connection
    except BaseException:
        connection.close()
        raise
