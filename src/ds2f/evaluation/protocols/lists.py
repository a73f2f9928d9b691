"""Lists of voices and faces that a protocol compares, and where their files are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ds2f.errors import UserError
from ds2f.io.files import read_lines

VOICE, FACE = "voice", "face"
SHOWN = 3  # missing files shown

Key = tuple[str, str]
"""(VOICE or FACE, path as written in a list)"""


@dataclass(frozen=True)
class Trial:
    """Do a voice and a face belong to one person? voice, face: paths as written in the list; same: None if
    unlabelled; people: names of the voice's and the face's person, "" if the list does not say; language: of the
    voice."""

    id: str
    voice: str
    face: str
    same: bool | None = None
    people: tuple[str, str] = ("", "")
    language: str = ""

    @property
    def pair(self) -> tuple[Key, Key]:
        return (VOICE, self.voice), (FACE, self.face)


@dataclass(frozen=True)
class Choice:
    """Which of the candidates belongs to the probe? The first one does. probe: a voice with faces as candidates, or
    vice versa; person: of the probe."""

    probe: str
    candidates: tuple[str, ...]
    person: str

    def pairs(self, probes: str) -> list[tuple[Key, Key]]:
        """(voice, face) for each candidate. probes: VOICE or FACE, the kind of the probe."""
        if probes == VOICE:
            return [((VOICE, self.probe), (FACE, candidate)) for candidate in self.candidates]
        return [((VOICE, candidate), (FACE, self.probe)) for candidate in self.candidates]


@dataclass(frozen=True)
class TrialList:
    """A file of trials or of choices. name: of the file without its suffix; criterion: what the wrong pairs share
    with the right ones, "" if the name states nothing; people: such as unseen-unheard; probes: VOICE or FACE, for
    choices only."""

    name: str
    trials: tuple[Trial, ...] = ()
    choices: tuple[Choice, ...] = ()
    criterion: str = ""
    people: str = ""
    probes: str = ""

    def files(self) -> Iterator[Key]:
        """In order; a file is repeated as often as it is named."""
        for trial in self.trials:
            yield from trial.pair
        for choice in self.choices:
            for pair in choice.pairs(self.probes):
                yield from pair


Places = Callable[[str, str], Iterable[str]]
"""Maps (VOICE or FACE, path in a list) to the paths relative to a root where it may be, the most likely first."""


@dataclass(frozen=True)
class Found:
    """Files found. files: {(VOICE or FACE, path in the list): (root, path relative to it)}; missing: paths not found
    under any root."""

    files: Mapping[Key, tuple[Path, str]]
    missing: tuple[str, ...] = field(default=())


def as_written(kind: str, path: str) -> Iterable[str]:
    """The path of a file in a list that is published together with its files."""
    return (path,)


def find(lists: Sequence[TrialList], roots: Sequence[Path], places: Places, allow_missing: bool) -> Found:
    """Find the files of some lists.

    Raises UserError for a root that does not exist, and for missing files, unless `allow_missing`; in any case if none
    is found.
    """
    for root in roots:
        if not root.is_dir():
            raise UserError(f"There is no folder {root}; check --root.")
    files: dict[Key, tuple[Path, str]] = {}
    missing: list[str] = []
    for kind, path in dict.fromkeys(file for each in lists for file in each.files()):
        for root, place in ((root, place) for place in places(kind, path) for root in roots):
            if (root / place).is_file():
                files[kind, path] = (root, place)
                break
        else:
            missing.append(path)
    if missing and (not files or not allow_missing):
        named = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        where = ", ".join(str(root) for root in roots)
        mend = "give their folder with --root"
        raise UserError(
            f"{len(missing):,} of {len(missing) + len(files):,} files in the list are not under {where}: "
            f"{named}; {mend}{', or score the rest with --allow-missing' if files else ''}."
        )
    return Found(files, tuple(missing))


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """(number, text) of the non-empty lines. Raises UserError for a file that cannot be read, or is empty."""
    found = [(number, line) for number, line in enumerate(read_lines(path, "list"), 1) if line.strip()]
    if not found:
        raise UserError(f"The list {path} is empty.")
    return found
