"""Where recordings are stored: a file, a part of one (as in an uncompressed tar), or bytes; all are read in the same
way."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from ds2f.types import Source


class Window(io.RawIOBase):
    """A part of a file, such as a member of an uncompressed tar, as a read-only file of its own."""

    def __init__(self, path: Path, offset: int, size: int) -> None:
        self._file = path.open("rb")
        self.offset, self.size = offset, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, count: int = -1) -> bytes:
        left = max(0, self.size - self._at)
        self._file.seek(self.offset + self._at)
        data = self._file.read(left if count < 0 else min(count, left))
        self._at += len(data)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


Stored: TypeAlias = Path | Source | bytes
"""Where a recording is stored: a file, a part of one (as in an uncompressed tar), or its bytes."""


def reading(stored: Stored) -> BinaryIO:
    """The stored data as a file to read. Raises OSError."""
    if isinstance(stored, bytes):
        return io.BytesIO(stored)
    if isinstance(stored, Source) and stored.offset is not None:
        return cast(BinaryIO, Window(stored.path, stored.offset, stored.size))
    return (stored.path if isinstance(stored, Source) else stored).open("rb")


def part_of(stored: Stored, start: int, end: int) -> Stored:
    """The bytes from `start` to `end` of the stored data."""
    if isinstance(stored, bytes):
        return stored[start:end]
    path, offset = (stored, 0) if isinstance(stored, Path) else (stored.path, stored.offset or 0)
    return Source(path, offset + start, end - start)
