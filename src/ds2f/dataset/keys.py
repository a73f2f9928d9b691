"""How files are identified and how the pictures of a clip are named, for generation, evaluation, comparison and
forgetting alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from pathlib import PurePosixPath
from sqlite3 import Row
from typing import NamedTuple

from ds2f.io.files import portable
from ds2f.types import Part


class FileKey(NamedTuple):
    """root: the folder or tar that was ingested; path: within it, with slashes."""

    root: str
    path: str


def part_of(row: Row) -> str:
    """The suffix of a path that names a part of a recording, "" for a whole one. row: of `videos`."""
    part = Part(row["part_start"], row["part_seconds"], row["part_channel"])
    return "" if part == Part() else part.fragment


def file_in(row: Row) -> str:
    """The path of a file, also where the row is a part of it. row: of `videos`."""
    return str(row["path"]).removesuffix(part_of(row))


def picture_stems(files: Iterable[FileKey]) -> dict[FileKey, str]:
    """{file: path of its pictures without number and extension}, all distinct. For `a/b.mp4` that is `a/b`; if several
    files share it, the first of these that distinguishes them: `a/b.mp4`, `ROOT/a/b`, `ROOT/a/b.mp4`.

    ROOT is the shortest end of a root's path that distinguishes the roots. The names are valid on every system, see
    `io.files.portable`; those that differ only in what that changes, or in case, are numbered: `a/b~2`.
    """
    keys = list(dict.fromkeys(files))
    names = _root_names({key.root for key in keys})
    forms: tuple[Callable[[FileKey], str], ...] = (
        lambda key: _stem(key.path),
        lambda key: key.path,
        lambda key: f"{names[key.root]}/{_stem(key.path)}",
        lambda key: f"{names[key.root]}/{key.path}",
    )
    sharing: dict[str, list[FileKey]] = {}
    for key in keys:
        sharing.setdefault(_stem(key.path), []).append(key)
    stems: dict[FileKey, str] = {}
    for group in sharing.values():
        form = next(form for form in forms if len({form(key) for key in group}) == len(group))
        stems |= {key: form(key) for key in group}
    if len(set(stems.values())) < len(keys):  # a folder has the same name as a root
        stems = {key: forms[-1](key) for key in keys}
    return _portable(stems)


def _portable(stems: dict[FileKey, str]) -> dict[FileKey, str]:
    found = {key: portable(stem) for key, stem in stems.items()}
    if len({stem.casefold() for stem in found.values()}) == len(found):
        return found
    taken: dict[str, int] = {}
    for key in sorted(found):
        number = taken[found[key].casefold()] = taken.get(found[key].casefold(), 0) + 1
        found[key] += f"~{number}" if number > 1 else ""
    return found


def _stem(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def _root_names(roots: set[str]) -> dict[str, str]:
    parts = {root: [part.strip("/") or "root" for part in PurePosixPath(root).parts] for root in roots}
    for length in count(1):
        names = {root: "/".join(found[-length:]) for root, found in parts.items()}
        if len(set(names.values())) == len(roots):
            return names
    raise AssertionError  # paths that differ have ends that differ
