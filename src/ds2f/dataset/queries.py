"""All queries of other packages to the dataset, and all changes they make to it."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from ds2f.dataset import schema
from ds2f.dataset.keys import FileKey, picture_stems
from ds2f.dataset.splits import SPLITS, SplitRule
from ds2f.errors import UserError
from ds2f.types import VOICE, Attributes, CorpusItem

ATTRIBUTES = "ds2f-attributes"
FINGERPRINT = "fingerprint"  # key in meta of a dataset made from exported shards: the original's fingerprint

FILES = f"""
WITH people AS (SELECT {schema.PERSON} AS id, min(i.corpus || '/' || i.name) AS name FROM identities i GROUP BY 1)
SELECT v.path, v.size, v.state, i.split, people.name, v.speech_recipe, v.face_recipe,
    (SELECT group_concat(attribute || '=' || value) FROM
        (SELECT attribute, value FROM labels l WHERE l.video_id = v.id ORDER BY attribute))
FROM videos v JOIN identities i ON i.id = v.identity_id JOIN people ON people.id = {schema.PERSON}
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
"""
"""What a fingerprint covers, regardless of the order in which files were entered."""


@dataclass(frozen=True)
class Pair:
    """A voice and a face of one person, from one file or (see `pairing.paired`) from two. voice, identity: float32
    vectors; crop: WebP bytes; root: what the voice's file was ingested from; picture: path of its generated pictures
    without number and extension, see `keys.picture_stems`; face_id: the face's file, if it is not the voice's."""

    video_id: int
    path: str  # relative to the ingested root
    corpus: str
    person: str
    split: str
    voice: np.ndarray
    identity: np.ndarray
    crop: bytes
    root: str
    picture: str
    face_id: int | None = None

    @property
    def face_file(self) -> int:
        """Number of the file that shows the face."""
        return self.video_id if self.face_id is None else self.face_id


@dataclass(frozen=True)
class FaceRow:
    """A face for training the decoder. identity: float32 vector; crop: WebP bytes; coverage in [0, 1]; person: unique
    across all corpora; attributes: a model's estimate; landmarks: (5, 2), pixels of the file, (0, 2) if unknown."""

    video_id: int
    identity: np.ndarray
    crop: bytes
    coverage: float
    corpus: str
    person: int
    attributes: Attributes | None
    landmarks: np.ndarray


class Dataset:
    """An open dataset.db. Use it as a context manager, or call close()."""

    def __init__(self, path: Path, create: bool = False, read_only: bool = False) -> None:
        """read_only: never write to the file, not even to upgrade it from an earlier version.

        Raises UserError if the file does not exist (unless `create`), is not ours, or has a later schema version.
        """
        self.path = path
        self.connection = schema.create(path) if create else schema.connect(path, read_only)

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self, counts: bool = True) -> Iterator[None]:
        """All or nothing, even after Ctrl-C or kill -9. counts: whether it counts in `changes`."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise UserError(
                f"The database {self.path} cannot be written ({error}); change its permissions, "
                "or copy it and give --database."
            ) from None
        before = self.connection.total_changes
        try:
            yield
            if counts and self.connection.total_changes > before:
                self.connection.execute(
                    "INSERT INTO meta VALUES ('changes', '1') ON CONFLICT DO UPDATE SET value = CAST(value + 1 AS TEXT)"
                )
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:  # a full disk has already ended it
                self.connection.execute("ROLLBACK")
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A consistent, read-only view of the dataset, even while an extraction is writing."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")

    def name(self) -> str:
        """A name that no other dataset has; shards store it."""
        return str(self.connection.execute("SELECT value FROM meta WHERE key = 'name'").fetchone()[0])

    def changes(self) -> int:
        """How many transactions have changed the dataset: if it is equal at two times, the rows were the same."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = 'changes'").fetchone()
        return 0 if row is None else int(row[0])

    # ── ingest ────────────────────────────────────────────────────────────────────────────────────────────────

    def add_items(self, root: Path, kind: str, items: Iterable[CorpusItem], rule: SplitRule) -> tuple[int, int]:
        """Enter files under `root`; a changed file (size or time) becomes `new` again and loses its old rows; files of
        people who were forgotten are left out.

        rule: how identities are split; the first ingest into a database fixes it for good.
        Returns (new files, changed files); see `ingest.enter` for the details.
        """
        from ds2f.dataset.ingest import enter

        entered = enter(self, root, kind, items, rule)
        return entered.added, entered.changed

    # ── what training, generation and evaluation read ─────────────────────────────────────────────────────────

    def voice_encoder(self) -> str:
        """The default speaker encoder for measurements: types.VOICE, or else the one with the most rows."""
        row = self.connection.execute(
            "SELECT encoder FROM voice_embeddings GROUP BY encoder ORDER BY encoder = ? DESC, count(*) DESC LIMIT 1",
            (VOICE,),
        ).fetchone()
        return VOICE if row is None else str(row[0])

    def attribute_model(self) -> str:
        """The model used for age, gender and ethnicity: ours, or else the one with the most rows."""
        row = self.connection.execute(
            "SELECT model FROM face_attributes GROUP BY model ORDER BY model = ? DESC, count(*) DESC, model LIMIT 1",
            (ATTRIBUTES,),
        ).fetchone()
        return ATTRIBUTES if row is None else str(row[0])

    def clip_seconds(self, encoder: str) -> float:
        """The clip length for which most recordings have an embedding; of several, the one nearest to six seconds."""
        row = self.connection.execute(
            "SELECT seconds FROM voice_embeddings WHERE encoder = ? GROUP BY seconds"
            " ORDER BY count(*) DESC, abs(seconds - 6) LIMIT 1",
            (encoder,),
        ).fetchone()
        return 6.0 if row is None else float(row[0])

    def pairs(
        self,
        split: str | None = None,
        voice: str | None = None,
        face: str = "dlib",
        seconds: float | None = None,
    ) -> list[Pair]:
        """Recordings with both a voice and a face, in a fixed order. split: train, val, test, or None for all; voice:
        speaker encoder, None for `voice_encoder`; seconds: length of the clips behind the voices, None for
        `clip_seconds`."""
        voice = self.voice_encoder() if voice is None else voice
        rows = self.connection.execute(
            "SELECT v.id, r.path AS root, v.path, i.corpus, p.corpus || '/' || p.name AS person, i.split,"
            " ve.vector AS voice, fe.vector AS face, c.webp FROM videos v JOIN identities i ON i.id = v.identity_id"
            f" JOIN identities p ON p.id = {schema.PERSON} JOIN roots r ON r.id = v.root_id"
            " JOIN voice_embeddings ve ON ve.video_id = v.id AND ve.seconds = ? AND ve.encoder = ?"
            " JOIN face_embeddings fe ON fe.video_id = v.id AND fe.encoder = ?"
            " JOIN crops c ON c.video_id = v.id AND c.kind = 'canonical'"
            " WHERE ? IS NULL OR i.split = ? ORDER BY v.path, v.id",
            (self.clip_seconds(voice) if seconds is None else seconds, voice, face, split, split),
        )
        pictures = self.picture_stems()
        return [
            Pair(
                r["id"],
                r["path"],
                r["corpus"],
                r["person"],
                r["split"],
                to_vector(r["voice"]),
                to_vector(r["face"]),
                r["webp"],
                r["root"],
                pictures[FileKey(r["root"], r["path"])],
            )
            for r in rows
        ]

    def picture_stems(self) -> dict[FileKey, str]:
        """{recording: path of its generated pictures without number and extension}, for all splits."""
        rows = self.connection.execute(
            "SELECT r.path, v.path FROM videos v JOIN roots r ON r.id = v.root_id WHERE v.kind <> 'still'"
        )
        return picture_stems(FileKey(*row) for row in rows)

    def faces(
        self,
        split: str | None = None,
        encoder: str = "dlib",
        attributes: str | None = None,
    ) -> Iterator[FaceRow]:
        """All faces with an identity vector, from recordings and stills, in the order of ingest, with the estimates of
        the model `attributes` (None for `attribute_model`) where there are any."""
        rows = self.connection.execute(
            f"SELECT v.id, fe.vector, c.webp, f.coverage, f.landmarks, i.corpus, {schema.PERSON} AS person,"
            f" (SELECT {schema.ESTIMATES} FROM face_attributes a WHERE a.video_id = v.id AND a.model = ?)"
            " AS attributes FROM faces f JOIN videos v ON v.id = f.video_id"
            " JOIN identities i ON i.id = v.identity_id"
            " JOIN face_embeddings fe ON fe.video_id = v.id AND fe.encoder = ?"
            " JOIN crops c ON c.video_id = v.id AND c.kind = 'canonical'"
            " WHERE ? IS NULL OR i.split = ? ORDER BY v.id",
            (attributes or self.attribute_model(), encoder, split, split),
        )
        for r in rows:
            yield FaceRow(
                r["id"],
                to_vector(r["vector"]),
                r["webp"],
                r["coverage"],
                r["corpus"],
                r["person"],
                parse_attributes(r["attributes"]),
                to_vector(r["landmarks"]).reshape(-1, 2),
            )

    def labelled_faces(self, split: str, encoder: str = "dlib") -> Iterator[tuple[np.ndarray, dict[str, str]]]:
        """(identity vector, {attribute: value}) for the faces whose corpus states age, gender or ethnicity."""
        rows = self.connection.execute(
            "SELECT fe.vector, json_group_object(l.attribute, l.value) AS labels FROM labels l"
            " JOIN videos v ON v.id = l.video_id JOIN identities i ON i.id = v.identity_id AND i.split = ?"
            " JOIN face_embeddings fe ON fe.video_id = v.id AND fe.encoder = ?"
            " WHERE l.attribute IN ('age', 'gender', 'ethnicity') GROUP BY v.id ORDER BY v.id",
            (split, encoder),
        )
        for r in rows:
            yield to_vector(r["vector"]), json.loads(r["labels"])

    # ── status ────────────────────────────────────────────────────────────────────────────────────────────────

    def counts(self) -> dict[str, dict[str, int]]:
        """{kind: {state: files}}, for kinds video, sound and still and states new, done, failed."""
        result = {kind: dict.fromkeys(("new", "done", "failed"), 0) for kind in ("video", "sound", "still")}
        for row in self.connection.execute("SELECT kind, state, count(*) FROM videos GROUP BY kind, state"):
            result[row[0]][row[1]] = row[2]
        return result

    def corpora(self) -> Sequence[tuple[str, int, int]]:
        """(corpus, identities, files) for every corpus."""
        return [
            tuple(r)
            for r in self.connection.execute(
                "SELECT i.corpus, count(DISTINCT i.id), count(v.id) FROM identities i"
                " JOIN videos v ON v.identity_id = i.id GROUP BY i.corpus ORDER BY i.corpus"
            )
        ]

    def splits(self) -> dict[str, tuple[int, int]]:
        """{split: (people, files with a usable voice and face)}."""
        people = self.connection.execute(
            f"SELECT i.split, count(DISTINCT {schema.PERSON}) FROM identities i WHERE EXISTS"
            " (SELECT 1 FROM videos v WHERE v.identity_id = i.id) GROUP BY i.split"
        ).fetchall()
        pairs = self.connection.execute(
            "SELECT i.split, count(*) FROM faces f JOIN speech s ON s.video_id = f.video_id"
            " JOIN videos v ON v.id = f.video_id JOIN identities i ON i.id = v.identity_id GROUP BY i.split"
        ).fetchall()
        return {split: (dict(people).get(split, 0), dict(pairs).get(split, 0)) for split in SPLITS}

    def failure_counts(self) -> Sequence[tuple[str, str, int]]:
        """(stage, reason, files), most frequent first; reasons that differ only in their first number count as one;
        digits within a name, as in MP3, are not numbers."""
        counts = Counter(
            (row[0], re.sub(r"(?<![\w.])\d+(\.\d+)?", "…", row[1], count=1))
            for row in self.connection.execute("SELECT stage, reason FROM failures")
        )
        return [(stage, reason, count) for (stage, reason), count in counts.most_common()]

    def failures(self, video_id: int) -> dict[str, str]:
        """{stage: reason} of one file, empty if nothing failed."""
        return dict(self.connection.execute("SELECT stage, reason FROM failures WHERE video_id = ?", (video_id,)))

    def models(self) -> Sequence[tuple[str, str, int]]:
        """(table, model, rows) for every model that has rows: what the dataset holds besides files."""
        found = []
        for table, name in (
            ("voice_embeddings", "encoder || ', ' || seconds || ' s'"),
            ("face_embeddings", "encoder"),
            ("face_attributes", "model"),
            ("languages", "model"),
        ):
            rows = self.connection.execute(
                f"SELECT {name}, count(DISTINCT video_id) FROM {table} GROUP BY 1 ORDER BY 1"
            )
            found += [(table, r[0], r[1]) for r in rows]
        return found

    def fingerprint(self) -> str:
        """Short hash over all files: who they show, their split, how they were extracted, and what the corpus states
        about them. Two reports with the same fingerprint are about the same data, whichever models have been run on it
        since."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (FINGERPRINT,)).fetchone()
        if row is not None:
            return str(row[0])
        digest = hashlib.sha256()
        for row in self.connection.execute(FILES):
            digest.update(json.dumps(tuple(row)).encode())
        return digest.hexdigest()[:12]


def parse_attributes(text: str | None) -> Attributes | None:
    found = json.loads(text or "{}")
    if not found:
        return None
    age, bins = found.get("age", (math.nan, {}))
    stated = {name: found.get(name, (None, {}))[1] for name in ("gender", "ethnicity")}
    return Attributes(age, bins, **stated)


def to_blob(vector: np.ndarray) -> bytes:
    """A vector as stored in the database: float32."""
    return np.ascontiguousarray(vector, np.float32).tobytes()


def to_vector(blob: bytes) -> np.ndarray:
    """Inverse of `to_blob`."""
    return np.frombuffer(blob, np.float32)
