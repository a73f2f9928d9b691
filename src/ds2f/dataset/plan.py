"""What the dataset still lacks: a plan of what every file must have, and jobs for the files that lack some of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.dataset.keys import file_in
from ds2f.dataset.queries import Dataset, to_vector
from ds2f.errors import UserError
from ds2f.types import DLIB, DetectedFace, Part, Source, StoredSpeech


@dataclass(frozen=True)
class Needs:
    """What to compute for one file. voices: (clip seconds, encoder); the other tuples are names of models.

    speech, face: extract it again from the file; everything else can be computed from what is stored.
    """

    speech: bool = False
    face: bool = False
    voices: tuple[tuple[float, str], ...] = ()
    identities: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    acoustics: bool = False

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages at which such a job can fail; new failures there replace old ones."""
        stages = ["open", "worker"]
        stages += ["audio", "speech"] if self.speech else []
        stages += ["face"] if self.face else []
        stages += [f"voice:{encoder}" for _, encoder in self.voices]
        stages += [f"identity:{encoder}" for encoder in self.identities]
        stages += [f"attributes:{model}" for model in self.attributes]
        stages += [f"language:{model}" for model in self.languages]
        return (*stages, "acoustics") if self.acoustics else tuple(stages)


@dataclass(frozen=True)
class Plan:
    """What every file must have. speech, face: the settings behind them, as JSON; different text means extracting
    again; weights: (stage of a model, hash of its weights), for models whose weights are files."""

    speech: str
    face: str
    voices: tuple[tuple[float, str], ...]
    identities: tuple[str, ...] = ()  # besides dlib
    attributes: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    acoustics: bool = False
    weights: tuple[tuple[str, str], ...] = ()

    @property
    def everything(self) -> Needs:
        """What a file needs that has nothing yet."""
        models = self.identities, self.attributes, self.languages
        return Needs(True, True, self.voices, *models, self.acoustics)

    @property
    def speech_key(self) -> str:
        return recipe_key(self.speech)

    @property
    def face_key(self) -> str:
        return recipe_key(self.face)


@dataclass(frozen=True)
class Stored:
    """What earlier runs have stored for a file and this one builds on. face: without the pixels of its crop."""

    speech: StoredSpeech | None = None
    found: DetectedFace | None = None
    time: float = 0.0
    identity: np.ndarray | None = None


@dataclass(frozen=True)
class Job:
    """One file to extract from. shown: its path as shown in messages; size, mtime_ns: as they were when it was
    ingested."""

    video_id: int
    source: Source
    kind: str  # video, sound or still
    shown: str
    needs: Needs
    stored: Stored = Stored()
    size: int = 0  # bytes
    mtime_ns: int = 0  # of the file, or of the tar that holds it
    part: Part = Part()


@dataclass(frozen=True)
class Shard:
    """One of several independent runs that share the work: `index` from 1 to `count`."""

    index: int = 1
    count: int = 1


def parse_shard(text: str) -> Shard:
    """ "2/8" is the second of eight shards. Raises UserError for anything else."""
    try:
        index, count = (int(part) for part in text.split("/"))
    except ValueError:
        raise UserError(f"--shard takes INDEX/COUNT, such as 2/8, not {text!r}.") from None
    if not 1 <= index <= count:
        raise UserError(f"--shard {text}: the index runs from 1 to {count}.")
    return Shard(index, count)


def recipe_key(settings: str) -> str:
    """Short name for the settings behind a part."""
    return hashlib.sha256(settings.encode()).hexdigest()[:12]


def waiting(dataset: Dataset, plan: Plan, shard: Shard = Shard(), outdated: Collection[str] = ()) -> list[int]:
    """Ids of the files that lack something in the plan, in the order of ingest.

    Neither a model that failed on a file nor a file that killed its worker is tried again; see `retry`.

    dataset: to look into; it is only read.
    plan: what every file must have.
    shard: the part of the files to look at.
    outdated: stages of models whose rows and failures count as missing, see `weights.outdated`.
    """
    sql = dataset.connection
    ids = {
        row[0]
        for row in sql.execute(
            "SELECT id FROM videos WHERE (kind <> 'sound' AND face_recipe IS NOT ?)"
            " OR (kind <> 'still' AND speech_recipe IS NOT ?)",
            (plan.face_key, plan.speech_key),
        )
    }
    for query, stage, values in _missing_models(plan):
        if stage in outdated:
            stage, values = None, (None,) * len(values)  # NULL equals nothing, so no row and no failure is found
        ids |= {
            row[0]
            for row in sql.execute(
                f"{query} AND NOT EXISTS (SELECT 1 FROM failures f WHERE f.video_id = p.video_id"
                " AND f.stage IN ('worker', 'open', ?))",
                (*values, stage),
            )
        }
    return sorted(i for i in ids if i % shard.count == shard.index % shard.count)


def _missing_models(plan: Plan) -> list[tuple[str, str | None, tuple[Any, ...]]]:
    """For each model: (query for the files that lack its rows, stage at which it may have failed, parameters)."""
    missing: list[tuple[str, str | None, tuple[Any, ...]]] = []
    lacks = "SELECT p.video_id FROM {part} p WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t.video_id = p.video_id"
    for seconds, encoder in plan.voices:
        query = lacks.format(part="speech", table="voice_embeddings") + " AND t.seconds = ? AND t.encoder = ?)"
        missing.append((query, f"voice:{encoder}", (seconds, encoder)))
    for encoder in plan.identities:
        query = lacks.format(part="faces", table="face_embeddings") + " AND t.encoder = ?)"
        missing.append((query, f"identity:{encoder}", (encoder,)))
    for model in plan.attributes:
        query = lacks.format(part="faces", table="face_attributes") + " AND t.model = ?)"
        missing.append((query, f"attributes:{model}", (model,)))
    for model in plan.languages:
        query = lacks.format(part="speech", table="languages") + " AND t.model = ?)"
        missing.append((query, f"language:{model}", (model,)))
    if plan.acoustics:
        missing.append((lacks.format(part="speech", table="acoustics") + ")", "acoustics", ()))
    return missing


def job(dataset: Dataset, video_id: int, plan: Plan) -> Job | None:
    """What one waiting file needs, with what is already stored for it; None if it has since been forgotten or
    changed."""
    sql = dataset.connection
    row = sql.execute(
        "SELECT v.*, r.path AS root FROM videos v JOIN roots r ON r.id = v.root_id WHERE v.id = ?", (video_id,)
    ).fetchone()
    if row is None:
        return None
    root = Path(row["root"])
    inside = row["tar_offset"] is not None
    part = Part(row["part_start"], row["part_seconds"], row["part_channel"])
    source = Source(root, row["tar_offset"], row["size"]) if inside else Source(root / file_in(row))
    failed = {r[0] for r in sql.execute("SELECT stage FROM failures WHERE video_id = ?", (video_id,))}
    needs = _needs(dataset, row, plan, failed)
    return Job(
        video_id,
        source,
        row["kind"],
        f"{root}/{row['path']}",
        needs,
        _stored(dataset, video_id, needs),
        row["size"],
        row["mtime_ns"],
        part,
    )


def _needs(dataset: Dataset, row: Any, plan: Plan, failed: set[str]) -> Needs:
    sql, video_id = dataset.connection, (row["id"],)

    def has(query: str) -> set[Any]:
        found = sql.execute(query, video_id).fetchall()
        return {tuple(r) if len(r) > 1 else r[0] for r in found}

    speech = row["kind"] != "still" and row["speech_recipe"] != plan.speech_key
    face = row["kind"] != "sound" and row["face_recipe"] != plan.face_key
    spoken = speech or bool(has("SELECT video_id FROM speech WHERE video_id = ?"))
    faced = face or bool(has("SELECT video_id FROM faces WHERE video_id = ?"))
    voices = set() if speech else has("SELECT seconds, encoder FROM voice_embeddings WHERE video_id = ?")
    languages = set() if speech else has("SELECT model FROM languages WHERE video_id = ?")
    identities = set() if face else has("SELECT encoder FROM face_embeddings WHERE video_id = ?")
    attributes = set() if face else has("SELECT model FROM face_attributes WHERE video_id = ?")
    acoustics = not speech and plan.acoustics and bool(has("SELECT video_id FROM acoustics WHERE video_id = ?"))

    def wanted(names: tuple[str, ...], stage: str, anew: bool, there: set[Any], possible: bool) -> tuple[str, ...]:
        return tuple(n for n in names if possible and n not in there and (anew or f"{stage}:{n}" not in failed))

    return Needs(
        speech=speech,
        face=face,
        voices=tuple(
            v for v in plan.voices if spoken and v not in voices and (speech or f"voice:{v[1]}" not in failed)
        ),
        identities=wanted(plan.identities, "identity", face, identities, faced),
        attributes=wanted(plan.attributes, "attributes", face, attributes, faced),
        languages=wanted(plan.languages, "language", speech, languages, spoken),
        acoustics=plan.acoustics and spoken and not acoustics and (speech or "acoustics" not in failed),
    )


def _stored(dataset: Dataset, video_id: int, needs: Needs) -> Stored:
    sql = dataset.connection
    speech = found = identity = None
    time = 0.0
    if not needs.speech and (needs.voices or needs.languages or needs.acoustics):
        row = sql.execute(
            "SELECT start, seconds, sound FROM speech JOIN speech_audio USING (video_id) WHERE video_id = ?",
            (video_id,),
        ).fetchone()
        speech = StoredSpeech(row["sound"], row["start"], row["seconds"])
    if not needs.face and (needs.identities or needs.attributes):
        row = sql.execute(
            "SELECT f.*, e.vector FROM faces f JOIN face_embeddings e USING (video_id)"
            " WHERE f.video_id = ? AND e.encoder = ?",
            (video_id, DLIB),
        ).fetchone()
        box = (round(row["x"]), round(row["y"]), round(row["w"]), round(row["h"]))
        points = np.frombuffer(row["landmarks"], np.float32).reshape(5, 2)
        found, time, identity = DetectedFace(box, points, row["score"]), row["time"], to_vector(row["vector"])
    return Stored(speech, found, time, identity)


def retry(dataset: Dataset, plan: Plan) -> None:
    """Forget the failures of what is planned, so that their files wait again for what failed. A failure of a model that
    is no longer planned stays, because nothing would run that model again."""
    with dataset.transaction():
        dataset.connection.execute(
            "UPDATE videos SET speech_recipe = NULL WHERE id IN"
            " (SELECT video_id FROM failures WHERE stage IN ('open', 'worker', 'audio', 'speech'))"
        )
        dataset.connection.execute(
            "UPDATE videos SET face_recipe = NULL WHERE id IN"
            " (SELECT video_id FROM failures WHERE stage IN ('open', 'worker', 'face'))"
        )
        stages = plan.everything.stages
        marks = ", ".join("?" * len(stages))
        dataset.connection.execute(f"DELETE FROM failures WHERE stage IN ({marks})", stages)
        again = [(i,) for i in waiting(dataset, plan)]
        dataset.connection.executemany("UPDATE videos SET state = 'new' WHERE state = 'failed' AND id = ?", again)
        dataset.connection.execute(
            "UPDATE videos SET state = 'done' WHERE state = 'failed' AND id NOT IN (SELECT video_id FROM failures)"
        )
