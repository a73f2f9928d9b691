"""Archives and their parts: checksums, joining, and safe unzipping that writes nothing outside its folder."""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ds2f.errors import UserError
from ds2f.io.files import disk_trouble, read_lines, replacing
from ds2f.types import Progress

CHUNK = 1 << 22  # bytes
BOMB_RATIO = 200  # of a member's size to its compressed size; video and sound hardly compress at all
BOMB_SIZE = 1 << 30  # bytes of a member below which the ratio does not matter


class Damaged(UserError):
    """An archive that is incomplete, or not as it was packed."""


def md5(path: Path, progress: Progress | None = None) -> str:
    """The checksum that the corpora publish."""
    digest, done, size = hashlib.md5(usedforsecurity=False), 0, path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
            done += len(piece)
            if progress:
                progress(done, size, path.name)
    return digest.hexdigest()


def read_checksums(path: Path) -> dict[str, str]:
    """{file name: md5} from lines of `md5 name`, in either order, or `MD5 (name) = md5`. Raises UserError for any other
    line."""
    found = {}
    for number, line in enumerate(read_lines(path, "list of checksums"), 1):
        words = re.sub(r"^MD5 \((.*)\) =", r"\1", line.strip()).replace("*", " ").split()
        sums = [word.lower() for word in words if re.fullmatch(r"[0-9a-fA-F]{32}", word)]
        names = [word for word in words if not re.fullmatch(r"[0-9a-fA-F]{32}", word)]
        if not words or line.startswith("#"):
            continue
        if len(sums) != 1 or len(names) != 1:
            raise UserError(f"{path}, line {number}: expected an MD5 sum and a file name, not {line.strip()!r}.")
        found[PurePosixPath(names[0]).name] = sums[0]
    return found


def join(parts: Sequence[Path], target: Path, progress: Progress | None = None) -> Path:
    """Concatenate the parts into `target`, written to a temporary file and renamed."""
    total, done = sum(part.stat().st_size for part in parts), 0
    _check_room(target.parent, total, "joining")
    with replacing(target) as aside, aside.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                while piece := file.read(CHUNK):
                    out.write(piece)
                    done += len(piece)
                    if progress:
                        progress(done, total, target.name)
    return target


def unzip(archive: Path, folder: Path, progress: Progress | None = None) -> int:
    """Unpack into `folder`; files that already exist in full size are kept, so an interrupted call can be resumed.

    Returns how many files were written. Raises UserError, before anything is written, for an archive without its end,
    one with a member that would land outside the folder, is a link, or expands too much, and for a disk that is too
    small; for a damaged member, when its turn comes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            targets = [_target(archive, member, folder) for member in members]
            _check_places(archive, targets)
            todo = [(m, t) for m, t in zip(members, targets, strict=True) if not _is_there(t, m.file_size)]
            _check_room(folder, sum(member.file_size for member, _ in todo), "unpacking")
            for done, (member, target) in enumerate(todo, len(members) - len(todo)):
                if progress:
                    progress(done, len(members), target.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with replacing(target) as aside:
                    aside.unlink(missing_ok=True)  # left by a killed run, or a link
                    with opened.open(member) as source, aside.open("xb") as out:
                        shutil.copyfileobj(source, out, CHUNK)
            if progress:
                progress(len(members), len(members), archive.name)
            return len(todo)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, struct.error) as error:
        raise Damaged(f"{archive} is not a whole zip archive ({error}); check it by its checksum.") from None
    except RuntimeError as error:  # zipfile's error for a missing password or compression method
        raise UserError(f"{archive} cannot be unpacked ({error}).") from None
    except OSError as error:
        if disk_trouble(error) is not None:
            raise
        if error.errno == errno.EINVAL:  # the index points before the start: bytes are missing in between
            raise Damaged(
                f"{archive} is not a whole zip archive (bytes are missing); check it by its checksum."
            ) from None
        raise UserError(f"{archive} cannot be unpacked ({error}).") from None  # a file where a folder must be, ...


def _is_there(target: Path, size: int) -> bool:
    return target.is_file() and target.stat().st_size == size


def _check_room(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(f"{folder} has {free / 2**30:.1f} GiB left, {what} needs {needed / 2**30:.1f}; make room.")


def _check_places(archive: Path, targets: Sequence[Path]) -> None:
    """Raises UserError for two members with one name, or one that is both a file and another's folder."""
    places = set(targets)
    if len(places) < len(targets) or any(not places.isdisjoint(target.parents) for target in targets):
        raise UserError(f"{archive} holds two members in the same place; nothing was unpacked.")


def _target(archive: Path, member: zipfile.ZipInfo, folder: Path) -> Path:
    name = member.filename.replace("\\", "/")
    path = PurePosixPath(name)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or re.match(r"^[A-Za-z]:", name) or "\0" in name:
        raise UserError(
            f"{archive} holds {member.filename!r}, which would land outside of {folder}; nothing was unpacked."
        )
    if kind not in (0, stat.S_IFREG):
        raise UserError(f"{archive} holds {member.filename!r}, which is not a plain file; nothing was unpacked.")
    if member.file_size > BOMB_SIZE and member.file_size > BOMB_RATIO * max(1, member.compress_size):
        raise UserError(f"{archive} holds {member.filename!r}, which expands too much; nothing was unpacked.")
    target = folder / path
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{target.parent} leads out of {folder} by a link; nothing was unpacked.")
    return target
