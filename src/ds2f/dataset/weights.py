"""Which weights a model's rows were computed with: if a file of the same name has other weights, the rows are
recomputed rather than mixed."""

from __future__ import annotations

from ds2f.dataset.plan import Plan
from ds2f.dataset.queries import Dataset

KEY = "weights/"  # followed by the stage of a model, such as voice:NAME, in the table meta
ROWS = {
    "voice": ("voice_embeddings", "encoder"),
    "identity": ("face_embeddings", "encoder"),
    "attributes": ("face_attributes", "model"),
    "language": ("languages", "model"),
}


def settle(dataset: Dataset, plan: Plan) -> list[str]:
    """Remove the rows and failures of models whose weights differ from those that produced them, and record the new
    ones.

    Returns the stages of these models. Rows older than this record are assumed to come from the current weights.
    """
    sql = dataset.connection
    noted = {row[0]: row[1] for row in sql.execute("SELECT key, value FROM meta WHERE key GLOB ?", (KEY + "*",))}
    other = [stage for stage, digest in plan.weights if noted.get(KEY + stage, digest) != digest]
    if any(noted.get(KEY + stage) != digest for stage, digest in plan.weights):
        with dataset.transaction():
            for stage in other:
                kind, _, name = stage.partition(":")
                table, column = ROWS[kind]
                sql.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))
                sql.execute("DELETE FROM failures WHERE stage = ?", (stage,))
            rows = [(KEY + stage, digest) for stage, digest in plan.weights]
            sql.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
    return other
