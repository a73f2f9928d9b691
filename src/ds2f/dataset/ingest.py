"""Enters files into the dataset: new and changed ones, and those about which more is known than before.

Files are collected in a temporary table as they are found, then entered by a few statements: millions take seconds, and
memory does not grow with their number.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ds2f.corpora.base import Place
from ds2f.corpora.metadata import SideFiles
from ds2f.corpora.tables import PeopleTable
from ds2f.dataset.forgotten import ForgottenNames
from ds2f.dataset.joining import Joined, join, keep_tables, refuse_contradictions
from ds2f.dataset.schema import PERSON
from ds2f.dataset.splits import SplitRule
from ds2f.types import CorpusItem, Part

if TYPE_CHECKING:
    from ds2f.dataset.queries import Dataset  # which itself uses this module

_SEEN = """
CREATE TEMP TABLE seen (
    path TEXT, corpus TEXT, name TEXT, size INTEGER, mtime_ns INTEGER, tar_offset INTEGER, labels TEXT, kind TEXT,
    part_start REAL, part_seconds REAL, part_channel INTEGER
)
"""
WHOLE = Part()
PERSON_IN = "person/"  # followed by a root: in `meta`, who is in its files of no known layout
SIDE_FILES_OF = "side files/"  # followed by a root: in `meta`, a JSON list of the names of all read there so far
_SAME_FILE = "videos v ON v.root_id = :root AND v.path = s.path"
_CLIPS_OF_VIDEOS = (
    "SELECT i.name || '/' || clip(v.path) FROM identities i JOIN videos v ON v.identity_id = i.id"
    " WHERE i.corpus = 'voxceleb' AND v.kind = 'video'"
)
_HEARD = (  # clips whose videos have sound, as far as is known
    f"{_CLIPS_OF_VIDEOS} AND NOT EXISTS"
    " (SELECT 1 FROM failures f WHERE f.video_id = v.id AND f.stage IN ('open', 'audio'))"
)
_SPOKEN = f"{_CLIPS_OF_VIDEOS} AND EXISTS (SELECT 1 FROM speech e WHERE e.video_id = v.id)"


@dataclass(frozen=True)
class Entered:
    """files: found, including `forgotten`; added: new files; changed: files ingested before with another size or time;
    renamed: files that now belong to another person or have other labels; doubled: sounds whose video is also there;
    elsewhere: files already entered by an ingest of a folder above or below; forgotten: files of people who were
    forgotten; joined: people of several corpora; replaced: tables of people whose files are gone, dropped for a later
    version of them; kept: files that keep a person or labels that only a side file can state, which is now missing;
    taken: {(corpus, kind): (files, people)} of those that were not left out; unseen: files of these kinds, not
    parts of them, that an earlier ingest of the folder entered and this one did not find."""

    files: int
    added: int
    changed: int
    renamed: int
    doubled: int
    elsewhere: int
    forgotten: int
    joined: Joined
    replaced: tuple[str, ...] = ()
    kept: int = 0
    taken: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    unseen: int = 0


def enter(
    dataset: Dataset,
    root: Path,
    kind: str,
    items: Iterable[CorpusItem],
    rule: SplitRule,
    tables: Iterable[PeopleTable] = (),
    side: SideFiles | None = None,
    person: str | None = None,
) -> Entered:
    """Enter files under `root`. A changed file (size or time) becomes `new` again and loses its old rows; files of
    people who were forgotten are left out.

    dataset: to enter them into.
    root: folder or tar, absolute; the items' paths are relative to it.
    kind: "video", "sound" or "still", for items that do not state theirs.
    items: the files, as found by a scan.
    rule: how identities are split; the first ingest into a database fixes it for good.
    tables: state which identities in several corpora are one person.
    side: side files that the scan of `root` read, complete once `items` is exhausted.
    person: what the user chose for files of no known layout, for `chosen_person` to return; None: nothing.
    Raises UserError, and enters nothing, if `tables` contradict each other or those given before.
    """
    sql = dataset.connection
    scopes = _Scopes(sql)
    sql.execute("DROP TABLE IF EXISTS temp.seen")
    sql.execute(_SEEN)
    gone = ForgottenNames(sql)
    forgotten: list[str] = []
    sql.execute("BEGIN")
    try:
        rows = _rows(items, kind, scopes, gone, forgotten)
        sql.executemany("INSERT INTO temp.seen VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    finally:
        sql.execute("COMMIT")
    with dataset.transaction():
        _drop_forgotten(sql, gone, forgotten)
        rule = _split_rule(sql, rule)
        scopes.store()
        sql.execute("INSERT OR IGNORE INTO roots (path) VALUES (?)", (str(root),))
        root_id: int = sql.execute("SELECT id FROM roots WHERE path = ?", (str(root),)).fetchone()[0]
        if person:
            _remember(sql, f"{PERSON_IN}{root}", person)
        elsewhere, moved = _drop_elsewhere(sql, root, root_id)
        kept = _keep_known(sql, root_id, _side_file_is_missing(sql, root, side.understood if side else set()))
        unseen = sql.execute(
            "SELECT count(*) FROM (SELECT path FROM videos WHERE root_id = ? AND kind IN (SELECT kind FROM temp.seen)"
            " AND coalesce(part_start, part_seconds, part_channel) IS NULL EXCEPT SELECT path FROM temp.seen)",
            (root_id,),
        ).fetchone()[0]
        doubled = _drop_doubled(sql)
        count = "SELECT corpus, kind, count(*), count(DISTINCT name) FROM temp.seen GROUP BY 1, 2 ORDER BY 1, 2"
        taken = {(corpus, kind): (files, people) for corpus, kind, files, people in sql.execute(count)}
        files = sum(count for count, _ in taken.values())
        known = sql.execute("SELECT coalesce(max(id), 0) FROM identities").fetchone()[0]
        _enter_identities(sql, rule)
        changed = _drop_changed(sql, root_id) + moved
        renamed = _rename(sql, root_id)
        added = _add(sql, root_id) - changed
        doubled += _drop_sounds_of_videos(sql)
        beside = [_with_folders(sql, table, scopes.name(str(root))) for table in (side.tables if side else ())]
        tables = list(tables)
        replaced = keep_tables(sql, [*tables, *beside])
        refuse_contradictions(sql, tables)
        joined = join(sql, known)
    sql.execute("DROP TABLE temp.seen")
    return Entered(
        files + len(forgotten),
        added,
        changed,
        renamed,
        doubled,
        elsewhere,
        len(forgotten),
        joined,
        replaced,
        kept,
        taken,
        unseen,
    )


def root_names(dataset: Dataset) -> set[str]:
    """What tables of people call the ingested folders: the shortest end of each path that no other folder shares."""
    return {row[0] for row in dataset.connection.execute("SELECT name FROM roots WHERE name IS NOT NULL")}


def chosen_person(dataset: Dataset, root: Path) -> str | None:
    """Who is in files of no known layout, as an earlier ingest of this root was told, or None. root: absolute."""
    row = dataset.connection.execute("SELECT value FROM meta WHERE key = ?", (f"{PERSON_IN}{root}",)).fetchone()
    return row and str(row[0])


def people_by_kind(dataset: Dataset) -> dict[str, int]:
    """{"both": people with voice files and face files, "voice": with voice files only, "face": with face files only},
    as ingested, regardless of what extraction makes of them."""
    voice, face = "max(v.kind <> 'still')", "max(v.kind <> 'sound')"
    row = dataset.connection.execute(
        "SELECT sum(voice AND face), sum(voice AND NOT face), sum(face AND NOT voice) FROM (SELECT max(voice) AS voice,"
        f" max(face) AS face FROM (SELECT v.identity_id, {voice} AS voice, {face} AS face FROM videos v"
        f" GROUP BY v.identity_id) k JOIN identities i ON i.id = k.identity_id GROUP BY {PERSON})"
    ).fetchone()
    return dict(zip(("both", "voice", "face"), (n or 0 for n in row), strict=True))


def _remember(sql: sqlite3.Connection, key: str, value: str) -> None:
    sql.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
        (key, value),
    )


def _drop_forgotten(sql: sqlite3.Connection, gone: ForgottenNames, paths: list[str]) -> None:
    """Leave out people who were forgotten during the scan, which can take minutes. gone: people who had been forgotten
    before it; paths: the files left out are appended to it."""
    if (now := ForgottenNames(sql)) == gone:
        return
    for who in sql.execute("SELECT DISTINCT corpus, name FROM temp.seen").fetchall():
        if tuple(who) in now:
            paths += [r[0] for r in sql.execute("SELECT path FROM temp.seen WHERE corpus = ? AND name = ?", tuple(who))]
            sql.execute("DELETE FROM temp.seen WHERE corpus = ? AND name = ?", tuple(who))


def _rows(
    items: Iterable[CorpusItem], kind: str, scopes: _Scopes, gone: ForgottenNames, forgotten: list[str]
) -> Iterator[tuple[object, ...]]:
    for item in items:
        name = f"{scopes.name(item.scope)}/{item.identity}" if item.scope else item.identity
        if (item.corpus, name) in gone:
            forgotten.append(item.path)
            continue
        labels = _labels(item.labels) if item.labels else None
        facts = (item.size, item.mtime_ns, item.offset, labels, item.kind or kind)
        part = item.part or WHOLE
        yield item.path, item.corpus, name, *facts, part.start, part.seconds, part.channel


@cache
def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    """Serialised exactly as SQLite does, so that unchanged labels can be recognised."""
    return json.dumps(dict(sorted(labels)), ensure_ascii=False, separators=(",", ":"))


class _Scopes:
    """Names for the folders within which an identity is unique: the shortest end of each path that no other folder
    shares, and that is not the start of another's name: b/y/z would be y/z in b, and z in b/y."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql
        self._names: dict[str, str] = {}
        for path, name in sql.execute("SELECT path, name FROM roots ORDER BY name IS NULL, id"):
            self._names[path] = name or self._new(path)

    def name(self, path: str) -> str:
        if path not in self._names:
            self._names[path] = self._new(path)
        return self._names[path]

    def store(self) -> None:
        self._sql.executemany(
            "INSERT INTO roots (path, name) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET name = excluded.name",
            list(self._names.items()),
        )

    def _new(self, path: str) -> str:
        parts = [part.strip("/\\") or "root" for part in PurePath(path.removesuffix(".tar")).parts]
        taken = set(self._names.values())
        names = ("/".join(parts[-n:]) for n in range(1, len(parts) + 1))
        return next((name for name in names if not any(_begin_alike(name, other) for other in taken)), path)


def _begin_alike(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _split_rule(sql: sqlite3.Connection, wanted: SplitRule) -> SplitRule:
    sql.execute("INSERT OR IGNORE INTO meta VALUES ('split', ?)", (json.dumps(asdict(wanted)),))
    return SplitRule(**json.loads(sql.execute("SELECT value FROM meta WHERE key = 'split'").fetchone()[0]))


def _enter_identities(sql: sqlite3.Connection, rule: SplitRule) -> None:
    new = sql.execute(
        "SELECT s.corpus, s.name FROM temp.seen s WHERE NOT EXISTS (SELECT 1 FROM identities i"
        " WHERE i.corpus = s.corpus AND i.name = s.name) GROUP BY s.corpus, s.name ORDER BY min(s.rowid)"
    ).fetchall()
    sql.executemany(
        "INSERT INTO identities (corpus, name, split) VALUES (?, ?, ?)", ((c, n, rule.of(c, n)) for c, n in new)
    )


def _side_file_is_missing(sql: sqlite3.Connection, root: Path, read: set[str]) -> bool:
    """Whether a side file that was read with this root before has not been read now; True if nothing is recorded, as by
    earlier versions. Records those read now."""
    key = f"{SIDE_FILES_OF}{root}"
    row = sql.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    before = set(json.loads(row[0])) if row else set()
    _remember(sql, key, json.dumps(sorted(before | read)))
    return row is None or not before <= read


def _keep_known(sql: sqlite3.Connection, root: int, labels_too: bool) -> int:
    """Let files keep what only a side file can state, if it is missing or cannot be read this time: a person, instead
    of the file's own name, and labels. Returns the number of files. labels_too: a side file is missing."""
    sql.create_function("stem", 1, lambda path: Place.of(path).stem, deterministic=True)
    named = (  # CROSS: SQLite would go through everybody in the corpus for each file
        f"SELECT s.rowid AS seen, i.name AS name FROM temp.seen s JOIN {_SAME_FILE} CROSS JOIN identities i"
        " ON i.id = v.identity_id WHERE i.corpus = s.corpus AND i.name <> s.name AND s.name = stem(s.path)"
    )
    sql.execute("CREATE TEMP TABLE kept AS " + named, {"root": root})
    sql.execute("UPDATE temp.seen AS s SET name = k.name FROM temp.kept k WHERE k.seen = s.rowid")
    if labels_too:
        left = (
            "SELECT l.attribute, l.value FROM labels l WHERE l.video_id = v.id AND l.attribute NOT IN"
            " (SELECT key FROM json_each(coalesce(s.labels, '{}')))"
        )
        stated = "SELECT key AS attribute, value FROM json_each(coalesce(s.labels, '{}'))"
        labelled = (
            "SELECT s.rowid AS seen, (SELECT json_group_object(attribute, value) FROM"
            f" ({stated} UNION ALL {left} ORDER BY 1)) AS labels FROM temp.seen s JOIN {_SAME_FILE}"
            f" WHERE EXISTS ({left})"
        )
        sql.execute("CREATE TEMP TABLE labelled AS " + labelled, {"root": root})
        sql.execute("UPDATE temp.seen AS s SET labels = k.labels FROM temp.labelled k WHERE k.seen = s.rowid")
        sql.execute("INSERT INTO temp.kept SELECT seen, NULL FROM temp.labelled")
        sql.execute("DROP TABLE temp.labelled")
    count: int = sql.execute("SELECT count(DISTINCT seen) FROM temp.kept").fetchone()[0]
    sql.execute("DROP TABLE temp.kept")
    return count


def _drop_changed(sql: sqlite3.Connection, root: int) -> int:
    return sql.execute(
        f"DELETE FROM videos WHERE id IN (SELECT v.id FROM temp.seen s JOIN {_SAME_FILE}"
        " WHERE (v.size, v.mtime_ns, v.kind) <> (s.size, s.mtime_ns, s.kind) OR v.tar_offset IS NOT s.tar_offset)",
        {"root": root},
    ).rowcount


def _rename(sql: sqlite3.Connection, root: int) -> int:
    """Update files that are now known to belong to somebody else, or about which more is known than at the last ingest:
    side files are added and corrected later."""
    of_others = (
        f"SELECT v.id, i.id AS identity FROM temp.seen s JOIN {_SAME_FILE} JOIN identities i ON i.corpus = s.corpus"
        " AND i.name = s.name WHERE v.identity_id <> i.id"
    )
    relabelled = (
        f"SELECT v.id FROM temp.seen s JOIN {_SAME_FILE} WHERE coalesce(s.labels, '{{}}') <>"
        " (SELECT json_group_object(attribute, value) FROM labels l WHERE l.video_id = v.id)"
    )
    sql.execute("CREATE TEMP TABLE of_others AS " + of_others, {"root": root})
    sql.execute("CREATE TEMP TABLE relabelled AS " + relabelled, {"root": root})
    left = [r[0] for r in sql.execute("SELECT DISTINCT identity_id FROM videos WHERE id IN (SELECT id FROM of_others)")]
    sql.execute("UPDATE videos AS v SET identity_id = o.identity FROM temp.of_others o WHERE o.id = v.id")
    sql.executemany(
        "DELETE FROM identities WHERE id = ? AND NOT EXISTS (SELECT 1 FROM videos WHERE identity_id = identities.id)",
        [(identity,) for identity in left],
    )
    sql.execute("DELETE FROM labels WHERE video_id IN (SELECT id FROM temp.relabelled)")
    _label(sql, root, "v.id IN (SELECT id FROM temp.relabelled)")
    count = sql.execute("SELECT count(*) FROM (SELECT id FROM temp.of_others UNION SELECT id FROM temp.relabelled)")
    renamed: int = count.fetchone()[0]
    sql.execute("DROP TABLE temp.of_others")
    sql.execute("DROP TABLE temp.relabelled")
    return renamed


def _add(sql: sqlite3.Connection, root: int) -> int:
    last = sql.execute("SELECT coalesce(max(id), 0) FROM videos").fetchone()[0]
    added = sql.execute(
        "INSERT INTO videos (root_id, path, kind, identity_id, size, mtime_ns, tar_offset, part_start, part_seconds,"
        " part_channel) SELECT :root, s.path, s.kind, i.id, s.size, s.mtime_ns, s.tar_offset, s.part_start,"
        " s.part_seconds, s.part_channel FROM temp.seen s JOIN identities i ON i.corpus = s.corpus AND i.name = s.name"
        " WHERE NOT EXISTS (SELECT 1 FROM videos v WHERE v.root_id = :root AND v.path = s.path) ORDER BY s.rowid",
        {"root": root},
    ).rowcount
    _label(sql, root, f"v.id > {last}")
    return added


def _label(sql: sqlite3.Connection, root: int, chosen: str) -> None:
    sql.execute(
        f"INSERT INTO labels SELECT v.id, j.key, j.value FROM temp.seen s JOIN {_SAME_FILE} AND {chosen},"
        " json_each(s.labels) j WHERE s.labels IS NOT NULL",
        {"root": root},
    )


def _drop_elsewhere(sql: sqlite3.Connection, root: Path, root_id: int) -> tuple[int, int]:
    """Enter a file only once, even if it lies in two ingested folders, one inside the other: as two files it would
    count as two people where the corpus does not name them, possibly in two splits. Returns how many were left out, and
    how many have changed since the other folder was ingested and are therefore entered again."""
    dropped = changed = 0
    for other_id, path in sql.execute("SELECT id, path FROM roots WHERE id <> ?", (root_id,)).fetchall():
        if root.is_relative_to(path):
            between = f"{root.relative_to(path).as_posix()}/"
            same = "v.path = :between || s.path"
        elif Path(path).is_relative_to(root):
            between = f"{Path(path).relative_to(root).as_posix()}/"
            same = "v.path = substr(s.path, length(:between) + 1) AND substr(s.path, 1, length(:between)) = :between"
        else:
            continue
        places = {"other": other_id, "root": root_id, "between": between}
        there = f"FROM videos v WHERE v.root_id = :other AND {same}"
        dropped += sql.execute(
            "DELETE FROM temp.seen AS s WHERE EXISTS"
            f" (SELECT 1 {there} AND (v.size, v.mtime_ns) = (s.size, s.mtime_ns))"
            " AND NOT EXISTS (SELECT 1 FROM videos v WHERE v.root_id = :root AND v.path = s.path)",
            places,
        ).rowcount
        changed += sql.execute(
            "DELETE FROM videos WHERE id IN (SELECT v.id FROM temp.seen s JOIN videos v ON v.root_id = :other"
            f" AND {same} WHERE (v.size, v.mtime_ns) <> (s.size, s.mtime_ns))",
            places,
        ).rowcount
    return dropped, changed


def _drop_doubled(sql: sqlite3.Connection) -> int:
    """VoxCeleb2 is published as sound and as video: the sound of a clip is not entered if its video is there and has
    sound."""
    sql.create_function("clip", 1, _clip, deterministic=True)
    if not _both(sql, "video", "sound"):
        return 0
    return sql.execute(
        "DELETE FROM temp.seen WHERE kind = 'sound' AND corpus = 'voxceleb'"
        f" AND name || '/' || clip(path) IN ({_HEARD})"
    ).rowcount


def _drop_sounds_of_videos(sql: sqlite3.Connection) -> int:
    """The same for videos that are added later. A sound with speech stays until its video has speech, too: nothing
    extracted is lost to a video that may turn out to have no sound."""
    if not _both(sql, "sound", "video"):
        return 0
    return sql.execute(
        "DELETE FROM videos WHERE kind = 'sound' AND id IN (SELECT v.id FROM identities i JOIN videos v ON"
        " v.identity_id = i.id WHERE i.corpus = 'voxceleb' AND v.kind = 'sound'"
        f" AND i.name || '/' || clip(v.path) IN ({_HEARD})"
        " AND (NOT EXISTS (SELECT 1 FROM speech e WHERE e.video_id = v.id)"
        f" OR i.name || '/' || clip(v.path) IN ({_SPOKEN})))"
    ).rowcount


def _both(sql: sqlite3.Connection, stored: str, seen: str) -> bool:
    row = sql.execute(
        "SELECT EXISTS (SELECT 1 FROM temp.seen WHERE kind = ?) AND EXISTS (SELECT 1 FROM identities i"
        " JOIN videos v ON v.identity_id = i.id WHERE i.corpus = 'voxceleb' AND v.kind = ?)",
        (seen, stored),
    ).fetchone()
    return bool(row[0])


def _clip(path: str) -> str:
    """YTID/NNNNN for PERSON/YTID/NNNNN.m4a."""
    return "/".join(path.rsplit(".", 1)[0].rsplit("/", 2)[-2:])


def _with_folders(sql: sqlite3.Connection, table: PeopleTable, root: str) -> PeopleTable:
    """A corpus's own table also applies to folders in the ingested root whose names are the names that it gives to
    people."""
    start = f"{root}/"
    query = "SELECT name FROM identities WHERE corpus = 'folder' AND substr(name, 1, ?) = ?"
    there = {row[0].removeprefix(start) for row in sql.execute(query, (len(start), start))}
    if not there:
        return table
    rows = [
        (*row, *(("folder", start + name) for corpus, name in row if corpus == "vggface" and name in there))
        for row in table.rows
    ]
    return PeopleTable(table.source, rows)
