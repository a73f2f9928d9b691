"""Side files of corpora: identities and attributes that are stored next to the files rather than in their names.

| file | corpus | content |
| --- | --- | --- |
| vox1_meta.csv | VoxCeleb1 | name (as in VGGFace), gender and nationality for a number |
| vox2_meta.csv | VoxCeleb2 | number in VGGFace2, and gender, for a number |
| full_vox2_meta.csv | HQ-VoxCeleb | name, number in VGGFace2 and gender for a number of VoxCeleb2 |
| identity_meta.csv | VGGFace2 | name and gender for a number |
| identity_CelebA.txt (or .csv) | CelebA | the person in a picture |
| list_attr_celeba.txt (or .csv) | CelebA | gender in a picture, and whether the person looks young |
| SPEAKERS.TXT | LibriSpeech | gender of a speaker |
| [in]validated.tsv, other.tsv, train.tsv, dev.tsv, test.tsv | Common Voice | the person in a clip, and gender |

They are looked for in the ingested root and below it, in up to LEVELS folders above, and in those called BESIDE there.
One that cannot be parsed causes a warning and nothing else. Copies in circulation vary: headers with or without spaces,
tabs or commas, a space after every value, a byte order mark, Windows line endings.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ds2f.corpora.base import Place, Recognised
from ds2f.corpora.tables import Alias, PeopleTable, Unreadable, read_rows

LEVELS = 3
BESIDE = ("Anno", "meta")  # where CelebA and VGGFace2 have theirs
GENDERS = {"m": "male", "f": "female", "male": "male", "female": "female"}
_COMMON_VOICE_GENDERS = GENDERS | {"male_masculine": "male", "female_feminine": "female"}
NAMED = ("voxceleb", "vggface", "hqvoxceleb")  # corpora that name people as VGGFace does
Labels = tuple[tuple[str, str], ...]


@dataclass
class SideFiles:
    """What was read. people: labels by (corpus, person); files, looks: the person and the labels of a picture, by
    (corpus, stem); tables: which identities in several corpora are one person; read: a short description of each;
    warnings: sentences; seen: paths of all side files; understood: names of those that could be read."""

    people: dict[tuple[str, str], Labels] = field(default_factory=dict)
    files: dict[tuple[str, str], str] = field(default_factory=dict)
    looks: dict[tuple[str, str], Labels] = field(default_factory=dict)
    tables: list[PeopleTable] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    understood: set[str] = field(default_factory=set)

    def look_above(self, root: Path) -> None:
        """Read side files above an ingested folder, or next to an ingested tar. Nearer ones take precedence."""
        for folder in reversed([f for f in root.absolute().parents][:LEVELS]):
            for place in (folder, *(folder / name for name in BESIDE)):
                try:
                    self.look_at(str(place), os.listdir(place))
                except OSError:
                    continue  # no permission to read it

    def look_at(self, folder: str, names: Sequence[str]) -> None:
        """Read the side files among the files of a folder."""
        for name in names:
            if name[-4:].lower() not in (".csv", ".txt", ".tsv"):
                continue
            reader = _reader(name)
            path = os.path.join(folder, name)
            if reader is None or path in self.seen:
                continue
            self.seen.add(path)
            try:
                if told := reader(self, Path(path)):
                    self.read.append(f"{path}: {told}")
                    self.understood.add(name)
            except Unreadable as error:
                self.warnings.append(f"{path} {error}; it was left aside.")

    def complete(self, corpus: str, place: Place, found: Recognised) -> Recognised:
        """What a layout recognised, completed from the side files."""
        if not self.people and not self.files and not self.looks:
            return found
        person = self.files.get((corpus, place.stem), found.identity)
        more = self.people.get((corpus, person), ()) + self.looks.get((corpus, place.stem), ())
        if person == found.identity and not more:
            return found
        labels = dict(more) | dict(found.labels)  # a file's own name takes precedence over a table
        return Recognised(person, tuple(labels.items()), found.whole, found.within)


def _voxceleb(side: SideFiles, path: Path) -> str:
    """The tables of VoxCeleb, HQ-VoxCeleb and VGGFace2."""
    rows = read_rows(path)
    header = [re.sub(r"[\s_]", "", cell).lower() for cell in next(rows, [])]
    columns: dict[str, tuple[str, ...]] = {
        "voxceleb1id": ("voxceleb",),
        "voxceleb2id": ("voxceleb",),
        "vggface1id": NAMED,
        "vggface2id": ("vggface2",),
        "classid": ("vggface2",),
        "name": ("hqvoxceleb",),
        "id": ("voxceleb",),
    }
    ids = [(i, columns[name]) for i, name in enumerate(header) if name in columns]
    gender = next((i for i, name in enumerate(header) if name in ("gender", "genderx")), None)
    nationality = header.index("nationality") if "nationality" in header else None
    if not ids or gender is None:
        raise Unreadable("is not a table of people: its first line does not name ID and Gender")
    table, unread = PeopleTable(str(path)), set[str]()
    stated: dict[Alias, list[tuple[str, str]]] = {}
    for row in rows:
        row += [""] * (len(header) - len(row))
        labels = []
        if said := GENDERS.get(row[gender].lower()):
            labels.append(("gender", said))
        elif row[gender]:
            unread.add(row[gender])
        if nationality is not None and row[nationality]:
            labels.append(("nationality", row[nationality]))
        names: list[Alias] = [(corpus, row[i]) for i, corpora in ids if row[i] for corpus in corpora]
        for alias in names:
            # If several rows share a name, it gets only the labels that they agree on.
            stated[alias] = [label for label in stated.get(alias, labels) if label in labels]
        table.add(names)
    if not table.rows:
        raise Unreadable("names nobody")
    side.people.update({alias: tuple(labels) for alias, labels in stated.items()})
    if unread:
        side.warnings.append(
            f"{path} has genders that are neither m nor f, such as {min(unread)!r}; they were left out."
        )
    side.tables.append(table)
    twice = table.drop_ambiguous()
    if twice:
        side.warnings.append(
            f"{path} has {len(twice)} names in more than one row, such as {' '.join(min(twice))}; nobody is joined by "
            "these, and labels on which the rows differ are left out."
        )
    return f"{len(table.rows):,} people"


def _celeba_people(side: SideFiles, path: Path) -> str:
    rows = [row for row in read_rows(path, blanks=True) if len(row) == 2 and row[0] != "image_id"]
    if not rows:
        raise Unreadable("is not CelebA's list of people: no line is a picture and a number")
    for name, person in rows:
        side.files["celeba", os.path.splitext(name)[0]] = person
    return f"{len(rows):,} pictures"


def _celeba_looks(side: SideFiles, path: Path) -> str:
    header: list[str] = []
    before = len(side.looks)
    for row in read_rows(path, blanks=True):
        if "Male" in row:
            header = row if row[0] == "image_id" else ["image_id", *row]
        elif header and len(row) == len(header):
            seen = dict(zip(header, row, strict=True))
            gender = "male" if seen["Male"] == "1" else "female"
            young = "yes" if seen.get("Young") == "1" else "no"
            side.looks["celeba", os.path.splitext(row[0])[0]] = (("gender", gender), ("young", young))
    if not header:
        raise Unreadable("is not CelebA's list of attributes: no line names them")
    return f"{len(side.looks) - before:,} pictures"


def _librispeech(side: SideFiles, path: Path) -> str:
    """Lines such as `14   | F | train-clean-360  | 25.03 | Kristin LeMoine`; comments begin with a semicolon."""
    found = 0
    for row in read_rows(path, delimiter="|"):
        if len(row) >= 3 and row[0].isdecimal() and row[1].lower() in GENDERS:
            side.people["librispeech", row[0]] = (("gender", GENDERS[row[1].lower()]),)
            found += 1
    if not found:
        raise Unreadable("is not LibriSpeech's list of speakers: no line is ID | SEX | ...")
    return f"{found:,} speakers"


def _common_voice(side: SideFiles, path: Path) -> str:
    """A table without quoting, of up to millions of lines. A person of two genders has none."""
    found = 0
    try:
        with open(path, encoding="utf-8-sig") as file:
            columns = next(file, "").rstrip("\n").split("\t")
            if not {"client_id", "path"} <= set(columns):
                return ""  # others call their lists train.tsv, too
            for line in file:
                row = dict(zip(columns, line.rstrip("\n").split("\t"), strict=False))
                if not (row.get("client_id") and row.get("path")):
                    continue
                alias = "commonvoice", sys.intern(row["client_id"])  # of many clips
                side.files["commonvoice", os.path.splitext(row["path"])[0]] = alias[1]
                if gender := _COMMON_VOICE_GENDERS.get(row.get("gender", "")):
                    labels = (("gender", gender),)
                    side.people[alias] = labels if side.people.get(alias, labels) == labels else ()
                found += 1
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"cannot be read ({error})") from None
    return f"{found:,} clips"


_READERS: Sequence[tuple[re.Pattern[str], Callable[[SideFiles, Path], str]]] = (
    (re.compile(r"(full_)?vox(celeb)?[12]_?meta.*", re.IGNORECASE), _voxceleb),
    (re.compile(r"identity_meta.*", re.IGNORECASE), _voxceleb),
    (re.compile(r"identity_CelebA.*", re.IGNORECASE), _celeba_people),
    (re.compile(r"list_attr_celeba.*", re.IGNORECASE), _celeba_looks),
    (re.compile(r"SPEAKERS\.TXT"), _librispeech),
    (re.compile(r"((in)?validated|other|train|dev|test)\.tsv"), _common_voice),
)


def is_side_file(name: str) -> bool:
    """Whether a file of this name is read as a corpus's own."""
    return _reader(name) is not None


def _reader(name: str) -> Callable[[SideFiles, Path], str] | None:
    return next((read for pattern, read in _READERS if pattern.fullmatch(name)), None)
