#!/usr/bin/env bash
# DuckDB 2.0: list_cosine_similarity refuses a Parquet column of vectors that has a null, whatever the query leaves out.
#
# A table of embeddings in which some rows have none is what joins of voices and faces give. Written by pyarrow as a
# fixed-size or a variable list, every query by DuckDB's list_* distances of such a file ends with "left argument can not
# contain NULL values", `WHERE vector IS NOT NULL` included: the reader lays nulls into the child vector of the list, and
# the function looks at all of that. The same rows in a table of DuckDB's own, or cast to FLOAT[n] and asked by the
# array_* functions, give numbers, and NULL where there is none.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import duckdb
import pyarrow
import pyarrow.parquet

print("duckdb", duckdb.__version__, "pyarrow", pyarrow.__version__)


def ask(query):
    try:
        return [row[0] for row in duckdb.sql(query).fetchall()]
    except duckdb.Error as error:
        return f"{type(error).__name__}: {error}"


def near(found, wanted):
    return found == wanted or (isinstance(found, list) and len(found) == len(wanted) and all(
        a is b is None or (a is not None and b is not None and abs(a - b) < 1e-6) for a, b in zip(found, wanted)))


REFUSED = "InvalidInputException: Invalid Input Error: list_cosine_similarity: left argument can not contain NULL values"
SIMILAR = "list_cosine_similarity(vector, [1, 0]::FLOAT[])"
as_expected = True
for name, kind in (("fixed", pyarrow.list_(pyarrow.float32(), 2)), ("variable", pyarrow.list_(pyarrow.float32()))):
    vectors = pyarrow.array([[1, 0], None, [0, 1]], kind)
    pyarrow.parquet.write_table(pyarrow.table({"row": [0, 1, 2], "vector": vectors}), f"{name}.parquet")
    duckdb.sql(f"CREATE TABLE {name} AS FROM '{name}.parquet'")
    for query, wanted in (
        (f"SELECT {SIMILAR} FROM '{name}.parquet'", REFUSED),
        (f"SELECT {SIMILAR} FROM '{name}.parquet' WHERE vector IS NOT NULL", REFUSED),
        (f"SELECT {SIMILAR} FROM {name} ORDER BY row", [1.0, None, 0.0]),
        (
            f"SELECT array_cosine_similarity(vector::FLOAT[2], [1, 0]::FLOAT[2]) FROM '{name}.parquet' ORDER BY row",
            [1.0, None, 0.0],
        ),
    ):
        found = ask(query)
        as_expected &= near(found, wanted)
        print(f"{query}\n    {found}")
sys.exit(0 if as_expected else 1)
PYTHON
