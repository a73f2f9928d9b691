"""Cross-modal verification by the lists of Learnable PINs (Nagrani, Albanie & Zisserman, ECCV 2018, arXiv:1805.00833).

Source. Ten lists over VoxCeleb1, `veriflist_test_{random,G,N,A,GNA}_{seenheard,unseenunheard}.txt`, public in the
repository of CMPC (Zhu et al., IJCAI 2022, arXiv:2204.14057; github.com/Cocoxili/CMPC, data/veriflist).

Definition. A line is `id,voice-speaker-id,face-speaker-id,label,voice-path,face-path`, label 1 = one person. The two
people of a wrong pair share nothing (random), gender (G), nationality (N), age (A) or all three (GNA). seenheard: other
recordings of 901 people in the training set; unseenunheard: 250 people outside it. Reported are the area under the ROC
curve and the equal error rate over all lines of a list.

What differs here, and why:
- The equal error rate is interpolated; CMPC prints the false alarm rate at the threshold nearest to equality.
- CMPC averages a face with its mirror image, and several windows of a voice; here a face and a voice are one vector
  each.
- A file without speech, or without a face, is no evidence: its pairs score as an even guess and stay in the list.
- Intervals are over people, whom the lists name; the papers print none.
- The shipped model was not trained on these splits, so for it "seen" and "unseen" are only names of lists.
- Right pairs of seenheard are always the voice and face of one video, and so is every seventh of unseenunheard; wrong
  pairs never are. Cues to the recording rather than the person therefore help a model there; the lists are used as they
  are.

The voice paths are those of the first release of VoxCeleb1, `NAME/YTID_0000001.wav`; the current one has
`id10001/YTID/00001.wav`, and its `vox1_meta.csv` maps ids to names. Faces, `NAME/YTID/0001225.jpg`, are in the
published frames at `unzippedFaces/NAME/1.6/YTID/0001225.jpg`. Both are found below any --root.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ds2f.corpora.tables import Unreadable, read_rows
from ds2f.errors import UserError
from ds2f.evaluation.protocols.lists import VOICE, Places, Trial, TrialList, numbered_lines

COLUMNS = ("id", "voice-speaker-id", "face-speaker-id", "label", "voice-path", "face-path")
META = "vox1_meta.csv"
_NAME = re.compile(r"veriflist_test_(random|GNA|G|N|A)_(seenheard|unseenunheard)$")
_FIRST_RELEASE = re.compile(r"^(?P<name>[^/]+)/(?P<video>[\w-]{11})_(?P<number>\d{5,7})\.(?P<ending>\w+)$")
_VOICES = ("", "wav/", "dev/wav/", "test/wav/", "vox1_dev_wav/wav/", "vox1_test_wav/wav/")
_FACES = ("", "unzippedFaces/")


def read(path: Path) -> TrialList:
    """Read a list. Raises UserError for a file that is not such a list, or a line that is not a trial."""
    lines = numbered_lines(path)
    if tuple(cell.strip() for cell in lines[0][1].split(",")) != COLUMNS:
        raise UserError(f"{path} is not a list of Learnable PINs: its first line must be {','.join(COLUMNS)}.")
    trials, seen = [], set()
    for number, text in lines[1:]:
        cells = [cell.strip() for cell in next(csv.reader([text]))]
        if len(cells) != len(COLUMNS) or cells[3] not in ("0", "1") or not all(cells):
            raise UserError(f"{path}, line {number}: a trial is {','.join(COLUMNS)} with label 0 or 1.")
        name, voice_person, face_person, label, voice, face = cells
        if (label == "1") != (voice_person == face_person):
            raise UserError(f"{path}, line {number}: label {label} of speakers {voice_person} and {face_person}.")
        if name in seen:
            raise UserError(f"{path}, line {number}: a second trial has the id {name}.")
        seen.add(name)
        trials.append(Trial(name, voice, face, label == "1", (voice_person, face_person)))
    if len({trial.same for trial in trials}) < 2:
        raise UserError(f"{path} needs trials of both kinds; it has {len(trials)} of one.")
    told = _NAME.search(path.stem)
    criterion, people = (told[1], told[2]) if told else ("", "")
    return TrialList(path.stem, tuple(trials), criterion=criterion, people=people)


def places(ids: Mapping[str, str]) -> Places:
    """ids: {name: the person's VoxCeleb1 id}, see `read_ids`; may be empty."""

    def of(kind: str, path: str) -> Iterator[str]:
        yield path
        yield from _voices(path, ids) if kind == VOICE else _faces(path)

    return of


def _voices(path: str, ids: Mapping[str, str]) -> Iterator[str]:
    told = _FIRST_RELEASE.match(path)
    inner = path
    if told:
        if told["name"] not in ids:
            return
        inner = f"{ids[told['name']]}/{told['video']}/{int(told['number']):05d}.{told['ending']}"
    yield from (folder + inner for folder in _VOICES)


def _faces(path: str) -> Iterator[str]:
    place = PurePosixPath(path)
    if len(place.parts) == 3:  # the published frames were cropped at 1.6 times the box, as their path states
        path = str(PurePosixPath(place.parts[0], "1.6", *place.parts[1:]))
    yield from (folder + path for folder in _FACES)


def read_ids(roots: Sequence[Path]) -> dict[str, str]:
    """{name: VoxCeleb1 id}, from the first vox1_meta.csv in a root or beside it; empty without one.

    Raises UserError for a table without both columns.
    """
    folders = [folder for root in roots for folder in (root, root.parent)]
    path = next((folder / META for folder in folders if (folder / META).is_file()), None)
    if path is None:
        return {}
    try:
        header, *rows = read_rows(path)
        number, name = (header.index(title) for title in ("VoxCeleb1 ID", "VGGFace1 ID"))
    except (Unreadable, ValueError):
        raise UserError(f"{path} has no columns VoxCeleb1 ID and VGGFace1 ID; use VoxCeleb1's own.") from None
    return {row[name]: row[number] for row in rows if len(row) == len(header)}
