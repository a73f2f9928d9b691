"""Stores the results of extraction, one transaction per file."""

from __future__ import annotations

import json
import math

import numpy as np

from ds2f.dataset.plan import Job, Plan, recipe_key
from ds2f.dataset.queries import Dataset, to_blob
from ds2f.types import DLIB, Attributes, Extracted, Face

CHANGED = Extracted(failures=(("open", "it is another file than the one that was ingested; run ds2f ingest again"),))


def store(dataset: Dataset, job: Job, result: Extracted, plan: Plan) -> Extracted | None:
    """Store everything a job produced, rows and failure reasons, in one transaction; storing it twice changes nothing.

    Returns what was stored, or None, having stored nothing, if the entry has since been forgotten or ingested again. If
    the file itself has changed since it was ingested, that is stored as the reason instead of the new file's results. A
    file that cannot be read keeps its results from other settings, and waits.
    """
    sql, needs, video_id = dataset.connection, job.needs, job.video_id
    if _changed(job):
        result = CHANGED
    with dataset.transaction():
        same = "v.id = ? AND r.path || '/' || v.path = ? AND v.size = ? AND v.mtime_ns = ?"
        asked = (video_id, job.shown, job.size, job.mtime_ns)
        if (
            sql.execute(f"SELECT 1 FROM videos v JOIN roots r ON r.id = v.root_id WHERE {same}", asked).fetchone()
            is None
        ):
            return None
        unread = result.facts is None and any(stage == "open" for stage, _ in result.failures)
        marks = ", ".join("?" * len(needs.stages))
        sql.execute(f"DELETE FROM failures WHERE video_id = ? AND stage IN ({marks})", (video_id, *needs.stages))
        for anew, table, column, settings in (
            (needs.speech, "speech", "speech_recipe", plan.speech),
            (needs.face, "faces", "face_recipe", plan.face),
        ):
            if anew and unread and sql.execute(f"SELECT 1 FROM {table} WHERE video_id = ?", (video_id,)).fetchone():
                continue  # keep earlier results of a file that is missing for now, for example on an unmounted drive
            if anew:
                sql.execute(f"DELETE FROM {table} WHERE video_id = ?", (video_id,))
                sql.execute("INSERT OR IGNORE INTO recipes VALUES (?, ?)", (recipe_key(settings), settings))
                sql.execute(f"UPDATE videos SET {column} = ? WHERE id = ?", (recipe_key(settings), video_id))
        if result.facts is not None:
            facts = result.facts
            sql.execute(
                "UPDATE videos SET duration = ?, width = ?, height = ?, fps = ?, stream = ? WHERE id = ?",
                (facts.duration, facts.width, facts.height, facts.fps, facts.stream, video_id),
            )
        if result.speech is not None:
            speech = result.speech
            row = (video_id, speech.start, speech.seconds, speech.stream, speech.channels)
            sql.execute("INSERT INTO speech VALUES (?, ?, ?, ?, ?)", row)
            sql.execute("INSERT INTO speech_audio VALUES (?, ?)", (video_id, speech.sound))
        if result.face is not None:
            _store_face(dataset, video_id, result.face)
        _store_models(dataset, video_id, result)
        sql.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?)", [(video_id, *f) for f in result.failures])
        sql.execute(
            "UPDATE videos SET state = CASE WHEN EXISTS (SELECT 1 FROM failures WHERE video_id = id)"
            " THEN 'failed' ELSE 'done' END WHERE id = ?",
            (video_id,),
        )
    return result


def _changed(job: Job) -> bool:
    """Whether the job read a different file from the one that was ingested; False if the file cannot be seen from here.
    In a tar that was rewritten, somebody else's picture may be at the same offset."""
    needs = job.needs
    if not (needs.speech or needs.face or needs.identities or needs.attributes):
        return False  # computed from what is stored
    try:
        status = job.source.path.stat()
    except OSError:
        return False
    return status.st_mtime_ns != job.mtime_ns or (job.source.offset is None and status.st_size != job.size)


def _store_face(dataset: Dataset, video_id: int, face: Face) -> None:
    sql = dataset.connection
    sql.execute(
        "INSERT INTO faces (video_id, time, x, y, w, h, landmarks, score, quality, coverage, people)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            video_id,
            face.time,
            *face.detected.box,
            face.detected.landmarks.astype(np.float32).tobytes(),
            face.detected.score,
            face.quality,
            face.coverage,
            face.people,
        ),
    )
    sql.execute("INSERT INTO crops VALUES (?, 'canonical', ?)", (video_id, face.webp))
    if face.box_webp is not None:
        sql.execute("INSERT INTO crops VALUES (?, 'box', ?)", (video_id, face.box_webp))
    sql.execute("INSERT INTO face_embeddings VALUES (?, ?, ?)", (video_id, DLIB, to_blob(face.identity)))


def _store_models(dataset: Dataset, video_id: int, result: Extracted) -> None:
    sql = dataset.connection
    clips = [(video_id, seconds, *facts) for seconds, facts in result.clips.items()]
    sql.executemany("INSERT OR IGNORE INTO clips VALUES (?, ?, ?, ?)", clips)
    for (seconds, encoder), vector in result.voices.items():
        sql.execute(
            "INSERT OR REPLACE INTO voice_embeddings VALUES (?, ?, ?, ?)", (video_id, seconds, encoder, to_blob(vector))
        )
    for encoder, vector in result.identities.items():
        sql.execute("INSERT OR REPLACE INTO face_embeddings VALUES (?, ?, ?)", (video_id, encoder, to_blob(vector)))
    for model, attributes in result.attributes.items():
        rows = [(video_id, model, *row) for row in attribute_rows(attributes)]
        sql.executemany("INSERT OR REPLACE INTO face_attributes VALUES (?, ?, ?, ?, ?, ?)", rows)
    for model, language in result.languages.items():
        sql.execute(
            "INSERT OR REPLACE INTO languages VALUES (?, ?, ?, ?)",
            (video_id, model, language.code, language.probability),
        )
    if result.acoustics is not None:
        names = ", ".join(["video_id", *result.acoustics])
        marks = ", ".join("?" * (1 + len(result.acoustics)))
        # SQLite stores NaN as NULL, which means that a feature could not be measured.
        row = (video_id, *result.acoustics.values())
        sql.execute(f"INSERT OR REPLACE INTO acoustics ({names}) VALUES ({marks})", row)


def attribute_rows(attributes: Attributes) -> list[tuple[str, float | str, float | None, str]]:
    """(attribute, value, probability, distribution) as in the table face_attributes."""

    def text(distribution: dict[str, float]) -> str:
        return json.dumps({name: round(p, 4) for name, p in distribution.items()})

    rows: list[tuple[str, float | str, float | None, str]] = []
    if not math.isnan(attributes.age):
        rows.append(("age", round(attributes.age, 2), None, text(attributes.age_bins)))
    for name, distribution in (("gender", attributes.gender), ("ethnicity", attributes.ethnicity)):
        if distribution:  # not every model predicts all attributes
            likeliest = max(distribution, key=lambda key: distribution[key])
            rows.append((name, likeliest, round(distribution[likeliest], 4), text(distribution)))
    return rows
