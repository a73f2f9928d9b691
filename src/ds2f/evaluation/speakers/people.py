"""Whose recordings the trials of a list are.

A list does not name speakers, but paths mostly do: in known corpora by their layout, else by the folder of a file. If
that contradicts the list (a trial of one speaker in two folders), only the list itself is left: recordings linked by
its trials of one speaker belong to one speaker.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ds2f.corpora import folder, recognise
from ds2f.corpora.base import Place
from ds2f.corpora.metadata import SideFiles
from ds2f.dataset.joining import components
from ds2f.dataset.speakers import is_sure, speaker_hash
from ds2f.errors import UserError
from ds2f.evaluation.speakers.trials import Trial, read_table

CORPORA, FOLDERS, TABLE, LIST = "layout", "folders", "table", "list"


@dataclass(frozen=True)
class Speaker:
    """A speaker. name: unique within its source, "corpus/name" for a known corpus; gender: male, female or ""; hash:
    identifies the speaker in encoders' training records, see `dataset.speakers`."""

    name: str
    gender: str = ""
    hash: str = ""


@dataclass(frozen=True)
class Speakers:
    """The speakers of recordings. of: {path: its speaker}; source: where this is from: CORPORA, FOLDERS, TABLE or
    LIST."""

    of: Mapping[str, Speaker]
    source: str

    def number(self, paths: Iterable[str]) -> dict[str, int]:
        """{path: number of its speaker}, from 0 on in the order of the paths."""
        seen: dict[str, int] = {}
        return {path: seen.setdefault(self.of[path].name, len(seen)) for path in paths}

    def names(self) -> set[str]:
        return {speaker.name for speaker in self.of.values()}


@dataclass
class _Places:
    """What paths and side files say. corpora: of the files looked at."""

    root: Path
    side: SideFiles = field(default_factory=SideFiles)
    corpora: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.root.is_dir():
            self.side.look_above(self.root)
            self.side.look_at(str(self.root), os.listdir(self.root))

    def speaker(self, path: str) -> Speaker:
        place = Place.of(f"{self.root.absolute().name or 'root'}/{path.replace(os.sep, '/').lstrip('/')}")
        corpus, found = recognise(place, "sound")
        if corpus == "folder":
            found = folder.by_folder(place)
        self.corpora.add(corpus)
        labels = dict(self.side.people.get((corpus, found.identity), ()))
        return Speaker(f"{corpus}/{found.identity}", labels.get("gender", ""), speaker_hash(corpus, found.identity))


def who_speaks(trials: Sequence[Trial], root: Path, table: Path | None = None) -> Speakers:
    """The speakers of all recordings in some trials.

    trials: of one list, or of several together.
    root: folder that the paths are relative to.
    table: of speakers, as `read_table` takes it; None: use paths and the corpora's own side files.
    Raises UserError for a table that lacks a recording, or contradicts the list, and for trials that contradict each
    other.
    """
    paths = dict.fromkeys(path for t in trials for path in (t.first, t.second))
    if table is not None:
        of = speakers_of(paths, root, table)
        wrong = next((t for t in trials if (of[t.first].name == of[t.second].name) != t.same), None)
        if wrong is not None:
            raise UserError(
                f"{table} and the list disagree on {wrong.first} and {wrong.second}: the list says "
                f"{'one speaker' if wrong.same else 'two speakers'}."
            )
        return Speakers(of, TABLE)
    places = _Places(root)
    of = {path: places.speaker(path) for path in paths}
    if all((of[t.first].name == of[t.second].name) == t.same for t in trials):
        return Speakers(of, FOLDERS if "folder" in places.corpora else CORPORA)
    tied = components([(path,) for path in paths] + [(t.first, t.second) for t in trials if t.same])
    if wrong := next((t for t in trials if not t.same and tied[t.first] == tied[t.second]), None):
        raise UserError(
            f"Trials contradict each other on {wrong.first} and {wrong.second}: one says two speakers, and others say "
            "one, directly or through further recordings; correct the list."
        )
    return Speakers({path: Speaker(tied[path]) for path in paths}, LIST)


def speakers_of(paths: Iterable[str], root: Path, table: Path | None = None) -> dict[str, Speaker]:
    """{path: its speaker} without trials to compare with. Raises UserError for a table that lacks a recording."""
    places = _Places(root)
    seen = {path: places.speaker(path) for path in paths}
    if table is None:
        return seen
    rows = read_table(table)
    missing = [path for path in seen if path not in rows]
    if missing:
        raise UserError(f"{table} does not say who speaks in {len(missing):,} recordings, such as {missing[0]}.")
    return {
        path: Speaker(
            rows[path][0],
            rows[path][1] or by_path.gender,
            by_path.hash if is_sure(by_path.hash) else speaker_hash("folder", rows[path][0]),
        )
        for path, by_path in seen.items()
    }
