"""Walk a folder tree, or the index of an uncompressed tar, and describe every file that could be ours."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ds2f.corpora import recognise
from ds2f.corpora.metadata import Metadata, read_metadata
from ds2f.errors import UserError
from ds2f.io.media import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ds2f.types import CorpusItem


@dataclass
class Skipped:
    """How many files of the tree were not of the wanted kind, filled while scanning."""

    audio_only: int = 0
    other: int = 0
    examples: list[str] = field(default_factory=list)


def scan(root: Path, kind: str, skipped: Skipped) -> Iterator[CorpusItem]:
    """Files of `kind` ("video" or "still") under `root`, in a fixed order.

    Raises UserError if the root is missing, unreadable, or a compressed tar (members cannot be found again).
    """
    if root.is_dir():
        yield from _scan_folder(root, kind, skipped)
    elif root.suffix == ".tar":
        yield from _scan_tar(root, kind, skipped)
    elif root.is_file() and root.suffix.lower() in AUDIO_SUFFIXES:
        raise UserError(
            f"{root} is sound without a picture; ingest takes videos. Try: ds2f generate {root} --out faces"
        )
    elif root.is_file():
        raise UserError(f"{root} is a file; give ingest the folder that it lies in (or an uncompressed .tar).")
    else:
        raise UserError(f"There is no folder {root}; check the path.")


def _scan_folder(root: Path, kind: str, skipped: Skipped) -> Iterator[CorpusItem]:
    metadata = read_metadata(root)
    pending = [(str(root), "")]  # strings and not Paths: a million files are walked in seconds
    entered: set[tuple[int, int]] = set()
    while pending:
        folder, inside = pending.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in entered:
                continue  # a link back into the tree: each folder is read once
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda e: e.name)
        except PermissionError:
            raise UserError(f"The folder {folder} cannot be read (permission denied).") from None
        shown = [e for e in entries if not e.name.startswith(".")]
        pending.extend((e.path, f"{inside}{e.name}/") for e in reversed(shown) if e.is_dir())
        for entry in shown:
            if entry.is_file() and _wanted(inside + entry.name, kind, skipped):
                status = entry.stat()
                path = inside + entry.name
                yield _item(root.name, path, kind, metadata, status.st_size, status.st_mtime_ns)


def _scan_tar(root: Path, kind: str, skipped: Skipped) -> Iterator[CorpusItem]:
    metadata = read_metadata(root)
    try:
        mtime_ns = root.stat().st_mtime_ns
        with tarfile.open(root, "r:") as archive:
            for member in archive:
                if member.isfile() and _wanted(member.name, kind, skipped):
                    yield _item(root.stem, member.name, kind, metadata, member.size, mtime_ns, member.offset_data)
    except FileNotFoundError:
        raise UserError(f"There is no file {root}; check the path.") from None
    except (tarfile.ReadError, OSError) as error:
        raise UserError(f"{root} is not a readable uncompressed tar ({error}).") from None


def _wanted(path: str, kind: str, skipped: Skipped) -> bool:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in (VIDEO_SUFFIXES if kind == "video" else IMAGE_SUFFIXES):
        if _is_text(path):
            return True
        skipped.other += 1  # a name in no known encoding can be neither stored nor shown
        skipped.examples.append(ascii(path))
        return False
    if suffix in AUDIO_SUFFIXES:
        skipped.audio_only += 1
    else:
        skipped.other += 1
    if len(skipped.examples) < 3:
        skipped.examples.append(path if _is_text(path) else ascii(path))
    return False


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _item(
    root: str, path: str, kind: str, metadata: Metadata, size: int, mtime_ns: int, offset: int | None = None
) -> CorpusItem:
    full = PurePosixPath(root, path)
    corpus, found = recognise(full, kind)
    found = metadata.complete(corpus, full.name, found)
    return CorpusItem(path, corpus, found.identity, size, mtime_ns, offset, found.labels)
