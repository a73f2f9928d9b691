"""The table of SF2F (Bai et al., "Speech Fusion to Face", 2020, arXiv:2006.05888) and Vox2Face, of generated faces.

Source. utils/s2f_evaluator.py and test.py of github.com/BAI-Yeqi/SF2F_PyTorch.

Definition. Every picture is cropped to one box, left 0.235, top 0.195, right 0.765, bottom 0.915 of its sides (the mean
box of VGGFace2's faces), without a detector, and embedded by a face network. A person is the mean vector of all their
true faces; the query is one generated face. L2, L1 (sums over the vector) and cosine of the two are averaged over
people; "between people" is the mean cosine of a generated face and the true vectors of all others. Recall@1, 2, 5, 10,
20 and 50 is the share of people whose true vector is among the nearest K of 100 by cosine. The VGGFace score is the
Inception score with VGGFace2's ResNet-50 and its 8,631 people: exp E[KL(p(y|x) ‖ p(y))], mean and deviation over five
parts.

What differs here, and why:
- The space is any installed face encoder, or all in the dataset; SF2F's is FaceNet trained on VGGFace2
  (`deepface:Facenet` is its architecture).
- True faces are canonical crops as stored in the dataset, in which the face is placed as in HQ-VoxCeleb's pictures: the
  eyes are level, and the centre of the box is off the centre of the crop's face by 0.005. An encoder that aligns by
  landmarks gets those of the canonical crop, so for it the box has no effect.
- SF2F uses three galleries of a hundred people in the order of the list; here recall is the mean over all galleries of
  a hundred, exactly (`Ranks.hit_in`). With fewer people N is the number available, and is stated. Ties are shared.
- A person without a picture is a blind guess in recall, and is left out of the means.
- The parts of the VGGFace score are drawn with a fixed seed; SF2F shuffles each time.
- Intervals are over people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ds2f.dataset.clips import crops_of_people
from ds2f.dataset.pairing import paired
from ds2f.dataset.queries import Dataset, Pair
from ds2f.errors import ItemError, UserError
from ds2f.evaluation import retrieval
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.embed import find_pictures
from ds2f.evaluation.leaks import leaks_of, refuse
from ds2f.evaluation.protocols.vggface import Score, VGGFace
from ds2f.evaluation.results import Measure
from ds2f.face.align import template
from ds2f.face.base import FaceEmbedder
from ds2f.face.registry import load_embedder
from ds2f.io.files import make_folder, write_json
from ds2f.io.images import decode_image, read_image
from ds2f.types import DetectedFace, Progress, Source

BOX = (0.235, 0.195, 0.765, 0.915)  # left, top, right, bottom
RECALLS = (1, 2, 5, 10, 20, 50)
GALLERY = 100
SIDE = 256  # pixels that every picture is resized to; networks take 112 to 160 px of a face


@dataclass(frozen=True)
class Row:
    """A method in one space. people: number of queries; pictures: how many of them have one; gallery: N; l2, l1,
    cosine, between: None without pictures; recall: {K: share in [0, 1]}; vggface: None without the network."""

    method: str
    space: str
    people: int
    pictures: int
    gallery: int
    l2: Measure | None
    l1: Measure | None
    cosine: Measure | None
    between: Measure | None
    recall: dict[int, Measure]
    vggface: Score | None = None


@dataclass(frozen=True)
class People:
    """The people of a split. names: of P people; clips: the first clip of each; truth: {space: (P, d) mean vectors};
    first: {space: (P, d)} of the true face of that clip."""

    names: tuple[str, ...]
    clips: tuple[Pair, ...]
    truth: Mapping[str, np.ndarray]
    first: Mapping[str, np.ndarray]


def in_box(picture: np.ndarray) -> tuple[np.ndarray, DetectedFace]:
    """(h, w, 3) uint8 to the picture at SIDE pixels and the face that is assumed in its BOX."""
    image = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    left, top, right, bottom = (int(side * SIDE) for side in BOX)
    box = (left, top, right + 1 - left, bottom + 1 - top)  # SF2F's box includes its last pixel
    return image, DetectedFace(box, template(SIDE), 1.0)


def embed(pictures: Iterable[np.ndarray], encoder: FaceEmbedder) -> np.ndarray:
    """(n, d) float64 for n pictures, each (h, w, 3) uint8."""
    found = []
    for picture in pictures:
        image, face = in_box(picture)
        found.append(encoder.embed([image], [face])[0])
    return np.stack(found).astype(np.float64)


def load_people(
    data: Dataset, split: str, encoders: Sequence[FaceEmbedder], progress: Progress | None = None
) -> People:
    """All faces of the people of a split who have a voice. Raises UserError if there are fewer than two people."""
    pairs = paired(data, split)
    first = {pair.person: pair for pair in reversed(pairs)}
    names = tuple(dict.fromkeys(pair.person for pair in pairs))
    if len(names) < 2:
        raise UserError(f"Split {split} of {data.path} has {len(names)} people with voice and face; two are needed.")
    crops = crops_of_people(data, split)
    total = sum(len(crops[name]) for name in names)
    done, truth = 0, {encoder.name: list[np.ndarray]() for encoder in encoders}
    for name in names:
        pictures = [decode_image(crop) for crop in crops[name]]
        for encoder in encoders:
            truth[encoder.name].append(embed(pictures, encoder).mean(0))
        done += len(pictures)
        if progress is not None:
            progress(done, total)
    own = [decode_image(first[name].crop) for name in names]
    return People(
        names,
        tuple(first[name] for name in names),
        {space: np.stack(vectors) for space, vectors in truth.items()},
        {encoder.name: embed(own, encoder) for encoder in encoders},
    )


def pictures_of(folder: Path, clips: Sequence[Pair]) -> list[np.ndarray | None]:
    """The first picture of each clip; None if there is none or it cannot be read. Raises UserError as
    `find_pictures` does."""
    return [_read(files[0]) if files else None for files in find_pictures(folder, clips)]


def _read(file: Path) -> np.ndarray | None:
    try:
        return read_image(Source(file))
    except ItemError:
        return None


def measure_method(method: str, space: str, asked: np.ndarray, truth: np.ndarray, bootstrap: Bootstrap) -> Row:
    """The row of one method in one space, without the VGGFace score.

    method, space: their names.
    asked: (P, d) vectors of the generated faces, a row of NaN for none.
    truth: (P, d) mean vectors of the same P people.
    bootstrap: over these people.
    """
    people = len(truth)
    known = ~np.isnan(asked).any(1)
    cosines = 1 - np.stack([retrieval.cosine(asked, row) for row in truth], 1)  # (P, P)
    others = np.where(np.eye(people, dtype=bool), np.nan, cosines)
    between = np.full(people, np.nan)
    between[known] = np.nanmean(others[known], 1)
    gallery = min(GALLERY, people)
    ranks = retrieval.rank(asked, truth, [str(i) for i in range(people)], "cosine")
    recall = {k: bootstrap.mean(ranks.hit_in(k, gallery)) for k in RECALLS}
    return Row(
        method,
        space,
        people,
        int(known.sum()),
        gallery,
        bootstrap.mean(retrieval.l2(asked, truth)),
        bootstrap.mean(retrieval.l1(asked, truth)),
        bootstrap.mean(np.where(known, np.diag(cosines), np.nan)),
        bootstrap.mean(between),
        {k: found for k, found in recall.items() if found is not None},
    )


def chance(space: str, people: int) -> Row:
    """Guessing blindly: K / N."""
    gallery = min(GALLERY, people)
    return Row("chance", space, people, 0, gallery, None, None, None, None,
               {k: Measure(min(1.0, k / gallery)) for k in RECALLS})  # fmt: skip


def table(
    data: Dataset,
    split: str,
    images: Mapping[str, Path],
    encoders: Sequence[FaceEmbedder],
    draws: int = 1000,
    seed: int = 0,
    vggface: VGGFace | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """A row for each folder of pictures and each space, with chance and the person's own true face for comparison.

    data, split: the people.
    images: {name: folder}, pictures named as for `ds2f evaluate`; for each person the first picture of the first clip.
    encoders: the spaces.
    draws, seed: of the intervals.
    vggface: for the VGGFace score; None: without it.
    progress: called with (true faces embedded, total).
    Raises UserError for what the user can fix.
    """
    people = load_people(data, split, encoders, progress)
    drawn = {name: pictures_of(folder, people.clips) for name, folder in images.items()}
    bootstrap = Bootstrap(people.names, draws, seed)
    rows = []
    for encoder in encoders:
        space, truth = encoder.name, people.truth[encoder.name]
        for name, pictures in drawn.items():
            asked = np.full(truth.shape, np.nan)
            there = [i for i, picture in enumerate(pictures) if picture is not None]
            shown = [picture for picture in pictures if picture is not None]
            if shown:
                asked[there] = embed(shown, encoder)
            row = measure_method(name, space, asked, truth, bootstrap)
            rows.append(row if vggface is None else replace(row, vggface=vggface.score(shown)))
        rows.append(measure_method("own face", space, people.first[space], truth, bootstrap))
        rows.append(chance(space, len(people.names)))
    return rows


def write_table(
    database: Path,
    split: str,
    images: Mapping[str, Path],
    out: Path,
    spaces: Sequence[str],
    draws: int = 1000,
    vggface: Path | None = None,
    progress: Progress | None = None,
    allow_leak: bool = False,
) -> list[Row]:
    """`table` of a dataset, with encoders loaded by name; also written to sf2f.json in the folder `out`.

    database: the dataset.
    split: the people.
    images: {name: folder}, as for `table`.
    out: folder of sf2f.json; created if missing.
    spaces: face encoders, as in [faces] encoders.
    draws: of the intervals.
    vggface: file of the network, see `vggface.VGGFace`; None: without its score.
    progress: called with (true faces embedded, total).
    allow_leak: measure although the split leaks, and record how.
    Raises UserError for what the user can fix.
    """
    make_folder(out)
    encoders = [load_embedder(spec) for spec in spaces]
    network = None if vggface is None else VGGFace(vggface)
    with Dataset(database) as data:
        refuse(found := leaks_of(data, split, images.values()), allow_leak)
        rows = table(data, split, images, encoders, draws, 0, network, progress)
        record = {"protocol": "sf2f", "split": split, "dataset": data.fingerprint(), "leaks": found}
    write_json(out / "sf2f.json", {**record, "rows": [asdict(row) for row in rows]})
    return rows
