"""From recordings, or from the clips of a dataset, to files of faces and one generation.json beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ds2f import __version__
from ds2f.dataset import Dataset, outputs
from ds2f.dataset.queries import Pair
from ds2f.dataset.recordings import recordings, stored_voices
from ds2f.errors import ItemError, UserError
from ds2f.io.files import make_folder, write_json
from ds2f.io.images import NOTICE
from ds2f.models.store import write_tensors
from ds2f.speech2face import wishes
from ds2f.speech2face.draw import BATCH
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from ds2f.types import NO_WISH, Progress, Wish

IDENTITIES = "identities.safetensors"


@dataclass(frozen=True)
class Written:
    """faces: paths of the pictures; refused: (recording, reason) of those that gave none."""

    faces: list[Path]
    refused: list[tuple[Path, str]]


def from_files(
    model: Speech2Face, inputs: Sequence[Path], out: Path, count: int, seed: int, settings: SamplingSettings,
    wish: Wish = NO_WISH, progress: Progress | None = None,
) -> Written:  # fmt: skip
    """Write <stem>-<i>.png, `count` for each recording, and generation.json.

    A recording that cannot be used does not stop the others. Raises UserError if `out` cannot be written.
    """
    make_folder(out)
    stems = unique_stems(inputs)
    faces: list[Path] = []
    refused: list[tuple[Path, str]] = []
    entries: list[dict[str, Any]] = []
    vectors: dict[str, np.ndarray] = {}
    for done, (path, stem) in enumerate(zip(inputs, stems, strict=True)):
        if progress:
            progress(done, len(inputs), path.name)
        try:
            drawn = model(
                path, count, seed, gender=wish.gender, age=wish.age, ethnicity=wish.ethnicity, language=wish.language,
                guide=wish.guide,
                settings=settings,
            )  # fmt: skip
        except ItemError as error:
            refused.append((path, error.reason))
            entries.append({"input": str(path), "failed": error.reason})
            continue
        for i, face in enumerate(drawn):
            name = f"{stem}-{i}.png"
            face.save(out / name)
            faces.append(out / name)
            vectors[name] = face.identity
            entries.append({"input": str(path), "image": name, "seed": face.seed})
    if progress:
        progress(len(inputs), len(inputs), "")
    _write_record(out, model, {**asdict(settings), **wishes.as_json(wish)}, entries, vectors)
    return Written(faces, refused)


def from_dataset(
    model: Speech2Face, dataset: Dataset, split: str, out: Path, count: int, seed: int, settings: SamplingSettings,
    progress: Progress | None = None,
) -> Written:  # fmt: skip
    """`count` faces per clip of a split, at the clip's path relative to its ingested root, suffix replaced by .png; of
    several, by -0.png, -1.png and so on. (For clips that share that path, see `dataset.keys.picture_stems`.)

    Faces that are there already, from the same model, seed and settings, are kept: an interrupted run continues.
    """
    make_folder(out)
    pairs = dataset.pairs(split)
    if not pairs:
        raise UserError(f"{dataset.path} has no usable clips in split {split!r}; run `ds2f extract` first.")
    outputs.remember(dataset, "faces", out)
    voices = voices_of(model, dataset, split, pairs).repeat(count, axis=0)
    told = _told(model, dataset, split, pairs, count) if settings.direct else {}
    seeds = [seed + i for i in range(len(voices))]
    identities = model.sample_identities(voices, seeds, settings.temperature, voice_guidance=settings.voice_guidance)
    stems = [pair.picture for pair in pairs]
    pictures = [f"{stem}-{i}.png" if count > 1 else f"{stem}.png" for stem in stems for i in range(count)]
    clips = [{"root": pair.root, "input": pair.path} for pair in pairs for _ in range(count)]
    if count > 1 and any((out / f"{stem}.png").exists() for stem in stems):
        raise UserError(f"{out} holds one face per clip, which would hide {count} of each; give another folder.")
    wanted = model.details(settings)
    todo = [i for i, name in enumerate(pictures) if details_of(out / name) != {"seed": seeds[i], **wanted}]
    for start in range(0, len(todo), BATCH):
        rows = todo[start : start + BATCH]
        chosen = [seeds[i] for i in rows]
        if settings.direct:
            images = model.sample_images(
                None, chosen, settings, voice_conditions={name: vectors[rows] for name, vectors in told.items()}
            )
        else:
            images = model.sample_images(identities[rows], chosen, settings)
        for i, face in zip(rows, model.faces(images, identities[rows], chosen, settings), strict=True):
            face.save(out / pictures[i])
        if progress:
            progress(len(pictures) - len(todo) + start + len(rows), len(pictures), "")
    if progress:
        progress(len(pictures), len(pictures), "")
    entries = [{**c, "image": n, "seed": s} for c, n, s in zip(clips, pictures, seeds, strict=True)]
    _write_record(out, model, asdict(settings), entries, dict(zip(pictures, identities, strict=True)))
    return Written([out / name for name in pictures], [])


def voices_of(model: Speech2Face, dataset: Dataset, split: str, pairs: Sequence[Pair]) -> np.ndarray:
    """(n, d) float32: the voices of n clips of a split as the model hears them. Raises UserError if the dataset lacks
    an encoder that it hears by."""
    names, known = list(model.prior.config.voices), {r.video_id: r for r in recordings(dataset, split)}
    unknown = [name for name in names if name not in stored_voices(dataset)]
    if unknown:
        raise UserError(f"{dataset.path} has no rows of {unknown[0]!r}, by which the model hears; extract them first.")
    seconds = dataset.clip_seconds(names[0])
    return model.voice_inputs([{name: known[p.video_id].heard(name, seconds) for name in names} for p in pairs])


def _told(model: Speech2Face, dataset: Dataset, split: str, pairs: Sequence[Pair], count: int) -> dict[str, np.ndarray]:
    """{speaker encoder: (n, d)} of each clip, `count` times, as the decoder itself hears it."""
    known, found = {r.video_id: r for r in recordings(dataset, split)}, {}
    for name in model.decoder_voices(stored_voices(dataset)):
        seconds = dataset.clip_seconds(name)
        heard = (known[pair.video_id].heard(name, seconds) for pair in pairs)
        vectors = [vector for vector in heard if vector is not None]
        if len(vectors) < len(pairs):
            raise UserError(f"Not all clips of {dataset.path} have a row of {name!r}; run `ds2f extract` first.")
        found[name] = np.stack(vectors).repeat(count, axis=0)
    return found


def unique_stems(paths: Sequence[Path]) -> list[str]:
    """File stems; where two recordings share one, the suffix is added (talk-wav, talk-mp4), then a number."""
    stems: list[str] = []
    for path in paths:
        stem = path.stem
        if sum(other.stem == path.stem for other in paths) > 1:
            stem = f"{path.stem}-{path.suffix.lstrip('.')}"
        number, base = 2, stem
        while stem in stems:
            stem, number = f"{base}-{number}", number + 1
        stems.append(stem)
    return stems


def details_of(path: Path) -> dict[str, Any] | None:
    """What a picture of ours says of its making, None if it is not there or not ours."""
    import json

    from PIL import Image

    try:
        with Image.open(path) as image:
            return dict(json.loads(image.info.get("ds2f", "null")) or {})
    except (OSError, ValueError):
        return None


def _write_record(
    out: Path,
    model: Speech2Face,
    settings: dict[str, Any],
    entries: list[dict[str, Any]],
    vectors: dict[str, np.ndarray],
) -> None:
    import torch

    write_tensors(out / IDENTITIES, {name: torch.from_numpy(np.array(v)) for name, v in vectors.items()})
    record = {
        "notice": NOTICE,
        "ds2f": __version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {"folder": str(model.folder), "fingerprint": model.fingerprint},
        "settings": settings,
        "size": model.size,
        "identity_vectors": IDENTITIES,
        "faces": entries,
    }
    write_json(out / "generation.json", record)
