"""Parts and archives: checksums, joining, and unzipping that leaves nothing outside its folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ds2f.errors import UserError
from ds2f.types import Progress

CHUNK = 1 << 22  # bytes
BOMB_RATIO = 200  # of a member's size to its compressed size; video and sound hardly shrink at all
BOMB_SIZE = 1 << 30  # bytes of a member under which the ratio does not matter


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
    """{file name: md5} from lines of `md5 name`, in either order. Raises UserError for a line that is none."""
    found = {}
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The checksums {path} cannot be read ({error}).") from None
    for number, line in enumerate(lines, 1):
        words = line.replace("*", " ").split()
        sums = [word.lower() for word in words if re.fullmatch(r"[0-9a-fA-F]{32}", word)]
        names = [word for word in words if not re.fullmatch(r"[0-9a-fA-F]{32}", word)]
        if not words or line.startswith("#"):
            continue
        if len(sums) != 1 or len(names) != 1:
            raise UserError(f"{path}, line {number}: expected an MD5 sum and a file name, not {line.strip()!r}.")
        found[PurePosixPath(names[0]).name] = sums[0]
    return found


def join(parts: Sequence[Path], target: Path, progress: Progress | None = None) -> Path:
    """Lay the parts end to end into `target`, written aside and renamed."""
    total, done = sum(part.stat().st_size for part in parts), 0
    free = shutil.disk_usage(target.parent).free
    if free < total:
        raise UserError(
            f"{target.parent} has {free / 2**30:.0f} GiB left, joining needs {total / 2**30:.0f}; make room."
        )
    aside = target.with_name(target.name + ".part")
    with aside.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                while piece := file.read(CHUNK):
                    out.write(piece)
                    done += len(piece)
                    if progress:
                        progress(done, total, target.name)
    aside.rename(target)
    return target


def unzip(archive: Path, folder: Path, progress: Progress | None = None) -> int:
    """Unpack into `folder`; files that are there in their full size are kept, so an interrupted call goes on.

    Returns how many files were written. Raises UserError, before anything is written, for an archive that is not
    whole, or one with a member that would land outside of the folder, is a link, or grows beyond reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            targets = [_target(archive, member, folder) for member in members]
            written = 0
            for done, (member, target) in enumerate(zip(members, targets, strict=True)):
                if progress:
                    progress(done, len(members), target.name)
                if target.is_file() and target.stat().st_size == member.file_size:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                aside = target.with_name(target.name + ".part")
                with opened.open(member) as source, aside.open("wb") as out:
                    shutil.copyfileobj(source, out, CHUNK)
                aside.rename(target)
                written += 1
            if progress:
                progress(len(members), len(members), archive.name)
            return written
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise UserError(
            f"{archive} is not a whole zip archive ({error}); check its parts and their checksums."
        ) from None


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
        raise UserError(f"{archive} holds {member.filename!r}, which grows beyond reason; nothing was unpacked.")
    target = folder / path
    if not os.path.realpath(target.parent).startswith(os.path.realpath(folder)):
        raise UserError(f"{target.parent} leads out of {folder} by a link; nothing was unpacked.")
    return target
