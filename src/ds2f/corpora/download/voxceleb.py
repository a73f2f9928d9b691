"""VoxCeleb1 and 2: parts of archives that the authors hand out on request, as addresses or as a login.

The form is at https://www.robots.ox.ac.uk/~vgg/data/voxceleb/; nothing is served to everybody any more, so ds2f has no
addresses of its own: the user gives theirs.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ds2f.corpora.download.archive import join, md5, unzip
from ds2f.corpora.download.fetch import Login, fetch
from ds2f.errors import UserError
from ds2f.types import Progress

TERMS = """\
VoxCeleb is for research. Its metadata is under CC BY 4.0; the clips are cut from YouTube videos whose rights stay with
their owners, and show people who can ask to be removed. The authors' terms and privacy notice:
https://www.robots.ox.ac.uk/~vgg/data/voxceleb/
"""
_PART = re.compile(r"^(?P<archive>.+)_part(?P<letters>[a-z]{2})$")  # vox2_dev_mp4_partaa

Stages = Callable[[str], Progress]
"""A stage, such as "unpack", to its progress."""


@dataclass(frozen=True)
class Got:
    """archives: unpacked ones; files: written by this run; missing: {archive: parts that its row of letters lacks};
    metadata: files that were no archives."""

    archives: tuple[str, ...]
    files: int
    missing: dict[str, tuple[str, ...]]
    metadata: tuple[Path, ...]


def download(
    urls: Sequence[str],
    out: Path,
    login: Login | None = None,
    checksums: dict[str, str] | None = None,
    keep: bool = False,
    stages: Stages | None = None,
) -> Got:
    """Fetch every address, check it, join the parts, unpack the archives into `out`, remove what was unpacked.

    checksums: {file name: md5}; keep: archives and parts stay. What is there already is not fetched again, and an
    archive of which a part is missing is left for the next run. stages: of download, check, join and unpack.
    Raises UserError for a file that does not have its checksum: it is set aside as NAME.wrong.
    """
    store = out / "archives"
    store.mkdir(parents=True, exist_ok=True)

    def report(stage: str) -> Progress | None:
        return stages(stage) if stages else None

    metadata = []
    for url in urls:
        name = file_name(url)
        if (store / f"{_archive_of(name)}.done").exists():
            continue
        is_archive = name.endswith(".zip") or _PART.match(name) is not None
        path = fetch(url, (store if is_archive else out) / name, login, report("download"))
        _check(path, (checksums or {}).get(name), report("check"))
        if not is_archive:
            metadata.append(path)
    unpacked, files, missing = [], 0, {}
    for archive, parts in _archives(store).items():
        lacking = _lacking(parts)
        if lacking:
            missing[archive] = lacking
            continue
        whole = store / archive
        if not whole.exists():
            join([store / part for part in parts], whole, report("join"))
            _check(whole, (checksums or {}).get(archive), report("check"))
        try:
            files += unzip(whole, out, report("unpack"))
        except UserError:
            if parts == [archive] or not _is_cut(whole):
                raise
            whole.unlink()  # the last part is not there yet: joined again when it is
            missing[archive] = ("the last part",)
            continue
        (store / f"{archive}.done").touch()
        unpacked.append(archive)
        if not keep:
            for name in {archive, *parts}:
                (store / name).unlink(missing_ok=True)
    return Got(tuple(unpacked), files, missing, tuple(metadata))


def file_name(url: str) -> str:
    """The last part of an address; some of the authors' name the file in a query. Raises UserError if there is none."""
    split = urlsplit(url)
    found = re.search(r"(?:^|&)file=([^&]+)", split.query)
    name = unquote(found[1] if found else split.path).rpartition("/")[2]
    if split.scheme not in ("http", "https") or not name:
        raise UserError(f"{url!r} is not the address of a file (http:// or https://, ending in its name).")
    return name


def _archive_of(name: str) -> str:
    part = _PART.match(name)
    return f"{part['archive']}.zip" if part else name


def _archives(store: Path) -> dict[str, list[str]]:
    """{archive: its parts, in order} of what lies in the store; a whole archive has itself as its only part."""
    found: dict[str, list[str]] = {}
    for path in sorted(store.iterdir()):
        if _PART.match(path.name):
            found.setdefault(_archive_of(path.name), []).append(path.name)
    for path in sorted(store.glob("*.zip")):
        found[path.name] = [path.name]
    return found


def _lacking(parts: Sequence[str]) -> tuple[str, ...]:
    """Parts that must be missing, because later ones are there; the last cannot be known."""
    letters = [match["letters"] for part in parts if (match := _PART.match(part))]
    if not letters:
        return ()
    stem = parts[0][: -len(letters[0])]
    last = _number(letters[-1])
    return tuple(f"{stem}{_letters(k)}" for k in range(last + 1) if _letters(k) not in letters)


def _is_cut(archive: Path) -> bool:
    """Whether a zip archive lacks its end, where its index stands."""
    return not zipfile.is_zipfile(archive)


def _number(letters: str) -> int:
    return 26 * (ord(letters[0]) - 97) + ord(letters[1]) - 97


def _letters(number: int) -> str:
    return chr(97 + number // 26) + chr(97 + number % 26)


def _check(path: Path, wanted: str | None, progress: Progress | None) -> None:
    if wanted is None:
        return
    found = md5(path, progress)
    if found != wanted:
        aside = path.with_name(path.name + ".wrong")
        path.rename(aside)
        raise UserError(
            f"{path.name} has the MD5 sum {found}, not {wanted}: it is damaged or another file. It was set aside as "
            f"{aside.name}; run the command again to fetch it anew."
        )
