"""Rows written once to files that all training processes of a machine read on demand. The operating system caches what
is read often, once for all processes; no process holds the whole corpus.

FOLDER/NAME-KEY/image.npy    (n, 3, size, size) uint8
FOLDER/NAME-KEY/known.npy    (n,) records: the conditions, and whether each is given
FOLDER/NAME-KEY/packed.json  which conditions are known for any row; written last

These are plain NumPy files: `numpy.load(file, mmap_mode="r")` opens them. Data that is quickly read again, such as
pairs of vectors, is not kept: `FileZeros` creates arrays in unnamed files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import DTypeLike

from ds2f.errors import UserError
from ds2f.io.files import alone, make_folder, write_json
from ds2f.types import Progress

FORM = 2  # of the files; another number means another file
DONE = "packed.json"


@dataclass(frozen=True)
class Place:
    """Where faces and pairs are stored during training. folder: for packed files; most_bytes: of pixels and conditions,
    or of vectors, that a process keeps in memory; beyond it, they are packed; progress: called while packing."""

    folder: Path
    most_bytes: float
    progress: Progress | None = None


class FileZeros:
    """Like `numpy.zeros`; arrays are in memory until they take `place.most_bytes` together, and later ones are mapped
    from unnamed files in `place.folder`, which the operating system writes out when memory is short. A file disappears
    with its array, and with the process however that ends, so no personal data is left for `ds2f forget`."""

    def __init__(self, place: Place) -> None:
        self._folder, self._left = place.folder, place.most_bytes

    def __call__(self, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Raises UserError if the folder cannot be written, or its disk is too small for the array."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        self._left -= size
        if self._left >= 0 or size == 0:
            return np.zeros(shape, dtype)
        make_folder(self._folder)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            if hasattr(os, "posix_fallocate"):  # a mapped page without space on the disk would kill the process
                try:
                    os.posix_fallocate(file.fileno(), 0, size)
                except OSError as error:
                    needed = f"{size / 1e9:.1f} GB of pairs do not fit into {self._folder} ({error.strerror})"
                    raise UserError(f"{needed}; free space, or set [train] packed to a folder elsewhere.") from None
            return np.asarray(np.memmap(file, dtype, "w+", shape=shape))


class Source(Protocol):
    """Where rows come from. dtype: of a record of `known.npy`."""

    dtype: np.dtype

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pictures, (k, ...) uint8, and records, (k,), of all rows in order."""
        ...

    def finish(self) -> list[str]:
        """After the last block: the conditions that are known for any row."""
        ...

    def fill(self, known: np.ndarray) -> bool:
        """After the last block: correct records in place; returns whether any were changed."""
        ...


class RowFile:
    """A .npy file of n rows, some of which are read at a time. dtype, shape: of the whole array."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        version = np.lib.format.read_magic(self._file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self.shape, _, self.dtype = read(self._file)
        self._start = self._file.tell()
        self._each = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        if sys.platform == "linux":  # rows are far apart, so reading ahead is useless
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)

    def __len__(self) -> int:
        return int(self.shape[0])

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """(k,) int to (k, ...) of `dtype`, in the order given. Raises UserError if the file has been truncated."""
        found = np.empty((len(rows), self._each), np.uint8)
        places = (self._start + np.asarray(rows, np.int64) * self._each).tolist()
        if sys.platform == "linux":  # request all of them from the disk before waiting for the first
            for place in places:
                os.posix_fadvise(self._file.fileno(), place, self._each, os.POSIX_FADV_WILLNEED)
        for k, place in enumerate(places):
            self._file.seek(place)
            if self._file.readinto(found[k].data) != self._each:
                raise UserError(f"{self._file.name} has been cut short; remove its folder, and run again.")
        return found.reshape(-1).view(self.dtype).reshape(len(rows), *self.shape[1:])


@dataclass(frozen=True)
class FaceFile:
    """Packed faces, opened. given: names of the conditions that are known for any face."""

    image: RowFile
    known: RowFile
    given: tuple[str, ...]


def pack(
    folder: Path, name: str, facts: Sequence[object], count: int, shape: tuple[int, ...], source: Source
) -> FaceFile:
    """Open the file of these rows, creating it if missing: one process creates it, others wait.

    folder: for all such files; older ones of the same `name` are deleted once the new one is complete.
    name: of the rows, such as train-128.
    facts: what else distinguishes them from others, for JSON.
    count: of rows.
    shape: of a picture.
    source: of the rows; read only if the file does not exist.
    Raises UserError if the folder cannot be written.
    """
    told = json.dumps([FORM, name, count, *facts])
    place = folder / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    if not (place / DONE).exists():
        make_folder(folder)
        with alone(folder / f"{name}.lock"):
            if not (place / DONE).exists():
                _write(place, count, shape, source)
                for old in folder.glob(f"{name}-*"):
                    if old != place:
                        shutil.rmtree(old)  # processes that have it open can continue to read it
    given = json.loads((place / DONE).read_text("utf-8"))["given"]
    return FaceFile(RowFile(place / "image.npy"), RowFile(place / "known.npy"), tuple(given))


def _write(place: Path, count: int, shape: tuple[int, ...], source: Source) -> None:
    shutil.rmtree(place, ignore_errors=True)  # an incomplete one from a killed run
    place.mkdir()
    with (place / "image.npy").open("wb") as images, (place / "known.npy").open("w+b") as known:
        _header(images, np.dtype(np.uint8), (count, *shape))
        start = _header(known, source.dtype, (count,))
        written = []
        for pixels, rows in source.blocks():
            images.write(np.ascontiguousarray(pixels).data)
            known.write(rows.tobytes())
            written.append(len(rows))
        given = source.finish()
        for rows_before, length in zip(np.cumsum([0, *written]).tolist(), written, strict=False):
            known.seek(start + rows_before * source.dtype.itemsize)
            rows = np.frombuffer(known.read(length * source.dtype.itemsize), source.dtype).copy()
            if source.fill(rows):
                known.seek(start + rows_before * source.dtype.itemsize)
                known.write(rows.tobytes())
    write_json(place / DONE, {"given": given, "rows": count})


def _header(file: IO[bytes], dtype: np.dtype, shape: tuple[int, ...]) -> int:
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_2_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.tell()
