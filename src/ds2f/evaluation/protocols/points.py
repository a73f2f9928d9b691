"""Voices and faces of lists in the space of an alignment: points on a sphere, one per file.

The files are extracted like those of a dataset: in worker processes, each once, into a database beside the results. A
stopped run resumes, another model extracts only the vectors it lacks, and each failure is a row with its reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ds2f.config import Config
from ds2f.dataset.ingest import enter
from ds2f.dataset.queries import Dataset, to_vector
from ds2f.dataset.recordings import acoustics_of
from ds2f.dataset.splits import SplitRule
from ds2f.evaluation.protocols.lists import FACE, VOICE, Found, Key
from ds2f.extract.engines.local import Load
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import ExtractSettings
from ds2f.io.formats import AUDIO_SUFFIXES
from ds2f.io.images import IMAGE_SUFFIXES
from ds2f.models.alignment import Alignment
from ds2f.models.voices import given
from ds2f.types import ACOUSTICS, CorpusItem, Progress
from ds2f.voice.encode import VoiceEncoder

DATABASE = "files.db"
CORPUS = "list"


@dataclass(frozen=True)
class Points:
    """Embedded files. places: {(VOICE or FACE, path in the list): row of vectors}, without files that could not be
    used; vectors: (n, d) of length 1; refused: {path: reason} for those files; no_evidence: the cosine at which
    log-odds are 0."""

    places: Mapping[Key, int]
    vectors: np.ndarray
    refused: Mapping[str, str]
    no_evidence: float

    def cosines(self, pairs: Iterable[tuple[Key, Key]]) -> np.ndarray:
        """(n,) for n pairs of files; that of an even guess where one of the two could not be used."""
        rows = np.array([(self.places.get(a, -1), self.places.get(b, -1)) for a, b in pairs], int).reshape(-1, 2)
        known = (rows >= 0).all(1)
        found = np.full(len(rows), self.no_evidence)
        left, right = (self.vectors[rows[known, side]] for side in (0, 1))
        found[known] = np.einsum("nd,nd->n", left, right)
        return found


def embed(
    found: Found, model: Alignment, out: Path, config: Config, workers: int = 1, progress: Progress | None = None
) -> Points:
    """Embed all files of some lists in the space of one alignment.

    found: where the files are.
    model: determines the voice and face encoders.
    out: folder of the database; must exist.
    config: [audio] and [faces] as for extraction; clip lengths and encoders are the model's.
    workers: processes.
    progress: called with (files done, total).
    Raises UserError if it is not known how to load an encoder of the model.
    """
    path = out / DATABASE
    _enter(path, found)
    settings = _settings(model, config)
    load = Load(workers, config.extract.batch, settings.item_seconds)
    extract_missing(path, settings, load, progress=progress)
    return _points(path, found, model)


def _enter(path: Path, found: Found) -> None:
    of_root: dict[tuple[Path, str], list[CorpusItem]] = {}
    for root, place in dict.fromkeys(found.files.values()):
        status = (root / place).stat()
        item = CorpusItem(place, CORPUS, str(Path(place).parent), status.st_size, status.st_mtime_ns)
        kind = _kind(place)
        of_root.setdefault((Path(os.path.abspath(root)), kind), []).append(item)
    with Dataset(path, create=True) as dataset:
        for (root, kind), items in of_root.items():
            enter(dataset, root, kind, items, SplitRule(val=0.0, test=0.0))


def _kind(path: str) -> str:
    """A video may be in a list as a voice, as a face, or as both."""
    suffix = Path(path).suffix.lower()
    return "still" if suffix in IMAGE_SUFFIXES else "sound" if suffix in AUDIO_SUFFIXES else "video"


def _settings(model: Alignment, config: Config) -> ExtractSettings:
    """Only the encoders that the model takes."""
    wanted = model.config
    names = [name for name in wanted.voices if name != ACOUSTICS]
    encoder = VoiceEncoder(config.audio, wanted.clip_seconds, names)
    encoder.check()
    audio = replace(
        config.audio,
        clip_seconds=[wanted.clip_seconds],
        encoders=[encoder.known[name] for name in names],
        languages=[],
        acoustics=ACOUSTICS in wanted.voices,
        keep_seconds=config.audio.keep_seconds if ACOUSTICS in wanted.voices else wanted.clip_seconds,
    )
    faces = replace(config.faces, encoders=[wanted.face_encoder], attributes=[], box_crop=0)
    settings = ExtractSettings.of(config)
    return replace(settings, audio=audio, faces=faces)


@torch.no_grad()
def _points(path: Path, found: Found, model: Alignment) -> Points:
    wanted = model.config
    with Dataset(path) as dataset:
        ids = _ids(dataset)
        rows = dataset.connection.execute(
            "SELECT video_id, encoder, vector FROM voice_embeddings WHERE seconds = ?", (wanted.clip_seconds,)
        )
        heard: dict[int, dict[str, np.ndarray]] = {}
        for r in rows:
            heard.setdefault(r["video_id"], {})[r["encoder"]] = to_vector(r["vector"])
        if ACOUSTICS in wanted.voices:
            for video_id, measured in acoustics_of(dataset).items():
                heard.setdefault(video_id, {})[ACOUSTICS] = measured
        seen = {
            r["video_id"]: to_vector(r["vector"])
            for r in dataset.connection.execute(
                "SELECT video_id, vector FROM face_embeddings WHERE encoder = ?", (wanted.face_encoder,)
            )
        }
        reasons = dict(dataset.connection.execute("SELECT video_id, reason FROM failures ORDER BY stage = 'face' DESC"))
    main = next(iter(wanted.voices))
    usable = {VOICE: {i for i, voices in heard.items() if main in voices}, FACE: set(seen)}
    keys = {key: ids[os.path.abspath(root / place)] for key, (root, place) in found.files.items()}
    chosen = {kind: [k for k, i in keys.items() if k[0] == kind and i in usable[kind]] for kind in (VOICE, FACE)}
    refused = {k[1]: reasons.get(i, "no usable vector") for k, i in keys.items() if i not in usable[k[0]]}
    parts = []
    if chosen[VOICE]:
        voices = [heard[keys[key]] for key in chosen[VOICE]]
        told = {name: given([v.get(name) for v in voices]) for name in wanted.voices if any(name in v for v in voices)}
        parts.append(model.voice(model.inputs(told)))
    if chosen[FACE]:
        parts.append(model.face(torch.from_numpy(np.stack([seen[keys[key]] for key in chosen[FACE]]))))
    vectors = torch.cat(parts).double().numpy() if parts else np.zeros((0, wanted.dim))
    places = {key: i for i, key in enumerate(chosen[VOICE] + chosen[FACE])}
    return Points(places, vectors, refused, model.even_cosine)


def _ids(dataset: Dataset) -> dict[str, int]:
    """{absolute path: video_id}. One root may lie inside another and contain the file under another path."""
    rows = dataset.connection.execute(
        "SELECT v.id, v.path, r.path AS root FROM videos v JOIN roots r ON r.id = v.root_id"
    )
    return {os.path.abspath(os.path.join(r["root"], r["path"])): r["id"] for r in rows}
