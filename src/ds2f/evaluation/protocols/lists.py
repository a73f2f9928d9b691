"""Lists of voices and faces that a protocol compares, and where their files lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ds2f.errors import UserError
from ds2f.io.files import read_lines

VOICE, FACE = "voice", "face"
SHOWN = 3  # of the files that are not there

Key = tuple[str, str]
"""(VOICE or FACE, path as a list writes it)"""


@dataclass(frozen=True)
class Trial:
    """Do they belong to one person? voice, face: paths as the list writes them; same: None where nothing says it;
    people: names of the voice's and the face's person, "" where the list does not tell; language: of the voice."""

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
    """Which of the candidates belongs to the probe? The first one does. probe: a voice and candidates faces, or the
    other way round; person: of the probe."""

    probe: str
    candidates: tuple[str, ...]
    person: str

    def pairs(self, probes: str) -> list[tuple[Key, Key]]:
        """(voice, face) of each candidate. probes: VOICE or FACE, what the probe is."""
        if probes == VOICE:
            return [((VOICE, self.probe), (FACE, candidate)) for candidate in self.candidates]
        return [((VOICE, candidate), (FACE, self.probe)) for candidate in self.candidates]


@dataclass(frozen=True)
class TrialList:
    """A file of trials, or of choices. name: of the file without its ending; criterion: what the wrong pairs share with
    the right ones, "" for nothing that the name tells; people: whose they are, such as unseen-unheard; probes: VOICE or
    FACE, of choices alone."""

    name: str
    trials: tuple[Trial, ...] = ()
    choices: tuple[Choice, ...] = ()
    criterion: str = ""
    people: str = ""
    probes: str = ""

    def files(self) -> Iterator[Key]:
        """In order; a file as often as it is named."""
        for trial in self.trials:
            yield from trial.pair
        for choice in self.choices:
            for pair in choice.pairs(self.probes):
                yield from pair


Places = Callable[[str, str], Iterable[str]]
"""(VOICE or FACE, path of a list) to the paths below a root at which it may lie, the likeliest first."""


@dataclass(frozen=True)
class Found:
    """files: {(VOICE or FACE, path of the list): (root, path below it)}; missing: paths of which no root has any."""

    files: Mapping[Key, tuple[Path, str]]
    missing: tuple[str, ...] = field(default=())


def as_written(kind: str, path: str) -> Iterable[str]:
    """The place of a list that is published with its files."""
    return (path,)


def find(lists: Sequence[TrialList], roots: Sequence[Path], places: Places, allow_missing: bool) -> Found:
    """Where the files of some lists lie.

    Raises UserError for a root that is not there, and for files that are not, unless `allow_missing`; if none is there
    at all, in any case.
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
        mend = "give the folder that they lie in with --root"
        raise UserError(
            f"{len(missing):,} of {len(missing) + len(files):,} files that the list names are not under {where}: "
            f"{named}; {mend}{', or score the rest with --allow-missing' if files else ''}."
        )
    return Found(files, tuple(missing))


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """(number, text) of the lines that are not empty. Raises UserError for a file that cannot be read, or is empty."""
    found = [(number, line) for number, line in enumerate(read_lines(path, "list"), 1) if line.strip()]
    if not found:
        raise UserError(f"The list {path} is empty.")
    return found
