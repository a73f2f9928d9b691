"""The file formats of `ds2f export`: WebDataset tars and Parquet tables."""

from __future__ import annotations

import io
import json
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ds2f.dataset.records import Column, Record
from ds2f.io.files import replacing
from ds2f.io.speech import kind_of

if TYPE_CHECKING:
    import pyarrow

README = "README.json"  # in every export, also of manifests: what it is
MADE_BY = "ds2f export"  # in README.json: the folder holds nothing of the user's
ROW_GROUP = 512  # records, about 5 MB held in memory


class ShardFile(ABC):
    """One file of an export, open for writing. `close` without `finish` leaves an incomplete file."""

    suffix: ClassVar[str]
    sound: ClassVar[bool] = True  # whether it stores the speech of a record

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._file = path.open("wb")

    @abstractmethod
    def add(self, record: Record) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """Write whatever completes the file."""

    @staticmethod
    @abstractmethod
    def without(path: Path, corpus: str, identity: str) -> tuple[int, int]:
        """Rewrite a finished file without somebody's records, if it has any. Returns how many of theirs there were, and
        how many others there are."""

    def size(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class TarFile(ShardFile):
    """WebDataset: the files of one sample are adjacent and share the part of their names before the first dot.

    KEY.json, KEY.webp (if there is a face), KEY.flac or KEY.opus (if there is speech) and KEY.COLUMN.npy for each
    vector.
    """

    suffix = ".tar"

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        super().__init__(path, columns)
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115 - closed by finish()

    def add(self, record: Record) -> None:
        self._add(f"{record.key}.json", json.dumps(record.values, ensure_ascii=False).encode())
        if record.crop is not None:
            self._add(f"{record.key}.webp", record.crop)
        if record.sound is not None:
            self._add(f"{record.key}.{kind_of(record.sound)}", record.sound)
        for column, vector in record.vectors.items():
            buffer = io.BytesIO()
            np.save(buffer, vector)
            self._add(f"{record.key}.{column}.npy", buffer.getvalue())

    def _add(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)  # no time or owner, so that the same dataset gives the same bytes
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))

    def finish(self) -> None:
        self._tar.close()

    @staticmethod
    def without(path: Path, corpus: str, identity: str) -> tuple[int, int]:
        gone, records = set(), 0
        with tarfile.open(path, "r:") as old:
            for member in old:
                key, _, kind = member.name.partition(".")
                if kind == "json":
                    values = json.loads(_content(old, member))
                    records += 1
                    if (values["corpus"], values["identity"]) == (corpus, identity):
                        gone.add(key)
        if gone:
            with replacing(path) as aside, tarfile.open(path, "r:") as old, tarfile.open(aside, "w") as new:
                for member in old:
                    if member.name.partition(".")[0] not in gone:
                        new.addfile(member, io.BytesIO(_content(old, member)))
        return len(gone), records - len(gone)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()


class ParquetFile(ShardFile):
    """A table with one row per record: the columns of `records.Records`, with vectors as fixed-size lists, then the
    crop.

    Speech is left out: tables are for queries and joins, and sound would make up nine tenths of the file.
    """

    suffix = ".parquet"
    sound = False

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        import pyarrow.parquet

        super().__init__(path, columns)
        self._columns = columns
        self._schema = _arrow_schema(columns)
        self._table = pyarrow.parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        self._waiting: list[list[Any]] = []  # rows

    def add(self, record: Record) -> None:
        self._waiting.append([*(_cell(record, column) for column in self._columns), record.crop])
        if len(self._waiting) == ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if self._waiting:
            columns = zip(*self._waiting, strict=True)
            arrays = [pyarrow.array(v, field.type) for v, field in zip(columns, self._schema, strict=True)]
            self._table.write_batch(pyarrow.record_batch(arrays, schema=self._schema))
            self._waiting.clear()

    def finish(self) -> None:
        self._flush()
        self._table.close()

    @staticmethod
    def without(path: Path, corpus: str, identity: str) -> tuple[int, int]:
        import pyarrow.compute as compute
        import pyarrow.parquet as parquet

        table = parquet.read_table(path, memory_map=False)
        theirs = compute.and_(compute.equal(table["corpus"], corpus), compute.equal(table["identity"], identity))
        kept = table.filter(compute.invert(theirs))
        if len(kept) < len(table):
            with replacing(path) as aside:
                parquet.write_table(kept, aside, row_group_size=ROW_GROUP, compression="zstd")
        return len(table) - len(kept), len(kept)


def _arrow_schema(columns: Sequence[Column]) -> pyarrow.Schema:
    import pyarrow as pa

    kinds = {"text": pa.string(), "integer": pa.int64(), "real": pa.float64(), "json": pa.string()}
    fields = [pa.field(c.name, kinds.get(c.kind) or pa.list_(pa.float32(), c.dimension)) for c in columns]
    return pa.schema([*fields, pa.field("crop", pa.binary())])


def _cell(record: Record, column: Column) -> Any:
    if column.kind == "vector":
        return record.vectors.get(column.name)
    value = record.values.get(column.name)
    return json.dumps(value, ensure_ascii=False) if column.kind == "json" and value is not None else value


FORMATS: dict[str, type[ShardFile]] = {"webdataset": TarFile, "parquet": ParquetFile}


def part_of(shard: str) -> str:
    """train-pairs-000000.tar -> train-pairs."""
    return shard.rpartition("-")[0]
