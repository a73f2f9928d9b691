"""VoxCeleb1 and 2: parts of archives that the authors provide on request, as addresses or as a login.

The form is at https://www.robots.ox.ac.uk/~vgg/data/voxceleb/. Nothing is public any more, so ds2f has no addresses of
its own: users give theirs.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ds2f.corpora.download.archive import Damaged, join, md5, unzip
from ds2f.corpora.download.fetch import Login, fetch
from ds2f.errors import UserError
from ds2f.types import Progress

TERMS = """\
VoxCeleb is for research. Its metadata is under CC BY 4.0; the clips are cut from YouTube videos whose rights stay with
their owners, and show people who can ask to be removed. The authors' terms and privacy notice:
https://www.robots.ox.ac.uk/~vgg/data/voxceleb/
"""
_PART = re.compile(r"^(?P<archive>.+)_part(?P<letters>[a-z]{2})$")  # vox2_dev_mp4_partaa

DONE = ".done"  # NAME.zip.done: it has been unpacked

Stages = Callable[[str], Progress]
"""Returns the progress callback for a stage such as "unpack"."""


@dataclass(frozen=True)
class Unpacked:
    """archives: unpacked; files: written by this run; missing: {archive: parts missing from its sequence of letters};
    metadata: files that are not archives."""

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
) -> Unpacked:
    """Fetch every address, verify it, join the parts, unpack the archives into `out`, and delete what was unpacked.

    Files that exist are not fetched again, and an archive with a missing part is left for the next run.

    urls: of archives, of parts of them, of metadata.
    out: folder for what is unpacked, and for archives/, which holds the rest; created if missing.
    login: for the server; None: none.
    checksums: {file name: MD5 sum in hexadecimal}; other files are not verified.
    keep: keep archives and parts.
    stages: gives the progress callbacks for "download", "check" and "join", in bytes, and "unpack", in files.
    Raises UserError for a file whose checksum does not match; it is set aside as NAME.wrong.
    """
    store = out / "archives"
    store.mkdir(parents=True, exist_ok=True)

    def report(stage: str) -> Progress | None:
        return stages(stage) if stages else None

    metadata, sums = [], checksums or {}
    for name, url in _by_name(urls).items():
        if _is_done(store, _archive_of(name)):
            continue
        is_archive = name.endswith(".zip") or _PART.match(name) is not None
        path = fetch(url, (store if is_archive else out) / name, login, report("download"))
        _check(path, sums.get(name), report("check"))
        if not is_archive:
            metadata.append(path)
    unpacked, files, missing = [], 0, {}
    for archive, parts in _archives(store).items():
        whole = store / archive
        if not _is_done(store, archive):
            if lacking := _join(whole, parts, sums.get(archive), report):
                missing[archive] = lacking
                continue
            files += _unpack(whole, parts, out, report)
            (store / f"{archive}{DONE}").touch()
            unpacked.append(archive)
        if not keep:
            for name in (archive, *parts):
                (store / name).unlink(missing_ok=True)
    return Unpacked(tuple(unpacked), files, missing, tuple(metadata))


def _join(
    whole: Path, parts: Sequence[str], wanted: str | None, report: Callable[[str], Progress | None]
) -> tuple[str, ...]:
    """Join the parts into the whole archive, unless it exists. Returns the parts that are missing, () if none."""
    store = whole.parent
    if not whole.exists() or (parts and _is_cut(whole)):  # cut: joined before the last part was there
        if lacking := _lacking(parts):
            return lacking
        join([store / part for part in parts], whole, report("join"))
        if _is_cut(whole):
            whole.unlink()
            return ("the last part",)
    if wanted is not None and parts and (found := md5(whole, report("check"))) != wanted:
        whole.unlink()
        raise UserError(f"{whole.name} has the MD5 sum {found}, not {wanted}: {_advice(store, parts)}")
    return ()


def _unpack(whole: Path, parts: Sequence[str], out: Path, report: Callable[[str], Progress | None]) -> int:
    """Returns how many files were written. The next run joins a damaged archive again."""
    try:
        return unzip(whole, out, report("unpack"))
    except Damaged as error:
        if not parts:
            raise
        whole.unlink()
        raise UserError(f"{error} {_advice(whole.parent, parts)}") from None


def _advice(store: Path, parts: Sequence[str]) -> str:
    """Which part is damaged, as far as sizes show: all but the last are of equal size."""
    sizes = [(store / part).stat().st_size for part in parts]
    common = max(set(sizes[:-1]), key=sizes[:-1].count) if sizes[:-1] else 0
    odd = [part for part, size in zip(parts[:-1], sizes, strict=False) if size != common]
    which = f"{', '.join(odd)} differs in size from the others" if odd else "one of its parts is damaged"
    return f"{which}; remove it from {store} and run the command again with its address and, if you can, --checksums."


def _is_done(store: Path, archive: str) -> bool:
    """Whether an archive has been unpacked; a run may have been killed before it deleted the parts."""
    return (store / f"{archive}{DONE}").exists()


def _by_name(urls: Sequence[str]) -> dict[str, str]:
    """{file name: address}. Raises UserError for two addresses that give the same file name."""
    found: dict[str, str] = {}
    for url in urls:
        name = file_name(url)
        if found.setdefault(name, url) != url:
            raise UserError(f"{found[name]} and {url} both give a file {name}; download them into two folders.")
    return found


def file_name(url: str) -> str:
    """The last part of an address; some of the authors' addresses have the file name in a query. Raises UserError if
    there is none."""
    split = urlsplit(url)
    found = re.search(r"(?:^|&)file=([^&]+)", split.query)
    name = unquote(found[1] if found else split.path).rpartition("/")[2]
    if split.scheme not in ("http", "https") or name in ("", ".", "..") or "\\" in name or not name.isprintable():
        raise UserError(f"{url!r} is not the address of a file (http:// or https://, ending in its name).")
    return name


def _archive_of(name: str) -> str:
    part = _PART.match(name)
    return f"{part['archive']}.zip" if part else name


def _archives(store: Path) -> dict[str, list[str]]:
    """{archive: its parts, in order} in the store; [] for one that was downloaded whole."""
    names = sorted(path.name for path in store.iterdir())
    found: dict[str, list[str]] = {name: [] for name in names if name.endswith(".zip")}
    for name in names:
        if _PART.match(name):
            found.setdefault(_archive_of(name), []).append(name)
    return dict(sorted(found.items()))


def _lacking(parts: Sequence[str]) -> tuple[str, ...]:
    """Parts that must be missing because later ones exist; whether the last is missing cannot be known."""
    letters = [match["letters"] for part in parts if (match := _PART.match(part))]
    if not letters:
        return ()
    stem = parts[0][: -len(letters[0])]
    last = _number(letters[-1])
    return tuple(f"{stem}{_letters(k)}" for k in range(last + 1) if _letters(k) not in letters)


def _is_cut(archive: Path) -> bool:
    """Whether a zip archive lacks its end, which holds the index."""
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
        path.replace(aside)
        raise UserError(
            f"{path.name} has the MD5 sum {found}, not {wanted}: it is damaged or another file. It was set aside as "
            f"{aside.name}; run the command again to fetch it anew."
        )
