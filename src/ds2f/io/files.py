"""Files that exist completely or not at all, and messages for disks that cannot be written to."""

from __future__ import annotations

import codecs
import errno
import hashlib
import json
import os
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from safetensors import SafetensorError

from ds2f.errors import UserError

Record = TypeVar("Record")


LONGEST_NAME = 255  # bytes, the limit of common file systems


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to instead of `path`: a file next to it that replaces it at the end, or is deleted if anything
    goes wrong. Readers see either the old file or the new one, never a partial one. Its name is always the same, so
    that the next run overwrites what a killed process left; a path has one writer at a time."""
    aside = path.with_name(path.name + ".part")
    if len(os.fsencode(aside.name)) > LONGEST_NAME:
        aside = path.with_name(hashlib.sha256(os.fsencode(path.name)).hexdigest() + ".part")
    try:
        yield aside
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def decode_text(data: bytes) -> str:
    """A text written by a user: UTF-8 with or without a byte order mark, or UTF-16 with one, as PowerShell and Excel
    write it. Raises UnicodeDecodeError for anything else."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig")


def read_lines(path: Path, what: str) -> list[str]:
    """The lines of a list, see `decode_text`, with any line endings. what: "trial list", ...

    Raises UserError for a file that cannot be read.
    """
    try:
        return decode_text(path.read_bytes()).splitlines()
    except OSError as error:
        raise UserError(f"The {what} {path} cannot be read ({error.strerror}); check the path.") from None
    except UnicodeDecodeError:
        raise UserError(f"The {what} {path} is not text in UTF-8 or UTF-16; save it as UTF-8.") from None


def by_name(specs: Iterable[str], name_of: Callable[[str], str]) -> dict[str, str]:
    """{name of a model's rows: how to load it} for specs such as "onnx:FILE".

    specs: as in ds2f.toml; name_of: returns the name for one spec alone. Names shared by several files are extended by
    as much of their folders as distinguishes them.
    """
    alike: dict[str, list[str]] = {}
    for spec in specs:
        alike.setdefault(name_of(spec), []).append(spec)
    found = {}
    for name, of_name in alike.items():
        folders = {spec: Path(spec.partition(":")[2]).expanduser().absolute().parent.parts for spec in of_name}
        deepest = max(map(len, folders.values()))
        near = next((n for n in range(deepest) if len({f[len(f) - n :] for f in folders.values()}) == len(folders)), 0)
        for spec, parts in folders.items():
            kind, mark, stem = re.split(r"([/:])", name, maxsplit=1) if near else (name, "", "")
            found["".join([kind, mark, *(f"{part}/" for part in parts[len(parts) - near :]), stem])] = spec
    return found


def from_json(kind: type[Record], data: dict[str, Any]) -> Record:
    """Restores a record from the output of `dataclasses.asdict` after a round trip through JSON.

    Raises ValueError for an unknown key, a missing one, or a value of the wrong type.
    """
    if unknown := set(data) - {field.name for field in fields(kind)}:  # type: ignore[arg-type]  # of dataclasses
        raise ValueError(f"there is no {min(unknown)!r} in {kind.__name__}")
    return msgspec.convert(data, kind, str_keys=True)  # JSON turns integer keys into strings


UNFIT = re.compile(
    r'[<>:"|?*\\\x00-\x1f\ud800-\udfff]|(?<=[^/])[. ](?=/|$)|(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d)(?=[./]|$)',
    re.IGNORECASE,
)
"""What Windows does not allow in a name: certain characters, a full stop or space at the end, device names; and lone
surrogates, which stand for bytes of a name that is not UTF-8 (PEP 383).
https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file#naming-conventions"""


def portable(path: str) -> str:
    """A relative path with slashes whose names are valid on every system: what Windows does not allow is replaced by an
    underscore, or gets one. Most paths are returned unchanged; two that differ may become the same."""
    return UNFIT.sub(lambda found: f"{found[0]}_" if found[0][-1].isalnum() else "_", path)


def make_folder(folder: Path) -> None:
    """Create an output folder. Raises UserError if it cannot be created or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # an unnamed file: other processes may be checking the same folder
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be written ({error.strerror}); give another one.") from None


def config_folder() -> Path:
    """The user's configuration folder for ds2f on this system; it may not exist."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "ds2f"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "ds2f"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "ds2f"


def create_privately(path: Path, data: bytes) -> bytes:
    """Write a file that only its owner may read, unless it exists. Returns its final contents: if several processes do
    this at once, all get what the first one wrote. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, aside = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        try:
            os.link(aside, path)  # unlike renaming, this never replaces a file
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            if not path.exists():
                os.replace(aside, path)
    finally:
        Path(aside).unlink(missing_ok=True)
    return path.read_bytes()


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """A lock between the processes of one machine; it is released if its holder dies."""
    if sys.platform == "win32":  # where nobody launches several processes
        yield
        return
    import fcntl

    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write the complete file or nothing; see `replacing`."""
    with replacing(path) as aside:
        # A file name that is not UTF-8 holds lone surrogates (PEP 383), whose backslash escape is valid JSON.
        aside.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", "utf-8", errors="backslashreplace")


def disk_trouble(error: Exception) -> str | None:
    """One sentence for a full disk, a disk that cannot be written, a database that it has damaged, or a locked
    database, whichever library raised the error; None for any other error."""
    place = f" ({os.fsdecode(error.filename)})" if isinstance(error, OSError) and error.filename else ""
    number = _number(error)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full{place}. What was finished is kept; make room, and run the same command again."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"A file may not be read or written{place}; change its permissions, or choose another place."
    if number == errno.ENAMETOOLONG:
        return f"A name is too long for the file system{place}; give the recording a shorter one."
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "Another process writes to the database; when it has ended, run the same command again."
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR):
        return f"The database is damaged, or its disk fails ({error}); restore a copy, or ingest and extract anew."
    return None


def _number(error: Exception) -> int | None:
    """The errno of an error, including SQLite's and safetensors' own forms."""
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bytes give more detail
        return {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS}.get(code)
    if isinstance(error, SafetensorError):
        return errno.ENOSPC if f"(os error {errno.ENOSPC})" in str(error) else None
    return error.errno if isinstance(error, OSError) else None
