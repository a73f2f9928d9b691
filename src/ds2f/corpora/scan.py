"""Walk a folder tree, or the index of an uncompressed tar, and describe every file that may be usable."""

from __future__ import annotations

import os
import tarfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ds2f.corpora import folder as plain
from ds2f.corpora import mavceleb, recognise
from ds2f.corpora.base import Place, Recognised
from ds2f.corpora.metadata import SideFiles
from ds2f.errors import UserError
from ds2f.io.formats import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from ds2f.io.images import IMAGE_SUFFIXES
from ds2f.types import CorpusItem

KIND_OF = {
    **dict.fromkeys(AUDIO_SUFFIXES, "sound"),
    **dict.fromkeys(IMAGE_SUFFIXES, "still"),
    **dict.fromkeys(VIDEO_SUFFIXES, "video"),
}
EXAMPLES = 3


@dataclass
class Scan:
    """One root to read, and what was found in it.

    kind: "video", "sound" or "still"; None: videos, and everything from corpora that hold voices and faces in one tree.
    person: who is in files of no known layout, see `folder.chosen`; None: as `corpora.folder` decides.
    not_whole: {corpus: names that could not be parsed completely}; named: {whether `person` says who it is: files};
    left_out: {kind, "link" or "other": files}; side: the side files; warnings: sentences for the user.
    """

    root: Path
    kind: str | None = "video"
    person: str | None = None
    not_whole: Counter[str] = field(default_factory=Counter)
    named: Counter[bool] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    side: SideFiles = field(default_factory=SideFiles)
    warnings: list[str] = field(default_factory=list)

    def items(self) -> Iterator[CorpusItem]:
        """Files in a fixed order.

        Raises UserError if the root is missing, unreadable, or a compressed tar (which allows no random access), and at
        the end if `person` is a pattern that matches nothing.
        """
        root = self.root
        if root.is_dir():
            self.side.look_above(root)
            for folder, _, entries in self._walk():  # before any file, as these may describe files of other folders
                self.side.look_at(folder, [entry.name for entry in entries if not _holds(entry.is_dir)])
            yield from self._folder()
        elif root.suffix == ".tar":
            self.side.look_above(root)
            yield from self._tar()
        elif root.is_file() and root.suffix.lower() in AUDIO_SUFFIXES:
            raise UserError(
                f"{root} is sound without a picture; give ingest the folder that it lies in, with --kind voices. To "
                f"draw faces for it: ds2f generate {root} --out faces"
            )
        elif root.is_file():
            raise UserError(f"{root} is a file; give ingest the folder that it lies in (or an uncompressed .tar).")
        else:
            raise UserError(f"There is no folder {root}; check the path.")
        self._check_named()

    def _check_named(self) -> None:
        if not self.named[False]:
            return
        if not self.named[True]:
            raise UserError(f"--person {self.person} matches no file in {self.root}; give another. It was not entered.")
        self.warnings.append(
            f"--person {self.person} does not match {self.named[False]:,} files; each of them counts as a person."
        )

    def _walk(self) -> Iterator[tuple[str, str, list[os.DirEntry[str]]]]:
        """Every folder once, whichever links lead to it: (path, path in the root with a slash at its end, what is in it
        and not hidden), in order. Raises UserError for one that may not be read."""
        pending = [(str(self.root), "")]  # strings, not Paths: a million files are walked in seconds
        entered: set[tuple[int, int]] = set()
        while pending:
            folder, inside = pending.pop()
            try:
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in entered:
                    continue  # a link back into the tree; every folder is read once
                entered.add((status.st_dev, status.st_ino))
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda e: e.name)
            except PermissionError:
                raise UserError(
                    f"The folder {folder} cannot be read (permission denied); change its permissions, or give another."
                ) from None
            except FileNotFoundError:
                continue  # removed while the others were read
            shown = [e for e in entries if not e.name.startswith(".")]
            pending.extend((e.path, f"{inside}{e.name}/") for e in reversed(shown) if _holds(e.is_dir))
            yield folder, inside, shown

    def _folder(self) -> Iterator[CorpusItem]:
        for _, inside, shown in self._walk():
            for entry in shown:
                place = Place.of(f"{self.root.name}/{inside}{entry.name}")
                if not _holds(entry.is_file):
                    if entry.is_symlink() and not _holds(entry.is_dir):
                        self._leave_out("other", inside + entry.name)  # a broken or circular link
                    continue
                if entry.is_symlink() and self._again(entry.path):
                    self._leave_out("link", inside + entry.name)
                    continue
                if entry.path in self.side.seen:
                    continue  # has been reported already
                if kind := self._kind(place, inside + entry.name):
                    try:
                        status = entry.stat()
                    except FileNotFoundError:
                        continue  # likewise
                    yield self._item(kind, place, inside + entry.name, status.st_size, status.st_mtime_ns)

    def _again(self, link: str) -> bool:
        """Whether a link points to a file that is found in this tree anyway. Files in hidden folders, such as those of
        DVC and git-annex, are found only through their links."""
        target = Path(os.path.realpath(link))
        root = Path(os.path.realpath(self.root))
        if target.suffix.lower() not in KIND_OF or not target.is_relative_to(root):
            return False
        return not any(part.startswith(".") for part in target.relative_to(root).parts)

    def _tar(self) -> Iterator[CorpusItem]:
        root = self.root
        try:
            mtime_ns = root.stat().st_mtime_ns
            with tarfile.open(root, "r:") as archive:
                members = {member.name: member for member in archive if member.isfile()}  # of equal names, the last
        except FileNotFoundError:
            raise UserError(f"There is no file {root}; check the path.") from None
        except (tarfile.ReadError, OSError) as error:
            raise UserError(f"{root} is not a readable uncompressed tar ({error}).") from None
        for path, member in members.items():
            if any(part.startswith(".") for part in path.removeprefix("./").split("/")):
                continue  # as in folders; macOS puts ._a.jpg next to each a.jpg
            if member.issparse():
                self._leave_out("other", path)
                continue
            place = Place.of(f"{root.stem}/{path.removeprefix('./')}")
            if kind := self._kind(place, path):
                yield self._item(kind, place, path, member.size, mtime_ns, member.offset_data)

    def _kind(self, place: Place, path: str) -> str | None:
        """The kind of a requested file, None for any other."""
        kind = KIND_OF.get(os.path.splitext(place.name)[1].lower())
        wanted = kind == (self.kind or "video") or (self.kind is None and kind and mavceleb.recognise(place))
        if wanted and _is_text(path):
            return kind
        self._leave_out("other" if wanted or kind is None else kind, path)  # requested, but in no known encoding
        return None

    def _leave_out(self, what: str, path: str) -> None:
        self.left_out[what] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(path if _is_text(path) else ascii(path))

    def _item(
        self, kind: str, place: Place, path: str, size: int, mtime_ns: int, offset: int | None = None
    ) -> CorpusItem:
        corpus, found = recognise(place, kind)
        if corpus == "folder" and self.person:
            named = plain.chosen(self.person, place)
            self.named[named is not None] += 1
            found = named or plain.by_file(place)
        if not found.identity.isascii():  # macOS stores letters and their accents separately
            found = replace(found, identity=unicodedata.normalize("NFC", found.identity))
        found = self.side.complete(corpus, place, found)
        if not found.whole:
            self.not_whole[corpus] += 1
        return CorpusItem(
            path, corpus, found.identity, size, mtime_ns, offset, found.labels, kind, self._scope(place, found)
        )

    def _scope(self, place: Place, found: Recognised) -> str:
        if found.within is None:
            return ""
        return str(self.root.joinpath(*place.folders[1 : found.within]) if found.within else self.root.parent)


def scan(root: Path, kind: str | None = "video") -> Iterator[CorpusItem]:
    """Files of a root; see `Scan.items`."""
    return Scan(root, kind).items()


def _holds(question: Callable[[], bool]) -> bool:
    """The answer of a directory entry, False if it cannot be determined, for example for a circular link."""
    try:
        return question()
    except OSError:
        return False


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
