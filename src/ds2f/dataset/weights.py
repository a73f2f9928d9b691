"""Which weights a model's rows were computed with: if a file of the same name has other weights, the rows are
recomputed rather than mixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ds2f.dataset.plan import Plan
from ds2f.dataset.queries import Dataset

KEY = "weights/"  # followed by the stage of a model, such as voice:NAME, in the table meta
CHANGED = "weights-changed"  # key in meta: how often rows were removed because of other weights
ROWS = {
    "voice": ("voice_embeddings", "encoder"),
    "identity": ("face_embeddings", "encoder"),
    "attributes": ("face_attributes", "model"),
    "language": ("languages", "model"),
}


def noted(dataset: Dataset, source: str = "main") -> dict[str, str]:
    """{stage: hash of the weights} as a dataset records it, or a database that is attached to it as `source`."""
    query = f"SELECT substr(key, ?), value FROM {source}.meta WHERE key GLOB ? ORDER BY key"
    return dict(map(tuple, dataset.connection.execute(query, (len(KEY) + 1, KEY + "*"))))


def outdated(dataset: Dataset, weights: Mapping[str, str]) -> list[str]:
    """Stages whose rows come from other weights than these, {stage: hash}. Rows older than the record are assumed to
    come from the current weights."""
    there = noted(dataset)
    return [stage for stage, digest in weights.items() if there.get(stage, digest) != digest]


def settle(dataset: Dataset, plan: Plan) -> list[str]:
    """Remove the rows and failures of models whose weights differ from those that produced them, and record the new
    ones.

    Returns the stages of these models.
    """
    weights = dict(plan.weights)
    if weights.items() <= noted(dataset).items():
        return []
    with dataset.transaction():
        return adopt(dataset, weights)


def adopt(dataset: Dataset, weights: Mapping[str, str]) -> list[str]:
    """As `settle`, for {stage: hash}, within the caller's transaction."""
    stages = outdated(dataset, weights)
    drop(dataset, stages)
    rows = [(KEY + stage, digest) for stage, digest in weights.items()]
    dataset.connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
    if stages:
        row = (CHANGED, str(times_changed(dataset) + 1))
        dataset.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)
    return stages


def drop(dataset: Dataset, stages: Iterable[str], files: str = "SELECT id FROM videos") -> None:
    """Remove the rows and failures of models, within the caller's transaction. files: a query for their ids."""
    for stage in stages:
        kind, _, name = stage.partition(":")
        table, column = ROWS[kind]
        dataset.connection.execute(f"DELETE FROM {table} WHERE {column} = ? AND video_id IN ({files})", (name,))
        dataset.connection.execute(f"DELETE FROM failures WHERE stage = ? AND video_id IN ({files})", (stage,))


def times_changed(dataset: Dataset) -> int:
    """How often rows were removed because of other weights: if it is equal at two times, those between are of one set
    of weights."""
    row = dataset.connection.execute("SELECT value FROM meta WHERE key = ?", (CHANGED,)).fetchone()
    return 0 if row is None else int(row[0])
